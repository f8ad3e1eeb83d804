package Test::LLM::Postgres;

# A real PostgreSQL of a test file's own, started for the first block that asks for it, with a database
# for each block. nginx connects as an ordinary role that owns only that database; the test itself as the
# superuser, through a socket in the test's folder, also when nginx cannot connect at all.

use strict;
use warnings;

use IO::Handle;
use POSIX qw(WNOHANG);
use Test::LLM::Cut;
use Test::LLM::Util qw(reserve_port slurp table wait_until);

# What nginx has to present; as every secret in a test it must not be in any log.
my $password = 'sk-postgres-SECRET-1';

# Field: folder, the test file's.
sub new {
    my ($class, $folder) = @_;
    my $self = bless { root => "$folder/postgres", port => reserve_port() }, $class;
    mkdir $self->{root} or die "mkdir $self->{root}: $!\n";
    if ($> == 0) {
        my ($uid, $gid) = (getpwnam 'postgres')[ 2, 3 ];
        defined $uid or die "PostgreSQL refuses to run as root, and there is no user \"postgres\"\n";
        chown $uid, $gid, $self->{root} or die "chown $self->{root}: $!\n";
    }
    $self->initialize;
    return $self;
}

my $binaries;

# Debian keeps the server's binaries off the PATH.
sub binaries {
    my ($folder) = sort { version($b) <=> version($a) }
        grep { -x "$_/initdb" && -x "$_/postgres" }
        glob('/usr/lib/postgresql/*/bin'), split /:/, $ENV{PATH};
    return $folder // die "there is no PostgreSQL server: install the package \"postgresql\"\n";
}

sub version { $_[0] =~ m{/(\d+)/bin\z} ? $1 : 0 }

# PostgreSQL refuses to run as root.
sub as_postgres {
    return $> == 0 ? qw(setpriv --reuid postgres --regid postgres --init-groups) : 'setpriv';
}

sub initialize {
    my ($self) = @_;
    $binaries //= binaries();
    $self->run(
        as_postgres(), "$binaries/initdb", '--pgdata', "$self->{root}/data", '--username', 'postgres',
        '--auth-local', 'trust', '--auth-host', 'scram-sha-256', '--encoding', 'UTF8',
        '--no-locale', '--no-sync', '--no-instructions',
    );
    $self->start;
    $self->admin("CREATE ROLE gateway LOGIN PASSWORD '$password'");
}

sub run {
    my ($self, @command) = @_;
    my $pid = fork // die "fork: $!\n";
    if (!$pid) {
        open STDIN,  '<',  '/dev/null';
        open STDOUT, '>>', "$self->{root}.log";
        open STDERR, '>&', \*STDOUT;
        exec { $command[0] } @command or POSIX::_exit(127);
    }
    waitpid $pid, 0;
    $? == 0 or die "$command[0] failed:\n", slurp("$self->{root}.log");
}

# --- the server -------------------------------------------------------------------------------

# Returns when it answers. A test that is killed takes it along. What it writes need not survive the
# machine.
sub start {
    my ($self) = @_;
    return if $self->{pid};
    $self->{pid} = fork // die "fork: $!\n";
    if (!$self->{pid}) {
        open STDIN,  '<',  '/dev/null';
        open STDOUT, '>>', "$self->{root}.log";
        open STDERR, '>&', \*STDOUT;
        chdir '/';
        my @command = (
            as_postgres(), '--pdeathsig', 'QUIT', "$binaries/postgres", '-D', "$self->{root}/data",
            '-k', $self->{root}, '-p', $self->{port}, '-h', '127.0.0.1', '-F',
            '-c', 'max_connections=64', '-c', 'shared_buffers=16MB', '-c', 'autovacuum=off',
        );
        exec { $command[0] } @command or POSIX::_exit(127);
    }
    my $ready = wait_until {
        return 1 if waitpid($self->{pid}, WNOHANG) == $self->{pid};
        return system("$binaries/pg_isready -q -U postgres -h $self->{root} -p $self->{port}") == 0;
    } 20;
    return if $ready && kill 0 => $self->{pid};
    die "PostgreSQL did not start:\n", slurp("$self->{root}.log");
}

