//! Where is a series in shared memory, and what does it hold? A view over the zone's records, which the
//! caller has locked: a hash table whose records stand side by side, so that a scrape reads only those
//! in use, however large the zone is.

use super::buckets::BOUNDS;
use super::finished::{Add, Adds, Change};
use super::word::mixed;
use super::{Layout, Metric};

/// Labels that a record holds; streaming and status share one.
pub(super) const LABELS: usize = 4;
/// A histogram's buckets, the one above all bounds, and the sum.
const VALUES: usize = BOUNDS + 2;
/// Where the sum of a histogram is.
const SUM: usize = BOUNDS + 1;
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
                grow(&mut head.values[0], 1);
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
    pub fn lost(&self) -> u64 {
        self.records.first().map_or(0, Record::count)
    }

    /// A copy of every series, for a scrape.
    #[must_use]
    pub fn snapshot(&self) -> Vec<Record> {
        self.in_use().to_vec()
    }

    /// Streams under way in one worker; its counter must be [`Table::forget_streams`]-ed when the
    /// worker begins, because process ids are used again.
    pub fn streams(&mut self, pid: u32, opened: u64, closed: u64) {
        let add = Add::new(Metric::OpenStreams, [pid.into(), 0, 0, 0], Change::Count(0));
        let Some(at) = self.place(&add).or_else(|| self.claim(&add)) else { return };
        if let Some(record) = self.records.get_mut(at) {
            record.values[0] = record.values[0].saturating_add(opened).saturating_sub(closed);
        }
    }

    /// Streams under way in all workers that are alive; those of dead ones are forgotten.
    pub fn open_streams(&mut self, is_alive: impl Fn(u32) -> bool) -> u64 {
        let mut open = 0_u64;
        for record in self.in_use_mut() {
            if record.family == Metric::OpenStreams as u32 {
                if !u32::try_from(record.labels[0]).is_ok_and(&is_alive) {
                    record.values[0] = 0;
                }
                open = open.saturating_add(record.values[0]);
            }
        }
        open
    }

    /// A worker begins: no stream is under way in it.
    pub fn forget_streams(&mut self, pid: u32) {
        self.streams(pid, 0, u64::MAX);
    }

    /// Frees the records whose labels the configuration no longer names; a reload calls it, so that a
    /// zone does not fill up with what was. Old workers may go on: they look each series up anew.
    pub fn retain(&mut self, layout: &Layout) {
        let lost = self.lost();
        let keep: Vec<Record> = self
            .in_use()
            .iter()
            .filter(|record| layout.knows(record) && record.values != [0; VALUES])
            .copied()
            .collect();
        self.records.fill(Record::default());
        if let Some(head) = self.records.first_mut() {
            head.values[0] = lost;
        }
        for record in keep {
            let add = Add {
                key: record.key,
                family: record.family,
                labels: record.labels,
                change: Change::Count(0),
            };
            let Some(at) = self.claim(&add) else { return };
            if let Some(place) = self.records.get_mut(at) {
                place.values = record.values;
            }
        }
    }

    fn used(&self) -> usize {
        let used = self.records.first().map_or(0, |head| head.used);
        usize::try_from(used).unwrap_or(0).clamp(1, self.records.len().max(1))
    }

    fn in_use(&self) -> &[Record] {
        self.records.get(1..self.used()).unwrap_or_default()
    }

    fn in_use_mut(&mut self) -> &mut [Record] {
        let used = self.used();
        self.records.get_mut(1..used).unwrap_or_default()
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
        let record = self.records.get_mut(at)?;
        // The chain that begins here belongs to others.
        let head = record.head;
        *record = Record {
            key: add.key,
            labels: add.labels,
            family: add.family,
            head,
            next,
            ..Record::default()
        };
        // First taken, then linked: a worker killed in between leaves an empty record, not a loop.
        self.records.first_mut()?.used = number + 1;
        self.records.get_mut(home)?.head = number;
        Some(at)
    }
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
