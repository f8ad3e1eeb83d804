//! How much does a request take at most, before its answer is known?

use super::line::Measure;
use crate::cost::{Pico, Rate};

/// What an answer is reckoned with that has no limit. Providers that have a limit of their own for such
/// requests mostly have this one; a smaller number would let requests side by side exceed a budget, a
/// larger one would keep out what fits.
pub const DEFAULT_OUTPUT_TOKENS: u64 = 4096;

/// A request's size.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Estimate {
    /// Tokens of the prompt.
    pub prompt_tokens: u64,
    /// Tokens of all answers together.
    pub output_tokens: u64,
    /// Whether the client has said how long an answer may be.
    pub is_output_asked: bool,
}

impl Estimate {
    /// Of a prompt, the output limit that the client asked for and the number of answers.
    #[must_use]
    pub fn new(prompt_tokens: u64, max_output_tokens: Option<u64>, answers: Option<u64>) -> Self {
        let each = max_output_tokens.unwrap_or(DEFAULT_OUTPUT_TOKENS);
        Self {
            prompt_tokens,
            output_tokens: each.saturating_mul(answers.unwrap_or(1).max(1)),
            is_output_asked: max_output_tokens.is_some(),
        }
    }

    /// Of an endpoint that writes no text, such as embeddings.
    #[must_use]
    pub fn input_only(prompt_tokens: u64) -> Self {
        Self { prompt_tokens, output_tokens: 0, is_output_asked: true }
    }

    /// What counts, and how much of it is not only our guess.
    pub(super) fn of(&self, measure: Measure) -> (u64, u64) {
        let asked = if self.is_output_asked { self.output_tokens } else { 0 };
        match measure {
            Measure::Requests => (1, 1),
            Measure::Input => (self.prompt_tokens, self.prompt_tokens),
            Measure::Output => (self.output_tokens, asked),
            Measure::Total | Measure::Uncached => (
                self.prompt_tokens.saturating_add(self.output_tokens),
                self.prompt_tokens.saturating_add(asked),
            ),
        }
    }

    /// What it costs at most: all input uncached, all output used. It saturates, and is then refused.
    #[must_use]
    pub fn price(&self, input: Rate, output: Rate) -> Pico {
        let (input, output) = (input.of(self.prompt_tokens), output.of(self.output_tokens));
        Pico(input.0.saturating_add(output.0))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_without_a_limit_gets_the_default() {
        let estimate = Estimate::new(10, None, Some(2));
        assert_eq!(estimate.of(Measure::Total), (10 + 2 * DEFAULT_OUTPUT_TOKENS, 10));
        assert_eq!(estimate.of(Measure::Output), (2 * DEFAULT_OUTPUT_TOKENS, 0));
    }

    #[test]
    fn each_answer_takes_the_limit() {
        let estimate = Estimate::new(10, Some(100), Some(3));
        assert_eq!(estimate.of(Measure::Total), (310, 310));
        assert_eq!(estimate.of(Measure::Input), (10, 10));
        assert_eq!(estimate.of(Measure::Output), (300, 300));
        assert_eq!(estimate.of(Measure::Requests), (1, 1));
        assert_eq!(Estimate::new(1, Some(u64::MAX), Some(9)).of(Measure::Total).0, u64::MAX);
    }

    #[test]
    fn the_price_is_exact() {
        let (input, output) = ("0.435".parse().unwrap(), "0.87".parse().unwrap());
        let price = Estimate::new(1000, Some(500), None).price(input, output);
        assert_eq!(price.to_string(), "0.00087000");
    }
}
