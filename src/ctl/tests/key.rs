//! Do client keys do what their commands say, and is no secret ever stored?

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test fails by panicking; what tests share is not seen as a test"
)]

mod common;

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::time::{SystemTime, UNIX_EPOCH};

use common::{Run, data, llmctl};
use llm_core::auth::client::Table;

struct Keys {
    folder: tempfile::TempDir,
}

impl Keys {
    fn new() -> Self {
        Self { folder: tempfile::tempdir().unwrap() }
    }

    fn path(&self) -> PathBuf {
        self.folder.path().join("client.keys")
    }

    fn run(&self, action: &str, args: &[&str]) -> Run {
        let path = self.path();
        let mut all = vec!["key", action, "--file", path.to_str().unwrap()];
        all.extend(args);
        llmctl(&all)
    }

    fn issue(&self, id: &str, more: &[&str]) -> String {
        let mut args = vec!["--id", id, "--org", "acme", "--project", "web", "--client", "app"];
        args.extend(more);
        self.run("issue", &args).ok().trim().to_owned()
    }

    fn text(&self) -> String {
        fs::read_to_string(self.path()).unwrap()
    }

    /// What the gateway would say.
    fn verdict(&self, credential: &str) -> &'static str {
        let table = Table::parse(self.text().as_bytes()).unwrap();
        table.lookup(credential.as_bytes(), now_s()).name()
    }
}

fn now_s() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs()
}

#[test]
fn a_key_is_shown_once_and_only_its_hash_is_stored() {
    let keys = Keys::new();
    let credential = keys.issue("acme.web-1", &["--tier", "gold", "--models", "gpt-*,o3"]);
    let (id, secret) = credential.rsplit_once('.').unwrap();
    assert_eq!((id, secret.len()), ("acme.web-1", 64));
    assert!(!keys.text().contains(secret));
    assert_eq!(keys.verdict(&credential), "active");
    assert_ne!(credential, keys.issue("acme.web-2", &[]), "secrets are random");
    let table = Table::parse(keys.text().as_bytes()).unwrap();
    let client = table.client("acme.web-1").unwrap();
    assert!(client.is_of(Some("acme"), Some("web")) && client.tier.as_deref() == Some("gold"));
    assert!(client.may_use("gpt-5") && !client.may_use("claude"));
    let mode = fs::metadata(keys.path()).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o640);
    assert!(!keys.run("list", &[]).ok().contains(secret));
}

#[test]
fn states_follow_the_commands() {
    let keys = Keys::new();
    let credential = keys.issue("k", &[]);
    for (action, word) in [("suspend", "suspended"), ("resume", "active"), ("revoke", "revoked")] {
        keys.run(action, &["k"]).ok();
        assert_eq!(keys.verdict(&credential), word);
    }
    let said = keys.run("resume", &["k"]).fails(1);
    assert!(said.contains("revoked, which is for ever"), "{said}");
    let said = keys.run("suspend", &["other"]).fails(1);
    assert!(said.contains("has no key \"other\""), "{said}");
}

#[test]
fn a_rotation_overlaps() {
    let keys = Keys::new();
    let first = keys.issue("k", &[]);
    let second = keys.run("rotate", &["k", "--overlap", "1h"]).ok().trim().to_owned();
    assert_eq!((keys.verdict(&first), keys.verdict(&second)), ("active", "active"));
    let third = keys.run("rotate", &["k", "--overlap", "0"]).ok().trim().to_owned();
    assert_eq!(keys.verdict(&third), "active");
    assert_eq!((keys.verdict(&first), keys.verdict(&second)), ("unknown", "unknown"));
}

