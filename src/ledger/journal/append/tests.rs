//! What an appender leaves on disk, when there is room and when there is none.

use std::os::unix::fs::MetadataExt;
use std::path::Path;

use super::super::files::{Listing, segments_of};
use super::super::owner::Claim;
use super::super::{Life, Limits, Position, Reader};
use super::*;
use crate::fixture::event;

const LIMITS: Limits = Limits { max_bytes: 1 << 30, workers: 2 };

fn read_all(directory: &Path, owner: &str) -> Vec<CostEvent> {
    let mut reader = Reader::new(directory);
    let (mut events, mut position) = (Vec::new(), Position::default());
    loop {
        let batch = reader.read(owner, position, Life::Dead, 100).unwrap();
        assert_eq!(batch.skipped_bytes, 0);
        if batch.end == position {
            return events;
        }
        position = batch.end;
        events.extend(batch.events);
    }
}

#[test]
fn appended_events_are_read_in_order() {
    let directory = tempfile::tempdir().unwrap();
    let owner = Owner::open(directory.path(), LIMITS).unwrap();
    let mut appender = Appender::new(Arc::clone(&owner));
    for number in 0..10 {
        appender.append(&event(number)).unwrap();
    }
    assert_eq!(owner.appended(), 10);
    let expected: Vec<CostEvent> = (0..10).map(event).collect();
    assert_eq!(read_all(directory.path(), owner.name()), expected);
    let mode = std::fs::metadata(segment_path(directory.path(), owner.name(), 1)).unwrap().mode();
    assert_eq!(mode & 0o777, 0o600);
}

#[test]
fn segments_end_at_their_size_and_lose_nothing() {
    let directory = tempfile::tempdir().unwrap();
    // The smallest segments: 64 KB.
    let limits = Limits { max_bytes: 1 << 30, workers: u32::MAX };
    let owner = Owner::open(directory.path(), limits).unwrap();
    let mut appender = Appender::new(Arc::clone(&owner));
    for number in 0..1000 {
        appender.append(&event(number)).unwrap();
    }
    let segments = segments_of(directory.path(), owner.name()).unwrap();
    assert!(segments.len() > 5, "{segments:?}");
    assert!(segments.values().all(|&bytes| bytes < 66 * 1024), "{segments:?}");
    let expected: Vec<CostEvent> = (0..1000).map(event).collect();
    assert_eq!(read_all(directory.path(), owner.name()), expected);
}

#[test]
fn a_full_journal_takes_nothing_until_segments_are_deleted() {
    let directory = tempfile::tempdir().unwrap();
    let limits = Limits { max_bytes: 200 * 1024, workers: 1 };
    let owner = Owner::open(directory.path(), limits).unwrap();
    let mut appender = Appender::new(Arc::clone(&owner));
    let mut taken = 0;
    while appender.append(&event(taken)).is_ok() {
        taken += 1;
    }
    assert!(owner.is_nearly_full());
    assert_eq!(appender.append(&event(taken)), Err(AppendError::Full));
    assert_eq!(owner.dropped(), 2);
    let listing = Listing::of(directory.path()).unwrap();
    assert!(listing.total_bytes <= limits.max_bytes + 64, "{}", listing.total_bytes);
    // What stood full is closed, so that it can be deleted: only the header of the next is left.
    let live = segment_path(directory.path(), owner.name(), owner.live());
    assert_eq!(std::fs::metadata(live).unwrap().len(), HEADER_BYTES as u64);
    assert_eq!(read_all(directory.path(), owner.name()).len() as u64, taken);

    std::fs::remove_file(segment_path(directory.path(), owner.name(), 1)).unwrap();
    owner.set_used_bytes(Listing::of(directory.path()).unwrap().total_bytes);
    assert!(!owner.is_nearly_full());
    appender.append(&event(taken)).unwrap();
    assert_eq!(read_all(directory.path(), owner.name()).last(), Some(&event(taken)));
}

#[test]
fn many_workers_leave_room_for_shipped_segments_that_are_still_open() {
    for (max_bytes, workers) in [(1 << 30, 1), (1 << 30, 64), (64 << 20, 16), (1 << 20, 2)] {
        let limits = Limits { max_bytes, workers };
        assert!(limits.segment_bytes() * u64::from(workers) <= max_bytes / 4, "{limits:?}");
    }
}

#[test]
fn a_directory_that_is_away_costs_the_events_of_that_time_only() {
    let parent = tempfile::tempdir().unwrap();
    let directory = parent.path().join("journal");
    std::fs::create_dir(&directory).unwrap();
    let owner = Owner::open(&directory, LIMITS).unwrap();
    std::fs::rename(&directory, parent.path().join("away")).unwrap();
    let mut appender = Appender::new(Arc::clone(&owner));
    assert_eq!(appender.append(&event(0)), Err(AppendError::Io(io::ErrorKind::NotFound)));
    std::fs::rename(parent.path().join("away"), &directory).unwrap();
    appender.append(&event(1)).unwrap();
    assert_eq!(read_all(&directory, owner.name()), [event(1)]);
    assert_eq!((owner.appended(), owner.dropped()), (1, 1));
}

#[test]
fn an_owner_is_claimed_when_it_is_dead_and_by_one_only() {
    let directory = tempfile::tempdir().unwrap();
    let owner = Owner::open(directory.path(), LIMITS).unwrap();
    let second = Owner::open(directory.path(), LIMITS).unwrap();
    assert_ne!(owner.name(), second.name());
    let name = owner.name().to_owned();
    assert!(Claim::of(directory.path(), &name).unwrap().is_none());
    drop(owner);
    let claim = Claim::of(directory.path(), &name).unwrap();
    assert!(claim.is_some());
    assert!(Claim::of(directory.path(), &name).unwrap().is_none());
    drop(claim);
    assert!(Claim::of(directory.path(), &name).unwrap().is_some());
}
