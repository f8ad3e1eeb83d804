//! Which targets may serve a request, in which order? The fallback room asks after routing; the lines
//! are checked against the routes when nginx starts. Names of providers and models are compared
//! without regard to case, as in the catalog.

mod check;
mod line;

use std::cmp::Ordering;
use std::sync::OnceLock;

pub use line::{Edge, Node, Replace};

use crate::pattern::{Pattern, fold};
use crate::route::Routes;

/// The `llm_fallback_route` and `llm_fallback_replace` lines of a block, in the order they were
/// written. Look-ups build an index on first use: do not change the lists after that, and ask with
/// the same routes; a clone starts afresh.
#[derive(Debug, Clone, Default)]
pub struct Graph {
    /// `llm_fallback_route` lines.
    pub edges: Vec<Edge>,
    /// `llm_fallback_replace` lines.
    pub replaces: Vec<Replace>,
    index: Lazy,
}

/// The index of one graph; a clone may be changed before it is used, so it gets its own.
#[derive(Debug, Default)]
struct Lazy(OnceLock<Index>);

impl Clone for Lazy {
    fn clone(&self) -> Self {
        Self::default()
    }
}

/// One place a request can be sent to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Target {
    /// Index into [`Routes::providers`].
    pub provider: usize,
    /// The model to send; `None` where the request has none.
    pub model: Option<String>,
    /// Index in the list of the target whose edge leads here; the first target has none. Targets
    /// that have the same one are equals.
    pub parent: Option<usize>,
}

impl Target {
    /// A target that no edge leads to.
    #[must_use]
    pub fn first(provider: usize, model: Option<&str>) -> Self {
        Self { provider, model: model.map(str::to_owned), parent: None }
    }

    /// Whether that is the same place.
    #[must_use]
    pub fn is_at(&self, provider: usize, model: Option<&str>) -> bool {
        self.provider == provider
            && match (&self.model, model) {
                (Some(own), Some(model)) => own.eq_ignore_ascii_case(model),
                (own, model) => own.is_none() && model.is_none(),
            }
    }
}

/// The edges, ready for look-ups.
#[derive(Debug, Default)]
struct Index {
    /// By provider.
    groups: Vec<Vec<Group>>,
    /// By provider: the one to use in its place.
    replaced: Vec<usize>,
}

/// The edges of one `from`; the most specific one comes first.
#[derive(Debug)]
struct Group {
    /// `None` for a bare provider.
    pattern: Option<Pattern>,
    steps: Vec<Step>,
}

#[derive(Debug)]
struct Step {
    provider: usize,
    /// Which models may go that way.
    only: Option<Pattern>,
    /// The model to send; `None` leaves it.
    model: Option<String>,
}

impl Graph {
    /// The graph of these lines.
    #[must_use]
    pub fn new(edges: Vec<Edge>, replaces: Vec<Replace>) -> Self {
        Self { edges, replaces, index: Lazy::default() }
    }

    /// The provider to use in the place of this one, before anything is sent.
    #[must_use]
    pub fn replaced(&self, provider: usize, routes: &Routes) -> usize {
        self.index(routes).replaced.get(provider).copied().unwrap_or(provider)
    }

    /// The first target; its ordered list; the lists of those, and so on. No place comes twice.
    #[must_use]
    pub fn targets(&self, provider: usize, model: Option<&str>, routes: &Routes) -> Vec<Target> {
        let index = self.index(routes);
        let mut targets = vec![Target::first(provider, model)];
        let mut at = 0;
        while let Some(target) = targets.get(at) {
            if !index.has_steps(target.provider) {
                at += 1;
                continue;
            }
            let target = target.clone();
            for step in index.steps(target.provider, target.model.as_deref()) {
                let model = match (&target.model, &step.model) {
                    (Some(_), Some(model)) => Some(model),
                    (model, _) => model.as_ref(),
                };
                if !targets.iter().any(|t| t.is_at(step.provider, model.map(String::as_str))) {
                    let model = model.cloned();
                    targets.push(Target { provider: step.provider, model, parent: Some(at) });
                }
            }
            at += 1;
        }
        targets
    }

    fn index(&self, routes: &Routes) -> &Index {
        self.index.0.get_or_init(|| Index::new(self, routes))
    }
}

/// Puts equals into a better order: those that one edge list names, and only among themselves. The
/// sort is stable, so equal ones stay as they were written.
pub fn sort_equals(targets: &mut [Target], mut compare: impl FnMut(&Target, &Target) -> Ordering) {
    for equals in targets.chunk_by_mut(|a, b| a.parent == b.parent) {
        equals.sort_by(&mut compare);
    }
}

impl Index {
    /// Lines that name an unknown provider are left out: the check has refused them.
    fn new(graph: &Graph, routes: &Routes) -> Self {
        let mut index = Self {
            groups: routes.providers.iter().map(|_| Vec::new()).collect(),
            replaced: (0..routes.providers.len()).collect(),
        };
        for edge in &graph.edges {
            let (Some(from), Some(to)) = (
                routes.provider_index(&edge.from.provider),
                routes.provider_index(&edge.to.provider),
            ) else {
                continue;
            };
            let step =
                Step { provider: to, only: edge.only(), model: edge.sent().map(str::to_owned) };
            if let Some(groups) = index.groups.get_mut(from) {
                add(groups, edge.from.model.as_deref().map(Pattern::new), step);
            }
        }
        for groups in &mut index.groups {
            groups
                .sort_by_key(|group| std::cmp::Reverse(group.pattern.as_ref().map(Pattern::rank)));
        }
        for line in &graph.replaces {
            if let (Some(from), Some(to)) =
                (routes.provider_index(&line.from), routes.provider_index(&line.to))
                && let Some(slot) = index.replaced.get_mut(from)
            {
                *slot = to;
            }
        }
        index
    }

    /// Whether any edge leads on from a provider.
    fn has_steps(&self, provider: usize) -> bool {
        self.groups.get(provider).is_some_and(|groups| !groups.is_empty())
    }

    /// The steps of the most specific `from` that this target is.
    fn steps(&self, provider: usize, model: Option<&str>) -> impl Iterator<Item = &Step> {
        let model = model.map(fold);
        let groups = self.groups.get(provider).map(Vec::as_slice).unwrap_or_default();
        let is_of = |pattern: &Pattern| model.as_deref().is_some_and(|name| pattern.matches(name));
        let group = groups.iter().find(|group| group.pattern.as_ref().is_none_or(is_of));
        let steps = group.map(|group| group.steps.as_slice()).unwrap_or_default();
        steps.iter().filter(move |step| {
            step.only.as_ref().is_none_or(|only| model.as_deref().is_some_and(|m| only.matches(m)))
        })
    }
}

fn add(groups: &mut Vec<Group>, pattern: Option<Pattern>, step: Step) {
    match groups.iter_mut().find(|group| group.pattern == pattern) {
        Some(group) => group.steps.push(step),
        None => groups.push(Group { pattern, steps: vec![step] }),
    }
}

#[cfg(test)]
mod tests;
