//! Where is a series in shared memory, and what does it hold? A view over the zone's records, which the
//! caller has locked: a hash table whose records stand side by side, so that a scrape reads only those
//! in use, however large the zone is.

use super::Metric;
use super::buckets::BOUNDS;
use super::finished::{Add, Adds, Change};
use super::word::mixed;

/// Labels that a record holds; streaming and status share one.
pub(super) const LABELS: usize = 4;
/// A histogram's buckets, the one above all bounds, and the sum.
const VALUES: usize = BOUNDS + 2;
/// Where the sum of a histogram is.
const SUM: usize = BOUNDS + 1;
/// In the first record: additions that found no room, and how often a series was moved.
const LOST: usize = 0;
const MOVED: usize = 1;
/// Pico-units in a unit of cost; the first value counts units, the second what is left.
const UNIT_PICO: u128 = 1_000_000_000_000;

/// One series; the first record of the zone is the head of all. All zero is unused. Its layout is part
/// of the zone's version.
#[repr(C)]
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Record {
    /// The hash of family and labels; 0 is unused.
    key: u64,
    pub(super) labels: [u64; LABELS],
    /// The family's place in `FAMILIES`.
    pub(super) family: u32,
    /// Where the chain of keys begins whose home is here; 0 is nowhere.
    head: u32,
    /// Where the chain that this record is in goes on; 0 is nowhere.
    next: u32,
    /// In the first record: how many records are in use, itself included.
    used: u32,
    pub(super) values: [u64; VALUES],
}

impl Record {
    /// A counter's value.
    #[must_use]
    pub fn count(&self) -> u64 {
        self.values[0]
    }

    /// Whether it is the head of all, or unused.
    #[must_use]
    pub fn is_head(&self) -> bool {
        self.key == 0
    }

    /// The worker whose open streams it counts, if it is of that family.
    #[must_use]
    pub fn worker(&self) -> Option<u32> {
        let is_it = self.key != 0 && self.family == Metric::OpenStreams as u32;
        // What is no process id is that of no process.
        is_it.then(|| u32::try_from(self.labels[0]).unwrap_or(u32::MAX))
    }

    /// A cost's value, in pico-units.
    pub(super) fn pico(&self) -> u128 {
        u128::from(self.values[0]) * UNIT_PICO + u128::from(self.values[1])
    }

    /// A histogram's buckets, each with what is in it alone.
    pub(super) fn buckets(&self) -> &[u64] {
        self.values.get(..SUM).unwrap_or_default()
    }

    /// The sum of a histogram, in microseconds.
    pub(super) fn sum_us(&self) -> u64 {
        self.values[SUM]
    }

    fn change(&mut self, change: Change) {
        match change {
            Change::Count(by) => grow(&mut self.values[0], by),
            Change::Observe { bucket, us } => {
                if let Some(value) = self.values.get_mut(usize::from(bucket)) {
                    grow(value, 1);
                }
                grow(&mut self.values[SUM], us);
            }
            Change::Pico(pico) => {
                let (units, rest) = split(pico.saturating_add(self.values[1].into()));
                grow(&mut self.values[0], units);
                self.values[1] = rest;
            }
        }
    }
}

/// An amount as units and what is left, in pico-units.
pub(crate) fn split(pico: u128) -> (u64, u64) {
    const UNIT: u64 = 1_000_000_000_000;
    // Nearly all amounts are small, and a long division takes as long as all the rest.
    match u64::try_from(pico) {
        Ok(small) => (small / UNIT, small % UNIT),
        Err(_) => (
            u64::try_from(pico / UNIT_PICO).unwrap_or(u64::MAX),
            u64::try_from(pico % UNIT_PICO).unwrap_or(0),
        ),
    }
}

/// Counters begin anew behind the largest number, which Prometheus takes for a restart.
fn grow(value: &mut u64, by: u64) {
    *value = value.wrapping_add(by);
}

/// The records of the zone.
#[derive(Debug)]
pub struct Table<'a> {
    records: &'a mut [Record],
}

impl<'a> Table<'a> {
    /// The view; all-zero records are unused.
    #[must_use]
    pub fn new(records: &'a mut [Record]) -> Self {
        Self { records }
    }

    /// Makes all additions. What finds no room is counted in `llm_metrics_lost_total`.
    pub fn apply(&mut self, adds: &Adds) {
        for add in adds.list() {
            if !self.add(add)
                && let Some(head) = self.records.first_mut()
            {
                grow(&mut head.values[LOST], 1);
            }
        }
    }

    fn add(&mut self, add: &Add) -> bool {
        let Some(at) = self.place(add).or_else(|| self.claim(add)) else { return false };
        let Some(record) = self.records.get_mut(at) else { return false };
        record.change(add.change);
        true
    }

    /// What a counter holds now.
    #[must_use]
    pub fn count(&self, metric: Metric) -> u64 {
        let of = |record: &&Record| record.family == metric as u32;
        self.in_use().iter().filter(of).fold(0, |sum, one| sum.wrapping_add(one.count()))
    }

    /// Additions that found no room.
    #[must_use]
    pub fn lost(records: &[Record]) -> u64 {
        records.first().map_or(0, |head| head.values[LOST])
    }

    /// How many records are in use, the head of all included: a copy needs no more.
    #[must_use]
    pub fn extent(records: &[Record]) -> usize {
        let used = records.first().map_or(0, |head| head.used);
        usize::try_from(used).unwrap_or(0).max(1).min(records.len())
    }

