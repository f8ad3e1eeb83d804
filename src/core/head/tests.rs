//! What stays in a head, what goes, and what is added.

use proptest::prelude::*;

use super::*;

fn edited(head: &str) -> String {
    let change = HeadEdit {
        wrong_hosts: &[b"one_up", b"gateway.test"],
        version: Some("2023-06-01"),
        ..HeadEdit::new("api.one.test")
    };
    String::from_utf8(edit(head.as_bytes(), &change).unwrap()).unwrap()
}

#[test]
fn nginx_defaults_become_the_providers_own() {
    let head = "POST /v1/messages HTTP/1.0\r\nHost: one_up\r\nConnection: close\r\n\
                Accept-Encoding: gzip\r\nX-LLM-Tag: a\r\nanthropic-version: 1\r\nA: b\r\n\r\nbody";
    assert_eq!(
        edited(head),
        "POST /v1/messages HTTP/1.1\r\nHost: api.one.test\r\nA: b\r\n\
         anthropic-version: 2023-06-01\r\n\r\nbody"
    );
}

#[test]
fn an_operators_own_host_stays() {
    let head = "GET / HTTP/1.1\r\nhost: other.test\r\nConnection: upgrade\r\n\r\n";
    assert!(edited(head).contains("Host: other.test\r\nConnection: upgrade\r\n"));
}

#[test]
fn an_empty_or_absent_host_and_the_clients_are_never_sent() {
    for line in ["", "Host: \r\n", "Host: gateway.test\r\n", "Host: Gateway.test.\r\n"] {
        let head = format!("GET / HTTP/1.1\r\n{line}\r\n");
        assert!(edited(&head).contains("Host: api.one.test\r\n"), "{line}");
    }
}

#[test]
fn the_host_of_a_server_has_no_port() {
    assert_eq!(host_of_server("api.one.test:443"), "api.one.test");
    assert_eq!(host_of_server("[::1]:443"), "[::1]");
    assert_eq!(host_of_server("unix:/run/x.sock"), "localhost");
}

const KEY: &str = "sk-operator";

/// The lines that a provider gets for lines of a client, without those that are always there.
fn sent(lines: &[&str], dialect: Dialect) -> Vec<String> {
    let secret = Secret::new(KEY).unwrap();
    sent_with(lines, Credential::Operator { dialect, secret: Some(&secret) }, None)
}

fn sent_with(lines: &[&str], credential: Credential<'_>, version: Option<&str>) -> Vec<String> {
    let lines: String = lines.iter().map(|line| format!("{line}\r\n")).collect();
    let head = format!("POST /v1/x HTTP/1.0\r\nHost: a\r\n{lines}\r\nbody");
    let change = HeadEdit { version, credential, ..HeadEdit::new("b") };
    let head = edit(head.as_bytes(), &change).unwrap();
    let head = String::from_utf8(head).unwrap();
    let lines = head.strip_prefix("POST /v1/x HTTP/1.1\r\nHost: a\r\n").unwrap();
    let lines = lines.strip_suffix("\r\nbody").unwrap();
    lines.split_terminator("\r\n").map(str::to_owned).collect()
}

/// Headers that no provider may see once it is asked in the operator's name.
const PRIVATE: [&str; 38] = [
    "Authorization",
    "Proxy-Authorization",
    "X-Api-Key",
    "x_api_key",
    "api-key",
    "ApiKey",
    "X-Goog-Api-Key",
    "Cookie",
    "Cookie2",
    "X-Auth-Token",
    "X-Client-Password",
    "Cf-Access-Jwt-Assertion",
    "X-User-JWT",
    "X-Access-Key",
    "Ocp-Apim-Subscription-Key",
    "cf-aig-authorization",
    "Helicone-Auth",
    "OpenAI-Organization",
    "openai-project",
    "x-goog-user-project",
    "X-Amz-Date",
    "X-Amzn-Bedrock-Trace",
    "x-ms-client-request-id",
    "x-azure-ref",
    "cf-aig-metadata",
    "helicone-user-id",
    "x-portkey-config",
    "x-litellm-tags",
    "Forwarded",
    "X-Forwarded-For",
    "x-forwarded-host",
    "X-Original-Forwarded-For",
    "Via",
    "X-Real-IP",
    "True-Client-IP",
    "CF-Connecting-IP",
    "Fastly-Client-IP",
    "X_Forwarded_For",
];

#[test]
fn the_operators_key_takes_the_place_of_the_clients() {
    let lines = ["Accept: */*", "authorization: Bearer client", "X-API-Key: client", "A: b"];
    assert_eq!(
        sent(&lines, Dialect::OpenAi),
        ["Accept: */*", "A: b", "Authorization: Bearer sk-operator"]
    );
    assert_eq!(
        sent(&lines, Dialect::Anthropic),
        ["Accept: */*", "A: b", "x-api-key: sk-operator", "anthropic-version: 2023-06-01"]
    );
}

