//! What each line says, and the exact words about one that says nothing.

use super::super::spend::Cap;
use super::super::window::SpendWindow;
use super::*;
use crate::cost::Pico;

fn rule(text: &str) -> Result<RuleLine, String> {
    RuleLine::parse(&text.split(' ').collect::<Vec<_>>())
}

fn spend(text: &str) -> Result<SpendLine, String> {
    SpendLine::parse(&text.split(' ').collect::<Vec<_>>())
}

#[test]
fn rules_are_read() {
    for (text, allowance) in [
        ("$key requests 600/m", Allowance::Rate(Measure::Requests, Rate::new(600, 0, 60_000))),
        ("$key requests 1/s burst=5", Allowance::Rate(Measure::Requests, Rate::new(1, 5, 1000))),
        ("$key tokens 9/hour", Allowance::Rate(Measure::Total, Rate::new(9, 0, 3_600_000))),
        (
            "$key tokens 9/d count=output",
            Allowance::Rate(Measure::Output, Rate::new(9, 0, 86_400_000)),
        ),
        (
            "$key tokens 9/30s count=uncached",
            Allowance::Rate(Measure::Uncached, Rate::new(9, 0, 30_000)),
        ),
        (
            "$key tokens 9/minute count=total",
            Allowance::Rate(Measure::Total, Rate::new(9, 0, 60_000)),
        ),
        (
            "$key tokens 9/day count=input",
            Allowance::Rate(Measure::Input, Rate::new(9, 0, 86_400_000)),
        ),
        ("$key requests 9/second", Allowance::Rate(Measure::Requests, Rate::new(9, 0, 1000))),
        (
            "$key requests 9/366d",
            Allowance::Rate(Measure::Requests, Rate::new(9, 0, MAX_WINDOW_MS)),
        ),
        ("$key concurrency 5", Allowance::Concurrency(5)),
    ] {
        let line = rule(text).unwrap();
        assert_eq!((line.key.as_str(), line.allowance), ("$key", allowance), "{text}");
        assert_eq!((line.model, line.provider), (None, None));
    }
    let line = rule("$a/$b concurrency 5 model=GPT-* provider=openai").unwrap();
    assert_eq!((line.model.as_deref(), line.provider.as_deref()), (Some("GPT-*"), Some("openai")));
}

#[test]
fn a_rule_that_is_none_says_what_to_change() {
    let rate = |text: &str| {
        format!(
            "invalid rate \"{text}\" in \"llm_ratelimit_rule\", give a number above 0 and a window \
             of at most 366 days, such as 600/m, 10/s or 5000/12h"
        )
    };
    for (text, error) in [
        (
            "$key requests",
            "\"llm_ratelimit_rule\" needs a key, requests, tokens or concurrency, and a number"
                .to_owned(),
        ),
        (
            "$key bytes 5/m",
            "invalid limit \"bytes\" in \"llm_ratelimit_rule\", it must be requests, tokens or \
             concurrency"
                .to_owned(),
        ),
        ("$key requests 600", rate("600")),
        ("$key requests 0/m", rate("0/m")),
        ("$key requests -1/m", rate("-1/m")),
        ("$key requests +1/m", rate("+1/m")),
        ("$key requests /m", rate("/m")),
        ("$key requests 1/", rate("1/")),
        ("$key requests 1/0s", rate("1/0s")),
        ("$key requests 1/367d", rate("1/367d")),
        ("$key requests 1/month", rate("1/month")),
        ("$key requests 99999999999999999999/m", rate("99999999999999999999/m")),
        (
            "$key requests 1/m count=input",
            "invalid parameter \"count=input\" in \"llm_ratelimit_rule\", it must be burst=<number>, \
             model=<pattern> or provider=<pattern>"
                .to_owned(),
        ),
        (
            "$key concurrency 1 burst=1",
            "invalid parameter \"burst=1\" in \"llm_ratelimit_rule\", it must be model=<pattern> or \
             provider=<pattern>"
                .to_owned(),
        ),
        (
            "$key tokens 1/m count=all",
            "invalid parameter \"count=all\" in \"llm_ratelimit_rule\", it must be burst=<number>, \
             model=<pattern>, provider=<pattern> or count=<total, input, output or uncached>"
                .to_owned(),
        ),
        (
            "$key tokens 1/m model=a model=b",
            "duplicate model in \"llm_ratelimit_rule\": \"model=b\"".to_owned(),
        ),
        (
            "$key tokens 1/m model=",
            "invalid pattern \"model=\" in \"llm_ratelimit_rule\", give a name or a wildcard such as \
             gpt-*"
                .to_owned(),
        ),
        (
            "$key concurrency 5/m",
            "invalid number \"5/m\" in \"llm_ratelimit_rule\", give a whole number above 0".to_owned(),
        ),
    ] {
        assert_eq!(rule(text), Err(error), "{text}");
    }
    assert!(RuleLine::parse(&["", "requests", "1/m"]).is_err());
}

#[test]
fn budgets_are_read() {
    let line = spend("project usd $org_id $project_id 800").unwrap();
    assert_eq!(line.scope, Scope::Project);
    assert_eq!((line.unit.as_str(), line.keys.len()), ("usd", 2));
    assert_eq!(line.budget, Pico(800 * Pico::UNIT.0));
    assert_eq!((line.window, line.cap), (SpendWindow::Month, Cap::Hard));
    assert_eq!(line.name(), "project usd month");
    let line = spend("client Credit $client 0.000000000001 soft window=total").unwrap();
    assert_eq!((line.scope, line.unit.as_str(), line.budget), (Scope::Client, "credit", Pico(1)));
    assert_eq!((line.window, line.cap), (SpendWindow::Total, Cap::Soft));
    let line = spend("organization usd $org 5 window=week").unwrap();
    assert_eq!((line.window, line.cap), (SpendWindow::Week, Cap::Hard));
    assert_eq!(spend("organization usd $org 5 window=day").unwrap().window, SpendWindow::Day);
}

