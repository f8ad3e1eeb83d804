//! What can be written on the command line?

use std::io::Write;

use clap::{CommandFactory, Parser, Subcommand};

use crate::command::{self, Done, Failure};

/// From one manifest to a running, reversible gateway
#[derive(Debug, Parser)]
#[command(name = "llmctl", version, propagate_version = true, disable_help_subcommand = true)]
#[command(after_help = "The way of a manifest:
  llmctl check gateway.yaml                                # is it right?
  llmctl render gateway.yaml -o /etc/nginx/llm             # what will nginx read?
  llmctl key issue --file client.keys --id web-1 --manifest gateway.yaml
  llmctl publish gateway.yaml --root /srv/llm -m 'new price'
  llmctl rollback --root /srv/llm                          # and back, in seconds

Each command has examples: llmctl <command> --help")]
pub struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Make the nginx configuration of a manifest
    Render(command::render::Args),
    /// Say what is wrong with a manifest or a configuration
    Check(command::check::Args),
    /// Say what changes for requests, prices and keys
    Diff(command::diff::Args),
    /// Put a manifest into use
    Publish(command::publish::Publish),
    /// Show the revisions
    #[command(after_help = "Example:\n  llmctl history --root /srv/llm")]
    History(command::publish::Look),
    /// Put an earlier revision into use
    Rollback(command::publish::Rollback),
    /// Show who changed what, when and why, and whether the log is intact
    #[command(
        after_help = "Examples:\n  llmctl audit --root /srv/llm\n  llmctl audit --root /srv/llm --format json\n\nExit status: 1 when a line was changed, removed or added."
    )]
    Audit(command::publish::Look),
    /// Issue, list, suspend, rotate and revoke client keys
    Key(command::key::Args),
    /// Say what was spent, by whom and on what
    Spend(command::spend::Args),
    /// Watch a gateway at work
    Top(command::top::Args),
    /// Collect what somebody who helps needs to see, without secrets
    Doctor(command::doctor::Args),
    /// Ask a provider now whether it works, as its llm_fallback_probe does
    #[command(after_help = "Example:
  llmctl probe deepseek

The gateway asks, with the provider's own key, and answers when it knows. The provider needs a line
llm_fallback_probe.

Exit status: 1 when the provider does not work, or nobody could be asked.")]
    Probe(command::control::Args),
    /// Send a provider no more requests; those that run are finished
    #[command(after_help = "Example:\n  llmctl drain deepseek     # before its maintenance")]
    Drain(command::control::Args),
    /// Send a provider requests again
    #[command(after_help = "Example:\n  llmctl undrain deepseek")]
    Undrain(command::control::Args),
    /// Print the manifest's JSON Schema, for editors
    #[command(after_help = "Example:
  llmctl schema > manifest.schema.json

Many editors take it from the manifest's first line:
  # yaml-language-server: $schema=manifest.schema.json")]
    Schema,
    /// Print a completion script for a shell
    #[command(after_help = "Examples:
  llmctl completions bash > /etc/bash_completion.d/llmctl
  llmctl completions zsh > /usr/local/share/zsh/site-functions/_llmctl
  llmctl completions fish > ~/.config/fish/completions/llmctl.fish

The Debian package brings those for bash, zsh and fish.")]
    Completions {
        /// Which shell
        shell: clap_complete::Shell,
    },
    /// Write the manual pages into a folder
    #[command(after_help = "Example:\n  llmctl man /usr/local/share/man/man1")]
    Man {
        /// The folder
        folder: std::path::PathBuf,
    },
    /// Print docs/llmctl.md
    #[command(hide = true)]
    Reference,
}

impl Cli {
    /// Runs what was asked for.
    pub fn run(self, out: &mut dyn Write) -> Result<Done, Failure> {
        match self.command {
            Command::Render(args) => command::render::run(&args, out),
            Command::Check(args) => command::check::run(&args, out),
            Command::Diff(args) => command::diff::run(&args, out),
            Command::Publish(args) => command::publish::publish(&args, out),
            Command::History(args) => command::publish::history(&args, out),
            Command::Rollback(args) => command::publish::rollback(&args, out),
            Command::Audit(args) => command::publish::audit(&args, out),
            Command::Key(args) => command::key::run(&args, out),
            Command::Spend(args) => command::spend::run(&args, out),
            Command::Top(args) => command::top::run(&args, out),
            Command::Doctor(args) => command::doctor::run(&args, out),
            Command::Probe(args) => command::control::run("probe", &args, out),
            Command::Drain(args) => command::control::run("drain", &args, out),
            Command::Undrain(args) => command::control::run("undrain", &args, out),
            Command::Schema => {
                out.write_all(crate::manifest::SCHEMA.as_bytes())?;
                Ok(Done::Well)
            }
            Command::Completions { shell } => {
                let mut text = Vec::new();
                clap_complete::generate(shell, &mut Self::command(), "llmctl", &mut text);
                out.write_all(&text)?;
                Ok(Done::Well)
            }
            Command::Reference => {
                out.write_all(command::reference::page(Self::command()).as_bytes())?;
                Ok(Done::Well)
            }
            Command::Man { folder } => {
                std::fs::create_dir_all(&folder)
                    .and_then(|()| clap_mangen::generate_to(Self::command(), &folder))
                    .map_err(|why| {
                        let (name, why) = (folder.display(), crate::files::told(&why));
                        Failure::new(format!(
                            "manual pages cannot be written into \"{name}\": {why}"
                        ))
                    })?;
                Ok(Done::Well)
            }
        }
    }

    /// The status of a failure: `diff` tells differences by 1.
    pub fn trouble(&self) -> u8 {
        match self.command {
            Command::Diff(_) => 2,
            _ => 1,
        }
    }
}
