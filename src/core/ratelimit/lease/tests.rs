//! What a dead worker held comes back, once.

use super::super::bucket::{Draw, Portion, Rate};
use super::super::in_flight::Entry;
use super::*;

fn in_flight(target: u64) -> Lease {
    Lease { kind: Kind::InFlight, target, amount: 1 }
}

#[test]
fn what_the_dead_hold_is_given_back_and_what_the_living_hold_is_not() {
    let mut slots = vec![Record::default(); 65];
    let mut table = Table::new(&mut slots);
    let (mut dead, mut alive) = (Owner::new(7), Owner::new(8));
    for owner in [&mut dead, &mut alive] {
        assert!(table.open(owner, in_flight(1), 0).is_some());
        assert!(matches!(table.enter(1, 0, 2, 0), Entry::Entered(_)));
    }
    assert_eq!(table.enter(1, 0, 2, 0), Entry::Busy);
    let mut owners = Vec::new();
    table.owners(0..table.len(), &mut owners);
    owners.sort_unstable();
    assert_eq!(owners, [7, 8]);
    // In chunks, and more often than needed.
    let mut swept = 0;
    for start in (0..130).step_by(10) {
        swept += table.sweep(start % 65..(start % 65 + 10), |owner| owner == 8, 0);
    }
    assert_eq!(swept, 1);
    assert_eq!(table.enter(1, 0, 2, 0), Entry::Entered(0));
    assert_eq!(table.enter(1, 0, 2, 0), Entry::Busy);
}

#[test]
fn tokens_of_the_dead_come_back() {
    let mut slots = vec![Record::default(); 65];
    let mut table = Table::new(&mut slots);
    let (rate, mut dead) = (Rate::new(100, 0, 60_000), Owner::new(7));
    let portion = Portion { amount: 100, firm: 100 };
    let lease = Lease { kind: Kind::Bucket, target: 3, amount: 100 };
    assert!(table.open(&mut dead, lease, 0).is_some());
    assert!(matches!(table.draw(3, 0, rate, portion, 0), Draw::Taken(..)));
    assert!(matches!(table.draw(3, 0, rate, portion, 0), Draw::Wait(..)));
    assert_eq!(table.sweep(0..65, |_| false, 0), 1);
    assert!(matches!(table.draw(3, 0, rate, portion, 0), Draw::Taken(..)));
}

#[test]
fn a_lease_is_closed_once_and_only_by_its_holder() {
    let mut slots = [Record::default(); 2];
    let mut table = Table::new(&mut slots);
    let mut owner = Owner::new(7);
    let first = table.open(&mut owner, in_flight(1), 0).unwrap();
    assert!(table.is_open(first));
    assert_eq!(table.open(&mut owner, in_flight(1), 0), None);
    table.close(first);
    let second = table.open(&mut owner, in_flight(2), 0).unwrap();
    assert!(!table.is_open(first));
    table.close(first);
    assert!(table.is_open(second));
}

#[test]
fn leases_leave_room_for_counters_between_them() {
    let mut slots = vec![Record::default(); 4097];
    let mut table = Table::new(&mut slots);
    let mut owner = Owner::new(7);
    for _ in 0..500 {
        assert!(table.open(&mut owner, in_flight(1), 0).is_some());
    }
    let is_lease = |slot: &usize| table.get(*slot).is_some_and(|one| one.is(Kind::Lease));
    let densest = (1..4081).map(|start| (start..start + 16).filter(is_lease).count()).max();
    assert_eq!(densest, Some(16 / STRIDE));
    assert_eq!(table.stats().evicted, 0);
}

#[test]
fn leases_that_were_closed_are_the_next_ones() {
    let mut slots = vec![Record::default(); 4097];
    let mut table = Table::new(&mut slots);
    let mut owner = Owner::new(7);
    let mut four = || -> Vec<usize> {
        let all: Vec<_> =
            (0..4).map(|_| table.open(&mut owner, in_flight(1), 0).unwrap()).collect();
        for at in &all {
            table.close(*at);
            owner.closed(*at);
        }
        all.iter().map(|at| at.slot).collect()
    };
    let first = four();
    assert!((0..100).all(|_| four() == first));
}

#[test]
fn leases_find_room_in_a_crowded_table_and_none_in_a_full_one() {
    let mut slots = vec![Record::default(); 33];
    let mut table = Table::new(&mut slots);
    let mut owner = Owner::new(7);
    let opened = (0..100).filter(|_| table.open(&mut owner, in_flight(1), 0).is_some()).count();
    assert_eq!(opened, 32);
    assert!(table.stats().full > 0);
}
