//! What nginx looks up in the library, and the module's own structure.

use std::cell::Cell;
use std::ffi::{c_char, c_void};
use std::ptr;

use ngx::ffi::{
    NGX_HTTP_MODULE, ngx_command_t, ngx_http_module_t, ngx_http_output_body_filter_pt,
    ngx_http_output_header_filter_pt, ngx_module_t, ngx_uint_t,
};

use super::{conf, entry};
use crate::conf::COMMANDS;

#[unsafe(no_mangle)]
static mut ngx_modules: [*const ngx_module_t; 2] = [&raw const ngx_http_llm_module, ptr::null()];

#[unsafe(no_mangle)]
static mut ngx_module_names: [*const c_char; 2] = [c"ngx_http_llm_module".as_ptr(), ptr::null()];

// "This module, then those that it has to precede": before the copy filter in the list. Filters
// run in the reverse of it, so ours sees memory buffers, and before gzip and chunked do.
#[unsafe(no_mangle)]
static mut ngx_module_order: [*const c_char; 3] =
    [c"ngx_http_llm_module".as_ptr(), c"ngx_http_copy_filter_module".as_ptr(), ptr::null()];

static mut NGX_COMMANDS: [ngx_command_t; COMMANDS.len() + 1] = conf::commands();

static CONTEXT: ngx_http_module_t = ngx_http_module_t {
    preconfiguration: Some(entry::preconfiguration),
    postconfiguration: Some(entry::postconfiguration),
    create_main_conf: Some(entry::create_main_conf),
    init_main_conf: None,
    create_srv_conf: None,
    merge_srv_conf: None,
    create_loc_conf: Some(entry::create_loc_conf),
    merge_loc_conf: Some(entry::merge_loc_conf),
};

#[expect(non_upper_case_globals, reason = "nginx's name for it")]
pub(super) static mut ngx_http_llm_module: ngx_module_t = ngx_module_t {
    ctx: (&raw const CONTEXT).cast_mut().cast::<c_void>(),
    commands: (&raw const NGX_COMMANDS).cast_mut().cast::<ngx_command_t>(),
    type_: NGX_HTTP_MODULE as ngx_uint_t,
    init_module: Some(entry::init_module),
    init_process: Some(entry::init_process),
    exit_process: Some(entry::exit_process),
    ..ngx_module_t::default()
};

/// Our index in nginx's arrays of configurations and contexts.
pub(super) fn ctx_index() -> usize {
    // SAFETY: a plain number that nginx sets when it loads the module.
    unsafe { ngx_http_llm_module.ctx_index }
}

/// The mark of buffers that are ours.
pub(super) fn tag() -> *mut c_void {
    (&raw mut ngx_http_llm_module).cast::<c_void>()
}

/// A value that is written while the configuration is read, and read by the same thread.
pub(super) struct Slot<T>(Cell<T>);

// SAFETY: nginx reads configurations and runs filters on one thread; our threads do not use it.
unsafe impl<T> Sync for Slot<T> {}

impl<T: Copy> Slot<T> {
    pub(super) fn get(&self) -> T {
        self.0.get()
    }

    pub(super) fn set(&self, value: T) {
        self.0.set(value);
    }
}

pub(super) static NEXT_HEADER_FILTER: Slot<ngx_http_output_header_filter_pt> =
    Slot(Cell::new(None));
pub(super) static NEXT_BODY_FILTER: Slot<ngx_http_output_body_filter_pt> = Slot(Cell::new(None));
