//! What do the lines that steer fallback say, apart from the edges? The directive setters ask; each
//! parser's words say what to change.

use super::ClassSet;
use crate::units::{Zero, parse_time_ms, time_ms};

/// How failures of one location are answered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Policy {
    /// `llm_fallback`. Off: only the next key of a pool and a fresh connection are tried.
    pub enabled: bool,
    /// `llm_fallback_on`
    pub on: ClassSet,
    /// `llm_fallback_max_attempts`: all attempts of one client request.
    pub max_attempts: u32,
    /// `llm_fallback_retry`
    pub retry: Option<RetryLine>,
    /// `llm_fallback_allow_streaming`
    pub allow_streaming: bool,
    /// `llm_fallback_hold`
    pub hold: Hold,
}

impl Default for Policy {
    fn default() -> Self {
        Self {
            enabled: false,
            on: ClassSet::default(),
            max_attempts: Self::MAX_ATTEMPTS,
            retry: None,
            allow_streaming: true,
            hold: Hold::FirstToken,
        }
    }
}

impl Policy {
    /// `llm_fallback_max_attempts` where it is not written.
    pub const MAX_ATTEMPTS: u32 = 2;

    /// What an operator may not have meant.
    #[must_use]
    pub fn warnings(&self) -> Vec<String> {
        let times = self.retry.map_or(0, |retry| retry.times);
        if times == 0 || times.saturating_add(1) < self.max_attempts {
            return Vec::new();
        }
        vec![format!(
            "llm_fallback_retry {times} may use up llm_fallback_max_attempts {} at the first target",
            self.max_attempts
        )]
    }
}

/// An `llm_fallback_retry` line.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RetryLine {
    /// How often a target is tried again.
    pub times: u32,
    /// The shortest pause, in milliseconds.
    pub backoff_min_ms: u64,
    /// The longest pause, in milliseconds.
    pub backoff_max_ms: u64,
}

impl RetryLine {
    /// The retries that `<n> [backoff=<time>..<time>]` says.
    pub fn parse(args: &[&str]) -> Result<Self, String> {
        const DIRECTIVE: &str = "llm_fallback_retry";
        let (times, backoff) = match args {
            [times] => (times, None),
            [times, option] => (times, Some(*option)),
            _ => return Err(format!("\"{DIRECTIVE}\" needs a number and may have backoff=")),
        };
        let times = times.parse().map_err(|_| {
            format!("invalid number \"{times}\" in \"{DIRECTIVE}\", give retries such as 1")
        })?;
        let mut line = Self { times, backoff_min_ms: 250, backoff_max_ms: 2000 };
        if let Some(option) = backoff {
            let range = option.strip_prefix("backoff=").and_then(|range| range.split_once(".."));
            let times = range.and_then(|(min, max)| parse_time_ms(min).zip(parse_time_ms(max)));
            let Some((min, max)) = times.filter(|(min, max)| min <= max && *max > 0) else {
                return Err(format!(
                    "invalid parameter \"{option}\" in \"{DIRECTIVE}\", it must be \
                     backoff=<shortest>..<longest> such as backoff=250ms..2s"
                ));
            };
            (line.backoff_min_ms, line.backoff_max_ms) = (min, max);
        }
        Ok(line)
    }

    /// The pause before a retry, in milliseconds: between the shortest and a limit that doubles with
    /// each retry made before, up to the longest.
    #[must_use]
    pub fn pause_ms(&self, retries_before: u32, random: u64) -> u64 {
        let factor = 2u64.saturating_pow(retries_before.saturating_add(1));
        let limit_ms = self.backoff_min_ms.saturating_mul(factor).min(self.backoff_max_ms);
        let span_ms = limit_ms.saturating_sub(self.backoff_min_ms);
        self.backoff_min_ms + random % span_ms.saturating_add(1)
    }
}

/// `llm_fallback_mode`
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Mode {
    /// The chain in its order.
    #[default]
    Basic,
    /// Benched targets are skipped.
    Health,
    /// And the best of equals goes first.
    Latency,
}

impl Mode {
    /// The word.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Basic => "basic",
            Self::Health => "health",
            Self::Latency => "latency",
        }
    }

    /// The mode that the argument names.
    pub fn parse(word: &str) -> Result<Self, String> {
        choice("llm_fallback_mode", word, &[Self::Basic, Self::Health, Self::Latency], Self::name)
    }
}

