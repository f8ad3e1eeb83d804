//! What does `llm_status` tell, as JSON? Plain structs that the module fills and the page, `llmctl` and
//! scripts read. Amounts of money are texts, so that no reader rounds them.

use serde::{Deserialize, Serialize};

use super::Series;
use crate::cost::Pico;

/// The whole report.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct Report {
    /// The product's version.
    pub version: String,
    /// The machine's name.
    pub node: String,
    /// When it was made, RFC 3339.
    pub time: String,
    /// Streams under way.
    pub open_streams: u64,
    /// Every configured provider.
    pub providers: Vec<Provider>,
    /// Moves between providers within the last hour.
    pub flows: Vec<Flow>,
    /// Decisions of the limits within the last hour.
    pub decisions: Vec<DecisionCount>,
    /// The limits.
    pub limits: Vec<Limit>,
    /// The budgets.
    pub budgets: Vec<Budget>,
    /// The journal, where costs are on.
    pub journal: Option<Journal>,
    /// The latest requests, the latest first.
    pub recent: Vec<Recent>,
}

/// Whether a provider is asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ProviderState {
    /// It is.
    #[default]
    Up,
    /// Some of its targets or keys are benched.
    Degraded,
    /// All are.
    Benched,
    /// The operator took it out.
    Drained,
}

/// A provider.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct Provider {
    /// Its name.
    pub name: String,
    /// Whether it is asked.
    pub state: ProviderState,
    /// Until when all of it is benched, RFC 3339.
    pub benched_until: Option<String>,
    /// The decayed time to the first content.
    pub latency_ms: Option<u64>,
    /// The decayed share of attempts that went well, from 0 to 1.
    pub success_ratio: Option<f64>,
    /// The unit of its costs.
    pub unit: Option<String>,
    /// Its keys.
    pub keys: Vec<Key>,
    /// Targets that are benched.
    pub targets: Vec<Target>,
    /// The last hour, minute by minute; none if nothing happened.
    pub hour: Option<Series>,
}

/// Whether a key is used.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum KeyState {
    /// It is.
    #[default]
    Ready,
    /// The provider refused it, or asked for a pause.
    Benched,
    /// Its variable is not set, or its file cannot be read.
    Missing,
}

/// A key, by its id.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Key {
    /// The id, never the key.
    pub id: String,
    /// Whether it is used.
    pub state: KeyState,
    /// Until when it is benched.
    pub until: Option<String>,
}

/// A benched target.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Target {
    /// The model.
    pub model: Option<String>,
    /// The key's id.
    pub key: Option<String>,
    /// Until when.
    pub until: String,
}

/// Moves of requests from one provider to another.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Flow {
    /// From where.
    pub from: String,
    /// To where.
    pub to: String,
    /// How many.
    pub count: u64,
}

/// How often the limits decided so.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct DecisionCount {
    /// `allow`, `deny` or `would_deny`.
    pub decision: String,
    /// Why.
    pub reason: String,
    /// How many.
    pub count: u64,
}

/// A limit.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Limit {
    /// The rule, as it is told to refused clients.
    pub rule: String,
    /// `requests`, `tokens` or `concurrency`.
    pub kind: String,
    /// What it allows.
    pub limit: u64,
    /// In which time; none for concurrency.
    pub window_seconds: Option<u64>,
    /// Identities that have used some of it which has not come back; none if nobody has counted them.
    pub active: Option<u64>,
    /// What the one that used most has used, requests under way included.
    pub most_used: Option<u64>,
}

/// A budget.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Budget {
    /// `organization`, `project` or `client`.
    pub scope: String,
    /// Whose.
    pub id: String,
    /// The cost unit.
    pub unit: String,
    /// What the window may spend.
    pub limit: String,
    /// What it has spent.
    pub spent: String,
    /// What requests under way may add.
    pub reserved: String,
    /// What it will have spent at its end if it goes on like this.
    pub projected: Option<String>,
    /// `month`, `week`, `day` or `total`.
    pub window: String,
    /// When it began.
    pub starts_at: Option<String>,
    /// When the next one begins; none for `total`.
    pub resets_at: Option<String>,
    /// Whether the request that crosses the limit may pass.
    pub soft: bool,
}

