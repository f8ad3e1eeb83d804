//! How does an event reach the disk? With one write(2) when its request ends, by the event loop, which
//! must not wait: nothing is synced or searched for here, and no memory is taken after the first events.

use std::fmt;
use std::fs::File;
use std::io::{self, Write};
use std::sync::Arc;

use llm_core::cost::CostEvent;

use super::files::{private, remove_if_there, segment_path};
use super::frame::{HEADER_BYTES, Seal, new_header};
use super::owner::Owner;

/// Why an event was not appended; the next one may be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AppendError {
    /// The journal has its size, or the disk is full.
    Full,
    /// The event is larger than any can be.
    TooLarge,
    /// Something else.
    Io(io::ErrorKind),
}

impl fmt::Display for AppendError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Full => f.write_str("the journal is full, raise max= of \"llm_cost_journal\""),
            Self::TooLarge => f.write_str("the event is too large"),
            Self::Io(kind) => write!(f, "{kind}"),
        }
    }
}

impl std::error::Error for AppendError {}

impl From<io::Error> for AppendError {
    fn from(error: io::Error) -> Self {
        match error.kind() {
            io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => Self::Full,
            kind => Self::Io(kind),
        }
    }
}

/// The one writer of an owner's segments.
#[derive(Debug)]
pub struct Appender {
    owner: Arc<Owner>,
    segment: Option<Segment>,
    buffer: Vec<u8>,
}

#[derive(Debug)]
struct Segment {
    file: File,
    seal: Seal,
    bytes: u64,
}

impl Appender {
    /// The first event opens a segment.
    #[must_use]
    pub fn new(owner: Arc<Owner>) -> Self {
        Self { owner, segment: None, buffer: Vec::new() }
    }

    /// Whose segments it writes.
    #[must_use]
    pub fn owner(&self) -> &Arc<Owner> {
        &self.owner
    }

    /// Appends one event, whole or not at all. What is not appended is counted.
    pub fn append<T: AsRef<str>>(&mut self, event: &CostEvent<T>) -> Result<(), AppendError> {
        let appended = self.append_uncounted(event);
        self.owner.count_event(appended.is_ok());
        appended
    }

    fn append_uncounted<T: AsRef<str>>(&mut self, event: &CostEvent<T>) -> Result<(), AppendError> {
        let limit_bytes = self.owner.limits().segment_bytes();
        if self.owner.take_wanted_rotation()
            || self.segment.as_ref().is_some_and(|segment| segment.bytes >= limit_bytes)
        {
            self.segment = None;
        }
        let segment = match &mut self.segment {
            Some(segment) => segment,
            none => none.insert(Segment::create(&self.owner)?),
        };
        let length = segment.seal.frame(event, &mut self.buffer).ok_or(AppendError::TooLarge)?;
        let frame = self.buffer.get(..length).ok_or(AppendError::TooLarge)?;
        if !self.owner.has_room_for(length as u64) {
            // Only a closed segment can be deleted once it is shipped.
            if segment.bytes > HEADER_BYTES as u64 {
                self.segment = Segment::create(&self.owner).ok();
            }
            return Err(AppendError::Full);
        }
        if let Err(error) = segment.write(frame) {
            // A reader skips a torn frame that cannot be taken back.
            let _ = segment.file.set_len(segment.bytes);
            // Where the disk is full, room comes only from segments that are shipped, this one among
            // them; the next one is made when there is room for it.
            self.segment = None;
            self.owner.close_live();
            return Err(error.into());
        }
        segment.bytes += length as u64;
        self.owner.count_bytes(length as u64);
        Ok(())
    }
}

impl Segment {
    fn create(owner: &Owner) -> io::Result<Self> {
        let number = owner.live() + 1;
        let path = segment_path(owner.directory(), owner.name(), number);
        let header = new_header();
        let mut file = private().append(true).create_new(true).open(&path)?;
        if let Err(error) = file.write_all(&header) {
            let _ = remove_if_there(&path);
            return Err(error);
        }
        let seal = Seal::of(&header).map_err(|_| io::Error::from(io::ErrorKind::InvalidData))?;
        owner.set_live(number);
        owner.count_bytes(HEADER_BYTES as u64);
        Ok(Self { file, seal, bytes: HEADER_BYTES as u64 })
    }

    /// One call; a frame that was taken in part only is the disk's end.
    fn write(&mut self, frame: &[u8]) -> io::Result<()> {
        loop {
            match self.file.write(frame) {
                Ok(written) if written == frame.len() => return Ok(()),
                Ok(_) => return Err(io::ErrorKind::StorageFull.into()),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
    }
}

#[cfg(test)]
mod tests;
