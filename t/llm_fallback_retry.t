# Transient failures are first answered by the same target, after a pause that the provider may name.
# Where it asks for more time than there is, the chain goes on.

use Test::LLM 'no_plan';

use Test::LLM::Util qw(scale);

# Milliseconds between the requests that a provider has got.
sub pauses {
    my ($t, $name) = @_;
    my @at = map { $_->{at_ms} } @{ $t->mock->requests($name) };
    return map { $at[$_] - $at[ $_ - 1 ] } 1 .. $#at;
}

run_tests();

__DATA__

=== a failure that is over the next time
--- http_config
    upstream one { server %%first%%; }
    upstream two { server %%second%%; }
--- config
    llm_proxy_route first one;
    llm_proxy_route second two;
    llm_proxy_default_provider first;
    llm_fallback_route first second;
    llm_fallback_retry 1 backoff=100ms..200ms;
    llm_fallback_max_attempts 3;
    location /v1/ { llm_proxy; llm_fallback; proxy_pass http://$llm_provider_upstream; }
--- provider_first
{"status":500}

{}
--- request
POST /v1/chat/completions
{"model":"m"}
--- response_body_like: Hello from first\.
--- response_headers
X-LLM-Chain: ~^first/m:500:\d+ms, first/m:200:\d+ms$
X-Fallback-Attempted: 0
X-Fallback-Attempt-Count: 2
X-Fallback-Reason: none
--- after
my ($pause) = pauses($t, 'first');
cmp_ok($pause, '>=', 95, 'the shortest pause');
cmp_ok($pause, '<=', 200 + 200 * scale(), 'the longest pause');
--- provider_second_requests: 0

=== pauses grow, up to the longest
--- http_config
    upstream one { server %%first%%; }
--- config
    llm_proxy_route first one;
    llm_proxy_default_provider first;
    llm_fallback_retry 4 backoff=40ms..100ms;
    llm_fallback_max_attempts 5;
    location /v1/ { llm_proxy; llm_fallback; proxy_pass http://$llm_provider_upstream; }
--- provider_first
{"status":500,"times":4}

{}
--- request
POST /v1/chat/completions
{"model":"m"}
--- response_headers
X-Fallback-Attempt-Count: 5
--- after
my @pauses = pauses($t, 'first');
is(scalar @pauses, 4, 'four retries');
cmp_ok($_, '>=', 35, 'the shortest pause') for @pauses;

=== retries are used up, then the chain goes on
--- http_config
    upstream one { server %%first%%; }
    upstream two { server %%second%%; }
--- config
    llm_proxy_route first one;
    llm_proxy_route second two;
    llm_proxy_default_provider first;
    llm_fallback_route first second model-b;
    llm_fallback_retry 2 backoff=1ms..2ms;
    llm_fallback_max_attempts 9;
    location /v1/ { llm_proxy; llm_fallback; proxy_pass http://$llm_provider_upstream; }
--- provider_first
{"status":503,"times":3}
--- provider_second
{"status":503,"times":2}

{}
--- request
POST /v1/chat/completions
{"model":"m"}
--- response_headers
X-LLM-Chain: ~^(first/m:503:\d+ms, ){3}(second/model-b:503:\d+ms, ){2}second/model-b:200:\d+ms$
X-Fallback-Attempted: 1
X-Fallback-Reason: upstream_5xx
--- provider_second_got_body: {"model":"model-b"}

=== without the directive nothing is retried
--- http_config
    upstream one { server %%first%%; }
    upstream two { server %%second%%; }
--- config
    llm_proxy_route first one;
    llm_proxy_route second two;
    llm_proxy_default_provider first;
    llm_fallback_route first second;
    llm_fallback_max_attempts 9;
    location /v1/ { llm_proxy; llm_fallback; proxy_pass http://$llm_provider_upstream; }
--- provider_first
{"status":500}
--- request
POST /v1/chat/completions
{"model":"m"}
--- response_headers
X-LLM-Chain: ~^first/m:500:\d+ms, second/m:200:\d+ms$

=== only what llm_fallback_on lists is retried
--- http_config
    upstream one { server %%first%%; }
--- config
    llm_proxy_route first one;
    llm_proxy_default_provider first;
    llm_fallback_on rate_limited;
    llm_fallback_retry 1 backoff=1ms..2ms;
    location /v1/ { llm_proxy; llm_fallback; proxy_pass http://$llm_provider_upstream; }
--- provider_first
{"status":500}
--- request
POST /v1/chat/completions
{"model":"m"}
--- error_code: 500

=== what will not be over in a moment is not retried
--- http_config
    upstream one { server %%first%%; }
    upstream two { server %%second%%; }
--- config
    llm_proxy_route first one response_timeout=200ms;
    llm_proxy_route second two;
    llm_proxy_default_provider first;
    llm_fallback_route first second;
    llm_fallback_on transport_timeout connect_error auth_error quota_exhausted rate_limited
        context_length not_found;
    llm_fallback_retry 3 backoff=1ms..2ms;
    llm_fallback_max_attempts 5;
    location /v1/ { llm_proxy; llm_fallback; proxy_pass http://$llm_provider_upstream; }
--- provider_first
{"fault":"hang"}

{"status":401}

{"error":"insufficient_quota"}

{"error":"context_length_exceeded"}

{"status":404}

{"status":408}
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
>>>
POST /v1/chat/completions
{"model":"m","n":6}
--- response_headers
X-LLM-Chain: ~^first/m:transport_timeout:\d+ms, second/m:200:\d+ms$
>>>
X-LLM-Chain: ~^first/m:401:\d+ms, second/m:200:\d+ms$
>>>
X-LLM-Chain: ~^first/m:429:\d+ms, second/m:200:\d+ms$
>>>
X-LLM-Chain: ~^first/m:400:\d+ms, second/m:200:\d+ms$
>>>
X-LLM-Chain: ~^first/m:404:\d+ms, second/m:200:\d+ms$
>>>
X-LLM-Chain: ~^first/m:408:\d+ms, second/m:200:\d+ms$

=== a silent target is not asked again, at the end of the chain either
--- http_config
    upstream one { server %%first%%; }
--- config
    llm_proxy_route first one response_timeout=200ms first_token_timeout=200ms;
    llm_proxy_default_provider first;
    llm_fallback_on transport_timeout first_token_timeout;
    llm_fallback_retry 3 backoff=1ms..2ms;
    llm_fallback_max_attempts 5;
    location /v1/ { llm_proxy; llm_fallback; proxy_pass http://$llm_provider_upstream; }
--- provider_first
{"fault":"hang"}

{"fault":"stall","after":1}
--- requests
POST /v1/chat/completions
{"model":"m"}
>>>
POST /v1/chat/completions
{"model":"m","stream":true}
--- error_code: 504
--- response_headers
X-LLM-Chain: ~^first/m:transport_timeout:\d+ms$
>>>
X-LLM-Chain: ~^first/m:first_token_timeout:\d+ms$

=== a provider that is not there is asked again
--- http_config
    upstream one { server %%closed%%; }
--- config
    llm_proxy_route first one;
    llm_proxy_default_provider first;
    llm_fallback_retry 2 backoff=1ms..2ms;
    llm_fallback_max_attempts 5;
    location /v1/ { llm_proxy; llm_fallback; proxy_pass http://$llm_provider_upstream; }
--- request
POST /v1/chat/completions
{"model":"m"}
--- error_code: 502
--- response_headers
X-LLM-Chain: ~^(first/m:connect_error:\d+ms, ){2}first/m:connect_error:\d+ms$

=== Retry-After in seconds
--- http_config
    upstream one { server %%first%%; }
    upstream two { server %%second%%; }
--- config
    llm_proxy_route first one;
    llm_proxy_route second two;
    llm_proxy_default_provider first;
    llm_fallback_route first second;
    llm_fallback_retry 1 backoff=10ms..1s;
    llm_fallback_max_attempts 3;
    location /v1/ { llm_proxy; llm_fallback; proxy_pass http://$llm_provider_upstream; }
--- provider_first
{"status":429,"headers":{"retry-after":"1"}}

{}
--- request
POST /v1/chat/completions
{"model":"m"}
--- response_headers
X-LLM-Chain: ~^first/m:429:\d+ms, first/m:200:\d+ms$
!Retry-After
--- after
my ($pause) = pauses($t, 'first');
cmp_ok($pause, '>=', 990, 'as long as the provider asks for');
cmp_ok($pause, '<=', 1000 + 500 * scale(), 'and not longer');

=== retry-after-ms, and its Retry-After in parts of a second
--- http_config
    upstream one { server %%first%%; }
--- config
    llm_proxy_route first one;
    llm_proxy_default_provider first;
    llm_fallback_retry 3 backoff=1ms..1s;
    llm_fallback_max_attempts 3;
    location /v1/ { llm_proxy; llm_fallback; proxy_pass http://$llm_provider_upstream; }
--- provider_first
{"status":429,"headers":{"retry-after-ms":"300","retry-after":"1"}}

{"status":503,"headers":{"retry-after":"0.25"}}

{}
--- request
POST /v1/chat/completions
{"model":"m"}
--- response_headers
X-Fallback-Attempt-Count: 3
--- after
my @pauses = pauses($t, 'first');
cmp_ok($pauses[0], '>=', 290, 'retry-after-ms');
cmp_ok($pauses[0], '<=', 300 + 400 * scale(), 'and not Retry-After');
cmp_ok($pauses[1], '>=', 240, 'a part of a second');

=== Retry-After as a date
--- http_config
    upstream one { server %%first%%; }
--- config
    llm_proxy_route first one;
    llm_proxy_default_provider first;
    llm_fallback_retry 1 backoff=1ms..3s;
    location /v1/ { llm_proxy; llm_fallback; proxy_pass http://$llm_provider_upstream; }
--- init
my @days   = qw(Sun Mon Tue Wed Thu Fri Sat);
my @months = qw(Jan Feb Mar Apr May Jun Jul Aug Sep Oct Nov Dec);
my ($s, $m, $h, $day, $month, $year, $weekday) = gmtime(time + 2);
my $date = sprintf '%s, %02d %s %d %02d:%02d:%02d GMT', $days[$weekday], $day, $months[$month],
    $year + 1900, $h, $m, $s;
$t->mock->script(first => [ { status => 503, headers => { 'retry-after' => $date } }, {} ]);
--- request
POST /v1/chat/completions
{"model":"m"}
--- response_headers
X-Fallback-Attempt-Count: 2
--- after
my ($pause) = pauses($t, 'first');
# The date has whole seconds, and some of the first one has passed; more where everything is slow.
cmp_ok($pause, '>=', scale() > 1 ? 10 : 500, 'until then');
--- provider_first_requests: 2

=== a reset of the limits that are used up
--- http_config
    upstream one { server %%first%%; }
--- config
    llm_proxy_route first one;
    llm_proxy_default_provider first;
    llm_fallback_retry 1 backoff=1ms..1s;
    location /v1/ { llm_proxy; llm_fallback; proxy_pass http://$llm_provider_upstream; }
--- provider_first
{"status":429,"headers":{"x-ratelimit-remaining-requests":"0","x-ratelimit-reset-requests":"300ms","x-ratelimit-remaining-tokens":"100","x-ratelimit-reset-tokens":"6m0s"}}

{}
--- request
POST /v1/chat/completions
{"model":"m"}
--- response_headers
X-Fallback-Attempt-Count: 2
--- after
my ($pause) = pauses($t, 'first');
cmp_ok($pause, '>=', 290, 'the reset of the requests');
cmp_ok($pause, '<=', 300 + 500 * scale(), 'not of the tokens');

=== a provider that asks for more than the longest pause is left alone, and the chain goes on
--- http_config
    upstream one { server %%first%%; }
    upstream two { server %%second%%; }
--- config
    llm_proxy_route first one;
    llm_proxy_route second two;
    llm_proxy_default_provider first;
    llm_fallback_route first second;
    llm_fallback_retry 1 backoff=1ms..1s;
    llm_fallback_max_attempts 3;
    location /v1/ { llm_proxy; llm_fallback; proxy_pass http://$llm_provider_upstream; }
--- provider_first
{"status":429,"headers":{"retry-after":"30"}}
--- request
POST /v1/chat/completions
{"model":"m"}
--- response_headers
X-LLM-Chain: ~^first/m:429:\d+ms, second/m:200:\d+ms$
--- answered_within: 1s

=== where it fits the deadline it is honoured, where it does not the chain goes on
--- http_config
    upstream one { server %%first%%; }
    upstream two { server %%second%%; }
--- config
    llm_proxy_route first one;
    llm_proxy_route second two;
    llm_proxy_default_provider first;
    llm_proxy_total_timeout 1500ms;
    llm_fallback_route first second;
    llm_fallback_retry 1 backoff=1ms..2ms;
    llm_fallback_max_attempts 3;
    location /v1/ { llm_proxy; llm_fallback; proxy_pass http://$llm_provider_upstream; }
--- provider_first
{"status":429,"headers":{"retry-after-ms":"300"}}

{}

{"status":429,"headers":{"retry-after":"2"}}
--- requests
POST /v1/chat/completions
{"model":"m"}
>>>
POST /v1/chat/completions
{"model":"m"}
--- response_headers
X-LLM-Chain: ~^first/m:429:\d+ms, first/m:200:\d+ms$
>>>
X-LLM-Chain: ~^first/m:429:\d+ms, second/m:200:\d+ms$

=== where there is nobody else the refusal passes with its Retry-After
--- http_config
    upstream one { server %%first%%; }
--- config
    llm_proxy_route first one;
    llm_proxy_default_provider first;
    llm_fallback_retry 1 backoff=1ms..2ms;
    location /v1/ { llm_proxy; llm_fallback; proxy_pass http://$llm_provider_upstream; }
--- provider_first
429
Retry-After: 30
{"error":"slow down"}
--- request
POST /v1/chat/completions
{"model":"m"}
--- error_code: 429
--- response_body: {"error":"slow down"}
--- response_headers
Retry-After: 30
X-LLM-Reset-After-Ms: 30000
X-Fallback-Suppressed: 1
X-Fallback-Suppressed-Reason: deadline

=== others are served while one waits
--- http_config
    upstream one { server %%first%%; }
--- config
    llm_proxy_route first one;
    llm_proxy_default_provider first;
    llm_fallback_retry 1 backoff=500ms..600ms;
    location /v1/ { llm_proxy; llm_fallback; proxy_pass http://$llm_provider_upstream; }
--- after
$t->mock->script(first => [ { status => 500, when => { model => 'slow' } } ]);
my $waiting = Test::LLM::Client->new($t->address);
my $body = '{"model":"slow"}';
$waiting->transmit("POST /v1/chat/completions HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n"
    . 'Content-Length: ' . length($body) . "\r\n\r\n$body");
wait_until { $t->mock->state('first')->{requests} == 1 } 5;
my @answers = map { $t->request(qq(POST /v1/chat/completions\n{"model":"m"})) } 1 .. 10;
is((grep { $_->{status} eq '200' } @answers), 10, 'ten others');
my @models = map { $_->{body} =~ /"model":"(\w+)"/ } @{ $t->mock->requests('first') };
is("@models", "slow" . " m" x 10, 'before the retry');
is($waiting->receive->{status}, '200', 'the one that has waited');

=== a stream waits, too, and comes whole
--- http_config
    upstream one { server %%first%%; keepalive 2; }
--- config
    llm_proxy_route first one;
    llm_proxy_default_provider first;
    llm_fallback_retry 1 backoff=20ms..40ms;
    location /v1/ { llm_proxy; llm_fallback; proxy_pass http://$llm_provider_upstream; }
--- provider_first
{"status":500}

{"words":20}
--- request
POST /v1/chat/completions
{"model":"m","stream":true}
--- response_body_like
" first\."
data: \[DONE\]\n\n\z

=== a body that lies in a file is sent again
--- http_config
    upstream one { server %%first%%; }
    client_body_buffer_size 1k;
--- config
    llm_proxy_route first one;
    llm_proxy_default_provider first;
    llm_fallback_retry 1 backoff=1ms..2ms;
    location /v1/ { llm_proxy; llm_fallback; proxy_pass http://$llm_provider_upstream; }
--- provider_first
{"status":500}

{}
--- request
POST /v1/chat/completions
--- request_body_eval
'{"text":"' . 'x' x 200_000 . '","model":"m"}'
--- after
my @bodies = map { $_->{body} } @{ $t->mock->requests('first') };
ok(@bodies == 2 && $bodies[0] eq $bodies[1] && length $bodies[0] > 200_000, 'the same body twice');

=== nginx's own variables list the tries and not the pause between
--- http_config
    upstream one { server %%first%%; }
    log_format tries '$upstream_status|$upstream_addr';
--- config
    llm_proxy_route first one;
    llm_proxy_default_provider first;
    llm_fallback_retry 1 backoff=10ms..20ms;
    location /v1/ { llm_proxy; llm_fallback; proxy_pass http://$llm_provider_upstream; }
--- provider_first
{"status":500}

{}
--- request
POST /v1/chat/completions
{"model":"m"}
--- access_log
^500, 200\|%%first%%, %%first%%$

=== a request that waits does not hold up the end of nginx
--- http_config
    upstream one { server %%first%%; }
--- config
    llm_proxy_route first one;
    llm_proxy_default_provider first;
    llm_fallback_retry 1 backoff=300ms..400ms;
    location /v1/ { llm_proxy; llm_fallback; proxy_pass http://$llm_provider_upstream; }
--- after
$t->mock->script(first => [ { status => 500 } ]);
my $waiting = Test::LLM::Client->new($t->address);
my $body = '{"model":"m"}';
$waiting->transmit("POST /v1/chat/completions HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n"
    . 'Content-Length: ' . length($body) . "\r\n\r\n$body");
wait_until { $t->mock->state('first')->{requests} == 1 } 5;
$t->reload;
is($waiting->receive->{status}, '200', 'the answer of the old worker');

=== llm_fallback_retry is inherited, and 0 undoes it
--- http_config
    upstream one { server %%first%%; }
    llm_fallback_retry 1 backoff=1ms..2ms;
--- config
    llm_proxy_route first one;
    llm_proxy_default_provider first;
    location /on/v1/ { llm_proxy; llm_fallback; proxy_pass http://$llm_provider_upstream; }
    location /off/v1/ {
        llm_proxy; llm_fallback; llm_fallback_retry 0; proxy_pass http://$llm_provider_upstream;
    }
--- provider_first
{"status":500,"times":3}
--- requests
POST /on/v1/chat/completions
{"model":"m"}
>>>
POST /off/v1/chat/completions
{"model":"m"}
--- error_code: 500
--- response_headers
X-Fallback-Attempt-Count: 2
>>>
X-Fallback-Attempt-Count: 1

=== retries are a number
--- config
    llm_fallback_retry once;
--- must_fail
invalid number "once" in "llm_fallback_retry", give retries such as 1 in %%root%%/nginx.conf

=== the pauses are a range
--- config
    llm_fallback_retry 1 backoff=2s;
--- must_fail
invalid parameter "backoff=2s" in "llm_fallback_retry", it must be backoff=<shortest>..<longest> such as backoff=250ms..2s in %%root%%/nginx.conf

=== the shortest pause comes first
--- config
    llm_fallback_retry 1 backoff=2s..1s;
--- must_fail
invalid parameter "backoff=2s..1s" in "llm_fallback_retry", it must be backoff=<shortest>..<longest> such as backoff=250ms..2s in %%root%%/nginx.conf

=== there is one option
--- config
    llm_fallback_retry 1 jitter=on;
--- must_fail
invalid parameter "jitter=on" in "llm_fallback_retry", it must be backoff=<shortest>..<longest> such as backoff=250ms..2s in %%root%%/nginx.conf

=== llm_fallback_retry is written once
--- config
    llm_fallback_retry 1;
    llm_fallback_retry 2;
--- must_fail
"llm_fallback_retry" directive is duplicate in %%root%%/nginx.conf

=== retries that leave no attempt for the chain are warned about
--- http_config
    upstream one { server %%closed%%; }
--- config
    llm_proxy_route first one;
    llm_proxy_route second one;
    llm_proxy_default_provider first;
    llm_fallback_route first second;
    llm_fallback_retry 1;
    location / { llm_proxy; llm_fallback; proxy_pass http://$llm_provider_upstream; }
--- must_warn
llm_fallback_retry 1 may use up llm_fallback_max_attempts 2 at the first target in %%root%%/nginx.conf
