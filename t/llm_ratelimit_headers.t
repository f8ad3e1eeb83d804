# What a client is told of its limits.

use Test::LLM 'no_plan';

use Test::LLM::Ledger;

run_tests();

__DATA__

=== our limits, in OpenAI's names and in the standard's
--- http_config
    upstream one { server %%first%%; }
--- config
    llm_proxy_route first one;
    llm_proxy_default_provider first;
    llm_ratelimit_key all;
    llm_ratelimit_requests_per_minute 3;
    llm_ratelimit_tokens_per_minute 600;
    llm_ratelimit_reserve_tokens 100;
    location /v1/ { llm_proxy; llm_ratelimit; proxy_pass http://$llm_provider_upstream; }
--- request
POST /v1/chat/completions
{"model":"m"}
--- response_headers
x-ratelimit-limit-requests: 3
x-ratelimit-remaining-requests: 2
x-ratelimit-reset-requests: ~^(20s|19\.\d+s)$
x-ratelimit-limit-tokens: 600
x-ratelimit-remaining-tokens: 500
x-ratelimit-reset-tokens: ~^(10s|9\.\d+s)$
RateLimit-Policy: ~q=3;w=60
RateLimit: ~r=2;t=(20|19)

=== what the provider says of its own limits stays
--- http_config
    upstream one { server %%first%%; }
--- config
    llm_proxy_route first one;
    llm_proxy_default_provider first;
    llm_ratelimit_key all;
    llm_ratelimit_requests_per_minute 3;
    location /v1/ { llm_proxy; llm_ratelimit; proxy_pass http://$llm_provider_upstream; }
--- provider_first
{"headers":{"x-ratelimit-limit-requests":"5000","x-ratelimit-remaining-requests":"4999"}}
--- request
POST /v1/chat/completions
{"model":"m"}
--- response_headers
x-ratelimit-limit-requests: 5000
x-ratelimit-remaining-requests: 4999

=== a refusal has them
--- http_config
    upstream one { server %%first%%; }
--- config
    llm_proxy_route first one;
    llm_proxy_default_provider first;
    llm_ratelimit_key all;
    llm_ratelimit_requests_per_minute 1;
    location /v1/ { llm_proxy; llm_ratelimit; proxy_pass http://$llm_provider_upstream; }
--- requests
POST /v1/chat/completions
{"model":"m"}
>>>
POST /v1/chat/completions
{"model":"m"}
--- error_code: 200 429
--- response_headers
x-ratelimit-remaining-requests: 0
>>>
x-ratelimit-limit-requests: 1
x-ratelimit-remaining-requests: 0
x-ratelimit-reset-requests: ~^(1m0s|59\.\d+s|59s)$

=== a day is told in days' units
--- http_config
    upstream one { server %%first%%; }
--- config
    llm_proxy_route first one;
    llm_proxy_default_provider first;
    llm_ratelimit_rule all requests 2/d;
    location /v1/ { llm_proxy; llm_ratelimit; proxy_pass http://$llm_provider_upstream; }
--- request
POST /v1/chat/completions
{"model":"m"}
--- response_headers
x-ratelimit-reset-requests: ~^(12h0m0s|11h59m\S+s)$
RateLimit-Policy: ~q=2;w=86400

=== the tightest of several is told
--- http_config
    upstream one { server %%first%%; }
--- config
    llm_proxy_route first one;
    llm_proxy_default_provider first;
    llm_ratelimit_rule all requests 100/m;
    llm_ratelimit_rule all requests 5/h;
    llm_ratelimit_rule all requests 50/d;
    location /v1/ { llm_proxy; llm_ratelimit; proxy_pass http://$llm_provider_upstream; }
--- request
POST /v1/chat/completions
{"model":"m"}
--- response_headers
x-ratelimit-limit-requests: 5
x-ratelimit-remaining-requests: 4

=== off: none
--- http_config
    upstream one { server %%first%%; }
--- config
    llm_proxy_route first one;
    llm_proxy_default_provider first;
    llm_ratelimit_key all;
    llm_ratelimit_requests_per_minute 1;
    llm_ratelimit_headers off;
    location /v1/ { llm_proxy; llm_ratelimit; proxy_pass http://$llm_provider_upstream; }
--- requests
POST /v1/chat/completions
{"model":"m"}
>>>
POST /v1/chat/completions
{"model":"m"}
--- error_code: 200 429
--- response_headers
!x-ratelimit-limit-requests
!RateLimit
!RateLimit-Policy
>>>
!x-ratelimit-limit-requests
!RateLimit
!RateLimit-Policy
Retry-After: ~^\d+$

=== a stream has them in its head
--- http_config
    upstream one { server %%first%%; }
--- config
    llm_proxy_route first one;
    llm_proxy_default_provider first;
    llm_ratelimit_key all;
    llm_ratelimit_requests_per_minute 3;
    location /v1/ { llm_proxy; llm_ratelimit; proxy_pass http://$llm_provider_upstream; }
--- request
POST /v1/chat/completions
{"model":"m","stream":true}
--- response_headers
x-ratelimit-remaining-requests: 2
