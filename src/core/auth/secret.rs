//! What text can be a key, and how does it stay out of logs? Every secret that is read becomes a
//! [`Secret`] first: it fits into a header as it is and no format string can show it.

use std::fmt;

use zeroize::Zeroizing;

/// Longer than any key or token: most likely another file was meant.
const MAX_BYTES: usize = 8192;

/// A key's text. It is wiped from memory when it is dropped and is never printed.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(Zeroizing<String>);

/// Why a text cannot be a key. It does not say the text.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SecretError {
    /// There is none.
    Empty,
    /// It has white space, control characters or bytes above ASCII, which no key has and which could
    /// add lines to a request.
    NotVisible,
    /// It has more than 8192 bytes.
    TooLong,
}

impl Secret {
    /// The secret as it was written.
    pub fn new(text: &str) -> Result<Self, SecretError> {
        if text.is_empty() {
            return Err(SecretError::Empty);
        }
        if text.len() > MAX_BYTES {
            return Err(SecretError::TooLong);
        }
        if !text.bytes().all(|byte| byte.is_ascii_graphic()) {
            return Err(SecretError::NotVisible);
        }
        Ok(Self(Zeroizing::new(text.to_owned())))
    }

    /// The secret that a file or a variable holds, without the white space around it.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, SecretError> {
        let bytes = bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(bytes).trim_ascii();
        let text = std::str::from_utf8(bytes).map_err(|_| SecretError::NotVisible)?;
        Self::new(text)
    }

    /// The text, for the head of a request and for nothing else.
    #[must_use]
    pub fn reveal(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(***)")
    }
}

impl fmt::Display for SecretError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Empty => "it is empty",
            Self::NotVisible => "it must be one word of visible ASCII characters",
            Self::TooLong => "it is longer than 8192 bytes",
        })
    }
}

impl std::error::Error for SecretError {}
