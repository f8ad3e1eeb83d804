//! nginx variables: a name, and a function that says its value for a request.

use std::ptr;

use ngx::ffi::{
    __BindgenBitfieldUnit, NGX_HTTP_VAR_NOCACHEABLE, ngx_conf_t, ngx_http_add_variable,
    ngx_http_get_flushed_variable, ngx_http_request_t, ngx_int_t, ngx_str_t, ngx_uint_t,
    ngx_variable_value_t,
};

use super::{Request, borrowed, bytes, code, fenced, pool};
use crate::conf::VARIABLES;

/// nginx's flags, behind the length, on the little-endian machines that we are built for.
const VALID: u32 = 1 << 28;
const NOT_FOUND: u32 = 1 << 30;
const _: () = assert!(cfg!(target_endian = "little"));

/// A variable's text, or `None` for *not found*.
pub type Get = fn(Request<'_>) -> Option<String>;

/// Registers every variable of the module.
pub(super) fn register(cf: *mut ngx_conf_t) -> Option<()> {
    for (index, (name, _)) in VARIABLES.iter().enumerate() {
        let mut text = borrowed(name.as_bytes());
        // Not cacheable: proxy_set_header and proxy_ssl_name ask again for every attempt.
        // SAFETY: nginx copies the name; `cf` is valid while the configuration is read.
        let variable =
            unsafe { ngx_http_add_variable(cf, &raw mut text, NGX_HTTP_VAR_NOCACHEABLE as usize) };
        // SAFETY: null or the new variable in the configuration's pool.
        let variable = unsafe { variable.as_mut() }?;
        variable.get_handler = Some(get);
        variable.data = index;
    }
    Some(())
}

/// What a variable is for this request; `None` when it is *not found* or fails.
pub(super) fn value(r: Request<'_>, index: ngx_uint_t) -> Option<&[u8]> {
    // SAFETY: the request is live, and nginx gave the index when it read the configuration.
    let value = unsafe { ngx_http_get_flushed_variable(r.as_ptr(), index).as_ref() }?;
    // SAFETY: the length and the flags are 32 bits, aligned as such.
    let bits = unsafe { ptr::from_ref(&value._bitfield_1).cast::<u32>().read() };
    let text = ngx_str_t { len: (bits & (VALID - 1)) as usize, data: value.data };
    // SAFETY: nginx keeps the text in the request's memory.
    (bits & NOT_FOUND == 0).then(|| unsafe { bytes(text) })
}

unsafe extern "C" fn get(
    r: *mut ngx_http_request_t,
    v: *mut ngx_variable_value_t,
    index: usize,
) -> ngx_int_t {
    fenced("variable", code::ERROR, || {
        // SAFETY: nginx asks for a live request.
        let Some(r) = (unsafe { Request::from_ptr(r) }) else { return code::ERROR };
        // SAFETY: nginx passes the value to fill in.
        let Some(v) = (unsafe { v.as_mut() }) else { return code::ERROR };
        let text = VARIABLES.get(index).and_then(|(_, get)| get(r));
        match text.and_then(|text| pool::copy(r.pool(), text.as_bytes())) {
            Some(text) => {
                // The setters go bit by bit, and the length has 28.
                let length = u32::try_from(text.len()).ok().filter(|length| *length < VALID);
                v._bitfield_1 =
                    __BindgenBitfieldUnit::new((VALID | length.unwrap_or(0)).to_le_bytes());
                v.data = text.as_ptr().cast_mut();
            }
            None => v.set_not_found(1),
        }
        code::OK
    })
}
