//! An attempt failed: what is next? The one table of the product, asked at each end of an attempt.
//!
//! Two rules stand above all: behind the first content a client saw nothing is tried again, and no
//! request makes more attempts than `llm_fallback_max_attempts`. A connection that nginx had kept open
//! and that was found dead is not an attempt.

use super::{Answer, Failure, FailureClass, GiveUp, Policy, RetryLine, Sent, SkipReason};

/// Everything that the next step depends on, apart from the policy.
#[derive(Debug, Clone, Copy)]
pub struct Situation<'a> {
    /// What happened.
    pub failure: &'a Failure,
    /// The client asked for a stream.
    pub streaming: bool,
    /// Content of an answer was sent to the client.
    pub client_saw_content: bool,
    /// The client has the head of a stream and comments in it, but nothing of an answer.
    pub began_heartbeat: bool,
    /// Attempts of this client request, the failed one included.
    pub attempts_made: u32,
    /// Retries of this target, the failed one included.
    pub retries_here: u32,
    /// The pool of this provider has a key that is not benched and was not tried.
    pub other_key_left: bool,
    /// Whether the chain goes on.
    pub next_target: NextTarget,
    /// How long the provider asks to be left alone: [`Failure::retry_after_ms`].
    pub retry_after_ms: Option<u64>,
    /// Until the total timeout; `None` where there is none.
    pub remaining_ms: Option<u64>,
    /// The connection was a reused one, and no replay was made for that reason.
    pub fresh_replay_possible: bool,
    /// The target's retry budget has room for a retry.
    pub retry_budget_left: bool,
    /// The client wants no other target.
    pub disabled_by_request: bool,
    /// Any number, for the jitter.
    pub random: u64,
}

/// What stands behind the failed target in the chain.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NextTarget {
    /// Nothing.
    None,
    /// A target that can be tried.
    Ready,
    /// Only targets that cannot be tried; the reason of the first.
    Skipped(SkipReason),
}

/// What to do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// Send the same request to the same target on a new connection. It is no new attempt.
    ReplayFresh,
    /// Try the same target with the same key again.
    RetrySame {
        /// After this pause, in milliseconds.
        after_ms: u64,
    },
    /// Try the same target with the next key of its pool.
    NextKey,
    /// Try the next target of the chain.
    NextTarget,
    /// The client gets what the provider sent.
    PassThrough,
    /// The client gets an error of ours, inside the stream if it has begun.
    GiveUp(GiveUp),
}

/// Why a failure that is listed was not answered by another attempt.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Suppressed {
    /// `llm_fallback_allow_streaming off`
    StreamingNotAllowed,
    /// The next target speaks another dialect.
    TranslationForbidden,
    /// `llm_fallback_max_attempts`
    AttemptsExhausted,
    /// The chain is at its end, or the rest of it cannot be tried.
    NoTarget,
    /// The next target's spend limit.
    Budget,
    /// `llm_proxy_total_timeout`
    Deadline,
    /// The client has content of an answer.
    AlreadyStarted,
    /// `llm_fallback_retry_budget`
    RetryBudget,
    /// The client's own wish.
    DisabledByRequest,
}

impl Suppressed {
    /// Every reason.
    pub const ALL: [Self; 9] = [
        Self::StreamingNotAllowed,
        Self::TranslationForbidden,
        Self::AttemptsExhausted,
        Self::NoTarget,
        Self::Budget,
        Self::Deadline,
        Self::AlreadyStarted,
        Self::RetryBudget,
        Self::DisabledByRequest,
    ];

    /// The word in headers, variables and labels.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::StreamingNotAllowed => "streaming_not_allowed",
            Self::TranslationForbidden => "translation_forbidden",
            Self::AttemptsExhausted => "attempts_exhausted",
            Self::NoTarget => "no_target",
            Self::Budget => "budget",
            Self::Deadline => "deadline",
            Self::AlreadyStarted => "already_started",
            Self::RetryBudget => "retry_budget",
            Self::DisabledByRequest => "disabled_by_request",
        }
    }
}

/// A verdict and its reasons.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Decision {
    /// What to do.
    pub verdict: Verdict,
    /// Why it is the end, where the policy would have gone on.
    pub suppressed: Option<Suppressed>,
    /// Whether the policy answers such a failure with another attempt.
    pub policy_allowed: bool,
}

/// What is next.
#[must_use]
pub fn decide(policy: &Policy, now: &Situation<'_>) -> Decision {
    let policy_allowed = policy.enabled && is_replayed(policy, now.failure);
    let (verdict, suppressed) = match next(policy, policy_allowed, now) {
        Ok(verdict) => (verdict, None),
        Err(reason) => (end(now), reason.filter(|_| policy_allowed)),
    };
    Decision { verdict, suppressed, policy_allowed }
}

