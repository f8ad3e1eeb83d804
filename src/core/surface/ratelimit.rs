//! The rows of `llm_ratelimit`: its directives, variables and response headers.

use super::Arity::{AtLeast, Between, Switch};
use super::Context::{Http, Location, Server};
use super::{Context, Directive, Entry};

const HTTP: &[Context] = &[Http];
const EVERYWHERE: &[Context] = &[Http, Server, Location];

/// The row of `llm_ratelimit`.
pub const LLM_RATELIMIT: Directive = Directive {
    name: c"llm_ratelimit",
    contexts: EVERYWHERE,
    arity: Switch,
    syntax: "[on | off]",
    default: Some("off"),
    text: "Applies limits and budgets. All that apply to a request must let it pass, or nothing is \
           charged. A refusal is 429 with `Retry-After`, and names the rule and the time at which it \
           will pass; a request that never can is 400 `request_exceeds_limit`.",
};

/// The row of `llm_ratelimit_zone`.
pub const LLM_RATELIMIT_ZONE: Directive = Directive {
    name: c"llm_ratelimit_zone",
    contexts: HTTP,
    arity: Between(2, 2),
    syntax: "<name> <size>",
    default: Some("llm_ratelimit 4m"),
    text: "The shared memory that counts for all workers. It survives a reload. Each identity takes \
           96 bytes for each rule, each budget 192, and each request under way 96 for each of its \
           token, concurrency and spend charges; leave half of it free. A counter that is full again \
           gives way to another; when there is none of those, the request is refused with 503 \
           `ratelimit_zone_full`, or passes where `llm_ratelimit_fail_open` is on, and it is counted.",
};

/// The row of `llm_ratelimit_key`.
pub const LLM_RATELIMIT_KEY: Directive = Directive {
    name: c"llm_ratelimit_key",
    contexts: EVERYWHERE,
    arity: Between(1, 1),
    syntax: "<text>",
    default: None,
    text: "Whose request it is, a text with variables. Take it from what has been authenticated. A \
           request without it is refused with 429 `identity_missing`, unless \
           `llm_ratelimit_fail_open` is on.",
};

/// The row of `llm_ratelimit_requests_per_minute`.
pub const LLM_RATELIMIT_REQUESTS_PER_MINUTE: Directive = Directive {
    name: c"llm_ratelimit_requests_per_minute",
    contexts: EVERYWHERE,
    arity: Between(1, 1),
    syntax: "<number>",
    default: None,
    text: "Requests of an identity. They flow back evenly: of 3, three pass at once, then one each 20 \
           seconds. A request that is refused does not count. Where `llm_ratelimit_model_rpm` or \
           `llm_ratelimit_provider_rpm` has a line for the request's first target, that one holds in \
           place of this.",
};

/// The row of `llm_ratelimit_burst_requests`.
pub const LLM_RATELIMIT_BURST_REQUESTS: Directive = Directive {
    name: c"llm_ratelimit_burst_requests",
    contexts: EVERYWHERE,
    arity: Between(1, 1),
    syntax: "<number>",
    default: None,
    text: "So many more pass at once; they do not flow back any faster.",
};

/// The row of `llm_ratelimit_tokens_per_minute`.
pub const LLM_RATELIMIT_TOKENS_PER_MINUTE: Directive = Directive {
    name: c"llm_ratelimit_tokens_per_minute",
    contexts: EVERYWHERE,
    arity: Between(1, 1),
    syntax: "<number>",
    default: None,
    text: "Tokens of an identity. They are reserved before the request is sent \
           (`llm_ratelimit_reserve_tokens`) and settled to those that were used; what was used beyond \
           the reservation is owed, up to as much as the limit holds. Where \
           `llm_ratelimit_model_tpm` or `llm_ratelimit_provider_tpm` has a line for the request's \
           first target, that one holds in place of this.",
};

/// The row of `llm_ratelimit_rule`.
pub const LLM_RATELIMIT_RULE: Directive = Directive {
    name: c"llm_ratelimit_rule",
    contexts: EVERYWHERE,
    arity: AtLeast(3),
    syntax: "<key> <requests | tokens> <number>/<window> | <key> concurrency <number> \
             [burst=<number>] [model=<pattern>] [provider=<pattern>] \
             [count=<total | input | output | uncached>]",
    default: None,
    text: "A further limit, beside all others; any number of lines. The key is a text with variables; \
           a rule whose key is empty does not apply. The window is `s`, `m`, `h`, `d`, `second`, \
           `minute`, `hour`, `day` or a time such as `30s`. With `model=` or `provider=` it counts only \
           what goes there, by `llm_ratelimit_model_basis` and `llm_ratelimit_provider_basis`. \
           `uncached` counts all tokens but those that the provider read from its cache. A number can \
           be changed without losing the count. Lines replace those of the enclosing block.",
};

