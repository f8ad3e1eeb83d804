//! What does each `$llm_…` variable say? A variable whose stage did not run is *not found*.

use crate::ctx::{RequestCtx, Routed};
use crate::ffi::Request;
use crate::ffi::variable::Get;
use crate::proxy;

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
            routed.requested_provider.clone().or_else(|| Some(routed.provider()?.name.clone()))
        })
    }),
    ("llm_requested_model", |r| r.ctx()?.requested_model()),
    ("llm_requested_dialect", |r| Some(r.ctx()?.dialect.get().name().to_owned())),
    ("llm_requested_dialect_source", |r| Some(r.ctx()?.dialect_source.get().name().to_owned())),
    ("llm_effective_provider", |r| of_route(r, |routed| Some(routed.provider()?.name.clone()))),
    ("llm_effective_model", |r| of_route(r, |routed| routed.model.clone())),
    ("llm_effective_dialect", |r| {
        of_route(r, |routed| Some(routed.provider()?.dialect.name().to_owned()))
    }),
    ("llm_resolution_outcome", |r| Some(r.ctx()?.outcome.get()?.name().to_owned())),
    ("llm_replacement_happened", |r| of_route(r, |_| Some("0".to_owned()))),
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
        let source = |known: bool| if known { "reported" } else { "none" };
        of_route(r, |_| Some(source(r.ctx()?.usage().is_some()).to_owned()))
    }),
    ("llm_ttft_ms", |r| number(r.ctx()?.ttft_ms.get())),
    ("llm_overhead_ms", |r| number(r.ctx()?.attempt.started_ms.get())),
    ("llm_first_attempt_ms", |r| number(r.ctx()?.attempt.duration_ms(r))),
    ("llm_stream_state", |r| Some(r.ctx()?.stream_end(r)?.name().to_owned())),
];

fn of_route(r: Request<'_>, get: impl Fn(&Routed) -> Option<String>) -> Option<String> {
    get(&*r.ctx()?.routed()?)
}

fn of_body(r: Request<'_>, says: impl Fn(&RequestCtx) -> bool) -> Option<String> {
    let ctx = r.ctx()?;
    ctx.asked.borrow().as_ref()?;
    Some(flag(says(ctx)))
}

fn flag(yes: bool) -> String {
    if yes { "1" } else { "0" }.to_owned()
}

fn number(value: Option<u64>) -> Option<String> {
    value.map(|value| value.to_string())
}
