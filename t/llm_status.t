# The report for scripts and the page for people: shapes, states, who gets which, and that no secret is in it.

use Test::LLM 'no_plan';

use Test::LLM::Metrics;

# The last entries of all series of a provider's hour, added up over the last two minutes: a test may begin in
# one and end in the next.
sub last_two {
    my ($provider, $name) = @_;
    my @values = @{ $provider->{hour}{$name} }[ 58, 59 ];
    return ($values[0] // 0) + ($values[1] // 0);
}

sub provider {
    my ($report, $name) = @_;
    return (grep { $_->{name} eq $name } @{ $report->{providers} })[0];
}

# The report as soon as a condition holds of it.
sub report_when {
    my ($t, $condition) = @_;
    my $report;
    wait_until { $condition->($report = status_of($t)) } 5;
    return $report;
}

run_tests();

__DATA__

=== the shape of an idle gateway's report
--- http_config
    upstream one { server %%first%%; }
--- config
    llm_proxy_route first one;
    llm_proxy_default_provider first;
    location /v1/ { llm_metrics; llm_proxy; proxy_pass http://$llm_provider_upstream; }
    location /status { llm_status; }
--- request
GET /status
--- response_headers
Content-Type: application/json
Cache-Control: no-store
X-Content-Type-Options: nosniff
Vary: Accept
--- response_json
{
"version": "<<match:^\\d+\\.\\d+\\.\\d+>>",
"node": "<<match:.>>",
"time": "<<match:^\\d{4}-\\d\\d-\\d\\dT\\d\\d:\\d\\d:\\d\\d\\.\\d{3}Z$>>",
"open_streams": 0,
"providers": [{"name":"first","state":"up","benched_until":null,"latency_ms":null,"success_ratio":null,"unit":"usd","keys":[],"targets":[],"hour":null}],
"flows": [],
"decisions": [],
"limits": [],
"budgets": [],
"journal": null,
"recent": []
}

=== a request, plain and streamed
--- http_config
    upstream one { server %%first%%; }
    llm_cost_rate first * 1 2;
--- config
    llm_proxy_route first one;
    llm_proxy_model_pattern m first;
    location /v1/ {
        llm_metrics;
        llm_proxy;
        llm_fallback;
        llm_fallback_mode health;
        llm_fallback_request_headers tag;
        llm_cost;
        llm_cost_org $http_x_org;
        llm_cost_project $http_x_project;
        llm_cost_client $http_x_client;
        proxy_pass http://$llm_provider_upstream;
    }
    location /status { llm_status; }
--- provider_first
200 {"usage":{"prompt_tokens":100,"completion_tokens":40,"total_tokens":140}}

sse
{"id":"1","choices":[{"delta":{"content":"a"},"finish_reason":"stop"}]}
{"id":"1","choices":[],"usage":{"prompt_tokens":10,"completion_tokens":4,"total_tokens":14}}
[DONE]
--- requests
POST /v1/chat/completions
{"model":"m"}
>>>
POST /v1/chat/completions
{"model":"m","stream":true}
--- more_headers
X-Org: acme
X-Project: search
X-Client: c-1
X-LLM-Tag: nightly
--- after
my $report = main::report_when($t, sub { @{ $_[0]{recent} } == 2 });
my ($stream, $plain) = @{ $report->{recent} };
my @ids = map { (Test::LLM::Client::header_values($_, 'x-llm-event-id'))[0] } $t->answers;
my %common = (
    provider => 'first', model => 'm', status => 200, attempts => 1, unit => 'usd', org => 'acme',
    project => 'search', client => 'c-1', tag => 'nightly', map { $_ => JSON::PP::false() }
        qw(fallback client_aborted truncated),
);
my %want = (%common, event_id => $ids[0], streaming => JSON::PP::false(), input_tokens => 100,
    output_tokens => 40, cost => '0.00018000');
is_deeply({ map { $_ => $plain->{$_} } keys %want }, \%want, 'the plain one');
%want = (%common, event_id => $ids[1], streaming => JSON::PP::true(), input_tokens => 10,
    output_tokens => 4, cost => '0.00001800');
is_deeply({ map { $_ => $stream->{$_} } keys %want }, \%want, 'the streamed one');
like($plain->{chain}, qr{\Afirst/m:200:\d+ms\z}, 'its chain');
like($plain->{time}, qr/\A\d{4}-\d\d-\d\dT[\d:.]+Z\z/, 'its time');
like("$stream->{ttft_ms} $stream->{duration_ms}", qr/\A\d+ \d+\z/, 'its times');
my $first = main::provider($report, 'first');
is_deeply([ map { main::last_two($first, $_) } qw(attempts requests failures errors input_tokens output_tokens) ],
    [ 2, 2, 0, 0, 110, 44 ], 'the last hour');
is(scalar @{ $first->{hour}{$_} }, 60, "$_: sixty minutes") for sort keys %{ $first->{hour} };
is($first->{state}, 'up', 'it is up');
is($first->{success_ratio}, 1, 'all went well');

=== a fallback: both providers, the chain, and the flow between them
--- http_config
    upstream one { server %%first%%; }
    upstream two { server %%second%%; }
--- config
    llm_proxy_route first one;
    llm_proxy_route second two;
    llm_proxy_model_pattern m first;
    llm_fallback_route first second other;
    location /v1/ { llm_metrics; llm_proxy; llm_fallback; proxy_pass http://$llm_provider_upstream; }
    location /status { llm_status; }
--- provider_first
429 {"error":{}}
--- request
POST /v1/chat/completions
{"model":"m"}
--- after
my $report = main::report_when($t, sub { @{ $_[0]{recent} } == 1 });
is_deeply($report->{flows}, [ { from => 'first', to => 'second', count => 1 } ], 'the flow');
my ($recent) = @{ $report->{recent} };
like($recent->{chain}, qr{\Afirst/m:429:\d+ms, second/other:200:\d+ms\z}, 'the chain');
is_deeply([ @$recent{qw(provider model attempts fallback status)} ],
    [ 'second', 'other', 2, JSON::PP::true(), 200 ], 'the request');
my ($first, $second) = map { main::provider($report, $_) } qw(first second);
is_deeply([ map { main::last_two($first, $_) } qw(attempts failures requests) ], [ 1, 1, 0 ], 'the first');
is_deeply([ map { main::last_two($second, $_) } qw(attempts failures requests) ], [ 1, 0, 1 ], 'the second');

=== an outage is told, and the recovery
--- http_config
    upstream one { server %%first%%; }
    upstream two { server %%second%%; }
--- config
    llm_proxy_route first one;
    llm_proxy_route second two;
    llm_proxy_model_pattern m first;
    llm_proxy_model_pattern n first;
    llm_fallback_route first second;
    llm_fallback_mode health;
    llm_fallback_cooldown 1s max=1s fails=1;
    location /v1/ { llm_metrics; llm_proxy; llm_fallback; proxy_pass http://$llm_provider_upstream; }
    location = /metrics { llm_metrics_export prometheus; }
    location /status { llm_status; }
--- provider_first
503 {"error":{}}

503 {"error":{}}

200 {"ok":1}

200 {"ok":1}
--- after
my $ask = sub { $t->request(qq(POST /v1/chat/completions\n{"model":"$_[0]"})) };
my $state = sub { main::provider(status_of($t), 'first') };
is($state->()->{state}, 'up', 'nothing is known yet');
$ask->('m');
my $first = $state->();
is($first->{state}, 'benched', 'the only target that is known is benched');
like($first->{benched_until}, qr/\A\d{4}-\d\d-\d\dT[\d:.]+Z\z/, 'until when');
is_deeply([ map { $_->{model} } @{ $first->{targets} } ], ['m'], 'which one');
counts_are($t, <<'END', 'and the gauges');
llm_provider_up{provider="first"} 0
llm_provider_up{provider="second"} 1
END
$ask->('n');
is($state->()->{state}, 'benched', 'both are');
wait_until { $state->()->{state} ne 'benched' } 5;
$ask->('m');
wait_until { $ask->('n'); @{ $t->mock->requests('first') } >= 4 } 5;
$first = $state->();
is($first->{state}, 'up', 'it recovered');
is_deeply([ @$first{qw(benched_until targets)} ], [ undef, [] ], 'nothing is benched');
counts_are($t, <<'END', 'the gauges tell it too');
llm_provider_up{provider="first"} 1
llm_provider_up{provider="second"} 1
END

=== an outage behind a pattern is told as well
--- http_config
    upstream one { server %%first%%; }
    upstream two { server %%second%%; }
--- config
    llm_proxy_route first one;
    llm_proxy_route second two;
    llm_proxy_model_pattern gpt-* first;
    llm_fallback_route first second;
    llm_fallback_mode health;
    llm_fallback_cooldown 60s fails=1;
    location /v1/ { llm_metrics; llm_proxy; llm_fallback; proxy_pass http://$llm_provider_upstream; }
    location = /metrics { llm_metrics_export prometheus; }
    location /status { llm_status; }
--- provider_first
503 {"error":{}}
--- request
POST /v1/chat/completions
{"model":"gpt-4o"}
--- after
my $report = main::report_when($t, sub { main::provider($_[0], 'first')->{state} ne 'up' });
is(main::provider($report, 'first')->{state}, 'benched', 'the report');
counts_are($t, <<'END', 'the gauge');
llm_provider_up{provider="first"} 0
llm_provider_up{provider="second"} 1
END

=== keys by id and state
--- http_config
    upstream one { server %%first%%; }
    upstream two { server %%second%%; }
--- config
    llm_proxy_route first one;
    llm_proxy_route second two;
    llm_proxy_model_pattern m first;
    llm_auth_credential first env:FIRST_KEY id=main;
    llm_auth_credential first sk-first-SECRET-2;
    llm_auth_credential second file:%%root%%/second.key;
    llm_fallback_max_attempts 3;
    location /v1/ { llm_metrics; llm_proxy; llm_auth; llm_fallback; proxy_pass http://$llm_provider_upstream; }
    location = /metrics { llm_metrics_export prometheus; }
    location /status { llm_status; }
--- env
FIRST_KEY=sk-first-SECRET-1
--- user_files
>>> second.key
sk-second-SECRET-3
--- provider_first
401 {"error":{}}

200 {"ok":1}
--- request
POST /v1/chat/completions
{"model":"m"}
--- after
my $report = main::report_when($t, sub { grep { $_->{state} eq 'benched' } @{ main::provider($_[0], 'first')->{keys} } });
my @keys = @{ main::provider($report, 'first')->{keys} };
is(scalar @keys, 2, 'both keys');
is_deeply([ sort map { $_->{state} } @keys ], [qw(benched ready)], 'their states');
is(scalar(grep { $_->{id} eq 'main' } @keys), 1, 'one by its id');
like($_->{until} // '', $_->{state} eq 'benched' ? qr/\A\d{4}-/ : qr/\A\z/, 'until when') for @keys;
is(main::provider($report, 'first')->{state}, 'degraded', 'its provider');
is_deeply([ map { $_->{state} } @{ main::provider($report, 'second')->{keys} } ], ['ready'], 'the other provider');
my $text = scrape($t, '/status', 'Accept: application/json')->{body};
unlike($text, qr/SECRET/, 'no secret');
counts_are($t, <<'END', 'the gauges');
llm_keys{provider="first",state="ready"} 1
llm_keys{provider="first",state="benched"} 1
llm_keys{provider="first",state="missing"} 0
llm_keys{provider="second",state="ready"} 1
llm_keys{provider="second",state="benched"} 0
llm_keys{provider="second",state="missing"} 0
END

=== limits, decisions and budgets
--- http_config
    upstream one { server %%first%%; }
    llm_cost_rate first * 1 1;
--- config
    llm_proxy_route first one;
    llm_proxy_default_provider first;
    llm_ratelimit_key $http_x_id;
    llm_ratelimit_requests_per_minute 2;
    llm_ratelimit_spend_scope organization usd $http_x_org 50 window=day;
    llm_ratelimit_spend_scope project usd $http_x_org $http_x_id 0.01 soft;
    location /v1/ { llm_metrics; llm_proxy; llm_ratelimit; llm_cost; proxy_pass http://$llm_provider_upstream; }
    location /status { llm_status; }
--- provider_first
{"times":2,"json":{"usage":{"prompt_tokens":100,"completion_tokens":40,"total_tokens":140}}}
--- requests
POST /v1/chat/completions
{"model":"m","max_tokens":40}
>>>
POST /v1/chat/completions
{"model":"m","max_tokens":40}
>>>
POST /v1/chat/completions
{"model":"m","max_tokens":40}
--- more_headers
X-Id: a
X-Org: acme
--- error_code: 200 200 429
--- after
my $report = main::report_when($t, sub { @{ $_[0]{recent} } == 3 });
is_deeply($report->{decisions}, [
    { decision => 'allow', reason => 'none', count => 2 },
    { decision => 'deny', reason => 'request_budget_exhausted', count => 1 },
], 'what the limits decided');
my %budget = map { ("$_->{scope} $_->{id}" => $_) } @{ $report->{budgets} };
is_deeply([ sort keys %budget ], [ 'organization acme', 'project acme/a' ], 'the budgets');
my $day = $budget{'organization acme'};
is_deeply([ @$day{qw(unit limit spent reserved window soft)} ],
    [ 'usd', '50.00000000', '0.00028000', '0.00000000', 'day', JSON::PP::false() ], 'the one of a day');
like("$day->{starts_at} $day->{resets_at}", qr/\A\S+T00:00:00.000Z \S+T00:00:00.000Z\z/, 'its window');
my $month = $budget{'project acme/a'};
is_deeply([ @$month{qw(limit spent window soft)} ], [ '0.01000000', '0.00028000', 'month', JSON::PP::true() ],
    'the one of a month');
like("$month->{starts_at} $month->{resets_at}", qr/\A\S+-01T00:00:00.000Z \S+-01T00:00:00.000Z\z/, 'its window');
my ($limit) = grep { $_->{kind} eq 'requests' } @{ $report->{limits} };
is_deeply([ @{ $limit // {} }{qw(limit window_seconds active most_used)} ], [ 2, 60, 1, 2 ], 'the limit');
my $refused = $report->{recent}[0];
is_deeply([ @$refused{qw(status attempts cost provider)} ], [ 429, 0, undef, undef ], 'the refused request');

=== how full the limits are, and for how many
--- http_config
    upstream one { server %%first%%; }
    upstream two { server %%second%%; }
--- config
    llm_proxy_route first one;
    llm_proxy_route second two;
    llm_proxy_model_pattern m first;
    llm_proxy_model_pattern n second;
    llm_ratelimit_key $http_x_id;
    llm_ratelimit_concurrency 5;
    llm_ratelimit_rule $http_x_id requests 10/d model=m;
    llm_ratelimit_rule $http_x_id requests 10/d model=n;
    llm_ratelimit_rule all tokens 1000/d;
    llm_metrics;
    location /v1/ { llm_proxy; llm_ratelimit; proxy_pass http://$llm_provider_upstream; }
    location /status { llm_status; }
--- provider_first
{"times":3,"json":{"usage":{"prompt_tokens":100,"completion_tokens":40,"total_tokens":140}}}
--- provider_second
{"times":2,"sse":["{\"choices\":[{\"delta\":{\"content\":\"a\"}}]}","{\"choices\":[]}"],"fault":"stall","after":1}
--- requests
POST /v1/chat/completions
{"model":"m","max_tokens":40}
>>>
POST /v1/chat/completions
{"model":"m","max_tokens":40}
>>>
POST /v1/chat/completions
{"model":"m","max_tokens":40}
--- more_headers
X-Id: a
>>>
X-Id: a
>>>
X-Id: b
--- after
my $limits = sub {
    my %all = map { $_->{rule} => [ @$_{qw(kind limit active most_used)} ] } @{ $_[0]{limits} };
    return \%all;
};
my $rest = { 'requests 10/1d model=m' => [ 'requests', 10, 2, 2 ], 'tokens 1000/1d' => [ 'tokens', 1000, 1, 420 ] };
my $full = main::report_when($t, sub { @{ $_[0]{recent} } == 3 });
is_deeply($limits->($full), { %$rest,
    'requests 10/1d model=n' => [ 'requests', 10, 0, 0 ], 'concurrency 5' => [ 'concurrency', 5, 0, 0 ],
}, 'nobody is there');
my @clients = map {
    my $client = Test::LLM::Client->new($t->address);
    my $body = '{"model":"n","stream":true,"max_tokens":40}';
    $client->transmit("POST /v1/chat/completions HTTP/1.1\r\nHost: localhost\r\nX-Id: $_\r\n"
        . "Content-Type: application/json\r\nContent-Length: " . length($body) . "\r\n\r\n$body");
    $client->receive(abort => sub { $_[0] =~ /"a"/ });
    $client;
} qw(a c);
my $now = $limits->(status_of($t));
is_deeply($now->{'concurrency 5'}, [ 'concurrency', 5, 2, 1 ], 'two are, with one request each');
is_deeply($now->{'requests 10/1d model=n'}, [ 'requests', 10, 2, 1 ], 'and counted by this rule');
is_deeply($now->{'requests 10/1d model=m'}, $rest->{'requests 10/1d model=m'}, 'not by the other one');
$_->finish for @clients;

=== the journal
--- http_config
    upstream one { server %%first%%; }
    llm_cost_rate first * 1 1;
    llm_cost_journal %%root%%/journal max=5m;
--- config
    llm_proxy_route first one;
    llm_proxy_default_provider first;
    location /v1/ { llm_metrics; llm_proxy; llm_cost; proxy_pass http://$llm_provider_upstream; }
    location /status { llm_status; }
--- requests
POST /v1/chat/completions
{"model":"m"}
>>>
POST /v1/chat/completions
{"model":"m"}
--- after
my $journal = main::report_when($t, sub { ($_[0]{journal}{written} // 0) == 2 })->{journal};
is_deeply({ map { $_ => $journal->{$_} } qw(events written dropped dead_letter max_bytes oldest_seconds) },
    { events => 0, written => 2, dropped => 0, dead_letter => 0, max_bytes => 5 << 20, oldest_seconds => 0 },
    'all is written');

=== a client that goes away, a stream that breaks off, a refusal
--- http_config
    upstream one { server %%first%%; }
--- config
    llm_proxy_route first one;
    llm_proxy_model_pattern m first;
    location /v1/ { llm_metrics; llm_proxy; proxy_pass http://$llm_provider_upstream; }
    location /status { llm_status; }
--- provider_first
{"sse":["{\"choices\":[{\"delta\":{\"content\":\"a\"}}]}","{\"choices\":[]}"],"fault":"cut","after":1}

{"sse":["{\"choices\":[{\"delta\":{\"content\":\"a\"}}]}","{\"choices\":[]}"],"fault":"stall","after":1}
--- after
$t->request(qq(POST /v1/chat/completions\n{"model":"m","stream":true}));
my $client = Test::LLM::Client->new($t->address);
my $body = '{"model":"m","stream":true}';
$client->transmit("POST /v1/chat/completions HTTP/1.1\r\nHost: localhost\r\n"
    . "Content-Type: application/json\r\nContent-Length: " . length($body) . "\r\n\r\n$body");
$client->receive(abort => sub { $_[0] =~ /"a"/ });
my $report = main::report_when($t, sub { $_[0]{open_streams} == 1 });
is($report->{open_streams}, 1, 'a stream is open');
$client->finish;
main::report_when($t, sub { @{ $_[0]{recent} } == 2 });
$t->request(qq(POST /v1/chat/completions\n{"model":"unknown"}));
$report = main::report_when($t, sub { @{ $_[0]{recent} } == 3 });
my ($unknown, $gone, $cut) = @{ $report->{recent} };
my $flags = sub { CORE::join ' ', map { $_[0]{$_} ? 1 : 0 } qw(truncated client_aborted) };
is($flags->($cut), '1 0', 'broke off');
is($flags->($gone), '0 1', 'went away');
is_deeply([ $flags->($unknown), @$unknown{qw(status model provider chain)} ], [ '0 0', 404, 'unknown', undef, '' ], 'refused');
is($report->{open_streams}, 0, 'none is open');

=== who gets the page and who the report
--- http_config
    upstream one { server %%first%%; }
--- config
    llm_proxy_route first one;
    llm_proxy_default_provider first;
    location /v1/ { llm_metrics; llm_proxy; proxy_pass http://$llm_provider_upstream; }
    location /status { llm_status; }
--- requests
GET /status
>>>
GET /status
>>>
GET /status/json
>>>
GET /status
>>>
GET /status/json
>>>
HEAD /status
>>>
HEAD /status/json
>>>
POST /status
x
>>>
DELETE /status
--- more_headers
>>>
Accept: text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8
>>>
>>>
Accept: */*
>>>
Accept: text/html
>>>
Accept: text/html
>>>
>>>
>>>
--- error_code: 200*7 404 405
--- response_headers
Content-Type: application/json
>>>
Content-Type: text/html; charset=utf-8
Content-Security-Policy: ~^default-src 'none'; script-src 'sha256-[^']+'; style-src 'sha256-[^']+'; connect-src 'self'; img-src data:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'$
Cache-Control: no-store
Referrer-Policy: no-referrer
X-Content-Type-Options: nosniff
>>>
Content-Type: application/json
>>>
Content-Type: application/json
>>>
Content-Type: application/json
!Content-Security-Policy
>>>
Content-Type: text/html; charset=utf-8
Content-Length: ~^\d{5,}$
>>>
Content-Type: application/json
Content-Length: ~^\d{3,}$
>>>
!Allow
>>>
Allow: GET, HEAD, POST
--- after
my @answers = $t->answers;
my $page = $answers[1]{body};
my ($policy) = Test::LLM::Client::header_values($answers[1], 'content-security-policy');
require Digest::SHA;
for (qw(script style)) {
    my ($inside) = $page =~ m{<$_>(.*)</$_>}s;
    my $hash = Digest::SHA::sha256_base64($inside) . '=';
    ok(index($policy, "$_-src 'sha256-$hash'") >= 0, "the policy allows the page's own $_");
}
my @hosts = $page =~ m{(?:src|href|url)\s*[=(]\s*["']?(?:https?:)?//([\w.-]+)}g;
is_deeply(\@hosts, [], 'the page needs no other host');
is($answers[5]{body} . $answers[6]{body}, '', 'HEAD has no body');

=== a subrequest is refused, and whom allow and deny keep out
--- http_config
    upstream one { server %%first%%; }
--- config
    llm_proxy_route first one;
    llm_proxy_default_provider first;
    location /v1/ { llm_metrics; llm_proxy; proxy_pass http://$llm_provider_upstream; }
    location /status { llm_status; }
    location = /page { ssi on; ssi_types *; alias %%root%%/page; }
    location = /closed { deny all; llm_status; }
--- user_files
>>> page
before <!--# include virtual="/status" --> behind
--- requests
GET /page
>>>
GET /closed
--- error_code: 200 403
--- response_body_like: 403 Forbidden
--- response_body_unlike: providers

=== with and without llm_metrics
--- http_config
    upstream one { server %%first%%; }
--- config
    llm_proxy_route first one;
    llm_proxy_default_provider first;
    location /v1/ { llm_proxy; proxy_pass http://$llm_provider_upstream; }
    location /status { llm_status; }
--- requests
POST /v1/chat/completions
{"model":"m"}
>>>
GET /status
--- after
is_deeply(status_of($t)->{recent}, [], 'nothing is counted, and the report is there');

=== whatever clients send is text in the report
--- http_config
    upstream one { server %%first%%; }
--- config
    llm_proxy_route first one;
    llm_proxy_default_provider first;
    location /v1/ {
        llm_metrics;
        llm_proxy;
        llm_fallback;
        llm_fallback_request_headers tag;
        llm_cost;
        llm_cost_client $http_x_client;
        proxy_set_header X-Client "";
        proxy_pass http://$llm_provider_upstream;
    }
    location /status { llm_status; }
--- requests eval
CORE::join ">>>\n", map {"POST /v1/chat/completions\n{\"model\":\"$_\"}\n"} '</script><b>\"\\\\', 'x' x 200, "\xc3\xbc"
--- more_headers eval
"X-Client: a\"b\\c<i>\xff\xfe\x01\n"
--- after
my $report = main::report_when($t, sub { @{ $_[0]{recent} } == 3 });
my ($umlaut, $long, $markup) = @{ $report->{recent} };
is($markup->{model}, '</script><b>"\\', 'quotes and markup');
like($long->{model}, qr/\Ax{60,}\z/, 'a long one is cut, if at all');
is($umlaut->{model}, "\xfc", 'a letter beyond ASCII');
like($umlaut->{client}, qr/\Aa"b\\c<i>/, 'a header');

=== the report of two workers, over a reload
--- workers: 2
--- http_config
    upstream one { server %%first%%; }
--- config
    llm_proxy_route first one;
    llm_proxy_default_provider first;
    location /v1/ { llm_metrics; llm_proxy; proxy_pass http://$llm_provider_upstream; }
    location /status { llm_status; }
--- concurrent: 450
--- request
POST /v1/chat/completions
{"model":"m"}
--- after
my $count = sub { main::last_two(main::provider($_[0], 'first'), 'requests') };
my $report = main::report_when($t, sub { main::provider($_[0], 'first')->{hour} && $count->($_[0]) == 450 });
is($count->($report), 450, 'every request');
cmp_ok(scalar @{ $report->{recent} }, '>=', 200, 'the latest ' . @{ $report->{recent} });
cmp_ok(scalar @{ $report->{recent} }, '<', 450, 'and not all');
$t->reload;
$report = status_of($t);
is($count->($report), 450, 'the hour is kept');
cmp_ok(scalar @{ $report->{recent} }, '>=', 200, 'and so are the latest');

=== takes no argument
--- config
    location /status { llm_status on; }
--- must_fail
invalid number of arguments in "llm_status" directive

=== is for a location
--- config
    llm_status;
--- must_fail
"llm_status" directive is not allowed here
