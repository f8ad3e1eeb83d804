//! Which lines are taken, and how long pauses are.

use proptest::prelude::*;

use super::*;

#[test]
fn a_retry_line_has_a_backoff() {
    let line = |times, backoff_min_ms, backoff_max_ms| {
        Ok(RetryLine { times, backoff_min_ms, backoff_max_ms })
    };
    assert_eq!(RetryLine::parse(&["2"]), line(2, 250, 2000));
    assert_eq!(RetryLine::parse(&["0"]), line(0, 250, 2000));
    assert_eq!(RetryLine::parse(&["1", "backoff=1s..1m"]), line(1, 1000, 60_000));
    assert_eq!(RetryLine::parse(&["1", "backoff=0..1"]), line(1, 0, 1000));
}

#[test]
fn a_misspelled_retry_line_is_refused_with_the_word_to_change() {
    for (args, word) in [
        (&["x"][..], "\"x\""),
        (&["-1"], "\"-1\""),
        (&["1", "backoff=2s"], "\"backoff=2s\""),
        (&["1", "backoff=2s..1s"], "\"backoff=2s..1s\""),
        (&["1", "backoff=0..0"], "\"backoff=0..0\""),
        (&["1", "2"], "\"2\""),
        (&[], "needs a number"),
    ] {
        let error = RetryLine::parse(args).unwrap_err();
        assert!(error.contains(word) && error.contains("llm_fallback_retry"), "{error}");
    }
}

#[test]
fn pauses_begin_short_and_may_grow() {
    let line = RetryLine { times: 9, backoff_min_ms: 250, backoff_max_ms: 2000 };
    let longest = |retries| (0..5000).map(|random| line.pause_ms(retries, random)).max();
    assert_eq!([0, 1, 2, 3, 40].map(longest), [500, 1000, 2000, 2000, 2000].map(Some));
}

#[test]
fn retries_that_leave_nothing_for_other_targets_are_told() {
    let with = |times, max_attempts| {
        let retry = Some(RetryLine { times, backoff_min_ms: 1, backoff_max_ms: 1 });
        Policy { retry, max_attempts, ..Policy::default() }.warnings().len()
    };
    assert_eq!([with(1, 2), with(2, 3), with(1, 3), with(0, 1)], [1, 1, 0, 0]);
}

#[test]
fn choices_are_read_by_their_names() {
    assert_eq!(Mode::parse("latency"), Ok(Mode::Latency));
    assert_eq!(Hold::parse("complete"), Ok(Hold::Complete));
    assert_eq!(TranslationFallback::parse("forbid"), Ok(TranslationFallback::Forbid));
    let error = Mode::parse("fast").unwrap_err();
    assert_eq!(
        error,
        "invalid value \"fast\" in \"llm_fallback_mode\", it must be basic or health or latency"
    );
}

#[test]
fn numbers_have_limits() {
    assert_eq!(max_attempts("1"), Ok(1));
    assert!(max_attempts("0").is_err() && max_attempts("x").is_err());
    assert_eq!(retry_budget("off"), Ok(None));
    assert_eq!(retry_budget("20%"), Ok(Some(20)));
    assert_eq!(retry_budget("100"), Ok(Some(100)));
    assert!(retry_budget("101").is_err() && retry_budget("").is_err());
}

#[test]
fn a_probe_line_has_defaults() {
    let probe = ProbeLine::parse(&["a"]).unwrap();
    assert_eq!(
        (probe.uri.as_str(), probe.interval_ms, probe.timeout_ms),
        ("/v1/models", 30_000, 2000)
    );
    let probe = ProbeLine::parse(&["a", "timeout=1s", "uri=/health", "interval=5s"]).unwrap();
    assert_eq!((probe.uri.as_str(), probe.interval_ms, probe.timeout_ms), ("/health", 5000, 1000));
    for option in ["uri=health", "uri=/a b", "interval=0", "timeout=x", "port=1", "uri"] {
        let error = ProbeLine::parse(&["a", option]).unwrap_err();
        assert!(error.contains(&format!("\"{option}\"")), "{error}");
    }
}

proptest! {
    #[test]
    fn a_pause_stays_within_its_limits(
        min in 0u64..10_000, more in 0u64..10_000, retries in any::<u32>(), random in any::<u64>(),
    ) {
        let line = RetryLine { times: 1, backoff_min_ms: min, backoff_max_ms: min + more };
        prop_assert!((min..=min + more).contains(&line.pause_ms(retries, random)));
    }
}
