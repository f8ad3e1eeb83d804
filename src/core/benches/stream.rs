//! What does one event of a stream, and one answer, cost? Targets: 250 ns per event, 15 µs for an
//! answer of 100 KB in one string, 40 µs if it is full of escapes, 250 µs if it is full of tool calls.

#![expect(missing_docs, reason = "criterion's macro writes the items")]

use std::hint::black_box;
use std::ops::Range;

use criterion::{BatchSize, Criterion, Throughput, criterion_group, criterion_main};
use llm_core::dialect::{Dialect, Endpoint};
use llm_core::stream::{EventStream, Opening, Options, Sink};
use llm_core::tap::JsonTap;

const EVENTS: usize = 50;

/// Counts what a filter would send.
#[derive(Default)]
struct Counter(usize);

impl Sink for Counter {
    fn pass(&mut self, range: Range<usize>) {
        self.0 += range.len();
    }

    fn own(&mut self, bytes: &[u8]) {
        self.0 += bytes.len();
    }
}

fn chat_events() -> Vec<String> {
    let mut events: Vec<_> = (0..EVENTS - 3)
        .map(|number| {
            format!(
                concat!(
                    r#"data: {{"id":"chatcmpl-123","object":"chat.completion.chunk","#,
                    r#""created":1694268190,"model":"gpt-4o-mini","system_fingerprint":"fp_44"#,
                    r#"709d6fcb","choices":[{{"index":0,"delta":{{"content":" w{:02}"}},"#,
                    r#""logprobs":null,"finish_reason":null}}]}}"#,
                    "\n\n"
                ),
                number
            )
        })
        .collect();
    events.push(
        concat!(
            r#"data: {"id":"chatcmpl-123","model":"gpt-4o-mini","choices":[{"index":0,"#,
            r#""delta":{},"finish_reason":"stop"}]}"#,
            "\n\n"
        )
        .into(),
    );
    events.push(
        concat!(
            r#"data: {"id":"chatcmpl-123","model":"gpt-4o-mini","choices":[],"#,
            r#""usage":{"prompt_tokens":9,"completion_tokens":47,"total_tokens":56}}"#,
            "\n\n"
        )
        .into(),
    );
    events.push("data: [DONE]\n\n".into());
    events
}

fn message_events() -> Vec<String> {
    (0..EVENTS)
        .map(|number| {
            format!(
                concat!(
                    "event: content_block_delta\n",
                    r#"data: {{"type":"content_block_delta","index":0,"delta":{{"type":"#,
                    r#""text_delta","text":" word {} and what else a model writes in one go: "#,
                    r#"some sixty letters"}}}}"#,
                    "\n\n"
                ),
                number
            )
        })
        .collect()
}

fn streams(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("stream");
    group.throughput(Throughput::Elements(EVENTS as u64));
    let chat = chat_events();
    let plain = Options::new(Dialect::OpenAi, Endpoint::Chat);
    let changed = Options { strip_usage: true, model: Some("public".into()), ..plain.clone() };
    let messages = message_events();
    let anthropic = Options::new(Dialect::Anthropic, Endpoint::Messages);
    for (name, events, options) in [
        ("chat", &chat, &plain),
        ("chat_renamed_stripped", &chat, &changed),
        ("messages", &messages, &anthropic),
    ] {
        let whole = events.concat();
        let mut run = |label: &str, chunks: &[&[u8]]| {
            group.bench_function(format!("{name}/{label}"), |bencher| {
                bencher.iter_batched_ref(
                    || EventStream::new(options.clone()),
                    |stream| {
                        let mut sink = Counter::default();
                        for chunk in chunks {
                            stream.feed(black_box(chunk), &mut sink);
                        }
                        stream.finish(&mut sink);
                        black_box(sink.0)
                    },
                    BatchSize::SmallInput,
                );
            });
        };
        run("event_per_chunk", &events.iter().map(String::as_bytes).collect::<Vec<_>>());
        run("16k_chunks", &whole.as_bytes().chunks(16 * 1024).collect::<Vec<_>>());
        run("torn_chunks", &whole.as_bytes().chunks(100).collect::<Vec<_>>());
    }
    let head = chat.first().map(String::as_bytes).unwrap_or_default();
    group.throughput(Throughput::Elements(1));
    group.bench_function("opening", |bencher| {
        bencher.iter(|| Opening::new(Dialect::OpenAi, Endpoint::Chat).feed(black_box(head)));
    });
    group.finish();
}

fn answers(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("answer_100k");
    let answer = |content: &str| {
        format!(
            concat!(
                r#"{{"id":"chatcmpl-123","object":"chat.completion","model":"gpt-4o-mini","#,
                r#""choices":[{{"index":0,"message":{{"role":"assistant","content":"{}"}},"#,
                r#""finish_reason":"stop"}}],"usage":{{"prompt_tokens":9,"#,
                r#""completion_tokens":12,"total_tokens":21}}}}"#
            ),
            content
        )
    };
    let numbers = "-0.0123456,".repeat(9000);
    let embedding = format!(
        concat!(
            r#"{{"object":"list","data":[{{"object":"embedding","index":0,"embedding":[{}0]}}],"#,
            r#""model":"text-embedding-3-small","usage":{{"prompt_tokens":8,"total_tokens":8}}}}"#
        ),
        numbers
    );
    let call = concat!(
        r#"{"id":"call_1","type":"function","#,
        r#""function":{"name":"weather","arguments":"{\"city\":\"Paris\"}"}},"#
    );
    let calls = format!(
        concat!(
            r#"{{"id":"chatcmpl-123","model":"gpt-4o-mini","choices":[{{"index":0,"message":"#,
            r#"{{"content":null,"tool_calls":[{}{{}}]}}}}]}}"#
        ),
        call.repeat(1000)
    );
    for (name, text) in [
        ("plain", answer(&"lorem ipsum dolor ".repeat(5600))),
        ("line_feeds", answer(&r"some words\n".repeat(8400))),
        ("quotes", answer(&r#"\"key\": \"value\",\n "#.repeat(4800))),
        ("unicode_escapes", answer(&r"\u00e9".repeat(16_800))),
        ("embedding", embedding),
        ("tool_calls", calls),
    ] {
        group.throughput(Throughput::Bytes(text.len() as u64));
        group.bench_function(name, |bencher| {
            bencher.iter(|| {
                let mut tap = JsonTap::new(Dialect::OpenAi, None);
                let mut sink = Counter::default();
                for chunk in text.as_bytes().chunks(16 * 1024) {
                    tap.feed(black_box(chunk), &mut sink);
                }
                black_box((sink.0, tap.usage()))
            });
        });
    }
    group.finish();
}

criterion_group!(benches, streams, answers);
criterion_main!(benches);
