//! How does a listener answer its connections?

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::TlsAcceptor;

use crate::answer::Answer;
use crate::endpoint::{Asked, Endpoint};
use crate::fast::{Key, Replies};
use crate::frame::{self, Exchange, Framed};
use crate::record::{Books, Ended, Record};
use crate::reply;
use crate::script::Script;
use crate::send;
use crate::wire::{Connection, Head, HeadError};

const ACCEPT_AGAIN: Duration = Duration::from_millis(10);
const BAD_REQUEST: &[u8] =
    b"HTTP/1.1 400 Bad Request\r\ncontent-length: 0\r\nconnection: close\r\n\r\n";

/// One listener's state, shared by its connections and the control listener.
pub struct Provider {
    pub name: String,
    pub script: Script,
    pub books: Books,
    started: Instant,
    connections: AtomicU64,
    /// Present in benchmark mode.
    replies: Option<Replies>,
}

impl Provider {
    pub fn new(name: &str, started: Instant, is_fast: bool) -> Self {
        Self {
            name: name.into(),
            script: Script::default(),
            books: Books::default(),
            started,
            connections: AtomicU64::new(0),
            replies: is_fast.then(Replies::default),
        }
    }
}

pub async fn listen(provider: Arc<Provider>, listener: TcpListener, tls: Option<TlsAcceptor>) {
    loop {
        // Accepting fails for want of file descriptors; the next connection may succeed.
        let Ok((stream, _)) = listener.accept().await else {
            tokio::time::sleep(ACCEPT_AGAIN).await;
            continue;
        };
        tokio::spawn(connect(Arc::clone(&provider), stream, tls.clone()));
    }
}

async fn connect(provider: Arc<Provider>, stream: TcpStream, tls: Option<TlsAcceptor>) {
    provider.books.count_connection();
    let number = provider.connections.fetch_add(1, Ordering::Relaxed).wrapping_add(1);
    // Without it small events wait for the client's acknowledgements.
    let _ = stream.set_nodelay(true);
    let connection = match tls {
        None => Some(Connection::plain(stream)),
        Some(tls) => match tls.accept(stream).await {
            Ok(stream) => Some(Connection::tls(stream)),
            Err(error) => {
                eprintln!("{}: tls handshake failed: {error}", provider.name);
                None
            }
        },
    };
    if let Some(connection) = connection {
        serve(&provider, connection, number).await;
    }
    provider.books.connections_open.fetch_sub(1, Ordering::Relaxed);
}

async fn serve(provider: &Provider, mut connection: Connection, number: u64) {
    loop {
        match connection.read_head().await {
            Ok(head) => match exchange(provider, connection, number, head).await {
                Some(kept) => connection = kept,
                None => return,
            },
            Err(HeadError::Closed) => return,
            Err(HeadError::Malformed(why)) => {
                eprintln!("{}: malformed request: {why}", provider.name);
                // A client that left misses nothing.
                let _ = connection.write(BAD_REQUEST).await;
                connection.close().await;
                return;
            }
        }
    }
}

/// Answers one request; the connection comes back if it can serve another.
async fn exchange(
    provider: &Provider,
    mut connection: Connection,
    connection_number: u64,
    head: Head,
) -> Option<Connection> {
    let mut running = provider.books.begin();
    let at_ms = u64::try_from(provider.started.elapsed().as_millis()).unwrap_or(u64::MAX);
    let early = early_answer(provider, &head);
    let received = match early {
        Some(_) => None,
        None => Some(connection.read_body(&head).await),
    };
    let is_complete = received.as_ref().is_none_or(|received| received.is_complete);
    let body = received.map(|received| received.body).unwrap_or_default();
    let framed = is_complete.then(|| reply(provider, &head, &body, early, running.number));
    if provider.replies.is_none() {
        let server_name = connection.server_name().map(str::to_owned);
        let mut record = Record::new(head, body, connection_number, at_ms);
        record.is_tls = connection.is_tls();
        record.server_name = server_name;
        running.record(record);
    }
    let framed = match framed {
        Some(Ok(framed)) => framed,
        Some(Err(error)) => {
            eprintln!("{}: an answer could not be framed: {error}", provider.name);
            running.end(Ended::Fault);
            return None;
        }
        None => {
            running.end(Ended::ClientClosed);
            return None;
        }
    };
    let connection = send::send(connection, &framed, &mut running).await?;
    if framed.keep_alive {
        return Some(connection);
    }
    connection.close().await;
    None
}

fn reply(
    provider: &Provider,
    head: &Head,
    body: &[u8],
    early: Option<Answer>,
    number: u64,
) -> io::Result<Arc<Framed>> {
    let path = head.path();
    let endpoint = Endpoint::find(&head.method, path, head.header("anthropic-version").is_some());
    let exchange = Exchange {
        minor_version: head.minor_version,
        // An unread body stands where the next request should.
        keep_alive: head.keeps_alive() && early.is_none(),
        is_head: head.method == "HEAD",
    };
    let is_early = early.is_some();
    let asked = Asked::new(endpoint, if is_early { b"{}" } else { body });
    let header = head.header("x-mock");
    let scripted = early.or_else(|| match header {
        Some(_) => None,
        None => provider.script.take(path, &asked.model),
    });
    let Some(replies) = provider.replies.as_ref().filter(|_| scripted.is_none()) else {
        let answer = scripted.unwrap_or_else(|| unscripted(header, &asked.model));
        return build(provider, &answer, &asked, exchange, number);
    };
    let key = Key { asked, exchange, answer: header.map(str::to_owned) };
    if let Some(framed) = replies.find(&key) {
        return Ok(framed);
    }
    let answer = unscripted(header, &key.asked.model);
    let framed = build(provider, &answer, &key.asked, exchange, 0)?;
    replies.keep(key, &framed);
    Ok(framed)
}

fn unscripted(header: Option<&str>, model: &str) -> Answer {
    match header {
        Some(text) => from_header(text),
        None => Answer::from_model(model).unwrap_or_default(),
    }
}

/// A header nobody can read must not look like an answer that was asked for.
fn from_header(text: &str) -> Answer {
    Answer::parse(text.as_bytes()).unwrap_or_else(|error| Answer {
        status: Some(501),
        body: Some(format!("x-mock: {error}")),
        ..Answer::default()
    })
}

fn early_answer(provider: &Provider, head: &Head) -> Option<Answer> {
    match head.header("x-mock") {
        Some(text) => Answer::parse(text.as_bytes()).ok().filter(|answer| answer.early),
        None => provider.script.take_early(head.path()),
    }
}

fn build(
    provider: &Provider,
    answer: &Answer,
    asked: &Asked,
    exchange: Exchange,
    number: u64,
) -> io::Result<Arc<Framed>> {
    let reply = reply::build(answer, asked, &provider.name, number);
    frame::frame(reply, exchange).map(Arc::new)
}
