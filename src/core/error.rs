//! What does a client read when the gateway refuses or a provider cannot be reached? Every stage
//! makes its refusals here; the module sends them in the caller's dialect. Never HTML, never a secret.

use std::borrow::Cow;

use serde_json::{Value, json};

use crate::dialect::Dialect;

/// Client text in a message is cut to this many bytes.
pub const MAX_ECHO_BYTES: usize = 128;

/// A refusal or failure, independent of the dialect it is told in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rejection {
    /// HTTP status.
    pub status: u16,
    /// A stable word for programs.
    pub code: &'static str,
    /// A sentence for the developer: what is wrong and what to change.
    pub message: String,
    /// The request field that is at fault.
    pub param: Option<&'static str>,
    /// Whole seconds for `Retry-After`.
    pub retry_after_s: Option<u64>,
    /// The limit or budget that refuses.
    pub limited: Option<Limited>,
}

/// What a client is told about the limit or budget that refuses.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Limited {
    /// The rule, never whose it is.
    pub scope: String,
    /// When it will pass again, in unix time.
    pub reset_at_s: Option<u64>,
}

impl Rejection {
    /// The code of [`Rejection::all_benched`].
    pub const ALL_BENCHED: &'static str = "all_targets_benched";

    /// A rejection without a field at fault.
    #[must_use]
    pub fn new(status: u16, code: &'static str, message: impl Into<String>) -> Self {
        Self {
            status,
            code,
            message: message.into(),
            param: None,
            retry_after_s: None,
            limited: None,
        }
    }

    /// Names the request field at fault.
    #[must_use]
    pub fn with_param(mut self, param: &'static str) -> Self {
        self.param = Some(param);
        self
    }

    /// Tells the client when to come back, in seconds.
    #[must_use]
    pub fn with_retry_after(mut self, seconds: u64) -> Self {
        self.retry_after_s = Some(seconds);
        self
    }

    /// 404: the catalog has no such model.
    #[must_use]
    pub fn model_not_found(model: &str) -> Self {
        let message = format!(
            "The model \"{}\" is not served here. Ask for one of the models this gateway lists.",
            quoted(model)
        );
        Self::new(404, "model_not_found", message).with_param("model")
    }

    /// 400: the request names no model.
    #[must_use]
    pub fn model_required() -> Self {
        let message = "The request names no model. Add a \"model\" field with a model's name.";
        Self::new(400, "model_required", message).with_param("model")
    }

    /// 400: the client asked for a provider that does not serve the model, or for none of ours.
    #[must_use]
    pub fn provider_not_allowed(provider: &str, model: Option<&str>) -> Self {
        let provider = quoted(provider);
        let message = match model {
            Some(model) => format!(
                "The provider \"{provider}\" is not allowed for the model \"{}\". Leave the provider \
                 out or name one that serves this model.",
                quoted(model)
            ),
            None => format!(
                "The provider \"{provider}\" is not allowed. Leave it out or name one that this \
                 gateway has."
            ),
        };
        Self::new(400, "provider_not_allowed", message).with_param("provider")
    }

    /// 400: the body is not the JSON we need; `why` ends the sentence.
    #[must_use]
    pub fn invalid_json(why: &str) -> Self {
        let message = format!("The request body is not valid JSON: {why}.");
        Self::new(400, "invalid_json", message)
    }

    /// 415: the body is something else than JSON.
    #[must_use]
    pub fn unsupported_media_type(content_type: &str) -> Self {
        let message = if content_type.is_empty() {
            "The request has no content type. Send JSON with \"Content-Type: application/json\"."
                .to_owned()
        } else {
            format!(
                "The content type \"{}\" is not supported here. Send JSON with \"Content-Type: \
                 application/json\".",
                quoted(content_type)
            )
        };
        Self::new(415, "unsupported_media_type", message)
    }

    /// 413: the body is larger than the operator allows.
    #[must_use]
    pub fn request_too_large(limit_bytes: u64) -> Self {
        let message = format!(
            "The request body is larger than {limit_bytes} bytes, the limit this gateway sets with \
             llm_proxy_max_body_size. Send a shorter request."
        );
        Self::new(413, "request_too_large", message)
    }

    /// 400: a field we act on stands twice, so that two readers could see two values.
    #[must_use]
    pub fn duplicate_key(key: &'static str) -> Self {
        let message = format!("The request has more than one \"{key}\" field. Send it once.");
        Self::new(400, "duplicate_key", message).with_param(key)
    }

