//! From a body to a provider and the bytes for it.

use std::borrow::Cow;
use std::cell::Cell;
use std::rc::Rc;

use llm_core::auth::Missing;
use llm_core::dialect::path::rebase;
use llm_core::dialect::{Dialect, Endpoint};
use llm_core::error::Rejection;
use llm_core::fallback::SkipReason;
use llm_core::media::is_json;
use llm_core::request::{Changes, Facts, FactsError, Field, Shape, estimate_tokens, plan, scan};
use llm_core::route::{Ask, Outcome, Provider};

use super::{DialectMode, Unparsed};
use crate::attempt::{Pick, pick, pick_benched};
use crate::conf::Compiled;
use crate::ctx::{Asked, DialectSource, RequestCtx, Routed};
use crate::ffi::Request;
use crate::ffi::pool::PoolBytes;
use crate::writer::ledger;
use crate::{client, cost, fallback, filter, health, ratelimit};

/// Finds the provider of a request and makes the request one for it.
pub fn route(mut r: Request<'_>, ctx: &RequestCtx) -> Result<(), Rejection> {
    let conf = &r.loc_conf().proxy;
    let compiled = r.loc_conf().compiled.clone().ok_or_else(Rejection::internal)?;
    let body = r.body().ok_or_else(Rejection::internal)?;
    if conf.fixed_dialect().is_some() {
        ctx.dialect_source.set(DialectSource::FixedIngress);
    }
    let facts = read_facts(r, &body, &compiled)?;
    // Kept before anything is refused: the log names the model of a refused request too.
    let asked = ctx.keep_asked(Asked { body, facts });
    if let Some(facts) = &asked.facts {
        settle_dialect(r, ctx, facts)?;
        if let Some(model) = &facts.model {
            client::may_use(ctx, &compiled.routes, &model.text)?;
        }
    }
    ctx.path.set(r.keep(r.path()).ok_or_else(Rejection::internal)?);
    ctx.unparsed_uri.set(r.unparsed_uri().and_then(|uri| r.keep(uri)));
    let routed = Rc::new(resolve(r, ctx, &asked, &compiled)?);
    // Before a target is found: a refusal and its log line tell what was passed over.
    ctx.routed.replace(Some(routed.clone()));
    if cost::is_recorded(&routed) && ledger::denies() {
        return Err(Rejection::journal_full());
    }
    ratelimit::admit_request(r, ctx, &routed)?;
    first_target(r, ctx, &asked, &routed)?;
    install(&mut r, ctx, &asked, &routed)?;
    if conf.total_timeout_ms() > 0 {
        ctx.deadline_ms.set(Some(r.elapsed_ms() + conf.total_timeout_ms()));
        ctx.total.start(r, conf.total_timeout_ms(), filter::total_timeout);
    }
    if conf.heartbeat_ms() > 0 && ctx.is_streaming() {
        ctx.heartbeat.start(r, conf.heartbeat_ms(), filter::heartbeat);
    }
    Ok(())
}

/// What the body says; none for a request without a body and for one that is passed on unread.
fn read_facts(
    r: Request<'_>,
    body: &PoolBytes,
    compiled: &Compiled,
) -> Result<Option<Facts<'static>>, Rejection> {
    if body.is_empty() {
        return Ok(None);
    }
    let may_pass =
        r.loc_conf().proxy.unparsed() == Unparsed::Pass && !compiled.routes.has_catalog();
    let content_type = r.header("content-type").unwrap_or_default();
    if !content_type.is_empty() && !is_json(content_type) {
        if may_pass {
            return Ok(None);
        }
        let shown = String::from_utf8_lossy(content_type);
        return Err(Rejection::unsupported_media_type(&shown));
    }
    match scan(body) {
        Ok(facts) => Ok(Some(owned(facts))),
        Err(FactsError::Json(_) | FactsError::InvalidUtf8 | FactsError::NotAnObject)
            if may_pass =>
        {
            Ok(None)
        }
        Err(error) => Err(error.rejection()),
    }
}

