# The scenario "Meter-Fallback" as nginx-conf/meter-fallback.conf ships it, with only its addresses, its
# worker count and, where a block says so, a limit changed: DeepSeek is billed in USD and Mimo in Credit,
# each by its own rates and budgets, and the rows in PostgreSQL have every digit.

use Test::LLM 'no_plan';

use Test::LLM::Ledger;

sub shipped { slurp(__FILE__ =~ s{[^/]*\z}{}r . "../nginx-conf/$_[0]") }

# Further changes are pairs of a line and what stands in its place.
sub meter_conf {
    my (%change) = @_;
    my $text = shipped('meter-fallback.conf');
    my %line = (
        'load_module modules/ngx_http_llm_module.so' => '%%load_module%%',
        'pid logs/nginx.pid'       => '',
        'error_log logs/error.log warn' => 'error_log logs/error.log info;',
        'worker_processes auto'    => 'worker_processes 1;',
        'listen 127.0.0.1:8080'    => 'listen 127.0.0.1:%%port%%;',
        %change,
    );
    for my $line (sort keys %line) {
        $text =~ s/^\s*\K\Q$line\E;/$line{$line}/m
            or die "meter-fallback.conf has no \"$line;\"\n";
    }
    return $text;
}

# The folder that it asks for. Providers on this machine have addresses for names, which are in no
# certificate: "localhost" is in theirs.
sub meter_files {
    my @keys = qw(ai-platform.sk-client-SECRET-1 ai-platform.sk-client-SECRET-2
        other.sk-client-SECRET-3);
    my %map = (
        'status'       => [qw(active suspended active)],
        'key-id'       => [qw(da-sk-acme-ai-platform da-sk-acme-old da-sk-acme-other)],
        'org-slug'     => [qw(acme acme acme)],
        'project-slug' => [qw(ai-platform ai-platform other)],
        'client-id'    => [qw(30000000-0000-0001-0001-000000000001 - -)],
        'tier'         => [qw(basic basic basic)],
    );
    my $files = <<'FILES';
>>> temp/README
>>> meter_fallback_providers.inc
proxy_ssl_name localhost;
upstream deepseek_server { server %%deepseek_tls%%; keepalive 32; }
upstream mimo_server { server %%mimo_tls%%; keepalive 32; }
FILES
    for my $name (sort keys %map) {
        $files .= ">>> issuer/$name.map\n";
        $files .= qq("da-sk-acme-$keys[$_]" $map{$name}[$_];\n) for 0 .. $#keys;
    }
    return $files;
}

sub meter_env {
    return <<'ENV';
SSL_CERT_FILE=%%deepseek_tls_ca%%
DEEPSEEK_API_KEY=sk-deepseek-SECRET-1
MIMO_API_KEY=sk-mimo-SECRET-2
LLM_COST_DSN=%%pg_dsn%%
ENV
}

# A thousand tokens in, of which four hundred were in DeepSeek's cache, and five hundred out.
sub deepseek_answer {
    return '200 {"id":"1","model":"deepseek-v4-pro","choices":[{"message":{"content":"hi"},'
        . '"finish_reason":"stop"}],"usage":{"prompt_tokens":1000,"completion_tokens":500,'
        . '"total_tokens":1500,"prompt_cache_hit_tokens":400,"prompt_cache_miss_tokens":600}}';
}

# A thousand in, of which a hundred were cached, and two hundred out.
sub mimo_answer {
    return '200 {"id":"2","model":"mimo-v2.5-pro","choices":[{"message":{"content":"hi"},'
        . '"finish_reason":"stop"}],"usage":{"prompt_tokens":1000,"completion_tokens":200,'
        . '"total_tokens":1200,"prompt_tokens_details":{"cached_tokens":100}}}';
}

# 429 of the gateway: seconds until the first of the next month, UTC, at the time of the answer.
sub seconds_left_in_month {
    my ($now) = @_;
    my (undef, undef, undef, undef, $month, $year) = gmtime $now;
    require Time::Local;
    return Time::Local::timegm(0, 0, 0, 1, ($month + 1) % 12, $year + 1900 + ($month == 11)) - $now;
}

