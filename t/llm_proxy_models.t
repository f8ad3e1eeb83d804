# llm_proxy_models: the catalog as a client may ask for it.

use Test::LLM 'no_plan';

run_tests();

__DATA__

=== exact patterns and aliases are listed, wildcards are not
--- http_config
    upstream one { server %%first%%; }
    upstream two { server %%second%%; }
--- config
    llm_proxy_route first one;
    llm_proxy_route second two anthropic;
    llm_proxy_model_pattern gpt-4o first;
    llm_proxy_model_pattern gpt-* first;
    llm_proxy_model_pattern Claude-3 second;
    llm_proxy_model_alias fast first/hidden;
    location = /v1/models { llm_proxy_models; }
--- request
GET /v1/models
--- response_headers
content-type: application/json
--- response_json
{"object":"list","data":[
 {"id":"gpt-4o","object":"model","created":"<<any>>","owned_by":"first"},
 {"id":"Claude-3","object":"model","created":"<<any>>","owned_by":"second"},
 {"id":"fast","object":"model","created":"<<any>>","owned_by":"first"}]}
--- response_body_unlike: hidden
--- provider_first_requests: 0
--- after
my ($answer) = $t->answers;
my ($created) = $answer->{body} =~ /"created":(\d+)\b/;
ok(abs($created - time) < 600, 'created is a time in seconds');

=== one model may be asked for
--- http_config
    upstream one { server %%first%%; }
--- config
    llm_proxy_route first one;
    llm_proxy_model_pattern gpt-4o first;
    llm_proxy_model_pattern gpt-* first;
    llm_proxy_model_pattern meta/llama first;
    llm_proxy_model_alias fast first/m;
    location /v1/models { llm_proxy_models; }
--- requests
GET /v1/models/gpt-4o
>>>
GET /v1/models/FAST
>>>
GET /v1/models/meta/llama
>>>
GET /v1/models/meta%2Fllama?a=b
>>>
GET /v1/models/gpt-5
>>>
GET /v1/models/nobody%22%0A%3Cb%3E
>>>
GET /v1/models/
--- error_code: 200 200 200 200 404 404 200
--- response_headers
content-type: application/json
--- response_json
{"id":"gpt-4o","object":"model","owned_by":"first"}
>>>
{"id":"fast","object":"model","owned_by":"first"}
>>>
{"id":"meta/llama"}
>>>
{"id":"meta/llama"}
>>>
{"error":{"code":"model_not_found","param":"model","message":"<<match:gpt-5>>"},"request_id":"<<match:.>>"}
>>>
{"error":{"code":"model_not_found"}}
>>>
{"object":"list"}

=== an Anthropic client sees the list in its own shape
--- http_config
    upstream one { server %%first%%; }
--- config
    llm_proxy_route first one anthropic;
    llm_proxy_model_pattern claude-3 first;
    llm_proxy_model_alias fast first/m;
    location /v1/models { llm_proxy_models; }
--- requests
GET /v1/models?limit=20
>>>
GET /v1/models/claude-3
>>>
GET /v1/models/nobody
--- more_headers
anthropic-version: 2023-06-01
--- error_code: 200 200 404
--- response_headers
content-type: application/json
--- response_json
{"data":[
 {"type":"model","id":"claude-3","display_name":"claude-3","created_at":"<<match:^20\\d\\d-\\d\\d-\\d\\dT\\d\\d:\\d\\d:\\d\\dZ$>>"},
 {"type":"model","id":"fast","display_name":"fast","created_at":"<<any>>"}],
 "has_more":false,"first_id":"claude-3","last_id":"fast"}
>>>
{"type":"model","id":"claude-3"}
>>>
{"type":"error","error":{"type":"not_found_error"},"request_id":"<<match:.>>"}

=== HEAD has the head alone
--- http_config
    upstream one { server %%first%%; }
--- config
    llm_proxy_route first one;
    llm_proxy_model_pattern gpt-4o first;
    location = /v1/models { llm_proxy_models; }
--- requests
HEAD /v1/models
>>>
GET /v1/models
--- response_headers
content-type: application/json
content-length: ~^\d+$
--- after
my ($head, $get) = $t->answers;
is($head->{body}, '', 'no body');
my @lengths = map { Test::LLM::Client::header_values($_, 'content-length') } $head, $get;
is($lengths[0], $lengths[1], 'the length of the list');

=== nothing can be posted to the list
--- http_config
    upstream one { server %%first%%; }
--- config
    llm_proxy_route first one;
    llm_proxy_model_pattern gpt-4o first;
    location = /v1/models { llm_proxy_models; }
