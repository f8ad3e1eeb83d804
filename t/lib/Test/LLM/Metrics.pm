package Test::LLM::Metrics;

# What a scraper gets of the gateway: the text is taken apart as strictly as a scraper does it, and the
# series are compared with what a test says.

use strict;
use warnings;

use Exporter 'import';
use JSON::PP ();
use Test::LLM::Client;
use Test::More ();
use Test::LLM::Util qw(slurp spew wait_until);

our @EXPORT = qw(scrape series counts_are counts_problems text_is_sound text_problems promtool
    promtool_problems status_of log_lines_of);

my $json = JSON::PP->new->utf8;

# The answer to a scrape of /metrics, or of another address.
sub scrape {
    my ($t, $uri, $headers) = @_;
    return $t->request('GET ' . ($uri // '/metrics'), $headers // '');
}

# Name and labels of each series of a text, and its value.
sub series {
    my ($text) = @_;
    return { map { /\A(\w+(?:\{.*\})?) (\S+)\z/ ? ($1 => $2) : () } grep { !/\A#/ } split /\n/, $text };
}

sub name_of { $_[0] =~ s/\{.*//sr }

# One check, with the problems it found.
sub all_well {
    my ($what, @problems) = @_;
    local $Test::Builder::Level = $Test::Builder::Level + 2;
    return 1 if Test::More::ok(!@problems, $what);
    Test::More::diag($_) for @problems;
    return 0;
}

sub counts_are {
    my ($t, $section, $what, $uri) = @_;
    return all_well($what // 'the counts', counts_problems($t, $section, $uri));
}

# Also for promtool, where it is installed.
sub text_is_sound {
    my ($t, $text, $what) = @_;
    return all_well($what // 'a scraper can read it', text_problems($text),
        $text =~ /^# EOF$/m ? () : promtool_problems($t, $text));
}

# The section has a line for each series that there must be, and every other series of the same name is
# a problem; "name none" is for a name without series. Requests are counted after their answers, so
# the gateway gets some time.
sub counts_problems {
    my ($t, $section, $uri) = @_;
    my @problems;
    wait_until { !(@problems = count_problems($t, $section, $uri)) } 3;
    return @problems;
}

sub count_problems {
    my ($t, $section, $uri) = @_;
    my $answer = scrape($t, $uri);
    return "the scrape ended with $answer->{status}" if $answer->{status} ne '200';
    my $got  = series($answer->{body});
    my %want = map { /\A\s*(.*) (\S+)\z/ ? ($1 => $2) : () } split /\n/, $section;
    my %name = map { name_of($_) => 1 } keys %want;
    my @problems = text_problems($answer->{body});
    for my $one (sort keys %want) {
        next if $want{$one} eq 'none';
        my $value = $got->{$one};
        push @problems, "$one is " . ($value // 'missing') . ", not $want{$one}"
            if !defined $value || $value ne $want{$one};
    }
    push @problems, map {"there is $_ $got->{$_} too"}
        grep { $name{ name_of($_) } && !exists $want{$_} } sort keys %$got;
    return @problems;
}

# What is wrong with a text in Prometheus' format 0.0.4 or, with its own end, in OpenMetrics 1.0.0.
sub text_problems {
    my ($text) = @_;
    my $is_open = $text =~ /^# EOF$/m;
    my (@problems, %type, %seen, $family, %told, %buckets);
    push @problems, 'the text does not end with a line feed' if $text !~ /\n\z/;
    push @problems, 'something stands behind # EOF' if $is_open && $text !~ /\n# EOF\n\z/;
    my $copy = $text;
    push @problems, 'the text is no UTF-8' if !utf8::decode($copy);
    for my $line (split /\n/, $text) {
        next if $line eq '# EOF';
        if ($line =~ /\A# (HELP|TYPE|UNIT) ([a-z_:][a-z0-9_:]*) (.+)\z/) {
            my ($what, $name, $value) = ($1, $2, $3);
            push @problems, "twice: # $what $name" if $told{$what}{$name}++;
            $family = $name;
            $type{$name} = $value if $what eq 'TYPE';
            next;
        }
        my ($name, $labels, $value)
            = $line =~ /\A([a-z_:][a-z0-9_:]*)(?:\{(.*)\})? (-?[0-9][0-9.e+-]*|\+Inf|NaN)\z/;
        if (!defined $name) {
            push @problems, "no sample: $line";
            next;
        }
        my $label = qr/[a-z_][a-z0-9_]*="(?:[^"\\]|\\[\\"n])*"/;
        push @problems, "labels: $line" if defined $labels && $labels !~ /\A$label(?:,$label)*\z/;
        push @problems, "twice: $line" if $seen{ $name . '{' . ($labels // '') }++;
        my $base = $name =~ s/_(?:bucket|sum|count)\z//r;
        my $own = ($type{$base} // '') eq 'histogram' ? $base
            : $is_open ? $name =~ s/_total\z//r : $name;
        push @problems, "not with its family: $line" if !defined $family || $own ne $family;
        push @problems, "no type: $line" if !$type{$own};
        if ($name =~ /_bucket\z/) {
            my $of = $labels =~ s/,?le="[^"]*"//r;
            push @problems, "buckets descend: $line" if $value < ($buckets{"$base\{$of"} // 0);
            $buckets{"$base\{$of"} = $value;
        }
        elsif ($name =~ /_count\z/ && $base eq $own) {
            my $last = $buckets{ "$base\{" . ($labels // '') } // -1;
            push @problems, "the last bucket has $last: $line" if $value != $last;
        }
    }
    return @problems;
}

sub promtool {
    my ($found) = grep { -x } map {"$_/promtool"} split /:/, $ENV{PATH};
    return $found;
}

# What "promtool check metrics" says, if it is installed.
sub promtool_problems {
    my ($t, $text) = @_;
    my $promtool = promtool() // return;
    my ($in, $out) = map { $t->root . "/tmp/promtool.$_" } qw(in out);
    spew($in, $text);
    my $status = system 'sh', '-c', 'exec "$1" check metrics <"$2" >"$3" 2>&1', 'sh', $promtool, $in,
        $out;
    my $said = slurp($out);
    return $status || length $said ? "promtool ended with $status: $said" : ();
}

# The report of the location /status.
sub status_of {
    my ($t, $uri) = @_;
    my $answer = scrape($t, $uri // '/status', 'Accept: application/json');
    $answer->{status} eq '200' or die "the report ended with $answer->{status}\n";
    return $json->decode($answer->{body});
}

# The lines of the access log, each of which must be JSON, once there are so many.
sub log_lines_of {
    my ($t, $count) = @_;
    wait_until { ($t->access_log =~ tr/\n//) >= $count } 5;
    return map { $json->decode($_) } split /\n/, $t->access_log;
}

1;
