//! The rows of `llm_cost`: directives and variables.

use super::Arity::{AtLeast, Between, Switch};
use super::Context::{Http, Location, Server};
use super::{Context, Directive, Entry};

const EVERYWHERE: &[Context] = &[Http, Server, Location];
const HTTP: &[Context] = &[Http];

/// The row of `llm_cost`.
pub const LLM_COST: Directive = Directive {
    name: c"llm_cost",
    contexts: EVERYWHERE,
    arity: Switch,
    syntax: "[on | off]",
    default: Some("off"),
    text: "Prices each request that counts tokens and keeps an event of it. Amounts are exact: \
           no digit is ever rounded, and each row holds the rates and tokens that make its \
           costs.",
};

/// The row of `llm_cost_backend`.
pub const LLM_COST_BACKEND: Directive = Directive {
    name: c"llm_cost_backend",
    contexts: HTTP,
    arity: AtLeast(1),
    syntax: "off | log | sqlite | postgres ...",
    default: Some("sqlite"),
    text: "Where events go; several may be named. `sqlite` is embedded and needs no set-up, \
           `postgres` needs `llm_cost_dsn`, `log` is a file of JSON lines in the journal's \
           directory. `off` keeps none: the variables and limits work all the same. No request \
           waits for a database, nor does the start.",
};

/// The row of `llm_cost_path`.
pub const LLM_COST_PATH: Directive = Directive {
    name: c"llm_cost_path",
    contexts: HTTP,
    arity: Between(1, 1),
    syntax: "<path>",
    default: Some("llm/cost.db"),
    text: "The file of `sqlite`, under nginx's prefix unless it begins with a slash.",
};

/// The row of `llm_cost_dsn`.
pub const LLM_COST_DSN: Directive = Directive {
    name: c"llm_cost_dsn",
    contexts: HTTP,
    arity: Between(1, 1),
    syntax: "<dsn>",
    default: None,
    text: "The server of `postgres`: a text such as `\"host=db dbname=llm user=llm \
           sslmode=verify-full\"`, `env:<name>`, an environment variable that holds it, or \
           `file:<path>`. It is read anew at each connect and never logged.",
};

/// The row of `llm_cost_table`.
pub const LLM_COST_TABLE: Directive = Directive {
    name: c"llm_cost_table",
    contexts: HTTP,
    arity: Between(1, 1),
    syntax: "<table> | <schema>.<table>",
    default: Some("llm_cost_events"),
    text: "The table of the events; that of the attempts is called the same with `_attempts` \
           behind it. Both are created and migrated. Letters, digits and `_`; capitals are \
           folded, as SQL does.",
};

/// The row of `llm_cost_journal`.
pub const LLM_COST_JOURNAL: Directive = Directive {
    name: c"llm_cost_journal",
    contexts: HTTP,
    arity: Between(1, 4),
    syntax: "<directory> [max=<size>] [sync=<time>] [full=drop | deny]",
    default: Some("llm/journal max=1g sync=1s full=drop"),
    text: "Each event is in this directory before any database hears of it, and stays until all \
           have it. A process that is killed loses nothing; a power failure costs at most the \
           events of the time `sync`. When the files hold `max`, new events are dropped and \
           counted with the status `persist_failed`, or new requests are refused with 503 \
           `cost_journal_full`.",
};

/// The row of `llm_cost_rate`.
pub const LLM_COST_RATE: Directive = Directive {
    name: c"llm_cost_rate",
    contexts: EVERYWHERE,
    arity: Between(4, 4),
    syntax: "<provider> <model> <input> <output>",
    default: None,
    text: "The prices of a million tokens, as decimal numbers with at most six decimals. The \
           model may be a pattern with `*`: the exact name beats patterns, and the pattern with \
           more literal characters beats others. The same line twice is an error. A model \
           without a line has no cost and the status `no_rate`. A block that has its own lines \
           does not inherit those above it.",
};

