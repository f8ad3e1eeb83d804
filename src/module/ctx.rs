//! What is known of one request: one field per stage, filled in the order of the stages. Only
//! cells, because nginx re-enters the module while it runs (a variable is read inside an attempt).

use std::cell::{Cell, RefCell};
use std::rc::Rc;

use llm_core::dialect::{Dialect, Endpoint};
use llm_core::error::Rejection;
use llm_core::request::Facts;
use llm_core::route::{Outcome, Provider};

use crate::attempt::Attempt;
use crate::conf::Compiled;
use crate::ffi::buf::Output;
use crate::ffi::hooks::Hooks;
use crate::ffi::pool::PoolBytes;
use crate::ffi::timer::Timer;
use crate::filter::Answer;

/// How far the request has come in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Intake {
    /// The body is on its way.
    Reading,
    /// The request may go to its provider.
    Ready,
    /// It is refused, for the reason in `rejection`.
    Refused,
}

/// One request's context, in its pool.
pub struct RequestCtx {
    /// The id in header, logs and rows.
    pub event_id: String,
    /// How far the request has come in.
    pub intake: Cell<Intake>,
    /// What the client speaks.
    pub dialect: Cell<Dialect>,
    /// How that was found out.
    pub dialect_source: Cell<DialectSource>,
    /// What the path asks for.
    pub endpoint: Cell<Endpoint>,
    /// What the body says.
    pub asked: RefCell<Option<Rc<Asked>>>,
    /// Where the request goes.
    pub routed: RefCell<Option<Rc<Routed>>>,
    /// How the client's wish ended.
    pub outcome: Cell<Option<Outcome>>,
    /// Why the request failed, as the client is told.
    pub rejection: RefCell<Option<Rejection>>,
    /// The try at a provider.
    pub attempt: Attempt,
    /// What nginx's functions were before ours.
    pub hooks: Hooks,
    /// The answer on its way to the client.
    pub answer: RefCell<Answer>,
    /// Milliseconds until the first content, once it has come.
    pub ttft_ms: Cell<Option<u64>>,
    /// Buffers of the answer.
    pub output: Output,
    /// Bytes of ours are on their way through the filters.
    pub passing: Cell<bool>,
    /// The client is gone, and the answer is read for its usage only.
    pub client_gone: Cell<bool>,
    /// A head and heartbeats went out before any provider was accepted.
    pub begun: Cell<bool>,
    /// `llm_proxy_total_timeout`
    pub total: Timer,
    /// `llm_proxy_heartbeat`
    pub heartbeat: Timer,
    /// The time of `llm_proxy_client_abort finish`.
    pub finish: Timer,
}

/// Where the client's dialect was read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DialectSource {
    /// `llm_proxy_ingress_dialect`
    FixedIngress,
    /// The body's `dialect` field.
    Explicit,
    /// The path or, on shared paths, the `anthropic-version` header.
    Path,
    /// What the body looks like.
    InferredShape,
}

impl DialectSource {
    /// The word in `$llm_requested_dialect_source`.
    pub const fn name(self) -> &'static str {
        match self {
            Self::FixedIngress => "fixed_ingress",
            Self::Explicit => "explicit",
            Self::Path => "path",
            Self::InferredShape => "inferred_shape",
        }
    }
}

/// The client's request.
pub struct Asked {
    /// Its body, as the client sent it.
    pub body: PoolBytes,
    /// What the body says; none for a body that is passed on unread.
    pub facts: Option<Facts<'static>>,
}

/// Where the request goes.
pub struct Routed {
    /// The location's routes.
    pub compiled: Rc<Compiled>,
    /// Index of the provider.
    pub provider: usize,
    /// The model that is sent.
    pub model: Option<String>,
    /// The provider that the client named.
    pub requested_provider: Option<String>,
    /// Whether the answer's usage chunk is ours to strip.
    pub strip_usage: bool,
}

impl Routed {
    /// The provider.
    pub fn provider(&self) -> Option<&Provider> {
        self.compiled.routes.provider(self.provider)
    }
}

impl RequestCtx {
    /// A context before anything is known but the path.
    pub fn new(endpoint: Endpoint, dialect: Dialect) -> Self {
        Self {
            event_id: crate::identity::new_event_id(),
            intake: Cell::new(Intake::Reading),
            dialect: Cell::new(dialect),
            dialect_source: Cell::new(DialectSource::Path),
            endpoint: Cell::new(endpoint),
            asked: RefCell::default(),
            routed: RefCell::default(),
            outcome: Cell::new(None),
            rejection: RefCell::default(),
            attempt: Attempt::default(),
            hooks: Hooks::default(),
            answer: RefCell::default(),
            ttft_ms: Cell::new(None),
            output: Output::default(),
            passing: Cell::new(false),
            client_gone: Cell::new(false),
            begun: Cell::new(false),
            total: Timer::default(),
            heartbeat: Timer::default(),
            finish: Timer::default(),
        }
    }

    /// Notes the client's request.
    pub fn keep_asked(&self, asked: Asked) -> Rc<Asked> {
        let asked = Rc::new(asked);
        self.asked.replace(Some(asked.clone()));
        asked
    }

    /// Whether the request has a provider.
    pub fn is_routed(&self) -> bool {
        self.routed.borrow().is_some()
    }

    /// Where the request goes.
    pub fn routed(&self) -> Option<Rc<Routed>> {
        self.routed.borrow().clone()
    }

    /// Whether the answer's body passes through `filter`.
    pub fn filters_body(&self) -> bool {
        !self.passing.get() && !matches!(*self.answer.borrow(), Answer::Untouched)
    }

    /// Whether the client asked for a stream.
    pub fn is_streaming(&self) -> bool {
        let asked = self.asked.borrow();
        asked.as_ref().and_then(|asked| asked.facts.as_ref()).is_some_and(|facts| facts.stream)
    }

    /// The model that the client named.
    pub fn requested_model(&self) -> Option<String> {
        let asked = self.asked.borrow();
        let facts = asked.as_ref()?.facts.as_ref()?;
        Some(facts.model.as_ref()?.text.clone().into_owned())
    }
}
