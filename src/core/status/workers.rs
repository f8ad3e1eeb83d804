//! What does each worker's journal do? One record for each process in shared memory, written by its
//! thread; a scrape and the status page ask for all together.

/// One worker's journal. All zero is unused. Its layout is part of the zone's version.
#[repr(C)]
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct WorkerNote {
    /// The process, which `report` fills in; 0 is unused.
    pub pid: u64,
    /// Events that some database has not.
    pub waiting_events: u64,
    /// When the oldest of them happened, in milliseconds since 1970; 0 is none.
    pub oldest_ms: u64,
    /// All files of the journal, whichever worker's.
    pub journal_bytes: u64,
    /// Events that the databases have, since the zone was made.
    pub written: u64,
    /// Events for which there was no room.
    pub dropped: u64,
    /// Events that a database refused for good.
    pub dead_letters: u64,
    /// When it was last reported, in milliseconds since 1970; `report` fills it in.
    pub seen_ms: u64,
}

impl WorkerNote {
    /// Takes the place of the process's note, or one of its own. What is counted in `self` since the last
    /// time is added to what the place holds.
    pub fn report(&self, notes: &mut [Self], pid: u32, now_ms: u64) {
        let pid = u64::from(pid);
        let free = |note: &Self| note.pid == 0;
        let at = notes
            .iter()
            .position(|note| note.pid == pid)
            .or_else(|| notes.iter().position(free))
            // The dead leave their counts to whoever comes.
            .or_else(|| (0..notes.len()).min_by_key(|at| notes.get(*at).map(|n| n.seen_ms)));
        let Some(note) = at.and_then(|at| notes.get_mut(at)) else { return };
        *note = Self {
            pid,
            seen_ms: now_ms,
            written: note.written.saturating_add(self.written),
            dropped: note.dropped.saturating_add(self.dropped),
            dead_letters: note.dead_letters.saturating_add(self.dead_letters),
            ..*self
        };
    }

    /// All workers together: what waits counts where the worker is alive, what was done always.
    #[must_use]
    pub fn total(notes: &[Self], is_alive: impl Fn(u32) -> bool) -> Self {
        let mut total = Self::default();
        for note in notes.iter().filter(|note| note.pid != 0) {
            total.written = total.written.saturating_add(note.written);
            total.dropped = total.dropped.saturating_add(note.dropped);
            total.dead_letters = total.dead_letters.saturating_add(note.dead_letters);
            if !u32::try_from(note.pid).is_ok_and(&is_alive) {
                continue;
            }
            total.waiting_events = total.waiting_events.saturating_add(note.waiting_events);
            total.journal_bytes = total.journal_bytes.max(note.journal_bytes);
            if note.oldest_ms > 0 && (total.oldest_ms == 0 || note.oldest_ms < total.oldest_ms) {
                total.oldest_ms = note.oldest_ms;
            }
        }
        total
    }

    /// How old the oldest waiting event is, in milliseconds.
    #[must_use]
    pub fn oldest_age_ms(&self, now_ms: u64) -> u64 {
        if self.oldest_ms == 0 { 0 } else { now_ms.saturating_sub(self.oldest_ms) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn workers_add_up_and_the_dead_wait_for_nothing() {
        let mut notes = [WorkerNote::default(); 4];
        let first =
            WorkerNote { waiting_events: 5, oldest_ms: 70, written: 10, ..WorkerNote::default() };
        first.report(&mut notes, 1, 100);
        first.report(&mut notes, 1, 200);
        WorkerNote { waiting_events: 2, oldest_ms: 90, dropped: 1, ..first }
            .report(&mut notes, 2, 200);
        let total = WorkerNote::total(&notes, |_| true);
        assert_eq!((total.waiting_events, total.oldest_ms), (7, 70));
        assert_eq!((total.written, total.dropped), (30, 1));
        let total = WorkerNote::total(&notes, |pid| pid == 2);
        assert_eq!((total.waiting_events, total.oldest_ms), (2, 90));
        assert_eq!(total.oldest_age_ms(100), 10);
        assert_eq!(total.written, 30, "what was done stays done");
    }

    #[test]
    fn a_full_table_gives_the_place_of_whom_nobody_has_seen_for_longest() {
        let mut notes = [WorkerNote::default(); 2];
        for (pid, now) in [(1, 10), (2, 20), (3, 30)] {
            WorkerNote { written: 1, ..WorkerNote::default() }.report(&mut notes, pid, now);
        }
        assert_eq!(WorkerNote::total(&notes, |_| true).written, 3);
        assert!(notes.iter().all(|note| note.pid != 1));
    }
}
