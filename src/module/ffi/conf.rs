//! Reading the configuration: directives in, nginx's messages out, and what the module changes in
//! the settings of nginx's own modules.

use std::ffi::{c_char, c_void};
use std::ptr;

use ngx::ffi::{
    NGX_CONF_1MORE, NGX_CONF_2MORE, NGX_CONF_NOARGS, NGX_CONF_TAKE1, NGX_CONF_TAKE2,
    NGX_CONF_TAKE3, NGX_HTTP_LOC_CONF, NGX_HTTP_LOC_CONF_OFFSET, NGX_HTTP_MAIN_CONF,
    NGX_HTTP_MAIN_CONF_OFFSET, NGX_HTTP_SRV_CONF, NGX_HTTP_UPSTREAM_FT_OFF,
    NGX_HTTP_UPSTREAM_IGN_XA_BUFFERING, NGX_HTTP_UPSTREAM_IGN_XA_CHARSET,
    NGX_HTTP_UPSTREAM_IGN_XA_EXPIRES, NGX_HTTP_UPSTREAM_IGN_XA_LIMIT_RATE,
    NGX_HTTP_UPSTREAM_IGN_XA_REDIRECT, NGX_LOG_EMERG, NGX_LOG_WARN, NGX_OK,
    SSL_CTX_set_default_verify_paths, ngx_array_t, ngx_bufs_t, ngx_command_t, ngx_conf_log_error,
    ngx_conf_t, ngx_http_conf_ctx_t, ngx_http_core_loc_conf_t, ngx_http_core_srv_conf_t,
    ngx_http_upstream_conf_t, ngx_int_t, ngx_module_t, ngx_pagesize, ngx_ssl_trusted_certificate,
    ngx_str_t, ngx_uint_t, off_t,
};

use super::{bytes, entry, gate, request};
use crate::conf::{COMMANDS, Command, Set};

/// Certificates between a provider's and an authority's; nginx's own default is 1, which public
/// providers exceed.
const MAX_DEPTH: isize = 10;

unsafe extern "C" {
    static mut ngx_http_proxy_module: ngx_module_t;
    static mut ngx_http_log_module: ngx_module_t;
}

/// nginx's table of our directives, made from the surface.
pub(super) const fn commands() -> [ngx_command_t; COMMANDS.len() + 1] {
    let mut commands = [ngx_command_t::empty(); COMMANDS.len() + 1];
    let mut index = 0;
    while index < COMMANDS.len() {
        #[expect(clippy::indexing_slicing, reason = "the compiler runs it, within bounds")]
        {
            commands[index] = command(COMMANDS[index], index);
        }
        index += 1;
    }
    commands
}

const fn command(row: &'static Command, index: usize) -> ngx_command_t {
    let directive = row.directive;
    let mut kind = match (directive.arity.min(), directive.arity.max()) {
        (0, Some(0)) => NGX_CONF_NOARGS,
        (0, Some(1)) => NGX_CONF_NOARGS | NGX_CONF_TAKE1,
        (1, Some(1)) => NGX_CONF_TAKE1,
        (1, Some(2)) => NGX_CONF_TAKE1 | NGX_CONF_TAKE2,
        (2, Some(2)) => NGX_CONF_TAKE2,
        (2, Some(3)) => NGX_CONF_TAKE2 | NGX_CONF_TAKE3,
        (3, Some(3)) => NGX_CONF_TAKE3,
        (1, _) => NGX_CONF_1MORE,
        _ => NGX_CONF_2MORE,
    };
    let offset = match row.set {
        Set::Main(_) => {
            kind |= NGX_HTTP_MAIN_CONF;
            NGX_HTTP_MAIN_CONF_OFFSET
        }
        Set::Location(_) => {
            kind |= NGX_HTTP_LOC_CONF;
            if directive.contexts.len() > 1 {
                kind |= NGX_HTTP_MAIN_CONF | NGX_HTTP_SRV_CONF;
            }
            NGX_HTTP_LOC_CONF_OFFSET
        }
    };
    let name = directive.name;
    ngx_command_t {
        name: ngx_str_t { len: name.count_bytes(), data: name.as_ptr().cast_mut().cast() },
        type_: kind as ngx_uint_t,
        set: Some(entry::set_directive),
        conf: offset,
        // The row of COMMANDS, for `set_directive`.
        offset: index,
        post: ptr::null_mut(),
    }
}

