# How many requests may be in flight at once.

use Test::LLM 'no_plan';

use Test::LLM::Client;
use Test::LLM::Ledger;

# Sends a request and does not wait for its answer.
sub begin {
    my ($t, $body) = @_;
    $body //= '{"model":"m"}';
    my $client = Test::LLM::Client->new($t->address);
    $client->transmit("POST /v1/chat/completions HTTP/1.1\r\nHost: localhost\r\n"
        . "Content-Type: application/json\r\nContent-Length: " . length($body) . "\r\n\r\n$body");
    return $client;
}

sub ask { $_[0]->request(qq(POST /v1/chat/completions\n{"model":"m"})) }

run_tests();

__DATA__

=== one at a time: of 64 at once on two workers 63 are told to come again
--- workers: 2
--- http_config
    upstream one { server %%first%%; }
    log_format l '$status "$llm_ratelimit_deny_reason"';
--- config
    llm_proxy_route first one;
    llm_proxy_default_provider first;
    llm_ratelimit_key all;
    llm_ratelimit_concurrency 1;
    location /v1/ { llm_proxy; llm_ratelimit; proxy_pass http://$llm_provider_upstream; }
--- provider_first
{"delay_ms":3000}

{}
--- after
my @clients = map { main::begin($t) } 1 .. 64;
# All but one are answered while that one runs.
ok((wait_until { (() = $t->access_log =~ /^429 "concurrency_exhausted"$/mg) == 63 } 2.5), '63 refusals');
my @status = sort map { $_->receive(method => 'POST')->{status} } @clients;
is_deeply(\@status, [ 200, (429) x 63 ], 'and one answer');
is($t->mock->state('first')->{requests}, 1, 'one was sent');
# The client may have the last byte a moment before the worker has settled.
ok((wait_until { main::ask($t)->{status} eq '200' } 1), 'the next one passes');

=== a refusal says when to come again
--- http_config
    upstream one { server %%first%%; }
--- config
    llm_proxy_route first one;
    llm_proxy_default_provider first;
    llm_ratelimit_key $http_x_id;
    llm_ratelimit_concurrency 1;
    location /v1/ { llm_proxy; llm_ratelimit; proxy_pass http://$llm_provider_upstream; }
--- provider_first
{"fault":"hang"}

{}
--- after
my $client = Test::LLM::Client->new($t->address);
my $body = '{"model":"m"}';
$client->transmit("POST /v1/chat/completions HTTP/1.1\r\nHost: a\r\nX-Id: a\r\nContent-Length: "
    . length($body) . "\r\n\r\n$body");
wait_until { $t->mock->state('first')->{requests} } 5;
my $refused = $t->request("POST /v1/chat/completions\n$body", 'X-Id: a');
is($refused->{status}, '429', 'the second');
like(header($refused, 'retry-after'), qr/\A[1-9]\d*\z/, 'with a whole number of seconds');
is(JSON::PP::decode_json($refused->{body})->{error}{code}, 'concurrency_exhausted', 'and the reason');
is($t->request("POST /v1/chat/completions\n$body", 'X-Id: b')->{status}, '200', 'others are not kept');
$client->finish(0);

=== a place is free again whatever has become of the request
--- http_config
    upstream one { server %%first%%; }
    upstream nobody { server %%closed%%; }
--- config
    llm_proxy_route first one response_timeout=300ms;
    llm_proxy_route dead nobody;
    llm_proxy_model_pattern m first;
    llm_proxy_model_pattern dead dead;
    llm_ratelimit_key all;
    llm_ratelimit_concurrency 1;
    llm_ratelimit_rule $http_x_strict tokens 1/m;
    location /v1/ { llm_proxy; llm_ratelimit; proxy_pass http://$llm_provider_upstream; }
--- provider_first
{"status":500}

{"fault":"reset"}

{"fault":"hang"}

{"fault":"cut","after":3,"words":20}

{"fault":"hang"}

{}
--- after
my $ask = sub {
    my ($body, $header) = @_;
    return $t->request("POST /v1/chat/completions\n$body", $header)->{status};
};
is($ask->('{"model":"m"}'), '500', 'an error of the provider');
is($ask->('{"model":"m"}'), '502', 'a reset');
is($ask->('{"model":"m"}'), '504', 'silence');
is($ask->('{"model":"dead"}'), '502', 'nobody listens');
is($ask->('{"model":"m","stream":true}'), '200', 'a stream that breaks off');
is($ask->('{"model":"none"}'), '404', 'a refusal');
is($ask->('{"model":"m","max_tokens":9}', 'X-Strict: a'), '400', 'a refusal by another limit');
my $client = main::begin($t);
wait_until { $t->mock->state('first')->{requests} == 5 } 5;
$client->finish(0);
ok((wait_until { $ask->('{"model":"m"}') eq '200' } 5), 'a client that left');

=== a stream holds its place until its end
--- http_config
    upstream one { server %%first%%; }
--- config
    llm_proxy_route first one;
    llm_proxy_default_provider first;
    llm_ratelimit_key all;
    llm_ratelimit_concurrency 1;
    location /v1/ { llm_proxy; llm_ratelimit; proxy_pass http://$llm_provider_upstream; }
--- provider_first
{"words":30,"pace_ms":50}

{}
--- after
my $client = main::begin($t, '{"model":"m","stream":true}');
$client->fill(Test::LLM::Util::now() + 10);
is(main::ask($t)->{status}, '429', 'while it runs');
my $answer = $client->receive(method => 'POST');
ok($answer->{complete}, 'it comes to its end');
ok((wait_until { main::ask($t)->{status} eq '200' } 5), 'then it is free');

=== a rule has places of its own, for a model and a provider
--- http_config
    upstream one { server %%first%%; }
--- config
    llm_proxy_route first one;
    llm_proxy_default_provider first;
    llm_ratelimit_rule all concurrency 2 model=big-*;
    location /v1/ { llm_proxy; llm_ratelimit; proxy_pass http://$llm_provider_upstream; }
--- provider_first
{"fault":"hang","times":2}

{}
--- after
my @clients = map { main::begin($t, '{"model":"big-1"}') } 1, 2;
wait_until { $t->mock->state('first')->{requests} == 2 } 5;
is($t->request(qq(POST /v1/chat/completions\n{"model":"big-2"}))->{status}, '429', 'a third');
is($t->request(qq(POST /v1/chat/completions\n{"model":"small"}))->{status}, '200', 'another model');
$_->finish(0) for @clients;

=== what a killed worker held is free again
--- workers: 2
--- http_config
    upstream one { server %%first%%; }
--- config
    llm_proxy_route first one;
    llm_proxy_default_provider first;
    llm_ratelimit_key all;
    llm_ratelimit_concurrency 1;
    location /v1/ { llm_proxy; llm_ratelimit; proxy_pass http://$llm_provider_upstream; }
--- provider_first
{"fault":"hang"}

{}
--- expected_alert
exited on signal 9
--- after
my $client = main::begin($t);
wait_until { $t->mock->state('first')->{requests} } 5;
is(main::ask($t)->{status}, '429', 'it is taken');
my @pids = $t->nginx->worker_pids;
kill KILL => @pids;
wait_until { $t->nginx->worker_pids == 4 } 5;
ok((wait_until { main::ask($t)->{status} eq '200' } 20), 'free');
$client->finish(0);

=== a reload keeps who is in flight
--- http_config
    upstream one { server %%first%%; }
--- config
    llm_proxy_route first one;
    llm_proxy_default_provider first;
    llm_ratelimit_key all;
    llm_ratelimit_concurrency 1;
    location /v1/ { llm_proxy; llm_ratelimit; proxy_pass http://$llm_provider_upstream; }
--- provider_first
{"words":60,"pace_ms":50}

{}
--- after
my $client = main::begin($t, '{"model":"m","stream":true}');
$client->fill(Test::LLM::Util::now() + 10);
$t->reload;
is(main::ask($t)->{status}, '429', 'the new workers know of it');
ok($client->receive(method => 'POST', timeout => 20)->{complete}, 'the old one serves it to its end');
$client->finish(0);
ok((wait_until { main::ask($t)->{status} eq '200' } 5), 'then it is free');

=== an answer that is whole has left its place, whether the client closes or not
--- http_config
    upstream one { server %%first%%; }
    log_format l '$status';
--- config
    llm_proxy_route first one;
    llm_proxy_default_provider first;
    llm_ratelimit_key all;
    llm_ratelimit_concurrency 1;
    lingering_close always;
    location /v1/ { llm_proxy; llm_ratelimit; proxy_pass http://$llm_provider_upstream; }
--- after
my $body = '{"model":"m"}';
my $client = Test::LLM::Client->new($t->address);
$client->transmit("POST /v1/chat/completions HTTP/1.1\r\nHost: a\r\nConnection: close\r\n"
    . 'Content-Length: ' . length($body) . "\r\n\r\n$body");
ok($client->receive(method => 'POST')->{complete}, 'the answer');
# nginx waits for the client to close, for up to five seconds (lingering_timeout).
ok((wait_until { main::ask($t)->{status} eq '200' } 1), 'the next one passes');
$client->finish(0);

=== a number above zero
--- config
    llm_ratelimit_concurrency 0;
--- must_fail
invalid number "0" in "llm_ratelimit_concurrency", give a whole number above 0
