//! The callbacks through which `attempt` owns every try of a request.
//!
//! Order of calls in one attempt: `peer.init` (ours wraps the balancer's and installs the rest) ·
//! `get` · connect, send · `process_header` until it accepts · `free`; after that either `get`
//! again, with `reinit_request` in between, or `finalize_request`.

use std::cell::Cell;
use std::ffi::c_void;
use std::net::SocketAddr;
use std::ptr;

use ngx::ffi::{
    NGX_BUSY, NGX_HTTP_UPSTREAM_CREATE, NGX_HTTP_UPSTREAM_FT_ERROR,
    NGX_HTTP_UPSTREAM_FT_INVALID_HEADER, NGX_HTTP_UPSTREAM_FT_NOLIVE,
    NGX_HTTP_UPSTREAM_FT_NON_IDEMPOTENT, NGX_HTTP_UPSTREAM_FT_TIMEOUT,
    NGX_HTTP_UPSTREAM_INVALID_HEADER, NGX_PEER_FAILED, NGX_PEER_NEXT, ngx_event_free_peer_pt,
    ngx_event_get_peer_pt, ngx_event_save_peer_session_pt, ngx_event_set_peer_session_pt,
    ngx_http_request_t, ngx_http_upstream_main_conf_t, ngx_http_upstream_module,
    ngx_http_upstream_resolved_t, ngx_http_upstream_server_t, ngx_http_upstream_srv_conf_t,
    ngx_int_t, ngx_peer_connection_t, ngx_uint_t,
};

use super::park::Parking;
use super::upstream::Upstream;
use super::{Request, bytes, code, fenced};
use crate::attempt::{self, End, Head, Next};
use crate::ctx::RequestCtx;

const BUSY: ngx_int_t = NGX_BUSY as ngx_int_t;

type PeerInit =
    unsafe extern "C" fn(*mut ngx_http_request_t, *mut ngx_http_upstream_srv_conf_t) -> ngx_int_t;
type Callback = Option<unsafe extern "C" fn(*mut ngx_http_request_t) -> ngx_int_t>;
type Finalize = Option<unsafe extern "C" fn(*mut ngx_http_request_t, ngx_int_t)>;

/// One `upstream {}` block of the configuration.
pub struct Block {
    raw: *mut ngx_http_upstream_srv_conf_t,
    init: PeerInit,
    /// The block's name.
    pub name: String,
    /// Written as `upstream {}`, not made by nginx of an address in `proxy_pass`.
    pub is_written: bool,
    /// The name in its first `server` line, without a port.
    pub host: String,
    /// That server's first address; none for a socket file.
    pub address: Option<SocketAddr>,
}

impl Block {
    fn raw(&self) -> &ngx_http_upstream_srv_conf_t {
        // SAFETY: the block lives as long as the configuration.
        unsafe { &*self.raw }
    }

    /// Whether nginx asks the block for what `proxy_pass` has found in its variables.
    pub(super) fn serves(&self, found: &ngx_http_upstream_resolved_t) -> bool {
        let raw = self.raw();
        // SAFETY: configuration text, and text of the request's pool.
        let (name, host) = unsafe { (bytes(raw.host), bytes(found.host)) };
        let port = raw.port == 0 && found.no_port != 0 || raw.port == found.port;
        port && name.eq_ignore_ascii_case(host)
    }

    /// Makes nginx ask it, whatever was found.
    pub(super) fn attract(&self, found: &mut ngx_http_upstream_resolved_t) {
        let raw = self.raw();
        found.host = raw.host;
        found.port = raw.port;
        found.no_port = 1;
    }
}

