//! The operating system's TCP.

use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use socket2::{SockRef, TcpKeepalive};
use tokio::net::{TcpListener, TcpSocket, TcpStream};

use super::{Bind, Connect, Listener, is_of_one_connection};

/// How many connections may wait to be accepted. Enough for a class that joins in the same second.
const ACCEPT_BACKLOG_CONNECTIONS: u32 = 4_096;

/// How long a connection is silent before TCP probes whether the other machine is still there.
const KEEPALIVE_IDLE: Duration = Duration::from_secs(30);

/// How long TCP waits for an answer before it sends another probe.
const KEEPALIVE_INTERVAL: Duration = Duration::from_secs(10);

/// How many probes may go unanswered. The loss of the other machine is noticed within a minute.
const KEEPALIVE_PROBES: u32 = 3;

/// How long sent data may stay unacknowledged. This is the same minute for connections with data in flight,
/// which TCP does not probe.
#[cfg(any(target_os = "linux", target_os = "android"))]
const UNACKNOWLEDGED_TIMEOUT: Duration = Duration::from_secs(60);

/// How much may wait unsent in a socket that is reported as writable. By default the kernel reports a socket
/// only when a third of its buffer is free, and the buffer grows to megabytes. Slow readers would look like
/// stalled ones, and lag further than their cursors say.
#[cfg(any(target_os = "linux", target_os = "android"))]
const UNSENT_BYTES: u32 = 128 * 1_024;

/// The operating system's TCP.
#[derive(Clone, Copy, Debug, Default)]
pub struct Tcp;

impl Bind for Tcp {
    type Listener = TcpListener;

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
}

impl Connect for Tcp {
    type Stream = TcpStream;

    async fn connect(&self, address: &str) -> io::Result<TcpStream> {
        let stream = TcpStream::connect(address).await?;
        set_options(&stream);
        Ok(stream)
    }
}

/// The operating system's TCP, except that dropped connections are reset, as when a machine fails.
///
/// This lets a program play vanishing clients as well as orderly ones. And a reset connection leaves
/// nothing that could keep a server from its port.
#[derive(Clone, Copy, Debug, Default)]
pub struct ResettingTcp;

impl Connect for ResettingTcp {
    type Stream = TcpStream;

    async fn connect(&self, address: &str) -> io::Result<TcpStream> {
        let stream = Tcp.connect(address).await?;
        // This fails on a connection that is already reset, which does not need it.
        stream.set_zero_linger().or_else(|error| is_of_one_connection(&error).then_some(()).ok_or(error))?;
        Ok(stream)
    }
}

impl Listener for TcpListener {
    type Stream = TcpStream;

    async fn accept(&mut self) -> io::Result<(TcpStream, SocketAddr)> {
        let (stream, peer) = TcpListener::accept(self).await?;
        set_options(&stream);
        Ok((stream, peer))
    }

    fn local_address(&self) -> io::Result<SocketAddr> {
        self.local_addr()
    }

    fn is_encrypted(&self) -> bool {
        false
    }
}

/// Sets the options that both ends of a chat want, as far as the system supports them. A chat works without
/// them. Errors of a connection that is already gone are left to its session.
fn set_options(stream: &TcpStream) {
    // Otherwise a short line waits for the acknowledgement of the previous one.
    let _ = stream.set_nodelay(true);
    // Otherwise a machine that vanishes without a word is never missed. This enables keepalive first, then sets
    // its times, and last the number of probes, which old versions of Windows cannot set.
    let socket = SockRef::from(stream);
    let _ = socket.set_tcp_keepalive(&keepalive());
    #[cfg(any(target_os = "linux", target_os = "android"))]
    {
        let _ = socket.set_tcp_user_timeout(Some(UNACKNOWLEDGED_TIMEOUT));
        let _ = socket.set_tcp_notsent_lowat(UNSENT_BYTES);
    }
}

/// Systems on which the interval cannot be set use their own.
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
    // On Unix this lets a restarted server have its port back at once. Windows does that anyway, and there
    // this option would let two servers share one port.
    #[cfg(unix)]
    socket.set_reuseaddr(true)?;
    socket.bind(address)?;
    socket.listen(ACCEPT_BACKLOG_CONNECTIONS)
}

fn no_address(address: &str) -> io::Error {
    io::Error::new(io::ErrorKind::NotFound, format!("{address} has no address"))
}

#[cfg(test)]
#[cfg(target_os = "linux")]
mod tests {
    use super::*;

    #[test]
    fn tcp_misses_a_machine_that_vanishes_within_a_minute() {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            let mut listener = Tcp.bind("127.0.0.1:0").await.unwrap();
            let address = listener.local_address().unwrap().to_string();
            let connected = Tcp.connect(&address).await.unwrap();
            // The trait's method, which sets the options; the listener's own method of this name does not.
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

    /// By default the kernel reports room only when a third of its buffer is free, and the buffer grows to
    /// megabytes: slow readers would look like stalled ones.
    #[test]
    fn a_peer_that_reads_a_little_makes_room_for_more() {
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
            // A fast reader makes the kernel's buffers grow to some megabytes.
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
            // On a busy machine the report may come late, but not every time.
            let mut least = usize::MAX;
            for _ in 0..10 {
                let mut read = 0;
                while timeout(moment, writer.writable()).await.is_err() {
                    read += reader.read(&mut buffer).await.unwrap();
                }
                while writer.try_write(&buffer).is_ok() {}
                least = least.min(read);
            }
            assert!(least <= 640 * 1_024, "{least} bytes had to be read before any more were taken");
        });
    }
}
