//! A private PostgreSQL server, a proxy that cuts connections, and a worker: what the tests here need.

#![allow(dead_code, unused_imports, reason = "each test binary uses a part")]

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::time::{Duration, Instant};

use llm_ledger::journal::{Appender, Limits, Owner};
use llm_ledger::sink::Sink;
use llm_ledger::{Settings, Shipper};

#[path = "../../fixture.rs"]
mod fixture;
pub use fixture::{created_at_ms, event};

/// A server of our own, stopped and deleted at the end.
pub struct Server {
    pub directory: tempfile::TempDir,
    bin: PathBuf,
    pub port: u16,
}

fn postgres_bin() -> Option<PathBuf> {
    let mut found: Vec<PathBuf> = std::fs::read_dir("/usr/lib/postgresql")
        .into_iter()
        .flatten()
        .filter_map(|entry| Some(entry.ok()?.path().join("bin")))
        .filter(|bin| bin.join("initdb").exists())
        .collect();
    found.sort();
    found.pop()
}

fn is_root() -> bool {
    std::fs::metadata("/proc/self")
        .is_ok_and(|metadata| std::os::unix::fs::MetadataExt::uid(&metadata) == 0)
}

pub fn free_port() -> u16 {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
}

impl Server {
    /// Initialised and not started. `None`, and a word, where PostgreSQL is not installed.
    pub fn new() -> Option<Self> {
        let Some(bin) = postgres_bin() else {
            eprintln!(
                "skipped: no /usr/lib/postgresql/*/bin/initdb, install the package postgresql"
            );
            return None;
        };
        let directory = tempfile::tempdir().unwrap();
        std::fs::set_permissions(directory.path(), std::fs::Permissions::from_mode(0o777)).unwrap();
        let server = Self { directory, bin, port: free_port() };
        let data = server.data();
        server.run("initdb", &["-D", &data, "-U", "llm", "-A", "trust", "-N", "-E", "UTF8"]);
        server.configure(&format!(
            "port = {}\nlisten_addresses = '127.0.0.1'\nunix_socket_directories = '{}'\nfsync = off\n\
             shared_buffers = 32MB\nmax_connections = 20\nlog_min_messages = warning\n",
            server.port,
            server.directory.path().display()
        ));
        Some(server)
    }

    pub fn started() -> Option<Self> {
        let server = Self::new()?;
        server.start();
        Some(server)
    }

    fn data(&self) -> String {
        self.directory.path().join("data").display().to_string()
    }

    pub fn configure(&self, lines: &str) {
        self.append_to("postgresql.conf", lines);
    }

    pub fn append_to(&self, file: &str, lines: &str) {
        let path = Path::new(&self.data()).join(file);
        let mut file = std::fs::File::options().append(true).open(path).unwrap();
        file.write_all(lines.as_bytes()).unwrap();
    }

    /// A file in the data directory that the server's user alone can read.
    pub fn put(&self, name: &str, text: &str) {
        let path = Path::new(&self.data()).join(name);
        std::fs::write(&path, text).unwrap();
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o600)).unwrap();
        if is_root() {
            let changed = Command::new("chown").arg("postgres").arg(&path).status().unwrap();
            assert!(changed.success());
        }
    }

    fn run(&self, program: &str, args: &[&str]) {
        let program = self.bin.join(program);
        // The server refuses to run as root.
        let mut command = if is_root() {
            let mut command = Command::new("runuser");
            command.args(["-u", "postgres", "--"]).arg(program);
            command
        } else {
            Command::new(program)
        };
        let output = command
            .args(args)
            .current_dir(self.directory.path())
            .stdin(Stdio::null())
            .output()
            .unwrap();
        assert!(output.status.success(), "{args:?}: {}", String::from_utf8_lossy(&output.stderr));
    }

    pub fn start(&self) {
        let log = self.directory.path().join("log").display().to_string();
        self.run("pg_ctl", &["-D", &self.data(), "-l", &log, "-w", "-t", "30", "start"]);
    }

    pub fn stop(&self) {
        self.run("pg_ctl", &["-D", &self.data(), "-m", "immediate", "-w", "stop"]);
    }

    pub fn dsn(&self) -> String {
        format!("host=127.0.0.1 port={} user=llm dbname=postgres sslmode=disable", self.port)
    }

    /// The output of a query, without blanks around it.
    pub fn sql(&self, sql: &str) -> String {
        let output = self.psql(sql).stderr(Stdio::piped()).output().unwrap();
        assert!(output.status.success(), "{sql}: {}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).unwrap().trim().to_owned()
    }

    pub fn psql(&self, sql: &str) -> Command {
        let mut command = Command::new(self.bin.join("psql"));
        command
            .arg("-h")
            .arg(self.directory.path())
            .args(["-p", &self.port.to_string(), "-U", "llm", "-d", "postgres", "-qAtX"])
            .args(["-v", "ON_ERROR_STOP=1", "-c", sql])
            .env("PGOPTIONS", "-c client_min_messages=warning -c default_transaction_read_only=off")
            .stdin(Stdio::null())
            .stdout(Stdio::piped());
        command
    }

    pub fn count(&self) -> u64 {
        self.sql("SELECT count(*) FROM llm_cost_events").parse().unwrap()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        if Path::new(&self.data()).join("postmaster.pid").exists() {
            self.stop();
        }
    }
}

