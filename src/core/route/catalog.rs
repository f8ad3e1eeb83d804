//! Which line of the catalog does a model's name match? Exact names are one hash look-up however many
//! there are; wildcards are tried best first.

use std::borrow::Cow;
use std::collections::HashMap;

use super::{Pattern, Routes};

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
    /// The literal parts around the stars.
    parts: Vec<String>,
    /// Whether one of them has a slash.
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
        for pattern in &routes.patterns {
            let Some(provider) = index.provider(&pattern.provider) else { continue };
            let text = fold(&pattern.pattern).into_owned();
            if pattern.is_exact() {
                index.exact.entry(text).or_insert(provider);
            } else {
                let parts = text.split('*').map(str::to_owned).collect();
                let slash = text.contains('/');
                index.wildcards.push(Wildcard { parts, slash, provider });
            }
        }
        index.wildcards.sort_by(|a, b| b.rank().cmp(&a.rank()).then(a.parts.cmp(&b.parts)));
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
            || self.wildcards.iter().any(|w| w.provider == provider && w.matches(&model))
    }

    fn matching(&self, model: &str, accept: impl Fn(&Wildcard) -> bool) -> Option<usize> {
        let model = fold(model);
        if let Some(&provider) = self.exact.get(model.as_ref()) {
            return Some(provider);
        }
        let best = self.wildcards.iter().find(|w| accept(w) && w.matches(&model));
        best.map(|wildcard| wildcard.provider)
    }
}

impl Wildcard {
    /// More literal characters win, then more of them before the first star, then fewer stars.
    fn rank(&self) -> (usize, usize, std::cmp::Reverse<usize>) {
        let literal = self.parts.iter().map(String::len).sum();
        let prefix = self.parts.first().map_or(0, String::len);
        (literal, prefix, std::cmp::Reverse(self.parts.len()))
    }

    fn matches(&self, model: &str) -> bool {
        let [first, middle @ .., last] = self.parts.as_slice() else { return false };
        let Some(rest) = model.strip_prefix(first.as_str()) else { return false };
        let Some(mut rest) = rest.strip_suffix(last.as_str()) else { return false };
        // Taking each part at its first place leaves the most for those behind it.
        for part in middle {
            let Some((_, behind)) = rest.split_once(part.as_str()) else { return false };
            rest = behind;
        }
        true
    }
}

impl Pattern {
    /// Whether the pattern is one model's name.
    #[must_use]
    pub fn is_exact(&self) -> bool {
        !self.pattern.contains('*')
    }
}

/// Names are compared without regard to case.
pub(super) fn fold(name: &str) -> Cow<'_, str> {
    if name.is_ascii() && !name.bytes().any(|byte| byte.is_ascii_uppercase()) {
        Cow::Borrowed(name)
    } else {
        Cow::Owned(name.to_lowercase())
    }
}
