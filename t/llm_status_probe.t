# POST <llm_status>/probe: a provider is asked now, and the answer says what came of it.

use strict;
use warnings;

use Test::LLM 'no_plan';
use Test::LLM::Ctl;
use JSON::PP ();

run_tests();

__DATA__

=== the answer tells what the probe has found, whichever worker is asked
--- workers: 2
--- http_config
    upstream one { server %%first%%; }
    upstream two { server %%closed%%; }
    upstream three { server %%third%%; }
    upstream four { server %%fourth%%; }
    upstream five { server %%fifth%%; }
--- config
    llm_proxy_route first one;
    llm_proxy_route second two;
    llm_proxy_route third three;
    llm_proxy_route fourth four;
    llm_proxy_route fifth five;
    llm_proxy_route sixth two;
    llm_proxy_default_provider first;
    llm_fallback_probe first interval=1h;
    llm_fallback_probe second interval=1h;
    llm_fallback_probe third interval=1h timeout=300ms;
    llm_fallback_probe fourth interval=1h;
    llm_fallback_probe fifth interval=1h;
    llm_metrics;
    location /v1/ { llm_proxy; llm_fallback; proxy_pass http://$llm_provider_upstream; }
    location /status { llm_status; }
--- provider_third
{"fault":"hang","times":"always"}
--- provider_fourth
{"status":503,"times":"always"}
--- provider_fifth
{"fault":"malformed","times":"always"}
--- requests
>>> new connection, provider first 1
POST /status/probe?provider=first
>>> new connection
POST /status/probe?provider=second
>>> new connection
POST /status/probe?provider=third
>>> new connection
POST /status/probe?provider=fourth
>>> new connection
POST /status/probe?provider=first
>>>
GET /status/json
--- response_headers
Content-Type: application/json
Cache-Control: no-store
--- response_body_like
^\{"provider":"first","state":"up","result":"ok","status":200,"latency_ms":\d{1,3}\}$
>>>
^\{"provider":"second","state":"benched","result":"connect","status":null,"latency_ms":\d{1,3}\}$
>>>
^\{"provider":"third","state":"benched","result":"timeout","status":null,"latency_ms":[3-9]\d\d\}$
>>>
^\{"provider":"fourth","state":"benched","result":"bad_status","status":503,"latency_ms":\d{1,3}\}$
>>>
^\{"provider":"first","state":"up","result":"ok","status":200,"latency_ms":\d{1,3}\}$
>>>
"name":"second","state":"benched"
--- after
# One at the start, and one for each who asked: the second one was not told of the first one's.
is($t->mock->state('first')->{requests}, 3, 'each request for a probe leads to one');

=== what cannot be asked
--- http_config
    upstream one { server %%first%%; }
--- config
    llm_proxy_route first one;
    llm_proxy_default_provider first;
    llm_metrics;
    location /v1/ { llm_proxy; proxy_pass http://$llm_provider_upstream; }
    location /status { llm_status; }
--- requests
POST /status/probe?provider=first
>>>
POST /status/probe?provider=none
>>>
POST /status/probe
>>>
GET /status/probe?provider=first
--- error_code: 409 404 404 200
--- response_body_like
^\{"error":\{"message":"provider \\"first\\" has no \\"llm_fallback_probe\\", add one: only it says what to ask"\}\}$
>>>
^\{"error":\{"message":"there is no provider of that name"\}\}$
>>>
^\{"error":\{"message":"there is no provider of that name"\}\}$
>>>
^\{"version":
--- response_headers
Content-Type: application/json
--- provider_first_requests: 0

=== a provider that does not answer blocks no worker, and no other probe
--- http_config
    upstream one { server %%first%%; }
    upstream two { server %%second%%; }
--- config
    llm_proxy_route first one;
    llm_proxy_route second two;
    llm_proxy_default_provider second;
    llm_fallback_probe first interval=1h timeout=3s;
    llm_fallback_probe second interval=1h;
    llm_metrics;
    location /v1/ { llm_proxy; llm_fallback; proxy_pass http://$llm_provider_upstream; }
    location /status { llm_status; }
--- provider_first
{"fault":"hang","times":"always"}
--- after
ok((wait_until { @{ $t->mock->requests('first') } } 5), 'the first one is being asked');
my $began = Test::LLM::Util::now();
is($t->request("POST /v1/chat/completions\n" . '{"model":"m"}')->{status}, 200, 'a request');
like($t->request('POST /status/probe?provider=second')->{body}, qr/"result":"ok"/, 'a probe');
my $seconds = Test::LLM::Util::now() - $began;
cmp_ok($seconds, '<', 2, 'neither waits for the one that hangs');

=== a client that does not wait for the answer takes nothing with it
--- http_config
    upstream one { server %%first%%; }
--- config
    llm_proxy_route first one;
    llm_proxy_default_provider first;
    llm_fallback_probe first interval=1h timeout=1s;
    llm_metrics;
    location /v1/ { llm_proxy; llm_fallback; proxy_pass http://$llm_provider_upstream; }
    location /status { llm_status; }
--- provider_first
{"fault":"hang","times":"always"}
--- request
POST /status/probe?provider=first
--- abort_after: provider first
--- after
like($t->request('POST /status/probe?provider=first')->{body}, qr/"result":"timeout"/, "the next one, $_")
    for 1 .. 2;
is($t->request('GET /status/json')->{status}, 200, 'and a request of another kind');

=== a reload takes no answer from who waits for a probe
--- workers: 2
--- http_config
    upstream one { server %%first%%; }
    upstream two { server %%second%%; }
--- config
    llm_proxy_route first one;
    llm_proxy_route second two;
    llm_proxy_default_provider first;
    llm_fallback_probe first interval=1h timeout=30s;
    llm_fallback_probe second interval=1h timeout=1s;
    llm_metrics;
    location /v1/ { llm_proxy; llm_fallback; proxy_pass http://$llm_provider_upstream; }
    location /status { llm_status; }
--- provider_first
{"status":200,"delay_ms":1000,"times":"always"}
--- provider_second
{"fault":"hang","times":"always"}
--- after
# Those of the start first: who comes before one shares its answer.
my $asked = sub { !grep { $t->mock->state($_)->{requests} < $_[0] } qw(first second) };
ok((wait_until { $asked->(1) } 5), 'both are asked at the start');
my @clients = map {
    my $client = Test::LLM::Client->new($t->address);
    $client->transmit("POST /status/probe?provider=$_ HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\n\r\n");
    $client;
} qw(first second);
ok((wait_until { $asked->(2) } 10), 'both are asked again');
$t->reload;
for (['first', 'up', 'ok', 200], ['second', 'benched', 'timeout', undef]) {
    my $client = shift @clients;
    my $answer = $client->receive;
    is($answer->{status}, 200, "$_->[0] is answered");
    ok($answer->{complete}, 'to the end');
    my $told = JSON::PP::decode_json($answer->{body});
    delete $told->{latency_ms};
    is_deeply($told, { provider => $_->[0], state => $_->[1], result => $_->[2], status => $_->[3] }, 'with what was found');
    $client->finish;
}
ok((wait_until { 2 == (() = $t->error_log =~ /worker process \d+ exited with code 0/g) } 5), 'then the old workers end');
like($t->request('POST /status/probe?provider=first')->{body}, qr/"result":"ok"/, 'the new ones ask, too');

=== a key is suspended at once while a probe hangs
--- init: put_keys($t, 'keys', key_line('one', 'sk-client-SECRET-1', org => 'acme'));
--- http_config
    upstream one { server %%first%%; }
    upstream two { server %%second%%; }
--- config
    llm_proxy_route first one;
    llm_proxy_route second two;
    llm_proxy_default_provider second;
    llm_fallback_probe first interval=1h timeout=8s;
    llm_auth_credential first sk-first-SECRET-9;
    llm_auth_credential second sk-second-SECRET-9;
    location /v1/ {
        llm_proxy; llm_auth; llm_fallback; llm_auth_client_keys keys; proxy_pass http://$llm_provider_upstream;
    }
--- provider_first
{"fault":"hang","times":"always"}
--- after
ok((wait_until { @{ $t->mock->requests('first') } } 5), 'the first one is being asked');
my $ask = sub { $t->request("POST /v1/chat/completions\n" . '{"model":"m"}', 'Authorization: Bearer one.sk-client-SECRET-1')->{status} };
is($ask->(), 200, 'active');
my $began = Test::LLM::Util::now();
put_keys($t, 'keys', key_line('one', 'sk-client-SECRET-1', org => 'acme', state => 'suspended'));
ok((wait_until { $ask->() == 403 } 5), 'suspended');
my $seconds = Test::LLM::Util::now() - $began;
cmp_ok($seconds, '<', 2, 'within two seconds');
