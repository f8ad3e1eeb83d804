//! What passes when, to the millisecond; and that no arithmetic drifts or overflows.

use proptest::prelude::*;

use super::super::record::Record;
use super::*;

const MINUTE: u64 = 60_000;
const DAY: u64 = 86_400_000;

fn one(amount: u64) -> Portion {
    Portion { amount, firm: amount }
}

/// A bucket that is used for the first time at some time.
fn bucket(rate: Rate, now_ms: u64) -> Bucket {
    Bucket::new(rate, now_ms)
}

fn passes(bucket: &mut Bucket, amount: u64, now_ms: u64) -> bool {
    matches!(bucket.take(bucket.rate, one(amount), now_ms), Draw::Taken(..))
}

fn wait_ms(bucket: &mut Bucket, amount: u64, now_ms: u64) -> u64 {
    match bucket.take(bucket.rate, one(amount), now_ms) {
        Draw::Wait(ms, _) => ms,
        other => panic!("{other:?}"),
    }
}

#[test]
fn three_a_minute_are_three_at_once_and_then_one_every_20_seconds() {
    let mut bucket = bucket(Rate::new(3, 0, MINUTE), 1000);
    for _ in 0..3 {
        assert!(passes(&mut bucket, 1, 1000));
    }
    assert_eq!(wait_ms(&mut bucket, 1, 1000), 20_000);
    assert_eq!(wait_ms(&mut bucket, 1, 20_999), 1);
    assert!(passes(&mut bucket, 1, 21_000));
    assert_eq!(wait_ms(&mut bucket, 1, 21_000), 20_000);
    assert!(passes(&mut bucket, 3, 81_000));
}

#[test]
fn a_burst_is_held_on_top_and_flows_back_no_faster() {
    let mut bucket = bucket(Rate::new(2, 1, MINUTE), 0);
    assert!(passes(&mut bucket, 3, 0));
    assert_eq!(wait_ms(&mut bucket, 1, 0), 30_000);
    assert_eq!(wait_ms(&mut bucket, 3, 0), 90_000);
}

#[test]
fn what_can_never_pass_is_told_apart_from_what_must_wait() {
    let rate = Rate::new(10, 5, MINUTE);
    let mut bucket = bucket(rate, 0);
    assert_eq!(bucket.take(rate, one(16), 0), Draw::Never);
    assert!(passes(&mut bucket, 15, 0));
    // What is only our guess is cut to what the bucket holds.
    let guess = Portion { amount: 4096, firm: 2 };
    assert!(matches!(bucket.take(rate, guess, 0), Draw::Wait(90_000, _)));
    assert!(matches!(bucket.take(rate, guess, 90_000), Draw::Taken(15, _)));
}

#[test]
fn a_refusal_takes_nothing() {
    let mut bucket = bucket(Rate::new(5, 0, MINUTE), 0);
    assert!(passes(&mut bucket, 4, 0));
    assert_eq!(wait_ms(&mut bucket, 2, 0), 12_000);
    assert!(passes(&mut bucket, 1, 0));
}

#[test]
fn the_level_says_what_is_left_and_when_it_is_full() {
    let rate = Rate::new(600, 0, MINUTE);
    let mut bucket = bucket(rate, 0);
    let level = Level { remaining: 590, reset_ms: 1000 };
    assert_eq!(bucket.take(rate, one(10), 0), Draw::Taken(10, level));
    let level = Level { remaining: 590, reset_ms: 950 };
    assert_eq!(bucket.take(rate, one(0), 50), Draw::Taken(0, level));
}

#[test]
fn a_clock_stepping_back_refills_nothing_and_freezes_nothing() {
    let mut bucket = bucket(Rate::new(1, 0, MINUTE), 10_000_000);
    assert!(passes(&mut bucket, 1, 10_000_000));
    // Other workers read the time a little earlier or later.
    assert_eq!(wait_ms(&mut bucket, 1, 9_999_000), 60_000);
    assert_eq!(wait_ms(&mut bucket, 1, 10_030_000), 30_000);
    // The clock is set back by hours: the rest of the time is still to be waited, and no more.
    assert_eq!(wait_ms(&mut bucket, 1, 1_000_000), 30_000);
    assert!(passes(&mut bucket, 1, 1_030_000));
}

#[test]
fn a_hold_lets_nothing_pass_before_its_time() {
    let mut slots = [Record::default(); 4];
    let mut table = Table::new(&mut slots);
    let rate = Rate::new(100, 0, MINUTE);
    table.hold(7, rate, 5_000, 1_000);
    assert!(matches!(table.draw(7, 0, rate, one(1), 4_999), Draw::Wait(1, _)));
    assert!(matches!(table.draw(7, 0, rate, one(1), 5_000), Draw::Taken(1, _)));
    table.hold(7, rate, u64::MAX, 5_000);
    assert!(matches!(table.draw(7, 0, rate, one(1), 5_000), Draw::Wait(DAY, _)));
    assert!(matches!(table.draw(7, 0, rate, one(1), 5_000 + DAY), Draw::Taken(..)));
}

#[test]
fn what_is_used_beyond_the_reservation_is_owed_up_to_one_capacity() {
    let mut bucket = bucket(Rate::new(100, 0, MINUTE), 0);
    assert!(passes(&mut bucket, 100, 0));
    bucket.settle(100, 150, 0);
    assert_eq!(wait_ms(&mut bucket, 1, 0), 30_600);
    bucket.settle(0, u64::MAX, 0);
    assert_eq!(wait_ms(&mut bucket, 1, 0), 60_600);
    assert!(passes(&mut bucket, 1, 60_600));
}

