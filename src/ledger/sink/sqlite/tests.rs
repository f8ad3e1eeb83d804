//! What a SQLite file holds, with old schemas, poison rows and several writers.

use super::*;
use crate::fixture::{created_at_ms, event};
use crate::sink::Blame;
use llm_core::cost::Cost;

const WITHIN: Duration = Duration::from_secs(5);

struct Database {
    directory: tempfile::TempDir,
}

impl Database {
    fn new() -> Self {
        Self { directory: tempfile::tempdir().unwrap() }
    }

    fn path(&self) -> PathBuf {
        self.directory.path().join("llm/cost.db")
    }

    fn sink(&self) -> Sqlite {
        Sqlite::new(&self.path(), &TableName::default())
    }

    fn sql(&self, sql: &str) {
        std::fs::create_dir_all(self.path().parent().unwrap()).unwrap();
        Connection::open(self.path()).unwrap().execute_batch(sql).unwrap();
    }

    fn one<T: rusqlite::types::FromSql>(&self, sql: &str) -> T {
        Connection::open(self.path()).unwrap().query_row(sql, [], |row| row.get(0)).unwrap()
    }
}

fn write(sink: &mut Sqlite, events: &[CostEvent]) -> Result<(), Failure> {
    let rows: Vec<&CostEvent> = events.iter().collect();
    sink.write(Delivery { rows: &rows, since: None, within: WITHIN }).map(|_| ())
}

fn events(numbers: std::ops::Range<u64>) -> Vec<CostEvent> {
    numbers.map(event).collect()
}

#[test]
fn rows_and_attempts_are_written_once() {
    let database = Database::new();
    let mut sink = database.sink();
    assert!(!sink.is_connected());
    write(&mut sink, &events(0..10)).unwrap();
    write(&mut sink, &events(5..20)).unwrap();
    assert!(sink.is_connected());
    assert_eq!(database.one::<i64>("SELECT count(*) FROM llm_cost_events"), 20);
    assert_eq!(database.one::<i64>("SELECT count(*) FROM llm_cost_events_attempts"), 40);
    assert_eq!(database.one::<i64>("SELECT version FROM llm_schema"), SCHEMA_VERSION);
}

#[test]
fn values_stand_in_their_columns_as_sqlite_reads_them() {
    let database = Database::new();
    write(&mut database.sink(), &[event(3)]).unwrap();
    let row = event(3);
    let cost = row.cost.unwrap();
    let text = |sql: &str| database.one::<String>(sql);
    assert_eq!(text("SELECT event_id FROM llm_cost_events"), format!("{:032x}", 3));
    assert_eq!(text("SELECT total_cost FROM llm_cost_events"), cost.total.to_string());
    assert_eq!(text("SELECT typeof(total_cost) FROM llm_cost_events"), "text");
    assert_eq!(text("SELECT rate_cache_read FROM llm_cost_events"), "0.00362500");
    assert_eq!(text("SELECT json_extract(tags, '$.feature') FROM llm_cost_events"), "search \"x\"");
    assert_eq!(text("SELECT created_at FROM llm_cost_events"), "2026-11-18 11:06:40.003");
    let ms = "SELECT cast(round(unixepoch(created_at, 'subsec') * 1000) AS INTEGER) FROM llm_cost_events";
    assert_eq!(database.one::<i64>(ms) as u64, created_at_ms(3));
    let pico = database.one::<i64>("SELECT total_cost_pico FROM llm_cost_events");
    assert_eq!(u128::try_from(pico).unwrap(), cost.total.0);
    assert_eq!(
        text("SELECT group_concat(outcome) FROM llm_cost_events_attempts"),
        "rate_limited,ok"
    );
}

#[test]
fn sums_are_exact_beyond_sixty_four_bits() {
    let database = Database::new();
    let mut sink = database.sink();
    let costing = |number, pico| {
        let total = Pico(pico);
        CostEvent { cost: Some(Cost { total, ..Cost::default() }), ..event(number) }
    };
    let most = i64::MAX as u128;
    let picos = [most - 1, most - 1, most, most + 1, u128::from(u64::MAX) * 1000, 1, 999_999, 0];
    let rows: Vec<CostEvent> = picos.iter().zip(0..).map(|(&pico, n)| costing(n, pico)).collect();
    write(&mut sink, &rows).unwrap();
    let filter = Filter {
        org: Some("acme"),
        project: None,
        client: None,
        unit: "usd",
        from_ms: created_at_ms(0) as i64,
        before_ms: created_at_ms(100) as i64,
    };
    assert_eq!(sink.sum(&filter, WITHIN).unwrap(), Pico(picos.iter().sum()));
    let of_project = |rest: u64| {
        Pico(picos.iter().zip(0..).filter(|&(_, n)| n % 3 == rest).map(|(&pico, _)| pico).sum())
    };
    let filter = Filter { project: Some("project-1"), ..filter };
    assert_eq!(sink.sum(&filter, WITHIN).unwrap(), of_project(1));
    let filter = Filter { project: None, from_ms: created_at_ms(5) as i64, ..filter };
    let filter = Filter { before_ms: created_at_ms(7) as i64, ..filter };
    assert_eq!(sink.sum(&filter, WITHIN).unwrap(), Pico(1_000_000));
    for none in [Filter { unit: "credit", ..filter }, Filter { org: Some("other"), ..filter }] {
        assert_eq!(sink.sum(&none, WITHIN).unwrap(), Pico::ZERO);
    }
}

