# llm_proxy_route: what nginx -t says of lines that are wrong.

use Test::LLM 'no_plan';

run_tests();

__DATA__

=== an upstream block may follow the routes that name it
--- http_config
    llm_proxy_route first one;
    llm_proxy_default_provider first;
    server { listen 127.0.0.1:%%port2%%; location / { llm_proxy; proxy_pass http://$llm_provider_upstream; } }
    upstream one { server 127.0.0.1:1; }
--- must_load

=== an upstream that is no block is refused
--- http_config
    upstream one { server 127.0.0.1:1; }
--- config
    location / { llm_proxy; llm_proxy_route first onne; llm_proxy_default_provider first; }
--- must_fail
"llm_proxy_route" of provider "first" names "onne", but there is no such "upstream" block in %%root%%/nginx.conf

=== a host in proxy_pass makes no upstream block
--- config
    llm_proxy_route first 127.0.0.1;
    llm_proxy_default_provider first;
    location / { llm_proxy; proxy_pass http://127.0.0.1:1; }
--- must_fail
"llm_proxy_route" of provider "first" names "127.0.0.1", but there is no such "upstream" block

=== a provider needs an upstream
--- config
    location / { llm_proxy; llm_proxy_route first; }
--- must_fail
invalid number of arguments in "llm_proxy_route" directive in %%root%%/nginx.conf

=== a provider is named once
--- http_config
    upstream one { server 127.0.0.1:1; }
--- config
    location / {
        llm_proxy;
        llm_proxy_route first one;
        llm_proxy_route first one base=/v2;
        llm_proxy_default_provider first;
    }
--- must_fail
duplicate llm_proxy_route provider "first" in %%root%%/nginx.conf

=== two providers differ in more than case
--- http_config
    upstream one { server 127.0.0.1:1; }
--- config
    location / {
        llm_proxy;
        llm_proxy_route First one;
        llm_proxy_route first one;
        llm_proxy_default_provider first;
    }
--- must_fail
duplicate llm_proxy_route provider "first", it differs from "First" in case only in %%root%%/nginx.conf

=== routes alone do not say which provider is used
--- http_config
    upstream one { server 127.0.0.1:1; }
--- config
    location / { llm_proxy; llm_proxy_route first one; }
--- must_fail
llm_proxy_route needs llm_proxy_default_provider or llm_proxy_model_pattern to say which provider is used in %%root%%/nginx.conf

=== a name of a provider is fit for headers and slugs
--- config
    location / { llm_proxy_route a/b one; }
--- must_fail
invalid provider name "a/b" in "llm_proxy_route", use letters, digits, "-", "_" and "." in %%root%%/nginx.conf

=== a name of a provider has no blank
--- config
    location / { llm_proxy_route "a b" one; }
--- must_fail
invalid provider name "a b" in "llm_proxy_route"

=== a URL is not the name of an upstream block
--- config
    location / { llm_proxy_route first https://api.one.test; }
--- must_fail
invalid upstream "https://api.one.test" in "llm_proxy_route", give the name of an upstream block in %%root%%/nginx.conf

=== an unknown word is not taken for a dialect
--- config
    location / { llm_proxy_route first one gemini; }
--- must_fail
invalid parameter "gemini" in "llm_proxy_route", it must be openai, anthropic, host=, base=, ssl=, ssl_name=, ssl_verify=, connect_timeout=, response_timeout=, first_token_timeout=, idle_timeout= or max_input= in %%root%%/nginx.conf

=== a dialect is said once
--- config
    location / { llm_proxy_route first one openai anthropic; }
--- must_fail
duplicate dialect in "llm_proxy_route first": "anthropic" in %%root%%/nginx.conf

=== a parameter is given once
--- config
    location / { llm_proxy_route first one host=a.test host=b.test; }
--- must_fail
duplicate host in "llm_proxy_route first": "host=b.test" in %%root%%/nginx.conf

=== an unknown parameter is refused
--- config
    location / { llm_proxy_route first one timeout=5s; }
--- must_fail
invalid parameter "timeout=5s" in "llm_proxy_route", it must be openai, anthropic, host=,

=== a host is a name
--- config
    location / { llm_proxy_route first one host=https://api.one.test/v1; }
--- must_fail
invalid host in "host=https://api.one.test/v1" in "llm_proxy_route", give a name such as api.example.com, without scheme or path in %%root%%/nginx.conf

=== a host is not empty
--- config
    location / { llm_proxy_route first one host=; }
--- must_fail
invalid host in "host=" in "llm_proxy_route", give a name such as

=== a base is a path
--- config
    location / { llm_proxy_route first one base=v1; }
--- must_fail
invalid path in "base=v1" in "llm_proxy_route", give one that starts with "/" such as /v1 in %%root%%/nginx.conf

=== a base has no arguments
--- config
    location / { llm_proxy_route first one base=/v1?a=b; }
--- must_fail
invalid path in "base=/v1?a=b" in "llm_proxy_route"

=== ssl is on or off
--- config
    location / { llm_proxy_route first one ssl=yes; }
--- must_fail
invalid value in "ssl=yes" in "llm_proxy_route", it must be on or off in %%root%%/nginx.conf

=== ssl_verify is on or off
--- config
    location / { llm_proxy_route first one ssl_verify=none; }
--- must_fail
invalid value in "ssl_verify=none" in "llm_proxy_route", it must be on or off

=== ssl_name is a name
--- config
    location / { llm_proxy_route first one "ssl_name=a b"; }
--- must_fail
invalid host in "ssl_name=a b" in "llm_proxy_route"

=== connect_timeout is a time
--- config
    location / { llm_proxy_route first one connect_timeout=soon; }
--- must_fail
invalid time in "connect_timeout=soon" in "llm_proxy_route", give one such as 30s or 500ms in %%root%%/nginx.conf

=== connect_timeout is not zero
--- config
    location / { llm_proxy_route first one connect_timeout=0; }
--- must_fail
invalid time in "connect_timeout=0" in "llm_proxy_route"

=== response_timeout is not zero
--- config
    location / { llm_proxy_route first one response_timeout=0s; }
--- must_fail
invalid time in "response_timeout=0s" in "llm_proxy_route"

=== idle_timeout is not negative
--- config
    location / { llm_proxy_route first one idle_timeout=-1s; }
--- must_fail
invalid time in "idle_timeout=-1s" in "llm_proxy_route"

=== first_token_timeout is a time, and zero is none
--- http_config
    upstream one { server 127.0.0.1:1; }
--- config
    llm_proxy_route first one first_token_timeout=0;
    llm_proxy_default_provider first;
    location / { llm_proxy; proxy_pass http://one; }
    location /wrong { llm_proxy_route first one first_token_timeout=1x; }
--- must_fail
invalid time in "first_token_timeout=1x" in "llm_proxy_route"

=== max_input is a number of tokens
--- config
    location / { llm_proxy_route first one max_input=128k; }
--- must_fail
invalid number in "max_input=128k" in "llm_proxy_route", give tokens such as 128000 in %%root%%/nginx.conf

=== max_input is not zero
--- config
    location / { llm_proxy_route first one max_input=0; }
--- must_fail
invalid number in "max_input=0" in "llm_proxy_route"
