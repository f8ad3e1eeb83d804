//! Which target can be tried, what a failure leads to, and what health learns from it.

use llm_core::fallback::{
    Decision, ErrorCode, Event, Failure, Mode, NextTarget, Situation, SkipReason, Verdict, decide,
};
use llm_core::health::Admit;
use llm_core::metrics::AttemptEnd;
use llm_core::ratelimit::DenyReason;
use llm_core::request::estimate_tokens;

use super::{tell, tell_skipped};
use crate::auth::Keys;
use crate::conf::Compiled;
use crate::ctx::{RequestCtx, Routed};
use crate::fallback::Rules;
use crate::ffi::Request;
use crate::health::{self, Candidate, Names, Outcome, Place, ProviderIs};
use crate::ratelimit;

/// The next target that can be tried.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Pick {
    /// Its index.
    Target(usize),
    /// There are targets, but none can be tried: why the first cannot, and when the earliest
    /// benched one can, in milliseconds from now.
    Skipped(SkipReason, Option<u64>),
    /// A limit or budget of the first target refuses: the client is told, nothing else is tried.
    Denied,
    /// There is no further target.
    None,
}

/// How a look at the targets ends.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Look {
    /// Takes the target: notes those passed over, its keys and its probe.
    Take,
    /// Changes nothing.
    Peek,
}

/// Takes the first target from `from` on that can be tried.
pub fn pick(r: Request<'_>, ctx: &RequestCtx, routed: &Routed, from: usize) -> Pick {
    look(r, ctx, routed, from, Look::Take)
}

fn look(r: Request<'_>, ctx: &RequestCtx, routed: &Routed, from: usize, look: Look) -> Pick {
    let mut first = None;
    let mut earliest_ms: Option<u64> = None;
    for index in from..routed.targets.len() {
        let reason = match fits(r, ctx, routed, index, look) {
            Ok(()) => return Pick::Target(index),
            // Not to be routed around: it would be an expensive way to use up a budget.
            Err((SkipReason::Budget | SkipReason::Limit, _))
                if index == 0 && ctx.attempt.made.get() == 0 =>
            {
                return Pick::Denied;
            }
            Err((reason, recovers_ms)) => {
                earliest_ms = earliest_ms.into_iter().chain(recovers_ms).min();
                reason
            }
        };
        first = first.or(Some(reason));
        if look == Look::Take {
            tell_skipped(ctx, routed, index, reason);
        }
    }
    // A target that will recover matters more than one that cannot serve the request at all.
    let reason = if earliest_ms.is_some() { Some(SkipReason::Benched) } else { first };
    reason.map_or(Pick::None, |reason| Pick::Skipped(reason, earliest_ms))
}

/// Whether a target can be tried. Its limits and the budgets of its unit come last: what they take must
/// be used.
fn fits(
    r: Request<'_>,
    ctx: &RequestCtx,
    routed: &Routed,
    index: usize,
    look: Look,
) -> Result<(), Unfit> {
    check(r, ctx, routed, index, look)?;
    admit(r, ctx, routed, index, look)
}

fn admit(
    r: Request<'_>,
    ctx: &RequestCtx,
    routed: &Routed,
    index: usize,
    look: Look,
) -> Result<(), Unfit> {
    let admitted = match look {
        Look::Take => ratelimit::admit_target(r, ctx, routed, index),
        Look::Peek => ratelimit::may_admit_target(r, ctx, routed, index),
    };
    admitted.map_err(|reason| match reason {
        DenyReason::Spend | DenyReason::UnpricedModel => (SkipReason::Budget, None),
        _ => (SkipReason::Limit, None),
    })
}

/// Takes the best of the targets where all that could serve the request are benched.
pub fn pick_benched(r: Request<'_>, ctx: &RequestCtx, routed: &Routed) -> Pick {
    let could_serve = |index: &usize| check(r, ctx, routed, *index, Look::Peek).is_ok();
    let indexes: Vec<_> = (0..routed.targets.len()).filter(could_serve).collect();
    let places: Vec<_> = indexes.iter().map(|index| places(r, ctx, routed, *index)).collect();
    let best = health::best_benched(r, &places).and_then(|best| indexes.get(best)).copied();
    let Some(best) = best.filter(|best| check(r, ctx, routed, *best, Look::Take).is_ok()) else {
        return Pick::None;
    };
    if admit(r, ctx, routed, best, Look::Take).is_err() {
        return Pick::Denied;
    }
    for index in 0..best {
        // What is no worse than benched could be tried as the last resort.
        let unfit = check(r, ctx, routed, index, Look::Peek).err();
        tell_skipped(ctx, routed, index, unfit.map_or(SkipReason::Benched, |(reason, _)| reason));
    }
    Pick::Target(best)
}

