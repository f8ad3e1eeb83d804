//! Which series does a finished request add to, and how much? One list of additions for each request,
//! made before the lock is taken.

use crate::cost::{Pico, UsageSource};
use crate::fallback::{FailureClass, SkipReason, Suppressed};
use crate::route::Outcome;
use crate::usage::Usage;

use super::layout::Layout;
use super::named::Named;
use super::table::LABELS;
use super::word::Word;
use super::{Metric, Type};

/// Whose fault a failure is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ErrorSource {
    /// A provider's: its status, its silence, its broken stream.
    Provider,
    /// Ours: no key, no memory, a limit.
    Gateway,
    /// The client's own request.
    Client,
}

impl ErrorSource {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Provider, Self::Gateway, Self::Client];

    /// The label's value.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Provider => "provider",
            Self::Gateway => "gateway",
            Self::Client => "client",
        }
    }
}

/// How an attempt ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AttemptEnd {
    /// Well.
    Ok,
    /// With a refusal of the request that no other target would take back.
    SemanticError,
    /// The client went away before it ended.
    ClientClosed,
    /// Badly.
    Failed(FailureClass),
}

impl AttemptEnd {
    /// The label's value.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Ok => "ok",
            Self::SemanticError => "semantic_error",
            Self::ClientClosed => "client_closed",
            Self::Failed(class) => class.name(),
        }
    }

    const fn word(self) -> Word {
        match self {
            Self::Ok => const { Word::fixed(Self::Ok.name()) },
            _ => Word::fixed(self.name()),
        }
    }

    /// Whether it speaks against the provider.
    #[must_use]
    pub const fn is_failure(self) -> bool {
        matches!(self, Self::Failed(_))
    }
}

/// One attempt.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Tried<'a> {
    /// The provider.
    pub provider: Named<'a>,
    /// The model that was asked for there.
    pub model: Option<&'a str>,
    /// How it ended.
    pub end: AttemptEnd,
    /// How long it took, in milliseconds.
    pub duration_ms: u64,
    /// The time from its start to the first content, in milliseconds.
    pub ttft_ms: Option<u64>,
}

/// The first target, where it was not tried.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PassedOver<'a> {
    /// The provider.
    pub provider: Named<'a>,
    /// The model that would have been asked for there.
    pub model: Option<&'a str>,
    /// Why.
    pub reason: SkipReason,
}

/// A request that went from one target to another. A retry, or another key of the same target, is none.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Move<'a> {
    pub from: Named<'a>,
    pub to: Named<'a>,
    /// The label's value.
    pub reason: &'static str,
}

/// What the limits decided.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Decision {
    /// The request may go.
    Allow,
    /// It may not.
    Deny,
    /// It might not, were it not for the dry run.
    WouldDeny,
}

impl Decision {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Allow, Self::Deny, Self::WouldDeny];

    /// The label's value.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Allow => "allow",
            Self::Deny => "deny",
            Self::WouldDeny => "would_deny",
        }
    }

    pub(crate) const fn word(self) -> Word {
        match self {
            Self::Allow => const { Word::fixed(Self::Allow.name()) },
            Self::Deny => const { Word::fixed(Self::Deny.name()) },
            Self::WouldDeny => const { Word::fixed(Self::WouldDeny.name()) },
        }
    }
}

/// What became of a cost event.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum EventResult {
    /// The database has it.
    Written,
    /// There was no room for it in the journal.
    Dropped,
    /// The database refused it for good.
    DeadLetter,
}

impl EventResult {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Written, Self::Dropped, Self::DeadLetter];

    /// The label's value.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Written => "written",
            Self::Dropped => "dropped",
            Self::DeadLetter => "dead_letter",
        }
    }
}

