//! What a client is told, word for word.

use super::super::bucket::{Portion, Rate};
use super::super::clerk::{Ask, Want};
use super::super::line::{RuleLine, SpendLine};
use super::super::rules::Lines;
use super::super::spend::Cap;
use super::super::window::Window;
use super::*;
use crate::dialect::Dialect;

fn rules() -> RuleSet {
    let rule = |args: &[&str]| RuleLine::parse(args).unwrap();
    RuleSet::new(&Lines {
        rules: vec![
            rule(&["$k", "requests", "600/m", "model=gpt-4o"]),
            rule(&["$k", "tokens", "9/d"]),
            rule(&["$k", "concurrency", "5"]),
        ],
        spend: vec![SpendLine::parse(&["project", "usd", "$p", "800"]).unwrap()],
        ..Lines::default()
    })
    .unwrap()
}

fn refused(at: usize, why: Why) -> Refused {
    let portion = Portion { amount: 1, firm: 1 };
    let want = Want::Draw { rate: Rate::new(1, 0, 1), measure: Measure::Requests, portion };
    let ask = Ask { which: Which::Limit(at), key: 1, limit: 0, want };
    Refused { ask, is_binding: true, remaining: 0, reset_ms: 0, why }
}

fn spent(end_s: u64) -> Refused {
    let window = Window { start_s: 0, end_s };
    let want = Want::Reserve { window, budget: 1, amount: 2, cap: Cap::Hard };
    let ask = Ask { which: Which::Spend(0), key: 1, limit: 0, want };
    Refused { ask, ..refused(0, Why::Spent) }
}

fn body(refusal: &Refusal, dialect: Dialect) -> String {
    String::from_utf8(refusal.rejection().body(dialect, "id")).unwrap()
}

#[test]
fn each_refusal_has_its_status_reason_and_time() {
    for (refused, status, code, scope, retry, reset) in [
        (
            refused(0, Why::Wait(1)),
            429,
            "request_budget_exhausted",
            "requests 600/1m model=gpt-4o",
            Some(1),
            Some(101),
        ),
        (
            refused(1, Why::Wait(20_001)),
            429,
            "token_budget_exhausted",
            "tokens 9/1d",
            Some(21),
            Some(121),
        ),
        (refused(2, Why::Busy), 429, "concurrency_exhausted", "concurrency 5", Some(1), None),
        (refused(1, Why::Never), 400, "request_exceeds_limit", "tokens 9/1d", None, None),
        (refused(1, Why::Full), 503, "ratelimit_zone_full", "tokens 9/1d", Some(1), None),
        (spent(7200), 429, "spend_budget_exhausted", "project usd month", Some(7100), Some(7200)),
        (spent(u64::MAX), 429, "spend_budget_exhausted", "project usd month", Some(86_400), None),
    ] {
        let refusal = rules().refusal(&refused, 100_000);
        let rejection = refusal.rejection();
        assert_eq!((rejection.status, rejection.code), (status, code));
        assert_eq!(refusal.scope, scope);
        assert_eq!(rejection.retry_after_s, retry, "{code}");
        assert_eq!(refusal.reset_at_s, reset, "{code}");
        let limited = rejection.limited.unwrap();
        assert_eq!((limited.scope.as_str(), limited.reset_at_s), (scope, reset));
    }
    assert_eq!(rules().refusal(&spent(7200), 0).unit.as_deref(), Some("usd"));
    let identity = Refusal::identity_missing("llm_ratelimit_key").rejection();
    assert_eq!((identity.status, identity.code), (429, "identity_missing"));
    assert_eq!(identity.retry_after_s, Some(1));
    let unpriced = Refusal::unpriced_model("project usd month").rejection();
    assert_eq!((unpriced.status, unpriced.code), (403, "unpriced_model"));
}

#[test]
fn openai_clients_read_the_rule_and_the_time() {
    let refusal = rules().refusal(&spent(7200), 100_000);
    assert_eq!(
        body(&refusal, Dialect::OpenAi),
        r#"{"error":{"message":"The budget \"project usd month\" does not cover this request.","type":"rate_limit_error","param":null,"code":"spend_budget_exhausted","scope":"project usd month","reset_at":7200},"request_id":"id"}"#
    );
}

#[test]
fn anthropic_clients_read_them_beside_their_own_word() {
    let refusal = rules().refusal(&refused(2, Why::Busy), 100_000);
    assert_eq!(
        body(&refusal, Dialect::Anthropic),
        r#"{"type":"error","error":{"type":"rate_limit_error","message":"Too many requests at once: the limit is \"concurrency 5\". Try again when one of them has ended.","code":"concurrency_exhausted","scope":"concurrency 5","reset_at":null},"request_id":"id"}"#
    );
}

#[test]
fn only_a_missing_identity_and_a_full_zone_are_forgiven() {
    use DenyReason::*;
    let all = [
        Requests,
        Tokens,
        Spend,
        Concurrency,
        IdentityMissing,
        ExceedsLimit,
        UnpricedModel,
        ZoneFull,
    ];
    let forgiven: Vec<_> = all.into_iter().filter(|reason| reason.may_fail_open()).collect();
    assert_eq!(forgiven, [IdentityMissing, ZoneFull]);
    let mut names: Vec<_> = all.iter().map(|reason| reason.name()).collect();
    names.sort_unstable();
    names.dedup();
    assert_eq!(names.len(), all.len());
}
