//! Which bytes of a body change, and what do the others look like around them? The attempt asks for
//! each target; it always starts from the client's own body.

use std::borrow::Cow;
use std::ops::Range;

use super::{Facts, Member, StreamOptions};

/// What one attempt wants to be different from the client's body.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Changes<'m> {
    /// The model to send; `None` leaves the client's. A body without a model does not get one.
    pub model: Option<&'m str>,
    /// Ask for usage in a stream. The caller allows it for OpenAI's chat and completions; only a
    /// body that streams is touched.
    pub inject_usage: bool,
    /// Take our field `provider` out.
    pub remove_provider: bool,
    /// Take our field `dialect` out.
    pub remove_dialect: bool,
}

/// A replacement of some bytes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Edit<'a> {
    /// What is replaced; an empty span inserts.
    pub span: Range<usize>,
    /// What stands there instead.
    pub with: Cow<'a, [u8]>,
}

/// The edits that make the changes, in the order of their position; they do not overlap.
#[must_use]
pub fn plan(facts: &Facts<'_>, changes: &Changes<'_>) -> Vec<Edit<'static>> {
    let mut edits = Vec::new();
    if let (Some(wanted), Some(field)) = (changes.model, &facts.model)
        && wanted != field.text
    {
        let quoted = serde_json::Value::from(wanted).to_string();
        edits.push(Edit { span: field.span.clone(), with: Cow::Owned(quoted.into_bytes()) });
    }
    if changes.inject_usage && facts.stream {
        edits.extend(usage(facts));
    }
    let provider = facts.provider_member.as_ref().filter(|_| changes.remove_provider);
    let dialect = facts.dialect_member.as_ref().filter(|_| changes.remove_dialect);
    edits.extend(cuts(provider, dialect).map(|span| Edit { span, with: Cow::Borrowed(b"") }));
    edits.sort_by_key(|edit| (edit.span.start, edit.span.end));
    edits
}

/// The body after the edits: untouched slices and replacements in order, empty ones left out.
#[must_use]
pub fn slices<'b>(body: &'b [u8], edits: &'b [Edit<'_>]) -> Vec<&'b [u8]> {
    let mut parts = Vec::with_capacity(edits.len() * 2 + 1);
    let mut at = 0;
    for edit in edits {
        parts.push(body.get(at..edit.span.start).unwrap_or_default());
        parts.push(edit.with.as_ref());
        at = edit.span.end;
    }
    parts.push(body.get(at..).unwrap_or_default());
    parts.retain(|part| !part.is_empty());
    parts
}

fn usage(facts: &Facts<'_>) -> Option<Edit<'static>> {
    let (span, with): (_, &'static [u8]) = match &facts.stream_options {
        // A body that streams has a member, so a comma must follow.
        StreamOptions::Absent => {
            (facts.insert_at..facts.insert_at, br#""stream_options":{"include_usage":true},"#)
        }
        StreamOptions::Null(span) => (span.clone(), br#"{"include_usage":true}"#),
        StreamOptions::Object { include_usage: Some((true, _)), .. } | StreamOptions::Other => {
            return None;
        }
        StreamOptions::Object { include_usage: Some((false, span)), .. } => (span.clone(), b"true"),
        StreamOptions::Object { insert_at, empty: true, include_usage: None } => {
            (*insert_at..*insert_at, br#""include_usage":true"#)
        }
        StreamOptions::Object { insert_at, empty: false, include_usage: None } => {
            (*insert_at..*insert_at, br#""include_usage":true,"#)
        }
    };
    Some(Edit { span, with: Cow::Borrowed(with) })
}

/// The bytes to cut for up to two members. Neighbours share a comma, so the second of two that open
/// the object takes the comma behind it instead.
fn cuts(
    one: Option<&Member>,
    other: Option<&Member>,
) -> impl Iterator<Item = Range<usize>> + use<> {
    let behind = |member: &Member, before: &Member| {
        let opens = before.comma_before.is_none() && before.comma_after == member.comma_before;
        if opens && member.comma_before.is_some() {
            let end = member.comma_after.map_or(member.span.end, |comma| comma + 1);
            member.span.start..end
        } else {
            member.cut()
        }
    };
    let cut = |member: Option<&Member>, before: Option<&Member>| match (member, before) {
        (Some(member), Some(before)) => Some(behind(member, before)),
        (Some(member), None) => Some(member.cut()),
        (None, _) => None,
    };
    [cut(one, other), cut(other, one)].into_iter().flatten()
}
