# llm_proxy_unparsed: what happens to a body that is not the JSON the gateway needs.

use Test::LLM 'no_plan';

run_tests();

__DATA__

=== a body that is not JSON is refused
--- http_config
    upstream one { server %%first%%; }
--- config
    llm_proxy_route first one;
    llm_proxy_default_provider first;
    location /v1/ { llm_proxy; proxy_pass http://one; }
--- requests
POST /v1/chat/completions
this is no JSON
>>>
POST /v1/chat/completions
["model","m"]
>>>
POST /v1/chat/completions
"model"
>>>
POST /v1/chat/completions
{'model':'m'}
>>>
POST /v1/messages
{"model":"m",}
--- error_code: 400
--- response_headers
content-type: application/json
--- response_json
{"error":{"code":"invalid_json","type":"invalid_request_error","message":"<<match:offset>>"}}
>>>
{"error":{"code":"invalid_json","message":"<<match:not an object>>"}}
>>>
{"error":{"code":"invalid_json","message":"<<match:not an object>>"}}
>>>
{"error":{"code":"invalid_json"}}
>>>
{"type":"error","error":{"type":"invalid_request_error","message":"<<match:not valid JSON>>"}}
--- provider_first_requests: 0

=== a body of another content type is refused
--- http_config
    upstream one { server %%first%%; }
--- config
    llm_proxy_route first one;
    llm_proxy_default_provider first;
    llm_proxy_unparsed reject;
    location /v1/ { llm_proxy; proxy_pass http://one; }
--- requests
POST /v1/audio/transcriptions
--x
>>>
POST /v1/chat/completions
{"model":"m"}
>>>
POST /v1/chat/completions
{"model":"m"}
--- more_headers
Content-Type: multipart/form-data; boundary=x
>>>
Content-Type: text/plain
>>>
Content-Type: application/x-www-form-urlencoded
--- error_code: 415
--- response_json
{"error":{"code":"unsupported_media_type","message":"<<match:multipart/form-data.*application/json>>"}}
>>>
{"error":{"code":"unsupported_media_type"}}
>>>
{"error":{"code":"unsupported_media_type"}}
--- provider_first_requests: 0

=== JSON is known by several names, and by none
--- http_config
    upstream one { server %%first%%; }
--- config
    llm_proxy_route first one;
    llm_proxy_default_provider first;
    location /v1/ { llm_proxy; proxy_pass http://one; }
--- requests
POST /v1/chat/completions
{"model":"m"}
>>>
POST /v1/chat/completions
{"model":"m"}
>>>
POST /v1/chat/completions
{"model":"m"}
>>>
POST /v1/chat/completions
{"model":"m"}
--- more_headers
Content-Type: application/json; charset=utf-8
>>>
Content-Type: APPLICATION/JSON
>>>
Content-Type: application/vnd.api+json
>>>
!Content-Type
--- provider_first
{"json":{},"times":4}

=== with pass a body goes to the default provider as it is, where there is no catalog
--- http_config
    upstream one { server %%first%%; }
    upstream two { server %%second%%; }
    log_format seen "$llm_provider parsed=$llm_body_parsed model=$llm_model";
--- config
    llm_proxy_route first one;
    llm_proxy_route second two;
    llm_proxy_default_provider second;
    llm_proxy_unparsed pass;
    location /v1/ { llm_proxy; proxy_pass http://$llm_provider_upstream; }
--- requests eval
"POST /v1/audio/transcriptions\n--x\r\nContent-Disposition: form-data; name=\"model\"\r\n\r\nwhisper\r\n--x--\r\n"
    . "\n>>>\nPOST /v1/chat/completions\nnot JSON at all {\"model\":"
    . "\n>>>\nPOST /v1/chat/completions\n\xff\xfe\x00"
    . "\n>>>\nPOST /v1/chat/completions\n[1,2]"
    . "\n>>>\nPOST /v1/chat/completions\n{\"model\":\"first/m\"}"
--- more_headers
Content-Type: multipart/form-data; boundary=x
>>>
>>>
>>>
>>>
--- provider_second
{"json":{"ok":1},"times":4}
--- provider_first
{"json":{"ok":2}}
--- response_json
{"ok":1}
>>>
{"ok":1}
>>>
{"ok":1}
>>>
{"ok":1}
>>>
{"ok":2}
--- provider_second_got_body eval
"--x\r\nContent-Disposition: form-data; name=\"model\"\r\n\r\nwhisper\r\n--x--\r\n\n>>>\n"
    . "not JSON at all {\"model\":\n>>>\n\xff\xfe\x00\n>>>\n[1,2]"
--- provider_first_got_body
{"model":"m"}
--- access_log
^second parsed=0 model=-$
^first parsed=1 model=first/m$

=== a large body is passed as it is
--- http_config
    upstream one { server %%first%%; }
--- config
    llm_proxy_route first one;
    llm_proxy_default_provider first;
    llm_proxy_unparsed pass;
    client_body_buffer_size 1k;
    location /v1/ { llm_proxy; proxy_pass http://one; }
--- more_headers
Content-Type: application/octet-stream
--- request
POST /v1/files
--- request_body_eval: CORE::join ',', 1 .. 300_000
--- provider_first
200 {}
--- provider_first_got_body eval: CORE::join ',', 1 .. 300_000

=== pass is no way around a catalog
--- http_config
    upstream one { server %%first%%; }
--- config
    llm_proxy_route first one;
    llm_proxy_default_provider first;
    llm_proxy_model_pattern m first;
    llm_proxy_unparsed pass;
    location /v1/ { llm_proxy; proxy_pass http://one; }
--- requests
POST /v1/chat/completions
{"model":"secret"
>>>
POST /v1/chat/completions
{"model":"secret"}
>>>
POST /v1/audio/transcriptions
--x
>>>
POST /v1/chat/completions
[{"model":"secret"}]
--- more_headers
>>>
Content-Type: text/plain
>>>
Content-Type: multipart/form-data; boundary=x
>>>
--- error_code: 400 415 415 400
--- provider_first_requests: 0

=== pass is for what cannot be read, not for what is wrong
--- http_config
    upstream one { server %%first%%; }
--- config
    llm_proxy_route first one;
    llm_proxy_default_provider first;
    llm_proxy_unparsed pass;
    location /v1/ { llm_proxy; proxy_pass http://one; }
--- requests
POST /v1/chat/completions
{"model":"a","model":"b"}
>>>
POST /v1/chat/completions
{"model":7}
>>>
POST /v1/chat/completions
{"messages":[]}
--- error_code: 400
--- response_json
{"error":{"code":"duplicate_key"}}
>>>
{"error":{"code":"invalid_type"}}
>>>
{"error":{"code":"model_required"}}
--- provider_first_requests: 0

=== an inner line beats an outer one
--- http_config
    upstream one { server %%first%%; }
    llm_proxy_unparsed pass;
--- config
    llm_proxy;
    llm_proxy_route first one;
    llm_proxy_default_provider first;
    location /v1/files { proxy_pass http://one; }
    location /v1/ { llm_proxy_unparsed reject; proxy_pass http://one; }
--- requests
POST /v1/files
text
>>>
POST /v1/chat/completions
text
--- provider_first
200 {}
--- error_code: 200 400
--- provider_first_requests: 1

=== it has two values
--- config
    llm_proxy_unparsed drop;
--- must_fail
invalid value "drop" in "llm_proxy_unparsed" directive, it must be "reject" or "pass" in %%root%%/nginx.conf

=== it is written once at a level
--- config
    llm_proxy_unparsed pass;
    llm_proxy_unparsed pass;
--- must_fail
"llm_proxy_unparsed" directive is duplicate in %%root%%/nginx.conf
