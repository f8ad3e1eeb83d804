//! What does an operator state about a gateway? The manifest's fields as types; reading and judging
//! them is done in the parts below. A field that is not stated is `None`, so that the rendering can
//! tell what was written from what holds by default.

mod consistency;
mod load;
mod organization;
mod schema;

use std::collections::BTreeMap;

use serde::Deserialize;

pub use load::{Loaded, load};
pub use organization::{Organization, Project, Quota};
pub use schema::{SCHEMA, nearest};

/// A number as it was written.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(from = "Digits")]
pub struct Decimal(pub String);

#[derive(Deserialize)]
#[serde(untagged)]
enum Digits {
    Whole(u64),
    Text(String),
}

impl From<Digits> for Decimal {
    /// Zeros that say nothing are left out: `2.0` is `2`.
    fn from(digits: Digits) -> Self {
        match digits {
            Digits::Whole(number) => Self(number.to_string()),
            Digits::Text(text) if text.contains('.') && !text.contains(['e', 'E']) => {
                Self(text.trim_end_matches('0').trim_end_matches('.').to_owned())
            }
            Digits::Text(text) => Self(text),
        }
    }
}

/// The whole manifest.
#[derive(Debug, Clone, Deserialize)]
pub struct Manifest {
    /// Who runs it: for the head of the file only.
    #[serde(default)]
    pub customer: Option<Customer>,
    /// Providers and routes.
    pub deployment: Deployment,
    /// Who may use them.
    #[serde(default)]
    pub organizations: Vec<Organization>,
}

/// Who runs the gateway. Serial and product are accepted and mean nothing here.
#[derive(Debug, Clone, Deserialize)]
pub struct Customer {
    /// Their name.
    #[serde(default)]
    pub company: Option<String>,
}

/// Providers and routes.
#[derive(Debug, Clone, Deserialize)]
pub struct Deployment {
    /// The environment's id.
    #[serde(default)]
    pub environment_id: Option<String>,
    /// The deployment's id.
    #[serde(default)]
    pub deployment_id: Option<String>,
    /// Which rooms of the gateway are on.
    #[serde(default)]
    pub enabled_features: Vec<Feature>,
    /// The providers' names.
    #[serde(default)]
    pub configured_providers: Option<Vec<String>>,
    /// The gateway itself.
    pub gateway: Gateway,
}

/// One room.
#[derive(Debug, Clone, Deserialize)]
pub struct Feature {
    /// `llm-proxy` and so on.
    pub name: String,
    /// Off when false.
    #[serde(default = "yes")]
    pub enabled: bool,
    /// Of `llm-cost`: prices and where events go.
    #[serde(default)]
    pub config: Option<CostConfig>,
}

fn yes() -> bool {
    true
}

/// Prices, and where cost events go.
#[derive(Debug, Clone, Default, Deserialize)]
pub struct CostConfig {
    /// A label for the rows.
    #[serde(default)]
    pub rate_card_version: Option<String>,
    /// Which unit a provider bills in.
    #[serde(default)]
    pub rate_units: Vec<RateUnit>,
    /// Prices per million tokens.
    #[serde(default)]
    pub rates: Vec<Rate>,
    /// Prices of cached input per million tokens.
    #[serde(default)]
    pub cached_rates: Vec<CachedRate>,
    /// `log`, `sqlite`, `postgres` or `off`.
    #[serde(default)]
    pub backend: Option<OneOrMany<String>>,
    /// `env:NAME` or `file:PATH` of the database's address.
    #[serde(default)]
    pub dsn: Option<String>,
    /// The table's name.
    #[serde(default)]
    pub table: Option<String>,
    /// The SQLite file.
    #[serde(default)]
    pub path: Option<String>,
}

/// One value, or a list of them.
#[derive(Debug, Clone, Deserialize)]
#[serde(untagged)]
pub enum OneOrMany<T> {
    /// Just one.
    One(T),
    /// A list.
    Many(Vec<T>),
}

impl<T> OneOrMany<T> {
    /// All of them.
    pub fn as_slice(&self) -> &[T] {
        match self {
            Self::One(one) => std::slice::from_ref(one),
            Self::Many(many) => many,
        }
    }
}

