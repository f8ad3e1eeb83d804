//! Which class each end of an attempt is.

use super::super::error_code;
use super::*;

fn names(failure: &Failure) -> String {
    failure.classes.iter().map(Class::name).collect::<Vec<_>>().join(" ")
}

fn refused(status: u16, body: &str) -> Failure {
    Failure::classify(&Event::Status { status, error: error_code(body.as_bytes()) })
}

fn in_stream(body: &str) -> Failure {
    Failure::classify(&Event::StreamError(error_code(body.as_bytes()).unwrap_or_default()))
}

#[test]
fn a_status_alone_has_its_classes() {
    for (status, classes) in [
        (302, ""),
        (400, ""),
        (401, "auth_error"),
        (402, "quota_exhausted"),
        (403, "auth_error"),
        (404, "not_found"),
        (408, "transport_timeout"),
        (409, ""),
        (413, ""),
        (422, ""),
        (429, "rate_limited"),
        (500, "upstream_5xx"),
        (503, "upstream_5xx"),
        (504, "upstream_5xx"),
        (529, "overloaded upstream_5xx"),
        (599, "upstream_5xx"),
    ] {
        let failure = refused(status, "");
        assert_eq!(names(&failure), classes, "{status}");
        assert_eq!(failure.status, Some(status));
        assert_eq!((failure.sent, failure.answer), (Sent::Answered, Answer::Status));
        let label = classes.split(' ').next().filter(|name| !name.is_empty());
        assert_eq!(failure.label(), label.unwrap_or("semantic_error"), "{status}");
        assert_eq!(failure.told(), Told::Status(status));
    }
}

