//! An encrypted connection.

use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio_rustls::Accept;
use tracing::{debug, warn};

use super::errors::explain_to_server;
use crate::net::{Peer, Stream};

/// An encrypted connection. At the server the handshake happens when it is first read from or written to.
pub struct TlsStream<S>(State<S>);

enum State<S> {
    /// The handshake with this peer is not complete.
    Shaking(Box<Accept<S>>, SocketAddr),
    /// The handshake is complete.
    Open(Box<tokio_rustls::TlsStream<S>>),
    /// The handshake has failed.
    Broken,
}

impl<S: Stream> TlsStream<S> {
    /// A connection that begins with the server's side of a handshake with `peer`.
    pub(super) fn shaking(handshake: Accept<S>, peer: SocketAddr) -> Self {
        Self(State::Shaking(Box::new(handshake), peer))
    }

    /// A connection whose handshake is complete.
    pub(super) fn open(stream: impl Into<tokio_rustls::TlsStream<S>>) -> Self {
        Self(State::Open(Box::new(stream.into())))
    }

    /// Continues the handshake if it is not complete.
    fn poll_open(
        &mut self,
        context: &mut Context<'_>,
    ) -> Poll<io::Result<Pin<&mut tokio_rustls::TlsStream<S>>>> {
        if let State::Shaking(handshake, peer) = &mut self.0 {
            self.0 = match ready!(Pin::new(handshake).poll(context)) {
                Ok(stream) => {
                    debug!(%peer, "TLS");
                    State::Open(Box::new(stream.into()))
                }
                Err(error) => {
                    warn!(event = "tls", %peer, "No TLS with {}: {}", Peer(*peer), explain_to_server(&error));
                    State::Broken
                }
            };
        }
        match &mut self.0 {
            State::Open(stream) => Poll::Ready(Ok(Pin::new(stream))),
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
