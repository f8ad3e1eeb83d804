//! Which lines are taken, which are refused with which words, and whose key goes where.

use proptest::prelude::*;

use super::*;
use crate::route::{RouteLine, Routes};

/// A text that must never be seen in a message.
const CANARY: &str = "sk-canary-0123456789abcdefghij";

/// A line as an operator writes it, without the `llm_auth_` of its name.
fn line(text: &str) -> Result<CredentialLine, String> {
    let words: Vec<&str> = text.split(' ').collect();
    let (directive, args) = words.split_first().unwrap();
    CredentialLine::parse(&format!("llm_auth_{directive}"), args)
}

fn credentials(lines: &str) -> Credentials {
    let mut credentials = Credentials::default();
    for text in lines.split(';').map(str::trim).filter(|text| !text.is_empty()) {
        credentials.push(line(text).unwrap()).unwrap();
    }
    credentials
}

/// The error of the last of some lines; those before it are right.
fn refused(lines: &str) -> String {
    let (before, last) = lines.rsplit_once(';').unwrap_or(("", lines));
    let mut credentials = credentials(before);
    line(last.trim()).and_then(|line| credentials.push(line)).unwrap_err()
}

fn routes(names: &[&str]) -> Routes {
    let mut routes = Routes::default();
    let lines = names.iter().map(|name| RouteLine::parse(&[name, "block"]).unwrap());
    routes.providers.extend(lines);
    routes
}

/// A store in which every source is there, but for those whose name has `gone`.
fn store(credentials: &Credentials) -> Store {
    credentials.resolve(b"salt", read).0
}

fn read(source: &SecretSource) -> Result<Secret, String> {
    match source {
        SecretSource::Env(name) | SecretSource::File(name) if name.contains("gone") => {
            Err("it is not set".to_owned())
        }
        SecretSource::Env(name) | SecretSource::File(name) => {
            Ok(Secret::new(&format!("secret-of-{name}")).unwrap())
        }
        SecretSource::Literal(_) => panic!("a literal is not read"),
    }
}

fn scopes<'a>(tenant: &'a str, project: &'a str, org: &'a str) -> Scopes<'a> {
    Scopes { tenant: Some(tenant), project: Some(project), org: Some(org) }
}

/// The id of the first key, or the reason why there is none.
fn selected(
    credentials: &Credentials,
    provider: &str,
    scopes: &Scopes<'_>,
    fallback: SharedFallback,
) -> String {
    match credentials.select(provider, scopes, fallback, 7, &store(credentials)) {
        Ok(pool) => credentials.key(pool[0]).unwrap().id.clone(),
        Err(missing) => missing.name().to_owned(),
    }
}

#[test]
fn a_line_says_where_the_secret_is() {
    let parsed = line("credential openai env:OPENAI_KEY").unwrap();
    assert_eq!(parsed.source, SecretSource::Env("OPENAI_KEY".to_owned()));
    assert_eq!((parsed.scope, parsed.weight, parsed.id), (Scope::Shared, 1, None));
    let parsed = line("credential openai file:/run/key weight=3 id=blue").unwrap();
    assert_eq!(parsed.source, SecretSource::File("/run/key".to_owned()));
    assert_eq!((parsed.weight, parsed.id.as_deref()), (3, Some("blue")));
    let parsed = line("credential openai literal-id:blue:sk-a:b").unwrap();
    assert_eq!(parsed.source, SecretSource::Literal(Secret::new("sk-a:b").unwrap()));
    assert_eq!(parsed.id.as_deref(), Some("blue"));
    let parsed = line("credential openai sk-plain").unwrap();
    assert_eq!((parsed.source.name(), parsed.id), ("literal", None));
    let parsed = line("tenant_credential acme openai env:A").unwrap();
    assert_eq!((parsed.scope, parsed.provider.as_str()), (Scope::Tenant("acme".into()), "openai"));
    let parsed = line("project_credential p openai env:A").unwrap();
    assert_eq!(parsed.scope, Scope::Project("p".into()));
    assert_eq!(line("org_credential o openai env:A").unwrap().scope, Scope::Org("o".into()));
}

