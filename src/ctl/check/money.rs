//! Is everything that may be sent priced, and can every cap and limit bind?

use llm_core::auth::client::covers;
use llm_core::cost::DEFAULT_UNIT;

use super::{Subject, World};
use crate::conf::Directive;
use crate::finding::Report;

pub(super) fn check(subject: &Subject<'_>, world: &World<'_>, report: &mut Report) {
    check_limits(subject, world, report);
    let location = &subject.location;
    let caps = location.lines("llm_ratelimit_spend_scope");
    let is_limited = location.switch("llm_ratelimit") == Some(true);
    if location.switch("llm_cost") != Some(true) {
        if let (Some(line), true) = (caps.first(), is_limited) {
            let text = "a cap on money needs prices, add \"llm_cost;\" and llm_cost_rate lines";
            report.error("cap_never_binds", world.at(line), text);
        }
        return;
    }
    if location.value("llm_cost_backend") == Some("off") && caps.is_empty() {
        return;
    }
    check_rates(subject, world, report);
    check_priced(subject, is_limited && !caps.is_empty(), world, report);
    if is_limited {
        caps.iter().for_each(|line| check_cap(subject, line, world, report));
    }
}

fn arg(line: &Directive, at: usize) -> &str {
    line.args.get(at).map_or("", String::as_str)
}

fn check_rates(subject: &Subject<'_>, world: &World<'_>, report: &mut Report) {
    for name in ["llm_cost_rate", "llm_cost_cached_rate", "llm_cost_rate_unit"] {
        for line in subject.location.lines(name) {
            let provider = arg(line, 0);
            // A price list may be for all locations; only a name that nobody has is a mistake.
            if subject.routes.provider_index(provider).is_none() && is_own(subject, line) {
                let text = format!("{name}: provider \"{provider}\" has no llm_proxy_route here");
                report.warning("unknown_provider", world.at(line), text);
            }
        }
    }
}

/// Whether the line stands in the location itself.
fn is_own(subject: &Subject<'_>, line: &Directive) -> bool {
    let items = subject.location.block.block.as_deref().unwrap_or_default();
    crate::conf::directives(items).any(|own| std::ptr::eq(own, line))
}

fn is_priced(subject: &Subject<'_>, provider: &str, model: &str) -> bool {
    let mut rates = subject.location.lines("llm_cost_rate").iter();
    rates.any(|line| arg(line, 0).eq_ignore_ascii_case(provider) && covers(arg(line, 1), model))
}

fn check_priced(subject: &Subject<'_>, capped: bool, world: &World<'_>, report: &mut Report) {
    let consequence = match (capped, subject.location.value("llm_ratelimit_unpriced")) {
        (true, None | Some("deny")) => "so that its requests are refused where a cap applies",
        (true, Some(_)) => "so that llm_ratelimit_unpriced decides",
        (false, _) => "so that its cost is unknown",
    };
    let unpriced = |line: &Directive, provider: &str, model: &str, report: &mut Report| {
        let text = format!(
            "model \"{model}\" of provider \"{provider}\" has no price, {consequence}; add \
             llm_cost_rate {provider} {model} <in> <out>"
        );
        report.warning("unpriced_model", world.at(line), text);
    };
    for line in subject.location.lines("llm_proxy_model_pattern") {
        let (model, provider) = (arg(line, 0), arg(line, 1));
        if !is_priced(subject, provider, model) {
            unpriced(line, provider, model, report);
        }
    }
    for line in subject.location.lines("llm_proxy_model_alias") {
        if let Some((provider, model)) = arg(line, 1).split_once('/')
            && !is_priced(subject, provider, model)
        {
            unpriced(line, provider, model, report);
        }
    }
    for (edge, line) in subject.graph.edges.iter().zip(&subject.edges) {
        if let Some(model) = &edge.model
            && !is_priced(subject, &edge.to.provider, model)
        {
            unpriced(line, &edge.to.provider, model, report);
        }
    }
}

fn unit<'a>(subject: &Subject<'a>, provider: &str) -> &'a str {
    let mut lines = subject.location.lines("llm_cost_rate_unit").iter();
    let found = lines.find(|line| arg(line, 0).eq_ignore_ascii_case(provider));
    found.and_then(|line| line.args.get(1)).map_or(DEFAULT_UNIT, String::as_str)
}

fn check_cap(subject: &Subject<'_>, line: &Directive, world: &World<'_>, report: &mut Report) {
    let wanted = arg(line, 1);
    let mut providers = subject.routes.providers.iter();
    let billed = providers.any(|provider| {
        unit(subject, &provider.name) == wanted
            && subject
                .location
                .lines("llm_cost_rate")
                .iter()
                .any(|rate| arg(rate, 0).eq_ignore_ascii_case(&provider.name))
    });
    if !billed {
        let text = format!(
            "no provider here has prices in \"{wanted}\", so this cap never binds; change its unit or \
             add llm_cost_rate_unit"
        );
        report.warning("cap_never_binds", world.at(line), text);
    }
    let budget = line.args.iter().rev().find(|word| word.starts_with(|c: char| c.is_ascii_digit()));
    if budget.is_some_and(|budget| budget.bytes().all(|byte| byte == b'0' || byte == b'.')) {
        let text = "a cap of 0 refuses every request";
        report.warning("cap_refuses_all", world.at(line), text);
    }
}

fn check_limits(subject: &Subject<'_>, world: &World<'_>, report: &mut Report) {
    let location = &subject.location;
    let is_limited = location.switch("llm_ratelimit") == Some(true);
    for name in ["llm_ratelimit_model_rpm", "llm_ratelimit_model_tpm"] {
        for line in location.lines(name) {
            let wanted = arg(line, 0);
            let routes = &subject.routes;
            let known =
                !routes.has_catalog()
                    || routes.patterns.iter().any(|pattern| {
                        covers(wanted, &pattern.pattern) || covers(&pattern.pattern, wanted)
                    })
                    || subject.graph.edges.iter().any(|edge| {
                        edge.model.as_deref().is_some_and(|model| covers(wanted, model))
                    });
            if !known {
                let text = format!("no model of the catalog is \"{wanted}\", so this never binds");
                report.warning("limit_never_binds", world.at(line), text);
            }
        }
    }
    let lines = location.all().filter(|line| {
        line.name.starts_with("llm_ratelimit_")
            && ["_rpm", "_tpm", "_minute", "_rule", "_scope", "_concurrency"]
                .iter()
                .any(|end| line.name.ends_with(end))
    });
    if !is_limited && let Some(line) = lines.into_iter().next() {
        let text = "llm_ratelimit is off, so nothing is limited here; add \"llm_ratelimit;\"";
        report.warning("limit_never_binds", world.at(line), text);
    }
}
