//! What happens in each try at a provider, and what follows it? `ffi::hooks` calls, in this order:
//! `begin` once nginx has chosen the first balancer · `starts` before each connection · `head`
//! until the response is accepted or taken for a failure · `ended` when the connection is given
//! back · `switch` when another attempt follows · `finished` when nginx is done with the upstream.
//!
//! Every end of an attempt is judged once: by `head` when a response decides it, else by `ended`.

mod judge;
mod request;
mod response;

use std::cell::{Cell, RefCell};

use llm_core::fallback::{
    Chain, Decision, Event, Failure, Feedback, NextTarget, SkipReason, Suppressed, Told, Verdict,
};

use llm_core::metrics::AttemptEnd;

use crate::ctx::{RequestCtx, Routed};
use crate::ffi::upstream::{Caching, Limits, Upstream};
use crate::ffi::{Level, Request};
use crate::health::Place;
use crate::{proxy, ratelimit};

pub use judge::{Pick, note_broken, pick, pick_benched};
pub use response::{Held, head};

/// The state of a request's attempts.
#[derive(Default)]
pub struct Attempt {
    /// Milliseconds from the client's request to the first try.
    pub started_ms: Cell<Option<u64>>,
    /// Milliseconds that the first try took.
    pub first_ms: Cell<Option<u64>>,
    /// The provider's response goes to the client.
    pub accepted: Cell<bool>,
    /// nginx's code, once it is done with the upstream.
    pub finished: Cell<Option<i64>>,
    /// How the last try failed.
    pub failure: Cell<Option<Failure>>,
    /// Attempts made, this one included.
    pub made: Cell<u32>,
    /// Every attempt and its end, for header and log.
    pub chain: RefCell<Chain>,
    /// The same for the rows of attempts, where they are kept.
    pub notes: RefCell<Vec<Note>>,
    /// Why the first target was passed over.
    pub passed_over: Cell<Option<SkipReason>>,
    /// Why the request left its first target.
    pub reason: Cell<Option<&'static str>>,
    /// Why it did not go on.
    pub suppressed: Cell<Option<Suppressed>>,
    /// Whether the policy answers the last failure with another attempt.
    pub policy_allowed: Cell<bool>,
    /// The attempt goes to benched targets, because all are.
    pub last_resort: Cell<bool>,
    /// What the provider said of its limits.
    pub feedback: Cell<Feedback>,
    /// The keys of the current target that were not tried, best last.
    pub other_keys: RefCell<Vec<usize>>,
    /// The probe that this attempt is, for health.
    pub lease: Cell<Option<u64>>,
    /// Where health keeps what it knows of the target and key of this attempt, with both.
    place: Cell<Option<(usize, Option<usize>, Place)>>,
    /// When the current attempt began, in milliseconds of the request.
    attempt_ms: Cell<u64>,
    /// The status of the current try; 0 is none.
    status: Cell<u16>,
    head_came: Cell<bool>,
    /// When the head of the current try came, in milliseconds of the attempt.
    head_ms: Cell<Option<u64>>,
    retries_here: Cell<u32>,
    replayed: Cell<bool>,
    retry_after_ms: Cell<Option<u64>>,
    decision: Cell<Option<Decision>>,
    next: Cell<Option<Step>>,
    held: RefCell<Option<Held>>,
    limits: Cell<request::Waits>,
    default_tls: Cell<bool>,
    /// `proxy_next_upstream_tries`, where it is written.
    bound_attempts: Cell<Option<u32>>,
    /// What the operator's `proxy_*` lines say, before our changes.
    stock: Cell<Limits>,
    /// What a cache is to do, before a response has said anything of it.
    caching: Cell<Caching>,
    /// The accepted response is a failure that was judged as one.
    passes_failure: Cell<bool>,
    /// The body that nginx sends is ours.
    pub body_replaced: Cell<bool>,
}

/// An attempt and its end. Times are milliseconds.
#[derive(Clone, Copy, Debug)]
pub struct Note {
    /// Its target's index.
    pub target: usize,
    /// The number of its key.
    pub key: Option<usize>,
    /// How it ended.
    pub end: AttemptEnd,
    /// The provider's status, if it answered.
    pub status: Option<u16>,
    /// From the client's request on.
    pub started_ms: u64,
    /// Until it was judged.
    pub duration_ms: u64,
    /// Until the response head, if one came.
    pub head_ms: Option<u64>,
}

