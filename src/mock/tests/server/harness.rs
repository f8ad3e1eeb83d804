//! How does a test start the server and talk to it byte by byte?

use std::collections::HashMap;
use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::process::{Child, ChildStdin, Command, Stdio};
use std::time::{Duration, Instant};

use serde_json::Value;

/// No test waits longer than this for something that should happen.
pub const PATIENCE: Duration = Duration::from_secs(60);

pub const CHAT: &str = "/v1/chat/completions";
pub const STREAM: &str = r#"{"model":"m","stream":true}"#;

/// A running server. Dropping it closes its standard input, which ends it.
pub struct Mock {
    pub child: Child,
    pub input: Option<ChildStdin>,
    pub addresses: HashMap<String, String>,
    pub lines: Vec<Value>,
}

impl Mock {
    pub fn start(arguments: &[&str]) -> Self {
        let mut child = Command::new(env!("CARGO_BIN_EXE_mock-provider"))
            .args(["--until-eof", "--control", "127.0.0.1:0"])
            .args(arguments)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut mock =
            Self { input: child.stdin.take(), addresses: HashMap::new(), lines: Vec::new(), child };
        let output = BufReader::new(mock.child.stdout.take().unwrap());
        for line in output.lines() {
            let line: Value = serde_json::from_str(&line.unwrap()).unwrap();
            if line["ready"] == true {
                return mock;
            }
            let (name, address) = match line["control"].as_str() {
                Some(address) => ("control", address),
                None => (line["name"].as_str().unwrap(), line["address"].as_str().unwrap()),
            };
            mock.addresses.insert(name.into(), address.into());
            mock.lines.push(line);
        }
        panic!("the server ended before it was ready");
    }

    pub fn connect(&self, name: &str) -> Client {
        let stream = TcpStream::connect(&self.addresses[name]).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        stream.set_write_timeout(Some(PATIENCE)).unwrap();
        Client { input: BufReader::new(stream) }
    }

    /// Connects to `first` and asks for the answer in the header.
    pub fn ask(&self, answer: &str, body: &str) -> Client {
        let mut client = self.connect("first");
        client.post(CHAT, &format!("x-mock: {answer}\r\n"), body);
        client
    }

    pub fn control(&self, method: &str, path: &str, body: &str) -> (u16, Value) {
        let mut client = self.connect("control");
        client.send(&format!(
            "{method} {path} HTTP/1.1\r\nhost: c\r\ncontent-length: {}\r\nconnection: close\r\n\r\n{body}",
            body.len()
        ));
        let response = client.response();
        (response.status(), serde_json::from_slice(&response.body).unwrap())
    }

    pub fn script(&self, answers: &str) {
        let (status, value) = self.control("POST", "/first/script", answers);
        assert_eq!(status, 200, "{value}");
    }

    pub fn requests(&self) -> Vec<Value> {
        self.control("GET", "/first/requests", "").1.as_array().unwrap().clone()
    }

    /// Waits until a number in the state of `first` has a value.
    pub fn wait_for(&self, name: &str, wanted: u64) {
        let start = Instant::now();
        loop {
            let state = self.control("GET", "/first/state", "").1;
            if state[name] == wanted {
                return;
            }
            assert!(start.elapsed() < PATIENCE, "{name} is not {wanted}: {state}");
        }
    }
}

impl Drop for Mock {
    fn drop(&mut self) {
        drop(self.input.take());
        let _ = self.child.wait();
    }
}

/// A connection to a listener.
pub struct Client {
    pub input: BufReader<TcpStream>,
}

/// A response that arrived as a whole.
pub struct Response {
    pub head: String,
    pub body: Vec<u8>,
}

impl Response {
    pub fn status(&self) -> u16 {
        self.head.split(' ').nth(1).unwrap().parse().unwrap()
    }

    pub fn text(&self) -> String {
        String::from_utf8(self.body.clone()).unwrap()
    }
}

impl Client {
    pub fn send(&mut self, text: &str) {
        self.input.get_mut().write_all(text.as_bytes()).unwrap();
    }

    pub fn post(&mut self, path: &str, headers: &str, body: &str) {
        self.send(&format!(
            "POST {path} HTTP/1.1\r\nHost: h\r\n{headers}Content-Length: {}\r\n\r\n{body}",
            body.len()
        ));
    }

    pub fn line(&mut self) -> io::Result<String> {
        let mut line = String::new();
        match self.input.read_line(&mut line)? {
            0 => Err(io::ErrorKind::UnexpectedEof.into()),
            _ => Ok(line),
        }
    }

    pub fn head(&mut self) -> String {
        let mut head = String::new();
        while !head.ends_with("\r\n\r\n") {
            head.push_str(&self.line().unwrap());
        }
        head
    }

    /// The next chunk; `None` is the last one.
    pub fn chunk(&mut self) -> io::Result<Option<String>> {
        let length = usize::from_str_radix(self.line()?.trim(), 16).unwrap();
        let mut chunk = vec![0; length + 2];
        self.input.read_exact(&mut chunk)?;
        chunk.truncate(length);
        Ok((length > 0).then(|| String::from_utf8(chunk).unwrap()))
    }

    pub fn rest(&mut self) -> io::Result<Vec<u8>> {
        let mut rest = Vec::new();
        self.input.read_to_end(&mut rest).map(|_| rest)
    }

    pub fn response(&mut self) -> Response {
        let head = self.head();
        let lower = head.to_ascii_lowercase();
        let mut body = Vec::new();
        if lower.contains("transfer-encoding: chunked") {
            while let Some(chunk) = self.chunk().unwrap() {
                body.extend_from_slice(chunk.as_bytes());
            }
        } else if let Some((_, rest)) = lower.split_once("content-length: ") {
            body.resize(rest.split("\r\n").next().unwrap().parse().unwrap(), 0);
            self.input.read_exact(&mut body).unwrap();
        } else {
            body = self.rest().unwrap();
        }
        Response { head, body }
    }
}
