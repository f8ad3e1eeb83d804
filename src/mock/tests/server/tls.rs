//! Do TLS listeners show certificates that their authority vouches for?

use std::env;
use std::fs;
use std::io::{self, ErrorKind, Read, Write};
use std::path::PathBuf;
use std::sync::Arc;

use tokio_rustls::rustls::crypto::ring;
use tokio_rustls::rustls::pki_types::pem::PemObject;
use tokio_rustls::rustls::pki_types::{CertificateDer, ServerName};
use tokio_rustls::rustls::{ClientConfig, ClientConnection, RootCertStore, StreamOwned};

use crate::harness::{CHAT, Mock};

/// A server with a directory of its own for the authority's certificate.
struct Secured {
    mock: Mock,
    directory: PathBuf,
}

impl Secured {
    fn start(test: &str, provider: &str) -> Self {
        let directory = env::temp_dir().join(format!("mock-tls-{test}-{}", std::process::id()));
        let mock = Mock::start(&["--tls-dir", directory.to_str().unwrap(), provider]);
        Self { mock, directory }
    }

    /// Shakes hands as a client of `hostname`, asks and reads until the end.
    fn ask(&self, hostname: &str, answer: &str) -> io::Result<String> {
        let mut roots = RootCertStore::empty();
        let path = self.mock.lines[1]["ca"].as_str().unwrap();
        roots.add(CertificateDer::from_pem_file(path).unwrap()).unwrap();
        let config = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_root_certificates(roots)
            .with_no_client_auth();
        let name = ServerName::try_from(hostname.to_owned()).unwrap();
        let session = ClientConnection::new(Arc::new(config), name).unwrap();
        let socket = self.mock.connect("first").input.into_inner();
        let mut stream = StreamOwned::new(session, socket);
        let head = "Host: h\r\nConnection: close\r\nContent-Length: 2\r\n";
        write!(stream, "POST {CHAT} HTTP/1.1\r\n{head}x-mock: {answer}\r\n\r\n{{}}")?;
        let mut text = String::new();
        stream.read_to_string(&mut text).map(|_| text)
    }
}

impl Drop for Secured {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.directory);
    }
}

#[test]
fn a_certificate_is_valid_for_the_listeners_own_names() {
    let secured = Secured::start("names", "first,tls");
    for hostname in ["first.test", "localhost"] {
        assert!(secured.ask(hostname, "{}").unwrap().contains("Hello from first."));
    }
    let requests = secured.mock.requests();
    assert_eq!((&requests[0]["tls"], &requests[0]["sni"]), (&true.into(), &"first.test".into()));
}

#[test]
fn a_certificate_for_given_names_is_for_no_other() {
    let secured = Secured::start("given", "first,tls,h=api.test");
    assert!(secured.ask("api.test", "{}").unwrap().starts_with("HTTP/1.1 200 OK\r\n"));
    assert_eq!(secured.ask("first.test", "{}").unwrap_err().kind(), ErrorKind::InvalidData);
}

#[test]
fn faults_strike_through_tls() {
    let secured = Secured::start("faults", "first,tls");
    let kind = |answer: &str| secured.ask("localhost", answer).unwrap_err().kind();
    assert_eq!(kind(r#"{"fault":"reset"}"#), ErrorKind::ConnectionReset);
    // An end without TLS's own goodbye, as of a process that died.
    assert_eq!(kind(r#"{"fault":"cut"}"#), ErrorKind::UnexpectedEof);
}