/// What is fixed decides; then a field, the path and, where both dialects are possible, the looks.
fn settle_dialect(r: Request<'_>, ctx: &RequestCtx, facts: &Facts<'_>) -> Result<(), Rejection> {
    let conf = &r.loc_conf().proxy;
    if conf.fixed_dialect().is_some() {
        return Ok(());
    }
    if let Some(field) = &facts.dialect {
        let dialect =
            Dialect::parse(&field.text).ok_or_else(|| Rejection::unknown_dialect(&field.text))?;
        ctx.dialect.set(dialect);
        ctx.dialect_source.set(DialectSource::Explicit);
        return Ok(());
    }
    if ctx.endpoint.get().dialect().is_some() || r.header("anthropic-version").is_some() {
        return Ok(());
    }
    if conf.dialect_mode() == DialectMode::ExplicitRequired {
        return Err(Rejection::dialect_required());
    }
    if facts.shape == Shape::Anthropic {
        ctx.dialect.set(Dialect::Anthropic);
    }
    ctx.dialect_source.set(DialectSource::InferredShape);
    Ok(())
}

fn resolve(
    r: Request<'_>,
    ctx: &RequestCtx,
    asked: &Asked,
    compiled: &Rc<Compiled>,
) -> Result<Routed, Rejection> {
    let facts = asked.facts.as_ref();
    let model = facts.and_then(|facts| facts.model.as_ref()).map(|field| &*field.text);
    let provider_field = facts.and_then(|facts| facts.provider.as_ref()).map(|field| &*field.text);
    let passed_unread = facts.is_none() && !asked.body.is_empty();
    let ask = Ask {
        endpoint: if passed_unread { Endpoint::Other } else { ctx.endpoint.get() },
        method_has_body: !passed_unread && (!asked.body.is_empty() || !r.is_bodiless_method()),
        model,
        provider_field,
    };
    let resolution = compiled.routes.resolve(&ask)?;
    let chosen = fallback::choose(
        r,
        &compiled.routes,
        &compiled.rules,
        model,
        resolution.provider,
        resolution.model.as_deref(),
    )?;
    for model in chosen.overrides.models() {
        client::may_use(ctx, &compiled.routes, model)?;
    }
    let outcome = if chosen.replaced { Outcome::ReplacedByPolicy } else { resolution.outcome };
    ctx.outcome.set(Some(outcome));
    // What a rule has replaced is told all the same.
    let replaced = compiled.routes.provider(resolution.provider).filter(|_| chosen.replaced);
    let replaced = replaced.map(|provider| provider.name.clone());
    ctx.tag.replace(chosen.overrides.tag.clone());
    Ok(Routed {
        compiled: compiled.clone(),
        targets: chosen.targets,
        current: Cell::new(0),
        policy: chosen.policy,
        overrides: chosen.overrides,
        requested_provider: resolution.requested_provider.or(replaced),
        replaced: chosen.replaced,
        requested_model: model.map(str::to_owned),
        strip_usage: facts.is_some_and(|facts| facts.stream && !facts.asked_for_usage()),
        rates: Cell::new(None),
    })
}

/// Finds the target of the first attempt; those that cannot be tried are passed over.
fn first_target(
    r: Request<'_>,
    ctx: &RequestCtx,
    asked: &Asked,
    routed: &Routed,
) -> Result<(), Rejection> {
    match pick(r, ctx, routed, 0) {
        Pick::Target(index) => {
            routed.current.set(index);
            return Ok(());
        }
        // Whatever the first one lacks: a benched one will be there again.
        Pick::Skipped(_, Some(recovers_ms)) => return last_resort(r, ctx, routed, recovers_ms),
        Pick::Denied => return Err(ctx.limits.rejection()),
        Pick::Skipped(SkipReason::Budget | SkipReason::Limit, _) => {
            return Err(ctx.limits.rejection());
        }
        Pick::Skipped(SkipReason::Key, _) => return Err(Missing::rejection()),
        // The operator has taken all of them out, and nobody knows for how long.
        Pick::Skipped(SkipReason::Benched, None) => return Err(Rejection::all_benched(1)),
        Pick::Skipped(..) | Pick::None => {}
    }
    let provider = routed.primary().ok_or_else(Rejection::internal)?;
    let client = ctx.dialect.get();
    if ctx.endpoint.get().needs_model() && provider.dialect != client {
        return Err(Rejection::translation_unavailable(&provider.name, provider.dialect, client));
    }
    let tokens = asked.facts.as_ref().map_or(0, |facts| estimate_tokens(facts.prompt_bytes));
    Err(Rejection::context_too_large(tokens, provider.max_input_tokens.unwrap_or(0)))
}

