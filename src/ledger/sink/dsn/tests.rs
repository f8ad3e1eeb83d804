//! What connection strings mean, and that no error repeats them.

use super::*;

fn target(text: &str) -> Result<Target, Failure> {
    Target::of(&Dsn::parse(&[text]).unwrap(), None)
}

fn check(text: &str) -> Check {
    target(text).unwrap().tls.check
}

#[test]
fn tls_modes_are_those_of_libpq() {
    for (mode, expected) in [
        ("", Check::NothingButTry),
        ("sslmode=disable", Check::NoTls),
        ("sslmode=prefer", Check::NothingButTry),
        ("sslmode=require", Check::Nothing),
        ("sslmode=require sslrootcert=/ca.pem", Check::Authority),
        ("sslmode=verify-ca", Check::Authority),
        ("sslmode = 'verify-full'", Check::AuthorityAndName),
    ] {
        assert_eq!(check(&format!("host=db {mode}")), expected, "{mode}");
        let query = mode.replace([' ', '\''], "").replace("sslroot", "&sslroot");
        assert_eq!(check(&format!("postgres://u@db/llm?{query}")), expected, "{query}");
    }
    let failure = target("host=db password=topsecret sslmode=sure").err().unwrap();
    assert!(!failure.text.contains("topsecret") && failure.text.contains("verify-full"));
}

#[test]
fn both_forms_lose_only_what_is_taken_out_of_them() {
    for text in [
        r"host=db port=5433 user=llm password='a \'b\\ c' dbname=costs sslmode=verify-ca sslrootcert='/etc/my ca.pem' connect_timeout=9",
        r"postgresql://llm:a%20'b%5C%20c@db:5433/costs?sslmode=verify-ca&sslrootcert=/etc/my%20ca.pem&connect_timeout=9",
    ] {
        let target = target(text).unwrap();
        let config = &target.config;
        assert_eq!(config.get_hosts(), [Host::Tcp("db".to_owned())], "{text}");
        assert_eq!(config.get_ports(), [5433]);
        assert_eq!(config.get_user(), Some("llm"));
        assert_eq!(config.get_password(), Some(br"a 'b\ c".as_slice()));
        assert_eq!(config.get_dbname(), Some("costs"));
        assert_eq!(config.get_connect_timeout(), Some(&Duration::from_secs(9)));
        assert_eq!(target.tls.authorities.as_deref(), Some("/etc/my ca.pem".as_ref()));
    }
}

#[test]
fn files_and_variables_are_read_and_their_names_told_when_missing() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("dsn");
    std::fs::write(&path, "host=db user=one\n").unwrap();
    let text = format!("file:{}", path.display());
    assert_eq!(target(&text).unwrap().config.get_user(), Some("one"));
    std::fs::write(&path, "host=db user=two\n").unwrap();
    assert_eq!(target(&text).unwrap().config.get_user(), Some("two"));
    std::fs::remove_file(&path).unwrap();
    assert!(target(&text).err().unwrap().text.contains("dsn\" of \"llm_cost_dsn\""));
    assert!(target("env:LLM_LEDGER_NOT_SET").err().unwrap().text.contains("LLM_LEDGER_NOT_SET"));
    let dsn = Dsn::parse(&["env:LLM_LEDGER_NOT_SET"]).unwrap();
    let target = Target::of(&dsn, Some("host=db user=three")).unwrap();
    assert_eq!(target.config.get_user(), Some("three"));
}

#[test]
fn what_is_no_connection_string_is_not_repeated() {
    for text in [
        "host",
        "host='db",
        "postgres://u:hunter2@db:x/",
        "pass word=hunter2",
        "hunter2=1",
        "postgres://u@db/?hunter2",
        "postgres://u@db/?sslmode=%hunter2",
        "port=hunter2",
    ] {
        let failure = target(text).err().unwrap();
        assert!(!failure.text.contains("hunter2"), "{}", failure.text);
        assert!(failure.text.contains("llm_cost_dsn"), "{}", failure.text);
    }
}

#[test]
fn secrets_are_taken_out_of_what_others_say() {
    let target = target("host=db user=llm password=hunter2").unwrap();
    let said = "no entry for \"hunter2\" in host=db user=llm password=hunter2".to_owned();
    assert_eq!(target.scrub(said), "no entry for \"***\" in ***");
}
