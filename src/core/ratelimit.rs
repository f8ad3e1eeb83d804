//! May a request pass, and what is left of each limit and budget? The ratelimit room asks before it
//! sends and settles when an answer has ended. Everything that is counted lives in fixed-size records
//! of shared memory, which the caller locks for one call at a time; time and process ids are
//! arguments. Limits are whole tokens, money is whole pico-units: nothing is rounded.
//!
//! Times in milliseconds are unix time, because records outlive the process in a checkpoint.

mod bucket;
mod clerk;
mod estimate;
mod in_flight;
mod key;
mod label;
mod lease;
mod line;
mod record;
mod refusal;
mod rules;
mod saved;
mod shown;
mod spend;
mod table;
mod window;

pub use bucket::{MAX_WINDOW_MS, Rate};
pub use clerk::{Actual, Ask, Clerk, Held, Mode, Refused, Which, WithTable};
pub use estimate::{DEFAULT_OUTPUT_TOKENS, Estimate};
pub use label::Label;
pub use lease::Owner;
pub use line::{
    Allowance, Basis, Measure, PatternLine, Reserve, ReserveSpendLine, RuleLine, Scope, SpendLine,
    Unpriced, ZoneLine, number, path, time_zone,
};
pub use record::{Record, Used};
pub use refusal::{DenyReason, Refusal};
pub use rules::{Described, Lines, RuleSet, Subject};
pub use saved::{Saved, SavedError};
pub use shown::{HeaderValues, Headers, Shown};
pub use spend::{Budget, Cap};
pub use table::{Stats, Table};
pub use window::{SpendWindow, TimeZone, Window};