/// Puts our `peer.init` around that of every upstream block. Runs in postconfiguration, after
/// `keepalive`, `zone` and the balancers have put theirs in place, so that ours is outermost.
pub(super) fn wrap_blocks(main_conf: *mut *mut c_void) -> Vec<Block> {
    // SAFETY: a plain number that is set before any configuration is read.
    let index = unsafe { ngx_http_upstream_module.ctx_index };
    // SAFETY: the http block has a main configuration for every http module.
    let umcf = unsafe { (*main_conf.add(index)).cast::<ngx_http_upstream_main_conf_t>() };
    // SAFETY: as above; the array holds pointers to upstream blocks.
    let blocks = unsafe { (*umcf).upstreams.as_slice::<*mut ngx_http_upstream_srv_conf_t>() };
    let mut wrapped = Vec::new();
    for &raw in blocks {
        // SAFETY: the block lives as long as the configuration.
        let block = unsafe { &mut *raw };
        let Some(init) = block.peer.init else { continue };
        block.peer.init = Some(peer_init);
        // SAFETY: configuration text lives as long as the configuration.
        let name = String::from_utf8_lossy(unsafe { bytes(block.host) }).into_owned();
        let (host, address) = first_server(block).unwrap_or_default();
        let is_written = block.flags & NGX_HTTP_UPSTREAM_CREATE as ngx_uint_t != 0;
        wrapped.push(Block { raw, init, name, is_written, host, address });
    }
    wrapped
}

fn first_server(block: &ngx_http_upstream_srv_conf_t) -> Option<(String, Option<SocketAddr>)> {
    // SAFETY: null for a block that proxy_pass made of a host name, else its servers.
    let servers = unsafe { block.servers.as_ref() }?;
    // SAFETY: nginx keeps ngx_http_upstream_server_t in this array.
    let first = unsafe { servers.as_slice::<ngx_http_upstream_server_t>() }.first()?;
    // SAFETY: configuration text lives as long as the configuration.
    let name = String::from_utf8_lossy(unsafe { bytes(first.name) }).into_owned();
    // SAFETY: null, or the server's addresses, whose names nginx keeps as text.
    let address = unsafe { first.addrs.as_ref() }.map(|address| unsafe { bytes(address.name) });
    let address = address.and_then(|text| std::str::from_utf8(text).ok()?.parse().ok());
    Some((llm_core::head::host_of_server(&name).to_owned(), address))
}

/// What nginx's functions were before ours took their place, for one request, and what `get` has
/// to do next.
#[derive(Default)]
pub struct Hooks {
    data: Cell<*mut c_void>,
    get: Cell<ngx_event_get_peer_pt>,
    free: Cell<ngx_event_free_peer_pt>,
    set_session: Cell<ngx_event_set_peer_session_pt>,
    save_session: Cell<ngx_event_save_peer_session_pt>,
    process_header: Cell<Callback>,
    reinit_request: Cell<Callback>,
    finalize_request: Cell<Finalize>,
    /// Servers that the current block's balancer has left to try; none before the first `get`.
    tries: Cell<Option<ngx_uint_t>>,
    /// The operator's `proxy_next_upstream`.
    mask: Cell<ngx_uint_t>,
    headers_done: Cell<bool>,
    advance: Cell<bool>,
    wait_ms: Cell<Option<u64>>,
    /// `proxy_pass` goes to an address that is no block's.
    elsewhere: Cell<bool>,
    pub(super) parking: Parking,
}

impl Hooks {
    /// The request must not be sent: it is for an address that is no block's.
    pub(super) fn set_elsewhere(&self) {
        self.elsewhere.set(true);
    }
}

/// Everything that a decision of ours may lead nginx to repeat. Without bits for statuses: a
/// provider's answer passes through with its body unless `attempt` says otherwise.
const OURS: u32 = NGX_HTTP_UPSTREAM_FT_ERROR
    | NGX_HTTP_UPSTREAM_FT_TIMEOUT
    | NGX_HTTP_UPSTREAM_FT_INVALID_HEADER
    | NGX_HTTP_UPSTREAM_FT_NON_IDEMPOTENT
    | NGX_HTTP_UPSTREAM_FT_NOLIVE;

