//! What are the columns of an event, and what stands in them? One list per table says both, so that
//! no sink knows a field and no value can stand in its neighbour's column.

use std::borrow::Cow;

use super::json_line::string;
use super::{AttemptRow, CostEvent, Pico, Rate, Rates, Text};

/// A column of a table.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Column {
    /// Its name, lower case letters, digits and underscores.
    pub name: &'static str,
    /// What its values are.
    pub kind: Kind,
    /// Whether a value may be [`Value::Null`].
    pub nullable: bool,
}

/// What the values of a column are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// Text without NUL.
    Text,
    /// 64 bits with a sign.
    Integer,
    /// Yes or no.
    Boolean,
    /// A decimal number with up to twelve decimals.
    Decimal,
    /// Milliseconds of unix time.
    TimestampMs,
}

/// A value in a row, of its column's kind.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Value<'a> {
    /// Not known.
    Null,
    /// Text without NUL.
    Text(Cow<'a, str>),
    /// What is larger than the type is its largest value.
    Integer(i64),
    /// Yes or no.
    Boolean(bool),
    /// A decimal number, in its 1e-12.
    Decimal(Pico),
    /// Milliseconds of unix time.
    TimestampMs(i64),
}

/// Columns and what stands in them, from one list.
macro_rules! table {
    ($(#[$doc:meta])* $columns:ident, $values:ident: $get:ty;
     $($name:ident $kind:ident $null:ident = $value:expr;)+) => {
        $(#[$doc])*
        pub const $columns: &[Column] =
            &[$(Column { name: stringify!($name), kind: Kind::$kind, nullable: $null }),+];
        const $values: &[$get] = &[$($value),+];
    };
}

const NULL: bool = true;
const NEVER_NULL: bool = false;

type OfEvent = for<'a> fn(&'a CostEvent) -> Value<'a>;
type OfAttempt = for<'a> fn(&'a CostEvent, &'a AttemptRow) -> Value<'a>;

table! {
    /// The columns of the table of events, in the order of [`CostEvent::row`].
    COLUMNS, VALUES: OfEvent;
    event_id Text NEVER_NULL = |e| name(&e.event_id);
    provider Text NEVER_NULL = |e| name(&e.provider);
    model Text NULL = |e| text(&e.model);
    cost_unit Text NEVER_NULL = |e| name(&e.cost_unit);
    traffic_cohort Text NULL = |e| text(&e.traffic_cohort);
    is_streaming Boolean NEVER_NULL = |e| Value::Boolean(e.is_streaming);
    prompt_tokens Integer NULL = |e| maybe(e.tokens.prompt);
    completion_tokens Integer NULL = |e| maybe(e.tokens.completion);
    total_tokens Integer NULL = |e| maybe(e.tokens.total);
    prompt_cost Decimal NULL = |e| decimal(e.cost.map(|cost| cost.prompt));
    completion_cost Decimal NULL = |e| decimal(e.cost.map(|cost| cost.completion));
    total_cost Decimal NULL = |e| decimal(e.cost.map(|cost| cost.total));
    status Text NEVER_NULL = |e| Value::Text(Cow::Borrowed(e.status.name()));
    status_code Integer NEVER_NULL = |e| Value::Integer(e.status_code.into());
    duration_ms Integer NEVER_NULL = |e| Value::Integer(integer(e.duration_ms));
    identity Text NULL = |e| text(&e.identity);
    user_id Text NULL = |e| text(&e.user_id);
    team_id Text NULL = |e| text(&e.team_id);
    auth_key_fingerprint Text NULL = |e| text(&e.auth_key_fingerprint);
    rate_card_version Text NULL = |e| text(&e.rate_card_version);
    requested_provider Text NULL = |e| text(&e.requested_provider);
    requested_model Text NULL = |e| text(&e.requested_model);
    translation_happened Boolean NEVER_NULL = |e| Value::Boolean(e.translation_happened);
    resolution_outcome Text NULL = |e| text(&e.resolution_outcome);
    org Text NULL = |e| text(&e.org);
    project Text NULL = |e| text(&e.project);
    client Text NULL = |e| text(&e.client);
    input_tokens Integer NULL = |e| part(e, e.tokens.uncached_input);
    cache_read_tokens Integer NULL = |e| part(e, e.tokens.cache_read);
    cache_write_tokens Integer NULL = |e| part(e, e.tokens.cache_write_5m);
    cache_write_1h_tokens Integer NULL = |e| part(e, e.tokens.cache_write_1h);
    reasoning_tokens Integer NULL = |e| maybe(e.tokens.reasoning);
    rate_input Decimal NULL = |e| rate(e, |rates| rates.input);
    rate_output Decimal NULL = |e| rate(e, |rates| rates.output);
    rate_cache_read Decimal NULL = |e| rate(e, |rates| rates.cache_read);
    rate_cache_write Decimal NULL = |e| rate(e, |rates| rates.cache_write);
    rate_cache_write_1h Decimal NULL = |e| rate(e, |rates| rates.cache_write_1h);
    usage_source Text NEVER_NULL = |e| Value::Text(Cow::Borrowed(e.usage_source.name()));
    attempts Integer NEVER_NULL = |e| maybe(u64::try_from(e.attempts.len()).ok());
    primary_provider Text NULL = |e| text(&e.primary_provider);
    fallback_reason Text NULL = |e| text(&e.fallback_reason);
    chain Text NULL = |e| text(&e.chain);
    ttft_ms Integer NULL = |e| maybe(e.ttft_ms);
    first_attempt_ms Integer NULL = |e| maybe(e.first_attempt_ms);
    tag Text NULL = |e| text(&e.tag);
    node Text NULL = |e| text(&e.node);
    created_at TimestampMs NEVER_NULL = |e| Value::TimestampMs(integer(e.created_at_ms));
    usage_inconsistent Boolean NEVER_NULL = |e| Value::Boolean(e.tokens.inconsistent);
    tags Text NULL = |e| tags(&e.tags);
    total_cost_pico Integer NULL = |e| e.cost.map_or(Value::Null, |cost| pico(cost.total));
}

table! {
    /// The columns of the table of attempts, in the order of [`CostEvent::attempt_rows`].
    ATTEMPT_COLUMNS, ATTEMPT_VALUES: OfAttempt;
    event_id Text NEVER_NULL = |e, _| name(&e.event_id);
    attempt_no Integer NEVER_NULL = |_, a| Value::Integer(a.attempt_no.into());
    provider Text NEVER_NULL = |_, a| name(&a.provider);
    model Text NULL = |_, a| text(&a.model);
    key_id Text NULL = |_, a| text(&a.key_id);
    outcome Text NEVER_NULL = |_, a| name(&a.outcome);
    status_code Integer NULL = |_, a| maybe(a.status_code.map(u64::from));
    started_at TimestampMs NEVER_NULL = |_, a| Value::TimestampMs(integer(a.started_at_ms));
    duration_ms Integer NEVER_NULL = |_, a| Value::Integer(integer(a.duration_ms));
    first_byte_ms Integer NULL = |_, a| maybe(a.first_byte_ms);
    prompt_tokens Integer NULL = |_, a| maybe(a.prompt_tokens);
    completion_tokens Integer NULL = |_, a| maybe(a.completion_tokens);
    usage_source Text NEVER_NULL = |_, a| Value::Text(Cow::Borrowed(a.usage_source.name()));
}

impl CostEvent {
    /// What stands in the row of the request, in the order of [`COLUMNS`].
    pub fn row(&self) -> impl ExactSizeIterator<Item = Value<'_>> {
        VALUES.iter().map(move |value| value(self))
    }

    /// What stands in the rows of its attempts, each in the order of [`ATTEMPT_COLUMNS`].
    pub fn attempt_rows(
        &self,
    ) -> impl ExactSizeIterator<Item = impl ExactSizeIterator<Item = Value<'_>>> {
        self.attempts
            .iter()
            .map(move |attempt| ATTEMPT_VALUES.iter().map(move |value| value(self, attempt)))
    }
}

