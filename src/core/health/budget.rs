//! May a target be retried, or would retries make up too much of its traffic? `llm_fallback_retry_budget`
//! keeps a struggling provider from being asked more the more it fails.

use super::Record;
use super::record::{increment, shift};

/// How far back the share looks, in milliseconds.
const WINDOW_MS: u64 = 30_000;

/// An attempt at the target that is not a retry of it.
pub fn count_attempt(record: &mut Record, now_ms: u64) {
    advance(record, now_ms);
    increment(&mut record.firsts, 1);
}

/// A retry of the target.
pub fn count_retry(record: &mut Record, now_ms: u64) {
    advance(record, now_ms);
    increment(&mut record.retries, 1);
}

/// Whether one more retry stays within the share, in percent of all attempts. One in the window
/// always does, or a quiet target would never have any.
pub fn may_retry(record: &mut Record, now_ms: u64, percent: u32) -> bool {
    advance(record, now_ms);
    let sum = |halves: [u32; 2]| halves.iter().map(|&half| u64::from(half)).sum::<u64>();
    let retries = sum(record.retries) + 1;
    let attempts = sum(record.firsts) + retries;
    percent > 0 && (retries == 1 || retries * 100 <= u64::from(percent) * attempts)
}

fn advance(record: &mut Record, now_ms: u64) {
    let now_ms = record.now(now_ms);
    let halves = now_ms.saturating_sub(record.budget_ms) / (WINDOW_MS / 2);
    if halves > 0 {
        shift(&mut record.firsts, halves);
        shift(&mut record.retries, halves);
        record.budget_ms = now_ms;
    }
}

#[cfg(test)]
mod tests;
