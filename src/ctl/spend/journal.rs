//! The sums of a journal: what the gateway has counted and no database has taken yet, or ever will where
//! there is none.

use std::collections::HashSet;
use std::path::Path;

use llm_core::cost::{CostEvent, Pico};
use llm_ledger::journal::read_all;

use super::{By, Query, Sum, Sums, add};
use crate::command::hint;
use crate::{progress, time};

/// Reads and sums the events.
pub fn sums(directory: &Path, query: &Query<'_>) -> Result<Sums, String> {
    let name = directory.display();
    let waiting = progress::spinner("reading the journal");
    let mut sums = Sums::new();
    let mut seen = HashSet::new();
    let mut failed = None;
    let skipped = read_all(directory, |event| {
        waiting.inc(1);
        let second = event.created_at_ms / 1000;
        let is_asked = query.since_s.is_none_or(|since| second >= since)
            && query.until_s.is_none_or(|until| second < until);
        // One that was written again after a crash has its id still.
        if event.writes_row && is_asked && seen.insert(event.event_id.to_string()) {
            let key = query.by.iter().map(|by| value(*by, &event));
            let key = key.chain([event.cost_unit.to_string()]).collect();
            failed = failed.take().or(add(&mut sums, key, &sum(&event)).err());
        }
    })
    .map_err(|why| format!("journal \"{name}\" cannot be read: {why}"))?;
    waiting.finish_and_clear();
    if skipped > 0 {
        hint(&format!("llmctl: journal \"{name}\": {skipped} damaged bytes are not in the sums"));
    }
    failed.map_or(Ok(sums), Err)
}

fn sum(event: &CostEvent) -> Sum {
    Sum {
        requests: 1,
        prompt_tokens: event.tokens.prompt.unwrap_or(0),
        completion_tokens: event.tokens.completion.unwrap_or(0),
        cost: event.cost.as_ref().map_or(Pico::ZERO, |cost| cost.total),
    }
}

fn value(by: By, event: &CostEvent) -> String {
    let text: &str = match by {
        By::Org => &event.org,
        By::Project => &event.project,
        By::Client => &event.client,
        By::Model => &event.model,
        By::Provider => &event.provider,
        By::Key => &event.identity,
        By::Tag => &event.tag,
        By::Status => event.status.name(),
        By::Day => return time::told(event.created_at_ms / 1000).chars().take(10).collect(),
    };
    if text.is_empty() { "-".to_owned() } else { text.to_owned() }
}
