# What limits and budgets survive: a reload, a restart, the death of a worker and of all of nginx at once,
# and the loss of the files. The mock provider's answers cost 0.019 at 1000 a million.

use Test::LLM 'no_plan';

use Test::LLM::Client;
use Test::LLM::Ledger;

sub ask {
    my ($t, $headers) = @_;
    return $t->request(qq(POST /v1/chat/completions\n{"model":"m"}), $headers)->{status};
}

# Sends a request and does not wait for its answer.
sub begin {
    my ($t) = @_;
    my $body   = '{"model":"m"}';
    my $client = Test::LLM::Client->new($t->address);
    $client->transmit("POST /v1/chat/completions HTTP/1.1\r\nHost: localhost\r\n"
        . "Content-Type: application/json\r\nContent-Length: " . length($body) . "\r\n\r\n$body");
    return $client;
}

run_tests();

__DATA__

=== a reload keeps what was counted, also when numbers change
--- http_config
    upstream one { server %%first%%; }
    llm_cost_rate first * 1000 1000;
--- config
    llm_proxy_route first one;
    llm_proxy_default_provider first;
    llm_ratelimit_rule all requests 2/h;
    location /v1/ { llm_proxy; llm_ratelimit; llm_cost; proxy_pass http://$llm_provider_upstream; }
--- reload_config
    llm_proxy_route first one;
    llm_proxy_default_provider first;
    llm_ratelimit_rule all requests 3/h;
    location /v1/ { llm_proxy; llm_ratelimit; llm_cost; proxy_pass http://$llm_provider_upstream; }
--- requests
POST /v1/chat/completions
{"model":"m"}
>>>
POST /v1/chat/completions
{"model":"m"}
>>>
POST /v1/chat/completions
{"model":"m"}
>>> new connection, reload
POST /v1/chat/completions
{"model":"m"}
>>>
POST /v1/chat/completions
{"model":"m"}
--- error_code: 200 200 429 200 429

=== a restart keeps limits and budgets
--- http_config
    upstream one { server %%first%%; }
    llm_cost_rate first * 1000 1000;
--- config
    llm_proxy_route first one;
    llm_proxy_default_provider first;
    llm_ratelimit_rule $http_x_a requests 3/h;
    llm_ratelimit_rule $http_x_b tokens 100/d;
    llm_ratelimit_reserve_tokens 50;
    llm_ratelimit_spend_scope project usd $http_x_p 0.057;
    llm_ratelimit_reserve_spend usd 0.019;
    location /v1/ { llm_proxy; llm_ratelimit; llm_cost; proxy_pass http://$llm_provider_upstream; }
--- after
my $a = "X-A: a\nX-P: of-a";
my $b = "X-B: b\nX-P: of-b";
my $p = 'X-P: p';
is(main::ask($t, $_), '200', 'before, ' . s/\n/, /r) for $a, $a, $b, $b, $p, $p;
$t->restart;
is(main::ask($t, $_), '200', 'after, ' . s/\n/, /r) for $a, $b, $p;
is(main::ask($t, $_), '429', 'spent, ' . s/\n/, /r) for $a, $b, $p;
ok(wait_for_rows($t, 9), 'nine rows');

=== budgets survive kill -9 of all of nginx to the last request
--- workers: 2
--- http_config
    upstream one { server %%first%%; }
    llm_cost_rate first * 1000 1000;
--- config
    llm_proxy_route first one;
    llm_proxy_default_provider first;
    llm_ratelimit_spend_scope project usd p 0.057;
    llm_ratelimit_reserve_spend usd 0.019;
    location /v1/ { llm_proxy; llm_ratelimit; llm_cost; proxy_pass http://$llm_provider_upstream; }
--- requests
POST /v1/chat/completions
{"model":"m"}
>>>
POST /v1/chat/completions
{"model":"m"}
>>> restart kill9
POST /v1/chat/completions
{"model":"m"}
>>> restart kill9
POST /v1/chat/completions
{"model":"m"}
--- error_code: 200 200 200 429
--- after
ok(wait_for_rows($t, 3, 30), 'three rows');
is_deeply([ ledger_problems($t, answers => [ $t->answers ], prices => { 'first/m' => [ 1000, 1000 ] }) ],
    [], 'as the clients saw it');

=== what was under way when nginx was killed keeps no budget shut
--- http_config
    upstream one { server %%first%%; }
    llm_cost_rate first * 1000 1000;
--- config
    llm_proxy_route first one;
    llm_proxy_default_provider first;
    llm_ratelimit_spend_scope project usd p 0.019;
    llm_ratelimit_reserve_spend usd 0.019;
    llm_ratelimit_rule all concurrency 1;
    location /v1/ { llm_proxy; llm_ratelimit; llm_cost; proxy_pass http://$llm_provider_upstream; }
--- provider_first
{"fault":"hang"}

{}
--- after
my $client = main::begin($t);
wait_until { $t->mock->state('first')->{requests} } 5;
is(main::ask($t), '429', 'it is taken');
# A checkpoint is made each second: whether this is in one or not, the outcome must be the same.
wait_until { -s $t->root . '/llm/state' } 5;
Test::LLM::Util::pause(1.2 * Test::LLM::Util::scale());
$t->restart('kill9');
is(main::ask($t), '200', 'and free again');
is(main::ask($t), '429', 'then spent');
$client->finish(0);

=== a killed worker gives back what it had set aside, and keeps what was spent
--- http_config
    upstream one { server %%first%%; }
    llm_cost_rate first * 1000 1000;
--- config
    llm_proxy_route first one;
    llm_proxy_default_provider first;
    llm_ratelimit_spend_scope project usd p 0.057;
    llm_ratelimit_reserve_spend usd 0.038;
    llm_ratelimit_rule all tokens 1000/d;
    llm_ratelimit_reserve_tokens 900;
    location /v1/ { llm_proxy; llm_ratelimit; llm_cost; proxy_pass http://$llm_provider_upstream; }
--- provider_first
{}

{"fault":"hang"}

{}
--- expected_alert
exited on signal 9
--- after
is(main::ask($t), '200', 'spends 0.019');
my $client = main::begin($t);
wait_until { $t->mock->state('first')->{requests} == 2 } 5;
is(main::ask($t), '429', 'the rest is set aside');
$t->kill_worker;
# Whoever looks for dead workers needs a moment.
ok((wait_until { main::ask($t) eq '200' } 20), 'and is free again');
is(main::ask($t), '429', '0.038 are spent, and 0.038 more do not fit');
$client->finish(0);
ok(wait_for_rows($t, 2, 30), 'two rows');

=== without the files the database tells what was spent
--- http_config
    upstream one { server %%first%%; }
    llm_cost_rate first * 1000 1000;
    llm_cost_org o;
    llm_cost_project $http_x_project;
--- config
    llm_proxy_route first one;
    llm_proxy_default_provider first;
    llm_ratelimit_spend_scope project usd o $http_x_project 0.057;
    llm_ratelimit_reserve_spend usd 0.019;
    location /v1/ { llm_proxy; llm_ratelimit; llm_cost; proxy_pass http://$llm_provider_upstream; }
--- after
my ($p, $q) = ('X-Project: p', 'X-Project: q');
is(main::ask($t, $_), '200', "before, $_") for $p, $p, $q;
ok(wait_for_rows($t, 3), 'three rows');
is($t->nginx->stop, undef, 'nginx ends');
File::Path::remove_tree($t->root . "/llm/$_") for qw(journal state state.lock);
is($t->nginx->start, undef, 'and starts');
is(main::ask($t, $p), '200', 'one more fits');
# The database is asked when a budget is first used, beside the requests.
ok((wait_until { main::ask($t, $p) eq '429' } 20), 'then it is spent');
is(main::ask($t, $q), '200', 'another one is not');

=== another file
--- http_config
    upstream one { server %%first%%; }
    llm_ratelimit_state %%root%%/elsewhere/limits;
--- config
    llm_proxy_route first one;
    llm_proxy_default_provider first;
    llm_ratelimit_rule all requests 2/h;
    location /v1/ { llm_proxy; llm_ratelimit; proxy_pass http://$llm_provider_upstream; }
--- requests
POST /v1/chat/completions
{"model":"m"}
>>>
POST /v1/chat/completions
{"model":"m"}
>>> restart
POST /v1/chat/completions
{"model":"m"}
--- error_code: 200 200 429
--- after
ok(-s $t->root . '/elsewhere/limits', 'it is there');
ok(!-e $t->root . '/llm/state', 'the other is not');

=== off: a restart forgets
--- http_config
    upstream one { server %%first%%; }
    llm_ratelimit_state off;
--- config
    llm_proxy_route first one;
    llm_proxy_default_provider first;
    llm_ratelimit_rule all requests 1/h;
    location /v1/ { llm_proxy; llm_ratelimit; proxy_pass http://$llm_provider_upstream; }
--- requests
POST /v1/chat/completions
{"model":"m"}
>>>
POST /v1/chat/completions
{"model":"m"}
>>> restart
POST /v1/chat/completions
{"model":"m"}
--- error_code: 200 429 200
--- after
ok(!-e $t->root . '/llm/state', 'no file');

=== a file that is damaged is told of, and nginx starts
--- http_config
    upstream one { server %%first%%; }
--- config
    llm_proxy_route first one;
    llm_proxy_default_provider first;
    llm_ratelimit_rule all requests 1/h;
    location /v1/ { llm_proxy; llm_ratelimit; proxy_pass http://$llm_provider_upstream; }
--- requests
POST /v1/chat/completions
{"model":"m"}
--- after
is($t->nginx->stop, undef, 'nginx ends');
my $state = $t->read_file('llm/state');
ok(length $state, 'there is a file');
substr($state, length($state) / 2, 1) ^= "\xff";
spew($t->root . '/llm/state', $state);
is($t->nginx->start, undef, 'nginx starts');
is(main::ask($t), '200', 'and serves');
like($t->error_log, qr{\[error\].*cannot use the saved limits in "[^"]*/llm/state"}, 'it says so');

=== a path without variables
--- http_config
    llm_ratelimit_state /var/$hostname;
--- must_fail
invalid path "/var/$hostname" in "llm_ratelimit_state", give a file name without variables, or off
