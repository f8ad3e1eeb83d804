# An answer whose provider tells no tokens is never free by accident: it is estimated, billed as reserved,
# or, if the operator wants that, zero; the row says which.

use Test::LLM 'no_plan';

use Test::LLM::Ledger;

run_tests();

__DATA__

=== by default it is estimated, by a token for four bytes
--- http_config
    upstream one { server %%first%%; }
    log_format cost '$llm_cost_status $llm_usage_source';
    llm_cost_rate first * 1000 1000;
--- config
    llm_proxy_route first one;
    llm_proxy_default_provider first;
    location /v1/ { llm_proxy; llm_cost; proxy_pass http://$llm_provider_upstream; }
--- provider_first eval
my $text = 'word ' x 80;
qq(200 {"choices":[{"message":{"content":"$text"},"finish_reason":"stop"}]}\n\n)
    . qq(sse\n{"choices":[{"delta":{"content":"$text"}}]}\n)
    . qq({"choices":[{"delta":{},"finish_reason":"stop"}]}\n[DONE])
--- requests eval
my $prompt = 'word ' x 160;
CORE::join ">>>\n", map { qq(POST /v1/chat/completions\n{"model":"m","messages":[{"role":"user","content":"$prompt"}]$_}\n) } '', ',"stream":true'
--- access_log
^estimated estimated\nestimated estimated$
--- after
ok(wait_for_rows($t, 2), 'two rows');
for my $row (rows($t)) {
    is($row->{status}, 'estimated', 'which say so');
    is($row->{usage_source}, 'estimated', 'and where the tokens come from');
    ok(abs($row->{prompt_tokens} - 200) < 30, "$row->{prompt_tokens} tokens of prompt");
    ok(abs($row->{completion_tokens} - 100) < 30, "$row->{completion_tokens} tokens of answer");
    is(decimal($row->{total_tokens} * pico('0.001')), $row->{total_cost}, 'at the rates');
}

=== reserve: what the request had reserved is billed
--- http_config
    upstream one { server %%first%%; }
    log_format cost '$llm_cost_status $llm_ratelimit_reserved_tokens';
    llm_cost_rate first * 1000 1000;
    llm_cost_usage_missing reserve;
--- config
    llm_proxy_route first one;
    llm_proxy_default_provider first;
    llm_ratelimit_rule all tokens 100000/h;
    location /v1/ { llm_proxy; llm_ratelimit; llm_cost; proxy_pass http://$llm_provider_upstream; }
--- provider_first
200 {"choices":[{"message":{"content":"a"},"finish_reason":"stop"}]}
--- request
POST /v1/chat/completions
{"model":"m","max_tokens":500,"messages":[]}
--- access_log
^usage_missing \d+$
--- after
ok(wait_for_rows($t, 1), 'one row');
my ($row) = rows($t);
my ($reserved) = $t->access_log =~ /(\d+)$/m;
is($row->{usage_source}, 'reserved', 'which says so');
is($row->{completion_tokens}, 500, 'all output that was allowed');
is($row->{total_tokens}, $reserved, 'and the prompt');

=== zero: nothing is billed, but it is told
--- http_config
    upstream one { server %%first%%; }
    log_format cost '$llm_cost_status [$llm_cost_total]';
    llm_cost_rate first * 1000 1000;
    llm_cost_usage_missing zero;
--- config
    llm_proxy_route first one;
    llm_proxy_default_provider first;
    location /v1/ { llm_proxy; llm_cost; proxy_pass http://$llm_provider_upstream; }
--- provider_first
200 {"choices":[{"message":{"content":"a"},"finish_reason":"stop"}]}
--- request
POST /v1/chat/completions
{"model":"m"}
--- access_log
^usage_missing \[0.00000000\]$
--- after
ok(wait_for_rows($t, 1), 'one row');
is((rows($t))[0]{status}, 'usage_missing', 'which says so');

=== what is told stands; only the rest is estimated
--- http_config
    upstream one { server %%first%%; }
    log_format cost '$llm_cost_status';
    llm_cost_rate first * 1000 1000;
--- config
    llm_proxy_route first one;
    llm_proxy_default_provider first;
    location /v1/ { llm_proxy; llm_cost; proxy_pass http://$llm_provider_upstream; }
--- provider_first
200 {"choices":[{"message":{"content":"some words"},"finish_reason":"stop"}],"usage":{"prompt_tokens":777}}
--- request
POST /v1/chat/completions
{"model":"m"}
--- access_log
^estimated$
--- after
ok(wait_for_rows($t, 1), 'one row');
my ($row) = rows($t);
is($row->{prompt_tokens}, 777, 'the prompt as it was told');
# A token for four bytes of the body.
ok($row->{completion_tokens} > 0 && $row->{completion_tokens} <= 26, "the answer by its length: $row->{completion_tokens}");

=== one of three words
--- config
    llm_cost_usage_missing guess;
--- must_fail
"llm_cost_usage_missing" must be estimate, reserve or zero
