# The scenario "Meter-Fallback" as it was rendered, with the lines of llm_proxy: client credentials
# from maps, two providers over TLS, the catalog, and the log format. The providers are on this
# machine, so that their names in the upstream blocks are "localhost".

use Test::LLM 'no_plan';

run_tests();

__DATA__

=== the scenario's location does what its prose says
--- env
SSL_CERT_FILE=%%deepseek_tls_ca%%
--- user_files
>>> issuer/status.map
da-sk-acme-ai-platform.one active;
da-sk-acme-other.two active;
da-sk-acme-ai-platform.three suspended;
da-sk-acme-ai-platform.four revoked;
>>> issuer/key-id.map
da-sk-acme-ai-platform.one da-sk-acme-ai-platform;
>>> issuer/org-slug.map
da-sk-acme-ai-platform.one acme;
da-sk-acme-other.two acme;
>>> issuer/project-slug.map
da-sk-acme-ai-platform.one ai-platform;
da-sk-acme-other.two other;
>>> issuer/client-id.map
da-sk-acme-ai-platform.one 30000000-0000-0001-0001-000000000001;
>>> issuer/tier.map
da-sk-acme-ai-platform.one basic;
--- http_config
upstream deepseek_server {
server %%deepseek_tls%%;
keepalive 32;
}
upstream mimo_server {
server %%mimo_tls%%;
keepalive 32;
}
map $http_authorization $da_gateway_bearer_token {
"~^Bearer[ \t]+(.+)$" $1;
default "";
}
map $da_gateway_bearer_token $da_gateway_credential {
default $da_gateway_bearer_token;
"" $http_x_api_key;
}
map $da_gateway_credential $da_client_auth_status {
default invalid;
include issuer/status.map;
}
map $da_gateway_credential $da_client_auth_key_id {
default "";
include issuer/key-id.map;
}
map $da_gateway_credential $da_client_auth_org_slug {
default "";
include issuer/org-slug.map;
}
map $da_gateway_credential $da_client_auth_project_slug {
default "";
include issuer/project-slug.map;
}
map $da_gateway_credential $da_client_auth_client_id {
default "";
include issuer/client-id.map;
}
map $da_gateway_credential $da_client_auth_tier {
default "";
include issuer/tier.map;
}
log_format manifest_gateway_json escape=json
'{'
'"time":"$time_iso8601",'
'"org":"$org_id",'
'"project":"$project_id",'
'"client":"$client_id",'
'"gateway_key_id":"$gateway_key_id",'
'"provider":"$llm_effective_provider",'
'"model":"$llm_effective_model",'
'"status":"$status",'
'"request_time":"$request_time"'
'}';
--- config
location /v1/chat/completions {
if ($da_client_auth_status = invalid) {
return 401;
}
if ($da_client_auth_status = suspended) {
return 403;
}
if ($da_client_auth_status = revoked) {
return 403;
}
if ($da_client_auth_project_slug != "ai-platform") {
return 403;
}
if ($da_client_auth_org_slug != "acme") {
return 403;
}
set $tenant_id $da_client_auth_project_slug;
set $project_id $da_client_auth_project_slug;
set $org_id $da_client_auth_org_slug;
set $client_id $da_client_auth_client_id;
set $gateway_key_id $da_client_auth_key_id;
llm_proxy;
llm_proxy_route deepseek deepseek_server;
llm_proxy_route mimo mimo_server;
llm_proxy_model_pattern deepseek-v4-pro deepseek;
llm_proxy_model_pattern deepseek-v4-flash deepseek;
llm_proxy_model_pattern mimo-v2.5-pro mimo;
llm_proxy_model_pattern mimo-v2.5 mimo;
llm_proxy_default_provider deepseek;
llm_proxy_max_body_size 64k;
llm_proxy_inject_usage on;
proxy_next_upstream error timeout http_500 http_502 http_503 http_429;
proxy_next_upstream_tries 2;
proxy_pass https://$llm_provider_upstream;
proxy_set_header Host $llm_provider_host;
proxy_ssl_server_name on;
proxy_buffering off;
}
--- init
# The rendered blocks have names, and the certificates are for "localhost".
my $text = $t->read_file('nginx.conf');
$text =~ s/^server 127\.0\.0\.1:/server localhost:/mg;
$t->write_file('nginx.conf', $text);
--- requests eval
my $large = 'x' x 70_000;
CORE::join "\n>>>\n", map {"POST /v1/chat/completions\n$_"}
    '{"model":"deepseek-v4-pro","messages":[]}',
    '{"model":"deepseek-v4-flash","messages":[]}',
    '{"model":"mimo-v2.5-pro","messages":[]}',
    '{"model":"mimo-v2.5","messages":[],"stream":true}',
    ('{"model":"deepseek-v4-pro"}') x 4,
    '{"model":"gpt-4o"}', '{"messages":[]}', 'no JSON', '{"model":"mimo-v2.5","provider":"deepseek"}',
    qq({"model":"deepseek-v4-pro","messages":"$large"})
