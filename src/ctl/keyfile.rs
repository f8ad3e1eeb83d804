//! How is the clients' key file kept? One writer at a time, written whole or not at all, and never
//! readable for everybody: hashes of weak imported secrets could be tried out.

use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::time::Duration;

use llm_core::auth::client::{Digest, SALT_BYTES, Table};

use crate::command::hint;
use crate::files::{self, Lock};
use crate::publish::workers::Workers;

/// Another command is done by then.
const LOCK_WAIT: Duration = Duration::from_secs(10);

/// A secret's random bytes.
const SECRET_BYTES: usize = 32;

/// A key file that nobody else changes meanwhile.
pub struct KeyFile {
    path: PathBuf,
    /// The keys.
    pub table: Table,
    _lock: Lock,
}

/// The keys, to look at them.
pub fn read(path: &Path) -> Result<Table, String> {
    check_permissions(path)?;
    let name = path.display();
    let bytes = fs::read(path).map_err(|why| {
        let why = files::told(&why);
        format!("key file \"{name}\" cannot be read: {why}")
    })?;
    Table::parse(&bytes).map_err(|why| format!("key file \"{name}\" {why}"))
}

/// Refuses a file that everybody may read or write.
pub fn check_permissions(path: &Path) -> Result<(), String> {
    let Ok(metadata) = fs::metadata(path) else { return Ok(()) };
    let mode = metadata.permissions().mode() & 0o7777;
    if mode & 0o007 == 0 {
        return Ok(());
    }
    let name = path.display();
    Err(format!(
        "key file \"{name}\" is open to everybody (mode {mode:04o}), run: chmod 640 {name}"
    ))
}

impl KeyFile {
    /// Opens a file whose keys are to be changed.
    pub fn open(path: &Path) -> Result<Self, String> {
        if let Err(why) = fs::metadata(path) {
            let (name, why) = (path.display(), files::told(&why));
            return Err(format!("key file \"{name}\" cannot be read: {why}"));
        }
        Self::open_or_new(path)
    }

    /// Opens a file to add keys to it; a file that is not there has none.
    pub fn open_or_new(path: &Path) -> Result<Self, String> {
        let name = path.display();
        let folder = files::folder(path);
        if !folder.is_dir() {
            return Err(format!(
                "key file \"{name}\" cannot be made: there is no folder \"{}\" that you may enter",
                folder.display()
            ));
        }
        let lock_path = PathBuf::from(format!("{name}.lock"));
        let lock = files::lock(&lock_path, LOCK_WAIT)
            .map_err(|why| {
                let (lock, why) = (lock_path.display(), files::told(&why));
                format!("key file \"{name}\" cannot be changed, for want of \"{lock}\": {why}")
            })?
            .ok_or_else(|| format!("key file \"{name}\" is being changed by another command"))?;
        let table = if path.exists() { read(path)? } else { Table::default() };
        Ok(Self { path: path.to_owned(), table, _lock: lock })
    }

    /// Writes the keys back. A new file belongs to its folder's group, so that a folder that was given to
    /// nginx's workers is enough.
    pub fn save(&self) -> Result<(), String> {
        let text = self.table.to_string();
        let is_new = !self.path.exists();
        files::replace(&self.path, text.as_bytes(), files::PRIVATE).map_err(|why| {
            format!("key file \"{}\" cannot be written: {why}", self.path.display())
        })?;
        if let (true, Ok(folder)) = (is_new, fs::metadata(files::folder(&self.path))) {
            // Who is in that group may; for the others the file stays theirs.
            let _ = std::os::unix::fs::chown(&self.path, None, Some(folder.gid()));
        }
        if let Some(advice) = self.advice() {
            hint(&advice);
        }
        Ok(())
    }

    /// What to do so that the workers see changes: nginx's main process reads root's own file at its start,
    /// they could not.
    fn advice(&self) -> Option<String> {
        let metadata = fs::metadata(&self.path).ok()?;
        let Workers { user, gid } = Workers::find(None).ok()??;
        (metadata.uid() == 0 && metadata.gid() == 0).then(|| {
            let name = self.path.display();
            format!(
                "only root can read \"{name}\": nginx's workers do not see the change if they run as \
                 \"{user}\"; run: chgrp {gid} {name}"
            )
        })
    }
}

/// A new secret, and what is stored of it.
pub fn new_secret() -> Result<(String, Digest), String> {
    let mut bytes = [0; SECRET_BYTES];
    random(&mut bytes)?;
    let secret: String = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
    let digest = digest(&secret)?;
    Ok((secret, digest))
}

/// What is stored of a secret.
pub fn digest(secret: &str) -> Result<Digest, String> {
    let mut salt = [0; SALT_BYTES];
    random(&mut salt)?;
    Ok(Digest::new(salt, secret.as_bytes()))
}

fn random(bytes: &mut [u8]) -> Result<(), String> {
    getrandom::fill(bytes).map_err(|why| format!("the system gives no random bytes: {why}"))
}
