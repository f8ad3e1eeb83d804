//! Every function that nginx calls: catch panics, make types of pointers, ask the safe code.

use std::ffi::{c_char, c_void};
use std::ptr;
use std::sync::Arc;

use llm_core::surface;
use ngx::ffi::{
    NGX_HTTP_INTERNAL_SERVER_ERROR, ngx_array_push, ngx_chain_t, ngx_command_t, ngx_conf_t,
    ngx_cycle_t, ngx_http_conf_ctx_t, ngx_http_core_main_conf_t, ngx_http_handler_pt,
    ngx_http_module, ngx_http_phases, ngx_http_phases_NGX_HTTP_LOG_PHASE,
    ngx_http_phases_NGX_HTTP_PRECONTENT_PHASE, ngx_http_request_t, ngx_http_top_body_filter,
    ngx_http_top_header_filter, ngx_int_t,
};

use super::conf::{self, Stock};
use super::exports::{self, NEXT_BODY_FILTER, NEXT_HEADER_FILTER};
use super::shm::Zone;
use super::thread;
use super::value::Reading;
use super::{Request, buf, code, fenced, hooks, pool, process, request, variable};
use crate::conf::{COMMANDS, Effect, LocConf, MainConf, Set};
use crate::ratelimit::Board;
use crate::{filter, metrics, phases, proxy, writer};

pub(super) unsafe extern "C" fn preconfiguration(cf: *mut ngx_conf_t) -> ngx_int_t {
    fenced("preconfiguration", code::ERROR, || match variable::register(cf) {
        Some(()) => code::OK,
        None => code::ERROR,
    })
}

pub(super) unsafe extern "C" fn postconfiguration(cf: *mut ngx_conf_t) -> ngx_int_t {
    fenced("postconfiguration", code::ERROR, || {
        let main_confs = conf::main_confs(cf);
        // SAFETY: `create_main_conf` made ours; nobody else borrows it.
        let main = unsafe { &mut *(*main_confs.add(exports::ctx_index())).cast::<MainConf>() };
        main.blocks = hooks::wrap_blocks(main_confs);
        match main.check() {
            Ok(warnings) => warnings.iter().for_each(|text| conf::warn(cf, text)),
            Err(text) => {
                conf::error(cf, &text);
                return code::ERROR;
            }
        }
        if let Err(text) = main.prepare_probes() {
            conf::error(cf, &text);
            return code::ERROR;
        }
        if main.needs_health() {
            let line = main.zone.take().unwrap_or_default();
            match Zone::add(cf, &line.name, line.bytes) {
                Ok(zone) => main.health = Some(zone),
                Err(text) => {
                    conf::error(cf, &text);
                    return code::ERROR;
                }
            }
        }
        if let Err(text) = prepare_ledger(cf, main) {
            conf::error(cf, &text);
            return code::ERROR;
        }
        // SAFETY: the core module's main configuration.
        let core = unsafe {
            &mut *(*main_confs.add(request::core_index())).cast::<ngx_http_core_main_conf_t>()
        };
        // Our variables fill the default table, which nginx would warn about on every start.
        core.variables_hash_max_size = core.variables_hash_max_size.max(4096);
        let precontent = ngx_http_phases_NGX_HTTP_PRECONTENT_PHASE;
        let pushed = push_handler(core, precontent, Some(precontent_handler)).and_then(|()| {
            push_handler(core, ngx_http_phases_NGX_HTTP_LOG_PHASE, Some(log_handler))
        });
        if pushed.is_none() {
            return code::ERROR;
        }
        // SAFETY: nginx's own globals; one thread reads the configuration.
        unsafe {
            NEXT_HEADER_FILTER.set(ngx_http_top_header_filter);
            ngx_http_top_header_filter = Some(header_filter);
            NEXT_BODY_FILTER.set(ngx_http_top_body_filter);
            ngx_http_top_body_filter = Some(body_filter);
        }
        code::OK
    })
}

