//! Which models does `GET /v1/models` list? Exact patterns and aliases; a wildcard names no model.

use serde_json::{Value, json};

use super::Routes;
use crate::dialect::Dialect;

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
        let wanted = super::catalog::fold(id);
        let found = self.models().find(|(id, _)| super::catalog::fold(id) == wanted)?;
        Some(entry(dialect, found, created).to_string())
    }
}

fn entry(dialect: Dialect, (id, provider): (&str, &str), created: u64) -> Value {
    match dialect {
        Dialect::OpenAi => {
            json!({"id": id, "object": "model", "created": created, "owned_by": provider})
        }
        Dialect::Anthropic => {
            json!({"type": "model", "id": id, "display_name": id, "created_at": rfc3339(created)})
        }
    }
}

/// `2026-11-21T08:30:00Z` for a Unix time in seconds.
pub(super) fn rfc3339(unix_s: u64) -> String {
    let (days, second) = (unix_s / 86_400, unix_s % 86_400);
    // Years that begin in March put the leap day last: era of 400 years, year, day of it.
    let days = days + 719_468;
    let (era, day_of_era) = (days / 146_097, days % 146_097);
    let year_of_era =
        (day_of_era - day_of_era / 1460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let march_month = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * march_month + 2) / 5 + 1;
    let month = if march_month < 10 { march_month + 3 } else { march_month - 9 };
    let year = era * 400 + year_of_era + u64::from(month <= 2);
    let (hour, minute, second) = (second / 3600, second / 60 % 60, second % 60);
    format!("{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}Z")
}
