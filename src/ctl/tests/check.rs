//! Does `llmctl check` find what is wrong, say where, and end with the right status?

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test fails by panicking; what tests share is not seen as a test"
)]

mod common;

use common::{changed, command, data, llmctl, run};

/// Checks a scenario with some words replaced; secrets are there.
fn found(replacements: &[(&str, &str)]) -> (i32, String) {
    let (_folder, path) = changed("meter-fallback.yaml", replacements);
    let mut command = command();
    command.env("DEEPSEEK_API_KEY", "k").env("MIMO_API_KEY", "k");
    let result = run(command.arg("check").arg(path));
    assert!(result.error.is_empty(), "{}", result.error);
    (result.status, result.out)
}

#[test]
fn broken_manifests_are_told_with_line_and_column() {
    for (old, new, place, says) in [
        ("customer:", "customer: [", ":3:3: ", "cannot be read"),
        (
            "      enabled: true",
            "      enabled: yes",
            ":13:7: error: deployment.enabled_features[0].enabled",
            "true or false",
        ),
        ("input: 0.435", "input: -0.435", ":30:", "-0.435 is too small"),
        ("input: 0.435", "input: 0.4350001", ":30:", "6 decimals"),
        ("input: 0.435", "input: 4e-1", ":30:", "digits and a point"),
        (
            "max_attempts: 2",
            "max_atempts: 2",
            "routes[0].fallback.max_atempts",
            "did you mean \"max_attempts\"",
        ),
        (
            "mode: basic",
            "mode: fast",
            "fallback.mode",
            "use one of \"basic\", \"health\", \"latency\"",
        ),
        (
            "provider: mimo\n            upstream",
            "provider: nimo\n            upstream",
            "secondary_providers[0].provider",
            "unknown provider \"nimo\"",
        ),
        (
            "upstream: mimo_server",
            "upstream: nimo_server",
            "secondary_providers[0].upstream",
            "unknown upstream",
        ),
        (
            "      - name: mimo_server",
            "      - name: deepseek_server",
            "upstreams[1].name",
            "duplicate upstream",
        ),
        ("monthly_spend_unit: usd", "notes: x", ":85:9: ", "duplicate field \"notes\""),
        (
            "model: deepseek-v4-flash, input: 0.14",
            "model: deepseek-v4-pro, input: 0.14",
            ":31:",
            "duplicate price",
        ),
        (
            "              - key_id: da-sk-acme-ai-platform\n",
            "              - key_id: da-sk-acme-ai-platform\n              - key_id: da-sk-acme-ai-platform\n",
            "api_keys[1].key_id",
            "duplicate key \"da-sk-acme-ai-platform\"",
        ),
        (
            "          - client_id:",
            "          - { client_id: \"30000000-0000-0001-0001-000000000001\" }\n          - client_id:",
            "clients[1].client_id",
            "duplicate client",
        ),
        (
            "      - project_id: \"30000000-0000-0000-0001-000000000001\"\n        project_slug",
            "      - { project_id: other, project_slug: ai-platform, clients: [] }\n      - project_id: \
             \"30000000-0000-0000-0001-000000000001\"\n        project_slug",
            "projects[1].project_slug",
            "duplicate project slug \"ai-platform\"",
        ),
        (
            "        monthly_spend_unit: usd\n",
            "",
            "quotas[0]",
            "field \"monthly_spend_unit\" is missing, add it",
        ),
        (
            "model_allowlist:\n          - deepseek-v4-pro",
            "model_allowlist:\n          - gpt-4",
            "model_allowlist[0]",
            "not in the catalog",
        ),
        ("scope_type: project", "scope_type: team", "scope_type", "use one of"),
        (
            "environment_id: acme-prod\n    status",
            "environment_id: acme-test\n    status",
            "organizations[0].environment_id",
            "the deployment is in \"acme-prod\"",
        ),
        (
            "- project_id: \"30000000-0000-0000-0001-000000000001\"",
            "- project_id: other",
            "quotas[0].project_id",
            "no project with the id",
        ),
        (
            "on: [connect_error",
            "on: [conect_error",
            "fallback.on",
            "unknown failure class \"conect_error\"",
        ),
        (
            "route: [deepseek, mimo, mimo-v2.5-pro]",
            "route: [[deepseek, mimo, mimo-v2.5-pro], [mimo, deepseek, deepseek-v4-pro]]",
            "fallback.route",
            "cyclic fallback graph",
        ),
        (
            "route: [deepseek, mimo, mimo-v2.5-pro]",
            "route: [deepseek, other]",
            "fallback.route",
            "\"other\" is unknown",
        ),
        (
            "      - provider: mimo\n        api_key: env:MIMO_API_KEY\n",
            "",
            "routes[0].location",
            "provider \"mimo\" has no credential",
        ),
        (
            "    - name: llm-cost\n      enabled: true",
            "    - name: llm-cost\n      enabled: false",
            "quotas[0].monthly_spend_limit",
            "a cap needs prices",
        ),
    ] {
        let (status, out) = found(&[(old, new)]);
        assert_eq!(status, 1, "{new}: {out}");
        let line = out.lines().find(|line| line.contains(says));
        let line = line.unwrap_or_else(|| panic!("{new}: {out}"));
        assert!(line.contains(place), "{new}: {line}");
    }
}

