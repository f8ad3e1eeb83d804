//! Which record belongs to a rule and an identity? Keys stand in checkpoints and journals, so the same
//! parts must make the same key in every release.

use std::hash::Hasher;

use siphasher::sip::SipHasher13;

/// Makes a key of parts that cannot run into each other.
#[derive(Debug, Clone)]
pub(super) struct Key(SipHasher13);

impl Key {
    /// Begins with what the key is for.
    pub(super) fn new(what: &str) -> Self {
        // Clients choose identities, but a fixed hash key is no risk: a crowded place costs an evicted
        // or refused record, never time, and another key would lose the checkpoint.
        Self(SipHasher13::new_with_keys(0x6c6c_6d5f_7261_7465, 0x6c69_6d69_745f_6b65))
            .bytes(what.as_bytes())
    }

    /// Adds a text of any length.
    pub(super) fn bytes(mut self, part: &[u8]) -> Self {
        self.0.write(&(part.len() as u64).to_le_bytes());
        self.0.write(part);
        self
    }

    /// Adds a name in which case does not matter.
    pub(super) fn name(self, part: &str) -> Self {
        if part.bytes().any(|byte| byte.is_ascii_uppercase()) {
            return self.bytes(part.to_ascii_lowercase().as_bytes());
        }
        self.bytes(part.as_bytes())
    }

    /// Adds a number.
    pub(super) fn number(mut self, part: u64) -> Self {
        self.0.write(&part.to_le_bytes());
        self
    }

    /// The key, never 0.
    pub(super) fn finish(&self) -> u64 {
        self.0.finish().max(1)
    }
}

/// Spreads a number over all bits, each to one other number.
pub(super) const fn mixed(number: u64) -> u64 {
    // The finalizer of splitmix64.
    let number = (number ^ (number >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let number = (number ^ (number >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    number ^ (number >> 31)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_is_the_same_in_every_release() {
        // These numbers stand in checkpoints: they must not change.
        assert_eq!(Key::new("spend").bytes(b"acme").number(7).finish(), KNOWN);
        assert_eq!(Key::new("").finish(), EMPTY);
    }

    const KNOWN: u64 = 4_937_712_109_832_591_928;
    const EMPTY: u64 = 1_260_173_081_701_595_795;

    #[test]
    fn parts_do_not_run_into_each_other() {
        let one = Key::new("a").bytes(b"bc").bytes(b"d").finish();
        assert_ne!(one, Key::new("a").bytes(b"b").bytes(b"cd").finish());
        assert_ne!(one, Key::new("ab").bytes(b"c").bytes(b"d").finish());
        assert_ne!(one, Key::new("a").bytes(b"bc").bytes(b"d").bytes(b"").finish());
    }

    #[test]
    fn names_are_compared_without_case() {
        assert_eq!(Key::new("a").name("USD").finish(), Key::new("a").name("usd").finish());
    }
}
