# Connections to providers: those that are kept, those that die, and the servers of one block.

use Test::LLM 'no_plan';

run_tests();

__DATA__

=== a connection is used again, with nothing but "keepalive" in the block
--- http_config
    upstream first { server %%first%%; keepalive 4; }
--- config
    llm_proxy_route first first;
    llm_proxy_default_provider first;
    location /v1/ { llm_proxy; proxy_pass http://$llm_provider_upstream; }
--- requests
POST /v1/chat/completions
{"model":"m"}
>>>
POST /v1/chat/completions
{"model":"m","stream":true}
>>> new connection
POST /v1/embeddings
{"model":"m","input":""}
>>>
GET /v1/models
--- provider_first_got
POST /v1/chat/completions HTTP/1.1
!connection

POST /v1/chat/completions HTTP/1.1
!connection

POST /v1/embeddings HTTP/1.1
!connection

GET /v1/models HTTP/1.1
!connection
--- after
is($t->mock->state('first')->{connections_total}, 1, 'one connection for all');

=== a refusal leaves the connection usable
--- http_config
    upstream first { server %%first%%; keepalive 4; }
--- config
    llm_proxy_route first first;
    llm_proxy_default_provider first;
    location /v1/ { llm_proxy; proxy_pass http://$llm_provider_upstream; }
--- provider_first
429 {"error":{}}

{"words":2}
--- requests
POST /v1/chat/completions
{"model":"m","stream":true}
>>>
POST /v1/chat/completions
{"model":"m","stream":true}
--- error_code: 429 200
--- after
is($t->mock->state('first')->{connections_total}, 1, 'one connection for both');

=== a refusal that moves the request on leaves its connection usable
--- http_config
    upstream first { server %%first%%; keepalive 4; }
    upstream second { server %%second%%; keepalive 4; }
--- config
    llm_proxy_route first first;
    llm_proxy_route second second;
    llm_proxy_default_provider first;
    location /v1/ {
        llm_proxy;
        llm_auth;
        llm_auth_credential first sk-first-SECRET;
        llm_auth_credential second sk-second-SECRET;
        llm_fallback;
        llm_fallback_route first second;
        llm_fallback_on upstream_5xx rate_limited;
        proxy_pass http://$llm_provider_upstream;
    }
--- provider_first
503 {"error":{"message":"overloaded"}}

429 {"error":{"message":"slow down"}}

{"status":503,"body":"{}","framing":"chunked"}

503 {"error":{"message":"overloaded"}}
--- provider_second
{"words":2}

{"words":2}

{"words":2}

{"words":2}
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
--- error_code: 200 200 200 200
--- after
is($t->mock->state('first')->{connections_total}, 1, 'one connection for all that the first provider refused');
is($t->mock->state('second')->{connections_total}, 1, 'one for all that the second one answered');

=== a refusal whose connection the provider closes, or whose body is cut, does not
--- http_config
    upstream first { server %%first%%; keepalive 4; }
    upstream second { server %%second%%; keepalive 4; }
--- config
    llm_proxy_route first first;
    llm_proxy_route second second;
    llm_proxy_default_provider first;
    location /v1/ {
        llm_proxy;
        llm_auth;
        llm_auth_credential first sk-first-SECRET;
        llm_auth_credential second sk-second-SECRET;
        llm_fallback;
        llm_fallback_route first second;
        llm_fallback_on upstream_5xx;
        proxy_pass http://$llm_provider_upstream;
    }
--- provider_first
{"status":503,"headers":{"Connection":"close"},"body":"{}"}

{"status":503,"chunks":["{\"error\":{}}","x"],"fault":"cut","after":1}

{"status":503,"body":"{}"}
--- provider_second
{"words":2}

{"words":2}

{"words":2}
--- requests
POST /v1/chat/completions
{"model":"m"}
>>>
POST /v1/chat/completions
{"model":"m"}
>>>
POST /v1/chat/completions
{"model":"m"}
--- error_code: 200 200 200
--- after
is($t->mock->state('first')->{connections_total}, 3, 'each has its own');

=== what broke off is not used again
--- http_config
    upstream first { server %%first%%; keepalive 4; }
--- config
    llm_proxy_route first first;
    llm_proxy_default_provider first;
    llm_proxy_idle_timeout 200ms;
    location /v1/ { llm_proxy; proxy_pass http://$llm_provider_upstream; }
--- provider_first
{"fault":"stall","after":2}

{"fault":"cut","after":2}

{"words":2}
--- requests
POST /v1/chat/completions
{"model":"m","stream":true}
>>>
POST /v1/chat/completions
{"model":"m","stream":true}
>>>
POST /v1/chat/completions
{"model":"m","stream":true}
--- incomplete_response: 1 2
--- after
is($t->mock->state('first')->{connections_total}, 3, 'each has its own');

=== a kept connection that dies as it is used costs the client nothing, a POST included
--- http_config
    upstream first { server %%first%%; keepalive 4; }
    log_format end '$status $llm_stream_state';
--- config
    llm_proxy_route first first;
    llm_proxy_default_provider first;
    location /v1/ { llm_proxy; proxy_pass http://$llm_provider_upstream; }
--- provider_first
200 {"n":1}

{"fault":"close"}

200 {"n":2}

{"fault":"reset"}

sse
{"n":3}
[DONE]
--- requests
POST /v1/chat/completions
{"model":"m"}
>>>
POST /v1/chat/completions
{"model":"m","n":2}
>>>
POST /v1/chat/completions
{"model":"m","n":3,"stream":true}
--- response_body_like
"n":1
>>>
"n":2
>>>
"n":3
--- provider_first_got_body
{"model":"m"}
>>>
{"model":"m","n":2}
>>>
{"model":"m","n":2}
>>>
{"stream_options":{"include_usage":true},"model":"m","n":3,"stream":true}
>>>
{"stream_options":{"include_usage":true},"model":"m","n":3,"stream":true}
--- access_log
^200 -\n200 -\n200 complete$

=== a large request is sent whole the second time, too
--- http_config
    upstream first { server %%first%%; keepalive 4; }
--- config
    llm_proxy_route first first;
    llm_proxy_default_provider first;
    llm_proxy_model_alias friendly first/real;
    client_body_buffer_size 1k;
    location /v1/ { llm_proxy; proxy_pass http://$llm_provider_upstream; }
--- provider_first
200 {"n":1}

{"fault":"reset"}

200 {"n":2}
--- requests
POST /v1/chat/completions
>>>
POST /v1/chat/completions
--- request_body_eval
'{"model":"friendly","text":"' . 'x' x 500_000 . '"}'
--- after
my @bodies = map { $_->{body} } @{ $t->mock->requests('first') };
is(scalar @bodies, 3, 'three requests');
is($bodies[2], '{"model":"real","text":"' . 'x' x 500_000 . '"}', 'with the right body');

=== it is replayed once, not for ever
--- http_config
    upstream first { server %%first%%; keepalive 4; }
--- config
    llm_proxy_route first first;
    llm_proxy_default_provider first;
    location /v1/ { llm_proxy; proxy_pass http://$llm_provider_upstream; }
--- provider_first
200 {"n":1}

{"fault":"close"}

{"fault":"close"}
--- requests
POST /v1/chat/completions
{"model":"m"}
>>>
POST /v1/chat/completions
{"model":"m"}
--- error_code: 200 502
--- provider_first_requests: 3

=== a new connection that dies is a failure: the provider may have begun
--- http_config
    upstream first { server %%first%%; keepalive 4; }
--- config
    llm_proxy_route first first;
    llm_proxy_default_provider first;
    location /v1/ { llm_proxy; proxy_pass http://$llm_provider_upstream; }
--- provider_first
{"fault":"close"}

{"fault":"reset"}
--- requests
POST /v1/chat/completions
{"model":"m"}
>>>
POST /v1/chat/completions
{"model":"m"}
--- error_code: 502
--- response_json
{"error":{"code":"<<match:^provider_>>"}}
--- provider_first_requests: 2

=== a kept connection that is silent is a timeout, not a dead one
--- http_config
    upstream first { server %%first%%; keepalive 4; }
--- config
    llm_proxy_route first first;
    llm_proxy_default_provider first;
    llm_proxy_response_timeout 300ms;
    location /v1/ { llm_proxy; proxy_pass http://$llm_provider_upstream; }
--- provider_first
200 {"n":1}

{"fault":"hang"}
--- requests
POST /v1/chat/completions
{"model":"m"}
>>>
POST /v1/chat/completions
{"model":"m"}
--- error_code: 200 504
--- provider_first_requests: 2

=== a server that cannot be reached leaves the request to the next one of its block
--- http_config
    upstream first { server %%closed%%; server %%first%%; }
    log_format where '$upstream_addr $upstream_status $llm_provider';
--- config
    llm_proxy_route first first;
    llm_proxy_default_provider first;
    location /v1/ { llm_proxy; proxy_pass http://$llm_provider_upstream; }
--- requests
POST /v1/chat/completions
{"model":"m"}
>>>
POST /v1/chat/completions
{"model":"m","stream":true}
--- provider_first_requests: 2
--- access_log
^127.0.0.1:\d+, 127.0.0.1:\d+ 502, 200 first$

=== a backup is asked when all others are down
--- http_config
    upstream first { server %%closed%%; server %%first%% backup; keepalive 2; }
--- config
    llm_proxy_route first first;
    llm_proxy_default_provider first;
    location /v1/ { llm_proxy; proxy_pass http://$llm_provider_upstream; }
--- request
POST /v1/chat/completions
{"model":"m"}
--- provider_first_requests: 1

=== all servers down: unreachable, and so it is while they are taken for down
--- http_config
    upstream first { server %%closed%%; server %%closed%%; }
--- config
    llm_proxy_route first first;
    llm_proxy_default_provider first;
    location /v1/ { llm_proxy; proxy_pass http://$llm_provider_upstream; }
--- requests
POST /v1/chat/completions
{"model":"m"}
>>>
POST /v1/chat/completions
{"model":"m"}
--- error_code: 502
--- response_json
{"error":{"type":"server_error","code":"provider_unreachable"}}

=== a POST that was sent is not sent to the next server
--- http_config
    upstream first { server %%first%%; server %%second%%; }
--- config
    llm_proxy_route first first;
    llm_proxy_default_provider first;
    location /v1/ { llm_proxy; proxy_pass http://$llm_provider_upstream; }
--- provider_first
{"fault":"reset"}
--- request
POST /v1/chat/completions
{"model":"m"}
--- error_code: 502
--- provider_second_requests: 0

=== unless the operator says so
--- http_config
    upstream first { server %%first%%; server %%second%%; }
--- config
    llm_proxy_route first first;
    llm_proxy_default_provider first;
    proxy_next_upstream error non_idempotent;
    location /v1/ { llm_proxy; proxy_pass http://$llm_provider_upstream; }
--- provider_first
{"fault":"reset"}
--- provider_second
200 {"n":2}
--- request
POST /v1/chat/completions
{"model":"m"}
--- response_body: {"n":2}

=== nor is one that was refused, unless the operator says so
--- http_config
    upstream first { server %%first%%; server %%second%%; }
--- config
    llm_proxy on;
    llm_proxy_route first first;
    llm_proxy_default_provider first;
    location /v1/ { proxy_pass http://$llm_provider_upstream; }
    location /again/v1/ {
        proxy_next_upstream http_503 non_idempotent;
        proxy_pass http://$llm_provider_upstream;
    }
--- provider_first
503 {"n":1}

503 {"n":1}
--- provider_second
200 {"n":2}

200 {"n":2}
--- requests
POST /v1/chat/completions
{"model":"m"}
>>>
POST /again/v1/chat/completions
{"model":"m"}
>>>
POST /again/v1/chat/completions
{"model":"m"}
--- error_code: 503 200 200

=== proxy_next_upstream off keeps to the first server
--- http_config
    upstream first { server %%closed%%; server %%first%%; }
--- config
    llm_proxy_route first first;
    llm_proxy_default_provider first;
    proxy_next_upstream off;
    location /v1/ { llm_proxy; proxy_pass http://$llm_provider_upstream; }
--- request
POST /v1/chat/completions
{"model":"m"}
--- error_code: 502
--- provider_first_requests: 0

=== balancers keep working
--- http_config
    upstream first { least_conn; server %%first%%; server %%second%%; keepalive 4; }
    upstream other { hash $arg_key; server %%first%%; server %%second%%; }
--- config
    llm_proxy_route first first;
    llm_proxy_route other other;
    llm_proxy_model_pattern a first;
    llm_proxy_model_pattern b other;
    location /v1/ { llm_proxy; proxy_pass http://$llm_provider_upstream; }
--- requests
POST /v1/chat/completions?key=1
{"model":"a"}
>>>
POST /v1/chat/completions?key=1
{"model":"a"}
>>>
POST /v1/chat/completions?key=1
{"model":"b"}
>>>
POST /v1/chat/completions?key=1
{"model":"b"}
--- after
my @counts = map { $t->mock->state($_)->{requests} } qw(first second);
is($counts[0] + $counts[1], 4, 'four requests');
is(abs($counts[0] - $counts[1]), 2, 'two in turn, two for one key');
