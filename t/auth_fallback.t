# Keys and attempts: each attempt carries the key of its own provider and no other, whatever the
# chain, the dialect, the connection or the operator's proxy_pass are.

use Test::LLM 'no_plan';

# The secrets in all that a provider was sent, once each, in order.
sub secrets_at {
    my ($t, $name) = @_;
    my %seen;
    return join ' ', grep { !$seen{$_}++ } map {
        my $request = $_;
        my @texts = ($request->{path}, $request->{body}, map {"@$_"} @{ $request->{headers} });
        map { /(sk-[\w-]*SECRET[\w-]*)/g } @texts;
    } @{ $t->mock->requests($name) };
}

run_tests();

__DATA__

=== each attempt of a chain has the key of its provider
--- http_config
    upstream one { server %%first%%; keepalive 4; }
    upstream two { server %%second%%; keepalive 4; }
    upstream three { server %%third%%; keepalive 4; }
--- config
    llm_proxy_route first one;
    llm_proxy_route second two;
    llm_proxy_route third three;
    llm_proxy_default_provider first;
    llm_fallback_route first second;
    llm_fallback_route second third other-model;
    llm_fallback_max_attempts 3;
    llm_auth_credential first sk-first-SECRET-1;
    llm_auth_credential second sk-second-SECRET-2;
    llm_auth_credential third sk-third-SECRET-3;
    location /v1/ {
        llm_proxy;
        llm_auth;
        llm_fallback;
        add_header X-Key "$llm_auth_provider $llm_auth_credential";
        proxy_pass http://$llm_provider_upstream;
    }
--- provider_first
{"status":500,"times":2}
--- provider_second
{"status":503,"times":2}
--- requests
POST /v1/chat/completions
{"model":"m"}
>>>
POST /v1/chat/completions
{"model":"m","stream":true}
--- more_headers
Authorization: Bearer sk-client-SECRET-9
--- response_headers
x-llm-chain: ~^first/m:500:\d+ms, second/m:503:\d+ms, third/other-model:200:\d+ms$
x-key: third literal#1
--- after
is(main::secrets_at($t, 'first'), 'sk-first-SECRET-1', 'the first has seen its own');
is(main::secrets_at($t, 'second'), 'sk-second-SECRET-2', 'the second, too');
is(main::secrets_at($t, 'third'), 'sk-third-SECRET-3', 'and the third');

=== an Anthropic chain, too
--- http_config
    upstream one { server %%first%%; }
    upstream two { server %%second%%; }
