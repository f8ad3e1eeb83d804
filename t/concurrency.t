# Many requests at once, of every kind and with every end. That no worker ends and nothing is alerted
# is checked by every block.

use Test::LLM 'no_plan';

run_tests();

__DATA__

=== fifty streams at once are fifty streams
--- http_config
    upstream first { server %%first%%; keepalive 8; }
    log_format end '$llm_stream_state $llm_completion_tokens';
--- config
    llm_proxy_route first first;
    llm_proxy_default_provider first;
    llm_proxy_heartbeat 5ms;
    llm_proxy_first_token_timeout 30s;
    location /v1/ { llm_proxy; proxy_pass http://$llm_provider_upstream; }
--- provider_first
{"words":40,"pace_ms":3,"times":50}
--- request
POST /v1/chat/completions
{"model":"m","stream":true}
--- concurrent: 50
--- response_body_like
data: \[DONE\]\n\n\z
--- after
ok((wait_until { 50 == (() = $t->access_log =~ /^complete 44$/mg) } 5), 'all are counted');

=== clients that go do not touch those that stay
--- http_config
    upstream first { server %%first%%; keepalive 8; }
    log_format end '$llm_stream_state';
--- config
    llm_proxy_route first first;
    llm_proxy_default_provider first;
    location /v1/ { llm_proxy; proxy_pass http://$llm_provider_upstream; }
    location /finish/v1/ {
        llm_proxy;
        llm_proxy_client_abort finish 2s;
        proxy_pass http://$llm_provider_upstream;
    }
--- workers: 2
--- after
my $body = '{"model":"m","stream":true}';
my @clients = map {
    my $client = Test::LLM::Client->new($t->address);
    my $path = $_ % 3 ? '/v1/chat/completions' : '/finish/v1/chat/completions';
    $client->transmit("POST $path HTTP/1.1\r\nHost: a\r\nContent-Type: application/json\r\n"
        . qq(X-Mock: {"pace_ms":5,"words":60}\r\nContent-Length: ) . length($body) . "\r\n\r\n$body");
    $client;
} 1 .. 50;
my $whole = 0;
for my $index (0 .. $#clients) {
    my $client = $clients[$index];
    if ($index % 2) {
        $client->receive(abort => sub { length $_[0] > 50 * $index });
    }
    else {
        my $answer = $client->receive;
        $whole++ if $answer->{complete} && $answer->{body} =~ /data: \[DONE\]\n\n\z/;
    }
    $client->finish;
}
is($whole, 25, 'those that stayed have everything');
ok((wait_until { !$t->mock->state('first')->{running} } 10), 'no provider is left waiting');
ok((wait_until { 50 == (() = $t->access_log =~ /^(?:complete|client_closed)$/mg) } 5), 'all are logged');

=== every kind of answer at once
--- http_config
    upstream first { server %%first%%; keepalive 4; }
    upstream second { server %%second%%; keepalive 4; }
--- config
    llm_proxy_route first first;
    llm_proxy_route second second anthropic;
    llm_proxy_model_pattern mock-* first;
    llm_proxy_model_pattern claude-* second;
    llm_proxy_idle_timeout 400ms;
    llm_proxy_response_timeout 400ms;
    location /v1/ { llm_proxy; proxy_pass http://$llm_provider_upstream; }
--- workers: 2
--- requests
POST /v1/chat/completions
{"model":"mock-words-200","stream":true}
>>>
POST /v1/chat/completions
{"model":"mock-hang","stream":true}
>>>
POST /v1/chat/completions
{"model":"mock-429"}
>>>
POST /v1/messages
{"model":"claude-1","max_tokens":5,"stream":true,"messages":[]}
>>>
POST /v1/chat/completions
{"model":"unknown"}
>>>
POST /v1/chat/completions
{"model":"mock-size-500000"}
>>>
POST /v1/embeddings
{"model":"mock-words-1","input":[]}
>>>
POST /v1/chat/completions
{"model":"mock-malformed-3","stream":true}
>>>
POST /v1/messages
{"model":"claude-2","max_tokens":5,"messages":[]}
>>>
POST /v1/chat/completions
{"model":"mock-words-5","stream":true}
>>>
POST /v1/chat/completions
not json
>>>
POST /v1/chat/completions
{"model":"mock-slow-10","stream":true}
--- concurrent
--- error_code: 200*8 400 404 429 504

=== a worker that dies takes its own requests with it, no others
--- http_config
    upstream first { server %%first%%; }
--- config
    llm_proxy_route first first;
    llm_proxy_default_provider first;
    location /v1/ { llm_proxy; proxy_pass http://$llm_provider_upstream; }
--- requests
POST /v1/chat/completions
{"model":"m","stream":true}
>>> kill worker, new connection
POST /v1/chat/completions
{"model":"m","stream":true}
--- expected_alert
exited on signal 9
