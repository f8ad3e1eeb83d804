//! Are there directives that the module does not know, in the wrong block or with too many words? nginx
//! says so, too, but only one at a time and only where the module is installed.

use std::collections::HashSet;

use llm_core::surface::{self, Context};

use super::World;
use crate::conf::{Item, directives};
use crate::finding::Report;
use crate::manifest::nearest;

pub(super) fn check(items: &[Item], world: &World<'_>, report: &mut Report) {
    // A module that has none of a room's directives is older than this program or without the room.
    let rooms: HashSet<_> = surface::directives().map(|row| room(row.name())).collect();
    walk(items, None, &rooms, world, report);
}

fn room(name: &str) -> &str {
    let end = name.match_indices('_').nth(1).map_or(name.len(), |(at, _)| at);
    name.get(..end).unwrap_or(name)
}

fn walk(
    items: &[Item],
    context: Option<Context>,
    rooms: &HashSet<&str>,
    world: &World<'_>,
    report: &mut Report,
) {
    for directive in directives(items) {
        if let Some(block) = &directive.block {
            let inside = match directive.name.as_str() {
                "http" => Some(Context::Http),
                "server" => Some(Context::Server),
                "location" => Some(Context::Location),
                _ => None,
            };
            walk(block, inside, rooms, world, report);
            continue;
        }
        let name = directive.name.as_str();
        let (true, Some(context)) = (name.starts_with("llm_"), context) else { continue };
        let Some(row) = surface::directives().find(|row| row.name() == name) else {
            if rooms.contains(room(name)) && !name.starts_with("llm_auth_client_") {
                let near = nearest(name, surface::directives().map(surface::Directive::name));
                let hint = near.map_or(String::new(), |near| format!(", did you mean \"{near}\"?"));
                let text = format!("unknown directive \"{name}\"{hint}");
                report.error("directive", world.at(directive), text);
            }
            continue;
        };
        let count = directive.args.len();
        if count < row.arity.min() || row.arity.max().is_some_and(|max| count > max) {
            let text = format!(
                "invalid number of arguments in \"{name}\" directive, write {name} {};",
                row.syntax
            );
            report.error("directive", world.at(directive), text);
        }
        if !row.contexts.contains(&context) {
            let text = format!("\"{name}\" directive is not allowed in {}", context.name());
            report.error("directive", world.at(directive), text);
        }
    }
}
