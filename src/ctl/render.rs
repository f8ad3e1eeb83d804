//! Which configuration does a manifest ask for? `render`, `check`, `diff` and `publish` ask. Each line
//! knows the manifest's field that it comes from; what the manifest does not state is not rendered,
//! and the defaults that hold instead are told in a comment. The same manifest gives the same text.

mod defaults;
mod limits;
mod maps;
mod project;
mod status;

use crate::conf::{Directive, Item, Origin};
use crate::manifest::{Manifest, Upstream};

/// Where things are on the machine that runs nginx.
#[derive(Debug, Clone)]
pub struct Options {
    /// The module's file.
    pub module: String,
    /// nginx's process id.
    pub pid: String,
    /// Whom the workers run as; nginx's own default without.
    pub user: Option<String>,
    /// Where logs go.
    pub log_dir: String,
    /// Where nginx keeps bodies; nginx's own default without.
    pub temp_dir: Option<String>,
    /// How clients are known.
    pub clients: Clients,
    /// The revision that the gateway tells when it is asked.
    pub revision: Option<String>,
}

/// How clients are known.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Clients {
    /// By the key file; the manifest's without a path.
    Keys(Option<String>),
    /// By six map files in a folder that an issuer writes: each change needs a reload.
    Maps(String),
}

/// The key file where neither the manifest nor the command line names one.
pub const KEY_FILE: &str = "/etc/nginx/llm/client.keys";

/// Where the status page is without `gateway.status_listen`.
pub const STATUS_LISTEN: &str = "127.0.0.1:9180";

impl Default for Options {
    fn default() -> Self {
        Self {
            module: "modules/ngx_http_llm_module.so".to_owned(),
            pid: "/run/nginx.pid".to_owned(),
            user: None,
            log_dir: "/var/log/nginx".to_owned(),
            temp_dir: None,
            clients: Clients::Keys(None),
            revision: None,
        }
    }
}

/// What the parts of the rendering look up.
pub(crate) struct Scene<'m> {
    pub manifest: &'m Manifest,
    pub options: &'m Options,
    pub names: Names,
}

/// The variables that hold a client's identity.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Names {
    pub org: &'static str,
    pub project: &'static str,
    pub client: &'static str,
    pub key: &'static str,
}

const OF_KEYS: Names = Names {
    org: "$llm_client_org",
    project: "$llm_client_project",
    client: "$llm_client_id",
    key: "$llm_client_key_id",
};

const OF_MAPS: Names =
    Names { org: "$org_id", project: "$project_id", client: "$client_id", key: "$gateway_key_id" };

/// The configuration of a manifest that has no errors.
pub fn render(manifest: &Manifest, options: &Options) -> Vec<Item> {
    let names = match options.clients {
        Clients::Keys(_) => OF_KEYS,
        Clients::Maps(_) => OF_MAPS,
    };
    let scene = Scene { manifest, options, names };
    let mut http = scene.http();
    http.extend(defaults::notes(&http, manifest));
    let mut items = scene.head();
    items.push(Directive::block("http", NONE, Origin::Ours, http).into());
    items
}

pub(crate) const NONE: [&str; 0] = [];

/// A directive that nobody stated.
pub(crate) fn ours<const N: usize>(name: &str, args: [&str; N]) -> Item {
    Directive::new(name, args, Origin::Ours).into()
}

/// A directive that a field states.
pub(crate) fn stated<A: Into<String>>(
    name: &str,
    args: impl IntoIterator<Item = A>,
    path: impl Into<String>,
) -> Item {
    Directive::new(name, args, Origin::Manifest(path.into())).into()
}

pub(crate) fn note(text: impl Into<String>) -> Item {
    Item::Note(text.into())
}

