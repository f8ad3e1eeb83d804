//! What each attempt does to a record, and what no order of events can do.

use proptest::prelude::*;

use super::*;
use FailureClass as Class;

const PARAMS: Params = Params {
    cooldown_ms: 10_000,
    max_ms: 300_000,
    fails: 5,
    window_ms: 30_000,
    ratio_permille: 500,
    min: 20,
};
const START_MS: u64 = 1_000_000;

fn record() -> Record {
    Record::new(1, START_MS)
}

fn fail(record: &mut Record, now_ms: u64, class: Class) {
    failed(record, now_ms, &PARAMS, None, class);
}

/// Lets a probe through and gives it back.
fn probe(record: &mut Record, now_ms: u64) {
    let Admit::Probe { lease } = admit(record, now_ms) else { panic!("{record:?}") };
    released(record, lease);
}

/// For how long the record is benched from now on, if it is.
fn benched_ms(record: &mut Record, now_ms: u64) -> Option<u64> {
    match admit(&mut record.clone(), now_ms) {
        Admit::Benched { until_ms } => Some(until_ms - now_ms),
        _ => None,
    }
}

#[test]
fn failures_in_a_row_bench() {
    let mut record = record();
    for _ in 0..4 {
        fail(&mut record, START_MS, Class::Upstream5xx);
        assert_eq!(admit(&mut record, START_MS), Admit::Ready);
    }
    fail(&mut record, START_MS, Class::ConnectError);
    assert_eq!(admit(&mut record, START_MS), Admit::Benched { until_ms: START_MS + 10_000 });
    assert_eq!(record.benched_until_ms(START_MS), Some(START_MS + 10_000));
}

#[test]
fn every_failed_probe_prolongs_the_bench_and_a_good_one_ends_it() {
    let mut record = record();
    for step in 0..10 {
        let now_ms = START_MS + step * 400;
        probed(&mut record, now_ms, Some(1000));
        assert_eq!(benched_ms(&mut record, now_ms), Some(1000));
    }
    probed(&mut record, START_MS + 3700, None);
    assert_eq!(admit(&mut record, START_MS + 3700), Admit::Ready);
}

#[test]
fn without_a_further_probe_the_bench_of_a_failed_one_ends() {
    let mut record = record();
    probed(&mut record, START_MS, Some(1000));
    assert_eq!(record.benched_until_ms(START_MS + 999), Some(START_MS + 1000));
    assert_eq!(record.benched_until_ms(START_MS + 1000), None);
}

#[test]
fn a_success_between_starts_the_row_anew() {
    let mut record = record();
    for _ in 0..19 {
        fail(&mut record, START_MS, Class::Upstream5xx);
        succeeded(&mut record, START_MS, Some(100), &Params { min: 100, ..PARAMS });
    }
    assert_eq!(admit(&mut record, START_MS), Admit::Ready);
}

#[test]
fn a_share_of_the_attempts_in_the_window_benches() {
    let mut young = record();
    for attempt in 0..20 {
        assert_eq!(admit(&mut young, START_MS), Admit::Ready, "{attempt}");
        if attempt % 2 == 0 {
            succeeded(&mut young, START_MS, None, &PARAMS);
        } else {
            fail(&mut young, START_MS, Class::StreamError);
        }
    }
    assert_eq!(benched_ms(&mut young, START_MS), Some(10_000));
    let mut spread = record();
    for attempt in 0..100 {
        let now_ms = START_MS + attempt * 3000;
        if attempt % 2 == 0 {
            succeeded(&mut spread, now_ms, None, &PARAMS);
        } else {
            fail(&mut spread, now_ms, Class::StreamError);
        }
        assert_eq!(admit(&mut spread, now_ms), Admit::Ready, "too few in one window");
    }
}

#[test]
fn each_bench_is_twice_as_long_until_a_success() {
    let (mut record, mut now_ms) = (record(), START_MS);
    for expected in [10_000, 20_000, 40_000, 80_000, 160_000, 300_000, 300_000] {
        for _ in 0..if expected == 10_000 { 5 } else { 1 } {
            fail(&mut record, now_ms, Class::Upstream5xx);
        }
        assert_eq!(benched_ms(&mut record, now_ms), Some(expected));
        now_ms += expected;
        probe(&mut record, now_ms);
    }
    succeeded(&mut record, now_ms, None, &PARAMS);
    assert_eq!(admit(&mut record, now_ms), Admit::Ready);
    for _ in 0..5 {
        fail(&mut record, now_ms, Class::Upstream5xx);
    }
    assert_eq!(benched_ms(&mut record, now_ms), Some(10_000));
}

