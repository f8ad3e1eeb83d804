package Test::LLM::Nginx;

# One nginx in a folder of its own: its configuration, its start, its reloads and its end, and what
# its error log says about them.

use strict;
use warnings;

use POSIX qw(WNOHANG);
use Test::LLM::Memory;
use Test::LLM::Util qw(slurp spew wait_until);

# Fields: root, port, http2_port (only if the block uses it), env, sections (main_config,
# http_config, config, events, nginx_conf), workers, log_level.
sub new {
    my ($class, %field) = @_;
    my $self = bless { workers => 1, log_level => 'info', started_at => 0, %field }, $class;
    mkdir "$self->{root}/$_" for '', 'logs', 'tmp';
    $self->configure;
    return $self;
}

# Debian's is not on everybody's PATH.
sub binary {
    return $ENV{TEST_LLM_NGINX} if $ENV{TEST_LLM_NGINX};
    my ($found) = grep { -x } map {"$_/nginx"} split(/:/, $ENV{PATH}), '/usr/sbin';
    return $found // 'nginx';
}

sub load_module { $ENV{TEST_LLM_MODULE} ? "load_module $ENV{TEST_LLM_MODULE};" : '' }

my $version;

# 1.25.1 has "http2 on", which the older nginx does not know and the newer wants.
sub http2_lines {
    my ($port) = @_;
    return '' if !$port;
    if (!$version) {
        my $text = qx("@{[binary()]}" -v 2>&1);
        $version = sprintf '%03d%03d%03d', $text =~ m{nginx/(\d+)\.(\d+)\.(\d+)};
    }
    return $version ge '001025001'
        ? "listen 127.0.0.1:$port;\n        http2 on;"
        : "listen 127.0.0.1:$port http2;";
}

