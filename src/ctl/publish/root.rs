//! What is in a publication's folder? `revisions/NNNN`, `current`, `audit.log`, `lock`, `client.keys`, and
//! folders for logs and what nginx keeps.

use std::fs;
use std::io;
use std::os::unix::fs::{DirBuilderExt, symlink};
use std::path::{Path, PathBuf};
use std::time::Duration;

use sha2::{Digest, Sha256};

use super::audit::{self, Entry};
use super::workers::Workers;
use crate::files::{self, Lock};
use crate::keyfile::KeyFile;

const MAIN: &str = "nginx.conf";

/// The key file of a root whose manifest names no other.
pub const KEYS: &str = "client.keys";

/// A publication's folder.
#[derive(Debug)]
pub struct Root(PathBuf);

impl Root {
    /// The folder; with [`Root::make`] it is made.
    pub fn open(path: &Path) -> Result<Self, String> {
        let name = path.display();
        let found = fs::canonicalize(path)
            .and_then(|path| fs::read_dir(path.join("revisions")).map(|_| path));
        found.map(Self).map_err(|why| match why.kind() {
            io::ErrorKind::PermissionDenied => {
                format!("root \"{name}\" cannot be read: {}", files::told(&why))
            }
            _ => format!("\"{name}\" is no root of publications, make one with: llmctl publish"),
        })
    }

    /// The folder as it would be, for who only looks.
    pub fn planned(path: &Path) -> Result<Self, String> {
        let found = fs::canonicalize(path).or_else(|_| std::path::absolute(path));
        found.map(Self).map_err(|why| format!("\"{}\" is no folder: {why}", path.display()))
    }

    /// The folder, made where it is missing, with room for nginx's workers.
    pub fn make(path: &Path, workers: Option<&Workers>) -> Result<Self, String> {
        let made = || -> io::Result<PathBuf> {
            for name in ["", "revisions", "logs", "run", "tmp"] {
                let folder = path.join(name);
                fs::DirBuilder::new().recursive(true).mode(0o750).create(&folder)?;
                if let Some(workers) = workers {
                    workers.share_folder(&folder)?;
                }
            }
            fs::canonicalize(path)
        };
        let name = path.display();
        made()
            .map(Self)
            .map_err(|why| format!("root \"{name}\" cannot be made: {}", files::told(&why)))
    }

    /// Its path.
    pub fn path(&self) -> &Path {
        &self.0
    }

    /// Something in it.
    pub fn file(&self, name: &str) -> PathBuf {
        self.0.join(name)
    }

    /// The root's own key file: nginx does not start without it, and its workers read it again when it
    /// changes.
    pub fn make_keys(&self, workers: Option<&Workers>) -> Result<(), String> {
        let path = self.file(KEYS);
        if !path.exists() {
            KeyFile::open_or_new(&path)?.save()?;
        }
        let Some(workers) = workers else { return Ok(()) };
        workers.share_file(&path).map_err(|why| {
            let (name, user) = (path.display(), &workers.user);
            format!("key file \"{name}\" cannot be given to the group of \"{user}\": {why}")
        })
    }

    /// Keeps every other publication out.
    pub fn lock(&self) -> Result<Lock, String> {
        let path = self.file("lock");
        files::lock(&path, Duration::ZERO)
            .map_err(|why| {
                format!("\"{}\" cannot be locked: {}", path.display(), files::told(&why))
            })?
            .ok_or_else(|| {
                format!(
                    "another publication is at work in \"{}\", try again when it is done",
                    self.0.display()
                )
            })
    }

    /// All revisions, oldest first.
    pub fn revisions(&self) -> Vec<u32> {
        let entries = fs::read_dir(self.file("revisions")).into_iter().flatten().flatten();
        let mut numbers: Vec<u32> = entries
            .filter_map(|entry| entry.file_name().to_str().and_then(|name| name.parse().ok()))
            .collect();
        numbers.sort_unstable();
        numbers
    }

    /// A revision's folder.
    pub fn folder(&self, revision: u32) -> PathBuf {
        self.0.join("revisions").join(format!("{revision:04}"))
    }

    /// The revision in use.
    pub fn current(&self) -> Option<u32> {
        let target = fs::read_link(self.file("current")).ok()?;
        target.file_name()?.to_str()?.parse().ok()
    }

    /// The number for a new revision; those of the log are taken, too, even if their folders are gone.
    pub fn next(&self) -> Result<u32, String> {
        let logged =
            audit::read(&self.file("audit.log"))?.iter().filter_map(|line| line.revision).max();
        Ok(self.revisions().last().copied().max(logged).unwrap_or(0) + 1)
    }

    /// Writes a revision: whole or not at all.
    pub fn write(&self, revision: u32, texts: &[(String, Vec<u8>)]) -> Result<(), String> {
        let folder = self.folder(revision);
        let beside = self.0.join("revisions").join(format!(".{revision:04}.new"));
        let written = || -> io::Result<()> {
            if beside.exists() {
                fs::remove_dir_all(&beside)?;
            }
            fs::DirBuilder::new().mode(0o755).create(&beside)?;
            for (name, bytes) in texts {
                files::create(&beside.join(name), bytes, 0o644)?;
            }
            files::sync_folder(&beside)?;
            fs::rename(&beside, &folder)?;
            files::sync_folder(&self.file("revisions"))
        };
        written().map_err(|why| {
            // What is half written must not be taken for a revision.
            let _ = fs::remove_dir_all(&beside);
            format!("revision {revision:04} cannot be written, nothing was changed: {why}")
        })
    }

    /// Removes a revision that did not come into use.
    pub fn remove(&self, revision: u32) {
        if self.current() != Some(revision) {
            let _ = fs::remove_dir_all(self.folder(revision));
        }
    }

    /// Makes a revision current: one rename.
    pub fn point_to(&self, revision: u32) -> Result<(), String> {
        let folder = self.folder(revision);
        if !folder.join(MAIN).is_file() {
            return Err(format!("there is no revision {revision:04}, see: llmctl history"));
        }
        let beside = self.file(".current.new");
        let pointed = || -> io::Result<()> {
            let _ = fs::remove_file(&beside);
            symlink(format!("revisions/{revision:04}"), &beside)?;
            fs::rename(&beside, self.file("current"))?;
            files::sync_folder(&self.0)
        };
        pointed().map_err(|why| format!("\"current\" cannot be changed: {why}"))
    }

    /// Before the first revision.
    pub fn point_to_nothing(&self) -> io::Result<()> {
        fs::remove_file(self.file("current"))
    }

    /// The manifest of a revision.
    pub fn manifest(&self, revision: u32) -> Option<PathBuf> {
        let folder = self.folder(revision);
        let names = ["manifest.yaml", "manifest.json"];
        names.iter().map(|name| folder.join(name)).find(|path| path.is_file())
    }

    /// The hash of a revision's manifest.
    pub fn manifest_hash(&self, revision: u32) -> Option<String> {
        Some(hex(&fs::read(self.manifest(revision)?).ok()?))
    }

    /// Adds to the audit log.
    pub fn audit(&self, entry: &Entry) -> Result<(), String> {
        audit::append(&self.file("audit.log"), entry)
    }
}

/// SHA-256 in hexadecimal digits.
pub fn hex(bytes: &[u8]) -> String {
    Sha256::digest(bytes).iter().map(|byte| format!("{byte:02x}")).collect()
}