/// The row of `llm_cost_cached_rate`.
pub const LLM_COST_CACHED_RATE: Directive = Directive {
    name: c"llm_cost_cached_rate",
    contexts: EVERYWHERE,
    arity: Between(3, 5),
    syntax: "<provider> <model> <read> [<write> [<write_1h>]]",
    default: None,
    text: "The prices of a million input tokens that are read from a cache, written to it, and \
           written to it for an hour. The line for a model is found by itself, whatever line \
           `llm_cost_rate` has for it. Without a line, and for what it leaves out, they cost \
           what other input does; a write for an hour costs what a write does.",
};

/// The row of `llm_cost_rate_unit`.
pub const LLM_COST_RATE_UNIT: Directive = Directive {
    name: c"llm_cost_rate_unit",
    contexts: EVERYWHERE,
    arity: Between(2, 2),
    syntax: "<provider> <unit>",
    default: None,
    text: "What the provider's prices are counted in; `usd` unless given. Capitals are folded. \
           Units are never converted or added up.",
};

/// The row of `llm_cost_rate_card_version`.
pub const LLM_COST_RATE_CARD_VERSION: Directive = Directive {
    name: c"llm_cost_rate_card_version",
    contexts: EVERYWHERE,
    arity: Between(1, 1),
    syntax: "<label>",
    default: None,
    text: "A name for the prices, such as their date; it stands in each row.",
};

/// The row of `llm_cost_identity`.
pub const LLM_COST_IDENTITY: Directive = Directive {
    name: c"llm_cost_identity",
    contexts: EVERYWHERE,
    arity: Between(1, 1),
    syntax: "<text>",
    default: None,
    text: "Who asked: the column `identity`, a text with variables. This and the like below are \
           cut to 256 bytes. Take them from what has been authenticated, not from a header that \
           a client can choose.",
};

/// The row of `llm_cost_org`.
pub const LLM_COST_ORG: Directive = Directive {
    name: c"llm_cost_org",
    contexts: EVERYWHERE,
    arity: Between(1, 1),
    syntax: "<text>",
    default: None,
    text: "The column `org`, a text with variables.",
};

/// The row of `llm_cost_project`.
pub const LLM_COST_PROJECT: Directive = Directive {
    name: c"llm_cost_project",
    contexts: EVERYWHERE,
    arity: Between(1, 1),
    syntax: "<text>",
    default: None,
    text: "The column `project`, a text with variables.",
};

/// The row of `llm_cost_client`.
pub const LLM_COST_CLIENT: Directive = Directive {
    name: c"llm_cost_client",
    contexts: EVERYWHERE,
    arity: Between(1, 1),
    syntax: "<text>",
    default: None,
    text: "The column `client`, a text with variables.",
};

/// The row of `llm_cost_user`.
pub const LLM_COST_USER: Directive = Directive {
    name: c"llm_cost_user",
    contexts: EVERYWHERE,
    arity: Between(1, 1),
    syntax: "<text>",
    default: None,
    text: "The column `user_id`, a text with variables.",
};

/// The row of `llm_cost_team`.
pub const LLM_COST_TEAM: Directive = Directive {
    name: c"llm_cost_team",
    contexts: EVERYWHERE,
    arity: Between(1, 1),
    syntax: "<text>",
    default: None,
    text: "The column `team_id`, a text with variables.",
};

/// The row of `llm_cost_auth_fingerprint`.
pub const LLM_COST_AUTH_FINGERPRINT: Directive = Directive {
    name: c"llm_cost_auth_fingerprint",
    contexts: EVERYWHERE,
    arity: Between(1, 1),
    syntax: "<text>",
    default: None,
    text: "The column `auth_key_fingerprint`, a text with variables such as \
           `$llm_auth_key_fingerprint`.",
};