/// The places of a target, one for each of its keys.
fn places(r: Request<'_>, ctx: &RequestCtx, routed: &Routed, index: usize) -> Vec<Place> {
    let target = routed.targets.get(index);
    let provider = target.and_then(|target| routed.compiled.routes.provider(target.provider));
    let Some((target, provider)) = target.zip(provider) else { return Vec::new() };
    let known = ctx.keys(r);
    let numbers = known.map(|keys| keys.select(ctx.owner(r), &provider.name, ctx.random()));
    let numbers = numbers.and_then(Result::ok).unwrap_or_default();
    let keys = numbers.into_iter().map(Some);
    let keys: Vec<_> = if keys.len() == 0 { vec![None] } else { keys.collect() };
    let place = |key| place(known, &provider.name, target.model.as_deref(), key);
    keys.into_iter().map(place).collect()
}

type Unfit = (SkipReason, Option<u64>);

fn check(
    r: Request<'_>,
    ctx: &RequestCtx,
    routed: &Routed,
    index: usize,
    look: Look,
) -> Result<(), Unfit> {
    let unfit = |reason| Err((reason, None));
    let Some(target) = routed.targets.get(index) else { return unfit(SkipReason::Context) };
    let Some(provider) = routed.compiled.routes.provider(target.provider) else {
        return unfit(SkipReason::Context);
    };
    if ctx.endpoint.get().needs_model() && provider.dialect != ctx.dialect.get() {
        return unfit(SkipReason::Translation);
    }
    let tokens = ctx.facts(|facts| estimate_tokens(facts.prompt_bytes)).unwrap_or(0);
    if provider.max_input_tokens.is_some_and(|most| tokens > most) {
        return unfit(SkipReason::Context);
    }
    let keys = match ctx.keys(r) {
        None => Vec::new(),
        Some(keys) => match keys.select(ctx.owner(r), &provider.name, ctx.random()) {
            Ok(numbers) => numbers,
            Err(missing) => {
                if look == Look::Take {
                    let mut state = ctx.key.borrow_mut();
                    (state.key, state.missing) = (None, Some(missing));
                }
                if keys.keyring.fail_closed {
                    return unfit(SkipReason::Key);
                }
                Vec::new()
            }
        },
    };
    let rules = &routed.compiled.rules;
    let known = ctx.keys(r);
    if keys.is_empty() && rules.mode == Mode::Basic && known.is_none() {
        if health::provider_is(r, &provider.name) == ProviderIs::Drained {
            return unfit(SkipReason::Benched);
        }
        if look == Look::Take {
            ctx.attempt.lease.set(None);
            ctx.key.borrow_mut().key = None;
            ctx.attempt.other_keys.borrow_mut().clear();
        }
        return Ok(());
    }
    let candidate = |key: Option<usize>| {
        Candidate::new(key, place(known, &provider.name, target.model.as_deref(), key))
    };
    let mut candidates: Vec<Candidate> = match &*keys {
        [] => vec![candidate(None)],
        keys => keys.iter().map(|key| candidate(Some(*key))).collect(),
    };
    match health::look(r, &provider.name, &mut candidates) {
        // Nor as the last resort.
        ProviderIs::Drained => return unfit(SkipReason::Benched),
        // Its probe has failed.
        ProviderIs::Down(left_ms)
            if rules.mode != Mode::Basic && !ctx.attempt.last_resort.get() =>
        {
            return Err((SkipReason::Benched, Some(left_ms)));
        }
        _ => {}
    }
    admit_keys(r, ctx, index, rules, &candidates, look)
}

