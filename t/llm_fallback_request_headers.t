# What a client may set for its own request: each header where it is allowed, where it is not, and
# written wrongly. None of them ever reaches a provider.

use Test::LLM 'no_plan';

run_tests();

__DATA__

=== nothing is allowed by default, and nothing is passed on
--- http_config
    upstream all { server %%all%%; }
    log_format headers 'tag=$llm_tag';
--- config
    llm_proxy_route a all;
    llm_proxy_route b all;
    llm_proxy_default_provider a;
    llm_fallback_route a b;
    location /v1/ { llm_proxy; llm_fallback; proxy_pass http://$llm_provider_upstream; }
--- provider_all
{"status":500}

{}
--- more_headers
X-LLM-Fallback: off
X-LLM-Timeout-Ms: nonsense
X-LLM-Retry-Budget: 0
X-LLM-Fallback-On: nonsense
X-LLM-Tag: mine
X-LLM-Provider-Pin: nobody
--- request
POST /v1/chat/completions
{"model":"m"}
--- response_headers
X-LLM-Chain: ~^a/m:500:\d+ms, b/m:200:\d+ms$
--- provider_all_got
POST /v1/chat/completions
!X-LLM-Fallback
!X-LLM-Timeout-Ms
!X-LLM-Retry-Budget
!X-LLM-Fallback-On
!X-LLM-Tag
!X-LLM-Provider-Pin
--- access_log
^tag=-$

=== off is the same, and undoes what is written above
--- http_config
    upstream all { server %%all%%; }
    llm_fallback_request_headers fallback timeout retries on tag provider;
--- config
    llm_proxy_route a all;
    llm_proxy_route b all;
    llm_proxy_default_provider a;
    llm_fallback_route a b;
    location /on/v1/ { llm_proxy; llm_fallback; proxy_pass http://$llm_provider_upstream; }
    location /off/v1/ {
        llm_proxy; llm_fallback; llm_fallback_request_headers off;
        proxy_pass http://$llm_provider_upstream;
    }
--- provider_all
{"status":500,"times":2}

{}
--- more_headers
X-LLM-Fallback: off
--- requests
POST /on/v1/chat/completions
{"model":"m"}
>>>
POST /off/v1/chat/completions
{"model":"m"}
--- error_code: 500 200

=== fallback: off
--- http_config
    upstream all { server %%all%%; }
--- config
    llm_proxy_route a all;
    llm_proxy_route b all;
    llm_proxy_default_provider a;
    llm_fallback_route a b;
    llm_fallback_request_headers fallback;
    location /v1/ { llm_proxy; llm_fallback; proxy_pass http://$llm_provider_upstream; }
--- provider_all
429 {"of":"first"}
--- more_headers
X-LLM-Fallback: Off
--- request
POST /v1/chat/completions
{"model":"m"}
--- error_code: 429
--- response_body: {"of":"first"}
--- response_headers
X-Fallback-Suppressed: 1
X-Fallback-Suppressed-Reason: disabled_by_request
X-Fallback-Attempted: 0
--- provider_all_got
POST /v1/chat/completions
!X-LLM-Fallback

=== fallback: a list of targets takes the place of the configured chain
--- http_config
    upstream all { server %%all%%; }
--- config
    llm_proxy_route a all;
    llm_proxy_route b all;
    llm_proxy_route c all;
    llm_proxy_route d all;
    llm_proxy_model_pattern m a;
    llm_proxy_model_pattern model-c c;
    llm_proxy_model_pattern model-* d;
    llm_fallback_route a b model-b;
    llm_fallback_max_attempts 9;
    llm_fallback_request_headers fallback;
    location /v1/ { llm_proxy; llm_fallback; proxy_pass http://$llm_provider_upstream; }
--- provider_all
{"status":500,"times":"always"}
--- more_headers
X-LLM-Fallback: c/model-c, d/model-x ,b/model-b
--- request
POST /v1/chat/completions
{"model":"m"}
--- error_code: 500
--- response_headers
X-LLM-Chain: ~^a/m:500:\d+ms, c/model-c:500:\d+ms, d/model-x:500:\d+ms, b/model-b:500:\d+ms$

=== fallback: a provider alone is the one of an edge, or serves the same model
--- http_config
    upstream all { server %%all%%; }
--- config
    llm_proxy_route a all;
    llm_proxy_route b all;
    llm_proxy_route c all;
    llm_proxy_model_pattern m a;
    llm_proxy_model_pattern m* c;
    llm_fallback_route a b model-b;
    llm_fallback_max_attempts 9;
    llm_fallback_request_headers fallback;
    location /v1/ { llm_proxy; llm_fallback; proxy_pass http://$llm_provider_upstream; }
--- provider_all
{"status":500,"times":"always"}
--- more_headers
X-LLM-Fallback: c,b
--- request
POST /v1/chat/completions
{"model":"m"}
--- error_code: 500
--- response_headers
X-LLM-Chain: ~^a/m:500:\d+ms, c/m:500:\d+ms, b/model-b:500:\d+ms$

=== fallback: attempts are the operator's to limit
--- http_config
    upstream all { server %%all%%; }
--- config
    llm_proxy_route a all;
    llm_proxy_route b all;
    llm_proxy_route c all;
    llm_proxy_default_provider a;
    llm_fallback_route a b;
    llm_fallback_route a c;
    llm_fallback_max_attempts 2;
    llm_fallback_request_headers fallback retries;
    location /v1/ { llm_proxy; llm_fallback; proxy_pass http://$llm_provider_upstream; }
--- provider_all
{"status":500,"times":2}
--- more_headers
X-LLM-Fallback: c,b
X-LLM-Retry-Budget: 9
--- request
POST /v1/chat/completions
{"model":"m"}
--- error_code: 500
--- response_headers
X-LLM-Chain: ~^a/m:500:\d+ms, c/m:500:\d+ms$
X-Fallback-Suppressed-Reason: attempts_exhausted

=== fallback: only what is configured
--- http_config
    upstream all { server %%all%%; }
--- config
    llm_proxy_route a all;
    llm_proxy_route b all;
    llm_proxy_route c all;
    llm_proxy_model_pattern m a;
    llm_proxy_model_pattern other c;
    llm_fallback_route a b model-b;
    llm_fallback_request_headers fallback;
    location /v1/ { llm_proxy; llm_fallback; proxy_pass http://$llm_provider_upstream; }
--- more_headers
X-LLM-Fallback: nobody
>>>
X-LLM-Fallback: b/other
>>>
X-LLM-Fallback: c/m
>>>
X-LLM-Fallback: c
>>>
X-LLM-Fallback: b/model-b, nobody/x
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
--- error_code: 400
--- response_json
{"error":{"code":"provider_not_allowed","type":"invalid_request_error"}}
--- provider_all_requests: 0

=== fallback: malformed
--- http_config
    upstream all { server %%all%%; }
--- config
    llm_proxy_route a all;
    llm_proxy_route b all;
    llm_proxy_default_provider a;
    llm_fallback_route a b;
    llm_fallback_request_headers fallback;
    location /v1/ { llm_proxy; llm_fallback; proxy_pass http://$llm_provider_upstream; }
--- more_headers
X-LLM-Fallback: b,,b
>>>
X-LLM-Fallback: /m
>>>
X-LLM-Fallback: b/
>>>
X-LLM-Fallback: ,
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
--- error_code: 400
--- response_json
{"error":{"code":"invalid_header","message":"The header \"x-llm-fallback\" is neither off nor a list of targets."}}
--- provider_all_requests: 0

=== timeout: of each attempt
--- http_config
    upstream one { server %%first%%; }
    upstream two { server %%second%%; }
--- config
    llm_proxy_route first one;
    llm_proxy_route second two;
    llm_proxy_default_provider first;
    llm_fallback_route first second;
    llm_fallback_request_headers timeout;
    location /v1/ { llm_proxy; llm_fallback; proxy_pass http://$llm_provider_upstream; }
--- provider_first
{"fault":"hang"}
--- more_headers
X-LLM-Timeout-Ms: 200
--- request
POST /v1/chat/completions
{"model":"m"}
--- response_headers
X-LLM-Chain: ~^first/m:transport_timeout:[2-9]\d\dms, second/m:200:\d+ms$
--- provider_first_got
POST /v1/chat/completions
!X-LLM-Timeout-Ms

=== timeout: it shortens, but does not lengthen what the operator says
--- http_config
    upstream one { server %%first%%; }
--- config
    llm_proxy_route first one response_timeout=200ms;
    llm_proxy_default_provider first;
    llm_fallback_request_headers timeout;
    location /v1/ { llm_proxy; llm_fallback; proxy_pass http://$llm_provider_upstream; }
--- provider_first
{"fault":"hang"}
--- more_headers
X-LLM-Timeout-Ms: 60000
--- request
POST /v1/chat/completions
{"model":"m"}
--- error_code: 504
--- answered_within: 5s

=== timeout: malformed
--- http_config
    upstream all { server %%all%%; }
--- config
    llm_proxy_route a all;
    llm_proxy_default_provider a;
    llm_fallback_request_headers timeout;
    location /v1/ { llm_proxy; llm_fallback; proxy_pass http://$llm_provider_upstream; }
--- more_headers
X-LLM-Timeout-Ms: 0
>>>
X-LLM-Timeout-Ms: -5
>>>
X-LLM-Timeout-Ms: 1.5
>>>
X-LLM-Timeout-Ms: 99999999999999999999
>>>
X-LLM-Timeout-Ms: soon
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
--- error_code: 400
--- response_json
{"error":{"code":"invalid_header","message":"The header \"x-llm-timeout-ms\" is not a number of milliseconds from 1 to 604800000."}}
--- provider_all_requests: 0

=== retries: attempts behind the first
--- http_config
    upstream all { server %%all%%; }
--- config
    llm_proxy_route a all;
    llm_proxy_route b all;
    llm_proxy_route c all;
    llm_proxy_default_provider a;
    llm_fallback_route a b;
    llm_fallback_route a c;
    llm_fallback_max_attempts 3;
    llm_fallback_request_headers retries;
    location /v1/ { llm_proxy; llm_fallback; proxy_pass http://$llm_provider_upstream; }
--- provider_all
{"status":500,"times":"always"}
--- more_headers
X-LLM-Retry-Budget: 0
>>>
X-LLM-Retry-Budget: 1
>>>
X-LLM-Retry-Budget: 2
>>>
X-LLM-Retry-Budget: 100
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
--- error_code: 500
--- response_headers
X-Fallback-Attempt-Count: 1
X-Fallback-Suppressed-Reason: attempts_exhausted
>>>
X-Fallback-Attempt-Count: 2
>>>
X-Fallback-Attempt-Count: 3
>>>
X-Fallback-Attempt-Count: 3
--- provider_all_got
POST /v1/chat/completions
!X-LLM-Retry-Budget

=== retries: malformed
--- http_config
    upstream all { server %%all%%; }
--- config
    llm_proxy_route a all;
    llm_proxy_default_provider a;
    llm_fallback_request_headers retries;
    location /v1/ { llm_proxy; llm_fallback; proxy_pass http://$llm_provider_upstream; }
--- more_headers
X-LLM-Retry-Budget: many
>>>
X-LLM-Retry-Budget: -1
>>>
X-LLM-Retry-Budget: 99999999999
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
--- response_json
{"error":{"code":"invalid_header","message":"The header \"x-llm-retry-budget\" is not a number."}}
--- provider_all_requests: 0

=== on: the class words and the short ones
--- http_config
    upstream all { server %%all%%; }
--- config
    llm_proxy_route a all response_timeout=200ms;
    llm_proxy_route b all;
    llm_proxy_default_provider a;
    llm_fallback_route a b;
    llm_fallback_on connect_error;
    llm_fallback_request_headers on;
    location /v1/ { llm_proxy; llm_fallback; proxy_pass http://$llm_provider_upstream; }
--- provider_all
{"status":500}

{}

{"status":429}

{}

{"fault":"hang"}

{}

{"error":"content_policy_violation"}

{}

{"status":404}

{}

{"error":"context_length_exceeded"}

{}

{"status":409}

{}
--- more_headers
X-LLM-Fallback-On: 5xx
>>>
X-LLM-Fallback-On: 5xx,429
>>>
X-LLM-Fallback-On: timeout
>>>
X-LLM-Fallback-On: filter
>>>
X-LLM-Fallback-On: 4xx
>>>
X-LLM-Fallback-On: rate_limited, context_length
>>>
X-LLM-Fallback-On: http_409
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
>>>
POST /v1/chat/completions
{"model":"m"}
--- response_headers
X-LLM-Provider: b
X-Fallback-Reason: upstream_5xx
>>>
X-Fallback-Reason: rate_limited
>>>
X-Fallback-Reason: transport_timeout
>>>
X-Fallback-Reason: content_filter
>>>
X-Fallback-Reason: not_found
>>>
X-Fallback-Reason: context_length
>>>
X-Fallback-Reason: semantic_error

=== on: what is not in the list is not answered, though the operator lists it
--- http_config
    upstream all { server %%all%%; }
--- config
    llm_proxy_route a all;
    llm_proxy_route b all;
    llm_proxy_default_provider a;
    llm_fallback_route a b;
    llm_fallback_on upstream_5xx content_filter;
    llm_fallback_request_headers on;
    location /v1/ { llm_proxy; llm_fallback; proxy_pass http://$llm_provider_upstream; }
--- provider_all
{"status":500}

{"error":"content_policy_violation"}

400 {"error":"bad"}
--- more_headers
X-LLM-Fallback-On: 429
>>>
X-LLM-Fallback-On: 4xx
>>>
X-LLM-Fallback-On: 4xx
--- requests
POST /v1/chat/completions
{"model":"m"}
>>>
POST /v1/chat/completions
{"model":"m"}
>>>
POST /v1/chat/completions
{"model":"m"}
--- error_code: 500 400 400
--- provider_all_got
POST /v1/chat/completions
!X-LLM-Fallback-On

=== on: malformed
--- http_config
    upstream all { server %%all%%; }
--- config
    llm_proxy_route a all;
    llm_proxy_default_provider a;
    llm_fallback_request_headers on;
    location /v1/ { llm_proxy; llm_fallback; proxy_pass http://$llm_provider_upstream; }
--- more_headers
X-LLM-Fallback-On: everything
>>>
X-LLM-Fallback-On: ,
--- requests
POST /v1/chat/completions
{"model":"m"}
>>>
POST /v1/chat/completions
{"model":"m"}
--- error_code: 400
--- response_json
{"error":{"code":"invalid_header","message":"The header \"x-llm-fallback-on\" has the unknown failure class \"everything\"."}}
>>>
{"error":{"code":"invalid_header","message":"The header \"x-llm-fallback-on\" names no failure class."}}
--- provider_all_requests: 0

=== tag: for the log
--- http_config
    upstream all { server %%all%%; }
    log_format headers 'tag=$llm_tag';
--- config
    llm_proxy_route a all;
    llm_proxy_default_provider a;
    llm_fallback_request_headers tag;
    location /v1/ { llm_proxy; llm_fallback; proxy_pass http://$llm_provider_upstream; }
--- more_headers
X-LLM-Tag: team a, batch=7
--- request
POST /v1/chat/completions
{"model":"m"}
--- access_log
^tag=team a, batch=7$
--- provider_all_got
POST /v1/chat/completions
!X-LLM-Tag

=== tag: malformed
--- http_config
    upstream all { server %%all%%; }
--- config
    llm_proxy_route a all;
    llm_proxy_default_provider a;
    llm_fallback_request_headers tag;
    location /v1/ { llm_proxy; llm_fallback; proxy_pass http://$llm_provider_upstream; }
--- more_headers eval
"X-LLM-Tag: " . ('x' x 129) . "\n>>>\nX-LLM-Tag: a\tb\n>>>\nX-LLM-Tag: \xc3\xa9\n>>>\nX-LLM-Tag: \xff"
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
--- error_code: 400
--- response_json
{"error":{"code":"invalid_header"}}
--- provider_all_requests: 0

=== provider: the only one for this request
--- http_config
    upstream all { server %%all%%; }
    log_format headers '$llm_requested_provider $llm_provider $llm_route_mode';
--- config
    llm_proxy_route a all;
    llm_proxy_route b all;
    llm_proxy_route c all;
    llm_proxy_default_provider a;
    llm_fallback_route a b model-b;
    llm_fallback_route a c;
    llm_fallback_max_attempts 9;
    llm_fallback_request_headers provider;
    location /v1/ { llm_proxy; llm_fallback; proxy_pass http://$llm_provider_upstream; }
--- provider_all
{"status":500}
--- more_headers
X-LLM-Provider-Pin: b
--- request
POST /v1/chat/completions
{"model":"m"}
--- error_code: 500
--- response_headers
X-LLM-Chain: ~^b/model-b:500:\d+ms$
X-Fallback-Suppressed-Reason: disabled_by_request
X-Fallback-Primary: b
--- provider_all_got
POST /v1/chat/completions
!X-LLM-Provider-Pin
--- provider_all_got_body: {"model":"model-b"}

=== provider: one that the catalog, an alias or an edge allows
--- http_config
    upstream all { server %%all%%; }
--- config
    llm_proxy_route a all;
    llm_proxy_route b all;
    llm_proxy_route c all;
    llm_proxy_route d all;
    llm_proxy_model_pattern m a;
    llm_proxy_model_pattern m* b;
    llm_proxy_model_pattern other d;
    llm_proxy_model_alias fast c/real;
    llm_fallback_request_headers provider;
    location /v1/ { llm_proxy; llm_fallback; proxy_pass http://$llm_provider_upstream; }
--- more_headers
X-LLM-Provider-Pin: a
>>>
X-LLM-Provider-Pin: B
>>>
X-LLM-Provider-Pin: c
>>>
X-LLM-Provider-Pin: c
>>>
X-LLM-Provider-Pin: d
>>>
X-LLM-Provider-Pin: nobody
--- requests
POST /v1/chat/completions
{"model":"m"}
>>>
POST /v1/chat/completions
{"model":"m"}
>>>
POST /v1/chat/completions
{"model":"fast"}
>>>
POST /v1/chat/completions
{"model":"m"}
>>>
POST /v1/chat/completions
{"model":"m"}
>>>
POST /v1/chat/completions
{"model":"m"}
--- error_code: 200 200 200 400 400 400
--- response_json
{"model":"m"}
>>>
{"model":"m"}
>>>
{"model":"real"}
>>>
{"error":{"code":"provider_not_allowed"}}
>>>
{"error":{"code":"provider_not_allowed"}}
>>>
{"error":{"code":"provider_not_allowed"}}
--- provider_all_requests: 3

=== provider: the same one may be retried
--- http_config
    upstream all { server %%all%%; }
--- config
    llm_proxy_route a all;
    llm_proxy_route b all;
    llm_proxy_default_provider a;
    llm_fallback_route a b;
    llm_fallback_retry 1 backoff=1ms..2ms;
    llm_fallback_max_attempts 3;
    llm_fallback_request_headers provider;
    location /v1/ { llm_proxy; llm_fallback; proxy_pass http://$llm_provider_upstream; }
--- provider_all
{"status":500}

{}
--- more_headers
X-LLM-Provider-Pin: b
--- request
POST /v1/chat/completions
{"model":"m"}
--- response_headers
X-LLM-Chain: ~^b/m:500:\d+ms, b/m:200:\d+ms$

=== refusals are in the client's dialect
--- http_config
    upstream all { server %%all%%; }
--- config
    llm_proxy_route a all anthropic;
    llm_proxy_default_provider a;
    llm_fallback_request_headers timeout;
    location /v1/ { llm_proxy; llm_fallback; proxy_pass http://$llm_provider_upstream; }
--- more_headers
X-LLM-Timeout-Ms: x
--- request
POST /v1/messages
{"model":"m","max_tokens":1,"messages":[]}
--- error_code: 400
--- response_json
{"type":"error","error":{"type":"invalid_request_error","message":"<<match:x-llm-timeout-ms>>"}}
--- provider_all_requests: 0

=== unknown names
--- config
    llm_fallback_request_headers fallback everything;
--- must_fail
invalid value "everything" in "llm_fallback_request_headers", it must be off alone or any of fallback, timeout, retries, on, tag, provider in %%root%%/nginx.conf

=== off stands alone
--- config
    llm_fallback_request_headers off tag;
--- must_fail
invalid value "off" in "llm_fallback_request_headers", it must be off alone or any of fallback, timeout, retries, on, tag, provider in %%root%%/nginx.conf

=== the list is written once
--- config
    llm_fallback_request_headers tag;
    llm_fallback_request_headers on;
--- must_fail
"llm_fallback_request_headers" directive is duplicate in %%root%%/nginx.conf
