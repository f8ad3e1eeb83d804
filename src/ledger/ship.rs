//! How do events get from the journal into the sinks? A worker's thread calls [`Shipper::step`] again and
//! again; each step gives each sink at most one batch, so that none waits for a dead one.

mod deliver;
mod slot;
mod track;

use std::fs::File;
use std::io;
use std::sync::Arc;
use std::time::{Duration, Instant};

use llm_core::cost::{CostEvent, Pico};

use crate::dead_letter::DeadLetters;
use crate::journal::{Claim, Listing, Owner, Reader, lock_path, segment_path, sync_directory_of};
use crate::schedule::Reporter;
use crate::sink::{Failure, Sink};
use crate::sum::Filter;

pub(crate) use self::deliver::Delivered;
use self::deliver::deliver;
pub use self::slot::SinkStats;
use self::slot::Slot;
use self::track::{Track, bytes_behind};

/// Dead owners that are served at once; others wait their turn.
const MAX_ADOPTED: usize = 8;
/// Reports that nobody has taken.
const MAX_REPORTS: usize = 64;

/// How a [`Shipper`] works.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Settings {
    /// The most rows of a batch while the sink keeps up.
    pub batch_rows: usize,
    /// The most rows of a batch of a sink that has as many before it: fewer and larger commits.
    pub catch_up_rows: usize,
    /// How long events gather while little happens.
    pub gather: Duration,
    /// `sync=` of the journal: how much a power failure may cost.
    pub sync: Duration,
    /// How often dead owners are looked for.
    pub adopt: Duration,
    /// What one batch may take.
    pub batch: Duration,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            batch_rows: 512,
            catch_up_rows: 4096,
            gather: Duration::from_millis(200),
            sync: Duration::from_secs(1),
            adopt: Duration::from_secs(10),
            batch: Duration::from_secs(15),
        }
    }
}

impl Settings {
    /// The most rows of the next batch. A server that was too slow for one is tried with less.
    fn rows(&self, waiting_events: u64, failures: u32) -> usize {
        const LEAST_ROWS: usize = 16;
        let is_behind = waiting_events >= self.catch_up_rows as u64;
        let rows = if is_behind { self.catch_up_rows } else { self.batch_rows };
        (rows >> failures.min(16)).max(LEAST_ROWS.min(rows))
    }
}

/// What is on its way.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Stats {
    /// Events that some sink has not written, of this worker and of those it has adopted.
    pub waiting_events: u64,
    /// Bytes of them.
    pub waiting_bytes: u64,
    /// When the oldest of them happened that a sink could not write, in milliseconds of unix time.
    pub oldest_ms: Option<u64>,
    /// Events that were not even appended.
    pub dropped: u64,
    /// Damaged bytes of the journal that were passed over.
    pub skipped_bytes: u64,
    /// All files in the journal's directory, of all workers.
    pub journal_bytes: u64,
    /// Each sink.
    pub sinks: Vec<SinkStats>,
}

/// Moves events from the journal into sinks.
#[derive(Debug)]
pub struct Shipper {
    owner: Arc<Owner>,
    settings: Settings,
    reader: Reader,
    slots: Vec<Slot>,
    /// Our own first.
    tracks: Vec<Track>,
    dead_letters: DeadLetters,
    /// Segments whose events are not in this checkpoint are kept; `None` keeps none.
    checkpointed_epoch: Option<u64>,
    /// What of our own is surely on disk: the last segment, and the count of events.
    synced: (u64, u64),
    next_sync: Option<Instant>,
    next_adoption: Option<Instant>,
    next_scan: Option<Instant>,
    trouble: Reporter,
    skipped_bytes: u64,
    waiting_bytes: u64,
    journal_bytes: u64,
    reports: Vec<String>,
}

enum Step {
    Wrote,
    Nothing,
    Failed,
}

