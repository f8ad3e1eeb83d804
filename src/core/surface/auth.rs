//! The rows of `llm_auth`: its directives and variables.

use super::Arity::{Between, Switch};
use super::Context::{Http, Location, Server};
use super::{Context, Directive, Entry};

const EVERYWHERE: &[Context] = &[Http, Server, Location];

/// The row of `llm_auth`.
pub const LLM_AUTH: Directive = Directive {
    name: c"llm_auth",
    contexts: EVERYWHERE,
    arity: Switch,
    syntax: "[on | off]",
    default: Some("off"),
    text: "Replaces the client's credential by the provider's, anew for each attempt. A provider of \
           the OpenAI dialect gets `Authorization: Bearer`, one of the Anthropic dialect `x-api-key` \
           and `anthropic-version` (the client's, or 2023-06-01). The client's own credentials, its \
           cookies, the headers that tell its address (`X-Forwarded-*`, `X-Real-IP`, `Via` and \
           their like) and those made for another vendor are not sent, nor are arguments of the \
           request line that carry a credential (`key`, `api_key`, `access_token` and their like, \
           whoever wrote them). Answers go through a mask that shows `***` in the place of a \
           configured secret of 8 or more bytes, or as many stars as it has where a success has told \
           its length; a refusal that is compressed goes without its body.",
};

/// The row of `llm_auth_credential`.
pub const LLM_AUTH_CREDENTIAL: Directive = Directive {
    name: c"llm_auth_credential",
    contexts: EVERYWHERE,
    arity: Between(2, 4),
    syntax: "<provider> <secret> [id=<id>] [weight=<number>]",
    default: None,
    text: "A key of a provider for everybody. The secret is `env:<name>`, an environment variable, \
           which needs no `env` line; `file:<path>`, a file that is read again when it changes; \
           `literal-id:<id>:<secret>`, or the secret itself. It is one word of visible ASCII \
           characters. Several lines make a pool: a request takes one of its keys by weight (default \
           1), and the next one when that fails. Variables and logs call a key by its id, which is \
           `env:<name>`, `file:<path>` or `literal#<number>` unless given. The same key twice is an \
           error, and so are two keys of a provider with one id. A block that has its own lines does \
           not inherit those above it.",
};

/// The row of `llm_auth_tenant_credential`.
pub const LLM_AUTH_TENANT_CREDENTIAL: Directive = Directive {
    name: c"llm_auth_tenant_credential",
    contexts: EVERYWHERE,
    arity: Between(3, 3),
    syntax: "<tenant> <provider> <secret>",
    default: None,
    text: "A key for one tenant, whom `llm_auth_tenant` names. The keys of a tenant are preferred to \
           those of the project, these to those of the organisation, and these to shared ones. A \
           scope whose secret is missing is not replaced by a wider one. Several lines make a pool.",
};

/// The row of `llm_auth_project_credential`.
pub const LLM_AUTH_PROJECT_CREDENTIAL: Directive = Directive {
    name: c"llm_auth_project_credential",
    contexts: EVERYWHERE,
    arity: Between(3, 3),
    syntax: "<project> <provider> <secret>",
    default: None,
    text: "A key for one project, which `llm_auth_project` names.",
};

/// The row of `llm_auth_org_credential`.
pub const LLM_AUTH_ORG_CREDENTIAL: Directive = Directive {
    name: c"llm_auth_org_credential",
    contexts: EVERYWHERE,
    arity: Between(3, 3),
    syntax: "<org> <provider> <secret>",
    default: None,
    text: "A key for one organisation, which `llm_auth_org` names.",
};

/// The row of `llm_auth_tenant`.
pub const LLM_AUTH_TENANT: Directive = Directive {
    name: c"llm_auth_tenant",
    contexts: EVERYWHERE,
    arity: Between(1, 1),
    syntax: "<text>",
    default: None,
    text: "The request's tenant, a text with variables. Take it from what has been authenticated, \
           not from a header that a client can choose.",
};

/// The row of `llm_auth_project`.
pub const LLM_AUTH_PROJECT: Directive = Directive {
    name: c"llm_auth_project",
    contexts: EVERYWHERE,
    arity: Between(1, 1),
    syntax: "<text>",
    default: None,
    text: "The request's project, a text with variables.",
};

/// The row of `llm_auth_org`.
pub const LLM_AUTH_ORG: Directive = Directive {
    name: c"llm_auth_org",
    contexts: EVERYWHERE,
    arity: Between(1, 1),
    syntax: "<text>",
    default: None,
    text: "The request's organisation, a text with variables.",
};

/// The row of `llm_auth_tenant_fallback_shared`.
pub const LLM_AUTH_TENANT_FALLBACK_SHARED: Directive = Directive {
    name: c"llm_auth_tenant_fallback_shared",
    contexts: EVERYWHERE,
    arity: Switch,
    syntax: "[on | off]",
    default: Some("off"),
    text: "Whether a request may take the shared key of a provider when tenants, projects or \
           organisations have keys here and it has none of them, or does not say whose it is. Where \
           no scope has keys, the shared one is for all.",
};

