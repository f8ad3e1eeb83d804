//! What the scanner takes for JSON, and what it says about the places of values.

use proptest::prelude::*;

use super::*;

fn whole(text: &str) -> Result<Value, JsonError> {
    let mut scanner = Scanner::new(text.as_bytes());
    let value = scanner.value()?;
    scanner.end()?;
    Ok(value)
}

#[test]
fn values_of_every_kind_are_stepped_over() {
    for text in
        ["{}", "[]", r#"{"a":[1,{"b":null}],"c":"x\"y"}"#, "-1.5e+3", "\"\\u00e9\"", " true "]
    {
        assert!(whole(text).is_ok(), "{text}");
    }
}

#[test]
fn broken_texts_are_refused() {
    for text in [
        "{",
        "[1,]",
        "{\"a\"}",
        "{\"a\":1,}",
        "01",
        "1.",
        "\"\\x\"",
        "\"a\nb\"",
        "tru",
        "nul1",
        "[1 2]",
        "{}{}",
        "{\"a\":1]",
    ] {
        assert!(whole(text).is_err(), "{text}");
    }
}

#[test]
fn nesting_beyond_the_limit_is_too_deep() {
    let text = "[".repeat(MAX_DEPTH + 1);
    assert_eq!(whole(&text), Err(JsonError::TooDeep));
    let text = format!("{}{}", "[".repeat(MAX_DEPTH), "]".repeat(MAX_DEPTH));
    assert!(whole(&text).is_ok());
}

#[test]
fn escaped_keys_are_compared_by_meaning() {
    let mut scanner = Scanner::new(br#"{"mod\u0065l":1}"#);
    let mut members = scanner.enter_object().unwrap();
    assert!(scanner.next_key(&mut members).unwrap().unwrap().is("model"));
}

#[test]
fn special_bytes_are_found_at_every_offset() {
    for length in 0..200 {
        for at in 0..length {
            for byte in [b'"', b'\\', 0x1f, b'\n'] {
                let mut text = vec![b'x'; length];
                text[at] = byte;
                text.iter_mut().skip(at + 1).for_each(|b| *b = 0x80 | byte);
                for from in [0, at / 2, at] {
                    let mut scanner = Scanner::new(&text);
                    assert_eq!(scanner.special(from), at);
                    assert_eq!(scanner.special(at + 1), length);
                }
            }
        }
    }
}

#[test]
fn members_say_where_they_and_their_commas_stand() {
    let text = br#"{ "a" : 1 ,  "b":[2 ,3]}"#;
    let mut scanner = Scanner::new(text);
    let mut members = scanner.enter_object().unwrap();
    scanner.next_key(&mut members).unwrap();
    assert_eq!((members.start(), members.comma()), (2, None));
    scanner.value().unwrap();
    scanner.next_key(&mut members).unwrap();
    assert_eq!((members.start(), members.comma()), (13, Some(10)));
    let mut items = scanner.enter_array().unwrap();
    assert!(scanner.next_item(&mut items).unwrap());
    scanner.value().unwrap();
    assert!(scanner.next_item(&mut items).unwrap());
    assert_eq!((items.start(), items.comma()), (21, Some(20)));
}

#[test]
fn white_space_may_stand_between_all_tokens_and_nothing_else_may() {
    let text = " \t{ \r\n\"a\" : [ 1 , { } , [ ] , \"x\" ] , \"b\" : null } \n";
    assert!(whole(text).is_ok());
    for other in ["\u{b}1", "1\u{a0}", "\u{feff}1", "[1,\0]", "// c\n1", "'a'"] {
        assert!(whole(other).is_err(), "{other:?}");
    }
}

#[test]
fn numbers_follow_the_grammar() {
    for good in ["0", "-0", "10", "0.5", "1e9", "1E+9", "1e-9", "123456789012345678901234567890"] {
        assert!(whole(good).is_ok(), "{good}");
    }
    for bad in ["-", "+1", "00", "-01", ".5", "1.e5", "1e", "1e+", "0x1", "NaN", "Infinity", "1_0"]
    {
        assert!(whole(bad).is_err(), "{bad}");
    }
}

#[test]
fn a_text_that_ends_early_is_truncated_wherever_it_ends() {
    let text = r#"{"a":[true,"x\u00e9",{"b":-1.5e+3}],"c":null}"#;
    for end in 0..text.len() {
        let cut = &text[..end];
        assert_eq!(whole(cut), Err(JsonError::Truncated), "{cut}");
    }
}

/// What a walk by bytes says of the string at the start of `text`: the place of its closing quote.
fn string_by_bytes(text: &[u8]) -> Result<usize, JsonError> {
    let mut at = 1;
    loop {
        match text.get(at).ok_or(JsonError::Truncated)? {
            b'"' => return Ok(at),
            b'\\' => {
                at += 1;
                let letter = text.get(at).ok_or(JsonError::Truncated)?;
                let digits = if *letter == b'u' { 4 } else { 0 };
                if !b"\"\\/bfnrtu".contains(letter) {
                    return Err(JsonError::Syntax(at));
                }
                for _ in 0..digits {
                    at += 1;
                    if !text.get(at).ok_or(JsonError::Truncated)?.is_ascii_hexdigit() {
                        return Err(JsonError::Syntax(at));
                    }
                }
                at += 1;
            }
            0..b' ' => return Err(JsonError::Syntax(at)),
            _ => at += 1,
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, cases: 500, ..ProptestConfig::default() })]

    #[test]
    fn strings_end_and_break_where_a_walk_by_bytes_says(
        before in 0..70usize,
        text in r#"([a-dü]{0,9}|(\\["\\/bfnrt]){1,9}|\\u[0-9a-fA-F]{4}|\\\\){0,60}"#,
        wrong in r#"()|()|"|\\[a-z0-9]|\\u[0-9a-g"\\]{0,5}|\\|[\x01\n]"#,
        more in r#"([a-d]|\\n|")\PC{0,80}"#,
    ) {
        let string = format!("\"{text}{wrong}{more}");
        let expected = string_by_bytes(string.as_bytes());
        let padded = format!("{}{string}", " ".repeat(before));
        let found = Scanner::new(padded.as_bytes()).string();
        match (found, expected) {
            (Ok(found), Ok(end)) => {
                prop_assert_eq!(found.raw, &string.as_bytes()[1..end]);
                prop_assert_eq!(found.escaped, found.raw.contains(&b'\\'));
            }
            (Err(JsonError::Syntax(found)), Err(JsonError::Syntax(at))) => {
                prop_assert_eq!(found, at + before);
            }
            (found, expected) => prop_assert_eq!(found.err(), expected.err()),
        }
    }
}
