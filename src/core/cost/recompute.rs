//! Does a stored row hold what made its costs? Whoever audits a table multiplies again: tokens
//! times rates per million tokens, nothing else.

use super::price::Tokens;
use super::rate::{Rate, Rates};
use super::row::{COLUMNS, Value};
use super::{Cost, Pico};

/// The costs that the tokens and rates in a row make; its values are in the order of [`COLUMNS`].
/// `None` where the row has no rates.
#[must_use]
pub fn recompute(row: &[Value<'_>]) -> Option<Cost> {
    let rates = Rates {
        input: rate(row, "rate_input")?,
        cache_read: rate(row, "rate_cache_read")?,
        cache_write: rate(row, "rate_cache_write")?,
        cache_write_1h: rate(row, "rate_cache_write_1h")?,
        output: rate(row, "rate_output")?,
    };
    let tokens = Tokens {
        completion: tokens(row, "completion_tokens"),
        uncached_input: tokens(row, "input_tokens").unwrap_or(0),
        cache_read: tokens(row, "cache_read_tokens").unwrap_or(0),
        cache_write_5m: tokens(row, "cache_write_tokens").unwrap_or(0),
        cache_write_1h: tokens(row, "cache_write_1h_tokens").unwrap_or(0),
        ..Tokens::default()
    };
    Some(tokens.cost(&rates))
}

fn value<'r, 'a>(row: &'r [Value<'a>], name: &str) -> Option<&'r Value<'a>> {
    row.get(COLUMNS.iter().position(|column| column.name == name)?)
}

fn tokens(row: &[Value<'_>], name: &str) -> Option<u64> {
    match value(row, name)? {
        Value::Integer(number) => u64::try_from(*number).ok(),
        _ => None,
    }
}

fn rate(row: &[Value<'_>], name: &str) -> Option<Rate> {
    match value(row, name)? {
        Value::Decimal(Pico(pico)) => Rate::try_from(Pico(*pico)).ok(),
        _ => None,
    }
}
