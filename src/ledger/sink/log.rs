//! Rows as lines of JSON in a file, which may be renamed at any time.

use std::collections::HashSet;
use std::io;
use std::path::Path;
use std::time::Duration;

use llm_core::cost::{CostEvent, Pico};

use super::{Delivery, Failure, Sink};
use crate::journal::Mark;
use crate::lines::LineFile;
use crate::sum::Filter;

/// The `log` backend.
#[derive(Debug)]
pub struct Log {
    file: LineFile,
    lines: String,
}

impl Log {
    /// Created with the first row, its directory too.
    #[must_use]
    pub fn new(path: &Path) -> Self {
        Self { file: LineFile::new(path), lines: String::new() }
    }

    /// A file has no index: what was written by a batch whose end was not noted is looked for.
    fn without_written(
        &mut self,
        rows: &[&CostEvent],
        since: Option<Mark>,
    ) -> io::Result<HashSet<usize>> {
        let mut written = HashSet::new();
        let Some(since) = since else { return Ok(written) };
        let starts: Vec<String> = rows.iter().map(|row| line_start(row)).collect();
        let by_start: std::collections::HashMap<&[u8], usize> =
            starts.iter().enumerate().map(|(at, start)| (start.as_bytes(), at)).collect();
        self.file.lines_since(since, |line| {
            let start = line.iter().position(|&byte| byte == b',').and_then(|end| line.get(..=end));
            if let Some(&at) = start.and_then(|start| by_start.get(start)) {
                written.insert(at);
            }
        })?;
        Ok(written)
    }
}

/// The event's id stands first; it is hexadecimal and has no comma.
fn line_start(row: &CostEvent) -> String {
    format!("{{\"event_id\":\"{}\",", row.event_id)
}

impl Sink for Log {
    fn name(&self) -> &'static str {
        "log"
    }

    fn write(&mut self, delivery: Delivery<'_>) -> Result<Mark, Failure> {
        let written = self.without_written(delivery.rows, delivery.since).map_err(failure)?;
        self.lines.clear();
        for (at, row) in delivery.rows.iter().enumerate() {
            if !written.contains(&at) {
                self.lines.push_str(row.to_json_line().trim_end());
                self.lines.push('\n');
            }
        }
        if self.lines.is_empty() {
            return Ok(self.mark());
        }
        self.file.append(self.lines.as_bytes()).map_err(failure)
    }

    fn mark(&mut self) -> Mark {
        self.file.mark().unwrap_or_default()
    }

    fn is_connected(&self) -> bool {
        self.file.is_open()
    }

    fn sum(&mut self, _: &Filter<'_>, _: Duration) -> Result<Pico, Failure> {
        Err(Failure::moment("a log has no sums"))
    }
}

fn failure(error: io::Error) -> Failure {
    Failure::moment(error)
}

#[cfg(test)]
mod tests;
