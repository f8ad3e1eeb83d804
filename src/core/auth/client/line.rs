//! What does a line of the key file say, and how is it written? Whole files are read here, and a file
//! that is not whole is refused.

use std::collections::HashSet;
use std::fmt;
use std::sync::Arc;

use super::{Client, Digest, FileError, HEADER, Models, State, Table};

/// Organisations, projects and tiers are few, so that their names are stored once.
#[derive(Default)]
struct Names(HashSet<Arc<str>>);

impl Names {
    fn take(&mut self, name: String) -> Arc<str> {
        if let Some(known) = self.0.get(name.as_str()) {
            return Arc::clone(known);
        }
        let name: Arc<str> = name.into();
        self.0.insert(Arc::clone(&name));
        name
    }
}

pub(super) fn table(bytes: &[u8]) -> Result<Table, FileError> {
    let Ok(text) = std::str::from_utf8(bytes) else {
        return Err(error(1, "the file is not text, restore it from a backup"));
    };
    let mut table = Table::default();
    let mut names = Names::default();
    let mut lines = (1..).zip(text.lines());
    if lines.next().is_none_or(|(_, first)| first.trim_end() != HEADER) {
        return Err(error(1, &format!("no key file, its first line must be \"{HEADER}\"")));
    }
    let mut last = 1;
    while let Some((number, line)) = lines.next() {
        last = number;
        let line = line.trim();
        if line.is_empty() || line.starts_with('#') {
            continue;
        }
        if let Some(count) = line.strip_prefix("end ") {
            return end(table, number, count, lines.map(|(_, line)| line));
        }
        let client = client(line, &mut names).map_err(|text| error(number, &text))?;
        let id = client.key_id.clone();
        if !table.push(client) {
            return Err(error(number, &format!("duplicate key \"{id}\", keep one of its lines")));
        }
    }
    Err(error(
        last,
        "the file ends before its \"end\" line and is not whole, write it again or restore it from \
         a backup",
    ))
}

fn end<'a>(
    table: Table,
    number: usize,
    count: &str,
    mut rest: impl Iterator<Item = &'a str>,
) -> Result<Table, FileError> {
    let keys = table.clients.len();
    if count.trim().parse() != Ok(keys) {
        return Err(error(
            number,
            &format!(
                "the file should have {} keys and has {keys}, lines are missing; if not, \
                      write \"end {keys}\"",
                count.trim()
            ),
        ));
    }
    if rest.any(|line| !line.trim().is_empty()) {
        return Err(error(number + 1, "there are lines behind \"end\", put them before it"));
    }
    Ok(table)
}

fn client(line: &str, names: &mut Names) -> Result<Client, String> {
    let mut words = line.split_ascii_whitespace();
    let (Some(id), Some(state), Some(digest)) = (words.next(), words.next(), words.next()) else {
        return Err("a key needs an id, a state and a hash".to_owned());
    };
    let id = decoded(id)?;
    let state = State::parse(state).ok_or_else(|| {
        format!("unknown state of key \"{id}\", use active, suspended or revoked")
    })?;
    let digest = Digest::parse(digest).ok_or_else(|| bad_hash(&id))?;
    let mut client = Client { state, ..Client::new(&id, digest) };
    let mut seen = 0;
    for word in words {
        let Some((name, value)) = word.split_once('=') else {
            return Err(format!("an attribute of key \"{id}\" has no value, write name=value"));
        };
        let bit = set(&mut client, name, value, names)?;
        if seen & bit != 0 {
            return Err(format!("duplicate attribute \"{name}\" of key \"{id}\", keep one"));
        }
        seen |= bit;
    }
    Ok(client)
}

