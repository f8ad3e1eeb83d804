# A provider that has no room says when it will have some; with llm_ratelimit_cooldown the limits of
# that target stay closed until then.

use Test::LLM 'no_plan';

use Test::LLM::Ledger;

run_tests();

__DATA__

=== until the provider has room again nothing passes
--- http_config
    upstream one { server %%first%%; }
    log_format l '$status "$llm_ratelimit_deny_reason"';
--- config
    llm_proxy_route first one;
    llm_proxy_default_provider first;
    llm_ratelimit_key all;
    llm_ratelimit_provider_rpm first 100;
    llm_ratelimit_cooldown;
    location /v1/ { llm_proxy; llm_ratelimit; proxy_pass http://$llm_provider_upstream; }
--- provider_first
{"status":429,"headers":{"retry-after":"30"}}
--- requests
POST /v1/chat/completions
{"model":"m"}
>>>
POST /v1/chat/completions
{"model":"m"}
--- error_code: 429
--- access_log
^429 "-?"\n429 "request_budget_exhausted"$
--- provider_first_requests: 1
--- after
my $wait = header(($t->answers)[1], 'retry-after');
ok($wait > 20 && $wait <= 30, "Retry-After: $wait");

=== without it only our own limits count
--- http_config
    upstream one { server %%first%%; }
--- config
    llm_proxy_route first one;
    llm_proxy_default_provider first;
    llm_ratelimit_key all;
    llm_ratelimit_provider_rpm first 100;
    location /v1/ { llm_proxy; llm_ratelimit; proxy_pass http://$llm_provider_upstream; }
--- provider_first
{"status":429,"headers":{"retry-after":"30"}}

{}
--- requests
POST /v1/chat/completions
{"model":"m"}
>>>
POST /v1/chat/completions
{"model":"m"}
--- error_code: 429 200
