//! What do all workers know of a target and key? The shared zone's records, each read and changed
//! under the zone's lock; the rules are in `llm_core::health`.

use std::cmp::Ordering;

use llm_core::fallback::{Failure, FailureClass, Target};
use llm_core::health::{
    Admit, Params, Probed, Record, Table, admit, answered, better, count_attempt, count_retry,
    failed, last_resort, may_retry, probed, record_key, released, succeeded,
};
use llm_core::route::Routes;

use crate::ffi::shm::Zone;
use crate::ffi::{Request, now_ms};

/// A record's place, for one provider, model and key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Place(u64);

impl Place {
    /// The place of a target with one of its keys.
    pub fn new(provider: &str, model: Option<&str>, key_id: Option<&str>) -> Self {
        Self(record_key(provider, model, key_id))
    }

    /// The place of a provider as a whole, which its probe writes.
    pub fn of_provider(provider: &str) -> Self {
        // Requests without a model and a key have a place of their own; no name is empty.
        Self(record_key(provider, Some(""), Some("")))
    }
}

/// Milliseconds for which one attempt at a benched target keeps others away, when all are benched.
const LAST_RESORT_MS: u64 = 1000;

/// How an attempt ended, for the record.
#[derive(Clone, Copy, Debug)]
pub enum Outcome {
    /// Well; with the time to its first content, where that is known.
    Good(Option<u64>),
    /// The provider is alive, the request is at fault.
    Answered,
    /// Badly; with what the provider asked for.
    Failed(FailureClass, Option<u64>),
    /// Nothing was learned.
    Nothing,
}

impl Outcome {
    /// What a failure says, and what the provider asked for.
    pub fn of(failure: &Failure, after_ms: Option<u64>) -> Self {
        failure.main.map_or(Self::Answered, |class| Self::Failed(class, after_ms))
    }
}

/// One of the keys that an attempt may use.
#[derive(Clone, Copy, Debug)]
pub struct Candidate {
    /// Its number; none where the provider has no keys.
    pub key: Option<usize>,
    /// Its record's place.
    pub place: Place,
    /// Until when it is benched.
    pub until_ms: Option<u64>,
    /// It was not benched since it last went well: there is no probe to take.
    pub is_quiet: bool,
}

impl Candidate {
    /// A key of which nothing is known yet.
    pub fn new(key: Option<usize>, place: Place) -> Self {
        Self { key, place, until_ms: None, is_quiet: true }
    }
}

/// Notes of each candidate whether it is benched, without taking its probe; and whether the provider as
/// a whole is out.
pub fn look(r: Request<'_>, provider: &str, candidates: &mut [Candidate]) -> ProviderIs {
    let whole = Place::of_provider(provider);
    with(r, |table, now| {
        for one in candidates {
            let Some(record) = table.find(one.place.0) else { continue };
            one.until_ms = record.benched_until_ms(now);
            one.is_quiet = record.is_quiet();
        }
        match table.find(whole.0) {
            Some(record) if record.is_drained() => ProviderIs::Drained,
            Some(record) => record
                .benched_until_ms(now)
                .map_or(ProviderIs::In, |until| ProviderIs::Down(until.saturating_sub(now))),
            None => ProviderIs::In,
        }
    })
    .unwrap_or(ProviderIs::In)
}

/// Whether an attempt may be made now; a probe is taken, not only offered.
pub fn ask(r: Request<'_>, place: Place) -> Admit {
    with(r, |table, now| table.find_mut(place.0).map(|record| admit(record, now)))
        .flatten()
        .unwrap_or(Admit::Ready)
}

/// Whether a provider as a whole is out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ProviderIs {
    /// It is not.
    In,
    /// Its probe has failed; so many milliseconds are left.
    Down(u64),
    /// The operator has taken it out.
    Drained,
}

/// Whether a provider as a whole is out.
pub fn provider_is(r: Request<'_>, provider: &str) -> ProviderIs {
    look(r, provider, &mut [])
}

/// Changes what the operator says of a provider; `None` where there is no zone.
pub fn tell<R>(r: Request<'_>, provider: &str, change: impl FnOnce(&mut Record) -> R) -> Option<R> {
    let place = Place::of_provider(provider);
    with(r, |table, now| table.claim(place.0, now).map(change)).flatten()
}

/// The ticket of those who want a probe of a provider; asked by the thread that probes.
pub fn wanted_probe(zone: Zone<Record>, provider: &str) -> Option<u32> {
    let place = Place::of_provider(provider);
    zone.locked(|records| Table::new(records).find(place.0).and_then(Record::wanted_probe))
        .flatten()
}

/// What came of the probe that has this ticket; `None` as long as nothing has.
pub fn probe_for(r: Request<'_>, provider: &str, ticket: u32) -> Option<Probed> {
    let place = Place::of_provider(provider);
    with(r, |table, _| table.find(place.0).and_then(|record| record.probe_for(ticket))).flatten()
}

/// What is known of a place, for people.
#[derive(Clone, Copy, Debug)]
pub struct Seen {
    /// Milliseconds until its bench ends.
    pub benched_ms: Option<u64>,
    /// The decayed time to the first content.
    pub latency_ms: Option<u64>,
    /// The decayed share of attempts that went well.
    pub success_permille: u32,
}

