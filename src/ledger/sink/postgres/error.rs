//! Is a row to blame for what the server says, or the moment? And how is it told without the row?

use std::error::Error as _;

use tokio_postgres::Error;

use crate::sink::{Blame, Failure};

/// Data errors by SQLSTATE: values, constraints, limits of a row, and what a trigger raises.
const OF_DATA: [&str; 4] = ["22", "23", "54", "P0"];

/// The detail is left out: it quotes the row.
impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        let Some(database) = error.as_db_error() else { return Self::moment(with_causes(&error)) };
        let code = database.code().code();
        let mut text = format!("{} (SQLSTATE {code})", database.message());
        for (word, name) in [
            ("table", database.table()),
            ("column", database.column()),
            ("constraint", database.constraint()),
        ] {
            if let Some(name) = name {
                text.push_str(&format!(", {word} \"{name}\""));
            }
        }
        match blame_of(code) {
            Blame::Data => Self::data(text),
            Blame::Moment => Self::moment(text + advice(code)),
        }
    }
}

/// Many errors of a connection say nothing themselves.
fn with_causes(error: &Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        let cause_text = cause.to_string();
        if !text.contains(&cause_text) {
            text.push_str(": ");
            text.push_str(&cause_text);
        }
        source = cause.source();
    }
    text
}

fn blame_of(code: &str) -> Blame {
    let class = code.get(..2).unwrap_or_default();
    if OF_DATA.contains(&class) { Blame::Data } else { Blame::Moment }
}

/// What to change, where the server does not say it.
fn advice(code: &str) -> &'static str {
    match code {
        "25006" => "; the server is read-only, name its primary in \"llm_cost_dsn\"",
        "42501" => "; grant the user SELECT and INSERT on both tables, and CREATE on their schema",
        "42P10" => "; create a unique index on \"event_id\"",
        "55P03" | "57014" => "; something holds a lock on the table, or the server is slow",
        _ => "",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_rows_are_set_aside_for_what_rows_are_to_blame_for() {
        for code in ["22001", "22P02", "22021", "22003", "23502", "23514", "54000", "P0001"] {
            assert_eq!(blame_of(code), Blame::Data, "{code}");
        }
        for code in
            ["08006", "25006", "28P01", "40001", "42501", "42703", "53100", "55P03", "57014", ""]
        {
            assert_eq!(blame_of(code), Blame::Moment, "{code}");
        }
    }
}
