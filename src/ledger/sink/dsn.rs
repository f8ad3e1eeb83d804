//! Which server does `llm_cost_dsn` name, and how is it to be checked? Read anew for each connection, so
//! that a password can be changed in its file. Nothing of it may reach a message.

use std::path::PathBuf;
use std::time::Duration;

use llm_core::cost::Dsn;
use tokio_postgres::Config;
use tokio_postgres::config::{Host, SslMode};

use super::Failure;
use super::tls::{Check, TlsWish};

/// A server, and what must not be told of it.
pub(super) struct Target {
    pub(super) config: Config,
    pub(super) tls: TlsWish,
    secrets: Vec<String>,
}

impl Target {
    /// Reads the environment or the file that the DSN points to.
    pub(super) fn of(dsn: &Dsn, environment: Option<&str>) -> Result<Self, Failure> {
        let text = dsn.expose();
        let text = if let Some(name) = text.strip_prefix("env:") {
            environment.map(str::to_owned).or_else(|| std::env::var(name).ok()).ok_or_else(
                || {
                    Failure::moment(format_args!(
                        "the environment variable {name:?} of \"llm_cost_dsn\" is not set"
                    ))
                },
            )?
        } else if let Some(path) = text.strip_prefix("file:") {
            std::fs::read_to_string(path).map_err(|error| {
                Failure::moment(format_args!(
                    "the file {path:?} of \"llm_cost_dsn\" cannot be read: {error}"
                ))
            })?
        } else {
            text.to_owned()
        };
        Self::parse(text.trim())
    }

    fn parse(text: &str) -> Result<Self, Failure> {
        let invalid = || {
            // The parser's own text quotes what it did not understand.
            Failure::moment(
                "\"llm_cost_dsn\" is no valid connection string, give one such as \
                 \"host=db dbname=llm user=llm\" or \"postgres://llm@db/llm\"",
            )
        };
        let (rest, options) =
            if is_url(text) { split_url(text) } else { split_pairs(text) }.ok_or_else(invalid)?;
        let mut config: Config = rest.parse().map_err(|_| invalid())?;
        let tls = options.wish()?;
        config
            .ssl_mode(match tls.check {
                Check::NoTls => SslMode::Disable,
                Check::NothingButTry => SslMode::Prefer,
                Check::Nothing | Check::Authority | Check::AuthorityAndName => SslMode::Require,
            })
            .keepalives(true)
            .keepalives_idle(Duration::from_secs(30))
            .keepalives_interval(Duration::from_secs(10))
            .keepalives_retries(3);
        if config.get_application_name().is_none() {
            config.application_name("ngx-llm");
        }
        if config.get_hosts().is_empty() && config.get_hostaddrs().is_empty() {
            config.host("localhost");
        }
        let password =
            config.get_password().map(|bytes| String::from_utf8_lossy(bytes).into_owned());
        let secrets = [Some(text.to_owned()), password];
        let secrets = secrets.into_iter().flatten().filter(|secret| !secret.is_empty()).collect();
        Ok(Self { config, tls, secrets })
    }

    /// `text` without anything that must not be told.
    pub(super) fn scrub(&self, text: String) -> String {
        self.secrets.iter().fold(text, |text, secret| text.replace(secret.as_str(), "***"))
    }

    /// How many addresses share the time for connecting.
    pub(super) fn host_count(&self) -> u32 {
        let hosts = self.config.get_hosts();
        let count = hosts.iter().filter(|host| matches!(host, Host::Tcp(_))).count().max(1);
        u32::try_from(count).unwrap_or(u32::MAX)
    }
}

/// What libpq knows and the client library does not.
#[derive(Default)]
struct Options {
    sslmode: Option<String>,
    sslrootcert: Option<PathBuf>,
    sslcert: Option<PathBuf>,
    sslkey: Option<PathBuf>,
}

