# llm_proxy_connect_timeout, _response_timeout, _first_token_timeout, _idle_timeout, _total_timeout:
# what each of them ends, what the client is told, and which of several values holds. A provider that
# answers later than a limit does so by far; one that has to be waited for answers well within it.

use Test::LLM 'no_plan';

run_tests();

__DATA__

=== nobody listens: unreachable, at once
--- http_config
    upstream first { server %%closed%%; }
--- config
    llm_proxy_route first first;
    llm_proxy_default_provider first;
    location /v1/ { llm_proxy; proxy_pass http://$llm_provider_upstream; }
--- request
POST /v1/chat/completions
{"model":"m"}
--- error_code: 502
--- response_json
{"error":{"type":"server_error","code":"provider_unreachable","param":null}}
--- response_headers
content-type: application/json
!retry-after

=== llm_proxy_connect_timeout ends a connection that does not come about
--- http_config
    include deaf.conf;
--- config
    llm_proxy_route first deaf;
    llm_proxy_default_provider first;
    llm_proxy_connect_timeout 200ms;
    location /v1/ { llm_proxy; proxy_pass http://$llm_provider_upstream; }
--- init
# A full queue of connections that nobody accepts: the next one gets no answer.
use IO::Socket::INET ();
$::deaf = IO::Socket::INET->new(LocalAddr => '127.0.0.1', Listen => 1) or die "listen: $@\n";
@::queue = map {
    IO::Socket::INET->new(PeerAddr => '127.0.0.1', PeerPort => $::deaf->sockport, Blocking => 0)
} 1 .. 8;
$t->write_file('deaf.conf', 'upstream deaf { server 127.0.0.1:' . $::deaf->sockport . '; }');
--- request
POST /v1/chat/completions
{"model":"m"}
--- error_code: 504
--- response_json
{"error":{"type":"server_error","code":"provider_timeout"}}
--- answered_within: 4s

=== llm_proxy_connect_timeout ends a TLS handshake that stands still
--- http_config
    include mute.conf;
--- config
    llm_proxy_route first mute;
    llm_proxy_default_provider first;
    llm_proxy_connect_timeout 200ms;
    location /v1/ { llm_proxy; proxy_pass https://$llm_provider_upstream; }
--- init
use IO::Socket::INET ();
$::mute = IO::Socket::INET->new(LocalAddr => '127.0.0.1', Listen => 8) or die "listen: $@\n";
$t->write_file('mute.conf', 'upstream mute { server 127.0.0.1:' . $::mute->sockport . '; }');
--- request
POST /v1/chat/completions
{"model":"m"}
--- error_code: 504
--- response_json
{"error":{"code":"provider_timeout"}}
--- answered_within: 4s

=== llm_proxy_response_timeout ends the wait for the head, for JSON and for streams
--- http_config
    upstream first { server %%first%%; }
    log_format end '$status $llm_stream_state';
--- config
    llm_proxy_route first first;
    llm_proxy_default_provider first;
    llm_proxy_response_timeout 200ms;
    location /v1/ { llm_proxy; proxy_pass http://$llm_provider_upstream; }
--- provider_first
{"fault":"hang","times":2}
--- requests
POST /v1/chat/completions
{"model":"m"}
>>>
POST /v1/chat/completions
{"model":"m","stream":true}
--- error_code: 504
--- response_json
{"error":{"type":"server_error","code":"provider_timeout"},"request_id":"<<match:.>>"}
--- response_headers
content-type: application/json
--- provider_first_client_closed: 2
--- provider_first_requests: 2
--- access_log
^504 -$
--- error_log
upstream timed out

=== a timeout is told in Anthropic's words
--- http_config
    upstream first { server %%first%%; }
--- config
    llm_proxy_route first first anthropic;
    llm_proxy_default_provider first;
    llm_proxy_response_timeout 200ms;
    location /v1/ { llm_proxy; proxy_pass http://$llm_provider_upstream; }
--- provider_first
{"fault":"hang"}
--- request
POST /v1/messages
{"model":"m","max_tokens":5,"messages":[]}
--- error_code: 504
--- response_json
{"type":"error","error":{"type":"timeout_error"},"request_id":"<<match:.>>"}

=== a response timeout is no limit for what follows the head
--- http_config
    upstream first { server %%first%%; }
--- config
    llm_proxy_route first first;
    llm_proxy_default_provider first;
    llm_proxy_response_timeout 400ms;
    location /v1/ { llm_proxy; proxy_pass http://$llm_provider_upstream; }
--- provider_first
{"first_ms":500,"words":2}
--- request
POST /v1/chat/completions
{"model":"m","stream":true}
--- response_body_like
data: \[DONE\]

=== the provider's response_timeout beats the directive, either way
--- http_config
    upstream quick { server %%quick%%; }
    upstream slow { server %%slow%%; }
--- config
    llm_proxy_route quick quick response_timeout=200ms;
    llm_proxy_route slow slow response_timeout=60s;
    llm_proxy_model_pattern a quick;
    llm_proxy_model_pattern b slow;
    location /1/v1/ {
        llm_proxy;
        llm_proxy_response_timeout 60s;
        proxy_pass http://$llm_provider_upstream;
    }
    location /2/v1/ {
        llm_proxy;
        llm_proxy_response_timeout 150ms;
        proxy_pass http://$llm_provider_upstream;
    }
--- provider_quick
{"fault":"hang"}
--- provider_slow
{"delay_ms":400}
--- requests
POST /1/v1/chat/completions
{"model":"a"}
>>>
POST /2/v1/chat/completions
{"model":"b"}
--- error_code: 504 200

=== the directive beats proxy_read_timeout, either way
--- http_config
    upstream first { server %%first%%; }
--- config
    llm_proxy on;
    llm_proxy_route first first;
    llm_proxy_default_provider first;
    location /1/v1/ {
        llm_proxy_response_timeout 200ms;
        proxy_read_timeout 60s;
        proxy_pass http://$llm_provider_upstream;
    }
    location /2/v1/ {
        llm_proxy_response_timeout 60s;
        proxy_read_timeout 150ms;
        proxy_pass http://$llm_provider_upstream;
    }
--- provider_first
{"fault":"hang"}

{"delay_ms":400}
--- requests
POST /1/v1/chat/completions
{"model":"m"}
>>>
POST /2/v1/chat/completions
{"model":"m"}
--- error_code: 504 200

=== proxy_read_timeout holds where nothing of ours is written
--- http_config
    upstream first { server %%first%%; }
--- config
    llm_proxy_route first first;
    llm_proxy_default_provider first;
    proxy_read_timeout 200ms;
    location /v1/ { llm_proxy; proxy_pass http://$llm_provider_upstream; }
--- provider_first
{"fault":"hang"}

{"fault":"stall","after":2}
--- requests
POST /v1/chat/completions
{"model":"m"}
>>>
POST /v1/chat/completions
{"model":"m","stream":true}
--- error_code: 504 200
--- incomplete_response: 2
--- response_body_like
provider_timeout

=== proxy_connect_timeout holds where nothing of ours is written
--- http_config
    include mute.conf;
--- config
    llm_proxy_route first mute;
    llm_proxy_default_provider first;
    proxy_connect_timeout 200ms;
    location /v1/ { llm_proxy; proxy_pass https://$llm_provider_upstream; }
--- init
use IO::Socket::INET ();
$::mute = IO::Socket::INET->new(LocalAddr => '127.0.0.1', Listen => 8) or die "listen: $@\n";
$t->write_file('mute.conf', 'upstream mute { server 127.0.0.1:' . $::mute->sockport . '; }');
--- request
POST /v1/chat/completions
{"model":"m"}
--- error_code: 504
--- answered_within: 4s

=== the provider's connect_timeout beats the directive
--- http_config
    include mute.conf;
--- config
    llm_proxy_route first mute connect_timeout=200ms;
    llm_proxy_default_provider first;
    llm_proxy_connect_timeout 60s;
    proxy_connect_timeout 50s;
    location /v1/ { llm_proxy; proxy_pass https://$llm_provider_upstream; }
--- init
use IO::Socket::INET ();
$::mute = IO::Socket::INET->new(LocalAddr => '127.0.0.1', Listen => 8) or die "listen: $@\n";
$t->write_file('mute.conf', 'upstream mute { server 127.0.0.1:' . $::mute->sockport . '; }');
--- request
POST /v1/chat/completions
{"model":"m"}
--- error_code: 504
--- answered_within: 4s

=== llm_proxy_first_token_timeout ends a stream that has said nothing yet, as an error of its own
--- http_config
    upstream first { server %%first%%; }
    log_format end '$status $llm_stream_state $llm_ttft_ms';
--- config
    llm_proxy_route first first;
    llm_proxy_default_provider first;
    llm_proxy_first_token_timeout 200ms;
    location /v1/ { llm_proxy; proxy_pass http://$llm_provider_upstream; }
--- provider_first
{"fault":"hang"}

{"fault":"stall","after":0}

{"fault":"stall","after":1}

{"fault":"stall","chunks":[": processing\n\n","data: {\"choices\":[{\"delta\":{\"content\":\"H"],"after":2}
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
--- error_code: 504
--- response_headers
content-type: application/json
!x-accel-buffering
--- response_json
{"error":{"type":"server_error","code":"provider_timeout"},"request_id":"<<match:.>>"}
--- provider_first_client_closed: 4
--- access_log
^504 - -$

=== neither message_start nor ping nor an empty block is a first token
--- http_config
    upstream first { server %%first%%; }
--- config
    llm_proxy_route first first anthropic;
    llm_proxy_default_provider first;
    llm_proxy_first_token_timeout 200ms;
    location /v1/ { llm_proxy; proxy_pass http://$llm_provider_upstream; }
--- provider_first
{"fault":"stall","after":3}
--- request
POST /v1/messages
{"model":"m","max_tokens":5,"stream":true,"messages":[]}
--- error_code: 504
--- response_json
{"type":"error","error":{"type":"timeout_error"}}

=== with its first token a stream is let go, and its beginning with it
--- http_config
    upstream first { server %%first%%; }
    log_format end '$llm_stream_state $llm_completion_tokens';
--- config
    llm_proxy_route first first;
    llm_proxy_default_provider first;
    llm_proxy_first_token_timeout 30s;
    location /v1/ { llm_proxy; proxy_pass http://$llm_provider_upstream; }
--- provider_first
{"fault":"stall","after":2}

{"first_ms":20,"pace_ms":5,"words":5}
--- requests
POST /v1/chat/completions
{"model":"m","stream":true}
>>>
POST /v1/chat/completions
{"model":"m","stream":true}
--- abort_after: "content":"Hello"[^\n]*\n\n
--- response_body_like
\Adata: \{[^\n]*"role":"assistant"[^\n]*\n\ndata: \{[^\n]*"content":"Hello"[^\n]*\n\n

=== a large first event is held whole, beyond nginx's buffer
--- http_config
    upstream first { server %%first%%; }
    log_format end '$llm_stream_state';
--- config
    llm_proxy_route first first;
    llm_proxy_default_provider first;
    llm_proxy_first_token_timeout 30s;
    proxy_buffer_size 4k;
    proxy_buffers 4 4k;
    proxy_busy_buffers_size 8k;
    location /v1/ { llm_proxy; proxy_pass http://$llm_provider_upstream; }
--- provider_first eval
'{"chunks":[": ' . 'c' x 30_000 . '\n\n","data: {\"choices\":[{\"delta\":{\"content\":\"' . 'x' x 100_000
    . '\"}}]}\n\n","data: [DONE]\n\n"]}'
--- request
POST /v1/chat/completions
{"model":"m","stream":true}
--- response_body eval
': ' . 'c' x 30_000 . qq(\n\ndata: {"choices":[{"delta":{"content":") . 'x' x 100_000
    . qq("}}]}\n\ndata: [DONE]\n\n)
--- access_log
^complete$

=== the first token's limit is none once it has come, nor for an answer that is no stream
--- http_config
    upstream first { server %%first%%; }
--- config
    llm_proxy_route first first;
    llm_proxy_default_provider first;
    llm_proxy_first_token_timeout 400ms;
    location /v1/ { llm_proxy; proxy_pass http://$llm_provider_upstream; }
--- provider_first
{"pace_ms":500,"sse":["{\"choices\":[{\"delta\":{\"content\":\"a\"}}]}","[DONE]"]}

{"delay_ms":500}
--- requests
POST /v1/chat/completions
{"model":"m","stream":true}
>>>
POST /v1/chat/completions
{"model":"m"}
--- response_body_like
data: \[DONE\]
>>>
chat.completion

=== a head that came in time leaves the first token its own time
--- http_config
    upstream first { server %%first%%; }
--- config
    llm_proxy_route first first;
    llm_proxy_default_provider first;
    llm_proxy_response_timeout 400ms;
    llm_proxy_first_token_timeout 30s;
    location /v1/ { llm_proxy; proxy_pass http://$llm_provider_upstream; }
--- provider_first
{"first_ms":500,"words":2}

{"fault":"hang"}
--- requests
POST /v1/chat/completions
{"model":"m","stream":true}
>>>
POST /v1/chat/completions
{"model":"m","stream":true}
--- error_code: 200 504

=== the provider's first_token_timeout beats the directive, and zero takes the limit away
--- http_config
    upstream quick { server %%quick%%; }
    upstream slow { server %%slow%%; }
--- config
    llm_proxy_route quick quick first_token_timeout=200ms;
    llm_proxy_route slow slow first_token_timeout=0;
    llm_proxy_model_pattern a quick;
    llm_proxy_model_pattern b slow;
    llm_proxy_first_token_timeout 150ms;
    location /1/v1/ {
        llm_proxy;
        llm_proxy_first_token_timeout 60s;
        proxy_pass http://$llm_provider_upstream;
    }
    location /2/v1/ { llm_proxy; proxy_pass http://$llm_provider_upstream; }
    location /3/v1/ {
        llm_proxy;
        llm_proxy_first_token_timeout 0;
        proxy_pass http://$llm_provider_upstream;
    }
--- provider_quick
{"fault":"stall","after":1}
--- provider_slow
{"first_ms":350}
--- requests
POST /1/v1/chat/completions
{"model":"a","stream":true}
>>>
POST /2/v1/chat/completions
{"model":"b","stream":true}
--- error_code: 504 200

=== llm_proxy_idle_timeout ends a stream that falls silent
--- http_config
    upstream first { server %%first%%; }
    log_format end '$status $llm_stream_state';
--- config
    llm_proxy_route first first;
    llm_proxy_default_provider first;
    llm_proxy_idle_timeout 200ms;
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

=== every event begins the idle time anew, and the wait for the head is not part of it
--- http_config
    upstream first { server %%first%%; }
    log_format end '$status $llm_stream_state';
--- config
    llm_proxy_route first first;
    llm_proxy_default_provider first;
    llm_proxy_idle_timeout 600ms;
    location /v1/ { llm_proxy; proxy_pass http://$llm_provider_upstream; }
--- provider_first
{"delay_ms":700,"pace_ms":25,"words":30}
--- request
POST /v1/chat/completions
{"model":"m","stream":true}
--- access_log
^200 complete$

=== a JSON body that stands still is cut off for the client
--- http_config
    upstream first { server %%first%%; }
--- config
    llm_proxy_route first first;
    llm_proxy_default_provider first;
    llm_proxy_idle_timeout 200ms;
    location /v1/ { llm_proxy; proxy_pass http://$llm_provider_upstream; }
--- provider_first
{"fault":"stall","after":1,"size":100000}
--- request
POST /v1/chat/completions
{"model":"m"}
--- incomplete_response
--- response_body_like
\A\{"id"
--- provider_first_client_closed

=== the provider's idle_timeout beats the directive, that beats proxy_read_timeout
--- http_config
    upstream first { server %%first%%; }
    upstream second { server %%second%%; }
--- config
    llm_proxy_route first first idle_timeout=200ms;
    llm_proxy_route second second;
    llm_proxy_model_pattern a first;
    llm_proxy_model_pattern b second;
    llm_proxy_idle_timeout 60s;
    proxy_read_timeout 50s;
    location /1/v1/ { llm_proxy; proxy_pass http://$llm_provider_upstream; }
    location /2/v1/ {
        llm_proxy;
        llm_proxy_idle_timeout 200ms;
        proxy_pass http://$llm_provider_upstream;
    }
--- provider_first
{"fault":"stall","after":2}
--- provider_second
{"fault":"stall","after":2}
--- requests
POST /1/v1/chat/completions
{"model":"a","stream":true}
>>>
POST /2/v1/chat/completions
{"model":"b","stream":true}
--- incomplete_response
--- response_body_like
provider_timeout

=== llm_proxy_total_timeout ends the wait for the head
--- http_config
    upstream first { server %%first%%; }
    log_format end '$status $llm_stream_state';
--- config
    llm_proxy_route first first;
    llm_proxy_default_provider first;
    llm_proxy_total_timeout 200ms;
    location /v1/ { llm_proxy; proxy_pass http://$llm_provider_upstream; }
--- provider_first
{"fault":"hang","times":2}
--- requests
POST /v1/chat/completions
{"model":"m"}
>>>
POST /v1/chat/completions
{"model":"m","stream":true}
--- error_code: 504
--- response_json
{"error":{"type":"server_error","code":"provider_timeout"}}
--- provider_first_client_closed: 2
--- access_log
^504 -$

=== llm_proxy_total_timeout ends the wait for a connection
--- http_config
    include mute.conf;
--- config
    llm_proxy_route first mute;
    llm_proxy_default_provider first;
    llm_proxy_total_timeout 200ms;
    location /v1/ { llm_proxy; proxy_pass https://$llm_provider_upstream; }
--- init
use IO::Socket::INET ();
$::mute = IO::Socket::INET->new(LocalAddr => '127.0.0.1', Listen => 8) or die "listen: $@\n";
$t->write_file('mute.conf', 'upstream mute { server 127.0.0.1:' . $::mute->sockport . '; }');
--- request
POST /v1/chat/completions
{"model":"m"}
--- error_code: 504
--- answered_within: 4s

=== llm_proxy_total_timeout ends a stream however lively it is
--- http_config
    upstream first { server %%first%%; }
    log_format end '$status $llm_stream_state';
--- config
    llm_proxy_route first first;
    llm_proxy_default_provider first;
    llm_proxy_total_timeout 300ms;
    location /v1/ { llm_proxy; proxy_pass http://$llm_provider_upstream; }
--- provider_first
{"pace_ms":10,"words":1500}
--- request
POST /v1/chat/completions
{"model":"m","stream":true}
--- incomplete_response
--- response_body_like
data: \{"error":\{[^\n]*"code":"provider_timeout"[^\n]*\n\n\z
--- provider_first_client_closed
--- access_log
^200 incomplete$

=== llm_proxy_total_timeout ends a body that is sent too slowly
--- http_config
    upstream first { server %%first%%; }
--- config
    llm_proxy_route first first;
    llm_proxy_default_provider first;
    llm_proxy_total_timeout 200ms;
    location /v1/ { llm_proxy; proxy_pass http://$llm_provider_upstream; }
--- provider_first
{"fault":"stall","after":1,"size":100000}
--- request
POST /v1/chat/completions
{"model":"m"}
--- incomplete_response
--- provider_first_client_closed
--- valgrind_skip: the head must come within 200 ms

=== a total timeout that is not reached does nothing, on no request of a connection
--- http_config
    upstream first { server %%first%%; }
--- config
    llm_proxy_route first first;
    llm_proxy_default_provider first;
    llm_proxy_total_timeout 800ms;
    location /v1/ { llm_proxy; proxy_pass http://$llm_provider_upstream; }
--- requests
POST /v1/chat/completions
{"model":"m"}
>>> after 900ms
POST /v1/chat/completions
{"model":"m","stream":true}
--- error_code: 200

=== a slow upload is not the provider's time
--- http_config
    upstream first { server %%first%%; }
--- config
    llm_proxy_route first first;
    llm_proxy_default_provider first;
    llm_proxy_total_timeout 900ms;
    llm_proxy_response_timeout 900ms;
    location /v1/ { llm_proxy; proxy_pass http://$llm_provider_upstream; }
--- after
my $client = Test::LLM::Client->new($t->address);
$client->transmit("POST /v1/chat/completions HTTP/1.1\r\nHost: a\r\nContent-Length: 13\r\n"
    . "Content-Type: application/json\r\n\r\n" . '{"model":');
Test::LLM::Util::pause(1);
$client->transmit('"m"}');
my $answer = $client->receive;
is($answer->{status}, 200, 'it is answered');
$client->finish;

=== a general value holds from http on, and a location may have its own
--- http_config
    upstream first { server %%first%%; }
    llm_proxy_response_timeout 60s;
--- config
    llm_proxy_route first first;
    llm_proxy_default_provider first;
    llm_proxy_response_timeout 200ms;
    location /v1/ { llm_proxy; proxy_pass http://$llm_provider_upstream; }
    location /patient/v1/ {
        llm_proxy;
        llm_proxy_response_timeout 30s;
        proxy_pass http://$llm_provider_upstream;
    }
--- provider_first
{"fault":"hang"}

{"delay_ms":400}
--- requests
POST /v1/chat/completions
{"model":"m"}
>>>
POST /patient/v1/chat/completions
{"model":"m"}
--- error_code: 504 200

=== llm_proxy_connect_timeout wants a time
--- config
    llm_proxy_connect_timeout soon;
--- must_fail
invalid value "soon" in "llm_proxy_connect_timeout" directive, it must be a time such as "30s"

=== llm_proxy_connect_timeout is written once
--- config
    llm_proxy_connect_timeout 1s;
    llm_proxy_connect_timeout 900ms;
--- must_fail
"llm_proxy_connect_timeout" directive is duplicate

=== llm_proxy_response_timeout wants a time
--- config
    llm_proxy_response_timeout soon;
--- must_fail
invalid value "soon" in "llm_proxy_response_timeout" directive, it must be a time such as "30s"

=== llm_proxy_response_timeout is written once
--- config
    llm_proxy_response_timeout 1s;
    llm_proxy_response_timeout 900ms;
--- must_fail
"llm_proxy_response_timeout" directive is duplicate

=== llm_proxy_first_token_timeout wants a time
--- config
    llm_proxy_first_token_timeout soon;
--- must_fail
invalid value "soon" in "llm_proxy_first_token_timeout" directive, it must be a time such as "30s"

=== llm_proxy_first_token_timeout is written once
--- config
    llm_proxy_first_token_timeout 1s;
    llm_proxy_first_token_timeout 900ms;
--- must_fail
"llm_proxy_first_token_timeout" directive is duplicate

=== llm_proxy_idle_timeout wants a time
--- config
    llm_proxy_idle_timeout soon;
--- must_fail
invalid value "soon" in "llm_proxy_idle_timeout" directive, it must be a time such as "30s"

=== llm_proxy_idle_timeout is written once
--- config
    llm_proxy_idle_timeout 600ms;
    llm_proxy_idle_timeout 900ms;
--- must_fail
"llm_proxy_idle_timeout" directive is duplicate

=== llm_proxy_total_timeout wants a time
--- config
    llm_proxy_total_timeout soon;
--- must_fail
invalid value "soon" in "llm_proxy_total_timeout" directive, it must be a time such as "30s"

=== llm_proxy_total_timeout is written once
--- config
    llm_proxy_total_timeout 1s;
    llm_proxy_total_timeout 900ms;
--- must_fail
"llm_proxy_total_timeout" directive is duplicate

=== llm_proxy_connect_timeout cannot be zero: nothing would be in time
--- config
    llm_proxy_connect_timeout 0;
--- must_fail
invalid value "0" in "llm_proxy_connect_timeout" directive, it must be a time such as "30s"

=== llm_proxy_response_timeout cannot be zero: nothing would be in time
--- config
    llm_proxy_response_timeout 0;
--- must_fail
invalid value "0" in "llm_proxy_response_timeout" directive, it must be a time such as "30s"

=== llm_proxy_idle_timeout cannot be zero: nothing would be in time
--- config
    llm_proxy_idle_timeout 0;
--- must_fail
invalid value "0" in "llm_proxy_idle_timeout" directive, it must be a time such as "30s"
