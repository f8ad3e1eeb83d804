//! In which order do the rooms see a request? One function per nginx phase; nothing else decides
//! order.
//!
//! PRECONTENT runs twice: the first call starts reading the body; `body_read` decides when it is
//! there and runs the phases again; the second call lets the request go on or answers it.

use std::time::Instant;

use llm_core::dialect::Dialect;
use llm_core::dialect::path::classify;
use llm_core::error::Rejection;

use crate::conf::LocConf;
use crate::ctx::{Intake, RequestCtx};
use crate::ffi::{Request, code};
use crate::{attempt, client, cost, filter, proxy};

const FORBIDDEN: u16 = 403;
const INTERNAL_SERVER_ERROR: isize = 500;

/// The PRECONTENT phase: after nginx's own access control, before `proxy_pass`.
pub fn precontent(r: Request<'_>) -> isize {
    let conf = r.loc_conf();
    if !conf.proxy.is_on() || conf.proxy.lists_models() || conf.metrics.shows() {
        return code::DECLINED;
    }
    if !r.is_main() {
        // The context is the main request's: this answer has no id of its own.
        let body = Rejection::subrequest().body(Dialect::OpenAi, "");
        let rc = r.answer(FORBIDDEN, "application/json", &body);
        r.finalize(rc);
        return code::DONE;
    }
    if let Some(ctx) = r.ctx() {
        return match ctx.intake.get() {
            Intake::Reading => code::DONE,
            Intake::Ready => code::DECLINED,
            Intake::Refused => {
                filter::refuse(r, ctx);
                code::DONE
            }
        };
    }
    let Some(ctx) = r.create_ctx(new_ctx(r, conf)) else { return INTERNAL_SERVER_ERROR };
    if let Err(rejection) = client::check(r, ctx) {
        // Before its body is read: a stranger costs nothing.
        ctx.intake.set(Intake::Refused);
        ctx.rejection.replace(Some(rejection));
        filter::refuse(r, ctx);
        return code::DONE;
    }
    r.read_body()
}

/// The body is there: facts, then route. Called once, before PRECONTENT runs again.
pub fn body_read(r: Request<'_>) {
    let Some(ctx) = r.ctx() else { return };
    ctx.body_read_at.set(Some(Instant::now()));
    // A panic in here leaves the request refused, not waiting.
    ctx.intake.set(Intake::Refused);
    match proxy::route(r, ctx) {
        Ok(()) => ctx.intake.set(Intake::Ready),
        Err(rejection) => {
            // What a limit refuses has found its target.
            if ctx.limits.refusal(|_| ()).is_none() {
                let outcome = llm_core::route::Outcome::of_rejection(&rejection);
                ctx.outcome.set(Some(outcome));
            }
            ctx.rejection.replace(Some(rejection));
        }
    }
}

/// The LOG phase.
pub fn log(r: Request<'_>) {
    if let Some(ctx) = r.ctx() {
        ctx.heartbeat.stop();
        ctx.total.stop();
        ctx.finish.stop();
        attempt::over(r, ctx);
        cost::record(r, ctx);
    }
}

/// The context of a request, with what its path tells. Also made for a request that nginx refused
/// before our phase.
pub fn new_ctx(r: Request<'_>, conf: &LocConf) -> RequestCtx {
    let endpoint = classify(r.path());
    let speaks_anthropic = r.header("anthropic-version").is_some();
    let by_path = endpoint.dialect();
    let by_header = if speaks_anthropic { Dialect::Anthropic } else { Dialect::OpenAi };
    let dialect = conf.proxy.fixed_dialect().or(by_path).unwrap_or(by_header);
    RequestCtx::new(endpoint, dialect)
}
