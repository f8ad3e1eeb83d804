//! Budgets to the last pico-unit, and sums at the end of an epoch.

use super::*;

const WINDOW: Window = Window { start_s: 600, end_s: 1200 };
const NOW: u64 = 700_000;

fn wish(budget: u128, amount: u128) -> Wish {
    Wish { window: WINDOW, budget, amount, cap: Cap::Hard, is_forced: false }
}

fn passes(table: &mut Table<'_>, wish: &Wish) -> bool {
    matches!(table.reserve(7, wish, NOW), Reserve::Reserved { .. })
}

fn budget(table: &Table<'_>) -> (u128, u128) {
    let found = (0..table.len()).find_map(|slot| table.budget(slot)).unwrap();
    (found.spent.0, found.reserved.0)
}

#[test]
fn what_is_spent_and_reserved_never_exceeds_a_hard_budget() {
    let mut slots = [Record::default(); 4];
    let mut table = Table::new(&mut slots);
    assert!(!passes(&mut table, &wish(100, 101)));
    assert!(passes(&mut table, &wish(100, 60)));
    assert!(!passes(&mut table, &wish(100, 41)));
    assert!(passes(&mut table, &wish(100, 40)));
    assert_eq!(budget(&table), (0, 100));
    table.spend(7, 60, 10, 0);
    assert_eq!(budget(&table), (10, 40));
    assert!(passes(&mut table, &wish(100, 50)));
    assert!(!passes(&mut table, &wish(100, 1)));
    // A free request passes even so.
    assert!(passes(&mut table, &wish(100, 0)));
}

#[test]
fn sixty_four_at_once_with_a_budget_for_one_are_one() {
    let mut slots = [Record::default(); 4];
    let mut table = Table::new(&mut slots);
    let passed = (0..64).filter(|_| passes(&mut table, &wish(1000, 1000))).count();
    assert_eq!(passed, 1);
}

#[test]
fn a_soft_budget_lets_the_crossing_request_pass() {
    let mut slots = [Record::default(); 4];
    let mut table = Table::new(&mut slots);
    let soft = |amount| Wish { cap: Cap::Soft, ..wish(100, amount) };
    assert!(passes(&mut table, &soft(99)));
    table.spend(7, 99, 99, 0);
    assert!(passes(&mut table, &soft(50)));
    assert!(!passes(&mut table, &soft(0)));
}

#[test]
fn force_reserves_and_says_so() {
    let mut slots = [Record::default(); 4];
    let mut table = Table::new(&mut slots);
    let forced = Wish { is_forced: true, ..wish(100, 150) };
    let reserve = table.reserve(7, &forced, NOW);
    assert_eq!(reserve, Reserve::Reserved { remaining: 0, is_new: true, is_over: true });
    assert_eq!(budget(&table), (0, 150));
}

#[test]
fn absurd_prices_are_refused_and_not_wrapped() {
    let mut slots = [Record::default(); 4];
    let mut table = Table::new(&mut slots);
    assert!(passes(&mut table, &wish(u128::MAX, 5)));
    assert!(!passes(&mut table, &wish(u128::MAX - 1, u128::MAX)));
    table.spend(7, 5, u128::MAX, 0);
    table.spend(7, 0, u128::MAX, 1);
    assert_eq!(budget(&table), (u128::MAX, 0));
}

#[test]
fn a_sum_at_the_end_of_an_epoch_is_exact_while_traffic_goes_on() {
    let mut slots = [Record::default(); 4];
    let mut table = Table::new(&mut slots);
    assert!(passes(&mut table, &wish(1000, 0)));
    table.spend(7, 0, 1, 0);
    let ended = table.end_epoch();
    assert_eq!((ended, table.epoch()), (0, 1));
    table.spend(7, 0, 10, 1);
    // Somebody had read the epoch before it ended.
    table.spend(7, 0, 100, 0);
    table.spend(7, 0, 1000, 1);
    let until = |table: &mut Table<'_>, epoch| table.change(7, |spend| spend.until(epoch)).unwrap();
    assert_eq!(until(&mut table, 0), 101);
    assert_eq!(until(&mut table, 1), 1111);
    assert_eq!(table.end_epoch(), 1);
    assert_eq!(until(&mut table, 1), 1111);
    table.spend(7, 0, 1, 2);
    assert_eq!(until(&mut table, 1), 1111);
}

#[test]
fn a_charge_whose_record_has_gone_is_dropped_and_counted() {
    let mut slots = [Record::default(); 4];
    let mut table = Table::new(&mut slots);
    table.spend(7, 5, 5, 0);
    table.spend(7, 5, 0, 0);
    assert_eq!(table.stats().late, 1);
    assert!((0..4).all(|slot| table.budget(slot).is_none()));
}

#[test]
fn a_window_that_is_over_gives_way_when_nothing_is_reserved() {
    let mut slots = [Record::default(); 2];
    let mut table = Table::new(&mut slots);
    assert!(passes(&mut table, &wish(100, 5)));
    assert_eq!(table.reserve(8, &wish(100, 5), 1_200_000), Reserve::Full);
    table.spend(7, 5, 3, 0);
    assert_eq!(table.reserve(8, &wish(100, 5), 1_199_999), Reserve::Full);
    assert!(matches!(table.reserve(8, &wish(100, 5), 1_200_000), Reserve::Reserved { .. }));
}

#[test]
fn a_database_completes_a_budget_once() {
    let mut slots = [Record::default(); 4];
    let mut table = Table::new(&mut slots);
    assert!(!table.add_before(7, Pico(50)));
    assert!(passes(&mut table, &wish(100, 0)));
    let found = (0..4).find_map(|slot| table.budget(slot)).unwrap();
    assert_eq!((found.since_ms, found.is_complete), (NOW, false));
    assert!(table.add_before(7, Pico(50)));
    assert!(!table.add_before(7, Pico(50)));
    assert_eq!(budget(&table), (50, 0));
    assert!(!passes(&mut table, &wish(100, 51)));
}

#[test]
fn a_budget_that_was_there_when_its_window_began_is_complete() {
    let mut slots = [Record::default(); 4];
    let mut table = Table::new(&mut slots);
    assert!(matches!(table.reserve(7, &wish(1, 0), 600_000), Reserve::Reserved { .. }));
    let found = (0..4).find_map(|slot| table.budget(slot)).unwrap();
    assert!(found.is_complete);
}

#[test]
fn a_record_holds_all_of_a_sum() {
    let spend = Spend {
        before: u128::MAX / 3,
        within: u128::MAX / 5,
        reserved: u128::MAX / 7,
        window: WINDOW,
        limit: u128::MAX / 9,
        since_ms: u64::MAX,
        epoch: u32::MAX,
        is_complete: true,
    };
    let mut record = Record::new(1, Kind::Spend);
    spend.store(&mut record);
    assert_eq!(Spend::load(&record), spend);
}
