//! Have watched files changed? They are looked at several times a second and read again when they have;
//! one that has gone or cannot be read leaves the present values, and one warning.

use std::fs;
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::auth::Safe;
use crate::client::ClientKeys;
use crate::conf::MainConf;
use crate::ffi::process::Owner;
use crate::ffi::{Level, log, log_from_thread};

/// What is read again when its files change.
enum Source {
    /// The secrets of a location.
    Secrets(Arc<Safe>),
    /// The keys of clients.
    Clients(Arc<ClientKeys>),
}

impl Source {
    fn files(&self) -> Vec<PathBuf> {
        match self {
            Self::Secrets(safe) => safe.files().cloned().collect(),
            Self::Clients(keys) => keys.path().cloned().into_iter().collect(),
        }
    }

    /// Reads the files; what is wrong with them, without what is in them.
    fn read(&self) -> Vec<String> {
        match self {
            Self::Secrets(safe) => safe.read(),
            Self::Clients(keys) => keys.reload().err().into_iter().collect(),
        }
    }

    /// What happens while the workers cannot read its files.
    const fn consequence(&self) -> &'static str {
        match self {
            Self::Secrets(_) => "a secret that is changed there would take effect at a reload only",
            Self::Clients(_) => {
                "keys that are issued, suspended or revoked there would take effect at a reload only"
            }
        }
    }
}

/// Files, and how they were when they were last looked at.
pub struct Watched {
    source: Source,
    seen: Vec<(PathBuf, Seen)>,
}

/// What is known of a file.
#[derive(Clone, PartialEq, Eq)]
enum Seen {
    /// It was not looked at yet.
    Never,
    /// It cannot be looked at: it is gone, or its folder is closed.
    Not(io::ErrorKind),
    /// It is there.
    There(Stamp),
}

/// What changes when a file is written or replaced, or when others may read it than before.
#[derive(Clone, PartialEq, Eq)]
struct Stamp {
    device: u64,
    inode: u64,
    bytes: u64,
    modified: (i64, i64),
    changed: (i64, i64),
}

impl Watched {
    /// Everything that is watched.
    pub fn all(conf: &MainConf) -> Vec<Self> {
        let safes = conf.safes.iter().filter(|safe| safe.files().next().is_some());
        let safes = safes.map(|safe| Source::Secrets(safe.clone()));
        let clients = conf.client_keys.iter().map(|keys| Source::Clients(keys.clone()));
        safes.chain(clients).map(Self::new).collect()
    }

    fn new(source: Source) -> Self {
        // What was read so far is the main process's: a worker that takes another one's place, perhaps
        // long after the start, looks at the files itself.
        let seen = source.files().into_iter().map(|path| (path, Seen::Never)).collect();
        Self { source, seen }
    }

    /// Reads what has changed.
    pub fn look(&mut self) {
        let mut changed = false;
        for (path, seen) in &mut self.seen {
            let now = look_at(path);
            if now != *seen {
                *seen = now;
                changed = true;
            }
        }
        if changed {
            for text in self.source.read() {
                log_from_thread(Level::Warn, &format!("llm: {text}"));
            }
        }
    }
}

fn look_at(path: &Path) -> Seen {
    match fs::metadata(path) {
        Ok(meta) => Seen::There(Stamp {
            device: meta.dev(),
            inode: meta.ino(),
            bytes: meta.len(),
            modified: (meta.mtime(), meta.mtime_nsec()),
            // A mended owner or mode changes nothing else.
            changed: (meta.ctime(), meta.ctime_nsec()),
        }),
        Err(error) => Seen::Not(error.kind()),
    }
}

/// Warns of files that the main process has read as root and that the workers cannot.
pub fn check_access(conf: &MainConf, workers: Owner) {
    let watched = Watched::all(conf);
    let mut files: Vec<_> = watched
        .iter()
        .flat_map(|one| one.seen.iter().map(|(path, _)| (path.clone(), one.source.consequence())))
        .collect();
    files.sort();
    files.dedup();
    let paths = files.iter().map(|(path, _)| path.clone()).collect();
    let (user, group) = (workers.name(), workers.group());
    for ((path, consequence), barred) in files.iter().zip(workers.barred_from(paths)) {
        let Some(barred) = barred else { continue };
        let shown = path.display();
        let mend = if barred.is_by_folder {
            format!("open the folders above it, for example with chgrp {group} and chmod g+x")
        } else {
            format!("run chgrp {group} {shown} && chmod g+r {shown}")
        };
        log(
            Level::Warn,
            &format!(
                "llm: the workers' user \"{user}\" cannot read \"{shown}\" ({}): {consequence}; {mend}",
                barred.error
            ),
        );
    }
}
