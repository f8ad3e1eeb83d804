//! The client's body: read whole, seen as one piece, replaced slice by slice.

use std::ptr;

use ngx::ffi::{
    ngx_alloc_chain_link, ngx_buf_t, ngx_chain_t, ngx_create_temp_buf, ngx_http_core_loc_conf_t,
    ngx_http_read_client_request_body, ngx_http_request_t, ngx_int_t, ngx_palloc, ngx_pcalloc,
    ngx_pool_t, ngx_read_file, off_t,
};

use super::exports::tag;
use super::pool::{self, PoolBytes};
use super::{Request, borrowed, code, fenced, request};

impl Request<'_> {
    /// Reads the body and runs the phases again when it is complete. The returned code goes back
    /// to nginx: `code::DONE`, or a status.
    ///
    /// Order: nginx takes a reference, reads, calls `read_done` (perhaps before this returns),
    /// which runs the phases, which call our handler a second time. Our `finalize` gives the
    /// reference back.
    pub fn read_body(mut self) -> ngx_int_t {
        self.raw_mut().set_request_body_in_single_buf(1);
        // What nginx then does by itself only costs a copy.
        let _ = self.make_room();
        // SAFETY: the request is in a phase handler, as the function demands.
        let rc = unsafe { ngx_http_read_client_request_body(self.as_ptr(), Some(read_done)) };
        self.give_back_room();
        if rc >= 300 {
            return rc;
        }
        self.finalize(code::DONE);
        code::DONE
    }

    /// Lets nginx read the rest of the body right behind what came with the head. It does so only
    /// where its buffer for heads has room, so that it gets a buffer that has, as large as the one
    /// that it would make for the rest.
    fn make_room(&mut self) -> Option<()> {
        const HTTP_2: usize = 2000;
        let raw = self.raw();
        let length = usize::try_from(raw.headers_in.content_length_n).ok()?;
        // SAFETY: the core module has a configuration for every location.
        let core = unsafe {
            &*(*raw.loc_conf.add(request::core_index())).cast::<ngx_http_core_loc_conf_t>()
        };
        let most = core.client_body_buffer_size + core.client_body_buffer_size / 4;
        // SAFETY: a request whose head is read has its buffer.
        let head = unsafe { &mut *raw.header_in };
        let begun = (head.last as usize).saturating_sub(head.pos as usize);
        if raw.http_version >= HTTP_2
            || !raw.request_body.is_null()
            || raw.headers_in.chunked() != 0
            || raw.request_body_in_file_only() != 0
            || begun == 0
            || length <= begun
            || length - begun >= most
        {
            return None;
        }
        // SAFETY: the request's pool is live.
        let b = unsafe { ngx_create_temp_buf(self.pool(), length) };
        // SAFETY: null, or the new buffer.
        let room = unsafe { b.as_mut() }?;
        // SAFETY: both have `begun` bytes and do not overlap.
        unsafe { ptr::copy_nonoverlapping(head.pos, room.pos, begun) };
        // SAFETY: within the new buffer.
        room.last = unsafe { room.pos.add(begun) };
        room.tag = tag();
        room.shadow = head;
        head.pos = head.last;
        self.raw_mut().header_in = b;
        Some(())
    }

    /// The buffer for heads is nginx's own again: it outlives the request.
    fn give_back_room(&mut self) {
        // SAFETY: as in `make_room`.
        let room = unsafe { &*self.raw().header_in };
        if room.tag == tag() {
            self.raw_mut().header_in = room.shadow;
        }
    }

    /// The whole body in one piece; copied only when it is in a file or in pieces.
    pub fn body(&self) -> Option<PoolBytes> {
        let Some(body) = self.request_body() else { return Some(PoolBytes::EMPTY) };
        let chain = Links(body.bufs);
        let total: usize = chain.clone().map(|b| size(&b)).sum();
        if let Some(start) = chain.start_of_run() {
            // SAFETY: the body's buffers are in the request's pool and are not written any more.
            return Some(unsafe { PoolBytes::new(start, total) });
        }
        // SAFETY: the request's pool is live.
        let start = unsafe { ngx_palloc(self.pool(), total.max(1)) }.cast::<u8>();
        if start.is_null() {
            return None;
        }
        let mut at = start;
        for b in chain {
            let n = size(&b);
            if is_file(&b) {
                // SAFETY: `at` has room for `n` bytes; the file belongs to the request.
                let read = unsafe { ngx_read_file(b.file, at, n, b.file_pos) };
                if usize::try_from(read).ok() != Some(n) {
                    return None;
                }
            } else {
                // SAFETY: `n` bytes are readable at `pos` and there is room for them at `at`.
                unsafe { ptr::copy_nonoverlapping(b.pos, at, n) };
            }
            // SAFETY: the sum of all sizes was allocated.
            at = unsafe { at.add(n) };
        }
        // SAFETY: pool memory, completely written just now.
        Some(unsafe { PoolBytes::new(start, total) })
    }

    /// Puts `slices` in the place of the body that `proxy_pass` sends. They must live in the
    /// request's pool; short ones are copied there by [`Request::keep`].
    pub fn replace_body(&mut self, slices: &[PoolBytes]) -> Option<()> {
        let pool = self.pool();
        let mut first: *mut ngx_chain_t = ptr::null_mut();
        let mut last: *mut ngx_chain_t = ptr::null_mut();
        for slice in slices.iter().filter(|slice| !slice.is_empty()) {
            let link = link(pool, memory_buf(pool, slice)?)?;
            if last.is_null() {
                first = link;
            } else {
                // SAFETY: `last` is a link that this function has made.
                unsafe { (*last).next = link };
            }
            last = link;
        }
        let length: usize = slices.iter().map(|slice| slice.len()).sum();
        let text = pool::copy(pool, length.to_string().as_bytes())?;
        let raw = self.raw_mut();
        // SAFETY: null or the body that nginx has read.
        let body = unsafe { raw.request_body.as_mut() }?;
        body.bufs = first;
        // With a temporary file the upstream module would use `buf` as scratch memory and send
        // the file.
        body.buf = ptr::null_mut();
        body.temp_file = ptr::null_mut();
        raw.headers_in.content_length_n = length as off_t;
        // SAFETY: null or a header line of the request.
        if let Some(header) = unsafe { raw.headers_in.content_length.as_mut() } {
            header.value = borrowed(&text);
        }
        Some(())
    }

    /// Copies `text` to the request's pool.
    pub fn keep(&self, text: &[u8]) -> Option<PoolBytes> {
        pool::copy(self.pool(), text)
    }

    fn request_body(&self) -> Option<&ngx::ffi::ngx_http_request_body_t> {
        // SAFETY: null or the body that nginx has read into the request's pool.
        unsafe { self.raw().request_body.as_ref() }
    }
}

