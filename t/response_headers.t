# Which headers an answer has: the gateway's own, which nobody can spoof; the provider's, which pass.
# And what a provider refuses passes as it is, byte for byte.

use Test::LLM 'no_plan';

run_tests();

__DATA__

=== every answer of a provider says who answered, how long it took and its id
--- http_config
    upstream first { server %%first%%; }
--- config
    llm_proxy_route first first;
    llm_proxy_default_provider first;
    location /v1/ { llm_proxy; proxy_pass http://$llm_provider_upstream; }
--- provider_first
{}

{}

503 {"error":{}}

204
--- requests
POST /v1/chat/completions
{"model":"m"}
>>>
POST /v1/chat/completions
{"model":"m","stream":true}
>>>
POST /v1/chat/completions
{"model":"m"}
>>>
POST /v1/chat/completions
{"model":"m"}
--- error_code: 200 200 503 204
--- response_headers
x-llm-provider: first
x-llm-served-by: first/m
x-llm-latency-ms: ~^\d+$
x-llm-event-id: ~^[0-9a-f]{32}$

=== no two requests have the same id
--- http_config
    upstream first { server %%first%%; }
--- config
    llm_proxy_route first first;
    llm_proxy_default_provider first;
    location /v1/ { llm_proxy; proxy_pass http://$llm_provider_upstream; }
--- request
POST /v1/chat/completions
{"model":"m"}
--- concurrent: 8
--- after
my %ids = map { (Test::LLM::Client::header_values($_, 'x-llm-event-id'))[0] => 1 } $t->answers;
is(scalar keys %ids, 8, 'eight ids');

=== an answer of ours has its id where the SDKs look for it, and no provider
--- http_config
    upstream first { server %%first%%; }
--- config
    llm_proxy_route first first;
    llm_proxy_model_pattern a first;
    location /v1/ { llm_proxy; proxy_pass http://$llm_provider_upstream; }
--- request
POST /v1/chat/completions
{"model":"b"}
--- error_code: 404
--- response_headers
content-type: application/json
x-llm-event-id: ~^[0-9a-f]{32}$
x-request-id: ~^[0-9a-f]{32}$
request-id: ~^[0-9a-f]{32}$
!x-llm-provider
!x-llm-served-by
!retry-after
--- after
my ($answer) = $t->answers;
my %id = map { $_ => (Test::LLM::Client::header_values($answer, $_))[0] } qw(x-llm-event-id x-request-id);
is($id{'x-request-id'}, $id{'x-llm-event-id'}, 'it is one id');
like($answer->{body}, qr/"request_id":"$id{'x-llm-event-id'}"/, 'and the body has it as well');
--- provider_first_requests: 0

=== a provider cannot speak in our name
--- http_config
    upstream first { server %%first%%; }
--- config
    llm_proxy_route first first;
    llm_proxy_default_provider first;
    location /v1/ { llm_proxy; proxy_pass http://$llm_provider_upstream; }
--- provider_first
{"headers":{"X-LLM-Provider":["evil","worse"],"x-llm-event-id":"1","X-Llm-Anything":"a","x-fallback-attempted":"1",
  "X-Fallback-Suppressed-Reason":"a","X-Should-Retry":"true","X-LLM-Latency-Ms":"0"}}

{"status":500,"json":{},"headers":{"X-LLM-Provider":"evil","X-Llm-Anything":"a","X-Fallback-Reason":"a"}}

{"sse":["[DONE]"],"headers":{"X-LLM-Provider":"evil","X-Llm-Anything":"a","X-Fallback-Reason":"a"}}
--- requests
POST /v1/chat/completions
{"model":"m"}
>>>
POST /v1/chat/completions
{"model":"m"}
>>>
POST /v1/chat/completions
{"model":"m","stream":true}
--- error_code: 200 500 200
--- response_headers
x-llm-provider: first
x-llm-event-id: ~^[0-9a-f]{32}$
x-llm-latency-ms: ~^\d+$
!x-llm-anything
!x-fallback-attempted
!x-fallback-reason
!x-fallback-suppressed-reason
!x-should-retry

=== a client cannot either, and its words do not reach the provider
--- http_config
    upstream first { server %%first%%; }
--- config
    llm_proxy_route first first;
    llm_proxy_default_provider first;
    location /v1/ { llm_proxy; proxy_pass http://$llm_provider_upstream; }
--- request
POST /v1/chat/completions
{"model":"m"}
--- more_headers
X-LLM-Provider: evil
x-llm-event-id: 1
X-LLM-Anything: a
X-Kept: b
--- response_headers
x-llm-provider: first
x-llm-event-id: ~^[0-9a-f]{32}$
!x-llm-anything
--- provider_first_got
POST /v1/chat/completions
!x-llm-provider
!x-llm-event-id
!x-llm-anything
x-kept: b

=== what a provider says of itself passes
--- http_config
    upstream first { server %%first%%; }
--- config
    llm_proxy_route first first;
    llm_proxy_default_provider first;
    location /v1/ { llm_proxy; proxy_pass http://$llm_provider_upstream; }
--- provider_first
{"json":{"a":1},"headers":{"x-request-id":"req_1","request-id":"req_2","openai-processing-ms":"12",
  "x-ratelimit-remaining-tokens":"99","x-ratelimit-reset-requests":"1s","retry-after":"7","set-cookie":["a=1","b=2"],
  "anthropic-ratelimit-requests-limit":"50","etag":"\"e\"","x-empty":""}}

{"sse":["[DONE]"],"headers":{"x-request-id":"req_1","x-ratelimit-remaining-tokens":"99","set-cookie":["a=1","b=2"]}}
--- requests
POST /v1/chat/completions
{"model":"m"}
>>>
POST /v1/chat/completions
{"model":"m","stream":true}
--- response_headers
x-request-id: req_1
request-id: req_2
openai-processing-ms: 12
x-ratelimit-remaining-tokens: 99
x-ratelimit-reset-requests: 1s
retry-after: 7
set-cookie: a=1, b=2
anthropic-ratelimit-requests-limit: 50
etag: "e"
>>>
x-request-id: req_1
x-ratelimit-remaining-tokens: 99
set-cookie: a=1, b=2

=== what a provider refuses passes byte for byte
--- http_config
    upstream first { server %%first%%; }
--- config
    llm_proxy_route first first;
    llm_proxy_default_provider first;
    location /v1/ { llm_proxy; proxy_pass http://$llm_provider_upstream; }
--- provider_first
400  {"error" : {"message":"\u0041", "n":1.0e2 } } 

401 {"error":{"message":"bad key"}}

403 {"error":{}}

404 {"error":{"code":"model_not_found"}}

408 {"error":{}}

413 {"error":{}}

422 {"detail":[]}

429
Retry-After: 17
{"error":{"type":"rate_limit"}}

500 {"error":{}}

502 {"error":{}}

503 {"error":{}}

504 {"error":{}}

529 {"type":"error","error":{"type":"overloaded_error"}}
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
>>>
POST /v1/chat/completions
{"model":"m"}
>>>
POST /v1/chat/completions
{"model":"m","stream":true}
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
{"model":"m","stream":true}
>>>
POST /v1/chat/completions
{"model":"m"}
--- error_code: 400 401 403 404 408 413 422 429 500 502 503 504 529
--- response_headers
content-type: application/json
content-length: ~^\d+$
x-llm-provider: first
--- response_body
{"error" : {"message":"\u0041", "n":1.0e2 } } 
>>>
{"error":{"message":"bad key"}}
>>>
{"error":{}}
>>>
{"error":{"code":"model_not_found"}}
>>>
{"error":{}}
>>>
{"error":{}}
>>>
{"detail":[]}
>>>
{"error":{"type":"rate_limit"}}
>>>
{"error":{}}
>>>
{"error":{}}
>>>
{"error":{}}
>>>
{"error":{}}
>>>
{"type":"error","error":{"type":"overloaded_error"}}
--- provider_first_requests: 13

=== so does a page of a provider's, though it looks like one of nginx's
--- http_config
    upstream first { server %%first%%; }
--- config
    llm_proxy_route first first;
    llm_proxy_default_provider first;
    location /v1/ { llm_proxy; proxy_pass http://$llm_provider_upstream; }
--- provider_first
502
Content-Type: text/html
<html><body>502 Bad Gateway</body></html>

503
Content-Type: text/html

--- requests
POST /v1/chat/completions
{"model":"m"}
>>>
POST /v1/chat/completions
{"model":"m","stream":true}
--- error_code: 502 503
--- response_headers
content-type: text/html
x-llm-provider: first
--- response_body
<html><body>502 Bad Gateway</body></html>
>>>

=== a refusal in the form of a stream passes, too
--- http_config
    upstream first { server %%first%%; }
--- config
    llm_proxy_route first first;
    llm_proxy_default_provider first;
    location /v1/ { llm_proxy; proxy_pass http://$llm_provider_upstream; }
--- provider_first
sse {"status":400}
{"error":{"message":"a"}}
not json
--- request
POST /v1/chat/completions
{"model":"m","stream":true}
--- error_code: 400
--- response_body eval: qq(data: {"error":{"message":"a"}}\n\ndata: not json\n\n)

=== large refusals pass, with and without a length, whatever comes in pieces
--- http_config
    upstream first { server %%first%%; }
--- config
    llm_proxy_route first first;
    llm_proxy_default_provider first;
    location /v1/ { llm_proxy; proxy_pass http://$llm_provider_upstream; }
--- provider_first eval
my $page = 'x' x 200_000;
qq({"status":500,"body":"$page"}\n\n{"status":429,"pace_ms":2,"headers":{"content-type":"text/plain"},)
    . qq("chunks":["$page","$page"]}\n\n{"status":400,"body":"$page","framing":"close"})
--- requests
POST /v1/chat/completions
{"model":"m"}
>>>
POST /v1/chat/completions
{"model":"m"}
>>>
POST /v1/chat/completions
{"model":"m"}
--- error_code: 500 429 400
--- after
is(join(' ', map { length $_->{body} } $t->answers), '200000 400000 200000', 'every byte');

=== neither a redirect nor an answer to HEAD is changed
--- http_config
    upstream first { server %%first%%; }
--- config
    llm_proxy_route first first;
    llm_proxy_default_provider first;
    location /v1/ { llm_proxy; proxy_pass http://$llm_provider_upstream; }
--- provider_first
307
Location: https://elsewhere.test/v1/files/1

200 {"id":"a"}
--- requests
GET /v1/files/1
>>>
HEAD /v1/files/1
--- error_code: 307 200
--- response_headers
location: https://elsewhere.test/v1/files/1
x-llm-provider: first
>>>
content-length: 10

=== the operator's own headers come beside ours
--- http_config
    upstream first { server %%first%%; }
--- config
    llm_proxy_route first first;
    llm_proxy_default_provider first;
    location /v1/ {
        llm_proxy;
        add_header X-Gateway here always;
        proxy_hide_header X-Request-Id;
        proxy_pass http://$llm_provider_upstream;
    }
--- provider_first
{}

429 {}
--- requests
POST /v1/chat/completions
{"model":"m"}
>>>
POST /v1/chat/completions
{"model":"m"}
--- error_code: 200 429
--- response_headers
x-gateway: here
x-llm-provider: first
!x-request-id

=== over HTTP/2 they are the same
--- http_config
    upstream first { server %%first%%; }
--- config
    llm_proxy_route first first;
    llm_proxy_default_provider first;
    location /v1/ { llm_proxy; proxy_pass http://$llm_provider_upstream; }
--- provider_first
{"headers":{"x-llm-provider":"evil","x-request-id":"req_1"}}
--- request
POST /v1/chat/completions
{"model":"m"}
--- http2
--- response_headers
x-llm-provider: first
x-llm-event-id: ~^[0-9a-f]{32}$
x-request-id: req_1
