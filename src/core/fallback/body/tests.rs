//! What is read of error bodies, whole and cut.

use proptest::prelude::*;

use super::*;

fn read(body: &str) -> Option<(String, String, String)> {
    error_code(body.as_bytes()).map(|error| (error.code, error.kind, error.message))
}

fn words(code: &str, kind: &str, message: &str) -> Option<(String, String, String)> {
    Some((code.to_owned(), kind.to_owned(), message.to_owned()))
}

#[test]
fn bodies_of_either_dialect_are_read() {
    for (body, expected) in [
        (r#"{"error":{"message":"m","type":"t","param":null,"code":"c"}}"#, words("c", "t", "m")),
        (r#"{"type":"error","error":{"type":"t","message":"m"}}"#, words("", "t", "m")),
        (r#"{"object":"error","message":"m","type":"t","code":404}"#, words("404", "t", "m")),
        (r#"{"error":"m"}"#, words("", "", "m")),
        (r#"{"error":"m","code":"c"}"#, words("c", "", "m")),
        (r#"{"detail":"m"}"#, words("", "", "m")),
        (r#"[{"error":{"code":429,"status":"S"}}]"#, words("429", "S", "")),
        (r#"{"error":{"c\u006fde":"\u0063"}}"#, words("c", "", "")),
        (r#"{"error":{"code":["x"],"type":{}}}"#, None),
        (r#"{"type":"error"}"#, None),
        (r#"{"error":null}"#, None),
        ("{}", None),
        ("[]", None),
        ("", None),
        ("<html>", None),
    ] {
        assert_eq!(read(body), expected, "{body}");
    }
}

#[test]
fn what_stands_before_a_cut_is_kept() {
    let body = r#"{"error":{"code":"c","type":"t","message":"lo"#;
    assert_eq!(read(body), words("c", "t", ""));
}

#[test]
fn long_words_and_messages_are_cut() {
    let body =
        format!(r#"{{"error":{{"code":"{}","message":"{}"}}}}"#, "c".repeat(99), "é".repeat(999));
    let error = error_code(body.as_bytes()).unwrap();
    assert_eq!((error.code.len(), error.message.len()), (64, 512));
    let late = format!(r#"{{"pad":"{}","error":{{"code":"c"}}}}"#, "x".repeat(MAX_BODY_BYTES));
    assert_eq!(error_code(late.as_bytes()), None);
}

proptest! {
    #[test]
    fn any_bytes_are_survived(body in prop::collection::vec(any::<u8>(), 0..200)) {
        let _ = error_code(&body);
    }

    #[test]
    fn any_cut_is_survived(cut in 0usize..120) {
        let body = br#"[{"error":{"code":429,"message":"a \u00e9 \ud83d\ude00","status":"S"},"x":[1,{"y":2}]}]"#;
        if let Some(error) = error_code(&body[..cut.min(body.len())]) {
            prop_assert!(error.code.is_empty() || "429".starts_with(&error.code));
        }
    }
}

#[test]
fn a_text_is_open_until_its_last_bracket() {
    let whole = br#" {"error":{"message":"a \" } b"}}"#;
    for end in 0..whole.len() {
        assert!(is_open(&whole[..end]), "{end}");
    }
    assert!(!is_open(whole));
    assert!(!is_open(b"<html>"));
    assert!(!is_open(b"{]"));
}