/// All that metrics and status want to know of a request that is over.
#[derive(Debug, Clone, Copy, Default)]
pub struct Finished<'a> {
    /// The provider of the last attempt; none if the request was refused before.
    pub provider: Option<Named<'a>>,
    /// The model that was asked for there. None, too, where `llm_metrics_label_model` is off.
    pub model: Option<&'a str>,
    /// The tenant; none where `llm_metrics_label_tenant` is off.
    pub tenant: Option<&'a str>,
    /// Whether the client asked for a stream.
    pub streaming: bool,
    /// The status that the client got.
    pub code: u16,
    /// Whose fault it is that it failed, if it did.
    pub error: Option<ErrorSource>,
    /// The first target, if it was passed over.
    pub passed_over: Option<PassedOver<'a>>,
    /// The attempts, in order.
    pub attempts: &'a [Tried<'a>],
    /// Why a listed failure was not answered by another attempt.
    pub suppressed: Option<Suppressed>,
    /// From arrival to end, in microseconds.
    pub duration_us: u64,
    /// From arrival to the first content, in microseconds.
    pub ttft_us: Option<u64>,
    /// What the gateway itself took, in microseconds.
    pub overhead_us: Option<u64>,
    /// The tokens, if they are known.
    pub usage: Option<Usage>,
    /// How they are known; none if there was nothing to count.
    pub usage_source: Option<UsageSource>,
    /// The cost and its unit.
    pub cost: Option<(Pico, Named<'a>)>,
    /// What each limit decided, and its reason, which is empty for an admission.
    pub decisions: &'a [(Decision, &'a str)],
    /// The client went away.
    pub client_aborted: bool,
    /// The provider's stream ended without its terminal marker.
    pub truncated: bool,
    /// The body was passed on without being understood.
    pub unparsed: bool,
    /// It was translated into another dialect.
    pub translated: bool,
    /// What became of the client's wish.
    pub outcome: Option<Outcome>,
    /// `$llm_auth_status`
    pub auth_status: Option<&'a str>,
}

impl<'a> Finished<'a> {
    /// From which target to which it went, in order. Who is benched is left without an attempt: a move
    /// that did not count would hide that all requests go elsewhere.
    pub(crate) fn moves(&self) -> impl Iterator<Item = Move<'a>> {
        let mut before =
            self.passed_over.map(|first| (first.provider, first.model, first.reason.name()));
        // A single target is none to move to.
        let attempts = match self.attempts {
            [_] if before.is_none() => &[],
            attempts => attempts,
        };
        attempts.iter().filter_map(move |tried| {
            let reached = (tried.provider, tried.model, tried.end.name());
            let (from, model, reason) = before.replace(reached)?;
            let has_moved = (from, model) != (tried.provider, tried.model);
            has_moved.then_some(Move { from, to: tried.provider, reason })
        })
    }
}

/// What an addition does to its series.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Change {
    Count(u64),
    Observe { bucket: u8, us: u64 },
    Pico(u128),
}

/// One addition.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Add {
    pub key: u64,
    pub family: u32,
    pub labels: [u64; LABELS],
    pub change: Change,
}

/// The additions of one request; a worker keeps one list and uses it again.
#[derive(Debug, Default)]
pub struct Adds(Vec<Add>);

impl Adds {
    /// Cost events met their end.
    pub fn cost_events(&mut self, result: EventResult, events: u64) {
        self.count(Metric::CostEvents, [Word::fixed(result.name())], events);
    }

    /// Forgets what is in it.
    pub fn clear(&mut self) {
        self.0.clear();
    }

    pub(super) fn list(&self) -> &[Add] {
        &self.0
    }

    #[cfg(test)]
    pub(super) fn push_for_tests(&mut self, add: Add) {
        self.0.push(add);
    }

    fn push<const N: usize>(&mut self, metric: Metric, words: [Word; N], change: Change) {
        let mut labels = [0; LABELS];
        for (label, word) in labels.iter_mut().zip(words) {
            *label = word.0;
        }
        self.0.push(Add::new(metric, labels, change));
    }

    fn count<const N: usize>(&mut self, metric: Metric, words: [Word; N], by: u64) {
        // A series begins with what it first counts: nothing makes no line of 0.
        if by > 0 {
            self.push(metric, words, Change::Count(by));
        }
    }

    fn observe<const N: usize>(&mut self, metric: Metric, words: [Word; N], us: u64) {
        let Some(Type::Histogram(bounds)) = metric.family().map(|family| family.kind) else {
            return;
        };
        let bucket = u8::try_from(bounds.bucket(us)).unwrap_or(0);
        self.push(metric, words, Change::Observe { bucket, us });
    }
}

impl Layout {
    /// What a request that is over adds; `adds` is emptied first.
    pub fn adds(&self, adds: &mut Adds, finished: &Finished<'_>) {
        adds.clear();
        let provider = finished.provider.map_or(Word::OTHER, Named::word);
        let model = self.model(finished.model);
        let tenant = self.tenant(finished.tenant);
        let code = Layout::code(finished.streaming, finished.code);
        adds.count(Metric::Requests, [provider, model, tenant, code], 1);
        if let Some(source) = finished.error {
            let source = Word::fixed(source.name());
            adds.count(Metric::RequestErrors, [provider, model, tenant, source], 1);
        }
        self.add_attempts(adds, finished);
        if let Some(reason) = finished.suppressed {
            adds.count(Metric::FallbacksSuppressed, [Word::fixed(reason.name())], 1);
        }
        for (decision, reason) in finished.decisions {
            let words = [decision.word(), self.reason(reason)];
            adds.count(Metric::RatelimitDecisions, words, 1);
        }
        add_times(adds, finished, [provider, model]);
        self.add_usage(adds, finished, [provider, model, tenant]);
        self.add_events(adds, finished, [provider, model]);
    }

