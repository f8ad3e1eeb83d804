//! One target's record and what each attempt does to it.

use std::cmp::Ordering;

use super::Params;
use crate::fallback::{Classes, FailureClass};

/// How long a probe keeps others away if nothing is heard of it, in milliseconds.
const PROBE_LEASE_MS: u64 = 60_000;
/// No provider can ask for a longer bench than this, in milliseconds.
const MAX_ASKED_MS: u64 = 86_400_000;
/// Workers read the time at different moments: a step back up to this is no step, in milliseconds.
const JITTER_MS: u64 = 5_000;
/// What was observed loses half of its weight in this time, in milliseconds.
const HALF_LIFE_MS: u64 = 60_000;
/// A slower first token counts as this, in milliseconds.
const MAX_LATENCY_MS: u64 = 3_600_000;
/// What a failed attempt costs a client, in the score, in milliseconds.
const FAILURE_COST_MS: u64 = 10_000;

/// Failures that say something about the target. The others are answers to the request.
const OF_THE_TARGET: Classes = Classes::of(&[
    FailureClass::ConnectError,
    FailureClass::TransportTimeout,
    FailureClass::Upstream5xx,
    FailureClass::RateLimited,
    FailureClass::Overloaded,
    FailureClass::FirstTokenTimeout,
    FailureClass::StreamError,
    FailureClass::EmptyResponse,
    FailureClass::BadResponse,
    FailureClass::AuthError,
    FailureClass::QuotaExhausted,
]);

/// What is known of one provider, model and key. All zero is an unused one. Its layout is part of the
/// shared zone's version.
#[repr(C)]
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Record {
    /// The hash of provider, model and key; 0 is unused.
    pub(super) key: u64,
    /// The latest time that was told.
    pub(super) seen_ms: u64,
    /// Benched until then; 0 is not benched. Behind it the target waits for its probe.
    until_ms: u64,
    /// A probe is under way until then; 0 is none.
    lease_ms: u64,
    /// Where the younger half of the window begins.
    window_ms: u64,
    /// When latency and failures were last observed.
    observed_ms: u64,
    /// Time to the first token in microseconds, decayed; 0 is unknown.
    latency_us: u64,
    /// Where the younger half of the retry window begins.
    pub(super) budget_ms: u64,
    /// How long the last probe took.
    pub(super) probe_ms: u64,
    /// Attempts in the younger and the older half of the window.
    attempts: [u32; 2],
    /// Failed ones of them.
    failures: [u32; 2],
    /// First tries in the younger and the older half of the retry window.
    pub(super) firsts: [u32; 2],
    /// Retries in them.
    pub(super) retries: [u32; 2],
    /// Failures since the last success.
    in_row: u32,
    /// Benches since the last success.
    benches: u32,
    /// Failures among a million attempts, decayed.
    failing_ppm: u32,
    /// Not 0: the provider itself said for how long.
    is_asked: u32,
    /// Not 0: the operator has taken the provider out.
    is_drained: u32,
    /// The latest ticket of those who wait for a probe, and the latest one that was answered.
    pub(super) probes_wanted: u32,
    pub(super) probes_done: u32,
    /// What the last probe found.
    pub(super) probe_code: u32,
    /// Whose record it is, for people: hashes of the provider's name and the key's id, and the model, cut
    /// to this many bytes. All zero is not told yet.
    provider: u64,
    key_id: u64,
    model: [[u8; MODEL_BYTES / 2]; 2],
}

/// Bytes of a model's name that a record keeps.
const MODEL_BYTES: usize = 48;

/// The hash of a name as [`Record::is_of`] compares it.
#[must_use]
pub fn name_hash(name: &str) -> u64 {
    super::record_key(name, None, None)
}

/// Whether an attempt may be made.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Admit {
    /// Yes.
    Ready,
    /// Yes, as the one that finds out whether the target works again. Others wait until it is
    /// [`released`], whatever came of it.
    Probe {
        /// To be given to [`released`].
        lease: u64,
    },
    /// No.
    Benched {
        /// When the next one may ask.
        until_ms: u64,
    },
}

