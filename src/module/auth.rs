//! Which credential goes to a provider in place of the client's? `attempt` asks for every target.
//! Secrets come from the environment, from files, which are read again when they change, or from
//! the configuration; no log, variable or header ever holds one.

use std::path::PathBuf;
use std::rc::Rc;
use std::sync::Arc;

use arc_swap::ArcSwap;
use llm_core::auth::{
    CredentialLine, Credentials, Key, Missing, Policy, RESOLVED, Scope, Scopes, Secret,
    SecretSource, SharedFallback, Store,
};
use llm_core::route::Routes;
use llm_core::scrub::Mask;

use crate::client::{ClientKeys, ClientScope};
use crate::conf::{Command, LocConf};
use crate::ctx::RequestCtx;
use crate::ffi::Request;
use crate::ffi::value::{ComplexValue, Reading};
use crate::setting::{command, inherit, once, put, switch, text};

/// Keys the fingerprints; it must not change, or quotas by fingerprint start afresh.
const FINGERPRINT_SALT: &[u8] = b"ngx-llm credential fingerprint 1";

/// What was written at one level; `None` is "not written here".
#[derive(Default)]
pub struct Conf {
    on: Option<bool>,
    /// The lines of each of the four credential directives: each list is inherited by itself.
    shared: Option<Vec<CredentialLine>>,
    of_tenants: Option<Vec<CredentialLine>>,
    of_projects: Option<Vec<CredentialLine>>,
    of_orgs: Option<Vec<CredentialLine>>,
    /// Scopes whose lines stand in an enclosing block.
    inherited: Vec<&'static str>,
    tenant: Option<String>,
    project: Option<String>,
    org: Option<String>,
    provider: Option<String>,
    fallback_shared: Option<bool>,
    fail_closed: Option<bool>,
    /// The inner `None` is `off`.
    client_keys: Option<Option<Arc<ClientKeys>>>,
    client_scope: Option<ClientScope>,
}

impl Conf {
    /// Takes over what the enclosing level says and this one does not.
    pub fn inherit(&mut self, outer: &Self) {
        inherit(&mut self.on, &outer.on);
        for (scope, own, outer) in [
            ("shared", &mut self.shared, &outer.shared),
            ("tenant", &mut self.of_tenants, &outer.of_tenants),
            ("project", &mut self.of_projects, &outer.of_projects),
            ("org", &mut self.of_orgs, &outer.of_orgs),
        ] {
            if own.is_none() && outer.is_some() {
                own.clone_from(outer);
                self.inherited.push(scope);
            }
        }
        inherit(&mut self.tenant, &outer.tenant);
        inherit(&mut self.project, &outer.project);
        inherit(&mut self.org, &outer.org);
        inherit(&mut self.provider, &outer.provider);
        inherit(&mut self.fallback_shared, &outer.fallback_shared);
        inherit(&mut self.fail_closed, &outer.fail_closed);
        inherit(&mut self.client_keys, &outer.client_keys);
        inherit(&mut self.client_scope, &outer.client_scope);
    }

    /// The keys that clients are asked for.
    pub fn client_keys(&self) -> Option<&Arc<ClientKeys>> {
        self.client_keys.as_ref()?.as_ref()
    }

    /// Whose they must be.
    pub fn client_scope(&self) -> Option<&ClientScope> {
        self.client_scope.as_ref()
    }

    /// `llm_auth`
    pub fn is_on(&self) -> bool {
        self.on.unwrap_or(false)
    }

