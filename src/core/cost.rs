//! What did a request cost, and what is remembered of it? The cost room asks when a request ends,
//! the limits ask before; rate cards are read when nginx starts. Amounts are whole numbers of
//! pico-units: nothing is ever rounded.

mod bill;
mod card;
mod directive;
mod encode;
mod event;
mod json_line;
mod line;
mod pico;
mod price;
mod rate;
mod recompute;
mod row;
mod status;
mod text;

pub use bill::{Answer, Bill, End, Facts, Guess, Served, UsageMissing, status};
pub use card::{DEFAULT_UNIT, RateCard, RateLines};
pub use directive::{Backends, Dsn, Full, JournalLine, TableName, TagLine, file_path};
pub use event::{AttemptRow, CostEvent, SpendCharge};
pub use line::{CachedRateLine, RateLine, RateUnitLine, rate_card_version, unit_name};
pub use pico::{Pico, PicoError};
pub use price::{Cost, Tokens};
pub use rate::{Rate, Rates};
pub use recompute::recompute;
pub use row::{ATTEMPT_COLUMNS, COLUMNS, Column, Kind, Value};
pub use status::{Status, UsageSource};
pub use text::{Text, brief, long};
