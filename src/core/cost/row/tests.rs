//! Whether each column holds what its name says, and a row can be recomputed.

use proptest::prelude::*;

use super::*;
use crate::cost::{
    Answer, Bill, Cost, End, Guess, Rate, Rates, Served, SpendCharge, Status, Tokens, UsageMissing,
    UsageSource, recompute,
};
use crate::usage::Usage;

/// The names that dashboards and imports of others know, in their order.
const KNOWN: &str = "event_id provider model cost_unit traffic_cohort is_streaming prompt_tokens \
    completion_tokens total_tokens prompt_cost completion_cost total_cost status status_code \
    duration_ms identity user_id team_id auth_key_fingerprint rate_card_version \
    requested_provider requested_model translation_happened resolution_outcome org project client";

const OURS: &str = "input_tokens cache_read_tokens cache_write_tokens cache_write_1h_tokens \
    reasoning_tokens rate_input rate_output rate_cache_read rate_cache_write rate_cache_write_1h \
    usage_source attempts primary_provider fallback_reason chain ttft_ms first_attempt_ms tag node \
    created_at usage_inconsistent tags total_cost_pico";

const ATTEMPT: &str = "event_id attempt_no provider model key_id outcome status_code started_at \
    duration_ms first_byte_ms prompt_tokens completion_tokens usage_source";

/// An event in which no field is empty and no two texts are the same.
fn full() -> CostEvent {
    let tokens = Tokens {
        prompt: Some(1),
        completion: Some(2),
        total: Some(3),
        reasoning: Some(4),
        uncached_input: 5,
        cache_read: 6,
        cache_write_5m: 7,
        cache_write_1h: 8,
        inconsistent: true,
    };
    let rate = |pico| Rate::from_pico_per_token(pico).unwrap();
    CostEvent {
        event_id: "event".into(),
        provider: "provider".into(),
        model: "model".into(),
        cost_unit: "unit".into(),
        traffic_cohort: "cohort".into(),
        is_streaming: true,
        tokens,
        cost: Some(Cost { prompt: Pico(10), completion: Pico(11), total: Pico(21) }),
        status: Status::Recorded,
        status_code: 200,
        duration_ms: 12,
        identity: "identity".into(),
        user_id: "user".into(),
        team_id: "team".into(),
        auth_key_fingerprint: "fingerprint".into(),
        rate_card_version: "version".into(),
        requested_provider: "asked provider".into(),
        requested_model: "asked model".into(),
        translation_happened: true,
        resolution_outcome: "outcome".into(),
        org: "org".into(),
        project: "project".into(),
        client: "client".into(),
        rates: Some(Rates {
            input: rate(13),
            cache_read: rate(14),
            cache_write: rate(15),
            cache_write_1h: rate(16),
            output: rate(17),
        }),
        usage_source: UsageSource::Reported,
        attempts: vec![AttemptRow {
            attempt_no: 1,
            provider: "first".into(),
            model: "first model".into(),
            key_id: "key".into(),
            outcome: "rate_limited".into(),
            status_code: Some(429),
            started_at_ms: 18,
            duration_ms: 19,
            first_byte_ms: Some(20),
            prompt_tokens: Some(21),
            completion_tokens: Some(22),
            usage_source: UsageSource::Estimated,
        }],
        primary_provider: "primary".into(),
        fallback_reason: "reason".into(),
        chain: "chain".into(),
        ttft_ms: Some(23),
        first_attempt_ms: Some(24),
        tag: "tag".into(),
        node: "node".into(),
        created_at_ms: 25,
        tags: vec![("feature".into(), "a \"b\"".into()), ("team".into(), "\n".into())],
        charges: vec![SpendCharge { key: 26, window_start_s: 27, pico: Pico(u128::MAX) }],
        epoch: 28,
        writes_row: true,
    }
}

