//! What do OpenAI's chat, completions, embeddings and models endpoints answer?

use base64::Engine;
use base64::engine::general_purpose::STANDARD as BASE64;
use serde_json::{Value, json};

use crate::shape::{CACHED_TOKENS, CREATED, Content, Event, INPUT_TOKENS, Part, TOOL_ARGUMENTS};

const FINGERPRINT: &str = "fp_mock";
const DEFAULT_DIMENSIONS: usize = 8;

pub fn usage(content: &Content) -> Value {
    json!({
        "prompt_tokens": INPUT_TOKENS,
        "completion_tokens": content.output_tokens(),
        "total_tokens": INPUT_TOKENS + content.output_tokens(),
        "prompt_tokens_details": {"cached_tokens": CACHED_TOKENS, "audio_tokens": 0},
        "completion_tokens_details": {
            "reasoning_tokens": 0, "audio_tokens": 0,
            "accepted_prediction_tokens": 0, "rejected_prediction_tokens": 0,
        },
    })
}

pub fn chat(content: &Content) -> Value {
    let message = match &content.tool {
        Some(tool) => json!({
            "role": "assistant", "content": null, "refusal": null, "annotations": [],
            "tool_calls": [{
                "id": tool_call_id(content), "type": "function",
                "function": {"name": tool, "arguments": TOOL_ARGUMENTS.concat()},
            }],
        }),
        None => json!({
            "role": "assistant", "content": content.text(), "refusal": null, "annotations": [],
        }),
    };
    json!({
        "id": chat_id(content), "object": "chat.completion", "created": CREATED,
        "model": content.model,
        "choices": [{
            "index": 0, "message": message, "logprobs": null,
            "finish_reason": finish_reason(content),
        }],
        "usage": usage(content), "service_tier": "default", "system_fingerprint": FINGERPRINT,
    })
}

pub fn chat_events(content: &Content, with_usage: bool) -> Vec<Event> {
    let chunk = |choices: Value, usage: Value| {
        let mut chunk = json!({
            "id": chat_id(content), "object": "chat.completion.chunk", "created": CREATED,
            "model": content.model, "service_tier": "default", "system_fingerprint": FINGERPRINT,
            "choices": choices,
        });
        // With include_usage every chunk has the field, and it is null in all but the last.
        if with_usage && let Some(fields) = chunk.as_object_mut() {
            fields.insert("usage".into(), usage);
        }
        chunk
    };
    let delta = |delta: Value, finish: Value| {
        let choice = json!({"index": 0, "delta": delta, "logprobs": null, "finish_reason": finish});
        chunk(json!([choice]), Value::Null)
    };
    let body = |value: Value| Event::data(Part::Body, &delta(value, Value::Null));

    let mut events = Vec::new();
    if let Some(tool) = &content.tool {
        events.push(body(json!({
            "role": "assistant", "content": null, "refusal": null,
            "tool_calls": [{
                "index": 0, "id": tool_call_id(content), "type": "function",
                "function": {"name": tool, "arguments": ""},
            }],
        })));
        events.extend(TOOL_ARGUMENTS.iter().map(|piece| {
            body(json!({"tool_calls": [{"index": 0, "function": {"arguments": piece}}]}))
        }));
    } else {
        events.push(body(json!({"role": "assistant", "content": "", "refusal": null})));
        events.extend(content.pieces.iter().map(|piece| body(json!({"content": piece}))));
    }
    let finish = delta(json!({}), json!(finish_reason(content)));
    events.push(Event::data(Part::Finish, &finish));
    if with_usage {
        events.push(Event::data(Part::Tail, &chunk(json!([]), usage(content))));
    }
    events.push(done());
    events
}

pub fn completion(content: &Content) -> Value {
    json!({
        "id": format!("cmpl-mock-{}", content.number), "object": "text_completion",
        "created": CREATED, "model": content.model,
        "choices": [{
            "index": 0, "text": content.text(), "logprobs": null, "finish_reason": "stop",
        }],
        "usage": usage(content), "system_fingerprint": FINGERPRINT,
    })
}

pub fn completion_events(content: &Content, with_usage: bool) -> Vec<Event> {
    let chunk = |choices: Value, usage: Value| {
        let mut chunk = json!({
            "id": format!("cmpl-mock-{}", content.number), "object": "text_completion",
            "created": CREATED, "model": content.model, "choices": choices,
            "system_fingerprint": FINGERPRINT,
        });
        if with_usage && let Some(fields) = chunk.as_object_mut() {
            fields.insert("usage".into(), usage);
        }
        chunk
    };
    let choice = |text: &str, finish: Value| {
        let choice = json!({"index": 0, "text": text, "logprobs": null, "finish_reason": finish});
        chunk(json!([choice]), Value::Null)
    };
    let mut events: Vec<Event> = content
        .pieces
        .iter()
        .map(|piece| Event::data(Part::Body, &choice(piece, Value::Null)))
        .collect();
    events.push(Event::data(Part::Finish, &choice("", json!("stop"))));
    if with_usage {
        events.push(Event::data(Part::Tail, &chunk(json!([]), usage(content))));
    }
    events.push(done());
    events
}

