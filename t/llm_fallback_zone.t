# What is known of targets is shared by all workers and kept over a reload.

use Test::LLM 'no_plan';

use Test::LLM::Client;

run_tests();

__DATA__

=== what one worker has seen all know
--- http_config
    upstream one { server %%first%%; }
    upstream two { server %%second%%; }
--- config
    llm_proxy_route first one;
    llm_proxy_route second two;
    llm_proxy_default_provider first;
    llm_fallback_route first second;
    llm_fallback_mode health;
    llm_fallback_cooldown 60s fails=1;
    location /v1/ { llm_proxy; llm_fallback; proxy_pass http://$llm_provider_upstream; }
    location = /worker { return 200 $pid; }
--- workers: 2
--- provider_first
{"status":500}
--- requests
POST /v1/chat/completions
{"model":"m"}
--- after
my %workers;
wait_until {
    my $answer = $t->request('GET /worker');
    $workers{ $answer->{body} }++;
    $answer = $t->request(qq(POST /v1/chat/completions\n{"model":"m"}));
    keys %workers == 2;
} 10;
is(keys %workers, 2, 'both workers were asked');
--- provider_first_requests: 1

=== a reload keeps it, also with other lines
--- http_config
    upstream one { server %%first%%; }
    upstream two { server %%second%%; }
--- config
    llm_proxy_route first one;
    llm_proxy_route second two;
    llm_proxy_default_provider first;
    llm_fallback_route first second;
    llm_fallback_mode health;
    llm_fallback_cooldown 60s fails=1;
    location /v1/ { llm_proxy; llm_fallback; proxy_pass http://$llm_provider_upstream; }
--- reload_config
    llm_proxy_route second two;
    llm_proxy_route first one;
    llm_proxy_default_provider first;
    llm_fallback_route first second model-b;
    llm_fallback_mode health;
    llm_fallback_cooldown 60s fails=5;
    location /v1/ { llm_proxy; llm_fallback; proxy_pass http://$llm_provider_upstream; }
--- provider_first
{"status":500}
--- requests
POST /v1/chat/completions
{"model":"m"}
>>> new connection, reload
POST /v1/chat/completions
{"model":"m"}
--- response_headers
X-LLM-Chain: ~^first/m:500:\d+ms, second/m:200:\d+ms$
>>>
X-LLM-Chain: ~^first/m:skipped\(benched\), second/model-b:200:\d+ms$

=== a restart forgets it
--- http_config
    upstream one { server %%first%%; }
    upstream two { server %%second%%; }
--- config
    llm_proxy_route first one;
    llm_proxy_route second two;
    llm_proxy_default_provider first;
    llm_fallback_route first second;
    llm_fallback_mode health;
    llm_fallback_cooldown 60s fails=1;
    location /v1/ { llm_proxy; llm_fallback; proxy_pass http://$llm_provider_upstream; }
--- provider_first
{"status":500}

{}
--- requests
POST /v1/chat/completions
{"model":"m"}
>>> restart
POST /v1/chat/completions
{"model":"m"}
--- response_headers
X-LLM-Provider: second
>>>
X-LLM-Provider: first

=== a worker that is killed takes nothing with it
--- http_config
    upstream one { server %%first%%; }
    upstream two { server %%second%%; }
--- config
    llm_proxy_route first one;
    llm_proxy_route second two;
    llm_proxy_default_provider first;
    llm_fallback_route first second;
    llm_fallback_mode health;
    llm_fallback_cooldown 60s fails=1;
    location /v1/ { llm_proxy; llm_fallback; proxy_pass http://$llm_provider_upstream; }
--- provider_first
{"status":500}
--- requests
POST /v1/chat/completions
{"model":"m"}
>>> new connection, kill worker
POST /v1/chat/completions
{"model":"m"}
--- response_headers
X-LLM-Provider: second
--- expected_alert
exited on signal 9

=== a name and a size of one's own
--- http_config
    llm_fallback_zone health 256k;
    upstream one { server %%first%%; }
    upstream two { server %%second%%; }
--- config
    llm_proxy_route first one;
    llm_proxy_route second two;
    llm_proxy_default_provider first;
    llm_fallback_route first second;
    llm_fallback_mode health;
    llm_fallback_cooldown 60s fails=1;
    location /v1/ { llm_proxy; llm_fallback; proxy_pass http://$llm_provider_upstream; }
--- provider_first
{"status":500}
--- requests
POST /v1/chat/completions
{"model":"m"}
>>>
POST /v1/chat/completions
{"model":"m"}
--- response_headers
X-LLM-Provider: second
--- provider_first_requests: 1

=== another size after a reload starts afresh
--- http_config
    llm_fallback_zone health 256k;
    upstream one { server %%first%%; }
    upstream two { server %%second%%; }
--- reload_http_config
    llm_fallback_zone health 512k;
    upstream one { server %%first%%; }
    upstream two { server %%second%%; }
--- config
    llm_proxy_route first one;
    llm_proxy_route second two;
    llm_proxy_default_provider first;
    llm_fallback_route first second;
    llm_fallback_mode health;
    llm_fallback_cooldown 60s fails=1;
    location /v1/ { llm_proxy; llm_fallback; proxy_pass http://$llm_provider_upstream; }
--- provider_first
{"status":500}

{}
--- requests
POST /v1/chat/completions
{"model":"m"}
>>> new connection, reload
POST /v1/chat/completions
{"model":"m"}
--- response_headers
X-LLM-Provider: second
>>>
X-LLM-Provider: first

=== a full zone forgets what was not used for longest, and goes on
--- http_config
    llm_fallback_zone health 32k;
    upstream one { server %%first%%; }
    upstream two { server %%second%%; }
--- config
    llm_proxy_route first one;
    llm_proxy_route second two;
    llm_proxy_default_provider first;
    llm_fallback_route first second;
    llm_fallback_mode health;
    llm_fallback_cooldown 60s fails=1;
    location /v1/ { llm_proxy; llm_fallback; proxy_pass http://$llm_provider_upstream; }
--- after
$t->mock->script(first => [ { status => 500, times => 'always' } ]);
my $client = Test::LLM::Client->new($t->address);
my $ask = sub {
    my $body = qq({"model":"$_[0]"});
    $client->transmit("POST /v1/chat/completions HTTP/1.1\r\nHost: x\r\n"
        . "Content-Type: application/json\r\nContent-Length: " . length($body) . "\r\n\r\n$body");
    my ($chain) = Test::LLM::Client::header_values($client->receive, 'x-llm-chain');
    return $chain;
};
my @failed = grep { $ask->("model-$_") !~ m{second/model-\d+:200} } 1 .. 400;
is_deeply(\@failed, [], 'all are answered');
like($ask->('model-400'), qr/skipped\(benched\)/, 'the last one is remembered');

=== a zone has a name and a size
--- http_config
    llm_fallback_zone health;
--- must_fail
invalid number of arguments in "llm_fallback_zone" directive in %%root%%/nginx.conf

=== a size is a size
--- http_config
    llm_fallback_zone health big;
--- must_fail
invalid size "big" in "llm_fallback_zone", it must be at least 32k in %%root%%/nginx.conf

=== a zone has room for something
--- http_config
    llm_fallback_zone health 4k;
--- must_fail
invalid size "4k" in "llm_fallback_zone", it must be at least 32k in %%root%%/nginx.conf

=== there is one zone
--- http_config
    llm_fallback_zone one 1m;
    llm_fallback_zone two 1m;
--- must_fail
"llm_fallback_zone" directive is duplicate in %%root%%/nginx.conf

=== a zone belongs to http
--- config
    llm_fallback_zone health 1m;
--- must_fail
"llm_fallback_zone" directive is not allowed here in %%root%%/nginx.conf
