//! Which requests did a listener get, and what became of them?

use std::sync::atomic::{AtomicI64, AtomicU8, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use serde_json::{Value, json};

use crate::wire::Head;

/// How an exchange ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ended {
    Running,
    Answered,
    ClientClosed,
    Fault,
}

impl Ended {
    const ALL: [Self; 4] = [Self::Running, Self::Answered, Self::ClientClosed, Self::Fault];

    const fn name(self) -> &'static str {
        match self {
            Self::Running => "running",
            Self::Answered => "answered",
            Self::ClientClosed => "client_closed",
            Self::Fault => "fault",
        }
    }
}

/// One request as received.
#[derive(Debug)]
pub struct Record {
    pub head: Head,
    pub body: Bytes,
    pub is_tls: bool,
    pub server_name: Option<String>,
    pub connection: u64,
    pub at_ms: u64,
    ended: AtomicU8,
}

impl Record {
    pub fn new(head: Head, body: Bytes, connection: u64, at_ms: u64) -> Self {
        Self {
            head,
            body,
            is_tls: false,
            server_name: None,
            connection,
            at_ms,
            ended: AtomicU8::new(0),
        }
    }

    fn to_json(&self) -> Value {
        let ended = Ended::ALL
            .get(usize::from(self.ended.load(Ordering::Acquire)))
            .map_or("running", |ended| ended.name());
        json!({
            "method": self.head.method, "path": self.head.target,
            "version": format!("HTTP/1.{}", self.head.minor_version),
            "headers": self.head.headers,
            "body": String::from_utf8_lossy(&self.body),
            "body_base64": STANDARD.encode(&self.body), "body_bytes": self.body.len(),
            "tls": self.is_tls, "sni": self.server_name, "connection": self.connection,
            "at_ms": self.at_ms, "ended": ended,
        })
    }
}

/// Everything counted since the last `DELETE`.
#[derive(Debug, Default)]
pub struct Ledger {
    pub connections: AtomicU64,
    requests: AtomicU64,
    client_closed: AtomicU64,
    records: Mutex<Vec<Arc<Record>>>,
}

/// A listener's books: the ledger is replaced, what is open now is not.
#[derive(Debug, Default)]
pub struct Books {
    ledger: Mutex<Arc<Ledger>>,
    pub connections_open: AtomicI64,
    running: AtomicI64,
}

/// A request under way. It is entered in the ledger that was current when it came.
pub struct Running<'a> {
    books: &'a Books,
    ledger: Arc<Ledger>,
    record: Option<Arc<Record>>,
    /// Counts from 1.
    pub number: u64,
    ended: Ended,
}

impl Books {
    pub fn begin(&self) -> Running<'_> {
        let ledger = Arc::clone(&locked(&self.ledger));
        let number = ledger.requests.fetch_add(1, Ordering::Relaxed).wrapping_add(1);
        self.running.fetch_add(1, Ordering::Relaxed);
        Running { books: self, ledger, record: None, number, ended: Ended::Running }
    }

    pub fn count_connection(&self) {
        locked(&self.ledger).connections.fetch_add(1, Ordering::Relaxed);
        self.connections_open.fetch_add(1, Ordering::Relaxed);
    }

    pub fn forget(&self) {
        *locked(&self.ledger) = Arc::default();
    }

    pub fn requests(&self) -> Value {
        let ledger = Arc::clone(&locked(&self.ledger));
        let records = locked(&ledger.records).clone();
        records.iter().map(|record| record.to_json()).collect()
    }

    pub fn state(&self, script_left: u64) -> Value {
        let ledger = Arc::clone(&locked(&self.ledger));
        json!({
            "connections_open": self.connections_open.load(Ordering::Acquire),
            "connections_total": ledger.connections.load(Ordering::Acquire),
            "requests": ledger.requests.load(Ordering::Acquire),
            "script_left": script_left,
            "client_closed": ledger.client_closed.load(Ordering::Acquire),
            "running": self.running.load(Ordering::Acquire),
        })
    }
}

impl Running<'_> {
    pub fn record(&mut self, record: Record) {
        let record = Arc::new(record);
        locked(&self.ledger.records).push(Arc::clone(&record));
        self.record = Some(record);
    }

    /// Says how the request ended. It is said before the client can know, so that a test that
    /// has its answer finds it here; a client that then turns out to have left overrides it.
    pub fn end(&mut self, ended: Ended) {
        if self.ended == Ended::Running {
            self.books.running.fetch_sub(1, Ordering::AcqRel);
        }
        if ended == Ended::ClientClosed && self.ended != Ended::ClientClosed {
            self.ledger.client_closed.fetch_add(1, Ordering::AcqRel);
        }
        self.ended = ended;
        if let Some(record) = &self.record {
            let code = Ended::ALL.iter().position(|known| *known == ended).unwrap_or(0);
            record.ended.store(u8::try_from(code).unwrap_or(0), Ordering::Release);
        }
    }
}

/// A panic elsewhere leaves counters and lists as usable as they were.
pub fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn record() -> Record {
        let head = Head {
            method: "POST".into(),
            target: "/v1/messages?beta=1".into(),
            minor_version: 1,
            headers: vec![("X-A".into(), "1".into()), ("x-a".into(), "2".into())],
        };
        Record::new(head, Bytes::from_static(b"\xffa"), 3, 5)
    }

    #[test]
    fn a_record_shows_what_came_and_how_it_ended() {
        let books = Books::default();
        let mut running = books.begin();
        running.record(record());
        assert_eq!(books.requests()[0]["ended"], "running");
        running.end(Ended::Answered);
        let shown = &books.requests()[0];
        assert_eq!(shown["ended"], "answered");
        assert_eq!(shown["path"], "/v1/messages?beta=1");
        assert_eq!(shown["headers"], json!([["X-A", "1"], ["x-a", "2"]]));
        assert_eq!((&shown["body_base64"], &shown["body_bytes"]), (&json!("/2E="), &json!(2)));
    }

    #[test]
    fn forgetting_keeps_what_is_open() {
        let books = Books::default();
        books.count_connection();
        let mut running = books.begin();
        books.forget();
        let state = books.state(0);
        assert_eq!((&state["running"], &state["requests"]), (&json!(1), &json!(0)));
        assert_eq!(state["connections_open"], 1);
        running.end(Ended::ClientClosed);
        let state = books.state(0);
        assert_eq!((&state["running"], &state["client_closed"]), (&json!(0), &json!(0)));
    }
}
