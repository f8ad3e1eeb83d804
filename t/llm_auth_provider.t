# llm_auth_provider: a hint for the first attempt. Whatever it says, no key goes to another provider
# than its own.

use Test::LLM 'no_plan';

run_tests();

__DATA__

=== the hint does not change which key a provider gets
--- http_config
    upstream one { server %%first%%; }
    upstream two { server %%second%%; }
--- config
    llm_proxy_route first one;
    llm_proxy_route second two;
    llm_proxy_model_pattern a first;
    llm_proxy_model_pattern b second;
    llm_auth_credential first sk-first-SECRET-1;
    llm_auth_credential second sk-second-SECRET-2;
    llm_auth_provider second;
    location /v1/ {
        llm_proxy;
        llm_auth;
        add_header X-Auth-Provider $llm_auth_provider;
        proxy_pass http://$llm_provider_upstream;
    }
--- requests
POST /v1/chat/completions
{"model":"a"}
>>>
POST /v1/chat/completions
{"model":"b"}
--- response_headers
x-auth-provider: first
>>>
x-auth-provider: second
--- provider_first_got
POST /v1/chat/completions
Authorization: Bearer sk-first-SECRET-1
--- provider_second_got
POST /v1/chat/completions
Authorization: Bearer sk-second-SECRET-2

=== nor which key a further attempt gets
--- http_config
    upstream one { server %%first%%; }
    upstream two { server %%second%%; }
--- config
    llm_proxy_route first one;
    llm_proxy_route second two;
    llm_proxy_default_provider first;
    llm_fallback_route first second;
    llm_auth_credential first sk-first-SECRET-1;
    llm_auth_credential second sk-second-SECRET-2;
    llm_auth_provider first;
    location /v1/ {
        llm_proxy;
        llm_auth;
        llm_fallback;
        add_header X-Auth-Provider $llm_auth_provider;
        proxy_pass http://$llm_provider_upstream;
    }
--- provider_first
500
--- request
POST /v1/chat/completions
{"model":"a"}
--- response_headers
x-auth-provider: second
--- provider_first_got
POST /v1/chat/completions
Authorization: Bearer sk-first-SECRET-1
--- provider_second_got
POST /v1/chat/completions
Authorization: Bearer sk-second-SECRET-2

=== a location inherits the hint and may give another one
--- http_config
    upstream one { server %%first%%; }
    llm_proxy_route first one;
    llm_proxy_route second one;
    llm_proxy_default_provider first;
    llm_auth_credential first sk-first-SECRET-1;
    llm_auth_credential second sk-second-SECRET-2;
    llm_auth_provider first;
--- config
    llm_proxy;
    llm_auth;
    location / { proxy_pass http://$llm_provider_upstream; }
    location /own/ { llm_auth_provider second; proxy_pass http://$llm_provider_upstream; }
--- requests
POST /v1/chat/completions
{"model":"a"}
>>>
POST /own/v1/chat/completions
{"model":"a"}
--- provider_first_got
POST /v1/chat/completions
Authorization: Bearer sk-first-SECRET-1

=== it names a provider with a route
--- http_config
    upstream one { server 127.0.0.1:1; }
--- config
    location / {
        llm_proxy;
        llm_auth;
        llm_proxy_route first one;
        llm_proxy_default_provider first;
        llm_auth_credential first sk-first-SECRET-1;
        llm_auth_provider second;
    }
--- must_fail
llm_auth_provider "second" is unknown, add llm_proxy_route second <upstream> in %%root%%/nginx.conf

=== it names one
--- config
    llm_auth_provider first second;
--- must_fail
invalid number of arguments in "llm_auth_provider" directive in %%root%%/nginx.conf

=== it stands once in a block
--- config
    llm_auth_provider first;
    llm_auth_provider second;
--- must_fail
"llm_auth_provider" directive is duplicate in %%root%%/nginx.conf
