//! A stream reads the same however it is cut, never holds more than it may, and what the filter says
//! about the gaps between events is true.

#![no_main]

use std::ops::Range;

use libfuzzer_sys::fuzz_target;
use llm_core::dialect::{Dialect, Endpoint};
use llm_core::stream::{EventStream, Options, Sink, StreamState};

/// Receives what a filter sends of the chunk.
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

fn run(options: &Options, stream: &[u8], size: usize) -> (Vec<u8>, StreamState) {
    let mut filter = EventStream::new(options.clone());
    let mut client = Client { received: Vec::new(), chunk: &[] };
    for chunk in stream.chunks(size) {
        client.chunk = chunk;
        filter.feed(chunk, &mut client);
        assert!(filter.held_bytes() <= options.max_event_bytes);
    }
    client.chunk = &[];
    filter.finish(&mut client);
    (client.received, filter.state().clone())
}

fuzz_target!(|input: (u8, &[u8])| {
    let (how, stream) = input;
    let endpoint = match how & 3 {
        0 => Endpoint::Chat,
        1 => Endpoint::Responses,
        2 => Endpoint::Messages,
        _ => Endpoint::Other,
    };
    let options = Options {
        dialect: endpoint.dialect().unwrap_or(Dialect::OpenAi),
        endpoint,
        strip_usage: how & 4 != 0,
        model: (how & 8 != 0).then(|| "an \"other\" model".to_owned()),
        max_event_bytes: if how & 16 != 0 { 64 } else { 1024 * 1024 },
    };
    let whole = run(&options, stream, stream.len().max(1));
    for size in [1, 2, 3, 7, 61] {
        assert!(run(&options, stream, size) == whole, "cut by {size}");
    }
    let (received, state) = whole;
    let unchanged = !options.strip_usage && options.model.is_none() && state.malformed == 0;
    let mark = stream.starts_with(b"\xef\xbb\xbf");
    if unchanged && !mark && stream.ends_with(b"\n\n") {
        assert_eq!(received, stream);
    }
});
