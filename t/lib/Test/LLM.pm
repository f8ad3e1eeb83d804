package Test::LLM;

=head1 NAME

Test::LLM - one nginx, its providers and a client for each block of a test file

=head1 SYNOPSIS

    use Test::LLM 'no_plan';
    run_tests();
    __DATA__

    === a 429 from the first provider is answered by the second
    --- http_config
        upstream first { server %%first%%; }
    --- config
        location /v1/ { proxy_pass http://first; }
    --- provider_first
    200 {"served_by":"first"}
    --- request
    POST /v1/chat/completions
    {"model":"m"}
    --- response_body_like: "served_by":"first"

Run with C<scripts/prove [debian|vendored] [prove's arguments]>, or by hand with
C<prove -I t/lib t/x.t> and the variables below.

=head1 BLOCKS

Test::Base reads the file. A section is C<--- name>, or C<--- name: value> in one line; filters
follow the name (C<--- raw_request eval>). The newline at the end of a section does not belong to
it, blank lines around it are dropped; what the C<eval> filter makes is taken as it is. C<--- ONLY>,
C<--- SKIP> and C<--- LAST> choose blocks. A section that is unknown or there twice ends the file.

A line that starts with C<< >>> >> separates the items of a section: several requests, and what is
expected of each. In a check, a section without such a line holds for every answer.

=head2 Placeholders, in every section

    %%NAME%%           address of provider NAME: host:port, plain HTTP
    %%NAME_tls%%       address of the TLS listener NAME_tls (sections: provider_NAME_tls), whose
                       certificate is for NAME.test and localhost
    %%NAME_tls_ca%%    file of the authority that signed it
    %%port%% %%port2%% %%http2_port%%    our own port, one to spare, and one for HTTP/2
    %%closed%%         an address where nobody listens
    %%root%%           the block's folder, nginx's prefix
    %%load_module%%    the load_module line, for nginx_conf
    %%pg_dsn%%         a database of the block's own in a real PostgreSQL, which the first block that
                       names it starts; as an argument it needs quotes
    %%pg_cut_dsn%%     the same through a proxy that can cut connections

=head2 The server

    main_config http_config config events    lines for these places; config is in our server {}
    nginx_conf          a whole file instead (then with its own error_log, without daemon and pid)
    user_files          ">>> name" and content, below %%root%%
    env                 NAME=value lines; nginx gets no other variable but PATH and its like
    workers log_level   1, info (a reload is followed in the notices)
    reload              reload before the first request; reload_http_config, reload_config and
                        reload_main_config are the sections that hold from then on
    must_fail           nginx -t must exit with 1 and say each of these lines
    must_warn           nginx -t must exit with 0 and say each of these lines
    must_load           nginx -t must exit with 0 and without a warning
                        (these three start no server, unless there is a request or "after")

The log format that http_config defines first is the one of logs/access.log.

=head2 Requests

    request             line 1 is method, path and perhaps the version; the rest is the body.
                        Several, separated by ">>>", are sent one after another on one connection
    requests            the same
    more_headers        headers; the first with a name replaces ours, "!Name" takes ours away
    request_body        the body, for filters; request_body_eval is Perl code that returns it
    raw_request         all bytes, or a reference to an array of pieces to write
    chunked             the body in chunks, of these sizes if there are any (the last repeats)
    tcp_split           the whole request in writes of these sizes
    expect_continue     sends the body after the 100; without one only an error will do
    pipelined           all requests at once on one connection
    concurrent          each request, or N times the only one, on a connection of its own, all
                        sent before an answer is read
    http2               with curl, to %%http2_port%%
    abort_after         closes the connection: a number of bytes received; "provider NAME" has the
                        request; else a regexp that what was received must match
    timeout             of each answer, 10s

What stands behind the C<< >>> >> before a request is done first, several things separated by
commas: C<new connection>, C<reload>, C<restart>, C<restart kill9> (main process and workers are
killed), C<kill worker>, C<after 300ms> (where time itself is tested), C<error_log text> (waits for
it), C<provider NAME 2> (waits until it has 2 requests).

=head2 Answers

    error_code          200; a list for several: "200*3 429". Concurrent ones may be in any order
    response_body       every byte
    response_body_like response_body_unlike    regexps, one a line: all, none must match
    response_json       the keys that are given must be there, everything else must be equal.
                        "<<any>>", "<<match:regexp>>" and "<<absent>>" stand for values
    response_sse        one event a line: the data alone, or "event: name data: {...}", or a
                        comment; wildcards as in response_json
    response_headers    "name: value", "name: ~regexp", "!name"
    raw_response_headers_like    regexps, one a line
    incomplete_response the answer (or those with these numbers) must lack its last chunk or a part
                        of Content-Length; every other answer must be complete
    gunzip              unpacks the bodies first
    answered_within     a time
    error_log no_error_log    lines that must, must not be in error.log: text or "~regexp"
    access_log no_access_log  regexps, one a line
    expected_alert      alerts that are no failure, and must be there

=head2 Providers

    provider_NAME       canned answers, separated by blank lines, used in this order:
                          429 {"error":{}}        status and body
                          429                     or, with headers,
                          Retry-After: 2
                          {"error":{}}
                          sse                     events, one a line; sse {"pace_ms":20} adds to it
                          {"fault":"reset"}       what else mock-provider understands
                        A provider without canned answers gives mock-provider's default ones
    provider_NAME_got   request line and header checks. One item (here too separated by a blank
                        line) is for all requests, several are for one each
    provider_NAME_got_body provider_NAME_got_json    the same, separated by ">>>"
    provider_NAME_requests       how many there were
    provider_NAME_client_closed  how many of them nginx gave up (1)

=head2 Perl

C<init> runs before nginx starts, C<after> after the answers were checked, C<after_stop> when nginx
has ended. They see Test::Base's functions, C<wait_until { condition } seconds>, C<slurp>,
C<spew> and

    $t->root, address, port('port2'), answers, error_log, access_log, read_file(name)
    $t->write_file(name, content)     $t->request("GET /", "Header: value")
    $t->is_secret(text)               one that is not written as below
    $t->reload, restart(signal or "kill9"), kill_worker(signal), nginx
    $t->mock->requests(name), state(name), script(name, [answers])
    $t->sqlite(sql, file)             rows of references; the file is llm/cost.db
    $t->pg->query(sql), value(sql), count(table)      as the superuser; undef is NULL
    $t->pg->stop(signal), start, disconnect, connections
    $t->pg->lock_table(table), unlock, read_only(1)
    $t->pg->cut->after(text, times), count    cuts a connection of %%pg_cut_dsn%% when PostgreSQL
                                      has answered a message with this text, before nginx hears it

An answer is a hash: status, head, headers, body, complete, ended, seconds.

=head1 ALWAYS CHECKED

No alert, no emerg and no panic in a log; no worker ended or was replaced; nginx ends gracefully
when asked to, with status 0; every canned answer was used and no request came beyond them (unless
provider_NAME_requests says how many); no bytes follow an answer; no report by a sanitizer or
valgrind; no secret in an answer nor in any file but those the test wrote. A secret in a test is
written C<sk-...SECRET...>, of letters, digits, "-" and "_".

=head1 ENVIRONMENT

    TEST_LLM_NGINX      the nginx binary; default: nginx
    TEST_LLM_MODULE     our .so; without it the configuration has no load_module
    TEST_LLM_MOCK       the mock-provider binary; default: the one in target
    TEST_LLM_CTL        the llmctl binary; default: the one in target
    TEST_LLM_OTEL_MODULE    ngx_otel_module.so of that nginx; without it t/otel_module.t is skipped
    TEST_LLM_VALGRIND   runs nginx under valgrind; valgrind_skip: reason in a block skips it there
    TEST_LLM_ASAN       collects what the sanitizers of an instrumented nginx report
    TEST_LLM_KEEP       keeps the folders of blocks; those of failed blocks are always kept
    TEST_LLM_SCALE      multiplies every limit; by itself 15 under valgrind, 4 with sanitizers

=cut

use strict;
use warnings;

use Test::Base -base;

use File::Path ();
use File::Temp ();
use Test::LLM::Memory;
use Test::LLM::Mock;
use Test::LLM::Postgres;
use Test::LLM::Run;
use Test::LLM::Util qw(slurp spew wait_until);

our @EXPORT = qw(run_tests wait_until slurp spew);

my %known = map { $_ => 1 } qw(
    main_config events http_config config nginx_conf user_files env workers log_level
    request requests raw_request more_headers request_body request_body_eval
    chunked tcp_split expect_continue abort_after concurrent pipelined http2 timeout
    reload reload_main_config reload_http_config reload_config init after after_stop
    error_code response_headers raw_response_headers_like response_body response_body_like
    response_body_unlike response_json response_sse incomplete_response gunzip answered_within
    error_log no_error_log access_log no_access_log expected_alert
    must_fail must_warn must_load valgrind_skip ONLY SKIP LAST
);

my ($folder, $mock, $postgres, $current, $kept);
my $owner = $$;

sub run_tests() {
    local $SIG{PIPE} = 'IGNORE';
    $SIG{$_} = sub { exit 1 } for qw(INT TERM HUP);
    my @blocks = map { { block => $_, name => $_->name, sections => sections($_) } } blocks();
    my %names = map { $_ => 1 } map { Test::LLM::Run::provider_names(%{ $_->{sections} }) } @blocks;
    $folder = File::Temp::tempdir('ngx-llm-XXXXXX', TMPDIR => 1);
    # nginx's own user must be able to enter, wherever its workers are not root.
    chmod 0755, $folder;
    $mock = Test::LLM::Mock->start($folder, sort keys %names) if %names;
    run_one($_) for @blocks;
}

# The sections of a block by name. The newline at the end of a section is the test file's, not the
# section's; what a filter made is left as it is.
sub sections {
    my ($block) = @_;
    my $order = $block->{_section_order}[0];
    my $map   = $block->{_section_map}[0];
    my %sections;
    for my $name (@$order) {
        my $where = '"' . $block->name . "\": section \"$name\"";
        die "$where is unknown\n" if !$known{$name} && $name !~ /\Aprovider_\w+\z/;
        die "$where is there twice\n" if exists $sections{$name};
        my ($value) = $block->$name;
        if ($map->{$name}{filters} !~ /\S/) {
            $value //= '';
            # Test::Base's filters take a lone 0 for nothing.
            $value = $1 if $block->original_values->{$name} =~ /\A(0)\s*\z/;
            chomp $value;
        }
        $sections{$name} = $value;
    }
    return \%sections;
}

my $number = 0;

sub run_one {
    my ($test) = @_;
    if (defined $test->{sections}{valgrind_skip} && Test::LLM::Memory::valgrind()) {
        SKIP: { skip("$test->{name}: not under valgrind: $test->{sections}{valgrind_skip}", 1) }
        return;
    }
    my $failed = 0;
    my $root = sprintf '%s/%03d', $folder, ++$number;
    my $report = sub {
        my ($what, @problems) = @_;
        return if ok(!@problems, $what);
        $failed = 1;
        diag($_) for @problems;
    };
    my $died = !eval {
        local $SIG{__DIE__};
        $current = Test::LLM::Run->new(
            name => $test->{name}, sections => $test->{sections}, root => $root, mock => $mock,
            report => $report, postgres => sub { $postgres //= Test::LLM::Postgres->new($folder) },
        );
        $current->go;
        1;
    };
    $report->("$test->{name}: runs", $@) if $died;
    $current->abandon if $current;
    if ($failed) {
        diag(eval { local $SIG{__DIE__}; $current->story } // "no more is known: $@");
        diag("kept in $root");
    }
    diag("servroot: $root") if $ENV{TEST_LLM_KEEP} && !$failed;
    $failed || $ENV{TEST_LLM_KEEP} ? $kept = 1 : File::Path::remove_tree($root);
    $current = undef;
}

END {
    if ($$ == $owner) {
        local $?;
        $current->abandon if $current;
        $mock->stop if $mock;
        $postgres->stop('QUIT') if $postgres;
        File::Path::remove_tree($folder) if $folder && !$kept;
    }
}

1;