#[test]
fn no_refusal_of_a_line_repeats_what_may_be_a_secret() {
    for (text, why) in [
        ("credential openai", "needs a provider and a secret"),
        ("credential CANARY id=main", "needs a provider and a secret"),
        ("credential CANARY weight=2", "needs a provider and a secret"),
        ("credential openai CANARY other", "must be id= or weight="),
        ("credential openai env:X CANARY", "must be id= or weight="),
        ("credential openai CANARY weight=0", "invalid weight"),
        ("credential openai CANARY weight=CANARY", "invalid weight"),
        ("credential openai CANARY weight=1 weight=2", "duplicate weight"),
        ("credential openai CANARY id=", "invalid id"),
        ("credential openai CANARY id=a#b", "invalid id"),
        ("credential openai CANARY id=a id=b", "duplicate id"),
        ("credential openai literal-id:a:CANARY id=b", "duplicate id"),
        ("credential openai literal-id:CANARY", "write literal-id:<id>:<secret>"),
        ("credential openai literal-id::CANARY", "invalid id"),
        ("credential openai literal-id:a:", "it is empty"),
        ("credential openai env:CANARY", "invalid environment variable"),
        ("credential openai env:", "invalid environment variable"),
        ("credential openai file:", "write file:/path/to/secret"),
        ("credential openai $CANARY", "a variable cannot hold the secret"),
        ("credential openai CANARY\u{e9}", "visible ASCII"),
        ("credential openai CANARY\n", "visible ASCII"),
        ("credential  CANARY", "needs the name of a provider"),
        ("tenant_credential CANARY openai", "needs a provider and a secret"),
        ("tenant_credential acme openai CANARY weight=2", "takes an owner"),
        ("tenant_credential  openai CANARY", "needs an owner"),
        ("org_credential", "needs an owner"),
    ] {
        let error = line(&text.replace("CANARY", CANARY)).unwrap_err();
        assert!(error.contains(why), "{text}: {error}");
        assert!(!error.contains("canary"), "{text}: {error}");
    }
}

#[test]
fn a_secret_is_one_visible_word() {
    assert_eq!(Secret::from_bytes(b"\xef\xbb\xbf sk-a\r\n\n").unwrap().reveal(), "sk-a");
    assert_eq!(Secret::from_bytes(b" \n"), Err(SecretError::Empty));
    assert_eq!(Secret::from_bytes(b"a\nb"), Err(SecretError::NotVisible));
    assert_eq!(Secret::from_bytes(b"a\xff"), Err(SecretError::NotVisible));
    assert_eq!(Secret::new("a\r\nx-header: b"), Err(SecretError::NotVisible));
    assert_eq!(Secret::new("a b"), Err(SecretError::NotVisible));
    assert_eq!(Secret::new("a\0"), Err(SecretError::NotVisible));
    assert_eq!(Secret::new(&"a".repeat(8193)), Err(SecretError::TooLong));
    assert!(Secret::new(&"a".repeat(8192)).is_ok());
}

#[test]
fn no_debug_text_shows_a_secret() {
    let credentials = credentials(&format!("credential openai {CANARY}"));
    let shown = format!("{credentials:?} {:?}", store(&credentials));
    assert!(shown.contains("***") && !shown.contains("canary"), "{shown}");
}

#[test]
fn keys_are_called_by_id_or_source_and_never_by_secret() {
    let credentials = credentials(
        "credential a env:X; credential a file:/k; credential a sk-1; credential a sk-2;
         credential a sk-3 id=blue; credential a literal-id:red:sk-4; credential b sk-5;
         tenant_credential t a sk-6",
    );
    let ids: Vec<_> = credentials.keys().iter().map(|key| key.id.as_str()).collect();
    let expected =
        ["env:X", "file:/k", "literal#1", "literal#2", "blue", "red", "literal#1", "literal#3"];
    assert_eq!(ids, expected);
}

#[test]
fn a_key_stands_once_in_its_pool() {
    let twice = "credential a env:X; credential a env:X";
    assert!(refused(twice).starts_with("duplicate shared credential \"env:X\""));
    let twice = format!("credential a {CANARY}; credential a {CANARY}");
    assert!(refused(&twice).starts_with("duplicate shared credential \"literal#2\""));
    let one_id = "credential a env:X id=k; credential a env:Y id=k";
    assert!(refused(one_id).starts_with("duplicate shared credential \"k\""));
    let two_ids = "credential a env:X id=k; credential a env:X id=l";
    assert!(refused(two_ids).starts_with("duplicate shared credential \"l\""));
    let tenant = "tenant_credential t a env:X; tenant_credential t a env:X";
    assert!(refused(tenant).starts_with("duplicate tenant credential \"env:X\""));
}

