//! What is wrong with a configuration, as far as it can be known without sending a request? Everything
//! that nginx's own test finds in our lines, and what it cannot know: prices that are missing, targets
//! that nothing leads to, caps that never bind, secrets that are not there.

mod money;
mod secrets;
mod surface;
mod targets;

use std::path::Path;

use llm_core::fallback::{Edge, Graph, Replace};
use llm_core::route::{Alias, Pattern, RouteLine, Routes};

use crate::conf::{Directive, Item, Origin};
use crate::effective::{Location, locations};
use crate::finding::{Place, Report};

/// What the checks look at beside the configuration.
pub struct World<'w> {
    /// The place of a manifest's field.
    pub place: &'w dyn Fn(&str) -> Place,
    /// Whether an environment variable is there.
    pub has_env: &'w dyn Fn(&str) -> bool,
    /// Relative files are below this folder.
    pub folder: &'w Path,
    /// Whether the machine has a bundle of certificates.
    pub has_bundle: bool,
}

impl World<'_> {
    /// Where a directive stands.
    pub(crate) fn at(&self, directive: &Directive) -> Place {
        match &directive.origin {
            Origin::Manifest(path) => (self.place)(path),
            Origin::File { name, line } => {
                Place { file: name.clone(), line: *line, ..Place::default() }
            }
            Origin::Ours => (self.place)(""),
        }
    }
}

/// A location whose lines were understood.
pub(crate) struct Subject<'c> {
    pub location: Location<'c>,
    pub routes: Routes,
    pub graph: Graph,
    /// The edges' lines, in their order.
    pub edges: Vec<&'c Directive>,
}

/// Checks a whole configuration.
pub fn check(items: &[Item], world: &World<'_>) -> Report {
    let mut report = Report::default();
    surface::check(items, world, &mut report);
    for location in locations(items) {
        if location.switch("llm_proxy") != Some(true) {
            continue;
        }
        let Some(subject) = Subject::read(location, world, &mut report) else { continue };
        targets::check(&subject, world, &mut report);
        money::check(&subject, world, &mut report);
        secrets::check(&subject, world, &mut report);
    }
    report
}

impl<'c> Subject<'c> {
    /// Reads the lines that say where requests go; `None` after an error in one of them.
    fn read(location: Location<'c>, world: &World<'_>, report: &mut Report) -> Option<Self> {
        let before = report.errors();
        let mut routes = Routes::default();
        routes.providers.extend(lines(
            &location,
            "llm_proxy_route",
            RouteLine::parse,
            world,
            report,
        ));
        let patterns = lines(&location, "llm_proxy_model_pattern", Pattern::parse, world, report);
        routes.patterns.extend(patterns);
        let aliases = lines(&location, "llm_proxy_model_alias", Alias::parse, world, report);
        routes.aliases.extend(aliases);
        routes.default = location.value("llm_proxy_default_provider").map(str::to_owned);
        let edges = lines(&location, "llm_fallback_route", Edge::parse, world, report);
        let replaces = lines(&location, "llm_fallback_replace", Replace::parse, world, report);
        let graph = Graph::new(edges, replaces);
        if report.errors() > before {
            return None;
        }
        if let Err(text) = routes.check() {
            report.error("routes", world.at(named(&location, &text)), text);
            return None;
        }
        if let Err(text) = graph.check(&routes) {
            report.error("fallback", world.at(named(&location, &text)), text);
            return None;
        }
        let edges = location.lines("llm_fallback_route").to_vec();
        Some(Self { location, routes, graph, edges })
    }
}

fn lines<T>(
    location: &Location<'_>,
    name: &str,
    parse: impl Fn(&[&str]) -> Result<T, String>,
    world: &World<'_>,
    report: &mut Report,
) -> Vec<T> {
    let mut values = Vec::new();
    for line in location.lines(name) {
        match parse(&line.words()) {
            Ok(value) => values.push(value),
            Err(text) => report.error("directive", world.at(line), text),
        }
    }
    values
}

/// The line that a message is about: the last one of the directive it begins with whose words it quotes.
fn named<'c>(location: &Location<'c>, text: &str) -> &'c Directive {
    let about = |line: &&&Directive| {
        text.contains(&line.name)
            && line.args.iter().any(|word| text.contains(&format!("\"{word}\"")))
    };
    let all: Vec<_> = location.all().collect();
    all.iter().rev().find(about).copied().unwrap_or(location.block)
}

#[cfg(test)]
mod tests;
