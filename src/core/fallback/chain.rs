//! What became of each target of a request? One line of visible ASCII for a header, a variable, the
//! log and the records: `deepseek/deepseek-v4-pro:429:212ms, mimo/mimo-v2.5-pro:200:840ms`.

use std::fmt::Write as _;

use super::FailureClass;

/// A longer chain is cut behind a whole target.
const MAX_BYTES: usize = 4096;
/// What stands where it was cut.
const CUT: &str = ", ...";
/// A longer name of a model is cut.
const MAX_MODEL_BYTES: usize = 256;

/// Why a target was not tried.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SkipReason {
    /// Its health.
    Benched,
    /// Its spend limit.
    Budget,
    /// Its rate or concurrency limit.
    Limit,
    /// The request does not fit it.
    Context,
    /// No key for it.
    Key,
    /// It speaks another dialect.
    Translation,
}

impl SkipReason {
    /// All of them.
    pub const ALL: [Self; 6] =
        [Self::Benched, Self::Budget, Self::Limit, Self::Context, Self::Key, Self::Translation];

    /// The word in the chain, and the label's value.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Benched => "benched",
            Self::Budget => "budget",
            Self::Limit => "limit",
            Self::Context => "context",
            Self::Key => "key",
            Self::Translation => "translation",
        }
    }
}

/// How an attempt ended, as the chain tells it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Told {
    /// With this status.
    Status(u16),
    /// Without a status, or with one that hides a failure.
    Class(FailureClass),
    /// With an error in a stream that is the client's own.
    SemanticError,
}

/// The line, as it grows.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Chain {
    text: String,
    is_cut: bool,
}

impl Chain {
    /// An attempt has ended after so many milliseconds.
    pub fn attempt(&mut self, provider: &str, model: Option<&str>, told: Told, duration_ms: u64) {
        self.add(provider, model, |text| match told {
            Told::Status(status) => write!(text, ":{status}:{duration_ms}ms"),
            Told::Class(class) => write!(text, ":{}:{duration_ms}ms", class.name()),
            Told::SemanticError => write!(text, ":semantic_error:{duration_ms}ms"),
        });
    }

    /// A target was passed over.
    pub fn skipped(&mut self, provider: &str, model: Option<&str>, reason: SkipReason) {
        self.add(provider, model, |text| write!(text, ":skipped({})", reason.name()));
    }

    /// The line; empty before the first target.
    #[must_use]
    pub fn text(&self) -> &str {
        &self.text
    }

    fn add(
        &mut self,
        provider: &str,
        model: Option<&str>,
        end: impl FnOnce(&mut String) -> std::fmt::Result,
    ) {
        if self.is_cut {
            return;
        }
        let before = self.text.len();
        // Enough for most entries: a chain is written for every request.
        self.text.reserve(64);
        if before > 0 {
            self.text.push_str(", ");
        }
        put(&mut self.text, provider);
        if let Some(model) = model {
            self.text.push('/');
            put(&mut self.text, model);
        }
        // Writing to a string cannot fail.
        let _ = end(&mut self.text);
        if self.text.len() + CUT.len() > MAX_BYTES {
            self.text.truncate(before);
            self.text.push_str(CUT);
            self.is_cut = true;
        }
    }
}

/// Writes a name so that it cannot be taken for anything else: what is not visible ASCII, a comma and
/// the percent sign itself become `%` and two digits.
fn put(text: &mut String, name: &str) {
    let is_plain = |byte: &u8| byte.is_ascii_graphic() && !matches!(byte, b',' | b'%');
    if name.len() <= MAX_MODEL_BYTES && name.as_bytes().iter().all(is_plain) {
        text.push_str(name);
        return;
    }
    for &byte in name.as_bytes().get(..MAX_MODEL_BYTES).unwrap_or(name.as_bytes()) {
        if is_plain(&byte) {
            text.push(char::from(byte));
        } else {
            // Writing to a string cannot fail.
            let _ = write!(text, "%{byte:02X}");
        }
    }
}

#[cfg(test)]
mod tests;
