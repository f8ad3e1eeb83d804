//! No body makes the scanner fail badly; what it takes is JSON for others, too, and stays JSON when it
//! is edited.

#![no_main]

use libfuzzer_sys::fuzz_target;
use llm_core::request::{Changes, FactsError, plan, scan, slices};
use serde_json::{Map, Value};

fuzz_target!(|body: &[u8]| {
    let other = serde_json::from_slice::<Map<String, Value>>(body);
    let facts = match scan(body) {
        Ok(facts) => facts,
        Err(FactsError::Json(_) | FactsError::InvalidUtf8 | FactsError::NotAnObject) => {
            assert!(other.is_err(), "valid JSON was refused");
            return;
        }
        Err(_) => return,
    };
    let changes = Changes {
        model: Some("an \"other\" model"),
        inject_usage: true,
        remove_provider: true,
        remove_dialect: true,
    };
    let edits = plan(&facts, &changes);
    let sent = slices(body, &edits).concat();
    let again = match scan(&sent) {
        Ok(again) => again,
        Err(error) => panic!("the edited body is refused: {error:?}"),
    };
    assert_eq!(again.provider, None);
    assert_eq!(again.dialect, None);
    assert_eq!(again.stream, facts.stream);
    assert_eq!(again.model.is_some(), facts.model.is_some());
    assert!(again.model.is_none_or(|field| field.text == "an \"other\" model"));
    // serde_json refuses numbers beyond 64 bits and lone surrogates, which we carry along.
    let Ok(other) = other else { return };
    assert_eq!(facts.model.as_ref().map(|field| &*field.text), text(&other, "model"));
    assert_eq!(facts.provider.as_ref().map(|field| &*field.text), text(&other, "provider"));
    assert_eq!(facts.stream, other.get("stream") == Some(&Value::Bool(true)));
    assert!(serde_json::from_slice::<Map<String, Value>>(&sent).is_ok());
});

fn text<'a>(members: &'a Map<String, Value>, key: &str) -> Option<&'a str> {
    members.get(key).and_then(Value::as_str)
}
