//! What do Anthropic's messages, count_tokens and models endpoints answer?

use serde_json::{Value, json};

use crate::shape::{CACHED_TOKENS, Content, Event, INPUT_TOKENS, Part, TOOL_ARGUMENTS};

const CREATED_AT: &str = "2023-11-14T22:13:20Z";

pub fn message(content: &Content) -> Value {
    let block = match &content.tool {
        Some(tool) => tool_block(content, tool, &json!({"city": "Paris"})),
        None => json!({"type": "text", "text": content.text()}),
    };
    envelope(content, &json!([block]), &json!(stop_reason(content)), content.output_tokens())
}

pub fn events(content: &Content) -> Vec<Event> {
    let body = |data: Value| Event::typed(Part::Body, &data);
    // The first event knows the input; the output is only beginning.
    let start = envelope(content, &json!([]), &Value::Null, 1);
    let (block, deltas): (Value, Vec<Value>) = match &content.tool {
        Some(tool) => (
            tool_block(content, tool, &json!({})),
            TOOL_ARGUMENTS
                .iter()
                .map(|piece| json!({"type": "input_json_delta", "partial_json": piece}))
                .collect(),
        ),
        None => (
            json!({"type": "text", "text": ""}),
            content
                .pieces
                .iter()
                .map(|piece| json!({"type": "text_delta", "text": piece}))
                .collect(),
        ),
    };
    let mut events = vec![
        body(json!({"type": "message_start", "message": start})),
        body(json!({"type": "content_block_start", "index": 0, "content_block": block})),
        body(json!({"type": "ping"})),
    ];
    events.extend(
        deltas
            .iter()
            .map(|delta| body(json!({"type": "content_block_delta", "index": 0, "delta": delta}))),
    );
    events.push(body(json!({"type": "content_block_stop", "index": 0})));
    let finish = json!({
        "type": "message_delta",
        "delta": {"stop_reason": stop_reason(content), "stop_sequence": null},
        "usage": {
            "input_tokens": INPUT_TOKENS, "cache_creation_input_tokens": 2,
            "cache_read_input_tokens": CACHED_TOKENS, "output_tokens": content.output_tokens(),
        },
    });
    events.push(Event::typed(Part::Finish, &finish));
    events.push(Event::typed(Part::Done, &json!({"type": "message_stop"})));
    events
}

pub fn count_tokens() -> Value {
    json!({"input_tokens": INPUT_TOKENS})
}

pub fn model(id: &str) -> Value {
    json!({"type": "model", "id": id, "display_name": id, "created_at": CREATED_AT})
}

pub fn models(name: &str) -> Value {
    let (first, last) = (format!("{name}-large"), format!("{name}-small"));
    json!({
        "data": [model(&first), model(&last)],
        "has_more": false, "first_id": first, "last_id": last,
    })
}

fn envelope(content: &Content, blocks: &Value, stop_reason: &Value, output_tokens: u64) -> Value {
    json!({
        "id": format!("msg_mock_{}", content.number), "type": "message", "role": "assistant",
        "model": content.model, "content": blocks, "stop_reason": stop_reason,
        "stop_sequence": null,
        "usage": {
            "input_tokens": INPUT_TOKENS,
            "cache_creation_input_tokens": 2, "cache_read_input_tokens": CACHED_TOKENS,
            "cache_creation": {"ephemeral_5m_input_tokens": 1, "ephemeral_1h_input_tokens": 1},
            "output_tokens": output_tokens, "service_tier": "standard",
        },
    })
}

fn tool_block(content: &Content, tool: &str, input: &Value) -> Value {
    json!({
        "type": "tool_use", "id": format!("toolu_mock_{}", content.number), "name": tool,
        "input": input,
    })
}

fn stop_reason(content: &Content) -> &'static str {
    if content.tool.is_some() { "tool_use" } else { "end_turn" }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::shape::pieces;

    fn names(content: &Content) -> Vec<String> {
        let first_line = |event: &Event| event.text.lines().next().unwrap().to_owned();
        events(content).iter().map(first_line).collect()
    }

    #[test]
    fn a_stream_has_the_documented_order() {
        let names = names(&Content::new(1, "m", pieces("first", Some(1)), None));
        assert_eq!(
            names,
            [
                "event: message_start",
                "event: content_block_start",
                "event: ping",
                "event: content_block_delta",
                "event: content_block_stop",
                "event: message_delta",
                "event: message_stop",
            ]
        );
    }

    #[test]
    fn cache_writes_are_split_by_lifetime() {
        let usage = &message(&Content::new(1, "m", pieces("first", None), None))["usage"];
        assert_eq!(usage["cache_creation_input_tokens"], 2);
        assert_eq!(usage["cache_creation"]["ephemeral_5m_input_tokens"], 1);
        assert_eq!(usage["output_tokens"], 7);
    }

    #[test]
    fn tool_arguments_stream_as_partial_json() {
        let content = Content::new(1, "m", vec![], Some("weather".into()));
        assert_eq!(message(&content)["stop_reason"], "tool_use");
        assert_eq!(message(&content)["content"][0]["input"]["city"], "Paris");
        let deltas = events(&content).iter().filter(|e| e.text.contains("partial_json")).count();
        assert_eq!(deltas, TOOL_ARGUMENTS.len());
    }
}
