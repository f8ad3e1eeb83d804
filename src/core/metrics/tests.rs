//! What requests add, and how that reads in both text formats.

use proptest::prelude::*;

use super::*;
use crate::cost::{Pico, UsageSource};
use crate::fallback::{FailureClass, SkipReason, Suppressed};
use crate::ratelimit::DenyReason;
use crate::route::Outcome;
use crate::usage::Usage;

const ALL: Opted =
    Opted { model: true, tenant: true, auth_status: true, resolution_outcome: true, usage: true };

const MIMO: Named<'_> = Named::provider("mimo");
const DEEPSEEK: Named<'_> = Named::provider("deepseek");

fn layout(opted: Opted) -> Layout {
    let names = Names {
        providers: &["deepseek", "Mimo"],
        models: &["deepseek-v4-pro", "mimo-*", "mimo-v2.5-*"],
        tenants: &["acme"],
        units: &["usd", "credit"],
    };
    Layout::new(&names, opted)
}

/// A stream that moved from one provider to the other.
fn fallen_back() -> Finished<'static> {
    Finished {
        provider: Some(MIMO),
        model: Some("mimo-v2.5-pro"),
        tenant: Some("acme"),
        streaming: true,
        code: 200,
        attempts: const {
            &[
                Tried {
                    provider: DEEPSEEK,
                    model: Some("deepseek-v4-pro"),
                    end: AttemptEnd::Failed(FailureClass::RateLimited),
                    duration_ms: 212,
                    ttft_ms: None,
                },
                Tried {
                    provider: MIMO,
                    model: Some("mimo-v2.5-pro"),
                    end: AttemptEnd::Ok,
                    duration_ms: 840,
                    ttft_ms: Some(300),
                },
            ]
        },
        duration_us: 1_052_000,
        ttft_us: Some(512_000),
        overhead_us: Some(180),
        usage: Some(Usage::of(50, 55)),
        usage_source: Some(UsageSource::Reported),
        cost: Some((Pico(1_000_000_000_250), Named::unit("usd"))),
        decisions: &[(Decision::Allow, ""), (Decision::WouldDeny, "token_budget_exhausted")],
        outcome: Some(Outcome::FallbackAfterFailure),
        auth_status: Some("resolved"),
        ..Finished::default()
    }
}

fn record(records: &mut [Record], layout: &Layout, finished: &Finished<'_>) {
    let mut adds = Adds::default();
    layout.adds(&mut adds, finished);
    Table::new(records).apply(&adds);
}

/// As the module copies the zone.
fn copied(records: &[Record]) -> Vec<Record> {
    records[..Table::extent(records)].to_vec()
}

/// The series of a zone, without its head.
fn series(records: &[Record]) -> Vec<Record> {
    copied(records).into_iter().skip(1).collect()
}

/// Frees what a new configuration does not name, as the module does.
fn make_room(records: &mut [Record], layout: &Layout) {
    for one in series(records).iter().filter(|one| !layout.knows(one)) {
        Table::new(records).remove(one);
    }
}

fn text(records: &mut [Record], layout: &Layout, format: Format, gauges: Vec<Gauge>) -> String {
    let mut exposition = Exposition::new(layout, format, copied(records), gauges);
    let (mut all, mut buffer) = (Vec::new(), [0; 1000]);
    loop {
        match exposition.read(&mut buffer) {
            0 => return String::from_utf8(all).unwrap(),
            len => all.extend_from_slice(&buffer[..len]),
        }
    }
}

fn lines_of<'a>(text: &'a str, name: &str) -> Vec<&'a str> {
    let of = |line: &&str| line.strip_prefix(name).is_some_and(|rest| rest.starts_with(['{', ' ']));
    text.lines().filter(of).collect()
}

