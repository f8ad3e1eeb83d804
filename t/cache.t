# proxy_cache in front of the gateway's providers: nginx's own cache keeps working, for POST as well.

use Test::LLM 'no_plan';

run_tests();

__DATA__

=== an answer of JSON comes from the provider once
--- http_config
    upstream first { server %%first%%; }
    proxy_cache_path %%root%%/cache keys_zone=answers:1m;
    log_format c '$upstream_cache_status $status $llm_provider $llm_model';
--- config
    llm_proxy_route first first;
    llm_proxy_default_provider first;
    location /v1/ {
        llm_proxy;
        proxy_cache answers;
        proxy_cache_methods POST;
        proxy_cache_key "$uri $request_body";
        proxy_cache_valid 200 1m;
        add_header X-Cache $upstream_cache_status;
        proxy_pass http://$llm_provider_upstream;
    }
--- provider_first
200 {"id":"a","usage":{"prompt_tokens":1,"completion_tokens":2}}

200 {"id":"b"}
--- requests
POST /v1/chat/completions
{"model":"m"}
>>>
POST /v1/chat/completions
{"model":"m"}
>>>
POST /v1/chat/completions
{"model":"m","n":2}
>>>
POST /v1/chat/completions
{"model":"m"}
--- response_headers
x-cache: MISS
x-llm-provider: first
x-llm-event-id: ~.
>>>
x-cache: HIT
x-llm-provider: first
x-llm-event-id: ~.
>>>
x-cache: MISS
>>>
x-cache: HIT
--- response_body
{"id":"a","usage":{"prompt_tokens":1,"completion_tokens":2}}
>>>
{"id":"a","usage":{"prompt_tokens":1,"completion_tokens":2}}
>>>
{"id":"b"}
>>>
{"id":"a","usage":{"prompt_tokens":1,"completion_tokens":2}}
--- access_log
^MISS 200 first m\nHIT 200 first m\nMISS 200 first m\nHIT 200 first m$
--- after
my %ids = map { (Test::LLM::Client::header_values($_, 'x-llm-event-id'))[0] => 1 } $t->answers;
is(scalar keys %ids, 4, 'each answer has its own id');

=== a large answer, too
--- http_config
    upstream first { server %%first%%; }
    proxy_cache_path %%root%%/cache keys_zone=answers:1m;
--- config
    llm_proxy_route first first;
    llm_proxy_default_provider first;
    location /v1/ {
        llm_proxy;
        proxy_cache answers;
        proxy_cache_methods POST;
        proxy_cache_key "$uri $request_body";
        proxy_cache_valid 200 1m;
        proxy_pass http://$llm_provider_upstream;
    }
--- provider_first
{"size":1000000}
--- requests
POST /v1/chat/completions
{"model":"m"}
>>>
POST /v1/chat/completions
{"model":"m"}
--- after
my ($one, $two) = $t->answers;
cmp_ok(length $one->{body}, '>', 990_000, 'all of it came');
is($two->{body}, $one->{body}, 'and came again');

=== a stream that is kept is the same the second time, with its end
--- http_config
    upstream first { server %%first%%; }
    proxy_cache_path %%root%%/cache keys_zone=answers:1m;
    log_format c '$upstream_cache_status $llm_stream_state';
--- config
    llm_proxy_route first first;
    llm_proxy_default_provider first;
    location /v1/ {
        llm_proxy;
        proxy_cache answers;
        proxy_cache_methods POST;
        proxy_cache_key "$uri $request_body";
        proxy_cache_valid 200 1m;
        proxy_ignore_headers Cache-Control;
        proxy_pass http://$llm_provider_upstream;
    }
