# A client's credential among the arguments of its request: where llm_auth is on, a provider does not see
# it, as it does not see one in a header. All other arguments go on byte for byte.

use Test::LLM 'no_plan';
use Test::LLM::Ctl;

# What a provider was asked for, in order.
sub paths_at { [ map { $_->{path} } @{ $_[0]->mock->requests($_[1]) } ] }

run_tests();

__DATA__

=== whatever the argument is called, no provider sees it
--- http_config
    upstream one { server %%first%%; }
    upstream two { server %%second%%; }
    llm_log_format json;
    access_log logs/access.log llm_json;
--- config
    llm_proxy_route first one base=/v1beta/openai;
    llm_proxy_route second two anthropic;
    llm_proxy_model_pattern a first;
    llm_proxy_model_pattern b second;
    llm_auth_credential first sk-first-SECRET-1;
    llm_auth_credential second sk-second-SECRET-2;
    location /v1/ { llm_proxy; llm_auth; proxy_pass http://$llm_provider_upstream; }
--- requests
POST /v1/chat/completions?key=client-9
{"model":"a"}
>>>
POST /v1/chat/completions?api-version=2024-10-21&api_key=client-9&a=%20b+c&API-Key=client-9
{"model":"a"}
>>>
POST /v1/chat/completions?k%65y=client-9&access%5Ftoken=client-9
{"model":"a"}
>>>
POST /v1/messages?beta=true&api-key=client-9
{"model":"b","max_tokens":5,"messages":[]}
>>>
POST /v1/messages?x-goog-api-key=client-9&beta=true
{"model":"b","max_tokens":5,"messages":[]}
--- provider_first_got
POST /v1beta/openai/chat/completions
Authorization: Bearer sk-first-SECRET-1

POST /v1beta/openai/chat/completions?api-version=2024-10-21&a=%20b+c
Authorization: Bearer sk-first-SECRET-1

POST /v1beta/openai/chat/completions
Authorization: Bearer sk-first-SECRET-1
--- provider_second_got
POST /v1/messages?beta=true
x-api-key: sk-second-SECRET-2

POST /v1/messages?beta=true
x-api-key: sk-second-SECRET-2
--- after
wait_until { $t->access_log =~ tr/\n// == 5 } 3;
unlike($t->access_log, qr/client-9/, 'nor does the line of JSON show it');

=== every attempt goes without it, the log has what the client wrote
--- http_config
    upstream one { server %%first%%; }
    upstream two { server %%second%%; }
    log_format asked '$request_uri $args';
    access_log logs/access.log asked;
--- config
    llm_proxy_route first one;
    llm_proxy_route second two;
    llm_proxy_default_provider first;
    llm_fallback_route first second;
    llm_auth_credential first sk-first-SECRET-1;
    llm_auth_credential second sk-second-SECRET-2;
    location /v1/ { llm_proxy; llm_auth; llm_fallback; proxy_pass http://$llm_provider_upstream; }
--- provider_first
500
--- request
POST /v1/chat/completions?a=1&key=client-9&b=2
{"model":"m"}
--- provider_first_got
POST /v1/chat/completions?a=1&b=2
--- provider_second_got
POST /v1/chat/completions?a=1&b=2
--- after
wait_until { $t->access_log =~ /\n/ } 3;
is($t->access_log, "/v1/chat/completions?a=1&key=client-9&b=2 a=1&key=client-9&b=2\n", 'the line');

=== nor does proxy_pass or a rewrite lead it there
--- http_config
    upstream one { server %%first%%; }
--- config
    llm_proxy_route first one;
    llm_proxy_default_provider first;
    llm_auth_credential first sk-first-SECRET-1;
    location /v1/ { llm_proxy; llm_auth; proxy_pass http://$llm_provider_upstream/v1/other$is_args$args; }
    location /old/ {
        rewrite ^/old/(.*) /v1/$1?b=2 break;
        llm_proxy;
        llm_auth;
        proxy_pass http://$llm_provider_upstream;
    }
--- requests
POST /v1/chat/completions?a=1&key=client-9
{"model":"m"}
>>>
POST /old/chat/completions?a=1&key=client-9
{"model":"m"}
--- error_code: 404 200
--- after
is_deeply(main::paths_at($t, 'first'), ['/v1/other?a=1', '/v1/chat/completions?b=2&a=1'], 'the others are there');

=== what only looks like one goes on, and so does an empty list
--- http_config
    upstream one { server %%first%%; }
--- config
    llm_proxy_route first one;
    llm_proxy_default_provider first;
    llm_auth_credential first sk-first-SECRET-1;
    location /v1/ { llm_proxy; llm_auth; proxy_pass http://$llm_provider_upstream; }
--- requests
POST /v1/chat/completions?monkey=1&keys=2&page_token=3&metadata[key]=4&a=key=5&max_tokens=6
{"model":"m"}
>>>
POST /v1/chat/completions?
{"model":"m"}
>>>
POST /v1/chat/completions?&&a
{"model":"m"}
--- provider_first_got
POST /v1/chat/completions?monkey=1&keys=2&page_token=3&metadata[key]=4&a=key=5&max_tokens=6

POST /v1/chat/completions?

POST /v1/chat/completions?&&a

=== a target without a key gets the client's no more than one with a key
--- http_config
    upstream one { server %%first%%; }
--- config
    llm_proxy_route first one;
    llm_proxy_default_provider first;
    llm_auth_fail_closed off;
    location /v1/ { llm_proxy; llm_auth; proxy_pass http://$llm_provider_upstream; }
--- request
POST /v1/chat/completions?key=client-9
{"model":"m"}
--- provider_first_got
POST /v1/chat/completions
!authorization

=== with llm_auth off the client's credential goes to the provider, wherever it stands
--- http_config
    upstream one { server %%first%%; }
--- config
    llm_proxy_route first one;
    llm_proxy_default_provider first;
    llm_auth_credential first sk-first-SECRET-1;
    llm_auth on;
    location /v1/ { llm_proxy; llm_auth off; proxy_pass http://$llm_provider_upstream; }
--- request
POST /v1/chat/completions?key=client-9&a=1&api_key=client-8
{"model":"m"}
--- more_headers
x-api-key: client-7
--- provider_first_got
POST /v1/chat/completions?key=client-9&a=1&api_key=client-8
x-api-key: client-7

=== a key of ours is no argument
--- init: put_keys($t, 'keys', key_line('one', 'sk-client-SECRET-1', org => 'acme'));
--- http_config
    upstream one { server %%first%%; }
--- config
    llm_proxy_route first one;
    llm_proxy_default_provider first;
    llm_auth_credential first sk-first-SECRET-1;
    location /v1/ {
        llm_proxy; llm_auth; llm_auth_client_keys keys; proxy_pass http://$llm_provider_upstream;
    }
--- requests
POST /v1/chat/completions?key=one.sk-client
{"model":"m"}
>>>
POST /v1/chat/completions?key=one.sk-client
{"model":"m"}
--- more_headers
>>>
Authorization: Bearer one.sk-client-SECRET-1
--- error_code: 401 200
--- provider_first_got
POST /v1/chat/completions
Authorization: Bearer sk-first-SECRET-1
