//! Is it the provider that answers a probe? The handshake of a thread, apart from nginx's OpenSSL,
//! which belongs to the event loop.

use std::cell::OnceCell;
use std::path::PathBuf;
use std::sync::Arc;

use llm_ledger::tls::{AnyCertificate, algorithms};
use rustls::pki_types::ServerName;
use rustls::{ClientConfig, ClientConnection, RootCertStore, StreamOwned};
use rustls_native_certs::{load_certs_from_paths, load_native_certs};

use llm_core::health::ProbeError;

use super::{ProbeTls, Timed, error_of};

type TlsStream = StreamOwned<ClientConnection, Timed>;

thread_local! {
    // All targets of a thread have the same authorities. It is the thread's, because nobody would
    // free a static when nginx unloads the module.
    static CONFIGS: Configs = const { Configs { checking: OnceCell::new(), trusting: OnceCell::new() } };
}

/// Both keep sessions, so that the next probe needs no full handshake; none where rustls refuses.
struct Configs {
    checking: OnceCell<Option<Arc<ClientConfig>>>,
    trusting: OnceCell<Option<Arc<ClientConfig>>>,
}

// Nothing of the request is sent before the certificate is known to be good.
pub(super) fn handshake(mut stream: Timed, tls: &ProbeTls) -> Result<TlsStream, ProbeError> {
    let config = CONFIGS.with(|configs| {
        let config = if tls.verify { &configs.checking } else { &configs.trusting };
        config.get_or_init(|| tls_config(tls)).clone()
    });
    let config = config.ok_or(ProbeError::Tls)?;
    let name = ServerName::try_from(tls.server_name.clone()).map_err(|_| ProbeError::Tls)?;
    let mut session = ClientConnection::new(config, name).map_err(|_| ProbeError::Tls)?;
    while session.is_handshaking() {
        session.complete_io(&mut stream).map_err(|error| error_of(&error, ProbeError::Tls))?;
    }
    Ok(StreamOwned::new(session, stream))
}

fn tls_config(tls: &ProbeTls) -> Option<Arc<ClientConfig>> {
    let builder = ClientConfig::builder_with_provider(algorithms())
        .with_safe_default_protocol_versions()
        .ok()?;
    let builder = if tls.verify {
        builder.with_root_certificates(tls.authorities.roots())
    } else {
        // As nginx does where `ssl_verify=off` is written.
        let any = AnyCertificate::new(algorithms());
        builder.dangerous().with_custom_certificate_verifier(Arc::new(any))
    };
    Some(Arc::new(builder.with_no_client_auth()))
}

/// Where the authorities' certificates are.
#[derive(Debug, Clone, Default)]
pub struct Authorities {
    file: Option<PathBuf>,
    directory: Option<PathBuf>,
}

impl Authorities {
    /// What `SSL_CERT_FILE` and `SSL_CERT_DIR` say, else the system's. nginx takes the environment away
    /// from its workers, so this is to be called when the configuration is read.
    pub fn of_environment() -> Self {
        let path = |name| std::env::var_os(name).map(PathBuf::from);
        Self { file: path("SSL_CERT_FILE"), directory: path("SSL_CERT_DIR") }
    }

    fn roots(&self) -> RootCertStore {
        let certificates = match (self.file.as_deref(), self.directory.as_deref()) {
            (None, None) => load_native_certs(),
            (file, directory) => load_certs_from_paths(file, directory),
        };
        let mut roots = RootCertStore::empty();
        // Without any, no certificate is good, and the probe says so.
        roots.add_parsable_certificates(certificates.certs);
        roots
    }
}
