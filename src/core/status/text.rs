//! How does text get into records of a fixed size, and how is a time written?

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

/// Milliseconds since 1970 as `2026-11-21T13:24:01.000Z`.
#[must_use]
pub fn rfc3339(unix_ms: u64) -> String {
    let (seconds, ms) = (unix_ms / 1000, unix_ms % 1000);
    let (days, second) = (seconds / 86_400, seconds % 86_400);
    // Howard Hinnant's civil_from_days: years that begin in March have their leap day last.
    let shifted = days + 719_468;
    let (era, day_of_era) = (shifted / 146_097, shifted % 146_097);
    let year_of_era =
        (day_of_era - day_of_era / 1460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let march_month = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * march_month + 2) / 5 + 1;
    let month = if march_month < 10 { march_month + 3 } else { march_month - 9 };
    let year = era * 400 + year_of_era + u64::from(month <= 2);
    let (hour, minute, second) = (second / 3600, second / 60 % 60, second % 60);
    format!("{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}.{ms:03}Z")
}
