//! That the same words count the same however they come.

use proptest::prelude::*;
use serde_json::{Value, json};

use super::*;
use crate::dialect::{Dialect, Endpoint};
use crate::stream::{EventStream, Options};
use crate::tap::JsonTap;

/// Bytes in an answer that is no stream.
fn answered(answer: &str) -> u64 {
    let mut tap = JsonTap::new(Dialect::OpenAi, None);
    tap.feed(answer.as_bytes(), &mut ());
    assert!(tap.is_whole(), "{answer}");
    tap.content_bytes()
}

/// Bytes in a stream of these events.
fn streamed<T: std::fmt::Display>(events: &[T]) -> u64 {
    let mut stream = EventStream::new(Options::new(Dialect::OpenAi, Endpoint::Chat));
    for event in events {
        stream.feed(format!("data: {event}\n\n").as_bytes(), &mut ());
    }
    assert_eq!(stream.state().malformed, 0);
    stream.state().content_bytes
}

#[test]
fn a_chat_costs_the_same_with_stream_and_without() {
    let answer = json!({"id": "x", "choices": [{"index": 0, "finish_reason": "tool_calls",
        "logprobs": {"content": [{"token": "He", "bytes": [1], "top_logprobs": []}]},
        "message": {"role": "assistant", "content": "He said \"\u{1}\n☃\"", "refusal": null,
            "reasoning_content": "think\\ing", "reasoning": "why",
            "reasoning_details": [{"type": "reasoning.text", "text": "why"}],
            "audio": {"id": "a", "data": "bm8=", "transcript": "la la"}, "annotations": [{"text": "x"}],
            "tool_calls": [{"id": "call_1", "type": "function",
                "function": {"name": "weather", "arguments": "{\"city\": \"Paris\"}"}}]}},
        {"index": 1, "message": {"role": "assistant", "content": null, "refusal": "No."}}]});
    let delta = |index: u8, delta: Value| json!({"choices": [{"index": index, "delta": delta}]});
    let function = |name: &str, text: &str| {
        json!({"tool_calls": [{"index": 0, "type": "function",
            "function": {"name": name, "arguments": text}}]})
    };
    let events = [
        delta(0, json!({"role": "assistant", "content": ""})),
        delta(0, json!({"reasoning_content": "thin"})),
        delta(0, json!({"reasoning_content": "k\\ing"})),
        delta(0, json!({"reasoning": "why", "reasoning_details": [{"text": "why"}]})),
        delta(0, json!({"content": "He said \""})),
        delta(1, json!({"refusal": "No."})),
        delta(0, json!({"content": "\u{1}\n☃\""})),
        delta(0, json!({"audio": {"id": "a", "transcript": "la la"}})),
        delta(0, json!({"audio": {"data": "bm8="}})),
        delta(0, function("weather", "")),
        delta(0, json!({"tool_calls": [{"index": 0, "function": {"arguments": "{\"city\": "}}]})),
        delta(0, json!({"tool_calls": [{"index": 0, "function": {"arguments": "\"Paris\"}"}}]})),
        json!({"choices": [{"index": 0, "delta": {}, "finish_reason": "tool_calls"}]}),
    ];
    let bytes = r#"He said \"\u0001\n☃\"think\\ingwhyla laweather{\"city\": \"Paris\"}No."#.len();
    assert_eq!(answered(&answer.to_string()), bytes as u64);
    assert_eq!(streamed(&events), bytes as u64);
}

#[test]
fn parts_of_a_content_are_counted_too() {
    let content = json!([{"type": "thinking", "thinking": [{"type": "text", "text": "a"}]},
        {"type": "text", "text": "bc"}, {"type": "reference", "reference_ids": [1]}]);
    let answer = json!({"choices": [{"message": {"content": content}}]});
    assert_eq!(answered(&answer.to_string()), 3);
    assert_eq!(streamed(&[json!({"choices": [{"delta": {"content": content}}]})]), 3);
}

