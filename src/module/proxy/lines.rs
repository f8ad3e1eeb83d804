//! The proxy room's directives: what was typed, how it is inherited, and the defaults.

use llm_core::dialect::Dialect;
use llm_core::route::{Alias, Pattern, Provider, RouteLine, Routes, Version};
use llm_core::surface;
use llm_core::units::{Zero, time_ms};

use crate::conf::{Command, Effect, Set};
use crate::setting::{command, duplicate, inherit, list, put, set, set_size, set_time, switch};

/// What was written at one level; `None` is "not written here".
#[derive(Default)]
pub struct Conf {
    on: Option<bool>,
    routes: Option<Vec<Provider>>,
    default_provider: Option<String>,
    patterns: Option<Vec<Pattern>>,
    aliases: Option<Vec<Alias>>,
    versions: Option<Vec<Version>>,
    max_body_size: Option<u64>,
    unparsed: Option<Unparsed>,
    inject_usage: Option<bool>,
    disclose_provider: Option<bool>,
    response_model: Option<ResponseModel>,
    connect_timeout: Option<u64>,
    response_timeout: Option<u64>,
    first_token_timeout: Option<u64>,
    idle_timeout: Option<u64>,
    total_timeout: Option<u64>,
    client_abort: Option<ClientAbort>,
    heartbeat: Option<u64>,
    dialect_mode: Option<DialectMode>,
    ingress_dialect: Option<Dialect>,
    max_response_size: Option<u64>,
    /// Not inherited: it makes one location a list.
    models: bool,
}

/// What becomes of a body that is not the JSON we need.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unparsed {
    /// It is refused.
    Reject,
    /// It goes to the default provider as it is.
    Pass,
}

/// Which name the answer's `model` has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ResponseModel {
    /// The provider's.
    Effective,
    /// The client's.
    Requested,
}

/// What becomes of the provider's answer when the client goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ClientAbort {
    /// The connection to the provider is closed.
    Cancel,
    /// The answer is read on for its usage, so many milliseconds.
    Finish(u64),
}

/// Where the client's dialect may come from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DialectMode {
    /// The path, a field, or else the body's looks.
    Infer,
    /// `llm_proxy_ingress_dialect` alone.
    Fixed,
    /// The path or a field, never the looks.
    ExplicitRequired,
}

const FINISH_MS: u64 = 60_000;
const MAX_BODY_BYTES: u64 = 10 << 20;
const MAX_RESPONSE_BYTES: usize = 10 << 20;

impl Conf {
    /// Takes over what the enclosing level says and this one does not. Lists are replaced whole.
    pub fn inherit(&mut self, outer: &Self) {
        inherit(&mut self.on, &outer.on);
        inherit(&mut self.routes, &outer.routes);
        inherit(&mut self.default_provider, &outer.default_provider);
        inherit(&mut self.patterns, &outer.patterns);
        inherit(&mut self.aliases, &outer.aliases);
        inherit(&mut self.versions, &outer.versions);
        inherit(&mut self.max_body_size, &outer.max_body_size);
        inherit(&mut self.unparsed, &outer.unparsed);
        inherit(&mut self.inject_usage, &outer.inject_usage);
        inherit(&mut self.disclose_provider, &outer.disclose_provider);
        inherit(&mut self.response_model, &outer.response_model);
        inherit(&mut self.connect_timeout, &outer.connect_timeout);
        inherit(&mut self.response_timeout, &outer.response_timeout);
        inherit(&mut self.first_token_timeout, &outer.first_token_timeout);
        inherit(&mut self.idle_timeout, &outer.idle_timeout);
        inherit(&mut self.total_timeout, &outer.total_timeout);
        inherit(&mut self.client_abort, &outer.client_abort);
        inherit(&mut self.heartbeat, &outer.heartbeat);
        inherit(&mut self.dialect_mode, &outer.dialect_mode);
        inherit(&mut self.ingress_dialect, &outer.ingress_dialect);
        inherit(&mut self.max_response_size, &outer.max_response_size);
    }

    /// The routes that the lines mean, checked.
    pub fn compile(&self) -> Result<Routes, String> {
        if self.routes.is_none() {
            let switch = if self.is_on() { "llm_proxy" } else { "llm_proxy_models" };
            return Err(format!("\"{switch}\" is on, but no \"llm_proxy_route\" names a provider"));
        }
        if self.dialect_mode == Some(DialectMode::Fixed) && self.ingress_dialect.is_none() {
            return Err(
                "\"llm_proxy_dialect_mode fixed\" needs \"llm_proxy_ingress_dialect\"".into()
            );
        }
        let mut routes = Routes::default();
        routes.providers = self.routes.clone().unwrap_or_default();
        routes.default.clone_from(&self.default_provider);
        routes.patterns = self.patterns.clone().unwrap_or_default();
        routes.aliases = self.aliases.clone().unwrap_or_default();
        routes.apply_versions(self.versions.as_deref().unwrap_or_default())?;
        routes.check()?;
        Ok(routes)
    }

