# Tokens in two families more, as sums.

use Test::LLM 'no_plan';

use Test::LLM::Metrics;

run_tests();

__DATA__

=== input with the cache's part, and output; streamed or not
--- http_config
    upstream one { server %%first%%; }
--- config
    llm_proxy_route first one;
    llm_proxy_default_provider first;
    location /v1/ { llm_metrics; llm_metrics_emit_usage; llm_proxy; proxy_pass http://$llm_provider_upstream; }
    location = /metrics { llm_metrics_export prometheus; }
--- provider_first
200 {"usage":{"prompt_tokens":100,"completion_tokens":40,"total_tokens":140,"prompt_tokens_details":{"cached_tokens":30}}}

sse
{"id":"1","choices":[{"delta":{"content":"a"},"finish_reason":"stop"}]}
{"id":"1","choices":[],"usage":{"prompt_tokens":10,"completion_tokens":4,"total_tokens":14}}
[DONE]

500 {"error":{}}
--- requests
POST /v1/chat/completions
{"model":"m"}
>>>
POST /v1/chat/completions
{"model":"m","stream":true}
>>>
POST /v1/chat/completions
{"model":"m"}
--- error_code: 200 200 500
--- after
counts_are($t, <<'END');
llm_prompt_tokens_total{provider="first"} 110
llm_completion_tokens_total{provider="first"} 44
llm_tokens_total{provider="first",type="input"} 80
llm_tokens_total{provider="first",type="cache_read"} 30
llm_tokens_total{provider="first",type="output"} 44
END

=== it is off unless it is switched on
--- http_config
    upstream one { server %%first%%; }
--- config
    llm_proxy_route first one;
    llm_proxy_default_provider first;
    location /v1/ { llm_metrics; llm_metrics_emit_usage off; llm_proxy; proxy_pass http://$llm_provider_upstream; }
    location = /metrics { llm_metrics_export prometheus; }
--- provider_first
200 {"usage":{"prompt_tokens":100,"completion_tokens":40,"total_tokens":140}}
--- request
POST /v1/chat/completions
{"model":"m"}
--- after
counts_are($t, <<'END');
llm_tokens_total{provider="first",type="input"} 100
llm_tokens_total{provider="first",type="output"} 40
llm_prompt_tokens_total none
llm_completion_tokens_total none
END

=== must be on or off
--- config
    llm_metrics_emit_usage x;
--- must_fail
invalid value "x" in "llm_metrics_emit_usage" directive, it must be "on" or "off"

=== at most once
--- config
    llm_metrics_emit_usage;
    llm_metrics_emit_usage;
--- must_fail
"llm_metrics_emit_usage" directive is duplicate
