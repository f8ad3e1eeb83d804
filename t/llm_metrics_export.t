# A scrape: which text who asks for what gets, who gets none, and that nothing of it depends on workers,
# size or a reload.

use Test::LLM 'no_plan';

use Test::LLM::Metrics;

run_tests();

__DATA__

=== Prometheus' text, and OpenMetrics for who wants it
--- http_config
    upstream one { server %%first%%; }
--- config
    llm_proxy_route first one;
    llm_proxy_default_provider first;
    location /v1/ { llm_metrics; llm_proxy; proxy_pass http://$llm_provider_upstream; }
    location = /metrics { llm_metrics_export prometheus; }
--- request
POST /v1/chat/completions
{"model":"m"}
--- after
my $open = 'application/openmetrics-text; version=1.0.0; charset=utf-8';
my $text = 'text/plain; version=0.0.4; charset=utf-8';
my $accept = sub { scrape($t, '/metrics', "Accept: $_[0]") };
# What Prometheus 2.42 and 3.5 send, curl, a browser, and what makes no sense.
for my $case (
    [ 'application/openmetrics-text;version=1.0.0,application/openmetrics-text;version=0.0.1;q=0.75,text/plain;version=0.0.4;q=0.5,*/*;q=0.1', $open ],
    [ 'application/openmetrics-text;version=1.0.0;escaping=allow-utf-8;q=0.6,text/plain;version=0.0.4;q=0.5,*/*;q=0.1', $open ],
    [ 'text/plain;version=0.0.4;q=0.8,application/openmetrics-text;version=1.0.0;q=0.3', $text ],
    [ 'application/vnd.google.protobuf;proto=io.prometheus.client.MetricFamily;encoding=delimited', $text ],
    [ '*/*', $text ],
    [ 'text/html,application/xhtml+xml', $text ],
    [ 'application/openmetrics-text;q=0', $text ],
    [ 'application/openmetrics-text;version=9', $text ],
    [ 'application/openmetrics-text;q=nonsense;;=,,', $text ],
    [ ',' x 3000, $text ],
) {
    my $answer = $accept->($case->[0]);
    is($answer->{status}, '200', "200 for " . substr $case->[0], 0, 60);
    my ($type) = Test::LLM::Client::header_values($answer, 'content-type');
    is($type, $case->[1], 'its type');
    is($answer->{body} =~ /^# EOF$/m ? $open : $text, $case->[1], 'its text');
    text_is_sound($t, $answer->{body});
}
my $open_text = $accept->('application/openmetrics-text')->{body};
like($open_text, qr/^# TYPE llm_requests counter\n/m, 'OpenMetrics: a counter\'s family has no _total');
like($open_text, qr/^llm_requests_total\{/m, 'its samples have');
like($open_text, qr/^# UNIT llm_request_duration_seconds seconds\n/m, 'OpenMetrics: units');
like(scrape($t)->{body}, qr/^# TYPE llm_requests_total counter\n/m, 'the older text');
SKIP: {
    skip('promtool is not installed (Debian package prometheus)', 1) if !promtool();
    is_deeply([ promtool_problems($t, scrape($t)->{body}) ], [], 'promtool has nothing to say');
}

=== GET and HEAD; nothing else
--- http_config
    upstream one { server %%first%%; }
--- config
    llm_proxy_route first one;
    llm_proxy_default_provider first;
    location /v1/ { llm_metrics; llm_proxy; proxy_pass http://$llm_provider_upstream; }
    location = /metrics { llm_metrics_export prometheus; }
--- requests
GET /metrics
>>>
HEAD /metrics
>>>
POST /metrics
x=1
>>>
PUT /metrics
>>>
DELETE /metrics
>>>
OPTIONS /metrics
>>>
GET /metrics?name=value
>>>
GET /metrics HTTP/1.0
--- error_code: 200 200 405 405 405 405 200 200
--- response_headers
Content-Type: text/plain; version=0.0.4; charset=utf-8
Content-Length: ~^\d+$
>>>
Content-Type: text/plain; version=0.0.4; charset=utf-8
Content-Length: ~^\d+$
>>>
Allow: GET, HEAD
>>>
Allow: GET, HEAD
>>>
Allow: GET, HEAD
>>>
Allow: GET, HEAD
>>>
!Allow
>>>
Content-Length: ~^\d+$
--- after
my @answers = $t->answers;
is($answers[1]{body}, '', 'HEAD has no body');
cmp_ok((Test::LLM::Client::header_values($answers[1], 'content-length'))[0], '>', 100,
    'and tells the length');
text_is_sound($t, $answers[0]{body});

=== a subrequest is refused
--- http_config
    upstream one { server %%first%%; }
--- config
    llm_proxy_route first one;
    llm_proxy_default_provider first;
    location /v1/ { llm_metrics; llm_proxy; proxy_pass http://$llm_provider_upstream; }
    location = /metrics { llm_metrics_export prometheus; }
    location = /page { ssi on; ssi_types *; alias %%root%%/page; }
--- user_files
>>> page
before <!--# include virtual="/metrics" --> behind
--- requests
GET /page
--- response_body_like
^before
403 Forbidden
behind$
--- response_body_unlike: llm_

=== who may ask is for allow and deny
--- http_config
    upstream one { server %%first%%; }
--- config
    llm_proxy_route first one;
    llm_proxy_default_provider first;
    location /v1/ { llm_metrics; llm_proxy; proxy_pass http://$llm_provider_upstream; }
    location = /closed { deny all; llm_metrics_export prometheus; }
    location = /open { allow 127.0.0.1; deny all; llm_metrics_export prometheus; }
    location = /inner { internal; llm_metrics_export prometheus; }
--- requests
GET /closed
>>>
GET /open
>>>
GET /inner
--- error_code: 403 200 404

=== where nothing is counted, the gauges are there all the same
--- http_config
    upstream one { server %%first%%; }
--- config
    llm_proxy_route first one;
    llm_proxy_default_provider first;
    location /v1/ { llm_proxy; proxy_pass http://$llm_provider_upstream; }
    location = /metrics { llm_metrics_export prometheus; }
--- requests
POST /v1/chat/completions
{"model":"m"}
>>>
GET /metrics
--- response_body_like
>>>
^llm_provider_up\{provider="first"\} 1$
^llm_open_streams 0$
--- response_body_unlike
>>>
^llm_requests_total

=== the gateway around it is not for it
--- http_config
    upstream one { server %%first%%; }
--- config
    llm_proxy;
    llm_metrics;
    llm_proxy_route first one;
    llm_proxy_default_provider first;
    llm_ratelimit;
    llm_ratelimit_key $http_x_id;
    llm_ratelimit_requests_per_minute 1;
    location /v1/ { proxy_pass http://$llm_provider_upstream; }
    location = /metrics { llm_metrics_export prometheus; }
    location = /status { llm_status; }
--- requests
GET /metrics
>>>
GET /status
>>>
GET /metrics
--- response_body_unlike: llm_requests_total

=== a text of any size is whole, with several workers
--- workers: 2
--- http_config eval
my $names = CORE::join '', map {"    llm_proxy_model_pattern a-model-with-a-long-name-that-is-number-$_ first;\n"} 1 .. 120;
"    upstream one { server %%first%%; keepalive 4; }\n$names    llm_metrics_label_model;"
--- config
    llm_proxy_route first one;
    location /v1/ { llm_metrics; llm_proxy; proxy_pass http://$llm_provider_upstream; }
    location = /metrics { output_buffers 1 1k; llm_metrics_export prometheus; }
--- requests eval
CORE::join ">>>\n", map {"POST /v1/chat/completions\n{\"model\":\"a-model-with-a-long-name-that-is-number-$_\"}\n"} 1 .. 120
--- after
my $text;
wait_until { $text = scrape($t)->{body}; 120 == (() = $text =~ /^llm_requests_total\{/mg) } 5;
cmp_ok(length $text, '>', 300_000, length($text) . ' bytes');
text_is_sound($t, $text);
is(scalar(() = $text =~ /^llm_request_duration_seconds_bucket/mg), 120 * 15, 'every bucket');
my $open = scrape($t, '/metrics', 'Accept: application/openmetrics-text')->{body};
text_is_sound($t, $open, 'and OpenMetrics');
is(series($open)->{'llm_requests_total{provider="first",model="a-model-with-a-long-name-that-is-number-77",streaming="false",code="200"}'}, 1, 'a series');

=== gzip, where the operator wants it
--- http_config
    upstream one { server %%first%%; }
    gzip on;
    gzip_types text/plain application/openmetrics-text;
--- config
    llm_proxy_route first one;
    llm_proxy_default_provider first;
    location /v1/ { llm_metrics; llm_proxy; proxy_pass http://$llm_provider_upstream; }
    location = /metrics { llm_metrics_export prometheus; }
--- more_headers
Accept-Encoding: gzip
--- request
GET /metrics
--- response_headers
Content-Encoding: gzip
--- gunzip
--- response_body_like: ^llm_open_streams 0$

=== over HTTP/2
--- http2
--- http_config
    upstream one { server %%first%%; }
--- config
    llm_proxy_route first one;
    llm_proxy_default_provider first;
    location /v1/ { llm_metrics; llm_proxy; proxy_pass http://$llm_provider_upstream; }
    location = /metrics { llm_metrics_export prometheus; }
--- request
GET /metrics
--- response_body_like: ^llm_open_streams 0$

=== the counts are kept over a reload, new providers come and old ones go
--- http_config
    upstream one { server %%first%%; }
    upstream two { server %%second%%; }
    upstream three { server %%third%%; }
--- config
    llm_proxy_route first one;
    llm_proxy_route second two;
    llm_proxy_model_pattern a first;
    llm_proxy_model_pattern b second;
    location /v1/ { llm_metrics; llm_proxy; proxy_pass http://$llm_provider_upstream; }
    location = /metrics { llm_metrics_export prometheus; }
--- reload_config
    llm_proxy_route third three;
    llm_proxy_route first one;
    llm_proxy_model_pattern c third;
    llm_proxy_model_pattern a first;
    location /v1/ { llm_metrics; llm_proxy; proxy_pass http://$llm_provider_upstream; }
    location = /metrics { llm_metrics_export prometheus; }
--- requests
POST /v1/chat/completions
{"model":"a"}
>>>
POST /v1/chat/completions
{"model":"a"}
>>>
POST /v1/chat/completions
{"model":"b"}
>>> reload, new connection
POST /v1/chat/completions
{"model":"a"}
>>>
POST /v1/chat/completions
{"model":"c"}
--- after
counts_are($t, <<'END');
llm_requests_total{provider="first",streaming="false",code="200"} 3
llm_requests_total{provider="third",streaming="false",code="200"} 1
llm_request_duration_seconds_count{provider="first"} 3
llm_request_duration_seconds_count{provider="third"} 1
llm_provider_up{provider="first"} 1
llm_provider_up{provider="third"} 1
END

=== a restart begins anew
--- http_config
    upstream one { server %%first%%; }
--- config
    llm_proxy_route first one;
    llm_proxy_default_provider first;
    location /v1/ { llm_metrics; llm_proxy; proxy_pass http://$llm_provider_upstream; }
    location = /metrics { llm_metrics_export prometheus; }
--- requests
POST /v1/chat/completions
{"model":"a"}
>>> restart
POST /v1/chat/completions
{"model":"a"}
--- after
counts_are($t, "llm_requests_total{provider=\"first\",streaming=\"false\",code=\"200\"} 1\n", 'one');

=== scrapes in the middle of reloads, under load
--- workers: 2
--- http_config
    upstream one { server %%first%%; keepalive 4; }
--- config
    llm_proxy_route first one;
    llm_proxy_default_provider first;
    location /v1/ { llm_metrics; llm_proxy; proxy_pass http://$llm_provider_upstream; }
    location = /metrics { llm_metrics_export prometheus; }
--- after
my $stop = $t->root . '/tmp/stop';
my $line = 'llm_requests_total{provider="first",streaming="false",code="200"}';
my $child = fork;
if (!$child) {
    my ($last, $scrapes, @bad) = (0, 0);
    until (-e $stop) {
        my $answer = scrape($t);
        $scrapes++;
        push @bad, "status $answer->{status}" if $answer->{status} ne '200' || !$answer->{complete};
        push @bad, text_problems($answer->{body});
        my $count = series($answer->{body})->{$line} // 0;
        push @bad, "$last, then $count" if $count < $last;
        $last = $count;
    }
    spew($t->root . '/tmp/scrapes', CORE::join "\n", $scrapes, @bad);
    require POSIX;
    POSIX::_exit(0);
}
for (1 .. 4) {
    $t->request(qq(POST /v1/chat/completions\n{"model":"m"})) for 1 .. 25;
    $t->reload;
}
spew($stop, '');
waitpid $child, 0;
my ($scrapes, @bad) = split /\n/, $t->read_file('tmp/scrapes');
cmp_ok($scrapes // 0, '>', 10, 'scrapes');
is_deeply(\@bad, [], 'all of them are whole, and no count goes back');
counts_are($t, "$line 100\n", 'every request was counted once');

=== must name a format
--- config
    location = /metrics { llm_metrics_export; }
--- must_fail
invalid number of arguments in "llm_metrics_export" directive

=== there is one format
--- config
    location = /metrics { llm_metrics_export json; }
--- must_fail
[emerg]
invalid value "json" in "llm_metrics_export" directive, it must be "prometheus"

=== is for a location
--- config
    llm_metrics_export prometheus;
--- must_fail
"llm_metrics_export" directive is not allowed here
