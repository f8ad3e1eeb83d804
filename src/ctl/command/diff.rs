//! `llmctl diff`: what changes for requests, prices and keys.

use std::io::Write;
use std::path::{Path, PathBuf};

use super::check::Format;
use super::{Done, Failure};
use crate::diff::{Change, Facts, changes, facts};
use crate::render::Options;
use crate::subject;

/// `llmctl diff`
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  llmctl diff gateway.yaml new.yaml
  llmctl diff /srv/llm/current new.yaml                   # what a publication would change
  llmctl diff /srv/llm/revisions/0003 /srv/llm/revisions/0004 --format json

Exit status: 0 the same, 1 different, 2 trouble. Order, comments and spelling do not count.")]
pub struct Args {
    /// A manifest, a revision or a folder with nginx.conf
    pub old: PathBuf,
    /// What to compare it with
    pub new: PathBuf,
    /// How to show the differences
    #[arg(long, value_enum, default_value_t)]
    pub format: Format,
}

/// Runs the command.
pub fn run(args: &Args, out: &mut dyn Write) -> Result<Done, Failure> {
    let found = changes(&read(&args.old)?, &read(&args.new)?);
    match args.format {
        Format::Json => {
            serde_json::to_writer_pretty(&mut *out, &found)?;
            writeln!(out)?;
        }
        Format::Text => write(&found, out)?,
    }
    Ok(if found.is_empty() { Done::Well } else { Done::Found })
}

fn read(path: &Path) -> Result<Facts, Failure> {
    let subject = subject::read(path, &Options::default())?;
    if subject.items.is_empty() {
        let name = path.display();
        return Err(Failure::new(format!("\"{name}\" has errors, see: llmctl check {name}")));
    }
    Ok(facts(&subject.items, subject.manifest.as_ref()))
}

/// A change in each line, category by category.
pub fn write(found: &[Change], out: &mut dyn Write) -> std::io::Result<()> {
    use anstyle::{AnsiColor, Style};
    let color = |color: AnsiColor| Style::new().fg_color(Some(color.into()));
    for group in found.chunk_by(|a, b| a.category == b.category) {
        let Some(first) = group.first() else { continue };
        let bold = Style::new().bold();
        writeln!(out, "{bold}{}{bold:#}", first.category.name())?;
        for change in group {
            let subject = &change.subject;
            let (sign, style, text) = match (&change.old, &change.new) {
                (Some(old), Some(new)) => {
                    ("~", color(AnsiColor::Yellow), format!("{} -> {}", shown(old), shown(new)))
                }
                (None, Some(new)) => ("+", color(AnsiColor::Green), new.clone()),
                (Some(old), None) => ("-", color(AnsiColor::Red), old.clone()),
                (None, None) => continue,
            };
            let space = if text.is_empty() { "" } else { ": " };
            writeln!(out, "  {style}{sign} {subject}{space}{text}{style:#}")?;
        }
    }
    Ok(())
}

fn shown(value: &str) -> &str {
    if value.is_empty() { "(nothing)" } else { value }
}
