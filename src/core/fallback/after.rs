//! When does a provider want to be asked again, and what does it say of its limits? Read from the
//! headers of each answer. A value that makes no sense counts as absent.

use std::time::UNIX_EPOCH;

use crate::date::days_of;

/// Longer times are nonsense.
const MAX_MS: u64 = 366 * 86_400_000;

/// The limits that providers tell: what remains of them and when they reset.
const LIMITS: &[Limit] = &[
    Limit {
        of: Of::Requests,
        remaining: "x-ratelimit-remaining-requests",
        reset: "x-ratelimit-reset-requests",
        read: span_ms,
    },
    Limit {
        of: Of::Tokens,
        remaining: "x-ratelimit-remaining-tokens",
        reset: "x-ratelimit-reset-tokens",
        read: span_ms,
    },
    Limit {
        of: Of::Requests,
        remaining: "anthropic-ratelimit-requests-remaining",
        reset: "anthropic-ratelimit-requests-reset",
        read: moment_ms,
    },
    Limit {
        of: Of::Tokens,
        remaining: "anthropic-ratelimit-tokens-remaining",
        reset: "anthropic-ratelimit-tokens-reset",
        read: moment_ms,
    },
    Limit {
        of: Of::Tokens,
        remaining: "anthropic-ratelimit-input-tokens-remaining",
        reset: "anthropic-ratelimit-input-tokens-reset",
        read: moment_ms,
    },
    Limit {
        of: Of::Tokens,
        remaining: "anthropic-ratelimit-output-tokens-remaining",
        reset: "anthropic-ratelimit-output-tokens-reset",
        read: moment_ms,
    },
];

struct Limit {
    of: Of,
    remaining: &'static str,
    reset: &'static str,
    /// Milliseconds from now, given the value and the time.
    read: fn(&str, u64) -> Option<u64>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Of {
    Requests,
    Tokens,
}

/// Milliseconds until a provider that refused for its limits wants to be asked again: what it asks
/// for, else the reset of the limits that are used up. `headers` is asked with names in lower case.
#[must_use]
pub fn retry_after_ms<'a>(
    headers: impl Fn(&str) -> Option<&'a str>,
    unix_now_ms: u64,
) -> Option<u64> {
    asked_ms(&headers, unix_now_ms).or_else(|| reset_ms(&headers, unix_now_ms))
}

/// `retry-after-ms`, else `Retry-After`.
pub(super) fn asked_ms<'a>(
    headers: &impl Fn(&str) -> Option<&'a str>,
    unix_now_ms: u64,
) -> Option<u64> {
    let ms = headers("retry-after-ms").and_then(|value| decimal(value.trim(), 1));
    ms.filter(|ms| *ms <= MAX_MS).or_else(|| {
        let value = headers("retry-after")?.trim();
        let ms = decimal(value, 1000).or_else(|| http_date_ms(value, unix_now_ms))?;
        (ms <= MAX_MS).then_some(ms)
    })
}

/// The latest reset of the limits that are used up. Where none is known to be, of those whose state
/// is not told; then any of the tokens, because a request may need more than what remains.
fn reset_ms<'a>(headers: &impl Fn(&str) -> Option<&'a str>, unix_now_ms: u64) -> Option<u64> {
    let latest = |accept: &dyn Fn(&Limit, Option<u64>) -> bool| {
        let limits = LIMITS.iter().filter(|limit| {
            accept(limit, headers(limit.remaining).and_then(|value| value.trim().parse().ok()))
        });
        limits.filter_map(|limit| (limit.read)(headers(limit.reset)?.trim(), unix_now_ms)).max()
    };
    latest(&|_, remaining| remaining == Some(0))
        .or_else(|| latest(&|_, remaining| remaining.is_none()))
        .or_else(|| latest(&|limit, _| limit.of == Of::Tokens))
        .or_else(|| latest(&|_, _| true))
}

/// What a provider tells of its limits with any answer, for variables and headers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Feedback {
    /// Milliseconds until it wants to be asked again or its limits reset.
    pub reset_after_ms: Option<u64>,
    /// The fewest of the token limits.
    pub remaining_tokens: Option<u64>,
    /// The fewest of the request limits.
    pub remaining_requests: Option<u64>,
}

impl Feedback {
    /// What these headers tell; `headers` is asked with names in lower case.
    #[must_use]
    pub fn read<'a>(headers: impl Fn(&str) -> Option<&'a str>, unix_now_ms: u64) -> Self {
        let fewest = |of: Of| {
            let limits = LIMITS.iter().filter(|limit| limit.of == of);
            limits.filter_map(|limit| headers(limit.remaining)?.trim().parse().ok()).min()
        };
        Self {
            reset_after_ms: retry_after_ms(&headers, unix_now_ms),
            remaining_tokens: fewest(Of::Tokens),
            remaining_requests: fewest(Of::Requests),
        }
    }
}

