//! The response body on its way to the client: each buffer is shown to `filter`, which says which
//! bytes go on; those it keeps go on in nginx's own buffer, without a copy.

use std::cell::{Cell, RefCell};
use std::ops::Range;
use std::ptr;

use llm_core::stream::Sink;
use ngx::ffi::{
    ngx_buf_t, ngx_chain_get_free_buf, ngx_chain_t, ngx_chain_update_chains, ngx_int_t, ngx_palloc,
    ngx_pool_t,
};

use super::body::link;
use super::exports::{NEXT_BODY_FILTER, tag};
use super::{Request, code};
use crate::ctx::RequestCtx;
use crate::filter::{self, Chunk, LastBuffer};

/// Buffers of ours in one response: a free list, so that a long stream needs no more memory than
/// a short one, and what is on its way.
pub struct Output {
    free: Cell<*mut ngx_chain_t>,
    busy: Cell<*mut ngx_chain_t>,
    pieces: RefCell<Pieces>,
}

impl Default for Output {
    fn default() -> Self {
        let null = ptr::null_mut();
        Self { free: Cell::new(null), busy: Cell::new(null), pieces: RefCell::default() }
    }
}

/// What goes on of one buffer, in order.
#[derive(Default)]
pub struct Pieces {
    order: Vec<Piece>,
    own: Vec<u8>,
}

enum Piece {
    /// Bytes of the buffer itself.
    Pass(Range<usize>),
    /// Bytes of `own`.
    Own(Range<usize>),
}

impl Sink for Pieces {
    fn pass(&mut self, range: Range<usize>) {
        if let Some(Piece::Pass(last)) = self.order.last_mut()
            && last.end == range.start
        {
            last.end = range.end;
        } else if !range.is_empty() {
            self.order.push(Piece::Pass(range));
        }
    }

    fn own(&mut self, bytes: &[u8]) {
        let start = self.own.len();
        self.own.extend_from_slice(bytes);
        if let Some(Piece::Own(last)) = self.order.last_mut() {
            last.end = self.own.len();
        } else if !bytes.is_empty() {
            self.order.push(Piece::Own(start..self.own.len()));
        }
    }
}

impl Pieces {
    /// Nothing of the buffer goes on.
    pub fn drop_all(&mut self) {
        self.order.clear();
    }

    fn clear(&mut self) {
        self.order.clear();
        self.own.clear();
        // One large event must not hold its memory for the rest of the stream.
        self.own.shrink_to(64 * 1024);
    }

    /// Whether the whole buffer of `len` bytes goes on as it is.
    fn is_unchanged(&self, len: usize) -> bool {
        match self.order.as_slice() {
            [] => len == 0,
            [Piece::Pass(range)] => *range == (0..len),
            _ => false,
        }
    }

    /// The longest run of the buffer's own bytes: it stays where it is, the others are copied.
    fn longest_pass(&self) -> Option<usize> {
        let length = |piece: &Piece| match piece {
            Piece::Pass(range) => range.len(),
            Piece::Own(_) => 0,
        };
        let passes = self.order.iter().enumerate().filter(|(_, piece)| length(piece) > 0);
        passes.max_by_key(|(_, piece)| length(piece)).map(|(index, _)| index)
    }
}

/// A chain under construction.
struct Chain {
    first: *mut ngx_chain_t,
    last: *mut ngx_chain_t,
}

impl Chain {
    fn push(&mut self, link: *mut ngx_chain_t) {
        if self.last.is_null() {
            self.first = link;
        } else {
            // SAFETY: `last` was pushed before and is in the request's pool.
            unsafe { (*self.last).next = link };
        }
        self.last = link;
    }
}

