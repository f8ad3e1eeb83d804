# An answer whose provider tells no tokens is never free by accident: it is estimated, billed as reserved,
# or, if the operator wants that, zero; the row says which.

use Test::LLM 'no_plan';

use Test::LLM::Ledger;

run_tests();

__DATA__

=== by default it is estimated, by a token for four bytes
--- http_config
    upstream one { server %%first%%; }
    log_format cost '$llm_cost_status $llm_usage_source';
    llm_cost_rate first * 1000 1000;
--- config
    llm_proxy_route first one;
    llm_proxy_default_provider first;
    location /v1/ { llm_proxy; llm_cost; proxy_pass http://$llm_provider_upstream; }
--- provider_first eval
my $text = 'word ' x 80;
qq(200 {"choices":[{"message":{"content":"$text"},"finish_reason":"stop"}]}\n\n)
    . qq(sse\n{"choices":[{"delta":{"content":"$text"}}]}\n)
    . qq({"choices":[{"delta":{},"finish_reason":"stop"}]}\n[DONE])
--- requests eval
my $prompt = 'word ' x 160;
CORE::join ">>>\n", map { qq(POST /v1/chat/completions\n{"model":"m","messages":[{"role":"user","content":"$prompt"}]$_}\n) } '', ',"stream":true'
--- access_log
^estimated estimated\nestimated estimated$
--- after
ok(wait_for_rows($t, 2), 'two rows');
for my $row (rows($t)) {
    is($row->{status}, 'estimated', 'which say so');
    is($row->{usage_source}, 'estimated', 'and where the tokens come from');
    ok(abs($row->{prompt_tokens} - 200) < 30, "$row->{prompt_tokens} tokens of prompt");
    is($row->{completion_tokens}, 100, 'tokens of answer');
    is(decimal($row->{total_tokens} * pico('0.001')), $row->{total_cost}, 'at the rates');
}

=== the same words cost the same with stream and without, in every dialect
--- http_config
    upstream one { server %%first%%; }
    upstream two { server %%second%%; }
    log_format cost '$llm_usage_source $llm_cost_total';
    llm_cost_rate first * 1000 1000;
    llm_cost_rate second * 1000 1000;
--- config
    llm_proxy_route first one;
    llm_proxy_route second two anthropic;
    llm_proxy_model_pattern a first;
    llm_proxy_model_pattern b second;
    location /v1/ { llm_proxy; llm_cost; proxy_pass http://$llm_provider_upstream; }
--- provider_first
200 {"id":"a","choices":[{"index":0,"message":{"role":"assistant","content":"Let me \"see\":\n\u2603","reasoning_content":"some thoughts","tool_calls":[{"id":"call_1","type":"function","function":{"name":"weather","arguments":"{\"city\":\"Paris\"}"}}]},"logprobs":{"content":[{"token":"Let"}]},"finish_reason":"tool_calls"}]}

sse
{"id":"a","choices":[{"index":0,"delta":{"role":"assistant","content":""}}]}
{"id":"a","choices":[{"index":0,"delta":{"reasoning_content":"some "}}]}
{"id":"a","choices":[{"index":0,"delta":{"reasoning_content":"thoughts"}}]}
{"id":"a","choices":[{"index":0,"delta":{"content":"Let me \"se"},"logprobs":{"content":[{"token":"Let"}]}}]}
{"id":"a","choices":[{"index":0,"delta":{"content":"e\":\n\u2603"}}]}
{"id":"a","choices":[{"index":0,"delta":{"tool_calls":[{"index":0,"id":"call_1","type":"function","function":{"name":"weather","arguments":""}}]}}]}
{"id":"a","choices":[{"index":0,"delta":{"tool_calls":[{"index":0,"function":{"arguments":"{\"city\":"}}]}}]}
{"id":"a","choices":[{"index":0,"delta":{"tool_calls":[{"index":0,"function":{"arguments":"\"Paris\"}"}}]}}]}
{"id":"a","choices":[{"index":0,"delta":{},"finish_reason":"tool_calls"}]}
[DONE]

200 {"choices":[{"text":"words \"and\" words"}]}

sse
{"choices":[{"text":"words \"an"}]}
{"choices":[{"text":"d\" words","finish_reason":"stop"}]}
[DONE]

200 {"object":"response","output":[{"type":"message","content":[{"type":"output_text","text":"some words","annotations":[]}]},{"type":"function_call","name":"weather","arguments":"{\"city\":\"Paris\"}"}],"text":{"format":{"type":"text"}}}

sse
{"type":"response.output_text.delta","delta":"some "}
{"type":"response.output_text.delta","delta":"words"}
{"type":"response.output_text.done","text":"some words"}
{"type":"response.output_item.added","item":{"type":"function_call","name":"weather","arguments":""}}
{"type":"response.function_call_arguments.delta","delta":"{\"city\":\"Paris\"}"}
{"type":"response.function_call_arguments.done","name":"weather","arguments":"{\"city\":\"Paris\"}"}
{"type":"response.completed","response":{"output":[{"type":"message","content":[{"type":"output_text","text":"some words"}]}]}}
--- provider_second
200 {"type":"message","content":[{"type":"thinking","thinking":"hm","signature":"c2lnbmF0dXJl"},{"type":"text","text":"Let me \"see\""},{"type":"tool_use","id":"t","name":"weather","input":{"city":"Paris"}}],"stop_reason":"tool_use"}

sse
event: message_start data: {"type":"message_start","message":{"type":"message","content":[]}}
event: content_block_start data: {"type":"content_block_start","index":0,"content_block":{"type":"thinking","thinking":""}}
event: content_block_delta data: {"type":"content_block_delta","index":0,"delta":{"type":"thinking_delta","thinking":"hm"}}
event: content_block_delta data: {"type":"content_block_delta","index":0,"delta":{"type":"signature_delta","signature":"c2lnbmF0dXJl"}}
event: content_block_start data: {"type":"content_block_start","index":1,"content_block":{"type":"text","text":""}}
event: content_block_delta data: {"type":"content_block_delta","index":1,"delta":{"type":"text_delta","text":"Let me \"s"}}
event: content_block_delta data: {"type":"content_block_delta","index":1,"delta":{"type":"text_delta","text":"ee\""}}
event: content_block_start data: {"type":"content_block_start","index":2,"content_block":{"type":"tool_use","id":"t","name":"weather","input":{}}}
event: content_block_delta data: {"type":"content_block_delta","index":2,"delta":{"type":"input_json_delta","partial_json":"{\"city\":"}}
event: content_block_delta data: {"type":"content_block_delta","index":2,"delta":{"type":"input_json_delta","partial_json":"\"Paris\"}"}}
event: message_delta data: {"type":"message_delta","delta":{"stop_reason":"tool_use"}}
event: message_stop data: {"type":"message_stop"}
--- requests eval
my @asked = map { my $way = $_; map {"POST $way$_}\n"} '', ',"stream":true' }
    qq(/v1/chat/completions\n{"model":"a","messages":[]), qq(/v1/completions\n{"model":"a","prompt":"x"),
    qq(/v1/responses\n{"model":"a","input":"x"), qq(/v1/messages\n{"model":"b","messages":[]);
CORE::join ">>>\n", @asked
--- access_log
^(estimated \S+)\n\1\n(estimated \S+)\n\2\n(estimated \S+)\n\3\n(estimated \S+)\n\4$
--- after
ok(wait_for_rows($t, 8), 'eight rows');
# A token for four bytes, as they stand in the answers.
my @lengths = map {length}
    'some thoughtsLet me \"see\":\n\u2603weather{\"city\":\"Paris\"}', 'words \"and\" words',
    'some wordsweather{\"city\":\"Paris\"}', 'hmLet me \"see\"weather{"city":"Paris"}';
is_deeply([ map { row_of($t, $_)->{completion_tokens} } $t->answers ],
    [ map { (int(($_ + 3) / 4)) x 2 } @lengths ], 'by the words alone');

=== what is no text has no output to estimate
--- http_config
    upstream one { server %%first%%; }
    log_format cost '$llm_usage_source';
    llm_cost_rate first * 1000 1000;
--- config
    llm_proxy_route first one;
    llm_proxy_default_provider first;
    location /v1/ { llm_proxy; llm_cost; proxy_pass http://$llm_provider_upstream; }
--- provider_first
200 {"object":"list","data":[{"object":"embedding","index":0,"embedding":[0.25,-0.5,0.125,-0.25]}],"model":"m"}
--- request
POST /v1/embeddings
{"model":"m","input":"some words"}
--- access_log
^estimated$
--- after
ok(wait_for_rows($t, 1), 'one row');
my ($row) = rows($t);
is($row->{completion_tokens}, 0, 'none');
is($row->{prompt_tokens}, 3, 'only input');

=== reserve: what the request had reserved is billed
--- http_config
    upstream one { server %%first%%; }
    log_format cost '$llm_cost_status $llm_ratelimit_reserved_tokens';
    llm_cost_rate first * 1000 1000;
    llm_cost_usage_missing reserve;
--- config
    llm_proxy_route first one;
    llm_proxy_default_provider first;
    llm_ratelimit_rule all tokens 100000/h;
    location /v1/ { llm_proxy; llm_ratelimit; llm_cost; proxy_pass http://$llm_provider_upstream; }
--- provider_first
200 {"choices":[{"message":{"content":"a"},"finish_reason":"stop"}]}
--- request
POST /v1/chat/completions
{"model":"m","max_tokens":500,"messages":[]}
--- access_log
^usage_missing \d+$
--- after
ok(wait_for_rows($t, 1), 'one row');
my ($row) = rows($t);
my ($reserved) = $t->access_log =~ /(\d+)$/m;
is($row->{usage_source}, 'reserved', 'which says so');
is($row->{completion_tokens}, 500, 'all output that was allowed');
is($row->{total_tokens}, $reserved, 'and the prompt');

=== zero: nothing is billed, but it is told
--- http_config
    upstream one { server %%first%%; }
    log_format cost '$llm_cost_status [$llm_cost_total]';
    llm_cost_rate first * 1000 1000;
    llm_cost_usage_missing zero;
--- config
    llm_proxy_route first one;
    llm_proxy_default_provider first;
    location /v1/ { llm_proxy; llm_cost; proxy_pass http://$llm_provider_upstream; }
--- provider_first
200 {"choices":[{"message":{"content":"a"},"finish_reason":"stop"}]}
--- request
POST /v1/chat/completions
{"model":"m"}
--- access_log
^usage_missing \[0.00000000\]$
--- after
ok(wait_for_rows($t, 1), 'one row');
is((rows($t))[0]{status}, 'usage_missing', 'which says so');

=== what is told stands; only the rest is estimated
--- http_config
    upstream one { server %%first%%; }
    log_format cost '$llm_cost_status';
    llm_cost_rate first * 1000 1000;
--- config
    llm_proxy_route first one;
    llm_proxy_default_provider first;
    location /v1/ { llm_proxy; llm_cost; proxy_pass http://$llm_provider_upstream; }
--- provider_first
200 {"choices":[{"message":{"content":"some words"},"finish_reason":"stop"}],"usage":{"prompt_tokens":777}}
--- request
POST /v1/chat/completions
{"model":"m"}
--- access_log
^estimated$
--- after
ok(wait_for_rows($t, 1), 'one row');
my ($row) = rows($t);
is($row->{prompt_tokens}, 777, 'the prompt as it was told');
is($row->{completion_tokens}, 3, 'the answer by its length');

=== one of three words
--- config
    llm_cost_usage_missing guess;
--- must_fail
"llm_cost_usage_missing" must be estimate, reserve or zero
