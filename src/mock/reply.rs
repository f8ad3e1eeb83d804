//! Which status, headers and body pieces are the answer to this request?
//!
//! Faults in what is said are applied here; faults in how it is sent are left to `send`.

use serde_json::{Value, json};

use crate::answer::{Answer, Base64, Fault, Framing};
use crate::endpoint::{Asked, Dialect, Endpoint};
use crate::errors::Failure;
use crate::shape::{self, Content, Event, Part};
use crate::{anthropic, openai, responses};

/// Where a fault strikes that does not say after how many events.
const DEFAULT_AFTER: usize = 1;
/// A text grows by so many words beyond the event at which a fault strikes.
const WORDS_BEYOND_FAULT: usize = 4;

/// An answer, ready to be framed.
#[derive(Debug, Clone)]
pub struct Reply {
    pub status: u16,
    pub headers: Vec<(String, String)>,
    /// Each is written by itself.
    pub pieces: Vec<Vec<u8>>,
    pub framing: Option<Framing>,
    pub gzip: bool,
    pub is_stream: bool,
    pub manner: Manner,
}

/// How a reply is sent.
#[derive(Debug, Clone, Copy)]
pub struct Manner {
    pub delay_ms: u64,
    pub first_ms: u64,
    pub pace_ms: u64,
    pub fault: Fault,
    pub after: usize,
    /// Only the endless line still needs it.
    pub size: Option<usize>,
}

/// Builds the reply of the provider called `name`; `number` makes its ids unique.
pub fn build(answer: &Answer, asked: &Asked, name: &str, number: u64) -> Reply {
    let after = answer.after.unwrap_or(DEFAULT_AFTER);
    let (status, mut body) = body(answer, asked, name, number);
    apply_fault(&mut body, answer, asked, after);
    let is_stream = matches!(body, Body::Events(_) | Body::Chunks(_));
    let content_type = match &body {
        Body::Events(_) => "text/event-stream; charset=utf-8",
        Body::Chunks(_) if asked.stream => "text/event-stream; charset=utf-8",
        Body::Plain(bytes) if !looks_like_json(bytes) => "text/plain; charset=utf-8",
        _ => "application/json",
    };
    Reply {
        status,
        headers: headers(answer, asked, content_type, number),
        pieces: body.into_pieces(),
        framing: answer.framing,
        gzip: answer.gzip,
        is_stream,
        manner: Manner {
            delay_ms: answer.delay_ms,
            first_ms: answer.first_ms,
            pace_ms: answer.pace_ms,
            fault: answer.fault,
            after,
            size: answer.size,
        },
    }
}

enum Body {
    Plain(Vec<u8>),
    Events(Vec<Event>),
    Chunks(Vec<Vec<u8>>),
}

impl Body {
    fn json(value: &Value) -> Self {
        Self::Plain(value.to_string().into_bytes())
    }

    fn into_pieces(self) -> Vec<Vec<u8>> {
        match self {
            Self::Plain(bytes) if bytes.is_empty() => Vec::new(),
            Self::Plain(bytes) => vec![bytes],
            Self::Events(events) => events.into_iter().map(|e| e.text.into_bytes()).collect(),
            Self::Chunks(chunks) => chunks,
        }
    }
}

fn body(answer: &Answer, asked: &Asked, name: &str, number: u64) -> (u16, Body) {
    let dialect = asked.endpoint.dialect();
    let failed =
        |failure: Failure| (answer.status.unwrap_or(failure.status), Body::json(&failure.body));
    if let Some(scripted) = scripted_body(answer) {
        return (answer.status.unwrap_or(200), scripted);
    }
    match (answer.error, answer.status) {
        (Some(kind), _) if !matches!(answer.fault, Fault::ErrorEvent | Fault::ErrorFirst) => {
            return failed(Failure::of_kind(kind, dialect, &asked.model));
        }
        (_, Some(204 | 304)) => return (answer.status.unwrap_or(204), Body::Plain(Vec::new())),
        (_, Some(status)) if status >= 400 => {
            return failed(Failure::of_status(status, dialect, &asked.model));
        }
        _ => {}
    }
    if let Some(error) = &asked.error {
        let message = format!("We could not parse the JSON body of your request: {error}");
        return failed(Failure::with_message(400, dialect, &message));
    }
    if asked.endpoint == Endpoint::Unknown {
        return failed(Failure::with_message(404, dialect, "Unknown request URL."));
    }
    (answer.status.unwrap_or(200), default_body(answer, asked, name, number))
}

