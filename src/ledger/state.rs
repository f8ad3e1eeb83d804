//! What were limits and budgets when nginx stopped? A checkpoint file of opaque entries, written now
//! and then, and the charges that the journal has since.

use std::fmt;
use std::io;
use std::path::Path;

use llm_core::cost::SpendCharge;

use crate::journal::{Durable, Life, Listing, Position, Reader, replace};

const MAGIC: [u8; 8] = *b"llmstate";
const FORMAT: u32 = 1;
/// Magic, format, bytes per entry, epoch, time, entries.
const HEADER_BYTES: usize = 40;
const CHECKSUM_BYTES: usize = 4;

/// Entries of a fixed size as of one moment.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Checkpoint {
    /// Counts checkpoints; an event that is not in this one has a greater epoch.
    pub epoch: u64,
    /// When it was made, in milliseconds of unix time.
    pub created_at_ms: u64,
    /// How long each entry is. Another length is another layout.
    pub entry_bytes: u32,
    /// The entries, one behind the other.
    pub entries: Vec<u8>,
}

/// Why there is a file and no checkpoint.
#[derive(Debug)]
pub enum StateError {
    /// It cannot be read.
    Io(io::Error),
    /// It is no checkpoint, or was damaged.
    Damaged,
    /// Another version of the program wrote it.
    Format(u32),
}

impl fmt::Display for StateError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Io(error) => write!(f, "{error}"),
            Self::Damaged => f.write_str("it is damaged, delete it to start without it"),
            Self::Format(format) => {
                write!(
                    f,
                    "its format is {format} instead of {FORMAT}, delete it to start without it"
                )
            }
        }
    }
}

impl std::error::Error for StateError {}

impl Checkpoint {
    /// Replaces the file; a power failure leaves the old one or the new one.
    pub fn save(&self, path: &Path) -> io::Result<()> {
        let entry_bytes = self.entry_bytes as usize;
        if entry_bytes == 0 || !self.entries.len().is_multiple_of(entry_bytes) {
            return Err(io::Error::new(io::ErrorKind::InvalidInput, "entries of another size"));
        }
        let mut bytes = Vec::with_capacity(HEADER_BYTES + self.entries.len() + CHECKSUM_BYTES);
        bytes.extend_from_slice(&MAGIC);
        bytes.extend_from_slice(&FORMAT.to_le_bytes());
        bytes.extend_from_slice(&self.entry_bytes.to_le_bytes());
        bytes.extend_from_slice(&self.epoch.to_le_bytes());
        bytes.extend_from_slice(&self.created_at_ms.to_le_bytes());
        bytes.extend_from_slice(&((self.entries.len() / entry_bytes) as u64).to_le_bytes());
        bytes.extend_from_slice(&self.entries);
        bytes.extend_from_slice(&crc32fast::hash(&bytes).to_le_bytes());
        if let Some(directory) = path.parent() {
            std::fs::create_dir_all(directory)?;
        }
        replace(path, &bytes, Durable::Yes)
    }

    /// `None`: there is no file.
    pub fn load(path: &Path) -> Result<Option<Self>, StateError> {
        match std::fs::read(path) {
            Ok(bytes) => Self::parse(&bytes).map(Some),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(StateError::Io(error)),
        }
    }

    fn parse(bytes: &[u8]) -> Result<Self, StateError> {
        let (body, checksum) = bytes.split_last_chunk::<4>().ok_or(StateError::Damaged)?;
        let mut rest = body.strip_prefix(&MAGIC).ok_or(StateError::Damaged)?;
        if crc32fast::hash(body) != u32::from_le_bytes(*checksum) {
            return Err(StateError::Damaged);
        }
        let format = u32::from_le_bytes(take(&mut rest)?);
        if format != FORMAT {
            return Err(StateError::Format(format));
        }
        let entry_bytes = u32::from_le_bytes(take(&mut rest)?);
        let epoch = u64::from_le_bytes(take(&mut rest)?);
        let created_at_ms = u64::from_le_bytes(take(&mut rest)?);
        let count = u64::from_le_bytes(take(&mut rest)?);
        if count.checked_mul(entry_bytes.into()) != Some(rest.len() as u64) || entry_bytes == 0 {
            return Err(StateError::Damaged);
        }
        Ok(Self { epoch, created_at_ms, entry_bytes, entries: rest.to_vec() })
    }

    /// Each entry.
    pub fn entries(&self) -> impl ExactSizeIterator<Item = &[u8]> {
        self.entries.chunks_exact((self.entry_bytes as usize).max(1))
    }
}

fn take<const BYTES: usize>(rest: &mut &[u8]) -> Result<[u8; BYTES], StateError> {
    let (first, behind) = rest.split_first_chunk().ok_or(StateError::Damaged)?;
    *rest = behind;
    Ok(*first)
}

/// What a replay went over.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Replayed {
    /// Events whose charges were given.
    pub events: u64,
    /// The greatest epoch of any event: later ones must be greater.
    pub last_epoch: u64,
    /// Damaged bytes.
    pub skipped_bytes: u64,
    /// Owners with segments that another version of the program wrote.
    pub foreign_owners: u64,
}

/// Gives `charge` what events of a greater epoch than `after_epoch` are charged, and when they were made
/// in milliseconds of unix time, of all owners, dead or not, whether a database has them or not.
pub fn replay(
    journal: &Path,
    after_epoch: u64,
    mut charge: impl FnMut(&SpendCharge, u64),
) -> io::Result<Replayed> {
    const EVENTS: usize = 1024;
    let mut replayed = Replayed::default();
    let listing = match Listing::of(journal) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(replayed),
        listing => listing?,
    };
    let mut reader = Reader::new(journal);
    for owner in listing.segments.keys() {
        let mut position = Position::default();
        loop {
            // An owner that lives is read up to where it is.
            let batch = reader.read(owner, position, Life::Dead, EVENTS)?;
            replayed.skipped_bytes += batch.skipped_bytes;
            for event in batch.events.iter().filter(|event| event.epoch > after_epoch) {
                replayed.events += 1;
                replayed.last_epoch = replayed.last_epoch.max(event.epoch);
                event.charges.iter().for_each(|one| charge(one, event.created_at_ms));
            }
            if batch.foreign_format.is_some() {
                replayed.foreign_owners += 1;
                break;
            }
            if batch.end == position {
                break;
            }
            position = batch.end;
        }
    }
    Ok(replayed)
}

#[cfg(test)]
mod tests;
