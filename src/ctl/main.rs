//! llmctl: from one manifest to a running, reversible gateway.

mod check;
mod cli;
mod command;
mod conf;
mod diff;
mod effective;
mod files;
mod finding;
mod keyfile;
mod manifest;
mod progress;
mod publish;
mod redact;
mod render;
mod spend;
mod status;
mod subject;
mod table;
mod time;
mod tree;

use std::io::Write;
use std::process::ExitCode;

use clap::Parser;

use command::Done;

fn main() -> ExitCode {
    let cli = cli::Cli::parse();
    let trouble = cli.trouble();
    let mut out = anstream::stdout().lock();
    let result = cli.run(&mut out).and_then(|done| {
        out.flush()?;
        Ok(done)
    });
    match result {
        Ok(Done::Well) => ExitCode::SUCCESS,
        Ok(Done::Found) => ExitCode::from(1),
        Ok(Done::Doubtful) => ExitCode::from(2),
        // Whoever reads the first lines only has what they want.
        Err(why) if why.is_broken_pipe => ExitCode::SUCCESS,
        Err(why) => {
            command::hint(&format!("llmctl: {why}"));
            ExitCode::from(trouble)
        }
    }
}
