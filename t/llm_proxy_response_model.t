# llm_proxy_response_model: whose name for the model stands in the answer.

use Test::LLM 'no_plan';

run_tests();

__DATA__

=== as it is, the answer has the provider's name
--- http_config
    upstream first { server %%first%%; }
--- config
    llm_proxy_route first first;
    llm_proxy_default_provider first;
    llm_proxy_model_alias friendly first/real;
    location /v1/ { llm_proxy; proxy_pass http://$llm_provider_upstream; }
    location /said/v1/ {
        llm_proxy;
        llm_proxy_response_model effective;
        proxy_pass http://$llm_provider_upstream;
    }
--- requests
POST /v1/chat/completions
{"model":"friendly"}
>>>
POST /said/v1/chat/completions
{"model":"friendly"}
--- response_json
{"model":"real"}
--- provider_first_got_json
{"model":"real"}

=== requested: every endpoint's answer has the client's name
--- http_config
    upstream first { server %%first%%; }
--- config
    llm_proxy_route first first;
    llm_proxy_default_provider first;
    llm_proxy_model_alias friendly first/real;
    llm_proxy_response_model requested;
    location /v1/ { llm_proxy; proxy_pass http://$llm_provider_upstream; }
--- requests
POST /v1/chat/completions
{"model":"friendly"}
>>>
POST /v1/completions
{"model":"friendly","prompt":""}
>>>
POST /v1/embeddings
{"model":"friendly","input":""}
>>>
POST /v1/responses
{"model":"friendly","input":""}
--- response_json
{"model":"friendly"}
--- response_body_unlike
real
--- response_headers
x-llm-served-by: first/real
--- provider_first_got_json
{"model":"real"}

=== requested: in Anthropic's messages, too
--- http_config
    upstream first { server %%first%%; }
--- config
    llm_proxy_route first first anthropic;
    llm_proxy_default_provider first;
    llm_proxy_model_alias friendly first/real;
    llm_proxy_response_model requested;
    location /v1/ { llm_proxy; proxy_pass http://$llm_provider_upstream; }
--- requests
POST /v1/messages
{"model":"friendly","max_tokens":5,"messages":[]}
>>>
POST /v1/messages
{"model":"friendly","max_tokens":5,"stream":true,"messages":[]}
--- response_body_like
"model":"friendly"
--- response_body_unlike
real

=== requested: in every event of a stream
--- http_config
    upstream first { server %%first%%; }
    log_format end '$llm_stream_state $llm_total_tokens';
--- config
    llm_proxy_route first first;
    llm_proxy_default_provider first;
    llm_proxy_model_alias friendly first/real;
    llm_proxy_response_model requested;
    location /v1/ { llm_proxy; proxy_pass http://$llm_provider_upstream; }
--- provider_first
{"words":3}

{"words":3}

{"words":3}
--- requests
POST /v1/chat/completions
{"model":"friendly","stream":true}
>>>
POST /v1/completions
{"model":"friendly","stream":true,"prompt":""}
>>>
POST /v1/responses
{"model":"friendly","stream":true,"input":""}
--- response_body_like
"model":"friendly"
--- response_body_unlike
real
--- access_log
^complete 19\ncomplete 19\ncomplete 19$

=== requested: also where the provider has a longer name for the same
--- http_config
    upstream first { server %%first%%; }
--- config
    llm_proxy_route first first;
    llm_proxy_default_provider first;
    llm_proxy_response_model requested;
    location /v1/ { llm_proxy; proxy_pass http://$llm_provider_upstream; }
--- provider_first
200 {"id":"a","model":"gpt-4o-2024-08-06"}

sse
{"model":"gpt-4o-2024-08-06","choices":[]}
[DONE]
--- requests
POST /v1/chat/completions
{"model":"gpt-4o"}
>>>
POST /v1/chat/completions
{"model":"gpt-4o","stream":true}
--- response_body_like
\A\{"id":"a","model":"gpt-4o"\}\z
>>>
\Adata: \{"model":"gpt-4o","choices":\[\]\}\n\ndata: \[DONE\]\n\n\z

=== requested: a slug is what the client asked for
--- http_config
    upstream first { server %%first%%; }
--- config
    llm_proxy_route first first;
    llm_proxy_default_provider first;
    llm_proxy_response_model requested;
    location /v1/ { llm_proxy; proxy_pass http://$llm_provider_upstream; }
--- request
POST /v1/chat/completions
{"model":"first/m"}
--- response_json
{"model":"first/m"}
--- provider_first_got_json
{"model":"m"}

=== requested: nothing but the name changes, wherever it stands and however the answer is cut
--- http_config
    upstream first { server %%first%%; }
    log_format end '$llm_total_tokens';
--- config
    llm_proxy_route first first;
    llm_proxy_default_provider first;
    llm_proxy_model_alias "a \"quoted\" ä" first/real;
    llm_proxy_response_model requested;
    location /v1/ { llm_proxy; proxy_pass http://$llm_provider_upstream; }
--- provider_first eval
use JSON::PP ();
$::json = qq( {"choices" : [{"model":"real","n":1.0e3}],"a":{"model":"real"} ,\n"model"\t:"r\\u0065al",)
    . qq("x":"\\"model\\":\\"real\\"","usage":{"prompt_tokens":1,"completion_tokens":2}} );
JSON::PP->new->encode({ headers => { 'content-type' => 'application/json' }, chunks => [ split //, $::json ] });
--- request
POST /v1/chat/completions
{"model":"a \"quoted\" \u00e4"}
--- response_body eval
my $want = $::json;
$want =~ s/"r\\u0065al"/"a \\"quoted\\" \xc3\xa4"/;
$want
--- access_log
^3$

=== requested: an answer with a length is sent without, or with the right one
--- http_config
    upstream first { server %%first%%; }
--- config
    llm_proxy_route first first;
    llm_proxy_default_provider first;
    llm_proxy_model_alias friendly-name first/real;
    llm_proxy_response_model requested;
    location /v1/ { llm_proxy; proxy_pass http://$llm_provider_upstream; }
--- provider_first
200
ETag: "a"
{"model":"real"}
--- requests
POST /v1/chat/completions
{"model":"friendly-name"}
--- response_body: {"model":"friendly-name"}
--- response_headers
!etag

=== requested: an event too long to be held has the client's name as well
--- http_config
    upstream first { server %%first%%; }
--- config
    llm_proxy_route first first;
    llm_proxy_default_provider first;
    llm_proxy_model_alias friendly first/real;
    llm_proxy_response_model requested;
    location /v1/ { llm_proxy; proxy_pass http://$llm_provider_upstream; }
--- provider_first eval
'{"sse":["{\"a\":\"' . 'x' x 1_500_000 . '\",\"model\":\"real\"}","[DONE]"]}'
--- request
POST /v1/chat/completions
{"model":"friendly","stream":true}
--- response_body eval
'data: {"a":"' . 'x' x 1_500_000 . qq(","model":"friendly"}\n\ndata: [DONE]\n\n)

=== requested: errors and packed answers pass as they are
--- http_config
    upstream first { server %%first%%; }
--- config
    llm_proxy_route first first;
    llm_proxy_default_provider first;
    llm_proxy_model_alias friendly first/real;
    llm_proxy_response_model requested;
    location /v1/ { llm_proxy; proxy_pass http://$llm_provider_upstream; }
--- provider_first
404 {"model":"real","error":{}}

{"status":400,"gzip":true,"json":{"model":"real"}}
--- requests
POST /v1/chat/completions
{"model":"friendly"}
>>>
POST /v1/chat/completions
{"model":"friendly"}
--- error_code: 404 400
--- response_headers
content-length: 27
>>>
content-encoding: gzip

=== requested: an answer without a model gets none
--- http_config
    upstream first { server %%first%%; }
--- config
    llm_proxy_route first first;
    llm_proxy_default_provider first;
    llm_proxy_model_alias friendly first/real;
    llm_proxy_response_model requested;
    location /v1/ { llm_proxy; proxy_pass http://$llm_provider_upstream; }
--- provider_first
200 {"id":"real","model":null}
--- request
POST /v1/chat/completions
{"model":"friendly"}
--- response_body: {"id":"real","model":null}

=== a request without a model has no name to put there
--- http_config
    upstream first { server %%first%%; }
--- config
    llm_proxy_route first first;
    llm_proxy_default_provider first;
    llm_proxy_response_model requested;
    location /v1/ { llm_proxy; proxy_pass http://$llm_provider_upstream; }
--- provider_first
200 {"model":"real"}
--- request
GET /v1/files
--- response_body: {"model":"real"}

=== it holds from http on, and a location may differ
--- http_config
    upstream first { server %%first%%; }
    llm_proxy_response_model requested;
--- config
    llm_proxy_route first first;
    llm_proxy_default_provider first;
    llm_proxy_model_alias friendly first/real;
    location /v1/ { llm_proxy; proxy_pass http://$llm_provider_upstream; }
    location /true/v1/ {
        llm_proxy;
        llm_proxy_response_model effective;
        proxy_pass http://$llm_provider_upstream;
    }
--- requests
POST /v1/chat/completions
{"model":"friendly"}
>>>
POST /true/v1/chat/completions
{"model":"friendly"}
--- response_json
{"model":"friendly"}
>>>
{"model":"real"}

=== it knows two words
--- config
    llm_proxy_response_model on;
--- must_fail
invalid value "on" in "llm_proxy_response_model" directive, it must be "effective" or "requested"

=== it is written once
--- config
    llm_proxy_response_model requested;
    llm_proxy_response_model effective;
--- must_fail
"llm_proxy_response_model" directive is duplicate
