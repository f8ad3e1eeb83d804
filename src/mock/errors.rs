//! How does each dialect report a failure, and with which status?

use serde_json::{Value, json};

use crate::answer::ErrorKind;
use crate::endpoint::Dialect;

/// A failure as one dialect spells it.
#[derive(Debug, Clone)]
pub struct Failure {
    pub status: u16,
    pub body: Value,
}

impl Failure {
    pub fn of_kind(kind: ErrorKind, dialect: Dialect, model: &str) -> Self {
        match dialect {
            Dialect::OpenAi => openai_kind(kind, model),
            Dialect::Anthropic => anthropic_kind(kind, model),
        }
    }

    /// What a provider says with `status` when nothing more is known.
    pub fn of_status(status: u16, dialect: Dialect, model: &str) -> Self {
        let kind = match (status, dialect) {
            (401, _) => Some(ErrorKind::InvalidApiKey),
            (404, _) => Some(ErrorKind::ModelNotFound),
            (429, _) => Some(ErrorKind::RateLimitExceeded),
            (529, _) | (503, Dialect::OpenAi) => Some(ErrorKind::Overloaded),
            (500, _) => Some(ErrorKind::ServerError),
            _ => None,
        };
        let failure = match kind {
            Some(kind) => Self::of_kind(kind, dialect, model),
            None => Self::with_message(status, dialect, &format!("The answer is {status}.")),
        };
        Self { status, ..failure }
    }

    pub fn with_message(status: u16, dialect: Dialect, message: &str) -> Self {
        match dialect {
            Dialect::OpenAi => {
                let kind = if status < 500 { "invalid_request_error" } else { "server_error" };
                openai(status, kind, message, None, None)
            }
            Dialect::Anthropic => anthropic(status, anthropic_type(status), message),
        }
    }

    /// The failure as an event of a stream that has begun with 200.
    pub fn event(&self, dialect: Dialect) -> String {
        let name = if dialect == Dialect::Anthropic { "event: error\n" } else { "" };
        format!("{name}data: {}\n\n", self.body)
    }
}

fn openai(
    status: u16,
    kind: &str,
    message: &str,
    param: Option<&str>,
    code: Option<&str>,
) -> Failure {
    let error = json!({"message": message, "type": kind, "param": param, "code": code});
    Failure { status, body: json!({"error": error}) }
}

fn openai_kind(kind: ErrorKind, model: &str) -> Failure {
    let invalid = "invalid_request_error";
    match kind {
        ErrorKind::ContextLengthExceeded => openai(
            400,
            invalid,
            "This model's maximum context length is 8192 tokens. However, your messages resulted \
             in 9001 tokens. Please reduce the length of the messages.",
            Some("messages"),
            Some("context_length_exceeded"),
        ),
        ErrorKind::ContentPolicyViolation => openai(
            400,
            invalid,
            "Your request was rejected as a result of our safety system.",
            None,
            Some("content_policy_violation"),
        ),
        ErrorKind::InsufficientQuota => openai(
            429,
            "insufficient_quota",
            "You exceeded your current quota, please check your plan and billing details.",
            None,
            Some("insufficient_quota"),
        ),
        ErrorKind::RateLimitExceeded => openai(
            429,
            "requests",
            &format!("Rate limit reached for {model} on requests per min (RPM): Limit 3, Used 3."),
            None,
            Some("rate_limit_exceeded"),
        ),
        ErrorKind::InvalidApiKey => {
            openai(401, invalid, "Incorrect API key provided.", None, Some("invalid_api_key"))
        }
        ErrorKind::ModelNotFound => openai(
            404,
            invalid,
            &format!("The model `{model}` does not exist or you do not have access to it."),
            None,
            Some("model_not_found"),
        ),
        ErrorKind::Overloaded => openai(
            503,
            "server_error",
            "The engine is currently overloaded, please try again later.",
            None,
            None,
        ),
        ErrorKind::ServerError => openai(
            500,
            "server_error",
            "The server had an error while processing your request. Sorry about that!",
            None,
            None,
        ),
    }
}

fn anthropic(status: u16, kind: &str, message: &str) -> Failure {
    let error = json!({"type": kind, "message": message});
    Failure { status, body: json!({"type": "error", "error": error, "request_id": "req_mock"}) }
}

fn anthropic_kind(kind: ErrorKind, model: &str) -> Failure {
    let (status, message) = match kind {
        ErrorKind::ContextLengthExceeded => {
            (400, "prompt is too long: 200001 tokens > 200000 maximum".into())
        }
        ErrorKind::ContentPolicyViolation => {
            (400, "Output blocked by content filtering policy".into())
        }
        // Anthropic reports an exhausted balance as a bad request, not as a rate limit.
        ErrorKind::InsufficientQuota => {
            (400, "Your credit balance is too low to access the Anthropic API.".into())
        }
        ErrorKind::RateLimitExceeded => {
            (429, "This request would exceed your organization's rate limit.".into())
        }
        ErrorKind::InvalidApiKey => (401, "invalid x-api-key".into()),
        ErrorKind::ModelNotFound => (404, format!("model: {model}")),
        ErrorKind::Overloaded => (529, "Overloaded".into()),
        ErrorKind::ServerError => (500, "Internal server error".into()),
    };
    anthropic(status, anthropic_type(status), &message)
}

fn anthropic_type(status: u16) -> &'static str {
    match status {
        401 => "authentication_error",
        402 => "billing_error",
        403 => "permission_error",
        404 => "not_found_error",
        413 => "request_too_large",
        429 => "rate_limit_error",
        529 => "overloaded_error",
        504 => "timeout_error",
        500.. => "api_error",
        _ => "invalid_request_error",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn overload_has_the_status_of_its_dialect() {
        let status = |dialect| Failure::of_kind(ErrorKind::Overloaded, dialect, "m").status;
        assert_eq!((status(Dialect::OpenAi), status(Dialect::Anthropic)), (503, 529));
    }

    #[test]
    fn a_status_brings_the_body_that_belongs_to_it() {
        let body = Failure::of_status(429, Dialect::OpenAi, "m").body;
        assert_eq!(body["error"]["code"], "rate_limit_exceeded");
        let body = Failure::of_status(529, Dialect::Anthropic, "m").body;
        assert_eq!(body["error"]["type"], "overloaded_error");
        assert_eq!(Failure::of_status(418, Dialect::Anthropic, "m").status, 418);
    }

    #[test]
    fn an_error_event_has_a_name_only_in_anthropics_dialect() {
        let event = |dialect| Failure::of_status(500, dialect, "m").event(dialect);
        assert!(event(Dialect::OpenAi).starts_with("data: {\"error\""));
        assert!(event(Dialect::Anthropic).starts_with("event: error\ndata: {\"type\":\"error\""));
    }
}
