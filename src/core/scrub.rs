//! Does an answer show one of our keys? Providers repeat the key they got in error messages; the
//! response filters send headers and bodies through a mask that puts `***` in its place.
//!
//! A secret is found as it is, percent-encoded, and escaped as in JSON; not when it is encoded
//! otherwise (base64) or cut. Secrets of fewer than 8 bytes are not looked for: they would be found in
//! innocent text.

use std::borrow::Cow;
use std::fmt;
use std::ops::Range;
use std::sync::Arc;

use aho_corasick::{AhoCorasick, AhoCorasickKind, Input, MatchKind, Span, packed};

use crate::auth::Secret;
use crate::sink::{Carried, Output, Sink};

/// Shorter secrets are not looked for.
pub const MIN_BYTES: usize = 8;

/// As much of a secret's beginning is looked for first: keys of one vendor begin alike.
const BEGINNING_BYTES: usize = 4;

/// What is looked for, built once for a set of secrets; a clone shares it.
#[derive(Default, Clone)]
pub struct Mask(Option<Arc<Needles>>);

struct Needles {
    /// Finds beginnings, which hardly any answer has, with vector instructions; none where there are too
    /// many.
    beginnings: Option<packed::Searcher>,
    search: AhoCorasick,
    /// All forms of all secrets, in order.
    sorted: Vec<Vec<u8>>,
    shortest: usize,
    longest: usize,
    /// Whether one begins with a byte.
    begins: [bool; 256],
    /// What stands for a secret.
    cover: &'static [u8],
}

/// Masks one body.
pub struct Scrubber {
    mask: Mask,
    cover: Cover,
    /// The end of the bytes so far that may be the beginning of a secret; shorter than the longest one.
    carry: Vec<u8>,
    hits: u64,
}

/// What stands in the place of a secret.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Cover {
    /// `***`, which does not even tell its length.
    Short,
    /// As many stars as it has bytes, for a body whose length was told already.
    SameLength,
}

/// There are too many secrets for one search.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TooManySecrets;

impl Mask {
    /// Prepares the search.
    pub fn new<'a>(secrets: impl IntoIterator<Item = &'a Secret>) -> Result<Self, TooManySecrets> {
        let texts = secrets.into_iter().map(Secret::reveal);
        let mut sorted: Vec<Vec<u8>> =
            texts.filter(|text| text.len() >= MIN_BYTES).flat_map(forms).collect();
        sorted.sort_unstable();
        sorted.dedup();
        let Some(longest) = sorted.iter().map(Vec::len).max() else { return Ok(Self(None)) };
        let shortest = sorted.iter().map(Vec::len).min().unwrap_or(MIN_BYTES);
        let search = AhoCorasick::builder()
            .match_kind(MatchKind::LeftmostLongest)
            // A DFA would take a megabyte for some dozens of keys.
            .kind(Some(AhoCorasickKind::ContiguousNFA))
            .build(&sorted)
            .map_err(|_| TooManySecrets)?;
        let mut begins = [false; 256];
        for begin in sorted.iter().filter_map(|needle| needle.first()) {
            if let Some(begins) = begins.get_mut(usize::from(*begin)) {
                *begins = true;
            }
        }
        // What stands in for a secret must not form another one with the bytes around it.
        let stars = sorted.iter().any(|needle| needle.contains(&b'*'));
        let cover: &[u8] = if stars { b" *** " } else { b"***" };
        let beginnings = beginnings(&sorted);
        let needles = Needles { beginnings, search, sorted, shortest, longest, begins, cover };
        Ok(Self(Some(Arc::new(needles))))
    }

    /// Whether there is nothing to look for.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_none()
    }

    /// A whole text, such as a header's value, without its secrets; `None` when it has none.
    #[must_use]
    pub fn cover(&self, text: &[u8]) -> Option<Vec<u8>> {
        let needles = self.0.as_deref()?;
        needles.find(text, 0)?;
        let mut covered = Vec::with_capacity(text.len());
        needles.cover(text, Cover::Short, |part| covered.extend_from_slice(part));
        Some(covered)
    }
}

