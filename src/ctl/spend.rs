//! What was spent, by whom and on what? The rows of the cost table are summed exactly: money is never a
//! float, not even in a report.

pub mod journal;
pub mod postgres;
pub mod sqlite;
pub mod view;

use std::collections::BTreeMap;

use llm_core::cost::Pico;

/// What sums can be grouped by.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum By {
    /// The organisation
    Org,
    /// The project
    Project,
    /// The client
    Client,
    /// The model that answered
    Model,
    /// The provider that answered
    Provider,
    /// The day, in UTC
    Day,
    /// The client's key
    Key,
    /// The request's tag
    Tag,
    /// How the row came to be: recorded, estimated …
    Status,
}

impl By {
    /// The word in headers.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Org => "org",
            Self::Project => "project",
            Self::Client => "client",
            Self::Model => "model",
            Self::Provider => "provider",
            Self::Day => "day",
            Self::Key => "key",
            Self::Tag => "tag",
            Self::Status => "status",
        }
    }

    /// The column, where it is one.
    pub const fn column(self) -> &'static str {
        match self {
            Self::Day => "created_at",
            Self::Key => "identity",
            other => other.name(),
        }
    }
}

/// What is asked for.
#[derive(Debug)]
pub struct Query<'q> {
    /// The table, checked by [`is_table`].
    pub table: &'q str,
    /// The groups.
    pub by: &'q [By],
    /// From this second on.
    pub since_s: Option<u64>,
    /// Before this second.
    pub until_s: Option<u64>,
}

/// The sums of one group.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Sum {
    /// Requests.
    pub requests: u64,
    /// Input tokens, cached ones included.
    pub prompt_tokens: u64,
    /// Output tokens.
    pub completion_tokens: u64,
    /// Money.
    pub cost: Pico,
}

/// By the groups' values and the unit, which comes last.
pub type Sums = BTreeMap<Vec<String>, Sum>;

/// Adds to a group.
pub fn add(sums: &mut Sums, key: Vec<String>, more: &Sum) -> Result<(), String> {
    let sum = sums.entry(key).or_default();
    sum.requests = sum.requests.saturating_add(more.requests);
    sum.prompt_tokens = sum.prompt_tokens.saturating_add(more.prompt_tokens);
    sum.completion_tokens = sum.completion_tokens.saturating_add(more.completion_tokens);
    sum.cost = sum.cost.checked_add(more.cost).ok_or("the sum is too large to be held")?;
    Ok(())
}

/// Whether a table's name can stand in a query as it is: plain, or with a schema before a point.
pub fn is_table(name: &str) -> bool {
    let plain = |part: &str| {
        part.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_')
            && part.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_')
    };
    name.split('.').count() <= 2 && name.split('.').all(plain)
}