#[test]
fn a_budget_that_is_none_says_what_to_change() {
    let needs = "\"llm_ratelimit_spend_scope\" needs a scope, a unit, at least one variable and a \
                 budget, such as project usd $org $project 800";
    for (text, error) in [
        ("project", needs),
        ("project usd 800", needs),
        ("project usd 800 soft", needs),
        (
            "team usd $team 800",
            "invalid scope \"team\" in \"llm_ratelimit_spend_scope\", it must be organization, \
             project or client",
        ),
        (
            "project us$ $p 800",
            "invalid unit \"us$\" in \"llm_ratelimit_spend_scope\", use up to 32 letters, digits, \
             \"_\" and \"-\", such as usd",
        ),
        (
            "project usd $p -1",
            "invalid budget \"-1\" in \"llm_ratelimit_spend_scope\", give a decimal number such as \
             800 or 0.25",
        ),
        (
            "project usd $p 1e3",
            "invalid budget \"1e3\" in \"llm_ratelimit_spend_scope\", give a decimal number such as \
             800 or 0.25",
        ),
        (
            "project usd $p 0.0000000000001",
            "invalid budget \"0.0000000000001\" in \"llm_ratelimit_spend_scope\", it may have 12 \
             decimals",
        ),
        (
            "project usd $p 1000000000000001",
            "invalid budget \"1000000000000001\" in \"llm_ratelimit_spend_scope\", it may be \
             1000000000000000 at most",
        ),
        (
            "project usd $p 5 window=year",
            "invalid window \"window=year\" in \"llm_ratelimit_spend_scope\", it must be \
             window=month, window=week, window=day or window=total",
        ),
        (
            "project usd $p 5 window=day window=day",
            "duplicate window in \"llm_ratelimit_spend_scope\": \"window=day\"",
        ),
        ("project usd $p 5 soft soft", "duplicate \"soft\" in \"llm_ratelimit_spend_scope\""),
    ] {
        assert_eq!(spend(text), Err(error.to_owned()), "{text}");
    }
}

#[test]
fn the_other_lines_are_read_or_refused() {
    assert_eq!(
        PatternLine::parse("llm_ratelimit_model_rpm", &["gpt-*", "5"]),
        Ok(PatternLine { pattern: "gpt-*".to_owned(), n: 5 })
    );
    assert!(PatternLine::parse("llm_ratelimit_model_rpm", &["", "5"]).is_err());
    assert!(PatternLine::parse("llm_ratelimit_model_rpm", &["a", "0"]).is_err());
    assert_eq!(
        number("llm_ratelimit_concurrency", "0").unwrap_err(),
        "invalid number \"0\" in \"llm_ratelimit_concurrency\", give a whole number above 0"
    );
    assert_eq!(Basis::parse("llm_ratelimit_model_basis", "requested"), Ok(Basis::Requested));
    assert_eq!(Basis::parse("llm_ratelimit_model_basis", "effective"), Ok(Basis::Effective));
    assert!(Basis::parse("llm_ratelimit_model_basis", "asked").is_err());
    assert_eq!(Reserve::parse("auto"), Ok(Reserve::Auto));
    assert_eq!(Reserve::parse("2000"), Ok(Reserve::Fixed(2000)));
    assert!(Reserve::parse("-1").is_err() && Reserve::parse("").is_err());
    let line = ReserveSpendLine::parse(&["USD", "0.5"]).unwrap();
    assert_eq!((line.unit.as_str(), line.amount), ("usd", Some(Pico(Pico::UNIT.0 / 2))));
    assert_eq!(ReserveSpendLine::parse(&["usd", "auto"]).unwrap().amount, None);
    assert!(ReserveSpendLine::parse(&["usd", "lots"]).is_err());
    assert!(ReserveSpendLine::parse(&["usd"]).is_err());
}

#[test]
fn models_without_a_price_are_denied_allowed_or_priced() {
    assert_eq!(Unpriced::parse("deny"), Ok(Unpriced::Deny));
    assert_eq!(Unpriced::parse("allow"), Ok(Unpriced::Allow));
    let Ok(Unpriced::Rate { input, output }) = Unpriced::parse("rate=15/75.5") else { panic!() };
    assert_eq!((input.pico_per_token(), output.pico_per_token()), (15_000_000, 75_500_000));
    for word in ["", "rate=", "rate=1", "rate=1/", "rate=1/x", "rate=0.0000001/1", "maybe"] {
        assert!(Unpriced::parse(word).unwrap_err().contains(&format!("\"{word}\"")), "{word}");
    }
}

#[test]
fn zones_paths_and_time_zones() {
    let zone = ZoneLine::parse(&["llm_ratelimit", "4m"]).unwrap();
    assert_eq!((zone.name.as_str(), zone.bytes), ("llm_ratelimit", 4 << 20));
    for args in [&["a", "31k"][..], &["a", "x"], &["a b", "4m"], &["", "4m"], &["a"]] {
        assert!(ZoneLine::parse(args).is_err(), "{args:?}");
    }
    assert_eq!(path("llm/state"), Ok(Some("llm/state".to_owned())));
    assert_eq!(path("off"), Ok(None));
    assert!(path("").is_err() && path("/var/$x").is_err());
    assert!(time_zone("America/New_York").is_ok());
    assert_eq!(
        time_zone("EST5").unwrap_err(),
        "unknown time zone \"EST5\" in \"llm_ratelimit_spend_timezone\", give a name such as UTC or \
         Europe/Berlin"
    );
}
