//! TLS 1.3 over any other network: the same chat, encrypted, with a server that proves its identity.

mod client;
mod errors;
mod server;
mod stream;

use std::path::Path;
use std::sync::Arc;

use tokio_rustls::rustls::crypto::{CryptoProvider, ring};
use tokio_rustls::rustls::pki_types::CertificateDer;
use tokio_rustls::rustls::pki_types::pem::PemObject as _;
use tokio_rustls::rustls::version::TLS13;
use tokio_rustls::rustls::{ConfigBuilder, ConfigSide, WantsVerifier, WantsVersions};

pub use client::{TlsClient, Trust};
pub use errors::{CredentialsError, HandshakeError};
pub use server::{Identity, TlsListener, TlsServer};
pub use stream::TlsStream;

/// How many bytes of a connection are encrypted before its socket has taken them.
pub const ENCRYPTED_AHEAD_BYTES: usize = 16 * 1_024;

fn provider() -> Arc<CryptoProvider> {
    Arc::new(ring::default_provider())
}

/// Allows TLS 1.3 and no other version.
fn versions<S: ConfigSide>(builder: ConfigBuilder<S, WantsVersions>) -> ConfigBuilder<S, WantsVerifier> {
    builder.with_protocol_versions(&[&TLS13]).expect("the provider has cipher suites for TLS 1.3")
}

fn certificates(path: &Path) -> Result<Vec<CertificateDer<'static>>, CredentialsError> {
    let certificates: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(&read(path)?).collect();
    certificates
        .ok()
        .filter(|certificates| !certificates.is_empty())
        .ok_or_else(|| CredentialsError::NoCertificate { file: path.to_owned() })
}

fn read(path: &Path) -> Result<Vec<u8>, CredentialsError> {
    std::fs::read(path).map_err(|error| CredentialsError::Unreadable { file: path.to_owned(), error })
}
