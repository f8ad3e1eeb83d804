//! What does a model cost at a provider? Asked before a request is sent, for what it will cost at
//! most, and when it has ended. Patterns match as in the catalog; the card is checked when nginx
//! starts.

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;

use super::line::{CACHED_RATE, CachedRateLine, RATE, RATE_UNIT, RateLine, RateUnitLine};
use super::rate::{Rate, Rates};
use crate::pattern::{Pattern, fold};

/// What prices are counted in unless said otherwise.
pub const DEFAULT_UNIT: &str = "usd";

/// Longer names are folded on the heap.
const FOLDED_BYTES: usize = 256;

/// The lines of a card, in the order they were written.
#[derive(Debug, Clone, Default)]
pub struct RateLines {
    /// `llm_cost_rate` lines.
    pub rates: Vec<RateLine>,
    /// `llm_cost_cached_rate` lines.
    pub cached: Vec<CachedRateLine>,
    /// `llm_cost_rate_unit` lines.
    pub units: Vec<RateUnitLine>,
    /// `llm_cost_rate_card_version`.
    pub version: Option<String>,
}

/// A card that has been checked.
#[derive(Debug, Clone, Default)]
pub struct RateCard {
    /// By name in lower case. There are few, so that comparing is quicker than hashing.
    providers: BTreeMap<String, Provider>,
    version: Option<String>,
}

#[derive(Debug, Clone, Default)]
struct Provider {
    /// As it was first written, for messages.
    name: String,
    unit: Option<String>,
    rates: Prices<Base>,
    cached: Prices<Cached>,
}

#[derive(Debug, Clone, Copy)]
struct Base {
    input: Rate,
    output: Rate,
}

#[derive(Debug, Clone, Copy)]
struct Cached {
    read: Rate,
    write: Option<Rate>,
    write_1h: Option<Rate>,
}

/// Prices by model.
#[derive(Debug, Clone)]
struct Prices<T> {
    exact: BTreeMap<String, T>,
    /// The best pattern first.
    wildcards: Vec<(Pattern, T)>,
}

impl RateCard {
    /// The card of these lines. The error is for the operator.
    pub fn new(lines: &RateLines) -> Result<Self, String> {
        let mut card = Self { version: lines.version.clone(), ..Self::default() };
        for RateLine { provider, pattern, input, output } in &lines.rates {
            let base = Base { input: *input, output: *output };
            if !card.entry(provider).rates.add(pattern, base) {
                return Err(duplicate(RATE, provider, pattern));
            }
        }
        for CachedRateLine { provider, pattern, read, write, write_1h } in &lines.cached {
            let prices = card.entry(provider);
            if !prices.rates.meet(&Pattern::new(pattern)) {
                return Err(format!(
                    "no \"{RATE}\" is for a model that \"{CACHED_RATE} {provider} {pattern}\" is \
                     for, add one"
                ));
            }
            let cached = Cached { read: *read, write: *write, write_1h: *write_1h };
            if !prices.cached.add(pattern, cached) {
                return Err(duplicate(CACHED_RATE, provider, pattern));
            }
        }
        for RateUnitLine { provider, unit } in &lines.units {
            if card.entry(provider).unit.replace(unit.clone()).is_some() {
                return Err(format!(
                    "duplicate \"{RATE_UNIT} {provider}\", a provider has one unit"
                ));
            }
        }
        for provider in card.providers.values_mut() {
            provider.rates.sort();
            provider.cached.sort();
        }
        Ok(card)
    }

    /// The prices of a model. The best line for its tokens and the best line for its cached tokens
    /// are found each by itself; what neither says costs what other input does.
    #[must_use]
    pub fn rates(&self, provider: &str, model: &str) -> Option<Rates> {
        let provider = folded(provider, |name| self.providers.get(name))?;
        folded(model, |model| {
            let base = provider.rates.find(model)?;
            let Some(cached) = provider.cached.find(model) else {
                return Some(Rates::flat(base.input, base.output));
            };
            let cache_write = cached.write.unwrap_or(base.input);
            Some(Rates {
                input: base.input,
                cache_read: cached.read,
                cache_write,
                cache_write_1h: cached.write_1h.unwrap_or(cache_write),
                output: base.output,
            })
        })
    }

