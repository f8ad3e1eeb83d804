//! What may a client change for its own request, and what does it ask for? Headers are read only where
//! the operator allows them, lead only to targets that are configured, and are stripped before a
//! provider sees the request.

use super::{ClassSet, Classes, FailureClass, Graph, Policy, Target};
use crate::dialect::Endpoint;
use crate::error::{Rejection, quoted};
use crate::route::{Ask, Routes};

/// More targets than these are refused.
const MAX_TARGETS: usize = 32;
/// A longer timeout, a week, is refused.
const MAX_TIMEOUT_MS: u64 = 7 * 86_400_000;
/// A longer tag is refused.
const MAX_TAG_BYTES: usize = 128;
/// A longer prefix of headers is refused.
const MAX_PREFIX_BYTES: usize = 64;

/// What `llm_fallback_request_headers` lists.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Allowed(u8);

/// What a client may set.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Wish {
    Fallback,
    Timeout,
    Retries,
    On,
    Tag,
    Provider,
}

impl Wish {
    const ALL: [Self; 6] =
        [Self::Fallback, Self::Timeout, Self::Retries, Self::On, Self::Tag, Self::Provider];

    /// The word in the directive.
    const fn name(self) -> &'static str {
        match self {
            Self::Fallback => "fallback",
            Self::Timeout => "timeout",
            Self::Retries => "retries",
            Self::On => "on",
            Self::Tag => "tag",
            Self::Provider => "provider",
        }
    }

    /// The header behind the prefix.
    const fn header(self) -> &'static str {
        match self {
            Self::Fallback => "fallback",
            Self::Timeout => "timeout-ms",
            Self::Retries => "retry-budget",
            Self::On => "fallback-on",
            Self::Tag => "tag",
            Self::Provider => "provider-pin",
        }
    }
}

impl Allowed {
    /// What the arguments `off | <name>…` allow.
    pub fn parse(words: &[&str]) -> Result<Self, String> {
        if words == ["off"] {
            return Ok(Self(0));
        }
        let mut allowed = Self(0);
        for word in words {
            let Some(wish) = Wish::ALL.into_iter().find(|wish| wish.name() == *word) else {
                return Err(format!(
                    "invalid value \"{word}\" in \"llm_fallback_request_headers\", it must be off \
                     alone or any of {}",
                    Wish::ALL.map(Wish::name).join(", ")
                ));
            };
            allowed.0 |= 1 << wish as u8;
        }
        Ok(allowed)
    }

    /// Whether nothing is allowed.
    #[must_use]
    pub const fn is_off(self) -> bool {
        self.0 == 0
    }

    const fn has(self, wish: Wish) -> bool {
        self.0 >> wish as u8 & 1 == 1
    }
}

/// The argument of `llm_fallback_header_prefix`, in lower case.
pub fn header_prefix(word: &str) -> Result<String, String> {
    let fits = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_');
    if word.len() < 2
        || word.len() > MAX_PREFIX_BYTES
        || !word.ends_with('-')
        || !word.bytes().all(fits)
    {
        return Err(format!(
            "invalid prefix {word:?} in \"llm_fallback_header_prefix\", use letters, digits and \
             \"-\" with a \"-\" at the end, such as x-llm-"
        ));
    }
    Ok(word.to_ascii_lowercase())
}

/// The request that wishes are read for.
#[derive(Debug, Clone, Copy)]
pub struct Asked<'a> {
    /// The catalog.
    pub routes: &'a Routes,
    /// The edges.
    pub graph: &'a Graph,
    /// The model as the client wrote it.
    pub client_model: Option<&'a str>,
    /// Where routing sends the request: index into [`Routes::providers`].
    pub provider: usize,
    /// The model it is sent with.
    pub model: Option<&'a str>,
}

/// Which targets a client chose to follow the first.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Chosen {
    /// None.
    Off,
    /// These, in this order, in the place of the configured ones.
    Targets(Vec<Target>),
}

/// What a client asks for.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Overrides {
    /// `X-LLM-Fallback`
    pub fallback: Option<Chosen>,
    /// `X-LLM-Timeout-Ms`: of each attempt, at least 1.
    pub timeout_ms: Option<u64>,
    /// `X-LLM-Retry-Budget`: attempts behind the first.
    pub retries: Option<u32>,
    /// `X-LLM-Fallback-On`
    pub on: Option<ClassSet>,
    /// `X-LLM-Tag`: visible ASCII and blanks.
    pub tag: Option<String>,
    /// `X-LLM-Provider-Pin`: the only target.
    pub pin: Option<Target>,
}

