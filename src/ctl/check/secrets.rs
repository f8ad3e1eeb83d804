//! Is there a key for every target, is each secret where it is said to be, and can certificates be
//! checked? No message shows a secret.

use std::path::Path;

use llm_core::auth::client::Table;
use llm_core::auth::{CredentialLine, Credentials, Policy, SecretSource};

use super::{Subject, World};
use crate::conf::Directive;
use crate::finding::Report;
use crate::keyfile;

const LINES: [&str; 4] = [
    "llm_auth_credential",
    "llm_auth_tenant_credential",
    "llm_auth_project_credential",
    "llm_auth_org_credential",
];

pub(super) fn check(subject: &Subject<'_>, world: &World<'_>, report: &mut Report) {
    check_bundle(subject, world, report);
    check_client_keys(subject, world, report);
    check_dsn(subject, world, report);
    let location = &subject.location;
    if location.switch("llm_auth") != Some(true) {
        return;
    }
    let fail_closed = location.switch("llm_auth_fail_closed") != Some(false);
    let mut credentials = Credentials::default();
    for name in LINES {
        for line in location.lines(name) {
            let parsed = CredentialLine::parse(name, &line.words());
            let pushed = parsed.and_then(|parsed| {
                check_source(&parsed.source, fail_closed, line, world, report);
                credentials.push(parsed)
            });
            if let Err(text) = pushed {
                report.error("credential", world.at(line), text);
            }
        }
    }
    let policy = Policy {
        fail_closed,
        has_tenant: location.value("llm_auth_tenant").is_some(),
        has_project: location.value("llm_auth_project").is_some(),
        has_org: location.value("llm_auth_org").is_some(),
        provider: location.value("llm_auth_provider"),
        // A line of an enclosing block may be for another location.
        inherited: &["shared", "tenant", "project", "org"],
    };
    let found = credentials.check(&subject.routes, &policy);
    let place = || world.at(location.block);
    found.errors.into_iter().for_each(|text| report.error("credential", place(), text));
    found.warnings.into_iter().for_each(|text| report.warning("credential", place(), text));
}

fn check_source(
    source: &SecretSource,
    fail_closed: bool,
    line: &Directive,
    world: &World<'_>,
    report: &mut Report,
) {
    match source {
        SecretSource::Env(name) if !(world.has_env)(name) => report.warning(
            "missing_secret",
            world.at(line),
            format!(
                "environment variable \"{name}\" is not set here; nginx needs it when it starts"
            ),
        ),
        SecretSource::File(path) => {
            if let Err(why) = std::fs::File::open(world.folder.join(path)) {
                let text = format!("secret file \"{path}\" cannot be read: {why}");
                if fail_closed {
                    report.error("missing_secret", world.at(line), text);
                } else {
                    report.warning("missing_secret", world.at(line), text);
                }
            }
        }
        SecretSource::Literal(_) => report.warning(
            "plaintext_secret",
            world.at(line),
            "the secret stands in the configuration, use env:NAME or file:PATH",
        ),
        SecretSource::Env(_) => {}
    }
}

fn check_dsn(subject: &Subject<'_>, world: &World<'_>, report: &mut Report) {
    let location = &subject.location;
    let line = location.lines("llm_cost_dsn").last();
    let postgres = location
        .lines("llm_cost_backend")
        .last()
        .filter(|line| line.args.iter().any(|word| word == "postgres"));
    match (line, postgres) {
        (None, Some(backend)) => {
            let text = "backend postgres needs llm_cost_dsn, add it as env:NAME or file:PATH";
            report.error("missing_secret", world.at(backend), text);
        }
        (Some(line), _) => {
            let dsn = line.args.first().map_or("", String::as_str);
            if let Some(name) = dsn.strip_prefix("env:") {
                if !(world.has_env)(name) {
                    let text = format!("environment variable \"{name}\" is not set here");
                    report.warning("missing_secret", world.at(line), text);
                }
            } else if !dsn.starts_with("file:") && dsn.contains("password") {
                let text = "the database's password stands in the configuration, use env: or file:";
                report.warning("plaintext_secret", world.at(line), text);
            }
        }
        (None, None) => {}
    }
}

fn check_client_keys(subject: &Subject<'_>, world: &World<'_>, report: &mut Report) {
    let Some(line) = subject.location.lines("llm_auth_client_keys").last() else { return };
    let file = line.args.first().map_or("", String::as_str);
    let path = world.folder.join(file);
    if !path.exists() {
        let text = format!(
            "key file \"{file}\" does not exist, issue a first key with llmctl key issue --file {file}"
        );
        report.warning("missing_key_file", world.at(line), text);
        return;
    }
    if let Err(text) = keyfile::check_permissions(&path) {
        report.error("key_file", world.at(line), text);
    }
    match std::fs::read(&path).map_err(|why| why.to_string()) {
        Err(why) => report.error("key_file", world.at(line), format!("\"{file}\": {why}")),
        Ok(bytes) => {
            if let Err(why) = Table::parse(&bytes) {
                report.error("key_file", world.at(line), format!("\"{file}\" {why}"));
            }
        }
    }
}

fn check_bundle(subject: &Subject<'_>, world: &World<'_>, report: &mut Report) {
    let location = &subject.location;
    let line = location.lines("proxy_ssl_trusted_certificate").last();
    let mut providers = subject.routes.providers.iter();
    if !providers.any(|provider| provider.ssl_verify && provider.ssl != Some(false)) {
        return;
    }
    match line {
        Some(line) => {
            let file = line.args.first().map_or("", String::as_str);
            if !world.folder.join(Path::new(file)).is_file() {
                let text = format!("certificate bundle \"{file}\" does not exist");
                report.error("missing_bundle", world.at(line), text);
            }
        }
        None if !world.has_bundle => {
            let text = "this machine has no bundle of certificates, so no provider can be checked; \
                        install ca-certificates or set proxy_ssl_trusted_certificate";
            report.warning("missing_bundle", world.at(location.block), text);
        }
        None => {}
    }
}
