//! The two ends of a socket: reading what a peer sends, and writing what a member is sent.

use std::cell::RefCell;
use std::future::poll_fn;
use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker, ready};

use tokio::io::{AsyncWrite, AsyncWriteExt as _, ReadBuf};
use tokio::time::{Instant, timeout};
use tracing::trace;

use super::limits::{LINGER, READ_BYTES, SILENCE, TYPING_PAUSE, TYPING_SILENCE, WRITE_BYTES};
use crate::net::Stream;
use crate::protocol::{Decoder, Framing, Patience, Refusal};
use crate::room::{DisconnectReason, FellBehind, Point, Read, Reader, Transcript};

/// A connection that was accepted.
pub(super) struct Connection<S> {
    stream: Shared<S>,
    pub(super) peer: SocketAddr,
    pub(super) decoder: Decoder,
    /// How the peer expects its lines.
    pub(super) framing: Framing,
    /// Nothing that was written waits inside the connection.
    pub(super) flushed: bool,
}

/// How a connection ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Ending {
    /// Everything was written. [`Connection::close`] makes sure that it arrives.
    InOrder,
    /// The peer is gone, or takes nothing.
    Broken,
}

impl<S: Stream> Connection<S> {
    pub(super) fn new(stream: S, peer: SocketAddr) -> Self {
        let stream = Shared(Arc::new(Mutex::new(stream)));
        Self { stream, peer, decoder: Decoder::new(), framing: Framing::Lines, flushed: true }
    }

    /// The outlet of its lines, once it belongs to a member.
    pub(super) fn outlet(&self) -> Outlet<S> {
        Outlet {
            stream: self.stream.clone(),
            framing: self.framing,
            flushed: true,
            status: Status::Ready,
            session: Waker::noop().clone(),
        }
    }

    /// The next whole message, as the handshake needs it.
    pub(super) async fn message(&mut self) -> io::Result<Result<String, Refusal>> {
        loop {
            if let Some(message) = self.decoder.next_message() {
                return Ok(message.map(str::to_owned));
            }
            if !self.read().await? {
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
        }
    }

    /// Waits for bytes, or for the silence that completes a message, and gives them to the decoder.
    /// Returns false at the end of the stream.
    pub(super) async fn read(&mut self) -> io::Result<bool> {
        let patience = self.decoder.patience();
        let longest = match patience {
            Patience::Endless => return poll_fn(|context| self.poll_read(context)).await,
            Patience::Moment => TYPING_PAUSE,
            Patience::Silence => SILENCE,
            Patience::LongSilence => TYPING_SILENCE,
        };
        let read = Box::pin(timeout(longest, poll_fn(|context| self.poll_read(context)))).await;
        read.unwrap_or_else(|_| {
            match patience {
                Patience::Moment => self.decoder.pause(),
                _ => self.decoder.quiet(),
            }
            Ok(true)
        })
    }

    fn poll_read(&mut self, context: &mut Context<'_>) -> Poll<io::Result<bool>> {
        let Self { stream, decoder, .. } = self;
        stream.poll_read(context, |bytes, is_full| {
            if is_full {
                decoder.push_cut(bytes);
            } else {
                decoder.push(bytes);
            }
            trace!(bytes = bytes.len(), "read");
        })
    }

    fn poll_discard(&mut self, context: &mut Context<'_>) -> Poll<io::Result<bool>> {
        self.stream.poll_read(context, |_, _| {})
    }

    /// Writes a text of the handshake, as it is.
    pub(super) async fn write_now(&mut self, text: &str) -> io::Result<()> {
        self.flushed = false;
        self.stream.write_all(text.as_bytes()).await?;
        self.stream.flush().await?;
        self.flushed = true;
        Ok(())
    }

    /// Closes the connection so that the last bytes written arrive: a socket that is dropped with
    /// unread input resets the connection, and the reset overtakes the data.
    pub(super) async fn close(&mut self) {
        let in_order = async {
            self.stream.shutdown().await?;
            while poll_fn(|context| self.poll_discard(context)).await? {}
            io::Result::Ok(())
        };
        // However it ends, nothing more can be done for this peer.
        let _ = timeout(LINGER, in_order).await;
    }
}

/// The outlet of a member's lines: its socket, and the state of that.
pub(super) struct Outlet<S> {
    stream: Shared<S>,
    framing: Framing,
    /// Nothing that was written waits inside the connection.
    flushed: bool,
    pub(super) status: Status,
    /// Wakes the member's session, when the socket takes more or the status has changed.
    pub(super) session: Waker,
}

/// The state of a member's socket.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Status {
    /// It has taken everything so far.
    Ready,
    /// It has taken nothing since then. The session tries again when the socket takes more.
    Blocked(Instant),
    /// Nothing more will be written: everything was, or this is why not.
    Ended(Result<(), DisconnectReason>),
}

/// The result of one delivery.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Delivered {
    /// Everything was taken.
    All,
    /// A part was taken; others have their turn before the rest.
    Part,
    /// Nothing more can be delivered until the session tries again.
    NoMore,
}