# Ends it and every connection, as a failover or a maintenance does; "KILL" is a crash.
sub stop {
    my ($self, $signal) = @_;
    my $pid = delete $self->{pid} // return;
    delete $self->{lock};
    kill $signal // 'INT' => $pid;
    return if wait_until { waitpid($pid, WNOHANG) == $pid } 10;
    kill KILL => $pid;
    waitpid $pid, 0;
}

# --- a block's database -----------------------------------------------------------------------

# A database for the block that begins; whatever the last one did to the server is undone.
sub prepare {
    my ($self, $name) = @_;
    $self->start;
    $self->{database} = $name;
    $self->admin("CREATE DATABASE $name OWNER gateway TEMPLATE template0");
}

sub finish {
    my ($self) = @_;
    $self->unlock;
    (delete $self->{cut})->stop if $self->{cut};
    $self->start;
    $self->admin("DROP DATABASE IF EXISTS $self->{database} WITH (FORCE)");
    delete $self->{database};
}

# How nginx reaches it: directly, or through a connection that can be cut.
sub dsn {
    my ($self, $port) = @_;
    $port //= $self->{port};
    return "host=127.0.0.1 port=$port dbname=$self->{database} user=gateway password=$password "
        . 'sslmode=disable';
}

sub cut { $_[0]{cut} //= Test::LLM::Cut->start($_[0]{root}, $_[0]{port}) }

sub cut_dsn { $_[0]->dsn($_[0]->cut->port) }

# --- for the Perl code in a block -------------------------------------------------------------

# The rows that the statements return, each a reference to an array; undef is NULL.
sub query {
    my ($self, $sql) = @_;
    return $self->rows($self->{database}, $sql);
}

# The first column of the first row.
sub value {
    my ($self, $sql) = @_;
    my ($row) = $self->query($sql);
    return $row && $row->[0];
}

# As long as the table is not there it has no rows.
sub count {
    my ($self, $table) = @_;
    $table //= 'llm_cost_events';
    return 0 if !defined $self->value("SELECT to_regclass('$table')");
    return $self->value("SELECT count(*) FROM $table");
}

# Nobody else reads or writes the table until unlock.
sub lock_table {
    my ($self, $table) = @_;
    $table //= 'llm_cost_events';
    $self->unlock;
    my $output = "$self->{root}.lock";
    unlink $output;
    open my $psql, '|-', 'sh', '-c', 'out=$1; shift; exec "$@" >"$out" 2>&1', 'sh', $output,
        $self->psql($self->{database})
        or die "cannot run psql: $!\n";
    $psql->autoflush(1);
    print {$psql} "BEGIN; LOCK TABLE $table IN ACCESS EXCLUSIVE MODE;\nSELECT 'locked';\n";
    wait_until { slurp($output) =~ /locked/ } 10 or die "cannot lock $table: ", slurp($output), "\n";
    $self->{lock} = $psql;
}

sub unlock {
    my ($self) = @_;
    my $psql = delete $self->{lock} // return;
    close $psql;
}

# Whether the database refuses to be written to. It holds for new connections, so that those there are
# end.
sub read_only {
    my ($self, $on) = @_;
    my $word = $on ? 'on' : 'off';
    $self->admin("ALTER DATABASE $self->{database} SET default_transaction_read_only = $word");
    $self->disconnect;
}

# Ends nginx's connections.
sub disconnect {
    my ($self) = @_;
    $self->admin('SELECT pg_terminate_backend(pid) FROM pg_stat_activity '
        . "WHERE datname = '$self->{database}' AND usename = 'gateway'");
}

# How many nginx has.
sub connections {
    my ($self) = @_;
    return $self->admin('SELECT count(*) FROM pg_stat_activity '
        . "WHERE datname = '$self->{database}' AND usename = 'gateway'")->[0];
}

sub admin {
    my ($self, $sql) = @_;
    my ($row) = $self->rows('postgres', $sql);
    return $row;
}

# --- psql -------------------------------------------------------------------------------------

sub psql {
    my ($self, $database) = @_;
    return (
        "$binaries/psql", '-X', '-q', '-A', '-t', '-F', "\x1f", '-R', "\x1e", '-P', "null=\x01",
        '-v', 'ON_ERROR_STOP=1', '-h', $self->{root}, '-p', $self->{port}, '-U', 'postgres',
        '-d', $database,
    );
}

sub rows {
    my ($self, $database, $sql) = @_;
    return table([ $self->psql($database), '-c', $sql ], "$self->{root}.psql");
}

1;
