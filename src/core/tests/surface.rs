//! Does what we say about the surface hold? The reference page is the one made from the rows, and
//! nothing is offered that no test and no example uses.

use std::fs;
use std::path::{Path, PathBuf};

use llm_core::cost::{Backends, JournalLine, TableName, UsageMissing};
use llm_core::fallback::{
    Allowed, ClassSet, Hold, Mode, Policy, TranslationFallback, max_attempts, retry_budget,
};
use llm_core::health::Params;
use llm_core::ratelimit::{Basis, Reserve, Unpriced, time_zone};
use llm_core::surface::{self, Arity, Directive, directives, headers, reference, variables};

fn repository() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

/// The text of all files of a kind in a directory, one after the other. What cannot be read has no
/// text, and the names in it are missed.
fn texts(directory: &str, extension: &str) -> String {
    let Ok(entries) = fs::read_dir(repository().join(directory)) else { return String::new() };
    let paths = entries.flatten().map(|entry| entry.path());
    let paths = paths.filter(|path| path.extension().is_some_and(|found| found == extension));
    paths.flat_map(fs::read_to_string).collect()
}

/// Whether `name` stands in `text` as a whole word; underscores and dashes are parts of words.
fn mentions(text: &str, name: &str) -> bool {
    let part = |c: char| c.is_ascii_alphanumeric() || c == '_' || c == '-';
    text.match_indices(name).any(|(at, _)| {
        let (before, behind) = (&text[..at], &text[at + name.len()..]);
        !before.ends_with(part) && !behind.starts_with(part)
    })
}

#[test]
fn the_reference_page_is_made_from_the_rows() {
    let path = repository().join("docs/reference.md");
    if std::env::var_os("UPDATE_REFERENCE").is_some() {
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(&path, reference()).unwrap();
    }
    let page = fs::read_to_string(&path).unwrap_or_default();
    assert!(
        page == reference(),
        "docs/reference.md is out of date, make it with UPDATE_REFERENCE=1 cargo test -p llm-core \
         --test surface"
    );
}

#[test]
fn each_directive_has_a_test() {
    let tests = texts("t", "t");
    let names = directives().map(|directive| directive.name());
    let untested: Vec<_> = names.filter(|name| !mentions(&tests, name)).collect();
    assert!(untested.is_empty(), "no t/*.t has {untested:?}");
}

#[test]
fn each_variable_is_tested_or_shown() {
    let texts = texts("t", "t") + &texts("nginx-conf", "conf");
    let names = variables().map(|variable| format!("${}", variable.name));
    let unused: Vec<_> = names.filter(|name| !mentions(&texts, name)).collect();
    assert!(unused.is_empty(), "neither t/*.t nor nginx-conf/*.conf has {unused:?}");
}

#[test]
fn each_header_is_tested_or_shown() {
    let texts = (texts("t", "t") + &texts("nginx-conf", "conf")).to_ascii_lowercase();
    let names = headers().map(|header| header.name.to_ascii_lowercase());
    let unused: Vec<_> = names.filter(|name| !mentions(&texts, name)).collect();
    assert!(unused.is_empty(), "neither t/*.t nor nginx-conf/*.conf has {unused:?}");
}

#[test]
fn rows_are_well_formed() {
    let mut names = std::collections::HashSet::new();
    for directive in directives() {
        let name = directive.name();
        assert!(names.insert(name), "{name} twice");
        assert!(name.starts_with("llm_"), "{name}");
        assert!(!directive.contexts.is_empty(), "{name}");
        assert!(directive.text.ends_with('.'), "{name}");
        assert!(directive.arity.max().is_none_or(|max| directive.arity.min() <= max), "{name}");
        assert_eq!(directive.syntax.is_empty(), directive.arity == Arity::None, "{name}");
        if directive.arity == Arity::Switch {
            assert_eq!(directive.syntax, "[on | off]", "{name}");
            assert!(matches!(directive.default, Some("on" | "off")), "{name}");
        }
    }
    // A variable may be called like a directive: `llm_auth_provider` is both.
    let mut names = std::collections::HashSet::new();
    for variable in variables() {
        assert!(names.insert(variable.name) && variable.name.starts_with("llm_"));
    }
}

/// The row's default, as the arguments that could be written.
fn default_of(row: &Directive) -> Vec<&'static str> {
    row.default.unwrap_or_default().split(' ').collect()
}

#[test]
fn what_a_row_says_holds_where_nothing_is_written() {
    let args = default_of;
    let word = |row| default_of(row)[0];
    assert_eq!(Mode::parse(word(&surface::LLM_FALLBACK_MODE)), Ok(Mode::default()));
    assert_eq!(Hold::parse(word(&surface::LLM_FALLBACK_HOLD)), Ok(Hold::default()));
    assert_eq!(ClassSet::parse(&args(&surface::LLM_FALLBACK_ON)), Ok(ClassSet::default()));
    assert_eq!(Params::parse(&args(&surface::LLM_FALLBACK_COOLDOWN)), Ok(Params::default()));
    let most = max_attempts(word(&surface::LLM_FALLBACK_MAX_ATTEMPTS));
    assert_eq!(most, Ok(Policy::MAX_ATTEMPTS));
    assert_eq!(retry_budget(word(&surface::LLM_FALLBACK_RETRY_BUDGET)), Ok(None));
    let allowed = Allowed::parse(&args(&surface::LLM_FALLBACK_REQUEST_HEADERS));
    assert_eq!(allowed, Ok(Allowed::default()));
    let translation = word(&surface::LLM_FALLBACK_TRANSLATION_FALLBACK);
    assert_eq!(TranslationFallback::parse(translation), Ok(TranslationFallback::default()));
    for row in [&surface::LLM_RATELIMIT_MODEL_BASIS, &surface::LLM_RATELIMIT_PROVIDER_BASIS] {
        assert_eq!(Basis::parse(row.name(), word(row)), Ok(Basis::default()));
    }
    let reserve = word(&surface::LLM_RATELIMIT_RESERVE_TOKENS);
    assert_eq!(Reserve::parse(reserve), Ok(Reserve::default()));
    assert_eq!(time_zone(word(&surface::LLM_RATELIMIT_SPEND_TIMEZONE)), Ok(Default::default()));
    assert_eq!(Unpriced::parse(word(&surface::LLM_RATELIMIT_UNPRICED)), Ok(Unpriced::default()));
    assert_eq!(Backends::parse(&args(&surface::LLM_COST_BACKEND)), Ok(Backends::default()));
    assert_eq!(TableName::parse(&args(&surface::LLM_COST_TABLE)), Ok(TableName::default()));
    assert_eq!(JournalLine::parse(&args(&surface::LLM_COST_JOURNAL)), Ok(JournalLine::default()));
    let missing = UsageMissing::parse(&args(&surface::LLM_COST_USAGE_MISSING));
    assert_eq!(missing, Ok(UsageMissing::default()));
}

#[test]
fn a_name_is_found_as_a_whole_word_only() {
    assert!(mentions("  llm_proxy on;", "llm_proxy"));
    assert!(!mentions("  llm_proxy_route a b;", "llm_proxy"));
    assert!(mentions("log $llm_model;", "$llm_model"));
    assert!(!mentions("log $llm_models;", "$llm_model"));
    assert!(!mentions("a-x-llm-provider", "x-llm-provider"));
}
