//! What do metrics cost a worker? The goals are 1 µs for a request and 5 ms for a scrape of 100
//! providers with their models.

#![allow(missing_docs, reason = "criterion's macros make functions without docs")]

use std::hint::black_box;

use criterion::{Criterion, criterion_group, criterion_main};
use llm_core::cost::{Pico, UsageSource};
use llm_core::fallback::FailureClass;
use llm_core::metrics::{
    Adds, AttemptEnd, Decision, Exposition, Finished, Format, Layout, Named, Names, Opted, Record,
    Table, Tried,
};
use llm_core::status::{Cell, Entry, EntryText, Hour, Notes, Ring};
use llm_core::usage::Usage;

const OPTED: Opted =
    Opted { model: true, tenant: false, auth_status: true, resolution_outcome: true, usage: true };

/// The labels of so many providers with so many models each.
fn layout(providers: &[String], models: &[String]) -> Layout {
    let providers: Vec<&str> = providers.iter().map(String::as_str).collect();
    let models: Vec<&str> = models.iter().map(String::as_str).collect();
    let names =
        Names { providers: &providers, models: &models, tenants: &[], units: &["usd", "credit"] };
    Layout::new(&names, OPTED)
}

fn names(prefix: &str, count: usize) -> Vec<String> {
    (0..count).map(|number| format!("{prefix}-{number}")).collect()
}

fn tried<'a>(provider: Named<'a>, model: &'a str, end: AttemptEnd) -> Tried<'a> {
    Tried { provider, model: Some(model), end, duration_ms: 212, ttft_ms: Some(100) }
}

fn finished<'a>(provider: Named<'a>, model: &'a str, attempts: &'a [Tried<'a>]) -> Finished<'a> {
    Finished {
        provider: Some(provider),
        model: Some(model),
        streaming: true,
        code: 200,
        attempts,
        duration_us: 1_052_000,
        ttft_us: Some(512_000),
        overhead_us: Some(180),
        usage: Some(Usage::of(50, 55)),
        usage_source: Some(UsageSource::Reported),
        cost: Some((Pico(250_000_000), Named::unit("usd"))),
        decisions: &[(Decision::Allow, "")],
        auth_status: Some("resolved"),
        ..Finished::default()
    }
}

fn recording(c: &mut Criterion) {
    let (providers, models) = (names("provider", 10), names("model", 100));
    let layout = layout(&providers, &models);
    let mut records = vec![Record::default(); 50_000];
    let mut adds = Adds::default();
    let (Some(one), Some(two), Some(model)) = (providers.first(), providers.get(1), models.first())
    else {
        return;
    };
    let failed = AttemptEnd::Failed(FailureClass::RateLimited);
    let (one, two) = (Named::provider(one), Named::provider(two));
    let direct = [tried(one, model, AttemptEnd::Ok)];
    let moved = [tried(one, model, failed), tried(two, model, AttemptEnd::Ok)];
    for (name, attempts) in [("direct", direct.as_slice()), ("with fallback", &moved)] {
        let finished = finished(one, model, attempts);
        c.bench_function(&format!("record a request, {name}"), |b| {
            b.iter(|| {
                layout.adds(&mut adds, black_box(&finished));
                Table::new(&mut records).apply(&adds);
            });
        });
    }
}

fn remembering(c: &mut Criterion) {
    let (providers, models) = (names("provider", 10), names("model", 100));
    let layout = layout(&providers, &models);
    let (mut cells, mut entries) = (vec![Cell::default(); 60 * 200], vec![Entry::default(); 257]);
    let (Some(one), Some(two), Some(model)) = (providers.first(), providers.get(1), models.first())
    else {
        return;
    };
    let failed = AttemptEnd::Failed(FailureClass::RateLimited);
    let (one, two) = (Named::provider(one), Named::provider(two));
    let attempts = [tried(one, model, failed), tried(two, model, AttemptEnd::Ok)];
    let finished = finished(one, model, &attempts);
    let text = EntryText {
        event_id: "0123456789abcdef0123456789abcdef",
        chain: "provider-0/model-0:429:212ms, provider-1/model-0:200:840ms",
        model,
        ..EntryText::default()
    };
    let (mut notes, mut entry) = (Notes::default(), Entry::default());
    c.bench_function("remember a request with fallback for the status", |b| {
        b.iter(|| {
            notes.note(&layout, black_box(&finished));
            Hour::new(&mut cells).apply(&notes, 29_921_124);
            entry.fill(&finished, &text, 1_795_267_441_000);
            Ring::new(&mut entries).push(&entry);
        });
    });
}

fn scraping(c: &mut Criterion) {
    for count in [1, 10] {
        let (providers, models) = (names("provider", 100), names("model", count));
        let layout = layout(&providers, &models);
        let mut records = vec![Record::default(); 50_000];
        let mut adds = Adds::default();
        for (provider, next) in providers.iter().zip(providers.iter().cycle().skip(1)) {
            let (provider, next) = (Named::provider(provider), Named::provider(next));
            for model in &models {
                let failed = AttemptEnd::Failed(FailureClass::RateLimited);
                let attempts = [tried(next, model, failed), tried(provider, model, AttemptEnd::Ok)];
                for (streaming, code) in [(false, 200), (true, 200), (true, 429)] {
                    let finished =
                        Finished { streaming, code, ..finished(provider, model, &attempts) };
                    layout.adds(&mut adds, &finished);
                    Table::new(&mut records).apply(&adds);
                }
            }
        }
        let mut buffer = vec![0; 64 << 10];
        let mut scrape = || {
            let copy = records.iter().take(Table::extent(&records)).copied().collect();
            let mut text = Exposition::new(&layout, Format::Text, copy, Vec::new());
            let mut bytes = 0;
            while let len @ 1.. = text.read(&mut buffer) {
                bytes += len;
            }
            bytes
        };
        let name = format!("scrape 100 providers x {count} models, {} KB", scrape() >> 10);
        c.bench_function(&name, |b| b.iter(&mut scrape));
    }
}

criterion_group!(benches, recording, remembering, scraping);
criterion_main!(benches);
