//! `llmctl key list`: what is known of the keys.

use std::io::Write;

use llm_core::auth::client::{Client, State};
use serde_json::json;

use super::args::{Format, List};
use super::{Done, Failure, unknown};
use crate::{keyfile, table, time};

pub(super) fn run(list: &List, out: &mut dyn Write) -> Result<Done, Failure> {
    let keys = keyfile::read(&list.file)?;
    let now_s = time::now_s();
    let shown: Vec<&Client> = match &list.id {
        Some(id) => vec![keys.client(id).ok_or_else(|| unknown(&list.file, id))?],
        None => keys.clients().iter().collect(),
    };
    match list.format {
        Format::Json => {
            let rows: Vec<_> = shown.iter().map(|client| row(client, now_s)).collect();
            serde_json::to_writer_pretty(&mut *out, &rows)?;
            writeln!(out)?;
        }
        Format::Table => {
            let header = ["key", "state", "org", "project", "client", "tier", "models", "ends"];
            let mut view = table::new(&header);
            for client in shown {
                let text = |value: &Option<std::sync::Arc<str>>| {
                    value.as_deref().unwrap_or("-").to_owned()
                };
                view.add_row([
                    client.key_id.to_string(),
                    word(client, now_s).to_owned(),
                    text(&client.org),
                    text(&client.project),
                    text(&client.client),
                    text(&client.tier),
                    client.models.as_ref().map_or("all".to_owned(), ToString::to_string),
                    client.expires_s.map_or("never".to_owned(), time::told),
                ]);
            }
            writeln!(out, "{view}")?;
        }
    }
    Ok(Done::Well)
}

fn word(client: &Client, now_s: u64) -> &'static str {
    match client.state {
        State::Active if client.expires_s.is_some_and(|end_s| end_s <= now_s) => "expired",
        State::Active if client.old.as_ref().is_some_and(|(_, until_s)| *until_s > now_s) => {
            "active, rotating"
        }
        state => state.name(),
    }
}

fn row(client: &Client, now_s: u64) -> serde_json::Value {
    json!({
        "key_id": client.key_id,
        "state": word(client, now_s),
        "org": client.org.as_deref(),
        "project": client.project.as_deref(),
        "client": client.client.as_deref(),
        "tier": client.tier.as_deref(),
        "models": client.models.as_ref().map(|models| models.patterns().collect::<Vec<_>>()),
        "expires_at": client.expires_s.map(time::told),
        "created_at": client.created_s.map(time::told),
        "old_secret_until": client.old.as_ref().map(|(_, until_s)| time::told(*until_s)),
    })
}
