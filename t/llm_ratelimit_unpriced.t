# A model without a price where a budget applies, what is set aside, and whose midnight counts. The mock
# provider's answers use 12 tokens of input and 7 of output.

use Test::LLM 'no_plan';

use Test::LLM::Ledger;

run_tests();

__DATA__

=== it is refused, since nobody could keep the budget
--- http_config
    upstream one { server %%first%%; }
    log_format l '$status "$llm_ratelimit_deny_reason"';
    llm_cost_rate first known 1000 1000;
--- config
    llm_proxy_route first one;
    llm_proxy_default_provider first;
    llm_ratelimit_spend_scope project usd p 1000;
    location /v1/ { llm_proxy; llm_ratelimit; llm_cost; proxy_pass http://$llm_provider_upstream; }
--- requests
POST /v1/chat/completions
{"model":"other"}
>>>
POST /v1/chat/completions
{"model":"known"}
--- error_code: 403 200
--- response_headers
!Retry-After
>>>
X-LLM-Provider: first
--- access_log
^403 "unpriced_model"$
--- provider_first_requests: 1
--- after
is(JSON::PP::decode_json(($t->answers)[0]{body})->{error}{code}, 'unpriced_model', 'the reason');

=== allow: it passes and is not counted
--- http_config
    upstream one { server %%first%%; }
    log_format l '$status $llm_cost_status [$llm_cost_total]';
    llm_cost_rate first known 1000 1000;
--- config
    llm_proxy_route first one;
    llm_proxy_default_provider first;
    llm_ratelimit_spend_scope project usd p 0.001;
    llm_ratelimit_unpriced allow;
    location /v1/ { llm_proxy; llm_ratelimit; llm_cost; proxy_pass http://$llm_provider_upstream; }
--- requests
POST /v1/chat/completions
{"model":"other"}
>>>
POST /v1/chat/completions
{"model":"other"}
--- access_log
^200 no_rate \[-\]\n200 no_rate \[-\]$
--- after
ok(wait_for_rows($t, 2), 'two rows');
is_deeply([ map { $_->{status} } rows($t) ], [ 'no_rate', 'no_rate' ], 'that say so');

=== rate=: it is counted at a price for such models
--- http_config
    upstream one { server %%first%%; }
    log_format l '$status';
    llm_cost_rate first known 1000 1000;
--- config
    llm_proxy_route first one;
    llm_proxy_default_provider first;
    llm_ratelimit_spend_scope project usd p 0.4;
    llm_ratelimit_reserve_spend usd 0.19;
    llm_ratelimit_unpriced rate=10000/10000.5;
    location /v1/ { llm_proxy; llm_ratelimit; llm_cost; proxy_pass http://$llm_provider_upstream; }
--- requests
POST /v1/chat/completions
{"model":"other"}
>>>
POST /v1/chat/completions
{"model":"other"}
>>>
POST /v1/chat/completions
{"model":"other"}
--- error_code: 200 200 429
--- after
ok(wait_for_rows($t, 2), 'two rows');
is((rows($t))[0]{total_cost}, '0.19000350', '12 and 7 tokens at it');

=== a fallback target without a price is passed over
--- http_config
    upstream one { server %%first%%; }
    upstream two { server %%second%%; }
    log_format l '$status $llm_chain';
    llm_cost_rate first * 1000 1000;
--- config
    llm_proxy_route first one;
    llm_proxy_route second two;
    llm_proxy_default_provider first;
    llm_fallback_route first second;
    llm_ratelimit_spend_scope project usd p 1000;
    location /v1/ { llm_proxy; llm_fallback; llm_ratelimit; llm_cost; proxy_pass http://$llm_provider_upstream; }
--- provider_first
{"status":500}
--- request
POST /v1/chat/completions
{"model":"m"}
--- error_code: 500
--- access_log
^500 first/m:500:\d+ms, second/m:skipped\(budget\)$
--- provider_second_requests: 0

=== what is set aside: a fixed amount for a unit
--- http_config
    upstream one { server %%first%%; }
    llm_cost_rate first * 1000 1000;
--- config
    llm_proxy_route first one;
    llm_proxy_default_provider first;
    llm_ratelimit_spend_scope project usd p 1;
    location /half/ { llm_ratelimit_reserve_spend usd 0.6; llm_proxy; llm_ratelimit; proxy_pass http://$llm_provider_upstream; }
    location /more/ { llm_ratelimit_reserve_spend usd 1.000000000001; llm_proxy; llm_ratelimit; proxy_pass http://$llm_provider_upstream; }
    location /other/ { llm_ratelimit_reserve_spend credit 2; llm_proxy; llm_ratelimit; proxy_pass http://$llm_provider_upstream; }
    location /auto/ { llm_ratelimit_reserve_spend usd auto; llm_proxy; llm_ratelimit; proxy_pass http://$llm_provider_upstream; }
--- requests
POST /half/v1/chat/completions
{"model":"m","max_tokens":5000}
>>>
POST /more/v1/chat/completions
{"model":"m","max_tokens":1}
>>>
POST /other/v1/chat/completions
{"model":"m","max_tokens":500}
>>>
POST /auto/v1/chat/completions
{"model":"m","max_tokens":5000}
>>>
POST /auto/v1/chat/completions
{"model":"m","max_tokens":500}
--- error_code: 200 429 200 429 200

=== what is spent without llm_cost counts as well
--- http_config
    upstream one { server %%first%%; }
    llm_cost_rate first * 1000 1000;
--- config
    llm_proxy_route first one;
    llm_proxy_default_provider first;
    llm_ratelimit_spend_scope project usd p 0.02;
    llm_ratelimit_reserve_spend usd 0.01;
    location /v1/ { llm_proxy; llm_ratelimit; proxy_pass http://$llm_provider_upstream; }
--- requests
POST /v1/chat/completions
{"model":"m"}
>>>
POST /v1/chat/completions
{"model":"m"}
--- error_code: 200 429
--- after
is_deeply([ rows($t) ], [], 'but there are no rows');

=== midnight is that of the time zone
--- http_config
    upstream one { server %%first%%; }
    llm_cost_rate first * 1000 1000;
--- config
    llm_proxy_route first one;
    llm_proxy_default_provider first;
    llm_ratelimit_spend_scope project usd p 0.001 window=day;
    llm_ratelimit;
    location /tokyo/ { llm_ratelimit_spend_timezone Asia/Tokyo; llm_proxy; proxy_pass http://$llm_provider_upstream; }
    location /kathmandu/ { llm_ratelimit_spend_timezone Asia/Kathmandu; llm_proxy; proxy_pass http://$llm_provider_upstream; }
    location /utc/ { llm_proxy; proxy_pass http://$llm_provider_upstream; }
--- after
# Hours before UTC; neither place puts its clock forward.
my %ahead = (tokyo => 9, kathmandu => 5.75, utc => 0);
for my $place (sort keys %ahead) {
    my $begin  = time;
    my $answer = $t->request(qq(POST /$place/v1/chat/completions\n{"model":"m"}));
    my $ahead  = $ahead{$place} * 3600;
    my $midnight = sub { (int(($_[0] + $ahead) / 86_400) + 1) * 86_400 - $ahead };
    my $reset_at = JSON::PP::decode_json($answer->{body})->{error}{reset_at};
    ok($reset_at == $midnight->($begin) || $reset_at == $midnight->(time), "$place: $reset_at");
}

=== three words
--- config
    llm_ratelimit_unpriced free;
--- must_fail
invalid value "free" in "llm_ratelimit_unpriced", it must be deny, allow or rate=<input>/<output> with prices per million tokens of at most 6 decimals

=== a unit is set aside for once
--- http_config
    upstream one { server %%first%%; }
--- config
    llm_proxy_route first one;
    llm_proxy_default_provider first;
    llm_ratelimit_reserve_spend usd 1;
    llm_ratelimit_reserve_spend usd 2;
    location /v1/ { llm_proxy; llm_ratelimit; proxy_pass http://$llm_provider_upstream; }
--- must_fail
duplicate unit "usd" in "llm_ratelimit_reserve_spend"

=== an amount or auto
--- config
    llm_ratelimit_reserve_spend usd much;
--- must_fail
invalid amount "much" in "llm_ratelimit_reserve_spend", give a decimal number such as 800 or 0.25

=== a time zone that there is
--- config
    llm_ratelimit_spend_timezone Europe/Gotham;
--- must_fail
unknown time zone "Europe/Gotham" in "llm_ratelimit_spend_timezone", give a name such as UTC or Europe/Berlin