fn shown(value: &Value<'_>) -> String {
    match value {
        Value::Null => "NULL".to_owned(),
        Value::Text(text) => text.to_string(),
        Value::Integer(number) => number.to_string(),
        Value::Boolean(yes) => yes.to_string(),
        Value::Decimal(amount) => amount.to_string(),
        Value::TimestampMs(ms) => format!("@{ms}"),
    }
}

fn fits(column: &Column, value: &Value<'_>) -> bool {
    matches!(
        (column.kind, value),
        (Kind::Text, Value::Text(_))
            | (Kind::Integer, Value::Integer(_))
            | (Kind::Boolean, Value::Boolean(_))
            | (Kind::Decimal, Value::Decimal(_))
            | (Kind::TimestampMs, Value::TimestampMs(_))
    ) || (column.nullable && *value == Value::Null)
}

#[test]
fn the_columns_are_those_that_others_know_and_then_ours() {
    let names: Vec<&str> = COLUMNS.iter().map(|column| column.name).collect();
    let known: Vec<&str> = KNOWN.split_whitespace().collect();
    assert_eq!(known.len(), 27);
    assert_eq!(names, [known, OURS.split_whitespace().collect()].concat());
    let names: Vec<&str> = ATTEMPT_COLUMNS.iter().map(|column| column.name).collect();
    assert_eq!(names, ATTEMPT.split_whitespace().collect::<Vec<_>>());
}

#[test]
fn each_value_stands_in_its_column() {
    let event = full();
    let row: Vec<String> = event.row().map(|value| shown(&value)).collect();
    let tags = r#"{"feature":"a \"b\"","team":"\n"}"#;
    let expected = [
        "event",
        "provider",
        "model",
        "unit",
        "cohort",
        "true",
        "1",
        "2",
        "3",
        "0.00000000001",
        "0.000000000011",
        "0.000000000021",
        "recorded",
        "200",
        "12",
        "identity",
        "user",
        "team",
        "fingerprint",
        "version",
        "asked provider",
        "asked model",
        "true",
        "outcome",
        "org",
        "project",
        "client",
        "5",
        "6",
        "7",
        "8",
        "4",
        "0.00001300",
        "0.00001700",
        "0.00001400",
        "0.00001500",
        "0.00001600",
        "reported",
        "1",
        "primary",
        "reason",
        "chain",
        "23",
        "24",
        "tag",
        "node",
        "@25",
        "true",
        tags,
        "21",
    ];
    assert_eq!(row, expected);
    let attempts: Vec<Vec<String>> =
        event.attempt_rows().map(|row| row.map(|value| shown(&value)).collect()).collect();
    let expected = [
        "event",
        "1",
        "first",
        "first model",
        "key",
        "rate_limited",
        "429",
        "@18",
        "19",
        "20",
        "21",
        "22",
        "estimated",
    ];
    assert_eq!(attempts, [expected]);
}

#[test]
fn each_value_is_of_its_columns_kind_also_where_nothing_is_known() {
    let empty = CostEvent { attempts: vec![AttemptRow::default()], ..CostEvent::default() };
    for event in [full(), empty] {
        assert_eq!(event.row().len(), COLUMNS.len());
        for (column, value) in COLUMNS.iter().zip(event.row()) {
            assert!(fits(column, &value), "{} {value:?}", column.name);
        }
        for row in event.attempt_rows() {
            assert_eq!(row.len(), ATTEMPT_COLUMNS.len());
            for (column, value) in ATTEMPT_COLUMNS.iter().zip(row) {
                assert!(fits(column, &value), "{} {value:?}", column.name);
            }
        }
    }
}

#[test]
fn numbers_that_no_database_holds_are_the_largest_it_holds() {
    let mut event = full();
    event.created_at_ms = u64::MAX;
    event.cost = Some(Cost { total: Pico(u128::MAX), ..Cost::default() });
    let row: Vec<Value<'_>> = event.row().collect();
    assert_eq!(row.last(), Some(&Value::Integer(i64::MAX)));
    assert!(row.contains(&Value::TimestampMs(i64::MAX)));
    assert!(row.contains(&Value::Decimal(Pico(u128::MAX))));
}

