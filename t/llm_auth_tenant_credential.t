# llm_auth_tenant_credential and llm_auth_tenant: keys of tenants, and the order of all scopes.

use Test::LLM 'no_plan';

run_tests();

__DATA__

=== each tenant's requests carry its own key, also on one connection
--- http_config
    upstream one { server %%first%%; keepalive 4; }
--- config
    llm_proxy_route first one;
    llm_proxy_default_provider first;
    llm_auth_tenant $http_x_tenant;
    llm_auth_tenant_credential red first sk-red-SECRET-1;
    llm_auth_tenant_credential blue first sk-blue-SECRET-2;
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
X-Tenant: red
--- provider_first_got
POST /v1/chat/completions
Authorization: Bearer sk-red-SECRET-1

POST /v1/chat/completions
Authorization: Bearer sk-blue-SECRET-2

POST /v1/chat/completions
Authorization: Bearer sk-red-SECRET-1
--- after
is($t->mock->state('first')->{connections_total}, 1, 'one connection served them all');

=== tenant, project, org, shared: the most specific scope that has a key for the provider
--- http_config
    upstream one { server %%first%%; }
--- config
    llm_proxy_route first one;
    llm_proxy_default_provider first;
    llm_auth_tenant $http_x_tenant;
    llm_auth_project $http_x_project;
    llm_auth_org $http_x_org;
    llm_auth_credential first sk-shared-SECRET-4;
    llm_auth_org_credential acme first sk-acme-SECRET-3;
    llm_auth_project_credential apollo first sk-apollo-SECRET-2;
    llm_auth_tenant_credential red first sk-red-SECRET-1;
    llm_auth_tenant_fallback_shared on;
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
>>>
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
X-Tenant: red
X-Project: apollo
X-Org: acme
>>>
X-Tenant: green
X-Project: apollo
X-Org: acme
>>>
X-Project: gemini
X-Org: acme
>>>
X-Tenant: green
X-Project: gemini
X-Org: other
>>>
>>>
X-Org: acme
>>>
X-Tenant: red
X-Org: other
--- provider_first_got
POST /v1/chat/completions
Authorization: Bearer sk-red-SECRET-1

POST /v1/chat/completions
Authorization: Bearer sk-apollo-SECRET-2

POST /v1/chat/completions
Authorization: Bearer sk-acme-SECRET-3

POST /v1/chat/completions
Authorization: Bearer sk-shared-SECRET-4

POST /v1/chat/completions
Authorization: Bearer sk-shared-SECRET-4

POST /v1/chat/completions
Authorization: Bearer sk-acme-SECRET-3

POST /v1/chat/completions
Authorization: Bearer sk-red-SECRET-1

=== without a key of its own a tenant does not get the shared one
--- http_config
    upstream one { server %%first%%; }
    log_format auth '$llm_auth_status $llm_auth_fail_reason [$llm_auth_client]';
--- config
    llm_proxy_route first one;
    llm_proxy_default_provider first;
    llm_auth_tenant $http_x_tenant;
    llm_auth_credential first sk-shared-SECRET-4;
    llm_auth_tenant_credential red first sk-red-SECRET-1;
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
X-Tenant: green
>>>
>>>
X-Tenant: RED
--- error_code: 500
--- response_json
{"error":{"code":"gateway_credential_missing"}}
--- access_log
^missing_credential client_credential_missing \[green\]$
^missing_credential client_missing \[-\]$
^missing_credential client_credential_missing \[RED\]$
--- provider_first_requests: 0

=== a tenant with a key for one provider has none for another
--- http_config
    upstream one { server %%first%%; }
    upstream two { server %%second%%; }
