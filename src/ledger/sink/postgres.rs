//! Rows in a PostgreSQL server. Each conversation runs under one time limit, because a server that is
//! stopped answers nothing and closes nothing; what was perhaps committed is sent again.

mod error;
mod schema;

use std::fmt;
use std::future::Future;
use std::time::Duration;

use llm_core::cost::{Column, CostEvent, Dsn, Kind, Pico, TableName, Value};
use tokio::runtime::{Builder, Runtime};
use tokio_postgres::types::{ToSql, Type};
use tokio_postgres::{Client, NoTls};

use super::dsn::Target;
use super::schema::{Language, Table, tables};
use super::tls::Check;
use super::{Blame, Delivery, Failure, Sink};
use crate::journal::Mark;
use crate::sum::Filter;

/// What a server is given.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Bounds {
    /// To connect to one address, and again for the greeting and the check of the tables.
    pub connect: Duration,
    /// For one statement.
    pub statement: Duration,
    /// To wait for a lock.
    pub lock: Duration,
}

impl Default for Bounds {
    fn default() -> Self {
        Self {
            connect: Duration::from_secs(3),
            statement: Duration::from_secs(10),
            lock: Duration::from_secs(2),
        }
    }
}

/// The `postgres` backend.
pub struct Postgres {
    dsn: Dsn,
    /// What the variable of an `env:` DSN says; nginx takes the environment away from its workers.
    environment: Option<String>,
    tables: [Table; 2],
    inserts: [String; 2],
    bounds: Bounds,
    runtime: Option<Runtime>,
    session: Option<Session>,
    notice: Option<String>,
}

struct Session {
    client: Client,
    target: Target,
}

impl fmt::Debug for Postgres {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Postgres").field("is_connected", &self.session.is_some()).finish()
    }
}

impl Postgres {
    /// Connects with the first row.
    #[must_use]
    pub fn new(dsn: Dsn, table: &TableName, bounds: Bounds) -> Self {
        let environment =
            dsn.expose().strip_prefix("env:").and_then(|name| std::env::var(name).ok());
        let tables = tables(table, Language::Postgres);
        let inserts = [tables[0].insert_arrays(), tables[1].insert_arrays()];
        Self {
            dsn,
            environment,
            tables,
            inserts,
            bounds,
            runtime: None,
            session: None,
            notice: None,
        }
    }

    /// Runs one conversation, connected, within a time. After an error that leaves the connection in
    /// doubt it is closed.
    fn converse<T>(
        &mut self,
        within: Duration,
        talk: impl AsyncFnOnce(&Client) -> Result<T, Failure>,
    ) -> Result<T, Failure> {
        let runtime = match self.runtime.take() {
            Some(runtime) => runtime,
            // No thread but the caller's, save those that look up names.
            None => Builder::new_current_thread()
                .enable_all()
                .max_blocking_threads(2)
                .build()
                .map_err(Failure::moment)?,
        };
        let outcome = self.converse_on(&runtime, within, talk);
        self.runtime = Some(runtime);
        outcome
    }

    fn converse_on<T>(
        &mut self,
        runtime: &Runtime,
        within: Duration,
        talk: impl AsyncFnOnce(&Client) -> Result<T, Failure>,
    ) -> Result<T, Failure> {
        if self.session.as_ref().is_some_and(|session| session.client.is_closed()) {
            self.session = None;
        }
        let session = match self.session.take() {
            Some(session) => session,
            None => self.connect(runtime, within)?,
        };
        let outcome = runtime
            .block_on(limited(within, talk(&session.client)))
            .unwrap_or_else(|| Err(Failure::moment("no answer in time")))
            .map_err(|failure| Failure { text: session.target.scrub(failure.text), ..failure });
        // After an error a transaction is open; only a row's fault leaves the rest beyond doubt.
        let is_sound = match &outcome {
            Ok(_) => true,
            Err(failure) if failure.blame == Blame::Data => {
                matches!(runtime.block_on(limited(within, rollback(&session.client))), Some(Ok(())))
            }
            Err(_) => false,
        };
        if is_sound {
            self.session = Some(session);
        }
        outcome
    }