run_tests();

__DATA__

=== DeepSeek is billed in USD, cached input at its own rate
--- nginx_conf eval: main::meter_conf()
--- user_files eval: main::meter_files()
--- env eval: main::meter_env()
--- more_headers
Authorization: Bearer da-sk-acme-ai-platform.sk-client-SECRET-1
--- provider_deepseek_tls eval: main::deepseek_answer()
--- request
POST /v1/chat/completions
{"model":"deepseek-v4-pro","max_tokens":1000,"messages":[{"role":"user","content":"hello"}]}
--- response_headers
X-LLM-Served-By: deepseek/deepseek-v4-pro
X-LLM-Event-Id: ~^[0-9a-f]{32}$
--- access_log
^\{"time":"[^"]+","org":"acme","project":"ai-platform","client":"30000000-0000-0001-0001-000000000001","gateway_key_id":"da-sk-acme-ai-platform","provider":"deepseek","model":"deepseek-v4-pro","rate_limit_reason":"","request_remaining":"299","token_remaining":"24\d{4}","fallback_attempted":"0","fallback_reason":"none","fallback_effective":"deepseek","input_cost":"0.00026245","output_cost":"0.00043500","total_cost":"0.00069745","cost_status":"recorded","status":"200","request_time":"[0-9.]+"\}$
--- after
ok(wait_for_rows($t, 1), 'one row');
my $row = row_of($t, $t->answers);
my %want = (
    provider => 'deepseek', model => 'deepseek-v4-pro', cost_unit => 'usd',
    traffic_cohort => 'default', is_streaming => 'f', prompt_tokens => 1000,
    completion_tokens => 500, total_tokens => 1500, prompt_cost => '0.00026245',
    completion_cost => '0.00043500', total_cost => '0.00069745', status => 'recorded',
    status_code => 200, identity => 'da-sk-acme-ai-platform', user_id => undef,
    team_id => 'ai-platform', rate_card_version => 'provider-standard-2026-06-08',
    requested_model => 'deepseek-v4-pro', translation_happened => 'f', org => 'acme',
    project => 'ai-platform', client => '30000000-0000-0001-0001-000000000001',
    input_tokens => 600, cache_read_tokens => 400, cache_write_tokens => 0,
    cache_write_1h_tokens => 0, usage_source => 'reported', attempts => 1,
    primary_provider => 'deepseek', fallback_reason => undef, tag => undef,
);
is_deeply({ map { $_ => $row->{$_} } keys %want }, \%want, 'its columns');
is_deeply([ map { pico($row->{$_}) } qw(rate_input rate_output rate_cache_read) ],
    [ map { pico($_) } qw(0.435 0.87 0.003625) ], 'the rates used');
isnt($row->{auth_key_fingerprint}, undef, 'the provider key by its fingerprint');
like($row->{chain}, qr{\Adeepseek/deepseek-v4-pro:200:\d+ms\z}, 'the chain');
my @attempts = map { [ @$_{qw(attempt_no provider model outcome status_code prompt_tokens)} ] }
    attempts_of($t, $t->answers);
is_deeply(\@attempts, [ [ 1, 'deepseek', 'deepseek-v4-pro', 'ok', 200, 1000 ] ], 'one attempt');
is($t->pg->value(q(SELECT sum(total_cost) FROM llm_cost_events WHERE cost_unit = 'usd')),
    '0.00069745', 'a sum in SQL is exact');

