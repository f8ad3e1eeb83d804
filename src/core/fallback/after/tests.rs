//! Which header values are times, and which of several counts.

use proptest::prelude::*;

use super::*;

/// 2026-11-21T08:30:00Z
const NOW_MS: u64 = 1_795_249_800_000;

fn headers<'a>(lines: &'a [(&'a str, &'a str)]) -> impl Fn(&str) -> Option<&'a str> {
    move |name| lines.iter().find(|(other, _)| *other == name).map(|(_, value)| *value)
}

fn after(lines: &[(&str, &str)]) -> Option<u64> {
    retry_after_ms(headers(lines), NOW_MS)
}

#[test]
fn retry_after_is_seconds_or_a_date() {
    for (value, ms) in [
        ("0", Some(0)),
        ("2", Some(2000)),
        (" 2 ", Some(2000)),
        ("1.5", Some(1500)),
        ("0.0001", Some(1)),
        ("Sat, 21 Nov 2026 08:30:07 GMT", Some(7000)),
        ("Saturday, 21-Nov-26 08:30:07 GMT", Some(7000)),
        ("Sat Nov 21 08:30:07 2026", Some(7000)),
        ("Sat, 21 Nov 2026 08:29:00 GMT", Some(0)),
        ("-1", None),
        ("+1", None),
        ("1e3", None),
        ("1.", None),
        (".5", None),
        ("", None),
        ("soon", None),
        ("99999999999999999999", None),
        ("31622401", None),
        ("Sat, 21 Nov 2099 08:30:00 GMT", None),
    ] {
        assert_eq!(after(&[("retry-after", value)]), ms, "{value}");
    }
}

#[test]
fn milliseconds_come_before_seconds() {
    assert_eq!(after(&[("retry-after", "2"), ("retry-after-ms", "1500")]), Some(1500));
    assert_eq!(after(&[("retry-after", "2"), ("retry-after-ms", "x")]), Some(2000));
}

#[test]
fn resets_of_limits_are_spans() {
    for (value, ms) in [
        ("15ms", Some(15)),
        ("2s", Some(2000)),
        ("1.5s", Some(1500)),
        ("1m30s", Some(90_000)),
        ("6m0s", Some(360_000)),
        ("1h2m3.25s", Some(3_723_250)),
        ("1d", Some(86_400_000)),
        ("59", Some(59_000)),
        ("", None),
        ("s", None),
        ("1x", None),
        ("-1s", None),
        ("1s2", None),
        ("9999999d", None),
    ] {
        assert_eq!(after(&[("x-ratelimit-reset-tokens", value)]), ms, "{value}");
    }
}

#[test]
fn resets_of_the_other_dialect_are_moments() {
    for (value, ms) in [
        ("2026-11-21T08:30:02Z", Some(2000)),
        ("2026-11-21T08:30:02.5Z", Some(2500)),
        ("2026-11-21T09:30:02+01:00", Some(2000)),
        ("2026-11-20t22:30:02-10:00", Some(2000)),
        ("2026-11-21T08:29:00Z", Some(0)),
        ("2028-02-30T00:00:00Z", None),
        ("2026-02-29T00:00:00Z", None),
        ("2026-13-01T00:00:00Z", None),
        ("2026-11-21T24:00:00Z", None),
        ("2026-11-21T08:30:02", None),
        ("2026-11-21T08:30:02+1:00", None),
        ("2026-11-21", None),
        ("+026-11-21T08:30:02Z", None),
        ("1969-12-31T23:59:59Z", None),
    ] {
        assert_eq!(after(&[("anthropic-ratelimit-tokens-reset", value)]), ms, "{value}");
    }
}

#[test]
fn the_limit_that_is_used_up_counts() {
    let lines = [
        ("x-ratelimit-remaining-requests", "59"),
        ("x-ratelimit-reset-requests", "6m0s"),
        ("x-ratelimit-remaining-tokens", "0"),
        ("x-ratelimit-reset-tokens", "2s"),
    ];
    assert_eq!(after(&lines), Some(2000));
    let lines = [
        ("x-ratelimit-remaining-requests", "0"),
        ("x-ratelimit-reset-requests", "3s"),
        ("x-ratelimit-remaining-tokens", "10"),
        ("x-ratelimit-reset-tokens", "9s"),
    ];
    assert_eq!(after(&lines), Some(3000));
    // Both are left: the request needs more tokens than remain.
    let lines = [
        ("x-ratelimit-remaining-requests", "59"),
        ("x-ratelimit-reset-requests", "6m0s"),
        ("x-ratelimit-remaining-tokens", "10"),
        ("x-ratelimit-reset-tokens", "2s"),
    ];
    assert_eq!(after(&lines), Some(2000));
    let untold = [("x-ratelimit-reset-requests", "3s"), ("x-ratelimit-reset-tokens", "2s")];
    assert_eq!(after(&untold), Some(3000));
    let requests = [("x-ratelimit-remaining-requests", "59"), ("x-ratelimit-reset-requests", "3s")];
    assert_eq!(after(&requests), Some(3000));
}

#[test]
fn what_is_asked_for_beats_resets() {
    let lines = [("retry-after", "1"), ("x-ratelimit-reset-requests", "9s")];
    assert_eq!(after(&lines), Some(1000));
    assert_eq!(asked_ms(&headers(&lines[1..]), NOW_MS), None);
}

#[test]
fn feedback_has_the_fewest_that_remain() {
    let lines = [
        ("anthropic-ratelimit-requests-remaining", "49"),
        ("anthropic-ratelimit-input-tokens-remaining", "40000"),
        ("anthropic-ratelimit-output-tokens-remaining", "8000"),
        ("anthropic-ratelimit-output-tokens-reset", "2026-11-21T08:30:02Z"),
    ];
    let feedback = Feedback::read(headers(&lines), NOW_MS);
    assert_eq!(feedback.remaining_requests, Some(49));
    assert_eq!(feedback.remaining_tokens, Some(8000));
    assert_eq!(feedback.reset_after_ms, Some(2000));
    let spoiled = [("x-ratelimit-remaining-tokens", "-3"), ("x-ratelimit-reset-tokens", "soon")];
    assert_eq!(Feedback::read(headers(&spoiled), NOW_MS), Feedback::default());
}

proptest! {
    #[test]
    fn any_text_is_survived(text in "\\PC{0,40}", name in 0usize..4) {
        let name = ["retry-after", "retry-after-ms", "x-ratelimit-reset-tokens",
            "anthropic-ratelimit-tokens-reset"][name];
        let ms = after(&[(name, &text)]);
        prop_assert!(ms.is_none_or(|ms| ms <= MAX_MS));
    }

    #[test]
    fn both_kinds_of_date_mean_the_same(seconds in 0u64..31_000_000) {
        let at = UNIX_EPOCH + std::time::Duration::from_secs(NOW_MS / 1000 + seconds);
        let http = httpdate::fmt_http_date(at);
        prop_assert_eq!(after(&[("retry-after", &http)]), Some(seconds * 1000));
    }
}
