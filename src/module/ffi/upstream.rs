//! nginx's upstream module seen from one request, and the hooks through which `attempt` owns every
//! try of it.
//!
//! Order of calls in one attempt: `peer.init` (ours wraps the balancer's and installs the rest) ·
//! `get` · connect, send · `process_header` until it accepts · `free`; after that either `get`
//! again, with `reinit_request` in between, or `finalize_request`.

use std::cell::Cell;
use std::ffi::c_void;
use std::ptr::{self, NonNull};

use ngx::ffi::{
    NGX_HTTP_UPSTREAM_FT_NON_IDEMPOTENT, NGX_PEER_FAILED, ngx_event_free_peer_pt,
    ngx_event_get_peer_pt, ngx_event_save_peer_session_pt, ngx_event_set_peer_session_pt,
    ngx_http_request_t, ngx_http_upstream_conf_t, ngx_http_upstream_main_conf_t,
    ngx_http_upstream_module, ngx_http_upstream_server_t, ngx_http_upstream_srv_conf_t,
    ngx_http_upstream_t, ngx_int_t, ngx_msec_t, ngx_palloc, ngx_peer_connection_t, ngx_pfree,
    ngx_uint_t,
};

use super::{Request, borrowed, bytes, code, fenced, pool, request};
use crate::attempt::{self, End, Head};

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
    /// The name in its first `server` line, without a port.
    pub host: String,
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
        wrapped.push(Block { raw, init, name, host: first_server(block).unwrap_or_default() });
    }
    wrapped
}

fn first_server(block: &ngx_http_upstream_srv_conf_t) -> Option<String> {
    // SAFETY: null for a block that proxy_pass made of a host name, else its servers.
    let servers = unsafe { block.servers.as_ref() }?;
    // SAFETY: nginx keeps ngx_http_upstream_server_t in this array.
    let first = unsafe { servers.as_slice::<ngx_http_upstream_server_t>() }.first()?;
    // SAFETY: configuration text lives as long as the configuration.
    let name = String::from_utf8_lossy(unsafe { bytes(first.name) }).into_owned();
    Some(llm_core::head::host_of_server(&name).to_owned())
}

/// What nginx's functions were before ours took their place, for one request.
#[derive(Default)]
pub struct Hooks {
    data: Cell<*mut c_void>,
    mask: Cell<ngx_uint_t>,
    get: Cell<ngx_event_get_peer_pt>,
    free: Cell<ngx_event_free_peer_pt>,
    set_session: Cell<ngx_event_set_peer_session_pt>,
    save_session: Cell<ngx_event_save_peer_session_pt>,
    process_header: Cell<Callback>,
    reinit_request: Cell<Callback>,
    finalize_request: Cell<Finalize>,
    headers_done: Cell<bool>,
}

/// The upstream side of a request.
pub struct Upstream<'r> {
    raw: NonNull<ngx_http_upstream_t>,
    r: Request<'r>,
}

/// Time limits of one attempt, in milliseconds.
#[derive(Clone, Copy)]
pub struct Limits {
    /// TCP and TLS.
    pub connect_ms: u64,
    /// Between two writes of the request.
    pub send_ms: u64,
    /// Until the response is accepted.
    pub response_ms: u64,
}

impl<'r> Upstream<'r> {
    pub(super) fn of(r: Request<'r>) -> Option<Self> {
        NonNull::new(r.raw().upstream).map(|raw| Self { raw, r })
    }

    fn raw(&self) -> &ngx_http_upstream_t {
        // SAFETY: the upstream structure lives in the request's pool.
        unsafe { self.raw.as_ref() }
    }

    fn raw_mut(&mut self) -> &mut ngx_http_upstream_t {
        // SAFETY: as above; one thread, and no other borrow of it is alive.
        unsafe { self.raw.as_mut() }
    }

    fn conf(&mut self) -> &mut ngx_http_upstream_conf_t {
        // SAFETY: set before any hook runs; `peer_init` has made it a private copy.
        unsafe { &mut *self.raw_mut().conf }
    }

    /// The response's status.
    pub fn status(&self) -> u16 {
        u16::try_from(self.raw().headers_in.status_n).unwrap_or(0)
    }

