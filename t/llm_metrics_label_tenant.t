# The label "tenant": only names that the configuration knows.

use Test::LLM 'no_plan';

use Test::LLM::Metrics;

run_tests();

__DATA__

=== requests, errors, tokens and costs by tenant
--- http_config
    upstream one { server %%first%%; }
    llm_cost_rate first * 1 1;
--- config
    llm_proxy_route first one;
    llm_proxy_default_provider first;
    llm_metrics_tenant_source $http_x_tenant red blue;
    location /v1/ { llm_metrics; llm_metrics_label_tenant; llm_proxy; llm_cost; proxy_pass http://$llm_provider_upstream; }
    location = /metrics { llm_metrics_export prometheus; }
--- provider_first
200 {"usage":{"prompt_tokens":10,"completion_tokens":1,"total_tokens":11}}

200 {"usage":{"prompt_tokens":20,"completion_tokens":2,"total_tokens":22}}

500 {"error":{}}

{"status":200,"json":{"usage":{"prompt_tokens":30,"completion_tokens":3,"total_tokens":33}},"times":2}
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
X-Tenant: red
>>>
X-Tenant: blue
>>>
X-Tenant: blue
>>>
X-Tenant: green
>>>
--- error_code: 200 200 500 200 200
--- after
counts_are($t, <<'END');
llm_requests_total{provider="first",tenant="red",streaming="false",code="200"} 1
llm_requests_total{provider="first",tenant="blue",streaming="false",code="200"} 1
llm_requests_total{provider="first",tenant="blue",streaming="false",code="500"} 1
llm_requests_total{provider="first",tenant="other",streaming="false",code="200"} 2
llm_request_errors_total{provider="first",tenant="blue",source="provider"} 1
llm_tokens_total{provider="first",tenant="red",type="input"} 10
llm_tokens_total{provider="first",tenant="red",type="output"} 1
llm_tokens_total{provider="first",tenant="blue",type="input"} 20
llm_tokens_total{provider="first",tenant="blue",type="output"} 2
llm_tokens_total{provider="first",tenant="other",type="input"} 60
llm_tokens_total{provider="first",tenant="other",type="output"} 6
llm_cost_units_total{provider="first",tenant="red",unit="usd"} 0.00001100
llm_cost_units_total{provider="first",tenant="blue",unit="usd"} 0.00002200
llm_cost_units_total{provider="first",tenant="other",unit="usd"} 0.00006600
llm_request_duration_seconds_count{provider="first"} 5
END

=== a thousand names of tenants make no series
--- http_config
    upstream one { server %%first%%; keepalive 4; }
    keepalive_requests 2000;
--- config
    llm_proxy_route first one;
    llm_proxy_default_provider first;
    llm_metrics_tenant_source $arg_tenant red;
    location /v1/ { llm_metrics; llm_metrics_label_tenant; llm_proxy; proxy_pass http://$llm_provider_upstream; }
    location = /metrics { llm_metrics_export prometheus; }
--- requests eval
CORE::join ">>>\n", map {"POST /v1/chat/completions?tenant=$_\n{\"model\":\"m\"}\n"} 'red', 1 .. 1000
--- after
counts_are($t, <<'END');
llm_requests_total{provider="first",tenant="red",streaming="false",code="200"} 1
llm_requests_total{provider="first",tenant="other",streaming="false",code="200"} 1000
END

=== with the label of the model, and in a request that was refused
--- http_config
    upstream one { server %%first%%; }
--- config
    llm_proxy_route first one;
    llm_proxy_model_pattern m first;
    llm_metrics_tenant_source $http_x_tenant red;
    location /v1/ { llm_metrics; llm_metrics_label_tenant; llm_metrics_label_model; llm_proxy; proxy_pass http://$llm_provider_upstream; }
    location = /metrics { llm_metrics_export prometheus; }
--- requests
POST /v1/chat/completions
{"model":"m"}
>>>
POST /v1/chat/completions
{"model":"junk"}
--- more_headers
X-Tenant: red
--- error_code: 200 404
--- after
counts_are($t, <<'END');
llm_requests_total{provider="first",model="m",tenant="red",streaming="false",code="200"} 1
llm_requests_total{provider="other",model="other",tenant="red",streaming="false",code="404"} 1
llm_attempts_total{provider="first",model="m",outcome="ok"} 1
END

=== must be on or off
--- config
    llm_metrics_label_tenant 1;
--- must_fail
invalid value "1" in "llm_metrics_label_tenant" directive, it must be "on" or "off"

=== at most once
--- config
    llm_metrics_label_tenant;
    llm_metrics_label_tenant;
--- must_fail
"llm_metrics_label_tenant" directive is duplicate
