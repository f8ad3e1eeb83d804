# llm_proxy: where the gateway is switched on, and where its requests never go.

use Test::LLM 'no_plan';

run_tests();

__DATA__

=== a request goes through the gateway to its provider
--- http_config
    upstream one { server %%first%%; }
--- config
    llm_proxy_route first one;
    llm_proxy_default_provider first;
    location /v1/ { llm_proxy; proxy_pass http://$llm_provider_upstream; }
--- provider_first
200 {"id":"a","model":"m"}
--- request
POST /v1/chat/completions
{"model":"m","messages":[]}
--- response_body: {"id":"a","model":"m"}
--- response_headers
content-type: application/json
x-llm-provider: first
x-llm-served-by: first/m
x-llm-event-id: ~^\S{16,}$
--- provider_first_got
POST /v1/chat/completions HTTP/1.1
host: 127.0.0.1
content-type: application/json
content-length: 27
--- provider_first_got_body
{"model":"m","messages":[]}

=== it is off where it is not switched on
--- http_config
    upstream one { server %%first%%; }
--- config
    llm_proxy_route first one;
    llm_proxy_default_provider first;
    location / { proxy_pass http://one; }
--- provider_first
200 {"any":"thing"}
--- request
POST /v1/chat/completions
{"model":"m","model":"n"}
--- response_headers
!x-llm-event-id
--- provider_first_got
POST /v1/chat/completions HTTP/1.0
host: one

=== switched on for all servers it is inherited, and off undoes it in a nested location
--- http_config
    upstream one { server %%first%%; }
    llm_proxy on;
    llm_proxy_route first one;
    llm_proxy_default_provider first;
--- config
    location / {
        proxy_pass http://one;
        location /plain/ {
            llm_proxy off;
            proxy_pass http://one;
            location /plain/again/ { llm_proxy on; proxy_pass http://one; }
        }
    }
--- requests
POST /v1/chat/completions
{"model":"m"}
>>>
POST /plain/v1/chat/completions
{"model":"m"}
>>>
POST /plain/again/v1/chat/completions
{"model":"m"}
--- response_headers
x-llm-provider: first
>>>
!x-llm-provider
>>>
x-llm-provider: first

=== switched on for a server it holds in its locations
--- http_config
    upstream one { server %%first%%; }
--- config
    llm_proxy;
    llm_proxy_route first one;
    llm_proxy_default_provider first;
    location /v1/ { proxy_pass http://$llm_provider_upstream; }
--- request
POST /v1/chat/completions
{"model":"m"}
--- response_headers
x-llm-provider: first

=== lists of a location replace those above it, they do not add to them
--- http_config
    upstream one { server %%first%%; }
    upstream two { server %%second%%; }
    llm_proxy_route first one;
    llm_proxy_model_pattern a first;
    llm_proxy_model_alias fast first/a;
--- config
    llm_proxy;
    location /v1/ { proxy_pass http://$llm_provider_upstream; }
    location /other/ {
        llm_proxy_route second two;
        llm_proxy_model_pattern b second;
        llm_proxy_model_alias slow second/b;
        proxy_pass http://$llm_provider_upstream;
    }
--- requests
POST /v1/chat/completions
{"model":"a"}
>>>
POST /v1/chat/completions
{"model":"fast"}
>>>
POST /v1/chat/completions
{"model":"b"}
>>>
POST /other/v1/chat/completions
{"model":"b"}
>>>
POST /other/v1/chat/completions
{"model":"slow"}
>>>
POST /other/v1/chat/completions
{"model":"a"}
--- error_code: 200 200 404 200 200 404
--- provider_first_requests: 2
--- provider_second_requests: 2

=== a location without a proxy_pass keeps its own handler
--- http_config
    upstream one { server %%first%%; }
--- config
    llm_proxy;
    llm_proxy_route first one;
    llm_proxy_default_provider first;
    location = /health { llm_proxy off; return 200 "ok"; }
    location = /there { return 200 "here"; }
    location /v1/ { proxy_pass http://one; }
--- requests
GET /health
>>>
GET /there
--- response_body
ok
>>>
here
--- provider_first_requests: 0

=== nothing of a request is left for the next one on its connection
--- http_config
    upstream one { server %%first%%; }
    upstream two { server %%second%%; }
    log_format routed "$llm_provider $llm_model $llm_streaming $llm_requested_dialect";
--- config
    llm_proxy_route first one;
    llm_proxy_route second two anthropic;
    llm_proxy_model_pattern a first;
    llm_proxy_model_pattern b second;
    location /v1/ { llm_proxy; proxy_pass http://$llm_provider_upstream; }
--- requests
POST /v1/chat/completions
{"model":"a","stream":true,"messages":[]}
>>>
POST /v1/messages
{"model":"b","max_tokens":1,"messages":[]}
>>>
POST /v1/chat/completions
{"model":"nobody"}
>>>
POST /v1/chat/completions
{"model":"a","messages":[]}
--- error_code: 200 200 404 200
--- response_headers
x-llm-provider: first
>>>
x-llm-provider: second
>>>
!x-llm-provider
>>>
x-llm-provider: first
content-type: application/json
--- access_log
^first a 1 openai$
^second b 0 anthropic$
^- nobody 0 openai$
^first a 0 openai$
--- after
my %seen;
my @ids = map { Test::LLM::Client::header_values($_, 'x-llm-event-id') } $t->answers;
is(scalar(grep { !$seen{$_}++ } @ids), 4, 'each request has an id of its own');

=== pipelined requests are answered in order
--- http_config
    upstream one { server %%first%%; }
--- config
    llm_proxy_route first one;
    llm_proxy_default_provider first;
    location /v1/ { llm_proxy; proxy_pass http://one; }
--- requests
POST /v1/chat/completions
{"model":"a"}
>>>
POST /v1/chat/completions
{"model":
>>>
POST /v1/chat/completions
{"model":"c"}
--- pipelined
--- error_code: 200 400 200
--- response_json
{"model":"a"}
>>>
{"error":{"code":"invalid_json"}}
>>>
{"model":"c"}

=== a request never goes to the upstream block of another provider
--- http_config
    upstream one { server %%first%%; }
    upstream two { server %%second%%; }
--- config
    llm_proxy_route first one;
    llm_proxy_route second two;
    llm_proxy_default_provider first;
    location /v1/ { llm_proxy; proxy_pass http://two; }
--- request
POST /v1/chat/completions
{"model":"m"}
--- error_code: 500
--- response_headers
content-type: application/json
x-llm-event-id: ~.
--- response_json
{"error":{"code":"internal_error","type":"server_error"},"request_id":"<<match:.>>"}
--- error_log
llm: proxy_pass goes to upstream "two", but the request belongs to provider "first": write "proxy_pass http://$llm_provider_upstream"
--- provider_first_requests: 0
--- provider_second_requests: 0

=== a request never goes to an address that is no provider's
--- http_config
    upstream one { server %%first%%; }
--- config
    llm_proxy_route first one;
    llm_proxy_default_provider first;
    location /v1/ { llm_proxy; proxy_pass http://%%second%%; }
--- request
POST /v1/chat/completions
{"model":"m"}
--- error_code: 500
--- response_json
{"error":{"code":"internal_error"}}
--- error_log
but the request belongs to provider "first"
--- provider_second_requests: 0

=== a request never goes to an address from a variable
--- SKIP
--- http_config
    upstream one { server %%first%%; }
--- config
    llm_proxy_route first one;
    llm_proxy_default_provider first;
    location /v1/ { llm_proxy; set $where %%second%%; proxy_pass http://$where; }
--- request
POST /v1/chat/completions
{"model":"m"}
--- error_code: 500
--- response_json
{"error":{"code":"internal_error"}}
--- error_log
but the request belongs to provider "first"
--- provider_second_requests: 0

=== the gateway is switched on or off
--- config
    location / { llm_proxy maybe; }
--- must_fail
invalid value "maybe" in "llm_proxy" directive, it must be "on" or "off" in %%root%%/nginx.conf

=== the gateway is switched on once at a level
--- config
    location / { llm_proxy; llm_proxy off; }
--- must_fail
"llm_proxy" directive is duplicate in %%root%%/nginx.conf

=== the gateway needs a provider
--- config
    location / { llm_proxy; }
--- must_fail
"llm_proxy" is on, but no "llm_proxy_route" names a provider in %%root%%/nginx.conf

=== the gateway needs a provider in every location that inherits it
--- http_config
    upstream one { server 127.0.0.1:1; }
--- config
    llm_proxy;
    location /v1/ { llm_proxy_route first one; llm_proxy_default_provider first; }
    location / { return 200; }
--- must_fail
"llm_proxy" is on, but no "llm_proxy_route" names a provider

=== the gateway may be on for a server whose providers stand in its locations
--- http_config
    upstream one { server 127.0.0.1:1; }
--- config
    llm_proxy;
    location / { llm_proxy_route first one; llm_proxy_default_provider first; }
--- must_load
