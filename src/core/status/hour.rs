//! What happened in each of the last sixty minutes? A provider, a move between two of them and a
//! decision of the limits each have an hour of cells in shared memory, one for each minute.

use crate::metrics::{Decision, Finished, Layout, Named, Tried, Word, mixed, scaled, split};

/// Minutes that are kept.
const MINUTES: usize = 60;
/// How many hours are looked at for one key.
const MAX_STEPS: usize = 16;
/// Numbers in a cell.
const VALUES: usize = 12;
const UNIT_PICO: u128 = 1_000_000_000_000;

/// What a cell counts. The first two count attempts where they were made, the others requests where
/// they ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(usize)]
enum Count {
    Attempts,
    Failures,
    /// Milliseconds of the attempts that went well, and their number.
    LatencyMs,
    Latencies,
    /// Milliseconds to the first content of attempts, and their number.
    FirstMs,
    Firsts,
    Requests,
    Errors,
    InputTokens,
    OutputTokens,
    /// Units, and what is left in pico-units.
    CostUnits,
    CostPico,
}

/// What an hour of cells is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind<'a> {
    /// A provider.
    Provider(&'a str),
    /// Moves of requests between two providers.
    Flow(&'a str, &'a str),
    /// What the limits decided, and why.
    Decision(Decision, &'a str),
}

impl Kind<'_> {
    fn key(self, layout: &Layout) -> u64 {
        let provider = |name| layout.provider(Some(name));
        match self {
            Self::Provider(name) => provider_key(provider(name)),
            Self::Flow(from, to) => flow_key(provider(from), provider(to)),
            Self::Decision(decision, reason) => {
                decision_key(decision.word(), layout.reason(reason))
            }
        }
    }
}

fn provider_key(provider: Word) -> u64 {
    key_of(1, provider, Word::OTHER)
}

fn flow_key(from: Word, to: Word) -> u64 {
    key_of(2, from, to)
}

fn decision_key(decision: Word, reason: Word) -> u64 {
    key_of(3, decision, reason)
}

/// The key of a kind with its two words.
fn key_of(kind: u64, one: Word, other: Word) -> u64 {
    mixed(mixed(kind ^ one.0) ^ other.0).max(1)
}

/// One minute of one thing. All zero is unused. Its layout is part of the zone's version.
#[repr(C)]
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Cell {
    /// In the first cell of an hour: what it is about; 0 is unused.
    key: u64,
    /// In the first cell of an hour: the last minute that was counted.
    touched: u64,
    /// The minute, counted from 1970.
    minute: u64,
    values: [u64; VALUES],
}

/// One addition to a minute.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Note {
    key: u64,
    values: [u64; VALUES],
}

impl Note {
    fn of(key: u64) -> Self {
        Self { key, values: [0; VALUES] }
    }

    fn count(&mut self, what: Count, by: u64) {
        if let Some(value) = self.values.get_mut(what as usize) {
            *value = value.saturating_add(by);
        }
    }

    fn count_attempt(&mut self, tried: &Tried<'_>) {
        self.count(Count::Attempts, 1);
        self.count(Count::Failures, tried.end.is_failure().into());
        if !tried.end.is_failure() {
            self.count(Count::LatencyMs, tried.duration_ms);
            self.count(Count::Latencies, 1);
        }
        if let Some(ms) = tried.ttft_ms {
            self.count(Count::FirstMs, ms);
            self.count(Count::Firsts, 1);
        }
    }
}

/// What a request adds; a worker keeps one list and uses it again.
#[derive(Debug, Default)]
pub struct Notes(Vec<Note>);