--- more_headers
Authorization: Bearer da-sk-acme-ai-platform.one
>>>
x-api-key: da-sk-acme-ai-platform.one
>>>
Authorization: Bearer da-sk-acme-ai-platform.one
>>>
Authorization: Bearer da-sk-acme-ai-platform.one
>>>
Authorization: Bearer unknown
>>>
Authorization: Bearer da-sk-acme-ai-platform.three
>>>
Authorization: Bearer da-sk-acme-ai-platform.four
>>>
Authorization: Bearer da-sk-acme-other.two
>>>
Authorization: Bearer da-sk-acme-ai-platform.one
>>>
Authorization: Bearer da-sk-acme-ai-platform.one
>>>
Authorization: Bearer da-sk-acme-ai-platform.one
>>>
Authorization: Bearer da-sk-acme-ai-platform.one
>>>
Authorization: Bearer da-sk-acme-ai-platform.one
--- error_code: 200*4 401 403*3 404 400 400 400 413
--- response_headers
x-llm-served-by: deepseek/deepseek-v4-pro
>>>
x-llm-served-by: deepseek/deepseek-v4-flash
>>>
x-llm-served-by: mimo/mimo-v2.5-pro
>>>
x-llm-served-by: mimo/mimo-v2.5
content-type: ~^text/event-stream
x-accel-buffering: no
>>>
content-type: application/json
>>>
content-type: application/json
>>>
content-type: application/json
>>>
content-type: application/json
>>>
content-type: application/json
>>>
content-type: application/json
>>>
content-type: application/json
>>>
content-type: application/json
>>>
content-type: application/json
--- response_body_like
"model":"deepseek-v4-pro"
>>>
"model":"deepseek-v4-flash"
>>>
"model":"mimo-v2.5-pro"
>>>
^data: \[DONE\]$
>>>
"code":"unauthorized"
>>>
"code":"forbidden"
>>>
"code":"forbidden"
>>>
"code":"forbidden"
>>>
"code":"model_not_found"
>>>
"code":"model_required"
>>>
"code":"invalid_json"
>>>
"code":"provider_not_allowed"
>>>
"code":"request_too_large"
--- provider_deepseek_tls_got
POST /v1/chat/completions HTTP/1.1
host: localhost
!connection

POST /v1/chat/completions HTTP/1.1
host: localhost
--- provider_deepseek_tls_requests: 2
--- provider_mimo_tls_requests: 2
--- provider_mimo_tls_got_body
{"model":"mimo-v2.5-pro","messages":[]}
>>>
{"stream_options":{"include_usage":true},"model":"mimo-v2.5","messages":[],"stream":true}
--- access_log
"org":"acme","project":"ai-platform","client":"30000000-0000-0001-0001-000000000001","gateway_key_id":"da-sk-acme-ai-platform","provider":"deepseek","model":"deepseek-v4-pro","status":"200"
"org":"acme","project":"ai-platform".*"provider":"mimo","model":"mimo-v2.5","status":"200"
"provider":"","model":"","status":"401"
--- after
for my $name (qw(deepseek_tls mimo_tls)) {
    my @requests = @{ $t->mock->requests($name) };
    is_deeply([ map { $_->{sni} } @requests ], [ ('localhost') x 2 ], "$name: SNI");
    is($requests[0]{connection}, $requests[1]{connection}, "$name: one connection");
}
