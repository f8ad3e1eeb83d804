//! How are directives read and inherited? The rooms share this: each value once, nginx's own sentences
//! for what is wrong, and the rows of their tables that many directives have in common.

use llm_core::units::{Zero, parse_size, time_ms};

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
    let time = |text: &str| time_ms(text, zero);
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

/// Notes once what `parsed` has made of the arguments.
pub fn set_once<T>(
    name: &str,
    field: &mut Option<T>,
    parsed: Result<T, String>,
) -> Result<(), String> {
    if field.is_some() {
        return Err(duplicate(name));
    }
    *field = Some(parsed?);
    Ok(())
}

/// The argument of a directive that has one.
pub fn first<'a>(args: &[&'a str]) -> &'a str {
    args.first().copied().unwrap_or_default()
}

/// The same as a value.
pub fn text(args: &[&str]) -> Option<String> {
    args.first().map(|text| (*text).to_owned())
}

/// Takes over what the enclosing level says where this one says nothing; a list is taken whole.
pub fn inherit<T: Clone>(own: &mut Option<T>, outer: &Option<T>) {
    if own.is_none() {
        own.clone_from(outer);
    }
}

/// nginx's words for a directive that stands twice.
pub fn duplicate(name: &str) -> String {
    format!("\"{name}\" directive is duplicate")
}

/// A directive of http, server and location, or with `main` of the http block as a whole.
macro_rules! command {
    ($directive:ident, $set:expr) => {
        $crate::setting::command!(Location: $directive, $set)
    };
    (main $directive:ident, $set:expr) => {
        $crate::setting::command!(Main: $directive, $set)
    };
    ($level:ident: $directive:ident, $set:expr) => {
        $crate::conf::Command {
            directive: &llm_core::surface::$directive,
            set: $crate::conf::Set::$level($set),
            effect: None,
        }
    };
}

/// A directive that is `on` or `off`.
macro_rules! switch {
    ($directive:ident, $room:ident.$field:ident) => {
        $crate::setting::command!($directive, |args, conf| {
            let name = llm_core::surface::$directive.name();
            $crate::setting::set_switch(name, &mut conf.$room.$field, args)
        })
    };
}

/// A directive that stands once. Its name and its arguments go to the function that reads them.
macro_rules! once {
    ($directive:ident, $room:ident.$field:ident, $parse:expr) => {
        $crate::setting::once!(Location: $directive, $room.$field, $parse)
    };
    (main $directive:ident, $room:ident.$field:ident, $parse:expr) => {
        $crate::setting::once!(Main: $directive, $room.$field, $parse)
    };
    ($level:ident: $directive:ident, $room:ident.$field:ident, $parse:expr) => {
        $crate::setting::command!($level: $directive, |args, conf| {
            let name = llm_core::surface::$directive.name();
            $crate::setting::set_once(name, &mut conf.$room.$field, $parse(name, args))
        })
    };
}

/// Likewise, with one argument.
macro_rules! word {
    ($directive:ident, $room:ident.$field:ident, $parse:expr) => {
        $crate::setting::command!($directive, |args, conf| {
            let name = llm_core::surface::$directive.name();
            let parsed = $parse(name, $crate::setting::first(args));
            $crate::setting::set_once(name, &mut conf.$room.$field, parsed)
        })
    };
}

/// A directive that may stand often, each with a line of its own.
macro_rules! list {
    ($directive:ident, $room:ident.$field:ident, $parse:expr) => {
        $crate::setting::command!($directive, |args, conf| {
            let line = $parse(llm_core::surface::$directive.name(), args)?;
            conf.$room.$field.get_or_insert_default().push(line);
            Ok(())
        })
    };
}

pub(crate) use {command, list, once, switch, word};
