# The scenario "Meter-Fallback" with its llm_proxy, llm_fallback and llm_auth lines and its
# proxy_next_upstream lines as they were rendered: DeepSeek fails over to Mimo with the model replaced,
# streams excluded. The providers are on this machine, so that their names in the upstream blocks are
# addresses, which have no certificate: "localhost" is in it.

use Test::LLM 'no_plan';

# The lines from the scenario's location.
sub scenario_location {
    return <<'CONF';
location /v1/chat/completions {
set $tenant_id ai-platform;
set $project_id ai-platform;
set $org_id acme;
llm_proxy;
llm_proxy_route deepseek deepseek_server;
llm_proxy_route mimo mimo_server;
llm_proxy_model_pattern deepseek-v4-pro deepseek;
llm_proxy_model_pattern deepseek-v4-flash deepseek;
llm_proxy_model_pattern mimo-v2.5-pro mimo;
llm_proxy_model_pattern mimo-v2.5 mimo;
llm_proxy_default_provider deepseek;
llm_proxy_max_body_size 64k;
llm_proxy_inject_usage on;
llm_fallback;
llm_fallback_mode basic;
llm_fallback_route deepseek mimo mimo-v2.5-pro;
llm_fallback_on connect_error transport_timeout upstream_5xx rate_limited;
llm_fallback_max_attempts 2;
llm_fallback_allow_streaming off;
llm_auth;
llm_auth_provider deepseek;
llm_auth_credential deepseek env:DEEPSEEK_API_KEY;
llm_auth_credential mimo env:MIMO_API_KEY;
llm_auth_org $org_id;
llm_auth_project $project_id;
llm_auth_fail_closed on;
proxy_next_upstream error timeout http_500 http_502 http_503 http_429;
proxy_next_upstream_tries 2;
proxy_pass https://$llm_provider_upstream;
proxy_set_header Host $llm_provider_host;
proxy_ssl_server_name on;
proxy_buffering off;
}
CONF
}

# The scenario's upstream blocks and the fallback part of its log.
sub scenario_http {
    return <<'CONF';
proxy_ssl_name localhost;
upstream deepseek_server {
server %%deepseek_tls%%;
keepalive 32;
}
upstream mimo_server {
server %%mimo_tls%%;
keepalive 32;
}
log_format manifest_gateway_json escape=json
'{'
'"provider":"$llm_effective_provider",'
'"model":"$llm_effective_model",'
'"fallback_attempted":"$llm_fallback_attempted",'
'"fallback_reason":"$llm_fallback_reason",'
'"fallback_effective":"$llm_fallback_effective_provider",'
'"status":"$status"'
'}';
CONF
}

run_tests();

__DATA__

=== DeepSeek serves what it can
--- http_config eval: main::scenario_http()
--- config eval: main::scenario_location()
--- env
SSL_CERT_FILE=%%deepseek_tls_ca%%
DEEPSEEK_API_KEY=sk-deepseek-SECRET-1
MIMO_API_KEY=sk-mimo-SECRET-2
--- more_headers
Authorization: Bearer da-sk-acme-ai-platform.one
--- requests
POST /v1/chat/completions
{"model":"deepseek-v4-pro"}
>>>
POST /v1/chat/completions
{"model":"mimo-v2.5"}
--- response_json
{"model":"deepseek-v4-pro"}
>>>
{"model":"mimo-v2.5"}
--- provider_deepseek_tls_got
POST /v1/chat/completions HTTP/1.1
authorization: Bearer sk-deepseek-SECRET-1
--- provider_mimo_tls_got
POST /v1/chat/completions HTTP/1.1
authorization: Bearer sk-mimo-SECRET-2
--- access_log
^\{"provider":"deepseek","model":"deepseek-v4-pro","fallback_attempted":"0","fallback_reason":"none","fallback_effective":"deepseek","status":"200"\}$

=== Mimo takes over on each of the four classes, with its own model and key
--- http_config eval: main::scenario_http()
--- config eval: main::scenario_location() =~ s/deepseek_server;/deepseek_server response_timeout=200ms;/r
--- env
SSL_CERT_FILE=%%deepseek_tls_ca%%
DEEPSEEK_API_KEY=sk-deepseek-SECRET-1
MIMO_API_KEY=sk-mimo-SECRET-2
--- provider_deepseek_tls
{"fault":"reset"}

{"fault":"hang"}

{"status":500}

{"status":503}

{"status":529}

