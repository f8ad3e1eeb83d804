//! What does one event of a provider's stream say: content, end, error, usage, model? `stream` asks
//! for each event it forwards. One strict pass over the JSON; every dialect is read by the same walk,
//! because gateways in front of providers mix their spellings.

use std::ops::Range;

use crate::dialect::Dialect;
use crate::json::{JsonError, Kind, Scanner, Text, Value};
use crate::usage::{Usage, each_member};
use crate::words::{Member, Part, Words, unescaped_bytes};

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
    pub(crate) fn parse(text: &[u8]) -> Option<Self> {
        let mut scanner = Scanner::new(text);
        let value = scanner.value().ok()?;
        if !is_error(&scanner, &value) {
            return None;
        }
        let mut error = Self::default();
        let mut scanner = Scanner::new(text);
        match value.kind {
            Kind::Object => {
                each_member(&mut scanner, |name, scanner| error.read_member(name, scanner)).ok()?;
            }
            Kind::String => error.message = bounded(&scanner.string().ok()?, MAX_MESSAGE_BYTES),
            _ => {}
        }
        Some(error)
    }

    /// An error whose description is no JSON.
    pub(crate) fn of_text(text: &[u8]) -> Self {
        let text = text.get(..MAX_MESSAGE_BYTES).unwrap_or(text);
        Self { message: String::from_utf8_lossy(text).into(), ..Self::default() }
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

/// What one event says of the answer.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Said {
    /// Something of the answer itself.
    pub content: bool,
    /// Bytes of text in it, for an estimate of its tokens.
    pub content_bytes: u64,
    /// The model ended its answer.
    pub finished: bool,
    /// Nothing will follow.
    pub marker: bool,
}

/// One event, as places in its data: most have neither usage nor error, so that these are read
/// when they are there.
#[derive(Debug, Default)]
pub(crate) struct Event {
    pub said: Said,
    /// It exists to tell the usage: `choices` is there and empty, `usage` is an object.
    pub usage_only: bool,
    /// Where the name of the model stands, quotes included.
    pub model: Option<Range<usize>>,
    usage: Option<Range<usize>>,
    fault: Fault,
}

/// Where the error of an event stands.
#[derive(Debug, Default, PartialEq, Eq)]
enum Fault {
    #[default]
    None,
    /// There is one, but it is not described.
    Bare,
    /// In an `error` member.
    Member(Range<usize>),
    /// Beside the type of the event.
    Flat,
}

impl Event {
    /// Reads the data of an event; `name` is the value of its `event:` line.
    pub fn read(data: &[u8], name: &[u8]) -> Result<Self, JsonError> {
        let mut scanner = Scanner::new(data);
        let mut walk = Walk::default();
        if scanner.kind()? == Kind::Object {
            each_member(&mut scanner, |name, scanner| walk.member(name, scanner))?;
        } else {
            scanner.value()?;
        }
        scanner.end()?;
        Ok(walk.conclude(name))
    }

    /// The usage in `data`, which was read before.
    pub fn usage(&self, data: &[u8], dialect: Dialect) -> Option<Usage> {
        Usage::parse(data.get(self.usage.clone()?)?, dialect)
    }

    /// The error in `data`, which was read before.
    pub fn error(&self, data: &[u8]) -> Option<ErrorEvent> {
        match &self.fault {
            Fault::None => None,
            Fault::Bare => Some(ErrorEvent::default()),
            Fault::Member(span) => ErrorEvent::parse(data.get(span.clone())?),
            Fault::Flat => {
                let mut error = ErrorEvent::parse(data).unwrap_or_default();
                // What would be the error's type is only the event's.
                if error.kind == "error" {
                    error.kind.clear();
                }
                Some(error)
            }
        }
    }
}

impl Said {
    /// What an event says whose type is `kind` and of which nothing else is known.
    pub fn by_kind(kind: &[u8], content: bool) -> Self {
        let ended = Self { content, content_bytes: 0, finished: true, marker: true };
        match kind {
            b"message_stop" | b"response.failed" => Self { finished: false, ..ended },
            b"response.completed" | b"response.incomplete" => ended,
            // The endpoints beside those of a conversation end without a marker of their own.
            b"image_generation.completed"
            | b"image_edit.completed"
            | b"speech.audio.done"
            | b"transcript.text.done" => Self { marker: false, ..ended },
            _ => {
                let content = content || kind.ends_with(b".partial_image");
                Self { content, finished: false, marker: false, ..ended }
            }
        }
    }
}

