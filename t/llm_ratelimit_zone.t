# The shared memory of limits: what happens when it is full.

use Test::LLM 'no_plan';

use Test::LLM::Ledger;

sub ask {
    my ($t, $id) = @_;
    return $t->request(qq(POST /v1/chat/completions\n{"model":"m"}), "X-Id: $id")->{status};
}

run_tests();

__DATA__

=== full: who is new is refused, who is known is counted
--- http_config
    upstream one { server %%first%%; keepalive 4; }
    llm_ratelimit_zone small 32k;
    log_format l '$status "$llm_ratelimit_deny_reason"';
--- config
    llm_proxy_route first one;
    llm_proxy_default_provider first;
    llm_ratelimit_rule $http_x_id requests 2/d;
    location /v1/ { llm_proxy; llm_ratelimit; proxy_pass http://$llm_provider_upstream; }
--- after
is(main::ask($t, 'known'), '200', 'one that is known');
my %status;
$status{ main::ask($t, "id-$_") }++ for 1 .. 600;
is(join(' ', sort keys %status), '200 503', 'of 600 identities some pass and others do not');
ok($status{200} > 150, "there is room for $status{200}");
like($t->access_log, qr/^503 "zone_full"$/m, 'the reason');
is(main::ask($t, 'known'), '200', 'the known one has one more');
is(main::ask($t, 'known'), '429', 'and no other');
my $answer = (grep { $_->{status} eq '503' } map {
    $t->request(qq(POST /v1/chat/completions\n{"model":"m"}), "X-Id: late-$_") } 1 .. 50)[0];
is(JSON::PP::decode_json($answer->{body})->{error}{code}, 'ratelimit_zone_full', 'the body says so');
is(header($answer, 'retry-after'), '1', 'with Retry-After');

=== full and open: who is new passes uncounted
--- http_config
    upstream one { server %%first%%; keepalive 4; }
    llm_ratelimit_zone small 32k;
    log_format l '$status "$llm_ratelimit_deny_reason"';
--- config
    llm_proxy_route first one;
    llm_proxy_default_provider first;
    llm_ratelimit_rule $http_x_id requests 1/d;
    llm_ratelimit_fail_open;
    location /v1/ { llm_proxy; llm_ratelimit; proxy_pass http://$llm_provider_upstream; }
--- after
is(main::ask($t, 'known'), '200', 'one that is known');
my %status;
$status{ main::ask($t, "id-$_") }++ for 1 .. 600;
is_deeply(\%status, { 200 => 600 }, 'all pass');
like($t->access_log, qr/^200 "zone_full"$/m, 'the reason is told');
is(main::ask($t, 'known'), '429', 'the known one is counted');

=== what is full again gives way
--- http_config
    upstream one { server %%first%%; keepalive 4; }
    llm_ratelimit_zone small 32k;
--- config
    llm_proxy_route first one;
    llm_proxy_default_provider first;
    llm_ratelimit_rule $http_x_id requests 10/100ms;
    location /v1/ { llm_proxy; llm_ratelimit; proxy_pass http://$llm_provider_upstream; }
--- after
my %status;
$status{ main::ask($t, "id-$_") }++ for 1 .. 1000;
is_deeply(\%status, { 200 => 1000 }, 'a thousand in turn');

=== another size, by a reload: what was counted is lost only if it does not fit
--- http_config
    upstream one { server %%first%%; }
    llm_ratelimit_zone limits 1m;
--- reload_http_config
    upstream one { server %%first%%; }
    llm_ratelimit_zone limits 2m;
--- config
    llm_proxy_route first one;
    llm_proxy_default_provider first;
    llm_ratelimit_rule $http_x_id requests 1/d;
    location /v1/ { llm_proxy; llm_ratelimit; proxy_pass http://$llm_provider_upstream; }
--- after
is(main::ask($t, 'a'), '200', 'before');
is(main::ask($t, 'a'), '429', 'counted');
$t->reload;
is(main::ask($t, 'b'), '200', 'after');
ok((main::ask($t, 'a')) =~ /\A(?:200|429)\z/, 'nothing breaks');

=== not too small
--- http_config
    llm_ratelimit_zone small 8k;
--- must_fail
invalid size "8k" in "llm_ratelimit_zone", give at least 32k, such as 4m

=== a size
--- http_config
    llm_ratelimit_zone small large;
--- must_fail
invalid size "large" in "llm_ratelimit_zone", give at least 32k, such as 4m

=== a name
--- http_config
    llm_ratelimit_zone "a b" 1m;
--- must_fail
invalid zone name "a b" in "llm_ratelimit_zone", use letters, digits, "_" and "-"
