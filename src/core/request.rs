//! What does a request body ask for, and where do the bytes stand that we may replace? The proxy room
//! scans each body once; every other byte reaches the provider as the client wrote it.

mod edit;

use std::borrow::Cow;
use std::ops::Range;

pub use edit::{Changes, Edit, plan, slices};

use crate::error::Rejection;
use crate::json::{JsonError, Kind, Members, Scanner, Text};

/// A model's name is at most this long.
pub const MAX_MODEL_BYTES: usize = 256;

/// What we know of a request body.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Facts<'a> {
    /// The model's name.
    pub model: Option<Field<'a>>,
    /// Our field that asks for a provider. OpenRouter's object of that name is not ours: it is
    /// passed on and not seen here.
    pub provider: Option<Field<'a>>,
    /// The member `provider` stands in.
    pub provider_member: Option<Member>,
    /// Our field that names the body's dialect.
    pub dialect: Option<Field<'a>>,
    /// The member `dialect` stands in.
    pub dialect_member: Option<Member>,
    /// Whether `stream` is the literal `true`.
    pub stream: bool,
    /// What OpenAI's clients say about usage in streams.
    pub stream_options: StreamOptions,
    /// The largest output limit that is given, in tokens.
    pub max_output_tokens: Option<u64>,
    /// How many answers are asked for.
    pub n: Option<u64>,
    /// Behind the opening brace.
    pub insert_at: usize,
    /// Whether the object has no members.
    pub empty: bool,
    /// Bytes of the values that become the prompt.
    pub prompt_bytes: u64,
    /// What the members tell about the dialect.
    pub shape: Shape,
}

/// A string value and where it stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Field<'a> {
    /// What the string means.
    pub text: Cow<'a, str>,
    /// Where the value stands, quotes included.
    pub span: Range<usize>,
}

/// Where a member of the top-level object stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Member {
    /// From the key's opening quote to the end of the value.
    pub span: Range<usize>,
    /// The comma before it.
    pub comma_before: Option<usize>,
    /// The comma after it.
    pub comma_after: Option<usize>,
}

impl Member {
    /// The bytes to cut so that valid JSON stays: the member and exactly one adjoining comma.
    #[must_use]
    pub fn cut(&self) -> Range<usize> {
        match (self.comma_before, self.comma_after) {
            (Some(comma), _) => comma..self.span.end,
            (None, Some(comma)) => self.span.start..comma + 1,
            (None, None) => self.span.clone(),
        }
    }
}

/// `stream_options` as far as usage is concerned.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum StreamOptions {
    /// There is none.
    Absent,
    /// It is `null`, here.
    Null(Range<usize>),
    /// It is an object.
    Object {
        /// Behind its opening brace.
        insert_at: usize,
        /// Whether it has no members.
        empty: bool,
        /// The value of `include_usage` (`null` is false) and where it stands.
        include_usage: Option<(bool, Range<usize>)>,
    },
    /// It is something the provider has to judge.
    Other,
}

/// What the members of a body tell about its dialect.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Shape {
    /// Nothing that only one dialect has.
    Unclear,
    /// A top-level `system` or `anthropic_version`.
    Anthropic,
}

impl Facts<'_> {
    /// Whether the client itself asked for usage in the stream. If not, what we made the provider
    /// add is to be stripped from the answer. Options we could not read are the client's own.
    #[must_use]
    pub fn asked_for_usage(&self) -> bool {
        match &self.stream_options {
            StreamOptions::Object { include_usage, .. } => {
                include_usage.as_ref().is_some_and(|(asked, _)| *asked)
            }
            StreamOptions::Other => true,
            StreamOptions::Absent | StreamOptions::Null(_) => false,
        }
    }
}

