//! Which bytes does an event have in the journal? Those that postcard makes of a [`CostEvent`], whose
//! readers use it. A request waits for the writing, so that it has no library of general use here.

use super::{AttemptRow, Cost, CostEvent, Pico, Rate, Rates, SpendCharge, Tokens, UsageSource};

/// What is held of a number in each byte but the last.
const BITS: u32 = 7;
/// Another byte follows.
const MORE: u8 = 1 << BITS;

impl<T: AsRef<str>> CostEvent<T> {
    /// Writes the event to the start of `space`, and returns how long it is. `None`: it does not fit.
    pub fn encode(&self, space: &mut [u8]) -> Option<usize> {
        // Each field by its name: a new one does not compile before it is written.
        let Self {
            event_id,
            provider,
            model,
            cost_unit,
            traffic_cohort,
            is_streaming,
            tokens,
            cost,
            status,
            status_code,
            duration_ms,
            identity,
            user_id,
            team_id,
            auth_key_fingerprint,
            rate_card_version,
            requested_provider,
            requested_model,
            translation_happened,
            resolution_outcome,
            org,
            project,
            client,
            rates,
            usage_source,
            attempts,
            primary_provider,
            fallback_reason,
            chain,
            ttft_ms,
            first_attempt_ms,
            tag,
            node,
            created_at_ms,
            tags,
            charges,
            epoch,
            writes_row,
        } = self;
        let mut out = Out { space, at: 0, is_full: false };
        out.texts([event_id, provider, model, cost_unit, traffic_cohort]);
        out.flag(*is_streaming);
        out.tokens(tokens);
        out.maybe(*cost, |out, Cost { prompt, completion, total }| {
            [prompt, completion, total].into_iter().for_each(|amount| out.amount(amount));
        });
        out.number(*status as u64);
        out.number((*status_code).into());
        out.number(*duration_ms);
        out.texts([identity, user_id, team_id, auth_key_fingerprint, rate_card_version]);
        out.texts([requested_provider, requested_model]);
        out.flag(*translation_happened);
        out.texts([resolution_outcome, org, project, client]);
        out.maybe(*rates, |out, rates| {
            let Rates { input, cache_read, cache_write, cache_write_1h, output } = rates;
            let rates = [input, cache_read, cache_write, cache_write_1h, output];
            rates.map(Rate::pico_per_token).into_iter().for_each(|rate| out.number(rate));
        });
        out.usage_source(*usage_source);
        out.list(attempts, Out::attempt);
        out.texts([primary_provider, fallback_reason, chain]);
        out.maybe(*ttft_ms, Out::number);
        out.maybe(*first_attempt_ms, Out::number);
        out.texts([tag, node]);
        out.number(*created_at_ms);
        out.list(tags, |out, (name, value)| out.texts([name, value]));
        out.list(charges, |out, SpendCharge { key, window_start_s, pico }| {
            out.number(*key);
            out.number(*window_start_s);
            out.amount(*pico);
        });
        out.number(*epoch);
        out.flag(*writes_row);
        (!out.is_full).then_some(out.at)
    }
}

/// What is written so far. Where there is no room any more, nothing is written.
struct Out<'a> {
    space: &'a mut [u8],
    at: usize,
    is_full: bool,
}

impl Out<'_> {
    fn byte(&mut self, byte: u8) {
        match self.space.get_mut(self.at) {
            Some(space) => {
                *space = byte;
                self.at += 1;
            }
            None => self.is_full = true,
        }
    }

    fn flag(&mut self, is_set: bool) {
        self.byte(is_set.into());
    }

    /// Seven bits in each byte, the lowest first.
    fn number(&mut self, mut number: u64) {
        while number >= MORE.into() {
            self.byte(number as u8 | MORE);
            number >>= BITS;
        }
        self.byte(number as u8);
    }

    fn amount(&mut self, Pico(mut amount): Pico) {
        loop {
            // Hardly any is larger.
            if let Ok(number) = u64::try_from(amount) {
                return self.number(number);
            }
            self.byte(amount as u8 | MORE);
            amount >>= BITS;
        }
    }

    fn text(&mut self, text: &str) {
        self.number(text.len() as u64);
        match self.space.get_mut(self.at..).and_then(|space| space.get_mut(..text.len())) {
            Some(space) => {
                space.copy_from_slice(text.as_bytes());
                self.at += text.len();
            }
            None => self.is_full = true,
        }
    }

    fn texts<T: AsRef<str>, const N: usize>(&mut self, texts: [&T; N]) {
        for text in texts {
            self.text(text.as_ref());
        }
    }

    fn maybe<V>(&mut self, value: Option<V>, put: impl FnOnce(&mut Self, V)) {
        self.flag(value.is_some());
        if let Some(value) = value {
            put(self, value);
        }
    }

    fn list<V>(&mut self, values: &[V], mut put: impl FnMut(&mut Self, &V)) {
        self.number(values.len() as u64);
        for value in values {
            put(self, value);
        }
    }

    fn usage_source(&mut self, source: UsageSource) {
        self.number(source as u64);
    }

    fn tokens(&mut self, tokens: &Tokens) {
        let Tokens {
            prompt,
            completion,
            total,
            reasoning,
            uncached_input,
            cache_read,
            cache_write_5m,
            cache_write_1h,
            inconsistent,
        } = *tokens;
        for told in [prompt, completion, total, reasoning] {
            self.maybe(told, Self::number);
        }
        for counted in [uncached_input, cache_read, cache_write_5m, cache_write_1h] {
            self.number(counted);
        }
        self.flag(inconsistent);
    }

    fn attempt<T: AsRef<str>>(&mut self, attempt: &AttemptRow<T>) {
        let AttemptRow {
            attempt_no,
            provider,
            model,
            key_id,
            outcome,
            status_code,
            started_at_ms,
            duration_ms,
            first_byte_ms,
            prompt_tokens,
            completion_tokens,
            usage_source,
        } = attempt;
        self.number((*attempt_no).into());
        self.texts([provider, model, key_id, outcome]);
        self.maybe(*status_code, |out, code| out.number(code.into()));
        self.number(*started_at_ms);
        self.number(*duration_ms);
        for told in [*first_byte_ms, *prompt_tokens, *completion_tokens] {
            self.maybe(told, Self::number);
        }
        self.usage_source(*usage_source);
    }
}

#[cfg(test)]
mod tests;
