# llm_fallback_probe: providers are asked whether they live, so that no client's request is the first
# to find out that one does not. In these blocks the answers of /v1/models are those to probes; a
# probe that has arrived says that the one before it has been judged.

use Test::LLM 'no_plan';

run_tests();

__DATA__

=== a provider whose probe fails is passed over before any request fails on it, until one succeeds
--- http_config
    upstream one { server %%first%%; }
    upstream two { server %%second%%; }
    log_format end '$llm_chain';
--- config
    llm_proxy_route first one;
    llm_proxy_route second two;
    llm_proxy_default_provider first;
    llm_fallback on;
    llm_fallback_mode health;
    llm_fallback_route first second;
    llm_fallback_probe first interval=300ms;
    location /v1/ { llm_proxy; proxy_pass http://$llm_provider_upstream; }
--- provider_first
{"status":503,"times":3,"when":{"path":"/v1/models"}}
--- requests
>>> provider first 2
POST /v1/chat/completions
{"model":"m"}
>>> provider first 5
POST /v1/chat/completions
{"model":"m"}
--- response_json
{"object":"chat.completion"}
--- access_log
^first/m:skipped\(benched\), second/m:200:\d+ms$
^first/m:200:\d+ms$
--- provider_second_requests: 1

=== as long as probes fail the provider stays benched, whatever their interval
The bench of one failed probe lasts until the next one has been judged.
--- http_config
    upstream one { server %%first%%; }
    upstream two { server %%second%%; }
    log_format end '$llm_chain';
--- config
    llm_proxy_route first one;
    llm_proxy_route second two;
    llm_proxy_default_provider first;
    llm_fallback on;
    llm_fallback_mode health;
    llm_fallback_route first second;
    llm_fallback_probe first interval=50ms;
    location /v1/ { llm_proxy; proxy_pass http://$llm_provider_upstream; }
--- provider_first
{"status":503,"times":"always","when":{"path":"/v1/models"}}
--- after
wait_until { @{ $t->mock->requests('first') } > 1 } 5;
while (@{ $t->mock->requests('first') } < 6) {
    $t->request("POST /v1/chat/completions\n" . '{"model":"m"}');
}
unlike($t->access_log, qr/first\/m:\d/, 'and never by the one that is benched');
is((grep { $_->{method} ne 'GET' } @{ $t->mock->requests('first') }), 0, 'which got probes only');

=== a probe is the provider's own request: its path, its host, its key
--- env
KEY=sk-first-SECRET-1
--- http_config
    upstream one { server %%first%%; }
--- config
    llm_proxy_route first one host=api.first.test base=/v1beta;
    llm_proxy_default_provider first;
    llm_fallback on;
    llm_fallback_mode health;
    llm_fallback_probe first uri=/healthz?deep=1 interval=50ms;
    location /v1/ {
        llm_proxy;
        llm_auth;
        llm_auth_credential first env:KEY;
        proxy_pass http://$llm_provider_upstream;
    }
--- after
wait_until { @{ $t->mock->requests('first') } > 1 } 5;
--- provider_first
{"status":200,"body":"well","times":"always","when":{"path":"/healthz"}}
--- provider_first_got
GET /healthz?deep=1 HTTP/1.1
Host: api.first.test
Authorization: Bearer sk-first-SECRET-1
User-Agent: ngx-llm-probe
!x-api-key
!anthropic-version
!Content-Length

=== without more words it is /v1/models, and the host of the block's first server
--- http_config
    upstream one { server %%first%%; }
--- config
    llm_proxy_route first one;
    llm_proxy_default_provider first;
    llm_fallback on;
    llm_fallback_mode health;
    llm_fallback_probe first;
    location /v1/ { llm_proxy; proxy_pass http://$llm_provider_upstream; }
--- after
wait_until { @{ $t->mock->requests('first') } > 0 } 5;
--- provider_first_requests: 1
--- provider_first_got
GET /v1/models HTTP/1.1
Host: 127.0.0.1
!Authorization

=== a provider of the Anthropic dialect is asked in its own way
--- http_config
    upstream one { server %%first%%; }
--- config
    llm_proxy_route first one anthropic;
    llm_proxy_default_provider first;
    llm_fallback on;
    llm_fallback_mode health;
    llm_fallback_probe first;
    location /v1/ {
        llm_proxy;
        llm_auth;
        llm_auth_credential first sk-first-SECRET-1;
        proxy_pass http://$llm_provider_upstream;
    }
--- after
wait_until { @{ $t->mock->requests('first') } > 0 } 5;
--- provider_first_got
GET /v1/models
x-api-key: sk-first-SECRET-1
anthropic-version: 2023-06-01
!Authorization

=== the key of another provider is not sent
--- http_config
    upstream one { server %%first%%; }
    upstream two { server %%second%%; }
--- config
    llm_proxy_route first one;
    llm_proxy_route second two;
    llm_proxy_default_provider first;
    llm_fallback on;
    llm_fallback_mode health;
    llm_fallback_probe first;
    llm_fallback_probe second;
    location /v1/ {
        llm_proxy;
        llm_auth;
        llm_auth_credential second sk-second-SECRET-1;
        llm_auth_credential first sk-first-SECRET-1;
        proxy_pass http://$llm_provider_upstream;
    }
--- after
for my $name (qw(first second)) {
    wait_until { @{ $t->mock->requests($name) } > 0 } 5;
}
--- provider_first_got
GET /v1/models
Authorization: Bearer sk-first-SECRET-1
--- provider_second_got
GET /v1/models
Authorization: Bearer sk-second-SECRET-1

=== a key file that is replaced is the next probe's key
--- http_config
    upstream one { server %%first%%; }
--- config
    llm_proxy_route first one;
    llm_proxy_default_provider first;
    llm_fallback on;
    llm_fallback_mode health;
    llm_fallback_probe first interval=50ms;
    location /v1/ {
        llm_proxy;
        llm_auth;
        llm_auth_credential first file:%%root%%/key;
        proxy_pass http://$llm_provider_upstream;
    }
--- user_files
>>> key
sk-old-SECRET-1
--- provider_first
{"status":200,"times":"always","when":{"path":"/v1/models"}}
--- after
my $sent = sub {
    my ($last) = reverse @{ $t->mock->requests('first') };
    my ($key) = map { $_->[1] } grep { $_->[0] eq 'Authorization' } @{ $last->{headers} };
    return $key // '';
};
wait_until { $sent->() eq 'Bearer sk-old-SECRET-1' } 5;
$t->write_file('key', "sk-new-SECRET-22\n");
wait_until { $sent->() eq 'Bearer sk-new-SECRET-22' } 5;
is($sent->(), 'Bearer sk-new-SECRET-22', 'the new key');

=== over TLS the provider's name is in the handshake and its certificate is checked
--- valgrind_skip: it takes the AES-GCM tags of ring's assembly for uninitialised
--- env
SSL_CERT_FILE=%%first_tls_ca%%
--- http_config
    upstream one { server %%first_tls%%; }
    upstream two { server %%second%%; }
    log_format end '$llm_chain';
--- config
    llm_proxy_route first one host=first.test ssl=on;
    llm_proxy_route second two ssl=off;
    llm_proxy_default_provider first;
    llm_fallback on;
    llm_fallback_mode health;
    llm_fallback_route first second;
    llm_fallback_probe first interval=50ms;
    location /v1/ { llm_proxy; proxy_pass http://$llm_provider_upstream; }
--- provider_first_tls
{"status":200,"times":"always","when":{"path":"/v1/models"}}
--- requests
>>> provider first_tls 2
POST /v1/chat/completions
{"model":"m"}
--- access_log
^first/m:200:\d+ms$
--- after
my ($probe) = @{ $t->mock->requests('first_tls') };
is($probe->{method}, 'GET', 'a probe');
is($probe->{sni}, 'first.test', 'SNI');

=== a certificate for another name or of an unknown authority is none of the provider's
--- env
SSL_CERT_FILE=%%first_tls_ca%%
--- http_config
    upstream one { server %%first_tls%%; }
    upstream two { server %%second%%; }
    log_format end '$llm_chain';
    llm_fallback_cooldown 60s fails=0 ratio=1 min=100000;
--- config
    llm_proxy_route first one host=other.test ssl=on;
    llm_proxy_route second two ssl=off;
    llm_proxy_default_provider first;
    llm_fallback on;
    llm_fallback_mode health;
    llm_fallback_route first second;
    llm_fallback_probe first interval=1s;
    location /v1/ { llm_proxy; proxy_pass http://$llm_provider_upstream; }
--- after
wait_until {
    $t->request("POST /v1/chat/completions\n" . '{"model":"m"}');
    $t->access_log =~ /skipped/;
} 5;
like($t->access_log, qr{^first/m:skipped\(benched\), second/m:200:\d+ms$}m, 'benched');
--- provider_first_tls_requests: 0

=== with ssl_verify=off any certificate will do for a probe too
--- valgrind_skip: it takes the AES-GCM tags of ring's assembly for uninitialised
--- http_config
    upstream one { server %%first_tls%%; }
    upstream two { server %%second%%; }
    log_format end '$llm_chain';
--- config
    llm_proxy_route first one host=other.test ssl=on ssl_verify=off;
    llm_proxy_route second two ssl=off;
    llm_proxy_default_provider first;
    llm_fallback on;
    llm_fallback_mode health;
    llm_fallback_route first second;
    llm_fallback_probe first interval=50ms;
    location /v1/ { llm_proxy; proxy_pass http://$llm_provider_upstream; }
--- provider_first_tls
{"status":200,"times":"always","when":{"path":"/v1/models"}}
--- requests
>>> provider first_tls 2
POST /v1/chat/completions
{"model":"m"}
--- access_log
^first/m:200:\d+ms$

=== no answer in time is a failure, and requests do not wait for it
--- http_config
    upstream one { server %%first%%; }
    upstream two { server %%second%%; }
    log_format end '$llm_chain';
--- config
    llm_proxy_route first one;
    llm_proxy_route second two;
    llm_proxy_default_provider first;
    llm_fallback on;
    llm_fallback_mode health;
    llm_fallback_route first second;
    llm_fallback_probe first interval=300ms timeout=200ms;
    location /v1/ { llm_proxy; proxy_pass http://$llm_provider_upstream; }
--- provider_first
{"fault":"hang","times":"always","when":{"path":"/v1/models"}}
--- requests
>>> provider first 1
GET /none
>>> provider first 2
POST /v1/chat/completions
{"model":"m"}
--- error_code: 404 200
--- access_log
^first/m:skipped\(benched\), second/m:200:\d+ms$

=== neither is a reset, and nobody listening
--- http_config
    upstream one { server %%first%%; }
    upstream nobody { server %%closed%%; }
    upstream two { server %%second%%; }
    log_format end '$llm_chain';
    llm_fallback_cooldown 60s fails=0 ratio=1 min=100000;
--- config
    llm_proxy_route first one;
    llm_proxy_route none nobody;
    llm_proxy_route second two;
    llm_proxy_model_pattern a first;
    llm_proxy_model_pattern b none;
    llm_fallback on;
    llm_fallback_mode health;
    llm_fallback_route first second;
    llm_fallback_route none second;
    llm_fallback_probe first interval=1s;
    llm_fallback_probe none interval=1s;
    location /v1/ { llm_proxy; proxy_pass http://$llm_provider_upstream; }
--- provider_first
{"fault":"reset","times":"always","when":{"path":"/v1/models"}}
--- after
for my $model (qw(a b)) {
    wait_until {
        $t->request("POST /v1/chat/completions\n" . qq({"model":"$model"}));
        $t->access_log =~ m{/$model:skipped};
    } 5;
}
like($t->access_log, qr{^first/a:skipped\(benched\), second/a:200:\d+ms$}m, 'reset');
like($t->access_log, qr{^none/b:skipped\(benched\), second/b:200:\d+ms$}m, 'refused');

=== a refusal comes from a provider that lives, a 429 from one that can take no more
--- http_config
    upstream denied { server %%denied%%; }
    upstream missing { server %%missing%%; }
    upstream busy { server %%busy%%; }
    upstream two { server %%second%%; }
    log_format end '$llm_chain';
--- config
    llm_proxy_route denied denied;
    llm_proxy_route missing missing;
    llm_proxy_route busy busy;
    llm_proxy_route second two;
    llm_proxy_model_pattern a denied;
    llm_proxy_model_pattern b missing;
    llm_proxy_model_pattern c busy;
    llm_fallback on;
    llm_fallback_mode health;
    llm_fallback_route denied second;
    llm_fallback_route missing second;
    llm_fallback_route busy second;
    llm_fallback_probe denied interval=300ms;
    llm_fallback_probe missing interval=300ms;
    llm_fallback_probe busy interval=300ms;
    location /v1/ { llm_proxy; proxy_pass http://$llm_provider_upstream; }
--- provider_denied
{"status":401,"times":"always","when":{"path":"/v1/models"}}
--- provider_missing
{"status":404,"times":"always","when":{"path":"/v1/models"}}
--- provider_busy
{"status":429,"times":"always","when":{"path":"/v1/models"}}
--- requests
>>> provider denied 2
POST /v1/chat/completions
{"model":"a"}
>>> provider missing 2
POST /v1/chat/completions
{"model":"b"}
>>> provider busy 2
POST /v1/chat/completions
{"model":"c"}
--- access_log
^denied/a:200:\d+ms$
^missing/b:200:\d+ms$
^busy/c:skipped\(benched\), second/c:200:\d+ms$

=== in basic mode targets are not passed over, in latency mode they are
--- http_config
    upstream one { server %%first%%; }
    upstream two { server %%second%%; }
    log_format end '$request_uri $llm_chain';
--- config
    llm_proxy_route first one;
    llm_proxy_route second two;
    llm_proxy_default_provider first;
    llm_fallback on;
    llm_fallback_route first second;
    llm_fallback_probe first interval=300ms;
    location /basic/v1/ { llm_proxy; proxy_pass http://$llm_provider_upstream; }
    location /latency/v1/ {
        llm_proxy;
        llm_fallback_mode latency;
        proxy_pass http://$llm_provider_upstream;
    }
--- provider_first
{"status":500,"times":"always","when":{"path":"/v1/models"}}
--- requests
>>> provider first 2
POST /basic/v1/chat/completions
{"model":"m"}
>>>
POST /latency/v1/chat/completions
{"model":"m"}
--- access_log
^/basic\S+ first/m:200:\d+ms$
^/latency\S+ first/m:skipped\(benched\), second/m:200:\d+ms$

=== where all are benched the provider is tried all the same
--- http_config
    upstream one { server %%first%%; }
--- config
    llm_proxy_route first one;
    llm_proxy_default_provider first;
    llm_fallback on;
    llm_fallback_mode health;
    llm_fallback_probe first interval=300ms;
    location /v1/ { llm_proxy; proxy_pass http://$llm_provider_upstream; }
--- provider_first
{"status":500,"times":"always","when":{"path":"/v1/models"}}
--- requests
>>> provider first 2
POST /v1/chat/completions
{"model":"m"}
--- response_json
{"object":"chat.completion"}

=== a good probe does not end the bench that requests have earned
A list of models is served by more than what answers requests.
--- http_config
    upstream one { server %%first%%; }
    upstream two { server %%second%%; }
    log_format end '$llm_chain';
--- config
    llm_proxy_route first one;
    llm_proxy_route second two;
    llm_proxy_default_provider first;
    llm_fallback on;
    llm_fallback_mode health;
    llm_fallback_route first second;
    llm_fallback_cooldown 60s fails=1;
    llm_fallback_probe first interval=50ms;
    location /v1/ { llm_proxy; proxy_pass http://$llm_provider_upstream; }
--- provider_first
{"status":200,"times":"always","when":{"path":"/v1/models"}}

{"status":500,"when":{"path":"/v1/chat/completions"}}
--- requests
>>> provider first 2
POST /v1/chat/completions
{"model":"m"}
>>> provider first 6
POST /v1/chat/completions
{"model":"m"}
--- access_log
^first/m:500:\d+ms, second/m:200:\d+ms$
^first/m:skipped\(benched\), second/m:200:\d+ms$

=== one worker of several asks
Two would ask at the same moments.
--- http_config
    upstream one { server %%first%%; }
--- config
    llm_proxy_route first one;
    llm_proxy_default_provider first;
    llm_fallback on;
    llm_fallback_mode health;
    llm_fallback_probe first interval=600ms;
    location /v1/ { llm_proxy; proxy_pass http://$llm_provider_upstream; }
    location /again/v1/ { llm_proxy; proxy_pass http://$llm_provider_upstream; }
--- workers: 2
--- after
wait_until { @{ $t->mock->requests('first') } > 2 } 10;
my @at = map { $_->{at_ms} } @{ $t->mock->requests('first') };
my @close = grep { $at[$_] - $at[ $_ - 1 ] < 200 } 1 .. $#at;
is("@close", '', "one probe at a time: @at");

=== what that worker learns all of them know
--- http_config
    upstream one { server %%first%%; }
    upstream two { server %%second%%; }
    log_format end '$pid $llm_chain';
--- config
    llm_proxy_route first one;
    llm_proxy_route second two;
    llm_proxy_default_provider first;
    llm_fallback on;
    llm_fallback_mode health;
    llm_fallback_route first second;
    llm_fallback_probe first interval=300ms;
    location /v1/ { llm_proxy; proxy_pass http://$llm_provider_upstream; }
--- workers: 2
--- provider_first
{"status":503,"times":"always","when":{"path":"/v1/models"}}
--- after
wait_until { @{ $t->mock->requests('first') } > 1 } 5;
my %seen;
wait_until {
    $t->request("POST /v1/chat/completions\n" . '{"model":"m"}');
    %seen = map { $_ => 1 } $t->access_log =~ /^(\d+) /mg;
    keys %seen == 2;
} 10;
is(keys %seen, 2, 'both workers have answered');
is((grep { $_->{method} ne 'GET' } @{ $t->mock->requests('first') }), 0, 'and asked nothing');

=== when that worker dies the one in its place asks
--- http_config
    upstream one { server %%first%%; }
--- config
    llm_proxy_route first one;
    llm_proxy_default_provider first;
    llm_fallback on;
    llm_fallback_mode health;
    llm_fallback_probe first interval=1h;
    location /v1/ { llm_proxy; proxy_pass http://$llm_provider_upstream; }
--- requests
>>> provider first 1
GET /none
>>> new connection, kill worker, provider first 2
GET /none
--- error_code: 404
--- expected_alert
exited on signal 9
--- provider_first_requests: 2

=== nginx ends and reloads while a probe waits for its answer
--- http_config
    upstream one { server %%first%%; }
--- config
    llm_proxy_route first one;
    llm_proxy_default_provider first;
    llm_fallback on;
    llm_fallback_mode health;
    llm_fallback_probe first interval=1h timeout=1h;
    location /v1/ { llm_proxy; proxy_pass http://$llm_provider_upstream; }
--- provider_first
{"fault":"hang","times":"always","when":{"path":"/v1/models"}}
--- requests
>>> provider first 1
GET /none
>>> new connection, reload, provider first 2
GET /none
--- error_code: 404

=== a reload changes what is asked
--- http_config
    upstream one { server %%first%%; }
--- config
    llm_proxy_route first one;
    llm_proxy_default_provider first;
    llm_fallback on;
    llm_fallback_mode health;
    llm_fallback_probe first uri=/old interval=1h;
    location /v1/ { llm_proxy; proxy_pass http://$llm_provider_upstream; }
--- reload_config
    llm_proxy_route first one;
    llm_proxy_default_provider first;
    llm_fallback on;
    llm_fallback_mode health;
    llm_fallback_probe first uri=/new interval=1h;
    location /v1/ { llm_proxy; proxy_pass http://$llm_provider_upstream; }
--- requests
>>> provider first 1
GET /none
>>> new connection, reload, provider first 2
GET /none
--- error_code: 404
--- provider_first_got
GET /old

GET /new

=== the lines of a location take the place of those above it
--- http_config
    upstream one { server %%first%%; }
    upstream two { server %%second%%; }
    llm_fallback_probe first uri=/http;
--- config
    llm_proxy_route first one;
    llm_proxy_route second two;
    llm_proxy_default_provider first;
    llm_fallback on;
    llm_fallback_mode health;
    location /v1/ {
        llm_proxy;
        llm_fallback_probe second uri=/location interval=1h;
        proxy_pass http://$llm_provider_upstream;
    }
--- after
wait_until { @{ $t->mock->requests('second') } > 0 } 5;
--- provider_second_got
GET /location
--- provider_first_requests: 0

=== those of the http block hold for every location, and each provider is asked once
--- http_config
    upstream one { server %%first%%; }
    llm_fallback on;
    llm_fallback_mode health;
    llm_fallback_probe first uri=/http interval=1h;
    llm_fallback_probe second uri=/http interval=1h;
    upstream two { server %%second%%; }
--- config
    llm_proxy_route first one;
    llm_proxy_route second two;
    llm_proxy_default_provider first;
    location /a/v1/ { llm_proxy; proxy_pass http://$llm_provider_upstream; }
    location /b/v1/ { llm_proxy; proxy_pass http://$llm_provider_upstream; }
--- after
wait_until { @{ $t->mock->requests('second') } > 0 } 5;
--- provider_first_requests: 1
--- provider_first_got
GET /http
--- provider_second_requests: 1
--- provider_second_got
GET /http

=== llm_fallback_probe wants a provider
--- config
    llm_fallback_probe;
--- must_fail
invalid number of arguments in "llm_fallback_probe" directive

=== llm_fallback_probe wants a provider that has a route
--- http_config
    upstream one { server 127.0.0.1:1; }
--- config
    llm_proxy_route first one;
    llm_proxy_default_provider first;
    llm_fallback_probe frist;
    location /v1/ { llm_proxy; proxy_pass http://$llm_provider_upstream; }
--- must_fail
"llm_fallback_probe" names provider "frist", add llm_proxy_route frist <upstream>

=== llm_fallback_probe wants a path
--- config
    llm_fallback_probe first uri=v1/models;
--- must_fail
invalid parameter "uri=v1/models" in "llm_fallback_probe", it must be uri=/path, interval=<time> or timeout=<time>

=== llm_fallback_probe wants an interval
--- config
    llm_fallback_probe first interval=often;
--- must_fail
invalid parameter "interval=often" in "llm_fallback_probe", it must be uri=/path, interval=<time> or timeout=<time>

=== llm_fallback_probe cannot ask without a pause
--- config
    llm_fallback_probe first interval=0;
--- must_fail
invalid parameter "interval=0" in "llm_fallback_probe", it must be uri=/path, interval=<time> or timeout=<time>

=== llm_fallback_probe gives a provider some time
--- config
    llm_fallback_probe first timeout=0s;
--- must_fail
invalid parameter "timeout=0s" in "llm_fallback_probe", it must be uri=/path, interval=<time> or timeout=<time>

=== llm_fallback_probe knows no other word
--- config
    llm_fallback_probe first method=HEAD;
--- must_fail
invalid parameter "method=HEAD" in "llm_fallback_probe", it must be uri=/path, interval=<time> or timeout=<time>

=== llm_fallback_probe says each thing once
--- config
    llm_fallback_probe first uri=/a uri=/b;
--- must_fail
duplicate "uri" in "llm_fallback_probe": "uri=/b"

=== llm_fallback_probe names a provider once
--- config
    llm_fallback_probe first;
    llm_fallback_probe first uri=/b;
--- must_fail
duplicate provider "first" in "llm_fallback_probe"
