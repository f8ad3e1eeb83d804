//! Which line of the catalog does a model's name match? Exact names are one hash look-up however many
//! there are; wildcards are tried best first.

use foldhash::HashMap;

use super::Routes;
use crate::pattern::{Pattern, fold};

/// The lists of a [`Routes`], ready for look-ups. Names are folded to lower case.
#[derive(Debug, Default)]
pub(super) struct Index {
    providers: HashMap<String, usize>,
    exact: HashMap<String, usize>,
    wildcards: Vec<Wildcard>,
    aliases: HashMap<String, Target>,
}

/// What an alias stands for.
#[derive(Debug)]
pub(super) struct Target {
    /// Index of the provider.
    pub provider: usize,
    /// Index of the alias.
    pub alias: usize,
}

#[derive(Debug)]
struct Wildcard {
    pattern: Pattern,
    /// Whether a slash is among its literal characters.
    slash: bool,
    provider: usize,
}

impl Index {
    /// Lines that name an unknown provider are left out: the check has refused them.
    pub(super) fn new(routes: &Routes) -> Self {
        let mut index = Self::default();
        for (at, provider) in routes.providers.iter().enumerate() {
            index.providers.entry(fold(&provider.name).into_owned()).or_insert(at);
        }
        for line in &routes.patterns {
            let Some(provider) = index.provider(&line.provider) else { continue };
            if line.is_exact() {
                index.exact.entry(fold(&line.pattern).into_owned()).or_insert(provider);
            } else {
                let pattern = Pattern::new(&line.pattern);
                let slash = pattern.text().contains('/');
                index.wildcards.push(Wildcard { pattern, slash, provider });
            }
        }
        index.wildcards.sort_by(|a, b| a.pattern.best_first(&b.pattern));
        for (at, alias) in routes.aliases.iter().enumerate() {
            let Some(provider) = index.provider(&alias.provider) else { continue };
            let target = Target { provider, alias: at };
            index.aliases.entry(fold(&alias.public).into_owned()).or_insert(target);
        }
        index
    }

    pub(super) fn provider(&self, name: &str) -> Option<usize> {
        self.providers.get(fold(name).as_ref()).copied()
    }

    pub(super) fn alias(&self, model: &str) -> Option<&Target> {
        self.aliases.get(fold(model).as_ref())
    }

    /// The provider of the best pattern for `model`.
    pub(super) fn best(&self, model: &str) -> Option<usize> {
        self.matching(model, |_| true)
    }

    /// The provider of the best pattern that spells the slash in `model`: an exact one, or a wildcard
    /// with a slash among its literal characters.
    pub(super) fn best_with_slash(&self, model: &str) -> Option<usize> {
        self.matching(model, |wildcard| wildcard.slash)
    }

    /// Whether any pattern gives `model` to `provider`.
    pub(super) fn allows(&self, model: &str, provider: usize) -> bool {
        let model = fold(model);
        self.exact.get(model.as_ref()) == Some(&provider)
            || self.wildcards.iter().any(|w| w.provider == provider && w.pattern.matches(&model))
    }

    fn matching(&self, model: &str, accept: impl Fn(&Wildcard) -> bool) -> Option<usize> {
        let model = fold(model);
        if let Some(&provider) = self.exact.get(model.as_ref()) {
            return Some(provider);
        }
        let best = self.wildcards.iter().find(|w| accept(w) && w.pattern.matches(&model));
        best.map(|wildcard| wildcard.provider)
    }
}
