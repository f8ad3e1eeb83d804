# What nginx -t says of configurations that are wrong in other ways than a directive's own file shows,
# and what it takes without a word.

use Test::LLM 'no_plan';

run_tests();

__DATA__

=== every directive of the proxy is taken at every level
--- http_config
    upstream one { server 127.0.0.1:1; keepalive 4; }
    llm_proxy on;
    llm_proxy_route first one openai host=api.first.test base=/v1beta/openai ssl=on ssl_name=first.test ssl_verify=off connect_timeout=1s response_timeout=1m first_token_timeout=10s idle_timeout=30s max_input=128000;
    llm_proxy_route second one anthropic;
    llm_proxy_default_provider first;
    llm_proxy_model_pattern gpt-* first;
    llm_proxy_model_alias fast first/m;
    llm_proxy_max_body_size 64k;
    llm_proxy_unparsed reject;
    llm_proxy_inject_usage on;
    llm_proxy_provider_version second 2023-06-01;
    llm_proxy_disclose_provider off;
    llm_proxy_response_model requested;
    llm_proxy_connect_timeout 5s;
    llm_proxy_response_timeout 600s;
    llm_proxy_first_token_timeout 0;
    llm_proxy_idle_timeout 5m;
    llm_proxy_total_timeout 1m30s;
    llm_proxy_client_abort finish 30s;
    llm_proxy_heartbeat 15s;
    llm_proxy_dialect_mode infer;
    llm_proxy_ingress_dialect openai;
    llm_proxy_max_response_size 10m;
--- config
    llm_proxy;
    llm_proxy_route first one;
    llm_proxy_route second one anthropic;
    llm_proxy_default_provider first;
    llm_proxy_model_pattern gpt-* first;
    llm_proxy_model_alias fast first/m;
    llm_proxy_max_body_size 1m;
    llm_proxy_unparsed pass;
    llm_proxy_inject_usage;
    llm_proxy_provider_version second 2023-06-01;
    llm_proxy_disclose_provider on;
    llm_proxy_response_model effective;
    llm_proxy_connect_timeout 100ms;
    llm_proxy_response_timeout 1h;
    llm_proxy_first_token_timeout 20s;
    llm_proxy_idle_timeout 1m;
    llm_proxy_total_timeout 0;
    llm_proxy_client_abort finish;
    llm_proxy_heartbeat off;
    llm_proxy_dialect_mode explicit_required;
    llm_proxy_ingress_dialect anthropic;
    llm_proxy_max_response_size 512k;
    location / {
        llm_proxy off;
        llm_proxy_route first one;
        llm_proxy_route second one anthropic;
        llm_proxy_default_provider first;
        llm_proxy_model_pattern gpt-* first;
        llm_proxy_model_alias fast first/m;
        llm_proxy_max_body_size 1g;
        llm_proxy_unparsed reject;
        llm_proxy_inject_usage off;
        llm_proxy_provider_version second 2023-06-01;
        llm_proxy_disclose_provider;
        llm_proxy_response_model requested;
        llm_proxy_connect_timeout 1;
        llm_proxy_response_timeout 1;
        llm_proxy_first_token_timeout 1;
        llm_proxy_idle_timeout 1;
        llm_proxy_total_timeout 1;
        llm_proxy_client_abort cancel;
        llm_proxy_heartbeat 1;
        llm_proxy_dialect_mode fixed;
        llm_proxy_ingress_dialect anthropic;
        llm_proxy_max_response_size 1g;
    }
    location = /v1/models { llm_proxy_models; }
--- must_load

=== a server without a word of the gateway is as it was
--- config
    location / { return 200 "here"; }
--- must_load
--- request
GET /
--- response_body: here

=== what a location inherits must fit what it replaces
--- http_config
    upstream one { server 127.0.0.1:1; }
    llm_proxy_route first one;
    llm_proxy_model_pattern a first;
--- config
    location / { llm_proxy; llm_proxy_route second one; }
