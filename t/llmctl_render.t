# llmctl render: nginx loads each of the public scenarios, whole or in parts, with client keys or with an
# issuer's maps, and has nothing to warn of; llmctl check says the same of the folder as nginx does.

use strict;
use warnings;

use File::Path ();
use File::Temp ();
use POSIX ();
use Test::More;

use Test::LLM::Ctl;
use Test::LLM::Nginx;
use Test::LLM::Util qw(slurp spew);

my $data   = __FILE__ =~ s{[^/]*\z}{}r . '../src/ctl/tests/data';
my $folder = File::Temp::tempdir('ngx-llm-XXXXXX', TMPDIR => 1, CLEANUP => 1);
my $module = $ENV{TEST_LLM_MODULE} // 'modules/ngx_http_llm_module.so';
my $nginx  = Test::LLM::Nginx::binary();
my %env    = map { $_ => "k-$_" } qw(DEEPSEEK_API_KEY MIMO_API_KEY OPENAI_API_KEY OPENAI_API_KEY_RESEARCH
    ANTHROPIC_API_KEY);
my $maps = "$folder/issuer";
mkdir $maps;
my %map = (status => 'active', 'key-id' => 'da-sk-x', 'org-slug' => 'acme', 'project-slug' => 'web',
    'client-id' => 'app', tier => 'basic');
spew("$maps/$_.map", qq("da-sk-x.sk-client-1" $map{$_};\n)) for keys %map;

# The manifest with addresses of this machine: no name has to be looked up, no certificate be there.
sub manifest {
    my ($name, $root) = @_;
    my $text = slurp("$data/$name");
    $text =~ s/("?server"?: "?)[a-z][\w.-]*(:\d+)/${1}127.0.0.1$2/g;
    $text =~ s{file:/etc/nginx/llm/openai\.key}{env:OPENAI_API_KEY}g;
    $text =~ s/^    listen: .*\n//m;
    $text =~ s/^    tls:.*\n(?:      .*\n)*//m;
    $text =~ s/^(\s*)("?)(gateway)\2: ?(\{?)\n/$1$2$3$2: $4\n@{[ $2 ? '"listen": "127.0.0.1:18080",' : '    listen: 127.0.0.1:18080' ]}\n/m
        or die "$name has no gateway\n";
    spew("$root/$name", $text);
    return "$root/$name";
}

sub nginx_says {
    my ($root, $main) = @_;
    my $pid = open(my $output, '-|') // die "fork: $!\n";
    if (!$pid) {
        %ENV = (PATH => $ENV{PATH}, %env);
        open STDERR, '>&', \*STDOUT;
        exec $nginx, '-t', '-p', "$root/", '-c', $main, '-e', "$root/error.log" or POSIX::_exit(127);
    }
    local $/ = undef;
    my $text = <$output>;
    close $output;
    return ($?, $text);
}

for my $name (qw(meter-fallback.yaml meter-fallback.json per-model-quotas.yaml two-projects.yaml anthropic.yaml)) {
    for my $way ('keys', 'maps') {
        my $root = "$folder/$name-$way";
        mkdir $root;
        my $manifest = manifest($name, $root);
        spew("$root/client.keys", key_file(key_line('a', 'b', org => 'acme')));
        chmod 0600, "$root/client.keys";
        my @layout = ('--module', $module, '--log-dir', $root, '--pid', "$root/nginx.pid",
            '--client-keys', "$root/client.keys", '--client-auth', $way, '--maps-dir', $maps);
        # The test's folders are root's own: as anybody else workers could not read the keys.
        push @layout, '--user', 'root' if $> == 0;
        spew("$root/whole.conf", llmctl_ok(\%env, 'render', $manifest, @layout));
        llmctl_ok(\%env, 'render', $manifest, '-o', "$root/parts", @layout);
        for my $main ("$root/whole.conf", "$root/parts/nginx.conf") {
            my ($status, $text) = nginx_says($root, $main);
            my $what = "$name, $way, " . ($main =~ s{.*/}{}r);
            is($status, 0, "$what: nginx loads it") or diag($text);
            unlike($text, qr/\[(?!notice)\w+\]/, "$what: and warns of nothing");
        }
        my $check = llmctl(\%env, 'check', "$root/parts", '--nginx', $nginx);
        is($check->{status}, '0', "$name, $way: llmctl check of the folder")
            or diag($check->{out}, $check->{error});
    }
}

# The issuer's maps may be taken over into a key file.
llmctl_ok('key', 'import', '--file', "$folder/imported.keys", $maps);
like(slurp("$folder/imported.keys"),
    qr/^llm-client-keys 1\nda-sk-x active \S+ org=acme project=web client=app tier=basic /, 'key import');

done_testing();
