//! Is the database's certificate checked as libpq would check it? A real server shows a real one.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

mod support;

use std::path::Path;
use std::time::Duration;

use llm_core::cost::{Dsn, TableName};
use llm_ledger::sink::{Bounds, Delivery, Failure, Postgres, Sink};
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair};
use support::{Server, event};

fn authority() -> CertifiedIssuer<'static, KeyPair> {
    let mut params = CertificateParams::default();
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap()
}

fn write(server: &Server, host: &str, options: &str) -> Result<(), Failure> {
    let dsn = format!("host={host} port={} user=llm dbname=postgres {options}", server.port);
    let dsn = Dsn::parse(&[&dsn]).unwrap();
    let mut sink = Postgres::new(dsn, &TableName::default(), Bounds::default());
    let rows = [&event(0)];
    let within = Duration::from_secs(10);
    sink.write(Delivery { rows: &rows, since: None, within }).map(|_| ())
}

#[test]
fn each_mode_checks_what_it_says() {
    let Some(server) = Server::new() else { return };
    let ours = authority();
    let key = KeyPair::generate().unwrap();
    let certificate = CertificateParams::new(vec!["localhost".to_owned()])
        .unwrap()
        .signed_by(&key, &ours)
        .unwrap();
    server.put("server.crt", &certificate.pem());
    server.put("server.key", &key.serialize_pem());
    server.configure("ssl = on\n");
    // Whoever does not come with TLS is refused.
    let path = server.directory.path().join("data/pg_hba.conf");
    std::fs::write(&path, "local all all trust\nhostssl all all 127.0.0.1/32 trust\n").unwrap();
    server.start();
    let file = |name: &str, text: &str| {
        let path = server.directory.path().join(name);
        std::fs::write(&path, text).unwrap();
        path
    };
    let ours = file("ours.pem", &ours.pem());
    let other = file("other.pem", &authority().pem());
    let root = |path: &Path| format!("sslrootcert={}", path.display());

    let good = [
        ("127.0.0.1", "sslmode=prefer".to_owned()),
        ("127.0.0.1", "sslmode=require".to_owned()),
        ("127.0.0.1", format!("sslmode=verify-ca {}", root(&ours))),
        ("localhost", format!("sslmode=verify-full {}", root(&ours))),
    ];
    for (host, options) in good {
        write(&server, host, &options).unwrap_or_else(|failure| panic!("{options}: {failure}"));
    }
    let bad = [
        ("127.0.0.1", "sslmode=disable".to_owned(), "pg_hba.conf"),
        ("127.0.0.1", format!("sslmode=require {}", root(&other)), "certificate"),
        ("localhost", format!("sslmode=verify-ca {}", root(&other)), "certificate"),
        ("localhost", format!("sslmode=verify-full {}", root(&other)), "certificate"),
        ("127.0.0.1", format!("sslmode=verify-full {}", root(&ours)), "certificate"),
        ("localhost", "sslmode=verify-full".to_owned(), "certificate"),
        ("localhost", format!("sslmode=verify-full {}", root(Path::new("/none"))), "sslrootcert"),
    ];
    for (host, options, word) in bad {
        let failure = write(&server, host, &options).expect_err(&options);
        assert!(failure.text.contains(word), "{options}: {failure}");
    }
    let used = "SELECT count(*) FROM llm_cost_events";
    assert_eq!(server.sql(used), "1");
}

#[test]
fn a_server_without_tls_is_refused_where_tls_is_asked_for() {
    let Some(server) = Server::started() else { return };
    write(&server, "127.0.0.1", "sslmode=prefer").unwrap();
    let failure = write(&server, "127.0.0.1", "sslmode=require").unwrap_err();
    assert!(failure.text.contains("does not support TLS"), "{failure}");
}
