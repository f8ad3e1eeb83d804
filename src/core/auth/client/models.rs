//! Which models may a client key use? Names and patterns are compared as in the catalog: case never
//! matters and a `*` stands for any characters.

use std::fmt;

/// The patterns of one key's list.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Models(Vec<String>);

impl Models {
    /// The list of these patterns; `None` if there is none, or one is no pattern.
    #[must_use]
    pub fn new<'a>(patterns: impl IntoIterator<Item = &'a str>) -> Option<Self> {
        let patterns: Vec<_> = patterns.into_iter().map(str::to_lowercase).collect();
        let fits = |text: &String| {
            !text.is_empty() && !text.contains(|c: char| c == ',' || c.is_control())
        };
        (!patterns.is_empty() && patterns.iter().all(fits)).then_some(Self(patterns))
    }

    /// Whether one of the patterns matches.
    #[must_use]
    pub fn contains(&self, model: &str) -> bool {
        let model = model.to_lowercase();
        self.0.iter().any(|pattern| matches(pattern, &model))
    }

    /// The patterns, in lower case.
    pub fn patterns(&self) -> impl Iterator<Item = &str> {
        self.0.iter().map(String::as_str)
    }
}

impl fmt::Display for Models {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0.join(","))
    }
}

/// Whether every name that `other` (a name or a pattern) stands for matches `pattern`.
#[must_use]
pub fn covers(pattern: &str, other: &str) -> bool {
    // Only a star can take the place of a star.
    matches(&pattern.to_lowercase(), &other.to_lowercase())
}

fn matches(pattern: &str, name: &str) -> bool {
    let Some((first, behind)) = pattern.split_once('*') else { return pattern == name };
    let Some(rest) = name.strip_prefix(first) else { return false };
    let mut parts = behind.split('*');
    let last = parts.next_back().unwrap_or_default();
    let Some(mut rest) = rest.strip_suffix(last) else { return false };
    // Taking each part at its first place leaves the most for those behind it.
    parts.all(|part| {
        let found = rest.split_once(part);
        rest = found.map_or(rest, |(_, behind)| behind);
        found.is_some()
    })
}
