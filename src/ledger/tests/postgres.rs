//! Does every event arrive once in PostgreSQL, whatever happens to the server? A real one answers.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

mod support;

use std::net::TcpListener;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use llm_core::cost::{Cost, CostEvent, Dsn, Pico, TableName};
use llm_ledger::Filter;
use llm_ledger::sink::{Blame, Bounds, Delivery, Failure, Postgres, Sink};
use support::{Proxy, Server, Worker, created_at_ms, event};

const WITHIN: Duration = Duration::from_secs(20);
const BOUNDS: Bounds = Bounds {
    connect: Duration::from_secs(2),
    statement: Duration::from_secs(5),
    lock: Duration::from_millis(300),
};

fn sink(dsn: &str) -> Postgres {
    Postgres::new(Dsn::parse(&[dsn]).unwrap(), &TableName::default(), BOUNDS)
}

fn worker(journal: &tempfile::TempDir, dsn: &str) -> Worker {
    Worker::new(journal.path(), vec![Box::new(sink(dsn))])
}

fn write(sink: &mut Postgres, events: &[CostEvent]) -> Result<(), Failure> {
    let rows: Vec<&CostEvent> = events.iter().collect();
    sink.write(Delivery { rows: &rows, since: None, within: WITHIN }).map(|_| ())
}

fn events(numbers: std::ops::Range<u64>) -> Vec<CostEvent> {
    numbers.map(event).collect()
}

fn last_error(worker: &Worker) -> String {
    worker.shipper.stats().sinks[0].last_error.clone().unwrap_or_default()
}

#[test]
fn rows_arrive_once_with_their_values() {
    let Some(server) = Server::started() else { return };
    let mut sink = sink(&server.dsn());
    write(&mut sink, &events(0..10)).unwrap();
    write(&mut sink, &events(5..20)).unwrap();
    assert!(sink.is_connected());
    assert_eq!(server.count(), 20);
    assert_eq!(server.sql("SELECT count(*) FROM llm_cost_events_attempts"), "40");
    assert_eq!(server.sql("SELECT version FROM llm_schema"), "1");
    let row = event(3);
    let cost = row.cost.unwrap();
    let of_row = |columns: &str| {
        server.sql(&format!(
            "SELECT {columns} FROM llm_cost_events WHERE event_id = '{}'",
            row.event_id
        ))
    };
    assert_eq!(of_row("total_cost_pico"), cost.total.0.to_string());
    assert_eq!(of_row("total_cost = total_cost_pico / 1000000000000::numeric"), "t");
    assert_eq!(of_row("rate_cache_read, is_streaming, ttft_ms"), "0.00362500|f|320");
    assert_eq!(of_row("tags::jsonb ->> 'feature'"), "search \"x\"");
    assert_eq!(
        of_row("(extract(epoch FROM created_at) * 1000)::bigint"),
        created_at_ms(3).to_string()
    );
    assert_eq!(of_row("traffic_cohort IS NULL, pg_typeof(total_cost)"), "t|numeric");
    let outcomes = "SELECT string_agg(outcome, ',' ORDER BY attempt_no) FROM llm_cost_events_attempts \
                    GROUP BY event_id LIMIT 1";
    assert_eq!(server.sql(outcomes), "rate_limited,ok");
}

#[test]
fn sums_are_exact() {
    let Some(server) = Server::started() else { return };
    let mut sink = sink(&server.dsn());
    let most = i64::MAX as u128;
    let picos = [most - 1, most, most + 1, u128::from(u64::MAX) * 1000, 1, 999_999, 0];
    let rows: Vec<CostEvent> = picos
        .iter()
        .zip(0..)
        .map(|(&pico, number)| {
            let cost = Cost { total: Pico(pico), ..Cost::default() };
            CostEvent { cost: Some(cost), ..event(number) }
        })
        .collect();
    write(&mut sink, &rows).unwrap();
    let filter = Filter {
        org: Some("acme"),
        project: None,
        client: Some("ci"),
        unit: "usd",
        from_ms: created_at_ms(0) as i64,
        before_ms: created_at_ms(100) as i64,
    };
    assert_eq!(sink.sum(&filter, WITHIN).unwrap(), Pico(picos.iter().sum()));
    let late = Filter { from_ms: created_at_ms(4) as i64, ..filter };
    let late = Filter { before_ms: created_at_ms(6) as i64, ..late };
    assert_eq!(sink.sum(&late, WITHIN).unwrap(), Pico(1_000_000));
    let other = Filter { org: Some("other"), ..filter };
    assert_eq!(sink.sum(&other, WITHIN).unwrap(), Pico::ZERO);
}

