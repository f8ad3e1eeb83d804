//! Shared memory: one zone is a table of fixed-size integer records behind a header, under the
//! zone's own mutex, which nginx frees when a worker dies with it.

use std::ffi::c_void;
use std::marker::PhantomData;
use std::ptr::{self, NonNull};

use llm_core::{health, metrics, ratelimit, status};
use ngx::ffi::{
    ngx_conf_t, ngx_int_t, ngx_pagesize, ngx_shared_memory_add, ngx_shm_zone_t, ngx_shmtx_lock,
    ngx_shmtx_t, ngx_shmtx_unlock, ngx_slab_alloc, ngx_slab_pool_t,
};

use super::{Level, borrowed, code, exports, fenced};

/// Records that may live in shared memory: integers only, all zero is "unused".
///
/// # Safety
/// Every bit pattern must be a valid value, and the type must hold no pointer.
pub unsafe trait Plain: Copy {
    /// Changes whenever the meaning of a byte does; a zone with another one is started afresh.
    const LAYOUT: u64;
}

// SAFETY: a repr(C) struct of integers.
unsafe impl Plain for health::Record {
    const LAYOUT: u64 = 0x6c6c_6d68_0000_0004;
}

// SAFETY: a repr(C) struct of integers.
unsafe impl Plain for ratelimit::Record {
    const LAYOUT: u64 = 0x6c6c_6d72_0000_0001;
}

// SAFETY: a repr(C) struct of integers.
unsafe impl Plain for metrics::Record {
    const LAYOUT: u64 = 0x6c6c_6d6d_0000_0001;
}

// SAFETY: a repr(C) struct of integers.
unsafe impl Plain for status::Cell {
    const LAYOUT: u64 = 0x6c6c_6d63_0000_0001;
}

// SAFETY: a repr(C) struct of integers and arrays of them; text is checked when it is read.
unsafe impl Plain for status::Entry {
    const LAYOUT: u64 = 0x6c6c_6d65_0000_0001;
}

// SAFETY: a repr(C) struct of integers.
unsafe impl Plain for status::WorkerNote {
    const LAYOUT: u64 = 0x6c6c_6d77_0000_0001;
}

/// A zone of `T` records; a plain handle, valid as long as its configuration.
pub struct Zone<T> {
    raw: NonNull<ngx_shm_zone_t>,
    records: PhantomData<T>,
}

impl<T> Clone for Zone<T> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<T> Copy for Zone<T> {}

// SAFETY: a zone is one piece of memory for all processes; its mutex serves threads as well.
unsafe impl<T: Plain> Send for Zone<T> {}

#[repr(C)]
struct Header {
    layout: u64,
    capacity: u64,
}

impl<T: Plain> Zone<T> {
    /// Asks nginx for the zone while the configuration is read; an error where something else has its name.
    pub(super) fn add(cf: *mut ngx_conf_t, name: &str, bytes: usize) -> Result<Self, String> {
        Self::try_add(cf, name, bytes).ok_or_else(|| {
            format!("the zone \"{name}\" cannot be added, give it a name of its own")
        })
    }

    fn try_add(cf: *mut ngx_conf_t, name: &str, bytes: usize) -> Option<Self> {
        // The name lives in the zone's record, so it must live as long as the configuration.
        // SAFETY: nginx reads the configuration into this pool.
        let name = super::pool::copy(unsafe { (*cf).pool }, name.as_bytes())?;
        let mut name = borrowed(&name);
        // SAFETY: the tag is our module's address, which no other module has.
        let zone = unsafe { ngx_shared_memory_add(cf, &raw mut name, bytes, exports::tag()) };
        let mut raw = NonNull::new(zone)?;
        // SAFETY: nginx has just made or found it.
        let found = unsafe { raw.as_mut() };
        // All our zones have the same tag: nginx cannot tell one from another.
        if found.init.is_some() {
            return None;
        }
        found.init = Some(init_zone::<T>);
        Some(Self { raw, records: PhantomData })
    }

    /// Runs `work` on the records with the zone locked: no allocation, log or panic in it. `None`
    /// when the zone was not created.
    pub fn locked<R>(&self, work: impl FnOnce(&mut [T]) -> R) -> Option<R> {
        // SAFETY: nginx sets `data` in `init_zone` before any request.
        let header = NonNull::new(unsafe { self.raw.as_ref() }.data.cast::<Header>())?;
        // SAFETY: the zone begins with nginx's slab pool.
        let pool = unsafe { self.raw.as_ref() }.shm.addr.cast::<ngx_slab_pool_t>();
        // SAFETY: as above; the mutex lives as long as the zone.
        let _guard = Guard::lock(unsafe { &raw mut (*pool).mutex });
        // SAFETY: `init_zone` wrote the header.
        let capacity = unsafe { header.as_ref() }.capacity as usize;
        // SAFETY: `init_zone` reserved so many records behind the header, zeroed; the lock makes
        // this the only reference to them.
        let records =
            unsafe { std::slice::from_raw_parts_mut(header.as_ptr().add(1).cast::<T>(), capacity) };
        Some(work(records))
    }
}

