# What the names of a client's own headers begin with. None with this prefix, and none with ours, ever
# reaches a provider.

use Test::LLM 'no_plan';

run_tests();

__DATA__

=== another prefix takes the place of ours
--- http_config
    upstream all { server %%all%%; }
    log_format prefix 'tag=$llm_tag';
--- config
    llm_proxy_route a all;
    llm_proxy_route b all;
    llm_proxy_default_provider a;
    llm_fallback_route a b;
    llm_fallback_header_prefix x-aig-;
    llm_fallback_request_headers fallback tag;
    location /v1/ { llm_proxy; llm_fallback; proxy_pass http://$llm_provider_upstream; }
--- provider_all
{"status":500,"times":2}

{}
--- more_headers
X-AIG-Fallback: off
x-aig-tag: one
X-LLM-Tag: two
>>>
X-LLM-Fallback: off
--- requests
POST /v1/chat/completions
{"model":"m"}
>>>
POST /v1/chat/completions
{"model":"m"}
--- error_code: 500 200
--- access_log
^tag=one$
^tag=-$
--- provider_all_got
POST /v1/chat/completions
!X-AIG-Fallback
!X-AIG-Tag
!X-LLM-Tag
!X-LLM-Fallback

=== all names have it
--- http_config
    upstream all { server %%all%%; }
    log_format prefix 'tag=$llm_tag';
--- config
    llm_proxy_route a all;
    llm_proxy_route b all;
    llm_proxy_default_provider a;
    llm_fallback_route a b;
    llm_fallback_header_prefix X-AIG-;
    llm_fallback_request_headers fallback timeout retries on tag provider;
    location /v1/ { llm_proxy; llm_fallback; proxy_pass http://$llm_provider_upstream; }
--- provider_all
{"status":500}

{}
--- more_headers
x-aig-fallback: b
x-aig-timeout-ms: 5000
x-aig-retry-budget: 2
x-aig-fallback-on: 5xx
x-aig-tag: t
>>>
x-aig-timeout-ms: x
>>>
x-aig-provider-pin: b
--- requests
POST /v1/chat/completions
{"model":"m"}
>>>
POST /v1/chat/completions
{"model":"m"}
>>>
POST /v1/chat/completions
{"model":"m"}
--- error_code: 200 400 200
--- response_headers
X-LLM-Chain: ~^a/m:500:\d+ms, b/m:200:\d+ms$
>>>
!X-LLM-Chain
>>>
X-LLM-Chain: ~^b/m:200:\d+ms$
--- response_json
{}
>>>
{"error":{"message":"<<match:The header \"x-aig-timeout-ms\">>"}}
>>>
{}
--- provider_all_requests: 3

=== headers of other names go through
--- http_config
    upstream all { server %%all%%; }
--- config
    llm_proxy_route a all;
    llm_proxy_default_provider a;
    llm_fallback_header_prefix x-aig-;
    location /v1/ { llm_proxy; llm_fallback; proxy_pass http://$llm_provider_upstream; }
--- more_headers
X-AI: 1
X-Aigle: 2
--- request
POST /v1/chat/completions
{"model":"m"}
--- provider_all_got
POST /v1/chat/completions
X-AI: 1
X-Aigle: 2

=== it is inherited
--- http_config
    upstream all { server %%all%%; }
    llm_fallback_header_prefix x-aig-;
--- config
    llm_proxy_route a all;
    llm_proxy_default_provider a;
    llm_fallback_request_headers timeout;
    location /aig/v1/ { llm_proxy; llm_fallback; proxy_pass http://$llm_provider_upstream; }
    location /my/v1/ { llm_proxy; llm_fallback; llm_fallback_header_prefix x-my-; proxy_pass http://$llm_provider_upstream; }
--- more_headers
x-aig-timeout-ms: x
--- requests
POST /aig/v1/chat/completions
{"model":"m"}
>>>
POST /my/v1/chat/completions
{"model":"m"}
--- error_code: 400 200

=== a prefix ends with a hyphen
--- config
    llm_fallback_header_prefix x-aig;
--- must_fail
invalid prefix "x-aig" in "llm_fallback_header_prefix", use letters, digits and "-" with a "-" at the end, such as x-llm- in %%root%%/nginx.conf

=== a prefix is part of a header's name
--- config
    llm_fallback_header_prefix "x aig-";
--- must_fail
invalid prefix "x aig-" in "llm_fallback_header_prefix"

=== a hyphen alone would be every header
--- config
    llm_fallback_header_prefix -;
--- must_fail
invalid prefix "-" in "llm_fallback_header_prefix"

=== llm_fallback_header_prefix is written once
--- config
    llm_fallback_header_prefix x-a-;
    llm_fallback_header_prefix x-b-;
--- must_fail
"llm_fallback_header_prefix" directive is duplicate in %%root%%/nginx.conf
