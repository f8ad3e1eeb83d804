package Test::LLM::Requests;

# From the sections of a block to bytes on connections, and back to a list of answers.

use strict;
use warnings;

use Test::LLM::Client;
use Test::LLM::Util qw(duration pause separated wait_until);

# The requests of a block, each { instruction, method, path, headers, body, pieces }.
sub requests {
    my ($section) = @_;
    if (defined $section->{raw_request}) {
        my $raw = $section->{raw_request};
        my @pieces = ref $raw ? @$raw : ($raw);
        my ($method) = $pieces[0] =~ /\A([A-Z]+) /;
        return { instruction => '', method => $method // 'GET', pieces => \@pieces };
    }
    my $text = $section->{requests} // $section->{request} // return;
    my @parts = split /^>>>[ \t]*(.*)\n/m, $text;
    my @requests;
    while (@parts) {
        my ($instruction, $item) = @parts % 2 ? ('', shift @parts) : splice @parts, 0, 2;
        next if $item !~ /\S/ && $instruction eq '';
        chomp $item if @parts;
        push @requests, { instruction => $instruction, text => $item };
    }
    my @headers = per_item($section, 'more_headers', scalar @requests);
    for my $index (0 .. $#requests) {
        build($requests[$index], $section, $headers[$index] // '');
    }
    return @requests;
}

# One value for each of several requests or answers: a section with ">>>" lines has one for each,
# another is for all of them.
sub per_item {
    my ($section, $name, $count) = @_;
    my $value = $section->{$name};
    return if !defined $value;
    return ($value) x $count if ref $value || $value !~ /^>>>/m;
    my @items = separated($value);
    die "section \"$name\" has " . @items . " items for $count requests\n" if @items != $count;
    return @items;
}

sub build {
    my ($request, $section, $more_headers) = @_;
    my ($line, $body) = split /\n/, $request->{text}, 2;
    @$request{qw(method path version)} = $line =~ m{\A([A-Z]+) (\S+)(?: (HTTP/\d\.\d))?\s*\z}
        or die "\"$line\" is not a request line\n";
    $request->{version} //= 'HTTP/1.1';
    $body //= '';
    $body = $section->{request_body} if defined $section->{request_body};
    $request->{body} = $body;
    my $chunked = defined $section->{chunked};
    my @headers = ([ Host => 'localhost' ]);
    if (length $body || $request->{method} =~ /\A(?:POST|PUT|PATCH)\z/) {
        push @headers, [ 'Content-Type' => 'application/json' ];
        push @headers,
            $chunked ? [ 'Transfer-Encoding' => 'chunked' ] : [ 'Content-Length' => length $body ];
    }
    push @headers, [ Expect => '100-continue' ] if defined $section->{expect_continue};
    for my $header (grep {/\S/} split /\n/, $more_headers) {
        my ($absent, $name, $value) = $header =~ /\A(!?)([^:\s]+):?[ \t]*(.*)\z/;
        # The first line with a name replaces our own header, a second one comes beside it.
        @headers = grep { $_->[2] || lc $_->[0] ne lc $name } @headers;
        push @headers, [ $name, $value, 'given' ] if !$absent;
    }
    $request->{headers} = \@headers;
    my $head = join '', "$request->{method} $request->{path} $request->{version}\r\n",
        (map {"$_->[0]: $_->[1]\r\n"} @headers), "\r\n";
    my @body = $chunked ? chunks($body, $section->{chunked}) : length $body ? ($body) : ();
    $request->{pieces} = [ $head, @body ];
    if (defined $section->{expect_continue}) { return }
    # One packet, unless the block says otherwise.
    my $bytes = join '', $head, @body;
    $request->{pieces} = defined $section->{tcp_split} ? [ slices($bytes, $section->{tcp_split}) ]
        : $chunked && $section->{chunked} =~ /\d/ ? $request->{pieces} : [$bytes];
}

# Cuts into parts of the given sizes; the last size is used again and again.
sub slices {
    my ($bytes, $sizes) = @_;
    my @sizes = $sizes =~ /(\d+)/g;
    my @slices;
    while (length $bytes) {
        my $size = @sizes > 1 ? shift @sizes : $sizes[0] // length $bytes;
        push @slices, substr $bytes, 0, $size || 1, '';
    }
    return @slices;
}

sub chunks {
    my ($body, $sizes) = @_;
    return ((map { sprintf "%x\r\n%s\r\n", length $_, $_ } slices($body, $sizes)), "0\r\n\r\n");
}

# What cannot be asked for together; the first of each row excludes the others.
my @exclusive = (
    [qw(http2 raw_request chunked tcp_split expect_continue pipelined concurrent abort_after)],
    [qw(concurrent pipelined expect_continue)],
    [qw(pipelined expect_continue abort_after)],
    [qw(raw_request request requests more_headers chunked tcp_split expect_continue)],
);

sub reject_contradictions {
    my ($section) = @_;
    for my $row (@exclusive) {
        my ($first, @others) = @$row;
        next if !defined $section->{$first};
        my ($other) = grep { defined $section->{$_} } @others;
        die "sections \"$first\" and \"$other\" exclude each other\n" if $other;
    }
}

# Sends all requests of a block; returns the answers in order.
sub exchange {
    my ($run, $section) = @_;
    reject_contradictions($section);
    my @requests = requests($section) or return;
    return map { http2($run, $section, $_) } @requests if defined $section->{http2};
    return concurrent($run, $section, @requests) if defined $section->{concurrent};
    return pipelined($run, $section, @requests) if defined $section->{pipelined};
    my ($connection, @answers);
    for my $request (@requests) {
        for my $instruction (split /\s*,\s*/, $request->{instruction}) {
            $connection = end($connection, $answers[-1]) if $instruction =~ /connection|restart/;
            instruct($run, $instruction);
        }
        $connection //= Test::LLM::Client->new($run->address);
        push @answers, converse($run, $section, $connection, $request);
        $connection = end($connection, $answers[-1]) if must_reconnect($answers[-1]);
    }
    end($connection, $answers[-1]);
    return @answers;
}

# Nothing may follow the last answer on a connection.
sub end {
    my ($connection, $last_answer) = @_;
    $last_answer->{surplus} = $connection->finish($last_answer->{complete}) if $connection;
    return;
}

sub must_reconnect {
    my ($answer) = @_;
    my ($header) = Test::LLM::Client::header_values($answer, 'connection');
    return !$answer->{complete} || ($header // '') =~ /close/i;
}

# What a ">>>" line asks for before its request is sent.
sub instruct {
    my ($run, $instruction) = @_;
    if    ($instruction eq '' || $instruction eq 'new connection') { }
    elsif ($instruction eq 'reload')            { $run->reload }
    elsif ($instruction eq 'restart')           { $run->restart }
    elsif ($instruction eq 'restart kill9')     { $run->restart('kill9') }
    elsif ($instruction eq 'kill worker')       { $run->kill_worker }
    elsif ($instruction =~ /\Aafter (\S+)\z/)   { pause(duration($1)) }
    elsif ($instruction =~ /\Aerror_log (.+)/) {
        my $text = $1;
        wait_until { index($run->error_log, $text) >= 0 } 5
            or die "the error log never said \"$text\"\n";
    }
    elsif ($instruction =~ /\Aprovider (\w+) (\d+)\z/) {
        my ($name, $count) = ($1, $2);
        wait_until { $run->mock->state($name)->{requests} >= $count } 5
            or die "provider $name never got $count requests\n";
    }
    else { die "\">>> $instruction\" is no instruction\n" }
}

sub receive_options {
    my ($run, $section, $request) = @_;
    my %option = (method => $request->{method}, timeout => duration($section->{timeout} // 10));
    my $condition = $section->{abort_after} // return %option;
    if ($condition =~ /\A\d+\z/) {
        $option{abort} = sub { length $_[0] >= $condition };
    }
    elsif ($condition =~ /\Aprovider (\w+)\z/) {
        my $name = $1;
        $option{polled} = 1;
        $option{abort}  = sub { $run->mock->state($name)->{running} > 0 };
    }
    else {
        $option{abort} = sub { $_[0] =~ /$condition/ };
    }
    return %option;
}

sub converse {
    my ($run, $section, $connection, $request) = @_;
    my %option = receive_options($run, $section, $request);
    my @pieces = @{ $request->{pieces} };
    if (defined $section->{expect_continue}) {
        $connection->transmit(shift @pieces);
        my $interim = $connection->receive(%option, interim => 1);
        return $interim if !@{ $interim->{interim} };    # refused before the body was sent
        $connection->transmit(@pieces);
        return { %{ $connection->receive(%option) }, interim => $interim->{interim} };
    }
    $connection->transmit(@pieces);
    return $connection->receive(%option);
}

# Each request on a connection of its own, all sent before the first answer is read. A number
# repeats a single request.
sub concurrent {
    my ($run, $section, @requests) = @_;
    @requests = (@requests) x $section->{concurrent} if $section->{concurrent} =~ /\A\d+\z/;
    my @connections = map { Test::LLM::Client->new($run->address) } @requests;
    $connections[$_]->transmit(@{ $requests[$_]{pieces} }) for 0 .. $#requests;
    my @answers = map {
        $connections[$_]->receive(receive_options($run, $section, $requests[$_]))
    } 0 .. $#requests;
    end($connections[$_], $answers[$_]) for 0 .. $#requests;
    return @answers;
}

sub pipelined {
    my ($run, $section, @requests) = @_;
    my $connection = Test::LLM::Client->new($run->address);
    $connection->transmit(join '', map { @{ $_->{pieces} } } @requests);
    my @answers = map { $connection->receive(receive_options($run, $section, $_)) } @requests;
    end($connection, $answers[-1]);
    return @answers;
}

sub http2 {
    my ($run, $section, $request) = @_;
    instruct($run, $request->{instruction});
    # What curl writes by itself.
    my @headers
        = grep { $_->[2] || $_->[0] !~ /\A(?:Host|Content-Length)\z/ } @{ $request->{headers} };
    return Test::LLM::Client->once_http2(
        $run->http2_address, { %$request, headers => \@headers },
        folder => $run->root . '/tmp', timeout => duration($section->{timeout} // 10),
    );
}

1;
