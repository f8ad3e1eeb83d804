//! What does one line of `llm_ratelimit` say, and is it spelled right? The directive setters ask;
//! whether lines fit together is for [`super::RuleSet::new`].

mod spend;

pub use spend::{ReserveSpendLine, Scope, SpendLine, Unpriced, time_zone};

use super::bucket::{MAX_WINDOW_MS, Rate};
use crate::units::{parse_size, parse_time_ms};

const RULE: &str = "llm_ratelimit_rule";

/// What of a request counts in a bucket.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Measure {
    /// The request itself.
    Requests,
    /// All tokens.
    Total,
    /// Tokens of the input, cached ones included.
    Input,
    /// Tokens of the output.
    Output,
    /// All tokens but those that were read from a cache.
    Uncached,
}

impl Measure {
    /// Its word in `count=`; requests have none.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Requests => "requests",
            Self::Total => "total",
            Self::Input => "input",
            Self::Output => "output",
            Self::Uncached => "uncached",
        }
    }

    fn parse(word: &str) -> Option<Self> {
        [Self::Total, Self::Input, Self::Output, Self::Uncached]
            .into_iter()
            .find(|measure| measure.name() == word)
    }
}

/// What a rule allows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Allowance {
    /// So much in a time.
    Rate(Measure, Rate),
    /// So many at once.
    Concurrency(u64),
}

/// An `llm_ratelimit_rule` line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RuleLine {
    /// The identity, a text with variables.
    pub key: String,
    /// What is allowed to it.
    pub allowance: Allowance,
    /// `model=`, a name or a wildcard.
    pub model: Option<String>,
    /// `provider=`, a name or a wildcard.
    pub provider: Option<String>,
}

impl RuleLine {
    /// What the arguments behind the directive's name say.
    pub fn parse(args: &[&str]) -> Result<Self, String> {
        let [key, what, amount, options @ ..] = args else {
            return Err(format!(
                "\"{RULE}\" needs a key, requests, tokens or concurrency, and a number"
            ));
        };
        if key.is_empty() {
            return Err(format!("\"{RULE}\" needs a key with variables, not \"\""));
        }
        let options = Options::parse(what, options)?;
        let allowance = match *what {
            "requests" => {
                let (n, window_ms) = rate(amount)?;
                let rate = Rate::new(n, options.burst.unwrap_or(0), window_ms);
                Allowance::Rate(Measure::Requests, rate)
            }
            "tokens" => {
                let (n, window_ms) = rate(amount)?;
                let rate = Rate::new(n, options.burst.unwrap_or(0), window_ms);
                Allowance::Rate(options.count.unwrap_or(Measure::Total), rate)
            }
            "concurrency" => Allowance::Concurrency(number(RULE, amount)?),
            _ => {
                return Err(format!(
                    "invalid limit \"{what}\" in \"{RULE}\", it must be requests, tokens or \
                     concurrency"
                ));
            }
        };
        let Options { model, provider, .. } = options;
        Ok(Self { key: (*key).to_owned(), allowance, model, provider })
    }
}

/// What stands behind the number.
#[derive(Default)]
struct Options {
    burst: Option<u64>,
    model: Option<String>,
    provider: Option<String>,
    count: Option<Measure>,
}

impl Options {
    fn parse(what: &str, words: &[&str]) -> Result<Self, String> {
        let mut options = Self::default();
        for word in words {
            let (name, value) = word.split_once('=').unwrap_or((word, ""));
            let is_new = match name {
                "burst" if what != "concurrency" => options
                    .burst
                    .replace(whole(value).ok_or_else(|| invalid(what, word))?)
                    .is_none(),
                "count" if what == "tokens" => options
                    .count
                    .replace(Measure::parse(value).ok_or_else(|| invalid(what, word))?)
                    .is_none(),
                "model" => options.model.replace(pattern(RULE, word, value)?).is_none(),
                "provider" => options.provider.replace(pattern(RULE, word, value)?).is_none(),
                _ => return Err(invalid(what, word)),
            };
            if !is_new {
                return Err(format!("duplicate {name} in \"{RULE}\": \"{word}\""));
            }
        }
        Ok(options)
    }
}

fn invalid(what: &str, word: &str) -> String {
    let options = match what {
        "requests" => "burst=<number>, model=<pattern> or provider=<pattern>",
        "concurrency" => "model=<pattern> or provider=<pattern>",
        _ => {
            "burst=<number>, model=<pattern>, provider=<pattern> or \
             count=<total, input, output or uncached>"
        }
    };
    format!("invalid parameter \"{word}\" in \"{RULE}\", it must be {options}")
}

/// `600/m`: so many in a window.
fn rate(text: &str) -> Result<(u64, u64), String> {
    let parsed = text.split_once('/').and_then(|(n, window)| {
        let n = whole(n).filter(|n| *n > 0)?;
        Some((n, window_ms(window)?))
    });
    parsed.ok_or_else(|| {
        format!(
            "invalid rate \"{text}\" in \"{RULE}\", give a number above 0 and a window of at most \
             366 days, such as 600/m, 10/s or 5000/12h"
        )
    })
}

