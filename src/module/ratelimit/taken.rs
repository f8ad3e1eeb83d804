//! What one request has taken of limits and budgets, until it is settled.

use std::cell::{Cell, RefCell};

use llm_core::cost::{Guess, Pico, Rates, SpendCharge};
use llm_core::error::Rejection;
use llm_core::ratelimit::{Estimate, Headers, Held, Refusal};

use crate::ffi::pool::PoolBytes;

/// The limits' part of a request's context.
#[derive(Default)]
pub struct Taken {
    /// The values of the rules' keys.
    pub(super) keys: RefCell<Vec<PoolBytes>>,
    /// The request's size.
    pub(super) estimate: Cell<Estimate>,
    /// Of its own scopes.
    pub(super) request: RefCell<Vec<Held>>,
    /// Of the current target's.
    pub(super) attempt: RefCell<Vec<Held>>,
    /// What refuses it, or would.
    pub(super) refusal: RefCell<Option<Refusal>>,
    /// The rates where the card has none.
    pub(super) assumed: Cell<Option<Rates>>,
    /// How much of its tightest budget is gone, in percent.
    pub(super) budget_used: Cell<Option<u64>>,
    reserved_tokens: Cell<Option<u64>>,
    shown: Cell<Headers>,
}

impl Taken {
    /// What the budgets are charged, for the journal.
    pub fn charges(&self, price: Pico) -> Vec<SpendCharge> {
        self.attempt.borrow().iter().filter_map(|held| held.charge(price)).collect()
    }

    /// What a request is told that its first target's limits refuse.
    pub fn rejection(&self) -> Rejection {
        self.refusal(Refusal::rejection).unwrap_or_else(Rejection::internal)
    }

    /// What refuses the request, or would.
    pub fn refusal<R>(&self, get: impl FnOnce(&Refusal) -> R) -> Option<R> {
        self.refusal.borrow().as_ref().map(get)
    }

    /// The limits that the client is shown.
    pub fn shown(&self) -> Headers {
        self.shown.get()
    }

    /// Tokens that the request was taken to use.
    pub fn reserved(&self) -> Guess {
        let estimate = self.estimate.get();
        Guess { input_tokens: estimate.prompt_tokens, output_tokens: estimate.output_tokens }
    }

    /// The most tokens that a limit kept for it.
    pub fn reserved_tokens(&self) -> Option<u64> {
        self.reserved_tokens.get()
    }

    pub(super) fn note_reserved(&self, held: &[Held]) {
        let most = held.iter().filter_map(Held::reserved_tokens).max();
        self.reserved_tokens.set(self.reserved_tokens.get().max(most));
    }

    /// How much of its tightest budget is gone, in percent.
    pub fn budget_used(&self) -> Option<u64> {
        self.budget_used.get()
    }

    /// The rates of a model that has none.
    pub fn assumed_rates(&self) -> Option<Rates> {
        self.assumed.get()
    }

    pub(super) fn show(&self, headers: Headers) {
        self.shown.set(self.shown.get().with(headers));
    }

    pub(super) fn with_keys<R>(&self, work: impl FnOnce(&[&[u8]]) -> R) -> R {
        const FEW: usize = 8;
        let keys = self.keys.borrow();
        let mut few: [&[u8]; FEW] = [&[]; FEW];
        if let Some(space) = few.get_mut(..keys.len()) {
            space.iter_mut().zip(&*keys).for_each(|(space, key)| *space = key);
            return work(space);
        }
        work(&keys.iter().map(|key| &**key).collect::<Vec<&[u8]>>())
    }
}
