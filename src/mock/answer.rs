//! What may a test say about one answer, and how is it spelled?
//!
//! An `Answer` comes from the `x-mock` header, a script or the model's name. It says what was
//! asked for; `reply` turns it, together with the request, into bytes.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde::Deserialize;
use serde_json::{Map, Value};

/// One answer as scripted. Every field is optional; a misspelled one is an error.
#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Answer {
    pub status: Option<u16>,
    /// A value is a string, an array of strings, or null to drop a default header.
    pub headers: Map<String, Value>,
    pub json: Option<Value>,
    pub body: Option<String>,
    pub body_base64: Option<Base64>,
    pub sse: Option<Vec<String>>,
    pub chunks: Option<Vec<String>>,
    /// Like `chunks`, for bytes that are not UTF-8 by themselves.
    pub chunks_base64: Option<Vec<Base64>>,
    pub words: Option<usize>,
    pub size: Option<usize>,
    pub event_size: Option<usize>,
    pub delay_ms: u64,
    pub first_ms: u64,
    pub pace_ms: u64,
    pub framing: Option<Framing>,
    pub gzip: bool,
    pub fault: Fault,
    pub after: Option<usize>,
    pub error: Option<ErrorKind>,
    /// Answer the request's head: its body is not read, and the connection is closed.
    pub early: bool,
    pub times: Times,
    pub when: When,
}

/// Bytes that JSON cannot carry as they are.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(try_from = "String")]
pub struct Base64(pub Vec<u8>);

impl TryFrom<String> for Base64 {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        STANDARD.decode(text).map(Self).map_err(|error| error.to_string())
    }
}

/// How the end of the body is marked.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Framing {
    Chunked,
    Length,
    Close,
}

/// What goes wrong.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Fault {
    #[default]
    None,
    /// TCP RST before the head.
    Reset,
    /// FIN before the head.
    Close,
    /// Never answer.
    Hang,
    /// Silence after `after` events.
    Stall,
    /// FIN after `after` events; RST where FIN would be a clean end.
    Cut,
    /// RST after `after` events.
    CutReset,
    /// Event number `after` is not JSON.
    Malformed,
    /// Clean end without the terminal marker.
    NoDone,
    /// Clean end with neither finish reason nor marker.
    NoFinish,
    /// Event number `after` is an error event, the last one.
    ErrorEvent,
    /// The first event is an error event.
    ErrorFirst,
    /// 200 with empty content.
    Empty,
    /// Content-Length larger than what is sent, then FIN.
    ShortLength,
    /// The head is sent byte by byte.
    Trickle,
    /// An SSE line that never ends.
    EndlessLine,
    /// 16 KB of headers.
    BigHead,
}

/// A failure every provider knows, whatever its dialect.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ErrorKind {
    ContextLengthExceeded,
    ContentPolicyViolation,
    InsufficientQuota,
    RateLimitExceeded,
    InvalidApiKey,
    ModelNotFound,
    Overloaded,
    ServerError,
}

/// How often a scripted answer is used.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(try_from = "Value")]
pub enum Times {
    Left(u64),
    Always,
}

impl Default for Times {
    fn default() -> Self {
        Self::Left(1)
    }
}

impl TryFrom<Value> for Times {
    type Error = &'static str;

    fn try_from(value: Value) -> Result<Self, Self::Error> {
        match &value {
            Value::String(word) if word == "always" => Ok(Self::Always),
            Value::Number(number) if number.as_u64().is_some_and(|n| n > 0) => {
                Ok(Self::Left(number.as_u64().unwrap_or(1)))
            }
            _ => Err("\"times\" is a number above 0 or \"always\""),
        }
    }
}

/// Which requests a scripted answer is for; an absent filter matches all.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct When {
    /// End of the path, the query not included.
    pub path: Option<String>,
    pub model: Option<String>,
}

impl When {
    pub fn matches(&self, path: &str, model: &str) -> bool {
        self.path.as_deref().is_none_or(|suffix| path.ends_with(suffix))
            && self.model.as_deref().is_none_or(|wanted| wanted == model)
    }
}

impl Answer {
    /// Reads an `x-mock` header.
    pub fn parse(text: &[u8]) -> Result<Self, String> {
        // A list would be taken for the fields in their order.
        if !text.trim_ascii_start().starts_with(b"{") {
            return Err("an answer is a JSON object".into());
        }
        serde_json::from_slice(text).map_err(|error| error.to_string())
    }

