# Limits of models and providers: a counter for each line and identity, found as in the catalog; by the
# model that an attempt goes to, or by the one that was asked for.

use Test::LLM 'no_plan';

use Test::LLM::Ledger;

run_tests();

__DATA__

=== the best line counts, and only that one
--- http_config
    upstream one { server %%first%%; }
    log_format l '$llm_requested_model $status "$llm_ratelimit_deny_reason"';
--- config
    llm_proxy_route first one;
    llm_proxy_default_provider first;
    llm_ratelimit_key all;
    llm_ratelimit_model_rpm gpt-* 1;
    llm_ratelimit_model_rpm gpt-4o 2;
    location /v1/ { llm_proxy; llm_ratelimit; proxy_pass http://$llm_provider_upstream; }
--- requests
POST /v1/chat/completions
{"model":"gpt-4o"}
>>>
POST /v1/chat/completions
{"model":"GPT-4o"}
>>>
POST /v1/chat/completions
{"model":"gpt-4o"}
>>>
POST /v1/chat/completions
{"model":"gpt-4o-mini"}
>>>
POST /v1/chat/completions
{"model":"gpt-5"}
>>>
POST /v1/chat/completions
{"model":"claude"}
>>>
POST /v1/chat/completions
{"model":"claude"}
--- error_code: 200 200 429 200 429 200 200
--- access_log
^gpt-4o 429 "request_budget_exhausted"$
^gpt-5 429 "request_budget_exhausted"$

=== each identity has its own, and what has a line does not count in the general limit
--- http_config
    upstream one { server %%first%%; }
--- config
    llm_proxy_route first one;
    llm_proxy_default_provider first;
    llm_ratelimit_key $http_x_id;
    llm_ratelimit_requests_per_minute 2;
    llm_ratelimit_model_rpm gpt-4o 1;
    location /v1/ { llm_proxy; llm_ratelimit; proxy_pass http://$llm_provider_upstream; }
--- requests
POST /v1/chat/completions
{"model":"gpt-4o"}
>>>
POST /v1/chat/completions
{"model":"gpt-4o"}
>>>
POST /v1/chat/completions
{"model":"gpt-4o"}
>>>
POST /v1/chat/completions
{"model":"other"}
>>>
POST /v1/chat/completions
{"model":"another"}
>>>
POST /v1/chat/completions
{"model":"third"}
--- more_headers
X-Id: a
>>>
X-Id: b
>>>
X-Id: a
>>>
X-Id: a
>>>
X-Id: a
>>>
X-Id: a
--- error_code: 200 200 429 200 200 429

=== tokens of a model
--- http_config
    upstream one { server %%first%%; }
--- config
    llm_proxy_route first one;
    llm_proxy_default_provider first;
    llm_ratelimit_key all;
    llm_ratelimit_reserve_tokens 60;
    llm_ratelimit_model_tpm big-* 70;
    location /v1/ { llm_proxy; llm_ratelimit; proxy_pass http://$llm_provider_upstream; }
--- requests
POST /v1/chat/completions
{"model":"big-a"}
>>>
POST /v1/chat/completions
{"model":"big-b"}
>>>
POST /v1/chat/completions
{"model":"small"}
--- error_code: 200 429 200
--- after
like(($t->answers)[1]{body}, qr/"token_budget_exhausted"/, 'the reason');

=== requests and tokens of a provider
--- http_config
    upstream one { server %%first%%; }
    upstream two { server %%second%%; }
--- config
    llm_proxy_route first one;
    llm_proxy_route second two;
    llm_proxy_model_pattern a-* first;
    llm_proxy_model_pattern b-* second;
    llm_ratelimit_key all;
    llm_ratelimit_reserve_tokens 60;
    llm_ratelimit_provider_rpm first 1;
    llm_ratelimit_provider_tpm second 70;
    location /v1/ { llm_proxy; llm_ratelimit; proxy_pass http://$llm_provider_upstream; }
--- requests
POST /v1/chat/completions
{"model":"a-1"}
>>>
POST /v1/chat/completions
{"model":"a-2"}
>>>
POST /v1/chat/completions
{"model":"b-1"}
>>>
POST /v1/chat/completions
{"model":"b-2"}
--- error_code: 200 429 200 429
--- after
my ($requests, $tokens) = map { $_->{body} } ($t->answers)[1, 3];
like($requests, qr/"request_budget_exhausted"/, 'the first has no requests left');
like($tokens, qr/"token_budget_exhausted"/, 'the second no tokens');

=== an attempt counts at the model and provider that it goes to; a target without room is passed over
--- http_config
    upstream one { server %%first%%; }
    upstream two { server %%second%%; }
    log_format l '$status $llm_chain';
--- config
    llm_proxy_route first one;
    llm_proxy_route second two;
    llm_proxy_model_pattern a first;
    llm_proxy_model_pattern b second;
    llm_fallback_route first second b;
    llm_ratelimit_key all;
    llm_ratelimit_model_rpm a 3;
    llm_ratelimit_provider_rpm second 1;
    location /v1/ { llm_proxy; llm_fallback; llm_ratelimit; proxy_pass http://$llm_provider_upstream; }
--- provider_first
{"status":500,"times":2}

{}
--- requests
POST /v1/chat/completions
{"model":"a"}
>>>
POST /v1/chat/completions
{"model":"a"}
>>>
POST /v1/chat/completions
{"model":"a"}
>>>
POST /v1/chat/completions
{"model":"a"}
>>>
POST /v1/chat/completions
{"model":"b"}
--- error_code: 200 500 200 429 429
--- access_log
^200 first/a:500:\d+ms, second/b:200:\d+ms$
^500 first/a:500:\d+ms, second/b:skipped\(limit\)$
--- provider_first_requests: 3
--- provider_second_requests: 1

=== with the basis requested the name that the client used counts, once
--- http_config
    upstream one { server %%first%%; }
    upstream two { server %%second%%; }
--- config
    llm_proxy_route first one;
    llm_proxy_route second two;
    llm_proxy_model_pattern a first;
    llm_proxy_model_pattern b second;
    llm_proxy_model_alias smart first/a;
    llm_fallback_route first second b;
    llm_ratelimit_key all;
    llm_ratelimit_model_basis requested;
    llm_ratelimit_provider_basis requested;
    llm_ratelimit_model_rpm smart 1;
    llm_ratelimit_model_rpm b 1;
    llm_ratelimit_provider_rpm second 1;
    location /v1/ { llm_proxy; llm_fallback; llm_ratelimit; proxy_pass http://$llm_provider_upstream; }
--- provider_first
{"status":500,"times":2}
--- requests
POST /v1/chat/completions
{"model":"smart"}
>>>
POST /v1/chat/completions
{"model":"smart"}
>>>
POST /v1/chat/completions
{"model":"a"}
>>>
POST /v1/chat/completions
{"model":"b"}
>>>
POST /v1/chat/completions
{"model":"b"}
--- error_code: 200 429 200 200 429
--- provider_first_requests: 2
--- provider_second_requests: 3

=== lines for translated requests leave those that are not alone
--- http_config
    upstream one { server %%first%%; }
--- config
    llm_proxy_route first one;
    llm_proxy_default_provider first;
    llm_ratelimit_key all;
    llm_ratelimit_translated_rpm 1;
    llm_ratelimit_translated_tpm 10;
    location /v1/ { llm_proxy; llm_ratelimit; proxy_pass http://$llm_provider_upstream; }
--- requests
POST /v1/chat/completions
{"model":"m"}
>>>
POST /v1/chat/completions
{"model":"m"}
--- error_code: 200

=== a pattern stands once
--- http_config
    upstream one { server %%first%%; }
--- config
    llm_proxy_route first one;
    llm_proxy_default_provider first;
    llm_ratelimit_key all;
    llm_ratelimit_model_rpm gpt-4o 1;
    llm_ratelimit_model_rpm GPT-4o 2;
    location /v1/ { llm_proxy; llm_ratelimit; proxy_pass http://$llm_provider_upstream; }
--- must_fail
duplicate pattern "GPT-4o" in "llm_ratelimit_model_rpm"

=== a number above zero
--- config
    llm_ratelimit_model_tpm gpt-4o none;
--- must_fail
invalid number "none" in "llm_ratelimit_model_tpm", give a whole number above 0

=== a pattern without a variable
--- config
    llm_ratelimit_provider_rpm $p 5;
--- must_fail
invalid pattern "$p" in "llm_ratelimit_provider_rpm", give a name or a wildcard such as gpt-*

=== the basis has two words
--- config
    llm_ratelimit_model_basis real;
--- must_fail
invalid value "real" in "llm_ratelimit_model_basis", it must be requested or effective

=== for providers, too
--- config
    llm_ratelimit_provider_basis real;
--- must_fail
invalid value "real" in "llm_ratelimit_provider_basis", it must be requested or effective
