//! Which targets follow a failed one, and under which rules? `proxy` asks once for each request;
//! `attempt` asks after each end of an attempt.

use llm_core::error::Rejection;
use llm_core::fallback::{
    Allowed, Asked, ClassSet, Edge, Graph, Hold, Mode, Overrides, Policy, ProbeLine, Replace,
    RetryLine, Target, TranslationFallback, header_prefix, max_attempts, retry_budget, sort_equals,
};
use llm_core::health::Params;
use llm_core::route::Routes;
use llm_core::units::parse_size;

use crate::conf::{Command, LocConf, MainConf};
use crate::ffi::Request;
use crate::ffi::value::Reading;
use crate::health;
use crate::setting::{command, duplicate, inherit, list, once, put, switch, text, word};

/// The zone where nothing else is written.
pub const ZONE_NAME: &str = "llm_fallback";
const ZONE_BYTES: usize = 1 << 20;
const MIN_ZONE_BYTES: usize = 32 << 10;
const HEADER_PREFIX: &str = "x-llm-";

/// What was written at one level; `None` is "not written here".
#[derive(Default)]
pub struct Conf {
    on: Option<bool>,
    mode: Option<Mode>,
    edges: Option<Vec<Edge>>,
    replaces: Option<Vec<Replace>>,
    classes: Option<ClassSet>,
    max_attempts: Option<u32>,
    retry: Option<RetryLine>,
    allow_streaming: Option<bool>,
    hold: Option<Hold>,
    retry_budget: Option<Option<u32>>,
    cooldown: Option<Params>,
    request_headers: Option<Allowed>,
    header_prefix: Option<String>,
    translation: Option<TranslationFallback>,
    probes: Option<Vec<ProbeLine>>,
    static_answer: Option<String>,
}

/// The zone that an operator asks for.
pub struct ZoneLine {
    /// Its name.
    pub name: String,
    /// Its size.
    pub bytes: usize,
}

impl Default for ZoneLine {
    fn default() -> Self {
        Self { name: ZONE_NAME.to_owned(), bytes: ZONE_BYTES }
    }
}

/// A location's rules.
pub struct Rules {
    /// The edges and replacements.
    pub graph: Graph,
    /// How failures are answered.
    pub policy: Policy,
    /// What health does to the order of targets.
    pub mode: Mode,
    /// When a target is benched, and for how long.
    pub params: Params,
    /// The share of a target's traffic that may be retries, in percent.
    pub retry_budget: Option<u32>,
    /// The headers by which a client may choose.
    pub allowed: Allowed,
    /// How their names begin.
    pub prefix: String,
    /// The answer when everything has failed.
    pub static_answer: Option<Vec<u8>>,
}

impl Conf {
    /// Takes over what the enclosing level says and this one does not. Lists are replaced whole.
    pub fn inherit(&mut self, outer: &Self) {
        inherit(&mut self.on, &outer.on);
        inherit(&mut self.mode, &outer.mode);
        inherit(&mut self.edges, &outer.edges);
        inherit(&mut self.replaces, &outer.replaces);
        inherit(&mut self.classes, &outer.classes);
        inherit(&mut self.max_attempts, &outer.max_attempts);
        inherit(&mut self.retry, &outer.retry);
        inherit(&mut self.allow_streaming, &outer.allow_streaming);
        inherit(&mut self.hold, &outer.hold);
        inherit(&mut self.retry_budget, &outer.retry_budget);
        inherit(&mut self.cooldown, &outer.cooldown);
        inherit(&mut self.request_headers, &outer.request_headers);
        inherit(&mut self.header_prefix, &outer.header_prefix);
        inherit(&mut self.translation, &outer.translation);
        inherit(&mut self.probes, &outer.probes);
        inherit(&mut self.static_answer, &outer.static_answer);
    }

    /// `llm_fallback_probe` lines.
    pub fn probes(&self) -> &[ProbeLine] {
        self.probes.as_deref().unwrap_or_default()
    }

    /// The rules that the lines mean, checked against the routes.
    pub fn compile(&self, routes: &Routes, reading: &Reading) -> Result<Rules, String> {
        let edges = self.edges.clone().unwrap_or_default();
        let graph = Graph::new(edges, self.replaces.clone().unwrap_or_default());
        let policy = Policy {
            enabled: self.on.unwrap_or(false),
            on: self.classes.clone().unwrap_or_default(),
            max_attempts: self.max_attempts.unwrap_or(Policy::MAX_ATTEMPTS),
            retry: self.retry.filter(|retry| retry.times > 0),
            allow_streaming: self.allow_streaming.unwrap_or(true),
            hold: self.hold.unwrap_or_default(),
        };
        if policy.enabled {
            graph.check(routes)?;
            let warnings = graph.warnings(routes, policy.max_attempts);
            warnings.iter().chain(&policy.warnings()).for_each(|text| reading.warn(text));
        }
        let static_answer = match &self.static_answer {
            None => None,
            Some(name) => {
                let path = reading.path(name);
                Some(std::fs::read(&path).map_err(|error| {
                    format!(
                        "cannot read \"{}\" of \"llm_fallback_static\": {error}",
                        path.display()
                    )
                })?)
            }
        };
        Ok(Rules {
            graph,
            policy,
            mode: self.mode.unwrap_or_default(),
            params: self.cooldown.unwrap_or_default(),
            retry_budget: self.retry_budget.flatten(),
            allowed: self.request_headers.unwrap_or_default(),
            prefix: self.header_prefix.clone().unwrap_or_else(|| HEADER_PREFIX.to_owned()),
            static_answer,
        })
    }
}

