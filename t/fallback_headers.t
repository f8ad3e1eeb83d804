# What the client and the log are told of attempts: on success, on failure, in streams; and what nobody
# else can say in our name.

use Test::LLM 'no_plan';

run_tests();

__DATA__

=== one attempt that goes well
--- http_config
    upstream one { server %%first%%; }
    upstream two { server %%second%%; }
    log_format all 'attempted=$llm_fallback_attempted suppressed=$llm_fallback_suppressed '
        'why=$llm_fallback_suppressed_reason reason=$llm_fallback_reason '
        'count=$llm_fallback_attempt_count allowed=$llm_fallback_policy_allowed '
        'mismatch=$llm_fallback_policy_mismatch primary=$llm_fallback_primary_provider '
        'effective=$llm_fallback_effective_provider class=$llm_failure_class '
        'served=$llm_served_by mode=$llm_route_mode outcome=$llm_resolution_outcome';
--- config
    llm_proxy_route first one;
    llm_proxy_route second two;
    llm_proxy_default_provider first;
    llm_fallback_route first second;
    location /v1/ { llm_proxy; llm_fallback; proxy_pass http://$llm_provider_upstream; }
--- request
POST /v1/chat/completions
{"model":"m"}
--- response_headers
X-LLM-Provider: first
X-LLM-Served-By: first/m
X-LLM-Chain: ~^first/m:200:\d+ms$
X-LLM-Latency-Ms: ~^\d+$
X-LLM-Event-Id: ~^[0-9a-f]{32}$
X-Fallback-Attempted: 0
X-Fallback-Suppressed: 0
!X-Fallback-Suppressed-Reason
X-Fallback-Attempt-Count: 1
X-Fallback-Primary: first
X-Fallback-Effective: first
X-Fallback-Reason: none
X-Fallback-Policy-Allowed: 0
X-Fallback-Policy-Mismatch: 0
!X-Should-Retry
--- access_log
^attempted=0 suppressed=0 why=- reason=none count=1 allowed=0 mismatch=0 primary=first effective=first class=- served=first/m mode=direct outcome=as_requested$

=== a second one after a failure
--- http_config
    upstream one { server %%first%%; }
    upstream two { server %%second%%; }
    log_format all 'attempted=$llm_fallback_attempted suppressed=$llm_fallback_suppressed '
        'why=$llm_fallback_suppressed_reason reason=$llm_fallback_reason '
        'count=$llm_fallback_attempt_count allowed=$llm_fallback_policy_allowed '
        'mismatch=$llm_fallback_policy_mismatch primary=$llm_fallback_primary_provider '
        'effective=$llm_fallback_effective_provider class=$llm_failure_class '
        'served=$llm_served_by mode=$llm_route_mode outcome=$llm_resolution_outcome '
        'requested=$llm_requested_provider/$llm_requested_model '
        'effective=$llm_effective_provider/$llm_effective_model upstream=$llm_provider_upstream';
--- config
    llm_proxy_route first one;
    llm_proxy_route second two;
    llm_proxy_default_provider first;
    llm_fallback_route first second model-b;
    location /v1/ { llm_proxy; llm_fallback; proxy_pass http://$llm_provider_upstream; }
--- provider_first
{"status":429}
--- request
POST /v1/chat/completions
{"model":"m"}
--- response_headers
X-LLM-Provider: second
X-LLM-Served-By: second/model-b
X-LLM-Chain: ~^first/m:429:\d+ms, second/model-b:200:\d+ms$
X-Fallback-Attempted: 1
X-Fallback-Suppressed: 0
!X-Fallback-Suppressed-Reason
X-Fallback-Attempt-Count: 2
X-Fallback-Primary: first
X-Fallback-Effective: second
X-Fallback-Reason: rate_limited
X-Fallback-Policy-Allowed: 1
X-Fallback-Policy-Mismatch: 0
!X-Should-Retry
--- access_log
^attempted=1 suppressed=0 why=- reason=rate_limited count=2 allowed=1 mismatch=0 primary=first effective=second class=rate_limited served=second/model-b mode=provider_fallback outcome=fallback_after_failure requested=first/m effective=second/model-b upstream=two$

=== in a stream
--- http_config
    upstream one { server %%closed%%; }
    upstream two { server %%second%%; }
    log_format all '$llm_chain $llm_served_by $llm_fallback_reason';
--- config
    llm_proxy_route first one;
    llm_proxy_route second two;
    llm_proxy_default_provider first;
    llm_fallback_route first second;
    location /v1/ { llm_proxy; llm_fallback; proxy_pass http://$llm_provider_upstream; }
--- request
POST /v1/chat/completions
{"model":"m","stream":true}
--- response_headers
X-LLM-Provider: second
X-LLM-Served-By: second/m
X-LLM-Chain: ~^first/m:connect_error:\d+ms, second/m:200:\d+ms$
X-Fallback-Attempted: 1
X-Fallback-Attempt-Count: 2
X-Fallback-Effective: second
X-Fallback-Reason: connect_error
--- access_log
^first/m:connect_error:\d+ms, second/m:200:\d+ms second/m connect_error$

=== behind a heartbeat the head has gone, the log knows all the same
--- http_config
    upstream one { server %%first%%; }
    upstream two { server %%second%%; }
    log_format all '$llm_chain|$llm_served_by|$llm_fallback_attempt_count';
--- config
    llm_proxy_route first one response_timeout=300ms;
    llm_proxy_route second two;
    llm_proxy_default_provider first;
    llm_proxy_heartbeat 100ms;
    llm_fallback_route first second;
    location /v1/ { llm_proxy; llm_fallback; proxy_pass http://$llm_provider_upstream; }
--- provider_first
{"fault":"hang"}
--- request
POST /v1/chat/completions
{"model":"m","stream":true}
--- response_headers
X-LLM-Event-Id: ~^[0-9a-f]{32}$
!X-LLM-Provider
--- access_log
^first/m:transport_timeout:\d+ms, second/m:200:\d+ms\|second/m\|2$

=== when all have failed, by the last one's status
--- http_config
    upstream one { server %%first%%; }
    upstream two { server %%second%%; }
    log_format all '$status attempted=$llm_fallback_attempted suppressed=$llm_fallback_suppressed '
        'why=$llm_fallback_suppressed_reason effective=$llm_fallback_effective_provider '
        'class=$llm_failure_class served=$llm_served_by';
--- config
    llm_proxy_route first one;
    llm_proxy_route second two;
    llm_proxy_default_provider first;
    llm_fallback_route first second;
    location /v1/ { llm_proxy; llm_fallback; proxy_pass http://$llm_provider_upstream; }
--- provider_first
{"status":500}
--- provider_second
{"status":503}
--- request
POST /v1/chat/completions
{"model":"m"}
--- error_code: 503
--- response_headers
X-LLM-Provider: second
X-LLM-Chain: ~^first/m:500:\d+ms, second/m:503:\d+ms$
X-Fallback-Attempted: 1
X-Fallback-Suppressed: 1
X-Fallback-Suppressed-Reason: no_target
X-Fallback-Attempt-Count: 2
X-Fallback-Primary: first
X-Fallback-Effective: second
X-Fallback-Reason: upstream_5xx
X-Fallback-Policy-Allowed: 1
X-Should-Retry: false
--- access_log
^503 attempted=1 suppressed=1 why=no_target effective=second class=upstream_5xx served=second/m$

=== when all have failed, with an error of ours
--- http_config
    upstream one { server %%first%%; }
    upstream two { server %%closed%%; }
    log_format all '$status effective=$llm_fallback_effective_provider class=$llm_failure_class served=$llm_served_by chain=$llm_chain';
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
{"model":"m"}
>>>
POST /v1/chat/completions
{"model":"m","stream":true}
--- error_code: 502
--- response_headers
!X-LLM-Provider
!X-LLM-Served-By
X-LLM-Chain: ~^first/m:500:\d+ms, second/m:connect_error:\d+ms$
X-Fallback-Attempted: 1
X-Fallback-Suppressed: 1
X-Fallback-Suppressed-Reason: no_target
X-Fallback-Attempt-Count: 2
X-Fallback-Primary: first
!X-Fallback-Effective
X-Fallback-Reason: upstream_5xx
X-Should-Retry: false
X-LLM-Event-Id: ~^[0-9a-f]{32}$
--- access_log
^502 effective=- class=connect_error served=- chain=first/m:500:\d+ms, second/m:connect_error:\d+ms$

=== X-Should-Retry: on a failure that passes through, not on a request at fault itself
--- http_config
    upstream one { server %%first%%; }
--- config
    llm_proxy_route first one;
    llm_proxy_default_provider first;
    location /v1/ { llm_proxy; llm_fallback; proxy_pass http://$llm_provider_upstream; }
--- provider_first
{"status":500}

{"status":429}

{"status":401}

{"status":400}

{"status":422}
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
--- error_code: 500 429 401 400 422
--- response_headers
X-Should-Retry: false
>>>
X-Should-Retry: false
>>>
X-Should-Retry: false
>>>
!X-Should-Retry
>>>
!X-Should-Retry

=== X-Should-Retry is left to the provider where nothing falls back
--- http_config
    upstream one { server %%first%%; }
--- config
    llm_proxy_route first one;
    llm_proxy_default_provider first;
    location /v1/ { llm_proxy; proxy_pass http://$llm_provider_upstream; }
--- provider_first
{"status":500}
--- request
POST /v1/chat/completions
{"model":"m"}
--- error_code: 500
--- response_headers
!X-Should-Retry
!X-Fallback-Attempted

=== disclose off: no name of a provider or target in any header
--- http_config
    upstream one { server %%first%%; }
    upstream two { server %%second%%; }
    upstream three { server %%closed%%; }
    log_format all '$llm_chain';
--- config
    llm_proxy_route prov-one one;
    llm_proxy_route prov-two two;
    llm_proxy_route prov-three three;
    llm_proxy_default_provider prov-one;
    llm_proxy_disclose_provider off;
    llm_fallback_route prov-one prov-two secret-model;
    llm_fallback_route prov-two prov-three;
    llm_fallback_max_attempts 3;
    location /v1/ { llm_proxy; llm_fallback; proxy_pass http://$llm_provider_upstream; }
--- provider_first
{"status":500,"times":4}
--- provider_second
{"headers":{"X-LLM-Provider":"prov-two","X-LLM-Served-By":"prov-two","X-Fallback-Primary":"prov-one"}}

{}

{"status":500,"times":2}
--- requests
POST /v1/chat/completions
{"model":"m"}
>>>
POST /v1/chat/completions
{"model":"m","stream":true}
>>>
POST /v1/chat/completions
{"model":"m"}
>>>
POST /v1/chat/completions
{"model":"m","stream":true}
--- error_code: 200 200 502 502
--- response_headers
!X-LLM-Provider
!X-LLM-Served-By
!X-LLM-Chain
!X-Fallback-Primary
!X-Fallback-Effective
X-Fallback-Attempted: 1
X-Fallback-Reason: upstream_5xx
--- access_log
^prov-one/m:500:\d+ms, prov-two/secret-model:200:\d+ms$
--- after
for my $answer ($t->answers) {
    unlike($answer->{head}, qr/prov-|secret-model|127\.0\.0\.1/, 'no name in the head');
}

=== a provider cannot say any of it in our name
--- http_config
    upstream one { server %%first%%; }
--- config
    llm_proxy_route first one;
    llm_proxy_default_provider first;
    location /v1/ { llm_proxy; llm_fallback; proxy_pass http://$llm_provider_upstream; }
--- provider_first
{"headers":{"X-LLM-Chain":"spoof","X-LLM-Provider":"spoof","X-LLM-Served-By":"spoof","X-LLM-Anything":"spoof","X-Fallback-Attempted":"spoof","X-Fallback-Anything":"spoof","X-Should-Retry":"spoof","X-LLM-Remaining-Tokens":"spoof"}}

{"status":400,"headers":{"X-LLM-Chain":"spoof","X-Fallback-Reason":"spoof","X-Should-Retry":"true"}}
--- requests
POST /v1/chat/completions
{"model":"m"}
>>>
POST /v1/chat/completions
{"model":"m"}
--- error_code: 200 400
--- response_headers
X-LLM-Chain: ~^first/m:200:\d+ms$
X-LLM-Provider: first
!X-LLM-Anything
!X-Fallback-Anything
!X-Should-Retry
!X-LLM-Remaining-Tokens
X-Fallback-Attempted: 0
>>>
X-LLM-Chain: ~^first/m:400:\d+ms$
X-Fallback-Reason: none
!X-Should-Retry

=== nor can a client
--- http_config
    upstream one { server %%first%%; }
--- config
    llm_proxy_route first one;
    llm_proxy_default_provider first;
    location /v1/ { llm_proxy; llm_fallback; proxy_pass http://$llm_provider_upstream; }
--- more_headers
X-LLM-Chain: spoof
X-LLM-Provider: spoof
X-Fallback-Attempted: spoof
--- request
POST /v1/chat/completions
{"model":"m"}
--- response_headers
X-LLM-Chain: ~^first/m:200:\d+ms$
X-LLM-Provider: first
X-Fallback-Attempted: 0
--- provider_first_got
POST /v1/chat/completions
!X-LLM-Chain
!X-LLM-Provider

=== what the winner says of its limits
--- http_config
    upstream one { server %%first%%; }
    upstream two { server %%second%%; }
    log_format all '$llm_reset_after_ms $llm_ratelimit_remaining_tokens $llm_ratelimit_remaining_requests';
--- config
    llm_proxy_route first one;
    llm_proxy_route second two;
    llm_proxy_default_provider first;
    llm_fallback_route first second;
    location /v1/ { llm_proxy; llm_fallback; proxy_pass http://$llm_provider_upstream; }
--- provider_first
{"status":429,"headers":{"retry-after":"60","x-ratelimit-remaining-tokens":"1","x-ratelimit-remaining-requests":"2"}}

{"status":429}
--- provider_second
{"headers":{"x-ratelimit-reset-tokens":"1.5s","x-ratelimit-remaining-tokens":"100","x-ratelimit-remaining-requests":"20"}}

{}
--- requests
POST /v1/chat/completions
{"model":"m"}
>>>
POST /v1/chat/completions
{"model":"m"}
--- response_headers
X-LLM-Reset-After-Ms: 1500
X-LLM-Remaining-Tokens: 100
X-LLM-Remaining-Requests: 20
x-ratelimit-remaining-tokens: 100
>>>
!X-LLM-Reset-After-Ms
!X-LLM-Remaining-Tokens
!X-LLM-Remaining-Requests
--- access_log
^1500 100 20$
^- - -$

=== limits in Anthropic's words, and values that make no sense
--- http_config
    upstream one { server %%first%%; }
--- config
    llm_proxy_route first one anthropic;
    llm_proxy_default_provider first;
    location /v1/ { llm_proxy; llm_fallback; proxy_pass http://$llm_provider_upstream; }
--- provider_first
{"headers":{"anthropic-ratelimit-requests-remaining":"7","anthropic-ratelimit-tokens-remaining":"90","anthropic-ratelimit-input-tokens-remaining":"40"}}

{"headers":{"anthropic-ratelimit-requests-remaining":"many","x-ratelimit-reset-tokens":"soon","retry-after":"-5"}}
--- requests
POST /v1/messages
{"model":"m","max_tokens":1,"messages":[]}
>>>
POST /v1/messages
{"model":"m","max_tokens":1,"messages":[]}
--- response_headers
X-LLM-Remaining-Requests: 7
X-LLM-Remaining-Tokens: 40
>>>
!X-LLM-Remaining-Requests
!X-LLM-Reset-After-Ms

=== the operator's own headers may use the variables
--- http_config
    upstream one { server %%first%%; }
    upstream two { server %%second%%; }
--- config
    llm_proxy_route first one;
    llm_proxy_route second two;
    llm_proxy_default_provider first;
    llm_fallback_route first second;
    location /v1/ {
        llm_proxy;
        llm_fallback;
        add_header X-Mine "$llm_provider $llm_effective_model $llm_fallback_reason $llm_fallback_attempt_count $llm_resolution_outcome" always;
        add_header X-Chain $llm_chain always;
        proxy_pass http://$llm_provider_upstream;
    }
--- provider_first
{"status":500}
--- request
POST /v1/chat/completions
{"model":"m"}
--- response_headers
X-Mine: second m upstream_5xx 2 fallback_after_failure
X-Chain: ~^first/m:500:\d+ms, second/m:200:\d+ms$

=== variables of requests that never had a target are not found
--- http_config
    upstream one { server %%closed%%; }
    log_format all '$llm_fallback_attempted $llm_fallback_reason $llm_fallback_attempt_count $llm_chain $llm_served_by $llm_route_mode $llm_failure_class $llm_tag';
--- config
    llm_proxy_route first one;
    llm_proxy_model_pattern m first;
    location /v1/ { llm_proxy; llm_fallback; proxy_pass http://$llm_provider_upstream; }
--- request
POST /v1/chat/completions
{"model":"unknown"}
--- error_code: 404
--- access_log
^- - - - - - - -$

=== the log of a location without fallback has the chain, and no fallback
--- http_config
    upstream one { server %%first%%; }
    log_format all '$llm_fallback_attempted $llm_fallback_attempt_count $llm_served_by $llm_chain';
--- config
    llm_proxy_route first one;
    llm_proxy_default_provider first;
    location /v1/ { llm_proxy; proxy_pass http://$llm_provider_upstream; }
--- request
POST /v1/chat/completions
{"model":"m"}
--- access_log
^- - first/m first/m:200:\d+ms$

=== a long chain is cut behind a whole target
--- http_config
    upstream all { server %%closed%%; }
--- config
    llm_proxy_route a all;
    llm_proxy_default_provider a;
    llm_fallback_retry 40 backoff=1ms..1ms;
    llm_fallback_max_attempts 40;
    location /v1/ { llm_proxy; llm_fallback; proxy_pass http://$llm_provider_upstream; }
--- request
POST /v1/chat/completions
--- request_body_eval
'{"model":"' . 'x' x 200 . '"}'
--- error_code: 502
--- response_headers
X-LLM-Chain: ~^(?:a/x{200}:connect_error:\d+ms, ){10,}\.\.\.$
X-Fallback-Attempt-Count: 40

=== over HTTP/2 they are the same
--- http_config
    upstream one { server %%closed%%; }
    upstream two { server %%second%%; }
--- config
    llm_proxy_route first one;
    llm_proxy_route second two;
    llm_proxy_default_provider first;
    llm_fallback_route first second;
    location /v1/ { llm_proxy; llm_fallback; proxy_pass http://$llm_provider_upstream; }
--- http2
--- request
POST /v1/chat/completions
{"model":"m"}
--- response_headers
X-LLM-Chain: ~^first/m:connect_error:\d+ms, second/m:200:\d+ms$
X-Fallback-Attempt-Count: 2
