//! How many tokens did a provider count? Reads the `usage` object of every dialect into one type;
//! `stream` and `tap` find the object, accounting asks for the numbers. It never estimates: a field
//! that is not a whole non-negative number is absent, and sums saturate.

use crate::dialect::Dialect;
use crate::json::{JsonError, Kind, Scanner, Text};

/// Token counts of one answer, as far as the provider told them.
///
/// Fields are kept as they stood on the wire and made disjoint only when asked, because a stream may
/// tell the parts of one sum in different events.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Usage {
    /// All input tokens, those from the cache included.
    prompt: Option<u64>,
    /// Input tokens beside the cache.
    uncached: Option<u64>,
    cache_read: Option<u64>,
    cache_miss: Option<u64>,
    cache_write: Option<u64>,
    cache_write_5m: Option<u64>,
    cache_write_1h: Option<u64>,
    output: Option<u64>,
    total: Option<u64>,
    reasoning: Option<u64>,
    audio_input: Option<u64>,
    audio_output: Option<u64>,
    image_input: Option<u64>,
}

/// The tokens of one answer sorted so that each is counted once.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Buckets {
    /// Input that was neither read from nor written to a cache.
    pub uncached_input: u64,
    /// Input read from a cache.
    pub cache_read: u64,
    /// Input written to a cache that lives five minutes, or for a time that was not told.
    pub cache_write_5m: u64,
    /// Input written to a cache that lives one hour.
    pub cache_write_1h: u64,
    /// Everything the model wrote, reasoning included.
    pub output: u64,
}

impl Usage {
    /// Reads a `usage` object. `None` if it is not an object or counts no tokens.
    ///
    /// `dialect` decides whether `input_tokens` contains what came from the cache (OpenAI) or stands
    /// beside it (Anthropic), unless the details in the object itself tell.
    #[must_use]
    pub fn parse(object: &[u8], dialect: Dialect) -> Option<Self> {
        let mut scanner = Scanner::new(object);
        let usage = Self::read(&mut scanner, dialect).ok()?;
        scanner.end().ok()?;
        usage
    }

    /// Reads a `usage` object in the middle of a text.
    pub(crate) fn read(
        scanner: &mut Scanner<'_>,
        dialect: Dialect,
    ) -> Result<Option<Self>, JsonError> {
        Ok(Wire::read(scanner)?.into_usage(dialect))
    }

    /// A usage that was counted by other means: all input uncached.
    #[must_use]
    pub fn of(input_tokens: u64, output_tokens: u64) -> Self {
        Self { uncached: Some(input_tokens), output: Some(output_tokens), ..Self::default() }
    }

    /// Takes over what `later` tells; what it does not tell stays.
    pub fn merge(&mut self, later: &Self) {
        // A provider that changes its way of counting within a stream is believed the second time.
        if later.prompt.is_some() {
            self.uncached = None;
        } else if later.uncached.is_some() {
            self.prompt = None;
        }
        for (mine, theirs) in [
            (&mut self.prompt, later.prompt),
            (&mut self.uncached, later.uncached),
            (&mut self.cache_read, later.cache_read),
            (&mut self.cache_miss, later.cache_miss),
            (&mut self.cache_write, later.cache_write),
            (&mut self.cache_write_5m, later.cache_write_5m),
            (&mut self.cache_write_1h, later.cache_write_1h),
            (&mut self.output, later.output),
            (&mut self.total, later.total),
            (&mut self.reasoning, later.reasoning),
            (&mut self.audio_input, later.audio_input),
            (&mut self.audio_output, later.audio_output),
            (&mut self.image_input, later.image_input),
        ] {
            *mine = theirs.or(*mine);
        }
    }

    /// The tokens of this answer, each in one bucket; what was not told counts as zero.
    #[must_use]
    pub fn buckets(&self) -> Buckets {
        let mut hour = self.cache_write_1h.unwrap_or(0);
        let mut short = self.cache_write_5m.unwrap_or(0);
        // The sum may be told later than its parts, and alone.
        if let Some(written) = self.cache_write {
            hour = hour.min(written);
            short = written - hour;
        }
        let mut buckets = Buckets {
            uncached_input: self.uncached.unwrap_or(0),
            cache_read: self.cache_read.unwrap_or(0),
            cache_write_5m: short,
            cache_write_1h: hour,
            output: self.completion_tokens().unwrap_or(0),
        };
        if let Some(prompt) = self.inclusive_prompt() {
            // Parts that do not fit into their sum are not believed: nothing goes below zero.
            let mut rest = prompt;
            for part in
                [&mut buckets.cache_read, &mut buckets.cache_write_1h, &mut buckets.cache_write_5m]
            {
                match rest.checked_sub(*part) {
                    Some(left) => rest = left,
                    None => *part = 0,
                }
            }
            buckets.uncached_input = rest;
        }
        buckets
    }

