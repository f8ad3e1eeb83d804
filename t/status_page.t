# The page of llm_status in headless Chromium, with a real gateway behind it that is used, loses a provider
# and gets it back. t/browser/status_page.py looks at it; "scripts/browser" installs what that needs.

use Test::LLM;

my @missing = grep { system("command -v $_ >/dev/null 2>&1") } qw(chromium chromedriver);
push @missing, 'python3-selenium' if system '/usr/bin/python3 -c "import selenium" >/dev/null 2>&1';
if (@missing && $ENV{TEST_LLM_BROWSER}) { die "no browser: @missing\n" }
plan @missing ? (skip_all => "no browser: Debian's chromium, chromium-driver and python3-selenium are needed (scripts/browser)")
    : 'no_plan';

# Where scripts/browser wants screenshots, instead of checks; the gateway's clock is a file then.
my $shots = $ENV{TEST_LLM_SCREENSHOTS};

sub environment {
    my $keys = "OPENAI_API_KEY=sk-openai-SECRET-1\nDEEPSEEK_API_KEY=sk-deepseek-SECRET-2\n"
        . "ANTHROPIC_API_KEY=sk-ant-SECRET-3\n";
    return $keys if !$shots;
    my ($library) = glob '/usr/lib/*/faketime/libfaketime.so.1' or die "no libfaketime\n";
    return $keys . "LD_PRELOAD=$library\nFAKETIME_TIMESTAMP_FILE=%%root%%/clock\nFAKETIME_NO_CACHE=1\n"
        . "FAKETIME_DONT_FAKE_MONOTONIC=1\n";
}

# nginx keeps no variable for its workers that is not named.
sub main_lines {
    return $shots ? join '', map {"env FAKETIME_$_;\n"} qw(TIMESTAMP_FILE NO_CACHE DONT_FAKE_MONOTONIC) : '';
}

sub browse {
    my ($t) = @_;
    my $script = __FILE__ =~ s{[^/]*\z}{}r . 'browser/status_page.py';
    my @command = ($shots ? 'shoot' : 'check', $t->address, $t->mock->{control}, $shots // $t->root . '/tmp');
    push @command, $t->root . '/clock' if $shots;
    open my $output, '-|', '/usr/bin/python3', $script, @command or die "python3: $!\n";
    while (my $line = <$output>) {
        chomp $line;
        $line =~ /\A(not )?ok - (.*)/ ? ok(!$1, $2) : diag($line);
    }
    ok(close($output), 'the browser saw all of it');
}

run_tests();

__DATA__

=== a gateway that is used, loses a provider and gets it back
--- valgrind_skip: the page gives up before it answers
--- workers: 2
--- main_config eval: main::main_lines()
--- env eval: main::environment()
--- user_files
>>> clock
+0
--- http_config
    upstream openai_api { server %%openai%%; keepalive 16; }
    upstream deepseek_api { server %%deepseek%%; keepalive 16; }
    upstream anthropic_api { server %%anthropic%%; keepalive 16; }
    llm_cost_rate openai * 0.25 2;
    llm_cost_rate deepseek * 0.435 0.87;
    llm_cost_rate anthropic * 3 15;
    llm_proxy_route openai openai_api;
    llm_proxy_route deepseek deepseek_api;
    llm_proxy_route anthropic anthropic_api anthropic;
    llm_proxy_model_pattern gpt-5-mini openai;
    llm_proxy_model_pattern deepseek-* deepseek;
    llm_proxy_model_pattern claude-* anthropic;
--- config
    location /v1/ {
        llm_proxy;
        llm_metrics;
        llm_auth;
        llm_auth_credential openai env:OPENAI_API_KEY id=openai-main;
        llm_auth_credential deepseek env:DEEPSEEK_API_KEY id=deepseek-main;
        llm_auth_credential anthropic env:ANTHROPIC_API_KEY id=anthropic-main;
        llm_fallback;
        llm_fallback_mode health;
        llm_fallback_route deepseek openai gpt-5-mini;
        llm_fallback_cooldown 2s max=2s fails=1;
        llm_fallback_request_headers tag;
        llm_ratelimit;
        llm_ratelimit_key $http_x_project;
        llm_ratelimit_requests_per_minute 6000;
        llm_ratelimit_spend_scope project usd $http_x_project 1;
        llm_cost;
        llm_cost_project $http_x_project;
        proxy_pass http://$llm_provider_upstream;
    }
    location /llm-status { allow 127.0.0.1; deny all; llm_status; }
--- after: main::browse($t)
