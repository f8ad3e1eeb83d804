//! How does a configuration look? The same tree always gives the same text.

use std::fmt::Write;

use super::{Directive, Item, Origin};

/// Where comments that name the origin begin, when the line leaves room.
const COMMENT_COLUMN: usize = 72;

/// How parts are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Style {
    /// All in one text.
    Whole,
    /// Parts in files of their own, with an `include` in their place.
    Parts,
}

/// The texts: the main one first, then the parts by name.
pub fn print(items: &[Item], style: Style) -> Vec<(String, String)> {
    let mut printer = Printer { style, parts: Vec::new() };
    let mut main = String::new();
    printer.items(items, 0, &mut main);
    let mut files = vec![("nginx.conf".to_owned(), main)];
    files.append(&mut printer.parts);
    files
}

struct Printer {
    style: Style,
    parts: Vec<(String, String)>,
}

impl Printer {
    fn items(&mut self, items: &[Item], depth: usize, out: &mut String) {
        for (at, item) in items.iter().enumerate() {
            match item {
                Item::Note(text) if text.is_empty() => out.push('\n'),
                Item::Note(text) => line(out, depth, &format!("# {text}"), None),
                Item::Directive(directive) => {
                    let blank = at > 0 && directive.block.is_some();
                    if blank && !out.ends_with("\n\n") && !after_note(items, at) {
                        out.push('\n');
                    }
                    self.directive(directive, depth, out);
                }
                Item::Part { items, .. } if self.style == Style::Whole => {
                    self.items(items, depth, out);
                }
                Item::Part { name, items } => {
                    line(out, depth, &format!("include {name};"), None);
                    let mut text = String::new();
                    self.items(items, 0, &mut text);
                    self.parts.push((name.clone(), text));
                }
            }
        }
    }

    fn directive(&mut self, directive: &Directive, depth: usize, out: &mut String) {
        let origin = match &directive.origin {
            Origin::Manifest(path) => Some(path.as_str()),
            Origin::File { .. } | Origin::Ours => None,
        };
        let mut text = quoted(&directive.name);
        if directive.name == "log_format" {
            log_format(directive, depth, &mut text);
        } else {
            for arg in &directive.args {
                text.push(' ');
                text.push_str(&quoted(arg));
            }
        }
        let Some(block) = &directive.block else {
            line(out, depth, &(text + ";"), origin);
            return;
        };
        line(out, depth, &(text.trim_start().to_owned() + " {"), origin);
        self.items(block, depth + 1, out);
        line(out, depth, "}", None);
    }
}

fn after_note(items: &[Item], at: usize) -> bool {
    matches!(at.checked_sub(1).and_then(|before| items.get(before)), Some(Item::Note(_)))
}

fn line(out: &mut String, depth: usize, text: &str, origin: Option<&str>) {
    let start = out.len();
    if !text.is_empty() {
        out.extend(std::iter::repeat_n(' ', depth * 4));
        out.push_str(text);
    }
    if let Some(origin) = origin {
        let last = out.rfind('\n').map_or(0, |at| at + 1).max(start);
        let width = out.len() - last;
        out.extend(std::iter::repeat_n(' ', COMMENT_COLUMN.saturating_sub(width).max(2)));
        let _ = write!(out, "# {origin}");
    }
    out.push('\n');
}

/// One piece on each line: it is long, and people read it.
fn log_format(directive: &Directive, depth: usize, text: &mut String) {
    let mut args = directive.args.iter();
    for arg in args.by_ref().take(2) {
        text.push(' ');
        text.push_str(&quoted(arg));
    }
    for arg in args {
        let _ = write!(text, "\n{}'{arg}'", " ".repeat(depth * 4 + 4));
    }
}

/// As nginx reads it back.
fn quoted(arg: &str) -> String {
    let special = |c: char| c.is_whitespace() || ";{}\"'\\#".contains(c);
    if !arg.is_empty() && !arg.contains(special) {
        return arg.to_owned();
    }
    let mut text = String::from("\"");
    for c in arg.chars() {
        match c {
            '"' | '\\' => {
                text.push('\\');
                text.push(c);
            }
            '\t' => text.push_str("\\t"),
            '\n' => text.push_str("\\n"),
            '\r' => text.push_str("\\r"),
            c => text.push(c),
        }
    }
    text.push('"');
    text
}
