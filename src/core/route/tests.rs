//! Which lines are taken, which are refused with which words, and where requests go.

use proptest::prelude::*;

use super::*;
use crate::dialect::Dialect;

/// Routes from lines as an operator writes them, without the `llm_proxy_` before each.
fn routes(lines: &str) -> Routes {
    let routes = unchecked(lines);
    routes.check().unwrap();
    routes
}

fn unchecked(lines: &str) -> Routes {
    let mut routes = Routes::default();
    for line in lines.split(';').map(str::trim).filter(|line| !line.is_empty()) {
        let words: Vec<&str> = line.split_whitespace().collect();
        let (directive, args) = words.split_first().unwrap();
        match *directive {
            "route" => routes.providers.push(RouteLine::parse(args).unwrap()),
            "default" => routes.default = Some(args[0].to_owned()),
            "model" => routes.patterns.push(Pattern::parse(args).unwrap()),
            "alias" => routes.aliases.push(Alias::parse(args).unwrap()),
            other => panic!("{other}"),
        }
    }
    routes
}

fn route(line: &str) -> Result<Provider, String> {
    RouteLine::parse(&line.split_whitespace().collect::<Vec<_>>())
}

fn chat<'a>(model: Option<&'a str>, provider_field: Option<&'a str>) -> Ask<'a> {
    Ask { endpoint: Endpoint::Chat, method_has_body: true, model, provider_field }
}

/// `provider model` of where a chat request goes, or the code of its rejection.
fn goes(routes: &Routes, model: &str, field: Option<&str>) -> String {
    match routes.resolve(&chat(Some(model), field)) {
        Ok(found) => {
            let sent = found.model.as_deref().unwrap();
            assert_eq!(found.model_changed, sent != model);
            format!("{} {sent}", routes.provider(found.provider).unwrap().name)
        }
        Err(rejection) => format!("{} {}", rejection.status, rejection.code),
    }
}

