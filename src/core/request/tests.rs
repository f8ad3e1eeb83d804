//! What is read from a body, what is refused, and that an edit touches nothing else.

use proptest::prelude::*;
use serde_json::{Map, Value, json};

use super::*;

fn facts(body: &str) -> Facts<'_> {
    scan(body.as_bytes()).unwrap()
}

fn refusal(body: &[u8]) -> FactsError {
    scan(body).unwrap_err()
}

fn edited(body: &str, changes: &Changes<'_>) -> String {
    let edits = plan(&facts(body), changes);
    String::from_utf8(slices(body.as_bytes(), &edits).concat()).unwrap()
}

const INJECT: Changes<'_> =
    Changes { model: None, inject_usage: true, remove_provider: false, remove_dialect: false };
const REMOVE: Changes<'_> =
    Changes { model: None, inject_usage: false, remove_provider: true, remove_dialect: true };

#[test]
fn the_model_is_found_with_its_place() {
    let body = r#"{ "messages":[{"model":"no"}], "model" : "gpt-4o" }"#;
    let model = facts(body).model.unwrap();
    assert_eq!(model.text, "gpt-4o");
    assert_eq!(&body[model.span], "\"gpt-4o\"");
}

#[test]
fn escapes_in_keys_and_values_are_understood() {
    let body = r#"{"mod\u0065l":"gp\u0074-4o","\u0073tream":true}"#;
    let facts = facts(body);
    assert_eq!(facts.model.unwrap().text, "gpt-4o");
    assert!(facts.stream);
}

