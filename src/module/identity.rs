//! What is the id of a request? The same one stands in the response header, the logs and the rows.

use std::cell::RefCell;

/// Milliseconds since 1970 come first, so that rows with these ids lie in order and a database adds
/// them at one end of its index.
const TIME_BYTES: usize = 6;
const RANDOM_BYTES: usize = 10;

thread_local! {
    // Drawn from the system in portions: a system call per request would cost more than the rest
    // of its id. Filled in a worker, after the fork, so no two workers share one.
    static RANDOM: RefCell<(Vec<u8>, usize)> = const { RefCell::new((Vec::new(), 0)) };
}

/// 32 hexadecimal digits that no other request has.
pub fn new_event_id() -> String {
    RANDOM.with_borrow_mut(|(portion, at)| {
        if portion.len() < *at + RANDOM_BYTES {
            portion.resize(RANDOM_BYTES * 100, 0);
            *at = 0;
            if getrandom::fill(portion).is_err() {
                portion.clear();
            }
        }
        let random = portion.get(*at..*at + RANDOM_BYTES).unwrap_or_default();
        let time = crate::ffi::unix_ms().to_be_bytes();
        let bytes = time.iter().skip(time.len() - TIME_BYTES).chain(random);
        let digit = |nibble: u8| nibble + if nibble < 10 { b'0' } else { b'a' - 10 };
        let digits = bytes.flat_map(|byte| [digit(byte >> 4), digit(byte & 15)]);
        let mut id = Vec::with_capacity((TIME_BYTES + RANDOM_BYTES) * 2);
        id.extend(digits);
        *at += RANDOM_BYTES;
        String::from_utf8(id).unwrap_or_default()
    })
}

/// The machine's name.
pub fn node() -> String {
    // Not kept: nginx unloads the library, and what statics hold would be lost then.
    crate::ffi::process::hostname()
}
