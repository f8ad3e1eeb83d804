# What llm_metrics counts of each kind of request. "counts_are" compares every series of the names
# it is given, so that nothing is counted twice or elsewhere.

use Test::LLM 'no_plan';

use Test::LLM::Metrics;

run_tests();

__DATA__

=== a request that goes well
--- http_config
    upstream one { server %%first%%; }
--- config
    llm_proxy_route first one;
    llm_proxy_default_provider first;
    location /v1/ { llm_metrics; llm_proxy; proxy_pass http://$llm_provider_upstream; }
    location = /metrics { llm_metrics_export prometheus; }
--- provider_first
200 {"choices":[{"message":{"content":"hi"},"finish_reason":"stop"}],"usage":{"prompt_tokens":100,"completion_tokens":40,"total_tokens":140,"prompt_tokens_details":{"cached_tokens":30},"completion_tokens_details":{"reasoning_tokens":7}}}
--- request
POST /v1/chat/completions
{"model":"m"}
--- after
counts_are($t, <<'END');
llm_requests_total{provider="first",streaming="false",code="200"} 1
llm_attempts_total{provider="first",outcome="ok"} 1
llm_tokens_total{provider="first",type="input"} 70
llm_tokens_total{provider="first",type="cache_read"} 30
llm_tokens_total{provider="first",type="output"} 40
llm_tokens_total{provider="first",type="reasoning"} 7
llm_usage_total{source="reported"} 1
llm_request_duration_seconds_count{provider="first"} 1
llm_gateway_overhead_seconds_count 1
llm_time_per_output_token_seconds_count none
llm_request_errors_total none
llm_fallbacks_total none
llm_fallbacks_suppressed_total none
llm_ratelimit_decisions_total none
llm_client_aborts_total none
llm_truncated_streams_total none
llm_cost_units_total none
llm_usage_missing_total none
llm_parse_fallback_total none
llm_replacement_total none
llm_translation_total none
llm_error_provider_total none
llm_error_gateway_total none
llm_open_streams 0
llm_provider_up{provider="first"} 1
llm_metrics_lost_total 0
END

=== a request of the other dialect
--- http_config
    upstream one { server %%first%%; }
--- config
    llm_proxy_route first one anthropic;
    llm_proxy_default_provider first;
    location /v1/ { llm_metrics; llm_proxy; proxy_pass http://$llm_provider_upstream; }
    location = /metrics { llm_metrics_export prometheus; }
--- provider_first
200 {"type":"message","content":[{"type":"text","text":"hi"}],"stop_reason":"end_turn","usage":{"input_tokens":50,"output_tokens":9,"cache_read_input_tokens":20,"cache_creation_input_tokens":11}}
--- request
POST /v1/messages
{"model":"m","max_tokens":10,"messages":[]}
--- after
counts_are($t, <<'END');
llm_requests_total{provider="first",streaming="false",code="200"} 1
llm_tokens_total{provider="first",type="input"} 50
llm_tokens_total{provider="first",type="cache_read"} 20
llm_tokens_total{provider="first",type="cache_write"} 11
llm_tokens_total{provider="first",type="output"} 9
END

=== it is off unless it is switched on; off undoes it
--- http_config
    upstream one { server %%first%%; }
--- config
    llm_proxy_route first one;
    llm_proxy_default_provider first;
    location /v1/ { llm_proxy; proxy_pass http://$llm_provider_upstream; }
    location /on/v1/ {
        llm_metrics on;
        llm_proxy;
        proxy_pass http://$llm_provider_upstream;
        location /on/v1/embeddings { llm_metrics off; proxy_pass http://$llm_provider_upstream; }
    }
    location = /metrics { llm_metrics_export prometheus; }
--- requests
POST /v1/chat/completions
{"model":"m"}
>>>
POST /on/v1/embeddings
{"model":"m","input":"x"}
>>>
POST /on/v1/chat/completions
{"model":"m"}
--- after
counts_are($t, <<'END');
llm_requests_total{provider="first",streaming="false",code="200"} 1
END

=== it is inherited from http
--- http_config
    upstream one { server %%first%%; }
    llm_metrics;
--- config
    llm_proxy_route first one;
    llm_proxy_default_provider first;
    location /v1/ { llm_proxy; proxy_pass http://$llm_provider_upstream; }
    location = /metrics { llm_metrics_export prometheus; }
    location = /plain { return 200 ok; }
--- requests
POST /v1/chat/completions
{"model":"m"}
>>>
GET /plain
>>>
GET /metrics
--- after
# Neither the scrapes nor what is no business of the gateway.
counts_are($t, <<'END');
llm_requests_total{provider="first",streaming="false",code="200"} 1
llm_request_duration_seconds_count{provider="first"} 1
END

=== a stream
--- http_config
    upstream one { server %%first%%; }
--- config
    llm_proxy_route first one;
    llm_proxy_default_provider first;
    location /v1/ { llm_metrics; llm_proxy; proxy_pass http://$llm_provider_upstream; }
    location = /metrics { llm_metrics_export prometheus; }
--- provider_first
sse {"first_ms":60,"pace_ms":60}
{"id":"1","choices":[{"delta":{"content":"a"}}]}
{"id":"1","choices":[{"delta":{"content":"b"}}]}
{"id":"1","choices":[{"delta":{},"finish_reason":"stop"}]}
{"id":"1","choices":[],"usage":{"prompt_tokens":10,"completion_tokens":4,"total_tokens":14}}
[DONE]
--- request
POST /v1/chat/completions
{"model":"m","stream":true}
--- after
counts_are($t, <<'END');
llm_requests_total{provider="first",streaming="true",code="200"} 1
llm_attempts_total{provider="first",outcome="ok"} 1
llm_tokens_total{provider="first",type="input"} 10
llm_tokens_total{provider="first",type="output"} 4
llm_usage_total{source="reported"} 1
llm_time_to_first_token_seconds_count{provider="first"} 1
llm_time_per_output_token_seconds_count{provider="first"} 1
llm_request_duration_seconds_count{provider="first"} 1
llm_truncated_streams_total none
llm_client_aborts_total none
llm_request_errors_total none
llm_open_streams 0
END
my $got = series(scrape($t)->{body});
my ($first, $whole, $token) = map { $got->{"llm_${_}_seconds_sum{provider=\"first\"}"} }
    qw(time_to_first_token request_duration time_per_output_token);
ok($first >= 0.05 && $first < $whole, "the first token after $first of $whole seconds");
# Three tokens follow the first one.
ok(abs($token - ($whole - $first) / 3) < 0.002, "a token each $token seconds");
is($got->{'llm_time_to_first_token_seconds_bucket{provider="first",le="0.05"}'}, 0, 'not that soon');

=== streams under way
--- http_config
    upstream one { server %%first%%; }
--- config
    llm_proxy_route first one;
    llm_proxy_default_provider first;
    location /v1/ { llm_metrics; llm_proxy; proxy_pass http://$llm_provider_upstream; }
    location = /metrics { llm_metrics_export prometheus; }
--- provider_first
{"sse":["{\"choices\":[{\"delta\":{\"content\":\"a\"}}]}","{\"choices\":[{\"delta\":{\"content\":\"b\"}}]}"],"fault":"stall","after":1,"times":2}
--- after
my @streams = map {
    my $client = Test::LLM::Client->new($t->address);
    my $body = '{"model":"m","stream":true}';
    $client->transmit("POST /v1/chat/completions HTTP/1.1\r\nHost: localhost\r\n"
        . "Content-Type: application/json\r\nContent-Length: " . length($body) . "\r\n\r\n$body");
    $client->receive(abort => sub { $_[0] =~ /"a"/ });
    $client;
} 1, 2;
counts_are($t, "llm_open_streams 2\nllm_requests_total none\n", 'both are open');
shift(@streams)->finish;
counts_are($t, "llm_open_streams 1\nllm_client_aborts_total 1\n", 'one went away');
$t->reload;
counts_are($t, "llm_open_streams 1\nllm_client_aborts_total 1\n", 'the old worker has one');
shift(@streams)->finish;
counts_are($t, <<'END', 'none is left');
llm_open_streams 0
llm_client_aborts_total 2
llm_requests_total{provider="first",streaming="true",code="200"} 2
llm_attempts_total{provider="first",outcome="client_closed"} 2
llm_request_errors_total none
llm_truncated_streams_total none
END

=== streams of a worker that was killed are not under way
--- http_config
    upstream one { server %%first%%; }
--- config
    llm_proxy_route first one;
    llm_proxy_default_provider first;
    location /v1/ { llm_metrics; llm_proxy; proxy_pass http://$llm_provider_upstream; }
    location = /metrics { llm_metrics_export prometheus; }
--- provider_first
{"sse":["{\"choices\":[{\"delta\":{\"content\":\"a\"}}]}","{\"choices\":[]}"],"fault":"stall","after":1}
--- expected_alert: exited on signal 9
--- after
my $client = Test::LLM::Client->new($t->address);
my $body = '{"model":"m","stream":true}';
$client->transmit("POST /v1/chat/completions HTTP/1.1\r\nHost: localhost\r\n"
    . "Content-Type: application/json\r\nContent-Length: " . length($body) . "\r\n\r\n$body");
$client->receive(abort => sub { $_[0] =~ /"a"/ });
counts_are($t, "llm_open_streams 1\n", 'it is open');
$t->kill_worker;
counts_are($t, "llm_open_streams 0\n", 'its worker is no more');

=== a fallback
--- http_config
    upstream one { server %%first%%; }
    upstream two { server %%second%%; }
--- config
    llm_proxy_route first one;
    llm_proxy_route second two;
    llm_proxy_default_provider first;
    llm_fallback_route first second other;
    location /v1/ { llm_metrics; llm_proxy; llm_fallback; proxy_pass http://$llm_provider_upstream; }
    location = /metrics { llm_metrics_export prometheus; }
--- provider_first
429 {"error":{}}

503 {"error":{}}

200 {"ok":1}
--- requests
POST /v1/chat/completions
{"model":"m"}
>>>
POST /v1/chat/completions
{"model":"m"}
>>>
POST /v1/chat/completions
{"model":"m"}
--- after
counts_are($t, <<'END');
llm_requests_total{provider="second",streaming="false",code="200"} 2
llm_requests_total{provider="first",streaming="false",code="200"} 1
llm_attempts_total{provider="first",outcome="rate_limited"} 1
llm_attempts_total{provider="first",outcome="upstream_5xx"} 1
llm_attempts_total{provider="first",outcome="ok"} 1
llm_attempts_total{provider="second",outcome="ok"} 2
llm_fallbacks_total{from="first",to="second",reason="rate_limited"} 1
llm_fallbacks_total{from="first",to="second",reason="upstream_5xx"} 1
llm_fallbacks_suppressed_total none
llm_request_errors_total none
llm_request_duration_seconds_count{provider="first"} 1
llm_request_duration_seconds_count{provider="second"} 2
END

=== a first target that is passed over is a fallback as well, and why
--- http_config
    upstream one { server %%first%%; }
    upstream two { server %%second%%; }
    upstream three { server %%third%%; }
--- config
    llm_proxy_route first one;
    llm_proxy_route second two;
    llm_proxy_route third three;
    llm_proxy_default_provider first;
    llm_fallback_route first second;
    llm_fallback_route second third;
    llm_fallback_mode health;
    llm_fallback_cooldown 60s fails=1;
    location /v1/ { llm_metrics; llm_proxy; llm_fallback; proxy_pass http://$llm_provider_upstream; }
    location = /metrics { llm_metrics_export prometheus; }
    location /status { llm_status; }
--- provider_first
500 {"error":{}}
--- requests
POST /v1/chat/completions
{"model":"m"}
>>>
POST /v1/chat/completions
{"model":"m"}
>>>
POST /status/drain?provider=second
>>>
POST /v1/chat/completions
{"model":"m"}
>>>
POST /status/drain?provider=third
>>>
POST /status/drain?provider=first
>>>
POST /v1/chat/completions
{"model":"m"}
--- error_code: 200 200 200 200 200 200 503
--- after
counts_are($t, <<'END');
llm_fallbacks_total{from="first",to="second",reason="upstream_5xx"} 1
llm_fallbacks_total{from="first",to="second",reason="benched"} 1
llm_fallbacks_total{from="first",to="third",reason="benched"} 1
llm_attempts_total{provider="first",outcome="upstream_5xx"} 1
llm_attempts_total{provider="second",outcome="ok"} 2
llm_attempts_total{provider="third",outcome="ok"} 1
llm_fallbacks_suppressed_total none
END
my $report = status_of($t);
is_deeply($report->{flows}, [
    { from => 'first', to => 'second', count => 2 }, { from => 'first', to => 'third', count => 1 },
], 'the moves of the last hour');
is_deeply([ map { $_->{fallback} ? 1 : 0 } @{ $report->{recent} } ], [ 0, 1, 1, 1 ], 'the latest requests');

=== a retry and another key are attempts and no fallback
--- http_config
    upstream one { server %%first%%; }
--- config
    llm_proxy_route first one;
    llm_proxy_default_provider first;
    llm_auth_credential first sk-SECRET-1 id=a;
    llm_auth_credential first sk-SECRET-2 id=b;
    llm_fallback_retry 1 backoff=1ms..2ms;
    llm_fallback_max_attempts 3;
    location /v1/ { llm_metrics; llm_proxy; llm_auth; llm_fallback; proxy_pass http://$llm_provider_upstream; }
    location = /metrics { llm_metrics_export prometheus; }
--- provider_first
503 {"error":{}}

200 {"ok":1}

401 {"error":{}}

200 {"ok":2}
--- requests
POST /v1/chat/completions
{"model":"m"}
>>>
POST /v1/chat/completions
{"model":"m"}
--- after
counts_are($t, <<'END');
llm_requests_total{provider="first",streaming="false",code="200"} 2
llm_attempts_total{provider="first",outcome="upstream_5xx"} 1
llm_attempts_total{provider="first",outcome="auth_error"} 1
llm_attempts_total{provider="first",outcome="ok"} 2
llm_fallbacks_total none
llm_keys{provider="first",state="ready"} 1
llm_keys{provider="first",state="benched"} 1
llm_keys{provider="first",state="missing"} 0
END

=== a failure that no other attempt answers, and why
--- http_config
    upstream one { server %%first%%; }
    upstream two { server %%second%%; }
--- config
    llm_proxy_route first one;
    llm_proxy_route second two;
    llm_proxy_default_provider first;
    llm_fallback_route first second;
    location /v1/ { llm_metrics; llm_proxy; llm_fallback; proxy_pass http://$llm_provider_upstream; }
    location /plain/v1/ { llm_metrics; llm_proxy; llm_fallback; llm_fallback_allow_streaming off; proxy_pass http://$llm_provider_upstream; }
    location = /metrics { llm_metrics_export prometheus; }
--- provider_first
503 {"error":{}}

503 {"error":{}}

400 {"error":{"message":"a bad request"}}
--- provider_second
500 {"error":{}}
--- requests
POST /v1/chat/completions
{"model":"m"}
>>>
POST /plain/v1/chat/completions
{"model":"m","stream":true}
>>>
POST /v1/chat/completions
{"model":"m"}
--- error_code: 500 503 400
--- after
counts_are($t, <<'END');
llm_requests_total{provider="second",streaming="false",code="500"} 1
llm_requests_total{provider="first",streaming="true",code="503"} 1
llm_requests_total{provider="first",streaming="false",code="400"} 1
llm_attempts_total{provider="first",outcome="upstream_5xx"} 2
llm_attempts_total{provider="first",outcome="semantic_error"} 1
llm_attempts_total{provider="second",outcome="upstream_5xx"} 1
llm_fallbacks_total{from="first",to="second",reason="upstream_5xx"} 1
llm_fallbacks_suppressed_total{reason="no_target"} 1
llm_fallbacks_suppressed_total{reason="streaming_not_allowed"} 1
llm_request_errors_total{provider="first",source="provider"} 1
llm_request_errors_total{provider="first",source="client"} 1
llm_request_errors_total{provider="second",source="provider"} 1
llm_error_provider_total{provider="first"} 1
llm_error_provider_total{provider="second"} 1
llm_error_gateway_total none
END

=== a provider that is not there, with and without fallback
--- http_config
    upstream one { server %%closed%%; }
    upstream two { server %%second%%; }
--- config
    llm_proxy_route first one;
    llm_proxy_route second two;
    llm_proxy_default_provider first;
    llm_fallback_route first second;
    location /v1/ { llm_metrics; llm_proxy; llm_fallback; proxy_pass http://$llm_provider_upstream; }
    location /plain/v1/ { llm_metrics; llm_proxy; proxy_pass http://$llm_provider_upstream; }
    location = /metrics { llm_metrics_export prometheus; }
--- requests
POST /v1/chat/completions
{"model":"m"}
>>>
POST /plain/v1/chat/completions
{"model":"m"}
--- error_code: 200 502
--- after
counts_are($t, <<'END');
llm_requests_total{provider="second",streaming="false",code="200"} 1
llm_requests_total{provider="first",streaming="false",code="502"} 1
llm_attempts_total{provider="first",outcome="connect_error"} 2
llm_attempts_total{provider="second",outcome="ok"} 1
llm_fallbacks_total{from="first",to="second",reason="connect_error"} 1
llm_request_errors_total{provider="first",source="provider"} 1
END

=== without fallback an attempt is judged as well
--- http_config
    upstream one { server %%first%%; }
--- config
    llm_proxy_route first one;
    llm_proxy_default_provider first;
    location /v1/ { llm_metrics; llm_proxy; proxy_pass http://$llm_provider_upstream; }
    location = /metrics { llm_metrics_export prometheus; }
--- provider_first
200 {"ok":1}

429 {"error":{}}

500 {"error":{}}

404 {"error":{}}

422 {"error":{}}

599 {"error":{}}
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
--- error_code: 200 429 500 404 422 599
--- after
# A status that nobody has registered counts as its class.
counts_are($t, <<'END');
llm_requests_total{provider="first",streaming="false",code="200"} 1
llm_requests_total{provider="first",streaming="false",code="429"} 1
llm_requests_total{provider="first",streaming="false",code="500"} 1
llm_requests_total{provider="first",streaming="false",code="404"} 1
llm_requests_total{provider="first",streaming="false",code="422"} 1
llm_requests_total{provider="first",streaming="false",code="5xx"} 1
llm_attempts_total{provider="first",outcome="ok"} 1
llm_attempts_total{provider="first",outcome="rate_limited"} 1
llm_attempts_total{provider="first",outcome="upstream_5xx"} 2
llm_attempts_total{provider="first",outcome="not_found"} 1
llm_attempts_total{provider="first",outcome="semantic_error"} 1
llm_request_errors_total{provider="first",source="provider"} 4
llm_request_errors_total{provider="first",source="client"} 1
END

=== what is refused before a provider hears of it
--- http_config
    upstream one { server %%first%%; }
--- config
    llm_proxy_route first one;
    llm_proxy_model_pattern m first;
    llm_proxy_max_body_size 1k;
    location /v1/ { llm_metrics; llm_proxy; proxy_pass http://$llm_provider_upstream; }
    location = /metrics { llm_metrics_export prometheus; }
--- requests eval
CORE::join ">>>\n", map {"POST /v1/chat/completions\n$_\n"}
    '{"model":"unknown"}', 'no JSON', '{"model":"m","x":"' . 'x' x 2000 . '"}'
--- error_code: 404 400 413
--- provider_first_requests: 0
--- after
counts_are($t, <<'END');
llm_requests_total{provider="other",streaming="false",code="404"} 1
llm_requests_total{provider="other",streaming="false",code="400"} 1
llm_requests_total{provider="other",streaming="false",code="413"} 1
llm_request_errors_total{provider="other",source="client"} 3
llm_attempts_total none
llm_error_gateway_total none
llm_usage_total none
llm_usage_missing_total none
llm_tokens_total none
END

=== no key for a request: the gateway's own fault
--- http_config
    upstream one { server %%first%%; }
--- config
    llm_proxy_route first one;
    llm_proxy_default_provider first;
    llm_auth_tenant $http_x_tenant;
    llm_auth_tenant_credential red first sk-red-SECRET-1;
    location /v1/ { llm_metrics; llm_proxy; llm_auth; proxy_pass http://$llm_provider_upstream; }
    location = /metrics { llm_metrics_export prometheus; }
--- requests
POST /v1/chat/completions
{"model":"m"}
>>>
POST /v1/chat/completions
{"model":"m"}
--- more_headers
X-Tenant: blue
>>>
X-Tenant: red
--- error_code: 500 200
--- after
counts_are($t, <<'END');
llm_requests_total{provider="other",streaming="false",code="500"} 1
llm_requests_total{provider="first",streaming="false",code="200"} 1
llm_request_errors_total{provider="other",source="gateway"} 1
llm_error_gateway_total{provider="other"} 1
llm_attempts_total{provider="first",outcome="ok"} 1
END

=== limits: who passes and who does not
--- http_config
    upstream one { server %%first%%; }
--- config
    llm_proxy_route first one;
    llm_proxy_default_provider first;
    llm_metrics;
    llm_ratelimit;
    llm_ratelimit_key $http_x_id;
    llm_ratelimit_requests_per_minute 2;
    location /v1/ { llm_proxy; proxy_pass http://$llm_provider_upstream; }
    location /dry/v1/ { llm_proxy; llm_ratelimit_dry_run; proxy_pass http://$llm_provider_upstream; }
    location /off/v1/ { llm_proxy; llm_ratelimit off; proxy_pass http://$llm_provider_upstream; }
    location = /metrics { llm_metrics_export prometheus; }
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
POST /dry/v1/chat/completions
{"model":"m"}
>>>
POST /off/v1/chat/completions
{"model":"m"}
--- more_headers
X-Id: a
>>>
X-Id: a
>>>
X-Id: a
>>>
>>>
X-Id: a
>>>
X-Id: a
--- error_code: 200 200 429 429 200 200
--- after
counts_are($t, <<'END');
llm_requests_total{provider="first",streaming="false",code="200"} 4
llm_requests_total{provider="other",streaming="false",code="429"} 2
llm_request_errors_total{provider="other",source="gateway"} 2
llm_error_gateway_total{provider="other"} 2
llm_ratelimit_decisions_total{decision="allow",reason="none"} 2
llm_ratelimit_decisions_total{decision="deny",reason="request_budget_exhausted"} 1
llm_ratelimit_decisions_total{decision="deny",reason="identity_missing"} 1
llm_ratelimit_decisions_total{decision="would_deny",reason="request_budget_exhausted"} 1
llm_attempts_total{provider="first",outcome="ok"} 4
END

=== a client that goes away before there is an answer
--- http_config
    upstream one { server %%first%%; }
--- config
    llm_proxy_route first one;
    llm_proxy_default_provider first;
    location /v1/ { llm_metrics; llm_proxy; proxy_pass http://$llm_provider_upstream; }
    location = /metrics { llm_metrics_export prometheus; }
--- provider_first
{"fault":"hang"}
--- request
POST /v1/chat/completions
{"model":"m"}
--- abort_after: provider first
--- provider_first_client_closed: 1
--- after
counts_are($t, <<'END');
llm_requests_total{provider="first",streaming="false",code="499"} 1
llm_client_aborts_total 1
llm_attempts_total{provider="first",outcome="client_closed"} 1
llm_request_errors_total none
llm_usage_missing_total none
END

=== a stream that breaks off
--- http_config
    upstream one { server %%first%%; }
--- config
    llm_proxy_route first one;
    llm_proxy_default_provider first;
    location /v1/ { llm_metrics; llm_proxy; proxy_pass http://$llm_provider_upstream; }
    location = /metrics { llm_metrics_export prometheus; }
--- provider_first
{"sse":["{\"choices\":[{\"delta\":{\"content\":\"a\"}}]}","{\"choices\":[{\"delta\":{\"content\":\"b\"}}]}"],"fault":"cut","after":1}
--- request
POST /v1/chat/completions
{"model":"m","stream":true}
--- incomplete_response
--- after
counts_are($t, <<'END');
llm_requests_total{provider="first",streaming="true",code="200"} 1
llm_truncated_streams_total{provider="first"} 1
llm_request_errors_total{provider="first",source="provider"} 1
llm_attempts_total{provider="first",outcome="stream_error"} 1
llm_client_aborts_total none
llm_open_streams 0
END

=== a cached answer: a request, and no attempt
--- http_config
    upstream one { server %%first%%; }
    proxy_cache_path %%root%%/cache keys_zone=answers:1m;
    llm_cost_rate first * 1 1;
--- config
    llm_proxy_route first one;
    llm_proxy_default_provider first;
    location /v1/ {
        llm_metrics;
        llm_proxy;
        llm_cost;
        proxy_cache answers;
        proxy_cache_methods POST;
        proxy_cache_key $request_body;
        proxy_cache_valid 200 1m;
        proxy_pass http://$llm_provider_upstream;
    }
    location = /metrics { llm_metrics_export prometheus; }
--- provider_first
200 {"choices":[{"message":{"content":"hi"},"finish_reason":"stop"}],"usage":{"prompt_tokens":100,"completion_tokens":40,"total_tokens":140}}
--- requests
POST /v1/chat/completions
{"model":"m"}
>>>
POST /v1/chat/completions
{"model":"m"}
--- after
# What came from the cache cost nothing.
counts_are($t, <<'END');
llm_requests_total{provider="first",streaming="false",code="200"} 2
llm_attempts_total{provider="first",outcome="ok"} 1
llm_cost_units_total{provider="first",unit="usd"} 0.00014000
llm_request_errors_total none
END

=== costs, each in its unit, to the last digit
--- http_config
    upstream one { server %%first%%; }
    upstream two { server %%second%%; }
    llm_cost_rate first * 0.435 0.87;
    llm_cost_cached_rate first * 0.003625;
    llm_cost_rate second * 300 600;
    llm_cost_rate_unit second Credit;
--- config
    llm_proxy_route first one;
    llm_proxy_route second two;
    llm_proxy_model_pattern a first;
    llm_proxy_model_pattern b second;
    llm_ratelimit_spend_scope project usd $http_x_project 0.01;
    location /v1/ { llm_metrics; llm_proxy; llm_cost; llm_ratelimit; proxy_pass http://$llm_provider_upstream; }
    location = /metrics { llm_metrics_export prometheus; }
--- provider_first
{"times":2,"json":{"choices":[{"message":{"content":"hi"},"finish_reason":"stop"}],"usage":{"prompt_tokens":1000,"completion_tokens":500,"total_tokens":1500,"prompt_tokens_details":{"cached_tokens":400}}}}
--- provider_second
200 {"choices":[{"message":{"content":"hi"},"finish_reason":"stop"}],"usage":{"prompt_tokens":7,"completion_tokens":3,"total_tokens":10}}
--- more_headers
X-Project: atlas
--- requests
POST /v1/chat/completions
{"model":"a","max_tokens":500}
>>>
POST /v1/chat/completions
{"model":"a","max_tokens":500}
>>>
POST /v1/chat/completions
{"model":"b","max_tokens":500}
--- after
counts_are($t, <<'END');
llm_cost_units_total{provider="first",unit="usd"} 0.00139490
llm_cost_units_total{provider="second",unit="credit"} 0.00390000
llm_spend{scope="project atlas",unit="usd"} 0.00139490
llm_spend_limit{scope="project atlas",unit="usd"} 0.01000000
llm_ratelimit_decisions_total{decision="allow",reason="none"} 3
END

=== the journal's events come to their end
--- http_config
    upstream one { server %%first%%; }
    llm_cost_rate first * 1 1;
    llm_cost_backend sqlite;
--- config
    llm_proxy_route first one;
    llm_proxy_default_provider first;
    location /v1/ { llm_metrics; llm_proxy; llm_cost; proxy_pass http://$llm_provider_upstream; }
    location = /metrics { llm_metrics_export prometheus; }
--- requests
POST /v1/chat/completions
{"model":"a"}
>>>
POST /v1/chat/completions
{"model":"a"}
--- after
# SQLite has them a moment later.
wait_until { !counts_problems($t, "llm_cost_events_total{result=\"written\"} 2\n") } 10;
counts_are($t, <<'END');
llm_cost_events_total{result="written"} 2
llm_cost_journal_events 0
llm_cost_journal_oldest_seconds 0
END

=== answers without usage
--- http_config
    upstream one { server %%first%%; }
    llm_cost_rate first * 1 1;
--- config
    llm_proxy_route first one;
    llm_proxy_default_provider first;
    location /v1/ { llm_metrics; llm_proxy; llm_cost; llm_cost_usage_missing zero; proxy_pass http://$llm_provider_upstream; }
    location /estimate/v1/ { llm_metrics; llm_proxy; llm_cost; proxy_pass http://$llm_provider_upstream; }
    location = /metrics { llm_metrics_export prometheus; }
--- provider_first
{"times":2,"status":200,"json":{"choices":[{"message":{"content":"hello"},"finish_reason":"stop"}]}}
--- requests
POST /v1/chat/completions
{"model":"m"}
>>>
POST /estimate/v1/chat/completions
{"model":"m"}
--- after
counts_are($t, <<'END');
llm_usage_total{source="none"} 1
llm_usage_total{source="estimated"} 1
llm_usage_missing_total{provider="first"} 1
END

=== a body that is passed on without being understood, and a rule that replaces
--- http_config
    upstream one { server %%first%%; }
    upstream two { server %%second%%; }
--- config
    llm_proxy_route first one;
    llm_proxy_route second two;
    llm_proxy_default_provider first;
    location /v1/ { llm_metrics; llm_proxy; llm_proxy_unparsed pass; proxy_pass http://$llm_provider_upstream; }
    location /replace/v1/ { llm_metrics; llm_proxy; llm_fallback; llm_fallback_replace first second; proxy_pass http://$llm_provider_upstream; }
    location = /metrics { llm_metrics_export prometheus; }
--- provider_first
200 {"ok":1}
--- requests
POST /v1/chat/completions
not read
>>>
POST /replace/v1/chat/completions
{"model":"m"}
--- after
counts_are($t, <<'END');
llm_parse_fallback_total{provider="first"} 1
llm_replacement_total{provider="second"} 1
llm_fallbacks_total none
llm_attempts_total{provider="first",outcome="ok"} 1
llm_attempts_total{provider="second",outcome="ok"} 1
END

=== two workers count together
--- workers: 2
--- http_config
    upstream one { server %%first%%; }
--- config
    llm_proxy_route first one;
    llm_proxy_default_provider first;
    location /v1/ { llm_metrics; llm_proxy; proxy_pass http://$llm_provider_upstream; }
    location = /metrics { llm_metrics_export prometheus; }
--- concurrent: 200
--- request
POST /v1/chat/completions
{"model":"m"}
--- after
counts_are($t, <<'END');
llm_requests_total{provider="first",streaming="false",code="200"} 200
llm_attempts_total{provider="first",outcome="ok"} 200
llm_request_duration_seconds_count{provider="first"} 200
llm_gateway_overhead_seconds_count 200
END

=== ten thousand names of models make no series
--- http_config
    upstream one { server %%first%%; keepalive 8; }
    keepalive_requests 20000;
--- config
    llm_proxy_route first one;
    llm_proxy_model_pattern known first;
    llm_proxy_model_pattern gpt-* first;
    location /v1/ { llm_metrics; llm_metrics_label_model; llm_proxy; proxy_pass http://$llm_provider_upstream; }
    location = /metrics { llm_metrics_export prometheus; }
--- requests eval
CORE::join ">>>\n", map {"POST /v1/chat/completions\n{\"model\":\"$_\"}\n"}
    'known', (map { $_ % 10 ? "junk-$_" : "gpt-$_" } 1 .. 10000)
--- error_code eval: CORE::join ' ', 200, map { $_ % 10 ? 404 : 200 } 1 .. 10000
--- after
counts_are($t, <<'END');
llm_requests_total{provider="first",model="known",streaming="false",code="200"} 1
llm_requests_total{provider="first",model="gpt-*",streaming="false",code="200"} 1000
llm_requests_total{provider="other",model="other",streaming="false",code="404"} 9000
llm_attempts_total{provider="first",model="known",outcome="ok"} 1
llm_attempts_total{provider="first",model="gpt-*",outcome="ok"} 1000
llm_request_errors_total{provider="other",model="other",source="client"} 9000
llm_metrics_lost_total 0
END

=== must be on or off
--- config
    llm_metrics maybe;
--- must_fail
[emerg]
invalid value "maybe" in "llm_metrics" directive, it must be "on" or "off"

=== at most once
--- config
    llm_metrics;
    llm_metrics off;
--- must_fail
"llm_metrics" directive is duplicate

=== takes one argument
--- config
    llm_metrics on on;
--- must_fail
invalid number of arguments in "llm_metrics" directive
