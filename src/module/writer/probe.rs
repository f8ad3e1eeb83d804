//! Does a provider live? The thread beside the worker asks with one GET and reads no more than the
//! status. It blocks, so it must never run on nginx's event loop; it calls nothing of nginx.

mod tls;

use std::io::{self, BufRead, BufReader, ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::{Duration, Instant};

use llm_core::auth::Secret;
use llm_core::dialect::Dialect;
use llm_core::health::{ProbeError, Probed};

pub use tls::Authorities;

/// Interim answers and the status line must fit.
const MAX_BYTES: u64 = 8192;
/// What a request without a version of its own is sent.
const ANTHROPIC_VERSION: &str = "2023-06-01";

/// Whom to ask, and how.
#[derive(Debug, Clone)]
pub struct ProbeTarget {
    /// The provider's name.
    pub provider: String,
    /// Where it listens.
    pub address: SocketAddr,
    /// None is plain HTTP.
    pub tls: Option<ProbeTls>,
    /// The value of `Host`.
    pub host: String,
    /// Says in which header the key goes.
    pub dialect: Dialect,
    /// The path as it is sent.
    pub uri: String,
    /// Of the whole probe, connecting included.
    pub timeout: Duration,
}

/// What the handshake needs.
#[derive(Debug, Clone)]
pub struct ProbeTls {
    /// The name that is sent and that the certificate must have.
    pub server_name: String,
    /// Whether the certificate is checked.
    pub verify: bool,
    /// Who may sign it.
    pub authorities: Authorities,
}

fn error_of(error: &io::Error, otherwise: ProbeError) -> ProbeError {
    match error.kind() {
        ErrorKind::TimedOut => ProbeError::Timeout,
        // Sockets have no such error; it is how rustls says that the peer broke the protocol.
        ErrorKind::InvalidData => ProbeError::Tls,
        _ => otherwise,
    }
}

/// Sends one GET and says what came of it.
pub fn ask(target: &ProbeTarget, secret: Option<&Secret>) -> Probed {
    let started = Instant::now();
    let answer = status_of(target, secret, started);
    let latency_ms = u64::try_from(started.elapsed().as_millis()).unwrap_or(u64::MAX);
    Probed { answer, latency_ms }
}

fn status_of(
    target: &ProbeTarget,
    secret: Option<&Secret>,
    started: Instant,
) -> Result<u16, ProbeError> {
    let stream = TcpStream::connect_timeout(&target.address, target.timeout)
        .map_err(|error| error_of(&error, ProbeError::Connect))?;
    let stream = Timed { stream, started, timeout: target.timeout };
    let request = request(target, secret);
    match &target.tls {
        None => exchange(stream, &request),
        Some(tls) => exchange(tls::handshake(stream, tls)?, &request),
    }
}

fn request(target: &ProbeTarget, secret: Option<&Secret>) -> String {
    let ProbeTarget { uri, host, .. } = target;
    let key = match (target.dialect, secret.map(Secret::reveal)) {
        (Dialect::OpenAi, None) => String::new(),
        (Dialect::OpenAi, Some(key)) => format!("Authorization: Bearer {key}\r\n"),
        (Dialect::Anthropic, None) => format!("anthropic-version: {ANTHROPIC_VERSION}\r\n"),
        (Dialect::Anthropic, Some(key)) => {
            format!("x-api-key: {key}\r\nanthropic-version: {ANTHROPIC_VERSION}\r\n")
        }
    };
    format!(
        "GET {uri} HTTP/1.1\r\nHost: {host}\r\n{key}User-Agent: ngx-llm-probe\r\n\
         Connection: close\r\n\r\n"
    )
}

fn exchange(mut stream: impl Read + Write, request: &str) -> Result<u16, ProbeError> {
    stream
        .write_all(request.as_bytes())
        .and_then(|()| stream.flush())
        .map_err(|error| error_of(&error, ProbeError::BadResponse))?;
    let mut reader = BufReader::new(stream.take(MAX_BYTES));
    loop {
        let status = status(&line(&mut reader)?).ok_or(ProbeError::BadResponse)?;
        if status >= 200 {
            return Ok(status);
        }
        while !line(&mut reader)?.trim_ascii().is_empty() {}
    }
}

fn line(reader: &mut impl BufRead) -> Result<Vec<u8>, ProbeError> {
    let mut line = Vec::new();
    match reader.read_until(b'\n', &mut line) {
        Ok(_) if line.ends_with(b"\n") => Ok(line),
        Ok(_) => Err(ProbeError::BadResponse),
        Err(error) => Err(error_of(&error, ProbeError::BadResponse)),
    }
}

fn status(line: &[u8]) -> Option<u16> {
    let [b'0' | b'1', b' ', a, b, c, b' ' | b'\r' | b'\n', ..] = line.strip_prefix(b"HTTP/1.")?
    else {
        return None;
    };
    let status = std::str::from_utf8(&[*a, *b, *c]).ok()?.parse().ok()?;
    (100..600).contains(&status).then_some(status)
}

/// A connection whose reads and writes together take no longer than the time that is left, however
/// slowly the other side sends.
struct Timed {
    stream: TcpStream,
    started: Instant,
    timeout: Duration,
}

impl Timed {
    fn left(&self) -> io::Result<Option<Duration>> {
        let left = self.timeout.saturating_sub(self.started.elapsed());
        if left.is_zero() { Err(ErrorKind::TimedOut.into()) } else { Ok(Some(left)) }
    }
}

// A socket says WouldBlock when its limit is over.
fn timed_out(error: io::Error) -> io::Error {
    if error.kind() == ErrorKind::WouldBlock { ErrorKind::TimedOut.into() } else { error }
}

impl Read for Timed {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.stream.set_read_timeout(self.left()?)?;
        self.stream.read(buffer).map_err(timed_out)
    }
}

impl Write for Timed {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.stream.set_write_timeout(self.left()?)?;
        self.stream.write(bytes).map_err(timed_out)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.stream.flush()
    }
}
