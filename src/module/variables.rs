//! What does each `$llm_…` variable say? A variable whose stage did not run is *not found*.

use std::borrow::Cow;

use llm_core::fallback::Feedback;

use crate::attempt::Attempt;
use crate::cost::{self, Whose};
use crate::ctx::{RequestCtx, Routed};
use crate::ffi::Request;
use crate::ffi::variable::Get;
use crate::proxy;
use crate::{auth, client};

/// Every variable of the module.
pub const VARIABLES: &[(&str, Get)] = &[
    ("llm_provider", |r| of_route(r, |routed| Some(routed.provider()?.name.clone()))),
    ("llm_provider_host", |r| {
        of_route(r, |routed| Some(proxy::host(r, routed.provider()?).to_owned()))
    }),
    ("llm_provider_version", |r| of_route(r, |routed| routed.provider()?.version.clone())),
    ("llm_provider_upstream", |r| of_route(r, |routed| Some(routed.provider()?.upstream.clone()))),
    ("llm_model", |r| r.ctx()?.requested_model()),
    ("llm_streaming", |r| of_body(r, RequestCtx::is_streaming)),
    ("llm_body_parsed", |r| {
        of_body(r, |ctx| ctx.asked.borrow().as_ref().is_some_and(|asked| asked.facts.is_some()))
    }),
    ("llm_requested_provider", |r| {
        of_route(r, |routed| {
            routed.requested_provider.clone().or_else(|| Some(routed.primary()?.name.clone()))
        })
    }),
    ("llm_requested_model", |r| r.ctx()?.requested_model()),
    ("llm_requested_dialect", |r| Some(r.ctx()?.dialect.get().name().to_owned())),
    ("llm_requested_dialect_source", |r| Some(r.ctx()?.dialect_source.get().name().to_owned())),
    ("llm_effective_provider", |r| of_route(r, |routed| Some(routed.provider()?.name.clone()))),
    ("llm_effective_model", |r| of_route(r, |routed| routed.model().map(str::to_owned))),
    ("llm_effective_dialect", |r| {
        of_route(r, |routed| Some(routed.provider()?.dialect.name().to_owned()))
    }),
    ("llm_resolution_outcome", |r| Some(r.ctx()?.resolution_outcome()?.to_owned())),
    ("llm_replacement_happened", |r| of_route(r, |routed| Some(flag(routed.replaced)))),
    ("llm_translation_happened", |r| of_route(r, |_| Some("0".to_owned()))),
    ("llm_prompt_tokens", |r| number(r.ctx()?.usage()?.prompt_tokens())),
    ("llm_completion_tokens", |r| number(r.ctx()?.usage()?.completion_tokens())),
    ("llm_total_tokens", |r| number(r.ctx()?.usage()?.total_tokens())),
    ("llm_cache_read_tokens", |r| number(r.ctx()?.usage()?.cache_read_tokens())),
    ("llm_cache_create_tokens", |r| number(r.ctx()?.usage()?.cache_create_tokens())),
    ("llm_reasoning_tokens", |r| number(r.ctx()?.usage()?.reasoning_tokens())),
    ("llm_usage_extracted", |r| {
        of_route(r, |_| Some(flag(r.ctx()?.usage().is_some_and(|usage| usage.is_complete()))))
    }),
    ("llm_usage_source", |r| {
        let told = || if r.ctx()?.usage().is_some() { Some("reported") } else { Some("none") };
        let billed = cost::shown_bill(r).map(|bill| bill.source.name());
        of_route(r, |_| Some(billed.or_else(told)?.to_owned()))
    }),
    ("llm_ttft_ms", |r| number(r.ctx()?.ttft_ms.get())),
    ("llm_overhead_ms", |r| number(r.ctx()?.attempt.started_ms.get())),
    ("llm_first_attempt_ms", |r| number(r.ctx()?.attempt.first_duration_ms(r))),
    ("llm_reset_after_ms", |r| number(feedback(r)?.reset_after_ms)),
    ("llm_ratelimit_remaining_tokens", |r| number(feedback(r)?.remaining_tokens)),
    ("llm_ratelimit_remaining_requests", |r| number(feedback(r)?.remaining_requests)),
    ("llm_auth_provider", |r| {
        r.ctx()?.known_keys()?;
        of_route(r, |routed| Some(routed.provider()?.name.clone()))
    }),
    ("llm_auth_credential", |r| auth::of_key(r.ctx()?, |key, _, _| Some(key.id.clone()))),
    ("llm_auth_status", |r| Some(r.ctx()?.key.borrow().status()?.to_owned())),
    ("llm_auth_key_source", |r| {
        auth::of_key(r.ctx()?, |key, _, _| Some(key.source.name().to_owned()))
    }),
    ("llm_auth_key_fingerprint", |r| {
        auth::of_key(r.ctx()?, |_, secrets, number| {
            Some(secrets.store.fingerprint(number)?.to_owned())
        })
    }),
    ("llm_auth_fail_reason", |r| Some(r.ctx()?.key.borrow().missing?.name().to_owned())),
    ("llm_auth_client", |r| r.ctx()?.owner(r).tenant.clone()),
    ("llm_auth_project", |r| r.ctx()?.owner(r).project.clone()),
    ("llm_auth_org", |r| r.ctx()?.owner(r).org.clone()),
    ("llm_client_status", client::status),
    ("llm_client_key_id", |r| client::of_client(r, |client| Some(&client.key_id))),
    ("llm_client_org", |r| client::of_client(r, |client| client.org.as_deref())),
    ("llm_client_project", |r| client::of_client(r, |client| client.project.as_deref())),
    ("llm_client_id", |r| client::of_client(r, |client| client.client.as_deref())),
    ("llm_client_tier", |r| client::of_client(r, |client| client.tier.as_deref())),
    ("llm_fallback_attempted", |r| of_fallback(r, |a| Some(flag(a.reason.get().is_some())))),
    ("llm_fallback_suppressed", |r| of_fallback(r, |a| Some(flag(a.suppressed.get().is_some())))),
    ("llm_fallback_suppressed_reason", |r| {
        of_fallback(r, |a| Some(a.suppressed.get()?.name().to_owned()))
    }),
    ("llm_fallback_reason", |r| {
        of_fallback(r, |a| Some(a.reason.get().unwrap_or("none").to_owned()))
    }),
    ("llm_fallback_attempt_count", |r| of_fallback(r, |a| Some(a.made.get().to_string()))),
    ("llm_fallback_policy_allowed", |r| of_fallback(r, |a| Some(flag(a.policy_allowed.get())))),
    ("llm_fallback_policy_mismatch", |r| of_fallback(r, |_| Some(flag(false)))),
    ("llm_fallback_primary_provider", |r| {
        of_fallback(r, |_| of_route(r, |routed| Some(routed.primary()?.name.clone())))
    }),
    ("llm_fallback_effective_provider", |r| {
        of_fallback(r, |a| {
            a.accepted.get().then(|| of_route(r, |routed| Some(routed.provider()?.name.clone())))?
        })
    }),
    ("llm_failure_class", |r| Some(r.ctx()?.attempt.failure.get()?.label().to_owned())),
    ("llm_chain", |r| {
        Some(r.ctx()?.attempt.chain.borrow().text().to_owned()).filter(|chain| !chain.is_empty())
    }),
    ("llm_served_by", |r| {
        let accepted = r.ctx()?.attempt.accepted.get();
        of_route(r, |routed| {
            let provider = routed.provider().filter(|_| accepted)?;
            Some(match routed.model() {
                Some(model) => format!("{}/{model}", provider.name),
                None => provider.name.clone(),
            })
        })
    }),
    ("llm_route_mode", |r| of_route(r, |routed| Some(route_mode(r, routed).to_owned()))),
    ("llm_tag", |r| r.ctx()?.tag.borrow().clone()),
    ("llm_ratelimit_deny_reason", |r| {
        r.ctx()?.limits.refusal(|refusal| refusal.reason.name().to_owned())
    }),
    ("llm_ratelimit_quota_remaining", |r| {
        number(r.ctx()?.limits.shown().requests.map(|shown| shown.remaining))
    }),
    ("llm_ratelimit_token_quota_remaining", |r| {
        number(r.ctx()?.limits.shown().tokens.map(|shown| shown.remaining))
    }),
    ("llm_ratelimit_spend_deny_unit", |r| {
        r.ctx()?.limits.refusal(|refusal| refusal.unit.clone())?
    }),
    ("llm_ratelimit_scope", |r| r.ctx()?.limits.refusal(|refusal| refusal.scope.clone())),
    ("llm_ratelimit_retry_after", |r| {
        number(r.ctx()?.limits.refusal(|refusal| refusal.retry_after_s())?)
    }),
    ("llm_ratelimit_reserved_tokens", |r| number(r.ctx()?.limits.reserved_tokens())),
    ("llm_ratelimit_budget_used", |r| number(r.ctx()?.limits.budget_used())),
    ("llm_cost_status", |r| Some(cost::shown_bill(r)?.status.name().to_owned())),
    ("llm_cost_prompt", |r| Some(cost::shown_bill(r)?.cost?.prompt.to_string())),
    ("llm_cost_completion", |r| Some(cost::shown_bill(r)?.cost?.completion.to_string())),
    ("llm_cost_total", |r| Some(cost::shown_bill(r)?.cost?.total.to_string())),
    ("llm_cost_requested_provider", |r| {
        cost::shown_bill(r)?;
        of_route(r, |routed| {
            routed.requested_provider.clone().or_else(|| Some(routed.primary()?.name.clone()))
        })
    }),
    ("llm_cost_requested_model", |r| {
        cost::shown_bill(r)?;
        r.ctx()?.requested_model()
    }),
    ("llm_cost_translation_happened", |r| {
        cost::shown_bill(r)?;
        of_route(r, |_| Some(flag(false)))
    }),
    ("llm_cost_resolution_outcome", |r| {
        cost::shown_bill(r)?;
        Some(r.ctx()?.resolution_outcome()?.to_owned())
    }),
    ("llm_cost_org", |r| label(r, Whose::Org)),
    ("llm_cost_project", |r| label(r, Whose::Project)),
    ("llm_cost_client", |r| label(r, Whose::Client)),
    ("llm_cost_event_id", |r| {
        cost::shown_bill(r)?;
        Some(r.ctx()?.event_id.clone())
    }),
    ("llm_stream_state", |r| Some(r.ctx()?.stream_end(r)?.name().to_owned())),
];

