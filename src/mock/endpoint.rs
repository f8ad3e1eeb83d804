//! Which endpoint does a path name, and what does the request's body say?

use std::borrow::Cow;

use serde::Deserialize;
use serde_json::Value;
use serde_json::value::RawValue;

/// Whose shapes are spoken.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Dialect {
    OpenAi,
    Anthropic,
}

/// What is asked for. Any prefix of the path is allowed.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Endpoint {
    Chat,
    Completions,
    Embeddings,
    Responses,
    Models(Dialect),
    Model(Dialect, String),
    Messages,
    CountTokens,
    Unknown,
}

impl Endpoint {
    /// `path` is without its query.
    pub fn find(method: &str, path: &str, has_anthropic_version: bool) -> Self {
        let path = path.trim_end_matches('/');
        if method == "GET" {
            let dialect = if has_anthropic_version { Dialect::Anthropic } else { Dialect::OpenAi };
            if path.ends_with("/models") {
                return Self::Models(dialect);
            }
            return match path.split_once("/models/") {
                Some((_, id)) => Self::Model(dialect, percent_decoded(id)),
                None => Self::Unknown,
            };
        }
        if method != "POST" {
            return Self::Unknown;
        }
        [
            ("/chat/completions", Self::Chat),
            ("/completions", Self::Completions),
            ("/embeddings", Self::Embeddings),
            ("/responses", Self::Responses),
            ("/messages", Self::Messages),
            ("/messages/count_tokens", Self::CountTokens),
        ]
        .into_iter()
        .find(|(suffix, _)| path.ends_with(suffix))
        .map_or(Self::Unknown, |(_, endpoint)| endpoint)
    }

    pub fn dialect(&self) -> Dialect {
        match self {
            Self::Messages | Self::CountTokens => Dialect::Anthropic,
            Self::Models(dialect) | Self::Model(dialect, _) => *dialect,
            _ => Dialect::OpenAi,
        }
    }

    /// Whether a body that is not JSON is an error here.
    fn reads_json(&self) -> bool {
        !matches!(self, Self::Models(_) | Self::Model(..) | Self::Unknown)
    }

    pub fn can_stream(&self) -> bool {
        matches!(self, Self::Chat | Self::Completions | Self::Responses | Self::Messages)
    }
}

/// All that a default answer depends on: equal requests get equal answers.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Asked {
    pub endpoint: Endpoint,
    pub model: String,
    pub stream: bool,
    pub with_usage: bool,
    pub tool: Option<String>,
    pub inputs: usize,
    pub dimensions: Option<usize>,
    pub base64: bool,
    /// Why the body is unusable.
    pub error: Option<String>,
}

impl Asked {
    pub fn new(endpoint: Endpoint, body: &[u8]) -> Self {
        let (facts, error) = match (Facts::parse(body), endpoint.reads_json()) {
            (Ok(facts), _) => (facts, None),
            (Err(_), false) => (Facts::default(), None),
            (Err(error), true) => (Facts::default(), Some(error)),
        };
        let is_embeddings = endpoint == Endpoint::Embeddings;
        Self {
            model: facts.model().into(),
            stream: endpoint.can_stream() && facts.stream.unwrap_or(false),
            with_usage: facts.includes_usage(),
            tool: facts.tool_to_call(),
            inputs: if is_embeddings { facts.input_count() } else { 0 },
            dimensions: facts.dimensions,
            base64: facts.encoding_format.as_deref() == Some("base64"),
            error,
            endpoint,
        }
    }
}

/// What is read of the request's body; the rest is skipped.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Facts<'a> {
    #[serde(borrow)]
    model: Option<Cow<'a, str>>,
    stream: Option<bool>,
    stream_options: Option<StreamOptions>,
    encoding_format: Option<Cow<'a, str>>,
    dimensions: Option<usize>,
    #[serde(borrow)]
    tools: Option<&'a RawValue>,
    #[serde(borrow)]
    messages: Option<&'a RawValue>,
    /// Of embeddings and responses.
    #[serde(borrow)]
    input: Option<&'a RawValue>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct StreamOptions {
    include_usage: Option<bool>,
}

impl<'a> Facts<'a> {
    fn parse(body: &'a [u8]) -> Result<Self, String> {
        serde_json::from_slice(body).map_err(|error| error.to_string())
    }

    fn model(&self) -> &str {
        self.model.as_deref().unwrap_or_default()
    }

    fn includes_usage(&self) -> bool {
        self.stream_options.as_ref().and_then(|o| o.include_usage).unwrap_or(false)
    }

    /// How many inputs an embeddings request carries; a list of numbers is one tokenized input.
    fn input_count(&self) -> usize {
        match self.input.and_then(parse_value) {
            Some(Value::Array(items)) if items.iter().any(|item| !item.is_number()) => items.len(),
            _ => 1,
        }
    }

