# The product's promise, fault by fault: sixteen ways in which a provider fails, each against
# nginx-conf/failover.conf, where only the times are shorter. A fault is judged by what the client
# reads and by what the providers are asked:
#
#   pass                     the whole answer, in time, and nothing to find fault with
#   rescued with a flaw      the whole answer, but later, or with more requests than it takes
#   bounded clean error      no answer, but soon an error that says so
#   fail                     half an answer that looks whole, a mixed one, no end, no clean error
#
# A refusal of the content (13) has to reach the client: there the clean error is the pass, and an
# answer by another provider is the flaw. "prove -v" shows the scorecard.

use Test::LLM 'no_plan';

use JSON::PP ();
use Test::LLM::Client;
use Test::LLM::Nginx;
use Test::LLM::Util qw(now pause scale);

my $json  = JSON::PP->new->utf8;
my $words = 60;
my %card;    # "hold number" => { title, verdict, why }

# --- the configuration ------------------------------------------------------------------------

sub shipped { slurp(__FILE__ =~ s{[^/]*\z}{}r . "../nginx-conf/$_[0]") }

# failover.conf with short times; further changes are pairs of a directive's name and its value.
sub failover_conf {
    my (%change) = @_;
    my $ms = sub { $_[0] * scale() . 'ms' };
    my $text = shipped('failover.conf');
    my %directive = (
        'load_module modules/ngx_http_llm_module.so' => '%%load_module%%',
        'pid logs/nginx.pid'            => '',
        'worker_processes auto'         => 'worker_processes 2;',
        'listen 127.0.0.1:8080'         => 'listen 127.0.0.1:%%port%%;',
        'llm_fallback_cooldown 10s max=20s fails=3' =>
            'llm_fallback_cooldown ' . $ms->(500) . ' max=' . $ms->(1000) . ' fails=3;',
        'llm_proxy_heartbeat 15s'           => 'llm_proxy_heartbeat ' . $ms->(600) . ';',
        'llm_proxy_first_token_timeout 10s' => 'llm_proxy_first_token_timeout ' . $ms->(400) . ';',
        'llm_proxy_idle_timeout 20s'        => 'llm_proxy_idle_timeout ' . $ms->(400) . ';',
        %change,
    );
    for my $line (sort keys %directive) {
        $text =~ s/^\s*\K\Q$line\E;/$directive{$line}/m or die "failover.conf has no \"$line;\"\n";
    }
    return $text;
}

sub first_token_conf {
    return failover_conf('llm_fallback_hold complete' => 'llm_fallback_hold first_token;');
}

# The folder that failover.conf asks for, with providers of ours in the place of the real ones.
sub failover_files {
    return <<'FILES';
>>> temp/README
>>> failover_providers.inc
upstream primary { server %%primary_tls%%; keepalive 32; }
upstream secondary { server %%secondary_tls%%; keepalive 32; }
llm_proxy_route primary primary host=primary.test;
llm_proxy_route secondary secondary host=secondary.test;
llm_auth_credential primary env:PRIMARY_API_KEY;
llm_auth_credential secondary env:SECONDARY_API_KEY;
FILES
}

# --- what the client reads --------------------------------------------------------------------