unsafe extern "C" fn peer_init(
    r: *mut ngx_http_request_t,
    us: *mut ngx_http_upstream_srv_conf_t,
) -> ngx_int_t {
    fenced("peer init", code::ERROR, || {
        // SAFETY: nginx passes a live request.
        let Some(request) = (unsafe { Request::from_ptr(r) }) else { return code::ERROR };
        // A context may be left over from a location that `error_page` led away from.
        let ours = request.is_main() && request.loc_conf().proxy.is_on();
        let ctx = request.ctx().filter(|ctx| ours && ctx.is_routed());
        if let Some(ctx) = ctx.filter(|ctx| ctx.hooks.elsewhere.take()) {
            attempt::elsewhere(request, ctx);
            return code::ERROR;
        }
        let blocks = &request.main_conf().blocks;
        let Some(block) = blocks.iter().find(|block| ptr::eq(block.raw, us)) else {
            return code::ERROR;
        };
        // SAFETY: the balancer's own function, with the arguments that nginx meant for it.
        let rc = unsafe { (block.init)(r, us) };
        let Some(ctx) = ctx else { return rc };
        let Some(mut upstream) = request.upstream().filter(|_| rc == code::OK) else { return rc };
        if upstream.own_conf().is_none() {
            return code::ERROR;
        }
        let (tries, timeout_ms) = upstream.operator_bounds();
        ctx.attempt.bound(request, tries, timeout_ms);
        upstream.install(&ctx.hooks);
        upstream.install_peer(&ctx.hooks);
        match attempt::begin(request, ctx, &mut upstream, &block.name) {
            Some(()) => code::OK,
            None => code::ERROR,
        }
    })
}

/// Called by nginx for every connection; ours may be a wait, or go to another upstream block.
unsafe extern "C" fn get_peer(pc: *mut ngx_peer_connection_t, data: *mut c_void) -> ngx_int_t {
    fenced("get peer", code::ERROR, || {
        let Some((r, ctx)) = hooked(data) else { return code::ERROR };
        let hooks = &ctx.hooks;
        let Some(mut upstream) = r.upstream() else { return code::ERROR };
        // SAFETY: nginx passes the peer of the live request.
        let Some(peer) = (unsafe { pc.as_mut() }) else { return code::ERROR };
        upstream.settle_states(hooks.parking.take_counted(), ctx.attempt.take_status());
        if hooks.tries.get().is_none() {
            hooks.tries.set(Some(peer.tries));
        }
        hooks.headers_done.set(false);
        // The wait comes first, the attempt with the `get` behind it.
        if let Some(pause_ms) = hooks.wait_ms.take() {
            let timeout = upstream.connect_timeout();
            return hooks.parking.begin(r, peer, timeout, pause_ms).unwrap_or(code::ERROR);
        }
        loop {
            if hooks.advance.replace(false) && attempt::switch(r, ctx, &mut upstream).is_none() {
                peer.tries = 0;
                return code::ERROR;
            }
            if !attempt::owns_retries(r) {
                upstream.set_next_upstream(hooks.mask.get());
            }
            attempt::starts(r, ctx, &mut upstream);
            let Some(get) = hooks.get.get() else { return code::ERROR };
            // SAFETY: the balancer's own function and data.
            let rc = unsafe { get(pc, hooks.data.get()) };
            if rc != BUSY {
                return rc;
            }
            // Every server of the block is down.
            match attempt::no_live_server(r, ctx) {
                Next::Advance => hooks.advance.set(true),
                _ => {
                    peer.tries = 0;
                    return rc;
                }
            }
        }
    })
}

