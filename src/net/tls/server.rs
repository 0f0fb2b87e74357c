//! The side that listens.

use std::fmt;
use std::io;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::client::verify_server_cert_signed_by_trust_anchor;
use tokio_rustls::rustls::pki_types::pem::PemObject as _;
use tokio_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer, UnixTime};
use tokio_rustls::rustls::server::ParsedCertificate;
use tokio_rustls::rustls::{Error, RootCertStore, ServerConfig};

use super::errors::explain_to_operator;
use super::stream::TlsStream;
use super::{CredentialsError, ENCRYPTED_AHEAD_BYTES, certificates, provider, read, versions};
use crate::net::{Bind, Listener};

/// Listens on another network, and encrypts its connections.
#[derive(Clone, Debug)]
pub struct TlsServer<N> {
    network: N,
    identity: Identity,
}

impl<N> TlsServer<N> {
    /// A server on `network` that shows `identity`.
    pub fn new(network: N, identity: Identity) -> Self {
        Self { network, identity }
    }
}

impl<N: Bind> Bind for TlsServer<N> {
    type Listener = TlsListener<N::Listener>;

    async fn bind(&self, address: &str) -> io::Result<Self::Listener> {
        let listener = self.network.bind(address).await?;
        Ok(TlsListener { listener, acceptor: TlsAcceptor::from(Arc::clone(&self.identity.config)) })
    }
}

/// A source of connections that are to be encrypted.
pub struct TlsListener<L> {
    listener: L,
    acceptor: TlsAcceptor,
}

impl<L: Listener> Listener for TlsListener<L> {
    type Stream = TlsStream<L::Stream>;

    async fn accept(&mut self) -> io::Result<(Self::Stream, SocketAddr)> {
        let (stream, peer) = self.listener.accept().await?;
        // This only prepares the handshake, which begins when the stream is first used.
        let handshake = self.acceptor.accept_with(stream, |connection| {
            connection.set_buffer_limit(Some(ENCRYPTED_AHEAD_BYTES));
        });
        Ok((TlsStream::shaking(handshake, peer), peer))
    }

    fn local_address(&self) -> io::Result<SocketAddr> {
        self.listener.local_address()
    }

    fn is_encrypted(&self) -> bool {
        true
    }
}

/// How a server proves its identity: a certificate and its private key.
#[derive(Clone)]
pub struct Identity {
    config: Arc<ServerConfig>,
    certificate: CertificateDer<'static>,
    /// The file of the certificate.
    path: PathBuf,
}

impl Identity {
    /// Reads a certificate, followed by those of intermediate authorities, and its private key,
    /// both in PEM.
    ///
    /// # Errors
    ///
    /// If one of the files cannot be used, or they do not belong together.
    pub fn load(certificate: &Path, key: &Path) -> Result<Self, CredentialsError> {
        let chain = certificates(certificate)?;
        let own = chain[0].clone();
        let private_key = PrivateKeyDer::from_pem_slice(&read(key)?)
            .map_err(|_| CredentialsError::NoPrivateKey { file: key.to_owned() })?;
        let config = versions(ServerConfig::builder_with_provider(provider()))
            .with_no_client_auth()
            .with_single_cert(chain, private_key)
            .map_err(|error| {
                let (certificate, key) = (certificate.to_owned(), key.to_owned());
                match error {
                    Error::InconsistentKeys(_) => CredentialsError::WrongPrivateKey { certificate, key },
                    error => CredentialsError::Unusable { certificate, key, error: error.into() },
                }
            })?;
        Ok(Self { config: Arc::new(config), certificate: own, path: certificate.to_owned() })
    }

    /// A sentence for the operator if no client will trust the certificate at this time, whatever authorities
    /// the client trusts: why, and what to do.
    #[must_use]
    pub fn warning(&self, now: Timestamp) -> Option<String> {
        let since_1970 = Duration::try_from(now.as_duration()).unwrap_or_default();
        // Clients verify it the same way. Without authorities, the issuer of a good certificate is unknown.
        let verified = ParsedCertificate::try_from(&self.certificate).and_then(|certificate| {
            verify_server_cert_signed_by_trust_anchor(
                &certificate,
                &RootCertStore::empty(),
                &[],
                UnixTime::since_unix_epoch(since_1970),
                provider().signature_verification_algorithms.all,
            )
        });
        explain_to_operator(&verified.err()?, &self.path)
    }
}

impl fmt::Debug for Identity {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("Identity")
    }
}
