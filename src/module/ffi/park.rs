//! Waiting before an attempt without a connection: nginx gets a stand-in that is "connecting"
//! until our timer fires.
//!
//! Order: `get` calls [`Parking::begin`] and returns AGAIN · nginx rewinds the request and returns to
//! the event loop · the timer makes nginx see a read error · nginx calls `free`, which calls
//! [`Parking::end`] · nginx calls `get` again. The stand-in lives in the request's pool, has no file
//! descriptor and is never in epoll.

use std::cell::Cell;
use std::ffi::c_void;
use std::ptr::{self, NonNull};

use ngx::ffi::{
    ngx_connection_t, ngx_del_timer, ngx_event_t, ngx_pcalloc, ngx_peer_connection_t, ngx_str_t,
    sockaddr,
};

use super::timer::Timer;
use super::{Request, borrowed, code};

/// nginx puts its connect timeout on the stand-in; ours is always the shorter wait.
const NO_TIMEOUT_MS: usize = 1 << 30;

/// The waiting of one request.
#[derive(Default)]
pub struct Parking {
    stand_in: Cell<Option<NonNull<StandIn>>>,
    timer: Timer,
    parked: Cell<bool>,
    counted: Cell<bool>,
}

#[repr(C)]
struct StandIn {
    connection: ngx_connection_t,
    read: ngx_event_t,
    write: ngx_event_t,
    name: ngx_str_t,
    address: sockaddr,
}

impl Parking {
    /// Whether the request waits now.
    pub(super) fn is_parked(&self) -> bool {
        self.parked.get()
    }

    /// Whether the last entry of nginx's upstream states is a wait and no attempt; asked once.
    pub(super) fn take_counted(&self) -> bool {
        self.counted.replace(false)
    }

    /// Makes `pc` wait for `pause_ms`; what it returns goes back to nginx.
    pub(super) fn begin(
        &self,
        r: Request<'_>,
        pc: &mut ngx_peer_connection_t,
        connect_timeout: &mut usize,
        pause_ms: u64,
    ) -> Option<isize> {
        let stand_in = self.stand_in(r)?;
        // SAFETY: it is in the request's pool and only this thread touches it.
        let s = unsafe { &mut *stand_in.as_ptr() };
        // SAFETY: all zero is a valid connection and a valid event that is nowhere registered.
        unsafe { ptr::write_bytes(&raw mut *s, 0, 1) };
        s.connection.fd = -1;
        s.connection.log = r.log();
        s.connection.read = &raw mut s.read;
        s.connection.write = &raw mut s.write;
        // nginx would make (and we would have to destroy) one otherwise.
        s.connection.pool = r.pool();
        s.connection.recv = Some(recv_error);
        for event in [&mut s.read, &mut s.write] {
            event.data = (&raw mut s.connection).cast::<c_void>();
            event.log = r.log();
        }
        s.write.set_write(1);
        s.name = borrowed(b"waiting");
        pc.connection = &raw mut s.connection;
        pc.name = &raw mut s.name;
        // Not null: only then nginx calls `free` for this attempt.
        pc.sockaddr = &raw mut s.address;
        pc.set_cached(0);
        *connect_timeout = NO_TIMEOUT_MS;
        // nginx's clock is that of the last wait for events: a handshake may have taken long since then,
        // and a provider must not be asked again before the time that it named.
        super::update_clock();
        if !self.timer.start(r, pause_ms.max(1), over) {
            return None;
        }
        self.parked.set(true);
        self.counted.set(true);
        Some(code::AGAIN)
    }

    /// The wait, or the request, is over. Says whether the wait ended by itself.
    pub(super) fn end(&self, pc: &mut ngx_peer_connection_t, failed: bool) -> bool {
        self.timer.stop();
        self.parked.set(false);
        // So that nginx does not try to close it.
        pc.connection = ptr::null_mut();
        let Some(stand_in) = self.stand_in.get() else { return false };
        // SAFETY: as in `begin`.
        let s = unsafe { &mut *stand_in.as_ptr() };
        let timed_out = s.read.timedout() != 0;
        for event in [&mut s.read, &mut s.write] {
            if event.timer_set() != 0 {
                // SAFETY: the event is in the timer tree, as its flag says.
                unsafe { ngx_del_timer(event) };
            }
        }
        failed && !timed_out
    }

    fn stand_in(&self, r: Request<'_>) -> Option<NonNull<StandIn>> {
        if self.stand_in.get().is_none() {
            // SAFETY: the request's pool is live.
            let memory = unsafe { ngx_pcalloc(r.pool(), size_of::<StandIn>()) };
            self.stand_in.set(NonNull::new(memory.cast::<StandIn>()));
        }
        self.stand_in.get()
    }
}

impl Drop for Parking {
    fn drop(&mut self) {
        let Some(stand_in) = self.stand_in.get() else { return };
        // SAFETY: the pool is being destroyed, but its memory is still there.
        let s = unsafe { &mut *stand_in.as_ptr() };
        for event in [&mut s.read, &mut s.write] {
            if event.timer_set() != 0 {
                // SAFETY: the event is in the timer tree, as its flag says.
                unsafe { ngx_del_timer(event) };
            }
        }
    }
}

unsafe extern "C" fn recv_error(_: *mut ngx_connection_t, _: *mut u8, _: usize) -> isize {
    code::ERROR
}

/// The pause is over: nginx reads from the stand-in, sees an error, and asks for the next peer.
fn over(r: Request<'_>) {
    let Some(ctx) = r.ctx() else { return };
    let Some(stand_in) = ctx.hooks.parking.stand_in.get() else { return };
    if let Some(mut upstream) = r.upstream() {
        // Else nginx would test the socket with getsockopt().
        upstream.set_request_sent(true);
    }
    // SAFETY: as in `begin`; nginx installed the handler for this event.
    unsafe {
        let read = &raw mut (*stand_in.as_ptr()).read;
        if let Some(handler) = (*read).handler {
            handler(read);
        }
    }
}