/// The arguments of a directive, without its name.
pub(super) fn arguments(cf: *mut ngx_conf_t) -> Vec<String> {
    // SAFETY: nginx passes the words of the directive, its name first.
    let words = unsafe { (*(*cf).args).as_slice::<ngx_str_t>() };
    let text = |word: &ngx_str_t| {
        // SAFETY: words live as long as the configuration.
        String::from_utf8_lossy(unsafe { bytes(*word) }).into_owned()
    };
    words.iter().skip(1).map(text).collect()
}

/// Defines a log format as a `log_format` line would, with JSON's escapes.
pub(super) fn define_log_format(cf: *mut ngx_conf_t, name: &str, text: &str) -> *mut c_char {
    const DIRECTIVE: &[u8] = b"log_format";
    // SAFETY: nginx's own module; its commands end with one without a name.
    let (mut command, index) =
        unsafe { (ngx_http_log_module.commands, ngx_http_log_module.ctx_index) };
    // SAFETY: within the table, see below.
    while let Some(row) = unsafe { command.as_ref() } {
        // SAFETY: the name of a command is static.
        let found = unsafe { bytes(row.name) };
        if found.is_empty() {
            break;
        }
        if found == DIRECTIVE {
            return run_log_format(
                cf,
                command,
                index,
                [DIRECTIVE, name.as_bytes(), text.as_bytes()],
            );
        }
        // SAFETY: the last row has no name, and we have not come to it.
        command = unsafe { command.add(1) };
    }
    error(cf, "this nginx has no \"log_format\"")
}

fn run_log_format(
    cf: *mut ngx_conf_t,
    command: *mut ngx_command_t,
    index: ngx_uint_t,
    [directive, name, text]: [&[u8]; 3],
) -> *mut c_char {
    // SAFETY: nginx reads the configuration into this pool.
    let pool = unsafe { (*cf).pool };
    let mut words = Vec::new();
    for word in [directive, name, b"escape=json", text] {
        // nginx keeps parts of the words.
        let Some(copy) = super::pool::copy(pool, word) else {
            return ngx::core::NGX_CONF_ERROR.cast();
        };
        words.push(super::borrowed(&copy));
    }
    let mut args = ngx_array_t {
        elts: words.as_mut_ptr().cast(),
        nelts: words.len(),
        size: size_of::<ngx_str_t>(),
        nalloc: words.len(),
        pool,
    };
    // SAFETY: the module has a main configuration, made before any directive is read.
    let conf = unsafe { *main_confs(cf).add(index) };
    // SAFETY: the words of our own directive, put back below.
    let own = unsafe { std::mem::replace(&mut (*cf).args, &raw mut args) };
    // SAFETY: the row was found in the module's table.
    let set = unsafe { (*command).set };
    let rc = match set {
        // SAFETY: called as nginx does when it meets the directive.
        Some(set) => unsafe { set(cf, command, conf) },
        None => ngx::core::NGX_CONF_ERROR.cast(),
    };
    // SAFETY: as above.
    unsafe { (*cf).args = own };
    rc
}

/// Reports a configuration error with file and line; the returned value goes back to nginx.
pub(super) fn error(cf: *mut ngx_conf_t, text: &str) -> *mut c_char {
    log(cf, NGX_LOG_EMERG, text);
    ngx::core::NGX_CONF_ERROR.cast()
}

/// Warns.
pub(super) fn warn(cf: *mut ngx_conf_t, text: &str) {
    log(cf, NGX_LOG_WARN, text);
}

fn log(cf: *mut ngx_conf_t, level: u32, text: &str) {
    // SAFETY: "%*s" reads `len` bytes at the pointer, which is what `text` has.
    unsafe {
        ngx_conf_log_error(level as usize, cf, 0, c"%*s".as_ptr(), text.len(), text.as_ptr());
    }
}

/// nginx's default for `client_header_buffer_size`.
const STOCK_HEAD_BYTES: usize = 1024;
/// A request's head and, for most, its body are read with one call.
const HEAD_BYTES: usize = 8 * 1024;

/// The first part of an answer; providers send heads that nginx's page does not hold.
const ANSWER_HEAD_BYTES: usize = 16 * 1024;
/// The rest of it. An answer is passed on in as few calls as this allows.
const ANSWER_PARTS: ngx_bufs_t = ngx_bufs_t { num: 8, size: 32 * 1024 };

