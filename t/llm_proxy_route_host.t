# llm_proxy_route: which Host a provider gets. An operator's own line wins, but nobody can have meant
# an empty Host, the upstream block's name or the host the client asked for.

use Test::LLM 'no_plan';

run_tests();

__DATA__

=== the Host is the name in the first server line of the block, without its port
--- http_config
    upstream one { server %%first%%; server %%second%% backup; }
--- config
    llm_proxy_route first one;
    llm_proxy_default_provider first;
    location /v1/ {
        llm_proxy;
        add_header X-Seen $llm_provider_host;
        proxy_pass http://$llm_provider_upstream;
    }
--- request
POST /v1/chat/completions
{"model":"m"}
--- response_headers
x-seen: 127.0.0.1
--- provider_first_got
POST /v1/chat/completions
host: 127.0.0.1

=== host= is sent, and each provider gets its own
--- http_config
    upstream one { server %%first%%; }
    upstream two { server %%second%%; }
--- config
    llm_proxy_route first one host=api.first.test;
    llm_proxy_route second two host=api.second.test:8443;
    llm_proxy_default_provider first;
    location /v1/ {
        llm_proxy;
        add_header X-Seen $llm_provider_host;
        proxy_pass http://$llm_provider_upstream;
    }
--- requests
POST /v1/chat/completions
{"model":"first/m"}
>>>
POST /v1/chat/completions
{"model":"second/m"}
--- response_headers
x-seen: api.first.test
>>>
x-seen: api.second.test:8443
--- provider_first_got
POST /v1/chat/completions
host: api.first.test
--- provider_second_got
POST /v1/chat/completions
host: api.second.test:8443

=== a Host that the operator writes is sent
--- http_config
    upstream one { server %%first%%; }
--- config
    llm_proxy_route first one host=api.first.test;
    llm_proxy_default_provider first;
    location /v1/ {
        llm_proxy;
        proxy_set_header Host tenant.first.test;
        proxy_pass http://$llm_provider_upstream;
    }
--- request
POST /v1/chat/completions
{"model":"m"}
--- provider_first_got
POST /v1/chat/completions
host: tenant.first.test

=== the provider's host may be written
--- http_config
    upstream one { server %%first%%; }
--- config
    llm_proxy_route first one host=api.first.test;
    llm_proxy_default_provider first;
    location /v1/ {
        llm_proxy;
        proxy_set_header Host $llm_provider_host;
        proxy_pass http://$llm_provider_upstream;
    }
--- request
POST /v1/chat/completions
{"model":"m"}
--- provider_first_got
POST /v1/chat/completions
host: api.first.test

=== an empty Host is never sent
--- http_config
    upstream one { server %%first%%; }
--- config
    llm_proxy_route first one host=api.first.test;
    llm_proxy_default_provider first;
    location /v1/empty/ {
        llm_proxy;
        proxy_set_header Host "";
        proxy_pass http://$llm_provider_upstream;
    }
    location /v1/blank/ {
        llm_proxy;
        proxy_set_header Host " ";
        proxy_pass http://$llm_provider_upstream;
    }
    location /v1/unset/ {
        llm_proxy;
        proxy_set_header Host $http_x_no_such_header;
        proxy_pass http://$llm_provider_upstream;
    }
--- requests
POST /v1/empty/chat/completions
{"model":"m"}
>>>
POST /v1/blank/chat/completions
{"model":"m"}
>>>
POST /v1/unset/chat/completions
{"model":"m"}
--- provider_first
{"json":{},"times":3}
--- after
is_deeply([ map { Test::LLM::Client::header_values($_, 'host') } @{ $t->mock->requests('first') } ],
    [ ('api.first.test') x 3 ], 'each request has the provider\'s Host, once');

=== the host that the client asked for is never sent
--- http_config
    upstream one { server %%first%%; }
--- config
    llm_proxy_route first one host=api.first.test;
    llm_proxy_default_provider first;
    location /v1/host/ {
        llm_proxy;
        proxy_set_header Host $host;
        proxy_pass http://$llm_provider_upstream;
    }
    location /v1/http_host/ {
        llm_proxy;
        proxy_set_header Host $http_host;
        proxy_pass http://$llm_provider_upstream;
    }
    location /v1/with_port/ {
        llm_proxy;
        proxy_set_header Host $host:$server_port;
        proxy_pass http://$llm_provider_upstream;
    }
