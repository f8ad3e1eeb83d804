//! Which limits and budgets does a location have, and what do they ask for one request? Made from the
//! lines once; nothing allocates for a request but the lists that the caller keeps.

mod asks;
mod compile;
mod describe;

pub use describe::Described;

use super::bucket::Rate;
use super::key::Key;
use super::line::{
    Basis, Measure, PatternLine, Reserve, ReserveSpendLine, RuleLine, Scope, SpendLine, Unpriced,
};
use super::spend::Cap;
use super::window::{Calendar, TimeZone};
use crate::cost::Pico;
use crate::pattern::Pattern;

/// What a location says about limits and budgets.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Lines {
    /// `llm_ratelimit_key`
    pub key: Option<String>,
    /// `llm_ratelimit_requests_per_minute`
    pub requests_per_minute: Option<u64>,
    /// `llm_ratelimit_burst_requests`
    pub burst_requests: Option<u64>,
    /// `llm_ratelimit_tokens_per_minute`
    pub tokens_per_minute: Option<u64>,
    /// `llm_ratelimit_concurrency`
    pub concurrency: Option<u64>,
    /// `llm_ratelimit_rule`
    pub rules: Vec<RuleLine>,
    /// `llm_ratelimit_model_rpm`
    pub model_rpm: Vec<PatternLine>,
    /// `llm_ratelimit_model_tpm`
    pub model_tpm: Vec<PatternLine>,
    /// `llm_ratelimit_provider_rpm`
    pub provider_rpm: Vec<PatternLine>,
    /// `llm_ratelimit_provider_tpm`
    pub provider_tpm: Vec<PatternLine>,
    /// `llm_ratelimit_translated_rpm`
    pub translated_rpm: Option<u64>,
    /// `llm_ratelimit_translated_tpm`
    pub translated_tpm: Option<u64>,
    /// `llm_ratelimit_model_basis`
    pub model_basis: Basis,
    /// `llm_ratelimit_provider_basis`
    pub provider_basis: Basis,
    /// `llm_ratelimit_reserve_tokens`
    pub reserve_tokens: Reserve,
    /// `llm_ratelimit_spend_scope`
    pub spend: Vec<SpendLine>,
    /// `llm_ratelimit_spend_timezone`
    pub time_zone: TimeZone,
    /// `llm_ratelimit_reserve_spend`
    pub reserve_spend: Vec<ReserveSpendLine>,
    /// `llm_ratelimit_unpriced`
    pub unpriced: Unpriced,
}

/// Whom a request goes to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Subject<'a> {
    /// The provider that the request was first meant for.
    pub requested_provider: &'a str,
    /// The model that the client named.
    pub requested_model: Option<&'a str>,
    /// The provider of the attempt, or of the first one.
    pub provider: &'a str,
    /// The model that it gets.
    pub model: Option<&'a str>,
    /// Whether the request is translated for it.
    pub is_translated: bool,
}

/// The limits and budgets of a location.
#[derive(Debug)]
pub struct RuleSet {
    /// Texts with variables; values are given in this order.
    keys: Vec<String>,
    /// Whether the first key is that of `llm_ratelimit_key`.
    has_identity: bool,
    limits: Vec<Limit>,
    spends: Vec<Spending>,
    reserve_tokens: Reserve,
    unpriced: Unpriced,
}

/// One limit.
#[derive(Debug)]
pub(super) struct Limit {
    /// What it is called in answers.
    pub name: String,
    /// What it limits, but not how much.
    id: u64,
    /// What its records' keys begin with.
    start: Key,
    /// The index of its key.
    key: usize,
    pub quota: Quota,
    model: Option<Side>,
    provider: Option<Side>,
    /// Only for requests that are translated.
    is_translated: bool,
    group: Group,
}

/// For which models or providers a limit is.
#[derive(Debug)]
struct Side {
    pattern: Pattern,
    /// As it was written.
    text: String,
    basis: Basis,
}

/// What a limit allows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Quota {
    Rate(Measure, Rate),
    Concurrency(u64),
}

/// How limits stand to each other.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Group {
    /// By itself.
    Alone,
    /// The general one, in whose place a more special one of the same measure comes.
    General,
    /// Of all with this number the first that fits, which is the most special one.
    BestOf(u8),
}

/// One budget.
#[derive(Debug)]
pub(super) struct Spending {
    pub name: String,
    pub unit: String,
    pub budget: Pico,
    pub calendar: Calendar,
    scope: Scope,
    cap: Cap,
    id: u64,
    /// What its records' keys begin with.
    start: Key,
    /// The indexes of its keys.
    keys: Vec<usize>,
    /// What is reserved for each request; `None` is by its size.
    reserve: Option<Pico>,
}

impl RuleSet {
    /// Texts with variables. Their values are handed over in this order, empty where there is none.
    #[must_use]
    pub fn keys(&self) -> &[String] {
        &self.keys
    }

    /// Whether there is nothing to ask for.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        !self.has_identity && self.limits.is_empty() && self.spends.is_empty()
    }

    /// Whether money is limited.
    #[must_use]
    pub fn has_budgets(&self) -> bool {
        !self.spends.is_empty()
    }

    /// Whether an attempt has to be asked for by itself, and not only the request.
    #[must_use]
    pub fn asks_per_attempt(&self) -> bool {
        !self.spends.is_empty() || self.limits.iter().any(Limit::is_per_attempt)
    }

    pub(super) fn limit(&self, index: usize) -> Option<&Limit> {
        self.limits.get(index)
    }

    pub(super) fn spending(&self, index: usize) -> Option<&Spending> {
        self.spends.get(index)
    }
}

#[cfg(test)]
mod tests;
