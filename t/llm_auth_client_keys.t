# llm_auth_client_keys: who may come in. The file has salted hashes; it is read again when it changes, as
# llmctl changes it.

use Test::LLM 'no_plan';

use JSON::PP ();
use Test::LLM::Ctl;
use Test::LLM::Ledger;

our @keys = (
    key_line('acme-1', 'sk-client-SECRET-1',
        org => 'acme', project => 'web', client => 'app', tier => 'gold'),
    key_line('acme-suspended', 'sk-client-SECRET-2', state => 'suspended', org => 'acme'),
    key_line('acme-revoked',   'sk-client-SECRET-3', state => 'revoked',   org => 'acme'),
    key_line('acme-expired',   'sk-client-SECRET-4', org => 'acme', expires => 1_000_000_000),
    key_line('acme.dotted',    'sk-client-SECRET-5', org => 'acme'),
);

# The status and the code that a key gets now.
sub now_gets {
    my ($t, $credential) = @_;
    my $answer = $t->request(qq(POST /v1/chat/completions\n{"model":"m"}),
        defined $credential ? "Authorization: Bearer $credential" : undef);
    my $error = $answer->{body} =~ /"error"/ ? JSON::PP::decode_json($answer->{body})->{error} : {};
    return join ' ', grep {defined} $answer->{status}, $error->{code};
}

# Waits until a key gets that; returns the seconds that it took, or nothing.
sub soon_gets {
    my ($t, $credential, $want) = @_;
    my $began = Test::LLM::Util::now();
    return if !wait_until { now_gets($t, $credential) eq $want } 5;
    return Test::LLM::Util::now() - $began;
}

run_tests();

__DATA__

=== a key comes in three headers, and never goes to a provider
--- init: put_keys($t, 'keys', @main::keys);
--- http_config
    upstream one { server %%first%%; }
