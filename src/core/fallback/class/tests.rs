//! Which words are taken, and what a list lists.

use super::super::{Event, Failure};
use super::*;

fn refused(status: u16) -> Failure {
    Failure::classify(&Event::Status { status, error: None })
}

#[test]
fn a_class_is_read_by_its_own_name() {
    for class in FailureClass::ALL {
        assert_eq!(FailureClass::parse(class.name()), Some(class));
        assert!(ClassSet::parse(&[class.name()]).unwrap().contains(class));
    }
    let names: std::collections::HashSet<_> = FailureClass::ALL.map(FailureClass::name).into();
    assert_eq!(names.len(), FailureClass::ALL.len());
}

#[test]
fn without_a_line_four_classes_are_listed() {
    let words = ["connect_error", "transport_timeout", "upstream_5xx", "rate_limited"];
    assert_eq!(ClassSet::default(), ClassSet::parse(&words).unwrap());
}

#[test]
fn an_unknown_word_is_named() {
    for word in ["timeout", "Rate_limited", "http_2", "http_200", "http_600", "http_+50", "http_"] {
        let error = ClassSet::parse(&["rate_limited", word]).unwrap_err();
        let start = format!("llm_fallback_on: unknown failure class \"{word}\"");
        assert!(error.starts_with(&start), "{error}");
    }
}

#[test]
fn a_status_is_listed_exactly() {
    let on = ClassSet::parse(&["http_409", "http_503", "http_409"]).unwrap();
    assert_eq!(on.statuses, [409, 503]);
    assert!(on.matches(&refused(409)) && on.matches(&refused(503)));
    assert!(!on.matches(&refused(500)) && !on.matches(&refused(400)));
}

#[test]
fn a_refusal_of_the_content_is_never_listed_by_its_status() {
    let error = super::super::ErrorCode { code: "content_filter".to_owned(), ..Default::default() };
    let filtered = Failure::classify(&Event::Status { status: 400, error: Some(error) });
    assert!(!ClassSet::parse(&["http_400"]).unwrap().matches(&filtered));
    assert!(ClassSet::parse(&["http_400"]).unwrap().matches(&refused(400)));
    assert!(ClassSet::parse(&["content_filter"]).unwrap().matches(&filtered));
}

#[test]
fn any_of_several_classes_is_enough() {
    for word in ["overloaded", "upstream_5xx", "http_529"] {
        assert!(ClassSet::parse(&[word]).unwrap().matches(&refused(529)), "{word}");
    }
}
