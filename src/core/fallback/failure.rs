//! What kind of failure is the end of an attempt? The attempt tells what it saw as an [`Event`]; status
//! and the provider's own error code, in either dialect, decide the class.

use super::FailureClass as Class;
use super::{Classes, Told, after};
use crate::error::Rejection;

/// What a provider said is wrong.
pub use crate::event::ErrorEvent as ErrorCode;

/// How an attempt ended without a good answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Event {
    /// No connection: refused, unreachable, no address, TLS or its certificate failed.
    ConnectFailed,
    /// The connection was closed or reset before a byte of the answer.
    Closed,
    /// Too slow.
    TimedOut {
        /// Before the connection stood, so that nothing was sent.
        connecting: bool,
    },
    /// The head of a stream came, but no content in time.
    FirstTokenTimedOut,
    /// A status from 300 on.
    Status {
        /// The status.
        status: u16,
        /// What the body says.
        error: Option<ErrorCode>,
    },
    /// A success whose first event, or whose body, is an error.
    StreamError(ErrorCode),
    /// An answer that broke off behind its head.
    StreamCut,
    /// An answer in which nothing came for too long.
    StreamStalled,
    /// A success that ended without content.
    Empty,
    /// Not an HTTP head.
    BadHead,
    /// A success whose body is not what the dialect says.
    BadBody,
}

/// How far the request came.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Sent {
    /// The provider cannot have seen it.
    NotSent,
    /// The provider has answered something.
    Answered,
    /// It was sent and nothing came back: the provider may be working on it.
    Silent,
}

/// What of the provider's could be passed on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Answer {
    /// Nothing.
    None,
    /// A status and its body, where the client has no head yet.
    Status,
    /// The body of a success.
    Success,
}

/// Which error of our own ends a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum GiveUp {
    /// 502: no connection.
    Unreachable,
    /// 504: too slow.
    TimedOut,
    /// 502: not an answer.
    BadResponse,
    /// The answer broke off.
    Incomplete,
    /// The provider refused with this status, and the client has its head already.
    Refused(u16),
}

impl GiveUp {
    /// What the client is told.
    #[must_use]
    pub fn rejection(self) -> Rejection {
        match self {
            Self::Unreachable => Rejection::provider_unreachable(),
            Self::TimedOut => Rejection::provider_timeout(),
            Self::BadResponse => Rejection::provider_bad_response(),
            Self::Incomplete => Rejection::stream_incomplete(),
            Self::Refused(status) => {
                // The key that a 401 or 403 refuses is ours, not the client's.
                let told = if matches!(status, 401 | 403) { 502 } else { status };
                let message =
                    format!("The provider answered with status {status}. Try again later.");
                Rejection::new(told, "provider_error", message)
            }
        }
    }
}

/// A failed attempt, classified.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Failure {
    /// Everything it is.
    pub classes: Classes,
    /// The class that tells the most; `None` is a request that is at fault itself.
    pub main: Option<Class>,
    /// The HTTP status, where that was the failure.
    pub status: Option<u16>,
    /// How far the request came.
    pub sent: Sent,
    /// It ended because a timer fired.
    pub timed_out: bool,
    /// What could be passed on.
    pub answer: Answer,
    /// The error if nothing is passed on.
    pub give_up: GiveUp,
}

/// Failures that may be over a moment later.
const TRANSIENT: Classes = Classes::of(&[
    Class::ConnectError,
    Class::Upstream5xx,
    Class::RateLimited,
    Class::Overloaded,
    Class::StreamError,
    Class::EmptyResponse,
    Class::BadResponse,
]);

/// Failures that another request might not have met.
const OF_THE_REQUEST: Classes =
    Classes::of(&[Class::ContentFilter, Class::ContextLength, Class::NotFound]);

/// Failures that say something about the key.
const OF_THE_KEY: Classes =
    Classes::of(&[Class::AuthError, Class::RateLimited, Class::QuotaExhausted]);

impl Failure {
    /// What the event amounts to.
    #[must_use]
    pub fn classify(event: &Event) -> Self {
        match event {
            Event::ConnectFailed => {
                Self::silent(&[Class::ConnectError], Sent::NotSent, GiveUp::Unreachable)
            }
            Event::Closed => {
                Self::silent(&[Class::ConnectError], Sent::Silent, GiveUp::Unreachable)
            }
            // Nothing was sent, so both words mean it.
            Event::TimedOut { connecting: true } => Self::silent(
                &[Class::TransportTimeout, Class::ConnectError],
                Sent::NotSent,
                GiveUp::TimedOut,
            ),
            Event::TimedOut { connecting: false } => {
                Self::silent(&[Class::TransportTimeout], Sent::Silent, GiveUp::TimedOut)
            }
            Event::FirstTokenTimedOut => {
                Self::silent(&[Class::FirstTokenTimeout], Sent::Silent, GiveUp::TimedOut)
            }
            Event::Status { status, error } => Self::refused(*status, error.as_ref()),
            Event::StreamError(error) => Self::refused_in_stream(error),
            Event::StreamCut => {
                Self::broken(&[Class::StreamError], Answer::None, GiveUp::Incomplete)
            }
            Event::StreamStalled => Self {
                main: Some(Class::StreamError),
                timed_out: true,
                ..Self::broken(
                    &[Class::StreamError, Class::TransportTimeout],
                    Answer::None,
                    GiveUp::TimedOut,
                )
            },
            Event::Empty => {
                Self::broken(&[Class::EmptyResponse], Answer::Success, GiveUp::BadResponse)
            }
            Event::BadHead => {
                Self::broken(&[Class::BadResponse], Answer::None, GiveUp::BadResponse)
            }
            Event::BadBody => {
                Self::broken(&[Class::BadResponse], Answer::Success, GiveUp::BadResponse)
            }
        }
    }