impl Scrubber {
    /// For one body.
    #[must_use]
    pub fn new(mask: &Mask, cover: Cover) -> Self {
        Self { mask: mask.clone(), cover, carry: Vec::new(), hits: 0 }
    }

    /// How many secrets were covered.
    #[must_use]
    pub fn hits(&self) -> u64 {
        self.hits
    }

    /// What goes on of a chunk, the last one of the body or not: its beginning, or a text that is not
    /// in it.
    pub fn clean<'c>(&mut self, chunk: &'c [u8], is_last: bool) -> Cow<'c, [u8]> {
        let mut cleaned = Cleaned { chunk, text: Cow::Borrowed(&[]) };
        self.feed(chunk, &mut cleaned);
        if is_last {
            self.finish(&mut cleaned);
        }
        cleaned.text
    }

    /// Sends the chunk on, but for an end that may be the beginning of a secret: that waits for the
    /// next chunk. Secrets have no line breaks, so the end of an event never waits.
    pub fn feed<S: Sink>(&mut self, chunk: &[u8], sink: &mut S) {
        let Self { mask, cover, carry, hits } = self;
        let mut out = Output::new(sink);
        let Some(needles) = mask.0.as_deref() else {
            out.pass(0..chunk.len());
            return out.flush();
        };
        let before = carry.len();
        if before > 0 && chunk.len() <= needles.longest {
            carry.extend_from_slice(chunk);
            let mut sent = Carried { bytes: carry, out: &mut out };
            let tail = needles.scan(carry, 0, *cover, hits, &mut sent);
            carry.drain(..tail);
            return out.flush();
        }
        let mut start = 0;
        if before > 0 {
            // Long enough to hold every secret that begins in the carry.
            carry.extend_from_slice(chunk.get(..needles.longest).unwrap_or(chunk));
            start = needles.settle(carry, before, *cover, hits, &mut out);
        }
        let tail = needles.scan(chunk, start, *cover, hits, &mut out);
        carry.clear();
        carry.extend_from_slice(chunk.get(tail..).unwrap_or_default());
        out.flush();
    }

    /// Sends what waited: the body has ended.
    pub fn finish<S: Sink>(&mut self, sink: &mut S) {
        let Some(needles) = self.mask.0.as_deref() else { return };
        let mut out = Output::new(sink);
        self.hits += needles.cover(&self.carry, self.cover, |part| out.own(part));
        self.carry.clear();
    }
}

/// Puts what goes on together; nothing is copied as long as it is the beginning of the chunk.
struct Cleaned<'c> {
    chunk: &'c [u8],
    text: Cow<'c, [u8]>,
}

impl Sink for Cleaned<'_> {
    fn pass(&mut self, range: Range<usize>) {
        match self.text {
            Cow::Borrowed(text) if text.len() == range.start => {
                self.text = Cow::Borrowed(self.chunk.get(..range.end).unwrap_or_default());
            }
            _ => self.own(self.chunk.get(range).unwrap_or_default()),
        }
    }

    fn own(&mut self, bytes: &[u8]) {
        if !bytes.is_empty() {
            self.text.to_mut().extend_from_slice(bytes);
        }
    }
}

impl Needles {
    fn find(&self, bytes: &[u8], from: usize) -> Option<aho_corasick::Match> {
        if bytes.len() < from + self.shortest {
            return None;
        }
        let from = match &self.beginnings {
            Some(search) => search.find_in(bytes, Span { start: from, end: bytes.len() })?.start(),
            None => from,
        };
        self.search.find(Input::new(bytes).range(from..))
    }

    /// What stands for a secret of `len` bytes.
    fn stars(&self, cover: Cover, len: usize, mut send: impl FnMut(&[u8])) {
        const STARS: &[u8] = &[b'*'; 64];
        if cover == Cover::Short {
            return send(self.cover);
        }
        let mut left = len;
        while let Some(stars) = STARS.get(..left.min(STARS.len())).filter(|stars| !stars.is_empty())
        {
            send(stars);
            left -= stars.len();
        }
    }

