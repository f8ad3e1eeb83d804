//! The shared zones of what is counted, and the names that labels may have.

use std::collections::BTreeSet;
use std::rc::Rc;

use llm_core::auth::Scope;
use llm_core::metrics::{Layout, Names, Opted, Record, Table};
use llm_core::status::{Cell, Entry};

pub use llm_core::status::WorkerNote;

use crate::conf::{Compiled, MainConf};
use crate::ffi::process;
use crate::ffi::shm::Zone;
use crate::ffi::thread::is_first_worker;

/// Where requests are counted.
#[derive(Clone)]
pub struct Board {
    /// The series of metrics.
    pub series: Zone<Record>,
    /// The last hour, minute by minute.
    pub hour: Zone<Cell>,
    /// The latest requests.
    pub recent: Zone<Entry>,
    /// What each worker's journal does.
    pub workers: Zone<WorkerNote>,
    /// The names that labels may have.
    pub layout: Rc<Layout>,
}

impl Board {
    /// A worker begins.
    pub fn begin(&self) {
        // Process ids come again: streams of one that died with this id are not ours.
        let pid = std::process::id();
        self.series.locked(|records| Table::new(records).forget_streams(pid));
        if is_first_worker() {
            self.make_room();
        }
    }

    /// Frees what this configuration does not name, and what counted the streams of dead workers. What an
    /// old worker still counts under an old name begins anew and stays until the next reload.
    fn make_room(&self) {
        for series in self.series_where(|_| true).iter().skip(1) {
            let is_stale = match series.worker() {
                Some(pid) => !process::is_alive(pid),
                None => !self.layout.knows(series),
            };
            if is_stale {
                self.series.locked(|records| Table::new(records).remove(series));
            }
        }
    }

    /// A copy of the head of all series and of those that are wanted.
    pub fn series_where(&self, wants: impl Fn(&Record) -> bool) -> Vec<Record> {
        /// A reload moves series, and is soon done with it.
        const TRIES: u32 = 5;
        let moved = || self.series.locked(|records| Table::moved(records));
        let mut copy = Vec::new();
        for _ in 0..TRIES {
            let before = moved();
            copy = self.series.copied(Table::extent, |record| record.is_head() || wants(record));
            if before == moved() {
                break;
            }
        }
        copy
    }

    /// Streams under way in all workers, by a copy of their series. Dead ones have none from then on.
    pub fn open_streams(&self, copy: &[Record]) -> u64 {
        Table::open_streams(copy, process::is_alive, |pid| {
            self.series.locked(|records| Table::new(records).forget_streams(pid));
        })
    }
}

impl MainConf {
    /// The names that this configuration gives.
    pub fn label_layout(&self) -> Layout {
        let mut providers = BTreeSet::new();
        let mut models = BTreeSet::new();
        let mut tenants = BTreeSet::new();
        let mut units = BTreeSet::new();
        let mut opted = Opted::default();
        for compiled in &self.compiled {
            let Compiled { routes, rules, cost, metrics, .. } = &**compiled;
            for provider in &routes.providers {
                providers.insert(provider.name.as_str());
                units.insert(cost.card.unit(&provider.name));
            }
            models.extend(routes.patterns.iter().map(|pattern| pattern.pattern.as_str()));
            models.extend(routes.aliases.iter().map(|alias| alias.model.as_str()));
            for edge in &rules.graph.edges {
                models.extend(edge.model.as_deref());
                models.extend(edge.to.model.as_deref());
            }
            tenants.extend(metrics.tenants.iter().map(String::as_str));
            opted = Opted {
                model: opted.model || metrics.opted.model,
                tenant: opted.tenant || metrics.opted.tenant,
                auth_status: opted.auth_status || metrics.opted.auth_status,
                resolution_outcome: opted.resolution_outcome || metrics.opted.resolution_outcome,
                usage: opted.usage || metrics.opted.usage,
            };
        }
        for key in self.safes.iter().flat_map(|safe| safe.credentials.keys()) {
            match &key.scope {
                Scope::Shared => {}
                Scope::Tenant(name) | Scope::Project(name) | Scope::Org(name) => {
                    tenants.insert(name.as_str());
                }
            }
        }
        let list = |set: BTreeSet<&'_ str>| set.into_iter().map(str::to_owned).collect::<Vec<_>>();
        let lists = [list(providers), list(models), list(tenants), list(units)];
        let [providers, models, tenants, units] =
            lists.each_ref().map(|list| list.iter().map(String::as_str).collect::<Vec<_>>());
        let names =
            Names { providers: &providers, models: &models, tenants: &tenants, units: &units };
        Layout::new(&names, opted)
    }
}
