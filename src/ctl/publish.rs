//! How does a new configuration come into use, and back? A revision is a folder that never changes;
//! `current` is a link to one of them, and nginx reads that. The switch is one rename, so that at any
//! moment, whatever fails, nginx finds a whole configuration that has passed its test.

pub mod audit;
pub mod nginx;
pub mod root;
pub mod workers;

use std::time::Duration;

use audit::{Action, Entry};
use nginx::Gateway;
use root::Root;

/// What was done, for the audit log and for people.
#[derive(Debug)]
pub struct Switched {
    /// What to say.
    pub text: String,
    /// Whether the new revision answers.
    pub is_well: bool,
}

/// Puts a revision into use; goes back to the one before when it does not answer.
pub fn switch(
    root: &Root,
    gateway: &Gateway,
    action: Action,
    (revision, why): (u32, Option<&str>),
    wait: Duration,
) -> Result<Switched, String> {
    let previous = root.current();
    let entry = |result: &str, detail: &str| Entry {
        action,
        revision: Some(revision),
        previous,
        why: why.map(str::to_owned),
        result: result.to_owned(),
        detail: Some(detail.to_owned()).filter(|detail| !detail.is_empty()),
        manifest: root.manifest_hash(revision),
    };
    let main = root.folder(revision).join("nginx.conf");
    if let Err(text) = gateway.test(&main, root.path()) {
        let said = format!("nginx refuses revision {revision:04}, nothing was changed: {text}");
        return Err(audited(root, &entry("refused", &text), said).text);
    }
    root.point_to(revision)?;
    let name = format!("{revision:04}");
    match gateway.reload(&name, wait) {
        Ok(nginx::Reloaded::Answers) => {
            Ok(audited(root, &entry("ok", ""), format!("revision {name} answers")))
        }
        Ok(nginx::Reloaded::NotRunning) => {
            let text = format!(
                "revision {name} is current; nginx is not running, start it with: {}",
                gateway.start_command(root)
            );
            Ok(audited(root, &entry("ok", "nginx was not running"), text))
        }
        Err(text) => {
            let back = go_back(root, gateway, previous, wait);
            let said = format!("revision {name} does not answer: {text}; {back}");
            Err(audited(root, &entry("rolled back", &text), said).text)
        }
    }
}

/// What was done is done: a log that cannot be written (a full disk) is told, and takes nothing back.
fn audited(root: &Root, entry: &Entry, text: String) -> Switched {
    match root.audit(entry) {
        Ok(()) => Switched { text, is_well: true },
        Err(why) => {
            Switched { text: format!("{text}; but this is not logged: {why}"), is_well: false }
        }
    }
}

/// Makes the revision before current again, and says how that went.
fn go_back(root: &Root, gateway: &Gateway, previous: Option<u32>, wait: Duration) -> String {
    let Some(previous) = previous else {
        return match root.point_to_nothing() {
            Ok(()) => "there is none to go back to, so nothing is current".to_owned(),
            Err(why) => format!("and \"current\" could not be removed: {why}"),
        };
    };
    if let Err(why) = root.point_to(previous) {
        return format!("going back to {previous:04} failed, too: {why}");
    }
    match gateway.reload(&format!("{previous:04}"), wait) {
        Ok(nginx::Reloaded::Answers) => format!("revision {previous:04} serves again"),
        Ok(nginx::Reloaded::NotRunning) => {
            format!("revision {previous:04} is current again, but nginx is not running")
        }
        Err(why) => {
            format!("revision {previous:04} is current again, but it does not answer either: {why}")
        }
    }
}
