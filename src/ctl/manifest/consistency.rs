//! Do the parts of a manifest fit each other? Asked when it is read. What concerns the configuration
//! that is made of it, such as a fallback that nothing leads to, is judged there, for configurations
//! that people wrote, too.

mod people;

use std::collections::{HashMap, HashSet};

use llm_core::auth::client::covers;

use super::{Decimal, Manifest};
use crate::finding::Severity;

/// Takes one finding: severity, code, path, text.
pub(super) type Tell<'t> = &'t mut dyn FnMut(Severity, &'static str, &str, String);

/// Prices are micro-units per million tokens, so that a token's price is a whole number of pico-units.
const MAX_DECIMALS: usize = 6;

/// Tells everything that does not fit.
pub fn check(manifest: &Manifest, tell: Tell<'_>) {
    let parts = Parts::new(manifest);
    parts.check_providers(tell);
    parts.check_upstreams(tell);
    parts.check_routes(tell);
    parts.check_prices(tell);
    parts.check_listen(tell);
    people::check(&parts, tell);
}

/// What the checks look up.
pub(super) struct Parts<'m> {
    pub manifest: &'m Manifest,
    /// The catalog: path, model, provider.
    pub catalog: Vec<(String, &'m str, &'m str)>,
    providers: HashSet<&'m str>,
}

impl<'m> Parts<'m> {
    fn new(manifest: &'m Manifest) -> Self {
        let deployment = &manifest.deployment;
        let providers = match &deployment.configured_providers {
            Some(names) => names.iter().map(String::as_str).collect(),
            None => routed(manifest).map(|(_, name)| name).collect(),
        };
        Self { manifest, catalog: manifest.catalog(), providers }
    }

    fn check_providers(&self, tell: Tell<'_>) {
        let deployment = &self.manifest.deployment;
        let routed: Vec<_> = routed(self.manifest).collect();
        let known = |name: &str| self.providers.contains(name);
        for (path, name) in &routed {
            if !known(name) {
                tell(Severity::Error, "unknown_provider", path, self.unknown_provider(name));
            }
        }
        for (at, credential) in deployment.gateway.credentials.iter().enumerate() {
            let path = format!("deployment.gateway.credentials[{at}].provider");
            // What stands in the wrong field may be the key itself.
            if !known(&credential.provider) {
                let text = self.unknown_provider_unnamed();
                tell(Severity::Error, "unknown_provider", &path, text);
            }
        }
        for (at, name) in deployment.configured_providers.iter().flatten().enumerate() {
            if !routed.iter().any(|(_, other)| other == name) {
                tell(
                    Severity::Warning,
                    "unused_provider",
                    &format!("deployment.configured_providers[{at}]"),
                    format!(
                        "no route leads to provider \"{name}\", add it to a route or remove it"
                    ),
                );
            }
        }
        for (path, _, provider) in &self.catalog {
            if !known(provider) {
                let path = format!("{path}.provider");
                tell(Severity::Error, "unknown_provider", &path, self.unknown_provider(provider));
            }
        }
    }

    fn unknown_provider(&self, name: &str) -> String {
        format!("unknown provider \"{name}\", {}", self.known_providers())
    }

    fn unknown_provider_unnamed(&self) -> String {
        format!("unknown provider, {}", self.known_providers())
    }

    fn known_providers(&self) -> String {
        let mut known: Vec<_> = self.providers.iter().map(|name| format!("\"{name}\"")).collect();
        known.sort();
        format!("use one of {} or add it to configured_providers", known.join(", "))
    }

    fn check_upstreams(&self, tell: Tell<'_>) {
        let upstreams = &self.manifest.deployment.gateway.upstreams;
        let names = upstreams.iter().enumerate().map(|(at, upstream)| {
            (format!("deployment.gateway.upstreams[{at}].name"), upstream.name.as_str())
        });
        duplicates("upstream", names, tell);
    }