/// What is gathered before the event's type is known: members come in any order.
#[derive(Default)]
struct Walk<'a> {
    event: Event,
    kind: Option<Text<'a>>,
    no_choices: bool,
    /// `delta` holds something; the type tells whether that is content.
    delta_filled: bool,
    /// Bytes of text in it.
    delta_bytes: u64,
    /// The block that starts is more than an empty text.
    block_filled: bool,
    /// Bytes of text in it.
    block_bytes: u64,
    /// Bytes of the name of the tool that is called.
    item_bytes: u64,
}

impl<'a> Walk<'a> {
    fn member(&mut self, name: &[u8], scanner: &mut Scanner<'a>) -> Result<(), JsonError> {
        match name {
            b"choices" => self.choices(scanner),
            b"model" => self.model(scanner),
            b"usage" => self.usage(scanner),
            b"error" => self.error(scanner),
            b"delta" | b"audio" => self.delta(scanner),
            b"content_block" => self.block(scanner),
            b"item" => self.item(scanner),
            b"stop_reason" => self.stop_reason(scanner),
            b"message" | b"response" => self.answer(scanner),
            b"type" => {
                self.kind = string(scanner)?;
                Ok(())
            }
            b"object" => {
                if string(scanner)?.is_some_and(|object| object.is("error")) {
                    suspect(&mut self.event.fault, Fault::Flat);
                }
                Ok(())
            }
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
        let value = scanner.value()?;
        if value.kind == Kind::Object {
            self.event.usage = Some(value.span);
        }
        Ok(())
    }

    fn error(&mut self, scanner: &mut Scanner<'a>) -> Result<(), JsonError> {
        let value = scanner.value()?;
        if is_error(scanner, &value) {
            self.event.fault = Fault::Member(value.span);
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
                let value = scanner.value()?;
                let is_content = matches!(
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
                self.event.said.content |= is_content && is_filled(scanner, &value);
                self.event.said.content_bytes += words(name, scanner, &value, Part::Answer);
                Ok(())
            }),
            b"finish_reason" => {
                // Some providers write an empty reason until there is one.
                match string(scanner)?.filter(|reason| !reason.raw.is_empty()) {
                    Some(reason) if reason.is("error") => {
                        suspect(&mut self.event.fault, Fault::Bare);
                    }
                    Some(reason) => {
                        self.event.said.finished = true;
                        // A refusal of the content is the answer, if nothing else comes.
                        self.event.said.content |= reason.is("content_filter");
                    }
                    None => {}
                }
                Ok(())
            }
            b"error" => self.error(scanner),
            _ => {
                let value = scanner.value()?;
                self.event.said.content |= name == b"text" && is_filled(scanner, &value);
                self.event.said.content_bytes += words(name, scanner, &value, Part::Answer);
                Ok(())
            }
        }
    }

    /// A string in Responses and speech, an object in Anthropic's events.
    fn delta(&mut self, scanner: &mut Scanner<'a>) -> Result<(), JsonError> {
        if scanner.kind()? != Kind::Object {
            return self.delta_text(scanner);
        }
        each_member(scanner, |name, scanner| match name {
            b"text" | b"thinking" => self.delta_text(scanner),
            b"partial_json" => {
                if let Some(text) = string(scanner)? {
                    self.delta_filled |= !text.raw.is_empty();
                    self.delta_bytes += unescaped_bytes(&text);
                }
                Ok(())
            }
            b"signature" | b"citation" => {
                self.delta_filled |= filled(scanner)?;
                Ok(())
            }
            b"stop_reason" => self.stop_reason(scanner),
            _ => scanner.value().map(drop),
        })
    }

    fn delta_text(&mut self, scanner: &mut Scanner<'a>) -> Result<(), JsonError> {
        let value = scanner.value()?;
        self.delta_filled |= is_filled(scanner, &value);
        self.delta_bytes += words(b"text", scanner, &value, Part::Blocks);
        Ok(())
    }

    /// In Anthropic's answers and their last events.
    fn stop_reason(&mut self, scanner: &mut Scanner<'a>) -> Result<(), JsonError> {
        if let Some(reason) = string(scanner)?.filter(|reason| !reason.raw.is_empty()) {
            self.event.said.finished = true;
            self.event.said.content |= reason.is("refusal");
        }
        Ok(())
    }

