//! Does the page about the program say what the program says?

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod common;

use std::path::Path;

use common::llmctl;

#[test]
fn the_reference_page_is_what_help_says() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/llmctl.md");
    let page = llmctl(&["reference"]).ok();
    if std::env::var_os("UPDATE_REFERENCE").is_some() {
        std::fs::write(&path, &page).unwrap();
    }
    let written = std::fs::read_to_string(&path).unwrap_or_default();
    assert!(
        written == page,
        "docs/llmctl.md is out of date, make it with UPDATE_REFERENCE=1 cargo test -p llmctl --test \
         reference"
    );
    for name in ["## llmctl\n", "### llmctl publish\n", "#### llmctl key issue\n"] {
        assert!(page.contains(name), "{name}");
    }
}
