//! The shared zone of limits and budgets, and this worker's name in it.

use std::cell::RefCell;
use std::ops::Range;
use std::path::PathBuf;

use llm_core::ratelimit::{Budget, Clerk, Owner, Record, Table};

use crate::ffi::shm::Zone;
use crate::ffi::thread::with_nginx;
use crate::ffi::{Request, process, unix_ms};

/// Slots that are looked through with the zone locked once.
const CHUNK: usize = 256;

/// The zone and where its checkpoint is.
#[derive(Clone)]
pub struct Board {
    /// The records.
    pub zone: Zone<Record>,
    /// The checkpoint's file; none where `llm_ratelimit_state` is off.
    pub state: Option<PathBuf>,
}

thread_local! {
    // A worker serves requests on one thread; made after the fork, so that no two share a name.
    static OWNER: RefCell<Owner> = RefCell::new(Owner::new(own_id()));
}

/// Our process's id below, and above what tells it from another one that has the same later.
fn own_id() -> u64 {
    const PID_BITS: u32 = 32;
    u64::from(std::process::id()) | (unix_ms() << PID_BITS)
}

fn is_alive(id: u64) -> bool {
    process::is_alive(id as u32)
}

/// Runs `work`, which locks the zone for each record that it changes; `None` where there is no zone.
pub(super) fn clerk<R>(r: Request<'_>, work: impl FnOnce(&mut Clerk<'_>) -> R) -> Option<R> {
    let zone = r.main_conf().limits.as_ref()?.zone;
    OWNER.with_borrow_mut(|owner| {
        let mut change = |work: &mut dyn FnMut(&mut Table<'_>)| {
            with_table(zone, work);
        };
        Some(work(&mut Clerk::new(&mut change, owner, unix_ms())))
    })
}

/// Runs `work` once with the zone locked.
pub fn with_table<R>(zone: Zone<Record>, work: impl FnOnce(&mut Table<'_>) -> R) -> Option<R> {
    zone.locked(|records: &mut [Record]| work(&mut Table::new(records)))
}

/// All slots, in parts for each of which the zone may be locked.
pub fn parts(zone: Zone<Record>) -> impl Iterator<Item = Range<usize>> {
    let slots = with_nginx(|| with_table(zone, |table| table.len())).flatten().unwrap_or(0);
    (0..slots).step_by(CHUNK).map(move |start| start..(start + CHUNK).min(slots))
}

/// Calls `work` for all slots, a part at a time; from a thread, too, until the worker ends.
fn in_parts(zone: Zone<Record>, mut work: impl FnMut(&mut Table<'_>, Range<usize>)) {
    for slots in parts(zone) {
        with_nginx(|| with_table(zone, |table| work(table, slots)));
    }
}

/// The budgets that are wanted; from a thread, too, until the worker ends.
pub fn budgets(zone: Zone<Record>, wants: impl Fn(&Budget) -> bool) -> Vec<Budget> {
    let mut budgets = Vec::new();
    for slots in parts(zone) {
        // Nothing is allocated under the lock.
        budgets.reserve(slots.len());
        with_nginx(|| {
            with_table(zone, |table| {
                budgets.extend(slots.filter_map(|slot| table.budget(slot)).filter(&wants));
            })
        });
    }
    budgets
}

/// Gives back what workers hold that have died.
pub fn sweep(zone: Zone<Record>) {
    let mut owners = Vec::new();
    for slots in parts(zone) {
        owners.reserve(slots.len());
        with_table(zone, |table| table.owners(slots, &mut owners));
    }
    owners.retain(|id| !is_alive(*id));
    if !owners.is_empty() {
        in_parts(zone, |table, slots| {
            table.sweep(slots, |id| !owners.contains(&id), unix_ms());
        });
    }
}
