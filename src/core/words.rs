//! How many bytes has the model written, where nobody tells its tokens? `tap` asks while an answer
//! passes by and `event` for the parts of a stream. Both count the bytes between the quotes, escapes as
//! written, of the same members, so that the same words cost the same with `stream` and without. Nothing
//! is held back, and the grammar is not checked.

use std::borrow::Cow;

use memchr::memchr;

use crate::json::Text;
use crate::json::block::short_string;
use crate::skip::{Stop, containers_end, string_end};

/// Longest key that is compared: `response` with every letter written as `\u00xx`.
pub(crate) const MAX_KEY_BYTES: usize = 48;

/// What the model's words stand in.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) enum Part {
    /// `choices`, and `output` of Responses.
    #[default]
    Answer,
    /// `content` of Anthropic's messages. What a block holds but these is a tool's result, or signed.
    Blocks,
}

/// Counts in one container after another, each in as many pieces as it comes.
#[derive(Debug, Default)]
pub(crate) struct Words {
    bytes: u64,
    part: Part,
    place: Place,
    /// The member whose value comes next.
    member: Member,
    /// The string that has just ended, if it is a key.
    name: Member,
    key: Key,
    /// Open containers that are walked through.
    depth: u64,
    /// Open containers of a value that is stepped over.
    depth_below: u64,
    escape: bool,
    /// The count before the value that is measured.
    bytes_before: u64,
}

/// What stands at the next byte.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
enum Place {
    #[default]
    Between,
    /// In a string that is a key, or an item of an array.
    InName,
    InText,
    InOther,
    Below,
    BelowInString,
    Behind,
    Broken,
}

/// What a member's value is.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) enum Member {
    /// There is no key: an item of an array, or a key comes.
    #[default]
    None,
    /// A string is counted, and a container may have words in it.
    Text,
    /// A tool's input, which streams as the text of this JSON. It is the same text only if the provider
    /// writes both without white space or both with it.
    Json,
    Other,
}

impl Member {
    pub fn of(key: &[u8], part: Part) -> Self {
        let is_text = match (part, key) {
            (_, b"text" | b"thinking" | b"name") => true,
            (Part::Blocks, b"input") => return Self::Json,
            (Part::Blocks, _) => false,
            // `reasoning_details` repeats what `reasoning` says.
            (Part::Answer, key) => matches!(
                key,
                b"message"
                    | b"delta"
                    | b"content"
                    | b"reasoning"
                    | b"reasoning_content"
                    | b"refusal"
                    | b"tool_calls"
                    | b"function_call"
                    | b"function"
                    | b"custom"
                    | b"arguments"
                    | b"input"
                    | b"audio"
                    | b"transcript"
                    | b"summary"
                    | b"code"
            ),
        };
        if is_text { Self::Text } else { Self::Other }
    }
}

impl Words {
    /// The words in a container that is there as a whole.
    pub fn of(container: &[u8], part: Part) -> u64 {
        let mut words = Self::default();
        words.begin(part);
        words.walk(container.get(1..).unwrap_or_default());
        words.bytes
    }

    /// What was counted so far.
    pub fn bytes(&self) -> u64 {
        self.bytes
    }

    /// Counts a part of a string that stands in no such container.
    pub fn add(&mut self, bytes: usize) {
        self.bytes += bytes as u64;
    }

    /// A container of `part` has been opened.
    pub fn begin(&mut self, part: Part) {
        *self = Self { bytes: self.bytes, part, depth: 1, ..Self::default() };
    }

    /// Reads on; says where the container ends, or that it goes on, or that it is no JSON.
    pub fn walk(&mut self, bytes: &[u8]) -> Stop {
        let mut at = 0;
        while let Some(rest) = bytes.get(at..).filter(|rest| !rest.is_empty()) {
            at += match self.place {
                Place::Between => self.between(rest),
                Place::InName => self.read_name(rest),
                Place::InText | Place::InOther => self.pass_string(rest),
                Place::Below | Place::BelowInString => self.pass_containers(rest),
                Place::Behind | Place::Broken => break,
            };
        }
        match self.place {
            Place::Behind => Stop::Behind(at),
            Place::Broken => Stop::Broken,
            Place::InName | Place::InText | Place::InOther | Place::BelowInString => Stop::InString,
            Place::Between | Place::Below => Stop::InContainer,
        }
    }

