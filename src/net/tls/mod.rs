//! TLS 1.3 over any other network: the same chat, encrypted, and the server is who it says it is.

mod client;
mod errors;
mod server;
mod stream;

use std::path::Path;
use std::sync::Arc;

use tokio_rustls::rustls::crypto::{CryptoProvider, ring};
use tokio_rustls::rustls::pki_types::CertificateDer;
use tokio_rustls::rustls::pki_types::pem::PemObject as _;

pub use client::{TlsClient, Trust};
pub use server::{Identity, TlsListener, TlsServer};
pub use stream::TlsStream;

use super::explain;

/// How many bytes of a connection are encrypted ahead of what its socket has taken.
pub const ENCRYPTED_AHEAD_BYTES: usize = 16 * 1_024;

fn provider() -> Arc<CryptoProvider> {
    Arc::new(ring::default_provider())
}

fn certificates(path: &Path) -> Result<Vec<CertificateDer<'static>>, String> {
    let certificates: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(&read(path)?).collect();
    certificates
        .ok()
        .filter(|certificates| !certificates.is_empty())
        .ok_or_else(|| format!("{} holds no certificate in PEM", path.display()))
}

fn read(path: &Path) -> Result<Vec<u8>, String> {
    std::fs::read(path).map_err(|error| format!("cannot read {}: {}", path.display(), explain(&error)))
}
