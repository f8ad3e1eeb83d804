//! What is a client told about its limits? Of all that were asked, the tightest of requests and the
//! tightest of tokens, in the headers that OpenAI's clients read and in those of the IETF's draft
//! (draft-ietf-httpapi-ratelimit-headers).

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
    /// Those that OpenAI's clients read, and those of the draft.
    pub const NAMES: [&'static str; 8] = [
        "x-ratelimit-limit-requests",
        "x-ratelimit-remaining-requests",
        "x-ratelimit-reset-requests",
        "x-ratelimit-limit-tokens",
        "x-ratelimit-remaining-tokens",
        "x-ratelimit-reset-tokens",
        "RateLimit",
        "RateLimit-Policy",
    ];

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

    /// Calls `tell` with the index of each header in [`Headers::NAMES`], its name and its value.
    pub fn each(&self, mut tell: impl FnMut(usize, &'static str, &str)) {
        let values = |shown: &Shown| {
            [Line::of(shown.limit), Line::of(shown.remaining), duration(shown.reset_ms)]
        };
        let none = [Line::EMPTY; 3];
        let requests = self.requests.as_ref().map_or(none, values);
        let tokens = self.tokens.as_ref().map_or(none, values);
        let [a, b, c] = requests;
        let [d, e, f] = tokens;
        let lines = [a, b, c, d, e, f, self.rate_limit(), self.policy()];
        for (index, (name, line)) in Self::NAMES.into_iter().zip(&lines).enumerate() {
            if line.len > 0 {
                tell(index, name, line.text());
            }
        }
    }

    /// The value of `RateLimit`; empty if there is none.
    fn rate_limit(&self) -> Line {
        self.list(|line, shown| {
            line.push(";r=");
            line.push_number(shown.remaining.min(MAX_INTEGER));
            line.push(";t=");
            line.push_number(shown.reset_ms.div_ceil(1000).min(MAX_INTEGER));
        })
    }

    /// The value of `RateLimit-Policy`; empty if there is none.
    fn policy(&self) -> Line {
        self.list(|line, shown| {
            line.push(";q=");
            line.push_number(shown.limit.min(MAX_INTEGER));
            line.push(";w=");
            line.push_number(shown.window_ms.div_ceil(1000).min(MAX_INTEGER));
        })
    }

    fn list(&self, parameters: impl Fn(&mut Line, &Shown)) -> Line {
        let mut line = Line::EMPTY;
        for (name, shown) in [("\"requests\"", &self.requests), ("\"tokens\"", &self.tokens)] {
            let Some(shown) = shown else { continue };
            line.push(if line.len == 0 { "" } else { ", " });
            line.push(name);
            parameters(&mut line, shown);
        }
        line
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
fn duration(ms: u64) -> Line {
    let mut line = Line::EMPTY;
    if ms > 0 && ms < 1000 {
        line.push_number(ms);
        line.push("ms");
        return line;
    }
    let (hours, minutes) = (ms / 3_600_000, ms / 60_000 % 60);
    let (seconds, rest) = (ms / 1000 % 60, ms % 1000);
    if hours > 0 {
        line.push_number(hours);
        line.push("h");
    }
    if hours > 0 || minutes > 0 {
        line.push_number(minutes);
        line.push("m");
    }
    line.push_number(seconds);
    if rest > 0 {
        line.push(".");
        let mut rest = rest;
        while rest > 0 {
            line.push_number(rest / 100);
            rest = rest % 100 * 10;
        }
    }
    line.push("s");
    line
}

/// A value on the stack: each answer has up to eight of them.
#[derive(Clone, Copy)]
struct Line {
    len: usize,
    bytes: [u8; LINE_BYTES],
}

/// The longest is `RateLimit` with four numbers of 15 digits, 92 bytes.
const LINE_BYTES: usize = 96;

impl Line {
    const EMPTY: Self = Self { len: 0, bytes: [0; LINE_BYTES] };

    fn of(number: u64) -> Self {
        let mut line = Self::EMPTY;
        line.push_number(number);
        line
    }

    fn push(&mut self, text: &str) {
        let end = self.len + text.len();
        if let Some(space) = self.bytes.get_mut(self.len..end) {
            space.copy_from_slice(text.as_bytes());
            self.len = end;
        }
    }

    fn push_number(&mut self, number: u64) {
        self.push(itoa::Buffer::new().format(number));
    }

    fn text(&self) -> &str {
        self.bytes.get(..self.len).and_then(|text| str::from_utf8(text).ok()).unwrap_or_default()
    }
}

#[cfg(test)]
mod tests;
