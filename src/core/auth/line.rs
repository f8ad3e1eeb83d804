//! What does one credential line of a configuration say, and is it spelled right? The directive
//! setters ask. No message repeats an argument that may be a secret: nginx names file and line.

use super::{Scope, Secret};

/// One `llm_auth_*credential` line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CredentialLine {
    /// For whom the key is.
    pub scope: Scope,
    /// The provider it belongs to.
    pub provider: String,
    /// Where the secret is.
    pub source: SecretSource,
    /// `id=`, or the id in `literal-id:`.
    pub id: Option<String>,
    /// `weight=`, at least 1.
    pub weight: u32,
}

/// Where a secret is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SecretSource {
    /// In an environment variable.
    Env(String),
    /// In a file.
    File(String),
    /// In the configuration.
    Literal(Secret),
}

impl SecretSource {
    /// The word in `$llm_auth_key_source`.
    #[must_use]
    pub const fn name(&self) -> &'static str {
        match self {
            Self::Env(_) => "env",
            Self::File(_) => "file",
            Self::Literal(_) => "literal",
        }
    }

    /// What a key is called by its source; a literal says nothing about itself.
    pub(super) fn id(&self) -> Option<String> {
        match self {
            Self::Env(name) => Some(format!("env:{name}")),
            Self::File(path) => Some(format!("file:{path}")),
            Self::Literal(_) => None,
        }
    }
}

/// The scope of an owner.
type OfOwner = fn(String) -> Scope;

impl CredentialLine {
    /// What the arguments behind the directive's name say.
    pub fn parse(directive: &str, args: &[&str]) -> Result<Self, String> {
        let of_owner: Option<OfOwner> = match directive {
            "llm_auth_tenant_credential" => Some(Scope::Tenant),
            "llm_auth_project_credential" => Some(Scope::Project),
            "llm_auth_org_credential" => Some(Scope::Org),
            _ => None,
        };
        let (scope, args) = match (of_owner, args) {
            (None, args) => (Scope::Shared, args),
            (Some(scope), [owner, rest @ ..]) if !owner.is_empty() => {
                (scope((*owner).to_owned()), rest)
            }
            (Some(_), _) => {
                return Err(format!("\"{directive}\" needs an owner, a provider and a secret"));
            }
        };
        let [provider, secret, options @ ..] = args else {
            return Err(format!("\"{directive}\" needs a provider and a secret"));
        };
        if provider.is_empty() {
            return Err(format!("\"{directive}\" needs the name of a provider, not \"\""));
        }
        // Who leaves the provider out has the secret in its place.
        if secret.starts_with("id=") || secret.starts_with("weight=") {
            return Err(format!("\"{directive}\" needs a provider and a secret"));
        }
        if scope != Scope::Shared && !options.is_empty() {
            return Err(format!("\"{directive}\" takes an owner, a provider and a secret only"));
        }
        let (source, id) = source(directive, secret)?;
        let mut line = Self { scope, provider: (*provider).to_owned(), source, id, weight: 1 };
        line.set(directive, options)?;
        Ok(line)
    }

    fn set(&mut self, directive: &str, options: &[&str]) -> Result<(), String> {
        let mut weight = None;
        for option in options {
            if let Some(value) = option.strip_prefix("id=") {
                if self.id.replace(id(directive, value)?).is_some() {
                    return Err(format!("duplicate id in \"{directive}\", a key has one"));
                }
            } else if let Some(value) = option.strip_prefix("weight=") {
                let number = value.parse().ok().filter(|&number| number > 0).ok_or_else(|| {
                    format!("invalid weight in \"{directive}\", give a number such as 1 or 10")
                })?;
                if weight.replace(number).is_some() {
                    return Err(format!("duplicate weight in \"{directive}\""));
                }
            } else {
                return Err(format!(
                    "invalid parameter behind the secret in \"{directive}\", it must be id= or \
                     weight="
                ));
            }
        }
        self.weight = weight.unwrap_or(1);
        Ok(())
    }
}

/// The source that an argument names, and the id that it may have.
fn source(directive: &str, text: &str) -> Result<(SecretSource, Option<String>), String> {
    if let Some(name) = text.strip_prefix("env:") {
        return Ok((SecretSource::Env(variable(directive, name)?), None));
    }
    if let Some(path) = text.strip_prefix("file:") {
        if path.is_empty() || path.contains(char::is_control) {
            return Err(format!("invalid path in \"{directive}\", write file:/path/to/secret"));
        }
        return Ok((SecretSource::File(path.to_owned()), None));
    }
    if let Some(rest) = text.strip_prefix("literal-id:") {
        let Some((name, secret)) = rest.split_once(':') else {
            return Err(format!("no id in \"{directive}\", write literal-id:<id>:<secret>"));
        };
        return Ok((literal(directive, secret)?, Some(id(directive, name)?)));
    }
    if text.starts_with('$') {
        return Err(format!(
            "a variable cannot hold the secret in \"{directive}\", use env:<name> or file:<path>"
        ));
    }
    Ok((literal(directive, text)?, None))
}

fn literal(directive: &str, text: &str) -> Result<SecretSource, String> {
    let secret =
        Secret::new(text).map_err(|why| format!("invalid secret in \"{directive}\", {why}"))?;
    Ok(SecretSource::Literal(secret))
}

/// Somebody may write the key itself behind `env:`, so that the name is not repeated.
fn variable(directive: &str, name: &str) -> Result<String, String> {
    let fits = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_';
    let digit = name.starts_with(|first: char| first.is_ascii_digit());
    if name.is_empty() || digit || !name.bytes().all(fits) {
        return Err(format!(
            "invalid environment variable in \"{directive}\", use letters, digits and \"_\""
        ));
    }
    Ok(name.to_owned())
}

/// Without `:` and `#`, so that no id given looks like one made from a source.
fn id(directive: &str, name: &str) -> Result<String, String> {
    let fits = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.@/".contains(&byte);
    if name.is_empty() || name.len() > 64 || !name.bytes().all(fits) {
        return Err(format!(
            "invalid id in \"{directive}\", use up to 64 letters, digits, \"-\", \"_\", \".\", \
             \"@\" and \"/\""
        ));
    }
    Ok(name.to_owned())
}
