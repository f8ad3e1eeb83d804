//! Which of the operator's keys goes to a provider, for whom, and what is said when there is none?
//! Each attempt asks for its own target; the configuration is checked here when nginx starts. Reading
//! the environment and files is the caller's: nothing here knows where a secret comes from.

mod check;
pub mod client;
mod line;
mod secret;
mod select;
mod store;

use foldhash::HashMap;

pub use check::{Policy, Report};
pub use line::{CredentialLine, SecretSource};
pub use secret::{Secret, SecretError};
pub use select::{Missing, RESOLVED, Scopes, SharedFallback};
pub use store::{Store, fingerprint};

/// For whom a key is.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Scope {
    /// Everybody: `llm_auth_credential`.
    Shared,
    /// One tenant, named by `llm_auth_tenant`.
    Tenant(String),
    /// One project, named by `llm_auth_project`.
    Project(String),
    /// One organisation, named by `llm_auth_org`.
    Org(String),
}

impl Scope {
    /// The word in messages.
    #[must_use]
    pub const fn name(&self) -> &'static str {
        match self {
            Self::Shared => "shared",
            Self::Tenant(_) => "tenant",
            Self::Project(_) => "project",
            Self::Org(_) => "org",
        }
    }

    /// The directive whose lines have this scope.
    #[must_use]
    pub const fn directive(&self) -> &'static str {
        match self {
            Self::Shared => "llm_auth_credential",
            Self::Tenant(_) => "llm_auth_tenant_credential",
            Self::Project(_) => "llm_auth_project_credential",
            Self::Org(_) => "llm_auth_org_credential",
        }
    }
}

/// One key of a provider.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Key {
    /// For whom it is.
    pub scope: Scope,
    /// The only provider it is ever sent to.
    pub provider: String,
    /// Where its secret is.
    pub source: SecretSource,
    /// What `$llm_auth_credential`, logs and the status page call it; never a secret.
    pub id: String,
    /// Its share of the pool's requests, at least 1.
    pub weight: u32,
}

/// All keys of a location, in the order of their lines: a key's number is its place in that order.
#[derive(Debug, Clone, Default)]
pub struct Credentials {
    keys: Vec<Key>,
    providers: HashMap<String, Pools>,
    scoped: Scoped,
}

/// Which scopes have a line at all, for any provider.
#[derive(Debug, Clone, Copy, Default)]
struct Scoped {
    tenant: bool,
    project: bool,
    org: bool,
}

/// Numbers of the keys of one provider.
#[derive(Debug, Clone, Default)]
struct Pools {
    by_scope: HashMap<Scope, Vec<usize>>,
    by_id: HashMap<String, usize>,
    unnamed_literals: usize,
}

impl Credentials {
    /// Adds a line. The error is for the operator: what stands twice.
    pub fn push(&mut self, line: CredentialLine) -> Result<(), String> {
        let CredentialLine { scope, provider, source, id, weight } = line;
        let pools = self.providers.entry(provider.clone()).or_default();
        let id = match id.or_else(|| source.id()) {
            Some(id) => id,
            None => {
                pools.unnamed_literals += 1;
                format!("literal#{}", pools.unnamed_literals)
            }
        };
        let key = Key { scope, provider, source, id, weight };
        pools.add(&key, self.keys.len(), &self.keys)?;
        match key.scope {
            Scope::Shared => {}
            Scope::Tenant(_) => self.scoped.tenant = true,
            Scope::Project(_) => self.scoped.project = true,
            Scope::Org(_) => self.scoped.org = true,
        }
        self.keys.push(key);
        Ok(())
    }

    /// All keys, by number.
    #[must_use]
    pub fn keys(&self) -> &[Key] {
        &self.keys
    }

    /// The key of a number.
    #[must_use]
    pub fn key(&self, number: usize) -> Option<&Key> {
        self.keys.get(number)
    }
}

impl Pools {
    fn add(&mut self, key: &Key, number: usize, keys: &[Key]) -> Result<(), String> {
        let name = key.scope.name();
        let pool = self.by_scope.entry(key.scope.clone()).or_default();
        let mut others = pool.iter().filter_map(|&other| keys.get(other));
        if others.any(|other| other.id == key.id || other.source == key.source) {
            return Err(format!(
                "duplicate {name} credential \"{}\", name each key of a pool once",
                key.id
            ));
        }
        // The same variable or file may serve two tenants; it is one key, with one state.
        let other = self.by_id.get(&key.id).and_then(|&other| keys.get(other));
        if other.is_some_and(|other| other.source != key.source) {
            return Err(format!(
                "duplicate {name} credential id \"{}\", another key of this provider has it",
                key.id
            ));
        }
        pool.push(number);
        self.by_id.entry(key.id.clone()).or_insert(number);
        Ok(())
    }
}

#[cfg(test)]
mod tests;
