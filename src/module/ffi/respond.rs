//! The head of the answer to the client, and answers that the gateway writes itself.

use std::ptr::{self, NonNull};

use ngx::ffi::{
    ngx_http_discard_request_body, ngx_http_output_filter, ngx_http_send_header, ngx_int_t,
    ngx_list_push, ngx_str_t, ngx_table_elt_t,
};

use super::body::{link, memory_buf};
use super::pool::PoolBytes;
use super::request::{cover_headers, each_header};
use super::{Request, borrowed, bytes, code, pool};

impl Request<'_> {
    /// The status of the answer.
    pub fn status(&self) -> u16 {
        u16::try_from(self.raw().headers_out.status).unwrap_or(0)
    }

    /// The media type of the answer, parameters included.
    pub fn content_type(&self) -> &[u8] {
        // SAFETY: nginx keeps it in request or configuration memory.
        unsafe { bytes(self.raw().headers_out.content_type) }
    }

    /// Whether the answer's body is compressed or otherwise encoded.
    pub fn is_encoded(&self) -> bool {
        // SAFETY: null, or a header line of the answer.
        let line = unsafe { self.raw().headers_out.content_encoding.as_ref() };
        // SAFETY: header lines live in request memory.
        line.is_some_and(|line| line.hash != 0 && unsafe { bytes(line.value) } != b"identity")
    }

    /// The answer's media type is `kind` from now on.
    pub fn set_content_type(&mut self, kind: &'static str) {
        let out = &mut self.raw_mut().headers_out;
        out.content_type = borrowed(kind.as_bytes());
        // nginx compares lists of types with so much of it.
        out.content_type_len = kind.split(';').next().unwrap_or(kind).trim_end().len();
        out.content_type_lowcase = ptr::null_mut();
        out.charset = borrowed(b"");
    }

    /// The answer's length is `length`, or not known before it ends.
    pub fn set_content_length(&mut self, length: Option<usize>) {
        let raw = self.raw_mut();
        raw.headers_out.content_length_n =
            length.and_then(|length| i64::try_from(length).ok()).unwrap_or(-1);
        drop_line(&mut raw.headers_out.content_length);
        drop_line(&mut raw.headers_out.accept_ranges);
        raw.set_allow_ranges(0);
    }

    /// The answer is not what the provider's validators speak of.
    pub fn drop_validators(&mut self) {
        let out = &mut self.raw_mut().headers_out;
        drop_line(&mut out.etag);
        drop_line(&mut out.last_modified);
        out.last_modified_time = -1;
    }

    /// Removes the response headers whose lower-case names `matches` picks.
    pub fn drop_headers(&mut self, matches: fn(&[u8]) -> bool) {
        each_header(&self.raw().headers_out.headers, |header| {
            // SAFETY: header lines live in request memory.
            let key = unsafe { bytes(header.key) };
            // Names of interest are short; a longer one is none of ours.
            let mut lower = [0; 64];
            let Some(lower) = lower.get_mut(..key.len()) else { return };
            lower.copy_from_slice(key);
            lower.make_ascii_lowercase();
            if matches(lower) {
                header.hash = 0;
            }
        });
    }

    /// Calls `visit` with the name of each header of the answer.
    pub fn each_answer_header(&self, mut visit: impl FnMut(&[u8])) {
        each_header(&self.raw().headers_out.headers, |line| {
            if line.hash != 0 {
                // SAFETY: header lines live in request memory.
                visit(unsafe { bytes(line.key) });
            }
        });
    }

    /// Puts what `cover` says in the place of a header's value.
    pub fn cover_headers(&mut self, cover: impl Fn(&[u8]) -> Option<Vec<u8>>) {
        cover_headers(&self.raw().headers_out.headers, self.pool(), cover);
    }

    /// Adds a response header; nothing is added when memory is out.
    pub fn add_header(&mut self, name: &'static str, value: &str) {
        self.add_header_of(name, [value]);
    }

    /// The same with a number.
    pub fn add_header_number(&mut self, name: &'static str, value: u64) {
        let mut digits = [0; MAX_DIGITS];
        self.add_copied(name, [decimal(value, &mut digits)]);
    }

    /// The same with a value in parts.
    pub fn add_header_of<const N: usize>(&mut self, name: &'static str, value: [&str; N]) {
        self.add_copied(name, value.map(str::as_bytes));
    }

    /// The same with a value that the module itself holds.
    pub fn add_fixed_header(&mut self, name: &'static str, value: &'static str) {
        self.push_header(name, borrowed(value.as_bytes()));
    }

    /// The same with a value that the request's pool holds already.
    pub fn add_kept_header(&mut self, name: &'static str, value: PoolBytes) {
        self.push_header(name, borrowed(&value));
    }

    fn add_copied<const N: usize>(&mut self, name: &'static str, value: [&[u8]; N]) {
        let Some(value) = pool::concat(self.pool(), value) else { return };
        self.add_kept_header(name, value);
    }

    /// Adds a line whose value lives as long as the request.
    fn push_header(&mut self, name: &'static str, value: ngx_str_t) {
        // SAFETY: the list is initialised with the request.
        let line = unsafe { ngx_list_push(&raw mut self.raw_mut().headers_out.headers) };
        let Some(place) = NonNull::new(line.cast::<ngx_table_elt_t>()) else { return };
        // SAFETY: all zero is a valid line.
        let mut line: ngx_table_elt_t = unsafe { std::mem::zeroed() };
        line.hash = 1;
        line.key = borrowed(name.as_bytes());
        line.value = value;
        // SAFETY: a new element, which nginx leaves uninitialised and nobody else has seen.
        unsafe { place.write(line) };
    }

    /// Reads in memory what the answer has in files.
    pub fn need_in_memory(&mut self) {
        self.raw_mut().set_filter_need_in_memory(1);
    }

    /// The status of the answer is `status` from now on.
    pub fn set_status(&mut self, status: u16) {
        // An error page has kept the status that led to it, and the log would show that one.
        self.raw_mut().err_status = 0;
        let out = &mut self.raw_mut().headers_out;
        out.status = usize::from(status);
        out.status_line = borrowed(b"");
    }

    /// Sends the head as it stands.
    pub fn send_head(self) -> ngx_int_t {
        // SAFETY: the request is live and has no head sent.
        unsafe { ngx_http_send_header(self.as_ptr()) }
    }

    /// Answers with `body`; the returned code ends the request.
    pub fn answer(mut self, status: u16, kind: &'static str, body: &[u8]) -> ngx_int_t {
        // SAFETY: the request is live; what the client still sends is read and dropped.
        let rc = unsafe { ngx_http_discard_request_body(self.as_ptr()) };
        if rc != code::OK {
            return rc;
        }
        self.set_status(status);
        self.set_content_type(kind);
        self.set_content_length(Some(body.len()));
        let rc = self.send_head();
        if rc == code::ERROR || rc > code::OK || self.raw().header_only() != 0 {
            return rc;
        }
        self.send_last(body).unwrap_or(code::ERROR)
    }

    fn send_last(&self, body: &[u8]) -> Option<ngx_int_t> {
        let body = pool::copy(self.pool(), body)?;
        let b = memory_buf(self.pool(), &body)?;
        // SAFETY: a new buffer of ours.
        let buf = unsafe { &mut *b };
        buf.set_memory(u32::from(!body.is_empty()));
        // The last buffer of a subrequest is not that of the answer.
        buf.set_last_buf(u32::from(self.is_main()));
        buf.set_last_in_chain(1);
        let link = link(self.pool(), b)?;
        // SAFETY: the request is live and its head has been sent.
        Some(unsafe { ngx_http_output_filter(self.as_ptr(), link) })
    }
}

/// Digits of the largest number.
const MAX_DIGITS: usize = 20;

/// A number as text; most requests have several, so that it is not allocated.
fn decimal(mut number: u64, digits: &mut [u8; MAX_DIGITS]) -> &[u8] {
    let mut at = MAX_DIGITS;
    for digit in digits.iter_mut().rev() {
        *digit = b'0' + (number % 10) as u8;
        number /= 10;
        at -= 1;
        if number == 0 {
            break;
        }
    }
    digits.get(at..).unwrap_or_default()
}

fn drop_line(line: &mut *mut ngx_table_elt_t) {
    // SAFETY: null, or a header line in the request's memory.
    if let Some(line) = unsafe { line.as_mut() } {
        line.hash = 0;
    }
    *line = ptr::null_mut();
}
