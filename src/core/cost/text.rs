//! Which text may stand in a record? Clients choose some of them, so that none is long and every
//! database takes it.

use std::fmt;
use std::ops::Deref;

use serde::{Deserialize, Serialize};

/// What a text is cut to.
const MAX_BYTES: usize = 256;

/// What a text of ours is cut to, which has its important part at its end.
const MAX_LONG_BYTES: usize = 4096;

/// A text of bounded length without NUL, which PostgreSQL refuses.
#[derive(Clone, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Text(String);

impl Text {
    /// At most 256 bytes of `text`.
    #[must_use]
    pub fn new(text: &str) -> Self {
        Self::within(text, MAX_BYTES)
    }

    /// At most 4096 bytes of `text`, for what the gateway itself composes.
    #[must_use]
    pub fn long(text: &str) -> Self {
        Self::within(text, MAX_LONG_BYTES)
    }

    fn within(text: &str, max_bytes: usize) -> Self {
        let mut end = text.len().min(max_bytes);
        while !text.is_char_boundary(end) {
            end -= 1;
        }
        let text = text.get(..end).unwrap_or_default();
        if text.contains('\0') { Self(text.replace('\0', "")) } else { Self(text.to_owned()) }
    }
}

impl Deref for Text {
    type Target = str;

    fn deref(&self) -> &str {
        &self.0
    }
}

impl From<&str> for Text {
    fn from(text: &str) -> Self {
        Self::new(text)
    }
}

impl fmt::Debug for Text {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&self.0, f)
    }
}

impl fmt::Display for Text {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_long_text_is_cut_between_characters() {
        let long = "a".to_owned() + &"ü".repeat(200);
        let cut = Text::new(&long);
        assert_eq!(cut.len(), 255);
        assert!(long.starts_with(&*cut));
        assert_eq!(Text::long(&long).len(), 401);
        assert_eq!(Text::long(&"x".repeat(5000)).len(), 4096);
        assert_eq!(&*Text::new(&"y".repeat(256)), "y".repeat(256));
    }

    #[test]
    fn nul_is_taken_out_and_nothing_else() {
        assert_eq!(&*Text::new("a\0b\u{1}\n\0"), "ab\u{1}\n");
        assert!(Text::new("\0").is_empty());
    }
}
