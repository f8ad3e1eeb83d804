//! Which families of metrics are there, with which labels? The reference page, the recorder and the
//! exposition read the same rows.

use super::buckets;

/// What a family is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Type {
    /// Only grows.
    Counter,
    /// Goes up and down; its value is given at the time of a scrape.
    Gauge,
    /// A distribution of times with these upper bounds.
    Histogram(&'static buckets::Bounds),
}

impl Type {
    /// The word in the exposition.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Counter => "counter",
            Self::Gauge => "gauge",
            Self::Histogram(_) => "histogram",
        }
    }
}

/// A label.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Label {
    /// A configured provider.
    Provider,
    /// A model, pattern or alias of the configuration; only with `llm_metrics_label_model`.
    Model,
    /// A configured tenant; only with `llm_metrics_label_tenant`.
    Tenant,
    /// `true` or `false`.
    Streaming,
    /// The status that the client got.
    Code,
    /// Anything else, by its name; the values are a closed set or given at the time of a scrape.
    Named(&'static str),
}

impl Label {
    /// The name in the exposition.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Provider => "provider",
            Self::Model => "model",
            Self::Tenant => "tenant",
            Self::Streaming => "streaming",
            Self::Code => "code",
            Self::Named(name) => name,
        }
    }
}

/// One family.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Family {
    /// Which one.
    pub metric: Metric,
    /// Its name, as Prometheus' text has it.
    pub name: &'static str,
    /// What it is.
    pub kind: Type,
    /// The unit that the name ends with, before `_total`.
    pub unit: Option<&'static str>,
    /// Its labels, in order.
    pub labels: &'static [Label],
    /// The directive that turns it on; `None` is always.
    pub opted_by: Option<&'static str>,
    /// What it says.
    pub help: &'static str,
}

