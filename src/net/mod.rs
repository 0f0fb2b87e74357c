//! The seam between the chat and the network: everything above it runs on any [`Network`].
//!
//! Production is [`Tcp`], or [`Tls`] over it; the simulation is an adapter in `tests/sim/`. This is
//! the only module that names an operating-system socket.

#[cfg(feature = "tls")]
mod tls;
#[cfg(feature = "tls")]
mod tls_errors;

use std::fmt;
use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use socket2::{SockRef, TcpKeepalive};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpSocket, TcpStream};

#[cfg(feature = "tls")]
pub use tls::{ENCRYPTED_AHEAD_BYTES, Identity, Tls, TlsListener, TlsStream, Trust};

use crate::protocol::DEFAULT_PORT;

/// How many connections may wait to be accepted. A class that joins in the same second fits.
const ACCEPT_BACKLOG_CONNECTIONS: u32 = 4_096;

/// How long a connection is silent before TCP asks whether the other machine is still there.
const KEEPALIVE_IDLE: Duration = Duration::from_secs(30);

/// How long it waits for the answer before it asks again.
const KEEPALIVE_INTERVAL: Duration = Duration::from_secs(10);

/// How many times it asks in vain: the other machine is known to be gone after a minute.
const KEEPALIVE_PROBES: u32 = 3;

/// How long what was sent may go without a sign that it has arrived, where TCP can be told: the same
/// minute, for a connection on which something is on its way and which is therefore not asked.
#[cfg(any(target_os = "linux", target_os = "android"))]
const UNACKNOWLEDGED_TIMEOUT: Duration = Duration::from_secs(60);

/// How much may wait unsent in a socket that takes more. The kernel would have a socket take more only when a
/// third of its buffer is free, which grows to megabytes: who reads slowly would look like who reads nothing,
/// and be behind by more than its cursor says.
#[cfg(any(target_os = "linux", target_os = "android"))]
const UNSENT_BYTES: u32 = 128 * 1_024;

/// A kind of network that a server can listen on and a client can connect over.
pub trait Network: Clone + Send + Sync + 'static {
    /// What [`Network::bind`] gives.
    type Listener: Listener<Stream = Self::Stream>;
    /// One connection.
    type Stream: Stream;

    /// Listens on `address` (`host:port`; port 0 asks for a free one).
    fn bind(&self, address: &str) -> impl Future<Output = io::Result<Self::Listener>> + Send;

    /// Connects to `address` (`host:port`).
    fn connect(&self, address: &str) -> impl Future<Output = io::Result<Self::Stream>> + Send;
}

/// Where connections arrive.
pub trait Listener: Send + 'static {
    /// One connection.
    type Stream: Stream;

    /// Waits for the next connection, and does no work for it: whatever a stream still needs (a
    /// handshake, encryption) happens when it is first used, so that nobody delays the next one.
    ///
    /// Cancelling this loses no connection.
    ///
    /// # Errors
    ///
    /// What the operating system says; the caller decides whether to go on.
    fn accept(&mut self) -> impl Future<Output = io::Result<(Self::Stream, SocketAddr)>> + Send;

    /// The address that is listened on, with the real port where 0 was asked for.
    ///
    /// # Errors
    ///
    /// If the operating system does not tell.
    fn local_address(&self) -> io::Result<SocketAddr>;
}

/// A connection: bytes both ways, in order.
pub trait Stream: AsyncRead + AsyncWrite + Unpin + Send + 'static {}

impl<T: AsyncRead + AsyncWrite + Unpin + Send + 'static> Stream for T {}

/// The operating system's TCP.
#[derive(Clone, Copy, Debug, Default)]
pub struct Tcp;

impl Network for Tcp {
    type Listener = TcpListener;
    type Stream = TcpStream;

    async fn bind(&self, address: &str) -> io::Result<TcpListener> {
        let mut last_error = no_address(address);
        for address in tokio::net::lookup_host(address).await? {
            match bind_one(address) {
                Ok(listener) => return Ok(listener),
                Err(error) => last_error = error,
            }
        }
        Err(last_error)
    }

