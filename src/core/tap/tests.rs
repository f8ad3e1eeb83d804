//! What an answer tells in passing, and what it does not.

use super::*;

fn read(text: &str) -> JsonTap {
    let mut tap = JsonTap::new(Dialect::OpenAi, None);
    tap.feed(text.as_bytes(), &mut ());
    tap
}

#[test]
fn a_usage_that_is_too_large_is_not_kept() {
    let usage = |filler: usize| {
        format!(r#"{{"usage":{{"prompt_tokens":1,"x":"{}"}},"model":"m"}}"#, "x".repeat(filler))
    };
    assert!(read(&usage(MAX_CAPTURE_BYTES - 100)).usage().is_some());
    let tap = read(&usage(MAX_CAPTURE_BYTES));
    assert_eq!(tap.usage(), None);
    assert!(tap.is_whole());
}

#[test]
fn only_the_answer_itself_tells() {
    let tap = read(r#"{"choices":[{"usage":{"prompt_tokens":1},"error":{"code":1}}],"x":"}"}"#);
    assert_eq!(tap.usage(), None);
    assert!(!tap.has_error());
    assert!(tap.is_whole());
}

#[test]
fn what_stands_for_no_error_is_none() {
    for value in ["null", "false", "{}", r#""""#] {
        assert!(!read(&format!(r#"{{"error":{value}}}"#)).has_error(), "{value}");
    }
    for value in ["true", "1", r#"{"code":1}"#, r#""no""#] {
        assert!(read(&format!(r#"{{"error":{value}}}"#)).has_error(), "{value}");
    }
}

#[test]
fn the_last_usage_wins() {
    let tap = read(r#"{"usage":{"prompt_tokens":1},"usage":{"prompt_tokens":2},"usage":null}"#);
    assert_eq!(tap.usage().and_then(|usage| usage.prompt_tokens()), Some(2));
}

#[test]
fn deep_nesting_only_counts() {
    let text = format!("{{\"a\":{}{}}}", "[".repeat(100_000), "]".repeat(100_000));
    assert!(read(&text).is_whole());
}
