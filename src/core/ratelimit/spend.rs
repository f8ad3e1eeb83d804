//! What has been spent of a budget? One record per scope, unit and window: what is settled, and what is
//! reserved by requests under way. Amounts are whole pico-units; no sum is ever rounded.
//!
//! A checkpoint needs a sum at a point that the journal has too, while traffic goes on. So each
//! settlement bears an epoch, which its journal entry bears as well: the record holds the sum of all
//! epochs before its own, and that of its own. After the epoch has been raised from `E`, and everybody
//! who had read `E` has settled, "all until E" is read exactly, however much of `E + 1` has come.

use super::label::Label;
use super::record::{Kind, Record, halves, wide};
use super::table::{Claimed, Table};
use super::window::Window;
use crate::cost::Pico;

/// How a budget binds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Cap {
    /// What is settled and reserved never exceeds it.
    #[default]
    Hard,
    /// The request that crosses it is the last one that passes.
    Soft,
}

/// One budget and how it stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Budget {
    /// Its record's key.
    pub key: u64,
    /// Whose it is; `None` if there was no room for that.
    pub label: Option<Label>,
    /// When it counts.
    pub window: Window,
    /// How much may be spent; 0 until a request has come.
    pub limit: Pico,
    /// How much has been.
    pub spent: Pico,
    /// How much is reserved by requests under way.
    pub reserved: Pico,
    /// From when on everything is counted here, in unix milliseconds.
    pub since_ms: u64,
    /// Whether what was before `since_ms` is in the sum as well.
    pub is_complete: bool,
}

/// A record of this kind, unpacked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Spend {
    /// Settled in all epochs before `epoch`.
    pub before: u128,
    /// Settled in `epoch`.
    pub within: u128,
    pub reserved: u128,
    pub window: Window,
    pub limit: u128,
    pub since_ms: u64,
    pub epoch: u32,
    pub is_complete: bool,
}

/// A reservation that is asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Wish {
    pub window: Window,
    pub budget: u128,
    pub amount: u128,
    pub cap: Cap,
    /// Reserves in any case.
    pub is_forced: bool,
}

/// What came of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Reserve {
    /// Reserved; so much is left.
    Reserved {
        remaining: u128,
        is_new: bool,
        /// Whether it would not have been reserved without force.
        is_over: bool,
    },
    /// The budget has not so much left.
    Spent { remaining: u128 },
    /// The table has no room.
    Full,
}

impl Spend {
    pub(super) fn new(window: Window, now_ms: u64) -> Self {
        Self {
            before: 0,
            within: 0,
            reserved: 0,
            window,
            limit: 0,
            since_ms: now_ms,
            epoch: 0,
            is_complete: now_ms / 1000 <= window.start_s,
        }
    }

    pub(super) fn load(record: &Record) -> Self {
        let [b0, b1, w0, w1, r0, r1, window, l0, l1, since_ms] = record.words;
        Self {
            before: wide(b0, b1),
            within: wide(w0, w1),
            reserved: wide(r0, r1),
            window: Window::unpacked(window),
            limit: wide(l0, l1),
            since_ms,
            epoch: record.epoch,
            is_complete: record.flags != 0,
        }
    }

    pub(super) fn store(self, record: &mut Record) {
        let [b0, b1] = halves(self.before);
        let [w0, w1] = halves(self.within);
        let [r0, r1] = halves(self.reserved);
        let [l0, l1] = halves(self.limit);
        record.words = [b0, b1, w0, w1, r0, r1, self.window.packed(), l0, l1, self.since_ms];
        record.epoch = self.epoch;
        record.flags = self.is_complete.into();
    }

    /// Whether nobody asks for it any more.
    pub(super) fn is_over(&self, now_s: u64) -> bool {
        self.window.end_s <= now_s && self.reserved == 0
    }

    /// Sums saturate at 2^128 pico-units, which is 3e26 units: no sum of prices comes near it.
    pub(super) fn spent(&self) -> u128 {
        self.before.saturating_add(self.within)
    }

    /// Everything that was settled in epochs up to `epoch`, if that is the last one or the one before.
    pub(super) fn until(&self, epoch: u32) -> u128 {
        if self.epoch > epoch { self.before } else { self.spent() }
    }