    fn connect(&mut self, runtime: &Runtime, within: Duration) -> Result<Session, Failure> {
        let mut target = Target::of(&self.dsn, self.environment.as_deref())?;
        let bound = self.bounds.connect.min(within);
        target.config.connect_timeout(bound);
        let bound = bound * target.host_count() + bound;
        let open = async {
            let client = open(&target).await?;
            let notice = schema::prepare(&client, &self.tables, self.bounds).await?;
            Ok((client, notice))
        };
        let opened = runtime
            .block_on(limited(bound.min(within), open))
            .unwrap_or_else(|| Err(Failure::moment("no answer in time")));
        match opened {
            Ok((client, notice)) => {
                self.notice = notice.or_else(|| self.notice.take());
                Ok(Session { client, target })
            }
            Err(failure) => Err(Failure { text: target.scrub(failure.text), blame: Blame::Moment }),
        }
    }
}

/// Dropping a runtime waits for its threads, and one may be looking up a name.
impl Drop for Postgres {
    fn drop(&mut self) {
        self.session = None;
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_background();
        }
    }
}

impl Sink for Postgres {
    fn name(&self) -> &'static str {
        "postgres"
    }

    fn write(&mut self, delivery: Delivery<'_>) -> Result<Mark, Failure> {
        let [events, attempts] = self.inserts.clone();
        let columns = [self.tables[0].columns, self.tables[1].columns];
        let begin = begin(self.bounds, delivery.within);
        // The statements have their own bounds at the server; this one is for when it is silent.
        self.converse(delivery.within, async |client| {
            client.batch_execute(&begin).await?;
            let rows = delivery.rows.iter().map(|row| row.row());
            insert(client, &events, Arrays::of(columns[0], rows)).await?;
            let rows = delivery.rows.iter().flat_map(|row: &&CostEvent| row.attempt_rows());
            insert(client, &attempts, Arrays::of(columns[1], rows)).await?;
            client.batch_execute("COMMIT").await.map_err(Failure::from)
        })?;
        Ok(Mark::default())
    }

    fn is_connected(&self) -> bool {
        self.session.as_ref().is_some_and(|session| !session.client.is_closed())
    }

    fn sum(&mut self, filter: &Filter<'_>, within: Duration) -> Result<Pico, Failure> {
        // The largest integer stands for what is larger; of those rows the decimal number counts.
        let mut sql = format!(
            "SELECT trunc(coalesce(sum(CASE WHEN total_cost_pico < {} THEN total_cost_pico::numeric \
             ELSE total_cost * 1000000000000 END), 0))::text FROM {} \
             WHERE created_at >= timestamptz 'epoch' + $1::bigint * interval '1 millisecond' \
             AND created_at < timestamptz 'epoch' + $2::bigint * interval '1 millisecond'",
            i64::MAX,
            self.tables[0].quoted()
        );
        let texts: Vec<(&str, &str)> = filter.texts().collect();
        let mut parameters: Vec<(&(dyn ToSql + Sync), Type)> =
            vec![(&filter.from_ms, Type::INT8), (&filter.before_ms, Type::INT8)];
        for (at, (column, text)) in texts.iter().enumerate() {
            sql.push_str(&format!(" AND \"{column}\" = ${}", at + 3));
            parameters.push((text, Type::TEXT));
        }
        let begin = begin(Bounds { statement: within, ..self.bounds }, within);
        let text = self.converse(within, async |client| {
            client.batch_execute(&begin).await?;
            let row = client.query_typed_one(&sql, &parameters).await?;
            client.batch_execute("COMMIT").await?;
            row.try_get::<_, String>(0).map_err(Failure::from)
        })?;
        text.parse().map(Pico).map_err(|_| Failure::moment("the sum of costs is too large"))
    }

    fn take_notice(&mut self) -> Option<String> {
        self.notice.take()
    }
}

/// `None`: it took longer.
async fn limited<T>(within: Duration, future: impl Future<Output = T>) -> Option<T> {
    tokio::time::timeout(within, future).await.ok()
}

