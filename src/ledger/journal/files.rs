//! Which files are in a journal's directory, and whose are they? Names are
//! `<owner>-<number>.journal`, `<owner>.lock` and `<owner>.<sink>.cursor`.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::File;
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

const SEGMENT: &str = ".journal";
const LOCK: &str = ".lock";
const CURSOR: &str = ".cursor";
/// Where a file is written before it gets its name.
const TEMPORARY: &str = ".tmp";

/// Rows that a sink refused for good.
pub const DEAD_LETTER_FILE: &str = "dead-letter.jsonl";

/// What is in the directory.
#[derive(Debug, Default)]
pub(crate) struct Listing {
    /// The segments of each owner by number, with their length in bytes.
    pub(crate) segments: BTreeMap<String, BTreeMap<u64, u64>>,
    /// Who has a lock file, locked or not.
    pub(crate) owners: BTreeSet<String>,
    /// All files together.
    pub(crate) total_bytes: u64,
}

impl Listing {
    /// Looks; a file that disappears meanwhile is not there.
    pub(crate) fn of(directory: &Path) -> io::Result<Self> {
        let mut listing = Self::default();
        for entry in std::fs::read_dir(directory)? {
            let entry = entry?;
            let Ok(metadata) = entry.metadata() else { continue };
            listing.total_bytes += metadata.len();
            let file_name = entry.file_name();
            let Some(name) = file_name.to_str() else { continue };
            if let Some((owner, number)) = parse_segment(name) {
                let segments = listing.segments.entry(owner.to_owned()).or_default();
                segments.insert(number, metadata.len());
            } else if let Some(owner) = name.strip_suffix(LOCK).filter(|name| is_owner(name)) {
                listing.owners.insert(owner.to_owned());
            }
        }
        Ok(listing)
    }

    /// Owners that left anything.
    pub(crate) fn all_owners(&self) -> BTreeSet<&str> {
        self.owners.iter().chain(self.segments.keys()).map(String::as_str).collect()
    }
}

/// The segments of one owner by number.
pub(crate) fn segments_of(directory: &Path, owner: &str) -> io::Result<BTreeMap<u64, u64>> {
    Ok(Listing::of(directory)?.segments.remove(owner).unwrap_or_default())
}

pub(crate) fn segment_path(directory: &Path, owner: &str, number: u64) -> PathBuf {
    directory.join(format!("{owner}-{number:010}{SEGMENT}"))
}

pub(crate) fn lock_path(directory: &Path, owner: &str) -> PathBuf {
    directory.join(format!("{owner}{LOCK}"))
}

pub(crate) fn cursor_path(directory: &Path, owner: &str, sink: &str) -> PathBuf {
    directory.join(format!("{owner}.{sink}{CURSOR}"))
}

/// Removes the cursors of an owner that has nothing left.
pub(crate) fn remove_cursors(directory: &Path, owner: &str) -> io::Result<()> {
    for entry in std::fs::read_dir(directory)? {
        let entry = entry?;
        let file_name = entry.file_name();
        let of_owner = file_name.to_str().and_then(|name| name.strip_prefix(owner));
        if of_owner.is_some_and(|rest| {
            rest.starts_with('.') && (rest.ends_with(CURSOR) || rest.ends_with(TEMPORARY))
        }) {
            remove_if_there(&entry.path())?;
        }
    }
    Ok(())
}

pub(crate) fn remove_if_there(path: &Path) -> io::Result<()> {
    match std::fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}

/// Replaces a file: readers see the old bytes or the new ones. With [`Durable::Yes`] a power failure
/// does too.
pub(crate) fn replace(path: &Path, bytes: &[u8], durable: Durable) -> io::Result<()> {
    let mut temporary = path.as_os_str().to_owned();
    temporary.push(TEMPORARY);
    let temporary = PathBuf::from(temporary);
    let written = write_whole(&temporary, bytes, durable)
        .and_then(|()| std::fs::rename(&temporary, path))
        .and_then(|()| if durable == Durable::Yes { sync_directory_of(path) } else { Ok(()) });
    if written.is_err() {
        // On a full disk it would take the place that others wait for.
        let _ = std::fs::remove_file(&temporary);
    }
    written
}

/// Whether a power failure may undo a write.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Durable {
    Yes,
    No,
}

fn write_whole(path: &Path, bytes: &[u8], durable: Durable) -> io::Result<()> {
    let mut file = private().create(true).truncate(true).open(path)?;
    file.write_all(bytes)?;
    if durable == Durable::Yes { file.sync_all() } else { Ok(()) }
}

/// New names survive a power failure only with their directory.
pub(crate) fn sync_directory_of(path: &Path) -> io::Result<()> {
    let directory = path.parent().filter(|directory| !directory.as_os_str().is_empty());
    File::open(directory.unwrap_or(Path::new(".")))?.sync_all()
}

/// For writing; who spends how much is nobody else's business.
pub(crate) fn private() -> std::fs::OpenOptions {
    let mut options = File::options();
    options.write(true).mode(0o600);
    options
}

fn parse_segment(name: &str) -> Option<(&str, u64)> {
    let (owner, number) = name.strip_suffix(SEGMENT)?.rsplit_once('-')?;
    let is_number = number.len() == 10 && number.bytes().all(|byte| byte.is_ascii_digit());
    (is_number && is_owner(owner)).then_some((owner, number.parse().ok()?))
}

/// Process id and start, in hexadecimal: a name that is safe in a path.
fn is_owner(name: &str) -> bool {
    let is_hex = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_hexdigit());
    name.split_once('-').is_some_and(|(pid, start)| is_hex(pid) && is_hex(start))
}
