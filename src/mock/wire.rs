//! How are requests read from a connection, and how is a client's leaving noticed?
//!
//! A server of its own instead of hyper: the faults need framing that hyper refuses to send, and
//! tests want headers in the order and case in which they came.

use std::io;
use std::time::Duration;

use bytes::{Buf as _, Bytes, BytesMut};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::time::{Instant, sleep_until, timeout};
use tokio_rustls::server::TlsStream;

const READ_BYTES: usize = 16 * 1024;
const MAX_HEAD_BYTES: usize = 1024 * 1024;
const MAX_HEADERS: usize = 256;
const MAX_LINE_BYTES: usize = 64 * 1024;
/// Pipelined input kept while an answer is under way; beyond it the client's leaving goes unseen.
const MAX_AHEAD_BYTES: usize = 1024 * 1024;
/// Closing with unread input would send RST instead of FIN.
const LINGER: Duration = Duration::from_secs(2);

/// A client's connection, with or without TLS.
pub struct Connection {
    stream: Stream,
    buffer: BytesMut,
}

enum Stream {
    Plain(TcpStream),
    Tls(Box<TlsStream<TcpStream>>),
}

/// The client left, or what it sent cannot be read on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Gone;

/// A request's head, as received.
#[derive(Debug, Clone)]
pub struct Head {
    pub method: String,
    /// Path and query.
    pub target: String,
    /// HTTP/1.x.
    pub minor_version: u8,
    pub headers: Vec<(String, String)>,
}

/// Why there is no further request.
#[derive(Debug)]
pub enum HeadError {
    Closed,
    Malformed(String),
}

/// What arrived of a request's body.
pub struct Received {
    pub body: Bytes,
    pub is_complete: bool,
}

impl Head {
    pub fn header(&self, name: &str) -> Option<&str> {
        let found = self.headers.iter().find(|(n, _)| n.eq_ignore_ascii_case(name));
        found.map(|(_, value)| value.as_str())
    }

    pub fn path(&self) -> &str {
        self.target.split('?').next().unwrap_or_default()
    }

    pub fn keeps_alive(&self) -> bool {
        let says = |word: &str| {
            self.header("connection")
                .is_some_and(|v| v.split(',').any(|w| w.trim().eq_ignore_ascii_case(word)))
        };
        if self.minor_version == 0 { says("keep-alive") } else { !says("close") }
    }

    fn is_chunked(&self) -> bool {
        self.header("transfer-encoding").is_some_and(|v| v.to_ascii_lowercase().contains("chunked"))
    }

    fn length(&self) -> usize {
        self.header("content-length").and_then(|value| value.trim().parse().ok()).unwrap_or(0)
    }

    fn expects_continue(&self) -> bool {
        self.header("expect").is_some_and(|v| v.eq_ignore_ascii_case("100-continue"))
    }
}

impl Connection {
    pub fn plain(stream: TcpStream) -> Self {
        Self { stream: Stream::Plain(stream), buffer: BytesMut::new() }
    }

    pub fn tls(stream: TlsStream<TcpStream>) -> Self {
        Self { stream: Stream::Tls(Box::new(stream)), buffer: BytesMut::new() }
    }

    pub fn is_tls(&self) -> bool {
        matches!(self.stream, Stream::Tls(_))
    }

    pub fn server_name(&self) -> Option<&str> {
        match &self.stream {
            Stream::Plain(_) => None,
            Stream::Tls(stream) => stream.get_ref().1.server_name(),
        }
    }

    pub async fn read_head(&mut self) -> Result<Head, HeadError> {
        loop {
            if let Some((head, length)) = parse_head(&self.buffer)? {
                self.buffer.advance(length);
                return Ok(head);
            }
            if self.buffer.len() > MAX_HEAD_BYTES {
                return Err(HeadError::Malformed("the head is too large".into()));
            }
            self.read().await.map_err(|Gone| HeadError::Closed)?;
        }
    }

    pub async fn read_body(&mut self, head: &Head) -> Received {
        let has_body = head.is_chunked() || head.length() > 0;
        if has_body && head.expects_continue() && self.buffer.is_empty() {
            // A client that left is noticed by the read.
            let _ = self.write(b"HTTP/1.1 100 Continue\r\n\r\n").await;
        }
        if head.is_chunked() {
            let mut body = BytesMut::new();
            let is_complete = self.read_chunks(&mut body).await.is_ok();
            return Received { body: body.freeze(), is_complete };
        }
        let length = head.length();
        while self.buffer.len() < length {
            self.buffer.reserve(length.saturating_sub(self.buffer.len()).min(MAX_AHEAD_BYTES));
            if self.read().await.is_err() {
                return Received { body: self.buffer.split().freeze(), is_complete: false };
            }
        }
        Received { body: self.buffer.split_to(length).freeze(), is_complete: true }
    }

    async fn read_chunks(&mut self, body: &mut BytesMut) -> Result<(), Gone> {
        loop {
            let line = self.read_line().await?;
            let digits = line.split(';').next().unwrap_or_default().trim();
            let Ok(mut left) = usize::from_str_radix(digits, 16) else {
                eprintln!("a request's chunk begins with \"{digits}\"");
                return Err(Gone);
            };
            if left == 0 {
                // Trailers end with an empty line.
                while !self.read_line().await?.is_empty() {}
                return Ok(());
            }
            while left > 0 {
                if self.buffer.is_empty() {
                    self.read().await?;
                }
                let part = self.buffer.split_to(left.min(self.buffer.len()));
                left -= part.len();
                body.extend_from_slice(&part);
            }
            if !self.read_line().await?.is_empty() {
                eprintln!("a request's chunk is longer than it says");
                return Err(Gone);
            }
        }
    }

