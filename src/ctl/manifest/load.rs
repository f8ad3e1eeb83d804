//! Is this file a manifest that can be used? Every command that takes one asks here: syntax, schema,
//! types and then whether its parts fit together, all with their places.

use std::fs;
use std::path::Path;

use super::{Manifest, consistency, schema};
use crate::finding::{Place, Report};
use crate::tree::{self, Node, Position};

/// A manifest that was read, with what was found on the way.
pub struct Loaded {
    /// The file's name.
    pub file: String,
    /// The text as it was.
    pub text: String,
    /// The manifest; `None` when the errors leave nothing to work with.
    pub manifest: Option<Manifest>,
    /// What was found.
    pub report: Report,
    tree: Option<Node>,
}

impl Loaded {
    /// Where a field stands.
    pub fn place(&self, path: &str) -> Place {
        place(&self.file, self.tree.as_ref(), path)
    }
}

fn place(file: &str, tree: Option<&Node>, path: &str) -> Place {
    let Position { line, column } = tree.map(|tree| tree.position(path)).unwrap_or_default();
    Place { file: file.to_owned(), line, column, path: Some(path.to_owned()) }
}

/// Reads and judges a file; the error is one of reading it.
pub fn load(path: &Path) -> Result<Loaded, String> {
    let file = path.display().to_string();
    let text = fs::read_to_string(path)
        .map_err(|why| format!("manifest \"{file}\" cannot be read: {why}"))?;
    Ok(read(file, text))
}

/// The same for a text.
pub fn read(file: String, text: String) -> Loaded {
    let mut report = Report::default();
    let tree = match tree::parse(&text) {
        Ok(tree) => tree,
        Err(why) => {
            let place =
                Place { file: file.clone(), line: why.at.line, column: why.at.column, path: None };
            report.error("syntax", place, why.text);
            return Loaded { file, text, manifest: None, report, tree: None };
        }
    };
    match schema::findings(&tree.to_json()) {
        Ok(found) => {
            for (path, text) in found {
                report.error("schema", place(&file, Some(&tree), &path), text);
            }
        }
        Err(why) => report.error("schema", place(&file, None, ""), why),
    }
    let mut manifest = None;
    if report.errors() == 0 {
        match serde_json::from_value::<Manifest>(tree.to_exact()) {
            Ok(read) => manifest = Some(read),
            Err(why) => report.error("schema", place(&file, None, ""), why.to_string()),
        }
    }
    if let Some(manifest) = &manifest {
        consistency::check(manifest, &mut |severity, code, path, text| {
            let place = place(&file, Some(&tree), path);
            report.findings.push(crate::finding::Finding { severity, code, place, text });
        });
    }
    Loaded { file, text, manifest, report, tree: Some(tree) }
}
