//! What does one line of a rate card say, and is it spelled right? The directive setters ask;
//! whether the lines fit together is for the card.

use super::Rate;
use crate::route::model_name;

pub(super) const RATE: &str = "llm_cost_rate";
pub(super) const CACHED_RATE: &str = "llm_cost_cached_rate";
pub(super) const RATE_UNIT: &str = "llm_cost_rate_unit";
const VERSION: &str = "llm_cost_rate_card_version";

/// Units, tags and labels stand in many rows.
const MAX_NAME_BYTES: usize = 32;

/// An `llm_cost_rate` line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RateLine {
    /// The provider.
    pub provider: String,
    /// A model's name, or a wildcard with one or more `*`.
    pub pattern: String,
    /// Of input.
    pub input: Rate,
    /// Of output.
    pub output: Rate,
}

/// An `llm_cost_cached_rate` line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CachedRateLine {
    /// The provider.
    pub provider: String,
    /// A model's name, or a wildcard with one or more `*`.
    pub pattern: String,
    /// Of input read from a cache.
    pub read: Rate,
    /// Of input written to a cache; else that of other input.
    pub write: Option<Rate>,
    /// Of input written to a cache for an hour; else `write`.
    pub write_1h: Option<Rate>,
}

/// An `llm_cost_rate_unit` line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RateUnitLine {
    /// The provider.
    pub provider: String,
    /// What its prices are counted in.
    pub unit: String,
}

impl RateLine {
    /// The line that `<provider> <pattern> <in> <out>` says.
    pub fn parse(args: &[&str]) -> Result<Self, String> {
        let [provider, pattern, input, output] = args else {
            return Err(format!(
                "\"{RATE}\" needs a provider, a model and the prices of a million tokens of input \
                 and of output"
            ));
        };
        Ok(Self {
            provider: provider_name(RATE, provider)?,
            pattern: model_name(RATE, pattern)?,
            input: rate(RATE, input)?,
            output: rate(RATE, output)?,
        })
    }
}

impl CachedRateLine {
    /// The line that `<provider> <pattern> <read> [<write> [<write_1h>]]` says.
    pub fn parse(args: &[&str]) -> Result<Self, String> {
        let [provider, pattern, read, rest @ ..] = args else {
            return Err(format!(
                "\"{CACHED_RATE}\" needs a provider, a model and the price of a million cached \
                 tokens"
            ));
        };
        let (write, write_1h) = match rest {
            [] => (None, None),
            [write] => (Some(rate(CACHED_RATE, write)?), None),
            [write, write_1h] => {
                (Some(rate(CACHED_RATE, write)?), Some(rate(CACHED_RATE, write_1h)?))
            }
            [.., last] => {
                return Err(format!(
                    "invalid parameter {last:?} in \"{CACHED_RATE}\", it takes three prices at most"
                ));
            }
        };
        Ok(Self {
            provider: provider_name(CACHED_RATE, provider)?,
            pattern: model_name(CACHED_RATE, pattern)?,
            read: rate(CACHED_RATE, read)?,
            write,
            write_1h,
        })
    }
}

impl RateUnitLine {
    /// The line that `<provider> <unit>` says.
    pub fn parse(args: &[&str]) -> Result<Self, String> {
        let [provider, unit] = args else {
            return Err(format!("\"{RATE_UNIT}\" needs a provider and a unit"));
        };
        let provider = provider_name(RATE_UNIT, provider)?;
        Ok(Self { provider, unit: unit_name(RATE_UNIT, unit)? })
    }
}

/// A cost unit in lower case: `USD` and `usd` are one.
pub fn unit_name(directive: &str, unit: &str) -> Result<String, String> {
    let fits = |byte: u8| byte.is_ascii_alphanumeric() || b"_-.".contains(&byte);
    if unit.is_empty() || unit.len() > MAX_NAME_BYTES || !unit.bytes().all(fits) {
        return Err(format!(
            "invalid unit {unit:?} in \"{directive}\", use 1 to {MAX_NAME_BYTES} letters, digits, \
             \"-\", \"_\" and \".\" such as usd"
        ));
    }
    Ok(unit.to_ascii_lowercase())
}

/// The label of `llm_cost_rate_card_version`.
pub fn rate_card_version(args: &[&str]) -> Result<String, String> {
    match args {
        [label] if !label.is_empty() && label.len() <= 64 && !label.contains(char::is_control) => {
            Ok((*label).to_owned())
        }
        _ => Err(format!(
            "\"{VERSION}\" needs a label of 1 to 64 bytes without control characters such as \
             2026-06-08"
        )),
    }
}

fn provider_name(directive: &str, name: &str) -> Result<String, String> {
    if name.is_empty() || !name.bytes().all(|byte| byte.is_ascii_graphic() && byte != b'*') {
        return Err(format!(
            "invalid provider name {name:?} in \"{directive}\", give the name of an \
             \"llm_proxy_route\""
        ));
    }
    Ok(name.to_owned())
}

fn rate(directive: &str, text: &str) -> Result<Rate, String> {
    text.parse().map_err(|why: super::PicoError| match why {
        super::PicoError::TooFine => format!(
            "invalid price {text:?} in \"{directive}\", at most six decimals per million tokens \
             can be kept exactly"
        ),
        why => format!("invalid price {text:?} in \"{directive}\", {why}"),
    })
}
