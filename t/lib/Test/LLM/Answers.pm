package Test::LLM::Answers;

# What a block says about the answers its client got. Every check returns its problems.

use strict;
use warnings;

use IO::Uncompress::Gunzip ();
use Test::LLM::Check qw(exact headers json_text patterns printable sse);
use Test::LLM::Requests;
use Test::LLM::Util qw(duration scale);

# Each is called with an answer and what is wanted of it.
my %check = (
    response_body             => sub { exact('body', $_[0]{body}, $_[1]) },
    response_body_like        => sub { patterns('body', $_[0]{body}, $_[1]) },
    response_body_unlike      => sub { patterns('body', $_[0]{body}, $_[1], 'unlike') },
    response_json             => sub { json_text('body', $_[0]{body}, $_[1]) },
    response_sse              => sub { sse($_[0]{body}, $_[1]) },
    response_headers          => sub { headers($_[0], $_[1]) },
    raw_response_headers_like => sub { patterns('head', $_[0]{head}, $_[1]) },
    answered_within => \&answered_within,
);

# Calls report(name, problems) for each check that the block makes.
sub check {
    my ($section, $answers, $report) = @_;
    my $count = @$answers;
    my @named = grep { defined $section->{$_} } sort keys %check;
    if (!$count) {
        my @useless = grep { defined $section->{$_} } qw(error_code incomplete_response gunzip);
        $report->($_, 'there is no answer') for @named, @useless;
        return;
    }
    $report->('gunzip', gunzip(@$answers)) if defined $section->{gunzip};
    $report->('error_code', error_code($section, @$answers));
    $report->('response ends as expected', endings($section, @$answers));
    for my $name (@named) {
        my @wanted = Test::LLM::Requests::per_item($section, $name, $count);
        $report->($name, map {
            numbered($_, $count, $check{$name}->($answers->[$_], $wanted[$_]))
        } 0 .. $count - 1);
    }
}

sub numbered {
    my ($index, $count, @problems) = @_;
    return $count > 1 ? map { 'answer ' . ($index + 1) . ": $_" } @problems : @problems;
}

sub gunzip {
    my (@answers) = @_;
    my @problems;
    for my $answer (@answers) {
        my $packed = $answer->{body};
        IO::Uncompress::Gunzip::gunzip(\$packed, \$answer->{body})
            or push @problems, $IO::Uncompress::Gunzip::GunzipError;
    }
    return @problems;
}

# "429", or one code for each answer; "200*3 429" is short for "200 200 200 429". The order of
# concurrent answers means nothing.
sub error_code {
    my ($section, @answers) = @_;
    my $given = $section->{error_code};
    return if !defined $given && grep { $_->{aborted} } @answers;
    my @want = map { /\A(\d+)\*(\d+)\z/ ? ($1) x $2 : $_ } ($given // 200) =~ /([\d*]+)/g;
    @want = (@want) x @answers if @want == 1;
    my @got = map { $_->{status} eq '' ? 'none' : $_->{status} } @answers;
    if (defined $section->{concurrent}) {
        @got  = sort @got;
        @want = sort @want;
    }
    return if "@got" eq "@want";
    return "the status is @got, not @want";
}

sub endings {
    my ($section, @answers) = @_;
    my $flag = $section->{incomplete_response};
    my %incomplete = map { $_ => 1 }
        !defined $flag ? () : $flag =~ /\d/ ? $flag =~ /(\d+)/g : 1 .. @answers;
    return map {
        numbered($_, scalar @answers, ending($section, $answers[$_], $incomplete{ $_ + 1 }))
    } 0 .. $#answers;
}

sub ending {
    my ($section, $answer, $incomplete) = @_;
    return if $answer->{aborted};
    my $size  = length $answer->{body};
    my @found = $answer->{error} || ();
    if ($answer->{ended} =~ /timeout/) {
        push @found, "the response had no end in the time given, after $size bytes of body";
    }
    elsif ($incomplete && $answer->{complete}) {
        push @found, "the response is complete ($size bytes of body)";
    }
    elsif (!$incomplete && !$answer->{complete}) {
        push @found, "the response is incomplete: $answer->{ended} after $size bytes of body";
    }
    if (length($answer->{surplus} // '')) {
        push @found, 'bytes follow the response: ' . printable($answer->{surplus});
    }
    my $is_missing = defined $section->{expect_continue} && !@{ $answer->{interim} };
    if ($is_missing && $answer->{status} < 400) {
        push @found, 'no "100 Continue" came before the answer';
    }
    return @found;
}

sub answered_within {
    my ($answer, $limit) = @_;
    return if $answer->{seconds} <= duration($limit) * scale();
    return sprintf 'answered after %.3f s', $answer->{seconds};
}

1;