    /// The tool to call: the first one, if the last user message contains the word "tool".
    fn tool_to_call(&self) -> Option<String> {
        let tools = parse_value(self.tools?)?;
        let first = tools.as_array()?.first()?;
        let name = first.get("name").or_else(|| first.get("function")?.get("name"))?.as_str()?;
        let talk = parse_value(self.messages.or(self.input)?)?;
        let asks = match &talk {
            Value::Array(messages) => {
                let is_user =
                    |message: &&Value| message.get("role").and_then(Value::as_str) == Some("user");
                contains_word(messages.iter().rev().find(is_user)?, "tool")
            }
            other => contains_word(other, "tool"),
        };
        asks.then(|| name.to_owned())
    }
}

/// An id with a slash comes encoded and goes back as it was meant.
fn percent_decoded(text: &str) -> String {
    let mut parts = text.split('%');
    let mut bytes = parts.next().unwrap_or_default().as_bytes().to_vec();
    for part in parts {
        match part.get(..2).and_then(|digits| u8::from_str_radix(digits, 16).ok()) {
            Some(byte) => {
                bytes.push(byte);
                bytes.extend(part.bytes().skip(2));
            }
            None => {
                bytes.push(b'%');
                bytes.extend(part.bytes());
            }
        }
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

fn parse_value(raw: &RawValue) -> Option<Value> {
    serde_json::from_str(raw.get()).ok()
}

fn contains_word(value: &Value, wanted: &str) -> bool {
    match value {
        Value::String(text) => {
            text.split(|c: char| !c.is_alphanumeric()).any(|w| w.eq_ignore_ascii_case(wanted))
        }
        Value::Array(items) => items.iter().any(|item| contains_word(item, wanted)),
        Value::Object(_) => ["content", "text"]
            .iter()
            .filter_map(|name| value.get(name))
            .any(|inner| contains_word(inner, wanted)),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn facts(body: &str) -> Facts<'_> {
        Facts::parse(body.as_bytes()).unwrap()
    }

    #[test]
    fn endpoints_are_found_by_the_end_of_the_path() {
        let find = |path| Endpoint::find("POST", path, false);
        assert_eq!(find("/any/prefix/v1/chat/completions"), Endpoint::Chat);
        assert_eq!(find("/v1/completions"), Endpoint::Completions);
        assert_eq!(find("/v1/messages/count_tokens"), Endpoint::CountTokens);
        assert_eq!(find("/v1/messages"), Endpoint::Messages);
        assert_eq!(find("/v1/nothing"), Endpoint::Unknown);
        assert_eq!(Endpoint::find("PUT", "/v1/messages", false), Endpoint::Unknown);
    }

    #[test]
    fn a_version_header_selects_the_shape_of_the_model_list() {
        assert_eq!(Endpoint::find("GET", "/v1/models", true), Endpoint::Models(Dialect::Anthropic));
        assert_eq!(
            Endpoint::find("GET", "/v1/models/meta/llama", false),
            Endpoint::Model(Dialect::OpenAi, "meta/llama".into())
        );
    }

    #[test]
    fn an_encoded_model_id_is_decoded() {
        assert_eq!(percent_decoded("meta%2Fllama"), "meta/llama");
        assert_eq!(percent_decoded("100%"), "100%");
        assert_eq!(percent_decoded("%zz"), "%zz");
    }

    #[test]
    fn nulls_in_a_body_mean_absent() {
        let facts = facts(r#"{"model":null,"stream":null,"stream_options":null,"tools":null}"#);
        assert_eq!((facts.model(), facts.stream, facts.includes_usage()), ("", None, false));
    }

    #[test]
    fn a_tool_is_called_when_the_last_user_message_says_so() {
        let tools = r#""tools":[{"type":"function","function":{"name":"weather"}}]"#;
        let ask =
            |text: &str| format!(r#"{{{tools},"messages":[{{"role":"user","content":{text}}}]}}"#);
        assert_eq!(facts(&ask(r#""use a tool""#)).tool_to_call().as_deref(), Some("weather"));
        let parts = ask(r#"[{"type":"text","text":"Tool, please"}]"#);
        assert_eq!(facts(&parts).tool_to_call().as_deref(), Some("weather"));
        assert_eq!(facts(&ask(r#""toolbox""#)).tool_to_call(), None);
        let flat = r#"{"tools":[{"name":"weather"}],"input":"a tool"}"#;
        assert_eq!(facts(flat).tool_to_call().as_deref(), Some("weather"));
        assert_eq!(facts(r#"{"messages":"tool"}"#).tool_to_call(), None);
    }

    #[test]
    fn a_list_of_numbers_is_one_embedding_input() {
        assert_eq!(facts(r#"{"input":["a","b"]}"#).input_count(), 2);
        assert_eq!(facts(r#"{"input":[1,2,3]}"#).input_count(), 1);
        assert_eq!(facts(r#"{"input":"a"}"#).input_count(), 1);
    }
}
