//! May a request pass, and what has it taken of limits and budgets? `proxy` asks once for each request,
//! `attempt` for each target that is tried, the log phase settles. The records lie in the shared zone;
//! each is changed under the zone's lock by itself; the rules are in `llm_core::ratelimit`.

mod lines;
mod taken;
mod zone;

use llm_core::cost::{Bill, Status, UsageSource};
use llm_core::error::Rejection;
use llm_core::ratelimit::{
    Actual, Ask, Clerk, DenyReason, Described, Estimate, Headers, Held, Label, Mode, Refusal,
    Refused, RuleSet, Subject,
};
use llm_core::request::estimate_tokens;
use llm_core::usage::Buckets;

pub use lines::{COMMANDS, Conf, MainLines};
pub use taken::Taken;
pub use zone::{Board, budgets, parts, sweep, with_table};

use crate::cost;
use crate::ctx::{RequestCtx, Routed};
use crate::ffi::value::ComplexValue;
use crate::ffi::{Request, unix_ms};

/// A location's limits and budgets.
pub struct Rules {
    /// `llm_ratelimit`
    pub on: bool,
    /// `llm_ratelimit_headers`
    pub headers: bool,
    set: RuleSet,
    keys: Vec<ComplexValue>,
    mode: Mode,
    cooldown: bool,
    fail_open: bool,
    dry_run: bool,
}

impl Rules {
    /// Whether money is limited here.
    pub fn has_budgets(&self) -> bool {
        self.on && self.set.has_budgets()
    }

    /// Every limit here, as people read it.
    pub fn describe(&self) -> impl Iterator<Item = Described<'_>> {
        self.set.describe().filter(|_| self.on)
    }

    /// Whether a budget lets the request pass that crosses it.
    pub fn is_soft(&self, label: &Label) -> bool {
        self.set.is_soft(label.scope, label.unit(), label.span)
    }

    fn asks(&self) -> bool {
        self.on && !self.set.is_empty()
    }

    /// Whether a request passes that limits cannot be asked about.
    fn forgives(&self, refusal: &Refusal) -> bool {
        self.fail_open && refusal.reason.may_fail_open()
    }
}

/// The limits of the request as a whole, before a target is looked for.
pub fn admit_request(r: Request<'_>, ctx: &RequestCtx, routed: &Routed) -> Result<(), Rejection> {
    let rules = &routed.compiled.limits;
    if !rules.asks() {
        return Ok(());
    }
    let taken = &ctx.limits;
    let values: Option<_> = rules.keys.iter().map(|value| value.keep(r)).collect();
    taken.keys.replace(values.ok_or_else(Rejection::internal)?);
    taken.estimate.set(estimate(ctx));
    let (mut asks, estimate) = (Vec::new(), taken.estimate.get());
    let asked = taken.with_keys(|keys| {
        let subject = subject(ctx, routed, 0);
        rules.set.ask_request(&subject, keys, &estimate, &mut asks)
    });
    if let Err(refusal) = asked {
        let forgiven = rules.forgives(&refusal);
        return note(rules, ctx, refusal, forgiven, Refusal::rejection);
    }
    let mut held = taken.request.borrow_mut();
    // Nothing is allocated under the lock.
    held.reserve_exact(asks.len());
    let refused = zone::clerk(r, |clerk| clerk.take(&asks, rules.mode, &mut held)).flatten();
    note_taken(rules, ctx, &held, refused, Refusal::rejection)
}

