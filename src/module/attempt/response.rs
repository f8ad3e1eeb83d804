//! Is a response good enough to be sent to the client? A refusal is held until its body tells the
//! error code; a stream until its first content, or its end.

use llm_core::chunked::Dechunker;
use llm_core::fallback::{
    Event, Failure, FailureClass, Feedback, Told, Verdict, error_code, fault_of_answer, is_open,
};
use llm_core::metrics::AttemptEnd;
use llm_core::stream::{BodyEnd, Opening};

use super::request::Holds;
use super::{Head, judge, tell};
use crate::ctx::{RequestCtx, Routed};
use crate::ffi::Request;
use crate::ffi::upstream::Upstream;
use crate::ratelimit;

/// How much of a refusal's body is read for its error code.
const MAX_REFUSAL_BYTES: usize = 16 << 10;

/// A response that is held back, as far as it was read.
pub struct Held {
    framing: Option<Dechunker>,
    kind: Kind,
    seen_bytes: usize,
    content_bytes: u64,
}

enum Kind {
    Stream(Box<Opening>),
    Refusal(Vec<u8>),
    Answer(Vec<u8>),
}

/// What a held response is known to be.
enum Known {
    /// Not enough.
    No,
    /// Good.
    Good,
    /// This failure.
    Bad(Event),
}

/// Looks at a response whose head is complete; called again for each further piece.
pub fn head(r: Request<'_>, ctx: &RequestCtx, upstream: &mut Upstream<'_>) -> Head {
    let attempt = &ctx.attempt;
    let Some(routed) = ctx.routed() else { return Head::Accept };
    if attempt.status.get() == 0 {
        first_look(r, ctx, upstream);
    }
    match judge(r, ctx, upstream, &routed) {
        Known::No => {
            if upstream.grow(r.loc_conf().proxy.max_response_size_bytes()) {
                return Head::Wait;
            }
            accept(r, ctx, upstream)
        }
        Known::Good => accept(r, ctx, upstream),
        Known::Bad(event) => refuse(r, ctx, upstream, &event),
    }
}

fn first_look(r: Request<'_>, ctx: &RequestCtx, upstream: &mut Upstream<'_>) {
    let attempt = &ctx.attempt;
    attempt.status.set(upstream.status());
    attempt.head_ms.set(Some(attempt.duration_ms(r)));
    if let Some(keys) = ctx.keys(r) {
        upstream.cover_headers(|value| keys.secrets.mask.cover(value));
    }
    // Most answers say nothing of limits; looking for each of its many spellings would cost more
    // than the rest of this function.
    if upstream.has_header(tells_limits) {
        let text =
            |name: &str| upstream.header(name).and_then(|value| std::str::from_utf8(value).ok());
        attempt.feedback.set(Feedback::read(text, crate::ffi::unix_time() * 1000));
    }
}

/// Whether a header of this name says something of the provider's limits.
fn tells_limits(name: &[u8]) -> bool {
    let contains =
        |word: &[u8]| name.windows(word.len()).any(|part| part.eq_ignore_ascii_case(word));
    name.len() > 10 && (contains(b"ratelimit") || contains(b"retry-after"))
}

fn judge(
    mut r: Request<'_>,
    ctx: &RequestCtx,
    upstream: &mut Upstream<'_>,
    routed: &Routed,
) -> Known {
    let status = upstream.status();
    if status == 0 {
        // nginx takes what is not HTTP for an answer of HTTP/0.9, and means to give the like.
        r.restore_http_version();
        return Known::Bad(Event::BadHead);
    }
    if status >= 300 {
        return judge_refusal(r, ctx, upstream, status);
    }
    let holds = ctx.attempt.limits.get().holds;
    let is_stream = status == 200 && upstream.is_event_stream();
    let holds_answer = status == 200 && !is_stream && judges_answers(ctx, routed);
    if ctx.begun.get() && !is_stream {
        // The client has the head of a stream already.
        return Known::Bad(Event::BadBody);
    }
    if !holds_answer && (!is_stream || holds == Holds::Nothing) {
        return Known::Good;
    }
    let known = match is_stream {
        true => judge_stream(ctx, upstream, routed, holds),
        false => judge_answer(ctx, upstream),
    };
    let first_token_ms = ctx.attempt.limits.get().first_token_ms;
    if matches!(known, Known::No) && first_token_ms > 0 && !ctx.attempt.head_came.replace(true) {
        // The head was in time; what is left belongs to the first content.
        let rest = first_token_ms.saturating_sub(ctx.attempt.duration_ms(r));
        upstream.restart_read_timer(rest.max(1));
    }
    if matches!(known, Known::No) && held_content(ctx) {
        // Content comes: from now on the pauses count, not the whole.
        let rest = ctx.remaining_ms(r).unwrap_or(u64::MAX).max(1);
        upstream.restart_read_timer(ctx.attempt.limits.get().idle_ms.min(rest));
    }
    if matches!(known, Known::Good) {
        upstream.release_held();
    }
    known
}

