//! Does `kill -9` of a process that writes and ships lose an event, or double one?

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

mod support;

use std::collections::BTreeSet;
use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

use llm_core::cost::TableName;
use llm_ledger::sink::{Log, Sink, Sqlite};
use support::{Worker, event};

const DIRECTORY: &str = "LLM_LEDGER_TEST_DIRECTORY";
const FIRST: &str = "LLM_LEDGER_TEST_FIRST";

fn sinks(directory: &Path) -> Vec<Box<dyn Sink>> {
    vec![
        Box::new(Sqlite::new(&directory.join("cost.db"), &TableName::default())),
        Box::new(Log::new(&directory.join("cost.jsonl"))),
    ]
}

/// The process that is killed: appends, tells each number, and ships. Nothing when run as a test.
#[test]
fn writing_process() {
    let Some(directory) = std::env::var_os(DIRECTORY) else { return };
    let directory = Path::new(&directory);
    let first: u64 = std::env::var(FIRST).unwrap().parse().unwrap();
    let mut worker = Worker::new(&directory.join("journal"), sinks(directory));
    let mut appender = worker.appender;
    std::thread::spawn(move || {
        loop {
            worker.shipper.step(std::time::Instant::now());
        }
    });
    let mut out = std::io::stdout();
    for number in first.. {
        appender.append(&event(number)).unwrap();
        writeln!(out, "appended {number}").unwrap();
        if number % 64 == 0 {
            std::thread::sleep(Duration::from_millis(2));
        }
    }
}

#[test]
fn a_killed_process_loses_no_event_and_doubles_none() {
    const STEP: u64 = 1_000_000;
    let temporary = tempfile::tempdir().unwrap();
    let directory = temporary.path();
    let journal = directory.join("journal");
    std::fs::create_dir(&journal).unwrap();
    let mut expected = BTreeSet::new();
    for round in 0..8_u64 {
        let mut child = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "writing_process", "--nocapture"])
            .env(DIRECTORY, directory)
            .env(FIRST, (round * STEP).to_string())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let out = BufReader::new(child.stdout.take().unwrap());
        let reader = std::thread::spawn(move || {
            let lines = out.lines().map_while(Result::ok);
            lines.filter_map(|line| line.strip_prefix("appended ")?.parse::<u64>().ok()).max()
        });
        std::thread::sleep(Duration::from_millis(150 + round * 70));
        child.kill().unwrap();
        child.wait().unwrap();
        let last = reader.join().unwrap().expect("the process wrote something");
        expected.extend(round * STEP..=last);
    }
    let mut heir = Worker::new(&journal, sinks(directory));
    for _ in 0..3 {
        heir.step();
    }
    heir.ship();
    let ids = |numbers: &BTreeSet<u64>| -> BTreeSet<String> {
        numbers.iter().map(|&number| event(number).event_id.to_string()).collect()
    };
    // The last event may have been appended and not told.
    let allowed: BTreeSet<String> =
        ids(&expected.iter().flat_map(|&number| [number, number + 1]).collect());
    let expected = ids(&expected);
    let check = |sink: &str, rows: Vec<String>| {
        let unique: BTreeSet<String> = rows.iter().cloned().collect();
        assert_eq!(rows.len(), unique.len(), "{sink} has doubles");
        assert!(unique.is_superset(&expected), "{sink} lacks {:?}", expected.difference(&unique));
        assert!(unique.is_subset(&allowed), "{sink}");
    };
    assert!(expected.len() > 1000, "{}", expected.len());
    let connection = rusqlite::Connection::open(directory.join("cost.db")).unwrap();
    let mut statement = connection.prepare("SELECT event_id FROM llm_cost_events").unwrap();
    check(
        "sqlite",
        statement.query_map([], |row| row.get(0)).unwrap().map(Result::unwrap).collect(),
    );
    let text = std::fs::read_to_string(directory.join("cost.jsonl")).unwrap();
    let id_of = |line: &str| {
        let line: serde_json::Value = serde_json::from_str(line).expect("a whole line");
        line["event_id"].as_str().unwrap().to_owned()
    };
    check("log", text.lines().map(id_of).collect());
    assert!(heir.shipper.drain(std::time::Instant::now() + Duration::from_secs(20)));
    drop(heir);
    let left: Vec<_> = std::fs::read_dir(&journal).unwrap().map(|entry| entry.unwrap()).collect();
    assert!(left.is_empty(), "{left:?}");
}
