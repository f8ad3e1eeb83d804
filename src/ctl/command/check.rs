//! `llmctl check`: what is wrong with a manifest or a configuration.

use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::Command;

use super::render::Layout;
use super::{Done, Failure};
use crate::conf::{Style, print};
use crate::finding::{Place, Report};
use crate::subject::{self, Subject};

/// `llmctl check`
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  llmctl check gateway.yaml
  llmctl check gateway.yaml --format json --strict        # in a pipeline
  llmctl check /etc/nginx/llm                             # a folder with nginx.conf
  llmctl check gateway.yaml --nginx /usr/sbin/nginx --module /usr/lib/nginx/modules/ngx_http_llm_module.so

Exit status: 0 clean, 1 errors, 2 warnings with --strict.")]
pub struct Args {
    /// A manifest, or a folder with nginx.conf
    pub subject: PathBuf,
    /// How to show what was found
    #[arg(long, value_enum, default_value_t)]
    pub format: Format,
    /// Let warnings count
    #[arg(long)]
    pub strict: bool,
    /// Ask this nginx, too: nginx -t
    #[arg(long, value_name = "BIN")]
    pub nginx: Option<PathBuf>,
    #[command(flatten)]
    pub layout: Layout,
}

/// How to show a result.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, clap::ValueEnum)]
pub enum Format {
    /// For people
    #[default]
    Text,
    /// For programs
    Json,
}

/// Runs the command.
pub fn run(args: &Args, out: &mut dyn Write) -> Result<Done, Failure> {
    let mut options = args.layout.options();
    if args.nginx.is_some() {
        // nginx opens them in its test, too; ours must not touch those of a running one.
        options.pid = "nginx.pid".to_owned();
        options.log_dir = ".".to_owned();
    }
    let mut subject = subject::read(&args.subject, &options)?;
    if let Some(nginx) = &args.nginx
        && subject.report.errors() == 0
    {
        ask_nginx(nginx, &args.subject, &mut subject)?;
    }
    let mut report = std::mem::take(&mut subject.report);
    report.sort();
    match args.format {
        Format::Json => report.write_json(out)?,
        Format::Text => {
            report.write_text(out)?;
            let name = args.subject.display();
            match (report.errors(), report.warnings()) {
                (0, 0) => writeln!(out, "{name} is clean")?,
                (errors, warnings) => {
                    writeln!(out, "{name}: {errors} errors, {warnings} warnings")?;
                }
            }
        }
    }
    Ok(status(&report, args.strict))
}

fn status(report: &Report, strict: bool) -> Done {
    match (report.errors(), report.warnings()) {
        (0, 0) => Done::Well,
        (0, _) if strict => Done::Doubtful,
        (0, _) => Done::Well,
        _ => Done::Found,
    }
}

fn ask_nginx(nginx: &Path, name: &Path, subject: &mut Subject) -> Result<(), Failure> {
    let folder = tempfile::tempdir()?;
    let main = match &subject.main {
        Some(main) => std::fs::canonicalize(main)?,
        None => {
            let main = folder.path().join("nginx.conf");
            for (_, text) in print(&subject.items, Style::Whole) {
                std::fs::write(&main, text)?;
            }
            main
        }
    };
    let place = Place { file: name.display().to_string(), ..Place::default() };
    if let Err(text) = test(nginx, &main, folder.path()) {
        subject.report.error("nginx", place, text);
    }
    Ok(())
}

/// Lets nginx test a configuration; the error is what it says.
pub fn test(nginx: &Path, main: &Path, prefix: &Path) -> Result<(), String> {
    let prefix = format!("{}/", prefix.display());
    let mut run = Command::new(nginx);
    run.arg("-t").arg("-q").arg("-p").arg(prefix).arg("-c").arg(main);
    let result = run.stdin(std::process::Stdio::null()).output().map_err(|why| {
        format!("nginx \"{}\" cannot be started: {why}; name another with --nginx", nginx.display())
    })?;
    if result.status.success() {
        return Ok(());
    }
    let said = String::from_utf8_lossy(&result.stderr);
    let emerg: Vec<_> = said.lines().filter(|line| line.contains("[emerg]")).collect();
    Err(if emerg.is_empty() { said.trim().to_owned() } else { emerg.join("; ") })
}
