//! How fast are the journal and the sinks here? `ledger-bench <events> [<dsn>]` prints nanoseconds per
//! append, events per second into SQLite, and with a DSN into PostgreSQL, and the memory it took.

use std::error::Error;
use std::io::Write;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use llm_core::cost::{CostEvent, Dsn, TableName, Text};
use llm_ledger::journal::{Appender, Limits, Owner};
use llm_ledger::sink::{Bounds, Postgres, Sink, Sqlite};
use llm_ledger::{Settings, Shipper};

#[path = "../fixture.rs"]
mod fixture;

/// Whether ids begin with the time.
#[derive(Debug, Clone, Copy)]
enum Ids {
    Ordered,
    Random,
}

/// Spreads numbers over all of 128 bits.
const GOLDEN: u128 = 0x9e37_79b9_7f4a_7c15_f39c_c060_5ced_c835;

fn main() -> Result<(), Box<dyn Error>> {
    let mut args = std::env::args().skip(1);
    let count: u64 = args.next().map_or(Ok(100_000), |count| count.parse())?;
    let dsn = args.next();
    let directory = std::env::temp_dir().join(format!("ledger-bench-{}", std::process::id()));
    std::fs::create_dir_all(&directory)?;
    let outcome = all(&directory, count, dsn.as_deref());
    std::fs::remove_dir_all(&directory)?;
    outcome
}

fn all(directory: &Path, count: u64, dsn: Option<&str>) -> Result<(), Box<dyn Error>> {
    let mut out = std::io::stdout();
    for ids in [Ids::Ordered, Ids::Random] {
        let sqlite = Sqlite::new(&directory.join(format!("{ids:?}.db")), &TableName::default());
        drain(&mut out, directory, count, Box::new(sqlite), ids)?;
    }
    if let Some(dsn) = dsn {
        let dsn = Dsn::parse(&[dsn])?;
        let postgres = Postgres::new(dsn, &TableName::default(), Bounds::default());
        drain(&mut out, directory, count, Box::new(postgres), Ids::Random)?;
    }
    let status = std::fs::read_to_string("/proc/self/status")?;
    let memory = status.lines().find(|line| line.starts_with("VmHWM")).unwrap_or_default();
    writeln!(out, "{memory}")?;
    Ok(())
}

/// Appends all, then ships all.
fn drain(
    out: &mut impl Write,
    directory: &Path,
    count: u64,
    sink: Box<dyn Sink>,
    ids: Ids,
) -> Result<(), Box<dyn Error>> {
    let name = sink.name();
    let journal = directory.join(format!("journal-{name}-{ids:?}"));
    std::fs::create_dir_all(&journal)?;
    let owner = Owner::open(&journal, Limits { max_bytes: 8 << 30, workers: 2 })?;
    let mut appender = Appender::new(Arc::clone(&owner));
    let mut shipper = Shipper::new(Arc::clone(&owner), vec![sink], Settings::default());
    const DISTINCT: u64 = 1024;
    let mut events: Vec<CostEvent> = (0..DISTINCT).map(fixture::event).collect();
    let mut appending = Duration::ZERO;
    let mut appending_on_cpu = Duration::ZERO;
    for chunk in 0..count.div_ceil(DISTINCT) {
        for (event, number) in events.iter_mut().zip(chunk * DISTINCT..) {
            let id = match ids {
                Ids::Ordered => u128::from(number),
                Ids::Random => u128::from(number + 1).wrapping_mul(GOLDEN),
            };
            event.event_id = Text::new(&format!("{id:032x}"));
        }
        let (started, on_cpu) = (Instant::now(), on_cpu()?);
        for event in &events {
            appender.append(event)?;
        }
        appending += started.elapsed();
        appending_on_cpu += self::on_cpu()? - on_cpu;
    }
    let appended = owner.appended();
    let bytes: u64 = std::fs::read_dir(&journal)?
        .filter_map(|entry| Some(entry.ok()?.metadata().ok()?.len()))
        .sum();
    writeln!(
        out,
        "append: {} ns per event of {} bytes, {} ns of them on the processor",
        appending.as_nanos() / u128::from(appended),
        bytes / appended,
        appending_on_cpu.as_nanos() / u128::from(appended)
    )?;
    let (started, on_cpu) = (Instant::now(), on_cpu()?);
    while shipper.stats().waiting_events > 0 {
        std::thread::sleep(shipper.step(Instant::now()));
        for report in shipper.take_reports() {
            writeln!(out, "{report}")?;
        }
    }
    let (took, on_cpu) = (started.elapsed(), self::on_cpu()? - on_cpu);
    let rate = u128::from(appended) * 1000 / took.as_millis().max(1);
    writeln!(
        out,
        "{name}, {ids:?} ids: {appended} events in {took:?}, {rate} per second; {on_cpu:?} on the processor"
    )?;
    Ok(())
}

/// How long this thread has run: the machine may have other things to do.
fn on_cpu() -> Result<Duration, Box<dyn Error>> {
    let text = std::fs::read_to_string("/proc/thread-self/schedstat")?;
    let nanoseconds = text.split(' ').next().unwrap_or_default();
    Ok(Duration::from_nanos(nanoseconds.parse()?))
}
