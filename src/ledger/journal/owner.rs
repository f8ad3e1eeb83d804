//! Whose segments are these, and is their writer still alive? Each writing process is an [`Owner`] with
//! a lock file that the kernel unlocks when it dies; who gets that lock may ship what it left.

use std::fs::File;
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{SystemTime, UNIX_EPOCH};

use rustix::fs::{FlockOperation, flock};

use super::files::{Listing, lock_path, private};

/// How much the journal may take.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// All files of all workers.
    pub max_bytes: u64,
    /// How many write at once; their open segments cannot be deleted, so they share a quarter.
    pub workers: u32,
}

impl Limits {
    /// When a segment is followed by the next one.
    #[must_use]
    pub fn segment_bytes(self) -> u64 {
        (self.max_bytes / 4 / u64::from(self.workers.max(1))).clamp(64 * 1024, 16 * 1024 * 1024)
    }
}

/// A process that writes. The appender of its event loop and the thread that ships share it.
#[derive(Debug)]
pub struct Owner {
    directory: PathBuf,
    name: String,
    limits: Limits,
    /// The number of the segment that grows; 0 is none yet.
    live: AtomicU64,
    /// What all files of the directory take, as far as this process knows.
    used_bytes: AtomicU64,
    appended: AtomicU64,
    dropped: AtomicU64,
    /// Nothing is appended to the segment of that number any more.
    live_is_closed: AtomicBool,
    wants_rotation: AtomicBool,
    _lock: File,
}

impl Owner {
    /// Takes a name that nobody has. It never waits.
    pub fn open(directory: &Path, limits: Limits) -> io::Result<Arc<Self>> {
        let used_bytes = Listing::of(directory)?.total_bytes;
        let since_epoch = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        let mut start = u64::try_from(since_epoch.as_micros()).unwrap_or(u64::MAX);
        let (name, lock) = loop {
            let name = format!("{:x}-{start:x}", std::process::id());
            match new_lock(directory, &name) {
                Ok(lock) => break (name, lock),
                Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
                    start = start.wrapping_add(1);
                }
                Err(error) => return Err(error),
            }
        };
        Ok(Arc::new(Self {
            directory: directory.to_owned(),
            name,
            limits,
            live: AtomicU64::new(0),
            used_bytes: AtomicU64::new(used_bytes),
            appended: AtomicU64::new(0),
            dropped: AtomicU64::new(0),
            live_is_closed: AtomicBool::new(false),
            wants_rotation: AtomicBool::new(false),
            _lock: lock,
        }))
    }

    /// Where the journal is.
    #[must_use]
    pub fn directory(&self) -> &Path {
        &self.directory
    }

    /// What its files start with.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Events that were appended.
    #[must_use]
    pub fn appended(&self) -> u64 {
        self.appended.load(Ordering::Acquire)
    }

    /// Events that could not be appended.
    #[must_use]
    pub fn dropped(&self) -> u64 {
        self.dropped.load(Ordering::Relaxed)
    }

    /// Whether new requests would better be refused: a little is kept free for those under way.
    #[must_use]
    pub fn is_nearly_full(&self) -> bool {
        const SPARE_BYTES: u64 = 1024 * 1024;
        let spare_bytes = SPARE_BYTES.min(self.limits.max_bytes / 16);
        self.used_bytes.load(Ordering::Relaxed) + spare_bytes > self.limits.max_bytes
    }

    pub(crate) fn limits(&self) -> Limits {
        self.limits
    }

    /// The number of the segment that grows; those before it are complete.
    pub(crate) fn live(&self) -> u64 {
        self.live.load(Ordering::Acquire)
    }

    /// The number of the last segment to which nothing is appended any more; 0 is none.
    pub(crate) fn complete(&self) -> u64 {
        // In this order: a segment that is begun between the two is not taken for a closed one.
        let live = self.live();
        let is_closed = self.live_is_closed.load(Ordering::Acquire) && self.live() == live;
        if is_closed { live } else { live.saturating_sub(1) }
    }

    /// The segment that grew is closed without a next one.
    pub(super) fn close_live(&self) {
        self.live_is_closed.store(true, Ordering::Release);
    }

    pub(super) fn set_live(&self, number: u64) {
        self.live_is_closed.store(false, Ordering::Release);
        self.live.store(number, Ordering::Release);
    }

    pub(super) fn has_room_for(&self, bytes: u64) -> bool {
        self.used_bytes.load(Ordering::Relaxed).saturating_add(bytes) <= self.limits.max_bytes
    }

    pub(super) fn count_bytes(&self, bytes: u64) {
        self.used_bytes.fetch_add(bytes, Ordering::Relaxed);
    }

    pub(super) fn count_event(&self, is_appended: bool) {
        if is_appended {
            self.appended.fetch_add(1, Ordering::Release);
        } else {
            self.dropped.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// The sum over the directory. What is appended while it is made may be missing until the next.
    pub(crate) fn set_used_bytes(&self, bytes: u64) {
        self.used_bytes.store(bytes, Ordering::Relaxed);
    }

    /// The next event is to start a segment: the present one is gone, or could be deleted.
    pub(crate) fn want_rotation(&self) {
        self.wants_rotation.store(true, Ordering::Relaxed);
    }

    pub(super) fn take_wanted_rotation(&self) -> bool {
        // A plain load is all that an append costs.
        self.wants_rotation.load(Ordering::Relaxed)
            && self.wants_rotation.swap(false, Ordering::Relaxed)
    }
}

/// The right to what a dead owner left, until it is dropped.
#[derive(Debug)]
pub(crate) struct Claim {
    _lock: File,
}

impl Claim {
    /// `None`: the owner lives, or another one has claimed it.
    pub(crate) fn of(directory: &Path, owner: &str) -> io::Result<Option<Self>> {
        let path = lock_path(directory, owner);
        // Created where somebody has deleted it: the segments are there all the same.
        let lock = private().create(true).truncate(false).open(&path)?;
        if flock(&lock, FlockOperation::NonBlockingLockExclusive).is_err() {
            return Ok(None);
        }
        // Another one may have finished with it, and deleted it, between the two calls.
        let is_same = std::fs::metadata(&path)
            .is_ok_and(|there| lock.metadata().is_ok_and(|ours| there.ino() == ours.ino()));
        Ok(is_same.then_some(Self { _lock: lock }))
    }
}

/// A lock file is locked before others can see it under its name.
fn new_lock(directory: &Path, name: &str) -> io::Result<File> {
    let path = lock_path(directory, name);
    let hidden = directory.join(format!("{name}.lock.tmp"));
    let lock = private().create_new(true).open(&hidden)?;
    let linked = flock(&lock, FlockOperation::NonBlockingLockExclusive)
        .map_err(io::Error::from)
        .and_then(|()| std::fs::hard_link(&hidden, &path));
    let _ = std::fs::remove_file(&hidden);
    linked.map(|()| lock)
}
