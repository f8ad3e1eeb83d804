//! Who may use the gateway, and how much? The manifest's organisations with their projects, clients,
//! keys and quotas.

use serde::Deserialize;

use super::Decimal;

/// An organisation.
#[derive(Debug, Clone, Deserialize)]
pub struct Organization {
    /// Its id.
    pub organization_id: String,
    /// Its short name.
    pub organization_slug: String,
    /// The environment it is in.
    #[serde(default)]
    pub environment_id: Option<String>,
    /// `active`, `suspended` or `disabled`.
    #[serde(default)]
    pub status: Option<String>,
    /// Its limits and those of its projects.
    #[serde(default)]
    pub quotas: Vec<Quota>,
    /// Its projects.
    #[serde(default)]
    pub projects: Vec<Project>,
}

/// A limit or a cap.
#[derive(Debug, Clone, Deserialize)]
pub struct Quota {
    /// `organization`, `project` or `client`.
    pub scope_type: String,
    /// The project.
    #[serde(default)]
    pub project_id: Option<String>,
    /// The client.
    #[serde(default)]
    pub client_id: Option<String>,
    /// A cap on money in a month.
    #[serde(default)]
    pub monthly_spend_limit: Option<Decimal>,
    /// Its unit.
    #[serde(default)]
    pub monthly_spend_unit: Option<String>,
    /// Requests in a minute.
    #[serde(default)]
    pub rpm_limit: Option<u64>,
    /// Tokens in a minute.
    #[serde(default)]
    pub tpm_limit: Option<u64>,
    /// Requests at the same time.
    #[serde(default)]
    pub concurrency_limit: Option<u64>,
    /// `enforce` or `monitor`.
    #[serde(default)]
    pub enforcement_mode: Option<String>,
    /// The models a limit is for; without a limit, the models that may be used.
    #[serde(default)]
    pub model_allowlist: Option<Vec<String>>,
}

impl Quota {
    /// Whether it limits requests or tokens.
    pub fn has_limit(&self) -> bool {
        self.rpm_limit.is_some() || self.tpm_limit.is_some() || self.concurrency_limit.is_some()
    }

    /// Whether it only counts.
    pub fn is_monitor(&self) -> bool {
        self.enforcement_mode.as_deref() == Some("monitor")
    }
}

/// A project.
#[derive(Debug, Clone, Deserialize)]
pub struct Project {
    /// Its id.
    pub project_id: String,
    /// Its short name.
    pub project_slug: String,
    /// `active`, `suspended` or `disabled`.
    #[serde(default)]
    pub status: Option<String>,
    /// Its host name.
    #[serde(default)]
    pub hostname: Option<String>,
    /// The models it may use.
    #[serde(default)]
    pub models: Option<Vec<String>>,
    /// Its clients.
    #[serde(default)]
    pub clients: Vec<Client>,
}

/// A client.
#[derive(Debug, Clone, Deserialize)]
pub struct Client {
    /// Its id.
    pub client_id: String,
    /// `active`, `suspended` or `disabled`.
    #[serde(default)]
    pub status: Option<String>,
    /// Its keys.
    #[serde(default)]
    pub api_keys: Vec<ApiKey>,
}

/// A client's key; its secret is issued, not stated.
#[derive(Debug, Clone, Deserialize)]
pub struct ApiKey {
    /// The public part.
    pub key_id: String,
    /// The tier.
    #[serde(default)]
    pub tier: Option<String>,
    /// `active`, `suspended` or `revoked`.
    #[serde(default)]
    pub status: Option<String>,
    /// The models it may use.
    #[serde(default)]
    pub models: Option<Vec<String>>,
}