#[test]
fn an_id_means_one_key_of_a_provider() {
    let two = "credential a env:X id=k; tenant_credential t a literal-id:k:sk-other";
    assert!(refused(two).starts_with("duplicate tenant credential id \"k\""));
    credentials("credential a env:X id=k; credential b env:Y id=k");
    credentials("credential a env:X; tenant_credential t a env:X; tenant_credential u a env:X");
}

#[test]
fn the_most_specific_scope_pays() {
    let all = credentials(
        "credential a env:SHARED; org_credential o a env:ORG; project_credential p a env:PROJECT;
         tenant_credential t a env:TENANT",
    );
    let on = SharedFallback::On;
    assert_eq!(selected(&all, "a", &scopes("t", "p", "o"), on), "env:TENANT");
    assert_eq!(selected(&all, "a", &scopes("x", "p", "o"), on), "env:PROJECT");
    assert_eq!(selected(&all, "a", &scopes("x", "x", "o"), on), "env:ORG");
    assert_eq!(selected(&all, "a", &scopes("x", "", "x"), on), "env:SHARED");
    assert_eq!(selected(&all, "a", &Scopes::default(), on), "env:SHARED");
    // The cascade of scopes does not need the switch, only the shared key does.
    assert_eq!(selected(&all, "a", &scopes("x", "x", "o"), SharedFallback::Off), "env:ORG");
}

#[test]
fn the_shared_key_is_not_for_those_who_should_have_their_own() {
    let off = SharedFallback::Off;
    let tenants =
        credentials("credential a env:S; credential b env:S; tenant_credential t a env:T");
    assert_eq!(selected(&tenants, "a", &scopes("t", "", ""), off), "env:T");
    assert_eq!(selected(&tenants, "a", &scopes("x", "", ""), off), "client_credential_missing");
    assert_eq!(selected(&tenants, "b", &scopes("t", "", ""), off), "client_credential_missing");
    assert_eq!(selected(&tenants, "a", &scopes("", "", ""), off), "client_missing");
    assert_eq!(selected(&tenants, "a", &Scopes::default(), off), "client_missing");
    let projects = credentials("credential a env:S; project_credential p a env:P");
    assert_eq!(selected(&projects, "a", &scopes("t", "x", ""), off), "project_credential_missing");
    assert_eq!(selected(&projects, "a", &scopes("t", "", ""), off), "project_missing");
    let orgs = credentials("credential a env:S; org_credential o a env:O");
    assert_eq!(selected(&orgs, "a", &scopes("t", "", "x"), off), "org_credential_missing");
    assert_eq!(selected(&orgs, "a", &scopes("t", "", ""), off), "org_missing");
}

#[test]
fn names_without_keys_of_their_own_only_attribute() {
    let shared = credentials("credential a env:S");
    assert_eq!(selected(&shared, "a", &scopes("t", "p", "o"), SharedFallback::Off), "env:S");
}

#[test]
fn each_reason_has_its_status() {
    let some = credentials("credential a env:gone; tenant_credential t b env:T");
    for (provider, reason, status) in [
        ("", "provider_missing", "missing_provider"),
        ("unknown", "credential_missing", "missing_credential"),
        ("a", "secret_unresolved", "missing_secret"),
    ] {
        let found = some.select(provider, &Scopes::default(), SharedFallback::On, 0, &store(&some));
        let missing = found.unwrap_err();
        assert_eq!((missing.name(), missing.status()), (reason, status));
    }
    let rejection = Missing::rejection();
    assert_eq!((rejection.status, rejection.code), (500, "gateway_credential_missing"));
}

#[test]
fn a_missing_secret_is_not_replaced_by_somebody_elses() {
    let some = credentials("credential a env:S; tenant_credential t a env:gone");
    let found = selected(&some, "a", &scopes("t", "", ""), SharedFallback::On);
    assert_eq!(found, "secret_unresolved");
}

#[test]
fn a_pool_goes_on_without_a_key_that_is_missing() {
    let some = credentials("credential a env:X; credential a env:gone; credential a env:Y");
    for random in 0..20 {
        let scopes = Scopes::default();
        let pool = some.select("a", &scopes, SharedFallback::Off, random, &store(&some));
        let mut pool = pool.unwrap();
        pool.sort_unstable();
        assert_eq!(pool, [0, 2]);
    }
}