    /// All input, cache included.
    #[must_use]
    pub fn prompt_tokens(&self) -> Option<u64> {
        if let Some(prompt) = self.inclusive_prompt() {
            return Some(prompt);
        }
        self.uncached?;
        let buckets = self.buckets();
        Some(
            buckets
                .uncached_input
                .saturating_add(buckets.cache_read)
                .saturating_add(buckets.cache_write_5m)
                .saturating_add(buckets.cache_write_1h),
        )
    }

    /// All output, reasoning included. Embeddings tell only a total that equals their input: zero.
    #[must_use]
    pub fn completion_tokens(&self) -> Option<u64> {
        self.output.or_else(|| self.total?.checked_sub(self.prompt?))
    }

    /// The provider's own total, else the sum of what it told.
    #[must_use]
    pub fn total_tokens(&self) -> Option<u64> {
        if self.total.is_some() {
            return self.total;
        }
        match (self.prompt_tokens(), self.completion_tokens()) {
            (None, None) => None,
            (prompt, completion) => {
                Some(prompt.unwrap_or(0).saturating_add(completion.unwrap_or(0)))
            }
        }
    }

    /// Input read from a cache.
    #[must_use]
    pub fn cache_read_tokens(&self) -> Option<u64> {
        self.cache_read.map(|_| self.buckets().cache_read)
    }

    /// Input written to a cache, whatever its life time.
    #[must_use]
    pub fn cache_create_tokens(&self) -> Option<u64> {
        self.cache_write.or(self.cache_write_5m).or(self.cache_write_1h)?;
        let buckets = self.buckets();
        Some(buckets.cache_write_5m.saturating_add(buckets.cache_write_1h))
    }

    /// The part of the output that was reasoning.
    #[must_use]
    pub fn reasoning_tokens(&self) -> Option<u64> {
        self.reasoning
    }

    /// The part of the input that was sound.
    #[must_use]
    pub fn audio_input_tokens(&self) -> Option<u64> {
        self.audio_input
    }

    /// The part of the output that was sound.
    #[must_use]
    pub fn audio_output_tokens(&self) -> Option<u64> {
        self.audio_output
    }

    /// The part of the input that was images.
    #[must_use]
    pub fn image_input_tokens(&self) -> Option<u64> {
        self.image_input
    }

    /// Whether nothing was told at all.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }

    /// Whether input and output are both known. It cannot tell whether more will follow.
    #[must_use]
    pub fn is_complete(&self) -> bool {
        self.prompt_tokens().is_some() && self.completion_tokens().is_some()
    }

    /// The input with its cached part, where the provider counts so.
    fn inclusive_prompt(&self) -> Option<u64> {
        self.prompt.or_else(|| {
            if self.uncached.is_some() {
                return None;
            }
            Some(self.cache_read?.saturating_add(self.cache_miss?))
        })
    }
}

/// The fields of a usage object before it is known what `input_tokens` means in it.
#[derive(Default)]
struct Wire {
    usage: Usage,
    input: Option<u64>,
    /// `input_tokens_details` stands in the object: only providers that count inclusively have it.
    details: bool,
    /// Anthropic's cache fields stand in the object.
    beside: bool,
}

impl Wire {
    fn read(scanner: &mut Scanner<'_>) -> Result<Self, JsonError> {
        let mut wire = Self::default();
        each_member(scanner, |name, scanner| match name {
            b"prompt_tokens" => set(&mut wire.usage.prompt, scanner),
            b"input_tokens" => set(&mut wire.input, scanner),
            b"completion_tokens" | b"output_tokens" => set(&mut wire.usage.output, scanner),
            b"total_tokens" => set(&mut wire.usage.total, scanner),
            b"prompt_cache_hit_tokens" | b"cached_tokens" => {
                set(&mut wire.usage.cache_read, scanner)
            }
            b"prompt_cache_miss_tokens" => set(&mut wire.usage.cache_miss, scanner),
            b"cache_read_input_tokens" => {
                wire.beside = true;
                set(&mut wire.usage.cache_read, scanner)
            }
            b"cache_creation_input_tokens" => {
                wire.beside = true;
                set(&mut wire.usage.cache_write, scanner)
            }
            b"cache_creation" => wire.read_creation(scanner),
            b"prompt_tokens_details" => wire.read_input_details(scanner),
            b"input_tokens_details" => {
                wire.details |= scanner.kind()? == Kind::Object;
                wire.read_input_details(scanner)
            }
            b"completion_tokens_details" | b"output_tokens_details" => {
                wire.read_output_details(scanner)
            }
            _ => scanner.value().map(drop),
        })?;
        Ok(wire)
    }

