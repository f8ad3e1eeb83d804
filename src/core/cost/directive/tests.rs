//! What the lines of the configuration mean, and what their errors say.

use super::*;

#[test]
fn backends_are_off_or_any_of_three() {
    let sqlite = Backends::default();
    assert_eq!(Backends::parse(&["sqlite"]), Ok(sqlite));
    assert!(Backends::parse(&["off"]).unwrap().is_off());
    let all = Backends { log: true, sqlite: true, postgres: true };
    assert_eq!(Backends::parse(&["postgres", "log", "sqlite"]), Ok(all));
    for (args, error) in [
        (&["log", "log"][..], "duplicate backend \"log\" in \"llm_cost_backend\""),
        (&["log", "off"], "\"off\" stands alone in \"llm_cost_backend\""),
        (
            &["mysql"],
            "invalid backend \"mysql\" in \"llm_cost_backend\", it must be off, or any of log, \
             sqlite and postgres",
        ),
        (&[], "\"llm_cost_backend\" needs off, or any of log, sqlite and postgres"),
    ] {
        assert_eq!(Backends::parse(args).unwrap_err(), error);
    }
}

#[test]
fn a_journal_has_a_directory_and_bounds() {
    let line = JournalLine::parse(&["/var/j", "full=deny", "max=16m", "sync=250ms"]).unwrap();
    let deny = Full::Deny;
    let directory = "/var/j".to_owned();
    let expected = JournalLine { directory, max_bytes: 16 << 20, sync_ms: 250, full: deny };
    assert_eq!(line, expected);
    let plain = JournalLine::parse(&["j"]).unwrap();
    assert_eq!((plain.max_bytes, plain.sync_ms, plain.full), (1 << 30, 1000, Full::Drop));
    for (args, error) in [
        (&[][..], "\"llm_cost_journal\" needs a directory"),
        (&[""], "invalid path \"\" in \"llm_cost_journal\", give a path"),
        (
            &["j", "max=1k"],
            "invalid max \"1k\" in \"llm_cost_journal\", give at least 1m such as 1g",
        ),
        (&["j", "sync=0"], "invalid sync \"0\" in \"llm_cost_journal\", give a time such as 1s"),
        (
            &["j", "full=wait"],
            "invalid full \"wait\" in \"llm_cost_journal\", it must be drop or deny",
        ),
        (&["j", "max=1g", "max=2g"], "duplicate max in \"llm_cost_journal\": \"max=2g\""),
        (
            &["j", "size=1g"],
            "invalid parameter \"size=1g\" in \"llm_cost_journal\", it must be max=, sync= or \
             full=",
        ),
    ] {
        assert_eq!(JournalLine::parse(args).unwrap_err(), error);
    }
}

#[test]
fn tags_have_short_names_and_are_few() {
    let mut tags = Vec::new();
    for number in 0..32 {
        let name = format!("tag_{number}");
        let line = TagLine::parse(&[&name, "$arg_a"], &tags).unwrap();
        tags.push(line);
    }
    assert_eq!(
        TagLine::parse(&["one_more", ""], &tags).unwrap_err(),
        "too many \"llm_cost_tag\" lines, at most 32 are kept"
    );
    assert_eq!(
        TagLine::parse(&["tag_3", ""], &tags).unwrap_err(),
        "duplicate \"llm_cost_tag tag_3\", a tag has one value"
    );
    for name in ["", "Feature", "a-b", "a b", &"x".repeat(33)] {
        assert_eq!(
            TagLine::parse(&[name, "v"], &[]).unwrap_err(),
            format!("invalid name {name:?} in \"llm_cost_tag\", use 1 to 32 of a-z, 0-9 and \"_\"")
        );
    }
    assert!(TagLine::parse(&["name"], &[]).is_err());
}

#[test]
fn a_table_can_be_quoted_whatever_it_is_called() {
    for (text, quoted, attempts) in [
        ("llm_cost_events", "\"llm_cost_events\"", "\"llm_cost_events_attempts\""),
        ("Billing.Events", "\"billing\".\"events\"", "\"billing\".\"events_attempts\""),
        ("_t2", "\"_t2\"", "\"_t2_attempts\""),
    ] {
        let name = TableName::parse(&[text]).unwrap();
        assert_eq!((name.quoted(), name.attempts().quoted()), (quoted.into(), attempts.into()));
    }
    assert_eq!(TableName::default(), TableName::parse(&["llm_cost_events"]).unwrap());
    assert!(TableName::parse(&[&"t".repeat(54)]).is_ok());
    for text in
        ["", ".", "a.", ".a", "a.b.c", "1a", "a\"b", "a;b", "a b", "ä", &"t".repeat(55), "a\0"]
    {
        assert!(TableName::parse(&[text]).is_err(), "{text:?}");
    }
}

#[test]
fn no_dsn_is_shown() {
    let dsn = Dsn::parse(&["host=db password=hunter2"]).unwrap();
    assert_eq!(dsn.expose(), "host=db password=hunter2");
    assert!(!format!("{dsn:?}").contains("hunter2"));
    for args in [&["host=db\npassword=hunter2"][..], &["host=db", "password=hunter2"], &["env:"]] {
        let error = Dsn::parse(args).unwrap_err();
        assert!(error.contains("\"llm_cost_dsn\"") && !error.contains("hunter2"), "{error}");
    }
}

#[test]
fn a_missing_usage_has_three_treatments() {
    assert_eq!(UsageMissing::parse(&["estimate"]), Ok(UsageMissing::default()));
    assert_eq!(UsageMissing::parse(&["reserve"]), Ok(UsageMissing::Reserve));
    assert_eq!(UsageMissing::parse(&["zero"]), Ok(UsageMissing::Zero));
    for args in [&["free"][..], &[], &["zero", "zero"]] {
        assert_eq!(
            UsageMissing::parse(args).unwrap_err(),
            "\"llm_cost_usage_missing\" must be estimate, reserve or zero"
        );
    }
}
