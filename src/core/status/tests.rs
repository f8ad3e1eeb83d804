//! What the report and the page say, and that they never say too much.

use proptest::prelude::*;
use sha2::{Digest, Sha256};

use super::*;
use crate::cost::{Pico, UsageSource};
use crate::fallback::{FailureClass, SkipReason};
use crate::metrics::{
    AttemptEnd, Decision, ErrorSource, Finished, Layout, Named, Names, Opted, PassedOver, Tried,
};
use crate::usage::Usage;

const NOW_MS: u64 = 1_795_267_441_000;

fn layout() -> Layout {
    Layout::new(&Names { providers: &["one", "two"], ..Names::default() }, Opted::default())
}

fn moved() -> Finished<'static> {
    Finished {
        provider: Some(Named::provider("two")),
        streaming: true,
        code: 200,
        attempts: const {
            &[
                Tried {
                    provider: Named::provider("one"),
                    model: Some("a"),
                    end: AttemptEnd::Failed(FailureClass::RateLimited),
                    duration_ms: 10,
                    ttft_ms: None,
                },
                Tried {
                    provider: Named::provider("two"),
                    model: Some("b"),
                    end: AttemptEnd::Ok,
                    duration_ms: 400,
                    ttft_ms: Some(100),
                },
            ]
        },
        duration_us: 410_000,
        ttft_us: Some(110_000),
        usage: Some(Usage::of(50, 55)),
        usage_source: Some(UsageSource::Reported),
        cost: Some((Pico(1_600_000_000_000), Named::unit("usd"))),
        decisions: &[(Decision::Allow, "")],
        ..Finished::default()
    }
}

fn count(cells: &mut [Cell], finished: &Finished<'_>, ms: u64) {
    let mut notes = Notes::default();
    notes.note(&layout(), finished);
    Hour::new(cells).apply(&notes, minute_of(ms));
}

fn entry(finished: &Finished<'_>, text: &EntryText<'_>, time_ms: u64) -> Entry {
    let mut entry = Entry::default();
    entry.fill(finished, text, time_ms);
    entry
}

#[test]
fn an_hour_tells_each_minute_and_forgets_the_next_hour() {
    let mut cells = vec![Cell::default(); 60 * 10];
    count(&mut cells, &moved(), NOW_MS);
    count(&mut cells, &moved(), NOW_MS);
    count(&mut cells, &moved(), NOW_MS + 120_000);
    let hour = Hour::new(&mut cells);
    let at = |ms, name| hour.series(&layout(), Kind::Provider(name), minute_of(ms));
    let two = at(NOW_MS + 120_000, "two").unwrap();
    assert_eq!(two.attempts[57..], [2, 0, 1]);
    assert_eq!(two.requests[57..], [2, 0, 1]);
    assert_eq!(two.latency_ms[57..], [Some(400), None, Some(400)]);
    assert_eq!(two.ttft_ms[57..], [Some(100), None, Some(100)]);
    assert_eq!(two.output_tokens[57..], [110, 0, 55]);
    assert_eq!(two.cost[57..], ["3.20000000", "0.00000000", "1.60000000"]);
    let one = at(NOW_MS + 120_000, "one").unwrap();
    assert_eq!((one.failures[57], one.requests[57], one.latency_ms[57]), (2, 0, None));
    let later = at(NOW_MS + 60 * 60_000, "two").unwrap();
    assert_eq!((later.attempts.iter().sum::<u64>(), later.attempts[1]), (1, 1));
    assert!(at(NOW_MS, "three").is_none());
    let total = |kind| hour.total(&layout(), kind, minute_of(NOW_MS + 120_000));
    assert_eq!(total(Kind::Flow("one", "two")), 3);
    assert_eq!(total(Kind::Flow("two", "one")), 0);
    assert_eq!(total(Kind::Decision(Decision::Allow, "")), 3);
}

#[test]
fn a_request_that_passed_over_its_first_target_has_moved() {
    let finished = Finished {
        passed_over: Some(PassedOver {
            provider: Named::provider("one"),
            model: Some("a"),
            reason: SkipReason::Benched,
        }),
        attempts: &moved().attempts[1..],
        ..moved()
    };
    let mut cells = vec![Cell::default(); 60 * 10];
    count(&mut cells, &finished, NOW_MS);
    let hour = Hour::new(&mut cells);
    let total = |kind| hour.total(&layout(), kind, minute_of(NOW_MS));
    assert_eq!(total(Kind::Flow("one", "two")), 1);
    assert!(hour.series(&layout(), Kind::Provider("one"), minute_of(NOW_MS)).is_none());
    let told =
        |finished: &Finished<'_>| entry(finished, &EntryText::default(), NOW_MS).report().fallback;
    assert!(told(&finished));
    assert!(!told(&Finished { passed_over: None, ..finished }));
}