/// The body filter's work for a request that the gateway answers.
pub(super) fn body_filter(
    r: Request<'_>,
    ctx: &RequestCtx,
    input: *mut ngx_chain_t,
) -> Option<ngx_int_t> {
    let output = &ctx.output;
    let mut chain = Chain { first: ptr::null_mut(), last: ptr::null_mut() };
    let mut cl = input;
    let mut ended = false;
    // SAFETY: null, or a link of the chain that nginx passes.
    while let Some(link) = unsafe { cl.as_ref() } {
        cl = link.next;
        // SAFETY: a link has a buffer.
        ended |= unsafe { (*link.buf).last_buf() } != 0;
        one_buffer(r, ctx, link.buf, &mut chain)?;
    }
    if ctx.client_gone.get() {
        // At the end nobody is left to wait for: the unsent bytes would hold the request.
        let over = ended || ctx.attempt.finished.get().is_some();
        return Some(if over { code::ERROR } else { code::OK });
    }
    let rc = next(r, chain.first);
    let (mut free, mut busy, mut out) = (output.free.get(), output.busy.get(), chain.first);
    // SAFETY: all three chains are of links and buffers in the request's pool.
    unsafe {
        ngx_chain_update_chains(r.pool(), &raw mut free, &raw mut busy, &raw mut out, tag());
    }
    output.free.set(free);
    output.busy.set(busy);
    Some(rc)
}

/// Sends `bytes` to the client now, past our own filter.
pub fn send_now(r: Request<'_>, ctx: &RequestCtx, bytes: &[u8]) -> ngx_int_t {
    let mut chain = Chain { first: ptr::null_mut(), last: ptr::null_mut() };
    let Some(b) = own_buf(r.pool(), &ctx.output, bytes) else { return code::ERROR };
    // SAFETY: `own_buf` has made the link and its buffer.
    unsafe { (*(*b).buf).set_flush(1) };
    chain.push(b);
    ctx.passing.set(true);
    // SAFETY: the request is live, and its head has been sent.
    let rc = unsafe { ngx::ffi::ngx_http_output_filter(r.as_ptr(), chain.first) };
    ctx.passing.set(false);
    let output = &ctx.output;
    let (mut free, mut busy, mut out) = (output.free.get(), output.busy.get(), chain.first);
    // SAFETY: as in `body_filter`.
    unsafe {
        ngx_chain_update_chains(r.pool(), &raw mut free, &raw mut busy, &raw mut out, tag());
    }
    output.free.set(free);
    output.busy.set(busy);
    rc
}

/// The client is gone: what waits for it counts as sent, so that nginx reads on.
pub fn forget_unsent(r: Request<'_>) {
    let Some(upstream) = r.upstream() else { return };
    for mut cl in upstream.unsent() {
        // SAFETY: null, or a link of nginx's own chain in the request's pool.
        while let Some(link) = unsafe { cl.as_ref() } {
            // SAFETY: a link has a buffer.
            let b = unsafe { &mut *link.buf };
            b.pos = b.last;
            cl = link.next;
        }
    }
}

/// Lets nginx send what waits for a slow client.
pub fn flush(r: Request<'_>) -> ngx_int_t {
    // SAFETY: the request is live.
    unsafe { ngx::ffi::ngx_http_output_filter(r.as_ptr(), ptr::null_mut()) }
}

fn next(r: Request<'_>, chain: *mut ngx_chain_t) -> ngx_int_t {
    match NEXT_BODY_FILTER.get() {
        // SAFETY: the filter that was on top before ours.
        Some(next) => unsafe { next(r.as_ptr(), chain) },
        None => code::ERROR,
    }
}

