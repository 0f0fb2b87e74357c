//! The seam between the chat and the network: the server runs on any [`Bind`], a client on any
//! [`Connect`].
//!
//! Production is [`Tcp`], or [`TlsServer`] and [`TlsClient`] over it; the simulation is an adapter in
//! `tests/sim/`. `tcp.rs` is the only file that names an operating-system socket.

mod errors;
mod tcp;
#[cfg(feature = "tls")]
mod tls;

use std::fmt;
use std::io;
use std::net::SocketAddr;

use tokio::io::{AsyncRead, AsyncWrite};

pub use errors::{explain, is_of_one_connection};
pub use tcp::{ResettingTcp, Tcp};
#[cfg(feature = "tls")]
pub use tls::{
    CredentialsError, ENCRYPTED_AHEAD_BYTES, HandshakeError, Identity, TlsClient, TlsListener, TlsServer,
    TlsStream, Trust,
};

use crate::protocol::DEFAULT_PORT;

/// A network that a server can listen on.
pub trait Bind: Send + Sync + 'static {
    /// The source of connections.
    type Listener: Listener;

    /// Listens on `address` (`host:port`; port 0 asks for a free one).
    fn bind(&self, address: &str) -> impl Future<Output = io::Result<Self::Listener>> + Send;
}

/// A network that a client can connect over.
pub trait Connect: Send + Sync + 'static {
    /// One connection.
    type Stream: Stream;

    /// Connects to `address` (`host:port`).
    fn connect(&self, address: &str) -> impl Future<Output = io::Result<Self::Stream>> + Send;
}

/// A source of incoming connections.
pub trait Listener: Send + 'static {
    /// One connection.
    type Stream: Stream;

    /// Waits for the next connection, and does no work for it: a handshake happens when the stream is first
    /// used, so that no client delays the next one.
    ///
    /// Cancelling this loses no connection.
    ///
    /// # Errors
    ///
    /// Those of the operating system. The listener stays usable: [`is_of_one_connection`] tells whether to
    /// accept again at once or after a pause.
    fn accept(&mut self) -> impl Future<Output = io::Result<(Self::Stream, SocketAddr)>> + Send;

    /// The address of the listener, with the actual port if 0 was asked for.
    ///
    /// # Errors
    ///
    /// If the operating system does not provide it.
    fn local_address(&self) -> io::Result<SocketAddr>;

    /// Whether nobody on the way can read what is sent over its connections.
    fn is_encrypted(&self) -> bool;
}

/// A connection: an ordered stream of bytes in each direction.
pub trait Stream: AsyncRead + AsyncWrite + Unpin + Send + 'static {}

impl<T: AsyncRead + AsyncWrite + Unpin + Send + 'static> Stream for T {}

/// Completes an address that a person typed: the default port is [`DEFAULT_PORT`].
///
/// # Errors
///
/// If it has no host, or a port that is not a number from 0 to 65535.
pub fn parse_address(input: &str) -> Result<String, AddressError> {
    if let Ok(ip) = input.trim_matches(['[', ']']).parse() {
        return Ok(SocketAddr::new(ip, DEFAULT_PORT).to_string());
    }
    let (host, port) = match input.rsplit_once(':') {
        Some((host, port)) => (host, port.parse::<u16>().map_err(|_| AddressError)?),
        None => (input, DEFAULT_PORT),
    };
    if host.is_empty() || host.contains(char::is_whitespace) {
        return Err(AddressError);
    }
    Ok(format!("{host}:{port}"))
}

/// The input is not an address.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AddressError;

impl fmt::Display for AddressError {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("an address is HOST:PORT with a port from 0 to 65535, as in 127.0.0.1:5555")
    }
}

impl std::error::Error for AddressError {}

/// A peer's address as the report prints it, a Python tuple: `('127.0.0.1', 54380)`.
#[derive(Clone, Copy, Debug)]
pub struct Peer(pub SocketAddr);

impl fmt::Display for Peer {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "('{}', {})", self.0.ip().to_canonical(), self.0.port())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_is_completed_with_the_reports_port() {
        for (input, address) in [
            ("127.0.0.1:80", "127.0.0.1:80"),
            ("127.0.0.1", "127.0.0.1:5555"),
            ("chat.example", "chat.example:5555"),
            ("chat.example:0", "chat.example:0"),
            ("::1", "[::1]:5555"),
            ("[::1]", "[::1]:5555"),
            ("[::1]:7", "[::1]:7"),
        ] {
            assert_eq!(parse_address(input).as_deref(), Ok(address), "{input}");
        }
        for input in ["", ":5555", "host:99999", "host:-1", "host:", "host:http", "two words:1"] {
            assert!(parse_address(input).is_err(), "{input}");
        }
    }

    #[test]
    fn a_peer_is_printed_as_the_report_prints_it() {
        let peer = |address: &str| Peer(address.parse().unwrap()).to_string();
        assert_eq!(peer("127.0.0.1:54380"), "('127.0.0.1', 54380)");
        assert_eq!(peer("[::1]:5"), "('::1', 5)");
        assert_eq!(peer("[::ffff:10.0.0.1]:5"), "('10.0.0.1', 5)", "an IPv4 peer of a dual-stack socket");
    }
}