    fn read_creation(&mut self, scanner: &mut Scanner<'_>) -> Result<(), JsonError> {
        self.beside |= scanner.kind()? == Kind::Object;
        each_member(scanner, |name, scanner| match name {
            b"ephemeral_5m_input_tokens" => set(&mut self.usage.cache_write_5m, scanner),
            b"ephemeral_1h_input_tokens" => set(&mut self.usage.cache_write_1h, scanner),
            _ => scanner.value().map(drop),
        })
    }

    fn read_input_details(&mut self, scanner: &mut Scanner<'_>) -> Result<(), JsonError> {
        each_member(scanner, |name, scanner| match name {
            b"cached_tokens" => set(&mut self.usage.cache_read, scanner),
            b"cache_write_tokens" | b"cache_creation_tokens" => {
                set(&mut self.usage.cache_write, scanner)
            }
            b"audio_tokens" => set(&mut self.usage.audio_input, scanner),
            b"image_tokens" => set(&mut self.usage.image_input, scanner),
            _ => scanner.value().map(drop),
        })
    }

    fn read_output_details(&mut self, scanner: &mut Scanner<'_>) -> Result<(), JsonError> {
        each_member(scanner, |name, scanner| match name {
            b"reasoning_tokens" => set(&mut self.usage.reasoning, scanner),
            b"audio_tokens" => set(&mut self.usage.audio_output, scanner),
            _ => scanner.value().map(drop),
        })
    }

    fn into_usage(self, dialect: Dialect) -> Option<Usage> {
        let mut usage = self.usage;
        if usage.prompt.is_none() {
            let beside = match dialect {
                Dialect::Anthropic => !self.details,
                Dialect::OpenAi => self.beside && !self.details,
            };
            if beside {
                usage.uncached = self.input;
            } else {
                usage.prompt = self.input;
            }
        }
        (!usage.is_empty()).then_some(usage)
    }
}

/// Calls `visit` with the name of each member of an object and the scanner before its value, which
/// `visit` must step over. A value that is no object is stepped over.
pub(crate) fn each_member<'a>(
    scanner: &mut Scanner<'a>,
    mut visit: impl FnMut(&[u8], &mut Scanner<'a>) -> Result<(), JsonError>,
) -> Result<(), JsonError> {
    if scanner.kind()? != Kind::Object {
        return scanner.value().map(drop);
    }
    let mut members = scanner.enter_object()?;
    loop {
        // Taken apart at once: a copy of the whole costs more than reading the key.
        let (raw, escaped) = match scanner.next_key(&mut members) {
            Ok(Some(Text { raw, escaped })) => (raw, escaped),
            Ok(None) => return Ok(()),
            Err(error) => return Err(error),
        };
        if escaped {
            let name = Text { raw, escaped }.decode().unwrap_or_default();
            visit(name.as_bytes(), scanner)?;
        } else {
            visit(raw, scanner)?;
        }
    }
}

/// Reads a count into `field`; a value that is none leaves it as it is.
fn set(field: &mut Option<u64>, scanner: &mut Scanner<'_>) -> Result<(), JsonError> {
    let value = scanner.value()?;
    if value.kind == Kind::Number {
        *field = count(scanner.slice(&value.span)).or(*field);
    }
    Ok(())
}

