//! What does one `llm_fallback_route` or `llm_fallback_replace` line say, and is it spelled right?

use crate::pattern::{Pattern, fold};
use crate::route::model_name;

const ROUTE: &str = "llm_fallback_route";
const REPLACE: &str = "llm_fallback_replace";

/// A provider, or some of its models.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Node {
    /// The provider's name.
    pub provider: String,
    /// A model or a pattern; `None` is every request, one without a model included.
    pub model: Option<String>,
}

/// An `llm_fallback_route` line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Edge {
    /// Which targets it starts at.
    pub from: Node,
    /// Where it leads. A model without a `*` is the one to send; with one, only models that match
    /// go that way and keep their name.
    pub to: Node,
    /// The model to send.
    pub model: Option<String>,
}

/// An `llm_fallback_replace` line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Replace {
    /// The provider that is not used.
    pub from: String,
    /// The one in its place.
    pub to: String,
}

impl Edge {
    /// The edge that `<from> <to> [model]` says.
    pub fn parse(args: &[&str]) -> Result<Self, String> {
        let (from, to, model) = match args {
            [from, to] => (from, to, None),
            [from, to, model] => (from, to, Some(model_name(ROUTE, model)?)),
            _ => return Err(format!("\"{ROUTE}\" needs <from> <to> [model]")),
        };
        if let Some(model) = model.as_deref().filter(|model| model.contains('*')) {
            return Err(format!(
                "invalid model \"{model}\" in \"{ROUTE}\", the model to send cannot have a \"*\""
            ));
        }
        let edge = Self { from: Node::parse(from)?, to: Node::parse(to)?, model };
        if edge.model.is_some() && edge.to.model.is_some() {
            return Err(format!("\"{ROUTE} {from} {to}\" names two models to send, keep one"));
        }
        Ok(edge)
    }

    /// Whether both mean the same way, however they are written.
    pub(super) fn is_same(&self, other: &Self) -> bool {
        let from = |edge: &Self| edge.from.model.as_deref().map(Pattern::new);
        self.from.provider == other.from.provider
            && self.to.provider == other.to.provider
            && self.sent().map(fold) == other.sent().map(fold)
            && (from(self), self.only()) == (from(other), other.only())
    }

    /// Whether every target that it starts at is the one it leads to.
    pub(super) fn leads_to_itself(&self) -> bool {
        let from = self.from.model.as_deref().map(fold);
        let sent = self.sent().map(fold);
        self.from.provider == self.to.provider && (sent.is_none() || sent == from)
    }

    /// The model to send; `None` leaves it.
    pub(super) fn sent(&self) -> Option<&str> {
        let in_target = self.to.model.as_deref().filter(|model| !model.contains('*'));
        self.model.as_deref().or(in_target)
    }

    /// Which models may go that way.
    pub(super) fn only(&self) -> Option<Pattern> {
        self.to.model.as_deref().filter(|model| model.contains('*')).map(Pattern::new)
    }
}

impl Node {
    fn parse(text: &str) -> Result<Self, String> {
        let (provider, model) = match text.split_once('/') {
            Some((provider, model)) => (provider, Some(model_name(ROUTE, model)?)),
            None => (text, None),
        };
        if provider.is_empty() || provider.contains('*') {
            return Err(format!(
                "invalid target \"{text}\" in \"{ROUTE}\", it must be provider or provider/model"
            ));
        }
        Ok(Self { provider: provider.to_owned(), model })
    }
}

impl std::fmt::Display for Node {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.provider)?;
        self.model.as_ref().map_or(Ok(()), |model| write!(f, "/{model}"))
    }
}

impl Replace {
    /// The replacement that `<provider> <provider>` says.
    pub fn parse(args: &[&str]) -> Result<Self, String> {
        let [from, to] = args else {
            return Err(format!("\"{REPLACE}\" needs a provider and the one in its place"));
        };
        if from.eq_ignore_ascii_case(to) {
            return Err(format!("\"{REPLACE} {from} {to}\" replaces a provider by itself"));
        }
        Ok(Self { from: (*from).to_owned(), to: (*to).to_owned() })
    }
}