impl Overrides {
    /// The models that the client names in headers; where a pin leads is the operator's choice.
    pub fn models(&self) -> impl Iterator<Item = &str> {
        let named = match &self.fallback {
            Some(Chosen::Targets(targets)) => targets.as_slice(),
            Some(Chosen::Off) | None => &[],
        };
        named.iter().filter_map(|target| target.model.as_deref())
    }

    /// What the headers ask for. `headers` is asked with whole names in lower case, `prefix` is what
    /// [`header_prefix`] gave.
    pub fn read<'a>(
        allowed: Allowed,
        prefix: &str,
        headers: impl Fn(&str) -> Option<&'a [u8]>,
        asked: &Asked<'_>,
    ) -> Result<Self, Rejection> {
        let mut overrides = Self::default();
        for wish in Wish::ALL.into_iter().filter(|wish| allowed.has(*wish)) {
            let name = format!("{prefix}{}", wish.header());
            let Some(value) = headers(&name) else { continue };
            let text = std::str::from_utf8(value).map_err(|_| malformed(&name, "is not text"))?;
            overrides.set(wish, &name, text.trim(), asked)?;
        }
        Ok(overrides)
    }

    /// Whether the client wants no other target than the first.
    #[must_use]
    pub fn disables_fallback(&self) -> bool {
        self.pin.is_some() || self.fallback == Some(Chosen::Off)
    }

    /// The targets of the request: those that the client chose, else the configured ones.
    #[must_use]
    pub fn targets(&self, asked: &Asked<'_>) -> Vec<Target> {
        if let Some(pin) = &self.pin {
            return vec![pin.clone()];
        }
        match &self.fallback {
            None => asked.graph.targets(asked.provider, asked.model, asked.routes),
            Some(Chosen::Off) => vec![Target::first(asked.provider, asked.model)],
            Some(Chosen::Targets(chosen)) => {
                let mut targets = vec![Target::first(asked.provider, asked.model)];
                for target in chosen {
                    if !targets.iter().any(|t| t.is_at(target.provider, target.model.as_deref())) {
                        targets.push(target.clone());
                    }
                }
                targets
            }
        }
    }

    /// The policy for this request. A client cannot have more attempts than the operator allows.
    #[must_use]
    pub fn apply(&self, policy: &Policy) -> Policy {
        let mut policy = policy.clone();
        if let Some(on) = &self.on {
            policy.on.clone_from(on);
        }
        if let Some(retries) = self.retries {
            policy.max_attempts = policy.max_attempts.min(retries.saturating_add(1));
        }
        policy
    }

    fn set(
        &mut self,
        wish: Wish,
        name: &str,
        value: &str,
        asked: &Asked<'_>,
    ) -> Result<(), Rejection> {
        match wish {
            Wish::Fallback => self.fallback = Some(chosen(name, value, asked)?),
            Wish::Timeout => {
                let ms = number(value).filter(|ms| (1..=MAX_TIMEOUT_MS).contains(ms));
                let why = format!("is not a number of milliseconds from 1 to {MAX_TIMEOUT_MS}");
                self.timeout_ms = Some(ms.ok_or_else(|| malformed(name, &why))?);
            }
            Wish::Retries => {
                let retries = number(value).and_then(|retries| retries.try_into().ok());
                self.retries = Some(retries.ok_or_else(|| malformed(name, "is not a number"))?);
            }
            Wish::On => self.on = Some(classes(name, value)?),
            Wish::Tag => {
                let fits = |byte: u8| byte.is_ascii_graphic() || byte == b' ';
                if value.is_empty() || value.len() > MAX_TAG_BYTES || !value.bytes().all(fits) {
                    let why = format!("is not 1 to {MAX_TAG_BYTES} visible ASCII characters");
                    return Err(malformed(name, &why));
                }
                self.tag = Some(value.to_owned());
            }
            Wish::Provider => self.pin = Some(with_model(value, asked)?),
        }
        Ok(())
    }
}

