//! What of a provider's event stream goes to the client, and what did the stream say? The response
//! filter asks for each chunk of the body, and before that for the decision whether an answer is
//! accepted. Only whole events leave, so that anything may be inserted between them; bytes that do
//! not change are never copied, but for the head of an event that a chunk's end cut in two.

use std::ops::Range;

use crate::dialect::{Dialect, Endpoint};
pub use crate::event::ErrorEvent;
use crate::event::{Event, Said};
pub use crate::sink::Sink;
use crate::sink::{Carried, Output, Shifted};
use crate::sse::{Fields, Framer};
use crate::tap::JsonTap;
use crate::usage::Usage;

/// The carry buffer shrinks to this after a larger event.
const CARRY_BYTES: usize = 16 * 1024;
/// A byte order mark. It may only be the very first of a stream, and we may have sent something
/// before, so it is not sent on.
const MARK: &[u8] = b"\xef\xbb\xbf";

/// How a stream is read and what is changed in it.
#[derive(Debug, Clone)]
pub struct Options {
    /// The dialect of the provider.
    pub dialect: Dialect,
    /// The endpoint that answers. On [`Endpoint::Other`] events that are not JSON are passed on.
    pub endpoint: Endpoint,
    /// Drop the event that exists only to tell the usage: the client had not asked for it.
    pub strip_usage: bool,
    /// The name that replaces every `model`.
    pub model: Option<String>,
    /// Longer events are passed on without being held.
    pub max_event_bytes: usize,
}

impl Options {
    /// Reads a stream of `dialect` and `endpoint` and changes nothing.
    #[must_use]
    pub fn new(dialect: Dialect, endpoint: Endpoint) -> Self {
        Self { dialect, endpoint, strip_usage: false, model: None, max_event_bytes: 1024 * 1024 }
    }
}

/// What a stream has said so far.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct StreamState {
    /// Events with data that were understood.
    pub events: u64,
    /// Something of the answer itself has come: text, reasoning, a tool call, sound.
    pub content: bool,
    /// Bytes of text in it, as they stood in the events: what an estimate of its tokens goes by.
    pub content_bytes: u64,
    /// The model said why it ended.
    pub finished: bool,
    /// The dialect's last word has come.
    pub marker: bool,
    /// The first error that the provider reported in the stream.
    pub error: Option<ErrorEvent>,
    /// Tokens, merged over all events.
    pub usage: Usage,
    /// Events that were not JSON.
    pub malformed: u64,
    /// Events longer than the limit.
    pub oversized: u64,
    opening: Opened,
}

/// How the provider's HTTP body ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BodyEnd {
    /// With its last chunk or all of its announced length.
    Clean,
    /// The connection was lost or closed before.
    Cut,
}

impl StreamState {
    /// Whether the answer came to its end. An error may have been that end.
    #[must_use]
    pub fn is_complete(&self, end: BodyEnd) -> bool {
        self.marker || (self.finished && end == BodyEnd::Clean)
    }

    /// What decided first whether this answer can be accepted.
    #[must_use]
    pub fn verdict(&self) -> Verdict {
        match (self.opening, &self.error) {
            (Opened::Error, Some(error)) => Verdict::Error(error.clone()),
            (Opened::Content, _) => Verdict::Content,
            (Opened::Ended, _) => Verdict::Ended,
            _ => Verdict::More,
        }
    }

    fn take(&mut self, said: Said, usage: Option<Usage>, error: Option<ErrorEvent>) {
        self.events += 1;
        self.content |= said.content;
        self.content_bytes = self.content_bytes.saturating_add(said.content_bytes);
        self.finished |= said.finished;
        self.marker |= said.marker;
        if let Some(usage) = usage {
            self.usage.merge(&usage);
        }
        if let Some(error) = error {
            self.fail(error);
        }
        if self.opening == Opened::Not {
            self.opening = match said {
                Said { content: true, .. } => Opened::Content,
                Said { finished: true, .. } | Said { marker: true, .. } => Opened::Ended,
                _ => Opened::Not,
            };
        }
    }

    fn fail(&mut self, error: ErrorEvent) {
        if self.opening == Opened::Not {
            self.opening = Opened::Error;
        }
        self.error.get_or_insert(error);
    }
}

/// Which event decided first.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
enum Opened {
    #[default]
    Not,
    Content,
    Error,
    Ended,
}

/// Whether the head of an answer can be let go.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Verdict {
    /// Nothing decides yet.
    More,
    /// The answer has begun.
    Content,
    /// The provider reported an error before any content.
    Error(ErrorEvent),
    /// The stream ended without content.
    Ended,
}

/// Reads the beginning of a stream that is held back, without sending any of it.
#[derive(Debug)]
pub struct Opening(EventStream);

impl Opening {
    /// Before the first byte.
    #[must_use]
    pub fn new(dialect: Dialect, endpoint: Endpoint) -> Self {
        Self(EventStream::new(Options::new(dialect, endpoint)))
    }