/// Makes the zone of limits and finds the places of files, where any location needs them.
fn prepare_ledger(cf: *mut ngx_conf_t, main: &mut MainConf) -> Result<(), String> {
    let reading = Reading::new(cf);
    if main.needs_ledger() {
        main.store = Some(main.cost.store(&reading)?);
    }
    if main.needs_limits() {
        let (name, bytes) = main.limit_lines.zone();
        let zone = Zone::add(cf, name, bytes)?;
        let state = match &main.limit_lines.state {
            None => surface::LLM_RATELIMIT_STATE.default,
            Some(written) => written.as_deref(),
        };
        main.limits = Some(Board { zone, state: state.map(|path| reading.prefixed(path)) });
    }
    if main.needs_metrics() {
        main.metrics = Some(prepare_metrics(cf, main)?);
    }
    Ok(())
}

/// The zones of what is counted: the operator's, and beside it those of a fixed size for the last hour,
/// the latest requests and the workers.
fn prepare_metrics(cf: *mut ngx_conf_t, main: &MainConf) -> Result<metrics::Board, String> {
    const HOUR_BYTES: usize = 2 << 20;
    const RECENT_BYTES: usize = 320 << 10;
    const WORKERS_BYTES: usize = 64 << 10;
    let (name, bytes) = main.metric_lines.zone();
    let beside = |what: &str| format!("{name}_{what}");
    Ok(metrics::Board {
        series: Zone::add(cf, name, bytes)?,
        hour: Zone::add(cf, &beside("hour"), HOUR_BYTES)?,
        recent: Zone::add(cf, &beside("recent"), RECENT_BYTES)?,
        workers: Zone::add(cf, &beside("workers"), WORKERS_BYTES)?,
        layout: main.label_layout().into(),
    })
}

fn push_handler(
    core: &mut ngx_http_core_main_conf_t,
    phase: ngx_http_phases,
    handler: ngx_http_handler_pt,
) -> Option<()> {
    let handlers = &mut core.phases.get_mut(phase as usize)?.handlers;
    // SAFETY: nginx has initialised the array of every phase.
    let slot = unsafe { ngx_array_push(handlers) }.cast::<ngx_http_handler_pt>();
    // SAFETY: null, or room for one handler.
    *unsafe { slot.as_mut() }? = handler;
    Some(())
}

pub(super) unsafe extern "C" fn create_main_conf(cf: *mut ngx_conf_t) -> *mut c_void {
    // SAFETY: nginx reads the configuration into this pool.
    let pool = unsafe { (*cf).pool };
    fenced("create_main_conf", ptr::null_mut(), || {
        pool::place(pool, MainConf::default()).map_or(ptr::null_mut(), |conf| conf.as_ptr().cast())
    })
}

pub(super) unsafe extern "C" fn create_loc_conf(cf: *mut ngx_conf_t) -> *mut c_void {
    // SAFETY: nginx reads the configuration into this pool.
    let pool = unsafe { (*cf).pool };
    fenced("create_loc_conf", ptr::null_mut(), || {
        pool::place(pool, LocConf::default()).map_or(ptr::null_mut(), |conf| conf.as_ptr().cast())
    })
}

