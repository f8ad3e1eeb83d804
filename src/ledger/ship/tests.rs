//! Whether events reach every sink once, however sinks and owners fail.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use super::*;
use crate::fixture::{created_at_ms, event};
use crate::journal::{Appender, DEAD_LETTER_FILE, Limits, Mark};
use crate::sink::{Delivery, Log, Sqlite};
use llm_core::cost::TableName;

const LIMITS: Limits = Limits { max_bytes: 1 << 30, workers: u32::MAX };

/// A database that tests can break.
#[derive(Debug, Default)]
struct Switch {
    is_broken: AtomicBool,
    poison: AtomicU64,
    rows: Mutex<Vec<String>>,
}

#[derive(Debug)]
struct Fake(&'static str, Arc<Switch>);

impl Sink for Fake {
    fn name(&self) -> &'static str {
        self.0
    }

    fn write(&mut self, delivery: Delivery<'_>) -> Result<Mark, Failure> {
        if self.1.is_broken.load(Ordering::Relaxed) {
            return Err(Failure::moment("connection refused"));
        }
        let poison = event(self.1.poison.load(Ordering::Relaxed)).event_id;
        if poison != event(0).event_id && delivery.rows.iter().any(|row| row.event_id == poison) {
            return Err(Failure::data("a bad row"));
        }
        let mut rows = self.1.rows.lock().unwrap();
        for row in delivery.rows {
            let id = row.event_id.to_string();
            if !rows.contains(&id) {
                rows.push(id);
            }
        }
        Ok(Mark::default())
    }

    fn is_connected(&self) -> bool {
        !self.1.is_broken.load(Ordering::Relaxed)
    }

    fn sum(&mut self, _: &Filter<'_>, _: Duration) -> Result<Pico, Failure> {
        Ok(Pico(5))
    }
}

struct Worker {
    owner: Arc<Owner>,
    appender: Appender,
    shipper: Shipper,
    now: Instant,
}

impl Worker {
    fn new(directory: &Path, sinks: Vec<Box<dyn Sink>>) -> Self {
        let owner = Owner::open(directory, LIMITS).unwrap();
        let settings = Settings { batch_rows: 100, catch_up_rows: 100, ..Settings::default() };
        Self {
            appender: Appender::new(Arc::clone(&owner)),
            shipper: Shipper::new(Arc::clone(&owner), sinks, settings),
            owner,
            now: Instant::now(),
        }
    }

    fn append(&mut self, numbers: std::ops::Range<u64>) {
        numbers.for_each(|number| self.appender.append(&event(number)).unwrap());
    }

    /// So many steps, each after the pause that the last one asked for.
    fn steps(&mut self, count: usize) {
        for _ in 0..count {
            self.now += self.shipper.step(self.now);
        }
    }
}

fn ids(numbers: std::ops::Range<u64>) -> Vec<String> {
    numbers.map(|number| event(number).event_id.to_string()).collect()
}

fn journal_files(directory: &Path) -> BTreeSet<String> {
    std::fs::read_dir(directory)
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect()
}

#[test]
fn events_arrive_once_and_their_segments_go() {
    let directory = tempfile::tempdir().unwrap();
    let database = Arc::new(Switch::default());
    let sinks: Vec<Box<dyn Sink>> = vec![Box::new(Fake("sqlite", Arc::clone(&database)))];
    let mut worker = Worker::new(directory.path(), sinks);
    worker.append(0..1000);
    assert!(worker.owner.live() > 4);
    worker.steps(30);
    assert_eq!(*database.rows.lock().unwrap(), ids(0..1000));
    let stats = worker.shipper.stats();
    assert_eq!((stats.waiting_events, stats.oldest_ms, stats.waiting_bytes), (0, None, 0));
    assert_eq!((stats.sinks[0].written, stats.sinks[0].is_connected), (1000, true));
    let segments = journal_files(directory.path());
    assert_eq!(segments.iter().filter(|name| name.ends_with(".journal")).count(), 1);
    assert!(worker.shipper.drain(Instant::now() + Duration::from_secs(9)));
    drop(worker);
    assert!(journal_files(directory.path()).is_empty());
}

#[test]
fn events_without_a_row_are_passed_over() {
    let directory = tempfile::tempdir().unwrap();
    let database = Arc::new(Switch::default());
    let sinks: Vec<Box<dyn Sink>> = vec![Box::new(Fake("sqlite", Arc::clone(&database)))];
    let mut worker = Worker::new(directory.path(), sinks);
    for number in 0..10 {
        let writes_row = number % 2 == 1;
        worker.appender.append(&CostEvent { writes_row, ..event(number) }).unwrap();
    }
    worker.steps(3);
    assert_eq!(database.rows.lock().unwrap().len(), 5);
    assert_eq!(worker.shipper.stats().waiting_events, 0);
}