impl Shipper {
    /// For the events of `owner`, and of dead ones.
    #[must_use]
    pub fn new(owner: Arc<Owner>, sinks: Vec<Box<dyn Sink>>, settings: Settings) -> Self {
        let mut slots: Vec<Slot> = sinks.into_iter().map(Slot::new).collect();
        let mut own = Track::own(&owner, slots.len());
        for (slot, lane) in slots.iter_mut().zip(&mut own.lanes) {
            lane.cursor.mark = slot.sink.mark();
            // Without it, who adopts us after a crash does not know where our lines start.
            let _ = lane.cursor.save(owner.directory(), owner.name(), slot.sink.name());
        }
        Self {
            reader: Reader::new(owner.directory()),
            dead_letters: DeadLetters::new(owner.directory()),
            settings,
            slots,
            tracks: vec![own],
            owner,
            checkpointed_epoch: None,
            synced: (0, 0),
            next_sync: None,
            next_adoption: None,
            next_scan: None,
            trouble: Reporter::default(),
            skipped_bytes: 0,
            waiting_bytes: 0,
            journal_bytes: 0,
            reports: Vec::new(),
        }
    }

    /// Segments with events of a greater epoch are kept, although they were shipped: a restart would
    /// replay them.
    pub fn set_checkpointed_epoch(&mut self, epoch: u64) {
        self.checkpointed_epoch = Some(epoch);
    }

    /// One step, and how long to wait before the next.
    pub fn step(&mut self, now: Instant) -> Duration {
        self.keep_house(now);
        let deadline = now + self.settings.batch;
        let mut pause = self.settings.gather;
        for slot in 0..self.slots.len() {
            if self.back_off(slot, now) > Duration::ZERO {
                continue;
            }
            if let Step::Wrote = self.ship_batch(slot, now, deadline) {
                pause = if self.has_full_batch(slot) { Duration::ZERO } else { pause };
            }
        }
        pause
    }

    /// Ships what it can until `deadline`, the event loop having stopped; the rest stays for the next
    /// start. Tells whether everything was shipped.
    pub fn drain(&mut self, deadline: Instant) -> bool {
        let mut open: Vec<usize> = (0..self.slots.len()).collect();
        for slot in &mut self.slots {
            slot.back_off.forget_pause();
        }
        let mut is_done = true;
        while !open.is_empty() {
            if Instant::now() >= deadline {
                is_done = false;
                break;
            }
            open.retain(|&slot| match self.ship_batch(slot, Instant::now(), deadline) {
                Step::Wrote => true,
                Step::Nothing => false,
                Step::Failed => {
                    is_done = false;
                    false
                }
            });
        }
        let synced = self.sync();
        self.tell_if_failed("syncing", synced, Instant::now());
        self.delete_passed(Instant::now(), u64::MAX);
        is_done
    }

    /// What rows cost, by the first sink that can tell.
    pub fn sum(&mut self, filter: &Filter<'_>, within: Duration) -> Result<Pico, Failure> {
        let slot = self.slots.iter_mut().find(|slot| slot.sink.name() != "log");
        match slot {
            Some(slot) => slot.sink.sum(filter, within),
            None => Err(Failure::moment("no database is configured")),
        }
    }

    /// Lines for the error log.
    pub fn take_reports(&mut self) -> Vec<String> {
        std::mem::take(&mut self.reports)
    }

    /// What is on its way.
    #[must_use]
    pub fn stats(&self) -> Stats {
        let appended = self.owner.appended();
        let waiting = |slot: usize| {
            self.tracks.iter().map(|track| track.waiting_events_of(slot, appended)).sum::<u64>()
        };
        let slots = 0..self.slots.len();
        Stats {
            waiting_events: slots.map(waiting).max().unwrap_or_default(),
            waiting_bytes: self.waiting_bytes,
            oldest_ms: self
                .tracks
                .iter()
                .flat_map(|track| track.lanes.iter().filter_map(|lane| lane.oldest_ms))
                .min(),
            dropped: self.owner.dropped(),
            skipped_bytes: self.skipped_bytes,
            journal_bytes: self.journal_bytes,
            sinks: self
                .slots
                .iter()
                .enumerate()
                .map(|(at, slot)| slot.stats(waiting(at)))
                .collect(),
        }
    }

