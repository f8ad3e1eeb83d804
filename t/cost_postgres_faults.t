# PostgreSQL fails in every way that it has, and so does nginx: no request waits for it, and in the end each
# request that was answered has one row, with sums that equal what the clients reckon from their answers.

use Test::LLM 'no_plan';

use List::Util qw(max);
use Test::LLM::Client;
use Test::LLM::Ledger;
use Test::LLM::Util qw(now scale);

my @price = (0.435, 0.87, 0.003625);

sub http {
    my ($dsn, @more) = @_;
    return CORE::join "\n", <<'CONF', "llm_cost_dsn \"$dsn\";", @more;
    upstream one { server %%first%%; keepalive 8; }
    log_format cost '$status $llm_cost_status';
    llm_cost_backend postgres;
    llm_cost_rate first * 0.435 0.87;
    llm_cost_cached_rate first * 0.003625;
    llm_cost_user $http_x_user;
CONF
}

sub location {
    return <<'CONF';
    llm_proxy_route first one;
    llm_proxy_default_provider first;
    location /v1/ { llm_proxy; llm_cost; proxy_pass http://$llm_provider_upstream; }
CONF
}

my $served = 0;

# Answers that cost something different each.
sub provide {
    my ($t, $count, %more) = @_;
    $t->mock->script('first', [ map {
        my $n = ++$served;
        my %usage = (
            prompt_tokens => 1000 + 7 * $n, completion_tokens => 10 + 3 * $n,
            prompt_tokens_details => { cached_tokens => 5 * $n },
        );
        my $choice = { message => { content => "answer $n" }, finish_reason => 'stop' };
        { json => { id => "$n", choices => [$choice], usage => \%usage }, %more };
    } 1 .. $count ]);
}

# Sends so many requests one after another; dies if one had to wait for anything but the provider.
sub serve {
    my ($t, $count, $headers) = @_;
    provide($t, $count);
    my @answers = map { $t->request(qq(POST /v1/chat/completions\n{"model":"m"}), $headers) } 1 .. $count;
    my $slowest = max(map { $_->{seconds} } @answers);
    die "an answer took $slowest s\n" if $slowest > 1.5 * scale();
    return @answers;
}

# Sends so many at once and does not wait for the answers.
sub begin {
    my ($t, $count) = @_;
    my $body = '{"model":"m"}';
    return map {
        my $client = Test::LLM::Client->new($t->address);
        $client->transmit("POST /v1/chat/completions HTTP/1.1\r\nHost: localhost\r\n"
            . "Content-Type: application/json\r\nContent-Length: " . length($body) . "\r\n\r\n$body");
        $client;
    } 1 .. $count;
}

# The whole answers of those.
sub finish {
    my (@clients) = @_;
    my @answers = map { $_->receive(method => 'POST') } @clients;
    $_->finish(0) for @clients;
    return grep { $_->{complete} } @answers;
}

# Waits for as many rows as answers, and then compares all.
sub check {
    my ($t, @answers) = @_;
    my @served = grep { $_->{status} eq '200' } @answers;
    main::ok(wait_for_rows($t, scalar @served, 60), @served . ' rows');
    main::is_deeply([ ledger_problems($t, answers => \@answers, prices => { 'first/m' => \@price }) ], [],
        'each answer has one, and the sums are equal');
    main::is($t->pg->count('llm_cost_events_attempts'), scalar @served, 'and an attempt');
}

run_tests();

__DATA__

=== nothing fails
--- workers: 2
--- http_config eval: main::http('%%pg_dsn%%')
--- config eval: main::location()
--- after
my @answers = main::serve($t, 20);
main::provide($t, 100);
push @answers, main::finish(main::begin($t, 100));
is(scalar @answers, 120, 'all are answered');
main::check($t, @answers);

=== it is not there when nginx starts
--- http_config eval: main::http('%%pg_dsn%%')
--- config eval: main::location()
--- init: $t->pg->stop
--- after
my @answers = main::serve($t, 10);
ok((wait_until { $t->error_log =~ /\[warn\].*llm: postgres took no rows/ } 5), 'it is told');
$t->pg->start;
main::check($t, @answers);

=== it is stopped in the middle
--- workers: 2
--- http_config eval: main::http('%%pg_dsn%%')
--- config eval: main::location()
--- after
my @answers = main::serve($t, 5);
ok(wait_for_rows($t, 5), 'five rows');
$t->pg->stop;
push @answers, main::serve($t, 20);
$t->pg->start;
push @answers, main::serve($t, 5);
main::check($t, @answers);

=== it crashes while it writes
--- workers: 2
--- http_config eval: main::http('%%pg_dsn%%')
--- config eval: main::location()
--- after
my @answers = main::serve($t, 5);
ok(wait_for_rows($t, 5), 'five rows');
main::provide($t, 60);
my @clients = main::begin($t, 60);
$t->pg->stop('QUIT');
push @answers, main::finish(@clients);
is(scalar @answers, 65, 'all are answered');
$t->pg->start;
main::check($t, @answers);

=== its connections are ended, again and again
--- http_config eval: main::http('%%pg_dsn%%')
--- config eval: main::location()
--- after
my @answers;
for (1 .. 5) {
    push @answers, main::serve($t, 4);
    wait_until { $t->pg->connections } 2;
    $t->pg->disconnect;
}
main::check($t, @answers);

=== somebody holds a lock on the table
--- workers: 2
--- http_config eval: main::http('%%pg_dsn%%')
--- config eval: main::location()
--- after
my @answers = main::serve($t, 5);
ok(wait_for_rows($t, 5), 'five rows');
$t->pg->lock_table;
push @answers, main::serve($t, 20);
# The server has been asked, and gives up waiting.
ok((wait_until { $t->error_log =~ /\[warn\].*lock/ } 15), 'it is told');
push @answers, main::serve($t, 5);
$t->pg->unlock;
main::check($t, @answers);

=== it is read-only
--- http_config eval: main::http('%%pg_dsn%%')
--- config eval: main::location()
--- after
my @answers = main::serve($t, 5);
ok(wait_for_rows($t, 5), 'five rows');
$t->pg->read_only(1);
push @answers, main::serve($t, 10);
ok((wait_until { $t->error_log =~ /\[warn\].*read-only/ } 15), 'it is told');
$t->pg->read_only(0);
main::check($t, @answers);

=== its table is of an older version: what is missing is added
--- http_config eval: main::http('%%pg_dsn%%')
--- config eval: main::location()
--- init
$t->pg->query(q(CREATE TABLE llm_cost_events (event_id text PRIMARY KEY, provider text, model text,
    total_cost numeric, mine text DEFAULT 'kept')));
$t->pg->query(q(INSERT INTO llm_cost_events (event_id, total_cost) VALUES ('old', 1)));
$t->pg->query('ALTER TABLE llm_cost_events OWNER TO gateway');
--- after
my @answers = main::serve($t, 3);
ok((wait_until { $t->pg->count == 4 } 20), 'rows beside the old one');
is($t->pg->value(q(SELECT mine FROM llm_cost_events WHERE event_id = 'old')), 'kept', 'which is as it was');
$t->pg->query(q(DELETE FROM llm_cost_events WHERE event_id = 'old'));
main::check($t, @answers);

=== a column is of another kind: the rows wait until that is put right
--- http_config eval: main::http('%%pg_dsn%%')
--- config eval: main::location()
--- init
$t->pg->query('CREATE TABLE llm_cost_events (event_id text PRIMARY KEY, total_cost boolean)');
$t->pg->query('ALTER TABLE llm_cost_events OWNER TO gateway');
--- after
my @answers = main::serve($t, 5);
ok((wait_until { $t->error_log =~ /\[warn\].*total_cost/ } 15), 'it names the column');
is($t->pg->count, 0, 'no rows');
$t->pg->query('DROP TABLE llm_cost_events');
main::check($t, @answers);

=== the role may not create tables: the rows wait until somebody does
--- http_config eval: main::http('%%pg_dsn%%', 'llm_cost_table billing.events;')
--- config eval: main::location()
--- init: $t->pg->query('CREATE SCHEMA billing')
--- after
my @answers = main::serve($t, 5);
ok((wait_until { $t->error_log =~ /\[warn\].*billing/ } 15), 'it is told');
$t->pg->query('GRANT ALL ON SCHEMA billing TO gateway');
ok((wait_until { $t->pg->count('billing.events') == 5 } 60), 'five rows');
is($t->pg->count('billing.events_attempts'), 5, 'and attempts');

=== a row that it refuses for good is set aside, and the others go on
--- http_config eval: main::http('%%pg_dsn%%')
--- config eval: main::location()
--- after
my @answers = main::serve($t, 2);
ok(wait_for_rows($t, 2), 'two rows');
$t->pg->query(q(ALTER TABLE llm_cost_events ADD CONSTRAINT sane CHECK (user_id <> 'poison')));
$t->pg->lock_table;
push @answers, main::serve($t, 20);
my ($poison) = main::serve($t, 1, 'X-User: poison');
push @answers, main::serve($t, 20);
$t->pg->unlock;
main::check($t, @answers);
ok((wait_until { -s $t->root . '/llm/journal/dead-letter.jsonl' } 5), 'there is a file');
my @letters = split /\n/, $t->read_file('llm/journal/dead-letter.jsonl');
is(scalar @letters, 1, 'with one line');
my $letter = JSON::PP::decode_json($letters[0]);
is($letter->{event}{event_id}, event_id($poison), 'the request');
like($letter->{reason}, qr/sane/, 'and the reason');
like($t->error_log, qr/\[warn\].*dead-letter/, 'the log tells of it');

=== the connection is cut when it has committed, before nginx hears of it
--- http_config eval: main::http('%%pg_cut_dsn%%')
--- config eval: main::location()
--- after
my @answers = main::serve($t, 2);
ok(wait_for_rows($t, 2), 'two rows');
$t->pg->cut->after('COMMIT', 3);
push @answers, main::serve($t, 10);
ok((wait_until { $t->pg->cut->count >= 1 } 10), 'cut once');
push @answers, main::serve($t, 10);
ok((wait_until { $t->pg->cut->count >= 3 } 30), 'and twice more');
push @answers, main::serve($t, 1);
main::check($t, @answers);

=== a worker is killed
--- workers: 2
--- http_config eval: main::http('%%pg_dsn%%')
--- config eval: main::location()
--- expected_alert
exited on signal 9
--- after
my @answers = main::serve($t, 10);
$t->pg->lock_table if wait_for_rows($t, 10);
push @answers, main::serve($t, 20);
my @pids = $t->nginx->worker_pids;
kill KILL => @pids;
wait_until { $t->nginx->worker_pids == 4 } 5;
push @answers, main::serve($t, 10);
$t->pg->unlock;
# The new workers take over what the dead ones have left.
main::check($t, @answers);

=== a worker is killed while it serves
--- workers: 2
--- http_config eval: main::http('%%pg_dsn%%')
--- config eval: main::location()
--- expected_alert
exited on signal 9
--- after
my @answers = main::serve($t, 10);
main::provide($t, 40, delay_ms => 500);
my @clients = main::begin($t, 40);
wait_until { $t->mock->state('first')->{requests} == 50 } 5;
$t->kill_worker;
push @answers, main::finish(@clients);
$t->mock->forget;
push @answers, main::serve($t, 10);
ok(@answers >= 20, @answers . ' were answered');
main::check($t, @answers);

=== all of nginx is killed in the middle of a batch
--- workers: 2
--- http_config eval: main::http('%%pg_dsn%%')
--- config eval: main::location()
--- after
my @answers = main::serve($t, 5);
ok(wait_for_rows($t, 5), 'five rows');
$t->pg->lock_table;
push @answers, main::serve($t, 30);
# A statement of the batch waits for the lock.
ok((wait_until { $t->pg->value(q(SELECT count(*) FROM pg_stat_activity
    WHERE usename = 'gateway' AND wait_event_type = 'Lock')) } 15), 'a batch is under way');
is($t->nginx->stop('kill9'), undef, 'killed');
$t->pg->unlock;
is($t->nginx->start, undef, 'started');
main::check($t, @answers);

=== reloads under load
--- workers: 2
--- http_config eval: main::http('%%pg_dsn%%')
--- config eval: main::location()
--- after
my @answers;
for (1 .. 4) {
    main::provide($t, 20, delay_ms => 300);
    my @clients = main::begin($t, 20);
    wait_until { $t->mock->state('first')->{running} } 5;
    $t->reload;
    push @answers, main::finish(@clients);
    push @answers, main::serve($t, 5);
}
is(scalar @answers, 100, 'all are answered');
main::check($t, @answers);

=== nginx quits while the database hangs: in bounded time, and the next start has the rows
--- workers: 2
--- http_config eval: main::http('%%pg_dsn%%')
--- config eval: main::location()
--- after
my @answers = main::serve($t, 5);
ok(wait_for_rows($t, 5), 'five rows');
$t->pg->lock_table;
push @answers, main::serve($t, 10);
main::provide($t, 10, delay_ms => 300);
my @clients = main::begin($t, 10);
wait_until { $t->mock->state('first')->{running} == 10 } 5;
kill QUIT => $t->nginx->{pid};
push @answers, main::finish(@clients);
my $begin = now();
is($t->nginx->stop, undef, 'it ends by itself');
ok(now() - $begin < 4 * scale(), 'soon');
is(scalar @answers, 25, 'all are answered');
$t->pg->unlock;
is($t->nginx->start, undef, 'it starts');
main::check($t, @answers);

=== several backends: what one lacks does not stop the other
--- http_config eval: main::http('%%pg_dsn%%') =~ s/llm_cost_backend postgres/llm_cost_backend sqlite postgres log/r
--- config eval: main::location()
--- init: $t->pg->stop
--- after
my @answers = main::serve($t, 5);
# There is a file before there is a table.
my $rows = sub { scalar @{ [ eval { $t->sqlite('SELECT 1 FROM llm_cost_events') } ] } };
ok((wait_until { $rows->() == 5 } 10), 'SQLite has them');
ok((wait_until { (() = $t->read_file('llm/journal/cost.jsonl') =~ /\n/g) == 5 } 10), 'so has the file');
$t->pg->start;
main::check($t, @answers);
