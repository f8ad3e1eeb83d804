//! Where in a manifest does a value stand? YAML and JSON are read into one tree whose nodes know line
//! and column, and numbers keep the digits they were written with: a price must not pass through a
//! float. JSON is read as the YAML that it is.

use std::fmt;

use saphyr_parser::{Event, Parser, ScalarStyle, Span};
use serde_json::{Map, Value};

/// Deeper than any manifest; a hostile one must not use up the stack.
const MAX_DEPTH: usize = 64;

/// A place in a text, counted from 1.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default)]
pub struct Position {
    /// The line.
    pub line: usize,
    /// The character in it.
    pub column: usize,
}

impl Position {
    fn of(span: Span) -> Self {
        Self { line: span.start.line(), column: span.start.col() + 1 }
    }
}

/// A value.
#[derive(Debug, Clone, PartialEq)]
pub struct Node {
    /// Where it begins.
    pub at: Position,
    /// What it is.
    pub kind: Kind,
}

/// What a value is.
#[derive(Debug, Clone, PartialEq)]
pub enum Kind {
    /// `null`, `~` or nothing.
    Null,
    /// `true` or `false`.
    Bool(bool),
    /// The number's digits as they were written.
    Number(String),
    /// A text.
    Text(String),
    /// A list.
    List(Vec<Node>),
    /// Keys with their places, in the order they were written.
    Map(Vec<(String, Position, Node)>),
}

/// Why a text is neither YAML nor JSON.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SyntaxError {
    /// Where.
    pub at: Position,
    /// What is wrong and what to change.
    pub text: String,
}

impl fmt::Display for SyntaxError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}: {}", self.at.line, self.at.column, self.text)
    }
}

/// Reads a whole text.
pub fn parse(text: &str) -> Result<Node, SyntaxError> {
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    let mut reader = Reader { parser: Parser::new_from_str(text), depth: 0 };
    let mut root = None;
    loop {
        let (event, span) = reader.next()?;
        match event {
            Event::StreamStart | Event::DocumentStart(_) | Event::DocumentEnd | Event::Nothing => {}
            Event::StreamEnd => break,
            _ if root.is_some() => {
                return Err(error(
                    span,
                    "a manifest is one document, remove what is behind \"---\"",
                ));
            }
            event => root = Some(reader.node(event, span)?),
        }
    }
    root.ok_or_else(|| SyntaxError {
        at: Position { line: 1, column: 1 },
        text: "the manifest is empty".to_owned(),
    })
}

struct Reader<'a> {
    parser: Parser<'a, saphyr_parser::StrInput<'a>>,
    depth: usize,
}

impl<'a> Reader<'a> {
    fn next(&mut self) -> Result<(Event<'a>, Span), SyntaxError> {
        match self.parser.next_event() {
            Some(Ok(found)) => Ok(found),
            Some(Err(why)) => Err(SyntaxError {
                at: Position { line: why.marker().line(), column: why.marker().col() + 1 },
                text: format!("this cannot be read: {}", why.info()),
            }),
            None => Ok((Event::StreamEnd, Span::default())),
        }
    }

    fn node(&mut self, event: Event<'a>, span: Span) -> Result<Node, SyntaxError> {
        self.depth += 1;
        if self.depth > MAX_DEPTH {
            return Err(error(span, "the manifest is nested too deeply"));
        }
        let kind = match event {
            Event::Scalar(text, style, _, tag) => {
                let plain = style == ScalarStyle::Plain && tag.is_none();
                if plain { plain_scalar(&text) } else { Kind::Text(text.into_owned()) }
            }
            Event::SequenceStart(..) => self.list()?,
            Event::MappingStart(..) => self.map()?,
            Event::Alias(_) => {
                return Err(error(span, "aliases are not understood, write the value out"));
            }
            _ => return Err(error(span, "a value is missing")),
        };
        self.depth -= 1;
        Ok(Node { at: Position::of(span), kind })
    }

    fn list(&mut self) -> Result<Kind, SyntaxError> {
        let mut items = Vec::new();
        loop {
            match self.next()? {
                (Event::SequenceEnd, _) => return Ok(Kind::List(items)),
                (event, span) => items.push(self.node(event, span)?),
            }
        }
    }

    fn map(&mut self) -> Result<Kind, SyntaxError> {
        let mut entries: Vec<(String, Position, Node)> = Vec::new();
        loop {
            let (event, span) = self.next()?;
            let key = match event {
                Event::MappingEnd => return Ok(Kind::Map(entries)),
                Event::Scalar(text, ..) => text.into_owned(),
                _ => return Err(error(span, "the name of a field must be a word")),
            };
            if let Some((_, first, _)) = entries.iter().find(|(other, ..)| *other == key) {
                let text =
                    format!("duplicate field \"{key}\", it also stands in line {}", first.line);
                return Err(error(span, &text));
            }
            let (event, value) = self.next()?;
            let node = self.node(event, value)?;
            entries.push((key, Position::of(span), node));
        }
    }
}

fn error(span: Span, text: &str) -> SyntaxError {
    SyntaxError { at: Position::of(span), text: text.to_owned() }
}