#[test]
fn keys_end_when_they_should() {
    let keys = Keys::new();
    let credential = keys.issue("k", &["--expires", "90d"]);
    let ends =
        Table::parse(keys.text().as_bytes()).unwrap().client("k").unwrap().expires_s.unwrap();
    assert!(ends.abs_diff(now_s() + 90 * 86_400) < 60);
    assert_eq!(keys.verdict(&credential), "active");
    keys.run("expire", &["k"]).ok();
    assert_eq!(keys.verdict(&credential), "expired");
    assert!(keys.run("list", &["k"]).ok().contains("expired"));
    keys.run("expire", &["k", "--at", "never"]).ok();
    assert_eq!(keys.verdict(&credential), "active");
    let json = keys.run("list", &["--format", "json"]).ok();
    let rows: serde_json::Value = serde_json::from_str(&json).unwrap();
    assert_eq!(
        (&rows[0]["key_id"], &rows[0]["expires_at"]),
        (&"k".into(), &serde_json::Value::Null)
    );
    let args =
        ["--id", "l", "--org", "a", "--project", "b", "--client", "c", "--expires", "2020-01-01"];
    assert!(keys.run("issue", &args).fails(1).contains("in the past"));
}

#[test]
fn a_manifest_says_whose_a_key_is() {
    let keys = Keys::new();
    let manifest = data("meter-fallback.yaml");
    let manifest = manifest.to_str().unwrap();
    let args = ["--id", "da-sk-acme-ai-platform", "--manifest", manifest];
    let credential = keys.run("issue", &args).ok();
    assert!(credential.starts_with("da-sk-acme-ai-platform."), "{credential}");
    let text = keys.text();
    for word in [
        "org=acme",
        "project=ai-platform",
        "tier=basic",
        "client=30000000-0000-0001-0001-000000000001",
    ] {
        assert!(text.contains(word), "{text}");
    }
    let said = keys.run("issue", &["--id", "other", "--manifest", manifest]).fails(1);
    assert!(said.contains("has no key \"other\""), "{said}");
    let said = keys.run("issue", &args).fails(1);
    assert!(said.contains("exists, give it a new secret with: llmctl key rotate"), "{said}");
    let said = keys.run("issue", &["--id", "a b"]).fails(1);
    assert!(said.contains("invalid key id"), "{said}");
    let said = keys.run("issue", &["--id", "x", "--org", "acme"]).fails(1);
    assert!(said.contains("needs --project"), "{said}");
}

#[test]
fn files_that_are_open_or_broken_are_refused_with_the_mend() {
    let keys = Keys::new();
    keys.issue("k", &[]);
    let before = keys.text();
    fs::set_permissions(keys.path(), fs::Permissions::from_mode(0o644)).unwrap();
    for action in ["list", "suspend"] {
        let args: &[&str] = if action == "list" { &[] } else { &["k"] };
        let said = keys.run(action, args).fails(1);
        assert!(said.contains("(mode 0644), run: chmod 640 "), "{said}");
    }
    fs::set_permissions(keys.path(), fs::Permissions::from_mode(0o640)).unwrap();
    fs::write(keys.path(), &before[..before.len() - 8]).unwrap();
    let said = keys.run("suspend", &["k"]).fails(1);
    assert!(said.contains("is not whole, write it again or restore it"), "{said}");
    assert_eq!(keys.text(), &before[..before.len() - 8], "a broken file is not touched");
}

#[test]
fn files_that_are_not_there_are_told_and_not_made() {
    let keys = Keys::new();
    for (action, args) in
        [("suspend", vec!["k"]), ("rotate", vec!["k"]), ("expire", vec!["k"]), ("list", vec![])]
    {
        let said = keys.run(action, &args).fails(1);
        assert!(said.contains("client.keys\" cannot be read: No such file"), "{action}: {said}");
    }
    let said = keys.run("import", &["/nowhere"]).fails(1);
    assert!(said.contains("\"/nowhere/status.map\" cannot be read: No such file"), "{said}");
    let names = fs::read_dir(keys.folder.path()).unwrap().count();
    assert_eq!(names, 0, "no lock is left");
    let file = keys.folder.path().join("none/client.keys");
    let file = file.to_str().unwrap();
    let args = ["key", "issue", "--file", file, "--id", "a", "--org", "o", "--project", "p"];
    let said = llmctl(&[&args[..], &["--client", "c"]].concat()).fails(1);
    assert!(said.contains("cannot be made: there is no folder"), "{said}");
}