/// Writes a reader's next bytes up to `horizon` to its socket, once, and moves its cursor past those that the
/// socket has taken. Adds their number to `taken_bytes`.
pub(super) fn write<S: Stream>(
    reader: &mut Reader<Outlet<S>>,
    transcript: &Transcript,
    horizon: Point,
    taken_bytes: &mut u64,
) -> Delivered {
    loop {
        let polled = match reader.read(transcript, horizon, WRITE_BYTES) {
            Ok(Read::Data { bytes, is_all }) => match reader.outlet.poll_write(&bytes, is_all) {
                Poll::Ready(Ok(written)) => {
                    trace!(bytes = written, "written");
                    *taken_bytes += written as u64;
                    let is_all = is_all && written == bytes.len();
                    reader.advance(transcript, horizon, written);
                    reader.outlet.status = Status::Ready;
                    if !is_all {
                        return Delivered::Part;
                    }
                    reader.outlet.poll_flush()
                }
                Poll::Ready(Err(error)) => Poll::Ready(Err(error)),
                Poll::Pending => Poll::Pending,
            },
            Ok(_) if !reader.outlet.flushed => reader.outlet.poll_flush(),
            Ok(Read::Idle) => {
                reader.outlet.status = Status::Ready;
                return Delivered::All;
            }
            Ok(Read::End) => return reader.outlet.end(Ok(())),
            Err(FellBehind) => return reader.outlet.end(Err(DisconnectReason::TooSlow)),
        };
        match polled {
            Poll::Ready(Ok(())) => {}
            Poll::Ready(Err(error)) => return reader.outlet.end(Err(reason(&error))),
            Poll::Pending => return reader.outlet.block(),
        }
    }
}

/// The disconnect reason that an error of a connection stands for. TCP reports an error once, to the next
/// read or write.
pub(super) fn reason(error: &io::Error) -> DisconnectReason {
    match error.kind() {
        // TCP's own probes were not answered.
        io::ErrorKind::TimedOut => DisconnectReason::TimedOut,
        _ => DisconnectReason::Reset,
    }
}

impl<S: Stream> Outlet<S> {
    /// Writes nothing more, for this reason, and tells the session.
    pub(super) fn end(&mut self, how: Result<(), DisconnectReason>) -> Delivered {
        self.status = Status::Ended(how);
        self.session.wake_by_ref();
        Delivered::NoMore
    }

    /// Leaves it to the session to wait for the socket.
    fn block(&mut self) -> Delivered {
        if !matches!(self.status, Status::Blocked(_)) {
            self.status = Status::Blocked(Instant::now());
            self.session.wake_by_ref();
        }
        Delivered::NoMore
    }

    /// Writes bytes in the framing of the peer. Returns how many of them are done.
    fn poll_write(&mut self, bytes: &[u8], is_all: bool) -> Poll<io::Result<usize>> {
        // In the report's framing, newlines only separate the messages of one write.
        let unended = match self.framing {
            Framing::Report if is_all => bytes.strip_suffix(b"\n").unwrap_or(bytes),
            _ => bytes,
        };
        if unended.is_empty() {
            return Poll::Ready(Ok(bytes.len()));
        }
        let mut context = Context::from_waker(&self.session);
        match ready!(Pin::new(&mut self.stream).poll_write(&mut context, unended))? {
            0 => Poll::Ready(Err(io::ErrorKind::WriteZero.into())),
            written => {
                self.flushed = false;
                Poll::Ready(Ok(if written == unended.len() { bytes.len() } else { written }))
            }
        }
    }

    fn poll_flush(&mut self) -> Poll<io::Result<()>> {
        let mut context = Context::from_waker(&self.session);
        ready!(Pin::new(&mut self.stream).poll_flush(&mut context))?;
        self.flushed = true;
        Poll::Ready(Ok(()))
    }
}

/// A socket, shared by the session that reads it and the deliveries that write to it. Neither keeps
/// the lock for longer than one call, and no call waits.
struct Shared<S>(Arc<Mutex<S>>);

thread_local! {
    /// One buffer to read into for all sessions of a thread: an idle member costs none. It is
    /// borrowed only while a read is polled, never across an await.
    static READ_BUFFER: RefCell<Vec<u8>> = RefCell::new(vec![0; READ_BYTES]);
}

impl<S: Stream> Shared<S> {
    /// Reads once, and gives `take` the bytes and whether they filled the buffer. Returns false at the
    /// end of the stream.
    fn poll_read(&self, context: &mut Context<'_>, take: impl FnOnce(&[u8], bool)) -> Poll<io::Result<bool>> {
        READ_BUFFER.with_borrow_mut(|buffer| {
            let mut buffer = ReadBuf::new(buffer);
            ready!(Pin::new(&mut *self.lock()).poll_read(context, &mut buffer))?;
            take(buffer.filled(), buffer.remaining() == 0);
            Poll::Ready(Ok(!buffer.filled().is_empty()))
        })
    }

    fn lock(&self) -> MutexGuard<'_, S> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<S> Clone for Shared<S> {
    fn clone(&self) -> Self {
        Self(Arc::clone(&self.0))
    }
}

impl<S: Stream> AsyncWrite for Shared<S> {
    fn poll_write(self: Pin<&mut Self>, context: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut *self.lock()).poll_write(context, bytes)
    }

    fn poll_flush(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut *self.lock()).poll_flush(context)
    }

    fn poll_shutdown(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut *self.lock()).poll_shutdown(context)
    }
}
