//! What do the tests of the program share? The program itself, run as an operator runs it.

#![allow(dead_code, reason = "each test file uses a part")]

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// What a run gave.
#[derive(Debug)]
pub struct Run {
    pub status: i32,
    pub out: String,
    pub error: String,
}

/// Runs the program without any of the variables that it looks at.
pub fn llmctl<S: AsRef<std::ffi::OsStr>>(args: &[S]) -> Run {
    run(command().args(args))
}

pub fn command() -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_llmctl"));
    command.env_clear().env("PATH", std::env::var_os("PATH").unwrap_or_default()).env("USER", "op");
    command
}

pub fn run(command: &mut Command) -> Run {
    let output = command.stdin(Stdio::null()).output().unwrap();
    Run {
        status: output.status.code().unwrap_or(-1),
        out: String::from_utf8(output.stdout).unwrap(),
        error: String::from_utf8(output.stderr).unwrap(),
    }
}

impl Run {
    /// The result of a run that must succeed.
    pub fn ok(self) -> String {
        assert_eq!(self.status, 0, "{self:?}");
        self.out
    }

    /// What a run that must fail says.
    pub fn fails(self, status: i32) -> String {
        assert_eq!(self.status, status, "{self:?}");
        assert!(!self.error.contains("panicked"), "{self:?}");
        format!("{}{}", self.out, self.error)
    }
}

pub fn data(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data").join(name)
}

/// A folder with a copy of a manifest in which some words were replaced.
pub fn changed(name: &str, replacements: &[(&str, &str)]) -> (tempfile::TempDir, PathBuf) {
    let folder = tempfile::tempdir().unwrap();
    let mut text = std::fs::read_to_string(data(name)).unwrap();
    for (old, new) in replacements {
        assert!(text.contains(old), "{name} has no {old:?}");
        text = text.replacen(old, new, 1);
    }
    let path = folder.path().join(name);
    std::fs::write(&path, text).unwrap();
    (folder, path)
}
