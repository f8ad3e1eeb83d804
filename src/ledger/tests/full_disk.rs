//! What does a full disk cost? The events of that time, told and counted, and no other.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

mod support;

use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

use llm_core::cost::TableName;
use llm_ledger::journal::{AppendError, Life, Position, Reader};
use llm_ledger::sink::Sqlite;
use llm_ledger::state::Checkpoint;
use support::{Worker, event};

/// A file system of its own of so many kilobytes; only root can have one.
struct Disk(tempfile::TempDir);

impl Disk {
    fn new(kilobytes: u32) -> Option<Self> {
        let directory = tempfile::tempdir().unwrap();
        let mounted = Command::new("mount")
            .args(["-t", "tmpfs", "-o", &format!("size={kilobytes}k"), "tmpfs"])
            .arg(directory.path())
            .output();
        if mounted.is_ok_and(|output| output.status.success()) {
            return Some(Self(directory));
        }
        eprintln!("skipped: no permission to mount a small file system, run it as root");
        None
    }

    fn path(&self) -> &Path {
        self.0.path()
    }
}

impl Drop for Disk {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg("-l").arg(self.0.path()).status();
    }
}

#[test]
fn events_before_and_after_a_full_disk_arrive() {
    let Some(disk) = Disk::new(300) else { return };
    let elsewhere = tempfile::tempdir().unwrap();
    let database = elsewhere.path().join("cost.db");
    let sink = Sqlite::new(&database, &TableName::default());
    let mut worker = Worker::new(disk.path(), vec![Box::new(sink)]);
    let filler = disk.path().join("filler");
    std::fs::write(&filler, vec![0; 100 * 1024]).unwrap();
    let mut taken = 0;
    let error = loop {
        match worker.appender.append(&event(taken)) {
            Ok(()) => taken += 1,
            Err(error) => break error,
        }
    };
    assert_eq!(error, AppendError::Full);
    assert!(taken > 300, "{taken}");
    assert_eq!(worker.appender.append(&event(9999)), Err(AppendError::Full));
    assert_eq!(worker.appender.owner().dropped(), 2);
    let owner = worker.appender.owner().name().to_owned();
    let read = || {
        let mut reader = Reader::new(disk.path());
        let batch = reader.read(&owner, Position::default(), Life::Dead, 10_000).unwrap();
        assert_eq!(batch.skipped_bytes, 0, "no torn frame is left");
        batch.events.len() as u64
    };
    assert_eq!(read(), taken);
    // No cursor can be written, and rows are.
    worker.ship();
    assert_eq!(worker.shipper.stats().sinks[0].written, taken);

    std::fs::remove_file(&filler).unwrap();
    worker.append(taken..taken + 50);
    assert_eq!(read(), taken + 50);
    worker.ship();
    let count: i64 = rusqlite::Connection::open(&database)
        .unwrap()
        .query_row("SELECT count(*) FROM llm_cost_events", [], |row| row.get(0))
        .unwrap();
    assert_eq!(count as u64, taken + 50);
}

#[test]
fn a_full_disk_has_room_again_once_its_events_are_shipped() {
    let Some(disk) = Disk::new(300) else { return };
    let elsewhere = tempfile::tempdir().unwrap();
    let sink = Sqlite::new(&elsewhere.path().join("cost.db"), &TableName::default());
    let mut worker = Worker::new(disk.path(), vec![Box::new(sink)]);
    std::fs::write(disk.path().join("filler"), vec![0; 100 * 1024]).unwrap();
    let mut taken = 0;
    while worker.appender.append(&event(taken)).is_ok() {
        taken += 1;
    }
    // Nobody makes room but the worker itself.
    let until = Instant::now() + Duration::from_secs(30);
    while worker.appender.append(&event(9999)).is_err() {
        assert!(Instant::now() < until, "the journal stays full");
        let pause = worker.shipper.step(Instant::now());
        std::thread::sleep(pause.min(Duration::from_millis(50)));
    }
    worker.append(taken..taken + 50);
}

#[test]
fn a_checkpoint_that_finds_no_room_leaves_the_old_one() {
    let Some(disk) = Disk::new(64) else { return };
    let path = disk.path().join("state");
    let old =
        Checkpoint { epoch: 1, entry_bytes: 8, entries: vec![1; 800], ..Checkpoint::default() };
    old.save(&path).unwrap();
    let new = Checkpoint { epoch: 2, entries: vec![2; 80_000], ..old.clone() };
    new.save(&path).unwrap_err();
    assert_eq!(Checkpoint::load(&path).unwrap(), Some(old.clone()));
    // What was written of the new one takes no room.
    Checkpoint { epoch: 3, ..old }.save(&path).unwrap();
}
