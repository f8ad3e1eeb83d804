//! The sums of a PostgreSQL table. The server adds: its decimals are exact. No error shows the address,
//! which may hold the password.

use std::time::Duration;

use llm_core::cost::Dsn;
use llm_ledger::sink::reach;
use postgres::config::Config;
use postgres::{Client, NoTls};

use super::{By, Query, Sum, Sums, add};
use crate::progress;

const CONNECT: Duration = Duration::from_secs(10);

/// Asks the server for the sums.
pub fn sums(dsn: &str, query: &Query<'_>) -> Result<Sums, String> {
    let waiting = progress::spinner("asking the database");
    let mut client = connect(dsn)?;
    let groups: Vec<_> = query.by.iter().map(|by| column(*by) + ", ").collect();
    let order: Vec<_> = (1..=query.by.len() + 1).map(|at| at.to_string()).collect();
    let sql = format!(
        "SELECT {}cost_unit, count(*)::int8, coalesce(sum(prompt_tokens), 0)::int8, \
         coalesce(sum(completion_tokens), 0)::int8, coalesce(sum(total_cost), 0)::text FROM {} \
         WHERE ($1::float8 IS NULL OR created_at >= to_timestamp($1)) \
         AND ($2::float8 IS NULL OR created_at < to_timestamp($2)) GROUP BY {}",
        groups.concat(),
        query.table,
        order.join(", ")
    );
    // Whole seconds, which a float of this size holds exactly.
    let second = |second: Option<u64>| second.and_then(|s| u32::try_from(s).ok()).map(f64::from);
    let rows = client
        .query(&sql, &[&second(query.since_s), &second(query.until_s)])
        .map_err(|why| format!("the database refuses the question: {}", said(&why)))?;
    waiting.finish_and_clear();
    let mut sums = Sums::new();
    let groups = query.by.len();
    for row in rows {
        let number = |at: usize| u64::try_from(row.get::<_, i64>(at)).unwrap_or(0);
        let digits: String = row.get(groups + 4);
        let sum = Sum {
            requests: number(groups + 1),
            prompt_tokens: number(groups + 2),
            completion_tokens: number(groups + 3),
            cost: digits.parse().map_err(|_| format!("the sum \"{digits}\" is no amount"))?,
        };
        add(&mut sums, (0..=groups).map(|at| row.get(at)).collect(), &sum)?;
    }
    Ok(sums)
}

fn column(by: By) -> String {
    match by {
        By::Day => "to_char(created_at AT TIME ZONE 'UTC', 'YYYY-MM-DD')".to_owned(),
        other => format!("coalesce({}, '-')", other.column()),
    }
}

/// Without the address.
fn said(why: &postgres::Error) -> String {
    match why.as_db_error() {
        Some(error) => error.message().to_owned(),
        None => "the connection broke".to_owned(),
    }
}

/// As the gateway connects: its DSN says how the server is checked.
fn connect(dsn: &str) -> Result<Client, String> {
    let dsn = Dsn::parse(&[dsn])?;
    let (config, connector) =
        reach(&dsn).map_err(|why| why.text.replace("llm_cost_dsn", "--db"))?;
    let mut config = Config::from(config);
    config.connect_timeout(CONNECT).application_name("llmctl");
    let connected = match connector {
        None => config.connect(NoTls),
        Some(connector) => config.connect(connector),
    };
    connected.map_err(|why| match why.as_db_error() {
        Some(error) => format!("the database refuses us: {}", error.message()),
        None => "the database does not answer, see its address, network and certificate".to_owned(),
    })
}
