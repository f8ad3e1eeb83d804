//! Where does each value of a JSON text begin and end, and is the text JSON at all? One strict pass
//! without allocation; `request`, `usage` and `stream` ask. It checks the grammar of RFC 8259, not
//! UTF-8: callers that pass text on check that once for the whole.

pub(crate) mod block;
mod escapes;

use std::borrow::Cow;
use std::ops::Range;

use block::Block;

/// Containers deeper than this are refused, so that no text makes a parser behind us overflow.
pub const MAX_DEPTH: usize = 512;

/// So many escapes of a string are read one after the other.
const SINGLE_ESCAPES: usize = 2;

/// A cursor over one JSON text.
#[derive(Debug, Clone)]
pub struct Scanner<'a> {
    text: &'a [u8],
    at: usize,
    hits: Hits,
}

/// Why a text is not JSON.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum JsonError {
    /// The grammar is broken at this byte.
    Syntax(usize),
    /// The text ends inside a value.
    Truncated,
    /// Containers are nested deeper than [`MAX_DEPTH`].
    TooDeep,
}

/// The kind of a value.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// `{…}`
    Object,
    /// `[…]`
    Array,
    /// `"…"`
    String,
    /// A number.
    Number,
    /// `true`
    True,
    /// `false`
    False,
    /// `null`
    Null,
}

/// A string as it stands in the text, without its quotes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Text<'a> {
    /// The bytes between the quotes, escapes as written.
    pub raw: &'a [u8],
    /// Whether `raw` contains a backslash.
    pub escaped: bool,
}

impl<'a> Text<'a> {
    /// Whether the string means `word`, however it is escaped.
    #[must_use]
    pub fn is(&self, word: &str) -> bool {
        if self.escaped {
            self.decode().is_some_and(|text| text == word)
        } else {
            self.raw == word.as_bytes()
        }
    }

    /// What the string means; `None` for a lone surrogate or broken UTF-8.
    #[must_use]
    pub fn decode(&self) -> Option<Cow<'a, str>> {
        if !self.escaped {
            return std::str::from_utf8(self.raw).ok().map(Cow::Borrowed);
        }
        let mut quoted = Vec::with_capacity(self.raw.len() + 2);
        quoted.push(b'"');
        quoted.extend_from_slice(self.raw);
        quoted.push(b'"');
        serde_json::from_slice::<String>(&quoted).ok().map(Cow::Owned)
    }
}

/// A value that was stepped over: what it is and where it stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Value {
    /// What it is.
    pub kind: Kind,
    /// Where it stands, quotes and brackets included.
    pub span: Range<usize>,
}

impl<'a> Scanner<'a> {
    /// A cursor at the start of `text`.
    #[must_use]
    pub fn new(text: &'a [u8]) -> Self {
        Self { text, at: 0, hits: Hits::default() }
    }

    /// The byte that is read next.
    #[must_use]
    pub fn position(&self) -> usize {
        self.at
    }

