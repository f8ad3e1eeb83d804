# llm_auth: the provider's credential in the place of the client's, and nothing else that tells who
# the client is. Keys and scopes have files of their own.

use Test::LLM 'no_plan';

run_tests();

__DATA__

=== a provider of the OpenAI dialect gets a bearer token
--- http_config
    upstream one { server %%first%%; }
--- config
    llm_proxy_route first one;
    llm_proxy_default_provider first;
    location /v1/ {
        llm_proxy;
        llm_auth;
        llm_auth_credential first sk-first-SECRET-1;
        proxy_pass http://$llm_provider_upstream;
    }
--- request
POST /v1/chat/completions
{"model":"m","messages":[]}
--- response_json
{"object":"chat.completion"}
--- provider_first_got
POST /v1/chat/completions
Authorization: Bearer sk-first-SECRET-1
!x-api-key
!anthropic-version

=== a provider of the Anthropic dialect gets x-api-key and a version
--- http_config
    upstream one { server %%first%%; }
--- config
    llm_proxy_route first one anthropic;
    llm_proxy_default_provider first;
    location /v1/ {
        llm_proxy;
        llm_auth;
        llm_auth_credential first sk-first-SECRET-1;
        proxy_pass http://$llm_provider_upstream;
    }
--- requests
POST /v1/messages
{"model":"m","max_tokens":5,"messages":[]}
>>>
POST /v1/messages
{"model":"m","max_tokens":5,"messages":[]}
>>>
POST /v1/messages
{"model":"m","max_tokens":5,"messages":[]}
--- more_headers
>>>
anthropic-version: 2024-10-22
>>>
anthropic-version:
--- response_json
{"type":"message"}
--- provider_first_got
POST /v1/messages
x-api-key: sk-first-SECRET-1
anthropic-version: 2023-06-01
!authorization

POST /v1/messages
x-api-key: sk-first-SECRET-1
anthropic-version: 2024-10-22
!authorization

POST /v1/messages
x-api-key: sk-first-SECRET-1
anthropic-version: 2023-06-01
!authorization

=== the operator's version beats the client's
--- http_config
    upstream one { server %%first%%; }
--- config
    llm_proxy_route first one anthropic;
    llm_proxy_default_provider first;
    llm_proxy_provider_version first 2025-01-01;
    location /v1/ {
        llm_proxy;
        llm_auth;
        llm_auth_credential first sk-first-SECRET-1;
        proxy_pass http://$llm_provider_upstream;
    }
--- request
POST /v1/messages
{"model":"m","max_tokens":5,"messages":[]}
--- more_headers
anthropic-version: 2024-10-22
--- provider_first_got
POST /v1/messages
x-api-key: sk-first-SECRET-1
anthropic-version: 2025-01-01

=== each kind of request has the key: a stream, a list of models, embeddings, and what we do not know
--- http_config
    upstream one { server %%first%%; }
--- config
    llm_proxy_route first one;
    llm_proxy_default_provider first;
    location / {
        llm_proxy;
        llm_auth;
        llm_auth_credential first sk-first-SECRET-1;
        proxy_pass http://$llm_provider_upstream;
    }
--- requests
POST /v1/chat/completions
{"model":"m","stream":true,"messages":[]}
>>>
GET /v1/models
>>>
POST /v1/embeddings
{"model":"m","input":"a"}
>>>
GET /v1/files
--- more_headers
Authorization: Bearer sk-client-SECRET-9
--- error_code: 200 200 200 404
--- provider_first_got
POST /v1/chat/completions
Authorization: Bearer sk-first-SECRET-1

GET /v1/models
Authorization: Bearer sk-first-SECRET-1

POST /v1/embeddings
Authorization: Bearer sk-first-SECRET-1

GET /v1/files
Authorization: Bearer sk-first-SECRET-1

=== whatever header a client's credential comes in, a provider of the OpenAI dialect does not see it
--- http_config
    upstream one { server %%first%%; }
