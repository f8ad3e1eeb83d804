//! Are the tables there, with all columns? Those that are missing are made, by one worker at a time;
//! those of another kind are told, and the rows wait in the journal.

use llm_core::cost::{Column, Kind};
use tokio_postgres::types::Type;
use tokio_postgres::{Client, Error};

use super::{Bounds, begin};
use crate::sink::Failure;
use crate::sink::schema::{SCHEMA_VERSION, Table};

/// Who migrates holds this advisory lock ("llmledge").
const LOCK_KEY: i64 = 0x6c6c_6d6c_6564_6765;

/// Decimals that a cost can have.
const COST_SCALE: i32 = 12;

/// What a table lacks, and what an operator should know of it.
#[derive(Default)]
struct Difference {
    missing: Vec<&'static Column>,
    has_table: bool,
    notice: Option<String>,
}

/// Makes what is missing. The text is something to know although all is well.
pub(super) async fn prepare(
    client: &Client,
    tables: &[Table; 2],
    bounds: Bounds,
) -> Result<Option<String>, Failure> {
    let [events, attempts] = tables;
    let differences = [difference(client, events).await?, difference(client, attempts).await?];
    if differences.iter().any(|difference| !difference.missing.is_empty()) {
        client.batch_execute(&begin(bounds, bounds.statement)).await?;
        let migrated = migrate(client, tables).await;
        let end = if migrated.is_ok() { "COMMIT" } else { "ROLLBACK" };
        let ended = client.batch_execute(end).await.map_err(Failure::from);
        migrated.and(ended)?;
    }
    for table in tables {
        check_key(client, table).await?;
    }
    let [events, attempts] = differences;
    Ok(events.notice.or(attempts.notice))
}

async fn migrate(client: &Client, tables: &[Table; 2]) -> Result<(), Failure> {
    let lock = "SELECT pg_try_advisory_xact_lock($1)";
    let row = client.query_typed_one(lock, &[(&LOCK_KEY, Type::INT8)]).await?;
    if !row.try_get::<_, bool>(0)? {
        return Err(Failure::moment("another worker is migrating the tables"));
    }
    for table in tables {
        // Again, under the lock: another worker may have been faster.
        let difference = difference(client, table).await?;
        if difference.has_table {
            for column in difference.missing {
                let added = client.batch_execute(&table.add(column)).await;
                added.map_err(|error| cannot_migrate(&error, &table.add(column)))?;
            }
        } else {
            let created = client.batch_execute(&table.create()).await;
            created.map_err(|error| cannot_create(&error, table))?;
            // Not on a table that is there: that would hold up its other users.
            client.batch_execute(&table.create_index().unwrap_or_default()).await?;
        }
    }
    let [events, _] = tables;
    let schema = events.in_schema("llm_schema");
    client
        .batch_execute(&format!(
            "CREATE TABLE IF NOT EXISTS {schema} (table_name TEXT NOT NULL PRIMARY KEY, version BIGINT); \
             INSERT INTO {schema} (table_name, version) VALUES ('{}', {SCHEMA_VERSION}) \
             ON CONFLICT (table_name) DO UPDATE SET version = \
             greatest(llm_schema.version, excluded.version)",
            events.name()
        ))
        .await
        .map_err(Failure::from)
}

fn cannot_migrate(error: &Error, sql: &str) -> Failure {
    let reason = reason(error);
    Failure::moment(format_args!("{reason}; have the owner of the table run: {sql}"))
}

fn cannot_create(error: &Error, table: &Table) -> Failure {
    let (reason, table) = (reason(error), table.quoted());
    Failure::moment(format_args!(
        "{table} cannot be created: {reason}; grant CREATE on its schema, or create it"
    ))
}

fn reason(error: &Error) -> String {
    error.as_db_error().map_or_else(|| error.to_string(), |error| error.message().to_owned())
}

async fn difference(client: &Client, table: &Table) -> Result<Difference, Failure> {
    // The way in which the server itself finds a name that has no schema.
    let sql = "SELECT attname::text, t.typname::text, \
               CASE WHEN t.typname = 'numeric' AND atttypmod >= 4 \
               THEN (atttypmod - 4) & 65535 END::int4 \
               FROM pg_attribute a JOIN pg_type t ON t.oid = a.atttypid \
               WHERE attrelid = to_regclass($1) AND attnum > 0 AND NOT attisdropped";
    let quoted = table.quoted();
    let rows = client.query_typed(sql, &[(&quoted, Type::TEXT)]).await?;
    let mut there = Vec::with_capacity(rows.len());
    for row in &rows {
        let name: String = row.try_get(0)?;
        let type_name: String = row.try_get(1)?;
        let scale: Option<i32> = row.try_get(2)?;
        there.push((name, type_name, scale));
    }
    let mut difference = Difference { has_table: !rows.is_empty(), ..Difference::default() };
    for column in table.columns {
        match there.iter().find(|(name, ..)| name == column.name) {
            None => difference.missing.push(column),
            Some((_, type_name, _)) if !keeps(type_name, column.kind) => {
                return Err(Failure::moment(format_args!(
                    "column \"{}\" of {quoted} is \"{type_name}\", it must be {}: change it, or \
                     set another \"llm_cost_table\"",
                    column.name,
                    table.sql_type(column.kind)
                )));
            }
            Some((_, _, Some(scale))) if *scale < COST_SCALE => {
                difference.notice = Some(format!(
                    "column \"{}\" of {quoted} keeps {scale} decimals, costs are rounded there and \
                     exact in \"total_cost_pico\"; make it NUMERIC",
                    column.name
                ));
            }
            Some(_) => {}
        }
    }
    Ok(difference)
}

/// Whether a column of this type takes a value of this kind.
fn keeps(type_name: &str, kind: Kind) -> bool {
    match kind {
        Kind::Text => matches!(type_name, "text" | "varchar" | "bpchar"),
        Kind::Integer => matches!(type_name, "int8" | "int4" | "int2" | "numeric"),
        Kind::Boolean => type_name == "bool",
        Kind::Decimal => type_name == "numeric",
        Kind::TimestampMs => matches!(type_name, "timestamptz" | "timestamp"),
    }
}

/// A row that is sent twice is one row only with a unique index.
async fn check_key(client: &Client, table: &Table) -> Result<(), Failure> {
    let sql = "SELECT EXISTS (SELECT FROM pg_index i WHERE indrelid = to_regclass($1) \
               AND indisunique AND indisvalid AND indpred IS NULL AND indnkeyatts = cardinality($2) \
               AND (SELECT count(*) FROM pg_attribute a WHERE attrelid = indrelid \
               AND attnum = ANY (indkey) AND attname::text = ANY ($2)) = cardinality($2))";
    let (quoted, key) = (table.quoted(), table.key);
    let row =
        client.query_typed_one(sql, &[(&quoted, Type::TEXT), (&key, Type::TEXT_ARRAY)]).await?;
    if row.try_get::<_, bool>(0)? {
        return Ok(());
    }
    let columns = key.join(", ");
    Err(Failure::moment(format_args!(
        "{quoted} has no unique index on ({columns}): run CREATE UNIQUE INDEX ON {quoted} ({columns})"
    )))
}
