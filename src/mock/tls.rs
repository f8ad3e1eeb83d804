//! Where do the listeners' certificates come from?

use std::error::Error;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use rcgen::{BasicConstraints, CertificateParams, DnType, IsCa, Issuer, KeyPair, KeyUsagePurpose};
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::ServerConfig;
use tokio_rustls::rustls::crypto::ring;
use tokio_rustls::rustls::pki_types::PrivateKeyDer;

/// A certificate authority made at start. Its key never leaves the process.
pub struct Authority {
    issuer: Issuer<'static, KeyPair>,
    /// File with the authority's certificate.
    pub path: PathBuf,
}

impl Authority {
    /// Makes an authority and writes `ca.pem` into `directory`.
    pub fn create(directory: &Path) -> Result<Self, Box<dyn Error>> {
        let mut params = CertificateParams::new(Vec::new())?;
        params.distinguished_name.push(DnType::CommonName, "mock-provider authority");
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
        let key = KeyPair::generate()?;
        let certificate = params.self_signed(&key)?;
        fs::create_dir_all(directory)?;
        let path = directory.join("ca.pem");
        fs::write(&path, certificate.pem())?;
        Ok(Self { issuer: Issuer::new(params, key), path })
    }

    /// An acceptor whose certificate is for `hostnames`; an IP address may be among them.
    pub fn acceptor(&self, hostnames: &[String]) -> Result<TlsAcceptor, Box<dyn Error>> {
        let mut params = CertificateParams::new(hostnames)?;
        if let Some(hostname) = hostnames.first() {
            params.distinguished_name.push(DnType::CommonName, hostname);
        }
        let key = KeyPair::generate()?;
        let certificate = params.signed_by(&key, &self.issuer)?;
        let key = PrivateKeyDer::try_from(key.serialize_der())?;
        let mut config = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
            .with_safe_default_protocol_versions()?
            .with_no_client_auth()
            .with_single_cert(vec![certificate.der().clone()], key)?;
        config.alpn_protocols = vec![b"http/1.1".to_vec()];
        Ok(TlsAcceptor::from(Arc::new(config)))
    }
}
