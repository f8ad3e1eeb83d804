//! Where is a row that a database refuses for good? In a file beside the journal, as a line with the
//! reason, so that the rows behind it go on and nothing is lost.

use std::io;
use std::path::Path;

use llm_core::cost::CostEvent;

use crate::journal::DEAD_LETTER_FILE;
use crate::lines::LineFile;
use crate::ship::Delivered;
use crate::sink::Failure;

/// Refused rows of all owners and sinks.
#[derive(Debug)]
pub(crate) struct DeadLetters(LineFile);

impl DeadLetters {
    pub(crate) fn new(directory: &Path) -> Self {
        Self(LineFile::new(&directory.join(DEAD_LETTER_FILE)))
    }

    /// The refused rows of a batch; where they cannot be set aside, the batch is not done.
    pub(crate) fn add_refused<'a>(
        &mut self,
        sink: &str,
        delivered: Delivered<'a>,
    ) -> Result<Delivered<'a>, Failure> {
        if !delivered.refused.is_empty() {
            self.add(sink, &delivered.refused).map_err(|error| {
                Failure::moment(format_args!("writing the dead-letter file: {error}"))
            })?;
        }
        Ok(delivered)
    }

    /// On disk when it returns.
    fn add(&mut self, sink: &str, refused: &[(&CostEvent, String)]) -> io::Result<()> {
        let mut lines = String::new();
        for (event, reason) in refused {
            let event_line = event.to_json_line();
            lines.push_str("{\"sink\":\"");
            lines.push_str(sink);
            lines.push_str("\",\"reason\":\"");
            reason.chars().for_each(|c| escape(c, &mut lines));
            lines.push_str("\",\"event\":");
            lines.push_str(event_line.trim_end());
            lines.push_str("}\n");
        }
        self.0.append(lines.as_bytes()).map(|_| ())
    }
}

fn escape(c: char, out: &mut String) {
    match c {
        '"' => out.push_str("\\\""),
        '\\' => out.push_str("\\\\"),
        c if c.is_control() => out.push(' '),
        c => out.push(c),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_dead_letter_is_a_json_line_with_sink_reason_and_event() {
        let directory = tempfile::tempdir().unwrap();
        let event = CostEvent { event_id: "e1".into(), ..CostEvent::default() };
        let reason = "value \"a\\b\"\nis\u{1} bad".to_owned();
        let mut letters = DeadLetters::new(directory.path());
        letters.add("sqlite", &[(&event, reason)]).unwrap();
        letters.add("postgres", &[(&event, String::new())]).unwrap();
        let text = std::fs::read_to_string(directory.path().join(DEAD_LETTER_FILE)).unwrap();
        let lines: Vec<serde_json::Value> =
            text.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
        assert_eq!(lines.len(), 2);
        assert_eq!(lines[0]["sink"], "sqlite");
        assert_eq!(lines[0]["reason"], "value \"a\\b\" is  bad");
        assert_eq!(lines[0]["event"]["event_id"], "e1");
    }
}