/// The limits of a target and the budgets of its unit. What refuses is kept for the answer.
pub fn admit_target(
    r: Request<'_>,
    ctx: &RequestCtx,
    routed: &Routed,
    target: usize,
) -> Result<(), DenyReason> {
    let rules = &routed.compiled.limits;
    if !rules.asks() || !rules.set.asks_per_attempt() {
        return Ok(());
    }
    let taken = &ctx.limits;
    let mut held = taken.attempt.borrow_mut();
    if !held.is_empty() {
        // What an attempt before this one has left; it has failed.
        zone::clerk(r, |clerk| settle_failed(clerk, &mut held));
    }
    let mut asks = Vec::new();
    if let Err(refusal) = ask_target(ctx, routed, target, &mut asks) {
        let forgiven = rules.forgives(&refusal);
        return note(rules, ctx, refusal, forgiven, reason);
    }
    held.reserve_exact(asks.len());
    let refused = taken.with_keys(|keys| {
        zone::clerk(r, |clerk| {
            let refused = clerk.take(&asks, rules.mode, &mut held);
            rules.set.label(clerk, &held, keys);
            refused
        })
    });
    let refused = refused.flatten();
    if let Some(percent) = held.iter().filter_map(|one| one.budget_used_percent()).max() {
        taken.budget_used.set(Some(percent));
    }
    if refused.is_none() && rules.mode == Mode::Enforce {
        // What refused a target before this one does not refuse the request.
        taken.refusal.take();
    }
    note_taken(rules, ctx, &held, refused, reason)
}

/// Whether a target would be admitted now; nothing is held afterwards.
pub fn may_admit_target(
    r: Request<'_>,
    ctx: &RequestCtx,
    routed: &Routed,
    target: usize,
) -> Result<(), DenyReason> {
    let rules = &routed.compiled.limits;
    if !rules.asks() || !rules.set.asks_per_attempt() || rules.mode == Mode::DryRun {
        return Ok(());
    }
    let mut asks = Vec::new();
    if let Err(refusal) = ask_target(ctx, routed, target, &mut asks) {
        return if rules.forgives(&refusal) { Ok(()) } else { Err(refusal.reason) };
    }
    let mut held = Vec::with_capacity(asks.len());
    let refused = zone::clerk(r, |clerk| {
        let refused = clerk.take(&asks, rules.mode, &mut held);
        // The question may have made the record of a budget.
        ctx.limits.with_keys(|keys| rules.set.label(clerk, &held, keys));
        clerk.release(&mut held, 0);
        refused
    })
    .flatten();
    match refused.filter(|refused| refused.is_binding) {
        None => Ok(()),
        Some(refused) => Err(rules.set.refusal(&refused, unix_ms()).reason),
    }
}

fn ask_target(
    ctx: &RequestCtx,
    routed: &Routed,
    target: usize,
    asks: &mut Vec<Ask>,
) -> Result<(), Refusal> {
    let (rules, taken) = (&routed.compiled.limits, &ctx.limits);
    let subject = subject(ctx, routed, target);
    let estimate = taken.estimate.get();
    taken.with_keys(|keys| {
        rules.set.ask_attempt(&subject, keys, &estimate, asks);
        if !ctx.endpoint.get().has_usage() {
            return Ok(());
        }
        let rates = cost::card_rates(routed, target);
        if rates.is_none() {
            taken.assumed.set(rules.set.rates_of_unpriced());
        }
        let unit = routed.compiled.cost.unit(routed.targets.get(target));
        rules.set.ask_spend(unit, keys, &estimate, rates.as_ref(), unix_ms() / 1000, asks)
    })
}

/// An attempt has failed: what it had reserved is free again; it stays counted as a request.
pub fn attempt_failed(r: Request<'_>, ctx: &RequestCtx) {
    let mut held = ctx.limits.attempt.borrow_mut();
    if !held.is_empty() {
        zone::clerk(r, |clerk| settle_failed(clerk, &mut held));
    }
}

/// The provider has said that it takes no more for so long.
pub fn provider_limited(r: Request<'_>, ctx: &RequestCtx, after_ms: u64) {
    let Some(routed) = ctx.routed() else { return };
    if routed.compiled.limits.cooldown {
        let held = ctx.limits.attempt.borrow();
        zone::clerk(r, |clerk| clerk.hold(&held, unix_ms().saturating_add(after_ms)));
    }
}

/// The epoch that the request's event and its settlement bear.
pub fn epoch(r: Request<'_>) -> u64 {
    zone::clerk(r, |clerk| clerk.epoch()).unwrap_or(0)
}

