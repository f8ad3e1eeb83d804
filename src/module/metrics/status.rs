//! `llm_status`: how things are, as JSON and as a page.

use std::collections::{HashMap, HashSet};

use llm_core::metrics::{Decision, Layout};
use llm_core::ratelimit::DenyReason;
use llm_core::status::{
    Budget, BudgetInput, Cell, DecisionCount, Entry, Flow, Hour, Journal, Key, KeyState, Kind,
    Limit, PAGE, PAGE_POLICY, Provider, ProviderState, Report, Ring, Series, Shape, Target,
    minute_of, rfc3339,
};

use super::Board;
use super::control::control;
use super::gauges::{self, ProviderNow, is_up};
use crate::ffi::{Request, unix_ms};
use crate::health::ProviderIs;

/// Answers with the page or the report.
pub fn status(mut r: Request<'_>) -> isize {
    if !r.is_main() {
        return 403;
    }
    r.add_header("Cache-Control", "no-store");
    if r.method() == b"POST" {
        return control(r);
    }
    if !matches!(r.method(), b"GET" | b"HEAD") {
        r.add_header("Allow", "GET, HEAD, POST");
        return 405;
    }
    r.add_header("X-Content-Type-Options", "nosniff");
    r.add_header("Vary", "Accept");
    let shape = Shape::negotiated(r.path(), r.header("accept").unwrap_or_default());
    match shape {
        Shape::Html => {
            r.add_header("Content-Security-Policy", PAGE_POLICY.trim());
            r.add_header("Referrer-Policy", "no-referrer");
            r.answer(200, shape.content_type(), PAGE.as_bytes())
        }
        Shape::Json => match &r.main_conf().metrics {
            Some(board) => r.answer(200, shape.content_type(), &report(r, board).json()),
            None => 404,
        },
    }
}

/// The last hour, copied once for the whole report.
struct LastHour<'a> {
    cells: Vec<Cell>,
    layout: &'a Layout,
    minute: u64,
}

impl LastHour<'_> {
    fn series(&mut self, kind: Kind<'_>) -> Option<Series> {
        Hour::new(&mut self.cells).series(self.layout, kind, self.minute)
    }

    fn total(&mut self, kind: Kind<'_>) -> u64 {
        Hour::new(&mut self.cells).total(self.layout, kind, self.minute)
    }
}

fn report(r: Request<'_>, board: &Board) -> Report {
    let now_ms = unix_ms();
    let streams = board.series_where(|record| record.worker().is_some());
    let providers = gauges::providers(r);
    let entries = Ring::latest(board.recent.copied(<[Entry]>::len, |_| true));
    let cells = board.hour.copied(<[Cell]>::len, |_| true);
    let mut hour = LastHour { cells, layout: &board.layout, minute: minute_of(now_ms) };
    Report {
        version: env!("CARGO_PKG_VERSION").to_owned(),
        node: crate::identity::node(),
        time: rfc3339(now_ms),
        open_streams: board.open_streams(&streams),
        flows: flows(&mut hour, &providers),
        decisions: decisions(&mut hour),
        providers: providers.iter().map(|now| provider(r, &mut hour, now, now_ms)).collect(),
        limits: limits(r, now_ms),
        budgets: gauges::budgets(r).iter().map(|found| budget(r, found, now_ms)).collect(),
        journal: journal(r, now_ms),
        recent: entries.iter().map(Entry::report).collect(),
    }
}

fn provider(
    r: Request<'_>,
    last_hour: &mut LastHour<'_>,
    now: &ProviderNow<'_>,
    now_ms: u64,
) -> Provider {
    let until = |left_ms: u64| rfc3339(now_ms.saturating_add(left_ms));
    let benched = || now.targets.iter().filter_map(|target| target.seen.benched_ms);
    let state = match (now.is, is_up(now), benched().next().is_some()) {
        (ProviderIs::Drained, ..) => ProviderState::Drained,
        (_, false, _) => ProviderState::Benched,
        (_, true, true) => ProviderState::Degraded,
        (_, true, false) => ProviderState::Up,
    };
    let recovers = match now.is {
        ProviderIs::Down(left_ms) => Some(left_ms),
        _ => benched().min(),
    };
    let seen: Vec<_> = now.targets.iter().map(|target| &target.seen).collect();
    let latencies: Vec<u64> = seen.iter().filter_map(|seen| seen.latency_ms).collect();
    let ratios: Vec<u32> = seen.iter().map(|seen| seen.success_permille).collect();
    let mean = |sum: u64, count: usize| (count > 0).then(|| sum / count as u64);
    let success = mean(ratios.iter().map(|part| u64::from(*part)).sum(), ratios.len());
    let unit = r.main_conf().compiled.iter().find_map(|compiled| {
        compiled.routes.provider_index(now.name)?;
        Some(compiled.cost.card.unit(now.name).to_owned())
    });
    let hour = last_hour.series(Kind::Provider(now.name));
    // Where health learns nothing, the last hour tells.
    let counted = |counts: fn(&Series) -> &Vec<u64>| {
        hour.as_ref().map_or(0, |hour| counts(hour).iter().sum::<u64>())
    };
    let (made, failed) = (counted(|hour| &hour.attempts), counted(|hour| &hour.failures));
    let success =
        success.or_else(|| made.saturating_sub(failed).saturating_mul(1000).checked_div(made));
    let minutes: Vec<u64> =
        hour.iter().flat_map(|hour| hour.latency_ms.iter().flatten().copied()).collect();
    let latency_ms = mean(latencies.iter().sum(), latencies.len())
        .or_else(|| mean(minutes.iter().sum(), minutes.len()));
    Provider {
        name: now.name.to_owned(),
        state,
        benched_until: recovers.filter(|_| state == ProviderState::Benched).map(until),
        latency_ms,
        success_ratio: success.map(|permille| permille as f64 / 1000.0),
        unit,
        keys: now
            .keys
            .iter()
            .map(|(id, has_secret, benched_ms)| Key {
                id: id.clone(),
                state: match (has_secret, benched_ms) {
                    (false, _) => KeyState::Missing,
                    (true, Some(_)) => KeyState::Benched,
                    (true, None) => KeyState::Ready,
                },
                until: benched_ms.map(until),
            })
            .collect(),
        targets: now
            .targets
            .iter()
            .filter_map(|target| {
                let until = until(target.seen.benched_ms?);
                Some(Target { model: target.model.clone(), key: target.key.clone(), until })
            })
            .collect(),
        hour,
    }
}

