# Two projects with different model policies, rendered by llmctl and served by one nginx: each host name has
# its own models, its own key and its own keys of clients; a project that is not active is closed.

use Test::LLM 'no_plan';

use Test::LLM::Ctl;

# The scenario's file on this machine.
sub manifest {
    my ($t, @change) = @_;
    my $text = slurp(__FILE__ =~ s{[^/]*\z}{}r . '../src/ctl/tests/data/two-projects.yaml');
    my ($openai, $deepseek) = map { $t->mock->address($_) } qw(openai deepseek);
    $text =~ s/"api\.openai\.com:443"/"$openai", ssl: false/ or die;
    $text =~ s/"api\.deepseek\.com:443"/"$deepseek", ssl: false/ or die;
    $text =~ s/^    listen: .*/    listen: "@{[ $t->address ]}"\n    status_listen: "127.0.0.1:@{[ $t->port('port2') ]}"/m or die;
    $text =~ s/^    tls: .*\n//m or die;
    $text =~ s{file:/etc/nginx/llm/openai\.key}{env:OPENAI_API_KEY};
    while (my ($old, $new) = splice @change, 0, 2) {
        $text =~ s/\Q$old\E/$new/ or die "the manifest has no \"$old\"\n";
    }
    $t->write_file('gateway.yaml', $text);
    return $t->root . '/gateway.yaml';
}

# Puts the rendering in the place of the block's configuration.
sub render {
    my ($t, @change) = @_;
    my $root = $t->root;
    my $text = llmctl_ok('render', manifest($t, @change), '--log-dir', 'logs', '--client-keys',
        "$root/client.keys", '--module', $ENV{TEST_LLM_MODULE});
    # The harness says where the process id and the log go, and which user's the files are.
    $text =~ s/^pid .*\n//m;
    $text =~ s/^error_log .*/error_log logs\/error.log info;/m;
    $text =~ s/^worker_processes auto;/($> == 0 ? 'user root; ' : '') . 'worker_processes 1;'/me;
    $text =~ s/manifest-gateway\.log/access.log/;
    $text =~ s/^http \{\n/http {\n    client_body_temp_path tmp\/b; proxy_temp_path tmp\/p; fastcgi_temp_path tmp\/f; uwsgi_temp_path tmp\/u; scgi_temp_path tmp\/s;\n/m;
    spew("$root/nginx.conf", $text);
}

sub status_of {
    my ($t, $host, $credential, $model) = @_;
    my $answer = $t->request(qq(POST /v1/chat/completions\n{"model":"$model","messages":[]}),
        "Host: $host.llm.example.com\nAuthorization: Bearer $credential");
    my ($code) = $answer->{body} =~ /"code":"(\w+)"/;
    return join ' ', grep {defined} $answer->{status}, $code;
}

run_tests();

__DATA__

=== each project has its models, its clients and its provider's key
--- nginx_conf
events {}
--- env
OPENAI_API_KEY=sk-openai-SECRET-1
OPENAI_API_KEY_RESEARCH=sk-openai-SECRET-2
DEEPSEEK_API_KEY=sk-deepseek-SECRET-3
--- init
put_keys($t, 'client.keys');
main::render($t);
--- provider_openai_requests: 3
--- provider_deepseek_requests: 1
--- after
my ($support, $research) = map { issue_key($t, 'client.keys', "$_-1", '--org', 'acme', '--project', $_,
    '--client', 'app') } qw(support research);
wait_until { main::status_of($t, 'closed', $support, 'gpt-5') =~ /403/
    && main::status_of($t, 'research', $support, 'gpt-5') =~ /api_key_out_of_scope/
    && main::status_of($t, 'support', $research, 'gpt-5') =~ /api_key_out_of_scope/ } 5;
is(main::status_of($t, 'support', $support, 'gpt-5-mini'), 200, 'support: its model');
is(main::status_of($t, 'support', $support, 'fast'), 200, 'support: by its alias');
is(main::status_of($t, 'support', $support, 'gpt-5'), '404 model_not_found', 'support: another project\'s model');
is(main::status_of($t, 'support', $research, 'gpt-5-mini'), '403 api_key_out_of_scope', 'support: another project\'s key');
is(main::status_of($t, 'research', $research, 'gpt-5'), 200, 'research: its model');
is(main::status_of($t, 'research', $research, 'deepseek-v4-pro'), 200, 'research: a pattern');
my @keys = map { (Test::LLM::Client::header_values($_, 'authorization'))[0] } @{ $t->mock->requests('openai') };
is_deeply(\@keys, [ map {"Bearer sk-openai-SECRET-$_"} 1, 1, 2 ], 'each project\'s key of the provider');
