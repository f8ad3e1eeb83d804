package Test::LLM::Mock;

# One mock-provider process for a test file: a listener for each provider the file names, answers
# scripted and requests read back through its control listener.

use strict;
use warnings;

use IO::Handle;
use JSON::PP ();
use MIME::Base64 qw(decode_base64);
use POSIX ();
use Test::LLM::Client;
use Test::LLM::Util qw(now scale separated slurp wait_until);

my $json = JSON::PP->new->utf8->canonical->allow_nonref;

# A name that ends in "_tls" is a TLS listener; its certificate is for "<name without _tls>.test".
sub start {
    my ($class, $folder, @names) = @_;
    my $self = bless { folder => $folder, listeners => {} }, $class;
    my @command = (
        binary(), '--control', '127.0.0.1:0', '--until-eof', '--tls-dir', "$folder/tls",
        map { /\A(.+)_tls\z/ ? "$_,tls,h=$1.test,h=localhost" : $_ } @names,
    );
    mkdir "$folder/tls";
    pipe my $child_in, $self->{stdin} or die "pipe: $!\n";
    pipe my $output, my $child_out or die "pipe: $!\n";
    $self->{pid} = fork // die "fork: $!\n";
    if (!$self->{pid}) {
        open STDIN,  '<&', $child_in;
        open STDOUT, '>&', $child_out;
        open STDERR, '>>', "$folder/mock.stderr";
        exec { $command[0] } @command or POSIX::_exit(127);
    }
    close $child_in;
    close $child_out;
    $self->read_listeners($output);
    return $self;
}

# From the environment, else the one that cargo built beside this file, else from PATH.
sub binary {
    return $ENV{TEST_LLM_MOCK} if $ENV{TEST_LLM_MOCK};
    my $root = __FILE__ =~ s{[^/]*\z}{}r . '../../../..';
    my $target = $ENV{CARGO_TARGET_DIR} // "$root/target";
    my ($built) = grep { -x } map {"$target/$_/mock-provider"} qw(tools release debug);
    return $built // 'mock-provider';
}

sub read_listeners {
    my ($self, $output) = @_;
    local $SIG{ALRM} = sub { die "the mock provider was not ready in time\n" };
    alarm 10 * scale();
    while (defined(my $line = <$output>)) {
        my $listener = $json->decode($line);
        $self->{control} = $listener->{control} if $listener->{control};
        $self->{listeners}{ $listener->{name} } = $listener if $listener->{name};
        last if $listener->{ready};
    }
    alarm 0;
    $self->{output} = $output;    # open as long as it runs, so that it may go on writing
    $self->{control}
        or die 'the mock provider "', binary(), "\" did not start (see TEST_LLM_MOCK): ",
        slurp("$self->{folder}/mock.stderr"), "\n";
}

sub address { $_[0]{listeners}{ $_[1] }{address} }
sub ca      { $_[0]{listeners}{ $_[1] }{ca} }
sub names   { sort keys %{ $_[0]{listeners} } }

sub control {
    my ($self, $method, $path, $body) = @_;
    my $content = defined $body ? $json->encode($body) : '';
    my $request = join "\r\n", "$method $path HTTP/1.1", 'Host: control', 'Connection: close',
        'Content-Length: ' . length $content, '', $content;
    my $answer = Test::LLM::Client->once($self->{control}, $request, method => $method);
    $answer->{complete} && $answer->{status} =~ /\A2/
        or die "mock provider: $method $path: ", $answer->{raw} || $answer->{ended}, "\n";
    return $answer->{body};
}

sub forget   { $_[0]->control(DELETE => '/') }
sub script   { $_[0]->control(POST => "/$_[1]/script", $_[2]) }
sub state    { $json->decode($_[0]->control(GET => "/$_[1]/state")) }

# All requests of a provider, each with its body as it was. JSON::PP takes a second for a megabyte
# of string, so that it does not get to see the bodies. (Inside of a string the quotes of these
# patterns would be escaped.)
sub requests {
    my ($self, $name) = @_;
    my $text = $self->control(GET => "/$name/requests");
    my @bodies;
    $text =~ s/"body":"(?:[^"\\]++|\\.)*+"/"body":""/g;
    $text =~ s/"body_base64":"([^"]*+)"/push @bodies, $1; '"body_base64":' . $#bodies/ge;
    my $requests = $json->decode($text);
    $_->{body} = decode_base64($bodies[ $_->{body_base64} ]) for @$requests;
    return $requests;
}

# The listener's state once no request is being answered any more.
sub settled {
    my ($self, $name) = @_;
    my $state;
    wait_until { $state = $self->state($name); !$state->{running} } 3;
    return $state;
}

sub stop {
    my ($self) = @_;
    my $pid = delete $self->{pid} // return;
    close delete $self->{stdin};    # --until-eof
    waitpid $pid, 0;
    return;
}

# A provider section as answers for the script: one per item. An item is
#   200 {"any":"body"}              status and body
#   429                             status, headers up to the first line that is none, body
#   Retry-After: 2
#   {"error":{}}
#   sse                             a stream, one event a line; options may follow as JSON
#   {"fault":"reset"}               the mock provider's own answer object
sub answers {
    my ($section) = @_;
    return map { answer($_) } separated($section, 'paragraphs');
}

sub answer {
    my ($item) = @_;
    return $json->decode($item) if $item =~ /\A\s*\{/;
    my ($first, @lines) = split /\n/, $item;
    if ($first =~ /\Asse\b\s*(\{.*\})?\s*\z/) {
        return { ($1 ? %{ $json->decode($1) } : ()), sse => [ map { event($_) } @lines ] };
    }
    my ($status, $body) = $first =~ /\A(\d{3})(?:\s+(.*))?\z/
        or die "a provider section has an answer that starts with \"$first\"\n";
    my %headers;
    if (!defined $body) {
        while (@lines && $lines[0] =~ /\A([A-Za-z][\w-]*):\s*(.*)\z/) {
            $headers{ lc $1 } = $2;
            shift @lines;
        }
    }
    $body = join "\n", grep {defined} $body, @lines;
    $headers{'content-type'} //= 'application/json' if $body =~ /\A\s*[\[{]/;
    # JSON::PP would write a string of digits as it finds it; the mock provider wants a number.
    return { status => 0 + $status, headers => \%headers, body => text($body) };
}

# "event: name data: {…}" is written in one line and sent in two.
sub event {
    my ($line) = @_;
    $line =~ s/\A(event: ?\S+) (data:)/$1\n$2/;
    return text($line);
}

# Test files are read as bytes; the script travels as UTF-8 JSON.
sub text {
    my ($bytes) = @_;
    my $copy = $bytes;
    utf8::decode($copy);
    return $copy;
}

1;
