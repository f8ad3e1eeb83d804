//! The lines that are about money.

use super::super::spend::Cap;
use super::super::window::{SpendWindow, TimeZone};
use crate::cost::{Pico, PicoError, Rate};

const SCOPE: &str = "llm_ratelimit_spend_scope";
const RESERVE: &str = "llm_ratelimit_reserve_spend";
const UNPRICED: &str = "llm_ratelimit_unpriced";

/// The largest budget, in units; far below what a record can hold.
const MAX_UNITS: u128 = 1_000_000_000_000_000;

/// Whose a budget is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Scope {
    /// Of an organisation.
    Organization,
    /// Of a project.
    Project,
    /// Of a client.
    Client,
}

impl Scope {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Organization, Self::Project, Self::Client];

    /// Its word.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Organization => "organization",
            Self::Project => "project",
            Self::Client => "client",
        }
    }
}

/// An `llm_ratelimit_spend_scope` line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SpendLine {
    /// Whose the budget is.
    pub scope: Scope,
    /// The cost unit, in lower case.
    pub unit: String,
    /// Texts with variables that tell whose it is.
    pub keys: Vec<String>,
    /// How much may be spent.
    pub budget: Pico,
    /// In which time.
    pub window: SpendWindow,
    /// How it binds.
    pub cap: Cap,
}

impl SpendLine {
    /// What the arguments behind the directive's name say.
    pub fn parse(args: &[&str]) -> Result<Self, String> {
        let [scope, unit, rest @ ..] = args else { return Err(needs()) };
        let scope = Scope::ALL.into_iter().find(|one| one.name() == *scope).ok_or_else(|| {
            format!(
                "invalid scope \"{scope}\" in \"{SCOPE}\", it must be organization, project or client"
            )
        })?;
        let (mut rest, mut window, mut cap) = (rest, None, Cap::Hard);
        while let [before @ .., word] = rest {
            if let Some(name) = word.strip_prefix("window=") {
                let parsed = SpendWindow::parse(name).ok_or_else(|| {
                    format!(
                        "invalid window \"{word}\" in \"{SCOPE}\", it must be window=month, \
                         window=week, window=day or window=total"
                    )
                })?;
                if window.replace(parsed).is_some() {
                    return Err(format!("duplicate window in \"{SCOPE}\": \"{word}\""));
                }
            } else if *word == "soft" {
                if cap == Cap::Soft {
                    return Err(format!("duplicate \"soft\" in \"{SCOPE}\""));
                }
                cap = Cap::Soft;
            } else {
                break;
            }
            rest = before;
        }
        let [keys @ .., budget] = rest else { return Err(needs()) };
        if keys.is_empty() || keys.iter().any(|key| key.is_empty()) {
            return Err(needs());
        }
        Ok(Self {
            scope,
            unit: unit_name(SCOPE, unit)?,
            keys: keys.iter().map(|key| (*key).to_owned()).collect(),
            budget: amount(SCOPE, "budget", budget)?,
            window: window.unwrap_or_default(),
            cap,
        })
    }

    /// What the line is called in messages and answers, such as `project usd month`.
    #[must_use]
    pub fn name(&self) -> String {
        format!("{} {} {}", self.scope.name(), self.unit, self.window.name())
    }
}

fn needs() -> String {
    format!(
        "\"{SCOPE}\" needs a scope, a unit, at least one variable and a budget, such as project usd \
         $org $project 800"
    )
}

fn unit_name(directive: &str, text: &str) -> Result<String, String> {
    let part = |byte: u8| byte.is_ascii_alphanumeric() || b"_-".contains(&byte);
    if text.is_empty() || text.len() > 32 || !text.bytes().all(part) {
        return Err(format!(
            "invalid unit \"{text}\" in \"{directive}\", use up to 32 letters, digits, \"_\" and \
             \"-\", such as usd"
        ));
    }
    Ok(text.to_ascii_lowercase())
}

fn amount(directive: &str, what: &str, text: &str) -> Result<Pico, String> {
    let parsed = text.parse().and_then(|pico: Pico| {
        if pico.0 > MAX_UNITS * Pico::UNIT.0 { Err(PicoError::TooLarge) } else { Ok(pico) }
    });
    parsed.map_err(|why| {
        let why = match why {
            PicoError::Syntax => "give a decimal number such as 800 or 0.25",
            PicoError::TooFine => "it may have 12 decimals",
            PicoError::TooLarge => "it may be 1000000000000000 at most",
        };
        format!("invalid {what} \"{text}\" in \"{directive}\", {why}")
    })
}

/// An `llm_ratelimit_reserve_spend` line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ReserveSpendLine {
    /// The cost unit, in lower case.
    pub unit: String,
    /// The same for each request; `None` is by its size and its rates.
    pub amount: Option<Pico>,
}

impl ReserveSpendLine {
    /// What the arguments behind the directive's name say.
    pub fn parse(args: &[&str]) -> Result<Self, String> {
        let [unit, text] = args else {
            return Err(format!("\"{RESERVE}\" needs a unit, and auto or an amount"));
        };
        let fixed = if *text == "auto" { None } else { Some(amount(RESERVE, "amount", text)?) };
        Ok(Self { unit: unit_name(RESERVE, unit)?, amount: fixed })
    }
}

/// `llm_ratelimit_unpriced`: what happens to a request without a rate where a budget applies.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Unpriced {
    /// It is refused.
    #[default]
    Deny,
    /// It passes and is not counted.
    Allow,
    /// It is reserved and counted at these rates.
    Rate {
        /// Of input.
        input: Rate,
        /// Of output.
        output: Rate,
    },
}

impl Unpriced {
    /// What a word says.
    pub fn parse(word: &str) -> Result<Self, String> {
        match word {
            "deny" => return Ok(Self::Deny),
            "allow" => return Ok(Self::Allow),
            _ => {}
        }
        let rates = word.strip_prefix("rate=").and_then(|rates| rates.split_once('/'));
        let parsed =
            rates.and_then(|(input, output)| Some((input.parse().ok()?, output.parse().ok()?)));
        let (input, output) = parsed.ok_or_else(|| {
            format!(
                "invalid value \"{word}\" in \"{UNPRICED}\", it must be deny, allow or \
                 rate=<input>/<output> with prices per million tokens of at most 6 decimals"
            )
        })?;
        Ok(Self::Rate { input, output })
    }
}

/// `llm_ratelimit_spend_timezone`
pub fn time_zone(word: &str) -> Result<TimeZone, String> {
    TimeZone::parse(word).ok_or_else(|| {
        format!(
            "unknown time zone \"{word}\" in \"llm_ratelimit_spend_timezone\", give a name such as \
             UTC or Europe/Berlin"
        )
    })
}
