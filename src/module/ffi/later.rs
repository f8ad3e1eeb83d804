//! An answer that is not there yet: the request waits without a connection to anybody, a timer asks for
//! the answer again and again.
//!
//! Order: [`Request::answer_later`] takes a reference and its DONE goes back to nginx, which gives its own
//! back and returns to the event loop · the timer asks · what the answer returns ends the request. A
//! client that leaves ends it before; the pool then stops the timer.

use ngx::ffi::{ngx_http_test_reading, ngx_int_t};

use super::timer::Timer;
use super::{Request, code, pool};

/// How often the answer is asked for.
const PAUSE_MS: u64 = 20;

/// What a request waits for.
pub trait Awaited {
    /// The code of the answer, once it was sent.
    fn answer(&self, r: Request<'_>) -> Option<ngx_int_t>;
}

struct Waiting<A> {
    awaited: A,
    timer: Timer,
}

impl Request<'_> {
    /// Waits for an answer; what it returns goes back to nginx.
    pub fn answer_later<A: Awaited + 'static>(mut self, awaited: A) -> ngx_int_t {
        let waiting = Waiting { awaited, timer: Timer::default() };
        let Some(waiting) = pool::place(self.pool(), waiting) else { return code::ERROR };
        // SAFETY: it lives in the request's pool.
        let waiting = unsafe { waiting.as_ref() };
        if !waiting.timer.start(self, PAUSE_MS, ask::<A>) {
            return code::ERROR;
        }
        let raw = self.raw_mut();
        raw.read_event_handler = Some(ngx_http_test_reading);
        raw.set_count(raw.count() + 1);
        code::DONE
    }
}

fn ask<A: Awaited>(r: Request<'_>) {
    let Some(waiting) = pool::find::<Waiting<A>>(r.pool()) else { return };
    // SAFETY: it lives in the request's pool.
    let waiting = unsafe { waiting.as_ref() };
    match waiting.awaited.answer(r) {
        Some(rc) => r.finalize(rc),
        None if waiting.timer.start(r, PAUSE_MS, ask::<A>) => {}
        None => r.finalize(code::ERROR),
    }
}
