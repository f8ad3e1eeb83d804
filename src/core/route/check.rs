//! Do the lines of a configuration fit together? Asked by `nginx -t` and at every start.

use std::collections::{HashMap, HashSet};

use super::{Provider, Routes, Version};
use crate::pattern::fold;

impl Routes {
    /// The first contradiction, in words that say what to change.
    pub fn check(&self) -> Result<(), String> {
        self.check_providers()?;
        self.check_patterns()?;
        self.check_aliases()?;
        if let Some(default) = &self.default
            && !self.has_provider(default)
        {
            return Err(format!(
                "llm_proxy_default_provider \"{default}\" is unknown, add llm_proxy_route {default} \
                 <upstream>"
            ));
        }
        if !self.providers.is_empty() && self.default.is_none() && self.patterns.is_empty() {
            return Err("llm_proxy_route needs llm_proxy_default_provider or \
                        llm_proxy_model_pattern to say which provider is used"
                .to_owned());
        }
        if self.providers.is_empty() && !self.aliases.is_empty() {
            return Err("llm_proxy_model_alias needs llm_proxy_route".to_owned());
        }
        // Built now, so that no request waits for it.
        self.index();
        Ok(())
    }

    /// Gives each provider the version its `llm_proxy_provider_version` line sets.
    pub fn apply_versions(&mut self, versions: &[Version]) -> Result<(), String> {
        let mut seen = HashSet::new();
        for version in versions {
            let name = version.provider.as_str();
            if !seen.insert(name) {
                return Err(format!("duplicate llm_proxy_provider_version \"{name}\""));
            }
            let Some(provider) = self.named_mut(name) else {
                return Err(format!(
                    "llm_proxy_provider_version provider \"{name}\" is unknown, add \
                     llm_proxy_route {name} <upstream>"
                ));
            };
            provider.version = Some(version.version.clone());
        }
        Ok(())
    }

    fn check_providers(&self) -> Result<(), String> {
        let mut seen = HashMap::new();
        for provider in &self.providers {
            if let Some(other) = seen.insert(fold(&provider.name), &provider.name) {
                return Err(if *other == provider.name {
                    format!("duplicate llm_proxy_route provider \"{other}\"")
                } else {
                    format!(
                        "duplicate llm_proxy_route provider \"{}\", it differs from \"{other}\" in \
                         case only",
                        provider.name
                    )
                });
            }
        }
        Ok(())
    }

    fn check_patterns(&self) -> Result<(), String> {
        let mut seen = HashMap::new();
        for line in &self.patterns {
            if !self.has_provider(&line.provider) {
                return Err(format!(
                    "llm_proxy_model_pattern provider \"{}\" of \"{}\" is unknown, add \
                     llm_proxy_route {} <upstream>",
                    line.provider, line.pattern, line.provider
                ));
            }
            if let Some(other) = seen.insert(fold(&line.pattern), &line.provider) {
                return Err(format!(
                    "duplicate llm_proxy_model_pattern \"{}\" for \"{other}\" and \"{}\", keep one",
                    line.pattern, line.provider
                ));
            }
        }
        Ok(())
    }

    fn check_aliases(&self) -> Result<(), String> {
        let exact = self.patterns.iter().filter(|line| line.is_exact());
        let exact: HashSet<_> = exact.map(|line| fold(&line.pattern)).collect();
        let mut seen = HashSet::new();
        for alias in &self.aliases {
            let public = alias.public.as_str();
            if !self.has_provider(&alias.provider) {
                return Err(format!(
                    "llm_proxy_model_alias provider \"{}\" of \"{public}\" is unknown, add \
                     llm_proxy_route {} <upstream>",
                    alias.provider, alias.provider
                ));
            }
            if !seen.insert(fold(public)) {
                return Err(format!("duplicate llm_proxy_model_alias \"{public}\", keep one"));
            }
            if exact.contains(&fold(public)) {
                return Err(format!(
                    "llm_proxy_model_alias \"{public}\" is also an llm_proxy_model_pattern, keep one"
                ));
            }
        }
        Ok(())
    }

    fn has_provider(&self, name: &str) -> bool {
        self.providers.iter().any(|provider| provider.name == name)
    }

    fn named_mut(&mut self, name: &str) -> Option<&mut Provider> {
        self.providers.iter_mut().find(|provider| provider.name == name)
    }
}