    fn back_off(&self, slot: usize, now: Instant) -> Duration {
        self.slots.get(slot).map_or(Duration::ZERO, |slot| slot.back_off.remaining(now))
    }

    fn has_full_batch(&self, slot: usize) -> bool {
        let appended = self.owner.appended();
        let full = self.settings.batch_rows as u64;
        self.tracks.iter().any(|track| {
            let waiting = track.waiting_events_of(slot, appended);
            // A dead owner's will not become more.
            waiting >= if track.is_own() { full } else { 1 }
        })
    }

    /// Gives a sink one batch of the next track that has one for it.
    fn ship_batch(&mut self, slot: usize, now: Instant, deadline: Instant) -> Step {
        let turn = self.slots.get(slot).map_or(0, |slot| slot.turn);
        for at in 0..self.tracks.len() {
            let track = (turn + at) % self.tracks.len();
            match self.ship_batch_of(slot, track, now, deadline) {
                Step::Nothing => {}
                step => {
                    if let Some(slot) = self.slots.get_mut(slot) {
                        slot.turn = track + 1;
                    }
                    return step;
                }
            }
        }
        Step::Nothing
    }

    fn ship_batch_of(
        &mut self,
        at_slot: usize,
        at_track: usize,
        now: Instant,
        deadline: Instant,
    ) -> Step {
        let (Some(slot), Some(track)) =
            (self.slots.get_mut(at_slot), self.tracks.get_mut(at_track))
        else {
            return Step::Nothing;
        };
        // Both before the batch is read: it has at least what they tell.
        let appended = self.owner.appended();
        let life = track.life(&self.owner);
        let waiting = track.waiting_events_of(at_slot, appended);
        let Some(lane) = track.lanes.get_mut(at_slot) else { return Step::Nothing };
        let from = lane.cursor.position;
        let limit = self.settings.rows(waiting, slot.back_off.failures());
        let batch = match self.reader.read(&track.owner, from, life, limit) {
            Ok(batch) => batch,
            Err(error) => {
                self.tell_if_failed("reading", Err(error), now);
                return Step::Nothing;
            }
        };
        let rows: Vec<&CostEvent> = batch.events.iter().filter(|event| event.writes_row).collect();
        if let Some(first) = rows.first() {
            lane.oldest_ms = Some(first.created_at_ms);
            let since = lane.is_fresh.then_some(lane.cursor.mark);
            let delivered = deliver(slot.sink.as_mut(), &rows, since, deadline)
                .and_then(|delivered| self.dead_letters.add_refused(slot.name(), delivered));
            match delivered {
                Ok(delivered) => {
                    slot.wrote(rows.len(), &delivered, &mut self.reports);
                    lane.cursor.mark = delivered.mark.unwrap_or(lane.cursor.mark);
                    lane.is_fresh = false;
                }
                Err(failure) => {
                    slot.failed(now, failure, waiting, &mut self.reports);
                    return Step::Failed;
                }
            }
        }
        track.advance(at_slot, &batch, appended);
        if batch.end != from
            && let Some(lane) = track.lanes.get(at_slot)
        {
            // A cursor that is not saved costs rows that are written twice, as one.
            let _ = lane.cursor.save(self.owner.directory(), &track.owner, slot.name());
        }
        if at_slot == 0 {
            self.skipped_bytes += batch.skipped_bytes;
        }
        self.reports.extend(track.tell_of_damage(at_slot, &batch));
        if batch.end == from { Step::Nothing } else { Step::Wrote }
    }

    /// What is due of syncing, adopting, counting and deleting.
    fn keep_house(&mut self, now: Instant) {
        if is_due(&mut self.next_sync, now, self.settings.sync) {
            let synced = self.sync();
            self.tell_if_failed("syncing", synced, now);
        }
        if is_due(&mut self.next_adoption, now, self.settings.adopt) {
            let adopted = self.adopt();
            self.tell_if_failed("adopting", adopted, now);
        }
        if is_due(&mut self.next_scan, now, self.settings.gather) {
            self.delete_passed(now, self.owner.complete());
            let scanned = self.scan();
            self.tell_if_failed("looking through", scanned, now);
        }
        self.reports.truncate(MAX_REPORTS);
    }

