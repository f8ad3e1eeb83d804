package Test::LLM::Client;

# An HTTP/1.x client on a bare socket: it sends exactly the bytes it is given, in the pieces it is
# given, and says how the answer ended. It never repairs, retries or follows anything.

use strict;
use warnings;

use Errno qw(EINTR);
use List::Util qw(min);
use Socket;
use Test::LLM::Util qw(now pause scale slurp);

sub new {
    my ($class, $address) = @_;
    my ($host, $port) = $address =~ /\A(.+):(\d+)\z/ or die "\"$address\" is not an address\n";
    socket my $socket, PF_INET, SOCK_STREAM, 0 or die "socket: $!\n";
    connect $socket, pack_sockaddr_in($port, inet_aton($host)) or die "connect $address: $!\n";
    setsockopt $socket, Socket::IPPROTO_TCP, Socket::TCP_NODELAY, 1;    # a piece is a packet
    return bless { socket => $socket, buffer => '', ended => '' }, $class;
}

# Closes, and returns what nginx still had to say. After the last answer it has nothing; told that
# the client has no more to send, it closes as well.
sub finish {
    my ($self, $after_answer) = @_;
    if ($after_answer && $self->{socket}) {
        shutdown $self->{socket}, 1;
        my $deadline = now() + 2 * scale();
        1 while $self->fill($deadline);
    }
    close delete $self->{socket} if $self->{socket};
    return $self->{buffer};
}

# Between two pieces nginx gets the time to read the first one alone. Nothing is decided by it:
# an nginx that reads both at once must do the same.
sub transmit {
    my ($self, @pieces) = @_;
    local $SIG{PIPE} = 'IGNORE';
    for my $index (0 .. $#pieces) {
        pause(0.002) if $index;
        my ($piece, $done) = ($pieces[$index], 0);
        while ($done < length $piece) {
            my $count = syswrite $self->{socket}, $piece, length($piece) - $done, $done;
            next if !defined $count && $!{EINTR};
            return 0 if !defined $count;    # nginx may answer and close before it read everything
            $done += $count;
        }
    }
    return 1;
}

# Reads more into the buffer. False at the end of the connection or of the time.
sub fill {
    my ($self, $deadline) = @_;
    return 0 if $self->{ended};
    while (1) {
        my $left = $deadline - now();
        my $ready = '';
        vec($ready, fileno $self->{socket}, 1) = 1;
        my $count = $left > 0 ? select($ready, undef, undef, $left) : 0;
        next if $count < 0 && $!{EINTR};
        if ($count <= 0) {
            $self->{ended} = 'timeout';
            return 0;
        }
        $count = sysread $self->{socket}, $self->{buffer}, 65_536, length $self->{buffer};
        next if !defined $count && $!{EINTR};
        return 1 if $count;
        $self->{ended} = defined $count ? 'closed' : "reset ($!)";
        return 0;
    }
}

