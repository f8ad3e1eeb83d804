# The variables of llm_auth: what each says, when it is not found, and that none of them is a secret.

use Test::LLM 'no_plan';

sub header_of { (Test::LLM::Client::header_values($_[0], $_[1]))[0] // '' }

run_tests();

__DATA__

=== a key that was found
--- http_config
    upstream one { server %%first%%; }
    log_format auth 'provider=$llm_auth_provider credential=$llm_auth_credential status=$llm_auth_status source=$llm_auth_key_source print=$llm_auth_key_fingerprint reason=[$llm_auth_fail_reason] client=$llm_auth_client project=$llm_auth_project org=$llm_auth_org';
--- config
    llm_proxy_route first one;
    llm_proxy_default_provider first;
    llm_auth_credential first sk-first-SECRET-1;
    llm_auth_tenant $http_x_tenant;
    llm_auth_project "p-$http_x_tenant";
    llm_auth_org acme;
    location /v1/ {
        llm_proxy;
        llm_auth;
        add_header X-Auth "$llm_auth_provider $llm_auth_credential $llm_auth_status $llm_auth_key_source $llm_auth_key_fingerprint [$llm_auth_fail_reason] $llm_auth_client $llm_auth_project $llm_auth_org";
        proxy_pass http://$llm_provider_upstream;
    }
--- request
POST /v1/chat/completions
{"model":"m"}
--- more_headers
X-Tenant: red
--- response_headers
x-auth: ~^first literal#1 resolved literal [0-9a-f]{24} \[\] red p-red acme$
--- access_log
^provider=first credential=literal#1 status=resolved source=literal print=[0-9a-f]{24} reason=\[-\] client=red project=p-red org=acme$

=== where llm_auth is off there are none
--- http_config
    upstream one { server %%first%%; }
    log_format auth '$llm_auth_provider $llm_auth_credential $llm_auth_status $llm_auth_key_source $llm_auth_key_fingerprint $llm_auth_fail_reason $llm_auth_client $llm_auth_project $llm_auth_org';
--- config
    llm_proxy_route first one;
    llm_proxy_default_provider first;
    llm_auth_credential first sk-first-SECRET-1;
    llm_auth_tenant red;
    llm_auth_project apollo;
    llm_auth_org acme;
    location /v1/ { llm_proxy; proxy_pass http://$llm_provider_upstream; }
    location /none/ { return 204; }
--- requests
POST /v1/chat/completions
{"model":"m"}
>>>
GET /none/
--- error_code: 200 204
--- access_log
\A(- ){8}-\n(- ){8}-\n\z

=== a request that is refused before a provider is chosen has no key
--- http_config
    upstream one { server %%first%%; }
    log_format auth '$status $llm_auth_provider $llm_auth_credential $llm_auth_status $llm_auth_key_source $llm_auth_key_fingerprint $llm_auth_fail_reason';
--- config
    llm_proxy_route first one;
    llm_proxy_model_pattern m first;
    llm_auth_credential first sk-first-SECRET-1;
    location /v1/ { llm_proxy; llm_auth; proxy_pass http://$llm_provider_upstream; }
--- requests
POST /v1/chat/completions
{"model":"unknown"}
>>>
POST /v1/chat/completions
not JSON
--- error_code: 404 400
--- access_log
^404 - - - - - -$
^400 - - - - - -$

=== each source has its word
--- http_config
    upstream one { server %%first%%; }
--- env
LLM_KEY=sk-env-SECRET-2
--- user_files
>>> keys/third
sk-file-SECRET-3
--- config
    llm_proxy_route first one;
    llm_proxy_route second one;
    llm_proxy_route third one;
    llm_proxy_model_pattern a first;
    llm_proxy_model_pattern b second;
    llm_proxy_model_pattern c third;
    llm_auth_credential first sk-first-SECRET-1;
    llm_auth_credential second env:LLM_KEY;
    llm_auth_credential third file:keys/third;
    location /v1/ {
        llm_proxy;
        llm_auth;
        add_header X-Auth "$llm_auth_provider $llm_auth_key_source $llm_auth_credential";
        proxy_pass http://$llm_provider_upstream;
    }
--- requests
POST /v1/chat/completions
{"model":"a"}
>>>
POST /v1/chat/completions
{"model":"b"}
>>>
POST /v1/chat/completions
{"model":"c"}
--- response_headers
x-auth: first literal literal#1
>>>
x-auth: second env env:LLM_KEY
>>>
x-auth: third file file:keys/third

=== a fingerprint tells secrets apart, not names, sources, tenants or providers
--- http_config
    upstream one { server %%first%%; }
--- env
LLM_KEY=sk-same-SECRET-1
--- user_files
>>> key
sk-same-SECRET-1
--- config
    llm_proxy_route first one;
    llm_proxy_route second one anthropic;
    llm_proxy_model_pattern a first;
    llm_proxy_model_pattern b second;
    llm_auth_tenant $http_x_tenant;
    llm_auth_tenant_credential 1 first sk-same-SECRET-1;
    llm_auth_tenant_credential 2 first literal-id:named:sk-same-SECRET-1;
    llm_auth_tenant_credential 3 first env:LLM_KEY;
    llm_auth_tenant_credential 4 first file:key;
    llm_auth_tenant_credential 5 first sk-other-SECRET-2;
    llm_auth_tenant_credential 6 first sk-same-SECRET-11;
    llm_auth_tenant_credential 7 first SK-SAME-SECRET-1;
    llm_auth_tenant_credential 1 second sk-same-SECRET-1;
    location / {
        llm_proxy;
        llm_auth;
        add_header X-Print $llm_auth_key_fingerprint;
        proxy_pass http://$llm_provider_upstream;
    }
--- after
my $print = sub {
    my ($tenant) = @_;
    my $request = qq(POST /v1/chat/completions\n{"model":"a"});
    return main::header_of($t->request($request, "X-Tenant: $tenant"), 'x-print');
};
my $first = $print->(1);
like($first, qr/\A[0-9a-f]{24}\z/, '24 hexadecimal digits');
is($print->($_), $first, "the same secret, tenant $_") for 2 .. 4;
my %seen = ($first => 1);
ok(!$seen{ $print->($_) }++, "another secret, tenant $_") for 5 .. 7;
my $anthropic = $t->request(qq(POST /v1/messages\n{"model":"b"}), 'X-Tenant: 1');
is(main::header_of($anthropic, 'x-print'), $first, 'the same secret at another provider');

=== a fingerprint outlasts a reload, a restart and a change of the lines around it
--- http_config
    upstream one { server %%first%%; }
--- config
    llm_proxy_route first one;
    llm_proxy_default_provider first;
    llm_auth_credential first sk-first-SECRET-1;
    location /v1/ {
        llm_proxy;
        llm_auth;
        add_header X-Print $llm_auth_key_fingerprint;
        proxy_pass http://$llm_provider_upstream;
    }
--- reload_config
    llm_proxy_route first one;
    llm_proxy_default_provider first;
    llm_auth_tenant nobody;
    llm_auth_tenant_fallback_shared on;
    llm_auth_tenant_credential red first sk-red-SECRET-2;
    llm_auth_credential first sk-first-SECRET-1 id=renamed weight=7;
    location /v1/ {
        llm_proxy;
        llm_auth;
        add_header X-Print $llm_auth_key_fingerprint;
        proxy_pass http://$llm_provider_upstream;
    }
--- requests
POST /v1/chat/completions
{"model":"a"}
>>> new connection, reload
POST /v1/chat/completions
{"model":"a"}
>>> restart
POST /v1/chat/completions
{"model":"a"}
--- after
my @prints = map { main::header_of($_, 'x-print') } $t->answers;
like($prints[0], qr/\A[0-9a-f]{24}\z/, 'there is one');
is($prints[1], $prints[0], 'the same after a reload');
is($prints[2], $prints[0], 'and after a restart');

=== a new secret has a new fingerprint
--- http_config
    upstream one { server %%first%%; }
--- user_files
>>> key
sk-first-SECRET-1
--- config
    llm_proxy_route first one;
    llm_proxy_default_provider first;
    llm_auth_credential first file:key;
    location /v1/ {
        llm_proxy;
        llm_auth;
        add_header X-Print "$llm_auth_credential $llm_auth_key_fingerprint";
        proxy_pass http://$llm_provider_upstream;
    }
--- request
POST /v1/chat/completions
{"model":"a"}
--- after
my ($before) = map { main::header_of($_, 'x-print') } $t->answers;
$t->write_file('key', "sk-first-SECRET-2\n");
$t->reload;
my $after = main::header_of($t->request(qq(POST /v1/chat/completions\n{"model":"a"})), 'x-print');
isnt($after, $before, 'it is another one');
like($after, qr/\Afile:key [0-9a-f]{24}\z/, 'under the same name');

=== why there is no key
--- http_config
    upstream one { server %%first%%; }
    upstream two { server %%first%%; }
    log_format auth '$uri $llm_auth_status $llm_auth_fail_reason $llm_auth_provider [$llm_auth_credential] [$llm_auth_key_source] [$llm_auth_key_fingerprint]';
--- config
    llm_proxy_route first one;
    llm_proxy_default_provider first;
    llm_proxy;
    llm_auth;
    llm_auth_fail_closed off;
    llm_auth_tenant $http_x_tenant;
    llm_auth_project $http_x_project;
    llm_auth_org $http_x_org;
    location /none/ { proxy_pass http://$llm_provider_upstream; }
    location /secret/ {
        llm_auth_credential first env:LLM_NOT_THERE;
        proxy_pass http://$llm_provider_upstream;
    }
    location /client/ {
        llm_auth_tenant_credential red first sk-red-SECRET-1;
        proxy_pass http://$llm_provider_upstream;
    }
    location /project/ {
        llm_auth_project_credential apollo first sk-apollo-SECRET-2;
        proxy_pass http://$llm_provider_upstream;
    }
    location /org/ {
        llm_auth_org_credential acme first sk-acme-SECRET-3;
        proxy_pass http://$llm_provider_upstream;
    }
--- requests
POST /none/v1/chat/completions
{"model":"m"}
>>>
POST /secret/v1/chat/completions
{"model":"m"}
>>>
POST /client/v1/chat/completions
{"model":"m"}
>>>
POST /client/v1/chat/completions
{"model":"m"}
>>>
POST /project/v1/chat/completions
{"model":"m"}
>>>
POST /project/v1/chat/completions
{"model":"m"}
>>>
POST /org/v1/chat/completions
{"model":"m"}
>>>
POST /org/v1/chat/completions
{"model":"m"}
--- more_headers
>>>
>>>
X-Tenant: blue
>>>
>>>
X-Project: gemini
>>>
>>>
X-Org: umbrella
>>>
--- after
my @words = map { join ' ', (split / /)[1, 2, 3, 4, 5, 6] } split /\n/, $t->access_log;
is_deeply(\@words, [ map {"$_ first [-] [-] [-]"}
    'missing_credential credential_missing',
    'missing_secret secret_unresolved',
    'missing_credential client_credential_missing',
    'missing_credential client_missing',
    'missing_credential project_credential_missing',
    'missing_credential project_missing',
    'missing_credential org_credential_missing',
    'missing_credential org_missing',
], 'each reason has its word');

=== after a failure they are those of the attempt that answered
--- http_config
    upstream one { server %%first%%; }
    upstream two { server %%second%%; }
    log_format auth '$llm_auth_provider $llm_auth_credential $llm_auth_status';
--- config
    llm_proxy_route first one;
    llm_proxy_route second two;
    llm_proxy_default_provider first;
    llm_fallback_route first second;
    llm_auth_credential first sk-first-SECRET-1 id=one weight=4000000000;
    llm_auth_credential first sk-first-SECRET-2 id=other;
    llm_auth_credential second sk-second-SECRET-3 id=two;
    llm_fallback_max_attempts 3;
    location /v1/ {
        llm_proxy;
        llm_auth;
        llm_fallback;
        add_header X-Auth "$llm_auth_provider $llm_auth_credential" always;
        proxy_pass http://$llm_provider_upstream;
    }
--- provider_first
429

500

429

{}
--- requests
POST /v1/chat/completions
{"model":"a"}
>>>
POST /v1/chat/completions
{"model":"b"}
--- response_headers
x-auth: second two
>>>
x-auth: first other
--- access_log
^second two resolved$
^first other resolved$

=== they can be used before an answer is there
--- http_config
    upstream one { server %%first%%; }
--- config
    llm_proxy_route first one;
    llm_proxy_default_provider first;
    llm_auth_credential first sk-first-SECRET-1 id=main;
    location /v1/ {
        llm_proxy;
        llm_auth;
        proxy_set_header X-Key "$llm_auth_credential/$llm_auth_key_fingerprint";
        proxy_pass http://$llm_provider_upstream;
    }
--- request
POST /v1/chat/completions
{"model":"a"}
--- provider_first_got
POST /v1/chat/completions
x-key: ~^main/[0-9a-f]{24}$

=== a name that a client chose for its tenant cannot break a header or a log line
--- http_config
    upstream one { server %%first%%; }
    log_format auth 'client=$llm_auth_client.';
--- config
    llm_proxy_route first one;
    llm_proxy_default_provider first;
    llm_auth_tenant $arg_tenant;
    llm_auth_credential first sk-first-SECRET-1;
    location /v1/ { llm_proxy; llm_auth; proxy_pass http://$llm_provider_upstream; }
--- request
POST /v1/chat/completions?tenant=a%0d%0aX-Evil:1"
{"model":"a"}
--- access_log
^client=a%0d%0aX-Evil:1\\x22\.$
