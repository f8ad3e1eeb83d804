//! How is a sink doing?

use std::time::Instant;

use crate::schedule::{BackOff, Reporter};
use crate::sink::{Failure, Sink};

use super::deliver::Delivered;

/// A sink as metrics and the status page show it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct SinkStats {
    /// Its word in `llm_cost_backend`.
    pub name: &'static str,
    /// Whether the last contact was good.
    pub is_connected: bool,
    /// Rows that it has taken; one that it had before is one more.
    pub written: u64,
    /// Rows that were set aside.
    pub dead_letters: u64,
    /// Batches that it did not take.
    pub failures: u64,
    /// Events that it has still before it.
    pub waiting_events: u64,
    /// Why it did not take the last one, while that lasts.
    pub last_error: Option<String>,
}

/// A sink and its record.
#[derive(Debug)]
pub(super) struct Slot {
    pub(super) sink: Box<dyn Sink>,
    pub(super) back_off: BackOff,
    /// The track that is next.
    pub(super) turn: usize,
    reporter: Reporter,
    /// The trouble that was told last.
    told: Option<String>,
    refusals: Reporter,
    stats: SinkStats,
}

impl Slot {
    pub(super) fn new(sink: Box<dyn Sink>) -> Self {
        let stats = SinkStats { name: sink.name(), ..SinkStats::default() };
        Self {
            sink,
            back_off: BackOff::default(),
            turn: 0,
            reporter: Reporter::default(),
            told: None,
            refusals: Reporter::default(),
            stats,
        }
    }

    pub(super) fn name(&self) -> &'static str {
        self.stats.name
    }

    pub(super) fn stats(&self, waiting_events: u64) -> SinkStats {
        let is_connected = self.sink.is_connected();
        SinkStats { is_connected, waiting_events, ..self.stats.clone() }
    }

    pub(super) fn wrote(
        &mut self,
        rows: usize,
        delivered: &Delivered<'_>,
        reports: &mut Vec<String>,
    ) {
        let name = self.stats.name;
        self.stats.written += (rows - delivered.refused.len()) as u64;
        self.stats.dead_letters += delivered.refused.len() as u64;
        if self.stats.last_error.take().is_some() {
            reports.push(format!("{name} takes rows again"));
        }
        self.back_off.succeeded();
        self.reporter = Reporter::default();
        if let Some((event, reason)) = delivered.refused.last()
            && let Some(times) = self.refusals.happened(Instant::now(), false)
        {
            reports.push(format!(
                "{name} refused rows in {times} batches since this was told, they are in the \
                 dead-letter file; the last is \"{}\": {reason}",
                event.event_id
            ));
        }
        reports.extend(self.sink.take_notice().map(|notice| format!("{name}: {notice}")));
    }

    pub(super) fn failed(
        &mut self,
        now: Instant,
        failure: Failure,
        waiting_events: u64,
        reports: &mut Vec<String>,
    ) {
        self.back_off.failed(now);
        self.stats.failures += 1;
        let is_another = self.told.as_ref().is_some_and(|told| *told != failure.text);
        if let Some(times) = self.reporter.happened(now, is_another) {
            reports.push(format!(
                "{} took no rows ({times} tries since this was told), {waiting_events} events wait \
                 in the journal: {failure}",
                self.stats.name
            ));
            self.told = Some(failure.text.clone());
        }
        self.stats.last_error = Some(failure.text);
    }
}
