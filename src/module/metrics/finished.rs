//! What happened to a request, in the words of `llm_core::metrics`.

use std::cell::RefCell;

use llm_core::cost::Bill;
use llm_core::fallback::Target;
use llm_core::metrics::{
    Adds, AttemptEnd, Decision, ErrorSource, EventResult, Finished, PassedOver, ProviderNames,
    Table, Tried,
};
use llm_core::status::{Entry, EntryText, Hour, Notes, Ring, minute_of};

use super::Board;
use crate::attempt::Note;
use crate::cost::Whose;
use crate::ctx::{RequestCtx, Routed};
use crate::ffi::{Request, unix_ms};
use crate::filter::StreamEnd;

thread_local! {
    // Used again for each request: a worker serves them on one thread.
    static LISTS: RefCell<(Adds, Notes, Entry)> = RefCell::default();
}

/// Counts a request that is over; `dropped` says that its cost event found no room.
pub fn record(r: Request<'_>, ctx: &RequestCtx, bill: Option<&Bill>, dropped: bool) {
    let Some(board) = r.main_conf().metrics.as_ref() else { return };
    close_stream(board, ctx);
    let routed = ctx.routed();
    let compiled = match &routed {
        Some(routed) => Some(&routed.compiled),
        None => r.loc_conf().compiled.as_ref(),
    };
    let Some(rules) = compiled.map(|compiled| &compiled.metrics).filter(|rules| rules.on) else {
        return;
    };
    let tenant = rules.tenant.filter(|_| rules.opted.tenant).and_then(|value| value.evaluate(r));
    let routed = routed.as_deref();
    let decision = decision(ctx, routed);
    let is_cached = r.is_cached();
    let tried = ctx.attempt.made.get() > 0 || is_cached;
    let attempt = |index| attempt(r, ctx, routed?, index);
    let (one, several): (_, Vec<_>);
    // Nearly all requests have one attempt, which needs no memory.
    let attempts = match attempts(ctx) {
        0 => &[],
        1 => {
            one = attempt(0);
            one.as_slice()
        }
        count => {
            several = (0..count).filter_map(attempt).collect();
            several.as_slice()
        }
    };
    let target = routed.and_then(|routed| routed.target());
    let provider = routed.zip(target).filter(|_| tried);
    let provider = provider.and_then(|(routed, target)| names(routed, target));
    let model = target.and_then(|target| target.model.as_deref());
    let accepted = ctx.attempt.accepted.get() || is_cached;
    let stream_end = ctx.stream_end(r);
    let bill = bill.filter(|bill| bill.status.writes_row());
    let cost = bill.and_then(|bill| bill.cost.as_ref()).map(|cost| cost.total);
    let asked = ctx.asked.borrow();
    let asked = asked.as_deref();
    let facts = asked.and_then(|asked| asked.facts.as_ref());
    let auth_status = || ctx.key.borrow().status();
    let code = if r.is_client_gone() && !accepted { 499 } else { r.status() };
    let finished = Finished {
        provider: provider.map(ProviderNames::provider),
        model: model.filter(|_| rules.opted.model && tried),
        tenant: tenant.as_deref(),
        streaming: facts.is_some_and(|facts| facts.stream),
        code,
        error: error(ctx, code, stream_end),
        passed_over: routed.and_then(|routed| passed_over(ctx, routed)),
        attempts,
        suppressed: ctx.attempt.suppressed.get(),
        duration_us: r.elapsed_ms().saturating_mul(1000),
        ttft_us: ctx.ttft_ms.get().map(|ms| ms.saturating_mul(1000)),
        overhead_us: ctx.overhead_us.get(),
        usage: ctx.usage(),
        usage_source: bill.map(|bill| bill.source),
        cost: cost.zip(provider.map(ProviderNames::unit)),
        decisions: decision.as_slice(),
        client_aborted: r.is_client_gone() || ctx.client_gone.get(),
        truncated: stream_end == Some(StreamEnd::Incomplete) && accepted,
        unparsed: asked.is_some_and(|asked| asked.facts.is_none() && !asked.body.is_empty()),
        translated: false,
        outcome: ctx.outcome_now(),
        auth_status: if rules.opted.auth_status { auth_status() } else { None },
    };
    let requested = || facts.and_then(|facts| Some(&*facts.model.as_ref()?.text));
    apply(r, ctx, board, &finished, dropped, model.or_else(requested));
}

fn apply(
    r: Request<'_>,
    ctx: &RequestCtx,
    board: &Board,
    finished: &Finished<'_>,
    dropped: bool,
    model: Option<&str>,
) {
    LISTS.with_borrow_mut(|(adds, notes, entry)| {
        board.layout.adds(adds, finished);
        if dropped {
            adds.cost_events(EventResult::Dropped, 1);
        }
        notes.note(&board.layout, finished);
        let now_ms = unix_ms();
        let label = |whose| crate::cost::shown_label(r, whose).unwrap_or_default();
        let owner = [label(Whose::Org), label(Whose::Project), label(Whose::Client)];
        let chain = ctx.attempt.chain.borrow();
        let tag = ctx.tag.borrow();
        let text = EntryText {
            event_id: &ctx.event_id,
            chain: chain.text(),
            model: model.unwrap_or_default(),
            tag: tag.as_deref().unwrap_or_default(),
            owner: owner.each_ref().map(|text| &**text),
        };
        entry.fill(finished, &text, now_ms);
        board.series.locked(|records| Table::new(records).apply(adds));
        board.hour.locked(|cells| Hour::new(cells).apply(notes, minute_of(now_ms)));
        board.recent.locked(|entries| Ring::new(entries).push(entry));
    });
}

