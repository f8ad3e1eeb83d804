# The family of what became of a client's wish.

use Test::LLM 'no_plan';

use Test::LLM::Metrics;

run_tests();

__DATA__

=== served as asked, replaced, after a failure, and not at all
--- http_config
    upstream one { server %%first%%; }
    upstream two { server %%second%%; }
    upstream three { server %%third%%; }
--- config
    llm_proxy_route first one;
    llm_proxy_route second two;
    llm_proxy_route third three;
    llm_proxy_model_pattern a first;
    llm_proxy_model_pattern b third;
    llm_fallback_route first second other;
    llm_fallback_replace third second;
    location /v1/ { llm_metrics; llm_metrics_label_resolution_outcome; llm_proxy; llm_fallback; proxy_pass http://$llm_provider_upstream; }
    location = /metrics { llm_metrics_export prometheus; }
--- provider_first
200 {"ok":1}

503 {"error":{}}
--- requests
POST /v1/chat/completions
{"model":"a"}
>>>
POST /v1/chat/completions
{"model":"a"}
>>>
POST /v1/chat/completions
{"model":"b"}
>>>
POST /v1/chat/completions
{"model":"unknown"}
--- error_code: 200 200 200 404
--- after
counts_are($t, <<'END');
llm_resolution_outcome_total{provider="first",resolution_outcome="as_requested"} 1
llm_resolution_outcome_total{provider="second",resolution_outcome="fallback_after_failure"} 1
llm_resolution_outcome_total{provider="second",resolution_outcome="replaced_by_policy"} 1
llm_resolution_outcome_total{provider="other",resolution_outcome="rejected_unresolvable"} 1
END

=== it is off unless it is switched on
--- http_config
    upstream one { server %%first%%; }
--- config
    llm_proxy_route first one;
    llm_proxy_default_provider first;
    location /v1/ { llm_metrics; llm_proxy; proxy_pass http://$llm_provider_upstream; }
    location = /metrics { llm_metrics_export prometheus; }
--- request
POST /v1/chat/completions
{"model":"m"}
--- after
counts_are($t, <<'END');
llm_requests_total{provider="first",streaming="false",code="200"} 1
llm_resolution_outcome_total none
END

=== must be on or off
--- config
    llm_metrics_label_resolution_outcome x;
--- must_fail
invalid value "x" in "llm_metrics_label_resolution_outcome" directive, it must be "on" or "off"

=== at most once
--- config
    llm_metrics_label_resolution_outcome;
    llm_metrics_label_resolution_outcome;
--- must_fail
"llm_metrics_label_resolution_outcome" directive is duplicate