--- must_fail
llm_proxy_model_pattern provider "first" of "a" is unknown, add llm_proxy_route first <upstream> in %%root%%/nginx.conf

=== an unknown directive is no directive
--- config
    location / { llm_proxy; llm_proxy_rout first one; }
--- must_fail
unknown directive "llm_proxy_rout" in %%root%%/nginx.conf

=== the gateway is no matter of an if
--- config
    location / { if ($http_x_a) { llm_proxy off; } }
--- must_fail
"llm_proxy" directive is not allowed here in %%root%%/nginx.conf

=== routes are no matter of an upstream block
--- http_config
    upstream one { server 127.0.0.1:1; llm_proxy_route first one; }
--- must_fail
"llm_proxy_route" directive is not allowed here in %%root%%/nginx.conf

=== the gateway is no matter of the whole process
--- main_config
llm_proxy on;
--- must_fail
"llm_proxy" directive is not allowed here in %%root%%/nginx.conf

=== an unknown variable is no variable
--- config
    location / { return 200 "$llm_nothing"; }
--- must_fail
unknown "llm_nothing" variable

=== a variable of the gateway cannot be set
--- config
    location / { set $llm_model "a"; return 200; }
--- must_fail
the duplicate "llm_model" variable in %%root%%/nginx.conf

=== llm_proxy_disclose_provider is on or off
--- config
    llm_proxy_disclose_provider names;
--- must_fail
invalid value "names" in "llm_proxy_disclose_provider" directive, it must be "on" or "off" in %%root%%/nginx.conf

=== llm_proxy_disclose_provider is written once at a level
--- config
    llm_proxy_disclose_provider on;
    llm_proxy_disclose_provider off;
--- must_fail
"llm_proxy_disclose_provider" directive is duplicate in %%root%%/nginx.conf

=== llm_proxy_response_model has two values
--- config
    llm_proxy_response_model mine;
--- must_fail
invalid value "mine" in "llm_proxy_response_model" directive, it must be "effective" or "requested" in %%root%%/nginx.conf

=== llm_proxy_response_model is written once at a level
--- config
    llm_proxy_response_model requested;
    llm_proxy_response_model requested;
--- must_fail
"llm_proxy_response_model" directive is duplicate in %%root%%/nginx.conf

=== llm_proxy_heartbeat is a time
--- config
    llm_proxy_heartbeat often;
--- must_fail
invalid value "often" in "llm_proxy_heartbeat" directive, it must be a time or "off" in %%root%%/nginx.conf

=== llm_proxy_heartbeat without a pause would never end
--- config
    llm_proxy_heartbeat 0;
--- must_fail
invalid value "0" in "llm_proxy_heartbeat" directive, it must be a time or "off"

=== llm_proxy_heartbeat is written once at a level
--- config
    llm_proxy_heartbeat off;
    llm_proxy_heartbeat 5s;
--- must_fail
"llm_proxy_heartbeat" directive is duplicate in %%root%%/nginx.conf

=== llm_proxy_max_response_size is a size
--- config
    llm_proxy_max_response_size 10mb;
--- must_fail
invalid value "10mb" in "llm_proxy_max_response_size" directive, it must be a size such as "10m" in %%root%%/nginx.conf

=== llm_proxy_max_response_size leaves room for an answer
--- config
    llm_proxy_max_response_size 0;
--- must_fail
invalid value "0" in "llm_proxy_max_response_size" directive, it must be a size such as "10m"

=== llm_proxy_max_response_size is written once at a level
--- config
    llm_proxy_max_response_size 1m;
    llm_proxy_max_response_size 1m;
--- must_fail
"llm_proxy_max_response_size" directive is duplicate in %%root%%/nginx.conf

=== llm_proxy_client_abort is cancel or finish
--- config
    llm_proxy_client_abort wait;
--- must_fail
invalid value "wait" in "llm_proxy_client_abort" directive, it must be "cancel" or "finish [time]" in %%root%%/nginx.conf

