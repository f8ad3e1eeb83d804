//! The exact text of the headers.

use super::super::bucket::Portion;
use super::super::clerk::Which;
use super::*;

fn shown(limit: u64, remaining: u64, reset_ms: u64) -> Shown {
    Shown { limit, remaining, reset_ms, window_ms: 60_000 }
}

fn ask(measure: Measure, rate: Rate) -> Ask {
    let portion = Portion { amount: 1, firm: 1 };
    Ask { which: Which::Limit(0), key: 1, limit: 0, want: Want::Draw { rate, measure, portion } }
}

fn told(headers: &Headers) -> Vec<(&'static str, String)> {
    let mut told = Vec::new();
    let values = headers.values();
    values.each(|index, name, place| {
        assert_eq!(Headers::NAMES[index], name);
        told.push((name, values.text()[place].to_owned()));
    });
    told
}

fn duration(ms: u64) -> Text {
    let mut text = Text::new();
    push_duration(&mut text, ms);
    text
}

#[test]
fn times_are_written_as_openai_writes_them() {
    for (ms, text) in [
        (0, "0s"),
        (20, "20ms"),
        (999, "999ms"),
        (1000, "1s"),
        (1500, "1.5s"),
        (8640, "8.64s"),
        (59_001, "59.001s"),
        (60_000, "1m0s"),
        (360_000, "6m0s"),
        (3_600_000, "1h0m0s"),
        (90_061_250, "25h1m1.25s"),
    ] {
        assert_eq!(&duration(ms), text);
    }
}

#[test]
fn both_spellings_of_the_headers() {
    let headers =
        Headers { requests: Some(shown(3, 2, 20_000)), tokens: Some(shown(250_000, 9, 59_001)) };
    assert_eq!(
        told(&headers),
        [
            ("x-ratelimit-limit-requests", "3".to_owned()),
            ("x-ratelimit-remaining-requests", "2".to_owned()),
            ("x-ratelimit-reset-requests", "20s".to_owned()),
            ("x-ratelimit-limit-tokens", "250000".to_owned()),
            ("x-ratelimit-remaining-tokens", "9".to_owned()),
            ("x-ratelimit-reset-tokens", "59.001s".to_owned()),
            ("RateLimit", r#""requests";r=2;t=20, "tokens";r=9;t=60"#.to_owned()),
            ("RateLimit-Policy", r#""requests";q=3;w=60, "tokens";q=250000;w=60"#.to_owned()),
        ]
    );
}

#[test]
fn what_is_not_limited_is_not_shown() {
    let headers = Headers { requests: None, tokens: Some(shown(5, 5, 0)) };
    let told_of_tokens = told(&headers);
    let names: Vec<_> = told_of_tokens.iter().map(|(name, _)| *name).collect();
    let [.., limit, remaining, reset, draft, policy] = Headers::NAMES;
    assert_eq!(names, [limit, remaining, reset, draft, policy]);
    assert_eq!(told_of_tokens[3], ("RateLimit", r#""tokens";r=5;t=0"#.to_owned()));
    assert_eq!(told(&Headers::default()), []);
}

#[test]
fn integers_stay_within_structured_fields() {
    let shown = shown(u64::MAX, u64::MAX, u64::MAX);
    let shown = Shown { window_ms: u64::MAX, ..shown };
    let headers = Headers { requests: Some(shown), tokens: Some(shown) };
    let of = |one: &str, two: &str| {
        let parameters = format!("{one}=999999999999999;{two}=999999999999999");
        format!("\"requests\";{parameters}, \"tokens\";{parameters}")
    };
    let told = told(&headers);
    assert_eq!(told[2].1, "5124095576030h25m51.615s");
    assert_eq!(told[4].1, u64::MAX.to_string());
    assert_eq!(told[6].1, of("r", "t"));
    assert_eq!(told[7].1, of("q", "w"));
}

#[test]
fn headers_are_found_by_their_names() {
    for (index, name) in Headers::NAMES.into_iter().enumerate() {
        assert_eq!(Headers::index(name.as_bytes()), Some(index));
        assert_eq!(Headers::index(name.to_ascii_uppercase().as_bytes()), Some(index));
    }
    for other in ["", "x", "ratelimit-reset", "content-type", "x-ratelimit-limit-images"] {
        assert_eq!(Headers::index(other.as_bytes()), None);
    }
}

#[test]
fn the_tightest_is_shown() {
    let mut headers = Headers::default();
    let minute = Rate::new(600, 120, 60_000);
    let day = Rate::new(10_000, 0, 86_400_000);
    headers.add(&ask(Measure::Requests, day), 50, 1000);
    headers.add(&ask(Measure::Requests, minute), 40, 5000);
    headers.add(&ask(Measure::Requests, day), 40, 4000);
    headers.add(&ask(Measure::Output, minute), 7, 1000);
    let requests = headers.requests.unwrap();
    // The burst takes time to flow back as well.
    assert_eq!(requests, Shown { limit: 720, remaining: 40, reset_ms: 5000, window_ms: 72_000 });
    assert_eq!(headers.tokens.map(|shown| shown.remaining), Some(7));
}
