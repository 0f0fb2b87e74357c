//! Our seam over turmoil: the simulated counterpart of `Tcp`.
//!
//! turmoil delivers every write whole. Real networks do not, so a stream here can cut its data into seeded
//! pieces, even in the middle of a character. Every delivery is an event at `TRACE`, by which two runs of
//! one seed are compared.

use std::cell::RefCell;
use std::collections::BTreeSet;
use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use commonroom::net::{Bind, Connect, Listener};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::{Instant, Interval, interval_at};
use tracing::{debug, trace};
use turmoil::net::{TcpListener, TcpStream};

use super::recording;
use super::support::random::SplitMix64;

/// The network of the simulation that runs on this thread, as one host sees it.
#[derive(Clone, Debug, Default)]
pub struct Simulated {
    /// The pieces into which connections cut the data.
    pub pieces: Option<Pieces>,
    /// The local address of the last connection, by which it is found in the log.
    pub last_local: Arc<Mutex<Option<SocketAddr>>>,
    /// A server needs them to accept connections.
    pub descriptors: Descriptors,
}

/// Whether the operating system still has descriptors for new connections.
#[derive(Clone, Debug, Default)]
pub struct Descriptors(Arc<AtomicBool>);

impl Descriptors {
    pub fn exhaust(&self, exhausted: bool) {
        self.0.store(exhausted, Ordering::Relaxed);
    }

    fn are_exhausted(&self) -> bool {
        self.0.load(Ordering::Relaxed)
    }
}

/// How often the server's side of a connection checks that the other side is still there.
const KEEPALIVE: Duration = Duration::from_secs(15);

thread_local! {
    /// The open connections to the server, in the simulations on this thread. turmoil has no keepalive: it
    /// never tells the server that a member is gone whose last segment was lost.
    static OPEN: RefCell<BTreeSet<SocketAddr>> = const { RefCell::new(BTreeSet::new()) };
}

/// Pieces of 1 to `largest` bytes, drawn from `seed`.
#[derive(Clone, Copy, Debug)]
pub struct Pieces {
    pub seed: u64,
    pub largest: usize,
}

impl Simulated {
    pub fn cut_into(pieces: Option<Pieces>) -> Self {
        Self { pieces, ..Self::default() }
    }

    fn stream(&self, stream: TcpStream, peer: SocketAddr, end: End) -> SimulatedStream {
        // Each connection draws other pieces, and so does each side of it.
        let pieces =
            self.pieces.map(|pieces| Pieces { seed: pieces.seed ^ u64::from(peer.port()), ..pieces });
        let local = stream.local_addr().expect("a connection has two ends");
        SimulatedStream { stream, local, peer, pieces, end }
    }
}

impl Bind for Simulated {
    type Listener = SimulatedListener;

    async fn bind(&self, address: &str) -> io::Result<SimulatedListener> {
        let listener = TcpListener::bind(split(address)?).await?;
        Ok(SimulatedListener { listener, waiting: None, network: self.clone() })
    }
}

impl Connect for Simulated {
    type Stream = SimulatedStream;

    async fn connect(&self, address: &str) -> io::Result<SimulatedStream> {
        let stream = TcpStream::connect(split(address)?).await?;
        let (local, peer) = (stream.local_addr()?, stream.peer_addr()?);
        *self.last_local.lock().unwrap() = Some(local);
        OPEN.with_borrow_mut(|open| open.insert(local));
        Ok(self.stream(stream, peer, End::Connected(local)))
    }
}

pub struct SimulatedListener {
    listener: TcpListener,
    /// The next connection in the queue, if there was no descriptor for it.
    waiting: Option<(TcpStream, SocketAddr)>,
    network: Simulated,
}

impl Listener for SimulatedListener {
    type Stream = SimulatedStream;