--- config
    llm_proxy_route first one;
    llm_proxy_default_provider first;
    llm_auth_credential first sk-first-SECRET-9;
    location /v1/ { llm_proxy; llm_auth; llm_auth_client_keys keys; proxy_pass http://$llm_provider_upstream; }
--- more_headers
Authorization: Bearer acme-1.sk-client-SECRET-1
>>>
Authorization: bEARER  acme-1.sk-client-SECRET-1
>>>
x-api-key: acme-1.sk-client-SECRET-1
>>>
api-key: acme-1.sk-client-SECRET-1
>>>
Authorization: Basic YTpi
x-api-key: acme-1.sk-client-SECRET-1
>>>
Authorization: Bearer acme.dotted.sk-client-SECRET-5
--- requests
POST /v1/chat/completions
{"model":"m"}
>>>
POST /v1/chat/completions
{"model":"m"}
>>>
POST /v1/chat/completions
{"model":"m"}
>>>
POST /v1/chat/completions
{"model":"m"}
>>>
POST /v1/chat/completions
{"model":"m"}
>>>
POST /v1/chat/completions
{"model":"m"}
--- error_code: 200
--- provider_first_requests: 6
--- provider_first_got
POST /v1/chat/completions
Authorization: Bearer sk-first-SECRET-9
!x-api-key
!api-key

=== without a key or with an unknown one the answer is 401, in the client's dialect
--- init: put_keys($t, 'keys', @main::keys);
--- http_config
    upstream one { server %%first%%; }
--- config
    llm_proxy_route first one;
    llm_proxy_route second one anthropic;
    llm_proxy_model_pattern m first;
    llm_proxy_model_pattern claude-* second;
    llm_auth_credential first sk-first-SECRET-9;
    llm_auth_credential second sk-second-SECRET-9;
    location /v1/ { llm_proxy; llm_auth; llm_auth_client_keys keys; proxy_pass http://$llm_provider_upstream; }
--- more_headers
>>>
Authorization: Bearer acme-1.sk-client-SECRET-2
>>>
Authorization: Bearer acme-2.sk-client-SECRET-1
>>>
Authorization: Bearer sk-client-SECRET-1
>>>
Authorization: Bearer
>>>
x-api-key: acme-suspended.sk-client-SECRET-1
>>>
>>>
x-api-key: acme-1.sk-client-SECRET-3
--- requests
POST /v1/chat/completions
{"model":"m"}
>>>
POST /v1/chat/completions
{"model":"m"}
>>>
POST /v1/chat/completions
{"model":"m"}
>>>
POST /v1/chat/completions
{"model":"m"}
>>>
POST /v1/chat/completions
{"model":"m"}
>>>
POST /v1/chat/completions
{"model":"m"}
>>>
POST /v1/messages
{"model":"claude-3","max_tokens":1,"messages":[]}
>>>
POST /v1/messages
{"model":"claude-3","max_tokens":1,"messages":[]}
--- error_code: 401
--- response_headers
Content-Type: application/json
X-LLM-Event-Id: ~^[0-9a-f]{32}$
!X-LLM-Provider
--- response_json
{"error":{"code":"missing_api_key","message":"<<any>>","type":"authentication_error","param":null},"request_id":"<<any>>"}
>>>
{"error":{"code":"invalid_api_key","message":"<<any>>","type":"authentication_error","param":null},"request_id":"<<any>>"}
>>>
{"error":{"code":"invalid_api_key","message":"<<any>>","type":"authentication_error","param":null},"request_id":"<<any>>"}
>>>
{"error":{"code":"invalid_api_key","message":"<<any>>","type":"authentication_error","param":null},"request_id":"<<any>>"}
>>>
{"error":{"code":"missing_api_key","message":"<<any>>","type":"authentication_error","param":null},"request_id":"<<any>>"}
>>>
{"error":{"code":"invalid_api_key","message":"<<any>>","type":"authentication_error","param":null},"request_id":"<<any>>"}
>>>
{"type":"error","request_id":"<<any>>","error":{"type":"authentication_error","message":"<<any>>"}}
>>>
{"type":"error","request_id":"<<any>>","error":{"type":"authentication_error","message":"<<any>>"}}
--- provider_first_requests: 0

=== a suspended, revoked or expired key is 403, whoever has not its secret learns nothing
--- init: put_keys($t, 'keys', @main::keys);
--- http_config
    upstream one { server %%first%%; }
    log_format l '$status $llm_client_status "$llm_client_key_id"';
--- config
    llm_proxy_route first one;
    llm_proxy_default_provider first;
    llm_auth_credential first sk-first-SECRET-9;
    location /v1/ { llm_proxy; llm_auth; llm_auth_client_keys keys; proxy_pass http://$llm_provider_upstream; }
--- more_headers
Authorization: Bearer acme-suspended.sk-client-SECRET-2
>>>
Authorization: Bearer acme-revoked.sk-client-SECRET-3
>>>
Authorization: Bearer acme-expired.sk-client-SECRET-4
>>>
Authorization: Bearer acme-revoked.sk-client-SECRET-2
>>>
x-api-key: acme-suspended.sk-client-SECRET-2
>>>
x-api-key: acme-revoked.sk-client-SECRET-3
>>>
x-api-key: acme-expired.sk-client-SECRET-4
--- requests
POST /v1/chat/completions
{"model":"m"}
>>>
POST /v1/chat/completions
{"model":"m"}
>>>
POST /v1/chat/completions
{"model":"m"}
>>>
POST /v1/chat/completions
{"model":"m"}
>>>
POST /v1/messages
{"model":"m"}
>>>
POST /v1/messages
{"model":"m"}
>>>
POST /v1/messages
{"model":"m"}
--- error_code: 403 403 403 401 403 403 403
--- response_json
{"error":{"code":"api_key_suspended","message":"This key is suspended.","type":"permission_error","param":null},"request_id":"<<any>>"}
>>>
{"error":{"code":"api_key_revoked","message":"<<any>>","type":"permission_error","param":null},"request_id":"<<any>>"}
>>>
{"error":{"code":"api_key_expired","message":"<<any>>","type":"permission_error","param":null},"request_id":"<<any>>"}
>>>
{"error":{"code":"invalid_api_key","message":"<<any>>","type":"authentication_error","param":null},"request_id":"<<any>>"}
>>>
{"type":"error","request_id":"<<any>>","error":{"type":"permission_error","message":"This key is suspended."}}
>>>
{"type":"error","request_id":"<<any>>","error":{"type":"permission_error","message":"<<match:revoked>>"}}
>>>
{"type":"error","request_id":"<<any>>","error":{"type":"permission_error","message":"<<match:expired>>"}}
--- access_log
^403 suspended "acme-suspended"$
^403 revoked "acme-revoked"$
^403 expired "acme-expired"$
^401 unknown "-?"$
--- provider_first_requests: 0

=== the secret before a rotation works until its time is over
--- init
put_keys($t, 'keys',
    key_line('a', 'sk-client-SECRET-1', old =>
        Test::LLM::Ctl::digest('sk-client-SECRET-2') . '@' . (time + 3600)),
    key_line('b', 'sk-client-SECRET-1', old =>
        Test::LLM::Ctl::digest('sk-client-SECRET-2') . '@' . (time - 1)));
--- http_config
    upstream one { server %%first%%; }
--- config
    llm_proxy_route first one;
    llm_proxy_default_provider first;
    llm_auth_credential first sk-first-SECRET-9;
    location /v1/ { llm_proxy; llm_auth; llm_auth_client_keys keys; proxy_pass http://$llm_provider_upstream; }
--- after
is(main::now_gets($t, "$_->[0].sk-client-SECRET-$_->[1]"), $_->[2], "@$_")
    for ['a', 1, 200], ['a', 2, 200], ['b', 1, 200], ['b', 2, '403 api_key_expired'];

=== a client who asks before it sends a gigabyte is refused at once
--- init: put_keys($t, 'keys', @main::keys);
--- http_config
    upstream one { server %%first%%; }
--- config
    llm_proxy_route first one;
    llm_proxy_default_provider first;
    llm_auth_credential first sk-first-SECRET-9;
    client_max_body_size 0;
    llm_proxy_max_body_size 2g;
    location /v1/ { llm_proxy; llm_auth; llm_auth_client_keys keys; proxy_pass http://$llm_provider_upstream; }
--- raw_request eval
CORE::join "\r\n", 'POST /v1/chat/completions HTTP/1.1', 'Host: localhost', 'Connection: close',
    'Content-Type: application/json', 'Content-Length: 1073741824', 'Expect: 100-continue',
    'Authorization: Bearer acme-revoked.sk-client-SECRET-3', '', ''
--- error_code: 403
--- answered_within: 2s
--- response_body_like: "api_key_revoked"
--- raw_response_headers_like: \AHTTP/1\.1 403
--- provider_first_requests: 0

=== one who does not ask is refused before its body has come
--- init: put_keys($t, 'keys', @main::keys);
--- http_config
    upstream one { server %%first%%; }
--- config
    llm_proxy_route first one;
    llm_proxy_default_provider first;
    llm_auth_credential first sk-first-SECRET-9;
    client_max_body_size 0;
    llm_proxy_max_body_size 2g;
    location /v1/ { llm_proxy; llm_auth; llm_auth_client_keys keys; proxy_pass http://$llm_provider_upstream; }
--- raw_request eval
CORE::join "\r\n", 'POST /v1/chat/completions HTTP/1.1', 'Host: localhost',
    'Content-Type: application/json', 'Content-Length: 1073741824', '', '{"model":"m",'
--- error_code: 401
--- answered_within: 2s
--- response_body_like: "missing_api_key"
--- provider_first_requests: 0

=== what llmctl does to a key takes effect within a second, without a reload
--- workers: 2
--- init: put_keys($t, 'keys');
--- http_config
    upstream one { server %%first%%; }
--- config
    llm_proxy_route first one;
    llm_proxy_default_provider first;
    llm_auth_credential first sk-first-SECRET-9;
    location /v1/ { llm_proxy; llm_auth; llm_auth_client_keys keys; proxy_pass http://$llm_provider_upstream; }
--- after
# Both workers must have seen it, so each is asked alone.
my $gets = sub {
    my ($what, $credential, $want) = @_;
    my $began = Test::LLM::Util::now();
    my @workers = $t->nginx->worker_pids;
    for my $worker (@workers) {
        my ($other) = grep { $_ != $worker } @workers;
        ok(defined main::soon_gets($t, $credential, $want), "$what: $want") or return;
        my $seconds = Test::LLM::Util::now() - $began;
        ok($seconds < 2 * Test::LLM::Util::scale(), "$what: after $seconds s");
        kill STOP => $worker;
        wait_until { slurp("/proc/$worker/stat") =~ /\) T / } 5;
    }
    kill CONT => @workers;
};
my $key = sub { llmctl_ok('key', $_[0], '--file', $t->root . '/keys', @_[1 .. $#_]) };
my $first = issue_key($t, 'keys', 'web-1');
$gets->('issue', $first, 200);
$key->('suspend', 'web-1');
$gets->('suspend', $first, '403 api_key_suspended');
$key->('resume', 'web-1');
$gets->('resume', $first, 200);
my ($second) = $key->('rotate', 'web-1', '--overlap', '1h') =~ /(\S+)\s*\z/;
$t->is_secret($second =~ s/.*\.//r);
$gets->('rotate', $second, 200);
is(main::now_gets($t, $first), 200, 'rotate: the secret before goes on');
my ($third) = $key->('rotate', 'web-1', '--overlap', '0') =~ /(\S+)\s*\z/;
$t->is_secret($third =~ s/.*\.//r);
$gets->('rotate at once', $second, '401 invalid_api_key');
is(main::now_gets($t, $third), 200, 'rotate at once: the new one works');
$key->('expire', 'web-1');
$gets->('expire', $third, '403 api_key_expired');
$key->('expire', 'web-1', '--at', 'never');
$gets->('expire never', $third, 200);
$key->('revoke', 'web-1');
$gets->('revoke', $third, '403 api_key_revoked');
unlike($t->error_log, qr/signal 1 |reconfiguring/, 'without a reload');

=== a file that is half written, open to others or gone leaves the present keys, and is told of
--- init: put_keys($t, 'keys', @main::keys);
--- http_config
    upstream one { server %%first%%; }
--- config
    llm_proxy_route first one;
    llm_proxy_default_provider first;
    llm_auth_credential first sk-first-SECRET-9;
    location /v1/ { llm_proxy; llm_auth; llm_auth_client_keys keys; proxy_pass http://$llm_provider_upstream; }
--- after
my $file = $t->root . '/keys';
my $whole = key_file(@main::keys, key_line('new', 'sk-client-SECRET-8'));
my $told = sub {
    my ($what, $text) = @_;
    ok((wait_until { $t->error_log =~ /\[(?:warn|error)\] .*llm_auth_client_keys.*$text/ } 5),
        "$what: told") or diag($t->error_log);
    is(main::now_gets($t, 'acme-1.sk-client-SECRET-1'), 200, "$what: the present keys go on");
    is(main::now_gets($t, 'new.sk-client-SECRET-8'), '401 invalid_api_key', "$what: no new one");
};
put_keys($t, 'keys', \($whole =~ s/^end.*//mrs));
$told->('half written', 'not whole');
put_keys($t, 'keys', \($whole =~ s/^new active.{40}\K.*//mrs));
$told->('ending in a line', 'line 7: ');
put_keys($t, 'keys', \($whole =~ s/^end \d+/end 99/mr));
$told->('lines are missing', 'should have 99 keys');
put_keys($t, 'keys', \'');
$told->('empty', 'no key file');
put_keys($t, 'keys', \"\xff\xfe\0");
$told->('no text', 'not text');
put_keys($t, 'keys', \$whole);
ok(defined main::soon_gets($t, 'new.sk-client-SECRET-8', 200), 'a whole one counts');
put_keys($t, 'keys', @main::keys);
ok(defined main::soon_gets($t, 'new.sk-client-SECRET-8', '401 invalid_api_key'), 'and the one before');
spew("$file.open", $whole);
chmod 0644, "$file.open";
rename "$file.open", $file;
$told->('open to others', 'chmod o= \S+/keys');
unlink $file;
$told->('gone', 'No such file');

=== a file that others may read is refused at the start, with what mends it
--- init
put_keys($t, 'keys', @main::keys);
chmod 0644, $t->root . '/keys';
--- http_config
    upstream one { server %%first%%; }
--- config
    llm_proxy_route first one;
    llm_proxy_default_provider first;
    llm_auth_credential first sk-first-SECRET-9;
    location /v1/ { llm_proxy; llm_auth; llm_auth_client_keys keys; proxy_pass http://$llm_provider_upstream; }
--- must_fail
cannot use "%%root%%/keys" of "llm_auth_client_keys": others than its owner and group may read or write it, run chmod o= %%root%%/keys

=== a file that is not there
--- http_config
    upstream one { server %%first%%; }
--- config
    llm_proxy_route first one;
    llm_proxy_default_provider first;
    llm_auth_credential first sk-first-SECRET-9;
    location /v1/ { llm_proxy; llm_auth; llm_auth_client_keys keys; proxy_pass http://$llm_provider_upstream; }
--- must_fail
cannot use "%%root%%/keys" of "llm_auth_client_keys": No such file or directory

=== a file that is not whole at the start
--- init
my $text = key_file(@main::keys);
put_keys($t, 'keys', \substr $text, 0, -20);
--- http_config
    upstream one { server %%first%%; }
--- config
    llm_proxy_route first one;
    llm_proxy_default_provider first;
    llm_auth_credential first sk-first-SECRET-9;
    location /v1/ { llm_proxy; llm_auth; llm_auth_client_keys keys; proxy_pass http://$llm_provider_upstream; }
--- must_fail
cannot use "%%root%%/keys" of "llm_auth_client_keys": line 6:

=== the same key twice
--- init: put_keys($t, 'keys', $main::keys[0], $main::keys[0]);
--- http_config
    upstream one { server %%first%%; }
--- config
    llm_proxy_route first one;
    llm_proxy_default_provider first;
    llm_auth_credential first sk-first-SECRET-9;
    location /v1/ { llm_proxy; llm_auth; llm_auth_client_keys keys; proxy_pass http://$llm_provider_upstream; }
--- must_fail
line 3: duplicate key "acme-1", keep one of its lines

=== without llm_auth the key would be sent to the provider
--- init: put_keys($t, 'keys', @main::keys);
--- http_config
    upstream one { server %%first%%; }
--- config
    llm_proxy_route first one;
    llm_proxy_default_provider first;
    location /v1/ { llm_proxy; llm_auth_client_keys keys; proxy_pass http://$llm_provider_upstream; }
--- must_fail
"llm_auth_client_keys" needs "llm_auth on"

=== the directive twice, and without a name
--- http_config
    upstream one { server %%first%%; }
--- config
    llm_auth_client_keys keys;
    llm_auth_client_keys keys;
--- must_fail
"llm_auth_client_keys" directive is duplicate

=== a nested location may do without keys, and another one has its own
--- init
put_keys($t, 'keys', @main::keys);
put_keys($t, 'others', key_line('other', 'sk-client-SECRET-6'));
--- http_config
    upstream one { server %%first%%; }
--- config
    llm_proxy;
    llm_auth;
    llm_proxy_route first one;
    llm_proxy_default_provider first;
    llm_auth_credential first sk-first-SECRET-9;
    llm_auth_client_keys keys;
    location /v1/ { proxy_pass http://$llm_provider_upstream; }
    location /open/v1/ { llm_auth_client_keys off; proxy_pass http://$llm_provider_upstream; }
    location /other/v1/ { llm_auth_client_keys others; proxy_pass http://$llm_provider_upstream; }
--- more_headers
>>>
Authorization: Bearer acme-1.sk-client-SECRET-1
>>>
>>>
Authorization: Bearer acme-1.sk-client-SECRET-1
>>>
Authorization: Bearer other.sk-client-SECRET-6
--- requests
POST /v1/chat/completions
{"model":"m"}
>>>
POST /v1/chat/completions
{"model":"m"}
>>>
POST /open/v1/chat/completions
{"model":"m"}
>>>
POST /other/v1/chat/completions
{"model":"m"}
>>>
POST /other/v1/chat/completions
{"model":"m"}
--- error_code: 401 200 200 401 200
--- provider_first_requests: 3

=== who it is is known in set, if and map, before the body is read
--- init: put_keys($t, 'keys', @main::keys);
--- http_config
    upstream one { server %%first%%; }
    map $llm_client_tier $speed { gold fast; default slow; }
    log_format l '$status "$llm_client_status" "$llm_client_key_id" "$llm_client_org" "$llm_client_project" "$llm_client_id" "$llm_client_tier" "$who" "$speed"';
--- config
    llm_proxy_route first one;
    llm_proxy_default_provider first;
    llm_auth_credential first sk-first-SECRET-9;
    llm_auth_client_keys keys;
    llm_auth;
    location /v1/ {
        set $who $llm_client_org/$llm_client_project/$llm_client_id;
        if ($llm_client_org = "acme") { set $known yes; }
        if ($llm_client_status = suspended) { return 402; }
        add_header X-Known $known always;
        add_header X-Speed $speed always;
        llm_proxy;
        proxy_pass http://$llm_provider_upstream;
    }
--- more_headers
Authorization: Bearer acme-1.sk-client-SECRET-1
>>>
x-api-key: acme-suspended.sk-client-SECRET-2
>>>
--- requests
POST /v1/chat/completions
{"model":"m"}
>>>
POST /v1/chat/completions
{"model":"m"}
>>>
POST /v1/chat/completions
{"model":"m"}
--- error_code: 200 402 401
--- response_headers
X-Known: yes
X-Speed: fast
>>>
X-Speed: slow
>>>
!X-Known
X-Speed: slow
--- access_log
^200 "active" "acme-1" "acme" "web" "app" "gold" "acme/web/app" "fast"$
^402 "suspended" "acme-suspended" "acme" "-?" "-?" "-?" "acme//" "slow"$
^401 "missing" "-?" "-?" "-?" "-?" "-?" "//" "slow"$

=== rows and limits go by the key
--- init
put_keys($t, 'keys', $main::keys[0],
    key_line('acme-2', 'sk-client-SECRET-7', org => 'acme', project => 'ops', client => 'ci'));
--- http_config
    upstream one { server %%first%%; }
--- config
    llm_proxy_route first one;
    llm_proxy_default_provider first;
    llm_auth_credential first sk-first-SECRET-9;
    llm_auth_client_keys keys;
    llm_auth;
    llm_ratelimit;
    llm_ratelimit_key $llm_client_key_id;
    llm_ratelimit_requests_per_minute 1;
    llm_cost;
    llm_cost_rate first * 1 2;
    llm_cost_identity $llm_client_key_id;
    llm_cost_org $llm_client_org;
    llm_cost_project $llm_client_project;
    llm_cost_client $llm_client_id;
    llm_cost_tag tier $llm_client_tier;
    location /v1/ { llm_proxy; proxy_pass http://$llm_provider_upstream; }
--- more_headers
Authorization: Bearer acme-1.sk-client-SECRET-1
>>>
Authorization: Bearer acme-1.sk-client-SECRET-1
>>>
Authorization: Bearer acme-2.sk-client-SECRET-7
>>>
Authorization: Bearer acme-2.sk-client-SECRET-1
--- requests
POST /v1/chat/completions
{"model":"m"}
>>>
POST /v1/chat/completions
{"model":"m"}
>>>
POST /v1/chat/completions
{"model":"m"}
>>>
POST /v1/chat/completions
{"model":"m"}
--- error_code: 200 429 200 401
--- after
ok(wait_for_rows($t, 2), 'the refused ones have no row');
my @rows = map { join ' ', @$_{qw(identity org project client)} } rows($t);
is_deeply([ sort @rows ], [ 'acme-1 acme web app', 'acme-2 acme ops ci' ], 'the rows say whose they are');

=== a stream that outlives its key is finished, and its row says whose it was
--- init: put_keys($t, 'keys', @main::keys);
--- http_config
    upstream one { server %%first%%; }
--- config
    llm_proxy_route first one;
    llm_proxy_default_provider first;
    llm_auth_credential first sk-first-SECRET-9;
    llm_auth_client_keys keys;
    llm_auth;
    llm_cost;
    llm_cost_rate first * 1 2;
    llm_cost_org $llm_client_org;
    llm_cost_identity $llm_client_key_id;
    location /v1/ { llm_proxy; proxy_pass http://$llm_provider_upstream; }
--- provider_first
sse {"pace_ms":700}
{"id":"1","model":"m","choices":[{"delta":{"content":"one"}}]}
{"id":"1","model":"m","choices":[{"delta":{"content":"two"}}]}
{"id":"1","model":"m","choices":[{"delta":{"content":"three"}}]}
{"id":"1","model":"m","choices":[{"delta":{},"finish_reason":"stop"}]}
[DONE]
--- after
my $pid = fork;
if (!$pid) {
    wait_until { $t->mock->state('first')->{requests} } 5;
    put_keys($t, 'keys', key_line('other', 'sk-client-SECRET-6'));
    POSIX::_exit(0);
}
my $answer = $t->request(qq(POST /v1/chat/completions\n{"model":"m","stream":true}),
    'Authorization: Bearer acme-1.sk-client-SECRET-1');
waitpid $pid, 0;
like($answer->{body}, qr/three.*\[DONE\]/s, 'the whole stream');
is(main::now_gets($t, 'acme-1.sk-client-SECRET-1'), '401 invalid_api_key', 'the key is gone');
ok(wait_for_rows($t, 1), 'one row');
my ($row) = rows($t);
is_deeply([ @$row{qw(identity org)} ], [ 'acme-1', 'acme' ], 'of the key');

=== a key that is for some models is refused the others
--- init
put_keys($t, 'keys',
    key_line('some', 'sk-client-SECRET-1', models => 'gpt-4o*,fast'),
    key_line('all', 'sk-client-SECRET-2'));
--- http_config
    upstream one { server %%first%%; }
    log_format l '$status $llm_requested_model';
--- config
    llm_proxy_route first one;
    llm_proxy_model_pattern gpt-* first;
    llm_proxy_model_alias fast first/gpt-5-mini;
    llm_auth_credential first sk-first-SECRET-9;
    location /v1/ { llm_proxy; llm_auth; llm_auth_client_keys keys; proxy_pass http://$llm_provider_upstream; }
--- more_headers
Authorization: Bearer some.sk-client-SECRET-1
>>>
Authorization: Bearer some.sk-client-SECRET-1
>>>
Authorization: Bearer some.sk-client-SECRET-1
>>>
Authorization: Bearer all.sk-client-SECRET-2
>>>
Authorization: Bearer some.sk-client-SECRET-1
>>>
Authorization: Bearer some.sk-client-SECRET-1
>>>
x-api-key: some.sk-client-SECRET-1
--- requests
POST /v1/chat/completions
{"model":"gpt-4o-mini"}
>>>
POST /v1/chat/completions
{"model":"GPT-4o"}
>>>
POST /v1/chat/completions
{"model":"fast"}
>>>
POST /v1/chat/completions
{"model":"gpt-5"}
>>>
POST /v1/chat/completions
{"model":"gpt-5"}
>>>
POST /v1/chat/completions
{"model":"first/gpt-5"}
>>>
POST /v1/messages
{"model":"gpt-5","max_tokens":1,"messages":[]}
--- error_code: 200 200 200 200 403 403 403
--- response_body_like
.
>>>
.
>>>
.
>>>
.
>>>
"code":"model_not_allowed".*"param":"model"|"param":"model".*"code":"model_not_allowed"
>>>
"model_not_allowed"
>>>
"permission_error"
--- access_log
^403 gpt-5$
--- provider_first_requests: 4

=== a provider before the model's name does not take the model from the key
--- init: put_keys($t, 'keys', key_line('some', 'sk-client-SECRET-1', models => 'gpt-4o'));
--- http_config
    upstream one { server %%first%%; }
--- config
    llm_proxy_route first one;
    llm_proxy_model_pattern gpt-* first;
    llm_auth_credential first sk-first-SECRET-9;
    location /v1/ { llm_proxy; llm_auth; llm_auth_client_keys keys; proxy_pass http://$llm_provider_upstream; }
--- more_headers
Authorization: Bearer some.sk-client-SECRET-1
--- requests
POST /v1/chat/completions
{"model":"first/gpt-4o"}
>>>
POST /v1/chat/completions
{"model":"gpt-4o","provider":"first"}
>>>
POST /v1/chat/completions
{"model":"first/gpt-5"}
--- error_code: 200 200 403
--- provider_first_requests: 2

=== a client cannot name a model in a header that its key is not for
--- init: put_keys($t, 'keys', key_line('some', 'sk-client-SECRET-1', models => 'cheap'));
--- http_config
    upstream one { server %%first%%; }
    upstream two { server %%second%%; }
--- config
    llm_proxy_route first one;
    llm_proxy_route second two;
    llm_proxy_model_pattern cheap first;
    llm_proxy_model_pattern dear second;
    llm_fallback;
    llm_fallback_on http_500;
    llm_fallback_request_headers fallback;
    llm_auth_credential first sk-first-SECRET-9;
    llm_auth_credential second sk-second-SECRET-9;
    location /v1/ { llm_proxy; llm_auth; llm_auth_client_keys keys; proxy_pass http://$llm_provider_upstream; }
--- more_headers
Authorization: Bearer some.sk-client-SECRET-1
X-LLM-Fallback: second/dear
--- request
POST /v1/chat/completions
{"model":"cheap"}
--- error_code: 403
--- response_body_like: "model_not_allowed"
--- provider_first_requests: 0
--- provider_second_requests: 0

=== the list of models needs a key, too
--- init: put_keys($t, 'keys', @main::keys);
--- http_config
    upstream one { server %%first%%; }
--- config
    llm_proxy_route first one;
    llm_proxy_model_pattern gpt-4o first;
    llm_auth;
    llm_auth_credential first sk-first-SECRET-9;
    llm_auth_client_keys keys;
    location = /v1/models { llm_proxy_models; }
    location /v1/ { llm_proxy; proxy_pass http://$llm_provider_upstream; }
--- more_headers
>>>
Authorization: Bearer acme-revoked.sk-client-SECRET-3
>>>
Authorization: Bearer acme-1.sk-client-SECRET-1
--- requests
GET /v1/models
>>>
GET /v1/models
>>>
GET /v1/models
--- error_code: 401 403 200
--- response_body_like
"missing_api_key"
>>>
"api_key_revoked"
>>>
"gpt-4o"

=== a hundred thousand keys
--- valgrind_skip: a table of that size takes minutes there
--- init
my @lines = map { "k$_ active " . ('0' x 32) . ':' . ('0' x 64) . " org=o$_ project=p client=c" } 1 .. 99_999;
put_keys($t, 'keys', @lines, key_line('last', 'sk-client-SECRET-1', org => 'acme'));
--- http_config
    upstream one { server %%first%%; }
--- config
    llm_proxy_route first one;
    llm_proxy_default_provider first;
    llm_auth_credential first sk-first-SECRET-9;
    location /v1/ { llm_proxy; llm_auth; llm_auth_client_keys keys; proxy_pass http://$llm_provider_upstream; }
--- after
is(main::now_gets($t, 'last.sk-client-SECRET-1'), 200, 'the last one');
is(main::now_gets($t, 'k5.sk-client-SECRET-1'), '401 invalid_api_key', 'another one');
llmctl_ok('key', 'suspend', '--file', $t->root . '/keys', 'last');
my $seconds = main::soon_gets($t, 'last.sk-client-SECRET-1', '403 api_key_suspended');
ok(defined $seconds && $seconds < 3 * Test::LLM::Util::scale(), 'a change is seen soon: ' . ($seconds // 'never'));

=== a reload reads the file again and may name another one
--- init
put_keys($t, 'keys', @main::keys);
put_keys($t, 'others', key_line('other', 'sk-client-SECRET-6'));
--- http_config
    upstream one { server %%first%%; }
--- config
    llm_proxy_route first one;
    llm_proxy_default_provider first;
    llm_auth_credential first sk-first-SECRET-9;
    location /v1/ { llm_proxy; llm_auth; llm_auth_client_keys keys; proxy_pass http://$llm_provider_upstream; }
--- reload_config
    llm_proxy_route first one;
    llm_proxy_default_provider first;
    llm_auth_credential first sk-first-SECRET-9;
    location /v1/ { llm_proxy; llm_auth; llm_auth_client_keys others; proxy_pass http://$llm_provider_upstream; }
--- after
is(main::now_gets($t, 'acme-1.sk-client-SECRET-1'), 200, 'before');
$t->reload;
is(main::now_gets($t, 'acme-1.sk-client-SECRET-1'), '401 invalid_api_key', 'behind: an old key');
is(main::now_gets($t, 'other.sk-client-SECRET-6'), 200, 'behind: a new one');
put_keys($t, 'others', key_line('other', 'sk-client-SECRET-6', state => 'revoked'));
ok(defined main::soon_gets($t, 'other.sk-client-SECRET-6', '403 api_key_revoked'), 'which is watched');
