//! Where is the record of a key, and what gives way when there is no room? A view over the records of
//! the shared zone, which the caller has locked. Nothing here allocates, logs or panics.

use std::hint::black_box;

use super::bucket::Bucket;
use super::in_flight::InFlight;
use super::key::mixed;
use super::record::{Kind, Record};
use super::spend::Spend;

/// How many slots are looked at in each of the two places of a key, so that no look-up takes longer in a
/// full table. With two places to choose from hardly any key finds both crowded: a budget gives way to
/// nothing for a month, so that one without room is a client without service.
const PROBES: usize = 16;

/// A record goes to its first place as long as so many slots are free there, and else to the emptier
/// one: most are found at once that way.
const ENOUGH: usize = 3;

/// Records found by key. The first slot holds the table's own numbers.
#[derive(Debug)]
pub struct Table<'a> {
    slots: &'a mut [Record],
}

/// The table's own numbers.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Stats {
    /// How often a record was wanted and there was no room.
    pub full: u64,
    /// How often a record gave way that was as good as a fresh one, or a label.
    pub evicted: u64,
    /// How many token charges could not be backed by a lease.
    pub unbacked: u64,
    /// How many settlements came when their record had gone.
    pub late: u64,
    /// The checkpoint epoch in which charges are booked now.
    pub epoch: u64,
    /// Whether a checkpoint was looked for.
    pub is_restored: bool,
}

/// A record that was found or made.
pub(super) struct Claimed {
    /// Where it is.
    pub slot: usize,
    /// Whether it was made now.
    pub is_new: bool,
}

impl<'a> Table<'a> {
    /// The view; all-zero records are free.
    #[must_use]
    pub fn new(slots: &'a mut [Record]) -> Self {
        Self { slots }
    }

    /// How many slots there are, the first one included; ranges of slots end here.
    #[must_use]
    pub fn len(&self) -> usize {
        self.slots.len()
    }

