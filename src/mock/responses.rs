//! What does OpenAI's responses endpoint answer?

use serde_json::{Value, json};

use crate::shape::{CACHED_TOKENS, CREATED, Content, Event, INPUT_TOKENS, Part, TOOL_ARGUMENTS};

pub fn response(content: &Content) -> Value {
    envelope(content, "completed", &json!([item(content, Stage::Completed)]), &usage(content))
}

/// The stream carries no `[DONE]`: `response.completed` is its terminal marker.
pub fn events(content: &Content) -> Vec<Event> {
    let mut events = Numbered::default();
    let started = envelope(content, "in_progress", &json!([]), &Value::Null);
    events.push(Part::Body, "response.created", json!({"response": started}));
    events.push(Part::Body, "response.in_progress", json!({"response": started}));
    let added = json!({"output_index": 0, "item": item(content, Stage::InProgress)});
    events.push(Part::Body, "response.output_item.added", added);
    if content.tool.is_some() {
        tool_events(&mut events, content);
    } else {
        text_events(&mut events, content);
    }
    let finished = json!({"output_index": 0, "item": item(content, Stage::Completed)});
    events.push(Part::Finish, "response.output_item.done", finished);
    events.push(Part::Done, "response.completed", json!({"response": response(content)}));
    events.list
}

fn text_events(events: &mut Numbered, content: &Content) {
    let place = json!({"item_id": item_id(content), "output_index": 0, "content_index": 0});
    let at = |name: &str, value: Value| {
        let mut fields = place.clone();
        if let Some(fields) = fields.as_object_mut() {
            fields.insert(name.into(), value);
        }
        fields
    };
    events.push(Part::Body, "response.content_part.added", at("part", text_part("")));
    for piece in &content.pieces {
        let mut fields = at("delta", json!(piece));
        if let Some(fields) = fields.as_object_mut() {
            fields.insert("logprobs".into(), json!([]));
        }
        events.push(Part::Body, "response.output_text.delta", fields);
    }
    let mut fields = at("text", json!(content.text()));
    if let Some(fields) = fields.as_object_mut() {
        fields.insert("logprobs".into(), json!([]));
    }
    events.push(Part::Finish, "response.output_text.done", fields);
    let part = at("part", text_part(&content.text()));
    events.push(Part::Finish, "response.content_part.done", part);
}

fn tool_events(events: &mut Numbered, content: &Content) {
    let id = item_id(content);
    for piece in TOOL_ARGUMENTS {
        let fields = json!({"item_id": id, "output_index": 0, "delta": piece});
        events.push(Part::Body, "response.function_call_arguments.delta", fields);
    }
    let fields = json!({
        "item_id": id, "output_index": 0, "name": content.tool,
        "arguments": TOOL_ARGUMENTS.concat(),
    });
    events.push(Part::Finish, "response.function_call_arguments.done", fields);
}

/// Events with the sequence number the endpoint gives each.
#[derive(Default)]
struct Numbered {
    list: Vec<Event>,
}

impl Numbered {
    fn push(&mut self, part: Part, name: &str, fields: Value) {
        let mut data = json!({"type": name, "sequence_number": self.list.len()});
        if let (Some(data), Value::Object(fields)) = (data.as_object_mut(), fields) {
            data.extend(fields);
        }
        self.list.push(Event::typed(part, &data));
    }
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Stage {
    InProgress,
    Completed,
}

fn item(content: &Content, stage: Stage) -> Value {
    let is_completed = stage == Stage::Completed;
    let status = if is_completed { "completed" } else { "in_progress" };
    match &content.tool {
        Some(tool) => json!({
            "type": "function_call", "id": item_id(content), "status": status,
            "call_id": format!("call_mock_{}", content.number), "name": tool,
            "arguments": if is_completed { TOOL_ARGUMENTS.concat() } else { String::new() },
        }),
        None => json!({
            "type": "message", "id": item_id(content), "status": status, "role": "assistant",
            "content": if is_completed { json!([text_part(&content.text())]) } else { json!([]) },
        }),
    }
}

fn item_id(content: &Content) -> String {
    let prefix = if content.tool.is_some() { "fc" } else { "msg" };
    format!("{prefix}_mock_{}", content.number)
}

fn text_part(text: &str) -> Value {
    json!({"type": "output_text", "text": text, "annotations": [], "logprobs": []})
}

fn usage(content: &Content) -> Value {
    json!({
        "input_tokens": INPUT_TOKENS,
        "input_tokens_details": {"cached_tokens": CACHED_TOKENS},
        "output_tokens": content.output_tokens(),
        "output_tokens_details": {"reasoning_tokens": 0},
        "total_tokens": INPUT_TOKENS + content.output_tokens(),
    })
}

fn envelope(content: &Content, status: &str, output: &Value, usage: &Value) -> Value {
    json!({
        "id": format!("resp_mock_{}", content.number), "object": "response", "created_at": CREATED,
        "status": status, "background": false, "error": null, "incomplete_details": null,
        "instructions": null, "max_output_tokens": null, "model": content.model, "output": output,
        "parallel_tool_calls": true, "previous_response_id": null,
        "reasoning": {"effort": null, "summary": null}, "service_tier": "default", "store": true,
        "temperature": 1.0, "text": {"format": {"type": "text"}}, "tool_choice": "auto",
        "tools": [], "top_p": 1.0, "truncation": "disabled", "usage": usage, "user": null,
        "metadata": {},
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::shape::pieces;

    #[test]
    fn a_stream_runs_from_created_to_completed_with_usage() {
        let events = events(&Content::new(1, "m", pieces("first", None), None));
        assert!(events[0].text.starts_with("event: response.created\n"));
        let last = events.last().unwrap();
        assert!(last.text.starts_with("event: response.completed\n"));
        assert!(last.text.contains(r#""output_tokens":7"#));
        assert_eq!(last.part, Part::Done);
        for (number, event) in events.iter().enumerate() {
            assert!(event.text.contains(&format!(r#""sequence_number":{number},"#)));
        }
    }

    #[test]
    fn a_tool_call_is_an_output_item_of_its_own() {
        let content = Content::new(1, "m", vec![], Some("weather".into()));
        assert_eq!(response(&content)["output"][0]["type"], "function_call");
        assert!(events(&content).iter().any(|e| e.text.contains("function_call_arguments.done")));
    }
}
