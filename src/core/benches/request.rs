//! What does it cost to read a request body? The goal is 12 µs for 100 KB of plain text.

#![allow(missing_docs, reason = "criterion's macros make functions without docs")]

use std::hint::black_box;

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use llm_core::dialect::Endpoint;
use llm_core::request::{Changes, plan, scan, slices};
use llm_core::route::{Ask, Pattern, RouteLine, Routes};

const PLAIN: &str = "The quick brown fox jumps over the lazy dog, and then some more text. ";
const ESCAPED: &str = "fn main() {\\n\\tprintln!(\\\"a \\\\ b\\\");\\n}\\n// \\u00e9\\n";
const PROSE: &str =
    "The user wrote:\\n\\\"How does a gateway \\u00e4ndern a request?\\\"\\tLet us see. ";
const CHINESE: &str = "大型语言模型网关把请求送到正确的提供方，并且统计每个请求的用量。";

/// A chat request whose one message repeats `text` up to so many bytes.
fn chat(text: &str, bytes: usize) -> String {
    let content = text.repeat(bytes / text.len());
    format!(
        "{{\"model\":\"deepseek-v4-pro\",\"messages\":[{{\"role\":\"user\",\"content\":\"{content}\"}}],\
         \"temperature\":0.7,\"max_tokens\":1024,\"stream\":true}}"
    )
}

/// A conversation of short turns, as agents send it.
fn turns(bytes: usize) -> String {
    let turn = "{\"role\":\"assistant\",\"content\":\"I will look at that file now.\\n\"},";
    let turns = turn.repeat(bytes / turn.len());
    let turns = turns.trim_end_matches(',');
    format!("{{\"model\":\"deepseek-v4-pro\",\"messages\":[{turns}],\"stream\":true}}")
}

fn scanning(c: &mut Criterion) {
    let mut group = c.benchmark_group("scan");
    for (name, body) in [
        ("1 KB plain", chat(PLAIN, 1 << 10)),
        ("100 KB plain", chat(PLAIN, 100 << 10)),
        ("100 KB prose", chat(PROSE, 100 << 10)),
        ("100 KB escapes", chat(ESCAPED, 100 << 10)),
        ("100 KB chinese", chat(CHINESE, 100 << 10)),
        ("100 KB turns", turns(100 << 10)),
    ] {
        assert!(scan(body.as_bytes()).is_ok());
        group.throughput(Throughput::Bytes(body.len() as u64));
        group.bench_function(name, |b| b.iter(|| scan(black_box(body.as_bytes())).is_ok()));
    }
    group.finish();
}

fn editing(c: &mut Criterion) {
    let body = chat(PLAIN, 100 << 10);
    let Ok(facts) = scan(body.as_bytes()) else { return };
    let changes = Changes { model: Some("other"), inject_usage: true, ..Changes::default() };
    c.bench_function("plan and slices", |b| {
        b.iter(|| {
            let edits = plan(black_box(&facts), black_box(&changes));
            slices(body.as_bytes(), &edits).len()
        });
    });
}

fn routing(c: &mut Criterion) {
    let Ok(provider) = RouteLine::parse(&["one", "one"]) else { return };
    let exact = (0..5000).map(|at| format!("model-{at}"));
    let wildcards = (0..50).map(|at| format!("family-{at}-*"));
    let patterns = exact.chain(wildcards);
    let patterns = patterns.filter_map(|text| Pattern::parse(&[text.as_str(), "one"]).ok());
    let mut routes = Routes::default();
    routes.providers.push(provider);
    routes.patterns = patterns.collect();
    assert_eq!(routes.check(), Ok(()));
    for (name, model) in
        [("exact", "model-4999"), ("wildcard", "family-0-x"), ("unknown", "nothing/of-ours")]
    {
        let ask = Ask {
            endpoint: Endpoint::Chat,
            method_has_body: true,
            model: Some(model),
            provider_field: None,
        };
        c.bench_function(&format!("resolve {name} of 5050"), |b| {
            b.iter(|| routes.resolve(black_box(&ask)).is_ok());
        });
    }
}

criterion_group!(benches, scanning, editing, routing);
criterion_main!(benches);
