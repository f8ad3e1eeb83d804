//! One client request, as the rest of the module sees it.

use std::ffi::c_void;
use std::marker::PhantomData;
use std::ptr::NonNull;

use ngx::ffi::{
    NGX_HTTP_DELETE, NGX_HTTP_GET, NGX_HTTP_HEAD, NGX_HTTP_OPTIONS, ngx_connection_t,
    ngx_http_core_module, ngx_http_core_run_phases, ngx_http_core_srv_conf_t,
    ngx_http_finalize_request, ngx_http_log_ctx_t, ngx_http_request_t,
    ngx_http_run_posted_requests, ngx_int_t, ngx_list_t, ngx_log_t, ngx_pool_t, ngx_table_elt_t,
};

use super::upstream::Upstream;
use super::{Level, borrowed, bytes, exports, fenced, pool, write_log};
use crate::conf::{LocConf, MainConf};
use crate::ctx::RequestCtx;

/// A live request; cheap to copy, valid for the callback that got it.
#[derive(Clone, Copy)]
pub struct Request<'r> {
    raw: NonNull<ngx_http_request_t>,
    life: PhantomData<&'r ngx_http_request_t>,
}

impl<'r> Request<'r> {
    /// # Safety
    /// `raw` must be null or a request that lives for `'r`.
    pub(super) unsafe fn from_ptr(raw: *mut ngx_http_request_t) -> Option<Self> {
        NonNull::new(raw).map(|raw| Self { raw, life: PhantomData })
    }

    pub(super) fn as_ptr(self) -> *mut ngx_http_request_t {
        self.raw.as_ptr()
    }

    pub(super) fn raw(&self) -> &ngx_http_request_t {
        // SAFETY: `from_ptr` demands a live request; the borrow ends before nginx runs again.
        unsafe { self.raw.as_ref() }
    }

    pub(super) fn raw_mut(&mut self) -> &mut ngx_http_request_t {
        // SAFETY: as in `raw`; there is one thread, and nobody else holds a borrow of the request.
        unsafe { self.raw.as_mut() }
    }

    pub(super) fn pool(&self) -> *mut ngx_pool_t {
        self.raw().pool
    }

    pub(super) fn log(&self) -> *mut ngx_log_t {
        // SAFETY: a request has a connection as long as it lives.
        unsafe { (*self.raw().connection).log }
    }

    pub(super) fn connection(&self) -> *mut ngx_connection_t {
        self.raw().connection
    }

    /// Writes to the error log of the request's connection.
    pub fn write_log(&self, level: Level, text: &str) {
        write_log(self.log(), level, text);
    }

    /// Whether the client asked for this itself (not SSI, mirror, auth_request …).
    pub fn is_main(&self) -> bool {
        std::ptr::eq(self.raw().main, self.raw.as_ptr())
    }