    /// The first response header of this name.
    pub fn header(&self, name: &str) -> Option<&'r [u8]> {
        request::header(&self.raw().headers_in.headers, name)
    }

    /// Whether the response is a stream of server-sent events.
    pub fn is_event_stream(&self) -> bool {
        self.header("content-type").is_some_and(llm_core::media::is_event_stream)
    }

    /// Whether the response's body comes with chunked framing.
    pub fn is_chunked(&self) -> bool {
        self.raw().headers_in.chunked() != 0
    }

    /// The bytes of the response's body that have arrived and are not passed on yet.
    pub fn held(&self) -> &[u8] {
        let b = &self.raw().buffer;
        let n = (b.last as usize).saturating_sub(b.pos as usize);
        if n == 0 {
            return &[];
        }
        // SAFETY: nginx has read `pos..last`.
        unsafe { std::slice::from_raw_parts(b.pos, n) }
    }

    /// Makes room for more of the response than nginx's buffer holds, up to `cap` bytes.
    pub fn grow(&mut self, cap: usize) -> bool {
        let pool = self.r.pool();
        let b = &mut self.raw_mut().buffer;
        if b.last != b.end {
            return true;
        }
        let used = (b.last as usize).saturating_sub(b.start as usize);
        let size = used.saturating_mul(2).min(cap);
        if size <= used {
            return false;
        }
        let offset = (b.pos as usize).saturating_sub(b.start as usize);
        // SAFETY: the request's pool is live.
        let new = unsafe { ngx_palloc(pool, size) }.cast::<u8>();
        if new.is_null() {
            return false;
        }
        // From `start`: with a cache the bytes before `pos` count too.
        // SAFETY: both areas have `used` bytes and do not overlap.
        unsafe { ptr::copy_nonoverlapping(b.start, new, used) };
        let old = b.start;
        b.start = new;
        // SAFETY: offsets within the new area.
        b.pos = unsafe { new.add(offset) };
        // SAFETY: as above.
        b.last = unsafe { new.add(used) };
        // SAFETY: one past the end of the new area.
        b.end = unsafe { new.add(size) };
        // SAFETY: nothing else points into the old buffer once the head is parsed; for a small
        // one this does nothing.
        unsafe { ngx_pfree(pool, old.cast()) };
        true
    }

    /// After a held response: the pipe passes buffers on when they are full, and counts them
    /// against `busy_buffers_size`.
    pub fn release_held(&mut self) {
        if self.raw().buffering() == 0 {
            return;
        }
        let b = &mut self.raw_mut().buffer;
        let size = (b.end as usize).saturating_sub(b.start as usize);
        if b.last > b.pos {
            b.end = b.last;
        }
        let conf = self.conf();
        conf.busy_buffers_size = conf.busy_buffers_size.max(2 * size);
    }

    /// Hands every piece of the response on as it comes, unless a cache stores it.
    pub fn stop_buffering(&mut self) {
        if self.raw().cacheable() == 0 && self.raw().store() == 0 {
            self.raw_mut().set_buffering(0);
        }
    }

    /// Starts the read timer again: nginx does so only after the head is accepted.
    pub fn set_read_timeout(&mut self, ms: u64) {
        self.conf().read_timeout = ms as ngx_msec_t;
    }

    /// The limits for connecting, sending and the response's head.
    pub fn set_limits(&mut self, limits: Limits) {
        let conf = self.conf();
        conf.connect_timeout = limits.connect_ms as ngx_msec_t;
        conf.send_timeout = limits.send_ms as ngx_msec_t;
        conf.read_timeout = limits.response_ms as ngx_msec_t;
    }

    /// The operator's own limits in the location, in the same order.
    pub fn limits(&mut self) -> Limits {
        let conf = self.conf();
        Limits {
            connect_ms: conf.connect_timeout as u64,
            send_ms: conf.send_timeout as u64,
            response_ms: conf.read_timeout as u64,
        }
    }

    /// Whether the location names the TLS peer itself (`proxy_ssl_name`).
    pub fn has_operator_ssl_name(&mut self) -> bool {
        !self.conf().ssl_name.is_null()
    }

    /// The name in the TLS handshake and in the certificate, and whether it is checked.
    pub fn set_tls(&mut self, name: &str, verify: bool) -> Option<()> {
        let name = pool::copy(self.r.pool(), name.as_bytes())?;
        if !self.has_operator_ssl_name() {
            self.raw_mut().ssl_name = borrowed(&name);
        }
        let conf = self.conf();
        conf.ssl_server_name = 1;
        conf.ssl_verify = isize::from(verify);
        Some(())
    }

    /// Whether this attempt speaks TLS.
    pub fn is_tls(&self) -> bool {
        self.raw().ssl() != 0
    }

    /// Overrides the scheme of `proxy_pass`.
    pub fn set_is_tls(&mut self, tls: bool) {
        self.raw_mut().set_ssl(u32::from(tls));
        self.raw_mut().schema = borrowed(if tls { b"https://" } else { b"http://" });
    }

    /// Whether `proxy_pass` has a TLS context (an `https` URL or a variable in it).
    pub fn can_tls(&mut self) -> bool {
        // SAFETY: null or the location's TLS settings.
        unsafe { self.conf().ssl.as_ref() }.is_some_and(|ssl| !ssl.ctx.is_null())
    }

    /// The request head that the proxy module wrote (a body set by `proxy_set_body` included).
    pub fn request_head(&self) -> Option<&[u8]> {
        // SAFETY: create_request has put the head into the first buffer of the chain.
        let b = unsafe { (*self.raw().request_bufs.as_ref()?).buf.as_ref() }?;
        let n = (b.last as usize).saturating_sub(b.pos as usize);
        // SAFETY: the proxy module has written `pos..last`.
        Some(unsafe { std::slice::from_raw_parts(b.pos, n) })
    }

    /// Sends `head` in the place of what the proxy module wrote.
    pub fn set_request_head(&mut self, head: &[u8]) -> Option<()> {
        let head = pool::copy(self.r.pool(), head)?;
        // SAFETY: as in `request_head`; nothing has been sent of it yet.
        let b = unsafe { self.raw_mut().request_bufs.as_ref()?.buf.as_mut() }?;
        // `start` too: nginx rewinds to it when it repeats the request.
        b.start = head.as_ptr().cast_mut();
        b.pos = b.start;
        // SAFETY: one past the end of the copy.
        b.last = unsafe { b.start.add(head.len()) };
        b.end = b.last;
        Some(())
    }

    /// Makes nginx see a timeout of the provider's connection now. The request may be gone after
    /// it: touch nothing. False when there is no connection.
    pub fn time_out(self) -> bool {
        let Some(c) = NonNull::new(self.raw().peer.connection) else { return false };
        // SAFETY: the peer's connection is live until nginx closes it.
        let c = unsafe { c.as_ref() };
        let sent = self.raw().request_body_sent() != 0;
        // SAFETY: a connection has both events.
        let (read, write) = unsafe { (&mut *c.read, &mut *c.write) };
        read.set_timedout(1);
        write.set_timedout(1);
        // While connecting and in the TLS handshake nginx looks at the write event.
        let event = if sent { read } else { write };
        let Some(handler) = event.handler else { return false };
        // SAFETY: nginx installed the handler for this event.
        unsafe { handler(event) };
        true
    }

    fn own_conf(&mut self) -> Option<()> {
        // SAFETY: the request's pool is live.
        let own = unsafe { ngx_palloc(self.r.pool(), size_of::<ngx_http_upstream_conf_t>()) };
        let own = NonNull::new(own.cast::<ngx_http_upstream_conf_t>())?;
        // SAFETY: the location's settings are valid, the copy is fresh memory of the same size.
        unsafe { ptr::copy_nonoverlapping(self.raw().conf, own.as_ptr(), 1) };
        self.raw_mut().conf = own.as_ptr();
        Some(())
    }

    fn install(&mut self, hooks: &Hooks) {
        hooks.mask.set(self.conf().next_upstream);
        let raw = self.raw_mut();
        hooks.process_header.set(raw.process_header.replace(process_header));
        hooks.reinit_request.set(raw.reinit_request.replace(reinit_request));
        hooks.finalize_request.set(raw.finalize_request.replace(finalize_request));
    }

    fn install_peer(&mut self, hooks: &Hooks) {
        let r = self.r.as_ptr().cast::<c_void>();
        let pc = &mut self.raw_mut().peer;
        hooks.data.set(std::mem::replace(&mut pc.data, r));
        hooks.get.set(pc.get.replace(get_peer));
        hooks.free.set(pc.free.replace(free_peer));
        // These two get peer.data as well, so they must be ours too.
        hooks.set_session.set(pc.set_session);
        pc.set_session = pc.set_session.map(|_| set_session as _);
        hooks.save_session.set(pc.save_session);
        pc.save_session = pc.save_session.map(|_| save_session as _);
    }
}

