# llm_proxy_max_body_size: what is above it is refused, and what is below it arrives byte for byte,
# whatever way it came and wherever nginx kept it.

use Test::LLM 'no_plan';

# A request for each size in bytes, and what the provider must get of them. Every byte of the padding
# differs from its neighbours, so that a lost or doubled piece is seen.
sub bodies {
    my (@sizes) = @_;
    return map {
        my $start = '{"model": "first/m",  "stream" :false,"big":12345678901234567890.10,"pad":"';
        my $pad   = CORE::join ' ', 1 .. $_ / 5 + 400;
        $start . substr($pad, 0, $_ - length($start) - 2) . '"}';
    } @sizes;
}

sub requests_of { return CORE::join "\n>>>\n", map {"POST /v1/chat/completions\n$_"} bodies(@_) }

sub sent { return CORE::join "\n>>>\n", map {s{first/m}{m}r} bodies(@_) }

run_tests();

__DATA__

=== bodies of any size arrive as they are
--- http_config
    upstream one { server %%first%%; }
--- config
    llm_proxy_route first one;
    llm_proxy_default_provider first;
    location /v1/ { llm_proxy; proxy_pass http://one; }
--- requests eval: main::requests_of(1_000, 8_192, 16_384, 16_385, 100_000, 3_000_000)
--- provider_first_got_body eval: main::sent(1_000, 8_192, 16_384, 16_385, 100_000, 3_000_000)

=== bodies that nginx keeps in memory arrive as they are
--- http_config
    upstream one { server %%first%%; }
--- config
    llm_proxy_route first one;
    llm_proxy_default_provider first;
    client_body_buffer_size 4m;
    location /v1/ { llm_proxy; proxy_pass http://one; }
--- requests eval: main::requests_of(1_000, 100_000, 3_000_000)
--- provider_first_got_body eval: main::sent(1_000, 100_000, 3_000_000)
--- no_error_log
buffered to a temporary file

=== a request behind a body in the same packet is served
--- http_config
    upstream one { server %%first%%; }
--- config
    llm_proxy_route first one;
    llm_proxy_default_provider first;
    client_body_buffer_size 256k;
    location /v1/ { llm_proxy; proxy_pass http://one; }
--- requests eval: main::requests_of(400, 2_000, 100_000, 900, 2_000)
--- pipelined
--- provider_first_got_body eval: main::sent(400, 2_000, 100_000, 900, 2_000)

=== bodies that nginx keeps in a file arrive as they are
--- http_config
    upstream one { server %%first%%; }
--- config
    llm_proxy_route first one;
    llm_proxy_default_provider first;
    client_body_in_file_only clean;
    location /v1/ { llm_proxy; proxy_pass http://one; }
--- requests eval: main::requests_of(1_000, 100_000, 3_000_000)
--- provider_first_got_body eval: main::sent(1_000, 100_000, 3_000_000)

=== bodies that do not fit nginx's buffer arrive as they are
--- http_config
    upstream one { server %%first%%; }
--- config
    llm_proxy_route first one;
    llm_proxy_default_provider first;
    client_body_buffer_size 1k;
    location /v1/ { llm_proxy; proxy_pass http://one; }
--- requests eval: main::requests_of(1_000, 1_025, 100_000, 3_000_000)
--- provider_first_got_body eval: main::sent(1_000, 1_025, 100_000, 3_000_000)
--- error_log
a client request body is buffered to a temporary file

=== nothing is sent before the body is there, even where proxy_request_buffering is off
--- http_config
    upstream one { server %%first%%; }
--- config
    llm_proxy_route first one;
    llm_proxy_default_provider first;
    location /v1/ { llm_proxy; proxy_request_buffering off; proxy_pass http://one; }
--- requests eval: main::requests_of(1_000, 100_000, 3_000_000)
--- provider_first_got_body eval: main::sent(1_000, 100_000, 3_000_000)

=== bodies in pieces arrive as they are
--- http_config
    upstream one { server %%first%%; }
--- config
    llm_proxy_route first one;
    llm_proxy_default_provider first;
    location /v1/ { llm_proxy; proxy_pass http://one; }
--- tcp_split: 100 50 1 1 1 7 300 60000
--- requests eval: main::requests_of(1_000, 100_000, 3_000_000)
--- provider_first_got_body eval: main::sent(1_000, 100_000, 3_000_000)

=== a request that comes byte by byte arrives as it is
--- http_config
    upstream one { server %%first%%; }
--- config
    llm_proxy_route first one;
    llm_proxy_default_provider first;
    location /v1/ { llm_proxy; proxy_pass http://one; }
--- tcp_split: 1
--- request
POST /v1/chat/completions
{"model":"first/m"}
--- provider_first_got_body
{"model":"m"}

=== bodies in chunks arrive as they are, with a length
--- http_config
    upstream one { server %%first%%; }
--- config
    llm_proxy_route first one;
    llm_proxy_default_provider first;
    location /v1/ { llm_proxy; proxy_pass http://one; }
--- chunked: 1 20 3 50000
--- requests eval: main::requests_of(1_000, 100_000, 3_000_000)
--- provider_first_got_body eval: main::sent(1_000, 100_000, 3_000_000)
--- provider_first_got
POST /v1/chat/completions HTTP/1.1
content-length: 994
!transfer-encoding

POST /v1/chat/completions HTTP/1.1
content-length: 99994
!transfer-encoding

POST /v1/chat/completions HTTP/1.1
content-length: 2999994
!transfer-encoding

=== bodies in chunks arrive as they are where proxy_request_buffering is off
--- http_config
    upstream one { server %%first%%; }
--- config
    llm_proxy_route first one;
    llm_proxy_default_provider first;
    location /v1/ {
        llm_proxy;
        client_body_buffer_size 1k;
        proxy_request_buffering off;
        proxy_http_version 1.1;
        proxy_pass http://one;
    }
--- chunked: 1 20 3 50000
--- requests eval: main::requests_of(1_000, 3_000_000)
--- provider_first_got_body eval: main::sent(1_000, 3_000_000)
--- provider_first_got
POST /v1/chat/completions HTTP/1.1
content-length: 994
!transfer-encoding

POST /v1/chat/completions HTTP/1.1
content-length: 2999994
!transfer-encoding

=== bodies over HTTP/2 arrive as they are
--- http_config
    upstream one { server %%first%%; }
--- config
    llm_proxy_route first one;
    llm_proxy_default_provider first;
    location /v1/ { llm_proxy; proxy_pass http://one; }
--- http2
--- requests eval: main::requests_of(1_000, 100_000, 3_000_000)
--- provider_first_got_body eval: main::sent(1_000, 100_000, 3_000_000)

=== bodies over HTTP/2 arrive as they are where they do not fit nginx's buffer
--- http_config
    upstream one { server %%first%%; }
--- config
    llm_proxy_route first one;
    llm_proxy_default_provider first;
    location /v1/ {
        llm_proxy;
        client_body_buffer_size 1k;
        proxy_request_buffering off;
        proxy_pass http://one;
    }
--- http2
--- requests eval: main::requests_of(1_000, 3_000_000)
--- provider_first_got_body eval: main::sent(1_000, 3_000_000)

=== bodies that wait for nginx to ask arrive as they are
--- http_config
    upstream one { server %%first%%; }
--- config
    llm_proxy_route first one;
    llm_proxy_default_provider first;
    location /v1/ { llm_proxy; proxy_pass http://one; }
--- expect_continue
--- requests eval: main::requests_of(1_000, 100_000, 3_000_000)
--- provider_first_got_body eval: main::sent(1_000, 100_000, 3_000_000)
--- provider_first_got
POST /v1/chat/completions
!expect

POST /v1/chat/completions
!expect

POST /v1/chat/completions
!expect

=== a body that nothing changes in arrives as it is
--- http_config
    upstream one { server %%first%%; }
--- config
    llm_proxy_route first one;
    llm_proxy_default_provider first;
    client_body_buffer_size 1k;
    location /v1/ { llm_proxy; proxy_pass http://one; }
--- requests eval: main::sent(1_000, 3_000_000) =~ s/^\{/POST \/v1\/chat\/completions\n{/mgr
--- provider_first_got_body eval: main::sent(1_000, 3_000_000)

=== ten megabytes are the limit where none is written
--- http_config
    upstream one { server %%first%%; }
--- config
    llm_proxy_route first one;
    llm_proxy_default_provider first;
    client_max_body_size 1k;
    location /v1/ { llm_proxy; proxy_pass http://one; }
--- requests eval: main::requests_of(10 * 1024 * 1024, 10 * 1024 * 1024 + 1)
--- error_code: 200 413
--- response_json
{"model":"m"}
>>>
{"error":{"code":"request_too_large","message":"<<match:10485760 bytes.*llm_proxy_max_body_size>>"}}
--- provider_first_got
POST /v1/chat/completions
content-length: 10485754
--- provider_first_requests: 1

=== a body above the limit is refused, and the answer names the directive
--- http_config
    upstream one { server %%first%%; }
    llm_proxy_max_body_size 1k;
--- config
    llm_proxy_route first one;
    llm_proxy_route claude one anthropic;
    llm_proxy_default_provider first;
    location /v1/ { llm_proxy; proxy_pass http://one; }
    location /large/ { llm_proxy; llm_proxy_max_body_size 1M; proxy_pass http://one; }
    location /stock/ { llm_proxy off; client_max_body_size 2k; proxy_pass http://one; }
--- requests eval
my ($fits, $larger) = main::bodies(1024, 1025);
qq(POST /v1/chat/completions\n$fits\n>>>\nPOST /v1/chat/completions\n$larger\n>>> new connection\n)
    . qq(POST /v1/messages\n$larger\n>>> new connection\nPOST /large/v1/chat/completions\n$larger\n>>>\n)
    . qq(POST /stock/v1/chat/completions\n$larger)
--- error_code: 200 413 413 200 200
--- response_headers
x-llm-provider: first
>>>
content-type: application/json
x-llm-event-id: ~.
>>>
content-type: application/json
>>>
x-llm-provider: first
>>>
!x-llm-provider
--- response_json
{"model":"m"}
>>>
{"error":{"code":"request_too_large","type":"invalid_request_error","message":"<<match:1024 bytes.*llm_proxy_max_body_size>>"},"request_id":"<<match:.>>"}
>>>
{"type":"error","error":{"type":"request_too_large","message":"<<match:1024 bytes.*llm_proxy_max_body_size>>"},"request_id":"<<match:.>>"}
>>>
{"model":"m"}
>>>
{"model":"first/m"}
--- provider_first_requests: 3

=== a body in chunks above the limit is refused
--- http_config
    upstream one { server %%first%%; }
--- config
    llm_proxy_route first one;
    llm_proxy_default_provider first;
    llm_proxy_max_body_size 1k;
    location /v1/ { llm_proxy; proxy_pass http://one; }
--- chunked: 100
--- requests eval: main::requests_of(1024, 1025)
--- error_code: 200 413
--- response_json
{"model":"m"}
>>>
{"error":{"code":"request_too_large","message":"<<match:llm_proxy_max_body_size>>"}}
--- provider_first_requests: 1

=== a body over HTTP/2 above the limit is refused
--- http_config
    upstream one { server %%first%%; }
    log_format protocol "$server_protocol $status $sent_http_content_type";
--- config
    # %%http2_port%%
    llm_proxy_route first one;
    llm_proxy_default_provider first;
    llm_proxy_max_body_size 1k;
    location /v1/ { llm_proxy; proxy_pass http://one; }
--- after
# nginx answers before the body is there, which curl may or may not take for an error.
my $body = main::requests_of(1025) =~ s/.*\n//r;
my $url = 'http://' . $t->http2_address . '/v1/chat/completions';
open my $curl, '-|', 'curl', '-s', '--http2-prior-knowledge', '-H', 'Content-Type: application/json',
    '--data-binary', $body, '-o', '/dev/null', $url or die $!;
close $curl;
--- after_stop
like($t->access_log, qr{^HTTP/2\.0 413 application/json$}m, 'the answer');
--- provider_first_requests: 0

=== a body above the limit is not asked for
--- http_config
    upstream one { server %%first%%; }
--- config
    llm_proxy_route first one;
    llm_proxy_default_provider first;
    llm_proxy_max_body_size 1k;
    location /v1/ { llm_proxy; proxy_pass http://one; }
--- expect_continue
--- request eval: main::requests_of(1025)
--- error_code: 413
--- response_json
{"error":{"code":"request_too_large"}}
--- provider_first_requests: 0
--- after
my ($answer) = $t->answers;
is_deeply($answer->{interim}, [], 'no "100 Continue"');

=== the limit is a size
--- config
    llm_proxy_max_body_size lots;
--- must_fail
invalid value "lots" in "llm_proxy_max_body_size" directive, it must be a size such as "10m" in %%root%%/nginx.conf

=== a limit of zero is none that anything could pass
--- config
    llm_proxy_max_body_size 0;
--- must_fail
invalid value "0" in "llm_proxy_max_body_size" directive, it must be a size such as "10m"

=== the limit is written once at a level
--- config
    llm_proxy_max_body_size 1m;
    llm_proxy_max_body_size 2m;
--- must_fail
"llm_proxy_max_body_size" directive is duplicate in %%root%%/nginx.conf
