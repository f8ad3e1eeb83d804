# Which tokens are counted: $llm_prompt_tokens and its like, from the answers of both dialects, however
# they come. Each line of the log is: source, extracted, prompt, completion, total, cache read, cache
# written, reasoning.

use Test::LLM 'no_plan';

run_tests();

__DATA__

=== a chat is counted, streamed or not
--- http_config
    upstream first { server %%first%%; }
    log_format u '$llm_usage_source $llm_usage_extracted $llm_prompt_tokens $llm_completion_tokens '
        '$llm_total_tokens $llm_cache_read_tokens $llm_cache_create_tokens $llm_reasoning_tokens';
--- config
    llm_proxy_route first first;
    llm_proxy_default_provider first;
    location /v1/ { llm_proxy; proxy_pass http://$llm_provider_upstream; }
--- requests
POST /v1/chat/completions
{"model":"m"}
>>>
POST /v1/chat/completions
{"model":"m","stream":true}
--- access_log
^reported 1 12 7 19 4 - 0\nreported 1 12 7 19 4 - 0$

=== a completion is counted, streamed or not
--- http_config
    upstream first { server %%first%%; }
    log_format u '$llm_usage_source $llm_usage_extracted $llm_prompt_tokens $llm_completion_tokens '
        '$llm_total_tokens $llm_cache_read_tokens $llm_cache_create_tokens $llm_reasoning_tokens';
--- config
    llm_proxy_route first first;
    llm_proxy_default_provider first;
    location /v1/ { llm_proxy; proxy_pass http://$llm_provider_upstream; }
--- requests
POST /v1/completions
{"model":"m","prompt":""}
>>>
POST /v1/completions
{"model":"m","prompt":"","stream":true}
--- access_log
^reported 1 12 7 19 4 - 0\nreported 1 12 7 19 4 - 0$

=== a response is counted, streamed or not
--- http_config
    upstream first { server %%first%%; }
    log_format u '$llm_usage_source $llm_usage_extracted $llm_prompt_tokens $llm_completion_tokens '
        '$llm_total_tokens $llm_cache_read_tokens $llm_cache_create_tokens $llm_reasoning_tokens';
--- config
    llm_proxy_route first first;
    llm_proxy_default_provider first;
    location /v1/ { llm_proxy; proxy_pass http://$llm_provider_upstream; }
--- requests
POST /v1/responses
{"model":"m","input":""}
>>>
POST /v1/responses
{"model":"m","input":"","stream":true}
--- access_log
^reported 1 12 7 19 4 - 0\nreported 1 12 7 19 4 - 0$

=== a message is counted with its cache, streamed or not
--- http_config
    upstream first { server %%first%%; }
    log_format u '$llm_usage_source $llm_usage_extracted $llm_prompt_tokens $llm_completion_tokens '
        '$llm_total_tokens $llm_cache_read_tokens $llm_cache_create_tokens $llm_reasoning_tokens';
--- config
    llm_proxy_route first first anthropic;
    llm_proxy_default_provider first;
    location /v1/ { llm_proxy; proxy_pass http://$llm_provider_upstream; }
--- requests
POST /v1/messages
{"model":"m","max_tokens":5,"messages":[]}
>>>
POST /v1/messages
{"model":"m","max_tokens":5,"stream":true,"messages":[]}
--- access_log
^reported 1 18 7 25 4 2 -\nreported 1 18 7 25 4 2 -$

=== embeddings complete nothing, and tell so
--- http_config
    upstream first { server %%first%%; }
    log_format u '$llm_usage_source $llm_usage_extracted $llm_prompt_tokens $llm_completion_tokens '
        '$llm_total_tokens $llm_cache_read_tokens $llm_cache_create_tokens $llm_reasoning_tokens';
--- config
    llm_proxy_route first first;
    llm_proxy_default_provider first;
    location /v1/ { llm_proxy; proxy_pass http://$llm_provider_upstream; }
--- requests
POST /v1/embeddings
{"model":"m","input":"a"}
--- access_log
^reported 1 12 0 12 - - -$

=== counting tokens uses none
--- http_config
    upstream first { server %%first%%; }
    log_format u '$llm_usage_source $llm_usage_extracted $llm_prompt_tokens $llm_completion_tokens '
        '$llm_total_tokens $llm_cache_read_tokens $llm_cache_create_tokens $llm_reasoning_tokens';
--- config
    llm_proxy_route first first anthropic;
    llm_proxy_default_provider first;
    location /v1/ { llm_proxy; proxy_pass http://$llm_provider_upstream; }
--- requests
POST /v1/messages/count_tokens
{"model":"m","messages":[]}
--- response_json
{"input_tokens":12}
--- access_log
^none 0 - - - - - -$

=== a list of models uses none
--- http_config
    upstream first { server %%first%%; }
    log_format u '$llm_usage_source $llm_usage_extracted $llm_prompt_tokens $llm_completion_tokens '
        '$llm_total_tokens $llm_cache_read_tokens $llm_cache_create_tokens $llm_reasoning_tokens';
--- config
    llm_proxy_route first first;
    llm_proxy_default_provider first;
    location /v1/ { llm_proxy; proxy_pass http://$llm_provider_upstream; }
--- requests
GET /v1/models
--- access_log
^none 0 - - - - - -$

=== spellings of providers in the OpenAI dialect
--- http_config
    upstream first { server %%first%%; }
    log_format u '$llm_usage_source $llm_usage_extracted $llm_prompt_tokens $llm_completion_tokens '
        '$llm_total_tokens $llm_cache_read_tokens $llm_cache_create_tokens $llm_reasoning_tokens';
--- config
    llm_proxy_route first first;
    llm_proxy_default_provider first;
    location /v1/ { llm_proxy; proxy_pass http://$llm_provider_upstream; }
--- provider_first
200 {"choices":[],"usage":{"prompt_tokens":100,"completion_tokens":20,"total_tokens":120,"prompt_cache_hit_tokens":64,"prompt_cache_miss_tokens":36}}

200 {"choices":[],"usage":{"prompt_cache_hit_tokens":64,"prompt_cache_miss_tokens":36,"completion_tokens":1}}

200 {"choices":[],"usage":{"prompt_tokens":100,"completion_tokens":20,"completion_tokens_details":{"reasoning_tokens":15}}}

200 {"choices":[],"usage":{"input_tokens":30,"input_tokens_details":{"cached_tokens":10},"output_tokens":5,"output_tokens_details":{"reasoning_tokens":3},"total_tokens":35}}

200 {"choices":[],"usage":{"prompt_tokens":7,"completion_tokens":3,"total_tokens":10,"cost":0.0001,"unknown":{"a":[1]}}}
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
--- access_log
^reported 1 100 20 120 64 - -\nreported 1 100 1 101 64 - -\nreported 1 100 20 120 - - 15\nreported 1 30 5 35 10 - 3\nreported 1 7 3 10 - - -$

=== spellings of providers in the Anthropic dialect
--- http_config
    upstream first { server %%first%%; }
    log_format u '$llm_usage_source $llm_usage_extracted $llm_prompt_tokens $llm_completion_tokens '
        '$llm_total_tokens $llm_cache_read_tokens $llm_cache_create_tokens $llm_reasoning_tokens';
--- config
    llm_proxy_route first first anthropic;
    llm_proxy_default_provider first;
    location /v1/ { llm_proxy; proxy_pass http://$llm_provider_upstream; }
--- provider_first
200 {"type":"message","usage":{"input_tokens":25,"cache_read_input_tokens":80,"cache_creation_input_tokens":10,"output_tokens":15}}

200 {"type":"message","usage":{"input_tokens":25,"output_tokens":15}}

200 {"type":"message","usage":{"input_tokens":0,"output_tokens":0,"cache_creation":{"ephemeral_5m_input_tokens":3,"ephemeral_1h_input_tokens":4}}}
--- requests
POST /v1/messages
{"model":"m","max_tokens":5,"messages":[]}
>>>
POST /v1/messages
{"model":"m","max_tokens":5,"messages":[]}
>>>
POST /v1/messages
{"model":"m","max_tokens":5,"messages":[]}
--- access_log
^reported 1 115 15 130 80 10 -\nreported 1 25 15 40 - - -\nreported 1 7 0 7 - 7 -$

=== more read from a cache than was asked is not believed
--- http_config
    upstream first { server %%first%%; }
    log_format u '$llm_usage_source $llm_usage_extracted $llm_prompt_tokens $llm_completion_tokens '
        '$llm_total_tokens $llm_cache_read_tokens $llm_cache_create_tokens $llm_reasoning_tokens';
--- config
    llm_proxy_route first first;
    llm_proxy_default_provider first;
    location /v1/ { llm_proxy; proxy_pass http://$llm_provider_upstream; }
--- provider_first
200 {"choices":[],"usage":{"prompt_tokens":10,"completion_tokens":1,"prompt_tokens_details":{"cached_tokens":11}}}
--- requests
POST /v1/chat/completions
{"model":"m"}
--- access_log
^reported 1 10 1 11 0 - -$

=== what is no count is not there
--- http_config
    upstream first { server %%first%%; }
    log_format u '$llm_usage_source $llm_usage_extracted $llm_prompt_tokens $llm_completion_tokens '
        '$llm_total_tokens $llm_cache_read_tokens $llm_cache_create_tokens $llm_reasoning_tokens';
--- config
    llm_proxy_route first first;
    llm_proxy_default_provider first;
    location /v1/ { llm_proxy; proxy_pass http://$llm_provider_upstream; }
--- provider_first
200 {"choices":[],"usage":{"prompt_tokens":"10","completion_tokens":-1,"total_tokens":1.5}}

200 {"choices":[],"usage":null}

200 {"choices":[],"usage":[]}

200 {"choices":[]}

200 {"choices":[],"usage":{"prompt_tokens":4}}

200 {"usage":{"prompt_tokens":4,
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
--- access_log
^none 0 - - - - - -\nnone 0 - - - - - -\nnone 0 - - - - - -\nnone 0 - - - - - -\nreported 0 4 - 4 - - -\nnone 0 - - - - - -$

=== a usage that stands elsewhere is another one
--- http_config
    upstream first { server %%first%%; }
    log_format u '$llm_usage_source $llm_usage_extracted $llm_prompt_tokens $llm_completion_tokens '
        '$llm_total_tokens $llm_cache_read_tokens $llm_cache_create_tokens $llm_reasoning_tokens';
--- config
    llm_proxy_route first first;
    llm_proxy_default_provider first;
    location /v1/ { llm_proxy; proxy_pass http://$llm_provider_upstream; }
--- provider_first
200 {"choices":[{"usage":{"prompt_tokens":1,"completion_tokens":1}}],"x":"\"usage\":{\"prompt_tokens\":9}","usage":{"prompt_tokens":2,"completion_tokens":3}}
--- requests
POST /v1/chat/completions
{"model":"m"}
--- access_log
^reported 1 2 3 5 - - -$

=== JSON that is cut between any two bytes is counted
--- http_config
    upstream first { server %%first%%; }
    log_format u '$llm_usage_source $llm_usage_extracted $llm_prompt_tokens $llm_completion_tokens '
        '$llm_total_tokens $llm_cache_read_tokens $llm_cache_create_tokens $llm_reasoning_tokens';
--- config
    llm_proxy_route first first;
    llm_proxy_default_provider first;
    location /v1/ { llm_proxy; proxy_pass http://$llm_provider_upstream; }
--- provider_first eval
use JSON::PP ();
$::json = '{"id":"a","choices":[{"message":{"content":"\\"}{"}}],"usage":{"prompt_tokens":12,"completion_tokens":34}}';
JSON::PP->new->encode({ headers => { 'content-type' => 'application/json' }, chunks => [ split //, $::json ] });
--- requests
POST /v1/chat/completions
{"model":"m"}
--- response_body eval: $::json
--- access_log
^reported 1 12 34 46 - - -$

=== usage behind a large answer is counted, in memory or in a file
--- http_config
    upstream first { server %%first%%; }
    log_format u '$llm_usage_source $llm_usage_extracted $llm_prompt_tokens $llm_completion_tokens '
        '$llm_total_tokens $llm_cache_read_tokens $llm_cache_create_tokens $llm_reasoning_tokens';
--- config
    llm_proxy_route first first;
    llm_proxy_default_provider first;
    location /v1/ { llm_proxy; proxy_pass http://$llm_provider_upstream; }
--- provider_first
{"size":300000}

{"size":3000000}
--- requests
POST /v1/chat/completions
{"model":"m"}
>>>
POST /v1/chat/completions
{"model":"m"}
--- access_log
^reported 1 12 7 19 4 - 0\nreported 1 12 7 19 4 - 0$

=== in a stream the last value of each count holds
--- http_config
    upstream first { server %%first%%; }
    log_format u '$llm_usage_source $llm_usage_extracted $llm_prompt_tokens $llm_completion_tokens '
        '$llm_total_tokens $llm_cache_read_tokens $llm_cache_create_tokens $llm_reasoning_tokens';
--- config
    llm_proxy_route first first anthropic;
    llm_proxy_default_provider first;
    location /v1/ { llm_proxy; proxy_pass http://$llm_provider_upstream; }
--- provider_first
sse
event: message_start data: {"type":"message_start","message":{"usage":{"input_tokens":25,"cache_read_input_tokens":5,"output_tokens":1}}}
event: message_delta data: {"type":"message_delta","delta":{},"usage":{"output_tokens":9}}
event: message_delta data: {"type":"message_delta","delta":{"stop_reason":"end_turn"},"usage":{"output_tokens":15}}
event: message_stop data: {"type":"message_stop"}
--- requests
POST /v1/messages
{"model":"m","max_tokens":5,"stream":true,"messages":[]}
--- access_log
^reported 1 30 15 45 5 - -$

=== usage may come with every chunk, or with the one that finishes
--- http_config
    upstream first { server %%first%%; }
    log_format u '$llm_usage_source $llm_usage_extracted $llm_prompt_tokens $llm_completion_tokens '
        '$llm_total_tokens $llm_cache_read_tokens $llm_cache_create_tokens $llm_reasoning_tokens';
--- config
    llm_proxy_route first first;
    llm_proxy_default_provider first;
    location /v1/ { llm_proxy; proxy_pass http://$llm_provider_upstream; }
--- provider_first
sse
{"choices":[{"delta":{"content":"a"}}],"usage":{"prompt_tokens":5,"completion_tokens":1,"total_tokens":6}}
{"choices":[{"delta":{},"finish_reason":"stop"}],"usage":{"prompt_tokens":5,"completion_tokens":2,"total_tokens":7}}
[DONE]
--- requests
POST /v1/chat/completions
{"model":"m","stream":true}
--- response_body_like
"completion_tokens":1\D[^\x00]*"completion_tokens":2\D
--- access_log
^reported 1 5 2 7 - - -$

=== a stream that breaks off is counted as far as it told
--- http_config
    upstream first { server %%first%%; }
    log_format u '$llm_usage_source $llm_usage_extracted $llm_prompt_tokens $llm_completion_tokens '
        '$llm_total_tokens $llm_cache_read_tokens $llm_cache_create_tokens $llm_reasoning_tokens';
--- config
    llm_proxy_route first first anthropic;
    llm_proxy_default_provider first;
    location /v1/ { llm_proxy; proxy_pass http://$llm_provider_upstream; }
--- provider_first
{"fault":"cut","after":4}
--- requests
POST /v1/messages
{"model":"m","max_tokens":5,"stream":true,"messages":[]}
--- incomplete_response
--- access_log
^reported 1 18 1 19 4 2 -$

=== a stream that tells none has none
--- http_config
    upstream first { server %%first%%; }
    log_format u '$llm_usage_source $llm_usage_extracted $llm_prompt_tokens $llm_completion_tokens '
        '$llm_total_tokens $llm_cache_read_tokens $llm_cache_create_tokens $llm_reasoning_tokens';
--- config
    llm_proxy_route first first;
    llm_proxy_default_provider first;
    location /v1/ { llm_proxy; proxy_pass http://$llm_provider_upstream; }
--- provider_first
sse
{"choices":[{"delta":{"content":"a"},"finish_reason":"stop"}]}
[DONE]
--- requests
POST /v1/chat/completions
{"model":"m","stream":true}
--- access_log
^none 0 - - - - - -$

=== an answer that comes packed passes unread
--- http_config
    upstream first { server %%first%%; }
    log_format u '$llm_usage_source $llm_usage_extracted $llm_prompt_tokens $llm_completion_tokens '
        '$llm_total_tokens $llm_cache_read_tokens $llm_cache_create_tokens $llm_reasoning_tokens';
--- config
    llm_proxy_route first first;
    llm_proxy_default_provider first;
    location /v1/ { llm_proxy; proxy_pass http://$llm_provider_upstream; }
--- provider_first
{"gzip":true}

{"gzip":true}
--- requests
POST /v1/chat/completions
{"model":"m"}
>>>
POST /v1/chat/completions
{"model":"m","stream":true}
--- gunzip
--- response_headers
content-encoding: gzip
--- response_body_like
"model":"m"
>>>
data: \[DONE\]
--- access_log
^none 0 - - - - - -\nnone 0 - - - - - -$

=== identity is no packing
--- http_config
    upstream first { server %%first%%; }
    log_format u '$llm_usage_source $llm_usage_extracted $llm_prompt_tokens $llm_completion_tokens '
        '$llm_total_tokens $llm_cache_read_tokens $llm_cache_create_tokens $llm_reasoning_tokens';
--- config
    llm_proxy_route first first;
    llm_proxy_default_provider first;
    location /v1/ { llm_proxy; proxy_pass http://$llm_provider_upstream; }
--- provider_first
{"headers":{"content-encoding":"identity"}}
--- requests
POST /v1/chat/completions
{"model":"m"}
--- access_log
^reported 1 12 7 19 4 - 0$

=== what a provider refuses is not counted
--- http_config
    upstream first { server %%first%%; }
    log_format u '$llm_usage_source $llm_usage_extracted $llm_prompt_tokens $llm_completion_tokens '
        '$llm_total_tokens $llm_cache_read_tokens $llm_cache_create_tokens $llm_reasoning_tokens';
--- config
    llm_proxy_route first first;
    llm_proxy_default_provider first;
    location /v1/ { llm_proxy; proxy_pass http://$llm_provider_upstream; }
--- provider_first
429 {"error":{},"usage":{"prompt_tokens":1,"completion_tokens":1}}

500 {"error":{}}
--- requests
POST /v1/chat/completions
{"model":"m"}
>>>
POST /v1/chat/completions
{"model":"m"}
--- error_code: 429 500
--- access_log
^none 0 - - - - - -\nnone 0 - - - - - -$

=== what we refuse has nothing to count
--- http_config
    upstream first { server %%first%%; }
    log_format u '$llm_usage_source $llm_usage_extracted $llm_prompt_tokens $llm_completion_tokens '
        '$llm_total_tokens $llm_cache_read_tokens $llm_cache_create_tokens $llm_reasoning_tokens';
--- config
    llm_proxy_route first first;
    llm_proxy_model_pattern a first;
    location /v1/ { llm_proxy; proxy_pass http://$llm_provider_upstream; }
--- requests
POST /v1/chat/completions
{"model":"m"}
--- error_code: 404
--- access_log
^- - - - - - - -$
--- provider_first_requests: 0

=== what is neither JSON nor a stream is not counted
--- http_config
    upstream first { server %%first%%; }
    log_format u '$llm_usage_source $llm_usage_extracted $llm_prompt_tokens $llm_completion_tokens '
        '$llm_total_tokens $llm_cache_read_tokens $llm_cache_create_tokens $llm_reasoning_tokens';
--- config
    llm_proxy_route first first;
    llm_proxy_default_provider first;
    location /v1/ { llm_proxy; proxy_pass http://$llm_provider_upstream; }
--- provider_first
200
Content-Type: text/plain
{"usage":{"prompt_tokens":1,"completion_tokens":1}}
--- requests
POST /v1/chat/completions
{"model":"m"}
--- response_body: {"usage":{"prompt_tokens":1,"completion_tokens":1}}
--- access_log
^none 0 - - - - - -$

=== JSON under another JSON type is counted
--- http_config
    upstream first { server %%first%%; }
    log_format u '$llm_usage_source $llm_usage_extracted $llm_prompt_tokens $llm_completion_tokens '
        '$llm_total_tokens $llm_cache_read_tokens $llm_cache_create_tokens $llm_reasoning_tokens';
--- config
    llm_proxy_route first first;
    llm_proxy_default_provider first;
    location /v1/ { llm_proxy; proxy_pass http://$llm_provider_upstream; }
--- provider_first
200
Content-Type: application/vnd.api+json; charset=utf-8
{"usage":{"prompt_tokens":1,"completion_tokens":1}}
--- requests
POST /v1/chat/completions
{"model":"m"}
--- access_log
^reported 1 1 1 2 - - -$

=== each request of a connection has its own counts
--- http_config
    upstream first { server %%first%%; }
    log_format u '$llm_usage_source $llm_usage_extracted $llm_prompt_tokens $llm_completion_tokens '
        '$llm_total_tokens $llm_cache_read_tokens $llm_cache_create_tokens $llm_reasoning_tokens';
--- config
    llm_proxy_route first first;
    llm_proxy_default_provider first;
    location /v1/ { llm_proxy; proxy_pass http://$llm_provider_upstream; }
--- provider_first
{"words":3}

429 {}

{"words":5}
--- requests
POST /v1/chat/completions
{"model":"m","stream":true}
>>>
POST /v1/chat/completions
{"model":"m"}
>>>
POST /v1/chat/completions
{"model":"m","stream":true}
--- error_code: 200 429 200
--- access_log
^reported 1 12 7 19 4 - 0\nnone 0 - - - - - -\nreported 1 12 9 21 4 - 0$

=== a client that would take a packed answer does not keep us from reading it
--- http_config
    upstream first { server %%first%%; }
    log_format u '$llm_usage_source $llm_total_tokens';
--- config
    llm_proxy_route first first;
    llm_proxy_default_provider first;
    location /v1/ { llm_proxy; proxy_pass http://$llm_provider_upstream; }
--- request
POST /v1/chat/completions
{"model":"m"}
--- more_headers
Accept-Encoding: gzip, br
--- provider_first_got
POST /v1/chat/completions
!accept-encoding
--- access_log
^reported 19$
