//! From lines to limits: what contradicts itself is found here.

use std::cmp::Reverse;

use super::super::bucket::Rate;
use super::super::key::Key;
use super::super::line::{Allowance, Basis, Measure, PatternLine, RuleLine, SpendLine};
use super::super::window::Calendar;
use super::{Group, Limit, Lines, Quota, RuleSet, Side, Spending};
use crate::pattern::{Pattern, fold};

const MINUTE_MS: u64 = 60_000;

impl RuleSet {
    /// What the lines of a location come to.
    pub fn new(lines: &Lines) -> Result<Self, String> {
        let mut set = Self {
            keys: Vec::new(),
            has_identity: lines.key.is_some(),
            limits: Vec::new(),
            spends: Vec::new(),
            reserve_tokens: lines.reserve_tokens,
            unpriced: lines.unpriced,
        };
        check_burst(lines)?;
        set.add_identity_limits(lines)?;
        for line in &lines.rules {
            set.add_rule(line, lines)?;
        }
        for line in &lines.spend {
            set.add_spend(line, lines)?;
        }
        for (at, line) in lines.reserve_spend.iter().enumerate() {
            let (before, _) = lines.reserve_spend.split_at_checked(at).unwrap_or_default();
            if before.iter().any(|one| one.unit == line.unit) {
                return Err(format!(
                    "duplicate unit \"{}\" in \"llm_ratelimit_reserve_spend\"",
                    line.unit
                ));
            }
        }
        Ok(set)
    }

    fn add_identity_limits(&mut self, lines: &Lines) -> Result<(), String> {
        let Some(text) = &lines.key else {
            return match identity_directive(lines) {
                None => Ok(()),
                Some(name) => {
                    Err(format!("\"{name}\" needs an identity, add llm_ratelimit_key <text>"))
                }
            };
        };
        let key = self.key(text);
        let burst = lines.burst_requests.unwrap_or(0);
        let rpm = |n: u64| Quota::Rate(Measure::Requests, Rate::new(n, burst, MINUTE_MS));
        let tpm = |n: u64| Quota::Rate(Measure::Total, Rate::new(n, 0, MINUTE_MS));
        let mut add = |directive: &str, quota, group, is_translated| {
            let (model, provider) = (None, None);
            let draft =
                Draft { directive, key, text, quota, group, model, provider, is_translated };
            self.limits.push(draft.limit());
        };
        for (directive, quota, group, is_translated) in [
            ("requests_per_minute", lines.requests_per_minute.map(rpm), Group::General, false),
            ("tokens_per_minute", lines.tokens_per_minute.map(tpm), Group::General, false),
            ("concurrency", lines.concurrency.map(Quota::Concurrency), Group::Alone, false),
            ("translated_rpm", lines.translated_rpm.map(rpm_alone), Group::Alone, true),
            ("translated_tpm", lines.translated_tpm.map(tpm), Group::Alone, true),
        ] {
            if let Some(quota) = quota {
                add(directive, quota, group, is_translated);
            }
        }
        let patterns: [(&str, &[PatternLine], Quoted, Basis, u8); 4] = [
            ("model_rpm", &lines.model_rpm, rpm_alone, lines.model_basis, 0),
            ("model_tpm", &lines.model_tpm, tpm, lines.model_basis, 1),
            ("provider_rpm", &lines.provider_rpm, rpm_alone, lines.provider_basis, 2),
            ("provider_tpm", &lines.provider_tpm, tpm, lines.provider_basis, 3),
        ];
        for (directive, lines, quoted, basis, group) in patterns {
            self.add_patterns(directive, lines, |line| {
                let side = Some(Side::new(&line.pattern, basis));
                let is_model = directive.starts_with("model");
                let (model, provider) = if is_model { (side, None) } else { (None, side) };
                let (group, quota) = (Group::BestOf(group), quoted(line.n));
                Draft { directive, key, text, quota, group, model, provider, is_translated: false }
            })?;
        }
        Ok(())
    }

    /// Adds the lines of a directive, the most special pattern first.
    fn add_patterns<'a>(
        &mut self,
        directive: &str,
        lines: &'a [PatternLine],
        draft: impl Fn(&'a PatternLine) -> Draft<'a>,
    ) -> Result<(), String> {
        let mut lines: Vec<_> =
            lines.iter().map(|line| (Pattern::new(&line.pattern), line)).collect();
        lines.sort_by_key(|(pattern, _)| Reverse(pattern.rank()));
        for (at, (pattern, line)) in lines.iter().enumerate() {
            if lines.iter().take(at).any(|(other, _)| other == pattern) {
                return Err(format!(
                    "duplicate pattern \"{}\" in \"llm_ratelimit_{directive}\"",
                    line.pattern
                ));
            }
            self.limits.push(draft(line).limit());
        }
        Ok(())
    }

    fn add_rule(&mut self, line: &RuleLine, lines: &Lines) -> Result<(), String> {
        let quota = match line.allowance {
            Allowance::Rate(measure, rate) => Quota::Rate(measure, rate),
            Allowance::Concurrency(n) => Quota::Concurrency(n),
        };
        let limit = Draft {
            directive: "rule",
            key: self.key(&line.key),
            text: &line.key,
            quota,
            group: Group::Alone,
            model: line.model.as_deref().map(|text| Side::new(text, lines.model_basis)),
            provider: line.provider.as_deref().map(|text| Side::new(text, lines.provider_basis)),
            is_translated: false,
        }
        .limit();
        if self.limits.iter().any(|other| other.id == limit.id) {
            return Err(format!(
                "duplicate rule \"{}\" for the key \"{}\" in \"llm_ratelimit_rule\": it counts the \
                 same as another one",
                limit.name, line.key
            ));
        }
        self.limits.push(limit);
        Ok(())
    }

