# llm_proxy_total_timeout is over all attempts and the waits between them.

use Test::LLM 'no_plan';

run_tests();

__DATA__

=== the second attempt has what the first has left
--- http_config
    upstream one { server %%first%%; }
    upstream two { server %%second%%; }
--- config
    llm_proxy_route first one response_timeout=300ms;
    llm_proxy_route second two response_timeout=60s;
    llm_proxy_default_provider first;
    llm_proxy_total_timeout 600ms;
    llm_fallback_route first second;
    location /v1/ { llm_proxy; llm_fallback; proxy_pass http://$llm_provider_upstream; }
--- provider_first
{"fault":"hang"}
--- provider_second
{"fault":"hang"}
--- request
POST /v1/chat/completions
{"model":"m"}
--- error_code: 504
--- response_json
{"error":{"code":"provider_timeout"}}
--- response_headers
X-LLM-Chain: ~^first/m:transport_timeout:[2-9]\d\dms, second/m:transport_timeout:\d{1,3}ms$
X-Should-Retry: false
--- answered_within: 3s
--- provider_first_client_closed: 1
--- provider_second_client_closed: 1

=== no attempt begins behind the deadline
--- http_config
    upstream one { server %%first%%; }
    upstream two { server %%second%%; }
--- config
    llm_proxy_route first one response_timeout=60s;
    llm_proxy_route second two;
    llm_proxy_default_provider first;
    llm_proxy_total_timeout 300ms;
    llm_fallback_route first second;
    location /v1/ { llm_proxy; llm_fallback; proxy_pass http://$llm_provider_upstream; }
--- provider_first
{"fault":"hang"}
--- request
POST /v1/chat/completions
{"model":"m"}
--- error_code: 504
--- response_headers
X-LLM-Chain: ~^first/m:transport_timeout:[2-9]\d\dms$
X-Fallback-Suppressed: 1
X-Fallback-Suppressed-Reason: deadline
--- provider_second_requests: 0

=== a wait that would end behind it is not begun
--- http_config
    upstream one { server %%first%%; }
--- config
    llm_proxy_route first one;
    llm_proxy_default_provider first;
    llm_proxy_total_timeout 500ms;
    llm_fallback_retry 5 backoff=2s..3s;
    llm_fallback_max_attempts 9;
    location /v1/ { llm_proxy; llm_fallback; proxy_pass http://$llm_provider_upstream; }
--- provider_first
{"status":503}
--- request
POST /v1/chat/completions
{"model":"m"}
--- error_code: 503
--- response_headers
X-Fallback-Suppressed-Reason: deadline
--- answered_within: 400ms

=== waits and attempts together end at it
--- http_config
    upstream one { server %%first%%; }
--- config
    llm_proxy_route first one;
    llm_proxy_default_provider first;
    llm_proxy_total_timeout 700ms;
    llm_fallback_retry 99 backoff=150ms..160ms;
    llm_fallback_max_attempts 99;
    location /v1/ { llm_proxy; llm_fallback; proxy_pass http://$llm_provider_upstream; }
--- after
$t->mock->script(first => [ { status => 503, times => 'always' } ]);
my $answer = $t->request(qq(POST /v1/chat/completions\n{"model":"m"}));
# On a slow machine the time may end while the last attempt is under way.
like($answer->{status}, qr/\A50[34]\z/, 'the refusal of the last attempt, or none in time');
cmp_ok($answer->{seconds}, '<=', 0.7 + 0.4 * Test::LLM::Util::scale(), 'in time');
my $requests = $t->mock->state('first')->{requests};
cmp_ok($requests, '>=', 2, 'there were retries');
cmp_ok($requests, '<=', 5, 'as many as fit');

=== it ends an attempt whose answer has begun, with the truth
--- http_config
    upstream one { server %%first%%; }
    upstream two { server %%second%%; }
    log_format deadline '$llm_stream_state';
--- config
    llm_proxy_route first one;
    llm_proxy_route second two;
    llm_proxy_default_provider first;
    llm_proxy_total_timeout 400ms;
    llm_fallback_route first second;
    location /v1/ { llm_proxy; llm_fallback; proxy_pass http://$llm_provider_upstream; }
--- provider_first
{"words":100,"pace_ms":50}
--- request
POST /v1/chat/completions
{"model":"m","stream":true}
--- incomplete_response
--- response_body_like
"code":"provider_timeout"[^\n]*\n\n\z
--- access_log
^incomplete$
--- provider_first_client_closed: 1
--- provider_second_requests: 0

=== it ends an answer that is held
--- http_config
    upstream one { server %%first%%; }
    upstream two { server %%second%%; }
--- config
    llm_proxy_route first one;
    llm_proxy_route second two;
    llm_proxy_default_provider first;
    llm_proxy_total_timeout 400ms;
    llm_fallback_route first second;
    llm_fallback_on stream_error transport_timeout;
    llm_fallback_hold complete;
    location /v1/ { llm_proxy; llm_fallback; proxy_pass http://$llm_provider_upstream; }
--- provider_first
{"words":100,"pace_ms":50}
--- request
POST /v1/chat/completions
{"model":"m","stream":true}
--- error_code: 504
--- response_headers
X-Fallback-Suppressed-Reason: deadline
--- answered_within: 3s
--- provider_first_client_closed: 1
--- provider_second_requests: 0

=== it ends a wait, behind heartbeats too
--- http_config
    upstream one { server %%first%%; }
--- config
    llm_proxy_route first one response_timeout=200ms;
    llm_proxy_default_provider first;
    llm_proxy_heartbeat 50ms;
    llm_proxy_total_timeout 300ms;
    llm_fallback_retry 1 backoff=50ms..60ms;
    llm_fallback_max_attempts 9;
    location /v1/ { llm_proxy; llm_fallback; proxy_pass http://$llm_provider_upstream; }
--- provider_first
{"delay_ms":120,"status":503}

{"fault":"hang"}
--- request
POST /v1/chat/completions
{"model":"m","stream":true}
--- incomplete_response
--- response_body_like
\A(?:: ping\n\n)+data: \{"error":\{[^\n]*"code":"provider_timeout"[^\n]*\n\n\z
--- answered_within: 3s
--- valgrind_skip: the first attempt must end within a third of a second

=== requests in time are not touched
--- http_config
    upstream one { server %%first%%; }
    upstream two { server %%second%%; }
--- config
    llm_proxy_route first one response_timeout=150ms;
    llm_proxy_route second two;
    llm_proxy_default_provider first;
    llm_proxy_total_timeout 10s;
    llm_fallback_route first second;
    location /v1/ { llm_proxy; llm_fallback; proxy_pass http://$llm_provider_upstream; }
--- provider_first
{"fault":"hang"}
--- requests
POST /v1/chat/completions
{"model":"m"}
>>>
GET /v1/models
--- response_headers
X-LLM-Provider: second
>>>
X-LLM-Provider: first
--- provider_first_requests: 2
