package Test::LLM::Spans;

# A collector of spans: the little of HTTP/2, gRPC and protobuf that nginx's OpenTelemetry module needs
# to deliver one export. It has no process of its own: a connection waits in the kernel until "take".

use strict;
use warnings;

use IO::Select;
use IO::Socket::INET;
use Test::LLM::Util qw(now scale);

# Kinds of frames, and their flags.
use constant { DATA => 0, HEADERS => 1, SETTINGS => 4, PING => 6 };
use constant { END_STREAM => 1, ACK => 1, END_HEADERS => 4, PADDED => 8 };

# What a client of HTTP/2 sends first has 24 bytes.
use constant PREFACE => 24;

sub new {
    my ($class) = @_;
    my $listener = IO::Socket::INET->new(Listen => 16, LocalAddr => '127.0.0.1')
        or die "cannot listen: $!\n";
    return bless { listener => $listener }, $class;
}

sub address { '127.0.0.1:' . $_[0]{listener}->sockport }

# The spans of the next export of a connection that is new, and the resource they are of; () if there is
# none in time. A span: name, trace_id, span_id, parent_span_id (in hexadecimal), trace_state and
# attributes, as a hash.
sub take {
    my ($self, $seconds) = @_;
    my $end = now() + $seconds * scale();
    IO::Select->new($self->{listener})->can_read($seconds * scale()) or return;
    my $socket = $self->{listener}->accept or die "accept: $!\n";
    $self->{connection} = { socket => $socket, bytes => '', end => $end };
    my $message = $self->message // return;
    # A gRPC message stands behind one byte and its length.
    return map { spans_of($_) } parts(substr($message, 5), 1);
}

# --- HTTP/2 -----------------------------------------------------------------------------------

sub message {
    my ($self) = @_;
    my $preface = $self->bytes(PREFACE) // return;
    die "not HTTP/2: $preface\n" if $preface !~ /\APRI \* HTTP\/2\.0/;
    $self->send_frame(SETTINGS, 0, 0, '');
    my $message = '';
    while (defined(my $head = $self->bytes(9))) {
        my ($high, $low, $kind, $flags, $stream) = unpack 'CnCCN', $head;
        my $payload = $self->bytes($high << 16 | $low) // return;
        $self->send_frame($kind, ACK, 0, $kind == PING ? $payload : '')
            if ($kind == SETTINGS || $kind == PING) && !($flags & ACK);
        next if $kind != DATA;
        $payload = substr $payload, 1, length($payload) - 1 - ord $payload if $flags & PADDED;
        $message .= $payload;
        next if !($flags & END_STREAM);
        $self->answer($stream);
        return $message;
    }
    return;
}

# 200 and an empty message. In HPACK's static table 8 is ":status: 200", 31 the name "content-type".
sub answer {
    my ($self, $stream) = @_;
    my $head = "\x88" . "\x5f" . pack('C/a*', 'application/grpc');
    my $trailer = "\x40" . pack('C/a*', 'grpc-status') . pack('C/a*', '0');
    $self->send_frame(HEADERS, END_HEADERS, $stream, $head);
    $self->send_frame(DATA, 0, $stream, "\0" x 5);
    $self->send_frame(HEADERS, END_HEADERS | END_STREAM, $stream, $trailer);
}

sub send_frame {
    my ($self, $kind, $flags, $stream, $payload) = @_;
    my $length = length $payload;
    my $frame = pack('CnCCN', $length >> 16, $length & 0xffff, $kind, $flags, $stream) . $payload;
    syswrite $self->{connection}{socket}, $frame;
}

sub bytes {
    my ($self, $count) = @_;
    my $connection = $self->{connection};
    my $select = IO::Select->new($connection->{socket});
    while (length $connection->{bytes} < $count) {
        my $left = $connection->{end} - now();
        return if $left <= 0 || !$select->can_read($left);
        sysread($connection->{socket}, $connection->{bytes}, 65536, length $connection->{bytes}) or return;
    }
    return substr $connection->{bytes}, 0, $count, '';
}

# --- protobuf, with the numbers of opentelemetry/proto/trace/v1/trace.proto -------------------

sub spans_of {
    my ($resource_spans) = @_;
    my ($resource) = map { { attributes($_, 1) } } parts($resource_spans, 1);
    return map { { span($_), resource => $resource } } map { parts($_, 2) } parts($resource_spans, 2);
}

sub span {
    my ($bytes) = @_;
    my ($trace, $id, $state, $parent, $name) = map { (parts($bytes, $_))[0] // '' } 1 .. 5;
    return (
        name => $name, trace_state => $state, attributes => { attributes($bytes, 9) },
        trace_id => unpack('H*', $trace), span_id => unpack('H*', $id),
        parent_span_id => unpack('H*', $parent),
    );
}

# Pairs of name and value; of the values' types those that nginx uses: text, and whole numbers.
sub attributes {
    my ($bytes, $number) = @_;
    return map {
        my ($name, $value) = ((parts($_, 1))[0], (parts($_, 2))[0]);
        ($name => (parts($value, 1), parts($value, 3))[0]);
    } parts($bytes, $number);
}

# All values of a field, in their order.
sub parts {
    my ($bytes, $wanted) = @_;
    my ($at, @values) = (0);
    my $varint = sub {
        my ($value, $shift, $byte) = (0, 0);
        do {
            $byte = ord substr $bytes, $at++, 1;
            $value |= ($byte & 0x7f) << $shift;
            $shift += 7;
        } while ($byte & 0x80);
        return $value;
    };
    while ($at < length $bytes) {
        my $tag = $varint->();
        my $kind = $tag & 7;
        my $length = $kind == 2 ? $varint->() : { 1 => 8, 5 => 4 }->{$kind};
        my $value = defined $length ? substr $bytes, $at, $length : $varint->();
        $at += $length // 0;
        push @values, $value if $tag >> 3 == $wanted;
    }
    return @values;
}

1;
