//! Is this the secret that a stored hash was made of? The table of client keys asks; the comparison
//! takes the same time wherever two hashes differ.

use std::fmt;

use hmac::digest::CtOutput;
use sha2::{Digest as _, Sha256};

/// How many random bytes are mixed into a hash.
pub const SALT_BYTES: usize = 16;

/// SHA-256 over salt and secret.
#[derive(Clone, PartialEq, Eq)]
pub struct Digest {
    salt: [u8; SALT_BYTES],
    hash: [u8; 32],
}

impl Digest {
    /// The hash of a secret with a salt that nothing else has.
    #[must_use]
    pub fn new(salt: [u8; SALT_BYTES], secret: &[u8]) -> Self {
        Self { salt, hash: hash(salt, secret) }
    }

    /// What no secret has made.
    pub(super) const fn nobodys() -> Self {
        Self { salt: [0; SALT_BYTES], hash: [0; 32] }
    }

    /// Whether it was made of this secret.
    #[must_use]
    pub fn is_of(&self, secret: &[u8]) -> bool {
        let given = CtOutput::<Sha256>::new(hash(self.salt, secret).into());
        given == CtOutput::<Sha256>::new(self.hash.into())
    }

    pub(super) fn parse(text: &str) -> Option<Self> {
        let (salt, hash) = text.split_once(':')?;
        Some(Self { salt: bytes(salt)?, hash: bytes(hash)? })
    }
}

fn hash(salt: [u8; SALT_BYTES], secret: &[u8]) -> [u8; 32] {
    Sha256::new().chain_update(salt).chain_update(secret).finalize().into()
}

fn bytes<const N: usize>(hex: &str) -> Option<[u8; N]> {
    let mut bytes = [0; N];
    if hex.len() != 2 * N {
        return None;
    }
    for (byte, pair) in bytes.iter_mut().zip(hex.as_bytes().chunks_exact(2)) {
        let [high, low] = pair else { return None };
        let digit = |c: &u8| char::from(*c).to_digit(16).and_then(|digit| u8::try_from(digit).ok());
        *byte = digit(high)? << 4 | digit(low)?;
    }
    Some(bytes)
}

/// As it stands in the file.
impl fmt::Display for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.salt.iter().try_for_each(|byte| write!(f, "{byte:02x}"))?;
        f.write_str(":")?;
        self.hash.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl fmt::Debug for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Digest(***)")
    }
}