unsafe extern "C" fn read_done(r: *mut ngx_http_request_t) {
    // SAFETY: nginx calls this with the request that it has read.
    let Some(mut r) = (unsafe { Request::from_ptr(r) }) else { return };
    r.give_back_room();
    fenced("body", (), || crate::phases::body_read(r));
    // Without it a keep-alive client's body would be forgotten before the proxy sends it.
    r.raw_mut().set_preserve_body(1);
    r.run_phases();
}

/// A read-only buffer over pool memory, with `start == pos`: nginx rewinds request buffers to
/// `start` when it repeats a request.
pub(super) fn memory_buf(pool: *mut ngx_pool_t, text: &[u8]) -> Option<*mut ngx_buf_t> {
    // SAFETY: `pool` is live; zero bytes are a valid buffer.
    let b = unsafe { ngx_pcalloc(pool, size_of::<ngx_buf_t>()) }.cast::<ngx_buf_t>();
    // SAFETY: null, or the new buffer.
    let buf = unsafe { b.as_mut() }?;
    buf.start = text.as_ptr().cast_mut();
    buf.pos = buf.start;
    // SAFETY: one past the end of `text` at most.
    buf.last = unsafe { buf.start.add(text.len()) };
    buf.end = buf.last;
    buf.set_memory(1);
    Some(b)
}

/// A chain link with this buffer and nothing behind it.
pub(super) fn link(pool: *mut ngx_pool_t, b: *mut ngx_buf_t) -> Option<*mut ngx_chain_t> {
    // SAFETY: `pool` is live.
    let link = unsafe { ngx_alloc_chain_link(pool) };
    // SAFETY: null, or a link that nobody else uses.
    let new = unsafe { link.as_mut() }?;
    new.buf = b;
    new.next = ptr::null_mut();
    Some(link)
}

/// The buffers of a chain, by value: what is read of them does not change meanwhile.
#[derive(Clone)]
struct Links(*mut ngx_chain_t);

impl Links {
    /// Where the bytes of all buffers begin, if they follow each other in memory.
    fn start_of_run(&self) -> Option<*mut u8> {
        let mut links = self.clone();
        let first = links.next().filter(|b| !is_file(b))?;
        let mut end = first.last;
        let in_a_run = links.all(|b| {
            let follows = !is_file(&b) && b.pos == end;
            end = b.last;
            follows
        });
        in_a_run.then_some(first.pos)
    }
}

impl Iterator for Links {
    type Item = ngx_buf_t;

    fn next(&mut self) -> Option<ngx_buf_t> {
        // SAFETY: null, or a link of a chain that nginx keeps for the request.
        let link = unsafe { self.0.as_ref() }?;
        self.0 = link.next;
        // SAFETY: a link has a buffer.
        Some(unsafe { *link.buf })
    }
}

fn is_file(b: &ngx_buf_t) -> bool {
    b.in_file() != 0 && b.memory() == 0 && b.temporary() == 0
}

fn size(b: &ngx_buf_t) -> usize {
    if is_file(b) {
        usize::try_from(b.file_last - b.file_pos).unwrap_or(0)
    } else {
        (b.last as usize).saturating_sub(b.pos as usize)
    }
}
