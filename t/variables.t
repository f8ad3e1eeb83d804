# Every $llm_… variable of llm_proxy: what it says, where it may be used, and that it is not found (a
# "-" in a log, no header, the default of a map) where its stage did not run. Those of tokens have
# usage.t, $llm_stream_state has stream_end.t.

use Test::LLM 'no_plan';

run_tests();

__DATA__

=== a chat that streams, in the log
--- http_config
    upstream one { server %%first%%; }
    log_format all 'provider=$llm_provider host=$llm_provider_host version=$llm_provider_version '
        'upstream=$llm_provider_upstream model=$llm_model streaming=$llm_streaming '
        'parsed=$llm_body_parsed requested=$llm_requested_provider/$llm_requested_model '
        'dialect=$llm_requested_dialect/$llm_requested_dialect_source '
        'effective=$llm_effective_provider/$llm_effective_model/$llm_effective_dialect '
        'outcome=$llm_resolution_outcome replaced=$llm_replacement_happened '
        'translated=$llm_translation_happened state=$llm_stream_state '
        'tokens=$llm_prompt_tokens,$llm_completion_tokens,$llm_total_tokens '
        'cache=$llm_cache_read_tokens,$llm_cache_create_tokens reasoning=$llm_reasoning_tokens '
        'usage=$llm_usage_extracted,$llm_usage_source '
        'ms=$llm_ttft_ms,$llm_overhead_ms,$llm_first_attempt_ms';