    fn block(&mut self, scanner: &mut Scanner<'a>) -> Result<(), JsonError> {
        each_member(scanner, |name, scanner| {
            if name == b"type" {
                let kind = string(scanner)?;
                self.block_filled |=
                    kind.is_some_and(|kind| !kind.is("text") && !kind.is("thinking"));
                return Ok(());
            }
            let value = scanner.value()?;
            self.block_filled |=
                matches!(name, b"text" | b"thinking") && is_filled(scanner, &value);
            self.block_bytes += words(name, scanner, &value, Part::Blocks);
            Ok(())
        })
    }

    /// What Responses begin. All else of it comes as deltas.
    fn item(&mut self, scanner: &mut Scanner<'a>) -> Result<(), JsonError> {
        each_member(scanner, |name, scanner| {
            let value = scanner.value()?;
            if name == b"name" {
                self.item_bytes += words(name, scanner, &value, Part::Answer);
            }
            Ok(())
        })
    }

    fn conclude(self, name: &[u8]) -> Event {
        let Self { mut event, kind, .. } = self;
        let escaped = kind.filter(|kind| kind.escaped);
        let decoded = escaped.map(|kind| kind.decode().unwrap_or_default());
        let kind = match (&decoded, &kind) {
            (Some(decoded), _) => decoded.as_bytes(),
            (None, Some(kind)) => kind.raw,
            (None, None) => name,
        };
        // Chunks of OpenAI's older endpoints have no type.
        if !kind.is_empty() {
            let content = match kind {
                b"content_block_delta" => self.delta_filled,
                b"content_block_start" => self.block_filled,
                _ => self.delta_filled && kind.ends_with(b".delta"),
            };
            let said = Said::by_kind(kind, content);
            event.said.content |= said.content;
            event.said.content_bytes += match kind {
                b"content_block_start" => self.block_bytes,
                b"response.output_item.added" => self.item_bytes,
                // Sound in base64 is no text.
                _ if kind.ends_with(b"audio.delta") => 0,
                _ if content => self.delta_bytes,
                _ => 0,
            };
            event.said.finished |= said.finished;
            event.said.marker |= said.marker;
            match kind {
                b"response.failed" => suspect(&mut event.fault, Fault::Bare),
                _ if kind == b"error" || name == b"error" => suspect(&mut event.fault, Fault::Flat),
                _ => {}
            }
        }
        event.usage_only = self.no_choices && event.usage.is_some() && event.fault == Fault::None;
        event
    }
}

/// An `error` member tells more than any other sign of an error.
fn suspect(fault: &mut Fault, found: Fault) {
    if *fault == Fault::None {
        *fault = found;
    }
}

/// Whether the value of an `error` member stands for an error.
fn is_error(scanner: &Scanner<'_>, value: &Value) -> bool {
    match value.kind {
        Kind::Null | Kind::False => false,
        Kind::Object | Kind::String => is_filled(scanner, value),
        Kind::Array | Kind::Number | Kind::True => true,
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
    let value = scanner.value()?;
    Ok(is_filled(scanner, &value))
}

/// Bytes that the model has written in a member's value.
fn words(name: &[u8], scanner: &Scanner<'_>, value: &Value, part: Part) -> u64 {
    let length = value.span.len() as u64;
    match (value.kind, Member::of(name, part)) {
        (Kind::String, Member::Text) => length.saturating_sub(2),
        (Kind::Array | Kind::Object, Member::Text) => Words::of(scanner.slice(&value.span), part),
        (Kind::Array | Kind::Object, Member::Json) if length > 2 => length,
        _ => 0,
    }
}

fn is_filled(scanner: &Scanner<'_>, value: &Value) -> bool {
    match value.kind {
        Kind::String => value.span.len() > 2,
        Kind::Array | Kind::Object => {
            let inside = value.span.start + 1..value.span.end.saturating_sub(1);
            !scanner.slice(&inside).iter().all(u8::is_ascii_whitespace)
        }
        _ => false,
    }
}

/// What a string means, up to `limit` bytes.
fn bounded(text: &Text<'_>, limit: usize) -> String {
    let text = text.decode().unwrap_or_default();
    let end = (0..=limit.min(text.len())).rev().find(|at| text.is_char_boundary(*at));
    text.get(..end.unwrap_or(0)).unwrap_or_default().to_owned()
}
