//! What does an answer cost? Tokens, each in one bucket, times the rates of their buckets.

use serde::{Deserialize, Serialize};

use super::Pico;
use super::rate::Rates;
use crate::usage::{Buckets, Usage};

/// The tokens of a record, as far as they are known.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Tokens {
    /// All input, cache included.
    pub prompt: Option<u64>,
    /// All output, reasoning included.
    pub completion: Option<u64>,
    /// The provider's own total, else the sum.
    pub total: Option<u64>,
    /// The part of the output that was reasoning.
    pub reasoning: Option<u64>,
    /// Input beside any cache.
    pub uncached_input: u64,
    /// Input read from a cache.
    pub cache_read: u64,
    /// Input written to a cache for five minutes, or for a time that was not told.
    pub cache_write_5m: u64,
    /// Input written to a cache for an hour.
    pub cache_write_1h: u64,
    /// What was told does not add up; what cannot be was left out.
    pub inconsistent: bool,
}

/// What an answer costs.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Cost {
    /// Its input, cache included.
    pub prompt: Pico,
    /// Its output.
    pub completion: Pico,
    /// Both.
    pub total: Pico,
}

/// More tokens than this are no count. Sums of some of them fit the integers of databases.
const MAX_TOKENS: u64 = 1_000_000_000_000_000;

impl Tokens {
    /// The tokens of an answer. What cannot be is left out or cut, and the record says so.
    #[must_use]
    pub fn of(usage: &Usage) -> Self {
        let told = usage.buckets();
        let buckets = Buckets {
            uncached_input: told.uncached_input.min(MAX_TOKENS),
            cache_read: told.cache_read.min(MAX_TOKENS),
            cache_write_5m: told.cache_write_5m.min(MAX_TOKENS),
            cache_write_1h: told.cache_write_1h.min(MAX_TOKENS),
            output: told.output.min(MAX_TOKENS),
        };
        let input = buckets.uncached_input
            + buckets.cache_read
            + buckets.cache_write_5m
            + buckets.cache_write_1h;
        let prompt = (usage.prompt_tokens().is_some() || input > 0).then_some(input);
        let completion = usage.completion_tokens().map(|_| buckets.output);
        let sum = input + buckets.output;
        let complete = prompt.is_some() && completion.is_some();
        let total = usage.total_tokens();
        let reasoning = usage.reasoning_tokens();
        let inconsistent = buckets != told
            || !parts_fit(usage)
            || complete && total.is_some_and(|total| total != sum)
            || completion.is_some() && reasoning.is_some_and(|part| part > buckets.output);
        Self {
            prompt,
            completion,
            total: total.map(|total| total.min(5 * MAX_TOKENS)),
            reasoning: reasoning.map(|part| part.min(MAX_TOKENS)),
            uncached_input: buckets.uncached_input,
            cache_read: buckets.cache_read,
            cache_write_5m: buckets.cache_write_5m,
            cache_write_1h: buckets.cache_write_1h,
            inconsistent,
        }
    }

    /// The same with another output.
    pub(super) fn with_completion(self, tokens: u64) -> Self {
        let completion = tokens.min(MAX_TOKENS);
        let total = self.prompt.unwrap_or(0).saturating_add(completion);
        Self { completion: Some(completion), total: Some(total), ..self }
    }

    /// What they cost. Tokens that are not known cost nothing; the record says that they are
    /// missing.
    #[must_use]
    pub const fn cost(&self, rates: &Rates) -> Cost {
        // No sum overflows: see `Rate::of`.
        let prompt = rates.input.of(self.uncached_input).0
            + rates.cache_read.of(self.cache_read).0
            + rates.cache_write.of(self.cache_write_5m).0
            + rates.cache_write_1h.of(self.cache_write_1h).0;
        let completion = match self.completion {
            Some(tokens) => rates.output.of(tokens).0,
            None => 0,
        };
        let total = Pico(prompt + completion);
        Cost { prompt: Pico(prompt), completion: Pico(completion), total }
    }
}

/// Whether the cached parts of the input were taken as they were told.
fn parts_fit(usage: &Usage) -> bool {
    let taken = usage.buckets();
    // Where the parts stand beside the input, there is no sum to exceed.
    let mut beside = *usage;
    beside.merge(&Usage::of(0, 0));
    let told = beside.buckets();
    (told.cache_read, told.cache_write_5m, told.cache_write_1h)
        == (taken.cache_read, taken.cache_write_5m, taken.cache_write_1h)
}

#[cfg(test)]
mod tests;