    /// The answer a model name asks for; `None` for a name without such a meaning.
    pub fn from_model(model: &str) -> Option<Self> {
        let words = model.strip_prefix("mock-")?;
        let (word, number) = match words.rsplit_once('-') {
            Some((word, digits)) => match digits.parse::<usize>() {
                Ok(number) => (word, Some(number)),
                Err(_) => (words, None),
            },
            None => (words, None),
        };
        let fault = |fault| Some(Self { fault, after: number, ..Self::default() });
        match word {
            "hang" => fault(Fault::Hang),
            "reset" => fault(Fault::Reset),
            "close" => fault(Fault::Close),
            "cut" => fault(Fault::Cut),
            "stall" => fault(Fault::Stall),
            "malformed" => fault(Fault::Malformed),
            "no-done" => fault(Fault::NoDone),
            "no-finish" => fault(Fault::NoFinish),
            "error-first" => fault(Fault::ErrorFirst),
            "error-event" => fault(Fault::ErrorEvent),
            "empty" => fault(Fault::Empty),
            "words" => Some(Self { words: number, ..Self::default() }),
            "size" => Some(Self { size: number, ..Self::default() }),
            "slow" => Some(Self { pace_ms: u64::try_from(number?).ok()?, ..Self::default() }),
            "context" => Some(Self::error(ErrorKind::ContextLengthExceeded)),
            "policy" => Some(Self::error(ErrorKind::ContentPolicyViolation)),
            _ => {
                let status = words.parse::<u16>().ok().filter(|s| (200..600).contains(s))?;
                Some(Self { status: Some(status), ..Self::default() })
            }
        }
    }

    fn error(kind: ErrorKind) -> Self {
        Self { error: Some(kind), ..Self::default() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str) -> Result<Answer, String> {
        Answer::parse(text.as_bytes())
    }

    #[test]
    fn an_empty_object_is_the_default_answer_once() {
        let answer = parse("{}").unwrap();
        assert_eq!(answer, Answer::default());
        assert_eq!(answer.times, Times::Left(1));
    }

    #[test]
    fn every_word_of_the_vocabulary_is_understood() {
        for fault in [
            "none",
            "reset",
            "close",
            "hang",
            "stall",
            "cut",
            "cut_reset",
            "malformed",
            "no_done",
            "no_finish",
            "error_event",
            "error_first",
            "empty",
            "short_length",
            "trickle",
            "endless_line",
            "big_head",
        ] {
            parse(&format!("{{\"fault\":\"{fault}\"}}")).unwrap();
        }
        for error in [
            "context_length_exceeded",
            "content_policy_violation",
            "insufficient_quota",
            "rate_limit_exceeded",
            "invalid_api_key",
            "model_not_found",
            "overloaded",
            "server_error",
        ] {
            parse(&format!("{{\"error\":\"{error}\"}}")).unwrap();
        }
    }

    #[test]
    fn mistyped_answers_are_refused() {
        for text in [
            "{\"statsu\":200}",
            "{\"fault\":\"rest\"}",
            "{\"times\":0}",
            "{\"times\":\"ever\"}",
            "[]",
        ] {
            assert!(parse(text).is_err(), "{text}");
        }
    }

    #[test]
    fn times_is_a_number_or_always() {
        assert_eq!(parse("{\"times\":3}").unwrap().times, Times::Left(3));
        assert_eq!(parse("{\"times\":\"always\"}").unwrap().times, Times::Always);
    }

    #[test]
    fn when_compares_the_end_of_the_path_and_the_whole_model() {
        let when = parse("{\"when\":{\"path\":\"/messages\",\"model\":\"m\"}}").unwrap().when;
        assert!(when.matches("/v1/messages", "m"));
        assert!(!when.matches("/v1/messages/count_tokens", "m"));
        assert!(!when.matches("/v1/messages", "mm"));
        assert!(When::default().matches("/", ""));
    }

    #[test]
    fn model_names_ask_for_answers() {
        let model = |name| Answer::from_model(name).unwrap();
        assert_eq!(model("mock-429").status, Some(429));
        assert_eq!(
            (model("mock-cut-40").fault, model("mock-cut-40").after),
            (Fault::Cut, Some(40))
        );
        assert_eq!(model("mock-no-done").fault, Fault::NoDone);
        assert_eq!(model("mock-error-first").fault, Fault::ErrorFirst);
        assert_eq!(model("mock-words-60").words, Some(60));
        assert_eq!(model("mock-size-100000").size, Some(100_000));
        assert_eq!(model("mock-slow-200").pace_ms, 200);
        assert_eq!(model("mock-context").error, Some(ErrorKind::ContextLengthExceeded));
    }

    #[test]
    fn ordinary_model_names_ask_for_nothing() {
        for name in ["gpt-4o", "mock", "mock-", "mock-large", "mock-7", "mock-gpt-4"] {
            assert_eq!(Answer::from_model(name), None, "{name}");
        }
    }
}