/// One vector per input; `base64` is what the official SDK asks for unless told otherwise.
pub fn embeddings(model: &str, inputs: usize, dimensions: Option<usize>, base64: bool) -> Value {
    let vector: Vec<f32> = (0..dimensions.unwrap_or(DEFAULT_DIMENSIONS))
        .map(|index| f32::from(u8::try_from(index % 16).unwrap_or_default()) / 16.0)
        .collect();
    let embedding = if base64 {
        let bytes: Vec<u8> = vector.iter().flat_map(|number| number.to_le_bytes()).collect();
        json!(BASE64.encode(bytes))
    } else {
        json!(vector)
    };
    let data: Vec<Value> = (0..inputs)
        .map(|index| json!({"object": "embedding", "index": index, "embedding": embedding}))
        .collect();
    json!({
        "object": "list", "data": data, "model": model,
        "usage": {"prompt_tokens": INPUT_TOKENS, "total_tokens": INPUT_TOKENS},
    })
}

pub fn model(id: &str) -> Value {
    json!({"id": id, "object": "model", "created": CREATED, "owned_by": "mock"})
}

pub fn models(name: &str) -> Value {
    let ids = [format!("{name}-large"), format!("{name}-small")];
    json!({"object": "list", "data": ids.iter().map(|id| model(id)).collect::<Vec<_>>()})
}

fn done() -> Event {
    Event { part: Part::Done, text: "data: [DONE]\n\n".into() }
}

fn finish_reason(content: &Content) -> &'static str {
    if content.tool.is_some() { "tool_calls" } else { "stop" }
}

fn chat_id(content: &Content) -> String {
    format!("chatcmpl-mock-{}", content.number)
}

fn tool_call_id(content: &Content) -> String {
    format!("call_mock_{}", content.number)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::shape::pieces;

    fn content() -> Content {
        Content::new(1, "m", pieces("first", None), None)
    }

    #[test]
    fn a_chat_stream_is_role_words_finish_usage_done() {
        let events = chat_events(&content(), true);
        let parts: Vec<Part> = events.iter().map(|event| event.part).collect();
        assert_eq!(parts[..4], [Part::Body; 4]);
        assert_eq!(parts[4..], [Part::Finish, Part::Tail, Part::Done]);
        assert!(events[0].text.contains(r#""delta":{"role":"assistant","content":"""#));
        assert!(events[0].text.contains(r#""usage":null"#));
        assert!(events[5].text.contains(r#""choices":[],"usage":{"prompt_tokens":12"#));
        assert_eq!(events[6].text, "data: [DONE]\n\n");
    }

    #[test]
    fn usage_is_streamed_only_on_request() {
        for events in [chat_events(&content(), false), completion_events(&content(), false)] {
            assert!(events.iter().all(|event| !event.text.contains("usage")));
        }
    }

    #[test]
    fn usage_adds_up() {
        let usage = &chat(&content())["usage"];
        assert_eq!(usage["completion_tokens"], 7);
        assert_eq!(usage["total_tokens"], 19);
        assert_eq!(usage["prompt_tokens_details"]["cached_tokens"], 4);
    }

    #[test]
    fn streamed_tool_arguments_are_json_when_joined() {
        let content = Content::new(1, "m", vec![], Some("weather".into()));
        let plain = chat(&content);
        let arguments = &plain["choices"][0]["message"]["tool_calls"][0]["function"]["arguments"];
        let parsed: Value = serde_json::from_str(arguments.as_str().unwrap()).unwrap();
        assert_eq!(parsed["city"], "Paris");
        assert_eq!(plain["choices"][0]["finish_reason"], "tool_calls");
        assert_eq!(chat_events(&content, false).len(), 6);
    }

    #[test]
    fn both_encodings_hold_the_same_vector() {
        let plain = embeddings("m", 2, Some(3), false);
        assert_eq!(plain["data"][1]["embedding"], json!([0.0, 0.0625, 0.125]));
        let encoded = embeddings("m", 1, Some(3), true);
        let bytes = BASE64.decode(encoded["data"][0]["embedding"].as_str().unwrap()).unwrap();
        assert_eq!(bytes[4..8], 0.0625_f32.to_le_bytes());
    }
}
