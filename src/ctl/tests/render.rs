//! Does `llmctl render` make a configuration that says what the manifest says, and that nginx loads?

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test fails by panicking; what tests share is not seen as a test"
)]

mod common;

use std::path::{Path, PathBuf};
use std::process::Command;

use common::{changed, data, llmctl, run};

const MANIFESTS: [&str; 4] =
    ["meter-fallback.yaml", "per-model-quotas.yaml", "two-projects.yaml", "anthropic.yaml"];

fn rendered(name: &str) -> String {
    llmctl(&["render".as_ref(), data(name).as_os_str()]).ok()
}

/// The lines without comments and the space before them.
fn lines(text: &str) -> Vec<&str> {
    let code = |line: &'_ str| line.split("  # ").next().unwrap_or("").trim().len();
    text.lines()
        .map(|line| &line.trim()[..code(line)])
        .filter(|line| !line.is_empty() && !line.starts_with('#'))
        .collect()
}

#[test]
fn the_rendering_is_as_it_was_reviewed() {
    for name in MANIFESTS {
        let golden = data(name).with_extension("conf");
        // The defaults are the module's, and are told by its own reference.
        let text = rendered(name);
        let text = text.split("    # The manifest does not state these").next().unwrap();
        if std::env::var_os("LLMCTL_UPDATE_GOLDEN").is_some() {
            std::fs::write(&golden, text).unwrap();
        }
        let reviewed = std::fs::read_to_string(&golden).unwrap();
        assert!(reviewed == text, "{name}: set LLMCTL_UPDATE_GOLDEN=1 and look at the difference");
    }
}

#[test]
fn who_the_workers_are_is_stated_or_said_to_be_open() {
    let open = rendered("anthropic.yaml");
    assert!(open.contains("\n# user www-data;\n") && !lines(&open).contains(&"user www-data;"));
    let manifest = data("anthropic.yaml");
    let stated =
        llmctl(&["render".as_ref(), manifest.as_os_str(), "--user".as_ref(), "www-data".as_ref()]);
    let stated = stated.ok();
    assert!(lines(&stated).contains(&"user www-data;") && !stated.contains("No user is stated"));
}

#[test]
fn yaml_and_json_render_the_same_and_always_the_same() {
    let yaml = rendered("meter-fallback.yaml");
    assert_eq!(yaml, rendered("meter-fallback.json"));
    assert_eq!(yaml, rendered("meter-fallback.yaml"));
}

#[test]
fn the_scenario_has_every_line_that_it_had_and_no_limit_that_nobody_stated() {
    let text = rendered("meter-fallback.yaml");
    let lines = lines(&text);
    for line in [
        "upstream deepseek_server {",
        "server api.deepseek.com:443;",
        "server token-plan-cn.xiaomimimo.com:443;",
        "keepalive 32;",
        "llm_cost_rate_card_version provider-standard-2026-06-08;",
        "llm_cost_rate_unit mimo credit;",
        "llm_cost_rate deepseek deepseek-v4-pro 0.435 0.87;",
        "llm_cost_rate mimo mimo-v2.5-pro 300 600;",
        "llm_cost_cached_rate deepseek deepseek-v4-pro 0.003625;",
        "llm_cost_cached_rate mimo mimo-v2.5 2;",
        "server_name ai-platform.gateway.internal;",
        "location /v1/chat/completions {",
        "llm_proxy_model_pattern deepseek-v4-flash deepseek;",
        "llm_proxy_default_provider deepseek;",
        "llm_fallback_mode basic;",
        "llm_fallback_route deepseek mimo mimo-v2.5-pro;",
        "llm_fallback_on connect_error transport_timeout upstream_5xx rate_limited;",
        "llm_fallback_max_attempts 2;",
        "llm_fallback_allow_streaming off;",
        "llm_auth_credential mimo env:MIMO_API_KEY;",
        "llm_auth_fail_closed on;",
        "llm_ratelimit_model_rpm deepseek-v4-pro 300;",
        "llm_ratelimit_model_tpm deepseek-v4-flash 250000;",
        "llm_ratelimit_spend_scope project usd $llm_client_org $llm_client_project 800;",
        "llm_ratelimit_spend_scope project credit $llm_client_org $llm_client_project 100000;",
        "llm_auth_client_scope org=acme project=ai-platform;",
        "proxy_pass https://$llm_provider_upstream;",
    ] {
        assert!(lines.contains(&line), "{line}\n{text}");
    }
    assert!(text.contains("ssl_name=token-plan-cn.xiaomimimo.com"), "SNI is the manifest's");
    for absent in
        ["requests_per_minute", "tokens_per_minute", "burst", "password", "ssl_verify=off"]
    {
        assert!(!lines.iter().any(|line| line.contains(absent)), "{absent}\n{text}");
    }
    assert!(text.contains("# llm_proxy_max_body_size 10m;"), "defaults are told");
    let stated = "llm_fallback_max_attempts 2;";
    let line = text.lines().find(|line| line.contains(stated)).unwrap();
    assert!(line.ends_with("# deployment.gateway.routes[0].fallback.max_attempts"), "{line}");
}

