//! What is a client told about its limits? Of all that were asked, the tightest of requests and the
//! tightest of tokens, in the headers that OpenAI's clients read and in those of the IETF's draft
//! (draft-ietf-httpapi-ratelimit-headers).

use std::ops::Range;

use arrayvec::ArrayString;

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

    /// Which of [`Headers::NAMES`] a header has.
    #[must_use]
    pub fn index(name: &[u8]) -> Option<usize> {
        // Hardly any other header begins like one of them.
        let (b'x' | b'X' | b'r' | b'R') = name.first()? else { return None };
        Self::NAMES.iter().position(|known| name.eq_ignore_ascii_case(known.as_bytes()))
    }

    /// The values of all headers.
    #[must_use]
    pub fn values(&self) -> HeaderValues {
        let (mut of_requests, mut of_tokens) = <(Buffers, Buffers)>::default();
        let requests = self.requests.as_ref().map(|shown| Numbers::new(shown, &mut of_requests));
        let tokens = self.tokens.as_ref().map(|shown| Numbers::new(shown, &mut of_tokens));
        let mut values = HeaderValues::default();
        // By their places in `NAMES`.
        for (numbers, [limit, remaining, reset]) in [(&requests, [0, 1, 2]), (&tokens, [3, 4, 5])] {
            let Some(numbers) = numbers else { continue };
            values.write(limit, |text| push(text, numbers.limit));
            values.write(remaining, |text| push(text, numbers.remaining));
            values.write(reset, |text| push_duration(text, numbers.shown.reset_ms));
        }
        let separator = if requests.is_some() { ", " } else { "" };
        values.write(6, |text| {
            if let Some(requests) = &requests {
                push(text, "\"requests\";r=");
                requests.push_left(text);
            }
            if let Some(tokens) = &tokens {
                push(text, separator);
                push(text, "\"tokens\";r=");
                tokens.push_left(text);
            }
        });
        values.write(7, |text| {
            if let Some(requests) = &requests {
                push(text, "\"requests\";q=");
                requests.push_quota(text);
            }
            if let Some(tokens) = &tokens {
                push(text, separator);
                push(text, "\"tokens\";q=");
                tokens.push_quota(text);
            }
        });
        values
    }
}

/// Room for the digits of two numbers.
type Buffers = [itoa::Buffer; 2];

/// A limit with the numbers that are written twice.
struct Numbers<'a> {
    shown: &'a Shown,
    limit: &'a str,
    remaining: &'a str,
}

impl<'a> Numbers<'a> {
    fn new(shown: &'a Shown, [limit, remaining]: &'a mut Buffers) -> Self {
        Self {
            shown,
            limit: limit.format(shown.limit),
            remaining: remaining.format(shown.remaining),
        }
    }

    /// What is left and when all is back, for `RateLimit`.
    fn push_left(&self, text: &mut Text) {
        push_integer(text, self.shown.remaining, self.remaining);
        push(text, ";t=");
        push_seconds(text, self.shown.reset_ms);
    }

    /// How much there is in which time, for `RateLimit-Policy`.
    fn push_quota(&self, text: &mut Text) {
        push_integer(text, self.shown.limit, self.limit);
        push(text, ";w=");
        push_seconds(text, self.shown.window_ms);
    }
}

/// The values of the headers, one behind the other: each answer has up to eight of them.
#[derive(Debug, Default)]
pub struct HeaderValues {
    text: Text,
    /// Where each value is; one that is empty is not shown.
    places: [Range<usize>; Headers::NAMES.len()],
}

impl HeaderValues {
    /// All values.
    #[must_use]
    pub fn text(&self) -> &str {
        &self.text
    }

    /// Calls `tell` with the index of each header in [`Headers::NAMES`], its name and the place of its
    /// value in the text.
    pub fn each(&self, mut tell: impl FnMut(usize, &'static str, Range<usize>)) {
        for (index, (name, place)) in Headers::NAMES.iter().zip(&self.places).enumerate() {
            if !place.is_empty() {
                tell(index, name, place.clone());
            }
        }
    }

    fn write(&mut self, index: usize, push: impl FnOnce(&mut Text)) {
        let start = self.text.len();
        push(&mut self.text);
        if let Some(place) = self.places.get_mut(index) {
            *place = start..self.text.len();
        }
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

/// All values, on the stack.
type Text = ArrayString<TEXT_BYTES>;

/// For requests and for tokens two numbers of 20 digits and a time of 24 bytes; two lists, each with
/// four numbers of 15 digits.
const TEXT_BYTES: usize = 2 * (20 + 20 + 24) + 2 * 92;

fn push(text: &mut Text, part: &str) {
    // There is room for the longest.
    let _ = text.try_push_str(part);
}

fn push_number(text: &mut Text, number: u64) {
    push(text, itoa::Buffer::new().format(number));
}

/// An integer of a structured field, whose digits are known.
fn push_integer(text: &mut Text, number: u64, digits: &str) {
    if number > MAX_INTEGER { push_number(text, MAX_INTEGER) } else { push(text, digits) }
}

fn push_seconds(text: &mut Text, ms: u64) {
    push_number(text, ms.div_ceil(1000).min(MAX_INTEGER));
}

/// A time as OpenAI writes it: `20ms`, `1.5s`, `6m0s`, `1h0m0s`.
fn push_duration(text: &mut Text, ms: u64) {
    if ms > 0 && ms < 1000 {
        push_number(text, ms);
        push(text, "ms");
        return;
    }
    let (hours, minutes) = (ms / 3_600_000, ms / 60_000 % 60);
    let (seconds, rest) = (ms / 1000 % 60, ms % 1000);
    if hours > 0 {
        push_number(text, hours);
        push(text, "h");
    }
    if hours > 0 || minutes > 0 {
        push_number(text, minutes);
        push(text, "m");
    }
    push_number(text, seconds);
    if rest > 0 {
        push(text, ".");
        let mut rest = rest;
        while rest > 0 {
            push_number(text, rest / 100);
            rest = rest % 100 * 10;
        }
    }
    push(text, "s");
}

#[cfg(test)]
mod tests;
