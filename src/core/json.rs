//! Where does each value of a JSON text begin and end, and is the text JSON at all? One strict pass
//! without allocation; `request`, `usage` and `stream` ask. It checks the grammar of RFC 8259, not
//! UTF-8: callers that pass text on check that once for the whole.

pub(crate) mod block;

use std::borrow::Cow;
use std::ops::Range;

use block::{Block, escaped};

/// Containers deeper than this are refused, so that no text makes a parser behind us overflow.
pub const MAX_DEPTH: usize = 512;

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
    pub fn next_key(&mut self, members: &mut Members) -> Result<Option<Text<'a>>, JsonError> {
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
        let start = self.at;
        self.at = self.special();
        let escaped = self.text.get(self.at) != Some(&b'"');
        if escaped {
            self.escapes()?;
        }
        let raw = self.slice(&(start..self.at));
        self.at += 1;
        Ok(Text { raw, escaped })
    }

    /// Steps over any value.
    pub fn value(&mut self) -> Result<Value, JsonError> {
        let kind = self.kind()?;
        let start = self.at;
        match kind {
            Kind::Object | Kind::Array => self.container()?,
            _ => self.scalar(kind)?,
        }
        Ok(Value { kind, span: start..self.at })
    }

    /// Nothing but white space may follow.
    pub fn end(&mut self) -> Result<(), JsonError> {
        match self.token() {
            Err(JsonError::Truncated) => Ok(()),
            _ => Err(JsonError::Syntax(self.at)),
        }
    }

    fn scalar(&mut self, kind: Kind) -> Result<(), JsonError> {
        match kind {
            Kind::String => self.string().map(drop),
            Kind::Number => self.number(),
            Kind::True => self.word(b"true"),
            Kind::False => self.word(b"false"),
            Kind::Null => self.word(b"null"),
            Kind::Object | Kind::Array => Err(JsonError::Syntax(self.at)),
        }
    }

    /// Steps over an object or array with a bit per open container in place of recursion.
    fn container(&mut self) -> Result<(), JsonError> {
        let mut objects = Nesting::default();
        loop {
            // The cursor is before a value.
            let kind = self.kind()?;
            if matches!(kind, Kind::Object | Kind::Array) {
                self.at += 1;
                objects.push(kind == Kind::Object)?;
                let close = if kind == Kind::Object { b'}' } else { b']' };
                if self.token()? != close {
                    if kind == Kind::Object {
                        self.string()?;
                        self.expect(b':')?;
                    }
                    continue;
                }
                self.at += 1;
                objects.pop();
            } else {
                self.scalar(kind)?;
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

    /// The position of the next quote, backslash or control character, or the end.
    #[inline(always)]
    fn special(&mut self) -> usize {
        let mut at = self.at;
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

    /// Goes on in a string that is more than plain text, to its closing quote. All escapes of 64 bytes
    /// are checked together: a step for each would cost more than all else.
    #[inline(never)]
    fn escapes(&mut self) -> Result<(), JsonError> {
        let mut carry = false;
        while let Some(bytes) = self.text.get(self.at..).and_then(|rest| rest.first_chunk()) {
            let block = Block::of(bytes);
            let (quotes, backslashes) = (block.equal(b'"'), block.equal(b'\\'));
            let mut escapes_next = carry;
            let escaped = escaped(backslashes, &mut escapes_next);
            let ends = (quotes | block.control()) & !escaped;
            let escaped = escaped & (ends & ends.wrapping_neg()).wrapping_sub(1);
            let letters = escaped & !(quotes | backslashes);
            if letters & !block.escapable() != 0 || !self.has_digits(letters & block.equal(b'u')) {
                break;
            }
            if ends != 0 {
                self.at += ends.trailing_zeros() as usize;
                return if self.byte()? == b'"' { Ok(()) } else { Err(JsonError::Syntax(self.at)) };
            }
            carry = escapes_next;
            self.at += Block::BYTES;
        }
        // The text ends here, or something in this block is wrong: a walk by bytes says what.
        self.at -= usize::from(carry);
        loop {
            match self.byte()? {
                b'"' => return Ok(()),
                b'\\' => self.escape()?,
                b' '.. => self.at += 1,
                _ => return Err(JsonError::Syntax(self.at)),
            }
        }
    }

    /// Whether four digits follow each `u` of the block at the cursor.
    #[inline(always)]
    fn has_digits(&self, mut us: u64) -> bool {
        while us != 0 {
            let from = self.at + us.trailing_zeros() as usize + 1;
            let digits = self.text.get(from..from + 4).unwrap_or_default();
            if digits.len() < 4 || !digits.iter().all(u8::is_ascii_hexdigit) {
                return false;
            }
            us &= us - 1;
        }
        true
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

    fn word(&mut self, word: &[u8]) -> Result<(), JsonError> {
        let rest = self.text.get(self.at..).unwrap_or_default();
        if rest.starts_with(word) {
            self.at += word.len();
            return Ok(());
        }
        Err(if word.starts_with(rest) { JsonError::Truncated } else { JsonError::Syntax(self.at) })
    }

    fn escape(&mut self) -> Result<(), JsonError> {
        self.at += 1;
        match self.byte()? {
            b'"' | b'\\' | b'/' | b'b' | b'f' | b'n' | b'r' | b't' => self.at += 1,
            b'u' => {
                for _ in 0..4 {
                    self.at += 1;
                    if !self.byte()?.is_ascii_hexdigit() {
                        return Err(JsonError::Syntax(self.at));
                    }
                }
                self.at += 1;
            }
            _ => return Err(JsonError::Syntax(self.at)),
        }
        Ok(())
    }

    fn number(&mut self) -> Result<(), JsonError> {
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