--- config
    llm_proxy_route first one;
    llm_proxy_default_provider first;
    location /v1/ { llm_proxy; proxy_pass http://$llm_provider_upstream; }
--- request
POST /v1/chat/completions
{"model":"m","stream":true}
--- access_log
^provider=first host=127.0.0.1 version=- upstream=one model=m streaming=1 parsed=1 requested=first/m dialect=openai/path effective=first/m/openai outcome=as_requested replaced=0 translated=0 state=complete tokens=12,7,19 cache=4,- reasoning=0 usage=1,reported ms=\d+,\d+,\d+$

=== a message that does not, in the log
--- http_config
    upstream two { server %%second%%; }
    log_format all 'provider=$llm_provider host=$llm_provider_host version=$llm_provider_version '
        'upstream=$llm_provider_upstream model=$llm_model streaming=$llm_streaming '
        'parsed=$llm_body_parsed requested=$llm_requested_provider/$llm_requested_model '
        'dialect=$llm_requested_dialect/$llm_requested_dialect_source '
        'effective=$llm_effective_provider/$llm_effective_model/$llm_effective_dialect '
        'outcome=$llm_resolution_outcome state=$llm_stream_state '
        'tokens=$llm_prompt_tokens,$llm_completion_tokens,$llm_total_tokens '
        'cache=$llm_cache_read_tokens,$llm_cache_create_tokens reasoning=$llm_reasoning_tokens '
        'usage=$llm_usage_extracted,$llm_usage_source '
        'ms=$llm_ttft_ms,$llm_overhead_ms,$llm_first_attempt_ms';
--- config
    llm_proxy_route second two anthropic host=api.second.test;
    llm_proxy_provider_version second 2023-06-01;
    llm_proxy_default_provider second;
    llm_proxy_model_alias friendly second/real-name;
    location /v1/ { llm_proxy; proxy_pass http://$llm_provider_upstream; }
--- request
POST /v1/messages
{"model":"friendly","max_tokens":5,"messages":[]}
--- access_log
^provider=second host=api.second.test version=2023-06-01 upstream=two model=friendly streaming=0 parsed=1 requested=second/friendly dialect=anthropic/path effective=second/real-name/anthropic outcome=as_requested state=- tokens=18,7,25 cache=4,2 reasoning=- usage=1,reported ms=-,\d+,\d+$

=== where the gateway is off none is found
--- http_config
    upstream first { server %%first%%; }
    map $llm_provider $mapped { default none; first found; }
    log_format all '$llm_provider$llm_provider_host$llm_provider_version$llm_provider_upstream$llm_model'
        '$llm_streaming$llm_body_parsed$llm_requested_provider$llm_requested_model'
        '$llm_requested_dialect$llm_requested_dialect_source$llm_effective_provider'
        '$llm_effective_model$llm_effective_dialect$llm_resolution_outcome'
        '$llm_replacement_happened$llm_translation_happened$llm_prompt_tokens'
        '$llm_completion_tokens$llm_total_tokens$llm_cache_read_tokens$llm_cache_create_tokens'
        '$llm_reasoning_tokens$llm_usage_extracted$llm_usage_source$llm_ttft_ms$llm_overhead_ms'
        '$llm_first_attempt_ms$llm_stream_state $mapped';
--- config
    location /v1/ {
        add_header X-Provider $llm_provider;
        add_header X-Usage $llm_usage_source;
        proxy_set_header X-Sent $llm_model;
        proxy_pass http://first;
    }
--- request
POST /v1/chat/completions
{"model":"m"}
--- response_headers
!x-provider
!x-usage
--- provider_first_got
POST /v1/chat/completions
!x-sent
--- access_log
^-{29} none$

=== a model that is not served has no provider, but a name
--- http_config
    upstream one { server %%first%%; }
    log_format all '$status $llm_model $llm_requested_model $llm_streaming $llm_body_parsed '
        '$llm_requested_dialect $llm_resolution_outcome [$llm_provider] [$llm_requested_provider] '
        '[$llm_effective_provider] [$llm_effective_model] [$llm_effective_dialect] '
        '[$llm_provider_host] [$llm_provider_upstream] [$llm_usage_source] [$llm_usage_extracted] '
        '[$llm_overhead_ms] [$llm_first_attempt_ms] [$llm_ttft_ms] [$llm_replacement_happened]';
--- config
    llm_proxy_route first one;
    llm_proxy_model_pattern a first;
    location /v1/ { llm_proxy; proxy_pass http://$llm_provider_upstream; }
--- requests
POST /v1/chat/completions
{"model":"b","stream":true}
>>>
POST /v1/chat/completions
{"model":"a","provider":"other"}
--- error_code: 404 400
--- access_log
^404 b b 1 1 openai rejected_unresolvable \[-\] \[-\] \[-\] \[-\] \[-\] \[-\] \[-\] \[-\] \[-\] \[-\] \[-\] \[-\] \[-\]$
^400 a a 0 1 openai rejected_out_of_scope \[-\] \[-\] 
--- provider_first_requests: 0

=== a body that nobody can read has neither model nor stream
--- http_config
    upstream one { server %%first%%; }
    log_format all '$status [$llm_model] [$llm_streaming] [$llm_body_parsed] $llm_requested_dialect '
        '[$llm_provider] [$llm_resolution_outcome]';
--- config
    llm_proxy_route first one;
    llm_proxy_default_provider first;
    location /v1/ { llm_proxy; proxy_pass http://$llm_provider_upstream; }
--- requests
POST /v1/messages
{"model":"m"
>>>
POST /v1/chat/completions
{"model":"m","model":"n"}
--- error_code: 400
--- access_log
^400 \[-\] \[-\] \[-\] anthropic \[-\] \[rejected_unresolvable\]$
^400 \[-\] \[-\] \[-\] openai \[-\] \[rejected_unresolvable\]$
--- provider_first_requests: 0

=== a body that is passed on unread was not parsed
--- http_config
    upstream one { server %%first%%; }
    log_format all '$llm_provider [$llm_model] $llm_streaming $llm_body_parsed [$llm_effective_model]';
--- config
    llm_proxy_route first one;
    llm_proxy_default_provider first;
    llm_proxy_unparsed pass;
    location /v1/ { llm_proxy; proxy_pass http://$llm_provider_upstream; }
--- provider_first
200 {"ok":1}
--- request
POST /v1/chat/completions
{"model":"m"
--- access_log
^first \[-\] 0 0 \[-\]$

=== a request without a body goes to a provider all the same
--- http_config
    upstream one { server %%first%%; }
    log_format all '$llm_provider [$llm_model] $llm_streaming $llm_body_parsed [$llm_effective_model] '
        '$llm_usage_source';
--- config
    llm_proxy_route first one;
    llm_proxy_default_provider first;
    location /v1/ { llm_proxy; proxy_pass http://$llm_provider_upstream; }
--- request
GET /v1/models
--- access_log
^first \[-\] 0 0 \[-\] none$

=== how the dialect was found
--- http_config
    upstream one { server %%first%%; }
    log_format all '$llm_requested_dialect $llm_requested_dialect_source';
--- config
    llm_proxy_route first one;
    llm_proxy_default_provider first;
    location /v1/ { llm_proxy; proxy_pass http://$llm_provider_upstream; }
    location /fixed/v1/ {
        llm_proxy;
        llm_proxy_dialect_mode fixed;
        llm_proxy_ingress_dialect openai;
        proxy_pass http://$llm_provider_upstream;
    }
--- provider_first
{"json":{},"times":4}
--- requests
POST /v1/chat/completions
{"model":"m"}
>>>
POST /v1/chat/completions
{"model":"m","dialect":"openai"}
>>>
POST /v1/other
{"model":"m","messages":[]}
>>>
POST /fixed/v1/other
{"model":"m"}
--- access_log
^openai path\nopenai explicit\nopenai inferred_shape\nopenai fixed_ingress$

=== what the provider answered does not matter to where the request went
--- http_config
    upstream one { server %%first%%; }
    log_format all '$status $llm_provider $llm_effective_provider $llm_effective_model '
        '$llm_usage_source [$llm_ttft_ms] $llm_first_attempt_ms';
--- config
    llm_proxy_route first one;
    llm_proxy_default_provider first;
    location /v1/ { llm_proxy; proxy_pass http://$llm_provider_upstream; }
--- provider_first
500 {}

{"fault":"reset"}
--- requests
POST /v1/chat/completions
{"model":"m","stream":true}
>>>
POST /v1/chat/completions
{"model":"m","stream":true}
--- error_code: 500 502
--- access_log
^500 first first m none \[-\] \d+\n502 first first m none \[-\] \d+$

=== what is known before the answer may stand in its headers
--- http_config
    upstream one { server %%first%%; }
--- config
    llm_proxy_route first one;
    llm_proxy_default_provider first;
    location /v1/ {
        llm_proxy;
        add_header X-Provider $llm_provider;
        add_header X-Effective "$llm_effective_provider/$llm_effective_model" always;
        add_header X-Outcome $llm_resolution_outcome always;
        add_header X-Replaced $llm_replacement_happened;
        add_header X-Streaming $llm_streaming;
        add_header X-Overhead $llm_overhead_ms;
        add_header X-Tokens $llm_total_tokens;
        add_header X-State $llm_stream_state;
        add_header X-First-Token $llm_ttft_ms;
        proxy_pass http://$llm_provider_upstream;
    }
--- requests
POST /v1/chat/completions
{"model":"m","stream":true}
>>>
POST /v1/chat/completions
{"model":"m"}
--- response_headers
x-provider: first
x-effective: first/m
x-outcome: as_requested
x-replaced: 0
x-streaming: 1
x-overhead: ~^\d+$
!x-tokens
!x-state
!x-first-token
>>>
x-provider: first
x-streaming: 0
!x-tokens
!x-state

=== what was looked at too early is known to the log
--- http_config
    upstream one { server %%first%%; }
    log_format all '$llm_model $llm_provider $llm_total_tokens $llm_stream_state';
--- config
    llm_proxy_route first one;
    llm_proxy_default_provider first;
    location /v1/ {
        set $early "$llm_model$llm_provider";
        if ($llm_model = never) { return 404; }
        llm_proxy;
        add_header X-Early "[$early]";
        add_header X-Tokens "[$llm_total_tokens $llm_stream_state]";
        proxy_pass http://$llm_provider_upstream;
    }
--- request
POST /v1/chat/completions
{"model":"m","stream":true}
--- response_headers
x-early: []
x-tokens: [ ]
--- access_log
^m first 19 complete$

=== headers for the provider may have them
--- http_config
    upstream one { server %%first%%; }
--- config
    llm_proxy_route first one;
    llm_proxy_default_provider first;
    location /v1/ {
        llm_proxy;
        proxy_set_header X-Model "$llm_model for $llm_provider on $llm_provider_host";
        proxy_set_header X-Tokens $llm_total_tokens;
        proxy_pass http://$llm_provider_upstream;
    }
--- request
POST /v1/chat/completions
{"model":"m"}
--- provider_first_got
POST /v1/chat/completions
x-model: m for first on 127.0.0.1
!x-tokens

=== maps may have them, and logs may depend on them
--- http_config
    upstream one { server %%first%%; }
    map $llm_streaming $kind { default -; 0 plain; 1 stream; }
    map $llm_stream_state $broken { default 0; incomplete 1; }
    map $llm_model $dear { default 0; ~^large 1; }
    log_format kind '$llm_model $kind $dear';
    access_log logs/access.log kind;
    access_log logs/broken.log kind if=$broken;
--- config
    llm_proxy_route first one;
    llm_proxy_default_provider first;
    location /v1/ {
        llm_proxy;
        add_header X-Kind $kind;
        proxy_pass http://$llm_provider_upstream;
    }
--- provider_first
{}

{"fault":"cut","after":2}
--- requests
POST /v1/chat/completions
{"model":"large-1"}
>>>
POST /v1/chat/completions
{"model":"small","stream":true}
--- incomplete_response: 2
--- response_headers
x-kind: plain
>>>
x-kind: stream
--- access_log
^large-1 plain 1\nsmall stream 0$
--- after
ok((wait_until { $t->read_file('logs/broken.log') eq "small stream 0\n" } 5), 'the broken one alone');

=== each request of a connection has its own
--- http_config
    upstream one { server %%first%%; }
    upstream two { server %%second%%; }
    log_format all '$llm_provider [$llm_model] $llm_streaming [$llm_stream_state]';
--- config
    llm_proxy_route first one;
    llm_proxy_route second two;
    llm_proxy_model_pattern a first;
    llm_proxy_model_pattern b second;
    llm_proxy_default_provider second;
    location /v1/ { llm_proxy; proxy_pass http://$llm_provider_upstream; }
--- requests
POST /v1/chat/completions
{"model":"a","stream":true}
>>>
GET /v1/models
>>>
POST /v1/chat/completions
{"model":"b"}
--- access_log
^first \[a\] 1 \[complete\]\nsecond \[-\] 0 \[-\]\nsecond \[b\] 0 \[-\]$

=== the first token's time is one, and that of the first attempt is the whole
--- http_config
    upstream one { server %%first%%; }
    log_format all '$llm_ttft_ms $llm_first_attempt_ms $llm_overhead_ms';
--- config
    llm_proxy_route first one;
    llm_proxy_default_provider first;
    location /v1/ { llm_proxy; proxy_pass http://$llm_provider_upstream; }
--- provider_first
{"pace_ms":100,"sse":["{\"choices\":[{\"delta\":{\"role\":\"assistant\",\"content\":\"\"}}]}",
  "{\"choices\":[{\"delta\":{\"content\":\"a\"}}]}","{\"choices\":[{\"delta\":{\"content\":\"b\"}}]}","[DONE]"]}
--- request
POST /v1/chat/completions
{"model":"m","stream":true}
--- access_log
^\d+ \d+ \d+$
--- after
my ($first_token, $attempt, $overhead) = split ' ', $t->access_log;
cmp_ok($first_token, '>=', 90, 'the role alone was no first token');
cmp_ok($attempt, '>=', 280, 'the attempt took as long as the stream');
cmp_ok($overhead, '<=', $first_token, 'the gateway itself took less');