/// Forwards connections to a server; when told, the next COMMIT goes through and its answer does not.
pub struct Proxy {
    pub port: u16,
    cut_commits: Arc<AtomicBool>,
    pub cuts: Arc<AtomicU32>,
}

impl Proxy {
    pub fn new(to: u16) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let proxy = Self { port, cut_commits: Arc::default(), cuts: Arc::default() };
        let (cut, cuts) = (Arc::clone(&proxy.cut_commits), Arc::clone(&proxy.cuts));
        std::thread::spawn(move || {
            for client in listener.incoming() {
                let client = client.unwrap();
                let server = TcpStream::connect(("127.0.0.1", to)).unwrap();
                let (cut, cuts) = (Arc::clone(&cut), Arc::clone(&cuts));
                std::thread::spawn(move || forward(&client, &server, &cut, &cuts));
            }
        });
        proxy
    }

    pub fn cut_next_commit(&self) {
        self.cut_commits.store(true, Ordering::SeqCst);
    }
}

fn forward(client: &TcpStream, server: &TcpStream, cut: &AtomicBool, cuts: &AtomicU32) {
    let is_cut = Arc::new(AtomicBool::new(false));
    let (mut from_server, mut to_client) =
        (server.try_clone().unwrap(), client.try_clone().unwrap());
    let cut_here = Arc::clone(&is_cut);
    let back = std::thread::spawn(move || {
        let mut bytes = [0; 16 * 1024];
        while let Ok(length @ 1..) = from_server.read(&mut bytes) {
            if cut_here.load(Ordering::SeqCst) || to_client.write_all(&bytes[..length]).is_err() {
                break;
            }
        }
        let _ = to_client.shutdown(std::net::Shutdown::Both);
    });
    let (mut from_client, mut to_server) = (client, server);
    let mut bytes = [0; 16 * 1024];
    while let Ok(length @ 1..) = from_client.read(&mut bytes) {
        let bytes = &bytes[..length];
        // A simple query is one message of its own.
        if bytes.ends_with(b"COMMIT\0") && cut.swap(false, Ordering::SeqCst) {
            is_cut.store(true, Ordering::SeqCst);
            cuts.fetch_add(1, Ordering::SeqCst);
        }
        if to_server.write_all(bytes).is_err() {
            break;
        }
    }
    let _ = to_server.shutdown(std::net::Shutdown::Both);
    back.join().unwrap();
}

/// An event loop and its thread in one.
pub struct Worker {
    pub appender: Appender,
    pub shipper: Shipper,
    now: Instant,
}

impl Worker {
    pub fn new(journal: &Path, sinks: Vec<Box<dyn Sink>>) -> Self {
        let owner = Owner::open(journal, Limits { max_bytes: 1 << 30, workers: 4 }).unwrap();
        let settings = Settings {
            gather: Duration::from_millis(10),
            catch_up_rows: 512,
            ..Settings::default()
        };
        Self {
            shipper: Shipper::new(Arc::clone(&owner), sinks, settings),
            appender: Appender::new(owner),
            now: Instant::now(),
        }
    }

    pub fn append(&mut self, numbers: std::ops::Range<u64>) {
        numbers.for_each(|number| self.appender.append(&event(number)).unwrap());
    }

    /// One step after any pause, without waiting for it.
    pub fn step(&mut self) {
        self.now += Duration::from_secs(31);
        // Time that is spent in a sink is time.
        self.now = self.now.max(Instant::now());
        self.shipper.step(self.now);
    }

    /// Steps until nothing waits.
    pub fn ship(&mut self) {
        for _ in 0..100 {
            self.step();
            if self.shipper.stats().waiting_events == 0 {
                return;
            }
        }
        panic!("{:?}", self.shipper.stats());
    }
}
