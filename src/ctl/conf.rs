//! What is an nginx configuration? A tree of directives that know where they come from. Rendering
//! makes one of a manifest, the parser one of files; checks and comparisons work on either.

mod parse;
mod print;

pub use parse::parse_file;
pub use print::{Style, print};

/// Where a directive comes from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Origin {
    /// A field of a manifest.
    Manifest(String),
    /// A line of a file.
    File {
        /// The file.
        name: String,
        /// Counted from 1.
        line: usize,
    },
    /// Nowhere: it is needed for the rest to work.
    Ours,
}

/// One directive.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Directive {
    /// Its name.
    pub name: String,
    /// Its arguments, as nginx understands them: without quotes.
    pub args: Vec<String>,
    /// What stands in its braces.
    pub block: Option<Vec<Item>>,
    /// Where it comes from.
    pub origin: Origin,
}

/// One thing in a block.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Item {
    /// A directive.
    Directive(Directive),
    /// A comment, without `#`.
    Note(String),
    /// A part that stands in a file of its own.
    Part {
        /// Its name below the main file's folder.
        name: String,
        /// What is in it.
        items: Vec<Item>,
    },
}

impl Directive {
    /// A directive without a block.
    pub fn new<A: Into<String>>(
        name: &str,
        args: impl IntoIterator<Item = A>,
        origin: Origin,
    ) -> Self {
        let args = args.into_iter().map(Into::into).collect();
        Self { name: name.to_owned(), args, block: None, origin }
    }

    /// A directive with a block.
    pub fn block<A: Into<String>>(
        name: &str,
        args: impl IntoIterator<Item = A>,
        origin: Origin,
        items: Vec<Item>,
    ) -> Self {
        Self { block: Some(items), ..Self::new(name, args, origin) }
    }

    /// The arguments, for parsers of lines.
    pub fn words(&self) -> Vec<&str> {
        self.args.iter().map(String::as_str).collect()
    }
}

impl From<Directive> for Item {
    fn from(directive: Directive) -> Self {
        Self::Directive(directive)
    }
}

/// The directives of a block, those of its parts at their place.
pub fn directives(items: &[Item]) -> Box<dyn Iterator<Item = &Directive> + '_> {
    Box::new(items.iter().flat_map(|item| -> Box<dyn Iterator<Item = &Directive> + '_> {
        match item {
            Item::Directive(directive) => Box::new(std::iter::once(directive)),
            Item::Note(_) => Box::new(std::iter::empty()),
            Item::Part { items, .. } => directives(items),
        }
    }))
}

#[cfg(test)]
mod tests;
