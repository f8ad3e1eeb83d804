//! How many retries a share allows.

use proptest::prelude::*;

use super::*;

/// Retries that are made if each is asked for, `first` attempts after the last.
fn retries(attempts: u32, percent: u32, at_ms: impl Fn(u32) -> u64) -> u32 {
    let mut record = Record::default();
    let mut made = 0;
    for attempt in 0..attempts {
        count_attempt(&mut record, at_ms(attempt));
        if may_retry(&mut record, at_ms(attempt), percent) {
            count_retry(&mut record, at_ms(attempt));
            made += 1;
        }
    }
    made
}

#[test]
fn retries_stay_within_their_share() {
    assert_eq!(retries(80, 20, |_| 1), 20);
    assert_eq!(retries(3, 20, |_| 1), 1);
    assert_eq!(retries(50, 0, |_| 1), 0);
    assert_eq!(retries(50, 100, |_| 1), 50);
}

#[test]
fn a_quiet_target_has_one_retry() {
    assert_eq!(retries(5, 1, |attempt| u64::from(attempt) * 60_000), 5);
}

#[test]
fn what_is_long_past_is_forgotten() {
    let mut record = Record::default();
    count_retry(&mut record, 1000);
    count_retry(&mut record, 1000);
    assert!(!may_retry(&mut record, 2000, 50));
    assert!(may_retry(&mut record, 2000 + WINDOW_MS, 50));
}

#[test]
fn asking_counts_nothing() {
    let mut record = Record::default();
    for _ in 0..10 {
        assert!(may_retry(&mut record, 1000, 1));
    }
}

proptest! {
    #[test]
    fn no_time_breaks_the_share(
        steps in prop::collection::vec((0u64..100_000, any::<bool>()), 1..80),
        percent in 0u32..=100,
    ) {
        let mut record = Record::default();
        for (now_ms, is_retry) in steps {
            if !is_retry {
                count_attempt(&mut record, now_ms);
            } else if may_retry(&mut record, now_ms, percent) {
                count_retry(&mut record, now_ms);
            }
            let sum = |halves: [u32; 2]| halves[0] + halves[1];
            prop_assert!(percent > 0 || sum(record.retries) == 0);
        }
    }
}
