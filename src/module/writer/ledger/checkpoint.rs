//! What were limits and budgets when nginx stopped? One worker at a time saves the zone every second;
//! the main process restores it before the first worker starts, with what the journal has since.

use std::fs::File;
use std::path::{Path, PathBuf};
use std::time::Duration;

use llm_core::cost::Pico;
use llm_core::ratelimit::{Budget, Label, Record, Saved};
use llm_ledger::state::{Checkpoint, replay};
use llm_ledger::{Filter, Shipper};

use crate::cost::Store;
use crate::ffi::shm::Zone;
use crate::ffi::thread::with_nginx;
use crate::ffi::{Level, log, log_from_thread, unix_ms};
use crate::ratelimit::{Board, budgets, parts, with_table};

/// Between the end of an epoch and the snapshot: who has read the epoch settles within.
const SETTLE: Duration = Duration::from_millis(50);
/// What a database may take to tell a sum.
const SUM: Duration = Duration::from_secs(5);

/// The checkpoints of a zone, saved by whichever worker holds the lock file.
pub struct Checkpoints {
    zone: Zone<Record>,
    path: PathBuf,
    lock: Option<File>,
    /// The last one's entries: what has not changed is not written again.
    saved: Vec<u8>,
    failing: bool,
}

impl Checkpoints {
    pub fn new(board: Board) -> Option<Self> {
        let Board { zone, state } = board;
        Some(Self { zone, path: state?, lock: None, saved: Vec::new(), failing: false })
    }

    /// The last epoch that is surely in a checkpoint: an epoch ends when the one before was saved.
    pub fn covered(&self) -> Option<u64> {
        let epoch = with_nginx(|| with_table(self.zone, |table| table.epoch())).flatten()?;
        Some(epoch.saturating_sub(2))
    }

    pub fn save(&mut self) {
        if !self.is_ours() {
            return;
        }
        let Some(ended) = with_nginx(|| with_table(self.zone, |table| table.end_epoch())).flatten()
        else {
            return;
        };
        std::thread::sleep(SETTLE);
        let mut entries = Vec::new();
        let now_ms = wall_ms();
        let mut part = Vec::new();
        for slots in parts(self.zone) {
            part.clear();
            // Nothing is allocated under the lock.
            part.reserve(slots.len());
            with_nginx(|| {
                with_table(self.zone, |table| table.snapshot(slots, ended, now_ms, &mut part))
            });
            entries.extend(part.iter().flat_map(Saved::to_bytes));
        }
        if entries == self.saved {
            return;
        }
        let checkpoint = Checkpoint {
            epoch: ended,
            created_at_ms: now_ms,
            entry_bytes: u32::try_from(Saved::BYTES).unwrap_or(0),
            entries,
        };
        match checkpoint.save(&self.path) {
            Ok(()) => {
                self.saved = checkpoint.entries;
                self.failing = false;
            }
            Err(error) => {
                let path = self.path.display();
                let text = format!("llm: cannot save limits and budgets to \"{path}\": {error}");
                if !std::mem::replace(&mut self.failing, true) {
                    log_from_thread(Level::Error, &text);
                }
            }
        }
    }

    /// Adds what the database knows to budgets that began before anybody here counted.
    pub fn complete(&mut self, shipper: &mut Shipper) {
        if self.lock.is_none() {
            return;
        }
        let budgets = budgets(self.zone, |budget| !budget.is_complete);
        // One at a time: a database that is slow must not keep the rest of the thread's work.
        let Some((budget, label)) = budgets.iter().find_map(|b| Some((b, b.label.as_ref()?)))
        else {
            return;
        };
        let sum = match filter(budget, label) {
            Some(filter) => shipper.sum(&filter, SUM),
            None => Ok(Pico::default()),
        };
        if let Ok(sum) = sum {
            with_nginx(|| with_table(self.zone, |table| table.add_before(budget.key, sum)));
        }
    }

    /// Whether this worker saves; one that takes the place of another gets the lock when that one ends.
    fn is_ours(&mut self) -> bool {
        if self.lock.is_none() {
            let path = self.path.with_extension("lock");
            let file = File::options().create(true).append(true).open(path);
            self.lock = file.ok().filter(|file| file.try_lock().is_ok());
        }
        self.lock.is_some()
    }
}

/// Which rows count for a budget: its ids are those of its scope and of the scopes around it.
fn filter<'a>(budget: &Budget, label: &'a Label) -> Option<Filter<'a>> {
    let mut ids = label.ids().map(std::str::from_utf8).collect::<Result<Vec<_>, _>>().ok()?;
    if label.is_cut {
        return None;
    }
    let mut filter = Filter {
        org: None,
        project: None,
        client: None,
        unit: label.unit(),
        from_ms: i64::try_from(budget.window.start_s.saturating_mul(1000)).ok()?,
        before_ms: i64::try_from(budget.since_ms).ok()?,
    };
    let fields = [&mut filter.org, &mut filter.project, &mut filter.client];
    for field in fields.into_iter().take(label.scope as usize + 1).rev() {
        *field = ids.pop();
    }
    Some(filter)
}

/// Brings back what was saved, in the main process, once for a new zone.
pub fn restore(board: &Board, store: &Store) {
    let Some(path) = &board.state else { return };
    let checkpoint = match Checkpoint::load(path) {
        Ok(checkpoint) => checkpoint.unwrap_or_default(),
        Err(error) => {
            let path = path.display();
            let text = format!("llm: cannot use the saved limits in \"{path}\": {error}");
            log(Level::Error, &text);
            Checkpoint::default()
        }
    };
    let (zone, now_ms) = (board.zone, unix_ms());
    if with_table(zone, |table| table.begin_restore(checkpoint.epoch)) != Some(true) {
        return;
    }
    for entry in checkpoint.entries() {
        let saved = entry.try_into().ok().and_then(|bytes| Saved::from_bytes(bytes).ok());
        if let Some(saved) = saved {
            with_table(zone, |table| table.restore(&saved, now_ms));
        }
    }
    replay_journal(zone, &store.journal_path, checkpoint.epoch, now_ms);
}

fn replay_journal(zone: Zone<Record>, journal: &Path, after_epoch: u64, now_ms: u64) {
    let replayed = replay(journal, after_epoch, |charge, since_ms| {
        with_table(zone, |table| table.replay(charge, since_ms, now_ms));
    });
    match replayed {
        // What comes from now on must not be taken for what was just replayed.
        Ok(replayed) => {
            let next = replayed.last_epoch.max(after_epoch).saturating_add(1);
            with_table(zone, |table| table.raise_epoch(next));
        }
        Err(error) => {
            let text =
                format!("llm: cannot read the journal in \"{}\": {error}", journal.display());
            log(Level::Error, &text);
        }
    }
}

/// nginx's cached clock belongs to its own thread.
pub(super) fn wall_ms() -> u64 {
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
    now.map_or(0, |now| u64::try_from(now.as_millis()).unwrap_or(0))
}