    /// Path and arguments as the client wrote them; none after a `rewrite`.
    pub fn unparsed_uri(&self) -> Option<&'r [u8]> {
        // SAFETY: nginx keeps it in the request's memory.
        (self.raw().valid_unparsed_uri() != 0).then(|| unsafe { bytes(self.raw().unparsed_uri) })
    }

    /// What `proxy_pass` asks for where its URL has no path; `$request_uri` says the same.
    pub fn set_unparsed_uri(&mut self, uri: &[u8]) -> Option<()> {
        let uri = pool::copy(self.pool(), uri)?;
        self.raw_mut().unparsed_uri = borrowed(&uri);
        Some(())
    }

    /// The method as the client wrote it.
    pub fn method(&self) -> &'r [u8] {
        // SAFETY: the request line lives in the request's memory.
        unsafe { bytes(self.raw().method_name) }
    }

    /// Whether requests with this method come without a body as a rule.
    pub fn is_bodiless_method(&self) -> bool {
        let bodiless = NGX_HTTP_GET | NGX_HTTP_HEAD | NGX_HTTP_DELETE | NGX_HTTP_OPTIONS;
        self.raw().method & bodiless as usize != 0
    }

    /// The path, decoded and normalised, without arguments.
    pub fn path(&self) -> &'r [u8] {
        // SAFETY: nginx keeps it in the request's memory; we replace, never overwrite it.
        unsafe { bytes(self.raw().uri) }
    }

    /// Makes `proxy_pass` ask the provider for `path`.
    pub fn set_path(&mut self, path: &[u8]) -> Option<()> {
        let path = pool::copy(self.pool(), path)?;
        self.raw_mut().uri = borrowed(&path);
        // The unparsed URI is what the client wrote; proxy_pass would send that.
        self.raw_mut().set_valid_unparsed_uri(0);
        // As `rewrite` does: the location's prefix is not cut off the new path.
        self.raw_mut().set_valid_location(0);
        Some(())
    }

    /// The first request header of this name.
    pub fn header(&self, name: &str) -> Option<&'r [u8]> {
        header(&self.raw().headers_in.headers, name)
    }

    /// The host that nginx's `$host` is: of the request line, of `Host`, or the server's name.
    pub fn host(&self) -> &'r [u8] {
        // SAFETY: nginx keeps it in the request's memory.
        let asked = unsafe { bytes(self.raw().headers_in.server) };
        if !asked.is_empty() {
            return asked;
        }
        // SAFETY: the core module makes one for every server.
        let server = unsafe { *self.raw().srv_conf.add(core_index()) };
        let server = server.cast::<ngx_http_core_srv_conf_t>();
        // SAFETY: as above; the name lives as long as the configuration.
        unsafe { bytes((*server).server_name) }
    }

    /// Milliseconds since the client's request was read.
    pub fn elapsed_ms(&self) -> u64 {
        let raw = self.raw();
        let (start_s, start_ms) = (raw.start_sec, raw.start_msec as i64);
        let now = ngx::ffi::ngx_timeofday();
        let elapsed = (now.sec - start_s) * 1000 + (now.msec as i64 - start_ms);
        u64::try_from(elapsed).unwrap_or(0)
    }

    /// The value of an argument of the request line, as it was written.
    pub fn argument(&self, name: &str) -> Option<&'r [u8]> {
        // SAFETY: nginx keeps the arguments in request memory.
        let args: &'r [u8] = unsafe { bytes(self.raw().args) };
        args.split(|byte| *byte == b'&').find_map(|pair| {
            let at = pair.iter().position(|byte| *byte == b'=')?;
            let (key, value) = pair.split_at_checked(at)?;
            (key == name.as_bytes()).then(|| value.get(1..).unwrap_or_default())
        })
    }

    /// The module's context of this request, if the gateway is at work on it.
    pub fn ctx(&self) -> Option<&'r RequestCtx> {
        let main = self.raw().main;
        // SAFETY: the main request outlives its subrequests; its context array has a slot for
        // every module.
        let slot = unsafe { (*main).ctx.add(exports::ctx_index()) };
        // SAFETY: as above; the slot is null or what `create_ctx` put there.
        let ctx = unsafe { *slot }.cast::<RequestCtx>();
        if let Some(ctx) = NonNull::new(ctx) {
            // SAFETY: the context lives in the main request's pool.
            return Some(unsafe { ctx.as_ref() });
        }
        // An internal redirect clears the contexts; ours is still in the pool. Requests that
        // never had one pay only for this test.
        // SAFETY: as above.
        if unsafe { (*main).uri_changes() } == 11 && unsafe { (*main).internal() } == 0 {
            return None;
        }
        // SAFETY: as above.
        let ctx = pool::find::<RequestCtx>(unsafe { (*main).pool })?;
        // SAFETY: as above.
        unsafe { *slot = ctx.as_ptr().cast::<c_void>() };
        // SAFETY: the context lives in the main request's pool.
        Some(unsafe { ctx.as_ref() })
    }

    /// Gives the request its context.
    pub fn create_ctx(&self, ctx: RequestCtx) -> Option<&'r RequestCtx> {
        let ctx = pool::place(self.pool(), ctx)?;
        // SAFETY: the context array has a slot for every module.
        unsafe { *self.raw().ctx.add(exports::ctx_index()) = ctx.as_ptr().cast::<c_void>() };
        // SAFETY: the context lives in the request's pool.
        Some(unsafe { ctx.as_ref() })
    }

    /// The module's configuration at the request's location.
    pub fn loc_conf(&self) -> &'r LocConf {
        // SAFETY: create_loc_conf made one for every location; it lives as long as the cycle,
        // and the cycle as long as its requests.
        unsafe { &*(*self.raw().loc_conf.add(exports::ctx_index())).cast::<LocConf>() }
    }

    /// The module's configuration of the http block.
    pub fn main_conf(&self) -> &'r MainConf {
        // SAFETY: as in `loc_conf`.
        unsafe { &*(*self.raw().main_conf.add(exports::ctx_index())).cast::<MainConf>() }
    }

    /// What nginx's upstream module holds of the request, once proxy_pass has begun.
    pub fn upstream(&self) -> Option<Upstream<'r>> {
        Upstream::of(*self)
    }

    /// Whether the answer comes out of a `proxy_cache`.
    pub fn is_cached(&self) -> bool {
        self.raw().cached() != 0
    }

    /// No further request on this connection.
    pub fn close_after(&mut self) {
        self.raw_mut().set_keepalive(0);
    }

    /// Ends the request with an nginx code or a status.
    pub fn finalize(self, rc: ngx_int_t) {
        // SAFETY: the callers return to nginx right after this.
        unsafe { ngx_http_finalize_request(self.as_ptr(), rc) };
    }

    /// Goes on with the phases after a pause; the request may be gone afterwards.
    pub(super) fn run_phases(mut self) {
        self.raw_mut().write_event_handler = Some(ngx_http_core_run_phases);
        // SAFETY: as nginx's own body handlers do.
        unsafe { ngx_http_core_run_phases(self.as_ptr()) };
    }

    /// Whether the connection to the client is known to be broken.
    pub fn is_client_gone(&self) -> bool {
        // SAFETY: a request has a connection as long as it lives.
        unsafe { (*self.raw().connection).error() != 0 }
    }

    /// Whether bytes wait for the client to read.
    pub fn has_unsent_output(&self) -> bool {
        // SAFETY: a request has a connection as long as it lives.
        let connection = unsafe { (*self.raw().connection).buffered() };
        connection != 0 || self.raw().buffered() != 0
    }

    /// Whether a response head has been sent.
    pub fn is_header_sent(&self) -> bool {
        self.raw().header_sent() != 0
    }

    /// Says whether nginx may send a (further) head.
    pub fn set_header_sent(&mut self, sent: bool) {
        self.raw_mut().set_header_sent(u32::from(sent));
    }

    /// Puts the client's version back where nginx has written a provider's over it.
    pub fn restore_http_version(&mut self) {
        let (major, minor) = (self.raw().http_major(), self.raw().http_minor());
        self.raw_mut().http_version = (major * 1000 + minor) as usize;
    }

    /// Tells `filter` when the client goes, though nginx was told not to care.
    pub fn watch_client(&mut self) {
        self.raw_mut().read_event_handler = Some(client_event);
    }

    /// Runs what nginx would run if the client's connection were ready; the request may be gone.
    pub fn wake(self) {
        if let Some(handler) = self.raw().write_event_handler {
            // SAFETY: nginx installed the handler for this request.
            unsafe { handler(self.as_ptr()) };
        }
    }

    /// The error log's lines name this request, as in nginx's event handlers.
    pub(super) fn set_log_request(&self) {
        // SAFETY: nginx's http module keeps an ngx_http_log_ctx_t in every client's log.
        let ctx = unsafe { (*self.log()).data }.cast::<ngx_http_log_ctx_t>();
        if let Some(mut ctx) = NonNull::new(ctx) {
            // SAFETY: as above.
            unsafe { ctx.as_mut().current_request = self.as_ptr() };
        }
    }
}

