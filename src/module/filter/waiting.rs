//! What happens while a client waits: heartbeats, limits, and clients that go.
//!
//! A heartbeat before any provider is accepted sends a head of status 200 and sets `begun`. nginx
//! later sends the provider's head, or an error page: the header filter swallows that head, and the
//! body goes on only if it is a stream; anything else becomes an error event.

use llm_core::error::Rejection;
use llm_core::scrub::Cover;
use llm_core::stream::Options;

use super::{Answer, Events, errors};
use crate::cost;
use crate::ctx::RequestCtx;
use crate::ffi::{Request, buf, code};
use crate::proxy::{self, ClientAbort};

const PING: &[u8] = b": ping\n\n";

/// Sends a comment to a client that waits for its stream.
pub fn heartbeat(r: Request<'_>) {
    let Some(ctx) = r.ctx() else { return };
    if r.is_client_gone() || ctx.client_gone.get() || ctx.attempt.finished.get().is_some() {
        return;
    }
    let period_ms = r.loc_conf().proxy.heartbeat_ms();
    let mut next_ms = period_ms;
    let rc = match waits_for(r, ctx) {
        Waits::Event { for_ms } if for_ms < period_ms => {
            next_ms = period_ms - for_ms;
            code::OK
        }
        Waits::Event { .. } => buf::send_now(r, ctx, PING),
        Waits::Rest => code::OK,
        Waits::Head => begin(r, ctx),
        Waits::Client => buf::flush(r),
        Waits::Nothing => return,
    };
    if rc == code::ERROR || rc > code::OK {
        // Ends the request if the connection is broken; it may be gone after this.
        return r.wake();
    }
    ctx.heartbeat.start(r, next_ms, heartbeat);
}

/// A limit of the whole request is over: nginx sees a timeout of the provider.
pub fn total_timeout(r: Request<'_>) {
    if let Some(upstream) = r.upstream() {
        upstream.time_out();
    }
}

/// What the filters behind ours said of a part of the answer.
pub fn passed_on(r: Request<'_>, ctx: &RequestCtx, rc: isize) -> isize {
    if rc == code::OK && ctx.last_passed.get() && !r.has_unsent_output() {
        // Not in the log phase: nginx may come there seconds later, when the client has closed.
        cost::record(r, ctx);
    }
    let ClientAbort::Finish(ms) = r.loc_conf().proxy.client_abort() else { return rc };
    let reads_on = rc == code::ERROR && ctx.attempt.finished.get().is_none();
    if !reads_on || ctx.client_gone.get() {
        return rc;
    }
    leave(r, ctx, ms);
    code::OK
}

/// The client has closed its connection.
pub fn client_left(r: Request<'_>, ctx: &RequestCtx) {
    if let ClientAbort::Finish(ms) = r.loc_conf().proxy.client_abort()
        && !ctx.client_gone.get()
    {
        leave(r, ctx, ms);
    }
}

/// From now on the answer is read for its usage only, and not for ever.
fn leave(r: Request<'_>, ctx: &RequestCtx, ms: u64) {
    ctx.client_gone.set(true);
    buf::forget_unsent(r);
    ctx.finish.start(r, ms, total_timeout);
}

/// The head of an answer whose client has a head already.
pub(super) fn late_head(mut r: Request<'_>, ctx: &RequestCtx) {
    let accepted = ctx.attempt.accepted.get() || r.is_cached();
    let is_stream = accepted
        && r.status() == 200
        && !r.is_encoded()
        && llm_core::media::is_event_stream(r.content_type());
    if is_stream {
        if let Some(mask) = super::mask(ctx) {
            super::scrub(&mut r, ctx, &mask, Cover::Short);
        }
        if let Some(routed) = ctx.routed()
            && let Some(provider) = routed.provider()
        {
            let options = Options {
                strip_usage: routed.strip_usage && proxy::injects_usage(r, ctx, provider),
                model: super::renamed_model(r, ctx),
                ..Options::new(provider.dialect, ctx.endpoint.get())
            };
            ctx.answer.replace(Answer::Events(Box::new(Events::new(r, options))));
        }
    } else {
        let rejection = if accepted && r.status() < 400 {
            Rejection::provider_bad_response()
        } else {
            errors::explain(r, ctx)
        };
        let event = rejection.sse_event(ctx.dialect.get(), &ctx.event_id);
        ctx.answer.replace(Answer::Replaced(event));
        ctx.rejection.replace(Some(rejection));
    }
    r.need_in_memory();
    r.set_status(200);
    r.set_header_sent(true);
}

enum Waits {
    /// A provider's stream has paused between two events, so many milliseconds by now.
    Event { for_ms: u64 },
    /// A part of an event has gone out; only its rest may follow.
    Rest,
    /// No provider has answered.
    Head,
    /// The client reads too slowly to wait for anything.
    Client,
    /// Another answer is under way.
    Nothing,
}

fn waits_for(r: Request<'_>, ctx: &RequestCtx) -> Waits {
    let answer = ctx.answer.borrow();
    match &*answer {
        _ if r.has_unsent_output() => Waits::Client,
        Answer::Events(events) if events.broken || events.done => Waits::Nothing,
        Answer::Events(events) if events.stream.between_events() => {
            Waits::Event { for_ms: r.elapsed_ms().saturating_sub(events.sent_ms) }
        }
        Answer::Events(_) => Waits::Rest,
        Answer::Untouched if !r.is_header_sent() && r.upstream().is_some() => Waits::Head,
        _ => Waits::Nothing,
    }
}

/// The first heartbeat brings the head of the stream with it.
fn begin(mut r: Request<'_>, ctx: &RequestCtx) -> isize {
    if !ctx.begun.get() {
        r.set_status(200);
        r.set_content_type("text/event-stream");
        r.set_content_length(None);
        r.add_header("X-Accel-Buffering", "no");
        r.add_header("Cache-Control", "no-cache");
        r.add_header("X-LLM-Event-Id", &ctx.event_id);
        let rc = r.send_head();
        if rc == code::ERROR || rc > code::OK {
            return rc;
        }
        ctx.begun.set(true);
        // nginx sends a head again when an answer comes; our filter swallows that one.
        r.set_header_sent(false);
    }
    buf::send_now(r, ctx, PING)
}
