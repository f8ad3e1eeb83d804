//! Do organisations, projects, clients, keys and quotas fit together and to the catalog?

use llm_core::auth::client::covers;

use super::{Parts, Tell, duplicates};
use crate::finding::Severity;
use crate::manifest::{Organization, Project, Quota};

pub(super) fn check(parts: &Parts<'_>, tell: Tell<'_>) {
    check_ids(parts, tell);
    for (at, organization) in parts.manifest.organizations.iter().enumerate() {
        let path = format!("organizations[{at}]");
        let environment = parts.manifest.deployment.environment_id.as_deref();
        if let (Some(own), Some(other)) = (&organization.environment_id, environment)
            && own != other
        {
            tell(
                Severity::Error,
                "contradiction",
                &format!("{path}.environment_id"),
                format!("this is environment \"{own}\" and the deployment is in \"{other}\""),
            );
        }
        for (quota, found) in organization.quotas.iter().enumerate() {
            let path = format!("{path}.quotas[{quota}]");
            check_scope(organization, found, &path, tell);
            check_quota(parts, found, &path, tell);
            check_allowlist(parts, organization, found, (&path, at), tell);
        }
        for (project, found) in organization.projects.iter().enumerate() {
            check_models(parts, found, &format!("{path}.projects[{project}]"), tell);
            check_monitor(organization, found, &path, tell);
        }
    }
    check_references(parts, tell);
}

fn projects<'m>(parts: &Parts<'m>) -> impl Iterator<Item = (String, &'m Project)> {
    parts.manifest.organizations.iter().enumerate().flat_map(|(at, organization)| {
        let projects = organization.projects.iter().enumerate();
        projects.map(move |(project, found)| {
            (format!("organizations[{at}].projects[{project}]"), found)
        })
    })
}

fn check_ids(parts: &Parts<'_>, tell: Tell<'_>) {
    let organizations = || parts.manifest.organizations.iter().enumerate();
    duplicates(
        "organization",
        organizations()
            .map(|(at, o)| (format!("organizations[{at}].organization_id"), &o.organization_id)),
        tell,
    );
    duplicates(
        "organization slug",
        organizations().map(|(at, o)| {
            (format!("organizations[{at}].organization_slug"), &o.organization_slug)
        }),
        tell,
    );
    duplicates(
        "project",
        projects(parts).map(|(path, project)| (format!("{path}.project_id"), &project.project_id)),
        tell,
    );
    // Host names are made of slugs.
    duplicates(
        "project slug",
        projects(parts).map(|(path, p)| (format!("{path}.project_slug"), &p.project_slug)),
        tell,
    );
    duplicates(
        "hostname",
        projects(parts)
            .filter_map(|(path, p)| Some((format!("{path}.hostname"), p.hostname.as_ref()?))),
        tell,
    );
    let clients = || {
        projects(parts).flat_map(|(path, project)| {
            let clients = project.clients.iter().enumerate();
            clients.map(move |(at, client)| (format!("{path}.clients[{at}]"), client))
        })
    };
    duplicates(
        "client",
        clients().map(|(path, client)| (format!("{path}.client_id"), &client.client_id)),
        tell,
    );
    duplicates(
        "key",
        clients().flat_map(|(path, client)| {
            let keys = client.api_keys.iter().enumerate();
            keys.map(move |(at, key)| (format!("{path}.api_keys[{at}].key_id"), &key.key_id))
        }),
        tell,
    );
}

fn check_scope(organization: &Organization, quota: &Quota, path: &str, tell: Tell<'_>) {
    let (field, id) = match quota.scope_type.as_str() {
        "project" => ("project_id", &quota.project_id),
        "client" => ("client_id", &quota.client_id),
        _ => return,
    };
    let Some(id) = id else {
        let text = format!("a quota of a {} needs {field}, add it", quota.scope_type);
        tell(Severity::Error, "missing_scope", path, text);
        return;
    };
    let known = match field {
        "project_id" => organization.projects.iter().any(|project| project.project_id == *id),
        _ => organization
            .projects
            .iter()
            .flat_map(|project| &project.clients)
            .any(|client| client.client_id == *id),
    };
    if !known {
        tell(
            Severity::Error,
            "unknown_scope",
            &format!("{path}.{field}"),
            format!(
                "organization \"{}\" has no {} with the id \"{id}\"",
                organization.organization_slug, quota.scope_type
            ),
        );
    }
}

fn check_quota(parts: &Parts<'_>, quota: &Quota, path: &str, tell: Tell<'_>) {
    let is_cap = quota.monthly_spend_limit.is_some();
    if !is_cap && !quota.has_limit() && quota.model_allowlist.is_none() {
        let text = "this quota limits nothing, add a limit or remove it".to_owned();
        tell(Severity::Warning, "empty_quota", path, text);
    }
    if (is_cap || quota.has_limit()) && !parts.manifest.is_on("llm-ratelimit", true) {
        tell(
            Severity::Warning,
            "contradiction",
            path,
            "the feature llm-ratelimit is not enabled, so nothing is limited; enable it or remove \
             this"
                .to_owned(),
        );
    }
    if is_cap && (parts.manifest.cost().is_none() || !parts.manifest.is_on("llm-cost", false)) {
        tell(
            Severity::Error,
            "contradiction",
            &format!("{path}.monthly_spend_limit"),
            "a cap needs prices, enable llm-cost with rates".to_owned(),
        );
    }
    if is_cap && quota.has_limit() {
        tell(
            Severity::Error,
            "contradiction",
            path,
            "a quota is either a cap on money or a limit, make two of it".to_owned(),
        );
    }
}

