# Retries are a share of a target's traffic at most, so that a provider in trouble is not asked more
# the more it fails. One is always allowed.

use Test::LLM 'no_plan';

run_tests();

__DATA__

=== of ten failing requests one is retried, and then one of every five
--- http_config
    upstream one { server %%first%%; }
--- config
    llm_proxy_route first one;
    llm_proxy_default_provider first;
    llm_fallback_retry 1 backoff=1ms..2ms;
    llm_fallback_retry_budget 20%;
    location /v1/ { llm_proxy; llm_fallback; proxy_pass http://$llm_provider_upstream; }
--- after
$t->mock->script(first => [ { status => 500, times => 'always' } ]);
my @attempts;
for (1 .. 12) {
    my $answer = $t->request(qq(POST /v1/chat/completions\n{"model":"m"}));
    push @attempts, Test::LLM::Client::header_values($answer, 'x-fallback-attempt-count');
}
# Of the attempts until then, the retry included, at most a fifth are retries.
is("@attempts", '2 1 1 1 1 1 1 2 1 1 1 2', 'attempts of each request');

=== what the budget keeps back is told
--- http_config
    upstream one { server %%first%%; }
--- config
    llm_proxy_route first one;
    llm_proxy_default_provider first;
    llm_fallback_retry 1 backoff=1ms..2ms;
    llm_fallback_retry_budget 10%;
    location /v1/ { llm_proxy; llm_fallback; proxy_pass http://$llm_provider_upstream; }
--- provider_first
{"status":500,"times":3}
--- requests
POST /v1/chat/completions
{"model":"m"}
>>>
POST /v1/chat/completions
{"model":"m"}
--- error_code: 500
--- response_headers
X-Fallback-Attempt-Count: 2
X-Fallback-Suppressed-Reason: no_target
>>>
X-Fallback-Attempt-Count: 1
X-Fallback-Suppressed: 1
X-Fallback-Suppressed-Reason: retry_budget

=== the chain goes on where the budget is used up
--- http_config
    upstream one { server %%first%%; }
    upstream two { server %%second%%; }
--- config
    llm_proxy_route first one;
    llm_proxy_route second two;
    llm_proxy_default_provider first;
    llm_fallback_route first second;
    llm_fallback_retry 1 backoff=1ms..2ms;
    llm_fallback_retry_budget 10%;
    llm_fallback_max_attempts 3;
    location /v1/ { llm_proxy; llm_fallback; proxy_pass http://$llm_provider_upstream; }
--- provider_first
{"status":500,"times":3}
--- requests
POST /v1/chat/completions
{"model":"m"}
>>>
POST /v1/chat/completions
{"model":"m"}
--- response_headers
X-LLM-Chain: ~^first/m:500:\d+ms, first/m:500:\d+ms, second/m:200:\d+ms$
>>>
X-LLM-Chain: ~^first/m:500:\d+ms, second/m:200:\d+ms$

=== each target has its own, shared by all workers
--- http_config
    upstream one { server %%first%%; }
--- config
    llm_proxy_route first one;
    llm_proxy_route second one;
    llm_proxy_model_pattern a first;
    llm_proxy_model_pattern b first;
    llm_proxy_model_pattern c second;
    llm_fallback_retry 1 backoff=1ms..2ms;
    llm_fallback_retry_budget 10%;
    location /v1/ { llm_proxy; llm_fallback; proxy_pass http://$llm_provider_upstream; }
--- workers: 2
--- after
$t->mock->script(first => [ { status => 500, times => 'always' } ]);
for my $model (qw(a b c)) {
    my $retried = 0;
    for (1 .. 8) {
        my $answer = $t->request(qq(POST /v1/chat/completions\n{"model":"$model"}));
        my ($attempts) = Test::LLM::Client::header_values($answer, 'x-fallback-attempt-count');
        $retried += $attempts - 1;
    }
    is($retried, 1, "one retry for $model");
}

=== requests that went well make room
--- http_config
    upstream one { server %%first%%; }
--- config
    llm_proxy_route first one;
    llm_proxy_default_provider first;
    llm_fallback_retry 1 backoff=1ms..2ms;
    llm_fallback_retry_budget 50%;
    location /v1/ { llm_proxy; llm_fallback; proxy_pass http://$llm_provider_upstream; }
--- provider_first
{"times":4}

{"status":500,"times":2}

{"status":500,"times":2}

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
--- error_code: 200*4 500*3
--- provider_first_requests: 10

=== off is no limit, and undoes what is written above
--- http_config
    upstream one { server %%first%%; }
    llm_fallback_retry_budget 1%;
    llm_fallback_retry 1 backoff=1ms..2ms;
--- config
    llm_proxy_route first one;
    llm_proxy_default_provider first;
    location /v1/ {
        llm_proxy; llm_fallback; llm_fallback_retry_budget off;
        proxy_pass http://$llm_provider_upstream;
    }
--- provider_first
{"status":500,"times":6}
--- requests
POST /v1/chat/completions
{"model":"m"}
>>>
POST /v1/chat/completions
{"model":"m"}
>>>
POST /v1/chat/completions
{"model":"m"}
--- error_code: 500
--- response_headers
X-Fallback-Attempt-Count: 2

=== nothing may be retried with a budget of nothing
--- http_config
    upstream one { server %%first%%; }
--- config
    llm_proxy_route first one;
    llm_proxy_default_provider first;
    llm_fallback_retry 1 backoff=1ms..2ms;
    llm_fallback_retry_budget 0;
    location /v1/ { llm_proxy; llm_fallback; proxy_pass http://$llm_provider_upstream; }
--- provider_first
{"status":500}
--- request
POST /v1/chat/completions
{"model":"m"}
--- error_code: 500
--- response_headers
X-Fallback-Suppressed-Reason: retry_budget

=== a share is no more than all
--- config
    llm_fallback_retry_budget 120%;
--- must_fail
invalid percentage "120%" in "llm_fallback_retry_budget", give one from 0 to 100 such as 20%, or off in %%root%%/nginx.conf

=== a share is a number
--- config
    llm_fallback_retry_budget some;
--- must_fail
invalid percentage "some" in "llm_fallback_retry_budget", give one from 0 to 100 such as 20%, or off in %%root%%/nginx.conf

=== llm_fallback_retry_budget is written once
--- config
    llm_fallback_retry_budget 10%;
    llm_fallback_retry_budget 20%;
--- must_fail
"llm_fallback_retry_budget" directive is duplicate in %%root%%/nginx.conf
