//! What does `llm_fallback_cooldown` say?

use crate::units::{Zero, time_ms};

const DIRECTIVE: &str = "llm_fallback_cooldown";

/// When a target is benched, and for how long.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Params {
    /// The first bench, in milliseconds; each one that follows without a success between is twice as
    /// long.
    pub cooldown_ms: u64,
    /// The longest bench, in milliseconds.
    pub max_ms: u64,
    /// So many failures in a row bench; 0 never does.
    pub fails: u32,
    /// How far back the ratio looks, in milliseconds.
    pub window_ms: u64,
    /// Failures of a thousand attempts that bench; above 1000 none do.
    pub ratio_permille: u32,
    /// Attempts in the window below which the ratio says nothing.
    pub min: u32,
}

impl Default for Params {
    fn default() -> Self {
        Self {
            cooldown_ms: 10_000,
            max_ms: 300_000,
            fails: 5,
            window_ms: 30_000,
            ratio_permille: 500,
            min: 20,
        }
    }
}

impl Params {
    /// What `<time> [max=] [fails=] [window=] [ratio=] [min=]` says.
    pub fn parse(args: &[&str]) -> Result<Self, String> {
        let [cooldown, options @ ..] = args else {
            return Err(format!("\"{DIRECTIVE}\" needs a time"));
        };
        let cooldown_ms = time_ms(cooldown, Zero::Refused).ok_or_else(|| {
            format!("invalid time \"{cooldown}\" in \"{DIRECTIVE}\", give one such as 10s")
        })?;
        let mut params = Self { cooldown_ms, ..Self::default() };
        params.max_ms = params.max_ms.max(cooldown_ms);
        let mut seen: Vec<&str> = Vec::new();
        for option in options {
            let (key, value) = option.split_once('=').unwrap_or((option, ""));
            if seen.contains(&key) {
                return Err(format!("duplicate \"{key}\" in \"{DIRECTIVE}\": \"{option}\""));
            }
            seen.push(key);
            params.set(key, value).ok_or_else(|| {
                format!(
                    "invalid parameter \"{option}\" in \"{DIRECTIVE}\", it must be max=<time>, \
                     fails=<n>, window=<time>, ratio=<0 to 1> or min=<n>"
                )
            })?;
        }
        if params.max_ms < params.cooldown_ms {
            return Err(format!(
                "\"{DIRECTIVE} {cooldown}\" is longer than its max=, raise max= or lower the time"
            ));
        }
        Ok(params)
    }

    fn set(&mut self, key: &str, value: &str) -> Option<()> {
        match key {
            "max" => self.max_ms = time_ms(value, Zero::Refused)?,
            "fails" => self.fails = value.parse().ok()?,
            "window" => self.window_ms = time_ms(value, Zero::Refused)?,
            "ratio" => self.ratio_permille = permille(value)?,
            "min" => self.min = value.parse().ok().filter(|min| *min > 0)?,
            _ => return None,
        }
        Some(())
    }
}

/// A ratio from 0 to 1 with up to three decimals, in thousandths; 0 would bench always and is none.
fn permille(text: &str) -> Option<u32> {
    let (whole, fraction) = text.split_once('.').unwrap_or((text, "0"));
    let is_number = |digits: &str| !digits.is_empty() && digits.bytes().all(|b| b.is_ascii_digit());
    if !is_number(whole) || !is_number(fraction) || fraction.len() > 3 {
        return None;
    }
    let fraction: u32 = format!("{fraction:0<3}").parse().ok()?;
    let permille = whole.parse::<u32>().ok()?.checked_mul(1000)?.checked_add(fraction)?;
    (1..=1000).contains(&permille).then_some(permille)
}

#[cfg(test)]
mod tests;