#[test]
fn codes_and_types_of_either_dialect_tell_more_than_the_status() {
    for (status, body, classes) in [
        (429, r#"{"error":{"code":"rate_limit_exceeded","type":"tokens"}}"#, "rate_limited"),
        (
            429,
            r#"{"error":{"type":"insufficient_quota","code":"insufficient_quota"}}"#,
            "quota_exhausted rate_limited",
        ),
        (429, r#"{"error":{"type":"engine_overloaded_error"}}"#, "rate_limited overloaded"),
        (503, r#"{"type":"error","error":{"type":"overloaded_error"}}"#, "overloaded upstream_5xx"),
        (503, r#"{"error":{"message":"The engine is down","code":503}}"#, "upstream_5xx"),
        (500, r#"{"type":"error","error":{"type":"api_error"}}"#, "upstream_5xx"),
        (500, r#"{"error":{"type":"server_error"}}"#, "upstream_5xx"),
        (401, r#"{"error":{"code":"invalid_api_key"}}"#, "auth_error"),
        (401, r#"{"type":"error","error":{"type":"authentication_error"}}"#, "auth_error"),
        (403, r#"{"type":"error","error":{"type":"permission_error"}}"#, "auth_error"),
        (403, r#"{"type":"error","error":{"type":"billing_error"}}"#, "quota_exhausted auth_error"),
        (403, r#"{"error":{"code":"model_not_found"}}"#, "not_found auth_error"),
        (404, r#"{"error":{"code":"model_not_found"}}"#, "not_found"),
        (404, r#"{"type":"error","error":{"type":"not_found_error"}}"#, "not_found"),
        (400, r#"{"error":{"code":"context_length_exceeded"}}"#, "context_length"),
        (413, r#"{"error":{"code":"context_length_exceeded"}}"#, "context_length"),
        (413, r#"{"type":"error","error":{"type":"request_too_large"}}"#, ""),
        (
            400,
            r#"{"type":"error","error":{"type":"invalid_request_error","message":"prompt is too long: 200001 tokens > 200000 maximum"}}"#,
            "context_length",
        ),
        (
            400,
            r#"{"object":"error","message":"This model's maximum context length is 4096 tokens.","type":"BadRequestError","code":400}"#,
            "context_length",
        ),
        (400, r#"{"error":{"code":"content_policy_violation"}}"#, "content_filter"),
        (400, r#"{"error":{"code":"content_filter","type":null}}"#, "content_filter"),
        (403, r#"{"error":{"code":"content_filter"}}"#, "content_filter"),
        (500, r#"{"error":{"code":"content_policy_violation"}}"#, "content_filter"),
        (
            400,
            r#"{"error":{"message":"Content Exists Risk","type":"invalid_request_error"}}"#,
            "content_filter",
        ),
        (
            400,
            r#"{"type":"error","error":{"type":"invalid_request_error","message":"Your credit balance is too low to access the API."}}"#,
            "quota_exhausted",
        ),
        (
            429,
            r#"[{"error":{"code":429,"message":"Resource has been exhausted","status":"RESOURCE_EXHAUSTED"}}]"#,
            "rate_limited",
        ),
        (400, r#"{"error":{"type":"invalid_request_error","message":"no such field"}}"#, ""),
        (422, r#"{"detail":"max_tokens must be positive"}"#, ""),
        // Words about the request cannot hide that the server failed.
        (500, r#"{"error":{"code":"context_length_exceeded"}}"#, "upstream_5xx"),
        (502, "<html>prompt is too long</html>", "upstream_5xx"),
    ] {
        assert_eq!(names(&refused(status, body)), classes, "{status} {body}");
    }
}

#[test]
fn an_error_in_a_stream_is_classified_as_its_status_would_be() {
    for (body, classes, told) in [
        (r#"{"error":{"type":"overloaded_error"}}"#, "overloaded upstream_5xx stream_error", 529),
        (r#"{"error":{"type":"api_error"}}"#, "upstream_5xx stream_error", 500),
        (r#"{"error":{"code":429,"message":"slow down"}}"#, "rate_limited stream_error", 429),
        (r#"{"error":{"code":502}}"#, "upstream_5xx stream_error", 502),
        (r#"{"error":{"type":"authentication_error"}}"#, "auth_error stream_error", 401),
        (r#"{"error":{"message":"gone wrong"}}"#, "stream_error", 502),
        (r#"{"error":{"code":"weird"}}"#, "stream_error", 502),
        (r#"{"error":{"type":"invalid_request_error","message":"no such field"}}"#, "", 400),
        (r#"{"error":{"code":"context_length_exceeded"}}"#, "context_length", 400),
        (r#"{"error":{"code":"content_filter"}}"#, "content_filter", 400),
        (r#"{"error":{"type":"not_found_error"}}"#, "not_found", 404),
    ] {
        let failure = in_stream(body);
        assert_eq!(names(&failure), classes, "{body}");
        assert_eq!(failure.give_up, GiveUp::Refused(told), "{body}");
        assert_eq!((failure.status, failure.answer), (None, Answer::Success));
        let first = classes.split(' ').next().unwrap();
        let expected = Class::parse(first).map_or(Told::SemanticError, Told::Class);
        assert_eq!(failure.told(), expected, "{body}");
    }
}

#[test]
fn what_is_no_status_has_its_class_and_how_far_the_request_came() {
    let none = Answer::None;
    for (event, classes, sent, answer, status) in [
        (Event::ConnectFailed, "connect_error", Sent::NotSent, none, 502),
        (Event::Closed, "connect_error", Sent::Silent, none, 502),
        (
            Event::TimedOut { connecting: true },
            "transport_timeout connect_error",
            Sent::NotSent,
            none,
            504,
        ),
        (Event::TimedOut { connecting: false }, "transport_timeout", Sent::Silent, none, 504),
        (Event::FirstTokenTimedOut, "first_token_timeout", Sent::Silent, none, 504),
        (Event::StreamCut, "stream_error", Sent::Answered, none, 502),
        (Event::StreamStalled, "transport_timeout stream_error", Sent::Answered, none, 504),
        (Event::Empty, "empty_response", Sent::Answered, Answer::Success, 502),
        (Event::BadHead, "bad_response", Sent::Answered, none, 502),
        (Event::BadBody, "bad_response", Sent::Answered, Answer::Success, 502),
    ] {
        let failure = Failure::classify(&event);
        assert_eq!(names(&failure), classes, "{event:?}");
        assert_eq!((failure.sent, failure.answer), (sent, answer), "{event:?}");
        assert_eq!(failure.give_up.rejection().status, status, "{event:?}");
        let timed_out = classes.contains("timeout");
        assert_eq!(failure.timed_out, timed_out, "{event:?}");
    }
    assert_eq!(Failure::classify(&Event::StreamStalled).label(), "stream_error");
}

#[test]
fn only_what_may_pass_is_tried_at_the_same_target_again() {
    let transient = |event| Failure::classify(&event).is_transient();
    let status = |status| refused(status, "").is_transient();
    assert!(transient(Event::ConnectFailed) && transient(Event::StreamCut));
    assert!(transient(Event::Empty) && transient(Event::BadHead) && transient(Event::BadBody));
    assert!(!transient(Event::Closed) && !transient(Event::FirstTokenTimedOut));
    assert!(!transient(Event::StreamStalled));
    assert!(!transient(Event::TimedOut { connecting: true }));
    assert!(!transient(Event::TimedOut { connecting: false }));
    assert!(status(429) && status(500) && status(529));
    assert!(!status(400) && !status(401) && !status(404) && !status(408) && !status(402));
    assert!(!refused(429, r#"{"error":{"code":"insufficient_quota"}}"#).is_transient());
}

#[test]
fn limits_and_credentials_are_of_the_key() {
    for (status, of_the_key) in
        [(401, true), (403, true), (402, true), (429, true), (500, false), (404, false)]
    {
        assert_eq!(refused(status, "").is_of_the_key(), of_the_key, "{status}");
    }
    assert!(!refused(403, r#"{"error":{"code":"content_filter"}}"#).is_of_the_key());
}

#[test]
fn resets_of_limits_count_only_where_a_limit_was_the_failure() {
    let headers = |name: &str| (name == "x-ratelimit-reset-requests").then_some("3s");
    assert_eq!(refused(429, "").retry_after_ms(headers, 0), Some(3000));
    assert_eq!(refused(500, "").retry_after_ms(headers, 0), None);
    let quota = refused(429, r#"{"error":{"code":"insufficient_quota"}}"#);
    assert_eq!(quota.retry_after_ms(headers, 0), None);
    let asked = |name: &str| (name == "retry-after").then_some("2");
    assert_eq!(refused(503, "").retry_after_ms(asked, 0), Some(2000));
}

#[test]
fn a_refused_key_of_ours_is_not_told_as_the_clients() {
    assert_eq!(GiveUp::Refused(401).rejection().status, 502);
    assert_eq!(GiveUp::Refused(429).rejection().status, 429);
}
