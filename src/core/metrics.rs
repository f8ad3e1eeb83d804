//! What happened so far, in numbers? A request that is over becomes a handful of additions to series
//! in shared memory, and a scrape becomes text of any size, piece by piece.
//!
//! The module works out the additions ([`Layout::adds`]) before it takes the zone's lock, applies them
//! under it ([`Table::apply`]), and for a scrape copies the records out, a part at a time
//! ([`Table::extent`]), and writes them without it ([`Exposition`]). Labels are names of the configuration and closed sets of words;
//! whatever else a client or provider sends counts as `other`.

mod buckets;
mod family;
mod finished;
mod gauge;
mod layout;
mod log;
mod named;
mod negotiate;
mod table;
mod text;
mod word;

pub use family::{FAMILIES, Family, Label, Metric, Type};
pub use finished::{
    Adds, AttemptEnd, Decision, ErrorSource, EventResult, Finished, PassedOver, Tried,
};
pub use gauge::{Amount, Gauge};
pub use layout::{Layout, Names, Opted};
pub use log::log_format;
pub use named::{Named, ProviderNames};
pub use negotiate::Format;
pub use table::{Record, Table};
pub(crate) use table::{scaled, split};
pub use text::Exposition;
pub(crate) use word::{Word, mixed};

#[cfg(test)]
mod tests;
