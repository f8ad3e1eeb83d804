//! What follows each failure, and what never does.

use proptest::prelude::*;

use super::super::{ClassSet, ErrorCode, Event, Told};
use super::*;

fn policy(on: &str) -> Policy {
    let words: Vec<_> = on.split(' ').filter(|word| !word.is_empty()).collect();
    let on = if on == "default" { ClassSet::default() } else { ClassSet::parse(&words).unwrap() };
    Policy { enabled: true, on, max_attempts: 3, ..Policy::default() }
}

fn retrying(times: u32) -> Policy {
    let retry = RetryLine { times, backoff_min_ms: 250, backoff_max_ms: 2000 };
    Policy { retry: Some(retry), ..policy("default") }
}

/// After the first attempt of a plain request, with another target at hand.
fn situation(failure: &Failure) -> Situation<'_> {
    Situation {
        failure,
        streaming: false,
        client_saw_content: false,
        began_heartbeat: false,
        attempts_made: 1,
        retries_here: 0,
        other_key_left: false,
        next_target: NextTarget::Ready,
        retry_after_ms: None,
        remaining_ms: None,
        fresh_replay_possible: false,
        retry_budget_left: true,
        disabled_by_request: false,
        random: 0,
    }
}

fn status(status: u16) -> Failure {
    Failure::classify(&Event::Status { status, error: None })
}

fn with_code(status: u16, code: &str) -> Failure {
    let error = ErrorCode { code: code.to_owned(), ..ErrorCode::default() };
    Failure::classify(&Event::Status { status, error: Some(error) })
}

fn passed(suppressed: Option<Suppressed>) -> Decision {
    let policy_allowed = suppressed.is_some();
    Decision { verdict: Verdict::PassThrough, suppressed, policy_allowed }
}

#[test]
fn a_listed_failure_goes_to_the_next_target() {
    for (event, on) in [
        (Event::ConnectFailed, "connect_error"),
        (Event::Closed, "connect_error transport_timeout"),
        (Event::TimedOut { connecting: true }, "connect_error"),
        (Event::TimedOut { connecting: true }, "transport_timeout"),
        (Event::TimedOut { connecting: false }, "transport_timeout"),
        (Event::FirstTokenTimedOut, "first_token_timeout"),
        (Event::Status { status: 408, error: None }, "transport_timeout"),
        (Event::Status { status: 429, error: None }, "rate_limited"),
        (Event::Status { status: 500, error: None }, "upstream_5xx"),
        (Event::Status { status: 529, error: None }, "overloaded"),
        (Event::Status { status: 529, error: None }, "upstream_5xx"),
        (Event::Status { status: 401, error: None }, "auth_error"),
        (Event::Status { status: 404, error: None }, "not_found"),
        (Event::Status { status: 409, error: None }, "http_409"),
        (Event::StreamError(ErrorCode::default()), "stream_error"),
        (Event::StreamCut, "stream_error"),
        (Event::StreamStalled, "stream_error"),
        (Event::StreamStalled, "transport_timeout"),
        (Event::Empty, "empty_response"),
        (Event::BadHead, "bad_response"),
        (Event::BadBody, "bad_response"),
    ] {
        let failure = Failure::classify(&event);
        let decision = decide(&policy(on), &situation(&failure));
        assert_eq!(decision.verdict, Verdict::NextTarget, "{event:?}");
        assert!(decision.policy_allowed && decision.suppressed.is_none());
        let unlisted = decide(&policy("quota_exhausted"), &situation(&failure));
        assert_eq!((unlisted.policy_allowed, unlisted.suppressed), (false, None), "{event:?}");
        let ends = matches!(unlisted.verdict, Verdict::PassThrough | Verdict::GiveUp(_));
        assert!(ends, "{event:?}");
    }
}

#[test]
fn a_bad_request_reaches_the_client() {
    for failure in [status(400), status(422), status(413), with_code(400, "content_filter")] {
        assert_eq!(decide(&retrying(2), &situation(&failure)), passed(None), "{failure:?}");
    }
    assert_eq!(with_code(400, "content_policy_violation").told(), Told::Status(400));
    let too_long = with_code(400, "context_length_exceeded");
    assert_eq!(decide(&retrying(2), &situation(&too_long)), passed(None));
    let decision = decide(&policy("context_length"), &situation(&too_long));
    assert_eq!(decision.verdict, Verdict::NextTarget);
}

