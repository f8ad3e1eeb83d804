//! What does a JSON answer say about tokens, model and error while it passes by in chunks? The
//! response filter asks for answers that are no stream, and `stream` for events too long to be held.
//! Nothing is held back and nothing but the model's name is changed; the state is a few counters and
//! one bounded capture. What is not JSON passes unchanged.

use memchr::{memchr, memchr2};

use crate::dialect::Dialect;
use crate::event::{ErrorEvent, Said};
use crate::json::Scanner;
use crate::json::block::short_string;
use crate::skip::{Stop, containers_end, string_end};
use crate::stream::{Sink, quoted};
use crate::usage::Usage;
use crate::words::{Key, Part, Words};

/// Largest `usage` or `error` value that is read.
const MAX_CAPTURE_BYTES: usize = 64 * 1024;

/// One JSON text on its way from a provider to a client.
#[derive(Debug)]
pub struct JsonTap {
    dialect: Dialect,
    /// The replacing name as JSON.
    model: Option<Vec<u8>>,
    shape: Shape,
    place: Place,
    /// The watched object is the value of a member of the root.
    inner: bool,
    /// Open containers below the watched object.
    depth: u64,
    /// The last byte was a backslash that escapes the next one.
    escape: bool,
    key: Key,
    member: Member,
    capture: Option<Vec<u8>>,
    usage: Option<Usage>,
    error: Option<ErrorEvent>,
    kind: String,
    words: Words,
}

/// Where the object to watch is found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Shape {
    /// The text is the object.
    Answer,
    /// The first object in the text, and the answer inside it.
    Event,
}

/// What stands at the next byte.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Place {
    BeforeRoot,
    BeforeKey,
    InKey,
    BeforeColon,
    BeforeValue,
    InString,
    /// The model's name, which is not sent on.
    InModel,
    /// In a container below the watched object.
    Below,
    BelowInString,
    /// In a container with the model's words.
    InWords,
    /// In a number or word, or behind any value.
    AfterValue,
    Done,
    Broken,
}

/// The members of interest.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Member {
    Usage,
    Model,
    Error,
    Kind,
    Answer,
    /// A container with the model's words.
    Words(Part),
    /// All of the model's words in one string.
    Text,
    Other,
}

impl JsonTap {
    /// A tap for an answer; `model` replaces the name of the model in it.
    #[must_use]
    pub fn new(dialect: Dialect, model: Option<&str>) -> Self {
        Self {
            dialect,
            model: model.map(quoted),
            shape: Shape::Answer,
            place: Place::BeforeRoot,
            inner: false,
            depth: 0,
            escape: false,
            key: Key::default(),
            member: Member::Other,
            capture: None,
            usage: None,
            error: None,
            kind: String::new(),
            words: Words::default(),
        }
    }

    /// A tap for one event of a stream.
    pub(crate) fn of_event(dialect: Dialect, model: Option<&str>) -> Self {
        Self { shape: Shape::Event, ..Self::new(dialect, model) }
    }

    /// Reads a chunk and sends it on.
    pub fn feed(&mut self, chunk: &[u8], sink: &mut impl Sink) {
        let mut sent = 0;
        let mut at = 0;
        while at < chunk.len() {
            let rest = chunk.get(at..).unwrap_or_default();
            let before = self.place;
            let capturing = self.capture.is_some();
            let read = self.step(rest);
            if let Some(capture) = self.capture.as_mut().filter(|_| capturing) {
                // One byte more than allowed shows that the value did not fit.
                let room = (MAX_CAPTURE_BYTES + 1).saturating_sub(capture.len());
                capture.extend_from_slice(rest.get(..read.min(room)).unwrap_or_default());
            }
            at += read;
            if before == Place::InModel {
                sent = at;
            } else if self.place == Place::InModel {
                // The step ended with the opening quote.
                if sent < at - 1 {
                    sink.pass(sent..at - 1);
                }
                sink.own(self.model.as_deref().unwrap_or_default());
                sent = at;
            }
            if self.place == Place::AfterValue {
                self.release();
            }
        }
        if sent < chunk.len() {
            sink.pass(sent..chunk.len());
        }
    }

    /// What was used, if it was told.
    #[must_use]
    pub fn usage(&self) -> Option<Usage> {
        self.usage
    }

    /// Whether the answer holds an error.
    #[must_use]
    pub fn has_error(&self) -> bool {
        self.error.is_some()
    }

    /// The error in the answer.
    #[must_use]
    pub fn error(&self) -> Option<&ErrorEvent> {
        self.error.as_ref()
    }

    /// Bytes of text that the model has written: what an estimate of its tokens goes by.
    #[must_use]
    pub fn content_bytes(&self) -> u64 {
        self.words.bytes()
    }

    /// Whether the object has come to its end.
    #[must_use]
    pub fn is_whole(&self) -> bool {
        self.place == Place::Done
    }

    /// What an event said that passed by.
    pub(crate) fn conclude(mut self) -> (Said, Option<Usage>, Option<ErrorEvent>) {
        if matches!(self.kind.as_str(), "error" | "response.failed") {
            self.error.get_or_insert_default();
        }
        let said = Said::by_kind(self.kind.as_bytes(), self.error.is_none());
        let said = Said { content_bytes: self.words.bytes(), ..said };
        (said, self.usage, self.error)
    }

