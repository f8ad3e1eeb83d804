//! `llmctl publish`, `history`, `rollback` and `audit`: configurations that come into use and back.

use std::io::Write;
use std::path::{Path, PathBuf};
use std::time::Duration;

use serde_json::json;

use super::check::Format;
use super::{Done, Failure};
use crate::conf::{Style, print};
use crate::diff::{changes, facts};
use crate::manifest::{self, Manifest};
use crate::publish::audit::{self, Action, Line};
use crate::publish::nginx::Gateway;
use crate::publish::root::{KEYS, Root};
use crate::publish::switch;
use crate::publish::workers::Workers;
use crate::render::{Clients, Options, STATUS_LISTEN};
use crate::{progress, subject, table};

/// Which nginx serves the root.
#[derive(Debug, clap::Args)]
pub struct Server {
    /// The folder of the revisions
    #[arg(long, value_name = "DIR")]
    pub root: PathBuf,
    /// The nginx that tests the configuration
    #[arg(long, value_name = "BIN", default_value = "nginx")]
    pub nginx: PathBuf,
    /// The file with nginx's process id [default: DIR/run/nginx.pid]
    #[arg(long, value_name = "FILE")]
    pub pid: Option<PathBuf>,
    /// Where the gateway tells its revision [default: the manifest's status_listen]
    #[arg(long, value_name = "URL")]
    pub status: Option<String>,
    /// How long the new revision may take to answer
    #[arg(long, value_name = "SECONDS", default_value_t = 10)]
    pub wait: u64,
    /// Why; kept in the audit log
    #[arg(short = 'm', long = "message", value_name = "WHY")]
    pub why: Option<String>,
}

/// `llmctl publish`
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  llmctl publish gateway.yaml --root /srv/llm -m 'first'
  nginx -p /srv/llm/ -c /srv/llm/current/nginx.conf       # start it once
  llmctl publish gateway.yaml --root /srv/llm -m 'new price of deepseek-v4-pro'

The manifest is checked, rendered and tested by nginx; then one rename makes it current, nginx
reloads, and a request must be answered by the new revision. If not, the one before is put back.
Counters, limits and open streams survive.")]
pub struct Publish {
    /// The manifest
    pub manifest: PathBuf,
    #[command(flatten)]
    pub server: Server,
    /// The module's file
    #[arg(long, value_name = "SO", default_value = "modules/ngx_http_llm_module.so")]
    pub module: String,
    /// The clients' key file [default: the manifest's, else DIR/client.keys]
    #[arg(long, value_name = "FILE")]
    pub client_keys: Option<String>,
    /// Whom nginx's workers run as [default: www-data, nginx or nobody, if root publishes]
    #[arg(long, value_name = "NAME")]
    pub user: Option<String>,
    /// Say what would change, and change nothing
    #[arg(long)]
    pub dry_run: bool,
}

/// `llmctl rollback`
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  llmctl rollback --root /srv/llm            # to the revision before
  llmctl rollback 3 --root /srv/llm -m 'price was wrong'")]
pub struct Rollback {
    /// Which revision; the one before without
    pub revision: Option<u32>,
    #[command(flatten)]
    pub server: Server,
}

/// `llmctl history` and `llmctl audit`
#[derive(Debug, clap::Args)]
pub struct Look {
    /// The folder of the revisions
    #[arg(long, value_name = "DIR")]
    pub root: PathBuf,
    /// How to show it
    #[arg(long, value_enum, default_value_t)]
    pub format: Format,
}