#[test]
fn projects_have_the_models_that_they_may_use() {
    let text = rendered("two-projects.yaml");
    let server = |name: &str| {
        let from = text.find(&format!("server_name {name}.llm.example.com;")).unwrap();
        let rest = &text[from..];
        &rest[..rest.find("\n    }\n").unwrap()]
    };
    let support = server("support");
    assert!(support.contains("llm_proxy_model_pattern gpt-5-mini openai;"), "{support}");
    assert!(support.contains("llm_proxy_model_alias fast openai/gpt-5-mini;"), "{support}");
    assert!(!support.contains("pattern gpt-5 ") && !support.contains("deepseek-*"), "{support}");
    let research = server("research");
    assert!(research.contains("pattern gpt-5 openai") && research.contains("deepseek-*"));
    assert!(research.contains("llm_auth_project_credential research openai env:"), "{research}");
    assert!(server("closed").contains("return 403;") && !server("closed").contains("llm_proxy;"));
}

#[test]
fn both_sdks_of_one_anthropic_provider_have_a_path() {
    let text = rendered("anthropic.yaml");
    let lines = lines(&text);
    assert!(lines.contains(&"location /v1/messages {"));
    assert!(lines.contains(&"llm_proxy_ingress_dialect openai;"));
    assert!(lines.contains(&"llm_proxy_route anthropic anthropic_server anthropic;"));
}

#[test]
fn a_quota_of_one_client_does_not_touch_the_others() {
    let text = rendered("per-model-quotas.yaml");
    let lines = lines(&text);
    for line in [
        "map $llm_client_id $llm_quota_0_4 {",
        "nightly nightly;",
        "llm_ratelimit_rule $llm_quota_0_4 requests 10/1m;",
        "llm_ratelimit_rule $llm_client_project concurrency 20;",
        "llm_ratelimit_spend_scope organization usd $llm_client_org 1500.5;",
    ] {
        assert!(lines.contains(&line), "{line}\n{text}");
    }
}

#[test]
fn the_issuers_maps_can_still_be_used() {
    let path = data("meter-fallback.yaml");
    let maps = "/runtime/generated/issuer";
    let args = ["render", path.to_str().unwrap(), "--client-auth", "maps", "--maps-dir", maps];
    let text = llmctl(&args).ok();
    for line in [
        "map $da_gateway_credential $da_client_auth_status {",
        "include /runtime/generated/issuer/status.map;",
        "if ($da_client_auth_project_slug != ai-platform) {",
        "set $gateway_key_id $da_client_auth_key_id;",
        "llm_ratelimit_spend_scope project usd $org_id $project_id 800;",
    ] {
        assert!(lines(&text).contains(&line), "{line}\n{text}");
    }
    assert!(!text.contains("llm_auth_client"), "{text}");
}

#[test]
fn parts_together_are_the_whole() {
    let folder = tempfile::tempdir().unwrap();
    let path = data("two-projects.yaml");
    let target = folder.path().to_str().unwrap();
    let said = llmctl(&["render", path.to_str().unwrap(), "-o", target]).ok();
    assert!(said.contains("7 files"), "{said}");
    for name in ["upstreams.conf", "project-support.conf", "status.conf", "nginx.conf"] {
        assert!(folder.path().join(name).is_file(), "{name}");
    }
    let same = llmctl(&["diff", target, path.to_str().unwrap()]);
    // The keys are in the manifest only.
    assert!(same.out.lines().skip(1).all(|line| line.starts_with("  + key ")), "{}", same.out);
}

