//! How does an event stand in a segment? `length, checksum, event`, the event in the format of postcard;
//! the appender seals frames, the reader opens them, and finds the next whole one behind a damaged place.

use std::hash::{BuildHasher, RandomState};

use llm_core::cost::CostEvent;

/// The layout of headers, frames and [`CostEvent`]; it is raised with any of them, because a reader
/// cannot tell a field from its neighbour.
const FORMAT: u8 = 1;

const MAGIC: [u8; 7] = *b"llmjrnl";

/// Magic, format, and eight bytes that no other segment has.
pub(crate) const HEADER_BYTES: usize = 16;

/// Length and checksum.
pub(crate) const FRAME_HEAD_BYTES: usize = 8;

/// No event is larger; a length above is damage.
pub(crate) const MAX_PAYLOAD_BYTES: usize = 256 * 1024;

/// The largest frame.
pub(crate) const MAX_FRAME_BYTES: usize = FRAME_HEAD_BYTES + MAX_PAYLOAD_BYTES;

/// Where the checksums of a segment start from: the header, so that neither another segment's frames
/// nor a text that a client made to look like a frame are taken for frames of this one.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Seal(u32);

/// Why a segment cannot be read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum BadHeader {
    /// It was never written in full.
    Short,
    /// It is no journal.
    Magic,
    /// Another version of this program wrote it.
    Format(u8),
}

/// What stands at the start of some bytes.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Next {
    /// A whole frame of so many bytes.
    Frame {
        /// What it holds.
        event: Box<CostEvent>,
        /// How long it is, its head included.
        bytes: usize,
    },
    /// The start of a frame, or nothing.
    Incomplete,
    /// No frame.
    Damaged,
}

/// A header for a new segment.
pub(crate) fn new_header() -> [u8; HEADER_BYTES] {
    let mut header = [0; HEADER_BYTES];
    let nonce = RandomState::new().hash_one(std::process::id()).to_le_bytes();
    let bytes = MAGIC.into_iter().chain([FORMAT]).chain(nonce);
    for (to, from) in header.iter_mut().zip(bytes) {
        *to = from;
    }
    header
}

impl Seal {
    /// That of the segment which starts with `bytes`.
    pub(crate) fn of(bytes: &[u8]) -> Result<Self, BadHeader> {
        let header = bytes.get(..HEADER_BYTES).ok_or(BadHeader::Short)?;
        match header.strip_prefix(&MAGIC) {
            Some([FORMAT, ..]) => Ok(Self(crc32fast::hash(header))),
            Some([format, ..]) => Err(BadHeader::Format(*format)),
            _ => Err(BadHeader::Magic),
        }
    }

    /// Puts a frame into `buffer`, which keeps its allocation. `None` is an event that is too large.
    pub(crate) fn frame<T: AsRef<str>>(
        self,
        event: &CostEvent<T>,
        buffer: &mut Vec<u8>,
    ) -> Option<usize> {
        const FIRST_BYTES: usize = 8 * 1024;
        if buffer.is_empty() {
            buffer.resize(FIRST_BYTES, 0);
        }
        let payload_bytes = loop {
            let (_, space) = buffer.split_at_mut_checked(FRAME_HEAD_BYTES)?;
            if let Some(payload_bytes) = event.encode(space) {
                break payload_bytes;
            }
            if buffer.len() >= MAX_FRAME_BYTES {
                return None;
            }
            buffer.resize((buffer.len() * 2).min(MAX_FRAME_BYTES), 0);
        };
        let (head, payload) = buffer.split_at_mut_checked(FRAME_HEAD_BYTES)?;
        let (length, checksum) = head.split_at_mut_checked(4)?;
        length.copy_from_slice(&u32::try_from(payload_bytes).ok()?.to_le_bytes());
        checksum.copy_from_slice(&self.checksum(payload.get(..payload_bytes)?).to_le_bytes());
        Some(FRAME_HEAD_BYTES + payload_bytes)
    }

    /// What `bytes` start with.
    pub(crate) fn next(self, bytes: &[u8]) -> Next {
        let Some((length, rest)) = bytes.split_first_chunk::<4>() else { return Next::Incomplete };
        let payload_bytes = u32::from_le_bytes(*length) as usize;
        if payload_bytes == 0 || payload_bytes > MAX_PAYLOAD_BYTES {
            return Next::Damaged;
        }
        let Some((checksum, rest)) = rest.split_first_chunk::<4>() else { return Next::Incomplete };
        let Some(payload) = rest.get(..payload_bytes) else { return Next::Incomplete };
        if self.checksum(payload) != u32::from_le_bytes(*checksum) {
            return Next::Damaged;
        }
        match postcard::take_from_bytes(payload) {
            Ok((event, [])) => {
                Next::Frame { event: Box::new(event), bytes: FRAME_HEAD_BYTES + payload_bytes }
            }
            _ => Next::Damaged,
        }
    }

    /// Where in `bytes`, behind their first, the next whole frame starts.
    pub(crate) fn find(self, bytes: &[u8]) -> Option<usize> {
        (1..bytes.len().saturating_sub(FRAME_HEAD_BYTES)).find(|&at| {
            bytes.get(at..).is_some_and(|rest| matches!(self.next(rest), Next::Frame { .. }))
        })
    }

    fn checksum(self, payload: &[u8]) -> u32 {
        let mut hasher = crc32fast::Hasher::new_with_initial(self.0);
        hasher.update(payload);
        hasher.finalize()
    }
}

#[cfg(test)]
mod tests;