#[test]
fn weights_share_out_the_requests_and_those_of_a_benched_key() {
    const DRAWS: u64 = 30_000;
    let some = credentials(
        "credential a sk-1 weight=6; credential a sk-2 weight=3; credential a sk-3 weight=1",
    );
    let store = store(&some);
    let mut first = [0u64; 3];
    let mut second_to_the_first_key = [0u64; 3];
    for random in 0..DRAWS {
        let scopes = Scopes::default();
        let pool = some.select("a", &scopes, SharedFallback::Off, random, &store).unwrap();
        first[pool[0]] += 1;
        if pool[0] == 0 {
            second_to_the_first_key[pool[1]] += 1;
        }
    }
    let near = |count: u64, share: u64, of: u64| (count * 100 / of).abs_diff(share) <= 2;
    assert!(near(first[0], 60, DRAWS) && near(first[1], 30, DRAWS), "{first:?}");
    assert!(near(second_to_the_first_key[1], 75, first[0]), "{second_to_the_first_key:?}");
}

#[test]
fn missing_sources_are_named_without_secrets() {
    let lines =
        format!("credential a env:gone; credential a {CANARY}; org_credential o b env:gone");
    let (store, missing) = credentials(&lines).resolve(b"", read);
    assert_eq!(
        missing,
        [
            "the secret of shared credential \"env:gone\" for provider \"a\" is missing: it is not \
             set",
            "the secret of org credential \"env:gone\" for provider \"b\" is missing: it is not set",
        ]
    );
    assert_eq!((store.secret(0), store.secret(2), store.secret(3)), (None, None, None));
    assert_eq!(store.secret(1).unwrap().reveal(), CANARY);
    assert_eq!(store.secrets().count(), 1);
}

#[test]
fn a_file_that_is_gone_for_a_moment_keeps_its_key() {
    let some = credentials("credential a file:/one; credential a file:/two");
    let earlier = store(&some);
    let (later, _) = some.resolve(b"salt", |source| match source {
        SecretSource::File(path) if path == "/one" => Err("it cannot be read".to_owned()),
        _ => Ok(Secret::new("rotated").unwrap()),
    });
    let now = later.or(&earlier);
    assert_eq!(now.secret(0).unwrap().reveal(), "secret-of-/one");
    assert_eq!(now.secret(1).unwrap().reveal(), "rotated");
    assert_eq!(now.fingerprint(0), earlier.fingerprint(0));
    assert_ne!(now.fingerprint(1), earlier.fingerprint(1));
}

#[test]
fn a_fingerprint_belongs_to_one_secret_and_one_salt() {
    let secret = |text| Secret::new(text).unwrap();
    let one = fingerprint(&secret("sk-one"), b"salt");
    assert_eq!(one, fingerprint(&secret("sk-one"), b"salt"));
    assert_ne!(one, fingerprint(&secret("sk-two"), b"salt"));
    assert_ne!(one, fingerprint(&secret("sk-one"), b"pepper"));
    assert_eq!(one.len(), 24);
    assert!(one.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f')));
}

/// What the check says about lines for the routes `a` and `b`.
fn report(lines: &str, policy: &Policy<'_>) -> Report {
    credentials(lines).check(&routes(&["a", "b"]), policy)
}

const CLOSED: Policy<'_> = Policy {
    fail_closed: true,
    has_tenant: false,
    has_project: false,
    has_org: false,
    provider: None,
    inherited: &[],
};

#[test]
fn right_lines_are_not_complained_about() {
    let lines = "credential a env:X; tenant_credential t b env:Y";
    let policy = Policy { has_tenant: true, provider: Some("b"), ..CLOSED };
    assert_eq!(report(lines, &policy), Report::default());
}

#[test]
fn owners_need_a_directive_that_names_them() {
    let lines = "credential a env:X; credential b env:X; tenant_credential t a env:Y;
                 project_credential p a env:Y; org_credential o a env:Y";
    assert_eq!(
        report(lines, &CLOSED).errors,
        [
            "tenant credentials require llm_auth_tenant",
            "project credentials require llm_auth_project",
            "org credentials require llm_auth_org",
        ]
    );
}

#[test]
fn a_provider_that_never_has_a_key_is_an_error_or_a_warning() {
    let error = "provider \"b\" has no credential, add llm_auth_credential b <secret>";
    let closed = report("credential a env:X", &CLOSED);
    assert_eq!((closed.errors, closed.warnings), (vec![error.to_owned()], vec![]));
    let open = report("credential a env:X", &Policy { fail_closed: false, ..CLOSED });
    assert_eq!(open.errors, [""; 0]);
    assert_eq!(open.warnings, [format!("{error} or its requests are sent without one")]);
}

