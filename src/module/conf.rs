//! What did the operator write, and what does it mean at a location? One field per room.

use std::collections::HashMap;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use llm_core::fallback::ProbeLine;
use llm_core::route::{Provider, Routes};
use llm_core::surface::Directive;

use crate::auth::{Keyring, Safe};
use crate::client::ClientKeys;
use crate::fallback::{Rules, ZoneLine};
use crate::ffi::hooks::Block;
use crate::ffi::shm::Zone;
use crate::ffi::value::Reading;
use crate::ffi::variable::Get;
use crate::writer::Probe;
use crate::writer::probe::{Authorities, ProbeTarget, ProbeTls};
use crate::{auth, cost, fallback, metrics, proxy, ratelimit, variables};

/// A directive and what sets its value.
pub struct Command {
    /// Its row of the surface.
    pub directive: &'static Directive,
    /// Takes the arguments; the error is nginx's message without file and line.
    pub set: Set,
    /// What it does to nginx itself.
    pub effect: Option<Effect>,
}

/// What a directive does to nginx itself: the first ones make a location's answers ours.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Effect {
    /// `llm_proxy_models`
    Models,
    /// `llm_metrics_export`
    Metrics,
    /// `llm_status`
    Status,
    /// `llm_log_format`: a `log_format` is defined.
    LogFormat,
}

/// Which configuration a directive belongs to.
#[derive(Clone, Copy)]
pub enum Set {
    /// Of the http block as a whole.
    Main(fn(&[&str], &mut MainConf) -> Result<(), String>),
    /// Of http, server or location.
    Location(fn(&[&str], &mut LocConf) -> Result<(), String>),
}

/// Every directive of the module.
pub const COMMANDS: [&Command; COUNT] = all_commands();

const COUNT: usize = proxy::COMMANDS.len()
    + auth::COMMANDS.len()
    + ratelimit::COMMANDS.len()
    + fallback::COMMANDS.len()
    + cost::COMMANDS.len()
    + metrics::COMMANDS.len();

#[expect(clippy::indexing_slicing, reason = "the compiler runs it, within bounds")]
const fn all_commands() -> [&'static Command; COUNT] {
    const ROOMS: [&[Command]; 6] = [
        &proxy::COMMANDS,
        &auth::COMMANDS,
        &ratelimit::COMMANDS,
        &fallback::COMMANDS,
        &cost::COMMANDS,
        &metrics::COMMANDS,
    ];
    let mut all = [&ROOMS[0][0]; COUNT];
    let (mut room, mut index, mut at) = (0, 0, 0);
    while room < ROOMS.len() {
        while index < ROOMS[room].len() {
            all[at] = &ROOMS[room][index];
            (index, at) = (index + 1, at + 1);
        }
        (room, index) = (room + 1, 0);
    }
    all
}

/// Every variable of the module.
pub const VARIABLES: &[(&str, Get)] = variables::VARIABLES;

/// What belongs to the http block as a whole.
#[derive(Default)]
pub struct MainConf {
    /// Every `upstream {}` block.
    pub blocks: Vec<Block>,
    /// `llm_fallback_zone`
    pub zone: Option<ZoneLine>,
    /// What all workers know of targets and keys, where anybody asks.
    pub health: Option<Zone<llm_core::health::Record>>,
    /// The keys whose files are watched.
    pub safes: Vec<Arc<Safe>>,
    /// The files of client keys that are watched.
    pub client_keys: Vec<Arc<ClientKeys>>,
    /// `llm_fallback_probe` lines, with the location's routes and keys.
    pub probe_lines: Vec<(ProbeLine, Rc<Compiled>, Option<Arc<Safe>>)>,
    /// What they mean, once all blocks are known.
    pub probes: Vec<Probe>,
    /// `llm_ratelimit_zone` and `llm_ratelimit_state`
    pub limit_lines: ratelimit::MainLines,
    /// Where limits and budgets are counted, if there are any.
    pub limits: Option<ratelimit::Board>,
    /// `llm_cost_backend` and its like.
    pub cost: cost::MainLines,
    /// Where events and rows are kept, if there are any.
    pub store: Option<cost::Store>,
    /// `llm_metrics_zone`
    pub metric_lines: metrics::MainLines,
    /// Where requests are counted, if they are.
    pub metrics: Option<metrics::Board>,
    /// Whether any location shows what is counted.
    pub shows_metrics: bool,
    /// What was compiled for the locations, to be checked once all blocks are known.
    pub compiled: Vec<Rc<Compiled>>,
}

