//! What is counted of a request, and who may look? The log phase records; two content handlers show:
//! `llm_metrics_export` to scrapers, `llm_status` to people and scripts. Names and texts are in
//! `llm_core::metrics` and `llm_core::status`.

mod board;
mod control;
mod export;
mod finished;
mod gauges;
mod status;

use llm_core::cost::RateCard;
use llm_core::metrics::{Opted, ProviderNames};
use llm_core::route::Routes;
use llm_core::surface;

pub use board::{Board, WorkerNote};
pub use export::export;
pub use finished::{duration_ms, end, note_stream, record};
pub use status::status;

use crate::conf::{Command, Effect, MainConf, Set};
use crate::ffi::value::{ComplexValue, Reading};
use crate::setting::{command, duplicate, inherit, once, put, switch};

/// What was written at one level; `None` is "not written here".
#[derive(Default)]
pub struct Conf {
    on: Option<bool>,
    label_model: Option<bool>,
    label_auth_status: Option<bool>,
    label_resolution_outcome: Option<bool>,
    label_tenant: Option<bool>,
    emit_usage: Option<bool>,
    tenant: Option<Vec<String>>,
    /// Not inherited: they make one location an export or a status page.
    shows: bool,
}

/// What belongs to the http block as a whole.
#[derive(Default)]
pub struct MainLines {
    zone: Option<(String, usize)>,
    log_format: Option<()>,
}

/// A location's part of what is counted.
pub struct Rules {
    /// `llm_metrics`
    pub on: bool,
    /// Which labels and families are wanted here.
    pub opted: Opted,
    tenant: Option<ComplexValue>,
    /// Names of tenants that may be labels.
    tenants: Vec<String>,
    /// By the indexes of the routes' providers.
    providers: Vec<ProviderNames>,
}

impl Conf {
    /// Takes over what the enclosing level says and this one does not.
    pub fn inherit(&mut self, outer: &Self) {
        inherit(&mut self.on, &outer.on);
        inherit(&mut self.label_model, &outer.label_model);
        inherit(&mut self.label_auth_status, &outer.label_auth_status);
        inherit(&mut self.label_resolution_outcome, &outer.label_resolution_outcome);
        inherit(&mut self.label_tenant, &outer.label_tenant);
        inherit(&mut self.emit_usage, &outer.emit_usage);
        inherit(&mut self.tenant, &outer.tenant);
    }

    /// Whether this location shows what is counted.
    pub fn shows(&self) -> bool {
        self.shows
    }

    /// The rules that the lines mean.
    pub fn compile(
        &self,
        routes: &Routes,
        card: &RateCard,
        reading: &Reading,
    ) -> Result<Rules, String> {
        let (source, tenants) = match self.tenant.as_deref() {
            Some([source, tenants @ ..]) => (Some(source), tenants.to_vec()),
            _ => (None, Vec::new()),
        };
        let tenant = source.map(|text| reading.value(text, "llm_metrics_tenant_source"));
        let names = |name: &str| ProviderNames::new(name, card.unit(name));
        Ok(Rules {
            on: self.on.unwrap_or(false),
            opted: Opted {
                model: self.label_model.unwrap_or(false),
                tenant: self.label_tenant.unwrap_or(false) && source.is_some(),
                auth_status: self.label_auth_status.unwrap_or(false),
                resolution_outcome: self.label_resolution_outcome.unwrap_or(false),
                usage: self.emit_usage.unwrap_or(false),
            },
            tenant: tenant.transpose()?,
            tenants,
            providers: routes.providers.iter().map(|provider| names(&provider.name)).collect(),
        })
    }
}

impl MainLines {
    /// The zone's name and size.
    pub fn zone(&self) -> (&str, usize) {
        const NAME: &str = "llm_metrics";
        const BYTES: usize = 10 << 20;
        self.zone.as_ref().map_or((NAME, BYTES), |(name, bytes)| (name.as_str(), *bytes))
    }
}

/// The room's directives.
pub const COMMANDS: [Command; 11] = [
    switch!(LLM_METRICS, metrics.on),
    command!(main LLM_METRICS_ZONE, set_zone),
    Command {
        directive: &surface::LLM_METRICS_EXPORT,
        set: Set::Location(|args, conf| match args {
            ["prometheus"] => {
                conf.metrics.shows = true;
                Ok(())
            }
            _ => Err(format!(
                "invalid value \"{}\" in \"llm_metrics_export\" directive, it must be \"prometheus\"",
                args.join(" ")
            )),
        }),
        effect: Some(Effect::Metrics),
    },
    switch!(LLM_METRICS_LABEL_MODEL, metrics.label_model),
    switch!(LLM_METRICS_LABEL_AUTH_STATUS, metrics.label_auth_status),
    switch!(LLM_METRICS_LABEL_RESOLUTION_OUTCOME, metrics.label_resolution_outcome),
    switch!(LLM_METRICS_LABEL_TENANT, metrics.label_tenant),
    once!(LLM_METRICS_TENANT_SOURCE, metrics.tenant, |_, args: &[&str]| {
        Ok(args.iter().map(|arg| (*arg).to_owned()).collect())
    }),
    switch!(LLM_METRICS_EMIT_USAGE, metrics.emit_usage),
    Command {
        directive: &surface::LLM_STATUS,
        set: Set::Location(|_, conf| {
            conf.metrics.shows = true;
            Ok(())
        }),
        effect: Some(Effect::Status),
    },
    Command {
        directive: &surface::LLM_LOG_FORMAT,
        set: Set::Main(|args, conf| {
            let json = (args == ["json"]).then_some(());
            put("llm_log_format", &mut conf.metric_lines.log_format, args, json, "\"json\"")
        }),
        effect: Some(Effect::LogFormat),
    },
];

fn set_zone(args: &[&str], conf: &mut MainConf) -> Result<(), String> {
    const MIN_BYTES: usize = 64 << 10;
    if conf.metric_lines.zone.is_some() {
        return Err(duplicate("llm_metrics_zone"));
    }
    let [name, size] = args else {
        return Err("\"llm_metrics_zone\" needs a name and a size".to_owned());
    };
    let bytes = llm_core::units::parse_size(size).and_then(|bytes| usize::try_from(bytes).ok());
    let Some(bytes) = bytes.filter(|bytes| *bytes >= MIN_BYTES) else {
        return Err(format!(
            "invalid size \"{size}\" in \"llm_metrics_zone\", it must be at least 64k"
        ));
    };
    conf.metric_lines.zone = Some(((*name).to_owned(), bytes));
    Ok(())
}

impl MainConf {
    /// Whether anything is counted, or shown.
    pub fn needs_metrics(&self) -> bool {
        self.shows_metrics || self.compiled.iter().any(|compiled| compiled.metrics.on)
    }
}