/// Sets an attribute; the number tells them apart.
fn set(client: &mut Client, name: &str, value: &str, names: &mut Names) -> Result<u16, String> {
    let id = &client.key_id;
    let seconds = || {
        let number = value.parse::<u64>().ok();
        number.ok_or_else(|| format!("\"{name}\" of key \"{id}\" must be seconds since 1970"))
    };
    Ok(match name {
        "org" => store(&mut client.org, 1, names.take(decoded(value)?)),
        "project" => store(&mut client.project, 2, names.take(decoded(value)?)),
        "client" => store(&mut client.client, 4, names.take(decoded(value)?)),
        "tier" => store(&mut client.tier, 8, names.take(decoded(value)?)),
        "models" => {
            let text = decoded(value)?;
            let models = Models::new(text.split(','));
            let models = models.ok_or_else(|| format!("\"models\" of key \"{id}\" has a gap"))?;
            store(&mut client.models, 16, Arc::new(models))
        }
        "expires" => store(&mut client.expires_s, 32, seconds()?),
        "created" => store(&mut client.created_s, 64, seconds()?),
        "old" => {
            let (digest, until) = value.split_once('@').ok_or_else(|| bad_hash(id))?;
            let digest = Digest::parse(digest).ok_or_else(|| bad_hash(id))?;
            let until = until.parse().map_err(|_| bad_hash(id))?;
            store(&mut client.old, 128, (digest, until))
        }
        // A newer writer may restrict a key in a way that we do not know: it must not work here.
        _ => {
            return Err(format!(
                "unknown attribute \"{name}\" of key \"{id}\", use org, project, client, tier, \
                 models, expires, created or old"
            ));
        }
    })
}

fn store<T>(place: &mut Option<T>, bit: u16, value: T) -> u16 {
    *place = Some(value);
    bit
}

fn bad_hash(id: &str) -> String {
    format!("the hash of key \"{id}\" cannot be read, issue the key anew")
}

fn error(line: usize, text: &str) -> FileError {
    FileError { line, text: text.to_owned() }
}

/// What stands between white space: visible ASCII as it is, all else as `%XX`.
fn decoded(word: &str) -> Result<String, String> {
    if !word.contains('%') {
        return Ok(word.to_owned());
    }
    let mut bytes = Vec::with_capacity(word.len());
    let mut rest = word.as_bytes();
    while let Some((&first, behind)) = rest.split_first() {
        rest = behind;
        if first != b'%' {
            bytes.push(first);
            continue;
        }
        let byte = behind.split_at_checked(2).and_then(|(digits, behind)| {
            rest = behind;
            u8::from_str_radix(std::str::from_utf8(digits).ok()?, 16).ok()
        });
        bytes.push(byte.ok_or("a \"%\" must have two hexadecimal digits behind it")?);
    }
    String::from_utf8(bytes).map_err(|_| "a value is not UTF-8".to_owned())
}

/// The other way round.
struct Encoded<'a>(&'a str);

impl fmt::Display for Encoded<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for byte in self.0.bytes() {
            if byte.is_ascii_graphic() && byte != b'%' && byte != b'#' {
                write!(f, "{}", char::from(byte))?;
            } else {
                write!(f, "%{byte:02X}")?;
            }
        }
        Ok(())
    }
}

/// The key's line.
impl fmt::Display for Client {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {} {}", Encoded(&self.key_id), self.state.name(), self.digest)?;
        for (name, value) in [
            ("org", &self.org),
            ("project", &self.project),
            ("client", &self.client),
            ("tier", &self.tier),
        ] {
            if let Some(value) = value {
                write!(f, " {name}={}", Encoded(value))?;
            }
        }
        if let Some(models) = &self.models {
            write!(f, " models={}", Encoded(&models.to_string()))?;
        }
        if let Some(expires_s) = self.expires_s {
            write!(f, " expires={expires_s}")?;
        }
        if let Some(created_s) = self.created_s {
            write!(f, " created={created_s}")?;
        }
        if let Some((digest, until_s)) = &self.old {
            write!(f, " old={digest}@{until_s}")?;
        }
        Ok(())
    }
}