/// Every target is benched: one request at a time tries all the same, the others are told when to
/// come back.
fn last_resort(
    r: Request<'_>,
    ctx: &RequestCtx,
    routed: &Routed,
    recovers_ms: u64,
) -> Result<(), Rejection> {
    let primary = routed.targets.first().zip(routed.primary());
    let Some((target, provider)) = primary else { return Err(Rejection::internal()) };
    let params = &routed.compiled.rules.params;
    if health::take_last_resort(r, &provider.name, target.model.as_deref(), params) {
        ctx.attempt.last_resort.set(true);
        ctx.attempt.chain.take();
        ctx.attempt.passed_over.take();
        if let Pick::Target(index) = pick_benched(r, ctx, routed) {
            routed.current.set(index);
            return Ok(());
        }
    }
    Err(Rejection::all_benched(recovers_ms.div_ceil(1000).max(1)))
}

/// Puts path and body for the provider in the place of the client's. Every byte that does not have
/// to change stays where it is.
pub fn install(
    r: &mut Request<'_>,
    ctx: &RequestCtx,
    asked: &Asked,
    routed: &Routed,
) -> Result<(), Rejection> {
    let provider = routed.provider().ok_or_else(Rejection::internal)?;
    install_path(r, ctx, provider).ok_or_else(Rejection::internal)?;
    let Some(facts) = &asked.facts else { return Ok(()) };
    let changes = Changes {
        model: routed.model(),
        inject_usage: injects_usage(*r, ctx, provider),
        remove_provider: true,
        remove_dialect: true,
    };
    let edits = plan(facts, &changes);
    if edits.is_empty() && !ctx.attempt.body_replaced.get() {
        return Ok(());
    }
    ctx.attempt.body_replaced.set(true);
    let mut slices = Vec::with_capacity(edits.len() * 2 + 1);
    let mut at = 0;
    for edit in &edits {
        slices.push(asked.body.slice(at..edit.span.start));
        slices.push(r.keep(&edit.with).ok_or_else(Rejection::internal)?);
        at = edit.span.end;
    }
    slices.push(asked.body.slice(at..asked.body.len()));
    r.replace_body(&slices).ok_or_else(Rejection::internal)
}

/// Puts the path under the provider's base. As the client wrote it where possible: an escaped slash
/// in a model's name is no slash. `attempt` puts the client's own back once the request is made.
fn install_path(r: &mut Request<'_>, ctx: &RequestCtx, provider: &Provider) -> Option<()> {
    let path = ctx.path.get();
    match ctx.unparsed_uri.get() {
        Some(uri) => match rebase(&uri, &provider.base) {
            Some(rebased) => r.set_unparsed_uri(&rebased),
            None => Some(()),
        },
        None => match rebase(&path, &provider.base) {
            Some(rebased) => r.set_path(&rebased),
            // An earlier attempt may have gone elsewhere.
            None if r.path() != &*path => r.set_path(&path),
            None => Some(()),
        },
    }
}

/// Whether we ask this provider for the usage of a stream.
pub fn injects_usage(r: Request<'_>, ctx: &RequestCtx, provider: &Provider) -> bool {
    r.loc_conf().proxy.injects_usage()
        && matches!(ctx.endpoint.get(), Endpoint::Chat | Endpoint::Completions)
        && provider.dialect == Dialect::OpenAi
}

/// The facts without borrowing from the body, which the context keeps beside them.
fn owned(facts: Facts<'_>) -> Facts<'static> {
    let own = |field: Option<Field<'_>>| {
        field.map(|field| Field { text: Cow::Owned(field.text.into_owned()), span: field.span })
    };
    Facts {
        model: own(facts.model),
        provider: own(facts.provider),
        dialect: own(facts.dialect),
        provider_member: facts.provider_member,
        dialect_member: facts.dialect_member,
        stream: facts.stream,
        stream_options: facts.stream_options,
        max_output_tokens: facts.max_output_tokens,
        n: facts.n,
        insert_at: facts.insert_at,
        empty: facts.empty,
        prompt_bytes: facts.prompt_bytes,
        shape: facts.shape,
    }
}
