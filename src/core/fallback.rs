//! What happens when an attempt fails? `attempt` describes each end of an attempt as an [`Event`]; it
//! becomes a [`Failure`], and one table, [`decide`], says what is next. The list of targets, what a
//! client may ask for and the chain that is told to it are made here too. Time and chance are
//! arguments.

mod after;
mod answer;
mod body;
mod chain;
mod class;
mod decide;
mod failure;
mod graph;
mod overrides;
mod policy;

pub(crate) use crate::pattern::Pattern;
pub use after::{Feedback, retry_after_ms};
pub use answer::fault_of_answer;
pub use body::{error_code, is_open};
pub use chain::{Chain, SkipReason, Told};
pub use class::{ClassSet, Classes, FailureClass};
pub use decide::{Decision, NextTarget, Situation, Suppressed, Verdict, decide};
pub use failure::{Answer, ErrorCode, Event, Failure, GiveUp, Sent};
pub use graph::{Edge, Graph, Node, Replace, Target, sort_equals};
pub use overrides::{Allowed, Asked, Chosen, Overrides, header_prefix};
pub use policy::{
    Hold, Mode, Policy, ProbeLine, RetryLine, TranslationFallback, max_attempts, retry_budget,
};