--- config
    llm_proxy_route first one;
    llm_proxy_default_provider first;
    location /v1/ {
        llm_proxy;
        llm_auth;
        llm_auth_credential first sk-first-SECRET-1;
        proxy_pass http://$llm_provider_upstream;
    }
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
>>>
POST /v1/chat/completions
{"model":"m"}
--- more_headers
authorization: bearer sk-client-SECRET-9
>>>
AUTHORIZATION: Basic sk-client-SECRET-9
Proxy-Authorization: Basic sk-client-SECRET-9
>>>
X-Api-Key: sk-client-SECRET-9
X-Api-Key: sk-client-SECRET-8
>>>
api-key: sk-client-SECRET-9
apikey: sk-client-SECRET-9
Ocp-Apim-Subscription-Key: sk-client-SECRET-9
>>>
Cookie: session=sk-client-SECRET-9
Cookie: other=sk-client-SECRET-8
Cookie2: $Version=1
>>>
X-Auth-Token: sk-client-SECRET-9
X-Access-Token: sk-client-SECRET-9
X-Amz-Security-Token: sk-client-SECRET-9
X-Custom-Auth: sk-client-SECRET-9
X-Client-Secret: sk-client-SECRET-9
--- provider_first_got
POST /v1/chat/completions
Authorization: Bearer sk-first-SECRET-1
!proxy-authorization
!x-api-key
!api-key
!apikey
!ocp-apim-subscription-key
!cookie
!cookie2
!x-auth-token
!x-access-token
!x-amz-security-token
!x-custom-auth
!x-client-secret

=== nor does one of the Anthropic dialect
--- http_config
    upstream one { server %%first%%; }
--- config
    llm_proxy_route first one anthropic;
    llm_proxy_default_provider first;
    location /v1/ {
        llm_proxy;
        llm_auth;
        llm_auth_credential first sk-first-SECRET-1;
        proxy_pass http://$llm_provider_upstream;
    }
--- request
POST /v1/messages
{"model":"m","max_tokens":5,"messages":[]}
--- more_headers
Authorization: Bearer sk-client-SECRET-9
X-Api-Key: sk-client-SECRET-9
x-api-key: sk-client-SECRET-8
api-key: sk-client-SECRET-9
Cookie: session=sk-client-SECRET-9
--- provider_first_got
POST /v1/messages
x-api-key: sk-first-SECRET-1
!authorization
!api-key
!cookie

=== a name with underscores is the same name to many servers
--- http_config
    upstream one { server %%first%%; }
    underscores_in_headers on;
    ignore_invalid_headers off;
--- config
    llm_proxy_route first one;
    llm_proxy_default_provider first;
    location /v1/ {
        llm_proxy;
        llm_auth;
        llm_auth_credential first sk-first-SECRET-1;
        proxy_pass http://$llm_provider_upstream;
    }
--- request
POST /v1/chat/completions
{"model":"m"}
--- more_headers
x_api_key: sk-client-SECRET-9
api_key: sk-client-SECRET-9
X_Auth_Token: sk-client-SECRET-9
x_forwarded_for: 192.0.2.1
x_llm_tag: mine
x_kept: yes
--- provider_first_got
POST /v1/chat/completions
Authorization: Bearer sk-first-SECRET-1
!x_api_key
!api_key
!x_auth_token
!x_forwarded_for
!x_llm_tag
x_kept: yes

=== headers for other vendors and other gateways stay here
--- http_config
    upstream one { server %%first%%; }
    upstream two { server %%second%%; }
--- config
    llm_proxy_route first one;
    llm_proxy_route second two anthropic;
    llm_proxy_model_pattern a first;
    llm_proxy_model_pattern b second;
    location /v1/ {
        llm_proxy;
        llm_auth;
        llm_auth_credential first sk-first-SECRET-1;
        llm_auth_credential second sk-second-SECRET-2;
        proxy_pass http://$llm_provider_upstream;
    }
--- requests
POST /v1/chat/completions
{"model":"a"}
>>>
POST /v1/messages
{"model":"b","max_tokens":5,"messages":[]}
--- more_headers
OpenAI-Organization: org-9
OpenAI-Project: proj-9
OpenAI-Beta: assistants=v2
anthropic-version: 2024-10-22
anthropic-beta: tools-9
anthropic-dangerous-direct-browser-access: true
x-goog-api-key: sk-client-SECRET-9
x-goog-user-project: mine
x-amz-date: 20260101
x-ms-client-request-id: 9
cf-aig-authorization: sk-client-SECRET-9
cf-aig-cache-ttl: 9
Helicone-Auth: sk-client-SECRET-9
Helicone-User-Id: me
x-portkey-virtual-key: sk-client-SECRET-9
x-litellm-tags: mine
x-llm-tag: mine
--- provider_first_got
POST /v1/chat/completions
Authorization: Bearer sk-first-SECRET-1
OpenAI-Beta: assistants=v2
!openai-organization
!openai-project
!anthropic-version
!anthropic-beta
!anthropic-dangerous-direct-browser-access
!x-goog-api-key
!x-goog-user-project
!x-amz-date
!x-ms-client-request-id
!cf-aig-authorization
!cf-aig-cache-ttl
!helicone-auth
!helicone-user-id
!x-portkey-virtual-key
!x-litellm-tags
!x-llm-tag
--- provider_second_got
POST /v1/messages
x-api-key: sk-second-SECRET-2
anthropic-version: 2024-10-22
anthropic-beta: tools-9
!authorization
!openai-organization
!openai-project
!openai-beta
!x-goog-api-key
!x-amz-date
!cf-aig-authorization
!helicone-auth
!x-portkey-virtual-key
!x-litellm-tags
!x-llm-tag

