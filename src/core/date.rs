//! Which day is it, and how is a moment told? Lists of models, the status page and databases ask; so do
//! answers that name the time to come back. All in UTC.

const DAY_S: u64 = 86_400;
const ERA_DAYS: i64 = 146_097;
/// From 0000-03-01 to 1970-01-01.
const SHIFT_DAYS: i64 = 719_468;

/// Milliseconds since 1970 as `2026-11-21T13:24:01.000Z`.
#[must_use]
pub fn rfc3339(unix_ms: u64) -> String {
    format!("{}.{:03}Z", to_the_second(unix_ms / 1000), unix_ms % 1000)
}

/// Seconds since 1970 as `2026-11-21T13:24:01Z`.
#[must_use]
pub fn rfc3339_of_seconds(unix_s: u64) -> String {
    to_the_second(unix_s) + "Z"
}

fn to_the_second(unix_s: u64) -> String {
    let (year, month, day) = date_of(i64::try_from(unix_s / DAY_S).unwrap_or(i64::MAX));
    let second = unix_s % DAY_S;
    let (hour, minute, second) = (second / 3600, second / 60 % 60, second % 60);
    format!("{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}")
}

/// The Gregorian year, month and day so many days after 1970-01-01; Howard Hinnant, "chrono-compatible
/// low-level date algorithms": years begin in March, so that the leap day is their last.
#[must_use]
pub const fn date_of(days: i64) -> (i64, i64, i64) {
    let days = days.saturating_add(SHIFT_DAYS);
    let (era, of_era) = (days.div_euclid(ERA_DAYS), days.rem_euclid(ERA_DAYS));
    let year_of_era = (of_era - of_era / 1460 + of_era / 36_524 - of_era / 146_096) / 365;
    let day_of_year = of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let month_from_march = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * month_from_march + 2) / 5 + 1;
    let month = if month_from_march < 10 { month_from_march + 3 } else { month_from_march - 9 };
    let year = era * 400 + year_of_era;
    (if month <= 2 { year + 1 } else { year }, month, day)
}

/// The other way round: days since 1970-01-01.
#[must_use]
pub const fn days_of(year: i64, month: i64, day: i64) -> i64 {
    let year = if month > 2 { year } else { year - 1 };
    let month_from_march = (month + 9) % 12;
    let day_of_year = (153 * month_from_march + 2) / 5 + day - 1;
    year * 365 + year.div_euclid(4) - year.div_euclid(100) + year.div_euclid(400) + day_of_year
        - SHIFT_DAYS
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn times_are_written_in_utc() {
        for (ms, text) in [
            (0, "1970-01-01T00:00:00.000Z"),
            (951_782_399_999, "2000-02-28T23:59:59.999Z"),
            (951_782_400_000, "2000-02-29T00:00:00.000Z"),
            (951_868_799_000, "2000-02-29T23:59:59.000Z"),
            (951_868_800_001, "2000-03-01T00:00:00.001Z"),
            (1_735_689_599_000, "2024-12-31T23:59:59.000Z"),
            (4_107_542_400_000, "2100-03-01T00:00:00.000Z"),
        ] {
            assert_eq!(rfc3339(ms), text);
            let to_the_second = text.split('.').next().unwrap().to_owned() + "Z";
            assert_eq!(rfc3339_of_seconds(ms / 1000), to_the_second);
        }
    }

    #[test]
    fn a_clock_out_of_its_mind_has_a_date() {
        assert_eq!(rfc3339_of_seconds(u64::MAX), "584554051223-11-09T07:00:15Z");
        assert_eq!(date_of(i64::MAX).1.clamp(1, 12), date_of(i64::MAX).1);
    }

    proptest! {
    #[test]
    fn dates_are_counted_as_a_calendar_does(
        year in 1970i64..2400, month in 1i64..=12, day in 1i64..=28,
    ) {
        let next = if day == 28 { (month, 28) } else { (month, day + 1) };
        let days = days_of(year, month, day);
        prop_assert_eq!(days_of(year, next.0, next.1) - days, i64::from(day != 28));
        let leap = (year % 4 == 0 && year % 100 != 0) || year % 400 == 0;
        let length = days_of(year + 1, 1, 1) - days_of(year, 1, 1);
        prop_assert_eq!(length, 365 + i64::from(leap));
        let february = days_of(year, 3, 1) - days_of(year, 2, 1);
        prop_assert_eq!(february, 28 + i64::from(leap));
    }

        #[test]
        fn days_and_dates_are_the_same_calendar(days in -1_000_000_i64..10_000_000) {
            let (year, month, day) = date_of(days);
            prop_assert_eq!(days_of(year, month, day), days);
            prop_assert_ne!(date_of(days + 1), (year, month, day));
        }
    }
}
