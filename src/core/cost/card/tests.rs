//! Which price a model gets, and which cards are refused.

use super::*;

/// A card from lines as an operator writes them.
fn card(text: &str) -> Result<RateCard, String> {
    let mut lines = RateLines::default();
    for line in text.lines().map(str::trim).filter(|line| !line.is_empty()) {
        let words: Vec<&str> = line.split_whitespace().collect();
        let (name, args) = words.split_first().unwrap();
        match *name {
            "llm_cost_rate" => lines.rates.push(RateLine::parse(args)?),
            "llm_cost_cached_rate" => lines.cached.push(CachedRateLine::parse(args)?),
            "llm_cost_rate_unit" => lines.units.push(RateUnitLine::parse(args)?),
            other => panic!("{other}"),
        }
    }
    RateCard::new(&lines)
}

/// Input, read, write, write for an hour, output.
fn prices(card: &RateCard, provider: &str, model: &str) -> Option<[u64; 5]> {
    let rates = card.rates(provider, model)?;
    let Rates { input, cache_read, cache_write, cache_write_1h, output } = rates;
    Some([input, cache_read, cache_write, cache_write_1h, output].map(Rate::pico_per_token))
}

#[test]
fn the_exact_name_wins_and_then_the_longest_pattern() {
    let card = card(
        "llm_cost_rate openai * 1 1
         llm_cost_rate openai gpt-* 2 2
         llm_cost_rate openai gpt-4o* 3 3
         llm_cost_rate openai *-mini 4 4
         llm_cost_rate openai GPT-4o 5 15",
    )
    .unwrap();
    let input = |model| prices(&card, "openai", model).map(|[input, ..]| input / 1_000_000);
    for (model, price) in [
        ("gpt-4o", 5),
        ("Gpt-4O", 5),
        ("gpt-4o-2024", 3),
        ("gpt-4o-mini", 3),
        ("o4-mini", 4),
        ("gpt-5", 2),
        ("davinci", 1),
        ("", 1),
        (&"M".repeat(300), 1),
        ("ÜBER-MINI", 4),
    ] {
        assert_eq!(input(model), Some(price), "{model}");
    }
    assert_eq!(prices(&card, "mimo", "gpt-4o"), None);
    assert_eq!(prices(&card, "OpenAI", "gpt-4o"), prices(&card, "openai", "gpt-4o"));
}

#[test]
fn a_model_without_a_line_has_no_price() {
    let card = card("llm_cost_rate deepseek deepseek-v4-* 0.435 0.87").unwrap();
    assert_eq!(prices(&card, "deepseek", "deepseek-v3"), None);
    assert_eq!(prices(&card, "deepseek", "deepseek-v4-pro").unwrap()[0], 435_000);
    assert_eq!(RateCard::default().rates("deepseek", "deepseek-v4-pro"), None);
}

#[test]
fn prices_of_a_cache_that_are_not_given_follow_from_the_others() {
    let card = card(
        "llm_cost_rate a * 3 15
         llm_cost_cached_rate a read 0.30
         llm_cost_cached_rate a write 0.30 3.75
         llm_cost_cached_rate a hour 0.30 3.75 6
         llm_cost_cached_rate a free* 0 0 0",
    )
    .unwrap();
    for (model, expected) in [
        ("none", [3_000_000, 3_000_000, 3_000_000, 3_000_000, 15_000_000]),
        ("read", [3_000_000, 300_000, 3_000_000, 3_000_000, 15_000_000]),
        ("write", [3_000_000, 300_000, 3_750_000, 3_750_000, 15_000_000]),
        ("hour", [3_000_000, 300_000, 3_750_000, 6_000_000, 15_000_000]),
        ("freebie", [3_000_000, 0, 0, 0, 15_000_000]),
    ] {
        assert_eq!(prices(&card, "a", model), Some(expected), "{model}");
    }
}

#[test]
fn units_are_usd_unless_said_otherwise() {
    let card = card("llm_cost_rate mimo * 300 600\n llm_cost_rate_unit Mimo Credit").unwrap();
    assert_eq!((card.unit("mimo"), card.unit("deepseek")), ("credit", "usd"));
}