#[test]
fn a_plaintext_secret_is_refused_and_not_repeated() {
    let secret = "sk-live-0123456789abcdef";
    let (_folder, path) = changed("meter-fallback.yaml", &[("env:DEEPSEEK_API_KEY", secret)]);
    for command in ["render", "check"] {
        let said = llmctl(&[command, path.to_str().unwrap()]).fails(1);
        assert!(said.contains("deployment.gateway.credentials[0].api_key"), "{said}");
        assert!(said.contains("write env:NAME or file:PATH"), "{said}");
        assert!(said.contains(":54:9: "), "{said}");
        assert!(!said.contains(secret), "{said}");
    }
    let (_folder, path) = changed(
        "meter-fallback.yaml",
        &[(
            "      - provider: mimo\n        api_key",
            "      - provider: sk-live-0123456789abcdef\n        api_key",
        )],
    );
    let said = llmctl(&["check", path.to_str().unwrap()]).fails(1);
    assert!(said.contains("unknown provider") && !said.contains(secret), "{said}");
}

#[test]
fn nginx_loads_every_rendering() {
    let (Some(nginx), Some(module)) = (nginx(), module()) else {
        eprintln!("skipped: there is no nginx or no module; t/llmctl_render.t tests the same");
        return;
    };
    for name in MANIFESTS {
        loads(&rendered(name), &nginx, &module);
    }
}

/// Loads a text without a word of complaint.
fn loads(text: &str, nginx: &Path, module: &Path) {
    let folder = tempfile::tempdir().unwrap();
    let prefix = format!("{}/", folder.path().display());
    let keys = folder.path().join("client.keys");
    std::fs::write(&keys, "llm-client-keys 1\nend 0\n").unwrap();
    std::fs::set_permissions(&keys, std::os::unix::fs::PermissionsExt::from_mode(0o600)).unwrap();
    let mut text = text
        .replace("modules/ngx_http_llm_module.so", module.to_str().unwrap())
        .replace("/etc/nginx/llm/client.keys", keys.to_str().unwrap())
        .replace("/var/log/nginx", &prefix)
        .replace("/run/nginx.pid", &format!("{prefix}nginx.pid"))
        .replace("file:/etc/nginx/llm/openai.key", "env:OPENAI_API_KEY");
    if rustix::process::geteuid().is_root() {
        // nginx warns of a folder that its workers cannot enter, and the test's is such a one.
        text = text.replace("# user www-data;", "user root;");
    }
    // The test is about our lines; names of providers need no network and no certificate here.
    for host in
        ["api.deepseek.com", "token-plan-cn.xiaomimimo.com", "api.openai.com", "api.anthropic.com"]
    {
        text = text.replace(&format!("server {host}"), "server 127.0.0.1");
    }
    text = text.replace(" ssl;", ";").replace("listen 80;", "listen 127.0.0.1:18080;");
    let kept: Vec<_> = text.lines().filter(|line| !line.contains("ssl_certificate")).collect();
    let main = folder.path().join("nginx.conf");
    std::fs::write(&main, kept.join("\n")).unwrap();
    let mut command = Command::new(nginx);
    command.args(["-t", "-q", "-p", &prefix, "-c"]).arg(&main);
    for name in [
        "DEEPSEEK_API_KEY",
        "MIMO_API_KEY",
        "OPENAI_API_KEY",
        "OPENAI_API_KEY_RESEARCH",
        "ANTHROPIC_API_KEY",
    ] {
        command.env(name, "k-123456");
    }
    let result = run(&mut command);
    assert_eq!((result.status, result.error.as_str()), (0, ""), "{text}");
}

fn nginx() -> Option<PathBuf> {
    let given = std::env::var_os("TEST_LLM_NGINX").map(PathBuf::from);
    given.or_else(|| Some(PathBuf::from("/usr/sbin/nginx"))).filter(|path| path.is_file())
}

fn module() -> Option<PathBuf> {
    let built =
        Path::new(env!("CARGO_MANIFEST_DIR")).join("../../target/debian/ngx_http_llm_module.so");
    let given = std::env::var_os("TEST_LLM_MODULE").map(PathBuf::from);
    given.or(Some(built)).filter(|path| path.is_file())?.canonicalize().ok()
}