#[test]
fn the_seeds_own_conflict_is_a_warning_with_its_path() {
    let (status, out) = found(&[]);
    assert_eq!(status, 0, "{out}");
    let line = out.lines().find(|line| line.contains("[allowlist_conflict]")).unwrap();
    assert!(
        line.contains(":97:9: warning: organizations[0].quotas[2].model_allowlist: "),
        "{line}"
    );
    assert!(line.contains("\"mimo-v2.5-pro\", \"mimo-v2.5\""), "{line}");
    // Whoever states the models has decided.
    let (_, out) = found(&[(
        "        status: active\n        clients:",
        "        models: [\"deepseek-*\", \"mimo-*\"]\n        clients:",
    )]);
    assert!(!out.contains("allowlist_conflict"), "{out}");
}

#[test]
fn what_can_never_happen_is_a_warning() {
    for (replacements, code, says) in [
        (
            &[("monthly_spend_unit: credit", "monthly_spend_unit: eur")][..],
            "cap_never_binds",
            "no provider here has prices in \"eur\"",
        ),
        (
            &[
                (
                    "          - { provider: mimo, model: mimo-v2.5-pro, input: 300, output: 600 }\n",
                    "",
                ),
                ("          - { provider: mimo, model: mimo-v2.5-pro, cache_read: 2.5 }\n", ""),
            ],
            "unpriced_model",
            "model \"mimo-v2.5-pro\" of provider \"mimo\" has no price, so that its requests are refused",
        ),
        (
            &[("max_attempts: 2", "max_attempts: 1")],
            "unreachable_fallback",
            "llm_fallback_max_attempts 1 ends it",
        ),
        (
            &[("route: [deepseek, mimo, mimo-v2.5-pro]", "route: [deepseek, mimo]")],
            "unreachable_fallback",
            "would be asked for \"deepseek-v4-flash\"",
        ),
        (&[("monthly_spend_limit: 800", "monthly_spend_limit: 0")], "cap_refuses_all", "refuses"),
        (
            &[(
                "    - name: llm-fallback\n      enabled: true",
                "    - name: llm-fallback\n      enabled: false",
            )],
            "contradiction",
            "llm-fallback is not enabled",
        ),
    ] {
        let (status, out) = found(replacements);
        assert_eq!(status, 0, "{out}");
        let line =
            out.lines().find(|line| line.contains(says)).unwrap_or_else(|| panic!("{says}: {out}"));
        assert!(line.contains(&format!("[{code}]")), "{line}");
    }
}

#[test]
fn secrets_that_are_missing_are_told_without_being_shown() {
    let path = data("meter-fallback.yaml");
    let out = llmctl(&["check".as_ref(), path.as_os_str()]).ok();
    assert!(out.contains("\"DEEPSEEK_API_KEY\" is not set here"), "{out}");
    let (_folder, path) =
        changed("meter-fallback.yaml", &[("env:MIMO_API_KEY", "file:/nowhere/mimo.key")]);
    let out = llmctl(&["check".as_ref(), path.as_os_str()]).fails(1);
    assert!(out.contains("\"/nowhere/mimo.key\" cannot be read"), "{out}");
}

