//! What does a token cost? A rate is a price per million tokens, held as a whole number of
//! pico-units per token.

use std::str::FromStr;

use serde::{Deserialize, Serialize};

use super::{Pico, PicoError};

/// Tokens in a price of a rate card.
const PER: u128 = 1_000_000;

/// The largest price: 1e12 units per million tokens. Below 2^60, so that the prices of five buckets
/// of any size add up in 128 bits.
const MAX_PICO_PER_TOKEN: u64 = 1_000_000_000_000_000_000;

/// A price: 1e-12 units per token, which is 1e-6 units per million tokens.
#[derive(
    Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize,
)]
#[serde(try_from = "u64", into = "u64")]
pub struct Rate(u64);

/// The prices of one model.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Rates {
    /// Of input that has nothing to do with a cache.
    pub input: Rate,
    /// Of input read from a cache.
    pub cache_read: Rate,
    /// Of input written to a cache for five minutes, or for a time that is not told.
    pub cache_write: Rate,
    /// Of input written to a cache for an hour.
    pub cache_write_1h: Rate,
    /// Of output, reasoning included.
    pub output: Rate,
}

impl Rates {
    /// What an answer from our own cache costs.
    pub const FREE: Self = Self::flat(Rate(0), Rate(0));

    /// Prices that do not know caches: all input costs the same.
    #[must_use]
    pub const fn flat(input: Rate, output: Rate) -> Self {
        Self { input, cache_read: input, cache_write: input, cache_write_1h: input, output }
    }
}

impl Rate {
    /// A price in pico-units per token, at most 1e18.
    #[must_use]
    pub const fn from_pico_per_token(pico: u64) -> Option<Self> {
        if pico <= MAX_PICO_PER_TOKEN { Some(Self(pico)) } else { None }
    }

    /// The price in pico-units per token.
    #[must_use]
    pub const fn pico_per_token(self) -> u64 {
        self.0
    }

    /// The price of so many tokens, less than 2^124.
    #[must_use]
    pub const fn of(self, tokens: u64) -> Pico {
        Pico(self.0 as u128 * tokens as u128)
    }

    /// The price of a million tokens, as rate cards tell it.
    #[must_use]
    pub const fn per_million(self) -> Pico {
        Pico(self.0 as u128 * PER)
    }
}

impl TryFrom<u64> for Rate {
    type Error = PicoError;

    fn try_from(pico: u64) -> Result<Self, PicoError> {
        Self::from_pico_per_token(pico).ok_or(PicoError::TooLarge)
    }
}

impl From<Rate> for u64 {
    fn from(rate: Rate) -> Self {
        rate.0
    }
}

/// A price per million tokens.
impl TryFrom<Pico> for Rate {
    type Error = PicoError;

    fn try_from(price: Pico) -> Result<Self, PicoError> {
        if !price.0.is_multiple_of(PER) {
            return Err(PicoError::TooFine);
        }
        let pico = u64::try_from(price.0 / PER).map_err(|_| PicoError::TooLarge)?;
        Self::try_from(pico)
    }
}

/// A price per million tokens, with at most six decimals.
impl FromStr for Rate {
    type Err = PicoError;

    fn from_str(text: &str) -> Result<Self, PicoError> {
        Self::try_from(text.parse::<Pico>()?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn six_decimals_per_million_are_exact() {
        for (text, pico) in [
            ("0", 0),
            ("0.000001", 1),
            ("0.003625", 3625),
            ("0.435", 435_000),
            ("0.4350000000", 435_000),
            ("15", 15_000_000),
            ("600", 600_000_000),
            ("1000000000000", MAX_PICO_PER_TOKEN),
        ] {
            let rate: Rate = text.parse().unwrap();
            assert_eq!(rate.pico_per_token(), pico, "{text}");
            assert_eq!(Rate::try_from(rate.per_million()), Ok(rate));
        }
    }

    #[test]
    fn what_cannot_be_kept_is_refused() {
        for (text, error) in [
            ("0.0000001", PicoError::TooFine),
            ("0.0000000000001", PicoError::TooFine),
            ("1000000000000.000001", PicoError::TooLarge),
            ("999999999999999999999999999999999999999", PicoError::TooLarge),
            ("-1", PicoError::Syntax),
        ] {
            assert_eq!(text.parse::<Rate>(), Err(error), "{text}");
        }
    }

    #[test]
    fn the_largest_rate_of_the_most_tokens_fits_five_times() {
        let most = Rate(MAX_PICO_PER_TOKEN).of(u64::MAX);
        assert!(most.0.checked_mul(5).is_some());
    }
}
