//! What do the other lines of `llm_cost` say, and are they spelled right? The directive setters
//! ask.

use std::fmt;

use super::UsageMissing;
use crate::units::{Zero, parse_size, time_ms};

/// Where events go: `llm_cost_backend`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Backends {
    /// A file of JSON lines.
    pub log: bool,
    /// The embedded database.
    pub sqlite: bool,
    /// A PostgreSQL server.
    pub postgres: bool,
}

impl Default for Backends {
    fn default() -> Self {
        Self { log: false, sqlite: true, postgres: false }
    }
}

impl Backends {
    /// None: events are counted and not kept.
    pub const OFF: Self = Self { log: false, sqlite: false, postgres: false };

    /// The backends that `off`, or any of `log`, `sqlite` and `postgres` say.
    pub fn parse(args: &[&str]) -> Result<Self, String> {
        const DIRECTIVE: &str = "llm_cost_backend";
        if *args == ["off"] {
            return Ok(Self::OFF);
        }
        if args.is_empty() {
            return Err(format!("\"{DIRECTIVE}\" needs off, or any of log, sqlite and postgres"));
        }
        let mut backends = Self::OFF;
        for name in args {
            let backend = match *name {
                "log" => &mut backends.log,
                "sqlite" => &mut backends.sqlite,
                "postgres" => &mut backends.postgres,
                "off" => return Err(format!("\"off\" stands alone in \"{DIRECTIVE}\"")),
                _ => {
                    return Err(format!(
                        "invalid backend {name:?} in \"{DIRECTIVE}\", it must be off, or any of \
                         log, sqlite and postgres"
                    ));
                }
            };
            if std::mem::replace(backend, true) {
                return Err(format!("duplicate backend {name:?} in \"{DIRECTIVE}\""));
            }
        }
        Ok(backends)
    }

    /// Whether nothing is kept.
    #[must_use]
    pub fn is_off(self) -> bool {
        self == Self::OFF
    }
}

/// What happens when the journal is full.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Full {
    /// New events are dropped and counted.
    #[default]
    Drop,
    /// New requests are refused.
    Deny,
}

/// The `llm_cost_journal` line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct JournalLine {
    /// Its directory.
    pub directory: String,
    /// `max=`: what all its files may hold.
    pub max_bytes: u64,
    /// `sync=`: what a power failure may cost.
    pub sync_ms: u64,
    /// `full=`.
    pub full: Full,
}

/// The smallest journal.
const MIN_JOURNAL_BYTES: u64 = 1 << 20;

impl Default for JournalLine {
    fn default() -> Self {
        Self {
            directory: "llm/journal".to_owned(),
            max_bytes: 1 << 30,
            sync_ms: 1000,
            full: Full::default(),
        }
    }
}

impl JournalLine {
    /// The journal that `<dir> [max=] [sync=] [full=]` says.
    pub fn parse(args: &[&str]) -> Result<Self, String> {
        const DIRECTIVE: &str = "llm_cost_journal";
        let [directory, options @ ..] = args else {
            return Err(format!("\"{DIRECTIVE}\" needs a directory"));
        };
        let mut line = Self { directory: file_path(DIRECTIVE, directory)?, ..Self::default() };
        let mut seen = Vec::new();
        for option in options {
            let Some((key @ ("max" | "sync" | "full"), value)) = option.split_once('=') else {
                return Err(format!(
                    "invalid parameter {option:?} in \"{DIRECTIVE}\", it must be max=, sync= or \
                     full="
                ));
            };
            if seen.contains(&key) {
                return Err(format!("duplicate {key} in \"{DIRECTIVE}\": {option:?}"));
            }
            seen.push(key);
            let invalid = |hint| format!("invalid {key} {value:?} in \"{DIRECTIVE}\", {hint}");
            match (key, value) {
                ("max", size) => {
                    let bytes = parse_size(size).filter(|&bytes| bytes >= MIN_JOURNAL_BYTES);
                    line.max_bytes = bytes.ok_or_else(|| invalid("give at least 1m such as 1g"))?;
                }
                ("sync", time) => {
                    let ms = time_ms(time, Zero::Refused);
                    line.sync_ms = ms.ok_or_else(|| invalid("give a time such as 1s"))?;
                }
                (_, "drop") => line.full = Full::Drop,
                (_, "deny") => line.full = Full::Deny,
                _ => return Err(invalid("it must be drop or deny")),
            }
        }
        Ok(line)
    }
}

impl UsageMissing {
    /// What `estimate`, `reserve` or `zero` says.
    pub fn parse(args: &[&str]) -> Result<Self, String> {
        match args {
            ["estimate"] => Ok(Self::Estimate),
            ["reserve"] => Ok(Self::Reserve),
            ["zero"] => Ok(Self::Zero),
            _ => Err("\"llm_cost_usage_missing\" must be estimate, reserve or zero".to_owned()),
        }
    }
}

/// Tags of one block, and characters of a tag's name.
const MAX_TAGS: usize = 32;

/// An `llm_cost_tag` line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TagLine {
    /// What it is called in rows.
    pub name: String,
    /// A text with variables.
    pub value: String,
}

