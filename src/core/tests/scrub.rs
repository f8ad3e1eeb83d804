//! Is a key that a provider repeats hidden from the client, however the answer is cut, and is all else
//! as it was?

#![expect(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test fails by panicking")]

use std::borrow::Cow;

use llm_core::auth::Secret;
use llm_core::scrub::{Cover, MIN_BYTES, Mask, Scrubber};
use proptest::prelude::*;

mod wire;

use wire::{Client, cut, events};

const KEY: &str = "sk-proj-0123456789abcdef";

fn mask(secrets: &[&str]) -> Mask {
    let secrets: Vec<_> = secrets.iter().map(|text| Secret::new(text).unwrap()).collect();
    Mask::new(&secrets).unwrap()
}

/// What a client receives of a body that comes in pieces, and how much was covered.
fn received(mask: &Mask, pieces: &[&[u8]]) -> (Vec<u8>, u64) {
    let (mut scrubber, mut client) = (Scrubber::new(mask, Cover::Short), Client::default());
    for piece in pieces {
        client.next_chunk(piece);
        scrubber.feed(piece, &mut client);
    }
    scrubber.finish(&mut client);
    (client.received, scrubber.hits())
}

fn scrubbed(secrets: &[&str], text: &str) -> String {
    let (bytes, _) = received(&mask(secrets), &[text.as_bytes()]);
    String::from_utf8(bytes).unwrap()
}

#[test]
fn a_repeated_key_is_covered() {
    let text = format!("{{\"error\":{{\"message\":\"Incorrect API key provided: {KEY}.\"}}}}");
    let covered = "{\"error\":{\"message\":\"Incorrect API key provided: ***.\"}}";
    assert_eq!(scrubbed(&[KEY], &text), covered);
    assert_eq!(scrubbed(&["another-secret", KEY], &text), covered);
    assert_eq!(scrubbed(&["another-secret"], &text), text);
}

#[test]
fn an_answer_without_a_key_passes_without_a_copy() {
    let (mut scrubber, mut client) =
        (Scrubber::new(&mask(&[KEY]), Cover::Short), Client::default());
    let chunk = b"sk-pro, sk-proj-0, and so on";
    client.next_chunk(chunk);
    scrubber.feed(chunk, &mut client);
    assert_eq!(client.received, chunk);
    assert_eq!(scrubber.hits(), 0);
}

#[test]
fn a_key_is_found_in_its_escaped_forms() {
    let key = "k/e+y\"with\\all=";
    for form in [
        "k/e+y\"with\\all=",
        "k/e+y\\\"with\\\\all=",
        "k\\/e+y\\\"with\\\\all=",
        "k%2Fe%2By%22with%5Call%3D",
        "k%2fe%2by%22with%5call%3d",
    ] {
        assert_eq!(scrubbed(&[key], &format!("<{form}>")), "<***>", "{form}");
    }
}

#[test]
fn of_two_keys_that_begin_alike_the_longer_is_covered() {
    assert_eq!(scrubbed(&["abcdefgh", "abcdefghij"], "-abcdefghij-abcdefghi-"), "-***-***i-");
    let (mut scrubber, mut client) =
        (Scrubber::new(&mask(&["abcdefgh", "abcdefghij"]), Cover::Short), Client::default());
    client.next_chunk(b"-abcdefgh");
    scrubber.feed(b"-abcdefgh", &mut client);
    assert_eq!(client.received, b"-");
    scrubber.finish(&mut client);
    assert_eq!(client.received, b"-***");
}

#[test]
fn all_secrets_are_covered_however_many_begin_differently() {
    for count in [1, 64, 65, 128, 129, 300] {
        let secrets: Vec<String> = (0..count).map(|n| format!("{n:04}-secret")).collect();
        let beginnings: String = (0..count).map(|n| format!("{n:04}-secre.")).collect();
        let secrets: Vec<&str> = secrets.iter().map(String::as_str).collect();
        assert_eq!(scrubbed(&secrets, &beginnings), beginnings, "{count}");
        let text = secrets.join(" ");
        assert_eq!(scrubbed(&secrets, &text), vec!["***"; count].join(" "), "{count}");
    }
}

