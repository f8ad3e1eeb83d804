# The switch, the identity, and what happens without one; dry run and an open gate.

use Test::LLM 'no_plan';

use Test::LLM::Ledger;

run_tests();

__DATA__

=== off unless switched on
--- http_config
    upstream one { server %%first%%; }
--- config
    llm_proxy_route first one;
    llm_proxy_default_provider first;
    llm_ratelimit_key all;
    llm_ratelimit_requests_per_minute 1;
    location /v1/ { llm_proxy; proxy_pass http://$llm_provider_upstream; }
--- requests
POST /v1/chat/completions
{"model":"m"}
>>>
POST /v1/chat/completions
{"model":"m"}
--- response_headers
!x-ratelimit-limit-requests

=== no identity, no entry
--- http_config
    upstream one { server %%first%%; }
    log_format l '$status "$llm_ratelimit_deny_reason"';
--- config
    llm_proxy_route first one;
    llm_proxy_default_provider first;
    llm_ratelimit_key $http_x_id;
    llm_ratelimit_requests_per_minute 10;
    location /v1/ { llm_proxy; llm_ratelimit; proxy_pass http://$llm_provider_upstream; }
--- request
POST /v1/chat/completions
{"model":"m"}
--- error_code: 429
--- response_headers
Retry-After: ~^\d+$
Content-Type: application/json
--- response_json
{"error":{"message":"<<any>>","type":"<<any>>","code":"identity_missing"}}
--- access_log
^429 "identity_missing"$
--- provider_first_requests: 0

=== an open gate lets it pass, and says why it should not have
--- http_config
    upstream one { server %%first%%; }
    log_format l '$status "$llm_ratelimit_deny_reason"';
--- config
    llm_proxy_route first one;
    llm_proxy_default_provider first;
    llm_ratelimit_key $http_x_id;
    llm_ratelimit_requests_per_minute 1;
    llm_ratelimit_fail_open;
    location /v1/ { llm_proxy; llm_ratelimit; proxy_pass http://$llm_provider_upstream; }
--- requests
POST /v1/chat/completions
{"model":"m"}
>>>
POST /v1/chat/completions
{"model":"m"}
>>>
POST /v1/chat/completions
{"model":"m"}
>>>
POST /v1/chat/completions
{"model":"m"}
--- more_headers
>>>
>>>
X-Id: a
>>>
X-Id: a
--- error_code: 200 200 200 429
--- access_log
^200 "identity_missing"$

=== a dry run refuses nobody, and tells whom it would have
--- http_config
    upstream one { server %%first%%; }
    log_format l '$status "$llm_ratelimit_deny_reason"';
--- config
    llm_proxy_route first one;
    llm_proxy_default_provider first;
    llm_ratelimit_key $http_x_id;
    llm_ratelimit_requests_per_minute 1;
    llm_ratelimit_dry_run;
    location /v1/ { llm_proxy; llm_ratelimit; proxy_pass http://$llm_provider_upstream; }
--- requests
POST /v1/chat/completions
{"model":"m"}
>>>
POST /v1/chat/completions
{"model":"m"}
>>>
POST /v1/chat/completions
{"model":"m"}
--- more_headers
X-Id: a
>>>
X-Id: a
>>>
--- error_code: 200
--- access_log
^200 "-?"\n200 "request_budget_exhausted"\n200 "identity_missing"$

=== a dry run has no budget that keeps anyone out, but the money is counted
--- http_config
    upstream one { server %%first%%; }
    log_format l '$status "$llm_ratelimit_deny_reason" "$llm_ratelimit_spend_deny_unit"';
    llm_cost_rate first * 1000 1000;
--- config
    llm_proxy_route first one;
    llm_proxy_default_provider first;
    llm_ratelimit_dry_run;
    llm_ratelimit_spend_scope project usd p 0.001;
    location /v1/ { llm_proxy; llm_ratelimit; llm_cost; proxy_pass http://$llm_provider_upstream; }
--- requests
POST /v1/chat/completions
{"model":"m","max_tokens":1}
>>>
POST /v1/chat/completions
{"model":"m","max_tokens":1}
--- access_log
^200 "spend_budget_exhausted" "usd"$
--- after
ok(wait_for_rows($t, 2), 'two rows');

=== the values are not found where nothing was limited
--- http_config
    upstream one { server %%first%%; }
    log_format l '[$llm_ratelimit_deny_reason][$llm_ratelimit_quota_remaining][$llm_ratelimit_token_quota_remaining][$llm_ratelimit_spend_deny_unit][$llm_ratelimit_scope][$llm_ratelimit_retry_after][$llm_ratelimit_reserved_tokens][$llm_ratelimit_budget_used]';
--- config
    llm_proxy_route first one;
    llm_proxy_default_provider first;
    location /v1/ { llm_proxy; proxy_pass http://$llm_provider_upstream; }
--- request
POST /v1/chat/completions
{"model":"m"}
--- access_log
^\[-\]\[-\]\[-\]\[-\]\[-\]\[-\]\[-\]\[-\]$

=== a refused client costs nothing: nginx's own access control comes first
--- http_config
    upstream one { server %%first%%; }
--- config
    llm_proxy_route first one;
    llm_proxy_default_provider first;
    llm_ratelimit_key all;
    llm_ratelimit_requests_per_minute 1;
    location /v1/ {
        if ($http_x_bad) { return 403; }
        llm_proxy; llm_ratelimit; proxy_pass http://$llm_provider_upstream;
    }
--- requests
POST /v1/chat/completions
{"model":"m"}
>>>
POST /v1/chat/completions
{"model":"m"}
--- more_headers
X-Bad: yes
>>>
--- error_code: 403 200

=== limits of the key need a key
--- http_config
    upstream one { server %%first%%; }
--- config
    llm_proxy_route first one;
    llm_proxy_default_provider first;
    llm_ratelimit_requests_per_minute 1;
    location /v1/ { llm_proxy; llm_ratelimit; proxy_pass http://$llm_provider_upstream; }
--- must_fail
"llm_ratelimit_requests_per_minute" needs an identity, add llm_ratelimit_key <text>

=== a switch is on or off
--- config
    llm_ratelimit maybe;
--- must_fail
invalid value "maybe" in "llm_ratelimit" directive, it must be "on" or "off"

=== so are the others
--- config
    llm_ratelimit_dry_run 1;
--- must_fail
invalid value "1" in "llm_ratelimit_dry_run" directive, it must be "on" or "off"
