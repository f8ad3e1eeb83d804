//! What does one event of a provider's stream say: content, end, error, usage, model? `stream` asks
//! for each event it forwards. One strict pass over the JSON; every dialect is read by the same walk,
//! because gateways in front of providers mix their spellings.

use std::ops::Range;

use crate::dialect::Dialect;
use crate::json::{JsonError, Kind, Scanner, Text, Value};
use crate::usage::{Usage, each_member};

/// Longest code or type of an error that is kept.
const MAX_WORD_BYTES: usize = 64;
/// Longest message of an error that is kept.
const MAX_MESSAGE_BYTES: usize = 512;

/// An error that a provider reported inside a stream or an answer with status 200.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ErrorEvent {
    /// `code`, whether it was written as a word or as a number; empty if there was none.
    pub code: String,
    /// `type`; empty if there was none.
    pub kind: String,
    /// The beginning of `message`. It may repeat what the client sent: not for logs unscrubbed.
    pub message: String,
}

impl ErrorEvent {
    /// Reads the value of an `error` member. `None` for what stands for no error.
    pub(crate) fn read(scanner: &mut Scanner<'_>) -> Result<Option<Self>, JsonError> {
        match scanner.kind()? {
            Kind::Object => {
                let mut error = Self::default();
                let mut empty = true;
                each_member(scanner, |name, scanner| {
                    empty = false;
                    error.read_member(name, scanner)
                })?;
                Ok((!empty).then_some(error))
            }
            Kind::String => {
                let message = bounded(&scanner.string()?, MAX_MESSAGE_BYTES);
                Ok((!message.is_empty()).then(|| Self { message, ..Self::default() }))
            }
            Kind::Null | Kind::False => scanner.value().map(|_| None),
            _ => scanner.value().map(|_| Some(Self::default())),
        }
    }

    /// Reads a member of an error object; those that are not known are stepped over.
    fn read_member(&mut self, name: &[u8], scanner: &mut Scanner<'_>) -> Result<(), JsonError> {
        let (field, limit) = match name {
            b"code" => (&mut self.code, MAX_WORD_BYTES),
            b"type" => (&mut self.kind, MAX_WORD_BYTES),
            b"message" => (&mut self.message, MAX_MESSAGE_BYTES),
            _ => return scanner.value().map(drop),
        };
        match scanner.kind()? {
            Kind::String => *field = bounded(&scanner.string()?, limit),
            Kind::Number => {
                let value = scanner.value()?;
                let digits = scanner.slice(&value.span);
                *field = String::from_utf8_lossy(digits.get(..limit).unwrap_or(digits)).into();
            }
            _ => return scanner.value().map(drop),
        }
        Ok(())
    }
}

/// What one event says.
#[derive(Debug, Default)]
pub(crate) struct Event {
    /// Something of the answer itself.
    pub content: bool,
    /// The model ended its answer.
    pub finished: bool,
    /// Nothing will follow.
    pub marker: bool,
    pub error: Option<ErrorEvent>,
    pub usage: Option<Usage>,
    /// It exists to tell the usage: `choices` is there and empty, `usage` is an object.
    pub usage_only: bool,
    /// Where the name of the model stands, quotes included.
    pub model: Option<Range<usize>>,
}

impl Event {
    /// Reads the data of an event; `name` is the value of its `event:` line.
    pub fn read(data: &[u8], name: &[u8], dialect: Dialect) -> Result<Self, JsonError> {
        let mut scanner = Scanner::new(data);
        let mut walk = Walk::new(dialect);
        if scanner.kind()? == Kind::Object {
            each_member(&mut scanner, |name, scanner| walk.member(name, scanner))?;
        } else {
            scanner.value()?;
        }
        scanner.end()?;
        Ok(walk.conclude(name))
    }

    /// An event that was too large to be read at once, from what was seen of it in passing.
    pub fn glimpsed(kind: &str, usage: Option<Usage>, error: Option<ErrorEvent>) -> Self {
        let mut walk = Walk::new(Dialect::default());
        walk.event = Self { content: error.is_none(), usage, error, ..Self::default() };
        walk.conclude(kind.as_bytes())
    }
}

