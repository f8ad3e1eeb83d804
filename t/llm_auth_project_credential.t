# llm_auth_project_credential and llm_auth_project: keys of projects. The order of all scopes is in
# llm_auth_tenant_credential.t.

use Test::LLM 'no_plan';

run_tests();

__DATA__

=== each project's requests carry its own key
--- http_config
    upstream one { server %%first%%; }
--- config
    llm_proxy_route first one;
    llm_proxy_default_provider first;
    llm_auth_project $http_x_project;
    llm_auth_project_credential apollo first sk-apollo-SECRET-1;
    llm_auth_project_credential gemini first sk-gemini-SECRET-2;
    location /v1/ {
        llm_proxy;
        llm_auth;
        add_header X-Owner "[$llm_auth_client] [$llm_auth_project] [$llm_auth_org]";
        proxy_pass http://$llm_provider_upstream;
    }
--- requests
POST /v1/chat/completions
{"model":"m"}
>>>
POST /v1/chat/completions
{"model":"m"}
--- more_headers
X-Project: apollo
>>>
X-Project: gemini
--- response_headers
x-owner: [] [apollo] []
>>>
x-owner: [] [gemini] []
--- provider_first_got
POST /v1/chat/completions
Authorization: Bearer sk-apollo-SECRET-1

POST /v1/chat/completions
Authorization: Bearer sk-gemini-SECRET-2

=== without a key of its own a project does not get the shared one
--- http_config
    upstream one { server %%first%%; }
    log_format auth '$llm_auth_status $llm_auth_fail_reason [$llm_auth_project]';
