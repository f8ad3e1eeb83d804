//! What is this argument: a manifest, a folder with a configuration, or a revision? `check` and `diff`
//! take any of them.

use std::path::{Path, PathBuf};

use crate::check::{World, check};
use crate::conf::{Item, parse_file};
use crate::finding::{Place, Report};
use crate::manifest::{self, Loaded, Manifest};
use crate::render::{Options, render};

/// Where systems keep the certificates they trust.
const BUNDLES: [&str; 4] = [
    "/etc/ssl/certs/ca-certificates.crt",
    "/etc/pki/tls/certs/ca-bundle.crt",
    "/etc/ssl/ca-bundle.pem",
    "/etc/ssl/cert.pem",
];

/// A configuration, and what it was made of.
pub struct Subject {
    /// The configuration; empty after errors.
    pub items: Vec<Item>,
    /// The manifest, if there is one.
    pub manifest: Option<Manifest>,
    /// What was found.
    pub report: Report,
    /// The configuration's main file, if it is one.
    pub main: Option<PathBuf>,
}

/// Reads and checks an argument.
pub fn read(path: &Path, options: &Options) -> Result<Subject, String> {
    let name = path.display();
    if path.is_dir() {
        let main = path.join("nginx.conf");
        if !main.is_file() {
            return Err(format!("folder \"{name}\" has no nginx.conf"));
        }
        return Ok(of_files(&main, revision_manifest(path)));
    }
    if !path.exists() {
        return Err(format!("\"{name}\" does not exist, give a manifest or a folder"));
    }
    if path.extension().is_some_and(|extension| extension == "conf") {
        return Ok(of_files(path, None));
    }
    let loaded = manifest::load(path)?;
    Ok(of_manifest(loaded, path, options))
}

/// A revision keeps the manifest it was made of.
fn revision_manifest(folder: &Path) -> Option<Manifest> {
    let names = ["manifest.yaml", "manifest.json"];
    let path = names.iter().map(|name| folder.join(name)).find(|path| path.is_file())?;
    manifest::load(&path).ok()?.manifest
}

fn of_files(main: &Path, manifest: Option<Manifest>) -> Subject {
    let mut report = Report::default();
    let items = match parse_file(main) {
        Ok(items) => items,
        Err((place, text)) => {
            report.error("syntax", place, text);
            Vec::new()
        }
    };
    let file = main.display().to_string();
    let place = |_: &str| Place { file: file.clone(), ..Place::default() };
    report.extend(checked(&items, main, &place));
    Subject { items, manifest, report, main: Some(main.to_owned()) }
}

/// The same for a manifest that was read.
pub fn of_manifest(loaded: Loaded, path: &Path, options: &Options) -> Subject {
    let mut report = loaded.report.clone();
    let mut items = Vec::new();
    if let (Some(manifest), 0) = (&loaded.manifest, report.errors()) {
        items = render(manifest, options);
        report.extend(checked(&items, path, &|path: &str| loaded.place(path)));
    }
    Subject { items, manifest: loaded.manifest, report, main: None }
}

fn checked(items: &[Item], path: &Path, place: &dyn Fn(&str) -> Place) -> Report {
    let has_bundle = std::env::var_os("SSL_CERT_FILE").is_some()
        || BUNDLES.iter().any(|bundle| Path::new(bundle).is_file());
    let world = World {
        place,
        has_env: &|name| std::env::var_os(name).is_some_and(|value| !value.is_empty()),
        folder: &crate::files::folder(path),
        has_bundle,
    };
    check(items, &world)
}
