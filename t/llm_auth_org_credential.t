# llm_auth_org_credential and llm_auth_org: keys of organisations. The order of all scopes is in
# llm_auth_tenant_credential.t.

use Test::LLM 'no_plan';

run_tests();

__DATA__

=== each organisation's requests carry its own key
--- http_config
    upstream one { server %%first%%; }
--- config
    llm_proxy_route first one;
    llm_proxy_default_provider first;
    llm_auth_org $http_x_org;
    llm_auth_org_credential acme first sk-acme-SECRET-1;
    llm_auth_org_credential umbrella first sk-umbrella-SECRET-2;
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
X-Org: acme
>>>
X-Org: umbrella
--- response_headers
x-owner: [] [] [acme]
>>>
x-owner: [] [] [umbrella]
--- provider_first_got
POST /v1/chat/completions
Authorization: Bearer sk-acme-SECRET-1

POST /v1/chat/completions
Authorization: Bearer sk-umbrella-SECRET-2

=== without a key of its own an organisation does not get the shared one
--- http_config
    upstream one { server %%first%%; }
    log_format auth '$llm_auth_status $llm_auth_fail_reason [$llm_auth_org]';
--- config
    llm_proxy_route first one;
    llm_proxy_default_provider first;
    llm_auth_org $http_x_org;
    llm_auth_credential first sk-shared-SECRET-4;
    llm_auth_org_credential acme first sk-acme-SECRET-1;
    location /v1/ { llm_proxy; llm_auth; proxy_pass http://$llm_provider_upstream; }
--- requests
POST /v1/chat/completions
{"model":"m"}
>>>
POST /v1/chat/completions
{"model":"m"}
--- more_headers
X-Org: other
>>>
--- error_code: 500
--- response_json
{"error":{"code":"gateway_credential_missing"}}
--- access_log
^missing_credential org_credential_missing \[other\]$
^missing_credential org_missing \[-\]$
--- provider_first_requests: 0

=== an organisation may have a pool
--- http_config
    upstream one { server %%first%%; }
--- config
    llm_proxy_route first one;
    llm_proxy_default_provider first;
    llm_auth_org acme;
    llm_auth_org_credential acme first sk-acme-SECRET-1;
    llm_auth_org_credential acme first sk-acme-SECRET-2;
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
is("@keys", 'Bearer sk-acme-SECRET-1 Bearer sk-acme-SECRET-2', 'both keys');

=== a project without keys has those of its organisation
--- http_config
    upstream one { server %%first%%; }
--- config
    llm_proxy_route first one;
    llm_proxy_default_provider first;
    llm_auth_project $http_x_project;
    llm_auth_org $http_x_org;
    llm_auth_project_credential apollo first sk-apollo-SECRET-1;
    llm_auth_org_credential acme first sk-acme-SECRET-2;
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
X-Project: other
X-Org: acme
>>>
X-Project: apollo
X-Org: acme
>>>
X-Project: other
X-Org: other
--- error_code: 200 200 500
--- provider_first_got
POST /v1/chat/completions
Authorization: Bearer sk-acme-SECRET-2

POST /v1/chat/completions
Authorization: Bearer sk-apollo-SECRET-1

=== a location inherits the text and the lines, and its own lines replace them
--- http_config
    upstream one { server %%first%%; }
    llm_proxy_route first one;
    llm_proxy_default_provider first;
    llm_auth_org $http_x_org;
    llm_auth_org_credential acme first sk-acme-SECRET-1;
--- config
    llm_proxy;
    llm_auth;
    location / { proxy_pass http://$llm_provider_upstream; }
    location /lines/ {
        llm_auth_org_credential acme first sk-acme-SECRET-2;
        proxy_pass http://$llm_provider_upstream;
    }
    location /text/ { llm_auth_org acme; proxy_pass http://$llm_provider_upstream; }
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
X-Org: acme
>>>
X-Org: acme
>>>
X-Org: other
--- provider_first_got
POST /v1/chat/completions
Authorization: Bearer sk-acme-SECRET-1

POST /v1/chat/completions
Authorization: Bearer sk-acme-SECRET-2

POST /v1/chat/completions
Authorization: Bearer sk-acme-SECRET-1

=== keys of organisations need somebody who says which it is
--- http_config
    upstream one { server 127.0.0.1:1; }
--- config
    location / {
        llm_proxy;
        llm_auth;
        llm_proxy_route first one;
        llm_proxy_default_provider first;
        llm_auth_org_credential acme first sk-acme-SECRET-1;
    }
--- must_fail
org credentials require llm_auth_org in %%root%%/nginx.conf

=== a line needs an owner, a provider and a secret
--- config
    llm_auth_org_credential acme sk-acme-SECRET-1;
--- must_fail
invalid number of arguments in "llm_auth_org_credential" directive in %%root%%/nginx.conf

=== there is no weight
--- config
    llm_auth_org_credential acme first sk-acme-SECRET-1 weight=2;
--- must_fail
invalid number of arguments in "llm_auth_org_credential" directive in %%root%%/nginx.conf

=== the owner has a name
--- config
    llm_auth_org_credential "" first sk-acme-SECRET-1;
--- must_fail
"llm_auth_org_credential" needs an owner, a provider and a secret in %%root%%/nginx.conf

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
        llm_auth_org acme;
        llm_auth_org_credential acme second sk-acme-SECRET-1;
    }
--- must_fail
llm_auth_org_credential provider "second" is unknown, add llm_proxy_route second <upstream> in %%root%%/nginx.conf

=== the same secret twice is no pool
--- http_config
    upstream one { server 127.0.0.1:1; }
--- config
    location / {
        llm_proxy;
        llm_auth;
        llm_proxy_route first one;
        llm_proxy_default_provider first;
        llm_auth_org acme;
        llm_auth_org_credential acme first literal-id:a:sk-acme-SECRET-1;
        llm_auth_org_credential acme first literal-id:b:sk-acme-SECRET-1;
    }
--- must_fail
duplicate org credential "b", name each key of a pool once in %%root%%/nginx.conf

=== a file that is not there is a start error
--- http_config
    upstream one { server 127.0.0.1:1; }
--- config
    location / {
        llm_proxy;
        llm_auth;
        llm_proxy_route first one;
        llm_proxy_default_provider first;
        llm_auth_org acme;
        llm_auth_org_credential acme first file:not-there;
    }
--- must_fail
the secret of org credential "file:not-there" for provider "first" is missing: cannot read "%%root%%/not-there": No such file or directory (os error 2) in %%root%%/nginx.conf

=== the text stands once
--- config
    llm_auth_org a;
    llm_auth_org b;
--- must_fail
"llm_auth_org" directive is duplicate in %%root%%/nginx.conf

=== the text is one argument
--- config
    llm_auth_org $http_a $http_b;
--- must_fail
invalid number of arguments in "llm_auth_org" directive in %%root%%/nginx.conf