--- provider_first
{"words":300}
--- requests
POST /v1/chat/completions
{"model":"m","stream":true}
>>>
POST /v1/chat/completions
{"model":"m","stream":true}
--- response_headers
x-accel-buffering: no
cache-control: no-cache
x-llm-provider: first
--- response_body_like
\A(?:data: \{[^\n]*\n\n){302}data: \[DONE\]\n\n\z
--- access_log
^MISS complete\nHIT complete$
--- after
my ($one, $two) = $t->answers;
is($two->{body}, $one->{body}, 'it is the same');

=== what a provider says of caching holds unless the operator ignores it
--- http_config
    upstream first { server %%first%%; }
    proxy_cache_path %%root%%/cache keys_zone=answers:1m;
--- config
    llm_proxy_route first first;
    llm_proxy_default_provider first;
    location /v1/ {
        llm_proxy;
        proxy_cache answers;
        proxy_cache_methods POST;
        proxy_cache_key "$uri $request_body";
        proxy_cache_valid 200 1m;
        proxy_pass http://$llm_provider_upstream;
    }
--- requests
POST /v1/chat/completions
{"model":"m","stream":true}
>>>
POST /v1/chat/completions
{"model":"m","stream":true}
--- provider_first_requests: 2

=== a provider has no say over how long, nor over anything else, by its X-Accel headers
--- http_config
    upstream first { server %%first%%; }
    proxy_cache_path %%root%%/cache keys_zone=answers:1m;
--- config
    llm_proxy_route first first;
    llm_proxy_default_provider first;
    location /v1/ {
        llm_proxy;
        proxy_cache answers;
        proxy_cache_methods POST;
        proxy_cache_key "$uri $request_body";
        proxy_cache_valid 200 1m;
        add_header X-Cache $upstream_cache_status;
        proxy_pass http://$llm_provider_upstream;
    }
    location /secret { internal; return 200 "a secret"; }
--- provider_first
{"json":{"id":"a"},"headers":{"X-Accel-Expires":"0","X-Accel-Redirect":"/secret","X-Accel-Buffering":"no"}}
--- requests
POST /v1/chat/completions
{"model":"m"}
>>>
POST /v1/chat/completions
{"model":"m"}
--- response_headers
x-cache: MISS
>>>
x-cache: HIT
--- response_body: {"id":"a"}

=== refusals and what broke off are not kept
--- http_config
    upstream first { server %%first%%; }
    proxy_cache_path %%root%%/cache keys_zone=answers:1m;
    log_format c '$upstream_cache_status $status $llm_stream_state';
--- config
    llm_proxy_route first first;
    llm_proxy_default_provider first;
    location /v1/ {
        llm_proxy;
        proxy_cache answers;
        proxy_cache_methods POST;
        proxy_cache_key "$uri";
        proxy_cache_valid 200 1m;
        proxy_ignore_headers Cache-Control;
        proxy_pass http://$llm_provider_upstream;
    }
--- provider_first
429 {"error":{}}

{"fault":"cut","after":2}

{"words":2}
--- requests
POST /v1/chat/completions
{"model":"m","stream":true}
>>>
POST /v1/chat/completions
{"model":"m","stream":true}
>>>
POST /v1/chat/completions
{"model":"m","stream":true}
>>>
POST /v1/chat/completions
{"model":"m","stream":true}
--- error_code: 429 200 200 200
--- incomplete_response: 2
--- access_log
^MISS 429 -\nMISS 200 incomplete\nMISS 200 complete\nHIT 200 complete$

=== a stream without its last word is not kept either
--- http_config
    upstream first { server %%first%%; }
    proxy_cache_path %%root%%/cache keys_zone=answers:1m;
    log_format c '$upstream_cache_status $llm_stream_state';
--- config
    llm_proxy_route first first;
    llm_proxy_default_provider first;
    location /v1/ {
        llm_proxy;
        proxy_cache answers;
        proxy_cache_methods POST;
        proxy_cache_key "$uri";
        proxy_cache_valid 200 1m;
        proxy_ignore_headers Cache-Control;
        proxy_pass http://$llm_provider_upstream;
    }
--- provider_first
{"fault":"no_finish"}

{"words":2}
--- requests
POST /v1/chat/completions
{"model":"m","stream":true}
>>>
POST /v1/chat/completions
{"model":"m","stream":true}
--- incomplete_response: 1
--- access_log
^MISS incomplete\nMISS complete$

=== where no time is given nothing is kept
--- http_config
    upstream first { server %%first%%; }
    proxy_cache_path %%root%%/cache keys_zone=answers:1m;
--- config
    llm_proxy_route first first;
    llm_proxy_default_provider first;
    location /v1/ {
        llm_proxy;
        proxy_cache answers;
        proxy_cache_methods POST;
        proxy_cache_key "$uri";
        proxy_ignore_headers Cache-Control;
        proxy_pass http://$llm_provider_upstream;
    }
--- requests
POST /v1/chat/completions
{"model":"m","stream":true}
>>>
POST /v1/chat/completions
{"model":"m","stream":true}
--- provider_first_requests: 2

=== a client that goes does not leave half a stream behind
--- http_config
    upstream first { server %%first%%; }
    proxy_cache_path %%root%%/cache keys_zone=answers:1m;
    log_format c '$upstream_cache_status $llm_stream_state';
--- config
    llm_proxy_route first first;
    llm_proxy_default_provider first;
    location /v1/ {
        llm_proxy;
        proxy_cache answers;
        proxy_cache_methods POST;
        proxy_cache_key "$uri";
        proxy_cache_valid 200 1m;
        proxy_ignore_headers Cache-Control;
        proxy_pass http://$llm_provider_upstream;
    }
--- provider_first eval
my $event = '{\"choices\":[{\"delta\":{\"content\":\"' . 'a' x 3000 . '\"}}]}';
'{"pace_ms":20,"sse":["' . CORE::join('","', ($event) x 500) . qq("]}\n\n{"words":2})
--- requests
POST /v1/chat/completions
{"model":"m","stream":true}
>>> provider first 1
POST /v1/chat/completions
{"model":"m","stream":true}
--- abort_after: a{3000}|DONE
--- provider_first_client_closed: 1
--- access_log
^MISS client_closed$
^MISS complete$

=== a catalog is asked before a cache
--- http_config
    upstream first { server %%first%%; }
    proxy_cache_path %%root%%/cache keys_zone=answers:1m;
--- config
    llm_proxy_route first first;
    location /v1/ {
        llm_proxy;
        llm_proxy_model_pattern m first;
        proxy_cache answers;
        proxy_cache_methods POST;
        proxy_cache_key key;
        proxy_cache_valid 200 1m;
        proxy_pass http://$llm_provider_upstream;
    }
    location /other/v1/ {
        llm_proxy;
        llm_proxy_model_pattern n first;
        proxy_cache answers;
        proxy_cache_methods POST;
        proxy_cache_key key;
        proxy_cache_valid 200 1m;
        proxy_pass http://$llm_provider_upstream;
    }
--- provider_first
200 {"id":"a"}
--- requests
POST /v1/chat/completions
{"model":"m"}
>>>
POST /other/v1/chat/completions
{"model":"m"}
>>>
POST /other/v1/chat/completions
{"model":"n"}
--- error_code: 200 404 200

=== a name that the client has for the model is put into kept answers, too
--- http_config
    upstream first { server %%first%%; }
    proxy_cache_path %%root%%/cache keys_zone=answers:1m;
--- config
    llm_proxy_route first first;
    llm_proxy_default_provider first;
    llm_proxy_model_alias one first/real;
    llm_proxy_model_alias two first/real;
    llm_proxy_response_model requested;
    location /v1/ {
        llm_proxy;
        proxy_cache answers;
        proxy_cache_methods POST;
        proxy_cache_key "$uri $llm_effective_model";
        proxy_cache_valid 200 1m;
        proxy_ignore_headers Cache-Control;
        proxy_pass http://$llm_provider_upstream;
    }
--- provider_first
200 {"model":"real"}
--- requests
POST /v1/chat/completions
{"model":"one"}
>>>
POST /v1/chat/completions
{"model":"two"}
--- response_body
{"model":"one"}
>>>
{"model":"two"}
