//! How far is each sink in one owner's segments, and which of these may go?

use std::collections::BTreeMap;
use std::io;
use std::path::Path;

use crate::journal::{
    Batch, Claim, Cursor, Life, Owner, Position, Reader, lock_path, remove_cursors,
    remove_if_there, segment_path, segments_of,
};

/// Events read at once where none of them is kept.
const READ_EVENTS: usize = 1024;

/// One owner's segments: our own, or those of a dead one.
#[derive(Debug)]
pub(super) struct Track {
    pub(super) owner: String,
    /// Our right to what a dead owner left; `None` for our own.
    claim: Option<Claim>,
    /// One per sink, in their order.
    pub(super) lanes: Vec<Lane>,
    /// The greatest epoch in each complete segment that every sink has passed.
    epochs: BTreeMap<u64, u64>,
    /// Another version of the program wrote what comes next.
    foreign_format: Option<u8>,
}

/// One sink's way through a track.
#[derive(Debug)]
pub(super) struct Lane {
    pub(super) cursor: Cursor,
    /// Nothing was written since the cursor was loaded: some of what comes may have been before.
    pub(super) is_fresh: bool,
    /// Events behind the cursor; of our own track, what the cursor has passed.
    events: u64,
    /// When the next event happened, while it waits.
    pub(super) oldest_ms: Option<u64>,
}

impl Track {
    pub(super) fn own(owner: &Owner, lanes: usize) -> Self {
        let lanes = (0..lanes).map(|_| Lane::new(Cursor::default(), false, 0)).collect();
        Self {
            owner: owner.name().to_owned(),
            claim: None,
            lanes,
            epochs: BTreeMap::new(),
            foreign_format: None,
        }
    }

    /// What a dead owner left, for sinks of these names.
    pub(super) fn adopted(
        reader: &mut Reader,
        directory: &Path,
        owner: &str,
        claim: Claim,
        sinks: &[&str],
    ) -> io::Result<Self> {
        let segments = segments_of(directory, owner)?;
        let mut lanes = Vec::with_capacity(sinks.len());
        let mut counted: Option<(Position, u64)> = None;
        for sink in sinks {
            let cursor = Cursor::load(directory, owner, sink).unwrap_or_default();
            let events = match counted {
                Some((position, events)) if position == cursor.position => events,
                _ => count(reader, &segments, owner, cursor.position)?,
            };
            counted = Some((cursor.position, events));
            lanes.push(Lane::new(cursor, true, events));
        }
        Ok(Self {
            owner: owner.to_owned(),
            claim: Some(claim),
            lanes,
            epochs: BTreeMap::new(),
            foreign_format: None,
        })
    }

    pub(super) fn is_own(&self) -> bool {
        self.claim.is_none()
    }

    /// To be asked before the reader is.
    pub(super) fn life(&self, own: &Owner) -> Life {
        if self.is_own() { Life::Writing(own.live()) } else { Life::Dead }
    }

    /// Events that a sink has still before it; `appended` are those of our own track so far.
    pub(super) fn waiting_events_of(&self, lane: usize, appended: u64) -> u64 {
        let Some(lane) = self.lanes.get(lane) else { return 0 };
        if self.is_own() { appended.saturating_sub(lane.events) } else { lane.events }
    }

    /// What an operator should know of what the first sink read, and once of another version's journal.
    pub(super) fn tell_of_damage(
        &mut self,
        lane: usize,
        batch: &Batch,
    ) -> impl Iterator<Item = String> + use<> {
        let (bytes, owner) = (batch.skipped_bytes, &self.owner);
        let damaged = (bytes > 0 && lane == 0).then(|| {
            format!("{bytes} damaged bytes in the journal of \"{owner}\" were passed over")
        });
        let foreign = batch
            .foreign_format
            .filter(|format| self.foreign_format.replace(*format) != Some(*format))
            .map(|format| {
                format!(
                    "the journal of \"{owner}\" has format {format}, start the version that wrote it \
                     to have it shipped"
                )
            });
        damaged.into_iter().chain(foreign)
    }

