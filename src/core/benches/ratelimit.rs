//! What does it cost to admit and settle a request? The goal is 1.5 µs for four rules and two budgets
//! at 10,000 identities, beside the locks that the module takes.

#![allow(missing_docs, reason = "criterion's macros make functions without docs")]

use std::hint::black_box;

use criterion::{Criterion, criterion_group, criterion_main};
use llm_core::cost::{Pico, Rate, Rates};
use llm_core::ratelimit::{
    Actual, Clerk, Estimate, Lines, Mode, Owner, PatternLine, Record, RuleLine, RuleSet, SpendLine,
    Subject, Table,
};
use llm_core::usage::Usage;

const IDENTITIES: usize = 10_000;
/// 12 MB of records: ten thousand identities have 80,000 records here.
const SLOTS: usize = 131_072;
const NOW_MS: u64 = 1_790_000_000_000;

const SUBJECT: Subject<'_> = Subject {
    requested_provider: "deepseek",
    requested_model: Some("deepseek-v4-pro"),
    provider: "deepseek",
    model: Some("deepseek-v4-pro"),
    is_translated: false,
};

/// A limit of requests, of tokens, of requests to a model and of requests at once; and two budgets.
fn rules() -> Result<RuleSet, String> {
    let rule = |text: &str| RuleLine::parse(&text.split(' ').collect::<Vec<_>>());
    let spend = |text: &str| SpendLine::parse(&text.split(' ').collect::<Vec<_>>());
    RuleSet::new(&Lines {
        key: Some("$tenant".to_owned()),
        tokens_per_minute: Some(u64::MAX),
        concurrency: Some(1000),
        model_rpm: vec![PatternLine { pattern: "deepseek-*".to_owned(), n: 1 << 60 }],
        rules: vec![rule("$tenant requests 1000000000000/s")?],
        spend: vec![
            spend("organization usd $tenant 1000000000")?,
            spend("project usd $tenant $project 1000000000")?,
        ],
        ..Lines::default()
    })
}

struct Worker {
    slots: Vec<Record>,
    owner: Owner,
}

fn admission(c: &mut Criterion) {
    let Ok(set) = rules() else { return };
    let Some(rate) = Rate::from_pico_per_token(435_000) else { return };
    let rates = Rates::flat(rate, rate);
    let mut worker = Worker { slots: vec![Record::default(); SLOTS], owner: Owner::new(1) };
    let names: Vec<_> = (0..IDENTITIES).map(|at| format!("tenant-{at:08}")).collect();
    let estimate = Estimate::new(1200, Some(1024), None);
    let actual = Actual { tokens: Some(Usage::of(1100, 300).buckets()), price: Pico(1_000_000) };
    let (mut asks, mut held) = (Vec::new(), Vec::new());
    let mut request = |at: usize| {
        let Some(name) = names.get(at) else { return false };
        let keys = [name.as_bytes(), b"project"];
        let Worker { slots, owner } = &mut worker;
        let mut with = |work: &mut dyn FnMut(&mut Table<'_>)| work(&mut Table::new(slots));
        let mut clerk = Clerk::new(&mut with, owner, NOW_MS);
        asks.clear();
        if set.ask_request(&SUBJECT, &keys, &estimate, &mut asks).is_err() {
            return false;
        }
        set.ask_attempt(&SUBJECT, &keys, &estimate, &mut asks);
        let priced = set.ask_spend("usd", &keys, &estimate, Some(&rates), NOW_MS / 1000, &mut asks);
        if priced.is_err() || asks.len() != 6 {
            return false;
        }
        if clerk.take(&asks, Mode::Enforce, &mut held).is_some() {
            return false;
        }
        let epoch = clerk.epoch();
        clerk.settle(&mut held, black_box(&actual), epoch);
        true
    };
    assert!((0..IDENTITIES).all(&mut request), "everything fits");
    let mut at = 0;
    c.bench_function("admit and settle, 4 rules, 2 budgets, 10000 identities", |b| {
        b.iter(|| {
            // A step that visits every identity, in no order that a cache would like.
            at = (at + 7919) % IDENTITIES;
            request(black_box(at))
        });
    });
    c.bench_function("admit and settle, the same identity", |b| b.iter(|| request(black_box(7))));
}

criterion_group!(benches, admission);
criterion_main!(benches);
