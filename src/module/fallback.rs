//! Which targets follow a failed one, and under which rules? `proxy` asks once for each request;
//! `attempt` asks after each end of an attempt.

use llm_core::error::Rejection;
use llm_core::fallback::{
    Allowed, Asked, ClassSet, Edge, Graph, Hold, Mode, Overrides, Policy, ProbeLine, Replace,
    RetryLine, Target, TranslationFallback, header_prefix, max_attempts, retry_budget, sort_equals,
};
use llm_core::health::Params;
use llm_core::route::Routes;
use llm_core::surface;
use llm_core::units::parse_size;

use crate::conf::{Command, LocConf, MainConf, Set};
use crate::ffi::Request;
use crate::ffi::value::Reading;
use crate::health;
use crate::setting::{duplicate, put, set_switch};

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
        fn take<T: Clone>(own: &mut Option<T>, outer: &Option<T>) {
            if own.is_none() {
                own.clone_from(outer);
            }
        }
        take(&mut self.on, &outer.on);
        take(&mut self.mode, &outer.mode);
        take(&mut self.edges, &outer.edges);
        take(&mut self.replaces, &outer.replaces);
        take(&mut self.classes, &outer.classes);
        take(&mut self.max_attempts, &outer.max_attempts);
        take(&mut self.retry, &outer.retry);
        take(&mut self.allow_streaming, &outer.allow_streaming);
        take(&mut self.hold, &outer.hold);
        take(&mut self.retry_budget, &outer.retry_budget);
        take(&mut self.cooldown, &outer.cooldown);
        take(&mut self.request_headers, &outer.request_headers);
        take(&mut self.header_prefix, &outer.header_prefix);
        take(&mut self.translation, &outer.translation);
        take(&mut self.probes, &outer.probes);
        take(&mut self.static_answer, &outer.static_answer);
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

macro_rules! command {
    ($directive:ident, $set:expr) => {
        Command { directive: &surface::$directive, set: Set::Location($set), effect: None }
    };
}

/// The room's directives.
pub const COMMANDS: [Command; 17] = [
    command!(LLM_FALLBACK, |args, conf| set_switch("llm_fallback", &mut conf.fallback.on, args)),
    command!(LLM_FALLBACK_MODE, |args, conf| {
        once("llm_fallback_mode", &mut conf.fallback.mode, Mode::parse(first(args)))
    }),
    command!(LLM_FALLBACK_ROUTE, |args, conf| {
        conf.fallback.edges.get_or_insert_default().push(Edge::parse(args)?);
        Ok(())
    }),
    command!(LLM_FALLBACK_REPLACE, |args, conf| {
        conf.fallback.replaces.get_or_insert_default().push(Replace::parse(args)?);
        Ok(())
    }),
    command!(LLM_FALLBACK_ON, |args, conf| {
        once("llm_fallback_on", &mut conf.fallback.classes, ClassSet::parse(args))
    }),
    command!(LLM_FALLBACK_MAX_ATTEMPTS, |args, conf| {
        let field = &mut conf.fallback.max_attempts;
        once("llm_fallback_max_attempts", field, max_attempts(first(args)))
    }),
    command!(LLM_FALLBACK_RETRY, |args, conf| {
        once("llm_fallback_retry", &mut conf.fallback.retry, RetryLine::parse(args))
    }),
    command!(LLM_FALLBACK_ALLOW_STREAMING, |args, conf| {
        set_switch("llm_fallback_allow_streaming", &mut conf.fallback.allow_streaming, args)
    }),
    command!(LLM_FALLBACK_HOLD, |args, conf| {
        once("llm_fallback_hold", &mut conf.fallback.hold, Hold::parse(first(args)))
    }),
    command!(LLM_FALLBACK_RETRY_BUDGET, |args, conf| {
        let field = &mut conf.fallback.retry_budget;
        once("llm_fallback_retry_budget", field, retry_budget(first(args)))
    }),
    Command { directive: &surface::LLM_FALLBACK_ZONE, set: Set::Main(set_zone), effect: None },
    command!(LLM_FALLBACK_COOLDOWN, |args, conf| {
        once("llm_fallback_cooldown", &mut conf.fallback.cooldown, Params::parse(args))
    }),
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
    command!(LLM_FALLBACK_REQUEST_HEADERS, |args, conf| {
        let field = &mut conf.fallback.request_headers;
        once("llm_fallback_request_headers", field, Allowed::parse(args))
    }),
    command!(LLM_FALLBACK_HEADER_PREFIX, |args, conf| {
        let field = &mut conf.fallback.header_prefix;
        once("llm_fallback_header_prefix", field, header_prefix(first(args)))
    }),
    command!(LLM_FALLBACK_TRANSLATION_FALLBACK, |args, conf| {
        let field = &mut conf.fallback.translation;
        let parsed = TranslationFallback::parse(first(args));
        once("llm_fallback_translation_fallback", field, parsed)
    }),
    command!(LLM_FALLBACK_STATIC, |args, conf| {
        let name = args.first().map(|name| (*name).to_owned());
        put("llm_fallback_static", &mut conf.fallback.static_answer, args, name, "a file")
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

fn first<'a>(args: &[&'a str]) -> &'a str {
    args.first().copied().unwrap_or_default()
}

fn once<T>(name: &str, field: &mut Option<T>, parsed: Result<T, String>) -> Result<(), String> {
    if field.is_some() {
        return Err(duplicate(name));
    }
    *field = Some(parsed?);
    Ok(())
}

impl LocConf {
    /// The rules of a location where the gateway is on.
    pub fn rules(&self) -> Option<&Rules> {
        self.compiled.as_ref().map(|compiled| &compiled.rules)
    }
}
