//! Whose request is it? The client presents a key of ours; a watched file says whose that is. Asked before
//! the body is read, and by variables in any phase.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::rc::Rc;
use std::sync::{Arc, OnceLock};

use arc_swap::ArcSwap;
use llm_core::auth::client::{Client, Table, Verdict};
use llm_core::error::Rejection;

use llm_core::route::Routes;

use crate::ctx::RequestCtx;
use crate::ffi::value::Reading;
use crate::ffi::{Request, unix_time};

/// The keys of one file.
#[derive(Default)]
pub struct ClientKeys {
    name: String,
    path: OnceLock<PathBuf>,
    table: ArcSwap<Table>,
}

/// Whom the keys of a location must belong to.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ClientScope {
    org: Option<String>,
    project: Option<String>,
}

impl ClientKeys {
    /// Those of a file that the configuration names.
    pub fn new(name: &str) -> Arc<Self> {
        Arc::new(Self { name: name.to_owned(), ..Self::default() })
    }

    /// Reads the file while the configuration is read; once for each line that names it.
    pub fn load(&self, reading: &Reading) -> Result<(), String> {
        if self.path.get().is_some() {
            return Ok(());
        }
        let path = self.path.get_or_init(|| reading.path(&self.name));
        self.table.store(Arc::new(read(path)?));
        Ok(())
    }

    /// The file to watch.
    pub fn path(&self) -> Option<&PathBuf> {
        self.path.get()
    }

    /// Reads the file again. What cannot be read leaves the present keys; the error is for the log.
    pub fn reload(&self) -> Result<(), String> {
        if let Some(path) = self.path.get() {
            self.table.store(Arc::new(read(path)?));
        }
        Ok(())
    }
}

fn read(path: &Path) -> Result<Table, String> {
    const OTHERS: u32 = 0o007;
    let shown = path.display();
    let cannot = |error: &dyn std::fmt::Display| {
        format!("cannot use \"{shown}\" of \"llm_auth_client_keys\": {error}")
    };
    let mode = fs::metadata(path).map_err(|error| cannot(&error))?.permissions().mode();
    if mode & OTHERS != 0 {
        let text =
            format!("others than its owner and group may read or write it, run chmod o= {shown}");
        return Err(cannot(&text));
    }
    let bytes = fs::read(path).map_err(|error| cannot(&error))?;
    Table::parse(&bytes).map_err(|error| cannot(&error))
}

impl ClientScope {
    /// What `[org=<id>] [project=<id>]` says.
    pub fn parse(args: &[&str]) -> Result<Self, String> {
        const DIRECTIVE: &str = "llm_auth_client_scope";
        let mut scope = Self::default();
        for arg in args {
            let (field, value) = match arg.split_once('=') {
                Some(("org", value)) => (&mut scope.org, value),
                Some(("project", value)) => (&mut scope.project, value),
                _ => {
                    return Err(format!(
                        "invalid parameter \"{arg}\" in \"{DIRECTIVE}\", it must be org= or project="
                    ));
                }
            };
            if value.is_empty() || field.replace(value.to_owned()).is_some() {
                return Err(format!(
                    "invalid parameter \"{arg}\" in \"{DIRECTIVE}\", give each once and a value"
                ));
            }
        }
        Ok(scope)
    }
}

/// What the client presents: as OpenAI's and Anthropic's clients do, and as Azure's.
fn presented<'r>(r: Request<'r>) -> Option<&'r [u8]> {
    const BEARER: &[u8] = b"bearer ";
    let bearer = r.header("authorization").and_then(|value| {
        let (scheme, key) = value.split_at_checked(BEARER.len())?;
        scheme.eq_ignore_ascii_case(BEARER).then(|| key.trim_ascii())
    });
    let found = bearer.or_else(|| r.header("x-api-key")).or_else(|| r.header("api-key"));
    found.filter(|key| !key.is_empty())
}

/// What was found out of a request's client; it holds to the request's end.
pub struct Known {
    status: &'static str,
    client: Option<Client>,
}

/// Whether the client may come in at all; `Ok` where nobody is asked for a key.
pub fn check(r: Request<'_>, ctx: &RequestCtx) -> Result<(), Rejection> {
    let auth = &r.loc_conf().auth;
    let Some(keys) = auth.client_keys() else { return Ok(()) };
    let Some(presented) = presented(r) else { return Err(Rejection::client_key_missing()) };
    let table = keys.table.load();
    let verdict = table.lookup(presented, unix_time());
    let known = Known { status: verdict.name(), client: verdict.client().cloned() };
    ctx.client.replace(Some(Rc::new(known)));
    let Verdict::Active(client) = verdict else {
        return Err(Rejection::client_key_refused(verdict));
    };
    let fits = |scope: &ClientScope| client.is_of(scope.org.as_deref(), scope.project.as_deref());
    if auth.client_scope().is_none_or(fits) {
        Ok(())
    } else {
        Err(Rejection::client_key_out_of_scope())
    }
}

/// Whether the client's key is for the model that the client names, with or without its provider.
pub fn may_use(ctx: &RequestCtx, routes: &Routes, model: &str) -> Result<(), Rejection> {
    let Some(known) = ctx.client.borrow().clone() else { return Ok(()) };
    let Some(client) = &known.client else { return Ok(()) };
    let bare =
        model.split_once('/').filter(|(provider, _)| routes.provider_index(provider).is_some());
    let allowed = client.may_use(model) || bare.is_some_and(|(_, model)| client.may_use(model));
    if allowed { Ok(()) } else { Err(Rejection::model_not_allowed(model)) }
}

/// `$llm_client_status`
pub fn status(r: Request<'_>) -> Option<String> {
    r.loc_conf().auth.client_keys()?;
    Some(with(r, |status, _| status.to_owned()).unwrap_or_else(|| "missing".to_owned()))
}

/// Something of the client whose key was presented.
pub fn of_client(r: Request<'_>, get: impl FnOnce(&Client) -> Option<&str>) -> Option<String> {
    with(r, |_, client| Some(get(client?)?.to_owned()))?
}

/// Asks what is known; before our phase, which notes it, the key is looked up anew.
fn with<R>(r: Request<'_>, ask: impl FnOnce(&'static str, Option<&Client>) -> R) -> Option<R> {
    if let Some(known) = r.ctx().and_then(|ctx| ctx.client.borrow().clone()) {
        return Some(ask(known.status, known.client.as_ref()));
    }
    let keys = r.loc_conf().auth.client_keys()?;
    let presented = presented(r)?;
    let table = keys.table.load();
    let verdict = table.lookup(presented, unix_time());
    Some(ask(verdict.name(), verdict.client()))
}