/// A list beside a limit says what the limit counts. It may have been meant to say what is allowed.
fn check_allowlist(
    parts: &Parts<'_>,
    organization: &Organization,
    quota: &Quota,
    (path, organization_at): (&str, usize),
    tell: Tell<'_>,
) {
    let Some(list) = &quota.model_allowlist else { return };
    let path = format!("{path}.model_allowlist");
    for (at, model) in list.iter().enumerate() {
        if !parts.catalog.is_empty() && !is_in_catalog(parts, model) {
            let text = format!("model \"{model}\" is not in the catalog, no request has it");
            tell(Severity::Error, "unknown_model", &format!("{path}[{at}]"), text);
        }
    }
    if !quota.has_limit() {
        return;
    }
    let covered = |model: &str| {
        let same_scope = organization.quotas.iter().filter(|other| {
            other.scope_type == quota.scope_type
                && other.project_id == quota.project_id
                && other.client_id == quota.client_id
        });
        let mut lists = same_scope.filter_map(|other| other.model_allowlist.as_ref());
        lists.any(|list| list.iter().any(|pattern| covers(pattern, model)))
    };
    let project = organization
        .projects
        .iter()
        .position(|project| Some(&project.project_id) == quota.project_id.as_ref());
    let stated = project.and_then(|at| organization.projects.get(at)?.models.as_ref());
    let open: Vec<_> = parts
        .catalog
        .iter()
        .filter(|(_, model, _)| !covered(model))
        .filter(|(_, model, _)| {
            stated.is_none_or(|models| models.iter().any(|own| covers(own, model)))
        })
        .map(|(_, model, _)| format!("\"{model}\""))
        .collect();
    // Whoever states a project's models has decided.
    if open.is_empty() || stated.is_some() {
        return;
    }
    let mend = project.map_or(String::new(), |at| {
        format!("; state organizations[{organization_at}].projects[{at}].models to decide it")
    });
    tell(
        Severity::Warning,
        "allowlist_conflict",
        &path,
        format!(
            "the list does not have {}, which the catalog has: its limits are for the listed models \
             only, and the others are served without{mend}",
            open.join(", ")
        ),
    );
}

fn is_in_catalog(parts: &Parts<'_>, model: &str) -> bool {
    parts.catalog.iter().any(|(_, own, _)| covers(own, model) || covers(model, own))
}

fn check_models(parts: &Parts<'_>, project: &Project, path: &str, tell: Tell<'_>) {
    for (at, model) in project.models.iter().flatten().enumerate() {
        if !is_in_catalog(parts, model) {
            let text = format!("model \"{model}\" is not in the catalog, add it there");
            tell(Severity::Error, "unknown_model", &format!("{path}.models[{at}]"), text);
        }
    }
}

/// The gateway counts without refusing for a whole location, not for one limit.
fn check_monitor(organization: &Organization, project: &Project, path: &str, tell: Tell<'_>) {
    let of_project = |quota: &&Quota| {
        quota.has_limit()
            && (quota.scope_type != "project"
                || quota.project_id.as_ref() == Some(&project.project_id))
    };
    let own = || organization.quotas.iter().enumerate().filter(|(_, quota)| of_project(quota));
    let caps = organization.quotas.iter().any(|quota| quota.monthly_spend_limit.is_some());
    let enforced = caps || own().any(|(_, quota)| !quota.is_monitor());
    if let Some((at, _)) = own().find(|(_, quota)| quota.is_monitor())
        && enforced
    {
        tell(
            Severity::Error,
            "contradiction",
            &format!("{path}.quotas[{at}].enforcement_mode"),
            format!(
                "\"monitor\" is for all limits of project \"{}\" or for none, and others are enforced",
                project.project_slug
            ),
        );
    }
}

fn check_references(parts: &Parts<'_>, tell: Tell<'_>) {
    let has_project = |slug: &str| projects(parts).any(|(_, found)| found.project_slug == slug);
    let gateway = &parts.manifest.deployment.gateway;
    for (at, route) in gateway.routes.iter().enumerate() {
        for (index, slug) in route.projects.iter().flatten().enumerate() {
            if !has_project(slug) {
                let path = format!("deployment.gateway.routes[{at}].projects[{index}]");
                tell(Severity::Error, "unknown_project", &path, format!("no project \"{slug}\""));
            }
        }
    }
    for (at, credential) in gateway.credentials.iter().enumerate() {
        let path = format!("deployment.gateway.credentials[{at}]");
        if let Some(slug) = credential.project.as_deref().filter(|slug| !has_project(slug)) {
            let text = format!("no project \"{slug}\"");
            tell(Severity::Error, "unknown_project", &format!("{path}.project"), text);
        }
        if let Some(slug) = &credential.organization
            && !parts.manifest.organizations.iter().any(|found| found.organization_slug == *slug)
        {
            let text = format!("no organization \"{slug}\"");
            tell(Severity::Error, "unknown_project", &format!("{path}.organization"), text);
        }
        if (credential.project.is_some() || credential.organization.is_some())
            && (credential.id.is_some() || credential.weight.is_some())
        {
            let text = "id and weight are for keys of everybody, remove them".to_owned();
            tell(Severity::Error, "contradiction", &path, text);
        }
    }
    if !parts.manifest.organizations.iter().any(|found| !found.projects.is_empty()) {
        let text = "there is no project, so nothing is served; add one".to_owned();
        tell(Severity::Error, "missing_project", "organizations", text);
    }
}