impl Options {
    /// Whether the option is one of these.
    fn take(&mut self, key: &str, value: &str) -> bool {
        match key {
            "sslmode" => self.sslmode = Some(value.to_owned()),
            "sslrootcert" => self.sslrootcert = Some(value.into()),
            "sslcert" => self.sslcert = Some(value.into()),
            "sslkey" => self.sslkey = Some(value.into()),
            // libpq's, and without a meaning here.
            "gssencmode" | "sslcompression" | "sslcrl" => {}
            _ => return false,
        }
        true
    }

    fn wish(self) -> Result<TlsWish, Failure> {
        let has_root = self.sslrootcert.is_some();
        let check = match self.sslmode.as_deref() {
            None | Some("prefer" | "allow") => Check::NothingButTry,
            Some("disable") => Check::NoTls,
            // With an authority it checks, as libpq does.
            Some("require") if has_root => Check::Authority,
            Some("require") => Check::Nothing,
            Some("verify-ca") => Check::Authority,
            Some("verify-full") => Check::AuthorityAndName,
            Some(_) => {
                return Err(Failure::moment(
                    "\"sslmode\" of \"llm_cost_dsn\" must be disable, prefer, require, verify-ca or \
                     verify-full",
                ));
            }
        };
        Ok(TlsWish {
            check,
            authorities: self.sslrootcert,
            certificate: self.sslcert,
            key: self.sslkey,
        })
    }
}

fn is_url(text: &str) -> bool {
    text.starts_with("postgres://") || text.starts_with("postgresql://")
}

/// The URL without our options, and these.
fn split_url(text: &str) -> Option<(String, Options)> {
    let mut options = Options::default();
    let Some((front, query)) = text.split_once('?') else {
        return Some((text.to_owned(), options));
    };
    let mut rest = Vec::new();
    for pair in query.split('&').filter(|pair| !pair.is_empty()) {
        let (key, value) = pair.split_once('=')?;
        if !options.take(key, &percent_decoded(value)?) {
            rest.push(pair);
        }
    }
    let mark = if rest.is_empty() { "" } else { "?" };
    Some((format!("{front}{mark}{}", rest.join("&")), options))
}

fn percent_decoded(text: &str) -> Option<String> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut parts = text.split('%');
    bytes.extend_from_slice(parts.next()?.as_bytes());
    for part in parts {
        let (digits, rest) = part.split_at_checked(2)?;
        bytes.push(u8::from_str_radix(digits, 16).ok()?);
        bytes.extend_from_slice(rest.as_bytes());
    }
    String::from_utf8(bytes).ok()
}

/// `key = value` pairs as libpq reads them: blanks around `=`, quotes, backslashes.
fn split_pairs(text: &str) -> Option<(String, Options)> {
    let mut options = Options::default();
    let mut rest = String::new();
    let mut chars = text.chars().peekable();
    loop {
        while chars.next_if(|c| c.is_whitespace()).is_some() {}
        if chars.peek().is_none() {
            return Some((rest, options));
        }
        let mut key = String::new();
        while let Some(c) = chars.next_if(|&c| c != '=' && !c.is_whitespace()) {
            key.push(c);
        }
        while chars.next_if(|c| c.is_whitespace()).is_some() {}
        chars.next_if_eq(&'=')?;
        while chars.next_if(|c| c.is_whitespace()).is_some() {}
        let value = pair_value(&mut chars)?;
        if !options.take(&key, &value) {
            let value = value.replace('\\', "\\\\").replace('\'', "\\'");
            rest.push_str(&format!("{key}='{value}' "));
        }
    }
}

fn pair_value(chars: &mut std::iter::Peekable<std::str::Chars<'_>>) -> Option<String> {
    let is_quoted = chars.next_if_eq(&'\'').is_some();
    let mut value = String::new();
    loop {
        match chars.peek() {
            None if is_quoted => return None,
            None => return Some(value),
            Some(c) if !is_quoted && c.is_whitespace() => return Some(value),
            Some(_) => {}
        }
        match chars.next()? {
            '\'' if is_quoted => return Some(value),
            '\\' => value.push(chars.next()?),
            c => value.push(c),
        }
    }
}

#[cfg(test)]
mod tests;
