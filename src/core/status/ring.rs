//! Which requests were the latest? A ring of fixed-size records; the writer fills one of its own before
//! it takes the lock and copies it in under it.

use super::{Bounded, Recent, rfc3339};
use crate::cost::Pico;
use crate::metrics::{Finished, Named};
use crate::usage::Usage;

/// One request that is over; the first record of the zone is the head of all. All zero is unused. Its
/// layout is part of the zone's version.
#[repr(C)]
#[derive(Debug, Clone, Copy, Default)]
pub struct Entry {
    /// Counts up from 1; in the first record, the last number.
    number: u64,
    time_ms: u64,
    duration_us: u64,
    /// One more than it was; 0 is unknown.
    ttft_us: u64,
    input_tokens: u64,
    output_tokens: u64,
    /// Pico-units, lower half first.
    cost: [u64; 2],
    code: u32,
    attempts: u32,
    /// Which of the texts and numbers there are.
    flags: u32,
    unused: u32,
    event_id: Bounded<46>,
    provider: Bounded<62>,
    model: Bounded<94>,
    unit: Bounded<14>,
    org: Bounded<46>,
    project: Bounded<46>,
    client: Bounded<46>,
    tag: Bounded<62>,
    chain: Bounded<414>,
}

const STREAMING: u32 = 1;
const FALLBACK: u32 = 2;
const COST: u32 = 4;
const USAGE: u32 = 8;
const CLIENT_ABORTED: u32 = 16;
const TRUNCATED: u32 = 32;

/// What a request tells beside its numbers; each text is cut to a bound.
#[derive(Debug, Clone, Copy, Default)]
pub struct EntryText<'a> {
    /// Its id in logs and rows.
    pub event_id: &'a str,
    /// `$llm_chain`
    pub chain: &'a str,
    /// The model that served it, or was asked for; unlike a label it may be any.
    pub model: &'a str,
    /// The client's tag.
    pub tag: &'a str,
    /// Who asked, by id: organisation, project, client.
    pub owner: [&'a str; 3],
}

impl Entry {
    /// Becomes the record of a request that ended at this time, in milliseconds since 1970.
    pub fn fill(&mut self, finished: &Finished<'_>, text: &EntryText<'_>, time_ms: u64) {
        let mut flags = 0;
        let usage = finished.usage.as_ref();
        for (flag, is_set) in [
            (STREAMING, finished.streaming),
            (FALLBACK, finished.moves().next().is_some()),
            (COST, finished.cost.is_some()),
            (USAGE, usage.is_some()),
            (CLIENT_ABORTED, finished.client_aborted),
            (TRUNCATED, finished.truncated),
        ] {
            flags |= if is_set { flag } else { 0 };
        }
        self.flags = flags;
        self.time_ms = time_ms;
        self.duration_us = finished.duration_us;
        self.ttft_us = finished.ttft_us.map_or(0, |us| us.saturating_add(1));
        self.input_tokens = usage.and_then(Usage::prompt_tokens).unwrap_or(0);
        self.output_tokens = usage.and_then(Usage::completion_tokens).unwrap_or(0);
        let cost = finished.cost.map_or(0, |(cost, _)| cost.0);
        // The halves are meant to be cut off.
        self.cost = [u64::try_from(cost & u128::from(u64::MAX)).unwrap_or(0), high(cost)];
        self.code = finished.code.into();
        self.attempts = u32::try_from(finished.attempts.len()).unwrap_or(u32::MAX);
        self.event_id.set(text.event_id);
        self.provider.set(finished.provider.map_or("", Named::text));
        self.model.set(text.model);
        self.unit.set(finished.cost.map_or("", |(_, unit)| unit.text()));
        let [org, project, client] = text.owner;
        self.org.set(org);
        self.project.set(project);
        self.client.set(client);
        self.tag.set(text.tag);
        self.chain.set(text.chain);
    }

    /// The request as the JSON tells it.
    #[must_use]
    pub fn report(&self) -> Recent {
        let has = |flag: u32| self.flags & flag != 0;
        let [low, high] = self.cost.map(u128::from);
        let cost = Pico(high << 64 | low);
        Recent {
            event_id: self.event_id.text(),
            time: rfc3339(self.time_ms),
            provider: self.provider.some(),
            model: self.model.some(),
            chain: self.chain.text(),
            status: self.code,
            attempts: self.attempts,
            fallback: has(FALLBACK),
            streaming: has(STREAMING),
            client_aborted: has(CLIENT_ABORTED),
            truncated: has(TRUNCATED),
            input_tokens: has(USAGE).then_some(self.input_tokens),
            output_tokens: has(USAGE).then_some(self.output_tokens),
            cost: has(COST).then(|| cost.to_string()),
            unit: self.unit.some(),
            ttft_ms: self.ttft_us.checked_sub(1).map(|us| us / 1000),
            duration_ms: self.duration_us / 1000,
            org: self.org.some(),
            project: self.project.some(),
            client: self.client.some(),
            tag: self.tag.some(),
        }
    }
}

fn high(pico: u128) -> u64 {
    u64::try_from(pico >> 64).unwrap_or(u64::MAX)
}

/// The records of the zone, which the caller has locked.
#[derive(Debug)]
pub struct Ring<'a> {
    records: &'a mut [Entry],
}

impl<'a> Ring<'a> {
    /// The view; all-zero records are unused.
    #[must_use]
    pub fn new(records: &'a mut [Entry]) -> Self {
        Self { records }
    }

    /// Puts a request in the place of the oldest.
    pub fn push(&mut self, entry: &Entry) {
        let Some((head, places)) = self.records.split_first_mut() else { return };
        let number = head.number.wrapping_add(1);
        let at = number.checked_rem(places.len() as u64).and_then(|at| usize::try_from(at).ok());
        let Some(place) = at.and_then(|at| places.get_mut(at)) else { return };
        *place = *entry;
        place.number = number;
        head.number = number;
    }

    /// The requests in a copy of the records, the latest first.
    #[must_use]
    pub fn latest(mut copy: Vec<Entry>) -> Vec<Entry> {
        if let Some(head) = copy.first_mut() {
            head.number = 0;
        }
        copy.retain(|entry| entry.number > 0);
        copy.sort_by_key(|entry| std::cmp::Reverse(entry.number));
        copy
    }
}
