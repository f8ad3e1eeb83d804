//! Does a model's name match a pattern, and can two patterns match the same name? The graph of
//! fallbacks asks. Case never matters; a `*` stands for any characters.

use std::cmp::Reverse;

/// One model's name, or a wildcard with one or more `*`.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) struct Pattern(String);

impl Pattern {
    pub fn new(text: &str) -> Self {
        Self(text.to_lowercase())
    }

    /// Every name.
    pub fn any() -> Self {
        Self("*".to_owned())
    }

    /// Whether a name matches; it must be in lower case.
    pub fn matches(&self, name: &str) -> bool {
        let Some((first, behind)) = self.0.split_once('*') else { return self.0 == name };
        let Some(mut rest) = name.strip_prefix(first) else { return false };
        let mut parts = behind.split('*');
        let last = parts.next_back().unwrap_or_default();
        let Some(inside) = rest.strip_suffix(last) else { return false };
        rest = inside;
        // Taking each part at its first place leaves the most for those behind it.
        parts.all(|part| {
            let found = rest.split_once(part);
            rest = found.map_or(rest, |(_, behind)| behind);
            found.is_some()
        })
    }

    /// Whether every name that `other` matches is matched.
    pub fn covers(&self, other: &Self) -> bool {
        // Only a star can take the place of a star.
        self.matches(&other.0)
    }

    /// Whether some name is matched by both.
    pub fn meets(&self, other: &Self) -> bool {
        let (a, b): (Vec<char>, Vec<char>) = (self.0.chars().collect(), other.0.chars().collect());
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
    /// the first star, then fewer stars, as in the catalog.
    pub fn rank(&self) -> (bool, usize, usize, Reverse<usize>) {
        let stars = self.0.matches('*').count();
        let prefix = self.0.split('*').next().map_or(0, str::len);
        (stars == 0, self.0.len() - stars, prefix, Reverse(stars))
    }
}

#[cfg(test)]
mod tests;
