# What the harness must find to be wrong: test files are written, run and must fail, each block in
# the one check and with the words that its name says.

use Test::LLM 'no_plan';

use File::Temp ();
use Test::LLM::Memory;

my ($library) = grep { -e "$_/Test/LLM.pm" } @INC;
my $blocks = join '', <DATA>;

valgrind_reports_are_judged();
every_failure_is_found();
a_mistake_in_a_test_file_ends_it();

sub valgrind_reports_are_judged {
    local $ENV{TEST_LLM_MODULE} = '/some/where/ngx_http_llm_module.so';
    my $leak = "8 bytes in 1 blocks are definitely lost in loss record 1\n   at 0x1: malloc\n";
    my %wrong = (
        'an invalid read'  => "Invalid read of size 4\n   at 0x1: ngx_palloc (ngx_palloc.c:1)\n",
        'a leak of ours'   => "$leak   by 0x2: ??? (in $ENV{TEST_LLM_MODULE})\n",
        'a branch of ours' => "Conditional jump or move depends on uninitialised value(s)\n"
            . "   at 0x1: llm_core::sse::push (sse.rs:12)\n",
    );
    my %fine = (
        'a leak of another' => "$leak   by 0x2: ngx_alloc (ngx_alloc.c:22)\n",
        'an event of epoll' => "Syscall param epoll_ctl(event) points to uninitialised byte(s)\n"
            . "   at 0x1: epoll_ctl (syscall-template.S:78)\n",
        'a summary' => "HEAP SUMMARY:\n    in use at exit: 0 bytes in 0 blocks\n",
    );
    for my $name (sort keys %wrong, sort keys %fine) {
        my $report = ($wrong{$name} // $fine{$name}) =~ s/^/==1== /mgr;
        my @problems = Test::LLM::Memory::valgrind_problems("==1== Memcheck\n==1== \n$report");
        is(scalar(@problems), $wrong{$name} ? 1 : 0, "valgrind: $name");
    }
}

# Runs a test file of its own and returns its output. Limits are short, since most of these blocks
# fail by waiting for something that never comes.
sub output_of {
    my ($folder, $text) = @_;
    local $ENV{TMPDIR} = $folder;
    local $ENV{TEST_LLM_SCALE} = 0.3;
    local @ENV{qw(TEST_LLM_KEEP TEST_LLM_VALGRIND TEST_LLM_ASAN)};
    spew("$folder/failing.t", "use Test::LLM 'no_plan';\nrun_tests();\n__DATA__\n$text");
    my $output = qx("$^X" "-I$library" "$folder/failing.t" 2>&1);
    return ($output, $?);
}

# A block's name is "check <- diagnosis".
sub every_failure_is_found {
    my $folder = File::Temp->newdir;
    my ($output, $status) = output_of("$folder", $blocks);
    isnt($status, 0, 'a test file with failures fails');
    for my $name ($blocks =~ /^=== (.+)$/mg) {
        my ($check, $diagnosis) = $name =~ /\A(.+?) <- (.+)\z/ or die "no diagnosis in \"$name\"";
        my @failed = $output =~ /^not ok \d+ - \Q$name\E: (.+)$/mg;
        is("@failed", $check, "only \"$check\" fails: $diagnosis");
        my ($own) = $output =~ /^not ok \d+ - \Q$name\E: (.*?)(?=^(?:not )?ok |\z)/ms;
        like($own // '', qr/\Q$diagnosis/, "it says: $diagnosis");
    }
}

sub a_mistake_in_a_test_file_ends_it {
    my $folder = File::Temp->newdir;
    my %mistakes = (
        'section "requst" is unknown' => "=== a\n--- requst\nGET /\n",
        'section "request" is there twice' => "=== a\n--- request\nGET /\n--- request\nGET /\n",
    );
    for my $message (sort keys %mistakes) {
        my ($output, $status) = output_of("$folder", $mistakes{$message});
        isnt($status, 0, "$message: the file fails");
        like($output, qr/\Q$message/, "$message: it says so");
    }
}

__DATA__
=== response_body <- body differs at byte 4
--- config
    location / { return 200 "this and that"; }
--- request
GET /
--- response_body
this or that

=== error_code <- the status is 204, not 200
--- config
    location / { return 204; }
--- request
GET /

=== error_code <- the status is 200 200, not 200 503
--- config
    location / { return 200 "same"; }
--- concurrent: 2
--- request
GET /
--- error_code: 503 200

=== response_body_like <- body does not match /^that/
--- config
    location / { return 200 "this"; }
--- request
GET /
--- response_body_like
^this
^that

=== response_body_unlike <- body matches /is/
--- config
    location / { return 200 "this"; }
--- request
GET /
--- response_body_unlike: is

=== response_headers <- header "server" is there
--- config
    location / { return 200 "this"; }
--- request
GET /
--- response_headers
!server

=== response_headers <- header "content-type" is "text/plain", not "text/html"
--- config
    location / { return 200 "this"; }
--- request
GET /
--- response_headers
content-type: text/html

=== response_headers <- header "x-absent" is missing
--- config
    location / { return 200 "this"; }
--- request
GET /
--- response_headers
x-absent: ~.

=== response_json <- body at .usage.total is "3", not 3
--- config
    location / { return 200 '{"usage":{"total":"3"},"more":1}'; }
--- request
GET /
--- response_json
{"usage":{"total":3}}

=== response_json <- body at .list has 2 elements, not 1
--- config
    location / { return 200 '{"list":[1,2]}'; }
--- request
GET /
--- response_json
{"list":[1]}

=== response_json <- body has .provider
--- config
    location / { return 200 '{"provider":null}'; }
--- request
GET /
--- response_json
{"provider":"<<absent>>"}

=== response_json <- body at .id does not match /^chatcmpl-\d+$/
--- config
    location / { return 200 '{"id":"chatcmpl-x"}'; }
--- request
GET /
--- response_json
{"id":"<<match:^chatcmpl-\\d+$>>"}

=== response_json <- body is not JSON
--- config
    location / { return 200 'text'; }
--- request
GET /
--- response_json
{}

=== response_sse <- event 2 differs
--- config
    location / { proxy_pass http://%%first%%; }
--- provider_first
sse
{"n":1}
[DONE]
--- request
GET /
--- response_sse
{"n":1}
{"n":2}

=== response_sse <- the stream has 1 events, not 2
--- config
    location / { proxy_pass http://%%first%%; }
--- provider_first
sse
{"n":1}
--- request
GET /
--- response_sse
{"n":1}
[DONE]

=== response ends as expected <- the response is incomplete: closed after
--- config
    location / { proxy_pass http://%%first%%; }
--- provider_first
{"fault":"short_length","body":"text"}
--- request
GET /

=== response ends as expected <- the response is complete (4 bytes of body)
--- config
    location / { return 200 "this"; }
--- request
GET /
--- incomplete_response

=== response ends as expected <- the response had no end in the time given
--- config
    location / { proxy_http_version 1.1; proxy_buffering off; proxy_pass http://%%first%%; }
--- provider_first
{"fault":"stall","after":1,"sse":["one","two"]}
--- request
GET /
--- timeout: 2s

=== response ends as expected <- bytes follow the response: HTTP/1.1 200
--- config
    location / { return 200 "this"; }
--- raw_request eval
"GET / HTTP/1.1\r\nHost: a\r\n\r\nGET / HTTP/1.1\r\nHost: a\r\n\r\n"

=== error_code <- there is no answer
--- config
    location / { return 200 "this"; }
--- error_code: 200

=== logs <- error.log does not say: this is not there
--- config
    location / { return 200 "this"; }
--- request
GET /
--- error_log
this is not there

=== logs <- error.log says: ~start worker process \d+
--- config
    location / { return 200 "this"; }
--- request
GET /
--- no_error_log
~start worker process \d+

=== logs <- access.log does not match /POST/
--- config
    location / { return 200 "this"; }
--- request
GET /
--- access_log
GET
POST

=== logs <- access.log matches /GET/
--- config
    location / { return 200 "this"; }
--- request
GET /
--- no_access_log
GET

=== provider first: got <- the request line is "GET /v1/models", not "GET /v1/model"
--- config
    location / { proxy_pass http://%%first%%; }
--- provider_first
200 {}
--- request
GET /v1/models
--- provider_first_got
GET /v1/model

=== provider first: got <- header "cookie" is there
--- config
    location / { proxy_pass http://%%first%%; }
--- request
GET /v1/models
--- more_headers
Cookie: a=b
--- provider_first_got
GET /v1/models
!cookie

=== provider first: got_body <- body differs at byte 1
--- config
    location / { proxy_pass http://%%first%%; }
--- request
POST /v1/embeddings
{"a":1}
--- provider_first_got_body
{ "a": 1 }

=== provider first: got_json <- no request arrived
--- http_config
    server { listen 127.0.0.1:%%port2%%; location / { proxy_pass http://%%first%%; } }
--- config
    location / { return 200 "this"; }
--- request
GET /
--- provider_first_got_json
{}

=== provider first: requests <- 1 requests arrived, not 2
--- config
    location / { proxy_pass http://%%first%%; }
--- request
GET /v1/models
--- provider_first_requests: 2

=== provider first: client_closed <- 0 requests were given up, not 1
--- config
    location / { proxy_pass http://%%first%%; }
--- request
GET /v1/models
--- provider_first_client_closed

=== ended clean <- provider first: 1 canned answers were not used
--- config
    location / { proxy_pass http://%%first%%; }
--- provider_first
200 one

200 two
--- request
GET /

=== ended clean <- provider first: 2 requests arrived for 1 canned answers
--- config
    location / { proxy_pass http://%%first%%; }
--- provider_first
200 one
--- requests
GET /v1/models
>>>
GET /v1/models

=== ended clean <- exited on signal 9
--- config
    location / { return 200 "this"; }
--- request
GET /
--- after
$t->kill_worker;

=== ended clean <- error.log: panicked at
--- config
    location / { root %%root%%; }
--- request
GET /panicked%20at
--- error_code: 404
--- after
open my $log, '>>', $t->root . '/logs/error.log' or die;
print {$log} "panicked at src/lib.rs:1\n";

=== ended clean <- sanitizer report
--- config
    location / { return 200 "this"; }
--- request
GET /
--- after
spew($t->root . '/logs/asan.1', "ERROR: AddressSanitizer: heap-use-after-free\n");

=== ended clean <- nginx did not shut down gracefully
--- config
    location / { proxy_ignore_client_abort on; proxy_pass http://%%first%%; }
--- provider_first
{"fault":"hang"}
--- request
GET /
--- abort_after: provider first

=== ended clean <- there is a secret in logs/access.log
--- config
    location / { return 200 "this"; }
--- request
GET /?key=sk-a-SECRET-b

=== ended clean <- there is a secret in a response
--- config
    location / { return 200 "sk-a-SECRET-b"; }
--- request
GET /

=== nginx -t <- nginx -t exited with 0, not 1
--- config
    location / { return 200 "this"; }
--- must_fail
any sentence

=== nginx -t <- nginx -t does not say: unknown directive "retrun"
--- config
    location / { erturn 200 "this"; }
--- must_fail
unknown directive "retrun"

=== nginx -t <- nginx -t does not say: any sentence
--- config
    location / { return 200 "this"; }
--- must_warn
any sentence

=== nginx -t <- unknown directive "erturn"
--- config
    location / { erturn 200 "this"; }
--- must_load

=== nginx starts <- unknown directive "erturn"
--- config
    location / { erturn 200 "this"; }
--- request
GET /

=== requests are sent <- the new configuration was refused
--- config
    location / { return 200 "this"; }
--- reload_config
    location / { erturn 200 "this"; }
--- reload
--- expected_alert
unknown directive "erturn"

=== requests are sent <- sections "http2" and "chunked" exclude each other
--- config
    location / { return 200 "this"; }
--- http2
--- chunked
--- request
GET /

=== section after runs <- this went wrong
--- config
    location / { return 200 "this"; }
--- request
GET /
--- after
die "this went wrong\n";
