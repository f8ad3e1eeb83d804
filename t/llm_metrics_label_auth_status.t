# The family of what became of the search for a provider's key.

use Test::LLM 'no_plan';

use Test::LLM::Metrics;

run_tests();

__DATA__

=== found, and not found
--- http_config
    upstream one { server %%first%%; }
--- config
    llm_proxy_route first one;
    llm_proxy_default_provider first;
    llm_auth_tenant $http_x_tenant;
    llm_auth_tenant_credential red first sk-red-SECRET-1;
    location /v1/ { llm_metrics; llm_metrics_label_auth_status; llm_proxy; llm_auth; proxy_pass http://$llm_provider_upstream; }
    location = /metrics { llm_metrics_export prometheus; }
--- requests
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
X-Tenant: red
>>>
X-Tenant: blue
--- error_code: 200 200 500
--- after
counts_are($t, <<'END');
llm_auth_status_total{provider="first",auth_status="resolved"} 2
llm_auth_status_total{provider="other",auth_status="missing_credential"} 1
END

=== off, and without llm_auth, there is none
--- http_config
    upstream one { server %%first%%; }
    llm_metrics;
--- config
    llm_proxy_route first one;
    llm_proxy_default_provider first;
    llm_auth_credential first sk-SECRET-1;
    location /v1/ { llm_proxy; llm_auth; proxy_pass http://$llm_provider_upstream; }
    location /plain/v1/ { llm_metrics_label_auth_status; llm_proxy; proxy_pass http://$llm_provider_upstream; }
    location = /metrics { llm_metrics_export prometheus; }
--- requests
POST /v1/chat/completions
{"model":"m"}
>>>
POST /plain/v1/chat/completions
{"model":"m"}
--- after
counts_are($t, <<'END');
llm_requests_total{provider="first",streaming="false",code="200"} 2
llm_auth_status_total none
END

=== must be on or off
--- config
    llm_metrics_label_auth_status x;
--- must_fail
invalid value "x" in "llm_metrics_label_auth_status" directive, it must be "on" or "off"

=== at most once
--- config
    llm_metrics_label_auth_status;
    llm_metrics_label_auth_status;
--- must_fail
"llm_metrics_label_auth_status" directive is duplicate
