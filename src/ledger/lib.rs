//! How does what a request cost get from its last byte into a database, whatever dies in between?
//!
//! A worker's event loop appends each event to the [`journal`]; the worker's one thread drives a
//! [`Shipper`], which hands batches to [`sink`]s, each at its own pace, and deletes what all have
//! written. At start [`state`] gives back what limits and budgets had been. Nothing here knows nginx,
//! and nothing decides what a request costs.

mod dead_letter;
#[cfg(test)]
mod fixture;
pub mod journal;
mod lines;
mod schedule;
mod ship;
pub mod sink;
pub mod state;
mod sum;
mod time;
pub mod tls;

pub use ship::{Settings, Shipper, SinkStats, Stats};
pub use sum::Filter;
