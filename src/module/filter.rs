//! What does the client read? The header filter decides what kind of answer it is, the body filter
//! passes it on: a provider's stream event by event, a provider's JSON as it comes, and nginx's own
//! error pages as JSON in the caller's dialect.

mod errors;
mod headers;
mod waiting;

use std::borrow::Cow;
use std::ops::Range;

use llm_core::scrub::{Cover, Mask, Scrubber};
use llm_core::stream::{BodyEnd, EventStream, Options, Sink};
use llm_core::tap::JsonTap;
use llm_core::usage::Usage;

pub use errors::{answer, refuse};
pub use waiting::{client_left, heartbeat, passed_on, total_timeout};

use crate::ctx::RequestCtx;
use crate::ffi::Request;
use crate::ffi::buf::Pieces;
use crate::ffi::upstream::Caching;
use crate::proxy::{self, ResponseModel};

/// The answer on its way.
#[derive(Default)]
pub enum Answer {
    /// Not ours to look at.
    #[default]
    Untouched,
    /// A provider's JSON.
    Json(Box<JsonTap>),
    /// A provider's stream.
    Events(Box<Events>),
    /// An answer of ours in the place of nginx's page.
    Replaced(Vec<u8>),
    /// A provider's body that is not read: a refusal, or neither JSON nor a stream, or encoded.
    Other,
}

/// A stream, and whether we have ended it ourselves.
pub struct Events {
    stream: EventStream,
    /// An error of ours was the last event.
    broken: bool,
    /// The provider's body came to its end.
    clean: bool,
    /// The client's answer was ended with its marker, though the provider's connection broke.
    done: bool,
    /// When something was last sent on, in milliseconds of the request.
    sent_ms: u64,
    /// What nginx would have a cache do with it; known with the first piece.
    caching: Option<Caching>,
}

impl Events {
    fn new(r: Request<'_>, options: Options) -> Self {
        Self {
            stream: EventStream::new(options),
            broken: false,
            clean: false,
            done: false,
            sent_ms: r.elapsed_ms(),
            caching: None,
        }
    }

    /// nginx keeps every answer whose HTTP body has ended well. A stream without its last word must
    /// not be served again: it is kept only from its end on.
    fn keep_if_whole(&mut self, r: Request<'_>) {
        let Some(mut upstream) = r.upstream() else { return };
        let wanted = *self.caching.get_or_insert_with(|| upstream.caching());
        let whole = self.stream.state().is_complete(BodyEnd::Clean);
        upstream.set_caching(if whole { wanted } else { Caching::default() });
    }
}

/// What the header filter does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step {
    /// Pass the head on.
    Next,
    /// The head has been sent before.
    Swallow,
}

/// What becomes of the mark that ends a response.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LastBuffer {
    /// It goes on.
    Keep,
    /// This buffer is the last, though nginx has not marked it.
    Add,
    /// It stays here: the client must not take the answer for complete.
    Swallow,
}

/// One buffer of a response body.
pub struct Chunk<'a> {
    /// Its bytes.
    pub text: &'a [u8],
    /// Nothing follows.
    pub ends: bool,
    /// It asks for everything to be sent now.
    pub flushes: bool,
}

/// How a stream ended, as `$llm_stream_state` tells it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StreamEnd {
    /// With its terminal marker.
    Complete,
    /// Without.
    Incomplete,
    /// The client went first.
    ClientClosed,
}

impl StreamEnd {
    /// The word in the variable.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Complete => "complete",
            Self::Incomplete => "incomplete",
            Self::ClientClosed => "client_closed",
        }
    }
}

impl RequestCtx {
    /// What the provider says was used.
    pub fn usage(&self) -> Option<Usage> {
        let usage = match &*self.answer.borrow() {
            Answer::Json(tap) => tap.usage(),
            Answer::Events(events) => Some(events.stream.state().usage),
            _ => None,
        };
        usage.filter(|usage| !usage.is_empty() && self.endpoint.get().has_usage())
    }

    /// How the stream ended; none as long as it goes on, and for an answer that is no stream.
    pub fn stream_end(&self, r: Request<'_>) -> Option<StreamEnd> {
        let answer = self.answer.borrow();
        let (complete, ended) = match &*answer {
            Answer::Events(events) => {
                let end = if events.clean { BodyEnd::Clean } else { BodyEnd::Cut };
                let complete = !events.broken && events.stream.state().is_complete(end);
                (complete, events.clean || events.broken || events.done)
            }
            // Heartbeats, and perhaps an error in the place of a provider's stream.
            _ if self.begun.get() => (false, false),
            _ => return None,
        };
        if !ended && self.attempt.finished.get().is_none() && !r.is_client_gone() {
            return None;
        }
        Some(if self.client_gone.get() {
            StreamEnd::ClientClosed
        } else if complete {
            StreamEnd::Complete
        } else if r.is_client_gone() || self.left_early() {
            StreamEnd::ClientClosed
        } else {
            StreamEnd::Incomplete
        })
    }

