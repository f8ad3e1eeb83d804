//! The rows of `llm_fallback`: directives, variables and response headers.

use super::Arity::{AtLeast, Between, Switch};
use super::Context::{Http, Location, Server};
use super::{Context, Directive, Entry};

const EVERYWHERE: &[Context] = &[Http, Server, Location];
const HTTP: &[Context] = &[Http];

/// The row of `llm_fallback`.
pub const LLM_FALLBACK: Directive = Directive {
    name: c"llm_fallback",
    contexts: EVERYWHERE,
    arity: Switch,
    syntax: "[on | off]",
    default: Some("off"),
    text: "Answers failures of a provider with further attempts, as the lines below say. Each \
           attempt is a new request, made from the client's own: upstream, path, host, key, \
           model, body, limits. `proxy_next_upstream` need not be written; where it is, its \
           tries and timeout are an upper bound. Retries among the servers of one `upstream` \
           block stay nginx's.",
};

/// The row of `llm_fallback_mode`.
pub const LLM_FALLBACK_MODE: Directive = Directive {
    name: c"llm_fallback_mode",
    contexts: EVERYWHERE,
    arity: Between(1, 1),
    syntax: "basic | health | latency",
    default: Some("basic"),
    text: "`basic`: targets are tried in the order of the chain; keys are benched and cooled, \
           targets are not. `health`: benched targets are skipped. `latency`: and of the targets \
           that one `from` leads to, the one with the lowest observed time to the first token \
           and the best success rate goes first.",
};

/// The row of `llm_fallback_route`.
pub const LLM_FALLBACK_ROUTE: Directive = Directive {
    name: c"llm_fallback_route",
    contexts: EVERYWHERE,
    arity: Between(2, 3),
    syntax: "<from> <to> [<model>]",
    default: None,
    text: "A request that failed at `from` may go to `to`. Both are a provider or \
           `provider/model`; the model may be a pattern with `*`. `model`, or one without `*` in \
           `to`, is sent in the place of the request's model; a pattern in `to` lets only models \
           pass that match it. Lines with one `from` form its ordered list. Of several that \
           match a target, only the most specific `from` counts: an exact model beats a pattern, \
           the pattern with more literal characters beats others, a bare provider comes last. \
           The chain is the first target, its list, then the lists of those; no target comes \
           twice. An edge that stands twice and a cycle are errors.",
};

/// The row of `llm_fallback_replace`.
pub const LLM_FALLBACK_REPLACE: Directive = Directive {
    name: c"llm_fallback_replace",
    contexts: EVERYWHERE,
    arity: Between(2, 2),
    syntax: "<provider> <provider>",
    default: None,
    text: "Uses the second provider wherever the first would be used, before anything is sent. \
           The model keeps its name. It is no fallback, and it is not applied twice.",
};

/// The row of `llm_fallback_on`.
pub const LLM_FALLBACK_ON: Directive = Directive {
    name: c"llm_fallback_on",
    contexts: EVERYWHERE,
    arity: AtLeast(1),
    syntax: "<class> ...",
    default: Some("connect_error transport_timeout upstream_5xx rate_limited"),
    text: "Which failures are answered by another attempt. `connect_error`: no connection, or it \
           was closed before the answer. `transport_timeout`: too slow to connect, to answer or \
           between two events; also 408. `upstream_5xx`: any status from 500. `rate_limited`: \
           429. `overloaded`: 529, or an error that says so. `first_token_timeout`: no content \
           in time. `stream_error`: a success that reports an error or breaks off. \
           `empty_response`: a success without content. `bad_response`: not an answer in the \
           provider's dialect, or a stream held to its end with an event that cannot be read. Where one of these \
           three is listed, an answer that is no stream is held until it is whole, up to \
           `llm_proxy_max_response_size`. `auth_error`: 401 and 403. `quota_exhausted`: no credit \
           left, whatever the status. `context_length`: the request does not fit the model. \
           `content_filter`: the provider refuses the content. `not_found`: 404. `http_NNN`: \
           exactly this status, but never a refusal of the content. Bad requests have no class \
           and are never replayed unless their status is listed. A request that was sent and not \
           answered is replayed only if `transport_timeout` or `first_token_timeout` is listed, \
           because the provider may be working on it. Behind the first content that the client \
           saw nothing is replayed.",
};

