//! What one request and each of its attempts ask for.

use std::borrow::Cow;
use std::cell::OnceCell;

use super::super::bucket::Portion;
use super::super::clerk::{Ask, Clerk, Held, Want, Which};
use super::super::estimate::Estimate;
use super::super::label::Label;
use super::super::line::{Basis, Measure, Reserve, Scope, Unpriced};
use super::super::refusal::Refusal;
use super::{Group, Limit, Quota, RuleSet, Side, Spending, Subject};
use crate::cost::{Pico, Rates};
use crate::pattern::fold;

/// How often a limit is charged.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Turn {
    /// Once for a request.
    Request,
    /// Once for each attempt.
    Attempt,
}

impl RuleSet {
    /// What is asked once for a request: the limits of its own scopes. `keys` are the values of
    /// [`RuleSet::keys`]; `subject` names the first target.
    pub fn ask_request(
        &self,
        subject: &Subject<'_>,
        keys: &[&[u8]],
        estimate: &Estimate,
        asks: &mut Vec<Ask>,
    ) -> Result<(), Refusal> {
        if self.has_identity && value(keys, 0).is_empty() {
            return Err(Refusal::identity_missing("llm_ratelimit_key"));
        }
        self.ask_limits(Turn::Request, subject, keys, estimate, asks);
        Ok(())
    }

    /// What is asked for an attempt: the limits of its target.
    pub fn ask_attempt(
        &self,
        subject: &Subject<'_>,
        keys: &[&[u8]],
        estimate: &Estimate,
        asks: &mut Vec<Ask>,
    ) {
        self.ask_limits(Turn::Attempt, subject, keys, estimate, asks);
    }

    /// What is asked of the budgets of an attempt's unit; `rates` are those of its provider and model.
    pub fn ask_spend(
        &self,
        unit: &str,
        keys: &[&[u8]],
        estimate: &Estimate,
        rates: Option<&Rates>,
        now_s: u64,
        asks: &mut Vec<Ask>,
    ) -> Result<(), Refusal> {
        let fits = |one: &Spending| one.unit.eq_ignore_ascii_case(unit) && one.applies(keys);
        let Some(first) = self.spends.iter().find(|spending| fits(spending)) else { return Ok(()) };
        let Some(price) = self.price(first, estimate, rates)? else { return Ok(()) };
        let before = asks.len();
        for (at, spending) in self.spends.iter().enumerate().filter(|(_, one)| fits(one)) {
            match spending.ask(at, keys, price, now_s) {
                Ok(ask) => asks.push(ask),
                Err(refusal) => {
                    asks.truncate(before);
                    return Err(refusal);
                }
            }
        }
        Ok(())
    }

    /// The rates to settle with where the rate card has none, if there are any.
    #[must_use]
    pub fn rates_of_unpriced(&self) -> Option<Rates> {
        match self.unpriced {
            Unpriced::Rate { input, output } => Some(Rates::flat(input, output)),
            Unpriced::Deny | Unpriced::Allow => None,
        }
    }

    /// Whether a cost unit has a budget here.
    #[must_use]
    pub fn has_budget(&self, unit: &str) -> bool {
        self.spends.iter().any(|spending| spending.unit.eq_ignore_ascii_case(unit))
    }

    /// Notes whose the budgets are that were charged for the first time.
    pub fn label(&self, clerk: &mut Clerk<'_>, held: &[Held], keys: &[&[u8]]) {
        for one in held.iter().filter(|one| one.is_new) {
            let Which::Spend(at) = one.ask.which else { continue };
            let Some(spending) = self.spends.get(at) else { continue };
            let ids = spending.keys.iter().map(|key| value(keys, *key));
            let label = Label::new(spending.scope, spending.calendar.kind(), &spending.unit, ids);
            let now_ms = clerk.now_ms();
            clerk.on(|table| table.set_label(one.ask.key, &label, now_ms));
        }
    }

    /// What an attempt costs at most; `None` is not counted.
    fn price(
        &self,
        spending: &Spending,
        estimate: &Estimate,
        rates: Option<&Rates>,
    ) -> Result<Option<Pico>, Refusal> {
        let (input, output) = match (rates, self.unpriced) {
            (Some(rates), _) => (rates.input, rates.output),
            (None, Unpriced::Rate { input, output }) => (input, output),
            (None, Unpriced::Allow) => return Ok(None),
            (None, Unpriced::Deny) => return Err(Refusal::unpriced_model(&spending.name)),
        };
        Ok(Some(estimate.price(input, output)))
    }

