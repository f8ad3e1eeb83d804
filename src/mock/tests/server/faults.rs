//! Does each fault look on the wire as it is described?

use std::io::{ErrorKind, Read};

use crate::harness::{CHAT, Client, Mock, STREAM};

fn first() -> Mock {
    Mock::start(&["first"])
}

fn ended(mock: &Mock) -> String {
    mock.requests()[0]["ended"].as_str().unwrap().to_owned()
}

/// Reads the head and as many events as expected.
fn events(client: &mut Client, count: usize) {
    client.head();
    for _ in 0..count {
        assert!(client.chunk().unwrap().unwrap().ends_with("\n\n"));
    }
}

#[test]
fn reset_is_a_reset_before_the_head() {
    let mock = first();
    let mut client = mock.ask(r#"{"fault":"reset"}"#, "{}");
    assert_eq!(client.rest().unwrap_err().kind(), ErrorKind::ConnectionReset);
    assert_eq!(ended(&mock), "fault");
}

#[test]
fn close_is_an_orderly_end_before_the_head() {
    let mock = first();
    let mut client = mock.ask(r#"{"fault":"close"}"#, "{}");
    assert!(client.rest().unwrap().is_empty());
    assert_eq!(ended(&mock), "fault");
}

#[test]
fn close_is_orderly_although_the_body_was_not_read() {
    let mock = first();
    let mut client = mock.connect("first");
    let body = "x".repeat(100_000);
    client.post(CHAT, "x-mock: {\"fault\":\"close\",\"early\":true}\r\n", &body);
    assert!(client.rest().unwrap().is_empty());
    assert_eq!(mock.requests()[0]["body_bytes"], 0);
}

#[test]
fn hang_lasts_until_the_client_leaves() {
    let mock = first();
    let client = mock.ask(r#"{"fault":"hang"}"#, "{}");
    mock.wait_for("running", 1);
    assert_eq!(ended(&mock), "running");
    drop(client);
    mock.wait_for("client_closed", 1);
    assert_eq!(ended(&mock), "client_closed");
}

#[test]
fn stall_is_silent_after_its_events() {
    let mock = first();
    let mut client = mock.ask(r#"{"fault":"stall","after":2}"#, STREAM);
    events(&mut client, 2);
    client.input.get_ref().set_nonblocking(true).unwrap();
    assert_eq!(client.rest().unwrap_err().kind(), ErrorKind::WouldBlock);
    assert_eq!(ended(&mock), "running");
    drop(client);
    mock.wait_for("client_closed", 1);
}

#[test]
fn cut_leaves_the_final_chunk_out() {
    let mock = first();
    let mut client = mock.ask(r#"{"fault":"cut","after":40}"#, STREAM);
    events(&mut client, 40);
    assert!(client.rest().unwrap().is_empty());
    assert_eq!(ended(&mock), "fault");
}

#[test]
fn cut_of_a_plain_answer_sends_half_of_its_body() {
    let mock = first();
    let mut client = mock.ask(r#"{"fault":"cut"}"#, "{}");
    let head = client.head();
    let length: usize = head
        .split("content-length: ")
        .nth(1)
        .unwrap()
        .split("\r\n")
        .next()
        .unwrap()
        .parse()
        .unwrap();
    assert_eq!(client.rest().unwrap().len(), length / 2);
}

#[test]
fn cut_is_a_reset_where_an_end_would_look_clean() {
    let mock = first();
    let mut client = mock.ask(r#"{"fault":"cut","framing":"close"}"#, STREAM);
    assert!(client.head().contains("connection: close"));
    assert_eq!(client.rest().unwrap_err().kind(), ErrorKind::ConnectionReset);
}

#[test]
fn malformed_event_stands_where_it_was_asked_for() {
    let mock = first();
    let mut client = mock.ask(r#"{"fault":"malformed","after":1}"#, STREAM);
    events(&mut client, 1);
    assert_eq!(client.chunk().unwrap().unwrap(), "data: {\"malformed\":\n\n");
}

#[test]
fn endings_without_marker_are_clean() {
    let mock = first();
    let no_done = mock.ask(r#"{"fault":"no_done"}"#, STREAM).response().text();
    assert!(no_done.contains("\"stop\"") && !no_done.contains("[DONE]"));
    let no_finish = mock.ask(r#"{"fault":"no_finish"}"#, STREAM).response().text();
    assert!(!no_finish.contains("\"stop\"") && !no_finish.contains("[DONE]"));
    assert_eq!(ended(&mock), "answered");
}

#[test]
fn error_events_end_a_stream_that_began_well() {
    let mock = first();
    let first = mock.ask(r#"{"fault":"error_first"}"#, STREAM).response();
    assert_eq!(first.status(), 200);
    assert!(first.text().starts_with("data: {\"error\""));
    let second = mock.ask(r#"{"fault":"error_event","after":1}"#, STREAM).response().text();
    assert_eq!(second.matches("data: ").count(), 2);
    assert!(second.contains("data: {\"error\""));
}

#[test]
fn short_length_promises_more_than_it_sends() {
    let mock = first();
    let mut client = mock.ask(r#"{"fault":"short_length","body":"abc"}"#, "{}");
    assert!(client.head().contains("content-length: 103\r\n"));
    assert_eq!(client.rest().unwrap(), b"abc");
    assert_eq!(ended(&mock), "fault");
}

#[test]
fn short_length_of_a_stream_sends_every_event() {
    let mock = first();
    let mut client = mock.ask(r#"{"fault":"short_length"}"#, STREAM);
    client.head();
    assert!(client.rest().unwrap().ends_with(b"data: [DONE]\n\n"));
}

#[test]
fn trickle_sends_its_head_in_pieces() {
    let mock = first();
    let mut client = mock.ask(r#"{"fault":"trickle","pace_ms":5,"body":"abc"}"#, "{}");
    let mut bytes = [0; 4096];
    let length = client.input.get_mut().read(&mut bytes).unwrap();
    assert!(!bytes[..length].ends_with(b"abc"), "the head came at once");
    assert!(client.response().text().ends_with("abc"));
    assert_eq!(ended(&mock), "answered");
}

#[test]
fn endless_line_has_the_size_asked_for() {
    let mock = first();
    for body in ["{}", STREAM] {
        let answer = r#"{"fault":"endless_line","size":100000}"#;
        let response = mock.ask(answer, body).response();
        assert!(response.head.contains("text/event-stream"));
        assert_eq!(response.body.len(), "data: ".len() + 100_000);
        assert!(!response.body.contains(&b'\n'));
    }
}

#[test]
fn endless_line_without_a_size_goes_on_until_the_client_leaves() {
    let mock = first();
    let mut client = mock.ask(r#"{"fault":"endless_line"}"#, STREAM);
    client.head();
    let mut bytes = vec![0; 1 << 20];
    client.input.read_exact(&mut bytes).unwrap();
    drop(client);
    mock.wait_for("client_closed", 1);
}

#[test]
fn big_head_has_sixteen_kilobytes() {
    let mock = first();
    let response = mock.ask(r#"{"fault":"big_head"}"#, "{}").response();
    assert!(response.head.len() > 16 * 1024);
    assert_eq!(response.status(), 200);
}

#[test]
fn a_client_that_leaves_during_a_pause_is_noticed() {
    for pause in ["delay_ms", "first_ms", "pace_ms"] {
        let mock = first();
        let client = mock.ask(&format!("{{\"{pause}\":3600000}}"), STREAM);
        mock.wait_for("running", 1);
        drop(client);
        mock.wait_for("client_closed", 1);
        assert_eq!(ended(&mock), "client_closed");
    }
}

#[test]
fn a_client_that_leaves_within_its_body_is_recorded() {
    let mock = first();
    let mut client = mock.connect("first");
    client.send(&format!("POST {CHAT} HTTP/1.1\r\nContent-Length: 10\r\n\r\nabc"));
    mock.wait_for("running", 1);
    drop(client);
    mock.wait_for("client_closed", 1);
    assert_eq!(mock.requests()[0]["body"], "abc");
}