    fn reserve(&mut self, wish: &Wish) -> Reserve {
        self.limit = wish.budget;
        let held = self.spent().saturating_add(self.reserved);
        let wanted = held.saturating_add(wish.amount);
        let fits = match wish.cap {
            Cap::Hard => wanted <= wish.budget,
            Cap::Soft => held < wish.budget,
        };
        if !fits && !wish.is_forced {
            return Reserve::Spent { remaining: wish.budget.saturating_sub(held) };
        }
        self.reserved = self.reserved.saturating_add(wish.amount);
        let remaining = wish.budget.saturating_sub(wanted);
        Reserve::Reserved { remaining, is_new: false, is_over: !fits }
    }

    pub(super) fn book(&mut self, amount: u128, epoch: u32) {
        if epoch > self.epoch {
            self.before = self.spent();
            (self.within, self.epoch) = (0, epoch);
        }
        let sum = if epoch == self.epoch { &mut self.within } else { &mut self.before };
        *sum = sum.saturating_add(amount);
    }
}

impl Table<'_> {
    /// Reserves an amount.
    pub(super) fn reserve(&mut self, key: u64, wish: &Wish, now_ms: u64) -> Reserve {
        let Some(Claimed { slot, is_new }) = self.claim(key, Kind::Spend, now_ms) else {
            return Reserve::Full;
        };
        let Some(record) = self.get_mut(slot) else { return Reserve::Full };
        let mut spend = if is_new { Spend::new(wish.window, now_ms) } else { Spend::load(record) };
        // One that a replay made knows only where its window begins.
        spend.window = wish.window;
        let mut came = spend.reserve(wish);
        spend.store(record);
        if let Reserve::Reserved { is_new: told, .. } = &mut came {
            *told = is_new;
        }
        came
    }

    /// Drops a reservation.
    pub(super) fn unreserve(&mut self, key: u64, amount: u128) {
        self.change(key, |spend| spend.reserved = spend.reserved.saturating_sub(amount));
    }

    /// Puts what it cost in the place of a reservation. If the record has gone, its window is over, and
    /// the amount is dropped and counted.
    pub(super) fn spend(&mut self, key: u64, reserved: u128, actual: u128, epoch: u64) {
        let epoch = u32::try_from(epoch).unwrap_or(u32::MAX);
        let found = self.change(key, |spend| {
            spend.reserved = spend.reserved.saturating_sub(reserved);
            spend.book(actual, epoch);
        });
        if found.is_none() && actual > 0 {
            self.set_stats(|stats| stats.late += 1);
        }
    }

    /// Adds what a database knows of the time before `since_ms`. `false` if somebody has done so, or if
    /// there is no such budget.
    pub fn add_before(&mut self, key: u64, sum: Pico) -> bool {
        let added = self.change(key, |spend| {
            if spend.is_complete {
                return false;
            }
            spend.before = spend.before.saturating_add(sum.0);
            spend.is_complete = true;
            true
        });
        added.unwrap_or(false)
    }

    /// The budget in a slot, if there is one.
    #[must_use]
    pub fn budget(&self, slot: usize) -> Option<Budget> {
        let record = self.get(slot).filter(|record| record.is(Kind::Spend))?;
        let spend = Spend::load(record);
        Some(Budget {
            key: record.key,
            label: self.label(record.key),
            window: spend.window,
            limit: Pico(spend.limit),
            spent: Pico(spend.spent()),
            reserved: Pico(spend.reserved),
            since_ms: spend.since_ms,
            is_complete: spend.is_complete,
        })
    }

    /// The epoch in which charges are booked now.
    #[must_use]
    pub fn epoch(&self) -> u64 {
        self.stats().epoch
    }

    /// Begins the next epoch and returns the one that has ended. The next must not be begun before the
    /// snapshot of this one is complete.
    pub fn end_epoch(&mut self) -> u64 {
        let ended = self.epoch();
        self.raise_epoch(ended + 1);
        ended
    }

    /// Makes sure that the epoch is at least this: behind all that a journal bears.
    pub fn raise_epoch(&mut self, epoch: u64) {
        self.set_stats(|stats| stats.epoch = stats.epoch.max(epoch));
    }

    pub(super) fn change<R>(
        &mut self,
        key: u64,
        change: impl FnOnce(&mut Spend) -> R,
    ) -> Option<R> {
        let slot = self.find(key, Kind::Spend)?;
        let record = self.get_mut(slot)?;
        let mut spend = Spend::load(record);
        let result = change(&mut spend);
        spend.store(record);
        Some(result)
    }
}

#[cfg(test)]
mod tests;