#[test]
fn what_a_provider_asks_for_wins() {
    let asked = |class, retry_after_ms| {
        let mut record = record();
        failed(&mut record, START_MS, &PARAMS, Some(retry_after_ms), class);
        benched_ms(&mut record, START_MS)
    };
    assert_eq!(asked(Class::RateLimited, 2000), Some(2000));
    assert_eq!(asked(Class::Upstream5xx, 600_000), Some(600_000));
    assert_eq!(asked(Class::RateLimited, u64::MAX), Some(MAX_ASKED_MS));
    assert_eq!(asked(Class::RateLimited, 0), Some(10_000));
    let mut record = record();
    for _ in 0..5 {
        fail(&mut record, START_MS, Class::Upstream5xx);
    }
    failed(&mut record, START_MS, &PARAMS, Some(3000), Class::RateLimited);
    assert_eq!(benched_ms(&mut record, START_MS), Some(3000), "shorter than ours");
    failed(&mut record, START_MS, &PARAMS, Some(1000), Class::RateLimited);
    assert_eq!(benched_ms(&mut record, START_MS), Some(3000), "both were asked for");
}

#[test]
fn keys_that_are_refused_or_used_up_are_benched_at_once() {
    for (class, ms) in [
        (Class::AuthError, Some(300_000)),
        (Class::QuotaExhausted, Some(300_000)),
        (Class::RateLimited, Some(10_000)),
        (Class::Overloaded, None),
        (Class::TransportTimeout, None),
    ] {
        let mut record = record();
        fail(&mut record, START_MS, class);
        assert_eq!(benched_ms(&mut record, START_MS), ms, "{class:?}");
    }
}

#[test]
fn a_request_at_fault_does_not_count_against_the_target() {
    let mut record = record();
    for class in [Class::ContentFilter, Class::ContextLength, Class::NotFound] {
        for _ in 0..30 {
            fail(&mut record, START_MS, class);
        }
        assert_eq!(admit(&mut record, START_MS), Admit::Ready, "{class:?}");
    }
    assert_eq!(record.success_permille(), 1000);
}

#[test]
fn one_probe_finds_out_and_others_wait() {
    let mut record = record();
    fail(&mut record, START_MS, Class::RateLimited);
    let then = START_MS + 10_000;
    let Admit::Probe { lease } = admit(&mut record, then) else { panic!() };
    assert_eq!(admit(&mut record, then), Admit::Benched { until_ms: lease });
    released(&mut record, lease + 1);
    assert_eq!(admit(&mut record, then), Admit::Benched { until_ms: lease }, "not its lease");
    // It is not heard of again: the next one may try.
    assert!(matches!(admit(&mut record, lease), Admit::Probe { .. }));
}

#[test]
fn a_probe_that_learned_nothing_gives_its_place_back() {
    let mut record = record();
    fail(&mut record, START_MS, Class::RateLimited);
    probe(&mut record, START_MS + 10_000);
    probe(&mut record, START_MS + 10_000);
}

#[test]
fn requests_that_were_under_way_prolong_nothing() {
    let mut record = record();
    for attempt in 0..50 {
        fail(&mut record, START_MS + attempt, Class::Upstream5xx);
    }
    assert_eq!(benched_ms(&mut record, START_MS + 4), Some(10_000));
}

#[test]
fn an_early_success_ends_only_a_bench_of_our_own() {
    let mut ours = record();
    for _ in 0..5 {
        fail(&mut ours, START_MS, Class::Upstream5xx);
    }
    succeeded(&mut ours, START_MS + 1, Some(5), &PARAMS);
    assert_eq!(admit(&mut ours, START_MS + 1), Admit::Ready);
    let mut asked = record();
    failed(&mut asked, START_MS, &PARAMS, Some(5000), Class::RateLimited);
    succeeded(&mut asked, START_MS + 1, Some(5), &PARAMS);
    assert_eq!(benched_ms(&mut asked, START_MS + 1), Some(4999));
}

