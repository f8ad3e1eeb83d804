//! What a client may ask for, and what is refused.

use proptest::prelude::*;

use super::*;
use crate::fallback::Edge;
use crate::route::{Alias, Pattern, RouteLine};

/// `one` serves `m-*`, `two` serves `m-a` and, by an edge, `x` in the place of `m-b`; `three` has an
/// alias.
fn routes() -> Routes {
    let mut routes = Routes::default();
    for name in ["one", "two", "three", "four"] {
        routes.providers.push(RouteLine::parse(&[name, "u"]).unwrap());
    }
    for args in [["m-*", "one"], ["m-a", "two"], ["y", "four"]] {
        routes.patterns.push(Pattern::parse(&args).unwrap());
    }
    routes.aliases.push(Alias::parse(&["fast", "three/hidden"]).unwrap());
    routes.check().unwrap();
    routes
}

fn graph(routes: &Routes) -> Graph {
    let edges = [["one/m-b", "two", "x"]].map(|args| Edge::parse(&args).unwrap());
    let graph = Graph::new(edges.to_vec(), Vec::new());
    graph.check(routes).unwrap();
    graph
}

const ALL: [&str; 6] = ["fallback", "timeout", "retries", "on", "tag", "provider"];

/// What the headers say for a request for `m-b`, which routing sends to `one`.
fn read(lines: &[(&str, &str)]) -> Result<Overrides, Rejection> {
    read_for("m-b", "x-llm-", &ALL, lines)
}

fn read_for(
    model: &str,
    prefix: &str,
    allowed: &[&str],
    lines: &[(&str, &str)],
) -> Result<Overrides, Rejection> {
    let (routes, allowed) = (routes(), Allowed::parse(allowed).unwrap());
    let graph = graph(&routes);
    let asked = Asked {
        routes: &routes,
        graph: &graph,
        client_model: Some(model),
        provider: 0,
        model: Some(model),
    };
    let headers = |name: &str| {
        lines.iter().find(|(other, _)| *other == name).map(|(_, value)| value.as_bytes())
    };
    Overrides::read(allowed, prefix, headers, &asked)
}

fn code(lines: &[(&str, &str)]) -> &'static str {
    let rejection = read(lines).unwrap_err();
    assert_eq!(rejection.status, 400);
    rejection.code
}