--- config
    llm_proxy_route first one;
    llm_proxy_route second two;
    llm_proxy_model_pattern a first;
    llm_proxy_model_pattern b second;
    llm_auth_tenant $http_x_tenant;
    llm_auth_tenant_credential red first sk-red-SECRET-1;
    llm_auth_credential second sk-shared-SECRET-2;
    location /v1/ { llm_proxy; llm_auth; proxy_pass http://$llm_provider_upstream; }
--- requests
POST /v1/chat/completions
{"model":"a"}
>>>
POST /v1/chat/completions
{"model":"b"}
--- more_headers
X-Tenant: red
--- error_code: 200 500
--- provider_first_got
POST /v1/chat/completions
Authorization: Bearer sk-red-SECRET-1
--- provider_second_requests: 0

=== the tenant may be whom nginx has authenticated
--- http_config
    upstream one { server %%first%%; }
--- user_files
>>> passwords
red:{PLAIN}secret
--- config
    llm_proxy_route first one;
    llm_proxy_default_provider first;
    llm_auth_tenant $remote_user;
    llm_auth_tenant_credential red first sk-red-SECRET-1;
    location /v1/ {
        auth_basic "gateway";
        auth_basic_user_file %%root%%/passwords;
        llm_proxy;
        llm_auth;
        proxy_pass http://$llm_provider_upstream;
    }
--- request
POST /v1/chat/completions
{"model":"m"}
--- more_headers
Authorization: Basic cmVkOnNlY3JldA==
--- provider_first_got
POST /v1/chat/completions
Authorization: Bearer sk-red-SECRET-1

=== the tenant may be put together, and may have any name
--- http_config
    upstream one { server %%first%%; }
    map $http_x_team $division { default none; a "Größe & Söhne"; }
--- config
    llm_proxy_route first one;
    llm_proxy_default_provider first;
    llm_auth_tenant "$division/$arg_n";
    llm_auth_tenant_credential "Größe & Söhne/7" first sk-red-SECRET-1;
    location /v1/ { llm_proxy; llm_auth; proxy_pass http://$llm_provider_upstream; }
--- request
POST /v1/chat/completions?n=7
{"model":"m"}
--- more_headers
X-Team: a
--- provider_first_got
POST /v1/chat/completions?n=7
Authorization: Bearer sk-red-SECRET-1

=== a tenant may have a pool, and a benched key of it is not replaced by a shared one
--- http_config
    upstream one { server %%first%%; }
--- config
    llm_proxy_route first one;
    llm_proxy_default_provider first;
    llm_auth_tenant $http_x_tenant;
    llm_auth_tenant_fallback_shared on;
    llm_auth_credential first sk-shared-SECRET-4;
    llm_auth_tenant_credential red first sk-red-SECRET-1;
    llm_auth_tenant_credential red first sk-red-SECRET-2;
    llm_fallback_max_attempts 5;
    location /v1/ { llm_proxy; llm_auth; proxy_pass http://$llm_provider_upstream; }
--- provider_first
{"status":401,"times":2}
--- request
POST /v1/chat/completions
{"model":"m"}
--- more_headers
X-Tenant: red
--- error_code: 401
--- after
my @keys = sort map { (Test::LLM::Client::header_values($_, 'authorization'))[0] }
    @{ $t->mock->requests('first') };
is("@keys", 'Bearer sk-red-SECRET-1 Bearer sk-red-SECRET-2', 'both keys of the tenant, no other');

=== two tenants may have the same variable or file
--- http_config
    upstream one { server %%first%%; }
--- env
LLM_KEY=sk-both-SECRET-1
--- config
    llm_proxy_route first one;
    llm_proxy_default_provider first;
    llm_auth_tenant $http_x_tenant;
    llm_auth_tenant_credential red first env:LLM_KEY;
    llm_auth_tenant_credential blue first env:LLM_KEY;
    location /v1/ {
        llm_proxy;
        llm_auth;
        add_header X-Key "$llm_auth_client $llm_auth_credential";
        proxy_pass http://$llm_provider_upstream;
    }
--- requests
POST /v1/chat/completions
{"model":"m"}
>>>
POST /v1/chat/completions
{"model":"m"}
--- more_headers
X-Tenant: red
>>>
X-Tenant: blue
--- response_headers
x-key: red env:LLM_KEY
>>>
x-key: blue env:LLM_KEY
--- provider_first_got
POST /v1/chat/completions
Authorization: Bearer sk-both-SECRET-1

=== a secret that is missing is not replaced by a shared one
--- http_config
    upstream one { server %%first%%; }
--- config
    llm_proxy_route first one;
    llm_proxy_default_provider first;
    llm_auth_fail_closed off;
    llm_auth_tenant $http_x_tenant;
    llm_auth_tenant_fallback_shared on;
    llm_auth_credential first sk-shared-SECRET-4;
    llm_auth_tenant_credential red first env:LLM_NOT_THERE;
    location /v1/ {
        llm_proxy;
        llm_auth;
        add_header X-Key "$llm_auth_status $llm_auth_fail_reason";
        proxy_pass http://$llm_provider_upstream;
    }
--- requests
POST /v1/chat/completions
{"model":"m"}
>>>
POST /v1/chat/completions
{"model":"m"}
--- more_headers
X-Tenant: red
>>>
X-Tenant: blue
--- response_headers
x-key: missing_secret secret_unresolved
>>>
x-key: ~^resolved
--- provider_first_got
POST /v1/chat/completions
!authorization

POST /v1/chat/completions
Authorization: Bearer sk-shared-SECRET-4

=== a location inherits the text and the lines, and its own lines replace them
--- http_config
    upstream one { server %%first%%; }
    llm_proxy_route first one;
    llm_proxy_default_provider first;
    llm_auth_tenant $http_x_tenant;
    llm_auth_tenant_credential red first sk-red-SECRET-1;
--- config
    llm_proxy;
    llm_auth;
    location / { proxy_pass http://$llm_provider_upstream; }
    location /lines/ {
        llm_auth_tenant_credential red first sk-red-SECRET-2;
        proxy_pass http://$llm_provider_upstream;
    }
    location /text/ { llm_auth_tenant red; proxy_pass http://$llm_provider_upstream; }
--- requests
POST /v1/chat/completions
{"model":"m"}
>>>
POST /lines/v1/chat/completions
{"model":"m"}
>>>
POST /text/v1/chat/completions
{"model":"m"}
--- more_headers
X-Tenant: red
>>>
X-Tenant: red
>>>
X-Tenant: blue
--- provider_first_got
POST /v1/chat/completions
Authorization: Bearer sk-red-SECRET-1

POST /v1/chat/completions
Authorization: Bearer sk-red-SECRET-2

POST /v1/chat/completions
Authorization: Bearer sk-red-SECRET-1

=== lines for tenants leave the inherited shared ones in place
--- http_config
    upstream one { server %%first%%; }
    upstream two { server %%second%%; }
    llm_proxy_route first one;
    llm_proxy_route second two;
    llm_proxy_model_pattern a first;
    llm_proxy_model_pattern b second;
    llm_auth_credential first sk-first-SECRET-1;
    llm_auth_credential second sk-second-SECRET-2;
    llm_auth_tenant $http_x_tenant;
    llm_auth_tenant_fallback_shared on;
--- config
    location /v1/ {
        llm_proxy;
        llm_auth;
        llm_auth_tenant_credential red first sk-red-SECRET-3;
        proxy_pass http://$llm_provider_upstream;
    }
--- requests
POST /v1/chat/completions
{"model":"a"}
>>>
POST /v1/chat/completions
{"model":"b"}
>>>
POST /v1/chat/completions
{"model":"a"}
--- more_headers
X-Tenant: red
>>>
X-Tenant: red
>>>
X-Tenant: blue
--- provider_first_got
POST /v1/chat/completions
Authorization: Bearer sk-red-SECRET-3

POST /v1/chat/completions
Authorization: Bearer sk-first-SECRET-1
--- provider_second_got
POST /v1/chat/completions
Authorization: Bearer sk-second-SECRET-2

=== keys of tenants need somebody who says which tenant it is
--- http_config
    upstream one { server 127.0.0.1:1; }
--- config
    location / {
        llm_proxy;
        llm_auth;
        llm_proxy_route first one;
        llm_proxy_default_provider first;
        llm_auth_tenant_credential red first sk-red-SECRET-1;
    }
--- must_fail
tenant credentials require llm_auth_tenant in %%root%%/nginx.conf

=== a line needs a tenant, a provider and a secret
--- config
    llm_auth_tenant_credential red sk-red-SECRET-1;
--- must_fail
invalid number of arguments in "llm_auth_tenant_credential" directive in %%root%%/nginx.conf

=== a key of a tenant has no weight
--- config
    llm_auth_tenant_credential red first sk-red-SECRET-1 weight=2;
--- must_fail
invalid number of arguments in "llm_auth_tenant_credential" directive in %%root%%/nginx.conf

=== a tenant has a name
--- config
    llm_auth_tenant_credential "" first sk-red-SECRET-1;
--- must_fail
"llm_auth_tenant_credential" needs an owner, a provider and a secret in %%root%%/nginx.conf

=== a tenant's provider has a name
--- config
    llm_auth_tenant_credential red "" sk-red-SECRET-1;
--- must_fail
"llm_auth_tenant_credential" needs the name of a provider, not "" in %%root%%/nginx.conf

=== a tenant's provider has a route
--- http_config
    upstream one { server 127.0.0.1:1; }
--- config
    location / {
        llm_proxy;
        llm_auth;
        llm_proxy_route first one;
        llm_proxy_default_provider first;
        llm_auth_credential first sk-first-SECRET-1;
        llm_auth_tenant red;
        llm_auth_tenant_credential red second sk-red-SECRET-1;
    }
--- must_fail
llm_auth_tenant_credential provider "second" is unknown, add llm_proxy_route second <upstream> in %%root%%/nginx.conf

=== a secret in the place of the tenant's provider is not shown
--- http_config
    upstream one { server 127.0.0.1:1; }
--- config
    location / {
        llm_proxy;
        llm_auth;
        llm_proxy_route first one;
        llm_proxy_default_provider first;
        llm_auth_tenant red;
        llm_auth_tenant_credential first sk-red-SECRET-1 red;
    }
--- must_fail
the arguments of an llm_auth_tenant_credential line may be in the wrong order, the provider stands before the secret and needs an llm_proxy_route in %%root%%/nginx.conf

=== the same secret twice is no pool of a tenant
--- http_config
    upstream one { server 127.0.0.1:1; }
--- config
    location / {
        llm_proxy;
        llm_auth;
        llm_proxy_route first one;
        llm_proxy_default_provider first;
        llm_auth_tenant red;
        llm_auth_tenant_credential red first literal-id:a:sk-red-SECRET-1;
        llm_auth_tenant_credential red first literal-id:b:sk-red-SECRET-1;
    }
--- must_fail
duplicate tenant credential "b", name each key of a pool once in %%root%%/nginx.conf

=== two keys of a provider do not have one name, whosever they are
--- http_config
    upstream one { server 127.0.0.1:1; }
--- config
    location / {
        llm_proxy;
        llm_auth;
        llm_proxy_route first one;
        llm_proxy_default_provider first;
        llm_auth_tenant red;
        llm_auth_credential first literal-id:a:sk-shared-SECRET-1;
        llm_auth_tenant_credential red first literal-id:a:sk-red-SECRET-2;
    }
--- must_fail
duplicate tenant credential id "a", another key of this provider has it in %%root%%/nginx.conf

=== a tenant's variable that is not set is a start error
--- http_config
    upstream one { server 127.0.0.1:1; }
--- config
    location / {
        llm_proxy;
        llm_auth;
        llm_proxy_route first one;
        llm_proxy_default_provider first;
        llm_auth_tenant red;
        llm_auth_tenant_credential red first env:LLM_NOT_THERE;
    }
--- must_fail
the secret of tenant credential "env:LLM_NOT_THERE" for provider "first" is missing: environment variable "LLM_NOT_THERE" is not set in %%root%%/nginx.conf

=== the text that names the tenant stands once
--- config
    llm_auth_tenant red;
    llm_auth_tenant blue;
--- must_fail
"llm_auth_tenant" directive is duplicate in %%root%%/nginx.conf

=== the text is one argument
--- config
    llm_auth_tenant $http_a $http_b;
--- must_fail
invalid number of arguments in "llm_auth_tenant" directive in %%root%%/nginx.conf

=== its variables are known
--- http_config
    upstream one { server 127.0.0.1:1; }
--- config
    location / {
        llm_proxy;
        llm_auth;
        llm_proxy_route first one;
        llm_proxy_default_provider first;
        llm_auth_credential first sk-first-SECRET-1;
        llm_auth_tenant $nobody_knows;
    }
--- must_fail
unknown "nobody_knows" variable