fn of_fallback(r: Request<'_>, get: impl Fn(&Attempt) -> Option<String>) -> Option<String> {
    let ctx = r.ctx()?;
    let enabled = ctx.routed()?.policy.enabled;
    if enabled { get(&ctx.attempt) } else { None }
}

fn feedback(r: Request<'_>) -> Option<Feedback> {
    Some(r.ctx()?.attempt.feedback.get())
}

fn route_mode(r: Request<'_>, routed: &Routed) -> &'static str {
    let first = routed.targets.first().map(|target| target.provider);
    let moved = routed.current.get() > 0;
    if !r.is_cached() && r.ctx().is_some_and(|ctx| ctx.attempt.last_resort.get()) {
        return "last_resort";
    }
    match (r.is_cached(), moved, first == routed.target().map(|target| target.provider)) {
        (true, ..) => "cached",
        (_, true, true) => "model_fallback",
        (_, true, false) => "provider_fallback",
        _ if routed.replaced => "replaced",
        _ => "direct",
    }
}

fn of_route(r: Request<'_>, get: impl Fn(&Routed) -> Option<String>) -> Option<String> {
    get(&*r.ctx()?.routed()?)
}

fn of_body(r: Request<'_>, says: impl Fn(&RequestCtx) -> bool) -> Option<String> {
    let ctx = r.ctx()?;
    ctx.asked.borrow().as_ref()?;
    Some(flag(says(ctx)))
}

fn label(r: Request<'_>, whose: Whose) -> Option<String> {
    cost::shown_label(r, whose).map(Cow::into_owned)
}

fn flag(yes: bool) -> String {
    if yes { "1" } else { "0" }.to_owned()
}

fn number(value: Option<u64>) -> Option<String> {
    value.map(|value| value.to_string())
}
