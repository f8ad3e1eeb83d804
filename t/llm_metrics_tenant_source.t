# Where a tenant's name comes from, and which names may be labels.

use Test::LLM 'no_plan';

use Test::LLM::Metrics;

run_tests();

__DATA__

=== a text with several variables
--- http_config
    upstream one { server %%first%%; }
--- config
    llm_proxy_route first one;
    llm_proxy_default_provider first;
    llm_metrics_tenant_source "$http_x_org/$http_x_team" acme/ai;
    location /v1/ { llm_metrics; llm_metrics_label_tenant; llm_proxy; proxy_pass http://$llm_provider_upstream; }
    location = /metrics { llm_metrics_export prometheus; }
--- request
POST /v1/chat/completions
{"model":"m"}
--- more_headers
X-Org: acme
X-Team: ai
--- after
counts_are($t, "llm_requests_total{provider=\"first\",tenant=\"acme/ai\",streaming=\"false\",code=\"200\"} 1\n");

=== a variable in braces, and one that is not there
--- http_config
    upstream one { server %%first%%; }
--- config
    llm_proxy_route first one;
    llm_proxy_default_provider first;
    llm_metrics_tenant_source "${http_x_tenant}" acme;
    location /v1/ { llm_metrics; llm_metrics_label_tenant; llm_proxy; proxy_pass http://$llm_provider_upstream; }
    location = /metrics { llm_metrics_export prometheus; }
--- requests
POST /v1/chat/completions
{"model":"m"}
>>>
POST /v1/chat/completions
{"model":"m"}
--- more_headers
X-Tenant: acme
>>>
X-Other: acme
--- after
counts_are($t, <<'END');
llm_requests_total{provider="first",tenant="acme",streaming="false",code="200"} 1
llm_requests_total{provider="first",tenant="other",streaming="false",code="200"} 1
END

=== tenants, projects and organisations of credentials are known
--- http_config
    upstream one { server %%first%%; }
--- config
    llm_proxy_route first one;
    llm_proxy_default_provider first;
    llm_auth_tenant $http_x_tenant;
    llm_auth_project $http_x_tenant;
    llm_auth_org $http_x_tenant;
    llm_auth_credential first sk-shared-SECRET-0;
    llm_auth_tenant_credential red first sk-red-SECRET-1;
    llm_auth_project_credential blue first sk-blue-SECRET-2;
    llm_auth_org_credential green first sk-green-SECRET-3;
    llm_auth_tenant_fallback_shared on;
    llm_metrics_tenant_source $http_x_tenant;
    location /v1/ { llm_metrics; llm_metrics_label_tenant; llm_proxy; llm_auth; proxy_pass http://$llm_provider_upstream; }
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
>>>
POST /v1/chat/completions
{"model":"m"}
--- more_headers
X-Tenant: red
>>>
X-Tenant: blue
>>>
X-Tenant: green
>>>
X-Tenant: grey
--- after
counts_are($t, <<'END');
llm_requests_total{provider="first",tenant="red",streaming="false",code="200"} 1
llm_requests_total{provider="first",tenant="blue",streaming="false",code="200"} 1
llm_requests_total{provider="first",tenant="green",streaming="false",code="200"} 1
llm_requests_total{provider="first",tenant="other",streaming="false",code="200"} 1
END

=== quotes, line feeds and bytes that are no UTF-8
--- http_config
    upstream one { server %%first%%; }
    map $http_x_tenant $tenant {
        default $http_x_tenant;
        feed "line\nfeed";
    }
--- config eval
<<"END";
    llm_proxy_route first one;
    llm_proxy_default_provider first;
    llm_metrics_tenant_source \$tenant "line\\nfeed" 'quo"te' 'back\\\\slash' "\xff\xfe" '}' "tab\\there";
    location /v1/ { llm_metrics; llm_metrics_label_tenant; llm_proxy; proxy_pass http://\$llm_provider_upstream; }
    location = /metrics { llm_metrics_export prometheus; }
END
--- requests eval
CORE::join ">>>\n", ("POST /v1/chat/completions\n{\"model\":\"m\"}\n") x 6
--- more_headers eval
CORE::join ">>>\n", map {"X-Tenant: $_\n"} 'feed', 'quo"te', 'back\\slash', "\xff\xfe", '}', "tab\there"
--- after
counts_are($t, <<"END");
llm_requests_total{provider="first",tenant="line\\nfeed",streaming="false",code="200"} 1
llm_requests_total{provider="first",tenant="quo\\"te",streaming="false",code="200"} 1
llm_requests_total{provider="first",tenant="back\\\\slash",streaming="false",code="200"} 1
llm_requests_total{provider="first",tenant="\xef\xbf\xbd\xef\xbf\xbd",streaming="false",code="200"} 1
llm_requests_total{provider="first",tenant="}",streaming="false",code="200"} 1
llm_requests_total{provider="first",tenant="tab\\\\x09here",streaming="false",code="200"} 1
END
text_is_sound($t, scrape($t)->{body});

=== what a client sends as a budget's owner stays in its label
--- http_config
    upstream one { server %%first%%; }
    llm_cost_rate first * 1 1;
--- config
    llm_proxy_route first one;
    llm_proxy_default_provider first;
    llm_ratelimit_spend_scope project usd $http_x_project 10;
    location /v1/ { llm_metrics; llm_proxy; llm_cost; llm_ratelimit; proxy_pass http://$llm_provider_upstream; }
    location = /metrics { llm_metrics_export prometheus; }
    location /status { llm_status; }
--- requests eval
CORE::join ">>>\n", ("POST /v1/chat/completions\n{\"model\":\"m\",\"max_tokens\":5}\n") x 3
--- more_headers eval
CORE::join ">>>\n", map {"X-Project: $_\n"} 'a"} 1', "\xff", 'end\\'
--- after
my ($text, $got);
wait_until { $got = series($text = scrape($t)->{body}); 3 == grep {/^llm_spend\{/} keys %$got } 3;
text_is_sound($t, $text);
ok($got->{'llm_spend{scope="project a\"} 1",unit="usd"}'}, 'a quote');
ok($got->{"llm_spend{scope=\"project \xef\xbf\xbd\",unit=\"usd\"}"}, 'no UTF-8');
ok($got->{'llm_spend{scope="project end\\\\",unit="usd"}'}, 'a backslash');
is_deeply([ sort map { $_->{id} } @{ status_of($t)->{budgets} } ],
    [ sort 'a"} 1', "\x{fffd}", 'end\\' ], 'the report');

=== a nested source replaces the one above it
--- http_config
    upstream one { server %%first%%; }
    llm_metrics_tenant_source $http_x_tenant red;
--- config
    llm_proxy_route first one;
    llm_proxy_default_provider first;
    llm_metrics;
    llm_metrics_label_tenant;
    location /v1/ { llm_proxy; proxy_pass http://$llm_provider_upstream; }
    location /arg/v1/ { llm_metrics_tenant_source $arg_tenant blue; llm_proxy; proxy_pass http://$llm_provider_upstream; }
    location = /metrics { llm_metrics_export prometheus; }
--- requests
POST /v1/chat/completions?tenant=blue
{"model":"m"}
>>>
POST /arg/v1/chat/completions?tenant=blue
{"model":"m"}
--- more_headers
X-Tenant: red
--- after
counts_are($t, <<'END');
llm_requests_total{provider="first",tenant="red",streaming="false",code="200"} 1
llm_requests_total{provider="first",tenant="blue",streaming="false",code="200"} 1
END

=== without the label it does nothing
--- http_config
    upstream one { server %%first%%; }
--- config
    llm_proxy_route first one;
    llm_proxy_default_provider first;
    llm_metrics_tenant_source $http_x_tenant red;
    location /v1/ { llm_metrics; llm_proxy; proxy_pass http://$llm_provider_upstream; }
    location = /metrics { llm_metrics_export prometheus; }
--- request
POST /v1/chat/completions
{"model":"m"}
--- more_headers
X-Tenant: red
--- after
counts_are($t, "llm_requests_total{provider=\"first\",streaming=\"false\",code=\"200\"} 1\n");

=== must have a text
--- config
    llm_metrics_tenant_source;
--- must_fail
invalid number of arguments in "llm_metrics_tenant_source" directive

=== of variables that there are
--- http_config
    upstream one { server %%first%%; }
--- config
    llm_proxy_route first one;
    llm_proxy_default_provider first;
    llm_metrics_tenant_source $nobody;
    location /v1/ { llm_metrics; llm_metrics_label_tenant; llm_proxy; proxy_pass http://$llm_provider_upstream; }
--- must_fail
unknown "nobody" variable

=== at most once
--- config
    llm_metrics_tenant_source $http_x_tenant;
    llm_metrics_tenant_source $http_x_org;
--- must_fail
"llm_metrics_tenant_source" directive is duplicate
