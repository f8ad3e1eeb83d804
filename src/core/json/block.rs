//! Which of 64 bytes are wanted? One bit for each byte, the first byte's lowest. The scanners of JSON
//! ask, so that one look serves many bytes.

use wide::u8x16;

/// 64 bytes of a text, in vector registers.
#[derive(Clone, Copy)]
pub(crate) struct Block([u8x16; 4]);

impl Block {
    /// How many bytes a block has.
    pub const BYTES: usize = 64;

    /// The block of these bytes.
    #[inline(always)]
    pub fn of(bytes: &[u8; Self::BYTES]) -> Self {
        let mut block = [u8x16::default(); 4];
        let (parts, _) = bytes.as_chunks::<16>();
        block.iter_mut().zip(parts).for_each(|(to, from)| *to = u8x16::from(*from));
        Self(block)
    }

    /// The block at the start of `text`; behind its end are zeros.
    #[inline(always)]
    pub fn at_start_of(text: &[u8]) -> Self {
        match text.first_chunk() {
            Some(bytes) => Self::of(bytes),
            None => Self::of_rest(text),
        }
    }

    #[inline(never)]
    fn of_rest(text: &[u8]) -> Self {
        let mut bytes = [0; Self::BYTES];
        if let Some(to) = bytes.get_mut(..text.len()) {
            to.copy_from_slice(text);
        }
        Self::of(&bytes)
    }

    /// The bytes that are this one.
    #[inline(always)]
    pub fn equal(self, byte: u8) -> u64 {
        let byte = u8x16::from(byte);
        mask(self.0.map(|part| part.cmp_eq(byte)))
    }

    /// The bytes that are this one once `bits` are set in them.
    #[inline(always)]
    pub fn equal_with(self, bits: u8, byte: u8) -> u64 {
        let (bits, byte) = (u8x16::from(bits), u8x16::from(byte));
        mask(self.0.map(|part| (part | bits).cmp_eq(byte)))
    }

    /// The quotes, backslashes and control characters: what does not stand in a string as it is.
    #[inline(always)]
    pub fn special(self) -> u64 {
        let [quote, backslash, last] = [b'"', b'\\', b' ' - 1].map(u8x16::from);
        sparse_mask(
            self.0.map(|part| {
                part.cmp_eq(quote) | part.cmp_eq(backslash) | part.min(last).cmp_eq(part)
            }),
        )
    }

    /// The control characters.
    #[inline(always)]
    pub fn control(self) -> u64 {
        let last = u8x16::from(b' ' - 1);
        sparse_mask(self.0.map(|part| part.min(last).cmp_eq(part)))
    }
}

/// The string whose opening quote stands before these bytes, if it is as plain and nearly as short as most
/// keys are: no escape, and its closing quote among the next 32 bytes.
#[inline(always)]
pub(crate) fn short_string(bytes: &[u8]) -> Option<&[u8]> {
    const BYTES: usize = 32;
    let end = match bytes.first_chunk::<BYTES>().map(|head| head.as_chunks::<16>().0) {
        Some([first, second]) => {
            let [quote, backslash] = [b'"', b'\\'].map(u8x16::from);
            let [first, second] = [first, second].map(|part| {
                let part = u8x16::from(*part);
                u32::from((part.cmp_eq(quote) | part.cmp_eq(backslash)).move_mask() as u16)
            });
            (first | second << 16).trailing_zeros() as usize
        }
        _ => bytes.iter().take(BYTES).position(|byte| matches!(byte, b'"' | b'\\'))?,
    };
    let (text, rest) = bytes.split_at_checked(end)?;
    rest.starts_with(b"\"").then_some(text)
}

#[inline(always)]
fn mask(parts: [u8x16; 4]) -> u64 {
    let [a, b, c, d] = parts.map(|part| u64::from(part.move_mask() as u16));
    a | b << 16 | c << 32 | d << 48
}

/// Cheap where no byte is wanted, as in most blocks.
#[inline(always)]
fn sparse_mask(parts: [u8x16; 4]) -> u64 {
    let [a, b, c, d] = parts;
    if (a | b | c | d).move_mask() == 0 { 0 } else { mask(parts) }
}

/// The bytes that are escaped, from the backslashes among them: the second, fourth and so on of
/// each run of backslashes, and the byte behind a run of odd length. `carry` says whether the byte
/// before them escapes the first, and afterwards whether the last escapes the next.
#[inline(always)]
pub(crate) fn escaped(backslashes: u64, carry: &mut bool) -> u64 {
    const EVEN: u64 = 0x5555_5555_5555_5555;
    // A backslash that is escaped starts nothing.
    let backslashes = backslashes & !u64::from(*carry);
    let behind = backslashes << 1 | u64::from(*carry);
    let odd_starts = backslashes & !EVEN & !behind;
    let (even_runs, overflow) = odd_starts.overflowing_add(backslashes);
    *carry = overflow;
    (EVEN ^ (even_runs << 1)) & behind
}
