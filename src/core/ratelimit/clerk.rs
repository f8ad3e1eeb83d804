//! How are several limits charged, all or none? Each call under the lock changes one record; the clerk
//! takes one after the other, and gives back what it has when one refuses. It knows no rule: it is told
//! what to ask for.

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
        for one in held.iter() {
            let (key, now_ms) = (one.ask.key, self.now_ms);
            match one.ask.want {
                Want::Draw { measure: Measure::Requests, .. } => {}
                Want::Draw { rate, measure, .. } => {
                    let Some(tokens) = actual.tokens.map(|tokens| counted(&tokens, measure)) else {
                        self.close(one.lease);
                        continue;
                    };
                    self.on(|table| {
                        let reserved = u64::try_from(still_held(table, one)).unwrap_or(u64::MAX);
                        table.redraw(key, rate, reserved, tokens, now_ms);
                    });
                }
                Want::Enter { .. } => self.leave(one),
                Want::Reserve { .. } => {
                    self.on(|table| {
                        let reserved = still_held(table, one);
                        table.spend(key, reserved, actual.price.0, epoch);
                    });
                }
            }
            self.close(one.lease);
        }
        held.clear();
    }

    /// Gives back all that is held from an index on, requests as well: nothing was sent.
    pub fn release(&mut self, held: &mut Vec<Held>, from: usize) {
        while held.len() > from {
            let Some(one) = held.pop() else { return };
            let lease =
                Lease { kind: one.ask.want.kind(), target: one.ask.key, amount: one.amount };
            let now_ms = self.now_ms;
            self.on(|table| {
                if one.lease.is_none_or(|at| table.is_open(at)) {
                    table.give_back(lease, now_ms);
                }
            });
            self.close(one.lease);
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
        let (mut work, mut result) = (Some(work), None);
        (self.with)(&mut |table| {
            if let Some(work) = work.take() {
                result = Some(work(table));
            }
        });
        result
    }

    pub(super) fn now_ms(&self) -> u64 {
        self.now_ms
    }

    fn take_one(&mut self, one: &mut Held, mode: Mode) -> Option<Why> {
        let (ask, now_ms) = (one.ask, self.now_ms);
        one.lease = self.lease(&ask);
        if one.lease.is_none() && ask.want.must_be_backed() {
            return Some(Why::Full);
        }
        let why = match ask.want {
            Want::Draw { rate, portion, .. } => {
                let draw = self.on(|table| table.draw(ask.key, ask.limit, rate, portion, now_ms));
                one.drawn(draw.unwrap_or(Draw::Full))
            }
            Want::Enter { limit: most } => {
                let entry = self.on(|table| table.enter(ask.key, ask.limit, most, now_ms));
                one.entered(entry.unwrap_or(Entry::Full))
            }
            Want::Reserve { window, budget, amount, cap } => {
                let is_forced = mode == Mode::DryRun;
                let wish = Wish { window, budget, amount, cap, is_forced };
                let reserve = self.on(|table| table.reserve(ask.key, &wish, now_ms));
                one.reserved(amount, reserve.unwrap_or(Reserve::Full))
            }
        };
        if why.is_some() {
            self.close(one.lease);
        }
        why
    }

    fn lease(&mut self, ask: &Ask) -> Option<LeaseAt> {
        let amount = match ask.want {
            // Requests stay counted whatever happens.
            Want::Draw { measure: Measure::Requests, .. } => return None,
            Want::Draw { rate, portion, .. } => portion.amount.min(rate.capacity()).into(),
            Want::Enter { .. } => 1,
            Want::Reserve { amount, .. } => amount,
        };
        let lease = Lease { kind: ask.want.kind(), target: ask.key, amount };
        let must = ask.want.must_be_backed();
        let (with, owner, now_ms) = (&mut *self.with, &mut *self.owner, self.now_ms);
        let mut at = None;
        with(&mut |table| {
            at = table.open(owner, lease, now_ms);
            if at.is_none() && !must {
                table.set_stats(|stats| stats.unbacked += 1);
            }
        });
        at
    }

    fn leave(&mut self, one: &Held) {
        self.on(|table| {
            if one.lease.is_some_and(|at| table.is_open(at)) {
                table.leave(one.ask.key);
            }
        });
    }

    fn close(&mut self, lease: Option<LeaseAt>) {
        if let Some(at) = lease {
            self.on(|table| table.close(at));
            self.owner.closed(at);
        }
    }
}

impl Want {
    fn kind(&self) -> Kind {
        match self {
            Self::Draw { .. } => Kind::Bucket,
            Self::Enter { .. } => Kind::InFlight,
            Self::Reserve { .. } => Kind::Spend,
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
