//! Which status a request gets, and what it is billed, case by case.

use super::*;
use crate::dialect::Dialect;

const SERVED: Facts = Facts {
    status_code: 200,
    served: Served::Provider,
    end: End::Complete,
    usage_complete: true,
    rate_known: true,
    missing: UsageMissing::Estimate,
};

#[test]
fn the_status_follows_from_the_facts() {
    use Status as S;
    let unknown = Facts { usage_complete: false, ..SERVED };
    let left = Facts { end: End::ClientClosed, ..SERVED };
    let cut = Facts { end: End::Incomplete, ..SERVED };
    let unpriced = Facts { rate_known: false, ..SERVED };
    let cached = Facts { served: Served::Cache, ..SERVED };
    let refused = Facts { served: Served::Gateway, ..SERVED };
    for (facts, expected) in [
        (SERVED, S::Recorded),
        (Facts { status_code: 201, ..SERVED }, S::Recorded),
        (unknown, S::Estimated),
        (Facts { missing: UsageMissing::Reserve, ..unknown }, S::UsageMissing),
        (Facts { missing: UsageMissing::Zero, ..unknown }, S::UsageMissing),
        (Facts { missing: UsageMissing::Zero, ..SERVED }, S::Recorded),
        (left, S::ClientClosed),
        (Facts { usage_complete: false, ..left }, S::ClientClosed),
        (Facts { status_code: 499, ..left }, S::ClientClosed),
        (cut, S::StreamIncomplete),
        (Facts { usage_complete: false, ..cut }, S::StreamIncomplete),
        (unpriced, S::NoRate),
        (Facts { usage_complete: false, ..unpriced }, S::NoRate),
        (Facts { rate_known: false, ..left }, S::NoRate),
        (Facts { rate_known: false, ..cut }, S::NoRate),
        (cached, S::CacheHit),
        (Facts { rate_known: false, usage_complete: false, ..cached }, S::CacheHit),
        (Facts { end: End::ClientClosed, ..cached }, S::CacheHit),
        (Facts { status_code: 404, ..cached }, S::SkippedError),
        (Facts { status_code: 429, ..refused }, S::SkippedError),
        (Facts { status_code: 499, end: End::ClientClosed, ..refused }, S::SkippedError),
        (Facts { status_code: 400, ..SERVED }, S::SkippedError),
        (Facts { status_code: 502, ..unpriced }, S::SkippedError),
        // The client left while it was told of an error.
        (Facts { status_code: 500, ..left }, S::SkippedError),
        // Only nginx says 499 of a client that left.
        (Facts { status_code: 499, ..SERVED }, S::SkippedError),
    ] {
        assert_eq!(status(&facts), expected, "{facts:?}");
    }
}

fn usage(dialect: Dialect, object: &str) -> Usage {
    Usage::parse(object.as_bytes(), dialect).unwrap()
}

fn answer(usage: Usage) -> Answer {
    Answer {
        status_code: 200,
        served: Served::Provider,
        end: End::Complete,
        usage,
        finished: true,
        estimate: Guess { input_tokens: 90, output_tokens: 40 },
        reserved: Guess { input_tokens: 90, output_tokens: 1000 },
    }
}

fn rates() -> Option<Rates> {
    Some(Rates::flat("5".parse().unwrap(), "15".parse().unwrap()))
}

fn told(bill: &Bill) -> (Option<u64>, Option<u64>, UsageSource, &'static str) {
    (bill.tokens.prompt, bill.tokens.completion, bill.source, bill.status.name())
}

#[test]
fn a_missing_usage_is_what_the_operator_wants_it_to_be() {
    let silent = answer(Usage::default());
    let of = |missing| Bill::of(&silent, rates(), missing);
    let estimated = of(UsageMissing::Estimate);
    assert_eq!(told(&estimated), (Some(90), Some(40), UsageSource::Estimated, "estimated"));
    assert_eq!(estimated.cost.unwrap().total.to_string(), "0.00105000");
    let reserved = of(UsageMissing::Reserve);
    assert_eq!(told(&reserved), (Some(90), Some(1000), UsageSource::Reserved, "usage_missing"));
    let zero = of(UsageMissing::Zero);
    assert_eq!(told(&zero), (None, None, UsageSource::None, "usage_missing"));
    assert_eq!(zero.cost, Some(Cost::default()));
}

#[test]
fn the_told_half_of_a_usage_is_kept() {
    let half = answer(usage(Dialect::OpenAi, r#"{"prompt_tokens":100}"#));
    let bill = Bill::of(&half, rates(), UsageMissing::Estimate);
    assert_eq!(told(&bill), (Some(100), Some(40), UsageSource::Estimated, "estimated"));
    let bill = Bill::of(&half, rates(), UsageMissing::Zero);
    assert_eq!(told(&bill), (Some(100), None, UsageSource::Reported, "usage_missing"));
}

#[test]
fn who_leaves_early_pays_for_what_was_written() {
    // The first event of a message tells one token of output, and the last one the true number.
    let start = r#"{"input_tokens":25,"cache_read_input_tokens":75,"output_tokens":1}"#;
    for (end, status) in
        [(End::ClientClosed, "client_closed"), (End::Incomplete, "stream_incomplete")]
    {
        let begun = Answer { end, finished: false, ..answer(usage(Dialect::Anthropic, start)) };
        let bill = Bill::of(&begun, rates(), UsageMissing::Estimate);
        assert_eq!(told(&bill), (Some(100), Some(40), UsageSource::Estimated, status));
        assert_eq!((bill.tokens.cache_read, bill.tokens.total), (75, Some(140)));
        let bill = Bill::of(&begun, rates(), UsageMissing::Zero);
        assert_eq!(told(&bill), (Some(100), Some(1), UsageSource::Reported, status));
        // With the last word told, no estimate is better.
        let finished = Answer { finished: true, ..begun };
        let bill = Bill::of(&finished, rates(), UsageMissing::Estimate);
        assert_eq!(told(&bill), (Some(100), Some(1), UsageSource::Reported, status));
        let silent = Answer { usage: Usage::default(), ..begun };
        let bill = Bill::of(&silent, rates(), UsageMissing::Estimate);
        assert_eq!(told(&bill), (Some(90), Some(40), UsageSource::Estimated, status));
    }
}

#[test]
fn what_is_not_billed_has_no_price_and_what_is_unpriced_no_cost() {
    let whole = answer(Usage::of(100, 10));
    let refused = Answer { status_code: 429, served: Served::Gateway, ..whole };
    let skipped = Bill::of(&refused, rates(), UsageMissing::Estimate);
    assert_eq!(skipped, Bill { status: Status::SkippedError, ..Bill::default() });
    assert!(!skipped.status.writes_row());
    let unpriced = Bill::of(&whole, None, UsageMissing::Estimate);
    assert_eq!(told(&unpriced), (Some(100), Some(10), UsageSource::Reported, "no_rate"));
    assert_eq!((unpriced.rates, unpriced.cost), (None, None));
    let cached = Answer { served: Served::Cache, ..whole };
    let free = Bill::of(&cached, rates(), UsageMissing::Estimate);
    assert_eq!(told(&free), (Some(100), Some(10), UsageSource::Reported, "cache_hit"));
    assert_eq!((free.rates, free.cost), (Some(Rates::FREE), Some(Cost::default())));
}

#[test]
fn each_status_has_a_name_of_its_own() {
    let names: std::collections::HashSet<_> = Status::ALL.iter().map(|s| s.name()).collect();
    assert_eq!(names.len(), Status::ALL.len());
}
