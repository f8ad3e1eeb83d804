# Streams and their ends where the provider is reached over TLS. Names and certificates have
# llm_proxy_route_tls.t.

use Test::LLM 'no_plan';

run_tests();

__DATA__

=== events come at once, over connections that are used again
--- env
SSL_CERT_FILE=%%first_tls_ca%%
--- http_config
    upstream first { server %%first_tls%%; keepalive 4; }
    log_format end '$llm_stream_state $llm_total_tokens';
--- config
    llm_proxy_route first first host=first.test;
    llm_proxy_default_provider first;
    location /v1/ { llm_proxy; proxy_pass https://$llm_provider_upstream; }
--- requests
POST /v1/chat/completions
{"model":"m","stream":true}
>>>
POST /v1/chat/completions
{"model":"m","stream":true}
--- response_body_like
data: \[DONE\]\n\n\z
--- access_log
^complete 19\ncomplete 19$
--- after
my ($one, $two) = @{ $t->mock->requests('first_tls') };
is($two->{connection}, $one->{connection}, 'one connection for both');
is($one->{sni}, 'first.test', 'SNI');
my $client = Test::LLM::Client->new($t->address);
my $body = '{"model":"mock-stall-2","stream":true}';
$client->transmit("POST /v1/chat/completions HTTP/1.1\r\nHost: a\r\nContent-Type: application/json\r\n"
    . 'Content-Length: ' . length($body) . "\r\n\r\n$body");
ok($client->receive(abort => sub { $_[0] =~ /"content":"Hello"[^\n]*\n\n/ })->{aborted},
    'the event came while the provider was silent');
$client->finish;

=== each block has its own identity
--- http_config
    upstream one { server %%first_tls%%; keepalive 4; }
    upstream two { server %%second_tls%%; keepalive 4; }
    upstream three { server %%second_tls%%; keepalive 4; }
--- config
    proxy_ssl_verify on;
    proxy_ssl_trusted_certificate %%first_tls_ca%%;
    llm_proxy_route first one host=first.test;
    llm_proxy_route second two host=second.test;
    llm_proxy_route third three host=first.test;
    llm_proxy_model_pattern a first;
    llm_proxy_model_pattern b second;
    llm_proxy_model_pattern c third;
    location /v1/ { llm_proxy; proxy_pass https://$llm_provider_upstream; }
--- requests
POST /v1/chat/completions
{"model":"a"}
>>>
POST /v1/chat/completions
{"model":"b"}
>>>
POST /v1/chat/completions
{"model":"c"}
>>>
POST /v1/chat/completions
{"model":"b"}
--- error_code: 200 200 502 200
--- error_log
upstream SSL certificate does not match "first.test"
--- provider_second_tls_requests: 2

=== a stream that is cut without TLS's own end is incomplete
--- env
SSL_CERT_FILE=%%first_tls_ca%%
--- http_config
    upstream first { server %%first_tls%%; }
    log_format end '$llm_stream_state';
--- config
    llm_proxy_route first first host=first.test;
    llm_proxy_default_provider first;
    location /v1/ { llm_proxy; proxy_pass https://$llm_provider_upstream; }
--- provider_first_tls
{"fault":"cut","after":2}

{"fault":"cut_reset","after":2}

{"fault":"no_done"}
--- requests
POST /v1/chat/completions
{"model":"m","stream":true}
>>>
POST /v1/chat/completions
{"model":"m","stream":true}
>>>
POST /v1/chat/completions
{"model":"m","stream":true}
--- incomplete_response: 1 2
--- access_log
^incomplete\nincomplete\ncomplete$

=== a provider that does not speak TLS is none, in either dialect
--- http_config
    upstream first { server %%first%%; }
    upstream second { server %%second%%; }
--- config
    llm_proxy_route first first;
    llm_proxy_route second second anthropic;
    llm_proxy_model_pattern a first;
    llm_proxy_model_pattern b second;
    location /v1/ { llm_proxy; proxy_pass https://$llm_provider_upstream; }
--- requests
POST /v1/chat/completions
{"model":"a","stream":true}
>>>
POST /v1/messages
{"model":"b","max_tokens":5,"messages":[]}
--- error_code: 502
--- response_json
{"error":{"type":"server_error","code":"provider_unreachable"}}
>>>
{"type":"error","error":{"type":"api_error"}}
--- error_log
SSL_do_handshake() failed

=== a client over TLS gets its stream as any other
--- http_config
    upstream first { server %%first%%; }
    server {
        listen 127.0.0.1:%%port2%% ssl;
        ssl_certificate own.pem;
        ssl_certificate_key own.key;
        llm_proxy_route first first;
        llm_proxy_default_provider first;
        location /v1/ { llm_proxy; proxy_pass http://$llm_provider_upstream; }
    }
--- init
my $root = $t->root;
my @key = ('-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256', '-nodes', '-keyout', "$root/own.key");
system("openssl req -x509 @key -subj /CN=localhost -out $root/own.pem 2>/dev/null") == 0
    or die 'no certificate';
--- after
my $url = 'https://127.0.0.1:' . $t->port('port2') . '/v1/chat/completions';
my $out = $t->root . '/answer';
my $send = sub {
    my ($model) = @_;
    my @command = ('curl', '-sk', '--max-time', 10 * Test::LLM::Util::scale(), '-o', $out, '-H',
        'Content-Type: application/json', '--data', qq({"model":"$model","stream":true}), $url);
    return system(@command) >> 8;
};
is($send->('mock-words-50'), 0, 'it is complete');
like(slurp($out), qr/data: \[DONE\]\n\n\z/, 'with its marker');
isnt($send->('mock-cut-2') // 0, 0, 'or it breaks off');
like(slurp($out), qr/"code":"stream_incomplete"[^\n]*\n\n\z/, 'with an error event');
