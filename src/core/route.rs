//! Which provider serves a request, and under which model name? The proxy room asks once the facts are
//! known; the configuration is checked here when nginx starts. Nothing a client sends leads to a model
//! that the catalog does not have.

mod catalog;
mod check;
mod line;
mod listing;
mod resolve;

use std::sync::OnceLock;

use catalog::Index;

pub(crate) use line::model_name;
pub use line::{Alias, Pattern, Provider, RouteLine, Version};

use crate::dialect::Endpoint;

/// What an operator configured, in the order it was written. Look-ups build an index on first use: do
/// not change the lists after that; a clone starts afresh.
#[derive(Debug, Clone, Default)]
pub struct Routes {
    /// `llm_proxy_route` lines.
    pub providers: Vec<Provider>,
    /// `llm_proxy_default_provider`.
    pub default: Option<String>,
    /// `llm_proxy_model_pattern` lines: the catalog.
    pub patterns: Vec<Pattern>,
    /// `llm_proxy_model_alias` lines.
    pub aliases: Vec<Alias>,
    /// Built from the lists above.
    index: Lazy,
}

/// The index of one `Routes`; a clone may be changed before it is used, so it gets its own.
#[derive(Debug, Default)]
struct Lazy(OnceLock<Index>);

impl Clone for Lazy {
    fn clone(&self) -> Self {
        Self::default()
    }
}

/// What a request asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Ask<'a> {
    /// By its path.
    pub endpoint: Endpoint,
    /// Whether the request can carry a model: POST, PUT and PATCH, or any request with a body. A POST
    /// without a body may say false where the endpoint needs no model.
    pub method_has_body: bool,
    /// The body's `model`.
    pub model: Option<&'a str>,
    /// The body's `provider`.
    pub provider_field: Option<&'a str>,
}

/// Where a request goes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Resolution<'a> {
    /// Index into [`Routes::providers`].
    pub provider: usize,
    /// The model to send; `None` where the request has none.
    pub model: Option<std::borrow::Cow<'a, str>>,
    /// Whether that is another name than the client's.
    pub model_changed: bool,
    /// The provider the client named by field or slug.
    pub requested_provider: Option<String>,
    /// How the provider was found.
    pub outcome: Outcome,
}

/// What became of the client's wish.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    /// Served as it was asked for.
    AsRequested,
    /// The operator's rule sent it elsewhere.
    ReplacedByPolicy,
    /// Another target answered after a failure.
    FallbackAfterFailure,
    /// The provider that was asked for may not serve the model.
    RejectedOutOfScope,
    /// The model is unknown or missing.
    RejectedUnresolvable,
}

impl Outcome {
    /// The word in variables, labels and columns.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::AsRequested => "as_requested",
            Self::ReplacedByPolicy => "replaced_by_policy",
            Self::FallbackAfterFailure => "fallback_after_failure",
            Self::RejectedOutOfScope => "rejected_out_of_scope",
            Self::RejectedUnresolvable => "rejected_unresolvable",
        }
    }

    /// What a rejection by [`Routes::resolve`] amounts to.
    #[must_use]
    pub fn of_rejection(rejection: &crate::error::Rejection) -> Self {
        match rejection.code {
            "provider_not_allowed" => Self::RejectedOutOfScope,
            _ => Self::RejectedUnresolvable,
        }
    }
}

impl Routes {
    /// The provider at an index that a [`Resolution`] gave.
    #[must_use]
    pub fn provider(&self, index: usize) -> Option<&Provider> {
        self.providers.get(index)
    }

    /// The index of a provider by its configured name.
    #[must_use]
    pub fn provider_index(&self, name: &str) -> Option<usize> {
        self.index().provider(name)
    }

    /// Whether there is a catalog, so that only its models are served.
    #[must_use]
    pub fn has_catalog(&self) -> bool {
        !self.patterns.is_empty()
    }

    fn index(&self) -> &Index {
        self.index.0.get_or_init(|| Index::new(self))
    }
}

#[cfg(test)]
mod tests;
