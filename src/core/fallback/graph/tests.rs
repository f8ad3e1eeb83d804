//! Which lines are taken, which are refused with which words, and which targets a request has.

use proptest::prelude::*;

use super::*;
use crate::route::RouteLine;

/// Routes of these providers.
fn routes(names: &str) -> Routes {
    let mut routes = Routes::default();
    routes.providers =
        names.split(' ').map(|name| RouteLine::parse(&[name, "u"]).unwrap()).collect();
    routes.default = Some("a".to_owned());
    routes
}

/// The graph of `from to [model]; …`, or of `replace a b`.
fn graph(lines: &str) -> Graph {
    let (mut edges, mut replaces) = (Vec::new(), Vec::new());
    for line in lines.split(';').map(str::trim).filter(|line| !line.is_empty()) {
        let words: Vec<&str> = line.split_whitespace().collect();
        match words.as_slice() {
            ["replace", rest @ ..] => replaces.push(Replace::parse(rest).unwrap()),
            words => edges.push(Edge::parse(words).unwrap()),
        }
    }
    Graph::new(edges, replaces)
}

fn check(lines: &str) -> Result<(), String> {
    graph(lines).check(&routes("a b c d"))
}

/// `a/m b/m …` of a request that goes to `provider/model`, or to `provider` without a model.
fn chain(lines: &str, first: &str) -> String {
    let (graph, routes) = (graph(lines), routes("a b c d"));
    graph.check(&routes).unwrap();
    let (provider, model) = first.split_once('/').map_or((first, None), |(p, m)| (p, Some(m)));
    let provider = routes.provider_index(provider).unwrap();
    let names = graph.targets(provider, model, &routes).into_iter().map(|target| {
        let name = &routes.provider(target.provider).unwrap().name;
        target.model.map_or(name.clone(), |model| format!("{name}/{model}"))
    });
    names.collect::<Vec<_>>().join(" ")
}

#[test]
fn misspelled_lines_are_refused() {
    for (args, words) in [
        (&["a"][..], "needs <from> <to> [model]"),
        (&["a", "b", "c", "d"], "needs <from> <to> [model]"),
        (&["a", "/m"], "invalid target \"/m\""),
        (&["*", "b"], "invalid target \"*\""),
        (&["a/", "b"], "invalid model name \"\""),
        (&["a", "b", "m*"], "cannot have a \"*\""),
        (&["a", "b/x", "y"], "names two models"),
        (&["a", "b/x*", "y"], "names two models"),
        (&["a", "b", "x\ny"], "invalid model name"),
    ] {
        let error = Edge::parse(args).unwrap_err();
        assert!(error.contains(words) && error.contains("llm_fallback_route"), "{error}");
    }
    assert!(Replace::parse(&["a"]).unwrap_err().contains("llm_fallback_replace"));
    assert!(Replace::parse(&["a", "A"]).unwrap_err().contains("by itself"));
}

#[test]
fn lines_that_do_not_fit_together_are_refused() {
    let cyclic = "llm_fallback_route: cyclic fallback graph detected: ";
    for (lines, words) in [
        ("a x", "llm_fallback_route provider \"x\" is unknown, add llm_proxy_route x <upstream>"),
        ("x a", "provider \"x\" is unknown"),
        ("a b; a c; a b", "identical edge \"a b\", keep one"),
        ("a b m; a b/M", "identical edge \"a b/M\", keep one"),
        ("a b m; a b m", "identical edge \"a b m\", keep one"),
        ("replace a x", "llm_fallback_replace provider \"x\" is unknown"),
        ("replace a b; replace a c", "duplicate llm_fallback_replace \"a\", keep one"),
        ("a b; b a", &format!("{cyclic}\"a\" -> \"b\" -> \"a\"")),
        ("b a; a b", &format!("{cyclic}\"a\" -> \"b\" -> \"a\"")),
        ("a b; b c; c d; d b", &format!("{cyclic}\"b\" -> \"c\" -> \"d\" -> \"b\"")),
        ("a b m; b a", &format!("{cyclic}\"a\" -> \"b\" -> \"a\"")),
        ("a b m; b a n", &format!("{cyclic}\"a\" -> \"b\" -> \"a\"")),
        ("a a", &format!("{cyclic}\"a\" -> \"a\"")),
        ("a/m a M", &format!("{cyclic}\"a/m\" -> \"a/m\"")),
        ("a/gpt-* b; b/gpt-4* a", &format!("{cyclic}\"a\" -> \"b\" -> \"a\"")),
        ("a/x* b; b/*y a", &format!("{cyclic}\"a\" -> \"b\" -> \"a\"")),
        ("a b/gpt-*; b a/*-mini", &format!("{cyclic}\"a\" -> \"b\" -> \"a\"")),
    ] {
        let error = check(lines).unwrap_err();
        assert!(error.contains(words), "{lines}: {error}");
    }
}

#[test]
fn ways_that_no_request_can_go_round_are_no_cycle() {
    for lines in [
        "a b; a c; b c; c d",
        "a/gpt-* b; b/claude-* a",
        "a/m b n; b/m a",
        "a b m; b/n a",
        // Who comes from the first line meets the more specific list.
        "a/gpt-* b; b/gpt-* c; b a",
        "a/m a n; a/n a o",
        "a a small",
        "a b/gpt-*; b/claude-* a",
        "a b; a b m",
    ] {
        assert_eq!(check(lines), Ok(()), "{lines}");
    }
}