impl<T: Plain + Default> Zone<T> {
    /// Shows `see` a copy of the first records, a part at a time; `used` says under the lock how many they
    /// are. The lock is held for one part's copy, and `see` runs without it: it may allocate.
    pub fn visit(&self, used: impl Fn(&[T]) -> usize, mut see: impl FnMut(&[T])) {
        /// What is copied with the zone locked once takes some microseconds.
        const PART_BYTES: usize = 32 << 10;
        const { assert!(size_of::<T>() > 0, "parts are of records that have a size") };
        // Written now, so that no page is fetched under the lock.
        let mut part = vec![T::default(); (PART_BYTES / size_of::<T>()).max(1)];
        let mut from = 0;
        loop {
            let copied = self.locked(|records| {
                let rest = records.get(..used(records)).and_then(|used| used.get(from..));
                let rest = rest.unwrap_or_default();
                let len = rest.len().min(part.len());
                if let (Some(to), Some(rest)) = (part.get_mut(..len), rest.get(..len)) {
                    to.copy_from_slice(rest);
                }
                len
            });
            match copied.and_then(|len| part.get(..len)) {
                None | Some([]) => return,
                Some(copied) => {
                    see(copied);
                    from += copied.len();
                }
            }
        }
    }

    /// A copy of those of the first records that are wanted, made as [`Zone::visit`] does.
    pub fn copied(&self, used: impl Fn(&[T]) -> usize, wants: impl Fn(&T) -> bool) -> Vec<T> {
        let mut copy = Vec::new();
        self.visit(used, |part| copy.extend(part.iter().filter(|one| wants(one)).copied()));
        copy
    }
}

/// Holds a zone's mutex, also when the work unwinds.
struct Guard(*mut ngx_shmtx_t);

impl Guard {
    fn lock(mutex: *mut ngx_shmtx_t) -> Self {
        // SAFETY: the mutex of a live zone.
        unsafe { ngx_shmtx_lock(mutex) };
        Self(mutex)
    }
}

impl Drop for Guard {
    fn drop(&mut self) {
        // SAFETY: locked in `lock`.
        unsafe { ngx_shmtx_unlock(self.0) };
    }
}

unsafe extern "C" fn init_zone<T: Plain>(zone: *mut ngx_shm_zone_t, old: *mut c_void) -> ngx_int_t {
    fenced("init zone", code::ERROR, || {
        // SAFETY: nginx passes the zone that `add` registered.
        let zone = unsafe { &mut *zone };
        // The same zone of the configuration before: a reload keeps what it holds.
        // SAFETY: null, or a header that this function wrote.
        let kept = unsafe { old.cast::<Header>().as_ref() };
        match kept {
            None => {}
            Some(header) if header.layout == T::LAYOUT => {
                zone.data = old;
                return code::OK;
            }
            Some(_) => {
                super::log(
                    Level::Error,
                    "llm: a zone has another meaning than before: give it another name, or restart nginx",
                );
                return code::ERROR;
            }
        }
        let pool = zone.shm.addr.cast::<ngx_slab_pool_t>();
        if zone.shm.exists != 0 {
            // SAFETY: an existing zone has its slab pool.
            zone.data = unsafe { (*pool).data };
            return code::OK;
        }
        match create::<T>(pool) {
            Some(header) => {
                // SAFETY: nginx has initialised the slab pool.
                unsafe { (*pool).data = header.as_ptr().cast() };
                zone.data = header.as_ptr().cast();
                code::OK
            }
            None => code::ERROR,
        }
    })
}

/// One allocation of as many records as the zone's free pages hold.
fn create<T: Plain>(pool: *mut ngx_slab_pool_t) -> Option<NonNull<Header>> {
    const { assert!(align_of::<T>() <= 8, "records follow a header of 16 bytes") };
    // SAFETY: nginx has initialised the slab pool; the page size is a plain number.
    let free = unsafe { (*pool).pfree * ngx_pagesize };
    let capacity = free.saturating_sub(size_of::<Header>()) / size_of::<T>();
    let bytes = size_of::<Header>() + capacity * size_of::<T>();
    // SAFETY: as above.
    let memory = unsafe { ngx_slab_alloc(pool, bytes) };
    let header = NonNull::new(memory.cast::<Header>())?;
    // SAFETY: the slab gave `bytes` bytes.
    unsafe { ptr::write_bytes(memory.cast::<u8>(), 0, bytes) };
    // SAFETY: as above.
    unsafe { header.write(Header { layout: T::LAYOUT, capacity: capacity as u64 }) };
    Some(header)
}
