# Rules of any key: all that apply must pass, and one that refuses takes nothing of the others.

use Test::LLM 'no_plan';

use Test::LLM::Ledger;

run_tests();

__DATA__

=== all must pass, and a refusal costs nothing elsewhere
--- http_config
    upstream one { server %%first%%; }
    log_format l '$status "$llm_ratelimit_deny_reason" "$llm_ratelimit_scope"';
--- config
    llm_proxy_route first one;
    llm_proxy_default_provider first;
    llm_ratelimit_rule $http_x_user requests 1/h;
    llm_ratelimit_rule $http_x_team requests 3/h;
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
>>>
POST /v1/chat/completions
{"model":"m"}
--- more_headers
X-User: a
X-Team: t
>>>
X-User: a
X-Team: t
>>>
X-User: b
X-Team: t
>>>
X-User: c
X-Team: t
>>>
X-User: d
X-Team: t
--- error_code: 200 429 200 200 429
--- access_log
^429 "request_budget_exhausted" "[^"]*requests[^"]*"$
--- after
# The tighter one decides: an hour for the user, twenty minutes for the team.
my ($user, $team) = map { header($_, 'retry-after') } ($t->answers)[1, 4];
ok($user > 3500 && $user <= 3600, "the user waits $user");
ok($team > 1100 && $team <= 1200, "the team waits $team");
unlike($_->{body}, qr/"[abcdt]"/, 'no identity is told') for ($t->answers)[1, 4];

=== a rule whose key is empty does not apply
--- http_config
    upstream one { server %%first%%; }
--- config
    llm_proxy_route first one;
    llm_proxy_default_provider first;
    llm_ratelimit_rule $http_x_user requests 1/h;
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
--- error_code: 200

=== burst= is on top of the number
--- http_config
    upstream one { server %%first%%; }
--- config
    llm_proxy_route first one;
    llm_proxy_default_provider first;
    llm_ratelimit_rule all requests 1/h burst=2;
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
--- error_code: 200*3 429

=== windows have words, and times
--- http_config
    upstream one { server %%first%%; }
--- config
    llm_proxy_route first one;
    llm_proxy_default_provider first;
    llm_ratelimit;
    location /second/ { llm_ratelimit_rule second requests 1/s; llm_proxy; proxy_pass http://$llm_provider_upstream; }
    location /minute/ { llm_ratelimit_rule minute requests 1/minute; llm_proxy; proxy_pass http://$llm_provider_upstream; }
    location /hour/ { llm_ratelimit_rule hour requests 1/h; llm_proxy; proxy_pass http://$llm_provider_upstream; }
    location /day/ { llm_ratelimit_rule day requests 1/day; llm_proxy; proxy_pass http://$llm_provider_upstream; }
    location /time/ { llm_ratelimit_rule time requests 1/30s; llm_proxy; proxy_pass http://$llm_provider_upstream; }
--- after
my %seconds = (minute => 60, hour => 3600, day => 86_400, time => 30);
for my $word (sort keys %seconds) {
    my $ask = sub { $t->request(qq(POST /$word/v1/chat/completions\n{"model":"m"})) };
    is($ask->()->{status}, '200', "$word: the first passes");
    my $wait = header($ask->(), 'retry-after');
    ok($wait <= $seconds{$word} && $wait > $seconds{$word} * 0.5, "$word: then $wait seconds");
}

=== tokens may count as input, output, or without what a cache had
--- http_config
    upstream one { server %%first%%; }
--- config
    llm_proxy_route first one;
    llm_proxy_default_provider first;
    llm_ratelimit;
    llm_ratelimit_reserve_tokens 0;
    location /total/ { llm_ratelimit_rule total tokens 1000/day; llm_proxy; proxy_pass http://$llm_provider_upstream; }
    location /input/ { llm_ratelimit_rule input tokens 1000/day count=input; llm_proxy; proxy_pass http://$llm_provider_upstream; }
    location /output/ { llm_ratelimit_rule output tokens 1000/day count=output; llm_proxy; proxy_pass http://$llm_provider_upstream; }
    location /uncached/ { llm_ratelimit_rule uncached tokens 1000/day count=uncached; llm_proxy; proxy_pass http://$llm_provider_upstream; }
--- provider_first
{"times":"always","json":{"choices":[{"message":{"content":"a"}}],"usage":{"prompt_tokens":500,"completion_tokens":100,"prompt_tokens_details":{"cached_tokens":300}}}}
--- after
my %used = (total => 600, input => 500, output => 100, uncached => 300);
for my $word (sort keys %used) {
    my $ask = sub { $t->request(qq(POST /$word/v1/chat/completions\n{"model":"m"})) };
    my ($before, $after) = map { header($ask->(), 'x-ratelimit-remaining-tokens') } 1, 2;
    is($before - $after, $used{$word}, "$word: $used{$word} were counted");
}

=== model= and provider= choose the requests that a rule is for
--- http_config
    upstream one { server %%first%%; }
    upstream two { server %%second%%; }
--- config
    llm_proxy_route first one;
    llm_proxy_route second two;
    llm_proxy_model_pattern gpt-* first;
    llm_proxy_model_pattern claude-* second;
    llm_ratelimit_rule all requests 1/h model=gpt-4*;
    llm_ratelimit_rule all requests 2/h provider=second;
    location /v1/ { llm_proxy; llm_ratelimit; proxy_pass http://$llm_provider_upstream; }
--- requests
POST /v1/chat/completions
{"model":"gpt-4o"}
>>>
POST /v1/chat/completions
{"model":"GPT-4.1"}
>>>
POST /v1/chat/completions
{"model":"gpt-3"}
>>>
POST /v1/chat/completions
{"model":"claude-a"}
>>>
POST /v1/chat/completions
{"model":"claude-b"}
>>>
POST /v1/chat/completions
{"model":"claude-c"}
--- error_code: 200 429 200 200 200 429

=== what a nested block says replaces what is above it
--- http_config
    upstream one { server %%first%%; }
    llm_ratelimit_rule all requests 1/h;
--- config
    llm_proxy_route first one;
    llm_proxy_default_provider first;
    llm_ratelimit;
    location /v1/ { llm_proxy; proxy_pass http://$llm_provider_upstream; }
    location /other/ { llm_ratelimit_rule all requests 2/h; llm_proxy; proxy_pass http://$llm_provider_upstream; }
--- requests
POST /other/v1/chat/completions
{"model":"m"}
>>>
POST /other/v1/chat/completions
{"model":"m"}
>>>
POST /other/v1/chat/completions
{"model":"m"}
--- error_code: 200 200 429

=== a limit must be one of three
--- config
    llm_ratelimit_rule $http_x_user bytes 5/s;
--- must_fail
invalid limit "bytes" in "llm_ratelimit_rule", it must be requests, tokens or concurrency

=== a rate needs a window
--- config
    llm_ratelimit_rule $http_x_user requests 5;
--- must_fail
invalid rate "5" in "llm_ratelimit_rule", give a number above 0 and a window of at most 366 days, such as 600/m, 10/s or 5000/12h

=== and a window that is one
--- config
    llm_ratelimit_rule $http_x_user requests 5/fortnight;
--- must_fail
invalid rate "5/fortnight" in "llm_ratelimit_rule"

=== requests have no count=
--- config
    llm_ratelimit_rule $http_x_user requests 5/s count=input;
--- must_fail
invalid parameter "count=input" in "llm_ratelimit_rule", it must be burst=<number>, model=<pattern> or provider=<pattern>

=== count= has four words
--- config
    llm_ratelimit_rule $http_x_user tokens 5/s count=cached;
--- must_fail
invalid parameter "count=cached" in "llm_ratelimit_rule"

=== a parameter stands once
--- config
    llm_ratelimit_rule $http_x_user requests 5/s burst=1 burst=2;
--- must_fail
duplicate burst in "llm_ratelimit_rule": "burst=2"

=== a key must not be empty
--- config
    llm_ratelimit_rule "" requests 5/s;
--- must_fail
"llm_ratelimit_rule" needs a key with variables, not ""

=== a variable must exist
--- http_config
    upstream one { server %%first%%; }
--- config
    llm_proxy_route first one;
    llm_proxy_default_provider first;
    llm_ratelimit_rule $no_such_variable requests 5/s;
    location /v1/ { llm_proxy; llm_ratelimit; proxy_pass http://$llm_provider_upstream; }
--- must_fail
unknown "no_such_variable" variable

=== two rules must not count the same
--- http_config
    upstream one { server %%first%%; }
--- config
    llm_proxy_route first one;
    llm_proxy_default_provider first;
    llm_ratelimit_rule $http_x_user requests 5/s;
    llm_ratelimit_rule $http_x_user requests 7/s;
    location /v1/ { llm_proxy; llm_ratelimit; proxy_pass http://$llm_provider_upstream; }
--- must_fail
duplicate rule "requests 7/1s" for the key "$http_x_user" in "llm_ratelimit_rule": it counts the same as another one

=== a pattern must be one
--- config
    llm_ratelimit_rule $http_x_user requests 5/s model=;
--- must_fail
invalid pattern "model=" in "llm_ratelimit_rule", give a name or a wildcard such as gpt-*
