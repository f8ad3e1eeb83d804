//! The reference page, as Markdown.

use std::fmt::Write as _;

use crate::metrics::{FAMILIES, Label};

use super::{Arity, Directive, Entry, directives, headers, variables};

/// The page that `docs/reference.md` holds.
#[must_use]
pub fn reference() -> String {
    let mut page = String::from(
        "# Reference\n\nMade from `src/core/surface/`; a test fails when the two differ.\n\n\
         Times take `ms s m h d w`, sizes take `k m g`. Lists replace those of the enclosing block.\n\
         A variable whose stage did not run is not found.\n\n## Directives\n",
    );
    for directive in directives() {
        section(&mut page, directive);
    }
    table(&mut page, "Variables", "$", variables());
    table(&mut page, "Response headers", "", headers());
    metrics(&mut page);
    page
}

fn section(page: &mut String, directive: &Directive) {
    let name = directive.name();
    let contexts: Vec<_> = directive.contexts.iter().map(|context| context.name()).collect();
    let blank = if directive.arity == Arity::None { "" } else { " " };
    let default = match directive.default {
        Some(default) => format!("`{name} {default};`"),
        None => "–".to_owned(),
    };
    // Writing to a string cannot fail.
    let _ = write!(
        page,
        "\n### {name}\n\n- Syntax: `{name}{blank}{};`\n- Default: {default}\n- Context: {}\n\n{}\n",
        directive.syntax,
        contexts.join(", "),
        directive.text
    );
}

fn table(
    page: &mut String,
    title: &str,
    sigil: &str,
    entries: impl Iterator<Item = &'static Entry>,
) {
    let _ = write!(page, "\n## {title}\n\n| name | meaning |\n|---|---|\n");
    for entry in entries {
        let _ = writeln!(page, "| `{sigil}{}` | {} |", entry.name, entry.text);
    }
}

fn metrics(page: &mut String) {
    page.push_str(
        "\n## Metrics\n\n`model` and `tenant` are there where `llm_metrics_label_model` and \
         `llm_metrics_label_tenant` are on.\n\n| name | type | labels | meaning |\n|---|---|---|---|\n",
    );
    for family in FAMILIES {
        let labels: Vec<_> = family.labels.iter().copied().map(Label::name).collect();
        let only = family.opted_by.map_or_else(String::new, |by| format!(" Only with `{by}`."));
        let _ = writeln!(
            page,
            "| `{}` | {} | {} | {}{only} |",
            family.name,
            family.kind.name(),
            labels.join(" "),
            family.help
        );
    }
}
