//! Which kinds of failure are there, and which of them may be answered by another attempt? One
//! spelling for directive, header, variable, chain and metric label.

use super::Failure;

const DIRECTIVE: &str = "llm_fallback_on";

/// Why an attempt failed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum FailureClass {
    /// No connection, or a connection that was closed without a byte of an answer.
    ConnectError,
    /// Too slow: to connect, to answer, or between two events.
    TransportTimeout,
    /// Any status from 500 to 599.
    Upstream5xx,
    /// 429.
    RateLimited,
    /// 529, or an error that says so.
    Overloaded,
    /// The head of a stream came and no content in time.
    FirstTokenTimeout,
    /// A stream that reported an error or broke off.
    StreamError,
    /// A success without content.
    EmptyResponse,
    /// Not an answer in the provider's dialect.
    BadResponse,
    /// 401 and 403: the key is refused.
    AuthError,
    /// The account behind the key has no credit left.
    QuotaExhausted,
    /// The request does not fit the model.
    ContextLength,
    /// The provider refuses the content.
    ContentFilter,
    /// 404: the provider has no such model or path.
    NotFound,
}

impl FailureClass {
    /// Every class. Of the classes of one failure the first in this order tells the most.
    pub const ALL: [Self; 14] = [
        Self::ContentFilter,
        Self::ContextLength,
        Self::QuotaExhausted,
        Self::NotFound,
        Self::AuthError,
        Self::RateLimited,
        Self::Overloaded,
        Self::FirstTokenTimeout,
        Self::TransportTimeout,
        Self::ConnectError,
        Self::Upstream5xx,
        Self::EmptyResponse,
        Self::BadResponse,
        Self::StreamError,
    ];

    /// The word in directives, headers, variables and labels.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::ConnectError => "connect_error",
            Self::TransportTimeout => "transport_timeout",
            Self::Upstream5xx => "upstream_5xx",
            Self::RateLimited => "rate_limited",
            Self::Overloaded => "overloaded",
            Self::FirstTokenTimeout => "first_token_timeout",
            Self::StreamError => "stream_error",
            Self::EmptyResponse => "empty_response",
            Self::BadResponse => "bad_response",
            Self::AuthError => "auth_error",
            Self::QuotaExhausted => "quota_exhausted",
            Self::ContextLength => "context_length",
            Self::ContentFilter => "content_filter",
            Self::NotFound => "not_found",
        }
    }

    /// The class of that name.
    #[must_use]
    pub fn parse(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|class| class.name() == name)
    }

    const fn bit(self) -> u16 {
        1 << self as u16
    }
}

/// A set of classes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Classes(u16);

impl Classes {
    /// The set of these classes.
    #[must_use]
    pub const fn of(classes: &[FailureClass]) -> Self {
        let mut bits = 0;
        let mut rest = classes;
        while let [class, behind @ ..] = rest {
            bits |= class.bit();
            rest = behind;
        }
        Self(bits)
    }

    /// Whether the class is in it.
    #[must_use]
    pub const fn contains(self, class: FailureClass) -> bool {
        self.0 & class.bit() != 0
    }

    /// Whether any class is in both.
    #[must_use]
    pub const fn intersects(self, other: Self) -> bool {
        self.0 & other.0 != 0
    }

    /// The classes of both.
    #[must_use]
    pub const fn with(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }

    /// Whether there is none.
    #[must_use]
    pub const fn is_empty(self) -> bool {
        self.0 == 0
    }

    /// The classes, the one that tells the most first.
    pub fn iter(self) -> impl Iterator<Item = FailureClass> {
        FailureClass::ALL.into_iter().filter(move |class| self.contains(*class))
    }
}

/// What `llm_fallback_on` lists.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ClassSet {
    /// The classes by name.
    pub classes: Classes,
    /// `http_NNN`
    pub statuses: Vec<u16>,
}

impl Default for ClassSet {
    fn default() -> Self {
        let classes = Classes::of(&[
            FailureClass::ConnectError,
            FailureClass::TransportTimeout,
            FailureClass::Upstream5xx,
            FailureClass::RateLimited,
        ]);
        Self { classes, statuses: Vec::new() }
    }
}

impl ClassSet {
    /// The set that lists nothing.
    #[must_use]
    pub const fn empty() -> Self {
        Self { classes: Classes(0), statuses: Vec::new() }
    }

    /// The set that the arguments of `llm_fallback_on` list.
    pub fn parse(words: &[&str]) -> Result<Self, String> {
        let mut set = Self::empty();
        for word in words {
            if !set.add(word) {
                return Err(format!(
                    "{DIRECTIVE}: unknown failure class \"{word}\", use {} or http_NNN",
                    FailureClass::ALL.map(FailureClass::name).join(", ")
                ));
            }
        }
        Ok(set)
    }

    /// Adds the class or status that `word` names; false if it names none.
    pub fn add(&mut self, word: &str) -> bool {
        if let Some(class) = FailureClass::parse(word) {
            self.classes = self.classes.with(Classes::of(&[class]));
            return true;
        }
        let Some(status) = word.strip_prefix("http_").and_then(status) else { return false };
        if !self.statuses.contains(&status) {
            self.statuses.push(status);
        }
        true
    }

    /// Whether the class is listed by its name.
    #[must_use]
    pub const fn contains(&self, class: FailureClass) -> bool {
        self.classes.contains(class)
    }

    /// Whether a failure is listed, by one of its classes or by its status. A provider's refusal of
    /// the content is never listed by its status: nobody who writes `http_400` means to route around
    /// it.
    #[must_use]
    pub fn matches(&self, failure: &Failure) -> bool {
        if self.classes.intersects(failure.classes) {
            return true;
        }
        !failure.classes.contains(FailureClass::ContentFilter)
            && failure.status.is_some_and(|status| self.statuses.contains(&status))
    }
}

/// A status that is a failure: three digits from 300 on.
fn status(digits: &str) -> Option<u16> {
    if digits.len() != 3 || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    digits.parse().ok().filter(|status| (300..600).contains(status))
}

#[cfg(test)]
mod tests;
