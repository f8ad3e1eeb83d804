//! `llmctl reference`: docs/llmctl.md, made of what `--help` says.

use std::fmt::Write as _;

/// A page's width.
const COLUMNS: usize = 100;

/// The page of a program and all of its commands.
pub fn page(program: clap::Command) -> String {
    let mut program = program.term_width(COLUMNS);
    program.build();
    let mut page = String::from(
        "# llmctl\n\nFrom one manifest to a running, reversible gateway. This page is what `llmctl --help` and\n\
         `llmctl <command> --help` say; a test keeps it current.\n",
    );
    section(&mut program, 2, &mut page);
    page
}

fn section(command: &mut clap::Command, level: usize, page: &mut String) {
    let help = command.render_long_help().to_string();
    let name = command.get_bin_name().unwrap_or_else(|| command.get_name()).to_owned();
    // Into a string it cannot fail.
    let _ = writeln!(page, "\n{} {name}\n\n```text", "#".repeat(level));
    for line in help.trim_end().lines() {
        let _ = writeln!(page, "{}", line.trim_end());
    }
    page.push_str("```\n");
    for inner in command.get_subcommands_mut().filter(|inner| !inner.is_hide_set()) {
        section(inner, level + 1, page);
    }
}
