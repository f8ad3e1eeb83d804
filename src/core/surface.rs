//! What can an operator write, and what does he see? Every directive, variable and response header as
//! data: the module's parser reads its rows here and the reference page is made from them.

mod auth;
mod cost;
mod fallback;
mod metrics;
mod page;
mod proxy;
mod ratelimit;

pub use auth::*;
pub use cost::*;
pub use fallback::*;
pub use metrics::*;
pub use page::reference;
pub use proxy::*;
pub use ratelimit::*;

use std::ffi::CStr;

/// One directive.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Directive {
    /// Its name as nginx compares it.
    pub name: &'static CStr,
    /// Where it may stand.
    pub contexts: &'static [Context],
    /// How many arguments it takes.
    pub arity: Arity,
    /// The arguments as the reference shows them.
    pub syntax: &'static str,
    /// What holds when it is not written, as it would be written.
    pub default: Option<&'static str>,
    /// What it means.
    pub text: &'static str,
}

impl Directive {
    /// The name as text.
    #[must_use]
    pub fn name(&self) -> &'static str {
        self.name.to_str().unwrap_or_default()
    }
}

/// A block of the configuration.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Context {
    /// `http {}`
    Http,
    /// `server {}`
    Server,
    /// `location {}`
    Location,
}

impl Context {
    /// The block's name.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Http => "http",
            Self::Server => "server",
            Self::Location => "location",
        }
    }
}

/// How many arguments a directive takes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Arity {
    /// None, or `on` or `off`.
    Switch,
    /// None.
    None,
    /// From so many to so many.
    Between(usize, usize),
    /// So many or more.
    AtLeast(usize),
}

impl Arity {
    /// The fewest arguments.
    #[must_use]
    pub const fn min(self) -> usize {
        match self {
            Self::Switch | Self::None => 0,
            Self::Between(min, _) | Self::AtLeast(min) => min,
        }
    }

    /// The most arguments; `None` is any number.
    #[must_use]
    pub const fn max(self) -> Option<usize> {
        match self {
            Self::Switch => Some(1),
            Self::None => Some(0),
            Self::Between(_, max) => Some(max),
            Self::AtLeast(_) => None,
        }
    }
}

/// A variable or a response header.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Entry {
    /// Its name; variables without the dollar sign.
    pub name: &'static str,
    /// What it says.
    pub text: &'static str,
}

/// Every directive, room by room.
pub fn directives() -> impl Iterator<Item = &'static Directive> {
    [
        PROXY_DIRECTIVES,
        AUTH_DIRECTIVES,
        FALLBACK_DIRECTIVES,
        RATELIMIT_DIRECTIVES,
        COST_DIRECTIVES,
        METRICS_DIRECTIVES,
    ]
    .into_iter()
    .flatten()
    .copied()
}

/// Every variable, room by room.
pub fn variables() -> impl Iterator<Item = &'static Entry> {
    [PROXY_VARIABLES, AUTH_VARIABLES, FALLBACK_VARIABLES, RATELIMIT_VARIABLES, COST_VARIABLES]
        .into_iter()
        .flatten()
}

/// Every response header, room by room.
pub fn headers() -> impl Iterator<Item = &'static Entry> {
    [PROXY_HEADERS, FALLBACK_HEADERS, RATELIMIT_HEADERS].into_iter().flatten()
}
