//! The rows of `llm_proxy`: directives, variables and response headers.

use super::Arity::{AtLeast, Between, None as NoArgument, Switch};
use super::Context::{Http, Location, Server};
use super::{Context, Directive, Entry};

const EVERYWHERE: &[Context] = &[Http, Server, Location];
const LOCATION: &[Context] = &[Location];

/// The row of `llm_proxy`.
pub const LLM_PROXY: Directive = Directive {
    name: c"llm_proxy",
    contexts: EVERYWHERE,
    arity: Switch,
    syntax: "[on | off]",
    default: Some("off"),
    text: "Switches the gateway on: a request body is read, its model looked up, the provider \
           chosen, and `proxy_pass` sends it there. `off` undoes it for a nested location.",
};

/// The row of `llm_proxy_route`.
pub const LLM_PROXY_ROUTE: Directive = Directive {
    name: c"llm_proxy_route",
    contexts: EVERYWHERE,
    arity: AtLeast(2),
    syntax: "<provider> <upstream> [openai | anthropic] [host=<name>] [base=<path>] [ssl=on | \
             off] [ssl_name=<name>] [ssl_verify=on | off] [connect_timeout=<time>] \
             [response_timeout=<time>] [first_token_timeout=<time>] [idle_timeout=<time>] \
             [max_input=<tokens>]",
    default: None,
    text: "Names a provider and the `upstream` block that reaches it. The dialect is `openai` \
           unless said; it is never guessed from names. `host` is sent as Host and as SNI; \
           without it the name in the block's first `server` line is, without its port. `base` \
           (default `/v1`) is where the provider's API begins: `base=/v1beta/openai` turns \
           `/v1/chat/completions` into `/v1beta/openai/chat/completions`. `ssl` says whether to \
           use TLS whatever the scheme in `proxy_pass` is, `ssl_name` replaces the host in SNI \
           and in the certificate check, `ssl_verify=off` switches that check off. The timeouts \
           replace the general ones for this provider. A provider that holds fewer than the \
           request's estimated tokens, `max_input`, is skipped. The same provider twice is an \
           error; a block that has its own lines does not inherit those above it.",
};

/// The row of `llm_proxy_default_provider`.
pub const LLM_PROXY_DEFAULT_PROVIDER: Directive = Directive {
    name: c"llm_proxy_default_provider",
    contexts: EVERYWHERE,
    arity: Between(1, 1),
    syntax: "<provider>",
    default: None,
    text: "The provider for requests that need no model, such as `GET /v1/models`, and for every \
           model where no `llm_proxy_model_pattern` exists. It is never a way around the \
           catalog.",
};

/// The row of `llm_proxy_model_pattern`.
pub const LLM_PROXY_MODEL_PATTERN: Directive = Directive {
    name: c"llm_proxy_model_pattern",
    contexts: EVERYWHERE,
    arity: Between(2, 2),
    syntax: "<pattern> <provider>",
    default: None,
    text: "Adds models to the catalog. A pattern is compared without regard to case and is one \
           model's name unless it has a `*`, which stands for any characters and may occur more \
           than once. An exact pattern beats a wildcard, and of two wildcards the one with more \
           literal characters wins; if they have equally many, the one with more of them before \
           its first `*`, then the one with fewer `*`, then the first by alphabet: the order of \
           lines never matters. With a catalog an unknown model is answered with 404 \
           `model_not_found` and a request body without a model with 400 `model_required`. A \
           body with a field `models`, a list of others for the provider to choose from, is \
           refused with 400 `unsupported_parameter`, with a catalog or without, unless the list \
           is empty. A client may choose among the providers that the catalog has for a model, \
           with a model name `provider/model` or a body field `provider`; prefix and field are \
           removed before sending. A pattern that spells the slash beats such a prefix. The same \
           pattern twice is an error.",
};

/// The row of `llm_proxy_model_alias`.
pub const LLM_PROXY_MODEL_ALIAS: Directive = Directive {
    name: c"llm_proxy_model_alias",
    contexts: EVERYWHERE,
    arity: Between(2, 2),
    syntax: "<public> <provider>/<model>",
    default: None,
    text: "Clients ask for `public` and the provider gets `model`. An alias is part of the \
           catalog, beats its patterns and needs none for its target; the target's own name is \
           not opened by it.",
};

