# llm_auth_fail_closed: what happens to a target without a key.

use Test::LLM 'no_plan';

run_tests();

__DATA__

=== a target without a key is passed over
--- http_config
    upstream one { server %%first%%; }
    upstream two { server %%second%%; }
    log_format auth '$llm_auth_provider $llm_auth_status $llm_auth_fail_reason $llm_chain';
--- config
    llm_proxy_route first one;
    llm_proxy_route second two;
    llm_proxy_default_provider first;
    llm_fallback_route first second;
    llm_auth_tenant $http_x_tenant;
    llm_auth_tenant_credential red first sk-red-SECRET-1;
    llm_auth_tenant_credential blue second sk-blue-SECRET-2;
    location /v1/ { llm_proxy; llm_auth; llm_fallback; proxy_pass http://$llm_provider_upstream; }
--- requests
POST /v1/chat/completions
{"model":"m"}
>>>
POST /v1/chat/completions
{"model":"m"}
--- more_headers
X-Tenant: blue
>>>
X-Tenant: red
--- response_headers
x-llm-provider: second
x-llm-chain: ~^first/m:skipped\(key\), second/m:200:\d+ms$
x-fallback-attempt-count: 1
>>>
x-llm-provider: first
x-llm-chain: ~^first/m:200:\d+ms$
x-fallback-attempt-count: 1
--- provider_first_got
POST /v1/chat/completions
Authorization: Bearer sk-red-SECRET-1
--- provider_second_got
POST /v1/chat/completions
Authorization: Bearer sk-blue-SECRET-2
--- access_log
^second resolved - first/m:skipped\(key\), second/m:200:\d+ms$
^first resolved - first/m:200:\d+ms$

=== also behind a failure, where the chain goes on with the next one
--- http_config
    upstream one { server %%first%%; }
    upstream two { server %%second%%; }
    upstream three { server %%third%%; }
--- config
    llm_proxy_route first one;
    llm_proxy_route second two;
    llm_proxy_route third three;
    llm_proxy_default_provider first;
    llm_fallback_route first second;
    llm_fallback_route first third;
    llm_auth_tenant $http_x_tenant;
    llm_auth_tenant_credential red first sk-red-SECRET-1;
    llm_auth_tenant_credential blue second sk-blue-SECRET-2;
    llm_auth_tenant_credential red third sk-red-SECRET-3;
    location /v1/ { llm_proxy; llm_auth; llm_fallback; proxy_pass http://$llm_provider_upstream; }
--- provider_first
500
--- request
POST /v1/chat/completions
{"model":"m"}
--- more_headers
X-Tenant: red
--- response_headers
x-llm-chain: ~^first/m:500:\d+ms, second/m:skipped\(key\), third/m:200:\d+ms$
x-fallback-attempted: 1
x-fallback-attempt-count: 2
--- provider_second_requests: 0
--- provider_third_got
POST /v1/chat/completions
Authorization: Bearer sk-red-SECRET-3

=== where the rest of the chain has no key, the failure is the answer
--- http_config
    upstream one { server %%first%%; }
    upstream two { server %%second%%; }
--- config
    llm_proxy_route first one;
    llm_proxy_route second two;
    llm_proxy_default_provider first;
    llm_fallback_route first second;
    llm_auth_tenant $http_x_tenant;
    llm_auth_tenant_credential red first sk-red-SECRET-1;
    llm_auth_tenant_credential blue second sk-blue-SECRET-2;
    location /v1/ {
        llm_proxy;
        llm_auth;
        llm_fallback;
        add_header X-Key "$llm_auth_provider $llm_auth_status" always;
        proxy_pass http://$llm_provider_upstream;
    }
--- provider_first
500
--- request
POST /v1/chat/completions
{"model":"m"}
--- more_headers
X-Tenant: red
--- error_code: 500
--- response_headers
x-llm-chain: ~^first/m:500:\d+ms, second/m:skipped\(key\)$
x-fallback-suppressed-reason: no_target
x-should-retry: false
x-key: first resolved
--- provider_second_requests: 0

=== where no target has a key, nothing is sent and the caller hears it in its dialect
--- http_config
    upstream one { server %%first%%; }
    upstream two { server %%second%%; }
    log_format auth '$llm_auth_provider $llm_auth_status $llm_auth_fail_reason $llm_chain';
--- config
    llm_proxy_route first one;
    llm_proxy_route second two;
    llm_proxy_route third one anthropic;
    llm_proxy_model_pattern a first;
    llm_proxy_model_pattern b third;
    llm_fallback_route first second;
    llm_auth_tenant $http_x_tenant;
    llm_auth_tenant_credential red first sk-red-SECRET-1;
    llm_auth_tenant_credential red second sk-red-SECRET-2;
    llm_auth_tenant_credential red third sk-red-SECRET-3;
    location / { llm_proxy; llm_auth; llm_fallback; proxy_pass http://$llm_provider_upstream; }
--- requests
POST /v1/chat/completions
{"model":"a"}
>>>
POST /v1/chat/completions
{"model":"a","stream":true}
>>>
POST /v1/messages
{"model":"b","max_tokens":5,"messages":[]}
--- more_headers
X-Tenant: blue
--- error_code: 500
--- response_json
{"error":{"code":"gateway_credential_missing","type":"server_error","message":"<<match:no credential>>"},"request_id":"<<match:^[0-9a-f]{32}$>>"}
>>>
{"error":{"code":"gateway_credential_missing","type":"server_error","message":"<<match:no credential>>"}}
>>>
{"type":"error","error":{"type":"api_error","message":"<<match:no credential>>"},"request_id":"<<match:^[0-9a-f]{32}$>>"}
--- response_headers
content-type: application/json
x-llm-chain: first/a:skipped(key), second/a:skipped(key)
x-should-retry: false
!x-llm-provider
!retry-after
>>>
content-type: application/json
x-llm-chain: first/a:skipped(key), second/a:skipped(key)
>>>
content-type: application/json
x-llm-chain: third/b:skipped(key)
x-should-retry: false
--- access_log
^first missing_credential client_credential_missing first/a:skipped\(key\), second/a:skipped\(key\)$
^third missing_credential client_credential_missing third/b:skipped\(key\)$
--- provider_first_requests: 0
--- provider_second_requests: 0

=== without llm_fallback there is one target
--- http_config
    upstream one { server %%first%%; }
    upstream two { server %%second%%; }
--- config
    llm_proxy_route first one;
    llm_proxy_route second two;
    llm_proxy_default_provider first;
    llm_fallback_route first second;
    llm_auth_tenant $http_x_tenant;
    llm_auth_tenant_credential red first sk-red-SECRET-1;
    llm_auth_tenant_credential blue second sk-blue-SECRET-2;
    location /v1/ { llm_proxy; llm_auth; proxy_pass http://$llm_provider_upstream; }
--- requests
POST /v1/chat/completions
{"model":"m"}
>>>
GET /v1/models
--- more_headers
X-Tenant: blue
Authorization: Bearer sk-client-SECRET-9
--- error_code: 500
--- response_json
{"error":{"code":"gateway_credential_missing"}}
--- provider_first_requests: 0
--- provider_second_requests: 0

=== provider names stay hidden where they are to be
--- http_config
    upstream one { server %%first%%; }
--- config
    llm_proxy_route first one;
    llm_proxy_default_provider first;
    llm_proxy_disclose_provider off;
    llm_auth_tenant $http_x_tenant;
    llm_auth_tenant_credential red first sk-red-SECRET-1;
    location /v1/ { llm_proxy; llm_auth; proxy_pass http://$llm_provider_upstream; }
--- request
POST /v1/chat/completions
{"model":"m"}
--- error_code: 500
--- response_headers
!x-llm-chain
!x-llm-provider
--- response_body_unlike
first
--- provider_first_requests: 0

=== off, the request goes without a credential, never with the client's
--- http_config
    upstream one { server %%first%%; }
    upstream two { server %%second%%; }
    log_format auth '$llm_auth_provider $llm_auth_status $llm_auth_fail_reason [$llm_auth_credential]';
--- config
    llm_proxy_route first one;
    llm_proxy_route second two anthropic;
    llm_proxy_model_pattern a first;
    llm_proxy_model_pattern b second;
    llm_auth_fail_closed off;
    location / { llm_proxy; llm_auth; proxy_pass http://$llm_provider_upstream; }
--- requests
POST /v1/chat/completions
{"model":"a"}
>>>
POST /v1/messages
{"model":"b","max_tokens":5,"messages":[]}
--- more_headers
Authorization: Bearer sk-client-SECRET-9
X-Api-Key: sk-client-SECRET-8
Cookie: a=b
--- provider_first_got
POST /v1/chat/completions
!authorization
!x-api-key
!cookie
--- provider_second_got
POST /v1/messages
anthropic-version: 2023-06-01
!authorization
!x-api-key
!cookie
--- access_log
^first missing_credential credential_missing \[-\]$
^second missing_credential credential_missing \[-\]$

=== off, a target without a key is tried in its turn
--- http_config
    upstream one { server %%first%%; }
    upstream two { server %%second%%; }
--- config
    llm_proxy_route first one;
    llm_proxy_route second two;
    llm_proxy_default_provider first;
    llm_fallback_route first second;
    llm_auth_fail_closed off;
    llm_auth_credential first sk-first-SECRET-1;
    location /v1/ {
        llm_proxy;
        llm_auth;
        llm_fallback;
        add_header X-Key "$llm_auth_provider $llm_auth_status $llm_auth_fail_reason";
        proxy_pass http://$llm_provider_upstream;
    }
--- provider_first
500
--- request
POST /v1/chat/completions
{"model":"m"}
--- more_headers
Authorization: Bearer sk-client-SECRET-9
--- response_headers
x-llm-chain: ~^first/m:500:\d+ms, second/m:200:\d+ms$
x-key: second missing_credential credential_missing
--- provider_first_got
POST /v1/chat/completions
Authorization: Bearer sk-first-SECRET-1
--- provider_second_got
POST /v1/chat/completions
!authorization

=== a missing key does not hide that another target will recover
--- http_config
    upstream one { server %%first%%; }
    upstream two { server %%second%%; }
--- config
    llm_proxy_route first one;
    llm_proxy_route second two;
    llm_proxy_default_provider first;
    llm_fallback_route first second;
    llm_fallback_mode health;
    llm_auth_tenant $http_x_tenant;
    llm_auth_tenant_credential red first sk-red-SECRET-1;
    llm_auth_tenant_credential blue second sk-blue-SECRET-2;
    location /v1/ { llm_proxy; llm_auth; llm_fallback; proxy_pass http://$llm_provider_upstream; }
--- provider_second
401

{}
--- requests
POST /v1/chat/completions
{"model":"m"}
>>>
POST /v1/chat/completions
{"model":"m"}
--- more_headers
X-Tenant: blue
--- error_code: 401 200
--- response_headers
>>>
x-llm-chain: ~^first/m:skipped\(key\), second/m:200:\d+ms$

=== a location inherits the switch and may turn it round
--- http_config
    upstream one { server %%first%%; }
    llm_proxy_route first one;
    llm_proxy_default_provider first;
    llm_auth_tenant $http_x_tenant;
    llm_auth_tenant_credential red first sk-red-SECRET-1;
    llm_auth_fail_closed off;
--- config
    llm_proxy;
    llm_auth;
    location / { proxy_pass http://$llm_provider_upstream; }
    location /closed/ { llm_auth_fail_closed; proxy_pass http://$llm_provider_upstream; }
--- requests
POST /v1/chat/completions
{"model":"m"}
>>>
POST /closed/v1/chat/completions
{"model":"m"}
--- error_code: 200 500
--- provider_first_got
POST /v1/chat/completions
!authorization

=== a provider that can never have a key is a start error
--- http_config
    upstream one { server 127.0.0.1:1; }
--- config
    location / {
        llm_proxy;
        llm_auth;
        llm_proxy_route first one;
        llm_proxy_default_provider first;
    }
--- must_fail
provider "first" has no credential, add llm_auth_credential first <secret> in %%root%%/nginx.conf

=== also the one that only an edge leads to
--- http_config
    upstream one { server 127.0.0.1:1; }
--- config
    location / {
        llm_proxy;
        llm_auth;
        llm_fallback;
        llm_proxy_route first one;
        llm_proxy_route second one;
        llm_proxy_default_provider first;
        llm_fallback_route first second;
        llm_auth_credential first sk-first-SECRET-1;
    }
--- must_fail
provider "second" has no credential, add llm_auth_credential second <secret> in %%root%%/nginx.conf

=== a key for one tenant is enough to start
--- http_config
    upstream one { server 127.0.0.1:1; }
--- config
    location / {
        llm_proxy;
        llm_auth;
        llm_proxy_route first one;
        llm_proxy_default_provider first;
        llm_auth_tenant $http_x_tenant;
        llm_auth_tenant_credential red first sk-red-SECRET-1;
        proxy_pass http://$llm_provider_upstream;
    }
--- must_load

=== off, a provider that can never have a key is a warning
--- http_config
    upstream one { server 127.0.0.1:1; }
--- config
    location / {
        llm_proxy;
        llm_auth;
        llm_auth_fail_closed off;
        llm_proxy_route first one;
        llm_proxy_default_provider first;
    }
--- must_warn
provider "first" has no credential, add llm_auth_credential first <secret> or its requests are sent without one in %%root%%/nginx.conf

=== it is a switch
--- config
    llm_auth_fail_closed open;
--- must_fail
invalid value "open" in "llm_auth_fail_closed" directive, it must be "on" or "off" in %%root%%/nginx.conf

=== it stands once in a block
--- config
    llm_auth_fail_closed on;
    llm_auth_fail_closed off;
--- must_fail
"llm_auth_fail_closed" directive is duplicate in %%root%%/nginx.conf
