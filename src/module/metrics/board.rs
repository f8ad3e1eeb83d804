//! The shared zones of what is counted, and the names that labels may have.

use std::collections::BTreeSet;
use std::rc::Rc;

use llm_core::auth::Scope;
use llm_core::metrics::{Layout, Names, Opted, Record};
use llm_core::status::{Cell, Entry};

pub use llm_core::status::WorkerNote;

use crate::conf::{Compiled, MainConf};
use crate::ffi::shm::Zone;

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