/// Which part of the target changes for the next attempt.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Step {
    Same,
    Key,
    Target,
}

/// What nginx saw when it gave the connection back.
#[derive(Clone, Copy, Debug)]
pub struct End {
    /// nginx takes it for a failure.
    pub failed: bool,
    /// The connection had served an earlier request.
    pub reused: bool,
    /// A timer fired.
    pub timed_out: bool,
    /// The request, or some of it, was sent.
    pub sent: bool,
    /// Not a byte of a response came.
    pub silent: bool,
    /// A whole response head came.
    pub head_seen: bool,
    /// The provider's upstream block has further servers.
    pub servers_left: bool,
}

/// What nginx is to do after a try.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Next {
    /// What it would do by itself.
    AsNginx,
    /// Nothing: the request has ended.
    Stop,
    /// The same again, on a new connection.
    Again,
    /// Another attempt, after so many milliseconds.
    Wait(u64),
    /// Another attempt.
    Advance,
}

/// What nginx is to do with a response head.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Head {
    /// Send it to the client.
    Accept,
    /// Read on.
    Wait,
    /// Take it for a failure.
    Refuse,
}

impl Attempt {
    /// Milliseconds that the first try took so far, or took.
    pub fn first_duration_ms(&self, r: Request<'_>) -> Option<u64> {
        let started_ms = self.started_ms.get()?;
        Some(self.first_ms.get().unwrap_or_else(|| r.elapsed_ms().saturating_sub(started_ms)))
    }

    /// The status of the try that has just ended; asked once.
    pub fn take_status(&self) -> u16 {
        self.status.replace(0)
    }

    /// What the operator's `proxy_next_upstream_*` lines allow; 0 is no bound.
    pub fn bound(&self, r: Request<'_>, tries: u32, timeout_ms: u64) {
        self.bound_attempts.set(Some(tries).filter(|tries| *tries > 0));
        if let Some(ctx) = r.ctx().filter(|_| timeout_ms > 0 && owns_retries(r)) {
            ctx.retry_until_ms.set(Some(r.elapsed_ms() + timeout_ms));
        }
    }

    fn duration_ms(&self, r: Request<'_>) -> u64 {
        r.elapsed_ms().saturating_sub(self.attempt_ms.get())
    }
}

/// Whether failures are ours to decide upon, not `proxy_next_upstream`'s.
pub fn owns_retries(r: Request<'_>) -> bool {
    let conf = r.loc_conf();
    conf.keyring.is_some() || conf.rules().is_some_and(|rules| rules.policy.enabled)
}

/// The first attempt: makes nginx's request one for the provider, whatever `proxy_*` lines say.
pub fn begin(
    mut r: Request<'_>,
    ctx: &RequestCtx,
    upstream: &mut Upstream<'_>,
    block: &str,
) -> Option<()> {
    let attempt = &ctx.attempt;
    attempt.started_ms.set(Some(r.elapsed_ms()));
    if let Some(since) = ctx.body_read_at.get() {
        ctx.overhead_us.set(u64::try_from(since.elapsed().as_micros()).ok());
    }
    attempt.default_tls.set(upstream.is_tls());
    attempt.made.set(1);
    attempt.caching.set(upstream.caching());
    if r.loc_conf().proxy.finishes_after_abort() {
        r.watch_client();
    }
    request::prepare(r, ctx, upstream, block)?;
    begin_attempt(r, ctx);
    Some(())
}

/// `proxy_pass` goes to an address that is no upstream block, where it would be a stranger's request with
/// the client's credential.
pub fn elsewhere(r: Request<'_>, ctx: &RequestCtx) {
    request::restore_uri(r, ctx);
    r.write_log(
        Level::Error,
        "llm: proxy_pass goes to an address that is no upstream block: write \"proxy_pass \
         http://$llm_provider_upstream\"",
    );
}