/// `off`, or targets that the catalog or an edge allows.
fn chosen(name: &str, value: &str, asked: &Asked<'_>) -> Result<Chosen, Rejection> {
    if value.eq_ignore_ascii_case("off") {
        return Ok(Chosen::Off);
    }
    if value.split(',').count() > MAX_TARGETS {
        return Err(malformed(name, &format!("names more than {MAX_TARGETS} targets")));
    }
    let targets = value.split(',').map(str::trim).map(|entry| match entry.split_once('/') {
        Some(("", _) | (_, "")) => Err(malformed(name, "is neither off nor a list of targets")),
        None if entry.is_empty() => Err(malformed(name, "is neither off nor a list of targets")),
        Some((provider, model)) => target(provider, model, asked),
        None => with_model(entry, asked),
    });
    Ok(Chosen::Targets(targets.collect::<Result<_, _>>()?))
}

/// A model at a provider, if the catalog gives it to the client there or an edge leads there.
fn target(provider: &str, model: &str, asked: &Asked<'_>) -> Result<Target, Rejection> {
    let refused = || Rejection::provider_not_allowed(provider, Some(model));
    let index = asked.routes.provider_index(provider).ok_or_else(refused)?;
    let by_edge = asked.configured(|target| target.is_at(index, Some(model)));
    by_edge.or_else(|| in_catalog(provider, Some(model), asked)).ok_or_else(refused)
}

/// The request's own model at a provider, if an edge, the catalog or an alias allows it there.
fn with_model(provider: &str, asked: &Asked<'_>) -> Result<Target, Rejection> {
    let refused = || Rejection::provider_not_allowed(provider, asked.client_model);
    let index = asked.routes.provider_index(provider).ok_or_else(refused)?;
    asked
        .configured(|target| target.provider == index)
        .or_else(|| in_catalog(provider, asked.client_model, asked))
        .or_else(|| in_catalog(provider, asked.model, asked))
        .ok_or_else(refused)
}

impl Asked<'_> {
    /// The first configured target that is accepted.
    fn configured(&self, accept: impl Fn(&Target) -> bool) -> Option<Target> {
        let targets = self.graph.targets(self.provider, self.model, self.routes);
        let found = targets.into_iter().find(accept)?;
        Some(Target { parent: None, ..found })
    }
}

fn in_catalog(provider: &str, model: Option<&str>, asked: &Asked<'_>) -> Option<Target> {
    let ask = Ask {
        endpoint: if model.is_some() { Endpoint::Chat } else { Endpoint::Other },
        method_has_body: model.is_some(),
        model,
        provider_field: Some(provider),
    };
    let found = asked.routes.resolve(&ask).ok()?;
    Some(Target::first(found.provider, found.model.as_deref()))
}

/// Class words, and the short ones that other gateways' clients use.
fn classes(name: &str, value: &str) -> Result<ClassSet, Rejection> {
    use FailureClass as Class;
    let mut set = ClassSet::empty();
    let words = value.split([',', ' ']).filter(|word| !word.is_empty());
    for word in words {
        let short: &[Class] = match word {
            "5xx" => &[Class::Upstream5xx],
            "429" => &[Class::RateLimited],
            "timeout" => &[Class::TransportTimeout, Class::FirstTokenTimeout],
            "filter" => &[Class::ContentFilter],
            "4xx" => &[
                Class::RateLimited,
                Class::AuthError,
                Class::NotFound,
                Class::QuotaExhausted,
                Class::ContextLength,
            ],
            _ => &[],
        };
        if !short.is_empty() {
            set.classes = set.classes.with(Classes::of(short));
        } else if !set.add(word) {
            let why = format!("has the unknown failure class \"{}\"", quoted(word));
            return Err(malformed(name, &why));
        }
    }
    if set == ClassSet::empty() {
        return Err(malformed(name, "names no failure class"));
    }
    Ok(set)
}

/// Digits only; a sign is malformed.
fn number(text: &str) -> Option<u64> {
    text.bytes().all(|byte| byte.is_ascii_digit()).then(|| text.parse().ok())?
}

fn malformed(name: &str, why: &str) -> Rejection {
    Rejection::new(400, "invalid_header", format!("The header \"{name}\" {why}."))
}

#[cfg(test)]
mod tests;
