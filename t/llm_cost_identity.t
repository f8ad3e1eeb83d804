# Whose a row is: the texts that the operator gives, and tags.

use Test::LLM 'no_plan';

use Test::LLM::Ledger;

run_tests();

__DATA__

=== each text has its column
--- http_config
    upstream one { server %%first%%; }
    llm_cost_rate first * 1 1;
--- config
    llm_proxy_route first one;
    llm_proxy_default_provider first;
    llm_auth_credential first sk-first-SECRET-1;
    llm_fallback_request_headers tag;
    llm_cost_identity $http_x_key;
    llm_cost_org org;
    llm_cost_project "$http_x_key of $host";
    llm_cost_client client;
    llm_cost_user $http_x_user;
    llm_cost_team team;
    llm_cost_auth_fingerprint $llm_auth_key_fingerprint;
    llm_cost_tag feature $http_x_feature;
    llm_cost_tag thread "thread $http_x_feature";
    llm_cost_tag nothing $http_x_nothing;
    location /v1/ { llm_proxy; llm_auth; llm_fallback; llm_cost; proxy_pass http://$llm_provider_upstream; }
--- more_headers
X-Key: k1
X-Feature: chat "quoted"
X-LLM-Tag: mine
--- request
POST /v1/chat/completions
{"model":"m"}
--- after
ok(wait_for_rows($t, 1), 'one row');
my ($row) = rows($t);
my %want = (
    identity => 'k1', org => 'org', project => 'k1 of localhost', client => 'client',
    user_id => undef, team_id => 'team', traffic_cohort => 'default', tag => 'mine',
);
is_deeply({ map { $_ => $row->{$_} } keys %want }, \%want, 'the columns');
like($row->{auth_key_fingerprint}, qr/\A[0-9a-f]{8,}\z/, 'the fingerprint of the key');
isnt($row->{node}, undef, 'the machine');
is_deeply(JSON::PP::decode_json($row->{tags}),
    { feature => 'chat "quoted"', thread => 'thread chat "quoted"' }, 'the tags, but for empty ones');
is_deeply([ $t->sqlite(q(SELECT tags ->> 'feature' FROM llm_cost_events)) ], [ ['chat "quoted"'] ],
    'which SQL can read');

=== the cohort is the operator's, or what happened
--- http_config
    upstream one { server %%first%%; }
    upstream two { server %%second%%; }
    llm_cost_rate first * 1 1;
    llm_cost_rate second * 1 1;
    map $http_x_cohort $cohort { default $http_x_cohort; }
--- config
    llm_proxy_route first one;
    llm_proxy_route second two;
    llm_proxy_default_provider first;
    llm_fallback_route first second;
    llm_cost_traffic_cohort $cohort;
    location /v1/ { llm_proxy; llm_fallback; llm_cost; proxy_pass http://$llm_provider_upstream; }
--- provider_first
{"status":500}

{"times":2}
--- requests
POST /v1/chat/completions
{"model":"m"}
>>>
POST /v1/chat/completions
{"model":"m"}
>>>
POST /v1/chat/completions
{"model":"m"}
--- more_headers
>>>
>>>
X-Cohort: beta
--- after
ok(wait_for_rows($t, 3), 'three rows');
is_deeply([ map { row_of($t, $_)->{traffic_cohort} } $t->answers ], [qw(fallback default beta)],
    'their cohorts');

=== what a client can send breaks nothing
--- http_config
    upstream one { server %%first%%; }
    llm_cost_rate first * 1 1;
--- config
    llm_proxy_route first one;
    llm_proxy_default_provider first;
    llm_cost_user $http_x_user;
    llm_cost_tag user $http_x_user;
    location /v1/ { llm_proxy; llm_cost; proxy_pass http://$llm_provider_upstream; }
--- after
my @users = (
    q('; DROP TABLE llm_cost_events; --), "caf\xc3\xa9", "half a \xc3", 'x' x 3000, "tab\there",
    '\\x00\\u0000', '{"json":"}',
);
my @answers
    = map { $t->request(qq(POST /v1/chat/completions\n{"model":"m'\\""}), "X-User: $_") } @users;
is_deeply([ map { $_->{status} } @answers ], [ (200) x @users ], 'all are served');
ok(wait_for_rows($t, scalar @users), 'and have rows');
my @rows = map { row_of($t, $_) } @answers;
is($rows[0]{user_id}, $users[0], 'SQL is text');
is($rows[1]{user_id}, $users[1], 'UTF-8 stays');
is(length $rows[3]{user_id}, 256, 'what is long is cut');
is($rows[4]{user_id}, $users[4], 'control characters stay');
is(JSON::PP::decode_json($rows[6]{tags})->{user}, $users[6], 'tags are JSON');

=== the same with PostgreSQL
--- http_config
    upstream one { server %%first%%; }
    llm_cost_rate first * 1 1;
    llm_cost_backend postgres;
    llm_cost_dsn "%%pg_dsn%%";
--- config
    llm_proxy_route first one;
    llm_proxy_default_provider first;
    llm_cost_user $http_x_user;
    llm_cost_tag user $http_x_user;
    location /v1/ { llm_proxy; llm_cost; proxy_pass http://$llm_provider_upstream; }
--- after
my @users = (
    q('; DROP TABLE llm_cost_events; --), "caf\xc3\xa9", "half a \xc3", 'x' x 3000, "tab\there",
    '\\x00\\u0000', '{"json":"}',
);
my @answers
    = map { $t->request(qq(POST /v1/chat/completions\n{"model":"m'\\""}), "X-User: $_") } @users;
is_deeply([ map { $_->{status} } @answers ], [ (200) x @users ], 'all are served');
ok(wait_for_rows($t, scalar @users), 'and have rows');
my @rows = map { row_of($t, $_) } @answers;
is($rows[0]{user_id}, $users[0], 'SQL is text');
is($rows[1]{user_id}, $users[1], 'UTF-8 stays');
is(length $rows[3]{user_id}, 256, 'what is long is cut');
is($t->pg->value(q(SELECT tags::json ->> 'user' FROM llm_cost_events WHERE user_id LIKE '{%')),
    $users[6], 'tags are JSON');
ok(!-s $t->root . '/llm/journal/dead-letter.jsonl', 'nothing was set aside');

=== a tag's name
--- config
    llm_cost_tag Feature x;
--- must_fail
invalid name "Feature" in "llm_cost_tag", use 1 to 32 of a-z, 0-9 and "_"

=== a tag stands once
--- config
    llm_cost_tag feature x;
    llm_cost_tag feature y;
--- must_fail
duplicate "llm_cost_tag feature", a tag has one value

=== thirty-two at most
--- config eval
CORE::join '', map {"llm_cost_tag t$_ x;\n"} 1 .. 33
--- must_fail
too many "llm_cost_tag" lines, at most 32 are kept

=== a variable that there is
--- http_config
    upstream one { server %%first%%; }
--- config
    llm_proxy_route first one;
    llm_proxy_default_provider first;
    llm_cost_user $no_such_user;
    location /v1/ { llm_proxy; llm_cost; proxy_pass http://$llm_provider_upstream; }
--- must_fail
unknown "no_such_user" variable

=== once in a block
--- config
    llm_cost_user a;
    llm_cost_user b;
--- must_fail
"llm_cost_user" directive is duplicate
