//! What lies in the shared zone? One kind of record for everything, so that one table holds it all.

use super::bucket::Bucket;
use super::in_flight::InFlight;

/// One slot of the table. All zero is free. Its layout is part of the zone's version.
#[repr(C)]
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Record {
    /// What is counted, hashed; never 0 in a slot that is used.
    pub(super) key: u64,
    /// A [`Kind`].
    pub(super) kind: u8,
    /// What the kind makes of it.
    pub(super) flags: u8,
    /// What the kind makes of it.
    pub(super) small: u16,
    /// In which checkpoint epoch `within` of a spend record was booked.
    pub(super) epoch: u32,
    /// What the kind makes of it.
    pub(super) words: [u64; WORDS],
}

const _: () = assert!(size_of::<Record>() == 96 && align_of::<Record>() == 8);

/// Words of a record that belong to its kind.
pub(super) const WORDS: usize = 10;

/// In which word a bucket and a counter say whose limit they are; 0 is not known.
const LIMIT: usize = WORDS - 1;

/// What a record is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub(super) enum Kind {
    /// Nothing.
    Free = 0,
    /// Requests or tokens that refill.
    Bucket = 1,
    /// Requests under way.
    InFlight = 2,
    /// Money of one scope, unit and window.
    Spend = 3,
    /// A charge that is still open, so that it can be given back for a worker that died.
    Lease = 4,
    /// The text of a spend record.
    Label = 5,
    /// The table's own numbers; only in the first slot.
    Stats = 6,
}

impl Kind {
    /// The kind of a number; what is unknown is not touched and not found.
    pub(super) const fn of(number: u8) -> Option<Self> {
        Some(match number {
            0 => Self::Free,
            1 => Self::Bucket,
            2 => Self::InFlight,
            3 => Self::Spend,
            4 => Self::Lease,
            5 => Self::Label,
            6 => Self::Stats,
            _ => return None,
        })
    }
}

impl Record {
    /// An empty record of a kind.
    pub(super) fn new(key: u64, kind: Kind) -> Self {
        Self { key, kind: kind as u8, ..Self::default() }
    }

    /// Notes of which limit it is, so that all of one limit can be told together.
    pub(super) fn set_limit(&mut self, limit: u64) {
        self.words[LIMIT] = limit;
    }

    /// What is used of a limit by one identity at a time in unix time; none if nothing is, and for all
    /// other records.
    #[must_use]
    pub fn used(&self, now_ms: u64) -> Option<Used> {
        let amount = match Kind::of(self.kind)? {
            Kind::Bucket => Bucket::load(self).used_tokens(now_ms),
            Kind::InFlight => InFlight::load(self).count,
            Kind::Free | Kind::Spend | Kind::Lease | Kind::Label | Kind::Stats => 0,
        };
        (amount > 0).then_some(Used { limit: self.words[LIMIT], amount })
    }

    /// Whether it is of a kind.
    pub(super) fn is(&self, kind: Kind) -> bool {
        self.kind == kind as u8
    }
}

/// How much one identity uses of a limit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Used {
    /// Which limit: its [`Described::id`](super::Described::id).
    pub limit: u64,
    /// Requests, tokens or places.
    pub amount: u64,
}

/// Two words as one number, the low one first.
pub(super) const fn wide(low: u64, high: u64) -> u128 {
    (high as u128) << 64 | low as u128
}

/// A number as two words, the low one first.
#[expect(clippy::cast_possible_truncation, reason = "the halves of the number")]
pub(super) const fn halves(number: u128) -> [u64; 2] {
    [number as u64, (number >> 64) as u64]
}

#[cfg(test)]
mod tests;