    fn left_early(&self) -> bool {
        const CLIENT_CLOSED_REQUEST: i64 = 499;
        self.attempt.finished.get() == Some(CLIENT_CLOSED_REQUEST)
    }
}

/// How far an answer has come.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Progress {
    /// An answer that is no stream is there to its end.
    pub whole: bool,
    /// The model has said why it ended.
    pub finished: bool,
    /// Bytes of its text.
    pub content_bytes: u64,
}

impl RequestCtx {
    /// How far the answer has come.
    pub fn progress(&self) -> Progress {
        match &*self.answer.borrow() {
            Answer::Json(tap) => Progress {
                whole: tap.is_whole(),
                finished: tap.is_whole(),
                content_bytes: tap.content_bytes(),
            },
            Answer::Events(events) => {
                let state = events.stream.state();
                Progress {
                    whole: false,
                    finished: state.finished || state.marker,
                    content_bytes: state.content_bytes,
                }
            }
            _ => Progress::default(),
        }
    }
}

/// The header filter.
pub fn head(mut r: Request<'_>) -> Step {
    if !r.is_main() {
        return Step::Next;
    }
    if let Some(ctx) = r.ctx() {
        if ctx.begun.get() {
            waiting::late_head(r, ctx);
            return Step::Swallow;
        }
        if ctx.attempt.accepted.get() || r.is_cached() {
            provider_head(&mut r, ctx);
            if ctx.client_gone.get() {
                // Nobody is left to send it to; the body is still read.
                r.set_header_sent(true);
                return Step::Swallow;
            }
            return Step::Next;
        }
        if errors::is_foreign(r, ctx) {
            errors::refuse_foreign(&mut r, ctx);
            return Step::Next;
        }
    }
    errors::head(&mut r);
    Step::Next
}

/// The body filter: what goes on of one buffer, without our secrets.
pub fn feed(
    mut r: Request<'_>,
    ctx: &RequestCtx,
    chunk: &Chunk<'_>,
    out: &mut Pieces,
) -> LastBuffer {
    let last = match &mut *ctx.scrubber.borrow_mut() {
        None => feed_answer(r, ctx, chunk, out),
        Some(scrubber) => match scrubber.clean(chunk.text, chunk.ends) {
            Cow::Borrowed(text) => feed_answer(r, ctx, &Chunk { text, ..*chunk }, out),
            Cow::Owned(text) => {
                let mut out = Elsewhere { text: &text, out };
                feed_answer(r, ctx, &Chunk { text: &text, ..*chunk }, &mut out)
            }
        },
    };
    match last {
        LastBuffer::Swallow => r.close_after(),
        LastBuffer::Keep => ctx.last_passed.set(chunk.ends),
        LastBuffer::Add => ctx.last_passed.set(true),
    }
    if ctx.client_gone.get() {
        out.drop_all();
    }
    last
}

/// Sends ranges of a text that is not in the buffer.
struct Elsewhere<'a> {
    text: &'a [u8],
    out: &'a mut Pieces,
}

impl Sink for Elsewhere<'_> {
    fn pass(&mut self, range: Range<usize>) {
        self.out.own(self.text.get(range).unwrap_or_default());
    }

    fn own(&mut self, bytes: &[u8]) {
        self.out.own(bytes);
    }
}

fn feed_answer(
    r: Request<'_>,
    ctx: &RequestCtx,
    chunk: &Chunk<'_>,
    out: &mut impl Sink,
) -> LastBuffer {
    let mut answer = ctx.answer.borrow_mut();
    match &mut *answer {
        Answer::Untouched | Answer::Other => {
            out.pass(0..chunk.text.len());
            LastBuffer::Keep
        }
        Answer::Json(tap) => {
            tap.feed(chunk.text, out);
            LastBuffer::Keep
        }
        Answer::Replaced(body) => {
            if chunk.ends {
                out.own(body);
            }
            // After a heartbeat it is an event of a stream that never came.
            if chunk.ends && ctx.begun.get() { LastBuffer::Swallow } else { LastBuffer::Keep }
        }
        Answer::Events(events) => feed_events(r, ctx, events, chunk, out),
    }
}