    /// Reads some of `bytes`, which are not empty, or goes to another place; returns how many.
    fn step(&mut self, bytes: &[u8]) -> usize {
        if matches!(self.place, Place::BeforeKey | Place::AfterValue) {
            let read = self.plain_members(bytes);
            if read > 0 {
                return read;
            }
        }
        match self.place {
            Place::BeforeRoot => self.find_root(bytes),
            Place::BeforeKey => self.skip_to(bytes, |tap, byte| match byte {
                b'"' => Some(Place::InKey),
                b'}' => Some(tap.leave()),
                b',' => None,
                _ => Some(Place::Broken),
            }),
            Place::InKey => self.read_key(bytes),
            Place::BeforeColon => self.skip_to(bytes, |_, byte| {
                Some(if byte == b':' { Place::BeforeValue } else { Place::Broken })
            }),
            Place::BeforeValue => self.skip_to(bytes, Self::enter_value),
            Place::InString => self.pass_value(bytes),
            Place::InModel => self.skip_model(bytes),
            Place::BelowInString => self.pass_string(bytes, Place::Below),
            Place::Below => self.pass_containers(bytes),
            Place::InWords => self.pass_words(bytes),
            Place::AfterValue => self.skip_to(bytes, |tap, byte| match byte {
                b',' => Some(Place::BeforeKey),
                b'}' => Some(tap.leave()),
                b'"' | b'{' | b'[' | b']' | b':' => Some(Place::Broken),
                _ => None,
            }),
            Place::Done | Place::Broken => bytes.len(),
        }
    }

    /// Steps over members as nearly all are: without white space, and none that is changed or kept.
    /// What is anything else is left to the steps for each part.
    fn plain_members(&mut self, bytes: &[u8]) -> usize {
        let mut at = 0;
        while let Some(read) = self.plain_member(bytes.get(at..).unwrap_or_default()) {
            at += read;
        }
        at
    }

    #[inline(always)]
    fn plain_member(&mut self, bytes: &[u8]) -> Option<usize> {
        let key = match (self.place, bytes) {
            (Place::AfterValue, [b',', b'"', key @ ..]) | (Place::BeforeKey, [b'"', key @ ..]) => {
                key
            }
            _ => return None,
        };
        let name = short_string(key)?;
        let Some([b':', value @ ..]) = key.get(name.len() + 1..) else { return None };
        let member = member(name, self.shape, self.inner);
        let read = match value {
            [b'"', text @ ..] => {
                let changed = member == Member::Model && self.model.is_some();
                if changed || matches!(member, Member::Error | Member::Kind) {
                    return None;
                }
                self.place = Place::InString;
                self.member = member;
                1 + self.pass_value(text)
            }
            [b'{' | b'[', parts @ ..] => match member {
                Member::Error | Member::Answer => return None,
                Member::Usage => {
                    let Stop::Behind(end) = containers_end(parts, &mut 1, &mut false) else {
                        return None;
                    };
                    let usage = value.get(..=end).filter(|usage| usage.len() <= MAX_CAPTURE_BYTES);
                    let usage = usage.and_then(|usage| Usage::parse(usage, self.dialect));
                    self.usage = usage.or(self.usage);
                    self.place = Place::AfterValue;
                    1 + end
                }
                Member::Words(part) => {
                    self.words.begin(part);
                    self.place = Place::InWords;
                    1 + self.pass_words(parts)
                }
                Member::Model | Member::Kind | Member::Text | Member::Other => {
                    self.depth = 1;
                    1 + self.pass_containers(parts)
                }
            },
            [b'-' | b'0'..=b'9' | b't' | b'f' | b'n', ..] if member != Member::Error => {
                let is_token =
                    |byte: &u8| matches!(byte, b',' | b'}' | b'"' | b'{' | b'[' | b']' | b':');
                let end = value.iter().position(is_token)?;
                value.get(end).filter(|byte| matches!(byte, b',' | b'}'))?;
                self.place = Place::AfterValue;
                end
            }
            _ => return None,
        };
        self.member = member;
        Some(bytes.len() - value.len() + read)
    }

    /// Steps over white space and what `next` does not answer; goes to the place it names.
    fn skip_to(&mut self, bytes: &[u8], next: impl Fn(&mut Self, u8) -> Option<Place>) -> usize {
        for (at, byte) in bytes.iter().enumerate() {
            if byte.is_ascii_whitespace() {
                continue;
            }
            if let Some(place) = next(self, *byte) {
                self.place = place;
                return at + 1;
            }
        }
        bytes.len()
    }

    fn find_root(&mut self, bytes: &[u8]) -> usize {
        if self.shape == Shape::Answer {
            return self.skip_to(bytes, |_, byte| match byte {
                b'{' => Some(Place::BeforeKey),
                // A byte order mark.
                0xef | 0xbb | 0xbf => None,
                _ => Some(Place::Broken),
            });
        }
        let Some(at) = memchr(b'{', bytes) else { return bytes.len() };
        self.place = Place::BeforeKey;
        at + 1
    }