#[test]
fn a_request_becomes_the_golden_text() {
    let (layout, mut records) = (layout(ALL), vec![Record::default(); 100]);
    record(&mut records, &layout, &fallen_back());
    record(&mut records, &layout, &fallen_back());
    let refused = Finished {
        code: 429,
        error: Some(ErrorSource::Gateway),
        decisions: &[(Decision::Deny, "spend_budget_exhausted")],
        suppressed: Some(Suppressed::NoTarget),
        ..Finished::default()
    };
    record(&mut records, &layout, &refused);
    let mut written = Adds::default();
    written.cost_events(EventResult::Written, 7);
    Table::new(&mut records).apply(&written);
    let spend = Amount::Money(Pico(2_500_000_000_000));
    let gauges = vec![
        Gauge::new(Metric::ProviderUp, &[b"deepseek"], Amount::Whole(0)).unwrap(),
        Gauge::new(Metric::Spend, &[b"project/a \"b\"", b"usd"], spend).unwrap(),
        Gauge::new(Metric::OpenStreams, &[], Amount::Whole(3)).unwrap(),
    ];
    for (format, golden) in [(Format::Text, "text"), (Format::OpenMetrics, "openmetrics")] {
        let path = format!("{}/golden/metrics/{golden}.txt", env!("CARGO_MANIFEST_DIR"));
        let made = text(&mut records, &layout, format, gauges.clone());
        if std::env::var_os("UPDATE_GOLDEN").is_some() {
            std::fs::write(&path, &made).unwrap();
        }
        assert_eq!(made, std::fs::read_to_string(&path).unwrap(), "{path}");
        check(&made, format);
    }
}

#[test]
fn junk_models_and_tenants_add_nothing() {
    let (layout, mut records) = (layout(ALL), vec![Record::default(); 100]);
    let mut adds = Adds::default();
    for number in 0..10_000 {
        let (model, tenant) = (format!("junk-{number}"), format!("nobody-{number}"));
        let finished = Finished {
            provider: Some(DEEPSEEK),
            model: Some(&model),
            tenant: Some(&tenant),
            code: 200,
            ..Finished::default()
        };
        layout.adds(&mut adds, &finished);
        Table::new(&mut records).apply(&adds);
    }
    assert_eq!(series(&records).len(), 2);
    let text = text(&mut records, &layout, Format::Text, Vec::new());
    let line = "llm_requests_total{provider=\"deepseek\",model=\"other\",tenant=\"other\",\
                streaming=\"false\",code=\"200\"} 10000";
    assert_eq!(lines_of(&text, "llm_requests_total"), [line]);
}

#[test]
fn a_model_counts_as_its_name_or_as_the_best_pattern() {
    let layout = layout(ALL);
    let shown = |model| layout.text(layout.model(Some(model)).0).unwrap();
    assert_eq!(shown("DeepSeek-V4-Pro"), "deepseek-v4-pro");
    assert_eq!(shown("mimo-v2.5-pro"), "mimo-v2.5-*");
    assert_eq!(shown("MIMO-x"), "mimo-*");
    assert_eq!(shown("gpt-5"), "other");
}

#[test]
fn statuses_are_bounded() {
    let (layout, mut records) = (layout(Opted::default()), vec![Record::default(); 1000]);
    for code in 0..=u16::MAX {
        let finished = Finished { provider: Some(MIMO), code, ..Finished::default() };
        record(&mut records, &layout, &finished);
    }
    let text = text(&mut records, &layout, Format::Text, Vec::new());
    let lines = lines_of(&text, "llm_requests_total");
    assert!(lines.len() < 100, "{}", lines.len());
    let of = |code: &str| lines.iter().any(|line| line.contains(&format!("code=\"{code}\"")));
    assert!(of("200") && of("529") && of("499") && of("4xx") && !of("599"));
}

#[test]
fn a_retry_and_another_key_are_no_fallback() {
    let (layout, mut records) = (layout(Opted::default()), vec![Record::default(); 100]);
    let tried =
        |end| Tried { provider: MIMO, model: Some("mimo-x"), end, duration_ms: 1, ttft_ms: None };
    let attempts = [tried(AttemptEnd::Failed(FailureClass::AuthError)), tried(AttemptEnd::Ok)];
    record(&mut records, &layout, &Finished { attempts: &attempts, ..Finished::default() });
    let table = Table::new(&mut records);
    assert_eq!((table.count(Metric::Attempts), table.count(Metric::Fallbacks)), (2, 0));
}

