//! What does one project's server look like? A host name, the models it may use, and a location for
//! each path.

use llm_core::auth::client::covers;
use serde_json::Value;

use super::{Clients, KEY_FILE, NONE, Scene, limits, maps, note, ours, stated};
use crate::conf::{Directive, Item, Origin};
use crate::manifest::{ListenOn, Organization, Project, Route, Upstream};

/// A project and all that it belongs to.
pub(super) struct Scope<'m> {
    pub scene: &'m Scene<'m>,
    pub organization: &'m Organization,
    pub project: &'m Project,
    /// The organisation's path.
    pub organization_path: String,
    /// The project's path.
    pub path: String,
}

impl<'m> Scope<'m> {
    pub fn new(scene: &'m Scene<'m>, organization_at: usize, project_at: usize) -> Option<Self> {
        let organization = scene.manifest.organizations.get(organization_at)?;
        let project = organization.projects.get(project_at)?;
        let organization_path = format!("organizations[{organization_at}]");
        let path = format!("{organization_path}.projects[{project_at}]");
        Some(Self { scene, organization, project, organization_path, path })
    }

    pub fn server(&self) -> Item {
        let gateway = &self.scene.manifest.deployment.gateway;
        let mut items = Vec::new();
        match &gateway.listen {
            None => items.push(ours("listen", ["80"])),
            Some(listen) => {
                for on in listen.as_slice() {
                    let text = match on {
                        ListenOn::Port(port) => port.to_string(),
                        ListenOn::Address(address) => address.clone(),
                    };
                    let path = "deployment.gateway.listen";
                    items.push(stated("listen", text.split(' '), path));
                }
            }
        }
        items.push(self.server_name());
        if let Some(tls) = &gateway.tls {
            let path = "deployment.gateway.tls.certificate";
            items.push(stated("ssl_certificate", [&tls.certificate], path));
            let path = "deployment.gateway.tls.certificate_key";
            items.push(stated("ssl_certificate_key", [&tls.certificate_key], path));
        }
        let routes = gateway.routes.iter().enumerate().filter(|(_, route)| self.has(route));
        let locations: Vec<Item> = match self.closed() {
            Some(origin) => vec![self.refusal(origin)],
            None => {
                self.server_lines(&mut items);
                let mut locations: Vec<_> =
                    routes.map(|(at, route)| self.location(at, route)).collect();
                locations.extend(self.models_location());
                locations
            }
        };
        items.extend(locations);
        let origin = Origin::Manifest(self.path.clone());
        let server = Directive::block("server", NONE, origin, items).into();
        let (org, slug) = (&self.organization.organization_slug, &self.project.project_slug);
        let title = note(format!("Project \"{slug}\" of \"{org}\"."));
        Item::Part { name: format!("project-{slug}.conf"), items: vec![note(""), title, server] }
    }

    fn server_name(&self) -> Item {
        let gateway = &self.scene.manifest.deployment.gateway;
        match &self.project.hostname {
            Some(name) => stated("server_name", [name], format!("{}.hostname", self.path)),
            None => {
                let domain = gateway.domain.as_deref().unwrap_or("gateway.internal");
                let name = format!("{}.{domain}", self.project.project_slug);
                stated("server_name", [name], format!("{}.project_slug", self.path))
            }
        }
    }

    fn has(&self, route: &Route) -> bool {
        let slug = &self.project.project_slug;
        route.projects.as_ref().is_none_or(|projects| projects.contains(slug))
    }

    /// The field that closes the project.
    fn closed(&self) -> Option<String> {
        let closed =
            |status: &Option<String>| status.as_deref().is_some_and(|status| status != "active");
        if closed(&self.organization.status) {
            return Some(format!("{}.status", self.organization_path));
        }
        closed(&self.project.status).then(|| format!("{}.status", self.path))
    }

    fn refusal(&self, origin: String) -> Item {
        let items = vec![stated("return", ["403"], origin)];
        Directive::block("location", ["/"], Origin::Ours, items).into()
    }