fn window_ms(text: &str) -> Option<u64> {
    let ms = match text {
        "s" | "second" => 1000,
        "m" | "minute" => 60_000,
        "h" | "hour" => 3_600_000,
        "d" | "day" => 86_400_000,
        _ => parse_time_ms(text)?,
    };
    (1..=MAX_WINDOW_MS).contains(&ms).then_some(ms)
}

/// A number without sign, point and blanks.
fn whole(text: &str) -> Option<u64> {
    text.bytes().all(|byte| byte.is_ascii_digit()).then(|| text.parse().ok()).flatten()
}

/// A number above 0, as most directives take it.
pub fn number(directive: &str, text: &str) -> Result<u64, String> {
    whole(text).filter(|number| *number > 0).ok_or_else(|| {
        format!("invalid number \"{text}\" in \"{directive}\", give a whole number above 0")
    })
}

fn pattern(directive: &str, word: &str, text: &str) -> Result<String, String> {
    if text.is_empty() || text.contains(|c: char| c.is_control() || c == ' ' || c == '$') {
        return Err(format!(
            "invalid pattern \"{word}\" in \"{directive}\", give a name or a wildcard such as gpt-*"
        ));
    }
    Ok(text.to_owned())
}

/// A line of `llm_ratelimit_model_rpm` and its like.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PatternLine {
    /// A name or a wildcard.
    pub pattern: String,
    /// So many in a minute.
    pub n: u64,
}

impl PatternLine {
    /// What the arguments behind the directive's name say.
    pub fn parse(directive: &str, args: &[&str]) -> Result<Self, String> {
        let [text, n] = args else {
            return Err(format!("\"{directive}\" needs a pattern and a number"));
        };
        Ok(Self { pattern: pattern(directive, text, text)?, n: number(directive, n)? })
    }
}

/// By which provider or model a rule goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Hash)]
pub enum Basis {
    /// The one that the client asked for, counted once.
    Requested,
    /// The one that an attempt goes to, counted for each attempt.
    #[default]
    Effective,
}

impl Basis {
    /// What a word says.
    pub fn parse(directive: &str, word: &str) -> Result<Self, String> {
        match word {
            "requested" => Ok(Self::Requested),
            "effective" => Ok(Self::Effective),
            _ => Err(format!(
                "invalid value \"{word}\" in \"{directive}\", it must be requested or effective"
            )),
        }
    }
}

/// `llm_ratelimit_reserve_tokens`
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Reserve {
    /// By the request's size and its output limit.
    #[default]
    Auto,
    /// The same for each request.
    Fixed(u64),
}

impl Reserve {
    /// What a word says.
    pub fn parse(word: &str) -> Result<Self, String> {
        if word == "auto" {
            return Ok(Self::Auto);
        }
        whole(word).map(Self::Fixed).ok_or_else(|| {
            format!(
                "invalid number \"{word}\" in \"llm_ratelimit_reserve_tokens\", give auto or a \
                 number of tokens"
            )
        })
    }
}

/// `llm_ratelimit_zone`
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ZoneLine {
    /// The zone's name.
    pub name: String,
    /// Its size.
    pub bytes: usize,
}

impl ZoneLine {
    /// A zone of less would have no room for anything.
    const MIN_BYTES: usize = 32 << 10;

    /// What the arguments behind the directive's name say.
    pub fn parse(args: &[&str]) -> Result<Self, String> {
        const ZONE: &str = "llm_ratelimit_zone";
        let [name, size] = args else { return Err(format!("\"{ZONE}\" needs a name and a size")) };
        let part = |c: char| c.is_ascii_alphanumeric() || c == '_' || c == '-';
        if name.is_empty() || !name.chars().all(part) {
            return Err(format!(
                "invalid zone name \"{name}\" in \"{ZONE}\", use letters, digits, \"_\" and \"-\""
            ));
        }
        let bytes = parse_size(size).and_then(|bytes| usize::try_from(bytes).ok());
        match bytes.filter(|bytes| *bytes >= Self::MIN_BYTES) {
            Some(bytes) => Ok(Self { name: (*name).to_owned(), bytes }),
            None => {
                Err(format!("invalid size \"{size}\" in \"{ZONE}\", give at least 32k, such as 4m"))
            }
        }
    }
}

/// `llm_ratelimit_state`: a path, or `off`.
pub fn path(word: &str) -> Result<Option<String>, String> {
    if word == "off" {
        return Ok(None);
    }
    if word.is_empty() || word.contains(char::is_control) || word.contains('$') {
        return Err(format!(
            "invalid path \"{word}\" in \"llm_ratelimit_state\", give a file name without variables, \
             or off"
        ));
    }
    Ok(Some(word.to_owned()))
}

#[cfg(test)]
mod tests;
