//! Which keys may serve one attempt, and in which order? The answer is a pool of the most specific
//! scope that has one for the provider, or the reason why there is none.

use super::{Credentials, Scope, Store};
use crate::error::Rejection;

/// For whom a request is, as `llm_auth_tenant`, `_project` and `_org` say. An empty text is none.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Scopes<'a> {
    /// The tenant.
    pub tenant: Option<&'a str>,
    /// The project.
    pub project: Option<&'a str>,
    /// The organisation.
    pub org: Option<&'a str>,
}

/// `llm_auth_tenant_fallback_shared`
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum SharedFallback {
    /// Where a scope has keys, only its members may use keys.
    #[default]
    Off,
    /// Who has no key of its own uses the shared one.
    On,
}

/// `$llm_auth_status` when an attempt has a key.
pub const RESOLVED: &str = "resolved";

/// Why an attempt has no key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Missing {
    /// There is no provider to have a key for.
    Provider,
    /// The provider has no key that this request may use.
    Credential,
    /// The tenant has no key there, and the shared one is not for it.
    ClientCredential,
    /// The project has no key there, and the shared one is not for it.
    ProjectCredential,
    /// The organisation has no key there, and the shared one is not for it.
    OrgCredential,
    /// Tenants have keys, and the request names no tenant.
    Client,
    /// Projects have keys, and the request names no project.
    Project,
    /// Organisations have keys, and the request names none.
    Org,
    /// There is a key, but its variable is not set or its file cannot be read.
    Secret,
}

impl Missing {
    /// The word in `$llm_auth_fail_reason`.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Provider => "provider_missing",
            Self::Credential => "credential_missing",
            Self::ClientCredential => "client_credential_missing",
            Self::ProjectCredential => "project_credential_missing",
            Self::OrgCredential => "org_credential_missing",
            Self::Client => "client_missing",
            Self::Project => "project_missing",
            Self::Org => "org_missing",
            Self::Secret => "secret_unresolved",
        }
    }

    /// The word in `$llm_auth_status`.
    #[must_use]
    pub const fn status(self) -> &'static str {
        match self {
            Self::Provider => "missing_provider",
            Self::Secret => "missing_secret",
            _ => "missing_credential",
        }
    }

    /// What a client is told when no target has a key; it is not its fault.
    #[must_use]
    pub fn rejection() -> Rejection {
        let message = "The gateway has no credential for a provider of this request. Its operator \
                       can add one.";
        Rejection::new(500, "gateway_credential_missing", message)
    }
}

/// One scope that a location has keys for, and whom the request names in it.
struct Level<'a> {
    owner: Option<&'a str>,
    scope: fn(String) -> Scope,
    nobody: Missing,
    no_key: Missing,
}

impl Credentials {
    /// Numbers of the keys to try at `provider`, in this order; never empty. The first is drawn by
    /// weight, and so is each that follows from what is left: while a key is benched, the others
    /// share its requests as their weights say. `random` decides all draws. Keys without a secret are
    /// left out, but a pool without any is not replaced by a wider one, which somebody else pays.
    pub fn select(
        &self,
        provider: &str,
        scopes: &Scopes<'_>,
        fallback: SharedFallback,
        random: u64,
        store: &Store,
    ) -> Result<Vec<usize>, Missing> {
        if provider.is_empty() {
            return Err(Missing::Provider);
        }
        let pool = self.pool(provider, scopes, fallback)?;
        let mut keys: Vec<usize> =
            pool.iter().copied().filter(|&number| store.secret(number).is_some()).collect();
        if keys.is_empty() {
            return Err(Missing::Secret);
        }
        if keys.len() > 1 {
            keys.sort_by_cached_key(|&number| self.draw(number, random));
        }
        Ok(keys)
    }

    fn pool(
        &self,
        provider: &str,
        scopes: &Scopes<'_>,
        fallback: SharedFallback,
    ) -> Result<&[usize], Missing> {
        let pools = self.providers.get(provider);
        let mut reason = None;
        for level in self.levels(scopes) {
            let Some(owner) = level.owner.filter(|owner| !owner.is_empty()) else {
                reason = reason.or(Some(level.nobody));
                continue;
            };
            let scope = (level.scope)(owner.to_owned());
            if let Some(pool) = pools.and_then(|pools| pools.by_scope.get(&scope)) {
                return Ok(pool);
            }
            reason = reason.or(Some(level.no_key));
        }
        if let (SharedFallback::Off, Some(reason)) = (fallback, reason) {
            return Err(reason);
        }
        let shared = pools.and_then(|pools| pools.by_scope.get(&Scope::Shared));
        shared.map(Vec::as_slice).ok_or(Missing::Credential)
    }

    /// The scopes that have keys, the most specific first.
    fn levels<'a>(&self, scopes: &Scopes<'a>) -> impl Iterator<Item = Level<'a>> {
        let tenant = self.scoped.tenant.then_some(Level {
            owner: scopes.tenant,
            scope: Scope::Tenant,
            nobody: Missing::Client,
            no_key: Missing::ClientCredential,
        });
        let project = self.scoped.project.then_some(Level {
            owner: scopes.project,
            scope: Scope::Project,
            nobody: Missing::Project,
            no_key: Missing::ProjectCredential,
        });
        let org = self.scoped.org.then_some(Level {
            owner: scopes.org,
            scope: Scope::Org,
            nobody: Missing::Org,
            no_key: Missing::OrgCredential,
        });
        [tenant, project, org].into_iter().flatten()
    }

    /// A key's arrival time when keys arrive at random, each at the rate of its weight: sorted by it,
    /// the first is each key with the probability of its weight, and so on for the rest
    /// (Efraimidis and Spirakis, 2006). The order of the result is that of the time.
    fn draw(&self, number: usize, random: u64) -> u64 {
        let weight = self.key(number).map_or(1, |key| key.weight);
        let bits = mix(random ^ mix(number as u64)) >> 11;
        // In (0, 1]: 53 bits, which is what a float holds.
        let uniform = (bits + 1) as f64 / (1u64 << 53) as f64;
        // Floats that are not negative sort as their bits do; + 0.0 makes -0.0 one of them.
        (-uniform.ln() / f64::from(weight) + 0.0).to_bits()
    }
}

/// Spreads the bits of a number over all of it (the last step of SplitMix64).
fn mix(number: u64) -> u64 {
    let number = number.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let number = (number ^ (number >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let number = (number ^ (number >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    number ^ (number >> 31)
}
