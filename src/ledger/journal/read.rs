//! What has an owner written behind a certain place? Asked by the shipper for each sink, and once at
//! start to replay charges. A damaged place is skipped up to the next whole frame and told.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

use llm_core::cost::CostEvent;

use super::cursor::Position;
use super::files::{segment_path, segments_of};
use super::frame::{BadHeader, HEADER_BYTES, MAX_FRAME_BYTES, Next, Seal};

/// Holds the largest frame, and many of the usual ones.
const WINDOW_BYTES: usize = 2 * MAX_FRAME_BYTES;

/// A batch ends behind it, however many events it has.
const BATCH_BYTES: u64 = 2 * 1024 * 1024;

/// Reads the segments of a directory.
#[derive(Debug)]
pub struct Reader {
    directory: PathBuf,
    window: Vec<u8>,
}

/// What was read.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Batch {
    /// In the order of writing.
    pub events: Vec<CostEvent>,
    /// Where to go on.
    pub end: Position,
    /// Damaged bytes that were passed over.
    pub skipped_bytes: u64,
    /// The format of a segment that another version of the program wrote; `end` is before it.
    pub foreign_format: Option<u8>,
}

/// Whether an owner still writes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Life {
    /// It writes the segment of this number; those before are complete.
    Writing(u64),
    /// All segments are complete.
    Dead,
}

impl Life {
    fn is_open(self, segment: u64) -> bool {
        matches!(self, Self::Writing(live) if segment >= live)
    }
}

impl Reader {
    /// For the segments in `directory`.
    #[must_use]
    pub fn new(directory: &Path) -> Self {
        Self { directory: directory.to_owned(), window: Vec::new() }
    }

    /// Up to `limit` events behind `from`, or about two megabytes of them. `life` is to be
    /// known before the call: what was complete then is read as complete.
    pub fn read(
        &mut self,
        owner: &str,
        from: Position,
        life: Life,
        limit: usize,
    ) -> io::Result<Batch> {
        let mut batch = Batch { end: from, ..Batch::default() };
        let mut bytes = 0;
        while batch.events.len() < limit && bytes < BATCH_BYTES {
            let path = segment_path(&self.directory, owner, batch.end.segment);
            let start = batch.end.offset;
            let is_open = life.is_open(batch.end.segment);
            let at_end = match File::open(path) {
                Ok(file) => self.read_segment(&file, is_open, limit, &mut batch)?,
                Err(error) if error.kind() == io::ErrorKind::NotFound => Read::ToTheEnd,
                Err(error) => return Err(error),
            };
            bytes += batch.end.offset.saturating_sub(start);
            match at_end {
                Read::ToTheEnd if is_open => break,
                Read::ToTheEnd => {
                    let Some(segment) = self.next_segment(owner, batch.end.segment)? else { break };
                    batch.end = Position { segment, offset: 0 };
                }
                Read::InPart => {}
                Read::Foreign(format) => {
                    batch.foreign_format = Some(format);
                    break;
                }
            }
        }
        Ok(batch)
    }

    fn next_segment(&self, owner: &str, after: u64) -> io::Result<Option<u64>> {
        Ok(segments_of(&self.directory, owner)?.into_keys().find(|&number| number > after))
    }

    fn read_segment(
        &mut self,
        file: &File,
        is_open: bool,
        limit: usize,
        batch: &mut Batch,
    ) -> io::Result<Read> {
        let seal = match Seal::of(self.fill(file, 0, HEADER_BYTES)?) {
            Ok(seal) => seal,
            Err(BadHeader::Format(format)) => return Ok(Read::Foreign(format)),
            Err(BadHeader::Short | BadHeader::Magic) => {
                if !is_open {
                    let length = file.metadata()?.len();
                    batch.skipped_bytes += length.saturating_sub(batch.end.offset);
                    batch.end.offset = batch.end.offset.max(length);
                }
                return Ok(Read::ToTheEnd);
            }
        };
        let mut offset = batch.end.offset.max(HEADER_BYTES as u64);
        let bytes = self.fill(file, offset, WINDOW_BYTES)?;
        let is_last_window = bytes.len() < WINDOW_BYTES;
        let mut rest = bytes;
        while batch.events.len() < limit {
            let Next::Frame { event, bytes } = seal.next(rest) else { break };
            batch.events.push(*event);
            rest = rest.get(bytes..).unwrap_or_default();
            offset += bytes as u64;
        }
        batch.end.offset = offset;
        if batch.events.len() >= limit || (!is_last_window && rest.len() < MAX_FRAME_BYTES) {
            return Ok(Read::InPart);
        }
        if rest.is_empty() {
            return Ok(Read::ToTheEnd);
        }
        // No frame stands here. One that is being written has none behind it.
        match self.find(file, seal, offset)? {
            Found::Frame(next) => {
                batch.skipped_bytes += next - offset;
                batch.end.offset = next;
                Ok(Read::InPart)
            }
            Found::None { .. } if is_open => Ok(Read::ToTheEnd),
            Found::None { end } => {
                batch.skipped_bytes += end - offset;
                batch.end.offset = end;
                Ok(Read::ToTheEnd)
            }
        }
    }

    /// The next whole frame behind `offset`.
    fn find(&mut self, file: &File, seal: Seal, mut offset: u64) -> io::Result<Found> {
        loop {
            let bytes = self.fill(file, offset, WINDOW_BYTES)?;
            let length = bytes.len();
            if let Some(at) = seal.find(bytes) {
                return Ok(Found::Frame(offset + at as u64));
            }
            if length < WINDOW_BYTES {
                return Ok(Found::None { end: offset + length as u64 });
            }
            // A frame that starts in the last bytes of the window may be cut by its end.
            offset += (WINDOW_BYTES - MAX_FRAME_BYTES) as u64;
        }
    }

    /// Up to `length` bytes from `offset`; fewer only at the end of the file.
    fn fill(&mut self, file: &File, offset: u64, length: usize) -> io::Result<&[u8]> {
        self.window.resize(WINDOW_BYTES, 0);
        let window = self.window.get_mut(..length).unwrap_or_default();
        let mut filled = 0;
        while let Some(space) = window.get_mut(filled..).filter(|space| !space.is_empty()) {
            match file.read_at(space, offset + filled as u64) {
                Ok(0) => break,
                Ok(bytes) => filled += bytes,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        Ok(window.get(..filled).unwrap_or_default())
    }
}

enum Read {
    ToTheEnd,
    InPart,
    Foreign(u8),
}

enum Found {
    Frame(u64),
    None { end: u64 },
}

#[cfg(test)]
mod tests;
