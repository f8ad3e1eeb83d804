//! All or nothing, what is settled and given back, and what a worker that dies leaves behind.

use super::super::in_flight::InFlight;
use super::super::record::Record;
use super::*;

const MINUTE: u64 = 60_000;
const WINDOW: Window = Window { start_s: 0, end_s: 6_000_000 };

fn tokens(key: u64, n: u64, amount: u64) -> Ask {
    let portion = Portion { amount, firm: amount };
    let want = Want::Draw { rate: Rate::new(n, 0, MINUTE), measure: Measure::Total, portion };
    Ask { which: Which::Limit(0), key, limit: 0, want }
}

fn requests(key: u64, n: u64) -> Ask {
    let portion = Portion { amount: 1, firm: 1 };
    let want = Want::Draw { rate: Rate::new(n, 0, MINUTE), measure: Measure::Requests, portion };
    Ask { which: Which::Limit(1), key, limit: 0, want }
}

fn places(key: u64, limit: u64) -> Ask {
    Ask { which: Which::Limit(2), key, limit: 0, want: Want::Enter { limit } }
}

fn money(key: u64, budget: u128, amount: u128) -> Ask {
    let want = Want::Reserve { window: WINDOW, budget, amount, cap: Cap::Hard };
    Ask { which: Which::Spend(0), key, limit: 0, want }
}

/// A zone and one worker; `calls` limits how often the zone is still locked before the worker dies.
struct World {
    slots: Vec<Record>,
    owner: Owner,
    calls: usize,
}

impl World {
    fn new() -> Self {
        Self::sized(129)
    }

    fn sized(slots: usize) -> Self {
        Self { slots: vec![Record::default(); slots], owner: Owner::new(7), calls: usize::MAX }
    }

    fn clerk<R>(&mut self, now_ms: u64, work: impl FnOnce(&mut Clerk<'_>) -> R) -> R {
        let Self { slots, owner, calls } = self;
        let mut with = |work: &mut dyn FnMut(&mut Table<'_>)| {
            if *calls > 0 {
                *calls -= 1;
                work(&mut Table::new(slots));
            }
        };
        work(&mut Clerk::new(&mut with, owner, now_ms))
    }

    fn take(&mut self, asks: &[Ask], mode: Mode) -> Result<Vec<Held>, Box<Refused>> {
        let mut held = Vec::new();
        match self.clerk(0, |clerk| clerk.take(asks, mode, &mut held)) {
            Some(refused) if refused.is_binding => {
                assert!(held.is_empty());
                Err(Box::new(refused))
            }
            _ => Ok(held),
        }
    }

    fn table(&mut self) -> Table<'_> {
        Table::new(&mut self.slots)
    }

    fn places_taken(&self) -> u64 {
        let counters = self.slots.iter().filter(|record| record.is(Kind::InFlight));
        counters.map(|record| InFlight::load(record).count).sum()
    }

    /// What is in use, other than the table's numbers.
    fn used(&self) -> Vec<Kind> {
        let kinds = self.slots.iter().skip(1).filter_map(|record| Kind::of(record.kind));
        kinds.filter(|kind| *kind != Kind::Free).collect()
    }
}

fn usage(input: u64, output: u64) -> Option<Buckets> {
    Some(Buckets { uncached_input: input, output, ..Buckets::default() })
}

#[test]
fn nothing_is_held_when_one_of_many_refuses() {
    for last in [tokens(9, 10, 11), requests(9, 1), places(9, 1), money(9, 10, 11)] {
        let mut world = World::new();
        // Takes the only request and place.
        let first = world.take(&[requests(9, 1), places(9, 1)], Mode::Enforce).unwrap();
        assert_eq!(first.len(), 2);
        let all = [requests(1, 1), tokens(2, 100, 100), places(3, 1), money(4, 100, 100)];
        let with_last = [all.as_slice(), &[last]].concat();
        let refused = world.take(&with_last, Mode::Enforce).unwrap_err();
        assert_eq!(refused.ask, last);
        // The same still fits to the last token, place and pico-unit.
        assert_eq!(world.take(&all, Mode::Enforce).unwrap().len(), 4);
    }
}