    /// Goes to the next long string, or container that is stepped over.
    fn between(&mut self, bytes: &[u8]) -> usize {
        let mut at = 0;
        while let Some(byte) = bytes.get(at) {
            at += 1;
            match byte {
                b'"' => {
                    if let Some(text) = short_string(bytes.get(at..).unwrap_or_default()) {
                        match self.member {
                            Member::None => self.name = Member::of(text, self.part),
                            Member::Text => self.add(text.len()),
                            Member::Json | Member::Other => {}
                        }
                        at += text.len() + 1;
                        continue;
                    }
                    self.place = match self.member {
                        Member::None => Place::InName,
                        Member::Text => Place::InText,
                        Member::Json | Member::Other => Place::InOther,
                    };
                    break;
                }
                b'{' | b'[' if matches!(self.member, Member::None | Member::Text) => {
                    self.depth += 1;
                    self.member = Member::None;
                }
                b'{' | b'[' => {
                    self.place = Place::Below;
                    self.depth_below = 1;
                    self.bytes_before = self.bytes;
                    self.bytes += u64::from(self.member == Member::Json);
                    break;
                }
                b'}' | b']' => {
                    self.depth -= 1;
                    self.member = Member::None;
                    if self.depth == 0 {
                        self.place = Place::Behind;
                        break;
                    }
                }
                b',' => self.member = Member::None,
                b':' => self.member = self.name,
                b'\\' => {
                    self.place = Place::Broken;
                    break;
                }
                _ => {}
            }
        }
        at
    }

    fn read_name(&mut self, bytes: &[u8]) -> usize {
        let end = string_end(bytes, &mut self.escape);
        let read = end.unwrap_or(bytes.len());
        let part = bytes.get(..read - usize::from(end.is_some())).unwrap_or_default();
        if end.is_none() {
            self.key.extend(part);
            return read;
        }
        self.name = if self.key.is_empty() && memchr(b'\\', part).is_none() {
            Member::of(part, self.part)
        } else {
            self.key.extend(part);
            Member::of(&std::mem::take(&mut self.key).text(), self.part)
        };
        self.place = Place::Between;
        read
    }

    fn pass_string(&mut self, bytes: &[u8]) -> usize {
        let end = string_end(bytes, &mut self.escape);
        let read = end.unwrap_or(bytes.len());
        if self.place == Place::InText {
            self.add(read - usize::from(end.is_some()));
        }
        if end.is_some() {
            self.place = Place::Between;
        }
        read
    }

    fn pass_containers(&mut self, bytes: &[u8]) -> usize {
        let start = match self.place {
            Place::BelowInString => string_end(bytes, &mut self.escape),
            _ => Some(0),
        };
        let mut read = bytes.len();
        if let Some(start) = start {
            let rest = bytes.get(start..).unwrap_or_default();
            self.place = match containers_end(rest, &mut self.depth_below, &mut self.escape) {
                Stop::Behind(end) => {
                    read = start + end;
                    Place::Between
                }
                Stop::InContainer => Place::Below,
                Stop::InString => Place::BelowInString,
                Stop::Broken => Place::Broken,
            };
        }
        if self.member == Member::Json {
            self.add(read);
            // Without arguments nothing is streamed; what is no JSON has no measure.
            let is_empty = self.place == Place::Between && self.bytes == self.bytes_before + 2;
            if is_empty || self.place == Place::Broken {
                self.bytes = self.bytes_before;
            }
        }
        read
    }
}

/// How many bytes a string means that is the text of JSON; a `\u` counts as written, but for its
/// backslash.
pub(crate) fn unescaped_bytes(text: &Text<'_>) -> u64 {
    let mut rest = text.raw;
    let mut bytes = rest.len() as u64;
    while let Some(at) = memchr(b'\\', rest) {
        bytes -= 1;
        rest = rest.get(at + 2..).unwrap_or_default();
    }
    bytes
}

/// A key as it stands in the text, as far as it can be one of interest.
#[derive(Debug)]
pub(crate) struct Key {
    bytes: [u8; MAX_KEY_BYTES],
    length: usize,
}

impl Default for Key {
    fn default() -> Self {
        Self { bytes: [0; MAX_KEY_BYTES], length: 0 }
    }
}

impl Key {
    pub fn extend(&mut self, bytes: &[u8]) {
        if let Some(room) = self.bytes.get_mut(self.length..self.length + bytes.len()) {
            room.copy_from_slice(bytes);
        }
        // A key that is too long keeps its length and so is nothing of interest.
        self.length = self.length.saturating_add(bytes.len());
    }

    pub fn is_empty(&self) -> bool {
        self.length == 0
    }

    /// What it means; nothing if it was too long.
    pub fn text(&self) -> Cow<'_, [u8]> {
        let raw = self.bytes.get(..self.length).unwrap_or_default();
        let key = Text { raw, escaped: memchr(b'\\', raw).is_some() };
        match if key.escaped { key.decode() } else { None } {
            Some(text) => Cow::Owned(text.into_owned().into_bytes()),
            None => Cow::Borrowed(raw),
        }
    }
}

#[cfg(test)]
mod tests;