    /// What holds for all locations: the clients, and the catalog that the project may use.
    fn server_lines(&self, items: &mut Vec<Item>) {
        if let Clients::Keys(file) = &self.scene.options.clients {
            let (org, slug) = (&self.organization.organization_slug, &self.project.project_slug);
            let given = self.scene.manifest.deployment.gateway.client_keys.as_ref();
            items.push(note(""));
            items.push(match (file, given) {
                (Some(file), _) => ours("llm_auth_client_keys", [file]),
                (None, Some(file)) => {
                    stated("llm_auth_client_keys", [file], "deployment.gateway.client_keys")
                }
                (None, None) => ours("llm_auth_client_keys", [KEY_FILE]),
            });
            let args = [format!("org={org}"), format!("project={slug}")];
            let path = format!("{}.project_slug", self.path);
            items.push(stated("llm_auth_client_scope", args, path));
        }
        let catalog = self.catalog();
        if !catalog.is_empty() {
            items.push(note(""));
            items.push(note("The catalog. Any other model is a 404."));
            items.extend(catalog);
        }
    }

    fn allows(&self, model: &str) -> bool {
        let own = self.project.models.as_ref();
        let policies = self.organization.quotas.iter().filter(|quota| {
            !quota.has_limit()
                && quota.monthly_spend_limit.is_none()
                && (quota.scope_type == "organization"
                    || quota.project_id.as_ref() == Some(&self.project.project_id))
        });
        own.into_iter()
            .chain(policies.filter_map(|quota| quota.model_allowlist.as_ref()))
            .all(|list| list.iter().any(|pattern| covers(pattern, model)))
    }

    /// The lines for the models of the providers that a route of this project leads to.
    fn catalog(&self) -> Vec<Item> {
        let routed = self.providers();
        let lines = self.scene.manifest.catalog();
        let mut items: Vec<_> = lines
            .iter()
            .filter(|(_, model, provider)| self.allows(model) && routed.contains(provider))
            .map(|(path, model, provider)| {
                stated("llm_proxy_model_pattern", [*model, *provider], path)
            })
            .collect();
        let models = self.scene.manifest.deployment.gateway.models.iter().flatten().enumerate();
        for (at, model) in models {
            if let Some(alias) = &model.alias
                && self.allows(&model.model)
                && routed.contains(&model.provider.as_str())
            {
                let args = [alias.clone(), format!("{}/{}", model.provider, model.model)];
                let path = format!("deployment.gateway.models[{at}].alias");
                items.push(stated("llm_proxy_model_alias", args, path));
            }
        }
        items
    }