    /// What was appended is on disk when it returns.
    fn sync(&mut self) -> io::Result<()> {
        let (first, events) = self.synced;
        let (live, appended) = (self.owner.live(), self.owner.appended());
        if (live, appended) == (first, events) {
            return Ok(());
        }
        let directory = self.owner.directory();
        for number in first.max(1)..=live {
            match File::open(segment_path(directory, self.owner.name(), number)) {
                Ok(file) => file.sync_data()?,
                Err(error) if error.kind() == io::ErrorKind::NotFound => {}
                Err(error) => return Err(error),
            }
        }
        if live != first {
            sync_directory_of(&lock_path(directory, self.owner.name()))?;
        }
        self.synced = (live, appended);
        Ok(())
    }

    fn adopt(&mut self) -> io::Result<()> {
        let directory = self.owner.directory().to_owned();
        let listing = Listing::of(&directory)?;
        let names: Vec<&str> = self.slots.iter().map(|slot| slot.sink.name()).collect();
        for owner in listing.all_owners() {
            if self.tracks.len() > MAX_ADOPTED {
                break;
            }
            if self.tracks.iter().any(|track| track.owner == owner) {
                continue;
            }
            if let Some(claim) = Claim::of(&directory, owner)? {
                self.tracks.push(Track::adopted(
                    &mut self.reader,
                    &directory,
                    owner,
                    claim,
                    &names,
                )?);
            }
        }
        Ok(())
    }

    fn scan(&mut self) -> io::Result<()> {
        let listing = Listing::of(self.owner.directory())?;
        self.owner.set_used_bytes(listing.total_bytes);
        self.journal_bytes = listing.total_bytes;
        let own = listing.segments.get(self.owner.name());
        let live = self.owner.live();
        if live > 0 && own.is_none_or(|segments| !segments.contains_key(&live)) {
            // Somebody has deleted it: what is appended to it is lost.
            self.owner.want_rotation();
        }
        self.waiting_bytes = self
            .tracks
            .iter()
            .filter_map(|track| {
                let from = track.lanes.iter().map(|lane| lane.cursor.position).min()?;
                Some(bytes_behind(listing.segments.get(&track.owner)?, from))
            })
            .sum();
        Ok(())
    }

    /// Of our own, up to a segment; of dead owners, all.
    fn delete_passed(&mut self, now: Instant, own_until: u64) {
        let directory = self.owner.directory().to_owned();
        let epoch = self.checkpointed_epoch;
        let mut outcome = Ok(());
        let reader = &mut self.reader;
        self.tracks.retain_mut(|track| {
            let until = if track.is_own() { own_until } else { u64::MAX };
            let deleted = track.delete_passed(reader, &directory, until, epoch);
            let is_finished = matches!(deleted, Ok(false)) && until == u64::MAX;
            let rest = if is_finished { track.delete_rest(&directory) } else { Ok(()) };
            outcome = std::mem::replace(&mut outcome, Ok(())).and(deleted.map(|_| ())).and(rest);
            track.is_own() || !is_finished
        });
        self.tell_if_failed("deleting from", outcome, now);
    }

    fn tell_if_failed(&mut self, doing: &str, outcome: io::Result<()>, now: Instant) {
        if let Err(error) = outcome
            && let Some(times) = self.trouble.happened(now, false)
        {
            self.reports.push(format!(
                "{doing} the journal {:?} failed ({times} times since this was told): {error}",
                self.owner.directory()
            ));
        }
    }
}

fn is_due(next: &mut Option<Instant>, now: Instant, interval: Duration) -> bool {
    let is_due = next.is_none_or(|next| next <= now);
    if is_due {
        *next = Some(now + interval);
    }
    is_due
}

#[cfg(test)]
mod tests;