#[test]
fn a_table_of_an_earlier_version_gets_the_columns_it_lacks() {
    let database = Database::new();
    database.sql(
        "CREATE TABLE llm_cost_events (event_id TEXT PRIMARY KEY, provider TEXT, own INT);
                  INSERT INTO llm_cost_events VALUES ('old', 'p', 1)",
    );
    write(&mut database.sink(), &events(0..2)).unwrap();
    assert_eq!(database.one::<i64>("SELECT count(*) FROM llm_cost_events"), 3);
    assert_eq!(database.one::<i64>("SELECT count(*) FROM llm_cost_events WHERE org = 'acme'"), 2);
}

#[test]
fn a_table_that_would_change_values_is_told_and_takes_none() {
    let database = Database::new();
    database.sql("CREATE TABLE llm_cost_events (event_id TEXT PRIMARY KEY, total_cost NUMERIC)");
    let failure = write(&mut database.sink(), &events(0..2)).unwrap_err();
    assert_eq!(failure.blame, Blame::Moment);
    assert!(failure.text.contains("column \"total_cost\"") && failure.text.contains("\"NUMERIC\""));
}

#[test]
fn a_bad_row_is_told_from_a_bad_moment() {
    let database = Database::new();
    let mut sink = database.sink();
    write(&mut sink, &events(0..1)).unwrap();
    database.sql(
        "CREATE TRIGGER no BEFORE INSERT ON llm_cost_events WHEN new.project = 'project-1'
                  BEGIN SELECT RAISE(ABORT, 'not this one'); END",
    );
    let failure = write(&mut sink, &events(0..3)).unwrap_err();
    assert_eq!(failure, Failure::data("not this one"));
    assert_eq!(database.one::<i64>("SELECT count(*) FROM llm_cost_events"), 1);
    database.sql("DROP TRIGGER no");

    let mut other = Connection::open(database.path()).unwrap();
    let lock = other.transaction_with_behavior(TransactionBehavior::Immediate).unwrap();
    let started = std::time::Instant::now();
    let failure = write(&mut sink, &events(0..3)).unwrap_err();
    assert_eq!(failure.blame, Blame::Moment);
    assert!(failure.text.contains("locked"), "{}", failure.text);
    assert!(started.elapsed() < Duration::from_secs(4));
    drop(lock);
    write(&mut sink, &events(0..3)).unwrap();
    assert_eq!(database.one::<i64>("SELECT count(*) FROM llm_cost_events"), 3);
}

#[test]
fn a_file_that_was_deleted_or_is_none_is_not_written_into_the_void() {
    let database = Database::new();
    let mut sink = database.sink();
    write(&mut sink, &events(0..1)).unwrap();
    for end in ["", "-wal", "-shm"] {
        std::fs::remove_file(format!("{}{end}", database.path().display())).unwrap();
    }
    write(&mut sink, &events(1..3)).unwrap();
    assert_eq!(database.one::<i64>("SELECT count(*) FROM llm_cost_events"), 2);
    drop(sink);
    std::fs::write(
        database.path(),
        "no database at all, but long enough to be read as one".repeat(99),
    )
    .unwrap();
    let mut sink = database.sink();
    let failure = write(&mut sink, &events(0..1)).unwrap_err();
    assert_eq!(failure.blame, Blame::Moment);
    assert!(failure.text.contains("cost.db"), "{}", failure.text);
    std::fs::remove_file(database.path()).unwrap();
    write(&mut sink, &events(0..1)).unwrap();
}

#[test]
fn workers_that_start_at_once_make_one_schema() {
    let database = Database::new();
    let threads: Vec<_> = (0..4_u64)
        .map(|worker| {
            let mut sink = database.sink();
            std::thread::spawn(move || {
                for batch in 0..10 {
                    let first = worker * 1000 + batch * 10;
                    let mut tries = 0;
                    while let Err(failure) = write(&mut sink, &events(first..first + 10)) {
                        assert_eq!(failure.blame, Blame::Moment, "{failure}");
                        tries += 1;
                        assert!(tries < 50, "{failure}");
                    }
                }
            })
        })
        .collect();
    threads.into_iter().for_each(|thread| thread.join().unwrap());
    assert_eq!(database.one::<i64>("SELECT count(*) FROM llm_cost_events"), 400);
}