/// A connection is asked for.
pub fn starts(_: Request<'_>, ctx: &RequestCtx, upstream: &mut Upstream<'_>) {
    // A wait before this attempt has used the connect timeout for itself.
    upstream.set_limits(ctx.attempt.limits.get().limits);
}

/// Moves the request to its next attempt: another target, another key, or the same again.
pub fn switch(mut r: Request<'_>, ctx: &RequestCtx, upstream: &mut Upstream<'_>) -> Option<()> {
    let attempt = &ctx.attempt;
    let routed = ctx.routed()?;
    match attempt.next.take().unwrap_or(Step::Same) {
        Step::Same => {
            ratelimit::admit_target(r, ctx, &routed, routed.current.get()).ok()?;
            attempt.retries_here.set(attempt.retries_here.get() + 1);
        }
        Step::Key => {
            ratelimit::admit_target(r, ctx, &routed, routed.current.get()).ok()?;
            let key = attempt.other_keys.borrow_mut().pop()?;
            ctx.key.borrow_mut().key = Some(key);
            attempt.retries_here.set(0);
        }
        Step::Target => {
            let Pick::Target(index) = pick(r, ctx, &routed, routed.current.get() + 1) else {
                return None;
            };
            routed.current.set(index);
            attempt.retries_here.set(0);
        }
    }
    attempt.made.set(attempt.made.get() + 1);
    let provider = routed.provider()?;
    let block = r.main_conf().block(&provider.upstream)?;
    upstream.set_is_tls(provider.ssl.unwrap_or(attempt.default_tls.get()));
    upstream.reset_buffering();
    upstream.set_caching(attempt.caching.get());
    // Also for the same target: its balancer has counted its servers as tried.
    upstream.enter(&ctx.hooks, block)?;
    let asked = ctx.asked()?;
    proxy::install(&mut r, ctx, &asked, &routed).ok()?;
    upstream.recreate()?;
    request::prepare(r, ctx, upstream, &block.name)?;
    begin_attempt(r, ctx);
    Some(())
}

/// The connection is given back.
pub fn ended(r: Request<'_>, ctx: &RequestCtx, end: End) -> Next {
    let attempt = &ctx.attempt;
    let content_held = response::held_content(ctx);
    attempt.held.replace(None);
    if attempt.first_ms.get().is_none()
        && let Some(started_ms) = attempt.started_ms.get()
    {
        attempt.first_ms.set(Some(r.elapsed_ms().saturating_sub(started_ms)));
    }
    if !end.failed || attempt.accepted.get() {
        judge::settle_health(r, ctx);
        return if owns_retries(r) { Next::Stop } else { Next::AsNginx };
    }
    if let Some(decision) = attempt.decision.take() {
        return follow(r, ctx, decision.verdict);
    }
    // The next server of the same block costs no attempt: nothing was sent.
    if end.servers_left && !end.sent && owns_retries(r) {
        return Next::Again;
    }
    let failure = Failure::classify(&seen(ctx, end, content_held));
    let reused = end.reused && end.silent && end.sent && !end.head_seen;
    let decision = judge::decide_on(r, ctx, &failure, reused);
    if !owns_retries(r) {
        // Without fallback only a dead reused connection is ours; nginx walks the block's servers.
        return match decision.verdict {
            Verdict::ReplayFresh => follow(r, ctx, Verdict::ReplayFresh),
            _ => {
                attempt.failure.set(Some(failure));
                Next::AsNginx
            }
        };
    }
    if decision.verdict != Verdict::ReplayFresh {
        judge::note_failure(r, ctx, &failure, &decision);
    }
    follow(r, ctx, decision.verdict)
}

/// Every server of the provider's block is down.
pub fn no_live_server(r: Request<'_>, ctx: &RequestCtx) -> Next {
    if !owns_retries(r) {
        return Next::Stop;
    }
    let failure = Failure::classify(&Event::ConnectFailed);
    let decision = judge::decide_on(r, ctx, &failure, false);
    judge::note_failure(r, ctx, &failure, &decision);
    follow(r, ctx, decision.verdict)
}

/// The request is over. A probe that was never sent, because a cache had the answer, is given back.
pub fn over(r: Request<'_>, ctx: &RequestCtx) {
    judge::settle_health(r, ctx);
}

