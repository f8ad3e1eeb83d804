# llm_proxy_heartbeat: comments for a streaming client that waits. A provider that falls silent for
# ever leaves only heartbeats to wait for.

use Test::LLM 'no_plan';

run_tests();

__DATA__

=== a client that waits for the head gets one, and heartbeats
--- http_config
    upstream first { server %%first%%; }
    log_format end '$llm_stream_state';
--- config
    llm_proxy_route first first;
    llm_proxy_default_provider first;
    llm_proxy_heartbeat 50ms;
    location /v1/ { llm_proxy; proxy_pass http://$llm_provider_upstream; }
--- provider_first
{"fault":"hang"}
--- request
POST /v1/chat/completions
{"model":"m","stream":true}
--- abort_after: : ping\n\n[^:]*: ping\n\n
--- error_code: 200
--- response_headers
content-type: text/event-stream
x-accel-buffering: no
cache-control: no-cache
x-llm-event-id: ~^[0-9a-f]{32}$
!content-length
--- response_body_like
\A: ping\n\n: ping\n\n\z
--- access_log
^client_closed$

=== the stream follows the heartbeats, with its beginning and its end
--- http_config
    upstream first { server %%first%%; }
    log_format end '$status $llm_stream_state $llm_total_tokens';
--- config
    llm_proxy_route first first;
    llm_proxy_default_provider first;
    llm_proxy_heartbeat 50ms;
    location /v1/ { llm_proxy; proxy_pass http://$llm_provider_upstream; }
--- provider_first
{"delay_ms":300,"sse":["{\"choices\":[{\"delta\":{\"content\":\"a\"},\"finish_reason\":\"stop\"}]}",
  "{\"choices\":[],\"usage\":{\"prompt_tokens\":1,\"completion_tokens\":2}}","[DONE]"]}
--- request
POST /v1/chat/completions
{"model":"m","stream":true}
--- response_body_like
\A(?:: ping\n\n)+data: \{"choices":\[\{"delta":\{"content":"a"\},"finish_reason":"stop"\}\]\}\n\ndata: \[DONE\]\n\n\z
--- raw_response_headers_like
\AHTTP/1.1 200 OK\r
--- access_log
^200 complete 3$

=== a held head leaves the client waiting for heartbeats, too
--- http_config
    upstream first { server %%first%%; }
    log_format end '$llm_stream_state';
--- config
    llm_proxy_route first first;
    llm_proxy_default_provider first;
    llm_proxy_heartbeat 50ms;
    llm_proxy_first_token_timeout 30s;
    location /v1/ { llm_proxy; proxy_pass http://$llm_provider_upstream; }
--- provider_first
{"pace_ms":200,"sse":["{\"choices\":[{\"delta\":{\"role\":\"assistant\"}}]}",
  "{\"choices\":[{\"delta\":{\"content\":\"a\"}}]}","[DONE]"]}
--- request
POST /v1/chat/completions
{"model":"m","stream":true}
--- response_body_like
\A(?:: ping\n\n)+data: \{"choices":\[\{"delta":\{"role":"assistant"\}\}\]\}\n\ndata: \{"choices":\[\{"delta":\{"content":"a"\}\}\]\}\n\n(?:: ping\n\n)*data: \[DONE\]\n\n\z
--- access_log
^complete$

=== between events a silent provider's client gets heartbeats
--- http_config
    upstream first { server %%first%%; }
--- config
    llm_proxy_route first first;
    llm_proxy_default_provider first;
    llm_proxy_heartbeat 50ms;
    location /v1/ { llm_proxy; proxy_pass http://$llm_provider_upstream; }
--- provider_first
sse {"fault":"stall","after":1}
{"choices":[{"delta":{"content":"a"}}]}
[DONE]
--- request
POST /v1/chat/completions
{"model":"m","stream":true}
--- abort_after: "a"[^:]*\n\n[^:]*: ping\n\n[^:]*: ping\n\n
--- provider_first_client_closed

=== in Anthropic's streams they are comments, too
--- http_config
    upstream first { server %%first%%; }
--- config
    llm_proxy_route first first anthropic;
    llm_proxy_default_provider first;
    llm_proxy_heartbeat 50ms;
    location /v1/ { llm_proxy; proxy_pass http://$llm_provider_upstream; }
--- provider_first
{"fault":"stall","after":4}
--- request
POST /v1/messages
{"model":"m","max_tokens":5,"stream":true,"messages":[]}
--- abort_after: "text":"Hello"\}\}\n\n[^:]*: ping\n\n
--- provider_first_client_closed

=== never inside an event: its beginning waits for its end, and heartbeats go before it
--- http_config
    upstream first { server %%first%%; }
--- config
    llm_proxy_route first first;
    llm_proxy_default_provider first;
    llm_proxy_heartbeat 50ms;
    location /v1/ { llm_proxy; proxy_pass http://$llm_provider_upstream; }
--- provider_first
{"pace_ms":120,"chunks":["data: {\"choices\":","[{\"delta\":{\"content\":","\"a\"}}]}","\n","\ndata: [DO","NE]\n\n"]}
--- request
POST /v1/chat/completions
{"model":"m","stream":true}
--- response_body_like
\A(?:: ping\n\n)+data: \{"choices":\[\{"delta":\{"content":"a"\}\}\]\}\n\n(?:: ping\n\n)*data: \[DONE\]\n\n\z

=== never inside an event that is too long to be held, but behind it
--- http_config
    upstream first { server %%first%%; }
--- config
    llm_proxy_route first first;
    llm_proxy_default_provider first;
    llm_proxy_heartbeat 50ms;
    location /v1/ { llm_proxy; proxy_pass http://$llm_provider_upstream; }
--- provider_first eval
'{"pace_ms":250,"chunks":["data: {\"a\":\"' . 'x' x 1_500_000 . '","' . 'y' x 10 . '\"}\n\n","data: [DONE]\n\n"]}'
--- request
POST /v1/chat/completions
{"model":"m","stream":true}
--- response_body_like
\A(?:: ping\n\n)*data: \{"a":"x{1000}
xy{10}"\}\n\n(?:: ping\n\n){2,}data: \[DONE\]\n\n\z

=== a client that gets events does not wait
--- http_config
    upstream first { server %%first%%; }
--- config
    llm_proxy_route first first;
    llm_proxy_default_provider first;
    llm_proxy_heartbeat 400ms;
    location /v1/ { llm_proxy; proxy_pass http://$llm_provider_upstream; }
--- provider_first
{"pace_ms":20,"words":50}
--- request
POST /v1/chat/completions
{"model":"m","stream":true}
--- response_body_like
data: \[DONE\]\n\n\z
--- response_body_unlike
ping
--- valgrind_skip: the first event must come within 400 ms

=== a refusal that comes after a heartbeat becomes an error event
--- http_config
    upstream first { server %%first%%; }
    log_format end '$status $llm_stream_state';
--- config
    llm_proxy_route first first;
    llm_proxy_default_provider first;
    llm_proxy_heartbeat 50ms;
    location /v1/ { llm_proxy; proxy_pass http://$llm_provider_upstream; }
--- provider_first
{"delay_ms":250,"error":"rate_limit_exceeded"}
--- request
POST /v1/chat/completions
{"model":"m","stream":true}
--- incomplete_response
--- response_body_like
\A(?:: ping\n\n)+data: \{"error":\{[^\n]*"code":"rate_limit_exceeded"[^\n]*\}\n\n\z
--- access_log
^200 incomplete$

=== in the client's dialect
--- http_config
    upstream first { server %%first%%; }
    log_format end '$status $llm_stream_state';
--- config
    llm_proxy_route first first anthropic;
    llm_proxy_default_provider first;
    llm_proxy_heartbeat 50ms;
    location /v1/ { llm_proxy; proxy_pass http://$llm_provider_upstream; }
--- provider_first
{"delay_ms":250,"error":"overloaded"}
--- request
POST /v1/messages
{"model":"m","max_tokens":5,"stream":true,"messages":[]}
--- incomplete_response
--- response_body_like
\A(?:: ping\n\n)+event: error\ndata: \{"type":"error","error":\{"type":"overloaded_error"[^\n]*\}\n\n\z
--- access_log
^200 incomplete$

=== a provider that goes away after a heartbeat becomes an error event
--- http_config
    upstream first { server %%first%%; }
    log_format end '$status $llm_stream_state';
--- config
    llm_proxy_route first first;
    llm_proxy_default_provider first;
    llm_proxy_heartbeat 50ms;
    location /v1/ { llm_proxy; proxy_pass http://$llm_provider_upstream; }
--- provider_first
{"delay_ms":250,"fault":"close"}
--- request
POST /v1/chat/completions
{"model":"m","stream":true}
--- incomplete_response
--- response_body_like
\A(?:: ping\n\n)+data: \{"error":\{[^\n]*"type":"server_error"[^\n]*\}\n\n\z
--- access_log
^200 incomplete$

=== a timeout after a heartbeat becomes an error event
--- http_config
    upstream first { server %%first%%; }
    log_format end '$status $llm_stream_state';
--- config
    llm_proxy_route first first;
    llm_proxy_default_provider first;
    llm_proxy_heartbeat 50ms;
    llm_proxy_response_timeout 250ms;
    location /v1/ { llm_proxy; proxy_pass http://$llm_provider_upstream; }
--- provider_first
{"fault":"hang"}
--- request
POST /v1/chat/completions
{"model":"m","stream":true}
--- incomplete_response
--- response_body_like
\A(?:: ping\n\n)+data: \{"error":\{[^\n]*"code":"provider_timeout"[^\n]*\}\n\n\z
--- provider_first_client_closed
--- access_log
^200 incomplete$

=== an answer of JSON after a heartbeat is no stream, and said to be none
--- http_config
    upstream first { server %%first%%; }
    log_format end '$status $llm_stream_state';
--- config
    llm_proxy_route first first;
    llm_proxy_default_provider first;
    llm_proxy_heartbeat 50ms;
    location /v1/ { llm_proxy; proxy_pass http://$llm_provider_upstream; }
--- provider_first
{"delay_ms":250,"json":{"id":"a"}}
--- request
POST /v1/chat/completions
{"model":"m","stream":true}
--- incomplete_response
--- response_body_like
\A(?:: ping\n\n)+data: \{"error":\{[^\n]*"code":"provider_bad_response"[^\n]*\}\n\n\z
--- access_log
^200 incomplete$

=== a stream that breaks off after heartbeats is told and broken off
--- http_config
    upstream first { server %%first%%; }
    log_format end '$llm_stream_state';
--- config
    llm_proxy_route first first;
    llm_proxy_default_provider first;
    llm_proxy_heartbeat 50ms;
    location /v1/ { llm_proxy; proxy_pass http://$llm_provider_upstream; }
--- provider_first
{"delay_ms":250,"fault":"cut","after":2}
--- request
POST /v1/chat/completions
{"model":"m","stream":true}
--- incomplete_response
--- response_body_like
\A(?:: ping\n\n)+data: \{"id"[^\x00]*"code":"stream_incomplete"[^\n]*\n\n\z
--- access_log
^incomplete$

=== a provider that answers at once gets no early head
--- http_config
    upstream first { server %%first%%; }
--- config
    llm_proxy_route first first;
    llm_proxy_default_provider first;
    llm_proxy_heartbeat 30s;
    location /v1/ { llm_proxy; proxy_pass http://$llm_provider_upstream; }
--- provider_first
429 {"error":{"code":"x"}}

{"words":2}
--- requests
POST /v1/chat/completions
{"model":"m","stream":true}
>>>
POST /v1/chat/completions
{"model":"m","stream":true}
--- error_code: 429 200
--- response_body_like
"code":"x"
>>>
\Adata: \{"id"
--- response_body_unlike
ping
--- response_headers
x-llm-provider: first

=== a refusal of ours needs no heartbeat
--- http_config
    upstream first { server %%first%%; }
--- config
    llm_proxy_route first first;
    llm_proxy_model_pattern known first;
    llm_proxy_heartbeat 10ms;
    location /v1/ { llm_proxy; proxy_pass http://$llm_provider_upstream; }
--- request
POST /v1/chat/completions
{"model":"m","stream":true}
--- error_code: 404
--- provider_first_requests: 0

=== it is off by default
--- http_config
    upstream first { server %%first%%; }
--- config
    llm_proxy_route first first;
    llm_proxy_default_provider first;
    location /v1/ { llm_proxy; proxy_pass http://$llm_provider_upstream; }
--- provider_first
{"delay_ms":300,"error":"rate_limit_exceeded"}
--- request
POST /v1/chat/completions
{"model":"m","stream":true}
--- error_code: 429

=== it is for streaming requests only
--- http_config
    upstream first { server %%first%%; }
--- config
    llm_proxy_route first first;
    llm_proxy_default_provider first;
    llm_proxy_heartbeat 50ms;
    location /v1/ { llm_proxy; proxy_pass http://$llm_provider_upstream; }
--- provider_first
{"delay_ms":300,"json":{"id":"a"}}
--- request
POST /v1/chat/completions
{"model":"m","stream":false}
--- response_body: {"id":"a"}

=== off undoes what is written above
--- http_config
    upstream first { server %%first%%; }
    llm_proxy_heartbeat 50ms;
--- config
    llm_proxy_route first first;
    llm_proxy_default_provider first;
    location /v1/ {
        llm_proxy;
        llm_proxy_heartbeat off;
        proxy_pass http://$llm_provider_upstream;
    }
    location /on/v1/ { llm_proxy; proxy_pass http://$llm_provider_upstream; }
--- provider_first
{"delay_ms":300,"words":2}

{"delay_ms":300,"words":2}
--- requests
POST /v1/chat/completions
{"model":"m","stream":true}
>>>
POST /on/v1/chat/completions
{"model":"m","stream":true}
--- response_body_like
\Adata: \{"id"
>>>
\A: ping

=== over HTTP/2 they come as well
--- http_config
    upstream first { server %%first%%; }
--- config
    llm_proxy_route first first;
    llm_proxy_default_provider first;
    llm_proxy_heartbeat 50ms;
    location /v1/ { llm_proxy; proxy_pass http://$llm_provider_upstream; }
--- provider_first
sse {"delay_ms":200,"pace_ms":200}
{"choices":[{"delta":{"content":"a"}}]}
[DONE]
--- request
POST /v1/chat/completions
{"model":"m","stream":true}
--- http2
--- response_body_like
\A(?:: ping\n\n)+data: \{"choices":\[\{"delta":\{"content":"a"\}\}\]\}\n\n(?:: ping\n\n)+data: \[DONE\]\n\n\z

=== the next request on the connection is not touched
--- http_config
    upstream first { server %%first%%; }
--- config
    llm_proxy_route first first;
    llm_proxy_default_provider first;
    llm_proxy_heartbeat 50ms;
    location /v1/ { llm_proxy; proxy_pass http://$llm_provider_upstream; }
--- provider_first
sse {"delay_ms":200}
[DONE]

200 {"id":"a"}
--- requests
POST /v1/chat/completions
{"model":"m","stream":true}
>>> after 100ms
POST /v1/chat/completions
{"model":"m"}
--- response_body_like
\A(?:: ping\n\n)+data: \[DONE\]\n\n\z
>>>
\A\{"id":"a"\}\z

=== llm_proxy_heartbeat wants a time or off
--- config
    llm_proxy_heartbeat on;
--- must_fail
invalid value "on" in "llm_proxy_heartbeat" directive, it must be a time or "off"

=== zero is not the word for off
--- config
    llm_proxy_heartbeat 0;
--- must_fail
invalid value "0" in "llm_proxy_heartbeat" directive, it must be a time or "off"

=== llm_proxy_heartbeat is written once
--- config
    llm_proxy_heartbeat 1s;
    llm_proxy_heartbeat 2s;
--- must_fail
"llm_proxy_heartbeat" directive is duplicate
