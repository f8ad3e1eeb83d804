# llm_proxy_provider_version: which anthropic-version a provider gets.

use Test::LLM 'no_plan';

run_tests();

__DATA__

=== the version takes the place of the client's, at its provider only
--- http_config
    upstream one { server %%first%%; }
    upstream two { server %%second%%; }
--- config
    llm_proxy_route first one anthropic;
    llm_proxy_route second two anthropic;
    llm_proxy_provider_version first 2024-10-22;
    llm_proxy_model_pattern a first;
    llm_proxy_model_pattern b second;
    location /v1/ {
        llm_proxy;
        add_header X-Version "[$llm_provider_version]";
        proxy_pass http://$llm_provider_upstream;
    }
--- requests
POST /v1/messages
{"model":"a","max_tokens":1,"messages":[]}
>>>
POST /v1/messages
{"model":"a","max_tokens":1,"messages":[]}
>>>
POST /v1/messages
{"model":"b","max_tokens":1,"messages":[]}
--- more_headers
>>>
anthropic-version: 2023-06-01
>>>
anthropic-version: 2023-06-01
--- response_headers
x-version: [2024-10-22]
>>>
x-version: [2024-10-22]
>>>
x-version: []
--- provider_first_got
POST /v1/messages
anthropic-version: 2024-10-22

POST /v1/messages
anthropic-version: 2024-10-22
--- provider_second_got
POST /v1/messages
anthropic-version: 2023-06-01

=== a version that the operator sets as a header is replaced too
--- http_config
    upstream one { server %%first%%; }
--- config
    llm_proxy_route first one anthropic;
    llm_proxy_provider_version first 2024-10-22;
    llm_proxy_default_provider first;
    location /v1/ {
        llm_proxy;
        proxy_set_header anthropic-version 2023-01-01;
        proxy_pass http://$llm_provider_upstream;
    }
--- request
POST /v1/messages
{"model":"a","max_tokens":1,"messages":[]}
--- provider_first_got
POST /v1/messages
anthropic-version: 2024-10-22

=== lines of a location replace those above it
--- http_config
    upstream one { server %%first%%; }
    llm_proxy_route first one anthropic;
    llm_proxy_route second one anthropic;
    llm_proxy_default_provider first;
    llm_proxy_provider_version first 2023-06-01;
--- config
    llm_proxy;
    location /v1/ { proxy_pass http://one; }
    location /new/v1/ { llm_proxy_provider_version first 2024-10-22; proxy_pass http://one; }
    location /other/v1/ { llm_proxy_provider_version second 2024-10-22; proxy_pass http://one; }
--- requests
POST /v1/messages
{"model":"a"}
>>>
POST /new/v1/messages
{"model":"a"}
>>>
POST /other/v1/messages
{"model":"a"}
--- provider_first
{"json":{},"times":3}
--- provider_first_got
POST /v1/messages
anthropic-version: 2023-06-01

POST /v1/messages
anthropic-version: 2024-10-22

POST /v1/messages
!anthropic-version

=== a version needs a provider with a route
--- http_config
    upstream one { server 127.0.0.1:1; }
--- config
    location / {
        llm_proxy;
        llm_proxy_route first one;
        llm_proxy_default_provider first;
        llm_proxy_provider_version second 2023-06-01;
    }
--- must_fail
llm_proxy_provider_version provider "second" is unknown, add llm_proxy_route second <upstream> in %%root%%/nginx.conf

=== a provider has one version
--- http_config
    upstream one { server 127.0.0.1:1; }
--- config
    location / {
        llm_proxy;
        llm_proxy_route first one;
        llm_proxy_default_provider first;
        llm_proxy_provider_version first 2023-06-01;
        llm_proxy_provider_version first 2024-10-22;
    }
--- must_fail
duplicate llm_proxy_provider_version "first" in %%root%%/nginx.conf

=== a version is fit for a header
--- config
    llm_proxy_provider_version first "2023 06 01";
--- must_fail
invalid version "2023 06 01" in "llm_proxy_provider_version", use visible ASCII characters such as 2023-06-01 in %%root%%/nginx.conf

=== a provider needs its version
--- config
    llm_proxy_provider_version first;
--- must_fail
invalid number of arguments in "llm_proxy_provider_version" directive