=== what falls back is billed in Credit, at Mimo's rates and to Mimo's budget
--- nginx_conf eval: main::meter_conf()
--- user_files eval: main::meter_files()
--- env eval: main::meter_env()
--- more_headers
Authorization: Bearer da-sk-acme-ai-platform.sk-client-SECRET-1
--- provider_deepseek_tls eval: '{"status":429}' . "\n\n" . main::deepseek_answer()
--- provider_mimo_tls eval: main::mimo_answer()
--- requests
POST /v1/chat/completions
{"model":"deepseek-v4-flash","max_tokens":1000,"messages":[]}
>>>
POST /v1/chat/completions
{"model":"deepseek-v4-pro","max_tokens":1000,"messages":[]}
--- response_headers
X-LLM-Served-By: mimo/mimo-v2.5-pro
X-Fallback-Reason: rate_limited
>>>
X-LLM-Served-By: deepseek/deepseek-v4-pro
--- access_log
"provider":"mimo","model":"mimo-v2.5-pro","rate_limit_reason":"".*"fallback_attempted":"1","fallback_reason":"rate_limited","fallback_effective":"mimo","input_cost":"0.27025000","output_cost":"0.12000000","total_cost":"0.39025000","cost_status":"recorded","status":"200"
"provider":"deepseek".*"total_cost":"0.00069745"
--- after
ok(wait_for_rows($t, 2), 'two rows');
my ($rescued, $plain) = map { row_of($t, $_) } $t->answers;
my %want = (
    provider => 'mimo', model => 'mimo-v2.5-pro', cost_unit => 'credit',
    traffic_cohort => 'fallback', requested_model => 'deepseek-v4-flash',
    prompt_cost => '0.27025000', completion_cost => '0.12000000', total_cost => '0.39025000',
    status => 'recorded', attempts => 2, primary_provider => 'deepseek',
    fallback_reason => 'rate_limited',
);
is_deeply({ map { $_ => $rescued->{$_} } keys %want }, \%want, 'the row of the one that fell back');
is_deeply([ map { pico($rescued->{$_}) } qw(rate_input rate_output rate_cache_read) ],
    [ map { pico($_) } qw(300 600 2.5) ], 'its rates');
is($plain->{cost_unit}, 'usd', 'the other one');
my @attempts
    = map { [ @$_{qw(attempt_no provider model outcome status_code prompt_tokens usage_source)} ] }
    attempts_of($t, ($t->answers)[0]);
is_deeply(\@attempts, [
    [ 1, 'deepseek', 'deepseek-v4-flash', 'rate_limited', 429, undef, 'none' ],
    [ 2, 'mimo', 'mimo-v2.5-pro', 'ok', 200, 1000, 'reported' ],
], 'both attempts, of which the first used nothing');
is_deeply([ $t->pg->query(
    'SELECT cost_unit, sum(total_cost) FROM llm_cost_events GROUP BY 1 ORDER BY 1') ],
    [ [ credit => '0.39025000' ], [ usd => '0.00069745' ] ], 'the sums, unit by unit');

=== a stream costs what the same answer costs without
--- nginx_conf eval: main::meter_conf()
--- user_files eval: main::meter_files()
--- env eval: main::meter_env()
--- more_headers
Authorization: Bearer da-sk-acme-ai-platform.sk-client-SECRET-1
--- provider_deepseek_tls
sse
{"id":"1","model":"deepseek-v4-pro","choices":[{"delta":{"content":"hi"}}]}
{"id":"1","model":"deepseek-v4-pro","choices":[{"delta":{},"finish_reason":"stop"}]}
{"id":"1","model":"deepseek-v4-pro","choices":[],"usage":{"prompt_tokens":1000,"completion_tokens":500,"total_tokens":1500,"prompt_cache_hit_tokens":400,"prompt_cache_miss_tokens":600}}
[DONE]
--- request
POST /v1/chat/completions
{"model":"deepseek-v4-pro","stream":true,"max_tokens":1000,"messages":[]}
--- response_body_unlike: usage
--- access_log
"input_cost":"0.00026245","output_cost":"0.00043500","total_cost":"0.00069745","cost_status":"recorded"
--- after
ok(wait_for_rows($t, 1), 'one row');
my $row = row_of($t, $t->answers);
is_deeply([ @$row{qw(is_streaming total_cost usage_source)} ], [qw(t 0.00069745 reported)], 'its columns');

=== the USD budget binds, before anything is sent
--- nginx_conf eval
main::meter_conf('llm_ratelimit_spend_scope project usd $org_id $project_id 800' =>
    'llm_ratelimit_spend_scope project usd $org_id $project_id 0.0015;')