/// Runs `publish`.
pub fn publish(args: &Publish, out: &mut dyn Write) -> Result<Done, Failure> {
    let workers = Workers::find(args.user.as_deref())?;
    // First: a name that was mistyped must not leave folders behind.
    let loaded = manifest::load(&args.manifest)?;
    let root = match args.dry_run {
        true => Root::planned(&args.server.root)?,
        false => Root::make(&args.server.root, workers.as_ref())?,
    };
    let _lock = (!args.dry_run).then(|| root.lock()).transpose()?;
    let revision = root.next()?;
    let given = args.client_keys.clone();
    let keys = given.or_else(|| {
        let stated = loaded.manifest.as_ref()?.deployment.gateway.client_keys.clone();
        stated.is_none().then(|| root.file(KEYS).display().to_string())
    });
    if !args.dry_run && keys == Some(root.file(KEYS).display().to_string()) {
        root.make_keys(workers.as_ref())?;
    }
    let path = |name: &str| root.file(name).display().to_string();
    let options = Options {
        module: args.module.clone(),
        pid: pid(&root, &args.server).display().to_string(),
        log_dir: path("logs"),
        temp_dir: Some(path("tmp")),
        user: workers.map(|workers| workers.user),
        clients: Clients::Keys(keys),
        revision: Some(format!("{revision:04}")),
    };
    let text = loaded.text.clone();
    let mut subject = subject::of_manifest(loaded, &args.manifest, &options);
    subject.report.sort();
    subject.report.write_text(&mut anstream::stderr().lock())?;
    let Some(found) = subject.manifest.as_ref().filter(|_| subject.report.errors() == 0) else {
        let errors = subject.report.errors();
        return Err(Failure::new(format!("the manifest has {errors} errors, nothing was changed")));
    };
    let old = root.current().and_then(|current| {
        let old = subject::read(&root.folder(current), &options).ok()?;
        Some(facts(&old.items, old.manifest.as_ref()))
    });
    let changed = changes(&old.clone().unwrap_or_default(), &facts(&subject.items, Some(found)));
    if old.is_some() {
        super::diff::write(&changed, out)?;
        if changed.is_empty() {
            writeln!(out, "revision {:04} says the same already", root.current().unwrap_or(0))?;
            return Ok(Done::Well);
        }
    }
    if args.dry_run {
        writeln!(out, "revision {revision:04} would be published")?;
        return Ok(Done::Well);
    }
    let gateway = gateway(&root, &args.server, found);
    let mut texts: Vec<_> = print(&subject.items, Style::Parts)
        .into_iter()
        .map(|(name, text)| (name, text.into_bytes()))
        .collect();
    let is_json = args.manifest.extension().is_some_and(|extension| extension == "json");
    let name = if is_json { "manifest.json" } else { "manifest.yaml" };
    texts.push((name.to_owned(), text.into_bytes()));
    root.write(revision, &texts)?;
    let waiting = progress::spinner("waiting for the new revision to answer");
    let why = args.server.why.as_deref();
    let wait = Duration::from_secs(args.server.wait);
    let done = switch(&root, &gateway, Action::Publish, (revision, why), wait);
    waiting.finish_and_clear();
    match done {
        Ok(switched) => {
            writeln!(out, "{}", switched.text)?;
            Ok(if switched.is_well { Done::Well } else { Done::Found })
        }
        Err(text) => {
            root.remove(revision);
            Err(Failure::new(text))
        }
    }
}

fn pid(root: &Root, server: &Server) -> PathBuf {
    server.pid.clone().unwrap_or_else(|| root.file("run/nginx.pid"))
}

fn gateway(root: &Root, server: &Server, manifest: &Manifest) -> Gateway {
    let url = server.status.clone().unwrap_or_else(|| {
        let listen = manifest.deployment.gateway.status_listen.as_deref();
        let listen = listen.unwrap_or(STATUS_LISTEN);
        let host = if listen.contains(':') { String::new() } else { "127.0.0.1:".to_owned() };
        format!("http://{host}{listen}/llm/revision")
    });
    Gateway { nginx: server.nginx.clone(), pid: pid(root, server), revision_url: url }
}

/// Runs `rollback`.
pub fn rollback(args: &Rollback, out: &mut dyn Write) -> Result<Done, Failure> {
    let root = Root::open(&args.server.root)?;
    let _lock = root.lock()?;
    let current = root.current();
    let wanted = match args.revision {
        Some(revision) => revision,
        None => before(&root, current).ok_or_else(|| {
            Failure::new("there is no revision before the current one, see: llmctl history")
        })?,
    };
    if Some(wanted) == current {
        writeln!(out, "revision {wanted:04} is current already")?;
        return Ok(Done::Well);
    }
    let path = root.manifest(wanted);
    let path = path.ok_or_else(|| Failure::new(format!("there is no revision {wanted:04}")))?;
    let loaded = manifest::load(&path)?;
    let found = loaded.manifest.as_ref().ok_or_else(|| {
        Failure::new(format!("the manifest of revision {wanted:04} cannot be read any more"))
    })?;
    let gateway = gateway(&root, &args.server, found);
    let wait = Duration::from_secs(args.server.wait);
    let why = args.server.why.as_deref();
    let switched = switch(&root, &gateway, Action::Rollback, (wanted, why), wait)?;
    writeln!(out, "{}", switched.text)?;
    Ok(if switched.is_well { Done::Well } else { Done::Found })
}

