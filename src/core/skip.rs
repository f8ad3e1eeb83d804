//! Where does a string, object or array end whose content does not matter? `tap` asks for most of what
//! passes by. 64 bytes are looked at together; the grammar is not checked.

use memchr::memchr;

use crate::json::block::{self, escaped};

/// The position behind the quote that ends a string, of which `bytes` are the next. `escape` says
/// whether the byte before them escapes the first, and afterwards whether the last escapes the next.
pub fn string_end(bytes: &[u8], escape: &mut bool) -> Option<usize> {
    let mut at = 0;
    while at < bytes.len() {
        // Looking for quotes only is what makes texts full of `\n` cheap.
        let from = at + usize::from(std::mem::take(escape));
        let rest = bytes.get(from..).unwrap_or_default();
        let quote = memchr(b'"', rest).unwrap_or(rest.len());
        let before = rest.get(..quote).unwrap_or_default();
        *escape = before.iter().rev().take_while(|byte| **byte == b'\\').count() % 2 == 1;
        at = from + quote;
        if at < bytes.len() && !*escape {
            return Some(at + 1);
        }
        // Where one quote is escaped, others follow: blocks are read as long as they have some.
        while let Some(block) = bytes.get(at..).and_then(|rest| rest.first_chunk()) {
            let bytes = block::Block::of(block);
            let quotes = bytes.equal(b'"');
            if quotes == 0 {
                break;
            }
            let ends = quotes & !escaped(bytes.equal(b'\\'), escape);
            if ends != 0 {
                *escape = false;
                return Some(at + ends.trailing_zeros() as usize + 1);
            }
            at += block.len();
        }
    }
    None
}

/// Where a walk over containers stopped.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stop {
    /// Behind the bracket that closed the outermost one.
    Behind(usize),
    /// At the end of the bytes, between the parts of a container.
    InContainer,
    /// At the end of the bytes, in a string.
    InString,
    /// At a backslash outside of a string: this is no JSON.
    Broken,
}

/// Walks over containers of which `depth` are open, beginning outside of a string.
pub fn containers_end(bytes: &[u8], depth: &mut u64, escape: &mut bool) -> Stop {
    let mut at = 0;
    loop {
        at = plain_run(bytes, at);
        let Some(rest) = bytes.get(at..).filter(|rest| !rest.is_empty()) else {
            return Stop::InContainer;
        };
        let block = Block::read(rest);
        if let Some(end) = block.close(depth) {
            return Stop::Behind(at + end);
        }
        if block.is_broken {
            return Stop::Broken;
        }
        at += block.length;
        if block.ends_in_string {
            *escape = block.ends_in_escape;
            let Some(end) = string_end(bytes.get(at..).unwrap_or_default(), escape) else {
                return Stop::InString;
            };
            at += end;
        }
    }
}

/// The brackets and braces outside of strings in the next bytes, which do not begin in a string.
struct Block {
    length: usize,
    opening: u64,
    closing: u64,
    ends_in_string: bool,
    ends_in_escape: bool,
    is_broken: bool,
}

impl Block {
    fn read(text: &[u8]) -> Self {
        // Behind the end stands what continues anything.
        Self::of(block::Block::at_start_of(text), text.len().min(block::Block::BYTES))
    }

    fn of(bytes: block::Block, length: usize) -> Self {
        let mut ends_in_escape = false;
        let backslashes = bytes.equal(b'\\');
        let escaped = escaped(backslashes, &mut ends_in_escape);
        ends_in_escape |= escaped.checked_shr(length as u32).unwrap_or(0) & 1 == 1;
        // Each bit becomes the parity of the quotes up to it: whether its byte is in a string.
        let mut inside = bytes.equal(b'"') & !escaped;
        for distance in [1, 2, 4, 8, 16, 32] {
            inside ^= inside << distance;
        }
        // What stands behind a stray backslash cannot be told: only what is before it counts, so
        // that it does not matter where blocks begin.
        let stray = backslashes & !inside;
        let outside = !inside & (stray & stray.wrapping_neg()).wrapping_sub(1);
        // Brackets and braces of one direction differ in one bit.
        Self {
            length,
            opening: bytes.equal_with(0x20, b'{') & outside,
            closing: bytes.equal_with(0x20, b'}') & outside,
            ends_in_string: inside >> 63 == 1,
            ends_in_escape,
            is_broken: stray != 0,
        }
    }