/// The row of `llm_auth_provider`.
pub const LLM_AUTH_PROVIDER: Directive = Directive {
    name: c"llm_auth_provider",
    contexts: EVERYWHERE,
    arity: Between(1, 1),
    syntax: "<provider>",
    default: None,
    text: "The provider whose key the first attempt is expected to take. It is a hint: each attempt \
           takes a key of its own provider, and no key goes to another one.",
};

/// The row of `llm_auth_fail_closed`.
pub const LLM_AUTH_FAIL_CLOSED: Directive = Directive {
    name: c"llm_auth_fail_closed",
    contexts: EVERYWHERE,
    arity: Switch,
    syntax: "[on | off]",
    default: Some("on"),
    text: "A target without a key is skipped, and when none is left the answer is 500 \
           `gateway_credential_missing`. A provider without any line, a variable that is not set and \
           a file that cannot be read are start errors. With `off` these are warnings, and the \
           request is sent without a credential, never with the client's.",
};

/// The row of `llm_auth_client_keys`.
pub const LLM_AUTH_CLIENT_KEYS: Directive = Directive {
    name: c"llm_auth_client_keys",
    contexts: EVERYWHERE,
    arity: Between(1, 1),
    syntax: "<file> | off",
    default: Some("off"),
    text: "Asks clients for a key of ours, in `Authorization: Bearer`, `x-api-key` or `api-key`: the file \
           has salted hashes of them, as `llmctl key` writes it. It is read again within a second when \
           it changes; a file that cannot be read leaves the present keys. A request without a key or \
           with an unknown one is answered with 401, one with a suspended, revoked or expired key with \
           403, before its body is read; a model that the key is not for with 403. It fills \
           `$llm_client_*`, and needs `llm_auth on`, so that the key never reaches a provider. The file \
           must not be readable by others than its owner and group.",
};

/// The row of `llm_auth_client_scope`.
pub const LLM_AUTH_CLIENT_SCOPE: Directive = Directive {
    name: c"llm_auth_client_scope",
    contexts: EVERYWHERE,
    arity: Between(1, 2),
    syntax: "[org=<id>] [project=<id>]",
    default: None,
    text: "Only keys of this organisation and project are good here; others are answered with 403.",
};

/// Every directive of the room, in the order of the reference.
pub const AUTH_DIRECTIVES: &[&Directive] = &[
    &LLM_AUTH,
    &LLM_AUTH_CREDENTIAL,
    &LLM_AUTH_TENANT_CREDENTIAL,
    &LLM_AUTH_PROJECT_CREDENTIAL,
    &LLM_AUTH_ORG_CREDENTIAL,
    &LLM_AUTH_TENANT,
    &LLM_AUTH_PROJECT,
    &LLM_AUTH_ORG,
    &LLM_AUTH_TENANT_FALLBACK_SHARED,
    &LLM_AUTH_PROVIDER,
    &LLM_AUTH_FAIL_CLOSED,
    &LLM_AUTH_CLIENT_KEYS,
    &LLM_AUTH_CLIENT_SCOPE,
];

/// Every variable of the room.
pub const AUTH_VARIABLES: &[Entry] = &[
    Entry { name: "llm_auth_provider", text: "The provider that the key is for." },
    Entry { name: "llm_auth_credential", text: "The id of the key, never the key." },
    Entry {
        name: "llm_auth_status",
        text: "`resolved`, `missing_provider`, `missing_credential` or `missing_secret`.",
    },
    Entry { name: "llm_auth_key_source", text: "`literal`, `env` or `file`." },
    Entry {
        name: "llm_auth_key_fingerprint",
        text: "24 hexadecimal digits that differ for each secret and do not tell it.",
    },
    Entry {
        name: "llm_auth_fail_reason",
        text: "Why there is no key: `provider_missing`, `credential_missing`, \
               `client_credential_missing`, `project_credential_missing`, \
               `org_credential_missing`, `client_missing`, `project_missing`, `org_missing` or \
               `secret_unresolved`.",
    },
    Entry { name: "llm_auth_client", text: "What `llm_auth_tenant` says." },
    Entry { name: "llm_auth_project", text: "What `llm_auth_project` says." },
    Entry { name: "llm_auth_org", text: "What `llm_auth_org` says." },
    Entry {
        name: "llm_client_status",
        text: "What is known of the client's key: `active`, `unknown`, `suspended`, `revoked` or \
               `expired`; `missing` where there is none. Known from the first phase on.",
    },
    Entry { name: "llm_client_key_id", text: "The id of the client's key, whatever its state." },
    Entry { name: "llm_client_org", text: "The organisation of the client's key." },
    Entry { name: "llm_client_project", text: "The project of the client's key." },
    Entry { name: "llm_client_id", text: "The client of the client's key." },
    Entry { name: "llm_client_tier", text: "The tier of the client's key." },
];
