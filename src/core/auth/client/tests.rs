//! Do credentials get the verdict they deserve, and are key files read whole or not at all?

use proptest::prelude::*;

use super::*;

const NOW_S: u64 = 1_790_000_000;

fn key(id: &str, secret: &str) -> Client {
    let digest = Digest::new([7; SALT_BYTES], secret.as_bytes());
    Client {
        org: Some("acme".into()),
        project: Some("ai-platform".into()),
        client: Some("30000000-0000-0001-0001-000000000001".into()),
        tier: Some("basic".into()),
        created_s: Some(NOW_S),
        ..Client::new(id, digest)
    }
}

fn table(clients: impl IntoIterator<Item = Client>) -> Table {
    let mut table = Table::default();
    for client in clients {
        assert!(table.push(client));
    }
    table
}

fn verdict(client: Client, presented: &str) -> &'static str {
    table([client]).lookup(presented.as_bytes(), NOW_S).name()
}

#[test]
fn only_the_whole_credential_is_active() {
    let own = || key("da-sk-acme", "s3cret");
    assert_eq!(verdict(own(), "da-sk-acme.s3cret"), "active");
    for other in [
        "",
        ".",
        "da-sk-acme",
        "da-sk-acme.",
        "da-sk-acme.s3cre",
        "da-sk-acme.s3cret ",
        "da-sk-acme.S3CRET",
        "da-sk-acme..s3cret",
        "DA-SK-ACME.s3cret",
        ".s3cret",
        "da-sk-other.s3cret",
    ] {
        assert_eq!(verdict(own(), other), "unknown", "{other}");
    }
    assert_eq!(table([own()]).lookup(b"da-sk-acme.\xff", NOW_S), Verdict::Unknown);
    assert_eq!(table([own()]).lookup(&[b'.'; 5000], NOW_S), Verdict::Unknown);
}

#[test]
fn ids_and_secrets_may_have_dots() {
    assert_eq!(verdict(key("a.b", "c"), "a.b.c"), "active");
    assert_eq!(verdict(key("a", "b.c"), "a.b.c"), "active");
    let both = table([key("a", "b.c"), key("a.b", "d")]);
    assert_eq!(both.lookup(b"a.b.c", NOW_S).client().map(|c| &*c.key_id), Some("a"));
    assert_eq!(both.lookup(b"a.b.d", NOW_S).client().map(|c| &*c.key_id), Some("a.b"));
}

#[test]
fn states_are_told_to_who_knows_the_secret_only() {
    for (state, word) in [(State::Suspended, "suspended"), (State::Revoked, "revoked")] {
        let client = Client { state, ..key("k", "s") };
        assert_eq!(verdict(client.clone(), "k.s"), word);
        assert_eq!(verdict(client, "k.t"), "unknown");
    }
}

#[test]
fn a_key_ends_in_the_second_it_expires() {
    let until = |expires_s| Client { expires_s: Some(expires_s), ..key("k", "s") };
    assert_eq!(verdict(until(NOW_S + 1), "k.s"), "active");
    assert_eq!(verdict(until(NOW_S), "k.s"), "expired");
    let revoked = Client { state: State::Revoked, ..until(NOW_S) };
    assert_eq!(verdict(revoked, "k.s"), "revoked");
}

#[test]
fn after_a_rotation_both_secrets_work_until_the_overlap_is_over() {
    let rotated = |until_s| Client {
        old: Some((Digest::new([9; SALT_BYTES], b"old"), until_s)),
        ..key("k", "new")
    };
    assert_eq!(verdict(rotated(NOW_S + 1), "k.new"), "active");
    assert_eq!(verdict(rotated(NOW_S + 1), "k.old"), "active");
    assert_eq!(verdict(rotated(NOW_S), "k.old"), "expired");
    assert_eq!(verdict(rotated(NOW_S), "k.new"), "active");
    assert_eq!(verdict(rotated(NOW_S + 1), "k.other"), "unknown");
    let suspended = Client { state: State::Suspended, ..rotated(NOW_S + 1) };
    assert_eq!(verdict(suspended, "k.old"), "suspended");
}

#[test]
fn scope_and_models_restrict_a_key() {
    let mut client = key("k", "s");
    assert!(client.is_of(None, None) && client.is_of(Some("acme"), Some("ai-platform")));
    assert!(!client.is_of(Some("other"), None) && !client.is_of(None, Some("other")));
    client.org = None;
    assert!(!client.is_of(Some("acme"), None), "a key of nobody is not of everybody");
    assert!(client.may_use("anything"));
    client.models = Models::new(["deepseek-*", "GPT-5"]).map(Into::into);
    for model in ["deepseek-v4-pro", "DeepSeek-", "gpt-5"] {
        assert!(client.may_use(model), "{model}");
    }
    for model in ["gpt-5-mini", "deepseek", "my-deepseek-v4", ""] {
        assert!(!client.may_use(model), "{model}");
    }
}