    /// The keys that the lines mean, read and checked.
    pub fn compile(&self, routes: &Routes, reading: &Reading) -> Result<Option<Keyring>, String> {
        if let Some(keys) = self.client_keys() {
            if !self.is_on() {
                return Err(
                    "\"llm_auth_client_keys\" needs \"llm_auth on\": else the client's key \
                            would be sent to the provider"
                        .to_owned(),
                );
            }
            keys.load(reading)?;
        } else if self.client_scope.is_some() {
            return Err(
                "\"llm_auth_client_scope\" needs \"llm_auth_client_keys\", add it".to_owned()
            );
        }
        if !self.is_on() {
            return Ok(None);
        }
        let mut credentials = Credentials::default();
        let lists = [&self.shared, &self.of_tenants, &self.of_projects, &self.of_orgs];
        for line in lists.into_iter().flatten().flatten() {
            credentials.push(line.clone())?;
        }
        let fail_closed = self.fail_closed.unwrap_or(true);
        let policy = Policy {
            fail_closed,
            has_tenant: self.tenant.is_some(),
            has_project: self.project.is_some(),
            has_org: self.org.is_some(),
            provider: self.provider.as_deref(),
            inherited: &self.inherited,
        };
        let report = credentials.check(routes, &policy);
        if let Some(error) = report.errors.into_iter().next() {
            return Err(error);
        }
        report.warnings.iter().for_each(|text| reading.warn(text));
        let value = |text: &Option<String>| match text {
            None => Ok(None),
            Some(text) => reading
                .compile(text)
                .map(Some)
                .ok_or_else(|| format!("invalid variable in \"{text}\" of an llm_auth directive")),
        };
        let paths = watched(&credentials, reading);
        let keyring = Keyring {
            tenant: value(&self.tenant)?,
            project: value(&self.project)?,
            org: value(&self.org)?,
            shared: if self.fallback_shared.unwrap_or(false) {
                SharedFallback::On
            } else {
                SharedFallback::Off
            },
            fail_closed,
            safe: Arc::new(Safe { credentials, paths, secrets: ArcSwap::default() }),
        };
        let missing = keyring.safe.read();
        match missing.first() {
            Some(text) if fail_closed => Err(text.clone()),
            _ => {
                missing.iter().for_each(|text| reading.warn(text));
                Ok(Some(keyring))
            }
        }
    }
}

/// A location's keys.
pub struct Keyring {
    tenant: Option<ComplexValue>,
    project: Option<ComplexValue>,
    org: Option<ComplexValue>,
    shared: SharedFallback,
    /// Whether a target without a key is skipped.
    pub fail_closed: bool,
    /// The keys and their secrets, shared with the thread that watches files.
    pub safe: Arc<Safe>,
}

/// Keys and their present secrets.
pub struct Safe {
    /// The keys by number.
    pub credentials: Credentials,
    paths: Vec<(String, PathBuf)>,
    secrets: ArcSwap<Secrets>,
}

/// The secrets at one moment, and what hides them in answers.
#[derive(Default)]
pub struct Secrets {
    /// By key number.
    pub store: Store,
    /// All of them.
    pub mask: Mask,
}

impl Safe {
    /// The present secrets.
    pub fn secrets(&self) -> Arc<Secrets> {
        self.secrets.load_full()
    }

    /// The files to watch.
    pub fn files(&self) -> impl Iterator<Item = &PathBuf> {
        self.paths.iter().map(|(_, path)| path)
    }

    /// Reads all secrets again; what cannot be read keeps its present value. Returns what is
    /// missing, in words without secrets.
    pub fn read(&self) -> Vec<String> {
        let (store, mut missing) =
            self.credentials.resolve(FINGERPRINT_SALT, |source| self.read_one(source));
        let store = store.or(&self.secrets.load().store);
        let mask = Mask::new(store.secrets()).unwrap_or_else(|error| {
            missing.push(error.to_string());
            Mask::default()
        });
        self.secrets.store(Arc::new(Secrets { store, mask }));
        missing
    }

    fn read_one(&self, source: &SecretSource) -> Result<Secret, String> {
        match source {
            SecretSource::Env(name) => {
                let text = std::env::var_os(name)
                    .ok_or_else(|| format!("environment variable \"{name}\" is not set"))?;
                Secret::from_bytes(text.as_encoded_bytes())
                    .map_err(|error| format!("cannot use environment variable \"{name}\": {error}"))
            }
            SecretSource::File(name) => {
                let path = self.paths.iter().find(|(known, _)| known == name);
                let path = path.map_or(PathBuf::from(name), |(_, path)| path.clone());
                let text = std::fs::read(&path)
                    .map_err(|error| format!("cannot read \"{}\": {error}", path.display()))?;
                Secret::from_bytes(&text)
                    .map_err(|error| format!("cannot use \"{}\": {error}", path.display()))
            }
            SecretSource::Literal(secret) => Ok(secret.clone()),
        }
    }
}

fn watched(credentials: &Credentials, reading: &Reading) -> Vec<(String, PathBuf)> {
    let file = |key: &Key| match &key.source {
        SecretSource::File(name) => Some((name.clone(), reading.path(name))),
        _ => None,
    };
    credentials.keys().iter().filter_map(file).collect()
}

/// For whom a request is.
#[derive(Default)]
pub struct Owner {
    /// `llm_auth_tenant`
    pub tenant: Option<String>,
    /// `llm_auth_project`
    pub project: Option<String>,
    /// `llm_auth_org`
    pub org: Option<String>,
}

impl Keyring {
    /// For whom the request is.
    pub fn owner(&self, r: Request<'_>) -> Owner {
        let text = |value: Option<ComplexValue>| Some(value?.evaluate(r)?.into_owned());
        Owner { tenant: text(self.tenant), project: text(self.project), org: text(self.org) }
    }
}

