//! How do events leave a worker, and what of limits and budgets survives it? The event loop appends to
//! the journal; one thread takes it to the databases, saves checkpoints of the shared zone, and asks a
//! database once for what was spent before anybody here counted.

mod checkpoint;

use std::cell::RefCell;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{self, RecvTimeoutError};
use std::thread::Thread;
use std::time::{Duration, Instant};

use llm_core::cost::CostEvent;
use llm_core::metrics::{Adds, EventResult, Record, Table};
use llm_ledger::journal::{AppendError, Appender, Limits, Owner};
use llm_ledger::sink::{Bounds, Log, Postgres, Sink, Sqlite};
use llm_ledger::{Settings, Shipper, SinkStats};
use parking_lot::Mutex;

use self::checkpoint::{Checkpoints, wall_ms};
use crate::conf::MainConf;
use crate::cost::Store;
use crate::ffi::shm::Zone;
use crate::ffi::thread::{self, with_nginx};
use crate::ffi::{Level, log, log_from_thread};
use crate::metrics::WorkerNote;

pub use checkpoint::restore;

/// What a worker that ends gives the databases to take what is left; the rest waits for the next start.
const DRAIN: Duration = Duration::from_secs(2);
/// How long the end waits for the thread after that.
const GRACE: Duration = Duration::from_millis(500);
/// Between two tries to open a journal that cannot be opened.
const REOPEN: Duration = Duration::from_secs(1);
/// Between two checkpoints.
const CHECKPOINT: Duration = Duration::from_secs(1);

thread_local! {
    static JOURNAL: RefCell<Option<Journal>> = const { RefCell::new(None) };
}

static SHIPPING: Mutex<Option<Shipping>> = Mutex::new(None);

/// The event loop's end of the journal.
struct Journal {
    store: Store,
    workers: u32,
    appender: Option<Appender>,
    tried: Instant,
}

struct Shipping {
    stop: Arc<AtomicBool>,
    thread: Thread,
    ended: mpsc::Receiver<()>,
}

/// Opens the journal and starts the thread, where anything is to be kept.
pub fn start(conf: &MainConf) {
    let Some(store) = &conf.store else { return };
    let mut journal = Journal {
        store: store.clone(),
        workers: thread::workers(),
        appender: None,
        tried: Instant::now(),
    };
    journal.open();
    let owner = journal.appender.as_ref().map(|appender| appender.owner().clone());
    JOURNAL.set(Some(journal));
    if let Some(owner) = owner {
        ship(conf, store, owner);
    }
}

/// Tells the thread to end, and waits a bounded time for what it has still to do.
pub fn stop() {
    let Some(shipping) = SHIPPING.lock().take() else { return };
    shipping.stop.store(true, Ordering::Release);
    shipping.thread.unpark();
    if let Err(RecvTimeoutError::Timeout) = shipping.ended.recv_timeout(DRAIN + GRACE) {
        log(
            Level::Warn,
            "llm: the journal was not shipped in time, the next start goes on with it",
        );
    }
}

/// Whether new requests are to be refused, because their costs could not be kept.
pub fn denies() -> bool {
    JOURNAL.with_borrow(|journal| {
        journal.as_ref().is_some_and(|journal| {
            let owner = journal.appender.as_ref().map(Appender::owner);
            journal.store.denies_when_full() && owner.is_none_or(|owner| owner.is_nearly_full())
        })
    })
}

/// Appends an event to the journal; the error says why it is lost.
pub fn append<T: AsRef<str>>(event: &CostEvent<T>) -> Result<(), String> {
    JOURNAL.with_borrow_mut(|journal| {
        let Some(journal) = journal else { return Err("there is no journal".to_owned()) };
        if journal.appender.is_none() && journal.tried.elapsed() >= REOPEN {
            journal.open();
        }
        match &mut journal.appender {
            Some(appender) => {
                appender.append(event).map_err(|error: AppendError| error.to_string())
            }
            None => Err("the journal cannot be opened".to_owned()),
        }
    })
}

impl Journal {
    fn open(&mut self) {
        self.tried = Instant::now();
        let limits = Limits { max_bytes: self.store.journal.max_bytes, workers: self.workers };
        match Owner::open(&self.store.journal_path, limits) {
            Ok(owner) => self.appender = Some(Appender::new(owner)),
            Err(error) => {
                let folder = self.store.journal_path.display();
                let text = format!("llm: cannot open the journal in \"{folder}\": {error}");
                log(Level::Error, &text);
            }
        }
    }
}