#[test]
fn a_request_that_no_provider_saw_is_counted_as_other() {
    let mut cells = vec![Cell::default(); 60 * 10];
    let refused = Finished { error: Some(ErrorSource::Client), code: 404, ..Finished::default() };
    count(&mut cells, &refused, NOW_MS);
    let hour = Hour::new(&mut cells);
    let other = hour.series(&layout(), Kind::Provider("other"), minute_of(NOW_MS)).unwrap();
    assert_eq!((other.requests[59], other.errors[59], other.attempts[59]), (1, 1, 0));
}

#[test]
fn the_hour_that_is_oldest_gives_way_where_there_is_no_room() {
    let mut cells = vec![Cell::default(); 60];
    let at = |name| Finished { provider: Some(Named::provider(name)), ..Finished::default() };
    count(&mut cells, &at("one"), NOW_MS);
    count(&mut cells, &at("two"), NOW_MS);
    let hour = Hour::new(&mut cells);
    assert!(hour.series(&layout(), Kind::Provider("one"), minute_of(NOW_MS)).is_none());
    let two = hour.series(&layout(), Kind::Provider("two"), minute_of(NOW_MS)).unwrap();
    assert_eq!(two.requests[59], 1);
    // Too little for one hour, or nothing at all: nothing is counted, nothing breaks.
    count(&mut [Cell::default(); 59], &moved(), NOW_MS);
    count(&mut [], &moved(), NOW_MS);
}

#[test]
fn the_ring_keeps_the_latest() {
    let mut records = vec![Entry::default(); 4];
    for number in 0..10 {
        let id = format!("id-{number}");
        let text = EntryText { event_id: &id, ..EntryText::default() };
        Ring::new(&mut records).push(&entry(&moved(), &text, NOW_MS));
    }
    let ids: Vec<_> =
        Ring::latest(records.clone()).iter().map(|entry| entry.report().event_id).collect();
    assert_eq!(ids, ["id-9", "id-8", "id-7"]);
    for len in 0..2 {
        let mut few = vec![Entry::default(); len];
        Ring::new(&mut few).push(&entry(&moved(), &EntryText::default(), NOW_MS));
        assert!(Ring::latest(few).is_empty());
    }
}

#[test]
fn an_entry_tells_what_the_request_was() {
    let text = EntryText {
        event_id: "0123456789abcdef0123456789abcdef",
        chain: "one/a:429:10ms, two/b:200:400ms",
        model: "b",
        tag: "nightly",
        owner: ["acme", "search", ""],
    };
    let recent = entry(&moved(), &text, NOW_MS).report();
    assert_eq!(recent.event_id, text.event_id);
    assert_eq!(recent.time, "2026-11-21T13:24:01.000Z");
    assert_eq!(recent.chain, text.chain);
    assert!(recent.fallback && recent.streaming && !recent.truncated);
    assert_eq!((recent.input_tokens, recent.output_tokens), (Some(50), Some(55)));
    assert_eq!((recent.cost.as_deref(), recent.unit.as_deref()), (Some("1.60000000"), Some("usd")));
    assert_eq!((recent.ttft_ms, recent.duration_ms), (Some(110), 410));
    assert_eq!((recent.project.as_deref(), recent.client), (Some("search"), None));
    let huge =
        Finished { cost: Some((Pico(u128::MAX), Named::unit("usd"))), ..Finished::default() };
    let told = entry(&huge, &text, 0).report().cost;
    assert_eq!(told, Some(Pico(u128::MAX).to_string()));
    // No tokens known is another thing than none used.
    assert_eq!(entry(&Finished::default(), &text, 0).report().input_tokens, None);
}

#[test]
fn a_projection_goes_on_like_this() {
    let unit = |units: u128| Pico(units * Pico::UNIT.0);
    let day = 86_400_000;
    assert_eq!(projected(unit(10), 0, 30 * day, 15 * day), Some(unit(20)));
    assert_eq!(projected(unit(10), 0, 30 * day, 30 * day), Some(unit(10)));
    assert_eq!(projected(unit(10), 0, 30 * day, 99 * day), Some(unit(10)));
    assert_eq!(projected(unit(10), 0, 30 * day, day / 10), None);
    assert_eq!(projected(unit(10), day, 30 * day, 0), None);
    assert_eq!(projected(Pico(u128::MAX), 0, 100, 50), Some(Pico(u128::MAX)));
}

