# llm_proxy_dialect_mode and llm_proxy_ingress_dialect: which language a client speaks, and what
# happens where its provider speaks another.

use Test::LLM 'no_plan';

run_tests();

__DATA__

=== the path says it, whatever the body looks like
--- http_config
    upstream one { server %%first%%; }
    upstream two { server %%second%%; }
    log_format dialect "$uri $llm_requested_dialect $llm_requested_dialect_source $llm_effective_dialect $llm_translation_happened";
--- config
    llm_proxy_route first one;
    llm_proxy_route second two anthropic;
    llm_proxy_model_pattern a first;
    llm_proxy_model_pattern b second;
    llm_proxy_dialect_mode infer;
    location / { llm_proxy; proxy_pass http://$llm_provider_upstream; }
--- requests
POST /v1/chat/completions
{"model":"a","system":"x","anthropic_version":"y"}
>>>
POST /v1/messages
{"model":"b","messages":[{"role":"system","content":"x"}]}
>>>
POST /anthropic/v1/messages?beta=true
{"model":"b"}
>>>
POST /v1/messages/count_tokens
{"model":"b"}
>>>
POST /v1/embeddings
{"model":"a"}
>>>
POST /v1/responses
{"model":"a"}
--- more_headers
anthropic-version: 2023-06-01
>>>
>>>
>>>
>>>
>>>
--- access_log
^/v1/chat/completions openai path openai 0$
^/v1/messages anthropic path anthropic 0$
^/v1/messages/count_tokens anthropic path anthropic 0$
^/v1/embeddings openai path openai 0$
^/v1/responses openai path openai 0$
--- provider_first_requests: 3
--- provider_second_requests: 3

=== where the path does not say it, a header does, then the body's looks
--- http_config
    upstream one { server %%first%%; }
    log_format dialect "$llm_requested_dialect $llm_requested_dialect_source";
--- config
    llm_proxy_route first one;
    llm_proxy_default_provider first;
    location / { llm_proxy; proxy_pass http://one; }
--- requests
POST /v1/other
{"model":"a"}
>>>
POST /v1/other
{"model":"a"}
>>>
POST /v1/other
{"model":"a","system":"x"}
>>>
POST /v1/other
{"model":"a","anthropic_version":"x"}
>>>
POST /v1/other
{"model":"a","messages":[{"role":"user","content":[{"type":"text","text":"x"}]}]}
--- more_headers
anthropic-version: 2023-06-01
>>>
>>>
>>>
>>>
--- provider_first
{"json":{},"times":5}
--- after_stop
is($t->access_log, <<'LINES', 'access.log');
anthropic path
openai inferred_shape
anthropic inferred_shape
anthropic inferred_shape
openai inferred_shape
LINES

=== a field of the body says it, and is not sent
--- http_config
    upstream one { server %%first%%; }
    upstream two { server %%second%%; }
    log_format dialect "$llm_requested_dialect $llm_requested_dialect_source";
--- config
    llm_proxy_route first one;
    llm_proxy_route second two anthropic;
    llm_proxy_model_pattern a first;
    llm_proxy_model_pattern b second;
    location / { llm_proxy; proxy_pass http://$llm_provider_upstream; }
--- requests
POST /v1/chat/completions
{"dialect":"openai","model":"a"}
>>>
POST /v1/other
{"model":"b","dialect":"anthropic"}
>>>
POST /v1/chat/completions
{"model":"a","dialect":"klingon"}
>>>
POST /v1/chat/completions
{"model":"a","dialect":{"of":"mine"}}
--- provider_second
{"json":{}}
--- error_code: 200 200 400 200
--- response_json
{"model":"a"}
>>>
{}
>>>
{"error":{"code":"unknown_dialect","param":"dialect","message":"<<match:klingon>>"}}
>>>
{"model":"a"}
--- provider_first_got_body
{"model":"a"}
>>>
{"model":"a","dialect":{"of":"mine"}}
--- provider_second_got_body
{"model":"b"}
--- access_log
^openai explicit$
^anthropic explicit$

=== a fixed dialect holds for every path
--- http_config
    upstream one { server %%first%%; }
    log_format dialect "$llm_requested_dialect $llm_requested_dialect_source";
--- config
    llm_proxy_route first one anthropic;
    llm_proxy_model_pattern a first;
    llm_proxy_dialect_mode fixed;
    llm_proxy_ingress_dialect anthropic;
    location / { llm_proxy; proxy_pass http://one; }
--- requests
POST /v1/messages
{"model":"a"}
>>>
POST /v1/other
{"model":"a"}
>>>
POST /v1/chat/completions
{"model":"nobody"}
>>>
POST /v1/messages
no JSON
--- provider_first
{"json":{},"times":2}
--- error_code: 200 200 404 400
--- response_json
{}
>>>
{}
>>>
{"type":"error","error":{"type":"not_found_error"}}
>>>
{"type":"error","error":{"type":"invalid_request_error"}}
--- access_log
^anthropic fixed_ingress$
--- no_access_log
^openai
path$

=== a mode and a dialect may come from different levels
--- http_config
    upstream one { server %%first%%; }
    llm_proxy_ingress_dialect anthropic;
--- config
    llm_proxy_route first one;
    llm_proxy_model_pattern a first;
    location /v1/ { llm_proxy; proxy_pass http://one; }
    location /fixed/ { llm_proxy; llm_proxy_dialect_mode fixed; proxy_pass http://one; }
    location /openai/ {
        llm_proxy;
        llm_proxy_dialect_mode fixed;
        llm_proxy_ingress_dialect openai;
        proxy_pass http://one;
    }
--- requests
POST /v1/other
{"model":"b"}
>>>
POST /fixed/v1/other
{"model":"b"}
>>>
POST /openai/v1/messages
{"model":"b"}
--- error_code: 404
--- response_json
{"type":"<<absent>>","error":{"code":"model_not_found"}}
>>>
{"type":"error"}
>>>
{"type":"<<absent>>","error":{"code":"model_not_found"}}

=== with explicit_required a body must say what the path does not
--- http_config
    upstream one { server %%first%%; }
    log_format dialect "$status $llm_requested_dialect $llm_requested_dialect_source";
--- config
    llm_proxy_route first one;
    llm_proxy_default_provider first;
    llm_proxy_dialect_mode explicit_required;
    location / { llm_proxy; proxy_pass http://one; }
--- requests
POST /v1/chat/completions
{"model":"a"}
>>>
POST /v1/other
{"model":"a","system":"x"}
>>>
POST /v1/other
{"model":"a","dialect":"openai"}
>>>
GET /v1/models
--- provider_first
{"json":{},"times":3}
--- error_code: 200 400 200 200
--- response_json
{}
>>>
{"error":{"code":"dialect_required","param":"dialect"}}
>>>
{}
>>>
{}
--- access_log
^200 openai path$
^200 openai explicit$
--- provider_first_requests: 3

=== a request in one dialect does not go to a provider of the other
--- http_config
    upstream one { server %%first%%; }
    upstream two { server %%second%%; }
--- config
    llm_proxy_route first one;
    llm_proxy_route second two anthropic;
    llm_proxy_model_pattern a first;
    llm_proxy_model_pattern b second;
    location / { llm_proxy; proxy_pass http://$llm_provider_upstream; }
--- requests
POST /v1/chat/completions
{"model":"b"}
>>>
POST /v1/messages
{"model":"a"}
>>>
POST /v1/messages/count_tokens
{"model":"a"}
>>>
POST /v1/embeddings
{"model":"b"}
>>>
POST /v1/chat/completions
{"model":"a","dialect":"anthropic"}
--- error_code: 400
--- response_json
{"error":{"code":"translation_unavailable","message":"<<match:second.*anthropic>>"}}
>>>
{"type":"error","error":{"type":"invalid_request_error","message":"<<match:first.*openai>>"}}
>>>
{"type":"error"}
>>>
{"error":{"code":"translation_unavailable"}}
>>>
{"type":"error","error":{"type":"invalid_request_error"}}
--- provider_first_requests: 0
--- provider_second_requests: 0

=== the dialect of a request that nginx refuses is that of its path
--- http_config
    upstream one { server %%first%%; }
--- config
    llm_proxy_route first one;
    llm_proxy_default_provider first;
    location / { llm_proxy; deny all; proxy_pass http://one; }
--- requests
POST /v1/chat/completions
{}
>>>
POST /v1/messages
{}
>>>
GET /v1/models
>>>
GET /v1/models
--- more_headers
>>>
>>>
>>>
anthropic-version: 2023-06-01
--- error_code: 403
--- response_json
{"type":"<<absent>>","error":{"code":"forbidden"}}
>>>
{"type":"error","error":{"type":"permission_error"}}
>>>
{"type":"<<absent>>","error":{"code":"forbidden"}}
>>>
{"type":"error","error":{"type":"permission_error"}}

=== a fixed mode needs its dialect
--- http_config
    upstream one { server 127.0.0.1:1; }
--- config
    location / {
        llm_proxy;
        llm_proxy_route first one;
        llm_proxy_default_provider first;
        llm_proxy_dialect_mode fixed;
    }
--- must_fail
"llm_proxy_dialect_mode fixed" needs "llm_proxy_ingress_dialect" in %%root%%/nginx.conf

=== a mode is one of three
--- config
    llm_proxy_dialect_mode guess;
--- must_fail
invalid value "guess" in "llm_proxy_dialect_mode" directive, it must be "infer", "fixed" or "explicit_required" in %%root%%/nginx.conf

=== a dialect is one of two
--- config
    llm_proxy_ingress_dialect gemini;
--- must_fail
invalid value "gemini" in "llm_proxy_ingress_dialect" directive, it must be "openai" or "anthropic" in %%root%%/nginx.conf

=== a mode is written once at a level
--- config
    llm_proxy_dialect_mode infer;
    llm_proxy_dialect_mode infer;
--- must_fail
"llm_proxy_dialect_mode" directive is duplicate in %%root%%/nginx.conf

=== a dialect is written once at a level
--- config
    llm_proxy_ingress_dialect openai;
    llm_proxy_ingress_dialect anthropic;
--- must_fail
"llm_proxy_ingress_dialect" directive is duplicate in %%root%%/nginx.conf
