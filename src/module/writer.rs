//! What does a worker do beside serving requests? One thread for each worker reads secrets again
//! when their files change, and asks providers whether they live. Nothing here waits for nginx, and
//! nothing in nginx waits for it.

pub mod ledger;
pub mod probe;

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant, SystemTime};

use llm_core::health::Record;
use parking_lot::Mutex;

use crate::auth::Safe;
use crate::client::ClientKeys;
use crate::conf::MainConf;
use crate::ffi::process::Owner;
use crate::ffi::shm::Zone;
use crate::ffi::thread::with_nginx;
use crate::ffi::{Level, log, log_from_thread, thread};
use crate::{health, ratelimit};
use probe::ProbeTarget;

/// How often files are looked at: a change takes effect within a second.
const TICK: Duration = Duration::from_millis(250);

/// The thread of this worker.
static WRITER: Mutex<Option<Writer>> = Mutex::new(None);

struct Writer {
    stop: Arc<AtomicBool>,
    thread: JoinHandle<()>,
}

/// A provider that is asked from time to time.
#[derive(Clone)]
pub struct Probe {
    /// Whom to ask and how.
    pub target: ProbeTarget,
    /// Between two questions.
    pub interval: Duration,
    /// The keys, of which the first of this provider is sent.
    pub safe: Option<Arc<Safe>>,
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
    let safes = conf.safes.iter().filter(|safe| safe.files().next().is_some());
    let files: Vec<_> = safes
        .map(|safe| Source::Secrets(safe.clone()))
        .chain(conf.client_keys.iter().map(|keys| Source::Clients(keys.clone())))
        .collect();
    let probes = if thread::is_first_worker() { conf.probes.clone() } else { Vec::new() };
    if files.is_empty() && probes.is_empty() {
        return;
    }
    let stop = Arc::new(AtomicBool::new(false));
    let mut work = Work {
        watched: files.into_iter().map(Watched::new).collect(),
        round_ms: probes
            .iter()
            .fold(millis(TICK), |sum, probe| sum.saturating_add(millis(probe.target.timeout))),
        probes: probes.into_iter().map(|probe| (Instant::now(), probe)).collect(),
        zone: conf.health,
    };
    let stopped = stop.clone();
    let thread = thread::spawn("llm-writer", move || {
        while !stopped.load(Ordering::Relaxed) {
            // A panic costs one round, not the thread.
            let round = std::panic::AssertUnwindSafe(|| work.round());
            let _ = std::panic::catch_unwind(round);
            std::thread::park_timeout(TICK);
        }
    });
    *WRITER.lock() = thread.map(|thread| Writer { stop, thread });
}

/// Tells the thread to end; it does so within a probe's timeout, and nothing waits for it: from then
/// on it leaves nginx's memory alone.
pub fn stop() {
    ledger::stop();
    if let Some(writer) = WRITER.lock().take() {
        writer.stop.store(true, Ordering::Relaxed);
        writer.thread.thread().unpark();
    }
}

struct Work {
    watched: Vec<Watched>,
    probes: Vec<(Instant, Probe)>,
    /// How long a round may take: one probe follows the other.
    round_ms: u64,
    zone: Option<Zone<Record>>,
}

impl Work {
    fn round(&mut self) {
        for watched in &mut self.watched {
            watched.look();
        }
        for (due, probe) in &mut self.probes {
            let wanted = self.zone.is_some_and(|zone| {
                let provider = &probe.target.provider;
                with_nginx(|| health::take_wanted_probe(zone, provider)).unwrap_or(false)
            });
            if wanted || *due <= Instant::now() {
                *due = Instant::now() + probe.interval;
                if let Some(zone) = self.zone {
                    ask(zone, probe, self.round_ms);
                }
            }
        }
    }
}

/// What is read again when its files change.
enum Source {
    /// The secrets of a location.
    Secrets(Arc<Safe>),
    /// The keys of clients.
    Clients(Arc<ClientKeys>),
}

impl Source {
    fn files(&self) -> Vec<PathBuf> {
        match self {
            Self::Secrets(safe) => safe.files().cloned().collect(),
            Self::Clients(keys) => keys.path().cloned().into_iter().collect(),
        }
    }

    /// Reads the files; what is wrong with them, without what is in them.
    fn read(&self) -> Vec<String> {
        match self {
            Self::Secrets(safe) => safe.read(),
            Self::Clients(keys) => keys.reload().err().into_iter().collect(),
        }
    }
}

/// Files, and when they were last seen to change.
struct Watched {
    source: Source,
    seen: Vec<(PathBuf, Option<Stamp>)>,
}

/// What changes when a file is written or replaced.
#[derive(Clone, PartialEq, Eq)]
struct Stamp {
    modified: Option<SystemTime>,
    bytes: u64,
    inode: u64,
}

impl Watched {
    fn new(source: Source) -> Self {
        // What was read so far is the main process's: a worker that takes another one's place, perhaps
        // long after the start, looks at the files itself.
        let seen = source.files().into_iter().map(|path| (path, None)).collect();
        Self { source, seen }
    }

    fn look(&mut self) {
        let mut changed = false;
        for (path, seen) in &mut self.seen {
            let now = stamp(path);
            if now != *seen {
                *seen = now;
                changed = true;
            }
        }
        if changed {
            for text in self.source.read() {
                log_from_thread(Level::Warn, &format!("llm: {text}"));
            }
        }
    }
}

fn stamp(path: &Path) -> Option<Stamp> {
    use std::os::unix::fs::MetadataExt;
    let meta = fs::metadata(path).ok()?;
    Some(Stamp { modified: meta.modified().ok(), bytes: meta.len(), inode: meta.ino() })
}

/// Asks a provider and notes the answer. One failure benches it, until a later probe succeeds.
fn ask(zone: Zone<Record>, probe: &Probe, round_ms: u64) {
    let secrets = probe.safe.as_ref().map(|safe| safe.secrets());
    let number = probe.safe.as_ref().and_then(|safe| {
        let keys = safe.credentials.keys();
        keys.iter().position(|key| key.provider == probe.target.provider)
    });
    let secret = secrets.as_ref().zip(number).and_then(|(s, number)| s.store.secret(number));
    let up = probe::is_up(&probe::ask(&probe.target, secret));
    // Longer than until the next answer is known; when nobody asks any more the bench ends by itself.
    let bench_ms = millis(probe.interval).saturating_add(round_ms).saturating_mul(2);
    let bench_ms = (!up).then_some(bench_ms);
    with_nginx(|| health::note_probe(zone, &probe.target.provider, bench_ms));
}

fn millis(time: Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX)
}
