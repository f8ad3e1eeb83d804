//! The room's directives: what was typed, how it is inherited, and what it means at a location.

use llm_core::ratelimit::{
    Basis, Lines, Mode, PatternLine, Reserve, ReserveSpendLine, RuleLine, RuleSet, SpendLine,
    TimeZone, Unpriced, ZoneLine, number, path, time_zone,
};
use llm_core::surface;

use super::Rules;
use crate::conf::{Command, MainConf, Set};
use crate::ffi::value::Reading;
use crate::setting::{duplicate, put, set_switch};

/// What was written at one level; `None` is "not written here".
#[derive(Default)]
pub struct Conf {
    on: Option<bool>,
    key: Option<String>,
    requests_per_minute: Option<u64>,
    burst_requests: Option<u64>,
    tokens_per_minute: Option<u64>,
    concurrency: Option<u64>,
    rules: Option<Vec<RuleLine>>,
    model_rpm: Option<Vec<PatternLine>>,
    model_tpm: Option<Vec<PatternLine>>,
    provider_rpm: Option<Vec<PatternLine>>,
    provider_tpm: Option<Vec<PatternLine>>,
    translated_rpm: Option<u64>,
    translated_tpm: Option<u64>,
    model_basis: Option<Basis>,
    provider_basis: Option<Basis>,
    reserve_tokens: Option<Reserve>,
    spend: Option<Vec<SpendLine>>,
    time_zone: Option<TimeZone>,
    reserve_spend: Option<Vec<ReserveSpendLine>>,
    unpriced: Option<Unpriced>,
    fail_open: Option<bool>,
    dry_run: Option<bool>,
    cooldown: Option<bool>,
    headers: Option<bool>,
}

/// What belongs to the http block as a whole.
#[derive(Default)]
pub struct MainLines {
    /// `llm_ratelimit_zone`
    pub zone: Option<ZoneLine>,
    /// `llm_ratelimit_state`; the inner `None` is `off`.
    pub state: Option<Option<String>>,
}

impl MainLines {
    /// The zone's name and size.
    pub fn zone(&self) -> (&str, usize) {
        const NAME: &str = "llm_ratelimit";
        const BYTES: usize = 4 << 20;
        self.zone.as_ref().map_or((NAME, BYTES), |line| (line.name.as_str(), line.bytes))
    }
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
        take(&mut self.key, &outer.key);
        take(&mut self.requests_per_minute, &outer.requests_per_minute);
        take(&mut self.burst_requests, &outer.burst_requests);
        take(&mut self.tokens_per_minute, &outer.tokens_per_minute);
        take(&mut self.concurrency, &outer.concurrency);
        take(&mut self.rules, &outer.rules);
        take(&mut self.model_rpm, &outer.model_rpm);
        take(&mut self.model_tpm, &outer.model_tpm);
        take(&mut self.provider_rpm, &outer.provider_rpm);
        take(&mut self.provider_tpm, &outer.provider_tpm);
        take(&mut self.translated_rpm, &outer.translated_rpm);
        take(&mut self.translated_tpm, &outer.translated_tpm);
        take(&mut self.model_basis, &outer.model_basis);
        take(&mut self.provider_basis, &outer.provider_basis);
        take(&mut self.reserve_tokens, &outer.reserve_tokens);
        take(&mut self.spend, &outer.spend);
        take(&mut self.time_zone, &outer.time_zone);
        take(&mut self.reserve_spend, &outer.reserve_spend);
        take(&mut self.unpriced, &outer.unpriced);
        take(&mut self.fail_open, &outer.fail_open);
        take(&mut self.dry_run, &outer.dry_run);
        take(&mut self.cooldown, &outer.cooldown);
        take(&mut self.headers, &outer.headers);
    }

    /// The rules that the lines mean.
    pub fn compile(&self, reading: &Reading) -> Result<Rules, String> {
        let on = self.on.unwrap_or(false);
        let set = if on { RuleSet::new(&self.lines())? } else { RuleSet::new(&Lines::default())? };
        let keys = set.keys().iter().map(|text| reading.value(text, "llm_ratelimit"));
        let keys = keys.collect::<Result<_, _>>()?;
        let (dry_run, fail_open) = (self.dry_run.unwrap_or(false), self.fail_open.unwrap_or(false));
        let mode = match (dry_run, fail_open) {
            (true, _) => Mode::DryRun,
            (false, true) => Mode::FailOpen,
            (false, false) => Mode::Enforce,
        };
        Ok(Rules {
            on,
            headers: self.headers.unwrap_or(true),
            set,
            keys,
            mode,
            cooldown: self.cooldown.unwrap_or(false),
            fail_open,
            dry_run,
        })
    }

    fn lines(&self) -> Lines {
        fn list<T: Clone>(list: &Option<Vec<T>>) -> Vec<T> {
            list.clone().unwrap_or_default()
        }
        Lines {
            key: self.key.clone(),
            requests_per_minute: self.requests_per_minute,
            burst_requests: self.burst_requests,
            tokens_per_minute: self.tokens_per_minute,
            concurrency: self.concurrency,
            rules: list(&self.rules),
            model_rpm: list(&self.model_rpm),
            model_tpm: list(&self.model_tpm),
            provider_rpm: list(&self.provider_rpm),
            provider_tpm: list(&self.provider_tpm),
            translated_rpm: self.translated_rpm,
            translated_tpm: self.translated_tpm,
            model_basis: self.model_basis.unwrap_or_default(),
            provider_basis: self.provider_basis.unwrap_or_default(),
            reserve_tokens: self.reserve_tokens.unwrap_or_default(),
            spend: list(&self.spend),
            time_zone: self.time_zone.clone().unwrap_or_default(),
            reserve_spend: list(&self.reserve_spend),
            unpriced: self.unpriced.unwrap_or_default(),
        }
    }
}

