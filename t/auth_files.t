# file: secrets are read again when they change, without a reload, in every worker.

use Test::LLM 'no_plan';

# The key that each worker sends now, in the order of their process ids.
sub keys_now {
    my ($t) = @_;
    my @workers = $t->nginx->worker_pids;
    my @keys;
    for my $worker (@workers) {
        my @others = grep { $_ != $worker } @workers;
        kill STOP => @others;
        for my $other (@others) {
            wait_until { slurp("/proc/$other/stat") =~ /\) T / } 5;
        }
        push @keys, key_now($t);
        kill CONT => @others;
    }
    return @keys;
}

# The key that is sent now.
sub key_now {
    my ($t) = @_;
    $t->request(qq(POST /v1/chat/completions\n{"model":"m"}));
    my $request = $t->mock->requests('first')->[-1];
    my ($header) = Test::LLM::Client::header_values($request, 'authorization');
    return ($header // '') =~ /SECRET-(\d+)/ ? $1 : 'none';
}

# Waits until every worker sends that key.
sub all_send {
    my ($t, $want) = @_;
    return wait_until { !grep { $_ ne $want } keys_now($t) } 5;
}

run_tests();

__DATA__

=== a file that is written again
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
is(main::key_now($t), 1, 'the secret of the start');
$t->write_file('key', "sk-first-SECRET-2\n");
ok((wait_until { main::key_now($t) eq 2 } 5), 'the new secret');
my $log = $t->error_log;
unlike($log, qr/signal 1 |reconfiguring/, 'without a reload');

=== a file that another one takes the place of, in every worker
--- workers: 2
--- http_config
    upstream one { server %%first%%; }
--- user_files
>>> key
sk-first-SECRET-1
>>> key.new
sk-first-SECRET-2
--- config
    llm_proxy_route first one;
    llm_proxy_default_provider first;
    llm_auth_credential first file:key;
    location /v1/ { llm_proxy; llm_auth; proxy_pass http://$llm_provider_upstream; }
--- after
ok(main::all_send($t, 1), 'the secret of the start');
rename $t->root . '/key.new', $t->root . '/key' or die $!;
ok(main::all_send($t, 2), 'the new secret');

=== a link that leads elsewhere, as Kubernetes changes secrets
--- http_config
    upstream one { server %%first%%; }
--- init
$t->write_file('old/key', "sk-first-SECRET-1\n");
$t->write_file('new/key', "sk-first-SECRET-2\n");
symlink 'old', $t->root . '/data' or die $!;
symlink 'data/key', $t->root . '/key' or die $!;
$t->write_file('key', "sk-first-SECRET-1\n");
--- config
    llm_proxy_route first one;
    llm_proxy_default_provider first;
    llm_auth_credential first file:key;
    location /v1/ { llm_proxy; llm_auth; proxy_pass http://$llm_provider_upstream; }
--- after
is(main::key_now($t), 1, 'the secret of the start');
symlink 'new', $t->root . '/data.new' or die $!;
rename $t->root . '/data.new', $t->root . '/data' or die $!;
ok((wait_until { main::key_now($t) eq 2 } 5), 'the new secret');

=== a file that is gone, empty or broken for a moment does not take the key away
--- http_config
    upstream one { server %%first%%; }
--- user_files
>>> key
sk-first-SECRET-1
>>> other
sk-second-SECRET-4
--- config
    llm_proxy_route first one;
    llm_proxy_route second one;
    llm_proxy_default_provider first;
    llm_auth_credential first file:key;
    llm_auth_credential second file:other;
    location /v1/ { llm_proxy; llm_auth; proxy_pass http://$llm_provider_upstream; }
--- after
# That a file was looked at shows in the other one, which changes at the same time.
my $other_is = sub {
    my ($want) = @_;
    return wait_until {
        $t->request(qq(POST /v1/chat/completions\n{"model":"second/m"}));
        my $request = $t->mock->requests('first')->[-1];
        "@{[ Test::LLM::Client::header_values($request, 'authorization') ]}" =~ /SECRET-$want\z/;
    } 5;
};
my $number = 4;
for my $damage (
    [ 'gone'       => sub { unlink $t->root . '/key' } ],
    [ 'empty'      => sub { $t->write_file('key', '') } ],
    [ 'two words'  => sub { $t->write_file('key', "sk-first-SECRET-2 sk-first-SECRET-3\n") } ],
    [ 'no text'    => sub { $t->write_file('key', "\xff\xfe\0") } ],
    [ 'a folder'   => sub { unlink $t->root . '/key'; mkdir $t->root . '/key' } ],
) {
    my ($what, $break) = @$damage;
    $break->();
    $number++;
    $t->write_file('other', "sk-second-SECRET-$number\n");
    ok($other_is->($number), "$what: the other file was read");
    is(main::key_now($t), 1, "$what: the old secret goes on");
}
rmdir $t->root . '/key';
$t->write_file('key', "sk-first-SECRET-9\n");
ok((wait_until { main::key_now($t) eq 9 } 5), 'the repaired file counts');

=== a file that is missing at the start and comes later
--- http_config
    upstream one { server %%first%%; }
--- config
    llm_proxy_route first one;
    llm_proxy_default_provider first;
    llm_auth_fail_closed off;
    llm_auth_credential first file:key;
    location /v1/ {
        llm_proxy;
        llm_auth;
        add_header X-Key "$llm_auth_status $llm_auth_fail_reason";
        proxy_pass http://$llm_provider_upstream;
    }
--- request
POST /v1/chat/completions
{"model":"m"}
--- response_headers
x-key: missing_secret secret_unresolved
--- after
$t->write_file('key', "sk-first-SECRET-2\n");
ok((wait_until { main::key_now($t) eq 2 } 5), 'the new secret');

=== files of several locations and scopes
--- http_config
    upstream one { server %%first%%; }
--- user_files
>>> red
sk-red-SECRET-1
>>> shared
sk-shared-SECRET-2
--- config
    llm_proxy_route first one;
    llm_proxy_default_provider first;
    llm_proxy;
    llm_auth;
    location /v1/ {
        llm_auth_tenant red;
        llm_auth_tenant_credential red first file:red;
        proxy_pass http://$llm_provider_upstream;
    }
    location /other/ {
        llm_auth_credential first file:shared;
        proxy_pass http://$llm_provider_upstream;
    }
    location /same/ {
        llm_auth_credential first file:shared;
        proxy_pass http://$llm_provider_upstream;
    }
--- after
$t->write_file('red', "sk-red-SECRET-3\n");
$t->write_file('shared', "sk-shared-SECRET-4\n");
ok((wait_until { main::key_now($t) eq 3 } 5), "a tenant's secret");
for my $place (qw(other same)) {
    my $changed = wait_until {
        $t->request(qq(POST /$place/v1/chat/completions\n{"model":"m"}));
        my $request = $t->mock->requests('first')->[-1];
        "@{[ Test::LLM::Client::header_values($request, 'authorization') ]}" =~ /SECRET-4\z/;
    } 5;
    ok($changed, "the shared secret at /$place/");
}

=== after a reload the files are watched as before
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
--- request
POST /v1/chat/completions
{"model":"m"}
--- reload
--- after
$t->write_file('key', "sk-first-SECRET-2\n");
ok((wait_until { main::key_now($t) eq 2 } 5), 'the new secret');

=== a new worker begins with what the file says then
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
--- expected_alert
exited on signal 9
--- requests
POST /v1/chat/completions
{"model":"m"}
>>> new connection, kill worker
POST /v1/chat/completions
{"model":"m"}
--- after
$t->write_file('key', "sk-first-SECRET-2\n");
ok((wait_until { main::key_now($t) eq 2 } 5), 'the first worker reads it');
$t->kill_worker;
# The main process read the file when nginx started, and the new worker is a copy of that.
ok((wait_until { main::key_now($t) eq 2 } 5), 'so does one that starts later');

=== an answer to a request with the old secret is masked still
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
$t->mock->script('first', [
    { status => 401, delay_ms => 1500, body => 'refused: sk-first-SECRET-1' },
]);
my $client = Test::LLM::Client->new($t->address);
my $body = '{"model":"m"}';
$client->transmit("POST /v1/chat/completions HTTP/1.1\r\nHost: a\r\n"
    . 'Content-Length: ' . length($body) . "\r\n\r\n$body");
wait_until { $t->mock->state('first')->{requests} } 5;
$t->write_file('key', "sk-first-SECRET-2\n");
ok((wait_until { main::key_now($t) eq 2 } 5), 'meanwhile the file has changed');
is($client->receive(method => 'POST')->{body}, 'refused: ***', 'the old one is not shown');
