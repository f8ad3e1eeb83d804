//! A scriptable fake LLM provider: what do its listeners say, and what goes wrong on the way?
//!
//! One process opens a listener per provider and one for control. Each answers OpenAI's and
//! Anthropic's endpoints with complete, deterministic shapes (`shape` documents the usage), unless
//! told otherwise by, in this order, the request's `x-mock` header, the listener's script or the
//! model's name (`mock-429`, `mock-cut-40`; `answer` documents the vocabulary).
//!
//! A request flows through `wire` (bytes to head and body), `endpoint` (what is asked), `script`
//! (which answer), `reply` (status, headers, pieces), `frame` (writes) and `send` (writes, pauses,
//! faults). It is for demo, tests and benchmarks and is not shipped.

mod answer;
mod anthropic;
mod args;
mod control;
mod endpoint;
mod errors;
mod fast;
mod frame;
mod openai;
mod record;
mod reply;
mod responses;
mod script;
mod send;
mod serve;
mod shape;
mod tls;
mod wire;

use std::error::Error;
use std::io::{self, Read as _, Write as _};
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Instant;

use clap::Parser as _;
use serde_json::{Value, json};
use tokio::net::TcpListener;
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::oneshot;

use crate::args::Args;
use crate::serve::Provider;
use crate::tls::Authority;

fn main() -> ExitCode {
    let args = Args::parse();
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(usize::from(args.threads))
        .enable_all()
        .build();
    let ended = match runtime {
        Ok(runtime) => {
            let ended = runtime.block_on(run(&args));
            // Answers under way do not delay the exit.
            runtime.shutdown_background();
            ended
        }
        Err(error) => Err(error.into()),
    };
    match ended {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("mock-provider: {error}");
            ExitCode::FAILURE
        }
    }
}

async fn run(args: &Args) -> Result<(), Box<dyn Error>> {
    let started = Instant::now();
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    let mut lines = Vec::new();
    if let Some(address) = &args.control {
        let listener = bind(address).await?;
        lines.push(json!({"control": listener.local_addr()?.to_string()}));
        let providers = open_providers(args, started, &mut lines).await?;
        tokio::spawn(control::listen(Arc::new(providers), listener));
    } else {
        open_providers(args, started, &mut lines).await?;
    }
    lines.push(json!({"ready": true}));
    announce(&lines)?;
    let eof = args.until_eof.then(input_end);
    tokio::select! {
        _ = terminate.recv() => {}
        _ = interrupt.recv() => {}
        () = wait(eof) => {}
    }
    Ok(())
}

async fn open_providers(
    args: &Args,
    started: Instant,
    lines: &mut Vec<Value>,
) -> Result<Vec<Arc<Provider>>, Box<dyn Error>> {
    let authority = match &args.tls_dir {
        Some(directory) => Some(Authority::create(directory)?),
        None => None,
    };
    let mut providers: Vec<Arc<Provider>> = Vec::new();
    for spec in &args.providers {
        if providers.iter().any(|provider| provider.name == spec.name) {
            return Err(format!("there are two providers \"{}\"", spec.name).into());
        }
        let listener = bind(&spec.address).await?;
        let address = listener.local_addr()?.to_string();
        let mut line = json!({"name": spec.name, "address": address, "tls": spec.tls});
        let acceptor = match (spec.tls, &authority) {
            (false, _) => None,
            (true, None) => return Err("\"tls\" needs \"--tls-dir\"".into()),
            (true, Some(authority)) => {
                if let Some(fields) = line.as_object_mut() {
                    fields.insert("ca".into(), json!(authority.path));
                }
                Some(authority.acceptor(&spec.hostnames)?)
            }
        };
        lines.push(line);
        let provider = Arc::new(Provider::new(&spec.name, started, args.fast));
        tokio::spawn(serve::listen(Arc::clone(&provider), listener, acceptor));
        providers.push(provider);
    }
    Ok(providers)
}

async fn bind(address: &str) -> Result<TcpListener, String> {
    let listener = TcpListener::bind(address).await;
    listener.map_err(|error| format!("cannot listen on \"{address}\": {error}"))
}

fn announce(lines: &[Value]) -> io::Result<()> {
    let mut output = io::stdout().lock();
    for line in lines {
        writeln!(output, "{line}")?;
    }
    output.flush()
}

/// Ends with standard input. A thread reads it: a pending read must not delay the exit.
fn input_end() -> oneshot::Receiver<()> {
    let (ended, end) = oneshot::channel();
    std::thread::spawn(move || {
        let mut input = io::stdin().lock();
        let mut bytes = [0; 4096];
        while input.read(&mut bytes).is_ok_and(|length| length > 0) {}
        // A closed channel means that the process is about to exit anyway.
        let _ = ended.send(());
    });
    end
}

async fn wait(end: Option<oneshot::Receiver<()>>) {
    match end {
        Some(end) => {
            // Sent or dropped: the input is over.
            let _ = end.await;
        }
        None => std::future::pending().await,
    }
}