    /// The word for variables, headers, logs and labels.
    #[must_use]
    pub fn label(&self) -> &'static str {
        self.main.map_or("semantic_error", Class::name)
    }

    /// What the chain tells of it: the status where there is one, else the class.
    #[must_use]
    pub fn told(&self) -> Told {
        match (self.status, self.main) {
            (Some(status), _) => Told::Status(status),
            (None, Some(class)) => Told::Class(class),
            (None, None) => Told::SemanticError,
        }
    }

    /// Whether the same target may do better a moment later. A target that let a timer run out is
    /// not asked again, and an account without credit stays without.
    #[must_use]
    pub fn is_transient(&self) -> bool {
        self.classes.intersects(TRANSIENT)
            && !self.timed_out
            && self.sent != Sent::Silent
            && !self.classes.contains(Class::QuotaExhausted)
    }

    /// Whether another key of the same provider may do better.
    #[must_use]
    pub fn is_of_the_key(&self) -> bool {
        self.classes.intersects(OF_THE_KEY)
    }

    /// How long the provider asks to be left alone, in milliseconds. Every answer of some providers
    /// tells when its limits reset; that counts only where such a limit was the failure.
    pub fn retry_after_ms<'a>(
        &self,
        headers: impl Fn(&str) -> Option<&'a str>,
        unix_now_ms: u64,
    ) -> Option<u64> {
        if self.main == Some(Class::RateLimited) {
            after::retry_after_ms(headers, unix_now_ms)
        } else {
            after::asked_ms(&headers, unix_now_ms)
        }
    }

    /// Nothing came back.
    fn silent(classes: &[Class], sent: Sent, give_up: GiveUp) -> Self {
        let timed_out = give_up == GiveUp::TimedOut;
        Self::new(Classes::of(classes), sent, Answer::None, give_up).timed_out(timed_out)
    }

    /// Something came back that is no answer.
    fn broken(classes: &[Class], answer: Answer, give_up: GiveUp) -> Self {
        Self::new(Classes::of(classes), Sent::Answered, answer, give_up)
    }

    fn refused(status: u16, error: Option<&ErrorCode>) -> Self {
        let said = error.map_or(Said::Nothing, Said::read);
        let classes = classes_of_status(status, said);
        let failure = Self::new(classes, Sent::Answered, Answer::Status, GiveUp::Refused(status));
        Self { status: Some(status), ..failure }
    }

    fn refused_in_stream(error: &ErrorCode) -> Self {
        let said = Said::read(error);
        let status = said_status(error).or(said.status());
        let by_words = status.map(|status| classes_of_status(status, said));
        let classes = match by_words {
            // What the request itself is to blame for stays that, wherever it is told.
            Some(classes) if classes.is_empty() || classes.intersects(OF_THE_REQUEST) => classes,
            _ => Classes::of(&[Class::StreamError]).with(by_words.unwrap_or_default()),
        };
        let give_up = GiveUp::Refused(status.unwrap_or(502));
        Self::new(classes, Sent::Answered, Answer::Success, give_up)
    }

    fn new(classes: Classes, sent: Sent, answer: Answer, give_up: GiveUp) -> Self {
        let main = classes.iter().next();
        Self { classes, main, status: None, sent, timed_out: false, answer, give_up }
    }

    fn timed_out(self, timed_out: bool) -> Self {
        Self { timed_out, ..self }
    }
}

