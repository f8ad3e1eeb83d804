//! How are things at this moment? Health, keys, budgets and the journal, for a scrape and the status page.

use llm_core::health::name_hash;
use llm_core::metrics::{Amount, Gauge, Metric};
use llm_core::ratelimit::Budget;
use llm_core::status::WorkerNote;

use crate::ffi::{Request, process};
use crate::health::{self, ProviderIs, Seen};
use crate::ratelimit;

/// A provider with its keys, gathered over all locations.
pub struct ProviderNow<'a> {
    /// Its name.
    pub name: &'a str,
    /// Whether it is out as a whole.
    pub is: ProviderIs,
    /// Each of its keys: id, whether it has a secret, milliseconds until its bench ends.
    pub keys: Vec<(String, bool, Option<u64>)>,
    /// What is known of its targets.
    pub targets: Vec<TargetNow>,
}

/// What is known of one model at a provider, with one key.
pub struct TargetNow {
    /// The model; none is all requests without one.
    pub model: Option<String>,
    /// The key's id.
    pub key: Option<String>,
    /// Its health.
    pub seen: Seen,
}

/// Every configured provider, as it is now.
pub fn providers(r: Request<'_>) -> Vec<ProviderNow<'_>> {
    let records = health::named(r);
    let now_ms = crate::ffi::now_ms();
    let mut all: Vec<ProviderNow<'_>> = Vec::new();
    for compiled in &r.main_conf().compiled {
        for provider in &compiled.routes.providers {
            if all.iter().any(|known| known.name == provider.name) {
                continue;
            }
            let keys = keys(r, &provider.name);
            let hash = name_hash(&provider.name);
            let targets: Vec<TargetNow> = records
                .iter()
                .filter(|record| record.is_of(hash))
                .map(|record| TargetNow {
                    model: record.model(),
                    key: keys.iter().find(|key| record.is_with(key.hash())).map(|k| k.id.clone()),
                    seen: Seen::of(record, now_ms),
                })
                .collect();
            let keys = keys.into_iter().map(|key| {
                let its = targets.iter().filter(|t| t.key.as_ref() == Some(&key.id));
                let until = its.filter_map(|t| t.seen.benched_ms).max();
                (key.id, key.fingerprint.is_some(), until)
            });
            all.push(ProviderNow {
                name: &provider.name,
                is: health::provider_is(r, &provider.name),
                keys: keys.collect(),
                targets,
            });
        }
    }
    all
}

struct KeyNow {
    id: String,
    fingerprint: Option<String>,
}

impl KeyNow {
    /// As health's records have it; 1 is no key's.
    fn hash(&self) -> u64 {
        self.fingerprint.as_deref().map_or(1, name_hash)
    }
}

fn keys(r: Request<'_>, provider: &str) -> Vec<KeyNow> {
    let mut all: Vec<KeyNow> = Vec::new();
    for safe in &r.main_conf().safes {
        let secrets = safe.secrets();
        for (number, key) in safe.credentials.keys().iter().enumerate() {
            if key.provider != provider || all.iter().any(|known| known.id == key.id) {
                continue;
            }
            let fingerprint = secrets.store.fingerprint(number).map(str::to_owned);
            all.push(KeyNow { id: key.id.clone(), fingerprint });
        }
    }
    all
}

/// Every open budget.
pub fn budgets(r: Request<'_>) -> Vec<Budget> {
    let Some(limits) = &r.main_conf().limits else { return Vec::new() };
    let now_s = crate::ffi::unix_time();
    let is_open = |budget: &Budget| budget.window.end_s > now_s && budget.label.is_some();
    let mut budgets = ratelimit::budgets(limits.zone, is_open);
    budgets.sort_by_key(|budget| budget.key);
    budgets
}

/// A budget's scope with its ids, such as `project acme/ai`.
pub fn scope_and_ids(budget: &Budget) -> (&'static str, String) {
    let Some(label) = &budget.label else { return ("", String::new()) };
    let ids: Vec<_> = label.ids().map(String::from_utf8_lossy).collect();
    (label.scope.name(), ids.join("/"))
}

/// What all workers' journals do together.
pub fn journal(r: Request<'_>) -> Option<WorkerNote> {
    r.main_conf().store.as_ref()?;
    let board = r.main_conf().metrics.as_ref()?;
    let notes = board.workers.copied(<[WorkerNote]>::len, |note| note.pid != 0);
    Some(WorkerNote::total(&notes, process::is_alive))
}

/// The gauges of a scrape.
pub fn gauges(r: Request<'_>, open_streams: u64) -> Vec<Gauge> {
    let mut gauges = Vec::new();
    let mut put = |metric, labels: &[&str], amount| {
        let labels: Vec<&[u8]> = labels.iter().map(|label| label.as_bytes()).collect();
        gauges.extend(Gauge::new(metric, &labels, amount));
    };
    put(Metric::OpenStreams, &[], Amount::Whole(open_streams));
    for provider in providers(r) {
        let name = provider.name;
        put(Metric::ProviderUp, &[name], Amount::Whole(u64::from(is_up(&provider))));
        for target in &provider.targets {
            let labels = [
                name,
                target.model.as_deref().unwrap_or_default(),
                target.key.as_deref().unwrap_or_default(),
            ];
            let benched = u64::from(target.seen.benched_ms.is_some());
            put(Metric::TargetBenched, &labels, Amount::Whole(benched));
        }
        let count = |state: fn(&(String, bool, Option<u64>)) -> bool| {
            provider.keys.iter().filter(|key| state(key)).count() as u64
        };
        if !provider.keys.is_empty() {
            put(Metric::Keys, &[name, "ready"], Amount::Whole(count(|k| k.1 && k.2.is_none())));
            put(Metric::Keys, &[name, "benched"], Amount::Whole(count(|k| k.1 && k.2.is_some())));
            put(Metric::Keys, &[name, "missing"], Amount::Whole(count(|k| !k.1)));
        }
    }
    for budget in budgets(r) {
        let (scope, ids) = scope_and_ids(&budget);
        let scope = format!("{scope} {ids}");
        let unit = budget.label.as_ref().map_or("", |label| label.unit());
        put(Metric::Spend, &[&scope, unit], Amount::Money(budget.spent));
        put(Metric::SpendLimit, &[&scope, unit], Amount::Money(budget.limit));
    }
    if let Some(journal) = journal(r) {
        put(Metric::JournalEvents, &[], Amount::Whole(journal.waiting_events));
        put(Metric::JournalBytes, &[], Amount::Whole(journal.journal_bytes));
        let age_s = journal.oldest_age_ms(crate::ffi::unix_ms()) / 1000;
        put(Metric::JournalOldest, &[], Amount::Whole(age_s));
    }
    gauges
}

/// Whether requests are sent to a provider.
pub fn is_up(provider: &ProviderNow<'_>) -> bool {
    let known = &provider.targets;
    provider.is == ProviderIs::In
        && (known.is_empty() || known.iter().any(|target| target.seen.benched_ms.is_none()))
}
