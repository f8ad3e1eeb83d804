//! What is remembered of one request's money? The module fills a [`CostEvent`] when the request
//! ends; the journal stores it in a binary format, so no field may be left out or flattened by
//! serde; the sinks ask for it as a row (see `row`) and know no field. Its texts are borrowed where it
//! is written, and its own where it is read.

use serde::{Deserialize, Serialize};

use super::price::{Cost, Tokens};
use super::rate::Rates;
use super::{Pico, Status, Text, UsageSource};

/// One request. A text that is empty is absent: NULL in a row. Borrowed texts are [`brief`](super::brief).
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct CostEvent<T = Text> {
    /// The request's id, 32 hexadecimal digits; rows are idempotent by it.
    pub event_id: T,
    /// The provider that answered, by its configured name.
    pub provider: T,
    /// The model that it was asked for.
    pub model: T,
    /// What the costs are counted in, such as `usd`.
    pub cost_unit: T,
    /// `llm_cost_traffic_cohort`.
    pub traffic_cohort: T,
    /// Whether the answer was a stream.
    pub is_streaming: bool,
    /// What was counted, as far as it is known.
    pub tokens: Tokens,
    /// What that costs; `None` where no rate is known.
    pub cost: Option<Cost>,
    /// What kind of figure this is.
    pub status: Status,
    /// The status that the client got.
    pub status_code: u16,
    /// From the request's first byte to its end.
    pub duration_ms: u64,
    /// `llm_cost_identity`.
    pub identity: T,
    /// `llm_cost_user`.
    pub user_id: T,
    /// `llm_cost_team`.
    pub team_id: T,
    /// `llm_cost_auth_fingerprint`.
    pub auth_key_fingerprint: T,
    /// `llm_cost_rate_card_version`.
    pub rate_card_version: T,
    /// The provider that the client named.
    pub requested_provider: T,
    /// The model that the client named.
    pub requested_model: T,
    /// Whether client and provider speak different dialects.
    pub translation_happened: bool,
    /// The name of the `Outcome` of routing.
    pub resolution_outcome: T,
    /// `llm_cost_org`.
    pub org: T,
    /// `llm_cost_project`.
    pub project: T,
    /// `llm_cost_client`.
    pub client: T,
    /// The rates that made the cost.
    pub rates: Option<Rates>,
    /// Where the tokens come from.
    pub usage_source: UsageSource,
    /// Each try, in order; they have rows of their own.
    pub attempts: Vec<AttemptRow<T>>,
    /// The provider of the first target.
    pub primary_provider: T,
    /// Why another target was tried.
    pub fallback_reason: T,
    /// `$llm_chain`; may be [`long`](super::long).
    pub chain: T,
    /// To the first event with content.
    pub ttft_ms: Option<u64>,
    /// What the first attempt took.
    pub first_attempt_ms: Option<u64>,
    /// The tag that the client sent.
    pub tag: T,
    /// The machine.
    pub node: T,
    /// When the request ended, in unix time.
    pub created_at_ms: u64,
    /// `llm_cost_tag` lines: name and value.
    pub tags: Vec<(T, T)>,
    /// What is booked on which spend record.
    pub charges: Vec<SpendCharge>,
    /// The checkpoint epoch in which the charges were booked.
    pub epoch: u64,
    /// Whether a row is written; an event may exist for its charges only.
    pub writes_row: bool,
}

/// One try of a request.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct AttemptRow<T = Text> {
    /// From 1.
    pub attempt_no: u32,
    /// The provider.
    pub provider: T,
    /// The model that it was asked for.
    pub model: T,
    /// The id of the key, never the key.
    pub key_id: T,
    /// `ok`, or the class of the failure.
    pub outcome: T,
    /// The provider's status, if it answered.
    pub status_code: Option<u16>,
    /// When it began, in unix time.
    pub started_at_ms: u64,
    /// How long it took.
    pub duration_ms: u64,
    /// To the first byte of the answer.
    pub first_byte_ms: Option<u64>,
    /// All input, cache included.
    pub prompt_tokens: Option<u64>,
    /// All output.
    pub completion_tokens: Option<u64>,
    /// Where the tokens come from.
    pub usage_source: UsageSource,
}

/// What a request adds to one spend record.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct SpendCharge {
    /// The record's key.
    pub key: u64,
    /// When its window began, in unix time.
    pub window_start_s: u64,
    /// How much.
    pub pico: Pico,
}
