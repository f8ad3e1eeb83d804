# A client that has gone: what is under way at a provider is closed, and nothing further is sent.

use Test::LLM 'no_plan';

use Test::LLM::Client;

sub send_request {
    my ($t, $body) = @_;
    my $client = Test::LLM::Client->new($t->address);
    $client->transmit("POST /v1/chat/completions HTTP/1.1\r\nHost: localhost\r\n"
        . "Content-Type: application/json\r\nContent-Length: " . length($body) . "\r\n\r\n$body");
    return $client;
}

run_tests();

__DATA__

=== while the first attempt is silent
--- http_config
    upstream one { server %%first%%; }
    upstream two { server %%second%%; }
    log_format gone '$status';
--- config
    llm_proxy_route first one response_timeout=500ms;
    llm_proxy_route second two;
    llm_proxy_default_provider first;
    llm_fallback_route first second;
    location /v1/ { llm_proxy; llm_fallback; proxy_pass http://$llm_provider_upstream; }
--- provider_first
{"fault":"hang"}
--- request
POST /v1/chat/completions
{"model":"m"}
--- abort_after: provider first
--- access_log
^499$
--- provider_first_client_closed: 1
--- after
# Longer than the attempt would have taken.
Test::LLM::Util::pause(0.7);
is($t->mock->state('second')->{requests}, 0, 'no second attempt');

=== during the wait before a retry
--- http_config
    upstream one { server %%first%%; }
    upstream two { server %%second%%; }
    log_format gone '$status $llm_chain';
--- config
    llm_proxy_route first one;
    llm_proxy_route second two;
    llm_proxy_default_provider first;
    llm_fallback_route first second;
    llm_fallback_retry 1 backoff=500ms..600ms;
    llm_fallback_max_attempts 3;
    location /v1/ { llm_proxy; llm_fallback; proxy_pass http://$llm_provider_upstream; }
--- after
$t->mock->script(first => [ { status => 500 } ]);
my $client = send_request($t, '{"model":"m"}');
wait_until { $t->mock->state('first')->{requests} == 1 && !$t->mock->state('first')->{running} } 5;
Test::LLM::Util::pause(0.1);
$client->finish(0);
undef $client;
my $logged = wait_until { $t->access_log =~ /^499 / } 5;
ok($logged, 'the request ends at once');
Test::LLM::Util::pause(0.7);
is($t->mock->state('first')->{requests}, 1, 'no retry');
is($t->mock->state('second')->{requests}, 0, 'no second target');

=== while a stream is held
--- http_config
    upstream one { server %%first%%; }
    upstream two { server %%second%%; }
    log_format gone '$status $llm_stream_state';
--- config
    llm_proxy_route first one idle_timeout=500ms;
    llm_proxy_route second two;
    llm_proxy_default_provider first;
    llm_fallback_route first second;
    llm_fallback_on stream_error;
    llm_fallback_hold complete;
    location /v1/ { llm_proxy; llm_fallback; proxy_pass http://$llm_provider_upstream; }
--- provider_first
{"fault":"stall","after":10,"words":60}
--- request
POST /v1/chat/completions
{"model":"m","stream":true}
--- abort_after: provider first
--- access_log
^499
--- provider_first_client_closed: 1
--- after
Test::LLM::Util::pause(0.7);
is($t->mock->state('second')->{requests}, 0, 'no second attempt');

=== while it reads heartbeats
--- http_config
    upstream one { server %%first%%; }
    upstream two { server %%second%%; }
--- config
    llm_proxy_route first one response_timeout=700ms;
    llm_proxy_route second two;
    llm_proxy_default_provider first;
    llm_proxy_heartbeat 50ms;
    llm_fallback_route first second;
    location /v1/ { llm_proxy; llm_fallback; proxy_pass http://$llm_provider_upstream; }
--- provider_first
{"fault":"hang"}
--- request
POST /v1/chat/completions
{"model":"m","stream":true}
--- abort_after: : ping
--- provider_first_client_closed: 1
--- after
Test::LLM::Util::pause(0.9);
is($t->mock->state('second')->{requests}, 0, 'no second attempt');

=== during the second attempt
--- http_config
    upstream one { server %%first%%; }
    upstream two { server %%second%%; }
    upstream three { server %%third%%; }
    log_format gone '$status $llm_fallback_attempt_count';
--- config
    llm_proxy_route first one;
    llm_proxy_route second two response_timeout=500ms;
    llm_proxy_route third three;
    llm_proxy_default_provider first;
    llm_fallback_route first second;
    llm_fallback_route first third;
    llm_fallback_max_attempts 3;
    location /v1/ { llm_proxy; llm_fallback; proxy_pass http://$llm_provider_upstream; }
--- provider_first
{"status":500}
--- provider_second
{"fault":"hang"}
--- request
POST /v1/chat/completions
{"model":"m"}
--- abort_after: provider second
--- access_log
^499 2$
--- provider_second_client_closed: 1
--- after
Test::LLM::Util::pause(0.7);
is($t->mock->state('third')->{requests}, 0, 'no third attempt');

=== behind the first words of a stream
--- http_config
    upstream one { server %%first%%; }
    upstream two { server %%second%%; }
    log_format gone '$llm_stream_state $llm_fallback_suppressed $llm_failure_class';
--- config
    llm_proxy_route first one;
    llm_proxy_route second two;
    llm_proxy_default_provider first;
    llm_fallback_route first second;
    location /v1/ { llm_proxy; llm_fallback; proxy_pass http://$llm_provider_upstream; }
--- provider_first
{"words":500,"pace_ms":20}
--- request
POST /v1/chat/completions
{"model":"m","stream":true}
--- abort_after: "content":"Hello"
--- access_log
^client_closed 0 -$
--- provider_first_client_closed: 1
--- provider_second_requests: 0

=== finish: a failure is not followed by another attempt when nobody waits for it
--- http_config
    upstream one { server %%first%%; }
    upstream two { server %%second%%; }
--- config
    llm_proxy_route first one response_timeout=400ms;
    llm_proxy_route second two;
    llm_proxy_default_provider first;
    llm_proxy_client_abort finish 10s;
    llm_fallback_route first second;
    location /v1/ { llm_proxy; llm_fallback; proxy_pass http://$llm_provider_upstream; }
--- provider_first
{"fault":"hang"}
--- request
POST /v1/chat/completions
{"model":"m"}
--- abort_after: provider first
--- provider_first_client_closed: 1
--- after
Test::LLM::Util::pause(0.3);
is($t->mock->state('second')->{requests}, 0, 'no second attempt');

=== the next requests are not touched
--- http_config
    upstream one { server %%first%%; keepalive 4; }
    upstream two { server %%second%%; keepalive 4; }
--- config
    llm_proxy_route first one;
    llm_proxy_route second two;
    llm_proxy_default_provider first;
    llm_fallback_route first second;
    llm_fallback_retry 1 backoff=200ms..300ms;
    llm_fallback_max_attempts 3;
    location /v1/ { llm_proxy; llm_fallback; proxy_pass http://$llm_provider_upstream; }
--- after
$t->mock->script(first => [ { status => 500, times => 20 } ]);
my @clients = map { send_request($t, '{"model":"m"}') } 1 .. 20;
wait_until { $t->mock->state('first')->{requests} == 20 } 5;
$_->finish(0) for @clients;
@clients = ();
my @answers = map { $t->request(qq(POST /v1/chat/completions\n{"model":"m"})) } 1 .. 5;
is((grep { $_->{status} eq '200' } @answers), 5, 'answered');
