use strict;
use warnings;

use Test::LLM 'no_plan';

run_tests();

__DATA__

=== a provider that is taken out gets nothing until it is put back
--- workers: 2
--- http_config
    upstream one { server %%first%%; }
    upstream two { server %%second%%; }
--- config
    llm_proxy_route first one;
    llm_proxy_route second two;
    llm_proxy_default_provider first;
    llm_metrics;
    llm_fallback_route first second;
    location /v1/ { llm_proxy; llm_fallback; proxy_pass http://$llm_provider_upstream; }
    location /status { llm_status; }
--- requests
POST /v1/chat/completions
{"model":"m"}
>>>
POST /status/drain?provider=first
>>>
POST /v1/chat/completions
{"model":"m"}
>>> reload, new connection
GET /status/json
>>>
POST /v1/chat/completions
{"model":"m"}
>>>
POST /status/undrain?provider=first
>>>
POST /v1/chat/completions
{"model":"m"}
--- response_headers
X-LLM-Chain: ~^first/m:200:\d+ms$
>>>
Content-Type: application/json
>>>
X-LLM-Chain: ~^first/m:skipped\(benched\), second/m:200:\d+ms$
>>>
Content-Type: application/json
>>>
X-LLM-Chain: ~^first/m:skipped\(benched\), second/m:200:\d+ms$
>>>
Content-Type: application/json
>>>
X-LLM-Chain: ~^first/m:200:\d+ms$
--- response_body_like
.
>>>
^\{"provider":"first","state":"drained"\}$
>>>
.
>>>
"name":"first","state":"drained"
>>>
.
>>>
^\{"provider":"first","state":"up"\}$
>>>
.
--- provider_first_requests: 2
--- provider_second_requests: 2

=== the only provider, taken out
--- http_config
    upstream one { server %%first%%; }
--- config
    llm_proxy_route first one;
    llm_proxy_default_provider first;
    llm_metrics;
    location /v1/ { llm_proxy; proxy_pass http://$llm_provider_upstream; }
    location /status { llm_status; }
--- requests
POST /status/drain?provider=first
>>>
POST /v1/chat/completions
{"model":"m"}
--- error_code: 200 503
--- response_headers
!Retry-After
>>>
Retry-After: 1
--- provider_first_requests: 0

=== what cannot be done
--- http_config
    upstream one { server %%first%%; }
--- config
    llm_proxy_route first one;
    llm_proxy_default_provider first;
    llm_metrics;
    location /v1/ { llm_proxy; proxy_pass http://$llm_provider_upstream; }
    location /status { llm_status; }
--- requests
POST /status/drain?provider=none
>>>
POST /status/other?provider=first
>>>
POST /status/drain
>>>
PUT /status/drain?provider=first
--- error_code: 404 404 404 405
--- provider_first_requests: 0

=== a page of a browser changes nothing
--- http_config
    upstream one { server %%first%%; }
--- config
    llm_proxy_route first one;
    llm_proxy_default_provider first;
    llm_metrics;
    location /v1/ { llm_proxy; proxy_pass http://$llm_provider_upstream; }
    location /status { llm_status; }
--- request
POST /status/drain?provider=first
--- more_headers
Origin: http://evil.test
--- error_code: 403
--- provider_first_requests: 0
