//! What is known of one request: one field per stage, filled in the order of the stages. Only
//! cells, because nginx re-enters the module while it runs (a variable is read inside an attempt).

use std::cell::{Cell, OnceCell, RefCell};
use std::rc::Rc;
use std::time::Instant;

use llm_core::cost::{Bill, Rates};
use llm_core::dialect::{Dialect, Endpoint};
use llm_core::error::Rejection;
use llm_core::request::Facts;
use llm_core::route::{Outcome, Provider};
use llm_core::scrub::Scrubber;

use llm_core::fallback::{Overrides, Policy, Target};

use crate::attempt::Attempt;
use crate::auth::{KeyState, Keys, Owner};
use crate::client::Known;
use crate::conf::Compiled;
use crate::ffi::Request;
use crate::ffi::buf::Output;
use crate::ffi::hooks::Hooks;
use crate::ffi::pool::PoolBytes;
use crate::ffi::timer::Timer;
use crate::filter::Answer;
use crate::ratelimit::Taken;

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
    /// The id's random part.
    seed: OnceCell<u64>,
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
    /// The path that the client asked for, before any provider's base.
    pub path: Cell<PoolBytes>,
    /// The same with arguments, as the client wrote it; none after a `rewrite`.
    pub unparsed_uri: Cell<Option<PoolBytes>>,
    /// The keys for its providers, once they were asked for.
    keys: OnceCell<Option<Keys>>,
    /// For whom the request is, once it was asked.
    owner: OnceCell<Owner>,
    /// The key of the current attempt.
    pub key: RefCell<KeyState>,
    /// Milliseconds of the request at which `llm_proxy_total_timeout` is over.
    pub deadline_ms: Cell<Option<u64>>,
    /// Milliseconds of the request behind which no further attempt begins.
    pub retry_until_ms: Cell<Option<u64>>,
    /// What was found out of the client, where it was asked for a key.
    pub client: RefCell<Option<Rc<Known>>>,
    /// The client's tag.
    pub tag: RefCell<Option<String>>,
    /// Why the request failed, as the client is told.
    pub rejection: RefCell<Option<Rejection>>,
    /// The tries at providers.
    pub attempt: Attempt,
    /// What nginx's functions were before ours.
    pub hooks: Hooks,
    /// The answer on its way to the client.
    pub answer: RefCell<Answer>,
    /// What hides our secrets in it.
    pub scrubber: RefCell<Option<Scrubber>>,
    /// Milliseconds until the first content, once it has come.
    pub ttft_ms: Cell<Option<u64>>,
    /// When the body was there.
    pub body_read_at: Cell<Option<Instant>>,
    /// From then to the first attempt, in microseconds.
    pub overhead_us: Cell<Option<u64>>,
    /// The answer's last part has gone through our filter.
    pub last_passed: Cell<bool>,
    /// What it is billed, once it is over; apart, because numbers of 128 bits need more alignment than
    /// a pool gives.
    pub bill: OnceCell<Option<Box<Bill>>>,
    /// What it cost is kept, and what it took is settled.
    pub recorded: Cell<bool>,
    /// Its event found no room in the journal.
    pub lost: Cell<bool>,
    /// It counts as a stream under way.
    pub stream_counted: Cell<bool>,
    /// What the request has taken of limits and budgets.
    pub limits: Taken,
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
    /// The location's routes and rules.
    pub compiled: Rc<Compiled>,
    /// The first target and those that may follow it.
    pub targets: Vec<Target>,
    /// Index of the target of the current attempt.
    pub current: Cell<usize>,
    /// How failures are answered.
    pub policy: Policy,
    /// What the client wished.
    pub overrides: Overrides,
    /// The provider that the client named, or that a rule has replaced.
    pub requested_provider: Option<String>,
    /// The model that the client named.
    pub requested_model: Option<String>,
    /// A rule has replaced the provider before the first attempt.
    pub replaced: bool,
    /// The client has not asked for the usage that we ask for.
    pub strip_usage: bool,
    /// What the rate card says of the target with that index.
    pub rates: Cell<Option<(usize, Option<Rates>)>>,
}

impl Routed {
    /// The target of the current attempt.
    pub fn target(&self) -> Option<&Target> {
        self.targets.get(self.current.get())
    }

    /// Its provider.
    pub fn provider(&self) -> Option<&Provider> {
        self.compiled.routes.provider(self.target()?.provider)
    }

    /// The model it is sent.
    pub fn model(&self) -> Option<&str> {
        self.target()?.model.as_deref()
    }

