//! The side that connects.

use std::fmt;
use std::io;
use std::path::Path;
use std::sync::Arc;

use tokio_rustls::TlsConnector;
use tokio_rustls::rustls::pki_types::ServerName;
use tokio_rustls::rustls::{ClientConfig, RootCertStore};

use super::errors::explain_to_client;
use super::stream::TlsStream;
use super::{CredentialsError, ENCRYPTED_AHEAD_BYTES, certificates, provider, versions};
use crate::net::Connect;

/// Connects over another network, encrypts, and verifies the identity of the server.
#[derive(Clone, Debug)]
pub struct TlsClient<N> {
    network: N,
    trust: Trust,
}

impl<N> TlsClient<N> {
    /// A client on `network` that trusts the authorities of `trust`.
    pub fn new(network: N, trust: Trust) -> Self {
        Self { network, trust }
    }
}

impl<N: Connect> Connect for TlsClient<N> {
    type Stream = TlsStream<N::Stream>;

    /// Connects and shakes hands at once: unlike at the server, this delays nobody else.
    async fn connect(&self, address: &str) -> io::Result<Self::Stream> {
        let host = address.rsplit_once(':').map_or(address, |(host, _)| host).trim_matches(['[', ']']);
        let name = ServerName::try_from(host.to_owned())
            .map_err(|_| io::Error::other(format!("no certificate can be for the name {host}")))?;
        let stream = self.network.connect(address).await?;
        let shaken = TlsConnector::from(Arc::clone(&self.trust.0))
            .connect_with(name, stream, |connection| {
                connection.set_buffer_limit(Some(ENCRYPTED_AHEAD_BYTES));
            })
            .await;
        shaken.map(TlsStream::open).map_err(|error| explain_to_client(error, host))
    }
}

/// The authorities that a client trusts to vouch for a server.
#[derive(Clone)]
pub struct Trust(Arc<ClientConfig>);

impl Trust {
    /// The authorities whose certificates the file holds, in PEM, and no others.
    ///
    /// # Errors
    ///
    /// If the file cannot be used.
    pub fn load(authorities: &Path) -> Result<Self, CredentialsError> {
        let mut roots = RootCertStore::empty();
        for certificate in certificates(authorities)? {
            roots.add(certificate).map_err(|error| CredentialsError::UnusableAuthority {
                file: authorities.to_owned(),
                error: error.into(),
            })?;
        }
        Ok(Self::new(roots))
    }

    /// The authorities that this machine trusts.
    ///
    /// # Errors
    ///
    /// If there are none.
    pub fn of_this_machine() -> Result<Self, CredentialsError> {
        let mut roots = RootCertStore::empty();
        // Unusable certificates are skipped.
        roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
        if roots.is_empty() {
            return Err(CredentialsError::NoAuthorities);
        }
        Ok(Self::new(roots))
    }

    fn new(roots: RootCertStore) -> Self {
        let config = versions(ClientConfig::builder_with_provider(provider()))
            .with_root_certificates(roots)
            .with_no_client_auth();
        Self(Arc::new(config))
    }
}

impl fmt::Debug for Trust {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("Trust")
    }
}
