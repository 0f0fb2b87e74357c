//! TLS 1.3 over any other network: the same chat, encrypted, and the server is who it says it is.

use std::fmt;
use std::io;
use std::net::SocketAddr;
use std::path::Path;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio_rustls::rustls::crypto::{CryptoProvider, ring};
use tokio_rustls::rustls::pki_types::pem::PemObject as _;
use tokio_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use tokio_rustls::rustls::version::TLS13;
use tokio_rustls::rustls::{ClientConfig, Error, RootCertStore, ServerConfig};
use tokio_rustls::{Accept, TlsAcceptor, TlsConnector};
use tracing::{debug, warn};

use super::tls_errors::{explain_to_client, explain_to_server};
use super::{Listener, Network, Peer, Stream, explain};

/// How many bytes of a connection are encrypted ahead of what its socket has taken.
pub const ENCRYPTED_AHEAD_BYTES: usize = 16 * 1_024;

/// A [`Network`] over which everything is encrypted. One side of it listens, the other connects.
#[derive(Clone, Debug)]
pub struct Tls<N> {
    network: N,
    side: Side,
}

#[derive(Clone, Debug)]
enum Side {
    Server(Identity),
    Client(Trust),
}

impl<N> Tls<N> {
    /// The side that listens.
    pub fn server(network: N, identity: Identity) -> Self {
        Self { network, side: Side::Server(identity) }
    }

    /// The side that connects.
    pub fn client(network: N, trust: Trust) -> Self {
        Self { network, side: Side::Client(trust) }
    }
}

/// What a server shows for itself: a certificate, and the key to it.
#[derive(Clone)]
pub struct Identity(Arc<ServerConfig>);

impl Identity {
    /// Reads a certificate, with those of intermediate authorities behind it, and its private key,
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

/// Which authorities a client trusts to say who a server is.
#[derive(Clone)]
pub struct Trust(Arc<ClientConfig>);

impl Trust {
    /// Those of which the file holds the certificates, in PEM, and no others.
    ///
    /// # Errors
    ///
    /// Says in words why the file cannot be used.
    pub fn load(authorities: &Path) -> Result<Self, String> {
        let mut roots = RootCertStore::empty();
        for certificate in certificates(authorities)? {
            roots.add(certificate).map_err(|error| {
                format!("the certificate {} cannot be used: {error}", authorities.display())
            })?;
        }
        Self::new(roots)
    }

    /// Those that this machine trusts.
    ///
    /// # Errors
    ///
    /// If there are none.
    pub fn of_this_machine() -> Result<Self, String> {
        let mut roots = RootCertStore::empty();
        // A certificate that cannot be used is one fewer to trust.
        roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
        if roots.is_empty() {
            return Err("this machine trusts no authorities".to_owned());
        }
        Self::new(roots)
    }

    fn new(roots: RootCertStore) -> Result<Self, String> {
        let config = ClientConfig::builder_with_provider(provider())
            .with_protocol_versions(&[&TLS13])
            .map_err(|error| error.to_string())?
            .with_root_certificates(roots)
            .with_no_client_auth();
        Ok(Self(Arc::new(config)))
    }
}

impl fmt::Debug for Trust {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("Trust")
    }
}

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

impl<N: Network> Network for Tls<N> {
    type Listener = TlsListener<N::Listener>;
    type Stream = TlsStream<N::Stream>;

    async fn bind(&self, address: &str) -> io::Result<Self::Listener> {
        let Side::Server(identity) = &self.side else { return Err(io::ErrorKind::Unsupported.into()) };
        let listener = self.network.bind(address).await?;
        Ok(TlsListener { listener, acceptor: TlsAcceptor::from(Arc::clone(&identity.0)) })
    }

    /// Connects and shakes hands: here nobody else waits meanwhile.
    async fn connect(&self, address: &str) -> io::Result<Self::Stream> {
        let Side::Client(trust) = &self.side else { return Err(io::ErrorKind::Unsupported.into()) };
        let host = address.rsplit_once(':').map_or(address, |(host, _)| host).trim_matches(['[', ']']);
        let name = ServerName::try_from(host.to_owned())
            .map_err(|_| io::Error::other(format!("no certificate can be for the name {host}")))?;
        let stream = self.network.connect(address).await?;
        let shaken = TlsConnector::from(Arc::clone(&trust.0))
            .connect_with(name, stream, |connection| {
                connection.set_buffer_limit(Some(ENCRYPTED_AHEAD_BYTES));
            })
            .await;
        let stream = shaken.map_err(|error| explain_to_client(error, host))?;
        Ok(TlsStream::Open(Box::new(stream.into())))
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
        Ok((TlsStream::Shaking(Box::new(handshake), peer), peer))
    }

    fn local_address(&self) -> io::Result<SocketAddr> {
        self.listener.local_address()
    }
}

/// An encrypted connection. That of a server shakes hands when it is first read from or written to.
pub enum TlsStream<S> {
    /// The handshake with this peer is not over.
    Shaking(Box<Accept<S>>, SocketAddr),
    /// It is.
    Open(Box<tokio_rustls::TlsStream<S>>),
    /// It has failed.
    Broken,
}

impl<S: Stream> TlsStream<S> {
    /// Goes on with the handshake, if there is still one.
    fn poll_open(
        &mut self,
        context: &mut Context<'_>,
    ) -> Poll<io::Result<Pin<&mut tokio_rustls::TlsStream<S>>>> {
        if let Self::Shaking(handshake, peer) = self {
            *self = match ready!(Pin::new(handshake).poll(context)) {
                Ok(stream) => {
                    debug!(%peer, "TLS");
                    Self::Open(Box::new(stream.into()))
                }
                Err(error) => {
                    warn!(event = "tls", %peer, "No TLS with {}: {}", Peer(*peer), explain_to_server(&error));
                    Self::Broken
                }
            };
        }
        match self {
            Self::Open(stream) => Poll::Ready(Ok(Pin::new(stream))),
            _ => Poll::Ready(Err(io::ErrorKind::BrokenPipe.into())),
        }
    }
}

impl<S: Stream> AsyncRead for TlsStream<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        ready!(self.poll_open(context))?.poll_read(context, buffer)
    }
}

impl<S: Stream> AsyncWrite for TlsStream<S> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        ready!(self.poll_open(context))?.poll_write(context, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        ready!(self.poll_open(context))?.poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        ready!(self.poll_open(context))?.poll_shutdown(context)
    }
}