/// Which unit a provider bills in.
#[derive(Debug, Clone, Deserialize)]
pub struct RateUnit {
    /// The provider.
    pub provider: String,
    /// Its unit.
    pub unit: String,
}

/// A price.
#[derive(Debug, Clone, Deserialize)]
pub struct Rate {
    /// The provider.
    pub provider: String,
    /// A model's name or a pattern.
    pub model: String,
    /// Per million tokens.
    pub input: Decimal,
    /// Per million tokens.
    pub output: Decimal,
}

/// A price of cached input.
#[derive(Debug, Clone, Deserialize)]
pub struct CachedRate {
    /// The provider.
    pub provider: String,
    /// A model's name or a pattern.
    pub model: String,
    /// Per million tokens that were read from the cache.
    pub cache_read: Decimal,
    /// Per million tokens that were written to it.
    #[serde(default)]
    pub cache_write: Option<Decimal>,
    /// Per million tokens that were written for an hour.
    #[serde(default)]
    pub cache_write_1h: Option<Decimal>,
}

/// The gateway itself.
#[derive(Debug, Clone, Deserialize)]
pub struct Gateway {
    /// What projects' host names end in.
    #[serde(default)]
    pub domain: Option<String>,
    /// Where it listens.
    #[serde(default)]
    pub listen: Option<OneOrMany<ListenOn>>,
    /// The certificate for `listen … ssl`.
    #[serde(default)]
    pub tls: Option<Tls>,
    /// Where the status page and the metrics are.
    #[serde(default)]
    pub status_listen: Option<String>,
    /// The bundle that providers' certificates are checked with.
    #[serde(default)]
    pub ssl_trusted_certificate: Option<String>,
    /// The key file of the clients.
    #[serde(default)]
    pub client_keys: Option<String>,
    /// Where the providers are.
    pub upstreams: Vec<Upstream>,
    /// The providers' keys.
    #[serde(default)]
    pub credentials: Vec<Credential>,
    /// The catalog, where it is not what the prices say.
    #[serde(default)]
    pub models: Option<Vec<Model>>,
    /// What is served.
    pub routes: Vec<Route>,
}

/// A port or an address.
#[derive(Debug, Clone, Deserialize)]
#[serde(untagged)]
pub enum ListenOn {
    /// A port on every address.
    Port(u16),
    /// As nginx writes it.
    Address(String),
}

/// A certificate.
#[derive(Debug, Clone, Deserialize)]
pub struct Tls {
    /// The chain's file.
    pub certificate: String,
    /// The private key's file.
    pub certificate_key: String,
}

/// Where a provider is.
#[derive(Debug, Clone, Deserialize)]
pub struct Upstream {
    /// The block's name.
    pub name: String,
    /// `host:port`.
    #[serde(alias = "servers")]
    pub server: OneOrMany<String>,
    /// The name that the certificate must have.
    #[serde(default)]
    pub ssl_name: Option<String>,
    /// Whether the provider speaks TLS.
    #[serde(default)]
    pub ssl: Option<bool>,
    /// Whether the certificate is checked.
    #[serde(default)]
    pub ssl_verify: Option<bool>,
    /// The Host header.
    #[serde(default)]
    pub host: Option<String>,
    /// What `/v1` becomes.
    #[serde(default)]
    pub base: Option<String>,
    /// Idle connections that are kept per worker.
    #[serde(default)]
    pub keepalive: Option<u32>,
}

/// A provider's key.
#[derive(Debug, Clone, Deserialize)]
pub struct Credential {
    /// The provider.
    pub provider: String,
    /// `env:NAME` or `file:PATH`.
    pub api_key: String,
    /// What logs call it.
    #[serde(default)]
    pub id: Option<String>,
    /// Its share of a pool.
    #[serde(default)]
    pub weight: Option<u32>,
    /// The project's slug it is for.
    #[serde(default)]
    pub project: Option<String>,
    /// The organisation's slug it is for.
    #[serde(default)]
    pub organization: Option<String>,
}

/// A line of the catalog.
#[derive(Debug, Clone, Deserialize)]
pub struct Model {
    /// A model's name or a pattern.
    pub model: String,
    /// Who serves it.
    pub provider: String,
    /// Another name for it.
    #[serde(default)]
    pub alias: Option<String>,
}

