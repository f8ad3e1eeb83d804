# A failed attempt is followed by a request of its own to the next target: its upstream block, path,
# host, TLS, key and model, and the client's body. Nothing of the failed one is in the answer.

use Test::LLM 'no_plan';

run_tests();

__DATA__

=== a 429 from the first provider is answered by the second
--- http_config
    upstream one { server %%first%%; }
    upstream two { server %%second%%; }
--- config
    llm_proxy_route first one;
    llm_proxy_route second two;
    llm_proxy_default_provider first;
    llm_fallback_route first second model-b;
    location /v1/ { llm_proxy; llm_fallback; proxy_pass http://$llm_provider_upstream; }
--- provider_first
429 {"error":{"type":"rate_limit"}}
--- provider_second
200 {"served_by":"second"}
--- request
POST /v1/chat/completions
{"model":"model-a"}
--- response_body: {"served_by":"second"}
--- provider_first_got_body: {"model":"model-a"}
--- provider_second_got_body: {"model":"model-b"}

=== it is off unless it is switched on
--- http_config
    upstream one { server %%first%%; }
    upstream two { server %%second%%; }
--- config
    llm_proxy_route first one;
    llm_proxy_route second two;
    llm_proxy_default_provider first;
    llm_fallback_route first second model-b;
    location /v1/ { llm_proxy; proxy_pass http://$llm_provider_upstream; }
--- provider_first
429 {"error":{"type":"rate_limit"}}
--- request
POST /v1/chat/completions
{"model":"model-a"}
--- error_code: 429
--- response_body: {"error":{"type":"rate_limit"}}
--- response_headers
!X-Fallback-Attempted
!X-Fallback-Attempt-Count
--- provider_second_requests: 0

=== it is inherited from http and server, and off undoes it
--- http_config
    upstream one { server %%first%%; }
    upstream two { server %%second%%; }
    llm_fallback;
    llm_fallback_route first second;
    llm_proxy_route first one;
    llm_proxy_route second two;
    llm_proxy_default_provider first;
    llm_proxy;
--- config
    location /http/v1/ { proxy_pass http://$llm_provider_upstream; }
    location /off/v1/ {
        llm_fallback off;
        location /off/v1/on/v1/ { llm_fallback on; proxy_pass http://$llm_provider_upstream; }
        proxy_pass http://$llm_provider_upstream;
    }
--- provider_first
{"status":500,"times":3}
--- requests
POST /http/v1/chat/completions
{"model":"m"}
>>>
POST /off/v1/chat/completions
{"model":"m"}
>>>
POST /off/v1/on/v1/chat/completions
{"model":"m"}
--- error_code: 200 500 200
--- provider_second_requests: 2

=== the lines of a location take the place of those above it
--- http_config
    upstream one { server %%first%%; }
    upstream two { server %%second%%; }
    upstream three { server %%third%%; }
    llm_fallback;
    llm_fallback_route first second;
    llm_fallback_on rate_limited;
    llm_fallback_max_attempts 3;
--- config
    llm_proxy_route first one;
    llm_proxy_route second two;
    llm_proxy_route third three;
    llm_proxy_default_provider first;
    location /a/v1/ { llm_proxy; proxy_pass http://$llm_provider_upstream; }
    location /b/v1/ {
        llm_proxy;
        llm_fallback_route first third;
        llm_fallback_on upstream_5xx;
        proxy_pass http://$llm_provider_upstream;
    }
--- provider_first
{"status":429}

{"status":500}

{"status":429}

{"status":500}
--- requests
POST /a/v1/chat/completions
{"model":"m"}
>>>
POST /a/v1/chat/completions
{"model":"m"}
>>>
POST /b/v1/chat/completions
{"model":"m"}
>>>
POST /b/v1/chat/completions
{"model":"m"}
--- error_code: 200 500 429 200
--- provider_second_requests: 1
--- provider_third_requests: 1

=== every status that means the provider is unwell
--- http_config
    upstream one { server %%first%%; }
    upstream two { server %%second%%; }
--- config
    llm_proxy_route first one;
    llm_proxy_route second two;
    llm_proxy_default_provider first;
    llm_fallback_route first second;
    location /v1/ { llm_proxy; llm_fallback; proxy_pass http://$llm_provider_upstream; }
--- provider_first
429 {}

500 {}

502 <html>bad gateway</html>

503

504 {}

520 {}

529 {}

408 {}
--- requests
POST /v1/chat/completions
{"model":"m","n":1}
>>>
POST /v1/chat/completions
{"model":"m","n":2}
>>>
POST /v1/chat/completions
{"model":"m","n":3}
>>>
POST /v1/chat/completions
{"model":"m","n":4}
>>>
POST /v1/chat/completions
{"model":"m","n":5}
>>>
POST /v1/chat/completions
{"model":"m","n":6}
>>>
POST /v1/chat/completions
{"model":"m","n":7}
>>>
POST /v1/chat/completions
{"model":"m","n":8}
--- response_body_like: Hello from second\.
--- provider_second_requests: 8

=== requests at fault themselves get what the provider says, byte by byte
--- http_config
    upstream one { server %%first%%; }
    upstream two { server %%second%%; }
--- config
    llm_proxy_route first one;
    llm_proxy_route second two;
    llm_proxy_default_provider first;
    llm_fallback_route first second;
    location /v1/ { llm_proxy; llm_fallback; proxy_pass http://$llm_provider_upstream; }
--- provider_first
400
X-Of-Provider: 1
{"error": {"message":"no",  "code":"invalid"}}

401
X-Of-Provider: 2
{"error": "key"}

403
X-Of-Provider: 3
not JSON

404
X-Of-Provider: 4
{"error": {"code":"model_not_found"}}

413
X-Of-Provider: 5
{}

422
X-Of-Provider: 6
{"detail": [ ]}
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
--- error_code: 400 401 403 404 413 422
--- response_body
{"error": {"message":"no",  "code":"invalid"}}
>>>
{"error": "key"}
>>>
not JSON
>>>
{"error": {"code":"model_not_found"}}
>>>
{}
>>>
{"detail": [ ]}
--- response_headers
X-Of-Provider: 1
>>>
X-Of-Provider: 2
>>>
X-Of-Provider: 3
>>>
X-Of-Provider: 4
>>>
X-Of-Provider: 5
>>>
X-Of-Provider: 6
--- provider_second_requests: 0

=== a provider that cannot be reached
--- http_config
    upstream one { server %%closed%%; }
    upstream two { server %%second%%; }
--- config
    llm_proxy_route first one;
    llm_proxy_route second two;
    llm_proxy_default_provider first;
    llm_fallback_route first second model-b;
    location /v1/ { llm_proxy; llm_fallback; proxy_pass http://$llm_provider_upstream; }
--- request
POST /v1/chat/completions
{"model":"model-a"}
--- response_json
{"model":"model-b"}
--- response_headers
X-LLM-Chain: ~^first/model-a:connect_error:\d+ms, second/model-b:200:\d+ms$

=== a connection that ends before the answer, by FIN or RST
--- http_config
    upstream one { server %%first%%; }
    upstream two { server %%second%%; }
--- config
    llm_proxy_route first one;
    llm_proxy_route second two;
    llm_proxy_default_provider first;
    llm_fallback_route first second;
    location /v1/ { llm_proxy; llm_fallback; proxy_pass http://$llm_provider_upstream; }
--- provider_first
{"fault":"close"}

{"fault":"reset"}
--- requests
POST /v1/chat/completions
{"model":"m"}
>>>
POST /v1/chat/completions
{"model":"m"}
--- response_body_like: Hello from second\.
--- response_headers
X-LLM-Chain: ~^first/m:connect_error:\d+ms, second/m:200:\d+ms$
--- provider_second_requests: 2

=== a provider that does not answer in time
--- http_config
    upstream one { server %%first%%; }
    upstream two { server %%second%%; }
--- config
    llm_proxy_route first one response_timeout=200ms;
    llm_proxy_route second two;
    llm_proxy_default_provider first;
    llm_fallback_route first second;
    location /v1/ { llm_proxy; llm_fallback; proxy_pass http://$llm_provider_upstream; }
--- provider_first
{"fault":"hang"}
--- request
POST /v1/chat/completions
{"model":"m"}
--- response_body_like: Hello from second\.
--- response_headers
X-LLM-Chain: ~^first/m:transport_timeout:[2-9]\d\dms, second/m:200:\d+ms$
--- provider_first_client_closed: 1

=== a connection that does not come about in time is both: no connection, and a timeout
--- http_config
    include deaf.conf;
    upstream two { server %%second%%; }
    llm_proxy;
    llm_proxy_route first deaf connect_timeout=200ms;
    llm_proxy_route second two;
    llm_proxy_default_provider first;
    llm_fallback;
    llm_fallback_route first second;
--- config
    location /1/v1/ { llm_fallback_on connect_error; proxy_pass http://$llm_provider_upstream; }
    location /2/v1/ { llm_fallback_on transport_timeout; proxy_pass http://$llm_provider_upstream; }
    location /3/v1/ { llm_fallback_on upstream_5xx; proxy_pass http://$llm_provider_upstream; }
--- init
# A full queue of connections that nobody accepts: the next one gets no answer.
use IO::Socket::INET ();
$::deaf = IO::Socket::INET->new(LocalAddr => '127.0.0.1', Listen => 1) or die "listen: $@\n";
@::queue = map {
    IO::Socket::INET->new(PeerAddr => '127.0.0.1', PeerPort => $::deaf->sockport, Blocking => 0)
} 1 .. 8;
$t->write_file('deaf.conf', 'upstream deaf { server 127.0.0.1:' . $::deaf->sockport . '; }');
--- requests
POST /1/v1/chat/completions
{"model":"m"}
>>>
POST /2/v1/chat/completions
{"model":"m"}
>>>
POST /3/v1/chat/completions
{"model":"m"}
--- error_code: 200 200 504
--- response_headers
X-LLM-Chain: ~^first/m:transport_timeout:\d+ms, second/m:200:\d+ms$
>>>
X-LLM-Chain: ~^first/m:transport_timeout:\d+ms, second/m:200:\d+ms$
>>>
X-LLM-Chain: ~^first/m:transport_timeout:\d+ms$

=== an answer that is not HTTP is an error of ours, in HTTP
--- http_config
    upstream one { server 127.0.0.1:%%port2%%; }
    upstream two { server %%second%%; }
--- config
    llm_proxy_route first one;
    llm_proxy_route second two;
    llm_proxy_default_provider first;
    llm_fallback_route first second;
    location /on/v1/ { llm_proxy; llm_fallback; proxy_pass http://$llm_provider_upstream; }
    location /off/v1/ { llm_proxy; proxy_pass http://$llm_provider_upstream; }
--- init
use IO::Socket::INET ();
my $listener = IO::Socket::INET->new(
    LocalAddr => $t->address =~ s/:.*//r, LocalPort => $t->port('port2'), Listen => 8, ReuseAddr => 1,
) or die "listen: $@\n";
$::server = fork // die $!;
if (!$::server) {
    while (my $connection = $listener->accept) {
        sysread $connection, my $request, 100_000;
        syswrite $connection, "SSH-2.0-nothing_of_the_kind\r\n\r\n";
        close $connection;
    }
    POSIX::_exit(0);
}
--- requests
POST /on/v1/chat/completions
{"model":"m"}
>>>
POST /off/v1/chat/completions
{"model":"m"}
--- error_code: 502
--- response_json
{"error":{"code":"provider_bad_response"}}
--- after
kill TERM => $::server;
waitpid $::server, 0;
--- provider_second_requests: 0

=== the second target has its own path, and the third one, too
--- http_config
    upstream one { server %%first%%; }
    upstream two { server %%second%%; }
    upstream three { server %%third%%; }
--- config
    llm_proxy_route first one base=/v1beta/openai;
    llm_proxy_route second two base=/api/paas/v4;
    llm_proxy_route third three;
    llm_proxy_default_provider first;
    llm_fallback_route first second;
    llm_fallback_route second third;
    llm_fallback_max_attempts 3;
    location /v1/ { llm_proxy; llm_fallback; proxy_pass http://$llm_provider_upstream; }
--- provider_first
{"status":500}
--- provider_second
{"status":500}
--- request
POST /v1/chat/completions?a=1&b=%2F
{"model":"m"}
--- response_body_like: Hello from third\.
--- provider_first_got
POST /v1beta/openai/chat/completions?a=1&b=%2F HTTP/1.1
--- provider_second_got
POST /api/paas/v4/chat/completions?a=1&b=%2F HTTP/1.1
--- provider_third_got
POST /v1/chat/completions?a=1&b=%2F HTTP/1.1

=== from plain HTTP to TLS, with host, handshake and certificate of the second
--- env
SSL_CERT_FILE=%%second_tls_ca%%
--- http_config
    upstream one { server %%first%%; }
    upstream two { server %%second_tls%%; }
--- config
    llm_proxy_route first one ssl=off host=one.test;
    llm_proxy_route second two ssl=on host=second.test;
    llm_proxy_default_provider first;
    llm_fallback_route first second;
    location /v1/ { llm_proxy; llm_fallback; proxy_pass https://$llm_provider_upstream; }
--- provider_first
{"status":500}
--- request
POST /v1/chat/completions
{"model":"m"}
--- response_body_like: Hello from second_tls\.
--- provider_first_got
POST /v1/chat/completions HTTP/1.1
host: one.test
--- provider_second_tls_got
POST /v1/chat/completions HTTP/1.1
host: second.test
--- after
is($t->mock->requests('second_tls')->[0]{sni}, 'second.test', 'SNI');

=== from TLS to plain HTTP
--- env
SSL_CERT_FILE=%%first_tls_ca%%
--- http_config
    upstream one { server %%first_tls%%; }
    upstream two { server %%second%%; }
--- config
    llm_proxy_route first one ssl=on host=first.test;
    llm_proxy_route second two ssl=off host=two.test;
    llm_proxy_default_provider first;
    llm_fallback_route first second;
    location /v1/ { llm_proxy; llm_fallback; proxy_pass https://$llm_provider_upstream; }
--- provider_first_tls
{"status":500}
--- request
POST /v1/chat/completions
{"model":"m"}
--- response_body_like: Hello from second\.
--- provider_second_got
POST /v1/chat/completions HTTP/1.1
host: two.test
--- after
is($t->mock->requests('first_tls')->[0]{sni}, 'first.test', 'SNI');

=== from TLS to TLS each certificate is checked for its own name
--- env
SSL_CERT_FILE=%%first_tls_ca%%
--- http_config
    upstream one { server %%first_tls%%; keepalive 4; }
    upstream two { server %%second_tls%%; keepalive 4; }
--- config
    llm_proxy_route first one host=first.test;
    llm_proxy_route second two host=second.test;
    llm_proxy_default_provider first;
    llm_fallback_route first second;
    location /v1/ { llm_proxy; llm_fallback; proxy_pass https://$llm_provider_upstream; }
--- provider_first_tls
{"status":500,"times":2}
--- requests
POST /v1/chat/completions
{"model":"m"}
>>>
POST /v1/chat/completions
{"model":"m"}
--- response_body_like: Hello from second_tls\.
--- after
is_deeply([ map { $_->{sni} } @{ $t->mock->requests('first_tls') } ], [ ('first.test') x 2 ], 'SNI');
is_deeply([ map { $_->{sni} } @{ $t->mock->requests('second_tls') } ], [ ('second.test') x 2 ], 'SNI');

=== a certificate that is not the provider's is a connect_error
--- env
SSL_CERT_FILE=%%first_tls_ca%%
--- http_config
    upstream one { server %%first_tls%%; }
    upstream two { server %%second_tls%%; }
--- config
    llm_proxy_route first one host=other.test;
    llm_proxy_route second two host=second.test;
    llm_proxy_default_provider first;
    llm_fallback_route first second;
    llm_fallback_on connect_error;
    location /v1/ { llm_proxy; llm_fallback; proxy_pass https://$llm_provider_upstream; }
--- request
POST /v1/chat/completions
{"model":"m"}
--- response_body_like: Hello from second_tls\.
--- response_headers
X-LLM-Chain: ~^first/m:connect_error:\d+ms, second/m:200:\d+ms$
--- provider_first_tls_requests: 0

=== each provider gets its own key and nothing of the other's or of the client's
--- env
KEY_ONE=sk-one-SECRET-1
KEY_TWO=sk-two-SECRET-2
--- http_config
    upstream one { server %%first%%; }
    upstream two { server %%second%%; }
    upstream three { server %%third%%; }
--- config
    llm_proxy_route first one;
    llm_proxy_route second two anthropic;
    llm_proxy_route third three anthropic;
    llm_proxy_default_provider second;
    llm_proxy_model_pattern model-a first;
    llm_proxy_model_pattern model-b second;
    llm_fallback_route second third;
    llm_auth;
    llm_auth_fail_closed off;
    llm_auth_credential first env:KEY_ONE;
    llm_auth_credential second env:KEY_ONE;
    llm_auth_credential third env:KEY_TWO;
    location /v1/ { llm_proxy; llm_fallback; proxy_pass http://$llm_provider_upstream; }
--- more_headers
Authorization: Bearer sk-client-SECRET-3
x-api-key: sk-client-SECRET-4
Cookie: session=sk-client-SECRET-5
anthropic-version: 2023-06-01
OpenAI-Organization: org-1
--- provider_second
{"status":529}
--- request
POST /v1/messages
{"model":"model-b","max_tokens":5,"messages":[]}
--- response_body_like: Hello from third\.
--- provider_second_got
POST /v1/messages
x-api-key: sk-one-SECRET-1
!authorization
!cookie
!openai-organization
--- provider_third_got
POST /v1/messages
x-api-key: sk-two-SECRET-2
!authorization
!cookie
!openai-organization

=== the body goes on byte by byte but for the model, with its own length
--- http_config
    upstream one { server %%first%%; }
    upstream two { server %%second%%; }
--- config
    llm_proxy_route first one;
    llm_proxy_route second two;
    llm_proxy_default_provider first;
    llm_fallback_route first second a-model-with-a-much-longer-name;
    location /v1/ { llm_proxy; llm_fallback; proxy_pass http://$llm_provider_upstream; }
--- provider_first
{"status":500}
--- request
POST /v1/chat/completions
{ "messages" : [{"content":"\u00e9 model \ud83d\ude00 ü"}],	"seed": 12345678901234567890, "model" :  "m" , "temperature":1.0e-2, "unknown":{"model":"m"} }
--- provider_first_got_body
{ "messages" : [{"content":"\u00e9 model \ud83d\ude00 ü"}],	"seed": 12345678901234567890, "model" :  "m" , "temperature":1.0e-2, "unknown":{"model":"m"} }
--- provider_second_got_body
{ "messages" : [{"content":"\u00e9 model \ud83d\ude00 ü"}],	"seed": 12345678901234567890, "model" :  "a-model-with-a-much-longer-name" , "temperature":1.0e-2, "unknown":{"model":"m"} }
--- after
for my $name ('first', 'second') {
    my ($request) = @{ $t->mock->requests($name) };
    my ($length) = Test::LLM::Client::header_values($request, 'content-length');
    is($length, length $request->{body}, "$name: Content-Length");
}

=== a model that no edge replaces stays, though it was replaced before
--- http_config
    upstream one { server %%first%%; }
    upstream two { server %%second%%; }
    upstream three { server %%third%%; }
--- config
    llm_proxy_route first one;
    llm_proxy_route second two;
    llm_proxy_route third three;
    llm_proxy_default_provider first;
    llm_proxy_model_alias fast first/model-a;
    llm_fallback_route first second model-b;
    llm_fallback_route first third;
    llm_fallback_max_attempts 3;
    location /v1/ { llm_proxy; llm_fallback; proxy_pass http://$llm_provider_upstream; }
--- provider_first
{"status":500}
--- provider_second
{"status":500}
--- request
POST /v1/chat/completions
{"model":"fast"}
--- response_json
{"model":"model-a"}
--- provider_first_got_body: {"model":"model-a"}
--- provider_second_got_body: {"model":"model-b"}
--- provider_third_got_body: {"model":"model-a"}

=== the replay of a body that lies in a file
--- http_config
    upstream one { server %%first%%; }
    upstream two { server %%second%%; }
    client_body_buffer_size 1k;
--- config
    llm_proxy_route first one;
    llm_proxy_route second two;
    llm_proxy_default_provider first;
    llm_fallback_route first second model-b;
    location /v1/ { llm_proxy; llm_fallback; proxy_pass http://$llm_provider_upstream; }
--- provider_first
{"status":500}
--- request
POST /v1/chat/completions
--- request_body_eval
'{"text":"' . join('', map { chr(97 + $_ % 26) } 1 .. 300_000) . '","model":"model-a"}'
--- response_json
{"model":"model-b"}
--- after
my $text = join '', map { chr(97 + $_ % 26) } 1 .. 300_000;
ok($t->mock->requests('first')->[0]{body} eq qq({"text":"$text","model":"model-a"}), 'the first body');
ok($t->mock->requests('second')->[0]{body} eq qq({"text":"$text","model":"model-b"}), 'the second body');

=== a body that comes in chunks is replayed with its length
--- http_config
    upstream one { server %%first%%; }
    upstream two { server %%second%%; }
--- config
    llm_proxy_route first one;
    llm_proxy_route second two;
    llm_proxy_default_provider first;
    llm_fallback_route first second;
    location /v1/ { llm_proxy; llm_fallback; proxy_pass http://$llm_provider_upstream; }
--- chunked: 3 5 7
--- provider_first
{"status":500}
--- request
POST /v1/chat/completions
{"model":"model-a","messages":[]}
--- provider_second_got
POST /v1/chat/completions HTTP/1.1
content-length: 33
!transfer-encoding
--- provider_second_got_body: {"model":"model-a","messages":[]}

=== a body that the first provider did not wait for
--- http_config
    upstream one { server %%first%%; }
    upstream two { server %%second%%; }
    client_body_buffer_size 4k;
--- config
    llm_proxy_route first one;
    llm_proxy_route second two;
    llm_proxy_default_provider first;
    llm_fallback_route first second;
    location /v1/ { llm_proxy; llm_fallback; proxy_pass http://$llm_provider_upstream; }
--- provider_first
{"status":503,"early":true}
--- request
POST /v1/chat/completions
--- request_body_eval
'{"model":"m","text":"' . 'x' x 3_000_000 . '"}'
--- response_body_like: Hello from second\.
--- after
is($t->mock->requests('second')->[0]{body_bytes}, 3_000_000 + length '{"model":"m","text":""}', 'bytes');

=== nothing of a failed attempt is in the answer
--- http_config
    upstream one { server %%first%%; }
    upstream two { server %%second%%; }
--- config
    llm_proxy_route first one;
    llm_proxy_route second two;
    llm_proxy_default_provider first;
    llm_fallback_route first second;
    location /v1/ { llm_proxy; llm_fallback; proxy_pass http://$llm_provider_upstream; }
--- provider_first
500
Set-Cookie: session=first
X-Request-Id: req_first
X-First: yes
Retry-After: 30
Content-Encoding: gzip
Cache-Control: max-age=3600
Last-Modified: Sat, 21 Nov 2026 08:00:00 GMT
ETag: "first"
X-RateLimit-Remaining-Tokens: 1
WWW-Authenticate: Basic
Location: http://first.test/
{"error":"of the first"}
--- provider_second
200
X-Second: yes
X-RateLimit-Remaining-Requests: 7
{"from":"second"}
--- request
POST /v1/chat/completions
{"model":"m"}
--- response_body: {"from":"second"}
--- response_headers
!Set-Cookie
!X-First
!Retry-After
!Content-Encoding
!Cache-Control
!Last-Modified
!ETag
!X-RateLimit-Remaining-Tokens
!X-LLM-Remaining-Tokens
!X-LLM-Reset-After-Ms
!WWW-Authenticate
!Location
X-Second: yes
X-LLM-Remaining-Requests: 7
X-Request-Id: ~^req_mock_
Content-Length: 17
Content-Type: application/json

=== a stream that is refused is answered by the stream of the second
--- http_config
    upstream one { server %%first%%; }
    upstream two { server %%second%%; }
--- config
    llm_proxy_route first one;
    llm_proxy_route second two;
    llm_proxy_default_provider first;
    llm_fallback_route first second model-b;
    location /v1/ { llm_proxy; llm_fallback; proxy_pass http://$llm_provider_upstream; }
--- provider_first
429 {"error":{"code":"rate_limit_exceeded"}}
--- provider_second
sse
{"choices":[{"delta":{"content":"a"}}]}
{"choices":[{"delta":{},"finish_reason":"stop"}]}
[DONE]
--- request
POST /v1/chat/completions
{"model":"model-a","stream":true}
--- response_sse
{"choices":[{"delta":{"content":"a"}}]}
{"choices":[{"delta":{},"finish_reason":"stop"}]}
[DONE]
--- response_headers
Content-Type: ~^text/event-stream
X-LLM-Provider: second
--- provider_second_got_json
{"model":"model-b","stream":true,"stream_options":{"include_usage":true}}

=== a stream's first provider is gone, does not answer, or sends a head only
--- http_config
    upstream one { server %%first%%; }
    upstream two { server %%second%%; }
--- config
    llm_proxy_route first one response_timeout=200ms;
    llm_proxy_route second two;
    llm_proxy_default_provider first;
    llm_fallback_route first second;
    llm_fallback_on connect_error transport_timeout stream_error;
    location /v1/ { llm_proxy; llm_fallback; proxy_pass http://$llm_provider_upstream; }
--- provider_first
{"fault":"close"}

{"fault":"hang"}

{"fault":"cut","after":0}
--- requests
POST /v1/chat/completions
{"model":"m","stream":true}
>>>
POST /v1/chat/completions
{"model":"m","stream":true}
>>>
POST /v1/chat/completions
{"model":"m","stream":true}
--- response_body_like
" second\."
data: \[DONE\]\n\n\z
--- provider_second_requests: 3

=== in Anthropic's dialect
--- http_config
    upstream one { server %%first%%; }
    upstream two { server %%second%%; }
--- config
    llm_proxy_route first one anthropic;
    llm_proxy_route second two anthropic;
    llm_proxy_default_provider first;
    llm_fallback_route first second claude-b;
    location /v1/ { llm_proxy; llm_fallback; proxy_pass http://$llm_provider_upstream; }
--- provider_first
{"error":"overloaded","times":2}
--- requests
POST /v1/messages
{"model":"claude-a","max_tokens":5,"messages":[]}
>>>
POST /v1/messages
{"model":"claude-a","max_tokens":5,"stream":true,"messages":[]}
--- response_body_like
"model":"claude-b"
>>>
"model":"claude-b"
event: message_stop
--- response_headers
X-LLM-Chain: ~^first/claude-a:529:\d+ms, second/claude-b:200:\d+ms$

=== requests without a body, and without a model
--- http_config
    upstream one { server %%first%%; }
    upstream two { server %%second%%; }
--- config
    llm_proxy_route first one;
    llm_proxy_route second two base=/v2;
    llm_proxy_default_provider first;
    llm_fallback_route first second model-b;
    location /v1/ { llm_proxy; llm_fallback; proxy_pass http://$llm_provider_upstream; }
--- provider_first
{"status":500}
--- request
GET /v1/models
--- response_json
{"object":"list"}
--- response_headers
X-LLM-Chain: ~^first:500:\d+ms, second:200:\d+ms$
--- provider_second_got
GET /v2/models HTTP/1.1

=== embeddings, completions and responses
--- http_config
    upstream one { server %%first%%; }
    upstream two { server %%second%%; }
--- config
    llm_proxy_route first one;
    llm_proxy_route second two;
    llm_proxy_default_provider first;
    llm_fallback_route first second model-b;
    location /v1/ { llm_proxy; llm_fallback; proxy_pass http://$llm_provider_upstream; }
--- provider_first
{"status":500,"times":3}
--- requests
POST /v1/embeddings
{"model":"model-a","input":"x"}
>>>
POST /v1/completions
{"model":"model-a","prompt":"x"}
>>>
POST /v1/responses
{"model":"model-a","input":"x","stream":true}
--- response_body_like
"model":"model-b"
>>>
"model":"model-b"
>>>
"model":"model-b"
event: response.completed
--- provider_second_requests: 3

=== proxy_buffering says nothing about it
--- http_config
    upstream one { server %%first%%; }
    upstream two { server %%second%%; }
    proxy_buffer_size 4k;
    proxy_buffers 2 4k;
    proxy_busy_buffers_size 4k;
--- config
    llm_proxy_route first one;
    llm_proxy_route second two;
    llm_proxy_default_provider first;
    llm_fallback_route first second;
    location /on/v1/ {
        llm_proxy; llm_fallback; proxy_buffering on; proxy_pass http://$llm_provider_upstream;
    }
    location /off/v1/ {
        llm_proxy; llm_fallback; proxy_buffering off; proxy_pass http://$llm_provider_upstream;
    }
--- provider_first
{"status":500,"size":20000,"times":4}
--- provider_second
{"size":100000,"times":4}
--- requests
POST /on/v1/chat/completions
{"model":"m"}
>>>
POST /on/v1/chat/completions
{"model":"m","stream":true}
>>>
POST /off/v1/chat/completions
{"model":"m"}
>>>
POST /off/v1/chat/completions
{"model":"m","stream":true}
--- response_body_like
"completion_tokens":7
>>>
data: \[DONE\]\n\n\z
>>>
"completion_tokens":7
>>>
data: \[DONE\]\n\n\z
--- after
cmp_ok(length $_->{body}, '>', 90_000, 'the whole answer') for $t->answers;

=== a refusal that is longer than any buffer is followed by the second provider's answer
--- http_config
    upstream one { server %%first%%; keepalive 4; }
    upstream two { server %%second%%; keepalive 4; }
--- config
    llm_proxy_route first one;
    llm_proxy_route second two;
    llm_proxy_default_provider first;
    llm_fallback_route first second;
    location /v1/ { llm_proxy; llm_fallback; proxy_pass http://$llm_provider_upstream; }
--- init
my $text = 'x' x 200_000;
$t->mock->script(first => [ { status => 500, body => $text }, { status => 502, body => $text, framing => 'chunked' },
    { status => 503, body => $text, framing => 'close' } ]);
--- requests
POST /v1/chat/completions
{"model":"m"}
>>>
POST /v1/chat/completions
{"model":"m"}
>>>
POST /v1/chat/completions
{"model":"m"}
--- response_body_like: Hello from second\.
--- provider_first_requests: 3

=== the refusal that passes through is whole, however long
--- http_config
    upstream one { server %%first%%; }
    upstream two { server %%second%%; }
--- config
    llm_proxy_route first one;
    llm_proxy_route second two;
    llm_proxy_default_provider first;
    llm_fallback_route first second;
    location /v1/ { llm_proxy; llm_fallback; proxy_pass http://$llm_provider_upstream; }
--- init
my $text = '{"error":{"message":"' . 'x' x 200_000 . '"}}';
$t->mock->script(first => [ map { { status => 400, body => $text, framing => $_ } } qw(length chunked close) ]);
--- requests
POST /v1/chat/completions
{"model":"m"}
>>>
POST /v1/chat/completions
{"model":"m"}
>>>
POST /v1/chat/completions
{"model":"m"}
--- error_code: 400
--- after
is(length $_->{body}, 200_000 + length('{"error":{"message":""}}'), 'the whole refusal') for $t->answers;
--- provider_second_requests: 0

=== with a cache the second provider's answer is stored, a refusal never
--- http_config
    upstream one { server %%first%%; }
    upstream two { server %%second%%; }
    proxy_cache_path %%root%%/cache keys_zone=llm:1m;
--- config
    llm_proxy_route first one;
    llm_proxy_route second two;
    llm_proxy_default_provider first;
    llm_fallback_route first second;
    proxy_cache llm;
    proxy_cache_methods POST;
    proxy_cache_key $uri$request_body;
    proxy_cache_valid 200 1m;
    add_header X-Cache $upstream_cache_status always;
    location /v1/ { llm_proxy; llm_fallback; proxy_pass http://$llm_provider_upstream; }
--- provider_first
{"status":500}

{"status":400}
--- requests
POST /v1/chat/completions
{"model":"m"}
>>>
POST /v1/chat/completions
{"model":"m"}
>>>
POST /v1/chat/completions
{"model":"other"}
--- error_code: 200 200 400
--- response_headers
X-Cache: MISS
>>>
X-Cache: HIT
>>>
X-Cache: MISS
--- response_body_like
Hello from second\.
>>>
Hello from second\.
>>>
error
--- provider_first_requests: 2
--- provider_second_requests: 1

=== with a cache a stream falls back, too, and is stored if its provider allows it
--- http_config
    upstream one { server %%first%%; }
    upstream two { server %%second%%; }
    proxy_cache_path %%root%%/cache keys_zone=llm:1m;
--- config
    llm_proxy_route first one;
    llm_proxy_route second two;
    llm_proxy_default_provider first;
    llm_fallback_route first second;
    proxy_cache llm;
    proxy_cache_methods POST;
    proxy_cache_key $uri$request_body;
    proxy_cache_valid 200 1m;
    location /v1/ { llm_proxy; llm_fallback; proxy_pass http://$llm_provider_upstream; }
--- provider_first
{"status":500}
--- provider_second
{"headers":{"cache-control":null},"event_size":500,"words":40}
--- requests
POST /v1/chat/completions
{"model":"m","stream":true}
>>>
POST /v1/chat/completions
{"model":"m","stream":true}
--- response_body_like
" second\.x+"
data: \[DONE\]\n\n\z
--- provider_first_requests: 1
--- provider_second_requests: 1

=== what a failed attempt said of caching does not count
--- http_config
    upstream one { server %%first%%; }
    upstream two { server %%second%%; }
    proxy_cache_path %%root%%/cache keys_zone=llm:1m;
--- config
    llm_proxy_route first one;
    llm_proxy_route second two;
    llm_proxy_default_provider first;
    llm_fallback_route first second;
    proxy_cache llm;
    proxy_cache_methods POST;
    proxy_cache_key $uri$request_body;
    add_header X-Cache $upstream_cache_status always;
    location /valid/v1/ { llm_proxy; llm_fallback; proxy_cache_valid 200 1m; proxy_pass http://$llm_provider_upstream; }
    location /none/v1/ { llm_proxy; llm_fallback; proxy_pass http://$llm_provider_upstream; }
--- provider_first
500
Cache-Control: no-store
{}

500
Cache-Control: max-age=3600
{}

500
Cache-Control: max-age=3600
{}
--- requests
POST /valid/v1/chat/completions
{"model":"m"}
>>>
POST /valid/v1/chat/completions
{"model":"m"}
>>>
POST /none/v1/chat/completions
{"model":"m"}
>>>
POST /none/v1/chat/completions
{"model":"m"}
--- response_headers
X-Cache: MISS
>>>
X-Cache: HIT
>>>
X-Cache: MISS
>>>
X-Cache: MISS
--- provider_second_requests: 3

=== connections of both providers are used again
--- http_config
    upstream one { server %%first%%; keepalive 4; }
    upstream two { server %%second%%; keepalive 4; }
--- config
    llm_proxy_route first one;
    llm_proxy_route second two;
    llm_proxy_default_provider first;
    llm_fallback_route first second;
    location /v1/ { llm_proxy; llm_fallback; proxy_pass http://$llm_provider_upstream; }
--- provider_second
{"times":3}
--- provider_first
{"status":500,"times":3}
--- requests
POST /v1/chat/completions
{"model":"m"}
>>>
POST /v1/chat/completions
{"model":"m"}
>>>
POST /v1/chat/completions
{"model":"m"}
--- after
is($t->mock->state('second')->{connections_total}, 1, 'connections to the second');

=== a kept connection that died is replaced for free
--- http_config
    upstream one { server %%first%%; keepalive 4; }
    upstream two { server %%second%%; keepalive 4; }
--- config
    llm_proxy_route first one;
    llm_proxy_route second two;
    llm_proxy_default_provider first;
    llm_fallback_route first second;
    location /v1/ { llm_proxy; llm_fallback; proxy_pass http://$llm_provider_upstream; }
--- provider_first
{}

{"fault":"close"}

{"words":2}
--- requests
POST /v1/chat/completions
{"model":"m"}
>>>
POST /v1/chat/completions
{"model":"m"}
--- response_body_like: Hello from
--- response_headers
X-Fallback-Attempt-Count: 1
X-LLM-Chain: ~^first/m:200:\d+ms$
--- provider_first_requests: 3
--- provider_second_requests: 0

=== a connection that dies on its first request is no dead kept one
--- http_config
    upstream one { server %%first%%; keepalive 4; }
    upstream two { server %%second%%; keepalive 4; }
--- config
    llm_proxy_route first one;
    llm_proxy_route second two;
    llm_proxy_default_provider first;
    llm_fallback_route first second;
    location /v1/ { llm_proxy; llm_fallback; proxy_pass http://$llm_provider_upstream; }
--- provider_first
{"fault":"close"}
--- request
POST /v1/chat/completions
{"model":"m"}
--- response_headers
X-Fallback-Attempt-Count: 2
X-LLM-Chain: ~^first/m:connect_error:\d+ms, second/m:200:\d+ms$

=== the replay of a dead kept connection that dies as well is an attempt
--- http_config
    upstream one { server %%first%%; keepalive 4; }
    upstream two { server %%second%%; keepalive 4; }
--- config
    llm_proxy_route first one;
    llm_proxy_route second two;
    llm_proxy_default_provider first;
    llm_fallback_route first second;
    location /v1/ { llm_proxy; llm_fallback; proxy_pass http://$llm_provider_upstream; }
--- provider_first
{}

{"fault":"close","times":2}
--- requests
POST /v1/chat/completions
{"model":"m"}
>>>
POST /v1/chat/completions
{"model":"m"}
--- response_headers
X-Fallback-Attempt-Count: 1
>>>
X-Fallback-Attempt-Count: 2
X-LLM-Chain: ~^first/m:connect_error:\d+ms, second/m:200:\d+ms$
--- provider_first_requests: 3
--- provider_second_requests: 1

=== servers of one block are nginx's to choose: one that is down costs no attempt
--- http_config
    upstream one { zone one 64k; server %%closed%% max_fails=1 fail_timeout=10s; server %%first%%; }
    upstream two { server %%second%%; }
--- config
    llm_proxy_route first one;
    llm_proxy_route second two;
    llm_proxy_default_provider first;
    llm_fallback_route first second;
    location /v1/ { llm_proxy; llm_fallback; proxy_pass http://$llm_provider_upstream; }
--- requests
POST /v1/chat/completions
{"model":"m"}
>>>
POST /v1/chat/completions
{"model":"m"}
>>>
POST /v1/chat/completions
{"model":"m"}
--- response_body_like: Hello from first\.
--- response_headers
X-Fallback-Attempt-Count: 1
--- provider_first_requests: 3
--- provider_second_requests: 0

=== a refusal does not mark a server of a block as down
--- http_config
    upstream one { zone one 64k; server %%first%% max_fails=1 fail_timeout=60s; }
    upstream two { server %%second%%; }
--- config
    llm_proxy_route first one;
    llm_proxy_route second two;
    llm_proxy_default_provider first;
    llm_fallback_route first second;
    location /v1/ { llm_proxy; llm_fallback; proxy_pass http://$llm_provider_upstream; }
--- provider_first
{"status":500}

{"status":429}

{}
--- requests
POST /v1/chat/completions
{"model":"m"}
>>>
POST /v1/chat/completions
{"model":"m"}
>>>
POST /v1/chat/completions
{"model":"m"}
--- response_body_like
Hello from second\.
>>>
Hello from second\.
>>>
Hello from first\.

=== when all servers of a block are down the next target is asked
--- http_config
    upstream one { zone one 64k; server %%closed%% max_fails=1 fail_timeout=60s; server 127.0.0.1:%%port2%% max_fails=1 fail_timeout=60s; }
    upstream two { server %%second%%; }
--- config
    llm_proxy_route first one;
    llm_proxy_route second two;
    llm_proxy_default_provider first;
    llm_fallback_route first second;
    location /v1/ { llm_proxy; llm_fallback; proxy_pass http://$llm_provider_upstream; }
--- requests
POST /v1/chat/completions
{"model":"m"}
>>>
POST /v1/chat/completions
{"model":"m"}
>>>
POST /v1/chat/completions
{"model":"m"}
--- response_body_like: Hello from second\.
--- response_headers
X-LLM-Chain: ~^first/m:connect_error:\d+ms, second/m:200:\d+ms$
X-Fallback-Attempt-Count: 2

=== what the last provider says is passed on when nobody is left
--- http_config
    upstream one { server %%first%%; }
    upstream two { server %%second%%; }
--- config
    llm_proxy_route first one;
    llm_proxy_route second two;
    llm_proxy_default_provider first;
    llm_fallback_route first second;
    location /v1/ { llm_proxy; llm_fallback; proxy_pass http://$llm_provider_upstream; }
--- provider_first
429 {"error":"first"}
--- provider_second
503
X-Of-Second: 1
{"error":  "second"}
--- request
POST /v1/chat/completions
{"model":"m"}
--- error_code: 503
--- response_body: {"error":  "second"}
--- response_headers
X-Of-Second: 1
X-LLM-Chain: ~^first/m:429:\d+ms, second/m:503:\d+ms$
X-Should-Retry: false

=== where the last one says nothing the gateway does, in the client's dialect
--- http_config
    upstream one { server %%first%%; }
    upstream two { server %%closed%%; }
    upstream three { server %%third%%; }
--- config
    llm_proxy_route first one;
    llm_proxy_route second two;
    llm_proxy_route third three anthropic response_timeout=200ms;
    llm_proxy_route fourth two anthropic;
    llm_proxy_default_provider first;
    llm_proxy_model_pattern model-a first;
    llm_proxy_model_pattern model-b third;
    llm_fallback_route first second;
    location /v1/ { llm_proxy; llm_fallback; proxy_pass http://$llm_provider_upstream; }
--- provider_first
{"status":500}
--- provider_third
{"fault":"hang"}
--- requests
POST /v1/chat/completions
{"model":"model-a"}
>>>
POST /v1/messages
{"model":"model-b","max_tokens":5,"messages":[]}
--- error_code: 502 504
--- response_json
{"error":{"code":"provider_unreachable","type":"server_error","message":"<<any>>"},"request_id":"<<match:^[0-9a-f]{32}$>>"}
>>>
{"type":"error","error":{"type":"timeout_error","message":"<<any>>"},"request_id":"<<match:^[0-9a-f]{32}$>>"}
--- response_headers
Content-Type: application/json
X-LLM-Chain: ~^first/model-a:500:\d+ms, second/model-a:connect_error:\d+ms$
X-Should-Retry: false
>>>
Content-Type: application/json
X-LLM-Chain: ~^third/model-b:transport_timeout:\d+ms$
X-Should-Retry: false

=== nginx's own variables list every try
--- http_config
    upstream one { server %%first%%; }
    upstream two { server %%second%%; }
    log_format tries '$status|$upstream_status|$upstream_addr|$upstream_bytes_sent';
--- config
    llm_proxy_route first one;
    llm_proxy_route second two;
    llm_proxy_default_provider first;
    llm_fallback_route first second;
    location /v1/ { llm_proxy; llm_fallback; proxy_pass http://$llm_provider_upstream; }
--- provider_first
{"status":429}
--- request
POST /v1/chat/completions
{"model":"m"}
--- access_log
^200\|429, 200\|%%first%%, %%second%%\|\d+, \d+$

=== over HTTP/2
--- http_config
    upstream one { server %%first%%; }
    upstream two { server %%second%%; }
--- config
    llm_proxy_route first one;
    llm_proxy_route second two;
    llm_proxy_default_provider first;
    llm_fallback_route first second;
    location /v1/ { llm_proxy; llm_fallback; proxy_pass http://$llm_provider_upstream; }
--- provider_first
{"status":500,"times":2}
--- http2
--- requests
POST /v1/chat/completions
{"model":"m"}
>>>
POST /v1/chat/completions
{"model":"m","stream":true}
--- response_body_like
Hello from second\.
>>>
data: \[DONE\]\n\n\z

=== whatever chooses among the servers of a block
--- http_config
    upstream one { least_conn; server %%first%%; server %%first%% backup; }
    upstream two { hash $request_id consistent; server %%second%%; server %%closed%% down; keepalive 2; }
    upstream three { random two least_conn; zone three 64k; server %%third%%; }
    upstream four { ip_hash; server %%fourth%%; }
--- config
    llm_proxy_route first one;
    llm_proxy_route second two;
    llm_proxy_route third three;
    llm_proxy_route fourth four;
    llm_proxy_default_provider first;
    llm_fallback_route first second;
    llm_fallback_route second third;
    llm_fallback_route third fourth;
    llm_fallback_max_attempts 4;
    location /v1/ { llm_proxy; llm_fallback; proxy_pass http://$llm_provider_upstream; }
--- provider_first
{"status":500,"times":3}
--- provider_second
{"status":500,"times":3}
--- provider_third
{"status":500,"times":3}
--- requests
POST /v1/chat/completions
{"model":"m"}
>>>
POST /v1/chat/completions
{"model":"m"}
>>>
POST /v1/chat/completions
{"model":"m","stream":true}
--- response_headers
X-LLM-Chain: ~^first/m:500:\d+ms, second/m:500:\d+ms, third/m:500:\d+ms, fourth/m:200:\d+ms$
--- provider_fourth_requests: 3

=== the model's name in the answer is the one asked for, if the operator says so
--- http_config
    upstream one { server %%first%%; }
    upstream two { server %%second%%; }
--- config
    llm_proxy_route first one;
    llm_proxy_route second two;
    llm_proxy_default_provider first;
    llm_fallback_route first second model-b;
    llm_proxy_response_model requested;
    location /v1/ { llm_proxy; llm_fallback; proxy_pass http://$llm_provider_upstream; }
--- provider_first
{"status":500,"times":2}
--- requests
POST /v1/chat/completions
{"model":"model-a"}
>>>
POST /v1/chat/completions
{"model":"model-a","stream":true}
--- response_body_like
"model":"model-a"
--- response_body_unlike
model-b
--- response_headers
X-LLM-Served-By: second/model-b

=== usage that the client has not asked for stays out of the second stream, too
--- http_config
    upstream one { server %%first%%; }
    upstream two { server %%second%%; }
    log_format usage '$llm_completion_tokens $llm_usage_source';
--- config
    llm_proxy_route first one;
    llm_proxy_route second two;
    llm_proxy_default_provider first;
    llm_fallback_route first second;
    location /v1/ { llm_proxy; llm_fallback; proxy_pass http://$llm_provider_upstream; }
--- provider_first
{"status":500,"times":2}
--- requests
POST /v1/chat/completions
{"model":"m","stream":true}
>>>
POST /v1/chat/completions
{"model":"m","stream":true,"stream_options":{"include_usage":true}}
--- response_body_unlike
"choices":\[\]
>>>
nothing of the kind
--- response_body_like
\[DONE\]
>>>
"choices":\[\]
--- access_log
^7 reported$

=== many at once
--- http_config
    upstream one { server %%first%%; keepalive 8; }
    upstream two { server %%second%%; keepalive 8; }
--- config
    llm_proxy_route first one;
    llm_proxy_route second two;
    llm_proxy_default_provider first;
    llm_fallback_route first second model-b;
    location /v1/ { llm_proxy; llm_fallback; proxy_pass http://$llm_provider_upstream; }
--- workers: 2
--- provider_first
{"status":500,"times":100}
--- concurrent: 100
--- request
POST /v1/chat/completions
{"model":"model-a","stream":true}
--- response_body_like
"model":"model-b"
data: \[DONE\]\n\n\z
--- provider_second_requests: 100

=== the upstream that proxy_pass names must follow the attempt
--- http_config
    upstream one { server %%first%%; }
    upstream two { server %%second%%; }
--- config
    llm_proxy_route first one;
    llm_proxy_route second two;
    llm_proxy_default_provider first;
    llm_fallback_route first second;
    location /v1/ { llm_proxy; llm_fallback; proxy_pass http://one; }
--- provider_first
{"status":500}
--- request
POST /v1/chat/completions
{"model":"m"}
--- response_body_like: Hello from second\.
--- provider_second_requests: 1

=== llm_fallback is on or off
--- config
    llm_fallback maybe;
--- must_fail
invalid value "maybe" in "llm_fallback" directive, it must be "on" or "off" in %%root%%/nginx.conf

=== llm_fallback has one argument at most
--- config
    llm_fallback on off;
--- must_fail
invalid number of arguments in "llm_fallback" directive in %%root%%/nginx.conf

=== llm_fallback is written once
--- config
    llm_fallback;
    llm_fallback off;
--- must_fail
"llm_fallback" directive is duplicate in %%root%%/nginx.conf