#[test]
fn pipelines_get_a_status_and_json() {
    let path = data("meter-fallback.yaml");
    let path = path.to_str().unwrap();
    assert_eq!(llmctl(&["check", path]).status, 0);
    assert_eq!(llmctl(&["check", path, "--strict"]).status, 2);
    let run = llmctl(&["check", path, "--strict", "--format", "json"]);
    assert_eq!(run.status, 2);
    let document: serde_json::Value = serde_json::from_str(&run.out).unwrap();
    assert_eq!(document["errors"], 0);
    let findings = document["findings"].as_array().unwrap();
    let conflict = findings.iter().find(|f| f["code"] == "allowlist_conflict").unwrap();
    assert_eq!(conflict["path"], "organizations[0].quotas[2].model_allowlist");
    assert_eq!((conflict["line"].as_u64(), &conflict["severity"]), (Some(97), &"warning".into()));
    assert_eq!(llmctl(&["check", "/nowhere"]).status, 1);
}

#[test]
fn configurations_that_people_wrote_are_checked_too() {
    let folder = tempfile::tempdir().unwrap();
    let main = folder.path().join("nginx.conf");
    let write = |location: &str| {
        let text = format!(
            "http {{\n  upstream a {{ server 127.0.0.1:1; }}\n  server {{\n    location / {{\n\
             llm_proxy;\nllm_proxy_route p a;\nllm_proxy_model_pattern m p;\n{location}\n}}\n}}\n}}\n"
        );
        std::fs::write(&main, text).unwrap();
        llmctl(&["check".as_ref(), folder.path().as_os_str()])
    };
    for (lines, at, status, says) in [
        ("", 0, 0, "is clean"),
        ("llm_proxy_rout p b;", 8, 1, "did you mean \"llm_proxy_route\"?"),
        ("llm_proxy_default_provider;", 8, 1, "invalid number of arguments"),
        ("llm_proxy_route p;", 6, 1, "llm_proxy_route"),
        ("llm_fallback_zone z 1m;", 8, 1, "not allowed in location"),
        (
            "llm_proxy_route q a;\nllm_fallback;\nllm_fallback_route p q;\nproxy_next_upstream off;",
            11,
            0,
            "forbids what llm_fallback_route asks for",
        ),
        (
            "llm_proxy_route q a;\nllm_fallback;\nllm_fallback_route p q;\nproxy_next_upstream_tries 1;",
            11,
            0,
            "ends the chain",
        ),
        ("llm_proxy_route q a;\nllm_fallback_route p q;", 9, 0, "llm_fallback is off"),
        (
            "llm_auth;\nllm_auth_credential p sk-plain-0123;",
            9,
            0,
            "the secret stands in the configuration",
        ),
        ("llm_auth;", 4, 1, "provider \"p\" has no credential"),
        (
            "llm_ratelimit;\nllm_ratelimit_key $a;\nllm_ratelimit_model_rpm other 5;",
            10,
            0,
            "never binds",
        ),
        ("llm_ratelimit_requests_per_minute 5;", 8, 0, "llm_ratelimit is off"),
        (
            "proxy_ssl_trusted_certificate /nowhere/ca.pem;",
            8,
            1,
            "\"/nowhere/ca.pem\" does not exist",
        ),
        ("llm_proxy", 9, 1, "not closed by \";\""),
    ] {
        let run = write(lines);
        let text = format!("{}{}", run.out, run.error);
        assert_eq!(run.status, status, "{lines}: {text}");
        let line = text
            .lines()
            .find(|line| line.contains(says))
            .unwrap_or_else(|| panic!("{says}: {text}"));
        assert!(
            at == 0
                || line.contains(&format!("nginx.conf:{at}: "))
                || lines.starts_with("llm_proxy_route p;"),
            "{line}"
        );
        assert!(!text.contains("sk-plain"), "{text}");
    }
}

#[test]
fn the_schema_is_published() {
    let out = llmctl(&["schema"]).ok();
    let schema: serde_json::Value = serde_json::from_str(&out).unwrap();
    assert_eq!(schema["$schema"], "https://json-schema.org/draft/2020-12/schema");
}