    /// `llm_proxy`
    pub fn is_on(&self) -> bool {
        self.on.unwrap_or(false)
    }

    /// `llm_proxy_models`
    pub fn lists_models(&self) -> bool {
        self.models
    }

    /// Whether any provider is named here or above.
    pub fn has_routes(&self) -> bool {
        self.routes.is_some()
    }

    /// `llm_proxy_max_body_size`
    pub fn max_body_size_bytes(&self) -> u64 {
        self.max_body_size.unwrap_or(MAX_BODY_BYTES)
    }

    /// `llm_proxy_unparsed`
    pub fn unparsed(&self) -> Unparsed {
        self.unparsed.unwrap_or(Unparsed::Reject)
    }

    /// `llm_proxy_inject_usage`
    pub fn injects_usage(&self) -> bool {
        self.inject_usage.unwrap_or(true)
    }

    /// `llm_proxy_disclose_provider`
    pub fn discloses_provider(&self) -> bool {
        self.disclose_provider.unwrap_or(true)
    }

    /// `llm_proxy_response_model`
    pub fn response_model(&self) -> ResponseModel {
        self.response_model.unwrap_or(ResponseModel::Effective)
    }

    /// `llm_proxy_connect_timeout`, if written.
    pub fn connect_timeout_ms(&self) -> Option<u64> {
        self.connect_timeout
    }

    /// `llm_proxy_response_timeout`, if written.
    pub fn response_timeout_ms(&self) -> Option<u64> {
        self.response_timeout
    }

    /// `llm_proxy_first_token_timeout`, if written.
    pub fn first_token_timeout_ms(&self) -> Option<u64> {
        self.first_token_timeout
    }

    /// `llm_proxy_idle_timeout`, if written.
    pub fn idle_timeout_ms(&self) -> Option<u64> {
        self.idle_timeout
    }

    /// `llm_proxy_total_timeout`; zero is none.
    pub fn total_timeout_ms(&self) -> u64 {
        self.total_timeout.unwrap_or(0)
    }

    /// `llm_proxy_client_abort`
    pub fn client_abort(&self) -> ClientAbort {
        self.client_abort.unwrap_or(ClientAbort::Cancel)
    }

    /// Whether an answer is read on when its client has gone.
    pub fn finishes_after_abort(&self) -> bool {
        self.client_abort() != ClientAbort::Cancel
    }

    /// `llm_proxy_heartbeat`; zero is off.
    pub fn heartbeat_ms(&self) -> u64 {
        self.heartbeat.unwrap_or(0)
    }

    /// `llm_proxy_dialect_mode`
    pub fn dialect_mode(&self) -> DialectMode {
        self.dialect_mode.unwrap_or(DialectMode::Infer)
    }

    /// The dialect of every client here, if it is fixed.
    pub fn fixed_dialect(&self) -> Option<Dialect> {
        self.ingress_dialect.filter(|_| self.dialect_mode() == DialectMode::Fixed)
    }

    /// `llm_proxy_max_response_size`
    pub fn max_response_size_bytes(&self) -> usize {
        self.max_response_size.map_or(MAX_RESPONSE_BYTES, |size| size as usize)
    }
}

