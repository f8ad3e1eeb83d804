package Test::LLM::Ledger;

# What a client can know of its requests' costs, reckoned from the answers it got, and what the database
# says of them. Money is an integer of pico-units (1e-12) here, as in the gateway: every digit counts.

use strict;
use warnings;

use Exporter 'import';
use JSON::PP ();
use Test::LLM::Client;
use Test::LLM::Util qw(wait_until);

our @EXPORT = qw(pico decimal usage price header event_id rows row_of attempts_of wait_for_rows
    ledger_problems);

my $json = JSON::PP->new->utf8;

# "0.435": the number of 1e-12 in it.
sub pico {
    my ($text) = @_;
    my ($whole, $decimals) = $text =~ /\A(\d+)(?:\.(\d{1,12}))?0*\z/
        or die "\"$text\" is not an amount\n";
    return $whole * 10**12 + substr(($decimals // '') . '0' x 12, 0, 12);
}

# As variables and rows have it: at least eight decimals, and no zero behind them.
sub decimal {
    my ($pico) = @_;
    my $text = sprintf '%d.%012d', $pico / 10**12, $pico % 10**12;
    1 while $text =~ s/\A(.*\.\d{8,})0\z/$1/;
    return $text;
}

sub header {
    my ($answer, $name) = @_;
    return (Test::LLM::Client::header_values($answer, $name))[0];
}

sub event_id { header($_[0], 'x-llm-event-id') }

# The tokens of an answer of either dialect, streamed or not, in disjoint parts.
sub usage {
    my ($answer) = @_;
    my %told;
    my @texts = $answer->{body} =~ /^data: (\{.*\})\r?$/mg;
    for my $text (@texts ? @texts : $answer->{body}) {
        my $body = $json->decode($text);
        for my $usage (grep {defined} $body->{usage}, ($body->{message} // {})->{usage}) {
            %told = (%told, %$usage);
        }
    }
    %told or die "the answer tells no usage: $answer->{body}\n";
    my $details = $told{prompt_tokens_details} // {};
    my $read    = $told{cache_read_input_tokens} // $details->{cached_tokens} // 0;
    my $hours   = ($told{cache_creation} // {})->{ephemeral_1h_input_tokens} // 0;
    my $write   = ($told{cache_creation_input_tokens} // 0) - $hours;
    return {
        input  => $told{input_tokens}  // $told{prompt_tokens} - $read,
        output => $told{output_tokens} // $told{completion_tokens},
        read   => $read, write => $write, write_1h => $hours,
    };
}

# What that costs, by the prices of a million tokens: input, output, and where they differ from input's
# those of cache reads, writes, and writes for an hour.
sub price {
    my ($usage, $input, $output, $read, $write, $write_1h) = @_;
    my %rate = (input => $input, output => $output, read => $read // $input);
    $rate{write}    = $write    // $input;
    $rate{write_1h} = $write_1h // $rate{write};
    my %cost = map { $_ => $usage->{$_} * (pico($rate{$_}) / 1_000_000) } keys %rate;
    my $prompt = $cost{input} + $cost{read} + $cost{write} + $cost{write_1h};
    return { prompt => $prompt, completion => $cost{output}, total => $prompt + $cost{output} };
}

# --- the database -----------------------------------------------------------------------------

# The rows of a table as hashes, from the block's PostgreSQL if it has one, else from its SQLite file.
sub rows {
    my ($t, $table) = @_;
    $table //= 'llm_cost_events';
    my @names = columns($t, $table);
    return if !@names;
    my $sql = 'SELECT ' . join(', ', @names) . " FROM $table ORDER BY " . order($table);
    return map { my %row; @row{@names} = @$_; \%row } select_from($t, $sql);
}

sub order { $_[0] =~ /_attempts\z/ ? 'event_id, attempt_no' : 'created_at, event_id' }

sub columns {
    my ($t, $table) = @_;
    my $sql = $t->{pg}
        ? 'SELECT attname FROM pg_attribute WHERE attnum > 0 AND NOT attisdropped '
            . "AND attrelid = to_regclass('$table') ORDER BY attnum"
        : "SELECT name FROM pragma_table_info('$table')";
    return map { $_->[0] } select_from($t, $sql);
}

sub select_from {
    my ($t, $sql) = @_;
    return $t->{pg} ? $t->pg->query($sql) : $t->sqlite($sql);
}

# The row of an answer. There may be only one.
sub row_of {
    my ($t, $answer) = @_;
    my $id = event_id($answer) // die "the answer has no event id\n";
    my @found = grep { $_->{event_id} eq $id } rows($t);
    @found < 2 or die "$id has several rows\n";
    return $found[0];
}

sub attempts_of {
    my ($t, $answer) = @_;
    my $id = event_id($answer);
    return grep { $_->{event_id} eq $id } rows($t, 'llm_cost_events_attempts');
}

# Waits until the table has so many rows; returns whether that came true, in time and not beyond.
sub wait_for_rows {
    my ($t, $count, $seconds) = @_;
    my $seen = 0;
    wait_until { ($seen = eval { rows($t) } // 0) >= $count } $seconds // 10;
    return $seen == $count;
}

# Every answer with a status of 200 has one row with the costs that it must have, every row has an
# answer, and the database's sum of each unit is that of the answers. "prices" are lists as for price()
# by "provider/model"; "units" are by provider.
sub ledger_problems {
    my ($t, %option) = @_;
    my @answers = grep { $_->{status} eq '200' } @{ $option{answers} };
    my (@problems, %row, %sum);
    my @rows = rows($t);
    for my $row (@rows) {
        push @problems, "$row->{event_id} has several rows" if $row{ $row->{event_id} };
        $row{ $row->{event_id} } = $row;
    }
    for my $answer (@answers) {
        my $id = event_id($answer) // '';
        my $row = delete $row{$id};
        if (!$row) { push @problems, "answer \"$id\" has no row"; next }
        my $served = header($answer, 'x-llm-served-by');
        my $prices = $option{prices}{$served} // die "there is no price for $served\n";
        my $cost   = price(usage($answer), @$prices);
        my ($provider) = split m{/}, $served;
        my $unit = $option{units}{$provider} // 'usd';
        $sum{$unit} += $cost->{total};
        my %want = (
            served => $served, cost_unit => $unit, status => 'recorded',
            map { $_ . '_cost' => decimal($cost->{$_}) } qw(prompt completion total),
        );
        my %got = (%$row, served => "$row->{provider}/$row->{model}");
        push @problems, map {"$id: $_ is " . ($got{$_} // 'NULL') . ", not $want{$_}"}
            grep { ($got{$_} // 'NULL') ne $want{$_} } sort keys %want;
    }
    push @problems, map {"row $_ belongs to no answer"} sort keys %row;
    my %total;
    $total{ $_->{cost_unit} } += pico($_->{total_cost} // 0) for @rows;
    for my $unit (sort keys %{ { %sum, %total } }) {
        my ($got, $want) = map { decimal($_ // 0) } $total{$unit}, $sum{$unit};
        push @problems, "the sum of $unit is $got, not $want" if $got ne $want;
    }
    return @problems;
}

1;