    /// What a provider's prices are counted in.
    #[must_use]
    pub fn unit(&self, provider: &str) -> &str {
        let provider = folded(provider, |name| self.providers.get(name));
        provider.and_then(|provider| provider.unit.as_deref()).unwrap_or(DEFAULT_UNIT)
    }

    /// The label of the card.
    #[must_use]
    pub fn version(&self) -> Option<&str> {
        self.version.as_deref()
    }

    /// Whether it has no price at all.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.providers.values().all(|provider| provider.rates.is_empty())
    }

    /// What is allowed and looks like a mistake, given the names of the configured providers.
    #[must_use]
    pub fn warnings(&self, configured: &[&str]) -> Vec<String> {
        let known = |name: &str| configured.iter().any(|other| fold(other) == fold(name));
        let mut warnings = Vec::new();
        for provider in self.providers.values() {
            let name = &provider.name;
            let directive = if provider.rates.is_empty() { RATE_UNIT } else { RATE };
            if !known(name) {
                warnings.push(format!(
                    "\"{directive} {name}\" is for a provider that no \"llm_proxy_route\" has"
                ));
            }
        }
        for name in configured {
            let provider = self.providers.get(&*fold(name));
            if !self.is_empty() && provider.is_none_or(|provider| provider.rates.is_empty()) {
                warnings.push(format!(
                    "no \"{RATE}\" is for \"{name}\", its requests have no cost and the status \
                     no_rate"
                ));
            }
        }
        warnings.sort();
        warnings
    }

    fn entry(&mut self, name: &str) -> &mut Provider {
        let provider = self.providers.entry(fold(name).into_owned()).or_default();
        if provider.name.is_empty() {
            name.clone_into(&mut provider.name);
        }
        provider
    }
}

impl<T: Copy> Prices<T> {
    /// Whether there was no price for the pattern yet.
    fn add(&mut self, pattern: &str, price: T) -> bool {
        if !pattern.contains('*') {
            return match self.exact.entry(fold(pattern).into_owned()) {
                Entry::Vacant(vacant) => {
                    vacant.insert(price);
                    true
                }
                Entry::Occupied(_) => false,
            };
        }
        let pattern = Pattern::new(pattern);
        let new = self.wildcards.iter().all(|(other, _)| *other != pattern);
        self.wildcards.push((pattern, price));
        new
    }

    fn sort(&mut self) {
        self.wildcards.sort_by(|(a, _), (b, _)| a.best_first(b));
    }

    /// The price of a model; its name is in lower case.
    fn find(&self, model: &str) -> Option<T> {
        let matching = || self.wildcards.iter().find(|(pattern, _)| pattern.matches(model));
        self.exact.get(model).or_else(|| matching().map(|(_, price)| price)).copied()
    }

    /// Whether a model of `pattern` may have a price here.
    fn meet(&self, pattern: &Pattern) -> bool {
        self.exact.keys().any(|model| pattern.matches(model))
            || self.wildcards.iter().any(|(other, _)| other.meets(pattern))
    }

    fn is_empty(&self) -> bool {
        self.exact.is_empty() && self.wildcards.is_empty()
    }
}

impl<T> Default for Prices<T> {
    fn default() -> Self {
        Self { exact: BTreeMap::new(), wildcards: Vec::new() }
    }
}

fn duplicate(directive: &str, provider: &str, pattern: &str) -> String {
    format!("duplicate \"{directive} {provider} {pattern}\", a model has one price")
}

/// Calls `ask` with the name in lower case, without the heap for any usual name.
fn folded<R>(name: &str, ask: impl FnOnce(&str) -> R) -> R {
    if !name.is_ascii() {
        return ask(&fold(name));
    }
    if !name.bytes().any(|byte| byte.is_ascii_uppercase()) {
        return ask(name);
    }
    let mut buffer = [0_u8; FOLDED_BYTES];
    let Some(lower) = buffer.get_mut(..name.len()) else { return ask(&fold(name)) };
    lower.copy_from_slice(name.as_bytes());
    lower.make_ascii_lowercase();
    // ASCII stays ASCII.
    ask(std::str::from_utf8(lower).unwrap_or_default())
}

#[cfg(test)]
mod tests;
