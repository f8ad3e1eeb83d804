# Budgets: exact, per scope, unit and window; what a request may cost is set aside before it is sent. The
# mock provider's answers use 12 tokens of input and 7 of output: at 1000 a million each, 0.019.

use Test::LLM 'no_plan';

use Test::LLM::Client;
use Test::LLM::Ledger;
use Test::LLM::Util qw(now);

sub ask {
    my ($t, $headers, $fields) = @_;
    return $t->request(qq(POST /v1/chat/completions\n{"model":"m") . ($fields // '') . '}', $headers);
}

# Sends a request and does not wait for its answer.
sub begin {
    my ($t, $address, $fields) = @_;
    my $body = '{"model":"m"' . ($fields // '') . '}';
    my $client = Test::LLM::Client->new($address // $t->address);
    $client->transmit("POST /v1/chat/completions HTTP/1.1\r\nHost: localhost\r\n"
        . "Content-Type: application/json\r\nContent-Length: " . length($body) . "\r\n\r\n$body");
    return $client;
}

run_tests();

__DATA__

=== of 64 at once on two workers exactly one gets the budget for one
--- workers: 2
--- http_config
    upstream one { server %%first%%; }
    log_format l '$pid $status "$llm_ratelimit_deny_reason" "$llm_ratelimit_spend_deny_unit"';
    llm_cost_rate first * 1000 1000;
--- config
    # The kernel deals connections out to both workers.
    listen 127.0.0.1:%%port2%% reuseport;
    llm_proxy_route first one;
    llm_proxy_default_provider first;
    llm_ratelimit_spend_scope project usd p 0.019;
    llm_ratelimit_reserve_spend usd 0.019;
    location /v1/ { llm_proxy; llm_ratelimit; llm_cost; proxy_pass http://$llm_provider_upstream; }
--- provider_first
{"delay_ms":200,"times":"always"}
--- after
my $address = '127.0.0.1:' . $t->port('port2');
my @clients = map { main::begin($t, $address) } 1 .. 64;
my @status = sort map { $_->receive(method => 'POST')->{status} } @clients;
is_deeply(\@status, [ 200, (429) x 63 ], 'one of them');
is($t->mock->state('first')->{requests}, 1, 'one was sent');
my %workers = map { $_ => 1 } $t->access_log =~ /^(\d+) /mg;
is(keys %workers, 2, 'both workers were asked');
like($t->access_log, qr/ 429 "spend_budget_exhausted" "usd"$/m, 'the others have spent nothing');
ok(wait_for_rows($t, 1), 'one row');
is(main::ask($t)->{status}, '429', 'it stays so');

=== under load on two workers the budget is used up and never exceeded
--- workers: 2
--- http_config
    upstream one { server %%first%%; keepalive 16; }
    llm_cost_rate first * 1000 1000;
--- config
    llm_proxy_route first one;
    llm_proxy_default_provider first;
    llm_ratelimit_spend_scope project usd p 1;
    llm_ratelimit_reserve_spend usd 0.1;
    location /v1/ { llm_proxy; llm_ratelimit; llm_cost; proxy_pass http://$llm_provider_upstream; }
--- after
my @answers;
my $refused = 0;
# Twice: one worker may still be about to settle an answer when the other one is asked again.
while ($refused < 2 && @answers < 1000) {
    my @clients = map { main::begin($t) } 1 .. 25;
    push @answers, map { $_->receive(method => 'POST') } @clients;
    $_->finish(0) for @clients;
    my $all_refused = !grep { $_->{status} eq '200' } @answers[ -25 .. -1 ];
    $refused = $all_refused ? $refused + 1 : 0;
}
my @served = grep { $_->{status} eq '200' } @answers;
# So many that a further one, with what is set aside for it, would not have fitted.
is(scalar @served, 48, 'forty-eight times 0.019, and not 0.1 more');
ok(wait_for_rows($t, 48, 20), 'as many rows');
is_deeply([ ledger_problems($t, answers => \@answers, prices => { 'first/m' => [ 1000, 1000 ] }) ], [],
    'with the same sum');

=== amounts are exact: what equals the budget passes, a digit more does not
--- http_config
    upstream one { server %%first%%; }
    llm_cost_rate first * 1000 1000;
--- config
    llm_proxy_route first one;
    llm_proxy_default_provider first;
    llm_ratelimit_reserve_spend usd 0.019;
    llm_ratelimit_spend_scope project usd $http_x_project $http_x_budget 0.057;
    llm_ratelimit_spend_scope client usd $http_x_client 0.056999999999;
    location /v1/ { llm_proxy; llm_ratelimit; llm_cost; proxy_pass http://$llm_provider_upstream; }
--- after
my @status = map { main::ask($t, "X-Project: p\nX-Budget: b\nX-Client: c$_")->{status} } 1 .. 4;
is("@status", '200 200 200 429', 'three times 0.019 are 0.057');
@status = map { main::ask($t, "X-Project: p$_\nX-Budget: b\nX-Client: c")->{status} } 1 .. 4;
is("@status", '200 200 429 429', 'and more than 0.056999999999');

=== what a request did not cost is free again
--- http_config
    upstream one { server %%first%%; }
    log_format l '$llm_ratelimit_budget_used';
    llm_cost_rate first * 1000 1000;
--- config
    llm_proxy_route first one;
    llm_proxy_default_provider first;
    llm_ratelimit_reserve_spend usd 0.9;
    llm_ratelimit_spend_scope project usd p 1;
    location /v1/ { llm_proxy; llm_ratelimit; llm_cost; proxy_pass http://$llm_provider_upstream; }
--- after
# 0.095 and 0.9 fit, 0.114 and 0.9 do not.
my @status = map { main::ask($t)->{status} } 1 .. 7;
is("@status", '200 200 200 200 200 200 429', 'six');
is((split /\n/, $t->access_log)[0], '90', 'the share that is used, in percent');

=== a request that costs nothing leaves nothing behind: an error, a refusal, nobody there
--- http_config
    upstream one { server %%first%%; }
    upstream nobody { server %%closed%%; }
    llm_cost_rate first * 1000 1000;
    llm_cost_rate dead * 1000 1000;
--- config
    llm_proxy_route first one response_timeout=300ms;
    llm_proxy_route dead nobody;
    llm_proxy_model_pattern m first;
    llm_proxy_model_pattern dead dead;
    llm_ratelimit_reserve_spend usd 0.6;
    llm_ratelimit_spend_scope project usd p 1;
    llm_ratelimit_rule $http_x_strict tokens 1/m;
    location /v1/ { llm_proxy; llm_ratelimit; llm_cost; proxy_pass http://$llm_provider_upstream; }
--- provider_first
{"status":500}

{"status":400}

{"fault":"hang"}

{"fault":"reset"}

{"times":2}
--- after
my $ask = sub {
    my ($body, $header) = @_;
    return $t->request("POST /v1/chat/completions\n$body", $header)->{status};
};
is($ask->('{"model":"m"}'), '500', 'an error of the provider');
is($ask->('{"model":"m"}'), '400', 'a bad request');
is($ask->('{"model":"m"}'), '504', 'silence');
is($ask->('{"model":"m"}'), '502', 'a reset');
is($ask->('{"model":"dead"}'), '502', 'nobody listens');
is($ask->('{"model":"none"}'), '404', 'an unknown model');
is($ask->('{"model":"m","max_tokens":9}', 'X-Strict: a'), '400', 'a refusal by a limit');
is($ask->('{"model":"m"}'), '200', 'there is room for one');
is($ask->('{"model":"m"}'), '200', 'and, as that one has cost little, for one more');

=== scopes are apart, and each binds
--- http_config
    upstream one { server %%first%%; }
    log_format l '$status "$llm_ratelimit_scope"';
    llm_cost_rate first * 1000 1000;
--- config
    llm_proxy_route first one;
    llm_proxy_default_provider first;
    llm_ratelimit_reserve_spend usd 0.019;
    llm_ratelimit_spend_scope organization usd $http_x_org 0.095;
    llm_ratelimit_spend_scope project usd $http_x_org $http_x_project 0.038;
    llm_ratelimit_spend_scope client usd $http_x_org $http_x_project $http_x_client 0.019;
    location /v1/ { llm_proxy; llm_ratelimit; llm_cost; proxy_pass http://$llm_provider_upstream; }
--- after
my $ask = sub {
    my ($org, $project, $client) = @_;
    my $status = main::ask($t, "X-Org: $org\nX-Project: $project\nX-Client: $client")->{status};
    my ($last) = reverse split /\n/, $t->access_log;
    return $status eq '200' ? 'passes' : $last =~ s/.*"(.*)"/$1/r;
};
is($ask->('o', 'p', 'a'), 'passes', 'a client');
is($ask->('o', 'p', 'a'), 'client usd month', 'has its own budget');
is($ask->('o', 'p', 'b'), 'passes', 'another client');
is($ask->('o', 'p', 'c'), 'project usd month', 'shares that of the project');
is($ask->('o', 'q', 'a'), 'passes', 'a client of the same name in another project is another');
is($ask->('o', 'q', 'b'), 'passes', 'and so on');
is($ask->('o', 'r', 'a'), 'passes', 'five of the organization');
is($ask->('o', 's', 'a'), 'organization usd month', 'are all');
is($ask->('n', 'p', 'a'), 'passes', 'another one has its own');
ok(wait_for_rows($t, 6), 'six rows');

=== units are apart
--- http_config
    upstream one { server %%first%%; }
    upstream two { server %%second%%; }
    llm_cost_rate first * 1000 1000;
    llm_cost_rate second * 1000 1000;
    llm_cost_rate_unit second credit;
--- config
    llm_proxy_route first one;
    llm_proxy_route second two;
    llm_proxy_model_pattern a first;
    llm_proxy_model_pattern b second;
    llm_ratelimit_reserve_spend usd 0.019;
    llm_ratelimit_reserve_spend credit 0.019;
    llm_ratelimit_spend_scope project usd p 0.019;
    llm_ratelimit_spend_scope project credit p 0.038;
    location /v1/ { llm_proxy; llm_ratelimit; llm_cost; proxy_pass http://$llm_provider_upstream; }
--- requests
POST /v1/chat/completions
{"model":"a"}
>>>
POST /v1/chat/completions
{"model":"b"}
>>>
POST /v1/chat/completions
{"model":"a"}
>>>
POST /v1/chat/completions
{"model":"b"}
>>>
POST /v1/chat/completions
{"model":"b"}
--- error_code: 200 200 429 200 429
--- after
my ($usd, $credit) = map { $_->{body} } ($t->answers)[2, 4];
like($usd, qr/"project usd month"/, 'usd is spent');
like($credit, qr/"project credit month"/, 'credit is spent');

=== a unit without a budget has no end
--- http_config
    upstream one { server %%first%%; }
    llm_cost_rate first * 1000 1000;
--- config
    llm_proxy_route first one;
    llm_proxy_default_provider first;
    llm_ratelimit_spend_scope project credit p 0.000001;
    location /v1/ { llm_proxy; llm_ratelimit; llm_cost; proxy_pass http://$llm_provider_upstream; }
--- requests
POST /v1/chat/completions
{"model":"a"}
>>>
POST /v1/chat/completions
{"model":"b"}

=== soft: the request that crosses the budget passes, the next does not
--- http_config
    upstream one { server %%first%%; }
    llm_cost_rate first * 1000 1000;
--- config
    llm_proxy_route first one;
    llm_proxy_default_provider first;
    llm_ratelimit_spend_scope project usd p 0.02 soft;
    location /v1/ { llm_proxy; llm_ratelimit; llm_cost; proxy_pass http://$llm_provider_upstream; }
--- requests
POST /v1/chat/completions
{"model":"m","max_tokens":1000}
>>>
POST /v1/chat/completions
{"model":"m","max_tokens":1000}
>>>
POST /v1/chat/completions
{"model":"m","max_tokens":1000}
--- error_code: 200 200 429

=== hard: a request that could cross it does not pass
--- http_config
    upstream one { server %%first%%; }
    llm_cost_rate first * 1000 1000;
--- config
    llm_proxy_route first one;
    llm_proxy_default_provider first;
    llm_ratelimit_spend_scope project usd p 0.9;
    location /v1/ { llm_proxy; llm_ratelimit; llm_cost; proxy_pass http://$llm_provider_upstream; }
--- requests
POST /v1/chat/completions
{"model":"m","max_tokens":1000}
>>>
POST /v1/chat/completions
{"model":"m","max_tokens":100}
>>>
POST /v1/chat/completions
{"model":"m","max_tokens":100,"n":10}
>>>
POST /v1/chat/completions
{"model":"m"}
--- error_code: 429 200 429 429

=== windows end at midnight, on Monday, on the first, or never
--- http_config
    upstream one { server %%first%%; }
    llm_cost_rate first * 1000 1000;
--- config
    llm_proxy_route first one;
    llm_proxy_default_provider first;
    llm_ratelimit;
    llm_cost;
    location /month/ { llm_ratelimit_spend_scope project usd p 0.001; llm_proxy; proxy_pass http://$llm_provider_upstream; }
    location /week/ { llm_ratelimit_spend_scope project usd p 0.001 window=week; llm_proxy; proxy_pass http://$llm_provider_upstream; }
    location /day/ { llm_ratelimit_spend_scope project usd p 0.001 window=day; llm_proxy; proxy_pass http://$llm_provider_upstream; }
    location /total/ { llm_ratelimit_spend_scope project usd p 0.001 window=total; llm_proxy; proxy_pass http://$llm_provider_upstream; }
--- after
require Time::Local;
my $ask = sub { $t->request(qq(POST /$_[0]/v1/chat/completions\n{"model":"m"})) };
my $now = time;
my (undef, undef, undef, undef, $month, $year) = gmtime $now;
my $day = 86_400;
my %end = (
    month => Time::Local::timegm(0, 0, 0, 1, ($month + 1) % 12, $year + 1900 + ($month == 11)),
    # 1970 began on a Thursday.
    week  => (int(($now - 4 * $day) / (7 * $day)) + 1) * 7 * $day + 4 * $day,
    day   => (int($now / $day) + 1) * $day,
);
for my $window (sort keys %end) {
    my $answer = $ask->($window);
    my $body   = JSON::PP::decode_json($answer->{body});
    is($answer->{status}, '429', "$window: refused");
    SKIP: {
        skip('it has just ended', 2) if time >= $end{$window};
        is($body->{error}{reset_at}, $end{$window}, "$window: when it begins anew");
        my $wait = header($answer, 'retry-after');
        ok(abs($now + $wait - $end{$window}) < 60, "$window: and in how many seconds: $wait");
    }
}
my $answer = $ask->('total');
is($answer->{status}, '429', 'total: refused');
is(JSON::PP::decode_json($answer->{body})->{error}{reset_at}, undef, 'total: for ever');
like(header($answer, 'retry-after'), qr/\A\d+\z/, 'total: there is a Retry-After all the same');
--- provider_first_requests: 0

=== a client that leaves pays for what has come
--- http_config
    upstream one { server %%first%%; }
    llm_cost_rate first * 1000 1000;
--- config
    llm_proxy_route first one;
    llm_proxy_default_provider first;
    llm_ratelimit_reserve_spend usd 0.9;
    llm_ratelimit_spend_scope project usd p 1;
    location /v1/ { llm_proxy; llm_ratelimit; llm_cost; proxy_pass http://$llm_provider_upstream; }
--- provider_first
{"words":500,"pace_ms":10}

{}
--- after
my $client = main::begin($t, undef, ',"stream":true');
# A few words have come.
wait_until { $client->{buffer} =~ /from/ or $client->fill(now() + 5) && 0 } 10;
is(main::ask($t)->{status}, '429', 'while it runs its money is set aside');
$client->finish(0);
ok((wait_until { main::ask($t)->{status} eq '200' } 5), 'then it is free but for what was used');
ok(wait_for_rows($t, 2), 'two rows');
my ($left) = grep { $_->{status} eq 'client_closed' } rows($t);
ok($left && pico($left->{total_cost}) > 0, 'the one that left is billed');

=== whose it is must be known
--- http_config
    upstream one { server %%first%%; }
    llm_cost_rate first * 1000 1000;
--- config
    llm_proxy_route first one;
    llm_proxy_default_provider first;
    llm_ratelimit_spend_scope project usd $http_x_org $http_x_project 5;
    location /v1/ { llm_proxy; llm_ratelimit; llm_cost; proxy_pass http://$llm_provider_upstream; }
--- requests
POST /v1/chat/completions
{"model":"m"}
>>>
POST /v1/chat/completions
{"model":"m"}
--- more_headers
X-Org: o
>>>
X-Org: o
X-Project: p
--- error_code: 429 200
--- after
like(($t->answers)[0]{body}, qr/"identity_missing"/, 'the reason');

=== a scope is one of three
--- config
    llm_ratelimit_spend_scope team usd p 5;
--- must_fail
invalid scope "team" in "llm_ratelimit_spend_scope", it must be organization, project or client

=== a window is one of four
--- config
    llm_ratelimit_spend_scope project usd p 5 window=year;
--- must_fail
invalid window "window=year" in "llm_ratelimit_spend_scope", it must be window=month, window=week, window=day or window=total

=== a budget needs somebody
--- config
    llm_ratelimit_spend_scope project usd 5 soft;
--- must_fail
"llm_ratelimit_spend_scope" needs a scope, a unit, at least one variable and a budget, such as project usd $org $project 800

=== an amount is a decimal number
--- config
    llm_ratelimit_spend_scope project usd p 1e3;
--- must_fail
invalid budget "1e3" in "llm_ratelimit_spend_scope", give a decimal number such as 800 or 0.25

=== with twelve decimals at most
--- config
    llm_ratelimit_spend_scope project usd p 0.0000000000001;
--- must_fail
invalid budget "0.0000000000001" in "llm_ratelimit_spend_scope", it may have 12 decimals

=== and not without end
--- config
    llm_ratelimit_spend_scope project usd p 10000000000000000;
--- must_fail
invalid budget "10000000000000000" in "llm_ratelimit_spend_scope", it may be 1000000000000000 at most

=== the same budget twice
--- http_config
    upstream one { server %%first%%; }
--- config
    llm_proxy_route first one;
    llm_proxy_default_provider first;
    llm_ratelimit_spend_scope project usd p 5;
    llm_ratelimit_spend_scope project USD p 6;
    location /v1/ { llm_proxy; llm_ratelimit; proxy_pass http://$llm_provider_upstream; }
--- must_fail
duplicate budget "project usd month" in "llm_ratelimit_spend_scope"