pub(super) unsafe extern "C" fn merge_loc_conf(
    cf: *mut ngx_conf_t,
    prev: *mut c_void,
    conf: *mut c_void,
) -> *mut c_char {
    fenced("merge_loc_conf", ngx::core::NGX_CONF_ERROR.cast(), || {
        // SAFETY: `create_loc_conf` made both; nginx merges one pair at a time.
        let (prev, conf) = unsafe { (&*prev.cast::<LocConf>(), &mut *conf.cast::<LocConf>()) };
        let stock = Stock::of(cf);
        conf.error_pages = stock.error_pages();
        if let Err(text) = conf.merge(prev, stock.is_location(), &Reading::new(cf)) {
            return conf::error(cf, &text);
        }
        if conf.proxy.is_on() && conf.inherits_error_pages && stock.is_location() {
            stock.drop_error_pages();
        }
        // SAFETY: `create_main_conf` made ours; nobody else borrows it.
        let main =
            unsafe { &mut *(*conf::main_confs(cf).add(exports::ctx_index())).cast::<MainConf>() };
        main.shows_metrics |= conf.metrics.shows();
        let Some(compiled) = &conf.compiled else { return ptr::null_mut() };
        main.compiled.push(compiled.clone());
        if let Some(keys) = conf.auth.client_keys().filter(|_| conf.keyring.is_some())
            && !main.client_keys.iter().any(|known| Arc::ptr_eq(known, keys))
        {
            main.client_keys.push(keys.clone());
        }
        let safe = conf.keyring.as_ref().map(|keyring| keyring.safe.clone());
        main.safes.extend(safe.clone());
        for line in conf.fallback.probes() {
            main.probe_lines.push((line.clone(), compiled.clone(), safe.clone()));
        }
        let policy = &compiled.rules.policy;
        if policy.enabled && stock.is_location() {
            let texts = stock.contradictions(policy.max_attempts);
            texts.iter().for_each(|text| conf::warn(cf, text));
        }
        stock.set_max_body_size(conf.proxy.max_body_size_bytes());
        stock.ignore_accel_headers();
        stock.widen_buffers();
        if stock.trust_authorities(cf).and_then(|()| stock.guard_addresses(cf)).is_none() {
            return ngx::core::NGX_CONF_ERROR.cast();
        }
        if conf.proxy.finishes_after_abort() {
            stock.ignore_client_abort();
        }
        ptr::null_mut()
    })
}

pub(super) unsafe extern "C" fn set_directive(
    cf: *mut ngx_conf_t,
    command: *mut ngx_command_t,
    conf: *mut c_void,
) -> *mut c_char {
    fenced("directive", ngx::core::NGX_CONF_ERROR.cast(), || {
        // SAFETY: nginx passes the row that it found in our table.
        let index = unsafe { (*command).offset };
        let Some(row) = COMMANDS.get(index) else { return ngx::core::NGX_CONF_ERROR.cast() };
        let args = conf::arguments(cf);
        let args: Vec<&str> = args.iter().map(String::as_str).collect();
        let result = match row.set {
            // SAFETY: the offset of the row's command makes it the MainConf.
            Set::Main(set) => set(&args, unsafe { &mut *conf.cast::<MainConf>() }),
            // SAFETY: likewise the LocConf of the level that is being read.
            Set::Location(set) => set(&args, unsafe { &mut *conf.cast::<LocConf>() }),
        };
        if let Err(text) = result {
            return conf::error(cf, &text);
        }
        match row.effect {
            None => {}
            Some(Effect::Models) => Stock::of(cf).set_handler(Some(models_handler)),
            Some(Effect::Metrics) => Stock::of(cf).set_handler(Some(metrics_handler)),
            Some(Effect::Status) => Stock::of(cf).set_handler(Some(status_handler)),
            Some(Effect::LogFormat) => {
                return conf::define_log_format(cf, "llm_json", &llm_core::metrics::log_format());
            }
        }
        ptr::null_mut()
    })
}

/// Runs in the main process, once the zones are there and before any worker is.
pub(super) unsafe extern "C" fn init_module(cycle: *mut ngx_cycle_t) -> ngx_int_t {
    fenced("init_module", code::ERROR, || {
        let Some(main) = main_conf(cycle) else { return code::OK };
        let workers = process::Owner::of(cycle);
        if let Some(workers) = workers {
            writer::check_access(main, workers);
        }
        if !process::only_tests() {
            writer::prepare(main, workers);
        }
        code::OK
    })
}

