//! What do `30s`, `1m30s` and `10m` mean in a configuration file? Every parser of a directive asks;
//! the answers are nginx's own (`ngx_parse_time`, `ngx_parse_offset`).

/// Milliseconds of an nginx time such as `250ms`, `1m30s` or `5`; a bare number is seconds.
///
/// Units go from large to small, each at most once: `w d h m s ms`. `None` is not a time.
#[must_use]
pub fn parse_time_ms(text: &str) -> Option<u64> {
    let mut rest = text;
    let mut total_ms: u64 = 0;
    let mut smallest_ms = u64::MAX;
    loop {
        let (number, behind) = leading_number(rest)?;
        let (unit_ms, behind) = leading_unit(behind)?;
        if unit_ms >= smallest_ms {
            return None;
        }
        smallest_ms = unit_ms;
        total_ms = total_ms.checked_add(number.checked_mul(unit_ms)?)?;
        rest = behind.trim_start_matches(' ');
        if rest.is_empty() {
            // nginx keeps times in signed integers.
            return i64::try_from(total_ms).is_ok().then_some(total_ms);
        }
    }
}

/// Whether a time of zero means something.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Zero {
    /// It is off then.
    Off,
    /// It is an error.
    Refused,
}

/// Milliseconds of an nginx time where zero may be out of place.
#[must_use]
pub fn time_ms(text: &str, zero: Zero) -> Option<u64> {
    parse_time_ms(text).filter(|ms| *ms > 0 || zero == Zero::Off)
}

/// Bytes of an nginx size such as `64k`, `10m`, `1g` or `512`.
#[must_use]
pub fn parse_size(text: &str) -> Option<u64> {
    let (number, unit) = leading_number(text)?;
    let factor: u64 = match unit {
        "" => 1,
        "k" | "K" => 1 << 10,
        "m" | "M" => 1 << 20,
        "g" | "G" => 1 << 30,
        _ => return None,
    };
    number.checked_mul(factor).filter(|&bytes| i64::try_from(bytes).is_ok())
}

fn leading_number(text: &str) -> Option<(u64, &str)> {
    let end = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
    let (digits, rest) = text.split_at_checked(end)?;
    Some((digits.parse().ok()?, rest))
}

/// The unit in milliseconds and what follows it; no unit, or a blank, means seconds.
fn leading_unit(text: &str) -> Option<(u64, &str)> {
    const SECOND_MS: u64 = 1000;
    const UNITS: [(&str, u64); 6] = [
        ("ms", 1),
        ("s", SECOND_MS),
        ("m", 60 * SECOND_MS),
        ("h", 3600 * SECOND_MS),
        ("d", 86_400 * SECOND_MS),
        ("w", 7 * 86_400 * SECOND_MS),
    ];
    if text.is_empty() {
        return Some((SECOND_MS, text));
    }
    UNITS.iter().find_map(|&(unit, ms)| text.strip_prefix(unit).map(|rest| (ms, rest)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_read_as_nginx_reads_them() {
        for (text, ms) in [
            ("0", 0),
            ("5", 5000),
            ("5s", 5000),
            ("250ms", 250),
            ("1m30s", 90_000),
            ("1m30", 90_000),
            ("1h 30m", 5_400_000),
            ("2d", 172_800_000),
            ("1w", 604_800_000),
            ("1m5ms", 60_005),
        ] {
            assert_eq!(parse_time_ms(text), Some(ms), "{text}");
        }
    }

    #[test]
    fn what_is_no_time_is_refused() {
        for text in [
            "",
            "s",
            "-1",
            "1.5s",
            "1x",
            "1s1m",
            "1s1s",
            "5 s",
            "1S",
            " 1",
            "1m-",
            "9999999999999999999",
            "300000000000w",
        ] {
            assert_eq!(parse_time_ms(text), None, "{text}");
        }
    }

    #[test]
    fn zero_is_a_time_where_it_means_off() {
        assert_eq!(time_ms("0s", Zero::Off), Some(0));
        assert_eq!(time_ms("0s", Zero::Refused), None);
        assert_eq!(time_ms("1ms", Zero::Refused), Some(1));
        assert_eq!(time_ms("off", Zero::Off), None);
    }

    #[test]
    fn sizes_take_k_m_and_g() {
        for (text, bytes) in
            [("0", 0), ("512", 512), ("64k", 65_536), ("10M", 10_485_760), ("1g", 1 << 30)]
        {
            assert_eq!(parse_size(text), Some(bytes), "{text}");
        }
    }

    #[test]
    fn what_is_no_size_is_refused() {
        for text in ["", "k", "-1", "1kb", "1.5m", "10 m", "1t", "99999999999g"] {
            assert_eq!(parse_size(text), None, "{text}");
        }
    }
}
