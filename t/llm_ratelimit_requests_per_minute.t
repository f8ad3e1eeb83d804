# A bucket of requests: it holds n and a burst, and refills evenly. Nothing here waits for a minute: what
# is left, and when there will be more, is in the answers.

use Test::LLM 'no_plan';

use Test::LLM::Ledger;

run_tests();

__DATA__

=== three a minute are three at once, then one every twenty seconds
--- http_config
    upstream one { server %%first%%; }
    log_format l '$status "$llm_ratelimit_deny_reason" "$llm_ratelimit_quota_remaining" "$llm_ratelimit_retry_after"';
--- config
    llm_proxy_route first one;
    llm_proxy_default_provider first;
    llm_ratelimit_key $http_x_id;
    llm_ratelimit_requests_per_minute 3;
    location /v1/ { llm_proxy; llm_ratelimit; proxy_pass http://$llm_provider_upstream; }
--- more_headers
X-Id: a
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
x-ratelimit-limit-requests: 3
x-ratelimit-remaining-requests: 2
>>>
x-ratelimit-remaining-requests: 1
>>>
x-ratelimit-remaining-requests: 0
!Retry-After
>>>
Retry-After: ~^(19|20)$
Content-Type: application/json
--- access_log
^200 "-?" "2" "-?"$
^429 "request_budget_exhausted" "0" "(19|20)"$
--- provider_first_requests: 3
--- after
my $body = JSON::PP::decode_json(($t->answers)[3]{body});
is($body->{error}{code}, 'request_budget_exhausted', 'the reason');
like($body->{error}{type}, qr/rate_limit/, 'the dialect has a type for it');

=== a burst is on top, and flows back at the same rate
--- http_config
    upstream one { server %%first%%; }
--- config
    llm_proxy_route first one;
    llm_proxy_default_provider first;
    llm_ratelimit_key all;
    llm_ratelimit_requests_per_minute 2;
    llm_ratelimit_burst_requests 1;
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
--- after
my $wait = header(($t->answers)[3], 'retry-after');
ok($wait > 20 && $wait <= 30, "the next one in $wait of 30 seconds");

=== what is due flows back
--- http_config
    upstream one { server %%first%%; }
--- config
    llm_proxy_route first one;
    llm_proxy_default_provider first;
    llm_ratelimit_key all;
    llm_ratelimit_requests_per_minute 60;
    location /v1/ { llm_proxy; llm_ratelimit; proxy_pass http://$llm_provider_upstream; }
--- after
my $ask = sub { $t->request(qq(POST /v1/chat/completions\n{"model":"m"}))->{status} };
my $passed = 0;
# More than sixty pass if it takes long: one every second.
while ($ask->() eq '200') { last if ++$passed > 1000 }
ok($passed >= 60 && $passed <= 1000, "$passed until it is empty");
ok((wait_until { $ask->() eq '200' } 5), 'and one more a second later');

=== each identity has its own
--- http_config
    upstream one { server %%first%%; }
--- config
    llm_proxy_route first one;
    llm_proxy_default_provider first;
    llm_ratelimit_key "$http_x_org/$http_x_id";
    llm_ratelimit_requests_per_minute 1;
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
--- more_headers
X-Org: o
X-Id: a
>>>
X-Org: o
X-Id: b
>>>
X-Org: o
X-Id: a
>>>
X-Org: o
X-Id: b
--- error_code: 200 200 429 429

=== locations count for themselves only if their limits differ
--- http_config
    upstream one { server %%first%%; }
    llm_ratelimit_key $http_x_id;
    llm_ratelimit_requests_per_minute 2;
--- config
    llm_proxy_route first one;
    llm_proxy_default_provider first;
    llm_ratelimit;
    location /v1/ { llm_proxy; proxy_pass http://$llm_provider_upstream; }
    location /v1/completions { llm_proxy; proxy_pass http://$llm_provider_upstream; }
    location /v1/embeddings { llm_proxy; llm_ratelimit off; proxy_pass http://$llm_provider_upstream; }
--- more_headers
X-Id: a
--- requests
POST /v1/chat/completions
{"model":"m"}
>>>
POST /v1/completions
{"model":"m","prompt":""}
>>>
POST /v1/chat/completions
{"model":"m"}
>>>
POST /v1/embeddings
{"model":"m","input":"a"}
--- error_code: 200 200 429 200

=== two workers count together
--- workers: 2
--- http_config
    upstream one { server %%first%%; }
--- config
    llm_proxy_route first one;
    llm_proxy_default_provider first;
    llm_ratelimit_key all;
    llm_ratelimit_requests_per_minute 10;
    location /v1/ { llm_proxy; llm_ratelimit; proxy_pass http://$llm_provider_upstream; }
--- request
POST /v1/chat/completions
{"model":"m"}
--- concurrent: 40
--- error_code: 200*10 429*30
--- provider_first_requests: 10

=== an error of the provider has taken its place, a refusal has not
--- http_config
    upstream one { server %%first%%; }
--- config
    llm_proxy_route first one;
    llm_proxy_model_pattern known first;
    llm_proxy_default_provider first;
    llm_ratelimit_key all;
    llm_ratelimit_requests_per_minute 3;
    location /v1/ { llm_proxy; llm_ratelimit; proxy_pass http://$llm_provider_upstream; }
--- provider_first
{"status":500}

{"status":400}

{}
--- requests
POST /v1/chat/completions
{"model":"unknown"}
>>>
POST /v1/chat/completions
not JSON
>>>
POST /v1/chat/completions
{"model":"known"}
>>>
POST /v1/chat/completions
{"model":"known"}
>>>
POST /v1/chat/completions
{"model":"known"}
>>>
POST /v1/chat/completions
{"model":"known"}
--- error_code: 404 400 500 400 200 429

=== a fallback takes no second place of the client
--- http_config
    upstream one { server %%first%%; }
    upstream two { server %%second%%; }
--- config
    llm_proxy_route first one;
    llm_proxy_route second two;
    llm_proxy_default_provider first;
    llm_fallback_route first second;
    llm_ratelimit_key all;
    llm_ratelimit_requests_per_minute 2;
    location /v1/ { llm_proxy; llm_fallback; llm_ratelimit; proxy_pass http://$llm_provider_upstream; }
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
--- error_code: 200 200 429
--- response_headers
x-ratelimit-remaining-requests: 1
>>>
x-ratelimit-remaining-requests: 0
>>>
Retry-After: ~^\d+$
--- provider_second_requests: 2

=== the connection stays, and a message in the other dialect says the same
--- http_config
    upstream one { server %%first%%; }
--- config
    llm_proxy_route first one anthropic;
    llm_proxy_default_provider first;
    llm_ratelimit_key all;
    llm_ratelimit_requests_per_minute 1;
    location /v1/ { llm_proxy; llm_ratelimit; proxy_pass http://$llm_provider_upstream; }
--- requests
POST /v1/messages
{"model":"m","max_tokens":5,"messages":[]}
>>>
POST /v1/messages
{"model":"m","max_tokens":5,"messages":[]}
--- error_code: 200 429
--- response_headers
Connection: keep-alive
>>>
Retry-After: ~^\d+$
Connection: keep-alive
Content-Type: application/json
X-LLM-Event-Id: ~^[0-9a-f]{32}$
--- after
my $body = JSON::PP::decode_json(($t->answers)[1]{body});
is($body->{type}, 'error', 'an error of Anthropic\'s');
is($body->{error}{type}, 'rate_limit_error', 'of its type');

=== numbers must be whole and above zero
--- config
    llm_ratelimit_requests_per_minute 0;
--- must_fail
invalid number "0" in "llm_ratelimit_requests_per_minute", give a whole number above 0

=== not a word
--- config
    llm_ratelimit_burst_requests many;
--- must_fail
invalid number "many" in "llm_ratelimit_burst_requests", give a whole number above 0

=== not negative
--- config
    llm_ratelimit_tokens_per_minute -5;
--- must_fail
invalid number "-5" in "llm_ratelimit_tokens_per_minute", give a whole number above 0

=== once in a block
--- config
    llm_ratelimit_requests_per_minute 5;
    llm_ratelimit_requests_per_minute 6;
--- must_fail
"llm_ratelimit_requests_per_minute" directive is duplicate
