//! How does a label's value get into shared memory? As a hash: records then have one size whatever
//! the names are, and find their names again after a reload that changed their order.

use std::hash::{BuildHasherDefault, Hasher};

/// A label's value: the hash of its kind and text. 0 is none.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub(crate) struct Word(pub u64);

/// What a value names, so that a model called like a provider is another word.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Of {
    /// A provider.
    Provider,
    /// A model.
    Model,
    /// A tenant.
    Tenant,
    /// A cost unit.
    Unit,
    /// A word of ours.
    Fixed,
}

impl Word {
    /// What does not belong to a closed set.
    pub const OTHER: Self = Self::new(Of::Fixed, "other");

    /// The hash of a name, eight bytes at a time; case does not matter, as in the catalog. Who sends a
    /// name that has the hash of a configured one is counted as that, no more.
    pub const fn new(of: Of, text: &str) -> Self {
        let mut rest = text.as_bytes();
        let mut hash = mixed((rest.len() as u64) << 8 | of as u64);
        while let Some((eight, behind)) = rest.split_first_chunk() {
            hash = mixed(hash ^ lower(u64::from_le_bytes(*eight)));
            rest = behind;
        }
        let mut last = 0;
        if let Some((four, behind)) = rest.split_first_chunk() {
            last = u32::from_be_bytes(*four) as u64;
            rest = behind;
        }
        while let [byte, behind @ ..] = rest {
            last = last << 8 | *byte as u64;
            rest = behind;
        }
        hash = mixed(hash ^ lower(last));
        Self(if hash == 0 { 1 } else { hash })
    }

    /// A word of ours.
    pub const fn fixed(text: &str) -> Self {
        Self::new(Of::Fixed, text)
    }
}

/// Eight bytes at once in lower case, where they are ASCII.
const fn lower(bytes: u64) -> u64 {
    const ONES: u64 = 0x0101_0101_0101_0101;
    let seven = bytes & (0x7f * ONES);
    // The highest bit of each byte: not below A; above Z.
    let from_a = seven + (0x80 - b'A' as u64) * ONES;
    let above_z = seven + (0x7f - b'Z' as u64) * ONES;
    let is_upper = (from_a & !above_z) & !bytes & (0x80 * ONES);
    bytes | is_upper >> 2
}

/// Spreads the bits of a sum of hashes.
pub(crate) const fn mixed(hash: u64) -> u64 {
    let hash = (hash ^ (hash >> 32)).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    hash ^ (hash >> 29)
}

/// For maps whose keys are hashes already.
#[derive(Debug, Default)]
pub(crate) struct AsIs(u64);

/// Its builder.
pub(crate) type BuildAsIs = BuildHasherDefault<AsIs>;

impl Hasher for AsIs {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write(&mut self, bytes: &[u8]) {
        for &byte in bytes {
            self.0 = mixed(self.0 ^ u64::from(byte));
        }
    }

    fn write_u64(&mut self, hash: u64) {
        self.0 ^= hash;
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn case_does_not_matter_and_all_else_does(a in "[ -~é]{0,20}", b in "[ -~é]{0,20}") {
            let word = |text: &str| Word::new(Of::Model, text);
            prop_assert_eq!(word(&a), word(&a.to_ascii_uppercase()));
            prop_assert_eq!(word(&a) == word(&b), a.eq_ignore_ascii_case(&b));
            prop_assert_ne!(word(&a), Word::new(Of::Provider, &a));
        }

        #[test]
        fn eight_bytes_are_folded_like_one_by_one(bytes in any::<[u8; 8]>()) {
            let folded = lower(u64::from_le_bytes(bytes)).to_le_bytes();
            prop_assert_eq!(folded, bytes.map(|byte| byte.to_ascii_lowercase()));
        }
    }
}
