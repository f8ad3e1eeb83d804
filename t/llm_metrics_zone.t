# The shared memory of the counts: its size, what happens when it is full, and its name.

use Test::LLM 'no_plan';

use Test::LLM::Metrics;

run_tests();

__DATA__

=== too small: what finds no room is counted, the rest goes on
--- http_config eval
my $names = CORE::join '', map {"    llm_proxy_model_pattern m$_ first;\n"} 1 .. 100;
"    upstream one { server %%first%%; keepalive 4; }\n$names    llm_metrics_label_model;\n    llm_metrics_zone counts 64k;\n"
    . "    llm_metrics;"
--- config
    llm_proxy_route first one;
    location /v1/ { llm_proxy; proxy_pass http://$llm_provider_upstream; }
    location = /metrics { llm_metrics_export prometheus; }
--- requests eval
CORE::join ">>>\n", map {"POST /v1/chat/completions\n{\"model\":\"$_\"}\n"} (map {"m$_"} 1 .. 100), 'm1'
--- after
my ($lost, $answer);
wait_until { $answer = scrape($t); ($lost) = $answer->{body} =~ /^llm_metrics_lost_total (\d+)$/m; $lost } 5;
cmp_ok($lost, '>', 100, "$lost additions found no room");
text_is_sound($t, $answer->{body});
my $first = 'llm_requests_total{provider="first",model="m1",streaming="false",code="200"}';
is(series($answer->{body})->{$first}, 2, 'who has a place is counted');
my $series = () = $answer->{body} =~ /^llm_\w+(?:_total|_count)\{/mg;
cmp_ok($series, '>', 200, "$series series have one");
# A reload keeps what is there and frees nothing that is still named.
$t->reload;
my $after = series(scrape($t)->{body});
is($after->{$first}, 2, 'it is kept over a reload');
is($after->{llm_metrics_lost_total}, $lost, 'and so is what was lost');

=== what a reload no longer names makes room
--- http_config eval
my $names = CORE::join '', map {"    llm_proxy_model_pattern m$_ first;\n"} 1 .. 100;
"    upstream one { server %%first%%; keepalive 4; }\n$names    llm_metrics_label_model;\n    llm_metrics_zone counts 64k;\n"
    . "    llm_metrics;"
--- config
    llm_proxy_route first one;
    location /v1/ { llm_proxy; proxy_pass http://$llm_provider_upstream; }
    location = /metrics { llm_metrics_export prometheus; }
--- reload_http_config
    upstream one { server %%first%%; keepalive 4; }
    llm_proxy_model_pattern m1 first;
    llm_proxy_model_pattern other first;
    llm_metrics_label_model;
    llm_metrics_zone counts 64k;
    llm_metrics;
--- requests eval
CORE::join ">>>\n", (map {"POST /v1/chat/completions\n{\"model\":\"m$_\"}\n"} 1 .. 100),
    "GET /metrics\n>>> reload, new connection\nPOST /v1/chat/completions\n{\"model\":\"other\"}\n"
--- after
my $before = ($t->answers)[100]{body};
cmp_ok(series($before)->{llm_metrics_lost_total}, '>', 100, 'there was no room');
counts_are($t, <<'END', 'there is again, and what still has its name is kept');
llm_requests_total{provider="first",model="m1",streaming="false",code="200"} 1
llm_requests_total{provider="first",model="other",streaming="false",code="200"} 1
llm_attempts_total{provider="first",model="m1",outcome="ok"} 1
llm_attempts_total{provider="first",model="other",outcome="ok"} 1
END
text_is_sound($t, scrape($t)->{body});

=== another size begins anew, the same one goes on
--- http_config
    upstream one { server %%first%%; }
    llm_metrics_zone counts 1m;
--- config
    llm_proxy_route first one;
    llm_proxy_default_provider first;
    location /v1/ { llm_metrics; llm_proxy; proxy_pass http://$llm_provider_upstream; }
    location = /metrics { llm_metrics_export prometheus; }
--- reload_http_config
    upstream one { server %%first%%; }
    llm_metrics_zone counts 2m;
--- requests
POST /v1/chat/completions
{"model":"m"}
>>> reload, new connection
POST /v1/chat/completions
{"model":"m"}
--- after
my $one = "llm_requests_total{provider=\"first\",streaming=\"false\",code=\"200\"}";
counts_are($t, "$one 1\n", 'another size');
$t->reload;
counts_are($t, "$one 1\n", 'the same size');

=== ten megabytes are enough for a hundred providers with their models
--- http_config eval
CORE::join '', map {"    upstream u$_ { server %%first%%; keepalive 1; }\n"} 1 .. 100
--- config eval
my $routes = CORE::join '', map {"    llm_proxy_route p$_ u$_;\n    llm_proxy_model_pattern m$_ p$_;\n"} 1 .. 100;
$routes . <<'END';
    location /v1/ { llm_metrics; llm_metrics_label_model; llm_proxy; proxy_pass http://$llm_provider_upstream; }
    location = /metrics { llm_metrics_export prometheus; }
END
--- requests eval
CORE::join ">>>\n", map {"POST /v1/chat/completions\n{\"model\":\"m$_\",\"stream\":true}\n"} 1 .. 100
--- after
my $answer;
wait_until { $answer = scrape($t); 100 == (() = $answer->{body} =~ /^llm_requests_total\{/mg) } 5;
text_is_sound($t, $answer->{body});
is(scalar(() = $answer->{body} =~ /^llm_provider_up\{/mg), 100, 'a hundred providers');
is(series($answer->{body})->{llm_metrics_lost_total}, 0, 'nothing is lost');

=== must have a size
--- http_config
    llm_metrics_zone counts;
--- must_fail
invalid number of arguments in "llm_metrics_zone" directive

=== the size must be one
--- http_config
    llm_metrics_zone counts large;
--- must_fail
invalid size "large" in "llm_metrics_zone", it must be at least 64k

=== and not smaller than eight pages need
--- http_config
    llm_metrics_zone counts 63k;
--- must_fail
invalid size "63k" in "llm_metrics_zone", it must be at least 64k

=== at most once
--- http_config
    llm_metrics_zone counts 1m;
    llm_metrics_zone others 1m;
--- must_fail
"llm_metrics_zone" directive is duplicate

=== is for http alone
--- config
    llm_metrics_zone counts 1m;
--- must_fail
"llm_metrics_zone" directive is not allowed here

=== a name that another module has
--- http_config
    upstream one { server %%first%%; }
    limit_req_zone $binary_remote_addr zone=counts:1m rate=1r/s;
    llm_metrics_zone counts 1m;
--- config
    llm_proxy_route first one;
    llm_proxy_default_provider first;
    location /v1/ { llm_metrics; llm_proxy; proxy_pass http://$llm_provider_upstream; }
--- must_fail
the shared memory zone "counts" is already declared for a different use

=== a name that another zone of ours has
--- http_config
    upstream one { server %%first%%; }
    llm_metrics_zone llm_fallback 1m;
--- config
    llm_proxy_route first one;
    llm_proxy_default_provider first;
    llm_fallback_mode health;
    location /v1/ { llm_metrics; llm_proxy; llm_fallback; proxy_pass http://$llm_provider_upstream; }
--- must_fail
zone "llm_fallback"