#[test]
fn settling_puts_the_real_amounts_in_place() {
    let mut world = World::new();
    let asks = [requests(1, 1), tokens(2, 100, 80), places(3, 1), money(4, 100, 100)];
    let mut held = world.take(&asks, Mode::Enforce).unwrap();
    assert_eq!(held.iter().filter_map(Held::reserved_tokens).collect::<Vec<_>>(), [80]);
    assert_eq!(held.iter().filter_map(Held::budget_used_percent).collect::<Vec<_>>(), [100]);
    let charges: Vec<_> = held.iter().filter_map(|one| one.charge(Pico(30))).collect();
    assert_eq!(charges, [SpendCharge { key: 4, window_start_s: 0, pico: Pico(30) }]);
    let actual = Actual { tokens: usage(20, 10), price: Pico(30) };
    world.clerk(0, |clerk| clerk.settle(&mut held, &actual, 0));
    assert!(held.is_empty());
    assert!(!world.used().contains(&Kind::Lease));
    assert!(world.take(&[requests(1, 1)], Mode::Enforce).is_err());
    assert!(world.take(&[tokens(2, 100, 71)], Mode::Enforce).is_err());
    assert!(world.take(&[money(4, 100, 71)], Mode::Enforce).is_err());
    assert!(
        world.take(&[tokens(2, 100, 70), places(3, 1), money(4, 100, 70)], Mode::Enforce).is_ok()
    );
}

#[test]
fn giving_back_leaves_nothing() {
    let mut world = World::new();
    let asks = [requests(1, 1), tokens(2, 100, 80), places(3, 1), money(4, 100, 100)];
    for _ in 0..100 {
        let mut held = world.take(&asks, Mode::Enforce).unwrap();
        world.clerk(0, |clerk| clerk.release(&mut held, 0));
        assert!(held.is_empty());
    }
    // Two buckets, a budget, and the counter of places, which is idle.
    assert_eq!(world.used().len(), 4);
    assert_eq!(world.places_taken(), 0);
    // A part may be given back, as when an attempt is not sent.
    let mut held = world.take(&asks, Mode::Enforce).unwrap();
    world.clerk(0, |clerk| clerk.release(&mut held, 2));
    assert_eq!(held.len(), 2);
    assert!(world.take(&[places(3, 1), money(4, 100, 100)], Mode::Enforce).is_ok());
    assert!(world.take(&[requests(1, 1)], Mode::Enforce).is_err());
}

#[test]
fn an_unknown_usage_leaves_the_reservation_standing() {
    let mut world = World::new();
    let mut held = world.take(&[tokens(2, 100, 80)], Mode::Enforce).unwrap();
    world.clerk(0, |clerk| clerk.settle(&mut held, &Actual::default(), 0));
    assert!(!world.used().contains(&Kind::Lease));
    assert!(world.take(&[tokens(2, 100, 21)], Mode::Enforce).is_err());
    assert!(world.take(&[tokens(2, 100, 20)], Mode::Enforce).is_ok());
}

#[test]
fn each_measure_counts_its_own_tokens() {
    let tokens = Buckets {
        uncached_input: 1,
        cache_read: 10,
        cache_write_5m: 100,
        cache_write_1h: 1000,
        output: 10_000,
    };
    for (measure, count) in [
        (Measure::Requests, 1),
        (Measure::Input, 1111),
        (Measure::Output, 10_000),
        (Measure::Total, 11_111),
        (Measure::Uncached, 11_101),
    ] {
        assert_eq!(counted(&tokens, measure), count, "{measure:?}");
    }
}

#[test]
fn a_dry_run_refuses_nothing_and_says_what_it_would_have() {
    let mut world = World::new();
    let mut held = Vec::new();
    let asks = [tokens(1, 10, 11), requests(2, 1), money(3, 10, 15)];
    let refused = world.clerk(0, |clerk| clerk.take(&asks, Mode::DryRun, &mut held)).unwrap();
    assert_eq!((refused.is_binding, refused.ask, refused.why), (false, asks[0], Why::Never));
    assert_eq!(held.len(), 2);
    let refused = world.clerk(0, |clerk| clerk.take(&[asks[2]], Mode::DryRun, &mut held)).unwrap();
    assert_eq!((refused.is_binding, refused.why), (false, Why::Spent));
    // Budgets count on.
    world.clerk(0, |clerk| clerk.settle(&mut held, &Actual { tokens: None, price: Pico(12) }, 0));
    let spent = world.table().change(3, |spend| (spend.spent(), spend.reserved)).unwrap();
    assert_eq!(spent, (24, 0));
}

