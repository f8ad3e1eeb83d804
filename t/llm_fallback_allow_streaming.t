# Off, no stream goes to another target. Requests that are no streams are not touched by it.

use Test::LLM 'no_plan';

run_tests();

__DATA__

=== streams fall back by default
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
{"status":500}
--- request
POST /v1/chat/completions
{"model":"m","stream":true}
--- response_headers
X-LLM-Provider: second

=== off, a stream ends with what its provider says, a plain request goes on
--- http_config
    upstream one { server %%first%%; }
    upstream two { server %%second%%; }
--- config
    llm_proxy_route first one;
    llm_proxy_route second two;
    llm_proxy_default_provider first;
    llm_fallback_route first second;
    llm_fallback_allow_streaming off;
    location /v1/ { llm_proxy; llm_fallback; proxy_pass http://$llm_provider_upstream; }
--- provider_first
429
Retry-After: 3
{"error":"of the first"}

{"status":429}
--- requests
POST /v1/chat/completions
{"model":"m","stream":true}
>>>
POST /v1/chat/completions
{"model":"m","stream":false}
--- error_code: 429 200
--- response_body_like
\A\{"error":"of the first"\}\z
>>>
Hello from second\.
--- response_headers
Retry-After: 3
X-Fallback-Attempted: 0
X-Fallback-Suppressed: 1
X-Fallback-Suppressed-Reason: streaming_not_allowed
X-Fallback-Attempt-Count: 1
X-Fallback-Policy-Allowed: 1
X-Fallback-Primary: first
X-LLM-Chain: ~^first/m:429:\d+ms$
>>>
X-Fallback-Attempted: 1
X-Fallback-Suppressed: 0
!X-Fallback-Suppressed-Reason

=== off, a stream whose provider is gone or silent gets an error of ours
--- http_config
    upstream one { server %%closed%%; }
    upstream two { server %%second%%; }
    upstream three { server %%third%%; }
--- config
    llm_proxy_route first one;
    llm_proxy_route second two;
    llm_proxy_route third three response_timeout=200ms;
    llm_proxy_model_pattern a first;
    llm_proxy_model_pattern b third;
    llm_fallback_route first second;
    llm_fallback_route third second;
    llm_fallback_allow_streaming off;
    location /v1/ { llm_proxy; llm_fallback; proxy_pass http://$llm_provider_upstream; }
--- provider_third
{"fault":"hang"}
--- requests
POST /v1/chat/completions
{"model":"a","stream":true}
>>>
POST /v1/chat/completions
{"model":"b","stream":true}
--- error_code: 502 504
--- response_json
{"error":{"code":"provider_unreachable"}}
>>>
{"error":{"code":"provider_timeout"}}
--- response_headers
X-Fallback-Suppressed-Reason: streaming_not_allowed
X-Should-Retry: false
--- provider_second_requests: 0

=== off, an error in the stream is the client's to read, at once
--- http_config
    upstream one { server %%first%%; }
    upstream two { server %%second%%; }
--- config
    llm_proxy_route first one;
    llm_proxy_route second two;
    llm_proxy_default_provider first;
    llm_fallback_route first second;
    llm_fallback_on stream_error upstream_5xx;
    llm_fallback_allow_streaming off;
    location /v1/ { llm_proxy; llm_fallback; proxy_pass http://$llm_provider_upstream; }
--- provider_first
{"fault":"error_first"}
--- request
POST /v1/chat/completions
{"model":"m","stream":true}
--- incomplete_response
--- response_body_like
\Adata: \{"error":.*\}\n\n\z
--- provider_second_requests: 0

=== off, the same target may be asked again
--- http_config
    upstream one { server %%first%%; }
    upstream two { server %%second%%; }
--- config
    llm_proxy_route first one;
    llm_proxy_route second two;
    llm_proxy_default_provider first;
    llm_fallback_route first second;
    llm_fallback_allow_streaming off;
    llm_fallback_retry 1 backoff=1ms..2ms;
    llm_fallback_max_attempts 3;
    location /v1/ { llm_proxy; llm_fallback; proxy_pass http://$llm_provider_upstream; }
--- provider_first
{"status":500}

{}
--- request
POST /v1/chat/completions
{"model":"m","stream":true}
--- response_headers
X-LLM-Chain: ~^first/m:500:\d+ms, first/m:200:\d+ms$
--- provider_second_requests: 0

=== off, the next key of the pool is tried
--- http_config
    upstream one { server %%first%%; }
    upstream two { server %%second%%; }
--- config
    llm_proxy_route first one;
    llm_proxy_route second two;
    llm_proxy_default_provider first;
    llm_auth;
    llm_auth_credential first sk-one-SECRET-1 id=one;
    llm_auth_credential first sk-two-SECRET-2 id=two;
    llm_auth_credential second sk-three-SECRET-3;
    llm_fallback_route first second;
    llm_fallback_allow_streaming off;
    location /v1/ { llm_proxy; llm_fallback; proxy_pass http://$llm_provider_upstream; }
--- provider_first
{"status":401}

{}
--- request
POST /v1/chat/completions
{"model":"m","stream":true}
--- response_headers
X-LLM-Chain: ~^first/m:401:\d+ms, first/m:200:\d+ms$
--- provider_second_requests: 0

=== it is inherited and can be undone
--- http_config
    upstream one { server %%first%%; }
    upstream two { server %%second%%; }
    llm_fallback_allow_streaming off;
--- config
    llm_proxy_route first one;
    llm_proxy_route second two;
    llm_proxy_default_provider first;
    llm_fallback_route first second;
    location /off/v1/ { llm_proxy; llm_fallback; proxy_pass http://$llm_provider_upstream; }
    location /on/v1/ {
        llm_proxy; llm_fallback; llm_fallback_allow_streaming on;
        proxy_pass http://$llm_provider_upstream;
    }
--- provider_first
{"status":500,"times":2}
--- requests
POST /off/v1/chat/completions
{"model":"m","stream":true}
>>>
POST /on/v1/chat/completions
{"model":"m","stream":true}
--- error_code: 500 200

=== llm_fallback_allow_streaming is on or off
--- config
    llm_fallback_allow_streaming never;
--- must_fail
invalid value "never" in "llm_fallback_allow_streaming" directive, it must be "on" or "off" in %%root%%/nginx.conf

=== llm_fallback_allow_streaming is written once
--- config
    llm_fallback_allow_streaming on;
    llm_fallback_allow_streaming off;
--- must_fail
"llm_fallback_allow_streaming" directive is duplicate in %%root%%/nginx.conf
