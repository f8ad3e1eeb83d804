//! Rows in a SQLite file that several workers write. A commit is on disk before the journal forgets.

use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use llm_core::cost::{COLUMNS, Column, CostEvent, Kind, Pico, TableName, Value};
use rusqlite::types::{ToSqlOutput, ValueRef};
use rusqlite::{Connection, ErrorCode, ToSql, TransactionBehavior};

use super::schema::{Language, SCHEMA_VERSION, Table, tables};
use super::{Delivery, Failure, Sink};
use crate::journal::Mark;
use crate::sum::Filter;
use crate::time::text_of_ms;

/// How long a write waits for another worker's; then it is tried again after a pause.
const BUSY: Duration = Duration::from_millis(500);

/// The `sqlite` backend.
#[derive(Debug)]
pub struct Sqlite {
    path: PathBuf,
    tables: [Table; 2],
    open: Option<Open>,
}

#[derive(Debug)]
struct Open {
    connection: Connection,
    /// The file's inode: one that was deleted would take rows to the grave.
    inode: Option<u64>,
}

impl Sqlite {
    /// The file and its directory are created with the first row.
    #[must_use]
    pub fn new(path: &Path, table: &TableName) -> Self {
        Self { path: path.to_owned(), tables: tables(table, Language::Sqlite), open: None }
    }

    fn connection(&mut self) -> Result<&mut Connection, Failure> {
        if self.open.as_ref().is_some_and(|open| open.inode != inode(&self.path)) {
            self.open = None;
        }
        if self.open.is_none() {
            if let Some(directory) = self.path.parent() {
                std::fs::create_dir_all(directory).map_err(|error| self.moment(&error))?;
            }
            let mut connection = Connection::open(&self.path).map_err(|e| self.failure(&e))?;
            prepare(&mut connection, &self.tables).map_err(|e| self.moment(&e.text))?;
            let inode = inode(&self.path);
            self.open = Some(Open { connection, inode });
        }
        match &mut self.open {
            Some(open) => Ok(&mut open.connection),
            None => Err(Failure::moment("no connection")),
        }
    }

    fn failure(&self, error: &rusqlite::Error) -> Failure {
        match blame_of(error) {
            super::Blame::Data => Failure::data(error),
            super::Blame::Moment => self.moment(error),
        }
    }

    fn moment(&self, error: &dyn std::fmt::Display) -> Failure {
        Failure::moment(format_args!("{:?}: {error}", self.path))
    }
}

impl Sink for Sqlite {
    fn name(&self) -> &'static str {
        "sqlite"
    }

    fn write(&mut self, delivery: Delivery<'_>) -> Result<Mark, Failure> {
        let inserts = [self.tables[0].insert_row(), self.tables[1].insert_row()];
        let connection = self.connection()?;
        let written = connection
            .busy_timeout(BUSY.min(delivery.within))
            .and_then(|()| insert(connection, &inserts, delivery.rows));
        match written {
            Ok(()) => Ok(Mark::default()),
            Err(error) => {
                let failure = self.failure(&error);
                if failure.blame == super::Blame::Moment && !is_busy(&error) {
                    // A connection may hold on to what is broken.
                    self.open = None;
                }
                Err(failure)
            }
        }
    }

    fn is_connected(&self) -> bool {
        self.open.is_some()
    }

    fn sum(&mut self, filter: &Filter<'_>, within: Duration) -> Result<Pico, Failure> {
        let quoted = self.tables[0].quoted();
        let connection = self.connection()?;
        let summed = connection
            .busy_timeout(BUSY.min(within))
            .and_then(|()| sum(connection, &quoted, filter));
        summed.map_err(|error| self.failure(&error))?.ok_or_else(|| {
            Failure::moment("a cost in the database is no decimal number or too large")
        })
    }
}

fn inode(path: &Path) -> Option<u64> {
    std::fs::metadata(path).ok().map(|metadata| metadata.ino())
}