    /// Counts the brackets; says where the outermost of `depth` containers ends.
    fn close(&self, depth: &mut u64) -> Option<usize> {
        let closing = u64::from(self.closing.count_ones());
        if closing < *depth {
            *depth = *depth - closing + u64::from(self.opening.count_ones());
            return None;
        }
        let mut brackets = self.opening | self.closing;
        while brackets != 0 {
            let bracket = brackets & brackets.wrapping_neg();
            *depth = if self.opening & bracket != 0 { *depth + 1 } else { *depth - 1 };
            if *depth == 0 {
                return Some(bracket.trailing_zeros() as usize + 1);
            }
            brackets ^= bracket;
        }
        None
    }
}

/// Steps over blocks without anything of interest, such as the numbers of an embedding.
fn plain_run(bytes: &[u8], mut at: usize) -> usize {
    // With the bit that brackets and braces differ in set, they and the backslash are neighbours. The
    // compiler turns two comparisons into vector instructions, but not four.
    let is = |byte: u8| (byte == b'"') | ((byte | 0x20).wrapping_sub(b'{') <= b'}' - b'{');
    while let Some(block) = bytes.get(at..).and_then(|rest| rest.first_chunk::<32>()) {
        if block.iter().fold(false, |hit, byte| hit | is(*byte)) {
            break;
        }
        at += 32;
    }
    at
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

        #[test]
        fn strings_end_where_a_walk_by_bytes_says(
            text in "([\"\\\\]{1,3}|[a-c]{0,90}){0,20}",
            cut in any::<prop::sample::Index>(),
        ) {
            let mut escape = false;
            let expected = text.bytes().position(|byte| {
                let ends = byte == b'"' && !escape;
                escape = byte == b'\\' && !escape;
                ends
            });
            let (head, tail) = text.as_bytes().split_at(cut.index(text.len() + 1));
            let mut carried = false;
            let found = string_end(head, &mut carried).or_else(|| {
                Some(head.len() + string_end(tail, &mut carried)?)
            });
            prop_assert_eq!(found, expected.map(|at| at + 1));
            prop_assert_eq!(carried, expected.is_none() && escape);
        }

        #[test]
        fn containers_end_where_a_walk_by_bytes_says(
            text in "([\\[\\]{}]{1,3}|\"([a-c{}\\[]|\\\\[\"\\\\n]){0,40}\"|[0-9,]{0,50}){0,20}",
            cut in any::<prop::sample::Index>(),
        ) {
            let (mut depth, mut string, mut escape) = (1, false, false);
            let expected = text.bytes().position(|byte| {
                match byte {
                    b'"' if !escape => string = !string,
                    b'{' | b'[' if !string => depth += 1,
                    b'}' | b']' if !string => depth -= 1,
                    _ => {}
                }
                escape = string && byte == b'\\' && !escape;
                depth == 0
            });
            let (head, tail) = text.as_bytes().split_at(cut.index(text.len() + 1));
            let (mut open, mut escape) = (1, false);
            let found = match containers_end(head, &mut open, &mut escape) {
                Stop::Behind(end) => Some(end),
                stop => {
                    let string = match stop {
                        Stop::InString => string_end(tail, &mut escape),
                        _ => Some(0),
                    };
                    string.and_then(|string| {
                        match containers_end(&tail[string..], &mut open, &mut escape) {
                            Stop::Behind(end) => Some(head.len() + string + end),
                            _ => None,
                        }
                    })
                }
            };
            prop_assert_eq!(found, expected.map(|at| at + 1));
        }
    }
}