impl Notes {
    /// Works out what a request that is over adds, before the lock is taken.
    pub fn note(&mut self, layout: &Layout, finished: &Finished<'_>) {
        self.0.clear();
        // A request that no provider saw is counted as `other`, like its metrics.
        let nobody = || layout.provider(Some("other"));
        let mut last = Note::of(provider_key(finished.provider.map_or_else(nobody, Named::word)));
        last.count(Count::Requests, 1);
        last.count(Count::Errors, finished.error.is_some().into());
        if let Some(usage) = &finished.usage {
            last.count(Count::InputTokens, usage.prompt_tokens().unwrap_or(0));
            last.count(Count::OutputTokens, usage.completion_tokens().unwrap_or(0));
        }
        if let Some((pico, _)) = finished.cost {
            let (units, rest) = split(pico.0);
            last.count(Count::CostUnits, units);
            last.count(Count::CostPico, rest);
        }
        for tried in finished.attempts {
            let mut note = Note::of(provider_key(tried.provider.word()));
            if note.key == last.key {
                last.count_attempt(tried);
            } else {
                note.count_attempt(tried);
                self.0.push(note);
            }
        }
        for moved in finished.moves() {
            let mut note = Note::of(flow_key(moved.from.word(), moved.to.word()));
            note.count(Count::Requests, 1);
            self.0.push(note);
        }
        for (decision, reason) in finished.decisions {
            let mut note = Note::of(decision_key(decision.word(), layout.reason(reason)));
            note.count(Count::Requests, 1);
            self.0.push(note);
        }
        self.0.push(last);
    }
}

/// The numbers of one hour, one for each minute, the oldest first.
#[derive(Debug, Clone, PartialEq, Eq, Default, serde::Serialize, serde::Deserialize)]
pub struct Series {
    /// Tries.
    pub attempts: Vec<u64>,
    /// Those that speak against the provider.
    pub failures: Vec<u64>,
    /// The mean time of those that went well.
    pub latency_ms: Vec<Option<u64>>,
    /// The mean time to the first content.
    pub ttft_ms: Vec<Option<u64>>,
    /// Requests that ended here.
    pub requests: Vec<u64>,
    /// Those that failed.
    pub errors: Vec<u64>,
    /// Input tokens, cache included.
    pub input_tokens: Vec<u64>,
    /// Output tokens.
    pub output_tokens: Vec<u64>,
    /// Cost, in the provider's unit.
    pub cost: Vec<String>,
}

/// The records of the zone, which the caller has locked.
#[derive(Debug)]
pub struct Hour<'a> {
    cells: &'a mut [Cell],
}

impl<'a> Hour<'a> {
    /// The view; all-zero records are unused. Sixty records make room for one provider, flow or
    /// decision; fewer make none.
    #[must_use]
    pub fn new(cells: &'a mut [Cell]) -> Self {
        Self { cells }
    }

    /// Adds to a minute ([`minute_of`]).
    pub fn apply(&mut self, notes: &Notes, minute: u64) {
        for note in &notes.0 {
            let Some(at) = self.claim(note.key, minute) else { continue };
            let Some(cell) = self.cell(at, minute) else { continue };
            // A clock that was set back goes on in what it finds; the older count is gone.
            if cell.minute != minute {
                cell.minute = minute;
                cell.values = [0; VALUES];
            }
            for (value, &by) in cell.values.iter_mut().zip(&note.values) {
                *value = value.saturating_add(by);
            }
            carry(&mut cell.values);
        }
    }

    /// The hour of a thing up to this minute; none if nothing was counted.
    #[must_use]
    pub fn series(&self, layout: &Layout, kind: Kind<'_>, minute: u64) -> Option<Series> {
        let cells = self.minutes(kind.key(layout), minute)?;
        let of = |what: Count| cells.iter().map(|cell| value(cell, what)).collect::<Vec<_>>();
        let mean = |sum: Count, count: Count| {
            cells.iter().map(|cell| value(cell, sum).checked_div(value(cell, count))).collect()
        };
        let cost = |cell: &[u64; VALUES]| {
            let pico = u128::from(value(cell, Count::CostUnits)) * UNIT_PICO
                + u128::from(value(cell, Count::CostPico));
            crate::cost::Pico(pico).to_string()
        };
        Some(Series {
            attempts: of(Count::Attempts),
            failures: of(Count::Failures),
            latency_ms: mean(Count::LatencyMs, Count::Latencies),
            ttft_ms: mean(Count::FirstMs, Count::Firsts),
            requests: of(Count::Requests),
            errors: of(Count::Errors),
            input_tokens: of(Count::InputTokens),
            output_tokens: of(Count::OutputTokens),
            cost: cells.iter().map(cost).collect(),
        })
    }