#[test]
fn a_server_that_appears_late_and_stops_in_between_gets_every_row() {
    let Some(server) = Server::new() else { return };
    let journal = tempfile::tempdir().unwrap();
    let mut worker = worker(&journal, &server.dsn());
    worker.append(0..700);
    worker.step();
    assert!(last_error(&worker).contains("onnect"), "{}", last_error(&worker));
    assert_eq!(worker.shipper.stats().waiting_events, 700);
    server.start();
    worker.step();
    // The first batch after a failure is half of a usual one.
    assert_eq!(server.count(), 256);
    server.stop();
    worker.append(700..1500);
    worker.step();
    worker.step();
    assert!(!last_error(&worker).is_empty());
    server.start();
    worker.ship();
    assert_eq!(server.count(), 1500);
}

#[test]
fn a_table_that_is_locked_is_waited_for_in_the_journal() {
    let Some(server) = Server::started() else { return };
    let journal = tempfile::tempdir().unwrap();
    let mut worker = worker(&journal, &server.dsn());
    worker.append(0..1);
    worker.ship();
    let mut lock =
        server.psql("BEGIN; LOCK TABLE llm_cost_events; SELECT pg_sleep(60)").spawn().unwrap();
    let is_locked = "SELECT count(*) FROM pg_locks WHERE mode = 'AccessExclusiveLock' AND granted \
                     AND relation = 'llm_cost_events'::regclass";
    while server.sql(is_locked) == "0" {
        std::thread::sleep(Duration::from_millis(20));
    }
    worker.append(1..100);
    let started = Instant::now();
    worker.step();
    assert!(started.elapsed() < Duration::from_secs(4));
    assert!(last_error(&worker).contains("55P03"), "{}", last_error(&worker));
    let kill = "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity WHERE query LIKE \
                'BEGIN; LOCK%' AND pid <> pg_backend_pid()";
    assert_eq!(server.sql(kill), "1");
    lock.wait().unwrap();
    worker.ship();
    assert_eq!(server.count(), 100);
}

#[test]
fn a_read_only_server_is_waited_for_and_the_advice_is_told() {
    let Some(server) = Server::started() else { return };
    let journal = tempfile::tempdir().unwrap();
    let mut worker = worker(&journal, &server.dsn());
    worker.append(0..1);
    worker.ship();
    server.sql("ALTER DATABASE postgres SET default_transaction_read_only = on");
    server.sql(
        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE pid <> pg_backend_pid() \
                AND backend_type = 'client backend'",
    );
    worker.append(1..10);
    worker.step();
    worker.step();
    assert!(last_error(&worker).contains("25006"), "{}", last_error(&worker));
    assert!(last_error(&worker).contains("name its primary"));
    server.sql("ALTER DATABASE postgres RESET default_transaction_read_only");
    worker.ship();
    assert_eq!(server.count(), 10);
}

#[test]
fn a_table_of_an_earlier_version_gets_its_columns_and_one_of_another_kind_is_told() {
    let Some(server) = Server::started() else { return };
    server.sql(
        "CREATE TABLE llm_cost_events (event_id varchar(64) PRIMARY KEY, \
                total_cost numeric(20, 8), total_tokens int, own text)",
    );
    let mut first = sink(&server.dsn());
    write(&mut first, &events(0..3)).unwrap();
    assert_eq!(server.sql("SELECT count(*) FROM llm_cost_events WHERE project IS NOT NULL"), "3");
    let notice = first.take_notice().unwrap();
    assert!(notice.contains("\"total_cost\"") && notice.contains("8 decimals"), "{notice}");

    server.sql("ALTER TABLE llm_cost_events ALTER org TYPE int USING 1");
    let journal = tempfile::tempdir().unwrap();
    let mut worker = worker(&journal, &server.dsn());
    worker.append(3..9);
    worker.step();
    let error = last_error(&worker);
    assert!(error.contains("column \"org\"") && error.contains("must be TEXT"), "{error}");
    server.sql("ALTER TABLE llm_cost_events ALTER org TYPE text");
    worker.ship();
    assert_eq!(server.count(), 9);

    server.sql("ALTER TABLE llm_cost_events DROP CONSTRAINT llm_cost_events_pkey");
    let failure = write(&mut sink(&server.dsn()), &events(9..10)).unwrap_err();
    assert_eq!(failure.blame, Blame::Moment);
    assert!(failure.text.contains("CREATE UNIQUE INDEX"), "{failure}");
}

