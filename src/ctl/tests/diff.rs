//! Does `llmctl diff` tell what changes, and nothing else?

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test fails by panicking; what tests share is not seen as a test"
)]

mod common;

use common::{changed, data, llmctl};

fn diff(replacements: &[(&str, &str)], format: &str) -> (i32, String) {
    let (_folder, path) = changed("meter-fallback.yaml", replacements);
    let old = data("meter-fallback.yaml");
    let run = llmctl(&["diff", old.to_str().unwrap(), path.to_str().unwrap(), "--format", format]);
    assert!(run.error.is_empty(), "{}", run.error);
    (run.status, run.out)
}

#[test]
fn the_same_in_other_words_is_no_difference() {
    let (yaml, json) = (data("meter-fallback.yaml"), data("meter-fallback.json"));
    let run = llmctl(&["diff".as_ref(), yaml.as_os_str(), json.as_os_str()]);
    assert_eq!((run.status, run.out.as_str()), (0, ""));
    let (status, out) =
        diff(&[("cache_read: 2.0", "cache_read: 2"), ("notes: retry", "notes: try")], "text");
    assert_eq!((status, out.as_str()), (0, ""));
}

#[test]
fn each_kind_of_change_is_told_in_its_place() {
    for (replacements, says) in [
        (
            &[("input: 0.435, output: 0.87", "input: 0.4, output: 0.87")][..],
            "prices\n  ~ llm_cost_rate deepseek deepseek-v4-pro: 0.435 0.87 -> 0.4 0.87\n",
        ),
        (
            &[("monthly_spend_limit: 800", "monthly_spend_limit: 900")],
            "caps\n  ~ ai-platform.gateway.internal /v1/chat/completions: llm_ratelimit_spend_scope \
             project usd: $llm_client_org $llm_client_project 800 -> $llm_client_org \
             $llm_client_project 900\n",
        ),
        (
            &[("rpm_limit: 300", "rpm_limit: 200")],
            "limits\n  ~ ai-platform.gateway.internal /v1/chat/completions: llm_ratelimit_model_rpm \
             deepseek-v4-flash: 300 -> 200\n",
        ),
        (
            &[("max_attempts: 2", "max_attempts: 3")],
            "routes\n  ~ ai-platform.gateway.internal /v1/chat/completions: \
             llm_fallback_max_attempts: 2 -> 3\n",
        ),
        (
            &[("tier: basic", "tier: gold")],
            "keys\n  ~ key da-sk-acme-ai-platform: org=acme project=ai-platform \
             client=30000000-0000-0001-0001-000000000001 tier=basic status=active -> ",
        ),
        (
            &[("        project_name:", "        models: [\"deepseek-*\"]\n        project_name:")],
            "models\n  - ai-platform.gateway.internal /v1/chat/completions: \
             llm_proxy_model_pattern mimo-v2.5: mimo\n",
        ),
        (
            &[("server: api.deepseek.com:443", "server: eu.deepseek.com:443")],
            "routes\n  ~ upstream deepseek_server server: api.deepseek.com:443 -> \
             eu.deepseek.com:443\n",
        ),
        (
            &[("env:MIMO_API_KEY", "env:MIMO_KEY")],
            "keys\n  - ai-platform.gateway.internal /v1/chat/completions: llm_auth_credential mimo \
             env:MIMO_API_KEY\n  + ai-platform.gateway.internal /v1/chat/completions: \
             llm_auth_credential mimo env:MIMO_KEY\n",
        ),
    ] {
        let (status, out) = diff(replacements, "text");
        assert_eq!(status, 1, "{out}");
        assert!(out.contains(says), "{says}\n{out}");
    }
}

#[test]
fn programs_get_json_and_trouble_has_a_status_of_its_own() {
    let (status, out) = diff(&[("input: 0.435", "input: 0.4")], "json");
    assert_eq!(status, 1);
    let changes: serde_json::Value = serde_json::from_str(&out).unwrap();
    assert_eq!(changes.as_array().unwrap().len(), 1);
    assert_eq!(changes[0]["category"], "prices");
    assert_eq!(changes[0]["subject"], "llm_cost_rate deepseek deepseek-v4-pro");
    assert_eq!(
        (&changes[0]["old"], &changes[0]["new"]),
        (&"0.435 0.87".into(), &"0.4 0.87".into())
    );
    assert_eq!(llmctl(&["diff", "/nowhere", "/nowhere"]).status, 2);
    let (_folder, broken) = changed("meter-fallback.yaml", &[("customer:", "customer: [")]);
    let said = llmctl(&["diff".as_ref(), broken.as_os_str(), broken.as_os_str()]).fails(2);
    assert!(said.contains("see: llmctl check"), "{said}");
}