fn feed_events(
    r: Request<'_>,
    ctx: &RequestCtx,
    events: &mut Events,
    chunk: &Chunk<'_>,
    out: &mut impl Sink,
) -> LastBuffer {
    if events.broken || events.done {
        return if chunk.ends { LastBuffer::Swallow } else { LastBuffer::Keep };
    }
    let held_bytes = events.stream.held_bytes() + chunk.text.len();
    events.stream.feed(chunk.text, out);
    if events.stream.held_bytes() != held_bytes {
        events.sent_ms = r.elapsed_ms();
    }
    events.keep_if_whole(r);
    if ctx.ttft_ms.get().is_none() && events.stream.state().content {
        ctx.ttft_ms.set(Some(r.elapsed_ms()));
    }
    if chunk.ends {
        events.stream.finish(out);
        events.clean = true;
        if events.stream.state().is_complete(BodyEnd::Clean) {
            return LastBuffer::Keep;
        }
    } else if !(chunk.flushes && ended_badly(ctx)) {
        return LastBuffer::Keep;
    } else if events.stream.state().is_complete(BodyEnd::Cut) {
        // The answer is whole; how the provider's connection ended is no matter of the client's.
        events.done = true;
        return LastBuffer::Add;
    }
    // The provider's last word is missing: the client must not take this for the end.
    let told = events.stream.state().error.is_some();
    if !told && events.stream.between_events() && !r.is_client_gone() {
        let rejection = errors::broken_stream(ctx);
        out.own(&rejection.sse_event(ctx.dialect.get(), &ctx.event_id));
        ctx.rejection.replace(Some(rejection));
    }
    events.broken = true;
    if !r.is_client_gone() {
        let error = events.stream.state().error.clone();
        crate::attempt::note_broken(r, ctx, error);
    }
    if chunk.ends { LastBuffer::Swallow } else { LastBuffer::Keep }
}

/// Whether nginx is done with the upstream and found its answer cut short.
fn ended_badly(ctx: &RequestCtx) -> bool {
    ctx.attempt.finished.get().is_some_and(|rc| rc != 0)
}

fn provider_head(r: &mut Request<'_>, ctx: &RequestCtx) {
    let Some(routed) = ctx.routed() else { return };
    let mask = mask(ctx);
    r.drop_headers(headers::is_our_name);
    if let Some(mask) = &mask {
        if r.is_cached() {
            r.cover_headers(|value| mask.cover(value));
        }
        // The words behind the status are the provider's, too.
        r.set_status(r.status());
    }
    headers::add(r, ctx, &routed);
    if r.is_encoded() {
        if r.status() != 200 && mask.is_some() {
            return errors::hide(r, ctx);
        }
        ctx.answer.replace(Answer::Other);
        return;
    }
    if r.status() != 200 {
        if let Some(mask) = &mask {
            r.set_content_length(None);
            scrub(r, ctx, mask, Cover::Short);
            ctx.answer.replace(Answer::Other);
        }
        return;
    }
    let is_stream = llm_core::media::is_event_stream(r.content_type());
    if let Some(mask) = &mask {
        // An answer with a length keeps it.
        scrub(r, ctx, mask, if is_stream { Cover::Short } else { Cover::SameLength });
    }
    let renamed = renamed_model(*r, ctx);
    let Some(provider) = routed.provider() else { return };
    if is_stream {
        let options = Options {
            strip_usage: routed.strip_usage && proxy::injects_usage(*r, ctx, provider),
            model: renamed,
            ..Options::new(provider.dialect, ctx.endpoint.get())
        };
        r.need_in_memory();
        r.set_content_length(None);
        r.drop_validators();
        r.drop_headers(|name| name == b"x-accel-buffering" || name == b"cache-control");
        r.add_header("X-Accel-Buffering", "no");
        r.add_header("Cache-Control", "no-cache");
        ctx.answer.replace(Answer::Events(Box::new(Events::new(*r, options))));
        crate::metrics::note_stream(*r, ctx);
    } else if llm_core::media::is_json(r.content_type()) {
        r.need_in_memory();
        if renamed.is_some() {
            r.set_content_length(None);
            r.drop_validators();
        }
        let tap = JsonTap::new(provider.dialect, renamed.as_deref());
        ctx.answer.replace(Answer::Json(Box::new(tap)));
    } else {
        ctx.answer.replace(Answer::Other);
    }
}

/// What hides the secrets of this request; none where it has none.
fn mask(ctx: &RequestCtx) -> Option<Mask> {
    let mask = &ctx.known_keys()?.secrets.mask;
    Some(mask.clone()).filter(|mask| !mask.is_empty())
}

/// Sends the body through the mask.
fn scrub(r: &mut Request<'_>, ctx: &RequestCtx, mask: &Mask, cover: Cover) {
    r.need_in_memory();
    ctx.scrubber.replace(Some(Scrubber::new(mask, cover)));
}

/// The client's name for the model, where the answer is to have it whatever the provider calls it.
fn renamed_model(r: Request<'_>, ctx: &RequestCtx) -> Option<String> {
    match r.loc_conf().proxy.response_model() {
        ResponseModel::Effective => None,
        ResponseModel::Requested => ctx.requested_model(),
    }
}