/// The row of `llm_proxy_max_body_size`.
pub const LLM_PROXY_MAX_BODY_SIZE: Directive = Directive {
    name: c"llm_proxy_max_body_size",
    contexts: EVERYWHERE,
    arity: Between(1, 1),
    syntax: "<size>",
    default: Some("10m"),
    text: "The largest request body; above it the answer is 413 `request_too_large`. Below it a \
           body is read whole, whether it lies in memory or in a temporary file. It takes the \
           place of `client_max_body_size` where the gateway is on.",
};

/// The row of `llm_proxy_unparsed`.
pub const LLM_PROXY_UNPARSED: Directive = Directive {
    name: c"llm_proxy_unparsed",
    contexts: EVERYWHERE,
    arity: Between(1, 1),
    syntax: "reject | pass",
    default: Some("reject"),
    text: "What happens to a body that is not the JSON the gateway needs: 400, or 415 for \
           another content type; or it is passed untouched to the default provider, where no \
           catalog exists.",
};

/// The row of `llm_proxy_inject_usage`.
pub const LLM_PROXY_INJECT_USAGE: Directive = Directive {
    name: c"llm_proxy_inject_usage",
    contexts: EVERYWHERE,
    arity: Switch,
    syntax: "[on | off]",
    default: Some("on"),
    text: "Asks for usage in streams of the OpenAI dialect with `stream_options`, and takes the \
           extra chunk out of the answer if the client had not asked for it.",
};

/// The row of `llm_proxy_provider_version`.
pub const LLM_PROXY_PROVIDER_VERSION: Directive = Directive {
    name: c"llm_proxy_provider_version",
    contexts: EVERYWHERE,
    arity: Between(2, 2),
    syntax: "<provider> <version>",
    default: None,
    text: "Sends `anthropic-version: <version>` to this provider, whatever the client sent.",
};

/// The row of `llm_proxy_disclose_provider`.
pub const LLM_PROXY_DISCLOSE_PROVIDER: Directive = Directive {
    name: c"llm_proxy_disclose_provider",
    contexts: EVERYWHERE,
    arity: Switch,
    syntax: "[on | off]",
    default: Some("on"),
    text: "Whether response headers name providers and targets.",
};

/// The row of `llm_proxy_response_model`.
pub const LLM_PROXY_RESPONSE_MODEL: Directive = Directive {
    name: c"llm_proxy_response_model",
    contexts: EVERYWHERE,
    arity: Between(1, 1),
    syntax: "effective | requested",
    default: Some("effective"),
    text: "The `model` in the answer: the one that answered, or the one that was asked for.",
};

/// The row of `llm_proxy_connect_timeout`.
pub const LLM_PROXY_CONNECT_TIMEOUT: Directive = Directive {
    name: c"llm_proxy_connect_timeout",
    contexts: EVERYWHERE,
    arity: Between(1, 1),
    syntax: "<time>",
    default: Some("5s"),
    text: "How long an attempt may take to connect, TLS included.",
};

/// The row of `llm_proxy_response_timeout`.
pub const LLM_PROXY_RESPONSE_TIMEOUT: Directive = Directive {
    name: c"llm_proxy_response_timeout",
    contexts: EVERYWHERE,
    arity: Between(1, 1),
    syntax: "<time>",
    default: Some("600s"),
    text: "How long an attempt may take from the sent request to the head of the answer. Nothing \
           may take 0; so it is with the connect and idle timeouts.",
};

/// The row of `llm_proxy_first_token_timeout`.
pub const LLM_PROXY_FIRST_TOKEN_TIMEOUT: Directive = Directive {
    name: c"llm_proxy_first_token_timeout",
    contexts: EVERYWHERE,
    arity: Between(1, 1),
    syntax: "<time>",
    default: Some("0"),
    text: "How long a stream may take to its first event with content; 0 is no limit.",
};

/// The row of `llm_proxy_idle_timeout`.
pub const LLM_PROXY_IDLE_TIMEOUT: Directive = Directive {
    name: c"llm_proxy_idle_timeout",
    contexts: EVERYWHERE,
    arity: Between(1, 1),
    syntax: "<time>",
    default: Some("300s"),
    text: "How long a stream may be silent between two events.",
};