    /// 400: a field we act on has another type than a string.
    #[must_use]
    pub fn invalid_type(key: &'static str) -> Self {
        let message = format!("The field \"{key}\" is not a string. Send it as a string.");
        Self::new(400, "invalid_type", message).with_param(key)
    }

    /// 400: the provider is asked to choose among models that nobody has looked up here.
    #[must_use]
    pub fn other_models() -> Self {
        let message = "The field \"models\" is not supported here. Name one model in \"model\"; the \
                       gateway's own fallback chooses others.";
        Self::new(400, "unsupported_parameter", message).with_param("models")
    }

    /// 400: the model's name cannot be one.
    #[must_use]
    pub fn invalid_model_name() -> Self {
        let message = "The field \"model\" is not a model's name: it has control characters, broken \
                       escapes or more than 256 bytes.";
        Self::new(400, "invalid_model_name", message).with_param("model")
    }

    /// 403: a subrequest (SSI, mirror, auth_request) came into a gateway location.
    #[must_use]
    pub fn subrequest() -> Self {
        Self::new(403, "subrequest_forbidden", "Subrequests cannot use this gateway.")
    }

    /// 400: client and provider speak different dialects and nothing translates between them.
    #[must_use]
    pub fn translation_unavailable(provider: &str, target: Dialect, client: Dialect) -> Self {
        let message = format!(
            "The provider \"{}\" speaks the {} dialect and this request is in the {} dialect. Send \
             it to the {} endpoint or choose another model.",
            quoted(provider),
            target.name(),
            client.name(),
            target.name()
        );
        Self::new(400, "translation_unavailable", message)
    }

    /// 400: the operator wants the dialect said and the request does not say it.
    #[must_use]
    pub fn dialect_required() -> Self {
        let message = "The request does not say its dialect. Add a \"dialect\" field with \"openai\" \
                       or \"anthropic\".";
        Self::new(400, "dialect_required", message).with_param("dialect")
    }

    /// 400: the dialect that is asked for does not exist.
    #[must_use]
    pub fn unknown_dialect(dialect: &str) -> Self {
        let message = format!(
            "The dialect \"{}\" is not known. Use \"openai\" or \"anthropic\".",
            quoted(dialect)
        );
        Self::new(400, "unknown_dialect", message).with_param("dialect")
    }

    /// 400: no target can hold the request; both numbers are tokens, the first is estimated.
    #[must_use]
    pub fn context_too_large(estimated_tokens: u64, max_input_tokens: u64) -> Self {
        let message = format!(
            "The request is too long for this model: about {estimated_tokens} tokens where \
             {max_input_tokens} fit. Shorten the input."
        );
        Self::new(400, "context_length_exceeded", message)
    }

    /// 502: no connection to the provider.
    #[must_use]
    pub fn provider_unreachable() -> Self {
        let message = "The provider cannot be reached. Try again later.";
        Self::new(502, "provider_unreachable", message)
    }

    /// 504: the provider did not answer in time.
    #[must_use]
    pub fn provider_timeout() -> Self {
        let message = "The provider did not answer in time. Try again later.";
        Self::new(504, "provider_timeout", message)
    }

    /// 502: the provider's answer is not one, or it broke off.
    #[must_use]
    pub fn provider_bad_response() -> Self {
        let message = "The provider's answer was broken or ended too early. Try again.";
        Self::new(502, "provider_bad_response", message)
    }

    /// 503: every target is benched for now.
    #[must_use]
    pub fn all_benched(recovers_in_s: u64) -> Self {
        let message = "Every provider of this model is paused after failures. Try again later.";
        Self::new(503, Self::ALL_BENCHED, message).with_retry_after(recovers_in_s)
    }

    /// A stream that ended without its terminal marker; told inside the stream.
    #[must_use]
    pub fn stream_incomplete() -> Self {
        let message = "The provider's stream broke off before its end. What came before is \
                       incomplete; send the request again.";
        Self::new(502, "stream_incomplete", message)
    }

    /// 500: a fault of the gateway.
    #[must_use]
    pub fn internal() -> Self {
        let message = "The gateway failed to handle this request. Its log says why.";
        Self::new(500, "internal_error", message)
    }