/// Makes the enum and the table from one list, so that neither lacks a row of the other.
macro_rules! families {
    ($($metric:ident $name:literal $kind:expr, $unit:expr, [$($label:expr),*] $(if $by:literal)?, $help:literal;)*) => {
        /// The families, by what they count.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
        #[repr(u32)]
        pub enum Metric {
            $(#[doc = $help] $metric,)*
        }

        /// Every family, in the order of [`Metric`] and of the exposition.
        pub const FAMILIES: &[Family] = &[$(Family {
            metric: Metric::$metric,
            name: $name,
            kind: $kind,
            unit: $unit,
            labels: &[$($label),*],
            opted_by: families!(@by $($by)?),
            help: $help,
        },)*];
    };
    (@by) => { None };
    (@by $by:literal) => { Some($by) };
}

use Label::{Code, Model, Named, Provider, Streaming, Tenant};
use Type::{Counter, Gauge, Histogram};

const SECONDS: Option<&str> = Some("seconds");
const TOKENS: Option<&str> = Some("tokens");

families! {
    Requests "llm_requests_total" Counter, None, [Provider, Model, Tenant, Streaming, Code],
        "Requests by the provider that answered last and the status that the client got.";
    RequestErrors "llm_request_errors_total" Counter, None, [Provider, Model, Tenant, Named("source")],
        "Requests that failed, by whose fault it was: provider, gateway or client.";
    Attempts "llm_attempts_total" Counter, None, [Provider, Model, Named("outcome")],
        "Tries at providers: ok, client_closed, semantic_error for a request at fault, or a failure class.";
    Fallbacks "llm_fallbacks_total" Counter, None, [Named("from"), Named("to"), Named("reason")],
        "Moves of a request from one provider's target to another, by the class of the failure, or by why the first target was not tried, such as benched.";
    FallbacksSuppressed "llm_fallbacks_suppressed_total" Counter, None, [Named("reason")],
        "Failures that were listed and not answered by another attempt, by why not.";
    RequestDuration "llm_request_duration_seconds" Histogram(&buckets::REQUEST), SECONDS, [Provider, Model],
        "Time from a request's arrival to the end of its answer.";
    FirstToken "llm_time_to_first_token_seconds" Histogram(&buckets::REQUEST), SECONDS, [Provider, Model],
        "Time from a request's arrival to its first content, waits for failed attempts included.";
    PerOutputToken "llm_time_per_output_token_seconds" Histogram(&buckets::TOKEN), SECONDS, [Provider, Model],
        "Time between two output tokens of a stream: what passed behind the first, by the tokens that followed.";
    Overhead "llm_gateway_overhead_seconds" Histogram(&buckets::OVERHEAD), SECONDS, [],
        "Time that the gateway itself took for a request.";
    Tokens "llm_tokens_total" Counter, TOKENS, [Provider, Model, Tenant, Named("type")],
        "Tokens: input beside the cache, cache_read, cache_write, output, and reasoning as a part of output.";
    Usage "llm_usage_total" Counter, None, [Named("source")],
        "Answered requests by where their token counts come from.";
    CostUnits "llm_cost_units_total" Counter, None, [Provider, Model, Tenant, Named("unit")],
        "Cost of the answers, in units of the rate card.";
    RatelimitDecisions "llm_ratelimit_decisions_total" Counter, None, [Named("decision"), Named("reason")],
        "What the limits decided: allow, deny or would_deny in a dry run, and why.";
    ClientAborts "llm_client_aborts_total" Counter, None, [],
        "Requests whose client went away before the end.";
    TruncatedStreams "llm_truncated_streams_total" Counter, None, [Provider, Model],
        "Streams that ended without their terminal marker.";
    CostEvents "llm_cost_events_total" Counter, None, [Named("result")],
        "Cost events by what became of them: written, dropped or dead_letter.";
    MetricsLost "llm_metrics_lost_total" Counter, None, [],
        "Additions without room in the zone; make llm_metrics_zone larger.";
    ParseFallback "llm_parse_fallback_total" Counter, None, [Provider],
        "Requests whose body was passed on without being understood.";
    ErrorProvider "llm_error_provider_total" Counter, None, [Provider],
        "Requests that failed by the provider's fault.";
    ErrorGateway "llm_error_gateway_total" Counter, None, [Provider],
        "Requests that the gateway itself refused or failed.";
    UsageMissing "llm_usage_missing_total" Counter, None, [Provider],
        "Successful answers without token counts.";
    Translation "llm_translation_total" Counter, None, [Provider],
        "Requests translated into another dialect.";
    Replacement "llm_replacement_total" Counter, None, [Provider],
        "Requests that a rule sent to another provider than the one asked for.";
    PromptTokens "llm_prompt_tokens_total" Counter, TOKENS, [Provider] if "llm_metrics_emit_usage",
        "All input tokens, cache included.";
    CompletionTokens "llm_completion_tokens_total" Counter, TOKENS, [Provider] if "llm_metrics_emit_usage",
        "All output tokens.";
    AuthStatus "llm_auth_status_total" Counter, None, [Provider, Named("auth_status")] if "llm_metrics_label_auth_status",
        "Requests by what became of the search for the provider's key.";
    ResolutionOutcome "llm_resolution_outcome_total" Counter, None, [Provider, Named("resolution_outcome")] if "llm_metrics_label_resolution_outcome",
        "Requests by what became of the client's wish.";
    ProviderUp "llm_provider_up" Gauge, None, [Provider],
        "1 if requests are sent to the provider, 0 if all of its targets are benched.";
    TargetBenched "llm_target_benched" Gauge, None, [Provider, Named("model"), Named("key")],
        "1 while a target is benched; a target that nothing is known of has no line.";
    Keys "llm_keys" Gauge, None, [Provider, Named("state")],
        "Keys of a provider by state: ready, benched or missing.";
    OpenStreams "llm_open_streams" Gauge, None, [],
        "Streams under way in all workers.";
    Spend "llm_spend" Gauge, None, [Named("scope"), Named("unit")],
        "What a budget's open window has spent, in its unit.";
    SpendLimit "llm_spend_limit" Gauge, None, [Named("scope"), Named("unit")],
        "What a budget's window may spend, in its unit.";
    JournalEvents "llm_cost_journal_events" Gauge, None, [],
        "Cost events that wait in the journal for the database.";
    JournalBytes "llm_cost_journal_bytes" Gauge, Some("bytes"), [],
        "Size of the journal.";
    JournalOldest "llm_cost_journal_oldest_seconds" Gauge, SECONDS, [],
        "Age of the oldest cost event that waits.";
}

impl Metric {
    /// The family's row.
    #[must_use]
    pub fn family(self) -> Option<&'static Family> {
        FAMILIES.get(self as usize)
    }
}

impl Family {
    /// The family in OpenMetrics' metadata: a counter's name without `_total`.
    #[must_use]
    pub fn base_name(&self) -> &'static str {
        match self.kind {
            Type::Counter => self.name.strip_suffix("_total").unwrap_or(self.name),
            Type::Gauge | Type::Histogram(_) => self.name,
        }
    }
}