/// What a status and the words beside it amount to.
fn classes_of_status(status: u16, said: Said) -> Classes {
    // A refusal of the content stays one, whatever status it hides behind.
    if said == Said::Filter {
        return Classes::of(&[Class::ContentFilter]);
    }
    let by_status: &[Class] = match status {
        401 | 403 => &[Class::AuthError],
        402 => &[Class::QuotaExhausted],
        404 => &[Class::NotFound],
        408 => &[Class::TransportTimeout],
        429 => &[Class::RateLimited],
        529 => &[Class::Overloaded, Class::Upstream5xx],
        500..=599 => &[Class::Upstream5xx],
        _ => &[],
    };
    let by_words: &[Class] = match (said, status) {
        (Said::Context, 400 | 413 | 422) => &[Class::ContextLength],
        (Said::Quota, 400..) => &[Class::QuotaExhausted],
        (Said::Overloaded, 400..) => &[Class::Overloaded],
        (Said::RateLimit, 400..=499) => &[Class::RateLimited],
        (Said::NotFound, 400..=499) => &[Class::NotFound],
        (Said::Auth, 400..=499) => &[Class::AuthError],
        _ => &[],
    };
    Classes::of(by_status).with(Classes::of(by_words))
}

/// What the words of an error mean, in either dialect. The later, the more they tell.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Said {
    Nothing,
    Invalid,
    Server,
    Auth,
    NotFound,
    RateLimit,
    Overloaded,
    Quota,
    Context,
    Filter,
}

/// Codes and types, in lower case.
const WORDS: &[(&str, Said)] = &[
    ("invalid_request_error", Said::Invalid),
    ("request_too_large", Said::Invalid),
    ("server_error", Said::Server),
    ("internal_server_error", Said::Server),
    ("internal_error", Said::Server),
    ("api_error", Said::Server),
    ("timeout_error", Said::Server),
    ("authentication_error", Said::Auth),
    ("permission_error", Said::Auth),
    ("permission_denied", Said::Auth),
    ("invalid_api_key", Said::Auth),
    ("account_deactivated", Said::Auth),
    ("unauthenticated", Said::Auth),
    ("not_found_error", Said::NotFound),
    ("not_found", Said::NotFound),
    ("model_not_found", Said::NotFound),
    ("deploymentnotfound", Said::NotFound),
    ("rate_limit_error", Said::RateLimit),
    ("rate_limit_exceeded", Said::RateLimit),
    ("rate_limit_reached_error", Said::RateLimit),
    ("too_many_requests", Said::RateLimit),
    ("resource_exhausted", Said::RateLimit),
    ("overloaded_error", Said::Overloaded),
    ("overloaded", Said::Overloaded),
    ("engine_overloaded", Said::Overloaded),
    ("engine_overloaded_error", Said::Overloaded),
    ("server_overloaded", Said::Overloaded),
    ("insufficient_quota", Said::Quota),
    ("billing_error", Said::Quota),
    ("billing_hard_limit_reached", Said::Quota),
    ("billing_not_active", Said::Quota),
    ("exceeded_current_quota_error", Said::Quota),
    ("insufficient_balance", Said::Quota),
    ("insufficient_credits", Said::Quota),
    ("quota_exceeded", Said::Quota),
    ("context_length_exceeded", Said::Context),
    ("context_window_exceeded", Said::Context),
    ("exceed_context_size_error", Said::Context),
    ("string_above_max_length", Said::Context),
    ("content_policy_violation", Said::Filter),
    ("content_filter", Said::Filter),
    ("content_policy", Said::Filter),
    ("responsibleaipolicyviolation", Said::Filter),
    ("moderation_blocked", Said::Filter),
    ("data_inspection_failed", Said::Filter),
];

/// Parts of messages, in lower case, of providers that have no code for it.
const PHRASES: &[(&str, Said)] = &[
    ("prompt is too long", Said::Context),
    ("maximum context length", Said::Context),
    ("context window", Said::Context),
    ("exceeds the maximum number of tokens allowed", Said::Context),
    ("credit balance is too low", Said::Quota),
    ("content exists risk", Said::Filter),
    ("content filtering policy", Said::Filter),
];

impl Said {
    fn read(error: &ErrorCode) -> Self {
        let word = |text: &str| {
            WORDS.iter().find(|(word, _)| word.eq_ignore_ascii_case(text)).map(|(_, said)| *said)
        };
        let by_word = word(&error.code).max(word(&error.kind)).unwrap_or(Self::Nothing);
        if by_word > Self::Invalid {
            return by_word;
        }
        let message = error.message.to_ascii_lowercase();
        let by_phrase = PHRASES.iter().find(|(phrase, _)| message.contains(phrase));
        by_phrase.map_or(by_word, |(_, said)| *said)
    }

    /// The status that these words would have come with.
    const fn status(self) -> Option<u16> {
        Some(match self {
            Self::Nothing => return None,
            Self::Invalid | Self::Context | Self::Filter => 400,
            Self::Server => 500,
            Self::Auth => 401,
            Self::NotFound => 404,
            Self::RateLimit | Self::Quota => 429,
            Self::Overloaded => 529,
        })
    }
}

/// A status that stands in the place of a code, as some gateways write it.
fn said_status(error: &ErrorCode) -> Option<u16> {
    let status = |text: &str| text.parse().ok().filter(|status| (400..600).contains(status));
    status(&error.code).or_else(|| status(&error.kind))
}

#[cfg(test)]
mod tests;