    /// What any status means that nginx or another module chose. Statuses above 493 that nginx uses
    /// for itself become the 400 it sends for them.
    #[must_use]
    pub fn from_status(status: u16) -> Self {
        let (code, message) = match status {
            401 => ("unauthorized", "The request has no valid credential. Send an API key."),
            402 => ("payment_required", "The account has no credit left."),
            403 => ("forbidden", "This credential may not do that."),
            404 => ("not_found", "There is nothing at this path. Check the base URL."),
            405 => ("method_not_allowed", "This method is not allowed here."),
            408 => ("request_timeout", "The request did not arrive in time. Send it again."),
            409 => ("conflict", "The request conflicts with another one. Try again."),
            411 => ("length_required", "The request has no Content-Length. Send one."),
            413 => ("request_too_large", "The request body is larger than the server allows."),
            414 => ("uri_too_long", "The request's URI is too long."),
            415 => ("unsupported_media_type", "This content type is not supported. Send JSON."),
            416 => ("range_not_satisfiable", "The range cannot be served. Ask without one."),
            421 => ("misdirected_request", "This host is not served on this connection."),
            429 => ("rate_limit_exceeded", "Too many requests. Slow down and try again."),
            431 | 494 => ("request_header_too_large", "The request's headers are too large."),
            495 => ("client_certificate_invalid", "The client certificate is not valid."),
            496 => ("client_certificate_required", "A client certificate is required."),
            497 => ("https_required", "This is an HTTPS port. Use https in the base URL."),
            499 => ("client_closed_request", "The client closed the connection."),
            500 => return Self::internal(),
            501 => ("not_implemented", "The server cannot do that."),
            502 => return Self::provider_unreachable(),
            503 => ("unavailable", "The service is not available now. Try again later."),
            504 => return Self::provider_timeout(),
            505 => ("http_version_not_supported", "This HTTP version is not supported."),
            507 => ("insufficient_storage", "The server has no room left. Try again later."),
            400..=499 => ("bad_request", "The request is malformed or cannot be served."),
            _ => ("internal_error", "The gateway failed to handle this request."),
        };
        let sent = if (494..=497).contains(&status) { 400 } else { status };
        Self::new(sent, code, message)
    }

    /// Names the limit or budget that refuses, and when it will pass again, in unix time.
    #[must_use]
    pub fn with_limit(mut self, scope: impl Into<String>, reset_at_s: Option<u64>) -> Self {
        self.limited = Some(Limited { scope: scope.into(), reset_at_s });
        self
    }

    /// 429: a limit or a budget is used up.
    #[must_use]
    pub fn limit_reached(code: &'static str, message: impl Into<String>, retry_in_s: u64) -> Self {
        Self::new(429, code, message).with_retry_after(retry_in_s.max(1))
    }

    /// 429: it is not known whom the request is to be counted for.
    #[must_use]
    pub fn identity_missing() -> Self {
        let message = "The request cannot be counted, because it does not say whose it is. Send the \
                       credential or header that this gateway expects.";
        Self::limit_reached("identity_missing", message, 1)
    }

    /// 400: the request alone takes more than the limit ever lets pass.
    #[must_use]
    pub fn request_exceeds_limit() -> Self {
        let message = "The request is larger than this limit ever lets pass. Send a shorter prompt or \
                       ask for fewer output tokens.";
        Self::new(400, "request_exceeds_limit", message)
    }

    /// 403: a budget applies and the model has no price.
    #[must_use]
    pub fn unpriced_model() -> Self {
        let message = "This model has no price here, and a budget applies. Choose another model.";
        Self::new(403, "unpriced_model", message)
    }

    /// 503: the table of limits has no room for another one.
    #[must_use]
    pub fn ratelimit_zone_full() -> Self {
        let message = "The gateway has no room to count this request. Try again later.";
        Self::new(503, "ratelimit_zone_full", message).with_retry_after(1)
    }

    /// 401: no key of ours came with the request.
    #[must_use]
    pub fn client_key_missing() -> Self {
        let message = "You did not provide a key. Send it as \"Authorization: Bearer <key>\" or in \
                       \"x-api-key\".";
        Self::new(401, "missing_api_key", message)
    }

    /// 401 or 403: the key is not good. The code tells why, as far as its owner may know.
    #[must_use]
    pub fn client_key_refused(verdict: crate::auth::client::Verdict<'_>) -> Self {
        use crate::auth::client::Verdict;
        let (status, code, message) = match verdict {
            Verdict::Active(_) => return Self::internal(),
            Verdict::Unknown => (401, "invalid_api_key", "This key is not known here."),
            Verdict::Suspended(_) => (403, "api_key_suspended", "This key is suspended."),
            Verdict::Revoked(_) => {
                (403, "api_key_revoked", "This key was revoked. Ask for another.")
            }
            Verdict::Expired(_) => {
                (403, "api_key_expired", "This key has expired. Ask for another.")
            }
        };
        Self::new(status, code, message)
    }

