# Several llm_auth_credential lines of one provider: which key is taken, what benches it, and what
# is tried next. A weight of 4000000000 beside one of 1 makes "at random" certain enough for a test.

use Test::LLM 'no_plan';

# The keys that a provider was sent, in order.
sub keys_of {
    my ($t, $name) = @_;
    return map { (Test::LLM::Client::header_values($_, 'authorization'))[0] =~ /SECRET-(\d+)/ }
        @{ $t->mock->requests($name) };
}

sub header_of { (Test::LLM::Client::header_values($_[0], $_[1]))[0] // '' }

run_tests();

__DATA__

=== a refused key is followed by the next one, without llm_fallback
--- http_config
    upstream one { server %%first%%; }
--- config
    llm_proxy_route first one;
    llm_proxy_default_provider first;
    llm_auth_credential first sk-first-SECRET-1 id=main weight=4000000000;
    llm_auth_credential first sk-first-SECRET-2 id=spare;
    location /v1/ {
        llm_proxy;
        llm_auth;
        add_header X-Key $llm_auth_credential;
        proxy_pass http://$llm_provider_upstream;
    }
--- provider_first
{"error":"invalid_api_key"}

{}
--- request
POST /v1/chat/completions
{"model":"m","messages":[]}
--- response_json
{"object":"chat.completion"}
--- response_headers
x-key: spare
x-llm-chain: ~^first/m:401:\d+ms, first/m:200:\d+ms$
!x-should-retry
--- provider_first_got
POST /v1/chat/completions
Authorization: Bearer sk-first-SECRET-1

POST /v1/chat/completions
Authorization: Bearer sk-first-SECRET-2
--- provider_first_got_body
{"model":"m","messages":[]}

=== an Anthropic key as well
--- http_config
    upstream one { server %%first%%; }
--- config
    llm_proxy_route first one anthropic;
    llm_proxy_default_provider first;
    llm_auth_credential first sk-first-SECRET-1 weight=4000000000;
    llm_auth_credential first sk-first-SECRET-2;
    location /v1/ { llm_proxy; llm_auth; proxy_pass http://$llm_provider_upstream; }
--- provider_first
{"error":"invalid_api_key"}

{}
--- request
POST /v1/messages
{"model":"m","max_tokens":5,"messages":[]}
--- response_json
{"type":"message"}
--- provider_first_got
POST /v1/messages
x-api-key: sk-first-SECRET-1

POST /v1/messages
x-api-key: sk-first-SECRET-2

=== what is said of a key: refused, forbidden, limited, without credit
--- http_config
    upstream one { server %%first%%; }
--- config
    llm_proxy_route first one;
    llm_proxy_default_provider first;
    llm_auth_credential first sk-first-SECRET-1 weight=4000000000;
    llm_auth_credential first sk-first-SECRET-2;
    location /v1/ { llm_proxy; llm_auth; proxy_pass http://$llm_provider_upstream; }
--- provider_first
401

{}

403 {"error":{"code":"permission_denied"}}

{}

{"error":"rate_limit_exceeded"}

{}

402 {"error":{"message":"Insufficient Balance"}}

{}

{"error":"insufficient_quota"}

{}

400 {"error":{"type":"billing_error","message":"Your credit balance is too low"}}

{}
--- requests
POST /v1/chat/completions
{"model":"a"}
>>>
POST /v1/chat/completions
{"model":"b"}
>>>
POST /v1/chat/completions
{"model":"c"}
>>>
POST /v1/chat/completions
{"model":"d"}
>>>
POST /v1/chat/completions
{"model":"e"}
>>>
POST /v1/chat/completions
{"model":"f"}
--- response_headers
x-llm-chain: ~^first/a:401:\d+ms, first/a:200:\d+ms$
>>>
x-llm-chain: ~^first/b:403:\d+ms, first/b:200:\d+ms$
>>>
x-llm-chain: ~^first/c:429:\d+ms, first/c:200:\d+ms$
>>>
x-llm-chain: ~^first/d:402:\d+ms, first/d:200:\d+ms$
>>>
x-llm-chain: ~^first/e:429:\d+ms, first/e:200:\d+ms$
>>>
x-llm-chain: ~^first/f:400:\d+ms, first/f:200:\d+ms$
--- after
is("@{[ main::keys_of($t, 'first') ]}", '1 2 1 2 1 2 1 2 1 2 1 2', 'each model tries the other key');

=== what is not of the key does not ask for another one
--- http_config
    upstream one { server %%first%%; }
--- config
    llm_proxy_route first one;
    llm_proxy_default_provider first;
    llm_auth_credential first sk-first-SECRET-1 weight=4000000000;
    llm_auth_credential first sk-first-SECRET-2;
    location /v1/ { llm_proxy; llm_auth; proxy_pass http://$llm_provider_upstream; }
--- provider_first
400

404

{"error":"context_length_exceeded"}

{"error":"content_policy_violation"}

403 {"error":{"code":"content_policy_violation"}}

500

{"error":"overloaded"}

{}
--- requests
POST /v1/chat/completions
{"model":"m"}
>>>
POST /v1/chat/completions
{"model":"m"}
>>>
POST /v1/chat/completions
{"model":"m"}
>>>
POST /v1/chat/completions
{"model":"m"}
>>>
POST /v1/chat/completions
{"model":"m"}
>>>
POST /v1/chat/completions
{"model":"m"}
>>>
POST /v1/chat/completions
{"model":"m"}
>>>
POST /v1/chat/completions
{"model":"m"}
--- error_code: 400 404 400 400 403 500 503 200
--- provider_first_got
POST /v1/chat/completions
Authorization: Bearer sk-first-SECRET-1

=== the next key is tried before the next provider, whatever llm_fallback_on says
--- http_config
    upstream one { server %%first%%; }
    upstream two { server %%second%%; }
--- config
    llm_proxy_route first one;
    llm_proxy_route second two;
    llm_proxy_default_provider first;
    llm_fallback_route first second;
    llm_auth_credential first sk-first-SECRET-1 weight=4000000000;
    llm_auth_credential first sk-first-SECRET-2;
    llm_auth_credential second sk-second-SECRET-3;
    llm_proxy;
    llm_auth;
    llm_fallback;
    location /a/ { llm_fallback_on upstream_5xx; proxy_pass http://$llm_provider_upstream; }
    location /b/ { llm_fallback_on auth_error rate_limited; proxy_pass http://$llm_provider_upstream; }
--- provider_first
401

{}

429

{}
--- requests
POST /a/v1/chat/completions
{"model":"x"}
>>>
POST /b/v1/chat/completions
{"model":"y"}
--- response_headers
x-llm-chain: ~^first/x:401:\d+ms, first/x:200:\d+ms$
x-fallback-attempted: 0
x-fallback-attempt-count: 2
x-fallback-reason: none
>>>
x-llm-chain: ~^first/y:429:\d+ms, first/y:200:\d+ms$
x-fallback-attempted: 0
x-fallback-attempt-count: 2
x-fallback-reason: none
--- provider_second_requests: 0

=== behind the last key stands the next provider, where llm_fallback_on has the failure
--- http_config
    upstream one { server %%first%%; }
    upstream two { server %%second%%; }
--- config
    llm_proxy_route first one;
    llm_proxy_route second two;
    llm_proxy_default_provider first;
    llm_fallback_route first second;
    llm_fallback_max_attempts 3;
    llm_auth_credential first sk-first-SECRET-1 weight=4000000000;
    llm_auth_credential first sk-first-SECRET-2;
    llm_auth_credential second sk-second-SECRET-3;
    llm_proxy;
    llm_auth;
    llm_fallback;
    location /a/ { llm_fallback_on auth_error; proxy_pass http://$llm_provider_upstream; }
    location /b/ { llm_fallback_on upstream_5xx; proxy_pass http://$llm_provider_upstream; }
--- provider_first
{"status":401,"times":4}
--- requests
POST /a/v1/chat/completions
{"model":"x"}
>>>
POST /b/v1/chat/completions
{"model":"y"}
--- error_code: 200 401
--- response_headers
x-llm-chain: ~^first/x:401:\d+ms, first/x:401:\d+ms, second/x:200:\d+ms$
x-fallback-attempted: 1
x-fallback-attempt-count: 3
x-fallback-reason: auth_error
>>>
x-llm-chain: ~^first/y:401:\d+ms, first/y:401:\d+ms$
x-fallback-attempted: 0
x-fallback-attempt-count: 2
x-fallback-policy-allowed: 0
--- provider_second_got
POST /v1/chat/completions
Authorization: Bearer sk-second-SECRET-3

=== a further key is an attempt
--- http_config
    upstream one { server %%first%%; }
    upstream two { server %%second%%; }
--- config
    llm_proxy_route first one;
    llm_proxy_route second two;
    llm_proxy_default_provider first;
    llm_fallback_route first second;
    llm_fallback_on auth_error;
    llm_auth_credential first sk-first-SECRET-1 weight=4000000000;
    llm_auth_credential first sk-first-SECRET-2;
    llm_auth_credential second sk-second-SECRET-3;
    location /v1/ { llm_proxy; llm_auth; llm_fallback; proxy_pass http://$llm_provider_upstream; }
--- provider_first
{"status":401,"times":2}
--- request
POST /v1/chat/completions
{"model":"x"}
--- error_code: 401
--- response_headers
x-llm-chain: ~^first/x:401:\d+ms, first/x:401:\d+ms$
x-fallback-suppressed: 1
x-fallback-suppressed-reason: attempts_exhausted
x-should-retry: false
--- provider_second_requests: 0

=== llm_fallback_max_attempts holds without llm_fallback, too
--- http_config
    upstream one { server %%first%%; }
--- config
    llm_proxy_route first one;
    llm_proxy_default_provider first;
    llm_auth_credential first sk-first-SECRET-1;
    llm_auth_credential first sk-first-SECRET-2;
    llm_auth_credential first sk-first-SECRET-3;
    llm_proxy;
    llm_auth;
    location /one/ { llm_fallback_max_attempts 1; proxy_pass http://$llm_provider_upstream; }
    location /two/ { proxy_pass http://$llm_provider_upstream; }
    location /three/ { llm_fallback_max_attempts 3; proxy_pass http://$llm_provider_upstream; }
--- provider_first
{"status":401,"times":6}
--- requests
POST /one/v1/chat/completions
{"model":"a"}
>>>
POST /two/v1/chat/completions
{"model":"b"}
>>>
POST /three/v1/chat/completions
{"model":"c"}
--- error_code: 401
--- response_headers
x-llm-chain: ~^first/a:401:\d+ms$
>>>
x-llm-chain: ~^first/b:401:\d+ms, first/b:401:\d+ms$
>>>
x-llm-chain: ~^first/c:401:\d+ms, first/c:401:\d+ms, first/c:401:\d+ms$
--- after
my @keys = main::keys_of($t, 'first');
isnt($keys[1], $keys[2], 'two keys for two attempts');
is(join(' ', sort @keys[3 .. 5]), '1 2 3', 'each key once for three');

=== llm_fallback_retry does not ask the same key again while there is another one
--- http_config
    upstream one { server %%first%%; }
--- config
    llm_proxy_route first one;
    llm_proxy_default_provider first;
    llm_fallback_retry 1 backoff=20s..20s;
    llm_auth_credential first sk-first-SECRET-1 weight=4000000000;
    llm_auth_credential first sk-first-SECRET-2;
    location /v1/ { llm_proxy; llm_auth; llm_fallback; proxy_pass http://$llm_provider_upstream; }
--- provider_first
429

{}
--- request
POST /v1/chat/completions
{"model":"x"}
--- answered_within: 5s
--- provider_first_got
POST /v1/chat/completions
Authorization: Bearer sk-first-SECRET-1

POST /v1/chat/completions
Authorization: Bearer sk-first-SECRET-2

=== a stream gets the next key, also where streams do not fall back
--- http_config
    upstream one { server %%first%%; }
--- config
    llm_proxy_route first one;
    llm_proxy_default_provider first;
    llm_fallback_allow_streaming off;
    llm_auth_credential first sk-first-SECRET-1 weight=4000000000;
    llm_auth_credential first sk-first-SECRET-2;
    llm_proxy;
    llm_auth;
    location /a/ { proxy_pass http://$llm_provider_upstream; }
    location /b/ { llm_fallback; proxy_pass http://$llm_provider_upstream; }
--- provider_first
401

{}

429

{}
--- requests
POST /a/v1/chat/completions
{"model":"x","stream":true}
>>>
POST /b/v1/chat/completions
{"model":"y","stream":true}
--- response_body_like
^data: \[DONE\]$
--- after
is("@{[ main::keys_of($t, 'first') ]}", '1 2 1 2', 'both got the other key');

=== a client that wants no fallback gets the next key all the same
--- http_config
    upstream one { server %%first%%; }
--- config
    llm_proxy_route first one;
    llm_proxy_default_provider first;
    llm_fallback_request_headers fallback;
    llm_auth_credential first sk-first-SECRET-1 weight=4000000000;
    llm_auth_credential first sk-first-SECRET-2;
    location /v1/ { llm_proxy; llm_auth; llm_fallback; proxy_pass http://$llm_provider_upstream; }
--- provider_first
401

{}
--- request
POST /v1/chat/completions
{"model":"x"}
--- more_headers
X-LLM-Fallback: off

=== a body in a temporary file goes with the next key, too
--- http_config
    upstream one { server %%first%%; }
--- config
    client_body_buffer_size 1k;
    llm_proxy_route first one;
    llm_proxy_default_provider first;
    llm_auth_credential first sk-first-SECRET-1 weight=4000000000;
    llm_auth_credential first sk-first-SECRET-2;
    location /v1/ { llm_proxy; llm_auth; proxy_pass http://$llm_provider_upstream; }
--- provider_first
401

{}
--- request
POST /v1/chat/completions
--- request_body_eval
'{"model":"m","messages":[{"role":"user","content":"' . 'abcdefgh' x 20_000 . '"}]}'
--- after
my @requests = @{ $t->mock->requests('first') };
is(scalar @requests, 2, 'two attempts');
is($requests[1]{body}, $requests[0]{body}, 'with one body');
is($requests[1]{body_bytes}, 160_055, 'the whole of it');

=== a benched key is not used by the next request
--- http_config
    upstream one { server %%first%%; }
--- config
    llm_proxy_route first one;
    llm_proxy_default_provider first;
    llm_auth_credential first sk-first-SECRET-1 weight=4000000000;
    llm_auth_credential first sk-first-SECRET-2;
    llm_auth_credential first sk-first-SECRET-3 weight=4000000000;
    llm_proxy;
    llm_auth;
    location /v1/ { llm_fallback_max_attempts 3; proxy_pass http://$llm_provider_upstream; }
--- provider_first
401

429

{"times":4}
--- requests
POST /v1/chat/completions
{"model":"m"}
>>>
POST /v1/chat/completions
{"model":"m"}
>>>
POST /v1/chat/completions
{"model":"m"}
>>>
POST /v1/chat/completions
{"model":"m"}
--- response_headers
x-llm-chain: ~^first/m:401:\d+ms, first/m:429:\d+ms, first/m:200:\d+ms$
>>>
x-llm-chain: ~^first/m:200:\d+ms$
>>>
x-llm-chain: ~^first/m:200:\d+ms$
>>>
x-llm-chain: ~^first/m:200:\d+ms$
--- after
my @keys = main::keys_of($t, 'first');
is(join(' ', sort @keys[0, 1]), '1 3', 'the two that are taken more often');
is("@keys[2 .. 5]", '2 2 2 2', 'and then only the third');

=== a benched key is not the next one for another request either
--- http_config
    upstream one { server %%first%%; }
--- config
    llm_proxy_route first one;
    llm_proxy_default_provider first;
    llm_auth_credential first sk-first-SECRET-1 weight=4000000000;
    llm_auth_credential first sk-first-SECRET-2;
    location /v1/ { llm_proxy; llm_auth; proxy_pass http://$llm_provider_upstream; }
--- provider_first
401

{}

{"error":"rate_limit_exceeded"}
--- requests
POST /v1/chat/completions
{"model":"m"}
>>>
POST /v1/chat/completions
{"model":"m"}
--- error_code: 200 429
--- response_headers
>>>
x-llm-chain: ~^first/m:429:\d+ms$
--- after
is("@{[ main::keys_of($t, 'first') ]}", '1 2 2', 'key 1 is known to be refused');

=== a bench holds in every worker
--- workers: 2
--- http_config
    upstream one { server %%first%%; }
--- config
    llm_proxy_route first one;
    llm_proxy_default_provider first;
    llm_auth_credential first sk-first-SECRET-1 weight=4000000000;
    llm_auth_credential first sk-first-SECRET-2;
    location /v1/ {
        llm_proxy;
        llm_auth;
        add_header X-Pid $pid;
        proxy_pass http://$llm_provider_upstream;
    }
--- provider_first
401

{"times":3}
--- request
POST /v1/chat/completions
{"model":"m"}
--- after
my @workers = $t->nginx->worker_pids;
is(scalar @workers, 2, 'two workers');
for my $worker (@workers) {
    my ($other) = grep { $_ != $worker } @workers;
    kill STOP => $other;
    wait_until { slurp("/proc/$other/stat") =~ /\) T / } 5;
    my $answer = $t->request(qq(POST /v1/chat/completions\n{"model":"m"}));
    kill CONT => $other;
    is(main::header_of($answer, 'x-pid'), $worker, 'this worker has answered');
}
is("@{[ main::keys_of($t, 'first') ]}", '1 2 2 2', 'with the key that works');

=== a bench outlasts a reload and a worker
--- http_config
    upstream one { server %%first%%; }
--- config
    llm_proxy_route first one;
    llm_proxy_default_provider first;
    llm_auth_credential first sk-first-SECRET-1 weight=4000000000;
    llm_auth_credential first sk-first-SECRET-2;
    location /v1/ { llm_proxy; llm_auth; proxy_pass http://$llm_provider_upstream; }
--- provider_first
401

{"times":3}
--- requests
POST /v1/chat/completions
{"model":"m"}
>>> new connection, reload
POST /v1/chat/completions
{"model":"m"}
>>> new connection, kill worker
POST /v1/chat/completions
{"model":"m"}
--- expected_alert
exited on signal 9
--- after
is("@{[ main::keys_of($t, 'first') ]}", '1 2 2 2', 'only the first request asked with key 1');

=== lines that change places in a reload keep what is known of their keys
--- http_config
    upstream one { server %%first%%; }
--- config
    llm_proxy_route first one;
    llm_proxy_default_provider first;
    llm_auth_credential first sk-first-SECRET-1 weight=4000000000;
    llm_auth_credential first sk-first-SECRET-2;
    location /v1/ { llm_proxy; llm_auth; proxy_pass http://$llm_provider_upstream; }
--- reload_config
    llm_proxy_route first one;
    llm_proxy_default_provider first;
    llm_auth_credential first sk-first-SECRET-2;
    llm_auth_credential first sk-first-SECRET-1 weight=4000000000;
    location /v1/ { llm_proxy; llm_auth; proxy_pass http://$llm_provider_upstream; }
--- provider_first
401

{"times":2}
--- requests
POST /v1/chat/completions
{"model":"m"}
>>> new connection, reload
POST /v1/chat/completions
{"model":"m"}
--- after
is("@{[ main::keys_of($t, 'first') ]}", '1 2 2', 'key 1 is benched at its new place');

=== a new secret is not benched for what was said of the old one
--- http_config
    upstream one { server %%first%%; }
--- user_files
>>> key
sk-first-SECRET-1
--- config
    llm_proxy_route first one;
    llm_proxy_default_provider first;
    llm_auth_credential first file:key weight=4000000000;
    llm_auth_credential first sk-first-SECRET-2;
    location /v1/ { llm_proxy; llm_auth; proxy_pass http://$llm_provider_upstream; }
--- provider_first
401

{"times":3}
--- request
POST /v1/chat/completions
{"model":"m"}
--- after
is($t->request(qq(POST /v1/chat/completions\n{"model":"m"}))->{status}, 200, 'the other key');
$t->write_file('key', "sk-first-SECRET-3\n");
$t->reload;
is($t->request(qq(POST /v1/chat/completions\n{"model":"m"}))->{status}, 200, 'the new secret');
is("@{[ main::keys_of($t, 'first') ]}", '1 2 2 3', 'is used at once');

=== keys of two locations are two keys, though both are called literal#1
--- http_config
    upstream one { server %%first%%; }
--- config
    llm_proxy_route first one;
    llm_proxy_default_provider first;
    llm_proxy;
    llm_auth;
    location /a/ {
        llm_auth_credential first sk-first-SECRET-1 weight=4000000000;
        llm_auth_credential first sk-first-SECRET-2;
        proxy_pass http://$llm_provider_upstream;
    }
    location /b/ {
        llm_auth_credential first sk-first-SECRET-3 weight=4000000000;
        llm_auth_credential first sk-first-SECRET-4;
        proxy_pass http://$llm_provider_upstream;
    }
--- provider_first
401

{"times":2}
--- requests
POST /a/v1/chat/completions
{"model":"m"}
>>>
POST /b/v1/chat/completions
{"model":"m"}
--- after
is("@{[ main::keys_of($t, 'first') ]}", '1 2 3', 'the second location has no benched key');

=== one key in two locations is one key, whatever it is called
--- http_config
    upstream one { server %%first%%; }
--- config
    llm_proxy_route first one;
    llm_proxy_default_provider first;
    llm_proxy;
    llm_auth;
    location /a/ {
        llm_auth_credential first sk-first-SECRET-1 id=here weight=4000000000;
        llm_auth_credential first sk-first-SECRET-2;
        proxy_pass http://$llm_provider_upstream;
    }
    location /b/ {
        llm_auth_credential first sk-first-SECRET-1 id=there weight=4000000000;
        llm_auth_credential first sk-first-SECRET-4;
        proxy_pass http://$llm_provider_upstream;
    }
--- provider_first
401

{"times":2}
--- requests
POST /a/v1/chat/completions
{"model":"m"}
>>>
POST /b/v1/chat/completions
{"model":"m"}
--- after
is("@{[ main::keys_of($t, 'first') ]}", '1 2 4', 'the second location knows what the first one saw');

=== a limit of one model does not keep the key from others
--- http_config
    upstream one { server %%first%%; }
--- config
    llm_proxy_route first one;
    llm_proxy_default_provider first;
    llm_auth_credential first sk-first-SECRET-1 weight=4000000000;
    llm_auth_credential first sk-first-SECRET-2;
    location /v1/ { llm_proxy; llm_auth; proxy_pass http://$llm_provider_upstream; }
--- provider_first
429

{"times":3}
--- requests
POST /v1/chat/completions
{"model":"a"}
>>>
POST /v1/chat/completions
{"model":"b"}
>>>
POST /v1/chat/completions
{"model":"a"}
--- after
is("@{[ main::keys_of($t, 'first') ]}", '1 2 1 2', 'model b uses key 1');

=== a cooled key is used again when its time is over
--- http_config
    upstream one { server %%first%%; }
--- config
    llm_proxy_route first one;
    llm_proxy_default_provider first;
    llm_fallback_cooldown 300ms;
    llm_auth_credential first sk-first-SECRET-1 weight=4000000000;
    llm_auth_credential first sk-first-SECRET-2;
    location /v1/ { llm_proxy; llm_auth; proxy_pass http://$llm_provider_upstream; }
--- provider_first
429

{"times":3}
--- requests
POST /v1/chat/completions
{"model":"m"}
>>> after 350ms
POST /v1/chat/completions
{"model":"m"}
>>>
POST /v1/chat/completions
{"model":"m"}
--- after
is("@{[ main::keys_of($t, 'first') ]}", '1 2 1 1', 'key 1 is back');

=== Retry-After says how long a key is cooled
--- http_config
    upstream one { server %%first%%; }
--- config
    llm_proxy_route first one;
    llm_proxy_default_provider first;
    llm_fallback_cooldown 1ms;
    llm_auth_credential first sk-first-SECRET-1 weight=4000000000;
    llm_auth_credential first sk-first-SECRET-2;
    location /v1/ { llm_proxy; llm_auth; proxy_pass http://$llm_provider_upstream; }
--- provider_first
429
Retry-After: 30

{"times":2}
--- requests
POST /v1/chat/completions
{"model":"m"}
>>> after 20ms
POST /v1/chat/completions
{"model":"m"}
--- after
is("@{[ main::keys_of($t, 'first') ]}", '1 2 2', 'key 1 is left alone for longer than we would');

=== a refused key is benched for the longest time
--- http_config
    upstream one { server %%first%%; }
--- config
    llm_proxy_route first one;
    llm_proxy_default_provider first;
    llm_fallback_cooldown 1ms max=30s;
    llm_auth_credential first sk-first-SECRET-1 weight=4000000000;
    llm_auth_credential first sk-first-SECRET-2;
    location /v1/ { llm_proxy; llm_auth; proxy_pass http://$llm_provider_upstream; }
--- provider_first
403

{"times":2}
--- requests
POST /v1/chat/completions
{"model":"m"}
>>> after 20ms
POST /v1/chat/completions
{"model":"m"}
--- after
is("@{[ main::keys_of($t, 'first') ]}", '1 2 2', 'key 1 is still benched');

=== one request finds out whether a cooled key works again, the others take the next one
--- http_config
    upstream one { server %%first%%; }
--- config
    llm_proxy_route first one;
    llm_proxy_default_provider first;
    llm_fallback_cooldown 50ms;
    llm_auth_credential first sk-first-SECRET-1 weight=4000000000;
    llm_auth_credential first sk-first-SECRET-2;
    location /v1/ { llm_proxy; llm_auth; proxy_pass http://$llm_provider_upstream; }
--- after
# Each answer takes longer than all requests together.
my $delay_ms = 200 * Test::LLM::Util::scale();
$t->mock->script('first', [ { status => 429 }, {}, { delay_ms => $delay_ms, times => 6 } ]);
is($t->request(qq(POST /v1/chat/completions\n{"model":"m"}))->{status}, 200, 'key 1 is cooled');
select undef, undef, undef, 0.1;
my @clients = map { Test::LLM::Client->new($t->address) } 1 .. 6;
my $body = '{"model":"m"}';
for my $client (@clients) {
    $client->transmit("POST /v1/chat/completions HTTP/1.1\r\nHost: a\r\n"
        . 'Content-Length: ' . length($body) . "\r\n\r\n$body");
}
is($_->receive(method => 'POST')->{status}, 200, 'an answer') for @clients;
my @keys = main::keys_of($t, 'first');
is(scalar(grep { $_ == 1 } @keys[2 .. 7]), 1, 'one probe');

=== where every key is benched, the best one is tried once
--- http_config
    upstream one { server %%first%%; }
--- config
    llm_proxy_route first one;
    llm_proxy_default_provider first;
    llm_auth_credential first sk-first-SECRET-1;
    llm_auth_credential first sk-first-SECRET-2;
    location /v1/ { llm_proxy; llm_auth; proxy_pass http://$llm_provider_upstream; }
--- provider_first
{"status":401,"times":2}

{"error":"invalid_api_key"}

{}
--- requests
POST /v1/chat/completions
{"model":"m"}
>>>
POST /v1/chat/completions
{"model":"m"}
>>>
POST /v1/chat/completions
{"model":"m"}
--- error_code: 401 401 200
--- response_headers
x-llm-chain: ~^first/m:401:\d+ms, first/m:401:\d+ms$
>>>
x-llm-chain: ~^first/m:401:\d+ms$
>>>
x-llm-chain: ~^first/m:200:\d+ms$

=== in health mode a provider whose keys are benched is passed over
--- http_config
    upstream one { server %%first%%; }
    upstream two { server %%second%%; }
--- config
    llm_proxy_route first one;
    llm_proxy_route second two;
    llm_proxy_default_provider first;
    llm_fallback_route first second;
    llm_fallback_on auth_error;
    llm_fallback_max_attempts 3;
    llm_fallback_mode health;
    llm_auth_credential first sk-first-SECRET-1;
    llm_auth_credential first sk-first-SECRET-2;
    llm_auth_credential second sk-second-SECRET-3;
    location /v1/ { llm_proxy; llm_auth; llm_fallback; proxy_pass http://$llm_provider_upstream; }
--- provider_first
{"status":401,"times":2}
--- requests
POST /v1/chat/completions
{"model":"m"}
>>>
POST /v1/chat/completions
{"model":"m"}
--- response_headers
x-llm-chain: ~^first/m:401:\d+ms, first/m:401:\d+ms, second/m:200:\d+ms$
>>>
x-llm-chain: ~^first/m:skipped\(benched\), second/m:200:\d+ms$

=== where keys are benched and there is no other provider, health mode tries once and then says when
--- http_config
    upstream one { server %%first%%; }
--- config
    llm_proxy_route first one;
    llm_proxy_default_provider first;
    llm_fallback_mode health;
    llm_fallback_cooldown 10s max=40s;
    llm_auth_credential first sk-first-SECRET-1;
    llm_auth_credential first sk-first-SECRET-2;
    location /v1/ { llm_proxy; llm_auth; llm_fallback; proxy_pass http://$llm_provider_upstream; }
--- provider_first
{"status":401,"times":3}
--- requests
POST /v1/chat/completions
{"model":"m"}
>>>
POST /v1/chat/completions
{"model":"m"}
>>>
POST /v1/chat/completions
{"model":"m"}
--- error_code: 401 401 503
--- response_headers
x-llm-chain: ~^first/m:401:\d+ms, first/m:401:\d+ms$
>>>
x-llm-chain: ~^first/m:401:\d+ms$
>>>
retry-after: ~^(39|40)$

=== keys are taken as their weights say
--- http_config
    upstream one { server %%first%%; }
--- config
    llm_proxy_route first one;
    llm_proxy_default_provider first;
    llm_auth_credential first sk-first-SECRET-1 weight=9;
    llm_auth_credential first sk-first-SECRET-2;
    location /v1/ { llm_proxy; llm_auth; proxy_pass http://$llm_provider_upstream; }
--- request
POST /v1/chat/completions
{"model":"m"}
--- concurrent: 200
--- after
my $second = grep { $_ == 2 } main::keys_of($t, 'first');
# 20 of 200 are expected; each bound is more than 4.7 deviations away.
ok($second > 0 && $second < 45, "$second requests of 200 had the light key");

=== keys without weights are taken equally often
--- http_config
    upstream one { server %%first%%; }
--- config
    llm_proxy_route first one;
    llm_proxy_default_provider first;
    llm_auth_credential first sk-first-SECRET-1;
    llm_auth_credential first sk-first-SECRET-2;
    location /v1/ { llm_proxy; llm_auth; proxy_pass http://$llm_provider_upstream; }
--- request
POST /v1/chat/completions
{"model":"m"}
--- concurrent: 200
--- after
my $second = grep { $_ == 2 } main::keys_of($t, 'first');
ok($second > 60 && $second < 140, "$second requests of 200 had the second key");

=== while a key is benched the others share its requests as their weights say
--- http_config
    upstream one { server %%first%%; }
--- config
    llm_proxy_route first one;
    llm_proxy_default_provider first;
    llm_auth_credential first sk-first-SECRET-1 weight=4000000000;
    llm_auth_credential first sk-first-SECRET-2 weight=400000;
    llm_auth_credential first sk-first-SECRET-3 weight=400000;
    location /v1/ { llm_proxy; llm_auth; proxy_pass http://$llm_provider_upstream; }
--- provider_first
401

{"times":101}
--- request
POST /v1/chat/completions
{"model":"m"}
--- after
for (1 .. 100) {
    $t->request(qq(POST /v1/chat/completions\n{"model":"m"}));
}
my @keys = main::keys_of($t, 'first');
is(scalar(grep { $_ == 1 } @keys), 1, 'key 1 was asked with once');
my $third = grep { $_ == 3 } @keys;
ok($third > 20 && $third < 80, "$third requests of 101 had the third key");

=== a key whose secret is missing is left out of the pool
--- http_config
    upstream one { server %%first%%; }
--- config
    llm_proxy_route first one;
    llm_proxy_default_provider first;
    llm_auth_fail_closed off;
    llm_auth_credential first env:LLM_NOT_THERE weight=4000000000;
    llm_auth_credential first sk-first-SECRET-2;
    location /v1/ { llm_proxy; llm_auth; proxy_pass http://$llm_provider_upstream; }
--- requests
POST /v1/chat/completions
{"model":"m"}
>>>
POST /v1/chat/completions
{"model":"m"}
--- provider_first_got
POST /v1/chat/completions
Authorization: Bearer sk-first-SECRET-2

=== many requests at once all get the key that works
--- http_config
    upstream one { server %%first%%; }
--- config
    llm_proxy_route first one;
    llm_proxy_default_provider first;
    llm_fallback_max_attempts 3;
    llm_auth_credential first sk-first-SECRET-1;
    llm_auth_credential first sk-first-SECRET-2;
    llm_auth_credential first sk-first-SECRET-3;
    location /v1/ { llm_proxy; llm_auth; proxy_pass http://$llm_provider_upstream; }
--- provider_first
{"status":401,"times":2}

{"times":20}
--- request
POST /v1/chat/completions
{"model":"m"}
--- concurrent: 20
