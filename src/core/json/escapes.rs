//! Are the escapes of a string right? The scanner asks where a string is more than plain text.

use super::block::{Block, escaped};
use super::{JsonError, Scanner};

/// May follow a backslash.
const CLASS_LETTER: u8 = 1;
/// May follow a backslash, before four digits.
const CLASS_U: u8 = 2;
/// A hexadecimal digit.
const CLASS_HEX: u8 = 4;

/// What a byte is in an escape; the compiler makes a table of it.
#[inline(always)]
fn class(byte: u8) -> u8 {
    match byte {
        b'"' | b'\\' | b'/' | b'n' | b'r' | b't' => CLASS_LETTER,
        b'b' | b'f' => CLASS_LETTER | CLASS_HEX,
        b'u' => CLASS_U,
        b'0'..=b'9' | b'a' | b'c'..=b'e' | b'A'..=b'F' => CLASS_HEX,
        _ => 0,
    }
}

/// Whether the byte is all that follows a backslash.
#[inline(always)]
pub(super) fn is_letter(byte: u8) -> bool {
    class(byte) & CLASS_LETTER != 0
}

impl Scanner<'_> {
    /// Goes on in a string that is more than plain text, to its closing quote. All escapes of 64 bytes
    /// are checked together: a step for each would cost more than all else.
    #[inline(never)]
    pub(super) fn escapes(&mut self) -> Result<(), JsonError> {
        let mut carry = false;
        while let Some(bytes) = self.text.get(self.at..).and_then(|rest| rest.first_chunk()) {
            let block = Block::of(bytes);
            let (quotes, backslashes) = (block.equal(b'"'), block.equal(b'\\'));
            let mut escapes_next = carry;
            let escaped = escaped(backslashes, &mut escapes_next);
            let ends = (quotes | block.control()) & !escaped;
            let escaped = escaped & (ends & ends.wrapping_neg()).wrapping_sub(1);
            if !self.are_escapes(bytes, escaped & !(quotes | backslashes)) {
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

    /// Whether these of the bytes at the cursor may follow a backslash, and digits each `u`.
    #[inline(always)]
    fn are_escapes(&self, bytes: &[u8; Block::BYTES], mut letters: u64) -> bool {
        while letters != 0 {
            let at = letters.trailing_zeros() as usize;
            letters &= letters - 1;
            match bytes.get(at).map_or(0, |byte| class(*byte)) & (CLASS_LETTER | CLASS_U) {
                CLASS_LETTER => {}
                CLASS_U if self.has_digits(self.at + at + 1) => {}
                _ => return false,
            }
        }
        true
    }

    #[inline(always)]
    fn has_digits(&self, at: usize) -> bool {
        let digits = self.text.get(at..).and_then(|rest| rest.first_chunk::<4>());
        // Without a branch for each: which digit comes cannot be guessed.
        digits.is_some_and(|digits| {
            digits.iter().fold(CLASS_HEX, |all, digit| all & class(*digit)) == CLASS_HEX
        })
    }

    fn escape(&mut self) -> Result<(), JsonError> {
        self.at += 1;
        match class(self.byte()?) & (CLASS_LETTER | CLASS_U) {
            CLASS_LETTER => self.at += 1,
            CLASS_U => {
                for _ in 0..4 {
                    self.at += 1;
                    if class(self.byte()?) & CLASS_HEX == 0 {
                        return Err(JsonError::Syntax(self.at));
                    }
                }
                self.at += 1;
            }
            _ => return Err(JsonError::Syntax(self.at)),
        }
        Ok(())
    }
}