/// Settings, and tables as they must be.
fn prepare(connection: &mut Connection, tables: &[Table; 2]) -> Result<(), Failure> {
    let sql = |error: rusqlite::Error| Failure::moment(error);
    connection.busy_timeout(BUSY).map_err(sql)?;
    // Readers do not stop the writer. FULL: a cursor moves on only behind what survives a power
    // failure; it costs one sync per batch.
    connection.pragma_update(None, "journal_mode", "WAL").map_err(sql)?;
    connection.pragma_update(None, "synchronous", "FULL").map_err(sql)?;
    // Ids come in no order: with the usual 2 MB most of a large index would be read again and again.
    connection.pragma_update(None, "cache_size", -16 * 1024).map_err(sql)?;
    // Pages; fewer copies of pages that change in many batches.
    connection.pragma_update(None, "wal_autocheckpoint", 4000).map_err(sql)?;
    // Fails on a file that is no database, before anything is written.
    let missing = missing_columns(connection, tables)?;
    if missing.iter().all(Vec::is_empty) {
        return Ok(());
    }
    let change =
        connection.transaction_with_behavior(TransactionBehavior::Immediate).map_err(sql)?;
    // Another worker may have been faster.
    let missing = missing_columns(&change, tables)?;
    for (table, missing) in tables.iter().zip(missing) {
        if missing.len() == table.columns.len() {
            change.execute_batch(&table.create()).map_err(sql)?;
            let index = table.create_index().unwrap_or_default();
            change.execute_batch(&index).map_err(sql)?;
        } else {
            for column in missing {
                change.execute_batch(&table.add(column)).map_err(sql)?;
            }
        }
    }
    let [events, _] = tables;
    change
        .execute_batch(
            "CREATE TABLE IF NOT EXISTS llm_schema (table_name TEXT NOT NULL PRIMARY KEY, version INTEGER)",
        )
        .map_err(sql)?;
    change
        .execute(
            "INSERT INTO llm_schema (table_name, version) VALUES (?1, ?2) \
             ON CONFLICT (table_name) DO UPDATE SET version = max(version, excluded.version)",
            (events.name(), SCHEMA_VERSION),
        )
        .map_err(sql)?;
    change.commit().map_err(sql)
}

/// Of each table; a column that would change what is put into it is an error.
fn missing_columns(
    connection: &Connection,
    tables: &[Table; 2],
) -> Result<[Vec<&'static Column>; 2], Failure> {
    let [events, attempts] = tables;
    Ok([missing_in(connection, events)?, missing_in(connection, attempts)?])
}

fn missing_in(connection: &Connection, table: &Table) -> Result<Vec<&'static Column>, Failure> {
    let mut statement = connection
        .prepare("SELECT name, type FROM pragma_table_info(?1)")
        .map_err(Failure::moment)?;
    let there = statement
        .query_map([table.name()], |row| Ok((row.get::<_, String>(0)?, row.get::<_, String>(1)?)))
        .and_then(Iterator::collect::<Result<Vec<_>, _>>)
        .map_err(Failure::moment)?;
    let mut missing = Vec::new();
    for column in table.columns {
        match there.iter().find(|(name, _)| name.eq_ignore_ascii_case(column.name)) {
            None => missing.push(column),
            Some((_, declared)) if !keeps(declared, column.kind) => {
                return Err(Failure::moment(format_args!(
                    "column \"{}\" of {} is \"{declared}\", which would change its values; it must \
                     be {}: rename the table or set another \"llm_cost_table\"",
                    column.name,
                    table.quoted(),
                    table.sql_type(column.kind),
                )));
            }
            Some(_) => {}
        }
    }
    Ok(missing)
}

/// Whether a column declared so keeps a value of this kind as it is: SQLite makes numbers of texts in
/// columns of numbers (sqlite.org, "Datatypes in SQLite", 3.1).
fn keeps(declared: &str, kind: Kind) -> bool {
    let declared = declared.to_ascii_uppercase();
    let has = |words: &[&str]| words.iter().any(|word| declared.contains(word));
    let is_text = !has(&["INT"]) && has(&["CHAR", "CLOB", "TEXT"]);
    let is_real = !has(&["INT", "CHAR", "CLOB", "TEXT", "BLOB"]) && has(&["REAL", "FLOA", "DOUB"]);
    let is_blob = declared.is_empty() || (!has(&["INT", "CHAR", "CLOB", "TEXT"]) && has(&["BLOB"]));
    match kind {
        Kind::Text | Kind::Decimal | Kind::TimestampMs => is_text || is_blob,
        Kind::Integer | Kind::Boolean => !is_text && !is_real,
    }
}

