//! Whether a checkpoint comes back as it was, or is refused as a whole.

use std::sync::Arc;

use proptest::prelude::*;

use super::*;
use crate::fixture::event;
use crate::journal::{Appender, Limits, Owner};
use llm_core::cost::{CostEvent, Pico};

fn checkpoint(entries: Vec<u8>) -> Checkpoint {
    Checkpoint { epoch: 7, created_at_ms: 1_795_000_000_000, entry_bytes: 8, entries }
}

#[test]
fn a_checkpoint_is_loaded_as_it_was_saved() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("llm/state");
    assert!(Checkpoint::load(&path).unwrap().is_none());
    for entries in [Vec::new(), (0..240).collect()] {
        let saved = checkpoint(entries);
        saved.save(&path).unwrap();
        assert_eq!(Checkpoint::load(&path).unwrap(), Some(saved));
    }
    assert_eq!(std::fs::read_dir(path.parent().unwrap()).unwrap().count(), 1);
    let loaded = Checkpoint::load(&path).unwrap().unwrap();
    assert_eq!(loaded.entries().len(), 30);
    assert_eq!(loaded.entries().nth(1).unwrap(), [8, 9, 10, 11, 12, 13, 14, 15]);
    assert!(checkpoint(vec![1; 9]).save(&path).is_err());
}

#[test]
fn another_format_is_told_from_damage() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("state");
    checkpoint(vec![1; 16]).save(&path).unwrap();
    let mut bytes = std::fs::read(&path).unwrap();
    bytes[8] = 9;
    let end = bytes.len() - CHECKSUM_BYTES;
    let checksum = crc32fast::hash(&bytes[..end]).to_le_bytes();
    bytes[end..].copy_from_slice(&checksum);
    std::fs::write(&path, bytes).unwrap();
    assert!(matches!(Checkpoint::load(&path), Err(StateError::Format(9))));
}

proptest! {
    #[test]
    fn a_damaged_checkpoint_is_an_error(
        at in any::<prop::sample::Index>(), flip in 1_u8..=255, cut in any::<bool>()
    ) {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("state");
        checkpoint((0..80).collect()).save(&path).unwrap();
        let mut bytes = std::fs::read(&path).unwrap();
        let at = at.index(bytes.len());
        if cut { bytes.truncate(at) } else { bytes[at] ^= flip }
        std::fs::write(&path, &bytes).unwrap();
        prop_assert!(matches!(Checkpoint::load(&path), Err(StateError::Damaged)));
    }
}

#[test]
fn charges_behind_the_checkpoint_are_replayed_of_all_owners() {
    let directory = tempfile::tempdir().unwrap();
    let limits = Limits { max_bytes: 1 << 30, workers: u32::MAX };
    let mut expected = Pico::ZERO;
    let mut owners = Vec::new();
    for first in [0, 1000] {
        let owner = Owner::open(directory.path(), limits).unwrap();
        let mut appender = Appender::new(Arc::clone(&owner));
        for number in first..first + 300 {
            let event = CostEvent { epoch: number % 4, writes_row: false, ..event(number) };
            if event.epoch > 2 {
                expected = expected.checked_add(event.charges[0].pico).unwrap();
            }
            appender.append(&event).unwrap();
        }
        // One is alive, one is dead.
        if first == 0 {
            owners.push(owner);
        }
    }
    let mut sum = Pico::ZERO;
    let replayed = replay(directory.path(), 2, |charge, _| {
        sum = sum.checked_add(charge.pico).unwrap();
    });
    let replayed = replayed.unwrap();
    assert_eq!((replayed.events, replayed.skipped_bytes), (150, 0));
    assert!(replayed.last_epoch > 2, "later epochs must be greater than any of these");
    assert_eq!(sum, expected);
    assert_eq!(replay(&directory.path().join("none"), 0, |_, _| ()).unwrap(), Replayed::default());
}
