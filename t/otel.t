# Tracing: the context of a client's trace reaches the provider with each attempt, and the attributes of
# nginx-conf/otel.conf say what they should. nginx's OpenTelemetry module itself is not here: its lines
# are taken out, and its attributes become a line of the access log. t/otel_module.t has it.

use Test::LLM 'no_plan';

use Test::LLM::Metrics;

my @attributes;

sub conf {
    my $text = slurp(__FILE__ =~ s{[^/]*\z}{}r . '../nginx-conf/otel.conf');
    @attributes = $text =~ /^\s*otel_span_attr (\S+ \S+);/mg;
    my %line = (
        'load_module modules/ngx_http_llm_module.so' => '%%load_module%%',
        'load_module modules/ngx_otel_module.so' => '',
        'pid logs/nginx.pid'            => '',
        'worker_processes auto'         => 'worker_processes 1;',
        'listen 127.0.0.1:8080'         => 'listen 127.0.0.1:%%port%%;',
        'upstream openai_api { server api.openai.com:443'     => 'upstream openai_api { server %%openai%%;',
        'upstream deepseek_api { server api.deepseek.com:443' => 'upstream deepseek_api { server %%deepseek%%;',
        'proxy_pass https://$llm_provider_upstream' => 'proxy_pass http://$llm_provider_upstream;',
    );
    for my $line (sort keys %line) {
        $text =~ s/^\s*\K\Q$line\E;/$line{$line}/m or die "otel.conf has no \"$line;\"\n";
    }
    $text =~ s/^\s*otel_exporter \{.*?\}\n//ms or die "otel.conf has no exporter\n";
    $text =~ s/^\s*otel_(?:span_name|service_name|trace|trace_context|span_attr) [^;]*;\n//mg;
    die "otel.conf has a line that this test does not know\n" if $text =~ /^[^#\n]*otel/m;
    my $fields = join ',', map { /(\S+) (\S+)/ ? "\"$1\":\"$2\"" : () } @attributes;
    $text =~ s/^http \{\n\K/    log_format span escape=json '{$fields}';\n    access_log logs\/access.log span;\n/m;
    return $text;
}

run_tests();

__DATA__

=== the attributes of a request that fell back
--- nginx_conf eval: main::conf()
--- user_files
>>> temp/README
nginx makes its folders here
--- provider_deepseek
503 {"error":{}}
--- provider_openai
200 {"choices":[{"message":{"content":"hi"},"finish_reason":"stop"}],"usage":{"prompt_tokens":100,"completion_tokens":40,"total_tokens":140,"prompt_tokens_details":{"cached_tokens":30}}}
--- request
POST /v1/chat/completions
{"model":"deepseek-v4-pro","messages":[]}
--- more_headers
traceparent: 00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01
tracestate: vendor=value
--- provider_deepseek_got
POST /v1/chat/completions
traceparent: 00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01
tracestate: vendor=value
--- provider_openai_got
POST /v1/chat/completions
traceparent: 00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01
tracestate: vendor=value
--- after
my ($span) = log_lines_of($t, 1);
my %want = (
    'gen_ai.provider.name' => 'openai', 'gen_ai.request.model' => 'deepseek-v4-pro',
    'gen_ai.response.model' => 'gpt-5-mini', 'gen_ai.usage.input_tokens' => 100,
    'gen_ai.usage.output_tokens' => 40, 'llm.streaming' => 0, 'llm.attempts' => 2,
    'llm.fallback.reason' => 'upstream_5xx', 'llm.usage.cache_read_tokens' => 30,
    'llm.usage.source' => 'reported', 'llm.cost.total' => '0.00010500',
);
is_deeply({ map { $_ => $span->{$_} } keys %want }, \%want, 'the attributes');
is($span->{'llm.event_id'}, (Test::LLM::Client::header_values(($t->answers)[0], 'x-llm-event-id'))[0], 'the event');
like($span->{'llm.chain'}, qr{\Adeepseek/deepseek-v4-pro:503:\d+ms, openai/gpt-5-mini:200:\d+ms\z}, 'the chain');
is(scalar keys %$span, 16, 'each attribute has its variable');

=== the attributes of a stream
--- nginx_conf eval: main::conf()
--- user_files
>>> temp/README
nginx makes its folders here
--- request
POST /v1/chat/completions
{"model":"gpt-5-mini","stream":true,"messages":[]}
--- more_headers
traceparent: 00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-00
--- provider_openai_got
POST /v1/chat/completions
traceparent: 00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-00
!tracestate
--- after
my ($span) = log_lines_of($t, 1);
is_deeply([ @$span{qw(llm.streaming llm.stream_state)} ], [ 1, 'complete' ], 'a whole stream');
like("$span->{'llm.ttft_ms'} $span->{'llm.overhead_ms'}", qr/\A\d+ [\d.]+\z/, 'its times');

=== who sends no context sends none to the provider
--- nginx_conf eval: main::conf()
--- user_files
>>> temp/README
nginx makes its folders here
--- request
POST /v1/chat/completions
{"model":"gpt-5-mini","messages":[]}
--- provider_openai_got
POST /v1/chat/completions
!traceparent
!tracestate
