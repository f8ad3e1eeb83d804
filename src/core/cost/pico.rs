//! How is an amount of money held, read and written? As a whole number of 1e-12 units, so that no
//! digit is ever lost between a rate card, a sum and a database.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// Decimals of a unit that are held.
const DECIMALS: usize = 12;

/// Decimals that are always printed.
const PRINTED: usize = 8;

/// An amount in 1e-12 of a cost unit.
#[derive(
    Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize,
)]
pub struct Pico(pub u128);

impl Pico {
    /// Nothing.
    pub const ZERO: Self = Self(0);

    /// One cost unit.
    pub const UNIT: Self = Self(1_000_000_000_000);

    /// The sum, if it can be held.
    #[must_use]
    pub const fn checked_add(self, other: Self) -> Option<Self> {
        match self.0.checked_add(other.0) {
            Some(sum) => Some(Self(sum)),
            None => None,
        }
    }

    /// The difference, if it is not negative.
    #[must_use]
    pub const fn checked_sub(self, other: Self) -> Option<Self> {
        match self.0.checked_sub(other.0) {
            Some(rest) => Some(Self(rest)),
            None => None,
        }
    }
}

/// Why a text is no amount; the texts end a message such as `invalid rate "x" in "llm_cost_rate",
/// …`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PicoError {
    /// Not digits, or digits, a point and digits.
    Syntax,
    /// Decimals that would be lost.
    TooFine,
    /// Too large.
    TooLarge,
}

impl PicoError {
    /// What to change.
    #[must_use]
    pub const fn text(self) -> &'static str {
        match self {
            Self::Syntax => "give a decimal number such as 0.435",
            Self::TooFine => "it has more decimals than can be kept exactly",
            Self::TooLarge => "it is too large",
        }
    }
}

impl fmt::Display for PicoError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.text())
    }
}

impl std::error::Error for PicoError {}

impl FromStr for Pico {
    type Err = PicoError;

    /// Digits, and a point between digits: no sign, no exponent, no blank.
    fn from_str(text: &str) -> Result<Self, PicoError> {
        let (whole, fraction) = match text.split_once('.') {
            Some((_, "")) => return Err(PicoError::Syntax),
            Some((whole, fraction)) => (whole, fraction),
            None => (text, ""),
        };
        let digits = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
        if whole.is_empty() || !digits(whole) || !digits(fraction) {
            return Err(PicoError::Syntax);
        }
        let fraction = fraction.trim_end_matches('0');
        let missing = DECIMALS.checked_sub(fraction.len()).ok_or(PicoError::TooFine)?;
        let digits = whole.bytes().chain(fraction.bytes()).map(|digit| digit - b'0');
        let zeros = std::iter::repeat_n(0, missing);
        digits
            .chain(zeros)
            .try_fold(0_u128, |sum, digit| sum.checked_mul(10)?.checked_add(digit.into()))
            .map(Self)
            .ok_or(PicoError::TooLarge)
    }
}

/// At least eight decimals, and further ones as far as they are not zero.
impl fmt::Display for Pico {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (whole, fraction) = (self.0 / Self::UNIT.0, self.0 % Self::UNIT.0);
        let decimals = format!("{fraction:0DECIMALS$}");
        let (always, further) = decimals.split_at_checked(PRINTED).unwrap_or_default();
        write!(f, "{whole}.{always}{}", further.trim_end_matches('0'))
    }
}

#[cfg(test)]
mod tests;
