# llm_proxy_route over TLS: the name in the handshake and the provider's certificate, without any
# proxy_ssl_* line. SSL_CERT_FILE makes the test's own authority one of the system's.

use Test::LLM 'no_plan';

run_tests();

__DATA__

=== the host is the name in the handshake, and the certificate is checked
--- env
SSL_CERT_FILE=%%first_tls_ca%%
--- http_config
    upstream one { server %%first_tls%%; }
--- config
    llm_proxy_route first one host=first.test;
    llm_proxy_default_provider first;
    location /v1/ { llm_proxy; proxy_pass https://$llm_provider_upstream; }
--- request
POST /v1/chat/completions
{"model":"m"}
--- response_json
{"model":"m"}
--- provider_first_tls_got
POST /v1/chat/completions HTTP/1.1
host: first.test
--- after
is($t->mock->requests('first_tls')->[0]{sni}, 'first.test', 'SNI');

=== authorities that the operator names are trusted
--- http_config
    upstream one { server %%first_tls%%; }
--- config
    llm_proxy_route first one host=first.test;
    llm_proxy_default_provider first;
    proxy_ssl_trusted_certificate %%first_tls_ca%%;
    location /v1/ { llm_proxy; proxy_pass https://$llm_provider_upstream; }
--- request
POST /v1/chat/completions
{"model":"m"}
--- response_json
{"model":"m"}
--- provider_first_tls_got
POST /v1/chat/completions HTTP/1.1
host: first.test

=== authorities of the operator take the place of the system's
--- env
SSL_CERT_FILE=%%first_tls_ca%%
--- http_config
    upstream one { server %%first_tls%%; }
--- config
    llm_proxy_route first one host=first.test;
    llm_proxy_default_provider first;
    proxy_ssl_trusted_certificate %%root%%/other.pem;
    location /v1/ { llm_proxy; proxy_pass https://$llm_provider_upstream; }
--- init
my @key = qw(-newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -keyout /dev/null);
my $file = $t->root . '/other.pem';
system("openssl req -x509 @key -subj /CN=other -out $file 2>/dev/null") == 0 or die 'no certificate';
--- request
POST /v1/chat/completions
{"model":"m"}
--- error_code: 502
--- provider_first_tls_requests: 0

=== a certificate of an unknown authority is no provider's
--- http_config
    upstream one { server %%first_tls%%; }
--- config
    llm_proxy_route first one host=first.test;
    llm_proxy_default_provider first;
    location /v1/ { llm_proxy; proxy_pass https://$llm_provider_upstream; }
--- request
POST /v1/chat/completions
{"model":"m"}
--- error_code: 502
--- response_json
{"error":{"code":"provider_unreachable"}}
--- error_log
upstream SSL certificate verify error
--- provider_first_tls_requests: 0

=== a certificate for another name is no provider's
--- env
SSL_CERT_FILE=%%first_tls_ca%%
--- http_config
    upstream one { server %%first_tls%%; }
--- config
    llm_proxy_route first one host=other.test;
    llm_proxy_default_provider first;
    location /v1/ { llm_proxy; proxy_pass https://$llm_provider_upstream; }
--- request
POST /v1/chat/completions
{"model":"m"}
--- error_code: 502
--- response_json
{"error":{"code":"provider_unreachable"}}
--- error_log
upstream SSL certificate does not match "other.test"
--- provider_first_tls_requests: 0

=== with ssl_verify=off any certificate will do
--- http_config
    upstream one { server %%first_tls%%; }
--- config
    llm_proxy_route first one host=other.test ssl_verify=off;
    llm_proxy_default_provider first;
    location /v1/ { llm_proxy; proxy_pass https://$llm_provider_upstream; }
--- request
POST /v1/chat/completions
{"model":"m"}
--- provider_first_tls_got
POST /v1/chat/completions
host: other.test
--- after
is($t->mock->requests('first_tls')->[0]{sni}, 'other.test', 'SNI is sent all the same');

=== ssl_verify=off of one provider is not another's
--- http_config
    upstream one { server %%first_tls%%; keepalive 2; }
    upstream two { server %%second_tls%%; keepalive 2; }
--- config
    llm_proxy_route first one host=first.test ssl_verify=off;
    llm_proxy_route second two host=second.test ssl_verify=on;
    llm_proxy_default_provider first;
    location /v1/ { llm_proxy; proxy_pass https://$llm_provider_upstream; }
--- requests
POST /v1/chat/completions
{"model":"first/m"}
>>>
POST /v1/chat/completions
{"model":"second/m"}
>>>
POST /v1/chat/completions
{"model":"first/m"}
--- error_code: 200 502 200
--- provider_second_tls_requests: 0

=== ssl_name is the name in the handshake and the certificate, where it is not the host
--- env
SSL_CERT_FILE=%%first_tls_ca%%
--- http_config
    upstream one { server %%first_tls%%; }
--- config
    llm_proxy_route first one host=tenant.test ssl_name=first.test;
    llm_proxy_default_provider first;
    location /v1/ { llm_proxy; proxy_pass https://$llm_provider_upstream; }
--- request
POST /v1/chat/completions
{"model":"m"}
--- provider_first_tls_got
POST /v1/chat/completions
host: tenant.test
--- after
is($t->mock->requests('first_tls')->[0]{sni}, 'first.test', 'SNI');

=== a port in the host is no part of the name in the handshake
--- env
SSL_CERT_FILE=%%first_tls_ca%%
--- http_config
    upstream one { server %%first_tls%%; }
--- config
    llm_proxy_route first one host=first.test:8443;
    llm_proxy_default_provider first;
    location /v1/ { llm_proxy; proxy_pass https://$llm_provider_upstream; }
--- request
POST /v1/chat/completions
{"model":"m"}
--- provider_first_tls_got
POST /v1/chat/completions
host: first.test:8443
--- after
is($t->mock->requests('first_tls')->[0]{sni}, 'first.test', 'SNI');

=== the name in the first server line is the name in the handshake
--- env
SSL_CERT_FILE=%%first_tls_ca%%
--- http_config
    upstream one { server %%first_tls%%; }
--- config
    llm_proxy_route first one;
    llm_proxy_default_provider first;
    location /v1/ { llm_proxy; proxy_pass https://$llm_provider_upstream; }
--- init
my $text = $t->read_file('nginx.conf');
$text =~ s/server 127\.0\.0\.1:(\d+); \}/server localhost:$1; }/ or die 'no server line';
$t->write_file('nginx.conf', $text);
--- request
POST /v1/chat/completions
{"model":"m"}
--- provider_first_tls_got
POST /v1/chat/completions
host: localhost
--- after
is($t->mock->requests('first_tls')->[0]{sni}, 'localhost', 'SNI');

=== ssl=on makes a provider one of TLS in a location of plain HTTP, and ssl=off the other way round
--- env
SSL_CERT_FILE=%%first_tls_ca%%
--- http_config
    upstream one { server %%first_tls%%; }
    upstream two { server %%second%%; }
--- config
    llm_proxy_route first one ssl=on host=first.test;
    llm_proxy_route second two ssl=off;
    llm_proxy_default_provider first;
    location /v1/plain/ { llm_proxy; proxy_pass http://$llm_provider_upstream; }
    location /v1/tls/ { llm_proxy; proxy_pass https://$llm_provider_upstream; }
--- requests
POST /v1/plain/chat/completions
{"model":"first/m"}
>>>
POST /v1/tls/chat/completions
{"model":"second/m"}
>>>
POST /v1/tls/chat/completions
{"model":"first/m"}
>>>
POST /v1/plain/chat/completions
{"model":"second/m"}
--- provider_first_tls_requests: 2
--- provider_second_requests: 2
--- provider_first_tls
{"json":{},"times":2}
--- provider_second
{"json":{},"times":2}

=== a location that cannot speak TLS says so
--- http_config
    upstream one { server %%first_tls%%; }
--- config
    llm_proxy_route first one ssl=on host=first.test;
    llm_proxy_default_provider first;
    location /v1/ { llm_proxy; proxy_pass http://one; }
--- request
POST /v1/chat/completions
{"model":"m"}
--- error_code: 500
--- response_json
{"error":{"code":"internal_error"}}
--- error_log
llm: no TLS for provider "first": proxy_pass needs "https"
--- provider_first_tls_requests: 0

=== a name that the operator writes is the name in the handshake
--- env
SSL_CERT_FILE=%%first_tls_ca%%
--- http_config
    upstream one { server %%first_tls%%; }
--- config
    llm_proxy_route first one host=api.test;
    llm_proxy_default_provider first;
    proxy_ssl_name first.test;
    location /v1/ { llm_proxy; proxy_pass https://$llm_provider_upstream; }
--- request
POST /v1/chat/completions
{"model":"m"}
--- provider_first_tls_got
POST /v1/chat/completions
host: api.test
--- after
is($t->mock->requests('first_tls')->[0]{sni}, 'first.test', 'SNI');

=== connections over TLS are used again
--- env
SSL_CERT_FILE=%%first_tls_ca%%
--- http_config
    upstream one { server %%first_tls%%; keepalive 2; }
--- config
    llm_proxy_route first one host=first.test;
    llm_proxy_default_provider first;
    location /v1/ { llm_proxy; proxy_pass https://$llm_provider_upstream; }
--- requests
POST /v1/chat/completions
{"model":"m"}
>>>
POST /v1/chat/completions
{"model":"m"}
--- after
my @connections = map { $_->{connection} } @{ $t->mock->requests('first_tls') };
is($connections[0], $connections[1], 'one connection for both');

=== the operator's own verification lines hold
--- http_config
    upstream one { server %%first_tls%%; }
--- config
    llm_proxy_route first one host=first.test;
    llm_proxy_default_provider first;
    location /v1/ {
        llm_proxy;
        proxy_ssl_verify on;
        proxy_ssl_trusted_certificate %%first_tls_ca%%;
            proxy_ssl_server_name on;
        proxy_pass https://$llm_provider_upstream;
    }
--- request
POST /v1/chat/completions
{"model":"m"}
--- response_json
{"model":"m"}
