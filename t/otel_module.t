# nginx-conf/otel.conf with nginx's own OpenTelemetry module: what its collector receives, and what the
# providers do. The module is not part of nginx and no package of Debian 12, so TEST_LLM_OTEL_MODULE has
# to name one that fits TEST_LLM_NGINX. t/otel.t is about the same file without it.

use Test::LLM;

use Test::LLM::Spans;

plan $ENV{TEST_LLM_OTEL_MODULE} ? 'no_plan' : (skip_all => 'TEST_LLM_OTEL_MODULE names no ngx_otel_module.so');

my $collector = Test::LLM::Spans->new;

sub collector { $collector }

sub conf {
    my $text = slurp(__FILE__ =~ s{[^/]*\z}{}r . '../nginx-conf/otel.conf');
    my %line = (
        'load_module modules/ngx_http_llm_module.so' => '%%load_module%%',
        'load_module modules/ngx_otel_module.so' => "load_module $ENV{TEST_LLM_OTEL_MODULE};",
        'pid logs/nginx.pid'            => '',
        'worker_processes auto'         => 'worker_processes 1;',
        'listen 127.0.0.1:8080'         => 'listen 127.0.0.1:%%port%%;',
        'endpoint 127.0.0.1:4317'       => "endpoint @{[$collector->address]}; interval 50ms;",
        'upstream openai_api { server api.openai.com:443'     => 'upstream openai_api { server %%openai%%;',
        'upstream deepseek_api { server api.deepseek.com:443' => 'upstream deepseek_api { server %%deepseek%%;',
        'proxy_pass https://$llm_provider_upstream' => 'proxy_pass http://$llm_provider_upstream;',
    );
    for my $line (sort keys %line) {
        $text =~ s/^\s*\K\Q$line\E;/$line{$line}/m or die "otel.conf has no \"$line;\"\n";
    }
    return $text;
}

# What a provider was sent of the trace.
sub context_at {
    my ($t, $provider) = @_;
    my ($request) = @{ $t->mock->requests($provider) };
    my %got = map { (lc $_->[0] => $_->[1]) } @{ $request->{headers} };
    return ($got{traceparent}, $got{tracestate});
}

run_tests();

__DATA__

=== a request that fell back is one span of the client's trace
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
--- after
my @spans = collector()->take(10);
is(scalar @spans, 1, 'one span for both attempts');
my ($span) = @spans;
is($span->{resource}{'service.name'}, 'llm-gateway', 'the service');
is($span->{name}, 'chat deepseek-v4-pro', 'its name');
is_deeply([ @$span{qw(trace_id parent_span_id trace_state)} ],
    [ '0af7651916cd43dd8448eb211c80319c', 'b7ad6b7169203331', 'vendor=value' ], 'it goes on with the client\'s');
my %got = %{ $span->{attributes} };
my %want = (
    'gen_ai.provider.name' => 'openai', 'gen_ai.request.model' => 'deepseek-v4-pro',
    'gen_ai.response.model' => 'gpt-5-mini', 'gen_ai.usage.input_tokens' => 100,
    'gen_ai.usage.output_tokens' => 40, 'llm.streaming' => 0, 'llm.attempts' => 2,
    'llm.fallback.reason' => 'upstream_5xx', 'llm.usage.cache_read_tokens' => 30,
    'llm.usage.source' => 'reported', 'llm.cost.total' => '0.00010500',
    'http.status_code' => 200, 'http.route' => '/v1/',
);
is_deeply({ map { $_ => $got{$_} } keys %want }, \%want, 'the attributes');
is($got{'llm.event_id'}, (Test::LLM::Client::header_values(($t->answers)[0], 'x-llm-event-id'))[0], 'the event');
like($got{'llm.chain'}, qr{\Adeepseek/deepseek-v4-pro:503:\d+ms, openai/gpt-5-mini:200:\d+ms\z}, 'the chain');
my $context = "00-0af7651916cd43dd8448eb211c80319c-$span->{span_id}-01";
is_deeply([ context_at($t, $_) ], [ $context, 'vendor=value' ], "our span is the parent of what $_ does")
    for qw(deepseek openai);

=== the span of a stream knows what only its end tells
--- nginx_conf eval: main::conf()
--- user_files
>>> temp/README
nginx makes its folders here
--- request
POST /v1/chat/completions
{"model":"gpt-5-mini","stream":true,"messages":[]}
--- after
my ($span) = collector()->take(10);
my %got = %{ $span->{attributes} };
is_deeply([ @got{qw(llm.streaming llm.stream_state llm.usage.source)} ], [ 1, 'complete', 'reported' ], 'a whole stream');
like("$got{'llm.ttft_ms'} $got{'llm.overhead_ms'}", qr/\A\d+ [\d.]+\z/, 'its times');
is($span->{parent_span_id}, '', 'without a context of the client a trace begins here');
is_deeply([ context_at($t, 'openai') ], [ "00-$span->{trace_id}-$span->{span_id}-01", undef ], 'and goes on there');

=== what the gateway refuses has a span, too
--- nginx_conf eval: main::conf()
--- user_files
>>> temp/README
nginx makes its folders here
--- request
POST /v1/chat/completions
{"model":"nobody-has-it","messages":[]}
--- error_code: 404
--- after
my ($span) = collector()->take(10);
my %got = %{ $span->{attributes} };
is_deeply([ @got{qw(http.status_code gen_ai.request.model)} ], [ 404, 'nobody-has-it' ], 'with the reason');
is($got{$_}, '', "$_ is empty") for qw(gen_ai.usage.input_tokens llm.ttft_ms llm.cost.total);