/// The row of `llm_proxy_total_timeout`.
pub const LLM_PROXY_TOTAL_TIMEOUT: Directive = Directive {
    name: c"llm_proxy_total_timeout",
    contexts: EVERYWHERE,
    arity: Between(1, 1),
    syntax: "<time>",
    default: Some("0"),
    text: "How long all attempts may take together; 0 is no limit.",
};

/// The row of `llm_proxy_client_abort`.
pub const LLM_PROXY_CLIENT_ABORT: Directive = Directive {
    name: c"llm_proxy_client_abort",
    contexts: EVERYWHERE,
    arity: Between(1, 2),
    syntax: "cancel | finish [<time>]",
    default: Some("cancel"),
    text: "What happens when the client goes away: the provider's connection is closed at once, \
           or the answer is read on to learn its usage, for the time given at most, `60s` if \
           none is.",
};

/// The row of `llm_proxy_heartbeat`.
pub const LLM_PROXY_HEARTBEAT: Directive = Directive {
    name: c"llm_proxy_heartbeat",
    contexts: EVERYWHERE,
    arity: Between(1, 1),
    syntax: "<time> | off",
    default: Some("off"),
    text: "Sends an SSE comment to a streaming client that has waited so long, between events \
           only.",
};

/// The row of `llm_proxy_models`.
pub const LLM_PROXY_MODELS: Directive = Directive {
    name: c"llm_proxy_models",
    contexts: LOCATION,
    arity: NoArgument,
    syntax: "",
    default: None,
    text: "Answers `GET /v1/models` and `GET /v1/models/<id>` here with the exact patterns and \
           the aliases of the catalog, in the OpenAI shape, or in Anthropic's for a client that \
           sends `anthropic-version`. Wildcards are not listed.",
};

/// The row of `llm_proxy_dialect_mode`.
pub const LLM_PROXY_DIALECT_MODE: Directive = Directive {
    name: c"llm_proxy_dialect_mode",
    contexts: EVERYWHERE,
    arity: Between(1, 1),
    syntax: "infer | fixed | explicit_required",
    default: Some("infer"),
    text: "How the client's dialect is found. `infer`: the path says it, or a body field \
           `dialect`, or an `anthropic-version` header, else the body's shape. `fixed`: \
           `llm_proxy_ingress_dialect` says it. `explicit_required`: as `infer`, but a body \
           whose shape alone would tell is refused with 400 `dialect_required`. The field is \
           removed before sending.",
};

/// The row of `llm_proxy_ingress_dialect`.
pub const LLM_PROXY_INGRESS_DIALECT: Directive = Directive {
    name: c"llm_proxy_ingress_dialect",
    contexts: EVERYWHERE,
    arity: Between(1, 1),
    syntax: "openai | anthropic",
    default: None,
    text: "The dialect of all clients, with `llm_proxy_dialect_mode fixed`, which needs it.",
};

/// The row of `llm_proxy_max_response_size`.
pub const LLM_PROXY_MAX_RESPONSE_SIZE: Directive = Directive {
    name: c"llm_proxy_max_response_size",
    contexts: EVERYWHERE,
    arity: Between(1, 1),
    syntax: "<size>",
    default: Some("10m"),
    text: "The largest answer that is held in memory as a whole, and the largest event of a \
           stream.",
};

/// Every directive, in the order of the reference.
pub const PROXY_DIRECTIVES: &[&Directive] = &[
    &LLM_PROXY,
    &LLM_PROXY_ROUTE,
    &LLM_PROXY_DEFAULT_PROVIDER,
    &LLM_PROXY_MODEL_PATTERN,
    &LLM_PROXY_MODEL_ALIAS,
    &LLM_PROXY_MAX_BODY_SIZE,
    &LLM_PROXY_UNPARSED,
    &LLM_PROXY_INJECT_USAGE,
    &LLM_PROXY_PROVIDER_VERSION,
    &LLM_PROXY_DISCLOSE_PROVIDER,
    &LLM_PROXY_RESPONSE_MODEL,
    &LLM_PROXY_CONNECT_TIMEOUT,
    &LLM_PROXY_RESPONSE_TIMEOUT,
    &LLM_PROXY_FIRST_TOKEN_TIMEOUT,
    &LLM_PROXY_IDLE_TIMEOUT,
    &LLM_PROXY_TOTAL_TIMEOUT,
    &LLM_PROXY_CLIENT_ABORT,
    &LLM_PROXY_HEARTBEAT,
    &LLM_PROXY_MODELS,
    &LLM_PROXY_DIALECT_MODE,
    &LLM_PROXY_INGRESS_DIALECT,
    &LLM_PROXY_MAX_RESPONSE_SIZE,
];

