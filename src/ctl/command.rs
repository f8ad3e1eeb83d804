//! The commands, one file each. A command writes its result to `out`, says what else is to know on the
//! error output, and ends with a status for pipelines.

pub mod check;
pub mod control;
pub mod diff;
pub mod doctor;
pub mod key;
pub mod publish;
pub mod reference;
pub mod render;
pub mod spend;
pub mod top;

use std::fmt;
use std::io::{self, Write};

/// How a command ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Done {
    /// 0: all is well.
    Well,
    /// 1: errors, or differences.
    Found,
    /// 2: warnings, where they count.
    Doubtful,
}

/// Why a command could not do its work; for people, never with a secret.
#[derive(Debug)]
pub struct Failure {
    text: String,
    /// The reader went away.
    pub is_broken_pipe: bool,
}

impl Failure {
    /// With a sentence that says what to change.
    pub fn new(text: impl Into<String>) -> Self {
        Self { text: text.into(), is_broken_pipe: false }
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl From<String> for Failure {
    fn from(text: String) -> Self {
        Self::new(text)
    }
}

impl From<io::Error> for Failure {
    fn from(why: io::Error) -> Self {
        let is_broken_pipe = why.kind() == io::ErrorKind::BrokenPipe;
        Self { text: why.to_string(), is_broken_pipe }
    }
}

impl From<serde_json::Error> for Failure {
    fn from(why: serde_json::Error) -> Self {
        io::Error::from(why).into()
    }
}

/// Says something beside the result.
pub fn hint(text: &str) {
    let mut error = anstream::stderr().lock();
    // Whoever closed the error output does not want to know.
    let _ = writeln!(error, "{text}");
}
