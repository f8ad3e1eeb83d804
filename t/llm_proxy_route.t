# llm_proxy_route: a provider, where its API lives and what it takes. Host and TLS have files of
# their own.

use Test::LLM 'no_plan';

run_tests();

__DATA__

=== routes at the http level hold everywhere
--- http_config
    upstream one { server %%first%%; }
    llm_proxy_route first one;
    llm_proxy_default_provider first;
--- config
    location /v1/ { llm_proxy; proxy_pass http://one; }
--- request
POST /v1/chat/completions
{"model":"m"}
--- response_headers
x-llm-provider: first

=== a provider is not called like its upstream block, and its dialect does not follow from its name
--- http_config
    upstream anthropic_servers { server %%first%%; }
--- config
    llm_proxy_route anthropic anthropic_servers;
    llm_proxy_default_provider anthropic;
    location /v1/ {
        llm_proxy;
        add_header X-Seen "$llm_effective_provider $llm_effective_dialect";
        proxy_pass http://$llm_provider_upstream;
    }
--- request
POST /v1/chat/completions
{"model":"m"}
--- response_headers
x-llm-provider: anthropic
x-seen: anthropic openai

=== a provider may speak either dialect
--- http_config
    upstream one { server %%first%%; }
    upstream two { server %%second%%; }
--- config
    llm_proxy_route first one anthropic;
    llm_proxy_route second two openai;
    llm_proxy_model_pattern a first;
    llm_proxy_model_pattern b second;
    location /v1/ { llm_proxy; proxy_pass http://$llm_provider_upstream; }
--- requests
POST /v1/messages
{"model":"a","max_tokens":5,"messages":[]}
>>>
POST /v1/chat/completions
{"model":"b","messages":[]}
--- response_json
{"type":"message","model":"a"}
>>>
{"object":"chat.completion","model":"b"}

=== base says where a provider's API lives
--- http_config
    upstream one   { server %%first%%; }
--- config
    llm_proxy_route default one;
    llm_proxy_route gemini  one base=/v1beta/openai;
    llm_proxy_route root    one base=/;
    llm_proxy_route slash   one base=/api/v4/;
    llm_proxy_default_provider default;
    location / { llm_proxy; proxy_pass http://$llm_provider_upstream; }
--- requests
POST /v1/chat/completions
{"model":"default/m"}
>>>
POST /v1/chat/completions
{"model":"gemini/m"}
>>>
POST /v1/chat/completions
{"model":"root/m"}
>>>
POST /v1/chat/completions
{"model":"slash/m"}
>>>
POST /v1/embeddings?a=b&c=%2F
{"model":"gemini/m"}
>>>
POST /openai/v1/chat/completions
{"model":"default/m"}
>>>
POST /chat/completions
{"model":"default/m"}
--- provider_first_got
POST /v1/chat/completions

POST /v1beta/openai/chat/completions

POST /chat/completions

POST /api/v4/chat/completions

POST /v1beta/openai/embeddings?a=b&c=%2F

POST /v1/chat/completions

POST /v1/chat/completions

=== a path that is right already goes on as the client wrote it
--- http_config
    upstream one { server %%first%%; }
--- config
    llm_proxy_route first one;
    llm_proxy_default_provider first;
    location /v1/ { llm_proxy; proxy_pass http://$llm_provider_upstream; }
--- request
GET /v1/models/meta%2Fllama%20x?q=%41
--- provider_first
200 {}
--- provider_first_got
GET /v1/models/meta%2Fllama%20x?q=%41
--- error_code: 200

=== an escaped slash survives where the base changes
--- http_config
    upstream one { server %%first%%; }
--- config
    llm_proxy_route first one base=/api/v1;
    llm_proxy_default_provider first;
    location /v1/ { llm_proxy; proxy_pass http://$llm_provider_upstream; }
--- request
GET /v1/models/meta%2Fllama%20x?q=%41
--- provider_first
200 {}
--- provider_first_got
GET /api/v1/models/meta%2Fllama%20x?q=%41

=== what must be escaped in a path is escaped again where the base changes
--- http_config
    upstream one { server %%first%%; }
--- config
    llm_proxy_route first one base=/api/v1;
    llm_proxy_default_provider first;
    location /v1/ { llm_proxy; proxy_pass http://$llm_provider_upstream; }
--- request
GET /v1/models/a%20b%3Fc%25d?q=%41
--- provider_first
200 {}
--- provider_first_got
GET /api/v1/models/a%20b%3Fc%25d?q=%41

=== a path in proxy_pass takes the place of the location's
--- http_config
    upstream one { server %%first%%; }
--- config
    llm_proxy_route first one;
    llm_proxy_default_provider first;
    location /v1/ { llm_proxy; proxy_pass http://one/api/v1/; }
--- request
POST /v1/chat/completions?a=b
{"model":"m"}
--- provider_first_got
POST /api/v1/chat/completions?a=b

=== a path in proxy_pass and a base do not spoil each other
--- http_config
    upstream one { server %%first%%; }
--- config
    llm_proxy_route first one;
    llm_proxy_default_provider first;
    location /llm/ { llm_proxy; proxy_pass http://one/; }
--- request
POST /llm/v1/chat/completions
{"model":"m"}
--- provider_first_got
POST /v1/chat/completions

=== connections to a provider are used again without a word about it
--- http_config
    upstream one { server %%first%%; keepalive 4; }
--- config
    llm_proxy_route first one;
    llm_proxy_default_provider first;
    location /v1/ { llm_proxy; proxy_pass http://$llm_provider_upstream; }
--- requests
POST /v1/chat/completions
{"model":"m"}
>>>
POST /v1/chat/completions
{"model":"m","stream":true}
>>> new connection
POST /v1/chat/completions
{"model":"m"}
--- provider_first_got
POST /v1/chat/completions HTTP/1.1
!connection
!keep-alive

POST /v1/chat/completions HTTP/1.1
!connection

POST /v1/chat/completions HTTP/1.1
!connection
--- after
is($t->mock->state('first')->{connections_total}, 1, 'there is one connection');

=== an operator's own Connection line stays
--- http_config
    upstream one { server %%first%%; keepalive 4; }
--- config
    llm_proxy_route first one;
    llm_proxy_default_provider first;
    location /v1/ {
        llm_proxy;
        proxy_http_version 1.1;
        proxy_set_header Connection "";
        proxy_set_header X-Own "a";
        proxy_pass http://$llm_provider_upstream;
    }
--- request
POST /v1/chat/completions
{"model":"m"}
--- provider_first_got
POST /v1/chat/completions HTTP/1.1
host: 127.0.0.1
x-own: a
!connection

=== the next server of a block takes over for one that is down
--- http_config
    upstream one { server %%closed%%; server %%first%%; keepalive 2; }
--- config
    llm_proxy_route first one;
    llm_proxy_default_provider first;
    location /v1/ { llm_proxy; proxy_pass http://$llm_provider_upstream; }
--- requests
POST /v1/chat/completions
{"model":"first/m","messages":[]}
>>>
POST /v1/chat/completions
{"model":"m"}
--- response_json
{"model":"m"}
--- error_log
connect() failed
--- provider_first_got_body
{"model":"m","messages":[]}
>>>
{"model":"m"}

=== answers come as they are, whatever encodings the client takes
--- http_config
    upstream one { server %%first%%; }
--- config
    llm_proxy_route first one;
    llm_proxy_default_provider first;
    location /v1/ { llm_proxy; proxy_pass http://one; }
--- request
POST /v1/chat/completions
{"model":"m"}
--- more_headers
Accept-Encoding: gzip, br
TE: trailers
Upgrade: h2c
Proxy-Connection: keep-alive
Accept: application/json
--- provider_first_got
POST /v1/chat/completions
!accept-encoding
!te
!upgrade
!proxy-connection
accept: application/json

=== headers to the gateway stay in the gateway
--- http_config
    upstream one { server %%first%%; }
--- config
    llm_proxy_route first one;
    llm_proxy_default_provider first;
    location /v1/ { llm_proxy; proxy_pass http://one; }
--- request
POST /v1/chat/completions
{"model":"m"}
--- more_headers
X-LLM-Tag: a
x-llm-fallback: off
X-Llm-Anything: b
X-LLMS: kept
OpenAI-Organization: org-1
--- provider_first_got
POST /v1/chat/completions
!x-llm-tag
!x-llm-fallback
!x-llm-anything
x-llms: kept
openai-organization: org-1

=== a provider that takes too long to answer is given up after its response_timeout
--- http_config
    upstream one { server %%first%%; }
--- config
    llm_proxy_route first one response_timeout=200ms;
    llm_proxy_default_provider first;
    llm_proxy_response_timeout 60s;
    location /v1/ { llm_proxy; proxy_pass http://one; }
--- provider_first
{"fault":"hang"}
--- request
POST /v1/chat/completions
{"model":"m"}
--- error_code: 504
--- response_json
{"error":{"code":"provider_timeout"}}

=== a provider that does not shake hands is given up after its connect_timeout
--- http_config
    upstream one { server %%closed%%; }
--- config
    llm_proxy_route first one ssl=on connect_timeout=200ms;
    llm_proxy_default_provider first;
    location /v1/ { llm_proxy; proxy_pass http://$llm_provider_upstream; }
--- init
# A listener that nobody serves: TCP connects, TLS never begins.
use Socket;
my ($port) = $t->read_file('nginx.conf') =~ /server 127\.0\.0\.1:(\d+)/;
socket our $silent, PF_INET, SOCK_STREAM, 0 or die $!;
setsockopt $silent, SOL_SOCKET, SO_REUSEADDR, 1 or die $!;
bind $silent, pack_sockaddr_in($port, INADDR_LOOPBACK) or die $!;
listen $silent, 8 or die $!;
--- request
POST /v1/chat/completions
{"model":"m"}
--- error_code: 504
--- response_json
{"error":{"code":"provider_timeout"}}
--- after
close our $silent;

=== a stream without content is given up after its first_token_timeout
--- http_config
    upstream one { server %%first%%; }
--- config
    llm_proxy_route first one first_token_timeout=200ms;
    llm_proxy_default_provider first;
    location /v1/ { llm_proxy; proxy_pass http://one; }
--- provider_first
{"fault":"stall","after":1}
--- request
POST /v1/chat/completions
{"model":"m","stream":true}
--- error_code: 504
--- response_json
{"error":{"code":"provider_timeout"}}

=== a stream that pauses is broken off after its idle_timeout
--- http_config
    upstream one { server %%first%%; }
--- config
    llm_proxy_route first one idle_timeout=200ms;
    llm_proxy_default_provider first;
    location /v1/ { llm_proxy; proxy_pass http://one; }
--- provider_first
{"fault":"stall","after":2}
--- request
POST /v1/chat/completions
{"model":"m","stream":true}
--- incomplete_response
--- response_body_like
"content":"Hello
"code":"provider_timeout"

=== a request that a provider cannot hold is refused before it is sent
--- http_config
    upstream one { server %%first%%; }
--- config
    llm_proxy_route first one max_input=100;
    llm_proxy_default_provider first;
    location /v1/ { llm_proxy; proxy_pass http://one; }
--- requests eval
my $long = 'x' x 600;
qq(POST /v1/chat/completions\n{"model":"m","messages":[{"role":"user","content":"$long"}]}\n>>>\n)
    . qq(POST /v1/chat/completions\n{"model":"m","messages":[{"role":"user","content":"short"}]})
--- error_code: 400 200
--- response_json
{"error":{"code":"context_length_exceeded","message":"<<match:\\b100\\b>>"}}
>>>
{"model":"m"}
--- provider_first_requests: 1

=== a line as the seed has it
--- http_config
    upstream deepseek_server { server %%deepseek%%; keepalive 32; }
    upstream mimo_server { server %%mimo%%; keepalive 32; }
--- config
    location /v1/chat/completions {
        llm_proxy;
        llm_proxy_route deepseek deepseek_server;
        llm_proxy_route mimo mimo_server;
        llm_proxy_model_pattern deepseek-v4-pro deepseek;
        llm_proxy_model_pattern mimo-v2.5 mimo;
        llm_proxy_default_provider deepseek;
        proxy_pass http://$llm_provider_upstream;
        proxy_set_header Host $llm_provider_host;
        proxy_ssl_server_name on;
        proxy_buffering off;
    }
--- requests
POST /v1/chat/completions
{"model":"deepseek-v4-pro"}
>>>
POST /v1/chat/completions
{"model":"mimo-v2.5"}
--- response_headers
x-llm-served-by: deepseek/deepseek-v4-pro
>>>
x-llm-served-by: mimo/mimo-v2.5

=== fifty providers are fifty providers
--- http_config eval
"upstream one { server %%first%%; }\nupstream last { server %%second%%; }\n"
    . CORE::join '', map { "llm_proxy_route p$_ " . ($_ == 50 ? 'last' : 'one') . ";\n" } 1 .. 50
--- config
    llm_proxy_default_provider p50;
    location /v1/ { llm_proxy; proxy_pass http://$llm_provider_upstream; }
--- requests
POST /v1/chat/completions
{"model":"m"}
>>>
POST /v1/chat/completions
{"model":"p1/m"}
--- response_headers
x-llm-provider: p50
>>>
x-llm-provider: p1
