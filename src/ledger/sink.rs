//! Where do rows end up? A [`Sink`] takes a batch whole or not at all, knows each event by its id, and
//! says of an error whether the rows or the moment are to blame.

mod dsn;
mod log;
mod postgres;
mod schema;
mod sqlite;
mod tls;

use std::fmt;
use std::time::Duration;

use llm_core::cost::{CostEvent, Pico};

use crate::journal::Mark;
use crate::sum::Filter;

use llm_core::cost::Dsn;
use tokio_postgres::Config;
use tokio_postgres_rustls::MakeRustlsConnect;

pub use log::Log;
pub use postgres::{Bounds, Postgres};
pub use sqlite::Sqlite;

/// How the server of a DSN is reached and checked, for who reads the rows; without a connector the
/// traffic is plain.
pub fn reach(dsn: &Dsn) -> Result<(Config, Option<MakeRustlsConnect>), Failure> {
    let target = dsn::Target::of(dsn, None)?;
    let connector = match target.tls.check {
        tls::Check::NoTls => None,
        _ => Some(target.tls.connector()?),
    };
    Ok((target.config, connector))
}

/// What a sink is to write.
#[derive(Debug, Clone, Copy)]
pub struct Delivery<'a> {
    /// The rows; some may have been written before.
    pub rows: &'a [&'a CostEvent],
    /// Some of the rows may stand behind this place of the sink's own file.
    pub since: Option<Mark>,
    /// How long it may take.
    pub within: Duration,
}

/// One place where rows end up.
pub trait Sink: Send + fmt::Debug {
    /// Its word in `llm_cost_backend`, in file names and messages.
    fn name(&self) -> &'static str;

    /// Writes all rows or none; where the sink has a file of its own, tells where that ends now. A row
    /// that is there already counts as written.
    fn write(&mut self, delivery: Delivery<'_>) -> Result<Mark, Failure>;

    /// Where the sink's own file ends, if it has one.
    fn mark(&mut self) -> Mark {
        Mark::default()
    }

    /// Whether the last contact was good.
    fn is_connected(&self) -> bool;

    /// What the rows that `filter` selects cost together.
    fn sum(&mut self, filter: &Filter<'_>, within: Duration) -> Result<Pico, Failure>;

    /// Something an operator should know although rows are written; told once.
    fn take_notice(&mut self) -> Option<String> {
        None
    }
}

/// Who is to blame for an error.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Blame {
    /// Rows; others can be written.
    Data,
    /// The connection, a lock, a permission, a schema, the disk: the same rows may be taken later.
    Moment,
}

/// Why a batch was not written; the text contains neither a secret nor a row.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Failure {
    /// Who is to blame.
    pub blame: Blame,
    /// For the error log.
    pub text: String,
}

impl Failure {
    /// The rows are good.
    pub(crate) fn moment(text: impl fmt::Display) -> Self {
        Self { blame: Blame::Moment, text: one_line(text) }
    }

    /// A row is bad.
    pub(crate) fn data(text: impl fmt::Display) -> Self {
        Self { blame: Blame::Data, text: one_line(text) }
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl std::error::Error for Failure {}

/// Databases quote what they were sent, so their texts are neither short nor free of line breaks.
fn one_line(text: impl fmt::Display) -> String {
    const MAX_CHARS: usize = 512;
    let text = text.to_string();
    text.chars().map(|c| if c.is_control() { ' ' } else { c }).take(MAX_CHARS).collect()
}
