//! The rows of `llm_metrics` and `llm_status`: their directives. The families of metrics are rows of
//! `llm_core::metrics`.

use super::Arity::{AtLeast, Between, None as NoArgument, Switch};
use super::Context::{Http, Location, Server};
use super::{Context, Directive};

const EVERYWHERE: &[Context] = &[Http, Server, Location];

/// The row of `llm_metrics`.
pub const LLM_METRICS: Directive = Directive {
    name: c"llm_metrics",
    contexts: EVERYWHERE,
    arity: Switch,
    syntax: "[on | off]",
    default: Some("off"),
    text: "Counts the requests of this location for `llm_metrics_export` and `llm_status`. Labels are \
           names of the configuration and closed sets of words; anything else counts as `other`, so \
           that no client can make series.",
};

/// The row of `llm_metrics_zone`.
pub const LLM_METRICS_ZONE: Directive = Directive {
    name: c"llm_metrics_zone",
    contexts: &[Http],
    arity: Between(2, 2),
    syntax: "<name> <size>",
    default: Some("llm_metrics 10m"),
    text: "The shared memory of the counts. It is kept over a reload as long as name and size stay \
           the same; a series takes 184 bytes. What finds no room is counted in \
           `llm_metrics_lost_total`.",
};

/// The row of `llm_metrics_export`.
pub const LLM_METRICS_EXPORT: Directive = Directive {
    name: c"llm_metrics_export",
    contexts: &[Location],
    arity: Between(1, 1),
    syntax: "prometheus",
    default: None,
    text: "Answers GET and HEAD with the metrics as Prometheus' text 0.0.4, or as OpenMetrics 1.0.0 \
           where `Accept` prefers that. Who may ask is for `allow` and `deny`; a subrequest is \
           refused with 403.",
};

/// The row of `llm_metrics_label_model`.
pub const LLM_METRICS_LABEL_MODEL: Directive = Directive {
    name: c"llm_metrics_label_model",
    contexts: EVERYWHERE,
    arity: Switch,
    syntax: "[on | off]",
    default: Some("off"),
    text: "Adds the label `model`: an exact name of a catalog, an alias' or a fallback's model, or \
           the pattern that a name matches. Once it is on anywhere, locations without it count as \
           `other`.",
};

/// The row of `llm_metrics_label_auth_status`.
pub const LLM_METRICS_LABEL_AUTH_STATUS: Directive = Directive {
    name: c"llm_metrics_label_auth_status",
    contexts: EVERYWHERE,
    arity: Switch,
    syntax: "[on | off]",
    default: Some("off"),
    text: "Adds the family `llm_auth_status_total`.",
};

/// The row of `llm_metrics_label_resolution_outcome`.
pub const LLM_METRICS_LABEL_RESOLUTION_OUTCOME: Directive = Directive {
    name: c"llm_metrics_label_resolution_outcome",
    contexts: EVERYWHERE,
    arity: Switch,
    syntax: "[on | off]",
    default: Some("off"),
    text: "Adds the family `llm_resolution_outcome_total`.",
};

/// The row of `llm_metrics_label_tenant`.
pub const LLM_METRICS_LABEL_TENANT: Directive = Directive {
    name: c"llm_metrics_label_tenant",
    contexts: EVERYWHERE,
    arity: Switch,
    syntax: "[on | off]",
    default: Some("off"),
    text: "Adds the label `tenant` to requests, errors, tokens and costs: what \
           `llm_metrics_tenant_source` says, if the configuration names it.",
};

/// The row of `llm_metrics_tenant_source`.
pub const LLM_METRICS_TENANT_SOURCE: Directive = Directive {
    name: c"llm_metrics_tenant_source",
    contexts: EVERYWHERE,
    arity: AtLeast(1),
    syntax: "<text> [<tenant> ...]",
    default: None,
    text: "The tenant of a request, a text with variables, and the names that may be labels beside \
           those of tenants, projects and organisations in `llm_auth_*_credential` lines. Any other \
           counts as `other`.",
};

/// The row of `llm_metrics_emit_usage`.
pub const LLM_METRICS_EMIT_USAGE: Directive = Directive {
    name: c"llm_metrics_emit_usage",
    contexts: EVERYWHERE,
    arity: Switch,
    syntax: "[on | off]",
    default: Some("off"),
    text: "Adds `llm_prompt_tokens_total` and `llm_completion_tokens_total` to `llm_tokens_total`, \
           which is always there.",
};

/// The row of `llm_status`.
pub const LLM_STATUS: Directive = Directive {
    name: c"llm_status",
    contexts: &[Location],
    arity: NoArgument,
    syntax: "",
    default: None,
    text: "Answers with the state of providers, keys, limits, budgets and the journal, the last hour \
           and the latest requests: as a live page to who accepts `text/html`, else, and below \
           `/json`, as JSON. It shows ids and names, never a secret. `POST` to `/drain?provider=<name>` \
           below it takes a provider out for all workers, until `/undrain` or a restart; `/probe` \
           sends its `llm_fallback_probe` now and answers when that is over: with `result` (`ok`, \
           `bad_status`, `connect`, `tls`, `timeout` or `bad_response`), `status` and `latency_ms`; a \
           provider without such a line is a 409. Who may ask is for `allow` and `deny`.",
};

/// The row of `llm_log_format`.
pub const LLM_LOG_FORMAT: Directive = Directive {
    name: c"llm_log_format",
    contexts: &[Http],
    arity: Between(1, 1),
    syntax: "json",
    default: None,
    text: "Makes the log format `llm_json` for `access_log`: one line of JSON with what happened to a \
           request, its limits, costs and tokens, whatever the client sent.",
};

/// Every directive of the room, in the order of the reference.
pub const METRICS_DIRECTIVES: &[&Directive] = &[
    &LLM_METRICS,
    &LLM_METRICS_ZONE,
    &LLM_METRICS_EXPORT,
    &LLM_METRICS_LABEL_MODEL,
    &LLM_METRICS_LABEL_TENANT,
    &LLM_METRICS_TENANT_SOURCE,
    &LLM_METRICS_LABEL_AUTH_STATUS,
    &LLM_METRICS_LABEL_RESOLUTION_OUTCOME,
    &LLM_METRICS_EMIT_USAGE,
    &LLM_STATUS,
    &LLM_LOG_FORMAT,
];