    /// Whether there is no slot at all.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.slots.is_empty()
    }

    /// The table's own numbers.
    #[must_use]
    pub fn stats(&self) -> Stats {
        let record = self.slots.first().copied().unwrap_or_default();
        let [full, evicted, unbacked, late, ..] = record.words;
        let (epoch, is_restored) = (record.epoch.into(), record.flags != 0);
        Stats { full, evicted, unbacked, late, epoch, is_restored }
    }

    pub(super) fn set_stats(&mut self, change: impl FnOnce(&mut Stats)) {
        let mut stats = self.stats();
        change(&mut stats);
        let Some(record) = self.slots.first_mut() else { return };
        *record = Record::new(0, Kind::Stats);
        [record.words[0], record.words[1], record.words[2], record.words[3]] =
            [stats.full, stats.evicted, stats.unbacked, stats.late];
        record.epoch = u32::try_from(stats.epoch).unwrap_or(u32::MAX);
        record.flags = stats.is_restored.into();
    }

    pub(super) fn get(&self, slot: usize) -> Option<&Record> {
        self.slots.get(slot)
    }

    pub(super) fn get_mut(&mut self, slot: usize) -> Option<&mut Record> {
        self.slots.get_mut(slot)
    }

    /// Where the record of a key is. Records become free again, so a free slot does not end the search.
    pub(super) fn find(&self, key: u64, kind: Kind) -> Option<usize> {
        let is_it = |record: &Record| record.key == key && record.is(kind);
        let is_there = |at: &usize| self.slots.get(*at).is_some_and(is_it);
        let len = self.slots.len();
        // Most stand in their first place; the second is not even reckoned then.
        place(len, key).find(is_there).or_else(|| place(len, mixed(key)).find(is_there))
    }

    /// Has the memory of several records fetched at once. They lie far apart, so that one after the other
    /// would be waited for, which takes longer than all the rest.
    pub(super) fn fetch(&self, keys: impl Iterator<Item = u64>) {
        let len = self.slots.len();
        let first = |key| self.slots.get(place(len, key).next()?);
        // Both of a record's cache lines.
        let sum = |record: &Record| record.key ^ record.words[6];
        black_box(keys.filter_map(first).map(sum).fold(0, |a, b| a ^ b));
    }

    /// The record of a key, made where there was none: in a free slot, else in the place of one that is
    /// as good as fresh, else in that of a label. `None`, counted, if there is no such slot.
    pub(super) fn claim(&mut self, key: u64, kind: Kind, now_ms: u64) -> Option<Claimed> {
        if let Some(slot) = self.find(key, kind) {
            return Some(Claimed { slot, is_new: false });
        }
        let [first, second] = places(self.slots.len(), key).map(|place| self.free_in(place));
        let is_first = first.count >= ENOUGH || first.count >= second.count;
        let free = if is_first { first.slot } else { second.slot };
        self.make(free, key, kind, now_ms)
    }

    /// A record of a key that no other one has.
    pub(super) fn claim_new(&mut self, key: u64, kind: Kind, now_ms: u64) -> Option<Claimed> {
        let mut places = places(self.slots.len(), key).into_iter().flatten();
        let is_free = |at: &usize| self.slots.get(*at).is_some_and(|record| record.is(Kind::Free));
        let free = places.find(is_free);
        self.make(free, key, kind, now_ms)
    }

    fn free_in(&self, place: impl Iterator<Item = usize>) -> Free {
        let mut free = Free::default();
        for at in place {
            if self.slots.get(at).is_some_and(|record| record.is(Kind::Free)) {
                free.count += 1;
                free.slot = free.slot.or(Some(at));
            }
        }
        free
    }

    fn make(&mut self, free: Option<usize>, key: u64, kind: Kind, now_ms: u64) -> Option<Claimed> {
        let at = free.or_else(|| self.dispensable(key, now_ms));
        if free.is_none() {
            self.set_stats(|stats| match at {
                Some(_) => stats.evicted += 1,
                None => stats.full += 1,
            });
        }
        let slot = at?;
        *self.slots.get_mut(slot)? = Record::new(key, kind);
        Some(Claimed { slot, is_new: true })
    }

    /// The slot of a record that may give way.
    fn dispensable(&self, key: u64, now_ms: u64) -> Option<usize> {
        let places = || places(self.slots.len(), key).into_iter().flatten();
        let any = |test: &dyn Fn(&Record) -> bool| {
            places().find(|&at| self.slots.get(at).is_some_and(test))
        };
        any(&|record| is_fresh(record, now_ms)).or_else(|| any(&|record| record.is(Kind::Label)))
    }

    /// Makes a slot free.
    pub(super) fn free(&mut self, slot: usize) {
        if let Some(record) = self.slots.get_mut(slot) {
            *record = Record::default();
        }
    }
}

/// What is free in one of the places of a key.
#[derive(Clone, Copy, Default)]
struct Free {
    slot: Option<usize>,
    count: usize,
}

/// The two places where the record of a key may be.
fn places(len: usize, key: u64) -> [impl Iterator<Item = usize>; 2] {
    [key, mixed(key)].map(|hash| place(len, hash))
}

/// The slots of a place; never the first one of the table.
fn place(len: usize, hash: u64) -> impl Iterator<Item = usize> {
    let usable = len.saturating_sub(1);
    let home = usize::try_from(hash % (usable.max(1) as u64)).unwrap_or(0);
    (0..usable.min(PROBES)).map(move |step| {
        let at = home + step;
        1 + if at < usable { at } else { at - usable }
    })
}

/// Whether a record says no more than none would.
pub(super) fn is_fresh(record: &Record, now_ms: u64) -> bool {
    match Kind::of(record.kind) {
        Some(Kind::Bucket) => Bucket::load(record).is_fresh(now_ms),
        Some(Kind::InFlight) => InFlight::load(record).count == 0,
        Some(Kind::Spend) => Spend::load(record).is_over(now_ms / 1000),
        _ => false,
    }
}

#[cfg(test)]
mod tests;