    /// 403: the key belongs to somebody else than this place is for.
    #[must_use]
    pub fn client_key_out_of_scope() -> Self {
        let message = "This key is not for this address. Use the one that came with it.";
        Self::new(403, "api_key_out_of_scope", message)
    }

    /// 403: the key is not for this model.
    #[must_use]
    pub fn model_not_allowed(model: &str) -> Self {
        let message =
            format!("This key is not for the model \"{}\". Ask for another model.", quoted(model));
        Self::new(403, "model_not_allowed", message).with_param("model")
    }

    /// 503: the events of finished requests have filled their journal.
    #[must_use]
    pub fn journal_full() -> Self {
        let message =
            "The gateway cannot record what requests cost at the moment. Try again later.";
        Self::new(503, "cost_journal_full", message).with_retry_after(5)
    }

    /// The body of the answer.
    #[must_use]
    pub fn body(&self, dialect: Dialect, request_id: &str) -> Vec<u8> {
        self.value(dialect, request_id).to_string().into_bytes()
    }

    /// The event that ends a stream which already has its head; both vendors' SDKs raise on it.
    #[must_use]
    pub fn sse_event(&self, dialect: Dialect, request_id: &str) -> Vec<u8> {
        let data = self.value(dialect, request_id);
        match dialect {
            Dialect::OpenAi => format!("data: {data}\n\n").into_bytes(),
            Dialect::Anthropic => format!("event: error\ndata: {data}\n\n").into_bytes(),
        }
    }

    /// The word a dialect has for this status.
    #[must_use]
    pub fn kind(&self, dialect: Dialect) -> &'static str {
        match dialect {
            Dialect::OpenAi => self.openai_kind(),
            Dialect::Anthropic => self.anthropic_kind(),
        }
    }

    fn value(&self, dialect: Dialect, request_id: &str) -> Value {
        let kind = self.kind(dialect);
        let mut value = match dialect {
            Dialect::OpenAi => json!({
                "error": {
                    "message": self.message,
                    "type": kind,
                    "param": self.param,
                    "code": self.code,
                },
                "request_id": request_id,
            }),
            Dialect::Anthropic => json!({
                "type": "error",
                "error": {"type": kind, "message": self.message},
                "request_id": request_id,
            }),
        };
        if let Some(limited) = &self.limited
            && let Some(Value::Object(error)) = value.get_mut("error")
        {
            // Anthropic's shape has no code, and its one word for all limits does not tell them apart.
            error.insert("code".to_owned(), self.code.into());
            error.insert("scope".to_owned(), limited.scope.as_str().into());
            error.insert("reset_at".to_owned(), limited.reset_at_s.into());
        }
        value
    }

    fn openai_kind(&self) -> &'static str {
        match self.status {
            401 => "authentication_error",
            402 => "insufficient_quota",
            403 => "permission_error",
            429 => "rate_limit_error",
            500.. => "server_error",
            _ => "invalid_request_error",
        }
    }

    fn anthropic_kind(&self) -> &'static str {
        match self.status {
            401 => "authentication_error",
            402 => "billing_error",
            403 => "permission_error",
            404 => "not_found_error",
            408 | 504 => "timeout_error",
            413 => "request_too_large",
            429 => "rate_limit_error",
            503 | 529 => "overloaded_error",
            500.. => "api_error",
            _ => "invalid_request_error",
        }
    }
}

/// Client text that is safe in a message or a log line: control characters are escaped, long text
/// is cut to [`MAX_ECHO_BYTES`].
#[must_use]
pub fn quoted(text: &str) -> Cow<'_, str> {
    if text.len() <= MAX_ECHO_BYTES && !text.contains(char::is_control) {
        return Cow::Borrowed(text);
    }
    let mut safe = String::with_capacity(MAX_ECHO_BYTES);
    for c in text.chars() {
        let before = safe.len();
        if c.is_control() {
            safe.extend(c.escape_default());
        } else {
            safe.push(c);
        }
        if safe.len() > MAX_ECHO_BYTES {
            safe.truncate(before);
            safe.push('…');
            break;
        }
    }
    Cow::Owned(safe)
}

#[cfg(test)]
mod tests;