    /// The text between two positions.
    #[must_use]
    pub fn slice(&self, span: &Range<usize>) -> &'a [u8] {
        self.text.get(span.clone()).unwrap_or_default()
    }

    /// The kind of the next value, judged by its first byte.
    pub fn kind(&mut self) -> Result<Kind, JsonError> {
        match self.token()? {
            b'{' => Ok(Kind::Object),
            b'[' => Ok(Kind::Array),
            b'"' => Ok(Kind::String),
            b't' => Ok(Kind::True),
            b'f' => Ok(Kind::False),
            b'n' => Ok(Kind::Null),
            b'-' | b'0'..=b'9' => Ok(Kind::Number),
            _ => Err(JsonError::Syntax(self.at)),
        }
    }

    /// Steps over `{`; then ask [`Self::next_key`] until it says `None`.
    pub fn enter_object(&mut self) -> Result<Members, JsonError> {
        self.expect(b'{')?;
        Ok(Members::default())
    }

    /// The next key of an object, with the cursor before its value.
    #[inline]
    pub fn next_key(&mut self, members: &mut Members) -> Result<Option<Text<'a>>, JsonError> {
        match self.plain_key(members) {
            Some(key) => Ok(Some(key)),
            None => self.any_key(members),
        }
    }

    /// A key as nearly all are: without white space around it and without escapes.
    #[inline(always)]
    fn plain_key(&mut self, members: &mut Members) -> Option<Text<'a>> {
        let (first, at) = (members.first, self.at);
        let start = match self.text.get(at..) {
            Some([b',', b'"', ..]) if !first => at + 1,
            Some([b'"', ..]) if first => at,
            _ => return None,
        };
        let end = self.special(start + 1);
        let Some([b'"', b':', ..]) = self.text.get(end..) else { return None };
        let raw = self.text.get(start + 1..end)?;
        *members = Members { first: false, start, comma: (!first).then_some(at) };
        self.at = end + 2;
        Some(Text { raw, escaped: false })
    }

    #[inline(never)]
    fn any_key(&mut self, members: &mut Members) -> Result<Option<Text<'a>>, JsonError> {
        if !self.next_member(members, b'}')? {
            return Ok(None);
        }
        let key = self.string()?;
        self.expect(b':')?;
        Ok(Some(key))
    }

    /// Steps over `[`; then ask [`Self::next_item`] until it says no.
    pub fn enter_array(&mut self) -> Result<Members, JsonError> {
        self.expect(b'[')?;
        Ok(Members::default())
    }

    /// Whether another item follows, with the cursor before it.
    pub fn next_item(&mut self, members: &mut Members) -> Result<bool, JsonError> {
        self.next_member(members, b']')
    }

    /// Reads a string.
    #[inline]
    pub fn string(&mut self) -> Result<Text<'a>, JsonError> {
        self.expect(b'"')?;
        self.rest_of_string()
    }

    /// Reads a string whose opening quote has been read.
    #[inline(always)]
    fn rest_of_string(&mut self) -> Result<Text<'a>, JsonError> {
        let start = self.at;
        self.at = self.special(start);
        let mut escaped = false;
        // Short texts have one or two escapes, which are stepped over; others are looked at in blocks.
        for _ in 0..SINGLE_ESCAPES {
            let Some([b'\\', letter, ..]) = self.text.get(self.at..) else { break };
            if !escapes::is_letter(*letter) {
                break;
            }
            escaped = true;
            self.at = self.special(self.at + 2);
        }
        if self.text.get(self.at) != Some(&b'"') {
            escaped = true;
            self.escapes()?;
        }
        let raw = self.slice(&(start..self.at));
        self.at += 1;
        Ok(Text { raw, escaped })
    }

    /// Steps over any value.
    #[inline]
    pub fn value(&mut self) -> Result<Value, JsonError> {
        let first = self.token()?;
        let start = self.at;
        let kind = match first {
            b'{' | b'[' => {
                self.container()?;
                if first == b'{' { Kind::Object } else { Kind::Array }
            }
            _ => self.scalar(first)?,
        };
        Ok(Value { kind, span: start..self.at })
    }

    /// Nothing but white space may follow.
    pub fn end(&mut self) -> Result<(), JsonError> {
        match self.token() {
            Err(JsonError::Truncated) => Ok(()),
            _ => Err(JsonError::Syntax(self.at)),
        }
    }

    /// Steps over a value without parts that begins with `first`.
    #[inline(always)]
    fn scalar(&mut self, first: u8) -> Result<Kind, JsonError> {
        match first {
            b'"' => {
                self.at += 1;
                self.rest_of_string().map(|_| Kind::String)
            }
            b'-' | b'0'..=b'9' => self.number().map(|()| Kind::Number),
            b't' => self.word(b"true").map(|()| Kind::True),
            b'f' => self.word(b"false").map(|()| Kind::False),
            b'n' => self.word(b"null").map(|()| Kind::Null),
            _ => Err(JsonError::Syntax(self.at)),
        }
    }

    /// Steps over an object or array with a bit per open container in place of recursion.
    fn container(&mut self) -> Result<(), JsonError> {
        let mut objects = Nesting::default();
        loop {
            // The cursor is before a value.
            let first = self.token()?;
            let object = first == b'{';
            if object || first == b'[' {
                self.at += 1;
                objects.push(object)?;
                let close = if object { b'}' } else { b']' };
                if self.token()? != close {
                    if object {
                        self.string()?;
                        self.expect(b':')?;
                    }
                    continue;
                }
                self.at += 1;
                objects.pop();
            } else {
                self.scalar(first)?;
            }
            // The cursor is behind a value: close what ends here, or go on to the next member.
            loop {
                let Some(object) = objects.top() else { return Ok(()) };
                match (self.token()?, object) {
                    (b',', false) => {
                        self.at += 1;
                        break;
                    }
                    (b',', true) => {
                        self.at += 1;
                        self.string()?;
                        self.expect(b':')?;
                        break;
                    }
                    (b'}', true) | (b']', false) => {
                        self.at += 1;
                        objects.pop();
                    }
                    _ => return Err(JsonError::Syntax(self.at)),
                }
            }
        }
    }

    fn next_member(&mut self, members: &mut Members, close: u8) -> Result<bool, JsonError> {
        let first = std::mem::replace(&mut members.first, false);
        let token = self.token()?;
        if token == close {
            self.at += 1;
            return Ok(false);
        }
        members.comma = None;
        if !first {
            members.comma = Some(self.at);
            self.expect(b',')?;
            self.token()?;
        }
        members.start = self.at;
        Ok(true)
    }

    /// The position of the next quote, backslash or control character at or behind `at`, or the end.
    #[inline(always)]
    fn special(&mut self, mut at: usize) -> usize {
        while at < self.text.len() {
            let start = at & !(Block::BYTES - 1);
            if start != self.hits.start {
                self.hits = Hits::read(self.text, start);
            }
            let hits = self.hits.bits >> (at - start);
            if hits != 0 {
                // The bytes behind the text count as hits.
                return (at + hits.trailing_zeros() as usize).min(self.text.len());
            }
            at = start + Block::BYTES;
        }
        self.text.len()
    }

    #[inline(always)]
    fn byte(&self) -> Result<u8, JsonError> {
        self.text.get(self.at).copied().ok_or(JsonError::Truncated)
    }

    /// The next byte that is not white space.
    #[inline(always)]
    fn token(&mut self) -> Result<u8, JsonError> {
        loop {
            match self.byte()? {
                b' ' | b'\n' | b'\r' | b'\t' => self.at += 1,
                other => return Ok(other),
            }
        }
    }

    #[inline(always)]
    fn expect(&mut self, token: u8) -> Result<(), JsonError> {
        if self.token()? != token {
            return Err(JsonError::Syntax(self.at));
        }
        self.at += 1;
        Ok(())
    }

    #[inline(always)]
    fn word(&mut self, word: &[u8]) -> Result<(), JsonError> {
        let rest = self.text.get(self.at..).unwrap_or_default();
        if rest.starts_with(word) {
            self.at += word.len();
            return Ok(());
        }
        Err(if word.starts_with(rest) { JsonError::Truncated } else { JsonError::Syntax(self.at) })
    }

    #[inline(always)]
    fn number(&mut self) -> Result<(), JsonError> {
        let rest = self.text.get(self.at..).unwrap_or_default();
        let digits = rest.iter().take_while(|byte| byte.is_ascii_digit()).count();
        let more = matches!(rest.get(digits), Some(b'.' | b'e' | b'E'));
        if digits > 1 && rest.first() == Some(&b'0') || digits == 0 || more {
            return self.any_number();
        }
        self.at += digits;
        Ok(())
    }

    #[inline(never)]
    fn any_number(&mut self) -> Result<(), JsonError> {
        if self.byte()? == b'-' {
            self.at += 1;
        }
        if self.byte()? == b'0' {
            self.at += 1;
        } else {
            self.digits()?;
        }
        if self.byte() == Ok(b'.') {
            self.at += 1;
            self.digits()?;
        }
        if matches!(self.byte(), Ok(b'e' | b'E')) {
            self.at += 1;
            if matches!(self.byte(), Ok(b'+' | b'-')) {
                self.at += 1;
            }
            self.digits()?;
        }
        Ok(())
    }

    fn digits(&mut self) -> Result<(), JsonError> {
        if !self.byte()?.is_ascii_digit() {
            return Err(JsonError::Syntax(self.at));
        }
        while matches!(self.byte(), Ok(b'0'..=b'9')) {
            self.at += 1;
        }
        Ok(())
    }
}