    /// How often a thing happened within the hour up to this minute.
    #[must_use]
    pub fn total(&self, layout: &Layout, kind: Kind<'_>, minute: u64) -> u64 {
        // Of all pairs of providers, hardly any has one.
        let Some(cells) = self.minutes(kind.key(layout), minute) else { return 0 };
        cells.iter().fold(0, |sum, cell| sum.saturating_add(value(cell, Count::Requests)))
    }

    /// The numbers of a key's minutes, the oldest first.
    fn minutes(&self, key: u64, minute: u64) -> Option<[[u64; VALUES]; MINUTES]> {
        let at = self.places(key).find(|&at| self.key_at(at) == key)?;
        let mut numbers = [[0; VALUES]; MINUTES];
        for (age, values) in (0..).zip(numbers.iter_mut().rev()) {
            let Some(wanted) = minute.checked_sub(age) else { continue };
            let cell = self.cells.get(at * MINUTES + place(wanted));
            if let Some(cell) = cell.filter(|cell| cell.minute == wanted) {
                *values = cell.values;
            }
        }
        Some(numbers)
    }

    /// The hour of a key. Where there is no room, the one that was not counted in for the longest time
    /// gives way.
    fn claim(&mut self, key: u64, minute: u64) -> Option<usize> {
        let mut best: Option<(u64, usize)> = None;
        for at in self.places(key) {
            let first = self.cells.get(at * MINUTES)?;
            if first.key == key {
                best = Some((0, at));
                break;
            }
            let rank = if first.key == 0 { 0 } else { first.touched.max(1) };
            if best.is_none_or(|(least, _)| rank < least) {
                best = Some((rank, at));
            }
        }
        let (_, at) = best?;
        let hour = self.cells.get_mut(at * MINUTES..(at + 1) * MINUTES)?;
        if hour.first()?.key != key {
            hour.fill(Cell::default());
        }
        let first = hour.first_mut()?;
        (first.key, first.touched) = (key, minute);
        Some(at)
    }

    fn cell(&mut self, at: usize, minute: u64) -> Option<&mut Cell> {
        self.cells.get_mut(at * MINUTES + place(minute))
    }

    fn places(&self, key: u64) -> impl Iterator<Item = usize> + use<> {
        let len = self.cells.len() / MINUTES;
        let home = scaled(key, len);
        (0..len.min(MAX_STEPS)).map(move |step| (home + step) % len)
    }

    fn key_at(&self, at: usize) -> u64 {
        self.cells.get(at * MINUTES).map_or(0, |cell| cell.key)
    }
}

/// The minute of a time in milliseconds since 1970. It is never 0, which is the minute of unused cells.
#[must_use]
pub const fn minute_of(unix_ms: u64) -> u64 {
    unix_ms / 60_000 + 1
}

fn place(minute: u64) -> usize {
    usize::try_from(minute % MINUTES as u64).unwrap_or(0)
}

fn value(values: &[u64; VALUES], what: Count) -> u64 {
    values.get(what as usize).copied().unwrap_or(0)
}

/// Makes units of pico-units that are enough.
fn carry(values: &mut [u64; VALUES]) {
    let [.., units, pico] = values;
    let unit = 1_000_000_000_000;
    *units = units.saturating_add(*pico / unit);
    *pico %= unit;
}
