//! Whether bad rows are found and good ones written, in any mixture.

use std::collections::HashSet;
use std::time::Duration;

use llm_core::cost::Pico;
use proptest::prelude::*;

use super::*;
use crate::fixture::event;
use crate::sum::Filter;

/// Takes what is not poison, in batches like a database.
#[derive(Debug, Default)]
struct Fake {
    poison: HashSet<usize>,
    written: Vec<String>,
    calls: usize,
    fails_at_call: Option<usize>,
}

impl Sink for Fake {
    fn name(&self) -> &'static str {
        "fake"
    }

    fn write(&mut self, delivery: Delivery<'_>) -> Result<Mark, Failure> {
        self.calls += 1;
        if self.fails_at_call == Some(self.calls) {
            return Err(Failure::moment("gone"));
        }
        let is_poison = |row: &&&CostEvent| {
            self.poison.contains(&usize::from_str_radix(&row.event_id, 16).unwrap())
        };
        if let Some(row) = delivery.rows.iter().find(is_poison) {
            return Err(Failure::data(format_args!("row {}", row.event_id)));
        }
        self.written.extend(delivery.rows.iter().map(|row| row.event_id.to_string()));
        Ok(Mark::default())
    }

    fn is_connected(&self) -> bool {
        true
    }

    fn sum(&mut self, _: &Filter<'_>, _: Duration) -> Result<Pico, Failure> {
        Ok(Pico::ZERO)
    }
}

fn deadline() -> Instant {
    Instant::now() + Duration::from_secs(60)
}

#[test]
fn one_bad_row_of_a_batch_costs_few_tries() {
    let events: Vec<CostEvent> = (0..512).map(event).collect();
    let rows: Vec<&CostEvent> = events.iter().collect();
    let mut sink = Fake { poison: [311].into(), ..Fake::default() };
    let delivered = deliver(&mut sink, &rows, None, deadline()).unwrap();
    assert_eq!(sink.written.len(), 511);
    assert_eq!(delivered.refused.len(), 1);
    assert_eq!(delivered.refused[0].0, &event(311));
    assert_eq!(sink.calls, 19);
}

#[test]
fn rows_that_are_refused_all_at_once_wait() {
    let events: Vec<CostEvent> = (0..16).map(event).collect();
    let rows: Vec<&CostEvent> = events.iter().collect();
    let mut sink = Fake { poison: (0..16).collect(), ..Fake::default() };
    let failure = deliver(&mut sink, &rows, None, deadline()).unwrap_err();
    assert_eq!(failure.blame, Blame::Moment);
    let delivered = deliver(&mut sink, &rows[..15], None, deadline()).unwrap();
    assert_eq!(delivered.refused.len(), 15);
}

#[test]
fn a_sink_that_is_slow_with_bad_rows_is_left_at_the_deadline() {
    let events = [event(0)];
    let failure = deliver(&mut Fake::default(), &[&events[0]], None, Instant::now()).unwrap_err();
    assert_eq!(failure.blame, Blame::Moment);
}

proptest! {
    #[test]
    fn every_row_is_written_or_refused_in_order(
        count in 0_usize..70,
        poison in prop::collection::hash_set(0_usize..70, 0..9),
        fails_at_call in prop::option::of(1_usize..40),
    ) {
        let events: Vec<CostEvent> = (0..count as u64).map(event).collect();
        let rows: Vec<&CostEvent> = events.iter().collect();
        let mut sink = Fake { poison: poison.clone(), fails_at_call, ..Fake::default() };
        let good = |bad: bool| {
            (0..count).filter(move |number| poison.contains(number) == bad).map(|n| format!("{n:032x}"))
        };
        let all_good: Vec<String> = good.clone()(false).collect();
        match deliver(&mut sink, &rows, None, deadline()) {
            Ok(delivered) => {
                prop_assert_eq!(sink.written, all_good);
                let refused: Vec<String> =
                    delivered.refused.iter().map(|(row, _)| row.event_id.to_string()).collect();
                prop_assert_eq!(refused, good(true).collect::<Vec<_>>());
            }
            Err(_) => {
                prop_assert!(all_good.starts_with(&sink.written));
                prop_assert!(fails_at_call.is_some_and(|call| call <= sink.calls));
            }
        }
    }
}