/// What is gathered before the event's type is known: members come in any order.
struct Walk<'a> {
    dialect: Dialect,
    event: Event,
    kind: Option<Text<'a>>,
    no_choices: bool,
    usage_object: bool,
    /// `delta` holds something; the type tells whether that is content.
    delta_filled: bool,
    /// The block that starts is more than an empty text.
    block_filled: bool,
    /// The members of an error that stand beside `type` and not in `error`.
    flat_error: ErrorEvent,
    is_flat_error: bool,
}

impl<'a> Walk<'a> {
    fn new(dialect: Dialect) -> Self {
        Self {
            dialect,
            event: Event::default(),
            kind: None,
            no_choices: false,
            usage_object: false,
            delta_filled: false,
            block_filled: false,
            flat_error: ErrorEvent::default(),
            is_flat_error: false,
        }
    }

    fn member(&mut self, name: &[u8], scanner: &mut Scanner<'a>) -> Result<(), JsonError> {
        match name {
            b"choices" => self.choices(scanner),
            b"model" => self.model(scanner),
            b"usage" => self.usage(scanner),
            b"error" => self.error(scanner),
            b"delta" | b"audio" => self.delta(scanner),
            b"content_block" => self.block(scanner),
            b"response" => self.answer(scanner),
            b"type" => {
                self.kind = string(scanner)?;
                Ok(())
            }
            b"object" => {
                self.is_flat_error = string(scanner)?.is_some_and(|object| object.is("error"));
                Ok(())
            }
            b"message" => match scanner.kind()? {
                Kind::Object => self.answer(scanner),
                _ => self.flat_error.read_member(name, scanner),
            },
            b"code" => self.flat_error.read_member(name, scanner),
            _ => scanner.value().map(drop),
        }
    }

    /// `message` of Anthropic's message_start and `response` of Responses: the answer so far.
    fn answer(&mut self, scanner: &mut Scanner<'a>) -> Result<(), JsonError> {
        each_member(scanner, |name, scanner| match name {
            b"model" => self.model(scanner),
            b"usage" => self.usage(scanner),
            b"error" => self.error(scanner),
            _ => scanner.value().map(drop),
        })
    }

    fn model(&mut self, scanner: &mut Scanner<'a>) -> Result<(), JsonError> {
        let value = scanner.value()?;
        if value.kind == Kind::String {
            self.event.model = Some(value.span);
        }
        Ok(())
    }

    fn usage(&mut self, scanner: &mut Scanner<'a>) -> Result<(), JsonError> {
        if scanner.kind()? != Kind::Object {
            return scanner.value().map(drop);
        }
        self.usage_object = true;
        self.event.usage = Usage::read(scanner, self.dialect)?;
        Ok(())
    }

    fn error(&mut self, scanner: &mut Scanner<'a>) -> Result<(), JsonError> {
        if let Some(error) = ErrorEvent::read(scanner)? {
            self.event.error = Some(error);
        }
        Ok(())
    }

    fn choices(&mut self, scanner: &mut Scanner<'a>) -> Result<(), JsonError> {
        if scanner.kind()? != Kind::Array {
            return scanner.value().map(drop);
        }
        let mut items = scanner.enter_array()?;
        self.no_choices = true;
        while scanner.next_item(&mut items)? {
            self.no_choices = false;
            each_member(scanner, |name, scanner| self.choice_member(name, scanner))?;
        }
        Ok(())
    }

    fn choice_member(&mut self, name: &[u8], scanner: &mut Scanner<'a>) -> Result<(), JsonError> {
        match name {
            b"delta" | b"message" => each_member(scanner, |name, scanner| {
                let filled = filled(scanner)?;
                self.event.content |= filled
                    && matches!(
                        name,
                        b"content"
                            | b"reasoning_content"
                            | b"reasoning"
                            | b"reasoning_details"
                            | b"tool_calls"
                            | b"function_call"
                            | b"refusal"
                            | b"audio"
                    );
                Ok(())
            }),
            b"text" => {
                self.event.content |= filled(scanner)?;
                Ok(())
            }
            b"finish_reason" => {
                // Some providers write an empty reason until there is one.
                match string(scanner)?.filter(|reason| !reason.raw.is_empty()) {
                    Some(reason) if reason.is("error") => {
                        let error = ErrorEvent { kind: "error".into(), ..ErrorEvent::default() };
                        self.event.error.get_or_insert(error);
                    }
                    Some(_) => self.event.finished = true,
                    None => {}
                }
                Ok(())
            }
            b"error" => self.error(scanner),
            _ => scanner.value().map(drop),
        }
    }

