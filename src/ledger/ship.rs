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
    /// The most rows of a batch.
    pub batch_rows: usize,
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
            gather: Duration::from_millis(200),
            sync: Duration::from_secs(1),
            adopt: Duration::from_secs(10),
            batch: Duration::from_secs(15),
        }
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
        let lanes = |slot: usize| {
            self.tracks.iter().filter_map(move |track| Some((track, track.lanes.get(slot)?)))
        };
        let waiting = |slot: usize| {
            lanes(slot).map(|(track, lane)| track.waiting_events(lane, appended)).sum::<u64>()
        };
        let slots = 0..self.slots.len();
        Stats {
            waiting_events: slots.clone().map(waiting).max().unwrap_or_default(),
            waiting_bytes: self.waiting_bytes,
            oldest_ms: slots
                .flat_map(|slot| lanes(slot).filter_map(|(_, lane)| lane.oldest_ms))
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
        self.tracks.iter().any(|track| {
            track.lanes.get(slot).is_some_and(|lane| {
                track.waiting_events(lane, appended) >= self.settings.batch_rows as u64
                    || (!track.is_own() && track.waiting_events(lane, appended) > 0)
            })
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
        slot: usize,
        track: usize,
        now: Instant,
        deadline: Instant,
    ) -> Step {
        let (Some(slot_of), Some(track)) = (self.slots.get_mut(slot), self.tracks.get_mut(track))
        else {
            return Step::Nothing;
        };
        let appended = self.owner.appended();
        let life = track.life(&self.owner);
        let Some(lane) = track.lanes.get_mut(slot) else { return Step::Nothing };
        let from = lane.cursor.position;
        let batch = match self.reader.read(&track.owner, from, life, self.settings.batch_rows) {
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
            let delivered =
                deliver(slot_of.sink.as_mut(), &rows, since, deadline).and_then(|delivered| {
                    let name = slot_of.sink.name();
                    let added = if delivered.refused.is_empty() {
                        Ok(())
                    } else {
                        self.dead_letters.add(name, &delivered.refused)
                    };
                    added.map(|()| delivered).map_err(|error| {
                        Failure::moment(format_args!("writing the dead-letter file: {error}"))
                    })
                });
            match delivered {
                Ok(delivered) => {
                    slot_of.wrote(rows.len(), &delivered, &mut self.reports);
                    lane.cursor.mark = delivered.mark.unwrap_or(lane.cursor.mark);
                    lane.is_fresh = false;
                }
                Err(failure) => {
                    let waiting = track
                        .lanes
                        .get(slot)
                        .map_or(0, |lane| track.waiting_events(lane, appended));
                    slot_of.failed(now, failure, waiting, &mut self.reports);
                    return Step::Failed;
                }
            }
        }
        if batch.skipped_bytes > 0 && slot == 0 {
            self.skipped_bytes += batch.skipped_bytes;
            self.reports.push(format!(
                "{} damaged bytes in the journal of \"{}\" were passed over",
                batch.skipped_bytes, track.owner
            ));
        }
        if let Some(format) = batch.foreign_format
            && track.foreign_format.replace(format).is_none()
        {
            self.reports.push(format!(
                "the journal of \"{}\" has format {format}, start the version that wrote it to have \
                 it shipped",
                track.owner
            ));
        }
        track.advance(slot, &batch, appended);
        if batch.end == from {
            return Step::Nothing;
        }
        if let Some(lane) = track.lanes.get(slot) {
            // A cursor that is not saved costs rows that are written twice, as one.
            let _ = lane.cursor.save(self.owner.directory(), &track.owner, slot_of.sink.name());
        }
        Step::Wrote
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
            self.delete_passed(now, self.owner.live().saturating_sub(1));
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
            && let Some(times) = self.trouble.happened(now)
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
