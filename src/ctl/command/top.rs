//! `llmctl top`: a gateway at work, in the terminal.

use std::io::{IsTerminal, Write};
use std::thread;
use std::time::Duration;

use serde_json::Value;

use super::{Done, Failure};
use crate::{status, table};

const WAIT: Duration = Duration::from_secs(5);

/// How many of the latest requests fit.
const RECENT: usize = 15;

/// `llmctl top`
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  llmctl top
  llmctl top --once | less
  llmctl top --status http://127.0.0.1:9180/llm/status --interval 5")]
pub struct Args {
    /// Where the gateway's status is
    #[arg(long, value_name = "URL", default_value = status::URL)]
    pub status: String,
    /// Seconds between two looks
    #[arg(long, default_value_t = 2, value_parser = clap::value_parser!(u64).range(1..=3600))]
    pub interval: u64,
    /// Look once; without a terminal that is all
    #[arg(long)]
    pub once: bool,
}

/// Runs the command.
pub fn run(args: &Args, out: &mut dyn Write) -> Result<Done, Failure> {
    let live = !args.once && std::io::stdout().is_terminal();
    let url = format!("{}/json", args.status.trim_end_matches('/'));
    loop {
        let text = status::get(&url, WAIT);
        if !live {
            write(&parse(&text?)?, out)?;
            return Ok(Done::Well);
        }
        // Home, and clear what is below: a whole clear would flicker.
        write!(out, "\x1b[H\x1b[J")?;
        match text.map_err(Failure::from).and_then(|text| parse(&text)) {
            Ok(document) => write(&document, out)?,
            Err(why) => writeln!(out, "{why}")?,
        }
        writeln!(out, "\nevery {} s; Ctrl-C ends", args.interval)?;
        out.flush()?;
        thread::sleep(Duration::from_secs(args.interval));
    }
}

fn parse(text: &str) -> Result<Value, Failure> {
    serde_json::from_str(text).map_err(|_| {
        Failure::new("the answer is no status of a gateway, give the address of llm_status")
    })
}

/// The whole page.
fn write(document: &Value, out: &mut dyn Write) -> std::io::Result<()> {
    let bold = anstyle::Style::new().bold();
    let mut section = |title: &str, names: &[&str], rows: Vec<Vec<String>>| {
        if rows.is_empty() {
            return Ok(());
        }
        let mut view = table::new(names);
        for row in rows {
            view.add_row(row);
        }
        writeln!(out, "{bold}{title}{bold:#}\n{view}\n")
    };
    let providers = list(document, "providers").map(|one| {
        let keys = list(one, "keys");
        let keys: Vec<_> =
            keys.map(|key| format!("{}:{}", text(key, "id"), text(key, "state"))).collect();
        let ratio = one.get("success_ratio").and_then(Value::as_f64);
        let ratio = ratio.map_or("-".to_owned(), |ratio| format!("{:.1}%", ratio * 100.0));
        let names = ["name", "state", "benched_until", "latency_ms"];
        let mut row: Vec<_> = names.iter().map(|name| text(one, name)).collect();
        row.extend([ratio, keys.join(" ")]);
        row
    });
    let names = ["provider", "state", "benched until", "latency ms", "success", "keys"];
    section("providers", &names, providers.collect())?;
    let names = ["scope", "id", "unit", "limit", "spent", "reserved", "resets_at"];
    section("budgets", &names, rows(document, "budgets", &names))?;
    let names = ["rule", "key", "limit", "remaining", "reset"];
    section("limits", &names, rows(document, "limits", &names))?;
    let mut recent = rows(document, "recent", &["time", "event_id", "status", "chain"]);
    recent.truncate(RECENT);
    section("latest requests", &["time", "event", "status", "chain"], recent)?;
    if let Some(journal) = document.get("journal") {
        let parts = ["events", "bytes", "oldest_seconds"];
        let parts = parts.map(|name| format!("{name} {}", text(journal, name)));
        writeln!(out, "{bold}journal{bold:#} {}", parts.join(", "))?;
    }
    Ok(())
}

fn list<'v>(value: &'v Value, name: &str) -> impl Iterator<Item = &'v Value> {
    value.get(name).and_then(Value::as_array).into_iter().flatten()
}

fn rows(document: &Value, name: &str, fields: &[&str]) -> Vec<Vec<String>> {
    list(document, name).map(|one| fields.iter().map(|field| text(one, field)).collect()).collect()
}

/// Without what could steer a terminal: models and tags come from clients.
fn text(value: &Value, name: &str) -> String {
    let text = match value.get(name) {
        None | Some(Value::Null) => return "-".to_owned(),
        Some(Value::String(text)) => text.clone(),
        Some(other) => other.to_string(),
    };
    text.chars().map(|c| if c.is_control() { '?' } else { c }).collect()
}