async fn rollback(client: &Client) -> Result<(), tokio_postgres::Error> {
    client.batch_execute("ROLLBACK").await
}

async fn open(target: &Target) -> Result<Client, Failure> {
    let (mut config, check) = (target.config.clone(), target.tls.check);
    config.connect_timeout(*target.config.get_connect_timeout().unwrap_or(&Duration::from_secs(3)));
    // The connection ends with the client; what it has to say reaches the client's calls too.
    if check == Check::NoTls {
        let (client, connection) = config.connect(NoTls).await?;
        tokio::spawn(async move { drop(connection.await) });
        Ok(client)
    } else {
        let tls = target.tls.connector()?;
        let (client, connection) = config.connect(tls).await?;
        tokio::spawn(async move { drop(connection.await) });
        Ok(client)
    }
}

/// Opens a transaction with its own limits: they hold behind a pooler too, which gives each transaction
/// another connection.
fn begin(bounds: Bounds, within: Duration) -> String {
    let ms = |bound: Duration| bound.min(within).as_millis().max(1);
    format!(
        "BEGIN; SET LOCAL statement_timeout = {}; SET LOCAL lock_timeout = {}; \
         SET LOCAL idle_in_transaction_session_timeout = 60000",
        ms(bounds.statement),
        ms(bounds.lock)
    )
}

/// Without a prepared statement, for the pooler's sake.
async fn insert(client: &Client, sql: &str, arrays: Arrays<'_>) -> Result<(), Failure> {
    if arrays.rows == 0 {
        return Ok(());
    }
    let parameters: Vec<(&(dyn ToSql + Sync), Type)> =
        arrays.columns.iter().map(Array::parameter).collect();
    client.execute_typed(sql, &parameters).await.map(|_| ()).map_err(Failure::from)
}

/// Rows turned into columns: one statement takes any number of them.
struct Arrays<'a> {
    rows: usize,
    columns: Vec<Array<'a>>,
}

enum Array<'a> {
    Text(Vec<Option<std::borrow::Cow<'a, str>>>),
    Integer(Vec<Option<i64>>),
    Boolean(Vec<Option<bool>>),
}

impl<'a> Arrays<'a> {
    fn of<R: Iterator<Item = Value<'a>>>(
        columns: &[Column],
        rows: impl Iterator<Item = R>,
    ) -> Self {
        let columns = columns.iter().map(|column| match column.kind {
            Kind::Text | Kind::Decimal => Array::Text(Vec::new()),
            Kind::Integer | Kind::TimestampMs => Array::Integer(Vec::new()),
            Kind::Boolean => Array::Boolean(Vec::new()),
        });
        let mut arrays = Self { rows: 0, columns: columns.collect() };
        for row in rows {
            arrays.rows += 1;
            for (array, value) in arrays.columns.iter_mut().zip(row) {
                array.push(value);
            }
        }
        arrays
    }
}

impl<'a> Array<'a> {
    fn push(&mut self, value: Value<'a>) {
        match (self, value) {
            (Self::Text(array), Value::Text(text)) => array.push(Some(text)),
            (Self::Text(array), Value::Decimal(amount)) => {
                array.push(Some(amount.to_string().into()));
            }
            (Self::Integer(array), Value::Integer(number) | Value::TimestampMs(number)) => {
                array.push(Some(number));
            }
            (Self::Boolean(array), Value::Boolean(yes)) => array.push(Some(yes)),
            // A value is of its column's kind or null; all arrays are of one length in any case.
            (Self::Text(array), _) => array.push(None),
            (Self::Integer(array), _) => array.push(None),
            (Self::Boolean(array), _) => array.push(None),
        }
    }

    fn parameter(&self) -> (&(dyn ToSql + Sync), Type) {
        match self {
            Self::Text(array) => (array, Type::TEXT_ARRAY),
            Self::Integer(array) => (array, Type::INT8_ARRAY),
            Self::Boolean(array) => (array, Type::BOOL_ARRAY),
        }
    }
}
