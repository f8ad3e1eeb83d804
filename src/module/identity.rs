//! What is the id of a request? The same one stands in the response header, the logs and the rows.

use std::cell::RefCell;
use std::sync::OnceLock;

const ID_BYTES: usize = 16;

thread_local! {
    // Drawn from the system in portions: a system call per request would cost more than the rest
    // of its id. Filled in a worker, after the fork, so no two workers share one.
    static RANDOM: RefCell<(Vec<u8>, usize)> = const { RefCell::new((Vec::new(), 0)) };
}

/// 32 hexadecimal digits that no other request has.
pub fn new_event_id() -> String {
    RANDOM.with_borrow_mut(|(portion, at)| {
        if portion.len() < *at + ID_BYTES {
            portion.resize(ID_BYTES * 64, 0);
            *at = 0;
            if getrandom::fill(portion).is_err() {
                portion.clear();
            }
        }
        let mut id = String::with_capacity(ID_BYTES * 2);
        for byte in portion.get(*at..*at + ID_BYTES).unwrap_or_default() {
            for nibble in [byte >> 4, byte & 15] {
                id.push(char::from_digit(nibble.into(), 16).unwrap_or('0'));
            }
        }
        *at += ID_BYTES;
        id
    })
}

/// The machine's name.
pub fn node() -> &'static str {
    static NODE: OnceLock<String> = OnceLock::new();
    NODE.get_or_init(crate::ffi::process::hostname)
}
