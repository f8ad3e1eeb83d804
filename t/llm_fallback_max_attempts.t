# No request makes more attempts than this, whatever asks for them: retries of a target, further keys
# and further targets.

use Test::LLM 'no_plan';

run_tests();

__DATA__

=== two by default
--- http_config
    upstream all { server %%all%%; }
--- config
    llm_proxy_route a all;
    llm_proxy_route b all;
    llm_proxy_route c all;
    llm_proxy_default_provider a;
    llm_fallback_route a b;
    llm_fallback_route a c;
    location /v1/ { llm_proxy; llm_fallback; proxy_pass http://$llm_provider_upstream; }
--- provider_all
{"status":500,"times":2}
--- request
POST /v1/chat/completions
{"model":"m"}
--- error_code: 500
--- response_headers
X-LLM-Chain: ~^a/m:500:\d+ms, b/m:500:\d+ms$
X-Fallback-Attempt-Count: 2
X-Fallback-Suppressed: 1
X-Fallback-Suppressed-Reason: attempts_exhausted

=== as many as the operator says
--- http_config
    upstream all { server %%all%%; }
--- config
    llm_proxy_route a all;
    llm_proxy_route b all;
    llm_proxy_route c all;
    llm_proxy_route d all;
    llm_proxy_default_provider a;
    llm_fallback_route a b;
    llm_fallback_route a c;
    llm_fallback_route a d;
    llm_fallback_max_attempts 3;
    location /v1/ { llm_proxy; llm_fallback; proxy_pass http://$llm_provider_upstream; }
--- provider_all
{"status":500,"times":3}
--- request
POST /v1/chat/completions
{"model":"m"}
--- error_code: 500
--- response_headers
X-LLM-Chain: ~^a/m:500:\d+ms, b/m:500:\d+ms, c/m:500:\d+ms$
X-Fallback-Attempt-Count: 3
X-Fallback-Suppressed-Reason: attempts_exhausted

=== with one the chain is not used
--- http_config
    upstream all { server %%all%%; }
--- config
    llm_proxy_route a all;
    llm_proxy_route b all;
    llm_proxy_default_provider a;
    llm_fallback_route a b;
    llm_fallback_max_attempts 1;
    location /v1/ { llm_proxy; llm_fallback; proxy_pass http://$llm_provider_upstream; }
--- provider_all
{"status":500}
--- request
POST /v1/chat/completions
{"model":"m"}
--- error_code: 500
--- response_headers
X-LLM-Chain: ~^a/m:500:\d+ms$
X-Fallback-Suppressed-Reason: attempts_exhausted

=== retries count
--- http_config
    upstream all { server %%all%%; }
--- config
    llm_proxy_route a all;
    llm_proxy_route b all;
    llm_proxy_default_provider a;
    llm_fallback_route a b;
    llm_fallback_retry 2 backoff=1ms..2ms;
    llm_fallback_max_attempts 4;
    location /v1/ { llm_proxy; llm_fallback; proxy_pass http://$llm_provider_upstream; }
--- provider_all
{"status":500,"times":4}
--- request
POST /v1/chat/completions
{"model":"m"}
--- error_code: 500
--- response_headers
X-LLM-Chain: ~^a/m:500:\d+ms, a/m:500:\d+ms, a/m:500:\d+ms, b/m:500:\d+ms$
X-Fallback-Attempt-Count: 4
X-Fallback-Suppressed-Reason: attempts_exhausted

=== further keys count, also where fallback is off
--- http_config
    upstream all { server %%all%%; }
--- config
    llm_proxy_route a all;
    llm_proxy_default_provider a;
    llm_auth;
    llm_auth_credential a sk-a-SECRET-1;
    llm_auth_credential a sk-a-SECRET-2;
    llm_auth_credential a sk-a-SECRET-3;
    llm_auth_credential a sk-a-SECRET-4;
    llm_auth_credential a sk-a-SECRET-5;
    location /off/v1/ { llm_proxy; proxy_pass http://$llm_provider_upstream; }
    location /on/v1/ {
        llm_proxy; llm_fallback; llm_fallback_max_attempts 3; proxy_pass http://$llm_provider_upstream;
    }
--- provider_all
{"status":429,"times":5}
--- requests
POST /off/v1/chat/completions
{"model":"m"}
>>>
POST /on/v1/chat/completions
{"model":"m"}
--- error_code: 429
--- response_headers
X-LLM-Chain: ~^a/m:429:\d+ms, a/m:429:\d+ms$
>>>
X-LLM-Chain: ~^a/m:429:\d+ms, a/m:429:\d+ms, a/m:429:\d+ms$
X-Fallback-Attempt-Count: 3

=== targets that are passed over do not count
--- http_config
    upstream all { server %%all%%; }
--- config
    llm_proxy_route a all;
    llm_proxy_route b all max_input=1;
    llm_proxy_route c all;
    llm_proxy_default_provider a;
    llm_fallback_route a b;
    llm_fallback_route a c;
    llm_fallback_max_attempts 2;
    location /v1/ { llm_proxy; llm_fallback; proxy_pass http://$llm_provider_upstream; }
--- provider_all
{"status":500}

{}
--- request
POST /v1/chat/completions
{"model":"m","messages":[{"role":"user","content":"A question of several words."}]}
--- response_headers
X-LLM-Chain: ~^a/m:500:\d+ms, b/m:skipped\(context\), c/m:200:\d+ms$
X-Fallback-Attempt-Count: 2

=== servers of a block that are down do not count
--- http_config
    upstream one { server %%closed%%; server 127.0.0.1:%%port2%%; server 127.0.0.2:%%port2%%; }
    upstream two { server %%second%%; }
--- config
    llm_proxy_route first one;
    llm_proxy_route second two;
    llm_proxy_default_provider first;
    llm_fallback_route first second;
    llm_fallback_max_attempts 2;
    location /v1/ { llm_proxy; llm_fallback; proxy_pass http://$llm_provider_upstream; }
--- request
POST /v1/chat/completions
{"model":"m"}
--- response_headers
X-LLM-Chain: ~^first/m:connect_error:\d+ms, second/m:200:\d+ms$
X-Fallback-Attempt-Count: 2

=== it is inherited
--- http_config
    upstream all { server %%all%%; }
    llm_fallback_max_attempts 3;
--- config
    llm_proxy_route a all;
    llm_proxy_route b all;
    llm_proxy_route c all;
    llm_proxy_default_provider a;
    llm_fallback_route a b;
    llm_fallback_route a c;
    location /3/v1/ { llm_proxy; llm_fallback; proxy_pass http://$llm_provider_upstream; }
    location /1/v1/ {
        llm_proxy; llm_fallback; llm_fallback_max_attempts 1; proxy_pass http://$llm_provider_upstream;
    }
--- provider_all
{"status":500,"times":4}
--- requests
POST /3/v1/chat/completions
{"model":"m"}
>>>
POST /1/v1/chat/completions
{"model":"m"}
--- error_code: 500
--- response_headers
X-Fallback-Attempt-Count: 3
>>>
X-Fallback-Attempt-Count: 1

=== the operator's proxy_next_upstream_tries is an upper bound
--- http_config
    upstream all { server %%all%%; }
--- config
    llm_proxy_route a all;
    llm_proxy_route b all;
    llm_proxy_route c all;
    llm_proxy_default_provider a;
    llm_fallback_route a b;
    llm_fallback_route a c;
    llm_fallback_max_attempts 3;
    proxy_next_upstream_tries 2;
    location /v1/ { llm_proxy; llm_fallback; proxy_pass http://$llm_provider_upstream; }
--- provider_all
{"status":500,"times":2}
--- request
POST /v1/chat/completions
{"model":"m"}
--- error_code: 500
--- response_headers
X-LLM-Chain: ~^a/m:500:\d+ms, b/m:500:\d+ms$
X-Fallback-Attempt-Count: 2
X-Fallback-Suppressed-Reason: attempts_exhausted

=== and so is its proxy_next_upstream_timeout
--- http_config
    upstream all { server %%all%%; }
--- config
    llm_proxy_route a all response_timeout=300ms;
    llm_proxy_route b all;
    llm_proxy_default_provider a;
    llm_fallback_route a b;
    proxy_next_upstream_timeout 200ms;
    location /v1/ { llm_proxy; llm_fallback; proxy_pass http://$llm_provider_upstream; }
--- provider_all
{"fault":"hang"}
--- request
POST /v1/chat/completions
{"model":"m"}
--- error_code: 504
--- response_headers
X-LLM-Chain: ~^a/m:transport_timeout:\d+ms$
X-Fallback-Suppressed-Reason: deadline

=== llm_fallback_max_attempts is at least 1
--- config
    llm_fallback_max_attempts 0;
--- must_fail
invalid number "0" in "llm_fallback_max_attempts", give at least 1 in %%root%%/nginx.conf

=== llm_fallback_max_attempts is a number
--- config
    llm_fallback_max_attempts two;
--- must_fail
invalid number "two" in "llm_fallback_max_attempts", give at least 1 in %%root%%/nginx.conf

=== llm_fallback_max_attempts is written once
--- config
    llm_fallback_max_attempts 2;
    llm_fallback_max_attempts 3;
--- must_fail
"llm_fallback_max_attempts" directive is duplicate in %%root%%/nginx.conf
