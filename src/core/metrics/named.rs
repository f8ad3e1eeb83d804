//! What are names called in labels? A configured name becomes a word once, when the configuration is
//! read, and not again for each request.

use super::word::{Of, Word};

/// A name with its word.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Named<'a> {
    text: &'a str,
    word: Word,
}

impl<'a> Named<'a> {
    /// A provider of the configuration.
    #[must_use]
    pub const fn provider(name: &'a str) -> Self {
        Self { text: name, word: Word::new(Of::Provider, name) }
    }

    /// A cost unit of the configuration.
    #[must_use]
    pub const fn unit(name: &'a str) -> Self {
        Self { text: name, word: Word::new(Of::Unit, name) }
    }

    /// The name.
    #[must_use]
    pub const fn text(self) -> &'a str {
        self.text
    }

    pub(crate) const fn word(self) -> Word {
        self.word
    }
}

/// The names of a provider and of what its prices are counted in.
#[derive(Debug, Clone)]
pub struct ProviderNames {
    provider: (String, Word),
    unit: (String, Word),
}

impl ProviderNames {
    /// As the configuration has them.
    #[must_use]
    pub fn new(provider: &str, unit: &str) -> Self {
        Self {
            provider: (provider.to_owned(), Named::provider(provider).word),
            unit: (unit.to_owned(), Named::unit(unit).word),
        }
    }

    /// The provider.
    #[must_use]
    pub fn provider(&self) -> Named<'_> {
        Named { text: &self.provider.0, word: self.provider.1 }
    }

    /// What its prices are counted in.
    #[must_use]
    pub fn unit(&self) -> Named<'_> {
        Named { text: &self.unit.0, word: self.unit.1 }
    }
}
