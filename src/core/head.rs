//! What does the request head for a provider look like, given the one that nginx's proxy module
//! wrote? `attempt` asks before each try. It decides lines, it does not send them.

mod arguments;
mod private;

use arguments::put_without_credentials;
use private::{is_private, starts_with};

use crate::auth::Secret;
use crate::dialect::Dialect;

/// What Anthropic's API needs where neither client nor operator say it.
const ANTHROPIC_VERSION: &str = "2023-06-01";

/// What the head must say.
#[derive(Debug, Clone, Copy)]
pub struct HeadEdit<'a> {
    /// The provider's host.
    pub host: &'a str,
    /// Values of `Host` that nobody can have meant for a provider: the upstream block's name, which
    /// is nginx's default, and the host that the client asked for.
    pub wrong_hosts: &'a [&'a [u8]],
    /// `anthropic-version`, in the place of the client's.
    pub version: Option<&'a str>,
    /// Prefixes of our own request headers, which providers must not see, in lower case.
    pub own_prefixes: &'a [&'a str],
    /// Whose credential the request has.
    pub credential: Credential<'a>,
}

/// Whose credential a provider gets.
#[derive(Debug, Clone, Copy, Default)]
pub enum Credential<'a> {
    /// What the client sent, untouched: `llm_auth` is off.
    #[default]
    Client,
    /// The operator's, and nothing that the client sent to be known by.
    Operator {
        /// What the provider speaks.
        dialect: Dialect,
        /// The key; `None` sends the request without one.
        secret: Option<&'a Secret>,
    },
}

impl<'a> HeadEdit<'a> {
    /// For a provider's host: no other host is wrong, no version is set, `x-llm-` headers are ours and
    /// the credential is the client's.
    #[must_use]
    pub const fn new(host: &'a str) -> Self {
        Self {
            host,
            wrong_hosts: &[],
            version: None,
            own_prefixes: &["x-llm-"],
            credential: Credential::Client,
        }
    }
}

/// Headers that never go to a provider: answers must arrive unencoded for their tokens to be
/// counted, and the connection to a provider is not the client's.
const DROPPED: [&str; 4] = ["accept-encoding", "te", "upgrade", "proxy-connection"];

/// The head for the provider: HTTP/1.1, with a right `Host`, without what must not be seen. Bytes
/// behind the head (`proxy_set_body`) stay. `None` when the text is not a request head.
#[must_use]
pub fn edit(text: &[u8], edit: &HeadEdit<'_>) -> Option<Vec<u8>> {
    let mut lines = Lines(text);
    let request_line = lines.next()?;
    let request_line = request_line
        .strip_suffix(b" HTTP/1.0")
        .or_else(|| request_line.strip_suffix(b" HTTP/1.1"))?;
    let mut out = Vec::with_capacity(text.len() + 128);
    match edit.credential {
        Credential::Client => out.extend_from_slice(request_line),
        Credential::Operator { .. } => put_without_credentials(&mut out, request_line),
    }
    out.extend_from_slice(b" HTTP/1.1\r\n");
    let (mut host_seen, mut version_seen) = (false, false);
    loop {
        let line = lines.next()?;
        if line.is_empty() {
            break;
        }
        let colon = memchr::memchr(b':', line)?;
        let (name, value) = line.split_at_checked(colon)?;
        let value = value.get(1..)?.trim_ascii();
        if name.eq_ignore_ascii_case(b"host") {
            host_seen = true;
            let wrong =
                value.is_empty() || edit.wrong_hosts.iter().any(|host| same_host(host, value));
            put(&mut out, b"Host", if wrong { edit.host.as_bytes() } else { value });
        } else if !is_dropped(name, value, edit) {
            version_seen |= name.eq_ignore_ascii_case(b"anthropic-version");
            out.extend_from_slice(line);
            out.extend_from_slice(b"\r\n");
        }
    }
    if !host_seen {
        put(&mut out, b"Host", edit.host.as_bytes());
    }
    if let Some(version) = edit.version {
        put(&mut out, b"anthropic-version", version.as_bytes());
        version_seen = true;
    }
    if let Credential::Operator { dialect, secret } = edit.credential {
        identify(&mut out, dialect, secret, version_seen);
    }
    out.extend_from_slice(b"\r\n");
    out.extend_from_slice(lines.0);
    Some(out)
}

/// Says who asks, as the dialect does.
fn identify(out: &mut Vec<u8>, dialect: Dialect, secret: Option<&Secret>, version_seen: bool) {
    let key = secret.map(Secret::reveal);
    match dialect {
        Dialect::OpenAi => {
            if let Some(key) = key {
                put(out, b"Authorization", format!("Bearer {key}").as_bytes());
            }
        }
        Dialect::Anthropic => {
            if let Some(key) = key {
                put(out, b"x-api-key", key.as_bytes());
            }
            if !version_seen {
                put(out, b"anthropic-version", ANTHROPIC_VERSION.as_bytes());
            }
        }
    }
}

/// The name of a `server` line of an upstream block, without its port.
#[must_use]
pub fn host_of_server(name: &str) -> &str {
    if name.starts_with("unix:") {
        return "localhost";
    }
    if name.starts_with('[') {
        return name.split_inclusive(']').next().unwrap_or(name);
    }
    name.split(':').next().unwrap_or(name)
}

fn is_dropped(name: &[u8], value: &[u8], edit: &HeadEdit<'_>) -> bool {
    let is = |word: &str| name.eq_ignore_ascii_case(word.as_bytes());
    // "close" is what the proxy module writes by itself; it would end every keep-alive.
    is("connection") && value.eq_ignore_ascii_case(b"close")
        || DROPPED.iter().any(|word| is(word))
        || edit.version.is_some() && is("anthropic-version")
        || edit.own_prefixes.iter().any(|prefix| starts_with(name, prefix))
        || match edit.credential {
            Credential::Client => false,
            Credential::Operator { dialect, .. } => {
                is_private(name, dialect) || value.is_empty() && is("anthropic-version")
            }
        }
}

/// nginx's `$host` is the client's in lower case and without the dot of a full name.
fn same_host(one: &[u8], other: &[u8]) -> bool {
    let without_dot = |host| <[u8]>::strip_suffix(host, b".").unwrap_or(host);
    without_dot(one).eq_ignore_ascii_case(without_dot(other))
}

fn put(out: &mut Vec<u8>, name: &[u8], value: &[u8]) {
    out.extend_from_slice(name);
    out.extend_from_slice(b": ");
    out.extend_from_slice(value);
    out.extend_from_slice(b"\r\n");
}

/// What is left of a text whose lines end with both bytes.
struct Lines<'a>(&'a [u8]);

impl<'a> Iterator for Lines<'a> {
    type Item = &'a [u8];

    fn next(&mut self) -> Option<&'a [u8]> {
        memchr::memchr_iter(b'\n', self.0).find_map(|end| {
            let line = self.0.get(..end)?.strip_suffix(b"\r")?;
            self.0 = self.0.get(end + 1..)?;
            Some(line)
        })
    }
}

#[cfg(test)]
mod tests;
