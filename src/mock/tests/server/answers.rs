//! Are requests read and answers chosen as described?

use crate::harness::{CHAT, Mock, STREAM};

#[test]
fn a_connection_serves_one_request_after_another() {
    let mock = Mock::start(&["first"]);
    let mut client = mock.connect("first");
    for model in ["a", "b"] {
        client.post(CHAT, "", &format!("{{\"model\":\"{model}\"}}"));
        let text = client.response().text();
        assert!(
            text.contains("Hello from first.") && text.contains(&format!(r#""model":"{model}""#))
        );
    }
    client.post(CHAT, "", STREAM);
    assert!(client.response().text().ends_with("data: [DONE]\n\n"));
    assert!(mock.requests().iter().all(|request| request["connection"] == 1));
}

#[test]
fn pipelined_requests_are_answered_in_order() {
    let mock = Mock::start(&["first"]);
    let mut client = mock.connect("first");
    client.post(CHAT, "x-mock: {\"delay_ms\":50,\"body\":\"one\"}\r\n", "{}");
    client.post(CHAT, "x-mock: {\"body\":\"two\"}\r\n", "{}");
    assert_eq!(client.response().text(), "one");
    assert_eq!(client.response().text(), "two");
}

#[test]
fn an_old_client_gets_a_body_that_ends_with_the_connection() {
    let mock = Mock::start(&["first"]);
    let mut client = mock.connect("first");
    client.send(&format!("POST {CHAT} HTTP/1.0\r\nContent-Length: 27\r\n\r\n{STREAM}"));
    let response = client.response();
    assert!(!response.head.contains("chunked"));
    assert!(response.text().ends_with("data: [DONE]\n\n"));
    assert_eq!(mock.requests()[0]["version"], "HTTP/1.0");
}

#[test]
fn a_chunked_body_is_read_after_the_client_was_told_to_continue() {
    let mock = Mock::start(&["first"]);
    let mut client = mock.connect("first");
    client.send(&format!(
        "POST {CHAT} HTTP/1.1\r\nExpect: 100-continue\r\nTransfer-Encoding: chunked\r\n\r\n"
    ));
    assert_eq!(client.head(), "HTTP/1.1 100 Continue\r\n\r\n");
    client.send("8;a=b\r\n{\"model\"\r\n5\r\n:\"z\"}\r\n0\r\nX-Trailer: 1\r\n\r\n");
    assert!(client.response().text().contains(r#""model":"z""#));
    assert_eq!(mock.requests()[0]["body"], r#"{"model":"z"}"#);
}

#[test]
fn a_large_body_is_read_whole() {
    let mock = Mock::start(&["first"]);
    let mut client = mock.connect("first");
    let body = format!(r#"{{"model":"m","messages":"{}"}}"#, "x".repeat(8 << 20));
    client.post(CHAT, "", &body);
    assert_eq!(client.response().status(), 200);
    assert_eq!(mock.requests()[0]["body_bytes"], body.len());
}

#[test]
fn the_header_wins_over_the_script_and_the_script_over_the_model() {
    let mock = Mock::start(&["first"]);
    mock.script(r#"[{"status":500}]"#);
    let mut client = mock.connect("first");
    let body = r#"{"model":"mock-429"}"#;
    client.post(CHAT, "X-Mock: {\"status\":418}\r\n", body);
    assert_eq!(client.response().status(), 418);
    client.post(CHAT, "", body);
    assert_eq!(client.response().status(), 500);
    client.post(CHAT, "", body);
    assert_eq!(client.response().status(), 429);
}

#[test]
fn a_header_nobody_can_read_is_not_implemented() {
    let mock = Mock::start(&["first"]);
    let response = mock.ask(r#"{"statsu":1}"#, "{}").response();
    assert_eq!(response.status(), 501);
    assert!(response.text().contains("statsu"));
}

#[test]
fn every_scripted_chunk_is_sent_as_it_is() {
    let mock = Mock::start(&["first"]);
    let mut client = mock.ask(r#"{"chunks":["data: {","}\r\n\r\n"]}"#, STREAM);
    assert!(client.head().contains("text/event-stream"));
    assert_eq!(client.chunk().unwrap().unwrap(), "data: {");
    assert_eq!(client.chunk().unwrap().unwrap(), "}\r\n\r\n");
    assert_eq!(client.chunk().unwrap(), None);
}

#[test]
fn an_early_answer_does_not_wait_for_the_body() {
    let mock = Mock::start(&["first"]);
    mock.script(r#"[{"status":413,"early":true}]"#);
    let mut client = mock.connect("first");
    client.send(&format!("POST {CHAT} HTTP/1.1\r\nContent-Length: 1000000\r\n\r\n"));
    let response = client.response();
    assert_eq!(response.status(), 413);
    assert!(response.head.contains("connection: close"));
}

#[test]
fn benchmark_mode_answers_alike_and_records_nothing() {
    let mock = Mock::start(&["--fast", "first"]);
    let mut client = mock.connect("first");
    for model in ["a", "b", "a", "mock-429"] {
        client.post(CHAT, "", &format!("{{\"model\":\"{model}\"}}"));
        let response = client.response();
        assert_eq!(response.status(), if model == "mock-429" { 429 } else { 200 });
        assert!(response.text().contains(model));
    }
    client.post(CHAT, "x-mock: {\"words\":9}\r\n", STREAM);
    assert_eq!(client.response().text().matches("\"content\"").count(), 10);
    assert!(mock.requests().is_empty());
    mock.wait_for("requests", 5);
}