--- user_files eval: main::meter_files()
--- env eval: main::meter_env()
--- more_headers
Authorization: Bearer da-sk-acme-ai-platform.sk-client-SECRET-1
--- provider_deepseek_tls eval: main::deepseek_answer()
--- provider_mimo_tls eval: main::mimo_answer()
--- requests
POST /v1/chat/completions
{"model":"deepseek-v4-pro","max_tokens":1000,"messages":[]}
>>>
POST /v1/chat/completions
{"model":"deepseek-v4-pro","max_tokens":1000,"messages":[]}
>>>
POST /v1/chat/completions
{"model":"mimo-v2.5-pro","max_tokens":1000,"messages":[]}
--- error_code: 200 429 200
--- access_log
"rate_limit_reason":"spend_budget_exhausted".*"cost_status":"skipped_error","status":"429"
--- provider_deepseek_tls_requests: 1
--- provider_mimo_tls_requests: 1
--- after
my (undef, $refused, $other_unit) = $t->answers;
my $body = JSON::PP::decode_json($refused->{body});
is($body->{error}{code}, 'spend_budget_exhausted', 'the reason');
like($refused->{body}, qr/project usd month/, 'the budget by its name');
my $left = main::seconds_left_in_month(time);
my $wait = header($refused, 'retry-after');
like($wait, qr/\A\d+\z/, 'Retry-After is a whole number');
# The month may have ended between the answer and now.
ok(abs($wait - $left) < 120 || $wait < 120, 'of seconds until the next month');
ok(wait_for_rows($t, 2), 'the refused one has no row');
is_deeply([ map { "$_->{provider} $_->{total_cost}" } sort { $a->{provider} cmp $b->{provider} } rows($t) ],
    [ 'deepseek 0.00069745', 'mimo 0.39025000' ], 'the others have');

=== Mimo is passed over when the Credit budget is spent
--- nginx_conf eval
main::meter_conf('llm_ratelimit_spend_scope project credit $org_id $project_id 100000' =>
    'llm_ratelimit_spend_scope project credit $org_id $project_id 0.7;')
--- user_files eval: main::meter_files()
--- env eval: main::meter_env()
--- more_headers
Authorization: Bearer da-sk-acme-ai-platform.sk-client-SECRET-1
--- provider_deepseek_tls
{"status":429,"times":2}
--- provider_mimo_tls eval: main::mimo_answer()
--- requests
POST /v1/chat/completions
{"model":"deepseek-v4-pro","max_tokens":1000,"messages":[]}
>>>
POST /v1/chat/completions
{"model":"deepseek-v4-pro","max_tokens":1000,"messages":[]}
>>>
POST /v1/chat/completions
{"model":"mimo-v2.5-pro","max_tokens":1000,"messages":[]}
--- error_code: 200 429 429
--- response_headers
X-LLM-Served-By: mimo/mimo-v2.5-pro
>>>
X-LLM-Chain: ~^deepseek/deepseek-v4-pro:429:\d+ms, mimo/mimo-v2\.5-pro:skipped\(budget\)$
X-Should-Retry: false
>>>
!X-LLM-Served-By
--- provider_deepseek_tls_requests: 2
--- provider_mimo_tls_requests: 1
--- after
my (undef, $passed_over, $refused) = $t->answers;
unlike($passed_over->{body}, qr/spend_budget/, 'the client gets the words of DeepSeek');
like($refused->{body}, qr/"spend_budget_exhausted"/, 'who asks for Mimo itself is refused');
like($refused->{body}, qr/project credit month/, 'by the budget of that unit');

=== each DeepSeek model has its own requests a minute
--- nginx_conf eval
main::meter_conf('llm_ratelimit_model_rpm deepseek-v4-pro 300' =>
    'llm_ratelimit_model_rpm deepseek-v4-pro 2;')
