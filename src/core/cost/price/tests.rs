//! What tokens cost, in the documents' own numbers and in any others.

use proptest::prelude::*;

use super::*;
use crate::cost::Rate;
use crate::dialect::Dialect;

fn rates(prices: [&str; 5]) -> Rates {
    let [input, cache_read, cache_write, cache_write_1h, output] =
        prices.map(|price| price.parse().unwrap());
    Rates { input, cache_read, cache_write, cache_write_1h, output }
}

fn tokens(dialect: Dialect, object: &str) -> Tokens {
    Tokens::of(&Usage::parse(object.as_bytes(), dialect).unwrap())
}

#[test]
fn reasoning_is_paid_as_output_and_sound_as_what_it_is_part_of() {
    let plain = r#"{"prompt_tokens":100,"completion_tokens":50}"#;
    let parts = r#"{"prompt_tokens":100,"completion_tokens":50,
        "prompt_tokens_details":{"audio_tokens":40,"image_tokens":9},
        "completion_tokens_details":{"reasoning_tokens":30,"audio_tokens":10}}"#;
    let rates = rates(["5", "1", "6", "10", "15"]);
    let (plain, parts) = (tokens(Dialect::OpenAi, plain), tokens(Dialect::OpenAi, parts));
    assert_eq!(plain.cost(&rates), parts.cost(&rates));
    assert_eq!(parts.reasoning, Some(30));
    assert!(!parts.inconsistent);
}

#[test]
fn both_kinds_of_cache_writes_have_their_price() {
    let usage = r#"{"input_tokens":1,"output_tokens":0,"cache_creation_input_tokens":30,
        "cache_creation":{"ephemeral_5m_input_tokens":10,"ephemeral_1h_input_tokens":20}}"#;
    let cost = tokens(Dialect::Anthropic, usage).cost(&rates(["0", "0", "3.75", "6", "0"]));
    assert_eq!(cost.prompt.to_string(), "0.00015750");
    assert_eq!(cost.total, cost.prompt);
}

#[test]
fn what_does_not_add_up_is_said_and_billed_without_what_cannot_be() {
    let rates = rates(["5", "1", "6", "10", "15"]);
    for object in [
        r#"{"prompt_tokens":10,"completion_tokens":1,
            "prompt_tokens_details":{"cached_tokens":11}}"#,
        r#"{"prompt_tokens":10,"completion_tokens":1,
            "prompt_tokens_details":{"cached_tokens":6,"cache_write_tokens":6}}"#,
        r#"{"prompt_tokens":10,"completion_tokens":1,"total_tokens":12}"#,
        r#"{"prompt_tokens":10,"completion_tokens":1,
            "completion_tokens_details":{"reasoning_tokens":2}}"#,
        r#"{"prompt_tokens":10,"completion_tokens":18446744073709551615}"#,
    ] {
        assert!(tokens(Dialect::OpenAi, object).inconsistent, "{object}");
    }
    let more_cached = tokens(
        Dialect::OpenAi,
        r#"{"prompt_tokens":10,"completion_tokens":0,
            "prompt_tokens_details":{"cached_tokens":11}}"#,
    );
    assert_eq!(
        more_cached.cost(&rates).prompt,
        Rate::from_pico_per_token(5_000_000).unwrap().of(10)
    );
}

#[test]
fn what_adds_up_is_believed() {
    for (dialect, object) in [
        (Dialect::OpenAi, r#"{"prompt_tokens":8,"total_tokens":8}"#),
        (
            Dialect::OpenAi,
            r#"{"prompt_tokens":9,"completion_tokens":2,"total_tokens":11,
                "prompt_tokens_details":{"cached_tokens":9}}"#,
        ),
        (
            Dialect::OpenAi,
            r#"{"prompt_cache_hit_tokens":64,"prompt_cache_miss_tokens":36,"completion_tokens":1}"#,
        ),
        (
            Dialect::Anthropic,
            r#"{"input_tokens":2,"cache_read_input_tokens":900,"output_tokens":5}"#,
        ),
    ] {
        assert!(!tokens(dialect, object).inconsistent, "{object}");
    }
}

#[test]
fn tokens_of_embeddings_have_no_output() {
    let embedded = tokens(Dialect::OpenAi, r#"{"prompt_tokens":8,"total_tokens":8}"#);
    assert_eq!((embedded.prompt, embedded.completion, embedded.total), (Some(8), Some(0), Some(8)));
}

fn any_rate() -> impl Strategy<Value = Rate> {
    prop_oneof![
        (0_u64..2_000_000_000).prop_map(|pico| Rate::from_pico_per_token(pico).unwrap()),
        Just(Rate::from_pico_per_token(1_000_000_000_000_000_000).unwrap()),
    ]
}

fn any_usage() -> impl Strategy<Value = Usage> {
    let count = || prop_oneof![0_u64..100_000, any::<u64>()];
    let fields = prop::collection::vec(prop::option::of(count()), 9);
    (fields, any::<bool>()).prop_filter_map("counts something", |(fields, anthropic)| {
        let names = [
            "prompt_tokens",
            "input_tokens",
            "completion_tokens",
            "total_tokens",
            "cached_tokens",
            "prompt_cache_miss_tokens",
            "cache_read_input_tokens",
            "cache_creation_input_tokens",
            "reasoning",
        ];
        let mut members: Vec<String> = Vec::new();
        for (name, value) in names.iter().zip(&fields) {
            let Some(value) = value else { continue };
            members.push(match *name {
                "reasoning" => {
                    format!("\"completion_tokens_details\":{{\"reasoning_tokens\":{value}}}")
                }
                name => format!("\"{name}\":{value}"),
            });
        }
        let dialect = if anthropic { Dialect::Anthropic } else { Dialect::OpenAi };
        Usage::parse(format!("{{{}}}", members.join(",")).as_bytes(), dialect)
    })
}

proptest! {
    #[test]
    fn the_parts_of_a_cost_make_its_total_and_nothing_is_lost(
        usage in any_usage(),
        input in any_rate(), read in any_rate(), write in any_rate(), hour in any_rate(),
        output in any_rate(),
    ) {
        let rates = Rates {
            input, cache_read: read, cache_write: write, cache_write_1h: hour, output,
        };
        let tokens = Tokens::of(&usage);
        let cost = tokens.cost(&rates);
        prop_assert_eq!(cost.prompt.checked_add(cost.completion), Some(cost.total));
        // Each token is paid once: at one price for all, the price is that of the sum.
        let flat = tokens.cost(&Rates::flat(input, output));
        prop_assert_eq!(flat.prompt, input.of(tokens.prompt.unwrap_or(0)));
        prop_assert_eq!(flat.completion, output.of(tokens.completion.unwrap_or(0)));
    }

    #[test]
    fn twice_the_tokens_cost_twice_as_much(
        input in 0_u64..1_000_000_000, output in 0_u64..1_000_000_000,
        price in any_rate(), other in any_rate(),
    ) {
        let cost = |factor| {
            let tokens = Tokens::of(&Usage::of(input * factor, output * factor));
            tokens.cost(&Rates::flat(price, other)).total
        };
        prop_assert_eq!(cost(1).checked_add(cost(1)), Some(cost(2)));
    }
}
