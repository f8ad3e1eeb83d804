//! How does text get into records of a fixed size?

use std::fmt;

/// A text of at most `N` bytes; what is longer is cut between characters.
#[repr(C)]
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Bounded<const N: usize> {
    len: u16,
    bytes: [u8; N],
}

impl<const N: usize> Default for Bounded<N> {
    fn default() -> Self {
        Self { len: 0, bytes: [0; N] }
    }
}

impl<const N: usize> From<&str> for Bounded<N> {
    fn from(text: &str) -> Self {
        let mut bounded = Self::default();
        let most = N.min(u16::MAX.into());
        let end = (0..=most).rev().find(|&end| text.is_char_boundary(end.min(text.len())));
        let end = end.unwrap_or(0).min(text.len());
        let cut = text.as_bytes().get(..end).unwrap_or_default();
        if let Some(room) = bounded.bytes.get_mut(..cut.len()) {
            room.copy_from_slice(cut);
            bounded.len = u16::try_from(cut.len()).unwrap_or(0);
        }
        bounded
    }
}

impl<const N: usize> Bounded<N> {
    /// The text. Memory that a killed worker left half written shows replacement characters.
    #[must_use]
    pub fn text(&self) -> String {
        let bytes = self.bytes.get(..usize::from(self.len)).unwrap_or_default();
        String::from_utf8_lossy(bytes).into_owned()
    }

    /// The text, unless it is empty.
    #[must_use]
    pub fn some(&self) -> Option<String> {
        (self.len > 0).then(|| self.text())
    }
}

impl<const N: usize> fmt::Debug for Bounded<N> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.text().fmt(f)
    }
}
