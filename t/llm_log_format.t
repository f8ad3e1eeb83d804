# The ready log format: every line is JSON, whatever a client sent.

use Test::LLM 'no_plan';

use Test::LLM::Metrics;

run_tests();

__DATA__

=== a request with all there is to tell
--- http_config
    upstream one { server %%first%%; }
    upstream two { server %%second%%; }
    llm_log_format json;
    access_log logs/access.log llm_json;
    llm_cost_rate first * 1 1;
    llm_cost_rate second * 1 2;
--- config
    llm_proxy_route first one;
    llm_proxy_route second two;
    llm_proxy_model_pattern m first;
    llm_fallback_route first second other;
    location /v1/ {
        llm_metrics;
        llm_proxy;
        llm_auth;
        llm_auth_credential first sk-first-SECRET-1 id=a;
        llm_auth_credential second sk-second-SECRET-2 id=b;
        llm_fallback;
        llm_fallback_request_headers tag;
        llm_ratelimit;
        llm_ratelimit_key $http_x_project;
        llm_ratelimit_requests_per_minute 10;
        llm_ratelimit_tokens_per_minute 10000;
        llm_cost;
        llm_cost_org $http_x_org;
        llm_cost_project $http_x_project;
        llm_cost_client $http_x_client;
        proxy_pass http://$llm_provider_upstream;
    }