/// The row of `llm_fallback_max_attempts`.
pub const LLM_FALLBACK_MAX_ATTEMPTS: Directive = Directive {
    name: c"llm_fallback_max_attempts",
    contexts: EVERYWHERE,
    arity: Between(1, 1),
    syntax: "<number>",
    default: Some("2"),
    text: "All attempts of one client request: the first, retries, further keys and further \
           targets. Only the replay of a kept connection that was found closed is none.",
};

/// The row of `llm_fallback_retry`.
pub const LLM_FALLBACK_RETRY: Directive = Directive {
    name: c"llm_fallback_retry",
    contexts: EVERYWHERE,
    arity: Between(1, 2),
    syntax: "<number> [backoff=<time>..<time>]",
    default: Some("0"),
    text: "How often a target is tried again after a transient failure, before the chain goes \
           on, and how long to wait before (`backoff=250ms..2s` unless said): between the \
           shortest time and a limit that doubles with each retry, at random. A provider's \
           `Retry-After` takes the place of that pause where it ends before \
           `llm_proxy_total_timeout`, or, without one, is no longer than the longest pause; else \
           the chain goes on. A target that let a timeout run out is not tried again.",
};

/// The row of `llm_fallback_allow_streaming`.
pub const LLM_FALLBACK_ALLOW_STREAMING: Directive = Directive {
    name: c"llm_fallback_allow_streaming",
    contexts: EVERYWHERE,
    arity: Switch,
    syntax: "[on | off]",
    default: Some("on"),
    text: "`off`: streams are not sent to another target (`streaming_not_allowed`).",
};

/// The row of `llm_fallback_hold`.
pub const LLM_FALLBACK_HOLD: Directive = Directive {
    name: c"llm_fallback_hold",
    contexts: EVERYWHERE,
    arity: Between(1, 1),
    syntax: "first_token | complete",
    default: Some("first_token"),
    text: "How long a stream is held back while another target could still answer: until its \
           first event with content, or until its end, so that one that breaks off or stalls is \
           rescued, too. Heartbeats reach the client meanwhile.",
};

/// The row of `llm_fallback_retry_budget`.
pub const LLM_FALLBACK_RETRY_BUDGET: Directive = Directive {
    name: c"llm_fallback_retry_budget",
    contexts: EVERYWHERE,
    arity: Between(1, 1),
    syntax: "<percent> | off",
    default: Some("off"),
    text: "The share of a target's attempts that may be retries, over the last half minute. One \
           retry is always allowed in that time.",
};

/// The row of `llm_fallback_zone`.
pub const LLM_FALLBACK_ZONE: Directive = Directive {
    name: c"llm_fallback_zone",
    contexts: HTTP,
    arity: Between(2, 2),
    syntax: "<name> <size>",
    default: Some("llm_fallback 1m"),
    text: "The shared memory that holds the health of every provider, model and key for all \
           workers. It survives a reload. When it is full, the target that was not used for the \
           longest time is forgotten.",
};

/// The row of `llm_fallback_cooldown`.
pub const LLM_FALLBACK_COOLDOWN: Directive = Directive {
    name: c"llm_fallback_cooldown",
    contexts: EVERYWHERE,
    arity: Between(1, 6),
    syntax: "<time> [max=<time>] [fails=<number>] [window=<time>] [ratio=<0 to 1>] \
             [min=<number>]",
    default: Some("10s max=5m fails=5 window=30s ratio=0.5 min=20"),
    text: "When a provider's model and key is benched: after `fails` failures in a row, or when \
           `ratio` of at least `min` attempts within `window` failed. It is benched for the time \
           given, twice as long each time up to `max`, until one request of all workers finds it \
           well. A `Retry-After` or the reset of a used-up limit benches at once and for that \
           long; 429 without one benches for the time given; 401, 403 and an exhausted quota \
           bench for `max`. Where every target is benched the best is tried once \
           (`last_resort`).",
};

