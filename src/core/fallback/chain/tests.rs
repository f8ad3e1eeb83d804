//! What the line looks like, whatever the names are.

use proptest::prelude::*;

use super::*;

#[test]
fn each_target_has_its_end() {
    let mut chain = Chain::default();
    assert_eq!(chain.text(), "");
    chain.attempt("deepseek", Some("deepseek-v4-pro"), Told::Status(429), 212);
    chain.skipped("azure", Some("gpt-4o"), SkipReason::Benched);
    chain.attempt("one", None, Told::Class(FailureClass::ConnectError), 0);
    chain.attempt("mimo", Some("mimo-v2.5-pro"), Told::Status(200), 840);
    assert_eq!(
        chain.text(),
        "deepseek/deepseek-v4-pro:429:212ms, azure/gpt-4o:skipped(benched), \
         one:connect_error:0ms, mimo/mimo-v2.5-pro:200:840ms"
    );
}

#[test]
fn names_cannot_be_taken_for_anything_else() {
    let mut chain = Chain::default();
    chain.attempt("a", Some("m,\r\nX: y é%"), Told::SemanticError, 1);
    chain.skipped("b", Some("llama3:8b"), SkipReason::Budget);
    assert_eq!(
        chain.text(),
        "a/m%2C%0D%0AX:%20y%20%C3%A9%25:semantic_error:1ms, b/llama3:8b:skipped(budget)"
    );
}

#[test]
fn a_long_chain_is_cut_behind_a_whole_target() {
    let mut chain = Chain::default();
    for _ in 0..1000 {
        chain.attempt("provider", Some("model"), Told::Status(500), 10);
    }
    assert!(chain.text().len() <= MAX_BYTES);
    assert!(chain.text().ends_with("provider/model:500:10ms, ..."));
}

proptest! {
    #[test]
    fn the_line_is_visible_ascii_and_bounded(
        names in prop::collection::vec((".{0,30}", prop::option::of(".{0,400}")), 0..30),
    ) {
        let mut chain = Chain::default();
        for (provider, model) in &names {
            chain.attempt(provider, model.as_deref(), Told::Status(500), u64::MAX);
            chain.skipped(provider, model.as_deref(), SkipReason::Translation);
        }
        prop_assert!(chain.text().bytes().all(|byte| byte.is_ascii_graphic() || byte == b' '));
        prop_assert!(chain.text().len() <= MAX_BYTES);
        if !chain.is_cut && !names.is_empty() {
            prop_assert_eq!(chain.text().split(", ").count(), names.len() * 2);
        }
    }
}