    fn add_attempts(&self, adds: &mut Adds, finished: &Finished<'_>) {
        for tried in finished.attempts {
            // Where the label is off, so is the model.
            let words = [tried.provider.word(), self.model(tried.model), tried.end.word()];
            adds.count(Metric::Attempts, words, 1);
        }
        for Move { from, to, reason } in finished.moves() {
            let words = [from.word(), to.word(), Word::fixed(reason)];
            adds.count(Metric::Fallbacks, words, 1);
        }
    }

    fn add_usage(&self, adds: &mut Adds, finished: &Finished<'_>, of: [Word; 3]) {
        let [provider, model, tenant] = of;
        if let Some(source) = finished.usage_source {
            adds.count(Metric::Usage, [word_of(source)], 1);
            if source == UsageSource::None && finished.error.is_none() {
                adds.count(Metric::UsageMissing, [provider], 1);
            }
        }
        if let Some(usage) = &finished.usage {
            let buckets = usage.buckets();
            let written = buckets.cache_write_5m.saturating_add(buckets.cache_write_1h);
            for (kind, tokens) in [
                (const { Word::fixed("input") }, buckets.uncached_input),
                (const { Word::fixed("cache_read") }, buckets.cache_read),
                (const { Word::fixed("cache_write") }, written),
                (const { Word::fixed("output") }, buckets.output),
                (const { Word::fixed("reasoning") }, usage.reasoning_tokens().unwrap_or(0)),
            ] {
                adds.count(Metric::Tokens, [provider, model, tenant, kind], tokens);
            }
            if self.opted().usage {
                let prompt = usage.prompt_tokens().unwrap_or(0);
                adds.count(Metric::PromptTokens, [provider], prompt);
                adds.count(Metric::CompletionTokens, [provider], buckets.output);
            }
        }
        if let Some((pico, unit)) = finished.cost
            && pico > Pico::ZERO
        {
            let words = [provider, model, tenant, unit.word()];
            adds.push(Metric::CostUnits, words, Change::Pico(pico.0));
        }
    }

    fn add_events(&self, adds: &mut Adds, finished: &Finished<'_>, of: [Word; 2]) {
        let [provider, model] = of;
        let replaced = finished.outcome == Some(Outcome::ReplacedByPolicy);
        for (metric, happened) in [
            (Metric::ParseFallback, finished.unparsed),
            (Metric::ErrorProvider, finished.error == Some(ErrorSource::Provider)),
            (Metric::ErrorGateway, finished.error == Some(ErrorSource::Gateway)),
            (Metric::Translation, finished.translated),
            (Metric::Replacement, replaced),
        ] {
            adds.count(metric, [provider], u64::from(happened));
        }
        adds.count(Metric::ClientAborts, [], u64::from(finished.client_aborted));
        adds.count(Metric::TruncatedStreams, [provider, model], u64::from(finished.truncated));
        if self.opted().auth_status
            && let Some(status) = finished.auth_status
        {
            adds.count(Metric::AuthStatus, [provider, self.reason(status)], 1);
        }
        if self.opted().resolution_outcome
            && let Some(outcome) = finished.outcome
        {
            let outcome = Word::fixed(outcome.name());
            adds.count(Metric::ResolutionOutcome, [provider, outcome], 1);
        }
    }
}

fn word_of(source: UsageSource) -> Word {
    match source {
        UsageSource::Reported => const { Word::fixed(UsageSource::Reported.name()) },
        _ => Word::fixed(source.name()),
    }
}

fn add_times(adds: &mut Adds, finished: &Finished<'_>, of: [Word; 2]) {
    adds.observe(Metric::RequestDuration, of, finished.duration_us);
    if let Some(us) = finished.overhead_us {
        adds.observe(Metric::Overhead, [], us);
    }
    let Some(ttft_us) = finished.ttft_us else { return };
    adds.observe(Metric::FirstToken, of, ttft_us);
    let output = finished.usage.as_ref().and_then(Usage::completion_tokens).unwrap_or(0);
    // The first token's time is its own; an answer that is no stream comes at once.
    if finished.streaming && !finished.client_aborted && output > 1 {
        let rest_us = finished.duration_us.saturating_sub(ttft_us);
        adds.observe(Metric::PerOutputToken, of, rest_us / (output - 1));
    }
}
