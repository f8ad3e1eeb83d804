package Test::LLM::Memory;

# Runs nginx under valgrind or collects what a sanitizer reports, and says which reports count.

use strict;
use warnings;

use Test::LLM::Util qw(slurp);

my $suppressions = __FILE__ =~ s{Test/LLM/[^/]*\z}{valgrind.supp}r;

sub valgrind { $ENV{TEST_LLM_VALGRIND} ? 1 : 0 }

# The words that go before the nginx command.
sub prefix {
    my ($folder) = @_;
    return () if !valgrind();
    return (
        'valgrind', '--tool=memcheck', '--num-callers=40', '--keep-debuginfo=yes',
        '--leak-check=full', '--show-leak-kinds=definite', '--errors-for-leak-kinds=definite',
        "--suppressions=$suppressions", '--gen-suppressions=all', "--log-file=$folder/valgrind.%p",
    );
}

sub environment {
    my ($folder) = @_;
    return () if !$ENV{TEST_LLM_ASAN};
    # nginx leaves what it allocated at start to the end of the process, hence no leak check.
    my %option = (ASAN_OPTIONS => 'detect_leaks=0', UBSAN_OPTIONS => 'print_stacktrace=1');
    return map {
        $_ => join ':', grep {length} $option{$_}, $ENV{$_} // '', "log_path=$folder/asan"
    } keys %option;
}

sub problems {
    my ($folder) = @_;
    my @problems;
    for my $path (glob "$folder/asan.*") {
        push @problems, "sanitizer report:\n" . slurp($path);
    }
    for my $path (glob "$folder/valgrind.*") {
        push @problems, map {"valgrind report:\n$_"} valgrind_problems(slurp($path));
    }
    return @problems;
}

# An invalid access counts wherever it happens, since the memory we damage is used by nginx. Of the
# rest, nginx has some of its own: only what has our module in its stack counts.
sub valgrind_problems {
    my ($text) = @_;
    $text =~ s/^==\d+== ?//mg;
    my $fatal
        = qr/^(?:Invalid (?:read|write|free)|Mismatched free|Jump to the|Process terminating)/m;
    my $other = qr/uninitialised|definitely lost|overlap in|unaddressable/;
    my @problems;
    for my $record (split /\n\s*\n/, $text) {
        $record =~ s/^\{\n.*//ms;    # the suppression that valgrind proposes
        next if $record !~ $fatal && ($record !~ $other || !is_ours($record));
        push @problems, $record;
    }
    return @problems;
}

sub is_ours {
    my ($record) = @_;
    my ($module) = ($ENV{TEST_LLM_MODULE} // '') =~ m{([^/]+)\z};
    return 1 if defined $module && $record =~ /\(in [^)]*\Q$module\E\)/;
    return $record =~ /\bngx_http_llm|\bllm_core::|\.rs:\d+\)/;
}

1;
