//! `llmctl spend`: what was spent, by whom and on what.

use std::io::Write;
use std::path::Path;

use llm_core::surface;

use super::{Done, Failure};
use crate::spend::{By, Query, is_table, journal, postgres, sqlite, view};
use crate::time;

/// `llmctl spend`
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  llmctl spend --db /srv/llm/llm/cost.db
  llmctl spend --db env:LLM_COST_DSN --by org,project --since 2026-11-01
  llmctl spend --db /srv/llm/llm/journal          # what no database has taken yet
  llmctl spend --by day,model --format chart
  llmctl spend --by project --since 2026-10-01 --until 2026-11-01 --format csv > october.csv

Sums are exact; amounts of different units are never added.")]
pub struct Args {
    /// What to group by, with commas between
    #[arg(long, value_enum, value_delimiter = ',', default_value = "project,model")]
    pub by: Vec<By>,
    /// From this day or moment on: 2026-11-01 …
    #[arg(long, value_name = "WHEN")]
    pub since: Option<String>,
    /// Before this day or moment
    #[arg(long, value_name = "WHEN")]
    pub until: Option<String>,
    /// The SQLite file, the journal's folder, or PostgreSQL's address: its text, env:NAME or file:PATH
    #[arg(long, value_name = "PATH|DSN", default_value = surface::LLM_COST_PATH.default.unwrap_or_default())]
    pub db: String,
    /// The table
    #[arg(long, default_value = surface::LLM_COST_TABLE.default.unwrap_or_default())]
    pub table: String,
    /// How to show the sums
    #[arg(long, value_enum, default_value_t)]
    pub format: Format,
}

/// How to show the sums.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, clap::ValueEnum)]
pub enum Format {
    /// For people
    #[default]
    Table,
    /// For spreadsheets
    Csv,
    /// For programs
    Json,
    /// Bars in the terminal
    Chart,
}

/// Runs the command.
pub fn run(args: &Args, out: &mut dyn Write) -> Result<Done, Failure> {
    if !is_table(&args.table) {
        return Err(Failure::new(format!(
            "invalid table \"{}\", use a name, or schema.name",
            args.table.escape_debug()
        )));
    }
    let moment = |text: &Option<String>| match text {
        None => Ok(None),
        Some(text) => time::moment(text).map(Some).ok_or_else(|| {
            Failure::new(format!("\"{text}\" is no day, write 2026-11-01 or 2026-11-01T12:00:00Z"))
        }),
    };
    let query = Query {
        table: &args.table,
        by: &args.by,
        since_s: moment(&args.since)?,
        until_s: moment(&args.until)?,
    };
    let path = Path::new(&args.db);
    let sums = if is_address(&args.db) {
        postgres::sums(&args.db, &query)?
    } else if path.is_dir() {
        journal::sums(path, &query)?
    } else {
        sqlite::sums(path, &query)?
    };
    match args.format {
        Format::Table => view::table(&args.by, &sums, out)?,
        Format::Csv => view::csv(&args.by, &sums, out)?,
        Format::Json => view::json(&args.by, &sums, out)?,
        Format::Chart => view::chart(&sums, out)?,
    }
    Ok(Done::Well)
}

fn is_address(db: &str) -> bool {
    let words = ["host=", "dbname=", "user="];
    db.starts_with("env:")
        || db.starts_with("file:")
        || db.starts_with("postgres://")
        || db.starts_with("postgresql://")
        || words.iter().any(|word| db.contains(word))
}
