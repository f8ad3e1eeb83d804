# nginx's buffers where the gateway is on: wide enough for what language models are sent and answer,
# as long as the operator writes none.

use Test::LLM 'no_plan';
use Test::LLM::Nginx;

# How much is read and written at once stands in the debug log only.
my $binary = Test::LLM::Nginx::binary();
my $has_debug_log = qx("$binary" -V 2>&1) =~ /--with-debug/;

# How often the debug log says something; that is as wanted where there is none.
sub is_said {
    my ($run, $what, $wanted, $name) = @_;
    my $said = () = $run->error_log =~ /$what/g;
    return is($has_debug_log ? $said : $wanted, $wanted, $name);
}

# A request of so many bytes, its head not counted.
sub body_of {
    my ($size) = @_;
    my $start = '{"model":"m","pad":"';
    return $start . 'x' x ($size - length($start) - 2) . '"}';
}

sub headers_of { return 'x-long: ' . 'h' x shift }

run_tests();

__DATA__

=== a provider's head of 12 KB passes
--- http_config
    upstream one { server %%first%%; }
--- config
    llm_proxy_route first one;
    llm_proxy_default_provider first;
    location /v1/ { llm_proxy; proxy_pass http://one; }
--- provider_first eval: '{"headers":{"x-long":"' . 'h' x 12_000 . '"}}'
--- request
POST /v1/chat/completions
{"model":"m"}
--- error_code: 200

=== unless the operator wants smaller buffers
--- http_config
    upstream one { server %%first%%; }
    proxy_buffer_size 8k;
--- config
    llm_proxy_route first one;
    llm_proxy_default_provider first;
    location /v1/ { llm_proxy; proxy_pass http://one; }
--- provider_first eval: '{"headers":{"x-long":"' . 'h' x 12_000 . '"}}'
--- request
POST /v1/chat/completions
{"model":"m"}
--- error_code: 502
--- expected_alert: upstream sent too big header

=== a long answer arrives byte for byte, in few parts, however it is buffered
--- http_config
    upstream one { server %%first%%; keepalive 4; }
--- log_level: debug
--- config
    llm_proxy_route first one;
    llm_proxy_default_provider first;
    location /v1/ { llm_proxy; proxy_pass http://one; }
    location /small/v1/ {
        llm_proxy;
        proxy_buffers 4 8k;
        proxy_pass http://one/v1/;
    }
    location /none/v1/ {
        llm_proxy;
        proxy_buffering off;
        proxy_pass http://one/v1/;
    }
--- provider_first
{"size":300000,"times":4}
--- request
POST /v1/chat/completions
{"model":"m"}
--- after
my $body = sub { $t->request(qq(POST $_[0]v1/chat/completions\n{"model":"m"}))->{body} };
main::is_said($t, qr/readv: \d+, last:4096/, 0, 'no part is read that is a page long');
my $wide = $body->('/');
is($body->('/small/'), $wide =~ s/chatcmpl-mock-2/chatcmpl-mock-3/r, 'small buffers pass on the same bytes');
is($body->('/none/'), $wide =~ s/chatcmpl-mock-2/chatcmpl-mock-4/r, 'no buffers as well');

=== a short request is read with one call
--- http_config
    upstream one { server %%first%%; }
--- log_level: debug
--- config
    llm_proxy_route first one;
    llm_proxy_default_provider first;
    location /v1/ { llm_proxy; proxy_pass http://one; }
--- request eval: "POST /v1/chat/completions\n" . main::body_of(5000)
--- after
main::is_said($t, qr/recv: fd:\d+ [1-9]\d* of 8192/, 1, 'with all of its body');

=== unless the operator wants a smaller buffer for heads
--- http_config
    upstream one { server %%first%%; }
    client_header_buffer_size 2k;
--- log_level: debug
--- config
    llm_proxy_route first one;
    llm_proxy_default_provider first;
    location /v1/ { llm_proxy; proxy_pass http://one; }
--- request eval: "POST /v1/chat/completions\n" . main::body_of(5000)
--- after
main::is_said($t, qr/recv: fd:\d+ 2048 of 2048/, 1, 'which is filled first');

=== a server without the gateway keeps nginx's buffer for heads
--- http_config
    upstream one { server %%first%%; }
--- log_level: debug
--- config
    location / { return 200 "ok\n"; }
--- request
POST /
short
--- after
main::is_said($t, qr/recv: fd:\d+ [1-9]\d* of 1024/, 1, 'of 1 KB');

=== lines of a head that are too long are refused as before
--- http_config
    upstream one { server %%first%%; }
--- config
    llm_proxy_route first one;
    llm_proxy_default_provider first;
    location /v1/ { llm_proxy; proxy_pass http://one; }
--- request
POST /v1/chat/completions
{"model":"m"}
--- more_headers eval: main::headers_of(8300)
--- error_code: 400
--- provider_first_requests: 0