fn name(text: &Text) -> Value<'_> {
    Value::Text(Cow::Borrowed(text))
}

fn text(text: &Text) -> Value<'_> {
    if text.is_empty() { Value::Null } else { name(text) }
}

fn integer(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}

fn maybe(number: Option<u64>) -> Value<'static> {
    number.map_or(Value::Null, |number| Value::Integer(integer(number)))
}

/// A part of the input, where any of it is known.
fn part(event: &CostEvent, tokens: u64) -> Value<'static> {
    maybe(event.tokens.prompt.map(|_| tokens))
}

/// The price of a million tokens.
fn rate(event: &CostEvent, of: fn(&Rates) -> Rate) -> Value<'static> {
    decimal(event.rates.as_ref().map(|rates| of(rates).per_million()))
}

fn decimal(number: Option<Pico>) -> Value<'static> {
    number.map_or(Value::Null, Value::Decimal)
}

/// For a database without exact decimals; sums of it are exact.
fn pico(cost: Pico) -> Value<'static> {
    Value::Integer(i64::try_from(cost.0).unwrap_or(i64::MAX))
}

/// A JSON object of texts.
fn tags(tags: &[(Text, Text)]) -> Value<'static> {
    if tags.is_empty() {
        return Value::Null;
    }
    let mut object = String::from("{");
    for (name, value) in tags {
        let comma = if object.len() > 1 { "," } else { "" };
        object.push_str(comma);
        string(&mut object, name);
        object.push(':');
        string(&mut object, value);
    }
    object.push('}');
    Value::Text(Cow::Owned(object))
}

#[cfg(test)]
mod tests;