pub(super) fn run_posted(c: *mut ngx_connection_t) {
    // SAFETY: nginx frees a connection's memory only after its events; it tests `destroyed`.
    unsafe { ngx_http_run_posted_requests(c) };
}

/// The index of nginx's core module in the configuration arrays.
pub(super) fn core_index() -> usize {
    // SAFETY: a plain number that is set before any configuration is read.
    unsafe { ngx_http_core_module.ctx_index }
}

/// The first header of this name in a list.
pub(super) fn header<'a>(list: &ngx_list_t, name: &str) -> Option<&'a [u8]> {
    let mut part = Some(&list.part);
    while let Some(current) = part {
        if current.nelts > 0 {
            let lines = current.elts.cast::<ngx_table_elt_t>();
            // SAFETY: nginx keeps `nelts` initialised elements at `elts`.
            let lines = unsafe { std::slice::from_raw_parts(lines, current.nelts) };
            let named = lines.iter().find(|line| {
                // SAFETY: header lines live in request memory.
                let key = unsafe { bytes(line.key) };
                line.hash != 0 && key.eq_ignore_ascii_case(name.as_bytes())
            });
            if let Some(line) = named {
                // SAFETY: as above.
                return Some(unsafe { bytes(line.value) });
            }
        }
        // SAFETY: null or the next part of the same list.
        part = unsafe { current.next.as_ref() };
    }
    None
}

