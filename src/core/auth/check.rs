//! Do the credential lines fit to the routes and to each other? Asked by `nginx -t` and at every start.

use super::{Credentials, Key, Scope, SecretSource};
use crate::route::Routes;

/// What else the location says.
#[derive(Debug, Clone, Copy, Default)]
pub struct Policy<'a> {
    /// `llm_auth_fail_closed`
    pub fail_closed: bool,
    /// `llm_auth_tenant` is there.
    pub has_tenant: bool,
    /// `llm_auth_project` is there.
    pub has_project: bool,
    /// `llm_auth_org` is there.
    pub has_org: bool,
    /// `llm_auth_provider`
    pub provider: Option<&'a str>,
    /// Names of the scopes whose lines stand in an enclosing block, whose other locations may have more
    /// routes than this one: a line for another provider is no mistake then.
    pub inherited: &'a [&'static str],
}

/// What is wrong, in words that say what to change and never show a secret.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Report {
    /// nginx must not start.
    pub errors: Vec<String>,
    /// nginx starts.
    pub warnings: Vec<String>,
}

impl Credentials {
    /// Compares the lines with the routes they serve.
    #[must_use]
    pub fn check(&self, routes: &Routes, policy: &Policy<'_>) -> Report {
        let mut report = Report::default();
        self.check_owners(policy, &mut report);
        self.check_providers(routes, policy.inherited, &mut report);
        if let Some(name) = policy.provider
            && !has_route(routes, name)
        {
            report.errors.push(format!(
                "llm_auth_provider \"{name}\" is unknown, add llm_proxy_route {name} <upstream>"
            ));
        }
        for provider in routes.providers.iter().map(|provider| provider.name.as_str()) {
            if self.has_key(provider) {
                continue;
            }
            let text = format!(
                "provider \"{provider}\" has no credential, add llm_auth_credential {provider} \
                 <secret>"
            );
            if policy.fail_closed {
                report.errors.push(text);
            } else {
                report.warnings.push(text + " or its requests are sent without one");
            }
        }
        report
    }

    fn check_owners(&self, policy: &Policy<'_>, report: &mut Report) {
        for (in_use, named, word) in [
            (self.scoped.tenant, policy.has_tenant, "tenant"),
            (self.scoped.project, policy.has_project, "project"),
            (self.scoped.org, policy.has_org, "org"),
        ] {
            if in_use && !named {
                report.errors.push(format!("{word} credentials require llm_auth_{word}"));
            }
        }
    }

    fn check_providers(&self, routes: &Routes, inherited: &[&str], report: &mut Report) {
        for key in self.keys() {
            if inherited.contains(&key.scope.name()) || has_route(routes, &key.provider) {
                continue;
            }
            let directive = key.scope.directive();
            let text = if may_be_secret(key, routes) {
                format!(
                    "the arguments of an {directive} line may be in the wrong order, the provider \
                     stands before the secret and needs an llm_proxy_route"
                )
            } else {
                let name = &key.provider;
                format!(
                    "{directive} provider \"{name}\" is unknown, add llm_proxy_route {name} \
                     <upstream>"
                )
            };
            if !report.errors.contains(&text) {
                report.errors.push(text);
            }
        }
    }

    fn has_key(&self, provider: &str) -> bool {
        self.providers.contains_key(provider)
    }
}

/// Whether what stands in the place of the provider may be the secret, so that it must not be shown:
/// a provider stands in another place, or it is as long as keys are or begins as many do.
fn may_be_secret(key: &Key, routes: &Routes) -> bool {
    const LONG_BYTES: usize = 24;
    let owner = match &key.scope {
        Scope::Tenant(owner) | Scope::Project(owner) | Scope::Org(owner) => owner.as_str(),
        Scope::Shared => "",
    };
    let literal = match &key.source {
        SecretSource::Literal(secret) => secret.reveal(),
        SecretSource::Env(_) | SecretSource::File(_) => "",
    };
    let looks_so = key.provider.len() > LONG_BYTES || key.provider.starts_with("sk-");
    looks_so || has_route(routes, owner) || has_route(routes, literal)
}

fn has_route(routes: &Routes, name: &str) -> bool {
    routes.providers.iter().any(|provider| provider.name == name)
}