    fn read_key(&mut self, bytes: &[u8]) -> usize {
        let end = string_end(bytes, &mut self.escape);
        let read = end.unwrap_or(bytes.len());
        self.key.extend(bytes.get(..read - usize::from(end.is_some())).unwrap_or_default());
        if end.is_some() {
            self.member = member(&std::mem::take(&mut self.key).text(), self.shape, self.inner);
            self.place = Place::BeforeColon;
        }
        read
    }

    fn enter_value(&mut self, first: u8) -> Option<Place> {
        let captured = match first {
            b'"' => matches!(self.member, Member::Error | Member::Kind),
            b'{' => matches!(self.member, Member::Error | Member::Usage),
            _ => false,
        };
        if captured {
            // Enough for most usages.
            let mut capture = Vec::with_capacity(512);
            capture.push(first);
            self.capture = Some(capture);
        }
        Some(match first {
            b'"' if self.member == Member::Model && self.model.is_some() => Place::InModel,
            b'"' => Place::InString,
            b'{' if self.member == Member::Answer => {
                self.inner = true;
                Place::BeforeKey
            }
            b'{' | b'[' => match self.member {
                Member::Words(part) => {
                    self.words.begin(part);
                    Place::InWords
                }
                _ => {
                    self.depth = 1;
                    Place::Below
                }
            },
            b'-' | b'0'..=b'9' | b't' | b'f' | b'n' => {
                if self.member == Member::Error && !matches!(first, b'n' | b'f') {
                    self.error.get_or_insert_default();
                }
                Place::AfterValue
            }
            _ => Place::Broken,
        })
    }

    /// The watched object ends.
    fn leave(&mut self) -> Place {
        if std::mem::take(&mut self.inner) { Place::AfterValue } else { Place::Done }
    }

    fn pass_string(&mut self, bytes: &[u8], next: Place) -> usize {
        let Some(end) = string_end(bytes, &mut self.escape) else { return bytes.len() };
        self.place = next;
        end
    }

    fn pass_value(&mut self, bytes: &[u8]) -> usize {
        let read = self.pass_string(bytes, Place::AfterValue);
        if self.member == Member::Text {
            self.words.add(read - usize::from(self.place == Place::AfterValue));
        }
        read
    }

    fn pass_words(&mut self, bytes: &[u8]) -> usize {
        self.place = match self.words.walk(bytes) {
            Stop::Behind(end) => {
                self.place = Place::AfterValue;
                return end;
            }
            Stop::InContainer | Stop::InString => Place::InWords,
            Stop::Broken => Place::Broken,
        };
        bytes.len()
    }

    /// A name that does not end on its line is no name: the line's end belongs to the stream.
    fn skip_model(&mut self, bytes: &[u8]) -> usize {
        let line = memchr2(b'\n', b'\r', bytes).unwrap_or(bytes.len());
        let read = self.pass_string(bytes.get(..line).unwrap_or_default(), Place::AfterValue);
        if self.place == Place::InModel && line < bytes.len() {
            self.place = Place::Broken;
        }
        read
    }

    fn pass_containers(&mut self, bytes: &[u8]) -> usize {
        self.place = match containers_end(bytes, &mut self.depth, &mut self.escape) {
            Stop::Behind(end) => {
                self.place = Place::AfterValue;
                return end;
            }
            Stop::InContainer => Place::Below,
            Stop::InString => Place::BelowInString,
            Stop::Broken => Place::Broken,
        };
        bytes.len()
    }

    /// A value is over: reads what was captured of it.
    fn release(&mut self) {
        let Some(value) = self.capture.take().filter(|value| value.len() <= MAX_CAPTURE_BYTES)
        else {
            return;
        };
        match self.member {
            Member::Usage => self.usage = Usage::parse(&value, self.dialect).or(self.usage),
            Member::Error => self.error = ErrorEvent::parse(&value).or(self.error.take()),
            Member::Kind => {
                let kind = Scanner::new(&value).string().ok().and_then(|kind| kind.decode());
                self.kind = kind.unwrap_or_default().into_owned();
            }
            Member::Model | Member::Answer | Member::Words(_) | Member::Text | Member::Other => {}
        }
    }
}

fn member(key: &[u8], shape: Shape, inner: bool) -> Member {
    match (key, shape, inner) {
        (b"usage", _, _) => Member::Usage,
        (b"model", _, _) => Member::Model,
        (b"error", _, _) => Member::Error,
        (b"type", Shape::Event, false) => Member::Kind,
        (b"response" | b"message", Shape::Event, false) => Member::Answer,
        // An event's other texts come again, or are short.
        (b"choices", _, false) | (b"output", Shape::Answer, _) => Member::Words(Part::Answer),
        (b"content", Shape::Answer, _) => Member::Words(Part::Blocks),
        // Of a transcription.
        (b"text", Shape::Answer, _) => Member::Text,
        _ => Member::Other,
    }
}

#[cfg(test)]
mod tests;
