# llm_proxy_client_abort: what becomes of the provider's answer when its client goes. The providers
# here are silent for ever at the point in question, so that a connection which is closed was closed
# because the client went.

use Test::LLM 'no_plan';

run_tests();

__DATA__

=== cancel: a client that goes before the head takes the provider's connection with it
--- http_config
    upstream first { server %%first%%; }
    log_format end '$status $llm_stream_state $llm_usage_source';
--- config
    llm_proxy_route first first;
    llm_proxy_default_provider first;
    location /v1/ { llm_proxy; proxy_pass http://$llm_provider_upstream; }
--- provider_first
{"fault":"hang"}
--- request
POST /v1/chat/completions
{"model":"m"}
--- abort_after: provider first
--- provider_first_client_closed
--- access_log
^499 - none$

=== cancel: so does a client that waits for a stream
--- http_config
    upstream first { server %%first%%; }
    log_format end '$status $llm_usage_source';
--- config
    llm_proxy_route first first;
    llm_proxy_default_provider first;
    llm_proxy_client_abort cancel;
    location /v1/ { llm_proxy; proxy_pass http://$llm_provider_upstream; }
--- provider_first
{"fault":"hang"}
--- request
POST /v1/chat/completions
{"model":"m","stream":true}
--- abort_after: provider first
--- provider_first_client_closed
--- access_log
^499 none$

=== cancel: a client that goes while the head is held for the first token
--- http_config
    upstream first { server %%first%%; }
    log_format end '$status $llm_usage_source';
--- config
    llm_proxy_route first first;
    llm_proxy_default_provider first;
    llm_proxy_first_token_timeout 60s;
    location /v1/ { llm_proxy; proxy_pass http://$llm_provider_upstream; }
--- provider_first
{"fault":"stall","after":1}
--- request
POST /v1/chat/completions
{"model":"m","stream":true}
--- abort_after: provider first
--- provider_first_client_closed
--- access_log
^499 none$

=== cancel: a client that goes in the stream
--- http_config
    upstream first { server %%first%%; }
    log_format end '$llm_stream_state $llm_prompt_tokens';
--- config
    llm_proxy_route first first anthropic;
    llm_proxy_default_provider first;
    location /v1/ { llm_proxy; proxy_pass http://$llm_provider_upstream; }
--- provider_first
{"fault":"stall","after":4}
--- request
POST /v1/messages
{"model":"m","max_tokens":5,"stream":true,"messages":[]}
--- abort_after: "text":"Hello"[^\n]*\n\n
--- provider_first_client_closed
--- access_log
^client_closed 18$

=== cancel: a client that goes while a heartbeat keeps it waiting
--- http_config
    upstream first { server %%first%%; }
    log_format end '$llm_stream_state $llm_usage_source';
--- config
    llm_proxy_route first first;
    llm_proxy_default_provider first;
    llm_proxy_heartbeat 50ms;
    location /v1/ { llm_proxy; proxy_pass http://$llm_provider_upstream; }
--- provider_first
{"fault":"hang"}
--- request
POST /v1/chat/completions
{"model":"m","stream":true}
--- abort_after: : ping
--- provider_first_client_closed
--- access_log
none$

=== cancel: a client that goes within a JSON answer
--- http_config
    upstream first { server %%first%%; }
--- config
    llm_proxy_route first first;
    llm_proxy_default_provider first;
    proxy_buffering off;
    location /v1/ { llm_proxy; proxy_pass http://$llm_provider_upstream; }
--- provider_first
{"fault":"stall","after":1,"size":100000}
--- request
POST /v1/chat/completions
{"model":"m"}
--- abort_after: 20000
--- provider_first_client_closed

=== a client that goes while it sends its request costs no provider anything
--- http_config
    upstream first { server %%first%%; }
    log_format end '$status $llm_provider';
--- config
    llm_proxy_route first first;
    llm_proxy_default_provider first;
    location /v1/ { llm_proxy; proxy_pass http://$llm_provider_upstream; }
--- after
my $client = Test::LLM::Client->new($t->address);
$client->transmit("POST /v1/chat/completions HTTP/1.1\r\nHost: a\r\nContent-Length: 1000\r\n"
    . "Content-Type: application/json\r\n\r\n" . '{"model":');
$client->finish;
ok((wait_until { $t->access_log =~ /^400 -$/m } 5), 'nothing was routed');
--- provider_first_requests: 0

=== finish: the answer is read on for its usage
--- http_config
    upstream first { server %%first%%; }
    log_format end '$llm_stream_state $llm_usage_source $llm_prompt_tokens $llm_completion_tokens';
--- config
    llm_proxy_route first first;
    llm_proxy_default_provider first;
    llm_proxy_client_abort finish;
    location /v1/ { llm_proxy; proxy_pass http://$llm_provider_upstream; }
--- provider_first
{"pace_ms":10,"words":30}
--- request
POST /v1/chat/completions
{"model":"m","stream":true}
--- abort_after: "content":"Hello"[^\n]*\n\n
--- provider_first_client_closed: 0
--- access_log
^client_closed reported 12 34$
--- after
is($t->mock->settled('first')->{client_closed}, 0, 'the provider was heard to its end');

=== finish: in both dialects
--- http_config
    upstream first { server %%first%%; }
    log_format end '$llm_stream_state $llm_usage_source $llm_prompt_tokens $llm_completion_tokens';
--- config
    llm_proxy_route first first anthropic;
    llm_proxy_default_provider first;
    llm_proxy_client_abort finish 30s;
    location /v1/ { llm_proxy; proxy_pass http://$llm_provider_upstream; }
--- provider_first
{"pace_ms":10,"words":30}
--- request
POST /v1/messages
{"model":"m","max_tokens":5,"stream":true,"messages":[]}
--- abort_after: "text":"Hello"[^\n]*\n\n
--- access_log
^client_closed reported 18 34$

=== finish: a stream whose client went before its head
--- http_config
    upstream first { server %%first%%; }
    log_format end '$llm_stream_state $llm_usage_source $llm_completion_tokens';
--- config
    llm_proxy_route first first;
    llm_proxy_default_provider first;
    llm_proxy_client_abort finish;
    location /v1/ { llm_proxy; proxy_pass http://$llm_provider_upstream; }
--- provider_first
{"delay_ms":200,"words":30,"pace_ms":2}
--- request
POST /v1/chat/completions
{"model":"m","stream":true}
--- abort_after: provider first
--- provider_first_client_closed: 0
--- access_log
^client_closed reported 34$

=== finish: JSON whose client went before its head
--- http_config
    upstream first { server %%first%%; }
    log_format end '$llm_stream_state $llm_usage_source $llm_completion_tokens';
--- config
    llm_proxy_route first first;
    llm_proxy_default_provider first;
    llm_proxy_client_abort finish;
    location /v1/ { llm_proxy; proxy_pass http://$llm_provider_upstream; }
--- provider_first
{"delay_ms":200,"words":30,"size":300000}
--- request
POST /v1/chat/completions
{"model":"m"}
--- abort_after: provider first
--- provider_first_client_closed: 0
--- access_log
^- reported 34$

=== finish: JSON whose client went within it
--- http_config
    upstream first { server %%first%%; }
    log_format end '$llm_usage_source $llm_completion_tokens';
--- config
    llm_proxy_route first first;
    llm_proxy_default_provider first;
    llm_proxy_client_abort finish;
    location /v1/ { llm_proxy; proxy_pass http://$llm_provider_upstream; }
--- provider_first eval
'{"headers":{"content-type":"application/json"},"pace_ms":30,"chunks":["{\"a\":\"' . 'x' x 20_000
    . '\",","\"b\":\"' . 'x' x 50_000 . '\",","\"c\":\"' . 'x' x 50_000
    . '\",\"usage\":{\"prompt_tokens\":1,","\"completion_tokens\":2}}"]}'
--- request
POST /v1/chat/completions
{"model":"m"}
--- abort_after: 20000
--- provider_first_client_closed: 0
--- access_log
^reported 2$

=== finish: while the head is held
--- http_config
    upstream first { server %%first%%; }
    log_format end '$llm_stream_state $llm_usage_source $llm_completion_tokens';
--- config
    llm_proxy_route first first;
    llm_proxy_default_provider first;
    llm_proxy_first_token_timeout 30s;
    llm_proxy_client_abort finish;
    location /v1/ { llm_proxy; proxy_pass http://$llm_provider_upstream; }
--- provider_first
{"pace_ms":30,"words":10}
--- request
POST /v1/chat/completions
{"model":"m","stream":true}
--- abort_after: provider first
--- provider_first_client_closed: 0
--- access_log
^client_closed reported 14$

=== finish: an answer that breaks off is still the client's departure, with what was counted
--- http_config
    upstream first { server %%first%%; }
    log_format end '$llm_stream_state $llm_usage_source $llm_prompt_tokens';
--- config
    llm_proxy_route first first anthropic;
    llm_proxy_default_provider first;
    llm_proxy_client_abort finish;
    location /v1/ { llm_proxy; proxy_pass http://$llm_provider_upstream; }
--- provider_first
{"fault":"cut","pace_ms":20,"words":30,"after":15}
--- request
POST /v1/messages
{"model":"m","max_tokens":5,"stream":true,"messages":[]}
--- abort_after: "text":"Hello"[^\n]*\n\n
--- access_log
^client_closed reported 18$

=== finish: not longer than its time
--- http_config
    upstream first { server %%first%%; }
    log_format end '$llm_stream_state';
--- config
    llm_proxy_route first first;
    llm_proxy_default_provider first;
    llm_proxy_client_abort finish 300ms;
    location /v1/ { llm_proxy; proxy_pass http://$llm_provider_upstream; }
--- provider_first
{"pace_ms":10,"words":1500}
--- request
POST /v1/chat/completions
{"model":"m","stream":true}
--- abort_after: "content":"Hello"[^\n]*\n\n
--- provider_first_client_closed
--- access_log
^client_closed$

=== finish: not longer than its time, where the provider is silent
--- http_config
    upstream first { server %%first%%; }
    log_format end '$llm_stream_state';
--- config
    llm_proxy_route first first;
    llm_proxy_default_provider first;
    llm_proxy_client_abort finish 300ms;
    location /v1/ { llm_proxy; proxy_pass http://$llm_provider_upstream; }
--- provider_first
{"fault":"stall","after":2}
--- request
POST /v1/chat/completions
{"model":"m","stream":true}
--- abort_after: "content":"Hello"[^\n]*\n\n
--- provider_first_client_closed
--- access_log
^client_closed$

=== finish: not longer than its time before the head either
--- http_config
    upstream first { server %%first%%; }
    log_format end '$status';
--- config
    llm_proxy_route first first;
    llm_proxy_default_provider first;
    llm_proxy_client_abort finish 300ms;
    location /v1/ { llm_proxy; proxy_pass http://$llm_provider_upstream; }
--- provider_first
{"fault":"hang"}
--- request
POST /v1/chat/completions
{"model":"m"}
--- abort_after: provider first
--- provider_first_client_closed
--- access_log
^\d+$

=== finish changes nothing for a client that stays
--- http_config
    upstream first { server %%first%%; }
    log_format end '$llm_stream_state $llm_completion_tokens';
--- config
    llm_proxy_route first first;
    llm_proxy_default_provider first;
    llm_proxy_client_abort finish 200ms;
    location /v1/ { llm_proxy; proxy_pass http://$llm_provider_upstream; }
--- provider_first
{"pace_ms":20,"words":20}

{"fault":"cut","after":2}
--- requests
POST /v1/chat/completions
{"model":"m","stream":true}
>>>
POST /v1/chat/completions
{"model":"m","stream":true}
--- incomplete_response: 2
--- access_log
^complete 24$
^incomplete -$

=== finish holds from http on, and a location may cancel
--- http_config
    upstream first { server %%first%%; }
    llm_proxy_client_abort finish;
--- config
    llm_proxy_route first first;
    llm_proxy_default_provider first;
    location /v1/ {
        llm_proxy;
        llm_proxy_client_abort cancel;
        proxy_pass http://$llm_provider_upstream;
    }
--- provider_first
{"fault":"stall","after":2}
--- request
POST /v1/chat/completions
{"model":"m","stream":true}
--- abort_after: "content":"Hello"[^\n]*\n\n
--- provider_first_client_closed

=== a client that goes leaves its worker well
--- http_config
    upstream first { server %%first%%; }
    log_format end '$llm_stream_state';
--- config
    llm_proxy_route first first;
    llm_proxy_default_provider first;
    location /v1/ { llm_proxy; proxy_pass http://$llm_provider_upstream; }
--- provider_first
{"fault":"stall","after":2,"times":20}
--- request
POST /v1/chat/completions
{"model":"m","stream":true}
--- concurrent: 20
--- abort_after: "content":"Hello"[^\n]*\n\n
--- provider_first_client_closed: 20

=== llm_proxy_client_abort knows two words
--- config
    llm_proxy_client_abort ignore;
--- must_fail
invalid value "ignore" in "llm_proxy_client_abort" directive, it must be "cancel" or "finish [time]"

=== to cancel takes no time
--- config
    llm_proxy_client_abort cancel 5s;
--- must_fail
invalid value "cancel 5s" in "llm_proxy_client_abort" directive, it must be "cancel" or "finish [time]"

=== the time to finish is a time, and more than none
--- config
    llm_proxy_client_abort finish soon;
--- must_fail
invalid value "finish soon" in "llm_proxy_client_abort" directive, it must be "cancel" or "finish [time]"

=== no time to finish is to cancel, which has a word of its own
--- config
    llm_proxy_client_abort finish 0;
--- must_fail
invalid value "finish 0" in "llm_proxy_client_abort" directive, it must be "cancel" or "finish [time]"

=== llm_proxy_client_abort is written once
--- config
    llm_proxy_client_abort finish;
    llm_proxy_client_abort cancel;
--- must_fail
"llm_proxy_client_abort" directive is duplicate
