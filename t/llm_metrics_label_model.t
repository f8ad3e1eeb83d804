# The label "model": names and patterns of the configuration, whatever clients ask for.

use Test::LLM 'no_plan';

use Test::LLM::Metrics;

run_tests();

__DATA__

=== a name of the catalog, a pattern, an alias' model, a fallback's
--- http_config
    upstream one { server %%first%%; }
    upstream two { server %%second%%; }
--- config
    llm_proxy_route first one;
    llm_proxy_route second two;
    llm_proxy_model_pattern exact first;
    llm_proxy_model_pattern gpt-* first;
    llm_proxy_model_pattern gpt-4* first;
    llm_proxy_model_pattern behind first;
    llm_proxy_model_alias public first/behind;
    llm_fallback_route first/exact second large;
    location /v1/ { llm_metrics; llm_metrics_label_model; llm_proxy; llm_fallback; proxy_pass http://$llm_provider_upstream; }
    location = /metrics { llm_metrics_export prometheus; }
--- provider_first
503 {"error":{}}

{"status":200,"json":{"usage":{"prompt_tokens":10,"completion_tokens":1,"total_tokens":11}},"times":6}
--- provider_second
200 {"usage":{"prompt_tokens":20,"completion_tokens":2,"total_tokens":22}}
--- requests
POST /v1/chat/completions
{"model":"exact"}
>>>
POST /v1/chat/completions
{"model":"EXACT"}
>>>
POST /v1/chat/completions
{"model":"gpt-3"}
>>>
POST /v1/chat/completions
{"model":"gpt-4o"}
>>>
POST /v1/chat/completions
{"model":"GPT-4O"}
>>>
POST /v1/chat/completions
{"model":"public"}
>>>
POST /v1/chat/completions
{"model":"first/gpt-5"}
>>>
POST /v1/chat/completions
{"model":"junk"}
--- error_code: 200*7 404
--- after
counts_are($t, <<'END');
llm_requests_total{provider="second",model="large",streaming="false",code="200"} 1
llm_requests_total{provider="first",model="exact",streaming="false",code="200"} 1
llm_requests_total{provider="first",model="gpt-*",streaming="false",code="200"} 2
llm_requests_total{provider="first",model="gpt-4*",streaming="false",code="200"} 2
llm_requests_total{provider="first",model="behind",streaming="false",code="200"} 1
llm_requests_total{provider="other",model="other",streaming="false",code="404"} 1
llm_attempts_total{provider="first",model="exact",outcome="upstream_5xx"} 1
llm_attempts_total{provider="first",model="exact",outcome="ok"} 1
llm_attempts_total{provider="first",model="gpt-*",outcome="ok"} 2
llm_attempts_total{provider="first",model="gpt-4*",outcome="ok"} 2
llm_attempts_total{provider="first",model="behind",outcome="ok"} 1
llm_attempts_total{provider="second",model="large",outcome="ok"} 1
llm_tokens_total{provider="first",model="exact",type="input"} 10
llm_tokens_total{provider="first",model="exact",type="output"} 1
llm_tokens_total{provider="first",model="gpt-*",type="input"} 20
llm_tokens_total{provider="first",model="gpt-*",type="output"} 2
llm_tokens_total{provider="first",model="gpt-4*",type="input"} 20
llm_tokens_total{provider="first",model="gpt-4*",type="output"} 2
llm_tokens_total{provider="first",model="behind",type="input"} 10
llm_tokens_total{provider="first",model="behind",type="output"} 1
llm_tokens_total{provider="second",model="large",type="input"} 20
llm_tokens_total{provider="second",model="large",type="output"} 2
llm_request_errors_total{provider="other",model="other",source="client"} 1
llm_request_duration_seconds_count{provider="first",model="exact"} 1
llm_request_duration_seconds_count{provider="first",model="gpt-*"} 2
llm_request_duration_seconds_count{provider="first",model="gpt-4*"} 2
llm_request_duration_seconds_count{provider="first",model="behind"} 1
llm_request_duration_seconds_count{provider="second",model="large"} 1
llm_request_duration_seconds_count{provider="other",model="other"} 1
END

=== it is off unless it is switched on
--- http_config
    upstream one { server %%first%%; }
--- config
    llm_proxy_route first one;
    llm_proxy_model_pattern exact first;
    location /v1/ { llm_metrics; llm_metrics_label_model off; llm_proxy; proxy_pass http://$llm_provider_upstream; }
    location = /metrics { llm_metrics_export prometheus; }
--- request
POST /v1/chat/completions
{"model":"exact"}
--- after
counts_are($t, "llm_requests_total{provider=\"first\",streaming=\"false\",code=\"200\"} 1\n");

=== on in one location: the others count as "other"
--- http_config
    upstream one { server %%first%%; }
    llm_metrics;
--- config
    llm_proxy_route first one;
    llm_proxy_model_pattern exact first;
    location /v1/ { llm_metrics_label_model; llm_proxy; proxy_pass http://$llm_provider_upstream; }
    location /other/v1/ { llm_proxy; proxy_pass http://$llm_provider_upstream; }
    location = /metrics { llm_metrics_export prometheus; }
--- requests
POST /v1/chat/completions
{"model":"exact"}
>>>
POST /other/v1/chat/completions
{"model":"exact"}
--- after
counts_are($t, <<'END');
llm_requests_total{provider="first",model="exact",streaming="false",code="200"} 1
llm_requests_total{provider="first",model="other",streaming="false",code="200"} 1
END

=== without a catalog no client makes a label
--- http_config
    upstream one { server %%first%%; }
--- config
    llm_proxy_route first one;
    llm_proxy_default_provider first;
    location /v1/ { llm_metrics; llm_metrics_label_model; llm_proxy; proxy_pass http://$llm_provider_upstream; }
    location = /metrics { llm_metrics_export prometheus; }
--- requests
POST /v1/chat/completions
{"model":"a"}
>>>
POST /v1/chat/completions
{"model":"b\"} 1 llm_evil 1 {x=\""}
>>>
POST /v1/chat/completions
{"model":"c\nllm_evil 1\n"}
>>>
POST /v1/chat/completions
{"model":"other"}
--- error_code: 200 200 400 200
--- after
counts_are($t, <<'END');
llm_requests_total{provider="first",model="other",streaming="false",code="200"} 3
llm_requests_total{provider="other",model="other",streaming="false",code="400"} 1
END

=== quotes, backslashes and other bytes in names of the configuration
--- http_config
    upstream one { server %%first%%; }
--- config
    llm_proxy_route first one;
    llm_proxy_model_pattern 'a"b' first;
    llm_proxy_model_pattern 'back\\slash' first;
    llm_proxy_model_pattern 'größe {x} ,=' first;
    llm_proxy_model_pattern '日本*' first;
    location /v1/ { llm_metrics; llm_metrics_label_model; llm_proxy; proxy_pass http://$llm_provider_upstream; }
    location = /metrics { llm_metrics_export prometheus; }
--- requests
POST /v1/chat/completions
{"model":"a\"b"}
>>>
POST /v1/chat/completions
{"model":"back\\slash"}
>>>
POST /v1/chat/completions
{"model":"größe {x} ,="}
>>>
POST /v1/chat/completions
{"model":"日本語"}
--- after
counts_are($t, <<'END');
llm_requests_total{provider="first",model="a\"b",streaming="false",code="200"} 1
llm_requests_total{provider="first",model="back\\slash",streaming="false",code="200"} 1
llm_requests_total{provider="first",model="größe {x} ,=",streaming="false",code="200"} 1
llm_requests_total{provider="first",model="日本*",streaming="false",code="200"} 1
END
text_is_sound($t, scrape($t)->{body});

=== bytes that are no UTF-8 in a name of the configuration
--- http_config
    upstream one { server %%first%%; }
--- config eval
<<"END";
    llm_proxy_route first one;
    llm_proxy_model_pattern "caf\xe9\xff" first;
    llm_proxy_model_pattern * first;
    location /v1/ { llm_metrics; llm_metrics_label_model; llm_proxy; proxy_pass http://\$llm_provider_upstream; }
    location = /metrics { llm_metrics_export prometheus; }
END
--- requests eval
"POST /v1/chat/completions\n{\"model\":\"caf\xef\xbf\xbd\xef\xbf\xbd\"}\n>>>\nPOST /v1/chat/completions\n{\"model\":\"x\"}\n"
--- after
counts_are($t, <<"END", 'they show as replacement characters');
llm_requests_total{provider="first",model="caf\xef\xbf\xbd\xef\xbf\xbd",streaming="false",code="200"} 1
llm_requests_total{provider="first",model="*",streaming="false",code="200"} 1
END

=== must be on or off
--- config
    llm_metrics_label_model all;
--- must_fail
invalid value "all" in "llm_metrics_label_model" directive, it must be "on" or "off"

=== at most once
--- config
    llm_metrics_label_model;
    llm_metrics_label_model;
--- must_fail
"llm_metrics_label_model" directive is duplicate
