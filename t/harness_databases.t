# The harness's databases, and the end of nginx without a last word, on an nginx that does without our
# module.

use Test::LLM 'no_plan';

# What the role that nginx uses gets from a server, by its DSN; all that psql says.
sub as_gateway {
    my ($t, $dsn, $sql) = @_;
    my $file = $t->root . '/tmp/psql';
    system 'sh', '-c', 'exec psql -X -q -A -t "$1" -c "$2" >"$3" 2>&1 </dev/null', 'sh', $dsn, $sql,
        $file;
    return slurp($file);
}

run_tests();

__DATA__
=== a block has a database of its own, which nginx's role owns
--- user_files
>>> dsn
%%pg_dsn%%
--- after
my $dsn = $t->read_file('dsn') =~ s/\n//r;
is(main::as_gateway($t, $dsn, 'CREATE TABLE a (b int, c text); INSERT INTO a VALUES (1, NULL)'), '',
    'the role may create tables');
is_deeply([ $t->pg->query('SELECT b, c FROM a') ], [ [ 1, undef ] ], 'rows');
is($t->pg->count('a'), 1, 'their number');
is($t->pg->count('nothing'), 0, 'a table that is not there has none');
is_deeply([ $t->pg->query(q(SELECT E'x\ny', '')) ], [ [ "x\ny", '' ] ], 'any text');
isnt(main::as_gateway($t, $dsn, 'CREATE DATABASE other'), '', 'the role may do no more');
isnt(main::as_gateway($t, $dsn =~ s/password=\S+//r, 'SELECT 1'), "1\n", 'it needs its password');

=== the next block finds nothing of it
--- user_files
>>> dsn
%%pg_dsn%%
--- after
is($t->pg->count('a'), 0, 'no table');

=== a server can be stopped and started
--- user_files
>>> dsn
%%pg_dsn%%
--- after
my $dsn = $t->read_file('dsn') =~ s/\n//r;
$t->pg->stop;
like(main::as_gateway($t, $dsn, 'SELECT 1'), qr/refused/, 'nobody listens');
$t->pg->start;
is(main::as_gateway($t, $dsn, 'SELECT 1'), "1\n", 'it answers again');

=== a table can be locked
--- user_files
>>> dsn
%%pg_dsn%%
--- after
my $dsn = $t->read_file('dsn') =~ s/\n//r;
main::as_gateway($t, $dsn, 'CREATE TABLE a (b int)');
$t->pg->lock_table('a');
like(main::as_gateway($t, $dsn, 'SET lock_timeout = 50; INSERT INTO a VALUES (1)'),
    qr/lock timeout/, 'nobody else writes');
$t->pg->unlock;
is(main::as_gateway($t, $dsn, 'INSERT INTO a VALUES (1)'), '', 'until it is unlocked');

=== a database can be made read-only
--- user_files
>>> dsn
%%pg_dsn%%
--- after
my $dsn = $t->read_file('dsn') =~ s/\n//r;
$t->pg->read_only(1);
like(main::as_gateway($t, $dsn, 'CREATE TABLE a (b int)'), qr/read-only/, 'it refuses');
$t->pg->read_only(0);
is(main::as_gateway($t, $dsn, 'CREATE TABLE a (b int)'), '', 'and takes');

=== a connection can be cut between the commit and its answer
--- user_files
>>> dsn
%%pg_cut_dsn%%
--- after
my $dsn = $t->read_file('dsn') =~ s/\n//r;
is(main::as_gateway($t, $dsn, 'CREATE TABLE a (b int)'), '', 'others are not');
$t->pg->cut->after('INSERT');
isnt(main::as_gateway($t, $dsn, 'INSERT INTO a VALUES (1)'), '', 'the client hears of a failure');
is($t->pg->cut->count, 1, 'one connection');
is($t->pg->count('a'), 1, 'the row is there');
is(main::as_gateway($t, $dsn, 'INSERT INTO a VALUES (1)'), '', 'the next one passes');

=== rows in a file of SQLite
--- after
is_deeply([ $t->sqlite('SELECT 1') ], [], 'no file, no rows');
spew($t->root . '/x.db', '');
$t->sqlite('CREATE TABLE a (b, c)', 'x.db');
$t->sqlite(q(INSERT INTO a VALUES (1, NULL), ('', 'x' || char(10) || 'y')), 'x.db');
is_deeply([ $t->sqlite('SELECT b, c FROM a', 'x.db') ], [ [ 1, undef ], [ '', "x\ny" ] ], 'rows');
ok(!eval { $t->sqlite('SELECT nothing', 'x.db'); 1 }, 'an error is one');

=== nginx is killed whole and starts again
--- workers: 2
--- config
    location / { return 200 ok; }
--- requests
GET /
>>> restart kill9
GET /
--- after
my @pids = ($t->nginx->{pid}, $t->nginx->worker_pids);
is($t->nginx->stop('kill9'), undef, 'no problem');
is_deeply([ grep { slurp("/proc/$_/stat") =~ /\) [^ZX]/ } @pids ], [], 'no process is left');
is($t->nginx->start, undef, 'it starts');
