//! Whether an event has the bytes that the journal's readers expect.

use proptest::prelude::*;

use super::*;
use crate::cost::{Status, Text};

/// Numbers of all lengths, and texts, one after the other and from the start again.
struct Source<'a> {
    numbers: std::iter::Cycle<std::slice::Iter<'a, u64>>,
    texts: std::iter::Cycle<std::slice::Iter<'a, String>>,
}

impl Source<'_> {
    fn number(&mut self) -> u64 {
        *self.numbers.next().unwrap()
    }

    fn maybe(&mut self) -> Option<u64> {
        let number = self.number();
        (!number.is_multiple_of(3)).then_some(number)
    }

    fn flag(&mut self) -> bool {
        self.number().is_multiple_of(2)
    }

    fn code(&mut self) -> u16 {
        self.number().to_le_bytes()[0].into()
    }

    fn text(&mut self) -> Text {
        Text::new(self.texts.next().unwrap())
    }

    fn amount(&mut self) -> Pico {
        Pico(u128::from(self.number()) * u128::from(self.number()))
    }

    fn rate(&mut self) -> Rate {
        Rate::from_pico_per_token(self.number() >> 5).unwrap()
    }

    fn usage_source(&mut self) -> UsageSource {
        use UsageSource::{Estimated, None, Reported, Reserved};
        [None, Reported, Estimated, Reserved][self.number() as usize % 4]
    }

    fn attempt(&mut self) -> AttemptRow {
        AttemptRow {
            attempt_no: self.code().into(),
            provider: self.text(),
            model: self.text(),
            key_id: self.text(),
            outcome: self.text(),
            status_code: self.flag().then(|| self.code()),
            started_at_ms: self.number(),
            duration_ms: self.number(),
            first_byte_ms: self.maybe(),
            prompt_tokens: self.maybe(),
            completion_tokens: self.maybe(),
            usage_source: self.usage_source(),
        }
    }

    fn event(&mut self) -> CostEvent {
        let lists = self.number() % 3;
        CostEvent {
            event_id: self.text(),
            provider: self.text(),
            model: self.text(),
            cost_unit: self.text(),
            traffic_cohort: self.text(),
            is_streaming: self.flag(),
            tokens: Tokens {
                prompt: self.maybe(),
                completion: self.maybe(),
                total: self.maybe(),
                reasoning: self.maybe(),
                uncached_input: self.number(),
                cache_read: self.number(),
                cache_write_5m: self.number(),
                cache_write_1h: self.number(),
                inconsistent: self.flag(),
            },
            cost: self.flag().then(|| Cost {
                prompt: self.amount(),
                completion: self.amount(),
                total: self.amount(),
            }),
            status: Status::ALL[self.number() as usize % Status::ALL.len()],
            status_code: self.code(),
            duration_ms: self.number(),
            identity: self.text(),
            user_id: self.text(),
            team_id: self.text(),
            auth_key_fingerprint: self.text(),
            rate_card_version: self.text(),
            requested_provider: self.text(),
            requested_model: self.text(),
            translation_happened: self.flag(),
            resolution_outcome: self.text(),
            org: self.text(),
            project: self.text(),
            client: self.text(),
            rates: self.flag().then(|| Rates {
                input: self.rate(),
                cache_read: self.rate(),
                cache_write: self.rate(),
                cache_write_1h: self.rate(),
                output: self.rate(),
            }),
            usage_source: self.usage_source(),
            attempts: (0..lists).map(|_| self.attempt()).collect(),
            primary_provider: self.text(),
            fallback_reason: self.text(),
            chain: self.text(),
            ttft_ms: self.maybe(),
            first_attempt_ms: self.maybe(),
            tag: self.text(),
            node: self.text(),
            created_at_ms: self.number(),
            tags: (0..lists).map(|_| (self.text(), self.text())).collect(),
            charges: (0..lists)
                .map(|_| SpendCharge {
                    key: self.number(),
                    window_start_s: self.number(),
                    pico: self.amount(),
                })
                .collect(),
            epoch: self.number(),
            writes_row: self.flag(),
        }
    }
}

fn any_event() -> impl Strategy<Value = CostEvent> {
    let number = (any::<u64>(), 0_u32..64).prop_map(|(number, bits)| number >> bits);
    let numbers = prop::collection::vec(number, 1..97);
    let texts = prop::collection::vec("\\PC{0,40}", 1..31);
    (numbers, texts).prop_map(|(numbers, texts)| {
        Source { numbers: numbers.iter().cycle(), texts: texts.iter().cycle() }.event()
    })
}

proptest! {
    #[test]
    fn an_event_has_postcards_bytes(event in any_event()) {
        let mut space = [0; 8192];
        let length = event.encode(&mut space).unwrap();
        prop_assert_eq!(&space[..length], postcard::to_stdvec(&event).unwrap());
        prop_assert_eq!(postcard::from_bytes::<CostEvent>(&space[..length]).unwrap(), event);
    }

    #[test]
    fn an_event_fits_into_its_own_length_and_no_less(
        event in any_event(),
        less in any::<prop::sample::Index>(),
    ) {
        let mut space = postcard::to_stdvec(&event).unwrap();
        let length = space.len();
        prop_assert_eq!(event.encode(&mut space), Some(length));
        prop_assert_eq!(event.encode(&mut space[..less.index(length)]), None);
    }
}

#[test]
fn borrowed_texts_have_the_bytes_of_owned_ones() {
    let owned = CostEvent { event_id: Text::new("e"), model: Text::new("m"), ..Default::default() };
    let borrowed = CostEvent { event_id: "e", model: "m", ..Default::default() };
    let (mut one, mut other) = ([0; 256], [0; 256]);
    assert_eq!(owned.encode(&mut one), borrowed.encode(&mut other));
    assert_eq!(one, other);
}