#[test]
fn what_was_not_used_comes_back_and_never_more() {
    let rate = Rate::new(100, 0, MINUTE);
    let mut bucket = bucket(rate, 0);
    assert!(passes(&mut bucket, 80, 0));
    bucket.settle(80, 30, 0);
    assert!(passes(&mut bucket, 70, 0));
    // All has flown back by then: nothing is left that could be given back.
    bucket.settle(70, 0, 120_000);
    assert_eq!(bucket.level(), Level { remaining: 100, reset_ms: 0 });
}

#[test]
fn a_bucket_that_has_gone_owes_only_what_goes_beyond_the_reservation() {
    let mut slots = [Record::default(); 4];
    let mut table = Table::new(&mut slots);
    let rate = Rate::new(100, 0, MINUTE);
    table.redraw(7, rate, 50, 20, 0);
    assert_eq!(table.find(7, Kind::Bucket), None);
    table.redraw(7, rate, 50, 90, 0);
    assert!(matches!(table.draw(7, 0, rate, one(61), 0), Draw::Wait(600, _)));
}

#[test]
fn a_changed_number_keeps_what_is_used() {
    let mut bucket = bucket(Rate::new(100, 0, MINUTE), 0);
    assert!(passes(&mut bucket, 60, 0));
    let smaller = Rate::new(50, 0, MINUTE);
    assert!(matches!(bucket.take(smaller, one(1), 0), Draw::Wait(13_200, _)));
}

#[test]
fn the_largest_numbers_do_not_overflow() {
    let rate = Rate::new(u64::MAX, u64::MAX, u64::MAX);
    assert_eq!(rate.window_ms(), MAX_WINDOW_MS);
    let mut bucket = bucket(rate, 0);
    assert!(passes(&mut bucket, u64::MAX, 0));
    assert!(wait_ms(&mut bucket, 1, 0) > 0);
    bucket.settle(0, u64::MAX, u64::MAX);
    assert_eq!(bucket.level().remaining, 0);
    let slow = Rate::new(1, u64::MAX - 1, MAX_WINDOW_MS);
    let mut bucket = Bucket::new(slow, 0);
    assert!(passes(&mut bucket, u64::MAX, 0));
    assert_eq!(wait_ms(&mut bucket, u64::MAX, 0), u64::MAX);
}

#[test]
fn a_record_holds_all_of_a_bucket() {
    let bucket =
        Bucket { used: u128::MAX / 3, updated_ms: 5, hold_until_ms: 6, rate: Rate::new(7, 8, 9) };
    let mut record = Record::new(1, Kind::Bucket);
    bucket.store(&mut record);
    assert_eq!(Bucket::load(&record), bucket);
}

/// The same by hand: each millisecond lets `n` parts of `window_ms` flow back.
struct Drops {
    rate: Rate,
    used: u128,
    now_ms: u64,
}

impl Drops {
    fn advance(&mut self, to_ms: u64) {
        while self.now_ms < to_ms {
            self.used = self.used.saturating_sub(u128::from(self.rate.n));
            self.now_ms += 1;
        }
    }

    fn has_room(&self, amount: u64) -> bool {
        let (amount, window) = (u128::from(amount), u128::from(self.rate.window_ms));
        self.used + amount * window <= u128::from(self.rate.capacity()) * window
    }
}

proptest! {
    /// However the time is cut, what passes is what passes when it is reckoned drop by drop; and what
    /// is told to wait passes after that time and not before.
    #[test]
    fn a_bucket_is_what_it_is_drop_by_drop(
        n in 1_u64..50,
        burst in 0_u64..20,
        window_ms in 1_u64..2000,
        steps in prop::collection::vec((0_u64..700, 0_u64..30, 0_u64..40), 1..40),
    ) {
        let rate = Rate::new(n, burst, window_ms);
        let mut bucket = bucket(rate, 0);
        let mut drops = Drops { rate, used: 0, now_ms: 0 };
        let mut now_ms = 0;
        for (step_ms, amount, actual) in steps {
            now_ms += step_ms;
            drops.advance(now_ms);
            match bucket.take(rate, one(amount), now_ms) {
                Draw::Taken(..) => {
                    prop_assert!(drops.has_room(amount));
                    let window = u128::from(window_ms);
                    drops.used += u128::from(amount) * window;
                    bucket.settle(amount, actual, now_ms);
                    drops.used = drops.used.saturating_sub(u128::from(amount) * window)
                        + u128::from(actual) * window;
                    // The debt is bounded.
                    drops.used = drops.used.min(2 * u128::from(rate.capacity()) * window);
                }
                Draw::Wait(wait_ms, _) => {
                    prop_assert!(!drops.has_room(amount));
                    let mut early = bucket;
                    let at_ms = now_ms + wait_ms;
                    prop_assert!(!matches!(early.take(rate, one(amount), at_ms - 1), Draw::Taken(..)));
                    let mut later = bucket;
                    prop_assert!(matches!(later.take(rate, one(amount), at_ms), Draw::Taken(..)));
                }
                Draw::Never => {
                    prop_assert!(amount > rate.capacity());
                    continue;
                }
                Draw::Full => prop_assert!(false),
            }
            prop_assert_eq!(bucket.used, drops.used);
        }
    }
}
