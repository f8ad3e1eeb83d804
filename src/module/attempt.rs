//! What happens in one try at a provider? `ffi::upstream` calls, in this order: `begin` once nginx
//! has chosen the balancer, `head` until the response is accepted, `ended` when the connection is
//! given back, `finished` when nginx is done with the upstream.

use std::cell::{Cell, RefCell};

use llm_core::chunked::Dechunker;
use llm_core::head::{HeadEdit, edit};
use llm_core::route::Provider;
use llm_core::stream::{Opening, Verdict};

use crate::ctx::{RequestCtx, Routed};
use crate::ffi::upstream::{Limits, Upstream};
use crate::ffi::{Level, Request};
use crate::proxy;

/// Prefix of the request headers that are ours.
const OWN_PREFIX: &str = "x-llm-";

/// nginx's own default of `proxy_connect_timeout` and its like: another value was written.
const STOCK_TIMEOUT_MS: u64 = 60_000;

/// The state of the current try.
#[derive(Default)]
pub struct Attempt {
    /// Milliseconds from the client's request to the first try.
    pub started_ms: Cell<Option<u64>>,
    /// Milliseconds from the client's request to the end of the first try.
    pub ended_ms: Cell<Option<u64>>,
    /// The provider's response goes to the client.
    pub accepted: Cell<bool>,
    /// nginx's code, once it is done with the upstream.
    pub finished: Cell<Option<i64>>,
    /// How the last try failed.
    pub failure: Cell<Option<Failure>>,
    replays: Cell<u32>,
    opening: RefCell<Option<Held>>,
    idle_ms: Cell<u64>,
    hold: Cell<bool>,
}

/// The beginning of a stream that is kept until its first content.
struct Held {
    framing: Option<Dechunker>,
    opening: Opening,
    seen_bytes: usize,
}

/// How a try failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Failure {
    /// No connection, or it broke before a response.
    Unreachable,
    /// A limit passed.
    Timeout,
    /// A response that is none.
    BadResponse,
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
    /// Nothing: the request has failed.
    Stop,
    /// The same again, on a new connection.
    Again,
    /// The same again, after so many milliseconds.
    Wait(u64),
    /// The next target.
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

/// Makes nginx's request one for the provider, whatever `proxy_*` lines say.
pub fn begin(
    r: Request<'_>,
    ctx: &RequestCtx,
    upstream: &mut Upstream<'_>,
    block: &str,
) -> Option<()> {
    let routed = ctx.routed()?;
    let provider = routed.provider()?;
    if provider.upstream != block {
        // Another upstream's server must not get this provider's request, and later its key.
        r.write_log(
            Level::Error,
            &format!(
                "llm: proxy_pass goes to upstream \"{block}\", but the request belongs to \
                 provider \"{}\": write \"proxy_pass http://$llm_provider_upstream\"",
                provider.name
            ),
        );
        return None;
    }
    ctx.attempt.started_ms.set(Some(r.elapsed_ms()));
    ctx.attempt.accepted.set(false);
    let host = proxy::host(r, provider);
    if let Some(tls) = provider.ssl {
        if tls && !upstream.can_tls() {
            let text = format!(
                "llm: no TLS for provider \"{}\": proxy_pass needs \"https\"",
                provider.name
            );
            r.write_log(Level::Error, &text);
            return None;
        }
        upstream.set_is_tls(tls);
    }
    if upstream.is_tls() {
        let name = provider.ssl_name.as_deref().unwrap_or(host);
        upstream.set_tls(name, provider.ssl_verify)?;
    }
    set_limits(r, ctx, upstream, provider);
    let client_host = r.header("host").unwrap_or_default();
    let bare_host = without_port(client_host);
    let change = HeadEdit {
        host,
        wrong_hosts: &[block.as_bytes(), client_host, bare_host],
        version: provider.version.as_deref(),
        own_prefixes: &[OWN_PREFIX],
        ..HeadEdit::new(host)
    };
    let head = upstream.request_head().and_then(|head| edit(head, &change))?;
    upstream.set_request_head(&head)
}

/// Looks at a response whose head is complete; called again for each further piece.
pub fn head(r: Request<'_>, ctx: &RequestCtx, upstream: &mut Upstream<'_>) -> Head {
    let attempt = &ctx.attempt;
    let is_stream = upstream.is_event_stream() && upstream.status() == 200;
    if is_stream && attempt.hold.get() {
        let Some(routed) = ctx.routed() else { return Head::Accept };
        if hold(ctx, upstream, &routed) == Verdict::More
            && upstream.grow(r.loc_conf().proxy.max_response_size_bytes())
        {
            return Head::Wait;
        }
        upstream.release_held();
    }
    attempt.opening.replace(None);
    attempt.accepted.set(true);
    upstream.set_read_timeout(attempt.idle_ms.get());
    if is_stream || r.loc_conf().proxy.finishes_after_abort() {
        upstream.stop_buffering();
    }
    Head::Accept
}