#[test]
fn short_secrets_are_not_looked_for() {
    assert_eq!(MIN_BYTES, 8);
    assert!(mask(&["1234567"]).is_empty());
    assert_eq!(scrubbed(&["1234567"], "1234567"), "1234567");
    assert_eq!(scrubbed(&["1234567", "12345678"], "1234567 12345678"), "1234567 ***");
}

#[test]
fn what_covers_a_secret_does_not_form_another() {
    let secrets = ["abcdefgh", "***-tail"];
    assert_eq!(scrubbed(&secrets, "abcdefgh-tail"), " *** -tail");
}

#[test]
fn header_values_are_covered_as_a_whole() {
    let mask = mask(&[KEY]);
    assert_eq!(mask.cover(b"org-1"), None);
    let value = format!("Bearer realm=\"{KEY}\", {KEY}");
    assert_eq!(mask.cover(value.as_bytes()).unwrap(), b"Bearer realm=\"***\", ***");
}

#[test]
fn an_event_never_waits_for_the_next() {
    let (mut scrubber, mut client) =
        (Scrubber::new(&mask(&[KEY]), Cover::Short), Client::default());
    let event =
        format!("event: error\ndata: {{\"message\":\"bad key {KEY}\",\"more\":\"sk-proj\"}}\n\n");
    for piece in event.as_bytes().chunks(5) {
        client.next_chunk(piece);
        scrubber.feed(piece, &mut client);
    }
    let data = "{\\\"message\\\":\\\"bad key ***\\\",\\\"more\\\":\\\"sk-proj\\\"}";
    assert_eq!(events(&client.received), [("error".to_owned(), data.to_owned())]);
}

#[test]
fn no_debug_text_shows_a_secret() {
    let mask = mask(&[KEY]);
    let mut scrubber = Scrubber::new(&mask, Cover::Short);
    scrubber.feed(b"sk-proj-0123", &mut ());
    assert!(!format!("{mask:?} {scrubber:?}").contains("0123"));
}

/// The leftmost secret, of several there the longest, becomes stars; straight from that sentence.
fn reference(secrets: &[String], text: &[u8]) -> Vec<u8> {
    let mut covered = Vec::new();
    let mut rest = text;
    while !rest.is_empty() {
        let here = secrets.iter().filter(|secret| rest.starts_with(secret.as_bytes()));
        match here.map(String::len).max() {
            Some(length) => {
                covered.extend_from_slice(b"***");
                rest = &rest[length..];
            }
            None => {
                covered.push(rest[0]);
                rest = &rest[1..];
            }
        }
    }
    covered
}

/// Few letters, so that secrets overlap; and some that begin with another.
fn secrets() -> impl Strategy<Value = Vec<String>> {
    let secrets = prop::collection::vec("[ab]{8,12}|[abc]{8,20}|sk-[0-9a-f]{8}", 1..5);
    (secrets, "[ab]{0,9}", "[ab]{0,9}").prop_map(|(mut secrets, more, before)| {
        secrets.push(format!("{}{more}", secrets[0]));
        secrets.push(format!("{before}{}", secrets[0]));
        secrets
    })
}

/// Secrets, beginnings of secrets, and other text, in any order.
fn text(secrets: &[String]) -> impl Strategy<Value = Vec<u8>> + use<> {
    let secrets = secrets.to_vec();
    let piece = (any::<prop::sample::Index>(), 0..30usize, "[abc\n\u{e9}-]{0,6}");
    let pieces = prop::collection::vec(piece, 0..12);
    pieces.prop_map(move |pieces| {
        let mut text = String::new();
        for (which, length, other) in pieces {
            let secret = which.get(&secrets);
            text.push_str(&secret[..length.min(secret.len())]);
            text.push_str(&other);
        }
        text.into_bytes()
    })
}

fn case() -> impl Strategy<Value = (Vec<String>, Vec<u8>, Vec<prop::sample::Index>)> {
    let cuts = prop::collection::vec(any::<prop::sample::Index>(), 0..8);
    (secrets(), cuts).prop_flat_map(|(secrets, cuts)| {
        let text = text(&secrets);
        (Just(secrets), text, Just(cuts))
    })
}

