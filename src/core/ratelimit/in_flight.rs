//! How many requests are under way? A counter per rule and identity.

use super::record::{Kind, Record};
use super::table::Table;

/// A record of this kind, unpacked.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct InFlight {
    /// Requests under way.
    pub count: u64,
}

impl InFlight {
    pub(super) fn load(record: &Record) -> Self {
        let [count, ..] = record.words;
        Self { count }
    }

    fn store(self, record: &mut Record) {
        let [count, ..] = &mut record.words;
        *count = self.count;
    }
}

/// What came of an attempt to take a place.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Entry {
    /// Taken; so many are left.
    Entered(u64),
    /// All places are taken.
    Busy,
    /// The table has no room.
    Full,
}

impl Table<'_> {
    /// Takes one of `most` places.
    pub(super) fn enter(&mut self, key: u64, limit: u64, most: u64, now_ms: u64) -> Entry {
        let Some(claimed) = self.claim(key, Kind::InFlight, now_ms) else { return Entry::Full };
        let Some(record) = self.get_mut(claimed.slot) else { return Entry::Full };
        let mut places = InFlight::load(record);
        if places.count >= most {
            return Entry::Busy;
        }
        places.count += 1;
        places.store(record);
        record.set_limit(limit);
        Entry::Entered(most - places.count)
    }

    /// Gives a place back. The record of an idle counter stays until its slot is needed: whoever sends
    /// one request at a time would else make it anew each time, and search both of its places for that.
    pub(super) fn leave(&mut self, key: u64) {
        let Some(slot) = self.find(key, Kind::InFlight) else { return };
        let Some(record) = self.get_mut(slot) else { return };
        let mut places = InFlight::load(record);
        places.count = places.count.saturating_sub(1);
        places.store(record);
    }
}