impl Attempt {
    /// The status of the try that has just ended; asked once.
    pub fn take_status(&self) -> u16 {
        0
    }

    /// Milliseconds that the first try took so far, or took.
    pub fn duration_ms(&self, r: Request<'_>) -> Option<u64> {
        let end = self.ended_ms.get().unwrap_or_else(|| r.elapsed_ms());
        Some(end.saturating_sub(self.started_ms.get()?))
    }
}

/// The connection is given back.
pub fn ended(r: Request<'_>, ctx: &RequestCtx, end: End) -> Next {
    let attempt = &ctx.attempt;
    if attempt.ended_ms.get().is_none() {
        attempt.ended_ms.set(Some(r.elapsed_ms()));
    }
    if !end.failed {
        return Next::AsNginx;
    }
    attempt.opening.replace(None);
    let failure = if end.timed_out {
        Failure::Timeout
    } else if end.silent {
        Failure::Unreachable
    } else {
        Failure::BadResponse
    };
    attempt.failure.set(Some(failure));
    // An idle connection that the provider closed just as we used it: nobody has read the request.
    let stale = end.reused && end.silent && end.sent && !end.timed_out && !end.head_seen;
    if stale && attempt.replays.get() == 0 && !r.is_client_gone() {
        attempt.replays.set(1);
        return Next::Again;
    }
    Next::AsNginx
}

/// Whether failures are ours to decide upon, not `proxy_next_upstream`'s.
pub fn owns_retries(_: Request<'_>) -> bool {
    false
}

/// A connection is asked for.
pub fn starts(_: Request<'_>, _: &RequestCtx, _: &mut Upstream<'_>) {}

/// Moves the request to the next target.
pub fn switch(_: Request<'_>, _: &RequestCtx, _: &mut Upstream<'_>) -> Option<()> {
    None
}

/// Every server of the provider's block is down.
pub fn no_live_server(_: Request<'_>, _: &RequestCtx) -> Next {
    Next::Stop
}

/// nginx is done with the upstream; what it still sends to the client follows.
pub fn finished(_: Request<'_>, ctx: &RequestCtx, rc: i64) {
    ctx.attempt.finished.set(Some(rc));
}

fn hold(ctx: &RequestCtx, upstream: &Upstream<'_>, routed: &Routed) -> Verdict {
    let Some(provider) = routed.provider() else { return Verdict::Content };
    let mut opening = ctx.attempt.opening.borrow_mut();
    let held = opening.get_or_insert_with(|| Held {
        framing: upstream.is_chunked().then(Dechunker::default),
        opening: Opening::new(provider.dialect, ctx.endpoint.get()),
        seen_bytes: 0,
    });
    let bytes = upstream.held();
    let new = bytes.get(held.seen_bytes..).unwrap_or_default();
    held.seen_bytes = bytes.len();
    match &mut held.framing {
        None => held.opening.feed(new),
        Some(framing) => {
            let mut verdict = held.opening.state().verdict();
            framing.feed(new, |content| verdict = held.opening.feed(content));
            if verdict == Verdict::More && framing.is_ended() { Verdict::Ended } else { verdict }
        }
    }
}

/// The provider's line beats the general directive, that beats what the operator wrote for
/// `proxy_pass`, and that beats our defaults.
fn set_limits(r: Request<'_>, ctx: &RequestCtx, upstream: &mut Upstream<'_>, provider: &Provider) {
    let conf = &r.loc_conf().proxy;
    let stock = upstream.limits();
    let written = |ms: u64| (ms != STOCK_TIMEOUT_MS).then_some(ms);
    let connect_ms = provider
        .connect_timeout_ms
        .or(conf.connect_timeout_ms())
        .or(written(stock.connect_ms))
        .unwrap_or(proxy::CONNECT_TIMEOUT_MS);
    let response_ms = provider
        .response_timeout_ms
        .or(conf.response_timeout_ms())
        .or(written(stock.response_ms))
        .unwrap_or(proxy::RESPONSE_TIMEOUT_MS);
    let idle_ms = provider
        .idle_timeout_ms
        .or(conf.idle_timeout_ms())
        .or(written(stock.response_ms))
        .unwrap_or(proxy::IDLE_TIMEOUT_MS);
    let first_token_ms =
        provider.first_token_timeout_ms.or(conf.first_token_timeout_ms()).unwrap_or(0);
    let holds = first_token_ms > 0 && ctx.is_streaming();
    ctx.attempt.hold.set(holds);
    ctx.attempt.idle_ms.set(idle_ms);
    let response_ms = if holds { response_ms.min(first_token_ms) } else { response_ms };
    upstream.set_limits(Limits { connect_ms, send_ms: stock.send_ms, response_ms });
}

fn without_port(host: &[u8]) -> &[u8] {
    match host.iter().rposition(|&byte| byte == b':') {
        Some(colon) if !host.ends_with(b"]") => host.get(..colon).unwrap_or(host),
        _ => host,
    }
}