#[test]
fn a_user_who_may_not_migrate_is_told_what_to_run() {
    let Some(server) = Server::started() else { return };
    server.sql("CREATE ROLE writer LOGIN; REVOKE CREATE ON SCHEMA public FROM PUBLIC");
    let dsn = server.dsn().replace("user=llm", "user=writer");
    let failure = write(&mut sink(&dsn), &events(0..1)).unwrap_err();
    assert_eq!(failure.blame, Blame::Moment);
    assert!(failure.text.contains("grant CREATE on its schema"), "{failure}");
    write(&mut sink(&server.dsn()), &events(0..1)).unwrap();
    server.sql(
        "GRANT SELECT, INSERT ON llm_cost_events, llm_cost_events_attempts TO writer; \
                ALTER TABLE llm_cost_events DROP COLUMN tag",
    );
    let failure = write(&mut sink(&dsn), &events(1..2)).unwrap_err();
    assert!(failure.text.contains("ADD COLUMN IF NOT EXISTS \"tag\" TEXT"), "{failure}");
    server.sql("ALTER TABLE llm_cost_events ADD COLUMN tag text");
    write(&mut sink(&dsn), &events(1..2)).unwrap();
    assert_eq!(server.count(), 2);
}

#[test]
fn a_bad_row_is_set_aside_and_the_others_arrive() {
    let Some(server) = Server::started() else { return };
    let journal = tempfile::tempdir().unwrap();
    let mut worker = worker(&journal, &server.dsn());
    worker.append(0..1);
    worker.ship();
    let bad = event(300).event_id;
    server
        .sql(&format!("ALTER TABLE llm_cost_events ADD CONSTRAINT no CHECK (event_id <> '{bad}')"));
    worker.append(1..600);
    worker.ship();
    assert_eq!(server.count(), 599);
    let text = std::fs::read_to_string(journal.path().join("dead-letter.jsonl")).unwrap();
    let letter: serde_json::Value = serde_json::from_str(&text).unwrap();
    assert_eq!(letter["event"]["event_id"], &*bad);
    let reason = letter["reason"].as_str().unwrap();
    assert!(reason.contains("23514") && reason.contains("\"no\""), "{reason}");
    // The server's detail quotes the row.
    assert!(!reason.contains("acme"), "{reason}");
    assert_eq!(worker.shipper.stats().sinks[0].dead_letters, 1);
}

#[test]
fn a_connection_cut_between_commit_and_answer_makes_no_second_row() {
    let Some(server) = Server::started() else { return };
    let proxy = Proxy::new(server.port);
    let journal = tempfile::tempdir().unwrap();
    let dsn = server.dsn().replace(&server.port.to_string(), &proxy.port.to_string());
    let mut worker = worker(&journal, &dsn);
    worker.append(0..1);
    worker.ship();
    proxy.cut_next_commit();
    worker.append(1..200);
    worker.step();
    assert_eq!(proxy.cuts.load(Ordering::SeqCst), 1);
    let stats = worker.shipper.stats();
    assert_eq!((stats.waiting_events, stats.sinks[0].failures), (199, 1));
    assert_eq!(server.count(), 200, "the server has committed");
    worker.append(200..300);
    worker.ship();
    assert_eq!(server.count(), 300);
    assert_eq!(server.sql("SELECT count(*) FROM llm_cost_events_attempts"), "600");
}

