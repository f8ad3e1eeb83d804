//! Threads of a worker: started after the fork, with every signal blocked, so that nginx's own
//! thread gets them all. They never call nginx.

use std::thread::JoinHandle;

use ngx::ffi::{NGX_PROCESS_SINGLE, NGX_PROCESS_WORKER, ngx_process, ngx_uint_t, ngx_worker};

/// Whether this process serves requests (the cache manager and loader do not).
pub fn is_worker() -> bool {
    // SAFETY: a plain number that nginx sets when it starts the process.
    let process = unsafe { ngx_process };
    [NGX_PROCESS_WORKER, NGX_PROCESS_SINGLE].iter().any(|kind| process == *kind as ngx_uint_t)
}

/// Whether this is the worker that does what only one may do.
pub fn is_first_worker() -> bool {
    // SAFETY: as above.
    is_worker() && unsafe { ngx_worker } == 0
}

/// Starts a thread; `None` when the system refuses.
pub fn spawn(name: &str, work: impl FnOnce() + Send + 'static) -> Option<JoinHandle<()>> {
    // SAFETY: all zero is a valid set, and sigfillset fills it.
    let mut all: libc::sigset_t = unsafe { std::mem::zeroed() };
    // SAFETY: as above.
    let mut before: libc::sigset_t = unsafe { std::mem::zeroed() };
    // SAFETY: both sets are valid for the calls; a new thread inherits the mask.
    unsafe {
        libc::sigfillset(&raw mut all);
        libc::pthread_sigmask(libc::SIG_SETMASK, &raw const all, &raw mut before);
    }
    let thread = std::thread::Builder::new().name(name.to_owned()).spawn(work).ok();
    // SAFETY: as above.
    unsafe { libc::pthread_sigmask(libc::SIG_SETMASK, &raw const before, std::ptr::null_mut()) };
    thread
}

/// Lets a worker keep the memory of a large body for the next one. By default the C library gives
/// memory above 128 KB back to the system after each request and pays for every page again.
pub fn keep_freed_memory() {
    const KEPT_BYTES: libc::c_int = 16 << 20;
    const MAPPED_BYTES: libc::c_int = 4 << 20;
    // SAFETY: called once, on the worker's only thread, before it serves requests.
    unsafe { libc::mallopt(libc::M_TRIM_THRESHOLD, KEPT_BYTES) };
    // SAFETY: as above.
    unsafe { libc::mallopt(libc::M_MMAP_THRESHOLD, MAPPED_BYTES) };
}