/// The row of `llm_cost_traffic_cohort`.
pub const LLM_COST_TRAFFIC_COHORT: Directive = Directive {
    name: c"llm_cost_traffic_cohort",
    contexts: EVERYWHERE,
    arity: Between(1, 1),
    syntax: "<text>",
    default: None,
    text: "The column `traffic_cohort`, a text with variables. Unless given, it is \
           `translated`, `fallback` or `default`, the first that is true.",
};

/// The row of `llm_cost_tag`.
pub const LLM_COST_TAG: Directive = Directive {
    name: c"llm_cost_tag",
    contexts: EVERYWHERE,
    arity: Between(2, 2),
    syntax: "<name> <text>",
    default: None,
    text: "A member of the JSON object in the column `tags`; the text may have variables, and \
           an empty one leaves the tag out. At most 32 lines; names are of `a-z`, `0-9` and \
           `_`.",
};

/// The row of `llm_cost_usage_missing`.
pub const LLM_COST_USAGE_MISSING: Directive = Directive {
    name: c"llm_cost_usage_missing",
    contexts: EVERYWHERE,
    arity: Between(1, 1),
    syntax: "estimate | reserve | zero",
    default: Some("estimate"),
    text: "What is billed for an answer whose provider does not tell its tokens. `estimate`: a \
           token for four bytes of the prompt and of what the model wrote, with `stream` and \
           without, with the status `estimated`. `reserve`: what the request had reserved. \
           `zero`: only what was told; both with the status `usage_missing`. It holds for streams \
           that broke off or that the client left, too.",
};

/// Every directive of the room, in the order of the reference.
pub const COST_DIRECTIVES: &[&Directive] = &[
    &LLM_COST,
    &LLM_COST_BACKEND,
    &LLM_COST_PATH,
    &LLM_COST_DSN,
    &LLM_COST_TABLE,
    &LLM_COST_JOURNAL,
    &LLM_COST_RATE,
    &LLM_COST_CACHED_RATE,
    &LLM_COST_RATE_UNIT,
    &LLM_COST_RATE_CARD_VERSION,
    &LLM_COST_IDENTITY,
    &LLM_COST_ORG,
    &LLM_COST_PROJECT,
    &LLM_COST_CLIENT,
    &LLM_COST_USER,
    &LLM_COST_TEAM,
    &LLM_COST_AUTH_FINGERPRINT,
    &LLM_COST_TRAFFIC_COHORT,
    &LLM_COST_TAG,
    &LLM_COST_USAGE_MISSING,
];

/// Every variable of the room.
pub const COST_VARIABLES: &[Entry] = &[
    Entry {
        name: "llm_cost_status",
        text: "`recorded`; `estimated` or `usage_missing` where the provider told no tokens; \
               `no_rate`; `client_closed` or `stream_incomplete` where the answer broke off; \
               `skipped_error` for an error, which is not billed; `cache_hit`, which costs \
               nothing; `persist_failed` where the journal was full.",
    },
    Entry {
        name: "llm_cost_prompt",
        text: "What the input costs, with at least eight decimals and all that there are. Not \
               found where there is no cost.",
    },
    Entry { name: "llm_cost_completion", text: "What the output costs." },
    Entry { name: "llm_cost_total", text: "What both cost." },
    Entry { name: "llm_cost_requested_provider", text: "The provider that the client named." },
    Entry { name: "llm_cost_requested_model", text: "The model that the client named." },
    Entry {
        name: "llm_cost_translation_happened",
        text: "`1` or `0`: whether client and provider speak different dialects.",
    },
    Entry {
        name: "llm_cost_resolution_outcome",
        text: "The same as `$llm_resolution_outcome`, as it stands in the row.",
    },
    Entry { name: "llm_cost_org", text: "What `llm_cost_org` says." },
    Entry { name: "llm_cost_project", text: "What `llm_cost_project` says." },
    Entry { name: "llm_cost_client", text: "What `llm_cost_client` says." },
    Entry {
        name: "llm_cost_event_id",
        text: "The id of the event, 32 hexadecimal digits: the same in header, log, journal \
               and rows.",
    },
];
