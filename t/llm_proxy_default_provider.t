# llm_proxy_default_provider: who gets what needs no pattern, and that it is no way around the catalog.

use Test::LLM 'no_plan';

run_tests();

__DATA__

=== without a catalog the default provider gets every model
--- http_config
    upstream one { server %%first%%; }
    upstream two { server %%second%%; }
--- config
    llm_proxy_route first one;
    llm_proxy_route second two;
    llm_proxy_default_provider second;
    location /v1/ { llm_proxy; proxy_pass http://$llm_provider_upstream; }
--- requests
POST /v1/chat/completions
{"model":"a"}
>>>
POST /v1/chat/completions
{"model":"any/thing"}
--- response_headers
x-llm-provider: second
--- provider_second_got_body
{"model":"a"}
>>>
{"model":"any/thing"}
--- provider_first_requests: 0

=== without a catalog a client may name a provider
--- http_config
    upstream one { server %%first%%; }
    upstream two { server %%second%%; }
--- config
    llm_proxy_route first one;
    llm_proxy_route second two;
    llm_proxy_default_provider second;
    location /v1/ { llm_proxy; proxy_pass http://$llm_provider_upstream; }
--- requests
POST /v1/chat/completions
{"model":"first/a"}
>>>
POST /v1/chat/completions
{"model":"a","provider":"first"}
>>>
POST /v1/chat/completions
{"model":"a","provider":"third"}
--- error_code: 200 200 400
--- response_json
{"model":"a"}
>>>
{"model":"a"}
>>>
{"error":{"code":"provider_not_allowed","param":"provider"}}
--- provider_first_got_body
{"model":"a"}
>>>
{"model":"a"}
--- provider_second_requests: 0

=== it is inherited, and an inner line beats an outer one
--- http_config
    upstream one { server %%first%%; }
    upstream two { server %%second%%; }
    llm_proxy_route first one;
    llm_proxy_route second two;
    llm_proxy_default_provider first;
--- config
    llm_proxy;
    location /v1/ { proxy_pass http://$llm_provider_upstream; }
    location /second/v1/ { llm_proxy_default_provider second; proxy_pass http://$llm_provider_upstream; }
--- requests
POST /v1/chat/completions
{"model":"a"}
>>>
POST /second/v1/chat/completions
{"model":"a"}
--- response_headers
x-llm-provider: first
>>>
x-llm-provider: second

=== with a catalog it gets requests that can carry no model, and no others
--- http_config
    upstream one { server %%first%%; }
    upstream two { server %%second%%; }
--- config
    llm_proxy_route first one;
    llm_proxy_route second two;
    llm_proxy_default_provider second;
    llm_proxy_model_pattern a first;
    location /v1/ { llm_proxy; proxy_pass http://$llm_provider_upstream; }
--- requests
GET /v1/models
>>>
GET /v1/files/f-1
>>>
DELETE /v1/files/f-1
>>>
POST /v1/chat/completions
{"model":"a"}
>>>
POST /v1/chat/completions
{"model":"b"}
>>>
POST /v1/chat/completions
{"messages":[]}
>>>
POST /v1/chat/completions
>>>
POST /v1/files
>>>
PUT /v1/files/f-1
{}
>>>
GET /v1/chat/completions
{"model":"b"}
--- provider_second
{"json":{},"times":3}
--- error_code: 200 200 200 200 404 400 400 400 400 404
--- response_json
{}
>>>
{}
>>>
{}
>>>
{"model":"a"}
>>>
{"error":{"code":"model_not_found"}}
>>>
{"error":{"code":"model_required"}}
>>>
{"error":{"code":"model_required"}}
>>>
{"error":{"code":"model_required"}}
>>>
{"error":{"code":"model_required"}}
>>>
{"error":{"code":"model_not_found"}}
--- provider_first_requests: 1
--- provider_second_requests: 3

=== without a catalog an endpoint that needs a model needs it all the same
--- http_config
    upstream one { server %%first%%; }
--- config
    llm_proxy_route first one;
    llm_proxy_default_provider first;
    location /v1/ { llm_proxy; proxy_pass http://$llm_provider_upstream; }
--- requests
POST /v1/chat/completions
{"messages":[]}
>>>
POST /v1/embeddings
{}
>>>
POST /v1/messages/count_tokens
{"messages":[]}
>>>
POST /v1/completions
{"model":""}
>>>
POST /v1/moderations
{"input":"a"}
--- provider_first
200 {"id":"modr-1"}
--- error_code: 400*4 200
--- response_json
{"error":{"code":"model_required","param":"model"}}
>>>
{"error":{"code":"model_required"}}
>>>
{"type":"error","error":{"type":"invalid_request_error","message":"<<match:model>>"}}
>>>
{"error":{"code":"model_required"}}
>>>
{"id":"modr-1"}
--- provider_first_requests: 1

=== it needs a route
--- http_config
    upstream one { server 127.0.0.1:1; }
--- config
    location / { llm_proxy; llm_proxy_route first one; llm_proxy_default_provider second; }
--- must_fail
llm_proxy_default_provider "second" is unknown, add llm_proxy_route second <upstream> in %%root%%/nginx.conf

=== it is written once at a level
--- config
    llm_proxy_default_provider first;
    llm_proxy_default_provider second;
--- must_fail
"llm_proxy_default_provider" directive is duplicate in %%root%%/nginx.conf

=== it is one provider
--- config
    llm_proxy_default_provider first second;
--- must_fail
invalid number of arguments in "llm_proxy_default_provider" directive
