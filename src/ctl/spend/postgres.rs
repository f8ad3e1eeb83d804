//! The sums of a PostgreSQL table. The server adds: its decimals are exact. No error shows the address,
//! which may hold the password.

use std::str::FromStr;
use std::sync::Arc;
use std::time::Duration;

use postgres::config::{Config, SslMode};
use postgres::{Client, NoTls};
use rustls::{ClientConfig, RootCertStore};
use tokio_postgres_rustls::MakeRustlsConnect;

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

fn connect(dsn: &str) -> Result<Client, String> {
    // The library knows no modes that check more; with TLS the certificate is always checked here.
    let dsn = dsn.replace("verify-full", "require").replace("verify-ca", "require");
    let mut config = Config::from_str(&dsn).map_err(|_| {
        "the database's address cannot be read, write postgresql://user@host/db or host=… dbname=…"
    })?;
    config.connect_timeout(CONNECT).application_name("llmctl");
    let connected = match config.get_ssl_mode() {
        SslMode::Disable => config.connect(NoTls),
        _ => config.connect(tls()?),
    };
    connected.map_err(|why| match why.as_db_error() {
        Some(error) => format!("the database refuses us: {}", error.message()),
        None => "the database does not answer, see its address, network and certificate".to_owned(),
    })
}

fn tls() -> Result<MakeRustlsConnect, String> {
    let mut roots = RootCertStore::empty();
    roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(|why| why.to_string())?
        .with_root_certificates(roots)
        .with_no_client_auth();
    Ok(MakeRustlsConnect::new(config))
}
