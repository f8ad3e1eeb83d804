# Providers repeat the key they got. Where an answer does so, *** stands in its place; every other
# byte is the provider's.

use POSIX ();
use Socket;
use Test::LLM 'no_plan';

# A provider that answers with these very bytes, at the address that %%closed%% stands for.
sub serve {
    my ($t, $answer) = @_;
    my ($port) = $t->read_file('nginx.conf') =~ /server 127\.0\.0\.1:(\d+)/;
    socket my $listener, PF_INET, SOCK_STREAM, 0 or die $!;
    setsockopt $listener, SOL_SOCKET, SO_REUSEADDR, 1 or die $!;
    bind $listener, pack_sockaddr_in($port, INADDR_LOOPBACK) or die $!;
    listen $listener, 8 or die $!;
    my $pid = fork // die $!;
    return $pid if $pid;
    while (accept my $connection, $listener) {
        sysread $connection, my $request, 100_000;
        syswrite $connection, $answer;
        close $connection;
    }
    POSIX::_exit(0);
}

sub header_of { (Test::LLM::Client::header_values($_[0], $_[1]))[0] // '' }

run_tests();

__DATA__

=== a refusal that repeats the key
--- http_config
    upstream one { server %%first%%; }
    upstream two { server %%second%%; }
--- config
    llm_proxy_route first one;
    llm_proxy_route second two anthropic;
    llm_proxy_model_pattern a first;
    llm_proxy_model_pattern b second;
    llm_auth_credential first sk-first-SECRET-1;
    llm_auth_credential second sk-second-SECRET-2;
    location /v1/ { llm_proxy; llm_auth; proxy_pass http://$llm_provider_upstream; }
--- provider_first
401 {"error":{"message":"Incorrect API key provided: sk-first-SECRET-1. You can find it at https://example.org"}}

500 sk-first-SECRET-1

400 {"a":"sk-first-SECRET-1","b":["sk-first-SECRET-1sk-first-SECRET-1"],"c":"Bearer sk-first-SECRET-1"}
--- provider_second
401 {"type":"error","error":{"type":"authentication_error","message":"invalid x-api-key sk-second-SECRET-2"}}
--- requests
POST /v1/chat/completions
{"model":"a"}
>>>
POST /v1/chat/completions
{"model":"a"}
>>>
POST /v1/chat/completions
{"model":"a"}
>>>
POST /v1/messages
{"model":"b","max_tokens":5,"messages":[]}
--- error_code: 401 500 400 401
--- response_body
{"error":{"message":"Incorrect API key provided: ***. You can find it at https://example.org"}}
>>>
***
>>>
{"a":"***","b":["******"],"c":"Bearer ***"}
>>>
{"type":"error","error":{"type":"authentication_error","message":"invalid x-api-key ***"}}
--- response_headers
content-type: application/json
>>>
>>>
content-type: application/json
>>>
content-type: application/json

=== every key of the location is masked, not only the one that was sent
--- http_config
    upstream one { server %%first%%; }
    upstream two { server %%second%%; }
--- env
LLM_KEY=sk-env-SECRET-3
--- user_files
>>> key
sk-file-SECRET-4
--- config
    llm_proxy_route first one;
    llm_proxy_route second two;
    llm_proxy_default_provider first;
    llm_auth_tenant nobody;
    llm_auth_tenant_fallback_shared on;
    llm_auth_credential first sk-first-SECRET-1;
    llm_auth_credential second sk-second-SECRET-2;
    llm_auth_credential first env:LLM_KEY;
    llm_auth_credential second file:key;
    llm_auth_tenant_credential red first sk-red-SECRET-5;
    location /v1/ { llm_proxy; llm_auth; proxy_pass http://$llm_provider_upstream; }
--- provider_first
400 {"1":"sk-first-SECRET-1","2":"sk-second-SECRET-2","3":"sk-env-SECRET-3","4":"sk-file-SECRET-4","5":"sk-red-SECRET-5"}
--- request
POST /v1/chat/completions
{"model":"a"}
--- error_code: 400
--- response_body
{"1":"***","2":"***","3":"***","4":"***","5":"***"}

=== a key as JSON and URLs write it
--- http_config
    upstream one { server %%first%%; }
--- config
    llm_proxy_route first one;
    llm_proxy_default_provider first;
    llm_auth_credential first 'sk-SECRET/1+2="\3';
    location /v1/ { llm_proxy; llm_auth; proxy_pass http://$llm_provider_upstream; }
--- provider_first
{"status":400,"body":"plain sk-SECRET/1+2=\"\\3."}

{"status":400,"body":"{\"json\":\"sk-SECRET/1+2=\\\"\\\\3\"}"}

{"status":400,"body":"{\"php\":\"sk-SECRET\\/1+2=\\\"\\\\3\"}"}

{"status":400,"body":"https://example.org/?key=sk-SECRET%2F1%2B2%3D%22%5C3&b"}

{"status":400,"body":"https://example.org/?key=sk-SECRET%2f1%2b2%3d%22%5c3&b"}
--- requests
POST /v1/chat/completions
{"model":"a"}
>>>
POST /v1/chat/completions
{"model":"a"}
>>>
POST /v1/chat/completions
{"model":"a"}
>>>
POST /v1/chat/completions
{"model":"a"}
>>>
POST /v1/chat/completions
{"model":"a"}
--- error_code: 400
--- response_body
plain ***.
>>>
{"json":"***"}
>>>
{"php":"***"}
>>>
https://example.org/?key=***&b
>>>
https://example.org/?key=***&b

=== headers that repeat the key
--- http_config
    upstream one { server %%first%%; }
--- config
    llm_proxy_route first one;
    llm_proxy_default_provider first;
    llm_auth_credential first sk-first-SECRET-1;
    location /v1/ { llm_proxy; llm_auth; proxy_pass http://$llm_provider_upstream; }
--- provider_first
{"status":401,"json":{},"headers":{"www-authenticate":"Bearer error=\"sk-first-SECRET-1\"","x-echo":"a sk-first-SECRET-1 b","set-cookie":"k=sk-first-SECRET-1"}}

{"status":307,"headers":{"location":"https://example.org/?k=sk-first-SECRET-1","refresh":"1; url=/sk-first-SECRET-1"}}

{"headers":{"x-echo":"sk-first-SECRET-1","etag":"\"sk-first-SECRET-1\"","link":"</sk-first-SECRET-1>"}}
--- requests
POST /v1/chat/completions
{"model":"a"}
>>>
POST /v1/chat/completions
{"model":"a"}
>>>
POST /v1/chat/completions
{"model":"a"}
--- error_code: 401 307 200
--- response_headers
www-authenticate: Bearer error="***"
x-echo: a *** b
set-cookie: k=***
>>>
location: https://example.org/?k=***
refresh: 1; url=/***
>>>
x-echo: ***
link: </***>

=== the words behind the status
--- http_config
    upstream one { server %%closed%%; }
--- config
    llm_proxy_route first one;
    llm_proxy_default_provider first;
    llm_auth_credential first sk-first-SECRET-1;
    location /v1/ { llm_proxy; llm_auth; proxy_pass http://$llm_provider_upstream; }
--- init
our $server = main::serve($t, "HTTP/1.1 401 No sk-first-SECRET-1\r\nContent-Length: 0\r\n\r\n");
--- request
POST /v1/chat/completions
{"model":"a"}
--- error_code: 401
--- raw_response_headers_like
\AHTTP/1\.1 401 Unauthorized\r$
--- after
kill TERM => our $server;
waitpid $server, 0;

=== a key as a content type
--- http_config
    upstream one { server %%first%%; }
--- config
    llm_proxy_route first one;
    llm_proxy_default_provider first;
    llm_auth_credential first sk-first-SECRET-1;
    location /v1/ { llm_proxy; llm_auth; proxy_pass http://$llm_provider_upstream; }
--- provider_first
{"status":401,"json":{},"headers":{"content-type":"application/json; k=sk-first-SECRET-1"}}
--- request
POST /v1/chat/completions
{"model":"a"}
--- error_code: 401
--- response_headers
content-type: application/json; k=***

=== variables of nginx that hold a provider's headers do not hold the key
--- http_config
    upstream one { server %%first%%; }
    log_format echo '$status [$upstream_http_x_echo] [$sent_http_x_echo] [$upstream_http_www_authenticate]';
--- config
    llm_proxy_route first one;
    llm_proxy_default_provider first;
    llm_auth_credential first sk-first-SECRET-1;
    location /v1/ { llm_proxy; llm_auth; proxy_pass http://$llm_provider_upstream; }
--- provider_first
{"status":401,"json":{},"headers":{"www-authenticate":"sk-first-SECRET-1","x-echo":"sk-first-SECRET-1"}}
--- request
POST /v1/chat/completions
{"model":"a"}
--- error_code: 401
--- access_log
^401 \[\*\*\*\] \[\*\*\*\] \[\*\*\*\]$

=== a key that is cut anywhere by the provider's packets
--- http_config
    upstream one { server %%first%%; }
--- config
    llm_proxy_route first one;
    llm_proxy_default_provider first;
    llm_auth_credential first sk-first-SECRET-1;
    llm_proxy;
    llm_auth;
    location /buffered/ { proxy_pass http://$llm_provider_upstream; }
    location /unbuffered/ { proxy_buffering off; proxy_pass http://$llm_provider_upstream; }
--- after
my ($before, $secret, $after) = ('{"message":"key sk-first-', 'sk-first-SECRET-1', ' sk-"}');
my $text = "$before$secret$after";
for my $kind (qw(buffered unbuffered)) {
    for my $cut (length($before) - 1 .. length("$before$secret") + 1) {
        my @chunks = (substr($text, 0, $cut), substr($text, $cut));
        $t->mock->script('first', [
            { status => 400, framing => 'chunked', chunks => \@chunks, pace_ms => 1 },
        ]);
        my $answer = $t->request(qq(POST /$kind/v1/chat/completions\n{"model":"m"}));
        is($answer->{body}, "$before***$after", "$kind: cut behind $cut bytes");
        ok($answer->{complete}, 'the answer is complete');
    }
}
$t->mock->script('first', [
    { status => 400, framing => 'chunked', chunks => [ split //, $text ], pace_ms => 1 },
]);
is($t->request(qq(POST /unbuffered/v1/chat/completions\n{"model":"m"}))->{body},
    "$before***$after", 'byte by byte');

=== a key that is cut by nginx's buffers and its temporary file
--- http_config
    upstream one { server %%first%%; }
--- config
    llm_proxy_route first one;
    llm_proxy_default_provider first;
    llm_auth_credential first sk-first-SECRET-1;
    location /v1/ {
        llm_proxy;
        llm_auth;
        proxy_buffer_size 4k;
        proxy_buffers 2 4k;
        proxy_busy_buffers_size 4k;
        proxy_pass http://$llm_provider_upstream;
    }
--- after
for my $framing (qw(chunked length close)) {
    # The length of a piece has no divisor in common with that of a buffer.
    my $piece = 'abcdefghijkl sk-first-SECRET-1 sk-first-SECRET mnopqrs';
    my $masked = $piece =~ s/sk-first-SECRET-1/***/r;
    my $count = 4000;
    $t->mock->script('first', [
        { status => 400, framing => $framing, chunks => [ ($piece) x $count ] },
    ]);
    my $answer = $t->request(qq(POST /v1/chat/completions\n{"model":"m"}));
    is(length $answer->{body}, $count * length $masked, "$framing: no byte more or less");
    ok($answer->{body} eq $masked x $count, 'each key is masked, and nothing else');
    ok($answer->{complete}, 'the answer is complete');
    # The parts of a key are no key, but the harness takes them for one.
    $answer->{raw} = '';
}

=== what is no key is not touched, to the byte
--- http_config
    upstream one { server %%first%%; }
--- config
    llm_proxy_route first one;
    llm_proxy_default_provider first;
    llm_auth_credential first sk-first-SECRET-12345;
    location /v1/ { llm_proxy; llm_auth; proxy_pass http://$llm_provider_upstream; }
--- after
my $bytes = join '', (map { chr } 0 .. 255), 'sk-', 'sk-first-', 'SK-FIRST-secret-12345', '*' x 3;
require MIME::Base64;
for my $framing (qw(chunked length close)) {
    $t->mock->script('first', [
        {
            status => 418, framing => $framing, headers => { 'content-type' => 'x/y' },
            body_base64 => MIME::Base64::encode_base64($bytes, ''),
        },
    ]);
    my $answer = $t->request(qq(POST /v1/chat/completions\n{"model":"m"}));
    is($answer->{status}, 418, "$framing: the status");
    ok($answer->{body} eq $bytes, 'the bytes');
}

=== an answer without a body, to HEAD and otherwise
--- http_config
    upstream one { server %%first%%; }
--- config
    llm_proxy_route first one;
    llm_proxy_default_provider first;
    llm_auth_credential first sk-first-SECRET-1;
    location /v1/ { llm_proxy; llm_auth; proxy_pass http://$llm_provider_upstream; }
--- provider_first
{"status":404,"headers":{"x-echo":"sk-first-SECRET-1"}}

{"status":400,"body":""}
--- requests
HEAD /v1/models
>>>
GET /v1/models
--- error_code: 404 400
--- response_body
>>>

=== a redirect's page
--- http_config
    upstream one { server %%first%%; }
--- config
    llm_proxy_route first one;
    llm_proxy_default_provider first;
    llm_auth_credential first sk-first-SECRET-1;
    location /v1/ { llm_proxy; llm_auth; proxy_pass http://$llm_provider_upstream; }
--- provider_first
{"status":302,"headers":{"location":"/a"},"body":"see /?k=sk-first-SECRET-1"}
--- request
POST /v1/chat/completions
{"model":"a"}
--- error_code: 302
--- response_body chomp
see /?k=***

=== a success that holds an error, with the length that was told
--- http_config
    upstream one { server %%first%%; }
--- config
    llm_proxy_route first one;
    llm_proxy_default_provider first;
    llm_auth_credential first sk-first-SECRET-1;
    location /v1/ { llm_proxy; llm_auth; proxy_pass http://$llm_provider_upstream; }
--- provider_first
200 {"error":{"message":"Incorrect API key provided: sk-first-SECRET-1"}}

{"body":"sk-first-SECRET-1","headers":{"content-type":"text/plain"}}

202 {"error":{"message":"Incorrect API key provided: sk-first-SECRET-1"}}
--- requests
POST /v1/chat/completions
{"model":"a"}
>>>
POST /v1/chat/completions
{"model":"a"}
>>>
POST /v1/chat/completions
{"model":"a"}
--- error_code: 200 200 202
--- response_body
{"error":{"message":"Incorrect API key provided: *****************"}}
>>>
*****************
>>>
{"error":{"message":"Incorrect API key provided: ***"}}
--- response_headers
content-length: 69
!transfer-encoding
>>>
content-length: 17
!transfer-encoding
>>>
!content-length

=== content that repeats the key, cut anywhere
--- http_config
    upstream one { server %%first%%; }
--- config
    llm_proxy_route first one;
    llm_proxy_default_provider first;
    llm_auth_credential first sk-first-SECRET-1;
    location /v1/ { llm_proxy; llm_auth; proxy_pass http://$llm_provider_upstream; }
--- after
my ($before, $secret, $after) = ('{"choices":[{"text":"', 'sk-first-SECRET-1', '."}],"usage":{}}');
my $text = "$before$secret$after";
for my $framing (qw(chunked length)) {
    for my $cut (length($before) - 1, length($before) + 5, length("$before$secret")) {
        my @chunks = (substr($text, 0, $cut), substr($text, $cut));
        $t->mock->script('first', [
            {
                status => 200, framing => $framing, chunks => \@chunks, pace_ms => 1,
                headers => { 'content-type' => 'application/json' },
            },
        ]);
        my $answer = $t->request(qq(POST /v1/chat/completions\n{"model":"m"}));
        is($answer->{body}, $before . '*' x length($secret) . $after, "$framing, behind $cut bytes");
        ok($answer->{complete}, 'the answer is complete');
    }
}

=== a stream whose text repeats the key, cut anywhere
--- http_config
    upstream one { server %%first%%; }
--- config
    llm_proxy_route first one;
    llm_proxy_default_provider first;
    llm_auth_credential first sk-first-SECRET-1;
    location /v1/ { llm_proxy; llm_auth; proxy_pass http://$llm_provider_upstream; }
--- after
my $event = qq(data: {"choices":[{"index":0,"delta":{"content":"sk-first-SECRET-1 s"}}]}\n\n);
my $text = "$event${event}data: [DONE]\n\n";
my $masked = $text =~ s/sk-first-SECRET-1/***/gr;
for my $cut (40 .. 75) {
    my @chunks = (substr($text, 0, $cut), substr($text, $cut));
    $t->mock->script('first', [
        {
            status => 200, framing => 'chunked', chunks => \@chunks, pace_ms => 1,
            headers => { 'content-type' => 'text/event-stream' },
        },
    ]);
    my $answer = $t->request(qq(POST /v1/chat/completions\n{"model":"m","stream":true}));
    is($answer->{body}, $masked, "cut behind $cut bytes");
}

=== the end of an event never waits for the next one
--- http_config
    upstream one { server %%first%%; }
--- config
    llm_proxy_route first one;
    llm_proxy_default_provider first;
    llm_auth_credential first sk-first-SECRET-1;
    location /v1/ { llm_proxy; llm_auth; proxy_pass http://$llm_provider_upstream; }
--- provider_first
{"sse":["{\"choices\":[{\"index\":0,\"delta\":{\"content\":\"sk-first\"}}]}"],"fault":"stall","after":1}
--- request
POST /v1/chat/completions
{"model":"m","stream":true}
--- abort_after: "sk-first"}}]}\n\n

=== an error inside of a stream
--- http_config
    upstream one { server %%first%%; }
    upstream two { server %%second%%; }
--- config
    llm_proxy_route first one;
    llm_proxy_route second two anthropic;
    llm_proxy_model_pattern a first;
    llm_proxy_model_pattern b second;
    llm_auth_credential first sk-first-SECRET-1;
    llm_auth_credential second sk-second-SECRET-2;
    location /v1/ { llm_proxy; llm_auth; proxy_pass http://$llm_provider_upstream; }
--- provider_first
sse
{"error":{"message":"Incorrect API key provided: sk-first-SECRET-1","code":"invalid_api_key"}}

sse
{"choices":[{"index":0,"delta":{"content":"Hello"}}]}
{"error":{"message":"Incorrect API key provided: sk-first-SECRET-1","code":"invalid_api_key"}}
--- provider_second
sse
event: message_start data: {"type":"message_start","message":{"id":"m","type":"message","usage":{}}}
event: error data: {"type":"error","error":{"type":"authentication_error","message":"sk-second-SECRET-2"}}
--- requests
POST /v1/chat/completions
{"model":"a","stream":true}
>>>
POST /v1/chat/completions
{"model":"a","stream":true}
>>>
POST /v1/messages
{"model":"b","stream":true,"max_tokens":5,"messages":[]}
--- incomplete_response
--- response_sse
{"error":{"message":"Incorrect API key provided: ***","code":"invalid_api_key"}}
>>>
{"choices":[{"index":0,"delta":{"content":"Hello"}}]}
{"error":{"message":"Incorrect API key provided: ***","code":"invalid_api_key"}}
>>>
event: message_start data: {"type":"message_start","message":{"id":"m","type":"message","usage":{}}}
event: error data: {"type":"error","error":{"type":"authentication_error","message":"***"}}

=== an error that is packed, though we ask for none, goes without its body
--- http_config
    upstream one { server %%first%%; }
--- config
    llm_proxy_route first one;
    llm_proxy_default_provider first;
    llm_auth_credential first sk-first-SECRET-1;
    location /v1/ { llm_proxy; llm_auth; proxy_pass http://$llm_provider_upstream; }
--- provider_first
{"status":403,"gzip":true,"body":"{\"error\":{\"message\":\"sk-first-SECRET-1, sk-first-SECRET-1, sk-first-SECRET-1\"}}"}
--- request
POST /v1/chat/completions
{"model":"a"}
--- error_code: 403
--- response_json
{"error":{"code":"provider_error","message":"The provider answered with status 403. Try again later."}}
--- response_headers
!content-encoding

=== the page that nginx puts in the place of an answer
--- http_config
    upstream one { server %%first%%; }
--- config
    llm_proxy_route first one;
    llm_proxy_default_provider first;
    llm_auth_credential first sk-first-SECRET-1;
    location /v1/ {
        llm_proxy;
        llm_auth;
        proxy_intercept_errors on;
        error_page 401 /refused;
        proxy_pass http://$llm_provider_upstream;
    }
    location = /refused { internal; return 502 "refused"; }
--- provider_first
{"status":401,"body":"sk-first-SECRET-1","headers":{"x-echo":"sk-first-SECRET-1"}}
--- request
POST /v1/chat/completions
{"model":"a"}
--- error_code: 401
--- response_body chomp
refused

=== the key of a failed attempt that the next one repeats
--- http_config
    upstream one { server %%first%%; }
--- config
    llm_proxy_route first one;
    llm_proxy_default_provider first;
    llm_auth_credential first sk-first-SECRET-1 weight=4000000000;
    llm_auth_credential first sk-first-SECRET-2;
    location /v1/ { llm_proxy; llm_auth; proxy_pass http://$llm_provider_upstream; }
--- provider_first
401 {"error":{"message":"sk-first-SECRET-1"}}

401 {"error":{"message":"sk-first-SECRET-2, before sk-first-SECRET-1"}}
--- request
POST /v1/chat/completions
{"model":"a"}
--- error_code: 401
--- response_body
{"error":{"message":"***, before ***"}}

=== a secret that is too short to be told from other text is not looked for
--- http_config
    upstream one { server %%first%%; }
--- config
    llm_proxy_route first one;
    llm_proxy_default_provider first;
    llm_auth_credential first letmein;
    location /v1/ { llm_proxy; llm_auth; proxy_pass http://$llm_provider_upstream; }
--- provider_first
400 {"error":{"message":"letmein is no key"}}
--- request
POST /v1/chat/completions
{"model":"a"}
--- error_code: 400
--- response_body
{"error":{"message":"letmein is no key"}}

=== without llm_auth nothing is masked
--- http_config
    upstream one { server %%first%%; }
--- config
    llm_proxy_route first one;
    llm_proxy_default_provider first;
    llm_auth_credential first abc-not-looked-for;
    location /v1/ { llm_proxy; proxy_pass http://$llm_provider_upstream; }
--- provider_first
400 {"error":{"message":"abc-not-looked-for"}}
--- request
POST /v1/chat/completions
{"model":"a"}
--- error_code: 400
--- response_body
{"error":{"message":"abc-not-looked-for"}}