/// The request has ended: what it took becomes what it used. Behind the journal, which bears the same
/// `epoch`.
pub fn settle(r: Request<'_>, ctx: &RequestCtx, bill: Option<&Bill>, epoch: u64) {
    let taken = &ctx.limits;
    let (mut request, mut attempt) = (taken.request.borrow_mut(), taken.attempt.borrow_mut());
    if request.is_empty() && attempt.is_empty() {
        return;
    }
    let sent = ctx.attempt.made.get() > 0 || r.is_cached();
    let actual = actual(bill);
    zone::clerk(r, |clerk| {
        if sent {
            clerk.settle(&mut request, &actual, epoch);
            clerk.settle(&mut attempt, &actual, epoch);
        } else {
            clerk.release(&mut request, 0);
            clerk.release(&mut attempt, 0);
        }
    });
}

fn actual(bill: Option<&Bill>) -> Actual {
    let nothing = Actual { tokens: Some(Buckets::default()), ..Actual::default() };
    let Some(bill) = bill.filter(|bill| bill.status.writes_row()) else { return nothing };
    let tokens = &bill.tokens;
    let counted = Buckets {
        uncached_input: tokens.uncached_input,
        cache_read: tokens.cache_read,
        cache_write_5m: tokens.cache_write_5m,
        cache_write_1h: tokens.cache_write_1h,
        output: tokens.completion.unwrap_or(0),
    };
    Actual {
        // What nobody knows stays as it was reserved; a cache has used nothing.
        tokens: match (bill.status, bill.source) {
            (Status::CacheHit, _) => Some(Buckets::default()),
            (_, UsageSource::None) => None,
            _ => Some(counted),
        },
        price: bill.cost.map(|cost| cost.total).unwrap_or_default(),
    }
}

fn settle_failed(clerk: &mut Clerk<'_>, held: &mut Vec<Held>) {
    let nothing = Actual { tokens: Some(Buckets::default()), ..Actual::default() };
    clerk.settle(held, &nothing, 0);
}

/// Keeps what was taken for the answer's headers, and what refuses, if anything does.
fn note_taken<E>(
    rules: &Rules,
    ctx: &RequestCtx,
    held: &[Held],
    refused: Option<Refused>,
    error: impl FnOnce(&Refusal) -> E,
) -> Result<(), E> {
    ctx.limits.show(Headers::new(held, refused.as_ref()));
    ctx.limits.note_reserved(held);
    let Some(refused) = refused else { return Ok(()) };
    let refusal = rules.set.refusal(&refused, unix_ms());
    note(rules, ctx, refusal, !refused.is_binding, error)
}

/// Keeps a refusal for variables and the answer; an error is one that binds.
fn note<E>(
    rules: &Rules,
    ctx: &RequestCtx,
    refusal: Refusal,
    forgiven: bool,
    error: impl FnOnce(&Refusal) -> E,
) -> Result<(), E> {
    let passes = forgiven || rules.dry_run;
    let noted = if passes { Ok(()) } else { Err(error(&refusal)) };
    ctx.limits.refusal.replace(Some(refusal));
    noted
}

fn reason(refusal: &Refusal) -> DenyReason {
    refusal.reason
}

fn subject<'a>(ctx: &'a RequestCtx, routed: &'a Routed, index: usize) -> Subject<'a> {
    let provider = |index| routed.compiled.routes.provider(index).map_or("", |p| p.name.as_str());
    let target = routed.targets.get(index).or_else(|| routed.targets.first());
    let first = routed.targets.first().map_or("", |target| provider(target.provider));
    let dialect = target.and_then(|target| routed.compiled.routes.provider(target.provider));
    let translated = dialect.is_some_and(|provider| provider.dialect != ctx.dialect.get());
    Subject {
        requested_provider: routed.requested_provider.as_deref().unwrap_or(first),
        requested_model: routed.requested_model.as_deref(),
        provider: target.map_or("", |target| provider(target.provider)),
        model: target.and_then(|target| target.model.as_deref()),
        is_translated: translated && ctx.endpoint.get().needs_model(),
    }
}

fn estimate(ctx: &RequestCtx) -> Estimate {
    let endpoint = ctx.endpoint.get();
    let (prompt, output, n) = ctx
        .facts(|facts| (estimate_tokens(facts.prompt_bytes), facts.max_output_tokens, facts.n))
        .unwrap_or_default();
    if endpoint.has_usage() && endpoint.writes_text() {
        Estimate::new(prompt, output, n)
    } else {
        Estimate::input_only(prompt)
    }
}
