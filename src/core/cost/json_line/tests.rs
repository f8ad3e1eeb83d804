//! Whether a line of JSON holds every column, whatever the texts contain.

use proptest::prelude::*;
use serde_json::Value as Json;

use super::*;
use crate::cost::{AttemptRow, Cost, Pico, Text};

#[test]
fn a_line_has_the_columns_and_amounts_are_strings() {
    let event = CostEvent {
        event_id: "0123".into(),
        cost: Some(Cost {
            prompt: Pico(136_500_000),
            completion: Pico(120_000_000),
            total: Pico(256_500_000),
        }),
        tags: vec![("feature".into(), "search".into())],
        attempts: vec![AttemptRow { attempt_no: 1, ..AttemptRow::default() }; 2],
        ..CostEvent::default()
    };
    let line: Json = serde_json::from_str(&event.to_json_line()).unwrap();
    let object = line.as_object().unwrap();
    let names: Vec<&str> = object.keys().map(String::as_str).collect();
    let columns: Vec<&str> = COLUMNS.iter().map(|column| column.name).collect();
    assert_eq!(names, [columns, vec!["attempt_rows"]].concat());
    assert_eq!(line["total_cost"], "0.00025650");
    assert_eq!(line["prompt_cost"], "0.00013650");
    assert_eq!(line["is_streaming"], false);
    assert_eq!(line["org"], Json::Null);
    assert_eq!(line["tags"]["feature"], "search");
    assert_eq!(line["attempt_rows"].as_array().unwrap().len(), 2);
    assert_eq!(line["attempt_rows"][1]["event_id"], "0123");
}

#[test]
fn an_event_of_nothing_is_a_line_too() {
    let line: Json = serde_json::from_str(&CostEvent::default().to_json_line()).unwrap();
    assert_eq!(line["attempt_rows"], Json::Array(Vec::new()));
    assert_eq!(line["tags"], Json::Null);
}

proptest! {
    #[test]
    fn no_text_breaks_a_line(
        text in any::<String>(),
        control in "[\\x00-\\x1f\\x7f-\\x9f\"\\\\\u{2028}\u{2029}]{0,8}",
    ) {
        let text = text + &control;
        let event = CostEvent {
            model: Text::new(&text),
            tags: vec![("name".into(), Text::new(&text))],
            ..CostEvent::default()
        };
        let line = event.to_json_line();
        let ends_a_line = |c: char| c.is_control() || matches!(c, '\u{2028}' | '\u{2029}');
        prop_assert!(!line.contains(ends_a_line));
        let json: Json = serde_json::from_str(&line).unwrap();
        let kept = Text::new(&text);
        prop_assert_eq!(json["model"].as_str().unwrap_or_default(), &*kept);
        prop_assert_eq!(json["tags"]["name"].as_str(), Some(&*kept));
    }
}
