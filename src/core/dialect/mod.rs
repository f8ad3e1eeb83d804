//! Which language does a client or a provider speak, and which endpoint is meant? Routing, usage,
//! errors and translation ask. A dialect is declared or follows from the path, never from a name.

pub mod path;

/// A request and answer format.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Hash)]
pub enum Dialect {
    /// OpenAI's chat completions and everything that copies them.
    #[default]
    OpenAi,
    /// Anthropic's messages.
    Anthropic,
}

impl Dialect {
    /// The word used in directives, variables, labels and columns.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::OpenAi => "openai",
            Self::Anthropic => "anthropic",
        }
    }

    /// The dialect of that name.
    #[must_use]
    pub fn parse(name: &str) -> Option<Self> {
        [Self::OpenAi, Self::Anthropic].into_iter().find(|dialect| dialect.name() == name)
    }
}

/// What a path asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Endpoint {
    /// `chat/completions`
    Chat,
    /// `completions`, the legacy endpoint.
    Completions,
    /// `embeddings`
    Embeddings,
    /// `responses`
    Responses,
    /// `messages`
    Messages,
    /// `messages/count_tokens`
    CountTokens,
    /// `models` or `models/<id>`
    Models,
    /// Anything else; it is passed on natively.
    Other,
}

impl Endpoint {
    /// The dialect that owns the endpoint; `None` where both have it.
    #[must_use]
    pub const fn dialect(self) -> Option<Dialect> {
        match self {
            Self::Chat | Self::Completions | Self::Embeddings | Self::Responses => {
                Some(Dialect::OpenAi)
            }
            Self::Messages | Self::CountTokens => Some(Dialect::Anthropic),
            Self::Models | Self::Other => None,
        }
    }

    /// Whether a POST here names a model in its body.
    #[must_use]
    pub const fn needs_model(self) -> bool {
        !matches!(self, Self::Models | Self::Other)
    }

    /// Whether an answer is billed and says what it used; `count_tokens` only counts.
    #[must_use]
    pub const fn has_usage(self) -> bool {
        self.needs_model() && !matches!(self, Self::CountTokens)
    }

    /// Whether an answer here is text, which has a length to be limited.
    #[must_use]
    pub const fn writes_text(self) -> bool {
        self.has_usage() && !matches!(self, Self::Embeddings)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_dialect_is_read_by_its_name_only() {
        assert_eq!(Dialect::parse("openai"), Some(Dialect::OpenAi));
        assert_eq!(Dialect::parse("anthropic"), Some(Dialect::Anthropic));
        assert_eq!(Dialect::parse("OpenAI"), None);
        assert_eq!(Dialect::parse(""), None);
    }

    #[test]
    fn counting_tokens_uses_none() {
        assert!(Endpoint::CountTokens.needs_model());
        assert!(!Endpoint::CountTokens.has_usage());
        assert!(!Endpoint::Models.has_usage());
    }
}
