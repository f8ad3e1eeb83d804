# Reload while requests are under way: they end as they began, and new ones find the new configuration.

use Test::LLM 'no_plan';

run_tests();

__DATA__

=== a stream outlives a reload, and new requests go by the new lines
--- http_config
    upstream first { server %%first%%; }
    upstream second { server %%second%%; }
    log_format end '$llm_provider $llm_stream_state $llm_completion_tokens';
--- config
    llm_proxy_route first first;
    llm_proxy_default_provider first;
    llm_proxy_heartbeat 20ms;
    location /v1/ { llm_proxy; proxy_pass http://$llm_provider_upstream; }
--- reload_config
    llm_proxy_route second second;
    llm_proxy_default_provider second;
    location /v1/ { llm_proxy; proxy_pass http://$llm_provider_upstream; }
--- after
my $body = '{"model":"m","stream":true}';
my $client = Test::LLM::Client->new($t->address);
my $pace_ms = Test::LLM::Util::scale() > 1 ? 80 : 20;
$client->transmit("POST /v1/chat/completions HTTP/1.1\r\nHost: a\r\nContent-Type: application/json\r\n"
    . qq(X-Mock: {"pace_ms":$pace_ms,"words":60}\r\nContent-Length: ) . length($body) . "\r\n\r\n$body");
# What "abort" has seen stays in the connection's buffer for the second call.
my $began = $client->receive(abort => sub { $_[0] =~ /"content":"Hello"/ });
$t->reload;
my $answer = $t->request("POST /v1/chat/completions\n" . '{"model":"m"}');
is((Test::LLM::Client::header_values($answer, 'x-llm-provider'))[0], 'second', 'the new lines hold');
is($t->mock->state('first')->{running}, 1, 'while the stream goes on');
$client->{buffer} = $began->{raw} . $client->{buffer};
my $rest = $client->receive;
ok($rest->{complete}, 'it comes to its end');
like($rest->{body}, qr/data: \[DONE\]\n\n\z/, 'with its marker');
$client->finish;
ok((wait_until { $t->access_log =~ /^first complete 64$/m } 5), 'and is counted');
ok((wait_until { $t->error_log =~ /worker process \d+ exited with code 0/ } 5), 'then its worker ends');

=== so does a client that waits for the head, and one whose head is held
--- http_config
    upstream first { server %%first%%; }
--- config
    llm_proxy_route first first;
    llm_proxy_default_provider first;
    llm_proxy_first_token_timeout 30s;
    llm_proxy_total_timeout 30s;
    location /v1/ { llm_proxy; proxy_pass http://$llm_provider_upstream; }
--- after
my $ms = Test::LLM::Util::scale() > 1 ? 3000 : 600;
my @clients = map {
    my $client = Test::LLM::Client->new($t->address);
    my $body = qq({"model":"m","stream":$_->[0]});
    $client->transmit("POST /v1/chat/completions HTTP/1.1\r\nHost: a\r\nContent-Type: application/json\r\n"
        . "X-Mock: $_->[1]\r\nContent-Length: " . length($body) . "\r\n\r\n$body");
    $client;
} [true => qq({"delay_ms":$ms})], [true => qq({"first_ms":$ms})], [false => qq({"delay_ms":$ms})];
wait_until { $t->mock->state('first')->{requests} == 3 } 5;
$t->reload;
is($t->mock->state('first')->{running}, 3, 'all three are under way');
for my $client (@clients) {
    my $answer = $client->receive;
    is($answer->{status}, 200, 'it is answered');
    ok($answer->{complete}, 'to the end');
    $client->finish;
}

=== an answer that is read on for its usage is read on
--- http_config
    upstream first { server %%first%%; }
    log_format end '$llm_stream_state $llm_completion_tokens';
--- config
    llm_proxy_route first first;
    llm_proxy_default_provider first;
    llm_proxy_client_abort finish;
    location /v1/ { llm_proxy; proxy_pass http://$llm_provider_upstream; }
--- after
my $client = Test::LLM::Client->new($t->address);
my $body = '{"model":"m","stream":true}';
$client->transmit("POST /v1/chat/completions HTTP/1.1\r\nHost: a\r\nContent-Type: application/json\r\n"
    . qq(X-Mock: {"pace_ms":20,"words":40}\r\nContent-Length: ) . length($body) . "\r\n\r\n$body");
$client->receive(abort => sub { $_[0] =~ /"content":"Hello"/ });
$client->finish;
$t->reload;
ok((wait_until { $t->access_log =~ /^client_closed 44$/m } 5), 'and counted');

=== many reloads under load lose nothing
--- http_config
    upstream first { server %%first%%; keepalive 4; }
--- config
    llm_proxy_route first first;
    llm_proxy_default_provider first;
    location /v1/ { llm_proxy; proxy_pass http://$llm_provider_upstream; }
--- workers: 2
--- after
my $body = '{"model":"m","stream":true}';
my @clients;
for my $round (1 .. 4) {
    for (1 .. 5) {
        my $client = Test::LLM::Client->new($t->address);
        $client->transmit("POST /v1/chat/completions HTTP/1.1\r\nHost: a\r\nContent-Type: application/json\r\n"
            . qq(X-Mock: {"pace_ms":15,"words":30}\r\nContent-Length: ) . length($body) . "\r\n\r\n$body");
        push @clients, $client;
    }
    wait_until { $t->mock->state('first')->{requests} == @clients } 5;
    $t->reload if $round < 4;
}
my $whole = 0;
for my $client (@clients) {
    my $answer = $client->receive;
    $whole++ if $answer->{complete} && $answer->{body} =~ /data: \[DONE\]\n\n\z/;
    $client->finish;
}
is($whole, 20, 'every stream came to its end');