    fn routes(&self) -> impl Iterator<Item = &'m Route> {
        let routes = &self.scene.manifest.deployment.gateway.routes;
        routes.iter().filter(|route| self.has(route))
    }

    fn providers(&self) -> Vec<&'m str> {
        self.routes()
            .flat_map(|route| {
                let others = route.secondary_providers.iter().map(|other| other.provider.as_str());
                std::iter::once(route.provider.as_str()).chain(others)
            })
            .collect()
    }

    /// The models in OpenAI's shape. They need the routes, of which the first path's are taken: the
    /// list has the names only.
    fn models_location(&self) -> Option<Item> {
        if self.catalog().is_empty() {
            return None;
        }
        let mut items = vec![ours("llm_proxy_models", [])];
        let mut named: Vec<String> = Vec::new();
        for (at, route) in self.scene.manifest.deployment.gateway.routes.iter().enumerate() {
            if !self.has(route) {
                continue;
            }
            for item in self.provider_lines(at, route) {
                if let Item::Directive(line) = item
                    && let Some(name) = line.args.first()
                    && !named.contains(name)
                {
                    named.push(name.clone());
                    items.push(line.into());
                }
            }
        }
        if self.routes().any(|route| route.location == "= /v1/models") {
            return None;
        }
        Some(Directive::block("location", ["=", "/v1/models"], Origin::Ours, items).into())
    }

    fn location(&self, at: usize, route: &Route) -> Item {
        let path = format!("deployment.gateway.routes[{at}]");
        let manifest = self.scene.manifest;
        let mut items = Vec::new();
        if matches!(self.scene.options.clients, Clients::Maps(_)) {
            items.extend(maps::location(self));
            items.push(note(""));
        }
        items.push(ours("llm_proxy", []));
        items.extend(self.provider_lines(at, route));
        let origin = format!("{path}.provider");
        items.push(stated("llm_proxy_default_provider", [&route.provider], origin));
        if let Some(dialect) = &route.ingress_dialect {
            let origin = format!("{path}.ingress_dialect");
            items.push(stated("llm_proxy_dialect_mode", ["fixed"], origin.clone()));
            items.push(stated("llm_proxy_ingress_dialect", [dialect], origin));
        }
        if manifest.is_on("llm-auth", true) {
            items.push(note(""));
            self.auth(route, &path, &mut items);
        }
        if route.fallback.is_some() && manifest.is_on("llm-fallback", true) {
            items.push(note(""));
            fallback(route, &path, &mut items);
        }
        limits::location(self, &mut items);
        self.accounts(&mut items);
        if !route.options.is_empty() {
            items.push(note(""));
            options(route, &path, &mut items);
        }
        items.push(note(""));
        items.push(ours("proxy_pass", ["https://$llm_provider_upstream"]));
        let words: Vec<_> = route.location.split(' ').collect();
        let origin = Origin::Manifest(format!("{path}.location"));
        Directive::block("location", words, origin, items).into()
    }

    fn provider_lines(&self, at: usize, route: &Route) -> Vec<Item> {
        let path = format!("deployment.gateway.routes[{at}]");
        let first = self.provider_line(
            &route.provider,
            &route.upstream,
            route.dialect.as_deref(),
            format!("{path}.provider"),
        );
        let others = route.secondary_providers.iter().enumerate().map(|(other, secondary)| {
            let path = format!("{path}.secondary_providers[{other}]");
            let dialect = secondary.dialect.as_deref();
            self.provider_line(&secondary.provider, &secondary.upstream, dialect, path)
        });
        std::iter::once(first).chain(others).collect()
    }

    fn provider_line(
        &self,
        provider: &str,
        upstream: &str,
        dialect: Option<&str>,
        path: String,
    ) -> Item {
        let upstreams = &self.scene.manifest.deployment.gateway.upstreams;
        let mut args = vec![provider.to_owned(), upstream.to_owned()];
        args.extend(dialect.map(str::to_owned));
        if let Some(found) = upstreams.iter().find(|found| found.name == upstream) {
            args.extend(route_options(found));
        }
        stated("llm_proxy_route", args, path)
    }

    fn auth(&self, route: &Route, path: &str, items: &mut Vec<Item>) {
        let names = self.scene.names;
        let routed = |provider: &str| {
            let mut others = route.secondary_providers.iter();
            route.provider == provider || others.any(|other| other.provider == provider)
        };
        items.push(ours("llm_auth", []));
        let credentials = &self.scene.manifest.deployment.gateway.credentials;
        let (mut is_shared, mut is_owned) = (false, false);
        for (at, credential) in credentials.iter().enumerate() {
            if !routed(&credential.provider) {
                continue;
            }
            let origin = format!("deployment.gateway.credentials[{at}]");
            let (name, owner) = match (&credential.project, &credential.organization) {
                (Some(project), _) => ("llm_auth_project_credential", Some(project)),
                (None, Some(org)) => ("llm_auth_org_credential", Some(org)),
                (None, None) => ("llm_auth_credential", None),
            };
            is_shared |= owner.is_none();
            is_owned |= owner.is_some();
            let mut args: Vec<String> = owner.cloned().into_iter().collect();
            args.extend([credential.provider.clone(), credential.api_key.clone()]);
            args.extend(credential.id.as_ref().map(|id| format!("id={id}")));
            args.extend(credential.weight.map(|weight| format!("weight={weight}")));
            items.push(stated(name, args, origin));
        }
        if is_shared && is_owned {
            // Who has no credential of its own uses those that are nobody's.
            items.push(ours("llm_auth_tenant_fallback_shared", ["on"]));
        }
        items.push(ours("llm_auth_org", [names.org]));
        items.push(ours("llm_auth_project", [names.project]));
        if let Some(closed) = route.auth_fail_closed {
            let origin = format!("{path}.auth_fail_closed");
            items.push(stated("llm_auth_fail_closed", [switch(closed)], origin));
        }
    }

    /// What is counted and written down.
    fn accounts(&self, items: &mut Vec<Item>) {
        let manifest = self.scene.manifest;
        let names = self.scene.names;
        if let Some((at, _)) = manifest.cost() {
            items.push(note(""));
            items.push(stated("llm_cost", NONE, format!("deployment.enabled_features[{at}]")));
            items.push(ours("llm_cost_identity", [names.key]));
            items.push(ours("llm_cost_org", [names.org]));
            items.push(ours("llm_cost_project", [names.project]));
            items.push(ours("llm_cost_client", [names.client]));
            items.push(ours("llm_cost_auth_fingerprint", ["$llm_auth_key_fingerprint"]));
        }
        if manifest.is_on("llm-metrics", true) {
            items.push(note(""));
            items.push(ours("llm_metrics", []));
        }
    }
}