--- config
    llm_proxy_route first one;
    llm_proxy_default_provider first;
    llm_auth_project $http_x_project;
    llm_auth_credential first sk-shared-SECRET-4;
    llm_auth_project_credential apollo first sk-apollo-SECRET-1;
    location /v1/ { llm_proxy; llm_auth; proxy_pass http://$llm_provider_upstream; }
--- requests
POST /v1/chat/completions
{"model":"m"}
>>>
POST /v1/chat/completions
{"model":"m"}
--- more_headers
X-Project: other
>>>
--- error_code: 500
--- response_json
{"error":{"code":"gateway_credential_missing"}}
--- access_log
^missing_credential project_credential_missing \[other\]$
^missing_credential project_missing \[-\]$
--- provider_first_requests: 0

=== a project may have a pool
--- http_config
    upstream one { server %%first%%; }
--- config
    llm_proxy_route first one;
    llm_proxy_default_provider first;
    llm_auth_project apollo;
    llm_auth_project_credential apollo first sk-apollo-SECRET-1;
    llm_auth_project_credential apollo first sk-apollo-SECRET-2;
    location /v1/ { llm_proxy; llm_auth; proxy_pass http://$llm_provider_upstream; }
--- provider_first
401

{}
--- request
POST /v1/chat/completions
{"model":"m"}
--- after
my @keys = sort map { (Test::LLM::Client::header_values($_, 'authorization'))[0] }
    @{ $t->mock->requests('first') };
is("@keys", 'Bearer sk-apollo-SECRET-1 Bearer sk-apollo-SECRET-2', 'both keys');

=== a tenant without keys has those of its project
--- http_config
    upstream one { server %%first%%; }
--- config
    llm_proxy_route first one;
    llm_proxy_default_provider first;
    llm_auth_tenant $http_x_tenant;
    llm_auth_project $http_x_project;
    llm_auth_tenant_credential red first sk-red-SECRET-1;
    llm_auth_project_credential apollo first sk-apollo-SECRET-2;
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
X-Tenant: blue
X-Project: apollo
>>>
X-Tenant: red
X-Project: apollo
>>>
X-Tenant: blue
X-Project: other
--- error_code: 200 200 500
--- provider_first_got
POST /v1/chat/completions
Authorization: Bearer sk-apollo-SECRET-2

POST /v1/chat/completions
Authorization: Bearer sk-red-SECRET-1

=== a location inherits the text and the lines, and its own lines replace them
--- http_config
    upstream one { server %%first%%; }
    llm_proxy_route first one;
    llm_proxy_default_provider first;
    llm_auth_project $http_x_project;
    llm_auth_project_credential apollo first sk-apollo-SECRET-1;
--- config
    llm_proxy;
    llm_auth;
    location / { proxy_pass http://$llm_provider_upstream; }
    location /lines/ {
        llm_auth_project_credential apollo first sk-apollo-SECRET-2;
        proxy_pass http://$llm_provider_upstream;
    }
    location /text/ { llm_auth_project apollo; proxy_pass http://$llm_provider_upstream; }
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
X-Project: apollo
>>>
X-Project: apollo
>>>
X-Project: other
--- provider_first_got
POST /v1/chat/completions
Authorization: Bearer sk-apollo-SECRET-1

POST /v1/chat/completions
Authorization: Bearer sk-apollo-SECRET-2

POST /v1/chat/completions
Authorization: Bearer sk-apollo-SECRET-1

=== keys of projects need somebody who says which it is
--- http_config
    upstream one { server 127.0.0.1:1; }
--- config
    location / {
        llm_proxy;
        llm_auth;
        llm_proxy_route first one;
        llm_proxy_default_provider first;
        llm_auth_project_credential apollo first sk-apollo-SECRET-1;
    }
--- must_fail
project credentials require llm_auth_project in %%root%%/nginx.conf

=== a line needs an owner, a provider and a secret
--- config
    llm_auth_project_credential apollo sk-apollo-SECRET-1;
--- must_fail
invalid number of arguments in "llm_auth_project_credential" directive in %%root%%/nginx.conf

=== there is no weight
--- config
    llm_auth_project_credential apollo first sk-apollo-SECRET-1 weight=2;
--- must_fail
invalid number of arguments in "llm_auth_project_credential" directive in %%root%%/nginx.conf

=== the owner has a name
--- config
    llm_auth_project_credential "" first sk-apollo-SECRET-1;
--- must_fail
"llm_auth_project_credential" needs an owner, a provider and a secret in %%root%%/nginx.conf

=== the provider has a route
--- http_config
    upstream one { server 127.0.0.1:1; }
--- config
    location / {
        llm_proxy;
        llm_auth;
        llm_proxy_route first one;
        llm_proxy_default_provider first;
        llm_auth_credential first sk-first-SECRET-1;
        llm_auth_project apollo;
        llm_auth_project_credential apollo second sk-apollo-SECRET-1;
    }
--- must_fail
llm_auth_project_credential provider "second" is unknown, add llm_proxy_route second <upstream> in %%root%%/nginx.conf

=== the same secret twice is no pool
--- http_config
    upstream one { server 127.0.0.1:1; }
--- config
    location / {
        llm_proxy;
        llm_auth;
        llm_proxy_route first one;
        llm_proxy_default_provider first;
        llm_auth_project apollo;
        llm_auth_project_credential apollo first literal-id:a:sk-apollo-SECRET-1;
        llm_auth_project_credential apollo first literal-id:b:sk-apollo-SECRET-1;
    }
--- must_fail
duplicate project credential "b", name each key of a pool once in %%root%%/nginx.conf

=== a file that is not there is a start error
--- http_config
    upstream one { server 127.0.0.1:1; }
--- config
    location / {
        llm_proxy;
        llm_auth;
        llm_proxy_route first one;
        llm_proxy_default_provider first;
        llm_auth_project apollo;
        llm_auth_project_credential apollo first file:not-there;
    }
--- must_fail
the secret of project credential "file:not-there" for provider "first" is missing: cannot read "%%root%%/not-there": No such file or directory (os error 2) in %%root%%/nginx.conf

=== the text stands once
--- config
    llm_auth_project a;
    llm_auth_project b;
--- must_fail
"llm_auth_project" directive is duplicate in %%root%%/nginx.conf

=== the text is one argument
--- config
    llm_auth_project $http_a $http_b;
--- must_fail
invalid number of arguments in "llm_auth_project" directive in %%root%%/nginx.conf
