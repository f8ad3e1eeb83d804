//! How is a file written so that it is there whole, or not at all? Key files, revisions and the switch
//! between them go through here.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use rustix::fs::{FlockOperation, flock};
use rustix::io::Errno;

/// What a program keeps for itself and its group.
pub const PRIVATE: u32 = 0o640;

/// What the system says, with what helps a new operator.
pub fn told(why: &io::Error) -> String {
    match why.kind() {
        io::ErrorKind::PermissionDenied => format!("{why}, try it with sudo"),
        _ => why.to_string(),
    }
}

/// Writes a file beside its place and moves it there. Owner and group of the old one stay.
pub fn replace(path: &Path, bytes: &[u8], mode: u32) -> io::Result<()> {
    // The link itself must stay a link.
    let path = fs::canonicalize(path).unwrap_or_else(|_| path.to_owned());
    let folder = folder(&path);
    let mut file = tempfile::Builder::new()
        .prefix(".llmctl-")
        .permissions(fs::Permissions::from_mode(mode))
        .tempfile_in(&folder)?;
    file.write_all(bytes)?;
    if let Ok(old) = fs::metadata(&path) {
        let same = fs::metadata(file.path())?;
        if (old.uid(), old.gid()) != (same.uid(), same.gid()) {
            std::os::unix::fs::fchown(file.as_file(), Some(old.uid()), Some(old.gid()))?;
        }
    }
    file.as_file().set_permissions(fs::Permissions::from_mode(mode))?;
    file.as_file().sync_all()?;
    file.persist(&path).map_err(|why| why.error)?;
    sync_folder(&folder)
}

/// Writes a new file and waits for the disk.
pub fn create(path: &Path, bytes: &[u8], mode: u32) -> io::Result<()> {
    let mut file = OpenOptions::new().write(true).create_new(true).mode(mode).open(path)?;
    file.write_all(bytes)?;
    file.sync_all()
}

/// Waits until the names in a folder are on disk.
pub fn sync_folder(folder: &Path) -> io::Result<()> {
    File::open(folder)?.sync_all()
}

/// The folder of a file.
pub fn folder(path: &Path) -> PathBuf {
    match path.parent() {
        Some(folder) if !folder.as_os_str().is_empty() => folder.to_owned(),
        _ => PathBuf::from("."),
    }
}

/// Holds a lock until it is dropped.
#[derive(Debug)]
pub struct Lock(#[expect(dead_code, reason = "the lock is the open file")] File);

/// Takes the lock of a file, waiting for it so long; `None` is in other hands.
pub fn lock(path: &Path, wait: Duration) -> io::Result<Option<Lock>> {
    let file =
        OpenOptions::new().write(true).create(true).truncate(false).mode(PRIVATE).open(path)?;
    let until = Instant::now() + wait;
    loop {
        match flock(&file, FlockOperation::NonBlockingLockExclusive) {
            Ok(()) => return Ok(Some(Lock(file))),
            Err(Errno::WOULDBLOCK) if Instant::now() < until => {
                std::thread::sleep(Duration::from_millis(20));
            }
            Err(Errno::WOULDBLOCK) => return Ok(None),
            Err(why) => return Err(why.into()),
        }
    }
}