#[test]
fn a_clock_that_was_set_back_keeps_nobody_benched_longer() {
    let mut record = record();
    failed(&mut record, START_MS, &PARAMS, Some(60_000), Class::RateLimited);
    assert_eq!(benched_ms(&mut record, START_MS + 10_000), Some(50_000));
    admit(&mut record, START_MS + 10_000);
    let back_ms = 500_000;
    assert_eq!(benched_ms(&mut record, back_ms), Some(50_000));
    admit(&mut record, back_ms);
    probe(&mut record, back_ms + 50_000);
}

#[test]
fn workers_that_read_the_time_a_little_apart_shorten_nothing() {
    let mut record = record();
    failed(&mut record, START_MS, &PARAMS, Some(60_000), Class::RateLimited);
    for step in 0..1000 {
        let now_ms = START_MS + step - (step % 2) * JITTER_MS / 2;
        assert!(matches!(admit(&mut record, now_ms), Admit::Benched { .. }));
    }
    assert_eq!(benched_ms(&mut record, START_MS + 59_999), Some(1));
}

#[test]
fn the_faster_and_the_more_reliable_target_is_better() {
    let seen = |latency_ms, failures| {
        let mut record = record();
        for _ in 0..20 {
            succeeded(&mut record, START_MS, Some(latency_ms), &PARAMS);
        }
        for _ in 0..failures {
            fail(&mut record, START_MS, Class::StreamError);
        }
        record
    };
    let order = |a: &Record, b: &Record| better(Some(a), Some(b), START_MS);
    assert_eq!(order(&seen(200, 0), &seen(900, 0)), Ordering::Less);
    assert_eq!(order(&seen(200, 1), &seen(900, 0)), Ordering::Greater);
    assert_eq!(order(&seen(300, 0), &seen(300, 0)), Ordering::Equal);
    assert_eq!(better(None, Some(&seen(1, 0)), START_MS), Ordering::Less);
    assert_eq!(better(None, Some(&record()), START_MS), Ordering::Equal);
}

#[test]
fn where_all_are_benched_the_one_with_most_hope_is_tried() {
    let benched = |ms, asked| {
        let mut record = record();
        let params = Params { cooldown_ms: ms, ..PARAMS };
        failed(&mut record, START_MS, &params, asked, Class::RateLimited);
        record
    };
    let (short, long) = (benched(1000, None), benched(9000, None));
    let asked = benched(1000, Some(500));
    assert_eq!(last_resort(&short, &long, START_MS), Ordering::Less);
    assert_eq!(last_resort(&asked, &long, START_MS), Ordering::Greater);
    assert_eq!(last_resort(&asked, &asked, START_MS), Ordering::Equal);
}

#[test]
fn latency_follows_what_is_observed() {
    let mut record = record();
    assert_eq!(record.latency_ms(), None);
    succeeded(&mut record, START_MS, Some(800), &PARAMS);
    assert_eq!(record.latency_ms(), Some(800));
    for step in 1..20 {
        succeeded(&mut record, START_MS + step, Some(100), &PARAMS);
    }
    assert!(record.latency_ms().unwrap() < 110);
    // After a long pause one observation says nearly all.
    succeeded(&mut record, START_MS + 600_000, Some(2000), &PARAMS);
    assert!(record.latency_ms().unwrap() > 1990);
}

#[test]
fn what_is_old_is_forgotten() {
    let mut record = record();
    succeeded(&mut record, START_MS, Some(4000), &PARAMS);
    fail(&mut record, START_MS, Class::StreamError);
    let scores: Vec<_> = [0, 30, 60, 120, 7200, 1 << 40]
        .map(|seconds| score(&record, START_MS + seconds * 1000))
        .into();
    assert!(scores.is_sorted_by(|a, b| a >= b), "{scores:?}");
    assert_eq!((scores[0], scores[2], scores[5]), (5250, 2625, 0));
}

#[test]
fn a_record_has_no_padding_and_zero_is_unused() {
    assert_eq!(size_of::<Record>(), 9 * 8 + 16 * 4 + 2 * 8 + 48);
    assert_eq!(Record::default().key, 0);
}