pub(super) unsafe extern "C" fn init_process(cycle: *mut ngx_cycle_t) -> ngx_int_t {
    fenced("init_process", code::OK, || {
        super::quiet_panics();
        if thread::is_worker() {
            thread::keep_freed_memory();
        }
        if let Some(main) = main_conf(cycle) {
            if let Some(board) = main.metrics.as_ref().filter(|_| thread::is_worker()) {
                board.begin();
            }
            writer::start(main);
        }
        code::OK
    })
}

pub(super) unsafe extern "C" fn exit_process(_: *mut ngx_cycle_t) {
    fenced("exit_process", (), || {
        writer::stop();
        thread::close();
    });
}

/// Our main configuration; none where the configuration has no http block.
fn main_conf<'a>(cycle: *mut ngx_cycle_t) -> Option<&'a MainConf> {
    // SAFETY: the cycle is the running one; its http module has an index.
    let http = unsafe { *(*cycle).conf_ctx.add(ngx_http_module.index) };
    // SAFETY: null, or what the http block has made.
    let http = unsafe { http.cast::<ngx_http_conf_ctx_t>().as_ref() }?;
    // SAFETY: `create_main_conf` made ours; it lives as long as the cycle.
    unsafe { (*http.main_conf.add(exports::ctx_index())).cast::<MainConf>().as_ref() }
}

unsafe extern "C" fn precontent_handler(r: *mut ngx_http_request_t) -> ngx_int_t {
    fenced("precontent handler", NGX_HTTP_INTERNAL_SERVER_ERROR as ngx_int_t, || {
        // SAFETY: nginx passes a live request.
        match unsafe { Request::from_ptr(r) } {
            Some(r) => phases::precontent(r),
            None => code::DECLINED,
        }
    })
}

unsafe extern "C" fn log_handler(r: *mut ngx_http_request_t) -> ngx_int_t {
    fenced("log handler", code::OK, || {
        // SAFETY: nginx passes a live request.
        if let Some(r) = unsafe { Request::from_ptr(r) } {
            phases::log(r);
        }
        code::OK
    })
}

/// What makes a location's answers.
macro_rules! content_handler {
    ($handler:ident, $name:literal, $answer:path) => {
        unsafe extern "C" fn $handler(r: *mut ngx_http_request_t) -> ngx_int_t {
            fenced($name, NGX_HTTP_INTERNAL_SERVER_ERROR as ngx_int_t, || {
                // SAFETY: nginx passes a live request.
                match unsafe { Request::from_ptr(r) } {
                    Some(r) => $answer(r),
                    None => code::ERROR,
                }
            })
        }
    };
}

content_handler!(models_handler, "models handler", proxy::list_models);
content_handler!(metrics_handler, "metrics handler", metrics::export);
content_handler!(status_handler, "status handler", metrics::status);

unsafe extern "C" fn header_filter(r: *mut ngx_http_request_t) -> ngx_int_t {
    fenced("header filter", code::ERROR, || {
        // SAFETY: nginx passes a live request.
        if let Some(request) = unsafe { Request::from_ptr(r) }
            && filter::head(request) == filter::Step::Swallow
        {
            return code::OK;
        }
        match NEXT_HEADER_FILTER.get() {
            // SAFETY: the filter that was on top before ours.
            Some(next) => unsafe { next(r) },
            None => code::ERROR,
        }
    })
}

unsafe extern "C" fn body_filter(r: *mut ngx_http_request_t, input: *mut ngx_chain_t) -> ngx_int_t {
    fenced("body filter", code::ERROR, || {
        // SAFETY: nginx passes a live request.
        if let Some(request) = unsafe { Request::from_ptr(r) }
            && let Some(ctx) = request.ctx().filter(|ctx| request.is_main() && ctx.filters_body())
        {
            return match buf::body_filter(request, ctx, input) {
                Some(rc) => filter::passed_on(request, ctx, rc),
                None => code::ERROR,
            };
        }
        match NEXT_BODY_FILTER.get() {
            // SAFETY: the filter that was on top before ours.
            Some(next) => unsafe { next(r, input) },
            None => code::ERROR,
        }
    })
}