/// What a scalar without quotes is, by the core schema of YAML 1.2, where `on` and `no` are words.
fn plain_scalar(text: &str) -> Kind {
    match text {
        "" | "~" | "null" | "Null" | "NULL" => Kind::Null,
        "true" | "True" | "TRUE" => Kind::Bool(true),
        "false" | "False" | "FALSE" => Kind::Bool(false),
        _ if is_number(text) => Kind::Number(text.to_owned()),
        _ => Kind::Text(text.to_owned()),
    }
}

/// Whether it is a number as JSON writes them.
fn is_number(text: &str) -> bool {
    matches!(serde_json::from_str::<Value>(text), Ok(Value::Number(_)))
}

impl Node {
    /// The node of a path such as `deployment.gateway.routes[0].provider`, or the last one on the way
    /// that exists; a field itself is found at its name.
    #[must_use]
    pub fn position(&self, path: &str) -> Position {
        let mut node = self;
        let mut at = self.at;
        for step in path.split(['.', '[']).filter(|step| !step.is_empty()) {
            let next = match (&node.kind, step.strip_suffix(']')) {
                (Kind::List(items), Some(index)) => {
                    index.parse().ok().and_then(|index: usize| items.get(index)).map(|n| (n.at, n))
                }
                (Kind::Map(entries), None) => {
                    entries.iter().find(|(key, ..)| key == step).map(|(_, at, n)| (*at, n))
                }
                _ => None,
            };
            let Some((found, below)) = next else { break };
            (at, node) = (found, below);
        }
        at
    }

    /// The tree for the schema: numbers as numbers.
    #[must_use]
    pub fn to_json(&self) -> Value {
        self.value(&|digits| serde_json::from_str(digits).unwrap_or(Value::Null))
    }

    /// The tree for our types: what is no whole number stays text, with every digit.
    #[must_use]
    pub fn to_exact(&self) -> Value {
        self.value(&|digits| match digits.parse::<u64>() {
            Ok(whole) => Value::from(whole),
            Err(_) => Value::from(digits),
        })
    }

    fn value(&self, number: &dyn Fn(&str) -> Value) -> Value {
        match &self.kind {
            Kind::Null => Value::Null,
            Kind::Bool(value) => Value::Bool(*value),
            Kind::Number(digits) => number(digits),
            Kind::Text(text) => Value::from(text.as_str()),
            Kind::List(items) => items.iter().map(|item| item.value(number)).collect(),
            Kind::Map(entries) => {
                let pairs = entries.iter().map(|(key, _, node)| (key.clone(), node.value(number)));
                Value::Object(pairs.collect::<Map<_, _>>())
            }
        }
    }
}

/// `/a/b/0/c`, as the schema's errors name a place, in the words of our messages: `a.b[0].c`.
#[must_use]
pub fn path_of_pointer(pointer: &str) -> String {
    let mut path = String::new();
    for step in pointer.split('/').skip(1) {
        let step = step.replace("~1", "/").replace("~0", "~");
        if step.bytes().all(|byte| byte.is_ascii_digit()) {
            path += &format!("[{step}]");
        } else {
            path = join(&path, &step);
        }
    }
    path
}

/// The path of a field.
#[must_use]
pub fn join(path: &str, field: &str) -> String {
    if path.is_empty() { field.to_owned() } else { format!("{path}.{field}") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn yaml_and_json_give_the_same_values() {
        let yaml = parse("a:\n  - { b: 0.10, on: yes }\n  - \"1\"\nc: ~\n").unwrap();
        let json =
            parse("{\"a\": [{\"b\": 0.10, \"on\": \"yes\"}, \"1\"],\n\t\"c\": null}").unwrap();
        assert_eq!(yaml.to_json(), json.to_json());
        assert_eq!(yaml.to_exact()["a"][0]["b"], "0.10", "no digit is lost");
        assert_eq!(yaml.to_json()["a"][0]["b"], 0.1);
    }

    #[test]
    fn a_path_leads_to_line_and_column() {
        let tree = parse("a:\n  b:\n    - x: 1\n    - x: 2\n").unwrap();
        assert_eq!(tree.position("a.b[1].x"), Position { line: 4, column: 7 });
        assert_eq!(tree.position("a.b[1].missing"), Position { line: 4, column: 7 });
        assert_eq!(tree.position("a"), Position { line: 1, column: 1 });
        assert_eq!(path_of_pointer("/a/b/1/x"), "a.b[1].x");
    }

    #[test]
    fn what_cannot_be_read_says_where() {
        for (text, line, says) in [
            ("a: [1, 2\nb: 3\n", 2, "cannot be read"),
            ("a: 1\na: 2\n", 2, "duplicate field \"a\", it also stands in line 1"),
            ("a: &x 1\nb: *x\n", 2, "aliases"),
            ("", 1, "empty"),
            ("a: 1\n---\nb: 2\n", 3, "one document"),
            ("? [a]\n: 1\n", 1, "name of a field"),
            ("{\"a\": 1,\n \"b\": }x", 2, ""),
        ] {
            let error = parse(text).unwrap_err();
            assert_eq!(error.at.line, line, "{text}: {error}");
            assert!(error.text.contains(says), "{text}: {error}");
        }
        let deep = "[".repeat(10_000);
        assert!(parse(&deep).is_err());
    }
}
