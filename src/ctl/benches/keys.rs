//! What does one client key cost a request, and the file a worker, with 100,000 keys?

#![expect(missing_docs, reason = "the macros of criterion make functions")]

use std::hint::black_box;

use criterion::{Criterion, criterion_group, criterion_main};
use llm_core::auth::client::{Client, Digest, SALT_BYTES, Table};

const KEYS: usize = 100_000;

fn key(number: usize) -> Client {
    let digest = Digest::new([3; SALT_BYTES], secret(number).as_bytes());
    Client {
        org: Some("acme".into()),
        project: Some(format!("project-{}", number % 100).into()),
        client: Some(format!("30000000-0000-0001-0001-{number:012}").into()),
        tier: Some("basic".into()),
        expires_s: Some(u64::MAX),
        ..Client::new(&format!("da-sk-acme-project-{number}"), digest)
    }
}

fn secret(number: usize) -> String {
    format!("{number:043}")
}

fn keys(criterion: &mut Criterion) {
    let mut table = Table::default();
    for number in 0..KEYS {
        table.push(key(number));
    }
    let text = table.to_string();
    let presented: Vec<_> = (0..1000)
        .map(|n| n * 97)
        .map(|n| format!("da-sk-acme-project-{n}.{}", secret(n)))
        .collect();
    let mut next = presented.iter().cycle();
    criterion.bench_function("look-up of a key that is there", |bencher| {
        bencher.iter(|| {
            let presented = next.next().map_or("", String::as_str);
            black_box(table.lookup(black_box(presented.as_bytes()), 1).name())
        });
    });
    criterion.bench_function("look-up of a key that is not", |bencher| {
        bencher.iter(|| black_box(table.lookup(black_box(b"nobody.has-this-secret"), 1).name()));
    });
    criterion.bench_function("reading the file", |bencher| {
        bencher.iter(|| black_box(Table::parse(black_box(text.as_bytes())).is_ok()));
    });
}

criterion_group! {
    name = benches;
    config = Criterion::default().sample_size(20);
    targets = keys
}
criterion_main!(benches);