    async fn accept(&mut self) -> io::Result<(SimulatedStream, SocketAddr)> {
        let (stream, peer) = match self.waiting.take() {
            Some(waiting) => waiting,
            None => self.listener.accept().await?,
        };
        if self.network.descriptors.are_exhausted() {
            self.waiting = Some((stream, peer));
            return Err(io::Error::other("too many open files"));
        }
        let keepalive = interval_at(Instant::now() + KEEPALIVE, KEEPALIVE);
        Ok((self.network.stream(stream, peer, End::Accepted(keepalive)), peer))
    }

    fn local_address(&self) -> io::Result<SocketAddr> {
        self.listener.local_addr()
    }

    fn is_encrypted(&self) -> bool {
        false
    }
}

pub struct SimulatedStream {
    stream: TcpStream,
    local: SocketAddr,
    peer: SocketAddr,
    pieces: Option<Pieces>,
    end: End,
}

/// Which end of a connection this is.
enum End {
    /// The one that connected, from this address.
    Connected(SocketAddr),
    /// The one that accepted, and checks now and then that the other is still there.
    Accepted(Interval),
}

impl Drop for End {
    fn drop(&mut self) {
        if let Self::Connected(local) = self {
            OPEN.with_borrow_mut(|open| open.remove(local));
        }
    }
}

impl AsyncRead for SimulatedStream {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let length = buffer.remaining().min(self.pieces.as_ref().map_or(usize::MAX, Pieces::peek));
        let mut piece = ReadBuf::new(buffer.initialize_unfilled_to(length));
        if Pin::new(&mut self.stream).poll_read(context, &mut piece)?.is_pending() {
            return self.poll_keepalive(context);
        }
        trace!(target: "network", peer = %self.peer, bytes = %piece.filled().escape_ascii(), "delivered");
        recording::delivered(self.peer, self.local, piece.filled().len());
        if ends_inside_a_character(piece.filled()) {
            debug!(target: "network", "cut inside a character");
        }
        let read = piece.filled().len();
        buffer.advance(read);
        self.draw();
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for SimulatedStream {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let length = bytes.len().min(self.pieces.as_ref().map_or(usize::MAX, Pieces::peek));
        let written = ready!(Pin::new(&mut self.stream).poll_write(context, &bytes[..length]))?;
        trace!(target: "network", peer = %self.peer, bytes = %bytes[..written].escape_ascii(), "sent");
        recording::sent(self.local, self.peer, &bytes[..written]);
        self.draw();
        Poll::Ready(Ok(written))
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(context)
    }
}

impl SimulatedStream {
    /// Fails when the other side is found to be gone, as TCP does when its probes are not answered.
    fn poll_keepalive(&mut self, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        let End::Accepted(keepalive) = &mut self.end else { return Poll::Pending };
        while keepalive.poll_tick(context).is_ready() {
            if !OPEN.with_borrow(|open| open.contains(&self.peer)) {
                debug!(target: "network", peer = %self.peer, "keepalive");
                return Poll::Ready(Err(io::ErrorKind::TimedOut.into()));
            }
        }
        Poll::Pending
    }

    /// Draws the length of the next piece. Only done after a piece went through, so that a poll without
    /// progress changes nothing.
    fn draw(&mut self) {
        if let Some(pieces) = &mut self.pieces {
            pieces.seed = mix(pieces.seed);
        }
    }
}

impl Pieces {
    fn peek(&self) -> usize {
        let largest = u64::try_from(self.largest).unwrap_or(u64::MAX);
        usize::try_from(mix(self.seed) % largest).unwrap_or(0) + 1
    }
}

fn mix(seed: u64) -> u64 {
    SplitMix64::seeded(seed).draw()
}

fn ends_inside_a_character(bytes: &[u8]) -> bool {
    std::str::from_utf8(bytes).is_err_and(|error| error.error_len().is_none())
}

fn split(address: &str) -> io::Result<(&str, u16)> {
    address
        .rsplit_once(':')
        .and_then(|(host, port)| Some((host, port.parse().ok()?)))
        .ok_or_else(|| io::Error::new(io::ErrorKind::InvalidInput, format!("{address} is no address")))
}