    /// Reads on; `bytes` follow those of the last call.
    pub fn feed(&mut self, bytes: &[u8]) -> Verdict {
        self.0.feed(bytes, &mut ());
        self.0.state().verdict()
    }

    /// The body is at its end.
    pub fn finish(&mut self) -> Verdict {
        self.0.finish(&mut ());
        self.0.state().verdict()
    }

    /// What was read so far.
    #[must_use]
    pub fn state(&self) -> &StreamState {
        self.0.state()
    }
}

/// One stream on its way from a provider to a client.
#[derive(Debug)]
pub struct EventStream {
    /// The part of a byte order mark that is still expected.
    mark: &'static [u8],
    framer: Framer,
    /// The head of an event whose end has not come.
    carry: Vec<u8>,
    /// Reads an event that was too long to be carried.
    wide: Option<JsonTap>,
    /// The last unit was not sent on.
    dropped: bool,
    reader: Reader,
}

impl EventStream {
    /// Before the first byte.
    #[must_use]
    pub fn new(options: Options) -> Self {
        let model = options.model.as_deref().map(quoted);
        Self {
            mark: MARK,
            framer: Framer::default(),
            carry: Vec::new(),
            wide: None,
            dropped: false,
            reader: Reader { options, model, state: StreamState::default() },
        }
    }

    /// Reads a chunk and sends on all events that are whole with it.
    pub fn feed(&mut self, chunk: &[u8], sink: &mut impl Sink) {
        let mut out = Output::new(sink);
        let mut at = self.skip_mark(chunk);
        if self.framer.between_units() {
            let start = at;
            at += self.framer.take_line_feed(chunk);
            if !self.dropped {
                out.pass(start..at);
            }
        }
        while let Some(rest) = chunk.get(at..).filter(|rest| !rest.is_empty()) {
            let Some(length) = self.framer.advance(rest) else {
                self.hold(chunk, at, &mut out);
                break;
            };
            self.unit(chunk, at..at + length, &mut out);
            at += length;
        }
        out.flush();
    }

    /// The body is at its end. A last event that only lacks its blank line is sent with one; any
    /// other rest is dropped.
    pub fn finish(&mut self, sink: &mut impl Sink) {
        let mut out = Output::new(sink);
        if let Some(wide) = self.wide.take_if(|wide| wide.is_whole()) {
            out.own(b"\n\n");
            self.reader.conclude(wide);
        }
        if matches!(self.carry.trim_ascii_end().last(), Some(b'}' | b']')) {
            let blank: &[u8] = if self.carry.ends_with(b"\n") { b"\n" } else { b"\n\n" };
            self.carry.extend_from_slice(blank);
            let fate = self.reader.read(&self.carry);
            if fate != Fate::Malformed {
                self.reader.send(&fate, &Unit::carried(&self.carry), &mut out);
            }
        }
        self.carry.clear();
        self.framer = Framer::default();
    }

    /// What the stream has said so far.
    #[must_use]
    pub fn state(&self) -> &StreamState {
        &self.reader.state
    }

    /// Whether what was sent on ends between two events, so that another may be inserted.
    #[must_use]
    pub fn between_events(&self) -> bool {
        self.wide.is_none()
    }

    /// The bytes held back now.
    #[must_use]
    pub fn held_bytes(&self) -> usize {
        self.carry.len()
    }

    /// Steps over a byte order mark at the start of the stream, wherever it is cut.
    fn skip_mark(&mut self, chunk: &[u8]) -> usize {
        let mut at = 0;
        while let (Some((expected, rest)), Some(byte)) = (self.mark.split_first(), chunk.get(at)) {
            if byte != expected {
                let begun = MARK.get(..MARK.len() - self.mark.len()).unwrap_or_default();
                self.framer.advance(begun);
                self.carry.extend_from_slice(begun);
                self.mark = &[];
                break;
            }
            self.mark = rest;
            at += 1;
        }
        at
    }

    /// The unit that began in the carry or at the start of `range` ends with `range`.
    fn unit<S: Sink>(&mut self, chunk: &[u8], range: Range<usize>, out: &mut Output<'_, S>) {
        let bytes = chunk.get(range.clone()).unwrap_or_default();
        // The second byte of the last line end may come with the next chunk: it never counts.
        let length = self.carry.len() + bytes.len() - usize::from(bytes.ends_with(b"\r\n"));
        self.dropped = false;
        if self.wide.is_some() || length > self.reader.options.max_event_bytes {
            self.widen(chunk, range, out);
            if let Some(wide) = self.wide.take() {
                self.reader.conclude(wide);
            }
            return;
        }
        if self.carry.is_empty() {
            let fate = self.reader.judge(bytes);
            self.dropped = fate == Fate::Dropped;
            self.reader.send(&fate, &Unit { bytes, head: 0, start: range.start }, out);
            return;
        }
        let head = self.carry.len();
        self.carry.extend_from_slice(bytes);
        let fate = self.reader.judge(&self.carry);
        self.dropped = fate == Fate::Dropped;
        self.reader.send(&fate, &Unit { bytes: &self.carry, head, start: range.start }, out);
        self.carry.clear();
        self.carry.shrink_to(CARRY_BYTES);
    }