    /// How often a series got another place. A copy that was made in parts may lack one, or have it twice,
    /// if this has changed meanwhile.
    #[must_use]
    pub fn moved(records: &[Record]) -> u64 {
        records.first().map_or(0, |head| head.values[MOVED])
    }

    /// Streams under way in one worker; its counter must be [`Table::forget_streams`]-ed when the
    /// worker begins, because process ids are used again.
    pub fn streams(&mut self, pid: u32, opened: u64, closed: u64) {
        let add = streams_of(pid);
        let Some(at) = self.place(&add).or_else(|| self.claim(&add)) else { return };
        if let Some(record) = self.records.get_mut(at) {
            record.values[0] = record.values[0].saturating_add(opened).saturating_sub(closed);
        }
    }

    /// Streams under way in all workers that are alive, by a copy of the records; `is_dead` is told who is
    /// not and had some.
    pub fn open_streams(
        copy: &[Record],
        is_alive: impl Fn(u32) -> bool,
        mut is_dead: impl FnMut(u32),
    ) -> u64 {
        let mut open = 0_u64;
        for record in copy.iter().filter(|record| record.count() > 0) {
            match record.worker() {
                Some(pid) if is_alive(pid) => open = open.saturating_add(record.count()),
                Some(pid) => is_dead(pid),
                None => {}
            }
        }
        open
    }

    /// A worker begins, or is no more: no stream is under way in it.
    pub fn forget_streams(&mut self, pid: u32) {
        let add = streams_of(pid);
        if let Some(record) = self.place(&add).and_then(|at| self.records.get_mut(at)) {
            record.values[0] = 0;
        }
    }

    /// Frees the place of a series, into which the last one moves. A reload does so with what the new
    /// configuration does not name, one by one, so that a zone does not fill up with what was. Old workers
    /// may go on: they look each series up anew.
    pub fn remove(&mut self, series: &Record) {
        let add = Add {
            key: series.key,
            family: series.family,
            labels: series.labels,
            change: Change::Count(0),
        };
        let Some(at) = self.place(&add) else { return };
        let last = self.used() - 1;
        let Some(gone) = self.records.get(at) else { return };
        self.relink(series.key, at, gone.next);
        // Read only now: it may have pointed to the one that is gone.
        if at != last
            && let Some(&moved) = self.records.get(last)
        {
            self.put(at, moved);
            self.relink(moved.key, last, u32::try_from(at).unwrap_or(0));
        }
        self.put(last, Record::default());
        if let Some(head) = self.records.first_mut() {
            head.used = u32::try_from(last).unwrap_or(0);
            grow(&mut head.values[MOVED], 1);
        }
    }

    /// Puts a series into a place, where the chain that begins there belongs to others.
    fn put(&mut self, at: usize, series: Record) {
        if let Some(place) = self.records.get_mut(at) {
            *place = Record { head: place.head, ..series };
        }
    }

    /// Whoever points to one place in the chain of a key points to another from now on.
    fn relink(&mut self, key: u64, from: usize, to: u32) {
        let Ok(from) = u32::try_from(from) else { return };
        let home = self.home(key);
        let Some(home) = self.records.get_mut(home) else { return };
        if home.head == from {
            home.head = to;
            return;
        }
        let mut at = home.head;
        for _ in 0..self.records.len() {
            let Some(record) = usize::try_from(at).ok().and_then(|at| self.records.get_mut(at))
            else {
                return;
            };
            if at == 0 || record.next == from {
                record.next = if at == 0 { record.next } else { to };
                return;
            }
            at = record.next;
        }
    }

    fn used(&self) -> usize {
        Self::extent(self.records).max(1)
    }

    fn in_use(&self) -> &[Record] {
        self.records.get(1..self.used()).unwrap_or_default()
    }

    fn home(&self, key: u64) -> usize {
        scaled(key, self.records.len())
    }

    fn place(&self, add: &Add) -> Option<usize> {
        let mut at = self.records.get(self.home(add.key))?.head;
        // A chain that a killed worker left half made must not hold the lock for ever.
        for _ in 0..self.records.len() {
            if at == 0 {
                return None;
            }
            let record = self.records.get(usize::try_from(at).ok()?)?;
            if record.key == add.key {
                return usize::try_from(at).ok();
            }
            at = record.next;
        }
        None
    }

    fn claim(&mut self, add: &Add) -> Option<usize> {
        let (at, home) = (self.used(), self.home(add.key));
        let number = u32::try_from(at).ok()?;
        let next = self.records.get(home)?.head;
        self.records.get(at)?;
        let (key, labels, family) = (add.key, add.labels, add.family);
        self.put(at, Record { key, labels, family, next, ..Record::default() });
        // First taken, then linked: a worker killed in between leaves an empty record, not a loop.
        self.records.first_mut()?.used = number + 1;
        self.records.get_mut(home)?.head = number;
        Some(at)
    }
}

fn streams_of(pid: u32) -> Add {
    Add::new(Metric::OpenStreams, [pid.into(), 0, 0, 0], Change::Count(0))
}

/// A place below `len` for a hash, without a division.
pub(crate) fn scaled(key: u64, len: usize) -> usize {
    usize::try_from((u128::from(key) * len as u128) >> 64).unwrap_or(0)
}

impl Add {
    /// An addition to a series.
    pub(super) fn new(metric: Metric, labels: [u64; LABELS], change: Change) -> Self {
        let family = metric as u32;
        // Labels have places of their own: from "a" to "b" is not from "b" to "a".
        let key = labels.iter().fold(u64::from(family) + 1, |key, &label| mixed(key ^ label));
        Self { key: key.max(1), family, labels, change }
    }
}

#[cfg(test)]
mod tests;