/// The row of `llm_ratelimit_reserve_tokens`.
pub const LLM_RATELIMIT_RESERVE_TOKENS: Directive = Directive {
    name: c"llm_ratelimit_reserve_tokens",
    contexts: EVERYWHERE,
    arity: Between(1, 1),
    syntax: "auto | <number>",
    default: Some("auto"),
    text: "How many tokens are reserved until the usage is known. `auto` is the prompt's estimate plus \
           the output limit that the client asked for, times the number of answers; without an output \
           limit it is reckoned with 4096, or with all that the limit holds if that is less.",
};

/// The row of `llm_ratelimit_model_rpm`.
pub const LLM_RATELIMIT_MODEL_RPM: Directive = Directive {
    name: c"llm_ratelimit_model_rpm",
    contexts: EVERYWHERE,
    arity: Between(2, 2),
    syntax: "<pattern> <number>",
    default: None,
    text: "Requests of an identity in a minute for models of a pattern, counted by itself. Of several \
           lines the most special pattern holds, as in the catalog.",
};

/// The row of `llm_ratelimit_model_tpm`.
pub const LLM_RATELIMIT_MODEL_TPM: Directive = Directive {
    name: c"llm_ratelimit_model_tpm",
    contexts: EVERYWHERE,
    arity: Between(2, 2),
    syntax: "<pattern> <number>",
    default: None,
    text: "Tokens of an identity in a minute for models of a pattern, counted by itself.",
};

/// The row of `llm_ratelimit_provider_rpm`.
pub const LLM_RATELIMIT_PROVIDER_RPM: Directive = Directive {
    name: c"llm_ratelimit_provider_rpm",
    contexts: EVERYWHERE,
    arity: Between(2, 2),
    syntax: "<pattern> <number>",
    default: None,
    text: "Requests of an identity in a minute for providers of a pattern, counted by itself.",
};

/// The row of `llm_ratelimit_provider_tpm`.
pub const LLM_RATELIMIT_PROVIDER_TPM: Directive = Directive {
    name: c"llm_ratelimit_provider_tpm",
    contexts: EVERYWHERE,
    arity: Between(2, 2),
    syntax: "<pattern> <number>",
    default: None,
    text: "Tokens of an identity in a minute for providers of a pattern, counted by itself.",
};

/// The row of `llm_ratelimit_model_basis`.
pub const LLM_RATELIMIT_MODEL_BASIS: Directive = Directive {
    name: c"llm_ratelimit_model_basis",
    contexts: EVERYWHERE,
    arity: Between(1, 1),
    syntax: "requested | effective",
    default: Some("effective"),
    text: "Whether limits of models go by the model that the client asked for, once for each request, \
           or by the one that an attempt goes to, once for each attempt. An attempt whose limit is \
           used up is passed over.",
};

/// The row of `llm_ratelimit_provider_basis`.
pub const LLM_RATELIMIT_PROVIDER_BASIS: Directive = Directive {
    name: c"llm_ratelimit_provider_basis",
    contexts: EVERYWHERE,
    arity: Between(1, 1),
    syntax: "requested | effective",
    default: Some("effective"),
    text: "The same for limits of providers.",
};

/// The row of `llm_ratelimit_translated_rpm`.
pub const LLM_RATELIMIT_TRANSLATED_RPM: Directive = Directive {
    name: c"llm_ratelimit_translated_rpm",
    contexts: EVERYWHERE,
    arity: Between(1, 1),
    syntax: "<number>",
    default: None,
    text: "Attempts of an identity in a minute that are translated into another dialect, beside all \
           other limits.",
};

/// The row of `llm_ratelimit_translated_tpm`.
pub const LLM_RATELIMIT_TRANSLATED_TPM: Directive = Directive {
    name: c"llm_ratelimit_translated_tpm",
    contexts: EVERYWHERE,
    arity: Between(1, 1),
    syntax: "<number>",
    default: None,
    text: "Their tokens in a minute.",
};

/// The row of `llm_ratelimit_concurrency`.
pub const LLM_RATELIMIT_CONCURRENCY: Directive = Directive {
    name: c"llm_ratelimit_concurrency",
    contexts: EVERYWHERE,
    arity: Between(1, 1),
    syntax: "<number>",
    default: None,
    text: "How many requests of an identity may be under way at once. The place of a worker that was \
           killed is given back.",
};

