//! What is different for requests, prices and keys between two manifests or configurations? Order,
//! comments and spelling are not: the lines that hold in each location are compared.

use std::collections::{BTreeMap, BTreeSet};

use serde::Serialize;

use crate::conf::{Directive, Item, directives};
use crate::effective::locations;
use crate::manifest::Manifest;

/// What kind of thing is different, in the order of the report.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Category {
    /// Where requests go.
    Routes,
    /// What may be asked for.
    Models,
    /// What it costs.
    Prices,
    /// How much may be asked for.
    Limits,
    /// How much may be spent.
    Caps,
    /// Who may ask.
    Keys,
    /// All else.
    Settings,
}

impl Category {
    /// The word in reports.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Routes => "routes",
            Self::Models => "models",
            Self::Prices => "prices",
            Self::Limits => "limits",
            Self::Caps => "caps",
            Self::Keys => "keys",
            Self::Settings => "settings",
        }
    }
}

/// One difference.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Change {
    /// What kind of thing.
    pub category: Category,
    /// Which one.
    pub subject: String,
    /// What was; `None` is new.
    pub old: Option<String>,
    /// What is; `None` is gone.
    pub new: Option<String>,
}

/// What can be compared: by category and subject, the values in their order.
pub type Facts = BTreeMap<(Category, String), Vec<String>>;

/// The facts of a configuration, and of the manifest it was made of.
pub fn facts(items: &[Item], manifest: Option<&Manifest>) -> Facts {
    let mut facts = Facts::new();
    for http in directives(items).filter(|directive| directive.name == "http") {
        let inside = || directives(http.block.as_deref().unwrap_or_default());
        for upstream in inside().filter(|directive| directive.name == "upstream") {
            let name = upstream.args.first().map_or("", String::as_str);
            for line in directives(upstream.block.as_deref().unwrap_or_default()) {
                add(
                    &mut facts,
                    Category::Routes,
                    format!("upstream {name} {}", line.name),
                    line,
                    0,
                );
            }
        }
    }
    let mut shared: BTreeSet<*const Directive> = BTreeSet::new();
    for location in locations(items) {
        for line in location.all() {
            let (category, subjects) = sort(&line.name);
            // Where a machine keeps things says nothing of what the gateway does.
            let is_ours = (line.name.starts_with("llm_") || line.name.starts_with("proxy_"))
                && !line.name.ends_with("_temp_path");
            if !is_ours {
                continue;
            }
            // Prices stand once for all locations.
            if category == Category::Prices || line.name.starts_with("llm_cost_") {
                if shared.insert(line) {
                    let subject = subject(None, line, subjects);
                    add(&mut facts, category, subject, line, subjects);
                }
                continue;
            }
            let subject = subject(Some(&location.name), line, subjects);
            add(&mut facts, category, subject, line, subjects);
        }
    }
    if let Some(manifest) = manifest {
        keys(manifest, &mut facts);
    }
    facts
}

/// The category of a directive, and how many of its words say which one it is.
fn sort(name: &str) -> (Category, usize) {
    match name {
        "llm_proxy_route" => (Category::Routes, 1),
        "llm_proxy_default_provider" | "proxy_pass" | "llm_fallback_on" => (Category::Routes, 0),
        "llm_fallback_route" | "llm_fallback_replace" => (Category::Routes, 2),
        "llm_proxy_model_pattern" | "llm_proxy_model_alias" => (Category::Models, 1),
        "llm_cost_rate" | "llm_cost_cached_rate" => (Category::Prices, 2),
        "llm_cost_rate_unit" => (Category::Prices, 1),
        "llm_cost_rate_card_version" => (Category::Prices, 0),
        "llm_ratelimit_spend_scope" => (Category::Caps, 2),
        "llm_ratelimit_rule" => (Category::Limits, 2),
        "llm_auth_credential" => (Category::Keys, 2),
        "llm_auth_client_keys" | "llm_auth_client_scope" => (Category::Keys, 0),
        name if name.starts_with("llm_auth_") && name.ends_with("_credential") => {
            (Category::Keys, 3)
        }
        name if name.ends_with("_rpm") || name.ends_with("_tpm") => (Category::Limits, 1),
        name if name.starts_with("llm_ratelimit") => (Category::Limits, 0),
        name if name.starts_with("llm_fallback") => (Category::Routes, 0),
        _ => (Category::Settings, 0),
    }
}

fn subject(location: Option<&str>, line: &Directive, subjects: usize) -> String {
    let words = line.args.iter().take(subjects).map(|word| masked(line, word));
    let place = location.map(|name| format!("{name}:"));
    let parts = place.into_iter().chain([line.name.clone()]).chain(words);
    parts.collect::<Vec<_>>().join(" ")
}

fn add(facts: &mut Facts, category: Category, subject: String, line: &Directive, skip: usize) {
    let words: Vec<_> = line.args.iter().skip(skip).map(|word| masked(line, word)).collect();
    facts.entry((category, subject)).or_default().push(words.join(" "));
}

/// A literal secret is not shown, not even to compare.
fn masked(line: &Directive, word: &str) -> String {
    let may_be_secret = line.name.ends_with("_credential") || line.name == "llm_cost_dsn";
    let at = line.args.iter().position(|other| other == word);
    let place = match line.name.as_str() {
        "llm_cost_dsn" => 0,
        "llm_auth_credential" => 1,
        _ => 2,
    };
    let is_reference = word.starts_with("env:") || word.starts_with("file:");
    if may_be_secret && at == Some(place) && !is_reference {
        return "***".to_owned();
    }
    word.to_owned()
}

fn keys(manifest: &Manifest, facts: &mut Facts) {
    for organization in &manifest.organizations {
        for project in &organization.projects {
            for client in &project.clients {
                for key in &client.api_keys {
                    let mut words = vec![
                        format!("org={}", organization.organization_slug),
                        format!("project={}", project.project_slug),
                        format!("client={}", client.client_id),
                    ];
                    words.extend(key.tier.as_ref().map(|tier| format!("tier={tier}")));
                    words.extend(key.models.as_ref().map(|m| format!("models={}", m.join(","))));
                    words.push(format!("status={}", key.status.as_deref().unwrap_or("active")));
                    let subject = format!("key {}", key.key_id);
                    facts.entry((Category::Keys, subject)).or_default().push(words.join(" "));
                }
            }
        }
    }
}

/// What is different.
pub fn changes(old: &Facts, new: &Facts) -> Vec<Change> {
    let all: BTreeSet<_> = old.keys().chain(new.keys()).collect();
    all.into_iter()
        .filter(|key| old.get(key) != new.get(key))
        .map(|key| Change {
            category: key.0,
            subject: key.1.clone(),
            old: old.get(key).map(|values| values.join("; ")),
            new: new.get(key).map(|values| values.join("; ")),
        })
        .collect()
}