impl Record {
    /// An unused record becomes that of a target.
    pub(super) fn new(key: u64, now_ms: u64) -> Self {
        Self { key, seen_ms: now_ms, ..Self::default() }
    }

    /// Whether the operator has taken the provider out.
    #[must_use]
    pub fn is_drained(&self) -> bool {
        self.is_drained != 0
    }

    /// The operator takes the provider out, or puts it back.
    pub fn drain(&mut self, out: bool) {
        self.is_drained = out.into();
    }

    /// Whether it was told whose it is.
    #[must_use]
    pub fn is_named(&self) -> bool {
        self.provider != 0
    }

    /// Tells whose it is.
    pub fn name(&mut self, provider: &str, model: Option<&str>, key_id: Option<&str>) {
        self.provider = name_hash(provider);
        self.key_id = key_id.map_or(0, name_hash);
        self.model = Default::default();
        for (place, byte) in
            self.model.as_flattened_mut().iter_mut().zip(model.unwrap_or_default().bytes())
        {
            *place = byte;
        }
    }

    /// Whether it is of the provider of this [`name_hash`].
    #[must_use]
    pub fn is_of(&self, provider: u64) -> bool {
        self.provider == provider && provider != 0
    }

    /// Whether it is of the key of this [`name_hash`]; 0 is no key.
    #[must_use]
    pub fn is_with(&self, key_id: u64) -> bool {
        self.key_id == key_id
    }

    /// The model, as far as it is kept; none for requests without one.
    #[must_use]
    pub fn model(&self) -> Option<String> {
        let text = self.model.as_flattened().split(|byte| *byte == 0).next().unwrap_or_default();
        (!text.is_empty()).then(|| String::from_utf8_lossy(text).into_owned())
    }

    /// Until when the target is benched, if it is.
    #[must_use]
    pub fn benched_until_ms(&self, now_ms: u64) -> Option<u64> {
        (self.until_ms > now_ms.max(self.seen_ms)).then_some(self.until_ms)
    }

    /// Whether [`admit`] would say that the target is ready, whatever the time is.
    #[must_use]
    pub fn is_quiet(&self) -> bool {
        self.until_ms == 0
    }

    /// The decayed time to the first token, in milliseconds; `None` is unknown.
    #[must_use]
    pub fn latency_ms(&self) -> Option<u64> {
        (self.latency_us > 0).then(|| self.latency_us.div_ceil(1000))
    }

    /// Successes of a thousand attempts, decayed.
    #[must_use]
    pub fn success_permille(&self) -> u32 {
        1000 - self.failing_ppm.min(1_000_000) / 1000
    }

    /// The time to reckon with. A clock that was set back takes all times of the record with it, so
    /// that nothing lasts longer than it was meant to.
    pub(super) fn now(&mut self, now_ms: u64) -> u64 {
        let back_ms = self.seen_ms.saturating_sub(now_ms);
        if back_ms <= JITTER_MS {
            self.seen_ms = self.seen_ms.max(now_ms);
            return self.seen_ms;
        }
        for time in [
            &mut self.until_ms,
            &mut self.lease_ms,
            &mut self.window_ms,
            &mut self.observed_ms,
            &mut self.budget_ms,
        ] {
            // 0 means none, so a time that is one stays one.
            *time = if *time == 0 { 0 } else { time.saturating_sub(back_ms).max(1) };
        }
        self.seen_ms = now_ms;
        now_ms
    }

    fn bench(&mut self, until_ms: u64, is_asked: bool) {
        // What the provider says beats what we reckoned.
        let keeps = self.is_asked >= u32::from(is_asked);
        self.until_ms = if keeps { self.until_ms.max(until_ms) } else { until_ms };
        self.is_asked |= u32::from(is_asked);
        self.in_row = 0;
        self.attempts = [0; 2];
        self.failures = [0; 2];
    }