#[test]
fn a_first_target_that_was_passed_over_is_a_fallback() {
    let (layout, mut records) = (layout(Opted::default()), vec![Record::default(); 100]);
    let tried = |provider, model, end| Tried {
        provider,
        model: Some(model),
        end,
        duration_ms: 1,
        ttft_ms: None,
    };
    let first = PassedOver { provider: MIMO, model: Some("a"), reason: SkipReason::Benched };
    let passed_over = Some(first);
    let failed = AttemptEnd::Failed(FailureClass::RateLimited);
    let elsewhere = [tried(DEEPSEEK, "b", failed), tried(MIMO, "c", AttemptEnd::Ok)];
    record(
        &mut records,
        &layout,
        &Finished { passed_over, attempts: &elsewhere, ..Finished::default() },
    );
    // It was the last resort after all, and it was never left.
    let there = [tried(MIMO, "a", AttemptEnd::Ok)];
    record(
        &mut records,
        &layout,
        &Finished { passed_over, attempts: &there, ..Finished::default() },
    );
    record(&mut records, &layout, &Finished { passed_over, ..Finished::default() });
    let text = text(&mut records, &layout, Format::Text, Vec::new());
    let found: Vec<_> = lines_of(&text, "llm_fallbacks_total");
    assert_eq!(found.len(), 2, "{found:?}");
    for line in [
        "llm_fallbacks_total{from=\"Mimo\",to=\"deepseek\",reason=\"benched\"} 1",
        "llm_fallbacks_total{from=\"deepseek\",to=\"Mimo\",reason=\"rate_limited\"} 1",
    ] {
        assert!(found.contains(&line), "{found:?}");
    }
}

#[test]
fn every_reason_has_its_text() {
    let layout = layout(Opted::default());
    let refusals = DenyReason::ALL.map(DenyReason::name);
    for name in refusals.into_iter().chain(SkipReason::ALL.map(SkipReason::name)) {
        assert_eq!(layout.text(layout.reason(name).0), Some(name));
    }
}

#[test]
fn series_outlive_a_reload_with_another_order_of_names() {
    let mut records = vec![Record::default(); 100];
    record(&mut records, &layout(Opted::default()), &fallen_back());
    let names = Names { providers: &["new", "mimo"], ..Names::default() };
    let next = Layout::new(&names, Opted::default());
    let (before, moved) = (series(&records).len(), Table::moved(&records));
    make_room(&mut records, &next);
    assert!(series(&records).len() < before);
    assert!(Table::moved(&records) > moved);
    record(
        &mut records,
        &next,
        &Finished { provider: Some(MIMO), streaming: true, code: 200, ..Finished::default() },
    );
    let text = text(&mut records, &next, Format::Text, Vec::new());
    let line = "llm_requests_total{provider=\"mimo\",streaming=\"true\",code=\"200\"} 2";
    assert_eq!(lines_of(&text, "llm_requests_total"), [line]);
    // One of its labels is gone, and so is the series.
    assert!(lines_of(&text, "llm_fallbacks_total").is_empty());
}

#[test]
fn a_label_that_is_turned_on_begins_new_series() {
    let mut records = vec![Record::default(); 200];
    record(&mut records, &layout(Opted::default()), &fallen_back());
    let on = layout(ALL);
    assert!(
        lines_of(&text(&mut records, &on, Format::Text, Vec::new()), "llm_requests_total")
            .is_empty()
    );
    record(&mut records, &on, &fallen_back());
    assert_eq!(
        lines_of(&text(&mut records, &on, Format::Text, Vec::new()), "llm_requests_total").len(),
        1
    );
}

#[test]
fn a_full_zone_counts_what_it_loses() {
    let (layout, mut records) = (layout(Opted::default()), vec![Record::default(); 4]);
    for _ in 0..3 {
        record(&mut records, &layout, &fallen_back());
    }
    assert_eq!(series(&records).len(), 3);
    assert!(Table::lost(&records) > 0);
    assert_eq!(Table::new(&mut records).count(Metric::Requests), 3);
    let shown = text(&mut records, &layout, Format::Text, Vec::new());
    assert_eq!(lines_of(&shown, "llm_metrics_lost_total").len(), 1);
    // No records at all: nothing to read, nothing to break.
    record(&mut [], &layout, &fallen_back());
}

