//! What does a worker do beside serving requests? One of its threads reads secrets again when their
//! files change, others ask providers whether they live. Nothing here waits for nginx, and nothing in
//! nginx waits for it.

mod asker;
pub mod ledger;
pub mod probe;
mod watch;

use std::fs;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

use parking_lot::Mutex;

pub use asker::Probe;
pub use watch::check_access;

use crate::conf::MainConf;
use crate::ffi::process::Owner;
use crate::ffi::{Level, log, thread};
use crate::ratelimit;
use watch::Watched;

/// How often files are looked at: a change takes effect within a second.
const TICK: Duration = Duration::from_millis(250);

/// The threads of this worker.
static WRITER: Mutex<Option<Writer>> = Mutex::new(None);

/// Whether threads are to end.
type Stop = Arc<AtomicBool>;

struct Writer {
    stop: Stop,
    threads: Vec<JoinHandle<()>>,
}

/// In the main process, before any worker: folders that workers write to, and what the last run has
/// left of limits and budgets.
pub fn prepare(conf: &MainConf, workers: Option<Owner>) {
    let mut folders = Vec::new();
    if let Some(store) = &conf.store {
        folders.push(store.journal_path.as_path());
        folders.extend(store.path.parent().filter(|_| store.backends.sqlite));
    }
    if let Some(state) = conf.limits.as_ref().and_then(|board| board.state.as_ref()) {
        folders.extend(state.parent());
    }
    for folder in folders {
        if let Err(error) = make_folder(folder, workers) {
            log(Level::Error, &format!("llm: cannot make \"{}\": {error}", folder.display()));
        }
    }
    if let Some((board, store)) = conf.limits.as_ref().zip(conf.store.as_ref()) {
        ledger::restore(board, store);
    }
}

/// Makes a folder, and those above it that are missing, for the workers alone.
fn make_folder(folder: &Path, workers: Option<Owner>) -> std::io::Result<()> {
    use std::os::unix::fs::DirBuilderExt;
    if folder.is_dir() {
        return Ok(());
    }
    if let Some(above) = folder.parent() {
        make_folder(above, workers)?;
    }
    fs::DirBuilder::new().mode(0o750).create(folder)?;
    workers.map_or(Ok(()), |workers| workers.own(folder))
}

/// Starts the threads, if there is anything to do for them.
pub fn start(conf: &MainConf) {
    if !thread::is_worker() {
        return;
    }
    if let Some(board) = &conf.limits {
        ratelimit::sweep(board.zone);
    }
    ledger::start(conf);
    let stop = Stop::default();
    let mut threads = Vec::new();
    let mut watched = Watched::all(conf);
    if !watched.is_empty() {
        threads.push(run("llm-writer", &stop, move || watched.iter_mut().for_each(Watched::look)));
    }
    if let Some(zone) = conf.health.filter(|_| thread::is_first_worker()) {
        threads.extend(conf.probes.iter().map(|probe| asker::start(probe.clone(), zone, &stop)));
    }
    *WRITER.lock() = Some(Writer { stop, threads: threads.into_iter().flatten().collect() });
}

/// Does `round` again and again in a thread of its own.
fn run(
    name: &str,
    stop: &Stop,
    mut round: impl FnMut() + Send + 'static,
) -> Option<JoinHandle<()>> {
    let stop = stop.clone();
    thread::spawn(name, move || {
        while !stop.load(Ordering::Relaxed) {
            // A panic costs one round, not the thread.
            let _ = std::panic::catch_unwind(std::panic::AssertUnwindSafe(&mut round));
            std::thread::park_timeout(TICK);
        }
    })
}

/// Tells the threads to end; they do so within a probe's timeout, and nothing waits for them: from then
/// on they leave nginx's memory alone.
pub fn stop() {
    ledger::stop();
    if let Some(writer) = WRITER.lock().take() {
        writer.stop.store(true, Ordering::Relaxed);
        writer.threads.iter().for_each(|thread| thread.thread().unpark());
    }
}