    fn check_routes(&self, tell: Tell<'_>) {
        let gateway = &self.manifest.deployment.gateway;
        let has_upstream = |name: &str| gateway.upstreams.iter().any(|found| found.name == name);
        let mut seen: HashMap<(&str, Option<&str>), usize> = HashMap::new();
        for (at, route) in gateway.routes.iter().enumerate() {
            let path = format!("deployment.gateway.routes[{at}]");
            let first = (format!("{path}.upstream"), route.upstream.as_str());
            let others = route.secondary_providers.iter().enumerate().map(|(other, secondary)| {
                let path = format!("{path}.secondary_providers[{other}].upstream");
                (path, secondary.upstream.as_str())
            });
            for (path, upstream) in std::iter::once(first).chain(others) {
                if !has_upstream(upstream) {
                    tell(
                        Severity::Error,
                        "unknown_upstream",
                        &path,
                        format!("unknown upstream \"{upstream}\", add it to gateway.upstreams"),
                    );
                }
            }
            let projects = route.projects.as_ref();
            let everybody = projects.is_none().then_some(None);
            let named = projects.into_iter().flatten().map(|slug| Some(slug.as_str()));
            for project in everybody.into_iter().chain(named) {
                if let Some(other) = seen.insert((&route.location, project), at) {
                    let text = format!(
                        "duplicate location \"{}\", deployment.gateway.routes[{other}] has it, too",
                        route.location
                    );
                    tell(Severity::Error, "duplicate", &format!("{path}.location"), text);
                }
            }
            if route.fallback.is_some() && !self.manifest.is_on("llm-fallback", true) {
                tell(
                    Severity::Warning,
                    "contradiction",
                    &format!("{path}.fallback"),
                    "the feature llm-fallback is not enabled, so nothing falls back; enable it or \
                     remove this"
                        .to_owned(),
                );
            }
            for name in route.options.keys() {
                let path = format!("{path}.options.{name}");
                if !name.starts_with("llm_") {
                    let text = format!("\"{name}\" is no directive of the gateway, use llm_*");
                    tell(Severity::Error, "unknown_option", &path, text);
                } else if name.ends_with("_credential") || name == "llm_cost_dsn" {
                    let text = format!("\"{name}\" is not an option, use gateway.credentials");
                    tell(Severity::Error, "unknown_option", &path, text);
                }
            }
        }
    }

    fn check_prices(&self, tell: Tell<'_>) {
        let Some((feature, cost)) = self.manifest.cost() else { return };
        let path = format!("deployment.enabled_features[{feature}].config");
        let rates = cost.rates.iter().enumerate().map(|(at, rate)| {
            (format!("{path}.rates[{at}]"), format!("{} {}", rate.provider, rate.model))
        });
        duplicates("price", rates, tell);
        let cached = cost.cached_rates.iter().enumerate().map(|(at, rate)| {
            (format!("{path}.cached_rates[{at}]"), format!("{} {}", rate.provider, rate.model))
        });
        duplicates("price of cached input", cached, tell);
        let units =
            cost.rate_units.iter().enumerate().map(|(at, unit)| {
                (format!("{path}.rate_units[{at}].provider"), unit.provider.clone())
            });
        duplicates("unit of provider", units, tell);
        for (at, unit) in cost.rate_units.iter().enumerate() {
            if !self.providers.contains(unit.provider.as_str()) {
                let path = format!("{path}.rate_units[{at}].provider");
                let text = self.unknown_provider(&unit.provider);
                tell(Severity::Error, "unknown_provider", &path, text);
            }
        }
        for (at, rate) in cost.rates.iter().enumerate() {
            let path = format!("{path}.rates[{at}]");
            price(&rate.input, &format!("{path}.input"), tell);
            price(&rate.output, &format!("{path}.output"), tell);
            if self.manifest.deployment.gateway.models.is_some()
                && !self.providers.contains(rate.provider.as_str())
            {
                let text = self.unknown_provider(&rate.provider);
                tell(Severity::Error, "unknown_provider", &format!("{path}.provider"), text);
            }
        }
        for (at, cached) in cost.cached_rates.iter().enumerate() {
            let path = format!("{path}.cached_rates[{at}]");
            price(&cached.cache_read, &format!("{path}.cache_read"), tell);
            for (name, rate) in
                [("cache_write", &cached.cache_write), ("cache_write_1h", &cached.cache_write_1h)]
            {
                if let Some(rate) = rate {
                    price(rate, &format!("{path}.{name}"), tell);
                }
            }
            let mut rates = cost.rates.iter();
            if !rates
                .any(|rate| rate.provider == cached.provider && covers(&rate.model, &cached.model))
            {
                tell(
                    Severity::Error,
                    "unpriced_model",
                    &path,
                    format!(
                        "model \"{}\" of provider \"{}\" has a price of cached input and none in \
                         rates, add it there",
                        cached.model, cached.provider
                    ),
                );
            }
            if cached.cache_write_1h.is_some() && cached.cache_write.is_none() {
                let text = "cache_write_1h needs cache_write, add it".to_owned();
                tell(Severity::Error, "contradiction", &path, text);
            }
        }
    }

