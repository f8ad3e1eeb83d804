//! How are several limits charged, all or none? Each call under the lock changes one record and the note
//! of who holds it; the clerk takes one after the other, and gives back what it has when one refuses. It
//! knows no rule: it is told what to ask for.

use super::bucket::{Draw, Level, Portion, Rate};
use super::in_flight::Entry;
use super::lease::{Lease, LeaseAt, Owner};
use super::line::Measure;
use super::record::Kind;
use super::spend::{Cap, Reserve, Wish};
use super::table::Table;
use super::window::Window;
use crate::cost::{Pico, SpendCharge};
use crate::usage::Buckets;

/// Which line of the configuration asks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Which {
    /// One of the limits, by its index.
    Limit(usize),
    /// One of the budgets, by its index.
    Spend(usize),
}

/// What is asked of one record.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Ask {
    /// Who asks.
    pub which: Which,
    /// The record's key.
    pub key: u64,
    /// Which limit it is of; 0 for budgets.
    pub(super) limit: u64,
    pub(super) want: Want,
}

/// What is wanted of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Want {
    Draw { rate: Rate, measure: Measure, portion: Portion },
    Enter { limit: u64 },
    Reserve { window: Window, budget: u128, amount: u128, cap: Cap },
}

/// What was taken, to be settled or given back.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Held {
    /// What was asked.
    pub ask: Ask,
    /// What is left to others: requests, tokens, places or pico-units.
    pub remaining: u128,
    /// When a bucket will be full, in milliseconds.
    pub reset_ms: u64,
    /// How much was taken.
    pub(super) amount: u128,
    /// Whether a budget's record was made for it.
    pub(super) is_new: bool,
    /// Whether a budget holds more than it may.
    is_over: bool,
    lease: Option<LeaseAt>,
}

/// What refuses.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Refused {
    /// Who refuses.
    pub ask: Ask,
    /// Whether the request must not pass; then nothing is held any more.
    pub is_binding: bool,
    /// What is left: requests, tokens, places or pico-units.
    pub remaining: u128,
    /// When a bucket will be full, in milliseconds.
    pub reset_ms: u64,
    pub(super) why: Why,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Why {
    /// It would pass in so many milliseconds.
    Wait(u64),
    /// The bucket never holds as much.
    Never,
    /// All places are taken.
    Busy,
    /// The budget is spent.
    Spent,
    /// The table has no room.
    Full,
}

/// What a refusal means.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Mode {
    /// The request does not pass.
    #[default]
    Enforce,
    /// As well, unless there was only no room to count it.
    FailOpen,
    /// The request passes in any case. Budgets count it.
    DryRun,
}

/// What it came to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Actual {
    /// Tokens; `None` is unknown, then what was reserved stands.
    pub tokens: Option<Buckets>,
    /// Money, in the unit of the budgets that are settled.
    pub price: Pico,
}

