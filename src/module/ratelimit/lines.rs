//! The room's directives: what was typed, how it is inherited, and what it means at a location.

use llm_core::ratelimit::{
    Basis, Lines, Mode, PatternLine, Reserve, ReserveSpendLine, RuleLine, RuleSet, SpendLine,
    TimeZone, Unpriced, ZoneLine, number, path, time_zone,
};

use super::Rules;
use crate::conf::Command;
use crate::ffi::value::Reading;
use crate::setting::{command, first, inherit, list, once, put, switch, text, word};

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
        inherit(&mut self.on, &outer.on);
        inherit(&mut self.key, &outer.key);
        inherit(&mut self.requests_per_minute, &outer.requests_per_minute);
        inherit(&mut self.burst_requests, &outer.burst_requests);
        inherit(&mut self.tokens_per_minute, &outer.tokens_per_minute);
        inherit(&mut self.concurrency, &outer.concurrency);
        inherit(&mut self.rules, &outer.rules);
        inherit(&mut self.model_rpm, &outer.model_rpm);
        inherit(&mut self.model_tpm, &outer.model_tpm);
        inherit(&mut self.provider_rpm, &outer.provider_rpm);
        inherit(&mut self.provider_tpm, &outer.provider_tpm);
        inherit(&mut self.translated_rpm, &outer.translated_rpm);
        inherit(&mut self.translated_tpm, &outer.translated_tpm);
        inherit(&mut self.model_basis, &outer.model_basis);
        inherit(&mut self.provider_basis, &outer.provider_basis);
        inherit(&mut self.reserve_tokens, &outer.reserve_tokens);
        inherit(&mut self.spend, &outer.spend);
        inherit(&mut self.time_zone, &outer.time_zone);
        inherit(&mut self.reserve_spend, &outer.reserve_spend);
        inherit(&mut self.unpriced, &outer.unpriced);
        inherit(&mut self.fail_open, &outer.fail_open);
        inherit(&mut self.dry_run, &outer.dry_run);
        inherit(&mut self.cooldown, &outer.cooldown);
        inherit(&mut self.headers, &outer.headers);
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

/// The room's directives.
pub const COMMANDS: [Command; 26] = [
    switch!(LLM_RATELIMIT, ratelimit.on),
    once!(main LLM_RATELIMIT_ZONE, limit_lines.zone, |_, args| ZoneLine::parse(args)),
    once!(main LLM_RATELIMIT_STATE, limit_lines.state, |_, args| path(first(args))),
    command!(LLM_RATELIMIT_KEY, |args, conf| {
        let key = text(args).filter(|key| !key.is_empty());
        put("llm_ratelimit_key", &mut conf.ratelimit.key, args, key, "a text with variables")
    }),
    word!(LLM_RATELIMIT_REQUESTS_PER_MINUTE, ratelimit.requests_per_minute, number),
    word!(LLM_RATELIMIT_BURST_REQUESTS, ratelimit.burst_requests, number),
    word!(LLM_RATELIMIT_TOKENS_PER_MINUTE, ratelimit.tokens_per_minute, number),
    word!(LLM_RATELIMIT_CONCURRENCY, ratelimit.concurrency, number),
    list!(LLM_RATELIMIT_RULE, ratelimit.rules, |_, args| RuleLine::parse(args)),
    list!(LLM_RATELIMIT_MODEL_RPM, ratelimit.model_rpm, PatternLine::parse),
    list!(LLM_RATELIMIT_MODEL_TPM, ratelimit.model_tpm, PatternLine::parse),
    list!(LLM_RATELIMIT_PROVIDER_RPM, ratelimit.provider_rpm, PatternLine::parse),
    list!(LLM_RATELIMIT_PROVIDER_TPM, ratelimit.provider_tpm, PatternLine::parse),
    word!(LLM_RATELIMIT_TRANSLATED_RPM, ratelimit.translated_rpm, number),
    word!(LLM_RATELIMIT_TRANSLATED_TPM, ratelimit.translated_tpm, number),
    word!(LLM_RATELIMIT_MODEL_BASIS, ratelimit.model_basis, Basis::parse),
    word!(LLM_RATELIMIT_PROVIDER_BASIS, ratelimit.provider_basis, Basis::parse),
    word!(LLM_RATELIMIT_RESERVE_TOKENS, ratelimit.reserve_tokens, |_, word| Reserve::parse(word)),
    list!(LLM_RATELIMIT_SPEND_SCOPE, ratelimit.spend, |_, args| SpendLine::parse(args)),
    word!(LLM_RATELIMIT_SPEND_TIMEZONE, ratelimit.time_zone, |_, word| time_zone(word)),
    list!(LLM_RATELIMIT_RESERVE_SPEND, ratelimit.reserve_spend, |_, args| {
        ReserveSpendLine::parse(args)
    }),
    word!(LLM_RATELIMIT_UNPRICED, ratelimit.unpriced, |_, word| Unpriced::parse(word)),
    switch!(LLM_RATELIMIT_FAIL_OPEN, ratelimit.fail_open),
    switch!(LLM_RATELIMIT_DRY_RUN, ratelimit.dry_run),
    switch!(LLM_RATELIMIT_COOLDOWN, ratelimit.cooldown),
    switch!(LLM_RATELIMIT_HEADERS, ratelimit.headers),
];
