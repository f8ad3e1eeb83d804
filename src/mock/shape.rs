//! What does a default answer say, before a dialect gives it a shape?
//!
//! Everything is deterministic. The text is `Hello from <name>.`, or as many words as asked for.
//! Usage depends on the number of words only:
//!
//! | tokens                         | OpenAI    | Anthropic |
//! |--------------------------------|-----------|-----------|
//! | prompt / input                 | 12        | 12        |
//! | read from the cache            | 4 (of 12) | 4 (added) |
//! | written to the cache, 5 min    |           | 1 (added) |
//! | written to the cache, 1 h      |           | 1 (added) |
//! | completion / output            | words + 4 | words + 4 |
//!
//! A tool call counts as 13 words. Embeddings and `count_tokens` report 12.

use serde_json::Value;

/// Tokens of every prompt.
pub const INPUT_TOKENS: u64 = 12;
/// Tokens read from the cache.
pub const CACHED_TOKENS: u64 = 4;
/// The time of every answer, in seconds since the epoch, so that answers are comparable.
pub const CREATED: u64 = 1_700_000_000;
/// Arguments of a tool call, in the pieces in which they are streamed.
pub const TOOL_ARGUMENTS: [&str; 3] = ["{\"city\":", " \"Par", "is\"}"];

const TOKENS_BESIDE_WORDS: u64 = 4;
const TOOL_CALL_WORDS: u64 = 13;
const FILLER: [&str; 12] = [
    "The", "quick", "brown", "fox", "jumps", "over", "a", "lazy", "dog", "while", "tokens", "flow.",
];

/// The substance of a default answer.
#[derive(Debug, Clone)]
pub struct Content {
    /// Makes the ids of one listener's answers differ.
    pub number: u64,
    pub model: String,
    /// One streamed event each; together they are the text.
    pub pieces: Vec<String>,
    /// Name of the tool to call instead of saying something.
    pub tool: Option<String>,
    pub words: u64,
}

impl Content {
    pub fn new(number: u64, model: &str, pieces: Vec<String>, tool: Option<String>) -> Self {
        let spoken = u64::try_from(pieces.len()).unwrap_or(u64::MAX);
        let words = if tool.is_some() { TOOL_CALL_WORDS } else { spoken };
        Self { number, model: model.into(), pieces, tool, words }
    }

    pub fn text(&self) -> String {
        self.pieces.concat()
    }

    pub fn output_tokens(&self) -> u64 {
        self.words.saturating_add(TOKENS_BESIDE_WORDS)
    }

    /// Makes every piece at least `bytes` long.
    pub fn pad_pieces(&mut self, bytes: usize) {
        for piece in &mut self.pieces {
            let lacking = bytes.saturating_sub(piece.len());
            piece.push_str(&"x".repeat(lacking));
        }
    }

    /// Adds `bytes` to the text, spread over its pieces.
    pub fn pad_text(&mut self, bytes: usize) {
        if bytes == 0 {
            return;
        }
        if self.pieces.is_empty() {
            self.pieces.push(String::new());
        }
        let count = self.pieces.len();
        for (index, piece) in self.pieces.iter_mut().enumerate() {
            let share = bytes / count + usize::from(index < bytes % count);
            piece.push_str(&"x".repeat(share));
        }
    }
}

/// The first `count` words of what the provider called `name` says; all of its greeting if `None`.
pub fn pieces(name: &str, count: Option<usize>) -> Vec<String> {
    let greeting = ["Hello".to_owned(), " from".to_owned(), format!(" {name}.")];
    let filler = FILLER.iter().cycle().map(|word| format!(" {word}"));
    greeting.into_iter().chain(filler).take(count.unwrap_or(3)).collect()
}

/// The part an event plays in its stream; faults leave parts out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Part {
    Body,
    /// Carries the finish reason.
    Finish,
    /// Comes after the finish reason but is not the terminal marker.
    Tail,
    /// The terminal marker.
    Done,
}

/// One server-sent event as it goes over the wire, blank line included.
#[derive(Debug, Clone)]
pub struct Event {
    pub part: Part,
    pub text: String,
}

impl Event {
    /// An event without a name, as OpenAI's chat sends.
    pub fn data(part: Part, data: &Value) -> Self {
        Self { part, text: format!("data: {data}\n\n") }
    }

    /// An event named after the `type` in its data, as Anthropic sends.
    pub fn typed(part: Part, data: &Value) -> Self {
        let name = data.get("type").and_then(Value::as_str).unwrap_or_default();
        Self { part, text: format!("event: {name}\ndata: {data}\n\n") }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_greeting_is_the_default() {
        assert_eq!(pieces("first", None).concat(), "Hello from first.");
    }

    #[test]
    fn longer_texts_begin_with_the_greeting() {
        let text = pieces("first", Some(60)).concat();
        assert!(text.starts_with("Hello from first. The quick"));
        assert_eq!(text.split(' ').count(), 60);
    }

    #[test]
    fn padding_changes_the_length_but_not_the_usage() {
        let mut content = Content::new(1, "m", pieces("first", None), None);
        let (tokens, bytes) = (content.output_tokens(), content.text().len());
        content.pad_text(100);
        assert_eq!((content.output_tokens(), content.text().len()), (tokens, bytes + 100));
        content.pad_pieces(200);
        assert!(content.pieces.iter().all(|piece| piece.len() == 200));
        assert_eq!(tokens, 7);
    }
}
