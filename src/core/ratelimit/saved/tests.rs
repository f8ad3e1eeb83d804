//! What comes back after a restart is what was there, without what was under way.

use proptest::prelude::*;

use super::super::bucket::{Draw, Portion, Rate};
use super::super::label::Label;
use super::super::line::Scope;
use super::super::spend::{Cap, Reserve, Wish};
use super::super::window::SpendWindow;
use super::*;
use crate::cost::Pico;

const WINDOW: Window = Window { start_s: 600, end_s: 6_000 };
const NOW: u64 = 700_000;

fn wish(amount: u128) -> Wish {
    Wish { window: WINDOW, budget: 1000, amount, cap: Cap::Hard, is_forced: false }
}

fn portion(amount: u64) -> Portion {
    Portion { amount, firm: amount }
}

fn zone() -> Vec<Record> {
    vec![Record::default(); 65]
}

fn snapshot(slots: &mut [Record], epoch: u64, now_ms: u64) -> Vec<Saved> {
    let mut saved = Vec::new();
    let len = slots.len();
    Table::new(slots).snapshot(0..len, epoch, now_ms, &mut saved);
    let files: Vec<_> = saved.iter().map(Saved::to_bytes).collect();
    let read: Vec<_> = files.iter().map(|bytes| Saved::from_bytes(bytes).unwrap()).collect();
    assert_eq!(read, saved);
    saved
}

fn charge(key: u64, start_s: u64, pico: u128) -> SpendCharge {
    SpendCharge { key, window_start_s: start_s, pico: Pico(pico) }
}

#[test]
fn a_restart_brings_back_buckets_sums_and_labels_but_nothing_under_way() {
    let mut slots = zone();
    let mut table = Table::new(&mut slots);
    let rate = Rate::new(60, 0, 60_000);
    assert!(matches!(table.draw(1, 0, rate, portion(50), NOW), Draw::Taken(..)));
    assert!(matches!(table.draw(2, 0, rate, portion(1), NOW), Draw::Taken(..)));
    table.enter(3, 0, 5, NOW);
    assert!(matches!(table.reserve(4, &wish(100), NOW), Reserve::Reserved { .. }));
    table.spend(4, 60, 40, 0);
    let label = Label::new(Scope::Client, SpendWindow::Day, "usd", [b"a".as_slice()].into_iter());
    table.set_label(4, &label, NOW);
    // Two seconds later the second bucket is full again.
    let later = NOW + 2000;
    let saved = snapshot(&mut slots, 0, later);
    assert_eq!(saved.len(), 3);

    let mut fresh = zone();
    let mut table = Table::new(&mut fresh);
    assert!(table.begin_restore(41));
    assert!(!table.begin_restore(41));
    assert_eq!(table.epoch(), 42);
    assert!(saved.iter().all(|saved| table.restore(saved, later)));
    assert!(matches!(table.draw(1, 0, rate, portion(13), later), Draw::Wait(1000, _)));
    let budget = (0..65).find_map(|slot| table.budget(slot)).unwrap();
    assert_eq!((budget.spent, budget.reserved), (Pico(40), Pico::ZERO));
    assert_eq!((budget.window, budget.limit, budget.since_ms), (WINDOW, Pico(1000), NOW));
    assert_eq!(budget.label, Some(label));
}

#[test]
fn what_is_over_is_not_saved_and_not_restored() {
    let mut slots = zone();
    let mut table = Table::new(&mut slots);
    assert!(matches!(table.reserve(4, &wish(100), NOW), Reserve::Reserved { .. }));
    table.spend(4, 0, 40, 0);
    let saved = snapshot(&mut slots, 0, NOW);
    assert_eq!(saved.len(), 1);
    // A reservation does not keep a window that has ended.
    assert!(snapshot(&mut slots, 0, 6_000_000).is_empty());
    let mut fresh = zone();
    let mut table = Table::new(&mut fresh);
    assert!(saved.iter().all(|saved| table.restore(saved, 6_000_000)));
    assert!((0..65).all(|slot| table.budget(slot).is_none()));
}

#[test]
fn a_checkpoint_and_the_journal_behind_it_are_all_of_it() {
    let mut slots = zone();
    let mut table = Table::new(&mut slots);
    assert!(matches!(table.reserve(4, &wish(0), NOW), Reserve::Reserved { .. }));
    let mut journal = Vec::new();
    let mut spend = |table: &mut Table<'_>, pico: u128, epoch: u64| {
        journal.push((epoch, charge(4, 600, pico)));
        table.spend(4, 0, pico, epoch);
    };
    spend(&mut table, 1, 0);
    let ended = table.end_epoch();
    spend(&mut table, 10, 1);
    spend(&mut table, 100, 0);
    let saved = snapshot(&mut slots, ended, NOW);

    let mut fresh = zone();
    let mut table = Table::new(&mut fresh);
    assert!(table.begin_restore(ended));
    assert!(saved.iter().all(|saved| table.restore(saved, NOW)));
    for (_, charge) in journal.iter().filter(|(epoch, _)| *epoch > ended) {
        assert!(table.replay(charge, NOW, NOW));
    }
    let budget = (0..65).find_map(|slot| table.budget(slot)).unwrap();
    assert_eq!(budget.spent, Pico(111));
}