impl TagLine {
    /// The line that `<name> <value>` says, behind the lines `before` it.
    pub fn parse(args: &[&str], before: &[Self]) -> Result<Self, String> {
        const DIRECTIVE: &str = "llm_cost_tag";
        let [name, value] = args else {
            return Err(format!("\"{DIRECTIVE}\" needs a name and a value"));
        };
        let fits = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'_';
        if name.is_empty() || name.len() > MAX_TAGS || !name.bytes().all(fits) {
            return Err(format!(
                "invalid name {name:?} in \"{DIRECTIVE}\", use 1 to {MAX_TAGS} of a-z, 0-9 and \
                 \"_\""
            ));
        }
        if before.iter().any(|line| line.name == *name) {
            return Err(format!("duplicate \"{DIRECTIVE} {name}\", a tag has one value"));
        }
        if before.len() >= MAX_TAGS {
            return Err(format!("too many \"{DIRECTIVE}\" lines, at most {MAX_TAGS} are kept"));
        }
        Ok(Self { name: (*name).to_owned(), value: (*value).to_owned() })
    }
}

/// The name of a table, `llm_cost_table`: parts that hold nothing but `a-z`, `0-9` and `_`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TableName {
    schema: Option<String>,
    table: String,
}

/// What the table of attempts is called behind the name of the other.
const ATTEMPTS: &str = "_attempts";

/// PostgreSQL cuts names to this.
const MAX_IDENTIFIER_BYTES: usize = 63;

impl Default for TableName {
    fn default() -> Self {
        Self { schema: None, table: "llm_cost_events".to_owned() }
    }
}

impl TableName {
    /// The table that `<table>` or `<schema>.<table>` says. Capitals are folded, as SQL does.
    pub fn parse(args: &[&str]) -> Result<Self, String> {
        let (schema, table) = match args {
            [name] => match name.split_once('.') {
                Some((schema, table)) => (identifier(schema, 0), identifier(table, ATTEMPTS.len())),
                None => (Some(String::new()), identifier(name, ATTEMPTS.len())),
            },
            _ => (None, None),
        };
        let (Some(schema), Some(table)) = (schema, table) else {
            return Err(
                "\"llm_cost_table\" must be <table> or <schema>.<table> of letters, digits \
                        and \"_\", at most 54 of them for the table and 63 for the schema"
                    .to_owned(),
            );
        };
        Ok(Self { schema: Some(schema).filter(|schema| !schema.is_empty()), table })
    }

    /// The schema, if one is named.
    #[must_use]
    pub fn schema(&self) -> Option<&str> {
        self.schema.as_deref()
    }

    /// The name without the schema.
    #[must_use]
    pub fn table(&self) -> &str {
        &self.table
    }

    /// The table of the attempts.
    #[must_use]
    pub fn attempts(&self) -> Self {
        Self { schema: self.schema.clone(), table: format!("{}{ATTEMPTS}", self.table) }
    }

    /// The name as it stands in SQL.
    #[must_use]
    pub fn quoted(&self) -> String {
        match &self.schema {
            Some(schema) => format!("\"{schema}\".\"{}\"", self.table),
            None => format!("\"{}\"", self.table),
        }
    }
}

/// The name in lower case, if `behind` further characters fit.
fn identifier(name: &str, behind: usize) -> Option<String> {
    let fits = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_';
    let digit = name.starts_with(|first: char| first.is_ascii_digit());
    let valid = !name.is_empty() && !digit && name.bytes().all(fits);
    let short = name.len().saturating_add(behind) <= MAX_IDENTIFIER_BYTES;
    (valid && short).then(|| name.to_ascii_lowercase())
}

/// The value of `llm_cost_dsn`: where the server is, with its password, so that it is never shown.
#[derive(Clone, PartialEq, Eq)]
pub struct Dsn(zeroize::Zeroizing<String>);

impl Dsn {
    /// The line's argument: `env:<name>`, `file:<path>` or the text itself. No message repeats it.
    pub fn parse(args: &[&str]) -> Result<Self, String> {
        const DIRECTIVE: &str = "llm_cost_dsn";
        let [text] = args else {
            return Err(format!("\"{DIRECTIVE}\" needs one argument, quote it"));
        };
        if text.is_empty() || text.contains(char::is_control) || matches!(*text, "env:" | "file:") {
            return Err(format!(
                "invalid value in \"{DIRECTIVE}\", give env:<name>, file:<path> or a text such as \
                 \"host=db dbname=llm user=llm\""
            ));
        }
        Ok(Self(zeroize::Zeroizing::new((*text).to_owned())))
    }

    /// The argument as it was written.
    #[must_use]
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Dsn {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Dsn(***)")
    }
}

/// A path such as the value of `llm_cost_path`.
pub fn file_path(directive: &str, path: &str) -> Result<String, String> {
    if path.is_empty() || path.contains(char::is_control) {
        return Err(format!("invalid path {path:?} in \"{directive}\", give a path"));
    }
    Ok(path.to_owned())
}

#[cfg(test)]
mod tests;