/// A path that is served.
#[derive(Debug, Clone, Deserialize)]
pub struct Route {
    /// The path.
    pub location: String,
    /// The first provider.
    pub provider: String,
    /// The provider's dialect.
    #[serde(default)]
    pub dialect: Option<String>,
    /// The clients' dialect, where it is not that of the path.
    #[serde(default)]
    pub ingress_dialect: Option<String>,
    /// The first provider's block.
    pub upstream: String,
    /// Without a key nothing is sent.
    #[serde(default)]
    pub auth_fail_closed: Option<bool>,
    /// The projects' slugs that have this path; all without.
    #[serde(default)]
    pub projects: Option<Vec<String>>,
    /// More providers.
    #[serde(default)]
    pub secondary_providers: Vec<Secondary>,
    /// What is done when a provider fails.
    #[serde(default)]
    pub fallback: Option<Fallback>,
    /// Further directives by name.
    #[serde(default)]
    pub options: BTreeMap<String, serde_json::Value>,
}

/// Another provider of a route.
#[derive(Debug, Clone, Deserialize)]
pub struct Secondary {
    /// The provider.
    pub provider: String,
    /// Its block.
    pub upstream: String,
    /// Its dialect.
    #[serde(default)]
    pub dialect: Option<String>,
}

/// What is done when a provider fails.
#[derive(Debug, Clone, Deserialize)]
pub struct Fallback {
    /// `basic`, `health` or `latency`.
    #[serde(default)]
    pub mode: Option<String>,
    /// From, to, model; or several of those.
    pub route: OneEdgeOrMany,
    /// The failures.
    #[serde(default)]
    pub on: Option<Vec<String>>,
    /// With the first one.
    #[serde(default)]
    pub max_attempts: Option<u32>,
    /// Whether streams fall back.
    #[serde(default)]
    pub allow_streaming: Option<bool>,
}

/// One edge, or a list of them.
#[derive(Debug, Clone, Deserialize)]
#[serde(untagged)]
pub enum OneEdgeOrMany {
    /// `[from, to, model]`
    One(Vec<String>),
    /// A list of those.
    Many(Vec<Vec<String>>),
}

impl OneEdgeOrMany {
    /// All edges, with the end of their paths.
    pub fn edges(&self) -> Vec<(String, &[String])> {
        match self {
            Self::One(edge) => vec![(String::new(), edge)],
            Self::Many(edges) => {
                let numbered = edges.iter().enumerate();
                numbered.map(|(at, edge)| (format!("[{at}]"), edge.as_slice())).collect()
            }
        }
    }
}

impl Manifest {
    /// Whether a room is on. Rooms that the manifest does not name are on where it says something
    /// that needs them.
    pub fn is_on(&self, feature: &str, needed: bool) -> bool {
        let named = self.deployment.enabled_features.iter().find(|found| found.name == feature);
        named.map_or(needed, |found| found.enabled)
    }

    /// The cost room's part and the index of its feature.
    pub fn cost(&self) -> Option<(usize, &CostConfig)> {
        let features = self.deployment.enabled_features.iter().enumerate();
        features.filter(|(_, feature)| feature.enabled).find_map(|(at, feature)| {
            Some((at, feature.config.as_ref().filter(|_| feature.name == "llm-cost")?))
        })
    }

    /// The catalog: what `gateway.models` says, else what has a price; with the paths.
    pub fn catalog(&self) -> Vec<(String, &str, &str)> {
        if let Some(models) = &self.deployment.gateway.models {
            return models
                .iter()
                .enumerate()
                .map(|(at, m)| {
                    (
                        format!("deployment.gateway.models[{at}]"),
                        m.model.as_str(),
                        m.provider.as_str(),
                    )
                })
                .collect();
        }
        let Some((feature, cost)) = self.cost() else { return Vec::new() };
        let path = format!("deployment.enabled_features[{feature}].config.rates");
        let rates = cost.rates.iter().enumerate();
        rates
            .map(|(at, rate)| {
                (format!("{path}[{at}]"), rate.model.as_str(), rate.provider.as_str())
            })
            .collect()
    }
}