impl Scene<'_> {
    fn head(&self) -> Vec<Item> {
        let deployment = &self.manifest.deployment;
        let company =
            self.manifest.customer.as_ref().and_then(|customer| customer.company.as_deref());
        let mut items = vec![
            note(
                "Made by llmctl of a manifest: change that and render again. Behind each line stands",
            ),
            note("the field that it comes from."),
        ];
        for (name, value) in [
            ("company", company),
            ("deployment_id", deployment.deployment_id.as_deref()),
            ("environment_id", deployment.environment_id.as_deref()),
        ] {
            if let Some(value) = value {
                items.push(note(format!("{name}: {}", one_line(value))));
            }
        }
        items.push(note(format!("organizations: {}", self.manifest.organizations.len())));
        items.push(note(""));
        items.push(ours("load_module", [&self.options.module]));
        items.push(note(""));
        match &self.options.user {
            Some(user) => items.push(ours("user", [user])),
            // Which user a machine has is not the manifest's; the text must not depend on it.
            None => {
                items.push(note(
                    "No user is stated, so workers run as nginx's own default, on Debian \"nobody\", who cannot",
                ));
                items.push(note(
                    "read what belongs to its \"www-data\". llmctl render --user www-data writes the line:",
                ));
                items.push(note("user www-data;"));
            }
        }
        items.push(ours("worker_processes", ["auto"]));
        items.push(ours("pid", [&self.options.pid]));
        items.push(ours("error_log", [&format!("{}/error.log", self.options.log_dir), "warn"]));
        items.push(note(""));
        let events = vec![ours("worker_connections", ["4096"])];
        items.push(Directive::block("events", NONE, Origin::Ours, events).into());
        items
    }

    fn http(&self) -> Vec<Item> {
        let mut items = Vec::new();
        if let Some(folder) = &self.options.temp_dir {
            for kind in ["client_body", "proxy", "fastcgi", "uwsgi", "scgi"] {
                let path = format!("{folder}/{kind}");
                items.push(ours(&format!("{kind}_temp_path"), [&path]));
            }
            items.push(note(""));
        }
        items.push(note(
            "Most of a request is read into memory at once; larger ones go through a file.",
        ));
        items.push(ours("client_body_buffer_size", ["256k"]));
        items.push(note(""));
        items.push(self.upstreams());
        items.push(self.globals());
        if let Clients::Maps(folder) = &self.options.clients {
            items.push(maps::http(folder));
        }
        items.extend(self.logs());
        for (at, organization) in self.manifest.organizations.iter().enumerate() {
            for number in 0..organization.projects.len() {
                items.extend(project::Scope::new(self, at, number).map(|scope| scope.server()));
            }
        }
        items.push(self.status());
        items
    }

    fn upstreams(&self) -> Item {
        let mut items = vec![note("Where the providers are.")];
        for (at, upstream) in self.manifest.deployment.gateway.upstreams.iter().enumerate() {
            items.push(block(upstream, &format!("deployment.gateway.upstreams[{at}]")));
        }
        Item::Part { name: "upstreams.conf".to_owned(), items }
    }

    /// Prices, and what else holds for the whole gateway.
    fn globals(&self) -> Item {
        let mut items = Vec::new();
        if let Some(bundle) = &self.manifest.deployment.gateway.ssl_trusted_certificate {
            let path = "deployment.gateway.ssl_trusted_certificate";
            items.push(stated("proxy_ssl_trusted_certificate", [bundle], path));
        }
        items.extend(limits::client_maps(self));
        self.cost(&mut items);
        Item::Part { name: "gateway.conf".to_owned(), items }
    }

    fn cost(&self, items: &mut Vec<Item>) {
        let Some((feature, cost)) = self.manifest.cost() else { return };
        let path = format!("deployment.enabled_features[{feature}].config");
        let field = |name: &str| format!("{path}.{name}");
        items.push(note(""));
        items.push(note("Prices per million tokens, and where cost events go."));
        if let Some(backend) = &cost.backend {
            items.push(stated("llm_cost_backend", backend.as_slice(), field("backend")));
        }
        for (name, value) in [
            ("dsn", &cost.dsn),
            ("table", &cost.table),
            ("path", &cost.path),
            ("rate_card_version", &cost.rate_card_version),
        ] {
            if let Some(value) = value {
                items.push(stated(&format!("llm_cost_{name}"), [value], field(name)));
            }
        }
        for (at, unit) in cost.rate_units.iter().enumerate() {
            let args = [unit.provider.as_str(), &unit.unit];
            items.push(stated("llm_cost_rate_unit", args, field(&format!("rate_units[{at}]"))));
        }
        for (at, rate) in cost.rates.iter().enumerate() {
            let args = [&rate.provider, &rate.model, &rate.input.0, &rate.output.0];
            items.push(stated("llm_cost_rate", args, field(&format!("rates[{at}]"))));
        }
        for (at, rate) in cost.cached_rates.iter().enumerate() {
            let mut args = vec![&rate.provider, &rate.model, &rate.cache_read.0];
            args.extend(rate.cache_write.as_ref().map(|rate| &rate.0));
            args.extend(rate.cache_write_1h.as_ref().map(|rate| &rate.0));
            let path = field(&format!("cached_rates[{at}]"));
            items.push(stated("llm_cost_cached_rate", args, path));
        }
    }

    fn logs(&self) -> Vec<Item> {
        const FORMAT: &str = "manifest_gateway_json";
        let Names { org, project, client, key } = self.names;
        let fields = [
            ("time", "$time_iso8601"),
            ("org", org),
            ("project", project),
            ("client", client),
            ("gateway_key_id", key),
            ("provider", "$llm_effective_provider"),
            ("model", "$llm_effective_model"),
            ("rate_limit_reason", "$llm_ratelimit_deny_reason"),
            ("request_remaining", "$llm_ratelimit_quota_remaining"),
            ("token_remaining", "$llm_ratelimit_token_quota_remaining"),
            ("fallback_attempted", "$llm_fallback_attempted"),
            ("fallback_reason", "$llm_fallback_reason"),
            ("fallback_effective", "$llm_fallback_effective_provider"),
            ("input_cost", "$llm_cost_prompt"),
            ("output_cost", "$llm_cost_completion"),
            ("total_cost", "$llm_cost_total"),
            ("cost_status", "$llm_cost_status"),
            ("status", "$status"),
            ("request_time", "$request_time"),
            ("event_id", "$llm_cost_event_id"),
            ("chain", "$llm_chain"),
        ];
        let mut args = vec![FORMAT.to_owned(), "escape=json".to_owned(), "{".to_owned()];
        for (at, (name, variable)) in fields.iter().enumerate() {
            let comma = if at + 1 < fields.len() { "," } else { "" };
            args.push(format!("\"{name}\":\"{variable}\"{comma}"));
        }
        args.push("}".to_owned());
        let file = format!("{}/manifest-gateway.log", self.options.log_dir);
        vec![
            note(""),
            note("One line of JSON for each request."),
            Directive::new("log_format", args, Origin::Ours).into(),
            ours("access_log", [&file, FORMAT]),
        ]
    }
}

fn block(upstream: &Upstream, path: &str) -> Item {
    let mut items: Vec<Item> = upstream
        .server
        .as_slice()
        .iter()
        .map(|server| stated("server", [server], format!("{path}.server")))
        .collect();
    if let Some(keepalive) = upstream.keepalive {
        items.push(stated("keepalive", [keepalive.to_string()], format!("{path}.keepalive")));
    }
    let origin = Origin::Manifest(format!("{path}.name"));
    Directive::block("upstream", [&upstream.name], origin, items).into()
}

/// Comments are one line each, whatever a name holds.
fn one_line(text: &str) -> String {
    text.chars().map(|c| if c.is_control() { ' ' } else { c }).collect()
}