/// Whether content of the answer is in what is held.
pub(super) fn held_content(ctx: &RequestCtx) -> bool {
    match ctx.attempt.held.borrow().as_ref().map(|held| &held.kind) {
        Some(Kind::Stream(opening)) => opening.state().content,
        Some(Kind::Answer(_)) => true,
        _ => false,
    }
}

/// Whether answers that are no streams may hide a failure that the operator lists.
fn judges_answers(ctx: &RequestCtx, routed: &Routed) -> bool {
    const HIDDEN: [FailureClass; 3] =
        [FailureClass::StreamError, FailureClass::EmptyResponse, FailureClass::BadResponse];
    routed.policy.enabled
        && ctx.endpoint.get().needs_model()
        && HIDDEN.into_iter().any(|class| routed.policy.on.contains(class))
}

/// An answer that is no stream is judged when it is whole.
fn judge_answer(ctx: &RequestCtx, upstream: &Upstream<'_>) -> Known {
    if upstream.header("content-encoding").is_some() {
        return Known::Good;
    }
    if !upstream.is_json() {
        return Known::Bad(Event::BadBody);
    }
    if !upstream.is_chunked() && upstream.content_length().is_none() {
        // Nobody can tell where it ends before it has.
        return Known::Good;
    }
    let mut held = ctx.attempt.held.borrow_mut();
    let held = held.get_or_insert_with(|| Held::new(upstream, Kind::Answer(Vec::new())));
    held.read(upstream);
    match &held.kind {
        Kind::Answer(body) if held.is_whole(upstream) => {
            fault_of_answer(body, ctx.endpoint.get()).map_or(Known::Good, Known::Bad)
        }
        _ => Known::No,
    }
}

/// A refusal is judged with the beginning of its body, which tells the error code.
fn judge_refusal(r: Request<'_>, ctx: &RequestCtx, upstream: &Upstream<'_>, status: u16) -> Known {
    let bad = |error| Known::Bad(Event::Status { status, error });
    let framed = upstream.is_chunked() || upstream.content_length().is_some();
    // What announces a body and has none would be waited for in vain.
    let bodiless = r.method() == b"HEAD" || status == 304;
    if bodiless || (!framed && !upstream.is_json()) {
        return bad(None);
    }
    let mut held = ctx.attempt.held.borrow_mut();
    let held = held.get_or_insert_with(|| Held::new(upstream, Kind::Refusal(Vec::new())));
    held.read(upstream);
    let whole = held.is_whole(upstream);
    let Kind::Refusal(body) = &held.kind else { return bad(None) };
    // Without a length the text itself tells where it ends.
    let enough = whole || body.len() >= MAX_REFUSAL_BYTES || (!framed && !is_open(body));
    if enough { bad(error_code(body)) } else { Known::No }
}

fn judge_stream(ctx: &RequestCtx, upstream: &Upstream<'_>, routed: &Routed, holds: Holds) -> Known {
    use llm_core::stream::Verdict as Opened;
    let Some(provider) = routed.provider() else { return Known::Good };
    let mut held = ctx.attempt.held.borrow_mut();
    let held = held.get_or_insert_with(|| {
        let opening = Opening::new(provider.dialect, ctx.endpoint.get());
        Held::new(upstream, Kind::Stream(Box::new(opening)))
    });
    held.read(upstream);
    let whole = held.is_whole(upstream);
    let Kind::Stream(opening) = &mut held.kind else { return Known::Good };
    if whole {
        opening.finish();
    }
    let opened = opening.state().verdict();
    match (opened, holds) {
        (Opened::Error(error), _) => Known::Bad(Event::StreamError(error)),
        (Opened::Ended, _) => Known::Bad(Event::Empty),
        (Opened::More, _) if whole => Known::Bad(Event::StreamCut),
        (Opened::More, _) => Known::No,
        (Opened::Content, Holds::Complete) => {
            let state = opening.state();
            if let Some(error) = &state.error {
                return Known::Bad(Event::StreamError(error.clone()));
            }
            // What stood in an event that cannot be read is missing: where that counts as a failure,
            // this answer is not known to be good.
            if state.malformed > 0 && routed.policy.on.contains(FailureClass::BadResponse) {
                return Known::Bad(Event::BadBody);
            }
            // Without a length nobody can tell the end of the body from a broken connection; the
            // finish reason has to do.
            let framed = upstream.is_chunked() || upstream.content_length().is_some();
            match (state.marker || (state.finished && !framed), whole) {
                (true, _) => Known::Good,
                (false, true) if state.is_complete(BodyEnd::Clean) => Known::Good,
                (false, true) => Known::Bad(Event::StreamCut),
                (false, false) => Known::No,
            }
        }
        (Opened::Content, _) => Known::Good,
    }
}

