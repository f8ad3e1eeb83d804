//! What is left in a bucket of requests or tokens? It holds `n + burst`, and `n` flow back evenly in
//! each window. The arithmetic is exact: what is used is held in parts of `1 / window_ms` of a token,
//! of which `n` flow back in each millisecond.

use super::record::{Kind, Record, halves, wide};
use super::table::Table;

/// The longest window; it keeps every product below 2^128.
pub const MAX_WINDOW_MS: u64 = 366 * 86_400_000;

/// Workers read the time at different moments: a step back up to this is no step, in milliseconds.
const JITTER_MS: u64 = 5_000;

/// No provider can close a bucket for longer than this, in milliseconds.
const MAX_HOLD_MS: u64 = 86_400_000;

/// What a bucket holds and how fast it refills.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Rate {
    n: u64,
    burst: u64,
    window_ms: u64,
}

impl Rate {
    /// `n` in each window and `burst` on top of it. `n` is at least 1; the window is from 1 ms to
    /// [`MAX_WINDOW_MS`]: what lies outside is moved to the edge.
    #[must_use]
    pub fn new(n: u64, burst: u64, window_ms: u64) -> Self {
        Self { n: n.max(1), burst, window_ms: window_ms.clamp(1, MAX_WINDOW_MS) }
    }

    /// How much flows back in a window.
    #[must_use]
    pub const fn n(self) -> u64 {
        self.n
    }

    /// How much the bucket holds on top of that.
    #[must_use]
    pub const fn burst(self) -> u64 {
        self.burst
    }

    /// The window, in milliseconds.
    #[must_use]
    pub const fn window_ms(self) -> u64 {
        self.window_ms
    }

    /// How much the full bucket holds.
    #[must_use]
    pub fn capacity(self) -> u64 {
        self.n.saturating_add(self.burst)
    }

    fn parts(self, tokens: u64) -> u128 {
        u128::from(tokens) * u128::from(self.window_ms)
    }

    /// How long it takes until so many parts have flown back, rounded up.
    fn time_ms(self, parts: u128) -> u64 {
        // Most are small enough for the machine's own division.
        match u64::try_from(parts) {
            Ok(parts) => parts.div_ceil(self.n),
            Err(_) => u64::try_from(parts.div_ceil(u128::from(self.n))).unwrap_or(u64::MAX),
        }
    }
}

/// A record of this kind, unpacked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Bucket {
    /// What has not yet flown back, in parts of a token.
    pub used: u128,
    /// Until when the flow is reckoned.
    pub updated_ms: u64,
    /// Nothing passes before; 0 is no such time.
    pub hold_until_ms: u64,
    /// As it was when last used.
    pub rate: Rate,
}

/// How a bucket stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Level {
    /// What may still be taken.
    pub remaining: u64,
    /// When it will be full, in milliseconds from now.
    pub reset_ms: u64,
}

/// What came of an attempt to take something out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Draw {
    /// So much was taken.
    Taken(u64, Level),
    /// It will be there in so many milliseconds.
    Wait(u64, Level),
    /// The bucket never holds as much.
    Never,
    /// The table has no room.
    Full,
}

/// What is asked of a bucket.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Portion {
    /// What is wanted; of more than the bucket holds, all that it holds.
    pub amount: u64,
    /// The part of it that is known. If the bucket cannot hold that, it never will.
    pub firm: u64,
}

impl Bucket {
    fn new(rate: Rate, now_ms: u64) -> Self {
        Self { used: 0, updated_ms: now_ms, hold_until_ms: 0, rate }
    }

    pub(super) fn load(record: &Record) -> Self {
        let [low, high, updated_ms, hold_until_ms, n, burst, window_ms, ..] = record.words;
        let rate = Rate::new(n, burst, window_ms);
        Self { used: wide(low, high), updated_ms, hold_until_ms, rate }
    }

    pub(super) fn store(self, record: &mut Record) {
        let [low, high] = halves(self.used);
        let Rate { n, burst, window_ms } = self.rate;
        let (updated_ms, hold_until_ms) = (self.updated_ms, self.hold_until_ms);
        let words = [low, high, updated_ms, hold_until_ms, n, burst, window_ms];
        // The words behind them are not a bucket's to write.
        for (place, word) in record.words.iter_mut().zip(words) {
            *place = word;
        }
    }

    /// Whether it is full and open.
    pub(super) fn is_fresh(&self, now_ms: u64) -> bool {
        self.used <= self.flow(now_ms) && self.hold_until_ms <= now_ms
    }

    /// What has not yet flown back, in whole tokens, rounded up.
    pub(super) fn used_tokens(&self, now_ms: u64) -> u64 {
        let left = self.used.saturating_sub(self.flow(now_ms));
        u64::try_from(left.div_ceil(u128::from(self.rate.window_ms))).unwrap_or(u64::MAX)
    }

    /// What has flown back since the last time, in parts.
    fn flow(&self, now_ms: u64) -> u128 {
        u128::from(now_ms.saturating_sub(self.updated_ms)) * u128::from(self.rate.n)
    }

