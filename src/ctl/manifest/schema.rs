//! Does a manifest have the fields it may have, with values of the right kind? The published JSON
//! Schema decides; its findings are put into our words, because the library's quote the value, which
//! may be a secret that does not belong there.

use jsonschema::error::{TypeKind, ValidationErrorKind};
use jsonschema::{ValidationError, Validator};
use serde_json::Value;

use crate::tree::{join, path_of_pointer};

/// The schema as it is published.
pub const SCHEMA: &str = include_str!("../manifest.schema.json");

/// Longer values are not repeated in messages.
const MAX_SHOWN: usize = 60;

/// What the schema finds: path and text.
pub fn findings(manifest: &Value) -> Result<Vec<(String, String)>, String> {
    let schema: Value = serde_json::from_str(SCHEMA).map_err(|why| why.to_string())?;
    let validator = jsonschema::validator_for(&schema).map_err(|why| why.to_string())?;
    Ok(validate(&validator, &schema, manifest))
}

fn validate(validator: &Validator, schema: &Value, manifest: &Value) -> Vec<(String, String)> {
    let mut found = Vec::new();
    for error in validator.iter_errors(manifest) {
        collect(&error, schema, &mut found);
    }
    found.dedup();
    found
}

fn collect(error: &ValidationError<'_>, schema: &Value, found: &mut Vec<(String, String)>) {
    let path = path_of_pointer(error.instance_path().as_str());
    match error.kind() {
        ValidationErrorKind::AdditionalProperties { unexpected } => {
            for field in unexpected {
                let known = known_fields(schema, error);
                found.push((join(&path, field), unknown_field(field, &known)));
            }
        }
        kind => found.push((path, said(error, kind, schema))),
    }
}

fn said(error: &ValidationError<'_>, kind: &ValidationErrorKind, schema: &Value) -> String {
    match kind {
        ValidationErrorKind::Required { property } => {
            format!("field {property} is missing, add it")
        }
        ValidationErrorKind::Type { kind: TypeKind::Single(wanted) } => {
            format!("this must be {}", article(&wanted.to_string()))
        }
        ValidationErrorKind::Enum { options } => {
            format!("unknown value{}, use one of {}", shown(error.instance()), listed(options))
        }
        ValidationErrorKind::Minimum { limit } => {
            format!("{} is too small, the least is {limit}", error.instance())
        }
        ValidationErrorKind::Maximum { limit } => {
            format!("{} is too large, the most is {limit}", error.instance())
        }
        ValidationErrorKind::MinItems { limit } => {
            format!("the list is too short, it needs {limit} or more")
        }
        ValidationErrorKind::MaxItems { limit } => {
            format!("the list is too long, it takes {limit} at most")
        }
        ValidationErrorKind::MaxLength { limit } => {
            format!("the text is too long, it has {limit} characters at most")
        }
        ValidationErrorKind::UniqueItems => "a value stands twice in the list, keep one".to_owned(),
        ValidationErrorKind::Pattern { .. } if is_secret(error) => {
            "a secret must not be in a manifest, write env:NAME or file:PATH and put the secret there"
                .to_owned()
        }
        ValidationErrorKind::Pattern { .. } => {
            let hint = beside(schema, error, "description");
            let hint = hint.and_then(Value::as_str).unwrap_or("it has characters that do not fit");
            format!("invalid value{}. {hint}", shown(error.instance()))
        }
        ValidationErrorKind::OneOfNotValid { .. } | ValidationErrorKind::AnyOf { .. } => {
            let hint = beside(schema, error, "description").and_then(Value::as_str);
            format!("invalid value{}. {}", shown(error.instance()), hint.unwrap_or_default())
                .trim_end()
                .to_owned()
        }
        other => format!("this does not fit the schema ({})", other.keyword()),
    }
}

fn is_secret(error: &ValidationError<'_>) -> bool {
    let pointer = error.instance_path().as_str();
    pointer.ends_with("/api_key") || pointer.ends_with("/dsn")
}

/// A short value, in quotes.
fn shown(value: &Value) -> String {
    match value {
        Value::String(text) if text.len() <= MAX_SHOWN && !looks_secret(text) => {
            format!(" \"{}\"", text.escape_debug())
        }
        Value::Number(number) => format!(" {number}"),
        _ => String::new(),
    }
}

/// Keys of known vendors begin so; they may stand in a wrong field.
fn looks_secret(text: &str) -> bool {
    text.starts_with("sk-") || text.len() > 24 && text.bytes().any(|byte| byte.is_ascii_digit())
}

fn listed(options: &Value) -> String {
    let words = options.as_array().into_iter().flatten().map(ToString::to_string);
    words.collect::<Vec<_>>().join(", ")
}

fn article(kind: &str) -> String {
    match kind {
        "object" => "a block of fields".to_owned(),
        "array" => "a list".to_owned(),
        "string" => "a text, put it in quotes".to_owned(),
        "boolean" => "true or false".to_owned(),
        "integer" => "a whole number".to_owned(),
        kind => format!("a {kind}"),
    }
}

/// What stands beside the keyword that failed.
fn beside<'s>(schema: &'s Value, error: &ValidationError<'_>, name: &str) -> Option<&'s Value> {
    let pointer = error.schema_path().as_str();
    let (parent, _) = pointer.rsplit_once('/')?;
    schema.pointer(parent)?.get(name)
}

fn known_fields(schema: &Value, error: &ValidationError<'_>) -> Vec<String> {
    let known = beside(schema, error, "properties").and_then(Value::as_object);
    known.into_iter().flat_map(|fields| fields.keys().cloned()).collect()
}

fn unknown_field(field: &str, known: &[String]) -> String {
    match nearest(field, known.iter().map(String::as_str)) {
        Some(near) => format!("unknown field \"{field}\", did you mean \"{near}\"?"),
        None => format!("unknown field \"{field}\", use one of {}", known.join(", ")),
    }
}

/// The known word that is most like another, if one is alike at all.
pub fn nearest<'a>(word: &str, known: impl Iterator<Item = &'a str>) -> Option<&'a str> {
    let scored = known.map(|other| (distance(word, other), other));
    let (score, best) = scored.min_by_key(|(score, _)| *score)?;
    (score <= word.chars().count().max(3) / 3).then_some(best)
}

/// How many letters must be put in, taken out or changed.
fn distance(a: &str, b: &str) -> usize {
    let b: Vec<char> = b.chars().collect();
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, x) in a.chars().enumerate() {
        let mut left = i + 1;
        let mut next = vec![left];
        for ((y, above), corner) in b.iter().zip(row.iter().skip(1)).zip(&row) {
            left = (left + 1).min(above + 1).min(corner + usize::from(x != *y));
            next.push(left);
        }
        row = next;
    }
    row.last().copied().unwrap_or(0)
}
