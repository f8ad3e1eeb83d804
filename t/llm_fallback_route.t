# Where a failed request goes next: edges from providers and from models, ordered lists, chains of
# them, and what cannot be a chain. Every provider here is one server that always fails, so that the
# chain in the answer tells the whole way.

use Test::LLM 'no_plan';

run_tests();

__DATA__

=== several lines with one "from" are its ordered list
--- http_config
    upstream all { server %%all%%; }
--- config
    llm_proxy_route a all;
    llm_proxy_route b all;
    llm_proxy_route c all;
    llm_proxy_route d all;
    llm_proxy_default_provider a;
    llm_fallback_route a c;
    llm_fallback_route a b;
    llm_fallback_route a d;
    llm_fallback_max_attempts 4;
    location /v1/ { llm_proxy; llm_fallback; proxy_pass http://$llm_provider_upstream; }
--- provider_all
{"status":500,"times":"always"}
--- request
POST /v1/chat/completions
{"model":"m"}
--- error_code: 500
--- response_headers
X-LLM-Chain: ~^a/m:500:\d+ms, c/m:500:\d+ms, b/m:500:\d+ms, d/m:500:\d+ms$

=== chains follow: first the list of the first, then the lists of those
--- http_config
    upstream all { server %%all%%; }
--- config
    llm_proxy_route a all;
    llm_proxy_route b all;
    llm_proxy_route c all;
    llm_proxy_route d all;
    llm_proxy_route e all;
    llm_proxy_default_provider a;
    llm_fallback_route b d;
    llm_fallback_route a b;
    llm_fallback_route c e;
    llm_fallback_route a c;
    llm_fallback_max_attempts 9;
    location /v1/ { llm_proxy; llm_fallback; proxy_pass http://$llm_provider_upstream; }
--- provider_all
{"status":500,"times":"always"}
--- request
POST /v1/chat/completions
{"model":"m"}
--- error_code: 500
--- response_headers
X-LLM-Chain: ~^a/m:500:\d+ms, b/m:500:\d+ms, c/m:500:\d+ms, d/m:500:\d+ms, e/m:500:\d+ms$
X-Fallback-Attempt-Count: 5

=== a chain of many providers is walked to its end
--- http_config
    upstream all { server %%all%%; keepalive 1; }
--- config
    llm_proxy_route p0 all;
    llm_proxy_route p1 all;
    llm_proxy_route p2 all;
    llm_proxy_route p3 all;
    llm_proxy_route p4 all;
    llm_proxy_route p5 all;
    llm_proxy_route p6 all;
    llm_proxy_route p7 all;
    llm_proxy_route p8 all;
    llm_proxy_route p9 all;
    llm_proxy_default_provider p0;
    llm_fallback_route p0 p1;
    llm_fallback_route p1 p2;
    llm_fallback_route p2 p3;
    llm_fallback_route p3 p4;
    llm_fallback_route p4 p5;
    llm_fallback_route p5 p6;
    llm_fallback_route p6 p7;
    llm_fallback_route p7 p8;
    llm_fallback_route p8 p9;
    llm_fallback_max_attempts 10;
    location /v1/ { llm_proxy; llm_fallback; proxy_pass http://$llm_provider_upstream; }
--- provider_all
{"status":500,"times":9}

{}
--- request
POST /v1/chat/completions
{"model":"m"}
--- response_headers
X-LLM-Provider: p9
X-Fallback-Attempt-Count: 10
X-LLM-Chain: ~^p0/m:500:\d+ms, .*p8/m:500:\d+ms, p9/m:200:\d+ms$

=== a place that two lists name is asked once
--- http_config
    upstream all { server %%all%%; }
--- config
    llm_proxy_route a all;
    llm_proxy_route b all;
    llm_proxy_route c all;
    llm_proxy_default_provider a;
    llm_fallback_route a b;
    llm_fallback_route a c;
    llm_fallback_route b c;
    llm_fallback_max_attempts 9;
    location /v1/ { llm_proxy; llm_fallback; proxy_pass http://$llm_provider_upstream; }
--- provider_all
{"status":500,"times":"always"}
--- request
POST /v1/chat/completions
{"model":"m"}
--- error_code: 500
--- response_headers
X-LLM-Chain: ~^a/m:500:\d+ms, b/m:500:\d+ms, c/m:500:\d+ms$

=== a provider without an edge has no chain
--- http_config
    upstream all { server %%all%%; }
--- config
    llm_proxy_route a all;
    llm_proxy_route b all;
    llm_proxy_model_pattern a-* a;
    llm_proxy_model_pattern b-* b;
    llm_fallback_route a b;
    location /v1/ { llm_proxy; llm_fallback; proxy_pass http://$llm_provider_upstream; }
--- provider_all
{"status":500,"times":"always"}
--- request
POST /v1/chat/completions
{"model":"b-1"}
--- error_code: 500
--- response_headers
X-LLM-Chain: ~^b/b-1:500:\d+ms$
X-Fallback-Suppressed: 1
X-Fallback-Suppressed-Reason: no_target

=== the model that an edge names is sent in both spellings, and kept by the edges behind it
--- http_config
    upstream all { server %%all%%; }
--- config
    llm_proxy_route a all;
    llm_proxy_route b all;
    llm_proxy_route c all;
    llm_proxy_route d all;
    llm_proxy_default_provider a;
    llm_fallback_route a b big;
    llm_fallback_route b c;
    llm_fallback_route c d/Small;
    llm_fallback_max_attempts 4;
    location /v1/ { llm_proxy; llm_fallback; proxy_pass http://$llm_provider_upstream; }
--- provider_all
{"status":500,"times":"always"}
--- request
POST /v1/chat/completions
{"model":"m"}
--- error_code: 500
--- response_headers
X-LLM-Chain: ~^a/m:500:\d+ms, b/big:500:\d+ms, c/big:500:\d+ms, d/Small:500:\d+ms$
--- provider_all_got_json
{"model":"m"}
>>>
{"model":"big"}
>>>
{"model":"big"}
>>>
{"model":"Small"}

=== the same provider with another model is another target
--- http_config
    upstream all { server %%all%%; }
--- config
    llm_proxy_route a all;
    llm_proxy_default_provider a;
    llm_fallback_route a/big a/small;
    llm_fallback_route a/small a/tiny;
    llm_fallback_max_attempts 3;
    location /v1/ { llm_proxy; llm_fallback; proxy_pass http://$llm_provider_upstream; }
--- provider_all
{"status":500,"times":2}

{}
--- request
POST /v1/chat/completions
{"model":"BIG"}
--- response_json
{"model":"tiny"}
--- response_headers
X-LLM-Chain: ~^a/BIG:500:\d+ms, a/small:500:\d+ms, a/tiny:200:\d+ms$

=== of several "from" that match only the most specific one counts, whatever the order
--- http_config
    upstream all { server %%all%%; }
--- config
    llm_proxy_route a all;
    llm_proxy_route any all;
    llm_proxy_route wide all;
    llm_proxy_route narrow all;
    llm_proxy_route exact all;
    llm_proxy_default_provider a;
    llm_fallback_route a any;
    llm_fallback_route a/gpt-* wide;
    llm_fallback_route a/gpt-5 exact;
    llm_fallback_route a/gpt-5-* narrow;
    llm_fallback_max_attempts 9;
    location /v1/ { llm_proxy; llm_fallback; proxy_pass http://$llm_provider_upstream; }
--- provider_all
{"status":500,"times":"always"}
--- requests
POST /v1/chat/completions
{"model":"other"}
>>>
POST /v1/chat/completions
{"model":"gpt-4"}
>>>
POST /v1/chat/completions
{"model":"GPT-5-mini"}
>>>
POST /v1/chat/completions
{"model":"gpt-5"}
>>>
GET /v1/models
--- error_code: 500
--- response_headers
X-LLM-Chain: ~^a/other:500:\d+ms, any/other:500:\d+ms$
>>>
X-LLM-Chain: ~^a/gpt-4:500:\d+ms, wide/gpt-4:500:\d+ms$
>>>
X-LLM-Chain: ~^a/GPT-5-mini:500:\d+ms, narrow/GPT-5-mini:500:\d+ms$
>>>
X-LLM-Chain: ~^a/gpt-5:500:\d+ms, exact/gpt-5:500:\d+ms$
>>>
X-LLM-Chain: ~^a:500:\d+ms, any:500:\d+ms$

=== a pattern in "to" lets its models pass and keeps their names
--- http_config
    upstream all { server %%all%%; }
--- config
    llm_proxy_route a all;
    llm_proxy_route b all;
    llm_proxy_route c all;
    llm_proxy_default_provider a;
    llm_fallback_route a b/gpt-*;
    llm_fallback_route a c;
    llm_fallback_max_attempts 3;
    location /v1/ { llm_proxy; llm_fallback; proxy_pass http://$llm_provider_upstream; }
--- provider_all
{"status":500,"times":"always"}
--- requests
POST /v1/chat/completions
{"model":"gpt-5"}
>>>
POST /v1/chat/completions
{"model":"llama"}
--- error_code: 500
--- response_headers
X-LLM-Chain: ~^a/gpt-5:500:\d+ms, b/gpt-5:500:\d+ms, c/gpt-5:500:\d+ms$
>>>
X-LLM-Chain: ~^a/llama:500:\d+ms, c/llama:500:\d+ms$

=== the way starts at the provider and the model that an alias stands for
--- http_config
    upstream all { server %%all%%; }
--- config
    llm_proxy_route a all;
    llm_proxy_route b all;
    llm_proxy_model_pattern none a;
    llm_proxy_model_alias fast a/real;
    llm_fallback_route a/fast b/wrong;
    llm_fallback_route a/real b/right;
    location /v1/ { llm_proxy; llm_fallback; proxy_pass http://$llm_provider_upstream; }
--- provider_all
{"status":500,"times":"always"}
--- request
POST /v1/chat/completions
{"model":"fast"}
--- error_code: 500
--- response_headers
X-LLM-Chain: ~^a/real:500:\d+ms, b/right:500:\d+ms$

=== a fallback may use a model that the catalog does not give to clients
--- http_config
    upstream all { server %%all%%; }
--- config
    llm_proxy_route a all;
    llm_proxy_route b all;
    llm_proxy_model_pattern public a;
    llm_fallback_route a b internal;
    location /v1/ { llm_proxy; llm_fallback; proxy_pass http://$llm_provider_upstream; }
--- provider_all
{"status":500}

{}
--- requests
POST /v1/chat/completions
{"model":"public"}
>>>
POST /v1/chat/completions
{"model":"internal"}
--- error_code: 200 404
--- response_json
{"model":"internal"}
>>>
{"error":{"code":"model_not_found"}}

=== a model's name with commas, blanks and letters of all kinds is plain ASCII in the chain
--- http_config
    upstream all { server %%all%%; }
--- config
    llm_proxy_route a all;
    llm_proxy_route b all;
    llm_proxy_default_provider a;
    llm_fallback_route a b;
    location /v1/ { llm_proxy; llm_fallback; proxy_pass http://$llm_provider_upstream; }
--- provider_all
{"status":500}

{}
--- request
POST /v1/chat/completions
{"model":"x, é\u00e9:200:1ms%"}
--- response_headers
X-LLM-Chain: ~^a/x%2C%20%C3%A9%C3%A9:200:1ms%25:500:\d+ms, b/x%2C%20%C3%A9%C3%A9:200:1ms%25:200:\d+ms$

=== a target that cannot hold the request is passed over
--- http_config
    upstream all { server %%all%%; }
--- config
    llm_proxy_route a all;
    llm_proxy_route small all max_input=100;
    llm_proxy_route large all max_input=100000;
    llm_proxy_default_provider a;
    llm_fallback_route a small;
    llm_fallback_route a large;
    llm_fallback_max_attempts 2;
    location /v1/ { llm_proxy; llm_fallback; proxy_pass http://$llm_provider_upstream; }
--- provider_all
{"status":500}

{}
--- request
POST /v1/chat/completions
--- request_body_eval
'{"model":"m","messages":[{"role":"user","content":"' . 'word ' x 1000 . '"}]}'
--- response_headers
X-LLM-Chain: ~^a/m:500:\d+ms, small/m:skipped\(context\), large/m:200:\d+ms$
X-LLM-Provider: large

=== a request that the first target cannot hold goes to the next one at once
--- http_config
    upstream all { server %%all%%; }
--- config
    llm_proxy_route small all max_input=100;
    llm_proxy_route large all max_input=100000;
    llm_proxy_default_provider small;
    llm_fallback_route small large;
    location /v1/ { llm_proxy; llm_fallback; proxy_pass http://$llm_provider_upstream; }
--- request
POST /v1/chat/completions
--- request_body_eval
'{"model":"m","messages":[{"role":"user","content":"' . 'word ' x 1000 . '"}]}'
--- response_headers
X-LLM-Chain: ~^small/m:skipped\(context\), large/m:200:\d+ms$
X-LLM-Provider: large
X-Fallback-Attempt-Count: 1
--- provider_all_requests: 1

=== a target without a key is passed over
--- http_config
    upstream all { server %%all%%; }
--- config
    llm_proxy_route a all;
    llm_proxy_route b all;
    llm_proxy_route c all;
    llm_proxy_default_provider a;
    llm_auth;
    llm_auth_tenant $arg_tenant;
    llm_auth_credential a sk-a-SECRET-1;
    llm_auth_tenant_credential one b sk-b-SECRET-2;
    llm_auth_tenant_credential one c sk-c-SECRET-3;
    llm_auth_tenant_credential two c sk-c-SECRET-4;
    llm_auth_tenant_fallback_shared on;
    llm_fallback_route a b;
    llm_fallback_route a c;
    location /v1/ { llm_proxy; llm_fallback; proxy_pass http://$llm_provider_upstream; }
--- provider_all
{"status":500}

{}
--- request
POST /v1/chat/completions?tenant=two
{"model":"m"}
--- response_headers
X-LLM-Chain: ~^a/m:500:\d+ms, b/m:skipped\(key\), c/m:200:\d+ms$
--- provider_all_got

POST /v1/chat/completions?tenant=two
authorization: Bearer sk-a-SECRET-1

POST /v1/chat/completions?tenant=two
authorization: Bearer sk-c-SECRET-4

=== the lines of an inner level take the place of all those above
--- http_config
    upstream all { server %%all%%; }
    llm_fallback_route a b;
    llm_fallback_route b c;
--- config
    llm_proxy_route a all;
    llm_proxy_route b all;
    llm_proxy_route c all;
    llm_proxy_default_provider a;
    llm_fallback_max_attempts 9;
    location /outer/v1/ { llm_proxy; llm_fallback; proxy_pass http://$llm_provider_upstream; }
    location /inner/v1/ {
        llm_proxy;
        llm_fallback;
        llm_fallback_route a c;
        proxy_pass http://$llm_provider_upstream;
    }
--- provider_all
{"status":500,"times":"always"}
--- requests
POST /outer/v1/chat/completions
{"model":"m"}
>>>
POST /inner/v1/chat/completions
{"model":"m"}
--- error_code: 500
--- response_headers
X-LLM-Chain: ~^a/m:500:\d+ms, b/m:500:\d+ms, c/m:500:\d+ms$
>>>
X-LLM-Chain: ~^a/m:500:\d+ms, c/m:500:\d+ms$

=== a cycle of two
--- http_config
    upstream all { server %%closed%%; }
--- config
    llm_proxy_route a all;
    llm_proxy_route b all;
    llm_proxy_default_provider a;
    llm_fallback_route a b;
    llm_fallback_route b a;
    location / { llm_proxy; llm_fallback; proxy_pass http://$llm_provider_upstream; }
--- must_fail
llm_fallback_route: cyclic fallback graph detected: "a" -> "b" -> "a" in %%root%%/nginx.conf

=== a cycle of three, by way of models
--- http_config
    upstream all { server %%closed%%; }
--- config
    llm_proxy_route a all;
    llm_proxy_route b all;
    llm_proxy_route c all;
    llm_proxy_default_provider a;
    llm_fallback_route a b/model-b;
    llm_fallback_route b/model-* c;
    llm_fallback_route c a;
    location / { llm_proxy; llm_fallback; proxy_pass http://$llm_provider_upstream; }
--- must_fail
llm_fallback_route: cyclic fallback graph detected: "a" -> "b" -> "c" -> "a" in %%root%%/nginx.conf

=== an edge to itself
--- http_config
    upstream all { server %%closed%%; }
--- config
    llm_proxy_route a all;
    llm_proxy_default_provider a;
    llm_fallback_route a a;
    location / { llm_proxy; llm_fallback; proxy_pass http://$llm_provider_upstream; }
--- must_fail
llm_fallback_route: cyclic fallback graph detected: "a" -> "a" in %%root%%/nginx.conf

=== what looks like a cycle but ends, because the models differ
--- http_config
    upstream all { server %%all%%; }
--- config
    llm_proxy_route a all;
    llm_proxy_route b all;
    llm_proxy_default_provider a;
    llm_fallback_route a/one b/two;
    llm_fallback_route b/two a/three;
    llm_fallback_max_attempts 3;
    location /v1/ { llm_proxy; llm_fallback; proxy_pass http://$llm_provider_upstream; }
--- must_load
--- provider_all
{"status":500,"times":"always"}
--- request
POST /v1/chat/completions
{"model":"one"}
--- error_code: 500
--- response_headers
X-LLM-Chain: ~^a/one:500:\d+ms, b/two:500:\d+ms, a/three:500:\d+ms$

=== the same edge twice
--- http_config
    upstream all { server %%closed%%; }
--- config
    llm_proxy_route a all;
    llm_proxy_route b all;
    llm_proxy_default_provider a;
    llm_fallback_route a b model-b;
    llm_fallback_route a b/model-b;
    location / { llm_proxy; llm_fallback; proxy_pass http://$llm_provider_upstream; }
--- must_fail
llm_fallback_route: identical edge "a b/model-b", keep one in %%root%%/nginx.conf

=== an edge to a provider that has no route
--- http_config
    upstream all { server %%closed%%; }
--- config
    llm_proxy_route a all;
    llm_proxy_default_provider a;
    llm_fallback_route a b;
    location / { llm_proxy; llm_fallback; proxy_pass http://$llm_provider_upstream; }
--- must_fail
llm_fallback_route provider "b" is unknown, add llm_proxy_route b <upstream> in %%root%%/nginx.conf

=== an edge from a provider that has no route
--- http_config
    upstream all { server %%closed%%; }
--- config
    llm_proxy_route a all;
    llm_proxy_default_provider a;
    llm_fallback_route b a;
    location / { llm_proxy; llm_fallback; proxy_pass http://$llm_provider_upstream; }
--- must_fail
llm_fallback_route provider "b" is unknown, add llm_proxy_route b <upstream> in %%root%%/nginx.conf

=== a model to send has no star
--- config
    llm_fallback_route a b model-*;
--- must_fail
invalid model "model-*" in "llm_fallback_route", the model to send cannot have a "*" in %%root%%/nginx.conf

=== two models to send
--- config
    llm_fallback_route a b/one two;
--- must_fail
"llm_fallback_route a b/one" names two models to send, keep one in %%root%%/nginx.conf

=== a provider is no pattern
--- config
    llm_fallback_route a* b;
--- must_fail
invalid target "a*" in "llm_fallback_route", it must be provider or provider/model in %%root%%/nginx.conf

=== a target without a provider
--- config
    llm_fallback_route a /model;
--- must_fail
invalid target "/model" in "llm_fallback_route", it must be provider or provider/model in %%root%%/nginx.conf

=== a target with an empty model
--- config
    llm_fallback_route a b/;
--- must_fail
invalid model name "" in "llm_fallback_route", use 1 to 256 bytes without control characters in %%root%%/nginx.conf

=== an edge has two ends
--- config
    llm_fallback_route a;
--- must_fail
invalid number of arguments in "llm_fallback_route" directive in %%root%%/nginx.conf

=== an edge has not four parts
--- config
    llm_fallback_route a b c d;
--- must_fail
invalid number of arguments in "llm_fallback_route" directive in %%root%%/nginx.conf

=== an edge to a provider that can never have a key
--- http_config
    upstream all { server %%closed%%; }
--- config
    llm_proxy_route a all;
    llm_proxy_route b all;
    llm_proxy_default_provider a;
    llm_auth;
    llm_auth_credential a sk-a-SECRET-1;
    llm_fallback_route a b;
    location / { llm_proxy; llm_fallback; proxy_pass http://$llm_provider_upstream; }
--- must_fail
provider "b"
llm_auth_credential

=== an edge that the attempts never reach is warned about
--- http_config
    upstream all { server %%closed%%; }
--- config
    llm_proxy_route a all;
    llm_proxy_route b all;
    llm_proxy_route c all;
    llm_proxy_default_provider a;
    llm_fallback_route a b;
    llm_fallback_route b c;
    location / { llm_proxy; llm_fallback; proxy_pass http://$llm_provider_upstream; }
--- must_warn
the chain of "a" has 3 targets and llm_fallback_max_attempts 2 ends it before "c" in %%root%%/nginx.conf

=== lines of a location where nothing falls back are not checked against its routes
--- http_config
    upstream all { server %%closed%%; }
    llm_fallback_route a b;
--- config
    llm_proxy_route a all;
    llm_proxy_default_provider a;
    location / { llm_proxy; proxy_pass http://$llm_provider_upstream; }
--- must_load