    /// Lets flow back what is due. A clock that steps back lets nothing flow. After a large step the
    /// flow goes on from the new time at once, so that nobody waits for the old time to come again.
    fn advance(&mut self, now_ms: u64) {
        let back_ms = self.updated_ms.saturating_sub(now_ms);
        if back_ms > JITTER_MS {
            self.hold_until_ms = self.hold_until_ms.saturating_sub(back_ms);
            self.updated_ms = now_ms;
        }
        self.used = self.used.saturating_sub(self.flow(now_ms));
        self.updated_ms = self.updated_ms.max(now_ms);
    }

    fn level(&self) -> Level {
        let left = self.rate.parts(self.rate.capacity()).saturating_sub(self.used);
        let window_ms = self.rate.window_ms;
        let remaining = match u64::try_from(left) {
            Ok(left) => left / window_ms,
            Err(_) => u64::try_from(left / u128::from(window_ms)).unwrap_or(u64::MAX),
        };
        Level { remaining, reset_ms: self.rate.time_ms(self.used) }
    }

    fn take(&mut self, rate: Rate, portion: Portion, now_ms: u64) -> Draw {
        let capacity = rate.capacity();
        if portion.firm > capacity {
            return Draw::Never;
        }
        self.advance(now_ms);
        self.rate = rate;
        let amount = portion.amount.min(capacity);
        let wanted = self.used.saturating_add(rate.parts(amount));
        let wait_ms = rate.time_ms(wanted.saturating_sub(rate.parts(capacity)));
        let wait_ms = wait_ms.max(self.hold_until_ms.saturating_sub(now_ms));
        if wait_ms > 0 {
            return Draw::Wait(wait_ms, self.level());
        }
        self.used = wanted;
        Draw::Taken(amount, self.level())
    }

    /// Puts the real amount in the place of the reserved one.
    fn settle(&mut self, reserved: u64, actual: u64, now_ms: u64) {
        self.advance(now_ms);
        if actual <= reserved {
            self.used = self.used.saturating_sub(self.rate.parts(reserved - actual));
            return;
        }
        // A debt of at most one further capacity: whoever used far more than he was given waits, but
        // one absurd count does not lock him out for days.
        let most = self.rate.parts(self.rate.capacity()).saturating_mul(2).max(self.used);
        self.used = self.used.saturating_add(self.rate.parts(actual - reserved)).min(most);
    }
}

impl Table<'_> {
    /// Takes a portion out of a bucket.
    pub(super) fn draw(
        &mut self,
        key: u64,
        limit: u64,
        rate: Rate,
        portion: Portion,
        now_ms: u64,
    ) -> Draw {
        let Some(claimed) = self.claim(key, Kind::Bucket, now_ms) else { return Draw::Full };
        let Some(record) = self.get_mut(claimed.slot) else { return Draw::Full };
        let mut bucket =
            if claimed.is_new { Bucket::new(rate, now_ms) } else { Bucket::load(record) };
        let draw = bucket.take(rate, portion, now_ms);
        bucket.store(record);
        record.set_limit(limit);
        draw
    }

    /// Puts the real amount in the place of the reserved one. A bucket that has gone was full again, so
    /// that only what goes beyond the reservation counts.
    pub(super) fn redraw(&mut self, key: u64, rate: Rate, reserved: u64, actual: u64, now_ms: u64) {
        let slot = match self.find(key, Kind::Bucket) {
            Some(slot) => slot,
            None if actual <= reserved => return,
            None => {
                let Some(claimed) = self.claim(key, Kind::Bucket, now_ms) else { return };
                if let Some(record) = self.get_mut(claimed.slot) {
                    Bucket::new(rate, now_ms).store(record);
                }
                claimed.slot
            }
        };
        let Some(record) = self.get_mut(slot) else { return };
        let mut bucket = Bucket::load(record);
        bucket.settle(reserved, actual, now_ms);
        bucket.store(record);
    }

    /// Gives something back.
    pub(super) fn refill(&mut self, key: u64, amount: u64, now_ms: u64) {
        let Some(record) = self.find(key, Kind::Bucket).and_then(|slot| self.get_mut(slot)) else {
            return;
        };
        let mut bucket = Bucket::load(record);
        bucket.settle(amount, 0, now_ms);
        bucket.store(record);
    }

    /// Closes a bucket until then, as a provider asked; a day at most.
    pub(super) fn hold(&mut self, key: u64, rate: Rate, until_ms: u64, now_ms: u64) {
        let Some(claimed) = self.claim(key, Kind::Bucket, now_ms) else { return };
        let Some(record) = self.get_mut(claimed.slot) else { return };
        let mut bucket =
            if claimed.is_new { Bucket::new(rate, now_ms) } else { Bucket::load(record) };
        bucket.advance(now_ms);
        let until_ms = until_ms.min(now_ms.saturating_add(MAX_HOLD_MS));
        bucket.hold_until_ms = bucket.hold_until_ms.max(until_ms);
        bucket.store(record);
    }
}

#[cfg(test)]
mod tests;