#[test]
fn only_the_literal_true_streams() {
    assert!(facts(r#"{"stream":true}"#).stream);
    for value in ["false", "1", "\"true\"", "null", "[true]", "{}"] {
        assert!(!facts(&format!("{{\"stream\":{value}}}")).stream, "{value}");
    }
}

#[test]
fn a_key_we_act_on_may_stand_once_however_it_is_escaped() {
    for (body, key) in [
        (r#"{"model":"a","model":"b"}"#, "model"),
        (r#"{"model":"a","mo\u0064el":"b"}"#, "model"),
        (r#"{"model":"a","Model":"b"}"#, "model"),
        (r#"{"MODEL":"a","model":"b"}"#, "model"),
        (r#"{"provider":"a","x":1,"provider":"a"}"#, "provider"),
        (r#"{"provider":{},"provider":"a"}"#, "provider"),
        (r#"{"stream":false,"strea\u006d":true}"#, "stream"),
        (r#"{"stream_options":null,"stream_options":{}}"#, "stream_options"),
        (r#"{"dialect":1,"dialect":"openai"}"#, "dialect"),
    ] {
        assert_eq!(refusal(body.as_bytes()), FactsError::DuplicateKey(key), "{body}");
    }
    assert!(scan(br#"{"x":1,"x":2,"a":{"model":1,"model":2}}"#).is_ok());
}

#[test]
fn a_model_in_another_case_is_no_model() {
    assert_eq!(facts(r#"{"Model":"a"}"#).model, None);
}

#[test]
fn a_list_of_other_models_is_refused_however_its_key_is_written() {
    for key in ["models", "Models", "MODELS", "model\\u0073", "\\u004dodels", "model\u{17f}"] {
        for value in [r#"["a"]"#, r#"["m"]"#, r#""a""#, "{}", "[null]", "1", "true"] {
            let body = format!("{{\"model\":\"m\",\"{key}\":{value}}}");
            assert_eq!(refusal(body.as_bytes()), FactsError::OtherModels, "{body}");
            let body = format!("{{\"{key}\": {value} }}");
            assert_eq!(refusal(body.as_bytes()), FactsError::OtherModels, "{body}");
        }
        for value in ["null", "[]", "[ \n]"] {
            let body = format!("{{\"{key}\":{value},\"model\":\"m\"}}");
            assert_eq!(facts(&body).model.unwrap().text, "m", "{body}");
        }
    }
    let body = r#"{"models":null,"models":["a"],"model":"m"}"#;
    assert_eq!(refusal(body.as_bytes()), FactsError::OtherModels);
    assert!(scan(br#"{"model":"m","x":{"models":["a"]},"models ":["a"],"amodels":["a"]}"#).is_ok());
}

#[test]
fn model_and_provider_must_be_strings() {
    for value in ["1", "null", "[]", "{}", "true"] {
        let body = format!("{{\"model\":{value}}}");
        assert_eq!(refusal(body.as_bytes()), FactsError::WrongType("model"), "{value}");
    }
    for value in ["1", "null", "[]", "true"] {
        let body = format!("{{\"provider\":{value}}}");
        assert_eq!(refusal(body.as_bytes()), FactsError::WrongType("provider"), "{value}");
    }
}

#[test]
fn the_provider_object_of_openrouter_is_passed_on() {
    let body = r#"{"provider":{"order":["a"]},"model":"m"}"#;
    assert_eq!(facts(body).provider, None);
    assert_eq!(edited(body, &REMOVE), body);
}

#[test]
fn names_that_cannot_be_models_are_refused() {
    for body in [r#"{"model":""}"#, r#"{"model":"  "}"#, r#"{"model":"\u0020"}"#] {
        assert_eq!(refusal(body.as_bytes()), FactsError::EmptyModel, "{body}");
    }
    let long = format!("{{\"model\":\"{}\"}}", "x".repeat(MAX_MODEL_BYTES + 1));
    for body in [r#"{"model":"a\nb"}"#, r#"{"model":"a\u0000"}"#, r#"{"model":"\ud800"}"#, &long] {
        assert_eq!(refusal(body.as_bytes()), FactsError::BadModelName, "{body}");
    }
    let longest = format!("{{\"model\":\"{}\"}}", "x".repeat(MAX_MODEL_BYTES));
    assert!(scan(longest.as_bytes()).is_ok());
}

#[test]
fn what_is_no_json_object_in_utf_8_is_refused() {
    assert_eq!(refusal(b""), FactsError::Json(JsonError::Truncated));
    assert_eq!(refusal(b"{\"a\":1"), FactsError::Json(JsonError::Truncated));
    assert_eq!(refusal(b"{\"a\":1}x"), FactsError::Json(JsonError::Syntax(7)));
    assert_eq!(refusal(b"\xef\xbb\xbf{}"), FactsError::Json(JsonError::Syntax(0)));
    assert_eq!(refusal(b"[1]"), FactsError::NotAnObject);
    assert_eq!(refusal(b"\"x\""), FactsError::NotAnObject);
    assert_eq!(refusal(b"[1"), FactsError::Json(JsonError::Truncated));
    assert_eq!(refusal(b"{\"a\":\"\xff\"}"), FactsError::InvalidUtf8);
    let deep = format!("{{\"a\":{}", "[".repeat(100_000));
    assert_eq!(refusal(deep.as_bytes()), FactsError::Json(JsonError::TooDeep));
}

#[test]
fn each_refusal_tells_the_client_what_it_is() {
    for (error, status, code) in [
        (FactsError::Json(JsonError::Syntax(3)), 400, "invalid_json"),
        (FactsError::InvalidUtf8, 400, "invalid_json"),
        (FactsError::NotAnObject, 400, "invalid_json"),
        (FactsError::DuplicateKey("model"), 400, "duplicate_key"),
        (FactsError::WrongType("model"), 400, "invalid_type"),
        (FactsError::OtherModels, 400, "unsupported_parameter"),
        (FactsError::EmptyModel, 400, "model_required"),
        (FactsError::BadModelName, 400, "invalid_model_name"),
    ] {
        let rejection = Rejection::from(error);
        assert_eq!((rejection.status, rejection.code), (status, code));
    }
}

#[test]
fn the_largest_output_limit_counts() {
    let body = r#"{"max_tokens":10,"max_completion_tokens":300,"max_output_tokens":20,"n":2}"#;
    assert_eq!(facts(body).max_output_tokens, Some(300));
    assert_eq!(facts(body).n, Some(2));
    for (value, limit) in [
        ("1e3", Some(1000)),
        ("99.5", Some(100)),
        ("99999999999999999999999", Some(u64::MAX)),
        ("1e999", Some(u64::MAX)),
        ("-1", None),
        ("null", None),
        ("\"5\"", None),
    ] {
        let body = format!("{{\"max_tokens\":{value}}}");
        assert_eq!(facts(&body).max_output_tokens, limit, "{value}");
    }
}

#[test]
fn the_prompt_is_what_becomes_input() {
    let body = r#"{"model":"m","messages":["12345"],"system":"12","tools":[],"x":"long long"}"#;
    assert_eq!(facts(body).prompt_bytes, 9 + 4 + 2);
    assert_eq!(estimate_tokens(0), 0);
    assert_eq!(estimate_tokens(9), 3);
}

#[test]
fn a_system_member_is_anthropics_shape() {
    assert_eq!(facts(r#"{"system":"x"}"#).shape, Shape::Anthropic);
    assert_eq!(facts(r#"{"anthropic_version":"x"}"#).shape, Shape::Anthropic);
    assert_eq!(facts(r#"{"messages":[{"role":"system"}]}"#).shape, Shape::Unclear);
}

#[test]
fn usage_is_asked_for_with_the_fewest_bytes() {
    for (body, sent) in [
        (r#"{ "stream": true }"#, r#"{"stream_options":{"include_usage":true}, "stream": true }"#),
        (
            r#"{"stream":true,"stream_options": null}"#,
            r#"{"stream":true,"stream_options": {"include_usage":true}}"#,
        ),
        (
            r#"{"stream":true,"stream_options":{ }}"#,
            r#"{"stream":true,"stream_options":{"include_usage":true }}"#,
        ),
        (
            r#"{"stream":true,"stream_options":{"x": 1}}"#,
            r#"{"stream":true,"stream_options":{"include_usage":true,"x": 1}}"#,
        ),
        (
            r#"{"stream":true,"stream_options":{"include_usage" : false}}"#,
            r#"{"stream":true,"stream_options":{"include_usage" : true}}"#,
        ),
        (
            r#"{"stream":true,"stream_options":{"include_usage":null}}"#,
            r#"{"stream":true,"stream_options":{"include_usage":true}}"#,
        ),
    ] {
        assert_eq!(edited(body, &INJECT), sent);
        assert!(!facts(body).asked_for_usage());
    }
}

#[test]
fn usage_is_not_asked_for_where_it_would_change_the_clients_meaning() {
    for body in [
        r#"{"stream":false}"#,
        r#"{"stream":false,"stream_options":{"include_usage":false}}"#,
        r#"{"stream":true,"stream_options":{"include_usage":true}}"#,
        r#"{"stream":true,"stream_options":{"include_usage":"yes"}}"#,
        r#"{"stream":true,"stream_options":[1]}"#,
    ] {
        assert_eq!(edited(body, &INJECT), body);
    }
    assert!(facts(r#"{"stream_options":{"include_usage":true}}"#).asked_for_usage());
}

#[test]
fn the_model_is_replaced_and_nothing_else() {
    let body = "{\"a\" : 1.10 ,\t\"model\":\"x\\u0041\" , \"z\":\"\\u00e9\", \"n\":1e400}";
    let changes = Changes { model: Some("say \"hi\"/é"), ..Changes::default() };
    let sent = "{\"a\" : 1.10 ,\t\"model\":\"say \\\"hi\\\"/é\" , \"z\":\"\\u00e9\", \"n\":1e400}";
    assert_eq!(edited(body, &changes), sent);
}

#[test]
fn the_same_model_is_no_edit() {
    let changes = Changes { model: Some("xA"), ..Changes::default() };
    assert!(plan(&facts(r#"{"model":"x\u0041"}"#), &changes).is_empty());
    assert!(plan(&facts(r#"{"x":1}"#), &changes).is_empty());
}

#[test]
fn our_own_fields_leave_with_one_comma_each() {
    for (body, sent) in [
        (r#"{"provider":"a"}"#, "{}"),
        (r#"{ "provider" : "a" }"#, "{  }"),
        (r#"{"provider":"a","x":1}"#, r#"{"x":1}"#),
        (r#"{"x":1 , "provider":"a" }"#, r#"{"x":1  }"#),
        (r#"{"x":1,"provider":"a","y":2}"#, r#"{"x":1,"y":2}"#),
        (r#"{"provider":"a","dialect":"b"}"#, "{}"),
        (r#"{"dialect":"b" , "provider":"a" , "x":1}"#, r#"{  "x":1}"#),
        (r#"{"x":1,"provider":"a","dialect":"b"}"#, r#"{"x":1}"#),
        (r#"{"provider":"a","x":1,"dialect":"b"}"#, r#"{"x":1}"#),
    ] {
        assert_eq!(edited(body, &REMOVE), sent, "{body}");
    }
}

#[test]
fn all_changes_work_together() {
    let body = r#"{"provider":"p","stream":true,"model":"a/b"}"#;
    let changes = Changes { model: Some("b"), inject_usage: true, ..REMOVE };
    let sent = r#"{"stream_options":{"include_usage":true},"stream":true,"model":"b"}"#;
    assert_eq!(edited(body, &changes), sent);
}

#[test]
fn slices_leave_out_what_is_empty() {
    let body = b"abc";
    let edit = |span, with: &'static [u8]| Edit { span, with: Cow::Borrowed(with) };
    assert_eq!(slices(body, &[]), [b"abc"]);
    assert_eq!(
        slices(body, &[edit(0..0, b"x"), edit(0..1, b""), edit(3..3, b"y")]).concat(),
        b"xbcy"
    );
    assert_eq!(slices(body, &[edit(0..3, b"")]).len(), 0);
}

/// JSON values as clients send them, floats left out: serde_json prints some in another way.
fn value() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        ".*".prop_map(Value::from),
        "[\"\\\\/\u{1}-\u{1f}é漢]{0,8}".prop_map(Value::from),
    ];
    leaf.prop_recursive(4, 32, 6, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..6).prop_map(Value::from),
            prop::collection::vec((".{0,6}", inner), 0..6)
                .prop_map(|members| Value::Object(members.into_iter().collect())),
        ]
    })
}

/// Bodies with the members we look at in any order among others.
fn body() -> impl Strategy<Value = Map<String, Value>> {
    let model = prop_oneof!["[a-zA-Z0-9/._-]{1,20}", "\\PC{1,20}"];
    let model = model.prop_filter("blank", |name| !name.trim().is_empty());
    let options = prop_oneof![
        Just(Value::Null),
        Just(json!({})),
        any::<bool>().prop_map(|asked| json!({"include_usage": asked})),
        any::<bool>().prop_map(|asked| json!({"x": [1], "include_usage": asked, "y": {}})),
        value(),
    ];
    let known = (
        prop::option::of(model.prop_map(|name| ("model".to_owned(), Value::from(name)))),
        prop::option::of(any::<bool>().prop_map(|on| ("stream".to_owned(), Value::from(on)))),
        prop::option::of(options.prop_map(|value| ("stream_options".to_owned(), value))),
        prop::option::of("[a-z]{0,8}".prop_map(|name| ("provider".to_owned(), name.into()))),
        prop::option::of("[a-z]{0,8}".prop_map(|name| ("dialect".to_owned(), name.into()))),
        prop::collection::vec(("[^mspdMSPD].{0,6}", value()), 0..5),
    );
    known
        .prop_map(|(model, stream, options, provider, dialect, others)| {
            let known = [model, stream, options, provider, dialect].into_iter().flatten();
            known.chain(others).collect::<Vec<_>>()
        })
        .prop_shuffle()
        .prop_map(|members| members.into_iter().collect())
}

fn changes() -> impl Strategy<Value = (Option<String>, bool, bool, bool)> {
    (prop::option::of("\\PC{1,20}"), any::<bool>(), any::<bool>(), any::<bool>())
}

/// The body with white space where the grammar allows it, which `Value` alone never prints.
fn text(body: &Map<String, Value>, pretty: bool) -> String {
    if pretty {
        serde_json::to_string_pretty(body).unwrap()
    } else {
        serde_json::to_string(body).unwrap()
    }
}

/// What the members should be afterwards.
fn expected(
    body: &Map<String, Value>,
    (model, inject, provider, dialect): &(Option<String>, bool, bool, bool),
) -> Map<String, Value> {
    let mut members = body.clone();
    if let (Some(model), Some(value)) = (model, members.get_mut("model")) {
        *value = Value::from(model.as_str());
    }
    if *inject && members.get("stream") == Some(&Value::Bool(true)) {
        let usage = || json!({"include_usage": true});
        match members.get_mut("stream_options") {
            None => drop(members.insert("stream_options".to_owned(), usage())),
            Some(options @ Value::Null) => *options = usage(),
            Some(Value::Object(options)) => {
                if matches!(options.get("include_usage"), None | Some(Value::Bool(_) | Value::Null))
                {
                    options.insert("include_usage".to_owned(), Value::Bool(true));
                }
            }
            Some(_) => {}
        }
    }
    if *provider {
        members.shift_remove("provider");
    }
    if *dialect {
        members.shift_remove("dialect");
    }
    members
}

proptest! {
    #[test]
    fn an_edit_keeps_every_other_byte_and_member(
        body in body(), wish in changes(), pretty in any::<bool>()
    ) {
        let text = text(&body, pretty);
        let facts = scan(text.as_bytes()).unwrap();
        let changes = Changes {
            model: wish.0.as_deref(),
            inject_usage: wish.1,
            remove_provider: wish.2,
            remove_dialect: wish.3,
        };
        let edits = plan(&facts, &changes);
        // In order and apart from each other.
        prop_assert!(edits.windows(2).all(|pair| pair[0].span.end <= pair[1].span.start));
        let parts = slices(text.as_bytes(), &edits);
        prop_assert!(parts.iter().all(|part| !part.is_empty()));
        let sent = parts.concat();
        // Without the replacements, both texts are the same bytes.
        let (mut rest, mut kept) = (sent.as_slice(), Vec::new());
        let mut at = 0;
        for edit in &edits {
            let (same, behind) = rest.split_at(edit.span.start - at);
            kept.extend_from_slice(same);
            rest = behind.strip_prefix(edit.with.as_ref()).unwrap();
            kept.extend_from_slice(&text.as_bytes()[edit.span.clone()]);
            at = edit.span.end;
        }
        kept.extend_from_slice(rest);
        prop_assert_eq!(kept, text.as_bytes());
        // The members are the ones that were wanted, in the client's order.
        let sent: Map<String, Value> = serde_json::from_slice(&sent).unwrap();
        let expected = expected(&body, &wish);
        prop_assert_eq!(&sent, &expected);
        let order = |members: &Map<String, Value>| {
            members.keys().filter(|key| *key != "stream_options").cloned().collect::<Vec<_>>()
        };
        prop_assert_eq!(order(&sent), order(&expected));
    }

    #[test]
    fn the_scan_sees_what_serde_json_sees(body in body(), pretty in any::<bool>()) {
        let text = text(&body, pretty);
        let facts = scan(text.as_bytes()).unwrap();
        let string = |key: &str| body.get(key).and_then(Value::as_str);
        prop_assert_eq!(facts.model.as_ref().map(|field| field.text.as_ref()), string("model"));
        prop_assert_eq!(facts.provider.as_ref().map(|field| field.text.as_ref()), string("provider"));
        prop_assert_eq!(facts.stream, body.get("stream") == Some(&Value::Bool(true)));
        prop_assert_eq!(facts.empty, body.is_empty());
        if let Some(field) = &facts.model {
            let model: String = serde_json::from_str(&text[field.span.clone()]).unwrap();
            prop_assert_eq!(model.as_str(), field.text.as_ref());
        }
    }

    #[test]
    fn a_damaged_body_is_json_for_both_or_for_none(
        body in body(), at in any::<prop::sample::Index>(), byte in any::<u8>(), cut in any::<bool>()
    ) {
        let mut bytes = text(&body, false).into_bytes();
        let at = at.index(bytes.len());
        if cut {
            bytes.truncate(at);
        } else {
            bytes[at] = byte;
        }
        let ours = scan(&bytes);
        match serde_json::from_slice::<Map<String, Value>>(&bytes) {
            Ok(_) => prop_assert!(!matches!(
                ours,
                Err(FactsError::Json(_) | FactsError::InvalidUtf8 | FactsError::NotAnObject)
            )),
            // It reads numbers into 64 bits and decodes all strings; we carry both along.
            Err(error) => {
                let told = error.to_string();
                let beyond = told.contains("out of range") || told.contains("surrogate")
                    || told.contains("hex escape");
                prop_assert!(ours.is_err() || beyond, "{told}");
            }
        }
    }

    #[test]
    fn no_bytes_make_the_scan_fail_badly(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        if let Ok(facts) = scan(&bytes) {
            prop_assert!(facts.insert_at <= bytes.len());
        }
    }
}