unsafe extern "C" fn free_peer(
    pc: *mut ngx_peer_connection_t,
    data: *mut c_void,
    state: ngx_uint_t,
) {
    fenced("free peer", (), || {
        let Some((r, ctx)) = hooked(data) else { return };
        let hooks = &ctx.hooks;
        // SAFETY: nginx passes the peer of the live request.
        let Some(peer) = (unsafe { pc.as_mut() }) else { return };
        let failed = state & NGX_PEER_FAILED as ngx_uint_t != 0;
        if hooks.parking.is_parked() {
            peer.tries = ngx_uint_t::from(hooks.parking.end(peer, failed));
            if let Some(mut upstream) = r.upstream() {
                // nginx has rewound the request for the wait already.
                upstream.set_request_sent(false);
            }
            return;
        }
        let mut end = attempt_end(r, peer, hooks, failed);
        // A status is no reason to think that the server is down.
        let owned = attempt::owns_retries(r);
        let answered = owned && failed && end.head_seen;
        let inner_state = if answered { NGX_PEER_NEXT as ngx_uint_t } else { state };
        peer.tries = hooks.tries.get().unwrap_or(0);
        if let Some(free) = hooks.free.get() {
            // SAFETY: the balancer's own function and data.
            unsafe { free(pc, hooks.data.get(), inner_state) };
        }
        hooks.tries.set(Some(peer.tries));
        end.servers_left = peer.tries > 0;
        let next = attempt::ended(r, ctx, end);
        match next {
            Next::AsNginx => return,
            Next::Stop => {
                peer.set_cached(0);
                peer.tries = 0;
                return;
            }
            Next::Again => {}
            Next::Wait(pause_ms) => {
                hooks.wait_ms.set(Some(pause_ms));
                hooks.advance.set(true);
            }
            Next::Advance => hooks.advance.set(true),
        }
        // nginx adds a try of its own for a failed reused connection.
        peer.set_cached(0);
        peer.tries = 1;
        if let Some(mut upstream) = r.upstream() {
            // A POST that was sent is repeated only with this; `get` puts the operator's back.
            upstream.set_next_upstream(OURS as ngx_uint_t);
        }
    });
}

fn attempt_end(r: Request<'_>, peer: &ngx_peer_connection_t, hooks: &Hooks, failed: bool) -> End {
    // SAFETY: null, or a connection that nginx closes after this call.
    let timed_out = unsafe { peer.connection.as_ref() }.is_some_and(|c| {
        // SAFETY: a connection has both events.
        unsafe { (*c.read).timedout() != 0 || (*c.write).timedout() != 0 }
    });
    let upstream = r.upstream();
    End {
        failed,
        reused: peer.cached() != 0,
        timed_out,
        sent: upstream.as_ref().is_some_and(Upstream::is_request_sent),
        silent: upstream.as_ref().is_none_or(|upstream| upstream.received_bytes() == 0),
        head_seen: hooks.headers_done.get(),
        servers_left: false,
    }
}

unsafe extern "C" fn set_session(pc: *mut ngx_peer_connection_t, data: *mut c_void) -> ngx_int_t {
    fenced("set session", code::OK, || {
        let Some((_, ctx)) = hooked(data) else { return code::OK };
        let Some(f) = ctx.hooks.set_session.get() else { return code::OK };
        // SAFETY: the balancer's own function and data.
        unsafe { f(pc, ctx.hooks.data.get()) }
    })
}

unsafe extern "C" fn save_session(pc: *mut ngx_peer_connection_t, data: *mut c_void) {
    fenced("save session", (), || {
        if let Some((_, ctx)) = hooked(data)
            && let Some(f) = ctx.hooks.save_session.get()
        {
            // SAFETY: the balancer's own function and data.
            unsafe { f(pc, ctx.hooks.data.get()) };
        }
    });
}

/// The request and its context behind the pointer that `install_peer` gave to nginx.
fn hooked<'r>(data: *mut c_void) -> Option<(Request<'r>, &'r RequestCtx)> {
    // SAFETY: `install_peer` stored the request, which outlives its peer.
    let r = unsafe { Request::from_ptr(data.cast()) }?;
    Some((r, r.ctx()?))
}

unsafe extern "C" fn process_header(r: *mut ngx_http_request_t) -> ngx_int_t {
    fenced("process header", code::ERROR, || {
        // SAFETY: nginx passes a live request.
        let Some(request) = (unsafe { Request::from_ptr(r) }) else { return code::ERROR };
        let (Some(ctx), Some(mut upstream)) = (request.ctx(), request.upstream()) else {
            return code::ERROR;
        };
        let hooks = &ctx.hooks;
        if !hooks.headers_done.get() {
            let Some(parse) = hooks.process_header.get() else { return code::ERROR };
            // SAFETY: the proxy module's parser.
            let rc = unsafe { parse(r) };
            // The proxy goes from "status line" to "headers" by replacing the pointer.
            upstream.keep_process_header(hooks);
            if rc != code::OK {
                return rc;
            }
            hooks.headers_done.set(true);
        }
        match attempt::head(request, ctx, &mut upstream) {
            Head::Accept => code::OK,
            Head::Wait => code::AGAIN,
            Head::Refuse => NGX_HTTP_UPSTREAM_INVALID_HEADER as ngx_int_t,
        }
    })
}

