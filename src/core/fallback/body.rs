//! What does the body of a refusal say? The attempt asks for every error status; the body may be cut
//! off, because only its beginning is kept.

use serde_json::value::RawValue;

use super::ErrorCode;
use crate::json::{JsonError, Kind, Scanner, Text};
use crate::usage::each_member;

/// How much of a body is read.
const MAX_BODY_BYTES: usize = 16 * 1024;
/// Longest code or type that is kept.
const MAX_WORD_BYTES: usize = 64;
/// Longest message that is kept.
const MAX_MESSAGE_BYTES: usize = 512;

/// Code, type and message of an error body of either dialect. `None` if it has none of them. The
/// message may repeat what the client sent: not for logs unscrubbed.
#[must_use]
pub fn error_code(body: &[u8]) -> Option<ErrorCode> {
    let body = body.get(..MAX_BODY_BYTES).unwrap_or(body);
    let mut found = Found::default();
    // What was read before the text broke off stays.
    let _ = found.read(&mut Scanner::new(body));
    let error = found.conclude();
    (error != ErrorCode::default()).then_some(error)
}

/// Whether more of a JSON text has to come before it is whole; for bodies without a length.
#[must_use]
pub fn is_open(body: &[u8]) -> bool {
    serde_json::from_slice::<&RawValue>(body).is_err_and(|error| error.is_eof())
}

#[derive(Default)]
struct Found {
    /// In the member `error`.
    inner: ErrorCode,
    /// Beside it, where some providers put everything.
    outer: ErrorCode,
}

impl Found {
    fn read(&mut self, scanner: &mut Scanner<'_>) -> Result<(), JsonError> {
        // One vendor wraps its error into a list of one.
        if scanner.kind()? == Kind::Array {
            let mut items = scanner.enter_array()?;
            if !scanner.next_item(&mut items)? {
                return Ok(());
            }
        }
        each_member(scanner, |name, scanner| match (name, scanner.kind()?) {
            (b"error", Kind::Object) => {
                each_member(scanner, |name, scanner| read_member(&mut self.inner, name, scanner))
            }
            (b"error" | b"detail", Kind::String) => {
                let text = scanner.string()?;
                keep(&mut self.inner.message, &text, MAX_MESSAGE_BYTES);
                Ok(())
            }
            _ => read_member(&mut self.outer, name, scanner),
        })
    }

    /// `"type": "error"` beside an error only says that there is one.
    fn conclude(self) -> ErrorCode {
        let Self { inner, outer } = self;
        let first = |inner: String, outer: String| if inner.is_empty() { outer } else { inner };
        let kind = if outer.kind == "error" { String::new() } else { outer.kind };
        ErrorCode {
            code: first(inner.code, outer.code),
            kind: first(inner.kind, kind),
            message: first(inner.message, outer.message),
        }
    }
}

fn read_member(
    error: &mut ErrorCode,
    name: &[u8],
    scanner: &mut Scanner<'_>,
) -> Result<(), JsonError> {
    let (field, limit) = match name {
        b"code" => (&mut error.code, MAX_WORD_BYTES),
        // One vendor's word stands in `status`, beside a `code` that is the HTTP status.
        b"type" | b"status" => (&mut error.kind, MAX_WORD_BYTES),
        b"message" => (&mut error.message, MAX_MESSAGE_BYTES),
        _ => return scanner.value().map(drop),
    };
    match scanner.kind()? {
        Kind::String => keep(field, &scanner.string()?, limit),
        Kind::Number => {
            let value = scanner.value()?;
            let digits = Text { raw: scanner.slice(&value.span), escaped: false };
            keep(field, &digits, limit);
        }
        _ => return scanner.value().map(drop),
    }
    Ok(())
}

/// Keeps the beginning of a text, up to `limit` bytes.
fn keep(field: &mut String, text: &Text<'_>, limit: usize) {
    let text = text.decode().unwrap_or_default();
    let end = (0..=limit.min(text.len())).rev().find(|at| text.is_char_boundary(*at));
    text.get(..end.unwrap_or(0)).unwrap_or_default().clone_into(field);
}

#[cfg(test)]
mod tests;
