# The scenario "Meter-Fallback" from its manifest to a gateway at work, as an operator walks: llmctl checks,
# renders, issues a key and publishes; nginx runs what was published; clients use the official SDK of openai
# with that key; DeepSeek and Mimo are two TLS listeners with certificates for the names in the manifest.
# Only addresses, ports, the database and one timeout are this machine's.

use strict;
use warnings;

use File::Path ();
use File::Temp ();
use IO::Handle;
use JSON::PP ();
use POSIX ();
use Test::More;

use Test::LLM::Client;
use Test::LLM::Ctl;
use Test::LLM::Ledger ();
use Test::LLM::Mock;
use Test::LLM::Nginx;
use Test::LLM::Postgres;
use Test::LLM::Util qw(now reserve_port scale slurp spew wait_until);

my $repository = __FILE__ =~ s{[^/]*\z}{}r . '..';
my $python     = "$repository/.venv/bin/python";
system("$python -c 'import openai' 2>/dev/null") == 0
    or plan skip_all => 'the SDK of openai is not there, scripts/prove installs it';

local $SIG{PIPE} = 'IGNORE';
$SIG{$_} = sub { exit 1 } for qw(INT TERM HUP);

my $owner  = $$;
my $folder = File::Temp::tempdir('ngx-llm-XXXXXX', TMPDIR => 1);
chmod 0755, $folder;
my $root = "$folder/root";
my ($port, $status_port, $closed) = map { reserve_port() } 1 .. 3;
my $json = JSON::PP->new->utf8->canonical;
my ($nginx, $sdk, @secrets);

my $mock = Test::LLM::Mock->start($folder,
    'deepseek,tls,h=api.deepseek.com', 'mimo,tls,h=token-plan-cn.xiaomimimo.com');
my $pg = Test::LLM::Postgres->new($folder);
$pg->prepare('scenario');

my %secret = (
    SSL_CERT_FILE    => $mock->ca('deepseek'),
    DEEPSEEK_API_KEY => 'sk-deepseek-SECRET-1',
    MIMO_API_KEY     => 'sk-mimo-SECRET-2',
    LLM_COST_DSN     => $pg->dsn,
);
push @secrets, @secret{qw(DEEPSEEK_API_KEY MIMO_API_KEY)}, $pg->dsn =~ /password=(\S+)/;

# --- the manifest -----------------------------------------------------------------------------

# The seed's, on this machine; further pairs are words and what stands in their place.
sub manifest {
    my (@change) = @_;
    my $text = slurp("$repository/src/ctl/tests/data/meter-fallback.yaml");
    my @here = (
        "  gateway:\n" => "  gateway:\n    listen: 127.0.0.1:$port\n"
            . "    status_listen: 127.0.0.1:$status_port\n",
        'server: api.deepseek.com:443' =>
            "server: @{[ $mock->address('deepseek') ]}\n        host: api.deepseek.com",
        'server: token-plan-cn.xiaomimimo.com:443' =>
            "server: @{[ $mock->address('mimo') ]}\n        host: token-plan-cn.xiaomimimo.com",
        "      config:\n" => "      config:\n        backend: postgres\n        dsn: env:LLM_COST_DSN\n",
        "        auth_fail_closed: true\n" => "        auth_fail_closed: true\n"
            . "        options: { llm_proxy_response_timeout: 1s }\n",
    );
    my @pairs = (@here, @change);
    while (my ($old, $new) = splice @pairs, 0, 2) {
        $text =~ s/\Q$old\E/$new/ or die "the manifest has no \"$old\"\n";
    }
    spew("$folder/gateway.yaml", $text);
    return "$folder/gateway.yaml";
}

sub ctl { llmctl({ %secret, tmp => $folder }, @_) }

sub ctl_ok { llmctl_ok({ %secret, tmp => $folder }, @_) }

sub publish {
    my ($manifest, $why, @more) = @_;
    return ctl('publish', $manifest, '--root', $root, '--nginx', Test::LLM::Nginx::binary(),
        '--module', $ENV{TEST_LLM_MODULE} // 'modules/ngx_http_llm_module.so', '-m', $why,
        '--wait', 20 * scale(), @more);
}