impl Held {
    fn new(upstream: &Upstream<'_>, kind: Kind) -> Self {
        let framing = upstream.is_chunked().then(Dechunker::default);
        Self { framing, kind, seen_bytes: 0, content_bytes: 0 }
    }

    /// Reads what has come since the last time.
    fn read(&mut self, upstream: &Upstream<'_>) {
        let bytes = upstream.held();
        let new = bytes.get(self.seen_bytes..).unwrap_or_default();
        self.seen_bytes = bytes.len();
        let (kind, content_bytes) = (&mut self.kind, &mut self.content_bytes);
        let mut take = |content: &[u8]| {
            *content_bytes += content.len() as u64;
            match kind {
                Kind::Stream(opening) => drop(opening.feed(content)),
                Kind::Answer(body) => body.extend_from_slice(content),
                Kind::Refusal(body) => {
                    let room = MAX_REFUSAL_BYTES.saturating_sub(body.len());
                    body.extend_from_slice(content.get(..room).unwrap_or(content));
                }
            }
        };
        match &mut self.framing {
            None => take(new),
            Some(framing) => framing.feed(new, take),
        }
    }

    fn is_whole(&self, upstream: &Upstream<'_>) -> bool {
        match &self.framing {
            Some(framing) => framing.is_ended(),
            None => upstream.content_length().is_some_and(|length| self.content_bytes >= length),
        }
    }

    /// Whether the response ends exactly with what has come.
    fn is_read_out(&self, upstream: &Upstream<'_>) -> bool {
        match &self.framing {
            Some(framing) => framing.is_ended() && upstream.held().ends_with(b"\r\n0\r\n\r\n"),
            None => upstream.content_length() == Some(self.content_bytes),
        }
    }
}

fn refuse(r: Request<'_>, ctx: &RequestCtx, upstream: &mut Upstream<'_>, event: &Event) -> Head {
    let attempt = &ctx.attempt;
    let failure = Failure::classify(event);
    let text = |name: &str| upstream.header(name).and_then(|value| std::str::from_utf8(value).ok());
    let after_ms = failure.retry_after_ms(text, crate::ffi::unix_time() * 1000);
    attempt.retry_after_ms.set(after_ms);
    if let Some(after_ms) = after_ms {
        ratelimit::provider_limited(r, ctx, after_ms);
    }
    let decision = judge::decide_on(r, ctx, &failure, false);
    judge::note_failure(r, ctx, &failure, &decision);
    let passes = match decision.verdict {
        Verdict::PassThrough => !ctx.replaces_answer(r),
        _ => false,
    };
    if passes || (!super::owns_retries(r) && *event != Event::BadHead) {
        attempt.passes_failure.set(true);
        return let_go(r, ctx, upstream);
    }
    attempt.decision.set(Some(decision));
    if attempt.held.take().is_some_and(|held| held.is_read_out(upstream)) {
        // Else each refusal would cost a handshake.
        upstream.keep_connection();
    }
    Head::Refuse
}

fn accept(r: Request<'_>, ctx: &RequestCtx, upstream: &mut Upstream<'_>) -> Head {
    let is_stream = upstream.is_event_stream();
    let first_token_ms = is_stream.then(|| ctx.attempt.duration_ms(r));
    tell(r, ctx, Told::Status(upstream.status()), AttemptEnd::Ok);
    ctx.attempt.suppressed.set(None);
    judge::note_success(r, ctx, first_token_ms);
    let_go(r, ctx, upstream)
}

/// The response goes to the client.
fn let_go(r: Request<'_>, ctx: &RequestCtx, upstream: &mut Upstream<'_>) -> Head {
    let attempt = &ctx.attempt;
    attempt.held.replace(None);
    attempt.accepted.set(true);
    upstream.set_read_timeout(attempt.limits.get().idle_ms);
    if upstream.is_event_stream() || r.loc_conf().proxy.finishes_after_abort() {
        upstream.stop_buffering();
    } else {
        upstream.release_held();
    }
    Head::Accept
}