--- requests
POST /v1/models
{"model":"gpt-4o"}
>>>
DELETE /v1/models
>>>
PUT /v1/models
{}
>>>
GET /v1/models
--- error_code: 405 405 405 200
--- response_headers
allow: GET, HEAD
content-type: application/json
x-llm-event-id: ~.
>>>
allow: GET, HEAD
>>>
allow: GET, HEAD
>>>
!allow
--- response_json
{"error":{"code":"method_not_allowed"},"request_id":"<<match:.>>"}
>>>
{"error":{"code":"method_not_allowed"}}
>>>
{"error":{"code":"method_not_allowed"}}
>>>
{"object":"list"}

=== its refusals have the id in the head too
--- http_config
    upstream one { server %%first%%; }
--- config
    llm_proxy_route first one;
    llm_proxy_model_pattern gpt-4o first;
    location /v1/models { llm_proxy_models; }
--- request
GET /v1/models/nobody
--- error_code: 404
--- after
my ($answer) = $t->answers;
my ($id) = $answer->{body} =~ /"request_id":"([^"]+)"/;
is_deeply([ map { Test::LLM::Client::header_values($answer, $_) } qw(x-llm-event-id x-request-id request-id) ],
    [ ($id) x 3 ], 'one id');

=== the list may stand beside the gateway, and holds the catalog of its place
--- http_config
    upstream one { server %%first%%; }
--- config
    llm_proxy;
    llm_proxy_route first one;
    llm_proxy_model_pattern gpt-4o first;
    location /v1/ { proxy_pass http://one; }
    location = /v1/models { llm_proxy_models; }
    location = /other/v1/models {
        llm_proxy_route second one;
        llm_proxy_model_pattern b second;
        llm_proxy_models;
    }
--- requests
GET /v1/models
>>>
GET /other/v1/models
>>>
POST /v1/chat/completions
{"model":"gpt-4o"}
--- response_json
{"data":[{"id":"gpt-4o"}]}
>>>
{"data":[{"id":"b"}]}
>>>
{"model":"gpt-4o"}

=== without a catalog there is nothing to list
--- http_config
    upstream one { server %%first%%; }
--- config
    llm_proxy_route first one;
    llm_proxy_default_provider first;
    location = /v1/models { llm_proxy_models; }
--- requests
GET /v1/models
>>>
GET /v1/models
--- more_headers
>>>
anthropic-version: 2023-06-01
--- response_json
{"object":"list","data":[]}
>>>
{"data":[],"has_more":false,"first_id":null,"last_id":null}

=== five hundred models are listed
--- http_config eval
"upstream one { server %%first%%; }\nllm_proxy_route first one;\n"
    . CORE::join '', map {"llm_proxy_model_pattern model-$_ first;\n"} 1 .. 500
--- config
    location = /v1/models { llm_proxy_models; }
--- request
GET /v1/models
--- response_body_like
"model-1"
"model-500"
--- after
my ($answer) = $t->answers;
is(scalar(() = $answer->{body} =~ /"id":/g), 500, 'all of them');

=== the list stays behind the access control of its location
--- http_config
    upstream one { server %%first%%; }
--- config
    llm_proxy_route first one;
    llm_proxy_model_pattern gpt-4o first;
    location = /v1/models { if ($http_authorization = "") { return 401; } llm_proxy; llm_proxy_models; }
--- requests
GET /v1/models
>>>
GET /v1/models
--- more_headers
>>>
Authorization: Bearer a
--- error_code: 401 200
--- response_json
{"error":{"code":"unauthorized"}}
>>>
{"object":"list"}

=== an SSI page cannot include the list
--- http_config
    upstream one { server %%first%%; }
--- user_files
>>> html/page.html
before<!--# include virtual="/v1/models" -->after
--- config
    llm_proxy_route first one;
    llm_proxy_model_pattern gpt-4o first;
    location = /v1/models { llm_proxy_models; }
    location / { ssi on; root %%root%%/html; }
--- request
GET /page.html
--- response_body_unlike: gpt-4o

=== the list needs routes
--- config
    location = /v1/models { llm_proxy_models; }
--- must_fail
"llm_proxy_models" is on, but no "llm_proxy_route" names a provider

=== the list belongs to a location
--- config
    llm_proxy_models;
--- must_fail
"llm_proxy_models" directive is not allowed here in %%root%%/nginx.conf

=== the list takes no arguments
--- config
    location = /v1/models { llm_proxy_models on; }
--- must_fail
invalid number of arguments in "llm_proxy_models" directive in %%root%%/nginx.conf

=== the list is switched on once
--- config
    location = /v1/models { llm_proxy_models; llm_proxy_models; }
--- must_fail
"llm_proxy_models" directive is duplicate in %%root%%/nginx.conf