#[test]
fn costs_add_up_exactly() {
    let (layout, mut records) = (layout(Opted::default()), vec![Record::default(); 100]);
    let each = 999_999_999_999_u128;
    for _ in 0..1000 {
        let cost = Some((Pico(each), Named::unit("usd")));
        record(&mut records, &layout, &Finished { cost, ..Finished::default() });
    }
    let text = text(&mut records, &layout, Format::Text, Vec::new());
    let line = lines_of(&text, "llm_cost_units_total");
    assert_eq!(
        line,
        [format!("llm_cost_units_total{{provider=\"other\",unit=\"usd\"}} {}", Pico(each * 1000))]
    );
}

#[test]
fn the_accept_header_decides_the_format() {
    for (accept, format) in [
        ("", Format::Text),
        ("*/*", Format::Text),
        ("text/html, nonsense;;q=,=", Format::Text),
        ("application/openmetrics-text", Format::OpenMetrics),
        ("Application/OpenMetrics-Text; version=\"1.0.0\"; q=0.7, */*", Format::OpenMetrics),
        ("application/openmetrics-text;version=1.0.0;q=0", Format::Text),
        ("application/openmetrics-text;version=2.0.0", Format::Text),
        ("application/openmetrics-text;q=0.2,text/plain;version=0.0.4;q=0.3", Format::Text),
        (
            "application/openmetrics-text;version=1.0.0;q=0.5,\
             application/openmetrics-text;version=0.0.1;q=0.4,text/plain;version=0.0.4;q=0.3,\
             */*;q=0.2",
            Format::OpenMetrics,
        ),
    ] {
        assert_eq!(Format::negotiated(accept.as_bytes()), format, "{accept}");
    }
    assert_eq!(Format::negotiated(b"\xff\xfe"), Format::Text);
}

#[test]
fn families_are_named_as_prometheus_wants_it() {
    let mut names = std::collections::HashSet::new();
    for (at, family) in FAMILIES.iter().enumerate() {
        assert_eq!(family.metric as usize, at);
        assert!(names.insert(family.name) && family.name.starts_with("llm_"));
        let is_total = family.name.ends_with("_total");
        assert_eq!(is_total, family.kind == Type::Counter, "{}", family.name);
        assert!(family.unit.is_none_or(|unit| family.base_name().ends_with(unit)));
        assert!(family.help.ends_with('.') && !family.help.contains(['\\', '\n']));
    }
}

#[test]
fn a_gauge_with_the_wrong_labels_is_none() {
    assert!(Gauge::new(Metric::ProviderUp, &[], Amount::Whole(1)).is_none());
    assert!(Gauge::new(Metric::Requests, &[], Amount::Whole(1)).is_none());
}

/// Debian's package prometheus has it; where it is not installed, `check` must do.
#[test]
fn promtool_finds_nothing_to_improve() {
    use std::process::{Command, Stdio};
    let golden = format!("{}/golden/metrics/text.txt", env!("CARGO_MANIFEST_DIR"));
    let text = Stdio::from(std::fs::File::open(golden).unwrap());
    let Ok(output) = Command::new("promtool").args(["check", "metrics"]).stdin(text).output()
    else {
        return;
    };
    let said = String::from_utf8_lossy(&output.stderr) + String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success() && said.is_empty(), "{said}");
}

#[test]
fn dashboard_and_alerts_name_families_that_exist() {
    let docker = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docker");
    for file in ["grafana/llm-dashboard.json", "prometheus/alerts.yml"] {
        let text = std::fs::read_to_string(format!("{docker}/{file}")).unwrap();
        let part = |c: char| !(c.is_ascii_alphanumeric() || c == '_');
        let named: Vec<_> = text.split(part).filter(|word| word.starts_with("llm_")).collect();
        assert!(named.len() > 10, "{file}");
        for name in named.iter().filter(|name| **name != "llm_metrics_zone") {
            let base = name.strip_suffix("_bucket").unwrap_or(name);
            assert!(FAMILIES.iter().any(|family| family.name == base), "{file}: {name}");
        }
    }
}

