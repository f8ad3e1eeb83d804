//! Which limit lines do a project's quotas ask for? Only what is stated is limited: no total is made up
//! of the models' limits.

use super::project::Scope;
use super::{Scene, note, ours, stated};
use crate::conf::{Directive, Item, Origin};
use crate::manifest::{Project, Quota};

pub(super) fn location(scope: &Scope<'_>, items: &mut Vec<Item>) {
    if !scope.scene.manifest.is_on("llm-ratelimit", true) {
        return;
    }
    let own: Vec<_> = scope
        .organization
        .quotas
        .iter()
        .enumerate()
        .filter(|(_, quota)| applies(quota, scope.project))
        .filter(|(_, quota)| quota.has_limit() || quota.monthly_spend_limit.is_some())
        .collect();
    if own.is_empty() {
        return;
    }
    items.push(note(""));
    items.push(ours("llm_ratelimit", []));
    items.push(ours("llm_ratelimit_key", [scope.scene.names.project]));
    let mut has_base = false;
    for (at, quota) in &own {
        let lines = Lines { scope, quota, at: *at };
        lines.limits(&mut has_base, items);
        lines.cap(items);
    }
    if let Some((at, _)) = own.iter().find(|(_, quota)| quota.has_limit() && quota.is_monitor()) {
        let path = format!("{}.quotas[{at}].enforcement_mode", scope.organization_path);
        items.push(stated("llm_ratelimit_dry_run", ["on"], path));
    }
}

fn applies(quota: &Quota, project: &Project) -> bool {
    match quota.scope_type.as_str() {
        "project" => quota.project_id.as_ref() == Some(&project.project_id),
        "client" => {
            project.clients.iter().any(|client| Some(&client.client_id) == quota.client_id.as_ref())
        }
        _ => true,
    }
}

struct Lines<'a, 'm> {
    scope: &'a Scope<'m>,
    quota: &'m Quota,
    at: usize,
}

impl Lines<'_, '_> {
    fn path(&self, field: &str) -> String {
        format!("{}.quotas[{}].{field}", self.scope.organization_path, self.at)
    }

    /// The variable whose value has the limit.
    fn key(&self) -> String {
        let names = self.scope.scene.names;
        match self.quota.scope_type.as_str() {
            "project" => names.project.to_owned(),
            "client" => format!("${}", client_variable(&self.scope.organization_path, self.at)),
            _ => names.org.to_owned(),
        }
    }

    fn limits(&self, has_base: &mut bool, items: &mut Vec<Item>) {
        let quota = self.quota;
        let of_project = quota.scope_type == "project";
        let models: Vec<Option<&str>> = match &quota.model_allowlist {
            Some(models) => models.iter().map(|model| Some(model.as_str())).collect(),
            None => vec![None],
        };
        let takes_base = of_project && quota.model_allowlist.is_none() && !*has_base;
        for model in models {
            for (kind, short, long, field, limit) in [
                ("requests", "rpm", "requests", "rpm_limit", quota.rpm_limit),
                ("tokens", "tpm", "tokens", "tpm_limit", quota.tpm_limit),
            ] {
                let Some(limit) = limit else { continue };
                let path = self.path(field);
                items.push(match model {
                    Some(model) if of_project => {
                        let name = format!("llm_ratelimit_model_{short}");
                        stated(&name, [model, &limit.to_string()], path)
                    }
                    None if takes_base => {
                        *has_base = true;
                        let name = format!("llm_ratelimit_{long}_per_minute");
                        stated(&name, [limit.to_string()], path)
                    }
                    model => self.rule(kind, &format!("{limit}/1m"), model, path),
                });
            }
            if let Some(limit) = quota.concurrency_limit {
                let path = self.path("concurrency_limit");
                items.push(self.rule("concurrency", &limit.to_string(), model, path));
            }
        }
    }

    fn rule(&self, kind: &str, limit: &str, model: Option<&str>, path: String) -> Item {
        let mut args = vec![self.key(), kind.to_owned(), limit.to_owned()];
        args.extend(model.map(|model| format!("model={model}")));
        stated("llm_ratelimit_rule", args, path)
    }

    fn cap(&self, items: &mut Vec<Item>) {
        let quota = self.quota;
        let (Some(limit), Some(unit)) = (&quota.monthly_spend_limit, &quota.monthly_spend_unit)
        else {
            return;
        };
        let names = self.scope.scene.names;
        let keys = match quota.scope_type.as_str() {
            "project" => vec![names.org.to_owned(), names.project.to_owned()],
            _ => vec![self.key()],
        };
        let mut args = vec![quota.scope_type.clone(), unit.clone()];
        args.extend(keys);
        args.push(limit.0.clone());
        args.extend(quota.is_monitor().then(|| "soft".to_owned()));
        items.push(stated("llm_ratelimit_spend_scope", args, self.path("monthly_spend_limit")));
    }
}

fn client_variable(organization_path: &str, quota: usize) -> String {
    let digits: String = organization_path.chars().filter(char::is_ascii_digit).collect();
    format!("llm_quota_{digits}_{quota}")
}

/// A quota of one client: a variable that is empty for all others, to whom the rule does not apply.
pub(super) fn client_maps(scene: &Scene<'_>) -> Vec<Item> {
    let mut items = Vec::new();
    for (at, organization) in scene.manifest.organizations.iter().enumerate() {
        for (number, quota) in organization.quotas.iter().enumerate() {
            let Some(client) = &quota.client_id else { continue };
            if quota.scope_type != "client" {
                continue;
            }
            let path = format!("organizations[{at}]");
            let variable = format!("${}", client_variable(&path, number));
            let origin = format!("{path}.quotas[{number}].client_id");
            let lines = vec![
                ours("default", [""]),
                Directive::new(client, [client], Origin::Manifest(origin.clone())).into(),
            ];
            let args = [scene.names.client, &variable];
            items.push(Directive::block("map", args, Origin::Manifest(origin), lines).into());
        }
    }
    items
}
