package Test::LLM::Check;

# Compares what was expected with what was seen. Every function returns the differences as
# sentences, hence nothing when all is well.

use strict;
use warnings;

use B ();
use Exporter 'import';
use JSON::PP ();
use Test::LLM::Client;
use Test::LLM::Util qw(separated);

our @EXPORT_OK = qw(
    each_request exact headers json_text log_lines patterns printable request_head sse
);

my $json = JSON::PP->new->utf8->canonical->allow_nonref;

sub decode {
    my ($text) = @_;
    my $value = eval { local $SIG{__DIE__}; $json->decode($text) };
    return $@ ? (undef, "is not JSON: $text") : ($value);
}

sub exact {
    my ($what, $got, $want) = @_;
    return if $got eq $want;
    my $same = 0;
    $same++ while substr($got, $same, 1) eq substr($want, $same, 1);
    my ($shown_want, $shown_got) = map { printable($_) } $want, $got;
    return "$what differs at byte $same\n  wanted: $shown_want\n  got:    $shown_got";
}

sub printable {
    my ($text) = @_;
    my $shown = substr $text, 0, 2000;
    $shown =~ s/([^\x20-\x7e])/$1 eq "\n" ? "\\n" : sprintf '\\x%02x', ord $1/ge;
    return $shown . (length $text > 2000 ? '... (' . length($text) . ' bytes)' : '');
}

# Each line of the section must, or must not, match the text.
sub patterns {
    my ($what, $text, $section, $unlike) = @_;
    my $fault = $unlike ? 'matches' : 'does not match';
    return map {"$what $fault /$_/\n  got: " . printable($text)}
        grep { $text =~ /$_/m ? $unlike : !$unlike } grep {/\S/} split /\n/, $section;
}

# The lines of a section that a log does not have, or, for $unwanted, that it has. A line is plain
# text; "~regexp" is a regular expression.
sub log_lines {
    my ($log, $section, $unwanted) = @_;
    return grep {
        my $found = /\A~\s*(.*)/s ? $log =~ /$1/m : index($log, $_) >= 0;
        $unwanted ? $found : !$found;
    } grep {/\S/} split /\n/, $section;
}

