//! What does an event look like in a file of JSON lines? Names and order are those of the columns;
//! amounts are strings, because many readers of JSON make floats of numbers.

use std::fmt::Write as _;

use super::CostEvent;
use super::row::{ATTEMPT_COLUMNS, COLUMNS, Column, Value};

/// The column whose text is JSON already.
const TAGS: &str = "tags";

impl CostEvent {
    /// One line without its end. Attempts stand in `attempt_rows`, tags are an object.
    #[must_use]
    pub fn to_json_line(&self) -> String {
        let mut line = String::with_capacity(1024 + 512 * self.attempts.len());
        object(&mut line, COLUMNS, self.row());
        // In the object, not behind it.
        line.truncate(line.len() - 1);
        line.push_str(",\"attempt_rows\":[");
        for (at, row) in self.attempt_rows().enumerate() {
            if at > 0 {
                line.push(',');
            }
            object(&mut line, ATTEMPT_COLUMNS, row);
        }
        line.push_str("]}");
        line
    }
}

fn object<'a>(line: &mut String, columns: &[Column], row: impl Iterator<Item = Value<'a>>) {
    line.push('{');
    for (at, (column, value)) in columns.iter().zip(row).enumerate() {
        if at > 0 {
            line.push(',');
        }
        string(line, column.name);
        line.push(':');
        match value {
            Value::Text(json) if column.name == TAGS => line.push_str(&json),
            value => put(line, &value),
        }
    }
    line.push('}');
}

/// Writing to a string cannot fail.
fn put(line: &mut String, value: &Value<'_>) {
    let _ = match value {
        Value::Null => line.write_str("null"),
        Value::Text(text) => {
            string(line, text);
            Ok(())
        }
        Value::Integer(number) | Value::TimestampMs(number) => write!(line, "{number}"),
        Value::Boolean(yes) => write!(line, "{yes}"),
        Value::Decimal(amount) => write!(line, "\"{amount}\""),
    };
}

/// A JSON string. Line separators of Unicode are escaped too: some readers end a line there.
pub(super) fn string(line: &mut String, text: &str) {
    line.push('"');
    for c in text.chars() {
        match c {
            '"' => line.push_str("\\\""),
            '\\' => line.push_str("\\\\"),
            '\n' => line.push_str("\\n"),
            '\r' => line.push_str("\\r"),
            '\t' => line.push_str("\\t"),
            c if c.is_control() || matches!(c, '\u{2028}' | '\u{2029}') => {
                let _ = write!(line, "\\u{:04x}", u32::from(c));
            }
            c => line.push(c),
        }
    }
    line.push('"');
}

#[cfg(test)]
mod tests;
