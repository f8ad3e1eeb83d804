//! What records tell of their limits.

use super::super::bucket::{Portion, Rate};
use super::super::table::Table;
use super::*;

const REQUESTS: u64 = 70;
const PLACES: u64 = 80;

/// What is used of a limit by each who uses some of it.
fn used(slots: &[Record], limit: u64, now_ms: u64) -> Vec<u64> {
    let used = slots.iter().filter_map(|record| record.used(now_ms));
    let mut amounts: Vec<_> =
        used.filter(|used| used.limit == limit).map(|used| used.amount).collect();
    amounts.sort_unstable();
    amounts
}

#[test]
fn what_is_used_is_told_by_limit() {
    let mut slots = vec![Record::default(); 65];
    let (rate, one) = (Rate::new(600, 20, 60_000), Portion { amount: 1, firm: 1 });
    for key in [1, 1, 2] {
        Table::new(&mut slots).draw(key, REQUESTS, rate, one, 0);
        Table::new(&mut slots).enter(key + 10, PLACES, 4, 0);
    }
    assert_eq!(used(&slots, REQUESTS, 0), [1, 2]);
    assert_eq!(used(&slots, PLACES, 0), [1, 2]);
    // Ten flow back in a second; what has not wholly come back is used.
    assert_eq!(used(&slots, REQUESTS, 150), [1]);
    assert_eq!(used(&slots, REQUESTS, 200), [0; 0]);
    assert_eq!(used(&slots, PLACES, 200), [1, 2]);
    Table::new(&mut slots).leave(11);
    Table::new(&mut slots).leave(12);
    assert_eq!(used(&slots, PLACES, 200), [1]);
}

#[test]
fn a_bucket_keeps_its_limit_when_it_is_settled() {
    let mut slots = vec![Record::default(); 65];
    let (rate, some) = (Rate::new(600, 0, 60_000), Portion { amount: 50, firm: 1 });
    Table::new(&mut slots).draw(1, REQUESTS, rate, some, 0);
    Table::new(&mut slots).redraw(1, rate, 50, 80, 0);
    assert_eq!(used(&slots, REQUESTS, 0), [80]);
    Table::new(&mut slots).refill(1, 30, 0);
    assert_eq!(used(&slots, REQUESTS, 0), [50]);
}