#[test]
fn a_server_that_says_nothing_is_left_in_time() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    let mut silent = sink(&format!("host=127.0.0.1 port={port} user=llm password=hunter2"));
    let started = Instant::now();
    let failure = write(&mut silent, &events(0..1)).unwrap_err();
    assert_eq!((failure.blame, &*failure.text), (Blame::Moment, "no answer in time"));
    assert!(started.elapsed() < Duration::from_secs(6));
    let started = Instant::now();
    let rows = [&event(0)];
    let within = Duration::from_millis(200);
    silent.write(Delivery { rows: &rows, since: None, within }).unwrap_err();
    assert!(started.elapsed() < Duration::from_secs(1));
}

#[test]
fn a_server_that_is_stopped_in_a_conversation_is_left_in_time() {
    let Some(server) = Server::started() else { return };
    let mut sink = sink(&server.dsn());
    write(&mut sink, &events(0..1)).unwrap();
    let pid = server.sql("SELECT pid FROM pg_stat_activity WHERE application_name = 'ngx-llm'");
    let signal = |name: &str| {
        assert!(std::process::Command::new("kill").args([name, &pid]).status().unwrap().success());
    };
    signal("-STOP");
    let rows = [&event(1)];
    let within = Duration::from_millis(300);
    let started = Instant::now();
    let failure = sink.write(Delivery { rows: &rows, since: None, within }).unwrap_err();
    signal("-CONT");
    assert_eq!(failure.text, "no answer in time");
    assert!(started.elapsed() < Duration::from_secs(2) && !sink.is_connected());
    write(&mut sink, &events(1..2)).unwrap();
    assert_eq!(server.count(), 2);
}

#[test]
fn no_message_contains_the_password() {
    let Some(server) = Server::started() else { return };
    server.sql("CREATE ROLE secretive LOGIN PASSWORD 'right'");
    let hba = "host all secretive 127.0.0.1/32 scram-sha-256\n";
    let path = server.directory.path().join("data/pg_hba.conf");
    let rest = std::fs::read_to_string(&path).unwrap();
    std::fs::write(&path, format!("{hba}{rest}")).unwrap();
    server.sql("SELECT pg_reload_conf()");
    std::thread::sleep(Duration::from_millis(300));
    let with = |password: &str| {
        let dsn = server.dsn().replace("user=llm", &format!("user=secretive password={password}"));
        let mut sink = sink(&dsn);
        let outcome = write(&mut sink, &events(0..1));
        (outcome, format!("{sink:?}"))
    };
    // A role that is named like its password would be the worst case.
    for password in ["hunter2hunter2", "secretive", "postgres"] {
        let (outcome, debug) = with(password);
        let failure = outcome.unwrap_err();
        assert!(failure.text.contains("28P01"), "{failure}");
        assert!(!failure.text.contains(password) && !debug.contains(password), "{failure} {debug}");
    }
}

#[test]
fn several_workers_migrate_and_write_at_once() {
    let Some(server) = Server::started() else { return };
    let journal = tempfile::tempdir().unwrap();
    std::thread::scope(|scope| {
        for at in 0..4_u64 {
            let (journal, dsn) = (&journal, server.dsn());
            scope.spawn(move || {
                let mut worker = worker(journal, &dsn);
                worker.append(at * 1000..at * 1000 + 600);
                worker.ship();
            });
        }
    });
    assert_eq!(server.count(), 2400);
    assert_eq!(server.sql("SELECT count(*) FROM llm_schema"), "1");
}

#[test]
fn a_table_in_a_schema_is_made_there() {
    let Some(server) = Server::started() else { return };
    server.sql("CREATE SCHEMA billing");
    let table = TableName::parse(&["billing.costs"]).unwrap();
    let mut sink = Postgres::new(Dsn::parse(&[&server.dsn()]).unwrap(), &table, BOUNDS);
    write(&mut sink, &events(0..2)).unwrap();
    write(&mut sink, &events(0..3)).unwrap();
    assert_eq!(server.sql("SELECT count(*) FROM billing.costs"), "3");
    assert_eq!(server.sql("SELECT table_name FROM billing.llm_schema"), "costs");
}
