package Test::LLM::Cut;

# A TCP proxy before a server, in a process of its own, that cuts connections at the worst moment: the
# server has done what a message asked for, and the client never hears of it.

use strict;
use warnings;

use IO::Select;
use IO::Socket::INET;
use POSIX ();
use Test::LLM::Util qw(slurp spew wait_until);

# A listener on a port of its own; "path" is what the names of its files begin with.
sub start {
    my ($class, $path, $server_port) = @_;
    my $listener = IO::Socket::INET->new(Listen => 16, LocalAddr => '127.0.0.1')
        or die "cannot listen: $!\n";
    my $self = bless { path => $path, port => $listener->sockport }, $class;
    unlink "$path.cut", "$path.cuts";
    $self->{pid} = fork // die "fork: $!\n";
    return $self if $self->{pid};
    # POSIX::_exit, so that nothing of the parent's is cleaned up here.
    eval { serve($listener, $path, $server_port, getppid()) };
    POSIX::_exit(0);
}

sub port { $_[0]{port} }

# From now on: a connection whose client sends this text is cut as soon as the server has answered it.
# So often; other connections stay as they are.
sub after {
    my ($self, $text, $times) = @_;
    spew("$self->{path}.cut.new", ($times // 1) . " $text");
    rename "$self->{path}.cut.new", "$self->{path}.cut" or die "rename: $!\n";
}

# How many were cut.
sub count { length slurp("$_[0]{path}.cuts") }

sub stop {
    my ($self) = @_;
    my $pid = delete $self->{pid} // return;
    kill KILL => $pid;
    waitpid $pid, 0;
}

sub DESTROY { $_[0]->stop }

# --- in the proxy's process -------------------------------------------------------------------

sub serve {
    my ($listener, $path, $server_port, $parent) = @_;
    $SIG{PIPE} = 'IGNORE';
    my $select = IO::Select->new($listener);
    my (%peer, %is_client, %is_doomed);
    # Ends with the test, however that ends.
    while (getppid() == $parent) {
        for my $socket ($select->can_read(0.5)) {
            if ($socket == $listener) {
                my $client = $listener->accept // next;
                my $server = IO::Socket::INET->new(PeerAddr => '127.0.0.1', PeerPort => $server_port);
                if (!$server) { close $client; next }
                @peer{ $client, $server } = ($server, $client);
                $is_client{$client} = 1;
                $select->add($client, $server);
                next;
            }
            my $other = $peer{$socket} // next;
            my $count = sysread $socket, my $bytes, 65_536;
            my $is_cut = !$is_client{$socket} && $is_doomed{$other};
            if ($count && !$is_cut) {
                $is_doomed{$socket} = 1 if $is_client{$socket} && takes($path, $bytes);
                next if send_all($other, $bytes);
            }
            spew_more("$path.cuts", '.') if $is_cut;
            for my $end ($socket, $other) {
                $select->remove($end);
                delete @$_{$end} for \%peer, \%is_client, \%is_doomed;
                close $end;
            }
        }
    }
}

# Whether these bytes are what the test waits for; then it is once less.
sub takes {
    my ($path, $bytes) = @_;
    my ($times, $text) = slurp("$path.cut") =~ /\A(\d+) (.+)\z/s or return 0;
    return 0 if index($bytes, $text) < 0;
    if ($times > 1) { spew("$path.cut", $times - 1 . " $text") }
    else            { unlink "$path.cut" }
    return 1;
}

sub send_all {
    my ($socket, $bytes) = @_;
    while (length $bytes) {
        my $count = syswrite $socket, $bytes;
        return 0 if !$count;
        substr $bytes, 0, $count, '';
    }
    return 1;
}

sub spew_more {
    my ($path, $text) = @_;
    open my $file, '>>', $path or return;
    print {$file} $text;
    close $file;
}

1;