#[test]
fn the_journals_format_brings_an_event_back_as_it_was() {
    for event in [full(), CostEvent::default()] {
        let bytes = postcard::to_stdvec(&event).unwrap();
        assert_eq!(postcard::from_bytes::<CostEvent>(&bytes).unwrap(), event);
        let json = serde_json::to_string(&event).unwrap();
        assert_eq!(serde_json::from_str::<CostEvent>(&json).unwrap(), event);
    }
}

#[test]
fn the_journals_format_refuses_a_rate_that_could_overflow() {
    let bytes = postcard::to_stdvec(&u64::MAX).unwrap();
    assert!(postcard::from_bytes::<Rate>(&bytes).is_err());
}

#[test]
fn a_row_without_rates_makes_no_cost() {
    let event = CostEvent { rates: None, ..full() };
    assert_eq!(recompute(&event.row().collect::<Vec<_>>()), None);
    assert_eq!(recompute(&[]), None);
}

fn any_answer() -> impl Strategy<Value = Answer> {
    let count = || prop_oneof![0_u64..1_000_000, any::<u64>()];
    let usage = prop_oneof![
        Just(Usage::default()),
        (count(), count()).prop_map(|(input, output)| Usage::of(input, output)),
        (count(), count(), count(), count(), count()).prop_map(|(a, b, c, d, e)| {
            let object = format!(
                r#"{{"input_tokens":{a},"cache_read_input_tokens":{b},"output_tokens":{c},
                    "cache_creation":{{"ephemeral_5m_input_tokens":{d},
                    "ephemeral_1h_input_tokens":{e}}}}}"#
            );
            Usage::parse(object.as_bytes(), crate::dialect::Dialect::Anthropic).unwrap()
        }),
    ];
    let guess = || {
        (count(), count())
            .prop_map(|(input_tokens, output_tokens)| Guess { input_tokens, output_tokens })
    };
    let served = prop::sample::select(vec![Served::Gateway, Served::Cache, Served::Provider]);
    let end = prop::sample::select(vec![End::Complete, End::Incomplete, End::ClientClosed]);
    (
        prop::sample::select(vec![200_u16, 429, 499]),
        served,
        end,
        usage,
        any::<bool>(),
        guess(),
        guess(),
    )
        .prop_map(|(status_code, served, end, usage, finished, estimate, reserved)| Answer {
            status_code,
            served,
            end,
            usage,
            finished,
            estimate,
            reserved,
        })
}

proptest! {
    #[test]
    fn every_row_makes_its_own_costs(
        answer in any_answer(),
        prices in prop::option::of(prop::array::uniform5(0_u64..=1_000_000_000_000_000_000)),
        missing in prop::sample::select(vec![
            UsageMissing::Estimate, UsageMissing::Reserve, UsageMissing::Zero,
        ]),
    ) {
        let rates = prices.map(|prices| {
            let [input, cache_read, cache_write, cache_write_1h, output] =
                prices.map(|pico| Rate::from_pico_per_token(pico).unwrap());
            Rates { input, cache_read, cache_write, cache_write_1h, output }
        });
        let bill = Bill::of(&answer, rates, missing);
        let event = CostEvent {
            tokens: bill.tokens,
            cost: bill.cost,
            rates: bill.rates,
            status: bill.status,
            usage_source: bill.source,
            ..CostEvent::default()
        };
        let row: Vec<Value<'_>> = event.row().collect();
        prop_assert_eq!(recompute(&row), bill.cost);
        prop_assert_eq!(bill.cost.is_some(), bill.rates.is_some());
        let bytes = postcard::to_stdvec(&event).unwrap();
        prop_assert_eq!(postcard::from_bytes::<CostEvent>(&bytes).unwrap(), event);
    }
}
