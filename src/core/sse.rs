//! Where does each event of a `text/event-stream` end, and what are its fields? `stream` asks, chunk
//! by chunk. Nothing is kept here but the state between two chunks, so nothing can grow; holding and
//! bounding an unfinished event is the caller's business.

use std::borrow::Cow;
use std::ops::Range;

use memchr::memchr2;

/// Finds the ends of units in a byte stream that is cut anywhere.
///
/// A unit is what may not be torn apart: an event with its blank line, a blank line alone, or a
/// comment line before an event. Between two units anything may be inserted.
#[derive(Debug, Clone)]
pub struct Framer {
    /// The next byte is the first of a unit.
    unit_start: bool,
    /// The next byte is the first of a line.
    line_start: bool,
    /// The line that is being read is a comment, and the first of its unit.
    comment: bool,
    /// The last byte was a carriage return that ended a line: a line feed would belong to it.
    after_return: bool,
}

impl Default for Framer {
    fn default() -> Self {
        Self { unit_start: true, line_start: true, comment: false, after_return: false }
    }
}

impl Framer {
    /// Reads on in `bytes`, which follow those of the last call; `Some` is the length of what
    /// belongs to the current unit if it ends here.
    pub fn advance(&mut self, bytes: &[u8]) -> Option<usize> {
        let mut at = self.take_line_feed(bytes);
        loop {
            if self.line_start {
                match *bytes.get(at)? {
                    b'\n' | b'\r' => return Some(self.end_unit(bytes, at)),
                    first => self.comment = self.unit_start && first == b':',
                }
                self.line_start = false;
                self.unit_start = false;
            }
            let rest = bytes.get(at..).unwrap_or_default();
            let end = at + memchr2(b'\n', b'\r', rest)?;
            if self.comment {
                return Some(self.end_unit(bytes, end));
            }
            at = self.end_line(bytes, end);
        }
    }

    /// Between two units: how many bytes at the start of `bytes` still belong to the last one. It is
    /// one for the line feed of a pair whose carriage return ended the last call's bytes.
    pub fn take_line_feed(&mut self, bytes: &[u8]) -> usize {
        let Some(first) = bytes.first() else { return 0 };
        usize::from(std::mem::take(&mut self.after_return) && *first == b'\n')
    }

    /// Whether the next byte is the first of a unit.
    #[must_use]
    pub fn between_units(&self) -> bool {
        self.unit_start
    }

    /// Steps over the line end at `at`.
    fn end_line(&mut self, bytes: &[u8], at: usize) -> usize {
        self.line_start = true;
        if bytes.get(at) != Some(&b'\r') {
            return at + 1;
        }
        match bytes.get(at + 1) {
            Some(b'\n') => at + 2,
            Some(_) => at + 1,
            None => {
                self.after_return = true;
                at + 1
            }
        }
    }

    fn end_unit(&mut self, bytes: &[u8], at: usize) -> usize {
        self.unit_start = true;
        self.comment = false;
        self.end_line(bytes, at)
    }
}

/// The fields of one event that matter here, as positions in it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Fields {
    /// The value of the last `event:` line.
    pub event: Option<Range<usize>>,
    /// The value of the first `data:` line.
    pub data: Option<Range<usize>>,
    /// More `data:` lines follow the first.
    pub several: bool,
}

impl Fields {
    /// Reads the lines of one event.
    #[must_use]
    pub fn parse(unit: &[u8]) -> Self {
        let mut fields = Self::default();
        for (name, value) in Lines::new(unit) {
            match name {
                b"data" if fields.data.is_none() => fields.data = Some(value),
                b"data" => fields.several = true,
                b"event" => fields.event = Some(value),
                _ => {}
            }
        }
        fields
    }