    /// The unit does not end in `chunk`; its part there begins at `start`.
    fn hold<S: Sink>(&mut self, chunk: &[u8], start: usize, out: &mut Output<'_, S>) {
        let bytes = chunk.get(start..).unwrap_or_default();
        let limit = self.reader.options.max_event_bytes;
        let length = self.carry.len() + bytes.len();
        if self.wide.is_some() || length > limit {
            self.widen(chunk, start..chunk.len(), out);
            return;
        }
        if length > self.carry.capacity() {
            // Doubling, but never beyond the limit.
            let capacity = length.saturating_mul(2).min(limit);
            self.carry.reserve_exact(capacity - self.carry.len());
        }
        self.carry.extend_from_slice(bytes);
    }

    /// Passes on a part of an event that is too long, reading what can be read in passing.
    fn widen<S: Sink>(&mut self, chunk: &[u8], range: Range<usize>, out: &mut Output<'_, S>) {
        let Reader { options, state, .. } = &mut self.reader;
        let wide = self.wide.get_or_insert_with(|| {
            state.oversized += 1;
            JsonTap::of_event(options.dialect, options.model.as_deref())
        });
        wide.feed(&self.carry, &mut Carried { bytes: &self.carry, out });
        self.carry = Vec::new();
        let bytes = chunk.get(range.clone()).unwrap_or_default();
        wide.feed(bytes, &mut Shifted { by: range.start, out });
    }
}

/// What is done with a unit.
#[derive(Debug, PartialEq, Eq)]
enum Fate {
    Passed,
    Dropped,
    /// Passed with the model's name at this place replaced.
    Renamed(Range<usize>),
    Malformed,
}

/// A unit and where it lies: the first `head` bytes are carried over, the others begin at `start`
/// of the chunk.
struct Unit<'a> {
    bytes: &'a [u8],
    head: usize,
    start: usize,
}

impl<'a> Unit<'a> {
    fn carried(bytes: &'a [u8]) -> Self {
        Self { bytes, head: bytes.len(), start: 0 }
    }

    fn send<S: Sink>(&self, span: Range<usize>, out: &mut Output<'_, S>) {
        out.own(self.bytes.get(span.start..span.end.min(self.head)).unwrap_or_default());
        let from = span.start.max(self.head);
        if from < span.end {
            out.pass(self.start + from - self.head..self.start + span.end - self.head);
        }
    }
}

/// Reads whole units.
#[derive(Debug)]
struct Reader {
    options: Options,
    /// The replacing name as JSON.
    model: Option<Vec<u8>>,
    state: StreamState,
}

impl Reader {
    /// Reads a unit that ended as it should.
    fn judge(&mut self, unit: &[u8]) -> Fate {
        let fate = self.read(unit);
        if fate != Fate::Malformed {
            return fate;
        }
        self.state.malformed += 1;
        if self.options.endpoint == Endpoint::Other { Fate::Passed } else { Fate::Dropped }
    }

    fn read(&mut self, unit: &[u8]) -> Fate {
        let fields = Fields::parse(unit);
        let Some(data) = fields.data(unit) else { return Fate::Passed };
        if data.trim_ascii() == b"[DONE]" {
            self.state.take(Said { marker: true, ..Said::default() }, None, None);
            return Fate::Passed;
        }
        let name =
            fields.event.as_ref().and_then(|name| unit.get(name.clone())).unwrap_or_default();
        let event = match Event::read(&data, name) {
            Ok(event) if simdutf8::basic::from_utf8(unit).is_ok() => event,
            _ => {
                if name == b"error" {
                    self.state.fail(ErrorEvent::of_text(&data));
                }
                return Fate::Malformed;
            }
        };
        let usage = event.usage(&data, self.options.dialect);
        self.state.take(event.said, usage, event.error(&data));
        if event.usage_only && self.options.strip_usage {
            return Fate::Dropped;
        }
        match (&self.model, event.model) {
            (Some(name), Some(span)) if data.get(span.clone()) != Some(name) => {
                fields.place(unit, &span).map_or(Fate::Passed, Fate::Renamed)
            }
            _ => Fate::Passed,
        }
    }

    /// An event that was too long to be read at once has ended.
    fn conclude(&mut self, wide: JsonTap) {
        let (said, usage, error) = wide.conclude();
        self.state.take(said, usage, error);
    }

    fn send<S: Sink>(&self, fate: &Fate, unit: &Unit<'_>, out: &mut Output<'_, S>) {
        match fate {
            Fate::Passed => unit.send(0..unit.bytes.len(), out),
            Fate::Renamed(place) => {
                unit.send(0..place.start, out);
                out.own(self.model.as_deref().unwrap_or_default());
                unit.send(place.end..unit.bytes.len(), out);
            }
            Fate::Dropped | Fate::Malformed => {}
        }
    }
}

/// A name as a JSON string.
pub(crate) fn quoted(name: &str) -> Vec<u8> {
    serde_json::Value::from(name).to_string().into_bytes()
}
