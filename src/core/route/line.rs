//! What does one line of a configuration say, and is it spelled right? The directive setters ask;
//! whether the lines fit together is for the check.

use crate::dialect::Dialect;
use crate::units::{Zero, time_ms};

/// One provider, as its `llm_proxy_route` line says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Provider {
    /// The name in directives, variables, logs and headers.
    pub name: String,
    /// The `upstream {}` block.
    pub upstream: String,
    /// What it speaks.
    pub dialect: Dialect,
    /// `host=`: Host header and SNI; else the name in the block's first `server` line.
    pub host: Option<String>,
    /// `base=`: what its paths begin with, without a trailing slash; empty for the root.
    pub base: String,
    /// `ssl=`: whether to speak TLS, whatever the scheme in `proxy_pass`.
    pub ssl: Option<bool>,
    /// `ssl_name=`: SNI and the name in the certificate, where it is not the host.
    pub ssl_name: Option<String>,
    /// `ssl_verify=`: whether the certificate is verified.
    pub ssl_verify: bool,
    /// `connect_timeout=`, never 0.
    pub connect_timeout_ms: Option<u64>,
    /// `response_timeout=`, never 0.
    pub response_timeout_ms: Option<u64>,
    /// `first_token_timeout=`; 0 is no limit.
    pub first_token_timeout_ms: Option<u64>,
    /// `idle_timeout=`, never 0.
    pub idle_timeout_ms: Option<u64>,
    /// `max_input=`: estimated tokens that fit.
    pub max_input_tokens: Option<u64>,
    /// `anthropic-version`, from `llm_proxy_provider_version`.
    pub version: Option<String>,
}

/// An `llm_proxy_model_pattern` line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pattern {
    /// A model's name, or a wildcard with one or more `*`.
    pub pattern: String,
    /// The provider that serves it.
    pub provider: String,
}

/// An `llm_proxy_model_alias` line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Alias {
    /// The name clients use.
    pub public: String,
    /// The provider that serves it.
    pub provider: String,
    /// The name the provider gets.
    pub model: String,
}

/// An `llm_proxy_provider_version` line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Version {
    /// The provider.
    pub provider: String,
    /// The value of `anthropic-version`.
    pub version: String,
}

/// Reads `llm_proxy_route` lines.
#[derive(Debug, Clone, Copy)]
pub struct RouteLine;

const ROUTE: &str = "llm_proxy_route";
const PARAMETERS: &str = "host=, base=, ssl=, ssl_name=, ssl_verify=, connect_timeout=, \
                          response_timeout=, first_token_timeout=, idle_timeout= or max_input=";

impl RouteLine {
    /// The provider that the arguments behind the directive's name describe.
    pub fn parse(args: &[&str]) -> Result<Provider, String> {
        let [name, upstream, options @ ..] = args else {
            return Err(format!("\"{ROUTE}\" needs a provider and an upstream"));
        };
        let mut provider = Provider {
            name: provider_name(ROUTE, name)?,
            upstream: upstream_name(upstream)?,
            dialect: Dialect::default(),
            host: None,
            base: "/v1".to_owned(),
            ssl: None,
            ssl_name: None,
            ssl_verify: true,
            connect_timeout_ms: None,
            response_timeout_ms: None,
            first_token_timeout_ms: None,
            idle_timeout_ms: None,
            max_input_tokens: None,
            version: None,
        };
        let mut seen: Vec<&str> = Vec::new();
        for option in options {
            let key = option.split_once('=').map_or("dialect", |(key, _)| key);
            if seen.contains(&key) {
                return Err(format!("duplicate {key} in \"{ROUTE} {name}\": \"{option}\""));
            }
            seen.push(key);
            provider.set(option)?;
        }
        Ok(provider)
    }
}

impl Provider {
    fn set(&mut self, option: &str) -> Result<(), String> {
        let Some((key, value)) = option.split_once('=') else {
            self.dialect = Dialect::parse(option).ok_or_else(|| {
                format!(
                    "invalid parameter \"{option}\" in \"{ROUTE}\", it must be openai, anthropic, \
                     {PARAMETERS}"
                )
            })?;
            return Ok(());
        };
        match key {
            "host" => self.host = Some(host(option, value)?),
            "base" => self.base = base(option, value)?,
            "ssl" => self.ssl = Some(switch(option, value)?),
            "ssl_name" => self.ssl_name = Some(host(option, value)?),
            "ssl_verify" => self.ssl_verify = switch(option, value)?,
            "connect_timeout" => {
                self.connect_timeout_ms = Some(time(option, value, Zero::Refused)?);
            }
            "response_timeout" => {
                self.response_timeout_ms = Some(time(option, value, Zero::Refused)?);
            }
            "first_token_timeout" => {
                self.first_token_timeout_ms = Some(time(option, value, Zero::Off)?);
            }
            "idle_timeout" => self.idle_timeout_ms = Some(time(option, value, Zero::Refused)?),
            "max_input" => self.max_input_tokens = Some(tokens(option, value)?),
            _ => {
                return Err(format!(
                    "invalid parameter \"{option}\" in \"{ROUTE}\", it must be openai, anthropic, \
                     {PARAMETERS}"
                ));
            }
        }
        Ok(())
    }
}

