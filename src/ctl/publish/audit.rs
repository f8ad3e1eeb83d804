//! Who changed what, when and why? One line of JSON for each attempt. Each line holds the hash of the one
//! before, and the last hash stands beside, so that a line cannot be changed, removed or cut off
//! unseen by who does not rewrite all that follows. Keep the last hash elsewhere to notice that, too.

use std::fs::{self, OpenOptions};
use std::io::Write;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::root::hex;
use crate::{files, time};

/// What was attempted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Action {
    /// A new revision.
    Publish,
    /// An old one.
    Rollback,
}

/// What a command tells.
#[derive(Debug, Clone)]
pub struct Entry {
    /// What was attempted.
    pub action: Action,
    /// With which revision.
    pub revision: Option<u32>,
    /// The one that was in use.
    pub previous: Option<u32>,
    /// The operator's reason.
    pub why: Option<String>,
    /// `ok`, `refused` or `rolled back`.
    pub result: String,
    /// What went wrong.
    pub detail: Option<String>,
    /// The manifest's hash.
    pub manifest: Option<String>,
}

/// A line of the log.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Line {
    /// Counted from 1.
    pub seq: u64,
    /// When.
    pub time: String,
    /// Who.
    pub who: String,
    /// What was attempted.
    pub action: Action,
    /// With which revision.
    pub revision: Option<u32>,
    /// The one that was in use.
    pub previous: Option<u32>,
    /// The operator's reason.
    pub why: Option<String>,
    /// `ok`, `refused` or `rolled back`.
    pub result: String,
    /// What went wrong.
    pub detail: Option<String>,
    /// The manifest's hash.
    pub manifest: Option<String>,
    /// The hash of the line before.
    pub before: String,
    /// The hash of this one, made while it is empty.
    pub hash: String,
}

impl Line {
    fn own_hash(&self) -> Result<String, String> {
        let bare = Self { hash: String::new(), ..self.clone() };
        serde_json::to_vec(&bare).map(|bytes| hex(&bytes)).map_err(|why| why.to_string())
    }
}

fn head(log: &Path) -> PathBuf {
    log.with_extension("head")
}

/// Adds a line. The caller holds the root's lock.
pub fn append(log: &Path, entry: &Entry) -> Result<(), String> {
    let name = log.display();
    let lines = read(log)?;
    let last = lines.last();
    let mut line = Line {
        seq: last.map_or(1, |line| line.seq + 1),
        time: time::told(time::now_s()),
        who: who(),
        action: entry.action,
        revision: entry.revision,
        previous: entry.previous,
        why: entry.why.clone(),
        result: entry.result.clone(),
        detail: entry.detail.clone(),
        manifest: entry.manifest.clone(),
        before: last.map_or_else(String::new, |line| line.hash.clone()),
        hash: String::new(),
    };
    line.hash = line.own_hash()?;
    let written = || -> std::io::Result<()> {
        let mut text = serde_json::to_vec(&line)?;
        text.push(b'\n');
        let mut options = OpenOptions::new();
        let mut file = options.append(true).create(true).mode(files::PRIVATE).open(log)?;
        let before = file.metadata()?.len();
        if let Err(why) = file.write_all(&text) {
            // Half a line would be taken for a forgery.
            file.set_len(before)?;
            return Err(why);
        }
        file.sync_all()?;
        let noted = files::replace(&head(log), line.hash.as_bytes(), files::PRIVATE);
        if noted.is_err() {
            // So would a line that is not the last one by what stands beside.
            file.set_len(before)?;
        }
        noted
    };
    written().map_err(|why| format!("audit log \"{name}\" cannot be written: {why}"))
}

/// Every line; a log that is not there has none.
pub fn read(log: &Path) -> Result<Vec<Line>, String> {
    let name = log.display();
    let text = match fs::read_to_string(log) {
        Ok(text) => text,
        Err(why) if why.kind() == std::io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(why) => return Err(format!("audit log \"{name}\" cannot be read: {why}")),
    };
    let lines = (1..).zip(text.lines());
    lines
        .map(|(number, line)| {
            serde_json::from_str(line)
                .map_err(|why| format!("{name}:{number}: not a line of ours: {why}"))
        })
        .collect()
}

/// The first place where the chain does not hold.
pub fn verify(log: &Path) -> Result<Vec<Line>, String> {
    let name = log.display();
    let lines = read(log)?;
    let mut before = String::new();
    for (number, line) in (1..).zip(&lines) {
        if line.seq != number || line.before != before {
            return Err(format!("{name}:{number}: a line before this one was removed or added"));
        }
        if line.own_hash()? != line.hash {
            return Err(format!("{name}:{number}: this line was changed"));
        }
        before.clone_from(&line.hash);
    }
    match fs::read_to_string(head(log)) {
        Ok(last) if last.trim() != before => {
            Err(format!("{name}:{}: lines behind this one were removed", lines.len()))
        }
        Err(_) if !lines.is_empty() => {
            Err(format!("\"{}\" is missing, the end of the log is not sure", head(log).display()))
        }
        _ => Ok(lines),
    }
}

/// The person behind `sudo`, else the user.
fn who() -> String {
    let variable = |name: &str| std::env::var(name).ok().filter(|value| !value.is_empty());
    let user = variable("SUDO_USER").or_else(|| variable("USER")).or_else(|| variable("LOGNAME"));
    let uid = rustix::process::getuid().as_raw();
    let host = rustix::system::uname().nodename().to_string_lossy().into_owned();
    format!("{}@{host}", user.unwrap_or_else(|| format!("uid {uid}")))
}
