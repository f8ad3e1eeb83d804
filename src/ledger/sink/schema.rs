//! Which tables are there to be? The columns come from llm-core; here they get types and statements.

use std::fmt::Write;

use llm_core::cost::{ATTEMPT_COLUMNS, COLUMNS, Column, Kind, TableName};

/// Raised when a table changes in a way that adding columns cannot express.
pub(super) const SCHEMA_VERSION: i64 = 1;

/// A database's way of writing things.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Language {
    Sqlite,
    Postgres,
}

/// One of the two tables.
#[derive(Debug, Clone)]
pub(super) struct Table {
    language: Language,
    name: TableName,
    pub(super) columns: &'static [Column],
    /// What no two rows share.
    pub(super) key: &'static [&'static str],
    /// A column that readers ask for spans of.
    pub(super) index: Option<&'static str>,
}

/// The tables of events and of attempts.
pub(super) fn tables(name: &TableName, language: Language) -> [Table; 2] {
    let events = Table {
        language,
        name: name.clone(),
        columns: COLUMNS,
        key: &["event_id"],
        index: Some("created_at"),
    };
    let attempts = Table {
        name: name.attempts(),
        columns: ATTEMPT_COLUMNS,
        key: &["event_id", "attempt_no"],
        index: None,
        ..events.clone()
    };
    [events, attempts]
}

impl Table {
    /// As it stands in SQL.
    pub(super) fn quoted(&self) -> String {
        self.in_schema(self.name())
    }

    pub(super) fn name(&self) -> &str {
        self.name.table()
    }

    /// Another name beside it. A SQLite file has one schema.
    pub(super) fn in_schema(&self, name: &str) -> String {
        match self.name.schema().filter(|_| self.language == Language::Postgres) {
            Some(schema) => format!("\"{schema}\".\"{name}\""),
            None => format!("\"{name}\""),
        }
    }

    /// Only the key may not be null: a later version may leave a column out.
    pub(super) fn create(&self) -> String {
        let mut sql = format!("CREATE TABLE IF NOT EXISTS {} (", self.quoted());
        for column in self.columns {
            let not_null = if self.key.contains(&column.name) { " NOT NULL" } else { "" };
            let _ = write!(sql, "\"{}\" {}{not_null}, ", column.name, self.sql_type(column.kind));
        }
        let _ = write!(sql, "PRIMARY KEY ({}))", self.key.join(", "));
        if self.language == Language::Sqlite && self.index.is_none() {
            // Short rows that are reached by their key: the key's index is all there needs to be.
            sql.push_str(" WITHOUT ROWID");
        }
        sql
    }

    pub(super) fn create_index(&self) -> Option<String> {
        let column = self.index?;
        let name = format!("{}_{column}_idx", self.name());
        // An index lives in its table's schema: PostgreSQL takes no schema before its name.
        let table = self.quoted();
        Some(format!("CREATE INDEX IF NOT EXISTS \"{name}\" ON {table} (\"{column}\")"))
    }

    pub(super) fn add(&self, column: &Column) -> String {
        let (name, sql_type) = (column.name, self.sql_type(column.kind));
        let if_missing = if self.language == Language::Postgres { "IF NOT EXISTS " } else { "" };
        format!("ALTER TABLE {} ADD COLUMN {if_missing}\"{name}\" {sql_type}", self.quoted())
    }

    /// Exact decimals have no type in SQLite: they are texts, which its sums read as numbers.
    pub(super) fn sql_type(&self, kind: Kind) -> &'static str {
        match (self.language, kind) {
            (_, Kind::Text) | (Language::Sqlite, Kind::Decimal | Kind::TimestampMs) => "TEXT",
            (Language::Sqlite, Kind::Integer | Kind::Boolean) => "INTEGER",
            (Language::Postgres, Kind::Integer) => "BIGINT",
            (Language::Postgres, Kind::Boolean) => "BOOLEAN",
            (Language::Postgres, Kind::Decimal) => "NUMERIC",
            (Language::Postgres, Kind::TimestampMs) => "TIMESTAMPTZ",
        }
    }

    fn column_list(&self) -> String {
        let names: Vec<String> =
            self.columns.iter().map(|column| format!("\"{}\"", column.name)).collect();
        names.join(", ")
    }

    /// One row; a row that is there stays as it is.
    pub(super) fn insert_row(&self) -> String {
        format!(
            "INSERT INTO {} ({}) VALUES ({}) ON CONFLICT ({}) DO NOTHING",
            self.quoted(),
            self.column_list(),
            vec!["?"; self.columns.len()].join(", "),
            self.key.join(", "),
        )
    }

    /// Any number of rows, from one array per column; rows that are there stay as they are.
    pub(super) fn insert_arrays(&self) -> String {
        let (mut arrays, mut values, mut names) = (Vec::new(), Vec::new(), Vec::new());
        for (at, column) in self.columns.iter().enumerate() {
            let (array, value) = match column.kind {
                Kind::Text => ("text", format!("v.c{at}")),
                Kind::Integer => ("bigint", format!("v.c{at}")),
                Kind::Boolean => ("boolean", format!("v.c{at}")),
                Kind::Decimal => ("text", format!("v.c{at}::numeric")),
                Kind::TimestampMs => {
                    ("bigint", format!("timestamptz 'epoch' + v.c{at} * interval '1 millisecond'"))
                }
            };
            arrays.push(format!("${}::{array}[]", at + 1));
            names.push(format!("c{at}"));
            values.push(value);
        }
        format!(
            "INSERT INTO {} ({}) SELECT {} FROM unnest({}) AS v({}) ON CONFLICT ({}) DO NOTHING",
            self.quoted(),
            self.column_list(),
            values.join(", "),
            arrays.join(", "),
            names.join(", "),
            self.key.join(", "),
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_column_is_created_and_inserted_once() {
        for language in [Language::Sqlite, Language::Postgres] {
            for table in tables(&TableName::parse(&["billing.events"]).unwrap(), language) {
                let inserts = match language {
                    Language::Sqlite => table.insert_row(),
                    Language::Postgres => table.insert_arrays(),
                };
                for column in table.columns {
                    let quoted = format!("\"{}\"", column.name);
                    assert_eq!(table.create().matches(&quoted).count(), 1, "{quoted}");
                    assert_eq!(inserts.matches(&quoted).count(), 1, "{quoted}");
                }
                let has_schema = table.quoted().starts_with("\"billing\".");
                assert_eq!(has_schema, language == Language::Postgres);
            }
        }
    }
}
