//! What goes to the provider in this attempt: host, TLS, key, head and time limits.

use llm_core::fallback::Hold;
use llm_core::head::{Credential, HeadEdit, edit};
use llm_core::route::Provider;

use crate::ctx::{RequestCtx, Routed};
use crate::ffi::upstream::{Limits, Upstream};
use crate::ffi::{Level, Request};
use crate::proxy;

/// Prefix of the request headers that are ours.
const OWN_PREFIX: &str = "x-llm-";

/// nginx's own default of `proxy_connect_timeout` and its like: another value was written.
const STOCK_TIMEOUT_MS: u64 = 60_000;

/// How long an attempt waits for what.
#[derive(Clone, Copy, Default)]
pub struct Waits {
    /// Connection, sending, head.
    pub limits: Limits,
    /// Until the first content of a stream; zero is no limit of its own.
    pub first_token_ms: u64,
    /// Between two pieces of an accepted answer.
    pub idle_ms: u64,
    /// How much of a stream is held back.
    pub holds: Holds,
}

/// How much of a stream is held back until it is accepted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Holds {
    /// The head goes out at once.
    #[default]
    Nothing,
    /// Everything until the first content.
    FirstToken,
    /// The whole answer.
    Complete,
}

/// Makes nginx's request one for the current target.
pub(super) fn prepare(
    r: Request<'_>,
    ctx: &RequestCtx,
    upstream: &mut Upstream<'_>,
    block: &str,
) -> Option<()> {
    restore_uri(r, ctx)?;
    let routed = ctx.routed()?;
    let provider = routed.provider()?;
    if provider.upstream != block {
        // Another upstream's server must not get this provider's request and key.
        let text = format!(
            "llm: proxy_pass goes to upstream \"{block}\", but the request belongs to provider \
             \"{}\": write \"proxy_pass http://$llm_provider_upstream\"",
            provider.name
        );
        r.write_log(Level::Error, &text);
        return None;
    }
    let host = proxy::host(r, provider);
    if provider.ssl == Some(true) && !upstream.can_tls() {
        let text =
            format!("llm: no TLS for provider \"{}\": proxy_pass needs \"https\"", provider.name);
        r.write_log(Level::Error, &text);
        return None;
    }
    if let Some(tls) = provider.ssl {
        upstream.set_is_tls(tls);
    }
    if upstream.is_tls() {
        let name = provider.ssl_name.as_deref().unwrap_or(host);
        upstream.set_tls(name, provider.ssl_verify)?;
    }
    set_limits(r, ctx, upstream, &routed, provider);
    edit_head(r, ctx, upstream, &routed, host)
}

/// Once the request is made, the log's `$request_uri` is the client's.
pub(super) fn restore_uri(mut r: Request<'_>, ctx: &RequestCtx) -> Option<()> {
    match ctx.unparsed_uri.get() {
        Some(uri) => r.set_unparsed_uri(&uri),
        None => Some(()),
    }
}

fn edit_head(
    r: Request<'_>,
    ctx: &RequestCtx,
    upstream: &mut Upstream<'_>,
    routed: &Routed,
    host: &str,
) -> Option<()> {
    let provider = routed.provider()?;
    let client_host = r.header("host").unwrap_or_default();
    let keys = ctx.keys(r);
    let key = ctx.key.borrow().key;
    let secret = keys.zip(key).and_then(|(keys, key)| keys.secrets.store.secret(key));
    let prefixes = [OWN_PREFIX, r.loc_conf().rules().map_or(OWN_PREFIX, |rules| &rules.prefix)];
    let mut wrong_hosts = Vec::with_capacity(3 + routed.targets.len());
    wrong_hosts.extend([client_host, without_port(client_host), r.host()]);
    // nginx's default is the block that `proxy_pass` named before the first attempt, whichever it was.
    let providers = routed.targets.iter().map(|target| target.provider);
    let providers = providers.filter_map(|index| routed.compiled.routes.provider(index));
    wrong_hosts.extend(providers.map(|provider| provider.upstream.as_bytes()));
    let change = HeadEdit {
        host,
        wrong_hosts: &wrong_hosts,
        version: provider.version.as_deref(),
        own_prefixes: &prefixes,
        credential: match keys {
            None => Credential::Client,
            Some(_) => Credential::Operator { dialect: provider.dialect, secret },
        },
    };
    let head = upstream.request_head().and_then(|head| edit(head, &change))?;
    upstream.set_request_head(&head)
}

/// The client's wish beats the provider's line, that beats the general directive, that beats what
/// the operator wrote for `proxy_pass`, and that beats our defaults. Nothing outlasts the request.
fn set_limits(
    r: Request<'_>,
    ctx: &RequestCtx,
    upstream: &mut Upstream<'_>,
    routed: &Routed,
    provider: &Provider,
) {
    let conf = &r.loc_conf().proxy;
    let attempt = &ctx.attempt;
    if attempt.limits.get().limits.send_ms == 0 {
        attempt.limits.set(Waits { limits: upstream.limits(), ..Waits::default() });
        attempt.stock.set(upstream.limits());
    }
    let stock = attempt.stock.get();
    let written = |ms: u64| (ms != STOCK_TIMEOUT_MS).then_some(ms);
    let connect_ms = provider
        .connect_timeout_ms
        .or(conf.connect_timeout_ms())
        .or(written(stock.connect_ms))
        .unwrap_or(proxy::CONNECT_TIMEOUT_MS);
    let response_ms = provider
        .response_timeout_ms
        .or(conf.response_timeout_ms())
        .or(written(stock.response_ms))
        .unwrap_or(proxy::RESPONSE_TIMEOUT_MS);
    let idle_ms = provider
        .idle_timeout_ms
        .or(conf.idle_timeout_ms())
        .or(written(stock.response_ms))
        .unwrap_or(proxy::IDLE_TIMEOUT_MS);
    let first_token_ms =
        provider.first_token_timeout_ms.or(conf.first_token_timeout_ms()).unwrap_or(0);
    let holds = match (ctx.is_streaming(), routed.policy.enabled && routed.policy.allow_streaming) {
        (true, true) if routed.policy.hold == Hold::Complete => Holds::Complete,
        (true, true) => Holds::FirstToken,
        (true, false) if first_token_ms > 0 => Holds::FirstToken,
        _ => Holds::Nothing,
    };
    let waits_for_token = first_token_ms > 0 && ctx.is_streaming();
    let response_ms = if waits_for_token { response_ms.min(first_token_ms) } else { response_ms };
    let most = routed.overrides.timeout_ms.unwrap_or(u64::MAX);
    let rest = ctx.remaining_ms(r).map_or(u64::MAX, |ms| ms.max(1));
    let limits = Limits {
        connect_ms: connect_ms.min(most).min(rest),
        send_ms: stock.send_ms.min(rest),
        response_ms: response_ms.min(most).min(rest),
    };
    let first_token_ms = if waits_for_token { first_token_ms.min(most).min(rest) } else { 0 };
    attempt.limits.set(Waits { limits, first_token_ms, idle_ms, holds });
    upstream.set_limits(limits);
}

fn without_port(host: &[u8]) -> &[u8] {
    match host.iter().rposition(|&byte| byte == b':') {
        Some(colon) if !host.ends_with(b"]") => host.get(..colon).unwrap_or(host),
        _ => host,
    }
}