#[test]
fn a_file_is_read_as_it_is_written() {
    let mut second = key("web.2", "x");
    second.state = State::Suspended;
    second.org = Some("Größe 100% #1".into());
    second.models = Models::new(["a*", "b c"]).map(Into::into);
    second.expires_s = Some(5);
    second.old = Some((Digest::new([1; SALT_BYTES], b"y"), 6));
    let written = table([key("web.1", "w"), second]).to_string();
    assert!(written.starts_with("llm-client-keys 1\nweb.1 active 0707"), "{written}");
    assert!(written.ends_with("\nend 2\n"), "{written}");
    let read = Table::parse(written.as_bytes()).unwrap();
    assert_eq!(read.to_string(), written);
    assert_eq!(read.lookup(b"web.2.x", 0).name(), "suspended");
    assert_eq!(read.client("web.2").unwrap().org.as_deref(), Some("Größe 100% #1"));
    assert!(!format!("{read:?}").contains("0707"), "a hash is not for logs");
}

#[test]
fn comments_and_empty_lines_are_no_keys() {
    let text = format!("{HEADER}\r\n\n# mine\n  {}  \nend 1\n\n", key("k", "s"));
    assert_eq!(Table::parse(text.as_bytes()).unwrap().clients().len(), 1);
}

#[test]
fn a_file_that_is_not_whole_is_refused_with_what_to_do() {
    let line = key("k", "s").to_string();
    let cut = line.get(..line.find(" org").unwrap() - 3).unwrap();
    for (text, at, says) in [
        (String::new(), 1, "its first line must be \"llm-client-keys 1\""),
        (format!("{line}\nend 1\n"), 1, "its first line must be"),
        (format!("{HEADER}\n{line}\n"), 2, "is not whole"),
        (HEADER.to_owned(), 1, "is not whole"),
        (format!("{HEADER}\n{cut}"), 2, "the hash of key \"k\" cannot be read"),
        (format!("{HEADER}\n{line}\nend 2\n"), 3, "should have 2 keys and has 1"),
        (format!("{HEADER}\n{line}\nend 1\n{line}\n"), 4, "behind \"end\""),
        (format!("{HEADER}\n{line}\n{line}\nend 2\n"), 3, "duplicate key \"k\""),
        (format!("{HEADER}\nk live 00:00\nend 1\n"), 2, "unknown state of key \"k\""),
        (format!("{HEADER}\nk active\nend 1\n"), 2, "an id, a state and a hash"),
        (format!("{HEADER}\n{line} org=b\nend 1\n"), 2, "duplicate attribute \"org\""),
        (format!("{HEADER}\n{line} ip=1\nend 1\n"), 2, "unknown attribute \"ip\""),
        (format!("{HEADER}\n{line} expires=soon\nend 1\n"), 2, "seconds since 1970"),
        (format!("{HEADER}\n{line} models=a,,b\nend 1\n"), 2, "has a gap"),
        (format!("{HEADER}\n{line} old=00:00@1\nend 1\n"), 2, "cannot be read"),
        (format!("{HEADER}\n{line} word\nend 1\n"), 2, "name=value"),
        (format!("{HEADER}\nk%4 active 00:00\nend 1\n"), 2, "two hexadecimal digits"),
    ] {
        let error = Table::parse(text.as_bytes()).unwrap_err();
        assert_eq!(error.line, at, "{text}: {error}");
        assert!(error.text.contains(says), "{text}: {error}");
    }
    assert_eq!(Table::parse(b"\xff\xfe").unwrap_err().line, 1);
}

#[test]
fn a_hundred_thousand_keys_are_found_by_their_ids() {
    let all = (0..100_000).map(|n| key(&format!("key-{n}"), &format!("secret-{n}")));
    let text = table(all).to_string();
    let read = Table::parse(text.as_bytes()).unwrap();
    assert_eq!(read.clients().len(), 100_000);
    assert_eq!(read.lookup(b"key-99999.secret-99999", NOW_S).name(), "active");
    assert_eq!(read.lookup(b"key-99999.secret-99998", NOW_S).name(), "unknown");
}

proptest! {
    #[test]
    fn any_values_survive_the_file(
        id in "[!-\"$-~]{1,20}",
        secret in ".{0,40}",
        org in proptest::option::of(".{0,12}"),
        expires_s in proptest::option::of(any::<u64>()),
    ) {
        prop_assume!(id != "end");
        let mut client = key(&id, &secret);
        client.org = org.map(Into::into);
        client.expires_s = expires_s;
        let read = Table::parse(table([client.clone()]).to_string().as_bytes()).unwrap();
        prop_assert_eq!(read.clients(), [client]);
    }

    #[test]
    fn a_file_cut_anywhere_is_refused(cut in any::<prop::sample::Index>()) {
        let text = table([key("a", "1"), key("b", "2")]).to_string();
        // Without its last line break the file is whole.
        let cut = cut.index(text.len() - 1);
        prop_assert!(Table::parse(&text.as_bytes()[..cut]).is_err());
    }

    #[test]
    fn no_bytes_are_a_panic(bytes in prop::collection::vec(any::<u8>(), 0..200), now_s: u64) {
        let _ = Table::parse(&bytes);
        let _ = table([key("k", "s")]).lookup(&bytes, now_s);
        let mut text = format!("{HEADER}\nk active ").into_bytes();
        text.extend(&bytes);
        let _ = Table::parse(&text);
    }

    #[test]
    fn patterns_cover_what_they_match(name in "[a-c]{0,6}", at in 0usize..6) {
        let at = at.min(name.len());
        let pattern = format!("{}*{}", &name[..at], &name[at..]);
        prop_assert!(covers(&pattern, &name) && covers("*", &pattern) && covers(&pattern, &pattern));
        prop_assert!(!covers(&name, &pattern));
    }
}