/// Why a body cannot be served.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FactsError {
    /// It is not JSON.
    Json(JsonError),
    /// It is not UTF-8.
    InvalidUtf8,
    /// It is JSON, but no object.
    NotAnObject,
    /// A field we act on stands twice.
    DuplicateKey(&'static str),
    /// A field we act on is no string.
    WrongType(&'static str),
    /// `models` names models that the provider may answer with in place of `model`.
    OtherModels,
    /// The model's name is blank.
    EmptyModel,
    /// The model's name has control characters, lone surrogates or too many bytes.
    BadModelName,
}

impl FactsError {
    /// What the client is told.
    #[must_use]
    pub fn rejection(self) -> Rejection {
        match self {
            Self::Json(JsonError::Syntax(at)) => {
                Rejection::invalid_json(&format!("unexpected byte at offset {at}"))
            }
            Self::Json(JsonError::Truncated) => Rejection::invalid_json("it ends too early"),
            Self::Json(JsonError::TooDeep) => Rejection::invalid_json("it is nested too deep"),
            Self::InvalidUtf8 => Rejection::invalid_json("it is not UTF-8"),
            Self::NotAnObject => Rejection::invalid_json("its top level is not an object"),
            Self::DuplicateKey(key) => Rejection::duplicate_key(key),
            Self::WrongType(key) => Rejection::invalid_type(key),
            Self::OtherModels => Rejection::other_models(),
            Self::EmptyModel => Rejection::model_required(),
            Self::BadModelName => Rejection::invalid_model_name(),
        }
    }
}

impl From<FactsError> for Rejection {
    fn from(error: FactsError) -> Self {
        error.rejection()
    }
}

impl From<JsonError> for FactsError {
    fn from(error: JsonError) -> Self {
        Self::Json(error)
    }
}

/// Reads a body in one pass.
pub fn scan(body: &[u8]) -> Result<Facts<'_>, FactsError> {
    simdutf8::basic::from_utf8(body).map_err(|_| FactsError::InvalidUtf8)?;
    let mut scanner = Scanner::new(body);
    if scanner.kind()? != Kind::Object {
        scanner.value()?;
        scanner.end()?;
        return Err(FactsError::NotAnObject);
    }
    let mut members = scanner.enter_object()?;
    let mut reader = Reader::new(scanner.position());
    while let Some(key) = scanner.next_key(&mut members)? {
        reader.member(&mut scanner, &members, &key)?;
    }
    scanner.end()?;
    Ok(reader.facts)
}

/// A prompt's tokens as far as its bytes tell: four bytes a token, rounded up. English text comes out
/// about right, Chinese a little low, base64 images far too high.
#[must_use]
pub fn estimate_tokens(prompt_bytes: u64) -> u64 {
    prompt_bytes.div_ceil(4)
}

/// The facts so far, and which keys have been seen.
struct Reader<'a> {
    facts: Facts<'a>,
    seen: Seen,
}

#[derive(Default)]
struct Seen {
    model: bool,
    provider: bool,
    dialect: bool,
    stream: bool,
    stream_options: bool,
}

impl<'a> Reader<'a> {
    fn new(insert_at: usize) -> Self {
        let facts = Facts {
            model: None,
            provider: None,
            provider_member: None,
            dialect: None,
            dialect_member: None,
            stream: false,
            stream_options: StreamOptions::Absent,
            max_output_tokens: None,
            n: None,
            insert_at,
            empty: true,
            prompt_bytes: 0,
            shape: Shape::Unclear,
        };
        Self { facts, seen: Seen::default() }
    }

    /// Reads the value behind `key`.
    fn member(
        &mut self,
        scanner: &mut Scanner<'a>,
        members: &Members,
        key: &Text<'a>,
    ) -> Result<(), FactsError> {
        self.facts.empty = false;
        self.close_members(members);
        let decoded = if key.escaped { key.decode() } else { None };
        match decoded.as_deref().map_or(key.raw, str::as_bytes) {
            b"model" => {
                once(&mut self.seen.model, "model")?;
                self.facts.model = Some(model(scanner)?);
            }
            b"provider" => {
                once(&mut self.seen.provider, "provider")?;
                if scanner.kind()? == Kind::Object {
                    scanner.value()?;
                } else {
                    self.facts.provider = Some(string(scanner, "provider")?);
                    self.facts.provider_member = Some(open_member(scanner, members));
                }
            }
            b"dialect" => {
                once(&mut self.seen.dialect, "dialect")?;
                if scanner.kind()? == Kind::String {
                    self.facts.dialect = Some(string(scanner, "dialect")?);
                    self.facts.dialect_member = Some(open_member(scanner, members));
                } else {
                    scanner.value()?;
                }
            }
            b"stream" => {
                once(&mut self.seen.stream, "stream")?;
                self.facts.stream = scanner.value()?.kind == Kind::True;
            }
            b"stream_options" => {
                once(&mut self.seen.stream_options, "stream_options")?;
                self.facts.stream_options = stream_options(scanner)?;
            }
            b"max_tokens" | b"max_completion_tokens" | b"max_output_tokens" => {
                let limit = count(scanner)?;
                self.facts.max_output_tokens = self.facts.max_output_tokens.max(limit);
            }
            b"n" => self.facts.n = count(scanner)?,
            b"system" => {
                self.facts.shape = Shape::Anthropic;
                self.prompt(scanner)?;
            }
            b"messages" | b"input" | b"prompt" | b"tools" | b"instructions" => {
                self.prompt(scanner)?;
            }
            b"anthropic_version" => {
                self.facts.shape = Shape::Anthropic;
                scanner.value()?;
            }
            // Go's readers ignore case and would take this for the model.
            other if other.eq_ignore_ascii_case(b"model") => {
                once(&mut self.seen.model, "model")?;
                scanner.value()?;
            }
            other if is_models(other) => no_models(scanner)?,
            _ => {
                scanner.value()?;
            }
        }
        Ok(())
    }