/// Takes the best key that may be used now; the other ready ones may follow it. Benched keys do not:
/// where all are, the target is benched, or, in `basic` mode and as the last resort, the one that
/// recovers first is tried alone.
fn admit_keys(
    r: Request<'_>,
    ctx: &RequestCtx,
    index: usize,
    rules: &Rules,
    candidates: &[Candidate],
    look: Look,
) -> Result<(), Unfit> {
    let now_ms = crate::ffi::now_ms();
    let is_ready = |one: &&Candidate| one.until_ms.is_none();
    let earliest = candidates.iter().filter_map(|one| one.until_ms.map(|at| (at, one.key))).min();
    let insists = rules.mode == Mode::Basic || ctx.attempt.last_resort.get();
    let benched = |at: u64| (SkipReason::Benched, Some(at.saturating_sub(now_ms)));
    if look == Look::Peek {
        return match earliest {
            Some((at, _)) if !candidates.iter().any(|one| is_ready(&one)) && !insists => {
                Err(benched(at))
            }
            _ => Ok(()),
        };
    }
    ctx.attempt.lease.set(None);
    let mut last = earliest;
    let mut ready = candidates.iter().filter(is_ready);
    let chosen = loop {
        let Some(one) = ready.next() else { break None };
        // A key whose bench is over is tried by one request; the others take the next key.
        match if one.is_quiet { Admit::Ready } else { health::ask(r, one.place) } {
            Admit::Ready => break Some(one.key),
            Admit::Probe { lease } => {
                ctx.attempt.lease.set(Some(lease));
                break Some(one.key);
            }
            Admit::Benched { until_ms } => {
                last = last.into_iter().chain([(until_ms, one.key)]).min();
            }
        }
    };
    let chosen = match (chosen, last) {
        (Some(key), _) => key,
        (None, Some((_, key))) if insists => key,
        (None, Some((at, _))) => return Err(benched(at)),
        (None, None) => None,
    };
    let place = candidates.iter().find(|one| one.key == chosen).map(|one| one.place);
    ctx.attempt.place.set(place.map(|place| (index, chosen, place)));
    let mut state = ctx.key.borrow_mut();
    state.key = chosen;
    if chosen.is_some() {
        state.missing = None;
    }
    let mut others: Vec<usize> = ready.filter_map(|one| one.key).collect();
    others.reverse();
    ctx.attempt.other_keys.replace(others);
    Ok(())
}

fn place(keys: Option<&Keys>, provider: &str, model: Option<&str>, key: Option<usize>) -> Place {
    // By fingerprint: a secret that replaces a refused one starts afresh, wherever its line stands.
    let id = keys.zip(key).and_then(|(keys, key)| keys.secrets.store.fingerprint(key));
    Place::new(provider, model, id)
}

/// The place of the current target and key.
fn current_place(r: Request<'_>, ctx: &RequestCtx, routed: &Routed) -> Option<Place> {
    let key = ctx.key.borrow().key;
    if let Some((target, known, place)) = ctx.attempt.place.get()
        && (target, known) == (routed.current.get(), key)
    {
        return Some(place);
    }
    let provider = routed.provider()?;
    Some(place(ctx.keys(r), &provider.name, routed.model(), key))
}

/// What a failure leads to.
pub(super) fn decide_on(
    r: Request<'_>,
    ctx: &RequestCtx,
    failure: &Failure,
    reused: bool,
) -> Decision {
    let attempt = &ctx.attempt;
    let Some(routed) = ctx.routed() else { return nothing(failure) };
    let rules = &routed.compiled.rules;
    if !attempt.accepted.get() && !reused {
        // What it had reserved is free for the next one.
        ratelimit::attempt_failed(r, ctx);
    }
    let next_target = if !routed.policy.enabled {
        NextTarget::None
    } else if attempt.last_resort.get() {
        NextTarget::Skipped(SkipReason::Benched)
    } else {
        look(r, ctx, &routed, routed.current.get() + 1, Look::Peek).into()
    };
    let retries_here = attempt.retries_here.get();
    let may_retry = routed
        .policy
        .retry
        .is_some_and(|retry| retries_here < retry.times && failure.is_transient());
    let retry_budget_left = match (rules.retry_budget, current_place(r, ctx, &routed)) {
        (Some(percent), Some(place)) if may_retry => health::has_retry(r, place, percent),
        _ => true,
    };
    let situation = Situation {
        failure,
        streaming: ctx.is_streaming(),
        client_saw_content: attempt.accepted.get(),
        began_heartbeat: ctx.begun.get(),
        attempts_made: attempt.made.get(),
        retries_here,
        other_key_left: !attempt.other_keys.borrow().is_empty() && !attempt.last_resort.get(),
        next_target,
        retry_after_ms: attempt.retry_after_ms.get(),
        remaining_ms: remaining_ms(r, ctx),
        fresh_replay_possible: reused && !attempt.replayed.get(),
        retry_budget_left,
        disabled_by_request: routed.overrides.disables_fallback(),
        random: ctx.random(),
    };
    let mut policy = routed.policy.clone();
    if let Some(most) = attempt.bound_attempts.get() {
        policy.max_attempts = policy.max_attempts.min(most);
    }
    if attempt.lease.get().is_some() || attempt.last_resort.get() {
        // It was the one request that finds out whether the target works again. It does not.
        policy.retry = None;
    }
    decide(&policy, &situation)
}

/// By how much nginx's cached clock may be behind.
const CLOCK_MS: u64 = 10;

/// Milliseconds left for further attempts.
fn remaining_ms(r: Request<'_>, ctx: &RequestCtx) -> Option<u64> {
    let until = ctx.retry_until_ms.get().map(|until| until.saturating_sub(r.elapsed_ms()));
    let left = ctx.remaining_ms(r).into_iter().chain(until).min();
    // nginx's clock is coarse: a timer of the whole rest may fire a little before its end.
    left.map(|ms| if ms < CLOCK_MS { 0 } else { ms })
}