{"status":429}
--- more_headers
Authorization: Bearer da-sk-acme-ai-platform.one
--- requests
POST /v1/chat/completions
{"model":"deepseek-v4-pro","messages":[{"role":"user","content":"1"}]}
>>>
POST /v1/chat/completions
{"model":"deepseek-v4-flash","messages":[{"role":"user","content":"1"}]}
>>>
POST /v1/chat/completions
{"model":"deepseek-v4-pro","messages":[{"role":"user","content":"1"}]}
>>>
POST /v1/chat/completions
{"model":"deepseek-v4-flash","messages":[{"role":"user","content":"1"}]}
>>>
POST /v1/chat/completions
{"model":"deepseek-v4-pro","messages":[{"role":"user","content":"1"}]}
>>>
POST /v1/chat/completions
{"model":"deepseek-v4-flash","messages":[{"role":"user","content":"1"}]}
--- response_json
{"model":"mimo-v2.5-pro"}
--- response_headers
X-Fallback-Reason: connect_error
X-LLM-Served-By: mimo/mimo-v2.5-pro
>>>
X-Fallback-Reason: transport_timeout
X-LLM-Served-By: mimo/mimo-v2.5-pro
>>>
X-Fallback-Reason: upstream_5xx
>>>
X-Fallback-Reason: upstream_5xx
>>>
X-Fallback-Reason: overloaded
>>>
X-Fallback-Reason: rate_limited
--- provider_mimo_tls_got
POST /v1/chat/completions HTTP/1.1
authorization: Bearer sk-mimo-SECRET-2
--- provider_mimo_tls_got_json
{"model":"mimo-v2.5-pro","messages":[{"role":"user","content":"1"}]}
--- access_log
^\{"provider":"mimo","model":"mimo-v2.5-pro","fallback_attempted":"1","fallback_reason":"connect_error","fallback_effective":"mimo","status":"200"\}$
^\{"provider":"mimo","model":"mimo-v2.5-pro","fallback_attempted":"1","fallback_reason":"rate_limited","fallback_effective":"mimo","status":"200"\}$

=== streams are excluded
--- http_config eval: main::scenario_http()
--- config eval: main::scenario_location()
--- env
SSL_CERT_FILE=%%deepseek_tls_ca%%
DEEPSEEK_API_KEY=sk-deepseek-SECRET-1
MIMO_API_KEY=sk-mimo-SECRET-2
--- provider_deepseek_tls
{}

{"status":503,"times":2}
--- requests
POST /v1/chat/completions
{"model":"deepseek-v4-pro","stream":true}
>>>
POST /v1/chat/completions
{"model":"deepseek-v4-pro","stream":true}
>>>
POST /v1/chat/completions
{"model":"deepseek-v4-pro"}
--- error_code: 200 503 200
--- response_headers
X-LLM-Provider: deepseek
>>>
X-Fallback-Suppressed: 1
X-Fallback-Suppressed-Reason: streaming_not_allowed
>>>
X-LLM-Provider: mimo
--- provider_deepseek_tls_requests: 3
--- provider_mimo_tls_requests: 1

=== what is wrong with the request itself is not tried at Mimo
--- http_config eval: main::scenario_http()
--- config eval: main::scenario_location()
--- env
SSL_CERT_FILE=%%deepseek_tls_ca%%
DEEPSEEK_API_KEY=sk-deepseek-SECRET-1
MIMO_API_KEY=sk-mimo-SECRET-2
--- provider_deepseek_tls
{"status":422}

{"error":"content_policy_violation"}
--- requests
POST /v1/chat/completions
{"model":"deepseek-v4-pro"}
>>>
POST /v1/chat/completions
{"model":"deepseek-v4-pro"}
>>>
POST /v1/chat/completions
{"model":"gpt-5"}
--- error_code: 422 400 404
--- provider_mimo_tls_requests: 0

=== Mimo's own refusal ends it, after two attempts
--- http_config eval: main::scenario_http()
--- config eval: main::scenario_location()
--- env
SSL_CERT_FILE=%%deepseek_tls_ca%%
DEEPSEEK_API_KEY=sk-deepseek-SECRET-1
MIMO_API_KEY=sk-mimo-SECRET-2
--- provider_deepseek_tls
{"status":500}
--- provider_mimo_tls
429 {"of":"mimo"}
--- request
POST /v1/chat/completions
{"model":"deepseek-v4-pro"}
--- error_code: 429
--- response_body: {"of":"mimo"}
--- response_headers
X-Fallback-Attempt-Count: 2
X-Should-Retry: false

=== a key that is missing is told at the start
--- http_config eval: main::scenario_http()
--- config eval: main::scenario_location()
--- env
SSL_CERT_FILE=%%deepseek_tls_ca%%
DEEPSEEK_API_KEY=sk-deepseek-SECRET-1
--- must_fail
MIMO_API_KEY

=== the scenario's own proxy_next_upstream lines are taken
--- http_config eval: main::scenario_http()
--- config eval: main::scenario_location()
--- env
SSL_CERT_FILE=%%deepseek_tls_ca%%
DEEPSEEK_API_KEY=sk-deepseek-SECRET-1
MIMO_API_KEY=sk-mimo-SECRET-2
--- must_load
