//! The way from what a request asks for to one provider and one model name.

use std::borrow::Cow;

use super::{Ask, Outcome, Resolution, Routes};
use crate::dialect::Endpoint;
use crate::error::Rejection;

impl Routes {
    /// Where the request goes, or why it goes nowhere.
    pub fn resolve<'a>(&'a self, ask: &Ask<'a>) -> Result<Resolution<'a>, Rejection> {
        let mut found = match (ask.model, ask.provider_field) {
            (Some(model), Some(field)) => self.with_provider(model, field),
            (Some(model), None) => self.with_model(model),
            (None, field) => self.without_model(ask, field),
        }?;
        found.model_changed = found.model.as_deref() != ask.model;
        Ok(found)
    }

    fn with_model<'a>(&'a self, model: &'a str) -> Result<Resolution<'a>, Rejection> {
        let index = self.index();
        if let Some(found) = self.by_alias(model) {
            return Ok(found);
        }
        if let Some(provider) = index.best_with_slash(model) {
            return Ok(asked(provider, model));
        }
        let slug = self.slug(model);
        if let Some((provider, rest)) = slug
            && let Some(found) = self.served_by(provider, rest)
        {
            return Ok(named(found, provider_name(model)));
        }
        if let Some(provider) = index.best(model) {
            return Ok(asked(provider, model));
        }
        match slug {
            Some((_, rest)) if self.knows(rest) => {
                Err(Rejection::provider_not_allowed(provider_name(model), Some(rest)))
            }
            _ if self.has_catalog() => Err(Rejection::model_not_found(model)),
            _ => match self.default_provider() {
                Some(provider) => Ok(asked(provider, model)),
                None => Err(Rejection::model_not_found(model)),
            },
        }
    }

    fn with_provider<'a>(
        &'a self,
        model: &'a str,
        field: &'a str,
    ) -> Result<Resolution<'a>, Rejection> {
        let Some(provider) = self.index().provider(field) else {
            return Err(Rejection::provider_not_allowed(field, Some(model)));
        };
        let slug = self.slug(model).filter(|(named, _)| *named == provider);
        let rest = slug.map(|(_, rest)| rest);
        // Where no catalog says otherwise, a slug that names the same provider twice is a slug.
        let names = if self.has_catalog() { [Some(model), rest] } else { [rest, Some(model)] };
        let found = names.into_iter().flatten().find_map(|name| self.served_by(provider, name));
        if let Some(found) = found {
            return Ok(named(found, field));
        }
        if self.knows(model) || self.slug(model).is_some_and(|(_, rest)| self.knows(rest)) {
            return Err(Rejection::provider_not_allowed(field, Some(model)));
        }
        Err(Rejection::model_not_found(model))
    }

    fn without_model<'a>(
        &'a self,
        ask: &Ask<'a>,
        field: Option<&'a str>,
    ) -> Result<Resolution<'a>, Rejection> {
        // OpenAI's responses take a stored prompt in place of a model.
        let optional = ask.endpoint == Endpoint::Responses && !self.has_catalog();
        let needed = ask.endpoint.needs_model() && !optional;
        if ask.method_has_body && (needed || self.has_catalog()) {
            return Err(Rejection::model_required());
        }
        let provider = match field {
            Some(field) => self
                .index()
                .provider(field)
                .filter(|_| !self.has_catalog())
                .ok_or_else(|| Rejection::provider_not_allowed(field, None))?,
            None => self.provider_for(ask.endpoint).ok_or_else(Rejection::internal)?,
        };
        Ok(Resolution {
            provider,
            model: None,
            model_changed: false,
            requested_provider: field.map(str::to_owned),
            outcome: Outcome::AsRequested,
        })
    }

    /// The model under that name at that provider, if the client may have it there.
    fn served_by<'a>(&'a self, provider: usize, model: &'a str) -> Option<Resolution<'a>> {
        let by_alias = self.by_alias(model).filter(|found| found.provider == provider);
        let open = !self.has_catalog() || self.index().allows(model, provider);
        by_alias.or_else(|| open.then(|| asked(provider, model)))
    }

    fn by_alias(&self, model: &str) -> Option<Resolution<'_>> {
        let target = self.index().alias(model)?;
        let alias = self.aliases.get(target.alias)?;
        Some(asked(target.provider, &alias.model))
    }

    /// Whether anybody here serves a model of that name.
    fn knows(&self, model: &str) -> bool {
        let index = self.index();
        index.alias(model).is_some() || index.best(model).is_some()
    }

    /// The provider before the first slash, and the name behind it.
    fn slug<'a>(&self, model: &'a str) -> Option<(usize, &'a str)> {
        let (provider, rest) = model.split_once('/')?;
        let provider = self.index().provider(provider)?;
        (!rest.is_empty()).then_some((provider, rest))
    }

    fn default_provider(&self) -> Option<usize> {
        self.index().provider(self.default.as_deref()?)
    }

    /// For requests that name no model: the default, else the first of the endpoint's dialect.
    fn provider_for(&self, endpoint: Endpoint) -> Option<usize> {
        let of_dialect = || {
            let dialect = endpoint.dialect()?;
            self.providers.iter().position(|provider| provider.dialect == dialect)
        };
        let first = || (!self.providers.is_empty()).then_some(0);
        self.default_provider().or_else(of_dialect).or_else(first)
    }
}

fn provider_name(slug: &str) -> &str {
    slug.split_once('/').map_or(slug, |(provider, _)| provider)
}

fn asked(provider: usize, model: &str) -> Resolution<'_> {
    Resolution {
        provider,
        model: Some(Cow::Borrowed(model)),
        model_changed: false,
        requested_provider: None,
        outcome: Outcome::AsRequested,
    }
}

/// The client has named the provider itself; a slug's prefix is not sent.
fn named<'a>(found: Resolution<'a>, provider: &str) -> Resolution<'a> {
    Resolution { requested_provider: Some(provider.to_owned()), ..found }
}