/// `llm_fallback_hold`: how long the head of a stream is held.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Hold {
    /// Until the first event with content.
    #[default]
    FirstToken,
    /// Until the whole answer is known to be good.
    Complete,
}

impl Hold {
    /// The word.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::FirstToken => "first_token",
            Self::Complete => "complete",
        }
    }

    /// The choice that the argument names.
    pub fn parse(word: &str) -> Result<Self, String> {
        choice("llm_fallback_hold", word, &[Self::FirstToken, Self::Complete], Self::name)
    }
}

/// `llm_fallback_translation_fallback`: may a target of another dialect follow?
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum TranslationFallback {
    /// Yes.
    #[default]
    Allow,
    /// Behind all that need no translation.
    Discourage,
    /// Never.
    Forbid,
}

impl TranslationFallback {
    /// The word.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Allow => "allow",
            Self::Discourage => "discourage",
            Self::Forbid => "forbid",
        }
    }

    /// The choice that the argument names.
    pub fn parse(word: &str) -> Result<Self, String> {
        let all = [Self::Allow, Self::Discourage, Self::Forbid];
        choice("llm_fallback_translation_fallback", word, &all, Self::name)
    }
}

/// An `llm_fallback_probe` line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ProbeLine {
    /// The provider to ask.
    pub provider: String,
    /// The path as it is sent.
    pub uri: String,
    /// Milliseconds between two probes.
    pub interval_ms: u64,
    /// Milliseconds a probe may take.
    pub timeout_ms: u64,
}

impl ProbeLine {
    /// The probe that `<provider> [uri=] [interval=] [timeout=]` says.
    pub fn parse(args: &[&str]) -> Result<Self, String> {
        const DIRECTIVE: &str = "llm_fallback_probe";
        let [provider, options @ ..] = args else {
            return Err(format!("\"{DIRECTIVE}\" needs a provider"));
        };
        let mut probe = Self {
            provider: (*provider).to_owned(),
            uri: "/v1/models".to_owned(),
            interval_ms: 30_000,
            timeout_ms: 2000,
        };
        let mut seen: Vec<&str> = Vec::new();
        for option in options {
            let (key, value) = option.split_once('=').unwrap_or((option, ""));
            if seen.contains(&key) {
                return Err(format!("duplicate \"{key}\" in \"{DIRECTIVE}\": \"{option}\""));
            }
            seen.push(key);
            let time = time_ms(value, Zero::Refused);
            let is_path = value.starts_with('/') && value.bytes().all(|b| b.is_ascii_graphic());
            match (key, time) {
                ("uri", _) if is_path => value.clone_into(&mut probe.uri),
                ("interval", Some(ms)) => probe.interval_ms = ms,
                ("timeout", Some(ms)) => probe.timeout_ms = ms,
                _ => {
                    return Err(format!(
                        "invalid parameter \"{option}\" in \"{DIRECTIVE}\", it must be uri=/path, \
                         interval=<time> or timeout=<time>"
                    ));
                }
            }
        }
        Ok(probe)
    }
}

/// The argument of `llm_fallback_max_attempts`.
pub fn max_attempts(word: &str) -> Result<u32, String> {
    word.parse().ok().filter(|&attempts| attempts > 0).ok_or_else(|| {
        format!("invalid number \"{word}\" in \"llm_fallback_max_attempts\", give at least 1")
    })
}

/// The argument of `llm_fallback_retry_budget`, in percent; `None` is off.
pub fn retry_budget(word: &str) -> Result<Option<u32>, String> {
    if word == "off" {
        return Ok(None);
    }
    let percent = word.strip_suffix('%').unwrap_or(word).parse();
    percent.ok().filter(|percent| *percent <= 100).map(Some).ok_or_else(|| {
        format!(
            "invalid percentage \"{word}\" in \"llm_fallback_retry_budget\", give one from 0 to 100 \
             such as 20%, or off"
        )
    })
}

fn choice<T: Copy>(
    directive: &str,
    word: &str,
    all: &[T],
    name: impl Fn(T) -> &'static str,
) -> Result<T, String> {
    all.iter().copied().find(|one| name(*one) == word).ok_or_else(|| {
        let names: Vec<_> = all.iter().map(|one| name(*one)).collect();
        format!("invalid value \"{word}\" in \"{directive}\", it must be {}", names.join(" or "))
    })
}

#[cfg(test)]
mod tests;