# One answer. Options: method, timeout (seconds), abort (called with all bytes so far; true: stop
# reading), polled (the abort condition lies outside of this connection), interim (return at a 1xx).
sub receive {
    my ($self, %option) = @_;
    my $started  = now();
    my $deadline = $started + ($option{timeout} // 10) * scale();
    my $abort    = $option{abort} // sub { 0 };
    my $answer   = empty($option{method});
    my @interim;
    while (1) {
        advance($answer, \$self->{buffer}, $self->{ended});
        if ($answer->{complete} && $answer->{status} =~ /\A1\d\d\z/) {
            push @interim, $answer->{status};
            substr $self->{buffer}, 0, $answer->{length}, '';
            last if $option{interim};
            $answer = empty($option{method});
            next;
        }
        $answer->{aborted} = 1 if $abort->($self->{buffer});
        last if $answer->{aborted} || $answer->{complete} || $answer->{error} || $self->{ended};
        my $until = $option{polled} ? min($deadline, now() + 0.01) : $deadline;
        next if $self->fill($until);
        $self->{ended} = '' if $self->{ended} eq 'timeout' && now() < $deadline;
    }
    $answer->{length} = length $self->{buffer} if !$answer->{complete};
    $answer->{raw} = substr $self->{buffer}, 0, $answer->{length}, '';
    return { %$answer, seconds => now() - $started, interim => \@interim, ended => $self->{ended} };
}

sub empty {
    my ($method) = @_;
    return {
        method => $method // 'GET', complete => 0, status => '', head => '', headers => [],
        body => '', length => 0, position => 0, error => '',
    };
}

# Takes in what has arrived since the last call. "complete" means complete by HTTP's own rules: the
# last chunk, or all of Content-Length, or, where there is neither, the end of the connection.
sub advance {
    my ($answer, $bytes, $ended) = @_;
    if (!$answer->{position}) {
        my $end = index $$bytes, "\r\n\r\n";
        return if $end < 0;
        $answer->{position} = $end + 4;
        parse_head($answer, substr $$bytes, 0, $end + 2);
    }
    my ($length)   = header_values($answer, 'content-length');
    my ($encoding) = header_values($answer, 'transfer-encoding');
    my $arrived = length($$bytes) - $answer->{position};
    if ($answer->{method} eq 'HEAD' || $answer->{status} =~ /\A(?:1\d\d|204|304)\z/) {
        @$answer{qw(complete length)} = (1, $answer->{position});
    }
    elsif (defined $encoding && lc $encoding eq 'chunked') {
        advance_chunks($answer, $bytes, $ended);
    }
    elsif (defined $length && $arrived >= $length || !defined $length && $ended eq 'closed') {
        my $size = $length // $arrived;
        $answer->{body} = substr $$bytes, $answer->{position}, $size;
        @$answer{qw(complete length)} = (1, $answer->{position} + $size);
    }
    elsif ($ended) {
        $answer->{body} = substr $$bytes, $answer->{position};
    }
}

sub parse_head {
    my ($answer, $head) = @_;
    $answer->{head} = $head;
    my ($first, @lines) = split /\r\n/, $head;
    if   ($first =~ m{\AHTTP/1\.[01] (\d\d\d)}) { $answer->{status} = $1 }
    else                                        { $answer->{error} = "bad status line \"$first\"" }
    for my $line (@lines) {
        my ($name, $value) = $line =~ /\A([^\s:]+):[ \t]*(.*?)[ \t]*\z/s;
        if (defined $name) { push @{ $answer->{headers} }, [ $name, $value ] }
        else               { $answer->{error} = "bad header line \"$line\"" }
    }
}

# "position" moves behind each chunk that has arrived whole.
sub advance_chunks {
    my ($answer, $bytes, $ended) = @_;
    while ((my $line_end = index $$bytes, "\r\n", $answer->{position}) >= 0) {
        my $line = substr $$bytes, $answer->{position}, $line_end - $answer->{position};
        if ($line !~ /\A([0-9a-fA-F]+)\s*(?:;.*)?\z/) {
            $answer->{error} = "bad chunk size \"$line\"";
            return;
        }
        my ($size, $start) = (hex $1, $line_end + 2);
        if ($size == 0) {
            my $end = index $$bytes, "\r\n\r\n", $line_end;
            @$answer{qw(complete length)} = (1, $end + 4) if $end >= 0;
            return;
        }
        if (length $$bytes < $start + $size + 2) {
            $answer->{body} .= substr $$bytes, $start, $size if $ended;
            return;
        }
        if (substr($$bytes, $start + $size, 2) ne "\r\n") {
            $answer->{error} = "chunk of $size bytes is longer than that";
            return;
        }
        $answer->{body} .= substr $$bytes, $start, $size;
        $answer->{position} = $start + $size + 2;
    }
}

sub header_values {
    my ($message, $name) = @_;
    return map { $_->[1] } grep { lc $_->[0] eq lc $name } @{ $message->{headers} };
}

# A whole exchange with a connection of its own.
sub once {
    my ($class, $address, $bytes, %option) = @_;
    my $connection = $class->new($address);
    $connection->transmit($bytes);
    my $answer = $connection->receive(%option);
    $answer->{surplus} = $connection->finish($answer->{complete});
    return $answer;
}

# HTTP/2 is left to curl; its exit code says whether the stream ended cleanly.
sub once_http2 {
    my ($class, $address, $request, %option) = @_;
    my $folder = $option{folder};
    Test::LLM::Util::spew("$folder/h2.request", $request->{body});
    my @command = (
        'curl', '-sS', '-i', '--http2-prior-knowledge', '-X', $request->{method},
        '--max-time', ($option{timeout} // 10) * scale(), '-o', "$folder/h2.response",
        (map { ('-H', "$_->[0]: $_->[1]") } @{ $request->{headers} }),
        (length $request->{body} ? ('--data-binary', "\@$folder/h2.request") : ()),
        "http://$address$request->{path}",
    );
    unlink "$folder/h2.response";
    my $started = now();
    open my $curl, '-|', 'sh', '-c', 'exec "$@" 2>&1', 'curl', @command or die "curl: $!\n";
    my $message = join '', <$curl>;
    close $curl;
    my $code  = $? >> 8;
    my $bytes = slurp("$folder/h2.response");
    my ($head, $body) = $bytes =~ /\A((?:HTTP\/2 1\d\d.*?\r\n\r\n)*HTTP\/2 .*?\r\n)\r\n(.*)\z/s;
    my @lines = split /\r\n/, $head // '';
    my ($status) = (shift(@lines) // '') =~ m{\AHTTP/2 (\d\d\d)};
    return {
        complete => $code == 0, ended => $code ? "curl: $message" : 'closed', interim => [],
        status => $status // '', head => $head // '', body => $body // '', raw => $bytes,
        headers => [ map { [ split /:\s*/, $_, 2 ] } @lines ], seconds => now() - $started,
    };
}

1;
