# How long a stream is held back while another target could still answer: until its first content, or
# until its end, so that one that breaks off, stalls or reports an error half way is rescued, too.

use Test::LLM 'no_plan';

run_tests();

__DATA__

=== first_token: a stream goes out with its first content, and is then the client's
--- http_config
    upstream one { server %%first%%; }
    upstream two { server %%second%%; }
    log_format hold '$status $llm_stream_state $llm_fallback_suppressed_reason $llm_failure_class';
--- config
    llm_proxy_route first one;
    llm_proxy_route second two;
    llm_proxy_default_provider first;
    llm_fallback_route first second;
    llm_fallback_on stream_error transport_timeout upstream_5xx;
    location /v1/ { llm_proxy; llm_fallback; proxy_pass http://$llm_provider_upstream; }
--- provider_first
{"fault":"cut","after":41,"words":60}
--- request
POST /v1/chat/completions
{"model":"m","stream":true}
--- incomplete_response
--- response_body_like
" first\."
\n\ndata: \{"error":\{"message":"[^"]+","type":"server_error","param":null,"code":"stream_incomplete"\},"request_id":"[0-9a-f]{32}"\}\n\n\z
--- response_headers
X-LLM-Provider: first
X-LLM-Chain: ~^first/m:200:\d+ms$
--- access_log
^200 incomplete already_started stream_error$
--- provider_second_requests: 0

=== first_token: role-only deltas, comments and pings are held, the event that decides goes out with them
--- http_config
    upstream one { server %%first%%; }
    upstream two { server %%second%%; }
--- config
    llm_proxy_route first one anthropic first_token_timeout=300ms;
    llm_proxy_route second two anthropic;
    llm_proxy_default_provider first;
    llm_fallback_route first second;
    location /v1/ { llm_proxy; llm_fallback; proxy_pass http://$llm_provider_upstream; }
--- provider_first
sse
event: message_start data: {"type":"message_start","message":{"usage":{"input_tokens":1}}}
event: ping data: {"type":"ping"}
: a comment
event: content_block_start data: {"type":"content_block_start","content_block":{"type":"text","text":""}}
event: content_block_delta data: {"type":"content_block_delta","delta":{"type":"text_delta","text":"a"}}
event: message_stop data: {"type":"message_stop"}
--- request
POST /v1/messages
{"model":"m","max_tokens":5,"stream":true,"messages":[]}
--- response_sse
event: message_start data: {"type":"message_start","message":{"usage":{"input_tokens":1}}}
event: ping data: {"type":"ping"}
: a comment
event: content_block_start data: {"type":"content_block_start","content_block":{"type":"text","text":""}}
event: content_block_delta data: {"type":"content_block_delta","delta":{"type":"text_delta","text":"a"}}
event: message_stop data: {"type":"message_stop"}
--- provider_second_requests: 0

=== first_token: reasoning, a tool call and a refusal are content
--- http_config
    upstream one { server %%first%%; }
    upstream two { server %%second%%; }
--- config
    llm_proxy_route first one idle_timeout=300ms first_token_timeout=300ms;
    llm_proxy_route second two;
    llm_proxy_default_provider first;
    llm_fallback_route first second;
    llm_fallback_on first_token_timeout;
    location /v1/ { llm_proxy; llm_fallback; proxy_pass http://$llm_provider_upstream; }
--- provider_first
{"fault":"stall","after":1,"sse":["{\"choices\":[{\"delta\":{\"reasoning_content\":\"a\"}}]}"]}

{"fault":"stall","after":1,"sse":["{\"choices\":[{\"delta\":{\"tool_calls\":[{\"index\":0,\"function\":{\"name\":\"f\"}}]}}]}"]}

{"fault":"stall","after":1,"sse":["{\"choices\":[{\"delta\":{\"refusal\":\"no\"}}]}"]}
--- requests
POST /v1/chat/completions
{"model":"m","stream":true}
>>>
POST /v1/chat/completions
{"model":"m","stream":true}
>>>
POST /v1/chat/completions
{"model":"m","stream":true}
--- incomplete_response
--- response_headers
X-LLM-Provider: first
--- provider_second_requests: 0

=== complete: a stream that breaks off after 40 of 60 words is rescued
--- http_config
    upstream one { server %%first%%; }
    upstream two { server %%second%%; }
    log_format hold '$status $llm_stream_state $llm_completion_tokens';
--- config
    llm_proxy_route first one;
    llm_proxy_route second two;
    llm_proxy_default_provider first;
    llm_fallback_route first second model-b;
    llm_fallback_on stream_error;
    llm_fallback_hold complete;
    location /v1/ { llm_proxy; llm_fallback; proxy_pass http://$llm_provider_upstream; }
--- provider_first
{"fault":"cut","after":41,"words":60}
--- provider_second
{"words":60}
--- request
POST /v1/chat/completions
{"model":"model-a","stream":true}
--- response_body_like
" second\."
data: \[DONE\]\n\n\z
--- response_body_unlike
first
model-a
--- response_headers
X-LLM-Chain: ~^first/model-a:stream_error:\d+ms, second/model-b:200:\d+ms$
--- access_log
^200 complete 64$

=== complete: so is one that is reset, or ends without a word
--- http_config
    upstream one { server %%first%%; }
    upstream two { server %%second%%; }
--- config
    llm_proxy_route first one;
    llm_proxy_route second two;
    llm_proxy_default_provider first;
    llm_fallback_route first second;
    llm_fallback_on stream_error;
    llm_fallback_hold complete;
    location /v1/ { llm_proxy; llm_fallback; proxy_pass http://$llm_provider_upstream; }
--- provider_first
{"fault":"cut_reset","after":5,"words":20}

{"fault":"no_finish","words":20}

{"fault":"cut","after":5,"words":20,"framing":"close"}

{"fault":"cut","after":5,"words":20,"framing":"length"}
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
--- response_body_like
" second\."
data: \[DONE\]\n\n\z
--- response_body_unlike
first
--- response_headers
X-LLM-Chain: ~^first/m:stream_error:\d+ms, second/m:200:\d+ms$

=== complete: a stream that stalls half way
--- http_config
    upstream one { server %%first%%; }
    upstream two { server %%second%%; }
--- config
    llm_proxy_route first one idle_timeout=200ms;
    llm_proxy_route second two;
    llm_proxy_default_provider first;
    llm_fallback_route first second;
    llm_fallback_on stream_error;
    llm_fallback_hold complete;
    location /v1/ { llm_proxy; llm_fallback; proxy_pass http://$llm_provider_upstream; }
--- provider_first
{"fault":"stall","after":21,"words":60}
--- request
POST /v1/chat/completions
{"model":"m","stream":true}
--- response_body_like
" second\."
data: \[DONE\]\n\n\z
--- response_body_unlike
first
--- response_headers
X-LLM-Chain: ~^first/m:stream_error:\d+ms, second/m:200:\d+ms$
--- provider_first_client_closed: 1

=== complete: a stream that stalls half way is a transport_timeout as well
--- http_config
    upstream one { server %%first%%; }
    upstream two { server %%second%%; }
--- config
    llm_proxy_route first one idle_timeout=200ms;
    llm_proxy_route second two;
    llm_proxy_default_provider first;
    llm_fallback_route first second;
    llm_fallback_on transport_timeout;
    llm_fallback_hold complete;
    location /v1/ { llm_proxy; llm_fallback; proxy_pass http://$llm_provider_upstream; }
--- provider_first
{"fault":"stall","after":21,"words":60}
--- request
POST /v1/chat/completions
{"model":"m","stream":true}
--- response_body_like: " second\."

=== complete: an error event after 40 of 60
--- http_config
    upstream one { server %%first%%; }
    upstream two { server %%second%%; }
--- config
    llm_proxy_route first one;
    llm_proxy_route second two;
    llm_proxy_default_provider first;
    llm_fallback_route first second;
    llm_fallback_on stream_error;
    llm_fallback_hold complete;
    location /v1/ { llm_proxy; llm_fallback; proxy_pass http://$llm_provider_upstream; }
--- provider_first
{"fault":"error_event","after":41,"words":60,"error":"server_error"}
--- request
POST /v1/chat/completions
{"model":"m","stream":true}
--- response_body_like
" second\."
data: \[DONE\]\n\n\z
--- response_body_unlike
first
error
--- response_headers
X-LLM-Chain: ~^first/m:upstream_5xx:\d+ms, second/m:200:\d+ms$

=== complete: the same in Anthropic's dialect
--- http_config
    upstream one { server %%first%%; }
    upstream two { server %%second%%; }
--- config
    llm_proxy_route first one anthropic idle_timeout=200ms;
    llm_proxy_route second two anthropic;
    llm_proxy_default_provider first;
    llm_fallback_route first second;
    llm_fallback_on stream_error overloaded;
    llm_fallback_hold complete;
    location /v1/ { llm_proxy; llm_fallback; proxy_pass http://$llm_provider_upstream; }
--- provider_first
{"fault":"cut","after":20,"words":60}

{"fault":"stall","after":20,"words":60}

{"fault":"error_event","after":20,"words":60}

{"fault":"no_finish","words":60}
--- requests
POST /v1/messages
{"model":"m","max_tokens":5,"stream":true,"messages":[]}
>>>
POST /v1/messages
{"model":"m","max_tokens":5,"stream":true,"messages":[]}
>>>
POST /v1/messages
{"model":"m","max_tokens":5,"stream":true,"messages":[]}
>>>
POST /v1/messages
{"model":"m","max_tokens":5,"stream":true,"messages":[]}
--- response_body_like
" second\."
event: message_stop\ndata: [^\n]*\n\n\z
--- response_body_unlike
first
event: error
--- provider_second_requests: 4

=== complete: the same for responses and completions
--- http_config
    upstream one { server %%first%%; }
    upstream two { server %%second%%; }
--- config
    llm_proxy_route first one;
    llm_proxy_route second two;
    llm_proxy_default_provider first;
    llm_fallback_route first second;
    llm_fallback_on stream_error;
    llm_fallback_hold complete;
    location /v1/ { llm_proxy; llm_fallback; proxy_pass http://$llm_provider_upstream; }
--- provider_first
{"fault":"cut","after":12,"words":60}

{"fault":"cut","after":12,"words":60}
--- requests
POST /v1/responses
{"model":"m","input":"","stream":true}
>>>
POST /v1/completions
{"model":"m","prompt":"","stream":true}
--- response_body_like
event: response.completed
>>>
data: \[DONE\]\n\n\z
--- response_body_unlike
first
--- provider_second_requests: 2

=== complete: an answer that is good goes out as it came
--- http_config
    upstream one { server %%first%%; }
    upstream two { server %%second%%; }
--- config
    llm_proxy_route first one;
    llm_proxy_route second two;
    llm_proxy_default_provider first;
    llm_fallback_route first second;
    llm_fallback_hold complete;
    location /v1/ { llm_proxy; llm_fallback; proxy_pass http://$llm_provider_upstream; }
--- provider_first
sse
: a comment
{"choices":[{"delta":{"role":"assistant"}}], "unknown": 12345678901234567890}
{"choices":[{"delta":{"content":"\u00e9"}}]}
{"choices":[{"delta":{},"finish_reason":"stop"}]}
[DONE]
--- request
POST /v1/chat/completions
{"model":"m","stream":true}
--- response_sse
: a comment
{"choices":[{"delta":{"role":"assistant"}}], "unknown": 12345678901234567890}
{"choices":[{"delta":{"content":"\u00e9"}}]}
{"choices":[{"delta":{},"finish_reason":"stop"}]}
[DONE]
--- response_headers
X-Accel-Buffering: no
Cache-Control: no-cache
--- provider_second_requests: 0

=== complete: a finish reason and a clean end are enough, however the end is told
--- http_config
    upstream one { server %%first%%; }
    upstream two { server %%second%%; }
--- config
    llm_proxy_route first one;
    llm_proxy_route second two;
    llm_proxy_default_provider first;
    llm_fallback_route first second;
    llm_fallback_on stream_error;
    llm_fallback_hold complete;
    location /v1/ { llm_proxy; llm_fallback; proxy_pass http://$llm_provider_upstream; }
--- provider_first
{"fault":"no_done","words":20}

{"fault":"no_done","words":20,"framing":"length"}

{"fault":"no_done","words":20,"framing":"close"}

{"words":20,"framing":"close"}
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
--- response_body_like
" first\."
"finish_reason":"stop"
--- response_headers
X-Fallback-Attempt-Count: 1
--- provider_second_requests: 0

=== complete: the limits are of the pauses, not of the whole
--- http_config
    upstream one { server %%first%%; }
    upstream two { server %%second%%; }
--- config
    llm_proxy_route first one first_token_timeout=1s response_timeout=1s idle_timeout=1s;
    llm_proxy_route second two;
    llm_proxy_default_provider first;
    llm_fallback_route first second;
    llm_fallback_on stream_error transport_timeout first_token_timeout;
    llm_fallback_hold complete;
    location /v1/ { llm_proxy; llm_fallback; proxy_pass http://$llm_provider_upstream; }
--- provider_first
{"words":14,"pace_ms":100}
--- request
POST /v1/chat/completions
{"model":"m","stream":true}
--- response_headers
X-LLM-Chain: ~^first/m:200:\d{4,}ms$
--- response_body_like
data: \[DONE\]\n\n\z
--- provider_second_requests: 0

=== complete: an event that cannot be read makes an answer bad, if bad_response is listed
--- http_config
    upstream one { server %%first%%; }
    upstream two { server %%second%%; }
    llm_proxy;
    llm_proxy_route first one;
    llm_proxy_route second two;
    llm_proxy_default_provider first;
    llm_fallback;
    llm_fallback_route first second;
    llm_fallback_hold complete;
--- config
    location /yes/v1/ { llm_fallback_on bad_response; proxy_pass http://$llm_provider_upstream; }
    location /no/v1/ { llm_fallback_on stream_error; proxy_pass http://$llm_provider_upstream; }
    location /last/v1/ {
        llm_fallback_on bad_response; llm_fallback_max_attempts 1;
        proxy_pass http://$llm_provider_upstream;
    }
--- provider_first
{"fault":"malformed","after":9,"words":20,"times":3}
--- requests
POST /yes/v1/chat/completions
{"model":"m","stream":true}
>>>
POST /no/v1/chat/completions
{"model":"m","stream":true}
>>>
POST /last/v1/chat/completions
{"model":"m","stream":true}
--- response_body_like
data: \[DONE\]\n\n\z
--- response_body_unlike: malformed
--- response_headers
X-LLM-Chain: ~^first/m:bad_response:\d+ms, second/m:200:\d+ms$
>>>
X-LLM-Chain: ~^first/m:200:\d+ms$
>>>
X-LLM-Chain: ~^first/m:bad_response:\d+ms$
X-Fallback-Suppressed-Reason: attempts_exhausted

=== complete: where nobody is left the client gets a clean error
--- http_config
    upstream one { server %%first%%; }
    upstream two { server %%second%%; }
--- config
    llm_proxy_route first one idle_timeout=200ms;
    llm_proxy_route second two;
    llm_proxy_default_provider first;
    llm_fallback_route first second;
    llm_fallback_on stream_error;
    llm_fallback_hold complete;
    location /v1/ { llm_proxy; llm_fallback; proxy_pass http://$llm_provider_upstream; }
--- provider_first
{"fault":"cut","after":5,"words":20}
--- provider_second
{"fault":"cut","after":5,"words":20}
--- request
POST /v1/chat/completions
{"model":"m","stream":true}
--- error_code: 502
--- response_json
{"error":{"code":"stream_incomplete","type":"server_error","message":"<<any>>"}}
--- response_headers
Content-Type: application/json
X-LLM-Chain: ~^first/m:stream_error:\d+ms, second/m:stream_error:\d+ms$
X-Should-Retry: false

=== complete: an error event that nobody is left to answer is passed on as the provider sent it
--- http_config
    upstream one { server %%first%%; }
--- config
    llm_proxy_route first one;
    llm_proxy_default_provider first;
    llm_fallback_on stream_error upstream_5xx;
    llm_fallback_hold complete;
    location /v1/ { llm_proxy; llm_fallback; proxy_pass http://$llm_provider_upstream; }
--- provider_first
{"fault":"error_event","after":3,"words":20}
--- request
POST /v1/chat/completions
{"model":"m","stream":true}
--- incomplete_response
--- response_body_like
" from"
\n\ndata: \{"error":.*\}\n\n\z
--- response_body_unlike: DONE

=== complete: the same target again
--- http_config
    upstream one { server %%first%%; }
--- config
    llm_proxy_route first one;
    llm_proxy_default_provider first;
    llm_fallback_on stream_error;
    llm_fallback_retry 1 backoff=1ms..2ms;
    llm_fallback_hold complete;
    location /v1/ { llm_proxy; llm_fallback; proxy_pass http://$llm_provider_upstream; }
--- provider_first
{"fault":"cut","after":5,"words":20}

{"words":3}
--- request
POST /v1/chat/completions
{"model":"m","stream":true}
--- response_body_like
" first\."
data: \[DONE\]\n\n\z
--- response_headers
X-LLM-Chain: ~^first/m:stream_error:\d+ms, first/m:200:\d+ms$
--- after
my ($answer) = $t->answers;
is(() = $answer->{body} =~ /"content":"Hello"/g, 1, 'the text once');

=== complete: the client reads heartbeats while it waits
--- http_config
    upstream one { server %%first%%; }
    upstream two { server %%second%%; }
--- config
    llm_proxy_route first one idle_timeout=300ms;
    llm_proxy_route second two;
    llm_proxy_default_provider first;
    llm_proxy_heartbeat 100ms;
    llm_fallback_route first second;
    llm_fallback_on stream_error;
    llm_fallback_hold complete;
    location /v1/ { llm_proxy; llm_fallback; proxy_pass http://$llm_provider_upstream; }
--- provider_first
{"fault":"stall","after":5,"words":20}
--- provider_second
{"words":4,"pace_ms":60}
--- request
POST /v1/chat/completions
{"model":"m","stream":true}
--- response_body_like
\A(?:: ping\n\n)+data: \{
" second\."
data: \[DONE\]\n\n\z
--- response_body_unlike
first
--- response_headers
Content-Type: ~^text/event-stream
--- provider_second_requests: 1

=== complete: behind a heartbeat the end of all attempts is told in the stream
--- http_config
    upstream one { server %%first%%; }
    upstream two { server %%second%%; }
--- config
    llm_proxy_route first one idle_timeout=300ms;
    llm_proxy_route second two;
    llm_proxy_default_provider first;
    llm_proxy_heartbeat 100ms;
    llm_fallback_route first second;
    llm_fallback_on stream_error;
    llm_fallback_hold complete;
    location /v1/ { llm_proxy; llm_fallback; proxy_pass http://$llm_provider_upstream; }
--- provider_first
{"fault":"stall","after":5,"words":20}
--- provider_second
{"fault":"cut","after":5,"words":20}
--- request
POST /v1/chat/completions
{"model":"m","stream":true}
--- incomplete_response
--- response_body_like
\A(?:: ping\n\n)+data: \{"error":\{[^\n]*"code":"stream_incomplete"[^\n]*\n\n\z

=== complete: a refusal by the last target, behind a heartbeat
--- http_config
    upstream one { server %%first%%; }
    upstream two { server %%second%%; }
--- config
    llm_proxy_route first one idle_timeout=300ms;
    llm_proxy_route second two;
    llm_proxy_default_provider first;
    llm_proxy_heartbeat 100ms;
    llm_fallback_route first second;
    llm_fallback_on stream_error;
    llm_fallback_hold complete;
    location /v1/ { llm_proxy; llm_fallback; proxy_pass http://$llm_provider_upstream; }
--- provider_first
{"fault":"stall","after":5,"words":20}
--- provider_second
{"status":429}
--- request
POST /v1/chat/completions
{"model":"m","stream":true}
--- incomplete_response
--- response_body_like
\A(?:: ping\n\n)+data: \{"error":\{[^\n]*"type":"rate_limit_error"[^\n]*\n\n\z

=== complete: what is larger than llm_proxy_max_response_size is not held to its end
--- http_config
    upstream one { server %%first%%; }
    upstream two { server %%second%%; }
--- config
    llm_proxy_route first one;
    llm_proxy_route second two;
    llm_proxy_default_provider first;
    llm_proxy_max_response_size 20k;
    llm_fallback_route first second;
    llm_fallback_on stream_error;
    llm_fallback_hold complete;
    location /v1/ { llm_proxy; llm_fallback; proxy_pass http://$llm_provider_upstream; }
--- provider_first
{"event_size":1000,"words":100}

{"event_size":1000,"words":100,"fault":"cut","after":60}

{"event_size":1000,"words":100,"fault":"cut","after":5}
--- requests
POST /v1/chat/completions
{"model":"m","stream":true}
>>>
POST /v1/chat/completions
{"model":"m","stream":true}
>>>
POST /v1/chat/completions
{"model":"m","stream":true}
--- incomplete_response: 2
--- response_body_like
data: \[DONE\]\n\n\z
>>>
"code":"stream_incomplete"[^\n]*\n\n\z
>>>
data: \[DONE\]\n\n\z
--- response_headers
X-LLM-Provider: first
>>>
X-LLM-Provider: first
>>>
X-LLM-Provider: second
--- provider_second_requests: 1

=== complete: megabytes are held and come whole
--- http_config
    upstream one { server %%first%%; }
    upstream two { server %%second%%; }
--- config
    llm_proxy_route first one;
    llm_proxy_route second two;
    llm_proxy_default_provider first;
    llm_fallback_route first second;
    llm_fallback_on stream_error;
    llm_fallback_hold complete;
    location /v1/ { llm_proxy; llm_fallback; proxy_pass http://$llm_provider_upstream; }
--- provider_first
{"event_size":20000,"words":150,"fault":"cut","after":140}
--- provider_second
{"event_size":20000,"words":150}
--- request
POST /v1/chat/completions
{"model":"m","stream":true}
--- response_body_like
data: \[DONE\]\n\n\z
--- after
my ($answer) = $t->answers;
is(() = $answer->{body} =~ /"content":/g, 151, 'every event once');

=== complete: proxy_buffering and a cache make no difference
--- http_config
    upstream one { server %%first%%; }
    upstream two { server %%second%%; }
    proxy_cache_path %%root%%/cache keys_zone=llm:1m;
    llm_proxy;
    llm_proxy_route first one;
    llm_proxy_route second two;
    llm_proxy_default_provider first;
    llm_fallback;
    llm_fallback_route first second;
    llm_fallback_on stream_error;
    llm_fallback_hold complete;
--- config
    location /off/v1/ { proxy_buffering off; proxy_pass http://$llm_provider_upstream; }
    location /on/v1/ { proxy_buffering on; proxy_pass http://$llm_provider_upstream; }
    location /cache/v1/ {
        proxy_cache llm; proxy_cache_methods POST; proxy_cache_key $request_body;
        proxy_cache_valid 1m; proxy_pass http://$llm_provider_upstream;
    }
--- provider_first
{"event_size":1000,"words":60,"fault":"cut","after":40,"times":3}
--- provider_second
{"event_size":1000,"words":60,"times":3,"headers":{"cache-control":null}}
--- requests
POST /off/v1/chat/completions
{"model":"m","stream":true}
>>>
POST /on/v1/chat/completions
{"model":"m","stream":true}
>>>
POST /cache/v1/chat/completions
{"model":"m","stream":true}
>>>
POST /cache/v1/chat/completions
{"model":"m","stream":true}
--- response_body_like
" second\.
data: \[DONE\]\n\n\z
--- response_body_unlike
first
--- after
is(() = $_->{body} =~ /"content":/g, 61, 'every event once') for $t->answers;

=== complete: requests that are no streams are not held
--- http_config
    upstream one { server %%first%%; }
    upstream two { server %%second%%; }
--- config
    llm_proxy_route first one;
    llm_proxy_route second two;
    llm_proxy_default_provider first;
    llm_fallback_route first second;
    llm_fallback_hold complete;
    location /v1/ { llm_proxy; llm_fallback; proxy_pass http://$llm_provider_upstream; }
--- provider_first
{"size":100000}
--- request
POST /v1/chat/completions
{"model":"m"}
--- response_json
{"model":"m"}

=== it is inherited, and first_token undoes it
--- http_config
    upstream one { server %%first%%; }
    upstream two { server %%second%%; }
    llm_fallback_hold complete;
    llm_fallback_on stream_error;
--- config
    llm_proxy_route first one;
    llm_proxy_route second two;
    llm_proxy_default_provider first;
    llm_fallback_route first second;
    location /complete/v1/ { llm_proxy; llm_fallback; proxy_pass http://$llm_provider_upstream; }
    location /first/v1/ {
        llm_proxy; llm_fallback; llm_fallback_hold first_token;
        proxy_pass http://$llm_provider_upstream;
    }
--- provider_first
{"fault":"cut","after":5,"words":20,"times":2}
--- requests
POST /complete/v1/chat/completions
{"model":"m","stream":true}
>>>
POST /first/v1/chat/completions
{"model":"m","stream":true}
--- incomplete_response: 2
--- provider_second_requests: 1

=== llm_fallback_hold has two words
--- config
    llm_fallback_hold all;
--- must_fail
invalid value "all" in "llm_fallback_hold", it must be first_token or complete in %%root%%/nginx.conf

=== llm_fallback_hold is written once
--- config
    llm_fallback_hold complete;
    llm_fallback_hold first_token;
--- must_fail
"llm_fallback_hold" directive is duplicate in %%root%%/nginx.conf