    async fn connect(&self, address: &str) -> io::Result<TcpStream> {
        let stream = TcpStream::connect(address).await?;
        set_options(&stream)?;
        Ok(stream)
    }
}

/// The operating system's TCP, but a connection that is dropped is reset, as when a machine fails.
///
/// Who plays both the vanishing client and the one that closes in order needs to tell the two
/// apart; and after a reset nothing of the connection is left that could keep a server from its port.
#[derive(Clone, Copy, Debug, Default)]
pub struct ResettingTcp;

impl Network for ResettingTcp {
    type Listener = TcpListener;
    type Stream = TcpStream;

    async fn bind(&self, address: &str) -> io::Result<TcpListener> {
        Tcp.bind(address).await
    }

    async fn connect(&self, address: &str) -> io::Result<TcpStream> {
        let stream = Tcp.connect(address).await?;
        stream.set_zero_linger()?;
        Ok(stream)
    }
}

impl Listener for TcpListener {
    type Stream = TcpStream;

    async fn accept(&mut self) -> io::Result<(TcpStream, SocketAddr)> {
        let (stream, peer) = TcpListener::accept(self).await?;
        // This fails only on a connection that is gone already, which its session will notice by itself.
        let _ = set_options(&stream);
        Ok((stream, peer))
    }

    fn local_address(&self) -> io::Result<SocketAddr> {
        self.local_addr()
    }
}

/// Sets what both ends of a chat need.
fn set_options(stream: &TcpStream) -> io::Result<()> {
    // Without this a short line waits for the acknowledgement of the one before it.
    stream.set_nodelay(true)?;
    // Without these a machine that has vanished without a word is never missed.
    let socket = SockRef::from(stream);
    socket.set_tcp_keepalive(&keepalive())?;
    #[cfg(any(target_os = "linux", target_os = "android"))]
    {
        socket.set_tcp_user_timeout(Some(UNACKNOWLEDGED_TIMEOUT))?;
        socket.set_tcp_notsent_lowat(UNSENT_BYTES)?;
    }
    Ok(())
}

/// Where TCP cannot be told how often to ask, it does as it is set up.
fn keepalive() -> TcpKeepalive {
    let keepalive = TcpKeepalive::new().with_time(KEEPALIVE_IDLE);
    #[cfg(any(
        target_os = "linux",
        target_os = "android",
        target_os = "macos",
        target_os = "ios",
        target_os = "freebsd",
        target_os = "netbsd",
        windows
    ))]
    let keepalive = keepalive.with_interval(KEEPALIVE_INTERVAL).with_retries(KEEPALIVE_PROBES);
    keepalive
}

fn bind_one(address: SocketAddr) -> io::Result<TcpListener> {
    let socket = if address.is_ipv4() { TcpSocket::new_v4() } else { TcpSocket::new_v6() }?;
    // On Unix this lets a restarted server have its port back at once. On Windows, where that is
    // so anyway, it would let two servers share one port.
    #[cfg(unix)]
    socket.set_reuseaddr(true)?;
    socket.bind(address)?;
    socket.listen(ACCEPT_BACKLOG_CONNECTIONS)
}

fn no_address(address: &str) -> io::Error {
    io::Error::new(io::ErrorKind::NotFound, format!("{address} has no address"))
}

/// Completes what a person typed for an address: without a port it is [`DEFAULT_PORT`].
///
/// # Errors
///
/// A sentence that says what an address looks like.
pub fn parse_address(input: &str) -> Result<String, String> {
    const FORM: &str = "an address is HOST:PORT with a port from 0 to 65535, as in 127.0.0.1:5555";
    if let Ok(ip) = input.trim_matches(['[', ']']).parse() {
        return Ok(SocketAddr::new(ip, DEFAULT_PORT).to_string());
    }
    let (host, port) = match input.rsplit_once(':') {
        Some((host, port)) => (host, port.parse::<u16>().map_err(|_| FORM)?),
        None => (input, DEFAULT_PORT),
    };
    if host.is_empty() || host.contains(char::is_whitespace) {
        return Err(FORM.to_owned());
    }
    Ok(format!("{host}:{port}"))
}

