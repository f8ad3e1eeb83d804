//! The fence: the only place where `unsafe` compiles. It turns nginx's pointers into types that
//! the rest of the module can use safely, and catches every panic at the C boundary.
//!
//! What nginx guarantees, and every SAFETY line below leans on: a worker is one thread; a request
//! and everything in its pool live until the pool is destroyed; a callback's arguments are valid
//! during the call.
#![allow(unsafe_code, reason = "this module is the fence")]

pub mod body;
pub mod buf;
pub mod conf;
mod entry;
mod exports;
mod gate;
pub mod hooks;
pub mod later;
mod park;
pub mod pool;
pub mod process;
pub mod request;
pub mod respond;
pub mod shm;
pub mod thread;
pub mod timer;
pub mod upstream;
pub mod value;
pub mod variable;

use std::panic::{AssertUnwindSafe, catch_unwind};

use ngx::ffi::{
    NGX_AGAIN, NGX_DECLINED, NGX_DONE, NGX_ERROR, NGX_LOG_ALERT, NGX_LOG_ERR, NGX_LOG_WARN, NGX_OK,
    ngx_cached_time, ngx_current_msec, ngx_cycle, ngx_int_t, ngx_log_error_core, ngx_log_t,
    ngx_str_t, ngx_time, ngx_time_update,
};

pub use request::Request;

/// nginx's return codes, in the type that its functions use.
pub mod code {
    use super::{NGX_AGAIN, NGX_DECLINED, NGX_DONE, NGX_ERROR, NGX_OK, ngx_int_t};

    /// All is well.
    pub const OK: ngx_int_t = NGX_OK as ngx_int_t;
    /// Something broke; the connection is closed.
    pub const ERROR: ngx_int_t = NGX_ERROR as ngx_int_t;
    /// Wait for an event.
    pub const AGAIN: ngx_int_t = NGX_AGAIN as ngx_int_t;
    /// Somebody else goes on with the request.
    pub const DONE: ngx_int_t = NGX_DONE as ngx_int_t;
    /// Not for this handler.
    pub const DECLINED: ngx_int_t = NGX_DECLINED as ngx_int_t;
}

/// Log levels of nginx's error log.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Level {
    /// A bug of ours; tests fail on it.
    Alert,
    /// A request failed.
    Error,
    /// Something is odd that does no harm yet.
    Warn,
}

impl Level {
    fn number(self) -> usize {
        let level = match self {
            Self::Alert => NGX_LOG_ALERT,
            Self::Error => NGX_LOG_ERR,
            Self::Warn => NGX_LOG_WARN,
        };
        level as usize
    }
}

/// Runs the body of a C callback; a panic becomes one alert and `fallback`.
fn fenced<T>(what: &str, fallback: T, body: impl FnOnce() -> T) -> T {
    catch_unwind(AssertUnwindSafe(body)).unwrap_or_else(|panic| {
        let text = panic
            .downcast_ref::<&str>()
            .map(ToString::to_string)
            .or_else(|| panic.downcast_ref::<String>().cloned())
            .unwrap_or_default();
        // SAFETY: nginx sets ngx_cycle before it calls any module.
        let log = unsafe { (*ngx_cycle).log };
        write_log(log, Level::Alert, &format!("llm: panic in {what}: {text}"));
        fallback
    })
}

/// The same from a thread of ours. nginx's clock stands still while its own thread waits, so it is set
/// first; it has a lock for that.
pub fn log_from_thread(level: Level, text: &str) {
    thread::with_nginx(|| {
        update_clock();
        log(level, text);
    });
}

/// Sets nginx's clock, which stands still between two waits for events.
fn update_clock() {
    // SAFETY: nginx's function for its own clock, under its own lock.
    unsafe { ngx_time_update() };
}

/// Writes one line to the error log of the configuration.
pub fn log(level: Level, text: &str) {
    // SAFETY: nginx sets ngx_cycle before it calls any module.
    let log = unsafe { (*ngx_cycle).log };
    write_log(log, level, text);
}

/// Writes one line to an nginx log.
fn write_log(log: *mut ngx_log_t, level: Level, text: &str) {
    if log.is_null() {
        return;
    }
    // SAFETY: a log that nginx hands out lives as long as its cycle or connection.
    let enabled = unsafe { (*log).log_level };
    if enabled >= level.number() {
        // SAFETY: "%*s" reads `len` bytes at the pointer, which is what `text` has.
        unsafe {
            ngx_log_error_core(level.number(), log, 0, c"%*s".as_ptr(), text.len(), text.as_ptr());
        }
    }
}

/// The bytes of an nginx string.
///
/// # Safety
/// `text` must describe memory that is readable and unchanged for `'a`.
unsafe fn bytes<'a>(text: ngx_str_t) -> &'a [u8] {
    if text.len == 0 || text.data.is_null() {
        return &[];
    }
    // SAFETY: the caller guarantees the memory.
    unsafe { std::slice::from_raw_parts(text.data, text.len) }
}

/// An nginx string over memory that somebody else owns.
fn borrowed(text: &[u8]) -> ngx_str_t {
    ngx_str_t { len: text.len(), data: text.as_ptr().cast_mut() }
}

/// Milliseconds of nginx's cached monotonic clock, the same for all workers.
pub fn now_ms() -> u64 {
    // SAFETY: nginx's own thread updates it; we read on that thread.
    let now = unsafe { ngx_current_msec };
    now as u64
}

/// Seconds since 1970, from nginx's cached clock.
pub fn unix_time() -> u64 {
    u64::try_from(ngx_time()).unwrap_or(0)
}

/// Milliseconds since 1970, from nginx's cached clock.
pub fn unix_ms() -> u64 {
    // SAFETY: nginx points it to a slot of its own that is not changed while it is the current one.
    let now = unsafe { &*ngx_cached_time };
    let seconds = u64::try_from(now.sec).unwrap_or(0);
    seconds * 1000 + now.msec as u64
}

/// One line for a panic in place of the default hook's several.
pub fn quiet_panics() {
    std::panic::set_hook(Box::new(|_| {}));
}
