//! `llmctl key`: the clients' credentials. A secret is shown once, when it is made; the file holds
//! salted hashes only.

mod args;
mod import;
mod list;

use std::io::Write;
use std::path::Path;
use std::sync::Arc;

use llm_core::auth::client::{Client, Models, State};

pub use args::{Args, Issue};

use super::{Done, Failure};
use crate::keyfile::{KeyFile, new_secret};
use crate::manifest;
use crate::time;
use args::Action;

/// Runs the command.
pub fn run(args: &Args, out: &mut dyn Write) -> Result<Done, Failure> {
    match &args.action {
        Action::Issue(issue) => self::issue(issue, out),
        Action::List(list) => list::run(list, out),
        Action::Import(import) => import::run(import, out),
        Action::Suspend(one) => state(&one.file, &one.id, State::Suspended, out),
        Action::Resume(one) => state(&one.file, &one.id, State::Active, out),
        Action::Revoke(one) => state(&one.file, &one.id, State::Revoked, out),
        Action::Rotate(rotate) => self::rotate(rotate, out),
        Action::Expire(expire) => self::expire(expire, out),
    }
}

fn issue(issue: &Issue, out: &mut dyn Write) -> Result<Done, Failure> {
    check_id(&issue.id)?;
    let now_s = time::now_s();
    let (secret, digest) = new_secret()?;
    let blank = Client::new(&issue.id, digest);
    let mut client = match &issue.manifest {
        Some(path) => of_manifest(path, blank)?,
        None => blank,
    };
    let take = |own: &mut Option<Arc<str>>, given: &Option<String>| {
        if let Some(given) = given {
            *own = Some(given.as_str().into());
        }
    };
    take(&mut client.org, &issue.org);
    take(&mut client.project, &issue.project);
    take(&mut client.client, &issue.client);
    take(&mut client.tier, &issue.tier);
    for (name, value) in
        [("--org", &client.org), ("--project", &client.project), ("--client", &client.client)]
    {
        if value.as_deref().is_none_or(str::is_empty) {
            return Err(Failure::new(format!(
                "a key needs {name}, or --manifest that has the key"
            )));
        }
    }
    if let Some(models) = &issue.models {
        let models = Models::new(models.iter().map(String::as_str));
        let models = models.ok_or_else(|| Failure::new("--models has an empty name"))?;
        client.models = Some(Arc::new(models));
    }
    if let Some(expires) = &issue.expires {
        let expires_s = time::parse(expires, now_s)?;
        if expires_s <= now_s {
            return Err(Failure::new(format!("--expires {expires} is in the past")));
        }
        client.expires_s = Some(expires_s);
    }
    client.created_s = Some(now_s);
    let mut file = KeyFile::open_or_new(&issue.file)?;
    if !file.table.push(client) {
        return Err(Failure::new(format!(
            "key \"{0}\" exists, give it a new secret with: llmctl key rotate --file {1} {0}",
            issue.id,
            issue.file.display()
        )));
    }
    file.save()?;
    writeln!(out, "{}.{secret}", issue.id)?;
    super::hint("this is shown once and stored nowhere; keep it now");
    Ok(Done::Well)
}

/// What a credential may look like before its dot.
fn check_id(id: &str) -> Result<(), Failure> {
    let fits = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.:@".contains(&byte);
    let first = id.bytes().next().is_some_and(|byte| byte.is_ascii_alphanumeric());
    if first && id.len() <= 128 && id != "end" && id.bytes().all(fits) {
        return Ok(());
    }
    Err(Failure::new(format!(
        "invalid key id \"{}\", use letters, digits, \"-\", \"_\", \".\", \":\" and \"@\"",
        id.escape_debug()
    )))
}

/// What a manifest says about a key.
fn of_manifest(path: &Path, mut client: Client) -> Result<Client, Failure> {
    let loaded = manifest::load(path)?;
    let found = loaded.manifest.as_ref().ok_or_else(|| {
        Failure::new(format!("manifest \"{}\" has errors, see: llmctl check", path.display()))
    })?;
    for organization in &found.organizations {
        for project in &organization.projects {
            for owner in &project.clients {
                let Some(key) = owner.api_keys.iter().find(|key| *key.key_id == *client.key_id)
                else {
                    continue;
                };
                client.org = Some(organization.organization_slug.as_str().into());
                client.project = Some(project.project_slug.as_str().into());
                client.client = Some(owner.client_id.as_str().into());
                client.tier = key.tier.as_deref().map(Into::into);
                client.models = key
                    .models
                    .as_ref()
                    .and_then(|models| Models::new(models.iter().map(String::as_str)))
                    .map(Arc::new);
                let closed = owner.status.as_deref().is_some_and(|status| status != "active");
                client.state = match key.status.as_deref().and_then(State::parse) {
                    Some(State::Active) | None if closed => State::Suspended,
                    state => state.unwrap_or(State::Active),
                };
                return Ok(client);
            }
        }
    }
    Err(Failure::new(format!("manifest \"{}\" has no key \"{}\"", path.display(), client.key_id)))
}

fn change(
    file: &Path,
    id: &str,
    change: impl FnOnce(&mut Client) -> Result<(), Failure>,
) -> Result<(), Failure> {
    let mut keys = KeyFile::open(file)?;
    let client = keys.table.client_mut(id).ok_or_else(|| unknown(file, id))?;
    change(client)?;
    keys.save()?;
    Ok(())
}

fn unknown(file: &Path, id: &str) -> Failure {
    Failure::new(format!("key file \"{}\" has no key \"{id}\"", file.display()))
}

fn state(file: &Path, id: &str, state: State, out: &mut dyn Write) -> Result<Done, Failure> {
    change(file, id, |client| {
        if client.state == State::Revoked && state != State::Revoked {
            return Err(Failure::new(format!(
                "key \"{id}\" is revoked, which is for ever; issue a new one"
            )));
        }
        client.state = state;
        Ok(())
    })?;
    writeln!(out, "key \"{id}\" is {}", state.name())?;
    Ok(Done::Well)
}

fn rotate(rotate: &args::Rotate, out: &mut dyn Write) -> Result<Done, Failure> {
    let now_s = time::now_s();
    let until_s = time::parse(&rotate.overlap, now_s)?;
    let (secret, digest) = new_secret()?;
    change(&rotate.one.file, &rotate.one.id, |client| {
        if client.state == State::Revoked {
            return Err(Failure::new(format!("key \"{}\" is revoked", rotate.one.id)));
        }
        let old = std::mem::replace(&mut client.digest, digest);
        client.old = (until_s > now_s).then_some((old, until_s));
        client.created_s = Some(now_s);
        Ok(())
    })?;
    writeln!(out, "{}.{secret}", rotate.one.id)?;
    super::hint(&match until_s > now_s {
        true => {
            format!("this is shown once; the secret before works until {}", time::told(until_s))
        }
        false => "this is shown once; the secret before does not work any more".to_owned(),
    });
    Ok(Done::Well)
}

fn expire(expire: &args::Expire, out: &mut dyn Write) -> Result<Done, Failure> {
    let id = &expire.one.id;
    let at_s = match expire.at.as_str() {
        "never" => None,
        text => Some(time::parse(text, time::now_s())?),
    };
    change(&expire.one.file, id, |client| {
        client.expires_s = at_s;
        Ok(())
    })?;
    match at_s {
        Some(at_s) => writeln!(out, "key \"{id}\" ends at {}", time::told(at_s))?,
        None => writeln!(out, "key \"{id}\" does not end")?,
    }
    Ok(Done::Well)
}