#[test]
fn a_full_zone_refuses_or_lets_pass_as_the_mode_says() {
    for ask in [tokens(1, 10, 1), requests(1, 10), places(1, 10), money(1, 10, 1)] {
        let mut world = World::sized(1);
        let refused = world.take(&[ask], Mode::Enforce).unwrap_err();
        assert_eq!(refused.why, Why::Full);
        assert_eq!(world.take(&[ask], Mode::FailOpen), Ok(vec![]));
        assert!(world.table().stats().full > 0);
        // So does a zone that is not there at all.
        world.calls = 0;
        assert_eq!(world.take(&[ask], Mode::Enforce).unwrap_err().why, Why::Full);
    }
    // Failing open is about room only.
    let mut world = World::new();
    assert!(world.take(&[tokens(1, 10, 11)], Mode::FailOpen).is_err());
}

#[test]
fn tokens_need_no_lease_but_places_and_money_do() {
    // Room for the record alone.
    let mut world = World::sized(2);
    world.table().draw(1, 0, Rate::new(10, 0, MINUTE), Portion { amount: 1, firm: 1 }, 0);
    let mut held = world.take(&[tokens(1, 10, 5)], Mode::Enforce).unwrap();
    assert_eq!(world.table().stats().unbacked, 1);
    let actual = Actual { tokens: usage(1, 1), price: Pico::ZERO };
    world.clerk(0, |clerk| clerk.settle(&mut held, &actual, 0));
    assert!(world.take(&[tokens(1, 10, 7)], Mode::Enforce).is_ok());
    for ask in [places(1, 10), money(1, 10, 1)] {
        let mut world = World::sized(2);
        assert_eq!(world.take(&[ask], Mode::Enforce).unwrap_err().why, Why::Full);
    }
}

#[test]
fn a_provider_can_close_what_was_charged() {
    let mut world = World::new();
    let held =
        world.take(&[requests(1, 10), tokens(2, 10, 1), places(3, 9)], Mode::Enforce).unwrap();
    world.clerk(0, |clerk| clerk.hold(&held, 30_000));
    for ask in [requests(1, 10), tokens(2, 10, 1)] {
        assert_eq!(world.take(&[ask], Mode::Enforce).unwrap_err().why, Why::Wait(30_000));
    }
    assert!(world.take(&[places(3, 9)], Mode::Enforce).is_ok());
}

#[test]
fn what_was_given_back_for_a_worker_that_lives_is_not_given_back_again() {
    let mut world = World::new();
    let asks = [tokens(2, 100, 50), places(3, 2), money(4, 100, 50)];
    let mut first = world.take(&asks, Mode::Enforce).unwrap();
    let all = 0..world.slots.len();
    assert_eq!(world.table().sweep(all, |_| false, 0), 3);
    // Somebody else takes it all.
    let second = world.take(&asks, Mode::Enforce).unwrap();
    let third = world.take(&asks, Mode::Enforce).unwrap();
    assert_eq!((second.len(), third.len()), (3, 3));
    let actual = Actual { tokens: usage(0, 0), price: Pico(0) };
    world.clerk(0, |clerk| clerk.settle(&mut first, &actual, 0));
    for ask in asks {
        assert!(world.take(&[ask], Mode::Enforce).is_err(), "{ask:?}");
    }
}

#[test]
fn a_worker_that_dies_at_any_moment_leaks_nothing() {
    let asks = [requests(1, 1000), tokens(2, 1000, 50), places(3, 2), money(4, 100, 50)];
    for calls in 0..40 {
        let mut world = World::new();
        world.calls = calls;
        let mut held = Vec::new();
        world.clerk(0, |clerk| clerk.take(&asks, Mode::Enforce, &mut held));
        let actual = Actual { tokens: usage(10, 10), price: Pico(20) };
        world.clerk(0, |clerk| clerk.settle(&mut held, &actual, 0));
        world.calls = usize::MAX;
        let all = 0..world.slots.len();
        world.table().sweep(all, |_| false, 0);
        assert!(!world.used().contains(&Kind::Lease), "{calls}");
        assert_eq!(world.places_taken(), 0, "{calls}");
        let spend = world.table().change(4, |spend| (spend.spent(), spend.reserved));
        assert!(matches!(spend, None | Some((0 | 20, 0))), "{calls} {spend:?}");
    }
}