/// The row of `llm_fallback_probe`.
pub const LLM_FALLBACK_PROBE: Directive = Directive {
    name: c"llm_fallback_probe",
    contexts: EVERYWHERE,
    arity: Between(1, 4),
    syntax: "<provider> [uri=<path>] [interval=<time>] [timeout=<time>]",
    default: None,
    text: "Asks the provider for `uri` (default `/v1/models`) every `interval` (30s) from one \
           worker, and benches it when it does not answer within `timeout` (2s). A probe costs \
           no tokens and is not recorded.",
};

/// The row of `llm_fallback_request_headers`.
pub const LLM_FALLBACK_REQUEST_HEADERS: Directive = Directive {
    name: c"llm_fallback_request_headers",
    contexts: EVERYWHERE,
    arity: AtLeast(1),
    syntax: "off | <name> ...",
    default: Some("off"),
    text: "What a client may set for its request. `fallback`: `X-LLM-Fallback`, `off` or the \
           targets behind the first, `provider/model, ...`. `timeout`: `X-LLM-Timeout-Ms`, of \
           each attempt. `retries`: `X-LLM-Retry-Budget`, the attempts behind the first, within \
           `llm_fallback_max_attempts`. `on`: `X-LLM-Fallback-On`, the words of \
           `llm_fallback_on`, or `5xx`, `429`, `timeout`, `filter` and `4xx`, which is \
           `rate_limited auth_error not_found quota_exhausted context_length`. `tag`: \
           `X-LLM-Tag`, for `$llm_tag`, log and records. `provider`: `X-LLM-Provider-Pin`, the \
           only provider to use, one that the catalog, an alias or an edge allows for the model. \
           Only configured targets are reached; what is malformed is answered with 400. The \
           headers never reach a provider.",
};

/// The row of `llm_fallback_header_prefix`.
pub const LLM_FALLBACK_HEADER_PREFIX: Directive = Directive {
    name: c"llm_fallback_header_prefix",
    contexts: EVERYWHERE,
    arity: Between(1, 1),
    syntax: "<prefix>",
    default: Some("x-llm-"),
    text: "What the names of those headers begin with.",
};

/// The row of `llm_fallback_translation_fallback`.
pub const LLM_FALLBACK_TRANSLATION_FALLBACK: Directive = Directive {
    name: c"llm_fallback_translation_fallback",
    contexts: EVERYWHERE,
    arity: Between(1, 1),
    syntax: "allow | discourage | forbid",
    default: Some("allow"),
    text: "Whether a target may follow whose dialect is not the client's, so that the request is \
           translated: yes, behind all others, or never (`translation_forbidden`).",
};

/// The row of `llm_fallback_static`.
pub const LLM_FALLBACK_STATIC: Directive = Directive {
    name: c"llm_fallback_static",
    contexts: EVERYWHERE,
    arity: Between(1, 1),
    syntax: "<file>",
    default: None,
    text: "A file whose content, JSON, answers a request with status 200 when every attempt has \
           failed or all targets are benched. Failures that `llm_fallback_on` does not list, and \
           streams, are not answered by it.",
};

/// Every directive of `llm_fallback`, in the order of the reference.
pub const FALLBACK_DIRECTIVES: &[&Directive] = &[
    &LLM_FALLBACK,
    &LLM_FALLBACK_MODE,
    &LLM_FALLBACK_ROUTE,
    &LLM_FALLBACK_REPLACE,
    &LLM_FALLBACK_ON,
    &LLM_FALLBACK_MAX_ATTEMPTS,
    &LLM_FALLBACK_RETRY,
    &LLM_FALLBACK_ALLOW_STREAMING,
    &LLM_FALLBACK_HOLD,
    &LLM_FALLBACK_RETRY_BUDGET,
    &LLM_FALLBACK_ZONE,
    &LLM_FALLBACK_COOLDOWN,
    &LLM_FALLBACK_PROBE,
    &LLM_FALLBACK_REQUEST_HEADERS,
    &LLM_FALLBACK_HEADER_PREFIX,
    &LLM_FALLBACK_TRANSLATION_FALLBACK,
    &LLM_FALLBACK_STATIC,
];

