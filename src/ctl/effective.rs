//! Which directives hold in a location? What a block writes replaces what the blocks around it wrote,
//! as nginx merges; lists are replaced, never joined. Checks and comparisons look at this.

use std::collections::BTreeMap;

use crate::conf::{Directive, Item, directives};

/// A location with all that holds in it.
pub struct Location<'c> {
    /// Host name and path.
    pub name: String,
    /// The location's own line.
    pub block: &'c Directive,
    lines: BTreeMap<&'c str, Vec<&'c Directive>>,
}

impl<'c> Location<'c> {
    /// The lines of a directive.
    pub fn lines(&self, name: &str) -> &[&'c Directive] {
        self.lines.get(name).map_or(&[], Vec::as_slice)
    }

    /// The first argument of a directive that stands once.
    pub fn value(&self, name: &str) -> Option<&'c str> {
        self.lines(name).last()?.args.first().map(String::as_str)
    }

    /// Whether a switch is on; `None` is not written.
    pub fn switch(&self, name: &str) -> Option<bool> {
        let line = self.lines(name).last()?;
        Some(line.args.first().is_none_or(|word| word == "on"))
    }

    /// Every line, directive by directive.
    pub fn all(&self) -> impl Iterator<Item = &'c Directive> + '_ {
        self.lines.values().flatten().copied()
    }
}

/// Every location of every server.
pub fn locations(items: &[Item]) -> Vec<Location<'_>> {
    let mut found = Vec::new();
    for http in directives(items).filter(|directive| directive.name == "http") {
        let lines = merged(&BTreeMap::new(), http);
        for server in blocks(http, "server") {
            let lines = merged(&lines, server);
            let names = directives(server.block.as_deref().unwrap_or_default());
            let name = names
                .filter(|directive| directive.name == "server_name")
                .find_map(|directive| directive.args.first())
                .cloned()
                .or_else(|| listen(server))
                .unwrap_or_default();
            walk(server, &name, &lines, &mut found);
        }
    }
    found
}

fn walk<'c>(
    block: &'c Directive,
    host: &str,
    lines: &BTreeMap<&'c str, Vec<&'c Directive>>,
    found: &mut Vec<Location<'c>>,
) {
    for location in blocks(block, "location") {
        let lines = merged(lines, location);
        let name = format!("{host} {}", location.args.join(" "));
        walk(location, host, &lines, found);
        found.push(Location { name, block: location, lines });
    }
}

fn listen(server: &Directive) -> Option<String> {
    let mut inside = directives(server.block.as_deref().unwrap_or_default());
    let listen = inside.find(|directive| directive.name == "listen")?;
    Some(format!("listen {}", listen.args.first()?))
}

fn blocks<'c>(parent: &'c Directive, name: &'static str) -> impl Iterator<Item = &'c Directive> {
    let inside = directives(parent.block.as_deref().unwrap_or_default());
    inside.filter(move |directive| directive.name == name && directive.block.is_some())
}

fn merged<'c>(
    outer: &BTreeMap<&'c str, Vec<&'c Directive>>,
    block: &'c Directive,
) -> BTreeMap<&'c str, Vec<&'c Directive>> {
    let mut own: BTreeMap<&str, Vec<&Directive>> = BTreeMap::new();
    for directive in directives(block.block.as_deref().unwrap_or_default()) {
        if directive.block.is_none() {
            own.entry(&directive.name).or_default().push(directive);
        }
    }
    let mut lines = outer.clone();
    lines.append(&mut own);
    lines
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_block_replaces_what_its_parents_wrote() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("nginx.conf");
        let text = "http { llm_proxy; a 1; a 2; b 3; server { server_name x; a 4; \
                    location / { b 5; location /in { llm_proxy off; } } } }";
        std::fs::write(&path, text).unwrap();
        let items = crate::conf::parse_file(&path).unwrap();
        let found = locations(&items);
        let [inner, outer] = found.as_slice() else { panic!("two locations") };
        assert_eq!((outer.name.as_str(), inner.name.as_str()), ("x /", "x /in"));
        assert_eq!(outer.lines("a").len(), 1);
        assert_eq!((outer.value("a"), outer.value("b")), (Some("4"), Some("5")));
        assert_eq!(
            (outer.switch("llm_proxy"), inner.switch("llm_proxy")),
            (Some(true), Some(false))
        );
        assert_eq!(outer.switch("llm_auth"), None);
    }
}
