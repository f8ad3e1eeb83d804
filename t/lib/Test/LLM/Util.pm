package Test::LLM::Util;

# What every part of the harness needs: files, time and ports.

use strict;
use warnings;

use Exporter 'import';
use List::Util qw(min);
use Socket;
use Time::HiRes qw(clock_gettime CLOCK_MONOTONIC);

our @EXPORT_OK = qw(slurp spew now scale wait_until pause duration reserve_port separated table tail);

sub slurp {
    my ($path) = @_;
    open my $file, '<:raw', $path or return '';
    local $/ = undef;
    return scalar(<$file>) // '';
}

sub spew {
    my ($path, $content) = @_;
    open my $file, '>:raw', $path or die "cannot write $path: $!\n";
    print {$file} $content;
    close $file or die "cannot write $path: $!\n";
}

sub now { clock_gettime(CLOCK_MONOTONIC) }

# Limits are generous on purpose and only ever reached by a failure, so that they may grow with
# the tool that slows nginx down.
sub scale { $ENV{TEST_LLM_SCALE} || ($ENV{TEST_LLM_VALGRIND} ? 15 : $ENV{TEST_LLM_ASAN} ? 4 : 1) }

# Returns what the condition returned, as soon as that is true or when the limit has passed.
sub wait_until(&$) {
    my ($condition, $limit_seconds) = @_;
    my $end = now() + $limit_seconds * scale();
    my $nap = 0.001;
    while (1) {
        my $result = $condition->();
        return $result if $result || now() > $end;
        pause($nap);
        $nap = min(0.02, $nap * 1.3);
    }
}

sub pause { select undef, undef, undef, $_[0] }

# "250ms", "2s", "2": seconds.
sub duration {
    my ($text) = @_;
    $text =~ /\A\s*([0-9.]+)\s*(ms|s|)\s*\z/ or die "\"$text\" is not a time\n";
    return $2 eq 'ms' ? $1 / 1000 : $1;
}

# The items of a section: separated by lines that start with ">>>", or, where the caller says so
# and there is no such line, by blank lines. An item may be empty.
sub separated {
    my ($text, $paragraphs) = @_;
    my @items
        = $text =~ /^>>>/m ? split(/^>>>.*(?:\n|\z)/m, $text, -1)
        : $paragraphs      ? split(/\n[ \t]*\n\s*/, $text)
        :                    ($text);
    return map { my $item = $_; chomp $item; $item } @items;
}

# What a database's command line prints, as rows: the separators are those of sqlite3 -ascii, and a lone
# \x01 is NULL. Standard output goes through a file, so that errors are in it too.
sub table {
    my ($command, $output) = @_;
    my $status = system 'sh', '-c', 'out=$1; shift; exec "$@" >"$out" 2>&1 </dev/null', 'sh',
        $output, @$command;
    my $text = slurp($output);
    die "$command->[-1]\n$text\n" if $status;
    $text =~ s/\n\z//;
    return map { [ map { $_ eq "\x01" ? undef : $_ } split /\x1f/, $_, -1 ] } split /\x1e/, $text;
}

sub tail {
    my ($text, $lines) = @_;
    my @all = split /\n/, $text;
    splice @all, 0, @all - $lines if @all > $lines;
    return join "\n", @all;
}

my @held;

# A port that belongs to this process until it ends. The socket that holds it is bound but never
# listens: nginx, which sets SO_REUSEADDR, can bind it too, another test process cannot, and while
# nobody listens a connection is refused. The range is outside the one of outgoing connections.
sub reserve_port {
    for (1 .. 1000) {
        my $port = 10_000 + int rand 20_000;
        socket my $socket, PF_INET, SOCK_STREAM, 0 or die "socket: $!\n";
        bind $socket, pack_sockaddr_in($port, INADDR_LOOPBACK) or next;
        setsockopt $socket, SOL_SOCKET, SO_REUSEADDR, 1 or die "setsockopt: $!\n";
        push @held, $socket;
        return $port;
    }
    die "found no free port\n";
}

1;
