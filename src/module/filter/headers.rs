//! Which headers of ours has an answer?

use llm_core::ratelimit::Headers;

use crate::ctx::{RequestCtx, Routed};
use crate::ffi::Request;

/// Names that only the gateway may use in an answer.
pub(super) fn is_our_name(name: &[u8]) -> bool {
    name.starts_with(b"x-llm-") || name.starts_with(b"x-fallback-") || name == b"x-should-retry"
}

/// Those of every answer to a request that has a route: a provider's, and ours after a failure.
pub(super) fn add(r: &mut Request<'_>, ctx: &RequestCtx, routed: &Routed) {
    // Whose answer lies in a cache is known only where there is but one who could have given it.
    let is_known = r.is_cached() && routed.targets.len() == 1;
    let answered = ctx.attempt.accepted.get() || is_known;
    let shows_limits = routed.compiled.limits.headers;
    let theirs = if shows_limits { limits_of_provider(*r) } else { IsTold::default() };
    if r.loc_conf().proxy.discloses_provider() {
        name_providers(r, ctx, routed, answered);
    }
    r.add_header_number("X-LLM-Latency-Ms", r.elapsed_ms());
    r.add_header("X-LLM-Event-Id", &ctx.event_id);
    let feedback = ctx.attempt.feedback.get();
    for (name, value) in [
        ("X-LLM-Reset-After-Ms", feedback.reset_after_ms),
        ("X-LLM-Remaining-Tokens", feedback.remaining_tokens),
        ("X-LLM-Remaining-Requests", feedback.remaining_requests),
    ] {
        if let Some(value) = value.filter(|_| answered) {
            r.add_header_number(name, value);
        }
    }
    if routed.policy.enabled {
        tell_fallback(r, ctx);
    }
    if shows_limits {
        tell_limits(r, ctx, theirs);
    }
    if is_final_failure(*r, ctx) {
        r.add_fixed_header("X-Should-Retry", "false");
    }
}

/// Whether the chain was used up, by attempts or because nothing in it could be tried.
fn is_final_failure(r: Request<'_>, ctx: &RequestCtx) -> bool {
    let attempt = &ctx.attempt;
    let failed = match attempt.made.get() {
        0 => !attempt.chain.borrow().text().is_empty(),
        _ => attempt.failure.get().is_some_and(|failure| failure.main.is_some()),
    };
    failed && crate::attempt::owns_retries(r) && !(200..400).contains(&r.status())
}

fn name_providers(r: &mut Request<'_>, ctx: &RequestCtx, routed: &Routed, answered: bool) {
    let provider = routed.provider().filter(|_| answered);
    let name = provider.and_then(|provider| r.keep(provider.name.as_bytes()));
    if let Some((provider, name)) = provider.zip(name) {
        r.add_kept_header("X-LLM-Provider", name);
        if let Some(model) = routed.model() {
            r.add_header_of("X-LLM-Served-By", [&provider.name, "/", model]);
        }
    }
    let chain = ctx.attempt.chain.borrow();
    if !chain.text().is_empty() {
        r.add_header("X-LLM-Chain", chain.text());
    }
    if !routed.policy.enabled {
        return;
    }
    if let Some(primary) = routed.primary() {
        r.add_header("X-Fallback-Primary", &primary.name);
    }
    if let Some(name) = name {
        r.add_kept_header("X-Fallback-Effective", name);
    }
}

fn tell_fallback(r: &mut Request<'_>, ctx: &RequestCtx) {
    let attempt = &ctx.attempt;
    let flag = |yes: bool| if yes { "1" } else { "0" };
    let suppressed = attempt.suppressed.get();
    r.add_fixed_header("X-Fallback-Attempted", flag(attempt.reason.get().is_some()));
    r.add_fixed_header("X-Fallback-Suppressed", flag(suppressed.is_some()));
    r.add_header_number("X-Fallback-Attempt-Count", attempt.made.get().into());
    r.add_fixed_header("X-Fallback-Reason", attempt.reason.get().unwrap_or("none"));
    r.add_fixed_header("X-Fallback-Policy-Allowed", flag(attempt.policy_allowed.get()));
    r.add_fixed_header("X-Fallback-Policy-Mismatch", "0");
    if let Some(suppressed) = suppressed {
        r.add_fixed_header("X-Fallback-Suppressed-Reason", suppressed.name());
    }
}

/// Which of `Headers::NAMES` the answer has.
type IsTold = [bool; Headers::NAMES.len()];

/// What the provider tells of its own limits.
fn limits_of_provider(r: Request<'_>) -> IsTold {
    let mut told = IsTold::default();
    r.each_answer_header(|header| {
        if let Some(one) = Headers::index(header).and_then(|at| told.get_mut(at)) {
            *one = true;
        }
    });
    told
}

/// Our own limits, in headers that the provider has not set itself.
fn tell_limits(r: &mut Request<'_>, ctx: &RequestCtx, theirs: IsTold) {
    let values = ctx.limits.shown().values();
    let Some(text) = r.keep(values.text().as_bytes()) else { return };
    values.each(|index, name, place| {
        if theirs.get(index) == Some(&false) {
            r.add_kept_header(name, text.slice(place));
        }
    });
}
