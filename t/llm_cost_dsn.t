# Where PostgreSQL is: a text, an environment variable or a file; never in a log.

use Test::LLM 'no_plan';

use Test::LLM::Ledger;

run_tests();

__DATA__

=== a variable of nginx's environment, without a line that lets it through
--- http_config
    upstream one { server %%first%%; }
    llm_cost_rate first * 1 1;
    llm_cost_backend postgres;
    llm_cost_dsn env:COST_DSN;
--- env
COST_DSN=%%pg_dsn%%
--- config
    llm_proxy_route first one;
    llm_proxy_default_provider first;
    location /v1/ { llm_proxy; llm_cost; proxy_pass http://$llm_provider_upstream; }
--- requests
POST /v1/chat/completions
{"model":"m"}
>>> new connection, reload
POST /v1/chat/completions
{"model":"m"}
--- after
ok(wait_for_rows($t, 2), 'a row before and one after a reload');

=== a file, which is read again for each connection
--- http_config
    upstream one { server %%first%%; }
    llm_cost_rate first * 1 1;
    llm_cost_backend postgres;
    llm_cost_dsn file:dsn;
--- user_files
>>> dsn
host=127.0.0.1 port=1 dbname=nowhere user=gateway password=sk-wrong-SECRET-2
>>> right
%%pg_dsn%%
--- config
    llm_proxy_route first one;
    llm_proxy_default_provider first;
    location /v1/ { llm_proxy; llm_cost; proxy_pass http://$llm_provider_upstream; }
--- requests
POST /v1/chat/completions
{"model":"m"}
--- after
ok((wait_until { $t->error_log =~ /\[warn\].*postgres took no rows/ } 10), 'the wrong one is told of');
$t->write_file('dsn', $t->read_file('right'));
ok(wait_for_rows($t, 1, 30), 'the right one is used without a reload');

=== a wrong password is told, and not what it is
--- http_config
    upstream one { server %%first%%; }
    llm_cost_rate first * 1 1;
    llm_cost_backend postgres;
    llm_cost_dsn file:dsn;
--- init
my $dsn = $t->pg->dsn;
$t->write_file('dsn', $dsn =~ s/password=\S+/password=sk-wrong-SECRET-3/r);
--- config
    llm_proxy_route first one;
    llm_proxy_default_provider first;
    location /v1/ { llm_proxy; llm_cost; proxy_pass http://$llm_provider_upstream; }
--- request
POST /v1/chat/completions
{"model":"m"}
--- error_log
password authentication failed
--- no_error_log
wrong-SECRET
--- after
$t->write_file('dsn', $t->pg->dsn);
ok(wait_for_rows($t, 1, 30), 'the right one');

=== what is no dsn is told of without a word of it
--- http_config
    upstream one { server %%first%%; }
    llm_cost_rate first * 1 1;
    llm_cost_backend postgres;
    llm_cost_dsn "host=127.0.0.1 port=sk-port-SECRET-4 password=sk-wrong-SECRET-5";
--- config
    llm_proxy_route first one;
    llm_proxy_default_provider first;
    location /v1/ { llm_proxy; llm_cost; proxy_pass http://$llm_provider_upstream; }
--- request
POST /v1/chat/completions
{"model":"m"}
--- error_log
llm_cost_dsn
--- no_error_log
SECRET

=== a server without TLS, where TLS is asked for
--- http_config
    upstream one { server %%first%%; }
    llm_cost_rate first * 1 1;
    llm_cost_backend postgres;
    llm_cost_dsn env:COST_DSN;
--- env eval
'COST_DSN=%%pg_dsn%%' =~ s/%%pg_dsn%%/%%pg_dsn%% sslmode=require/r
--- config
    llm_proxy_route first one;
    llm_proxy_default_provider first;
    location /v1/ { llm_proxy; llm_cost; proxy_pass http://$llm_provider_upstream; }
--- request
POST /v1/chat/completions
{"model":"m"}
--- error_log
~\[warn\].*postgres took no rows.*TLS
--- after
is($t->pg->count, 0, 'nothing is written in the clear');

=== postgres needs it
--- http_config
    upstream one { server %%first%%; }
    llm_cost_backend postgres;
--- config
    llm_proxy_route first one;
    llm_proxy_default_provider first;
    location /v1/ { llm_proxy; llm_cost; proxy_pass http://$llm_provider_upstream; }
--- must_fail
"llm_cost_backend postgres" needs "llm_cost_dsn", add it

=== an empty one
--- http_config
    llm_cost_dsn "";
--- must_fail
invalid value in "llm_cost_dsn", give env:<name>, file:<path> or a text such as "host=db dbname=llm user=llm"

=== twice
--- http_config
    llm_cost_dsn env:A;
    llm_cost_dsn env:B;
--- must_fail
"llm_cost_dsn" directive is duplicate