#[test]
fn the_report_has_the_documented_shape() {
    let input = BudgetInput {
        scope: "project",
        id: "search",
        unit: "usd",
        limit: Pico::UNIT,
        spent: Pico(1),
        reserved: Pico::ZERO,
        window: "total",
        start_ms: 0,
        end_ms: None,
        soft: false,
    };
    let entry = entry(&moved(), &EntryText { event_id: "e", ..EntryText::default() }, NOW_MS);
    let report = Report {
        providers: vec![Provider {
            name: "one".to_owned(),
            keys: vec![Key::default()],
            ..Provider::default()
        }],
        budgets: vec![Budget::new(&input, NOW_MS)],
        journal: Some(Journal::default()),
        recent: vec![entry.report()],
        ..Report::default()
    };
    let json: serde_json::Value = serde_json::from_slice(&report.json()).unwrap();
    let has = |value: &serde_json::Value, names: &[&str]| {
        for name in names {
            assert!(value.get(name).is_some(), "{name}");
        }
    };
    has(&json, &["providers", "limits", "budgets", "journal", "recent"]);
    let provider = ["name", "state", "benched_until", "latency_ms", "success_ratio", "keys"];
    has(&json["providers"][0], &provider);
    has(&json["providers"][0]["keys"][0], &["id", "state"]);
    let budget = ["scope", "id", "unit", "limit", "spent", "reserved", "resets_at"];
    has(&json["budgets"][0], &budget);
    has(&json["journal"], &["events", "bytes", "oldest_seconds"]);
    has(&json["recent"][0], &["event_id", "time", "chain"]);
    assert_eq!(json["budgets"][0]["spent"], "0.000000000001");
    assert_eq!(serde_json::from_slice::<Report>(&report.json()).unwrap(), report);
}

#[test]
fn a_browser_gets_the_page_and_others_get_json() {
    for (path, accept, shape) in [
        ("/status", "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8", Shape::Html),
        ("/status", "Text/HTML;q=0.5", Shape::Html),
        ("/status", "application/json", Shape::Json),
        ("/status", "*/*", Shape::Json),
        ("/status", "", Shape::Json),
        ("/status/json", "text/html", Shape::Json),
        ("/status", "text/htmlx", Shape::Json),
    ] {
        assert_eq!(Shape::negotiated(path.as_bytes(), accept.as_bytes()), shape, "{path} {accept}");
    }
}

/// The text between the first `open` and the next `close`.
fn between<'a>(text: &'a str, open: &str, close: &str) -> &'a str {
    text.split_once(open).unwrap().1.split_once(close).unwrap().0
}

fn base64(bytes: &[u8]) -> String {
    const DIGITS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    bytes
        .chunks(3)
        .flat_map(|chunk| {
            let word = (0..3).fold(0_usize, |word, at| {
                word << 8 | usize::from(chunk.get(at).copied().unwrap_or(0))
            });
            (0..4).map(move |digit| match digit <= chunk.len() {
                true => char::from(DIGITS[word >> (18 - 6 * digit) & 63]),
                false => '=',
            })
        })
        .collect()
}

#[test]
fn the_policy_allows_the_page_its_own_script_and_style_and_no_more() {
    for (open, close, directive) in
        [("<script>", "</script>", "script-src"), ("<style>", "</style>", "style-src")]
    {
        assert_eq!(PAGE.matches(open).count(), 1);
        let hash = base64(&Sha256::digest(between(PAGE, open, close)));
        assert!(PAGE_POLICY.contains(&format!("{directive} 'sha256-{hash}';")), "{directive}");
    }
    assert!(PAGE_POLICY.starts_with("default-src 'none';"));
    assert!(!PAGE_POLICY.contains(['\n', '*']) && !PAGE_POLICY.contains("'uns"));
    for forbidden in ["innerHTML", "outerHTML", "insertAdjacent", "document.write", "eval("] {
        assert!(!PAGE.contains(forbidden), "{forbidden}");
    }
    for attribute in ["src=\"", " style=\"", "@import", "url(http", "href=\"http"] {
        assert!(!PAGE.contains(attribute), "{attribute}");
    }
}

#[test]
fn the_page_is_made_from_its_sources() {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/../status-page");
    let mut paths: Vec<_> = std::fs::read_dir(folder)
        .unwrap()
        .chain(std::fs::read_dir(format!("{folder}/uplot")).unwrap())
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.is_file() && path.extension().is_none_or(|kind| kind != "md"))
        .collect();
    // As the script sorts them: by bytes, folders' contents beside files.
    paths.sort_by_key(|path| path.strip_prefix(folder).unwrap().as_os_str().to_owned());
    let mut hash = Sha256::new();
    for path in paths {
        hash.update(std::fs::read(path).unwrap());
    }
    let hash: String = hash.finalize().iter().map(|byte| format!("{byte:02x}")).collect();
    let made_from = between(PAGE, "<!-- made from ", " by scripts/status-page");
    assert_eq!(made_from, hash, "run scripts/status-page");
}

proptest! {
    #[test]
    fn any_text_is_cut_between_characters(text in ".*", bytes in any::<Vec<u8>>()) {
        let mut bounded = Bounded::<20>::default();
        bounded.set("something that is cut");
        bounded.set(&text);
        prop_assert!(text.starts_with(&bounded.text()));
        prop_assert!(text.len() > 20 || bounded.text() == text);
        // Whatever a client sends, the report is JSON.
        let lossy = String::from_utf8_lossy(&bytes);
        let told = EntryText { chain: &lossy, tag: &text, ..EntryText::default() };
        let recent = vec![entry(&moved(), &told, NOW_MS).report()];
        let report = Report { recent, ..Report::default() };
        prop_assert_eq!(serde_json::from_slice::<Report>(&report.json()).unwrap(), report);
    }
}
