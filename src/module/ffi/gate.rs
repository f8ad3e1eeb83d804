//! Does the address that `proxy_pass` found in a variable belong to an upstream block? nginx goes to
//! any other past every hook of ours, with the client's own request and credential: `hooks` must hear
//! of it before that.
//!
//! nginx evaluates `proxy_bind` when the request is made and before it looks for the block. Where the
//! gateway is on, that value begins with a function of ours; what the operator wrote follows it.

use std::{mem, ptr};

use ngx::ffi::{
    ngx_http_complex_value_t, ngx_http_script_engine_t, ngx_http_script_len_code_pt,
    ngx_http_upstream_conf_t, ngx_http_upstream_local_t, ngx_pool_t,
};

use super::{Request, fenced, pool};

/// A location's `proxy_bind`. nginx asks a value for its length by calling what stands in a list of
/// functions, which ends with a zero.
#[repr(C)]
struct Gate {
    code: ngx_http_script_len_code_pt,
    end: usize,
    /// What holds without us; null where there is no `proxy_bind`.
    written: *const ngx_http_upstream_local_t,
    value: ngx_http_complex_value_t,
    local: ngx_http_upstream_local_t,
}

/// Puts a gate before the `proxy_bind` of a location; `None` when memory is out.
pub(super) fn put(pool: *mut ngx_pool_t, conf: &mut ngx_http_upstream_conf_t) -> Option<()> {
    let written = conf.local.cast_const();
    // SAFETY: null, or what the proxy module has read.
    let local = unsafe { written.as_ref() };
    // SAFETY: null, or the text with variables of that line.
    let value = local.and_then(|local| unsafe { local.value.as_ref() });
    let gate = Gate {
        code: Some(length),
        end: 0,
        written,
        value: match value {
            Some(value) => *value,
            // SAFETY: all zero is a valid value.
            None => unsafe { mem::zeroed() },
        },
        local: match local {
            Some(local) => *local,
            // SAFETY: as above.
            None => unsafe { mem::zeroed() },
        },
    };
    let mut gate = pool::place(pool, gate)?;
    // SAFETY: just made, in the configuration's pool; nobody else has seen it.
    let gate = unsafe { gate.as_mut() };
    gate.value.lengths = ptr::from_mut(&mut gate.code).cast();
    if value.is_none() {
        gate.value.values = ptr::from_mut(&mut gate.end).cast();
    }
    gate.local.value = &raw mut gate.value;
    conf.local = &raw mut gate.local;
    Some(())
}

/// The length that we add is none.
unsafe extern "C" fn length(engine: *mut ngx_http_script_engine_t) -> usize {
    // SAFETY: nginx passes its live engine.
    let Some(engine) = (unsafe { engine.as_mut() }) else { return 0 };
    // SAFETY: it stands at the function that it calls, which is the first member of a gate.
    let gate = unsafe { &*engine.ip.cast::<Gate>() };
    // Whatever happens, nginx must not stand here again.
    engine.ip = ptr::from_ref(&gate.end).cast_mut().cast();
    fenced("proxy_bind", 0, || {
        // SAFETY: the engine belongs to a live request.
        let Some(r) = (unsafe { Request::from_ptr(engine.request) }) else { return 0 };
        check(r);
        // SAFETY: null, or what the proxy module has read; it lives as long as the configuration.
        let Some(written) = (unsafe { gate.written.as_ref() }) else { return 0 };
        // SAFETY: as above.
        match (unsafe { written.value.as_ref() }, r.upstream()) {
            (Some(value), _) => engine.ip = value.lengths.cast(),
            // nginx leaves the address alone where the text is empty.
            (None, Some(mut upstream)) => upstream.raw_mut().peer.local = written.addr,
            (None, None) => {}
        }
        0
    })
}

/// A request for an address that is no block's is led to its provider's block, where `peer_init`
/// refuses it.
fn check(r: Request<'_>) -> Option<()> {
    let ours = r.is_main() && r.loc_conf().proxy.is_on();
    let ctx = r.ctx().filter(|ctx| ours && ctx.is_routed())?;
    let upstream = r.upstream()?;
    // SAFETY: null, or what `proxy_pass` has made of its variables for this request.
    let resolved = unsafe { upstream.raw().resolved.as_mut() }?;
    let main = r.main_conf();
    if main.blocks.iter().any(|block| block.serves(resolved)) {
        return None;
    }
    let routed = ctx.routed()?;
    let block = main.block(&routed.provider()?.upstream)?;
    block.attract(resolved);
    ctx.hooks.set_elsewhere();
    Some(())
}