#[test]
fn a_silent_provider_is_left_only_where_paying_twice_is_accepted() {
    let closed = Failure::classify(&Event::Closed);
    let decision = decide(&policy("connect_error"), &situation(&closed));
    assert_eq!(decision.verdict, Verdict::GiveUp(GiveUp::Unreachable));
    assert!(!decision.policy_allowed);
    for word in ["transport_timeout", "first_token_timeout"] {
        let decision = decide(&policy(&format!("connect_error {word}")), &situation(&closed));
        assert_eq!(decision.verdict, Verdict::NextTarget);
    }
}

#[test]
fn a_kept_connection_that_was_dead_is_replayed_for_free() {
    let closed = Failure::classify(&Event::Closed);
    let stale = Situation {
        fresh_replay_possible: true,
        attempts_made: 3,
        streaming: true,
        disabled_by_request: true,
        ..situation(&closed)
    };
    let off = Policy { enabled: false, allow_streaming: false, ..policy("") };
    assert_eq!(decide(&off, &stale).verdict, Verdict::ReplayFresh);
    let late = Situation { remaining_ms: Some(0), ..stale };
    assert_eq!(decide(&off, &late).verdict, Verdict::GiveUp(GiveUp::Unreachable));
    for event in [Event::TimedOut { connecting: false }, Event::BadHead] {
        let failure = Failure::classify(&event);
        let decision = decide(&off, &Situation { failure: &failure, ..stale });
        assert_eq!(decision.verdict, Verdict::GiveUp(failure.give_up));
    }
}

#[test]
fn a_transient_failure_is_first_retried_at_the_same_target() {
    let failure = status(500);
    let first = situation(&failure);
    let retry = decide(&retrying(2), &first).verdict;
    assert_eq!(retry, Verdict::RetrySame { after_ms: 250 });
    let late = Situation { random: 249, ..first };
    assert_eq!(decide(&retrying(2), &late).verdict, Verdict::RetrySame { after_ms: 499 });
    let used_up = Situation { retries_here: 2, attempts_made: 2, ..first };
    assert_eq!(decide(&retrying(2), &used_up).verdict, Verdict::NextTarget);
    for event in [Event::Closed, Event::TimedOut { connecting: false }, Event::StreamStalled] {
        let failure = Failure::classify(&event);
        let decision = decide(&retrying(2), &situation(&failure));
        assert_eq!(decision.verdict, Verdict::NextTarget, "{event:?}");
    }
}

#[test]
fn a_provider_is_waited_for_as_long_as_it_asks_if_there_is_time() {
    let failure = status(429);
    let asked = |retry_after_ms, remaining_ms| {
        let now = Situation { retry_after_ms, remaining_ms, ..situation(&failure) };
        decide(&retrying(1), &now).verdict
    };
    let retry = |after_ms| Verdict::RetrySame { after_ms };
    assert_eq!(asked(Some(2000), None), retry(2000));
    assert_eq!(asked(Some(2001), None), Verdict::NextTarget);
    assert_eq!(asked(Some(30_000), Some(30_001)), retry(30_000));
    assert_eq!(asked(Some(30_000), Some(30_000)), Verdict::NextTarget);
    assert_eq!(asked(Some(0), None), retry(250));
    assert_eq!(asked(None, Some(250)), Verdict::NextTarget);
}

#[test]
fn the_next_key_comes_before_anything_else_whatever_is_listed() {
    for failure in [status(401), status(403), status(429), with_code(429, "insufficient_quota")] {
        let pool = Situation { other_key_left: true, ..situation(&failure) };
        for policy in [retrying(2), policy(""), Policy { enabled: false, ..policy("default") }] {
            assert_eq!(decide(&policy, &pool).verdict, Verdict::NextKey, "{failure:?}");
        }
        let used_up = Situation { attempts_made: 3, ..pool };
        assert_eq!(decide(&retrying(2), &used_up).verdict, Verdict::PassThrough);
    }
    let failure = status(500);
    let pool = Situation { other_key_left: true, ..situation(&failure) };
    assert_eq!(decide(&policy("default"), &pool).verdict, Verdict::NextTarget);
}

