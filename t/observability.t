# nginx-conf/observability.conf as it ships, with only its addresses, its worker count and, where a block
# says so, a limit changed: every location gives a sensible answer, and what is said in one place agrees
# with the others.

use Test::LLM 'no_plan';

use Test::LLM::Ledger;
use Test::LLM::Metrics;

sub shipped { slurp(__FILE__ =~ s{[^/]*\z}{}r . "../nginx-conf/$_[0]") }

# Further changes are pairs of a line and what stands in its place.
sub conf {
    my (%change) = @_;
    my $text = shipped('observability.conf');
    my %line = (
        'load_module modules/ngx_http_llm_module.so' => '%%load_module%%',
        'pid logs/nginx.pid'            => '',
        'error_log logs/error.log warn' => 'error_log logs/error.log info;',
        'worker_processes auto'         => 'worker_processes 2;',
        'listen 8080'                   => 'listen 127.0.0.1:%%port%%;',
        %change,
    );
    for my $line (sort keys %line) {
        $text =~ s/^\s*\K\Q$line\E;/$line{$line}/m or die "observability.conf has no \"$line;\"\n";
    }
    return $text;
}

# The folder that it asks for. Providers on this machine have addresses for names, which are in no
# certificate: "localhost" is in theirs.
sub files {
    my $providers = shipped('observability_providers.inc');
    for my $name (qw(openai deepseek anthropic)) {
        $providers =~ s/^upstream ${name}_api \{ server \K[^;]+/%%${name}_tls%%/m
            or die "observability_providers.inc has no upstream \"${name}_api\"\n";
    }
    return ">>> temp/README\n>>> observability_providers.inc\nproxy_ssl_name localhost;\n$providers"
        . ">>> observability_clients.map\n\"sk-client-SECRET-1\" search;\n\"sk-client-SECRET-2\" support;\n";
}

sub environment {
    return <<'ENV';
SSL_CERT_FILE=%%openai_tls_ca%%
OPENAI_API_KEY=sk-openai-SECRET-3
DEEPSEEK_API_KEY=sk-deepseek-SECRET-4
ANTHROPIC_API_KEY=sk-ant-SECRET-5
ENV
}

run_tests();

__DATA__

=== it loads as it is
--- nginx_conf eval: main::conf()
--- workers: 2
--- user_files eval: main::files()
--- env eval: main::environment()
--- must_load

=== its map of clients loads as it ships and knows nobody
--- nginx_conf eval: main::conf()
--- workers: 2
--- user_files eval: main::files() =~ s/>>> observability_clients.map\n.*/>>> observability_clients.map\n/sr . main::shipped('observability_clients.map')
--- env eval: main::environment()
--- request
POST /v1/chat/completions
{"model":"fast"}
--- error_code: 401

=== each location
--- nginx_conf eval: main::conf()
--- workers: 2
--- user_files eval: main::files()
--- env eval: main::environment()
--- requests
POST /v1/chat/completions
{"model":"fast","max_tokens":50,"messages":[]}
>>>
POST /v1/messages
{"model":"claude-opus-4","max_tokens":50,"messages":[]}
>>>
GET /v1/models
>>>
GET /llm-metrics
>>>
GET /llm-status
>>>
GET /llm-status
>>>
GET /llm-status/json
>>>
GET /
--- more_headers
Authorization: Bearer sk-client-SECRET-1
>>>
x-api-key: sk-client-SECRET-2
>>>
>>>
>>>
Accept: text/html
>>>
>>>
>>>
--- error_code: 200*7 404
--- response_headers
X-LLM-Served-By: deepseek/deepseek-v4-flash
X-RateLimit-Limit-Requests: 600
>>>
X-LLM-Provider: anthropic
>>>
Content-Type: application/json
>>>
Content-Type: text/plain; version=0.0.4; charset=utf-8
>>>
Content-Type: text/html; charset=utf-8
>>>
Content-Type: application/json
>>>
Content-Type: application/json
>>>
--- provider_deepseek_tls_got
POST /v1/chat/completions
Authorization: Bearer sk-deepseek-SECRET-4
--- provider_anthropic_tls_got
POST /v1/messages
x-api-key: sk-ant-SECRET-5

=== who may not come in
--- nginx_conf eval: main::conf() =~ s/allow [\d.\/]+;//gr
--- workers: 2
--- user_files eval: main::files()
--- env eval: main::environment()
--- requests
POST /v1/chat/completions
{"model":"fast"}
>>>
POST /v1/chat/completions
{"model":"fast"}
>>>
GET /llm-metrics
>>>
GET /llm-status
>>>
GET /llm-status/json
--- more_headers
>>>
Authorization: Bearer unknown
>>>
>>>
>>>
--- error_code: 401 401 403 403 403
--- provider_deepseek_tls_requests: 0

=== one fallback, in the answer, the log, the metrics, the report and the rows
--- nginx_conf eval: main::conf()
--- workers: 2
--- user_files eval: main::files()
--- env eval: main::environment()
--- provider_deepseek_tls
429 {"error":{}}
--- provider_openai_tls
200 {"choices":[{"message":{"content":"hi"},"finish_reason":"stop"}],"usage":{"prompt_tokens":1000,"completion_tokens":500,"total_tokens":1500,"prompt_tokens_details":{"cached_tokens":400}}}
--- request
POST /v1/chat/completions
{"model":"deepseek-v4-pro","max_tokens":500,"messages":[]}
--- more_headers
Authorization: Bearer sk-client-SECRET-1
X-LLM-Tag: nightly
--- response_headers
X-LLM-Served-By: openai/gpt-5-mini
X-LLM-Chain: ~^deepseek/deepseek-v4-pro:429:\d+ms, openai/gpt-5-mini:200:\d+ms$
--- after
my ($line) = log_lines_of($t, 1);
# 600 tokens at 0.25, 400 at 0.025 and 500 at 2 USD a million.
my %want = (provider => 'openai', model => 'gpt-5-mini', project => 'search', tag => 'nightly',
    fallback_reason => 'rate_limited', total_cost => '0.00116000', status => 200,
    requested_model => 'deepseek-v4-pro', auth_credential => 'openai-main');
is_deeply({ map { $_ => $line->{$_} } keys %want }, \%want, 'the log');
counts_are($t, <<'END', 'the metrics', '/llm-metrics');
llm_requests_total{provider="openai",model="gpt-5-mini",tenant="search",streaming="false",code="200"} 1
llm_attempts_total{provider="deepseek",model="deepseek-v4-pro",outcome="rate_limited"} 1
llm_attempts_total{provider="openai",model="gpt-5-mini",outcome="ok"} 1
llm_fallbacks_total{from="deepseek",to="openai",reason="rate_limited"} 1
llm_cost_units_total{provider="openai",model="gpt-5-mini",tenant="search",unit="usd"} 0.00116000
llm_spend{scope="project search",unit="usd"} 0.00116000
llm_spend_limit{scope="project search",unit="usd"} 500.00000000
llm_ratelimit_decisions_total{decision="allow",reason="none"} 1
llm_keys{provider="openai",state="ready"} 1
llm_keys{provider="openai",state="benched"} 0
llm_keys{provider="openai",state="missing"} 0
llm_keys{provider="deepseek",state="ready"} 0
llm_keys{provider="deepseek",state="benched"} 1
llm_keys{provider="deepseek",state="missing"} 0
llm_keys{provider="anthropic",state="ready"} 1
llm_keys{provider="anthropic",state="benched"} 0
llm_keys{provider="anthropic",state="missing"} 0
END
my $report = status_of($t, '/llm-status');
my $recent = $report->{recent}[0];
is_deeply([ @$recent{qw(provider model project tag cost fallback)} ],
    [ 'openai', 'gpt-5-mini', 'search', 'nightly', '0.00116000', JSON::PP::true() ], 'the report');
is_deeply([ map {"$_->{id} $_->{unit} $_->{spent}"} @{ $report->{budgets} } ], ['search usd 0.00116000'], 'its budget');
ok(wait_for_rows($t, 1), 'one row');
my $row = row_of($t, $t->answers);
is_deeply([ @$row{qw(provider project total_cost tag chain)} ],
    [ 'openai', 'search', '0.00116000', 'nightly', $line->{chain} ], 'the row');

=== limits that bind are counted with their reasons
--- nginx_conf eval: main::conf('llm_ratelimit_requests_per_minute 600' => 'llm_ratelimit_requests_per_minute 1;')
--- workers: 2
--- user_files eval: main::files()
--- env eval: main::environment()
--- requests
POST /v1/chat/completions
{"model":"fast","max_tokens":50,"messages":[]}
>>>
POST /v1/chat/completions
{"model":"fast","max_tokens":50,"messages":[]}
>>>
POST /v1/chat/completions
{"model":"gpt-5","max_tokens":50,"messages":[]}
--- more_headers
Authorization: Bearer sk-client-SECRET-1
>>>
Authorization: Bearer sk-client-SECRET-1
>>>
Authorization: Bearer sk-client-SECRET-2
--- error_code: 200 429 200
--- access_log
"project":"search".*"rate_limit_reason":"request_budget_exhausted".*"status":"429"
--- after
counts_are($t, <<'END', 'the metrics', '/llm-metrics');
llm_ratelimit_decisions_total{decision="allow",reason="none"} 2
llm_ratelimit_decisions_total{decision="deny",reason="request_budget_exhausted"} 1
llm_error_gateway_total{provider="other"} 1
END
