//! What can be written behind `llmctl key`?

use std::path::PathBuf;

/// The clients' credentials.
#[derive(Debug, clap::Args)]
pub struct Args {
    #[command(subcommand)]
    pub(super) action: Action,
}

#[derive(Debug, clap::Subcommand)]
pub(super) enum Action {
    /// Make a key and print its credential, once
    Issue(Issue),
    /// Show the keys; never a secret
    List(List),
    /// Stop a key for a while: its requests get 403
    Suspend(One),
    /// Let a suspended key work again
    Resume(One),
    /// Stop a key for ever
    Revoke(One),
    /// Give a key a new secret; the one before works on for a while
    Rotate(Rotate),
    /// Say when a key ends
    Expire(Expire),
    /// Take over the six map files of an issuer
    Import(Import),
}

/// `key issue`
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  llmctl key issue --file client.keys --id acme-web-1 --org acme --project web --client app
  llmctl key issue --file client.keys --id acme-web-1 --manifest gateway.yaml --expires 90d
  llmctl key issue --file client.keys --id ci --org acme --project web --client ci --models 'gpt-*,o3'

The credential is <id>.<secret>. Clients send it as \"Authorization: Bearer\" or \"x-api-key\".
The gateway sees the new key within a second, without a reload.")]
pub struct Issue {
    /// The key file; it is made if it does not exist
    #[arg(long)]
    pub file: PathBuf,
    /// The public part of the credential
    #[arg(long)]
    pub id: String,
    /// Take organisation, project, client, tier and models from this manifest
    #[arg(long)]
    pub manifest: Option<PathBuf>,
    /// The organisation's slug
    #[arg(long)]
    pub org: Option<String>,
    /// The project's slug
    #[arg(long)]
    pub project: Option<String>,
    /// The client's id
    #[arg(long)]
    pub client: Option<String>,
    /// The tier that limits may go by
    #[arg(long)]
    pub tier: Option<String>,
    /// When the key ends: 90d, 2026-12-01 …
    #[arg(long, value_name = "WHEN")]
    pub expires: Option<String>,
    /// The models it may use, with commas between; all of the catalog without
    #[arg(long, value_delimiter = ',')]
    pub models: Option<Vec<String>>,
}

#[derive(Debug, clap::Args)]
pub(super) struct List {
    /// The key file
    #[arg(long)]
    pub file: PathBuf,
    /// Only this key
    pub id: Option<String>,
    /// How to show them
    #[arg(long, value_enum, default_value_t)]
    pub format: Format,
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, clap::ValueEnum)]
pub(super) enum Format {
    /// For people
    #[default]
    Table,
    /// For programs
    Json,
}

#[derive(Debug, clap::Args)]
pub(super) struct One {
    /// The key file
    #[arg(long)]
    pub file: PathBuf,
    /// The key's id
    pub id: String,
}

#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  llmctl key rotate --file client.keys acme-web-1
  llmctl key rotate --file client.keys acme-web-1 --overlap 0")]
pub(super) struct Rotate {
    #[command(flatten)]
    pub one: One,
    /// How long the secret before works on
    #[arg(long, default_value = "24h", value_name = "TIME")]
    pub overlap: String,
}

#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  llmctl key expire --file client.keys acme-web-1
  llmctl key expire --file client.keys acme-web-1 --at 30d
  llmctl key expire --file client.keys acme-web-1 --at never")]
pub(super) struct Expire {
    #[command(flatten)]
    pub one: One,
    /// When: now, 30d, 2026-12-01 … or never
    #[arg(long, default_value = "now", value_name = "WHEN")]
    pub at: String,
}

#[derive(Debug, clap::Args)]
#[command(after_help = "Example:
  llmctl key import --file client.keys /runtime/generated/issuer

The folder has status.map, key-id.map, org-slug.map, project-slug.map, client-id.map and tier.map
with raw credentials. They keep working; delete the map files afterwards.")]
pub(super) struct Import {
    /// The key file; it is made if it does not exist
    #[arg(long)]
    pub file: PathBuf,
    /// The folder of the map files
    pub maps: PathBuf,
    /// Overwrite keys of the file that have the same id
    #[arg(long)]
    pub replace: bool,
}