impl MainConf {
    /// Whether every provider has its upstream block. What is odd but may be meant is a warning.
    pub fn check(&self) -> Result<Vec<String>, String> {
        let mut identities: HashMap<&str, (&Provider, TlsIdentity<'_>)> = HashMap::new();
        let mut warnings = Vec::new();
        for provider in self.compiled.iter().flat_map(|compiled| &compiled.routes.providers) {
            if self.block(&provider.upstream).is_none() {
                return Err(format!(
                    "\"llm_proxy_route\" of provider \"{}\" names \"{}\", but there is no such \
                     \"upstream\" block",
                    provider.name, provider.upstream
                ));
            }
            let identity = TlsIdentity {
                name: provider.ssl_name.as_deref().or(provider.host.as_deref()),
                verify: provider.ssl_verify,
            };
            let (first, known) =
                *identities.entry(&provider.upstream).or_insert((provider, identity));
            if known != identity {
                warnings.push(format!(
                    "providers \"{}\" and \"{}\" share upstream \"{}\", but not its TLS name and \
                     verification: kept-alive connections belong to the block, give each its own",
                    first.name, provider.name, provider.upstream
                ));
            }
        }
        Ok(warnings)
    }

    /// Makes probes of the lines, each provider once.
    pub fn prepare_probes(&mut self) -> Result<(), String> {
        // A worker's environment is not the one nginx was started with.
        let authorities = Authorities::of_environment();
        for (line, compiled, safe) in std::mem::take(&mut self.probe_lines) {
            let index = compiled.routes.provider_index(&line.provider);
            let Some(provider) = index.and_then(|index| compiled.routes.provider(index)) else {
                return Err(format!(
                    "\"llm_fallback_probe\" names provider \"{}\", add llm_proxy_route {} <upstream>",
                    line.provider, line.provider
                ));
            };
            let known = |probe: &Probe| probe.target.provider == provider.name;
            let Some(block) = self.block(&provider.upstream) else { continue };
            let Some(address) = block.address.filter(|_| !self.probes.iter().any(known)) else {
                continue;
            };
            let host = provider.host.clone().unwrap_or_else(|| block.host.clone());
            // Without `ssl=` a probe cannot know the scheme in proxy_pass; the port tells.
            let tls = provider.ssl.unwrap_or(address.port() == 443).then(|| ProbeTls {
                server_name: provider.ssl_name.clone().unwrap_or_else(|| host.clone()),
                verify: provider.ssl_verify,
                authorities: authorities.clone(),
            });
            let target = ProbeTarget {
                provider: provider.name.clone(),
                address,
                tls,
                host,
                dialect: provider.dialect,
                uri: line.uri,
                timeout: Duration::from_millis(line.timeout_ms),
            };
            let interval = Duration::from_millis(line.interval_ms);
            self.probes.push(Probe { target, interval, safe });
        }
        Ok(())
    }

    /// Whether any location asks for the state of targets or keys.
    pub fn needs_health(&self) -> bool {
        let fallback = self.compiled.iter().any(|compiled| compiled.rules.policy.enabled);
        fallback || !self.safes.is_empty() || self.zone.is_some() || self.shows_metrics
    }

    /// Whether any location has limits or budgets.
    pub fn needs_limits(&self) -> bool {
        self.compiled.iter().any(|compiled| compiled.limits.on) || self.limit_lines.zone.is_some()
    }

    /// The upstream block of that name.
    pub fn block(&self, name: &str) -> Option<&Block> {
        self.blocks.iter().find(|block| block.is_written && block.name == name)
    }
}

/// Whom a TLS connection was made to; connections are kept alive per upstream block.
#[derive(Clone, Copy, PartialEq, Eq)]
struct TlsIdentity<'a> {
    name: Option<&'a str>,
    verify: bool,
}

/// One level of the configuration.
#[derive(Default)]
pub struct LocConf {
    /// The proxy room's lines.
    pub proxy: proxy::Conf,
    /// The auth room's lines.
    pub auth: auth::Conf,
    /// The ratelimit room's lines.
    pub ratelimit: ratelimit::Conf,
    /// The fallback room's lines.
    pub fallback: fallback::Conf,
    /// The cost room's lines.
    pub cost: cost::Conf,
    /// The metrics room's lines.
    pub metrics: metrics::Conf,
    /// The keys; none where `llm_auth` is off.
    pub keyring: Option<Rc<Keyring>>,
    /// What they mean; none where the gateway is off.
    pub compiled: Option<Rc<Compiled>>,
    /// Which `error_page` list holds here.
    pub error_pages: usize,
    /// Whether that list comes from an enclosing block. Such pages are for browsers: they do not
    /// replace our errors. A list in the location itself does.
    pub inherits_error_pages: bool,
}

/// A location's routes, ready for look-ups.
pub struct Compiled {
    /// Providers and catalog.
    pub routes: Routes,
    /// What may pass.
    pub limits: ratelimit::Rules,
    /// What follows a failure.
    pub rules: Rules,
    /// What it costs.
    pub cost: cost::Rules,
    /// What is counted of it.
    pub metrics: metrics::Rules,
    /// When the configuration was read, in seconds since 1970.
    pub loaded_at: u64,
}

impl LocConf {
    /// Takes over what the enclosing level says and this one does not; then finds contradictions.
    pub fn merge(
        &mut self,
        outer: &Self,
        is_location: bool,
        reading: &Reading,
    ) -> Result<(), String> {
        self.inherits_error_pages = self.error_pages == outer.error_pages;
        self.proxy.inherit(&outer.proxy);
        self.auth.inherit(&outer.auth);
        self.ratelimit.inherit(&outer.ratelimit);
        self.fallback.inherit(&outer.fallback);
        self.cost.inherit(&outer.cost);
        self.metrics.inherit(&outer.metrics);
        let used = self.proxy.is_on() || self.proxy.lists_models();
        if used && (is_location || self.proxy.has_routes()) {
            let routes = self.proxy.compile()?;
            let rules = self.fallback.compile(&routes, reading)?;
            if is_location && self.proxy.is_on() {
                self.keyring = self.auth.compile(&routes, reading)?.map(Rc::new);
            }
            let limits = self.ratelimit.compile(reading)?;
            let cost = self.cost.compile(&routes, reading)?;
            let metrics = self.metrics.compile(&routes, &cost.card, reading)?;
            let loaded_at = crate::ffi::unix_time();
            let compiled = Compiled { routes, limits, rules, cost, metrics, loaded_at };
            self.compiled = Some(Rc::new(compiled));
        }
        Ok(())
    }
}
