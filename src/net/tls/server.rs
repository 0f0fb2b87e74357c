//! The side that listens.

use std::fmt;
use std::io;
use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;

use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::pki_types::PrivateKeyDer;
use tokio_rustls::rustls::pki_types::pem::PemObject as _;
use tokio_rustls::rustls::version::TLS13;
use tokio_rustls::rustls::{Error, ServerConfig};

use super::stream::TlsStream;
use super::{ENCRYPTED_AHEAD_BYTES, certificates, provider, read};
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
        Ok(TlsListener { listener, acceptor: TlsAcceptor::from(Arc::clone(&self.identity.0)) })
    }
}

/// Where connections arrive that are to be encrypted.
pub struct TlsListener<L> {
    listener: L,
    acceptor: TlsAcceptor,
}

impl<L: Listener> Listener for TlsListener<L> {
    type Stream = TlsStream<L::Stream>;

    async fn accept(&mut self) -> io::Result<(Self::Stream, SocketAddr)> {
        let (stream, peer) = self.listener.accept().await?;
        // This only makes ready: the handshake begins when the stream is first used.
        let handshake = self.acceptor.accept_with(stream, |connection| {
            connection.set_buffer_limit(Some(ENCRYPTED_AHEAD_BYTES));
        });
        Ok((TlsStream::shaking(handshake, peer), peer))
    }

    fn local_address(&self) -> io::Result<SocketAddr> {
        self.listener.local_address()
    }
}

/// What a server shows for itself: a certificate, and the key to it.
#[derive(Clone)]
pub struct Identity(Arc<ServerConfig>);

impl Identity {
    /// Reads a certificate, followed by those of intermediate authorities, and its private key,
    /// both in PEM.
    ///
    /// # Errors
    ///
    /// Says in words which file cannot be used, and why.
    pub fn load(certificate: &Path, key: &Path) -> Result<Self, String> {
        let chain = certificates(certificate)?;
        let private_key = PrivateKeyDer::from_pem_slice(&read(key)?).map_err(|_| {
            format!("{} holds no private key in PEM, or one with a passphrase", key.display())
        })?;
        let config = ServerConfig::builder_with_provider(provider())
            .with_protocol_versions(&[&TLS13])
            .and_then(|builder| builder.with_no_client_auth().with_single_cert(chain, private_key))
            .map_err(|error| match error {
                Error::InconsistentKeys(_) => {
                    format!(
                        "the key {} is not that of the certificate {}",
                        key.display(),
                        certificate.display()
                    )
                }
                error => format!(
                    "the certificate {} and the key {} cannot be used: {error}",
                    certificate.display(),
                    key.display()
                ),
            })?;
        Ok(Self(Arc::new(config)))
    }
}

impl fmt::Debug for Identity {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("Identity")
    }
}
