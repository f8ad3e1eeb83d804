# llmctl drain, undrain, probe, top and doctor with a gateway at work.

use Test::LLM 'no_plan';

use Test::LLM::Ctl;

sub control {
    my ($t, @words) = @_;
    my $run = llmctl(@words, '--status', 'http://' . $t->address . '/status');
    return ($run->{status}, "$run->{out}$run->{error}");
}

# Who answers now.
sub served_by {
    my ($t) = @_;
    my $answer = $t->request(qq(POST /v1/chat/completions\n{"model":"m"}));
    return (Test::LLM::Client::header_values($answer, 'x-llm-served-by'))[0] // $answer->{status};
}

run_tests();

__DATA__

=== a provider is taken out for its maintenance and put back
--- http_config
    upstream one { server %%first%%; }
    upstream two { server %%second%%; }
--- config
    llm_proxy_route first one;
    llm_proxy_route second two;
    llm_proxy_default_provider first;
    llm_fallback_route first second;
    llm_metrics;
    location /v1/ { llm_proxy; llm_fallback; proxy_pass http://$llm_provider_upstream; }
    location /status { llm_status; }
--- after
is(main::served_by($t), 'first/m', 'before');
is((main::control($t, 'drain', 'first'))[1], qq(provider "first": drained\n), 'drain');
is(main::served_by($t), 'second/m', 'drained');
my ($status, $text) = main::control($t, 'top', '--once');
is($status, '0', 'top');
like($text, qr/^ first +drained /m, 'top shows it');
is((main::control($t, 'undrain', 'first'))[1], qq(provider "first": up\n), 'undrain');
is(main::served_by($t), 'first/m', 'put back');
($status, $text) = main::control($t, 'drain', 'third');
is($status, '1', 'an unknown provider');
like($text, qr{drain\?provider=third answers 404: there is no provider of that name}, 'which is told');
($status, $text) = main::control($t, 'doctor', '-o', $t->root . '/tmp/problem.tar.gz');
is($status, '0', 'doctor') or diag($text);

=== a provider is asked now
--- http_config
    upstream one { server %%first%%; }
    upstream two { server %%closed%%; }
    upstream three { server %%third%%; }
--- config
    llm_proxy_route first one;
    llm_proxy_route second two;
    llm_proxy_route third three;
    llm_proxy_route fourth one;
    llm_proxy_default_provider first;
    llm_fallback_route first second;
    llm_fallback_mode health;
    llm_fallback_probe first interval=1h;
    llm_fallback_probe second interval=1h;
    llm_fallback_probe third interval=1h timeout=400ms;
    llm_metrics;
    location /v1/ { llm_proxy; llm_fallback; proxy_pass http://$llm_provider_upstream; }
    location /status { llm_status; }
--- provider_third
{"fault":"hang","times":"always"}
--- after
wait_until { $t->mock->state('first')->{requests} } 5;
my $before = $t->mock->state('first')->{requests};
my ($status, $text) = main::control($t, 'probe', 'first');
is($t->mock->state('first')->{requests}, $before + 1, 'the provider was asked before llmctl answered');
is($status, '0', 'one that works');
like($text, qr/\Aprovider "first" works, it answered with 200 within \d+ ms; requests go to it\n\z/, 'says so');
($status, $text) = main::control($t, 'probe', 'second');
is($status, '1', 'one that refuses');
like($text, qr/"second" does not work, there was no connection within \d+ ms; it is benched until/, 'says so');
($status, $text) = main::control($t, 'probe', 'third');
is($status, '1', 'one that hangs');
like($text, qr/"third" does not work, it did not answer within [4-9]\d\d ms; it is benched until/, 'says so');
($status, $text) = main::control($t, 'probe', 'fourth');
is($status, '1', 'one without a probe');
like($text, qr/answers 409: provider "fourth" has no "llm_fallback_probe", add one/, 'says so');
($status, $text) = main::control($t, 'probe', 'fifth');
is($status, '1', 'one that is not there');
like($text, qr/answers 404: there is no provider of that name/, 'says so');
my $run = llmctl('probe', 'first', '--status', 'http://' . $t->address . '/v2/status');
is($run->{status}, '1', 'a wrong address');
like($run->{error}, qr{/v2/status/probe\?provider=first answers 40\d, is llm_status there}, 'says so');