    fn unbench(&mut self) {
        (self.until_ms, self.benches, self.is_asked) = (0, 0, 0);
    }

    /// Counts an attempt in the window.
    fn count(&mut self, now_ms: u64, window_ms: u64, failed: bool) {
        let half_ms = (window_ms / 2).max(1);
        let halves = now_ms.saturating_sub(self.window_ms) / half_ms;
        if halves > 0 {
            shift(&mut self.attempts, halves);
            shift(&mut self.failures, halves);
            self.window_ms = now_ms;
        }
        increment(&mut self.attempts, 1);
        increment(&mut self.failures, u32::from(failed));
    }

    /// Takes an observation in. The older what was known is, the less it weighs.
    fn observe(&mut self, now_ms: u64, failed: bool, first_token_ms: Option<u64>) {
        let age_ms = now_ms.saturating_sub(self.observed_ms);
        self.observed_ms = now_ms;
        let sample = if failed { 1_000_000 } else { 0 };
        let failing = mixed(self.failing_ppm.into(), faded(875, age_ms), sample);
        self.failing_ppm = u32::try_from(failing).unwrap_or(1_000_000);
        if let Some(ms) = first_token_ms {
            let sample = ms.clamp(1, MAX_LATENCY_MS) * 1000;
            self.latency_us = match self.latency_us {
                0 => sample,
                known => mixed(known, faded(750, age_ms), sample),
            };
        }
    }
}

/// Whether the target may be tried now.
pub fn admit(record: &mut Record, now_ms: u64) -> Admit {
    let now_ms = record.now(now_ms);
    if record.until_ms == 0 {
        return Admit::Ready;
    }
    let until_ms = record.until_ms.max(record.lease_ms);
    if now_ms < until_ms {
        return Admit::Benched { until_ms };
    }
    record.lease_ms = now_ms.saturating_add(PROBE_LEASE_MS);
    Admit::Probe { lease: record.lease_ms }
}

/// The target has answered well; `first_token_ms` is the time to its first content.
pub fn succeeded(record: &mut Record, now_ms: u64, first_token_ms: Option<u64>, params: &Params) {
    let now_ms = record.now(now_ms);
    record.count(now_ms, params.window_ms, false);
    record.observe(now_ms, false, first_token_ms);
    record.in_row = 0;
    // A request that was under way before does not end a bench that the provider asked for.
    if record.is_asked == 0 || now_ms >= record.until_ms {
        record.unbench();
    }
}

/// The target has answered that the request is at fault. It is alive; that is all.
pub fn answered(record: &mut Record, now_ms: u64, params: &Params) {
    succeeded(record, now_ms, None, params);
}

/// A probe ended without anything to learn from: the client went away, or it was never sent.
pub fn released(record: &mut Record, lease: u64) {
    if record.lease_ms == lease {
        record.lease_ms = 0;
    }
}

/// The attempt has failed; `retry_after_ms` is how long the provider asks to be left alone.
pub fn failed(
    record: &mut Record,
    now_ms: u64,
    params: &Params,
    retry_after_ms: Option<u64>,
    class: FailureClass,
) {
    if !OF_THE_TARGET.contains(class) {
        return answered(record, now_ms, params);
    }
    let now_ms = record.now(now_ms);
    let was_benched = record.until_ms != 0;
    let is_probe_over = was_benched && now_ms >= record.until_ms;
    record.count(now_ms, params.window_ms, true);
    record.observe(now_ms, true, None);
    record.in_row = record.in_row.saturating_add(1);
    if let Some(asked_ms) = retry_after_ms.filter(|&ms| ms > 0) {
        record.bench(now_ms.saturating_add(asked_ms.min(MAX_ASKED_MS)), true);
        return;
    }
    // Requests that were under way when the target was benched have nothing to add.
    if was_benched && !is_probe_over {
        return;
    }
    match class {
        FailureClass::AuthError | FailureClass::QuotaExhausted => {
            record.bench(now_ms.saturating_add(params.max_ms), true);
        }
        FailureClass::RateLimited => cool(record, now_ms, params),
        _ if is_probe_over || is_too_much(record, params) => cool(record, now_ms, params),
        _ => {}
    }
}

