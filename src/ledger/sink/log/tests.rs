//! What the file of JSON lines holds after good, repeated and interrupted batches.

use super::*;
use crate::fixture::event;

const WITHIN: Duration = Duration::from_secs(5);

fn delivery<'a>(rows: &'a [&'a CostEvent], since: Option<Mark>) -> Delivery<'a> {
    Delivery { rows, since, within: WITHIN }
}

fn ids(path: &Path) -> Vec<String> {
    let text = std::fs::read_to_string(path).unwrap();
    text.lines()
        .map(|line| serde_json::from_str::<serde_json::Value>(line).unwrap())
        .map(|line| line["event_id"].as_str().unwrap().to_owned())
        .collect()
}

#[test]
fn a_row_is_a_line_and_is_not_written_again_after_a_crash() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("cost.jsonl");
    let events: Vec<CostEvent> = (0..5).map(event).collect();
    let rows: Vec<&CostEvent> = events.iter().collect();
    let mut log = Log::new(&path);
    let start = log.mark();
    let first = log.write(delivery(&rows[..2], None)).unwrap();
    // The writer dies here: nobody has noted that rows 2 and 3 are there.
    log.write(delivery(&rows[2..4], None)).unwrap();
    let mut next = Log::new(&path);
    next.write(delivery(&rows[2..], Some(first))).unwrap();
    let expected: Vec<String> = events.iter().map(|event| event.event_id.to_string()).collect();
    assert_eq!(ids(&path), expected);
    next.write(delivery(&rows, Some(start))).unwrap();
    assert_eq!(ids(&path), expected);
}

#[test]
fn a_mark_of_another_file_hides_nothing() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("cost.jsonl");
    let events = [event(1)];
    let rows = [&events[0]];
    let mark = Log::new(&path).write(delivery(&rows, None)).unwrap();
    std::fs::rename(&path, directory.path().join("old")).unwrap();
    let mut log = Log::new(&path);
    log.write(delivery(&rows, Some(Mark { offset: 0, ..mark }))).unwrap();
    assert_eq!(ids(&path).len(), 1);
}
