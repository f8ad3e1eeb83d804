//! What survives a restart? Buckets, sums and labels, each as a few bytes for a file; nothing that
//! belongs to a request under way. The file has its own check sum.
//!
//! A sum is exact at the end of an epoch: a start reads it, and then replays from the journal what bears
//! a later epoch.

use std::ops::Range;

use super::bucket::Bucket;
use super::record::{Kind, Record, WORDS};
use super::spend::Spend;
use super::table::{Table, is_fresh};
use super::window::Window;
use crate::cost::SpendCharge;

/// Changes whenever the meaning of a byte does.
const VERSION: u8 = 1;

/// The longest window that ends, a month of 31 days with an hour of winter time, in seconds.
const LONGEST_S: u64 = 31 * 86_400 + 3600;

/// One record, without what belongs to requests under way.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Saved(Record);

/// Why bytes are no record.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SavedError {
    /// Another release has written them, in another layout.
    Version(u8),
    /// They are not ours.
    Kind(u8),
}

impl std::fmt::Display for SavedError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Version(version) => write!(
                f,
                "the saved limits have the unknown layout {version}, remove the file or run the \
                 release that wrote it"
            ),
            Self::Kind(kind) => write!(f, "the saved limits have an unknown record of kind {kind}"),
        }
    }
}

impl std::error::Error for SavedError {}

impl Saved {
    /// How many bytes one takes: version, kind, flags, a spare byte, `small`, a spare word, the key, the
    /// words.
    pub const BYTES: usize = 16 + WORDS * 8;

    /// The bytes for a file.
    #[must_use]
    pub fn to_bytes(&self) -> [u8; Self::BYTES] {
        let mut bytes = [0; Self::BYTES];
        let [s0, s1] = self.0.small.to_le_bytes();
        let head = [VERSION, self.0.kind, self.0.flags, 0, s0, s1, 0, 0];
        let words = [self.0.key].into_iter().chain(self.0.words);
        let parts = [head].into_iter().chain(words.map(u64::to_le_bytes));
        for (place, part) in bytes.as_chunks_mut().0.iter_mut().zip(parts) {
            *place = part;
        }
        bytes
    }

    /// What the bytes of a file say.
    pub fn from_bytes(bytes: &[u8; Self::BYTES]) -> Result<Self, SavedError> {
        let mut parts = bytes.as_chunks::<8>().0.iter().copied();
        let [version, kind, flags, _, s0, s1, _, _] = parts.next().unwrap_or_default();
        if version != VERSION {
            return Err(SavedError::Version(version));
        }
        match Kind::of(kind) {
            Some(Kind::Bucket | Kind::Spend | Kind::Label) => {}
            _ => return Err(SavedError::Kind(kind)),
        }
        let mut next = || parts.next().map(u64::from_le_bytes).unwrap_or_default();
        let mut record = Record { key: next(), kind, flags, ..Record::default() };
        record.small = u16::from_le_bytes([s0, s1]);
        for word in &mut record.words {
            *word = next();
        }
        if record.key == 0 { Err(SavedError::Kind(kind)) } else { Ok(Self(record)) }
    }

    /// Of a record, with the sum of everything until the end of an epoch.
    fn of(record: &Record, epoch: u32, now_ms: u64) -> Option<Self> {
        let mut saved = Record { epoch: 0, ..*record };
        match Kind::of(record.kind)? {
            Kind::Bucket | Kind::Label => {}
            Kind::Spend => {
                let mut spend = Spend::load(record);
                spend.before = spend.until(epoch);
                (spend.within, spend.reserved, spend.epoch) = (0, 0, 0);
                spend.store(&mut saved);
            }
            Kind::Free | Kind::InFlight | Kind::Lease | Kind::Stats => return None,
        }
        if is_fresh(&saved, now_ms) {
            return None;
        }
        Some(Self(saved))
    }
}

impl Table<'_> {
    /// Adds what is to be saved of some slots, at the end of an epoch that [`Table::end_epoch`] ended.
    /// Make room in `saved` for as many before the zone is locked.
    pub fn snapshot(
        &self,
        slots: Range<usize>,
        ended_epoch: u64,
        now_ms: u64,
        saved: &mut Vec<Saved>,
    ) {
        let epoch = u32::try_from(ended_epoch).unwrap_or(u32::MAX);
        let records = slots.filter_map(|slot| self.get(slot));
        saved.extend(records.filter_map(|record| Saved::of(record, epoch, now_ms)));
    }

    /// Whether the caller is the one who restores, which is whoever asks first after a start. It must be
    /// over before the first request; the epoch goes on behind that of the checkpoint.
    pub fn begin_restore(&mut self, checkpoint_epoch: u64) -> bool {
        if self.stats().is_restored {
            return false;
        }
        self.set_stats(|stats| {
            stats.is_restored = true;
            stats.epoch = stats.epoch.max(checkpoint_epoch.saturating_add(1));
        });
        true
    }

    /// Brings back what was saved. `false` if there is no room.
    pub fn restore(&mut self, saved: &Saved, now_ms: u64) -> bool {
        let Some(kind) = Kind::of(saved.0.kind) else { return false };
        if is_fresh(&saved.0, now_ms) {
            return true;
        }
        let Some(claimed) = self.claim(saved.0.key, kind, now_ms) else { return false };
        let Some(record) = self.get_mut(claimed.slot) else { return false };
        if claimed.is_new {
            *record = saved.0;
            return true;
        }
        match kind {
            Kind::Spend => {
                let (mut live, old) = (Spend::load(record), Spend::load(&saved.0));
                live.before = live.before.saturating_add(old.before);
                live.since_ms = live.since_ms.min(old.since_ms);
                live.is_complete = old.is_complete;
                live.store(record);
            }
            Kind::Bucket => {
                let (live, old) = (Bucket::load(record), Bucket::load(&saved.0));
                if old.used > live.used {
                    old.store(record);
                }
            }
            _ => {}
        }
        true
    }

    /// Books a charge of the journal that no checkpoint has. `since_ms` is when the journal begins. A
    /// budget whose window is over is left out; `false` if there is no room.
    pub fn replay(&mut self, charge: &SpendCharge, since_ms: u64, now_ms: u64) -> bool {
        let end_s = match charge.window_start_s {
            0 => u64::MAX,
            start_s => start_s.saturating_add(LONGEST_S),
        };
        if end_s <= now_ms / 1000 {
            return true;
        }
        let Some(claimed) = self.claim(charge.key, Kind::Spend, now_ms) else { return false };
        let Some(record) = self.get_mut(claimed.slot) else { return false };
        let mut spend = if claimed.is_new {
            // The end is told by the first request.
            Spend::new(Window { start_s: charge.window_start_s, end_s }, since_ms)
        } else {
            Spend::load(record)
        };
        spend.before = spend.before.saturating_add(charge.pico.0);
        spend.store(record);
        true
    }
}

#[cfg(test)]
mod tests;