fn insert(
    connection: &mut Connection,
    inserts: &[String; 2],
    rows: &[&CostEvent],
) -> rusqlite::Result<()> {
    let change = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
    {
        let [events, attempts] = inserts;
        let mut events = change.prepare_cached(events)?;
        let mut attempts = change.prepare_cached(attempts)?;
        // Ids come in no order, and a page of an index is changed once if they are put into one.
        let mut rows = rows.to_vec();
        rows.sort_unstable_by(|a, b| a.event_id.cmp(&b.event_id));
        for row in rows {
            // The attempts of a row that is there already are there too.
            if events.execute(rusqlite::params_from_iter(row.row().map(Parameter)))? > 0 {
                for attempt in row.attempt_rows() {
                    attempts.execute(rusqlite::params_from_iter(attempt.map(Parameter)))?;
                }
            }
        }
    }
    change.commit()
}

struct Parameter<'a>(Value<'a>);

impl ToSql for Parameter<'_> {
    fn to_sql(&self) -> rusqlite::Result<ToSqlOutput<'_>> {
        Ok(match &self.0 {
            Value::Null => ToSqlOutput::Borrowed(ValueRef::Null),
            Value::Text(text) => ToSqlOutput::Borrowed(ValueRef::Text(text.as_bytes())),
            Value::Integer(number) => ToSqlOutput::Borrowed(ValueRef::Integer(*number)),
            Value::Boolean(yes) => ToSqlOutput::Borrowed(ValueRef::Integer((*yes).into())),
            Value::Decimal(amount) => ToSqlOutput::from(amount.to_string()),
            Value::TimestampMs(ms) => ToSqlOutput::from(text_of_ms(*ms)),
        })
    }
}

/// Exact: integers up to the largest, which stands for what is larger; of those rows the text counts.
/// Each half of an integer is summed alone, because SQLite's sums end at 64 bits.
fn sum(
    connection: &Connection,
    table: &str,
    filter: &Filter<'_>,
) -> rusqlite::Result<Option<Pico>> {
    const HALF: u128 = 1_000_000;
    let mut condition = String::from("created_at >= ? AND created_at < ?");
    let mut values = vec![text_of_ms(filter.from_ms), text_of_ms(filter.before_ms)];
    for (column, text) in filter.texts() {
        condition.push_str(&format!(" AND \"{column}\" = ?"));
        values.push(text.to_owned());
    }
    let sql = format!(
        "SELECT coalesce(sum(total_cost_pico / {HALF}), 0), coalesce(sum(total_cost_pico % {HALF}), 0) \
         FROM {table} WHERE {condition} AND total_cost_pico < {}",
        i64::MAX
    );
    let (upper, lower) =
        connection.query_row(&sql, rusqlite::params_from_iter(&values), |row| {
            Ok((row.get::<_, i64>(0)?, row.get::<_, i64>(1)?))
        })?;
    let whole = |number: i64| u128::try_from(number).ok();
    let small = whole(upper).zip(whole(lower)).map(|(upper, lower)| Pico(upper * HALF + lower));
    let sql = format!(
        "SELECT total_cost FROM {table} WHERE {condition} AND total_cost_pico = {}",
        i64::MAX
    );
    let mut statement = connection.prepare(&sql)?;
    let large = statement
        .query_map(rusqlite::params_from_iter(&values), |row| row.get::<_, String>(0))?
        .collect::<Result<Vec<_>, _>>()?;
    Ok(large.iter().fold(small, |sum, text| sum?.checked_add(text.parse().ok()?)))
}

fn is_busy(error: &rusqlite::Error) -> bool {
    matches!(error.sqlite_error_code(), Some(ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked))
}

/// What a row can be to blame for.
fn blame_of(error: &rusqlite::Error) -> super::Blame {
    match error.sqlite_error_code() {
        Some(
            ErrorCode::ConstraintViolation
            | ErrorCode::TypeMismatch
            | ErrorCode::TooBig
            | ErrorCode::ParameterOutOfRange,
        ) => super::Blame::Data,
        _ => super::Blame::Moment,
    }
}

/// The sums need these; a rename in llm-core is to fail here.
const _: () = {
    let mut found = 0;
    let mut at = 0;
    while at < COLUMNS.len() {
        #[expect(clippy::indexing_slicing, reason = "at compile time")]
        let name = COLUMNS[at].name.as_bytes();
        if matches!(name, b"created_at" | b"cost_unit" | b"total_cost" | b"total_cost_pico") {
            found += 1;
        }
        at += 1;
    }
    assert!(found == 4, "a column that sums use is missing");
};

#[cfg(test)]
mod tests;