    fn prompt(&mut self, scanner: &mut Scanner<'a>) -> Result<(), FactsError> {
        let length = scanner.value()?.span.len();
        let length = u64::try_from(length).unwrap_or(u64::MAX);
        self.facts.prompt_bytes = self.facts.prompt_bytes.saturating_add(length);
        Ok(())
    }

    /// The comma before this member is the one after the member before it.
    fn close_members(&mut self, members: &Members) {
        let open = [&mut self.facts.provider_member, &mut self.facts.dialect_member];
        for member in open.into_iter().flatten() {
            if member.comma_after.is_none() {
                member.comma_after = members.comma();
            }
        }
    }
}

/// The member whose value has just been read.
fn open_member(scanner: &Scanner<'_>, members: &Members) -> Member {
    let span = members.start()..scanner.position();
    Member { span, comma_before: members.comma(), comma_after: None }
}

fn once(seen: &mut bool, key: &'static str) -> Result<(), FactsError> {
    if std::mem::replace(seen, true) { Err(FactsError::DuplicateKey(key)) } else { Ok(()) }
}

fn model<'a>(scanner: &mut Scanner<'a>) -> Result<Field<'a>, FactsError> {
    let field = string(scanner, "model")?;
    if field.text.trim().is_empty() {
        return Err(FactsError::EmptyModel);
    }
    if field.text.len() > MAX_MODEL_BYTES || field.text.contains(char::is_control) {
        return Err(FactsError::BadModelName);
    }
    Ok(field)
}

/// Readers that ignore case take the long s for an s.
fn is_models(key: &[u8]) -> bool {
    let stem = key.strip_suffix(b"s").or_else(|| key.strip_suffix(b"S"));
    let stem = stem.or_else(|| key.strip_suffix("\u{17f}".as_bytes()));
    stem.is_some_and(|stem| stem.eq_ignore_ascii_case(b"model"))
}

/// OpenRouter answers with any model of this list, past the catalog, its keys and its prices. It would
/// also stand in the body for every other target. A list that names none is harmless.
fn no_models(scanner: &mut Scanner<'_>) -> Result<(), FactsError> {
    let value = scanner.value()?;
    let is_blank = |bytes: &[u8]| bytes.iter().all(u8::is_ascii_whitespace);
    match (value.kind, scanner.slice(&value.span)) {
        (Kind::Null, _) => Ok(()),
        (Kind::Array, [_, inside @ .., _]) if is_blank(inside) => Ok(()),
        _ => Err(FactsError::OtherModels),
    }
}

fn string<'a>(scanner: &mut Scanner<'a>, key: &'static str) -> Result<Field<'a>, FactsError> {
    if scanner.kind()? != Kind::String {
        return Err(FactsError::WrongType(key));
    }
    let start = scanner.position();
    let text = scanner.string()?;
    let span = start..scanner.position();
    // UTF-8 is checked, so only a lone surrogate cannot be decoded.
    let unreadable =
        if key == "model" { FactsError::BadModelName } else { FactsError::WrongType(key) };
    Ok(Field { text: text.decode().ok_or(unreadable)?, span })
}

fn stream_options(scanner: &mut Scanner<'_>) -> Result<StreamOptions, FactsError> {
    if scanner.kind()? != Kind::Object {
        let value = scanner.value()?;
        let null = value.kind == Kind::Null;
        return Ok(if null { StreamOptions::Null(value.span) } else { StreamOptions::Other });
    }
    let mut members = scanner.enter_object()?;
    let insert_at = scanner.position();
    let (mut empty, mut readable, mut include_usage) = (true, true, None);
    while let Some(key) = scanner.next_key(&mut members)? {
        empty = false;
        let value = scanner.value()?;
        if !key.is("include_usage") {
            continue;
        }
        match value.kind {
            // The last of several counts, as in most readers.
            Kind::True => include_usage = Some((true, value.span)),
            Kind::False | Kind::Null => include_usage = Some((false, value.span)),
            _ => readable = false,
        }
    }
    Ok(if readable {
        StreamOptions::Object { insert_at, empty, include_usage }
    } else {
        StreamOptions::Other
    })
}

/// A number of tokens or answers. What is no number does not count; what is too large is the largest.
fn count(scanner: &mut Scanner<'_>) -> Result<Option<u64>, FactsError> {
    let value = scanner.value()?;
    if value.kind != Kind::Number {
        return Ok(None);
    }
    let text = std::str::from_utf8(scanner.slice(&value.span)).unwrap_or_default();
    if text.starts_with('-') {
        return Ok(None);
    }
    if text.bytes().all(|byte| byte.is_ascii_digit()) {
        return Ok(Some(text.parse().unwrap_or(u64::MAX)));
    }
    // `1e3` and `100.0` are the client's way to write it; the conversion saturates.
    Ok(text.parse::<f64>().ok().map(|number| number.ceil() as u64))
}

#[cfg(test)]
mod tests;
