//! What is a client told about its limits? Of all that were asked, the tightest of requests and the
//! tightest of tokens, in the headers that OpenAI's clients read and in those of the IETF's draft
//! (draft-ietf-httpapi-ratelimit-headers).

use std::fmt::Write as _;

use super::bucket::Rate;
use super::clerk::{Ask, Held, Refused, Want};
use super::line::Measure;

/// The largest integer of a structured field (RFC 9651).
const MAX_INTEGER: u64 = 999_999_999_999_999;

/// One limit as a client sees it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Shown {
    /// How much passes at once at most.
    pub limit: u64,
    /// How much is left of it.
    pub remaining: u64,
    /// When all of it will be back, in milliseconds.
    pub reset_ms: u64,
    /// In which time the whole limit comes back, in milliseconds.
    pub window_ms: u64,
}

/// The tightest limits.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Headers {
    /// Of requests.
    pub requests: Option<Shown>,
    /// Of tokens.
    pub tokens: Option<Shown>,
}

impl Headers {
    /// Of what is held, and of what has refused.
    #[must_use]
    pub fn new(held: &[Held], refused: Option<&Refused>) -> Self {
        let mut headers = Self::default();
        for one in held {
            headers.add(&one.ask, one.remaining, one.reset_ms);
        }
        if let Some(refused) = refused {
            headers.add(&refused.ask, refused.remaining, refused.reset_ms);
        }
        headers
    }

    /// Takes in what is held for another part of the same request.
    #[must_use]
    pub fn with(self, other: Self) -> Self {
        let tighter = |a: Option<Shown>, b: Option<Shown>| match (a, b) {
            (Some(a), Some(b)) => Some(if b.is_tighter(&a) { b } else { a }),
            (a, b) => a.or(b),
        };
        Self {
            requests: tighter(self.requests, other.requests),
            tokens: tighter(self.tokens, other.tokens),
        }
    }

    fn add(&mut self, ask: &Ask, remaining: u128, reset_ms: u64) {
        let Want::Draw { rate, measure, .. } = ask.want else { return };
        let remaining = u64::try_from(remaining).unwrap_or(u64::MAX);
        let shown = Some(Shown::new(rate, remaining, reset_ms));
        *self = self.with(match measure {
            Measure::Requests => Self { requests: shown, tokens: None },
            _ => Self { requests: None, tokens: shown },
        });
    }

    /// The headers that OpenAI's clients read.
    pub fn openai(&self) -> impl Iterator<Item = (&'static str, String)> {
        const REQUESTS: [&str; 3] = [
            "x-ratelimit-limit-requests",
            "x-ratelimit-remaining-requests",
            "x-ratelimit-reset-requests",
        ];
        const TOKENS: [&str; 3] = [
            "x-ratelimit-limit-tokens",
            "x-ratelimit-remaining-tokens",
            "x-ratelimit-reset-tokens",
        ];
        [(REQUESTS, self.requests), (TOKENS, self.tokens)].into_iter().flat_map(|(names, shown)| {
            let values = shown.map(|shown| {
                [shown.limit.to_string(), shown.remaining.to_string(), duration(shown.reset_ms)]
            });
            names.into_iter().zip(values.into_iter().flatten())
        })
    }

    /// The value of `RateLimit`; empty if there is none.
    #[must_use]
    pub fn rate_limit(&self) -> String {
        self.list(|text, shown| {
            let (r, t) = (shown.remaining.min(MAX_INTEGER), shown.reset_ms.div_ceil(1000));
            let _ = write!(text, ";r={r};t={}", t.min(MAX_INTEGER));
        })
    }

    /// The value of `RateLimit-Policy`; empty if there is none.
    #[must_use]
    pub fn policy(&self) -> String {
        self.list(|text, shown| {
            let (q, w) = (shown.limit.min(MAX_INTEGER), shown.window_ms.div_ceil(1000));
            let _ = write!(text, ";q={q};w={w}");
        })
    }

    fn list(&self, parameters: impl Fn(&mut String, &Shown)) -> String {
        let mut text = String::new();
        for (name, shown) in [("requests", self.requests), ("tokens", self.tokens)] {
            let Some(shown) = shown else { continue };
            // Writing to a string cannot fail.
            let _ = write!(text, "{}\"{name}\"", if text.is_empty() { "" } else { ", " });
            parameters(&mut text, &shown);
        }
        text
    }
}

impl Shown {
    fn new(rate: Rate, remaining: u64, reset_ms: u64) -> Self {
        let limit = rate.capacity();
        // The whole bucket takes longer than the window where there is a burst.
        let window_ms = u128::from(limit) * u128::from(rate.window_ms()) / u128::from(rate.n());
        Self { limit, remaining, reset_ms, window_ms: u64::try_from(window_ms).unwrap_or(u64::MAX) }
    }

    /// Less is left, or it takes longer to come back.
    fn is_tighter(&self, other: &Self) -> bool {
        (self.remaining, other.reset_ms) < (other.remaining, self.reset_ms)
    }
}

/// A time as OpenAI writes it: `20ms`, `1.5s`, `6m0s`, `1h0m0s`.
fn duration(ms: u64) -> String {
    if ms > 0 && ms < 1000 {
        return format!("{ms}ms");
    }
    let (hours, minutes) = (ms / 3_600_000, ms / 60_000 % 60);
    let (seconds, rest) = (ms / 1000 % 60, ms % 1000);
    let mut text = String::new();
    if hours > 0 {
        let _ = write!(text, "{hours}h");
    }
    if hours > 0 || minutes > 0 {
        let _ = write!(text, "{minutes}m");
    }
    let _ = write!(text, "{seconds}");
    if rest > 0 {
        let fraction = format!(".{rest:03}");
        text.push_str(fraction.trim_end_matches('0'));
    }
    text.push('s');
    text
}

#[cfg(test)]
mod tests;
