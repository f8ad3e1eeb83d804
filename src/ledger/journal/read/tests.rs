//! Whether a reader finds every intact frame, in files that grow, end early or are damaged.

use std::sync::Arc;

use proptest::prelude::*;

use super::super::{Appender, Limits, Owner};
use super::*;
use crate::fixture::event;

const LIMITS: Limits = Limits { max_bytes: 1 << 30, workers: u32::MAX };

struct Journal {
    directory: tempfile::TempDir,
    owner: Arc<Owner>,
    appender: Appender,
}

impl Journal {
    fn new() -> Self {
        let directory = tempfile::tempdir().unwrap();
        let owner = Owner::open(directory.path(), LIMITS).unwrap();
        Self { appender: Appender::new(Arc::clone(&owner)), owner, directory }
    }

    fn append(&mut self, numbers: std::ops::Range<u64>) {
        numbers.for_each(|number| self.appender.append(&event(number)).unwrap());
    }

    fn segment(&self, number: u64) -> PathBuf {
        segment_path(self.directory.path(), self.owner.name(), number)
    }

    fn read(&self, from: Position, life: Life) -> Batch {
        Reader::new(self.directory.path()).read(self.owner.name(), from, life, 10_000).unwrap()
    }

    /// All events and the damaged bytes, in batches of `limit`.
    fn read_all(&self, life: Life, limit: usize) -> (Vec<CostEvent>, u64) {
        let mut reader = Reader::new(self.directory.path());
        let (mut events, mut skipped, mut from) = (Vec::new(), 0, Position::default());
        loop {
            let batch = reader.read(self.owner.name(), from, life, limit).unwrap();
            assert!(batch.events.len() <= limit);
            skipped += batch.skipped_bytes;
            events.extend(batch.events);
            if batch.end == from {
                return (events, skipped);
            }
            from = batch.end;
        }
    }
}

fn events(numbers: impl Iterator<Item = u64>) -> Vec<CostEvent> {
    numbers.map(event).collect()
}

#[test]
fn a_growing_segment_is_read_as_far_as_it_is() {
    let mut journal = Journal::new();
    assert_eq!(journal.read(Position::default(), Life::Writing(0)), Batch::default());
    journal.append(0..2);
    let first = journal.read(Position::default(), Life::Writing(1));
    assert_eq!(first.events, events(0..2));
    let second = journal.read(first.end, Life::Writing(1));
    assert_eq!((second.events.len(), second.end), (0, first.end));
    journal.append(2..3);
    assert_eq!(journal.read(first.end, Life::Writing(1)).events, events(2..3));
}

#[test]
fn a_frame_in_the_making_is_waited_for_and_a_torn_one_is_not() {
    let mut journal = Journal::new();
    journal.append(0..3);
    let path = journal.segment(1);
    let whole = std::fs::read(&path).unwrap();
    let second_ends = journal.read(Position::default(), Life::Dead).end.offset as usize
        - (whole.len() - HEADER_BYTES) / 3;
    for cut in [second_ends + 1, second_ends + 9, whole.len() - 1] {
        std::fs::write(&path, &whole[..cut]).unwrap();
        let open = journal.read(Position::default(), Life::Writing(1));
        assert_eq!((open.events, open.skipped_bytes), (events(0..2), 0));
        assert_eq!(open.end.offset as usize, second_ends);
        let closed = journal.read(Position::default(), Life::Dead);
        assert_eq!(closed.events, events(0..2));
        assert_eq!(closed.skipped_bytes as usize, cut - second_ends);
        std::fs::write(&path, &whole).unwrap();
        assert_eq!(journal.read(open.end, Life::Writing(1)).events, events(2..3));
    }
}

#[test]
fn every_batch_size_reads_all_events_across_segments() {
    let mut journal = Journal::new();
    journal.append(0..500);
    assert!(journal.owner.live() > 3);
    for limit in [1, 7, 100, 499, 500, 501] {
        assert_eq!(journal.read_all(Life::Dead, limit), (events(0..500), 0), "{limit}");
        let live = Life::Writing(journal.owner.live());
        assert_eq!(journal.read_all(live, limit), (events(0..500), 0), "{limit}");
    }
}

#[test]
fn what_is_no_journal_is_passed_over_and_another_version_is_kept() {
    let mut journal = Journal::new();
    journal.append(0..500);
    assert!(journal.owner.live() > 2);
    std::fs::write(journal.segment(2), b"something that was never written by us").unwrap();
    let (read, skipped) = journal.read_all(Life::Dead, 1000);
    assert!(read.len() < 450 && read.last() == Some(&event(499)));
    assert_eq!(skipped, 38);

    let mut segment = std::fs::read(journal.segment(1)).unwrap();
    segment[7] += 1;
    std::fs::write(journal.segment(1), segment).unwrap();
    let batch = journal.read(Position::default(), Life::Dead);
    assert_eq!(batch.foreign_format, Some(2));
    assert_eq!((batch.events.len(), batch.end), (0, Position { segment: 1, offset: 0 }));
}

#[test]
fn a_large_damaged_stretch_is_passed_over_in_windows() {
    let mut journal = Journal::new();
    journal.append(0..5);
    let path = journal.segment(1);
    let mut bytes = std::fs::read(&path).unwrap();
    let frame_bytes = (bytes.len() - HEADER_BYTES) / 5;
    // Lengths that could be, so that nothing but the checksum tells.
    let garbage: Vec<u8> = (0..3 * WINDOW_BYTES / 4)
        .flat_map(|n| if n % 64 == 0 { n as u32 % 70_000 } else { u32::MAX }.to_le_bytes())
        .collect();
    let at = HEADER_BYTES + 2 * frame_bytes;
    bytes.splice(at..at, garbage.iter().copied());
    std::fs::write(&path, &bytes).unwrap();
    assert_eq!(journal.read_all(Life::Dead, 100), (events(0..5), garbage.len() as u64));
    assert_eq!(journal.read_all(Life::Writing(1), 100), (events(0..5), garbage.len() as u64));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn damage_never_costs_an_intact_earlier_frame_and_never_panics(
        at in any::<prop::sample::Index>(),
        garbage in prop::collection::vec(any::<u8>(), 1..2000),
        is_open in any::<bool>(),
    ) {
        let mut journal = Journal::new();
        journal.append(0..6);
        let path = journal.segment(1);
        let mut bytes = std::fs::read(&path).unwrap();
        let frame_bytes = (bytes.len() - HEADER_BYTES) / 6;
        let at = HEADER_BYTES + at.index(bytes.len() - HEADER_BYTES);
        let end = (at + garbage.len()).min(bytes.len());
        bytes[at..end].copy_from_slice(&garbage[..end - at]);
        std::fs::write(&path, &bytes).unwrap();
        let life = if is_open { Life::Writing(1) } else { Life::Dead };
        let (read, _) = journal.read_all(life, 100);
        let before = ((at - HEADER_BYTES) / frame_bytes) as u64;
        let behind = ((end - HEADER_BYTES).div_ceil(frame_bytes)) as u64;
        for number in (0..before).chain(behind..6) {
            prop_assert!(read.contains(&event(number)), "{} of {:?}", number, at..end);
        }
    }
}