#[test]
fn each_thing_that_keeps_fallback_away_has_its_word() {
    use Suppressed as Why;
    let failure = status(500);
    let base = situation(&failure);
    let plain = policy("default");
    let no_streams = Policy { allow_streaming: false, ..plain.clone() };
    for (policy, now, why) in [
        (&no_streams, Situation { streaming: true, ..base }, Why::StreamingNotAllowed),
        (&plain, Situation { disabled_by_request: true, ..base }, Why::DisabledByRequest),
        (&plain, Situation { next_target: NextTarget::None, ..base }, Why::NoTarget),
        (&plain, Situation { attempts_made: 3, ..base }, Why::AttemptsExhausted),
        (&plain, Situation { remaining_ms: Some(0), ..base }, Why::Deadline),
        (&plain, skipping(base, SkipReason::Benched), Why::NoTarget),
        (&plain, skipping(base, SkipReason::Context), Why::NoTarget),
        (&plain, skipping(base, SkipReason::Budget), Why::Budget),
        (&plain, skipping(base, SkipReason::Translation), Why::TranslationForbidden),
    ] {
        assert_eq!(decide(policy, &now), passed(Some(why)), "{why:?}");
    }
    assert_eq!(decide(&no_streams, &base).verdict, Verdict::NextTarget);
    let names: std::collections::HashSet<_> = Suppressed::ALL.map(Suppressed::name).into();
    assert_eq!(names.len(), Suppressed::ALL.len());
}

