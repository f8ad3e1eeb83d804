//! Calendar windows, on the days on which they are not as long as others.

use super::*;

fn at(text: &str) -> u64 {
    let time: Timestamp = text.parse().unwrap();
    u64::try_from(time.as_second()).unwrap()
}

fn window(kind: SpendWindow, zone: &str, now: &str) -> (String, String) {
    let zone = TimeZone::parse(zone).unwrap();
    let window = kind.window(&zone, at(now));
    assert!(window.contains(at(now)));
    let text =
        |seconds: u64| Timestamp::from_second(i64::try_from(seconds).unwrap()).unwrap().to_string();
    (text(window.start_s), text(window.end_s))
}

fn ends(start: &str, end: &str) -> (String, String) {
    (start.to_owned(), end.to_owned())
}

#[test]
fn a_month_is_a_calendar_month_of_its_zone() {
    use SpendWindow::Month;
    assert_eq!(
        window(Month, "UTC", "2026-02-28T23:59:59Z"),
        ends("2026-02-01T00:00:00Z", "2026-03-01T00:00:00Z")
    );
    // Half an hour into March in Berlin; summer time begins within it.
    assert_eq!(
        window(Month, "Europe/Berlin", "2026-02-28T23:30:00Z"),
        ends("2026-02-28T23:00:00Z", "2026-03-31T22:00:00Z")
    );
    assert_eq!(
        window(Month, "Asia/Kathmandu", "2026-12-31T18:15:00Z"),
        ends("2026-12-31T18:15:00Z", "2027-01-31T18:15:00Z")
    );
}

#[test]
fn a_week_begins_on_monday() {
    use SpendWindow::Week;
    let week = ends("2026-11-16T00:00:00Z", "2026-11-23T00:00:00Z");
    assert_eq!(window(Week, "UTC", "2026-11-16T00:00:00Z"), week);
    assert_eq!(window(Week, "UTC", "2026-11-22T23:59:59Z"), week);
    // The week of the new year and of the change of the clocks.
    assert_eq!(
        window(Week, "America/New_York", "2026-11-01T12:00:00Z"),
        ends("2026-10-26T04:00:00Z", "2026-11-02T05:00:00Z")
    );
}

#[test]
fn a_day_may_have_23_or_25_hours_or_begin_at_one() {
    use SpendWindow::Day;
    assert_eq!(
        window(Day, "Europe/Berlin", "2026-03-29T12:00:00Z"),
        ends("2026-03-28T23:00:00Z", "2026-03-29T22:00:00Z")
    );
    assert_eq!(
        window(Day, "Europe/Berlin", "2026-10-25T12:00:00Z"),
        ends("2026-10-24T22:00:00Z", "2026-10-25T23:00:00Z")
    );
    // The clock is put forward at midnight.
    assert_eq!(
        window(Day, "Asia/Beirut", "2026-03-29T12:00:00Z"),
        ends("2026-03-28T22:00:00Z", "2026-03-29T21:00:00Z")
    );
}

#[test]
fn all_time_has_no_end() {
    assert_eq!(
        SpendWindow::Total.window(&TimeZone::default(), at("2026-01-01T00:00:00Z")),
        Window::TOTAL
    );
    // So has a clock that no calendar has.
    assert_eq!(SpendWindow::Day.window(&TimeZone::default(), u64::MAX), Window::TOTAL);
}

#[test]
fn the_calendar_is_not_asked_twice_and_follows_the_clock_both_ways() {
    let zone = TimeZone::parse("Europe/Berlin").unwrap();
    for kind in SpendWindow::ALL {
        let calendar = Calendar::new(kind, zone.clone());
        let mut now_s = at("2026-01-01T00:00:00Z");
        for step_s in [0_i64, 3600, 86_400, 40 * 86_400, -50 * 86_400, 7 * 86_400, 1] {
            now_s = now_s.checked_add_signed(step_s).unwrap();
            assert_eq!(calendar.at(now_s), kind.window(&zone, now_s), "{kind:?}");
            assert_eq!(Window::unpacked(calendar.last.load(Ordering::Relaxed)), calendar.at(now_s));
        }
    }
}

#[test]
fn a_zone_is_known_by_its_name_only() {
    assert!(TimeZone::parse("Europe/Berlin").is_some());
    assert!(TimeZone::parse("UTC").is_some());
    for name in ["", "Berlin", "Europe/Nowhere", "+02:00", "/etc/localtime", "../x"] {
        assert!(TimeZone::parse(name).is_none(), "{name}");
    }
}