/// A decimal number of `unit` ms in milliseconds; parts of one count as a whole one.
fn decimal(text: &str, unit: u64) -> Option<u64> {
    let (whole, fraction) = text.split_once('.').unwrap_or((text, "0"));
    let is_number = |digits: &str| !digits.is_empty() && digits.bytes().all(|b| b.is_ascii_digit());
    if !is_number(whole) || !is_number(fraction) {
        return None;
    }
    let whole = whole.parse::<u64>().ok()?.checked_mul(unit)?;
    // Nine digits are more than enough, and a tenth changes nothing.
    let digits = fraction.get(..9).unwrap_or(fraction);
    let scale = 10u64.pow(u32::try_from(digits.len()).ok()?);
    let part = digits.parse::<u64>().ok()?.checked_mul(unit)?.div_ceil(scale);
    whole.checked_add(part)
}

/// `15ms`, `2s`, `1.5s`, `1m30s`, `6m0s`, or seconds without a unit.
fn span_ms(text: &str, _: u64) -> Option<u64> {
    const UNITS: [(&str, u64); 5] =
        [("ms", 1), ("d", 86_400_000), ("h", 3_600_000), ("m", 60_000), ("s", 1000)];
    if let Some(ms) = decimal(text, 1000) {
        return (ms <= MAX_MS).then_some(ms);
    }
    let mut rest = text;
    let mut total_ms: u64 = 0;
    while !rest.is_empty() {
        let end = rest.find(|c: char| c.is_ascii_alphabetic())?;
        let (number, behind) = rest.split_at_checked(end)?;
        let (unit, unit_ms) = UNITS.iter().find(|(unit, _)| behind.starts_with(unit))?;
        total_ms = total_ms.checked_add(decimal(number, *unit_ms)?)?;
        rest = behind.get(unit.len()..)?;
    }
    (!text.is_empty() && total_ms <= MAX_MS).then_some(total_ms)
}

/// Milliseconds until an RFC 3339 time; one that is past is now.
fn moment_ms(text: &str, unix_now_ms: u64) -> Option<u64> {
    until(rfc3339_ms(text)?, unix_now_ms)
}

fn http_date_ms(text: &str, unix_now_ms: u64) -> Option<u64> {
    let since_epoch = httpdate::parse_http_date(text).ok()?.duration_since(UNIX_EPOCH).ok()?;
    until(u64::try_from(since_epoch.as_millis()).ok()?, unix_now_ms)
}

fn until(moment_ms: u64, unix_now_ms: u64) -> Option<u64> {
    Some(moment_ms.saturating_sub(unix_now_ms)).filter(|ms| *ms <= MAX_MS)
}

/// The Unix time in milliseconds of `2026-11-21T08:30:00.5Z` or `…+01:00`.
fn rfc3339_ms(text: &str) -> Option<u64> {
    let number = |range: std::ops::Range<usize>| {
        let digits = text.get(range)?;
        digits.bytes().all(|byte| byte.is_ascii_digit()).then(|| digits.parse::<i64>().ok())?
    };
    let has = |at: usize, any: &[u8]| text.as_bytes().get(at).is_some_and(|b| any.contains(b));
    let marks = [(4, b"-"), (7, b"-"), (13, b":"), (16, b":")];
    if !marks.iter().all(|(at, mark)| has(*at, *mark)) || !has(10, b"Tt ") {
        return None;
    }
    let (year, month, day) = (number(0..4)?, number(5..7)?, number(8..10)?);
    let (hour, minute, second) = (number(11..13)?, number(14..16)?, number(17..19)?);
    let leap = (year % 4 == 0 && year % 100 != 0) || year % 400 == 0;
    let days_in_month = match month {
        2 => 28 + i64::from(leap),
        4 | 6 | 9 | 11 => 30,
        1..=12 => 31,
        _ => return None,
    };
    if !(1..=days_in_month).contains(&day) || hour > 23 || minute > 59 || second > 60 {
        return None;
    }
    let rest = text.get(19..)?;
    let zone_at = rest.find(['Z', 'z', '+', '-'])?;
    let (fraction, zone) = rest.split_at_checked(zone_at)?;
    let fraction_ms = match fraction {
        "" => 0,
        _ => decimal(&format!("0{fraction}"), 1000)?,
    };
    let seconds = days_of(year, month, day) * 86_400 + hour * 3600 + minute * 60 + second
        - zone_seconds(zone)?;
    u64::try_from(seconds).ok()?.checked_mul(1000)?.checked_add(fraction_ms)
}

/// Seconds that a zone is ahead of UTC.
fn zone_seconds(zone: &str) -> Option<i64> {
    if zone.eq_ignore_ascii_case("z") {
        return Some(0);
    }
    let sign = if zone.starts_with('-') { -1 } else { 1 };
    let (hours, minutes) = zone.get(1..)?.split_once(':')?;
    let two = |digits: &str| {
        let is_number = digits.len() == 2 && digits.bytes().all(|byte| byte.is_ascii_digit());
        is_number.then(|| digits.parse::<i64>().ok())?
    };
    let (hours, minutes) = (two(hours)?, two(minutes)?);
    (hours < 24 && minutes < 60).then_some(sign * (hours * 3600 + minutes * 60))
}

#[cfg(test)]
mod tests;
