//! nginx's upstream module seen from one request: the request to the provider before it is sent,
//! the response as it arrives, and the settings of one attempt. `hooks` says when.

use std::ptr::{self, NonNull};

use ngx::ffi::{
    ngx_chain_t, ngx_http_upstream_conf_t, ngx_http_upstream_state_t, ngx_http_upstream_t,
    ngx_msec_t, ngx_palloc, ngx_pfree, ngx_uint_t,
};

use super::{Request, borrowed, code, pool, request};

/// The upstream side of a request.
pub struct Upstream<'r> {
    raw: NonNull<ngx_http_upstream_t>,
    r: Request<'r>,
}

/// Time limits of one attempt, in milliseconds.
#[derive(Clone, Copy, Default)]
pub struct Limits {
    /// TCP and TLS.
    pub connect_ms: u64,
    /// Between two writes of the request.
    pub send_ms: u64,
    /// Until the response is accepted.
    pub response_ms: u64,
}

/// What a cache is to do with a response.
#[derive(Clone, Copy, Default)]
pub struct Caching {
    stores: bool,
    /// How long the response is valid, and may be used beyond that; 0 is not said.
    times: [i64; 3],
}

impl<'r> Upstream<'r> {
    pub(super) fn of(r: Request<'r>) -> Option<Self> {
        NonNull::new(r.raw().upstream).map(|raw| Self { raw, r })
    }

    pub(super) fn raw(&self) -> &ngx_http_upstream_t {
        // SAFETY: the upstream structure lives in the request's pool.
        unsafe { self.raw.as_ref() }
    }

