package Test::LLM::Ctl;

# Keys of clients: lines of a key file as llmctl writes them, for tests that need secrets of their own,
# and llmctl itself, for those that are about it.

use strict;
use warnings;

use Digest::SHA qw(sha256_hex);
use Exporter 'import';
use POSIX ();
use Test::LLM::Util qw(slurp spew);

our @EXPORT = qw(key_line key_file put_keys llmctl llmctl_ok issue_key);

# A line for a key; attributes are as in the file: org => 'acme', models => 'a,b', expires => 1.
sub key_line {
    my ($id, $secret, %attribute) = @_;
    my $state = delete $attribute{state} // 'active';
    return join ' ', $id, $state, digest($secret), map {"$_=$attribute{$_}"} sort keys %attribute;
}

# "salt:hash", also for the attribute "old".
sub digest {
    my ($secret) = @_;
    my $salt = pack 'N4', map { int rand 2**32 } 1 .. 4;
    return unpack('H*', $salt) . ':' . sha256_hex($salt . $secret);
}

sub key_file {
    my (@lines) = @_;
    return join '', map {"$_\n"} 'llm-client-keys 1', @lines, 'end ' . @lines;
}

# Puts a key file with these lines in the place of the one below the block's folder, at once as llmctl
# does. Text that is no list of lines is taken as it is.
sub put_keys {
    my ($t, $name, @lines) = @_;
    my $path = $t->root . "/$name";
    spew("$path.new", ref $lines[0] ? ${ $lines[0] } : key_file(@lines));
    chmod 0640, "$path.new" or die "chmod $path.new: $!\n";
    rename "$path.new", $path or die "rename $path.new: $!\n";
}

# --- the program ------------------------------------------------------------------------------

# From the environment, else the one that cargo built beside this file, else from PATH.
sub binary {
    return $ENV{TEST_LLM_CTL} if $ENV{TEST_LLM_CTL};
    my $root = __FILE__ =~ s{[^/]*\z}{}r . '../../../..';
    my $target = $ENV{CARGO_TARGET_DIR} // "$root/target";
    my ($built) = grep { -x } map {"$target/$_/llmctl"} qw(tools release debug);
    return $built // 'llmctl';
}

my $runs = 0;

# Runs it without a terminal: { status, out, error }. A first argument that is a reference to a hash has
# further variables of the environment, and "tmp", a folder for what it prints.
sub llmctl {
    my ($option, @arguments) = ref $_[0] ? @_ : ({}, @_);
    my %environment = %$option;
    my $tmp = delete $environment{tmp} // $ENV{TMPDIR} // '/tmp';
    my $name = "$tmp/llmctl.$$." . ++$runs;
    my $binary = binary();
    my $pid = fork // die "fork: $!\n";
    if (!$pid) {
        %ENV = (PATH => $ENV{PATH}, USER => 'operator', TZ => 'UTC', %environment);
        open STDIN,  '<', '/dev/null';
        open STDOUT, '>', "$name.out";
        open STDERR, '>', "$name.err";
        exec { $binary } 'llmctl', @arguments or POSIX::_exit(127);
    }
    waitpid $pid, 0;
    my $status = $? & 127 ? 'signal ' . ($? & 127) : $? >> 8;
    my %run = (status => $status, out => slurp("$name.out"), error => slurp("$name.err"));
    unlink "$name.out", "$name.err";
    return \%run;
}

# What it printed; anything but success ends the test.
sub llmctl_ok {
    my $run = llmctl(@_);
    $run->{status} eq '0'
        or die "llmctl (see TEST_LLM_CTL) @{[ grep { !ref } @_ ]}: $run->{status}\n",
        "$run->{out}$run->{error}\n";
    return $run->{out};
}

# Issues a key into a file below the block's folder: the credential. It must be found nowhere else.
sub issue_key {
    my ($t, $name, $id, @more) = @_;
    my @owner = (@more ? () : qw(--org acme --project web --client app));
    my $credential = llmctl_ok('key', 'issue', '--file', $t->root . "/$name", '--id', $id, @owner, @more);
    chomp $credential;
    $credential =~ /\A\Q$id\E\.([\w-]{40,})\z/ or die "\"$credential\" is no credential of $id\n";
    $t->is_secret($1);
    return $credential;
}

1;
