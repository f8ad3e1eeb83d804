//! Which labels may there be, and how are they spelled? Made once for a configuration; each request and
//! each scrape asks.

use std::collections::HashMap;
use std::fmt::Write as _;

use super::finished::{AttemptEnd, Decision, ErrorSource, EventResult};
use super::table::Record;
use super::word::{BuildAsIs, Of, Word};
use super::{FAMILIES, Family, Label};
use crate::cost::UsageSource;
use crate::fallback::{FailureClass, Pattern, SkipReason, Suppressed};
use crate::ratelimit::DenyReason;
use crate::route::Outcome;

/// Kinds of tokens and words of `$llm_auth_status`: what no enum has.
const WORDS: &[&str] = &[
    "other",
    "none",
    "input",
    "cache_read",
    "cache_write",
    "output",
    "reasoning",
    "resolved",
    "missing_provider",
    "missing_credential",
    "missing_secret",
];
/// The bit that tells a packed status from a hash; the bits below are the status and the stream.
const PACKED: u64 = 0xc0de << 48;
const STREAMING: u64 = 1 << 16;

/// The names that a configuration gives.
#[derive(Debug, Clone, Copy, Default)]
pub struct Names<'a> {
    /// Every provider.
    pub providers: &'a [&'a str],
    /// Models and patterns of catalogs, models of aliases and fallbacks. Names that only a pattern
    /// matches count as the pattern.
    pub models: &'a [&'a str],
    /// Tenants, as `llm_metrics_tenant_source` and credentials name them.
    pub tenants: &'a [&'a str],
    /// Cost units.
    pub units: &'a [&'a str],
}

/// What is turned on anywhere in the configuration.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Opted {
    /// `llm_metrics_label_model`
    pub model: bool,
    /// `llm_metrics_label_tenant`
    pub tenant: bool,
    /// `llm_metrics_label_auth_status`
    pub auth_status: bool,
    /// `llm_metrics_label_resolution_outcome`
    pub resolution_outcome: bool,
    /// `llm_metrics_emit_usage`
    pub usage: bool,
}

/// The labels of a configuration.
#[derive(Debug)]
pub struct Layout {
    opted: Opted,
    /// Values as they stand between the quotes.
    texts: HashMap<u64, String, BuildAsIs>,
    patterns: Vec<(Pattern, Word)>,
}

impl Layout {
    /// The labels of these names.
    #[must_use]
    pub fn new(names: &Names<'_>, opted: Opted) -> Self {
        let mut layout = Self { opted, texts: HashMap::default(), patterns: Vec::new() };
        for word in fixed_words() {
            layout.name(Of::Fixed, word);
        }
        for (of, list) in [
            (Of::Provider, names.providers),
            (Of::Model, names.models),
            (Of::Tenant, names.tenants),
            (Of::Unit, names.units),
        ] {
            for name in list {
                layout.name(of, name);
            }
        }
        let wildcards = names.models.iter().filter(|name| name.contains('*'));
        layout.patterns =
            wildcards.map(|name| (Pattern::new(name), Word::new(Of::Model, name))).collect();
        layout.patterns.sort_by_key(|(pattern, _)| std::cmp::Reverse(pattern.rank()));
        layout
    }

    /// What is turned on.
    #[must_use]
    pub fn opted(&self) -> Opted {
        self.opted
    }

    fn name(&mut self, of: Of, text: &str) {
        let mut escaped = String::with_capacity(text.len());
        escape(&mut escaped, text);
        // A name in two spellings has the one that was written first.
        self.texts.entry(Word::new(of, text).0).or_insert(escaped);
    }

    fn known(&self, of: Of, name: Option<&str>) -> Word {
        let word = name.map_or(Word::OTHER, |name| Word::new(of, name));
        if self.texts.contains_key(&word.0) { word } else { Word::OTHER }
    }

    pub(crate) fn provider(&self, name: Option<&str>) -> Word {
        self.known(Of::Provider, name)
    }

    /// A reason; an empty one is `none`.
    pub(crate) fn reason(&self, name: &str) -> Word {
        if name.is_empty() {
            const { Word::fixed("none") }
        } else {
            self.known(Of::Fixed, Some(name))
        }
    }

    pub(super) fn tenant(&self, name: Option<&str>) -> Word {
        if self.opted.tenant { self.known(Of::Tenant, name) } else { Word::default() }
    }

    #[inline]
    pub(super) fn model(&self, name: Option<&str>) -> Word {
        if self.opted.model { self.known_model(name) } else { Word::default() }
    }

