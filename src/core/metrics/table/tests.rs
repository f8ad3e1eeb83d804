//! What workers do to the table.

use super::*;

fn copied(records: &[Record]) -> Vec<Record> {
    records[..Table::extent(records)].to_vec()
}

#[test]
fn open_streams_of_a_dead_worker_are_forgotten() {
    let mut records = vec![Record::default(); 10];
    let mut table = Table::new(&mut records);
    table.forget_streams(1);
    table.streams(1, 3, 0);
    table.streams(2, 2, 0);
    table.streams(1, 0, 1);
    let open = |records: &mut [Record], is_alive: fn(u32) -> bool| {
        let copy = copied(records);
        Table::open_streams(&copy, is_alive, |pid| Table::new(records).forget_streams(pid))
    };
    assert_eq!(open(&mut records, |_| true), 4);
    assert_eq!(open(&mut records, |pid| pid == 1), 2);
    assert_eq!(open(&mut records, |_| true), 2);
    Table::new(&mut records).forget_streams(1);
    assert_eq!(open(&mut records, |_| true), 0);
}

#[test]
fn a_worker_that_had_no_stream_takes_no_room() {
    let mut records = vec![Record::default(); 10];
    Table::new(&mut records).forget_streams(1);
    assert_eq!(Table::extent(&records), 1);
    Table::new(&mut records).streams(1, 1, 0);
    let workers: Vec<_> = copied(&records).iter().map(Record::worker).collect();
    assert_eq!(workers, [None, Some(1)]);
}