unsafe extern "C" fn peer_init(
    r: *mut ngx_http_request_t,
    us: *mut ngx_http_upstream_srv_conf_t,
) -> ngx_int_t {
    fenced("peer init", code::ERROR, || {
        // SAFETY: nginx passes a live request.
        let Some(request) = (unsafe { Request::from_ptr(r) }) else { return code::ERROR };
        let blocks = &request.main_conf().blocks;
        let Some(block) = blocks.iter().find(|block| ptr::eq(block.raw, us)) else {
            return code::ERROR;
        };
        // SAFETY: the balancer's own function, with the arguments that nginx meant for it.
        let rc = unsafe { (block.init)(r, us) };
        let Some(ctx) = request.ctx().filter(|ctx| ctx.is_routed() && request.is_main()) else {
            return rc;
        };
        let Some(mut upstream) = request.upstream().filter(|_| rc == code::OK) else { return rc };
        if upstream.own_conf().is_none() {
            return code::ERROR;
        }
        upstream.install(&ctx.hooks);
        upstream.install_peer(&ctx.hooks);
        match attempt::begin(request, ctx, &mut upstream, &block.name) {
            Ok(()) => code::OK,
            Err(()) => code::ERROR,
        }
    })
}

unsafe extern "C" fn get_peer(pc: *mut ngx_peer_connection_t, data: *mut c_void) -> ngx_int_t {
    fenced("get peer", code::ERROR, || {
        let Some((r, hooks)) = hooked(data) else { return code::ERROR };
        hooks.headers_done.set(false);
        if let Some(mut upstream) = r.upstream() {
            upstream.conf().next_upstream = hooks.mask.get();
        }
        match hooks.get.get() {
            // SAFETY: the balancer's own function and data.
            Some(get) => unsafe { get(pc, hooks.data.get()) },
            None => code::ERROR,
        }
    })
}