/// The room's directives.
pub const COMMANDS: [Command; 22] = [
    switch!(LLM_PROXY, proxy.on),
    list!(LLM_PROXY_ROUTE, proxy.routes, |_, args| RouteLine::parse(args)),
    command!(LLM_PROXY_DEFAULT_PROVIDER, |args, conf| {
        let word = |name: &str| Some(name.to_owned());
        set(
            "llm_proxy_default_provider",
            &mut conf.proxy.default_provider,
            args,
            word,
            "a provider",
        )
    }),
    list!(LLM_PROXY_MODEL_PATTERN, proxy.patterns, |_, args| Pattern::parse(args)),
    list!(LLM_PROXY_MODEL_ALIAS, proxy.aliases, |_, args| Alias::parse(args)),
    command!(LLM_PROXY_MAX_BODY_SIZE, |args, conf| {
        set_size("llm_proxy_max_body_size", &mut conf.proxy.max_body_size, args)
    }),
    command!(LLM_PROXY_UNPARSED, |args, conf| {
        let word = |name: &str| match name {
            "reject" => Some(Unparsed::Reject),
            "pass" => Some(Unparsed::Pass),
            _ => None,
        };
        set("llm_proxy_unparsed", &mut conf.proxy.unparsed, args, word, "\"reject\" or \"pass\"")
    }),
    switch!(LLM_PROXY_INJECT_USAGE, proxy.inject_usage),
    list!(LLM_PROXY_PROVIDER_VERSION, proxy.versions, |_, args| Version::parse(args)),
    switch!(LLM_PROXY_DISCLOSE_PROVIDER, proxy.disclose_provider),
    command!(LLM_PROXY_RESPONSE_MODEL, |args, conf| {
        let word = |name: &str| match name {
            "effective" => Some(ResponseModel::Effective),
            "requested" => Some(ResponseModel::Requested),
            _ => None,
        };
        let allowed = "\"effective\" or \"requested\"";
        set("llm_proxy_response_model", &mut conf.proxy.response_model, args, word, allowed)
    }),
    command!(LLM_PROXY_CONNECT_TIMEOUT, |args, conf| {
        set_time("llm_proxy_connect_timeout", &mut conf.proxy.connect_timeout, args, Zero::Refused)
    }),
    command!(LLM_PROXY_RESPONSE_TIMEOUT, |args, conf| {
        set_time(
            "llm_proxy_response_timeout",
            &mut conf.proxy.response_timeout,
            args,
            Zero::Refused,
        )
    }),
    command!(LLM_PROXY_FIRST_TOKEN_TIMEOUT, |args, conf| {
        let field = &mut conf.proxy.first_token_timeout;
        set_time("llm_proxy_first_token_timeout", field, args, Zero::Off)
    }),
    command!(LLM_PROXY_IDLE_TIMEOUT, |args, conf| {
        set_time("llm_proxy_idle_timeout", &mut conf.proxy.idle_timeout, args, Zero::Refused)
    }),
    command!(LLM_PROXY_TOTAL_TIMEOUT, |args, conf| {
        set_time("llm_proxy_total_timeout", &mut conf.proxy.total_timeout, args, Zero::Off)
    }),
    command!(LLM_PROXY_CLIENT_ABORT, |args, conf| {
        let name = "llm_proxy_client_abort";
        let meant = match args {
            ["cancel"] => Some(ClientAbort::Cancel),
            ["finish"] => Some(ClientAbort::Finish(FINISH_MS)),
            ["finish", time] => time_ms(time, Zero::Refused).map(ClientAbort::Finish),
            _ => None,
        };
        put(name, &mut conf.proxy.client_abort, args, meant, "\"cancel\" or \"finish [time]\"")
    }),
    command!(LLM_PROXY_HEARTBEAT, |args, conf| {
        let meant = match args {
            ["off"] => Some(0),
            [time] => time_ms(time, Zero::Refused),
            _ => None,
        };
        put("llm_proxy_heartbeat", &mut conf.proxy.heartbeat, args, meant, "a time or \"off\"")
    }),
    Command {
        directive: &surface::LLM_PROXY_MODELS,
        set: Set::Location(|_, conf| {
            if std::mem::replace(&mut conf.proxy.models, true) {
                return Err(duplicate("llm_proxy_models"));
            }
            Ok(())
        }),
        effect: Some(Effect::Models),
    },
    command!(LLM_PROXY_DIALECT_MODE, |args, conf| {
        let word = |name: &str| match name {
            "infer" => Some(DialectMode::Infer),
            "fixed" => Some(DialectMode::Fixed),
            "explicit_required" => Some(DialectMode::ExplicitRequired),
            _ => None,
        };
        let allowed = "\"infer\", \"fixed\" or \"explicit_required\"";
        set("llm_proxy_dialect_mode", &mut conf.proxy.dialect_mode, args, word, allowed)
    }),
    command!(LLM_PROXY_INGRESS_DIALECT, |args, conf| {
        let allowed = "\"openai\" or \"anthropic\"";
        let field = &mut conf.proxy.ingress_dialect;
        set("llm_proxy_ingress_dialect", field, args, Dialect::parse, allowed)
    }),
    command!(LLM_PROXY_MAX_RESPONSE_SIZE, |args, conf| {
        set_size("llm_proxy_max_response_size", &mut conf.proxy.max_response_size, args)
    }),
];
