//! `llmctl render`: the nginx configuration of a manifest.

use std::fs;
use std::io::Write;
use std::path::PathBuf;

use super::{Done, Failure, hint};
use crate::conf::{Style, print};
use crate::publish::workers::Workers;
use crate::render::{Clients, Options, render};
use crate::{files, manifest};

/// `llmctl render`
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  llmctl render gateway.yaml                      # look at it
  llmctl render gateway.yaml -o /etc/nginx/llm    # write nginx.conf and its parts
  llmctl render gateway.yaml --client-auth maps --maps-dir /runtime/generated/issuer

Behind each line stands the manifest's field it comes from. Secrets stay where the manifest says:
env:NAME or file:PATH.")]
pub struct Args {
    /// The manifest, YAML or JSON
    pub manifest: PathBuf,
    /// Write into this folder instead of showing it
    #[arg(short, long, value_name = "DIR")]
    pub output: Option<PathBuf>,
    #[command(flatten)]
    pub layout: Layout,
}

/// Where things are on the machine that runs nginx.
#[derive(Debug, Default, clap::Args)]
pub struct Layout {
    /// The module's file [default: modules/ngx_http_llm_module.so]
    #[arg(long, value_name = "SO")]
    pub module: Option<String>,
    /// The clients' key file, instead of the manifest's [default: /etc/nginx/llm/client.keys]
    #[arg(long, value_name = "FILE")]
    pub client_keys: Option<String>,
    /// Where logs go [default: /var/log/nginx]
    #[arg(long, value_name = "DIR")]
    pub log_dir: Option<String>,
    /// Where nginx writes its process id [default: /run/nginx.pid]
    #[arg(long, value_name = "FILE")]
    pub pid: Option<String>,
    /// Whom nginx's workers run as, often www-data; without it nginx's own default, often nobody
    #[arg(long, value_name = "NAME")]
    pub user: Option<String>,
    /// How clients are known: by the key file, or by an issuer's map files
    #[arg(long, value_enum, default_value_t)]
    pub client_auth: ClientAuth,
    /// The folder of the map files
    #[arg(long, value_name = "DIR", default_value = "/runtime/generated/issuer")]
    pub maps_dir: String,
}

/// How clients are known.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, clap::ValueEnum)]
pub enum ClientAuth {
    /// By the key file, which takes effect without a reload
    #[default]
    Keys,
    /// By six map files with raw credentials
    Maps,
}

impl Layout {
    /// For the rendering.
    pub fn options(&self) -> Options {
        let mut options = Options::default();
        let set = |place: &mut String, given: &Option<String>| {
            if let Some(given) = given {
                place.clone_from(given);
            }
        };
        set(&mut options.module, &self.module);
        set(&mut options.log_dir, &self.log_dir);
        set(&mut options.pid, &self.pid);
        options.user.clone_from(&self.user);
        options.clients = match self.client_auth {
            ClientAuth::Keys => Clients::Keys(self.client_keys.clone()),
            ClientAuth::Maps => Clients::Maps(self.maps_dir.clone()),
        };
        options
    }
}

/// Runs the command.
pub fn run(args: &Args, out: &mut dyn Write) -> Result<Done, Failure> {
    let loaded = manifest::load(&args.manifest)?;
    let mut report = loaded.report;
    report.sort();
    report.write_text(&mut anstream::stderr().lock())?;
    let manifest = match loaded.manifest {
        Some(manifest) if report.errors() == 0 => manifest,
        _ => {
            return Err(Failure::new(format!(
                "manifest \"{}\" has {} errors, nothing was rendered",
                loaded.file,
                report.errors()
            )));
        }
    };
    let items = render(&manifest, &args.layout.options());
    let Some(folder) = &args.output else {
        for (_, text) in print(&items, Style::Whole) {
            out.write_all(text.as_bytes())?;
        }
        return Ok(Done::Well);
    };
    let name = folder.display();
    fs::create_dir_all(folder).map_err(|why| {
        let why = files::told(&why);
        Failure::new(format!("folder \"{name}\" cannot be made: {why}"))
    })?;
    // The main file comes last: until then nginx reads what was there.
    let mut texts = print(&items, Style::Parts);
    texts.rotate_left(1);
    for (file, text) in &texts {
        files::replace(&folder.join(file), text.as_bytes(), 0o644)
            .map_err(|why| Failure::new(format!("\"{name}/{file}\" cannot be written: {why}")))?;
    }
    if args.layout.user.is_none()
        && let Ok(Some(workers)) = Workers::find(None)
    {
        hint(&format!(
            "no --user was given: workers will run as nginx's own default, often \"nobody\"; this \
             machine has \"{}\"",
            workers.user
        ));
    }
    writeln!(
        out,
        "{} files in {name}; test them with: nginx -t -c {name}/nginx.conf",
        texts.len()
    )?;
    Ok(Done::Well)
}
