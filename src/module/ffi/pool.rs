//! Memory in an nginx pool: who owns it, and what runs when the pool goes.

use std::ffi::c_void;
use std::ops::Deref;
use std::ptr::{self, NonNull};

use ngx::ffi::{ngx_palloc, ngx_pnalloc, ngx_pool_cleanup_add, ngx_pool_t};

/// Bytes that live in a request's pool, at a fixed place, until that pool is destroyed.
///
/// Kept only in places that are destroyed with the same pool (the request's context).
#[derive(Clone, Copy)]
pub struct PoolBytes {
    start: NonNull<u8>,
    len: usize,
}

impl PoolBytes {
    /// No bytes.
    pub const EMPTY: Self = Self { start: NonNull::dangling(), len: 0 };

    /// # Safety
    /// The memory must belong to the request's pool or its configuration, and not change any more.
    pub(super) unsafe fn new(start: *mut u8, len: usize) -> Self {
        NonNull::new(start).map_or(Self::EMPTY, |start| Self { start, len })
    }
}

impl PoolBytes {
    /// A part of the bytes; the empty one where the range is out of bounds.
    pub fn slice(&self, range: std::ops::Range<usize>) -> Self {
        let len = range.len();
        match self.get(range) {
            // SAFETY: a part of pool memory is pool memory.
            Some(part) => unsafe { Self::new(part.as_ptr().cast_mut(), len) },
            None => Self::EMPTY,
        }
    }
}

impl Deref for PoolBytes {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        // SAFETY: `new` demands memory that outlives the request, and values are dropped with it.
        unsafe { std::slice::from_raw_parts(self.start.as_ptr(), self.len) }
    }
}

/// Copies `text` to `pool`, with a zero behind it: some of nginx's parsers look for one, whatever
/// the length says. `None` when memory is out.
pub(super) fn copy(pool: *mut ngx_pool_t, text: &[u8]) -> Option<PoolBytes> {
    // SAFETY: `pool` is the live pool of a request or a configuration.
    let start = unsafe { ngx_pnalloc(pool, text.len() + 1) }.cast::<u8>();
    let start = NonNull::new(start)?;
    // SAFETY: the allocation has `text.len()` bytes and one more, and overlaps nothing.
    unsafe {
        ptr::copy_nonoverlapping(text.as_ptr(), start.as_ptr(), text.len());
        start.add(text.len()).write(0);
    };
    Some(PoolBytes { start, len: text.len() })
}

/// Copies `parts` to `pool`, one behind the other; `None` when memory is out.
pub(super) fn concat<const N: usize>(
    pool: *mut ngx_pool_t,
    parts: [&[u8]; N],
) -> Option<PoolBytes> {
    let len = parts.iter().map(|part| part.len()).sum::<usize>();
    // SAFETY: `pool` is the live pool of a request or a configuration.
    let start = NonNull::new(unsafe { ngx_pnalloc(pool, len.max(1)) }.cast::<u8>())?;
    let mut at = start.as_ptr();
    for part in parts {
        // SAFETY: the allocation has room for the sum of all parts and overlaps none.
        unsafe { ptr::copy_nonoverlapping(part.as_ptr(), at, part.len()) };
        // SAFETY: one past the end of the allocation at most.
        at = unsafe { at.add(part.len()) };
    }
    Some(PoolBytes { start, len })
}

/// Moves `value` to `pool`; it is dropped when the pool is destroyed.
pub(super) fn place<T>(pool: *mut ngx_pool_t, value: T) -> Option<NonNull<T>> {
    const { assert!(align_of::<T>() <= 8, "nginx aligns small pieces of a pool to 8 bytes") };
    // SAFETY: `pool` is the live pool of a request or a configuration.
    let slot = unsafe { ngx_palloc(pool, size_of::<T>().max(1)) }.cast::<T>();
    let slot = NonNull::new(slot)?;
    // SAFETY: as above; size 0 reserves only the cleanup record.
    let cleanup = NonNull::new(unsafe { ngx_pool_cleanup_add(pool, 0) })?;
    // SAFETY: `slot` is unused memory of the right size and alignment.
    unsafe { slot.write(value) };
    // SAFETY: nginx has just allocated the record and nobody else has seen it.
    let cleanup = unsafe { &mut *cleanup.as_ptr() };
    cleanup.data = slot.as_ptr().cast::<c_void>();
    cleanup.handler = Some(drop_in_place::<T>);
    Some(slot)
}

/// Finds a value that `place` has moved to `pool`.
pub(super) fn find<T>(pool: *mut ngx_pool_t) -> Option<NonNull<T>> {
    // SAFETY: `pool` is live, and so is its list of cleanup records.
    let mut cleanup = unsafe { (*pool).cleanup };
    while let Some(record) = NonNull::new(cleanup) {
        // SAFETY: records belong to the pool.
        let record = unsafe { record.as_ref() };
        if record.handler.map(|f| f as usize) == Some(drop_in_place::<T> as *const () as usize) {
            return NonNull::new(record.data.cast::<T>());
        }
        cleanup = record.next;
    }
    None
}

unsafe extern "C" fn drop_in_place<T>(data: *mut c_void) {
    super::fenced("cleanup", (), || {
        // SAFETY: `place` registered this record with a valid, owned T; nginx runs it once.
        unsafe { ptr::drop_in_place(data.cast::<T>()) };
    });
}
