//! Who holds a charge that is still open? A worker that is killed cannot give back what it reserved, so
//! each open charge stands in a record of its own, and another worker gives it back.
//!
//! A lease is made before its charge and removed behind its settlement. A worker that dies exactly
//! between the two has something given back that was not held; that mends itself when the counter is
//! next idle, while something held for ever would not.

use std::ops::Range;

use super::key::mixed;
use super::record::{Kind, Record, halves, wide};
use super::table::Table;

/// A lease is found by its slot and may be anywhere. Those of a worker stand near each other, where
/// memory is in its cache, but with so much space between them that counters find room there too.
const STRIDE: usize = 4;

/// Slots that are tried from a place on.
const STEPS: usize = 16;

/// Places that are tried before something has to give way.
const JUMPS: u64 = 3;

/// A slot that becomes free is used next if it is at most so far behind.
const REUSE: usize = 64 * STRIDE;

/// A worker, and how many leases it has made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Owner {
    id: u64,
    leases: u64,
    /// Where the next lease is tried first.
    next: usize,
}

impl Owner {
    /// `id` must differ for each worker of each start: the process id and something of the time it was
    /// started at, because process ids come again.
    #[must_use]
    pub fn new(id: u64) -> Self {
        Self { id, leases: 0, next: place(mixed(id)) }
    }

    /// A slot has become free.
    pub(super) fn closed(&mut self, at: LeaseAt) {
        if self.next.checked_sub(at.slot).is_some_and(|behind| behind <= REUSE) {
            self.next = at.slot;
        }
    }

    fn next_key(&mut self) -> u64 {
        self.leases = self.leases.wrapping_add(1);
        mixed(mixed(self.id).wrapping_add(self.leases)).max(1)
    }
}

/// Where a lease is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct LeaseAt {
    slot: usize,
    key: u64,
}

/// What is given back for a worker that died.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Lease {
    /// The kind of the record that was charged.
    pub kind: Kind,
    /// Its key.
    pub target: u64,
    /// How much.
    pub amount: u128,
}

impl Table<'_> {
    /// Notes an open charge. `None`, counted, if there is no room.
    pub(super) fn open(&mut self, owner: &mut Owner, lease: Lease, now_ms: u64) -> Option<LeaseAt> {
        let key = owner.next_key();
        let mut found = None;
        for jump in 0..JUMPS {
            found = self.free_from(owner.next);
            if found.is_some() {
                break;
            }
            owner.next = place(mixed(key ^ jump));
        }
        let slot = match found {
            Some(slot) => slot,
            None => self.claim_new(key, Kind::Lease, now_ms)?.slot,
        };
        owner.next = slot + STRIDE;
        let mut record = Record::new(key, Kind::Lease);
        let [low, high] = halves(lease.amount);
        record.small = lease.kind as u16;
        record.words = [lease.target, owner.id, low, high, 0, 0, 0, 0, 0, 0];
        *self.get_mut(slot)? = record;
        Some(LeaseAt { slot, key })
    }

    /// The first free slot for a lease from a place on.
    fn free_from(&self, place: usize) -> Option<usize> {
        let usable = self.len().checked_sub(1).filter(|usable| *usable > 0)?;
        // The first slot is the table's own.
        let from = place.saturating_sub(1) % usable;
        let mut slots = (0..STEPS).map(|step| 1 + (from + step * STRIDE) % usable);
        slots.find(|slot| self.get(*slot).is_some_and(|record| record.is(Kind::Free)))
    }

    /// Whether a lease is still there; if not, its charge has been given back.
    pub(super) fn is_open(&self, at: LeaseAt) -> bool {
        self.get(at.slot).is_some_and(|record| record.key == at.key && record.is(Kind::Lease))
    }

    /// Removes a lease.
    pub(super) fn close(&mut self, at: LeaseAt) {
        if self.is_open(at) {
            self.free(at.slot);
        }
    }

    /// Adds the ids of those who hold leases in some slots, each once, so that the caller can find out
    /// without the lock who of them is alive.
    pub fn owners(&self, slots: Range<usize>, ids: &mut Vec<u64>) {
        for slot in slots {
            let Some(record) = self.get(slot).filter(|record| record.is(Kind::Lease)) else {
                continue;
            };
            let [_, owner, ..] = record.words;
            if !ids.contains(&owner) {
                ids.push(owner);
            }
        }
    }

    /// Gives back what owners hold in some slots that are not alive. Returns how many charges these
    /// were. `is_alive` runs under the lock: it must be a look-up.
    pub fn sweep(
        &mut self,
        slots: Range<usize>,
        mut is_alive: impl FnMut(u64) -> bool,
        now_ms: u64,
    ) -> u64 {
        let mut given_back = 0;
        for slot in slots {
            let Some((owner, lease)) = self.get(slot).and_then(read) else { continue };
            if is_alive(owner) {
                continue;
            }
            self.give_back(lease, now_ms);
            self.free(slot);
            given_back += 1;
        }
        given_back
    }

    /// Undoes a charge.
    pub(super) fn give_back(&mut self, lease: Lease, now_ms: u64) {
        let Lease { kind, target, amount } = lease;
        match kind {
            Kind::Bucket => self.refill(target, u64::try_from(amount).unwrap_or(u64::MAX), now_ms),
            Kind::InFlight => self.leave(target),
            Kind::Spend => self.unreserve(target, amount),
            Kind::Free | Kind::Lease | Kind::Label | Kind::Stats => {}
        }
    }
}

/// A slot by chance; it is cut to the table's length when it is used.
fn place(random: u64) -> usize {
    usize::try_from(random >> 8).unwrap_or(0)
}

fn read(record: &Record) -> Option<(u64, Lease)> {
    if !record.is(Kind::Lease) {
        return None;
    }
    let [target, owner, low, high, ..] = record.words;
    let kind = u8::try_from(record.small).ok().and_then(Kind::of)?;
    Some((owner, Lease { kind, target, amount: wide(low, high) }))
}

#[cfg(test)]
mod tests;