# --- nginx and the client ---------------------------------------------------------------------

sub start_nginx {
    my $binary = Test::LLM::Nginx::binary();    # the environment says which, and the child drops it
    my $pid    = fork // die "fork: $!\n";
    if (!$pid) {
        %ENV = (PATH => $ENV{PATH}, TZ => 'UTC', %secret);
        open STDIN,  '<',  '/dev/null';
        open STDOUT, '>>', "$folder/nginx.txt";
        open STDERR, '>&', \*STDOUT;
        exec 'setpriv', '--pdeathsig', 'TERM', $binary, '-p', "$root/", '-c',
            "$root/current/nginx.conf", '-e', "$root/logs/error.log", '-g', 'daemon off;'
            or POSIX::_exit(127);
    }
    $nginx = $pid;
    wait_until { (get('/llm/revision') // '') =~ /^\d+$/ } 10
        or die "nginx does not answer:\n", slurp("$folder/nginx.txt"), slurp("$root/logs/error.log");
}

# What the status server says.
sub get {
    my ($path) = @_;
    my $request = join "\r\n", "GET $path HTTP/1.1", 'Host: localhost', 'Connection: close',
        'Accept: application/json', '', '';
    my $answer = eval { Test::LLM::Client->once("127.0.0.1:$status_port", $request, method => 'GET') };
    return $answer && $answer->{status} eq '200' ? $answer->{body} : undef;
}

sub start_sdk {
    pipe my $in, my $to or die "pipe: $!\n";
    pipe my $from, my $out or die "pipe: $!\n";
    my $pid = fork // die "fork: $!\n";
    if (!$pid) {
        open STDIN,  '<&', $in;
        open STDOUT, '>&', $out;
        close $to;
        exec $python, "$repository/t/sdk/scenario.py", "http://127.0.0.1:$port/v1",
            'ai-platform.gateway.internal'
            or POSIX::_exit(127);
    }
    close $in;
    close $out;
    $to->autoflush(1);
    return { pid => $pid, to => $to, from => $from };
}

sub say_to { print { $_[0]{to} } $json->encode($_[1]), "\n" }

sub hear {
    my ($client) = @_;
    local $SIG{ALRM} = sub { die "the client says nothing\n" };
    alarm 60 * scale();
    my $line = readline $client->{from};
    alarm 0;
    return $json->decode($line // die "the client has ended\n");
}

# What a client sees that asks; the model is DeepSeek's large one unless it is told.
sub ask {
    my ($key, %command) = @_;
    say_to($sdk, { key => $key, model => 'deepseek-v4-pro', %command });
    return hear($sdk);
}

sub is_answer {
    my ($answer, $want, $what) = @_;
    my %got = map { $_ => $answer->{$_} } keys %$want;
    is_deeply(\%got, $want, $what) or diag(explain($answer));
}

# The model and the key that a provider was sent last.
sub sent_to {
    my ($name) = @_;
    my $request = $mock->requests($name)->[-1] // return 'nothing';
    my ($key)   = Test::LLM::Client::header_values($request, 'authorization');
    my ($host)  = Test::LLM::Client::header_values($request, 'host');
    return join ' ', $host, $key, JSON::PP::decode_json($request->{body})->{model};
}

sub completion {
    my ($model, $usage) = @_;
    return { json => { id => '1', object => 'chat.completion', created => 1, model => $model,
        choices => [ { index => 0, finish_reason => 'stop',
            message => { role => 'assistant', content => "from $model" } } ],
        usage => $usage } };
}

my $deepseek_usage = { prompt_tokens => 1000, completion_tokens => 500, total_tokens => 1500,
    prompt_cache_hit_tokens => 400, prompt_cache_miss_tokens => 600 };
my $mimo_usage = { prompt_tokens => 1000, completion_tokens => 200, total_tokens => 1200,
    prompt_tokens_details => { cached_tokens => 100 } };
my $from_deepseek = completion('deepseek-v4-pro', $deepseek_usage);
my $from_mimo     = completion('mimo-v2.5-pro', $mimo_usage);

# The answers of both from here on.
sub providers {
    my (%answers) = @_;
    $mock->forget;
    $mock->script($_, $answers{$_}) for keys %answers;
}

sub rows {
    my ($want) = @_;
    wait_until { $pg->count >= $want } 15;
    return map { join ' ', @$_ } $pg->query('SELECT provider, model, cost_unit, total_cost, status, '
        . 'org, project, client, identity FROM llm_cost_events ORDER BY created_at, event_id');
}

sub last_log_line {
    my ($event_id) = @_;
    my $line;
    wait_until {
        ($line) = grep {/"event_id":"\Q$event_id\E"/} split /\n/, slurp("$root/logs/manifest-gateway.log")
    } 5;
    return $line ? $json->decode($line) : {};
}

# --- from the manifest to a gateway -----------------------------------------------------------

my $manifest = manifest();
my $check    = ctl('check', $manifest);
is($check->{status}, '0', 'check: no errors') or diag($check->{out}, $check->{error});
like("$check->{out}$check->{error}", qr/quotas\[2\]\.model_allowlist.*allowlist_conflict/s,
    'check: the conflict of the manifest itself is told');
my $text = ctl_ok('render', $manifest);
like($text, qr/llm_fallback_route deepseek mimo mimo-v2\.5-pro;/, 'render');
unlike($text, qr/ssl_verify=off|SECRET/, 'render: certificates are verified, no secret');

my $first = publish($manifest, 'first');
is($first->{status}, '0', 'publish') or diag($first->{error});
like($first->{out}, qr/nginx is not running, start it with: \S+ -p \Q$root\E/, 'publish: says how to start');
my $keys       = "$root/client.keys";
my $credential = ctl_ok('key', 'issue', '--file', $keys, '--id', 'da-sk-acme-ai-platform',
    '--manifest', $manifest);
chomp $credential;
like($credential, qr/\Ada-sk-acme-ai-platform\.\S{40,}\z/, 'key issue: the credential');
push @secrets, $credential =~ /\.(.*)/;
unlike(slurp($keys), qr/\Q$secrets[-1]\E/, 'key issue: the file has no secret');

is((slurp("$root/current/nginx.conf") =~ /^user (\S+);$/m)[0], $> == 0 ? (grep { defined getpwnam $_ } qw(www-data nginx nobody))[0] : undef,
    'workers are not root');
start_nginx();
is(get('/llm/revision'), '0001', 'the first revision answers') or diag(slurp("$root/logs/error.log"));
$sdk = start_sdk();

# --- traffic ----------------------------------------------------------------------------------

providers(deepseek => [$from_deepseek], mimo => []);
my $answer = ask($credential);
is_answer($answer, { status => 200, content => 'from deepseek-v4-pro', served_by => 'deepseek/deepseek-v4-pro' },
    'normal traffic goes to DeepSeek');
is(sent_to('deepseek'), 'api.deepseek.com Bearer sk-deepseek-SECRET-1 deepseek-v4-pro',
    'with its host, its key and the model');
my $line = last_log_line($answer->{event_id});
is_deeply([ @$line{qw(org project client gateway_key_id provider total_cost cost_status status)} ],
    [ qw(acme ai-platform 30000000-0000-0001-0001-000000000001 da-sk-acme-ai-platform deepseek
        0.00069745 recorded 200) ], 'the line of the log');

for my $case (
    [ '429',     { status => 429 }, 'rate_limited',      'da' ],
    [ '500',     { status => 500 }, 'upstream_5xx',      'da' ],
    [ '503',     { status => 503 }, 'upstream_5xx',      'da' ],
    [ 'timeout', { fault => 'hang' },  'transport_timeout', 'da' ],
    [ 'reset',   { fault => 'reset' }, 'connect_error|transport_timeout|upstream_5xx', 'da' ],
) {
    my ($what, $fault, $reason) = @$case;
    providers(deepseek => [$fault], mimo => [$from_mimo]);
    my $answer = ask($credential, model => 'deepseek-v4-flash');
    is_answer($answer, { status => 200, content => 'from mimo-v2.5-pro', served_by => 'mimo/mimo-v2.5-pro' },
        "$what: Mimo answers");
    like($answer->{reason}, qr/\A(?:$reason)\z/, "$what: the reason");
    is(sent_to('mimo'), 'token-plan-cn.xiaomimimo.com Bearer sk-mimo-SECRET-2 mimo-v2.5-pro',
        "$what: with the model that Mimo knows");
}

providers(deepseek => [ { status => 429 } ], mimo => []);
$answer = ask($credential, stream => JSON::PP::true);
is_answer($answer, { status => 429, suppressed => 'streaming_not_allowed' }, 'a stream does not fall back');
is($mock->state('mimo')->{requests}, 0, 'and Mimo hears nothing of it');

providers(deepseek => [ { status => 400 } ], mimo => []);
is_answer(ask($credential), { status => 400 }, 'a bad request is not sent again');

providers(deepseek => [], mimo => []);
is_answer(ask('da-sk-acme-ai-platform.guessed'), { status => 401, code => 'invalid_api_key' }, 'a guessed key');
is_answer(ask($credential, model => 'gpt-5'), { status => 404, code => 'model_not_found' }, 'another model');
is_answer(ask($credential, models => 1), { status => 200,
    models => [qw(deepseek-v4-pro deepseek-v4-flash mimo-v2.5-pro mimo-v2.5)] }, 'the list of models');
is_answer(ask('nobody', models => 1), { status => 401 }, 'which needs a key');

my $client = '30000000-0000-0001-0001-000000000001 da-sk-acme-ai-platform';
my @want   = (
    "deepseek deepseek-v4-pro usd 0.00069745 recorded acme ai-platform $client",
    ("mimo mimo-v2.5-pro credit 0.39025000 recorded acme ai-platform $client") x 5,
);
is_deeply([ rows(scalar @want) ], \@want, 'the rows in PostgreSQL');
my @spend = split /\n/, ctl_ok('spend', '--db', 'env:LLM_COST_DSN', '--by', 'org,project,provider',
    '--format', 'csv');
is_deeply([ sort @spend ], [ sort
    'org,project,provider,unit,requests,input_tokens,output_tokens,cost',
    'acme,ai-platform,deepseek,usd,1,1000,500,0.00069745',
    'acme,ai-platform,mimo,credit,5,5000,1000,1.95125000' ], 'llmctl spend');

my $status = $json->decode(get('/llm/status/json') // get('/llm/status') // '{}');
my %spent  = map { $_->{unit} => $_->{spent} } @{ $status->{budgets} // [] };
is_deeply(\%spent, { usd => '0.00069745', credit => '1.95125000' }, 'the budgets of the status page')
    or diag($json->encode($status->{budgets}));
like(get('/metrics'), qr/^llm_requests_total\{.*provider="deepseek"/m, 'the metrics');
my $top = ctl('top', '--once', '--status', "http://127.0.0.1:$status_port/llm/status");
is($top->{status}, '0', 'llmctl top') or diag($top->{error});
like($top->{out}, qr/deepseek.*mimo/s, 'llmctl top: both providers');

# --- the key ----------------------------------------------------------------------------------

# A change that counts within a second; nginx is not told.
sub soon {
    my ($want, $what) = @_;
    my $began = now();
    my $answer;
    wait_until { $answer = ask($credential); $answer->{status} == $want->{status} } 10;
    my $seconds = now() - $began;
    is_answer($answer, $want, $what);
    ok($seconds < 2 * scale(), "$what: after $seconds s");
}

providers(deepseek => [ { %$from_deepseek, times => 'always' } ], mimo => []);
ctl_ok('key', 'suspend', '--file', $keys, 'da-sk-acme-ai-platform');
soon({ status => 403, code => 'api_key_suspended' }, 'a suspended key');
ctl_ok('key', 'resume', '--file', $keys, 'da-sk-acme-ai-platform');
soon({ status => 200 }, 'a resumed key');

# --- another price, and back ------------------------------------------------------------------

# A stream that is open over all of this, and one slow piece a second is not its end.
my @pieces = map { $json->encode({ id => '1', object => 'chat.completion.chunk', created => 1,
    model => 'deepseek-v4-pro', choices => [ { index => 0, delta => { content => $_ } } ] }) }
    map {"$_ "} 'a' .. 'z';
providers(deepseek => [
    { sse => [ @pieces, $json->encode({ id => '1', object => 'chat.completion.chunk', created => 1,
        model => 'deepseek-v4-pro', choices => [ { index => 0, delta => {}, finish_reason => 'stop' } ] }),
        $json->encode({ id => '1', object => 'chat.completion.chunk', created => 1, model => 'deepseek-v4-pro',
            choices => [], usage => $deepseek_usage }), '[DONE]' ], pace_ms => 400 },
    { %$from_deepseek, times => 'always' },
]);
my $other = start_sdk();
say_to($other, { key => $credential, model => 'deepseek-v4-pro', stream => JSON::PP::true, pause_after => 1 });
is_deeply(hear($other), { paused => JSON::PP::true }, 'a stream is open');
my $limits = sub {
    my $status = $json->decode(get('/llm/status/json') // '{}');
    return { map { $_->{unit} => $_->{spent} } @{ $status->{budgets} // [] } };
};
my $before = $limits->();

my $dearer = publish(manifest('input: 0.435' => 'input: 4.35'), 'new price of deepseek-v4-pro');
is($dearer->{status}, '0', 'publish a price') or diag($dearer->{error});
like($dearer->{out}, qr/0\.435 0\.87 -> 4\.35 0\.87.*revision 0002 answers/s, 'publish says what changes');
is(get('/llm/revision'), '0002', 'the second revision answers');
is_deeply($limits->(), $before, 'the budgets are kept');
my $count = $pg->count;
$answer = ask($credential);
is_answer($answer, { status => 200 }, 'a request at the new price');
is(last_log_line($answer->{event_id})->{total_cost}, '0.00304645', 'costs that');

my $began = now();
my $back  = ctl('rollback', '--root', $root, '--nginx', Test::LLM::Nginx::binary(), '-m', 'too dear');
my $took  = now() - $began;
is($back->{status}, '0', 'rollback') or diag($back->{error});
ok($took < 5 * scale(), "rollback: in $took s");
is(get('/llm/revision'), '0001', 'the first revision answers again');
$answer = ask($credential);
is(last_log_line($answer->{event_id})->{total_cost}, '0.00069745', 'the old price holds again');
my $spent = Test::LLM::Ledger::pico($before->{usd}) + Test::LLM::Ledger::pico('0.00304645')
    + Test::LLM::Ledger::pico('0.00069745');
ok((wait_until { Test::LLM::Ledger::pico($limits->()->{usd}) == $spent } 5), 'the budgets go on')
    or diag(explain([ $before, $limits->() ]));

say_to($other, {});
$answer = hear($other);
is_answer($answer, { status => 200, content => join('', map {"$_ "} 'a' .. 'z') },
    'the stream that was open over both has come to its end');
close $other->{to};
waitpid $other->{pid}, 0;

# --- DeepSeek is away, limits, both caps ------------------------------------------------------

my $away = manifest("server: @{[ $mock->address('deepseek') ]}" => "server: 127.0.0.1:$closed");
is(publish($away, 'DeepSeek has moved')->{status}, '0', 'publish an address where nobody is');
providers(deepseek => [], mimo => [$from_mimo]);
is_answer(ask($credential), { status => 200, served_by => 'mimo/mimo-v2.5-pro', reason => 'connect_error' },
    'refused: Mimo answers');

# Each cap is reached by what was spent already.
is(publish(manifest('monthly_spend_limit: 800' => 'monthly_spend_limit: 0.001'), 'USD cap')->{status}, '0',
    'publish a cap in USD');
providers(deepseek => [], mimo => [$from_mimo]);
$answer = ask($credential);
is_answer($answer, { status => 429, code => 'spend_budget_exhausted' }, 'the cap in USD binds');
like($answer->{retry_after}, qr/\A\d+\z/, 'until the next month');
is_answer(ask($credential, model => 'mimo-v2.5-pro'), { status => 200 }, 'Mimo has its own');

is(publish(manifest('monthly_spend_limit: 100000' => 'monthly_spend_limit: 2'), 'Credit cap')->{status}, '0',
    'publish a cap in Credit');
providers(deepseek => [ { status => 429 } ], mimo => []);
$answer = ask($credential);
is_answer($answer, { status => 429, suppressed => 'budget' }, 'the cap in Credit binds');
like($answer->{chain}, qr/mimo-v2\.5-pro:skipped\(budget\)/, 'Mimo is passed over');

is(publish(manifest('rpm_limit: 300' => 'rpm_limit: 1'), 'one a minute')->{status}, '0', 'publish a limit');
providers(deepseek => [ { %$from_deepseek, times => 'always' } ], mimo => []);
my @statuses = map { my $a = ask($credential, model => 'deepseek-v4-flash'); join ' ', $a->{status}, $a->{code} // () } 1 .. 2;
is_deeply(\@statuses, [ 200, '429 request_budget_exhausted' ], 'requests a minute bind');

# --- what cannot be published -----------------------------------------------------------------

my $bad = publish(manifest('input: 0.435' => 'input: -1'), 'negative');
is($bad->{status}, '1', 'a negative price is refused');
like($bad->{error}, qr/rates\[0\]\.input.*nothing was changed/s, 'with its path');
my $current = readlink "$root/current";
my $broken  = publish(manifest('{ llm_proxy_response_timeout: 1s }' => '{ llm_proxy_response_timeout: soon }'),
    'what nginx refuses');
is($broken->{status}, '1', 'what nginx refuses is not published');
like($broken->{error}, qr/nothing was changed/, 'and changes nothing');
is(readlink "$root/current", $current, 'the revision before stays current');
is('revisions/' . get('/llm/revision'), $current, 'and goes on');

# --- the end of the key, and what was written down --------------------------------------------

ctl_ok('key', 'revoke', '--file', $keys, 'da-sk-acme-ai-platform');
soon({ status => 403, code => 'api_key_revoked' }, 'a revoked key');

my $audit = ctl('audit', '--root', $root);
is($audit->{status}, '0', 'the audit log is intact');
like($audit->{out}, qr/operator\@.*new price of deepseek-v4-pro.*rollback.*too dear/s, 'and has who, what and why');
like(ctl_ok('history', '--root', $root), qr/new price.*Credit cap/s, 'the history');
my $doctor = ctl('doctor', '--root', $root, '--status', "http://127.0.0.1:$status_port/llm/status",
    '-o', "$folder/problem.tar.gz");
is($doctor->{status}, '0', 'llmctl doctor') or diag($doctor->{error});

my $log = slurp("$root/logs/error.log");
# A newer nginx writes what it finds with -t into the log as well: the one mistake made above.
(my $alerts = $log) =~ s/^.*\[emerg\].* invalid value "soon" in "llm_proxy_response_timeout".*\n//m;
unlike($alerts, qr/\[(?:alert|emerg|crit)\]|panicked/, 'no alert') or diag($log);
my $all = $log . slurp("$root/logs/manifest-gateway.log") . slurp("$folder/nginx.txt")
    . qx(tar -xOzf $folder/problem.tar.gz) . join '', map { slurp($_) } glob("$root/revisions/*/*"), "$root/audit.log";
for my $secret (@secrets) {
    unlike($all, qr/\Q$secret\E/, 'no secret in logs, revisions, the audit log or the doctor\'s archive');
}

kill QUIT => $nginx;
ok((wait_until { waitpid($nginx, POSIX::WNOHANG) == $nginx } 15), 'nginx ends') and $nginx = undef;
done_testing();

END {
    if (defined $owner && $$ == $owner) {
        local $?;
        if ($nginx) { kill TERM => $nginx; waitpid $nginx, 0 }
        if ($sdk)   { close $sdk->{to}; waitpid $sdk->{pid}, 0 }
        $mock->stop if $mock;
        $pg->stop('QUIT') if $pg;
        if ($folder && Test::More->builder->is_passing) { File::Path::remove_tree($folder) }
        elsif ($folder) { diag("kept in $folder") }
    }
}
