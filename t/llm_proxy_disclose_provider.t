# llm_proxy_disclose_provider: whether the client learns who answered.

use Test::LLM 'no_plan';

run_tests();

__DATA__

=== the client is told who answered
--- http_config
    upstream one { server %%first%%; }
--- config
    llm_proxy_route first one;
    llm_proxy_default_provider first;
    llm_proxy_model_alias friendly first/real;
    location /v1/ { llm_proxy; proxy_pass http://$llm_provider_upstream; }
    location /said/v1/ {
        llm_proxy;
        llm_proxy_disclose_provider on;
        proxy_pass http://$llm_provider_upstream;
    }
--- provider_first
{}

{}

429 {}

{}
--- requests
POST /v1/chat/completions
{"model":"friendly"}
>>>
POST /v1/chat/completions
{"model":"friendly","stream":true}
>>>
POST /v1/chat/completions
{"model":"friendly"}
>>>
POST /said/v1/chat/completions
{"model":"friendly"}
--- error_code: 200 200 429 200
--- response_headers
x-llm-provider: first
x-llm-served-by: first/real
x-llm-event-id: ~.
x-llm-latency-ms: ~^\d+$

=== off: no header names a provider or a target, whatever the answer is
--- http_config
    upstream one { server %%first%%; }
    upstream dead { server %%closed%%; }
--- config
    llm_proxy_route first one;
    llm_proxy_route secondary dead;
    llm_proxy_model_pattern real first;
    llm_proxy_model_pattern gone secondary;
    llm_proxy_disclose_provider off;
    location /v1/ { llm_proxy; proxy_pass http://$llm_provider_upstream; }
--- provider_first
{"json":{"a":1},"headers":{"x-llm-provider":"first","X-LLM-Served-By":"first/real","x-llm-chain":"first"}}

{"sse":["[DONE]"],"headers":{"x-llm-provider":"first","X-Fallback-Primary":"first"}}

{"status":500,"json":{},"headers":{"x-llm-provider":"first","X-Fallback-Effective":"first"}}
--- requests
POST /v1/chat/completions
{"model":"real"}
>>>
POST /v1/chat/completions
{"model":"real","stream":true}
>>>
POST /v1/chat/completions
{"model":"real"}
>>>
POST /v1/chat/completions
{"model":"gone"}
>>>
POST /v1/chat/completions
{"model":"unknown"}
--- error_code: 200 200 500 502 404
--- response_headers
!x-llm-provider
!x-llm-served-by
!x-llm-chain
!x-fallback-primary
!x-fallback-effective
x-llm-event-id: ~.
--- after
for my $answer ($t->answers) {
    unlike($answer->{head}, qr/first|secondary|real|gone|\bone\b|dead/, 'no name stands in the head');
}

=== off holds from http on, and on undoes it
--- http_config
    upstream one { server %%first%%; }
    llm_proxy_disclose_provider off;
--- config
    llm_proxy_route first one;
    llm_proxy_default_provider first;
    location /v1/ { llm_proxy; proxy_pass http://$llm_provider_upstream; }
    location /open/v1/ {
        llm_proxy;
        llm_proxy_disclose_provider;
        proxy_pass http://$llm_provider_upstream;
    }
--- requests
POST /v1/chat/completions
{"model":"m"}
>>>
POST /open/v1/chat/completions
{"model":"m"}
--- response_headers
!x-llm-provider
>>>
x-llm-provider: first

=== what the log knows is no matter of it
--- http_config
    upstream one { server %%first%%; }
    log_format who '$llm_provider $llm_effective_model';
--- config
    llm_proxy_route first one;
    llm_proxy_default_provider first;
    llm_proxy_disclose_provider off;
    location /v1/ { llm_proxy; proxy_pass http://$llm_provider_upstream; }
--- request
POST /v1/chat/completions
{"model":"m"}
--- access_log
^first m$

=== it is a switch
--- config
    llm_proxy_disclose_provider maybe;
--- must_fail
invalid value "maybe" in "llm_proxy_disclose_provider" directive, it must be "on" or "off"

=== it is written once
--- config
    llm_proxy_disclose_provider on;
    llm_proxy_disclose_provider off;
--- must_fail
"llm_proxy_disclose_provider" directive is duplicate
