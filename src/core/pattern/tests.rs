//! Patterns against names and against each other.

use proptest::prelude::*;

use super::*;

#[test]
fn patterns_meet_where_a_name_can_match_both() {
    for (a, b, meets) in [
        ("a", "a", true),
        ("a", "b", false),
        ("*", "anything", true),
        ("gpt-*", "gpt-4*", true),
        ("gpt-*", "claude-*", false),
        ("x*", "*y", true),
        ("x*z", "*y", false),
        ("a*b*c", "a*c", true),
        ("ab*", "a", false),
        ("*", "*", true),
    ] {
        assert_eq!(Pattern::new(a).meets(&Pattern::new(b)), meets, "{a} {b}");
        assert_eq!(Pattern::new(b).meets(&Pattern::new(a)), meets, "{b} {a}");
    }
}

#[test]
fn the_more_specific_pattern_ranks_higher() {
    let order = ["gpt-4o", "gpt-4*", "gpt*", "*gpt", "*"];
    let mut sorted = order.map(Pattern::new);
    sorted.sort_by_key(|pattern| Reverse(pattern.rank()));
    assert_eq!(sorted, order.map(Pattern::new));
}

/// The rule of `*` told in the plainest way.
fn plain(pattern: &[u8], name: &[u8]) -> bool {
    match pattern {
        [] => name.is_empty(),
        [b'*', rest @ ..] => (0..=name.len()).any(|at| plain(rest, &name[at..])),
        [first, rest @ ..] => name.first() == Some(first) && plain(rest, &name[1..]),
    }
}

proptest! {
    #[test]
    fn a_name_matches_as_the_rule_says(pattern in "[ab*]{1,6}", name in "[ab]{0,6}") {
        let matches = Pattern::new(&pattern).matches(&name);
        prop_assert_eq!(matches, plain(pattern.as_bytes(), name.as_bytes()));
    }

    #[test]
    fn patterns_that_match_one_name_meet(
        a in "[ab*]{1,5}", b in "[ab*]{1,5}", name in "[ab]{0,5}",
    ) {
        let (a, b) = (Pattern::new(&a), Pattern::new(&b));
        if a.matches(&name) && b.matches(&name) {
            prop_assert!(a.meets(&b));
        }
        if a.covers(&b) && b.matches(&name) {
            prop_assert!(a.matches(&name));
        }
    }
}
