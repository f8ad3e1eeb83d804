//! Answers that no provider made: refusals of ours, and what nginx says when it cannot reach one.

use llm_core::error::Rejection;

use super::{Answer, headers};
use crate::attempt;
use crate::ctx::RequestCtx;
use crate::ffi::Request;
use crate::phases::new_ctx;

const KIND: &str = "application/json";

/// Answers a request that a room has refused.
pub fn refuse(r: Request<'_>, ctx: &RequestCtx) {
    let rejection = ctx.rejection.borrow().clone().unwrap_or_else(Rejection::internal);
    let rc = if r.loc_conf().inherits_error_pages {
        answer(r, ctx, &rejection)
    } else {
        // The location may have a page of its own for the status. If not, nginx's page comes to
        // `head`, which finds the rejection again.
        rejection.status as isize
    };
    r.finalize(rc);
}

/// Answers with `rejection`; the returned code ends the request.
pub fn answer(mut r: Request<'_>, ctx: &RequestCtx, rejection: &Rejection) -> isize {
    if let Some(body) = ctx.static_answer(r).filter(|_| rejection.code == Rejection::ALL_BENCHED) {
        add_route_headers(&mut r, ctx);
        return r.answer(200, KIND, body);
    }
    add_headers(&mut r, ctx, rejection);
    let body = rejection.body(ctx.dialect.get(), &ctx.event_id);
    r.answer(rejection.status, KIND, &body)
}

/// The header filter for answers that are not a provider's: nginx's HTML pages become JSON.
pub(super) fn head(r: &mut Request<'_>) {
    const PAGE: &[u8] = b"text/html";
    let conf = r.loc_conf();
    let is_page = r.status() >= 400 && r.content_type() == PAGE;
    if !conf.proxy.is_on() || !is_page {
        return;
    }
    let ctx = match r.ctx() {
        Some(ctx) => ctx,
        // nginx refused it before our phase: too large, not allowed, not HTTP.
        None => match r.create_ctx(new_ctx(*r, conf)) {
            Some(ctx) => ctx,
            None => return,
        },
    };
    let replaced = r.status() >= 500 && ctx.replaces_answer(*r);
    if let Some(body) = ctx.static_answer(*r).filter(|_| replaced) {
        r.set_status(200);
        add_route_headers(r, ctx);
        return replace(r, ctx, body.to_vec());
    }
    let rejection = explain(*r, ctx);
    if rejection.status != r.status() {
        r.set_status(rejection.status);
    }
    add_headers(r, ctx, &rejection);
    let body = rejection.body(ctx.dialect.get(), &ctx.event_id);
    replace(r, ctx, body);
    ctx.rejection.replace(Some(rejection));
}

/// A provider's refusal whose body cannot be searched for our secrets: it is encoded, which nobody
/// asked for. The client gets the status without it.
pub(super) fn hide(r: &mut Request<'_>, ctx: &RequestCtx) {
    let message = format!("The provider answered with status {}. Try again later.", r.status());
    let rejection = Rejection::new(r.status(), "provider_error", message);
    r.drop_headers(|name| name == b"content-encoding");
    let body = rejection.body(ctx.dialect.get(), &ctx.event_id);
    replace(r, ctx, body);
}

/// Whether an answer comes from an address that is no upstream block: another transport than
/// `proxy_pass` goes there past us, with the client's own request.
pub(super) fn is_foreign(r: Request<'_>, ctx: &RequestCtx) -> bool {
    r.loc_conf().proxy.is_on()
        && ctx.is_routed()
        && ctx.attempt.made.get() == 0
        && r.upstream().is_some_and(|upstream| upstream.status() > 0)
}

/// Such an answer is not used, so that the mistake does not stay unseen.
pub(super) fn refuse_foreign(r: &mut Request<'_>, ctx: &RequestCtx) {
    attempt::elsewhere(*r, ctx);
    let rejection = Rejection::internal();
    r.set_status(rejection.status);
    r.drop_headers(|_| true);
    add_headers(r, ctx, &rejection);
    let body = rejection.body(ctx.dialect.get(), &ctx.event_id);
    replace(r, ctx, body);
    ctx.rejection.replace(Some(rejection));
}

fn replace(r: &mut Request<'_>, ctx: &RequestCtx, body: Vec<u8>) {
    r.set_content_type(KIND);
    r.set_content_length(Some(body.len()));
    r.drop_validators();
    ctx.answer.replace(Answer::Replaced(body));
}

/// What a stream that broke off is called.
pub(super) fn broken_stream(ctx: &RequestCtx) -> Rejection {
    const GATEWAY_TIMEOUT: i64 = 504;
    match ctx.attempt.finished.get() {
        Some(GATEWAY_TIMEOUT) => Rejection::provider_timeout(),
        _ => Rejection::stream_incomplete(),
    }
}

/// What nginx's status means to the client.
pub(super) fn explain(r: Request<'_>, ctx: &RequestCtx) -> Rejection {
    let known = ctx.rejection.borrow().clone().filter(|known| known.status == r.status());
    if let Some(known) = known {
        return known;
    }
    if let Some(failure) = ctx.attempt.failure.get().filter(|_| r.status() >= 500) {
        return failure.give_up.rejection();
    }
    match r.status() {
        413 => Rejection::request_too_large(r.loc_conf().proxy.max_body_size_bytes()),
        502 => Rejection::provider_unreachable(),
        504 => Rejection::provider_timeout(),
        status => Rejection::from_status(status),
    }
}

fn add_headers(r: &mut Request<'_>, ctx: &RequestCtx, rejection: &Rejection) {
    add_route_headers(r, ctx);
    if let Some(seconds) = rejection.retry_after_s {
        r.add_header("Retry-After", &seconds.to_string());
    }
    // Where the SDKs of both dialects look for the id of a request.
    r.add_header("X-Request-Id", &ctx.event_id);
    r.add_header("Request-Id", &ctx.event_id);
}

fn add_route_headers(r: &mut Request<'_>, ctx: &RequestCtx) {
    match ctx.routed() {
        Some(routed) => headers::add(r, ctx, &routed),
        None => r.add_header("X-LLM-Event-Id", &ctx.event_id),
    }
}