fn write_maps(folder: &Path, files: &[(&str, &str)]) {
    for (name, text) in files {
        fs::write(folder.join(format!("{name}.map")), text).unwrap();
    }
}

const MAPS: [(&str, &str); 6] = [
    (
        "status",
        "da-sk-acme-ai-platform.one active;\nda-sk-other.two suspended;\n\"da-sk-old.three\" revoked;\n",
    ),
    ("key-id", "da-sk-acme-ai-platform.one da-sk-acme-ai-platform;\n"),
    ("org-slug", "da-sk-acme-ai-platform.one acme;\n"),
    ("project-slug", "da-sk-acme-ai-platform.one ai-platform;\n"),
    ("client-id", "da-sk-acme-ai-platform.one 30000000-0000-0001-0001-000000000001;\n"),
    ("tier", "# tiers\nda-sk-acme-ai-platform.one basic;\n"),
];

#[test]
fn the_issuers_maps_are_taken_over_and_their_credentials_work() {
    let keys = Keys::new();
    let maps = tempfile::tempdir().unwrap();
    write_maps(maps.path(), &MAPS);
    let folder = maps.path().to_str().unwrap();
    let run = keys.run("import", &[folder]);
    assert!(run.error.contains("3 of them have short secrets"), "{run:?}");
    assert!(run.ok().starts_with("3 keys imported"));
    for (credential, word) in [
        ("da-sk-acme-ai-platform.one", "active"),
        ("da-sk-other.two", "suspended"),
        ("da-sk-old.three", "revoked"),
        ("da-sk-old.four", "unknown"),
    ] {
        assert_eq!(keys.verdict(credential), word);
    }
    assert!(keys.text().contains("org=acme project=ai-platform"), "{}", keys.text());
    let said = keys.run("import", &[folder]).fails(1);
    assert!(said.contains("add --replace"), "{said}");
    keys.run("import", &[folder, "--replace"]).ok();
    write_maps(maps.path(), &[("status", "da-sk-acme-ai-platform-one live;\n")]);
    let said = keys.run("import", &[folder, "--replace"]).fails(1);
    assert!(said.contains("is not <id>.<secret>") && !said.contains("platform-one"), "{said}");
    write_maps(maps.path(), &[("status", "k.hidden-secret\n")]);
    let said = keys.run("import", &[folder, "--replace"]).fails(1);
    assert!(said.contains("status.map:") && !said.contains("hidden-secret"), "{said}");
}

#[test]
fn commands_at_the_same_time_lose_no_key() {
    let keys = Keys::new();
    std::thread::scope(|scope| {
        for number in 0..8 {
            let keys = &keys;
            scope.spawn(move || keys.issue(&format!("k-{number}"), &[]));
        }
    });
    assert_eq!(Table::parse(keys.text().as_bytes()).unwrap().clients().len(), 8);
}

/// Only root can give files away, and only root's files are closed to nginx's workers.
#[test]
fn a_key_file_belongs_to_the_group_of_its_folder() {
    use std::os::unix::fs::{MetadataExt, chown};
    if !rustix::process::geteuid().is_root() {
        return;
    }
    let keys = Keys::new();
    chown(keys.folder.path(), None, Some(34)).unwrap();
    keys.issue("first", &[]);
    let suspended = keys.run("suspend", &["first"]);
    assert_eq!(fs::metadata(keys.path()).unwrap().gid(), 34, "also when it is written again");
    assert!(!suspended.error.contains("chgrp"), "{suspended:?}");
    chown(keys.path(), None, Some(0)).unwrap();
    let said = keys.run("resume", &["first"]).error;
    assert!(
        said.contains("workers do not see the change") && said.contains("run: chgrp "),
        "{said}"
    );
}
