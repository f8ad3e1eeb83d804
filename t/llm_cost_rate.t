# The rate card: which line is for a model, what the rows keep of it, and what a line must not be.

use Test::LLM 'no_plan';

use Test::LLM::Ledger;

run_tests();

__DATA__

=== the exact name, then the longest pattern; capitals mean nothing, nor does the order
--- http_config
    upstream one { server %%first%%; }
    log_format cost '$llm_requested_model $llm_cost_total';
    llm_cost_rate first * 0 4;
    llm_cost_rate first gpt-* 0 3;
    llm_cost_rate first GPT-4o* 0 2;
    llm_cost_rate first gpt-4o 0 1;
--- config
    llm_proxy_route first one;
    llm_proxy_default_provider first;
    location /v1/ { llm_proxy; llm_cost; proxy_pass http://$llm_provider_upstream; }
--- requests
POST /v1/chat/completions
{"model":"gpt-4o"}
>>>
POST /v1/chat/completions
{"model":"GPT-4o"}
>>>
POST /v1/chat/completions
{"model":"gpt-4o-mini"}
>>>
POST /v1/chat/completions
{"model":"gpt-3.5"}
>>>
POST /v1/chat/completions
{"model":"other"}
--- access_log
^gpt-4o 0.00000700\nGPT-4o 0.00000700\ngpt-4o-mini 0.00001400\ngpt-3.5 0.00002100\nother 0.00002800$

=== a name is no prefix of another
--- http_config
    upstream one { server %%first%%; }
    log_format cost '$llm_cost_status';
    llm_cost_rate first gpt-4o 5 15;
--- config
    llm_proxy_route first one;
    llm_proxy_default_provider first;
    location /v1/ { llm_proxy; llm_cost; proxy_pass http://$llm_provider_upstream; }
--- request
POST /v1/chat/completions
{"model":"gpt-4o-mini"}
--- access_log
^no_rate$

=== a nested block's lines replace those above it
--- http_config
    upstream one { server %%first%%; }
    log_format cost '$llm_cost_status $llm_cost_total';
    llm_cost_rate first * 1 1;
    llm_cost_rate first special 100 100;
--- config
    llm_proxy_route first one;
    llm_proxy_default_provider first;
    location /v1/ { llm_proxy; llm_cost; proxy_pass http://$llm_provider_upstream; }
    location /v1/completions { llm_cost_rate first special 2 2; llm_proxy; llm_cost; proxy_pass http://$llm_provider_upstream; }
--- requests
POST /v1/chat/completions
{"model":"special"}
>>>
POST /v1/completions
{"model":"special","prompt":""}
>>>
POST /v1/completions
{"model":"m","prompt":""}
--- access_log
^recorded 0.00190000\nrecorded 0.00003800\nno_rate -$

=== unit, label and rates stand in the row, which can be reckoned again from itself
--- http_config
    upstream one { server %%first%%; }
    upstream two { server %%second%%; }
    llm_cost_rate first * 0.435 0.87;
    llm_cost_cached_rate first * 0.003625 0.5;
    llm_cost_rate second * 300 600;
    llm_cost_rate_unit second Credit;
    llm_cost_rate_card_version "spring 2026";
--- config
    llm_proxy_route first one;
    llm_proxy_route second two;
    llm_proxy_model_pattern a first;
    llm_proxy_model_pattern b second;
    location /v1/ { llm_proxy; llm_cost; proxy_pass http://$llm_provider_upstream; }
--- requests
POST /v1/chat/completions
{"model":"a"}
>>>
POST /v1/chat/completions
{"model":"b"}
--- after
ok(wait_for_rows($t, 2), 'two rows');
is_deeply([ ledger_problems($t, answers => [ $t->answers ], units => { second => 'credit' },
    prices => { 'first/a' => [ 0.435, 0.87, 0.003625, 0.5 ], 'second/b' => [ 300, 600 ] }) ], [],
    'as the client reckons');
for my $row (rows($t)) {
    is($row->{rate_card_version}, 'spring 2026', 'the label');
    my %part = (input => 'input_tokens', cache_read => 'cache_read_tokens',
        cache_write => 'cache_write_tokens', cache_write_1h => 'cache_write_1h_tokens');
    my $prompt = 0;
    $prompt += $row->{ $part{$_} } * pico($row->{"rate_$_"}) / 1_000_000 for keys %part;
    is(decimal($prompt), $row->{prompt_cost}, 'input times rates');
    is(decimal($row->{completion_tokens} * pico($row->{rate_output}) / 1_000_000),
        $row->{completion_cost}, 'output times its rate');
}
is_deeply([ $t->sqlite('SELECT cost_unit, sum(total_cost_pico) FROM llm_cost_events GROUP BY 1 ORDER BY 1') ],
    [ [ credit => 7800_000_000 ], [ usd => 9_584_500 ] ], 'sums in SQL');

=== a warning: a provider that is not there
--- http_config
    upstream one { server %%first%%; }
--- config
    llm_proxy_route first one;
    llm_proxy_default_provider first;
    llm_cost_rate first * 1 1;
    llm_cost_rate frist * 1 1;
    location /v1/ { llm_proxy; llm_cost; proxy_pass http://$llm_provider_upstream; }
--- must_warn
"llm_cost_rate frist" is for a provider that no "llm_proxy_route" has

=== a warning: a provider without a price
--- http_config
    upstream one { server %%first%%; }
    upstream two { server %%second%%; }
--- config
    llm_proxy_route first one;
    llm_proxy_route second two;
    llm_proxy_default_provider first;
    llm_cost_rate first * 1 1;
    location /v1/ { llm_proxy; llm_cost; proxy_pass http://$llm_provider_upstream; }
--- must_warn
no "llm_cost_rate" is for "second", its requests have no cost and the status no_rate

=== the same line twice
--- http_config
    upstream one { server %%first%%; }
--- config
    llm_proxy_route first one;
    llm_proxy_default_provider first;
    llm_cost_rate first gpt-4o 1 1;
    llm_cost_rate first GPT-4o 1 2;
    location /v1/ { llm_proxy; llm_cost; proxy_pass http://$llm_provider_upstream; }
--- must_fail
duplicate "llm_cost_rate first GPT-4o", a model has one price

=== a cached price needs a price
--- http_config
    upstream one { server %%first%%; }
--- config
    llm_proxy_route first one;
    llm_proxy_default_provider first;
    llm_cost_rate first gpt-4o 1 1;
    llm_cost_cached_rate first gpt-5 0.1;
    location /v1/ { llm_proxy; llm_cost; proxy_pass http://$llm_provider_upstream; }
--- must_fail
no "llm_cost_rate" is for a model that "llm_cost_cached_rate first gpt-5" is for, add one

=== one unit for a provider
--- http_config
    upstream one { server %%first%%; }
--- config
    llm_proxy_route first one;
    llm_proxy_default_provider first;
    llm_cost_rate first * 1 1;
    llm_cost_rate_unit first usd;
    llm_cost_rate_unit first credit;
    location /v1/ { llm_proxy; llm_cost; proxy_pass http://$llm_provider_upstream; }
--- must_fail
duplicate "llm_cost_rate_unit first", a provider has one unit

=== a price has six decimals at most
--- config
    llm_cost_rate first * 0.0000001 1;
--- must_fail
invalid price "0.0000001" in "llm_cost_rate", at most six decimals per million tokens can be kept exactly

=== no negative price
--- config
    llm_cost_rate first * -1 1;
--- must_fail
invalid price "-1" in "llm_cost_rate"

=== no exponent
--- config
    llm_cost_rate first * 1 1e3;
--- must_fail
invalid price "1e3" in "llm_cost_rate"

=== not what is no number
--- config
    llm_cost_cached_rate first * NaN;
--- must_fail
invalid price "NaN" in "llm_cost_cached_rate"

=== both prices
--- config
    llm_cost_rate first * 1;
--- must_fail
"llm_cost_rate" needs a provider, a model and the prices of a million tokens of input and of output

=== a unit is a word
--- config
    llm_cost_rate_unit first "US dollars";
--- must_fail
invalid unit "US dollars" in "llm_cost_rate_unit"

=== one label
--- config
    llm_cost_rate_card_version a;
    llm_cost_rate_card_version b;
--- must_fail
"llm_cost_rate_card_version" directive is duplicate

=== which is not empty
--- config
    llm_cost_rate_card_version "";
--- must_fail
"llm_cost_rate_card_version" needs a label of 1 to 64 bytes without control characters such as 2026-06-08