    pub(super) fn raw_mut(&mut self) -> &mut ngx_http_upstream_t {
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

    /// Whether any response header has such a name.
    pub fn has_header(&self, matches: fn(&[u8]) -> bool) -> bool {
        let mut found = false;
        request::each_header(&self.raw().headers_in.headers, |header| {
            // SAFETY: header lines live in request memory.
            found |= matches(unsafe { super::bytes(header.key) });
        });
        found
    }

    /// Whether the response is JSON.
    pub fn is_json(&self) -> bool {
        self.header("content-type").is_some_and(llm_core::media::is_json)
    }

    /// Puts what `cover` says in the place of a response header's value, before nginx's variables and
    /// the client's answer take it over.
    pub fn cover_headers(&mut self, cover: impl Fn(&[u8]) -> Option<Vec<u8>>) {
        request::cover_headers(&self.raw().headers_in.headers, self.r.pool(), cover);
    }

    /// Whether the response is a stream of server-sent events.
    pub fn is_event_stream(&self) -> bool {
        self.header("content-type").is_some_and(llm_core::media::is_event_stream)
    }

    /// Whether the response's body comes with chunked framing.
    pub fn is_chunked(&self) -> bool {
        self.raw().headers_in.chunked() != 0
    }

    /// The length that the response announces.
    pub fn content_length(&self) -> Option<u64> {
        u64::try_from(self.raw().headers_in.content_length_n).ok()
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

    /// The response was read to its end and goes to nobody: its connection may serve another request,
    /// as far as the provider allows that.
    pub fn keep_connection(&mut self) {
        let closes = self.raw().headers_in.connection_close() != 0;
        self.raw_mut().set_keepalive(u32::from(!closes));
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

    /// What nginx has passed to the filters and holds until it is sent.
    pub(super) fn unsent(&self) -> [*mut ngx_chain_t; 2] {
        [self.raw().out_bufs, self.raw().busy_bufs]
    }

    /// Hands every piece of the response on as it comes, unless a cache stores it.
    pub fn stop_buffering(&mut self) {
        if self.raw().cacheable() == 0 && self.raw().store() == 0 {
            self.raw_mut().set_buffering(0);
        }
    }

    /// How long nginx waits between two reads once the response is accepted.
    pub fn set_read_timeout(&mut self, ms: u64) {
        self.conf().read_timeout = ms as ngx_msec_t;
    }

    /// Starts the read timer now: nginx does not do so again before the head is accepted.
    pub fn restart_read_timer(&mut self, ms: u64) {
        // SAFETY: null, or the provider's connection with both its events.
        if let Some(c) = unsafe { self.raw().peer.connection.as_ref() } {
            // SAFETY: as above.
            unsafe { ngx::ffi::ngx_add_timer(c.read, ms as ngx_msec_t) };
        }
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
        let b = unsafe { self.raw().request_bufs.as_ref()?.buf.as_ref() }?;
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

    pub(super) fn request(&self) -> Request<'r> {
        self.r
    }

    /// Builds the request again from the client's path, body and headers as they stand now.
    pub fn recreate(&mut self) -> Option<()> {
        // SAFETY: null, or the body that nginx has read and we have replaced.
        let body = unsafe { self.r.raw().request_body.as_ref() }?;
        self.raw_mut().request_bufs = body.bufs;
        let create = self.raw().create_request?;
        // SAFETY: the proxy module's own function.
        (unsafe { create(self.r.as_ptr()) } == code::OK).then_some(())
    }

    /// What a failed response may have changed is as the location says.
    pub fn reset_buffering(&mut self) {
        let buffering = self.conf().buffering;
        self.raw_mut().set_buffering(u32::from(buffering != 0));
    }

    /// What a cache is to do with the response, as far as it is known now.
    pub fn caching(&self) -> Caching {
        let stores = self.raw().cacheable() != 0;
        // SAFETY: null, or the request's place in the cache.
        let Some(cache) = (unsafe { self.r.raw().cache.as_ref() }) else {
            return Caching { stores, ..Caching::default() };
        };
        let times = [cache.valid_sec, cache.updating_sec, cache.error_sec];
        Caching { stores, times }
    }

    /// Forgets what the headers of a response have said to the cache.
    pub fn set_caching(&mut self, caching: Caching) {
        self.raw_mut().set_cacheable(u32::from(caching.stores));
        // SAFETY: as in `caching`; nobody else holds a borrow of it.
        if let Some(cache) = unsafe { self.r.raw().cache.as_mut() } {
            [cache.valid_sec, cache.updating_sec, cache.error_sec] = caching.times;
        }
    }

    pub(super) fn connect_timeout(&mut self) -> &mut usize {
        &mut self.conf().connect_timeout
    }

    pub(super) fn next_upstream(&mut self) -> ngx_uint_t {
        self.conf().next_upstream
    }

    pub(super) fn set_next_upstream(&mut self, mask: ngx_uint_t) {
        self.conf().next_upstream = mask;
    }

    /// nginx's own counts and times do not end our attempts.
    pub(super) fn own_retries(&mut self, mask: ngx_uint_t) {
        let conf = self.conf();
        conf.next_upstream = mask;
        conf.next_upstream_tries = 0;
        conf.next_upstream_timeout = 0;
    }

    /// The operator's `proxy_next_upstream_tries` and `_timeout` in milliseconds; 0 is no bound.
    pub(super) fn operator_bounds(&mut self) -> (u32, u64) {
        let conf = self.conf();
        let tries = u32::try_from(conf.next_upstream_tries).unwrap_or(u32::MAX);
        (tries, conf.next_upstream_timeout as u64)
    }

    pub(super) fn is_request_sent(&self) -> bool {
        self.raw().request_sent() != 0
    }

    pub(super) fn set_request_sent(&mut self, sent: bool) {
        self.raw_mut().set_request_sent(u32::from(sent));
    }

    /// Bytes of the response that have arrived in this attempt.
    pub(super) fn received_bytes(&self) -> i64 {
        // SAFETY: null, or the entry of this attempt.
        unsafe { self.raw().state.as_ref() }.map_or(0, |state| state.bytes_received)
    }

    /// Puts right what nginx noted about the attempt before: its real status, and no entry for a
    /// wait. nginx has pushed the entry of the next attempt already.
    pub(super) fn settle_states(&mut self, drop_wait: bool, status: u16) {
        // SAFETY: nginx makes the array before the first attempt.
        let Some(states) = (unsafe { self.r.raw().upstream_states.as_mut() }) else { return };
        let elts = states.elts.cast::<ngx_http_upstream_state_t>();
        if drop_wait && states.nelts >= 2 {
            // SAFETY: both are elements of the array.
            unsafe { ptr::copy(elts.add(states.nelts - 1), elts.add(states.nelts - 2), 1) };
            states.nelts -= 1;
            // SAFETY: the last element.
            self.raw_mut().state = unsafe { elts.add(states.nelts - 1) };
        }
        if status != 0 && states.nelts >= 2 {
            // SAFETY: the last but one element.
            unsafe { (*elts.add(states.nelts - 2)).status = usize::from(status) };
        }
    }

    pub(super) fn own_conf(&mut self) -> Option<()> {
        // SAFETY: the request's pool is live.
        let own = unsafe { ngx_palloc(self.r.pool(), size_of::<ngx_http_upstream_conf_t>()) };
        let own = NonNull::new(own.cast::<ngx_http_upstream_conf_t>())?;
        // SAFETY: the location's settings are valid, the copy is fresh memory of the same size.
        unsafe { ptr::copy_nonoverlapping(self.raw().conf, own.as_ptr(), 1) };
        self.raw_mut().conf = own.as_ptr();
        Some(())
    }
}