fn flows(hour: &mut LastHour<'_>, providers: &[ProviderNow<'_>]) -> Vec<Flow> {
    let mut flows = Vec::new();
    for from in providers {
        for to in providers.iter().filter(|to| to.name != from.name) {
            let count = hour.total(Kind::Flow(from.name, to.name));
            if count > 0 {
                flows.push(Flow { from: from.name.to_owned(), to: to.name.to_owned(), count });
            }
        }
    }
    flows
}

fn decisions(hour: &mut LastHour<'_>) -> Vec<DecisionCount> {
    let allowed = [(Decision::Allow, "")].into_iter();
    let refused = [Decision::Deny, Decision::WouldDeny]
        .into_iter()
        .flat_map(|decision| DenyReason::ALL.map(|reason| (decision, reason.name())));
    allowed
        .chain(refused)
        .filter_map(|(decision, reason)| {
            let count = hour.total(Kind::Decision(decision, reason));
            (count > 0).then(|| DecisionCount {
                decision: decision.name().to_owned(),
                reason: if reason.is_empty() { "none" } else { reason }.to_owned(),
                count,
            })
        })
        .collect()
}

/// Every limit of the configuration, each once, with what is used of it. Rules that are called the same,
/// for other keys, are told as one.
fn limits(r: Request<'_>, now_ms: u64) -> Vec<Limit> {
    let mut limits: Vec<Limit> = Vec::new();
    // By the ids of limits: how many use some of it, and how much is used most.
    let mut uses: HashMap<u64, (u64, u64)> = HashMap::new();
    let rules = || r.main_conf().compiled.iter().flat_map(|compiled| compiled.limits.describe());
    uses.extend(rules().map(|rule| (rule.id, (0, 0))));
    if let Some(board) = r.main_conf().limits.as_ref().filter(|_| !uses.is_empty()) {
        board.zone.visit(<[_]>::len, |part| {
            for used in part.iter().filter_map(|record| record.used(now_ms)) {
                if let Some((active, most)) = uses.get_mut(&used.limit) {
                    (*active, *most) = (*active + 1, (*most).max(used.amount));
                }
            }
        });
    }
    let mut told = HashSet::new();
    for rule in rules().filter(|rule| told.insert((rule.name, rule.id))) {
        let (active, most) = uses.get(&rule.id).copied().unwrap_or_default();
        if let Some(known) = limits.iter_mut().find(|known| known.rule == rule.name) {
            known.active = known.active.map(|sum| sum + active);
            known.most_used = known.most_used.max(Some(most));
            continue;
        }
        limits.push(Limit {
            rule: rule.name.to_owned(),
            kind: rule.kind.to_owned(),
            limit: rule.limit,
            window_seconds: rule.window_ms.map(|ms| ms.div_ceil(1000)),
            active: Some(active),
            most_used: Some(most),
        });
    }
    limits
}

fn budget(r: Request<'_>, found: &llm_core::ratelimit::Budget, now_ms: u64) -> Budget {
    let (scope, id) = gauges::scope_and_ids(found);
    let label = found.label.as_ref();
    let ends = found.window.end_s != u64::MAX;
    let input = BudgetInput {
        scope,
        id: &id,
        unit: label.map_or("", |label| label.unit()),
        limit: found.limit,
        spent: found.spent,
        reserved: found.reserved,
        window: label.map_or("", |label| label.span.name()),
        start_ms: found.window.start_s.saturating_mul(1000),
        end_ms: ends.then(|| found.window.end_s.saturating_mul(1000)),
        soft: label.is_some_and(|label| {
            r.main_conf().compiled.iter().any(|compiled| compiled.limits.is_soft(label))
        }),
    };
    Budget::new(&input, now_ms)
}

fn journal(r: Request<'_>, now_ms: u64) -> Option<Journal> {
    let note = gauges::journal(r)?;
    Some(Journal {
        events: note.waiting_events,
        bytes: note.journal_bytes,
        max_bytes: r.main_conf().store.as_ref().map(|store| store.journal.max_bytes),
        oldest_seconds: note.oldest_age_ms(now_ms) / 1000,
        written: note.written,
        dropped: note.dropped,
        dead_letter: note.dead_letters,
    })
}