unsafe extern "C" fn reinit_request(r: *mut ngx_http_request_t) -> ngx_int_t {
    fenced("reinit request", code::ERROR, || {
        // SAFETY: nginx passes a live request.
        let Some(request) = (unsafe { Request::from_ptr(r) }) else { return code::ERROR };
        let (Some(ctx), Some(mut upstream)) = (request.ctx(), request.upstream()) else {
            return code::ERROR;
        };
        let Some(reinit) = ctx.hooks.reinit_request.get() else { return code::ERROR };
        // SAFETY: the proxy module's own function.
        let rc = unsafe { reinit(r) };
        // It puts the proxy's parser back.
        upstream.keep_process_header(&ctx.hooks);
        rc
    })
}

unsafe extern "C" fn finalize_request(r: *mut ngx_http_request_t, rc: ngx_int_t) {
    fenced("finalize request", (), || {
        // SAFETY: nginx passes a live request.
        let Some(request) = (unsafe { Request::from_ptr(r) }) else { return };
        let Some(ctx) = request.ctx() else { return };
        attempt::finished(request, ctx, rc as i64);
        if let Some(finalize) = ctx.hooks.finalize_request.get() {
            // SAFETY: the proxy module's own function.
            unsafe { finalize(r, rc) };
        }
    });
}

impl Upstream<'_> {
    fn install(&mut self, hooks: &Hooks) {
        hooks.mask.set(self.next_upstream());
        if attempt::owns_retries(self.request()) {
            self.own_retries(OURS as ngx_uint_t);
        }
        let raw = self.raw_mut();
        hooks.process_header.set(raw.process_header.replace(process_header));
        hooks.reinit_request.set(raw.reinit_request.replace(reinit_request));
        hooks.finalize_request.set(raw.finalize_request.replace(finalize_request));
    }

    fn install_peer(&mut self, hooks: &Hooks) {
        let r = self.request().as_ptr().cast::<c_void>();
        let pc = &mut self.raw_mut().peer;
        hooks.tries.set(None);
        hooks.data.set(std::mem::replace(&mut pc.data, r));
        hooks.get.set(pc.get.replace(get_peer));
        hooks.free.set(pc.free.replace(free_peer));
        // These two get peer.data as well, so they must be ours too.
        hooks.set_session.set(pc.set_session);
        pc.set_session = pc.set_session.map(|_| set_session as _);
        hooks.save_session.set(pc.save_session);
        pc.save_session = pc.save_session.map(|_| save_session as _);
    }

    /// Moves the request to the servers of `block`.
    pub fn enter(&mut self, hooks: &Hooks, block: &Block) -> Option<()> {
        let r = self.request().as_ptr();
        let raw = self.raw_mut();
        raw.upstream = block.raw;
        // SAFETY: the block lives as long as the configuration.
        raw.ssl_name = unsafe { (*block.raw).host };
        // Round robin takes a peer.data that is not null for its own and writes over it.
        raw.peer.data = ptr::null_mut();
        // SAFETY: the balancer's own function, for a request whose upstream is its block.
        if unsafe { (block.init)(r, block.raw) } != code::OK {
            return None;
        }
        self.install_peer(hooks);
        // `get` runs inside the balancer's count.
        hooks.tries.set(Some(self.raw_mut().peer.tries));
        self.raw_mut().peer.tries = 1;
        Some(())
    }

    fn keep_process_header(&mut self, hooks: &Hooks) {
        let current = self.raw().process_header;
        let ours = process_header as *const () as usize;
        if current.map(|f| f as usize) != Some(ours) {
            hooks.process_header.set(current);
            self.raw_mut().process_header = Some(process_header);
        }
    }
}
