# Targets of another dialect. Without translation they cannot serve the request and are passed over.

use Test::LLM 'no_plan';

run_tests();

__DATA__

=== a target of another dialect is passed over
--- http_config
    upstream one { server %%first%%; }
    upstream two { server %%second%%; }
    upstream three { server %%third%%; }
--- config
    llm_proxy_route first one;
    llm_proxy_route second two anthropic;
    llm_proxy_route third three;
    llm_proxy_default_provider first;
    llm_fallback_route first second;
    llm_fallback_route first third;
    llm_fallback_translation_fallback forbid;
    location /v1/ { llm_proxy; llm_fallback; proxy_pass http://$llm_provider_upstream; }
--- provider_first
{"status":500}
--- request
POST /v1/chat/completions
{"model":"m"}
--- response_headers
X-LLM-Chain: ~^first/m:500:\d+ms, second/m:skipped\(translation\), third/m:200:\d+ms$
X-LLM-Provider: third
--- provider_second_requests: 0

=== where only such targets are left the chain ends
--- http_config
    upstream one { server %%first%%; }
    upstream two { server %%second%%; }
--- config
    llm_proxy_route first one anthropic;
    llm_proxy_route second two;
    llm_proxy_default_provider first;
    llm_fallback_route first second;
    llm_fallback_translation_fallback forbid;
    location /v1/ { llm_proxy; llm_fallback; proxy_pass http://$llm_provider_upstream; }
--- provider_first
{"status":529}
--- request
POST /v1/messages
{"model":"m","max_tokens":5,"messages":[]}
--- error_code: 529
--- response_headers
X-Fallback-Suppressed: 1
X-Fallback-Suppressed-Reason: translation_forbidden
X-LLM-Chain: ~^first/m:529:\d+ms, second/m:skipped\(translation\)$
--- provider_second_requests: 0

=== endpoints without a dialect go anywhere
--- http_config
    upstream one { server %%first%%; }
    upstream two { server %%second%%; }
--- config
    llm_proxy_route first one;
    llm_proxy_route second two anthropic;
    llm_proxy_default_provider first;
    llm_fallback_route first second;
    llm_fallback_translation_fallback forbid;
    location /v1/ { llm_proxy; llm_fallback; proxy_pass http://$llm_provider_upstream; }
--- provider_first
{"status":500}
--- request
GET /v1/models
--- response_headers
X-LLM-Chain: ~^first:500:\d+ms, second:200:\d+ms$

=== llm_fallback_translation_fallback has three words
--- config
    llm_fallback_translation_fallback never;
--- must_fail
invalid value "never" in "llm_fallback_translation_fallback", it must be allow or discourage or forbid in %%root%%/nginx.conf

=== all three are taken
--- config
    location /1/ { llm_fallback_translation_fallback allow; }
    location /2/ { llm_fallback_translation_fallback discourage; }
    location /3/ { llm_fallback_translation_fallback forbid; }
--- must_load

=== llm_fallback_translation_fallback is written once
--- config
    llm_fallback_translation_fallback allow;
    llm_fallback_translation_fallback forbid;
--- must_fail
"llm_fallback_translation_fallback" directive is duplicate in %%root%%/nginx.conf