/// nginx is done with the upstream; what it still sends to the client follows.
pub fn finished(_: Request<'_>, ctx: &RequestCtx, rc: i64) {
    ctx.attempt.finished.set(Some(rc));
}

/// Puts a verdict into nginx's terms.
fn follow(r: Request<'_>, ctx: &RequestCtx, verdict: Verdict) -> Next {
    let attempt = &ctx.attempt;
    if r.is_client_gone() || ctx.client_gone.get() {
        return Next::Stop;
    }
    match verdict {
        Verdict::ReplayFresh => {
            attempt.replayed.set(true);
            Next::Again
        }
        Verdict::RetrySame { after_ms } => {
            attempt.next.set(Some(Step::Same));
            Next::Wait(after_ms)
        }
        Verdict::NextKey => {
            attempt.next.set(Some(Step::Key));
            Next::Advance
        }
        Verdict::NextTarget => {
            attempt.next.set(Some(Step::Target));
            Next::Advance
        }
        Verdict::PassThrough | Verdict::GiveUp(_) => Next::Stop,
    }
}

/// What an end means that no response has decided.
fn seen(ctx: &RequestCtx, end: End, content_held: bool) -> Event {
    match (end.timed_out, end.head_seen, end.sent) {
        (true, true, _) if ctx.attempt.status.get() >= 300 => {
            Event::Status { status: ctx.attempt.status.get(), error: None }
        }
        (true, true, _) if content_held => Event::StreamStalled,
        (true, true, _) => Event::FirstTokenTimedOut,
        (true, false, false) => Event::TimedOut { connecting: true },
        (true, false, true) => Event::TimedOut { connecting: false },
        (false, true, _) if ctx.attempt.status.get() >= 300 => {
            Event::Status { status: ctx.attempt.status.get(), error: None }
        }
        (false, true, _) => Event::StreamCut,
        (false, false, false) => Event::ConnectFailed,
        (false, false, true) if end.silent => Event::Closed,
        (false, false, true) => Event::BadHead,
    }
}

fn begin_attempt(r: Request<'_>, ctx: &RequestCtx) {
    let attempt = &ctx.attempt;
    attempt.attempt_ms.set(r.elapsed_ms());
    attempt.accepted.set(false);
    attempt.passes_failure.set(false);
    attempt.replayed.set(false);
    attempt.head_came.set(false);
    attempt.head_ms.set(None);
    attempt.retry_after_ms.set(None);
    judge::count_attempt(r, ctx);
}

/// Adds the current target to the chain.
fn tell(r: Request<'_>, ctx: &RequestCtx, told: Told, end: AttemptEnd) {
    let Some(routed) = ctx.routed() else { return };
    let Some(provider) = routed.provider() else { return };
    let duration_ms = ctx.attempt.duration_ms(r);
    ctx.attempt.chain.borrow_mut().attempt(&provider.name, routed.model(), told, duration_ms);
    if routed.compiled.cost.on || routed.compiled.metrics.on {
        ctx.attempt.notes.borrow_mut().push(Note {
            target: routed.current.get(),
            key: ctx.key.borrow().key,
            end,
            status: if let Told::Status(status) = told { Some(status) } else { None },
            started_ms: ctx.attempt.attempt_ms.get(),
            duration_ms,
            head_ms: ctx.attempt.head_ms.get(),
        });
    }
}

/// Adds a target that is passed over to the chain.
fn tell_skipped(ctx: &RequestCtx, routed: &Routed, index: usize, reason: SkipReason) {
    let Some(target) = routed.targets.get(index) else { return };
    let Some(provider) = routed.compiled.routes.provider(target.provider) else { return };
    ctx.attempt.chain.borrow_mut().skipped(&provider.name, target.model.as_deref(), reason);
    if index == 0 {
        ctx.attempt.passed_over.set(Some(reason));
    }
}

impl From<Pick> for NextTarget {
    fn from(pick: Pick) -> Self {
        match pick {
            Pick::Target(_) => Self::Ready,
            Pick::Skipped(reason, _) => Self::Skipped(reason),
            Pick::Denied | Pick::None => Self::None,
        }
    }
}