/// The row of `llm_ratelimit_fail_open`.
pub const LLM_RATELIMIT_FAIL_OPEN: Directive = Directive {
    name: c"llm_ratelimit_fail_open",
    contexts: EVERYWHERE,
    arity: Switch,
    syntax: "[on | off]",
    default: Some("off"),
    text: "Whether a request passes uncounted that has no identity, or that the zone has no room for. \
           `$llm_ratelimit_deny_reason` says so.",
};

/// The row of `llm_ratelimit_dry_run`.
pub const LLM_RATELIMIT_DRY_RUN: Directive = Directive {
    name: c"llm_ratelimit_dry_run",
    contexts: EVERYWHERE,
    arity: Switch,
    syntax: "[on | off]",
    default: Some("off"),
    text: "Refuses nothing; `$llm_ratelimit_deny_reason` says what would have been. Budgets count on \
           beyond their end.",
};

/// The row of `llm_ratelimit_cooldown`.
pub const LLM_RATELIMIT_COOLDOWN: Directive = Directive {
    name: c"llm_ratelimit_cooldown",
    contexts: EVERYWHERE,
    arity: Switch,
    syntax: "[on | off]",
    default: Some("off"),
    text: "When a provider refuses a request and says until when, the limits of its target \
           let nothing pass before, for a day at most.",
};

/// The row of `llm_ratelimit_headers`.
pub const LLM_RATELIMIT_HEADERS: Directive = Directive {
    name: c"llm_ratelimit_headers",
    contexts: EVERYWHERE,
    arity: Switch,
    syntax: "[on | off]",
    default: Some("on"),
    text: "Whether answers tell the tightest limit of requests and of tokens: in `x-ratelimit-*`, where \
           the provider did not set them, and in `RateLimit` and `RateLimit-Policy`.",
};

/// The row of `llm_ratelimit_spend_scope`.
pub const LLM_RATELIMIT_SPEND_SCOPE: Directive = Directive {
    name: c"llm_ratelimit_spend_scope",
    contexts: EVERYWHERE,
    arity: AtLeast(4),
    syntax: "<organization | project | client> <unit> <text> ... <budget> \
             [window=<month | week | day | total>] [soft]",
    default: None,
    text: "A budget in a cost unit for whom the texts with variables name; any number of lines. It \
           holds for every attempt at a provider of that unit (`llm_cost_rate_unit`); units are never \
           converted. What the request may cost is reserved before it is sent, and what is spent and \
           reserved never exceeds the budget. With `soft` the request that crosses it passes. A target \
           whose budget is spent is passed over in a chain of fallbacks. Amounts are exact, up to 12 \
           decimals. The window is a calendar one and a month unless it is said; weeks begin on Monday. \
           A request that does not name whose it is, is refused with 429 `identity_missing`; only a \
           `client` budget whose last text is empty does not apply, so that a `map` can give one to \
           some clients.",
};

/// The row of `llm_ratelimit_spend_timezone`.
pub const LLM_RATELIMIT_SPEND_TIMEZONE: Directive = Directive {
    name: c"llm_ratelimit_spend_timezone",
    contexts: EVERYWHERE,
    arity: Between(1, 1),
    syntax: "<zone>",
    default: Some("UTC"),
    text: "Where the windows of budgets begin at midnight, a name such as `Europe/Berlin`. The zones' \
           rules come with the module; a change begins new windows.",
};

/// The row of `llm_ratelimit_reserve_spend`.
pub const LLM_RATELIMIT_RESERVE_SPEND: Directive = Directive {
    name: c"llm_ratelimit_reserve_spend",
    contexts: EVERYWHERE,
    arity: Between(2, 2),
    syntax: "<unit> auto | <unit> <amount>",
    default: None,
    text: "What is reserved of budgets in a unit. `auto`, which holds where nothing is said, is the \
           price of the prompt's estimate and of the whole output limit; without a limit, of 4096 \
           tokens.",
};

/// The row of `llm_ratelimit_unpriced`.
pub const LLM_RATELIMIT_UNPRICED: Directive = Directive {
    name: c"llm_ratelimit_unpriced",
    contexts: EVERYWHERE,
    arity: Between(1, 1),
    syntax: "deny | allow | rate=<input>/<output>",
    default: Some("deny"),
    text: "What happens where a budget applies to a model without a rate: it is refused with 403 \
           `unpriced_model`, passes uncounted, or is counted at these prices for a million tokens.",
};