=== only finish takes a time
--- config
    llm_proxy_client_abort cancel 5s;
--- must_fail
invalid value "cancel 5s" in "llm_proxy_client_abort" directive, it must be "cancel" or "finish [time]"

=== llm_proxy_client_abort is written once at a level
--- config
    llm_proxy_client_abort cancel;
    llm_proxy_client_abort finish;
--- must_fail
"llm_proxy_client_abort" directive is duplicate in %%root%%/nginx.conf

=== llm_proxy_connect_timeout is a time, and not zero
--- config
    llm_proxy_connect_timeout 0;
--- must_fail
invalid value "0" in "llm_proxy_connect_timeout" directive, it must be a time such as "30s" in %%root%%/nginx.conf

=== llm_proxy_response_timeout is a time, and not zero
--- config
    llm_proxy_response_timeout 0s;
--- must_fail
invalid value "0s" in "llm_proxy_response_timeout" directive, it must be a time such as "30s"

=== llm_proxy_idle_timeout is a time, and not zero
--- config
    llm_proxy_idle_timeout 0ms;
--- must_fail
invalid value "0ms" in "llm_proxy_idle_timeout" directive, it must be a time such as "30s"

=== llm_proxy_first_token_timeout is a time
--- config
    llm_proxy_first_token_timeout soon;
--- must_fail
invalid value "soon" in "llm_proxy_first_token_timeout" directive, it must be a time such as "30s"

=== llm_proxy_total_timeout is a time
--- config
    llm_proxy_total_timeout 1.5s;
--- must_fail
invalid value "1.5s" in "llm_proxy_total_timeout" directive, it must be a time such as "30s"

=== text that is not ASCII is refused where it cannot be sent
--- config
    llm_proxy_route ürst one;
--- must_fail
in "llm_proxy_route", use letters, digits, "-", "_" and "."

=== a configuration that is wrong does not disturb the one that works
--- http_config
    upstream one { server %%first%%; }
--- config
    llm_proxy_route first one;
    llm_proxy_default_provider first;
    location /v1/ { llm_proxy; proxy_pass http://one; }
--- requests
POST /v1/chat/completions
{"model":"a"}
--- after
my $text = $t->read_file('nginx.conf');
$t->write_file('nginx.conf', $text =~ s/llm_proxy_default_provider first/llm_proxy_default_provider second/r);
kill HUP => $t->nginx->{pid};
my $refused = wait_until { $t->error_log =~ /\[emerg\]/ } 5;
ok($refused, 'it is refused');
like($t->request(qq(POST /v1/chat/completions\n{"model":"b"}))->{body}, qr/"model":"b"/, 'and the old one works');
--- expected_alert
llm_proxy_default_provider "second" is unknown

=== a new configuration takes the place of the one before
--- http_config
    upstream one { server %%first%%; }
    upstream two { server %%second%%; }
--- config
    llm_proxy_route first one;
    llm_proxy_model_pattern a first;
    location /v1/ { llm_proxy; proxy_pass http://$llm_provider_upstream; }
    location = /v1/models { llm_proxy_models; }
--- reload_config
    llm_proxy_route second two;
    llm_proxy_model_pattern b second;
    location /v1/ { llm_proxy; proxy_pass http://$llm_provider_upstream; }
    location = /v1/models { llm_proxy_models; }
--- requests
POST /v1/chat/completions
{"model":"a"}
>>>
GET /v1/models
>>> reload, new connection
POST /v1/chat/completions
{"model":"a"}
>>>
POST /v1/chat/completions
{"model":"b"}
>>>
GET /v1/models
--- error_code: 200 200 404 200 200
--- response_json
{"model":"a"}
>>>
{"data":[{"id":"a"}]}
>>>
{"error":{"code":"model_not_found"}}
>>>
{"model":"b"}
>>>
{"data":[{"id":"b"}]}
