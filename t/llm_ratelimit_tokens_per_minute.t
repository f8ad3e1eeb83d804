# A bucket of tokens: a request reserves what it may use, and what it used is counted when it ends. The
# mock provider's answers use 12 tokens of input and 7 of output.

use Test::LLM 'no_plan';

use Test::LLM::Client;
use Test::LLM::Ledger;

run_tests();

__DATA__

=== what was reserved is settled to what was used
--- http_config
    upstream one { server %%first%%; }
    log_format l '$status "$llm_ratelimit_deny_reason" "$llm_ratelimit_token_quota_remaining" "$llm_ratelimit_reserved_tokens"';
--- config
    llm_proxy_route first one;
    llm_proxy_default_provider first;
    llm_ratelimit_key all;
    llm_ratelimit_tokens_per_minute 100;
    llm_ratelimit_reserve_tokens 50;
    location /v1/ { llm_proxy; llm_ratelimit; proxy_pass http://$llm_provider_upstream; }
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
--- error_code: 200 200 200 429
--- response_headers
x-ratelimit-limit-tokens: 100
x-ratelimit-remaining-tokens: 50
>>>
x-ratelimit-remaining-tokens: ~^3[1-9]$
>>>
x-ratelimit-remaining-tokens: ~^1[2-9]$
>>>
Retry-After: ~^[1-5]$
--- access_log
^200 "-?" "50" "50"$
^429 "token_budget_exhausted" ".*$
--- after
my $body = JSON::PP::decode_json(($t->answers)[3]{body});
is($body->{error}{code}, 'token_budget_exhausted', 'the reason');

=== by default a request reserves its prompt and the output that it allows
--- http_config
    upstream one { server %%first%%; }
    log_format l '$llm_ratelimit_reserved_tokens';
--- config
    llm_proxy_route first one;
    llm_proxy_default_provider first;
    llm_ratelimit_key all;
    llm_ratelimit_tokens_per_minute 100000;
    location /v1/ { llm_proxy; llm_ratelimit; proxy_pass http://$llm_provider_upstream; }
--- after
my $reserved = sub {
    my ($fields) = @_;
    $t->request(qq(POST /v1/chat/completions\n{"model":"m"$fields}));
    my ($last) = reverse split /\n/, $t->access_log;
    return $last;
};
my $small  = $reserved->(',"max_tokens":100,"messages":[]');
my $more   = $reserved->(',"max_tokens":600,"messages":[]');
my $three  = $reserved->(',"max_tokens":100,"n":3,"messages":[]');
my $newer  = $reserved->(',"max_completion_tokens":600,"messages":[]');
my $prompt = $reserved->(',"max_tokens":100,"messages":[{"role":"user","content":"' . 'word ' x 2000 . '"}]');
is($more - $small, 500, 'the limit counts');
ok($three - $small >= 200 && $three - $small < 205, 'for each of several answers');
ok(abs($newer - $more) < 5, 'under its newer name, too');
ok($prompt - $small > 1000 && $prompt - $small < 5000, 'a long prompt counts');

=== what could never pass is told so at once
--- http_config
    upstream one { server %%first%%; }
    log_format l '$status "$llm_ratelimit_deny_reason"';
--- config
    llm_proxy_route first one;
    llm_proxy_default_provider first;
    llm_ratelimit_key all;
    llm_ratelimit_tokens_per_minute 1000;
    location /v1/ { llm_proxy; llm_ratelimit; proxy_pass http://$llm_provider_upstream; }
--- requests
POST /v1/chat/completions
{"model":"m","max_tokens":2000}
>>>
POST /v1/chat/completions
{"model":"m","max_tokens":500}
--- error_code: 400 200
--- response_headers
!Retry-After
>>>
x-ratelimit-limit-tokens: 1000
--- access_log
^400 "request_exceeds_limit"$
--- after
my $body = JSON::PP::decode_json(($t->answers)[0]{body});
is($body->{error}{code}, 'request_exceeds_limit', 'the reason');

=== more than was reserved makes a debt, which the next request waits for
--- http_config
    upstream one { server %%first%%; }
--- config
    llm_proxy_route first one;
    llm_proxy_default_provider first;
    llm_ratelimit_key all;
    llm_ratelimit_tokens_per_minute 600;
    llm_ratelimit_reserve_tokens 10;
    location /v1/ { llm_proxy; llm_ratelimit; proxy_pass http://$llm_provider_upstream; }
--- provider_first
200 {"choices":[{"message":{"content":"a"}}],"usage":{"prompt_tokens":100,"completion_tokens":900}}
--- requests
POST /v1/chat/completions
{"model":"m"}
>>>
POST /v1/chat/completions
{"model":"m"}
--- error_code: 200 429
--- after
# 400 beyond the bucket and 10 to reserve, at ten a second.
my $wait = header(($t->answers)[1], 'retry-after');
ok($wait >= 30 && $wait <= 41, "$wait seconds");

=== what a request does not use comes back: an error, a client that left, a refusal by another limit
--- http_config
    upstream one { server %%first%%; }
--- config
    llm_proxy_route first one;
    llm_proxy_default_provider first;
    llm_ratelimit_key all;
    llm_ratelimit_tokens_per_minute 100;
    llm_ratelimit_reserve_tokens 60;
    llm_ratelimit_rule $http_x_strict requests 1/h;
    location /v1/ { llm_proxy; llm_ratelimit; proxy_pass http://$llm_provider_upstream; }
--- provider_first
{"status":500}

{"fault":"hang"}

{}
--- after
my $body = '{"model":"m"}';
my $ask = sub { $t->request("POST /v1/chat/completions\n$body", @_) };
is($ask->()->{status}, '500', 'an error');
my $client = Test::LLM::Client->new($t->address);
$client->transmit("POST /v1/chat/completions HTTP/1.1\r\nHost: a\r\nContent-Length: "
    . length($body) . "\r\n\r\n$body");
wait_until { $t->mock->state('first')->{requests} == 2 } 5;
is($ask->()->{status}, '429', 'while another request runs its tokens are reserved');
$client->finish(0);
wait_until { $t->mock->state('first')->{client_closed} } 5;
my $answer;
# The mock provider hears of it before nginx has settled.
ok((wait_until { ($answer = $ask->("X-Strict: a"))->{status} eq '200' } 5), 'then they are not');
my $left = header($answer, 'x-ratelimit-remaining-tokens');
ok($left >= 40, "of the aborted request nothing is counted: $left left");
is($ask->("X-Strict: a")->{status}, '429', 'another limit refuses');
is($ask->()->{status}, '200', 'and has kept nothing of this one');
--- access_log
--- provider_first_requests: 4

=== a stream is counted like an answer that is none
--- http_config
    upstream one { server %%first%%; }
--- config
    llm_proxy_route first one;
    llm_proxy_default_provider first;
    llm_ratelimit_key all;
    llm_ratelimit_tokens_per_minute 1000;
    llm_ratelimit_reserve_tokens 500;
    location /v1/ { llm_proxy; llm_ratelimit; proxy_pass http://$llm_provider_upstream; }
--- requests
POST /v1/chat/completions
{"model":"m","stream":true}
>>>
POST /v1/chat/completions
{"model":"m"}
>>>
POST /v1/chat/completions
{"model":"m"}
--- after
my ($first, $second, $third) = map { header($_, 'x-ratelimit-remaining-tokens') } $t->answers;
is($first, 500, 'half is reserved');
# Sixteen flow back each second.
ok($second >= 481 && $second < 495, "19 were used by the stream: $second left");
ok($third >= 462 && $third < 490, "19 more by the answer: $third left");

=== a number or auto
--- config
    llm_ratelimit_reserve_tokens some;
--- must_fail
invalid number "some" in "llm_ratelimit_reserve_tokens", give auto or a number of tokens