/// Says in words for people what went wrong with a socket or a file.
#[must_use]
pub fn explain(error: &io::Error) -> String {
    match error.kind() {
        io::ErrorKind::AddrInUse => "the port is in use".to_owned(),
        io::ErrorKind::AddrNotAvailable => "this machine does not have that address".to_owned(),
        io::ErrorKind::ConnectionRefused => "connection refused".to_owned(),
        io::ErrorKind::ConnectionReset | io::ErrorKind::ConnectionAborted | io::ErrorKind::BrokenPipe => {
            "connection reset".to_owned()
        }
        io::ErrorKind::TimedOut => "timed out".to_owned(),
        io::ErrorKind::PermissionDenied => "permission denied".to_owned(),
        io::ErrorKind::HostUnreachable | io::ErrorKind::NetworkUnreachable => "no way to reach it".to_owned(),
        io::ErrorKind::StorageFull => "no space left on device".to_owned(),
        // Every other text of the operating system, without the number it appends.
        _ => {
            let text = error.to_string();
            if text.starts_with("failed to lookup address information") {
                return "unknown host".to_owned();
            }
            text.split(" (os error").next().unwrap_or_default().to_owned()
        }
    }
}

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
    #[cfg(target_os = "linux")]
    fn tcp_misses_a_machine_that_vanishes_within_a_minute() {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            let mut listener = Tcp.bind("127.0.0.1:0").await.unwrap();
            let address = listener.local_address().unwrap().to_string();
            let connected = Tcp.connect(&address).await.unwrap();
            // What the server calls, and not the method of the same name that sets nothing.
            let (accepted, _) = Listener::accept(&mut listener).await.unwrap();
            for stream in [&connected, &accepted] {
                let socket = SockRef::from(stream);
                assert!(socket.keepalive().unwrap());
                let asked =
                    socket.tcp_keepalive_interval().unwrap() * socket.tcp_keepalive_retries().unwrap();
                assert_eq!(socket.tcp_keepalive_time().unwrap() + asked, Duration::from_secs(60));
                assert_eq!(socket.tcp_user_timeout().unwrap(), Some(Duration::from_secs(60)));
            }
        });
    }

    /// The kernel alone says so only when a third of its buffer is free, which grows to megabytes: who reads
    /// slowly would look like who reads nothing.
    #[test]
    #[cfg(target_os = "linux")]
    fn who_reads_a_little_makes_room_for_more() {
        use tokio::io::AsyncReadExt as _;
        use tokio::time::timeout;
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            let mut listener = Tcp.bind("127.0.0.1:0").await.unwrap();
            let address = listener.local_address().unwrap().to_string();
            let mut reader = Tcp.connect(&address).await.unwrap();
            let (writer, _) = Listener::accept(&mut listener).await.unwrap();
            let mut buffer = vec![0; 64 * 1_024];
            let moment = Duration::from_millis(20);
            // While somebody reads fast the kernel's buffers grow, to some megabytes at the end.
            let mut waiting = 0;
            for _ in 0..200 {
                while let Ok(length) = writer.try_write(&buffer) {
                    waiting += length;
                }
                while waiting > 0 {
                    waiting -= reader.read(&mut buffer).await.unwrap();
                }
                writer.writable().await.unwrap();
            }
            while timeout(moment, writer.writable()).await.is_ok() {
                while writer.try_write(&buffer).is_ok() {}
            }
            let mut most = 0;
            for _ in 0..10 {
                let mut read = 0;
                while timeout(moment, writer.writable()).await.is_err() {
                    read += reader.read(&mut buffer).await.unwrap();
                }
                while writer.try_write(&buffer).is_ok() {}
                most = most.max(read);
            }
            assert!(most <= 640 * 1_024, "{most} bytes had to be read before any more were taken");
        });
    }

    #[test]
    fn a_peer_is_printed_as_the_report_prints_it() {
        let peer = |address: &str| Peer(address.parse().unwrap()).to_string();
        assert_eq!(peer("127.0.0.1:54380"), "('127.0.0.1', 54380)");
        assert_eq!(peer("[::1]:5"), "('::1', 5)");
        assert_eq!(peer("[::ffff:10.0.0.1]:5"), "('10.0.0.1', 5)", "an IPv4 peer of a dual-stack socket");
    }
}
