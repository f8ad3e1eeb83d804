# Where the events go: SQLite without any set-up, lines of JSON, PostgreSQL, several, or nowhere.

use Test::LLM 'no_plan';

use Test::LLM::Ledger;

run_tests();

__DATA__

=== SQLite is there by itself, and sums as pasted
--- http_config
    upstream one { server %%first%%; }
    llm_cost_rate first * 0.435 0.87;
--- config
    llm_proxy_route first one;
    llm_proxy_default_provider first;
    location /v1/ { llm_proxy; llm_cost; proxy_pass http://$llm_provider_upstream; }
--- requests
POST /v1/chat/completions
{"model":"a"}
>>>
POST /v1/chat/completions
{"model":"b","stream":true}
--- after
ok(wait_for_rows($t, 2), 'two rows');
is_deeply([ $t->sqlite('SELECT model, cost_unit, printf("%.8f", sum(total_cost)) FROM llm_cost_events GROUP BY 1, 2 ORDER BY 1') ],
    [ [ 'a', 'usd', '0.00001131' ], [ 'b', 'usd', '0.00001131' ] ], 'by model');
my ($row) = $t->sqlite(q(SELECT created_at, date(created_at) = date('now') FROM llm_cost_events LIMIT 1));
like($row->[0], qr/\A\d{4}-\d\d-\d\d[T ]\d\d:\d\d:\d\d/, 'a time that people can read');
my $columns = CORE::join ' ', map { $_->[0] } $t->sqlite(q(SELECT name FROM pragma_table_info('llm_cost_events')));
like($columns, qr/\Aevent_id provider model cost_unit traffic_cohort is_streaming prompt_tokens completion_tokens total_tokens prompt_cost completion_cost total_cost status status_code duration_ms identity user_id team_id auth_key_fingerprint rate_card_version requested_provider requested_model translation_happened resolution_outcome org project client input_tokens cache_read_tokens cache_write_tokens cache_write_1h_tokens reasoning_tokens rate_input rate_output rate_cache_read rate_cache_write rate_cache_write_1h usage_source attempts primary_provider fallback_reason chain ttft_ms first_attempt_ms tag node created_at\b/,
    'the columns and their order');
is(CORE::join(' ', map { $_->[0] } $t->sqlite(q(SELECT name FROM pragma_table_info('llm_cost_events_attempts')))),
    'event_id attempt_no provider model key_id outcome status_code started_at duration_ms first_byte_ms '
    . 'prompt_tokens completion_tokens usage_source', 'those of the attempts');

=== another file and another table
--- http_config
    upstream one { server %%first%%; }
    llm_cost_rate first * 1 1;
    llm_cost_path data/costs/here.db;
    llm_cost_table Spending;
--- config
    llm_proxy_route first one;
    llm_proxy_default_provider first;
    location /v1/ { llm_proxy; llm_cost; proxy_pass http://$llm_provider_upstream; }
--- request
POST /v1/chat/completions
{"model":"a"}
--- after
my $rows = sub { eval { $t->sqlite("SELECT 1 FROM $_[0]", 'data/costs/here.db') } };
ok((wait_until { @{ [ $rows->('spending') ] } == 1 } 10), 'one row');
is(scalar @{ [ $rows->('spending_attempts') ] }, 1, 'and an attempt');
ok(!-e $t->root . '/llm/cost.db', 'the other file is not there');

=== two workers write one file
--- workers: 2
--- http_config
    upstream one { server %%first%%; }
    llm_cost_rate first * 1 2;
--- config
    llm_proxy_route first one;
    llm_proxy_default_provider first;
    location /v1/ { llm_proxy; llm_cost; proxy_pass http://$llm_provider_upstream; }
--- request
POST /v1/chat/completions
{"model":"a"}
--- concurrent: 100
--- after
ok(wait_for_rows($t, 100, 30), 'a hundred rows');
is_deeply([ ledger_problems($t, answers => [ $t->answers ], prices => { 'first/a' => [ 1, 2 ] }) ], [],
    'each answer has its own');

=== the file is locked by somebody else for a while
--- http_config
    upstream one { server %%first%%; }
    llm_cost_rate first * 1 2;
--- config
    llm_proxy_route first one;
    llm_proxy_default_provider first;
    location /v1/ { llm_proxy; llm_cost; proxy_pass http://$llm_provider_upstream; }
--- after
my $ask = sub { $t->request(qq(POST /v1/chat/completions\n{"model":"a"})) };
my @answers = $ask->();
ok(wait_for_rows($t, 1), 'one row');
open my $locker, '|-', 'sqlite3', '-batch', $t->root . '/llm/cost.db' or die "sqlite3: $!\n";
$locker->autoflush(1);
print {$locker} "BEGIN EXCLUSIVE;\n.shell touch @{[$t->root]}/tmp/locked\n";
ok((wait_until { -e $t->root . '/tmp/locked' } 5), 'it is locked');
for (1 .. 10) {
    push @answers, $ask->();
    cmp_ok($answers[-1]{seconds}, '<', 1.5 * Test::LLM::Util::scale(), 'no request waits');
}
Test::LLM::Util::pause(0.5);
close $locker;
ok(wait_for_rows($t, 11, 30), 'all rows');
is_deeply([ ledger_problems($t, answers => \@answers, prices => { 'first/a' => [ 1, 2 ] }) ], [], 'once');

=== the file is taken away: a new one goes on
--- http_config
    upstream one { server %%first%%; }
    llm_cost_rate first * 1 2;
--- config
    llm_proxy_route first one;
    llm_proxy_default_provider first;
    location /v1/ { llm_proxy; llm_cost; proxy_pass http://$llm_provider_upstream; }
--- after
my $ask = sub { $t->request(qq(POST /v1/chat/completions\n{"model":"a"})) };
$ask->();
ok(wait_for_rows($t, 1), 'one row');
rename $t->root . "/llm/cost.db$_", $t->root . "/llm/old.db$_" for '', '-wal', '-shm';
$ask->();
ok(wait_for_rows($t, 1), 'one row in the new file');

=== log: a line of JSON for each event, also when the file is rotated
--- http_config
    upstream one { server %%first%%; }
    llm_cost_rate first * 0.000001 1;
    llm_cost_backend log;
--- config
    llm_proxy_route first one;
    llm_proxy_default_provider first;
    llm_cost_user $http_x_user;
    location /v1/ { llm_proxy; llm_cost; proxy_pass http://$llm_provider_upstream; }
--- more_headers
X-User: "quoted"	tab
--- request
POST /v1/chat/completions
{"model":"a"}
--- after
my $lines = sub { split /\n/, $t->read_file("llm/journal/$_[0]") };
ok((wait_until { @{ [ $lines->('cost.jsonl') ] } == 1 } 10), 'one line');
my $event = JSON::PP::decode_json(($lines->('cost.jsonl'))[0]);
is($event->{event_id}, event_id($t->answers), 'of the request');
is($event->{total_cost}, '0.000007000012', 'with all digits, as a text');
is($event->{user_id}, qq("quoted"\ttab), 'and any text');
rename $t->root . '/llm/journal/cost.jsonl', $t->root . '/llm/journal/old.jsonl' or die $!;
my $next = $t->request(qq(POST /v1/chat/completions\n{"model":"a"}));
ok((wait_until { @{ [ $lines->('cost.jsonl') ] } == 1 } 10), 'a new file');
is(JSON::PP::decode_json(($lines->('cost.jsonl'))[0])->{event_id}, event_id($next), 'has the next one');
ok(!-e $t->root . '/llm/cost.db', 'no database');

=== off: no row, but the variables and budgets work
--- http_config
    upstream one { server %%first%%; }
    log_format cost '$status $llm_cost_status';
    llm_cost_rate first * 1000 1000;
    llm_cost_backend off;
--- config
    llm_proxy_route first one;
    llm_proxy_default_provider first;
    llm_ratelimit_spend_scope project usd p 0.03;
    llm_ratelimit_reserve_spend usd 0.019;
    location /v1/ { llm_proxy; llm_ratelimit; llm_cost; proxy_pass http://$llm_provider_upstream; }
--- requests
POST /v1/chat/completions
{"model":"a"}
>>>
POST /v1/chat/completions
{"model":"a"}
>>> restart
POST /v1/chat/completions
{"model":"a"}
--- error_code: 200 429 429
--- access_log
^200 recorded$
--- after
ok(!-e $t->root . '/llm/cost.db', 'no database');

=== what is not a backend
--- http_config
    llm_cost_backend mysql;
--- must_fail
invalid backend "mysql" in "llm_cost_backend", it must be off, or any of log, sqlite and postgres

=== off stands alone
--- http_config
    llm_cost_backend off sqlite;
--- must_fail
"off" stands alone in "llm_cost_backend"

=== a backend stands once
--- http_config
    llm_cost_backend sqlite sqlite;
--- must_fail
duplicate backend "sqlite" in "llm_cost_backend"

=== a table's name
--- http_config
    llm_cost_table "events; DROP TABLE a";
--- must_fail
"llm_cost_table" must be <table> or <schema>.<table> of letters, digits and "_", at most 54 of them for the table and 63 for the schema

=== a path
--- http_config
    llm_cost_path "";
--- must_fail
invalid path "" in "llm_cost_path", give a path

=== not in a location
--- config
    location / { llm_cost_backend log; }
--- must_fail
"llm_cost_backend" directive is not allowed here
