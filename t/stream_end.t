# How a stream ends: with its terminal marker, or with an error event and a connection that breaks off,
# so that no client takes a part for the whole.

use Test::LLM 'no_plan';

run_tests();

__DATA__

=== the marker makes a chat complete
--- http_config
    upstream first { server %%first%%; }
    log_format end '$status $llm_stream_state';
--- config
    llm_proxy_route first first;
    llm_proxy_default_provider first;
    location /v1/ { llm_proxy; proxy_pass http://$llm_provider_upstream; }
--- provider_first
sse
{"choices":[{"delta":{"content":"a"},"finish_reason":null}]}
[DONE]
--- request
POST /v1/chat/completions
{"model":"m","stream":true}
--- response_sse
{"choices":[{"delta":{"content":"a"},"finish_reason":null}]}
[DONE]
--- access_log
^200 complete$

=== message_stop makes a message complete
--- http_config
    upstream first { server %%first%%; }
    log_format end '$status $llm_stream_state';
--- config
    llm_proxy_route first first anthropic;
    llm_proxy_default_provider first;
    location /v1/ { llm_proxy; proxy_pass http://$llm_provider_upstream; }
--- provider_first
sse
event: content_block_delta data: {"type":"content_block_delta","delta":{"type":"text_delta","text":"a"}}
event: message_stop data: {"type":"message_stop"}
--- request
POST /v1/messages
{"model":"m","max_tokens":5,"stream":true,"messages":[]}
--- response_sse
event: content_block_delta data: {"type":"content_block_delta","delta":{"type":"text_delta","text":"a"}}
event: message_stop data: {"type":"message_stop"}
--- access_log
^200 complete$

=== response.completed makes a response complete, whatever it says
--- http_config
    upstream first { server %%first%%; }
    log_format end '$status $llm_stream_state';
--- config
    llm_proxy_route first first;
    llm_proxy_default_provider first;
    location /v1/ { llm_proxy; proxy_pass http://$llm_provider_upstream; }
--- provider_first
sse
event: response.output_text.delta data: {"type":"response.output_text.delta","delta":"a"}
event: response.incomplete data: {"type":"response.incomplete","response":{"status":"incomplete"}}
--- request
POST /v1/responses
{"model":"m","input":"","stream":true}
--- response_body_like
event: response.incomplete
--- access_log
^200 complete$

=== a finish reason and a clean end are enough
--- http_config
    upstream first { server %%first%%; }
    log_format end '$status $llm_stream_state';
--- config
    llm_proxy_route first first;
    llm_proxy_default_provider first;
    location /v1/ { llm_proxy; proxy_pass http://$llm_provider_upstream; }
--- provider_first
{"fault":"no_done","words":2}
--- request
POST /v1/chat/completions
{"model":"m","stream":true}
--- response_body_like
"finish_reason":"stop"\}\][^\n]*\n\n\z
--- response_body_unlike
DONE
error
--- access_log
^200 complete$

=== so are a stop reason and a clean end
--- http_config
    upstream first { server %%first%%; }
    log_format end '$status $llm_stream_state';
--- config
    llm_proxy_route first first anthropic;
    llm_proxy_default_provider first;
    location /v1/ { llm_proxy; proxy_pass http://$llm_provider_upstream; }
--- provider_first
{"fault":"no_done","words":2}
--- request
POST /v1/messages
{"model":"m","max_tokens":5,"stream":true,"messages":[]}
--- response_body_like
"stop_reason":"end_turn"[^\n]*\n\n\z
--- response_body_unlike
message_stop
event: error
--- access_log
^200 complete$

=== without a length the end of the connection is the clean end
--- http_config
    upstream first { server %%first%%; }
    log_format end '$status $llm_stream_state';
--- config
    llm_proxy_route first first;
    llm_proxy_default_provider first;
    location /v1/ { llm_proxy; proxy_pass http://$llm_provider_upstream; }
--- provider_first
{"fault":"no_done","words":2,"framing":"close"}

{"words":2,"framing":"close"}

{"words":2,"framing":"length"}
--- requests
POST /v1/chat/completions
{"model":"m","stream":true}
>>>
POST /v1/chat/completions
{"model":"m","stream":true}
>>>
POST /v1/chat/completions
{"model":"m","stream":true}
--- no_access_log
incomplete

=== a finish reason and a cut connection are not
--- http_config
    upstream first { server %%first%%; }
    log_format end '$status $llm_stream_state';
--- config
    llm_proxy_route first first;
    llm_proxy_default_provider first;
    location /v1/ { llm_proxy; proxy_pass http://$llm_provider_upstream; }
--- provider_first
sse {"fault":"cut","after":1}
{"choices":[{"delta":{"content":"a"},"finish_reason":"stop"}]}
[DONE]
--- request
POST /v1/chat/completions
{"model":"m","stream":true}
--- incomplete_response
--- response_sse
{"choices":[{"delta":{"content":"a"},"finish_reason":"stop"}]}
{"error":{"type":"server_error","code":"stream_incomplete","param":null,"message":"<<match:.>>"},"request_id":"<<match:.>>"}
--- access_log
^200 incomplete$

=== a clean end of half an answer is told in the stream and by the connection
--- http_config
    upstream first { server %%first%%; }
    log_format end '$status $llm_stream_state';
--- config
    llm_proxy_route first first;
    llm_proxy_default_provider first;
    location /v1/ { llm_proxy; proxy_pass http://$llm_provider_upstream; }
--- provider_first
sse
{"choices":[{"delta":{"content":"a"},"finish_reason":null}]}
--- request
POST /v1/chat/completions
{"model":"m","stream":true}
--- incomplete_response
--- response_sse
{"choices":[{"delta":{"content":"a"},"finish_reason":null}]}
{"error":{"type":"server_error","code":"stream_incomplete","param":null,"message":"<<match:.>>"},"request_id":"<<match:.>>"}
--- access_log
^200 incomplete$

=== it is told in Anthropic's words to a client that speaks them
--- http_config
    upstream first { server %%first%%; }
    log_format end '$status $llm_stream_state';
--- config
    llm_proxy_route first first anthropic;
    llm_proxy_default_provider first;
    location /v1/ { llm_proxy; proxy_pass http://$llm_provider_upstream; }
--- provider_first
sse
event: content_block_delta data: {"type":"content_block_delta","delta":{"type":"text_delta","text":"a"}}
--- request
POST /v1/messages
{"model":"m","max_tokens":5,"stream":true,"messages":[]}
--- incomplete_response
--- response_sse
event: content_block_delta data: {"type":"content_block_delta","delta":{"type":"text_delta","text":"a"}}
event: error data: {"type":"error","error":{"type":"api_error","message":"<<match:broke off>>"},"request_id":"<<match:.>>"}
--- access_log
^200 incomplete$

=== a completion without its end is incomplete
--- http_config
    upstream first { server %%first%%; }
    log_format end '$status $llm_stream_state';
--- config
    llm_proxy_route first first;
    llm_proxy_default_provider first;
    location /v1/ { llm_proxy; proxy_pass http://$llm_provider_upstream; }
--- provider_first
{"fault":"no_finish"}
--- request
POST /v1/completions
{"model":"m","prompt":"","stream":true}
--- incomplete_response
--- response_body_like
"code":"stream_incomplete"
--- access_log
^200 incomplete$

=== a response without its end is incomplete
--- http_config
    upstream first { server %%first%%; }
    log_format end '$status $llm_stream_state';
--- config
    llm_proxy_route first first;
    llm_proxy_default_provider first;
    location /v1/ { llm_proxy; proxy_pass http://$llm_provider_upstream; }
--- provider_first
{"fault":"no_finish"}
--- request
POST /v1/responses
{"model":"m","input":"","stream":true}
--- incomplete_response
--- response_body_like
"code":"stream_incomplete"
--- access_log
^200 incomplete$

=== a stream without any event is incomplete
--- http_config
    upstream first { server %%first%%; }
    log_format end '$status $llm_stream_state';
--- config
    llm_proxy_route first first;
    llm_proxy_default_provider first;
    location /v1/ { llm_proxy; proxy_pass http://$llm_provider_upstream; }
--- provider_first
{"sse":[]}
--- request
POST /v1/chat/completions
{"model":"m","stream":true}
--- incomplete_response
--- response_sse
{"error":{"type":"server_error","code":"stream_incomplete","param":null,"message":"<<match:.>>"},"request_id":"<<match:.>>"}
--- access_log
^200 incomplete$

=== a connection that is closed within the stream is told and passed on as broken
--- http_config
    upstream first { server %%first%%; }
    log_format end '$status $llm_stream_state';
--- config
    llm_proxy_route first first;
    llm_proxy_default_provider first;
    location /v1/ { llm_proxy; proxy_pass http://$llm_provider_upstream; }
--- provider_first
{"fault":"cut","after":2}
--- request
POST /v1/chat/completions
{"model":"m","stream":true}
--- incomplete_response
--- response_body_like
"content":"Hello"[^\n]*\n\ndata: \{"error":\{[^\n]*"code":"stream_incomplete"[^\n]*\n\n\z
--- access_log
^200 incomplete$

=== a connection that is reset within the stream is told and passed on as broken
--- http_config
    upstream first { server %%first%%; }
    log_format end '$status $llm_stream_state';
--- config
    llm_proxy_route first first;
    llm_proxy_default_provider first;
    location /v1/ { llm_proxy; proxy_pass http://$llm_provider_upstream; }
--- provider_first
{"fault":"cut_reset","after":2}
--- request
POST /v1/chat/completions
{"model":"m","stream":true}
--- incomplete_response
--- response_body_like
"content":"Hello"[^\n]*\n\ndata: \{"error":\{[^\n]*"code":"stream_incomplete"[^\n]*\n\n\z
--- access_log
^200 incomplete$

=== a stream that is shorter than its length is told and passed on as broken
--- http_config
    upstream first { server %%first%%; }
    log_format end '$status $llm_stream_state';
--- config
    llm_proxy_route first first;
    llm_proxy_default_provider first;
    location /v1/ { llm_proxy; proxy_pass http://$llm_provider_upstream; }
--- provider_first
{"fault":"short_length","sse":["{\"choices\":[{\"delta\":{\"content\":\"Hello\"}}]}"]}
--- request
POST /v1/chat/completions
{"model":"m","stream":true}
--- incomplete_response
--- response_body_like
"content":"Hello"\}\}\]\}\n\ndata: \{"error":\{[^\n]*"code":"stream_incomplete"[^\n]*\n\n\z
--- access_log
^200 incomplete$

=== a message that is cut is told in Anthropic's words
--- http_config
    upstream first { server %%first%%; }
    log_format end '$status $llm_stream_state';
--- config
    llm_proxy_route first first anthropic;
    llm_proxy_default_provider first;
    location /v1/ { llm_proxy; proxy_pass http://$llm_provider_upstream; }
--- provider_first
{"fault":"cut","after":4}
--- request
POST /v1/messages
{"model":"m","max_tokens":5,"stream":true,"messages":[]}
--- incomplete_response
--- response_body_like
"text":"Hello"[^\n]*\n\nevent: error\ndata: \{"type":"error","error":\{"type":"api_error"[^\n]*\n\n\z
--- access_log
^200 incomplete$

=== half an event before a cut is not the client's
--- http_config
    upstream first { server %%first%%; }
    log_format end '$status $llm_stream_state';
--- config
    llm_proxy_route first first;
    llm_proxy_default_provider first;
    location /v1/ { llm_proxy; proxy_pass http://$llm_provider_upstream; }
--- provider_first
{"fault":"cut","after":1,"chunks":["data: {\"a\":1}\n\ndata: {\"choices\":","[]}\n\n"]}
--- request
POST /v1/chat/completions
{"model":"m","stream":true}
--- incomplete_response
--- response_sse
{"a":1}
{"error":{"type":"server_error","code":"stream_incomplete","param":null,"message":"<<match:.>>"},"request_id":"<<match:.>>"}

=== a silent provider is a timeout, told in the stream
--- http_config
    upstream first { server %%first%%; }
    log_format end '$status $llm_stream_state';
--- config
    llm_proxy_route first first;
    llm_proxy_default_provider first;
    llm_proxy_idle_timeout 300ms;
    location /v1/ { llm_proxy; proxy_pass http://$llm_provider_upstream; }
--- provider_first
{"fault":"stall","after":2}
--- request
POST /v1/chat/completions
{"model":"m","stream":true}
--- incomplete_response
--- response_body_like
"content":"Hello"[^\n]*\n\ndata: \{"error":\{[^\n]*"code":"provider_timeout"[^\n]*\n\n\z
--- provider_first_client_closed
--- access_log
^200 incomplete$

=== a silent provider is a timeout in Anthropic's words
--- http_config
    upstream first { server %%first%%; }
    log_format end '$status $llm_stream_state';
--- config
    llm_proxy_route first first anthropic;
    llm_proxy_default_provider first;
    llm_proxy_idle_timeout 300ms;
    location /v1/ { llm_proxy; proxy_pass http://$llm_provider_upstream; }
--- provider_first
{"fault":"stall","after":4}
--- request
POST /v1/messages
{"model":"m","max_tokens":5,"stream":true,"messages":[]}
--- incomplete_response
--- response_body_like
"text":"Hello"[^\n]*\n\nevent: error\ndata: \{"type":"error","error":\{"type":"timeout_error"[^\n]*\n\n\z
--- provider_first_client_closed
--- access_log
^200 incomplete$

=== an answer is complete with its marker, even if the connection is cut behind it
--- http_config
    upstream first { server %%first%%; }
    log_format end '$status $llm_stream_state';
--- config
    llm_proxy_route first first;
    llm_proxy_default_provider first;
    location /v1/ { llm_proxy; proxy_pass http://$llm_provider_upstream; }
--- provider_first
sse {"fault":"cut","after":2}
{"choices":[{"delta":{"content":"a"},"finish_reason":"stop"}]}
[DONE]
{"never":"sent"}
--- request
POST /v1/chat/completions
{"model":"m","stream":true}
--- response_sse
{"choices":[{"delta":{"content":"a"},"finish_reason":"stop"}]}
[DONE]
--- access_log
^200 complete$

=== an answer is complete with its marker, even if the provider does not end
--- http_config
    upstream first { server %%first%%; }
    log_format end '$status $llm_stream_state';
--- config
    llm_proxy_route first first;
    llm_proxy_default_provider first;
    llm_proxy_idle_timeout 300ms;
    location /v1/ { llm_proxy; proxy_pass http://$llm_provider_upstream; }
--- provider_first
sse {"fault":"stall","after":2}
{"choices":[{"delta":{"content":"a"},"finish_reason":"stop"}]}
[DONE]
{"never":"sent"}
--- request
POST /v1/chat/completions
{"model":"m","stream":true}
--- response_sse
{"choices":[{"delta":{"content":"a"},"finish_reason":"stop"}]}
[DONE]
--- provider_first_client_closed
--- access_log
^200 complete$

=== the same holds for message_stop
--- http_config
    upstream first { server %%first%%; }
    log_format end '$status $llm_stream_state';
--- config
    llm_proxy_route first first anthropic;
    llm_proxy_default_provider first;
    location /v1/ { llm_proxy; proxy_pass http://$llm_provider_upstream; }
--- provider_first
sse {"fault":"cut_reset","after":1}
event: message_stop data: {"type":"message_stop"}
: never sent
--- request
POST /v1/messages
{"model":"m","max_tokens":5,"stream":true,"messages":[]}
--- response_sse
event: message_stop data: {"type":"message_stop"}
--- access_log
^200 complete$

=== a last event that lacks its blank line gets it
--- http_config
    upstream first { server %%first%%; }
    log_format end '$status $llm_stream_state';
--- config
    llm_proxy_route first first;
    llm_proxy_default_provider first;
    location /v1/ { llm_proxy; proxy_pass http://$llm_provider_upstream; }
--- provider_first
{"chunks":["data: {\"choices\":[{\"finish_reason\":\"stop\"}]}\n\n","data: [DONE]"]}
--- request
POST /v1/chat/completions
{"model":"m","stream":true}
--- response_sse
{"choices":[{"finish_reason":"stop"}]}
[DONE]
--- access_log
^200 complete$

=== a provider's own error is not told twice, and no complete answer
--- http_config
    upstream first { server %%first%%; }
    log_format end '$status $llm_stream_state';
--- config
    llm_proxy_route first first;
    llm_proxy_default_provider first;
    location /v1/ { llm_proxy; proxy_pass http://$llm_provider_upstream; }
--- provider_first
{"fault":"error_event","after":2,"error":"overloaded"}
--- request
POST /v1/chat/completions
{"model":"m","stream":true}
--- incomplete_response
--- response_body_like
"content":"Hello"[^\n]*\n\ndata: \{"error":\{[^\n]*\n\n\z
--- response_body_unlike
stream_incomplete
"error"[^\x00]*"error":\{
--- access_log
^200 incomplete$

=== nor is Anthropic's
--- http_config
    upstream first { server %%first%%; }
    log_format end '$status $llm_stream_state';
--- config
    llm_proxy_route first first anthropic;
    llm_proxy_default_provider first;
    location /v1/ { llm_proxy; proxy_pass http://$llm_provider_upstream; }
--- provider_first
{"fault":"error_event","after":4,"error":"overloaded"}
--- request
POST /v1/messages
{"model":"m","max_tokens":5,"stream":true,"messages":[]}
--- incomplete_response
--- response_body_like
"text":"Hello"[^\n]*\n\nevent: error\ndata: \{[^\n]*"overloaded_error"[^\n]*\n\n\z
--- response_body_unlike
event: error[^\x00]*event: error
--- access_log
^200 incomplete$

=== an error that is the first event passes as it is
--- http_config
    upstream first { server %%first%%; }
    log_format end '$status $llm_stream_state';
--- config
    llm_proxy_route first first;
    llm_proxy_default_provider first;
    location /v1/ { llm_proxy; proxy_pass http://$llm_provider_upstream; }
--- provider_first
{"fault":"error_first","error":"rate_limit_exceeded"}
--- request
POST /v1/chat/completions
{"model":"m","stream":true}
--- incomplete_response
--- response_body_like
\Adata: \{"error":\{[^\n]*rate_limit_exceeded[^\n]*\n\n\z
--- access_log
^200 incomplete$

=== an HTTP/1.0 client is told in the stream, all it can be
--- http_config
    upstream first { server %%first%%; }
    log_format end '$status $llm_stream_state';
--- config
    llm_proxy_route first first;
    llm_proxy_default_provider first;
    location /v1/ { llm_proxy; proxy_pass http://$llm_provider_upstream; }
--- provider_first
{"fault":"cut","after":2}
--- request
POST /v1/chat/completions HTTP/1.0
{"model":"m","stream":true}
--- response_headers
connection: close
--- response_body_like
"content":"Hello"[^\n]*\n\ndata: \{"error":\{[^\n]*"code":"stream_incomplete"[^\n]*\n\n\z
--- access_log
^200 incomplete$

=== over HTTP/2 it is told in the stream, then by an error of this stream and no other
--- http_config
    upstream first { server %%first%%; }
    log_format end '$llm_model $llm_stream_state';
--- config
    llm_proxy_route first first;
    llm_proxy_default_provider first;
    llm_proxy_idle_timeout 300ms;
    location /v1/ { llm_proxy; proxy_pass http://$llm_provider_upstream; }
--- after
# curl forgets what it has read when an error follows at once, so the frames are read here.
my $frame = sub { my ($type, $flags, $stream, $content) = @_;
    substr(pack('N', length $content), 1) . pack('CCN', $type, $flags, $stream) . $content };
my $field = sub { my ($name, $value) = @_; "\0" . pack('C/a C/a', $name, $value) };
my $client = Test::LLM::Client->new('127.0.0.1:%%http2_port%%');
$client->transmit("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" . $frame->(4, 0, 0, ''));
my $ask = sub {
    my ($number, $model) = @_;
    $client->transmit($frame->(1, 4, $number, $field->(':method', 'POST') . $field->(':scheme', 'http')
        . $field->(':path', '/v1/chat/completions') . $field->(':authority', 'a')
        . $field->('content-type', 'application/json'))
        . $frame->(0, 1, $number, qq({"model":"$model","stream":true})));
    my $data = '';
    my $deadline = Test::LLM::Util::now() + 10 * Test::LLM::Util::scale();
    while (1) {
        my ($high, $low, $type, $flags, $stream) = unpack 'nCCCN', $client->{buffer};
        my $size = length $client->{buffer} < 9 ? 1 << 24 : $high * 256 + $low;
        if (length $client->{buffer} < 9 + $size) {
            $client->fill($deadline) ? next : return ($data, "no end: $client->{ended}");
        }
        my $content = substr substr($client->{buffer}, 0, 9 + $size, ''), 9;
        next if $stream != $number;
        $data .= $content if $type == 0;
        return ($data, 'error ' . unpack 'N', $content) if $type == 3;
        return ($data, 'clean') if $type == 0 && $flags & 1;
    }
};
my ($data, $end) = $ask->(1, 'mock-no-finish');
like($data, qr/"code":"stream_incomplete"[^\n]*\n\n\z/, 'half an answer is told');
is($end, 'error 2', 'and the stream ends with INTERNAL_ERROR');
($data, $end) = $ask->(3, 'mock-cut-2');
like($data, qr/"code":"stream_incomplete"[^\n]*\n\n\z/, 'a cut is told');
is($end, 'error 2', 'and the stream ends with INTERNAL_ERROR');
($data, $end) = $ask->(5, 'mock-stall-2');
like($data, qr/"code":"provider_timeout"[^\n]*\n\n\z/, 'silence is told');
is($end, 'error 2', 'and the stream ends with INTERNAL_ERROR');
($data, $end) = $ask->(7, 'mock-words-2');
like($data, qr/data: \[DONE\]\n\n\z/, 'an answer that is whole comes after them');
is($end, 'clean', 'and its stream ends well');
$client->finish;
my $log = "mock-no-finish incomplete\nmock-cut-2 incomplete\nmock-stall-2 incomplete\nmock-words-2 complete\n";
ok((wait_until { $t->access_log eq $log } 5), 'the log tells them apart');

=== a client that goes is the reason then, not the provider
--- http_config
    upstream first { server %%first%%; }
    log_format end '$status $llm_stream_state';
--- config
    llm_proxy_route first first;
    llm_proxy_default_provider first;
    location /v1/ { llm_proxy; proxy_pass http://$llm_provider_upstream; }
--- provider_first
{"fault":"stall","after":2}
--- request
POST /v1/chat/completions
{"model":"m","stream":true}
--- abort_after: "content":"Hello"[^\n]*\n\n
--- provider_first_client_closed
--- access_log
^\d+ client_closed$

=== answers that are no streams have no state
--- http_config
    upstream first { server %%first%%; }
    log_format end '$status $llm_stream_state';
--- config
    llm_proxy_route first first;
    llm_proxy_default_provider first;
    location /v1/ { llm_proxy; proxy_pass http://$llm_provider_upstream; }
--- provider_first
200 {"id":"a"}

sse {"status":429}
{"error":{}}
--- requests
POST /v1/chat/completions
{"model":"m"}
>>>
POST /v1/chat/completions
{"model":"m","stream":true}
--- error_code: 200 429
--- access_log
^200 -$
^429 -$

=== a broken stream leaves its worker well
--- http_config
    upstream first { server %%first%%; }
    log_format end '$status $llm_stream_state';
--- config
    llm_proxy_route first first;
    llm_proxy_default_provider first;
    location /v1/ { llm_proxy; proxy_pass http://$llm_provider_upstream; }
--- provider_first
{"fault":"cut","after":2}

{"fault":"no_finish"}

{"fault":"cut_reset","after":1}

{"words":5}
--- requests
POST /v1/chat/completions
{"model":"m","stream":true}
>>>
POST /v1/chat/completions
{"model":"m","stream":true}
>>>
POST /v1/chat/completions
{"model":"m","stream":true}
>>>
POST /v1/chat/completions
{"model":"m","stream":true}
--- incomplete_response: 1 2 3

=== what a provider says of the end need not be in one piece
--- http_config
    upstream first { server %%first%%; }
    log_format end '$status $llm_stream_state';
--- config
    llm_proxy_route first first;
    llm_proxy_default_provider first;
    location /v1/ { llm_proxy; proxy_pass http://$llm_provider_upstream; }
--- provider_first
{"pace_ms":2,"chunks":["data: {\"choices\":[{\"delta\":{},\"finish_rea","son\":\"st","op\"}]}\n","\n"]}

{"pace_ms":2,"chunks":["data: [DO","NE]","\n","\n"]}
--- requests
POST /v1/chat/completions
{"model":"m","stream":true}
>>>
POST /v1/chat/completions
{"model":"m","stream":true}
--- no_access_log
incomplete
