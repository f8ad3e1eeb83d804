//! The exact bytes clients read, and that nothing of theirs comes back unescaped or at length.

use proptest::prelude::*;

use super::*;

fn text(bytes: Vec<u8>) -> String {
    String::from_utf8(bytes).unwrap()
}

#[test]
fn openai_clients_read_openais_shape() {
    let rejection = Rejection::model_required();
    assert_eq!(
        text(rejection.body(Dialect::OpenAi, "abc")),
        r#"{"error":{"message":"The request names no model. Add a \"model\" field with a model's name.","type":"invalid_request_error","param":"model","code":"model_required"},"request_id":"abc"}"#
    );
}

#[test]
fn anthropic_clients_read_anthropics_shape() {
    let rejection = Rejection::model_not_found("gpt-9");
    assert_eq!(
        text(rejection.body(Dialect::Anthropic, "abc")),
        r#"{"type":"error","error":{"type":"not_found_error","message":"The model \"gpt-9\" is not served here. Ask for one of the models this gateway lists."},"request_id":"abc"}"#
    );
}

#[test]
fn a_stream_ends_with_an_event_of_its_dialect() {
    let rejection = Rejection::provider_bad_response();
    let openai = text(rejection.sse_event(Dialect::OpenAi, "id"));
    assert!(openai.starts_with("data: {\"error\":{\"message\":"), "{openai}");
    let anthropic = text(rejection.sse_event(Dialect::Anthropic, "id"));
    assert!(anthropic.starts_with("event: error\ndata: {\"type\":\"error\",\"error\":{\"type\":"));
    for event in [openai, anthropic] {
        assert!(event.ends_with("}\n\n"));
        let data = event.lines().find_map(|line| line.strip_prefix("data: ")).unwrap();
        assert!(serde_json::from_str::<Value>(data).is_ok());
    }
}

#[test]
fn each_status_has_the_word_of_each_dialect() {
    for (status, openai, anthropic) in [
        (400, "invalid_request_error", "invalid_request_error"),
        (401, "authentication_error", "authentication_error"),
        (402, "insufficient_quota", "billing_error"),
        (403, "permission_error", "permission_error"),
        (404, "invalid_request_error", "not_found_error"),
        (413, "invalid_request_error", "request_too_large"),
        (415, "invalid_request_error", "invalid_request_error"),
        (429, "rate_limit_error", "rate_limit_error"),
        (500, "server_error", "api_error"),
        (502, "server_error", "api_error"),
        (503, "server_error", "overloaded_error"),
        (504, "server_error", "timeout_error"),
    ] {
        let rejection = Rejection::from_status(status);
        assert_eq!(rejection.kind(Dialect::OpenAi), openai, "{status}");
        assert_eq!(rejection.kind(Dialect::Anthropic), anthropic, "{status}");
    }
}

#[test]
fn each_refusal_has_its_status_and_code() {
    let openai = Dialect::OpenAi;
    for (rejection, status, code, param) in [
        (Rejection::model_not_found("m"), 404, "model_not_found", Some("model")),
        (Rejection::model_required(), 400, "model_required", Some("model")),
        (Rejection::provider_not_allowed("p", None), 400, "provider_not_allowed", Some("provider")),
        (Rejection::invalid_json("x"), 400, "invalid_json", None),
        (Rejection::unsupported_media_type("text/plain"), 415, "unsupported_media_type", None),
        (Rejection::unsupported_media_type(""), 415, "unsupported_media_type", None),
        (Rejection::request_too_large(5), 413, "request_too_large", None),
        (Rejection::duplicate_key("model"), 400, "duplicate_key", Some("model")),
        (Rejection::invalid_type("provider"), 400, "invalid_type", Some("provider")),
        (Rejection::other_models(), 400, "unsupported_parameter", Some("models")),
        (Rejection::invalid_model_name(), 400, "invalid_model_name", Some("model")),
        (Rejection::subrequest(), 403, "subrequest_forbidden", None),
        (Rejection::dialect_required(), 400, "dialect_required", Some("dialect")),
        (Rejection::unknown_dialect("x"), 400, "unknown_dialect", Some("dialect")),
        (Rejection::context_too_large(9, 5), 400, "context_length_exceeded", None),
        (Rejection::provider_unreachable(), 502, "provider_unreachable", None),
        (Rejection::provider_timeout(), 504, "provider_timeout", None),
        (Rejection::provider_bad_response(), 502, "provider_bad_response", None),
        (Rejection::internal(), 500, "internal_error", None),
        (
            Rejection::translation_unavailable("p", Dialect::Anthropic, openai),
            400,
            "translation_unavailable",
            None,
        ),
    ] {
        assert_eq!((rejection.status, rejection.code), (status, code));
        assert_eq!(rejection.param, param, "{code}");
        assert!(rejection.message.ends_with('.'), "{}", rejection.message);
    }
}

#[test]
fn messages_name_what_to_change() {
    let message = Rejection::request_too_large(65_536).message;
    assert!(message.contains("llm_proxy_max_body_size") && message.contains("65536"));
    let message =
        Rejection::translation_unavailable("claude", Dialect::Anthropic, Dialect::OpenAi).message;
    for word in ["\"claude\"", "anthropic", "openai"] {
        assert!(message.contains(word), "{message}");
    }
}

#[test]
fn any_status_of_nginx_becomes_an_error_of_ours() {
    for status in 400..=599 {
        let rejection = Rejection::from_status(status);
        let sent = if (494..=497).contains(&status) { 400 } else { status };
        assert_eq!(rejection.status, sent);
        assert!(!rejection.code.is_empty() && !rejection.message.is_empty());
    }
    assert_eq!(Rejection::from_status(405).code, "method_not_allowed");
    assert_eq!(Rejection::from_status(494).code, "request_header_too_large");
    assert_eq!(Rejection::from_status(502).code, "provider_unreachable");
}

#[test]
fn client_text_comes_back_escaped_and_cut() {
    assert_eq!(quoted("gpt-4o"), "gpt-4o");
    assert_eq!(quoted("a\r\nb\0c\u{7f}\u{85}"), "a\\r\\nb\\u{0}c\\u{7f}\\u{85}");
    let long = "漢".repeat(100);
    let cut = quoted(&long);
    assert!(cut.ends_with('…') && cut.len() <= MAX_ECHO_BYTES + '…'.len_utf8());
    assert_eq!(quoted(&"x".repeat(MAX_ECHO_BYTES)).len(), MAX_ECHO_BYTES);
}

proptest! {
    #[test]
    fn no_client_text_breaks_the_answer(client in ".*|[\u{0}-\u{ff}]{0,300}") {
        for rejection in [
            Rejection::model_not_found(&client),
            Rejection::provider_not_allowed(&client, Some(&client)),
            Rejection::unsupported_media_type(&client),
            Rejection::unknown_dialect(&client),
        ] {
            prop_assert!(!rejection.message.contains(char::is_control));
            prop_assert!(rejection.message.len() < 600);
            for dialect in [Dialect::OpenAi, Dialect::Anthropic] {
                let body = rejection.body(dialect, "id");
                prop_assert!(serde_json::from_slice::<Value>(&body).is_ok());
                let event = text(rejection.sse_event(dialect, "id"));
                prop_assert_eq!(event.matches("\n\n").count(), 1);
            }
        }
    }
}
