//! What is remembered of one request's money? The module fills a [`CostEvent`] when the request
//! ends; the journal stores it in a binary format, so no field may be left out or flattened by
//! serde; the sinks ask for it as a row (see `row`) and know no field.

use serde::{Deserialize, Serialize};

use super::price::{Cost, Tokens};
use super::rate::Rates;
use super::{Pico, Status, Text, UsageSource};

/// One request. A text that is empty is absent: NULL in a row.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct CostEvent {
    /// The request's id, 32 hexadecimal digits; rows are idempotent by it.
    pub event_id: Text,
    /// The provider that answered, by its configured name.
    pub provider: Text,
    /// The model that it was asked for.
    pub model: Text,
    /// What the costs are counted in, such as `usd`.
    pub cost_unit: Text,
    /// `llm_cost_traffic_cohort`.
    pub traffic_cohort: Text,
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
    pub identity: Text,
    /// `llm_cost_user`.
    pub user_id: Text,
    /// `llm_cost_team`.
    pub team_id: Text,
    /// `llm_cost_auth_fingerprint`.
    pub auth_key_fingerprint: Text,
    /// `llm_cost_rate_card_version`.
    pub rate_card_version: Text,
    /// The provider that the client named.
    pub requested_provider: Text,
    /// The model that the client named.
    pub requested_model: Text,
    /// Whether client and provider speak different dialects.
    pub translation_happened: bool,
    /// The name of the `Outcome` of routing.
    pub resolution_outcome: Text,
    /// `llm_cost_org`.
    pub org: Text,
    /// `llm_cost_project`.
    pub project: Text,
    /// `llm_cost_client`.
    pub client: Text,
    /// The rates that made the cost.
    pub rates: Option<Rates>,
    /// Where the tokens come from.
    pub usage_source: UsageSource,
    /// Each try, in order; they have rows of their own.
    pub attempts: Vec<AttemptRow>,
    /// The provider of the first target.
    pub primary_provider: Text,
    /// Why another target was tried.
    pub fallback_reason: Text,
    /// `$llm_chain`; made with [`Text::long`].
    pub chain: Text,
    /// To the first event with content.
    pub ttft_ms: Option<u64>,
    /// What the first attempt took.
    pub first_attempt_ms: Option<u64>,
    /// The tag that the client sent.
    pub tag: Text,
    /// The machine.
    pub node: Text,
    /// When the request ended, in unix time.
    pub created_at_ms: u64,
    /// `llm_cost_tag` lines: name and value.
    pub tags: Vec<(Text, Text)>,
    /// What is booked on which spend record.
    pub charges: Vec<SpendCharge>,
    /// The checkpoint epoch in which the charges were booked.
    pub epoch: u64,
    /// Whether a row is written; an event may exist for its charges only.
    pub writes_row: bool,
}

/// One try of a request.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct AttemptRow {
    /// From 1.
    pub attempt_no: u32,
    /// The provider.
    pub provider: Text,
    /// The model that it was asked for.
    pub model: Text,
    /// The id of the key, never the key.
    pub key_id: Text,
    /// `ok`, or the class of the failure.
    pub outcome: Text,
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
