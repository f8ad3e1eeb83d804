//! How do tables look? The same in every command.

use comfy_table::{ContentArrangement, Table, presets};

/// A table with a header.
pub fn new(header: &[&str]) -> Table {
    let mut table = Table::new();
    table.load_style(presets::NOTHING).set_content_arrangement(ContentArrangement::Disabled);
    table.set_header(header.iter().map(|word| word.to_uppercase()));
    table
}
