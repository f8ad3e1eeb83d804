//! Are there directives that the module does not know, in the wrong block or with too many words? nginx
//! says so, too, but only one at a time and only where the module is installed.

use llm_core::surface::{self, Context};

use super::World;
use crate::conf::{Item, directives};
use crate::finding::Report;
use crate::manifest::nearest;

pub(super) fn check(items: &[Item], world: &World<'_>, report: &mut Report) {
    walk(items, None, world, report);
}

fn walk(items: &[Item], context: Option<Context>, world: &World<'_>, report: &mut Report) {
    for directive in directives(items) {
        if let Some(block) = &directive.block {
            let inside = match directive.name.as_str() {
                "http" => Some(Context::Http),
                "server" => Some(Context::Server),
                "location" => Some(Context::Location),
                _ => None,
            };
            walk(block, inside, world, report);
            continue;
        }
        let name = directive.name.as_str();
        let (true, Some(context)) = (name.starts_with("llm_"), context) else { continue };
        let Some(row) = surface::directives().find(|row| row.name() == name) else {
            let near = nearest(name, surface::directives().map(surface::Directive::name));
            let hint = near.map_or(String::new(), |near| format!(", did you mean \"{near}\"?"));
            let text = format!("unknown directive \"{name}\"{hint}");
            report.error("directive", world.at(directive), text);
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
