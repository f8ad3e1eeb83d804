//! Which models does `GET /v1/models` list? Exact patterns and aliases; a wildcard names no model.

use serde_json::{Value, json};

use super::Routes;
use crate::date::rfc3339_of_seconds;
use crate::dialect::Dialect;
use crate::pattern::fold;

impl Routes {
    /// The public names and their providers: the catalog's exact patterns, then the aliases, each in
    /// the order they were written.
    pub fn models(&self) -> impl Iterator<Item = (&str, &str)> {
        let exact = self.patterns.iter().filter(|line| line.is_exact());
        let exact = exact.map(|line| (line.pattern.as_str(), line.provider.as_str()));
        exact.chain(self.aliases.iter().map(|a| (a.public.as_str(), a.provider.as_str())))
    }

    /// The list in OpenAI's shape; `created` is a Unix time in seconds.
    #[must_use]
    pub fn models_json(&self, created: u64) -> String {
        let models = self.models();
        let data: Vec<Value> = models.map(|model| entry(Dialect::OpenAi, model, created)).collect();
        json!({"object": "list", "data": data}).to_string()
    }

    /// The list in Anthropic's shape; `created` is a Unix time in seconds.
    #[must_use]
    pub fn models_json_anthropic(&self, created: u64) -> String {
        let models = self.models();
        let data: Vec<Value> =
            models.map(|model| entry(Dialect::Anthropic, model, created)).collect();
        let first = self.models().next().map(|(id, _)| id);
        let last = self.models().last().map(|(id, _)| id);
        json!({"data": data, "has_more": false, "first_id": first, "last_id": last}).to_string()
    }

    /// One model of the list, for `GET /v1/models/<id>`.
    #[must_use]
    pub fn model_json(&self, dialect: Dialect, id: &str, created: u64) -> Option<String> {
        let wanted = fold(id);
        let found = self.models().find(|(id, _)| fold(id) == wanted)?;
        Some(entry(dialect, found, created).to_string())
    }
}

fn entry(dialect: Dialect, (id, provider): (&str, &str), created: u64) -> Value {
    match dialect {
        Dialect::OpenAi => {
            json!({"id": id, "object": "model", "created": created, "owned_by": provider})
        }
        Dialect::Anthropic => {
            json!({"type": "model", "id": id, "display_name": id, "created_at": rfc3339_of_seconds(created)})
        }
    }
}