sub configure {
    my ($self) = @_;
    my %section
        = map { $_ => $self->{sections}{$_} // '' } qw(main_config events http_config config);
    if (defined $self->{sections}{nginx_conf}) {
        spew("$self->{root}/nginx.conf", "$self->{sections}{nginx_conf}\n");
        return;
    }
    my $user       = $> == 0 ? 'user root;' : '';
    my $temp_paths = join "\n    ",
        map {"${_}_temp_path tmp/$_;"} qw(client_body proxy fastcgi uwsgi scgi);
    my $http2 = http2_lines($self->{http2_port});
    # The test's own log format, if it has one, is used without a further line.
    my ($format) = $section{http_config} =~ /^\s*log_format\s+(\S+)/m;
    my $access_log = join ' ', 'access_log logs/access.log', grep {defined} $format;
    $access_log = $section{http_config} =~ /^\s*access_log\s/m ? '' : "$access_log;";
    spew("$self->{root}/nginx.conf", <<"CONF");
@{[load_module()]}
$user
daemon off;
worker_processes $self->{workers};
pid logs/nginx.pid;
error_log logs/error.log $self->{log_level};
$section{main_config}
events {
    worker_connections 1024;
    $section{events}
}
http {
    $temp_paths
$section{http_config}
    $access_log
    server {
        listen 127.0.0.1:$self->{port};
        $http2
        server_name localhost;
$section{config}
    }
}
CONF
}

sub spawn {
    my ($self, $output, @arguments) = @_;
    my $root = $self->{root};
    # A test that is killed must not leave nginx behind.
    my @guard = -x '/usr/bin/setpriv' ? qw(/usr/bin/setpriv --pdeathsig TERM) : ();
    my @command = (
        @guard, Test::LLM::Memory::prefix("$root/logs"),
        binary(), '-p', "$root/", '-c', "$root/nginx.conf", '-e', 'logs/error.log', @arguments,
    );
    if (defined $self->{sections}{nginx_conf}) {
        push @command, '-g', "daemon off; pid $root/logs/nginx.pid;";
    }
    # Of the environment only what a program needs to run: a test shows its whole world.
    my @kept = grep { exists $ENV{$_} }
        qw(PATH HOME TMPDIR LD_LIBRARY_PATH LD_PRELOAD RUST_BACKTRACE);
    my %environment = (
        (map { $_ => $ENV{$_} } @kept), TZ => 'UTC', Test::LLM::Memory::environment("$root/logs"),
        %{ $self->{env} // {} },
    );
    my $pid = fork // die "fork: $!\n";
    return $pid if $pid;
    %ENV = %environment;
    open STDIN,  '<',  '/dev/null';
    open STDOUT, '>>', "$root/logs/$output";
    open STDERR, '>&', \*STDOUT;
    exec { $command[0] } @command or POSIX::_exit(127);
}

# nginx -t: its exit status as a word ("0", "1", "signal 11") and what it printed.
sub test {
    my ($self) = @_;
    my $pid = $self->spawn('test.txt', '-t');
    waitpid $pid, 0;
    return (status_word($?), slurp("$self->{root}/logs/test.txt"));
}

sub status_word {
    my ($status) = @_;
    return $status & 127 ? 'signal ' . ($status & 127) : $status >> 8;
}

# Returns a problem, or nothing. The pid file appears after nginx has opened its listeners and
# installed its signal handlers.
sub start {
    my ($self) = @_;
    unlink "$self->{root}/logs/nginx.pid";
    for (1 .. 10) {
        $self->{started_at} = -s "$self->{root}/logs/error.log" || 0;
        $self->{pid} = $self->spawn('stderr.txt');
        my $busy = 0;
        my $up   = wait_until {
            return 1 if -s "$self->{root}/logs/nginx.pid" || $self->gone;
            return $busy = $self->log =~ /Address already in use/;
        } 10;
        if ($self->gone) {
            my $status = status_word(delete $self->{status});
            return "nginx did not start ($status):\n" . slurp("$self->{root}/logs/stderr.txt");
        }
        return if $up && !$busy;
        # Some other program took the port in the meantime; it may give it back.
        $self->force;
        unlink "$self->{root}/logs/error.log";
    }
    return "nginx did not start:\n" . slurp("$self->{root}/logs/error.log");
}

# True when the main process has ended; its status is kept.
sub gone {
    my ($self) = @_;
    return 1 if !$self->{pid};
    return 0 if waitpid($self->{pid}, WNOHANG) != $self->{pid};
    $self->{status} = $?;
    delete $self->{pid};
    return 1;
}

# The error log since the last start.
sub log {
    my ($self) = @_;
    return substr slurp("$self->{root}/logs/error.log"), $self->{started_at};
}

sub worker_pids {
    my ($self) = @_;
    my @pids = $self->log =~ /start worker process (\d+)/g;
    return @pids;
}

# Sends SIGHUP; returns when the new workers run and the old ones no longer accept.
sub reload {
    my ($self) = @_;
    wait_until { $self->worker_pids >= $self->{workers} } 5;
    my $offset = length $self->log;
    my $problem;
    kill HUP => $self->{pid};
    my $done = wait_until {
        my $since = substr $self->log, $offset;
        return $problem = 'the new configuration was refused' if $since =~ /\[emerg\]/;
        my $new = () = $since =~ /start worker process \d+/g;
        my $old = () = $since =~ /gracefully shutting down/g;
        return $new >= $self->{workers} && $old >= $self->{workers};
    } 10;
    return $problem // ($done ? () : 'nginx did not reload in time');
}

# Ends nginx and returns what was wrong with that.
sub stop {
    my ($self, $signal) = @_;
    return 'nginx had ended by itself: ' . status_word($self->{status} // 0) if $self->gone;
    return $self->kill_all if ($signal // '') eq 'kill9';
    kill $signal // 'QUIT' => $self->{pid};
    if (!wait_until { $self->gone } 5) {
        $self->force;
        return 'nginx did not shut down gracefully within 5 s';
    }
    my $status = delete $self->{status};
    return if $status == 0;
    return 'nginx ended with ' . status_word($status);
}

# No process gets to say a last word.
sub kill_all {
    my ($self) = @_;
    my @workers = $self->worker_pids;
    kill KILL => $self->{pid}, @workers;
    wait_until { $self->gone } 5;
    delete $self->{status};
    # One that is dead and that nobody has waited for holds nothing any more.
    my $runs = sub { slurp("/proc/$_[0]/stat") =~ /\) [^ZX]/ };
    return if wait_until { !grep { $runs->($_) } @workers } 5;
    return 'a killed worker goes on';
}

sub force {
    my ($self) = @_;
    return if !$self->{pid};
    my @workers = $self->worker_pids;
    kill TERM => $self->{pid};
    return if wait_until { $self->gone } 1;
    kill KILL => $self->{pid}, @workers;
    wait_until { $self->gone } 5;
}

# Ends one worker the hard way and waits for the one that takes its place.
sub kill_worker {
    my ($self, $signal) = @_;
    wait_until { $self->worker_pids >= $self->{workers} } 5;
    my @before = $self->worker_pids;
    kill $signal // 'KILL' => $before[-1];
    return if wait_until { $self->worker_pids > @before } 5;
    return 'no worker took the place of the killed one';
}

1;