/// The revision that was in use before the current one came, if it is still there.
fn before(root: &Root, current: Option<u32>) -> Option<u32> {
    let revisions = root.revisions();
    let lines = audit::read(&root.file("audit.log")).ok()?;
    let came = lines.iter().rev().find(|line| line.result == "ok" && line.revision == current);
    came.and_then(|line| line.previous)
        .filter(|previous| revisions.contains(previous))
        .or_else(|| revisions.into_iter().rfind(|revision| Some(*revision) < current))
}

/// Runs `history`.
pub fn history(args: &Look, out: &mut dyn Write) -> Result<Done, Failure> {
    let root = Root::open(&args.root)?;
    let lines = audit::read(&root.file("audit.log"))?;
    let current = root.current();
    let made = |revision: u32| {
        lines.iter().find(|line| line.action == Action::Publish && line.revision == Some(revision))
    };
    let revisions = root.revisions();
    if args.format == Format::Json {
        let rows: Vec<_> = revisions
            .iter()
            .map(|&revision| {
                let line = made(revision);
                json!({
                    "revision": revision,
                    "current": Some(revision) == current,
                    "time": line.map(|line| &line.time),
                    "who": line.map(|line| &line.who),
                    "why": line.and_then(|line| line.why.as_ref()),
                    "manifest": root.manifest_hash(revision),
                })
            })
            .collect();
        serde_json::to_writer_pretty(&mut *out, &rows)?;
        writeln!(out)?;
        return Ok(Done::Well);
    }
    if revisions.is_empty() {
        writeln!(out, "nothing was published yet, do it with: llmctl publish")?;
        return Ok(Done::Well);
    }
    let mut view = table::new(&["", "revision", "time", "who", "why"]);
    for revision in revisions {
        let text = |value: Option<&String>| value.cloned().unwrap_or_default();
        let line = made(revision);
        view.add_row([
            if Some(revision) == current { "*" } else { "" }.to_owned(),
            format!("{revision:04}"),
            text(line.map(|line| &line.time)),
            text(line.map(|line| &line.who)),
            text(line.and_then(|line| line.why.as_ref())),
        ]);
    }
    writeln!(out, "{view}")?;
    Ok(Done::Well)
}

/// Runs `audit`.
pub fn audit(args: &Look, out: &mut dyn Write) -> Result<Done, Failure> {
    let root = Root::open(&args.root)?;
    let path = root.file("audit.log");
    let verified = audit::verify(&path);
    let lines = match &verified {
        Ok(lines) => lines.clone(),
        Err(_) => audit::read(&path).unwrap_or_default(),
    };
    if args.format == Format::Json {
        let broken = verified.as_ref().err();
        let document = json!({ "intact": broken.is_none(), "broken": broken, "lines": lines });
        serde_json::to_writer_pretty(&mut *out, &document)?;
        writeln!(out)?;
    } else {
        show(&lines, &path, verified.is_ok(), out)?;
    }
    match verified {
        Ok(_) => Ok(Done::Well),
        Err(text) => Err(Failure::new(format!("the audit log is not intact: {text}"))),
    }
}

fn show(lines: &[Line], path: &Path, is_intact: bool, out: &mut dyn Write) -> Result<(), Failure> {
    if lines.is_empty() && is_intact {
        writeln!(out, "nothing was published yet, do it with: llmctl publish")?;
        return Ok(());
    }
    let mut view = table::new(&[
        "#", "time", "who", "action", "revision", "before", "result", "why", "detail",
    ]);
    let number = |revision: Option<u32>| revision.map_or("-".to_owned(), |n| format!("{n:04}"));
    for line in lines {
        let action = match line.action {
            Action::Publish => "publish",
            Action::Rollback => "rollback",
        };
        view.add_row([
            line.seq.to_string(),
            line.time.clone(),
            line.who.clone(),
            action.to_owned(),
            number(line.revision),
            number(line.previous),
            line.result.clone(),
            line.why.clone().unwrap_or_default(),
            line.detail.clone().unwrap_or_default(),
        ]);
    }
    writeln!(out, "{view}")?;
    if let (true, Some(last)) = (is_intact, lines.last()) {
        writeln!(
            out,
            "{} lines, intact; last hash {} ({})",
            lines.len(),
            last.hash,
            path.display()
        )?;
    }
    Ok(())
}
