# llm_auth_client_scope: a key opens the addresses of its own organisation and project.

use Test::LLM 'no_plan';

use Test::LLM::Ctl;

our @keys = (
    key_line('web',       'sk-client-SECRET-1', org => 'acme',  project => 'web'),
    key_line('ops',       'sk-client-SECRET-2', org => 'acme',  project => 'ops'),
    key_line('other',     'sk-client-SECRET-3', org => 'other', project => 'web'),
    key_line('nobodys',   'sk-client-SECRET-4'),
    key_line('suspended', 'sk-client-SECRET-5', org => 'other', project => 'web', state => 'suspended'),
);

# The status that each key gets at a path.
sub statuses {
    my ($t, $path) = @_;
    my %number = (web => 1, ops => 2, other => 3, nobodys => 4, suspended => 5);
    my @answers = map {
        $t->request(qq(POST $path\n{"model":"m"}),
            "Authorization: Bearer $_.sk-client-SECRET-$number{$_}")
    } qw(web ops other nobodys suspended);
    return join ' ', map { $_->{status} } @answers;
}

run_tests();

__DATA__

=== an organisation, a project, both
--- init: put_keys($t, 'keys', @main::keys);
--- http_config
    upstream one { server %%first%%; }
--- config
    llm_proxy;
    llm_auth;
    llm_auth_client_keys keys;
    llm_proxy_route first one;
    llm_proxy_default_provider first;
    llm_auth_credential first sk-first-SECRET-9;
    location /any/ { proxy_pass http://$llm_provider_upstream; }
    location /org/ { llm_auth_client_scope org=acme; proxy_pass http://$llm_provider_upstream; }
    location /project/ { llm_auth_client_scope project=web; proxy_pass http://$llm_provider_upstream; }
    location /both/ { llm_auth_client_scope project=web org=acme; proxy_pass http://$llm_provider_upstream; }
--- after
is(main::statuses($t, '/any/v1/chat/completions'),     '200 200 200 200 403', 'no scope');
is(main::statuses($t, '/org/v1/chat/completions'),     '200 200 403 403 403', 'an organisation');
is(main::statuses($t, '/project/v1/chat/completions'), '200 403 200 403 403', 'a project');
is(main::statuses($t, '/both/v1/chat/completions'),    '200 403 403 403 403', 'both');

=== the refusal says what is wrong, in both dialects and before the body is read
--- init: put_keys($t, 'keys', @main::keys);
--- http_config
    upstream one { server %%first%%; }
    log_format l '$status $llm_client_status $llm_client_key_id';
--- config
    llm_proxy;
    llm_auth;
    llm_auth_client_keys keys;
    llm_auth_client_scope org=acme project=web;
    llm_proxy_route first one;
    llm_proxy_default_provider first;
    llm_auth_credential first sk-first-SECRET-9;
    location /v1/ { proxy_pass http://$llm_provider_upstream; }
--- more_headers
Authorization: Bearer ops.sk-client-SECRET-2
>>>
x-api-key: other.sk-client-SECRET-3
>>>
Authorization: Bearer suspended.sk-client-SECRET-5
--- requests
POST /v1/chat/completions
no JSON
>>>
POST /v1/messages
no JSON
>>>
POST /v1/chat/completions
no JSON
--- error_code: 403
--- response_json
{"error":{"code":"api_key_out_of_scope","message":"<<any>>","type":"permission_error","param":null},"request_id":"<<any>>"}
>>>
{"type":"error","request_id":"<<any>>","error":{"type":"permission_error","message":"<<match:not for this address>>"}}
>>>
{"error":{"code":"api_key_suspended","message":"<<any>>","type":"permission_error","param":null},"request_id":"<<any>>"}
--- access_log
^403 active ops$
^403 active other$
--- provider_first_requests: 0

=== a nested location has the scope of the one around it, or its own
--- init: put_keys($t, 'keys', @main::keys);
--- http_config
    upstream one { server %%first%%; }
--- config
    llm_proxy;
    llm_auth;
    llm_auth_client_keys keys;
    llm_auth_client_scope org=acme project=web;
    llm_proxy_route first one;
    llm_proxy_default_provider first;
    llm_auth_credential first sk-first-SECRET-9;
    location /v1/ { proxy_pass http://$llm_provider_upstream; }
    location /ops/ { llm_auth_client_scope org=acme; proxy_pass http://$llm_provider_upstream; }
    location = /v1/models { llm_proxy_models; }
--- after
is(main::statuses($t, '/v1/chat/completions'),     '200 403 403 403 403', 'inherited');
is(main::statuses($t, '/ops/v1/chat/completions'), '200 200 403 403 403', 'replaced, not merged');
is($t->request('GET /v1/models', 'Authorization: Bearer ops.sk-client-SECRET-2')->{status}, 403,
    'the list of models, too');

=== a scope needs keys
--- http_config
    upstream one { server %%first%%; }
--- config
    llm_proxy_route first one;
    llm_proxy_default_provider first;
    llm_auth_credential first sk-first-SECRET-9;
    location /v1/ { llm_proxy; llm_auth; llm_auth_client_scope org=acme; proxy_pass http://$llm_provider_upstream; }
--- must_fail
"llm_auth_client_scope" needs "llm_auth_client_keys", add it

=== another word
--- config
    llm_auth_client_scope team=acme;
--- must_fail
invalid parameter "team=acme" in "llm_auth_client_scope", it must be org= or project=

=== nothing behind the sign
--- config
    llm_auth_client_scope org=;
--- must_fail
invalid parameter "org=" in "llm_auth_client_scope", give each once and a value

=== one of them twice
--- config
    llm_auth_client_scope org=a org=b;
--- must_fail
invalid parameter "org=b" in "llm_auth_client_scope", give each once and a value

=== the directive twice
--- config
    llm_auth_client_scope org=a;
    llm_auth_client_scope project=b;
--- must_fail
"llm_auth_client_scope" directive is duplicate
