//! Which provider gets a request, and with which bytes? `phases` asks once the body is there;
//! `attempt` and `filter` ask what the operator wrote.

mod intake;
mod lines;

use llm_core::dialect::Dialect;
use llm_core::error::Rejection;
use llm_core::route::Provider;

pub use intake::{injects_usage, install, route};
pub use lines::{COMMANDS, ClientAbort, Conf, DialectMode, ResponseModel, Unparsed};

use crate::ffi::Request;
use crate::phases::new_ctx;
use crate::{client, filter};

/// TCP and TLS to a provider.
pub const CONNECT_TIMEOUT_MS: u64 = 5_000;
/// Until the response head.
pub const RESPONSE_TIMEOUT_MS: u64 = 600_000;
/// Between two pieces of an answer.
pub const IDLE_TIMEOUT_MS: u64 = 300_000;

/// The provider's host: as written, or the name in its upstream block's first `server` line.
pub fn host<'a>(r: Request<'a>, provider: &'a Provider) -> &'a str {
    match &provider.host {
        Some(host) => host,
        None => r.main_conf().block(&provider.upstream).map_or("", |block| &block.host),
    }
}

/// `llm_proxy_models`: the catalog, or one model of it, in the dialect of the client.
pub fn list_models(mut r: Request<'_>) -> isize {
    const KIND: &str = "application/json";
    if !r.is_main() {
        return 403;
    }
    let conf = r.loc_conf();
    let Some(compiled) = &conf.compiled else { return 404 };
    let Some(ctx) = r.ctx().or_else(|| r.create_ctx(new_ctx(r, conf))) else { return 500 };
    let dialect = ctx.dialect.get();
    if !matches!(r.method(), b"GET" | b"HEAD") {
        r.add_header("Allow", "GET, HEAD");
        return filter::answer(r, ctx, &Rejection::from_status(405));
    }
    if let Err(rejection) = client::check(r, ctx) {
        return filter::answer(r, ctx, &rejection);
    }
    let path = String::from_utf8_lossy(r.path()).into_owned();
    let wanted = path.split_once("/models/").map(|(_, id)| id).filter(|id| !id.is_empty());
    let routes = &compiled.routes;
    let Some(id) = wanted else {
        let list = match dialect {
            Dialect::OpenAi => routes.models_json(compiled.loaded_at),
            Dialect::Anthropic => routes.models_json_anthropic(compiled.loaded_at),
        };
        return r.answer(200, KIND, list.as_bytes());
    };
    match routes.model_json(dialect, id, compiled.loaded_at) {
        Some(model) => r.answer(200, KIND, model.as_bytes()),
        None => filter::answer(r, ctx, &Rejection::model_not_found(id)),
    }
}
