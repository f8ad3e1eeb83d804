package Test::LLM::Run;

# One block from its sections to its verdicts: nginx in a fresh folder, the providers' script, the
# requests, the checks that the block asks for and those that are always made. This is also the $t
# that the Perl code in a block gets.

use strict;
use warnings;

use File::Find ();
use File::Path ();
use Test::LLM::Answers;
use Test::LLM::Check qw(each_request exact json_text log_lines printable request_head);
use Test::LLM::Client;
use Test::LLM::Memory;
use Test::LLM::Mock;
use Test::LLM::Nginx;
use Test::LLM::Requests;
use Test::LLM::Util qw(reserve_port slurp spew tail wait_until);

my %ports;

sub port_of { $ports{ $_[0] } //= reserve_port() }

# What tests write between "%%" that is not the name of a provider.
my %placeholder = (
    port        => sub { port_of('port') },
    port2       => sub { port_of('port2') },
    http2_port  => sub { port_of('http2_port') },
    closed      => sub { '127.0.0.1:' . port_of('closed') },
    root        => sub { $_[0]{root} },
    load_module => sub { Test::LLM::Nginx::load_module() },
    pg_dsn      => sub { $_[0]->pg->dsn },
    pg_cut_dsn  => sub { $_[0]->pg->cut_dsn },
);

my $provider_section = qr/\Aprovider_(.+?)(_got|_got_body|_got_json|_requests|_client_closed)?\z/;

# The providers that some sections name, in the text or in a section's own name.
sub provider_names {
    my (%section) = @_;
    my %names = map { $_ =~ $provider_section ? ($1 => 1) : () } keys %section;
    for my $value (map { ref $_ ? @$_ : $_ } values %section) {
        my @used = grep { !$placeholder{$_} } $value =~ /%%([a-z][a-z0-9_]*)%%/g;
        $names{ s/_tls\K_ca\z//r } = 1 for @used;
    }
    return sort keys %names;
}

# Fields: name, sections, root, mock, report (called with a check's name and its problems), postgres
# (called for the test file's PostgreSQL).
sub new {
    my ($class, %field) = @_;
    my $self = bless {%field, answers => [], reloads => 0}, $class;
    File::Path::make_path("$self->{root}/logs");
    $self->{names} = [ provider_names(%{ $self->{sections} }) ];
    $self->{uses_http2}
        = defined $self->{sections}{http2} || grep {/%%http2_port%%/} values %{ $self->{sections} };
    while (my ($name, $value) = each %{ $self->{sections} }) {
        my @expanded = map { $self->expand($_) } ref $value ? @$value : $value;
        $self->{section}{$name} = ref $value ? \@expanded : $expanded[0];
    }
    return $self;
}

sub expand {
    my ($self, $text) = @_;
    $text =~ s/%%([a-z][a-z0-9_]*)%%/$self->placeholder($1)/ge;
    return $text;
}

sub placeholder {
    my ($self, $name) = @_;
    return $placeholder{$name}->($self) if $placeholder{$name};
    return $self->mock->ca($1) if $name =~ /\A(.+_tls)_ca\z/;
    return $self->mock->address($name) // die "there is no provider \"$name\"\n";
}

# --- for the Perl code in a block -------------------------------------------------------------

sub root          { $_[0]{root} }
sub mock          { $_[0]{mock} }
sub nginx         { $_[0]{nginx} }
sub answers       { @{ $_[0]{answers} } }
sub port          { port_of($_[1] // 'port') }
sub address       { '127.0.0.1:' . port_of('port') }
sub http2_address { '127.0.0.1:' . port_of('http2_port') }
sub error_log     { slurp("$_[0]{root}/logs/error.log") }
sub access_log    { slurp("$_[0]{root}/logs/access.log") }
sub read_file     { slurp("$_[0]{root}/$_[1]") }

sub write_file {
    my ($self, $name, $content) = @_;
    File::Path::make_path("$self->{root}/$1") if $name =~ m{(.*)/};
    $self->{given}{"$self->{root}/$name"} = 1;
    spew("$self->{root}/$name", $self->expand($content));
}

# The block's database, made when it is first asked for.
sub pg {
    my ($self) = @_;
    return $self->{pg} //= do {
        my $pg = $self->{postgres}->();
        $pg->prepare('block_' . ($self->{root} =~ s{.*/}{}r));
        $pg;
    };
}

# The rows of statements on a SQLite file below the block's folder, each a reference to an array; undef
# is NULL. A file that is not there has none.
sub sqlite {
    my ($self, $sql, $name) = @_;
    my $path = "$self->{root}/" . ($name // 'llm/cost.db');
    return if !-e $path;
    return Test::LLM::Util::table(
        [ 'sqlite3', '-batch', '-bail', '-ascii', '-nullvalue', "\x01", '-cmd', '.timeout 5000',
            $path, $sql ], "$self->{root}/tmp/sqlite");
}

# An exchange with a connection of its own; the text is as in the section "request".
sub request {
    my ($self, $text, $more_headers) = @_;
    my %section = (request => $text, more_headers => $more_headers // '');
    my ($answer) = Test::LLM::Requests::exchange($self, \%section);
    push @{ $self->{extra_answers} }, $answer;
    return $answer;
}

# A secret that a program made up during the test.
sub is_secret { push @{ $_[0]{secrets} }, $_[1] }

sub reload {
    my ($self) = @_;
    $self->{reloads}++;
    my $section = $self->{section};
    my %new = map { /\Areload_(.+)/ ? ($1 => $section->{$_}) : () } keys %$section;
    $self->{nginx}{sections} = { %$section, %new };
    $self->{nginx}->configure;
    my $problem = $self->{nginx}->reload;
    die "$problem\n" if $problem;
}

# By default gracefully; a signal as in kill() for another way, or "kill9" for all processes at once.
sub restart {
    my ($self, $signal) = @_;
    my $problem = $self->{nginx}->stop($signal);
    die "$problem\n" if $problem && !$signal;
    $self->{reloads} = 0;
    $problem = $self->{nginx}->start;
    die "$problem\n" if $problem;
}

sub kill_worker {
    my ($self, $signal) = @_;
    my $problem = $self->{nginx}->kill_worker($signal);
    die "$problem\n" if $problem;
}

# --- the block --------------------------------------------------------------------------------

sub go {
    my ($self) = @_;
    my $section = $self->{section};
    $self->prepare;
    $self->perl('init');
    if (grep { defined $section->{$_} } qw(must_fail must_warn must_load)) {
        my $loads = $self->check_configuration;
        if (!$loads || !grep { defined $section->{$_} } qw(request requests raw_request after)) {
            $self->report('ended clean', $self->secrets, $self->memory);
            return;
        }
    }
    my $problem = $self->{nginx}->start;
    $self->report('nginx starts', $problem);
    return if $problem;
    $self->{answers} = [ $self->attempt('requests are sent', sub {
        $self->reload if defined $section->{reload};
        return Test::LLM::Requests::exchange($self, $section);
    }) ];
    Test::LLM::Answers::check($section, $self->{answers}, sub { $self->report(@_) });
    if (@{ $self->{answers} }) {
        $self->wait_for_logs;
        $self->wait_for_providers;
    }
    $self->check_client_closed;
    $self->perl('after');
    $self->wait_for_logs;
    my @problems = ($self->workers, $self->{nginx}->stop);
    $self->perl('after_stop');
    if (my $pg = delete $self->{pg}) { $pg->finish }
    $self->check_logs;
    $self->check_provider($_) for @{ $self->{names} };
    $self->report('ended clean',
        @problems, $self->alerts, $self->unused_answers, $self->secrets, $self->memory);
}

sub report {
    my ($self, $what, @problems) = @_;
    $self->{report}->("$self->{name}: $what", grep {defined} @problems);
}

# Runs something that may die; that it did is a failed check of its own.
sub attempt {
    my ($self, $what, $code) = @_;
    my @result = eval { local $SIG{__DIE__}; $code->() };
    $self->report($what, $@) if $@;
    return $@ ? () : @result;
}

sub perl {
    my ($self, $name) = @_;
    my $code = $self->{section}{$name} // return;
    my $sub = eval "package main; use strict; use warnings; sub { my (\$t) = \@_;\n"
        . "#line 1 \"section $name\"\n$code\n}"
        or die "section \"$name\": $@";
    $self->attempt("section $name runs", sub { $sub->($self) });
}

sub prepare {
    my ($self) = @_;
    my $section = $self->{section};
    $section->{request_body} = eval "package main; $section->{request_body_eval}" // die $@
        if defined $section->{request_body_eval};
    my @files = split /^>>>[ \t]*(\S+)[ \t]*\n/m, $section->{user_files} // '';
    shift @files;
    while (my ($name, $content) = splice @files, 0, 2) {
        $content //= '';
        $self->write_file($name, $content =~ /[^\n]\z/ ? "$content\n" : $content);
    }
    if (@{ $self->{names} }) {
        $self->mock->forget;
        for my $name (@{ $self->{names} }) {
            my @answers = Test::LLM::Mock::answers($section->{"provider_$name"} // next);
            $self->{scripted}{$name} = \@answers;
            $self->mock->script($name, \@answers);
        }
    }
    $self->{nginx} = Test::LLM::Nginx->new(
        root       => $self->{root},
        port       => port_of('port'),
        http2_port => $self->{uses_http2} ? port_of('http2_port') : undef,
        env        => { map { split /=/, $_, 2 } grep {/=/} split /\n/, $section->{env} // '' },
        sections   => $section,
        workers    => $section->{workers} // 1,
        log_level  => $section->{log_level} // 'info',
    );
}

# nginx -t; true if the configuration was accepted.
sub check_configuration {
    my ($self) = @_;
    my $section = $self->{section};
    my ($status, $output) = $self->{nginx}->test;
    my @problems;
    my $wanted = defined $section->{must_fail} ? '1' : '0';
    push @problems, "nginx -t exited with $status, not $wanted:\n$output" if $status ne $wanted;
    my @sentences = map { split /\n/, $section->{$_} // '' } qw(must_fail must_warn);
    push @problems, map {"nginx -t does not say: $_\nbut:\n$output"}
        grep { /\S/ && index($output, $_) < 0 } @sentences;
    if (defined $section->{must_load} && !@sentences && $output =~ /\[warn\]/) {
        push @problems, "nginx -t warns:\n$output";
    }
    push @problems, "panic:\n$output" if $output =~ /panicked at/;
    $self->report('nginx -t', @problems);
    # What nginx -t wrote is not the log of the server that follows.
    unlink "$self->{root}/logs/error.log" if $status eq '0';
    return $status eq '0';
}

# --- logs and providers -----------------------------------------------------------------------

# What is expected in a log may be written a moment after the client has its answer.
sub wait_for_logs {
    my ($self) = @_;
    wait_until { !$self->missing_in_logs } 5;
}

sub missing_in_logs {
    my ($self) = @_;
    my $section = $self->{section};
    my $wanted = join "\n", grep {defined} @$section{qw(error_log expected_alert)};
    my @problems = map {"error.log does not say: $_"} log_lines($self->error_log, $wanted);
    my $access_log = $self->access_log;
    push @problems, map {"access.log does not match /$_/:\n$access_log"}
        grep { $access_log !~ /$_/m } grep {/\S/} split /\n/, $section->{access_log} // '';
    return @problems;
}

sub check_logs {
    my ($self) = @_;
    my $section = $self->{section};
    my @names = qw(error_log no_error_log access_log no_access_log expected_alert);
    return if !grep {defined} @$section{@names};
    my $access_log = $self->access_log;
    my @unwanted = log_lines($self->error_log, $section->{no_error_log} // '', 'unwanted');
    my @matching
        = grep { /\S/ && $access_log =~ /$_/m } split /\n/, $section->{no_access_log} // '';
    $self->report('logs', $self->missing_in_logs,
        (map {"error.log says: $_"} @unwanted),
        (map {"access.log matches /$_/:\n$access_log"} @matching));
}

# Before nginx ends, since that closes every connection.
sub check_client_closed {
    my ($self) = @_;
    for my $name (@{ $self->{names} }) {
        my $want = $self->{section}{"provider_${name}_client_closed"} // next;
        $want = 1 if $want !~ /\d/;
        my $seen = 0;
        wait_until { ($seen = $self->mock->state($name)->{client_closed}) >= $want } 5;
        $self->report("provider $name: client_closed",
            $seen == $want ? () : "$seen requests were given up, not $want");
    }
}

# A request may be on its way (a probe, one whose client has gone) when the last answer is read.
sub wait_for_providers {
    my ($self) = @_;
    for my $name (@{ $self->{names} }) {
        my $scripted = grep { ($_->{times} // 1) ne 'always' } @{ $self->{scripted}{$name} // [] };
        my $want = $self->{section}{"provider_${name}_requests"} // ($scripted ? 1 : next);
        wait_until { $self->mock->state($name)->{requests} >= $want } 3;
    }
}

sub check_provider {
    my ($self, $name) = @_;
    my $section = $self->{section};
    my $state = $self->{states}{$name} = $self->mock->settled($name);
    my %compare = (
        got      => \&request_head,
        got_body => sub { exact('body', $_[0]{body}, $_[1]) },
        got_json => sub { json_text('body', $_[0]{body}, $_[1]) },
    );
    my @named = grep { defined $section->{"provider_${name}_$_"} } sort keys %compare;
    # Records hold whole bodies: they are read only where they are needed.
    my $requests = @named ? $self->mock->requests($name) : [];
    for my $what (@named) {
        my $want = $section->{"provider_${name}_$what"};
        my @problems = each_request($requests, $want, $what eq 'got', $compare{$what});
        $self->report("provider $name: $what", @problems);
    }
    my $count = $section->{"provider_${name}_requests"} // return;
    $self->report("provider $name: requests",
        $state->{requests} == $count ? () : "$state->{requests} requests arrived, not $count");
}

# --- what is always checked -------------------------------------------------------------------

# Before nginx is told to end: no worker may have ended, nor have been replaced.
sub workers {
    my ($self) = @_;
    my $log = $self->{nginx}->log;
    return if defined $self->{section}{expected_alert};
    my $started = $self->{nginx}->worker_pids;
    my $limit = $self->{nginx}{workers} * (1 + $self->{reloads});
    my @problems;
    push @problems, "$started workers were started, not $limit" if $started > $limit;
    push @problems, "a worker ended:\n$1"
        if $log =~ /^(.*worker process \d+ exited (?:on signal|with code [1-9]).*)$/m;
    return @problems;
}

sub alerts {
    my ($self) = @_;
    my @expected = grep {/\S/} split /\n/, $self->{section}{expected_alert} // '';
    my $bad = qr/\[(?:alert|emerg)\]|panicked at|Sanitizer|stack overflow|memory allocation of \d+/;
    my @problems;
    for my $line (split /\n/, $self->error_log . slurp("$self->{root}/logs/stderr.txt")) {
        next if grep { log_lines($line, $_, 'unwanted') } @expected;
        push @problems, "error.log: $line" if $line =~ $bad;
    }
    return @problems;
}

# Every canned answer is used, and no request beyond them gets the mock provider's default, unless
# the block says how many requests there are.
sub unused_answers {
    my ($self) = @_;
    my @problems;
    for my $name (sort keys %{ $self->{scripted} }) {
        my @answers = @{ $self->{scripted}{$name} };
        my $limit = 0;
        for my $answer (@answers) {
            my $times = $answer->{times} // 1;
            # A filtered answer leaves other requests to the mock provider's default on purpose.
            $limit += $answer->{when} || $times eq 'always' ? 'inf' : $times;
        }
        my ($seen, $left) = @{ $self->{states}{$name} }{qw(requests script_left)};
        push @problems, "provider $name: $left canned answers were not used" if $left;
        push @problems, "provider $name: $seen requests arrived for $limit canned answers"
            if $seen > $limit && !defined $self->{section}{"provider_${name}_requests"};
    }
    return @problems;
}

# By convention a secret in a test is written sk-...SECRET...: it may be in what the test itself
# wrote and nowhere else.
sub secrets {
    my ($self) = @_;
    my $others = join '', map {"|\Q$_\E"} @{ $self->{secrets} // [] };
    my $secret = qr/sk-[A-Za-z0-9_-]*SECRET[A-Za-z0-9_-]*$others/;
    my @problems;
    File::Find::find({ no_chdir => 1, wanted => sub {
        return if !-f || $self->{given}{$_} || m{\A\Q$self->{root}\E/(?:nginx\.conf\z|tmp/)};
        push @problems, 'there is a secret in ' . substr($_, 1 + length $self->{root}) . ": $1"
            if slurp($_) =~ /^(.*$secret.*)$/m;
    } }, $self->{root});
    for my $answer (@{ $self->{answers} }, @{ $self->{extra_answers} // [] }) {
        push @problems, "there is a secret in a response: $1"
            if $answer->{raw} =~ /^(.*$secret.*)$/m;
    }
    return @problems;
}

sub memory {
    my ($self) = @_;
    return Test::LLM::Memory::problems("$self->{root}/logs");
}

# --- the end ----------------------------------------------------------------------------------

# What a person needs to see of a block that failed.
sub story {
    my ($self) = @_;
    my @log = grep { !/\[notice\]/ } split /\n/, $self->error_log;
    my @story = ('error.log ends with:', tail(join("\n", @log), 15));
    for my $answer (@{ $self->{answers} }) {
        push @story, 'response:', printable($answer->{raw});
    }
    for my $name (@{ $self->{names} }) {
        for my $request (@{ $self->mock->requests($name) }) {
            my @shown = (@$request{qw(method path ended)}, printable($request->{body}));
            push @story, "provider $name: @shown";
        }
    }
    return join "\n", @story;
}

sub abandon {
    my ($self) = @_;
    $self->{nginx}->force if $self->{nginx};
    if (my $pg = delete $self->{pg}) { $pg->finish }
}

1;
