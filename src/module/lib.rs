//! The nginx module: glue between nginx and `llm-core`, which makes every decision.
//!
//! A request meets `phases` (body, facts, route), `attempt` (each try at a provider), `filter` (the
//! answer) and the log phase, in this order. `ffi` is the fence around nginx's C interface.

mod attempt;
mod auth;
mod client;
mod conf;
mod cost;
mod ctx;
mod fallback;
mod ffi;
mod filter;
mod health;
mod identity;
mod metrics;
mod phases;
mod proxy;
mod ratelimit;
mod setting;
mod variables;
mod writer;