const CATALOG: &str = "route deepseek d; route mimo m anthropic; route router r; default deepseek;
    model deepseek-v4-pro deepseek; model mimo-* mimo; model mimo-v2.5-x deepseek;
    model openai/* router; model shared-* mimo; model shared-one deepseek;
    alias fast mimo/mimo-v2.5; alias Hidden router/secret/model";

#[test]
fn a_route_line_has_defaults() {
    let provider = route("deepseek deepseek_server").unwrap();
    assert_eq!(provider.name, "deepseek");
    assert_eq!(provider.upstream, "deepseek_server");
    assert_eq!(provider.dialect, Dialect::OpenAi);
    assert_eq!((provider.host, provider.base.as_str()), (None, "/v1"));
    assert_eq!((provider.ssl, provider.ssl_verify), (None, true));
    assert_eq!(provider.max_input_tokens, None);
}

#[test]
fn a_route_line_takes_its_parameters_in_any_order() {
    let line = "claude c max_input=200000 host=api.anthropic.com anthropic base=/api/ ssl=on \
                ssl_name=x.example ssl_verify=off connect_timeout=2s response_timeout=1m30s \
                first_token_timeout=0 idle_timeout=500ms";
    let provider = route(line).unwrap();
    assert_eq!(provider.dialect, Dialect::Anthropic);
    assert_eq!(provider.host.as_deref(), Some("api.anthropic.com"));
    assert_eq!(provider.base, "/api");
    assert_eq!(provider.ssl, Some(true));
    assert_eq!(provider.ssl_name.as_deref(), Some("x.example"));
    assert!(!provider.ssl_verify);
    assert_eq!(provider.connect_timeout_ms, Some(2000));
    assert_eq!(provider.response_timeout_ms, Some(90_000));
    assert_eq!(provider.first_token_timeout_ms, Some(0));
    assert_eq!(provider.idle_timeout_ms, Some(500));
    assert_eq!(provider.max_input_tokens, Some(200_000));
}

#[test]
fn a_misspelled_route_line_is_refused_with_the_word_to_change() {
    for (line, words) in [
        ("a", "needs a provider and an upstream"),
        ("a,b u", "invalid provider name \"a,b\""),
        ("a/b u", "invalid provider name \"a/b\""),
        ("é u", "invalid provider name"),
        ("a http://x", "invalid upstream \"http://x\""),
        ("a u gemini", "invalid parameter \"gemini\""),
        ("a u OpenAI", "invalid parameter \"OpenAI\""),
        ("a u foo=1", "invalid parameter \"foo=1\""),
        ("a u openai anthropic", "duplicate dialect"),
        ("a u host=a host=b", "duplicate host"),
        ("a u host=", "invalid host in \"host=\""),
        ("a u host=https://x", "without scheme or path"),
        ("a u ssl_name=a/b", "invalid host in \"ssl_name=a/b\""),
        ("a u base=v1", "starts with \"/\""),
        ("a u base=/v1?x", "invalid path"),
        ("a u ssl=yes", "must be on or off"),
        ("a u ssl_verify=0", "must be on or off"),
        ("a u connect_timeout=fast", "invalid time in \"connect_timeout=fast\""),
        ("a u idle_timeout=-1", "invalid time"),
        ("a u connect_timeout=0", "invalid time"),
        ("a u max_input=128k", "invalid number in \"max_input=128k\""),
        ("a u max_input=0", "invalid number"),
    ] {
        let error = route(line).unwrap_err();
        assert!(error.contains(words) && error.contains("llm_proxy_route"), "{line}: {error}");
        assert!(!error.ends_with('.'), "{error}");
    }
    assert!(RouteLine::parse(&["", "u"]).is_err());
    assert!(RouteLine::parse(&["a\n", "u"]).is_err());
    assert!(RouteLine::parse(&["a", ""]).is_err());
}

#[test]
fn misspelled_patterns_aliases_and_versions_are_refused() {
    assert!(Pattern::parse(&["", "a"]).unwrap_err().contains("invalid model name"));
    assert!(Pattern::parse(&["a"]).unwrap_err().contains("needs a pattern"));
    assert!(Alias::parse(&["a", "b"]).unwrap_err().contains("must be provider/model"));
    assert!(Alias::parse(&["a", "b/"]).unwrap_err().contains("invalid model name"));
    assert!(Alias::parse(&["a*", "b/c"]).unwrap_err().contains("cannot have a \"*\""));
    assert!(Version::parse(&["a", "x\r\ny"]).unwrap_err().contains("invalid version"));
    assert!(Version::parse(&["a", "2023-06-01"]).is_ok());
}

#[test]
fn lines_that_do_not_fit_together_are_refused() {
    for (lines, words) in [
        ("route a u; route a v; default a", "duplicate llm_proxy_route provider \"a\""),
        ("route a u; route A v; default a", "duplicate llm_proxy_route provider \"A\""),
        ("route a u; model m b", "llm_proxy_model_pattern provider \"b\""),
        ("route a u", "needs llm_proxy_default_provider or llm_proxy_model_pattern"),
        ("route a u; alias x a/y", "needs llm_proxy_default_provider or"),
        ("route a u; default b", "llm_proxy_default_provider \"b\" is unknown"),
        ("default b", "llm_proxy_default_provider \"b\" is unknown"),
        ("route a u; default a; alias x b/y", "llm_proxy_model_alias provider \"b\""),
        ("route a u; model m a; model M a", "duplicate llm_proxy_model_pattern \"M\""),
        ("route a u; route b v; model m* a; model m* b", "for \"a\" and \"b\", keep one"),
        ("route a u; default a; alias x a/y; alias X a/z", "duplicate llm_proxy_model_alias"),
        ("route a u; model x a; alias X a/y", "is also an llm_proxy_model_pattern"),
    ] {
        let error = unchecked(lines).check().unwrap_err();
        assert!(error.contains(words), "{lines}: {error}");
    }
    let duplicate = unchecked("route a u; route a v; default a").check().unwrap_err();
    assert!(duplicate.starts_with("duplicate llm_proxy_route provider"));
    assert!(Routes::default().check().is_ok());
}

#[test]
fn versions_go_to_their_providers() {
    let version = |args: [&str; 2]| Version::parse(&args).unwrap();
    let mut routes = routes("route a u; route b v; default a");
    routes.apply_versions(&[version(["b", "2023-06-01"])]).unwrap();
    assert_eq!(routes.providers[1].version.as_deref(), Some("2023-06-01"));
    let twice = [version(["b", "1"]), version(["b", "2"])];
    assert!(routes.apply_versions(&twice).unwrap_err().starts_with("duplicate"));
    assert!(routes.apply_versions(&[version(["c", "1"])]).unwrap_err().contains("is unknown"));
}

#[test]
fn the_catalog_decides_where_a_model_goes() {
    let routes = routes(CATALOG);
    for (model, place) in [
        ("deepseek-v4-pro", "deepseek deepseek-v4-pro"),
        ("DeepSeek-V4-Pro", "deepseek DeepSeek-V4-Pro"),
        ("mimo-v2.5", "mimo mimo-v2.5"),
        ("mimo-v2.5-x", "deepseek mimo-v2.5-x"),
        ("openai/gpt-4o", "router openai/gpt-4o"),
        ("deepseek-v4", "404 model_not_found"),
        ("deepseek-v4-pro-max", "404 model_not_found"),
        ("unknown", "404 model_not_found"),
    ] {
        assert_eq!(goes(&routes, model, None), place, "{model}");
    }
}

#[test]
fn a_slug_chooses_among_the_providers_of_a_model() {
    let routes = routes(CATALOG);
    for (model, place) in [
        ("deepseek/deepseek-v4-pro", "deepseek deepseek-v4-pro"),
        ("DEEPSEEK/deepseek-v4-pro", "deepseek deepseek-v4-pro"),
        ("mimo/shared-one", "mimo shared-one"),
        ("mimo/deepseek-v4-pro", "400 provider_not_allowed"),
        ("mimo/unknown", "404 model_not_found"),
        ("nobody/deepseek-v4-pro", "404 model_not_found"),
        ("deepseek/", "404 model_not_found"),
        ("/deepseek-v4-pro", "404 model_not_found"),
        ("deepseek/deepseek/deepseek-v4-pro", "404 model_not_found"),
        ("mimo/fast", "mimo mimo-v2.5"),
        ("deepseek/fast", "400 provider_not_allowed"),
    ] {
        assert_eq!(goes(&routes, model, None), place, "{model}");
    }
}

#[test]
fn a_body_field_chooses_among_the_providers_of_a_model() {
    let routes = routes(CATALOG);
    for (model, field, place) in [
        ("shared-one", "mimo", "mimo shared-one"),
        ("shared-one", "Deepseek", "deepseek shared-one"),
        ("shared-one", "router", "400 provider_not_allowed"),
        ("shared-one", "nobody", "400 provider_not_allowed"),
        ("shared-one", "", "400 provider_not_allowed"),
        ("unknown", "mimo", "404 model_not_found"),
        ("unknown", "nobody", "400 provider_not_allowed"),
        ("mimo/shared-one", "mimo", "mimo shared-one"),
        ("mimo/shared-one", "deepseek", "400 provider_not_allowed"),
        ("openai/gpt-4o", "router", "router openai/gpt-4o"),
        ("fast", "mimo", "mimo mimo-v2.5"),
        ("fast", "deepseek", "400 provider_not_allowed"),
    ] {
        assert_eq!(goes(&routes, model, Some(field)), place, "{model} {field}");
    }
}

#[test]
fn an_alias_beats_patterns_and_opens_nothing_else() {
    let routes = routes(CATALOG);
    assert_eq!(goes(&routes, "fast", None), "mimo mimo-v2.5");
    assert_eq!(goes(&routes, "FAST", None), "mimo mimo-v2.5");
    assert_eq!(goes(&routes, "hidden", None), "router secret/model");
    assert_eq!(goes(&routes, "secret/model", None), "404 model_not_found");
    assert_eq!(goes(&routes, "secret/model", Some("router")), "404 model_not_found");
    let wide = self::routes("route a u; route b v; model * a; alias x b/y");
    assert_eq!(goes(&wide, "x", None), "b y");
    assert_eq!(goes(&wide, "x", Some("a")), "a x");
}

#[test]
fn the_better_pattern_wins_whatever_the_order_of_lines() {
    for lines in [
        "route a u; route b v; route c w; model gpt-* a; model gpt-4* b; model * c; model gpt-4o a",
        "route a u; route b v; route c w; model gpt-4o a; model * c; model gpt-4* b; model gpt-* a",
    ] {
        let routes = routes(lines);
        assert_eq!(goes(&routes, "gpt-4o", None), "a gpt-4o");
        assert_eq!(goes(&routes, "gpt-4o-mini", None), "b gpt-4o-mini");
        assert_eq!(goes(&routes, "gpt-3", None), "a gpt-3");
        assert_eq!(goes(&routes, "claude", None), "c claude");
    }
    for lines in [
        "route a u; route b v; model a*b a; model ab* b; model *ba a; model *xyz a; model x*y*z b",
        "route a u; route b v; model *xyz a; model x*y*z b; model *ba a; model ab* b; model a*b a",
    ] {
        let routes = routes(lines);
        // Equally many literal characters: more of them before the star win.
        assert_eq!(goes(&routes, "abb", None), "b abb");
        assert_eq!(goes(&routes, "xyz", None), "b xyz");
    }
}

#[test]
fn stars_stand_for_any_characters_anywhere() {
    let routes = routes("route a u; model *-mini-* a; model x*y*z a; model q* a; model é* a");
    for model in ["gpt-mini-1", "-mini-", "xyz", "x1y2z", "xyyz", "q", "qq", "ÉCOLE"] {
        assert_eq!(goes(&routes, model, None), format!("a {model}"));
    }
    for model in ["gpt-mini", "mini", "xz", "xy", "xzy", "x", "pq"] {
        assert_eq!(goes(&routes, model, None), "404 model_not_found", "{model}");
    }
    let overlap = self::routes("route a u; model aba*aba a");
    assert_eq!(goes(&overlap, "aba", None), "404 model_not_found");
    assert_eq!(goes(&overlap, "ababa", None), "404 model_not_found");
    assert_eq!(goes(&overlap, "abaaba", None), "a abaaba");
}

#[test]
fn a_slug_beats_a_wildcard_that_does_not_spell_the_slash() {
    let routes = routes("route openai o; route router r; model * router; model gpt-* openai");
    assert_eq!(goes(&routes, "openai/gpt-4o", None), "openai gpt-4o");
    assert_eq!(goes(&routes, "openai/llama", None), "router openai/llama");
    assert_eq!(goes(&routes, "openai/gpt-4o", Some("router")), "router openai/gpt-4o");
    let spelled =
        self::routes("route openai o; route router r; model openai/* router; model gpt-* openai");
    assert_eq!(goes(&spelled, "openai/gpt-4o", None), "router openai/gpt-4o");
}

#[test]
fn without_a_catalog_any_provider_can_be_chosen() {
    let routes = routes("route a u; route b v; default a; alias x b/y");
    for (model, field, place) in [
        ("m", None, "a m"),
        ("m", Some("b"), "b m"),
        ("b/m", None, "b m"),
        ("b/m", Some("b"), "b m"),
        ("c/m", None, "a c/m"),
        ("c/m", Some("b"), "b c/m"),
        ("a/m", Some("b"), "b a/m"),
        ("m", Some("c"), "400 provider_not_allowed"),
        ("x", None, "b y"),
        ("b/x", None, "b y"),
    ] {
        assert_eq!(goes(&routes, model, field), place, "{model} {field:?}");
    }
}

#[test]
fn a_provider_the_client_named_is_told() {
    let routes = routes(CATALOG);
    let named =
        |model, field| routes.resolve(&chat(Some(model), field)).unwrap().requested_provider;
    assert_eq!(named("mimo-v2.5", None), None);
    assert_eq!(named("mimo/mimo-v2.5", None).as_deref(), Some("mimo"));
    assert_eq!(named("mimo-v2.5", Some("mimo")).as_deref(), Some("mimo"));
}

#[test]
fn a_request_without_a_model_is_refused_where_one_is_needed() {
    let open = routes("route a u; route b v anthropic; default b");
    let closed = routes(CATALOG);
    let code = |routes: &Routes, endpoint, method_has_body| {
        let ask = Ask { endpoint, method_has_body, model: None, provider_field: None };
        routes.resolve(&ask).map(|found| found.provider).map_err(|rejection| rejection.code)
    };
    for endpoint in
        [Endpoint::Chat, Endpoint::Completions, Endpoint::Embeddings, Endpoint::Messages]
    {
        assert_eq!(code(&open, endpoint, true), Err("model_required"));
        assert_eq!(code(&closed, endpoint, true), Err("model_required"));
        assert_eq!(code(&closed, endpoint, false), Ok(0));
    }
    // A stored prompt may hold the model, but not past a catalog.
    assert_eq!(code(&open, Endpoint::Responses, true), Ok(1));
    assert_eq!(code(&closed, Endpoint::Responses, true), Err("model_required"));
    // A batch names its models where we do not look.
    assert_eq!(code(&open, Endpoint::Other, true), Ok(1));
    assert_eq!(code(&closed, Endpoint::Other, true), Err("model_required"));
    assert_eq!(code(&closed, Endpoint::Models, false), Ok(0));
}

#[test]
fn a_request_that_needs_no_model_goes_to_the_likeliest_provider() {
    let routes = routes("route a u; route b v anthropic; model m a");
    let provider = |endpoint| {
        let ask = Ask { endpoint, method_has_body: false, model: None, provider_field: None };
        routes.resolve(&ask).unwrap().provider
    };
    assert_eq!(provider(Endpoint::Messages), 1);
    assert_eq!(provider(Endpoint::Chat), 0);
    assert_eq!(provider(Endpoint::Models), 0);
}

#[test]
fn rejections_tell_their_outcome() {
    let routes = routes(CATALOG);
    let outcome = |model, field| {
        let rejection = routes.resolve(&chat(model, field)).unwrap_err();
        Outcome::of_rejection(&rejection).name()
    };
    assert_eq!(outcome(Some("shared-one"), Some("router")), "rejected_out_of_scope");
    assert_eq!(outcome(Some("unknown"), None), "rejected_unresolvable");
    assert_eq!(outcome(None, None), "rejected_unresolvable");
}

#[test]
fn a_clone_that_is_changed_is_looked_up_anew() {
    let first = routes("route a u; model m a");
    let mut second = first.clone();
    second.patterns.push(Pattern::parse(&["n", "a"]).unwrap());
    assert_eq!(goes(&first, "n", None), "404 model_not_found");
    assert_eq!(goes(&second, "n", None), "a n");
}

#[test]
fn the_list_has_exact_names_and_aliases() {
    let routes = routes("route a u; model m2 a; model w* a; model m1 a; alias x a/y");
    let list: serde_json::Value = serde_json::from_str(&routes.models_json(17)).unwrap();
    assert_eq!(
        list,
        serde_json::json!({"object": "list", "data": [
            {"id": "m2", "object": "model", "created": 17, "owned_by": "a"},
            {"id": "m1", "object": "model", "created": 17, "owned_by": "a"},
            {"id": "x", "object": "model", "created": 17, "owned_by": "a"},
        ]})
    );
    let list = routes.models_json_anthropic(1_795_249_800);
    let list: serde_json::Value = serde_json::from_str(&list).unwrap();
    assert_eq!((&list["first_id"], &list["last_id"]), (&"m2".into(), &"x".into()));
    assert_eq!(list["has_more"], false);
    assert_eq!(list["data"][0]["type"], "model");
    assert_eq!(list["data"][0]["created_at"], "2026-11-21T08:30:00Z");
    let one = routes.model_json(Dialect::OpenAi, "M1", 17).unwrap();
    assert!(one.starts_with("{\"id\":\"m1\""));
    assert_eq!(routes.model_json(Dialect::OpenAi, "w1", 17), None);
}

#[test]
fn an_empty_list_is_a_list() {
    let routes = routes("route a u; default a");
    assert_eq!(routes.models_json(0), r#"{"object":"list","data":[]}"#);
    assert!(routes.models_json_anthropic(0).contains(r#""first_id":null"#));
}

/// The rule of `*` told in the plainest way.
fn plain_match(pattern: &[char], model: &[char]) -> bool {
    match pattern {
        [] => model.is_empty(),
        ['*', rest @ ..] => (0..=model.len()).any(|at| plain_match(rest, &model[at..])),
        [first, rest @ ..] => model.first() == Some(first) && plain_match(rest, &model[1..]),
    }
}

proptest! {
    #[test]
    fn nothing_leads_past_the_catalog(
        patterns in prop::collection::vec(("[ab*/]{1,5}", 0..3usize), 1..6),
        model in "[abcAB/]{1,6}",
        field in prop::option::of("[abcd]"),
        with_default in any::<bool>(),
    ) {
        let mut routes = unchecked("route a u; route b u; route c u");
        routes.default = with_default.then(|| "a".to_owned());
        let mut seen = std::collections::HashSet::new();
        for (pattern, provider) in &patterns {
            if seen.insert(pattern) {
                routes.patterns.push(Pattern::parse(&[pattern, ["a", "b", "c"][*provider]]).unwrap());
            }
        }
        prop_assert!(routes.check().is_ok());
        if let Ok(found) = routes.resolve(&chat(Some(&model), field.as_deref())) {
            let sent = found.model.unwrap();
            let provider = &routes.providers[found.provider].name;
            let chars = |text: &str| text.to_lowercase().chars().collect::<Vec<_>>();
            let listed = routes.patterns.iter().any(|line| {
                line.provider == *provider && plain_match(&chars(&line.pattern), &chars(&sent))
            });
            prop_assert!(listed, "{sent} at {provider}");
            prop_assert!(model.ends_with(sent.as_ref()));
            prop_assert!(field.is_none_or(|field| field == *provider));
        }
    }
}