    async fn read_line(&mut self) -> Result<String, Gone> {
        loop {
            if let Some(end) = self.buffer.iter().position(|byte| *byte == b'\n') {
                let line = self.buffer.split_to(end + 1);
                let line = String::from_utf8_lossy(&line);
                return Ok(line.trim_end_matches(['\r', '\n']).to_owned());
            }
            if self.buffer.len() > MAX_LINE_BYTES {
                return Err(Gone);
            }
            self.read().await?;
        }
    }

    async fn read(&mut self) -> Result<(), Gone> {
        self.buffer.reserve(READ_BYTES);
        let read = match &mut self.stream {
            Stream::Plain(stream) => stream.read_buf(&mut self.buffer).await,
            Stream::Tls(stream) => stream.read_buf(&mut self.buffer).await,
        };
        match read {
            Ok(0) | Err(_) => Err(Gone),
            Ok(_) => Ok(()),
        }
    }

    pub async fn write(&mut self, bytes: &[u8]) -> Result<(), Gone> {
        let written = match &mut self.stream {
            Stream::Plain(stream) => stream.write_all(bytes).await,
            Stream::Tls(stream) => write_flushed(stream, bytes).await,
        };
        written.map_err(|_| Gone)
    }

    /// Waits until a moment, unless the client leaves before it.
    pub async fn wait_until(&mut self, moment: Instant) -> Result<(), Gone> {
        let pause = sleep_until(moment);
        tokio::pin!(pause);
        loop {
            let watches = self.buffer.len() < MAX_AHEAD_BYTES;
            tokio::select! {
                biased;
                () = &mut pause => return Ok(()),
                read = self.read(), if watches => read?,
            }
        }
    }

    /// Waits until the client leaves; what it still sends is thrown away.
    pub async fn wait_gone(&mut self) {
        while self.read().await.is_ok() {
            self.buffer.clear();
        }
    }

    /// Ends the connection with RST.
    pub fn reset(self) {
        // Where the option is refused the connection ends with FIN: the test that relies on RST says so.
        let _ = self.tcp().set_zero_linger();
    }

    /// Ends the connection with FIN and, as a server that died, without TLS's own goodbye.
    pub async fn cut(mut self) {
        let _ = match &mut self.stream {
            Stream::Plain(stream) => stream.shutdown().await,
            Stream::Tls(stream) => stream.get_mut().0.shutdown().await,
        };
        self.linger().await;
    }

    /// Ends the connection as an orderly server does.
    pub async fn close(mut self) {
        let _ = match &mut self.stream {
            Stream::Plain(stream) => stream.shutdown().await,
            Stream::Tls(stream) => stream.shutdown().await,
        };
        self.linger().await;
    }

    async fn linger(&mut self) {
        // Whether the client left or the time is over, the connection ends now.
        let _ = timeout(LINGER, self.wait_gone()).await;
    }

    fn tcp(&self) -> &TcpStream {
        match &self.stream {
            Stream::Plain(stream) => stream,
            Stream::Tls(stream) => stream.get_ref().0,
        }
    }
}

async fn write_flushed(stream: &mut TlsStream<TcpStream>, bytes: &[u8]) -> io::Result<()> {
    stream.write_all(bytes).await?;
    stream.flush().await
}

fn parse_head(bytes: &[u8]) -> Result<Option<(Head, usize)>, HeadError> {
    let mut headers = [httparse::EMPTY_HEADER; MAX_HEADERS];
    let mut request = httparse::Request::new(&mut headers);
    let length = match request.parse(bytes) {
        Ok(httparse::Status::Complete(length)) => length,
        Ok(httparse::Status::Partial) => return Ok(None),
        Err(error) => return Err(HeadError::Malformed(error.to_string())),
    };
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    let head = Head {
        method: request.method.unwrap_or_default().into(),
        target: request.path.unwrap_or_default().into(),
        minor_version: request.version.unwrap_or(1),
        headers: request.headers.iter().map(|h| (h.name.to_owned(), text(h.value))).collect(),
    };
    Ok(Some((head, length)))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn head(text: &str) -> Head {
        parse_head(text.as_bytes()).unwrap().unwrap().0
    }

    #[test]
    fn headers_keep_their_order_and_case() {
        let head = head("GET /v1/models?a=b HTTP/1.1\r\nX-B: 1\r\nhost: h\r\nx-b: 2\r\n\r\n");
        let names: Vec<&str> = head.headers.iter().map(|(name, _)| name.as_str()).collect();
        assert_eq!(names, ["X-B", "host", "x-b"]);
        assert_eq!((head.path(), head.header("x-b")), ("/v1/models", Some("1")));
    }

    #[test]
    fn an_unfinished_head_is_waited_for() {
        assert!(parse_head(b"GET / HTTP/1.1\r\nHost: h\r\n").unwrap().is_none());
        assert!(parse_head(b"\x16\x03\x01nonsense").is_err());
    }

    #[test]
    fn connections_live_on_as_their_version_says() {
        assert!(head("GET / HTTP/1.1\r\n\r\n").keeps_alive());
        assert!(!head("GET / HTTP/1.1\r\nConnection: Close\r\n\r\n").keeps_alive());
        assert!(!head("GET / HTTP/1.0\r\n\r\n").keeps_alive());
        assert!(head("GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\n").keeps_alive());
    }
}
