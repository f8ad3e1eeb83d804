# The journal: every event is in it before any database hears of it; it has a size, and the operator says
# what happens when it is full.

use Test::LLM 'no_plan';

use Test::LLM::Ledger;

# Eight kilobytes for each event.
sub large_tags { return CORE::join '', map {"llm_cost_tag t$_ \$http_x_tag;\n"} 1 .. 32 }

sub ask { return $_[0]->request(qq(POST /v1/chat/completions\n{"model":"m"}), 'X-Tag: ' . 'x' x 256) }

my @mounts;

# A disk of so many kilobytes below the block's folder; false if this machine does not let us.
sub small_disk {
    my ($t, $folder, $kilobytes) = @_;
    my $path = $t->root . "/$folder";
    File::Path::make_path($path);
    return 0 if $> != 0;
    return 0 if system "mount -t tmpfs -o size=${kilobytes}k,mode=0777 none '$path' 2>/dev/null";
    push @mounts, $path;
    return 1;
}

sub unmount { system 'umount', '-l', $_ for splice @mounts }

END { unmount() }

run_tests();

__DATA__

=== what no database takes stays in it, over a restart and a kill
--- http_config
    upstream one { server %%first%%; }
    llm_cost_rate first * 1 1;
    llm_cost_backend postgres;
    llm_cost_dsn "%%pg_dsn%%";
    llm_cost_journal events/here;