    fn add_spend(&mut self, line: &SpendLine, lines: &Lines) -> Result<(), String> {
        let keys: Vec<_> = line.keys.iter().map(|text| self.key(text)).collect();
        let id =
            Key::new("spend").name(line.scope.name()).name(&line.unit).name(line.window.name());
        let id = id.finish();
        if self.spends.iter().any(|other| other.id == id && other.keys == keys) {
            return Err(format!(
                "duplicate budget \"{}\" in \"llm_ratelimit_spend_scope\"",
                line.name()
            ));
        }
        let fixed = lines.reserve_spend.iter().find(|one| one.unit == line.unit);
        self.spends.push(Spending {
            name: line.name(),
            unit: line.unit.clone(),
            budget: line.budget,
            calendar: Calendar::new(line.window, lines.time_zone.clone()),
            scope: line.scope,
            cap: line.cap,
            id,
            start: Key::new("budget").number(id),
            keys,
            reserve: fixed.and_then(|one| one.amount),
        });
        Ok(())
    }

    fn key(&mut self, text: &str) -> usize {
        self.keys.iter().position(|known| known == text).unwrap_or_else(|| {
            self.keys.push(text.to_owned());
            self.keys.len() - 1
        })
    }
}

type Quoted = fn(u64) -> Quota;

fn rpm_alone(n: u64) -> Quota {
    Quota::Rate(Measure::Requests, Rate::new(n, 0, MINUTE_MS))
}

fn check_burst(lines: &Lines) -> Result<(), String> {
    if lines.burst_requests.is_some() && lines.requests_per_minute.is_none() {
        return Err("\"llm_ratelimit_burst_requests\" is added to a limit, add \
                    llm_ratelimit_requests_per_minute <number>"
            .to_owned());
    }
    Ok(())
}

/// A directive that is there and cannot do without an identity.
fn identity_directive(lines: &Lines) -> Option<&'static str> {
    [
        ("llm_ratelimit_requests_per_minute", lines.requests_per_minute.is_some()),
        ("llm_ratelimit_tokens_per_minute", lines.tokens_per_minute.is_some()),
        ("llm_ratelimit_concurrency", lines.concurrency.is_some()),
        ("llm_ratelimit_model_rpm", !lines.model_rpm.is_empty()),
        ("llm_ratelimit_model_tpm", !lines.model_tpm.is_empty()),
        ("llm_ratelimit_provider_rpm", !lines.provider_rpm.is_empty()),
        ("llm_ratelimit_provider_tpm", !lines.provider_tpm.is_empty()),
        ("llm_ratelimit_translated_rpm", lines.translated_rpm.is_some()),
        ("llm_ratelimit_translated_tpm", lines.translated_tpm.is_some()),
    ]
    .into_iter()
    .find_map(|(name, is_there)| is_there.then_some(name))
}

impl Side {
    fn new(text: &str, basis: Basis) -> Self {
        Self { pattern: Pattern::new(text), text: text.to_owned(), basis }
    }
}

/// A limit before it has a name and an id.
struct Draft<'a> {
    directive: &'a str,
    key: usize,
    text: &'a str,
    quota: Quota,
    group: Group,
    model: Option<Side>,
    provider: Option<Side>,
    is_translated: bool,
}

impl Draft<'_> {
    /// The id holds what is limited and not how much, so that a number can be changed over a reload.
    fn limit(self) -> Limit {
        let (what, window_ms) = match self.quota {
            Quota::Rate(measure, rate) => (measure.name(), rate.window_ms()),
            Quota::Concurrency(_) => ("concurrency", 0),
        };
        let mut id = Key::new("limit").bytes(self.directive.as_bytes()).bytes(self.text.as_bytes());
        id = id.bytes(what.as_bytes()).number(window_ms);
        for side in [&self.model, &self.provider] {
            id = match side {
                Some(side) => id.number(1 + side.basis as u64).bytes(fold(&side.text).as_bytes()),
                None => id.number(0),
            };
        }
        let id = id.finish();
        Limit {
            name: self.name(what),
            id,
            start: Key::new("identity").number(id),
            key: self.key,
            quota: self.quota,
            model: self.model,
            provider: self.provider,
            is_translated: self.is_translated,
            group: self.group,
        }
    }

    /// What it is called in answers, such as `requests 600/1m model=gpt-4o`; never the key.
    fn name(&self, what: &str) -> String {
        let mut name = match self.quota {
            Quota::Concurrency(n) => format!("concurrency {n}"),
            Quota::Rate(Measure::Requests, rate) => {
                format!("requests {}/{}", rate.n(), window_text(rate.window_ms()))
            }
            Quota::Rate(Measure::Total, rate) => {
                format!("tokens {}/{}", rate.n(), window_text(rate.window_ms()))
            }
            Quota::Rate(_, rate) => {
                format!("tokens {}/{} count={what}", rate.n(), window_text(rate.window_ms()))
            }
        };
        for (word, side) in [("model", &self.model), ("provider", &self.provider)] {
            if let Some(Side { text, .. }) = side {
                name += &format!(" {word}={text}");
            }
        }
        if self.is_translated {
            name += " translated";
        }
        name
    }
}

/// The window as nginx would write it, in its largest unit.
fn window_text(ms: u64) -> String {
    const UNITS: [(u64, &str); 4] =
        [(86_400_000, "d"), (3_600_000, "h"), (60_000, "m"), (1000, "s")];
    let unit = UNITS.into_iter().find(|(unit_ms, _)| ms.is_multiple_of(*unit_ms));
    unit.map_or_else(|| format!("{ms}ms"), |(unit_ms, unit)| format!("{}{unit}", ms / unit_ms))
}
