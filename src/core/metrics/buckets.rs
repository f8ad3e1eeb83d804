//! Into which bucket of a histogram does a time fall?

/// The number of upper bounds; one more bucket takes what is above them all.
pub(super) const BOUNDS: usize = 14;

/// A histogram's upper bounds.
#[derive(Debug, PartialEq, Eq)]
pub struct Bounds {
    /// In microseconds, ascending.
    us: [u64; BOUNDS],
    /// In seconds, as `le` has them. Both formats spell them alike, or a change of the format would
    /// begin new series.
    texts: [&'static str; BOUNDS],
}

impl Bounds {
    /// The bucket that counts a time; [`BOUNDS`] is the one above all bounds.
    pub(super) fn bucket(&self, us: u64) -> usize {
        self.us.iter().position(|&bound| us <= bound).unwrap_or(BOUNDS)
    }

    /// The values of `le`, ascending, without `+Inf`.
    #[must_use]
    pub fn texts(&self) -> &[&'static str] {
        &self.texts
    }
}

const MS: u64 = 1000;
const S: u64 = 1000 * MS;

/// Requests and first tokens: from an answer out of a cache to a long chain of thought.
pub(super) static REQUEST: Bounds = Bounds {
    us: [
        50 * MS,
        100 * MS,
        250 * MS,
        500 * MS,
        S,
        2500 * MS,
        5 * S,
        10 * S,
        20 * S,
        30 * S,
        60 * S,
        120 * S,
        300 * S,
        600 * S,
    ],
    texts: [
        "0.05", "0.1", "0.25", "0.5", "1.0", "2.5", "5.0", "10.0", "20.0", "30.0", "60.0", "120.0",
        "300.0", "600.0",
    ],
};

/// Output tokens: from a thousand in a second to one.
pub(super) static TOKEN: Bounds = Bounds {
    us: [
        MS,
        2500,
        5 * MS,
        7500,
        10 * MS,
        15 * MS,
        20 * MS,
        30 * MS,
        50 * MS,
        75 * MS,
        100 * MS,
        250 * MS,
        500 * MS,
        S,
    ],
    texts: [
        "0.001", "0.0025", "0.005", "0.0075", "0.01", "0.015", "0.02", "0.03", "0.05", "0.075",
        "0.1", "0.25", "0.5", "1.0",
    ],
};

/// What the gateway itself takes.
pub(super) static OVERHEAD: Bounds = Bounds {
    us: [
        50,
        100,
        250,
        500,
        MS,
        2500,
        5 * MS,
        10 * MS,
        25 * MS,
        50 * MS,
        100 * MS,
        250 * MS,
        500 * MS,
        S,
    ],
    texts: [
        "0.00005", "0.0001", "0.00025", "0.0005", "0.001", "0.0025", "0.005", "0.01", "0.025",
        "0.05", "0.1", "0.25", "0.5", "1.0",
    ],
};

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bounds_ascend_and_their_texts_say_the_same() {
        for bounds in [&REQUEST, &TOKEN, &OVERHEAD] {
            assert!(bounds.us.is_sorted_by(|a, b| a < b));
            for (&us, text) in bounds.us.iter().zip(bounds.texts()) {
                let seconds: f64 = text.parse().unwrap();
                assert_eq!((seconds * 1e6).round(), us as f64, "{text}");
            }
        }
    }

    #[test]
    fn a_bound_belongs_to_its_bucket() {
        assert_eq!(REQUEST.bucket(0), 0);
        assert_eq!(REQUEST.bucket(50_000), 0);
        assert_eq!(REQUEST.bucket(50_001), 1);
        assert_eq!(REQUEST.bucket(600_000_000), 13);
        assert_eq!(REQUEST.bucket(u64::MAX), 14);
    }
}