=== headers that tell a client's address stay here, also those that the operator's lines add
--- http_config
    upstream one { server %%first%%; }
    proxy_set_header X-Real-IP $remote_addr;
    proxy_set_header X-Forwarded-For $proxy_add_x_forwarded_for;
    proxy_set_header X-Forwarded-Proto $scheme;
--- config
    llm_proxy_route first one;
    llm_proxy_default_provider first;
    location /v1/ {
        llm_proxy;
        llm_auth;
        llm_auth_credential first sk-first-SECRET-1;
        proxy_pass http://$llm_provider_upstream;
    }
--- request
POST /v1/chat/completions
{"model":"m"}
--- more_headers
Forwarded: for=192.0.2.1
Via: 1.1 home
X-Forwarded-Host: home.example
X-Forwarded-Server: home
X-Original-Forwarded-For: 192.0.2.1
CF-Connecting-IP: 192.0.2.1
True-Client-IP: 192.0.2.1
X-Client-IP: 192.0.2.1
X-Cluster-Client-IP: 192.0.2.1
Fly-Client-IP: 192.0.2.1
--- provider_first_got
POST /v1/chat/completions
!forwarded
!via
!x-forwarded-for
!x-forwarded-host
!x-forwarded-proto
!x-forwarded-server
!x-original-forwarded-for
!x-real-ip
!cf-connecting-ip
!true-client-ip
!x-client-ip
!x-cluster-client-ip
!fly-client-ip

=== what says nothing about the client goes on
--- http_config
    upstream one { server %%first%%; }
--- config
    llm_proxy_route first one;
    llm_proxy_default_provider first;
    location /v1/ {
        llm_proxy;
        llm_auth;
        llm_auth_credential first sk-first-SECRET-1;
        proxy_pass http://$llm_provider_upstream;
    }
--- request
POST /v1/chat/completions
{"model":"m"}
--- more_headers
User-Agent: OpenAI/Python 2.0
X-Stainless-Lang: python
Idempotency-Key: retry-9
X-Request-Id: mine
Accept: application/json
traceparent: 00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01
--- provider_first_got
POST /v1/chat/completions
User-Agent: OpenAI/Python 2.0
X-Stainless-Lang: python
Idempotency-Key: retry-9
X-Request-Id: mine
Accept: application/json
traceparent: 00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01

=== a key that the operator sets as a header is not sent beside the credential
--- http_config
    upstream one { server %%first%%; }
--- config
    llm_proxy_route first one;
    llm_proxy_default_provider first;
    location /v1/ {
        llm_proxy;
        llm_auth;
        llm_auth_credential first sk-first-SECRET-1;
        proxy_set_header Authorization "Bearer old";
        proxy_set_header x-api-key old;
        proxy_pass http://$llm_provider_upstream;
    }
--- request
POST /v1/chat/completions
{"model":"m"}
--- provider_first_got
POST /v1/chat/completions
Authorization: Bearer sk-first-SECRET-1
!x-api-key

=== without it the client's credential is the provider's
--- http_config
    upstream one { server %%first%%; }
    upstream two { server %%second%%; }
