//! What happened to a request, in the words of `llm_core::metrics`.

use std::cell::RefCell;

use llm_core::cost::Bill;
use llm_core::metrics::{
    Adds, AttemptEnd, Decision, ErrorSource, EventResult, Finished, PassedOver, Table, Tried,
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
    static LISTS: RefCell<(Adds, Notes)> = RefCell::default();
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
    let attempts = routed.as_ref().map(|routed| attempts(r, ctx, routed)).unwrap_or_default();
    let tenant = rules.tenant.filter(|_| rules.opted.tenant).and_then(|value| value.evaluate(r));
    let decision = decision(ctx, routed.as_deref());
    let tried = ctx.attempt.made.get() > 0 || r.is_cached();
    let routed = routed.as_deref();
    let provider = routed.filter(|_| tried).and_then(|routed| routed.provider());
    let model = routed.and_then(Routed::model);
    let accepted = ctx.attempt.accepted.get() || r.is_cached();
    let stream_end = ctx.stream_end(r);
    let unit = routed
        .zip(provider)
        .map(|(routed, provider)| routed.compiled.cost.card.unit(&provider.name));
    let cost = bill.and_then(|bill| bill.cost).map(|cost| cost.total).zip(unit);
    let auth_status = ctx.key.borrow().status();
    let code = if r.is_client_gone() && !accepted { 499 } else { r.status() };
    let finished = Finished {
        provider: provider.map(|provider| provider.name.as_str()),
        model: model.filter(|_| rules.opted.model && tried),
        tenant: tenant.as_deref(),
        streaming: ctx.is_streaming(),
        code,
        error: error(ctx, code, stream_end),
        passed_over: routed.and_then(|routed| passed_over(ctx, routed)),
        attempts: &attempts,
        suppressed: ctx.attempt.suppressed.get(),
        duration_us: r.elapsed_ms().saturating_mul(1000),
        ttft_us: ctx.ttft_ms.get().map(|ms| ms.saturating_mul(1000)),
        overhead_us: ctx.overhead_us.get(),
        usage: ctx.usage(),
        usage_source: bill.filter(|bill| bill.status.writes_row()).map(|bill| bill.source),
        cost: cost.filter(|_| bill.is_some_and(|bill| bill.status.writes_row())),
        decisions: decision.as_slice(),
        client_aborted: r.is_client_gone() || ctx.client_gone.get(),
        truncated: stream_end == Some(StreamEnd::Incomplete) && accepted,
        unparsed: ctx.asked().is_some_and(|asked| asked.facts.is_none() && !asked.body.is_empty()),
        translated: false,
        outcome: ctx.outcome_now(),
        auth_status: auth_status.filter(|_| rules.opted.auth_status),
    };
    apply(r, ctx, board, &finished, dropped, model);
}

fn apply(
    r: Request<'_>,
    ctx: &RequestCtx,
    board: &Board,
    finished: &Finished<'_>,
    dropped: bool,
    model: Option<&str>,
) {
    LISTS.with_borrow_mut(|(adds, notes)| {
        board.layout.adds(adds, finished);
        if dropped {
            adds.cost_events(EventResult::Dropped, 1);
        }
        notes.note(&board.layout, finished);
        let now_ms = unix_ms();
        let label = |whose| crate::cost::shown_label(r, whose).unwrap_or_default();
        let owner = [label(Whose::Org), label(Whose::Project), label(Whose::Client)];
        let requested = ctx.requested_model();
        let chain = ctx.attempt.chain.borrow();
        let tag = ctx.tag.borrow();
        let text = EntryText {
            event_id: &ctx.event_id,
            chain: chain.text(),
            model: model.or(requested.as_deref()).unwrap_or_default(),
            tag: tag.as_deref().unwrap_or_default(),
            owner: owner.each_ref().map(|text| &**text),
        };
        let entry = Entry::new(finished, &text, now_ms);
        board.series.locked(|records| Table::new(records).apply(adds));
        board.hour.locked(|cells| Hour::new(cells).apply(notes, minute_of(now_ms)));
        board.recent.locked(|entries| Ring::new(entries).push(&entry));
    });
}

/// The first target, if it was not tried.
fn passed_over<'a>(ctx: &RequestCtx, routed: &'a Routed) -> Option<PassedOver<'a>> {
    let reason = ctx.attempt.passed_over.get()?;
    let model = routed.targets.first()?.model.as_deref();
    Some(PassedOver { provider: &routed.primary()?.name, model, reason })
}

fn attempts<'a>(r: Request<'_>, ctx: &RequestCtx, routed: &'a Routed) -> Vec<Tried<'a>> {
    let notes = ctx.attempt.notes.borrow();
    let made = usize::try_from(ctx.attempt.made.get()).unwrap_or(0);
    let accepted = ctx.attempt.accepted.get();
    let mut tried: Vec<Tried<'a>> = Vec::with_capacity(made);
    for (index, note) in notes.iter().enumerate() {
        let is_last = index + 1 == notes.len() && accepted;
        let Some(target) = routed.targets.get(note.target) else { continue };
        let Some(provider) = routed.compiled.routes.provider(target.provider) else { continue };
        let ttft_ms = ctx.ttft_ms.get().filter(|_| is_last);
        tried.push(Tried {
            provider: &provider.name,
            model: target.model.as_deref(),
            end: end(r, ctx, note, is_last),
            duration_ms: duration_ms(r, note, is_last),
            ttft_ms: ttft_ms.map(|ms| ms.saturating_sub(note.started_ms)),
        });
    }
    // Without fallback nobody judges an attempt.
    if made > notes.len()
        && let Some(provider) = routed.provider()
    {
        let end = match ctx.attempt.failure.get() {
            _ if r.is_client_gone() => AttemptEnd::ClientClosed,
            Some(failure) => failure.main.map_or(AttemptEnd::SemanticError, AttemptEnd::Failed),
            None => AttemptEnd::SemanticError,
        };
        tried.push(Tried {
            provider: &provider.name,
            model: routed.model(),
            end,
            duration_ms: ctx.attempt.first_duration_ms(r).unwrap_or(0),
            ttft_ms: None,
        });
    }
    tried
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