--- provider_first
429 {"error":{}}
--- provider_second
200 {"usage":{"prompt_tokens":100,"completion_tokens":40,"total_tokens":140,"prompt_tokens_details":{"cached_tokens":30}}}
--- request
POST /v1/chat/completions
{"model":"m","max_tokens":50}
--- more_headers
X-Org: acme
X-Project: search
X-Client: c-1
X-LLM-Tag: nightly
--- after
my ($line) = log_lines_of($t, 1);
my %want = (
    org => 'acme', project => 'search', client => 'c-1', provider => 'second', model => 'other',
    rate_limit_reason => '', request_remaining => 9, fallback_attempted => 1,
    fallback_reason => 'rate_limited', fallback_effective => 'second', input_cost => '0.00010000',
    output_cost => '0.00008000', total_cost => '0.00018000', cost_status => 'recorded', status => 200,
    tag => 'nightly', requested_model => 'm', served_by => 'second/other', prompt_tokens => 100,
    completion_tokens => 40, total_tokens => 140, cache_read_tokens => 30, usage_source => 'reported',
    fallback_attempt_count => 2, fallback_primary_provider => 'first', auth_credential => 'b',
    resolution_outcome => 'fallback_after_failure', gateway_key_id => '',
);
is_deeply({ map { $_ => $line->{$_} } keys %want }, \%want, 'its fields');
like($line->{chain}, qr{\Afirst/m:429:\d+ms, second/other:200:\d+ms\z}, 'the chain');
like($line->{time}, qr/\A\d{4}-\d\d-\d\dT[\d:]+[+-]\d\d:\d\d\z/, 'the time');
like($line->{request_time}, qr/\A\d+\.\d{3}\z/, 'how long it took');
cmp_ok($line->{token_remaining}, '<', 10_000, 'tokens that are left');
is($line->{cost_event_id}, (Test::LLM::Client::header_values(($t->answers)[0], 'x-llm-event-id'))[0], 'the event');
# The order of the older format comes first.
my ($names) = $t->access_log =~ /\A\{(.*)/;
my @order = $names =~ /"(\w+)":/g;
is("@order[0 .. 18]", 'time org project client gateway_key_id provider model rate_limit_reason request_remaining '
    . 'token_remaining fallback_attempted fallback_reason fallback_effective input_cost output_cost total_cost '
    . 'cost_status status request_time', 'the order');

=== whatever the client sends, the line is JSON
--- http_config
    upstream one { server %%first%%; }
    llm_log_format json;
    access_log logs/access.log llm_json;
--- config
    llm_proxy_route first one;
    llm_proxy_default_provider first;
    location /v1/ {
        llm_proxy;
        llm_fallback;
        llm_fallback_request_headers tag;
        llm_ratelimit;
        llm_ratelimit_rule $http_x_client requests 100/m;
        llm_cost;
        llm_cost_client $http_x_client;
        llm_cost_tag team $http_x_client;
        proxy_pass http://$llm_provider_upstream;
    }
    location = /plain { return 200; }
--- requests eval
CORE::join ">>>\n", "GET /plain\n", "GET /none\n", map {"POST /v1/chat/completions?\xff\"\\\n$_\n"}
    '{"model":"\"\\\\</script>"}', '{"model":"\u0000\u0001\u001f"}', '{"model":"\n\r\t"}', "{\"model\":\"\xff\xfe\"}",
    '{"model":"\ud800"}', '{"model":"' . 'x' x 5000 . '"}', "\x00\xff", "{\"model\":\"\xf0\x9f\x98\x80\xe2\x80\xa8\"}", '{"model":"m"}'
--- more_headers eval
"X-Client: \"}\\\xff\xfe\xc3(\x01\x7f\nX-LLM-Tag: t\"\\\xff<\nUser-Agent: \xff\"\n"
--- error_code: 200 404 400 400 400 400 400 400 400 400 400
--- after
my $lines = eval { [ log_lines_of($t, 11) ] };
is($@, '', 'every line is JSON');
is(scalar @{ $lines // [] }, 11, 'a line for each request');

=== the same without a bad tag
--- http_config
    upstream one { server %%first%%; }
    llm_log_format json;
    access_log logs/access.log llm_json;
--- config
    llm_proxy_route first one;
    llm_proxy_default_provider first;
    location /v1/ {
        llm_proxy;
        llm_fallback;
        llm_fallback_request_headers tag;
        llm_ratelimit;
        llm_ratelimit_rule $http_x_client requests 100/m;
        llm_cost;
        llm_cost_client $http_x_client;
        llm_cost_org $http_x_client;
        proxy_set_header X-Client "";
        proxy_pass http://$llm_provider_upstream;
    }
--- provider_first
{"times":4,"status":200,"json":{"model":"\"\\\u0001\n","usage":{"prompt_tokens":1,"completion_tokens":1,"total_tokens":2}}}
--- requests eval
CORE::join ">>>\n", map {"POST /v1/chat/completions\n$_\n"}
    '{"model":"\"\\\\</script>"}', '{"model":"\u0000\u0001\u001f"}', "{\"model\":\"\xff\xfe\"}",
    "{\"model\":\"\xf0\x9f\x98\x80\xe2\x80\xa8\"}", '{"model":"' . 'x' x 200 . '"}', '{"model":"m"}'
--- more_headers eval
"X-Client: \"}\\\xff\xfe\xc3(\x01\x7f\n"
--- error_code: 200 400 400 200 200 200
--- after
my $lines = eval { [ log_lines_of($t, 6) ] };
is($@, '', 'every line is JSON');
is($lines->[0]{requested_model}, '"\\</script>', 'quotes and backslashes');
is($lines->[3]{requested_model}, "\x{1f600}\x{2028}", 'beyond ASCII');
like($lines->[5]{client}, qr/\A"\}\\/, 'a header');

=== beside a format of one's own
--- http_config
    upstream one { server %%first%%; }
    log_format mine '$status';
    llm_log_format json;
    access_log logs/access.log mine;
--- config
    llm_proxy_route first one;
    llm_proxy_default_provider first;
    location /v1/ { llm_proxy; access_log logs/llm.log llm_json; proxy_pass http://$llm_provider_upstream; }
--- request
POST /v1/chat/completions
{"model":"m"}
--- after
wait_until { length slurp($t->root . '/logs/llm.log') } 3;
is(JSON::PP::decode_json($t->read_file('logs/llm.log'))->{provider}, 'first', 'the line');

=== without it the format is unknown
--- http_config
    access_log logs/access.log llm_json;
--- must_fail
unknown log format "llm_json"

=== a format of that name is there already
--- http_config
    log_format llm_json '$status';
    llm_log_format json;
--- must_fail
duplicate "log_format" name "llm_json"

=== there is one kind
--- http_config
    llm_log_format text;
--- must_fail
invalid value "text" in "llm_log_format" directive, it must be "json"

=== at most once
--- http_config
    llm_log_format json;
    llm_log_format json;
--- must_fail
"llm_log_format" directive is duplicate

=== is for http alone
--- config
    llm_log_format json;
--- must_fail
"llm_log_format" directive is not allowed here