--- config
    llm_proxy_route first one;
    llm_proxy_route second two anthropic;
    llm_proxy_model_pattern a first;
    llm_proxy_model_pattern b second;
    location /v1/ { llm_proxy; proxy_pass http://$llm_provider_upstream; }
--- requests
POST /v1/chat/completions
{"model":"a"}
>>>
POST /v1/messages
{"model":"b","max_tokens":5,"messages":[]}
--- more_headers
Authorization: Bearer sk-client-SECRET-9
OpenAI-Organization: org-9
Cookie: a=b
X-Forwarded-For: 192.0.2.1
>>>
x-api-key: sk-client-SECRET-8
anthropic-beta: tools-9
--- provider_first_got
POST /v1/chat/completions
Authorization: Bearer sk-client-SECRET-9
OpenAI-Organization: org-9
Cookie: a=b
X-Forwarded-For: 192.0.2.1
--- provider_second_got
POST /v1/messages
x-api-key: sk-client-SECRET-8
anthropic-beta: tools-9
!anthropic-version

=== a location inherits the switch and may turn it round
--- http_config
    upstream one { server %%first%%; }
    llm_proxy_route first one;
    llm_proxy_default_provider first;
    llm_auth on;
    llm_auth_credential first sk-first-SECRET-1;
--- config
    llm_proxy;
    location / { proxy_pass http://$llm_provider_upstream; }
    location /off/ {
        llm_auth off;
        proxy_pass http://$llm_provider_upstream;
        location /off/on/ { llm_auth; proxy_pass http://$llm_provider_upstream; }
        location /off/too/ { proxy_pass http://$llm_provider_upstream; }
    }
--- requests
POST /v1/chat/completions
{"model":"m"}
>>>
POST /off/v1/chat/completions
{"model":"m"}
>>>
POST /off/on/v1/chat/completions
{"model":"m"}
>>>
POST /off/too/v1/chat/completions
{"model":"m"}
--- more_headers
Authorization: Bearer sk-client-SECRET-9
--- provider_first_got
POST /v1/chat/completions
Authorization: Bearer sk-first-SECRET-1

POST /v1/chat/completions
Authorization: Bearer sk-client-SECRET-9

POST /v1/chat/completions
Authorization: Bearer sk-first-SECRET-1

POST /v1/chat/completions
Authorization: Bearer sk-client-SECRET-9

=== off ignores the lines that belong to it
--- http_config
    upstream one { server 127.0.0.1:1; }
--- config
    location / {
        llm_proxy;
        llm_auth off;
        llm_auth_credential nobody env:LLM_NOT_THERE;
        llm_auth_tenant_credential t nobody file:not/there;
        llm_auth_provider nobody;
        llm_proxy_route first one;
        llm_proxy_default_provider first;
    }
--- must_load

=== where the gateway is off it does nothing
--- http_config
    upstream one { server %%first%%; }
--- config
    llm_auth;
    llm_auth_credential first env:LLM_NOT_THERE;
    location / { proxy_pass http://one; }
--- request
POST /v1/chat/completions
{"model":"m"}
--- more_headers
Authorization: Bearer sk-client-SECRET-9
--- provider_first_got
POST /v1/chat/completions
Authorization: Bearer sk-client-SECRET-9

=== two providers on one upstream block have keys of their own on one connection
--- http_config
    upstream one { server %%first%%; keepalive 4; }
--- config
    llm_proxy_route first one;
    llm_proxy_route second one anthropic;
    llm_proxy_model_pattern a first;
    llm_proxy_model_pattern b second;
    location /v1/ {
        llm_proxy;
        llm_auth;
        llm_auth_credential first sk-first-SECRET-1;
        llm_auth_credential second sk-second-SECRET-2;
        proxy_pass http://$llm_provider_upstream;
    }
--- requests
POST /v1/chat/completions
{"model":"a"}
>>>
POST /v1/messages
{"model":"b","max_tokens":5,"messages":[]}
>>>
POST /v1/chat/completions
{"model":"a"}
--- provider_first_got
POST /v1/chat/completions
Authorization: Bearer sk-first-SECRET-1
!x-api-key

POST /v1/messages
x-api-key: sk-second-SECRET-2
!authorization

POST /v1/chat/completions
Authorization: Bearer sk-first-SECRET-1
!x-api-key
--- after
is($t->mock->state('first')->{connections_total}, 1, 'one connection served them all');

=== it is a switch
--- config
    llm_auth maybe;
--- must_fail
invalid value "maybe" in "llm_auth" directive, it must be "on" or "off" in %%root%%/nginx.conf

=== it has one value
--- config
    llm_auth on off;
--- must_fail
invalid number of arguments in "llm_auth" directive

=== it stands once in a block
--- config
    llm_auth;
    llm_auth off;
--- must_fail
"llm_auth" directive is duplicate in %%root%%/nginx.conf

=== it is not for an upstream block
--- http_config
    upstream one { server 127.0.0.1:1; llm_auth; }
--- must_fail
"llm_auth" directive is not allowed here in %%root%%/nginx.conf

=== it is not for an "if"
--- config
    location / { if ($arg_a) { llm_auth; } }
--- must_fail
"llm_auth" directive is not allowed here in %%root%%/nginx.conf
