//! How does text get into records of a fixed size?

use std::fmt;

/// A text of at most `N` bytes; what is longer is cut between characters.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct Bounded<const N: usize> {
    len: u16,
    bytes: [u8; N],
}

impl<const N: usize> Default for Bounded<N> {
    fn default() -> Self {
        Self { len: 0, bytes: [0; N] }
    }
}

impl<const N: usize> Bounded<N> {
    /// Takes another text in the place of its own.
    #[inline]
    pub fn set(&mut self, text: &str) {
        let text = if text.len() > N { cut(text, N) } else { text };
        if let Some(room) = self.bytes.get_mut(..text.len()) {
            room.copy_from_slice(text.as_bytes());
            self.len = u16::try_from(text.len()).unwrap_or(0);
        }
    }

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

/// The beginning of a longer text, with whole characters.
fn cut(text: &str, most: usize) -> &str {
    let end = (0..=most).rev().find(|&end| text.is_char_boundary(end));
    end.and_then(|end| text.get(..end)).unwrap_or_default()
}

impl<const N: usize> fmt::Debug for Bounded<N> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.text().fmt(f)
    }
}