--- init: $t->pg->stop
--- config
    llm_proxy_route first one;
    llm_proxy_default_provider first;
    location /v1/ { llm_proxy; llm_cost; proxy_pass http://$llm_provider_upstream; }
--- requests
POST /v1/chat/completions
{"model":"m"}
>>> restart
POST /v1/chat/completions
{"model":"m"}
>>> restart kill9
POST /v1/chat/completions
{"model":"m"}
--- after
ok(@{ [ glob $t->root . '/events/here/*' ] } > 0, 'there are files');
ok(!-e $t->root . '/llm/journal', 'in the folder that the operator said');
$t->pg->start;
ok(wait_for_rows($t, 3, 60), 'three rows');
is_deeply([ ledger_problems($t, answers => [ $t->answers ], prices => { 'first/m' => [ 1, 1 ] }) ], [],
    'as the clients saw it');

=== full, drop: the newest are lost, counted and told of; requests go on
--- http_config eval
q(upstream one { server %%first%%; }
    log_format cost '$status $llm_cost_status';
    llm_cost_rate first * 1 1;
    llm_cost_backend postgres;
    llm_cost_dsn "%%pg_dsn%%";
    llm_cost_journal llm/journal max=1m;
) . main::large_tags()
--- init: $t->pg->stop
--- config
    llm_proxy_route first one;
    llm_proxy_default_provider first;
    location /v1/ { llm_proxy; llm_cost; proxy_pass http://$llm_provider_upstream; }
--- after
my @answers = map { main::ask($t) } 1 .. 200;
is_deeply([ grep { $_->{status} ne '200' } @answers ], [], 'all are served');
my @status = map {/^200 (\w+)$/} split /\n/, $t->access_log;
my @failed = grep { $status[$_] eq 'persist_failed' } 0 .. $#status;
my @kept   = grep { $status[$_] eq 'recorded' } 0 .. $#status;
is(@failed + @kept, 200, 'each is kept or said to be lost');
ok(@failed > 20 && @kept > 50, @kept . ' are kept');
is_deeply(\@failed, [ @kept .. 199 ], 'the newest are lost');
like($t->error_log, qr/journal is full, raise max= of "llm_cost_journal"/, 'the log says so');
my $bytes = 0;
$bytes += -s for glob $t->root . '/llm/journal/*';
ok($bytes < 1.3 * 2**20, "it holds $bytes bytes");
$t->pg->start;
ok(wait_for_rows($t, scalar @kept, 60), 'what was kept becomes rows');
is_deeply([ ledger_problems($t, answers => [ @answers[@kept] ], prices => { 'first/m' => [ 1, 1 ] }) ],
    [], 'those very ones');
ok((wait_until { main::ask($t); $t->access_log =~ /recorded\n\z/ } 20), 'there is room again');

=== full, deny: new requests are refused before they are sent
--- http_config eval
q(upstream one { server %%first%%; }
    log_format cost '$status $llm_cost_status';
    llm_cost_rate first * 1 1;
    llm_cost_backend postgres;
    llm_cost_dsn "%%pg_dsn%%";
    llm_cost_journal llm/journal max=1m full=deny;
) . main::large_tags()
--- init: $t->pg->stop
--- config
    llm_proxy_route first one;
    llm_proxy_default_provider first;
    location /v1/ { llm_proxy; llm_cost; proxy_pass http://$llm_provider_upstream; }
    location /free/ { llm_proxy; proxy_pass http://$llm_provider_upstream; }
--- after
my @answers;
for (1 .. 300) {
    push @answers, main::ask($t);
    last if $answers[-1]{status} ne '200';
}
my $refused = pop @answers;
is($refused->{status}, '503', 'refused after ' . @answers);
is(JSON::PP::decode_json($refused->{body})->{error}{code}, 'cost_journal_full', 'the reason');
like(header($refused, 'retry-after'), qr/\A[1-9]\d*\z/, 'with Retry-After');
is($t->mock->state('first')->{requests}, scalar @answers, 'nothing was sent');
unlike($t->access_log, qr/persist_failed/, 'nothing was lost');
is($t->request(qq(POST /free/v1/chat/completions\n{"model":"m"}))->{status}, '200', 'what costs nothing passes');
$t->pg->start;
ok(wait_for_rows($t, scalar @answers, 60), 'all that were served become rows');
ok((wait_until { main::ask($t)->{status} eq '200' } 20), 'there is room again');

=== the disk is full: what does not fit is told of, and nothing is torn
--- http_config eval
q(upstream one { server %%first%%; }
    log_format cost '$status $llm_cost_status';
    llm_cost_rate first * 1 1;
    llm_cost_backend postgres;
    llm_cost_dsn "%%pg_dsn%%";
    llm_cost_journal disk/journal;
) . main::large_tags()
--- config
    llm_proxy_route first one;
    llm_proxy_default_provider first;
    location /v1/ { llm_proxy; llm_cost; proxy_pass http://$llm_provider_upstream; }
--- init
$t->pg->stop;
$main::mounted = main::small_disk($t, 'disk', 512);
--- after
SKIP: {
    skip('no small disk without the right to mount', 1) if !$main::mounted;
    my @answers = map { main::ask($t) } 1 .. 100;
    is_deeply([ grep { $_->{status} ne '200' } @answers ], [], 'all are served');
    my @status = map {/^200 (\w+)$/} split /\n/, $t->access_log;
    my @kept   = grep { $status[$_] eq 'recorded' } 0 .. $#status;
    my @failed = grep { $status[$_] eq 'persist_failed' } 0 .. $#status;
    ok(@kept > 20 && @failed > 20, @kept . ' were kept');
    is(@kept + @failed, 100, 'the others said to be lost');
    $t->pg->start;
    ok(wait_for_rows($t, scalar @kept, 60), 'what was kept becomes rows');
    is_deeply([ ledger_problems($t, answers => [ @answers[@kept] ], prices => { 'first/m' => [ 1, 1 ] }) ],
        [], 'those very ones');
    ok((wait_until { main::ask($t); $t->access_log =~ /recorded\n\z/ } 20), 'there is room again');
}
--- after_stop: main::unmount()

=== a damaged file costs what was damaged, not what is behind it
--- http_config
    upstream one { server %%first%%; }
    llm_cost_rate first * 1 1;
    llm_cost_backend postgres;
    llm_cost_dsn "%%pg_dsn%%";
--- config
    llm_proxy_route first one;
    llm_proxy_default_provider first;
    location /v1/ { llm_proxy; llm_cost; proxy_pass http://$llm_provider_upstream; }
--- init: $t->pg->stop
--- after
main::ask($t) for 1 .. 10;
is($t->nginx->stop, undef, 'nginx ends');
my ($file) = glob $t->root . '/llm/journal/*.journal';
my $bytes = slurp($file);
substr($bytes, length($bytes) / 2, 1) ^= "\xff";
spew($file, $bytes . 'torn');
$t->pg->start;
is($t->nginx->start, undef, 'nginx starts');
ok((wait_until { $t->pg->count >= 9 } 60), 'nine rows of ten');
like($t->error_log, qr/\[warn\].*journal/, 'the log tells of it');

=== the folder cannot be made: it is told, and requests are served
--- user_files
>>> file
no folder
--- http_config
    upstream one { server %%first%%; }
    llm_cost_rate first * 1 1;
    llm_cost_journal file/journal;
--- config
    llm_proxy_route first one;
    llm_proxy_default_provider first;
    location /v1/ { llm_proxy; llm_cost; proxy_pass http://$llm_provider_upstream; }
--- request
POST /v1/chat/completions
{"model":"m"}
--- error_log
file/journal

=== nobody else may read it
--- http_config
    upstream one { server %%first%%; }
    llm_cost_rate first * 1 1;
    llm_cost_backend postgres;
    llm_cost_dsn "%%pg_dsn%%";
--- init: $t->pg->stop
--- config
    llm_proxy_route first one;
    llm_proxy_default_provider first;
    llm_ratelimit_rule all requests 5/m;
    location /v1/ { llm_proxy; llm_ratelimit; llm_cost; proxy_pass http://$llm_provider_upstream; }
--- request
POST /v1/chat/completions
{"model":"m"}
--- after
wait_until { -e $t->root . '/llm/state' } 5;
my @files = (glob($t->root . '/llm/journal/*.journal'), $t->root . '/llm/state');
is(scalar @files, 2, 'a journal and a checkpoint');
is_deeply([ map { sprintf '%o', (stat)[2] & 0777 } @files ], [ 600, 600 ], 'for their owner alone');

=== a size
--- http_config
    llm_cost_journal llm/journal max=10k;
--- must_fail
invalid max "10k" in "llm_cost_journal", give at least 1m such as 1g

=== a time
--- http_config
    llm_cost_journal llm/journal sync=soon;
--- must_fail
invalid sync "soon" in "llm_cost_journal", give a time such as 1s

=== drop or deny
--- http_config
    llm_cost_journal llm/journal full=wait;
--- must_fail
invalid full "wait" in "llm_cost_journal", it must be drop or deny

=== no other parameter
--- http_config
    llm_cost_journal llm/journal size=1g;
--- must_fail
invalid parameter "size=1g" in "llm_cost_journal", it must be max=, sync= or full=

=== each once
--- http_config
    llm_cost_journal llm/journal max=1g max=2g;
--- must_fail
duplicate max in "llm_cost_journal": "max=2g"