/// The databases of the http block's lines.
fn sinks(store: &Store) -> Vec<Box<dyn Sink>> {
    let mut sinks: Vec<Box<dyn Sink>> = Vec::new();
    if store.backends.sqlite {
        sinks.push(Box::new(Sqlite::new(&store.path, &store.table)));
    }
    if let Some(dsn) = store.dsn.clone().filter(|_| store.backends.postgres) {
        sinks.push(Box::new(Postgres::new(dsn, &store.table, Bounds::default())));
    }
    if store.backends.log {
        sinks.push(Box::new(Log::new(&store.journal_path.join("cost.jsonl"))));
    }
    sinks
}

fn ship(conf: &MainConf, store: &Store, owner: Arc<Owner>) {
    let settings =
        Settings { sync: Duration::from_millis(store.journal.sync_ms), ..Settings::default() };
    let stop = Arc::new(AtomicBool::new(false));
    let (ending, ended) = mpsc::sync_channel(1);
    let (stopped, store, board) = (stop.clone(), store.clone(), conf.limits.clone());
    let notes = conf.metrics.as_ref().map(|metrics| metrics.workers);
    let series = conf.metrics.as_ref().map(|metrics| metrics.series);
    let spawned = thread::spawn("llm-ledger", move || {
        let mut work = Work {
            shipper: Shipper::new(owner, sinks(&store), settings),
            checkpoints: board.and_then(Checkpoints::new),
            due: Instant::now() + CHECKPOINT,
            workers: notes,
            series,
            told: WorkerNote::default(),
        };
        let mut pause = Duration::ZERO;
        while !stopped.load(Ordering::Acquire) {
            std::thread::park_timeout(pause);
            // A panic costs one round, not the thread.
            let round = std::panic::AssertUnwindSafe(|| work.round());
            pause = std::panic::catch_unwind(round).unwrap_or(REOPEN);
        }
        let end = std::panic::AssertUnwindSafe(|| work.end());
        let _ = std::panic::catch_unwind(end);
        let _ = ending.send(());
    });
    if let Some(thread) = spawned {
        let thread = thread.thread().clone();
        *SHIPPING.lock() = Some(Shipping { stop, thread, ended });
    }
}

struct Work {
    shipper: Shipper,
    checkpoints: Option<Checkpoints>,
    due: Instant,
    workers: Option<Zone<WorkerNote>>,
    series: Option<Zone<Record>>,
    /// What was counted when it was last told.
    told: WorkerNote,
}

impl Work {
    fn round(&mut self) -> Duration {
        let now = Instant::now();
        if self.due <= now {
            self.due = now + CHECKPOINT;
            self.checkpoint();
            self.report();
        }
        let pause = self.shipper.step(now);
        self.tell();
        pause.min(CHECKPOINT)
    }

    fn checkpoint(&mut self) {
        let Some(checkpoints) = &mut self.checkpoints else { return };
        if let Some(epoch) = checkpoints.covered() {
            self.shipper.set_checkpointed_epoch(epoch);
        }
        checkpoints.save();
        checkpoints.complete(&mut self.shipper);
    }

    /// Tells scrapes and the status page what waits and what was done.
    fn report(&mut self) {
        let Some(zone) = self.workers else { return };
        let stats = self.shipper.stats();
        let sum = |of: fn(&SinkStats) -> u64| stats.sinks.iter().map(of).max().unwrap_or(0);
        let now = WorkerNote {
            waiting_events: stats.waiting_events,
            oldest_ms: stats.oldest_ms.unwrap_or(0),
            journal_bytes: stats.journal_bytes,
            written: sum(|sink| sink.written),
            dropped: stats.dropped,
            dead_letters: sum(|sink| sink.dead_letters),
            ..WorkerNote::default()
        };
        let since = WorkerNote {
            written: now.written.saturating_sub(self.told.written),
            dropped: now.dropped.saturating_sub(self.told.dropped),
            dead_letters: now.dead_letters.saturating_sub(self.told.dead_letters),
            ..now
        };
        self.told = now;
        let pid = std::process::id();
        with_nginx(|| zone.locked(|notes| since.report(notes, pid, wall_ms())));
        let mut adds = Adds::default();
        adds.cost_events(EventResult::Written, since.written);
        adds.cost_events(EventResult::DeadLetter, since.dead_letters);
        if let Some(series) = self.series {
            with_nginx(|| series.locked(|records| Table::new(records).apply(&adds)));
        }
    }

    fn end(&mut self) {
        self.shipper.drain(Instant::now() + DRAIN);
        self.report();
        self.tell();
        if let Some(checkpoints) = &mut self.checkpoints {
            checkpoints.save();
        }
    }

    fn tell(&mut self) {
        for text in self.shipper.take_reports() {
            log_from_thread(Level::Warn, &format!("llm: {text}"));
        }
    }
}