#[test]
fn the_journal_alone_makes_budgets_that_the_first_request_completes() {
    let mut slots = zone();
    let mut table = Table::new(&mut slots);
    assert!(table.replay(&charge(4, 600, 30), 650_000, NOW));
    assert!(table.replay(&charge(4, 600, 40), 650_000, NOW));
    let budget = (0..65).find_map(|slot| table.budget(slot)).unwrap();
    assert_eq!((budget.spent, budget.limit), (Pico(70), Pico::ZERO));
    assert_eq!((budget.since_ms, budget.is_complete), (650_000, false));
    assert!(matches!(table.reserve(4, &wish(931), NOW), Reserve::Spent { remaining: 930 }));
    let budget = (0..65).find_map(|slot| table.budget(slot)).unwrap();
    assert_eq!((budget.window, budget.limit), (WINDOW, Pico(1000)));
}

#[test]
fn charges_of_windows_long_over_are_left_out() {
    let mut slots = zone();
    let mut table = Table::new(&mut slots);
    let now_ms = (600 + LONGEST_S) * 1000;
    assert!(table.replay(&charge(4, 600, 30), 0, now_ms));
    assert!((0..65).all(|slot| table.budget(slot).is_none()));
    // One of all time is never over.
    assert!(table.replay(&charge(5, 0, 30), 0, now_ms));
    assert_eq!((0..65).find_map(|slot| table.budget(slot)).map(|one| one.spent), Some(Pico(30)));
}

#[test]
fn a_restore_adds_to_what_is_there() {
    let mut slots = zone();
    let mut table = Table::new(&mut slots);
    assert!(matches!(table.reserve(4, &wish(0), NOW), Reserve::Reserved { .. }));
    table.spend(4, 0, 40, 0);
    let saved = snapshot(&mut slots, 0, NOW);
    let mut table = Table::new(&mut slots);
    assert!(saved.iter().all(|saved| table.restore(saved, NOW)));
    let budget = (0..65).find_map(|slot| table.budget(slot)).unwrap();
    assert_eq!(budget.spent, Pico(80));
}

#[test]
fn bytes_of_another_layout_are_refused_by_name() {
    let mut slots = zone();
    let mut table = Table::new(&mut slots);
    assert!(matches!(table.reserve(4, &wish(1), NOW), Reserve::Reserved { .. }));
    let bytes = snapshot(&mut slots, 0, NOW)[0].to_bytes();
    for (at, value, error) in [
        (0, 2, SavedError::Version(2)),
        (1, 2, SavedError::Kind(2)),
        (1, 4, SavedError::Kind(4)),
        (1, 77, SavedError::Kind(77)),
    ] {
        let mut changed = bytes;
        changed[at] = value;
        assert_eq!(Saved::from_bytes(&changed), Err(error));
    }
    assert!(SavedError::Version(2).to_string().contains("layout 2"));
}

#[test]
fn the_bytes_stay_what_they_are() {
    let mut slots = zone();
    let mut table = Table::new(&mut slots);
    assert!(matches!(table.reserve(0x0807_0605, &wish(1), NOW), Reserve::Reserved { .. }));
    table.spend(0x0807_0605, 1, 0x0102, 0);
    let bytes = snapshot(&mut slots, 0, NOW)[0].to_bytes();
    let (head, rest) = bytes.split_at(24);
    assert_eq!(head, [1, 3, 0, 0, 0, 0, 0, 0, 5, 6, 7, 8, 0, 0, 0, 0, 2, 1, 0, 0, 0, 0, 0, 0]);
    assert_eq!(rest.len(), 72);
}

proptest! {
    #[test]
    fn any_bytes_are_read_or_refused(bytes in prop::collection::vec(any::<u8>(), Saved::BYTES)) {
        let mut array = [0; Saved::BYTES];
        array.copy_from_slice(&bytes);
        for (version, kind) in [(array[0], array[1]), (1, 1), (1, 3), (1, 5)] {
            (array[0], array[1]) = (version, kind);
            let Ok(saved) = Saved::from_bytes(&array) else { continue };
            let mut slots = zone();
            let mut table = Table::new(&mut slots);
            table.restore(&saved, NOW);
            table.restore(&saved, NOW);
            for slot in 0..table.len() {
                let _ = table.budget(slot);
            }
            let key = saved.0.key;
            let _ = table.draw(key, 0, Rate::new(5, 5, 1000), portion(3), NOW);
            let _ = table.reserve(key, &wish(5), NOW);
        }
    }
}