/// What may happen to a record.
#[derive(Debug, Clone)]
enum Step {
    Wait(u64),
    Admit,
    Succeed(u64),
    Fail(Class, Option<u64>),
    /// The oldest probe ends, well or badly.
    EndProbe(Option<Class>),
    /// The oldest probe is not heard of again.
    LoseProbe,
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let class = || prop::sample::select(Class::ALL.to_vec());
    let step = prop_oneof![
        (0u64..40_000).prop_map(Step::Wait),
        Just(Step::Admit),
        Just(Step::Admit),
        (0u64..5000).prop_map(Step::Succeed),
        (class(), prop::option::of(0u64..100_000)).prop_map(|(c, after)| Step::Fail(c, after)),
        prop::option::of(class()).prop_map(Step::EndProbe),
        Just(Step::LoseProbe),
    ];
    prop::collection::vec(step, 0..120)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1000))]

    #[test]
    fn at_most_one_probe_is_under_way_and_no_bench_is_broken(steps in steps()) {
        let mut record = record();
        let mut now_ms = START_MS;
        let mut probes: Vec<u64> = Vec::new();
        for step in steps {
            match step {
                Step::Wait(ms) => now_ms += ms,
                Step::Admit => {
                    let benched = record.benched_until_ms(now_ms);
                    match admit(&mut record, now_ms) {
                        Admit::Ready => prop_assert_eq!(benched, None),
                        Admit::Benched { until_ms } => {
                            prop_assert!(until_ms > now_ms);
                            prop_assert!(benched.is_none_or(|benched| until_ms >= benched));
                        }
                        Admit::Probe { lease } => {
                            prop_assert_eq!(benched, None);
                            probes.retain(|lease| *lease > now_ms);
                            prop_assert!(probes.is_empty(), "two probes");
                            probes.push(lease);
                        }
                    }
                }
                Step::Succeed(ms) => succeeded(&mut record, now_ms, Some(ms), &PARAMS),
                Step::Fail(class, after_ms) => {
                    let until_ms = record.benched_until_ms(now_ms);
                    failed(&mut record, now_ms, &PARAMS, after_ms, class);
                    let asked = after_ms.is_some_and(|ms| ms > 0);
                    if until_ms.is_some() && OF_THE_TARGET.contains(class) && !asked {
                        prop_assert_eq!(record.benched_until_ms(now_ms), until_ms);
                    }
                }
                Step::EndProbe(end) => {
                    if probes.is_empty() {
                        continue;
                    }
                    released(&mut record, probes.remove(0));
                    match end {
                        None => succeeded(&mut record, now_ms, Some(1), &PARAMS),
                        Some(class) => failed(&mut record, now_ms, &PARAMS, None, class),
                    }
                }
                Step::LoseProbe => {}
            }
        }
    }

    #[test]
    fn any_clock_is_survived_and_a_bench_always_ends(
        steps in prop::collection::vec((any::<u32>(), 0u8..5, any::<u64>()), 1..60),
    ) {
        let mut record = record();
        let mut now_ms = 0;
        for (time, kind, number) in steps {
            now_ms = u64::from(time);
            match kind {
                0 => fail(&mut record, now_ms, Class::Upstream5xx),
                1 => failed(&mut record, now_ms, &PARAMS, Some(number), Class::RateLimited),
                2 => succeeded(&mut record, now_ms, Some(number), &PARAMS),
                3 => released(&mut record, number),
                _ => drop(admit(&mut record, now_ms)),
            }
            prop_assert!(record.success_permille() <= 1000);
            let _ = score(&record, number);
        }
        // Nothing lasts longer than the longest bench or lease, whatever the clock did.
        admit(&mut record, now_ms);
        let later_ms = now_ms + MAX_ASKED_MS + PROBE_LEASE_MS + JITTER_MS;
        let is_benched = matches!(admit(&mut record, later_ms), Admit::Benched { .. });
        prop_assert!(!is_benched);
    }
}

#[test]
fn a_record_says_whose_it_is() {
    let mut record = Record::default();
    assert!(!record.is_named() && record.model().is_none());
    let long = "m".repeat(100);
    record.name("First", Some(&long), Some("key-1"));
    assert!(record.is_named() && record.is_of(name_hash("first")), "case does not matter");
    assert!(!record.is_of(name_hash("second")) && !Record::default().is_of(0));
    assert!(record.is_with(name_hash("key-1")) && !record.is_with(0));
    assert_eq!(record.model().unwrap(), "m".repeat(48));
    record.name("first", None, None);
    assert!(record.is_with(0) && record.model().is_none());
}

#[test]
fn what_the_operator_says_stays_until_he_says_otherwise() {
    let mut record = Record::default();
    record.drain(true);
    probed(&mut record, 1000, None);
    assert!(record.is_drained(), "a good probe does not put it back");
    record.drain(false);
    assert!(!record.is_drained());
}