#[test]
fn without_a_key_the_clients_is_not_sent_either() {
    let lines = ["Authorization: Bearer client", "A: b"];
    let none = |dialect| Credential::Operator { dialect, secret: None };
    assert_eq!(sent_with(&lines, none(Dialect::OpenAi), None), ["A: b"]);
    assert_eq!(
        sent_with(&lines, none(Dialect::Anthropic), None),
        ["A: b", "anthropic-version: 2023-06-01"]
    );
}

#[test]
fn with_auth_off_the_clients_headers_are_untouched() {
    let lines: Vec<_> = PRIVATE.iter().map(|name| format!("{name}:  value")).collect();
    let lines: Vec<_> = lines.iter().map(String::as_str).collect();
    assert_eq!(sent_with(&lines, Credential::Client, None), lines);
}

#[test]
fn a_credential_among_the_arguments_is_treated_as_one_in_a_header() {
    let line = |credential| {
        let head = b"POST /v1/x?api-version=1&key=client HTTP/1.0\r\nHost: a\r\n\r\n?key=body";
        let change = HeadEdit { credential, ..HeadEdit::new("b") };
        let head = String::from_utf8(edit(head, &change).unwrap()).unwrap();
        assert!(head.ends_with("\r\n\r\n?key=body"));
        head.lines().next().unwrap().to_owned()
    };
    let secret = Secret::new(KEY).unwrap();
    for secret in [None, Some(&secret)] {
        let dialect = Dialect::OpenAi;
        assert_eq!(
            line(Credential::Operator { dialect, secret }),
            "POST /v1/x?api-version=1 HTTP/1.1"
        );
    }
    assert_eq!(line(Credential::Client), "POST /v1/x?api-version=1&key=client HTTP/1.1");
}

#[test]
fn our_own_headers_stay_in_either_spelling() {
    assert_eq!(
        sent_with(&["x-llm-tag: a", "X_LLM_Tag: a", "x-llmtag: a"], Credential::Client, None),
        ["x-llmtag: a"]
    );
}

#[test]
fn a_version_is_the_operators_or_the_clients_or_the_default() {
    let anthropic = Credential::Operator { dialect: Dialect::Anthropic, secret: None };
    let clients = ["Anthropic-Version: 2024-01-01"];
    assert_eq!(sent_with(&clients, anthropic, None), clients);
    assert_eq!(
        sent_with(&clients, anthropic, Some("2025-01-01")),
        ["anthropic-version: 2025-01-01"]
    );
    let empty = ["anthropic-version:"];
    assert_eq!(sent_with(&empty, anthropic, None), ["anthropic-version: 2023-06-01"]);
}

#[test]
fn each_vendor_gets_its_own_headers_only() {
    let lines = [
        "OpenAI-Beta: assistants=v2",
        "anthropic-beta: tools",
        "anthropic-version: 2023-06-01",
        "x-stainless-os: Linux",
        "User-Agent: sdk/1",
        "Idempotency-Key: 1",
        "traceparent: 00-1",
    ];
    let common = &lines[3..];
    let openai = sent(&lines, Dialect::OpenAi);
    assert_eq!(openai[..1], lines[..1]);
    assert_eq!(openai[1..openai.len() - 1], *common);
    let anthropic = sent(&lines, Dialect::Anthropic);
    assert_eq!(anthropic[..2], lines[1..3]);
    assert_eq!(anthropic[2..anthropic.len() - 1], *common);
}

fn any_case() -> impl Strategy<Value = String> {
    let upper = prop::collection::vec(any::<bool>(), 30);
    (prop::sample::select(PRIVATE.to_vec()), upper).prop_map(|(name, upper)| {
        let letters = name.chars().zip(upper);
        letters
            .map(|(c, up)| if up { c.to_ascii_uppercase() } else { c.to_ascii_lowercase() })
            .collect()
    })
}

proptest! {
    #[test]
    fn what_is_private_goes_and_all_else_stays_as_it_is(
        private in prop::collection::vec(any_case(), 0..6),
        others in prop::collection::vec("[A-Z][a-z]{0,8}: ?[ -~]{0,20}", 0..6),
        anthropic: bool,
    ) {
        let others: Vec<_> = others
            .into_iter()
            .filter(|line| !["te", "via", "host", "cookie", "upgrade", "forwarded", "apikey"]
                .contains(&line.split(':').next().unwrap().to_ascii_lowercase().as_str()))
            .filter(|line| !line.starts_with("Connection"))
            .collect();
        let mut lines = others.clone();
        for (at, name) in private.iter().enumerate() {
            lines.insert((at * 7) % (lines.len() + 1), format!("{name}: client"));
        }
        let lines: Vec<_> = lines.iter().map(String::as_str).collect();
        let dialect = if anthropic { Dialect::Anthropic } else { Dialect::OpenAi };
        let sent = sent(&lines, dialect);
        prop_assert_eq!(&sent[..others.len()], &others[..]);
        let added: &[&str] = match dialect {
            Dialect::OpenAi => &["Authorization: Bearer sk-operator"],
            Dialect::Anthropic => &["x-api-key: sk-operator", "anthropic-version: 2023-06-01"],
        };
        prop_assert_eq!(&sent[others.len()..], added);
    }
}