fn nothing(failure: &Failure) -> Decision {
    Decision { verdict: Verdict::GiveUp(failure.give_up), suppressed: None, policy_allowed: false }
}

/// Notes a failed attempt: chain, reason, health.
pub(super) fn note_failure(
    r: Request<'_>,
    ctx: &RequestCtx,
    failure: &Failure,
    decision: &Decision,
) {
    let attempt = &ctx.attempt;
    attempt.failure.set(Some(*failure));
    attempt.policy_allowed.set(decision.policy_allowed);
    attempt.suppressed.set(decision.suppressed);
    if decision.verdict == Verdict::NextTarget && attempt.reason.get().is_none() {
        attempt.reason.set(Some(failure.label()));
    }
    let end = failure.main.map_or(AttemptEnd::SemanticError, AttemptEnd::Failed);
    tell(r, ctx, failure.told(), end);
    if decision.policy_allowed && decision.suppressed.is_some() {
        tell_rest(r, ctx);
    }
    let outcome = Outcome::of(failure, attempt.retry_after_ms.get());
    learn(r, ctx, outcome, failure.is_of_the_key());
}

/// The chain says why what is left of it was not tried.
fn tell_rest(r: Request<'_>, ctx: &RequestCtx) {
    let Some(routed) = ctx.routed() else { return };
    for index in routed.current.get() + 1..routed.targets.len() {
        if let Err((reason, _)) = fits(r, ctx, &routed, index, Look::Peek) {
            tell_skipped(ctx, &routed, index, reason);
        }
    }
}

/// Notes an accepted attempt.
pub(super) fn note_success(r: Request<'_>, ctx: &RequestCtx, first_token_ms: Option<u64>) {
    learn(r, ctx, Outcome::Good(first_token_ms), true);
}

/// Notes a stream that broke after it was accepted; `error` is what its provider said of that.
pub fn note_broken(r: Request<'_>, ctx: &RequestCtx, error: Option<ErrorCode>) {
    const GATEWAY_TIMEOUT: i64 = 504;
    let attempt = &ctx.attempt;
    if attempt.passes_failure.get() {
        return;
    }
    let event = match error {
        Some(error) => Event::StreamError(error),
        None if attempt.finished.get() == Some(GATEWAY_TIMEOUT) => Event::StreamStalled,
        None => Event::StreamCut,
    };
    let failure = Failure::classify(&event);
    let decision = decide_on(r, ctx, &failure, false);
    if let Some(note) = attempt.notes.borrow_mut().last_mut() {
        note.end = failure.main.map_or(AttemptEnd::SemanticError, AttemptEnd::Failed);
    }
    attempt.failure.set(Some(failure));
    attempt.policy_allowed.set(decision.policy_allowed);
    attempt.suppressed.set(decision.suppressed);
    learn(r, ctx, Outcome::of(&failure, None), false);
}

/// An attempt that ended without a judgement gives its probe back.
pub(super) fn settle_health(r: Request<'_>, ctx: &RequestCtx) {
    if ctx.attempt.lease.get().is_some() {
        learn(r, ctx, Outcome::Nothing, false);
    }
}

fn learn(r: Request<'_>, ctx: &RequestCtx, outcome: Outcome, of_the_key: bool) {
    let Some(routed) = ctx.routed() else { return };
    let Compiled { rules, .. } = &*routed.compiled;
    let keyed = ctx.keys(r).is_some() && of_the_key;
    if rules.mode == Mode::Basic && !keyed {
        return;
    }
    let Some(place) = current_place(r, ctx, &routed) else { return };
    let Some(provider) = routed.provider() else { return };
    let lease = ctx.attempt.lease.take();
    let key = ctx.keys(r).zip(ctx.key.borrow().key);
    let names = Names {
        provider: &provider.name,
        model: routed.model(),
        key_id: key.and_then(|(keys, key)| keys.secrets.store.fingerprint(key)),
    };
    health::note(r, place, &names, &rules.params, outcome, lease);
    if rules.mode == Mode::Latency {
        // Equals are compared by target, whichever key was used.
        let target = Place::new(&provider.name, routed.model(), None);
        if target != place {
            let names = Names { key_id: None, ..names };
            health::note(r, target, &names, &rules.params, outcome, None);
        }
    }
}

/// Counts the attempt for the retry budget.
pub(super) fn count_attempt(r: Request<'_>, ctx: &RequestCtx) {
    let Some(routed) = ctx.routed() else { return };
    if routed.compiled.rules.retry_budget.is_some()
        && let Some(place) = current_place(r, ctx, &routed)
    {
        match ctx.attempt.retries_here.get() {
            0 => health::count(r, place),
            _ => health::count_again(r, place),
        }
    }
}
