//! How are simple directives read? The rooms' setters share this: each value once, and nginx's own
//! sentences for what is wrong.

use llm_core::units::{parse_size, parse_time_ms};

/// Whether a time of zero means something.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Zero {
    /// It is off then.
    Off,
    /// It is an error.
    Refused,
}

/// A switch: nothing, `on` or `off`.
pub fn set_switch(name: &str, field: &mut Option<bool>, args: &[&str]) -> Result<(), String> {
    let meant = match args {
        [] | ["on"] => Some(true),
        ["off"] => Some(false),
        _ => None,
    };
    put(name, field, args, meant, "\"on\" or \"off\"")
}

/// A size above zero, in bytes.
pub fn set_size(name: &str, field: &mut Option<u64>, args: &[&str]) -> Result<(), String> {
    let size = |text: &str| parse_size(text).filter(|bytes| *bytes > 0);
    set(name, field, args, size, "a size such as \"10m\"")
}

/// A time, in milliseconds.
pub fn set_time(
    name: &str,
    field: &mut Option<u64>,
    args: &[&str],
    zero: Zero,
) -> Result<(), String> {
    let time = |text: &str| parse_time_ms(text).filter(|ms| *ms > 0 || zero == Zero::Off);
    set(name, field, args, time, "a time such as \"30s\"")
}

/// One word that `parse` knows.
pub fn set<T>(
    name: &str,
    field: &mut Option<T>,
    args: &[&str],
    parse: impl Fn(&str) -> Option<T>,
    allowed: &str,
) -> Result<(), String> {
    let meant = args.first().and_then(|word| parse(word));
    put(name, field, args, meant, allowed)
}

/// Notes a value once; `None` is one that cannot be meant.
pub fn put<T>(
    name: &str,
    field: &mut Option<T>,
    args: &[&str],
    meant: Option<T>,
    allowed: &str,
) -> Result<(), String> {
    if field.is_some() {
        return Err(duplicate(name));
    }
    let Some(meant) = meant else {
        let written = args.join(" ");
        return Err(format!(
            "invalid value \"{written}\" in \"{name}\" directive, it must be {allowed}"
        ));
    };
    *field = Some(meant);
    Ok(())
}

/// nginx's words for a directive that stands twice.
pub fn duplicate(name: &str) -> String {
    format!("\"{name}\" directive is duplicate")
}