    fn ask_limits(
        &self,
        turn: Turn,
        subject: &Subject<'_>,
        keys: &[&[u8]],
        estimate: &Estimate,
        asks: &mut Vec<Ask>,
    ) {
        if !self.limits.iter().any(|limit| limit.turn() == turn) {
            return;
        }
        let names = OnceCell::new();
        let names = || names.get_or_init(|| Names::new(subject));
        let mut groups = 0_u8;
        for (at, limit) in self.limits.iter().enumerate() {
            if limit.turn() != turn || !limit.fits(names) {
                continue;
            }
            match limit.group {
                Group::BestOf(group) if groups & 1 << group != 0 => continue,
                Group::BestOf(group) => groups |= 1 << group,
                Group::General if self.is_replaced(limit, names) => continue,
                Group::General | Group::Alone => {}
            }
            let key = value(keys, limit.key);
            if !key.is_empty() {
                asks.push(limit.ask(at, key, estimate, self.reserve_tokens));
            }
        }
    }

    /// Whether a limit of the same measure for its model or provider stands in for a general one.
    fn is_replaced<'n>(&self, general: &Limit, names: impl Fn() -> &'n Names<'n> + Copy) -> bool {
        let measure = general.measure();
        self.limits.iter().any(|limit| {
            matches!(limit.group, Group::BestOf(_))
                && limit.measure() == measure
                && limit.fits(names)
        })
    }
}

/// The names of a subject in lower case, as patterns want them.
struct Names<'a> {
    providers: [Cow<'a, str>; 2],
    models: [Option<Cow<'a, str>>; 2],
    is_translated: bool,
}

impl<'a> Names<'a> {
    fn new(subject: &Subject<'a>) -> Self {
        Self {
            providers: [fold(subject.requested_provider), fold(subject.provider)],
            models: [subject.requested_model.map(fold), subject.model.map(fold)],
            is_translated: subject.is_translated,
        }
    }
}

impl Limit {
    pub(super) fn is_per_attempt(&self) -> bool {
        self.turn() == Turn::Attempt
    }

    fn turn(&self) -> Turn {
        let effective =
            |side: &Option<Side>| side.as_ref().is_some_and(|side| side.basis == Basis::Effective);
        if self.is_translated || effective(&self.model) || effective(&self.provider) {
            Turn::Attempt
        } else {
            Turn::Request
        }
    }

    fn measure(&self) -> Option<Measure> {
        match self.quota {
            Quota::Rate(measure, _) => Some(measure),
            Quota::Concurrency(_) => None,
        }
    }

    /// `names` are asked for only where the limit is not for all.
    fn fits<'n>(&self, names: impl FnOnce() -> &'n Names<'n>) -> bool {
        if self.model.is_none() && self.provider.is_none() && !self.is_translated {
            return true;
        }
        let names = names();
        let [requested_model, model] = &names.models;
        let [requested_provider, provider] = &names.providers;
        let model_fits = self.model.as_ref().is_none_or(|side| {
            let name = if side.basis == Basis::Requested { requested_model } else { model };
            name.as_ref().is_some_and(|name| side.pattern.matches(name))
        });
        let provider_fits = self.provider.as_ref().is_none_or(|side| {
            let is_requested = side.basis == Basis::Requested;
            side.pattern.matches(if is_requested { requested_provider } else { provider })
        });
        model_fits && provider_fits && (names.is_translated || !self.is_translated)
    }

    fn ask(&self, at: usize, identity: &[u8], estimate: &Estimate, reserve: Reserve) -> Ask {
        let want = match self.quota {
            Quota::Concurrency(limit) => Want::Enter { limit },
            Quota::Rate(measure, rate) => {
                let (amount, firm) = match (measure, reserve) {
                    // The operator's number is a guess too: a smaller bucket gives all it holds.
                    (_, Reserve::Fixed(tokens)) if measure != Measure::Requests => (tokens, 0),
                    _ => estimate.of(measure),
                };
                Want::Draw { rate, measure, portion: Portion { amount, firm } }
            }
        };
        let key = self.start.clone().bytes(identity).finish();
        Ask { which: Which::Limit(at), key, limit: self.id, want }
    }
}

impl Spending {
    /// The budget of one client among others: its variable is empty for those that have none.
    fn applies(&self, keys: &[&[u8]]) -> bool {
        let own = self.keys.last().map(|index| value(keys, *index));
        self.scope != Scope::Client || own.is_some_and(|id| !id.is_empty())
    }

    /// A budget whose owner is not known cannot be kept.
    fn ask(&self, at: usize, keys: &[&[u8]], price: Pico, now_s: u64) -> Result<Ask, Refusal> {
        let window = self.calendar.at(now_s);
        let mut key = self.start.clone().number(window.start_s);
        for index in &self.keys {
            let id = value(keys, *index);
            if id.is_empty() {
                return Err(Refusal::identity_missing(&self.name));
            }
            key = key.bytes(id);
        }
        let amount = self.reserve.unwrap_or(price).0;
        let (budget, cap) = (self.budget.0, self.cap);
        let want = Want::Reserve { window, budget, amount, cap };
        Ok(Ask { which: Which::Spend(at), key: key.finish(), limit: 0, want })
    }
}

fn value<'a>(keys: &[&'a [u8]], index: usize) -> &'a [u8] {
    keys.get(index).copied().unwrap_or_default()
}