/// How far the members of one container have been read.
#[derive(Debug)]
pub struct Members {
    first: bool,
    start: usize,
    comma: Option<usize>,
}

impl Default for Members {
    fn default() -> Self {
        Self { first: true, start: 0, comma: None }
    }
}

impl Members {
    /// Where the member read last starts: its key's opening quote, or its first byte.
    #[must_use]
    pub fn start(&self) -> usize {
        self.start
    }

    /// Where the comma before the member read last stands; the first member has none.
    #[must_use]
    pub fn comma(&self) -> Option<usize> {
        self.comma
    }
}

/// One bit per open container: whether it is an object.
#[derive(Default)]
struct Nesting {
    bits: [u64; MAX_DEPTH / 64],
    depth: usize,
}

impl Nesting {
    fn push(&mut self, object: bool) -> Result<(), JsonError> {
        let word = self.bits.get_mut(self.depth / 64).ok_or(JsonError::TooDeep)?;
        let bit = 1 << (self.depth % 64);
        *word = if object { *word | bit } else { *word & !bit };
        self.depth += 1;
        Ok(())
    }

    fn pop(&mut self) {
        self.depth = self.depth.saturating_sub(1);
    }

    fn top(&self) -> Option<bool> {
        let index = self.depth.checked_sub(1)?;
        self.bits.get(index / 64).map(|word| word >> (index % 64) & 1 == 1)
    }
}

/// Where quotes, backslashes and control characters stand in 64 bytes of the text. Strings are mostly
/// shorter than that, so one look at the bytes serves several of them.
#[derive(Debug, Clone)]
struct Hits {
    start: usize,
    bits: u64,
}

impl Default for Hits {
    fn default() -> Self {
        Self { start: usize::MAX, bits: 0 }
    }
}

impl Hits {
    #[inline(always)]
    fn read(text: &[u8], start: usize) -> Self {
        let rest = text.get(start..).unwrap_or_default();
        Self { start, bits: Block::at_start_of(rest).special() }
    }
}

#[cfg(test)]
mod tests;
