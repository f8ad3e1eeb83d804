//! Is the body of a success an answer? The attempt asks for whole answers that are no streams, where
//! the operator lists failures that hide behind status 200.

use super::Event;
use crate::dialect::Endpoint;
use crate::event;
use crate::json::{JsonError, Kind, Scanner};
use crate::usage::each_member;

/// What is wrong with the body; `None` if it is an answer.
#[must_use]
pub fn fault_of_answer(body: &[u8], endpoint: Endpoint) -> Option<Event> {
    if body.trim_ascii_start().first() != Some(&b'{') {
        return Some(Event::BadBody);
    }
    let Ok(answer) = event::Event::read(body, b"") else { return Some(Event::BadBody) };
    if let Some(error) = answer.error(body) {
        return Some(Event::StreamError(error));
    }
    let has_content = answer.said.content
        || match endpoint {
            Endpoint::Chat | Endpoint::Completions => false,
            Endpoint::Messages => list_holds(body, b"content"),
            Endpoint::Responses => list_holds(body, b"output") || is_under_way(body),
            Endpoint::Embeddings => list_holds(body, b"data"),
            Endpoint::CountTokens | Endpoint::Models | Endpoint::Other => true,
        };
    (!has_content).then_some(Event::Empty)
}

/// Whether an item of the list `name` is more than an empty text.
fn list_holds(body: &[u8], name: &[u8]) -> bool {
    let mut found = false;
    let read = of_member(body, name, |scanner| {
        if scanner.kind()? != Kind::Array {
            return scanner.value().map(drop);
        }
        let mut items = scanner.enter_array()?;
        while scanner.next_item(&mut items)? {
            found |= item_holds(scanner)?;
        }
        Ok(())
    });
    read.is_err() || found
}

/// Texts and messages may be empty; whatever else an item is, it is something.
fn item_holds(scanner: &mut Scanner<'_>) -> Result<bool, JsonError> {
    if scanner.kind()? != Kind::Object {
        return scanner.value().map(|_| true);
    }
    let (mut may_be_empty, mut filled) = (false, false);
    each_member(scanner, |name, scanner| {
        match (name, scanner.kind()?) {
            (b"type", Kind::String) => {
                let kind = scanner.string()?;
                may_be_empty = kind.is("text") || kind.is("output_text") || kind.is("message");
            }
            (b"text", Kind::String) => filled |= !scanner.string()?.raw.is_empty(),
            (b"content", Kind::Array) => {
                let mut items = scanner.enter_array()?;
                while scanner.next_item(&mut items)? {
                    filled |= item_holds(scanner)?;
                }
            }
            _ => {
                scanner.value()?;
            }
        }
        Ok(())
    })?;
    Ok(filled || !may_be_empty)
}

/// A response that is worked on in the background has no output yet.
fn is_under_way(body: &[u8]) -> bool {
    let mut found = false;
    let read = of_member(body, b"status", |scanner| {
        if scanner.kind()? == Kind::String {
            let status = scanner.string()?;
            found = status.is("queued") || status.is("in_progress");
            return Ok(());
        }
        scanner.value().map(drop)
    });
    read.is_err() || found
}

/// Reads the member `name` of an object, which was found to be JSON before.
fn of_member<'a>(
    body: &'a [u8],
    name: &[u8],
    mut read: impl FnMut(&mut Scanner<'a>) -> Result<(), JsonError>,
) -> Result<(), JsonError> {
    let mut scanner = Scanner::new(body);
    each_member(&mut scanner, |member, scanner| {
        if member == name { read(scanner) } else { scanner.value().map(drop) }
    })
}

#[cfg(test)]
mod tests;