# What becomes of an answer: "answer", "error", or what is neither, with all that a client can know.
sub read_answer {
    my ($answer) = @_;
    my $seen = { what => 'answer', text => '', model => {}, id => {}, finish => 0, marker => 0 };
    return { %$seen, what => 'no end' } if !$answer->{complete} && $answer->{ended} =~ /timeout/;
    my ($kind) = Test::LLM::Client::header_values($answer, 'content-type');
    return read_plain($seen, $answer) if ($kind // '') !~ /\Atext\/event-stream/;
    for my $event (split /\n\n/, $answer->{body}) {
        next if $event =~ /\A:/;
        return { %$seen, what => 'something behind its end' } if $seen->{marker} || $seen->{error};
        my ($data) = $event =~ /\Adata: (.*)\z/ or return { %$seen, what => 'a broken event' };
        if ($data eq '[DONE]') { $seen->{marker}++; next }
        my $chunk = eval { $json->decode($data) } // return { %$seen, what => 'a broken event' };
        if ($chunk->{error}) { $seen->{error} = $chunk->{error}; next }
        add_chunk($seen, $chunk);
    }
    if ($seen->{error}) {
        # Whoever does not read the event sees at least that the answer has no end.
        my $clean = !$answer->{complete} && !$seen->{marker} && is_error($seen->{error});
        $seen->{what} = $clean ? 'error' : 'an error that looks like an end';
    }
    elsif (!$answer->{complete}) { $seen->{what} = 'an end without a word of explanation' }
    elsif ($seen->{finish} != 1) { $seen->{what} = 'a part that looks whole' }
    return $seen;
}

sub add_chunk {
    my ($seen, $chunk) = @_;
    $seen->{id}{ $chunk->{id} } = $seen->{model}{ $chunk->{model} } = 1;
    $seen->{usage} = $chunk->{usage} if $chunk->{usage};
    for my $choice (@{ $chunk->{choices} }) {
        $seen->{text} .= $choice->{delta}{content} // '';
        $seen->{finish}++ if $choice->{finish_reason};
    }
}

# An answer that is no stream.
sub read_plain {
    my ($seen, $answer) = @_;
    return { %$seen, what => 'no whole answer' } if !$answer->{complete};
    my $body = eval { $json->decode($answer->{body}) };
    return { %$seen, what => 'no JSON' } if ref $body ne 'HASH';
    if ($answer->{status} >= 400) {
        my $what = is_error($body->{error}) ? 'error' : 'an error without words';
        return { %$seen, what => $what, error => $body->{error} };
    }
    $seen->{id}{ $body->{id} } = $seen->{model}{ $body->{model} } = 1;
    $seen->{usage} = $body->{usage};
    $seen->{text}  = $body->{choices}[0]{message}{content} // '';
    return $seen;
}

sub is_error {
    my ($error) = @_;
    return ref $error eq 'HASH' && length $error->{message} && exists $error->{type}
        && exists $error->{code};
}

# Sixty words, of which the first ones name who says them.
sub text_of {
    my ($provider) = @_;
    my @filler = qw(The quick brown fox jumps over a lazy dog while tokens flow.);
    return join ' ', 'Hello', 'from', "${provider}_tls.", map { $filler[ $_ % @filler ] } 0 .. 56;
}

my %model_of = (primary => 'gpt-main', secondary => 'mistral-large-latest');

# What is wrong with an answer that should be the whole one of this provider.
sub faults_of_answer {
    my ($t, $answer, $provider) = @_;
    my $seen = read_answer($answer);
    return $seen->{what} if $seen->{what} ne 'answer';
    my $model = $model_of{$provider};
    my ($ours) = Test::LLM::Client::header_values($answer, 'x-llm-provider');
    my @faults;
    push @faults, 'a mixed answer' if keys %{ $seen->{id} } != 1 || keys %{ $seen->{model} } != 1;
    push @faults, "the text \"$seen->{text}\"" if $seen->{text} ne text_of($provider);
    push @faults, "the model @{[ keys %{ $seen->{model} } ]}" if !$seen->{model}{$model};
    push @faults, 'no usage, or another one\'s'
        if ($seen->{usage}{completion_tokens} // 0) != $words + 4;
    # A client that was sent a heartbeat had its head before anybody knew who would answer.
    push @faults, "served by $ours" if defined $ours && $ours ne $provider;
    my $wanted = qr{ served=$provider/$model .* model=$model in=12 out=@{[ $words + 4 ]} };
    my $is_logged = wait_until { $t->access_log =~ / asked=gpt-main\b.*$wanted/ } 5;
    push @faults, "the log\n" . $t->access_log if !$is_logged;
    return @faults;
}

# --- the verdict ------------------------------------------------------------------------------

# Fields: by (who should answer; none where the refusal is the right answer), within (seconds),
# must (name => truth: what no verdict but "fail" excuses), should (name => truth: flaws).
sub verdict {
    my ($t, $number, %field) = @_;
    my ($answer) = $field{answer} // $t->answers;
    my $seen = read_answer($answer);
    my %must   = (%{ $field{must}   // {} }, 'alive afterwards' => is_alive($t));
    my %should = (%{ $field{should} // {} });
    $must{'in time'} = $answer->{seconds} <= $field{within} * scale();
    my @broken = grep { !$must{$_} } sort keys %must;
    my @flaws  = grep { !$should{$_} } sort keys %should;
    my $result = judge($t, $answer, $seen, \%field, \@broken, \@flaws);
    record($field{hold} // 'complete', $number, $t->{name}, $result, $field{wanted} // 'pass');
}

# A verdict and the reason for it.
sub judge {
    my ($t, $answer, $seen, $field, $broken, $flaws) = @_;
    return [ 'fail', "not @$broken" ] if @$broken;
    my $by = $field->{by};
    if ($seen->{what} eq 'error') {
        return [ 'bounded clean error', $seen->{error}{code} // $seen->{error}{type} ] if $by;
        return [ 'pass', "the client reads $seen->{error}{code}" ];
    }
    return [ $seen->{what} eq 'answer' ? 'rescued with a flaw' : 'fail', 'routed around' ] if !$by;
    my @faults = faults_of_answer($t, $answer, $by);
    return [ 'fail', join ', ', @faults ] if @faults;
    return [ 'rescued with a flaw', 'not ' . join ', ', @$flaws ] if @$flaws;
    return [ 'pass', sprintf 'whole, by the %s, after %.1f s', $by, $answer->{seconds} ];
}

sub record {
    my ($hold, $number, $title, $result, $wanted) = @_;
    my ($verdict, $why) = @$result;
    $card{$hold}{$number} = { title => $title, verdict => $verdict, why => $why };
    ok($verdict eq $wanted, "$title: $wanted") or diag("$verdict: $why");
}

# Another request, which nobody has anything against, is answered.
sub is_alive {
    my ($t) = @_;
    my $answer = $t->request(qq(POST /v1/chat/completions\n{"model":"gpt-other","messages":[]}));
    return $answer->{status} eq '200' && $answer->{complete} && $answer->{seconds} < 1 * scale();
}

# Requests for the model that the client had asked for, and for the one of the fallback.
sub asked {
    my ($t, $provider) = @_;
    return grep { $_->{body} =~ /"model":"$model_of{$provider}"/ }
        @{ $t->mock->requests("${provider}_tls") };
}

# Seconds between the first request and the second.
sub first_pause {
    my ($first, $second) = @_;
    return $second ? ($second->{at_ms} - $first->{at_ms}) / 1000 : 0;
}

# --- number 15 --------------------------------------------------------------------------------

# One request every now and then, first while the primary is down, then while it is well again.
sub outage {
    my ($t) = @_;
    my ($down, $every, $mock) = (3 * scale(), 0.2 * scale(), $t->mock);
    my $refusal = { status => 503, times => 'always', when => { model => 'gpt-main' } };
    my $text = { words => $words, times => 'always' };
    $mock->script(primary_tls   => [$refusal]);
    $mock->script(secondary_tls => [$text]);
    my $started  = now();
    my @answers  = series($t, $every, sub { now() - $started < $down });
    my @in_vain  = asked($t, 'primary');
    my @wrong    = map { faults_of_answer($t, $_, 'secondary') } $answers[-1];
    my @unserved = grep { read_answer($_)->{text} ne text_of('secondary') } @answers;
    $mock->control(DELETE => '/primary_tls');
    $mock->script(primary_tls => [$text]);
    my $well = now();
    my $back;
    series($t, $every, sub {
        my ($last) = @_;
        $back = now() - $well if $last && read_answer($last)->{text} eq text_of('primary');
        return !defined $back && now() - $well < 10 * scale();
    });
    verdict($t, 15,
        answer => $answers[-1], by => 'secondary', within => 2,
        must   => {
            'everybody served' => !@unserved && !@wrong,
            'back in time'     => defined $back && $back < 1.5 * scale(),
        },
        # A request for each failure that benches, its retries, and a probe for each bench.
        should => { 'left alone while down' => @in_vain < @answers },
    );
    return if $card{complete}{15}{verdict} ne 'pass';
    $card{complete}{15}{why} = sprintf
        '%d requests, %d of them to the primary in vain, back after %.1f s',
        scalar @answers, scalar @in_vain, $back // -1;
}

sub series {
    my ($t, $every, $goes_on) = @_;
    my (@answers, $next);
    while ($goes_on->($answers[-1])) {
        $next = ($next // now()) + $every;
        push @answers, $t->request(stream_request());
        pause($next - now()) if $next > now();
    }
    return @answers;
}

sub plain_request {
    return qq(POST /v1/chat/completions\n{"model":"gpt-main",)
        . q("messages":[{"role":"user","content":"Hi"}]});
}

sub stream_request {
    return qq(POST /v1/chat/completions\n{"model":"gpt-main","stream":true,)
        . q("stream_options":{"include_usage":true},"messages":[{"role":"user","content":"Hi"}]});
}

# --- the scorecard ----------------------------------------------------------------------------

sub print_scorecard {
    my ($hold) = @_;
    my $faults = $card{$hold} // {};
    my $passed = grep { $_->{verdict} eq 'pass' } values %$faults;
    Test::More::note($hold eq 'no stream' ? $hold : "llm_fallback_hold $hold");
    for my $number (sort { $a <=> $b } keys %$faults) {
        my $fault = $faults->{$number};
        Test::More::note(sprintf '%3d  %-20s %-60s %s', $number, @$fault{qw(verdict title why)});
    }
    Test::More::note(sprintf '     %d of %d pass', $passed, scalar keys %$faults);
    return $passed;
}

# The file as it is shipped, with the folder that its first lines ask for.
sub loads_as_shipped {
    my $folder = File::Temp::tempdir('ngx-llm-XXXXXX', TMPDIR => 1, CLEANUP => 1);
    mkdir "$folder/$_" for qw(logs temp modules);
    my $module = 'ngx_http_llm_module.so';
    symlink $ENV{TEST_LLM_MODULE}, "$folder/modules/$module" if $ENV{TEST_LLM_MODULE};
    spew("$folder/failover.conf", shipped('failover.conf'));
    # The names in it are somebody else's; a test must not ask for their addresses.
    my $providers = shipped('failover_providers.inc');
    my $servers = $providers =~ s/server [a-z.]+:443;/server 127.0.0.1:443;/g;
    spew("$folder/failover_providers.inc", $providers);
    local @ENV{qw(PRIMARY_API_KEY SECONDARY_API_KEY)} = qw(sk-1-SECRET-1 sk-2-SECRET-2);
    my $nginx = Test::LLM::Nginx::binary();
    my $said = qx("$nginx" -t -p "$folder/" -c failover.conf -e logs/error.log 2>&1);
    is($servers, 2, 'failover_providers.inc has two providers');
    ok($? == 0 && $said !~ /\[warn\]/, 'failover.conf loads as it is shipped') or diag($said);
}

run_tests();

loads_as_shipped();
print_scorecard('no stream');
print_scorecard('first_token');
is(print_scorecard('complete'), 16, '16 of 16 pass');

__DATA__

=== a 429 with a Retry-After of two seconds, once
--- nginx_conf eval: main::failover_conf()
--- user_files eval: main::failover_files()
--- env
PRIMARY_API_KEY=sk-primary-SECRET-1
SECONDARY_API_KEY=sk-secondary-SECRET-2
SSL_CERT_FILE=%%primary_tls_ca%%
--- provider_primary_tls
{"error":"rate_limit_exceeded","headers":{"retry-after":"2"},"when":{"model":"gpt-main"}}

{"words":60,"times":"always"}
--- request eval: main::stream_request()
--- after
my @asked = asked($t, 'primary');
verdict($t, 1, by => 'primary', within => 5,
    must   => { 'two requests' => @asked <= 2 },
    should => { 'asked again in time' => first_pause(@asked) >= 1.95 });

=== a 429 every time
--- nginx_conf eval: main::failover_conf()
--- user_files eval: main::failover_files()
--- env
PRIMARY_API_KEY=sk-primary-SECRET-1
SECONDARY_API_KEY=sk-secondary-SECRET-2
SSL_CERT_FILE=%%primary_tls_ca%%
--- provider_primary_tls
{"error":"rate_limit_exceeded","times":"always","when":{"model":"gpt-main"}}
--- provider_secondary_tls
{"words":60,"times":"always"}
--- request eval: main::stream_request()
--- after
my @asked = asked($t, 'primary');
verdict($t, 2, by => 'secondary', within => 3,
    must   => { 'few requests' => @asked <= 4 },
    should => { 'a pause before the second' => @asked < 2 || first_pause(@asked) >= 0.2 });

=== a 500 once
--- nginx_conf eval: main::failover_conf()
--- user_files eval: main::failover_files()
--- env
PRIMARY_API_KEY=sk-primary-SECRET-1
SECONDARY_API_KEY=sk-secondary-SECRET-2
SSL_CERT_FILE=%%primary_tls_ca%%
--- provider_primary_tls
{"error":"server_error","when":{"model":"gpt-main"}}

{"words":60,"times":"always"}
--- request eval: main::stream_request()
--- after
my @asked = asked($t, 'primary');
verdict($t, 3, by => 'primary', within => 3, should => { 'two requests' => @asked == 2 });

=== a 503 every time
--- nginx_conf eval: main::failover_conf()
--- user_files eval: main::failover_files()
--- env
PRIMARY_API_KEY=sk-primary-SECRET-1
SECONDARY_API_KEY=sk-secondary-SECRET-2
SSL_CERT_FILE=%%primary_tls_ca%%
--- provider_primary_tls
{"error":"overloaded","times":"always","when":{"model":"gpt-main"}}
--- provider_secondary_tls
{"words":60,"times":"always"}
--- request eval: main::stream_request()
--- after
my @asked = asked($t, 'primary');
verdict($t, 4, by => 'secondary', within => 3, must => { 'few requests' => @asked <= 4 });

=== a reset connection before any header, once
--- nginx_conf eval: main::failover_conf()
--- user_files eval: main::failover_files()
--- env
PRIMARY_API_KEY=sk-primary-SECRET-1
SECONDARY_API_KEY=sk-secondary-SECRET-2
SSL_CERT_FILE=%%primary_tls_ca%%
--- provider_primary_tls
{"fault":"reset","when":{"model":"gpt-main"}}
--- provider_secondary_tls
{"words":60,"times":"always"}
--- request eval: main::stream_request()
--- after
verdict($t, 5, by => 'secondary', within => 3);

=== a connection that is accepted and never answered
--- nginx_conf eval: main::failover_conf()
--- user_files eval: main::failover_files()
--- env
PRIMARY_API_KEY=sk-primary-SECRET-1
SECONDARY_API_KEY=sk-secondary-SECRET-2
SSL_CERT_FILE=%%primary_tls_ca%%
--- provider_primary_tls
{"fault":"hang","times":"always","when":{"model":"gpt-main"}}
--- provider_secondary_tls
{"words":60,"times":"always"}
--- request eval: main::stream_request()
--- after
my @asked = asked($t, 'primary');
verdict($t, 6, by => 'secondary', within => 2, should => { 'asked once' => @asked == 1 });

=== headers at once and the first token after 20 seconds
--- nginx_conf eval: main::failover_conf()
--- user_files eval: main::failover_files()
--- env
PRIMARY_API_KEY=sk-primary-SECRET-1
SECONDARY_API_KEY=sk-secondary-SECRET-2
SSL_CERT_FILE=%%primary_tls_ca%%
--- provider_primary_tls
{"first_ms":20000,"words":60,"times":"always","when":{"model":"gpt-main"}}
--- provider_secondary_tls
{"words":60,"times":"always"}
--- request eval: main::stream_request()
--- after
my @asked = asked($t, 'primary');
verdict($t, 7, by => 'secondary', within => 2, should => { 'asked once' => @asked == 1 });

=== a stream that breaks off after 40 of 60 words
--- nginx_conf eval: main::failover_conf()
--- user_files eval: main::failover_files()
--- env
PRIMARY_API_KEY=sk-primary-SECRET-1
SECONDARY_API_KEY=sk-secondary-SECRET-2
SSL_CERT_FILE=%%primary_tls_ca%%
--- provider_primary_tls
{"fault":"cut","after":41,"words":60,"times":"always","when":{"model":"gpt-main"}}
--- provider_secondary_tls
{"words":60,"times":"always"}
--- request eval: main::stream_request()
--- after
my @asked = asked($t, 'primary');
verdict($t, 8, by => 'secondary', within => 3, must => { 'few requests' => @asked <= 2 });

=== a stream that is silent after 20 tokens
--- nginx_conf eval: main::failover_conf()
--- user_files eval: main::failover_files()
--- env
PRIMARY_API_KEY=sk-primary-SECRET-1
SECONDARY_API_KEY=sk-secondary-SECRET-2
SSL_CERT_FILE=%%primary_tls_ca%%
--- provider_primary_tls
{"fault":"stall","after":21,"words":60,"times":"always","when":{"model":"gpt-main"}}
--- provider_secondary_tls
{"words":60,"times":"always"}
--- request eval: main::stream_request()
--- after
my @asked = asked($t, 'primary');
verdict($t, 9, by => 'secondary', within => 3, should => { 'asked once' => @asked == 1 });

=== a tenth event that is malformed
--- nginx_conf eval: main::failover_conf()
--- user_files eval: main::failover_files()
--- env
PRIMARY_API_KEY=sk-primary-SECRET-1
SECONDARY_API_KEY=sk-secondary-SECRET-2
SSL_CERT_FILE=%%primary_tls_ca%%
--- provider_primary_tls
{"fault":"malformed","after":9,"words":60,"times":"always","when":{"model":"gpt-main"}}
--- provider_secondary_tls
{"words":60,"times":"always"}
--- request eval: main::stream_request()
--- after
my @asked = asked($t, 'primary');
verdict($t, 10, by => 'secondary', within => 3, must => { 'few requests' => @asked <= 2 });

=== a stream that ends without [DONE]
--- nginx_conf eval: main::failover_conf()
--- user_files eval: main::failover_files()
--- env
PRIMARY_API_KEY=sk-primary-SECRET-1
SECONDARY_API_KEY=sk-secondary-SECRET-2
SSL_CERT_FILE=%%primary_tls_ca%%
--- provider_primary_tls
{"fault":"no_done","words":60,"times":"always"}
--- request eval: main::stream_request()
--- after
my @asked = asked($t, 'primary');
verdict($t, 11, by => 'primary', within => 1, should => { 'asked once' => @asked == 1 });

=== a 400 that says context_length_exceeded
--- nginx_conf eval: main::failover_conf()
--- user_files eval: main::failover_files()
--- env
PRIMARY_API_KEY=sk-primary-SECRET-1
SECONDARY_API_KEY=sk-secondary-SECRET-2
SSL_CERT_FILE=%%primary_tls_ca%%
--- provider_primary_tls
{"error":"context_length_exceeded","times":"always","when":{"model":"gpt-main"}}
--- provider_secondary_tls
{"words":60,"times":"always"}
--- request eval: main::stream_request()
--- after
my @asked = asked($t, 'primary');
verdict($t, 12, by => 'secondary', within => 1, must => { 'asked once' => @asked == 1 });

=== a 400 that says content_policy_violation
--- nginx_conf eval: main::failover_conf()
--- user_files eval: main::failover_files()
--- env
PRIMARY_API_KEY=sk-primary-SECRET-1
SECONDARY_API_KEY=sk-secondary-SECRET-2
SSL_CERT_FILE=%%primary_tls_ca%%
--- provider_primary_tls
{"error":"content_policy_violation","times":"always","when":{"model":"gpt-main"}}
--- request eval: main::stream_request()
--- error_code: 400
--- after
my @asked = asked($t, 'primary');
my ($answer) = $t->answers;
verdict($t, 13, within => 1, must => {
    'asked once'           => @asked == 1,
    'left to the primary'  => !asked($t, 'secondary'),
    'the provider\'s reason' => $answer->{body} =~ /"code":"content_policy_violation"/,
});
--- provider_secondary_tls_requests: 0

=== a stream that breaks off, and a fallback that takes no assistant prefill
--- nginx_conf eval: main::failover_conf()
--- user_files eval: main::failover_files()
--- env
PRIMARY_API_KEY=sk-primary-SECRET-1
SECONDARY_API_KEY=sk-secondary-SECRET-2
SSL_CERT_FILE=%%primary_tls_ca%%
--- provider_primary_tls
{"fault":"cut","after":41,"words":60,"times":"always","when":{"model":"gpt-main"}}
--- provider_secondary_tls
{"words":60,"times":"always"}
--- request eval: main::stream_request()
--- after
my @messages = map { JSON::PP::decode_json($_->{body})->{messages} } asked($t, 'secondary');
verdict($t, 14, by => 'secondary', within => 3, must => {
    'the client\'s own messages' => @messages == 1 && @{ $messages[0] } == 1
        && $messages[0][0]{role} eq 'user',
});

=== a primary that is down for a minute, under a request every four seconds
--- nginx_conf eval: main::failover_conf()
--- user_files eval: main::failover_files()
--- env
PRIMARY_API_KEY=sk-primary-SECRET-1
SECONDARY_API_KEY=sk-secondary-SECRET-2
SSL_CERT_FILE=%%primary_tls_ca%%
--- after
outage($t);

=== the model and the usage are the winner's
--- nginx_conf eval: main::failover_conf()
--- user_files eval: main::failover_files()
--- env
PRIMARY_API_KEY=sk-primary-SECRET-1
SECONDARY_API_KEY=sk-secondary-SECRET-2
SSL_CERT_FILE=%%primary_tls_ca%%
--- provider_primary_tls
{"error":"overloaded","times":"always","when":{"model":"gpt-main"}}
--- provider_secondary_tls
{"words":60,"times":"always"}
--- request eval: main::stream_request()
--- response_headers
X-LLM-Provider: secondary
X-LLM-Served-By: secondary/mistral-large-latest
X-Fallback-Primary: primary
X-Fallback-Effective: secondary
X-LLM-Chain: ~^primary/gpt-main:503:\d+ms, primary/gpt-main:503:\d+ms, secondary/mistral-large-latest:200:\d+ms$
--- after
verdict($t, 16, by => 'secondary', within => 3, must => { 'one bill' => asked($t, 'secondary') == 1 });

=== with first_token, a stream that breaks off after 40 of 60 words
--- nginx_conf eval: main::first_token_conf()
--- user_files eval: main::failover_files()
--- env
PRIMARY_API_KEY=sk-primary-SECRET-1
SECONDARY_API_KEY=sk-secondary-SECRET-2
SSL_CERT_FILE=%%primary_tls_ca%%
--- provider_primary_tls
{"fault":"cut","after":41,"words":60,"times":"always","when":{"model":"gpt-main"}}
--- request eval: main::stream_request()
--- incomplete_response
--- after
verdict($t, 8, hold => 'first_token', wanted => 'bounded clean error', by => 'secondary', within => 3);
--- provider_secondary_tls_requests: 0

=== with first_token, a stream that is silent after 20 tokens
--- nginx_conf eval: main::first_token_conf()
--- user_files eval: main::failover_files()
--- env
PRIMARY_API_KEY=sk-primary-SECRET-1
SECONDARY_API_KEY=sk-secondary-SECRET-2
SSL_CERT_FILE=%%primary_tls_ca%%
--- provider_primary_tls
{"fault":"stall","after":21,"words":60,"times":"always","when":{"model":"gpt-main"}}
--- request eval: main::stream_request()
--- incomplete_response
--- after
verdict($t, 9, hold => 'first_token', wanted => 'bounded clean error', by => 'secondary', within => 3);
--- provider_secondary_tls_requests: 0

=== without a stream, headers at once and the body after 20 seconds
--- nginx_conf eval: main::failover_conf()
--- user_files eval: main::failover_files()
--- env
PRIMARY_API_KEY=sk-primary-SECRET-1
SECONDARY_API_KEY=sk-secondary-SECRET-2
SSL_CERT_FILE=%%primary_tls_ca%%
--- provider_primary_tls
{"first_ms":20000,"words":60,"times":"always","when":{"model":"gpt-main"}}
--- provider_secondary_tls
{"words":60,"times":"always"}
--- request eval: main::plain_request()
--- after
verdict($t, 7, hold => 'no stream', by => 'secondary', within => 3);

=== without a stream, an answer that is shorter than its length
--- nginx_conf eval: main::failover_conf()
--- user_files eval: main::failover_files()
--- env
PRIMARY_API_KEY=sk-primary-SECRET-1
SECONDARY_API_KEY=sk-secondary-SECRET-2
SSL_CERT_FILE=%%primary_tls_ca%%
--- provider_primary_tls
{"fault":"short_length","words":60,"times":"always","when":{"model":"gpt-main"}}
--- provider_secondary_tls
{"words":60,"times":"always"}
--- request eval: main::plain_request()
--- after
verdict($t, 8, hold => 'no stream', by => 'secondary', within => 3);

=== without a stream, an answer that is silent half way
--- nginx_conf eval: main::failover_conf()
--- user_files eval: main::failover_files()
--- env
PRIMARY_API_KEY=sk-primary-SECRET-1
SECONDARY_API_KEY=sk-secondary-SECRET-2
SSL_CERT_FILE=%%primary_tls_ca%%
--- provider_primary_tls
{"fault":"stall","after":1,"chunks":["{\"choices\":[{"],"headers":{"content-type":"application/json"},"times":"always","when":{"model":"gpt-main"}}
--- provider_secondary_tls
{"words":60,"times":"always"}
--- request eval: main::plain_request()
--- after
verdict($t, 9, hold => 'no stream', by => 'secondary', within => 3);

=== without a stream, an answer that is malformed
--- nginx_conf eval: main::failover_conf()
--- user_files eval: main::failover_files()
--- env
PRIMARY_API_KEY=sk-primary-SECRET-1
SECONDARY_API_KEY=sk-secondary-SECRET-2
SSL_CERT_FILE=%%primary_tls_ca%%
--- provider_primary_tls
{"fault":"malformed","words":60,"times":"always","when":{"model":"gpt-main"}}
--- provider_secondary_tls
{"words":60,"times":"always"}
--- request eval: main::plain_request()
--- after
verdict($t, 10, hold => 'no stream', by => 'secondary', within => 3);

