//! What does `llm_log_format json` write? The text of an nginx `log_format` with `escape=json`, which
//! makes whatever a variable holds a JSON text and one that is not found an empty one.

use crate::surface::variables;

/// Fields whose names are older than ours, and their variables.
const FIELDS: &[(&str, &str)] = &[
    ("time", "time_iso8601"),
    ("org", "llm_cost_org"),
    ("project", "llm_cost_project"),
    ("client", "llm_cost_client"),
    ("gateway_key_id", "llm_client_key_id"),
    ("provider", "llm_effective_provider"),
    ("model", "llm_effective_model"),
    ("rate_limit_reason", "llm_ratelimit_deny_reason"),
    ("request_remaining", "llm_ratelimit_quota_remaining"),
    ("token_remaining", "llm_ratelimit_token_quota_remaining"),
    ("fallback_attempted", "llm_fallback_attempted"),
    ("fallback_reason", "llm_fallback_reason"),
    ("fallback_effective", "llm_fallback_effective_provider"),
    ("input_cost", "llm_cost_prompt"),
    ("output_cost", "llm_cost_completion"),
    ("total_cost", "llm_cost_total"),
    ("cost_status", "llm_cost_status"),
    ("status", "status"),
    ("request_time", "request_time"),
];

/// The format's text: the older fields, then every other variable of ours without its `llm_`. A field
/// that would have the name of an older one keeps its prefix.
#[must_use]
pub fn log_format() -> String {
    let ours = |name: &str| variables().any(|variable| variable.name == name);
    let mut text = String::from("{");
    let mut put = |field: &str, variable: &str| {
        if text.len() > 1 {
            text.push(',');
        }
        text.push('"');
        text.push_str(field);
        text.push_str("\":\"");
        if !variable.starts_with("llm_") || ours(variable) {
            text.push('$');
            text.push_str(variable);
        }
        text.push('"');
    };
    for (field, variable) in FIELDS {
        put(field, variable);
    }
    for variable in variables() {
        if FIELDS.iter().any(|(_, known)| *known == variable.name) {
            continue;
        }
        let short = variable.name.strip_prefix("llm_").unwrap_or(variable.name);
        let taken = FIELDS.iter().any(|(field, _)| *field == short);
        put(if taken { variable.name } else { short }, variable.name);
    }
    text.push('}');
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_format_is_json_with_each_variable_once() {
        let text = log_format();
        let line: serde_json::Map<String, serde_json::Value> = serde_json::from_str(&text).unwrap();
        for (field, _) in FIELDS {
            assert!(line.contains_key(*field), "{field}");
        }
        // A name that stood twice would be one field of the map.
        assert_eq!(line.len(), text.matches("\":\"").count());
        for variable in variables() {
            let value = format!("${}", variable.name);
            assert_eq!(line.values().filter(|found| **found == *value).count(), 1, "{value}");
        }
        assert_eq!(line["llm_provider"], "$llm_provider");
        assert_eq!(line["provider"], "$llm_effective_provider");
        assert_eq!(line["chain"], "$llm_chain");
    }
}