/// The settings of one location that belong to nginx's own modules.
pub(super) struct Stock {
    server: *mut ngx_http_core_srv_conf_t,
    core: *mut ngx_http_core_loc_conf_t,
    proxy: *mut ngx_http_upstream_conf_t,
}

impl Stock {
    /// Those of the level that is being read or merged.
    pub(super) fn of(cf: *mut ngx_conf_t) -> Self {
        // SAFETY: inside the http block `ctx` is this, with one entry per module in each list.
        let ctx = unsafe { &*(*cf).ctx.cast::<ngx_http_conf_ctx_t>() };
        let loc_conf = ctx.loc_conf;
        // SAFETY: a plain number that nginx sets before it reads the configuration.
        let proxy_index = unsafe { ngx_http_proxy_module.ctx_index };
        // SAFETY: as above.
        let server = unsafe { *ctx.srv_conf.add(request::core_index()) }.cast();
        // SAFETY: as above.
        let core = unsafe { *loc_conf.add(request::core_index()) }.cast();
        // SAFETY: as above; `upstream` is the first member of ngx_http_proxy_loc_conf_t.
        let proxy = unsafe { *loc_conf.add(proxy_index) }.cast();
        Self { server, core, proxy }
    }

    /// Whether this is a location, not the server or http level.
    pub(super) fn is_location(&self) -> bool {
        // SAFETY: the core module makes one for every level.
        unsafe {
            (*self.core).name.len > 0 || (*self.core).noname() != 0 || (*self.core).named() != 0
        }
    }

    /// Which `error_page` list holds here; equal numbers mean the same list.
    pub(super) fn error_pages(&self) -> usize {
        // SAFETY: as above.
        unsafe { (*self.core).error_pages as usize }
    }

    /// Pages of an enclosing block are for browsers: they do not replace our errors. Who has a
    /// provider's errors intercepted wants pages.
    pub(super) fn drop_error_pages(&self) {
        // SAFETY: as above; the proxy module has made and merged its own.
        unsafe {
            if (*self.proxy).intercept_errors != 1 {
                (*self.core).error_pages = ptr::null_mut();
            }
        }
    }

    /// `handler` makes this location's answers.
    pub(super) fn set_handler(&self, handler: ngx::ffi::ngx_http_handler_pt) {
        // SAFETY: as above.
        unsafe { (*self.core).handler = handler };
    }

    /// nginx refuses larger bodies before it reads them; 413 becomes ours in the filters.
    pub(super) fn set_max_body_size(&self, bytes: u64) {
        // SAFETY: as above.
        unsafe { (*self.core).client_max_body_size = off_t::try_from(bytes).unwrap_or(off_t::MAX) };
    }

    /// A provider must not redirect us, throttle us or change the client's character set. In the
    /// location and not per request: a cached answer is parsed before any hook of ours runs.
    pub(super) fn ignore_accel_headers(&self) {
        let ignored = NGX_HTTP_UPSTREAM_IGN_XA_REDIRECT
            | NGX_HTTP_UPSTREAM_IGN_XA_EXPIRES
            | NGX_HTTP_UPSTREAM_IGN_XA_LIMIT_RATE
            | NGX_HTTP_UPSTREAM_IGN_XA_BUFFERING
            | NGX_HTTP_UPSTREAM_IGN_XA_CHARSET;
        // SAFETY: the proxy module has made and merged it; its module stands before ours.
        unsafe { (*self.proxy).ignore_headers |= ignored as ngx_uint_t };
    }

    /// Room for what language models are sent and answer: with nginx's buffers of a page an answer of
    /// 100 KB takes some twenty calls. What the operator wrote stays.
    pub(super) fn widen_buffers(&self) {
        // SAFETY: a plain number that nginx sets at its start.
        let page = unsafe { ngx_pagesize };
        // SAFETY: as above; servers are merged before their locations.
        let server = unsafe { &mut *self.server };
        if server.client_header_buffer_size == STOCK_HEAD_BYTES {
            // Heads that `large_client_header_buffers` do not hold are refused as before.
            let large = server.large_client_header_buffers.size;
            server.client_header_buffer_size = HEAD_BYTES.min(large.max(STOCK_HEAD_BYTES));
        }
        // SAFETY: the proxy module has made and merged it.
        let proxy = unsafe { &mut *self.proxy };
        let is_stock = proxy.buffer_size == page
            && (proxy.bufs.num, proxy.bufs.size) == (8, page)
            && proxy.busy_buffers_size == 2 * page;
        if is_stock {
            proxy.buffer_size = ANSWER_HEAD_BYTES;
            proxy.bufs = ANSWER_PARTS;
            proxy.busy_buffers_size = 2 * ANSWER_PARTS.size;
            proxy.temp_file_write_size = proxy.temp_file_write_size.max(2 * ANSWER_PARTS.size);
        }
    }

