# One provider in the place of another, before anything is sent. It is no fallback.

use Test::LLM 'no_plan';

run_tests();

__DATA__

=== the second provider gets what would go to the first, with the same model
--- http_config
    upstream one { server %%first%%; }
    upstream two { server %%second%%; }
    log_format replace '$llm_requested_provider $llm_effective_provider $llm_provider $llm_replacement_happened $llm_resolution_outcome $llm_route_mode';
--- config
    llm_proxy_route first one;
    llm_proxy_route second two base=/v2;
    llm_proxy_default_provider first;
    llm_fallback_replace first second;
    location /v1/ { llm_proxy; llm_fallback; proxy_pass http://$llm_provider_upstream; }
--- request
POST /v1/chat/completions
{"model":"m"}
--- response_headers
X-LLM-Provider: second
X-LLM-Chain: ~^second/m:200:\d+ms$
X-Fallback-Attempted: 0
X-Fallback-Attempt-Count: 1
X-Fallback-Reason: none
--- provider_first_requests: 0
--- provider_second_got
POST /v2/chat/completions
--- provider_second_got_body: {"model":"m"}
--- access_log
^first second second 1 replaced_by_policy replaced$

=== the others are not touched
--- http_config
    upstream one { server %%first%%; }
    upstream two { server %%second%%; }
    upstream three { server %%third%%; }
    log_format replace '$llm_provider $llm_replacement_happened $llm_resolution_outcome';
--- config
    llm_proxy_route first one;
    llm_proxy_route second two;
    llm_proxy_route third three;
    llm_proxy_model_pattern a first;
    llm_proxy_model_pattern b second;
    llm_proxy_model_pattern c third;
    llm_fallback_replace first second;
    location /v1/ { llm_proxy; llm_fallback; proxy_pass http://$llm_provider_upstream; }
--- requests
POST /v1/chat/completions
{"model":"b"}
>>>
POST /v1/chat/completions
{"model":"c"}
--- access_log
^second 0 as_requested$
^third 0 as_requested$
--- provider_first_requests: 0

=== the chain starts at the one in the place
--- http_config
    upstream all { server %%all%%; }
--- config
    llm_proxy_route first all;
    llm_proxy_route second all;
    llm_proxy_route third all;
    llm_proxy_route fourth all;
    llm_proxy_default_provider first;
    llm_fallback_replace first second;
    llm_fallback_route first fourth;
    llm_fallback_route second third;
    location /v1/ { llm_proxy; llm_fallback; proxy_pass http://$llm_provider_upstream; }
--- provider_all
{"status":500}

{}
--- request
POST /v1/chat/completions
{"model":"m"}
--- response_headers
X-LLM-Chain: ~^second/m:500:\d+ms, third/m:200:\d+ms$
X-Fallback-Primary: second

=== it is not applied twice, nor to the targets of the chain
--- http_config
    upstream all { server %%all%%; }
--- config
    llm_proxy_route first all;
    llm_proxy_route second all;
    llm_proxy_route third all;
    llm_proxy_default_provider first;
    llm_fallback_replace first second;
    llm_fallback_replace second third;
    llm_fallback_replace third first;
    llm_fallback_route second first;
    location /v1/ { llm_proxy; llm_fallback; proxy_pass http://$llm_provider_upstream; }
--- provider_all
{"status":500}

{}
--- request
POST /v1/chat/completions
{"model":"m"}
--- response_headers
X-LLM-Chain: ~^second/m:500:\d+ms, first/m:200:\d+ms$

=== an alias keeps its model
--- http_config
    upstream one { server %%first%%; }
    upstream two { server %%second%%; }
--- config
    llm_proxy_route first one;
    llm_proxy_route second two;
    llm_proxy_default_provider first;
    llm_proxy_model_alias fast first/real;
    llm_fallback_replace first second;
    location /v1/ { llm_proxy; llm_fallback; proxy_pass http://$llm_provider_upstream; }
--- request
POST /v1/chat/completions
{"model":"fast"}
--- provider_second_got_body: {"model":"real"}

=== where nothing falls back nothing is replaced
--- http_config
    upstream one { server %%first%%; }
    upstream two { server %%second%%; }
--- config
    llm_proxy_route first one;
    llm_proxy_route second two;
    llm_proxy_default_provider first;
    llm_fallback_replace first second;
    location /v1/ { llm_proxy; proxy_pass http://$llm_provider_upstream; }
--- request
POST /v1/chat/completions
{"model":"m"}
--- response_headers
X-LLM-Provider: first

=== lines of an inner level take the place of those above
--- http_config
    upstream one { server %%first%%; }
    upstream two { server %%second%%; }
    upstream three { server %%third%%; }
    llm_fallback_replace first second;
    llm_fallback;
--- config
    llm_proxy_route first one;
    llm_proxy_route second two;
    llm_proxy_route third three;
    llm_proxy_default_provider first;
    location /a/v1/ { llm_proxy; proxy_pass http://$llm_provider_upstream; }
    location /b/v1/ { llm_proxy; llm_fallback_replace first third; proxy_pass http://$llm_provider_upstream; }
--- requests
POST /a/v1/chat/completions
{"model":"m"}
>>>
POST /b/v1/chat/completions
{"model":"m"}
--- response_headers
X-LLM-Provider: second
>>>
X-LLM-Provider: third

=== a provider is not replaced by itself
--- config
    llm_fallback_replace first first;
--- must_fail
"llm_fallback_replace first first" replaces a provider by itself in %%root%%/nginx.conf

=== a provider is replaced once
--- http_config
    upstream one { server %%closed%%; }
--- config
    llm_proxy_route first one;
    llm_proxy_route second one;
    llm_proxy_route third one;
    llm_proxy_default_provider first;
    llm_fallback_replace first second;
    llm_fallback_replace first third;
    location / { llm_proxy; llm_fallback; proxy_pass http://$llm_provider_upstream; }
--- must_fail
duplicate llm_fallback_replace "first", keep one in %%root%%/nginx.conf

=== both must be known
--- http_config
    upstream one { server %%closed%%; }
--- config
    llm_proxy_route first one;
    llm_proxy_default_provider first;
    llm_fallback_replace first second;
    location / { llm_proxy; llm_fallback; proxy_pass http://$llm_provider_upstream; }
--- must_fail
llm_fallback_replace provider "second" is unknown, add llm_proxy_route second <upstream> in %%root%%/nginx.conf

=== it takes two providers
--- config
    llm_fallback_replace first;
--- must_fail
invalid number of arguments in "llm_fallback_replace" directive in %%root%%/nginx.conf
