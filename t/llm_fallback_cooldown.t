# When a provider's model and key is benched, for how long, and how it comes back: by one request that
# finds it well.

use Test::LLM 'no_plan';

use Test::LLM::Client;
use Test::LLM::Util qw(scale);

sub chain_of {
    my ($answer) = @_;
    my ($chain) = Test::LLM::Client::header_values($answer, 'x-llm-chain');
    return $chain =~ s/:\d+ms//gr;
}

run_tests();

__DATA__

=== failures in a row; a success between starts the count afresh
--- http_config
    upstream one { server %%first%%; }
    upstream two { server %%second%%; }
--- config
    llm_proxy_route first one;
    llm_proxy_route second two;
    llm_proxy_default_provider first;
    llm_fallback_route first second;
    llm_fallback_mode health;
    llm_fallback_cooldown 60s fails=2;
    location /v1/ { llm_proxy; llm_fallback; proxy_pass http://$llm_provider_upstream; }
--- provider_first
{"status":500}

{}

{"status":500,"times":2}
--- requests
POST /v1/chat/completions
{"model":"m","n":1}
>>>
POST /v1/chat/completions
{"model":"m","n":2}
>>>
POST /v1/chat/completions
{"model":"m","n":3}
>>>
POST /v1/chat/completions
{"model":"m","n":4}
>>>
POST /v1/chat/completions
{"model":"m","n":5}
--- response_headers
X-LLM-Chain: ~^first/m:500:\d+ms, second
>>>
X-LLM-Chain: ~^first/m:200:\d+ms$
>>>
X-LLM-Chain: ~^first/m:500:\d+ms, second
>>>
X-LLM-Chain: ~^first/m:500:\d+ms, second
>>>
X-LLM-Chain: ~^first/m:skipped\(benched\), second

=== a share of failures in the window
--- http_config
    upstream one { server %%first%%; }
    upstream two { server %%second%%; }
--- config
    llm_proxy_route first one;
    llm_proxy_route second two;
    llm_proxy_default_provider first;
    llm_fallback_route first second;
    llm_fallback_mode health;
    llm_fallback_cooldown 60s fails=0 window=60s ratio=0.5 min=6;
    location /v1/ { llm_proxy; llm_fallback; proxy_pass http://$llm_provider_upstream; }
--- after
$t->mock->script(first => [ map { ({}, { status => 500 }) } 1 .. 3 ]);
my @chains = map { chain_of($t->request(qq(POST /v1/chat/completions\n{"model":"m"}))) } 1 .. 7;
is_deeply(\@chains, [
    ('first/m:200', 'first/m:500, second/m:200') x 3, 'first/m:skipped(benched), second/m:200',
], 'three of six');

=== fewer attempts than min say nothing
--- http_config
    upstream one { server %%first%%; }
    upstream two { server %%second%%; }
--- config
    llm_proxy_route first one;
    llm_proxy_route second two;
    llm_proxy_default_provider first;
    llm_fallback_route first second;
    llm_fallback_mode health;
    llm_fallback_cooldown 60s fails=0 ratio=0.1 min=20;
    location /v1/ { llm_proxy; llm_fallback; proxy_pass http://$llm_provider_upstream; }
--- after
$t->mock->script(first => [ { status => 500, times => 10 }, {} ]);
$t->request(qq(POST /v1/chat/completions\n{"model":"m"})) for 1 .. 10;
is(chain_of($t->request(qq(POST /v1/chat/completions\n{"model":"m"}))), 'first/m:200', 'not benched');

=== a Retry-After benches at once, for that long
--- http_config
    upstream one { server %%first%%; }
    upstream two { server %%second%%; }
--- config
    llm_proxy_route first one;
    llm_proxy_route second two;
    llm_proxy_default_provider first;
    llm_fallback_route first second;
    llm_fallback_mode health;
    llm_fallback_cooldown 60s fails=9;
    location /v1/ { llm_proxy; llm_fallback; proxy_pass http://$llm_provider_upstream; }
--- after
$t->mock->script(first => [ { status => 503, headers => { 'retry-after-ms' => '600' } } ]);
my @chains;
push @chains, chain_of($t->request(qq(POST /v1/chat/completions\n{"model":"m"}))) for 1 .. 2;
my $well = wait_until {
    chain_of($t->request(qq(POST /v1/chat/completions\n{"model":"m"}))) eq 'first/m:200'
} 5;
is_deeply(\@chains, [
    'first/m:503, second/m:200', 'first/m:skipped(benched), second/m:200',
], 'benched at once');
ok($well, 'and for no longer than that');

=== a used-up limit that tells its reset benches until then
--- http_config
    upstream one { server %%first%%; }
    upstream two { server %%second%%; }
--- config
    llm_proxy_route first one;
    llm_proxy_route second two;
    llm_proxy_default_provider first;
    llm_fallback_route first second;
    llm_fallback_mode health;
    llm_fallback_cooldown 1ms max=1ms fails=9;
    location /v1/ { llm_proxy; llm_fallback; proxy_pass http://$llm_provider_upstream; }
--- provider_first
{"status":429,"headers":{"x-ratelimit-remaining-tokens":"0","x-ratelimit-reset-tokens":"1m0s"}}
--- requests
POST /v1/chat/completions
{"model":"m"}
>>> after 100ms
POST /v1/chat/completions
{"model":"m"}
--- response_headers
X-LLM-Chain: ~^first/m:429:\d+ms, second
>>>
X-LLM-Chain: ~^first/m:skipped\(benched\), second

=== 429 without one benches for the time that is written
--- http_config
    upstream one { server %%first%%; }
    upstream two { server %%second%%; }
--- config
    llm_proxy_route first one;
    llm_proxy_route second two;
    llm_proxy_default_provider first;
    llm_fallback_route first second;
    llm_fallback_mode health;
    llm_fallback_cooldown 60s fails=9;
    location /v1/ { llm_proxy; llm_fallback; proxy_pass http://$llm_provider_upstream; }
--- provider_first
{"status":429}
--- requests
POST /v1/chat/completions
{"model":"m"}
>>>
POST /v1/chat/completions
{"model":"m"}
--- response_headers
X-LLM-Chain: ~^first/m:429:\d+ms, second
>>>
X-LLM-Chain: ~^first/m:skipped\(benched\), second

=== a refused key and an exhausted quota bench for max
--- http_config
    upstream one { server %%first%%; }
    upstream two { server %%second%%; }
--- config
    llm_proxy_route first one;
    llm_proxy_route second two;
    llm_proxy_default_provider first;
    llm_fallback_route first second;
    llm_fallback_on auth_error quota_exhausted;
    llm_fallback_mode health;
    llm_fallback_cooldown 1ms max=60s fails=9;
    location /v1/ { llm_proxy; llm_fallback; proxy_pass http://$llm_provider_upstream; }
--- provider_first
{"status":401}

{"error":"insufficient_quota"}
--- requests
POST /v1/chat/completions
{"model":"a"}
>>>
POST /v1/chat/completions
{"model":"b"}
>>> after 100ms
POST /v1/chat/completions
{"model":"a"}
>>>
POST /v1/chat/completions
{"model":"b"}
--- response_headers
X-LLM-Chain: ~^first/a:401:\d+ms, second
>>>
X-LLM-Chain: ~^first/b:429:\d+ms, second
>>>
X-LLM-Chain: ~^first/a:skipped\(benched\), second
>>>
X-LLM-Chain: ~^first/b:skipped\(benched\), second

=== half-open: one request finds out, all others are kept away meanwhile
--- http_config
    upstream one { server %%first%%; }
    upstream two { server %%second%%; }
--- config
    llm_proxy_route first one;
    llm_proxy_route second two;
    llm_proxy_default_provider first;
    llm_fallback_route first second;
    llm_fallback_mode health;
    llm_fallback_cooldown 200ms fails=1;
    location /v1/ { llm_proxy; llm_fallback; proxy_pass http://$llm_provider_upstream; }
--- workers: 2
--- provider_first
{"status":500}

{"delay_ms":400}
--- requests
POST /v1/chat/completions
{"model":"m"}
--- after
Test::LLM::Util::pause(0.3);
my $body = '{"model":"m"}';
my $request = "POST /v1/chat/completions HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n"
    . 'Content-Length: ' . length($body) . "\r\n\r\n$body";
my @clients = map { Test::LLM::Client->new($t->address) } 1 .. 20;
$_->transmit($request) for @clients;
my %count;
$count{ chain_of($_->receive) }++ for @clients;
is_deeply(\%count, {
    'first/m:200' => 1, 'first/m:skipped(benched), second/m:200' => 19,
}, 'one probe over all workers');
is(chain_of($t->request(qq(POST /v1/chat/completions\n{"model":"m"}))), 'first/m:200', 'well again');
--- provider_first_requests: 3

=== half-open: the request that finds it ill is answered by the next target and not repeated
--- http_config
    upstream one { server %%first%%; }
    upstream two { server %%second%%; }
--- config
    llm_proxy_route first one;
    llm_proxy_route second two;
    llm_proxy_default_provider first;
    llm_fallback_route first second;
    llm_fallback_retry 1 backoff=1ms..2ms;
    llm_fallback_max_attempts 9;
    llm_fallback_mode health;
    llm_fallback_cooldown 200ms max=60s fails=2;
    location /v1/ { llm_proxy; llm_fallback; proxy_pass http://$llm_provider_upstream; }
--- provider_first
{"status":500,"times":3}
--- requests
POST /v1/chat/completions
{"model":"m"}
>>> after 300ms
POST /v1/chat/completions
{"model":"m"}
>>>
POST /v1/chat/completions
{"model":"m"}
--- response_headers
X-LLM-Chain: ~^first/m:500:\d+ms, first/m:500:\d+ms, second/m:200:\d+ms$
>>>
X-LLM-Chain: ~^first/m:500:\d+ms, second/m:200:\d+ms$
>>>
X-LLM-Chain: ~^first/m:skipped\(benched\), second/m:200:\d+ms$

=== half-open: a client that goes away gives its probe back
--- http_config
    upstream one { server %%first%%; }
    upstream two { server %%second%%; }
--- config
    llm_proxy_route first one;
    llm_proxy_route second two;
    llm_proxy_default_provider first;
    llm_fallback_route first second;
    llm_fallback_mode health;
    llm_fallback_cooldown 100ms fails=1;
    location /v1/ { llm_proxy; llm_fallback; proxy_pass http://$llm_provider_upstream; }
--- after
$t->mock->script(first => [ { status => 500 }, { fault => 'hang' }, {} ]);
my $ask = sub { chain_of($t->request(qq(POST /v1/chat/completions\n{"model":"m"}))) };
is($ask->(), 'first/m:500, second/m:200', 'benched');
Test::LLM::Util::pause(0.2);
my $client = Test::LLM::Client->new($t->address);
my $body = '{"model":"m"}';
$client->transmit("POST /v1/chat/completions HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n"
    . 'Content-Length: ' . length($body) . "\r\n\r\n$body");
wait_until { $t->mock->state('first')->{running} } 5;
is($ask->(), 'first/m:skipped(benched), second/m:200', 'a probe is under way');
$client->finish(0);
undef $client;
wait_until { !$t->mock->state('first')->{running} } 5;
is($ask->(), 'first/m:200', 'the next request is the probe');

=== half-open: an answer from the cache is no probe
--- http_config
    upstream one { server %%first%%; }
    upstream two { server %%second%%; }
    proxy_cache_path %%root%%/cache keys_zone=llm:1m;
--- config
    llm_proxy_route first one;
    llm_proxy_route second two;
    llm_proxy_default_provider first;
    llm_fallback_route first second;
    llm_fallback_mode health;
    llm_fallback_cooldown 100ms fails=1;
    proxy_cache llm;
    proxy_cache_methods POST;
    proxy_cache_key $request_body;
    proxy_cache_valid 200 1m;
    add_header X-Cache $upstream_cache_status;
    location /v1/ { llm_proxy; llm_fallback; proxy_pass http://$llm_provider_upstream; }
--- provider_first
{"status":500}

{}
--- requests
POST /v1/chat/completions
{"model":"m","n":1}
>>> after 200ms
POST /v1/chat/completions
{"model":"m","n":1}
>>>
POST /v1/chat/completions
{"model":"m","n":2}
--- response_headers
X-Cache: MISS
X-LLM-Provider: second
>>>
X-Cache: HIT
!X-LLM-Provider
>>>
X-Cache: MISS
X-LLM-Provider: first

=== a target that stays ill is benched twice as long each time, up to max
--- http_config
    upstream one { server %%first%%; }
    upstream two { server %%second%%; }
--- config
    llm_proxy_route first one;
    llm_proxy_route second two;
    llm_proxy_default_provider first;
    llm_fallback_route first second;
    llm_fallback_mode health;
    llm_fallback_cooldown 100ms max=400ms fails=1;
    location /v1/ { llm_proxy; llm_fallback; proxy_pass http://$llm_provider_upstream; }
--- after
$t->mock->script(first => [ { status => 500, times => 'always' } ]);
wait_until {
    $t->request(qq(POST /v1/chat/completions\n{"model":"m"}));
    $t->mock->state('first')->{requests} >= 5;
} 10;
my @at = map { $_->{at_ms} } @{ $t->mock->requests('first') };
my @pauses = map { $at[$_] - $at[ $_ - 1 ] } 1 .. 4;
cmp_ok($pauses[0], '>=', 95, 'the first');
cmp_ok($pauses[1], '>=', 195, 'the second');
cmp_ok($pauses[2], '>=', 395, 'the third');
cmp_ok($pauses[3], '>=', 395, 'the fourth');
cmp_ok($pauses[3], '<=', 400 + 300 * scale(), 'up to max');

=== everything benched: the best target is tried once, then 503 says when to come back
--- http_config
    upstream one { server %%first%%; }
    log_format cooldown '$status $llm_route_mode';
--- config
    llm_proxy_route first one;
    llm_proxy_default_provider first;
    llm_fallback_mode health;
    llm_fallback_cooldown 60s fails=1;
    location /v1/ { llm_proxy; llm_fallback; proxy_pass http://$llm_provider_upstream; }
--- provider_first
{"status":500,"times":2}
--- requests
POST /v1/chat/completions
{"model":"m"}
>>>
POST /v1/chat/completions
{"model":"m"}
>>>
POST /v1/chat/completions
{"model":"m"}
--- error_code: 500 500 503
--- response_headers
X-LLM-Chain: ~^first/m:500:\d+ms$
>>>
X-LLM-Chain: ~^first/m:500:\d+ms$
>>>
X-LLM-Chain: first/m:skipped(benched)
Retry-After: ~^(?:[1-9]|[1-9]\d|1[012]\d)$
Content-Type: application/json
X-Should-Retry: false
--- response_json
{}
>>>
{}
>>>
{"error":{"code":"all_targets_benched","type":"server_error","message":"<<any>>"},"request_id":"<<any>>"}
--- access_log
^500 direct
^500 last_resort
^503

=== everything benched: one target, once, and again a second later
--- http_config
    upstream one { server %%first%%; }
    upstream two { server %%second%%; }
--- config
    llm_proxy_route first one;
    llm_proxy_route second two;
    llm_proxy_model_pattern a first;
    llm_proxy_model_pattern b first;
    llm_fallback_route first second;
    llm_fallback_mode health;
    llm_fallback_cooldown 60s fails=1;
    llm_fallback_retry 1 backoff=1ms..2ms;
    llm_fallback_max_attempts 9;
    location /v1/ { llm_proxy; llm_fallback; proxy_pass http://$llm_provider_upstream; }
--- after
$t->mock->script($_ => [ { status => 500, times => 'always' } ]) for qw(first second);
my $ask = sub {
    my ($answer) = $t->request(qq(POST /v1/chat/completions\n{"model":"$_[0]"}));
    return chain_of($answer);
};
is($ask->('a'), 'first/a:500, first/a:500, second/a:500, second/a:500', 'the whole chain');
is($ask->('a'), 'first/a:500', 'the last resort');
is($ask->('a'), 'first/a:skipped(benched), second/a:skipped(benched)', 'no further one');
is($ask->('b'), 'first/b:500, first/b:500, second/b:500, second/b:500', 'another model');
is($ask->('b'), 'first/b:500', 'has its own last resort');
for my $time (1 .. 2) {
    my $tried = wait_until { $ask->('a') =~ /:500/ } 5;
    ok($tried, "a second later, $time");
}

=== everything benched: in Anthropic's dialect
--- http_config
    upstream one { server %%first%%; }
--- config
    llm_proxy_route first one anthropic;
    llm_proxy_default_provider first;
    llm_fallback_mode health;
    llm_fallback_cooldown 60s fails=1;
    location /v1/ { llm_proxy; llm_fallback; proxy_pass http://$llm_provider_upstream; }
--- provider_first
{"status":529,"times":2}
--- requests
POST /v1/messages
{"model":"m","max_tokens":1,"messages":[]}
>>>
POST /v1/messages
{"model":"m","max_tokens":1,"messages":[]}
>>>
POST /v1/messages
{"model":"m","max_tokens":1,"stream":true,"messages":[]}
--- error_code: 529 529 503
--- response_json
{}
>>>
{}
>>>
{"type":"error","error":{"type":"overloaded_error","message":"<<any>>"},"request_id":"<<any>>"}

=== everything benched: the last resort that answers well is a target again
--- http_config
    upstream one { server %%first%%; }
    upstream two { server %%second%%; }
--- config
    llm_proxy_route first one;
    llm_proxy_route second two;
    llm_proxy_default_provider first;
    llm_fallback_route first second;
    llm_fallback_mode health;
    llm_fallback_cooldown 60s fails=1;
    location /v1/ { llm_proxy; llm_fallback; proxy_pass http://$llm_provider_upstream; }
--- after
$t->mock->script(first => [ { status => 500 }, {}, {} ]);
$t->mock->script(second => [ { status => 500, times => 'always' } ]);
my @chains = map { chain_of($t->request(qq(POST /v1/chat/completions\n{"model":"m"}))) } 1 .. 3;
is_deeply(\@chains, [
    'first/m:500, second/m:500', 'first/m:200', 'first/m:200',
], 'the first is well again');

=== everything benched: rather the one that did not ask to be left alone
--- http_config
    upstream one { server %%first%%; }
    upstream two { server %%second%%; }
--- config
    llm_proxy_route first one;
    llm_proxy_route second two;
    llm_proxy_default_provider first;
    llm_fallback_route first second;
    llm_fallback_mode health;
    llm_fallback_cooldown 120s fails=1;
    location /v1/ { llm_proxy; llm_fallback; proxy_pass http://$llm_provider_upstream; }
--- provider_first
{"status":429,"headers":{"retry-after":"60"}}
--- provider_second
{"status":500}

{}
--- requests
POST /v1/chat/completions
{"model":"m"}
>>>
POST /v1/chat/completions
{"model":"m"}
--- error_code: 500 200
--- provider_first_requests: 1

=== it is inherited
--- http_config
    upstream one { server %%first%%; }
    upstream two { server %%second%%; }
    llm_fallback_cooldown 60s fails=1;
    llm_fallback_mode health;
--- config
    llm_proxy_route first one;
    llm_proxy_route second two;
    llm_proxy_default_provider first;
    llm_fallback_route first second;
    location /1/v1/ { llm_proxy; llm_fallback; proxy_pass http://$llm_provider_upstream; }
    location /9/v1/ { llm_proxy; llm_fallback; llm_fallback_cooldown 60s fails=9; proxy_pass http://$llm_provider_upstream; }
--- provider_first
{"status":500,"times":3}
--- requests
POST /9/v1/chat/completions
{"model":"m"}
>>>
POST /9/v1/chat/completions
{"model":"m"}
>>>
POST /1/v1/chat/completions
{"model":"m"}
>>>
POST /1/v1/chat/completions
{"model":"m"}
--- response_headers
X-LLM-Chain: ~^first/m:500
>>>
X-LLM-Chain: ~^first/m:500
>>>
X-LLM-Chain: ~^first/m:500
>>>
X-LLM-Chain: ~^first/m:skipped

=== the cooldown is a time
--- config
    llm_fallback_cooldown long;
--- must_fail
invalid time "long" in "llm_fallback_cooldown", give one such as 10s in %%root%%/nginx.conf

=== no time at all is none
--- config
    llm_fallback_cooldown 0;
--- must_fail
invalid time "0" in "llm_fallback_cooldown", give one such as 10s in %%root%%/nginx.conf

=== max is not below it
--- config
    llm_fallback_cooldown 10s max=5s;
--- must_fail
"llm_fallback_cooldown 10s" is longer than its max=, raise max= or lower the time in %%root%%/nginx.conf

=== a ratio is between 0 and 1
--- config
    llm_fallback_cooldown 10s ratio=50;
--- must_fail
invalid parameter "ratio=50" in "llm_fallback_cooldown", it must be max=<time>, fails=<n>, window=<time>, ratio=<0 to 1> or min=<n> in %%root%%/nginx.conf

=== a ratio of nothing would always bench
--- config
    llm_fallback_cooldown 10s ratio=0;
--- must_fail
invalid parameter "ratio=0" in "llm_fallback_cooldown"

=== fails is a number
--- config
    llm_fallback_cooldown 10s fails=few;
--- must_fail
invalid parameter "fails=few" in "llm_fallback_cooldown"

=== a parameter is written once
--- config
    llm_fallback_cooldown 10s fails=1 fails=2;
--- must_fail
duplicate "fails" in "llm_fallback_cooldown": "fails=2" in %%root%%/nginx.conf

=== an unknown parameter
--- config
    llm_fallback_cooldown 10s jitter=1s;
--- must_fail
invalid parameter "jitter=1s" in "llm_fallback_cooldown", it must be max=<time>, fails=<n>, window=<time>, ratio=<0 to 1> or min=<n> in %%root%%/nginx.conf

=== llm_fallback_cooldown is written once
--- config
    llm_fallback_cooldown 10s;
    llm_fallback_cooldown 20s;
--- must_fail
"llm_fallback_cooldown" directive is duplicate in %%root%%/nginx.conf