/// Puts what `cover` says in the place of a header's value.
pub(super) fn cover_headers(
    list: &ngx_list_t,
    pool: *mut ngx_pool_t,
    cover: impl Fn(&[u8]) -> Option<Vec<u8>>,
) {
    each_header(list, |header| {
        // SAFETY: header lines live in request memory.
        let covered = cover(unsafe { bytes(header.value) });
        if let Some(value) = covered.and_then(|value| pool::copy(pool, &value)) {
            header.value = borrowed(&value);
        }
    });
}

/// Calls `visit` with every line of a header list.
pub(super) fn each_header(list: &ngx_list_t, mut visit: impl FnMut(&mut ngx_table_elt_t)) {
    let mut part = Some(&list.part);
    while let Some(current) = part {
        if current.nelts > 0 {
            // SAFETY: nginx keeps `nelts` initialised elements at `elts`; nobody else borrows them.
            let lines = unsafe {
                std::slice::from_raw_parts_mut(
                    current.elts.cast::<ngx_table_elt_t>(),
                    current.nelts,
                )
            };
            lines.iter_mut().for_each(&mut visit);
        }
        // SAFETY: null or the next part of the same list.
        part = unsafe { current.next.as_ref() };
    }
}

unsafe extern "C" fn client_event(r: *mut ngx_http_request_t) {
    fenced("client event", (), || {
        // SAFETY: nginx passes a live request.
        let Some(request) = (unsafe { Request::from_ptr(r) }) else { return };
        if let Some(ctx) = request.ctx()
            && (request.is_client_gone() || is_closed(request))
        {
            crate::filter::client_left(request, ctx);
        }
    });
}

/// Whether the client has closed its connection; nothing is read from it. A stream of HTTP/2 has no
/// connection of its own: nginx marks its end as an error.
fn is_closed(r: Request<'_>) -> bool {
    if !r.raw().stream.is_null() {
        return false;
    }
    let mut byte = 0u8;
    // SAFETY: the descriptor belongs to the live connection; the buffer has room for one byte.
    let n = unsafe {
        let fd = (*r.connection()).fd;
        libc::recv(fd, (&raw mut byte).cast(), 1, libc::MSG_PEEK | libc::MSG_DONTWAIT)
    };
    n == 0 || n < 0 && ngx::ffi::ngx_socket_errno() != libc::EAGAIN
}
