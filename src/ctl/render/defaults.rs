//! Which defaults hold where the manifest says nothing? Told at the end of `http`, as lines that could be
//! written; they come from the module's own table.

use std::collections::HashSet;

use llm_core::surface::{self, Context, Directive as Row};

use super::note;
use crate::conf::{Item, directives};
use crate::manifest::Manifest;

/// The rooms, and how their directives begin.
const ROOMS: [(&str, &str); 6] = [
    ("llm-proxy", "llm_proxy"),
    ("llm-auth", "llm_auth"),
    ("llm-fallback", "llm_fallback"),
    ("llm-ratelimit", "llm_ratelimit"),
    ("llm-cost", "llm_cost"),
    ("llm-metrics", "llm_metrics"),
];

pub(super) fn notes(http: &[Item], manifest: &Manifest) -> Vec<Item> {
    let mut stated = HashSet::new();
    collect(http, &mut stated);
    let is_told = |row: &&Row| {
        let (name, default) = (row.name(), row.default.unwrap_or("off"));
        let room = ROOMS.iter().find(|(_, prefix)| name.starts_with(prefix));
        let on = room.is_some_and(|(room, _)| manifest.is_on(room, true));
        on && default != "off" && !stated.contains(name) && row.contexts.contains(&Context::Http)
    };
    let rows: Vec<_> = surface::directives().filter(is_told).collect();
    if rows.is_empty() {
        return Vec::new();
    }
    let mut items = vec![note(""), note("The manifest does not state these; their defaults hold:")];
    for row in rows {
        items.push(note(format!("{} {};", row.name(), row.default.unwrap_or_default())));
    }
    items
}

fn collect<'a>(items: &'a [Item], stated: &mut HashSet<&'a str>) {
    for directive in directives(items) {
        stated.insert(&directive.name);
        if let Some(block) = &directive.block {
            collect(block, stated);
        }
    }
}
