//! Can a test script the listeners, read what they got and end the server?

use std::process::Command;

use crate::harness::{CHAT, Mock};

#[test]
fn every_listener_is_announced() {
    let mock = Mock::start(&["first", "second@127.0.0.1:0"]);
    assert!(mock.lines[0]["control"].is_string());
    assert_eq!(
        (&mock.lines[1]["name"], &mock.lines[2]["name"]),
        (&"first".into(), &"second".into())
    );
    assert_eq!(mock.lines[1]["tls"], false);
    assert_eq!(mock.control("GET", "/health", "").0, 200);
}

#[test]
fn a_script_answers_in_order_and_counts_down() {
    let mock = Mock::start(&["first"]);
    mock.script(
        r#"[{"status":429,"headers":{"Retry-After":"2"}},
            {"json":{"for":"b"},"when":{"model":"b"}},
            {"status":503,"times":2}]"#,
    );
    let mut client = mock.connect("first");
    let mut ask = |model: &str| {
        client.post(CHAT, "", &format!("{{\"model\":\"{model}\"}}"));
        client.response()
    };
    assert!(ask("a").head.contains("\r\nRetry-After: 2\r\n"));
    assert_eq!(ask("a").status(), 503);
    assert_eq!(ask("b").text(), r#"{"for":"b"}"#);
    assert_eq!(mock.control("GET", "/first/state", "").1["script_left"], 1);
    assert_eq!(ask("a").status(), 503);
    assert_eq!(ask("a").status(), 200);
    assert_eq!(mock.control("GET", "/first/state", "").1["script_left"], 0);
}

#[test]
fn records_keep_headers_as_they_came() {
    let mock = Mock::start(&["first"]);
    let mut client = mock.connect("first");
    client.post("/v1/messages?beta=1", "X-Two: b\r\nx-TWO: a\r\n", "{}");
    client.response();
    let request = &mock.requests()[0];
    assert_eq!(
        (&request["method"], &request["path"]),
        (&"POST".into(), &"/v1/messages?beta=1".into())
    );
    assert_eq!(request["headers"][1], serde_json::json!(["X-Two", "b"]));
    assert_eq!(request["headers"][2], serde_json::json!(["x-TWO", "a"]));
    assert_eq!((&request["tls"], &request["sni"]), (&false.into(), &serde_json::Value::Null));
    assert_eq!((&request["body_base64"], &request["ended"]), (&"e30=".into(), &"answered".into()));
}

#[test]
fn forgetting_clears_one_listener_or_all() {
    let mock = Mock::start(&["first", "second"]);
    let count = |name: &str| {
        mock.control("GET", &format!("/{name}/state"), "").1["requests"].as_u64().unwrap()
    };
    let visit = |name: &str| {
        let mut client = mock.connect(name);
        client.post(CHAT, "", "{}");
        client.response();
    };
    visit("first");
    visit("second");
    mock.control("DELETE", "/first", "");
    assert_eq!((count("first"), count("second")), (0, 1));
    visit("first");
    mock.control("DELETE", "/", "");
    assert_eq!((count("first"), count("second")), (0, 0));
}

#[test]
fn open_connections_are_counted() {
    let mock = Mock::start(&["first"]);
    let clients = [mock.connect("first"), mock.connect("first")];
    mock.wait_for("connections_open", 2);
    drop(clients);
    mock.wait_for("connections_open", 0);
    mock.wait_for("connections_total", 2);
}

#[test]
fn the_end_of_input_ends_the_server_although_a_request_hangs() {
    let mut mock = Mock::start(&["first"]);
    let _client = mock.ask(r#"{"fault":"hang"}"#, "{}");
    mock.wait_for("running", 1);
    drop(mock.input.take());
    assert!(mock.child.wait().unwrap().success());
}

#[test]
fn a_signal_ends_the_server() {
    for signal in ["-TERM", "-INT"] {
        let mut mock = Mock::start(&["first"]);
        let id = mock.child.id().to_string();
        assert!(Command::new("kill").args([signal, &id]).status().unwrap().success());
        assert!(mock.child.wait().unwrap().success());
    }
}