--- requests
POST /v1/host/chat/completions
{"model":"m"}
>>>
POST /v1/http_host/chat/completions
{"model":"m"}
>>>
POST /v1/host/chat/completions
{"model":"m"}
>>>
POST /v1/http_host/chat/completions
{"model":"m"}
>>>
POST /v1/host/chat/completions
{"model":"m"}
>>>
POST /v1/with_port/chat/completions
{"model":"m"}
--- more_headers
Host: gateway.test
>>>
Host: gateway.test
>>>
Host: Gateway.Test:8080
>>>
Host: Gateway.Test:8080
>>>
Host: gateway.test.
>>>
Host: gateway.test:%%port%%
--- provider_first
{"json":{},"times":"always"}
--- provider_first_requests: 6
--- after
is_deeply([ map { Test::LLM::Client::header_values($_, 'host') } @{ $t->mock->requests('first') } ],
    [ ('api.first.test') x 6 ], 'each request has the provider\'s Host');

=== a server's own name is never sent for a client that names no host
--- http_config
    upstream one { server %%first%%; }
--- config
    llm_proxy_route first one host=api.first.test;
    llm_proxy_default_provider first;
    location /v1/ { llm_proxy; proxy_set_header Host $host; proxy_pass http://$llm_provider_upstream; }
--- raw_request eval
"POST /v1/chat/completions HTTP/1.0\r\nContent-Length: 13\r\n\r\n{\"model\":\"m\"}"
--- provider_first_got
POST /v1/chat/completions
host: api.first.test

=== the host of an absolute request line is never sent
--- http_config
    upstream one { server %%first%%; }
--- config
    llm_proxy_route first one host=api.first.test;
    llm_proxy_default_provider first;
    location /v1/ { llm_proxy; proxy_set_header Host $host; proxy_pass http://$llm_provider_upstream; }
--- raw_request eval
"POST http://other.test/v1/chat/completions HTTP/1.1\r\nHost: gateway.test\r\nConnection: close\r\n"
    . "Content-Length: 13\r\n\r\n{\"model\":\"m\"}"
--- provider_first_got
POST /v1/chat/completions
host: api.first.test

=== the name of the upstream block is never sent
--- http_config
    upstream one { server %%first%%; }
--- config
    llm_proxy_route first one host=api.first.test;
    llm_proxy_default_provider first;
    location /v1/proxy_host/ {
        llm_proxy;
        proxy_set_header Host $proxy_host;
        proxy_pass http://$llm_provider_upstream;
    }
    location /v1/upstream/ {
        llm_proxy;
        proxy_set_header Host $llm_provider_upstream;
        proxy_pass http://$llm_provider_upstream;
    }
    location /v1/headers/ {
        llm_proxy;
        proxy_set_header X-Other "a";
        proxy_pass http://one;
    }
--- requests
POST /v1/proxy_host/chat/completions
{"model":"m"}
>>>
POST /v1/upstream/chat/completions
{"model":"m"}
>>>
POST /v1/headers/chat/completions
{"model":"m"}
--- provider_first
{"json":{},"times":3}
--- provider_first_got
POST /v1/proxy_host/chat/completions
host: api.first.test

POST /v1/upstream/chat/completions
host: api.first.test

POST /v1/headers/chat/completions
host: api.first.test
x-other: a

=== the Host of a block whose only server is a socket is localhost
--- http_config
    upstream one { server unix:%%root%%/provider.sock; }
    server { listen unix:%%root%%/provider.sock; location / { return 200 "$http_host"; } }
--- config
    llm_proxy_route first one;
    llm_proxy_default_provider first;
    location /v1/ { llm_proxy; proxy_pass http://$llm_provider_upstream; }
--- request
POST /v1/chat/completions
{"model":"m"}
--- response_body: localhost

=== over HTTP/2 the client's authority is not sent either
--- http_config
    upstream one { server %%first%%; }
--- config
    llm_proxy_route first one host=api.first.test;
    llm_proxy_default_provider first;
    location /v1/ { llm_proxy; proxy_set_header Host $host; proxy_pass http://$llm_provider_upstream; }
--- http2
--- request
POST /v1/chat/completions
{"model":"m"}
--- provider_first_got
POST /v1/chat/completions HTTP/1.1
host: api.first.test
