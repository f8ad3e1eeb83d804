//! What time is meant, and how is it told? Times are seconds since 1970 in files, dates for people.

use std::time::{SystemTime, UNIX_EPOCH};

use jiff::Timestamp;
use jiff::civil::Date;
use jiff::tz::TimeZone;

/// Seconds since 1970.
pub fn now_s() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs())
}

/// `2026-12-01T00:00:00Z`
pub fn told(seconds: u64) -> String {
    let seconds = i64::try_from(seconds).unwrap_or(i64::MAX);
    Timestamp::from_second(seconds).map_or_else(|_| "the end of time".to_owned(), |t| t.to_string())
}

/// What `now`, `90d`, `2026-12-01` and `2026-12-01T12:00:00Z` mean; an nginx time is from now on.
pub fn parse(text: &str, now_s: u64) -> Result<u64, String> {
    if text == "now" {
        return Ok(now_s);
    }
    if let Some(ms) = llm_core::units::parse_time_ms(text) {
        return Ok(now_s.saturating_add(ms / 1000));
    }
    moment(text).ok_or_else(|| {
        format!("\"{text}\" is no time, write for example 90d, 2026-12-01 or 2026-12-01T12:00:00Z")
    })
}

/// The moment of a date or a timestamp.
pub fn moment(text: &str) -> Option<u64> {
    let stamp = text.parse::<Timestamp>().ok().or_else(|| {
        let date = text.parse::<Date>().ok()?;
        Some(date.to_zoned(TimeZone::UTC).ok()?.timestamp())
    })?;
    u64::try_from(stamp.as_second()).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spans_count_from_now_and_dates_are_in_utc() {
        assert_eq!(parse("90d", 1000), Ok(1000 + 90 * 86_400));
        assert_eq!(parse("now", 7), Ok(7));
        assert_eq!(parse("1970-01-02", 7), Ok(86_400));
        assert_eq!(parse("1970-01-01T01:00:00+01:00", 7), Ok(0));
        assert_eq!(told(86_400), "1970-01-02T00:00:00Z");
        assert!(parse("tomorrow", 7).is_err() && parse("1960-01-01", 7).is_err());
    }
}
