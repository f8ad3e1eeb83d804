//! Events for tests and benchmarks.

use llm_core::cost::{AttemptRow, CostEvent, Rates, SpendCharge, Text, Tokens, UsageSource};

/// A request like many: a failed attempt, a good one, tokens in and out of a cache.
pub fn event(number: u64) -> CostEvent {
    let rate = |text: &str| text.parse().unwrap_or_default();
    let rates = Rates {
        input: rate("0.435"),
        output: rate("0.87"),
        cache_read: rate("0.003625"),
        cache_write: rate("0.435"),
        cache_write_1h: rate("0.435"),
    };
    let tokens = Tokens {
        prompt: Some(1200 + number % 7),
        completion: Some(300),
        total: Some(1500 + number % 7),
        reasoning: Some(100),
        uncached_input: 200 + number % 7,
        cache_read: 1000,
        ..Tokens::default()
    };
    let cost = tokens.cost(&rates);
    let attempt = AttemptRow {
        attempt_no: 1,
        provider: "deepseek".into(),
        model: "deepseek-v4-pro".into(),
        key_id: "main".into(),
        outcome: "rate_limited".into(),
        status_code: Some(429),
        started_at_ms: created_at_ms(number) - 900,
        duration_ms: 210,
        first_byte_ms: Some(200),
        ..AttemptRow::default()
    };
    let second = AttemptRow {
        attempt_no: 2,
        provider: "mimo".into(),
        model: "mimo-v2.5-pro".into(),
        outcome: "ok".into(),
        status_code: Some(200),
        prompt_tokens: tokens.prompt,
        completion_tokens: tokens.completion,
        usage_source: UsageSource::Reported,
        ..attempt.clone()
    };
    CostEvent {
        event_id: Text::new(&format!("{number:032x}")),
        provider: "mimo".into(),
        model: "mimo-v2.5-pro".into(),
        cost_unit: "usd".into(),
        tokens,
        cost: Some(cost),
        status_code: 200,
        duration_ms: 1040,
        identity: "ci".into(),
        requested_model: "deepseek-v4-pro".into(),
        resolution_outcome: "direct".into(),
        org: "acme".into(),
        project: Text::new(&format!("project-{}", number % 3)),
        client: "ci".into(),
        rates: Some(rates),
        usage_source: UsageSource::Reported,
        attempts: vec![attempt, second],
        primary_provider: "deepseek".into(),
        fallback_reason: "rate_limited".into(),
        chain: "deepseek/deepseek-v4-pro:429:210ms, mimo/mimo-v2.5-pro:200:830ms".into(),
        ttft_ms: Some(320),
        first_attempt_ms: Some(210),
        node: "gw-1".into(),
        created_at_ms: created_at_ms(number),
        tags: vec![("feature".into(), "search \"x\"".into())],
        charges: vec![SpendCharge {
            key: number % 5,
            window_start_s: 1_793_491_200,
            pico: cost.total,
        }],
        epoch: 1,
        writes_row: true,
        ..CostEvent::default()
    }
}

/// When [`event`] happened.
pub fn created_at_ms(number: u64) -> u64 {
    1_795_000_000_000 + number
}
