//! A timer of one request: allocated on first use, gone with the request.

use std::cell::Cell;
use std::ffi::c_void;
use std::ptr::NonNull;

use ngx::ffi::{ngx_add_timer, ngx_del_timer, ngx_event_t, ngx_http_request_t, ngx_pcalloc};

use super::{Request, fenced};

/// Fires once, `after_ms` from the last call of [`Timer::start`].
#[derive(Default)]
pub struct Timer(Cell<Option<NonNull<Slot>>>);

/// nginx's debug log reads 32 bytes behind `ev.data`, so the event's data is the slot itself.
#[repr(C)]
struct Slot {
    event: ngx_event_t,
    request: *mut ngx_http_request_t,
    run: Option<fn(Request<'_>)>,
}

impl Timer {
    /// Starts or restarts the timer; false when memory is out.
    pub fn start(&self, r: Request<'_>, after_ms: u64, run: fn(Request<'_>)) -> bool {
        let Some(slot) = self.slot(r) else { return false };
        // SAFETY: the slot is in the request's pool and only this thread touches it.
        let slot = unsafe { &mut *slot.as_ptr() };
        slot.run = Some(run);
        // SAFETY: the event has a handler and is deleted in `drop`, before its memory goes.
        unsafe { ngx_add_timer(&raw mut slot.event, after_ms as usize) };
        true
    }

    /// Stops the timer if it runs.
    pub fn stop(&self) {
        let Some(slot) = self.0.get() else { return };
        // SAFETY: as in `start`.
        let event = unsafe { &mut (*slot.as_ptr()).event };
        if event.timer_set() != 0 {
            // SAFETY: the event is in the timer tree, as its flag says.
            unsafe { ngx_del_timer(event) };
        }
    }

    fn slot(&self, r: Request<'_>) -> Option<NonNull<Slot>> {
        if let Some(slot) = self.0.get() {
            return Some(slot);
        }
        // SAFETY: the request's pool is live; zero bytes are a valid Slot.
        let slot = unsafe { ngx_pcalloc(r.pool(), size_of::<Slot>()) }.cast::<Slot>();
        let slot = NonNull::new(slot)?;
        // SAFETY: nobody else has seen the new slot.
        let new = unsafe { &mut *slot.as_ptr() };
        new.request = r.as_ptr();
        new.event.data = slot.as_ptr().cast::<c_void>();
        new.event.handler = Some(fire);
        new.event.log = r.log();
        self.0.set(Some(slot));
        Some(slot)
    }
}

impl Drop for Timer {
    fn drop(&mut self) {
        self.stop();
    }
}

unsafe extern "C" fn fire(event: *mut ngx_event_t) {
    fenced("timer", (), || {
        // SAFETY: `slot` set `data` to the slot, which lives as long as the timer can run.
        let slot = unsafe { &*(*event).data.cast::<Slot>() };
        let (run, request) = (slot.run, slot.request);
        // SAFETY: the timer is deleted before its request is freed, so the request is live.
        let r = unsafe { Request::from_ptr(request) };
        if let (Some(run), Some(r)) = (run, r) {
            r.set_log_request();
            let c = r.connection();
            run(r);
            // As nginx's own event handlers do; the request may be gone by now.
            super::request::run_posted(c);
        }
    });
}
