//! What do the rules say, in words and numbers? The status page shows it.

use super::super::line::{Measure, Scope};
use super::super::spend::Cap;
use super::super::window::SpendWindow;
use super::{Quota, RuleSet};

/// One limit, as people read it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Described<'a> {
    /// What it is called in refusals, such as `requests 600/1m model=gpt-4o`.
    pub name: &'a str,
    /// What its records bear, see [`Used`](super::super::Used).
    pub id: u64,
    /// `requests`, `tokens` or `concurrency`.
    pub kind: &'static str,
    /// How much passes at once at most.
    pub limit: u64,
    /// In which time that comes back, in milliseconds; none for concurrency.
    pub window_ms: Option<u64>,
}

impl RuleSet {
    /// Every limit, in the order of the lines.
    pub fn describe(&self) -> impl Iterator<Item = Described<'_>> {
        self.limits.iter().map(|limit| {
            let (kind, most, window_ms) = match limit.quota {
                Quota::Concurrency(most) => ("concurrency", most, None),
                Quota::Rate(Measure::Requests, rate) => {
                    ("requests", rate.capacity(), Some(rate.window_ms()))
                }
                Quota::Rate(_, rate) => ("tokens", rate.capacity(), Some(rate.window_ms())),
            };
            Described { name: &limit.name, id: limit.id, kind, limit: most, window_ms }
        })
    }

    /// Whether a budget lets the request pass that crosses it.
    #[must_use]
    pub fn is_soft(&self, scope: Scope, unit: &str, span: SpendWindow) -> bool {
        self.spends.iter().any(|one| {
            one.cap == Cap::Soft
                && one.scope == scope
                && one.calendar.kind() == span
                && one.unit.eq_ignore_ascii_case(unit)
        })
    }
}