#[test]
fn lines_that_contradict_each_other_are_start_errors() {
    for (text, error) in [
        (
            "llm_cost_rate a gpt-4o 1 2\n llm_cost_rate A GPT-4o 1 2",
            "duplicate \"llm_cost_rate A GPT-4o\", a model has one price",
        ),
        (
            "llm_cost_rate a gpt-* 1 2\n llm_cost_rate a GPT-* 1 2",
            "duplicate \"llm_cost_rate a GPT-*\", a model has one price",
        ),
        (
            "llm_cost_rate a * 1 2\n llm_cost_cached_rate a x 1\n llm_cost_cached_rate a x 2",
            "duplicate \"llm_cost_cached_rate a x\", a model has one price",
        ),
        (
            "llm_cost_rate_unit a usd\n llm_cost_rate_unit a credit",
            "duplicate \"llm_cost_rate_unit a\", a provider has one unit",
        ),
        (
            "llm_cost_rate a gpt-4o 1 2\n llm_cost_cached_rate a gpt-5* 1",
            "no \"llm_cost_rate\" is for a model that \"llm_cost_cached_rate a gpt-5*\" is for, \
             add one",
        ),
        (
            "llm_cost_rate a * 1 2\n llm_cost_cached_rate b * 1",
            "no \"llm_cost_rate\" is for a model that \"llm_cost_cached_rate b *\" is for, add one",
        ),
    ] {
        assert_eq!(card(text).unwrap_err(), error);
    }
}

#[test]
fn a_cached_price_may_stand_for_some_models_of_a_price_or_for_more() {
    for text in [
        "llm_cost_rate a gpt-* 1 2\n llm_cost_cached_rate a gpt-4o 0.5",
        "llm_cost_rate a gpt-4o 1 2\n llm_cost_cached_rate a gpt-* 0.5",
        "llm_cost_rate a *-mini 1 2\n llm_cost_cached_rate a gpt-* 0.5",
    ] {
        assert!(card(text).is_ok(), "{text}");
    }
}

#[test]
fn misspelled_lines_say_what_to_change() {
    for (text, error) in [
        (
            "llm_cost_rate a gpt-4o 0.0000001 2",
            "invalid price \"0.0000001\" in \"llm_cost_rate\", at most six decimals per million \
             tokens can be kept exactly",
        ),
        (
            "llm_cost_rate a gpt-4o -1 2",
            "invalid price \"-1\" in \"llm_cost_rate\", give a decimal number such as 0.435",
        ),
        (
            "llm_cost_cached_rate a gpt-4o 1.",
            "invalid price \"1.\" in \"llm_cost_cached_rate\", give a decimal number such as 0.435",
        ),
        (
            "llm_cost_rate a gpt-4o 1 1000000000001",
            "invalid price \"1000000000001\" in \"llm_cost_rate\", it is too large",
        ),
        (
            "llm_cost_cached_rate a gpt-4o 1 2 3 4",
            "invalid parameter \"4\" in \"llm_cost_cached_rate\", it takes three prices at most",
        ),
        (
            "llm_cost_rate a gpt-4o 1",
            "\"llm_cost_rate\" needs a provider, a model and the prices of a million tokens of \
             input and of output",
        ),
        (
            "llm_cost_rate a* gpt-4o 1 2",
            "invalid provider name \"a*\" in \"llm_cost_rate\", give the name of an \
             \"llm_proxy_route\"",
        ),
        (
            "llm_cost_rate_unit a us/d",
            "invalid unit \"us/d\" in \"llm_cost_rate_unit\", use 1 to 32 letters, digits, \"-\", \
             \"_\" and \".\" such as usd",
        ),
        ("llm_cost_rate_unit a", "\"llm_cost_rate_unit\" needs a provider and a unit"),
    ] {
        assert_eq!(card(text).unwrap_err(), error, "{text}");
    }
}

#[test]
fn what_looks_like_a_mistake_is_warned_of() {
    let card = card(
        "llm_cost_rate openai * 1 2
         llm_cost_rate opneai * 1 2
         llm_cost_rate_unit mimo credit
         llm_cost_rate_unit mymo credit",
    )
    .unwrap();
    assert_eq!(
        card.warnings(&["OpenAI", "mimo"]),
        [
            "\"llm_cost_rate opneai\" is for a provider that no \"llm_proxy_route\" has",
            "\"llm_cost_rate_unit mymo\" is for a provider that no \"llm_proxy_route\" has",
            "no \"llm_cost_rate\" is for \"mimo\", its requests have no cost and the status \
             no_rate",
        ]
    );
    assert!(RateCard::default().warnings(&["openai"]).is_empty());
}
