//! Look-ups in crowded tables, and who gives way to whom.

use super::super::bucket::{Portion, Rate};
use super::super::in_flight::Entry;
use super::*;

const MINUTE: u64 = 60_000;

fn draw(table: &mut Table<'_>, key: u64, now_ms: u64) -> bool {
    use super::super::bucket::Draw;
    let portion = Portion { amount: 1, firm: 1 };
    !matches!(table.draw(key, 0, Rate::new(1, 0, MINUTE), portion, now_ms), Draw::Full)
}

#[test]
fn a_table_without_slots_is_full() {
    let mut none: [Record; 0] = [];
    let mut table = Table::new(&mut none);
    assert!(table.is_empty());
    assert!(!draw(&mut table, 7, 0));
    assert_eq!(table.stats(), Stats::default());
    let mut one = [Record::default()];
    let mut table = Table::new(&mut one);
    assert!(!draw(&mut table, 7, 0));
    assert_eq!(table.stats().full, 1);
}

#[test]
fn the_first_slot_is_never_given_away() {
    let mut slots = [Record::default(); 5];
    let mut table = Table::new(&mut slots);
    for key in 1..=4 {
        assert!(draw(&mut table, key, 0));
    }
    assert!(!draw(&mut table, 5, 0));
    assert_eq!(table.stats().full, 1);
    assert!((1..=4).all(|key| table.find(key, Kind::Bucket).is_some()));
}

#[test]
fn a_full_bucket_gives_way_and_is_counted() {
    let mut slots = [Record::default(); 3];
    let mut table = Table::new(&mut slots);
    assert!(draw(&mut table, 1, 0) && draw(&mut table, 2, 30_000));
    assert!(!draw(&mut table, 3, 59_999));
    assert!(draw(&mut table, 3, MINUTE));
    assert_eq!(table.find(1, Kind::Bucket), None);
    assert_eq!((table.stats().full, table.stats().evicted), (1, 1));
}

#[test]
fn a_counter_in_use_does_not_give_way() {
    let mut slots = [Record::default(); 2];
    let mut table = Table::new(&mut slots);
    assert_eq!(table.enter(1, 0, 2, 0), Entry::Entered(1));
    assert_eq!(table.enter(2, 0, 2, u64::MAX), Entry::Full);
    table.leave(1);
    assert_eq!(table.enter(2, 0, 2, u64::MAX), Entry::Entered(1));
}

#[test]
fn places_are_counted_and_given_back() {
    let mut slots = [Record::default(); 4];
    let mut table = Table::new(&mut slots);
    assert_eq!(table.enter(1, 0, 2, 0), Entry::Entered(1));
    assert_eq!(table.enter(1, 0, 2, 0), Entry::Entered(0));
    assert_eq!(table.enter(1, 0, 2, 0), Entry::Busy);
    table.leave(1);
    assert_eq!(table.enter(1, 0, 2, 0), Entry::Entered(0));
    // What was never taken cannot be given back.
    for _ in 0..5 {
        table.leave(1);
        table.leave(9);
    }
    assert_eq!(table.enter(1, 0, 2, 0), Entry::Entered(1));
}

#[test]
fn a_record_is_found_behind_slots_that_became_free() {
    let mut slots = [Record::default(); 17];
    let mut table = Table::new(&mut slots);
    for key in [16, 32, 48] {
        assert_eq!(table.enter(key, 0, 9, 0), Entry::Entered(8));
    }
    table.leave(16);
    assert_eq!(table.enter(48, 0, 9, 0), Entry::Entered(7));
}

#[test]
fn kinds_with_one_key_do_not_mix() {
    let mut slots = [Record::default(); 9];
    let mut table = Table::new(&mut slots);
    assert!(draw(&mut table, 5, 0));
    assert_eq!(table.enter(5, 0, 1, 0), Entry::Entered(0));
    assert_eq!(table.enter(5, 0, 1, 0), Entry::Busy);
    table.leave(5);
    assert_eq!(table.enter(5, 0, 1, 0), Entry::Entered(0));
}

#[test]
fn look_ups_are_bounded_in_a_full_table() {
    // All keys want the same first place: it fills up, and then each has one more.
    let mut slots = vec![Record::default(); 100_001];
    let mut table = Table::new(&mut slots);
    let keys: Vec<_> = (1..=1000).map(|at| at * 100_000).collect();
    assert!(keys.iter().all(|key| draw(&mut table, *key, 0)));
    assert!(keys.iter().all(|key| table.find(*key, Kind::Bucket).is_some()));
    let at_home = (1..=PROBES).filter(|at| table.get(*at).is_some_and(|one| one.key != 0)).count();
    assert_eq!(at_home, PROBES - ENOUGH + 1);
    let looked: usize = places(100_001, 100_000).into_iter().map(Iterator::count).sum();
    assert_eq!(looked, 2 * PROBES);
}

#[test]
fn ten_thousand_identities_fit_into_three_fifths_of_a_table() {
    let mut slots = vec![Record::default(); 16_667];
    let mut table = Table::new(&mut slots);
    let keys = (1..=10_000).map(|at| super::super::key::Key::new("test").number(at).finish());
    let lost = keys.filter(|key| !draw(&mut table, *key, 0)).count();
    assert_eq!(lost, 0);
}

#[test]
fn a_record_of_a_later_release_is_left_alone() {
    let mut slots = [Record::default(); 2];
    slots[1] = Record { key: 7, kind: 99, ..Record::default() };
    let mut table = Table::new(&mut slots);
    assert!(!draw(&mut table, 7, u64::MAX));
    assert_eq!(slots[1].kind, 99);
}