#[test]
fn a_dead_sink_stops_no_other_and_catches_up() {
    let directory = tempfile::tempdir().unwrap();
    let [dead, alive] = [Arc::new(Switch::default()), Arc::new(Switch::default())];
    dead.is_broken.store(true, Ordering::Relaxed);
    let sinks: Vec<Box<dyn Sink>> = vec![
        Box::new(Fake("postgres", Arc::clone(&dead))),
        Box::new(Fake("sqlite", Arc::clone(&alive))),
    ];
    let mut worker = Worker::new(directory.path(), sinks);
    worker.append(0..500);
    worker.steps(60);
    assert_eq!(alive.rows.lock().unwrap().len(), 500);
    let stats = worker.shipper.stats();
    assert_eq!((stats.waiting_events, stats.oldest_ms), (500, Some(created_at_ms(0))));
    assert_eq!(stats.sinks[0].last_error.as_deref(), Some("connection refused"));
    assert!(!stats.sinks[0].is_connected && stats.sinks[1].is_connected);
    assert!(stats.sinks[0].failures > 2 && stats.sinks[0].failures < 12, "{stats:?}");
    assert_eq!(stats.sinks[1].waiting_events, 0);
    let reports = worker.shipper.take_reports();
    assert_eq!(reports.len(), 1, "{reports:?}");
    assert!(reports[0].starts_with("postgres took no rows (1 tries"), "{reports:?}");
    // No segment goes before both have it.
    assert!(journal_files(directory.path()).len() > 4);

    dead.is_broken.store(false, Ordering::Relaxed);
    worker.now += Duration::from_secs(30);
    worker.steps(20);
    assert_eq!(*dead.rows.lock().unwrap(), ids(0..500));
    assert_eq!(worker.shipper.stats().waiting_events, 0);
    assert_eq!(worker.shipper.take_reports(), ["postgres takes rows again"]);
}

#[test]
fn a_bad_row_is_set_aside_and_the_others_go_on() {
    let directory = tempfile::tempdir().unwrap();
    let database = Arc::new(Switch::default());
    database.poison.store(42, Ordering::Relaxed);
    let sinks: Vec<Box<dyn Sink>> = vec![Box::new(Fake("sqlite", Arc::clone(&database)))];
    let mut worker = Worker::new(directory.path(), sinks);
    worker.append(0..250);
    worker.steps(5);
    assert_eq!(database.rows.lock().unwrap().len(), 249);
    let stats = worker.shipper.stats();
    assert_eq!((stats.waiting_events, stats.sinks[0].written), (0, 249));
    assert_eq!(stats.sinks[0].dead_letters, 1);
    let text = std::fs::read_to_string(directory.path().join(DEAD_LETTER_FILE)).unwrap();
    let line: serde_json::Value = serde_json::from_str(&text).unwrap();
    assert_eq!(line["event"]["event_id"], ids(42..43)[0].as_str());
    assert_eq!((&line["sink"], &line["reason"]), (&"sqlite".into(), &"a bad row".into()));
}

#[test]
fn what_a_dead_worker_left_is_shipped_by_another_and_deleted() {
    let directory = tempfile::tempdir().unwrap();
    let database = Arc::new(Switch::default());
    let sinks = || -> Vec<Box<dyn Sink>> { vec![Box::new(Fake("sqlite", Arc::clone(&database)))] };
    let mut first = Worker::new(directory.path(), sinks());
    first.append(0..300);
    first.steps(1);
    assert_eq!(database.rows.lock().unwrap().len(), 100);
    let mut second = Worker::new(directory.path(), sinks());
    second.append(300..400);
    second.steps(5);
    assert_eq!(database.rows.lock().unwrap().len(), 200, "the first one lives");
    // Killed: nothing is drained.
    drop(first);
    second.now += Duration::from_secs(10);
    second.steps(1);
    assert_eq!(second.shipper.stats().waiting_events, 100);
    second.steps(5);
    let mut rows = database.rows.lock().unwrap().clone();
    rows.sort();
    assert_eq!(rows, ids(0..400));
    let owner = second.owner.name();
    assert!(journal_files(directory.path()).iter().all(|name| name.starts_with(owner)));
}