--- config
    llm_proxy_route first one anthropic;
    llm_proxy_route second two anthropic;
    llm_proxy_provider_version second 2024-10-22;
    llm_proxy_default_provider first;
    llm_fallback_route first second;
    llm_auth_credential first sk-first-SECRET-1;
    llm_auth_credential second sk-second-SECRET-2;
    location /v1/ { llm_proxy; llm_auth; llm_fallback; proxy_pass http://$llm_provider_upstream; }
--- provider_first
{"error":"overloaded","status":503}
--- request
POST /v1/messages
{"model":"m","max_tokens":5,"messages":[]}
--- more_headers
x-api-key: sk-client-SECRET-9
--- provider_first_got
POST /v1/messages
x-api-key: sk-first-SECRET-1
anthropic-version: 2023-06-01
--- provider_second_got
POST /v1/messages
x-api-key: sk-second-SECRET-2
anthropic-version: 2024-10-22

=== every kind of end leads to a request with the right key
--- http_config
    upstream one { server %%first%%; keepalive 4; }
    upstream two { server %%second%%; keepalive 4; }
--- config
    llm_proxy_route first one response_timeout=500ms;
    llm_proxy_route second two;
    llm_proxy_default_provider first;
    llm_fallback_route first second;
    llm_fallback_on connect_error transport_timeout upstream_5xx rate_limited stream_error bad_response;
    llm_auth_credential first sk-first-SECRET-1;
    llm_auth_credential second sk-second-SECRET-2;
    location /v1/ { llm_proxy; llm_auth; llm_fallback; proxy_pass http://$llm_provider_upstream; }
--- provider_first
{"fault":"reset"}

{"fault":"close"}

{"fault":"hang"}

{"fault":"error_first"}

500
--- requests
POST /v1/chat/completions
{"model":"a"}
>>>
POST /v1/chat/completions
{"model":"b"}
>>>
POST /v1/chat/completions
{"model":"c"}
>>>
POST /v1/chat/completions
{"model":"d","stream":true}
>>>
POST /v1/chat/completions
{"model":"e"}
--- provider_second_requests: 5
--- after
is(main::secrets_at($t, 'first'), 'sk-first-SECRET-1', 'the first has seen its own');
is(main::secrets_at($t, 'second'), 'sk-second-SECRET-2', 'the second, too');

=== pools of two providers do not mix
--- http_config
    upstream one { server %%first%%; }
    upstream two { server %%second%%; }
--- config
    llm_proxy_route first one;
    llm_proxy_route second two;
    llm_proxy_default_provider first;
    llm_fallback_route first second;
    llm_fallback_on auth_error rate_limited;
    llm_fallback_max_attempts 4;
    llm_auth_credential first sk-first-SECRET-1;
    llm_auth_credential second sk-second-SECRET-3;
    llm_auth_credential first sk-first-SECRET-2;
    llm_auth_credential second sk-second-SECRET-4;
    location /v1/ { llm_proxy; llm_auth; llm_fallback; proxy_pass http://$llm_provider_upstream; }
--- provider_first
401

429
--- provider_second
403

{}
--- request
POST /v1/chat/completions
{"model":"a"}
--- response_headers
x-llm-chain: ~^first/a:401:\d+ms, first/a:429:\d+ms, second/a:403:\d+ms, second/a:200:\d+ms$
--- after
my %seen = map { $_ => join ' ', sort split / /, main::secrets_at($t, $_) } qw(first second);
is($seen{first}, 'sk-first-SECRET-1 sk-first-SECRET-2', 'the first has seen its keys');
is($seen{second}, 'sk-second-SECRET-3 sk-second-SECRET-4', 'the second its own');

=== a retry of the same target has the same key
--- http_config
    upstream one { server %%first%%; }
--- config
    llm_proxy_route first one;
    llm_proxy_default_provider first;
    llm_fallback_retry 1 backoff=1ms..2ms;
    llm_auth_credential first sk-first-SECRET-1;
    llm_auth_credential first sk-first-SECRET-2;
    location /v1/ { llm_proxy; llm_auth; llm_fallback; proxy_pass http://$llm_provider_upstream; }
--- provider_first
500

{}
--- request
POST /v1/chat/completions
{"model":"a"}
--- after
my @keys = map { Test::LLM::Client::header_values($_, 'authorization') }
    @{ $t->mock->requests('first') };
is($keys[1], $keys[0], 'the other key would not help');

=== a kept connection that was found closed is replaced by one with the same key
--- http_config
    upstream one { server %%first%%; keepalive 4; }
--- config
    llm_proxy_route first one;
    llm_proxy_default_provider first;
    llm_auth_credential first sk-first-SECRET-1;
    llm_auth_credential first sk-first-SECRET-2 weight=4000000000;
    location /v1/ { llm_proxy; llm_auth; proxy_pass http://$llm_provider_upstream; }
--- provider_first
{}

{"fault":"close"}

{}
--- requests
POST /v1/chat/completions
{"model":"a"}
>>>
POST /v1/chat/completions
{"model":"a"}
--- provider_first_got
POST /v1/chat/completions
Authorization: Bearer sk-first-SECRET-2

=== the key of a provider with servers that are down goes to its next server, to no other block
--- http_config
    upstream one { server %%closed%%; server %%first%%; }
    upstream two { server %%second%%; }
--- config
    llm_proxy_route first one;
    llm_proxy_route second two;
    llm_proxy_default_provider first;
    llm_fallback_route first second;
    llm_auth_credential first sk-first-SECRET-1;
    llm_auth_credential second sk-second-SECRET-2;
    location /v1/ { llm_proxy; llm_auth; llm_fallback; proxy_pass http://$llm_provider_upstream; }
--- requests
POST /v1/chat/completions
{"model":"a"}
>>>
POST /v1/chat/completions
{"model":"a"}
--- provider_first_requests: 2
--- provider_second_requests: 0
--- after
is(main::secrets_at($t, 'first'), 'sk-first-SECRET-1', 'the key of the provider');

=== a provider without a key gets none, also not the one of the attempt before
--- http_config
    upstream one { server %%first%%; }
    upstream two { server %%second%%; }
    upstream three { server %%third%%; }
--- config
    llm_proxy_route first one;
    llm_proxy_route second two;
    llm_proxy_route third three;
    llm_proxy_default_provider first;
    llm_fallback_route first second;
    llm_fallback_route second third;
    llm_fallback_max_attempts 3;
    llm_auth_fail_closed off;
    llm_auth_credential first sk-first-SECRET-1;
    llm_auth_credential third sk-third-SECRET-3;
    location /v1/ { llm_proxy; llm_auth; llm_fallback; proxy_pass http://$llm_provider_upstream; }
--- provider_first
500
--- provider_second
500
--- request
POST /v1/chat/completions
{"model":"a"}
--- more_headers
Authorization: Bearer sk-client-SECRET-9
--- after
is(main::secrets_at($t, 'first'), 'sk-first-SECRET-1', 'the first has its own');
is(main::secrets_at($t, 'second'), '', 'the second has none');
is(main::secrets_at($t, 'third'), 'sk-third-SECRET-3', 'the third has its own');

=== a provider in the place of another has its own key
--- http_config
    upstream one { server %%first%%; }
    upstream two { server %%second%%; }
--- config
    llm_proxy_route first one;
    llm_proxy_route second two;
    llm_proxy_default_provider first;
    llm_fallback_replace first second;
    llm_auth_credential first sk-first-SECRET-1;
    llm_auth_credential second sk-second-SECRET-2;
    location /v1/ { llm_proxy; llm_auth; llm_fallback; proxy_pass http://$llm_provider_upstream; }
--- request
POST /v1/chat/completions
{"model":"a"}
--- provider_first_requests: 0
--- after
is(main::secrets_at($t, 'second'), 'sk-second-SECRET-2', 'the key of the provider that is used');

=== proxy_pass to a fixed upstream of the first target leaves the others theirs
--- http_config
    upstream one { server %%first%%; }
    upstream two { server %%second%%; }
--- config
    llm_proxy_route first one;
    llm_proxy_route second two;
    llm_proxy_default_provider first;
    llm_fallback_route first second;
    llm_auth_credential first sk-first-SECRET-1;
    llm_auth_credential second sk-second-SECRET-2;
    location /v1/ { llm_proxy; llm_auth; llm_fallback; proxy_pass http://one; }
--- provider_first
500
--- request
POST /v1/chat/completions
{"model":"a"}
--- after
is(main::secrets_at($t, 'first'), 'sk-first-SECRET-1', 'the first has its own');
is(main::secrets_at($t, 'second'), 'sk-second-SECRET-2', 'the second has its own');

=== proxy_pass to an upstream block of another provider is refused
--- http_config
    upstream one { server %%first%%; }
    upstream two { server %%second%%; }
--- config
    llm_proxy_route first one;
    llm_proxy_route second two;
    llm_proxy_default_provider first;
    llm_auth_credential first sk-first-SECRET-1;
    llm_auth_credential second sk-second-SECRET-2;
    location /v1/ { llm_proxy; llm_auth; proxy_pass http://two; }
--- request
POST /v1/chat/completions
{"model":"a"}
--- error_code: 500
--- response_json
{"error":{"code":"internal_error"}}
--- error_log
llm: proxy_pass goes to upstream "two", but the request belongs to provider "first": write "proxy_pass http://$llm_provider_upstream"
--- provider_first_requests: 0
--- provider_second_requests: 0

=== so is one to an address
--- http_config
    upstream one { server %%first%%; }
--- config
    llm_proxy_route first one;
    llm_proxy_default_provider first;
    llm_auth_credential first sk-first-SECRET-1;
    location /v1/ { llm_proxy; llm_auth; proxy_pass http://%%second%%; }
--- request
POST /v1/chat/completions
{"model":"a"}
--- more_headers
Authorization: Bearer sk-client-SECRET-9
--- error_code: 500
--- provider_first_requests: 0
--- provider_second_requests: 0

=== so is one to an address in a variable, before it is sent
--- http_config
    upstream one { server %%first%%; }
--- config
    llm_proxy_route first one;
    llm_proxy_default_provider first;
    llm_auth_credential first sk-first-SECRET-1;
    set $elsewhere %%second%%;
    location /v1/ { llm_proxy; llm_auth; proxy_pass http://$elsewhere; }
    location = /v1/embeddings { llm_proxy; llm_auth; proxy_pass http://$elsewhere$request_uri; }
    location = /v1/responses {
        llm_proxy;
        llm_auth;
        set $name elsewhere.test;
        resolver %%second%%;
        proxy_pass http://$name;
    }
    location = /v1/completions {
        llm_proxy;
        llm_auth;
        set $socket unix:%%root%%/none.sock;
        proxy_pass http://$socket;
    }
--- requests
POST /v1/chat/completions
{"model":"a"}
>>>
POST /v1/embeddings
{"model":"a","input":"b"}
>>>
POST /v1/responses
{"model":"a","input":"b"}
>>>
POST /v1/completions
{"model":"a","prompt":"b"}
>>>
POST /v1/chat/completions
{"model":"a","stream":true}
--- more_headers
Authorization: Bearer sk-client-SECRET-9
--- error_code: 500
--- response_json
{"error":{"code":"internal_error"}}
--- error_log
llm: proxy_pass goes to an address that is no upstream block: write "proxy_pass http://$llm_provider_upstream"
--- provider_first_requests: 0
--- provider_second_requests: 0

=== the log of such a request has what the client wrote, and it counts as none of the provider's
--- http_config
    upstream one { server %%first%%; }
    log_format asked '$request_uri $status $upstream_addr';
    access_log logs/access.log asked;
--- config
    llm_proxy_route first one base=/base;
    llm_proxy_default_provider first;
    llm_auth_credential first sk-first-SECRET-1;
    set $elsewhere %%second%%;
    location /v1/ { llm_proxy; llm_auth; proxy_pass http://$elsewhere; }
--- request
POST /v1/chat/completions?a=1
{"model":"a"}
--- error_code: 500
--- provider_second_requests: 0
--- after
wait_until { $t->access_log =~ /\n/ } 3;
is($t->access_log, "/v1/chat/completions?a=1 500 -\n", 'the line');

=== what another transport brings from such an address is not used: nobody has edited that request
--- http_config
    upstream one { server %%first%%; }
    server { listen 127.0.0.1:%%port2%%; location / { return 200 'x'; } }
--- config
    llm_proxy_route first one;
    llm_proxy_default_provider first;
    llm_auth_credential first sk-first-SECRET-1;
    set $elsewhere 127.0.0.1:%%port2%%;
    location /v1/ { llm_proxy; llm_auth; scgi_pass $elsewhere; }
--- request
POST /v1/chat/completions
{"model":"a"}
--- error_code: 500
--- response_json
{"error":{"code":"internal_error"}}
--- error_log
llm: proxy_pass goes to an address that is no upstream block: write "proxy_pass http://$llm_provider_upstream"

=== the name of its block in a variable is the provider's in any letters; with a port it is a host's
--- http_config
    upstream one { server %%first%%; }
    upstream two { server %%second%%; }
--- config
    llm_proxy_route first one;
    llm_proxy_route second two;
    llm_proxy_default_provider first;
    llm_fallback_route first second;
    llm_auth_credential first sk-first-SECRET-1;
    llm_auth_credential second sk-second-SECRET-2;
    set $capitals ONE;
    set $port one:80;
    location /v1/ { llm_proxy; llm_auth; llm_fallback; proxy_pass http://$capitals; }
    location = /v1/embeddings { llm_proxy; llm_auth; llm_fallback; proxy_pass http://$port; }
--- provider_first
500

{}
--- requests
POST /v1/chat/completions
{"model":"a"}
>>>
POST /v1/chat/completions
{"model":"a"}
>>>
POST /v1/embeddings
{"model":"a","input":"b"}
--- error_code: 200 200 500
--- provider_first_requests: 2
--- provider_second_requests: 1

=== proxy_bind holds as it is written
--- http_config
    upstream one { server 127.0.0.1:%%port2%%; }
    server {
        listen 127.0.0.1:%%port2%%;
        default_type application/json;
        location / { return 200 '{"from":"$remote_addr"}'; }
    }
    proxy_bind 127.0.0.2;
--- config
    llm_proxy_route first one;
    llm_proxy_default_provider first;
    llm_auth_credential first sk-first-SECRET-1;
    llm_proxy;
    llm_auth;
    set $from 127.0.0.3;
    set $none "";
    location /v1/ { proxy_pass http://$llm_provider_upstream; }
    location = /v1/embeddings { proxy_bind $from; proxy_pass http://$llm_provider_upstream; }
    location = /v1/completions { proxy_bind $none; proxy_pass http://$llm_provider_upstream; }
    location = /v1/responses { proxy_bind off; proxy_pass http://one; }
    location = /v1/moderations { proxy_pass http://one; }
    location = /off { llm_proxy off; llm_auth off; proxy_pass http://one; }
--- requests
POST /v1/chat/completions
{"model":"a"}
>>>
POST /v1/embeddings
{"model":"a","input":"b"}
>>>
POST /v1/completions
{"model":"a","prompt":"b"}
>>>
POST /v1/responses
{"model":"a","input":"b"}
>>>
POST /v1/moderations
{"model":"a","input":"b"}
>>>
POST /off
{}
--- response_json
{"from":"127.0.0.2"}
>>>
{"from":"127.0.0.3"}
>>>
{"from":"127.0.0.1"}
>>>
{"from":"127.0.0.1"}
>>>
{"from":"127.0.0.2"}
>>>
{"from":"127.0.0.2"}

=== an error page in another gateway location does not mix the keys of both
--- http_config
    upstream one { server %%first%%; }
    upstream two { server %%second%%; }
--- config
    location /v1/ {
        llm_proxy;
        llm_auth;
        llm_proxy_route first one;
        llm_proxy_default_provider first;
        llm_auth_credential first sk-first-SECRET-1;
        proxy_intercept_errors on;
        error_page 500 @other;
        proxy_pass http://$llm_provider_upstream;
    }
    location @other {
        llm_proxy;
        llm_auth;
        llm_proxy_route second two;
        llm_proxy_default_provider second;
        llm_auth_credential second sk-second-SECRET-2;
        proxy_pass http://$llm_provider_upstream;
    }
--- provider_first
{"status":500,"times":"always"}
--- request
POST /v1/chat/completions
{"model":"a"}
--- error_code: 500
--- after
# The request keeps its route, and with it the keys of the location where it was routed.
is(main::secrets_at($t, 'first'), 'sk-first-SECRET-1', 'the first has seen its own');
unlike(main::secrets_at($t, 'second'), qr/first/, 'the second has seen no other');

=== a provider cannot lead us elsewhere with a redirect of its own
--- http_config
    upstream one { server %%first%%; }
    upstream two { server %%second%%; }
--- config
    llm_proxy_route first one;
    llm_proxy_default_provider first;
    llm_auth_credential first sk-first-SECRET-1;
    location /v1/ { llm_proxy; llm_auth; proxy_pass http://$llm_provider_upstream; }
    location /elsewhere { proxy_pass http://two; }
--- provider_first
302
Location: http://%%second%%/

200
X-Accel-Redirect: /elsewhere
{"choices":[]}
--- requests
POST /v1/chat/completions
{"model":"a"}
>>>
POST /v1/chat/completions
{"model":"a"}
--- error_code: 302 200
--- provider_second_requests: 0