impl Pattern {
    /// The pattern that `<pattern> <provider>` says.
    pub fn parse(args: &[&str]) -> Result<Self, String> {
        const DIRECTIVE: &str = "llm_proxy_model_pattern";
        let [pattern, provider] = args else {
            return Err(format!("\"{DIRECTIVE}\" needs a pattern and a provider"));
        };
        let pattern = model_name(DIRECTIVE, pattern)?;
        Ok(Self { pattern, provider: provider_name(DIRECTIVE, provider)? })
    }

    /// Whether the pattern is one model's name.
    #[must_use]
    pub fn is_exact(&self) -> bool {
        !self.pattern.contains('*')
    }
}

impl Alias {
    /// The alias that `<public> <provider>/<model>` says.
    pub fn parse(args: &[&str]) -> Result<Self, String> {
        const DIRECTIVE: &str = "llm_proxy_model_alias";
        let [public, target] = args else {
            return Err(format!("\"{DIRECTIVE}\" needs a public name and a provider/model"));
        };
        let Some((provider, model)) = target.split_once('/') else {
            return Err(format!(
                "invalid target \"{target}\" in \"{DIRECTIVE}\", it must be provider/model"
            ));
        };
        for name in [public, &model] {
            if name.contains('*') {
                return Err(format!(
                    "invalid name \"{name}\" in \"{DIRECTIVE}\", an alias cannot have a \"*\""
                ));
            }
        }
        Ok(Self {
            public: model_name(DIRECTIVE, public)?,
            provider: provider_name(DIRECTIVE, provider)?,
            model: model_name(DIRECTIVE, model)?,
        })
    }
}

impl Version {
    /// The version that `<provider> <version>` says.
    pub fn parse(args: &[&str]) -> Result<Self, String> {
        const DIRECTIVE: &str = "llm_proxy_provider_version";
        let [provider, version] = args else {
            return Err(format!("\"{DIRECTIVE}\" needs a provider and a version"));
        };
        // It becomes the value of a header.
        if version.is_empty() || !version.bytes().all(|byte| byte.is_ascii_graphic()) {
            return Err(format!(
                "invalid version {version:?} in \"{DIRECTIVE}\", use visible ASCII characters such \
                 as 2023-06-01"
            ));
        }
        let provider = provider_name(DIRECTIVE, provider)?;
        Ok(Self { provider, version: (*version).to_owned() })
    }
}

/// Provider names stand in headers, chains (`provider/model:status, …`) and slugs.
fn provider_name(directive: &str, name: &str) -> Result<String, String> {
    let fits = |byte: u8| byte.is_ascii_graphic() && !matches!(byte, b',' | b'/' | b'"' | b'*');
    if name.is_empty() || !name.bytes().all(fits) {
        return Err(format!(
            "invalid provider name {name:?} in \"{directive}\", use letters, digits, \"-\", \"_\" \
             and \".\""
        ));
    }
    Ok(name.to_owned())
}

fn upstream_name(name: &str) -> Result<String, String> {
    let fits = |c: char| !c.is_control() && !c.is_whitespace() && !matches!(c, '/' | '=' | '$');
    if name.is_empty() || !name.chars().all(fits) {
        return Err(format!(
            "invalid upstream {name:?} in \"{ROUTE}\", give the name of an upstream block"
        ));
    }
    Ok(name.to_owned())
}

/// The name or pattern of a model, in any directive.
pub(crate) fn model_name(directive: &str, name: &str) -> Result<String, String> {
    if name.trim().is_empty()
        || name.contains(char::is_control)
        || name.len() > crate::request::MAX_MODEL_BYTES
    {
        return Err(format!(
            "invalid model name {name:?} in \"{directive}\", use 1 to {} bytes without control \
             characters",
            crate::request::MAX_MODEL_BYTES
        ));
    }
    Ok(name.to_owned())
}

fn host(option: &str, value: &str) -> Result<String, String> {
    let fits = |byte: u8| byte.is_ascii_alphanumeric() || b".-_:[]".contains(&byte);
    if value.is_empty() || !value.bytes().all(fits) {
        return Err(format!(
            "invalid host in \"{option}\" in \"{ROUTE}\", give a name such as api.example.com, \
             without scheme or path"
        ));
    }
    Ok(value.to_owned())
}

fn base(option: &str, value: &str) -> Result<String, String> {
    let fits = |byte: u8| byte.is_ascii_graphic() && !matches!(byte, b'?' | b'#');
    if !value.starts_with('/') || !value.bytes().all(fits) {
        return Err(format!(
            "invalid path in \"{option}\" in \"{ROUTE}\", give one that starts with \"/\" such as \
             /v1"
        ));
    }
    Ok(value.trim_end_matches('/').to_owned())
}

fn switch(option: &str, value: &str) -> Result<bool, String> {
    match value {
        "on" => Ok(true),
        "off" => Ok(false),
        _ => Err(format!("invalid value in \"{option}\" in \"{ROUTE}\", it must be on or off")),
    }
}

fn time(option: &str, value: &str, zero: Zero) -> Result<u64, String> {
    let time = time_ms(value, zero);
    time.ok_or_else(|| {
        format!("invalid time in \"{option}\" in \"{ROUTE}\", give one such as 30s or 500ms")
    })
}

fn tokens(option: &str, value: &str) -> Result<u64, String> {
    value.parse().ok().filter(|&tokens| tokens > 0).ok_or_else(|| {
        format!("invalid number in \"{option}\" in \"{ROUTE}\", give tokens such as 128000")
    })
}
