//! Are secrets, certificates and switches judged as nginx will meet them?

use super::*;
use crate::finding::Severity;

fn codes(text: &str, has_bundle: bool) -> Vec<(Severity, &'static str)> {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("nginx.conf");
    std::fs::write(&path, text).unwrap();
    let items = crate::conf::parse_file(&path).unwrap();
    let world = World {
        place: &|_| Place::default(),
        has_env: &|name| name == "THERE",
        folder: folder.path(),
        has_bundle,
    };
    let findings = check(&items, &world).findings;
    findings.into_iter().map(|finding| (finding.severity, finding.code)).collect()
}

fn location(lines: &str) -> String {
    format!(
        "http {{ upstream u {{ server a.example:443; }} server {{ location / {{ llm_proxy; \
         llm_proxy_route p u; llm_proxy_default_provider p; {lines} }} }} }}"
    )
}

#[test]
fn a_machine_without_certificates_cannot_check_providers() {
    assert_eq!(codes(&location(""), false), [(Severity::Warning, "missing_bundle")]);
    assert_eq!(codes(&location(""), true), []);
    let plain = location("").replace("p u;", "p u ssl=off;");
    assert_eq!(codes(&plain, false), []);
}

#[test]
fn secrets_are_looked_for_where_they_are_said_to_be() {
    let with = |secret: &str| location(&format!("llm_auth; llm_auth_credential p {secret};"));
    assert_eq!(codes(&with("env:THERE"), true), []);
    assert_eq!(codes(&with("env:GONE"), true), [(Severity::Warning, "missing_secret")]);
    assert_eq!(codes(&with("file:gone.key"), true), [(Severity::Error, "missing_secret")]);
    let open = with("file:gone.key").replace("llm_auth;", "llm_auth; llm_auth_fail_closed off;");
    assert_eq!(codes(&open, true), [(Severity::Warning, "missing_secret")]);
}

#[test]
fn a_location_where_the_gateway_is_off_is_not_judged() {
    let off = location("llm_auth;").replace("llm_proxy;", "llm_proxy off;");
    assert_eq!(codes(&off, true), []);
}
