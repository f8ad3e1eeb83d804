//! Which text may stand in a record? Clients choose some of them, so that none is long and every
//! database takes it.

use std::fmt;
use std::hash::{Hash, Hasher};
use std::ops::Deref;

use arrayvec::ArrayString;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// What a text is cut to.
const MAX_BYTES: usize = 256;

/// What a text of ours is cut to, which has its important part at its end.
const MAX_LONG_BYTES: usize = 4096;

/// Bytes that need no memory of their own. An event has about twenty texts, and hardly any is longer
/// than its id.
const INLINE_BYTES: usize = 46;

/// A text of bounded length without NUL, which PostgreSQL refuses.
#[derive(Clone)]
pub struct Text(Store);

#[derive(Clone)]
enum Store {
    Inline(ArrayString<INLINE_BYTES>),
    Apart(Box<str>),
}

impl Text {
    /// At most 256 bytes of `text`.
    #[must_use]
    pub fn new(text: &str) -> Self {
        Self::without_nul(brief(text))
    }

    /// At most 4096 bytes of `text`, for what the gateway itself composes.
    #[must_use]
    pub fn long(text: &str) -> Self {
        Self::without_nul(long(text))
    }

    fn without_nul(text: &str) -> Self {
        if memchr::memchr(0, text.as_bytes()).is_some() {
            return Self::as_it_is(&text.replace('\0', ""));
        }
        Self::as_it_is(text)
    }

    fn as_it_is(text: &str) -> Self {
        Self(ArrayString::from(text).map_or_else(|_| Store::Apart(text.into()), Store::Inline))
    }
}

/// At most 256 bytes of `text`.
#[must_use]
pub fn brief(text: &str) -> &str {
    within(text, MAX_BYTES)
}

/// At most 4096 bytes of `text`, for what the gateway itself composes.
#[must_use]
pub fn long(text: &str) -> &str {
    within(text, MAX_LONG_BYTES)
}

fn within(text: &str, max_bytes: usize) -> &str {
    let mut end = text.len().min(max_bytes);
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    text.get(..end).unwrap_or_default()
}

impl AsRef<str> for Text {
    fn as_ref(&self) -> &str {
        self
    }
}

impl Deref for Text {
    type Target = str;

    fn deref(&self) -> &str {
        match &self.0 {
            Store::Inline(text) => text,
            Store::Apart(text) => text,
        }
    }
}

impl Default for Text {
    fn default() -> Self {
        Self(Store::Inline(ArrayString::new_const()))
    }
}

impl PartialEq for Text {
    fn eq(&self, other: &Self) -> bool {
        **self == **other
    }
}

impl Eq for Text {}

impl Hash for Text {
    fn hash<H: Hasher>(&self, state: &mut H) {
        (**self).hash(state);
    }
}

impl Serialize for Text {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_newtype_struct("Text", &**self)
    }
}

impl<'de> Deserialize<'de> for Text {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        /// What was written, by a borrowed text too: it was cut, but NUL is still in it.
        #[derive(Deserialize)]
        #[serde(rename = "Text")]
        struct Written(String);
        Ok(Self::without_nul(&Written::deserialize(deserializer)?.0))
    }
}

impl From<&str> for Text {
    fn from(text: &str) -> Self {
        Self::new(text)
    }
}

impl fmt::Debug for Text {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&**self, f)
    }
}

impl fmt::Display for Text {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self)
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
    fn a_text_is_the_same_wherever_it_is_kept() {
        for len in [0, 1, INLINE_BYTES - 1, INLINE_BYTES, INLINE_BYTES + 1, MAX_BYTES] {
            let text = "ä".repeat(len / 2) + if len % 2 == 1 { "x" } else { "" };
            let kept = Text::new(&text);
            assert_eq!((&*kept, kept.len(), kept.is_empty()), (&*text, len, len == 0));
            let json = serde_json::to_string(&kept).unwrap();
            assert_eq!(json, serde_json::to_string(&text).unwrap());
            assert_eq!(serde_json::from_str::<Text>(&json).unwrap(), kept);
        }
    }

    #[test]
    fn nul_is_taken_out_where_a_text_is_read() {
        let read = |json: &str| serde_json::from_str::<Text>(json).unwrap();
        assert_eq!(&*read(r#""a\u0000b""#), "ab");
        assert_eq!(brief("a\0b"), "a\0b");
    }

    #[test]
    fn nul_is_taken_out_and_nothing_else() {
        assert_eq!(&*Text::new("a\0b\u{1}\n\0"), "ab\u{1}\n");
        assert!(Text::new("\0").is_empty());
    }
}