/// What is known of a budget.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BudgetInput<'a> {
    /// `organization`, `project` or `client`.
    pub scope: &'a str,
    /// Whose.
    pub id: &'a str,
    /// The cost unit.
    pub unit: &'a str,
    /// What the window may spend.
    pub limit: Pico,
    /// What it has spent.
    pub spent: Pico,
    /// What requests under way may add.
    pub reserved: Pico,
    /// `month`, `week`, `day` or `total`.
    pub window: &'a str,
    /// When it began, in milliseconds since 1970.
    pub start_ms: u64,
    /// When the next one begins; none for `total`.
    pub end_ms: Option<u64>,
    /// Whether the request that crosses the limit may pass.
    pub soft: bool,
}

impl Budget {
    /// The budget at a time in milliseconds since 1970.
    #[must_use]
    pub fn new(input: &BudgetInput<'_>, now_ms: u64) -> Self {
        let end = input.end_ms;
        let projected = end.and_then(|end| projected(input.spent, input.start_ms, end, now_ms));
        Self {
            scope: input.scope.to_owned(),
            id: input.id.to_owned(),
            unit: input.unit.to_owned(),
            limit: input.limit.to_string(),
            spent: input.spent.to_string(),
            reserved: input.reserved.to_string(),
            projected: projected.map(|pico| pico.to_string()),
            window: input.window.to_owned(),
            starts_at: end.map(|_| super::rfc3339(input.start_ms)),
            resets_at: end.map(super::rfc3339),
            soft: input.soft,
        }
    }
}

/// What a window will have spent at its end if it goes on like this. None in its first hundredth, when
/// one request would foretell a fortune.
#[must_use]
pub fn projected(spent: Pico, start_ms: u64, end_ms: u64, now_ms: u64) -> Option<Pico> {
    let whole = end_ms.checked_sub(start_ms)?;
    let passed = now_ms.checked_sub(start_ms)?.min(whole);
    if passed == 0 || passed < whole / 100 {
        return None;
    }
    let (whole, passed) = (u128::from(whole), u128::from(passed));
    // Divided first where the product is too large: then a few pico-units more or less are nothing.
    let pico = spent
        .0
        .checked_mul(whole)
        .map_or_else(|| (spent.0 / passed).saturating_mul(whole), |product| product / passed);
    Some(Pico(pico))
}

/// The journal of costs.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Journal {
    /// Events that wait for the database.
    pub events: u64,
    /// Its size.
    pub bytes: u64,
    /// How large it may become.
    pub max_bytes: Option<u64>,
    /// The age of the oldest event that waits.
    pub oldest_seconds: u64,
    /// Events that the database has.
    pub written: u64,
    /// Events for which there was no room.
    pub dropped: u64,
    /// Events that the database refused for good.
    pub dead_letter: u64,
}

/// A request that is over.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Recent {
    /// Its id in logs and rows.
    pub event_id: String,
    /// When it ended, RFC 3339.
    pub time: String,
    /// The provider that answered last.
    pub provider: Option<String>,
    /// The model there.
    pub model: Option<String>,
    /// What became of each target, cut if it is long.
    pub chain: String,
    /// What the client got.
    pub status: u32,
    /// Tries.
    pub attempts: u32,
    /// Whether it moved to another target.
    pub fallback: bool,
    /// Whether the client asked for a stream.
    pub streaming: bool,
    /// Whether the client went away.
    pub client_aborted: bool,
    /// Whether the provider's stream broke off.
    pub truncated: bool,
    /// Input tokens, cache included.
    pub input_tokens: Option<u64>,
    /// Output tokens.
    pub output_tokens: Option<u64>,
    /// Its cost.
    pub cost: Option<String>,
    /// In this unit.
    pub unit: Option<String>,
    /// Until the first content.
    pub ttft_ms: Option<u64>,
    /// Until the end.
    pub duration_ms: u64,
    /// Who asked, by id.
    pub org: Option<String>,
    /// Who asked, by id.
    pub project: Option<String>,
    /// Who asked, by id.
    pub client: Option<String>,
    /// The client's tag.
    pub tag: Option<String>,
}

impl Report {
    /// The report as JSON.
    #[must_use]
    pub fn json(&self) -> Vec<u8> {
        // Structs of texts and numbers always have a JSON form.
        serde_json::to_vec(self).unwrap_or_default()
    }
}
