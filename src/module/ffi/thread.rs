//! Threads of a worker: started after the fork, with every signal blocked, so that nginx's own
//! thread gets them all. They never call nginx.

use std::thread::JoinHandle;

use parking_lot::RwLock;

use ngx::ffi::{
    NGX_PROCESS_SINGLE, NGX_PROCESS_WORKER, ngx_core_conf_t, ngx_core_module, ngx_cycle,
    ngx_process, ngx_uint_t, ngx_worker,
};

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

/// How many workers there are to be.
pub fn workers() -> u32 {
    // SAFETY: nginx sets ngx_cycle before it starts a process.
    let cycle = unsafe { ngx_cycle };
    // SAFETY: the cycle is configured, and the core module has an index.
    let conf = unsafe { *(*cycle).conf_ctx.add(ngx_core_module.index) };
    // SAFETY: the core module's configuration.
    let conf = unsafe { conf.cast::<ngx_core_conf_t>().as_ref() };
    conf.and_then(|conf| u32::try_from(conf.worker_processes).ok()).unwrap_or(1).max(1)
}

/// Whether nginx's memory is about to go. A worker that ends frees its configuration while our threads
/// may still run.
static CLOSED: RwLock<bool> = RwLock::new(false);

/// Runs what touches zones or the log, from a thread of ours; `None` once the worker ends. The end
/// waits for it, so it must be short.
pub fn with_nginx<R>(work: impl FnOnce() -> R) -> Option<R> {
    let closed = CLOSED.read();
    if *closed { None } else { Some(work()) }
}

/// From now on no thread touches nginx's memory.
pub(super) fn close() {
    *CLOSED.write() = true;
}

/// Starts a thread; `None` when the system refuses.
pub fn spawn<T: Send + 'static>(
    name: &str,
    work: impl FnOnce() -> T + Send + 'static,
) -> Option<JoinHandle<T>> {
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
