//! Which bodies of a success are taken for an answer.

use super::*;

fn verdict(endpoint: Endpoint, body: &str) -> &'static str {
    match fault_of_answer(body.as_bytes(), endpoint) {
        None => "answer",
        Some(Event::Empty) => "empty",
        Some(Event::BadBody) => "bad",
        Some(Event::StreamError(_)) => "error",
        Some(_) => "something else",
    }
}

#[test]
fn chats_need_content_of_any_kind() {
    let chat = |message: &str| {
        let body = format!(r#"{{"choices":[{{"message":{message},"finish_reason":"stop"}}]}}"#);
        verdict(Endpoint::Chat, &body)
    };
    assert_eq!(chat(r#"{"role":"assistant","content":"a"}"#), "answer");
    assert_eq!(chat(r#"{"content":null,"tool_calls":[{"id":"1"}]}"#), "answer");
    assert_eq!(chat(r#"{"content":null,"refusal":"no"}"#), "answer");
    assert_eq!(chat(r#"{"content":"","reasoning_content":"a"}"#), "answer");
    assert_eq!(chat(r#"{"role":"assistant","content":""}"#), "empty");
    assert_eq!(chat(r#"{"role":"assistant","content":null,"tool_calls":[]}"#), "empty");
    assert_eq!(verdict(Endpoint::Chat, r#"{"choices":[]}"#), "empty");
    assert_eq!(verdict(Endpoint::Chat, "{}"), "empty");
    assert_eq!(verdict(Endpoint::Completions, r#"{"choices":[{"text":"a"}]}"#), "answer");
    assert_eq!(verdict(Endpoint::Completions, r#"{"choices":[{"text":""}]}"#), "empty");
}

#[test]
fn a_refusal_of_the_content_is_an_answer_however_short() {
    let body = r#"{"choices":[{"message":{"content":""},"finish_reason":"content_filter"}]}"#;
    assert_eq!(verdict(Endpoint::Chat, body), "answer");
    let body = r#"{"type":"message","content":[],"stop_reason":"refusal"}"#;
    assert_eq!(verdict(Endpoint::Messages, body), "answer");
}

#[test]
fn messages_need_a_block_that_is_no_empty_text() {
    let message = |content: &str| {
        let body = format!(r#"{{"type":"message","content":{content},"stop_reason":"end_turn"}}"#);
        verdict(Endpoint::Messages, &body)
    };
    assert_eq!(message(r#"[{"type":"text","text":"a"}]"#), "answer");
    assert_eq!(message(r#"[{"type":"text","text":""},{"type":"tool_use","id":"1"}]"#), "answer");
    assert_eq!(message(r#"[{"text":"","type":"text"}]"#), "empty");
    assert_eq!(message("[]"), "empty");
    assert_eq!(message("null"), "empty");
}

#[test]
fn responses_need_output_unless_they_are_under_way() {
    let response = |output: &str, status: &str| {
        let body = format!(
            r#"{{"object":"response","status":"{status}","error":null,"output":{output}}}"#
        );
        verdict(Endpoint::Responses, &body)
    };
    let text = r#"[{"type":"message","content":[{"type":"output_text","text":"a"}]}]"#;
    let nothing = r#"[{"type":"message","content":[{"type":"output_text","text":""}]}]"#;
    assert_eq!(response(text, "completed"), "answer");
    assert_eq!(response(r#"[{"type":"function_call","name":"f"}]"#, "completed"), "answer");
    assert_eq!(response(nothing, "completed"), "empty");
    assert_eq!(response("[]", "completed"), "empty");
    assert_eq!(response("[]", "queued"), "answer");
}

#[test]
fn embeddings_need_a_vector() {
    assert_eq!(verdict(Endpoint::Embeddings, r#"{"data":[{"embedding":[1]}]}"#), "answer");
    assert_eq!(verdict(Endpoint::Embeddings, r#"{"data":[]}"#), "empty");
}

#[test]
fn errors_with_status_200_are_errors() {
    assert_eq!(verdict(Endpoint::Chat, r#"{"error":{"message":"m","code":500}}"#), "error");
    assert_eq!(verdict(Endpoint::Messages, r#"{"type":"error","error":{"type":"t"}}"#), "error");
    let filled = r#"{"error":null,"choices":[{"message":{"content":"a"}}]}"#;
    assert_eq!(verdict(Endpoint::Chat, filled), "answer");
}

#[test]
fn what_is_no_json_object_is_bad() {
    for body in ["", "<html>", "[]", "\"a\"", "{\"choices\":[", "{} {}"] {
        assert_eq!(verdict(Endpoint::Chat, body), "bad", "{body}");
    }
}
