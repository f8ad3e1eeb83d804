//! No usage object makes the sums wrong, and an answer passes by unchanged and reads the same however
//! it is cut.

#![no_main]

use std::ops::Range;

use libfuzzer_sys::fuzz_target;
use llm_core::dialect::Dialect;
use llm_core::stream::Sink;
use llm_core::tap::JsonTap;
use llm_core::usage::Usage;

/// Receives what a tap lets through of the chunk.
struct Client<'a> {
    received: Vec<u8>,
    chunk: &'a [u8],
}

impl Sink for Client<'_> {
    fn pass(&mut self, range: Range<usize>) {
        self.received.extend_from_slice(&self.chunk[range]);
    }

    fn own(&mut self, bytes: &[u8]) {
        self.received.extend_from_slice(bytes);
    }
}

fn run(dialect: Dialect, answer: &[u8], size: usize) -> (Vec<u8>, JsonTap) {
    let mut tap = JsonTap::new(dialect, None);
    let mut client = Client { received: Vec::new(), chunk: &[] };
    for chunk in answer.chunks(size) {
        client.chunk = chunk;
        tap.feed(chunk, &mut client);
    }
    (client.received, tap)
}

fn check(usage: &Usage) {
    let buckets = usage.buckets();
    let input = [
        buckets.uncached_input,
        buckets.cache_read,
        buckets.cache_write_5m,
        buckets.cache_write_1h,
    ];
    if let Some(prompt) = usage.prompt_tokens() {
        assert_eq!(input.into_iter().fold(0, u64::saturating_add), prompt);
    }
    if let Some(completion) = usage.completion_tokens() {
        assert_eq!(buckets.output, completion);
    }
}

fuzz_target!(|input: (bool, &[u8])| {
    let (anthropic, text) = input;
    let dialect = if anthropic { Dialect::Anthropic } else { Dialect::OpenAi };
    if let Some(usage) = Usage::parse(text, dialect) {
        check(&usage);
        let mut twice = usage;
        twice.merge(&usage);
        assert_eq!(twice, usage);
    }
    let (received, whole) = run(dialect, text, text.len().max(1));
    assert_eq!(received, text);
    if let Some(usage) = whole.usage() {
        check(&usage);
    }
    for size in [1, 2, 3, 7, 61] {
        let (received, tap) = run(dialect, text, size);
        assert_eq!(received, text);
        assert_eq!(tap.usage(), whole.usage());
        assert_eq!(tap.error(), whole.error());
        assert_eq!(tap.is_whole(), whole.is_whole());
    }
});