/// A whole number that fits; fractions, exponents and signs are not counts.
fn count(digits: &[u8]) -> Option<u64> {
    digits.iter().try_fold(0_u64, |sum, digit| {
        let digit = digit.checked_sub(b'0').filter(|digit| *digit < 10)?;
        sum.checked_mul(10)?.checked_add(u64::from(digit))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn openai(object: &str) -> Usage {
        Usage::parse(object.as_bytes(), Dialect::OpenAi).unwrap()
    }

    fn anthropic(object: &str) -> Usage {
        Usage::parse(object.as_bytes(), Dialect::Anthropic).unwrap()
    }

    #[test]
    fn input_beside_the_cache_and_input_with_the_cache_are_told_apart() {
        let beside = r#"{"input_tokens":25,"cache_read_input_tokens":80,"output_tokens":1}"#;
        let within = r#"{"input_tokens":25,"input_tokens_details":{"cached_tokens":20}}"#;
        for parse in [openai, anthropic] {
            assert_eq!(parse(beside).prompt_tokens(), Some(105));
            assert_eq!(parse(within).prompt_tokens(), Some(25));
            assert_eq!(parse(within).buckets().uncached_input, 5);
        }
    }

    #[test]
    fn more_cached_than_prompted_is_not_believed() {
        let usage = openai(
            r#"{"prompt_tokens":10,"completion_tokens":1,
                "prompt_tokens_details":{"cached_tokens":11,"cache_write_tokens":4}}"#,
        );
        assert_eq!(usage.prompt_tokens(), Some(10));
        assert_eq!(usage.cache_read_tokens(), Some(0));
        assert_eq!(usage.cache_create_tokens(), Some(4));
        assert_eq!(usage.buckets().uncached_input, 6);
    }

    #[test]
    fn what_is_no_count_is_absent() {
        for value in
            ["-1", "1.0", "1e3", "\"7\"", "null", "{}", "[1]", "true", "18446744073709551616"]
        {
            let object = format!(r#"{{"prompt_tokens":{value},"completion_tokens":5}}"#);
            let usage = openai(&object);
            assert_eq!((usage.prompt_tokens(), usage.completion_tokens()), (None, Some(5)));
            assert!(!usage.is_complete(), "{value}");
        }
    }

    #[test]
    fn sums_of_huge_counts_saturate() {
        let max = u64::MAX;
        let usage = anthropic(&format!(
            r#"{{"input_tokens":{max},"cache_read_input_tokens":{max},"output_tokens":{max},
                "cache_creation":{{"ephemeral_5m_input_tokens":{max},
                "ephemeral_1h_input_tokens":{max}}}}}"#
        ));
        assert_eq!(usage.total_tokens(), Some(max));
        assert_eq!(usage.cache_create_tokens(), Some(max));
    }

    #[test]
    fn what_counts_no_tokens_is_no_usage() {
        for object in ["{}", "null", "[]", "3", "", "{\"seconds\":2}", "{\"total_tokens\":1"] {
            assert_eq!(Usage::parse(object.as_bytes(), Dialect::OpenAi), None, "{object}");
        }
    }

    #[test]
    fn the_last_value_of_each_field_wins() {
        let mut usage = anthropic(
            r#"{"input_tokens":25,"output_tokens":1,"cache_creation_input_tokens":110,
                "cache_creation":{"ephemeral_5m_input_tokens":10,"ephemeral_1h_input_tokens":100}}"#,
        );
        usage.merge(&anthropic(r#"{"output_tokens":15}"#));
        assert_eq!(usage.prompt_tokens(), Some(135));
        assert_eq!(usage.completion_tokens(), Some(15));
        usage.merge(&anthropic(r#"{"cache_creation_input_tokens":105,"input_tokens":30}"#));
        assert_eq!(
            usage.buckets(),
            Buckets {
                uncached_input: 30,
                cache_read: 0,
                cache_write_5m: 5,
                cache_write_1h: 100,
                output: 15
            }
        );
    }

    #[test]
    fn a_part_told_earlier_still_belongs_to_a_sum_told_later() {
        let mut usage =
            openai(r#"{"prompt_tokens":100,"prompt_tokens_details":{"cached_tokens":30}}"#);
        usage.merge(&openai(r#"{"prompt_tokens":120,"completion_tokens":9}"#));
        assert_eq!(usage.prompt_tokens(), Some(120));
        assert_eq!(usage.buckets().uncached_input, 90);
    }

    #[test]
    fn hits_and_misses_make_a_prompt() {
        let usage = openai(r#"{"prompt_cache_hit_tokens":64,"prompt_cache_miss_tokens":36}"#);
        assert_eq!(usage.prompt_tokens(), Some(100));
        assert_eq!(usage.buckets().uncached_input, 36);
    }

    #[test]
    fn embeddings_complete_nothing() {
        let usage = openai(r#"{"prompt_tokens":8,"total_tokens":8}"#);
        assert_eq!(usage.completion_tokens(), Some(0));
        assert!(usage.is_complete());
    }

    #[test]
    fn a_total_is_computed_where_none_is_told() {
        assert_eq!(openai(r#"{"prompt_tokens":8,"completion_tokens":3}"#).total_tokens(), Some(11));
        assert_eq!(Usage::of(8, 3).total_tokens(), Some(11));
        assert_eq!(Usage::default().total_tokens(), None);
    }
}
