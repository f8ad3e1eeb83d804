# llm_proxy_model_pattern: the catalog. Whatever the client writes, no other model gets through.

use Test::LLM 'no_plan';

run_tests();

__DATA__

=== a pattern is one model's name
--- http_config
    upstream one { server %%first%%; }
--- config
    llm_proxy_route first one;
    llm_proxy_model_pattern gpt-4o first;
    location /v1/ { llm_proxy; proxy_pass http://$llm_provider_upstream; }
--- requests
POST /v1/chat/completions
{"model":"gpt-4o"}
>>>
POST /v1/chat/completions
{"model":"gpt-4o-mini"}
>>>
POST /v1/chat/completions
{"model":"gpt-4"}
>>>
POST /v1/chat/completions
{"model":" gpt-4o"}
--- error_code: 200 404 404 404
--- response_json
{"model":"gpt-4o"}
>>>
{"error":{"code":"model_not_found","type":"invalid_request_error","param":"model","message":"<<match:\"gpt-4o-mini\">>"}}
>>>
{"error":{"code":"model_not_found"}}
>>>
{"error":{"code":"model_not_found"}}
--- provider_first_requests: 1

=== case does not matter, and the client's spelling is sent
--- http_config
    upstream one { server %%first%%; }
--- config
    llm_proxy_route first one;
    llm_proxy_model_pattern GPT-4o first;
    llm_proxy_model_pattern Llama-* first;
    location /v1/ { llm_proxy; proxy_pass http://$llm_provider_upstream; }
--- requests
POST /v1/chat/completions
{"model":"gpt-4O"}
>>>
POST /v1/chat/completions
{"model":"LLAMA-3"}
--- provider_first_got_body
{"model":"gpt-4O"}
>>>
{"model":"LLAMA-3"}

=== a star stands for any characters, anywhere and more than once
--- http_config
    upstream one { server %%first%%; }
--- config
    llm_proxy_route first one;
    llm_proxy_model_pattern gpt-4* first;
    llm_proxy_model_pattern *-mini first;
    llm_proxy_model_pattern a*b*c first;
    llm_proxy_model_pattern meta/* first;
    location /v1/ { llm_proxy; proxy_pass http://$llm_provider_upstream; }
--- requests
POST /v1/chat/completions
{"model":"gpt-4"}
>>>
POST /v1/chat/completions
{"model":"gpt-4.1-nano"}
>>>
POST /v1/chat/completions
{"model":"o4-mini"}
>>>
POST /v1/chat/completions
{"model":"axxbxxc"}
>>>
POST /v1/chat/completions
{"model":"meta/llama/3"}
>>>
POST /v1/chat/completions
{"model":"gpt-3"}
>>>
POST /v1/chat/completions
{"model":"o4-mini-x"}
>>>
POST /v1/chat/completions
{"model":"acb"}
>>>
POST /v1/chat/completions
{"model":"meta"}
--- error_code: 200*5 404*4
--- provider_first_requests: 5

=== an exact name beats every wildcard, and of those the longest wins
--- http_config
    upstream exact { server %%exact%%; }
    upstream long  { server %%long%%; }
    upstream short { server %%short%%; }
    upstream all   { server %%all%%; }
--- config
    llm_proxy_route exact exact;
    llm_proxy_route long long;
    llm_proxy_route short short;
    llm_proxy_route all all;
    llm_proxy_model_pattern * all;
    llm_proxy_model_pattern gpt-* short;
    llm_proxy_model_pattern gpt-4* long;
    llm_proxy_model_pattern gpt-4o exact;
    location /v1/ { llm_proxy; proxy_pass http://$llm_provider_upstream; }
--- requests
POST /v1/chat/completions
{"model":"gpt-4o"}
>>>
POST /v1/chat/completions
{"model":"gpt-4o-mini"}
>>>
POST /v1/chat/completions
{"model":"gpt-5"}
>>>
POST /v1/chat/completions
{"model":"claude"}
--- response_headers
x-llm-provider: exact
>>>
x-llm-provider: long
>>>
x-llm-provider: short
>>>
x-llm-provider: all

=== the order of the lines does not matter
--- http_config
    upstream exact { server %%exact%%; }
    upstream long  { server %%long%%; }
    upstream short { server %%short%%; }
    upstream all   { server %%all%%; }
--- config
    llm_proxy_model_pattern gpt-4o exact;
    llm_proxy_model_pattern gpt-4* long;
    llm_proxy_model_pattern gpt-* short;
    llm_proxy_model_pattern * all;
    llm_proxy_route all all;
    llm_proxy_route short short;
    llm_proxy_route long long;
    llm_proxy_route exact exact;
    location /v1/ { llm_proxy; proxy_pass http://$llm_provider_upstream; }
--- requests
POST /v1/chat/completions
{"model":"gpt-4o"}
>>>
POST /v1/chat/completions
{"model":"gpt-4o-mini"}
>>>
POST /v1/chat/completions
{"model":"gpt-5"}
>>>
POST /v1/chat/completions
{"model":"claude"}
--- response_headers
x-llm-provider: exact
>>>
x-llm-provider: long
>>>
x-llm-provider: short
>>>
x-llm-provider: all

=== two hundred patterns are two hundred models
--- http_config eval
"upstream one { server %%first%%; }\nupstream two { server %%second%%; }\n"
    . "llm_proxy_route first one;\nllm_proxy_route second two;\n"
    . CORE::join '', map { "llm_proxy_model_pattern model-$_ " . ($_ % 2 ? 'first' : 'second') . ";\n" } 1 .. 200
--- config
    location /v1/ { llm_proxy; proxy_pass http://$llm_provider_upstream; }
--- requests
POST /v1/chat/completions
{"model":"model-1"}
>>>
POST /v1/chat/completions
{"model":"model-199"}
>>>
POST /v1/chat/completions
{"model":"model-200"}
>>>
POST /v1/chat/completions
{"model":"model-201"}
--- error_code: 200 200 200 404
--- response_headers
x-llm-provider: first
>>>
x-llm-provider: first
>>>
x-llm-provider: second
>>>
!x-llm-provider

=== a slug names a provider of the catalog, and its prefix is not sent
--- http_config
    upstream one { server %%first%%; }
    upstream two { server %%second%%; }
    log_format routed "$llm_requested_provider $llm_requested_model $llm_effective_provider $llm_effective_model $llm_resolution_outcome";
--- config
    llm_proxy_route first one;
    llm_proxy_route second two;
    llm_proxy_model_pattern gpt-4o first;
    llm_proxy_model_pattern gpt-* second;
    llm_proxy_model_pattern llama-3 second;
    location /v1/ { llm_proxy; proxy_pass http://$llm_provider_upstream; }
--- requests
POST /v1/chat/completions
{"model":"first/gpt-4o", "a":1}
>>>
POST /v1/chat/completions
{"model":"Second/gpt-4o", "a":2}
>>>
POST /v1/chat/completions
{"model":"first\/gpt-4\u006f", "a":3}
>>>
POST /v1/chat/completions
{"model":"first/llama-3"}
>>>
POST /v1/chat/completions
{"model":"third/gpt-4o"}
>>>
POST /v1/chat/completions
{"model":"first/nobody"}
>>>
POST /v1/chat/completions
{"model":"first/"}
--- error_code: 200 200 200 400 404 404 404
--- response_json
{"model":"gpt-4o"}
>>>
{"model":"gpt-4o"}
>>>
{"model":"gpt-4o"}
>>>
{"error":{"code":"provider_not_allowed"}}
>>>
{"error":{"code":"model_not_found"}}
>>>
{"error":{"code":"model_not_found"}}
>>>
{"error":{"code":"model_not_found"}}
--- provider_first_got_body
{"model":"gpt-4o", "a":1}
>>>
{"model":"gpt-4o", "a":3}
--- provider_second_got_body
{"model":"gpt-4o", "a":2}
--- access_log
^first first/gpt-4o first gpt-4o as_requested$
^Second Second/gpt-4o second gpt-4o as_requested$
^- first/llama-3 - - rejected_out_of_scope$
^- third/gpt-4o - - rejected_unresolvable$

=== a pattern that spells the slash beats a slug
--- http_config
    upstream one { server %%first%%; }
    upstream two { server %%second%%; }
--- config
    llm_proxy_route first one;
    llm_proxy_route second two;
    llm_proxy_model_pattern first/a second;
    llm_proxy_model_pattern a first;
    location /v1/ { llm_proxy; proxy_pass http://$llm_provider_upstream; }
--- request
POST /v1/chat/completions
{"model":"first/a"}
--- provider_second_got_body
{"model":"first/a"}
--- provider_first_requests: 0

=== a field names a provider of the catalog, and it is not sent
--- http_config
    upstream one { server %%first%%; }
    upstream two { server %%second%%; }
    log_format routed "$llm_requested_provider $llm_effective_provider $llm_resolution_outcome";
--- config
    llm_proxy_route first one;
    llm_proxy_route second two;
    llm_proxy_model_pattern gpt-4o first;
    llm_proxy_model_pattern gpt-* second;
    llm_proxy_model_pattern llama-3 second;
    location /v1/ { llm_proxy; proxy_pass http://$llm_provider_upstream; }
--- requests
POST /v1/chat/completions
{"provider":"second","model":"gpt-4o"}
>>>
POST /v1/chat/completions
{"model":"gpt-4o", "provider" : "SECOND" , "a":1}
>>>
POST /v1/chat/completions
{"model":"llama-3","provider":"first"}
>>>
POST /v1/chat/completions
{"model":"llama-3","provider":"third"}
>>>
POST /v1/chat/completions
{"model":"nobody","provider":"first"}
>>>
POST /v1/chat/completions
{"model":"first/gpt-4o","provider":"second"}
--- error_code: 200 200 400 400 404 400
--- provider_second_got_body
{"model":"gpt-4o"}
>>>
{"model":"gpt-4o" , "a":1}
--- provider_first_requests: 0
--- access_log
^second second as_requested$
^SECOND second as_requested$
^- - rejected_out_of_scope$
^- - rejected_unresolvable$

=== a provider object is another API's field and goes on
--- http_config
    upstream one { server %%first%%; }
--- config
    llm_proxy_route first one;
    llm_proxy_model_pattern a first;
    location /v1/ { llm_proxy; proxy_pass http://$llm_provider_upstream; }
--- request
POST /v1/chat/completions
{"model":"a","provider":{"order":["x"],"allow_fallbacks":false}}
--- provider_first_got_body
{"model":"a","provider":{"order":["x"],"allow_fallbacks":false}}

=== the catalog holds for every endpoint
--- http_config
    upstream one { server %%first%%; }
--- config
    llm_proxy_route first one;
    llm_proxy_route claude one anthropic;
    llm_proxy_model_pattern a first;
    llm_proxy_model_pattern c claude;
    location / { llm_proxy; proxy_pass http://$llm_provider_upstream; }
--- requests
POST /v1/completions
{"model":"b"}
>>>
POST /v1/embeddings
{"model":"b"}
>>>
POST /v1/responses
{"model":"b"}
>>>
POST /v1/messages
{"model":"b"}
>>>
POST /v1/messages/count_tokens
{"model":"b"}
>>>
POST /v1/images/generations
{"model":"b"}
>>>
POST /anything
{"model":"b"}
>>>
POST /v1/audio/speech
{"input":"a"}
>>>
POST /v1/responses
{"prompt":{"id":"pmpt_1"}}
--- error_code: 404*7 400 400
--- response_json
{"error":{"code":"model_not_found"}}
>>>
{"error":{"code":"model_not_found"}}
>>>
{"error":{"code":"model_not_found"}}
>>>
{"type":"error","error":{"type":"not_found_error"}}
>>>
{"type":"error","error":{"type":"not_found_error"}}
>>>
{"error":{"code":"model_not_found"}}
>>>
{"error":{"code":"model_not_found"}}
>>>
{"error":{"code":"model_required"}}
>>>
{"error":{"code":"model_required"}}
--- provider_first_requests: 0

=== a model name in a message is safe to print
--- http_config
    upstream one { server %%first%%; }
--- config
    llm_proxy_route first one;
    llm_proxy_model_pattern a first;
    location /v1/ { llm_proxy; proxy_pass http://$llm_provider_upstream; }
--- request
POST /v1/chat/completions
{"model":"<script>\"é"}
--- error_code: 404
--- response_headers
content-type: application/json
--- response_json
{"error":{"code":"model_not_found","message":"<<match:<script>\"é\">>"}}

=== a pattern needs a provider with a route
--- http_config
    upstream one { server 127.0.0.1:1; }
--- config
    location / { llm_proxy; llm_proxy_route first one; llm_proxy_model_pattern gpt-4o second; }
--- must_fail
llm_proxy_model_pattern provider "second" of "gpt-4o" is unknown, add llm_proxy_route second <upstream> in %%root%%/nginx.conf

=== a pattern is written once, whatever its case
--- http_config
    upstream one { server 127.0.0.1:1; }
--- config
    location / {
        llm_proxy;
        llm_proxy_route first one;
        llm_proxy_route second one;
        llm_proxy_model_pattern gpt-4o first;
        llm_proxy_model_pattern GPT-4o second;
    }
--- must_fail
duplicate llm_proxy_model_pattern "GPT-4o" for "first" and "second", keep one in %%root%%/nginx.conf

=== a pattern is not blank
--- config
    llm_proxy_model_pattern " " first;
--- must_fail
invalid model name " " in "llm_proxy_model_pattern", use 1 to 256 bytes without control characters in %%root%%/nginx.conf

=== a pattern is no longer than a model's name may be
--- config eval
'llm_proxy_model_pattern ' . 'x' x 257 . ' first;'
--- must_fail
in "llm_proxy_model_pattern", use 1 to 256 bytes without control characters

=== a pattern's provider is a name
--- config
    llm_proxy_model_pattern gpt-4o a*;
--- must_fail
invalid provider name "a*" in "llm_proxy_model_pattern", use letters, digits, "-", "_" and "." in %%root%%/nginx.conf

=== a pattern needs its provider
--- config
    llm_proxy_model_pattern gpt-4o;
--- must_fail
invalid number of arguments in "llm_proxy_model_pattern" directive