/// A location's keys and the secrets they had when the request came: what a number means does not
/// change under way, and the answer hides the secrets that were sent.
pub struct Keys {
    /// The location's.
    pub keyring: Rc<Keyring>,
    /// The secrets.
    pub secrets: Arc<Secrets>,
}

impl Keys {
    /// Those of a location at this moment.
    pub fn of(keyring: &Rc<Keyring>) -> Self {
        Self { keyring: keyring.clone(), secrets: keyring.safe.secrets() }
    }

    /// The keys to try at a provider, best first.
    pub fn select(
        &self,
        owner: &Owner,
        provider: &str,
        random: u64,
    ) -> Result<Vec<usize>, Missing> {
        let scopes = Scopes {
            tenant: owner.tenant.as_deref(),
            project: owner.project.as_deref(),
            org: owner.org.as_deref(),
        };
        let Keyring { safe, shared, .. } = &*self.keyring;
        safe.credentials.select(provider, &scopes, *shared, random, &self.secrets.store)
    }
}

/// What `$llm_auth_…` say of the current attempt.
#[derive(Default, Clone)]
pub struct KeyState {
    /// The key's number.
    pub key: Option<usize>,
    /// Why there is none.
    pub missing: Option<Missing>,
}

impl KeyState {
    /// `$llm_auth_status`
    pub fn status(&self) -> Option<&'static str> {
        match (self.key, self.missing) {
            (Some(_), _) => Some(RESOLVED),
            (None, Some(missing)) => Some(missing.status()),
            (None, None) => None,
        }
    }
}

/// Asks about the key of the current attempt.
pub fn of_key(
    ctx: &RequestCtx,
    get: impl Fn(&Key, &Secrets, usize) -> Option<String>,
) -> Option<String> {
    let keys = ctx.known_keys()?;
    let number = ctx.key.borrow().key?;
    get(keys.keyring.safe.credentials.key(number)?, &keys.secrets, number)
}

/// The room's directives.
pub const COMMANDS: [Command; 13] = [
    switch!(LLM_AUTH, auth.on),
    command!(LLM_AUTH_CREDENTIAL, |args, conf| add("llm_auth_credential", args, conf)),
    command!(LLM_AUTH_TENANT_CREDENTIAL, |args, conf| {
        add("llm_auth_tenant_credential", args, conf)
    }),
    command!(LLM_AUTH_PROJECT_CREDENTIAL, |args, conf| {
        add("llm_auth_project_credential", args, conf)
    }),
    command!(LLM_AUTH_ORG_CREDENTIAL, |args, conf| add("llm_auth_org_credential", args, conf)),
    command!(LLM_AUTH_TENANT, |args, conf| {
        put("llm_auth_tenant", &mut conf.auth.tenant, args, text(args), "text")
    }),
    command!(LLM_AUTH_PROJECT, |args, conf| {
        put("llm_auth_project", &mut conf.auth.project, args, text(args), "text")
    }),
    command!(LLM_AUTH_ORG, |args, conf| {
        put("llm_auth_org", &mut conf.auth.org, args, text(args), "text")
    }),
    command!(LLM_AUTH_PROVIDER, |args, conf| {
        put("llm_auth_provider", &mut conf.auth.provider, args, text(args), "text")
    }),
    switch!(LLM_AUTH_TENANT_FALLBACK_SHARED, auth.fallback_shared),
    switch!(LLM_AUTH_FAIL_CLOSED, auth.fail_closed),
    command!(LLM_AUTH_CLIENT_KEYS, |args, conf| {
        let keys = match args {
            ["off"] => Some(None),
            [""] => None,
            [name] => Some(Some(ClientKeys::new(name))),
            _ => None,
        };
        put("llm_auth_client_keys", &mut conf.auth.client_keys, args, keys, "a file, or \"off\"")
    }),
    once!(LLM_AUTH_CLIENT_SCOPE, auth.client_scope, |_, args| ClientScope::parse(args)),
];

fn add(directive: &str, args: &[&str], conf: &mut LocConf) -> Result<(), String> {
    let line = CredentialLine::parse(directive, args)?;
    let list = match line.scope {
        Scope::Shared => &mut conf.auth.shared,
        Scope::Tenant(_) => &mut conf.auth.of_tenants,
        Scope::Project(_) => &mut conf.auth.of_projects,
        Scope::Org(_) => &mut conf.auth.of_orgs,
    };
    list.get_or_insert_default().push(line);
    Ok(())
}