macro_rules! command {
    ($directive:ident, $set:expr) => {
        Command { directive: &surface::$directive, set: Set::Location($set), effect: None }
    };
    (main $directive:ident, $set:expr) => {
        Command { directive: &surface::$directive, set: Set::Main($set), effect: None }
    };
}

/// A directive that says one thing once: its name goes to the function that reads the argument.
macro_rules! one {
    ($directive:ident, $field:ident, $parse:expr) => {
        command!($directive, |args, conf| {
            let name = surface::$directive.name();
            once(name, &mut conf.ratelimit.$field, $parse(name, first(args)))
        })
    };
}

macro_rules! switch {
    ($directive:ident, $field:ident) => {
        command!($directive, |args, conf| {
            set_switch(surface::$directive.name(), &mut conf.ratelimit.$field, args)
        })
    };
}

macro_rules! list {
    ($directive:ident, $field:ident, $parse:expr) => {
        command!($directive, |args, conf| {
            let line = $parse(surface::$directive.name(), args)?;
            conf.ratelimit.$field.get_or_insert_default().push(line);
            Ok(())
        })
    };
}

/// The room's directives.
pub const COMMANDS: [Command; 26] = [
    switch!(LLM_RATELIMIT, on),
    command!(main LLM_RATELIMIT_ZONE, |args, conf| {
        once("llm_ratelimit_zone", &mut conf.limit_lines.zone, ZoneLine::parse(args))
    }),
    command!(main LLM_RATELIMIT_STATE, set_state),
    command!(LLM_RATELIMIT_KEY, |args, conf| {
        let key = args.first().map(|key| (*key).to_owned()).filter(|key| !key.is_empty());
        put("llm_ratelimit_key", &mut conf.ratelimit.key, args, key, "a text with variables")
    }),
    one!(LLM_RATELIMIT_REQUESTS_PER_MINUTE, requests_per_minute, number),
    one!(LLM_RATELIMIT_BURST_REQUESTS, burst_requests, number),
    one!(LLM_RATELIMIT_TOKENS_PER_MINUTE, tokens_per_minute, number),
    one!(LLM_RATELIMIT_CONCURRENCY, concurrency, number),
    list!(LLM_RATELIMIT_RULE, rules, |_, args| RuleLine::parse(args)),
    list!(LLM_RATELIMIT_MODEL_RPM, model_rpm, PatternLine::parse),
    list!(LLM_RATELIMIT_MODEL_TPM, model_tpm, PatternLine::parse),
    list!(LLM_RATELIMIT_PROVIDER_RPM, provider_rpm, PatternLine::parse),
    list!(LLM_RATELIMIT_PROVIDER_TPM, provider_tpm, PatternLine::parse),
    one!(LLM_RATELIMIT_TRANSLATED_RPM, translated_rpm, number),
    one!(LLM_RATELIMIT_TRANSLATED_TPM, translated_tpm, number),
    one!(LLM_RATELIMIT_MODEL_BASIS, model_basis, Basis::parse),
    one!(LLM_RATELIMIT_PROVIDER_BASIS, provider_basis, Basis::parse),
    one!(LLM_RATELIMIT_RESERVE_TOKENS, reserve_tokens, |_, word| Reserve::parse(word)),
    list!(LLM_RATELIMIT_SPEND_SCOPE, spend, |_, args| SpendLine::parse(args)),
    one!(LLM_RATELIMIT_SPEND_TIMEZONE, time_zone, |_, word| time_zone(word)),
    list!(LLM_RATELIMIT_RESERVE_SPEND, reserve_spend, |_, args| ReserveSpendLine::parse(args)),
    one!(LLM_RATELIMIT_UNPRICED, unpriced, |_, word| Unpriced::parse(word)),
    switch!(LLM_RATELIMIT_FAIL_OPEN, fail_open),
    switch!(LLM_RATELIMIT_DRY_RUN, dry_run),
    switch!(LLM_RATELIMIT_COOLDOWN, cooldown),
    switch!(LLM_RATELIMIT_HEADERS, headers),
];

fn set_state(args: &[&str], conf: &mut MainConf) -> Result<(), String> {
    once("llm_ratelimit_state", &mut conf.limit_lines.state, path(first(args)))
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