fn route_options(upstream: &Upstream) -> Vec<String> {
    let mut options = Vec::new();
    for (name, value) in
        [("host", &upstream.host), ("base", &upstream.base), ("ssl_name", &upstream.ssl_name)]
    {
        options.extend(value.as_ref().map(|value| format!("{name}={value}")));
    }
    for (name, value) in [("ssl", upstream.ssl), ("ssl_verify", upstream.ssl_verify)] {
        options.extend(value.map(|on| format!("{name}={}", switch(on))));
    }
    options
}

fn fallback(route: &Route, path: &str, items: &mut Vec<Item>) {
    let Some(fallback) = &route.fallback else { return };
    let path = format!("{path}.fallback");
    items.push(stated("llm_fallback", NONE, path.clone()));
    if let Some(mode) = &fallback.mode {
        items.push(stated("llm_fallback_mode", [mode], format!("{path}.mode")));
    }
    for (at, edge) in fallback.route.edges() {
        items.push(stated("llm_fallback_route", edge, format!("{path}.route{at}")));
    }
    if let Some(on) = &fallback.on {
        items.push(stated("llm_fallback_on", on, format!("{path}.on")));
    }
    if let Some(max) = fallback.max_attempts {
        let origin = format!("{path}.max_attempts");
        items.push(stated("llm_fallback_max_attempts", [max.to_string()], origin));
    }
    if let Some(allowed) = fallback.allow_streaming {
        let origin = format!("{path}.allow_streaming");
        items.push(stated("llm_fallback_allow_streaming", [switch(allowed)], origin));
    }
}

/// Directives by name: a value is one line, a list is several.
fn options(route: &Route, path: &str, items: &mut Vec<Item>) {
    for (name, value) in &route.options {
        let origin = format!("{path}.options.{name}");
        let lines = match value {
            Value::Array(lines) => lines.as_slice(),
            one => std::slice::from_ref(one),
        };
        for line in lines {
            let text = match line {
                Value::Bool(on) => switch(*on).to_owned(),
                Value::String(text) => text.clone(),
                other => other.to_string(),
            };
            items.push(stated(name, text.split_ascii_whitespace(), origin.clone()));
        }
    }
}

fn switch(on: bool) -> &'static str {
    if on { "on" } else { "off" }
}
