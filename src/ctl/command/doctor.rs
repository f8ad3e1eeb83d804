//! `llmctl doctor`: what somebody who helps needs to see, in one archive without secrets.

use std::fs::{self, File};
use std::io::{Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

use flate2::Compression;
use flate2::write::GzEncoder;
use llm_core::auth::client::State;

use super::{Done, Failure};
use crate::publish::audit;
use crate::publish::root::Root;
use crate::{files, keyfile, progress, redact, status, time};

/// How much of a log is taken.
const TAIL_BYTES: u64 = 256 << 10;

const WAIT: Duration = Duration::from_secs(5);

/// `llmctl doctor`
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  llmctl doctor --root /srv/llm
  llmctl doctor --status http://127.0.0.1:9180/llm/status -o gateway-problem.tar.gz

Whatever may be a secret is replaced by ***. Look at it before you send it: tar tzf, zcat.")]
pub struct Args {
    /// The folder of the revisions
    #[arg(long, value_name = "DIR")]
    pub root: Option<PathBuf>,
    /// Where the gateway's status is
    #[arg(long, value_name = "URL", default_value = status::URL)]
    pub status: String,
    /// The nginx whose version is told
    #[arg(long, value_name = "BIN", default_value = "nginx")]
    pub nginx: PathBuf,
    /// The archive
    #[arg(short, long, value_name = "FILE", default_value = "llmctl-doctor.tar.gz")]
    pub output: PathBuf,
}

/// Runs the command.
pub fn run(args: &Args, out: &mut dyn Write) -> Result<Done, Failure> {
    let waiting = progress::spinner("collecting");
    let mut parts = vec![
        ("version.txt".to_owned(), format!("llmctl {}\n{}", env!("CARGO_PKG_VERSION"), system())),
        ("nginx.txt".to_owned(), nginx(&args.nginx)),
    ];
    let url = format!("{}/json", args.status.trim_end_matches('/'));
    let told = status::get(&url, WAIT).unwrap_or_else(|why| why);
    parts.push(("status.json".to_owned(), told));
    if let Some(path) = &args.root {
        of_root(&Root::open(path)?, &mut parts);
    }
    let name = args.output.display();
    let archive = archive(&parts).map_err(|why| format!("the archive cannot be made: {why}"))?;
    files::replace(&args.output, &archive, files::PRIVATE)
        .map_err(|why| Failure::new(format!("\"{name}\" cannot be written: {why}")))?;
    waiting.finish_and_clear();
    for (part, text) in &parts {
        writeln!(out, "  {part} ({} bytes)", text.len())?;
    }
    writeln!(out, "{name}: look at it before you send it")?;
    Ok(Done::Well)
}

fn archive(parts: &[(String, String)]) -> std::io::Result<Vec<u8>> {
    let mut tar = tar::Builder::new(GzEncoder::new(Vec::new(), Compression::default()));
    for (name, text) in parts {
        let text = redact::text(text);
        let mut header = tar::Header::new_gnu();
        header.set_size(text.len() as u64);
        header.set_mode(0o600);
        header.set_mtime(time::now_s());
        tar.append_data(&mut header, format!("llmctl-doctor/{name}"), text.as_bytes())?;
    }
    tar.into_inner()?.finish()
}

fn system() -> String {
    let name = rustix::system::uname();
    let cpus = std::thread::available_parallelism().map_or(0, usize::from);
    let text = |part: &std::ffi::CStr| part.to_string_lossy().into_owned();
    format!(
        "{} {} {}\n{cpus} processors\n",
        text(name.sysname()),
        text(name.release()),
        text(name.machine())
    )
}

fn nginx(program: &Path) -> String {
    match Command::new(program).arg("-V").stdin(Stdio::null()).output() {
        Ok(output) => String::from_utf8_lossy(&output.stderr).into_owned(),
        Err(why) => format!("{} cannot be started: {why}\n", program.display()),
    }
}

fn of_root(root: &Root, parts: &mut Vec<(String, String)>) {
    let current = root.file("current");
    for entry in fs::read_dir(&current).into_iter().flatten().flatten() {
        let name = entry.file_name().to_string_lossy().into_owned();
        if let Ok(text) = fs::read_to_string(entry.path()) {
            parts.push((format!("current/{name}"), text));
        }
    }
    let log = root.file("audit.log");
    let intact =
        audit::verify(&log).map_or_else(|why| why, |lines| format!("{} lines", lines.len()));
    parts.push(("audit.txt".to_owned(), intact));
    parts.push(("audit.log".to_owned(), tail(&log)));
    parts.push(("error.log".to_owned(), tail(&root.file("logs/error.log"))));
    parts.push(("keys.txt".to_owned(), keys(&root.file("client.keys"))));
}

/// How many, not which.
fn keys(path: &Path) -> String {
    match keyfile::read(path) {
        Err(why) => why,
        Ok(table) => State::ALL
            .iter()
            .map(|state| {
                let count = table.clients().iter().filter(|client| client.state == *state).count();
                format!("{}: {count}\n", state.name())
            })
            .collect(),
    }
}

/// The end of a log.
fn tail(path: &Path) -> String {
    let read = || -> std::io::Result<String> {
        let mut file = File::open(path)?;
        let length = file.metadata()?.len();
        file.seek(SeekFrom::Start(length.saturating_sub(TAIL_BYTES)))?;
        let mut bytes = Vec::new();
        file.take(TAIL_BYTES).read_to_end(&mut bytes)?;
        Ok(String::from_utf8_lossy(&bytes).into_owned())
    };
    read().unwrap_or_else(|why| format!("{}: {why}\n", path.display()))
}