fn scripted_body(answer: &Answer) -> Option<Body> {
    if let Some(value) = &answer.json {
        return Some(Body::json(value));
    }
    if let Some(text) = &answer.body {
        return Some(Body::Plain(text.clone().into_bytes()));
    }
    if let Some(Base64(bytes)) = &answer.body_base64 {
        return Some(Body::Plain(bytes.clone()));
    }
    if let Some(entries) = &answer.sse {
        return Some(Body::Events(entries.iter().map(|entry| scripted_event(entry)).collect()));
    }
    if let Some(chunks) = &answer.chunks {
        return Some(Body::Chunks(chunks.iter().map(|text| text.clone().into_bytes()).collect()));
    }
    let chunks = answer.chunks_base64.as_ref()?;
    Some(Body::Chunks(chunks.iter().map(|Base64(bytes)| bytes.clone()).collect()))
}

fn scripted_event(entry: &str) -> Event {
    let part = if entry == "[DONE]" { Part::Done } else { Part::Body };
    let is_raw = entry.starts_with("event:") || entry.starts_with(':');
    let prefix = if is_raw { "" } else { "data: " };
    Event { part, text: format!("{prefix}{entry}\n\n") }
}

fn default_body(answer: &Answer, asked: &Asked, name: &str, number: u64) -> Body {
    let words = match answer.fault {
        Fault::Empty => Some(0),
        // The fault must strike before the text ends.
        _ => answer.words.or_else(|| {
            answer.after.filter(|_| asked.stream).map(|n| n.saturating_add(WORDS_BEYOND_FAULT))
        }),
    };
    let pieces = shape::pieces(name, words);
    let mut content = Content::new(number, &asked.model, pieces, asked.tool.clone());
    if asked.stream {
        content.pad_pieces(answer.event_size.unwrap_or(0));
        let plain: usize = events(&content, asked).iter().map(|event| event.text.len()).sum();
        content.pad_text(lacking(answer.size, plain) / copies_in_stream(&asked.endpoint));
        return Body::Events(events(&content, asked));
    }
    let mut value = plain(&content, asked, name);
    let missing = lacking(answer.size, value.to_string().len());
    if missing > 0 && asked.endpoint.can_stream() && content.tool.is_none() {
        content.pad_text(missing);
        value = plain(&content, asked, name);
    } else if missing > 0
        && let Some(fields) = value.as_object_mut()
    {
        // These shapes have no text that could grow.
        fields.insert("padding".into(), json!("x".repeat(missing)));
    }
    Body::json(&value)
}

/// How often a stream repeats its text: a response ends with four summaries.
fn copies_in_stream(endpoint: &Endpoint) -> usize {
    if *endpoint == Endpoint::Responses { 5 } else { 1 }
}

fn lacking(size: Option<usize>, present: usize) -> usize {
    size.unwrap_or(0).saturating_sub(present)
}

fn events(content: &Content, asked: &Asked) -> Vec<Event> {
    match asked.endpoint {
        Endpoint::Messages => anthropic::events(content),
        Endpoint::Responses => responses::events(content),
        Endpoint::Completions => openai::completion_events(content, asked.with_usage),
        _ => openai::chat_events(content, asked.with_usage),
    }
}

fn plain(content: &Content, asked: &Asked, name: &str) -> Value {
    match &asked.endpoint {
        Endpoint::Chat | Endpoint::Unknown => openai::chat(content),
        Endpoint::Completions => openai::completion(content),
        Endpoint::Embeddings => {
            openai::embeddings(&asked.model, asked.inputs, asked.dimensions, asked.base64)
        }
        Endpoint::Responses => responses::response(content),
        Endpoint::Models(Dialect::OpenAi) => openai::models(name),
        Endpoint::Models(Dialect::Anthropic) => anthropic::models(name),
        Endpoint::Model(Dialect::OpenAi, id) => openai::model(id),
        Endpoint::Model(Dialect::Anthropic, id) => anthropic::model(id),
        Endpoint::Messages => anthropic::message(content),
        Endpoint::CountTokens => anthropic::count_tokens(),
    }
}