    /// Sends a whole text; returns how many secrets it had.
    fn cover(&self, text: &[u8], cover: Cover, mut send: impl FnMut(&[u8])) -> u64 {
        let (mut at, mut hits) = (0, 0);
        while let Some(found) = self.find(text, at) {
            send(text.get(at..found.start()).unwrap_or_default());
            self.stars(cover, found.len(), &mut send);
            hits += 1;
            at = found.end();
        }
        send(text.get(at..).unwrap_or_default());
        hits
    }

    /// Sends `bytes` from `from` on; what is behind the returned position has to wait.
    fn scan(
        &self,
        bytes: &[u8],
        from: usize,
        cover: Cover,
        hits: &mut u64,
        out: &mut impl Sink,
    ) -> usize {
        let mut at = from;
        let mut tail = self.tail(bytes, at);
        while let Some(found) = self.find(bytes, at) {
            if found.start() >= tail {
                break;
            }
            out.pass(at..found.start());
            self.stars(cover, found.len(), |part| out.own(part));
            *hits += 1;
            at = found.end();
            if tail < at {
                tail = self.tail(bytes, at);
            }
        }
        out.pass(at..tail);
        tail
    }

    /// Sends the first `end` bytes and every secret that begins in them; returns how far behind them
    /// the last one reaches.
    fn settle(
        &self,
        bytes: &[u8],
        end: usize,
        cover: Cover,
        hits: &mut u64,
        out: &mut impl Sink,
    ) -> usize {
        let mut sent = Carried { bytes, out };
        let mut at = 0;
        while let Some(found) = self.find(bytes, at).filter(|found| found.start() < end) {
            sent.pass(at..found.start());
            self.stars(cover, found.len(), |part| sent.own(part));
            *hits += 1;
            at = found.end();
        }
        sent.pass(at..end.max(at));
        at.saturating_sub(end)
    }

    /// Where the longest end of `bytes` begins that is the beginning of a secret and not all of it.
    fn tail(&self, bytes: &[u8], from: usize) -> usize {
        let first = from.max(bytes.len().saturating_sub(self.longest - 1));
        let begins = |&at: &usize| {
            let end = bytes.get(at..).unwrap_or_default();
            let begin = end.first().and_then(|&begin| self.begins.get(usize::from(begin)));
            if begin != Some(&true) {
                return false;
            }
            let next = self.sorted.partition_point(|needle| needle.as_slice() <= end);
            self.sorted.get(next).is_some_and(|needle| needle.starts_with(end))
        };
        (first..bytes.len()).find(begins).unwrap_or(bytes.len())
    }
}

/// The search for the beginnings of secrets.
fn beginnings(sorted: &[Vec<u8>]) -> Option<packed::Searcher> {
    let mut beginnings: Vec<&[u8]> =
        sorted.iter().filter_map(|needle| needle.get(..BEGINNING_BYTES)).collect();
    beginnings.dedup();
    packed::Searcher::new(beginnings)
}

/// How a secret may be written in an answer.
fn forms(text: &str) -> Vec<Vec<u8>> {
    let json = serde_json::Value::from(text).to_string();
    let json = json.get(1..json.len() - 1).unwrap_or_default();
    let percent = |hex: fn(u8) -> String| -> String {
        let unreserved = |byte: u8| byte.is_ascii_alphanumeric() || b"-._~".contains(&byte);
        let mut encoded = String::new();
        for byte in text.bytes() {
            if unreserved(byte) {
                encoded.push(char::from(byte));
            } else {
                encoded.push_str(&hex(byte));
            }
        }
        encoded
    };
    let forms = [
        text.to_owned(),
        json.to_owned(),
        json.replace('/', "\\/"),
        percent(|byte| format!("%{byte:02X}")),
        percent(|byte| format!("%{byte:02x}")),
    ];
    forms.into_iter().map(String::into_bytes).collect()
}

impl fmt::Debug for Mask {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Mask(***)")
    }
}

impl fmt::Debug for Scrubber {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Scrubber").field("hits", &self.hits).finish_non_exhaustive()
    }
}

impl fmt::Display for TooManySecrets {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("there are too many secrets to look for")
    }
}

impl std::error::Error for TooManySecrets {}