--- user_files eval: main::meter_files()
--- env eval: main::meter_env()
--- more_headers
Authorization: Bearer da-sk-acme-ai-platform.sk-client-SECRET-1
--- provider_deepseek_tls eval: main::deepseek_answer() =~ s/\A200 (.*)/{"status":200,"json":$1,"times":3}/sr
--- requests
POST /v1/chat/completions
{"model":"deepseek-v4-pro","max_tokens":10,"messages":[]}
>>>
POST /v1/chat/completions
{"model":"deepseek-v4-pro","max_tokens":10,"messages":[]}
>>>
POST /v1/chat/completions
{"model":"deepseek-v4-pro","max_tokens":10,"messages":[]}
>>>
POST /v1/chat/completions
{"model":"deepseek-v4-flash","max_tokens":10,"messages":[]}
--- error_code: 200 200 429 200
--- access_log
"rate_limit_reason":"request_budget_exhausted".*"status":"429"
--- after
my $refused = ($t->answers)[2];
is(JSON::PP::decode_json($refused->{body})->{error}{code}, 'request_budget_exhausted', 'the reason');
# Two a minute: one every thirty seconds.
my $wait = header($refused, 'retry-after');
ok($wait =~ /\A\d+\z/ && $wait >= 1 && $wait <= 30, "the wait: $wait");

=== each DeepSeek model has its own tokens a minute; what a request reserves is settled
--- nginx_conf eval
main::meter_conf('llm_ratelimit_model_tpm deepseek-v4-pro 250000' =>
    'llm_ratelimit_model_tpm deepseek-v4-pro 4000;')
--- user_files eval: main::meter_files()
--- env eval: main::meter_env()
--- more_headers
Authorization: Bearer da-sk-acme-ai-platform.sk-client-SECRET-1
--- provider_deepseek_tls eval: main::deepseek_answer() =~ s/\A200 (.*)/{"status":200,"json":$1,"times":3}/sr
--- requests
POST /v1/chat/completions
{"model":"deepseek-v4-pro","max_tokens":10,"messages":[]}
>>>
POST /v1/chat/completions
{"model":"deepseek-v4-pro","max_tokens":10,"messages":[]}
>>>
POST /v1/chat/completions
{"model":"deepseek-v4-pro","max_tokens":10,"messages":[]}
>>>
POST /v1/chat/completions
{"model":"deepseek-v4-flash","max_tokens":10,"messages":[]}
--- error_code: 200 200 429 200
--- access_log
"rate_limit_reason":"token_budget_exhausted".*"status":"429"

=== who may not come in costs nothing
--- nginx_conf eval: main::meter_conf()
--- user_files eval: main::meter_files()
--- env eval: main::meter_env()
--- provider_deepseek_tls eval: main::deepseek_answer()
--- requests
POST /v1/chat/completions
{"model":"deepseek-v4-pro"}
>>>
POST /v1/chat/completions
{"model":"deepseek-v4-pro"}
>>>
POST /v1/chat/completions
{"model":"deepseek-v4-pro"}
>>>
POST /v1/chat/completions
{"model":"gpt-5"}
>>>
POST /v1/chat/completions
{"model":"deepseek-v4-pro"}
--- more_headers
>>>
Authorization: Bearer da-sk-acme-ai-platform.sk-client-SECRET-2
>>>
Authorization: Bearer da-sk-acme-other.sk-client-SECRET-3
>>>
X-API-Key: da-sk-acme-ai-platform.sk-client-SECRET-1
>>>
X-API-Key: da-sk-acme-ai-platform.sk-client-SECRET-1
--- error_code: 401 403 403 404 200
--- after
ok(wait_for_rows($t, 1), 'the last one alone has a row');

=== the database may come later
--- nginx_conf eval: main::meter_conf()
--- user_files eval: main::meter_files()
--- env eval: main::meter_env()
--- init: $t->pg->stop
--- more_headers
Authorization: Bearer da-sk-acme-ai-platform.sk-client-SECRET-1
--- provider_deepseek_tls eval: main::deepseek_answer()
--- request
POST /v1/chat/completions
{"model":"deepseek-v4-pro","max_tokens":1000,"messages":[]}
--- answered_within: 2s
--- after
$t->pg->start;
ok(wait_for_rows($t, 1, 20), 'then it has the row');
is(row_of($t, $t->answers)->{total_cost}, '0.00069745', 'with its cost');
