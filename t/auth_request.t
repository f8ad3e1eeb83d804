# auth_request asks before the gateway does, and never through it.

use Test::LLM;

my $version = qx("@{[ Test::LLM::Nginx::binary() ]}" -V 2>&1);
plan $version =~ /auth_request/ ? 'no_plan' : (skip_all => 'this nginx has no auth_request');

run_tests();

__DATA__

=== auth_request asks before the gateway does, and its variables are there
--- http_config
    upstream one { server %%first%%; }
    log_format with_org "org=$org status=$status";
--- config
    llm_proxy_route first one;
    llm_proxy_default_provider first;
    location = /auth {
        internal;
        proxy_pass_request_body off;
        proxy_set_header Content-Length "";
        proxy_pass http://%%keys%%/check;
    }
    location /v1/ {
        auth_request /auth;
        auth_request_set $org $upstream_http_x_org;
        llm_proxy;
        proxy_pass http://one;
    }
--- provider_keys
401
X-Org: none
{}

200
X-Org: acme
{}
--- requests
POST /v1/chat/completions
no JSON
>>>
POST /v1/chat/completions
{"model":"m"}
--- error_code: 401 200
--- response_headers
content-type: application/json
!x-llm-provider
>>>
x-llm-provider: first
--- access_log
^org=acme status=200$
--- provider_first_requests: 1

=== auth_request cannot ask the gateway
--- http_config
    upstream one { server %%first%%; }
--- config
    llm_proxy_route first one;
    llm_proxy_default_provider first;
    location = /v1/models { llm_proxy; proxy_pass http://one; }
    location /file { auth_request /v1/models; root %%root%%; }
--- request
GET /file
--- error_code: 403
--- provider_first_requests: 0
