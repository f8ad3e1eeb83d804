# llm_proxy_inject_usage: a stream is asked for its usage, and the client does not see what it did not
# ask for.

use Test::LLM 'no_plan';

run_tests();

__DATA__

=== a stream is asked for its usage
--- http_config
    upstream one { server %%first%%; }
    log_format usage "$llm_prompt_tokens $llm_completion_tokens $llm_usage_extracted";
--- config
    llm_proxy_route first one;
    llm_proxy_default_provider first;
    location /v1/ { llm_proxy; proxy_pass http://one; }
--- request
POST /v1/chat/completions
{ "model":"m", "stream" : true , "messages":[]}
--- provider_first_got_body
{"stream_options":{"include_usage":true}, "model":"m", "stream" : true , "messages":[]}
--- provider_first_got
POST /v1/chat/completions
content-length: 87
--- access_log
^12 \d+ 1$

=== what stands in stream_options is kept
--- http_config
    upstream one { server %%first%%; }
--- config
    llm_proxy_route first one;
    llm_proxy_default_provider first;
    location /v1/ { llm_proxy; proxy_pass http://one; }
--- requests
POST /v1/chat/completions
{"model":"m","stream":true,"stream_options":{"include_usage":true}}
>>>
POST /v1/chat/completions
{"model":"m","stream":true,"stream_options":{ "include_usage" : false , "a":1}}
>>>
POST /v1/chat/completions
{"model":"m","stream":true,"stream_options":{"include_usage":null}}
>>>
POST /v1/chat/completions
{"model":"m","stream":true,"stream_options":{ "include_obfuscation":false }}
>>>
POST /v1/chat/completions
{"model":"m","stream":true,"stream_options":{ }}
>>>
POST /v1/chat/completions
{"model":"m","stream_options": null,"stream":true}
>>>
POST /v1/completions
{"model":"m","stream":true,"prompt":"a"}
--- provider_first
{"sse":["[DONE]"],"times":7}
--- provider_first_got_body
{"model":"m","stream":true,"stream_options":{"include_usage":true}}
>>>
{"model":"m","stream":true,"stream_options":{ "include_usage" : true , "a":1}}
>>>
{"model":"m","stream":true,"stream_options":{"include_usage":true}}
>>>
{"model":"m","stream":true,"stream_options":{"include_usage":true, "include_obfuscation":false }}
>>>
{"model":"m","stream":true,"stream_options":{"include_usage":true }}
>>>
{"model":"m","stream_options": {"include_usage":true},"stream":true}
>>>
{"stream_options":{"include_usage":true},"model":"m","stream":true,"prompt":"a"}

=== stream_options that make no sense are the provider's to judge
--- http_config
    upstream one { server %%first%%; }
--- config
    llm_proxy_route first one;
    llm_proxy_default_provider first;
    location /v1/ { llm_proxy; proxy_pass http://one; }
--- requests
POST /v1/chat/completions
{"model":"m","stream":true,"stream_options":"all"}
>>>
POST /v1/chat/completions
{"model":"m","stream":true,"stream_options":[]}
>>>
POST /v1/chat/completions
{"model":"m","stream":true,"stream_options":{"include_usage":"yes"}}
>>>
POST /v1/chat/completions
{"model":"m","stream":true,"stream_options":7}
--- provider_first
{"sse":["[DONE]"],"times":4}
--- provider_first_got_body
{"model":"m","stream":true,"stream_options":"all"}
>>>
{"model":"m","stream":true,"stream_options":[]}
>>>
{"model":"m","stream":true,"stream_options":{"include_usage":"yes"}}
>>>
{"model":"m","stream":true,"stream_options":7}

=== what is no stream is not asked
--- http_config
    upstream one { server %%first%%; }
    upstream two { server %%second%%; }
--- config
    llm_proxy_route first one;
    llm_proxy_route second two anthropic;
    llm_proxy_model_pattern m first;
    llm_proxy_model_pattern c second;
    location /v1/ { llm_proxy; proxy_pass http://$llm_provider_upstream; }
--- requests
POST /v1/chat/completions
{"model":"m"}
>>>
POST /v1/chat/completions
{"model":"m","stream":false}
>>>
POST /v1/chat/completions
{"model":"m","stream":1}
>>>
POST /v1/chat/completions
{"model":"m","stream":"true"}
>>>
POST /v1/responses
{"model":"m","stream":true}
>>>
POST /v1/embeddings
{"model":"m","stream":true}
>>>
POST /v1/messages
{"model":"c","stream":true}
--- provider_first
{"json":{},"times":6}
--- provider_second
{"json":{}}
--- provider_first_got_body
{"model":"m"}
>>>
{"model":"m","stream":false}
>>>
{"model":"m","stream":1}
>>>
{"model":"m","stream":"true"}
>>>
{"model":"m","stream":true}
>>>
{"model":"m","stream":true}
--- provider_second_got_body
{"model":"c","stream":true}

=== a client that did not ask does not see the extra chunk
--- http_config
    upstream one { server %%first%%; }
    log_format usage "$llm_prompt_tokens $llm_completion_tokens $llm_usage_source";
--- config
    llm_proxy_route first one;
    llm_proxy_default_provider first;
    location /v1/ { llm_proxy; proxy_pass http://one; }
--- requests
POST /v1/chat/completions
{"model":"m","stream":true}
>>>
POST /v1/chat/completions
{"model":"m","stream":true,"stream_options":{"include_usage":false}}
>>>
POST /v1/chat/completions
{"model":"m","stream":true,"stream_options":{"include_usage":true}}
--- provider_first
sse
{"id":"a","choices":[{"index":0,"delta":{"content":"Hi"},"finish_reason":null}],"usage":null}
{"id":"a","choices":[{"index":0,"delta":{},"finish_reason":"stop"}],"usage":null}
{"id":"a","choices":[],"usage":{"prompt_tokens":3,"completion_tokens":1,"total_tokens":4}}
[DONE]

sse
{"id":"b","choices":[{"index":0,"delta":{"content":"Hi"},"finish_reason":"stop"}]}
{"id":"b","choices":[],"usage":{"prompt_tokens":5,"completion_tokens":1,"total_tokens":6}}
[DONE]

sse
{"id":"c","choices":[{"index":0,"delta":{"content":"Hi"},"finish_reason":"stop"}]}
{"id":"c","choices":[],"usage":{"prompt_tokens":7,"completion_tokens":1,"total_tokens":8}}
[DONE]
--- response_sse
{"id":"a","choices":[{"index":0,"delta":{"content":"Hi"},"finish_reason":null}],"usage":null}
{"id":"a","choices":[{"index":0,"delta":{},"finish_reason":"stop"}],"usage":null}
[DONE]
>>>
{"id":"b","choices":[{"index":0,"delta":{"content":"Hi"},"finish_reason":"stop"}]}
[DONE]
>>>
{"id":"c","choices":[{"index":0,"delta":{"content":"Hi"},"finish_reason":"stop"}]}
{"id":"c","choices":[],"usage":{"prompt_tokens":7,"completion_tokens":1,"total_tokens":8}}
[DONE]
--- access_log
^3 1 reported$
^5 1 reported$
^7 1 reported$

=== usage that comes with content is no extra chunk
--- http_config
    upstream one { server %%first%%; }
--- config
    llm_proxy_route first one;
    llm_proxy_default_provider first;
    location /v1/ { llm_proxy; proxy_pass http://one; }
--- request
POST /v1/chat/completions
{"model":"m","stream":true}
--- provider_first
sse
{"choices":[{"index":0,"delta":{"content":"Hi"},"finish_reason":"stop"}],"usage":{"prompt_tokens":3,"completion_tokens":1}}
[DONE]
--- response_sse
{"choices":[{"index":0,"delta":{"content":"Hi"},"finish_reason":"stop"}],"usage":{"prompt_tokens":3,"completion_tokens":1}}
[DONE]

=== where it is off, streams are as the client wants them
--- http_config
    upstream one { server %%first%%; }
    llm_proxy_inject_usage off;
--- config
    llm_proxy_route first one;
    llm_proxy_default_provider first;
    location /v1/ { llm_proxy; proxy_pass http://one; }
    location /on/v1/ { llm_proxy; llm_proxy_inject_usage; proxy_pass http://one; }
--- requests
POST /v1/chat/completions
{"model":"m","stream":true}
>>>
POST /on/v1/chat/completions
{"model":"m","stream":true}
--- provider_first
sse
{"choices":[{"index":0,"delta":{"content":"Hi"},"finish_reason":"stop"}]}
{"choices":[],"usage":{"prompt_tokens":3,"completion_tokens":1}}
[DONE]

sse
{"choices":[{"index":0,"delta":{"content":"Hi"},"finish_reason":"stop"}]}
{"choices":[],"usage":{"prompt_tokens":3,"completion_tokens":1}}
[DONE]
--- response_sse
{"choices":[{"index":0,"delta":{"content":"Hi"},"finish_reason":"stop"}]}
{"choices":[],"usage":{"prompt_tokens":3,"completion_tokens":1}}
[DONE]
>>>
{"choices":[{"index":0,"delta":{"content":"Hi"},"finish_reason":"stop"}]}
[DONE]
--- provider_first_got_body
{"model":"m","stream":true}
>>>
{"stream_options":{"include_usage":true},"model":"m","stream":true}

=== a new name, a removed field and the question for usage go together
--- http_config
    upstream one { server %%first%%; }
--- config
    llm_proxy_route first one;
    llm_proxy_default_provider first;
    llm_proxy_model_alias fast first/m;
    location /v1/ { llm_proxy; proxy_pass http://one; }
--- requests
POST /v1/chat/completions
{"provider":"first","model":"fast","stream":true,"z":1.50}
>>>
POST /v1/chat/completions
{"z":1.50,"stream_options":{},"stream":true,"model":"fast","provider":"first"}
--- provider_first
{"sse":["[DONE]"],"times":2}
--- provider_first_got_body
{"stream_options":{"include_usage":true},"model":"m","stream":true,"z":1.50}
>>>
{"z":1.50,"stream_options":{"include_usage":true},"stream":true,"model":"m"}

=== it is on or off
--- config
    llm_proxy_inject_usage always;
--- must_fail
invalid value "always" in "llm_proxy_inject_usage" directive, it must be "on" or "off" in %%root%%/nginx.conf

=== it is written once at a level
--- config
    llm_proxy_inject_usage on;
    llm_proxy_inject_usage off;
--- must_fail
"llm_proxy_inject_usage" directive is duplicate in %%root%%/nginx.conf
