//! What kind of figure is the cost of a request, and where do its tokens come from? Asked once,
//! when the request ends; the words stand in the variable, the log and the rows.

use serde::{Deserialize, Serialize};

/// What kind of figure a cost is.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Status {
    /// What the provider counted, at the rates of the card.
    #[default]
    Recorded,
    /// The provider told nothing: the gateway's own count.
    Estimated,
    /// The provider told nothing, and the operator wants no estimate.
    UsageMissing,
    /// The card has no rate.
    NoRate,
    /// The client left early: what had been counted until then.
    ClientClosed,
    /// The stream broke off: what had been counted until then.
    StreamIncomplete,
    /// Nothing was served, so nothing is billed and no row is written.
    SkippedError,
    /// Served from nginx's cache: costs nothing.
    CacheHit,
    /// The event could not be stored.
    PersistFailed,
}

impl Status {
    /// Every status.
    pub const ALL: [Self; 9] = [
        Self::Recorded,
        Self::Estimated,
        Self::UsageMissing,
        Self::NoRate,
        Self::ClientClosed,
        Self::StreamIncomplete,
        Self::SkippedError,
        Self::CacheHit,
        Self::PersistFailed,
    ];

    /// The word in `$llm_cost_status`, logs and rows.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Recorded => "recorded",
            Self::Estimated => "estimated",
            Self::UsageMissing => "usage_missing",
            Self::NoRate => "no_rate",
            Self::ClientClosed => "client_closed",
            Self::StreamIncomplete => "stream_incomplete",
            Self::SkippedError => "skipped_error",
            Self::CacheHit => "cache_hit",
            Self::PersistFailed => "persist_failed",
        }
    }

    /// Whether a request of this status has a row.
    #[must_use]
    pub const fn writes_row(self) -> bool {
        !matches!(self, Self::SkippedError)
    }
}

/// Where the tokens of a record come from.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum UsageSource {
    /// They are not known.
    #[default]
    None,
    /// The provider told them.
    Reported,
    /// The gateway estimated them.
    Estimated,
    /// What the request had reserved is taken for them.
    Reserved,
}

impl UsageSource {
    /// The word in `$llm_usage_source`, logs and rows.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::None => "none",
            Self::Reported => "reported",
            Self::Estimated => "estimated",
            Self::Reserved => "reserved",
        }
    }
}
