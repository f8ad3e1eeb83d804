# llm_auth_tenant_fallback_shared: may who has no key of its own take the shared one?

use Test::LLM 'no_plan';

run_tests();

__DATA__

=== off, who has no key of its own has none
--- http_config
    upstream one { server %%first%%; }
--- config
    llm_proxy_route first one;
    llm_proxy_default_provider first;
    llm_auth_tenant $http_x_tenant;
    llm_auth_credential first sk-shared-SECRET-1;
    llm_auth_tenant_credential red first sk-red-SECRET-2;
    llm_auth_tenant_fallback_shared off;
    location /v1/ { llm_proxy; llm_auth; proxy_pass http://$llm_provider_upstream; }
--- requests
POST /v1/chat/completions
{"model":"m"}
>>>
POST /v1/chat/completions
{"model":"m"}
>>>
POST /v1/chat/completions
{"model":"m"}
--- more_headers
X-Tenant: red
>>>
X-Tenant: blue
>>>
--- error_code: 200 500 500
--- provider_first_got
POST /v1/chat/completions
Authorization: Bearer sk-red-SECRET-2

=== on, it takes the shared one
--- http_config
    upstream one { server %%first%%; }
--- config
    llm_proxy_route first one;
    llm_proxy_default_provider first;
    llm_auth_tenant $http_x_tenant;
    llm_auth_credential first sk-shared-SECRET-1;
    llm_auth_tenant_credential red first sk-red-SECRET-2;
    llm_auth_tenant_fallback_shared;
    location /v1/ { llm_proxy; llm_auth; proxy_pass http://$llm_provider_upstream; }
--- requests
POST /v1/chat/completions
{"model":"m"}
>>>
POST /v1/chat/completions
{"model":"m"}
>>>
POST /v1/chat/completions
{"model":"m"}
--- more_headers
X-Tenant: red
>>>
X-Tenant: blue
>>>
--- provider_first_got
POST /v1/chat/completions
Authorization: Bearer sk-red-SECRET-2

POST /v1/chat/completions
Authorization: Bearer sk-shared-SECRET-1

POST /v1/chat/completions
Authorization: Bearer sk-shared-SECRET-1

=== it is of use for projects and organisations, too
--- http_config
    upstream one { server %%first%%; }
--- config
    llm_proxy_route first one;
    llm_proxy_default_provider first;
    llm_proxy;
    llm_auth;
    llm_auth_project $http_x_project;
    llm_auth_org $http_x_org;
    llm_auth_credential first sk-shared-SECRET-1;
    llm_auth_project_credential apollo first sk-apollo-SECRET-2;
    llm_auth_org_credential acme first sk-acme-SECRET-3;
    location /off/ { proxy_pass http://$llm_provider_upstream; }
    location /on/ { llm_auth_tenant_fallback_shared on; proxy_pass http://$llm_provider_upstream; }
--- requests
POST /off/v1/chat/completions
{"model":"m"}
>>>
POST /on/v1/chat/completions
{"model":"m"}
--- more_headers
X-Project: gemini
X-Org: umbrella
--- error_code: 500 200
--- provider_first_got
POST /v1/chat/completions
Authorization: Bearer sk-shared-SECRET-1

=== where no scope has keys the shared one is for all
--- http_config
    upstream one { server %%first%%; }
--- config
    llm_proxy_route first one;
    llm_proxy_default_provider first;
    llm_auth_tenant $http_x_tenant;
    llm_auth_project nobody;
    llm_auth_credential first sk-shared-SECRET-1;
    location /v1/ { llm_proxy; llm_auth; proxy_pass http://$llm_provider_upstream; }
--- requests
POST /v1/chat/completions
{"model":"m"}
>>>
POST /v1/chat/completions
{"model":"m"}
--- more_headers
X-Tenant: red
>>>
--- provider_first_got
POST /v1/chat/completions
Authorization: Bearer sk-shared-SECRET-1

=== there may be no shared key for a provider either
--- http_config
    upstream one { server %%first%%; }
    upstream two { server %%second%%; }
    log_format auth '$llm_auth_status $llm_auth_fail_reason';
--- config
    llm_proxy_route first one;
    llm_proxy_route second two;
    llm_proxy_model_pattern a first;
    llm_proxy_model_pattern b second;
    llm_auth_tenant $http_x_tenant;
    llm_auth_tenant_fallback_shared on;
    llm_auth_credential first sk-shared-SECRET-1;
    llm_auth_tenant_credential red second sk-red-SECRET-2;
    location /v1/ { llm_proxy; llm_auth; proxy_pass http://$llm_provider_upstream; }
--- request
POST /v1/chat/completions
{"model":"b"}
--- more_headers
X-Tenant: blue
--- error_code: 500
--- response_json
{"error":{"code":"gateway_credential_missing"}}
--- access_log
^missing_credential credential_missing$

=== the keys of a pool do not mix with the shared ones
--- http_config
    upstream one { server %%first%%; }
--- config
    llm_proxy_route first one;
    llm_proxy_default_provider first;
    llm_auth_tenant $http_x_tenant;
    llm_auth_tenant_fallback_shared on;
    llm_auth_credential first sk-shared-SECRET-1;
    llm_auth_tenant_credential red first sk-red-SECRET-2;
    llm_fallback_max_attempts 5;
    location /v1/ { llm_proxy; llm_auth; proxy_pass http://$llm_provider_upstream; }
--- provider_first
429
--- request
POST /v1/chat/completions
{"model":"m"}
--- more_headers
X-Tenant: red
--- error_code: 429
--- provider_first_got
POST /v1/chat/completions
Authorization: Bearer sk-red-SECRET-2

=== a location inherits the switch and may turn it round
--- http_config
    upstream one { server %%first%%; }
    llm_proxy_route first one;
    llm_proxy_default_provider first;
    llm_auth_tenant $http_x_tenant;
    llm_auth_credential first sk-shared-SECRET-1;
    llm_auth_tenant_credential red first sk-red-SECRET-2;
    llm_auth_tenant_fallback_shared on;
--- config
    llm_proxy;
    llm_auth;
    location / { proxy_pass http://$llm_provider_upstream; }
    location /off/ {
        llm_auth_tenant_fallback_shared off;
        proxy_pass http://$llm_provider_upstream;
    }
--- requests
POST /v1/chat/completions
{"model":"m"}
>>>
POST /off/v1/chat/completions
{"model":"m"}
--- error_code: 200 500
--- provider_first_requests: 1

=== it is a switch
--- config
    llm_auth_tenant_fallback_shared shared;
--- must_fail
invalid value "shared" in "llm_auth_tenant_fallback_shared" directive, it must be "on" or "off" in %%root%%/nginx.conf

=== it stands once in a block
--- config
    llm_auth_tenant_fallback_shared on;
    llm_auth_tenant_fallback_shared on;
--- must_fail
"llm_auth_tenant_fallback_shared" directive is duplicate in %%root%%/nginx.conf
