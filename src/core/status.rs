//! How are things now, and how were they in the last hour? The latest requests and one count for each
//! minute live in shared memory; together with what the caller knows they become the JSON and the page
//! of `llm_status`.
//!
//! Nothing here can show a secret: records hold names, ids and numbers, and no text that a header or a
//! body gave but the client's own tag.

mod hour;
mod page;
mod report;
mod ring;
mod text;
mod workers;

pub use hour::{Cell, Hour, Kind, Notes, Series, minute_of};
pub use page::{PAGE, PAGE_POLICY, Shape};
pub use report::{
    Budget, BudgetInput, DecisionCount, Flow, Journal, Key, KeyState, Limit, Provider,
    ProviderState, Recent, Report, Target, projected,
};
pub use ring::{Entry, EntryText, Ring};
pub use text::Bounded;
pub use workers::WorkerNote;

pub use crate::date::rfc3339;

#[cfg(test)]
mod tests;
