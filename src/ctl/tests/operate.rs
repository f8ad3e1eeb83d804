//! Do the commands that look at a running gateway show what there is, and no secret?

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test fails by panicking; what tests share is not seen as a test"
)]

mod common;

use std::fs;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpListener;
use std::path::Path;
use std::thread::JoinHandle;

use common::{command, data, llmctl, run};
use rusqlite::Connection;

const STATUS: &str = r#"{"providers":[{"name":"deepseek","state":"benched","benched_until":"2026-11-21T14:00:00Z",
 "latency_ms":212,"success_ratio":0.875,"keys":[{"id":"env:DEEPSEEK_API_KEY","state":"ok"}]}],
 "limits":[],"budgets":[{"scope":"project","id":"ai-platform","unit":"usd","limit":"800","spent":"12.5",
 "reserved":"0","resets_at":"2026-12-01T00:00:00Z"}],"journal":{"events":3,"bytes":900,"oldest_seconds":1},
 "recent":[{"event_id":"e1","time":"2026-11-21T13:59:00Z","status":200,"chain":"deepseek/x\u001b[2J:429:9ms"}]}"#;

/// A gateway that gives one answer to each of the requests, and tells their first lines.
fn gateway(answers: Vec<(u16, &'static str)>) -> (String, JoinHandle<Vec<String>>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}/llm/status", listener.local_addr().unwrap());
    let thread = std::thread::spawn(move || {
        let mut seen = Vec::new();
        for (status, body) in answers {
            let (mut stream, _) = listener.accept().unwrap();
            let mut reader = BufReader::new(stream.try_clone().unwrap());
            let mut lines = Vec::new();
            loop {
                let mut line = String::new();
                reader.read_line(&mut line).unwrap();
                if line.trim().is_empty() {
                    break;
                }
                lines.push(line.trim().to_owned());
            }
            seen.push(lines[0].clone());
            let length = body.len();
            write!(
                stream,
                "HTTP/1.1 {status} X\r\nContent-Length: {length}\r\nConnection: close\r\n\r\n{body}"
            )
            .unwrap();
        }
        seen
    });
    (url, thread)
}

#[test]
fn top_shows_the_gateway_and_keeps_the_terminal_safe() {
    let (url, thread) = gateway(vec![(200, STATUS)]);
    let out = llmctl(&["top", "--once", "--status", &url]).ok();
    assert_eq!(thread.join().unwrap(), ["GET /llm/status/json HTTP/1.1"]);
    for word in
        ["deepseek", "benched", "87.5%", "env:DEEPSEEK_API_KEY:ok", "800", "12.5", "events 3", "e1"]
    {
        assert!(out.contains(word), "{word}: {out}");
    }
    assert!(!out.contains('\u{1b}'), "no colour and no control character into a pipe");
    let (url, thread) = gateway(vec![(200, "<html>")]);
    let said = llmctl(&["top", "--once", "--status", &url]).fails(1);
    assert!(said.contains("no status of a gateway"), "{said}");
    thread.join().unwrap();
    let said = llmctl(&["top", "--once", "--status", "http://127.0.0.1:1/x"]).fails(1);
    assert!(said.contains("does not answer"), "{said}");
}

#[test]
fn providers_are_probed_drained_and_undrained() {
    let (url, thread) = gateway(vec![
        (200, r#"{"provider":"deepseek","state":"up","result":"ok","status":200,"latency_ms":42}"#),
        (
            200,
            r#"{"provider":"deepseek","state":"drained","result":"ok","status":401,"latency_ms":7}"#,
        ),
        (
            200,
            r#"{"provider":"deepseek","state":"benched","result":"bad_status","status":503,"latency_ms":9}"#,
        ),
        (
            200,
            r#"{"provider":"deepseek","state":"benched","result":"connect","status":null,"latency_ms":0}"#,
        ),
        (
            200,
            r#"{"provider":"deepseek","state":"benched","result":"timeout","status":null,"latency_ms":2000}"#,
        ),
        (200, r#"{"provider":"deepseek","state":"up"}"#),
        (409, r#"{"error":{"message":"provider \"deepseek\" has no \"llm_fallback_probe\""}}"#),
        (200, r#"{"provider":"deepseek","state":"drained"}"#),
        (404, r#"{"error":{"message":"provider \"x\" is unknown"}}"#),
    ]);
    let ask = |action: &str, name: &str| llmctl(&[action, name, "--status", &url]);
    assert_eq!(
        ask("probe", "deepseek").ok(),
        "provider \"deepseek\" works, it answered with 200 within 42 ms; requests go to it\n"
    );
    assert_eq!(
        ask("probe", "deepseek").ok(),
        "provider \"deepseek\" works, it answered with 401 within 7 ms; it is drained, undrain puts it \
         back\n"
    );
    for says in [
        "does not work, it answered with 503 within 9 ms; it is benched until a probe goes well",
        "does not work, there was no connection within 0 ms",
        "does not work, it did not answer within 2000 ms",
    ] {
        let run = ask("probe", "deepseek");
        assert_eq!(run.status, 1, "{says}");
        assert!(run.out.contains(says), "{says}: {}", run.out);
    }
    let said = ask("probe", "deepseek").fails(1);
    assert!(said.contains("tells no result of a probe"), "{said}");
    let said = ask("probe", "deepseek").fails(1);
    assert!(
        said.contains("answers 409: provider \"deepseek\" has no \"llm_fallback_probe\""),
        "{said}"
    );
    assert_eq!(ask("drain", "deepseek").ok(), "provider \"deepseek\": drained\n");
    let said = ask("undrain", "x").fails(1);
    assert!(said.contains("answers 404: provider \"x\" is unknown"), "{said}");
    assert_eq!(
        thread.join().unwrap(),
        [
            "POST /llm/status/probe?provider=deepseek HTTP/1.1",
            "POST /llm/status/probe?provider=deepseek HTTP/1.1",
            "POST /llm/status/probe?provider=deepseek HTTP/1.1",
            "POST /llm/status/probe?provider=deepseek HTTP/1.1",
            "POST /llm/status/probe?provider=deepseek HTTP/1.1",
            "POST /llm/status/probe?provider=deepseek HTTP/1.1",
            "POST /llm/status/probe?provider=deepseek HTTP/1.1",
            "POST /llm/status/drain?provider=deepseek HTTP/1.1",
            "POST /llm/status/undrain?provider=x HTTP/1.1",
        ]
    );
    assert!(ask("drain", "a&b=c").fails(1).contains("no provider's name"));
}

fn database(folder: &Path) -> String {
    let path = folder.join("cost.db");
    let database = Connection::open(&path).unwrap();
    database
        .execute_batch(
            "CREATE TABLE llm_cost_events (event_id TEXT PRIMARY KEY, provider TEXT, model TEXT,
             cost_unit TEXT, prompt_tokens INTEGER, completion_tokens INTEGER, total_cost TEXT,
             status TEXT, identity TEXT, org TEXT, project TEXT, client TEXT, tag TEXT, created_at TEXT);",
        )
        .unwrap();
    for (id, model, unit, tokens, cost, project, day) in [
        (
            "1",
            "deepseek-v4-pro",
            "usd",
            100,
            Some("0.10000000"),
            Some("web"),
            "2026-11-01 00:00:00.000",
        ),
        (
            "2",
            "deepseek-v4-pro",
            "usd",
            200,
            Some("0.200000000001"),
            Some("web"),
            "2026-11-01 23:59:59.999",
        ),
        (
            "3",
            "mimo-v2.5-pro",
            "credit",
            5,
            Some("90000000.5"),
            Some("web"),
            "2026-11-02 00:00:00.000",
        ),
        ("4", "=cmd", "usd", 1, None, None, "2026-11-03 00:00:00.000"),
    ] {
        database
            .execute(
                "INSERT INTO llm_cost_events VALUES (?1, 'p', ?2, ?3, ?4, ?4, ?5, 'recorded', 'k', 'acme', ?6, 'c', NULL, ?7)",
                rusqlite::params![id, model, unit, tokens, cost, project, day],
            )
            .unwrap();
    }
    path.to_str().unwrap().to_owned()
}

#[test]
fn spend_adds_exactly_and_never_across_units() {
    let folder = tempfile::tempdir().unwrap();
    let db = database(folder.path());
    let spend = |args: &[&str]| {
        let mut all = vec!["spend", "--db", &db];
        all.extend(args);
        llmctl(&all).ok()
    };
    let json = spend(&["--by", "project", "--format", "json"]);
    let rows: serde_json::Value = serde_json::from_str(&json).unwrap();
    let web = |unit: &str| {
        let mut rows = rows.as_array().unwrap().iter();
        rows.find(|row| row["project"] == "web" && row["unit"] == unit).unwrap().clone()
    };
    assert_eq!(web("usd")["cost"], "0.300000000001");
    assert_eq!((&web("usd")["requests"], &web("usd")["input_tokens"]), (&2.into(), &300.into()));
    assert_eq!(web("credit")["cost"], "90000000.50000000");

    let csv = spend(&["--by", "day,model", "--format", "csv"]);
    assert_eq!(
        csv,
        "day,model,unit,requests,input_tokens,output_tokens,cost\n\
         2026-11-01,deepseek-v4-pro,usd,2,300,300,0.300000000001\n\
         2026-11-02,mimo-v2.5-pro,credit,1,5,5,90000000.50000000\n\
         2026-11-03,'=cmd,usd,1,1,1,0.00000000\n"
    );
    let october = spend(&["--by", "day", "--until", "2026-11-01", "--format", "csv"]);
    assert_eq!(october.lines().count(), 1, "{october}");
    let second = spend(&[
        "--by",
        "day",
        "--since",
        "2026-11-02",
        "--until",
        "2026-11-03",
        "--format",
        "csv",
    ]);
    assert!(second.ends_with("2026-11-02,credit,1,5,5,90000000.50000000\n"), "{second}");
    let table = spend(&[]);
    assert!(table.contains("PROJECT") && table.contains("0.300000000001"), "{table}");
    let chart = spend(&["--by", "day", "--format", "chart"]);
    assert!(chart.contains(&"█".repeat(40)) && chart.contains("credit\n"), "{chart}");

    let said = llmctl(&["spend", "--db", "/nowhere/cost.db"]).fails(1);
    assert!(said.contains("does not exist"), "{said}");
    let said = llmctl(&["spend", "--db", &db, "--table", "x; DROP TABLE y"]).fails(1);
    assert!(said.contains("invalid table"), "{said}");
    let said = llmctl(&["spend", "--db", "host=127.0.0.1 port=1 password=hunter2"]).fails(1);
    assert!(said.contains("does not answer") && !said.contains("hunter2"), "{said}");
}

#[test]
fn doctor_collects_without_secrets() {
    let folder = tempfile::tempdir().unwrap();
    let root = folder.path().join("root");
    let nginx = folder.path().join("nginx");
    fs::write(&nginx, "#!/bin/sh\n[ \"$1\" = -V ] && echo 'nginx version: test' >&2\nexit 0\n")
        .unwrap();
    fs::set_permissions(&nginx, std::os::unix::fs::PermissionsExt::from_mode(0o755)).unwrap();
    run(command()
        .arg("publish")
        .arg(data("meter-fallback.yaml"))
        .arg("--root")
        .arg(&root)
        .arg("--nginx")
        .arg(&nginx))
    .ok();
    let secret = "sk-live-0123456789abcdef";
    fs::write(root.join("logs/error.log"), format!("upstream said: Bearer {secret}\n")).unwrap();
    let keys = root.join("client.keys");
    let issue =
        ["key", "issue", "--id", "k", "--org", "a", "--project", "b", "--client", "c", "--file"];
    let credential = run(command().args(issue).arg(&keys)).ok();
    let (url, thread) = gateway(vec![(200, STATUS)]);
    let archive = folder.path().join("problem.tar.gz");
    run(command()
        .arg("doctor")
        .arg("--root")
        .arg(&root)
        .arg("--nginx")
        .arg(&nginx)
        .args(["--status", &url, "-o"])
        .arg(&archive))
    .ok();
    thread.join().unwrap();
    let file = fs::File::open(&archive).unwrap();
    let mut tar = tar::Archive::new(flate2::read::GzDecoder::new(file));
    let mut all = String::new();
    let mut names = Vec::new();
    for entry in tar.entries().unwrap() {
        let mut entry = entry.unwrap();
        names.push(entry.path().unwrap().display().to_string());
        entry.read_to_string(&mut all).unwrap();
    }
    for name in [
        "current/nginx.conf",
        "current/manifest.yaml",
        "nginx.txt",
        "status.json",
        "audit.log",
        "keys.txt",
        "error.log",
    ] {
        assert!(names.contains(&format!("llmctl-doctor/{name}")), "{names:?}");
    }
    assert!(all.contains("upstream said: Bearer ***") && all.contains("active: 1"), "{all}");
    assert!(all.contains("env:DEEPSEEK_API_KEY") && all.contains("nginx version: test"));
    let (_, own) = credential.trim().rsplit_once('.').unwrap();
    let hash = fs::read_to_string(&keys).unwrap();
    let hash =
        hash.lines().nth(1).unwrap().split_once(':').unwrap().1.get(..64).unwrap().to_owned();
    for secret in [secret, own, &hash] {
        assert!(!all.contains(secret), "{secret}");
    }
}

#[test]
fn help_teaches_with_examples() {
    let all = llmctl(&["--help"]).ok();
    for name in [
        "render",
        "check",
        "diff",
        "publish",
        "history",
        "rollback",
        "audit",
        "spend",
        "top",
        "doctor",
        "probe",
        "drain",
        "undrain",
        "schema",
        "completions",
        "man",
    ] {
        assert!(all.contains(&format!("\n  {name} ")), "{name}: {all}");
        let help = llmctl(&[name, "--help"]).ok();
        let needs_example = name != "schema";
        assert!(!needs_example || help.contains("Example"), "{name}: {help}");
        assert!(!help.contains('\u{1b}'), "colours are for terminals");
    }
    for name in ["issue", "rotate", "expire", "import"] {
        assert!(llmctl(&["key", name, "--help"]).ok().contains("Example"), "{name}");
    }
    for shell in ["bash", "zsh", "fish"] {
        assert!(llmctl(&["completions", shell]).ok().contains("rollback"));
    }
    let folder = tempfile::tempdir().unwrap();
    run(command().arg("man").arg(folder.path())).ok();
    let page = fs::read_to_string(folder.path().join("llmctl-publish.1")).unwrap();
    assert!(page.contains("rename makes it current"), "{page}");
    assert_eq!(llmctl(&["no-such-command"]).status, 2);
}