proptest! {
    #[test]
    fn any_name_gives_a_valid_text(name in any::<Vec<u8>>(), size in 1_usize..50) {
        let lossy = String::from_utf8_lossy(&name).into_owned();
        let names = Names { providers: &[&lossy], ..Names::default() };
        let layout = Layout::new(&names, Opted::default());
        let mut records = vec![Record::default(); 50];
        let finished = Finished { provider: Some(Named::provider(&lossy)), ttft_us: Some(7), ..Finished::default() };
        record(&mut records, &layout, &finished);
        let gauge = Gauge::new(Metric::TargetBenched, &[&name, &name, &name], Amount::Whole(1));
        for format in [Format::Text, Format::OpenMetrics] {
            let gauges = vec![gauge.clone().unwrap()];
            let whole = text(&mut records, &layout, format, gauges.clone());
            check(&whole, format);
            // However small the buffers are, the text is the same.
            let mut exposition = Exposition::new(&layout, format, copied(&records), gauges);
            let (mut pieces, mut buffer) = (Vec::new(), vec![0; size]);
            while let len @ 1.. = exposition.read(&mut buffer) {
                pieces.extend_from_slice(&buffer[..len]);
            }
            prop_assert_eq!(&pieces, whole.as_bytes());
        }
    }

    #[test]
    fn the_table_counts_like_a_map(
        keys in prop::collection::vec((0_u64..40, 0_u8..4), 0..300),
        size in 1_usize..60,
    ) {
        let mut records = vec![Record::default(); size];
        let mut model = std::collections::HashMap::new();
        let mut lost = 0;
        for (key, what) in keys {
            if what == 0 {
                let found = series(&records).into_iter().find(|one| one.labels[0] == key);
                prop_assert_eq!(found.is_some(), model.remove(&key).is_some());
                if let Some(found) = found {
                    Table::new(&mut records).remove(&found);
                }
                continue;
            }
            let add = super::finished::Add::new(Metric::Usage, [key, 0, 0, 0], super::finished::Change::Count(1));
            let mut adds = Adds::default();
            adds.push_for_tests(add);
            Table::new(&mut records).apply(&adds);
            if model.contains_key(&key) || model.len() + 1 < size {
                *model.entry(key).or_insert(0) += 1;
            } else {
                lost += 1;
            }
        }
        let found: std::collections::HashMap<u64, u64> =
            series(&records).iter().map(|one| (one.labels[0], one.count())).collect();
        prop_assert_eq!(found, model);
        prop_assert_eq!(Table::lost(&records), lost);
    }
}

/// Reads a text as strictly as a scraper does.
fn check(text: &str, format: Format) {
    let mut family = String::new();
    let mut seen = std::collections::HashSet::new();
    let mut series = std::collections::HashSet::new();
    let mut is_over = false;
    assert!(text.ends_with('\n'));
    for line in text.split_terminator('\n') {
        assert!(!is_over, "behind the end: {line}");
        if line == "# EOF" {
            is_over = true;
        } else if let Some(rest) = line.strip_prefix("# TYPE ") {
            let (name, _) = rest.split_once(' ').unwrap();
            assert!(seen.insert(name.to_owned()), "{name} twice");
            family = name.to_owned();
        } else if let Some(rest) = line.strip_prefix("# ") {
            let (_, rest) = rest.split_once(' ').unwrap();
            assert!(rest.starts_with(&format!("{family} ")));
        } else {
            assert!(line.starts_with(&family), "{line} is not of {family}");
            let (name, value) = line.rsplit_once(' ').unwrap();
            assert!(value.parse::<f64>().is_ok(), "{line}");
            assert!(series.insert(name.to_owned()), "{name} twice");
            if let Some((_, labels)) = name.split_once('{') {
                check_labels(labels);
            }
        }
    }
    assert_eq!(is_over, format == Format::OpenMetrics);
}

fn check_labels(mut rest: &str) {
    loop {
        let (name, behind) = rest.split_once("=\"").unwrap();
        assert!(!name.is_empty() && name.bytes().all(|b| b.is_ascii_lowercase() || b == b'_'));
        let mut chars = behind.char_indices();
        let end = loop {
            match chars.next().unwrap() {
                (_, '\\') => assert!(matches!(chars.next().unwrap().1, '\\' | '"' | 'n')),
                (at, '"') => break at,
                (_, c) => assert!(!c.is_control()),
            }
        };
        match &behind[end + 1..] {
            "}" => return,
            next => rest = next.strip_prefix(',').unwrap(),
        }
    }
}
