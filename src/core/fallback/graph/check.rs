//! Do the lines of the graph fit each other and the routes? Asked by `nginx -t` and at every start.

use std::collections::HashSet;

use super::{Graph, Group, Index, Step};
use crate::pattern::Pattern;
use crate::route::Routes;

const ROUTE: &str = "llm_fallback_route";
const REPLACE: &str = "llm_fallback_replace";
const CYCLE: &str = "llm_fallback_route: cyclic fallback graph detected";

impl Graph {
    /// The first contradiction, in words that say what to change.
    pub fn check(&self, routes: &Routes) -> Result<(), String> {
        self.check_edges(routes)?;
        self.check_replaces(routes)?;
        // Built now, so that no request waits for it.
        let walk = Walk { index: self.index(routes), path: Vec::new(), done: HashSet::new() };
        match walk.cycle() {
            None => Ok(()),
            Some(cycle) => {
                let name = |&at: &usize| routes.provider(at).map_or("", |found| &found.name);
                let names: Vec<_> = cycle.iter().map(|at| format!("\"{}\"", name(at))).collect();
                Err(format!("{CYCLE}: {}", names.join(" -> ")))
            }
        }
    }

    /// What an operator may not have meant: chains that end before they are used up.
    #[must_use]
    pub fn warnings(&self, routes: &Routes, max_attempts: u32) -> Vec<String> {
        let max = usize::try_from(max_attempts).unwrap_or(usize::MAX);
        let mut starts = Vec::new();
        let mut warnings = Vec::new();
        for edge in &self.edges {
            let Some(provider) = routes.provider_index(&edge.from.provider) else { continue };
            if starts.contains(&&edge.from) {
                continue;
            }
            starts.push(&edge.from);
            // A pattern read as a name is matched by itself.
            let model = edge.from.model.as_deref().unwrap_or("*");
            let targets = self.targets(provider, Some(model), routes);
            if let Some(first) =
                targets.get(max).and_then(|target| routes.provider(target.provider))
            {
                warnings.push(format!(
                    "the chain of \"{}\" has {} targets and llm_fallback_max_attempts {max_attempts} \
                     ends it before \"{}\"",
                    edge.from,
                    targets.len(),
                    first.name
                ));
            }
        }
        warnings
    }

    fn check_edges(&self, routes: &Routes) -> Result<(), String> {
        for (at, edge) in self.edges.iter().enumerate() {
            for node in [&edge.from, &edge.to] {
                if !has_provider(routes, &node.provider) {
                    return Err(unknown(ROUTE, &node.provider));
                }
            }
            if self.edges.iter().take(at).any(|other| other.is_same(edge)) {
                let model = edge.model.as_ref().map_or(String::new(), |model| format!(" {model}"));
                return Err(format!(
                    "{ROUTE}: identical edge \"{} {}{model}\", keep one",
                    edge.from, edge.to
                ));
            }
            if edge.leads_to_itself() {
                return Err(format!("{CYCLE}: \"{0}\" -> \"{0}\"", edge.from));
            }
        }
        Ok(())
    }

    fn check_replaces(&self, routes: &Routes) -> Result<(), String> {
        for (at, line) in self.replaces.iter().enumerate() {
            for provider in [&line.from, &line.to] {
                if !has_provider(routes, provider) {
                    return Err(unknown(REPLACE, provider));
                }
            }
            if self.replaces.iter().take(at).any(|other| other.from == line.from) {
                return Err(format!("duplicate {REPLACE} \"{}\", keep one", line.from));
            }
        }
        Ok(())
    }
}

/// A target as far as the configuration knows it: a provider, and what every model that comes there
/// matches.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
struct State {
    provider: usize,
    model: Vec<Pattern>,
}

/// Follows every way through the graph.
struct Walk<'a> {
    index: &'a Index,
    path: Vec<State>,
    done: HashSet<State>,
}

impl Walk<'_> {
    /// The providers of the first cycle, its start at both ends.
    fn cycle(mut self) -> Option<Vec<usize>> {
        for (provider, groups) in self.index.groups.iter().enumerate() {
            for group in groups {
                let model = group.pattern.clone().unwrap_or_else(Pattern::any);
                let start = State { provider, model: vec![model] };
                if let Some(cycle) = self.visit(start) {
                    return Some(cycle);
                }
            }
        }
        None
    }

    fn visit(&mut self, state: State) -> Option<Vec<usize>> {
        if let Some(at) = self.path.iter().position(|other| *other == state) {
            let inside = self.path.get(at..).unwrap_or_default();
            let mut cycle: Vec<_> = inside.iter().map(|state| state.provider).collect();
            // Told from the provider that was configured first.
            let first = cycle.iter().enumerate().min_by_key(|(_, provider)| **provider);
            let first = first.map_or(0, |(at, _)| at);
            cycle.rotate_left(first);
            cycle.extend(cycle.first().copied());
            return Some(cycle);
        }
        if self.done.contains(&state) {
            return None;
        }
        self.path.push(state.clone());
        let found = self.ways(&state).into_iter().find_map(|next| self.visit(next));
        self.path.pop();
        self.done.insert(state);
        found
    }

    fn ways(&self, state: &State) -> Vec<State> {
        let groups = self.index.groups.get(state.provider).map(Vec::as_slice).unwrap_or_default();
        let mut ways = Vec::new();
        for group in groups {
            let pattern = group.pattern.as_ref();
            let Some(model) = narrowed(&state.model, pattern) else { continue };
            ways.extend(group.steps.iter().filter_map(|step| way(state, &model, step)));
            // A list that takes all of these models leaves none for the less specific ones.
            if covers(group, &state.model) {
                break;
            }
        }
        ways
    }
}

fn way(state: &State, model: &[Pattern], step: &Step) -> Option<State> {
    let model = narrowed(model, step.only.as_ref())?;
    let model = step.model.as_deref().map_or(model, |sent| vec![Pattern::new(sent)]);
    let next = State { provider: step.provider, model };
    // "Any model of this provider, then that model" means every model but that one.
    let is_itself = next == *state && step.model.is_some();
    (!is_itself).then_some(next)
}

fn covers(group: &Group, model: &[Pattern]) -> bool {
    let Some(pattern) = &group.pattern else { return true };
    model.iter().any(|one| pattern.covers(one))
}

/// The models that match all of these and the pattern, too; `None` if there cannot be any.
fn narrowed(model: &[Pattern], pattern: Option<&Pattern>) -> Option<Vec<Pattern>> {
    let Some(pattern) = pattern else { return Some(model.to_vec()) };
    if !model.iter().all(|one| one.meets(pattern)) {
        return None;
    }
    if model.iter().any(|one| pattern.covers(one)) {
        return Some(model.to_vec());
    }
    let mut narrower: Vec<_> = model.iter().filter(|one| !one.covers(pattern)).cloned().collect();
    narrower.push(pattern.clone());
    narrower.sort();
    Some(narrower)
}

fn has_provider(routes: &Routes, name: &str) -> bool {
    routes.providers.iter().any(|provider| provider.name == name)
}

fn unknown(directive: &str, name: &str) -> String {
    format!("{directive} provider \"{name}\" is unknown, add llm_proxy_route {name} <upstream>")
}
