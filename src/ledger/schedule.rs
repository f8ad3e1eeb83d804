//! When is a sink tried again, and when is the operator told again? Both grow quiet while nothing
//! changes.

use std::hash::{BuildHasher, RandomState};
use std::time::{Duration, Instant};

const FIRST: Duration = Duration::from_millis(250);
const LONGEST: Duration = Duration::from_secs(30);
const BETWEEN_REPORTS: Duration = Duration::from_secs(60);
/// Between reports of different trouble.
const BETWEEN_OTHERS: Duration = Duration::from_secs(2);

/// Pauses that double with each failure in a row.
#[derive(Debug, Default)]
pub(crate) struct BackOff {
    failures: u32,
    until: Option<Instant>,
}

impl BackOff {
    /// How long to wait still.
    pub(crate) fn remaining(&self, now: Instant) -> Duration {
        self.until.map_or(Duration::ZERO, |until| until.saturating_duration_since(now))
    }

    /// In a row.
    pub(crate) fn failures(&self) -> u32 {
        self.failures
    }

    /// Half of the pause is by chance, so that workers do not come back all at once.
    pub(crate) fn failed(&mut self, now: Instant) {
        let pause = FIRST.saturating_mul(1 << self.failures.min(16)).min(LONGEST);
        let half = pause / 2;
        let chance = RandomState::new().hash_one(self.failures) % 1000;
        let jitter = half / 1000 * u32::try_from(chance).unwrap_or_default();
        self.failures = self.failures.saturating_add(1);
        self.until = Some(now + half + jitter);
    }

    pub(crate) fn succeeded(&mut self) {
        *self = Self::default();
    }

    /// The next try may be at once.
    pub(crate) fn forget_pause(&mut self) {
        self.until = None;
    }
}

/// The same trouble is told once a minute, with its count; another one at once.
#[derive(Debug, Default)]
pub(crate) struct Reporter {
    last: Option<Instant>,
    since_last: u64,
}

impl Reporter {
    /// How often it happened since it was told, if it is to be told now.
    pub(crate) fn happened(&mut self, now: Instant, is_another: bool) -> Option<u64> {
        self.since_last += 1;
        let pause = if is_another { BETWEEN_OTHERS } else { BETWEEN_REPORTS };
        let is_due = self.last.is_none_or(|last| now.saturating_duration_since(last) >= pause);
        is_due.then(|| {
            self.last = Some(now);
            std::mem::take(&mut self.since_last)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_double_up_to_half_a_minute() {
        let now = Instant::now();
        let mut back_off = BackOff::default();
        assert_eq!(back_off.remaining(now), Duration::ZERO);
        let mut bound = FIRST;
        for _ in 0..20 {
            back_off.failed(now);
            let pause = back_off.remaining(now);
            assert!(pause >= bound / 2 && pause <= bound, "{pause:?} of {bound:?}");
            bound = (bound * 2).min(LONGEST);
        }
        assert_eq!(back_off.remaining(now + LONGEST), Duration::ZERO);
        back_off.succeeded();
        back_off.failed(now);
        assert!(back_off.remaining(now) <= FIRST);
    }

    #[test]
    fn trouble_is_told_once_a_minute_with_its_count() {
        let now = Instant::now();
        let mut reporter = Reporter::default();
        let after = |seconds| now + Duration::from_secs(seconds);
        assert_eq!(reporter.happened(now, false), Some(1));
        assert_eq!(reporter.happened(after(1), false), None);
        assert_eq!(reporter.happened(after(59), false), None);
        assert_eq!(reporter.happened(after(60), false), Some(3));
        assert_eq!(reporter.happened(after(61), true), None, "two reasons in turn make no flood");
        assert_eq!(reporter.happened(after(62), true), Some(2));
    }
}