unsafe extern "C" fn free_peer(
    pc: *mut ngx_peer_connection_t,
    data: *mut c_void,
    state: ngx_uint_t,
) {
    fenced("free peer", (), || {
        let Some((r, hooks)) = hooked(data) else { return };
        // SAFETY: nginx passes the peer of the live request.
        let Some(peer) = (unsafe { pc.as_mut() }) else { return };
        let end = attempt_end(r, peer, hooks, state);
        if let Some(free) = hooks.free.get() {
            // SAFETY: the balancer's own function and data.
            unsafe { free(pc, hooks.data.get(), state) };
        }
        let Some(ctx) = r.ctx() else { return };
        if attempt::ended(r, ctx, end) == attempt::Next::Again {
            // nginx would add a try for a failed reused connection itself, but refuses to send
            // a POST twice without this bit; `get` puts the operator's mask back.
            peer.set_cached(0);
            peer.tries = 1;
            if let Some(mut upstream) = r.upstream() {
                upstream.conf().next_upstream |= NGX_HTTP_UPSTREAM_FT_NON_IDEMPOTENT as ngx_uint_t;
            }
        }
    });
}

fn attempt_end(
    r: Request<'_>,
    peer: &ngx_peer_connection_t,
    hooks: &Hooks,
    state: ngx_uint_t,
) -> End {
    // SAFETY: null, or a connection that nginx closes after this call.
    let timed_out = unsafe { peer.connection.as_ref() }.is_some_and(|c| {
        // SAFETY: a connection has both events.
        unsafe { (*c.read).timedout() != 0 || (*c.write).timedout() != 0 }
    });
    let upstream = r.upstream();
    // SAFETY: null, or the entry of this attempt.
    let received = upstream
        .as_ref()
        .and_then(|u| unsafe { u.raw().state.as_ref() })
        .map_or(0, |state| state.bytes_received);
    End {
        failed: state & NGX_PEER_FAILED as ngx_uint_t != 0,
        reused: peer.cached() != 0,
        timed_out,
        sent: upstream.as_ref().is_some_and(|u| u.raw().request_sent() != 0),
        silent: received == 0,
        head_seen: hooks.headers_done.get(),
    }
}

unsafe extern "C" fn set_session(pc: *mut ngx_peer_connection_t, data: *mut c_void) -> ngx_int_t {
    fenced("set session", code::OK, || match hooked(data) {
        // SAFETY: the balancer's own function and data.
        Some((_, hooks)) => {
            hooks.set_session.get().map_or(code::OK, |f| unsafe { f(pc, hooks.data.get()) })
        }
        None => code::OK,
    })
}

unsafe extern "C" fn save_session(pc: *mut ngx_peer_connection_t, data: *mut c_void) {
    fenced("save session", (), || {
        if let Some((_, hooks)) = hooked(data)
            && let Some(f) = hooks.save_session.get()
        {
            // SAFETY: the balancer's own function and data.
            unsafe { f(pc, hooks.data.get()) };
        }
    });
}

/// The request and its hooks behind the pointer that `install_peer` gave to nginx.
fn hooked<'r>(data: *mut c_void) -> Option<(Request<'r>, &'r Hooks)> {
    // SAFETY: `install_peer` stored the request, which outlives its peer.
    let r = unsafe { Request::from_ptr(data.cast()) }?;
    Some((r, &r.ctx()?.hooks))
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
    fn keep_process_header(&mut self, hooks: &Hooks) {
        let current = self.raw().process_header;
        let ours = process_header as *const () as usize;
        if current.map(|f| f as usize) != Some(ours) {
            hooks.process_header.set(current);
            self.raw_mut().process_header = Some(process_header);
        }
    }
}
