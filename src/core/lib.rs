//! Every decision of the gateway, as pure functions: no nginx, no clock, no I/O, no unsafe.
//!
//! The modules stand in the order in which a request meets them. Words with one meaning each:
//! a *provider* is a configured name, an *upstream* is nginx's block, a *target* is provider, model
//! and key, an *attempt* is one try, *usage* is tokens, a *rejection* is what a client is told.

pub mod date;
mod pattern;
pub mod surface;
pub mod units;

pub mod dialect;
mod event;
pub mod json;
pub mod media;
pub mod request;

pub mod route;

pub mod ratelimit;

pub mod fallback;
pub mod health;

pub mod auth;

pub mod chunked;
pub mod error;
pub mod head;

pub mod scrub;
mod sink;
mod skip;
pub mod sse;
pub mod stream;
pub mod tap;
pub mod usage;
mod words;

pub mod cost;

pub mod metrics;
pub mod status;