# "name: value", "name: ~regexp", "!name". A header that came several times is joined by ", ".
sub headers {
    my ($message, $section) = @_;
    my @problems;
    for my $line (grep {/\S/} split /\n/, $section) {
        my ($absent, $name, $want) = $line =~ /\A(!?)\s*([^:\s]+)(?::\s*(.*?))?\s*\z/
            or die "\"$line\" is not a header check\n";
        my @values = Test::LLM::Client::header_values($message, $name);
        my $problem = header($want // '', $absent, @values);
        push @problems, "header \"$name\" $problem" if $problem;
    }
    return @problems;
}

sub header {
    my ($want, $absent, @values) = @_;
    my $got = join ', ', @values;
    return @values ? "is there: $got" : '' if $absent;
    return 'is missing' if !@values;
    if ($want =~ /\A~\s*(.*)/) {
        return $got =~ /$1/ ? '' : "is \"$got\", which does not match /$1/";
    }
    return $got eq $want ? '' : "is \"$got\", not \"$want\"";
}

sub json_text {
    my ($what, $text, $section) = @_;
    my ($want, $bad_section) = decode($section);
    die "the expected $what $bad_section\n" if $bad_section;
    my ($got, $problem) = decode($text);
    return "$what $problem" if $problem;
    return map {"$what$_\n  got: " . printable($text)} json($got, $want, '');
}

# Objects are compared by the keys that are expected; arrays and everything else completely.
sub json {
    my ($got, $want, $path) = @_;
    my $here = $path eq '' ? '' : " at $path";
    if (ref $want eq 'HASH') {
        return "$here is not an object" if ref $got ne 'HASH';
        return map { json_member($got, $want, $_, "$path.$_") } sort keys %$want;
    }
    if (ref $want eq 'ARRAY') {
        return "$here is not an array" if ref $got ne 'ARRAY';
        return "$here has " . @$got . ' elements, not ' . @$want if @$got != @$want;
        return map { json($got->[$_], $want->[$_], "$path\[$_]") } 0 .. $#$want;
    }
    # Looking at a number as a string would make it one.
    if (defined $want && !ref $want && !is_number($want)) {
        return if $want eq '<<any>>';
        if (my ($pattern) = $want =~ /\A<<match:(.*)>>\z/s) {
            return if defined $got && !ref $got && $got =~ /$pattern/;
            return "$here does not match /$pattern/";
        }
    }
    return if same_scalar($got, $want);
    return "$here is " . $json->encode($got) . ', not ' . $json->encode($want);
}

sub json_member {
    my ($got, $want, $key, $path) = @_;
    my $expected = $want->{$key};
    if (defined $expected && !is_number($expected) && $expected eq '<<absent>>') {
        return exists $got->{$key} ? " has $path" : ();
    }
    return exists $got->{$key} ? json($got->{$key}, $expected, $path) : " has no $path";
}

# 1 and "1" are different values, 1 and 1.0 are not.
sub same_scalar {
    my ($got, $want) = @_;
    return !defined $got && !defined $want if !defined $got || !defined $want;
    return ref $got eq ref $want && $got == $want if ref $got || ref $want;
    return 0 if is_number($got) != is_number($want);
    return is_number($got) ? $got == $want : $got eq $want;
}

sub is_number {
    my ($value) = @_;
    my $flags = B::svref_2object(\$value)->FLAGS;
    return $flags & (B::SVp_IOK | B::SVp_NOK) && !($flags & B::SVp_POK) ? 1 : 0;
}

# A stream, one line for each event: "data: x" is written "x"; an event of several lines has them
# joined by a blank; a comment is written as it is.
sub sse_lines {
    my ($body) = @_;
    my @events = split /\r?\n\r?\n/, $body;
    return map { my $event = $_; $event =~ s/\r?\n/ /g; $event =~ s/\Adata: ?//; $event } @events;
}

sub sse {
    my ($body, $section) = @_;
    my @problems;
    if (length $body && $body !~ /\n\r?\n\z/) {
        push @problems, 'the stream does not end with a blank line';
    }
    my @got  = sse_lines($body);
    my @want = split /\n/, $section;
    push @problems, 'the stream has ' . @got . ' events, not ' . @want if @got != @want;
    for my $index (0 .. $#want) {
        last if $index > $#got;
        my ($got, $want) = ($got[$index], $want[$index]);
        next if $got eq $want || $want eq '<<any>>';
        my $compare = $want =~ /<</ ? \&sse_event : \&exact;
        push @problems, $compare->('event ' . ($index + 1), $got, $want);
    }
    return @problems;
}

# An event with wildcards: what stands before the JSON must be equal, the JSON as in json().
sub sse_event {
    my ($what, $got, $want) = @_;
    my ($got_name,  $got_json)  = $got =~ /\A([^{]*)(.*)\z/s;
    my ($want_name, $want_json) = $want =~ /\A([^{]*)(.*)\z/s;
    return exact($what, $got_name, $want_name) if $got_name ne $want_name;
    return json_text($what, $got_json, $want_json);
}

# One item per request a provider saw; a single item is for all of them.
sub each_request {
    my ($requests, $section, $paragraphs, $compare) = @_;
    my @items = separated($section, $paragraphs);
    my $count = @$requests;
    return 'no request arrived' if !$count;
    return "$count requests arrived, " . @items . ' are described'
        if @items > 1 && @items != $count;
    my @problems;
    for my $index (0 .. $#$requests) {
        my $which = $count > 1 ? 'request ' . ($index + 1) . ': ' : '';
        my $item = @items > 1 ? $items[$index] : $items[0];
        push @problems, map {"$which$_"} $compare->($requests->[$index], $item);
    }
    return @problems;
}

# The request line, with or without the version, and header checks.
sub request_head {
    my ($request, $item) = @_;
    my ($line, $headers) = split /\n/, $item, 2;
    my $got = "$request->{method} $request->{path}";
    $got .= " $request->{version}" if $line =~ m{ HTTP/\d};
    my @problems = $got eq $line ? () : ("the request line is \"$got\", not \"$line\"");
    return (@problems, headers($request, $headers // ''));
}

1;
