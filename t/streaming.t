# A provider's stream on its way to the client: at once, whole events only, and not a byte changed.
# That an event comes at once is proved by providers that say nothing after it, ever: a client that
# has it cannot have waited for more.

use Test::LLM 'no_plan';

run_tests();

__DATA__

=== the events of a chat are with the client while its provider has not ended
--- http_config
    upstream first { server %%first%%; }
--- config
    llm_proxy_route first first;
    llm_proxy_default_provider first;
    location /v1/ { llm_proxy; proxy_pass http://$llm_provider_upstream; }
--- provider_first
sse {"fault":"stall","after":2}
{"choices":[{"index":0,"delta":{"role":"assistant","content":""}}]}
{"choices":[{"index":0,"delta":{"content":"Hello"}}]}
[DONE]
--- request
POST /v1/chat/completions
{"model":"m","stream":true,"stream_options":{"include_usage":true}}
--- abort_after: "Hello"\}\}\]\}\n\n
--- response_sse
{"choices":[{"index":0,"delta":{"role":"assistant","content":""}}]}
{"choices":[{"index":0,"delta":{"content":"Hello"}}]}
--- provider_first_client_closed

=== the first event does not wait for a second one
--- http_config
    upstream first { server %%first%%; }
--- config
    llm_proxy_route first first;
    llm_proxy_default_provider first;
    location /v1/ { llm_proxy; proxy_pass http://$llm_provider_upstream; }
--- provider_first
sse {"fault":"stall","after":1}
{"choices":[{"index":0,"delta":{"role":"assistant","content":""}}]}
[DONE]
--- request
POST /v1/chat/completions
{"model":"m","stream":true}
--- abort_after: assistant[^\n]*\n\n
--- response_sse
{"choices":[{"index":0,"delta":{"role":"assistant","content":""}}]}

=== the head does not wait for the first event
--- http_config
    upstream first { server %%first%%; }
--- config
    llm_proxy_route first first;
    llm_proxy_default_provider first;
    location /v1/ { llm_proxy; proxy_pass http://$llm_provider_upstream; }
--- provider_first
{"fault":"stall","after":0}
--- request
POST /v1/chat/completions
{"model":"m","stream":true}
--- abort_after: \r\n\r\n
--- error_code: 200
--- response_headers
content-type: text/event-stream; charset=utf-8

=== no proxy_buffering line holds an event back
--- http_config
    upstream first { server %%first%%; }
--- config
    llm_proxy on;
    llm_proxy_route first first;
    llm_proxy_default_provider first;
    location /default/v1/ { proxy_pass http://$llm_provider_upstream; }
    location /on/v1/ {
        proxy_buffering on;
        proxy_buffers 16 64k;
        proxy_buffer_size 64k;
        proxy_busy_buffers_size 128k;
        postpone_output 1460;
        proxy_pass http://$llm_provider_upstream;
    }
    location /off/v1/ { proxy_buffering off; proxy_pass http://$llm_provider_upstream; }
--- provider_first
{"fault":"stall","after":2,"times":3}

{"fault":"stall","after":2,"framing":"close","times":3}
--- requests
POST /default/v1/chat/completions
{"model":"m","stream":true}
>>>
POST /on/v1/chat/completions
{"model":"m","stream":true}
>>>
POST /off/v1/chat/completions
{"model":"m","stream":true}
>>>
POST /default/v1/chat/completions
{"model":"m","stream":true}
>>>
POST /on/v1/chat/completions
{"model":"m","stream":true}
>>>
POST /off/v1/chat/completions
{"model":"m","stream":true}
--- abort_after: "content":"Hello"[^\n]*\n\n
--- provider_first_client_closed: 6

=== a message of Anthropic's comes event by event
--- http_config
    upstream first { server %%first%%; }
--- config
    llm_proxy_route first first anthropic;
    llm_proxy_default_provider first;
    location /v1/ { llm_proxy; proxy_pass http://$llm_provider_upstream; }
--- provider_first
{"fault":"stall","after":4}
--- request
POST /v1/messages
{"model":"m","max_tokens":5,"stream":true,"messages":[]}
--- abort_after: "text":"Hello"[^\n]*\n\n
--- response_sse
event: message_start data: {"type":"message_start","message":{"model":"m"},"wild":"<<absent>>"}
event: content_block_start data: {"type":"content_block_start","wild":"<<absent>>"}
event: ping data: {"type":"ping"}
event: content_block_delta data: {"delta":{"type":"text_delta","text":"Hello"},"wild":"<<absent>>"}

=== a completion comes event by event
--- http_config
    upstream first { server %%first%%; }
--- config
    llm_proxy_route first first;
    llm_proxy_default_provider first;
    location /v1/ { llm_proxy; proxy_pass http://$llm_provider_upstream; }
--- provider_first
{"fault":"stall","after":1}
--- request
POST /v1/completions
{"model":"m","prompt":"","stream":true}
--- abort_after: "text":"Hello"[^\n]*\n\n

=== a response comes event by event
--- http_config
    upstream first { server %%first%%; }
--- config
    llm_proxy_route first first;
    llm_proxy_default_provider first;
    location /v1/ { llm_proxy; proxy_pass http://$llm_provider_upstream; }
--- provider_first
{"fault":"stall","after":1}
--- request
POST /v1/responses
{"model":"m","input":"","stream":true}
--- abort_after: event: response.created\ndata: [^\n]*\n\n

=== over HTTP/2 nothing is lost or held
--- http_config
    upstream first { server %%first%%; }
    log_format end '$server_protocol $llm_stream_state $llm_total_tokens';
--- config
    llm_proxy_route first first;
    llm_proxy_default_provider first;
    location /v1/ { llm_proxy; proxy_pass http://$llm_provider_upstream; }
--- provider_first
{"pace_ms":2,"words":30}
--- request
POST /v1/chat/completions
{"model":"m","stream":true}
--- http2
--- response_body_like
data: \[DONE\]\n\n\z
--- access_log
^HTTP/2.0 complete 46$

=== a client of HTTP/1.0 gets the stream until its connection closes
--- http_config
    upstream first { server %%first%%; }
    log_format end '$server_protocol $llm_stream_state';
--- config
    llm_proxy_route first first;
    llm_proxy_default_provider first;
    location /v1/ { llm_proxy; proxy_pass http://$llm_provider_upstream; }
--- provider_first
sse
{"choices":[{"index":0,"delta":{"content":"Hello"},"finish_reason":"stop"}]}
[DONE]
--- request
POST /v1/chat/completions HTTP/1.0
{"model":"m","stream":true}
--- response_headers
!transfer-encoding
!content-length
connection: close
--- response_body eval
qq(data: {"choices":[{"index":0,"delta":{"content":"Hello"},"finish_reason":"stop"}]}\n\n) .
qq(data: [DONE]\n\n)
--- access_log
^HTTP/1.0 complete$

=== what is sent with a stream keeps proxies behind us from holding it
--- http_config
    upstream first { server %%first%%; }
--- config
    llm_proxy_route first first;
    llm_proxy_default_provider first;
    location /v1/ { llm_proxy; proxy_pass http://$llm_provider_upstream; }
--- request
POST /v1/chat/completions
{"model":"m","stream":true}
--- response_headers
content-type: text/event-stream; charset=utf-8
x-accel-buffering: no
cache-control: no-cache
transfer-encoding: chunked
!content-length

=== a provider's words about buffering are not the client's
--- http_config
    upstream first { server %%first%%; }
--- config
    llm_proxy_route first first;
    llm_proxy_default_provider first;
    location /v1/ { llm_proxy; proxy_pass http://$llm_provider_upstream; }
--- provider_first
{"fault":"stall","after":2,
 "headers":{"X-Accel-Buffering":"yes","Cache-Control":["public","max-age=60"],"ETag":"\"a\"",
            "X-Accel-Limit-Rate":"1","X-Accel-Redirect":"/elsewhere","Last-Modified":"x"}}
--- request
POST /v1/chat/completions
{"model":"m","stream":true}
--- abort_after: "content":"Hello"[^\n]*\n\n
--- response_headers
x-accel-buffering: no
cache-control: no-cache
!etag
!last-modified
!x-accel-limit-rate

=== a stream is recognised by its type, however that is written
--- http_config
    upstream first { server %%first%%; }
--- config
    llm_proxy_route first first;
    llm_proxy_default_provider first;
    location /v1/ { llm_proxy; proxy_pass http://$llm_provider_upstream; }
--- provider_first
{"fault":"stall","after":2,"headers":{"content-type":"Text/Event-Stream"}}

{"fault":"stall","after":2,"headers":{"content-type":"text/event-stream ;charset=UTF-8"}}
--- requests
POST /v1/chat/completions
{"model":"m","stream":true}
>>>
POST /v1/chat/completions
{"model":"m","stream":true}
--- abort_after: "content":"Hello"[^\n]*\n\n
--- response_headers
x-accel-buffering: no

=== an event may be gzipped for the client, but not held for it
--- http_config
    upstream first { server %%first%%; }
--- config
    llm_proxy_route first first;
    llm_proxy_default_provider first;
    gzip on;
    gzip_types text/event-stream;
    gzip_proxied any;
    location /v1/ { llm_proxy; proxy_pass http://$llm_provider_upstream; }
--- after
require Compress::Raw::Zlib;
my $body = '{"model":"mock-stall-2","stream":true}';
my $client = Test::LLM::Client->new($t->address);
$client->transmit("POST /v1/chat/completions HTTP/1.1\r\nHost: a\r\nAccept-Encoding: gzip\r\n"
    . "Content-Type: application/json\r\nContent-Length: " . length($body) . "\r\n\r\n$body");
my $text = '';
my $answer = $client->receive(abort => sub {
    my ($head, $chunks) = $_[0] =~ /\A(.*?\r\n\r\n)(.*)\z/s or return 0;
    my $packed = '';
    while ($chunks =~ s/\A(?:\r\n)?([0-9a-f]+)\r\n//) { $packed .= substr $chunks, 0, hex $1, '' }
    my $inflate = Compress::Raw::Zlib::Inflate->new(-WindowBits => Compress::Raw::Zlib::WANT_GZIP());
    $inflate->inflate($packed, $text);
    return $text =~ /"content":"Hello"/;
});
ok($answer->{aborted}, 'the event came while the provider was silent');
$client->finish;

=== only whole events leave: half a one waits for its other half
--- http_config
    upstream first { server %%first%%; }
--- config
    llm_proxy_route first first;
    llm_proxy_default_provider first;
    location /v1/ { llm_proxy; proxy_pass http://$llm_provider_upstream; }
--- provider_first
{"fault":"stall","after":2,"chunks":["data: {\"n\":1}\n\ndata: {\"n\"",":2}\n\ndata: {\"n\":3","}\n\n"]}
--- request
POST /v1/chat/completions
{"model":"m","stream":true}
--- abort_after: "n":2
--- response_sse
{"n":1}
{"n":2}

=== a stream that is cut between any two bytes arrives as it was, and is counted
--- http_config
    upstream first { server %%first%%; }
    log_format end '$llm_stream_state $llm_prompt_tokens $llm_completion_tokens $llm_total_tokens';
--- config
    llm_proxy_route first first;
    llm_proxy_default_provider first;
    location /v1/ { llm_proxy; proxy_pass http://$llm_provider_upstream; }
--- provider_first eval
use JSON::PP ();
use MIME::Base64 ();
$::stream = qq(data: {"choices":[{"index":0,"delta":{"content":"\xc3\xa4\xe2\x82\xac\xf0\x9f\x98\x80"}}]}\n\n)
    . qq(: a comment\r\n\r\n) . qq(id: 7\ndata:{"choices":[],\ndata: "usage":{"prompt_tokens":1,)
    . qq("completion_tokens":2,"total_tokens":3}}\n\n) . qq(data: [DONE]\r\n\r\n);
JSON::PP->new->encode({ chunks_base64 => [ map { MIME::Base64::encode($_, '') } split //, $::stream ] });
--- request
POST /v1/chat/completions
{"model":"m","stream":true,"stream_options":{"include_usage":true}}
--- response_body eval: $::stream
--- access_log
^complete 1 2 3$

=== events with every line end there is arrive as they are
--- http_config
    upstream first { server %%first%%; }
    log_format end '$llm_stream_state $llm_total_tokens';
--- config
    llm_proxy_route first first;
    llm_proxy_default_provider first;
    location /v1/ { llm_proxy; proxy_pass http://$llm_provider_upstream; }
--- provider_first
{"pace_ms":2,"chunks":["data: {\"choices\":[{\"delta\":{\"content\":\"a\"}}]}\r\n\r","\ndata: {\"choices\":",
  "[{\"delta\":{\"content\":\"b\"}}]}\r\rdata: {\"choices\":[],\"usage\":{\"prompt_tokens\":1,\"completion_tokens\":2}}",
  "\n\ndata: [DONE]\r\n\n"]}
--- request
POST /v1/chat/completions
{"model":"m","stream":true,"stream_options":{"include_usage":true}}
--- response_body eval
qq(data: {"choices":[{"delta":{"content":"a"}}]}\r\n\r\ndata: {"choices":[{"delta":{"content":"b"}}]}\r\r) .
qq(data: {"choices":[],"usage":{"prompt_tokens":1,"completion_tokens":2}}\n\ndata: [DONE]\r\n\n)
--- access_log
^complete 3$

=== comments, names, numbers and retry lines pass
--- http_config
    upstream first { server %%first%%; }
--- config
    llm_proxy_route first first;
    llm_proxy_default_provider first;
    location /v1/ { llm_proxy; proxy_pass http://$llm_provider_upstream; }
--- provider_first
{"chunks":[": OPENROUTER PROCESSING\n\n","retry: 10\n\n","event: x\nid: 1\n:c\ndata: {}\n\n","\n\n",
  "data: [DONE]\n\n"]}
--- request
POST /v1/chat/completions
{"model":"m","stream":true}
--- response_body eval
": OPENROUTER PROCESSING\n\nretry: 10\n\nevent: x\nid: 1\n:c\ndata: {}\n\n\n\ndata: [DONE]\n\n"

=== an event that is no JSON is dropped, and the others are counted
--- http_config
    upstream first { server %%first%%; }
    log_format end '$llm_stream_state $llm_usage_source $llm_prompt_tokens $llm_completion_tokens';
--- config
    llm_proxy_route first first;
    llm_proxy_default_provider first;
    location /v1/ { llm_proxy; proxy_pass http://$llm_provider_upstream; }
--- provider_first
sse
{"choices":[{"delta":{"content":"a"}}]}
{"choices":[{"delta":{"content":
{"choices":[],"usage":{"prompt_tokens":9,"completion_tokens":4}}
[DONE]
--- request
POST /v1/chat/completions
{"model":"m","stream":true,"stream_options":{"include_usage":true}}
--- response_sse
{"choices":[{"delta":{"content":"a"}}]}
{"choices":[],"usage":{"prompt_tokens":9,"completion_tokens":4}}
[DONE]
--- access_log
^complete reported 9 4$

=== an event with broken UTF-8 is dropped
--- http_config
    upstream first { server %%first%%; }
--- config
    llm_proxy_route first first;
    llm_proxy_default_provider first;
    location /v1/ { llm_proxy; proxy_pass http://$llm_provider_upstream; }
--- provider_first eval
use MIME::Base64 ();
my @events = (qq(data: {"a":"\xff"}\n\n), qq(data: {"b":"\xc3\xa4"}\n\n), qq(data: [DONE]\n\n));
'{"chunks_base64":["' . CORE::join('","', map { MIME::Base64::encode($_, '') } @events) . '"]}'
--- request
POST /v1/chat/completions
{"model":"m","stream":true}
--- response_body eval: qq(data: {"b":"\xc3\xa4"}\n\ndata: [DONE]\n\n)

=== a malformed event of Anthropic's is dropped with its name
--- http_config
    upstream first { server %%first%%; }
    log_format end '$llm_stream_state $llm_prompt_tokens $llm_completion_tokens';
--- config
    llm_proxy_route first first anthropic;
    llm_proxy_default_provider first;
    location /v1/ { llm_proxy; proxy_pass http://$llm_provider_upstream; }
--- provider_first
{"fault":"malformed","after":3}
--- request
POST /v1/messages
{"model":"m","max_tokens":5,"stream":true,"messages":[]}
--- response_body_like
event: message_stop\ndata: \{"type":"message_stop"\}\n\n\z
event: ping\ndata: \{"type":"ping"\}\n\nevent: content_block_delta\ndata: \{"type"
--- response_body_unlike
malformed
--- access_log
^complete 18 \d+$

=== an event of two megabytes passes and is counted
--- http_config
    upstream first { server %%first%%; }
    log_format end '$llm_stream_state $llm_prompt_tokens $llm_completion_tokens';
--- config
    llm_proxy_route first first;
    llm_proxy_default_provider first;
    location /v1/ { llm_proxy; proxy_pass http://$llm_provider_upstream; }
--- provider_first eval
'{"sse":["{\"a\":1}","{\"choices\":[{\"delta\":{\"content\":\"' . 'x' x 2_000_000
    . '\"}}],\"usage\":{\"prompt_tokens\":5,\"completion_tokens\":6}}","{\"b\":2}","[DONE]"]}'
--- request
POST /v1/chat/completions
{"model":"m","stream":true,"stream_options":{"include_usage":true}}
--- response_body eval
qq(data: {"a":1}\n\ndata: {"choices":[{"delta":{"content":") . 'x' x 2_000_000
    . qq("}}],"usage":{"prompt_tokens":5,"completion_tokens":6}}\n\ndata: {"b":2}\n\ndata: [DONE]\n\n)
--- access_log
^complete 5 6$

=== a line without an end is passed on, not gathered, and is no complete stream
--- http_config
    upstream first { server %%first%%; }
    log_format end '$llm_stream_state';
--- config
    llm_proxy_route first first;
    llm_proxy_default_provider first;
    location /v1/ { llm_proxy; proxy_pass http://$llm_provider_upstream; }
--- provider_first
{"fault":"endless_line","size":3000000}
--- request
POST /v1/chat/completions
{"model":"m","stream":true}
--- incomplete_response
--- response_body eval: 'data: ' . 'x' x 3_000_000
--- access_log
^incomplete$

=== a line without any end goes on until its client has enough
--- http_config
    upstream first { server %%first%%; }
    log_format end '$llm_stream_state';
--- config
    llm_proxy_route first first;
    llm_proxy_default_provider first;
    location /v1/ { llm_proxy; proxy_pass http://$llm_provider_upstream; }
--- provider_first
{"fault":"endless_line"}
--- request
POST /v1/chat/completions
{"model":"m","stream":true}
--- abort_after: 4000000
--- provider_first_client_closed
--- access_log
^client_closed$

=== thousands of events pass in small buffers
--- http_config
    upstream first { server %%first%%; }
    log_format end '$llm_stream_state $llm_completion_tokens';
--- config
    llm_proxy_route first first;
    llm_proxy_default_provider first;
    proxy_buffer_size 1k;
    proxy_buffers 2 1k;
    proxy_busy_buffers_size 1k;
    location /v1/ { llm_proxy; proxy_pass http://$llm_provider_upstream; }
--- provider_first
{"words":3000}
--- request
POST /v1/chat/completions
{"model":"m","stream":true,"stream_options":{"include_usage":true}}
--- access_log
^complete 3004$
--- after
my ($answer) = $t->answers;
my $events = () = $answer->{body} =~ /^data: /mg;
is($events, 3004, 'role, words, finish, usage and the marker');
is(substr($answer->{body}, -14), "data: [DONE]\n\n", 'the marker comes last');

=== a client that takes little at a time gets everything
--- http_config
    upstream first { server %%first%%; }
    log_format end '$llm_stream_state $llm_completion_tokens';
    server {
        listen 127.0.0.1:%%port2%% sndbuf=4k;
        access_log logs/access.log end;
        llm_proxy_route first first;
        llm_proxy_default_provider first;
        location /v1/ { llm_proxy; proxy_pass http://$llm_provider_upstream; }
    }
--- after
my $body = '{"model":"m","stream":true,"stream_options":{"include_usage":true}}';
my $answer = Test::LLM::Client->once('127.0.0.1:' . $t->port('port2'),
    "POST /v1/chat/completions HTTP/1.1\r\nHost: a\r\nContent-Type: application/json\r\n"
    . qq(X-Mock: {"words":3000,"event_size":1000}\r\nContent-Length: ) . length($body) . "\r\n\r\n$body");
ok($answer->{complete}, 'the answer is complete');
my $events = () = $answer->{body} =~ /^data: .*\}$/mg;
is($events, 3003, 'no event is missing');
ok((wait_until { $t->access_log =~ /^complete 3004$/m } 5), 'and all of them were read');

=== the usage chunk that only we asked for is taken out, wherever the stream is cut
--- http_config
    upstream first { server %%first%%; }
    log_format end '$llm_stream_state $llm_total_tokens';
--- config
    llm_proxy_route first first;
    llm_proxy_default_provider first;
    location /v1/ { llm_proxy; proxy_pass http://$llm_provider_upstream; }
--- provider_first
{"pace_ms":2,"chunks":["data: {\"choices\":[{\"delta\":{\"content\":\"a\"}}],\"usage\":null}\n\ndata: {\"cho",
  "ices\":[],\"usage\":{\"prompt_tokens\":1,\"completion_tokens\":2,\"total_tokens\":3}}\n","\nda","ta: [DONE]\n\n"]}
--- request
POST /v1/chat/completions
{"model":"m","stream":true}
--- provider_first_got_json
{"model":"m","stream":true,"stream_options":{"include_usage":true}}
--- response_sse
{"choices":[{"delta":{"content":"a"}}],"usage":null}
[DONE]
--- access_log
^complete 3$

=== two streams on one connection do not mix
--- http_config
    upstream first { server %%first%%; }
    log_format end '$llm_model $llm_stream_state $llm_completion_tokens';
--- config
    llm_proxy_route first first;
    llm_proxy_default_provider first;
    location /v1/ { llm_proxy; proxy_pass http://$llm_provider_upstream; }
--- requests
POST /v1/chat/completions
{"model":"mock-words-20","stream":true}
>>>
POST /v1/chat/completions
{"model":"mock-words-3"}
>>>
POST /v1/chat/completions
{"model":"mock-words-30","stream":true}
--- response_body_like
data: \[DONE\]\n\n\z
>>>
"content":"Hello from first."
>>>
data: \[DONE\]\n\n\z
--- access_log
^mock-words-20 complete 24$
^mock-words-3 - 7$
^mock-words-30 complete 34$

=== an answer that is no stream, though one was asked for, passes with its length
--- http_config
    upstream first { server %%first%%; }
    log_format end '$llm_streaming $llm_stream_state $llm_total_tokens';
--- config
    llm_proxy_route first first;
    llm_proxy_default_provider first;
    location /v1/ { llm_proxy; proxy_pass http://$llm_provider_upstream; }
--- provider_first
200 {"choices":[],"usage":{"prompt_tokens":1,"completion_tokens":1}}
--- request
POST /v1/chat/completions
{"model":"m","stream":true}
--- response_headers
content-type: application/json
content-length: 64
!x-accel-buffering
--- response_body: {"choices":[],"usage":{"prompt_tokens":1,"completion_tokens":1}}
--- access_log
^1 - 2$