/// The first target, if it was not tried.
fn passed_over<'a>(ctx: &RequestCtx, routed: &'a Routed) -> Option<PassedOver<'a>> {
    let reason = ctx.attempt.passed_over.get()?;
    let first = routed.targets.first()?;
    let provider = names(routed, first)?.provider();
    Some(PassedOver { provider, model: first.model.as_deref(), reason })
}

/// How many attempts there were.
fn attempts(ctx: &RequestCtx) -> usize {
    let made = usize::try_from(ctx.attempt.made.get()).unwrap_or(0);
    let judged = ctx.attempt.notes.borrow().len();
    judged + usize::from(made > judged)
}

/// One of the attempts, in order. Without fallback nobody judges an attempt, and no note is made of it.
fn attempt<'a>(
    r: Request<'_>,
    ctx: &RequestCtx,
    routed: &'a Routed,
    index: usize,
) -> Option<Tried<'a>> {
    let notes = ctx.attempt.notes.borrow();
    let Some(note) = notes.get(index) else { return unjudged(r, ctx, routed) };
    let is_last = index + 1 == notes.len() && ctx.attempt.accepted.get();
    let target = routed.targets.get(note.target)?;
    let ttft_ms = ctx.ttft_ms.get().filter(|_| is_last);
    Some(Tried {
        provider: names(routed, target)?.provider(),
        model: target.model.as_deref(),
        end: end(r, ctx, note, is_last),
        duration_ms: duration_ms(r, note, is_last),
        ttft_ms: ttft_ms.map(|ms| ms.saturating_sub(note.started_ms)),
    })
}

fn unjudged<'a>(r: Request<'_>, ctx: &RequestCtx, routed: &'a Routed) -> Option<Tried<'a>> {
    let target = routed.target()?;
    Some(Tried {
        provider: names(routed, target)?.provider(),
        model: target.model.as_deref(),
        end: match ctx.attempt.failure.get() {
            _ if r.is_client_gone() => AttemptEnd::ClientClosed,
            Some(failure) => failure.main.map_or(AttemptEnd::SemanticError, AttemptEnd::Failed),
            None => AttemptEnd::SemanticError,
        },
        duration_ms: ctx.attempt.first_duration_ms(r).unwrap_or(0),
        ttft_ms: None,
    })
}

fn names<'a>(routed: &'a Routed, target: &Target) -> Option<&'a ProviderNames> {
    routed.compiled.metrics.providers.get(target.provider)
}

/// How an attempt ended: a client may leave one that was good so far.
pub fn end(r: Request<'_>, ctx: &RequestCtx, note: &Note, is_last: bool) -> AttemptEnd {
    let left = r.is_client_gone() || ctx.stream_end(r) == Some(StreamEnd::ClientClosed);
    if is_last && left && note.end == AttemptEnd::Ok { AttemptEnd::ClientClosed } else { note.end }
}

/// What an attempt took: until it was judged, or, if it was accepted, until the answer's end.
pub fn duration_ms(r: Request<'_>, note: &Note, is_last: bool) -> u64 {
    if is_last { r.elapsed_ms().saturating_sub(note.started_ms) } else { note.duration_ms }
}

/// Whose fault it is that a request failed, if it did.
fn error(ctx: &RequestCtx, code: u16, end: Option<StreamEnd>) -> Option<ErrorSource> {
    const CLIENT_CLOSED_REQUEST: u16 = 499;
    if end == Some(StreamEnd::Incomplete) {
        return Some(ErrorSource::Provider);
    }
    if code < 400 || code == CLIENT_CLOSED_REQUEST {
        return None;
    }
    let judged = ctx.attempt.failure.get().map(|failure| failure.main.is_some());
    Some(match (ctx.attempt.made.get(), judged, code) {
        (0, _, 429 | 500..) => ErrorSource::Gateway,
        (0, ..) => ErrorSource::Client,
        (_, Some(false), _) => ErrorSource::Client,
        _ => ErrorSource::Provider,
    })
}

/// What the limits decided, where there are any.
fn decision(ctx: &RequestCtx, routed: Option<&Routed>) -> Option<(Decision, &'static str)> {
    routed.filter(|routed| routed.compiled.limits.on)?;
    let refused = ctx.rejection.borrow().is_some() && ctx.attempt.made.get() == 0;
    Some(match ctx.limits.refusal(|refusal| refusal.reason.name()) {
        Some(reason) if refused => (Decision::Deny, reason),
        Some(reason) => (Decision::WouldDeny, reason),
        None => (Decision::Allow, ""),
    })
}

/// A stream has begun.
pub fn note_stream(r: Request<'_>, ctx: &RequestCtx) {
    if let Some(board) = &r.main_conf().metrics
        && !ctx.stream_counted.replace(true)
    {
        board.series.locked(|records| Table::new(records).streams(std::process::id(), 1, 0));
    }
}

fn close_stream(board: &Board, ctx: &RequestCtx) {
    if ctx.stream_counted.replace(false) {
        board.series.locked(|records| Table::new(records).streams(std::process::id(), 0, 1));
    }
}