    /// The provider of the first target.
    pub fn primary(&self) -> Option<&Provider> {
        self.compiled.routes.provider(self.targets.first()?.provider)
    }
}

impl RequestCtx {
    /// A context before anything is known but the path.
    pub fn new(endpoint: Endpoint, dialect: Dialect) -> Self {
        Self {
            event_id: crate::identity::new_event_id(),
            seed: OnceCell::new(),
            intake: Cell::new(Intake::Reading),
            dialect: Cell::new(dialect),
            dialect_source: Cell::new(DialectSource::Path),
            endpoint: Cell::new(endpoint),
            asked: RefCell::default(),
            routed: RefCell::default(),
            outcome: Cell::new(None),
            path: Cell::new(PoolBytes::EMPTY),
            unparsed_uri: Cell::new(None),
            keys: OnceCell::new(),
            owner: OnceCell::new(),
            key: RefCell::default(),
            deadline_ms: Cell::new(None),
            retry_until_ms: Cell::new(None),
            client: RefCell::default(),
            tag: RefCell::default(),
            rejection: RefCell::default(),
            attempt: Attempt::default(),
            hooks: Hooks::default(),
            answer: RefCell::default(),
            scrubber: RefCell::default(),
            ttft_ms: Cell::new(None),
            body_read_at: Cell::new(None),
            overhead_us: Cell::new(None),
            last_passed: Cell::new(false),
            bill: OnceCell::new(),
            recorded: Cell::new(false),
            lost: Cell::new(false),
            stream_counted: Cell::new(false),
            limits: Taken::default(),
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

    /// The client's request.
    pub fn asked(&self) -> Option<Rc<Asked>> {
        self.asked.borrow().clone()
    }

    /// Asks what the body says; none for a body that was not read.
    pub fn facts<R>(&self, ask: impl FnOnce(&Facts<'static>) -> R) -> Option<R> {
        self.asked()?.facts.as_ref().map(ask)
    }

    /// Whether the client asked for a stream.
    pub fn is_streaming(&self) -> bool {
        self.facts(|facts| facts.stream).unwrap_or(false)
    }

    /// The model that the client named.
    pub fn requested_model(&self) -> Option<String> {
        self.facts(|facts| Some(facts.model.as_ref()?.text.clone().into_owned()))?
    }

    /// How the client's wish ended, as it stands now.
    pub fn outcome_now(&self) -> Option<Outcome> {
        let moved = self.attempt.reason.get().is_some();
        if moved { Some(Outcome::FallbackAfterFailure) } else { self.outcome.get() }
    }

    /// Its name.
    pub fn resolution_outcome(&self) -> Option<&'static str> {
        Some(self.outcome_now()?.name())
    }

    /// The keys for the request's providers: those of the location that it came to first.
    pub fn keys(&self, r: Request<'_>) -> Option<&Keys> {
        self.keys.get_or_init(|| r.loc_conf().keyring.as_ref().map(Keys::of)).as_ref()
    }

    /// The same, if they were asked for.
    pub fn known_keys(&self) -> Option<&Keys> {
        self.keys.get()?.as_ref()
    }

    /// For whom the request is.
    pub fn owner(&self, r: Request<'_>) -> &Owner {
        self.owner
            .get_or_init(|| self.keys(r).map(|keys| keys.keyring.owner(r)).unwrap_or_default())
    }

    /// A number that differs from request to request.
    pub fn random(&self) -> u64 {
        // The first digits are the time.
        let digits = self.event_id.get(16..).unwrap_or_default();
        let seed = *self.seed.get_or_init(|| u64::from_str_radix(digits, 16).unwrap_or(0));
        seed.rotate_left(self.attempt.made.get().wrapping_mul(13))
    }

    /// Milliseconds until the request's time is over.
    pub fn remaining_ms(&self, r: Request<'_>) -> Option<u64> {
        self.deadline_ms.get().map(|deadline_ms| deadline_ms.saturating_sub(r.elapsed_ms()))
    }

    /// Whether the operator's own answer takes the place of a failure: of one that `llm_fallback_on`
    /// lists, after which nothing more is tried.
    pub fn replaces_answer(&self, r: Request<'_>) -> bool {
        self.attempt.policy_allowed.get() && self.static_answer(r).is_some()
    }

    /// The operator's own answer; a client that waits for a stream cannot read it.
    pub fn static_answer<'r>(&self, r: Request<'r>) -> Option<&'r [u8]> {
        let rules = r.loc_conf().rules().filter(|rules| rules.policy.enabled)?;
        rules.static_answer.as_deref().filter(|_| !self.is_streaming())
    }
}