#[test]
fn a_completion_costs_the_same_with_stream_and_without() {
    assert_eq!(answered(r#"{"choices":[{"text":"ab\ncd","logprobs":{"text":"x"}}]}"#), 6);
    assert_eq!(
        streamed(&[r#"{"choices":[{"text":"ab\n"}]}"#, r#"{"choices":[{"text":"cd"}]}"#]),
        6
    );
}

#[test]
fn a_response_costs_the_same_with_stream_and_without() {
    let output = json!([
        {"type": "reasoning", "id": "r", "summary": [{"type": "summary_text", "text": "thus"}],
            "encrypted_content": "x".repeat(99)},
        {"type": "message", "role": "assistant", "status": "completed", "content": [
            {"type": "output_text", "text": "Hi \"you\"", "annotations": [{"title": "no"}]},
            {"type": "refusal", "refusal": "But"}]},
        {"type": "function_call", "call_id": "c", "name": "weather", "arguments": "{\"a\":1}"},
        {"type": "code_interpreter_call", "code": "1+1", "outputs": [{"logs": "2"}]}]);
    let answer = json!({"instructions": "not mine", "text": {"format": {"type": "text"}},
        "output": output, "tools": [{"name": "weather"}]});
    let delta = |kind: &str, text: &str| json!({"type": format!("response.{kind}.delta"), "delta": text, "obfuscation": "xyz"});
    let events = [
        json!({"type": "response.created", "response": {"output": []}}),
        delta("reasoning_summary_text", "thus"),
        json!({"type": "response.output_item.added", "item": {"type": "message", "content": []}}),
        delta("output_text", "Hi "),
        delta("output_text", "\"you\""),
        json!({"type": "response.output_text.done", "text": "Hi \"you\""}),
        delta("refusal", "But"),
        json!({"item": {"type": "function_call", "name": "weather", "arguments": ""},
            "type": "response.output_item.added"}),
        delta("function_call_arguments", "{\"a\":1}"),
        json!({"type": "response.output_item.done",
            "item": {"type": "function_call", "name": "weather", "arguments": "{\"a\":1}"}}),
        delta("code_interpreter_call_code", "1+1"),
        delta("audio", "bm8="),
        json!({"type": "response.completed", "response": {"output": output}}),
    ];
    let bytes = r#"thusHi \"you\"Butweather{\"a\":1}1+1"#.len() as u64;
    assert_eq!(answered(&answer.to_string()), bytes);
    assert_eq!(streamed(&events), bytes);
}

#[test]
fn a_message_costs_the_same_with_stream_and_without() {
    let answer = json!({"type": "message", "content": [
        {"type": "thinking", "thinking": "So\n", "signature": "x".repeat(99)},
        {"type": "text", "text": "Hi \"you\"", "citations": [{"cited_text": "no"}]},
        {"type": "tool_use", "id": "t", "name": "weather", "input": {"city": "a \"b\"\n", "n": [1]}},
        {"type": "tool_use", "id": "u", "name": "now", "input": {}},
        {"type": "mcp_tool_result", "content": [{"type": "text", "text": "not mine"}]}]});
    let start = |block: Value| json!({"type": "content_block_start", "content_block": block});
    let delta = |delta: Value| json!({"type": "content_block_delta", "delta": delta});
    let events = [
        json!({"type": "message_start", "message": {"content": []}}),
        start(json!({"type": "thinking", "thinking": "", "signature": ""})),
        delta(json!({"type": "thinking_delta", "thinking": "So\n"})),
        delta(json!({"type": "signature_delta", "signature": "x".repeat(99)})),
        start(json!({"type": "text", "text": "Hi"})),
        delta(json!({"type": "text_delta", "text": " \"you\""})),
        delta(json!({"type": "citations_delta", "citation": {"cited_text": "no"}})),
        start(json!({"type": "tool_use", "id": "t", "name": "weather", "input": {}})),
        delta(json!({"type": "input_json_delta", "partial_json": ""})),
        delta(json!({"type": "input_json_delta", "partial_json": "{\"city\":\"a \\\""})),
        delta(json!({"type": "input_json_delta", "partial_json": "b\\\"\\n\",\"n\":[1]}"})),
        start(json!({"type": "tool_use", "id": "u", "name": "now", "input": {}})),
        delta(json!({"type": "input_json_delta", "partial_json": ""})),
        start(
            json!({"type": "mcp_tool_result", "content": [{"type": "text", "text": "not mine"}]}),
        ),
        json!({"type": "message_delta", "delta": {"stop_reason": "tool_use"}}),
    ];
    let bytes = r#"So\nHi \"you\"weather{"city":"a \"b\"\n","n":[1]}now"#.len() as u64;
    assert_eq!(answered(&answer.to_string()), bytes);
    assert_eq!(streamed(&events), bytes);
}

#[test]
fn what_is_no_text_counts_nothing() {
    for answer in [
        json!({"data": [{"embedding": [0.5], "text": "x"}], "model": "m"}),
        json!({"data": [{"b64_json": "bm8="}]}),
        json!({"choices": null, "content": "x", "output": "x", "text": {"text": "x"}}),
        json!({"error": {"message": "no"}}),
        json!({"input_tokens": 9}),
    ] {
        assert_eq!(answered(&answer.to_string()), 0, "{answer}");
    }
    assert_eq!(answered(r#"{"text":"a \"transcript\""}"#), 16);
}

#[test]
fn escaped_keys_are_understood() {
    assert_eq!(answered(r#"{"\u0063hoices":[{"m\u0065ssage":{"c\u006fntent":"abc"}}]}"#), 3);
}

/// Members as models have them, and others.
fn any_value() -> impl Strategy<Value = String> {
    let key = prop::sample::select(vec![
        "content",
        "text",
        "reasoning",
        "tool_calls",
        "function",
        "name",
        "arguments",
        "input",
        "thinking",
        "logprobs",
        "x",
        "te\\u0078t",
    ]);
    let leaf = prop_oneof![
        "\"([a-c{}\\[\\], :]|\\\\[\"\\\\n]|é){0,30}\"",
        Just("-1.5e3".to_owned()),
        Just("null".to_owned()),
        Just("{ }".to_owned()),
    ];
    leaf.prop_recursive(4, 30, 4, move |inner| {
        let member = (key.clone(), inner.clone());
        prop_oneof![
            prop::collection::vec(inner, 0..4).prop_map(|items| format!("[{}]", items.join(", "))),
            prop::collection::vec(member, 0..4).prop_map(|members| {
                let members: Vec<String> =
                    members.iter().map(|(key, value)| format!("\"{key}\" :{value}")).collect();
                format!("{{{}}}", members.join(","))
            }),
        ]
    })
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn any_message_counts_the_same_whole_and_as_an_event(value in any_value(), text in any_value()) {
        let answer = format!(
            "{{\"choices\":[{{\"delta\":{{\"content\":{value},\"tool_calls\":{text}}},\
             \"text\":{text},\"x\":{value}}}]}}"
        );
        prop_assert_eq!(answered(&answer), streamed(&[&answer]), "{}", answer);
        let block = format!("{{\"type\":\"text\",\"text\":{value},\"input\":{text},\"x\":{text}}}");
        prop_assert_eq!(
            answered(&format!("{{\"content\":[{block}]}}")),
            streamed(&[format!("{{\"type\":\"content_block_start\",\"content_block\":{block}}}")]),
            "{}", block
        );
    }

    #[test]
    fn words_end_where_their_container_ends_and_do_not_care_where_they_are_cut(
        text in "([\\[\\]{}]{1,3}|[,:]|\"(text|input|x|name|y{60})\" ?:|\
            \"([a-c{}\\[]|\\\\[\"\\\\n]){0,70}\"|[0-9\\\\]{0,3}){0,20}",
        is_block in any::<bool>(),
        cut in any::<prop::sample::Index>(),
    ) {
        let part = if is_block { Part::Blocks } else { Part::Answer };
        let mut whole = Words::default();
        whole.begin(part);
        let end = whole.walk(text.as_bytes());
        let (mut depth, mut escape) = (1, false);
        match containers_end(text.as_bytes(), &mut depth, &mut escape) {
            Stop::InContainer | Stop::InString => {
                prop_assert!(matches!(end, Stop::InContainer | Stop::InString));
            }
            stop => prop_assert_eq!(end, stop),
        }
        let (head, tail) = text.as_bytes().split_at(cut.index(text.len() + 1));
        let mut parts = Words::default();
        parts.begin(part);
        let found = match parts.walk(head) {
            Stop::InContainer | Stop::InString => match parts.walk(tail) {
                Stop::Behind(end) => Stop::Behind(head.len() + end),
                stop => stop,
            },
            stop => stop,
        };
        prop_assert_eq!(found, end);
        prop_assert_eq!(parts.bytes(), whole.bytes());
        let mut bytes = Words::default();
        bytes.begin(part);
        for at in 0..text.len() {
            bytes.walk(&text.as_bytes()[at..=at]);
        }
        prop_assert_eq!(bytes.bytes(), whole.bytes());
    }
}