fn apply_fault(body: &mut Body, answer: &Answer, asked: &Asked, after: usize) {
    let dialect = asked.endpoint.dialect();
    let failure = || match answer.error {
        Some(kind) => Failure::of_kind(kind, dialect, &asked.model),
        None if dialect == Dialect::Anthropic => Failure::of_status(529, dialect, &asked.model),
        None => Failure::of_status(500, dialect, &asked.model),
    };
    match (answer.fault, body) {
        // The line itself is made while it is sent.
        (Fault::EndlessLine, body) => *body = Body::Events(Vec::new()),
        (Fault::Malformed, Body::Plain(bytes)) => bytes.truncate(bytes.len() / 2),
        (Fault::Malformed, Body::Events(events)) => {
            if let Some(event) = events.get_mut(after) {
                let name = event.text.find("data:").and_then(|end| event.text.get(..end));
                event.text = format!("{}data: {{\"malformed\":\n\n", name.unwrap_or_default());
            }
        }
        (Fault::Malformed, Body::Chunks(chunks)) => {
            if let Some(chunk) = chunks.get_mut(after) {
                *chunk = b"data: {\"malformed\":\n\n".to_vec();
            }
        }
        (Fault::NoDone, Body::Events(events)) => events.retain(|event| event.part != Part::Done),
        (Fault::NoFinish, Body::Events(events)) => events.retain(|event| event.part == Part::Body),
        (Fault::ErrorEvent | Fault::ErrorFirst, Body::Plain(bytes)) => {
            *bytes = failure().body.to_string().into_bytes();
        }
        (Fault::ErrorEvent | Fault::ErrorFirst, Body::Events(events)) => {
            events.truncate(if answer.fault == Fault::ErrorFirst { 0 } else { after });
            events.push(Event { part: Part::Done, text: failure().event(dialect) });
        }
        _ => {}
    }
}

fn headers(
    answer: &Answer,
    asked: &Asked,
    content_type: &str,
    number: u64,
) -> Vec<(String, String)> {
    let id_header = match asked.endpoint.dialect() {
        Dialect::OpenAi => "x-request-id",
        Dialect::Anthropic => "request-id",
    };
    let mut headers: Vec<(String, String)> =
        [("content-type", content_type.to_owned()), (id_header, format!("req_mock_{number}"))]
            .into_iter()
            .chain(
                content_type
                    .starts_with("text/event-stream")
                    .then(|| ("cache-control", "no-cache".to_owned())),
            )
            .filter(|(name, _)| !answer.headers.keys().any(|key| key.eq_ignore_ascii_case(name)))
            .map(|(name, value)| (name.to_owned(), value))
            .collect();
    for (name, value) in &answer.headers {
        let values = match value {
            Value::Array(values) => values.as_slice(),
            Value::Null => &[],
            single => std::slice::from_ref(single),
        };
        headers.extend(values.iter().map(|value| {
            (name.clone(), value.as_str().map_or_else(|| value.to_string(), str::to_owned))
        }));
    }
    headers
}

