//! Which models may a client key use? Names and patterns are compared as in the catalog: case never
//! matters and a `*` stands for any characters.

use std::fmt;

use crate::pattern::{Pattern, fold};

/// The patterns of one key's list.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Models(Vec<Pattern>);

impl Models {
    /// The list of these patterns; `None` if there is none, or one is no pattern.
    #[must_use]
    pub fn new<'a>(patterns: impl IntoIterator<Item = &'a str>) -> Option<Self> {
        let patterns: Vec<_> = patterns.into_iter().map(Pattern::new).collect();
        let fits = |pattern: &Pattern| {
            let text = pattern.text();
            !text.is_empty() && !text.contains(|c: char| c == ',' || c.is_control())
        };
        (!patterns.is_empty() && patterns.iter().all(fits)).then_some(Self(patterns))
    }

    /// Whether one of the patterns matches.
    #[must_use]
    pub fn contains(&self, model: &str) -> bool {
        let model = fold(model);
        self.0.iter().any(|pattern| pattern.matches(&model))
    }

    /// The patterns, in lower case.
    pub fn patterns(&self) -> impl Iterator<Item = &str> {
        self.0.iter().map(Pattern::text)
    }
}

impl fmt::Display for Models {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.patterns().collect::<Vec<_>>().join(","))
    }
}

/// Whether every name that `other` (a name or a pattern) stands for matches `pattern`.
#[must_use]
pub fn covers(pattern: &str, other: &str) -> bool {
    Pattern::new(pattern).covers(&Pattern::new(other))
}