/// The row of `llm_ratelimit_state`.
pub const LLM_RATELIMIT_STATE: Directive = Directive {
    name: c"llm_ratelimit_state",
    contexts: HTTP,
    arity: Between(1, 1),
    syntax: "<path> | off",
    default: Some("llm/state"),
    text: "The file that keeps limits and budgets over a restart. It is completed from the journal, and \
           from the database when that answers.",
};

/// Every directive of the room, in the order of the reference.
pub const RATELIMIT_DIRECTIVES: &[&Directive] = &[
    &LLM_RATELIMIT,
    &LLM_RATELIMIT_ZONE,
    &LLM_RATELIMIT_KEY,
    &LLM_RATELIMIT_REQUESTS_PER_MINUTE,
    &LLM_RATELIMIT_BURST_REQUESTS,
    &LLM_RATELIMIT_TOKENS_PER_MINUTE,
    &LLM_RATELIMIT_RULE,
    &LLM_RATELIMIT_RESERVE_TOKENS,
    &LLM_RATELIMIT_MODEL_RPM,
    &LLM_RATELIMIT_MODEL_TPM,
    &LLM_RATELIMIT_PROVIDER_RPM,
    &LLM_RATELIMIT_PROVIDER_TPM,
    &LLM_RATELIMIT_MODEL_BASIS,
    &LLM_RATELIMIT_PROVIDER_BASIS,
    &LLM_RATELIMIT_TRANSLATED_RPM,
    &LLM_RATELIMIT_TRANSLATED_TPM,
    &LLM_RATELIMIT_CONCURRENCY,
    &LLM_RATELIMIT_FAIL_OPEN,
    &LLM_RATELIMIT_DRY_RUN,
    &LLM_RATELIMIT_COOLDOWN,
    &LLM_RATELIMIT_HEADERS,
    &LLM_RATELIMIT_SPEND_SCOPE,
    &LLM_RATELIMIT_SPEND_TIMEZONE,
    &LLM_RATELIMIT_RESERVE_SPEND,
    &LLM_RATELIMIT_UNPRICED,
    &LLM_RATELIMIT_STATE,
];

/// Every variable of the room.
pub const RATELIMIT_VARIABLES: &[Entry] = &[
    Entry {
        name: "llm_ratelimit_deny_reason",
        text: "Why the request was refused, or would have been: `request_budget_exhausted`, \
               `token_budget_exhausted`, `spend_budget_exhausted`, `concurrency_exhausted`, \
               `identity_missing`, `request_exceeds_limit`, `unpriced_model` or `zone_full`.",
    },
    Entry {
        name: "llm_ratelimit_quota_remaining",
        text: "What is left of the tightest limit of requests.",
    },
    Entry {
        name: "llm_ratelimit_token_quota_remaining",
        text: "What is left of the tightest limit of tokens.",
    },
    Entry {
        name: "llm_ratelimit_spend_deny_unit",
        text: "The unit of the budget that refused the request.",
    },
    Entry {
        name: "llm_ratelimit_scope",
        text: "The rule that refused the request, such as `project usd month`.",
    },
    Entry { name: "llm_ratelimit_retry_after", text: "The seconds that `Retry-After` says." },
    Entry {
        name: "llm_ratelimit_reserved_tokens",
        text: "How many tokens were reserved for the request.",
    },
    Entry {
        name: "llm_ratelimit_budget_used",
        text: "How much of the tightest budget is spent and reserved, in percent.",
    },
];

/// Every response header of the room.
pub const RATELIMIT_HEADERS: &[Entry] = &[
    Entry {
        name: "X-RateLimit-Limit-Requests",
        text: "How many requests the tightest limit lets pass at once at most. Not set where the \
               provider's answer has it; the same holds for the five that follow.",
    },
    Entry { name: "X-RateLimit-Remaining-Requests", text: "How many of them are left." },
    Entry {
        name: "X-RateLimit-Reset-Requests",
        text: "When all of them will be back, such as `6m0s` or `20ms`.",
    },
    Entry { name: "X-RateLimit-Limit-Tokens", text: "The same for tokens." },
    Entry { name: "X-RateLimit-Remaining-Tokens", text: "How many of them are left." },
    Entry { name: "X-RateLimit-Reset-Tokens", text: "When all of them will be back." },
    Entry {
        name: "RateLimit",
        text: "What is left of the tightest limits and in how many seconds they will be full, such as \
               `\"requests\";r=2;t=20`, as the IETF's draft has it.",
    },
    Entry {
        name: "RateLimit-Policy",
        text: "How much they hold and in how many seconds that flows back, such as \
               `\"requests\";q=3;w=60`.",
    },
];