    /// A batch was written by a lane's sink, or had nothing for it. `appended` was asked before the
    /// batch was read.
    pub(super) fn advance(&mut self, lane: usize, batch: &Batch, appended: u64) {
        let is_own = self.is_own();
        let Some(lane) = self.lanes.get_mut(lane) else { return };
        let count = batch.events.len() as u64;
        lane.events = match (is_own, batch.events.is_empty()) {
            (true, false) => lane.events + count,
            // Whatever was damaged is not waited for.
            (true, true) => lane.events.max(appended),
            (false, false) => lane.events.saturating_sub(count),
            (false, true) => 0,
        };
        lane.oldest_ms = None;
        lane.cursor.position = batch.end;
    }

    /// Deletes segments that every sink has passed and no restart would replay, and tells whether any
    /// are left. `until` is the last segment that may be deleted.
    pub(super) fn delete_passed(
        &mut self,
        reader: &mut Reader,
        directory: &Path,
        until: u64,
        checkpointed_epoch: Option<u64>,
    ) -> io::Result<bool> {
        let segments = segments_of(directory, &self.owner)?;
        let mut left = segments.len();
        for (&number, &bytes) in &segments {
            let is_passed = number <= until
                && self.lanes.iter().all(|lane| {
                    let position = lane.cursor.position;
                    position.segment > number
                        || (position.segment == number && position.offset >= bytes)
                });
            if !is_passed {
                break;
            }
            if let Some(checkpointed_epoch) = checkpointed_epoch
                && self.epoch_of(reader, number)? > checkpointed_epoch
            {
                break;
            }
            remove_if_there(&segment_path(directory, &self.owner, number))?;
            self.epochs.remove(&number);
            left -= 1;
        }
        Ok(left > 0)
    }

    /// The owner has no segments any more.
    pub(super) fn delete_rest(&self, directory: &Path) -> io::Result<()> {
        remove_cursors(directory, &self.owner)?;
        remove_if_there(&lock_path(directory, &self.owner))
    }

    /// Read once per segment, when nothing else keeps it.
    fn epoch_of(&mut self, reader: &mut Reader, number: u64) -> io::Result<u64> {
        if let Some(&epoch) = self.epochs.get(&number) {
            return Ok(epoch);
        }
        let mut greatest = 0;
        let mut position = Position { segment: number, offset: 0 };
        loop {
            let batch = reader.read(&self.owner, position, Life::Dead, READ_EVENTS)?;
            // Events of the next segment among them only keep this one longer.
            greatest = batch.events.iter().map(|event| event.epoch).fold(greatest, u64::max);
            if batch.end == position || batch.end.segment != number {
                break;
            }
            position = batch.end;
        }
        self.epochs.insert(number, greatest);
        Ok(greatest)
    }
}

impl Lane {
    fn new(cursor: Cursor, is_fresh: bool, events: u64) -> Self {
        Self { cursor, is_fresh, events, oldest_ms: None }
    }
}

/// Bytes of segments behind a place.
pub(super) fn bytes_behind(segments: &BTreeMap<u64, u64>, from: Position) -> u64 {
    segments
        .range(from.segment..)
        .map(|(&number, &bytes)| {
            bytes.saturating_sub(if number == from.segment { from.offset } else { 0 })
        })
        .sum()
}

/// How many events are behind a place: exact for a usual rest, an estimate for one that would take long
/// to read.
fn count(
    reader: &mut Reader,
    segments: &BTreeMap<u64, u64>,
    owner: &str,
    from: Position,
) -> io::Result<u64> {
    const READS: usize = 32;
    let total_bytes = bytes_behind(segments, from);
    let mut events = 0;
    let mut position = from;
    for _ in 0..READS {
        let batch = reader.read(owner, position, Life::Dead, READ_EVENTS)?;
        events += batch.events.len() as u64;
        if batch.end == position {
            return Ok(events);
        }
        position = batch.end;
    }
    let rest_bytes = bytes_behind(segments, position);
    let read_bytes = total_bytes.saturating_sub(rest_bytes).max(1);
    Ok(events + (u128::from(events) * u128::from(rest_bytes) / u128::from(read_bytes)) as u64)
}
