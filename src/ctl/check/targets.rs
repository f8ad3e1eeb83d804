//! Can every target be reached, and does every failure lead somewhere?

use llm_core::auth::client::covers;
use llm_core::fallback::{ClassSet, Policy, max_attempts};

use super::{Subject, World};
use crate::finding::Report;

pub(super) fn check(subject: &Subject<'_>, world: &World<'_>, report: &mut Report) {
    if subject.edges.is_empty() {
        return;
    }
    let location = &subject.location;
    if location.switch("llm_fallback") != Some(true) {
        if let Some(line) = subject.edges.first() {
            let text = "llm_fallback is off, so this never happens; add \"llm_fallback;\"";
            report.warning("unreachable_fallback", world.at(line), text);
        }
        return;
    }
    check_edges(subject, world, report);
    let mut limit = Policy::MAX_ATTEMPTS;
    if let Some(line) = location.lines("llm_fallback_max_attempts").last() {
        match max_attempts(line.args.first().map_or("", String::as_str)) {
            Ok(count) => limit = count,
            Err(text) => report.error("directive", world.at(line), text),
        }
    }
    for line in location.lines("llm_fallback_on") {
        if let Err(text) = ClassSet::parse(&line.words()) {
            report.error("directive", world.at(line), text);
        }
    }
    let place = location.lines("llm_fallback_max_attempts").last().or(subject.edges.last());
    for text in subject.graph.warnings(&subject.routes, limit) {
        if let Some(line) = place {
            report.warning("unreachable_fallback", world.at(line), text);
        }
    }
    check_nginx_lines(subject, limit, world, report);
}

fn check_edges(subject: &Subject<'_>, world: &World<'_>, report: &mut Report) {
    let routes = &subject.routes;
    for (edge, line) in subject.graph.edges.iter().zip(&subject.edges) {
        let from = &edge.from.provider;
        let first = routes.default.as_ref().filter(|_| !routes.has_catalog()) == Some(from)
            || routes.patterns.iter().any(|pattern| pattern.provider == *from)
            || routes.aliases.iter().any(|alias| alias.provider == *from);
        let replaced = subject.graph.replaces.iter().any(|line| line.to == *from);
        let later = subject.graph.edges.iter().any(|other| other.to.provider == *from);
        if !first && !later && !replaced {
            report.warning(
                "unreachable_fallback",
                world.at(line),
                format!(
                    "no model leads to provider \"{from}\", so it never falls back; add a model"
                ),
            );
        }
        if let Some(wanted) = &edge.from.model
            && first
            && routes.has_catalog()
            && !routes.patterns.iter().any(|pattern| {
                pattern.provider == *from
                    && (covers(&pattern.pattern, wanted) || covers(wanted, &pattern.pattern))
            })
            && !later
        {
            report.warning(
                "unreachable_fallback",
                world.at(line),
                format!("the catalog has no model \"{wanted}\" of provider \"{from}\""),
            );
        }
        let to = &edge.to.provider;
        let own = |model: &str| {
            let mut patterns = routes.patterns.iter();
            patterns.any(|pattern| pattern.provider == *to && covers(&pattern.pattern, model))
        };
        let has_own = routes.patterns.iter().any(|pattern| pattern.provider == *to);
        match edge.model.as_deref() {
            Some(model) if has_own && !own(model) => report.warning(
                "unreachable_fallback",
                world.at(line),
                format!("the catalog has no model \"{model}\" of provider \"{to}\""),
            ),
            None if has_own => {
                let asked = routes.patterns.iter().filter(|pattern| pattern.provider == *from);
                let foreign = asked.map(|pattern| pattern.pattern.as_str());
                if let Some(model) = foreign.filter(|model| !own(model)).min() {
                    report.warning(
                        "unreachable_fallback",
                        world.at(line),
                        format!(
                            "provider \"{to}\" would be asked for \"{model}\", which the catalog does \
                             not have there; name a model behind \"{to}\""
                        ),
                    );
                }
            }
            _ => {}
        }
    }
}

/// nginx's own retry lines are an upper bound.
fn check_nginx_lines(subject: &Subject<'_>, limit: u32, world: &World<'_>, report: &mut Report) {
    let location = &subject.location;
    if let Some(line) = location.lines("proxy_next_upstream").last()
        && line.args.iter().any(|word| word == "off")
    {
        let text =
            "\"proxy_next_upstream off\" forbids what llm_fallback_route asks for, remove it";
        report.warning("contradictory_retry", world.at(line), text);
    }
    if let Some(line) = location.lines("proxy_next_upstream_tries").last()
        && let Some(tries) = line.args.first().and_then(|word| word.parse::<u32>().ok())
        && tries > 0
        && tries < limit
    {
        let text = format!(
            "\"proxy_next_upstream_tries {tries}\" ends the chain before llm_fallback_max_attempts \
             {limit}, remove it"
        );
        report.warning("contradictory_retry", world.at(line), text);
    }
}
