//! Is it the server that the DSN names? The modes are libpq's.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use rustls::client::WebPkiServerVerifier;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::CryptoProvider;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName, UnixTime};
use rustls::{
    CertificateError, ClientConfig, DigitallySignedStruct, Error, RootCertStore, SignatureScheme,
};
use rustls_native_certs::load_native_certs;
use tokio_postgres_rustls::MakeRustlsConnect;

use super::Failure;
use crate::tls::{AnyCertificate, algorithms};

/// How much of the server is checked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Check {
    /// `disable`
    NoTls,
    /// `prefer`: TLS if the server has it.
    NothingButTry,
    /// `require`
    Nothing,
    /// `verify-ca`
    Authority,
    /// `verify-full`
    AuthorityAndName,
}

/// What the DSN says about TLS.
#[derive(Debug)]
pub(super) struct TlsWish {
    pub(super) check: Check,
    /// `sslrootcert`; without it, or with `system`, the system's authorities.
    pub(super) authorities: Option<PathBuf>,
    /// `sslcert`
    pub(super) certificate: Option<PathBuf>,
    /// `sslkey`
    pub(super) key: Option<PathBuf>,
}

impl TlsWish {
    /// Reads certificates.
    pub(super) fn connector(&self) -> Result<MakeRustlsConnect, Failure> {
        let provider = algorithms();
        let verifier: Arc<dyn ServerCertVerifier> = match self.check {
            // The traffic is encrypted, for whomever.
            Check::NoTls | Check::NothingButTry | Check::Nothing => {
                Arc::new(AnyCertificate::new(Arc::clone(&provider)))
            }
            Check::Authority => Arc::new(AnyName(self.verifier(&provider)?)),
            Check::AuthorityAndName => self.verifier(&provider)?,
        };
        let builder = ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .map_err(failure)?
            .dangerous()
            .with_custom_certificate_verifier(verifier);
        let config = match (&self.certificate, &self.key) {
            (Some(certificate), Some(key)) => {
                let key =
                    PrivateKeyDer::from_pem_file(key).map_err(|_| unreadable("sslkey", key))?;
                builder
                    .with_client_auth_cert(certificates("sslcert", certificate)?, key)
                    .map_err(failure)?
            }
            _ => builder.with_no_client_auth(),
        };
        Ok(MakeRustlsConnect::new(config))
    }

    fn verifier(
        &self,
        provider: &Arc<CryptoProvider>,
    ) -> Result<Arc<WebPkiServerVerifier>, Failure> {
        let mut roots = RootCertStore::empty();
        let certificates = match &self.authorities {
            Some(path) if path != Path::new("system") => certificates("sslrootcert", path)?,
            _ => load_native_certs().certs,
        };
        roots.add_parsable_certificates(certificates);
        if roots.is_empty() {
            return Err(Failure::moment(
                "no authority to check the database's certificate with, give \"sslrootcert\" in \
                 \"llm_cost_dsn\"",
            ));
        }
        WebPkiServerVerifier::builder_with_provider(Arc::new(roots), Arc::clone(provider))
            .build()
            .map_err(failure)
    }
}

fn certificates(option: &str, path: &Path) -> Result<Vec<CertificateDer<'static>>, Failure> {
    CertificateDer::pem_file_iter(path)
        .and_then(Iterator::collect)
        .map_err(|_| unreadable(option, path))
}

/// Without the parser's words: it might quote a key.
fn unreadable(option: &str, path: &Path) -> Failure {
    Failure::moment(format_args!(
        "{path:?} of \"{option}\" in \"llm_cost_dsn\" cannot be read as PEM"
    ))
}

fn failure(error: impl std::fmt::Display) -> Failure {
    Failure::moment(error)
}

/// `verify-ca`: a certificate of the authority, whatever its name.
#[derive(Debug)]
struct AnyName(Arc<WebPkiServerVerifier>);

impl ServerCertVerifier for AnyName {
    fn verify_server_cert(
        &self,
        certificate: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        name: &ServerName<'_>,
        ocsp: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        // The name is checked last: whoever gets that far has a certificate of the authority.
        match self.0.verify_server_cert(certificate, intermediates, name, ocsp, now) {
            Err(Error::InvalidCertificate(
                CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. },
            )) => Ok(ServerCertVerified::assertion()),
            verdict => verdict,
        }
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.0.verify_tls12_signature(message, certificate, signature)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.0.verify_tls13_signature(message, certificate, signature)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.0.supported_verify_schemes()
    }
}