    fn check_listen(&self, tell: Tell<'_>) {
        let gateway = &self.manifest.deployment.gateway;
        let listens = gateway.listen.iter().flat_map(super::OneOrMany::as_slice);
        let ssl = listens.filter(|on| match on {
            super::ListenOn::Address(text) => text.split(' ').any(|word| word == "ssl"),
            super::ListenOn::Port(_) => false,
        });
        let (path, text) = match (ssl.count(), &gateway.tls) {
            (0, Some(_)) => ("tls", "no listen line says ssl, write for example \"443 ssl\""),
            (1.., None) => ("listen", "ssl needs gateway.tls with certificate and certificate_key"),
            _ => return,
        };
        let path = format!("deployment.gateway.{path}");
        tell(Severity::Error, "contradiction", &path, text.to_owned());
    }
}

/// Every provider that a route names, with its path.
fn routed(manifest: &Manifest) -> impl Iterator<Item = (String, &str)> {
    manifest.deployment.gateway.routes.iter().enumerate().flat_map(|(at, route)| {
        let path = format!("deployment.gateway.routes[{at}]");
        let first = (format!("{path}.provider"), route.provider.as_str());
        let others = route.secondary_providers.iter().enumerate().map(move |(other, secondary)| {
            (format!("{path}.secondary_providers[{other}].provider"), secondary.provider.as_str())
        });
        std::iter::once(first).chain(others)
    })
}

fn price(rate: &Decimal, path: &str, tell: Tell<'_>) {
    let digits = rate.0.as_str();
    let (whole, decimals) = digits.split_once('.').unwrap_or((digits, ""));
    let plain = |part: &str| part.bytes().all(|byte| byte.is_ascii_digit());
    if !plain(whole) || !plain(decimals) {
        let text = "write a price with digits and a point only, such as 0.435".to_owned();
        tell(Severity::Error, "bad_price", path, text);
    } else if decimals.len() > MAX_DECIMALS {
        let text =
            format!("a price has {MAX_DECIMALS} decimals at most, round it or change its unit");
        tell(Severity::Error, "bad_price", path, text);
    }
}

/// Tells what has the name of another.
pub(super) fn duplicates<N: AsRef<str>>(
    what: &str,
    named: impl Iterator<Item = (String, N)>,
    tell: Tell<'_>,
) {
    let mut seen: HashMap<String, String> = HashMap::new();
    for (path, name) in named {
        let name = name.as_ref();
        if let Some(other) = seen.insert(name.to_lowercase(), path.clone()) {
            let text = format!("duplicate {what} \"{name}\", {other} has it, too; keep one");
            tell(Severity::Error, "duplicate", &path, text);
        }
    }
}
