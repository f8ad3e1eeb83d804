//! Is a target fit to be asked? Every worker keeps what it saw of a provider, model and key in one
//! record of shared memory and asks here before each attempt. Records are integers only; time is an
//! argument: a millisecond clock that all workers share, at best one that never steps back.

mod budget;
mod params;
mod probe;
mod record;
mod table;

pub use budget::{count_attempt, count_retry, may_retry};
pub use params::Params;
pub use probe::{ProbeError, Probed};
pub use record::{
    Admit, Record, admit, answered, better, failed, last_resort, name_hash, probed, released,
    score, succeeded,
};
pub use table::{Table, record_key};