#[test]
fn a_chain_is_the_list_of_the_first_then_the_lists_of_those() {
    assert_eq!(chain("", "a/m"), "a/m");
    assert_eq!(chain("a b", "a/m"), "a/m b/m");
    assert_eq!(chain("a b", "b/m"), "b/m");
    assert_eq!(chain("a b; a c; b d", "a/m"), "a/m b/m c/m d/m");
    assert_eq!(chain("a b; b d; a c; c d x", "a/m"), "a/m b/m c/m d/m d/x");
    assert_eq!(chain("a b; a c; b c", "a/m"), "a/m b/m c/m");
}

#[test]
fn a_model_stays_unless_the_line_names_one() {
    assert_eq!(chain("a b x; b c", "a/m"), "a/m b/x c/x");
    assert_eq!(chain("a b/x; b c y", "a/m"), "a/m b/x c/y");
    assert_eq!(chain("a a small", "a/m"), "a/m a/small");
    assert_eq!(chain("a a small", "a/SMALL"), "a/SMALL");
    assert_eq!(chain("a b; a b x", "a/m"), "a/m b/m b/x");
    // A request without a model has none at any target.
    assert_eq!(chain("a b x; b c; a/m d", "a"), "a b c");
}

#[test]
fn the_most_specific_from_wins_whatever_the_order_of_lines() {
    for lines in
        ["a b; a/gpt-* c; a/gpt-4* d; a/gpt-4o b x", "a/gpt-4o b x; a/gpt-4* d; a/gpt-* c; a b"]
    {
        assert_eq!(chain(lines, "a/m"), "a/m b/m");
        assert_eq!(chain(lines, "a/GPT-3"), "a/GPT-3 c/GPT-3");
        assert_eq!(chain(lines, "a/gpt-4"), "a/gpt-4 d/gpt-4");
        assert_eq!(chain(lines, "a/gpt-4o"), "a/gpt-4o b/x");
        assert_eq!(chain(lines, "a"), "a b");
    }
}

#[test]
fn a_pattern_in_to_lets_its_models_pass() {
    let lines = "a b/gpt-*; a c";
    assert_eq!(chain(lines, "a/gpt-4"), "a/gpt-4 b/gpt-4 c/gpt-4");
    assert_eq!(chain(lines, "a/claude"), "a/claude c/claude");
    assert_eq!(chain(lines, "a"), "a c");
}

#[test]
fn a_replaced_provider_is_not_replaced_twice() {
    let (graph, routes) = (graph("replace a b; replace b c"), routes("a b c d"));
    assert_eq!(graph.check(&routes), Ok(()));
    assert_eq!([0, 1, 2, 9].map(|provider| graph.replaced(provider, &routes)), [1, 2, 2, 9]);
}

#[test]
fn chains_longer_than_the_attempts_are_told() {
    let routes = routes("a b c d");
    let told = |lines, max| graph(lines).warnings(&routes, max);
    assert_eq!(told("a b; a c; b c", 3), Vec::<String>::new());
    assert_eq!(
        told("a b; a c", 2),
        ["the chain of \"a\" has 3 targets and llm_fallback_max_attempts 2 ends it before \"c\""]
    );
    assert_eq!(
        told("a b; b/x c; b d", 2),
        ["the chain of \"a\" has 3 targets and llm_fallback_max_attempts 2 ends it before \"d\""]
    );
}

#[test]
fn only_equals_are_sorted() {
    let (graph, routes) = (graph("a b; a c; c d; c b x"), routes("a b c d"));
    let mut targets = graph.targets(0, Some("m"), &routes);
    sort_equals(&mut targets, |one, other| other.provider.cmp(&one.provider));
    let order: Vec<_> = targets.iter().map(|target| target.provider).collect();
    assert_eq!(order, [0, 2, 1, 3, 1]);
}

proptest! {
    #[test]
    fn a_chain_has_no_place_twice(
        edges in prop::collection::vec(("[abcd](/[xy*]{1,2})?", "[abcd]", prop::option::of("[xy]")), 0..8),
        first in 0usize..4,
        model in prop::option::of("[xyXY]{1,2}"),
    ) {
        let routes = routes("a b c d");
        let lines = edges.iter().map(|(from, to, model)| match model {
            Some(model) => Edge::parse(&[from, to, model]).unwrap(),
            None => Edge::parse(&[from, to]).unwrap(),
        });
        // A graph that the check refuses is survived, too.
        let graph = Graph::new(lines.collect(), Vec::new());
        let is_good = graph.check(&routes).is_ok();
        let targets = graph.targets(first, model.as_deref(), &routes);
        prop_assert!(targets[0].is_at(first, model.as_deref()));
        for (at, target) in targets.iter().enumerate() {
            prop_assert!(targets[..at].iter().all(|t| !t.is_at(target.provider, target.model.as_deref())));
            prop_assert_eq!(target.model.is_some(), model.is_some());
            prop_assert_eq!(target.parent.is_some_and(|parent| parent < at), at > 0);
        }
        prop_assert!(is_good || !edges.is_empty());
    }
}
