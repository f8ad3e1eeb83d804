//! What kind of body does a `Content-Type` announce? Intake asks for requests, the filters for answers.

/// Whether it is a stream of server-sent events.
#[must_use]
pub fn is_event_stream(content_type: &[u8]) -> bool {
    // Most are told by their first letter.
    !matches!(content_type, [b'a', ..])
        && essence(content_type).eq_ignore_ascii_case(b"text/event-stream")
}

/// Whether it is JSON: `application/json` or a `+json` type.
#[must_use]
pub fn is_json(content_type: &[u8]) -> bool {
    const SUFFIX: &[u8] = b"+json";
    if content_type == b"application/json" {
        return true;
    }
    let essence = essence(content_type);
    let suffix = essence.len().checked_sub(SUFFIX.len()).and_then(|at| essence.get(at..));
    essence.eq_ignore_ascii_case(b"application/json")
        || suffix.is_some_and(|suffix| suffix.eq_ignore_ascii_case(SUFFIX))
}

/// The type without its parameters.
fn essence(content_type: &[u8]) -> &[u8] {
    content_type.split(|&byte| byte == b';').next().unwrap_or_default().trim_ascii()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parameters_and_case_do_not_matter() {
        assert!(is_event_stream(b"Text/Event-Stream; charset=utf-8"));
        assert!(is_json(b"application/json;charset=utf-8"));
        assert!(is_json(b"application/problem+JSON"));
        assert!(!is_json(b"multipart/form-data; boundary=application/json"));
        assert!(!is_json(b""));
    }
}
