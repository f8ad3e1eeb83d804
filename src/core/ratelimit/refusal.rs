//! Why is a request refused, when may it come again, and what is the client told?

use super::clerk::{Refused, Which, Why};
use super::line::Measure;
use super::rules::{Quota, RuleSet};
use crate::error::Rejection;

/// When to ask for a place again that somebody else holds, in milliseconds: nobody knows.
const BUSY_MS: u64 = 1000;

/// When to ask again for a budget that does not come back by itself, in milliseconds.
const SPENT_FOR_EVER_MS: u64 = 86_400_000;

/// `$llm_ratelimit_deny_reason`
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum DenyReason {
    /// Too many requests.
    Requests,
    /// Too many tokens.
    Tokens,
    /// Too much money.
    Spend,
    /// Too many at once.
    Concurrency,
    /// Nobody knows whose request it is.
    IdentityMissing,
    /// It alone is too large.
    ExceedsLimit,
    /// It has no price where a budget applies.
    UnpricedModel,
    /// The table has no room.
    ZoneFull,
}

impl DenyReason {
    /// All of them.
    pub const ALL: [Self; 8] = [
        Self::Requests,
        Self::Tokens,
        Self::Spend,
        Self::Concurrency,
        Self::IdentityMissing,
        Self::ExceedsLimit,
        Self::UnpricedModel,
        Self::ZoneFull,
    ];

    /// Its word.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Requests => "request_budget_exhausted",
            Self::Tokens => "token_budget_exhausted",
            Self::Spend => "spend_budget_exhausted",
            Self::Concurrency => "concurrency_exhausted",
            Self::IdentityMissing => "identity_missing",
            Self::ExceedsLimit => "request_exceeds_limit",
            Self::UnpricedModel => "unpriced_model",
            Self::ZoneFull => "zone_full",
        }
    }

    /// Whether it is forgiven where `llm_ratelimit_fail_open` is on.
    #[must_use]
    pub const fn may_fail_open(self) -> bool {
        matches!(self, Self::IdentityMissing | Self::ZoneFull)
    }
}

/// Why a request is refused.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refusal {
    /// The reason.
    pub reason: DenyReason,
    /// The rule, such as `project usd month` or `requests 600/1m model=gpt-4o`; never whose it is.
    pub scope: String,
    /// When it may come again, in milliseconds.
    pub retry_after_ms: Option<u64>,
    /// When it will pass, in unix time.
    pub reset_at_s: Option<u64>,
    /// The cost unit of a budget.
    pub unit: Option<String>,
}

impl Refusal {
    pub(super) fn identity_missing(scope: &str) -> Self {
        Self::without_time(DenyReason::IdentityMissing, scope)
    }

    pub(super) fn unpriced_model(scope: &str) -> Self {
        Self::without_time(DenyReason::UnpricedModel, scope)
    }

    fn without_time(reason: DenyReason, scope: &str) -> Self {
        Self { reason, scope: scope.to_owned(), retry_after_ms: None, reset_at_s: None, unit: None }
    }

    /// `Retry-After`, in whole seconds; never 0.
    #[must_use]
    pub fn retry_after_s(&self) -> Option<u64> {
        self.retry_after_ms.map(|ms| ms.div_ceil(1000).max(1))
    }

    /// What the client is told.
    #[must_use]
    pub fn rejection(&self) -> Rejection {
        let retry_in_s = self.retry_after_s().unwrap_or(1);
        let (code, scope) = (self.reason.name(), &self.scope);
        let rejection = match self.reason {
            DenyReason::Requests => Rejection::limit_reached(
                code,
                format!("Too many requests: the limit is \"{scope}\". Try again later."),
                retry_in_s,
            ),
            DenyReason::Tokens => Rejection::limit_reached(
                code,
                format!(
                    "Too many tokens: the limit is \"{scope}\". Try again later, or ask for fewer \
                     output tokens."
                ),
                retry_in_s,
            ),
            DenyReason::Spend => Rejection::limit_reached(
                code,
                format!("The budget \"{scope}\" does not cover this request."),
                retry_in_s,
            ),
            DenyReason::Concurrency => Rejection::limit_reached(
                code,
                format!(
                    "Too many requests at once: the limit is \"{scope}\". Try again when one of \
                     them has ended."
                ),
                retry_in_s,
            ),
            DenyReason::IdentityMissing => Rejection::identity_missing(),
            DenyReason::ExceedsLimit => Rejection::request_exceeds_limit(),
            DenyReason::UnpricedModel => Rejection::unpriced_model(),
            DenyReason::ZoneFull => Rejection::ratelimit_zone_full(),
        };
        rejection.with_limit(scope.as_str(), self.reset_at_s)
    }
}

impl RuleSet {
    /// What a clerk's refusal means.
    #[must_use]
    pub fn refusal(&self, refused: &Refused, now_ms: u64) -> Refusal {
        let (exhausted, scope, unit) = match refused.ask.which {
            Which::Limit(at) => self.limit(at).map_or_else(Default::default, |limit| {
                let reason = match limit.quota {
                    Quota::Concurrency(_) => DenyReason::Concurrency,
                    Quota::Rate(Measure::Requests, _) => DenyReason::Requests,
                    Quota::Rate(..) => DenyReason::Tokens,
                };
                (Some(reason), limit.name.clone(), None)
            }),
            Which::Spend(at) => self.spending(at).map_or_else(Default::default, |spending| {
                (Some(DenyReason::Spend), spending.name.clone(), Some(spending.unit.clone()))
            }),
        };
        let (reason, retry_after_ms) = match refused.why {
            Why::Never => (DenyReason::ExceedsLimit, None),
            Why::Full => (DenyReason::ZoneFull, Some(BUSY_MS)),
            Why::Wait(ms) => (exhausted.unwrap_or(DenyReason::Requests), Some(ms)),
            Why::Busy => (DenyReason::Concurrency, Some(BUSY_MS)),
            Why::Spent => (DenyReason::Spend, None),
        };
        let mut refusal = Refusal { reason, scope, retry_after_ms, reset_at_s: None, unit };
        match refused.why {
            Why::Wait(ms) => refusal.reset_at_s = Some(now_ms.saturating_add(ms).div_ceil(1000)),
            Why::Spent => {
                refusal.reset_at_s = refused.ask.window_end_s();
                let wait_ms = |end_s: u64| end_s.saturating_mul(1000).saturating_sub(now_ms);
                let retry_ms = refusal.reset_at_s.map_or(SPENT_FOR_EVER_MS, wait_ms);
                refusal.retry_after_ms = Some(retry_ms);
            }
            Why::Never | Why::Busy | Why::Full => {}
        }
        refusal
    }
}

#[cfg(test)]
mod tests;
