# llm_proxy_max_response_size: how much of an answer is held back at most. What is beyond that goes to
# the client; the providers here fall silent then, so that it cannot have waited for more.

use Test::LLM 'no_plan';

run_tests();

__DATA__

=== a stream that says much and nothing is held up to the limit, then let go
--- http_config
    upstream first { server %%first%%; }
--- config
    llm_proxy_route first first;
    llm_proxy_default_provider first;
    llm_proxy_first_token_timeout 60s;
    llm_proxy_max_response_size 32k;
    location /v1/ { llm_proxy; proxy_pass http://$llm_provider_upstream; }
--- provider_first eval
'{"fault":"stall","after":40,"chunks":["' . CORE::join('","', (': ' . 'c' x 2000 . '\n\n') x 41) . '"]}'
--- request
POST /v1/chat/completions
{"model":"m","stream":true}
--- abort_after: c{2000}\n\n
--- error_code: 200
--- provider_first_client_closed

=== below the limit it is held
--- http_config
    upstream first { server %%first%%; }
--- config
    llm_proxy_route first first;
    llm_proxy_default_provider first;
    llm_proxy_first_token_timeout 300ms;
    llm_proxy_max_response_size 200k;
    location /v1/ { llm_proxy; proxy_pass http://$llm_provider_upstream; }
--- provider_first eval
'{"fault":"stall","after":40,"chunks":["' . CORE::join('","', (': ' . 'c' x 2000 . '\n\n') x 41) . '"]}'
--- request
POST /v1/chat/completions
{"model":"m","stream":true}
--- error_code: 504

=== the limit is one of what is held, not of an answer
--- http_config
    upstream first { server %%first%%; }
    log_format end '$llm_total_tokens';
--- config
    llm_proxy_route first first;
    llm_proxy_default_provider first;
    llm_proxy_max_response_size 1k;
    location /v1/ { llm_proxy; proxy_pass http://$llm_provider_upstream; }
--- provider_first
{"size":200000}

{"size":200000}
--- requests
POST /v1/chat/completions
{"model":"m"}
>>>
POST /v1/chat/completions
{"model":"m","stream":true}
--- access_log
^19\n19$

=== it holds from http on, and a location may differ
--- http_config
    upstream first { server %%first%%; }
    llm_proxy_max_response_size 10m;
--- config
    llm_proxy_route first first;
    llm_proxy_default_provider first;
    llm_proxy_first_token_timeout 60s;
    location /v1/ {
        llm_proxy;
        llm_proxy_max_response_size 8k;
        proxy_pass http://$llm_provider_upstream;
    }
--- provider_first eval
'{"fault":"stall","after":20,"chunks":["' . CORE::join('","', (': ' . 'c' x 2000 . '\n\n') x 21) . '"]}'
--- request
POST /v1/chat/completions
{"model":"m","stream":true}
--- abort_after: c{2000}\n\n

=== it is a size
--- config
    llm_proxy_max_response_size much;
--- must_fail
invalid value "much" in "llm_proxy_max_response_size" directive, it must be a size such as "10m"

=== nothing cannot be held
--- config
    llm_proxy_max_response_size 0;
--- must_fail
invalid value "0" in "llm_proxy_max_response_size" directive, it must be a size such as "10m"

=== it is written once
--- config
    llm_proxy_max_response_size 1m;
    llm_proxy_max_response_size 2m;
--- must_fail
"llm_proxy_max_response_size" directive is duplicate