proptest! {
    #[test]
    fn secrets_are_covered_and_nothing_else_wherever_the_answer_is_cut((secrets, text, cuts) in case()) {
        let names: Vec<_> = secrets.iter().map(String::as_str).collect();
        let mask = mask(&names);
        let expected = reference(&secrets, &text);
        let mut cuts: Vec<_> = cuts.iter().map(|cut| cut.index(text.len() + 1)).collect();
        cuts.sort_unstable();
        let (got, hits) = received(&mask, &cut(&text, cuts));
        prop_assert_eq!(got.escape_ascii().to_string(), expected.escape_ascii().to_string());
        for secret in &secrets {
            prop_assert!(memchr::memmem::find(&got, secret.as_bytes()).is_none());
        }
        prop_assert_eq!(hits == 0, got == text);
        prop_assert_eq!(mask.cover(&text).unwrap_or_else(|| text.clone()), expected);
    }

    #[test]
    fn secrets_are_covered_byte_by_byte((secrets, text, _) in case()) {
        let names: Vec<_> = secrets.iter().map(String::as_str).collect();
        let longest = names.iter().map(|name| name.len()).max().unwrap();
        let (mut scrubber, mut client) = (Scrubber::new(&mask(&names), Cover::Short), Client::default());
        for (at, piece) in text.chunks(1).enumerate() {
            client.next_chunk(piece);
            scrubber.feed(piece, &mut client);
            // What was covered is shorter, so only an answer without secrets can be measured.
            if scrubber.hits() == 0 {
                prop_assert!(at + 1 - client.received.len() < longest);
            }
        }
        scrubber.finish(&mut client);
        prop_assert_eq!(client.received, reference(&secrets, &text));
    }

    #[test]
    fn any_secret_is_covered_in_any_text(
        secret in "[!-~]{8,40}",
        before in "[ -~]{0,20}",
        behind in "[ -~]{0,20}",
    ) {
        let mask = mask(&[&secret]);
        let json = serde_json::Value::from(secret.as_str()).to_string();
        for shown in [secret.as_str(), &json] {
            let text = format!("{before}{shown}{behind}");
            let (got, hits) = received(&mask, &[text.as_bytes()]);
            prop_assert!(hits > 0);
            prop_assert!(memchr::memmem::find(&got, secret.as_bytes()).is_none());
            prop_assert!(memchr::memmem::find(&got, json.trim_matches('"').as_bytes()).is_none());
        }
    }
}

#[test]
fn an_answer_that_told_its_length_keeps_it() {
    let mut scrubber = Scrubber::new(&mask(&[KEY]), Cover::SameLength);
    let text = format!("bad key {KEY}, {KEY}.");
    let stars = "*".repeat(KEY.len());
    let cleaned = scrubber.clean(text.as_bytes(), true);
    assert_eq!(*cleaned, *format!("bad key {stars}, {stars}.").as_bytes());
    assert_eq!(cleaned.len(), text.len());
}

#[test]
fn a_very_long_key_is_covered_in_its_whole_length() {
    let key = "a".repeat(1000);
    let mut scrubber = Scrubber::new(&mask(&[&key]), Cover::SameLength);
    assert_eq!(*scrubber.clean(key.as_bytes(), true), *"*".repeat(1000).as_bytes());
}

#[test]
fn what_goes_on_unchanged_is_not_copied() {
    let mut scrubber = Scrubber::new(&mask(&[KEY]), Cover::Short);
    assert!(matches!(
        scrubber.clean(b"nothing here, sk-pr", false),
        Cow::Borrowed(b"nothing here, ")
    ));
    assert!(matches!(scrubber.clean(b"udent", true), Cow::Owned(text) if text == b"sk-prudent"));
}

proptest! {
    #[test]
    fn cleaned_pieces_are_those_that_a_sink_gets(
        words in proptest::collection::vec("(sk-proj-0123456789abcdef|sk-proj|-|x){0,8}", 1..6),
    ) {
        let mask = mask(&[KEY]);
        let pieces: Vec<_> = words.iter().map(String::as_bytes).collect();
        let (received, _) = received(&mask, &pieces);
        let mut scrubber = Scrubber::new(&mask, Cover::Short);
        let last = pieces.len() - 1;
        let cleaned: Vec<_> = pieces
            .iter()
            .enumerate()
            .flat_map(|(index, piece)| scrubber.clean(piece, index == last).into_owned())
            .collect();
        prop_assert_eq!(cleaned, received);
    }
}
