//! The sums of an SQLite file. Its own sums would make floats of decimals, so rows are added up here.

use std::path::Path;
use std::time::Duration;

use rusqlite::{Connection, OpenFlags, Row};

use super::{By, Query, Sum, Sums, add};
use crate::progress;

/// The gateway writes meanwhile.
const BUSY: Duration = Duration::from_secs(10);

/// Reads and sums the rows.
pub fn sums(path: &Path, query: &Query<'_>) -> Result<Sums, String> {
    let name = path.display();
    if !path.is_file() {
        return Err(format!(
            "database \"{name}\" does not exist, name the file of llm_cost_path with --db"
        ));
    }
    read(path, query).map_err(|why| format!("database \"{name}\" cannot be read: {why}"))
}

fn read(path: &Path, query: &Query<'_>) -> Result<Sums, String> {
    let text = |why: rusqlite::Error| why.to_string();
    let database =
        Connection::open_with_flags(path, OpenFlags::SQLITE_OPEN_READ_ONLY).map_err(text)?;
    database.busy_timeout(BUSY).map_err(text)?;
    let columns: Vec<_> = query.by.iter().map(|by| column(*by)).collect();
    let columns = columns.join(", ");
    let sql = format!(
        "SELECT cost_unit, prompt_tokens, completion_tokens, total_cost{} {columns} FROM {} \
         WHERE created_at >= ?1 AND created_at < ?2",
        if columns.is_empty() { "" } else { "," },
        query.table
    );
    let mut statement = database.prepare(&sql).map_err(text)?;
    let since = query.since_s.map_or(String::new(), stamp);
    // Texts compare by their characters; this one is behind every date.
    let until = query.until_s.map_or("~".to_owned(), stamp);
    let mut rows = statement.query([since, until]).map_err(text)?;
    let waiting = progress::spinner("reading cost rows");
    let mut sums = Sums::new();
    while let Some(row) = rows.next().map_err(text)? {
        let (key, sum) = of_row(row, query.by.len())?;
        add(&mut sums, key, &sum)?;
        waiting.inc(1);
    }
    waiting.finish_and_clear();
    Ok(sums)
}

fn column(by: By) -> String {
    match by {
        By::Day => "substr(created_at, 1, 10)".to_owned(),
        other => format!("coalesce({}, '-')", other.column()),
    }
}

/// `2026-11-18 11:06:40.000`, as the rows have it.
fn stamp(seconds: u64) -> String {
    crate::time::told(seconds).replace('T', " ").replace('Z', ".000")
}

fn of_row(row: &Row<'_>, groups: usize) -> Result<(Vec<String>, Sum), String> {
    let text = |why: rusqlite::Error| why.to_string();
    let count = |at| row.get::<_, Option<i64>>(at).map_err(text);
    let tokens = |count: Option<i64>| count.and_then(|n| u64::try_from(n).ok()).unwrap_or(0);
    let cost: Option<String> = row.get(3).map_err(text)?;
    let cost = match cost {
        None => llm_core::cost::Pico::ZERO,
        Some(digits) => digits
            .parse()
            .map_err(|_| format!("a row has the cost \"{digits}\", which is no amount"))?,
    };
    let sum = Sum {
        requests: 1,
        prompt_tokens: tokens(count(1)?),
        completion_tokens: tokens(count(2)?),
        cost,
    };
    let mut key: Vec<String> =
        (4..4 + groups).map(|at| row.get(at).map_err(text)).collect::<Result<_, _>>()?;
    key.push(row.get(0).map_err(text)?);
    Ok((key, sum))
}
