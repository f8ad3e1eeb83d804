# llmctl spend: what was spent, from what a gateway at work has written.

use Test::LLM 'no_plan';

use Test::LLM::Ctl;
use Test::LLM::Ledger;

sub spend {
    my ($db, @more) = @_;
    return [ sort split /\n/, llmctl_ok('spend', '--db', $db, '--format', 'csv', @more) ];
}

our $header = 'unit,requests,input_tokens,output_tokens,cost';

run_tests();

__DATA__

=== the SQLite file and the DSN of the same requests
--- http_config
    upstream one { server %%first%%; }
    llm_cost_backend sqlite postgres;
    llm_cost_dsn "%%pg_dsn%%";
    llm_cost_rate first a* 1 2;
    llm_cost_rate first b 10 20;
    llm_cost_rate_unit first credit;
--- config
    llm_proxy_route first one;
    llm_proxy_default_provider first;
    llm_cost;
    llm_cost_org $http_x_org;
    location /v1/ { llm_proxy; proxy_pass http://$llm_provider_upstream; }
--- more_headers
X-Org: acme
--- provider_first
{"json":{"choices":[],"usage":{"prompt_tokens":100,"completion_tokens":10,"total_tokens":110}},"times":3}
--- requests
POST /v1/chat/completions
{"model":"a1"}
>>>
POST /v1/chat/completions
{"model":"a1"}
>>>
POST /v1/chat/completions
{"model":"b"}
--- after
wait_until { $t->pg->count == 3 && ($t->sqlite('SELECT count(*) FROM llm_cost_events'))[0][0] == 3 } 10;
my @want = ("org,model,$main::header", 'acme,a1,credit,2,200,20,0.00024000',
    'acme,b,credit,1,100,10,0.00120000');
my $file = $t->root . '/llm/cost.db';
is_deeply(main::spend($file, '--by', 'org,model'), [ sort @want ], 'SQLite');
is_deeply(main::spend($t->pg->dsn, '--by', 'org,model'), [ sort @want ], 'PostgreSQL');
spew($t->root . '/tmp/dsn', $t->pg->dsn . "\n");
is_deeply(main::spend('file:' . $t->root . '/tmp/dsn', '--by', 'org,model'), [ sort @want ], 'a file with the DSN');
my $run = llmctl('spend', '--db', $t->pg->dsn =~ s/sslmode=disable/sslmode=require/r);
is($run->{status}, 1, 'TLS is required of a server without');
like($run->{error}, qr/the database does not answer, see its address, network and certificate/, 'which is told');
$run = llmctl('spend', '--db', $t->pg->dsn =~ s/password=\S+/password=wrong/r);
like($run->{error}, qr/the database refuses us: password authentication failed/, 'a wrong password');
my $chart = llmctl_ok('spend', '--db', $file, '--by', 'model', '--format', 'chart');
like($chart, qr/^credit\n  a1 \x{e2}\x{96}\x{88}+.*0\.00024000\n  b +(?:\x{e2}\x{96}\x{88}){40} 0\.00120000$/m, 'bars');

=== the journal, while no database takes the rows
--- http_config
    upstream one { server %%first%%; }
    llm_cost_backend postgres;
    llm_cost_dsn "host=127.0.0.1 port=1 dbname=x user=x";
    llm_cost_rate first * 1 2;
--- config
    llm_proxy_route first one;
    llm_proxy_default_provider first;
    llm_cost;
    location /v1/ { llm_proxy; proxy_pass http://$llm_provider_upstream; }
--- provider_first
{"json":{"choices":[],"usage":{"prompt_tokens":100,"completion_tokens":10,"total_tokens":110}},"times":2}
--- requests
POST /v1/chat/completions
{"model":"a"}
>>>
POST /v1/chat/completions
{"model":"b"}
--- after
my $spent;
wait_until { @{ $spent = main::spend($t->root . '/llm/journal', '--by', 'model') } == 3 } 5;
is_deeply($spent, [ sort "model,$main::header", 'a,usd,1,100,10,0.00012000', 'b,usd,1,100,10,0.00012000' ],
    'what waits there');