    /// The event's data, its lines joined by line feeds.
    #[must_use]
    pub fn data<'a>(&self, unit: &'a [u8]) -> Option<Cow<'a, [u8]>> {
        let first = unit.get(self.data.clone()?)?;
        if !self.several {
            return Some(Cow::Borrowed(first));
        }
        let mut joined = Vec::with_capacity(unit.len());
        for (_, value) in Lines::new(unit).filter(|(name, _)| *name == b"data") {
            if !joined.is_empty() {
                joined.push(b'\n');
            }
            joined.extend_from_slice(unit.get(value).unwrap_or_default());
        }
        Some(Cow::Owned(joined))
    }

    /// The place in `unit` of a span of [`Self::data`] that does not reach over a line.
    #[must_use]
    pub fn place(&self, unit: &[u8], span: &Range<usize>) -> Option<Range<usize>> {
        let mut start = 0;
        for (_, value) in Lines::new(unit).filter(|(name, _)| *name == b"data") {
            let end = start + value.len();
            if span.start >= start && span.end <= end {
                return Some(value.start + span.start - start..value.start + span.end - start);
            }
            start = end + 1;
        }
        None
    }
}

/// The lines of one event as field names and places of values; comments have an empty name.
struct Lines<'a> {
    unit: &'a [u8],
    at: usize,
}

impl<'a> Lines<'a> {
    fn new(unit: &'a [u8]) -> Self {
        Self { unit, at: 0 }
    }
}

impl<'a> Iterator for Lines<'a> {
    type Item = (&'a [u8], Range<usize>);

    fn next(&mut self) -> Option<Self::Item> {
        // Blank lines end the event or, between the two bytes of a line end, are none.
        while matches!(self.unit.get(self.at), Some(b'\n' | b'\r')) {
            self.at += 1;
        }
        let start = self.at;
        let rest = self.unit.get(start..).filter(|rest| !rest.is_empty())?;
        let end = start + memchr2(b'\n', b'\r', rest).unwrap_or(rest.len());
        self.at = end;
        let line = self.unit.get(start..end)?;
        let name_length = line.iter().position(|byte| *byte == b':').unwrap_or(line.len());
        let name = line.get(..name_length)?;
        let mut value = (start + name_length + 1).min(end);
        if self.unit.get(value..end).is_some_and(|value| value.first() == Some(&b' ')) {
            value += 1;
        }
        Some((name, value..end))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The lengths of the units in a text that comes in `pieces`.
    fn units(pieces: &[&str]) -> Vec<usize> {
        let mut framer = Framer::default();
        let mut lengths = Vec::new();
        let mut carried = 0;
        for piece in pieces {
            let mut rest = piece.as_bytes();
            while let Some(length) = framer.advance(rest) {
                lengths.push(carried + length);
                carried = 0;
                rest = &rest[length..];
            }
            carried += rest.len();
        }
        lengths
    }

    #[test]
    fn an_event_ends_with_its_blank_line() {
        assert_eq!(units(&["data: a\n\ndata: b\n\n"]), [9, 9]);
        assert_eq!(units(&["data: a\r\n\r\ndata: b\r\rdata: c\n\r\n"]), [11, 9, 10]);
        assert!(units(&["data: a\n"]).is_empty());
    }

    #[test]
    fn a_pair_of_line_end_bytes_may_be_torn_apart() {
        assert_eq!(units(&["data: a\r", "\n\r\n"]), [11]);
        assert_eq!(units(&["data: a\r\n\r"]), [10]);
    }

    #[test]
    fn a_comment_before_an_event_stands_alone() {
        assert_eq!(units(&[": wait\n: wait\n\ndata: a\n: in it\n\n"]), [7, 7, 1, 17]);
    }

    #[test]
    fn lines_of_data_are_joined_and_found_again() {
        let unit = b"id: 1\ndata:{\"a\":\nevent: x\ndata:  \"b\"}\nevent: y\n\n";
        let fields = Fields::parse(unit);
        let data = fields.data(unit).unwrap();
        assert_eq!(&*data, b"{\"a\":\n \"b\"}");
        assert_eq!(&unit[fields.event.clone().unwrap()], b"y");
        let place = fields.place(unit, &(7..10)).unwrap();
        assert_eq!(&unit[place], b"\"b\"");
        assert_eq!(fields.place(unit, &(4..8)), None);
    }

    #[test]
    fn a_field_without_colon_is_empty() {
        let fields = Fields::parse(b"data\n\n");
        assert_eq!(fields.data, Some(4..4));
        assert_eq!(Fields::parse(b"\n").data, None);
    }
}
