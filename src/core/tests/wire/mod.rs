//! What does a client receive, and what would it understand? A sink that checks the promises of
//! `Sink`, and a reader of event streams written straight from the standard.

use std::ops::Range;

use llm_core::stream::Sink;

/// Receives what a filter sends.
#[derive(Default)]
pub struct Client {
    pub received: Vec<u8>,
    chunk: Vec<u8>,
    passed: usize,
    joined: bool,
}

impl Client {
    /// The chunk of which ranges will be passed.
    pub fn next_chunk(&mut self, chunk: &[u8]) {
        self.chunk = chunk.to_vec();
        self.passed = 0;
        self.joined = false;
    }
}

impl Sink for Client {
    fn pass(&mut self, range: Range<usize>) {
        assert!(!range.is_empty(), "an empty range is passed");
        assert!(range.start >= self.passed, "a range is passed twice");
        assert!(!(self.joined && range.start == self.passed), "neighbours come apart");
        self.received.extend_from_slice(&self.chunk[range.clone()]);
        self.passed = range.end;
        self.joined = true;
    }

    fn own(&mut self, bytes: &[u8]) {
        assert!(!bytes.is_empty(), "no bytes are sent");
        self.received.extend_from_slice(bytes);
        self.joined = false;
    }
}

/// The pieces of `bytes` between the positions `cuts`, which may repeat.
pub fn cut(bytes: &[u8], cuts: impl IntoIterator<Item = usize>) -> Vec<&[u8]> {
    let mut pieces = Vec::new();
    let mut start = 0;
    for cut in cuts {
        pieces.push(&bytes[start..cut]);
        start = cut;
    }
    pieces.push(&bytes[start..]);
    pieces
}

/// The events a client dispatches: type and data.
pub fn events(stream: &[u8]) -> Vec<(String, String)> {
    let stream = stream.strip_prefix(b"\xef\xbb\xbf").unwrap_or(stream);
    let mut events = Vec::new();
    let (mut name, mut data) = (Vec::<u8>::new(), None::<Vec<u8>>);
    let mut rest = stream;
    while let Some(end) = rest.iter().position(|byte| matches!(byte, b'\n' | b'\r')) {
        let line = &rest[..end];
        let pair = rest[end..].starts_with(b"\r\n");
        rest = &rest[end + 1 + usize::from(pair)..];
        if line.is_empty() {
            let name = std::mem::take(&mut name).escape_ascii().to_string();
            events.extend(data.take().map(|data| (name, data.escape_ascii().to_string())));
            continue;
        }
        let colon = line.iter().position(|byte| *byte == b':').unwrap_or(line.len());
        let value = line.get(colon + 1..).unwrap_or_default();
        let value = value.strip_prefix(b" ").unwrap_or(value);
        match &line[..colon] {
            b"event" => name = value.to_vec(),
            b"data" => match &mut data {
                Some(data) => {
                    data.push(b'\n');
                    data.extend_from_slice(value);
                }
                None => data = Some(value.to_vec()),
            },
            _ => {}
        }
    }
    events
}
