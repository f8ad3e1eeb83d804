# Where the gateway runs in nginx: after access control and rewriting, beside mirrors and try_files,
# never for a subrequest.

use Test::LLM 'no_plan';

run_tests();

__DATA__

=== a wrong password is refused before the body is looked at
--- http_config
    upstream one { server %%first%%; }
--- user_files
>>> passwords
user:{PLAIN}right
--- config
    llm_proxy_route first one;
    llm_proxy_default_provider first;
    location /v1/ {
        auth_basic "gateway";
        auth_basic_user_file %%root%%/passwords;
        llm_proxy;
        proxy_pass http://one;
    }
--- requests
POST /v1/chat/completions
this is no JSON
>>>
POST /v1/chat/completions
{"model":"m"}
--- more_headers
Authorization: Basic dXNlcjp3cm9uZw==
>>>
Authorization: Basic dXNlcjpyaWdodA==
--- error_code: 401 200
--- response_json
{"error":{"code":"unauthorized","type":"authentication_error"}}
>>>
{"model":"m"}
--- provider_first_requests: 1

=== an address that is denied is refused before the body is looked at
--- http_config
    upstream one { server %%first%%; }
--- config
    llm_proxy_route first one;
    llm_proxy_default_provider first;
    location /v1/ { deny all; llm_proxy; proxy_pass http://one; }
--- request
POST /v1/chat/completions
this is no JSON
--- error_code: 403
--- response_json
{"error":{"code":"forbidden"}}
--- provider_first_requests: 0

=== a return in an if refuses before the body is looked at
--- http_config
    upstream one { server %%first%%; }
    map $http_authorization $status_of_key { default invalid; "Bearer good" active; "Bearer old" revoked; }
--- config
    llm_proxy_route first one;
    llm_proxy_default_provider first;
    location /v1/ {
        if ($status_of_key = invalid) { return 401; }
        if ($status_of_key = revoked) { return 403; }
        llm_proxy;
        proxy_pass http://one;
    }
--- requests
POST /v1/chat/completions
no JSON
>>>
POST /v1/chat/completions
no JSON
>>>
POST /v1/chat/completions
{"model":"m"}
--- more_headers
Authorization: Bearer bad
>>>
Authorization: Bearer old
>>>
Authorization: Bearer good
--- error_code: 401 403 200
--- response_headers
content-type: application/json
--- provider_first_requests: 1

=== with satisfy any an allowed address needs no password
--- http_config
    upstream one { server %%first%%; }
--- user_files
>>> passwords
user:{PLAIN}right
--- config
    llm_proxy_route first one;
    llm_proxy_default_provider first;
    location /v1/ {
        satisfy any;
        allow 127.0.0.1;
        deny all;
        auth_basic "gateway";
        auth_basic_user_file %%root%%/passwords;
        llm_proxy;
        proxy_pass http://one;
    }
    location /closed/ {
        satisfy any;
        deny all;
        auth_basic "gateway";
        auth_basic_user_file %%root%%/passwords;
        llm_proxy;
        proxy_pass http://one;
    }
--- requests
POST /v1/chat/completions
{"model":"m"}
>>>
POST /closed/v1/chat/completions
{"model":"m"}
--- error_code: 200 401
--- provider_first_requests: 1

=== limit_req refuses before the body is looked at
--- http_config
    upstream one { server %%first%%; }
    limit_req_zone $server_name zone=few:1m rate=1r/m;
--- config
    llm_proxy_route first one;
    llm_proxy_default_provider first;
    location /v1/ { limit_req zone=few; limit_req_status 429; llm_proxy; proxy_pass http://one; }
--- requests
POST /v1/chat/completions
{"model":"m"}
>>>
POST /v1/chat/completions
no JSON
--- error_code: 200 429
--- response_json
{"model":"m"}
>>>
{"error":{"code":"rate_limit_exceeded","type":"rate_limit_error"}}

=== an SSI page cannot include an answer of the gateway
--- http_config
    upstream one { server %%first%%; }
--- user_files
>>> html/page.html
before<!--# include virtual="/v1/models" -->after
--- config
    llm_proxy_route first one;
    llm_proxy_default_provider first;
    location /v1/ { llm_proxy; proxy_pass http://one; }
    location / { ssi on; root %%root%%/html; }
--- request
GET /page.html
--- response_body_like
^before
after$
--- response_body_unlike: "object"
--- provider_first_requests: 0

=== what an SSI page gets of a refusal is no HTML page
--- http_config
    upstream one { server %%first%%; }
--- user_files
>>> html/page.html
before<!--# include virtual="/v1/models" -->after
--- config
    llm_proxy_route first one;
    llm_proxy_default_provider first;
    location /v1/ { llm_proxy; proxy_pass http://one; }
    location / { ssi on; root %%root%%/html; }
--- request
GET /page.html
--- response_body_like: "code":"subrequest_forbidden"
--- response_body_unlike: <html>
--- provider_first_requests: 0

=== a mirror of other requests cannot go to the gateway
--- http_config
    upstream one { server %%first%%; }
    upstream two { server %%second%%; }
    log_subrequest on;
    log_format all "$uri $status";
--- config
    llm_proxy_route first one;
    llm_proxy_default_provider first;
    location /v1/ { llm_proxy; proxy_pass http://one; }
    location / { mirror /v1/chat/completions; proxy_pass http://two; }
--- provider_second
200 {"any":"thing"}
--- request
POST /x
{"model":"m"}
--- access_log
^/v1/chat/completions 403$
^/x 200$
--- provider_first_requests: 0
--- provider_second_requests: 1

=== a request of the gateway may be mirrored elsewhere
--- http_config
    upstream one { server %%first%%; }
    upstream two { server %%second%%; }
--- config
    llm_proxy_route first one;
    llm_proxy_default_provider first;
    location /v1/ { llm_proxy; mirror /copy; proxy_pass http://one; }
    location = /copy { internal; llm_proxy off; proxy_pass http://two$request_uri; }
--- request
POST /v1/chat/completions
{"model":"m","messages":[]}
--- response_json
{"model":"m"}
--- provider_first_got_body
{"model":"m","messages":[]}
--- provider_second_got_json
{"model":"m"}
--- provider_second_requests: 1

=== try_files may lead to the gateway
--- http_config
    upstream one { server %%first%%; }
--- config
    llm_proxy_route first one;
    llm_proxy_default_provider first;
    location / { root %%root%%/html; try_files $uri @gateway; }
    location @gateway { llm_proxy; proxy_pass http://$llm_provider_upstream; }
--- request
POST /v1/chat/completions
{"model":"m","messages":[]}
--- response_headers
x-llm-provider: first
--- provider_first_got_body
{"model":"m","messages":[]}

=== rewritten requests are routed
--- http_config
    upstream one { server %%first%%; }
--- config
    llm_proxy_route first one;
    llm_proxy_default_provider first;
    location /chat { rewrite ^ /v1/chat/completions last; }
    location /v1/ { llm_proxy; proxy_pass http://$llm_provider_upstream; }
--- request
POST /chat?a=b
{"model":"m"}
--- response_json
{"object":"chat.completion"}
--- provider_first_got
POST /v1/chat/completions?a=b

=== the operator's own body is sent, with its length
--- http_config
    upstream one { server %%first%%; }
--- config
    llm_proxy_route first one;
    llm_proxy_default_provider first;
    location /v1/ {
        llm_proxy;
        proxy_set_body '{"model":"b","was":$request_body}';
        proxy_pass http://one;
    }
--- request
POST /v1/chat/completions
{"model":"first/a"}
--- provider_first_got
POST /v1/chat/completions HTTP/1.1
content-length: 33
--- provider_first_got_body
{"model":"b","was":{"model":"a"}}
