//! Text with variables (nginx's complex values), read once and evaluated for each request.

use std::borrow::Cow;
use std::path::PathBuf;
use std::ptr::NonNull;

use ngx::ffi::{
    NGX_OK, ngx_conf_full_name, ngx_conf_t, ngx_http_compile_complex_value,
    ngx_http_compile_complex_value_t, ngx_http_complex_value, ngx_http_complex_value_t, ngx_int_t,
    ngx_pcalloc, ngx_str_t, ngx_uint_t,
};

use super::pool::PoolBytes;
use super::{Request, borrowed, bytes, conf, pool, variable};

/// A complex value; it lives as long as the configuration.
#[derive(Clone, Copy)]
pub struct ComplexValue {
    value: NonNull<ngx_http_complex_value_t>,
    /// The index of the variable that is all of the text.
    variable: Option<ngx_uint_t>,
}

impl ComplexValue {
    /// The text for this request; `None` when it is empty or a variable fails.
    pub fn evaluate(self, r: Request<'_>) -> Option<Cow<'_, str>> {
        let text = self.text(r)?;
        // At once where it is well-formed, which the lossy way is not.
        Some(str::from_utf8(text).map_or_else(|_| String::from_utf8_lossy(text), Cow::Borrowed))
    }

    /// The same for as long as the request lives; empty where [`evaluate`](Self::evaluate) has none.
    /// `None` when memory is out.
    pub fn keep(self, r: Request<'_>) -> Option<PoolBytes> {
        match self.evaluate(r) {
            None => Some(PoolBytes::EMPTY),
            Some(Cow::Borrowed(text)) => {
                // SAFETY: the memory is the request's or that of its configuration, which it keeps.
                Some(unsafe { PoolBytes::new(text.as_ptr().cast_mut(), text.len()) })
            }
            Some(Cow::Owned(mended)) => r.keep(mended.as_bytes()),
        }
    }

    fn text(self, r: Request<'_>) -> Option<&[u8]> {
        let text = match self.variable {
            Some(index) => variable::value(r, index)?,
            None => self.composed(r)?,
        };
        (!text.is_empty()).then_some(text)
    }

    /// The text of several parts.
    fn composed(self, r: Request<'_>) -> Option<&[u8]> {
        let mut text = ngx_str_t::default();
        // SAFETY: the request is live and the value belongs to its configuration.
        let rc = unsafe { ngx_http_complex_value(r.as_ptr(), self.value.as_ptr(), &raw mut text) };
        // SAFETY: nginx has put the text into the request's pool, or it is the configuration's.
        (rc == NGX_OK as ngx_int_t).then(|| unsafe { bytes(text) })
    }
}

/// Whether the text is a variable, `$name` or `${name}`, and no more.
fn is_variable(text: &str) -> bool {
    let Some(name) = text.strip_prefix('$') else { return false };
    let name = name.strip_prefix('{').and_then(|name| name.strip_suffix('}')).unwrap_or(name);
    // What begins with a digit is of a regular expression.
    !name.starts_with(|first: char| first.is_ascii_digit())
        && !name.is_empty()
        && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_')
}

/// Where a relative path begins.
#[derive(Clone, Copy)]
enum Base {
    /// nginx's prefix.
    Prefix = 0,
    /// The configuration's own folder.
    Configuration = 1,
}

/// What merging a configuration needs of nginx.
pub struct Reading(*mut ngx_conf_t);

impl Reading {
    pub(super) fn new(cf: *mut ngx_conf_t) -> Self {
        Self(cf)
    }

    /// Compiles text with variables. nginx has logged why when it fails.
    pub fn compile(&self, text: &str) -> Option<ComplexValue> {
        // SAFETY: nginx reads the configuration into this pool.
        let pool = unsafe { (*self.0).pool };
        let copy = pool::copy(pool, text.as_bytes())?;
        let mut copy = borrowed(&copy);
        // SAFETY: as above; zero bytes are a valid value.
        let value = unsafe { ngx_pcalloc(pool, size_of::<ngx_http_complex_value_t>()) };
        let value = NonNull::new(value.cast::<ngx_http_complex_value_t>())?;
        // SAFETY: all zero is a valid set of options.
        let mut options: ngx_http_compile_complex_value_t = unsafe { std::mem::zeroed() };
        options.cf = self.0;
        options.value = &raw mut copy;
        options.complex_value = value.as_ptr();
        // SAFETY: every pointer in the options is valid during the call.
        let rc = unsafe { ngx_http_compile_complex_value(&raw mut options) };
        if rc != NGX_OK as ngx_int_t {
            return None;
        }
        // SAFETY: nginx has compiled the value.
        let variables = unsafe { value.as_ref() }.flushes;
        // SAFETY: null, or the indexes of the variables in the text.
        let first = unsafe { variables.as_ref() }.copied();
        Some(ComplexValue { value, variable: first.filter(|_| is_variable(text)) })
    }

    /// Compiles the value of a directive.
    pub fn value(&self, text: &str, directive: &str) -> Result<ComplexValue, String> {
        let invalid = || format!("invalid variable in \"{text}\" of \"{directive}\"");
        self.compile(text).ok_or_else(invalid)
    }

    /// The path of a file that the configuration names, relative to its own folder.
    pub fn path(&self, name: &str) -> PathBuf {
        self.full(name, Base::Configuration)
    }

    /// The path of a file that workers write, relative to nginx's prefix.
    pub fn prefixed(&self, name: &str) -> PathBuf {
        self.full(name, Base::Prefix)
    }

    fn full(&self, name: &str, base: Base) -> PathBuf {
        // SAFETY: nginx reads the configuration into this pool.
        let pool = unsafe { (*self.0).pool };
        let Some(text) = pool::copy(pool, format!("{name}\0").as_bytes()) else {
            return PathBuf::from(name);
        };
        let mut text = borrowed(&text);
        text.len -= 1;
        // SAFETY: the cycle is being configured; nginx replaces `text` by the full name.
        unsafe { ngx_conf_full_name((*self.0).cycle, &raw mut text, base as ngx_uint_t) };
        // SAFETY: pool memory that lives as long as the configuration.
        let full = unsafe { bytes(text) };
        PathBuf::from(String::from_utf8_lossy(full).into_owned())
    }

    /// Warns with file and line.
    pub fn warn(&self, text: &str) {
        conf::warn(self.0, text);
    }
}
