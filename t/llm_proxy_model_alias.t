# llm_proxy_model_alias: the name that clients use is not the name that the provider gets.

use Test::LLM 'no_plan';

run_tests();

__DATA__

=== the provider gets its own name for the model
--- http_config
    upstream one { server %%first%%; }
    log_format routed "$llm_model $llm_requested_model $llm_effective_model $llm_resolution_outcome";
--- config
    llm_proxy_route first one;
    llm_proxy_model_pattern other first;
    llm_proxy_model_alias fast first/gpt-4o-mini;
    location /v1/ { llm_proxy; proxy_pass http://$llm_provider_upstream; }
--- request
POST /v1/chat/completions
{ "model" : "fast" , "messages": [] }
--- response_json
{"model":"gpt-4o-mini"}
--- response_headers
x-llm-served-by: first/gpt-4o-mini
--- provider_first_got
POST /v1/chat/completions
content-length: 44
--- provider_first_got_body
{ "model" : "gpt-4o-mini" , "messages": [] }
--- access_log
^fast fast gpt-4o-mini as_requested$

=== case does not matter
--- http_config
    upstream one { server %%first%%; }
--- config
    llm_proxy_route first one;
    llm_proxy_default_provider first;
    llm_proxy_model_alias Fast first/m;
    location /v1/ { llm_proxy; proxy_pass http://$llm_provider_upstream; }
--- request
POST /v1/chat/completions
{"model":"FAST"}
--- provider_first_got_body
{"model":"m"}

=== the target may have slashes, and anything that JSON must escape
--- http_config
    upstream one { server %%first%%; }
--- config
    llm_proxy_route first one;
    llm_proxy_default_provider first;
    llm_proxy_model_alias llama first/meta/llama-3;
    llm_proxy_model_alias odd 'first/a"b\c';
    location /v1/ { llm_proxy; proxy_pass http://$llm_provider_upstream; }
--- requests
POST /v1/chat/completions
{"model":"llama"}
>>>
POST /v1/chat/completions
{"model":"odd"}
--- provider_first_got_body
{"model":"meta/llama-3"}
>>>
{"model":"a\"b\\c"}

=== an alias is part of the catalog, its target is not
--- http_config
    upstream one { server %%first%%; }
--- config
    llm_proxy_route first one;
    llm_proxy_model_pattern other first;
    llm_proxy_model_alias fast first/hidden;
    location /v1/ { llm_proxy; proxy_pass http://$llm_provider_upstream; }
--- requests
POST /v1/chat/completions
{"model":"fast"}
>>>
POST /v1/chat/completions
{"model":"hidden"}
>>>
POST /v1/chat/completions
{"model":"first/hidden"}
>>>
POST /v1/chat/completions
{"model":"hidden","provider":"first"}
--- error_code: 200 404 404 404
--- provider_first_requests: 1

=== an alias beats a wildcard
--- http_config
    upstream one { server %%first%%; }
    upstream two { server %%second%%; }
--- config
    llm_proxy_route first one;
    llm_proxy_route second two;
    llm_proxy_model_pattern gpt-* first;
    llm_proxy_model_alias gpt-next second/m;
    location /v1/ { llm_proxy; proxy_pass http://$llm_provider_upstream; }
--- request
POST /v1/chat/completions
{"model":"gpt-next"}
--- provider_second_got_body
{"model":"m"}

=== an alias may be asked for by its provider
--- http_config
    upstream one { server %%first%%; }
    upstream two { server %%second%%; }
--- config
    llm_proxy_route first one;
    llm_proxy_route second two;
    llm_proxy_model_pattern other second;
    llm_proxy_model_alias fast first/m;
    location /v1/ { llm_proxy; proxy_pass http://$llm_provider_upstream; }
--- requests
POST /v1/chat/completions
{"model":"first/fast"}
>>>
POST /v1/chat/completions
{"model":"fast","provider":"first"}
>>>
POST /v1/chat/completions
{"model":"fast","provider":"second"}
>>>
POST /v1/chat/completions
{"model":"second/fast"}
--- error_code: 200 200 400 400
--- response_json
{"model":"m"}
>>>
{"model":"m"}
>>>
{"error":{"code":"provider_not_allowed"}}
>>>
{"error":{"code":"provider_not_allowed"}}
--- provider_first_got_body
{"model":"m"}
>>>
{"model":"m"}

=== an alias is not followed by another
--- http_config
    upstream one { server %%first%%; }
--- config
    llm_proxy_route first one;
    llm_proxy_default_provider first;
    llm_proxy_model_alias a first/b;
    llm_proxy_model_alias b first/c;
    location /v1/ { llm_proxy; proxy_pass http://$llm_provider_upstream; }
--- request
POST /v1/chat/completions
{"model":"a"}
--- provider_first_got_body
{"model":"b"}

=== the client may see its own name in the answer
--- http_config
    upstream one { server %%first%%; }
--- config
    llm_proxy_route first one;
    llm_proxy_default_provider first;
    llm_proxy_model_alias fast first/m;
    llm_proxy_response_model requested;
    location /v1/ { llm_proxy; proxy_pass http://$llm_provider_upstream; }
--- request
POST /v1/chat/completions
{"model":"fast"}
--- response_json
{"model":"fast"}
--- provider_first_got_json
{"model":"m"}

=== an alias needs a provider with a route
--- http_config
    upstream one { server 127.0.0.1:1; }
--- config
    location / {
        llm_proxy;
        llm_proxy_route first one;
        llm_proxy_default_provider first;
        llm_proxy_model_alias fast second/m;
    }
--- must_fail
llm_proxy_model_alias provider "second" of "fast" is unknown, add llm_proxy_route second <upstream> in %%root%%/nginx.conf

=== an alias is written once, whatever its case
--- http_config
    upstream one { server 127.0.0.1:1; }
--- config
    location / {
        llm_proxy;
        llm_proxy_route first one;
        llm_proxy_default_provider first;
        llm_proxy_model_alias fast first/m;
        llm_proxy_model_alias Fast first/n;
    }
--- must_fail
duplicate llm_proxy_model_alias "Fast", keep one in %%root%%/nginx.conf

=== a name is an alias or a pattern
--- http_config
    upstream one { server 127.0.0.1:1; }
--- config
    location / {
        llm_proxy;
        llm_proxy_route first one;
        llm_proxy_model_pattern fast first;
        llm_proxy_model_alias fast first/m;
    }
--- must_fail
llm_proxy_model_alias "fast" is also an llm_proxy_model_pattern, keep one in %%root%%/nginx.conf

=== a target has a provider and a model
--- config
    llm_proxy_model_alias fast m;
--- must_fail
invalid target "m" in "llm_proxy_model_alias", it must be provider/model in %%root%%/nginx.conf

=== a target has a model
--- config
    llm_proxy_model_alias fast first/;
--- must_fail
invalid model name "" in "llm_proxy_model_alias"

=== a target has a provider
--- config
    llm_proxy_model_alias fast /m;
--- must_fail
invalid provider name "" in "llm_proxy_model_alias"

=== an alias is no wildcard
--- config
    llm_proxy_model_alias fast-* first/m;
--- must_fail
invalid name "fast-*" in "llm_proxy_model_alias", an alias cannot have a "*" in %%root%%/nginx.conf

=== an alias needs its target
--- config
    llm_proxy_model_alias fast;
--- must_fail
invalid number of arguments in "llm_proxy_model_alias" directive
