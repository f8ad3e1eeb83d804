//! Does the running nginx have the new configuration? It is told by a signal, and asked by a request: a
//! reload that fails half-way leaves the old workers, which answer with their own revision.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process, test_kill_process};

use super::root::Root;
use crate::command::check;
use crate::status;

/// How often it is asked.
const PAUSE: Duration = Duration::from_millis(20);

/// How long an answer may take.
const ANSWER: Duration = Duration::from_secs(1);

/// How long the new revision must have answered alone: nginx lets its old workers accept for a tenth of
/// a second beside the new ones.
const ALONE: Duration = Duration::from_millis(400);

/// The nginx that serves a root.
#[derive(Debug)]
pub struct Gateway {
    /// The program.
    pub nginx: PathBuf,
    /// The file with its process id.
    pub pid: PathBuf,
    /// Where it tells its revision.
    pub revision_url: String,
}

/// What became of a reload.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reloaded {
    /// The revision answers.
    Answers,
    /// There is nobody to tell.
    NotRunning,
}

impl Gateway {
    /// Lets nginx test a configuration.
    pub fn test(&self, main: &Path, prefix: &Path) -> Result<(), String> {
        check::test(&self.nginx, main, prefix)
    }

    /// Tells nginx, and waits until the revision answers.
    pub fn reload(&self, revision: &str, wait: Duration) -> Result<Reloaded, String> {
        let Some(pid) = self.running() else { return Ok(Reloaded::NotRunning) };
        kill_process(pid, Signal::HUP).map_err(|why| {
            format!("nginx (process {}) cannot be told to reload: {why}", pid.as_raw_nonzero())
        })?;
        let until = Instant::now() + wait + ALONE;
        let mut alone_since = None;
        loop {
            let said = match status::get(&self.revision_url, ANSWER) {
                Ok(text) if text.trim() == revision => {
                    let since = *alone_since.get_or_insert_with(Instant::now);
                    if since.elapsed() >= ALONE {
                        return Ok(Reloaded::Answers);
                    }
                    "it does not answer alone".to_owned()
                }
                Ok(text) => {
                    alone_since = None;
                    let old: String = text.trim().chars().take(20).collect();
                    format!("revision \"{}\" still answers", old.escape_debug())
                }
                Err(why) => {
                    alone_since = None;
                    why
                }
            };
            if Instant::now() >= until {
                return Err(format!("after {} s {said}", wait.as_secs()));
            }
            std::thread::sleep(PAUSE);
        }
    }

    fn running(&self) -> Option<Pid> {
        let text = fs::read_to_string(&self.pid).ok()?;
        let pid = Pid::from_raw(text.trim().parse().ok()?)?;
        // It may belong to another user, whom we may not signal.
        match test_kill_process(pid) {
            Err(rustix::io::Errno::SRCH) => None,
            _ => Some(pid),
        }
    }

    /// How nginx is started on a root.
    pub fn start_command(&self, root: &Root) -> String {
        let root = root.path().display();
        format!("{} -p {root}/ -c {root}/current/nginx.conf", self.nginx.display())
    }
}