/// The targets of one request, and the policy for it.
pub struct Chosen {
    /// The first one and those that may follow it.
    pub targets: Vec<Target>,
    /// The operator's policy with the client's wishes in it.
    pub policy: Policy,
    /// What the client wished.
    pub overrides: Overrides,
    /// A rule has put another provider in the place of the one that the request led to.
    pub replaced: bool,
}

/// What a request may go to. The first target is where routing leads.
pub fn choose(
    r: Request<'_>,
    routes: &Routes,
    rules: &Rules,
    client_model: Option<&str>,
    provider: usize,
    model: Option<&str>,
) -> Result<Chosen, Rejection> {
    let enabled = rules.policy.enabled;
    let first = if enabled { rules.graph.replaced(provider, routes) } else { provider };
    let asked = Asked { routes, graph: &rules.graph, client_model, provider: first, model };
    let headers = |name: &str| r.header(name);
    let overrides = Overrides::read(rules.allowed, &rules.prefix, headers, &asked)?;
    let mut targets = overrides.targets(&asked);
    if !enabled {
        targets.truncate(1);
    }
    if rules.mode == Mode::Latency {
        let now_ms = crate::ffi::now_ms();
        sort_equals(&mut targets, |a, b| health::compare(r, routes, a, b, now_ms));
    }
    let policy = overrides.apply(&rules.policy);
    Ok(Chosen { targets, policy, overrides, replaced: first != provider })
}

/// The room's directives.
pub const COMMANDS: [Command; 17] = [
    switch!(LLM_FALLBACK, fallback.on),
    word!(LLM_FALLBACK_MODE, fallback.mode, |_, word| Mode::parse(word)),
    list!(LLM_FALLBACK_ROUTE, fallback.edges, |_, args| Edge::parse(args)),
    list!(LLM_FALLBACK_REPLACE, fallback.replaces, |_, args| Replace::parse(args)),
    once!(LLM_FALLBACK_ON, fallback.classes, |_, args| ClassSet::parse(args)),
    word!(LLM_FALLBACK_MAX_ATTEMPTS, fallback.max_attempts, |_, word| max_attempts(word)),
    once!(LLM_FALLBACK_RETRY, fallback.retry, |_, args| RetryLine::parse(args)),
    switch!(LLM_FALLBACK_ALLOW_STREAMING, fallback.allow_streaming),
    word!(LLM_FALLBACK_HOLD, fallback.hold, |_, word| Hold::parse(word)),
    word!(LLM_FALLBACK_RETRY_BUDGET, fallback.retry_budget, |_, word| retry_budget(word)),
    command!(main LLM_FALLBACK_ZONE, set_zone),
    once!(LLM_FALLBACK_COOLDOWN, fallback.cooldown, |_, args| Params::parse(args)),
    command!(LLM_FALLBACK_PROBE, |args, conf| {
        let probe = ProbeLine::parse(args)?;
        let probes = conf.fallback.probes.get_or_insert_default();
        if probes.iter().any(|known| known.provider == probe.provider) {
            return Err(format!(
                "duplicate provider \"{}\" in \"llm_fallback_probe\"",
                probe.provider
            ));
        }
        probes.push(probe);
        Ok(())
    }),
    once!(LLM_FALLBACK_REQUEST_HEADERS, fallback.request_headers, |_, args| Allowed::parse(args)),
    word!(LLM_FALLBACK_HEADER_PREFIX, fallback.header_prefix, |_, word| header_prefix(word)),
    word!(LLM_FALLBACK_TRANSLATION_FALLBACK, fallback.translation, |_, word| {
        TranslationFallback::parse(word)
    }),
    command!(LLM_FALLBACK_STATIC, |args, conf| {
        put("llm_fallback_static", &mut conf.fallback.static_answer, args, text(args), "a file")
    }),
];

fn set_zone(args: &[&str], conf: &mut MainConf) -> Result<(), String> {
    if conf.zone.is_some() {
        return Err(duplicate("llm_fallback_zone"));
    }
    let [name, size] = args else {
        return Err("\"llm_fallback_zone\" needs a name and a size".to_owned());
    };
    let bytes = parse_size(size).and_then(|bytes| usize::try_from(bytes).ok());
    let Some(bytes) = bytes.filter(|bytes| *bytes >= MIN_ZONE_BYTES) else {
        return Err(format!(
            "invalid size \"{size}\" in \"llm_fallback_zone\", it must be at least 32k"
        ));
    };
    conf.zone = Some(ZoneLine { name: (*name).to_owned(), bytes });
    Ok(())
}

impl LocConf {
    /// The rules of a location where the gateway is on.
    pub fn rules(&self) -> Option<&Rules> {
        self.compiled.as_ref().map(|compiled| &compiled.rules)
    }
}
