# Which failure is which class. Below /yes/ only the class in question is listed, below /no/ everything
# but the classes that the failure has: there the client gets what the provider sent.

use Test::LLM 'no_plan';

run_tests();

__DATA__

=== connect_error: no connection
--- http_config
    upstream one { server %%closed%%; }
    upstream two { server %%second%%; }
    llm_proxy;
    llm_proxy_route first one;
    llm_proxy_route second two;
    llm_proxy_default_provider first;
    llm_fallback;
    llm_fallback_route first second;
--- config
    location /yes/v1/ { llm_fallback_on connect_error; proxy_pass http://$llm_provider_upstream; }
    location /no/v1/ {
        llm_fallback_on transport_timeout upstream_5xx rate_limited overloaded first_token_timeout
            stream_error empty_response bad_response auth_error quota_exhausted context_length
            content_filter not_found http_502;
        proxy_pass http://$llm_provider_upstream;
    }
--- requests
POST /yes/v1/chat/completions
{"model":"m"}
>>>
POST /no/v1/chat/completions
{"model":"m"}
--- error_code: 200 502
--- response_headers
X-Fallback-Reason: connect_error
X-Fallback-Policy-Allowed: 1
>>>
X-Fallback-Reason: none
X-Fallback-Policy-Allowed: 0
X-Fallback-Suppressed: 0
X-LLM-Chain: ~^first/m:connect_error:\d+ms$

=== connect_error: a request that was sent is repeated only if a timeout is listed, too
--- http_config
    upstream one { server %%first%%; }
    upstream two { server %%second%%; }
    llm_proxy;
    llm_proxy_route first one;
    llm_proxy_route second two;
    llm_proxy_default_provider first;
    llm_fallback;
    llm_fallback_route first second;
--- config
    location /1/v1/ { llm_fallback_on connect_error; proxy_pass http://$llm_provider_upstream; }
    location /2/v1/ { llm_fallback_on connect_error transport_timeout; proxy_pass http://$llm_provider_upstream; }
    location /3/v1/ { llm_fallback_on connect_error first_token_timeout; proxy_pass http://$llm_provider_upstream; }
--- provider_first
{"fault":"close"}

{"fault":"reset"}

{"fault":"close"}

{"fault":"reset"}
--- requests
POST /1/v1/chat/completions
{"model":"m"}
>>>
POST /1/v1/chat/completions
{"model":"m"}
>>>
POST /2/v1/chat/completions
{"model":"m"}
>>>
POST /3/v1/chat/completions
{"model":"m"}
--- error_code: 502 502 200 200
--- response_headers
X-Fallback-Policy-Allowed: 0
X-LLM-Chain: ~^first/m:connect_error:\d+ms$
>>>
X-Fallback-Policy-Allowed: 0
X-LLM-Chain: ~^first/m:connect_error:\d+ms$
>>>
X-Fallback-Reason: connect_error
>>>
X-Fallback-Reason: connect_error

=== transport_timeout: no answer in time, and a provider that says so with 408
--- http_config
    upstream one { server %%first%%; }
    upstream two { server %%second%%; }
    llm_proxy;
    llm_proxy_route first one response_timeout=200ms;
    llm_proxy_route second two;
    llm_proxy_default_provider first;
    llm_fallback;
    llm_fallback_route first second;
--- config
    location /yes/v1/ { llm_fallback_on transport_timeout; proxy_pass http://$llm_provider_upstream; }
    location /no/v1/ {
        llm_fallback_on connect_error upstream_5xx rate_limited overloaded stream_error empty_response
            bad_response auth_error quota_exhausted context_length content_filter not_found http_504;
        proxy_pass http://$llm_provider_upstream;
    }
--- provider_first
{"fault":"hang"}

{"fault":"hang"}

408 {"error":{"message":"slow"}}

408 {"error":{"message":"slow"}}
--- requests
POST /yes/v1/chat/completions
{"model":"m"}
>>>
POST /no/v1/chat/completions
{"model":"m"}
>>>
POST /yes/v1/chat/completions
{"model":"m"}
>>>
POST /no/v1/chat/completions
{"model":"m"}
--- error_code: 200 504 200 408
--- response_headers
X-Fallback-Reason: transport_timeout
X-LLM-Chain: ~^first/m:transport_timeout:\d+ms, second/m:200:\d+ms$
>>>
X-LLM-Chain: ~^first/m:transport_timeout:\d+ms$
>>>
X-Fallback-Reason: transport_timeout
X-LLM-Chain: ~^first/m:408:\d+ms, second/m:200:\d+ms$
>>>
X-LLM-Chain: ~^first/m:408:\d+ms$

=== upstream_5xx: any status from 500
--- http_config
    upstream one { server %%first%%; }
    upstream two { server %%second%%; }
    llm_proxy;
    llm_proxy_route first one;
    llm_proxy_route second two;
    llm_proxy_default_provider first;
    llm_fallback;
    llm_fallback_route first second;
--- config
    location /yes/v1/ { llm_fallback_on upstream_5xx; proxy_pass http://$llm_provider_upstream; }
    location /no/v1/ {
        llm_fallback_on connect_error transport_timeout rate_limited overloaded first_token_timeout
            stream_error empty_response bad_response auth_error quota_exhausted context_length
            content_filter not_found http_502 http_504;
        proxy_pass http://$llm_provider_upstream;
    }
--- provider_first
500 {}

599 {}

529 {}

500 {"of":"first"}
--- requests
POST /yes/v1/chat/completions
{"model":"m"}
>>>
POST /yes/v1/chat/completions
{"model":"m"}
>>>
POST /yes/v1/chat/completions
{"model":"m"}
>>>
POST /no/v1/chat/completions
{"model":"m"}
--- error_code: 200 200 200 500
--- response_headers
X-Fallback-Reason: upstream_5xx
>>>
X-Fallback-Reason: upstream_5xx
>>>
X-Fallback-Reason: overloaded
>>>
X-Fallback-Reason: none

=== rate_limited: 429
--- http_config
    upstream one { server %%first%%; }
    upstream two { server %%second%%; }
    llm_proxy;
    llm_proxy_route first one;
    llm_proxy_route second two;
    llm_proxy_default_provider first;
    llm_fallback;
    llm_fallback_route first second;
--- config
    location /yes/v1/ { llm_fallback_on rate_limited; proxy_pass http://$llm_provider_upstream; }
    location /no/v1/ {
        llm_fallback_on connect_error transport_timeout upstream_5xx overloaded first_token_timeout
            stream_error empty_response bad_response auth_error quota_exhausted context_length
            content_filter not_found;
        proxy_pass http://$llm_provider_upstream;
    }
--- provider_first
429

429 {"of":"first"}
--- requests
POST /yes/v1/chat/completions
{"model":"m"}
>>>
POST /no/v1/chat/completions
{"model":"m"}
--- error_code: 200 429
--- response_headers
X-Fallback-Reason: rate_limited
>>>
X-Fallback-Reason: none

=== overloaded: 529, and what says so with another status, in both dialects
--- http_config
    upstream one { server %%first%%; }
    upstream two { server %%second%%; }
    llm_proxy;
    llm_proxy_route first one;
    llm_proxy_route second two;
    llm_proxy_route third one anthropic;
    llm_proxy_route fourth two anthropic;
    llm_proxy_model_pattern m first;
    llm_proxy_model_pattern claude third;
    llm_fallback;
    llm_fallback_route first second;
    llm_fallback_route third fourth;
--- config
    location /yes/v1/ { llm_fallback_on overloaded; proxy_pass http://$llm_provider_upstream; }
    location /no/v1/ {
        llm_fallback_on connect_error transport_timeout rate_limited first_token_timeout stream_error
            empty_response bad_response auth_error quota_exhausted context_length content_filter
            not_found;
        proxy_pass http://$llm_provider_upstream;
    }
--- provider_first
529 {}

503 {"error":{"code":"engine_overloaded","message":"x"}}

503 {"error":{"type":"server_error","message":"x"}}

{"error":"overloaded"}

500 {"type":"error","error":{"type":"overloaded_error","message":"x"}}

529 {"of":"first"}
--- requests
POST /yes/v1/chat/completions
{"model":"m"}
>>>
POST /yes/v1/chat/completions
{"model":"m"}
>>>
POST /yes/v1/chat/completions
{"model":"m"}
>>>
POST /yes/v1/messages
{"model":"claude","max_tokens":1,"messages":[]}
>>>
POST /yes/v1/messages
{"model":"claude","max_tokens":1,"messages":[]}
>>>
POST /no/v1/chat/completions
{"model":"m"}
--- error_code: 200 200 503 200 200 529
--- response_headers
X-Fallback-Reason: overloaded
>>>
X-Fallback-Reason: overloaded
>>>
X-Fallback-Reason: none
>>>
X-Fallback-Reason: overloaded
>>>
X-Fallback-Reason: overloaded
>>>
X-Fallback-Reason: none

=== first_token_timeout: a head in time and no content; role-only deltas, comments and pings are none
--- http_config
    upstream one { server %%first%%; }
    upstream two { server %%second%%; }
    llm_proxy;
    llm_proxy_route first one first_token_timeout=250ms;
    llm_proxy_route second two;
    llm_proxy_default_provider first;
    llm_fallback;
    llm_fallback_route first second;
--- config
    location /yes/v1/ { llm_fallback_on first_token_timeout; proxy_pass http://$llm_provider_upstream; }
    location /no/v1/ {
        llm_fallback_on connect_error transport_timeout upstream_5xx rate_limited overloaded
            stream_error empty_response bad_response auth_error quota_exhausted context_length
            content_filter not_found http_504;
        proxy_pass http://$llm_provider_upstream;
    }
--- provider_first
{"fault":"stall","after":0}

{"fault":"stall","after":1}

{"chunks":[": wait\n\n",": wait\n\n",": wait\n\n",": wait\n\n",": wait\n\n",": wait\n\n",": wait\n\n",": wait\n\n"],"pace_ms":100}

{"fault":"stall","after":1}
--- requests
POST /yes/v1/chat/completions
{"model":"m","stream":true}
>>>
POST /yes/v1/chat/completions
{"model":"m","stream":true}
>>>
POST /yes/v1/chat/completions
{"model":"m","stream":true}
>>>
POST /no/v1/chat/completions
{"model":"m","stream":true}
--- error_code: 200 200 200 504
--- response_headers
X-Fallback-Reason: first_token_timeout
X-LLM-Chain: ~^first/m:first_token_timeout:[23]\d\dms, second/m:200:\d+ms$
>>>
X-Fallback-Reason: first_token_timeout
X-LLM-Chain: ~^first/m:first_token_timeout:[23]\d\dms, second/m:200:\d+ms$
>>>
X-Fallback-Reason: first_token_timeout
X-LLM-Chain: ~^first/m:first_token_timeout:[23]\d\dms, second/m:200:\d+ms$
>>>
X-LLM-Chain: ~^first/m:first_token_timeout:\d+ms$

=== first_token_timeout in Anthropic's dialect: message_start and ping are no content
--- http_config
    upstream one { server %%first%%; }
    upstream two { server %%second%%; }
--- config
    llm_proxy_route first one anthropic first_token_timeout=250ms;
    llm_proxy_route second two anthropic;
    llm_proxy_default_provider first;
    llm_fallback_route first second;
    llm_fallback_on first_token_timeout;
    location /v1/ { llm_proxy; llm_fallback; proxy_pass http://$llm_provider_upstream; }
--- provider_first
{"fault":"stall","after":3}
--- request
POST /v1/messages
{"model":"m","max_tokens":5,"stream":true,"messages":[]}
--- response_headers
X-LLM-Chain: ~^first/m:first_token_timeout:\d+ms, second/m:200:\d+ms$
--- response_body_like
" second\."
event: message_stop

=== stream_error: an error as the first event, in both dialects
--- http_config
    upstream one { server %%first%%; }
    upstream two { server %%second%%; }
    llm_proxy;
    llm_proxy_route first one;
    llm_proxy_route second two;
    llm_proxy_route third one anthropic;
    llm_proxy_route fourth two anthropic;
    llm_proxy_model_pattern m first;
    llm_proxy_model_pattern claude third;
    llm_fallback;
    llm_fallback_route first second;
    llm_fallback_route third fourth;
--- config
    location /yes/v1/ { llm_fallback_on stream_error; proxy_pass http://$llm_provider_upstream; }
    location /no/v1/ {
        llm_fallback_on connect_error transport_timeout rate_limited first_token_timeout
            empty_response bad_response auth_error quota_exhausted context_length content_filter
            not_found http_500;
        proxy_pass http://$llm_provider_upstream;
    }
--- provider_first
{"fault":"error_first"}

{"fault":"error_event","after":1}

{"fault":"error_first"}

sse
{"error":{"type":"server_error","message":"of the first"}}
--- requests
POST /yes/v1/chat/completions
{"model":"m","stream":true}
>>>
POST /yes/v1/chat/completions
{"model":"m","stream":true}
>>>
POST /yes/v1/messages
{"model":"claude","max_tokens":1,"stream":true,"messages":[]}
>>>
POST /no/v1/chat/completions
{"model":"m","stream":true}
--- incomplete_response: 4
--- response_body_like
data: \[DONE\]
>>>
data: \[DONE\]
>>>
event: message_stop
>>>
\Adata: \{"error":\{"type":"server_error","message":"of the first"\}\}\n\n\z
--- response_body_unlike
error
>>>
error
>>>
error
>>>
DONE
--- response_headers
X-Fallback-Reason: upstream_5xx
>>>
X-Fallback-Reason: upstream_5xx
>>>
X-Fallback-Reason: overloaded
>>>
X-Fallback-Reason: none

=== stream_error: a stream that breaks off before any content
--- http_config
    upstream one { server %%first%%; }
    upstream two { server %%second%%; }
    llm_proxy;
    llm_proxy_route first one;
    llm_proxy_route second two;
    llm_proxy_default_provider first;
    llm_fallback;
    llm_fallback_route first second;
--- config
    location /yes/v1/ { llm_fallback_on stream_error; proxy_pass http://$llm_provider_upstream; }
    location /no/v1/ {
        llm_fallback_on connect_error transport_timeout upstream_5xx rate_limited overloaded
            first_token_timeout empty_response bad_response auth_error quota_exhausted context_length
            content_filter not_found;
        proxy_pass http://$llm_provider_upstream;
    }
--- provider_first
{"fault":"cut","after":1}

{"fault":"cut_reset","after":1}

{"fault":"cut","after":0,"framing":"close"}

{"fault":"cut","after":1}
--- requests
POST /yes/v1/chat/completions
{"model":"m","stream":true}
>>>
POST /yes/v1/chat/completions
{"model":"m","stream":true}
>>>
POST /yes/v1/chat/completions
{"model":"m","stream":true}
>>>
POST /no/v1/chat/completions
{"model":"m","stream":true}
--- error_code: 200 200 200 502
--- response_headers
X-LLM-Chain: ~^first/m:stream_error:\d+ms, second/m:200:\d+ms$
>>>
X-LLM-Chain: ~^first/m:stream_error:\d+ms, second/m:200:\d+ms$
>>>
X-LLM-Chain: ~^first/m:stream_error:\d+ms, second/m:200:\d+ms$
>>>
X-LLM-Chain: ~^first/m:stream_error:\d+ms$

=== empty_response: a stream that ends well without content, in both dialects
--- http_config
    upstream one { server %%first%%; }
    upstream two { server %%second%%; }
    llm_proxy;
    llm_proxy_route first one;
    llm_proxy_route second two;
    llm_proxy_route third one anthropic;
    llm_proxy_route fourth two anthropic;
    llm_proxy_model_pattern m first;
    llm_proxy_model_pattern claude third;
    llm_fallback;
    llm_fallback_route first second;
    llm_fallback_route third fourth;
--- config
    location /yes/v1/ { llm_fallback_on empty_response; proxy_pass http://$llm_provider_upstream; }
    location /no/v1/ {
        llm_fallback_on connect_error transport_timeout upstream_5xx rate_limited overloaded
            first_token_timeout stream_error bad_response auth_error quota_exhausted context_length
            content_filter not_found;
        proxy_pass http://$llm_provider_upstream;
    }
--- provider_first
{"fault":"empty","times":3}
--- requests
POST /yes/v1/chat/completions
{"model":"m","stream":true}
>>>
POST /yes/v1/messages
{"model":"claude","max_tokens":1,"stream":true,"messages":[]}
>>>
POST /no/v1/chat/completions
{"model":"m","stream":true}
--- response_headers
X-LLM-Chain: ~^first/m:empty_response:\d+ms, second/m:200:\d+ms$
>>>
X-LLM-Chain: ~^third/claude:empty_response:\d+ms, fourth/claude:200:\d+ms$
>>>
X-LLM-Provider: first
--- response_body_like
" second\."
>>>
" second\."
>>>
\[DONE\]\n\n\z

=== empty_response: an answer of JSON without content
--- http_config
    upstream one { server %%first%%; }
    upstream two { server %%second%%; }
    llm_proxy;
    llm_proxy_route first one;
    llm_proxy_route second two;
    llm_proxy_route third one anthropic;
    llm_proxy_route fourth two anthropic;
    llm_proxy_model_pattern m first;
    llm_proxy_model_pattern claude third;
    llm_fallback;
    llm_fallback_route first second;
    llm_fallback_route third fourth;
--- config
    location /yes/v1/ { llm_fallback_on empty_response; proxy_pass http://$llm_provider_upstream; }
    location /no/v1/ {
        llm_fallback_on connect_error transport_timeout upstream_5xx rate_limited overloaded
            first_token_timeout stream_error bad_response auth_error quota_exhausted context_length
            content_filter not_found;
        proxy_pass http://$llm_provider_upstream;
    }
--- provider_first
{"fault":"empty","times":3}
--- requests
POST /yes/v1/chat/completions
{"model":"m"}
>>>
POST /yes/v1/messages
{"model":"claude","max_tokens":1,"messages":[]}
>>>
POST /no/v1/chat/completions
{"model":"m"}
--- response_headers
X-LLM-Chain: ~^first/m:empty_response:\d+ms, second/m:200:\d+ms$
>>>
X-LLM-Chain: ~^third/claude:empty_response:\d+ms, fourth/claude:200:\d+ms$
>>>
X-LLM-Provider: first

=== stream_error: answers that are no streams, with an error in them or broken off
--- http_config
    upstream one { server %%first%%; }
    upstream two { server %%second%%; }
    llm_proxy;
    llm_proxy_route first one idle_timeout=200ms;
    llm_proxy_route second two;
    llm_proxy_default_provider first;
    llm_fallback;
    llm_fallback_route first second;
--- config
    location /yes/v1/ { llm_fallback_on stream_error; proxy_pass http://$llm_provider_upstream; }
    location /no/v1/ {
        llm_fallback_on connect_error transport_timeout upstream_5xx rate_limited overloaded
            first_token_timeout auth_error quota_exhausted context_length content_filter not_found;
        proxy_pass http://$llm_provider_upstream;
    }
--- provider_first
200 {"error":{"message":"of the first"}}

{"fault":"short_length"}

{"fault":"stall","after":1,"chunks":["{\"choices\":"],"headers":{"content-type":"application/json"}}

200 {"error":{"message":"of the first"}}

{"fault":"short_length"}
--- requests
POST /yes/v1/chat/completions
{"model":"m"}
>>>
POST /yes/v1/chat/completions
{"model":"m"}
>>>
POST /yes/v1/chat/completions
{"model":"m"}
>>>
POST /no/v1/chat/completions
{"model":"m"}
>>>
POST /no/v1/chat/completions
{"model":"m"}
--- incomplete_response: 5
--- response_body_like
Hello from second\.
>>>
Hello from second\.
>>>
Hello from second\.
>>>
of the first
>>>
Hello from first\.
--- response_headers
X-LLM-Chain: ~^first/m:stream_error:\d+ms, second/m:200:\d+ms$
>>>
X-LLM-Chain: ~^first/m:stream_error:\d+ms, second/m:200:\d+ms$
>>>
X-LLM-Chain: ~^first/m:stream_error:\d+ms, second/m:200:\d+ms$
>>>
X-LLM-Chain: ~^first/m:200:\d+ms$
>>>
X-LLM-Chain: ~^first/m:200:\d+ms$

=== empty_response: a refusal of the content is not empty, and not routed around
--- http_config
    upstream one { server %%first%%; }
    upstream two { server %%second%%; }
    llm_proxy;
    llm_proxy_route first one;
    llm_proxy_route second two;
    llm_proxy_route third one anthropic;
    llm_proxy_route fourth two anthropic;
    llm_proxy_model_pattern m first;
    llm_proxy_model_pattern claude third;
    llm_fallback;
    llm_fallback_route first second;
    llm_fallback_route third fourth;
--- config
    location /v1/ { llm_fallback_on empty_response; proxy_pass http://$llm_provider_upstream; }
--- provider_first
200 {"choices":[{"message":{"content":""},"finish_reason":"content_filter"}]}

sse
{"choices":[{"delta":{"role":"assistant","content":""}}]}
{"choices":[{"delta":{},"finish_reason":"content_filter"}]}
[DONE]

200 {"type":"message","content":[],"stop_reason":"refusal"}

sse
event: message_start data: {"type":"message_start","message":{"content":[]}}
event: message_delta data: {"type":"message_delta","delta":{"stop_reason":"refusal"}}
event: message_stop data: {"type":"message_stop"}
--- requests
POST /v1/chat/completions
{"model":"m"}
>>>
POST /v1/chat/completions
{"model":"m","stream":true}
>>>
POST /v1/messages
{"model":"claude","max_tokens":1,"messages":[]}
>>>
POST /v1/messages
{"model":"claude","max_tokens":1,"stream":true,"messages":[]}
--- response_body_like
content_filter
>>>
content_filter
>>>
refusal
>>>
refusal
--- provider_second_requests: 0

=== bad_response: a success that is not JSON, and one that is broken
--- http_config
    upstream one { server %%first%%; }
    upstream two { server %%second%%; }
    llm_proxy;
    llm_proxy_route first one;
    llm_proxy_route second two;
    llm_proxy_default_provider first;
    llm_fallback;
    llm_fallback_route first second;
--- config
    location /yes/v1/ { llm_fallback_on bad_response; proxy_pass http://$llm_provider_upstream; }
    location /no/v1/ {
        llm_fallback_on connect_error transport_timeout upstream_5xx rate_limited overloaded
            first_token_timeout stream_error empty_response auth_error quota_exhausted context_length
            content_filter not_found;
        proxy_pass http://$llm_provider_upstream;
    }
--- provider_first
200
Content-Type: text/html
<html>A portal.</html>

200
Content-Type: text/html
<html>A portal.</html>

{"fault":"malformed"}

200
Content-Type: text/html
<html>A portal.</html>
--- requests
POST /yes/v1/chat/completions
{"model":"m"}
>>>
POST /yes/v1/chat/completions
{"model":"m","stream":true}
>>>
POST /yes/v1/chat/completions
{"model":"m"}
>>>
POST /no/v1/chat/completions
{"model":"m"}
--- response_headers
X-LLM-Chain: ~^first/m:bad_response:\d+ms, second/m:200:\d+ms$
>>>
X-LLM-Chain: ~^first/m:bad_response:\d+ms, second/m:200:\d+ms$
>>>
X-LLM-Chain: ~^first/m:bad_response:\d+ms, second/m:200:\d+ms$
>>>
X-LLM-Provider: first

=== bad_response: what is not HTTP
--- http_config
    upstream one { server 127.0.0.1:%%port2%%; }
    upstream two { server %%second%%; }
    llm_proxy;
    llm_proxy_route first one;
    llm_proxy_route second two;
    llm_proxy_default_provider first;
    llm_fallback;
    llm_fallback_route first second;
--- config
    location /yes/v1/ { llm_fallback_on bad_response; proxy_pass http://$llm_provider_upstream; }
    location /no/v1/ {
        llm_fallback_on connect_error transport_timeout upstream_5xx rate_limited overloaded
            first_token_timeout stream_error empty_response auth_error quota_exhausted context_length
            content_filter not_found;
        proxy_pass http://$llm_provider_upstream;
    }
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
POST /yes/v1/chat/completions
{"model":"m"}
>>>
POST /no/v1/chat/completions
{"model":"m"}
--- error_code: 200 502
--- response_headers
X-LLM-Chain: ~^first/m:bad_response:\d+ms, second/m:200:\d+ms$
>>>
X-LLM-Chain: ~^first/m:bad_response:\d+ms$
--- response_json
{"object":"chat.completion"}
>>>
{"error":{"code":"provider_bad_response"}}
--- after
kill TERM => $::server;
waitpid $::server, 0;

=== auth_error: the key is refused
--- http_config
    upstream one { server %%first%%; }
    upstream two { server %%second%%; }
    llm_proxy;
    llm_proxy_route first one;
    llm_proxy_route second two;
    llm_proxy_default_provider first;
    llm_fallback;
    llm_fallback_route first second;
--- config
    location /yes/v1/ { llm_fallback_on auth_error; proxy_pass http://$llm_provider_upstream; }
    location /no/v1/ {
        llm_fallback_on connect_error transport_timeout upstream_5xx rate_limited overloaded
            first_token_timeout stream_error empty_response bad_response quota_exhausted
            context_length content_filter not_found;
        proxy_pass http://$llm_provider_upstream;
    }
--- provider_first
401

403

400 {"error":{"code":"invalid_api_key","message":"x"}}

401 {"of":"first"}
--- requests
POST /yes/v1/chat/completions
{"model":"m"}
>>>
POST /yes/v1/chat/completions
{"model":"m"}
>>>
POST /yes/v1/chat/completions
{"model":"m"}
>>>
POST /no/v1/chat/completions
{"model":"m"}
--- error_code: 200 200 200 401
--- response_headers
X-Fallback-Reason: auth_error
>>>
X-Fallback-Reason: auth_error
>>>
X-Fallback-Reason: auth_error
>>>
X-Fallback-Reason: none

=== quota_exhausted: no credit left, whatever the status, in both dialects
--- http_config
    upstream one { server %%first%%; }
    upstream two { server %%second%%; }
    llm_proxy;
    llm_proxy_route first one;
    llm_proxy_route second two;
    llm_proxy_route third one anthropic;
    llm_proxy_route fourth two anthropic;
    llm_proxy_model_pattern m first;
    llm_proxy_model_pattern claude third;
    llm_fallback;
    llm_fallback_route first second;
    llm_fallback_route third fourth;
--- config
    location /yes/v1/ { llm_fallback_on quota_exhausted; proxy_pass http://$llm_provider_upstream; }
    location /no/v1/ {
        llm_fallback_on connect_error transport_timeout upstream_5xx overloaded first_token_timeout
            stream_error empty_response bad_response auth_error context_length content_filter
            not_found;
        proxy_pass http://$llm_provider_upstream;
    }
--- provider_first
{"error":"insufficient_quota"}

402

{"error":"insufficient_quota"}

429 {"error":{"code":"rate_limit_exceeded"}}

{"error":"insufficient_quota"}
--- requests
POST /yes/v1/chat/completions
{"model":"m"}
>>>
POST /yes/v1/chat/completions
{"model":"m"}
>>>
POST /yes/v1/messages
{"model":"claude","max_tokens":1,"messages":[]}
>>>
POST /yes/v1/chat/completions
{"model":"m"}
>>>
POST /no/v1/chat/completions
{"model":"m"}
--- error_code: 200 200 200 429 429
--- response_headers
X-Fallback-Reason: quota_exhausted
>>>
X-Fallback-Reason: quota_exhausted
>>>
X-Fallback-Reason: quota_exhausted
>>>
X-Fallback-Reason: none
>>>
X-Fallback-Reason: none

=== context_length: by the provider's code or words, in both dialects
--- http_config
    upstream one { server %%first%%; }
    upstream two { server %%second%%; }
    llm_proxy;
    llm_proxy_route first one;
    llm_proxy_route second two;
    llm_proxy_route third one anthropic;
    llm_proxy_route fourth two anthropic;
    llm_proxy_model_pattern m first;
    llm_proxy_model_pattern claude third;
    llm_fallback;
    llm_fallback_route first second;
    llm_fallback_route third fourth;
--- config
    location /yes/v1/ { llm_fallback_on context_length; proxy_pass http://$llm_provider_upstream; }
    location /no/v1/ {
        llm_fallback_on connect_error transport_timeout upstream_5xx rate_limited overloaded
            first_token_timeout stream_error empty_response bad_response auth_error quota_exhausted
            content_filter not_found;
        proxy_pass http://$llm_provider_upstream;
    }
--- provider_first
{"error":"context_length_exceeded"}

{"error":"context_length_exceeded"}

413 {"error":{"message":"This model's maximum context length is 8 tokens."}}

400 {"error":{"code":"invalid_value","message":"x"}}

{"error":"context_length_exceeded"}
--- requests
POST /yes/v1/chat/completions
{"model":"m"}
>>>
POST /yes/v1/messages
{"model":"claude","max_tokens":1,"messages":[]}
>>>
POST /yes/v1/chat/completions
{"model":"m"}
>>>
POST /yes/v1/chat/completions
{"model":"m"}
>>>
POST /no/v1/chat/completions
{"model":"m"}
--- error_code: 200 200 200 400 400
--- response_headers
X-Fallback-Reason: context_length
X-LLM-Chain: ~^first/m:400:\d+ms, second/m:200:\d+ms$
>>>
X-Fallback-Reason: context_length
>>>
X-Fallback-Reason: context_length
>>>
X-Fallback-Reason: none
>>>
X-Fallback-Reason: none

=== content_filter: the refusal of the content, in both dialects
--- http_config
    upstream one { server %%first%%; }
    upstream two { server %%second%%; }
    llm_proxy;
    llm_proxy_route first one;
    llm_proxy_route second two;
    llm_proxy_route third one anthropic;
    llm_proxy_route fourth two anthropic;
    llm_proxy_model_pattern m first;
    llm_proxy_model_pattern claude third;
    llm_fallback;
    llm_fallback_route first second;
    llm_fallback_route third fourth;
--- config
    location /yes/v1/ { llm_fallback_on content_filter; proxy_pass http://$llm_provider_upstream; }
    location /no/v1/ {
        llm_fallback_on connect_error transport_timeout upstream_5xx rate_limited overloaded
            first_token_timeout stream_error empty_response bad_response auth_error quota_exhausted
            context_length not_found http_400 http_403 http_500;
        proxy_pass http://$llm_provider_upstream;
    }
--- provider_first
{"error":"content_policy_violation"}

{"error":"content_policy_violation"}

{"error":"content_policy_violation"}

{"error":"content_policy_violation"}

{"error":"content_policy_violation","status":403}

{"error":"content_policy_violation","status":500}
--- requests
POST /yes/v1/chat/completions
{"model":"m"}
>>>
POST /yes/v1/messages
{"model":"claude","max_tokens":1,"messages":[]}
>>>
POST /no/v1/chat/completions
{"model":"m"}
>>>
POST /no/v1/messages
{"model":"claude","max_tokens":1,"messages":[]}
>>>
POST /no/v1/chat/completions
{"model":"m"}
>>>
POST /no/v1/chat/completions
{"model":"m"}
--- error_code: 200 200 400 400 403 500
--- response_headers
X-Fallback-Reason: content_filter
>>>
X-Fallback-Reason: content_filter
>>>
X-Fallback-Reason: none
>>>
X-Fallback-Reason: none
>>>
X-Fallback-Reason: none
>>>
X-Fallback-Reason: none

=== not_found: the provider has no such model
--- http_config
    upstream one { server %%first%%; }
    upstream two { server %%second%%; }
    llm_proxy;
    llm_proxy_route first one;
    llm_proxy_route second two;
    llm_proxy_default_provider first;
    llm_fallback;
    llm_fallback_route first second;
--- config
    location /yes/v1/ { llm_fallback_on not_found; proxy_pass http://$llm_provider_upstream; }
    location /no/v1/ {
        llm_fallback_on connect_error transport_timeout upstream_5xx rate_limited overloaded
            first_token_timeout stream_error empty_response bad_response auth_error quota_exhausted
            context_length content_filter;
        proxy_pass http://$llm_provider_upstream;
    }
--- provider_first
404

400 {"error":{"code":"model_not_found","message":"x"}}

404 {"of":"first"}
--- requests
POST /yes/v1/chat/completions
{"model":"m"}
>>>
POST /yes/v1/chat/completions
{"model":"m"}
>>>
POST /no/v1/chat/completions
{"model":"m"}
--- error_code: 200 200 404
--- response_headers
X-Fallback-Reason: not_found
>>>
X-Fallback-Reason: not_found
>>>
X-Fallback-Reason: none

=== http_NNN: exactly this status, whatever it means
--- http_config
    upstream one { server %%first%%; }
    upstream two { server %%second%%; }
--- config
    llm_proxy_route first one;
    llm_proxy_route second two;
    llm_proxy_default_provider first;
    llm_fallback_route first second;
    llm_fallback_on http_409 http_418 http_503;
    location /v1/ { llm_proxy; llm_fallback; proxy_pass http://$llm_provider_upstream; }
--- provider_first
409

418

503

500 {}

410 {}
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
--- error_code: 200 200 200 500 410
--- provider_second_requests: 3

=== http_400 replays a bad request, but not a refusal of the content
--- http_config
    upstream one { server %%first%%; }
    upstream two { server %%second%%; }
--- config
    llm_proxy_route first one;
    llm_proxy_route second two;
    llm_proxy_default_provider first;
    llm_fallback_route first second;
    llm_fallback_on http_400;
    location /v1/ { llm_proxy; llm_fallback; proxy_pass http://$llm_provider_upstream; }
--- provider_first
400 {"error":{"message":"x"}}

{"error":"content_policy_violation"}
--- requests
POST /v1/chat/completions
{"model":"m"}
>>>
POST /v1/chat/completions
{"model":"m"}
--- error_code: 200 400
--- response_headers
X-Fallback-Reason: semantic_error
>>>
X-Fallback-Reason: none
--- provider_second_requests: 1

=== errors in a stream mean what they mean as a status
--- http_config
    upstream one { server %%first%%; }
    upstream two { server %%second%%; }
--- config
    llm_proxy_route first one;
    llm_proxy_route second two;
    llm_proxy_default_provider first;
    llm_fallback_route first second;
    llm_fallback_on rate_limited context_length;
    location /v1/ { llm_proxy; llm_fallback; proxy_pass http://$llm_provider_upstream; }
--- provider_first
sse
{"error":{"code":"rate_limit_exceeded","message":"x"}}

sse
{"error":{"code":"context_length_exceeded","message":"x"}}

sse
{"error":{"code":429,"message":"x"}}

sse
{"error":{"code":"content_policy_violation","message":"x"}}
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
--- incomplete_response: 4
--- response_body_like
\[DONE\]
>>>
\[DONE\]
>>>
\[DONE\]
>>>
"content_policy_violation"
--- provider_second_requests: 3

=== the words of an error count in whatever framing it comes
--- http_config
    upstream one { server %%first%%; }
    upstream two { server %%second%%; }
--- config
    llm_proxy_route first one;
    llm_proxy_route second two;
    llm_proxy_default_provider first;
    llm_fallback_route first second;
    llm_fallback_on context_length;
    location /v1/ { llm_proxy; llm_fallback; proxy_pass http://$llm_provider_upstream; }
--- provider_first
{"error":"context_length_exceeded","framing":"chunked"}

{"error":"context_length_exceeded","framing":"close"}

{"error":"context_length_exceeded","framing":"length"}
--- requests
POST /v1/chat/completions
{"model":"m"}
>>>
POST /v1/chat/completions
{"model":"m"}
>>>
POST /v1/chat/completions
{"model":"m"}
--- provider_second_requests: 3

=== an unknown class
--- config
    llm_fallback_on rate_limited timeout;
--- must_fail
llm_fallback_on: unknown failure class "timeout", use content_filter, context_length, quota_exhausted, not_found, auth_error, rate_limited, overloaded, first_token_timeout, transport_timeout, connect_error, upstream_5xx, empty_response, bad_response, stream_error or http_NNN in %%root%%/nginx.conf

=== a status that is none
--- config
    llm_fallback_on http_42;
--- must_fail
llm_fallback_on: unknown failure class "http_42"

=== a status that is no failure
--- config
    llm_fallback_on http_200;
--- must_fail
llm_fallback_on: unknown failure class "http_200"

=== no class at all
--- config
    llm_fallback_on;
--- must_fail
invalid number of arguments in "llm_fallback_on" directive in %%root%%/nginx.conf

=== the list is written once at a level
--- config
    llm_fallback_on rate_limited;
    llm_fallback_on upstream_5xx;
--- must_fail
"llm_fallback_on" directive is duplicate in %%root%%/nginx.conf
