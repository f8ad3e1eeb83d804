//! What is billed for a request, and why that much? Asked when a request to an endpoint that counts
//! tokens has ended.

use super::price::{Cost, Tokens};
use super::rate::Rates;
use super::{Status, UsageSource};
use crate::usage::Usage;

/// What is to be billed when a provider does not tell its usage: `llm_cost_usage_missing`.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum UsageMissing {
    /// An estimate from the bytes of the prompt and of the answer.
    #[default]
    Estimate,
    /// What the request had reserved.
    Reserve,
    /// Only what was told.
    Zero,
}

/// How a request ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Answer {
    /// The status that the client got, or 499.
    pub status_code: u16,
    /// Who answered.
    pub served: Served,
    /// Whether the whole answer came.
    pub end: End,
    /// What the provider told; may be empty.
    pub usage: Usage,
    /// The model had said why it ended, or the body was whole: no other usage was to follow.
    pub finished: bool,
    /// Tokens by the bytes of the prompt and of what has come of the answer.
    pub estimate: Guess,
    /// Tokens that were reserved for this request.
    pub reserved: Guess,
}

/// Tokens that nobody has counted.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Guess {
    /// Of the prompt.
    pub input_tokens: u64,
    /// Of the answer.
    pub output_tokens: u64,
}

/// Who answered a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Served {
    /// The gateway itself: a refusal, or the client left while no provider was working for it.
    Gateway,
    /// nginx's cache.
    Cache,
    /// A provider.
    Provider,
}

/// How far an answer came.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum End {
    /// To its end.
    Complete,
    /// It broke off.
    Incomplete,
    /// The client went first.
    ClientClosed,
}

/// What is billed.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Bill {
    /// Why that much.
    pub status: Status,
    /// Where the tokens come from.
    pub source: UsageSource,
    /// What was counted.
    pub tokens: Tokens,
    /// What a token costs.
    pub rates: Option<Rates>,
    /// What all cost; there where rates are.
    pub cost: Option<Cost>,
}

impl Bill {
    /// The bill of an answer, given the rates of the provider and model that answered.
    #[must_use]
    pub fn of(answer: &Answer, rates: Option<Rates>, missing: UsageMissing) -> Self {
        let status = status(&answer.facts(rates.is_some(), missing));
        let (tokens, source, rates) = match status {
            Status::SkippedError => return Self { status, ..Self::default() },
            Status::CacheHit => {
                let told = !answer.usage.is_empty();
                let source = if told { UsageSource::Reported } else { UsageSource::None };
                (Tokens::of(&answer.usage), source, Some(Rates::FREE))
            }
            _ => {
                let (tokens, source) = answer.count(missing);
                (tokens, source, rates)
            }
        };
        let cost = rates.map(|rates| tokens.cost(&rates));
        Self { status, source, tokens, rates, cost }
    }
}

/// What decides the status of a request's cost.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Facts {
    /// The status that the client got, or 499.
    pub status_code: u16,
    /// Who answered.
    pub served: Served,
    /// Whether the whole answer came.
    pub end: End,
    /// Whether the provider told both input and output.
    pub usage_complete: bool,
    /// Whether the card has a rate.
    pub rate_known: bool,
    /// `llm_cost_usage_missing`.
    pub missing: UsageMissing,
}

/// nginx's status for a client that left before the head of an answer.
const CLIENT_CLOSED_REQUEST: u16 = 499;

/// The status of a request's cost. What keeps it from being billed comes first, then what makes the
/// figure less than exact.
#[must_use]
pub const fn status(facts: &Facts) -> Status {
    let left = matches!(facts.end, End::ClientClosed) && facts.status_code == CLIENT_CLOSED_REQUEST;
    if facts.status_code >= 400 && !left {
        return Status::SkippedError;
    }
    match (facts.served, facts.rate_known, facts.end, facts.usage_complete, facts.missing) {
        (Served::Gateway, ..) => Status::SkippedError,
        (Served::Cache, ..) => Status::CacheHit,
        (_, false, ..) => Status::NoRate,
        (_, _, End::ClientClosed, ..) => Status::ClientClosed,
        (_, _, End::Incomplete, ..) => Status::StreamIncomplete,
        (.., true, _) => Status::Recorded,
        (.., UsageMissing::Estimate) => Status::Estimated,
        (.., UsageMissing::Reserve | UsageMissing::Zero) => Status::UsageMissing,
    }
}

impl Answer {
    fn facts(&self, rate_known: bool, missing: UsageMissing) -> Facts {
        Facts {
            status_code: self.status_code,
            served: self.served,
            end: self.end,
            usage_complete: self.usage.is_complete(),
            rate_known,
            missing,
        }
    }

    /// What was told, and what stands in for the rest.
    fn count(&self, missing: UsageMissing) -> (Tokens, UsageSource) {
        let told = Tokens::of(&self.usage);
        let (guess, source) = match missing {
            UsageMissing::Estimate => (self.estimate, UsageSource::Estimated),
            UsageMissing::Reserve => (self.reserved, UsageSource::Reserved),
            UsageMissing::Zero => {
                let none = self.usage.is_empty();
                let source = if none { UsageSource::None } else { UsageSource::Reported };
                return (told, source);
            }
        };
        if !self.usage.is_complete() {
            let mut filled = Usage::of(guess.input_tokens, guess.output_tokens);
            filled.merge(&self.usage);
            return (Tokens::of(&filled), source);
        }
        // Some providers tell at once that one token was written, and the true number at the end.
        let last_word_missed = self.end != End::Complete && !self.finished;
        if last_word_missed && told.completion < Some(guess.output_tokens) {
            return (told.with_completion(guess.output_tokens), source);
        }
        (told, UsageSource::Reported)
    }
}

#[cfg(test)]
mod tests;