/// The next attempt, or why there is none.
fn next(
    policy: &Policy,
    policy_allowed: bool,
    now: &Situation<'_>,
) -> Result<Verdict, Option<Suppressed>> {
    if now.client_saw_content {
        return Err(Some(Suppressed::AlreadyStarted));
    }
    let in_time = now.remaining_ms != Some(0);
    if now.fresh_replay_possible && in_time && is_stale_connection(now.failure) {
        return Ok(Verdict::ReplayFresh);
    }
    let attempts_left = now.attempts_made < policy.max_attempts;
    // Whose key is refused or used up is no question of the policy.
    if now.failure.is_of_the_key() && now.other_key_left && attempts_left && in_time {
        return Ok(Verdict::NextKey);
    }
    if !policy_allowed {
        return Err(None);
    }
    let retry = retry(policy, attempts_left, now);
    if let Some(Ok(verdict)) = retry {
        return Ok(verdict);
    }
    match step(policy, attempts_left, in_time, now) {
        Ok(()) => Ok(Verdict::NextTarget),
        // Where no target could follow, what kept the retry away is the reason.
        Err(Suppressed::NoTarget) => {
            Err(Some(retry.and_then(Result::err).unwrap_or(Suppressed::NoTarget)))
        }
        Err(reason) => Err(Some(reason)),
    }
}

/// Whether `llm_fallback_on` has such a failure replayed. A provider that has the request and is
/// silent may be working on it, so that takes a word that accepts paying twice.
fn is_replayed(policy: &Policy, failure: &Failure) -> bool {
    let paying_twice = policy.on.contains(FailureClass::TransportTimeout)
        || policy.on.contains(FailureClass::FirstTokenTimeout);
    policy.on.matches(failure) && (failure.sent != Sent::Silent || paying_twice)
}

/// A connection that was closed between two requests: the provider never took this one.
fn is_stale_connection(failure: &Failure) -> bool {
    failure.classes.contains(FailureClass::ConnectError) && !failure.timed_out
}

/// A retry of the same target, or what keeps it away; `None` where none is configured or sensible.
fn retry(
    policy: &Policy,
    attempts_left: bool,
    now: &Situation<'_>,
) -> Option<Result<Verdict, Suppressed>> {
    let retry = policy.retry.filter(|retry| now.retries_here < retry.times)?;
    if !now.failure.is_transient() {
        return None;
    }
    if !attempts_left {
        return Some(Err(Suppressed::AttemptsExhausted));
    }
    if !now.retry_budget_left {
        return Some(Err(Suppressed::RetryBudget));
    }
    let pause = pause_ms(&retry, now).map(|after_ms| Verdict::RetrySame { after_ms });
    Some(pause.ok_or(Suppressed::Deadline))
}

/// The pause before the retry, if there is time for it. Without a deadline a provider that wants more
/// than the longest pause is not waited for.
fn pause_ms(retry: &RetryLine, now: &Situation<'_>) -> Option<u64> {
    let asked_ms = now.retry_after_ms.filter(|&ms| ms > 0);
    let pause_ms = asked_ms.unwrap_or_else(|| retry.pause_ms(now.retries_here, now.random));
    let fits = match now.remaining_ms {
        Some(remaining_ms) => pause_ms < remaining_ms,
        None => pause_ms <= retry.backoff_max_ms,
    };
    fits.then_some(pause_ms)
}

/// Whether the chain may go on to its next target.
fn step(
    policy: &Policy,
    attempts_left: bool,
    in_time: bool,
    now: &Situation<'_>,
) -> Result<(), Suppressed> {
    if now.streaming && !policy.allow_streaming {
        return Err(Suppressed::StreamingNotAllowed);
    }
    if now.disabled_by_request {
        return Err(Suppressed::DisabledByRequest);
    }
    match now.next_target {
        NextTarget::None => return Err(Suppressed::NoTarget),
        NextTarget::Skipped(SkipReason::Budget) => return Err(Suppressed::Budget),
        NextTarget::Skipped(SkipReason::Translation) => {
            return Err(Suppressed::TranslationForbidden);
        }
        NextTarget::Skipped(_) => return Err(Suppressed::NoTarget),
        NextTarget::Ready => {}
    }
    if !attempts_left {
        return Err(Suppressed::AttemptsExhausted);
    }
    if !in_time {
        return Err(Suppressed::Deadline);
    }
    Ok(())
}

/// What the client gets when nothing more is tried.
fn end(now: &Situation<'_>) -> Verdict {
    let failure = now.failure;
    if now.client_saw_content {
        return Verdict::GiveUp(GiveUp::Incomplete);
    }
    match failure.answer {
        Answer::Success => Verdict::PassThrough,
        // A head cannot be sent twice.
        Answer::Status if !now.began_heartbeat => Verdict::PassThrough,
        _ => Verdict::GiveUp(failure.give_up),
    }
}

#[cfg(test)]
mod tests;
