//! Are two names the same, does a name match a pattern, and can two patterns match the same name? The
//! catalog, fallbacks, limits, prices, labels and client keys ask. Case never matters; a `*` stands for
//! any characters.

use std::borrow::Cow;
use std::cmp::{Ordering, Reverse};

/// One name, or a wildcard with one or more `*`.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) struct Pattern {
    /// In lower case.
    text: String,
    /// Where the first star is: a catalog has many patterns, and most differ before it.
    star: Option<usize>,
}

/// Names are compared without regard to case: the lower case of one.
pub(crate) fn fold(name: &str) -> Cow<'_, str> {
    if name.is_ascii() && !name.bytes().any(|byte| byte.is_ascii_uppercase()) {
        Cow::Borrowed(name)
    } else {
        Cow::Owned(name.to_lowercase())
    }
}

impl Pattern {
    pub fn new(text: &str) -> Self {
        let text = fold(text).into_owned();
        Self { star: text.find('*'), text }
    }

    /// Every name.
    pub fn any() -> Self {
        Self::new("*")
    }

    /// Its text, in lower case.
    pub fn text(&self) -> &str {
        &self.text
    }

    /// Whether a name matches; it must be in lower case.
    pub fn matches(&self, name: &str) -> bool {
        let Some((first, behind)) = self.around_star() else { return self.text == name };
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

    fn around_star(&self) -> Option<(&str, &str)> {
        let at = self.star?;
        Some((self.text.get(..at)?, self.text.get(at + 1..)?))
    }

    /// Whether every name that `other` matches is matched.
    pub fn covers(&self, other: &Self) -> bool {
        // Only a star can take the place of a star.
        self.matches(&other.text)
    }

    /// Whether some name is matched by both.
    pub fn meets(&self, other: &Self) -> bool {
        let (a, b): (Vec<char>, Vec<char>) =
            (self.text.chars().collect(), other.text.chars().collect());
        // `row[j]`: the rests `a[i..]` and `b[j..]` match a common name; rows go from the last to the
        // first.
        let star = |text: &[char], at: usize| text.get(at) == Some(&'*');
        let mut below: Vec<bool> = Vec::new();
        for i in (0..=a.len()).rev() {
            let mut row = vec![false; b.len() + 1];
            for j in (0..=b.len()).rev() {
                let right = row.get(j + 1).copied().unwrap_or(false);
                let under = below.get(j).copied().unwrap_or(false);
                let both = below.get(j + 1).copied().unwrap_or(false);
                let meets = match (a.get(i), b.get(j)) {
                    (None, None) => true,
                    // The star ends here, or takes one more character of the other side.
                    _ if star(&a, i) || star(&b, j) => right || under,
                    (Some(x), Some(y)) => x == y && both,
                    _ => false,
                };
                if let Some(cell) = row.get_mut(j) {
                    *cell = meets;
                }
            }
            below = row;
        }
        below.first().copied().unwrap_or(false)
    }

    /// How specific it is: exact names first, then more literal characters, then more of them before
    /// the first star, then fewer stars.
    pub fn rank(&self) -> (bool, usize, usize, Reverse<usize>) {
        let stars = self.text.matches('*').count();
        let prefix = self.star.unwrap_or(self.text.len());
        (stars == 0, self.text.len() - stars, prefix, Reverse(stars))
    }

    /// The order in which patterns are tried, whatever the order they were written in.
    pub fn best_first(&self, other: &Self) -> Ordering {
        other.rank().cmp(&self.rank()).then_with(|| self.text.split('*').cmp(other.text.split('*')))
    }
}

#[cfg(test)]
mod tests;