#[test]
fn a_key_for_an_unknown_provider_is_an_error_where_it_is_written() {
    let lines = "credential a env:X; credential b env:X; org_credential o c env:X; credential c sk";
    let own = report(lines, &Policy { has_org: true, ..CLOSED });
    assert_eq!(
        own.errors,
        [
            "llm_auth_org_credential provider \"c\" is unknown, add llm_proxy_route c <upstream>",
            "llm_auth_credential provider \"c\" is unknown, add llm_proxy_route c <upstream>",
        ]
    );
    let inherited =
        report(lines, &Policy { has_org: true, inherited: &["shared", "org"], ..CLOSED });
    assert_eq!(inherited, Report::default());
    let shared = report(lines, &Policy { has_org: true, inherited: &["shared"], ..CLOSED });
    assert_eq!(shared.errors, own.errors[..1]);
    let hint =
        Policy { provider: Some("c"), inherited: &["shared", "org"], has_org: true, ..CLOSED };
    assert_eq!(report(lines, &hint).errors.len(), 1);
}

#[test]
fn arguments_in_the_wrong_order_do_not_show_the_key() {
    for lines in [
        "credential sk-canary a",
        "credential CANARY unknown",
        "credential sk-canary unknown",
        "tenant_credential acme sk-canary a",
        "tenant_credential a sk-canary acme",
    ] {
        let policy = Policy { has_tenant: true, fail_closed: false, ..CLOSED };
        let report = report(&lines.replace("CANARY", CANARY), &policy);
        assert!(report.errors[0].contains("in the wrong order"), "{:?}", report.errors);
        assert!(!format!("{report:?}").contains("canary"), "{report:?}");
    }
}

proptest! {
    #[test]
    fn a_key_never_leaves_its_provider_or_its_owner(
        lines in prop::collection::vec((0..4usize, 0..3usize, 0..3usize, 1..4u32), 1..20),
        provider in 0..3usize,
        owners in prop::array::uniform3(prop::option::of(0..4usize)),
        on: bool,
        random: u64,
    ) {
        let mut all = Credentials::default();
        for (number, (kind, owner, provider, weight)) in lines.into_iter().enumerate() {
            let owner = owner.to_string();
            let scope = match kind {
                0 => Scope::Shared,
                1 => Scope::Tenant(owner),
                2 => Scope::Project(owner),
                _ => Scope::Org(owner),
            };
            let source = SecretSource::Env(format!("K{number}"));
            let provider = provider.to_string();
            all.push(CredentialLine { scope, provider, source, id: None, weight }).unwrap();
        }
        let owners = owners.map(|owner| owner.map(|owner| owner.to_string()));
        let [tenant, project, org] = owners.each_ref().map(Option::as_deref);
        let scopes = Scopes { tenant, project, org };
        let fallback = if on { SharedFallback::On } else { SharedFallback::Off };
        let provider = provider.to_string();
        let found = all.select(&provider, &scopes, fallback, random, &store(&all));
        let fits = |key: &Key| key.provider == provider && match &key.scope {
            Scope::Shared => true,
            Scope::Tenant(owner) => tenant == Some(owner),
            Scope::Project(owner) => project == Some(owner),
            Scope::Org(owner) => org == Some(owner),
        };
        match found {
            Ok(pool) => {
                let keys: Vec<_> = pool.iter().map(|&number| all.key(number).unwrap()).collect();
                prop_assert!(keys.iter().all(|key| fits(key) && key.scope == keys[0].scope));
                let whole = all.keys().iter().filter(|key| fits(key) && key.scope == keys[0].scope);
                prop_assert_eq!(whole.count(), keys.len());
                let mut numbers = pool.clone();
                numbers.sort_unstable();
                numbers.dedup();
                prop_assert_eq!(numbers.len(), pool.len());
            }
            // With the shared key open to all, nothing is missing while any key fits.
            Err(_) if on => prop_assert!(!all.keys().iter().any(fits)),
            Err(_) => prop_assert!(!all.keys().iter().any(|key| fits(key) && key.scope != Scope::Shared)),
        }
    }

    #[test]
    fn no_line_makes_the_parser_show_its_secret(text in "[ -~\u{e9}\n]{0,12}", option in "[ -~]{0,12}") {
        let secret = format!("{text}{CANARY}");
        for args in [&["a", secret.as_str(), option.as_str()][..], &["a", &secret], &[&secret]] {
            if let Err(error) = CredentialLine::parse("llm_auth_credential", args) {
                prop_assert!(!error.contains("canary"));
            }
        }
    }
}