    /// A string in Responses and speech, an object in Anthropic's events.
    fn delta(&mut self, scanner: &mut Scanner<'a>) -> Result<(), JsonError> {
        if scanner.kind()? != Kind::Object {
            self.delta_filled |= filled(scanner)?;
            return Ok(());
        }
        each_member(scanner, |name, scanner| {
            match name {
                b"text" | b"thinking" | b"partial_json" | b"signature" | b"citation" => {
                    self.delta_filled |= filled(scanner)?;
                }
                b"stop_reason" => self.event.finished |= filled(scanner)?,
                _ => return scanner.value().map(drop),
            }
            Ok(())
        })
    }

    fn block(&mut self, scanner: &mut Scanner<'a>) -> Result<(), JsonError> {
        each_member(scanner, |name, scanner| {
            self.block_filled |= match name {
                b"type" => {
                    string(scanner)?.is_some_and(|kind| !kind.is("text") && !kind.is("thinking"))
                }
                b"text" | b"thinking" => filled(scanner)?,
                _ => scanner.value().map(|_| false)?,
            };
            Ok(())
        })
    }

    fn conclude(self, name: &[u8]) -> Event {
        let Self { mut event, kind, mut flat_error, .. } = self;
        let decoded =
            kind.filter(|kind| kind.escaped).map(|kind| kind.decode().unwrap_or_default());
        let kind = match (&decoded, &kind) {
            (Some(decoded), _) => decoded.as_bytes(),
            (None, Some(kind)) => kind.raw,
            (None, None) => name,
        };
        match kind {
            b"" => {}
            b"content_block_delta" => event.content |= self.delta_filled,
            b"content_block_start" => event.content |= self.block_filled,
            b"message_stop" => event.marker = true,
            b"response.completed" | b"response.incomplete" => {
                event.marker = true;
                event.finished = true;
            }
            // The endpoints beside those of a conversation end without a marker of their own.
            b"image_generation.completed"
            | b"image_edit.completed"
            | b"speech.audio.done"
            | b"transcript.text.done" => event.finished = true,
            b"response.failed" => {
                event.marker = true;
                event.error.get_or_insert_default();
            }
            _ if kind.ends_with(b".delta") => event.content |= self.delta_filled,
            _ if kind.ends_with(b".partial_image") => event.content = true,
            _ => {}
        }
        if event.error.is_none() && (self.is_flat_error || kind == b"error" || name == b"error") {
            if kind != b"error" {
                flat_error.kind =
                    String::from_utf8_lossy(kind.get(..MAX_WORD_BYTES).unwrap_or(kind)).into();
            }
            event.error = Some(flat_error);
        }
        event.usage_only = self.no_choices && self.usage_object && event.error.is_none();
        event
    }
}

/// Reads a string; anything else is stepped over.
fn string<'a>(scanner: &mut Scanner<'a>) -> Result<Option<Text<'a>>, JsonError> {
    if scanner.kind()? == Kind::String {
        return scanner.string().map(Some);
    }
    scanner.value().map(|_| None)
}

/// Whether the next value holds anything: text, items or members. Steps over it.
fn filled(scanner: &mut Scanner<'_>) -> Result<bool, JsonError> {
    let Value { kind, span } = scanner.value()?;
    Ok(match kind {
        Kind::String => span.len() > 2,
        Kind::Array | Kind::Object => {
            let inside = span.start + 1..span.end.saturating_sub(1);
            !scanner.slice(&inside).iter().all(u8::is_ascii_whitespace)
        }
        _ => false,
    })
}

/// What a string means, up to `limit` bytes.
fn bounded(text: &Text<'_>, limit: usize) -> String {
    let text = text.decode().unwrap_or_default();
    let end = (0..=limit.min(text.len())).rev().find(|at| text.is_char_boundary(*at));
    text.get(..end.unwrap_or(0)).unwrap_or_default().to_owned()
}