/// Every variable of `llm_fallback`.
pub const FALLBACK_VARIABLES: &[Entry] = &[
    Entry {
        name: "llm_fallback_attempted",
        text: "1 if the request went to another target after a failure, else 0.",
    },
    Entry {
        name: "llm_fallback_suppressed",
        text: "1 if a failure that `llm_fallback_on` lists was not answered by another attempt, \
               else 0.",
    },
    Entry {
        name: "llm_fallback_suppressed_reason",
        text: "Why: `streaming_not_allowed`, `translation_forbidden`, `attempts_exhausted`, \
               `no_target`, `budget`, `deadline`, `already_started`, `retry_budget` or \
               `disabled_by_request`.",
    },
    Entry {
        name: "llm_fallback_reason",
        text: "The class of the first failure that was answered by another attempt, else `none`.",
    },
    Entry { name: "llm_fallback_attempt_count", text: "Attempts, the first included." },
    Entry {
        name: "llm_fallback_policy_allowed",
        text: "1 if `llm_fallback_on` lists the failure, else 0.",
    },
    Entry {
        name: "llm_fallback_policy_mismatch",
        text: "Always 0: nothing is replayed that the policy does not list.",
    },
    Entry { name: "llm_fallback_primary_provider", text: "The provider of the first attempt." },
    Entry {
        name: "llm_fallback_effective_provider",
        text: "The provider whose answer the client got.",
    },
    Entry {
        name: "llm_failure_class",
        text: "The class of the last failure; `semantic_error` is a request at fault itself.",
    },
    Entry {
        name: "llm_chain",
        text: "Each target with its status or class and milliseconds: `one/model-a:429:212ms, \
               two/model-b:200:840ms`. A target that was passed over has `skipped(...)` with \
               `benched`, `budget`, `limit`, `context`, `key` or `translation`.",
    },
    Entry { name: "llm_served_by", text: "Provider and model that answered." },
    Entry {
        name: "llm_route_mode",
        text: "How the request came to its target: `direct`, `replaced` by a rule, \
               `model_fallback` at the same provider, `provider_fallback`, `last_resort` where \
               all were benched, or `cached`.",
    },
    Entry { name: "llm_tag", text: "The tag that the client sent." },
    Entry {
        name: "llm_reset_after_ms",
        text: "Milliseconds until the provider wants to be asked again or its limits reset.",
    },
    Entry {
        name: "llm_ratelimit_remaining_tokens",
        text: "What remains of the provider's own token limit.",
    },
    Entry { name: "llm_ratelimit_remaining_requests", text: "What remains of its request limit." },
];

/// Every response header of `llm_fallback`.
pub const FALLBACK_HEADERS: &[Entry] = &[
    Entry {
        name: "X-LLM-Chain",
        text: "What became of each target, as in `$llm_chain`; on failures, too.",
    },
    Entry {
        name: "X-LLM-Reset-After-Ms",
        text: "Milliseconds until the provider wants to be asked again or its limits reset.",
    },
    Entry {
        name: "X-LLM-Remaining-Tokens",
        text: "What remains of the provider's own token limit.",
    },
    Entry { name: "X-LLM-Remaining-Requests", text: "What remains of its request limit." },
    Entry {
        name: "X-Fallback-Attempted",
        text: "1 if the request went to another target after a failure, else 0.",
    },
    Entry {
        name: "X-Fallback-Suppressed",
        text: "1 if a failure that the policy lists was not answered by another attempt, else 0.",
    },
    Entry { name: "X-Fallback-Suppressed-Reason", text: "Why." },
    Entry { name: "X-Fallback-Attempt-Count", text: "Attempts, the first included." },
    Entry { name: "X-Fallback-Primary", text: "The provider of the first attempt." },
    Entry { name: "X-Fallback-Effective", text: "The provider whose answer this is." },
    Entry {
        name: "X-Fallback-Reason",
        text: "The class of the first failure that was answered by another attempt, else `none`.",
    },
    Entry { name: "X-Fallback-Policy-Allowed", text: "1 if the policy lists the failure, else 0." },
    Entry { name: "X-Fallback-Policy-Mismatch", text: "Always 0." },
    Entry {
        name: "X-Should-Retry",
        text: "`false` on a failure after the chain was used up: asking again at once is no use.",
    },
];
