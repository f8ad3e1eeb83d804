# What a request costs: the arithmetic, the states that a figure can be in, and the variables.

use Test::LLM 'no_plan';

use Test::LLM::Client;
use Test::LLM::Ledger;

sub location {
    return <<'CONF';
    llm_proxy_default_provider first;
    location /v1/ { llm_proxy; llm_cost; proxy_pass http://$llm_provider_upstream; }
CONF
}

sub http {
    return <<'CONF';
    upstream one { server %%first%%; }
    log_format cost '$llm_cost_status [$llm_cost_prompt] [$llm_cost_completion] [$llm_cost_total]';
CONF
}

run_tests();

__DATA__

=== fifty in and fifty out, streamed or not
--- http_config eval: main::http()
--- config eval
'llm_proxy_route first one; llm_cost_rate first m 5 15;' . main::location()
--- provider_first
200 {"choices":[{"message":{"content":"a"}}],"usage":{"prompt_tokens":50,"completion_tokens":50}}

sse
{"choices":[{"delta":{"content":"a"}}]}
{"choices":[{"delta":{},"finish_reason":"stop"}]}
{"choices":[],"usage":{"prompt_tokens":50,"completion_tokens":50}}
[DONE]
--- requests
POST /v1/chat/completions
{"model":"m"}
>>>
POST /v1/chat/completions
{"model":"m","stream":true}
--- access_log
^recorded \[0.00025000\] \[0.00075000\] \[0.00100000\]\nrecorded \[0.00025000\] \[0.00075000\] \[0.00100000\]$
--- after
ok(wait_for_rows($t, 2), 'two rows, in a database that nobody has set up');
my @rows = map { row_of($t, $_) } $t->answers;
is_deeply([ map { "$_->{is_streaming} $_->{total_cost} $_->{total_cost_pico}" } @rows ],
    [ '0 0.00100000 1000000000', '1 0.00100000 1000000000' ], 'with the same cost');

=== what the provider had in its cache costs less
--- http_config eval: main::http()
--- config eval
'llm_proxy_route first one; llm_cost_rate first m 5 15; llm_cost_cached_rate first m 2.5;' . main::location()
--- provider_first
200 {"choices":[{"message":{"content":"a"}}],"usage":{"prompt_tokens":100,"completion_tokens":20,"prompt_tokens_details":{"cached_tokens":80}}}

sse
{"choices":[{"delta":{"content":"a"},"finish_reason":"stop"}]}
{"choices":[],"usage":{"prompt_tokens":100,"completion_tokens":20,"prompt_tokens_details":{"cached_tokens":80}}}
[DONE]
--- requests
POST /v1/chat/completions
{"model":"m"}
>>>
POST /v1/chat/completions
{"model":"m","stream":true}
--- access_log
^recorded \[0.00030000\] \[0.00030000\] \[0.00060000\]\nrecorded \[0.00030000\] \[0.00030000\] \[0.00060000\]$
--- after
ok(wait_for_rows($t, 2), 'two rows');
my ($row) = rows($t);
is_deeply([ @$row{qw(prompt_tokens input_tokens cache_read_tokens cache_write_tokens)} ],
    [ 100, 20, 80, 0 ], 'the parts of the input');

=== Anthropic's messages read and write a cache
--- http_config eval: main::http()
--- config eval
'llm_proxy_route first one anthropic; llm_cost_rate first m 3 15; llm_cost_cached_rate first m 0.30 3.75;' . main::location()
--- provider_first
200 {"type":"message","content":[{"type":"text","text":"a"}],"usage":{"input_tokens":25,"cache_read_input_tokens":80,"cache_creation_input_tokens":10,"output_tokens":8}}

sse
event: message_start data: {"type":"message_start","message":{"usage":{"input_tokens":25,"cache_read_input_tokens":80,"cache_creation_input_tokens":10,"output_tokens":1}}}
event: content_block_delta data: {"type":"content_block_delta","index":0,"delta":{"type":"text_delta","text":"a"}}
event: message_delta data: {"type":"message_delta","delta":{"stop_reason":"end_turn"},"usage":{"output_tokens":8}}
event: message_stop data: {"type":"message_stop"}
--- requests
POST /v1/messages
{"model":"m","max_tokens":9,"messages":[]}
>>>
POST /v1/messages
{"model":"m","max_tokens":9,"messages":[],"stream":true}
--- access_log
^recorded \[0.00013650\] \[0.00012000\] \[0.00025650\]\nrecorded \[0.00013650\] \[0.00012000\] \[0.00025650\]$
--- after
ok(wait_for_rows($t, 2), 'two rows');
is_deeply([ ledger_problems($t, answers => [ $t->answers ],
    prices => { 'first/m' => [ 3, 15, '0.30', '3.75' ] }) ], [], 'as the client reckons');

=== without a price for writing, what is written costs what input does
--- http_config eval: main::http()
--- config eval
'llm_proxy_route first one anthropic; llm_cost_rate first m 3 15; llm_cost_cached_rate first m 0.30;' . main::location()
--- provider_first
200 {"type":"message","content":[{"type":"text","text":"a"}],"usage":{"input_tokens":50,"cache_read_input_tokens":100,"cache_creation_input_tokens":10,"output_tokens":20}}
--- request
POST /v1/messages
{"model":"m","max_tokens":9,"messages":[]}
--- access_log
^recorded \[0.00021000\] \[0.00030000\] \[0.00051000\]$

=== what is kept for an hour has a price of its own
--- http_config eval: main::http()
--- config eval
'llm_proxy_route first one anthropic; llm_cost_rate first m 3 15; llm_cost_cached_rate first m 0.30 3.75 6;' . main::location()
--- provider_first
200 {"type":"message","content":[{"type":"text","text":"a"}],"usage":{"input_tokens":10,"cache_read_input_tokens":0,"cache_creation_input_tokens":150,"cache_creation":{"ephemeral_5m_input_tokens":50,"ephemeral_1h_input_tokens":100},"output_tokens":2}}
--- request
POST /v1/messages
{"model":"m","max_tokens":9,"messages":[]}
--- access_log
^recorded \[0.00081750\] \[0.00003000\] \[0.00084750\]$
--- after
ok(wait_for_rows($t, 1), 'one row');
my ($row) = rows($t);
is_deeply([ @$row{qw(cache_write_tokens cache_write_1h_tokens rate_cache_write rate_cache_write_1h)} ],
    [ 50, 100, '3.75000000', '6.00000000' ], 'which holds both');

=== no digit is lost
--- http_config eval: main::http()
--- config eval
'llm_proxy_route first one; llm_cost_rate first m 0.000001 0.000003;' . main::location()
--- provider_first
200 {"choices":[{"message":{"content":"a"}}],"usage":{"prompt_tokens":7,"completion_tokens":9}}

200 {"choices":[{"message":{"content":"a"}}],"usage":{"prompt_tokens":123456789,"completion_tokens":987654321}}
--- requests
POST /v1/chat/completions
{"model":"m"}
>>>
POST /v1/chat/completions
{"model":"m"}
--- access_log
^recorded \[0.000000000007\] \[0.000000000027\] \[0.000000000034\]\nrecorded \[0.000123456789\] \[0.002962962963\] \[0.003086419752\]$
--- after
ok(wait_for_rows($t, 2), 'two rows');
is_deeply([ $t->sqlite('SELECT total_cost, total_cost_pico FROM llm_cost_events ORDER BY 2') ],
    [ [ '0.000000000034', 34 ], [ '0.003086419752', '3086419752' ] ], 'to the last');

=== reasoning is part of the output, and counted once
--- http_config eval: main::http()
--- config eval
'llm_proxy_route first one; llm_cost_rate first m 5 15;' . main::location()
--- provider_first
200 {"choices":[{"message":{"content":"a"}}],"usage":{"prompt_tokens":10,"completion_tokens":100,"completion_tokens_details":{"reasoning_tokens":90}}}
--- request
POST /v1/chat/completions
{"model":"m"}
--- access_log
^recorded \[0.00005000\] \[0.00150000\] \[0.00155000\]$
--- after
ok(wait_for_rows($t, 1), 'one row');
is((rows($t))[0]{reasoning_tokens}, 90, 'which tells of it');

=== more cached than there were: nothing is negative, and the row says so
--- http_config eval: main::http()
--- config eval
'llm_proxy_route first one; llm_cost_rate first m 5 15; llm_cost_cached_rate first m 2.5;' . main::location()
--- provider_first
200 {"choices":[{"message":{"content":"a"}}],"usage":{"prompt_tokens":10,"completion_tokens":1,"prompt_tokens_details":{"cached_tokens":80}}}
--- request
POST /v1/chat/completions
{"model":"m"}
--- after
ok(wait_for_rows($t, 1), 'one row');
my ($row) = rows($t);
is($row->{usage_inconsistent}, 1, 'it says so');
is($row->{prompt_tokens}, $row->{input_tokens} + $row->{cache_read_tokens}, 'the parts make the whole');
ok($row->{$_} >= 0, "$_ is not negative") for qw(input_tokens cache_read_tokens);

=== a model without a rate has no cost
--- http_config eval: main::http()
--- config eval
'llm_proxy_route first one; llm_cost_rate first other 5 15;' . main::location()
--- request
POST /v1/chat/completions
{"model":"m"}
--- access_log
^no_rate \[-\] \[-\] \[-\]$
--- after
ok(wait_for_rows($t, 1), 'but a row');
my ($row) = rows($t);
is_deeply([ @$row{qw(status total_cost rate_input prompt_tokens completion_tokens)} ],
    [ 'no_rate', undef, undef, 12, 7 ], 'with its tokens');

=== errors and refusals cost nothing and have no row
--- http_config eval: main::http()
--- config eval
'llm_proxy_route first one; llm_cost_rate first * 5 15; llm_proxy_model_pattern m first;' . main::location()
--- provider_first
{"status":500}

{"status":429}

{"status":400}

{"fault":"reset"}

{}
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
{"model":"none"}
>>>
POST /v1/chat/completions
not JSON
>>>
POST /v1/chat/completions
{"model":"m"}
--- error_code: 500 429 400 502 404 400 200
--- access_log
^(skipped_error \[-\] \[-\] \[-\]\n){6}recorded
--- after
ok(wait_for_rows($t, 1), 'one row');

=== an attempt that failed is in the attempts, not in the cost
--- http_config
    upstream one { server %%first%%; }
    upstream two { server %%second%%; }
    log_format cost '$llm_cost_status $llm_cost_total';
    llm_cost_rate first * 100 100;
    llm_cost_rate second * 1 1;
--- config
    llm_proxy_route first one;
    llm_proxy_route second two;
    llm_proxy_default_provider first;
    llm_auth_credential first sk-first-SECRET-1 id=key-one;
    llm_auth_credential second sk-second-SECRET-2 id=key-two;
    llm_fallback_route first second other;
    llm_fallback_retry 1 backoff=1ms..2ms;
    llm_fallback_max_attempts 3;
    location /v1/ { llm_proxy; llm_auth; llm_fallback; llm_cost; proxy_pass http://$llm_provider_upstream; }
--- provider_first
{"status":503}

{"fault":"reset"}
--- request
POST /v1/chat/completions
{"model":"m"}
--- access_log
^recorded 0.00001900$
--- after
ok(wait_for_rows($t, 1), 'one row');
my ($row) = rows($t);
is_deeply([ @$row{qw(provider model attempts primary_provider fallback_reason traffic_cohort)} ],
    [qw(second other 3 first connect_error fallback)], 'for the provider that answered');
my @attempts = attempts_of($t, $t->answers);
is_deeply([ map { [ @$_{qw(attempt_no provider model key_id outcome status_code completion_tokens)} ] } @attempts ], [
    [ 1, 'first', 'm', 'key-one', 'upstream_5xx', 503, undef ],
    [ 2, 'first', 'm', 'key-one', 'connect_error', undef, undef ],
    [ 3, 'second', 'other', 'key-two', 'ok', 200, 7 ],
], 'three attempts');

=== a stream that breaks off is billed for what has come
--- http_config eval: main::http()
--- config eval
'llm_proxy_route first one; llm_cost_rate first * 1000 1000;' . main::location()
--- provider_first
{"fault":"cut","after":10,"words":50}
--- request
POST /v1/chat/completions
{"model":"m","stream":true}
--- incomplete_response
--- access_log
^stream_incomplete \[0\.\d+\] \[0\.\d+\] \[0\.\d+\]$
--- after
ok(wait_for_rows($t, 1), 'one row');
my ($row) = rows($t);
is($row->{usage_source}, 'estimated', 'by an estimate, which it says');
ok($row->{completion_tokens} > 2 && $row->{completion_tokens} < 40, "$row->{completion_tokens} tokens of output");
is(decimal($row->{total_tokens} * pico('0.001')), $row->{total_cost}, 'at the rates');

=== a client that leaves pays for what has come
--- http_config eval: main::http()
--- config eval
'llm_proxy_route first one; llm_cost_rate first * 1000 1000;' . main::location()
--- provider_first
{"words":500,"pace_ms":5}
--- request
POST /v1/chat/completions
{"model":"m","stream":true}
--- abort_after: fox
--- access_log
^client_closed \[0\.\d+\] \[0\.\d+\] \[0\.\d+\]$
--- after
ok(wait_for_rows($t, 1), 'one row');
my ($row) = rows($t);
is($row->{status}, 'client_closed', 'which says so');
ok($row->{completion_tokens} > 2 && $row->{completion_tokens} < 300, "$row->{completion_tokens} tokens of output");

=== told to finish, the gateway reads on and knows the true cost
--- http_config eval: main::http()
--- config eval
'llm_proxy_route first one; llm_cost_rate first * 1000 1000; llm_proxy_client_abort finish 10s;' . main::location()
--- provider_first
{"words":100,"pace_ms":2}
--- request
POST /v1/chat/completions
{"model":"m","stream":true}
--- abort_after: fox
--- after
ok(wait_for_rows($t, 1), 'one row');
my ($row) = rows($t);
is($row->{usage_source}, 'reported', 'the provider has told its tokens');
is(decimal($row->{total_tokens} * pico('0.001')), $row->{total_cost}, 'the cost');

=== from the cache nothing costs
--- http_config
    upstream one { server %%first%%; }
    proxy_cache_path %%root%%/cache keys_zone=answers:1m;
    log_format cost '$upstream_cache_status $llm_cost_status $llm_cost_total';
    llm_cost_rate first * 1000 1000;
--- config
    llm_proxy_route first one;
    llm_proxy_default_provider first;
    location /v1/ {
        llm_proxy;
        llm_cost;
        proxy_cache answers;
        proxy_cache_methods POST;
        proxy_cache_key "$uri $request_body";
        proxy_cache_valid 200 1m;
        proxy_pass http://$llm_provider_upstream;
    }
--- requests
POST /v1/chat/completions
{"model":"m"}
>>>
POST /v1/chat/completions
{"model":"m"}
--- access_log
^MISS recorded 0.01900000\nHIT cache_hit 0.00000000$
--- provider_first_requests: 1
--- after
ok(wait_for_rows($t, 2), 'two rows');
is_deeply([ sort map { "$_->{status} $_->{total_cost}" } rows($t) ],
    [ 'cache_hit 0.00000000', 'recorded 0.01900000' ], 'one of them free');

=== what counts no tokens costs nothing and has no row
--- http_config eval: main::http()
--- config eval
'llm_proxy_route first one; llm_cost_rate first * 5 15; llm_proxy_model_pattern m first;' . main::location()
--- requests
GET /v1/models
>>>
POST /v1/embeddings
{"model":"m","input":"a"}
--- access_log
^- \[-\] \[-\] \[-\]\nrecorded \[0.00006000\] \[0.00000000\] \[0.00006000\]$
--- after
ok(wait_for_rows($t, 1), 'the embedding has one');

=== off: no row, no cost
--- http_config eval: main::http()
--- config
    llm_proxy_route first one;
    llm_proxy_default_provider first;
    llm_cost;
    llm_cost_rate first * 5 15;
    location /v1/ { llm_proxy; llm_cost off; proxy_pass http://$llm_provider_upstream; }
    location /v1/completions { llm_proxy; proxy_pass http://$llm_provider_upstream; }
--- requests
POST /v1/chat/completions
{"model":"m"}
>>>
POST /v1/completions
{"model":"m","prompt":""}
--- after
ok(wait_for_rows($t, 1), 'one row');

=== the variables tell whose it was
--- http_config
    upstream one { server %%first%%; }
    log_format cost '$llm_cost_org/$llm_cost_project/$llm_cost_client $llm_cost_requested_provider '
        '$llm_cost_requested_model $llm_cost_translation_happened $llm_cost_resolution_outcome '
        '$llm_cost_event_id';
--- config
    llm_proxy_route first one;
    llm_proxy_model_pattern m first;
    llm_cost_rate first * 5 15;
    llm_cost_org $http_x_org;
    llm_cost_project "p-$http_x_org";
    llm_cost_client c;
    location /v1/ { llm_proxy; llm_cost; proxy_pass http://$llm_provider_upstream; }
--- more_headers
X-Org: acme
--- request
POST /v1/chat/completions
{"model":"m"}
--- access_log
^acme/p-acme/c first m 0 \w+ [0-9a-f]{32}$
--- after
my ($id) = $t->access_log =~ /([0-9a-f]{32})$/m;
is($id, event_id($t->answers), 'the id is that of the header');
ok(wait_for_rows($t, 1), 'one row');
is((rows($t))[0]{event_id}, $id, 'and of the row');

=== a switch is on or off
--- config
    llm_cost maybe;
--- must_fail
invalid value "maybe" in "llm_cost" directive, it must be "on" or "off"
