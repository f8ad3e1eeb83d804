# Errors that no provider made: JSON in the caller's dialect with the request's id, never HTML, whoever
# found the fault.

use Test::LLM 'no_plan';

# What holds for each of them.
sub all_are_ours {
    my ($t) = @_;
    for my $answer ($t->answers) {
        my $what = "$answer->{status} $answer->{body}";
        my ($id) = $answer->{body} =~ /"request_id":"([^"]{16,})"/;
        ok($id, "it has an id: $what");
        for my $name (qw(x-llm-event-id x-request-id request-id)) {
            my @values = Test::LLM::Client::header_values($answer, $name);
            is("@values", $id // '', "$name has the same");
        }
        my @types = Test::LLM::Client::header_values($answer, 'content-type');
        is("@types", 'application/json', 'it is JSON');
        unlike($answer->{body}, qr/</, 'and no HTML');
        unlike($answer->{raw}, qr/127\.0\.0\.1/, 'it names no address');
    }
}

run_tests();

__DATA__

=== the gateway's own refusals, told to an OpenAI client
--- http_config
    upstream one { server %%first%%; }
    upstream two { server %%second%%; }
--- config
    llm_proxy_route first one max_input=1000;
    llm_proxy_route second two anthropic;
    llm_proxy_model_pattern a first;
    llm_proxy_model_pattern b second;
    llm_proxy_max_body_size 8k;
    location / { llm_proxy; proxy_pass http://one; }
--- requests eval
my $long = 'x' x 5_000;
my $larger = 'x' x 9_000;
CORE::join "\n>>>\n", map {"POST /v1/chat/completions\n$_"}
    'no JSON', '{"messages":[]}', '{"model":"nobody"}', '{"model":"a","provider":"second"}',
    '{"model":7}', '{"model":"a","model":"a"}', '{"model":"a\\n"}', '{"model":"b"}',
    '{"model":"a","dialect":"x"}', qq({"model":"a","messages":["$long"]}), $larger
--- more_headers
Authorization: Bearer sk-SECRET-of-the-client
--- error_code: 400 400 404 400*7 413
--- response_json
{"error":{"code":"invalid_json","type":"invalid_request_error","message":"<<any>>","param":null}}
>>>
{"error":{"code":"model_required","type":"invalid_request_error","param":"model"}}
>>>
{"error":{"code":"model_not_found","type":"invalid_request_error","param":"model"}}
>>>
{"error":{"code":"provider_not_allowed","type":"invalid_request_error","param":"provider"}}
>>>
{"error":{"code":"invalid_type","type":"invalid_request_error","param":"model"}}
>>>
{"error":{"code":"duplicate_key","type":"invalid_request_error","param":"model"}}
>>>
{"error":{"code":"invalid_model_name","type":"invalid_request_error","param":"model"}}
>>>
{"error":{"code":"translation_unavailable","type":"invalid_request_error"}}
>>>
{"error":{"code":"unknown_dialect","type":"invalid_request_error","param":"dialect"}}
>>>
{"error":{"code":"context_length_exceeded","type":"invalid_request_error"}}
>>>
{"error":{"code":"request_too_large","type":"invalid_request_error"}}
--- after: main::all_are_ours($t);
--- provider_first_requests: 0
--- provider_second_requests: 0

=== the gateway's own refusals, told to an Anthropic client
--- http_config
    upstream one { server %%first%%; }
    upstream two { server %%second%%; }
--- config
    llm_proxy_route first one max_input=1000 anthropic;
    llm_proxy_route second two;
    llm_proxy_model_pattern a first;
    llm_proxy_model_pattern b second;
    llm_proxy_max_body_size 8k;
    location / { llm_proxy; proxy_pass http://one; }
--- requests eval
my $long = 'x' x 5_000;
my $larger = 'x' x 9_000;
CORE::join "\n>>>\n", map {"POST /v1/messages\n$_"}
    'no JSON', '{"messages":[]}', '{"model":"nobody"}', '{"model":"a","provider":"second"}',
    '{"model":7}', '{"model":"a","model":"a"}', '{"model":"a\\n"}', '{"model":"b"}',
    '{"model":"a","dialect":"x"}', qq({"model":"a","messages":["$long"]}), $larger
--- more_headers
x-api-key: sk-ant-SECRET-of-the-client
anthropic-version: 2023-06-01
--- error_code: 400 400 404 400*7 413
--- response_json
{"type":"error","error":{"type":"invalid_request_error","message":"<<any>>"}}
>>>
{"type":"error","error":{"type":"invalid_request_error"}}
>>>
{"type":"error","error":{"type":"not_found_error"}}
>>>
{"type":"error","error":{"type":"invalid_request_error"}}
>>>
{"type":"error","error":{"type":"invalid_request_error"}}
>>>
{"type":"error","error":{"type":"invalid_request_error"}}
>>>
{"type":"error","error":{"type":"invalid_request_error"}}
>>>
{"type":"error","error":{"type":"invalid_request_error"}}
>>>
{"type":"error","error":{"type":"invalid_request_error"}}
>>>
{"type":"error","error":{"type":"invalid_request_error"}}
>>>
{"type":"error","error":{"type":"request_too_large"}}
--- after: main::all_are_ours($t);
--- provider_first_requests: 0
--- provider_second_requests: 0

=== what the operator refuses with a return
--- http_config
    upstream one { server %%first%%; }
--- config
    llm_proxy_route first one;
    llm_proxy_default_provider first;
    location / {
        if ($http_x_status = 400) { return 400; }
        if ($http_x_status = 401) { return 401; }
        if ($http_x_status = 402) { return 402; }
        if ($http_x_status = 403) { return 403; }
        if ($http_x_status = 404) { return 404; }
        if ($http_x_status = 405) { return 405; }
        if ($http_x_status = 409) { return 409; }
        if ($http_x_status = 429) { return 429; }
        if ($http_x_status = 500) { return 500; }
        if ($http_x_status = 503) { return 503; }
        llm_proxy;
        proxy_pass http://one;
    }
--- requests eval
CORE::join "\n>>>\n", ("POST /v1/chat/completions\n{\"model\":\"m\"}") x 10
--- more_headers eval
CORE::join "\n>>>\n", map {"X-Status: $_"} 400 .. 405, 409, 429, 500, 503
--- error_code: 400 401 402 403 404 405 409 429 500 503
--- response_json
{"error":{"code":"bad_request","type":"invalid_request_error"}}
>>>
{"error":{"code":"unauthorized","type":"authentication_error"}}
>>>
{"error":{"code":"payment_required","type":"insufficient_quota"}}
>>>
{"error":{"code":"forbidden","type":"permission_error"}}
>>>
{"error":{"code":"not_found","type":"invalid_request_error"}}
>>>
{"error":{"code":"method_not_allowed","type":"invalid_request_error"}}
>>>
{"error":{"code":"conflict","type":"invalid_request_error"}}
>>>
{"error":{"code":"rate_limit_exceeded","type":"rate_limit_error"}}
>>>
{"error":{"code":"internal_error","type":"server_error"}}
>>>
{"error":{"code":"unavailable","type":"server_error"}}
--- after: main::all_are_ours($t);
--- provider_first_requests: 0

=== what the operator refuses with a return, told to an Anthropic client
--- http_config
    upstream one { server %%first%%; }
--- config
    llm_proxy_route first one;
    llm_proxy_default_provider first;
    location / {
        if ($http_x_status = 401) { return 401; }
        if ($http_x_status = 403) { return 403; }
        if ($http_x_status = 404) { return 404; }
        if ($http_x_status = 429) { return 429; }
        if ($http_x_status = 500) { return 500; }
        if ($http_x_status = 503) { return 503; }
        if ($http_x_status = 504) { return 504; }
        llm_proxy;
        proxy_pass http://one;
    }
--- requests eval
CORE::join "\n>>>\n", ("POST /v1/messages\n{\"model\":\"m\"}") x 7
--- more_headers eval
CORE::join "\n>>>\n", map {"X-Status: $_"} 401, 403, 404, 429, 500, 503, 504
--- error_code: 401 403 404 429 500 503 504
--- response_json
{"type":"error","error":{"type":"authentication_error"}}
>>>
{"type":"error","error":{"type":"permission_error"}}
>>>
{"type":"error","error":{"type":"not_found_error"}}
>>>
{"type":"error","error":{"type":"rate_limit_error"}}
>>>
{"type":"error","error":{"type":"api_error"}}
>>>
{"type":"error","error":{"type":"overloaded_error"}}
>>>
{"type":"error","error":{"type":"timeout_error"}}
--- after: main::all_are_ours($t);

=== a provider that cannot be reached
--- http_config
    upstream one { server %%closed%%; }
--- config
    llm_proxy_route first one;
    llm_proxy_route second one anthropic;
    llm_proxy_model_pattern a first;
    llm_proxy_model_pattern b second;
    location / { llm_proxy; proxy_pass http://one; }
--- requests
POST /v1/chat/completions
{"model":"a"}
>>>
POST /v1/chat/completions
{"model":"a","stream":true}
>>>
POST /v1/messages
{"model":"b"}
>>>
POST /v1/messages
{"model":"b","stream":true}
--- error_code: 502
--- response_json
{"error":{"code":"provider_unreachable","type":"server_error"}}
>>>
{"error":{"code":"provider_unreachable","type":"server_error"}}
>>>
{"type":"error","error":{"type":"api_error"}}
>>>
{"type":"error","error":{"type":"api_error"}}
--- after: main::all_are_ours($t);

=== a provider that goes away without an answer
--- http_config
    upstream one { server %%first%%; }
--- config
    llm_proxy_route first one;
    llm_proxy_default_provider first;
    location / { llm_proxy; proxy_pass http://one; }
--- requests
POST /v1/chat/completions
{"model":"a"}
>>>
POST /v1/chat/completions
{"model":"a","stream":true}
--- provider_first
{"fault":"close"}

{"fault":"reset"}
--- error_code: 502
--- response_json
{"error":{"code":"provider_unreachable"}}
--- after: main::all_are_ours($t);

=== a provider whose answer is none
--- http_config
    upstream one { server %%closed%%; }
--- config
    llm_proxy_route first one;
    llm_proxy_default_provider first;
    location / { llm_proxy; proxy_buffer_size 4k; proxy_buffers 4 4k; proxy_busy_buffers_size 8k; proxy_pass http://one; }
--- init
# nginx takes a first line that is no status line for HTTP/0.9; a header line that is none is an error.
use Socket;
my ($port) = $t->read_file('nginx.conf') =~ /server 127\.0\.0\.1:(\d+)/;
socket our $listener, PF_INET, SOCK_STREAM, 0 or die $!;
setsockopt $listener, SOL_SOCKET, SO_REUSEADDR, 1 or die $!;
bind $listener, pack_sockaddr_in($port, INADDR_LOOPBACK) or die $!;
listen $listener, 8 or die $!;
our $server = fork // die $!;
if (!$server) {
    while (accept my $connection, $listener) {
        sysread $connection, my $request, 100_000;
        syswrite $connection, "HTTP/1.1 200 OK\r\nContent-Type: text/html\r\n\0: broken\r\n\r\n";
        close $connection;
    }
    POSIX::_exit(0);
}
close $listener;
--- request
POST /v1/chat/completions
{"model":"a"}
--- error_code: 502
--- response_json
{"error":{"code":"provider_bad_response"}}
--- after
kill TERM => our $server;
waitpid $server, 0;
main::all_are_ours($t);

=== a provider whose head does not fit
--- http_config
    upstream one { server %%first%%; }
--- config
    llm_proxy_route first one;
    llm_proxy_default_provider first;
    location / { llm_proxy; proxy_buffer_size 4k; proxy_buffers 4 4k; proxy_busy_buffers_size 8k; proxy_pass http://one; }
--- request
POST /v1/chat/completions
{"model":"a"}
--- provider_first
{"fault":"big_head"}
--- error_code: 502
--- response_json
{"error":{"code":"provider_bad_response"}}
--- after: main::all_are_ours($t);

=== a provider that does not answer in time
--- http_config
    upstream one { server %%first%%; }
--- config
    llm_proxy_route first one;
    llm_proxy_route second one anthropic;
    llm_proxy_model_pattern a first;
    llm_proxy_model_pattern b second;
    llm_proxy_response_timeout 200ms;
    location / { llm_proxy; proxy_pass http://one; }
--- requests
POST /v1/chat/completions
{"model":"a"}
>>>
POST /v1/messages
{"model":"b","stream":true}
--- provider_first
{"fault":"hang","times":2}
--- error_code: 504
--- response_json
{"error":{"code":"provider_timeout","type":"server_error"}}
>>>
{"type":"error","error":{"type":"timeout_error"}}
--- after: main::all_are_ours($t);

=== requests that nginx does not understand, where the gateway is on for the server
nginx has a status of its own for headers that are too large, but tells its filters only the 400.
--- http_config
    upstream one { server %%first%%; }
--- config
    llm_proxy;
    llm_proxy_route first one;
    llm_proxy_default_provider first;
    large_client_header_buffers 2 2k;
    location / { proxy_pass http://one; }
--- requests eval
my $long = 'x' x 3_000;
"GET /v1/$long\n>>>\nGET /v1/models\n>>>\nGET /v1/models"
--- more_headers eval
my $long = 'x' x 3_000;
"\n>>>\nX-Long: $long\n>>>\nHost: a b"
--- error_code: 414 400 400
--- response_json
{"error":{"code":"uri_too_long"}}
>>>
{"error":{"code":"bad_request"}}
>>>
{"error":{"code":"bad_request"}}
--- after: main::all_are_ours($t);

=== old browsers get no padding
--- http_config
    upstream one { server %%first%%; }
--- config
    llm_proxy_route first one;
    llm_proxy_default_provider first;
    location /v1/ { llm_proxy; deny all; proxy_pass http://one; }
--- more_headers
User-Agent: Mozilla/4.0 (compatible; MSIE 6.0; Windows NT 5.1)
--- request
GET /v1/models
--- error_code: 403
--- response_json
{"error":{"code":"forbidden"}}
--- after: main::all_are_ours($t);

=== what is not there
--- http_config
    upstream one { server %%first%%; }
--- config
    llm_proxy;
    llm_proxy_route first one;
    llm_proxy_default_provider first;
    root %%root%%/html;
    location / { }
--- user_files
>>> html/page.txt
text
--- requests
GET /v1/models
>>>
POST /page.txt
{"model":"m"}
--- error_code: 404 405
--- response_json
{"error":{"code":"not_found"}}
>>>
{"error":{"code":"method_not_allowed"}}
--- after: main::all_are_ours($t);

=== the answer to HEAD has no body
--- http_config
    upstream one { server %%first%%; }
--- config
    llm_proxy_route first one;
    llm_proxy_model_pattern a first;
    location /v1/ { llm_proxy; deny all; proxy_pass http://one; }
    location /open/v1/ { llm_proxy; proxy_pass http://%%closed%%; }
--- requests
HEAD /v1/models
>>>
HEAD /open/v1/models
--- error_code: 403 500
--- response_headers
content-type: application/json
content-length: ~^\d+$
--- response_body

=== an HTTP/1.0 client is told the same
--- http_config
    upstream one { server %%first%%; }
--- config
    llm_proxy_route first one;
    llm_proxy_model_pattern a first;
    location /v1/ { llm_proxy; proxy_pass http://one; }
--- request
POST /v1/chat/completions HTTP/1.0
{"model":"b"}
--- error_code: 404
--- response_json
{"error":{"code":"model_not_found"}}
--- after: main::all_are_ours($t);

=== an HTTP/2 client is told the same
--- http_config
    upstream one { server %%first%%; }
--- config
    llm_proxy_route first one;
    llm_proxy_model_pattern a first;
    location /v1/ { llm_proxy; proxy_pass http://one; }
    location /closed/v1/ { llm_proxy; if ($http_user_agent) { return 401; } proxy_pass http://one; }
--- http2
--- requests
POST /v1/chat/completions
{"model":"b"}
>>>
GET /closed/v1/models
--- error_code: 404 401
--- response_json
{"error":{"code":"model_not_found"}}
>>>
{"error":{"code":"unauthorized"}}