impl Seen {
    /// What a record says.
    pub fn of(record: &Record, now_ms: u64) -> Self {
        Self {
            benched_ms: record.benched_until_ms(now_ms).map(|until| until.saturating_sub(now_ms)),
            latency_ms: record.latency_ms(),
            success_permille: record.success_permille(),
        }
    }
}

/// A copy of every record that was told whose it is.
pub fn named(r: Request<'_>) -> Vec<Record> {
    let Some(zone) = r.main_conf().health else { return Vec::new() };
    zone.copied(<[Record]>::len, Record::is_named)
}

/// Whose a place is.
#[derive(Clone, Copy, Debug)]
pub struct Names<'a> {
    /// The provider.
    pub provider: &'a str,
    /// The model.
    pub model: Option<&'a str>,
    /// The key's fingerprint.
    pub key_id: Option<&'a str>,
}

/// Notes how an attempt ended; `lease` is that of a probe.
pub fn note(
    r: Request<'_>,
    place: Place,
    names: &Names<'_>,
    params: &Params,
    outcome: Outcome,
    lease: Option<u64>,
) {
    with(r, |table, now| {
        let Some(record) = table.claim(place.0, now) else { return };
        if !record.is_named() {
            record.name(names.provider, names.model, names.key_id);
        }
        if let Some(lease) = lease {
            released(record, lease);
        }
        learn(record, now, params, outcome);
    });
}

/// Notes what a probe has found, for whom it was asked, and how long to bench a provider that does not
/// work. It comes from a thread, which may lock the zone but has no request.
pub fn note_probe(
    zone: Zone<Record>,
    provider: &str,
    ticket: Option<u32>,
    found: &Probed,
    bench_ms: Option<u64>,
) {
    let (place, now) = (Place::of_provider(provider), now_ms());
    zone.locked(|records| {
        if let Some(record) = Table::new(records).claim(place.0, now) {
            probed(record, now, bench_ms);
            record.note_probe(ticket, found);
        }
    });
}

fn learn(record: &mut Record, now: u64, params: &Params, outcome: Outcome) {
    match outcome {
        Outcome::Good(first_token_ms) => succeeded(record, now, first_token_ms, params),
        Outcome::Answered => answered(record, now, params),
        Outcome::Failed(class, after_ms) => failed(record, now, params, after_ms, class),
        Outcome::Nothing => {}
    }
}

/// Counts an attempt that is no retry, for the retry budget.
pub fn count(r: Request<'_>, place: Place) {
    with(r, |table, now| {
        if let Some(record) = table.claim(place.0, now) {
            count_attempt(record, now);
        }
    });
}

/// Counts a retry, for the retry budget.
pub fn count_again(r: Request<'_>, place: Place) {
    with(r, |table, now| {
        if let Some(record) = table.claim(place.0, now) {
            count_retry(record, now);
        }
    });
}

/// Whether the retry budget has room.
pub fn has_retry(r: Request<'_>, place: Place, percent: u32) -> bool {
    with(r, |table, now| {
        table.claim(place.0, now).is_none_or(|record| may_retry(record, now, percent))
    })
    .unwrap_or(true)
}

/// Whether this request may try a benched target because all are benched: one of those for the same
/// first target at a time, over all workers.
pub fn take_last_resort(
    r: Request<'_>,
    provider: &str,
    model: Option<&str>,
    params: &Params,
) -> bool {
    let place = Place::new(&format!("last_resort {provider}"), model, None);
    with(r, |table, now| {
        let Some(record) = table.claim(place.0, now) else { return true };
        match admit(record, now) {
            Admit::Benched { .. } => return false,
            Admit::Probe { lease } => released(record, lease),
            Admit::Ready => {}
        }
        failed(record, now, params, Some(LAST_RESORT_MS), FailureClass::RateLimited);
        true
    })
    .unwrap_or(true)
}

/// Which target is tried where all are benched, given the places of each.
pub fn best_benched(r: Request<'_>, targets: &[Vec<Place>]) -> Option<usize> {
    with(r, |table, now| {
        let record = |place: &Place| table.find(place.0).copied().unwrap_or_default();
        let best =
            |places: &Vec<Place>| places.iter().map(record).min_by(|a, b| last_resort(a, b, now));
        let known = targets
            .iter()
            .enumerate()
            .filter_map(|(index, places)| best(places).map(|record| (index, record)));
        known.min_by(|(_, a), (_, b)| last_resort(a, b, now)).map(|(index, _)| index)
    })
    .flatten()
}

/// Which of two equal targets answers sooner.
pub fn compare(r: Request<'_>, routes: &Routes, a: &Target, b: &Target, now: u64) -> Ordering {
    let place = |target: &Target| {
        let name = routes.provider(target.provider).map_or("", |provider| &provider.name);
        Place::new(name, target.model.as_deref(), None)
    };
    with(r, |table, _| better(table.find(place(a).0), table.find(place(b).0), now))
        .unwrap_or(Ordering::Equal)
}

fn with<R>(r: Request<'_>, work: impl FnOnce(&mut Table<'_>, u64) -> R) -> Option<R> {
    let zone = r.main_conf().health?;
    let now = now_ms();
    zone.locked(|records: &mut [Record]| work(&mut Table::new(records), now))
}