fn looks_like_json(bytes: &[u8]) -> bool {
    bytes.trim_ascii_start().first().is_none_or(|byte| matches!(byte, b'{' | b'['))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn reply(answer: &str, path: &str, body: &str) -> Reply {
        let answer = Answer::parse(answer.as_bytes()).unwrap();
        let endpoint = Endpoint::find("POST", path, false);
        build(&answer, &Asked::new(endpoint, body.as_bytes()), "first", 1)
    }

    fn text(reply: &Reply) -> String {
        String::from_utf8(reply.pieces.concat()).unwrap()
    }

    fn header<'a>(reply: &'a Reply, name: &str) -> Option<&'a str> {
        reply.headers.iter().find(|(n, _)| n == name).map(|(_, value)| value.as_str())
    }

    const CHAT: &str = "/v1/chat/completions";
    const STREAM: &str = r#"{"model":"m","stream":true}"#;

    #[test]
    fn the_model_received_is_the_model_answered() {
        let reply = reply("{}", CHAT, r#"{"model":"gpt-x"}"#);
        assert!(text(&reply).contains(r#""model":"gpt-x""#));
        assert_eq!(header(&reply, "content-type"), Some("application/json"));
    }

    #[test]
    fn a_body_that_is_not_json_is_refused_in_the_right_dialect() {
        let openai = reply("{}", CHAT, "nonsense");
        assert_eq!(openai.status, 400);
        assert!(text(&openai).starts_with(r#"{"error":{"message""#));
        let anthropic = reply("{}", "/v1/messages", "nonsense");
        assert!(text(&anthropic).starts_with(r#"{"type":"error","error""#));
    }

    #[test]
    fn a_scripted_body_ignores_what_was_asked() {
        let scripted = reply(r#"{"status":201,"json":{"a":1}}"#, "/nowhere", "nonsense");
        assert_eq!((scripted.status, text(&scripted).as_str()), (201, r#"{"a":1}"#));
        let bytes = reply(r#"{"body_base64":"/w=="}"#, CHAT, "{}");
        assert_eq!(bytes.pieces, [[0xff]]);
    }

    #[test]
    fn scripted_events_are_data_unless_they_say_otherwise() {
        let reply =
            reply(r#"{"sse":["{}","event: ping\ndata: 1",": note","[DONE]"]}"#, CHAT, STREAM);
        assert_eq!(text(&reply), "data: {}\n\nevent: ping\ndata: 1\n\n: note\n\ndata: [DONE]\n\n");
    }

    #[test]
    fn an_error_brings_its_status_unless_told_otherwise() {
        let error = r#"{"error":"insufficient_quota"}"#;
        assert_eq!(reply(error, CHAT, "{}").status, 429);
        assert_eq!(reply(error, "/v1/messages", "{}").status, 400);
        assert_eq!(reply(r#"{"error":"overloaded","status":500}"#, CHAT, "{}").status, 500);
    }

    #[test]
    fn padded_bodies_have_the_size_asked_for() {
        for (path, body) in [
            (CHAT, "{}"),
            (CHAT, STREAM),
            ("/messages", "{}"),
            ("/messages", STREAM),
            ("/responses", "{}"),
            ("/responses", STREAM),
            ("/embeddings", "{}"),
            ("/completions", STREAM),
        ] {
            let length = text(&reply(r#"{"size":100000}"#, path, body)).len();
            assert!((99_000..=101_000).contains(&length), "{path}: {length}");
        }
    }

    #[test]
    fn events_are_padded_one_by_one() {
        let reply = reply(r#"{"event_size":200,"words":2}"#, CHAT, STREAM);
        assert!(reply.pieces[1].len() > 200 && reply.pieces[2].len() > 200);
    }

    #[test]
    fn a_text_reaches_beyond_the_event_of_its_fault() {
        let reply = reply(r#"{"fault":"malformed","after":40}"#, CHAT, STREAM);
        let bad = reply.pieces.iter().position(|piece| {
            serde_json::from_slice::<Value>(piece.strip_prefix(b"data: ").unwrap()).is_err()
        });
        assert_eq!(bad, Some(40));
        assert!(reply.pieces.len() > 44);
    }

    #[test]
    fn faults_of_the_ending_remove_its_parts() {
        let done = text(&reply(r#"{"fault":"no_done"}"#, CHAT, STREAM));
        assert!(done.contains(r#""finish_reason":"stop""#) && !done.contains("[DONE]"));
        let finish = text(&reply(r#"{"fault":"no_finish"}"#, CHAT, STREAM));
        assert!(!finish.contains(r#""finish_reason":"stop""#) && !finish.contains("[DONE]"));
        let anthropic = text(&reply(r#"{"fault":"no_finish"}"#, "/messages", STREAM));
        assert!(!anthropic.contains("message_delta") && !anthropic.contains("message_stop"));
    }

    #[test]
    fn an_error_event_is_the_last_event() {
        let first = reply(r#"{"fault":"error_first","error":"overloaded"}"#, "/messages", STREAM);
        assert_eq!((first.status, first.pieces.len()), (200, 1));
        assert!(text(&first).starts_with("event: error\n"));
        let third = reply(r#"{"fault":"error_event","after":2}"#, CHAT, STREAM);
        assert_eq!(third.pieces.len(), 3);
    }

    #[test]
    fn an_empty_answer_is_well_formed() {
        let plain = text(&reply(r#"{"fault":"empty"}"#, CHAT, "{}"));
        assert!(plain.contains(r#""content":"","#));
        let stream = reply(r#"{"fault":"empty"}"#, CHAT, STREAM);
        assert_eq!(stream.pieces.len(), 3);
    }

    #[test]
    fn headers_replace_repeat_and_remove() {
        let answer = r#"{"headers":{"Content-Type":"a/b","x-n":5,"set-cookie":["a","b"],"x-request-id":null}}"#;
        let reply = reply(answer, CHAT, "{}");
        let names: Vec<&str> = reply.headers.iter().map(|(name, _)| name.as_str()).collect();
        assert_eq!(names, ["Content-Type", "x-n", "set-cookie", "set-cookie"]);
        assert_eq!(header(&reply, "x-n"), Some("5"));
    }
}