/// Every variable.
pub const PROXY_VARIABLES: &[Entry] = &[
    Entry { name: "llm_provider", text: "Name of the provider; it follows the attempt." },
    Entry { name: "llm_provider_host", text: "Its host." },
    Entry { name: "llm_provider_version", text: "The `anthropic-version` it is sent." },
    Entry { name: "llm_provider_upstream", text: "Its `upstream` block, for `proxy_pass`." },
    Entry { name: "llm_model", text: "The model in the request, as the client wrote it." },
    Entry { name: "llm_streaming", text: "1 if the client asked for a stream, else 0." },
    Entry { name: "llm_body_parsed", text: "1 if the body was read as JSON, else 0." },
    Entry {
        name: "llm_requested_provider",
        text: "The provider the request led to before any \
                                                     policy or fallback.",
    },
    Entry { name: "llm_requested_model", text: "The model the client asked for." },
    Entry { name: "llm_requested_dialect", text: "The client's dialect." },
    Entry {
        name: "llm_requested_dialect_source",
        text: "How that was found: `path`, \
                                                           `fixed_ingress`, `explicit` or \
                                                           `inferred_shape`.",
    },
    Entry { name: "llm_effective_provider", text: "The provider that answered." },
    Entry { name: "llm_effective_model", text: "The model that was sent to it." },
    Entry { name: "llm_effective_dialect", text: "Its dialect." },
    Entry {
        name: "llm_resolution_outcome",
        text: "`as_requested`, `replaced_by_policy`, \
                                                     `fallback_after_failure`, \
                                                     `rejected_out_of_scope` or \
                                                     `rejected_unresolvable`.",
    },
    Entry {
        name: "llm_replacement_happened",
        text: "1 if a policy replaced the provider \
                                                       before sending, else 0.",
    },
    Entry {
        name: "llm_translation_happened",
        text: "1 if the request was translated to \
                                                       another dialect, else 0.",
    },
    Entry { name: "llm_prompt_tokens", text: "Input tokens, cached ones included." },
    Entry { name: "llm_completion_tokens", text: "Output tokens, reasoning included." },
    Entry { name: "llm_total_tokens", text: "Both." },
    Entry { name: "llm_cache_read_tokens", text: "Input tokens read from the provider's cache." },
    Entry { name: "llm_cache_create_tokens", text: "Input tokens written to it." },
    Entry { name: "llm_reasoning_tokens", text: "Output tokens spent on reasoning." },
    Entry { name: "llm_usage_extracted", text: "1 if the answer had usage, else 0." },
    Entry { name: "llm_usage_source", text: "`reported`, `estimated` or `none`." },
    Entry { name: "llm_ttft_ms", text: "Milliseconds to the first event with content." },
    Entry { name: "llm_overhead_ms", text: "Milliseconds the gateway itself took." },
    Entry { name: "llm_first_attempt_ms", text: "Milliseconds of the first attempt." },
    Entry {
        name: "llm_stream_state",
        text: "How a stream ended: `complete`, `incomplete` or \
                                               `client_closed`.",
    },
];

/// Every response header of ours. Disclosure off leaves out those that name providers.
pub const PROXY_HEADERS: &[Entry] = &[
    Entry { name: "X-LLM-Provider", text: "The provider that answered." },
    Entry { name: "X-LLM-Served-By", text: "Provider and model that answered." },
    Entry { name: "X-LLM-Latency-Ms", text: "Milliseconds until the head of the answer was sent." },
    Entry {
        name: "X-LLM-Event-Id",
        text: "The request's id in logs and records; error bodies \
                                             have it as `request_id`.",
    },
    Entry {
        name: "X-Accel-Buffering",
        text: "`no` on streams, so that proxies before us pass \
                                                them on at once.",
    },
];