/// Runs something on the table with the zone locked, or not at all if there is none.
pub type WithTable<'a> = &'a mut dyn FnMut(&mut dyn FnMut(&mut Table<'_>));

/// Charges limits and budgets for one worker at one time.
pub struct Clerk<'a> {
    with: WithTable<'a>,
    owner: &'a mut Owner,
    now_ms: u64,
}

impl<'a> Clerk<'a> {
    /// `with` locks the zone for each call; `now_ms` is unix time.
    pub fn new(with: WithTable<'a>, owner: &'a mut Owner, now_ms: u64) -> Self {
        Self { with, owner, now_ms }
    }

    /// Takes all that is asked and adds it to `held`. If something refuses, that is returned, and where
    /// it is binding nothing of `asks` is held.
    pub fn take(&mut self, asks: &[Ask], mode: Mode, held: &mut Vec<Held>) -> Option<Refused> {
        let before = held.len();
        let mut first = None;
        self.on(|table| table.fetch(asks.iter().map(|ask| ask.key)));
        for ask in asks {
            held.push(Held::new(ask));
            let Some(one) = held.last_mut() else { return first };
            let why = self.take_one(one, mode);
            let refused = match why {
                Some(why) => Some(one.refused(why, mode)),
                None => one.is_over.then(|| one.refused(Why::Spent, mode)),
            };
            if why.is_some() {
                held.pop();
            }
            if refused.is_some_and(|refused| refused.is_binding) {
                self.release(held, before);
                return refused;
            }
            first = first.or(refused);
        }
        first
    }

    /// Replaces what was reserved by what it came to. Requests stay counted, and `held` is empty then.
    /// `epoch` is what [`Clerk::epoch`] said before the journal was written.
    pub fn settle(&mut self, held: &mut Vec<Held>, actual: &Actual, epoch: u64) {
        self.on(|table| table.fetch(held.iter().map(|one| one.ask.key)));
        let (with, owner, now_ms) = (&mut *self.with, &mut *self.owner, self.now_ms);
        for one in held.iter().filter(|one| one.is_open()) {
            on(with, |table| {
                one.settle(table, actual, epoch, now_ms);
                one.close(table, owner);
            });
        }
        held.clear();
    }

    /// Gives back all that is held from an index on, requests as well: nothing was sent.
    pub fn release(&mut self, held: &mut Vec<Held>, from: usize) {
        let (with, owner, now_ms) = (&mut *self.with, &mut *self.owner, self.now_ms);
        while held.len() > from {
            let Some(one) = held.pop() else { return };
            on(with, |table| {
                if one.lease.is_none_or(|at| table.is_open(at)) {
                    table.give_back(one.charged(), now_ms);
                }
                one.close(table, owner);
            });
        }
    }

    /// Closes the buckets of what is held until then, because a provider said so.
    pub fn hold(&mut self, held: &[Held], until_ms: u64) {
        for one in held {
            let Want::Draw { rate, .. } = one.ask.want else { continue };
            let now_ms = self.now_ms;
            self.on(|table| table.hold(one.ask.key, rate, until_ms, now_ms));
        }
    }

    /// The epoch that a journal entry and its settlement bear.
    pub fn epoch(&mut self) -> u64 {
        self.on(|table| table.epoch()).unwrap_or(0)
    }

    pub(super) fn on<R>(&mut self, work: impl FnOnce(&mut Table<'_>) -> R) -> Option<R> {
        on(self.with, work)
    }

    pub(super) fn now_ms(&self) -> u64 {
        self.now_ms
    }

    fn take_one(&mut self, one: &mut Held, mode: Mode) -> Option<Why> {
        let (owner, now_ms) = (&mut *self.owner, self.now_ms);
        on(self.with, |table| one.take(table, owner, mode, now_ms)).unwrap_or(Some(Why::Full))
    }
}

fn on<R>(with: WithTable<'_>, work: impl FnOnce(&mut Table<'_>) -> R) -> Option<R> {
    let (mut work, mut result) = (Some(work), None);
    with(&mut |table| {
        if let Some(work) = work.take() {
            result = Some(work(table));
        }
    });
    result
}

impl Want {
    fn kind(&self) -> Kind {
        match self {
            Self::Draw { .. } => Kind::Bucket,
            Self::Enter { .. } => Kind::InFlight,
            Self::Reserve { .. } => Kind::Spend,
        }
    }

    /// What is given back for a worker that dies; requests stay counted whatever happens.
    fn amount_to_back(&self) -> Option<u128> {
        match self {
            Self::Draw { measure: Measure::Requests, .. } => None,
            Self::Draw { rate, portion, .. } => Some(portion.amount.min(rate.capacity()).into()),
            Self::Enter { .. } => Some(1),
            Self::Reserve { amount, .. } => Some(*amount),
        }
    }

    /// A bucket refills by itself. What does not is refused if nobody could give it back for a worker
    /// that died.
    fn must_be_backed(&self) -> bool {
        !matches!(self, Self::Draw { .. })
    }
}

impl Held {
    fn new(ask: &Ask) -> Self {
        Self {
            ask: *ask,
            remaining: 0,
            reset_ms: 0,
            amount: 0,
            is_new: false,
            is_over: false,
            lease: None,
        }
    }

    /// Notes the charge and makes it.
    fn take(
        &mut self,
        table: &mut Table<'_>,
        owner: &mut Owner,
        mode: Mode,
        now_ms: u64,
    ) -> Option<Why> {
        let Ask { key, limit, want, .. } = self.ask;
        if let Some(amount) = want.amount_to_back() {
            self.lease =
                table.open(owner, Lease { kind: want.kind(), target: key, amount }, now_ms);
            if self.lease.is_none() {
                if want.must_be_backed() {
                    return Some(Why::Full);
                }
                table.set_stats(|stats| stats.unbacked += 1);
            }
        }
        let why = match want {
            Want::Draw { rate, portion, .. } => {
                self.drawn(table.draw(key, limit, rate, portion, now_ms))
            }
            Want::Enter { limit: most } => self.entered(table.enter(key, limit, most, now_ms)),
            Want::Reserve { window, budget, amount, cap } => {
                let is_forced = mode == Mode::DryRun;
                let wish = Wish { window, budget, amount, cap, is_forced };
                self.reserved(amount, table.reserve(key, &wish, now_ms))
            }
        };
        if why.is_some() {
            self.close(table, owner);
        }
        why
    }

    /// Whether something of it is to be settled.
    fn is_open(&self) -> bool {
        self.ask.want.amount_to_back().is_some()
    }

    fn settle(&self, table: &mut Table<'_>, actual: &Actual, epoch: u64, now_ms: u64) {
        let key = self.ask.key;
        match self.ask.want {
            Want::Draw { rate, measure, .. } => {
                let Some(tokens) = actual.tokens.map(|tokens| counted(&tokens, measure)) else {
                    return;
                };
                let reserved = u64::try_from(still_held(table, self)).unwrap_or(u64::MAX);
                table.redraw(key, rate, reserved, tokens, now_ms);
            }
            Want::Enter { .. } => {
                if self.lease.is_some_and(|at| table.is_open(at)) {
                    table.leave(key);
                }
            }
            Want::Reserve { .. } => {
                let reserved = still_held(table, self);
                table.spend(key, reserved, actual.price.0, epoch);
            }
        }
    }

    fn close(&self, table: &mut Table<'_>, owner: &mut Owner) {
        if let Some(at) = self.lease {
            table.close(at);
            owner.closed(at);
        }
    }

    fn charged(&self) -> Lease {
        Lease { kind: self.ask.want.kind(), target: self.ask.key, amount: self.amount }
    }

    /// The charge that a journal entry bears, if this is a budget.
    #[must_use]
    pub fn charge(&self, price: Pico) -> Option<SpendCharge> {
        let Want::Reserve { window, .. } = self.ask.want else { return None };
        Some(SpendCharge { key: self.ask.key, window_start_s: window.start_s, pico: price })
    }

    /// Tokens that are reserved here; requests, places and money are none.
    #[must_use]
    pub fn reserved_tokens(&self) -> Option<u64> {
        match self.ask.want {
            Want::Draw { measure: Measure::Requests, .. } => None,
            Want::Draw { .. } => u64::try_from(self.amount).ok(),
            Want::Enter { .. } | Want::Reserve { .. } => None,
        }
    }

    /// How much of a budget is spent and reserved, in percent, rounded down.
    #[must_use]
    pub fn budget_used_percent(&self) -> Option<u64> {
        self.ask.budget_used_percent(self.remaining)
    }

    fn drawn(&mut self, draw: Draw) -> Option<Why> {
        let (why, amount, level) = match draw {
            Draw::Taken(amount, level) => (None, amount, level),
            Draw::Wait(ms, level) => (Some(Why::Wait(ms)), 0, level),
            Draw::Never => return Some(Why::Never),
            Draw::Full => return Some(Why::Full),
        };
        let Level { remaining, reset_ms } = level;
        (self.amount, self.remaining, self.reset_ms) = (amount.into(), remaining.into(), reset_ms);
        why
    }

    fn entered(&mut self, entry: Entry) -> Option<Why> {
        match entry {
            Entry::Entered(left) => (self.amount, self.remaining) = (1, left.into()),
            Entry::Busy => return Some(Why::Busy),
            Entry::Full => return Some(Why::Full),
        }
        None
    }

    fn reserved(&mut self, amount: u128, reserve: Reserve) -> Option<Why> {
        match reserve {
            Reserve::Reserved { remaining, is_new, is_over } => {
                (self.amount, self.remaining) = (amount, remaining);
                (self.is_new, self.is_over) = (is_new, is_over);
                None
            }
            Reserve::Spent { remaining } => {
                self.remaining = remaining;
                Some(Why::Spent)
            }
            Reserve::Full => Some(Why::Full),
        }
    }

    fn refused(&self, why: Why, mode: Mode) -> Refused {
        let is_binding = match mode {
            Mode::Enforce => true,
            Mode::FailOpen => why != Why::Full,
            Mode::DryRun => false,
        };
        let Self { ask, remaining, reset_ms, .. } = *self;
        Refused { ask, is_binding, remaining, reset_ms, why }
    }
}

impl Ask {
    /// When a budget begins anew, if it does.
    pub(super) fn window_end_s(&self) -> Option<u64> {
        let Want::Reserve { window, .. } = self.want else { return None };
        (window.end_s != u64::MAX).then_some(window.end_s)
    }

    /// How much of a budget is gone where so much remains, in percent, rounded down.
    pub(super) fn budget_used_percent(&self, remaining: u128) -> Option<u64> {
        let Want::Reserve { budget, .. } = self.want else { return None };
        let used = budget.saturating_sub(remaining);
        let percent = used.saturating_mul(100).checked_div(budget).unwrap_or(100);
        u64::try_from(percent).ok()
    }
}

/// How much of a charge the table still holds: nothing if it was given back for a worker that was
/// thought dead.
fn still_held(table: &Table<'_>, one: &Held) -> u128 {
    if one.lease.is_none_or(|at| table.is_open(at)) { one.amount } else { 0 }
}

/// The tokens that a measure counts.
fn counted(tokens: &Buckets, measure: Measure) -> u64 {
    let written = tokens.cache_write_5m.saturating_add(tokens.cache_write_1h);
    let uncached = tokens.uncached_input.saturating_add(written);
    let input = uncached.saturating_add(tokens.cache_read);
    match measure {
        Measure::Requests => 1,
        Measure::Input => input,
        Measure::Output => tokens.output,
        Measure::Total => input.saturating_add(tokens.output),
        Measure::Uncached => uncached.saturating_add(tokens.output),
    }
}

#[cfg(test)]
mod tests;