fn skipping(base: Situation<'_>, reason: SkipReason) -> Situation<'_> {
    Situation { next_target: NextTarget::Skipped(reason), ..base }
}

#[test]
fn where_no_target_follows_the_word_is_what_kept_the_retry_away() {
    use Suppressed as Why;
    let failure = status(500);
    let alone = Situation { next_target: NextTarget::None, ..situation(&failure) };
    for (now, why) in [
        (Situation { retry_budget_left: false, ..alone }, Why::RetryBudget),
        (Situation { remaining_ms: Some(10), ..alone }, Why::Deadline),
        (Situation { attempts_made: 3, ..alone }, Why::AttemptsExhausted),
        (Situation { retries_here: 1, attempts_made: 2, ..alone }, Why::NoTarget),
    ] {
        assert_eq!(decide(&retrying(1), &now), passed(Some(why)));
    }
    let over_budget = Situation { retry_budget_left: false, ..situation(&failure) };
    assert_eq!(decide(&retrying(1), &over_budget).verdict, Verdict::NextTarget);
}

#[test]
fn behind_the_first_content_there_is_only_an_error() {
    let failure = Failure::classify(&Event::StreamCut);
    let begun = Situation {
        client_saw_content: true,
        streaming: true,
        fresh_replay_possible: true,
        ..situation(&failure)
    };
    let decision = decide(&policy("stream_error"), &begun);
    assert_eq!(decision.verdict, Verdict::GiveUp(GiveUp::Incomplete));
    assert_eq!(decision.suppressed, Some(Suppressed::AlreadyStarted));
    assert_eq!(decide(&policy("default"), &begun).suppressed, None);
}

#[test]
fn a_status_cannot_follow_a_heartbeat_but_events_can() {
    let refused = status(429);
    let waited = |failure| Situation {
        began_heartbeat: true,
        streaming: true,
        next_target: NextTarget::None,
        ..situation(failure)
    };
    let decision = decide(&policy("default"), &waited(&refused));
    assert_eq!(decision.verdict, Verdict::GiveUp(GiveUp::Refused(429)));
    let in_stream = Failure::classify(&Event::StreamError(ErrorCode::default()));
    let decision = decide(&policy("stream_error"), &waited(&in_stream));
    assert_eq!(decision.verdict, Verdict::PassThrough);
    let decision = decide(
        &policy("default"),
        &Situation { next_target: NextTarget::Ready, ..waited(&refused) },
    );
    assert_eq!(decision.verdict, Verdict::NextTarget);
}

fn events() -> impl Strategy<Value = Event> {
    let error = (
        prop::sample::select(vec![
            "",
            "rate_limit_exceeded",
            "content_filter",
            "insufficient_quota",
            "overloaded_error",
            "invalid_request_error",
            "context_length_exceeded",
            "429",
            "500",
        ]),
        prop::sample::select(vec![
            "",
            "api_error",
            "invalid_request_error",
            "authentication_error",
        ]),
    )
        .prop_map(|(code, kind)| ErrorCode {
            code: code.to_owned(),
            kind: kind.to_owned(),
            message: String::new(),
        });
    prop_oneof![
        Just(Event::ConnectFailed),
        Just(Event::Closed),
        any::<bool>().prop_map(|connecting| Event::TimedOut { connecting }),
        Just(Event::FirstTokenTimedOut),
        (300u16..600, prop::option::of(error.clone()))
            .prop_map(|(status, error)| Event::Status { status, error }),
        error.prop_map(Event::StreamError),
        Just(Event::StreamCut),
        Just(Event::StreamStalled),
        Just(Event::Empty),
        Just(Event::BadHead),
        Just(Event::BadBody),
    ]
}

fn policies() -> impl Strategy<Value = Policy> {
    let words = FailureClass::ALL.map(FailureClass::name).to_vec();
    let words = [words, vec!["http_400", "http_409", "http_503"]].concat();
    let retry = prop::option::of((0u32..4, 0u64..500, 0u64..3000)).prop_map(|retry| {
        retry.map(|(times, min, more)| RetryLine {
            times,
            backoff_min_ms: min,
            backoff_max_ms: min + more + 1,
        })
    });
    (prop::sample::subsequence(words, 0..17), 1u32..6, retry, any::<bool>(), any::<bool>())
        .prop_map(|(words, max_attempts, retry, allow_streaming, enabled)| Policy {
            enabled,
            on: ClassSet::parse(&words).unwrap(),
            max_attempts,
            retry,
            allow_streaming,
            ..Policy::default()
        })
}

fn next_targets() -> impl Strategy<Value = NextTarget> {
    prop::sample::select(vec![
        NextTarget::None,
        NextTarget::Ready,
        NextTarget::Skipped(SkipReason::Benched),
        NextTarget::Skipped(SkipReason::Budget),
        NextTarget::Skipped(SkipReason::Limit),
        NextTarget::Skipped(SkipReason::Context),
        NextTarget::Skipped(SkipReason::Key),
        NextTarget::Skipped(SkipReason::Translation),
    ])
}

/// Everything but the failure.
fn situations() -> impl Strategy<Value = Situation<'static>> {
    static ANY: std::sync::OnceLock<Failure> = std::sync::OnceLock::new();
    let flags = prop::array::uniform7(any::<bool>());
    let times = (prop::option::of(0u64..5000), prop::option::of(0u64..5000), any::<u64>());
    (flags, 1u32..6, 0u32..4, next_targets(), times).prop_map(
        move |(flags, attempts_made, retries_here, next_target, times)| {
            let [streaming, saw, heartbeat, key, fresh, budget, disabled] = flags;
            let (retry_after_ms, remaining_ms, random) = times;
            Situation {
                failure: ANY.get_or_init(|| status(500)),
                streaming,
                client_saw_content: saw && fresh,
                began_heartbeat: heartbeat,
                attempts_made,
                retries_here,
                other_key_left: key,
                next_target,
                retry_after_ms,
                remaining_ms,
                fresh_replay_possible: fresh,
                retry_budget_left: budget,
                disabled_by_request: disabled,
                random,
            }
        },
    )
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1500))]

    #[test]
    fn every_situation_keeps_the_rules(
        event in events(), policy in policies(), now in situations(),
    ) {
        let failure = Failure::classify(&event);
        let now = Situation { failure: &failure, ..now };
        let Decision { verdict, suppressed, policy_allowed } = decide(&policy, &now);
        let is_attempt = matches!(
            verdict,
            Verdict::RetrySame { .. } | Verdict::NextKey | Verdict::NextTarget
        );
        let goes_on = is_attempt || verdict == Verdict::ReplayFresh;

        prop_assert!(!is_attempt || now.attempts_made < policy.max_attempts);
        prop_assert!(!goes_on || !now.client_saw_content, "a replay behind content");
        prop_assert!(!goes_on || now.remaining_ms != Some(0), "an attempt behind the deadline");
        prop_assert!(suppressed.is_none() || (policy_allowed && !goes_on));
        // What the policy lists is either done or has its reason.
        prop_assert!(!policy_allowed || goes_on || suppressed.is_some());

        match verdict {
            Verdict::ReplayFresh => prop_assert!(now.fresh_replay_possible && !failure.timed_out),
            Verdict::RetrySame { after_ms } => {
                prop_assert!(policy_allowed && failure.sent != Sent::Silent);
                prop_assert!(now.remaining_ms.is_none_or(|left| after_ms < left));
                let longest = policy.retry.map(|retry| retry.backoff_max_ms);
                prop_assert!(now.remaining_ms.is_some() || Some(after_ms) <= longest);
                prop_assert!(now.retries_here < policy.retry.map_or(0, |retry| retry.times));
                prop_assert!(now.retry_budget_left);
            }
            Verdict::NextKey => prop_assert!(now.other_key_left && failure.is_of_the_key()),
            Verdict::NextTarget => {
                prop_assert!(now.next_target == NextTarget::Ready && policy_allowed);
                prop_assert!(!now.disabled_by_request);
                prop_assert!(!now.streaming || policy.allow_streaming);
            }
            Verdict::PassThrough => {
                prop_assert!(failure.answer != Answer::None && !now.client_saw_content);
                prop_assert!(failure.answer != Answer::Status || !now.began_heartbeat);
            }
            Verdict::GiveUp(_) => {}
        }

        let paying_twice = policy.on.contains(FailureClass::TransportTimeout)
            || policy.on.contains(FailureClass::FirstTokenTimeout);
        if failure.sent == Sent::Silent && !paying_twice {
            prop_assert!(!is_attempt, "a silent request was replayed");
        }
        if failure.classes.contains(FailureClass::ContentFilter) {
            let listed = policy.on.contains(FailureClass::ContentFilter);
            prop_assert!(listed || !goes_on, "a refusal of the content was routed around");
        }
        if failure.classes.is_empty() && policy.on.statuses.is_empty() {
            prop_assert!(!goes_on, "a bad request was replayed");
        }
    }

    #[test]
    fn no_request_makes_too_many_attempts_or_waits_too_long(
        events in prop::collection::vec(events(), 40),
        policy in policies(),
        base in situations(),
        targets in 0usize..5,
        keys in 0usize..3,
        took_ms in 0u64..400,
        deadline_ms in prop::option::of(0u64..3000),
    ) {
        let (mut attempts, mut retries, mut target, mut key) = (1, 0, 0, 0);
        let (mut fresh, mut waited_ms, mut spent_ms) = (true, 0, 0);
        let mut ended = false;
        for event in &events {
            spent_ms += took_ms;
            let failure = Failure::classify(event);
            let now = Situation {
                failure: &failure,
                client_saw_content: false,
                attempts_made: attempts,
                retries_here: retries,
                other_key_left: key < keys,
                next_target: if target < targets { NextTarget::Ready } else { NextTarget::None },
                remaining_ms: deadline_ms.map(|ms| ms.saturating_sub(spent_ms)),
                fresh_replay_possible: fresh,
                ..base
            };
            match decide(&policy, &now).verdict {
                Verdict::ReplayFresh => fresh = false,
                Verdict::RetrySame { after_ms } => {
                    (attempts, retries) = (attempts + 1, retries + 1);
                    (waited_ms, spent_ms) = (waited_ms + after_ms, spent_ms + after_ms);
                    prop_assert!(deadline_ms.is_none_or(|ms| spent_ms < ms));
                }
                Verdict::NextKey => (attempts, key) = (attempts + 1, key + 1),
                Verdict::NextTarget => {
                    (attempts, target, retries, key) = (attempts + 1, target + 1, 0, 0);
                }
                Verdict::PassThrough | Verdict::GiveUp(_) => {
                    ended = true;
                    break;
                }
            }
            prop_assert!(attempts <= policy.max_attempts);
        }
        prop_assert!(ended);
    }
}
