# What health does to the order of targets: nothing (basic), benched ones are skipped (health), and
# the best of equals goes first (latency).

use Test::LLM 'no_plan';

run_tests();

__DATA__

=== basic: the chain is walked in its order, however often a target has failed
--- http_config
    upstream one { server %%first%%; }
    upstream two { server %%second%%; }
--- config
    llm_proxy_route first one;
    llm_proxy_route second two;
    llm_proxy_default_provider first;
    llm_fallback_route first second;
    llm_fallback_cooldown 60s fails=1;
    location /v1/ { llm_proxy; llm_fallback; proxy_pass http://$llm_provider_upstream; }
--- provider_first
{"status":500}

{"status":429,"headers":{"retry-after":"60"}}

{"status":500}
--- requests
POST /v1/chat/completions
{"model":"m"}
>>>
POST /v1/chat/completions
{"model":"m"}
>>>
POST /v1/chat/completions
{"model":"m"}
--- response_headers
X-LLM-Chain: ~^first/m:\d+:\d+ms, second/m:200:\d+ms$

=== health: a target that has failed too often is skipped
--- http_config
    upstream one { server %%first%%; }
    upstream two { server %%second%%; }
    log_format mode '$llm_route_mode $llm_resolution_outcome $llm_provider';
--- config
    llm_proxy_route first one;
    llm_proxy_route second two;
    llm_proxy_default_provider first;
    llm_fallback_route first second model-b;
    llm_fallback_mode health;
    llm_fallback_cooldown 60s fails=2;
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
--- response_headers
X-LLM-Chain: ~^first/m:500:\d+ms, second/model-b:200:\d+ms$
X-Fallback-Attempted: 1
X-Fallback-Attempt-Count: 2
>>>
X-LLM-Chain: ~^first/m:500:\d+ms, second/model-b:200:\d+ms$
>>>
X-LLM-Chain: ~^first/m:skipped\(benched\), second/model-b:200:\d+ms$
X-Fallback-Attempted: 0
X-Fallback-Attempt-Count: 1
X-Fallback-Primary: first
X-Fallback-Effective: second
--- access_log
\Aprovider_fallback fallback_after_failure second\n
\nprovider_fallback \S+ second\n\z
--- provider_second_got_body: {"model":"model-b"}

=== health: in the middle of the chain, too
--- http_config
    upstream one { server %%first%%; }
    upstream two { server %%second%%; }
    upstream three { server %%third%%; }
--- config
    llm_proxy_route first one;
    llm_proxy_route second two;
    llm_proxy_route third three;
    llm_proxy_model_pattern m first;
    llm_proxy_model_pattern m2 second;
    llm_fallback_route first second m2;
    llm_fallback_route first third;
    llm_fallback_max_attempts 3;
    llm_fallback_mode health;
    llm_fallback_cooldown 60s fails=1;
    location /v1/ { llm_proxy; llm_fallback; proxy_pass http://$llm_provider_upstream; }
--- provider_second
{"status":500}
--- provider_first
{"status":500}
--- requests
POST /v1/chat/completions
{"model":"m2"}
>>>
POST /v1/chat/completions
{"model":"m"}
--- error_code: 500 200
--- response_headers
X-LLM-Chain: ~^second/m2:500:\d+ms$
>>>
X-LLM-Chain: ~^first/m:500:\d+ms, second/m2:skipped\(benched\), third/m:200:\d+ms$

=== health: only the model that fails is benched
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
--- provider_first
{"status":500,"when":{"model":"bad"}}

{"times":"always"}
--- requests
POST /v1/chat/completions
{"model":"bad"}
>>>
POST /v1/chat/completions
{"model":"good"}
>>>
POST /v1/chat/completions
{"model":"BAD"}
--- response_headers
X-LLM-Provider: second
>>>
X-LLM-Provider: first
>>>
X-LLM-Chain: ~^first/BAD:skipped\(benched\), second/BAD:200:\d+ms$

=== health: only the key that fails is benched
--- http_config
    upstream one { server %%first%%; }
--- config
    llm_proxy_route first one;
    llm_proxy_default_provider first;
    llm_auth;
    llm_auth_credential first sk-one-SECRET-1 id=one;
    llm_auth_credential first sk-two-SECRET-2 id=two;
    llm_fallback_mode health;
    llm_fallback_cooldown 60s fails=1;
    add_header X-Key $llm_auth_credential;
    location /v1/ { llm_proxy; llm_fallback; proxy_pass http://$llm_provider_upstream; }
--- provider_first
{"status":401}

{"times":"always"}
--- after
my @answers = map { $t->request(qq(POST /v1/chat/completions\n{"model":"m"})) } 1 .. 20;
my @keys = map { Test::LLM::Client::header_values($_, 'x-key') } @answers;
is(scalar @keys, 20, 'all are answered');
is((grep { $_ eq $keys[0] } @keys), 20, 'with the key that is well');

=== health: requests at fault themselves bench nobody
--- http_config
    upstream one { server %%first%%; }
    upstream two { server %%second%%; }
--- config
    llm_proxy_route first one;
    llm_proxy_route second two;
    llm_proxy_default_provider first;
    llm_fallback_route first second;
    llm_fallback_on context_length not_found content_filter upstream_5xx;
    llm_fallback_mode health;
    llm_fallback_cooldown 60s fails=1;
    location /v1/ { llm_proxy; llm_fallback; proxy_pass http://$llm_provider_upstream; }
--- provider_first
{"status":400}

{"status":422}

{"error":"context_length_exceeded"}

{"error":"content_policy_violation"}

{"status":404}

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
--- error_code: 400 422 200*4
--- provider_first_requests: 6

=== health: a stream that breaks after its first words counts as a failure
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
--- provider_first
{"fault":"cut","after":5,"words":20}
--- requests
POST /v1/chat/completions
{"model":"m","stream":true}
>>>
POST /v1/chat/completions
{"model":"m","stream":true}
--- incomplete_response: 1
--- response_headers
X-LLM-Provider: first
>>>
X-LLM-Chain: ~^first/m:skipped\(benched\), second/m:200:\d+ms$

=== health: a client that goes away says nothing about the provider
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
--- provider_first
{"fault":"stall","after":3,"words":20}

{}
--- request
POST /v1/chat/completions
{"model":"m","stream":true}
--- abort_after: "content":"Hello"
--- provider_first_client_closed: 1
--- after
my $answer = $t->request(qq(POST /v1/chat/completions\n{"model":"m"}));
my ($provider) = Test::LLM::Client::header_values($answer, 'x-llm-provider');
is($provider, 'first', 'still the first');

=== latency: of equals the one goes first that was faster
--- http_config
    upstream one { server %%closed%%; }
    upstream two { server %%slow%%; }
    upstream three { server %%fast%%; }
--- config
    llm_proxy_route first one;
    llm_proxy_route slow two;
    llm_proxy_route fast three;
    llm_proxy_default_provider first;
    llm_fallback_route first slow;
    llm_fallback_route first fast;
    llm_fallback_mode latency;
    llm_fallback_cooldown 60s fails=100;
    location /v1/ { llm_proxy; llm_fallback; proxy_pass http://$llm_provider_upstream; }
--- provider_slow
{"first_ms":300}
--- provider_fast
{"first_ms":10,"times":3}
--- requests
POST /v1/chat/completions
{"model":"m","stream":true}
>>>
POST /v1/chat/completions
{"model":"m","stream":true}
>>>
POST /v1/chat/completions
{"model":"m","stream":true}
>>>
POST /v1/chat/completions
{"model":"m","stream":true}
--- response_headers
X-LLM-Chain: ~^first/m:connect_error:\d+ms, slow/m:200:\d+ms$
>>>
X-LLM-Chain: ~^first/m:connect_error:\d+ms, fast/m:200:\d+ms$
>>>
X-LLM-Chain: ~^first/m:connect_error:\d+ms, fast/m:200:\d+ms$
>>>
X-LLM-Chain: ~^first/m:connect_error:\d+ms, fast/m:200:\d+ms$

=== latency: of equals the one goes first that failed less
--- http_config
    upstream one { server %%closed%%; }
    upstream two { server %%bad%%; }
    upstream three { server %%good%%; }
--- config
    llm_proxy_route first one;
    llm_proxy_route bad two;
    llm_proxy_route good three;
    llm_proxy_default_provider first;
    llm_fallback_route first bad;
    llm_fallback_route first good;
    llm_fallback_max_attempts 3;
    llm_fallback_mode latency;
    llm_fallback_cooldown 60s fails=100;
    location /v1/ { llm_proxy; llm_fallback; proxy_pass http://$llm_provider_upstream; }
--- provider_bad
{"status":500}
--- requests
POST /v1/chat/completions
{"model":"m"}
>>>
POST /v1/chat/completions
{"model":"m"}
--- response_headers
X-LLM-Chain: ~^first/m:connect_error:\d+ms, bad/m:500:\d+ms, good/m:200:\d+ms$
>>>
X-LLM-Chain: ~^first/m:connect_error:\d+ms, good/m:200:\d+ms$

=== latency: the first target stays the first, and lists keep their order
--- http_config
    upstream one { server %%slow%%; }
    upstream two { server %%fast%%; }
--- config
    llm_proxy_route first one;
    llm_proxy_route second two;
    llm_proxy_default_provider first;
    llm_fallback_route first second;
    llm_fallback_mode latency;
    location /v1/ { llm_proxy; llm_fallback; proxy_pass http://$llm_provider_upstream; }
--- provider_slow
{"first_ms":200,"times":2}
--- requests
POST /v1/chat/completions
{"model":"m","stream":true}
>>>
POST /v1/chat/completions
{"model":"m","stream":true}
--- response_headers
X-LLM-Provider: first

=== latency: benched targets are skipped as well
--- http_config
    upstream one { server %%first%%; }
    upstream two { server %%second%%; }
--- config
    llm_proxy_route first one;
    llm_proxy_route second two;
    llm_proxy_default_provider first;
    llm_fallback_route first second;
    llm_fallback_mode latency;
    llm_fallback_cooldown 60s fails=1;
    location /v1/ { llm_proxy; llm_fallback; proxy_pass http://$llm_provider_upstream; }
--- provider_first
{"status":500}
--- requests
POST /v1/chat/completions
{"model":"m"}
>>>
POST /v1/chat/completions
{"model":"m"}
--- response_headers
X-LLM-Chain: ~^first/m:500:\d+ms, second/m:200:\d+ms$
>>>
X-LLM-Chain: ~^first/m:skipped\(benched\), second/m:200:\d+ms$

=== it is inherited
--- http_config
    upstream one { server %%first%%; }
    upstream two { server %%second%%; }
    llm_fallback_mode health;
    llm_fallback_cooldown 60s fails=1;
--- config
    llm_proxy_route first one;
    llm_proxy_route second two;
    llm_proxy_default_provider first;
    llm_fallback_route first second;
    location /health/v1/ { llm_proxy; llm_fallback; proxy_pass http://$llm_provider_upstream; }
    location /basic/v1/ { llm_proxy; llm_fallback; llm_fallback_mode basic; proxy_pass http://$llm_provider_upstream; }
--- provider_first
{"status":500}

{}
--- requests
POST /health/v1/chat/completions
{"model":"m"}
>>>
POST /health/v1/chat/completions
{"model":"m"}
>>>
POST /basic/v1/chat/completions
{"model":"m"}
--- response_headers
X-LLM-Provider: second
>>>
X-LLM-Provider: second
>>>
X-LLM-Provider: first

=== llm_fallback_mode has three words
--- config
    llm_fallback_mode fastest;
--- must_fail
invalid value "fastest" in "llm_fallback_mode", it must be basic or health or latency in %%root%%/nginx.conf

=== llm_fallback_mode is written once
--- config
    llm_fallback_mode health;
    llm_fallback_mode latency;
--- must_fail
"llm_fallback_mode" directive is duplicate in %%root%%/nginx.conf