    /// Apart: where the label is off, which is the default, nothing is called.
    #[inline(never)]
    fn known_model(&self, name: Option<&str>) -> Word {
        let exact = self.known(Of::Model, name);
        if exact != Word::OTHER || self.patterns.is_empty() {
            return exact;
        }
        let Some(name) = name else { return Word::OTHER };
        let name = name.to_lowercase();
        let best = self.patterns.iter().find(|(pattern, _)| pattern.matches(&name));
        best.map_or(Word::OTHER, |&(_, word)| word)
    }

    /// Streaming and status in one word.
    pub(super) fn code(streaming: bool, code: u16) -> Word {
        let code = if has_label(code) { code } else { (code / 100).min(9) };
        Word(PACKED | u64::from(code) | if streaming { STREAMING } else { 0 })
    }

    /// The text of a word, ready to stand between quotes.
    pub(crate) fn text(&self, word: u64) -> Option<&str> {
        self.texts.get(&word).map(String::as_str)
    }

    /// Whether a series is of this configuration. Asked of a copy: it allocates.
    #[must_use]
    pub fn knows(&self, record: &Record) -> bool {
        self.labels(record, &mut Vec::new()).is_some()
    }

    /// Appends a record's labels as `name="value",…`; none if one of them is not of this configuration.
    pub(super) fn labels(&self, record: &Record, out: &mut Vec<u8>) -> Option<&'static Family> {
        let family = FAMILIES.get(usize::try_from(record.family).ok()?)?;
        let begin = out.len();
        let mut words = record.labels.iter();
        for label in family.labels {
            let word = match label {
                // It stands in one word with the status, which comes next.
                Label::Streaming => *words.as_slice().first()?,
                _ => *words.next()?,
            };
            let packed = word & 0xffff;
            let value = match label {
                Label::Model if !self.opted.model => match word {
                    0 => continue,
                    _ => return None,
                },
                Label::Tenant if !self.opted.tenant => match word {
                    0 => continue,
                    _ => return None,
                },
                Label::Streaming if word & STREAMING != 0 => "true",
                Label::Streaming => "false",
                Label::Code => "",
                _ => self.text(word)?,
            };
            if out.len() > begin {
                out.push(b',');
            }
            out.extend_from_slice(label.name().as_bytes());
            out.extend_from_slice(b"=\"");
            out.extend_from_slice(value.as_bytes());
            if *label == Label::Code {
                write_code(out, packed);
            }
            out.push(b'"');
        }
        Some(family)
    }
}

/// Whether a status has a label of its own: the registered ones and nginx's have. Others count as their
/// class, so that a provider cannot make up hundreds of series.
const fn has_label(code: u16) -> bool {
    matches!(
        code,
        200..=208 | 226 | 300..=305 | 307 | 308 | 400..=418 | 421..=426 | 428 | 429 | 431 | 444 | 451
            | 494..=497 | 499..=508 | 510 | 511 | 520..=526 | 529
    )
}

/// A status, or `4xx` for one without a label of its own.
fn write_code(out: &mut Vec<u8>, code: u64) {
    out.extend_from_slice(itoa::Buffer::new().format(code).as_bytes());
    if code < 100 {
        out.extend_from_slice(b"xx");
    }
}

/// Writes a label's value: the characters that end it are escaped.
pub(super) fn escape(out: &mut String, text: &str) {
    for c in text.chars() {
        match c {
            '\\' => out.push_str("\\\\"),
            '"' => out.push_str("\\\""),
            '\n' => out.push_str("\\n"),
            // They show nothing, and other readers of lines take some of them for an end.
            c if c.is_control() => {
                let _ = write!(out, "\\\\x{:02x}", u32::from(c));
            }
            c => out.push(c),
        }
    }
}

fn fixed_words() -> impl Iterator<Item = &'static str> {
    let ends = [AttemptEnd::Ok, AttemptEnd::SemanticError, AttemptEnd::ClientClosed];
    let sources =
        [UsageSource::None, UsageSource::Reported, UsageSource::Estimated, UsageSource::Reserved];
    let outcomes = [
        Outcome::AsRequested,
        Outcome::ReplacedByPolicy,
        Outcome::FallbackAfterFailure,
        Outcome::RejectedOutOfScope,
        Outcome::RejectedUnresolvable,
    ];
    WORDS
        .iter()
        .copied()
        .chain(FailureClass::ALL.map(FailureClass::name))
        .chain(SkipReason::ALL.map(SkipReason::name))
        .chain(DenyReason::ALL.map(DenyReason::name))
        .chain(Suppressed::ALL.map(Suppressed::name))
        .chain(ErrorSource::ALL.map(ErrorSource::name))
        .chain(Decision::ALL.map(Decision::name))
        .chain(EventResult::ALL.map(EventResult::name))
        .chain(ends.map(AttemptEnd::name))
        .chain(sources.map(UsageSource::name))
        .chain(outcomes.map(Outcome::name))
}