fn targets(value: &str) -> Vec<(usize, String)> {
    match read(&[("x-llm-fallback", value)]).unwrap().fallback {
        Some(Chosen::Targets(targets)) => {
            targets.into_iter().map(|target| (target.provider, target.model.unwrap())).collect()
        }
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_list_of_wishes_is_read_by_their_names() {
    assert!(Allowed::parse(&["off"]).unwrap().is_off());
    assert!(!Allowed::parse(&ALL).unwrap().is_off());
    for words in [&["off", "tag"][..], &["tags"], &["Tag"]] {
        let error = Allowed::parse(words).unwrap_err();
        assert!(error.contains("llm_fallback_request_headers"), "{error}");
    }
}

#[test]
fn a_prefix_is_a_part_of_a_header_name() {
    assert_eq!(header_prefix("X-AIG-"), Ok("x-aig-".to_owned()));
    for word in ["", "-", "x", "x-llm", "x llm-", "x:-", "é-"] {
        assert!(header_prefix(word).unwrap_err().contains("llm_fallback_header_prefix"));
    }
}

#[test]
fn nothing_is_read_that_is_not_allowed() {
    let lines = [("x-llm-tag", "a"), ("x-llm-timeout-ms", "x"), ("x-llm-fallback", "?")];
    let overrides = read_for("m-b", "x-llm-", &["tag"], &lines).unwrap();
    assert_eq!(overrides, Overrides { tag: Some("a".to_owned()), ..Overrides::default() });
    assert_eq!(read_for("m-b", "x-llm-", &["off"], &lines), Ok(Overrides::default()));
    assert_eq!(read_for("m-b", "x-aig-", &ALL, &lines), Ok(Overrides::default()));
    let aig = [("x-aig-tag", "b")];
    assert_eq!(read_for("m-b", "x-aig-", &ALL, &aig).unwrap().tag.as_deref(), Some("b"));
}

#[test]
fn a_chain_has_targets_that_the_catalog_or_an_edge_allows() {
    assert_eq!(targets("two/m-a"), [(1, "m-a".to_owned())]);
    assert_eq!(targets("TWO/x, one/m-c"), [(1, "x".to_owned()), (0, "m-c".to_owned())]);
    // Without a model it is the request's own, as the edge renames it.
    assert_eq!(targets("two"), [(1, "x".to_owned())]);
    assert_eq!(targets("one"), [(0, "m-b".to_owned())]);
    assert_eq!(targets("three/fast"), [(2, "hidden".to_owned())]);
    for value in ["two/m-c", "nobody/m-a", "three/hidden", "four", "two/y", "OFF/m-a", "three"] {
        assert_eq!(code(&[("x-llm-fallback", value)]), "provider_not_allowed", "{value}");
    }
    for value in ["", ",", "two/x,", "/x", "two/"] {
        assert_eq!(code(&[("x-llm-fallback", value)]), "invalid_header", "{value}");
    }
    let many = vec!["two/x"; MAX_TARGETS + 1].join(",");
    assert_eq!(code(&[("x-llm-fallback", &many)]), "invalid_header");
}

#[test]
fn off_and_a_pin_leave_one_target() {
    let (routes, graph) = (routes(), graph(&routes()));
    let asked = Asked {
        routes: &routes,
        graph: &graph,
        client_model: Some("m-b"),
        provider: 0,
        model: Some("m-b"),
    };
    let list = |lines: &[(&str, &str)]| {
        let overrides = read(lines).unwrap();
        let targets = overrides.targets(&asked).into_iter();
        let targets: Vec<_> =
            targets.map(|target| (target.provider, target.model.unwrap())).collect();
        (targets, overrides.disables_fallback())
    };
    let (one, two) = ((0, "m-b".to_owned()), (1, "x".to_owned()));
    assert_eq!(list(&[]), (vec![one.clone(), two.clone()], false));
    assert_eq!(list(&[("x-llm-fallback", "Off")]), (vec![one.clone()], true));
    assert_eq!(list(&[("x-llm-provider-pin", "two")]), (vec![two], true));
    assert_eq!(list(&[("x-llm-provider-pin", "one")]), (vec![one.clone()], true));
    let chosen = [("x-llm-fallback", "two/m-a,two/M-A,one/m-b")];
    assert_eq!(list(&chosen), (vec![one, (1, "m-a".to_owned())], false));
    for pin in ["three", "four", "nobody", ""] {
        assert_eq!(code(&[("x-llm-provider-pin", pin)]), "provider_not_allowed", "{pin}");
    }
}

#[test]
fn numbers_are_digits() {
    let read = |name, value| read(&[(name, value)]).ok();
    let timeout = |value| read("x-llm-timeout-ms", value).and_then(|found| found.timeout_ms);
    assert_eq!(timeout(" 1500 "), Some(1500));
    for value in ["0", "-1", "+1", "1.5", "", "604800001", "99999999999999999999"] {
        assert_eq!(timeout(value), None, "{value}");
    }
    let retries = |value| read("x-llm-retry-budget", value).and_then(|found| found.retries);
    assert_eq!((retries("0"), retries("2")), (Some(0), Some(2)));
    assert_eq!((retries("x"), retries("-1"), retries("4294967296")), (None, None, None));
}

#[test]
fn classes_have_short_words() {
    let classes = |value| read(&[("x-llm-fallback-on", value)]).map(|found| found.on.unwrap());
    let listed = |words: &[&str]| Ok(ClassSet::parse(words).unwrap());
    assert_eq!(classes("5xx,429"), listed(&["upstream_5xx", "rate_limited"]));
    assert_eq!(
        classes("timeout, filter"),
        listed(&["transport_timeout", "first_token_timeout", "content_filter"])
    );
    assert_eq!(
        classes("4xx http_409"),
        listed(&[
            "rate_limited",
            "auth_error",
            "not_found",
            "quota_exhausted",
            "context_length",
            "http_409"
        ])
    );
    assert!(!classes("4xx").unwrap().contains(FailureClass::ContentFilter));
    for value in ["", " , ", "3xx", "upstream_5xx;"] {
        assert_eq!(code(&[("x-llm-fallback-on", value)]), "invalid_header", "{value}");
    }
}

#[test]
fn a_tag_is_visible_ascii() {
    let tag = |value| read(&[("x-llm-tag", value)]).map(|found| found.tag.unwrap());
    assert_eq!(tag(" team a/42 "), Ok("team a/42".to_owned()));
    for value in ["", "é", "a\tb", "a\u{7f}", &"x".repeat(MAX_TAG_BYTES + 1)] {
        assert!(tag(value).is_err(), "{value}");
    }
    let (routes, graph) = (routes(), graph(&routes()));
    let asked =
        Asked { routes: &routes, graph: &graph, client_model: None, provider: 0, model: None };
    let headers = |name: &str| (name == "x-llm-tag").then_some(&b"\xff"[..]);
    assert!(Overrides::read(Allowed::parse(&["tag"]).unwrap(), "x-llm-", headers, &asked).is_err());
}

#[test]
fn a_client_cannot_have_more_attempts_than_the_operator_allows() {
    let policy = Policy { max_attempts: 3, ..Policy::default() };
    let attempts =
        |value| read(&[("x-llm-retry-budget", value)]).unwrap().apply(&policy).max_attempts;
    assert_eq!([attempts("0"), attempts("1"), attempts("9"), attempts("4294967295")], [1, 2, 3, 3]);
    let on = read(&[("x-llm-fallback-on", "429")]).unwrap().apply(&policy).on;
    assert_eq!(on, ClassSet::parse(&["rate_limited"]).unwrap());
    assert_eq!(Overrides::default().apply(&policy), policy);
}

proptest! {
    #[test]
    fn no_header_leads_past_the_catalog_and_the_edges(
        value in "((one|two|three|four|no)(/(m-a|m-b|x|y|fast|hidden|m-[a-z*]))?,?){0,4}",
        name in prop::sample::select(vec!["x-llm-fallback", "x-llm-provider-pin"]),
    ) {
        let Ok(overrides) = read(&[(name, &value)]) else { return Ok(()) };
        let chosen = match overrides.fallback {
            Some(Chosen::Targets(targets)) => targets,
            _ => overrides.pin.into_iter().collect(),
        };
        for target in chosen {
            let model = target.model.unwrap();
            let is_known = match target.provider {
                0 => model.starts_with("m-"),
                1 => model == "m-a" || model == "x",
                2 => model == "hidden",
                _ => model == "y",
            };
            prop_assert!(is_known, "{} at {}", model, target.provider);
        }
    }
}
