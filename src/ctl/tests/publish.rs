//! Do configurations come into use and back, whatever fails on the way? With a real nginx that is
//! reloaded by signal and asked over HTTP; it serves the revision's status part, which needs no module.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test fails by panicking; what tests share is not seen as a test"
)]

mod common;

use std::fs;
use std::net::TcpListener;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use common::{Run, command, data, run};

const NGINX: &str = "/usr/sbin/nginx";

/// A root with an nginx of its own.
struct World {
    folder: tempfile::TempDir,
    port: u16,
    nginx: Option<Child>,
}

impl World {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        fs::set_permissions(folder.path(), fs::Permissions::from_mode(0o755)).unwrap();
        let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let world = Self { folder, port, nginx: None };
        let root = world.root();
        let status = format!("{}/current/status.conf", root.display());
        world.write_main("run.conf", &status);
        // What "nginx -t" is asked about a revision: its status part.
        let script = format!(
            "#!/bin/sh\nset -e\nfor last; do :; done\ndir=$(dirname \"$last\")\n\
             [ ! -e '{0}/refuse' ] || {{ echo 'nginx: [emerg] refused for a test' >&2; exit 1; }}\n\
             sed \"s|{1}|$dir/status.conf|\" '{0}/run.conf' > '{0}/test.conf'\n\
             exec {NGINX} -t -q -p '{0}/' -c '{0}/test.conf'\n",
            world.folder.path().display(),
            status,
        );
        let path = world.script();
        fs::write(&path, script).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
        world
    }

    fn write_main(&self, name: &str, include: &str) {
        let folder = self.folder.path().display();
        let root = self.root();
        let text = format!(
            "daemon off;\nmaster_process on;\npid {0}/run/nginx.pid;\nerror_log {folder}/error.log;\n\
             events {{}}\nhttp {{\naccess_log off;\nclient_body_temp_path {folder}/b;\n\
             proxy_temp_path {folder}/p;\nfastcgi_temp_path {folder}/f;\nuwsgi_temp_path {folder}/u;\n\
             scgi_temp_path {folder}/s;\ninclude {include};\ninclude {folder}/breaker*.conf;\n}}\n",
            root.display(),
        );
        fs::write(self.folder.path().join(name), text).unwrap();
    }

    fn script(&self) -> PathBuf {
        self.folder.path().join("nginx")
    }

    fn root(&self) -> PathBuf {
        self.folder.path().join("root")
    }

    /// The scenario without what needs the module in this nginx, and with some words replaced.
    fn manifest(&self, replacements: &[(&str, &str)]) -> PathBuf {
        let mut text = fs::read_to_string(data("meter-fallback.yaml")).unwrap();
        let listen = format!("  gateway:\n    status_listen: 127.0.0.1:{}\n", self.port);
        text = text.replace("  gateway:\n", &listen);
        text = text.replace(
            "  enabled_features:\n",
            "  enabled_features:\n    - { name: llm-status, enabled: false }\n    - { name: llm-metrics, enabled: false }\n",
        );
        for (old, new) in replacements {
            assert!(text.contains(old), "{old}");
            text = text.replacen(old, new, 1);
        }
        let path = self.folder.path().join("gateway.yaml");
        fs::write(&path, text).unwrap();
        path
    }

    fn command(&self, name: &str) -> Command {
        let mut command = command();
        command.arg(name).arg("--root").arg(self.root());
        if name == "publish" || name == "rollback" {
            command.arg("--nginx").arg(self.script()).args(["--wait", "2"]);
        }
        command
    }

    fn publish(&self, manifest: &Path, why: &str) -> Run {
        run(self.command("publish").arg(manifest).args(["-m", why]))
    }

    fn start(&mut self) {
        let child = Command::new(NGINX)
            .arg("-p")
            .arg(self.folder.path())
            .arg("-c")
            .arg(self.folder.path().join("run.conf"))
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        self.nginx = Some(child);
        let until = Instant::now() + Duration::from_secs(10);
        while self.answer().is_none() {
            assert!(Instant::now() < until, "nginx does not start");
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    /// The revision that answers.
    fn answer(&self) -> Option<String> {
        use std::io::{Read, Write};
        let mut stream = std::net::TcpStream::connect(("127.0.0.1", self.port)).ok()?;
        stream.write_all(b"GET /llm/revision HTTP/1.0\r\n\r\n").ok()?;
        let mut text = String::new();
        stream.read_to_string(&mut text).ok()?;
        text.split("\r\n\r\n").nth(1).map(|body| body.trim().to_owned())
    }

    fn current(&self) -> Option<String> {
        let target = fs::read_link(self.root().join("current")).ok()?;
        Some(target.display().to_string())
    }

    fn revisions(&self) -> Vec<String> {
        let entries = fs::read_dir(self.root().join("revisions")).unwrap();
        let mut names: Vec<_> =
            entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
        names.sort();
        names
    }
}

impl Drop for World {
    fn drop(&mut self) {
        let Some(mut child) = self.nginx.take() else { return };
        let id = i32::try_from(child.id()).unwrap();
        let pid = rustix::process::Pid::from_raw(id).unwrap();
        let _ = rustix::process::kill_process(pid, rustix::process::Signal::TERM);
        let _ = child.wait();
    }
}

#[test]
fn a_manifest_goes_into_use_and_back_in_seconds() {
    let mut world = World::new();
    let first = world.publish(&world.manifest(&[]), "first").ok();
    assert!(first.contains("nginx is not running, start it with: "), "{first}");
    assert_eq!(world.current().as_deref(), Some("revisions/0001"));
    world.start();
    assert_eq!(world.answer().as_deref(), Some("0001"));

    let cheaper = world.manifest(&[("input: 0.435", "input: 0.4")]);
    let said = world.publish(&cheaper, "new price").ok();
    assert!(
        said.contains("0.435 0.87 -> 0.4 0.87") && said.contains("revision 0002 answers"),
        "{said}"
    );
    assert_eq!(world.answer().as_deref(), Some("0002"));
    let again = world.publish(&cheaper, "again").ok();
    assert!(again.contains("revision 0002 says the same already"), "{again}");

    let started = Instant::now();
    let said = run(world.command("rollback").args(["-m", "price was wrong"])).ok();
    assert!(said.contains("revision 0001 answers"), "{said}");
    assert!(started.elapsed() < Duration::from_secs(5));
    assert_eq!(world.answer().as_deref(), Some("0001"));
    run(world.command("rollback").arg("2")).ok();
    assert_eq!(world.answer().as_deref(), Some("0002"));
    let said = run(world.command("rollback").arg("9")).fails(1);
    assert!(said.contains("there is no revision 0009"), "{said}");

    let history = run(&mut world.command("history")).ok();
    let current = history.lines().find(|line| line.trim_start().starts_with('*')).unwrap();
    assert!(current.contains("0002"), "{history}");
    assert!(history.contains("new price"), "{history}");
    let json = run(world.command("audit").args(["--format", "json"])).ok();
    let log: serde_json::Value = serde_json::from_str(&json).unwrap();
    assert_eq!(log["intact"], true);
    let lines = log["lines"].as_array().unwrap();
    assert_eq!(lines.len(), 4);
    assert_eq!(lines[2]["action"], "rollback");
    assert_eq!((&lines[2]["why"], &lines[2]["previous"]), (&"price was wrong".into(), &2.into()));
    assert!(lines[0]["who"].as_str().unwrap().starts_with("op@"), "{json}");
}

#[test]
fn a_reload_that_fails_half_way_leaves_the_old_revision_serving() {
    let mut world = World::new();
    world.publish(&world.manifest(&[]), "first").ok();
    world.start();
    // nginx -t is happy, the running nginx is not.
    let breaker = world.folder.path().join("breaker.conf");
    let script = fs::read_to_string(world.script()).unwrap();
    let with_breaker = script.replace("exec ", &format!("rm -f '{}'\n", breaker.display()))
        + &format!("echo 'broken_for_a_test;' > '{}'\n", breaker.display());
    fs::write(world.script(), with_breaker).unwrap();
    let cheaper = world.manifest(&[("input: 0.435", "input: 0.4")]);
    let run = world.publish(&cheaper, "breaks");
    let said = run.fails(1);
    assert!(said.contains("revision 0002 does not answer"), "{said}");
    assert!(said.contains("revision 0001 serves again"), "{said}");
    assert_eq!(world.current().as_deref(), Some("revisions/0001"));
    assert_eq!(world.answer().as_deref(), Some("0001"));
    assert_eq!(world.revisions(), ["0001"]);
    let audit = common::run(&mut world.command("audit")).ok();
    assert!(audit.contains("rolled back") && audit.contains("breaks"), "{audit}");
    // The number is not used again.
    fs::remove_file(&breaker).unwrap();
    fs::write(world.script(), script).unwrap();
    let said = world.publish(&cheaper, "works").ok();
    assert!(said.contains("revision 0003 answers"), "{said}");
}

#[test]
fn what_nginx_or_the_checks_refuse_changes_nothing() {
    let world = World::new();
    world.publish(&world.manifest(&[]), "first").ok();
    let bad = world.manifest(&[("input: 0.435", "input: -1")]);
    let said = world.publish(&bad, "bad").fails(1);
    assert!(said.contains("-1 is too small") && said.contains("nothing was changed"), "{said}");
    fs::write(world.folder.path().join("refuse"), "").unwrap();
    let said = world.publish(&world.manifest(&[("input: 0.435", "input: 1")]), "refused").fails(1);
    assert!(said.contains("nginx refuses revision 0002, nothing was changed: "), "{said}");
    assert!(said.contains("refused for a test"), "{said}");
    assert_eq!(world.current().as_deref(), Some("revisions/0001"));
    assert_eq!(world.revisions(), ["0001"]);
    fs::remove_file(world.folder.path().join("refuse")).unwrap();
    let dry = run(world
        .command("publish")
        .arg(world.manifest(&[("input: 0.435", "input: 1")]))
        .arg("--dry-run"))
    .ok();
    assert!(dry.contains("would be published"), "{dry}");
    assert_eq!(world.revisions(), ["0001"]);
}

#[test]
fn a_full_disk_leaves_no_half_revision() {
    let world = World::new();
    world.publish(&world.manifest(&[]), "first").ok();
    let manifest = world.manifest(&[("input: 0.435", "input: 0.4")]);
    // Files above 2 KiB cannot be written, as on a full disk.
    let mut shell = Command::new("/bin/sh");
    shell
        .arg("-c")
        .arg("trap '' XFSZ; ulimit -f 4; exec \"$@\"")
        .arg("sh")
        .arg(env!("CARGO_BIN_EXE_llmctl"))
        .arg("publish")
        .arg(&manifest)
        .arg("--root")
        .arg(world.root())
        .arg("--nginx")
        .arg(world.script());
    let said = run(&mut shell).fails(1);
    assert!(said.contains("cannot be written, nothing was changed"), "{said}");
    assert_eq!(world.revisions(), ["0001"], "no folder is left");
    assert_eq!(world.current().as_deref(), Some("revisions/0001"));
    world.publish(&manifest, "again").ok();
}

#[test]
fn a_log_that_cannot_be_written_takes_nothing_back_and_is_told() {
    let world = World::new();
    // The log alone is above the limit of the next command.
    world.publish(&world.manifest(&[]), &"first ".repeat(8000)).ok();
    let before = fs::read_to_string(world.root().join("audit.log")).unwrap();
    let manifest = world.manifest(&[("input: 0.435", "input: 0.4")]);
    let mut shell = Command::new("/bin/sh");
    shell
        .arg("-c")
        .arg("trap '' XFSZ; ulimit -f 64; exec \"$@\"")
        .arg("sh")
        .arg(env!("CARGO_BIN_EXE_llmctl"))
        .arg("publish")
        .arg(&manifest)
        .arg("--root")
        .arg(world.root())
        .arg("--nginx")
        .arg(world.script());
    let said = run(&mut shell).fails(1);
    assert!(said.contains("revision 0002 is current"), "{said}");
    assert!(said.contains("but this is not logged: audit log "), "{said}");
    assert_eq!(world.current().as_deref(), Some("revisions/0002"));
    assert_eq!(world.revisions(), ["0001", "0002"], "what is in use is not removed");
    assert_eq!(fs::read_to_string(world.root().join("audit.log")).unwrap(), before);
    run(&mut world.command("audit")).ok();
    let said = run(&mut world.command("rollback")).ok();
    assert!(said.contains("revision 0001 is current"), "{said}");
}

#[test]
fn who_only_looks_or_mistypes_leaves_nothing_behind() {
    let world = World::new();
    let said = world.publish(Path::new("gatway.yaml"), "typo").fails(1);
    assert!(said.contains("\"gatway.yaml\" cannot be read"), "{said}");
    let manifest = world.manifest(&[]);
    let said = run(world.command("publish").arg(&manifest).arg("--dry-run")).ok();
    assert!(said.contains("revision 0001 would be published"), "{said}");
    assert!(!world.root().exists(), "neither made the root");
    let said = run(&mut world.command("history")).fails(1);
    assert!(said.contains("is no root of publications, make one with: llmctl publish"), "{said}");
    let mut publish = command();
    publish.arg("publish").arg(&manifest).arg("--root").arg(world.root());
    let said = run(publish.args(["--nginx", "/nowhere/nginx"])).fails(1);
    assert!(
        said.contains("\"/nowhere/nginx\" cannot be started") && said.contains("--nginx"),
        "{said}"
    );
}

#[test]
fn a_root_without_revisions_says_how_to_go_on() {
    let world = World::new();
    fs::write(world.folder.path().join("refuse"), "").unwrap();
    world.publish(&world.manifest(&[]), "refused").fails(1);
    let said = run(&mut world.command("history")).ok();
    assert!(said.contains("nothing was published yet"), "{said}");
    let said = run(&mut world.command("rollback")).fails(1);
    assert!(said.contains("there is no revision before the current one"), "{said}");
    let said = run(&mut world.command("audit")).ok();
    assert!(said.contains("refused"), "{said}");
}

#[test]
fn only_one_publication_runs_at_a_time() {
    let world = World::new();
    world.publish(&world.manifest(&[]), "first").ok();
    let lock = fs::File::options().write(true).open(world.root().join("lock")).unwrap();
    rustix::fs::flock(&lock, rustix::fs::FlockOperation::LockExclusive).unwrap();
    let said = world.publish(&world.manifest(&[]), "second").fails(1);
    assert!(said.contains("another publication is at work"), "{said}");
    let said = run(&mut world.command("rollback")).fails(1);
    assert!(said.contains("another publication is at work"), "{said}");
}

#[test]
fn a_forged_audit_log_is_told() {
    let world = World::new();
    for price in ["0.435", "0.4", "0.3"] {
        world.publish(&world.manifest(&[("input: 0.435", &format!("input: {price}"))]), "why").ok();
    }
    let path = world.root().join("audit.log");
    let whole = fs::read_to_string(&path).unwrap();
    assert!(run(&mut world.command("audit")).ok().contains("3 lines, intact"));
    let lines: Vec<_> = whole.lines().collect();
    for (text, says) in [
        (whole.replacen("\"why\":\"why\"", "\"why\":\"because\"", 1), ":1: this line was changed"),
        (format!("{}\n{}\n", lines[0], lines[2]), ":2: a line before this one was removed"),
        (format!("{}\n{}\n", lines[0], lines[1]), ":2: lines behind this one were removed"),
        (format!("{whole}{{\n"), ":4: not a line of ours"),
    ] {
        fs::write(&path, text).unwrap();
        let said = run(&mut world.command("audit")).fails(1);
        assert!(said.contains("is not intact") && said.contains(says), "{says}: {said}");
    }
}