#[test]
fn what_a_restart_would_replay_is_kept_although_it_was_shipped() {
    let directory = tempfile::tempdir().unwrap();
    let database = Arc::new(Switch::default());
    let sinks: Vec<Box<dyn Sink>> = vec![Box::new(Fake("sqlite", Arc::clone(&database)))];
    let mut worker = Worker::new(directory.path(), sinks);
    worker.shipper.set_checkpointed_epoch(0);
    worker.append(0..600);
    worker.steps(20);
    assert_eq!(worker.shipper.stats().waiting_events, 0);
    let mut events = 0;
    crate::state::replay(directory.path(), 0, |_, _| events += 1).unwrap();
    assert_eq!(events, 600);
    worker.shipper.set_checkpointed_epoch(1);
    worker.steps(2);
    events = 0;
    crate::state::replay(directory.path(), 0, |_, _| events += 1).unwrap();
    assert!(events < 250, "{events}");
}

#[test]
fn a_quit_is_bounded_and_leaves_the_rest() {
    let directory = tempfile::tempdir().unwrap();
    let database = Arc::new(Switch::default());
    database.is_broken.store(true, Ordering::Relaxed);
    let sinks = || -> Vec<Box<dyn Sink>> { vec![Box::new(Fake("sqlite", Arc::clone(&database)))] };
    let mut worker = Worker::new(directory.path(), sinks());
    worker.append(0..10);
    assert!(!worker.shipper.drain(Instant::now() + Duration::from_secs(9)));
    drop(worker);
    database.is_broken.store(false, Ordering::Relaxed);
    let mut next = Worker::new(directory.path(), sinks());
    next.steps(3);
    assert_eq!(*database.rows.lock().unwrap(), ids(0..10));
}

#[test]
fn a_deleted_segment_is_followed_by_another() {
    let directory = tempfile::tempdir().unwrap();
    let database = Arc::new(Switch::default());
    let sinks: Vec<Box<dyn Sink>> = vec![Box::new(Fake("sqlite", Arc::clone(&database)))];
    let mut worker = Worker::new(directory.path(), sinks);
    worker.append(0..3);
    worker.steps(1);
    std::fs::remove_file(segment_path(directory.path(), worker.owner.name(), 1)).unwrap();
    worker.steps(2);
    worker.append(3..6);
    worker.steps(2);
    assert_eq!(*database.rows.lock().unwrap(), ids(0..6));
}

#[test]
fn three_workers_and_two_sinks_end_with_the_same_rows() {
    let directory = tempfile::tempdir().unwrap();
    let database: PathBuf = directory.path().join("cost.db");
    let log: PathBuf = directory.path().join("cost.jsonl");
    let journal = directory.path().join("journal");
    std::fs::create_dir(&journal).unwrap();
    let threads: Vec<_> = (0..3_u64)
        .map(|at| {
            let sinks: Vec<Box<dyn Sink>> = vec![
                Box::new(Sqlite::new(&database, &TableName::default())),
                Box::new(Log::new(&log)),
            ];
            let mut worker = Worker::new(&journal, sinks);
            std::thread::spawn(move || {
                for batch in 0..10 {
                    worker.append(at * 1000 + batch * 50..at * 1000 + batch * 50 + 50);
                    worker.steps(1);
                }
                // The last one dies without a word.
                if at < 2 {
                    let deadline = Instant::now() + Duration::from_secs(60);
                    while !worker.shipper.drain(deadline) && Instant::now() < deadline {}
                }
            })
        })
        .collect();
    threads.into_iter().for_each(|thread| thread.join().unwrap());
    let sinks: Vec<Box<dyn Sink>> =
        vec![Box::new(Sqlite::new(&database, &TableName::default())), Box::new(Log::new(&log))];
    let mut heir = Worker::new(&journal, sinks);
    heir.steps(20);
    let expected: Vec<String> = (0..3).flat_map(|at| ids(at * 1000..at * 1000 + 500)).collect();
    let connection = rusqlite::Connection::open(&database).unwrap();
    let mut statement =
        connection.prepare("SELECT event_id FROM llm_cost_events ORDER BY 1").unwrap();
    let rows: Vec<String> =
        statement.query_map([], |row| row.get(0)).unwrap().map(Result::unwrap).collect();
    assert_eq!(rows, expected);
    let text = std::fs::read_to_string(&log).unwrap();
    let mut lines: Vec<String> = text
        .lines()
        .map(|line| serde_json::from_str::<serde_json::Value>(line).unwrap())
        .map(|line| line["event_id"].as_str().unwrap().to_owned())
        .collect();
    lines.sort();
    assert_eq!(lines, expected);
}
