//! Are the sums of what the gateway really writes the same, wherever it has written it?

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test fails by panicking; what tests share is not seen as a test"
)]

mod common;
#[path = "../../ledger/fixture.rs"]
#[allow(dead_code, reason = "the ledger's own tests use more of it")]
mod fixture;

use std::path::Path;
use std::time::Duration;

use common::llmctl;
use llm_core::cost::{CostEvent, TableName};
use llm_ledger::journal::{Appender, Limits, Owner};
use llm_ledger::sink::{Delivery, Sink, Sqlite};

fn events() -> Vec<CostEvent> {
    let mut events: Vec<_> = (0..300).map(fixture::event).collect();
    for (number, event) in events.iter_mut().enumerate() {
        event.cost_unit = if number % 2 == 0 { "usd".into() } else { "credit".into() };
        event.created_at_ms += 86_400_000 * (number as u64 % 3);
        event.tag = if number % 5 == 0 { "=night,\"x\"".into() } else { "".into() };
    }
    events[7].cost = None;
    events
}

/// A folder with the same events in a journal of two workers and in an SQLite file.
fn written() -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    let journal = folder.path().join("journal");
    std::fs::create_dir(&journal).unwrap();
    let limits = Limits { max_bytes: 1 << 20, workers: 2 };
    let mut workers: Vec<_> =
        (0..2).map(|_| Appender::new(Owner::open(&journal, limits).unwrap())).collect();
    let events = events();
    for (number, event) in events.iter().enumerate() {
        workers[number % 2].append(event).unwrap();
    }
    // Once more, as after a crash; and one that is about its charges only.
    workers[0].append(&events[5]).unwrap();
    workers[1].append(&CostEvent { writes_row: false, ..fixture::event(999) }).unwrap();
    let table = TableName::parse(&["llm_cost_events"]).unwrap();
    let rows: Vec<_> = events.iter().collect();
    Sqlite::new(&folder.path().join("cost.db"), &table)
        .write(Delivery { rows: &rows, since: None, within: Duration::from_secs(10) })
        .unwrap();
    folder
}

fn spend(db: &Path, args: &[&str]) -> String {
    let mut all = vec!["spend", "--format", "csv", "--db", db.to_str().unwrap()];
    all.extend(args);
    llmctl(&all).ok()
}

#[test]
fn journal_and_database_have_the_same_sums() {
    let folder = written();
    let (journal, database) = (folder.path().join("journal"), folder.path().join("cost.db"));
    for args in [
        &["--by", "org,project,client,key"][..],
        &["--by", "day,provider,model"],
        &["--by", "tag,status"],
        &["--by", "day", "--since", "2026-11-19"],
        &["--by", "day", "--until", "2026-11-19"],
    ] {
        let sums = spend(&journal, args);
        assert!(sums.lines().count() > 2, "{args:?}: {sums}");
        assert_eq!(sums, spend(&database, args), "{args:?}");
    }
    let all = spend(&journal, &["--by", "org"]);
    let requests: u64 = all
        .lines()
        .skip(1)
        .map(|line| line.split(',').nth(2).unwrap())
        .map(|n| n.parse::<u64>().unwrap())
        .sum();
    assert_eq!(requests, 300, "{all}");
}

#[test]
fn damage_in_a_journal_is_told_and_the_rest_is_summed() {
    let folder = written();
    let journal = folder.path().join("journal");
    let whole = spend(&journal, &["--by", "org"]);
    let segments = std::fs::read_dir(&journal).unwrap().map(|entry| entry.unwrap().path());
    let segment = segments.filter(|path| path.extension().is_some_and(|e| e == "journal")).min();
    let segment = segment.unwrap();
    let mut bytes = std::fs::read(&segment).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle] ^= 0x55;
    std::fs::write(&segment, bytes).unwrap();
    let run =
        llmctl(&["spend", "--by", "org", "--format", "csv", "--db", journal.to_str().unwrap()]);
    assert!(run.error.contains("damaged bytes are not in the sums"), "{run:?}");
    assert_ne!(run.ok(), whole);
}

#[test]
fn what_is_no_database_is_told() {
    let folder = tempfile::tempdir().unwrap();
    let gone = folder.path().join("gone.dsn");
    let said = llmctl(&["spend", "--db", &format!("file:{}", gone.display())]).fails(1);
    assert!(said.contains("cannot be read"), "{said}");
    let said = llmctl(&["spend", "--db", "env:NO_SUCH_DSN"]).fails(1);
    assert!(said.contains("\"NO_SUCH_DSN\"") && said.contains("not set"), "{said}");
    let said = llmctl(&["spend", "--db", "host=x sslmode=perhaps password=hunter2"]).fails(1);
    assert!(said.contains("sslmode") && !said.contains("hunter2"), "{said}");
    assert_eq!(
        spend(folder.path(), &["--by", "org"]),
        "org,unit,requests,input_tokens,output_tokens,cost\n",
        "an empty journal has no sums"
    );
}
