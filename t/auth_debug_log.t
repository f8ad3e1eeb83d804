# What error_log says at the debug level, where nginx's binary can: nothing of our keys. nginx writes
# its own request head there, in which the credential is still the client's: the provider's comes in
# behind that line.

use Test::LLM;
use Test::LLM::Nginx;

my $binary = Test::LLM::Nginx::binary();
plan(skip_all => 'this nginx has no debug log') if qx("$binary" -V 2>&1) !~ /--with-debug/;
plan('no_plan');

run_tests();

__DATA__

=== no key of ours is in a debug log, whatever happens to it
--- log_level: debug
--- http_config
    upstream one { server %%first%%; keepalive 4; }
    upstream two { server %%second%%; }
--- env
LLM_KEY=sk-first-SECRET-1
--- user_files
>>> key
sk-second-SECRET-3
--- config
    llm_proxy_route first one;
    llm_proxy_route second two;
    llm_proxy_default_provider first;
    llm_fallback_route first second;
    llm_fallback_on auth_error upstream_5xx;
    llm_fallback_max_attempts 3;
    llm_auth_tenant $http_x_tenant;
    llm_auth_tenant_fallback_shared on;
    llm_auth_credential first env:LLM_KEY;
    llm_auth_credential first sk-first-SECRET-2;
    llm_auth_credential second file:key;
    llm_auth_tenant_credential red first sk-red-SECRET-4;
    location /v1/ {
        llm_proxy;
        llm_auth;
        llm_fallback;
        add_header X-Auth "$llm_auth_credential $llm_auth_key_fingerprint $llm_auth_status";
        proxy_pass http://$llm_provider_upstream;
    }
--- provider_first
{"status":401,"times":2}

500

{}
--- requests
POST /v1/chat/completions
{"model":"a"}
>>>
POST /v1/chat/completions
{"model":"b"}
>>>
POST /v1/chat/completions
{"model":"c","stream":true}
--- more_headers
Authorization: Bearer mine
>>>
X-Tenant: red
Authorization: Bearer mine
>>>
X-Tenant: red
Authorization: Bearer mine
--- error_log
[debug]

=== nginx's own line of the head for a provider shows the client's credential
--- log_level: debug
--- http_config
    upstream one { server %%first%%; }
--- config
    llm_proxy_route first one;
    llm_proxy_default_provider first;
    llm_auth_credential first sk-first-SECRET-1;
    location /v1/ { llm_proxy; llm_auth; proxy_pass http://$llm_provider_upstream; }
--- request
POST /v1/chat/completions
{"model":"a"}
--- more_headers
Authorization: Bearer of-the-client
--- error_log
http header: "Authorization: Bearer of-the-client"
http proxy header: "Authorization: Bearer of-the-client"
--- provider_first_got
POST /v1/chat/completions
Authorization: Bearer sk-first-SECRET-1

=== start, reload and a refused configuration say nothing of keys
--- log_level: debug
--- http_config
    upstream one { server %%first%%; }
--- user_files
>>> key
sk-first-SECRET-1
--- config
    llm_proxy_route first one;
    llm_proxy_default_provider first;
    llm_auth_credential first file:key;
    location /v1/ { llm_proxy; llm_auth; proxy_pass http://$llm_provider_upstream; }
--- reload_config
    llm_proxy_route first one;
    llm_proxy_default_provider first;
    llm_auth_credential first file:key;
    llm_auth_credential first sk-first-SECRET-2;
    location /v1/ { llm_proxy; llm_auth; proxy_pass http://$llm_provider_upstream; }
--- requests
POST /v1/chat/completions
{"model":"a"}
>>> new connection, reload
POST /v1/chat/completions
{"model":"a"}
--- error_log
reconfiguring

=== a file that cannot be used is told of without what is in it
--- log_level: debug
--- http_config
    upstream one { server %%first%%; }
--- user_files
>>> key
sk-first-SECRET-1
--- config
    llm_proxy_route first one;
    llm_proxy_default_provider first;
    llm_auth_credential first file:key;
    location /v1/ { llm_proxy; llm_auth; proxy_pass http://$llm_provider_upstream; }
--- after
$t->write_file('key', "sk-first-SECRET-2 and sk-first-SECRET-3\n");
ok((wait_until { $t->error_log =~ /\[warn\].*file:key/ } 5), 'there is a line about it');