/// A question beside all requests was answered well, or not: then the target is benched for that long
/// from now on, however long it was before. It says nothing of how requests fare.
pub fn probed(record: &mut Record, now_ms: u64, bench_ms: Option<u64>) {
    let now_ms = record.now(now_ms);
    match bench_ms {
        Some(bench_ms) => record.bench(now_ms.saturating_add(bench_ms), false),
        None => record.unbench(),
    }
}

/// Benches twice as long as the last time.
fn cool(record: &mut Record, now_ms: u64, params: &Params) {
    let factor = 2u64.saturating_pow(record.benches);
    record.benches = record.benches.saturating_add(1);
    let span_ms = params.cooldown_ms.saturating_mul(factor).min(params.max_ms);
    record.bench(now_ms.saturating_add(span_ms), false);
}

fn is_too_much(record: &Record, params: &Params) -> bool {
    let sum = |halves: [u32; 2]| halves.iter().map(|&half| u64::from(half)).sum::<u64>();
    let (attempts, failures) = (sum(record.attempts), sum(record.failures));
    let in_row = params.fails > 0 && record.in_row >= params.fails;
    let ratio = attempts >= u64::from(params.min)
        && failures * 1000 >= u64::from(params.ratio_permille) * attempts;
    in_row || ratio
}

/// What a client is expected to wait at this target, in milliseconds; less is better. A target that
/// nothing is known of is the best, so that something gets known.
#[must_use]
pub fn score(record: &Record, now_ms: u64) -> u64 {
    // An old latency falls, so that a slow target is tried again one day, and an old failure is
    // forgotten.
    let age_ms = now_ms.saturating_sub(record.observed_ms);
    let failing_ppm = faded(record.failing_ppm.into(), age_ms);
    faded(record.latency_us, age_ms) / 1000 + failing_ppm * FAILURE_COST_MS / 1_000_000
}

/// Which of two targets goes first in `latency` mode; `None` is one without a record.
#[must_use]
pub fn better(a: Option<&Record>, b: Option<&Record>, now_ms: u64) -> Ordering {
    let score = |record: Option<&Record>| record.map_or(0, |record| score(record, now_ms));
    score(a).cmp(&score(b))
}

/// A known value, of that weight of a thousand, and a new one.
fn mixed(known: u64, weight_permille: u64, sample: u64) -> u64 {
    (known * weight_permille + sample * (1000 - weight_permille)) / 1000
}

/// Which of two benched targets is tried where all are: rather one that did not say itself for how long
/// to leave it alone, then the one that is benched for the shorter time, then the better one.
#[must_use]
pub fn last_resort(a: &Record, b: &Record, now_ms: u64) -> Ordering {
    let rank = |one: &Record| (one.is_asked, one.until_ms, score(one, now_ms));
    rank(a).cmp(&rank(b))
}

/// Half the value for each half-life, evenly in between.
fn faded(value: u64, age_ms: u64) -> u64 {
    let halved = u32::try_from(age_ms / HALF_LIFE_MS)
        .ok()
        .and_then(|halves| value.checked_shr(halves))
        .unwrap_or(0);
    halved - halved / 2 * (age_ms % HALF_LIFE_MS) / HALF_LIFE_MS
}

/// Moves the younger half of a window to the older one.
pub(super) fn shift(halves: &mut [u32; 2], by: u64) {
    let [young, _] = *halves;
    *halves = [0, if by == 1 { young } else { 0 }];
}

pub(super) fn increment(halves: &mut [u32; 2], by: u32) {
    let [young, _] = halves;
    *young = young.saturating_add(by);
}

#[cfg(test)]
mod tests;
