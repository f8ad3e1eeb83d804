# The harness itself, on an nginx that does without our module: what must pass. What must fail is in
# harness_failures.t.

use Test::LLM 'no_plan';

run_tests();

__DATA__
=== a request passes as it is, and so does the answer
--- http_config
    upstream first { server %%first%%; }
--- config
    location /v1/ { proxy_pass http://first; }
--- provider_first
200 {"served_by":"first"}
--- request
POST /v1/chat/completions?a=1
{"model":"m",
  "stream": false}
--- response_body
{"served_by":"first"}
--- response_headers
content-type: application/json
content-length: ~^\d+$
!retry-after
--- provider_first_got
POST /v1/chat/completions?a=1 HTTP/1.0
host: first
content-length: 32
!cookie
--- provider_first_got_body
{"model":"m",
  "stream": false}
--- provider_first_got_json
{"model":"m","stream":false}
--- provider_first_requests: 1

=== an answer may have headers of its own
--- config
    location / { proxy_pass http://%%first%%; }
--- provider_first
429
Retry-After: 2
X-Other: b
{"error":{"type":"rate_limit"}}
--- request
GET /
--- error_code: 429
--- response_headers
retry-after: 2
x-other: b
--- raw_response_headers_like
^HTTP/1\.1 429 
(?i)^retry-after: 2\r$
--- response_body: {"error":{"type":"rate_limit"}}

=== several requests on one connection get one answer each
--- config
    location / { proxy_pass http://%%first%%; }
--- provider_first
200 one

503 {"error":"two"}

{"status":200,"body":"three","times":2}
--- requests
GET /a
>>>
POST /b
{"n":2}
>>> new connection
GET /c
>>> after 10ms
GET /d
--- error_code: 200 503 200*2
--- response_body
one
>>>
{"error":"two"}
>>>
three
>>>
three
--- provider_first_got
GET /a

POST /b

GET /c

GET /d
--- provider_first_got_body
>>>
{"n":2}
>>>
>>>
--- provider_first_requests: 4

=== requests differ in their headers
--- config
    location / { return 200 "$http_x_a $http_host $content_type"; }
--- requests
GET /
>>>
POST /
{}
--- more_headers
X-A: 1
Host: other
>>>
X-A: 2
!Content-Type
--- response_body
1 other 
>>>
2 localhost 

=== a stream is compared event by event
--- config
    location / { proxy_http_version 1.1; proxy_buffering off; proxy_pass http://%%first%%; }
--- provider_first
sse
event: message_start data: {"type":"message_start","id":"a"}
{"choices":[{"delta":{"content":"Hel\nlo"}}],"created":12}
: a comment
[DONE]
--- request
GET /
--- response_sse
event: message_start data: {"type":"message_start","id":"<<match:^[a-z]$>>"}
{"choices":[{"delta":{"content":"Hel\nlo"}}],"created":"<<any>>"}
: a comment
[DONE]
--- response_headers
content-type: ~^text/event-stream

=== JSON is compared by the keys that are expected
--- config
    location / { return 200 '{"a":{"b":[1,"2",null,true,1.5],"c":0},"d":"x-17"}'; }
--- request
GET /
--- response_json
{"a":{"b":[1,"2",null,true,"<<any>>"],"z":"<<absent>>"},"d":"<<match:^x-\\d+$>>"}

=== a body that is sent in chunks of given sizes arrives whole
--- config
    location / { proxy_pass http://%%first%%; }
--- request
POST /v1/embeddings
{"model":"m"}
--- chunked: 1 5 2
--- provider_first_got
POST /v1/embeddings
!transfer-encoding
content-length: 13
--- provider_first_got_body
{"model":"m"}

=== a request in pieces arrives whole
--- config
    location / { proxy_pass http://%%first%%; }
--- request
POST /v1/embeddings
{"model":"m"}
--- tcp_split: 3 50 1
--- provider_first_got_body
{"model":"m"}

=== a body is sent when nginx asks for it
--- config
    location / { proxy_pass http://%%first%%; }
--- request
POST /v1/embeddings
{"model":"m"}
--- expect_continue
--- provider_first_got_body
{"model":"m"}

=== a request with an expectation may be refused at once
--- config
    location / { client_max_body_size 1; proxy_pass http://%%first%%; }
--- request
POST /
{"model":"m"}
--- expect_continue
--- error_code: 413
--- provider_first_requests: 0

=== bytes are sent as they are
--- config
    location / { return 200 "$http_x_a"; }
--- raw_request eval
["GET / HTTP/1.1\r\nHost: a\r\nX-A: 1", "2\r\nConnection: close\r\n\r\n"]
--- response_body: 12

=== a large body and a large answer pass
--- config
    location / { client_max_body_size 0; client_body_buffer_size 1k; proxy_pass http://%%first%%; }
--- request
POST /
--- request_body_eval
'{"text":"' . 'x' x 3_000_000 . '"}'
--- provider_first
200 ok
--- after
is(length $t->mock->requests('first')->[0]{body}, 3_000_011, 'all bytes arrived');

=== answers without a body are complete
--- config
    location /none { return 204; }
    location / { return 200 "body"; }
--- requests
HEAD /
>>>
GET /none
>>>
GET /old HTTP/1.0
--- error_code: 200 204 200
--- response_body
>>>
>>>
body

=== concurrent requests are all sent before the first answer is read
--- http_config
    limit_req_zone $server_name zone=one:1m rate=1r/m;
--- config
    location / { limit_req zone=one burst=2 nodelay; proxy_pass http://%%first%%; }
--- request
GET /v1/models
--- concurrent: 5
--- error_code: 200*3 503*2
--- provider_first_requests: 3

=== pipelined requests are answered in order
--- config
    location / { return 200 "$uri"; }
--- requests
GET /a
>>>
GET /b
--- pipelined
--- response_body
/a
>>>
/b

=== curl speaks HTTP/2
--- config
    location / { add_header X-Protocol $server_protocol; proxy_pass http://%%first%%; }
--- provider_first
200 {"a":1}
--- request
POST /v1/messages
{"model":"m"}
--- more_headers
X-A: 1
--- http2
--- response_headers
x-protocol: HTTP/2.0
--- response_json
{"a":1}
--- provider_first_got
POST /v1/messages
x-a: 1
content-type: application/json
--- provider_first_got_body
{"model":"m"}

=== a response that is cut is seen to be incomplete
--- config
    location / { proxy_http_version 1.1; proxy_buffering off; proxy_pass http://%%first%%; }
--- provider_first
{"fault":"cut","after":1,"sse":["one","two"]}
--- request
GET /
--- incomplete_response
--- response_body_like: data: one

=== a client goes away in the middle of a stream
--- config
    location / { proxy_http_version 1.1; proxy_buffering off; proxy_pass http://%%first%%; }
--- provider_first
{"fault":"stall","after":1,"sse":["one","two"]}
--- request
GET /
--- abort_after: data: one
--- provider_first_client_closed
--- access_log
"GET / HTTP/1.1" 

=== a client goes away before it got anything
--- config
    location / { proxy_pass http://%%first%%; }
--- provider_first
{"fault":"hang"}
--- request
GET /
--- abort_after: provider first
--- provider_first_client_closed: 1
--- access_log
" 499 

=== a client goes away after some bytes
--- config
    location / { return 200 "0123456789"; }
--- request
GET /
--- abort_after: 5

=== the configuration changes between two requests
--- config
    location / { return 200 "before"; }
--- reload_config
    location / { return 200 "after"; }
--- requests
GET /
>>> reload, new connection
GET /
--- response_body
before
>>>
after

=== the server is reloaded before the request
--- workers: 2
--- config
    location / { return 200 "this"; }
--- reload
--- request
GET /
--- error_log
reconfiguring

=== the server is started anew between two requests
--- config
    location / { return 200 "$pid"; }
--- requests
GET /
>>> restart
GET /
--- after
my ($before, $after) = map { $_->{body} } $t->answers;
isnt($before, $after, 'another worker answers');

=== a worker may be killed where that is expected
--- config
    location / { return 200 "this"; }
--- requests
GET /
>>> kill worker, new connection
GET /
--- expected_alert
exited on signal 9

=== a configuration must be refused
--- config
    location / { erturn 200 "this"; }
--- must_fail
unknown directive "erturn" in %%root%%/nginx.conf

=== a configuration must give a warning, and works
--- http_config
    server { listen 127.0.0.1:%%port2%%; server_name same; }
    server { listen 127.0.0.1:%%port2%%; server_name same; }
--- config
    location / { return 200 "this"; }
--- must_warn
conflicting server name "same" on 127.0.0.1:%%port2%%, ignored
--- request
GET /
--- response_body: this

=== a whole configuration file must load
--- nginx_conf
%%load_module%%
error_log logs/error.log;
events {}
http { access_log off; server { listen 127.0.0.1:%%port%%; } }
--- must_load

=== files are there before nginx starts
--- user_files
>>> static/a.txt
first
line
>>> b.conf
add_header X-B b;
--- config
    include b.conf;
    location / { root %%root%%/static; }
--- request
GET /a.txt
--- response_body eval
"first\nline\n"
--- response_headers
x-b: b

=== the environment is what the block says
--- env
TZ=XYZ-9
--- config
    location / { return 200 "$time_local"; }
--- request
GET /
--- response_body_like: \+0900$

=== nobody listens at the closed address
--- config
    location / { proxy_pass http://%%closed%%; }
--- request
GET /
--- error_code: 502
--- error_log
connect() failed (111: Connection refused)
~upstream: "http://%%closed%%/"
--- no_error_log
timed out

=== the log format is the test's
--- http_config
    log_format short '$request_method $status';
--- config
    location / { return 201; }
--- request
GET /
--- error_code: 201
--- access_log
^GET 201$
--- no_access_log
HTTP/1

=== a provider speaks TLS with a certificate that can be verified
--- config
    location / {
        proxy_pass https://%%first_tls%%;
        proxy_ssl_trusted_certificate %%first_tls_ca%%;
        proxy_ssl_verify on;
        proxy_ssl_server_name on;
        proxy_ssl_name first.test;
    }
    location /other/ {
        proxy_pass https://%%first_tls%%;
        proxy_ssl_trusted_certificate %%first_tls_ca%%;
        proxy_ssl_verify on;
        proxy_ssl_name other.test;
    }
--- provider_first_tls
200 secure
--- requests
GET /
>>>
GET /other/
--- error_code: 200 502
--- response_body_like
secure
>>>
502
--- provider_first_tls_requests: 1

=== a compressed answer is unpacked
--- config
    location / { gzip on; gzip_min_length 1; gzip_types *; return 200 "packed"; }
--- request
GET /
--- more_headers
Accept-Encoding: gzip
--- response_headers
content-encoding: gzip
--- gunzip
--- response_body: packed

=== Perl code can ask and look around
--- config
    location / { return 200 "$http_x_a"; }
--- after
is($t->request("GET /", "X-A: 5")->{body}, 5, 'an exchange');
ok((wait_until { $t->access_log =~ /GET/ } 5), 'the log has it');
$t->restart;
is($t->address, '127.0.0.1:' . $t->port, 'the address');
is($t->request("GET /")->{status}, 200, 'nginx is back');
--- after_stop
like($t->error_log, qr/gracefully shutting down/, 'nginx has ended');

=== an answer in time
--- config
    location / { return 200; }
--- request
GET /
--- answered_within: 2s
--- log_level: notice
--- no_error_log
[info]

=== a block that would fail can be skipped
--- SKIP
--- config
    location / { return 500; }
--- request
GET /