fn one_buffer(
    r: Request<'_>,
    ctx: &RequestCtx,
    buf: *mut ngx_buf_t,
    chain: &mut Chain,
) -> Option<()> {
    // SAFETY: a link has a buffer, and nobody else borrows it during the filter.
    let b = unsafe { &mut *buf };
    let len = (b.last as usize).saturating_sub(b.pos as usize);
    let text = if len == 0 {
        &[]
    } else {
        // SAFETY: nginx has filled `pos..last`; the header filter asked for memory buffers.
        unsafe { std::slice::from_raw_parts(b.pos, len) }
    };
    let mut pieces = ctx.output.pieces.borrow_mut();
    pieces.clear();
    let ends = b.last_buf() != 0;
    let chunk = Chunk { text, ends, flushes: b.flush() != 0 };
    let last = filter::feed(r, ctx, &chunk, &mut pieces);
    if pieces.is_unchanged(len) && last == LastBuffer::Keep {
        chain.push(link(r.pool(), buf)?);
        return Some(());
    }
    if ctx.client_gone.get() {
        // Read for its usage only.
        b.pos = b.last;
        return Some(());
    }
    let special = ends || b.flush() != 0 || b.sync() != 0 || b.last_in_chain() != 0;
    let stays = pieces.longest_pass();
    let start = b.pos;
    // What is not passed on counts as sent: nginx may use the buffer again.
    b.pos = b.last;
    b.file_pos = b.file_last;
    let before = chain.last;
    for (index, piece) in pieces.order.iter().enumerate() {
        match piece {
            Piece::Pass(range) if stays == Some(index) => {
                // SAFETY: `range` lies within the buffer's `len` bytes.
                b.pos = unsafe { start.add(range.start) };
                // SAFETY: as above.
                b.last = unsafe { start.add(range.end) };
                chain.push(link(r.pool(), buf)?);
            }
            Piece::Pass(range) => {
                chain.push(own_buf(r.pool(), &ctx.output, text.get(range.clone())?)?);
            }
            Piece::Own(range) => {
                chain.push(own_buf(r.pool(), &ctx.output, pieces.own.get(range.clone())?)?);
            }
        }
    }
    let nothing_left = ptr::eq(before, chain.last);
    if nothing_left && len > 0 && !ends && last != LastBuffer::Add {
        return Some(());
    }
    if nothing_left {
        // Only the marks go on. A data buffer must not be empty, so they get one of ours.
        let empty = if len == 0 { link(r.pool(), buf)? } else { mark_buf(r, ctx)? };
        chain.push(empty);
    }
    // SAFETY: the chain has at least one link now, in the request's pool.
    let tail = unsafe { &mut *(*chain.last).buf };
    if special {
        let (flush, in_chain) = (b.flush(), b.last_in_chain());
        b.set_last_buf(0);
        tail.set_last_buf(u32::from(ends && last != LastBuffer::Swallow));
        tail.set_flush(tail.flush() | flush | u32::from(last == LastBuffer::Swallow));
        tail.set_last_in_chain(in_chain);
    }
    if last == LastBuffer::Add {
        tail.set_last_buf(1);
        tail.set_last_in_chain(1);
    }
    Some(())
}

/// A buffer of ours that carries marks only.
fn mark_buf(r: Request<'_>, ctx: &RequestCtx) -> Option<*mut ngx_chain_t> {
    let link = own_buf(r.pool(), &ctx.output, &[])?;
    // SAFETY: `own_buf` has made the link and its buffer.
    unsafe { (*(*link).buf).set_temporary(0) };
    Some(link)
}

/// A buffer of ours with a copy of `bytes`, from the free list if there is one.
fn own_buf(pool: *mut ngx_pool_t, output: &Output, bytes: &[u8]) -> Option<*mut ngx_chain_t> {
    let mut free = output.free.get();
    // SAFETY: the free list holds links of the request's pool.
    let link = unsafe { ngx_chain_get_free_buf(pool, &raw mut free) };
    output.free.set(free);
    // SAFETY: null, or a link that nobody else uses.
    let new = unsafe { link.as_mut() }?;
    new.next = ptr::null_mut();
    // SAFETY: the link has a buffer, zeroed or left over from an earlier use of ours.
    let b = unsafe { &mut *new.buf };
    let capacity = (b.end as usize).saturating_sub(b.start as usize);
    if capacity < bytes.len() {
        let size = bytes.len().next_power_of_two().max(1024);
        // SAFETY: the request's pool is live.
        let memory = unsafe { ngx_palloc(pool, size) }.cast::<u8>();
        if memory.is_null() {
            return None;
        }
        b.start = memory;
        // SAFETY: one past the end of the allocation.
        b.end = unsafe { memory.add(size) };
    }
    if !bytes.is_empty() {
        // SAFETY: the buffer has room for `bytes`, which it does not overlap.
        unsafe { ptr::copy_nonoverlapping(bytes.as_ptr(), b.start, bytes.len()) };
    }
    b.pos = b.start;
    // SAFETY: within the buffer.
    b.last = unsafe { b.start.add(bytes.len()) };
    b.tag = tag();
    b.set_temporary(1);
    b.set_flush(0);
    b.set_last_buf(0);
    b.set_last_in_chain(0);
    b.set_sync(0);
    Some(link)
}