    /// Only upstream blocks are asked, whatever a variable of `proxy_pass` says.
    pub(super) fn guard_addresses(&self, cf: *mut ngx_conf_t) -> Option<()> {
        // SAFETY: nginx reads the configuration into this pool.
        let pool = unsafe { (*cf).pool };
        // SAFETY: the proxy module has made and merged it; its module stands before ours.
        gate::put(pool, unsafe { self.proxy.as_mut() }?)
    }

    /// nginx goes on reading the answer when the client has gone.
    pub(super) fn ignore_client_abort(&self) {
        // SAFETY: as above.
        unsafe { (*self.proxy).ignore_client_abort = 1 };
    }

    /// What stands in `proxy_next_upstream*` against as many attempts.
    pub(super) fn contradictions(&self, max_attempts: u32) -> Vec<String> {
        // SAFETY: the proxy module has made and merged it.
        let (mask, tries) =
            unsafe { ((*self.proxy).next_upstream, (*self.proxy).next_upstream_tries) };
        let mut texts = Vec::new();
        if mask & NGX_HTTP_UPSTREAM_FT_OFF as ngx_uint_t != 0 {
            texts.push(
                "\"proxy_next_upstream off\" has no effect where \"llm_fallback\" is on: use \
                 \"llm_fallback_on\""
                    .to_owned(),
            );
        }
        if tries != 0 && tries < max_attempts as usize {
            texts.push(format!(
                "\"proxy_next_upstream_tries {tries}\" allows fewer attempts than \
                 \"llm_fallback_max_attempts {max_attempts}\""
            ));
        }
        texts
    }

    /// Trusts the authorities that the operator named, or else the system's.
    pub(super) fn trust_authorities(&self, cf: *mut ngx_conf_t) -> Option<()> {
        // SAFETY: as above; null when proxy_pass cannot speak TLS here.
        let Some(ssl) = (unsafe { (*self.proxy).ssl.as_mut() }) else { return Some(()) };
        // SAFETY: as above. With it the proxy module has read the operator's file itself.
        let is_read = unsafe { (*self.proxy).ssl_verify } == 1;
        if ssl.ctx.is_null() || is_read {
            return Some(());
        }
        let named = self.trusted_certificate().filter(|name| name.len > 0);
        let Some(mut name) = named else {
            // SAFETY: the location's own TLS context.
            unsafe { SSL_CTX_set_default_verify_paths(ssl.ctx.cast()) };
            return Some(());
        };
        // SAFETY: the location's own TLS context; nginx logs what is wrong with the file.
        let rc = unsafe { ngx_ssl_trusted_certificate(cf, ssl, &raw mut name, MAX_DEPTH) };
        (rc == NGX_OK as ngx_int_t).then_some(())
    }

    /// `proxy_ssl_trusted_certificate`. The field has no public name, but the directive's row in
    /// the proxy module's table tells where it is.
    fn trusted_certificate(&self) -> Option<ngx_str_t> {
        // SAFETY: the module's table ends with a row without a name.
        let mut row = unsafe { ngx_http_proxy_module.commands };
        loop {
            // SAFETY: as above.
            let command = unsafe { row.as_ref() }?;
            if command.name.len == 0 {
                return None;
            }
            // SAFETY: directive names are constants.
            if unsafe { bytes(command.name) } == b"proxy_ssl_trusted_certificate" {
                // SAFETY: nginx's own setter writes the text at this offset of the location's conf.
                let field = unsafe { self.proxy.cast::<u8>().add(command.offset) };
                // SAFETY: as above.
                return Some(unsafe { field.cast::<ngx_str_t>().read() });
            }
            // SAFETY: a row with a name has one behind it.
            row = unsafe { row.add(1) };
        }
    }
}

/// The http block's main configurations.
pub(super) fn main_confs(cf: *mut ngx_conf_t) -> *mut *mut c_void {
    // SAFETY: inside the http block `ctx` is this.
    unsafe { (*(*cf).ctx.cast::<ngx_http_conf_ctx_t>()).main_conf }
}
