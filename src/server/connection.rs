//! The two halves of a connection: what comes from a peer, and what goes to it.

use std::cell::RefCell;
use std::future::poll_fn;
use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, ready};

use tokio::io::{AsyncWrite, AsyncWriteExt as _, ReadBuf};
use tokio::time::timeout;
use tracing::trace;

use super::disconnect_reason::DisconnectReason;
use super::hub::Hub;
use super::limits::{LINGER, READ_BYTES, SILENCE};
use super::wake_list::Added;
use crate::net::Stream;
use crate::protocol::{Decoder, Framing, Refusal};
use crate::room::{FellBehind, MemberId, Read};

/// A connection that was accepted.
pub(super) struct Connection<'a, S> {
    pub(super) incoming: Incoming<'a, S>,
    pub(super) outgoing: Outgoing<'a, S>,
    pub(super) peer: SocketAddr,
}

impl<'a, S: Stream> Connection<'a, S> {
    pub(super) fn new(stream: &'a Mutex<S>, peer: SocketAddr) -> Self {
        let incoming = Incoming { reader: Half(stream), decoder: Decoder::new() };
        let outgoing = Outgoing {
            writer: Half(stream),
            framing: Framing::Lines,
            flushed: true,
            added: Added::default(),
        };
        Self { incoming, outgoing, peer }
    }

    /// Closes the connection so that what was written last arrives: a socket that is dropped with
    /// unread input resets the connection, and the reset overtakes the data.
    pub(super) async fn close(&mut self) {
        let in_order = async {
            self.outgoing.writer.shutdown().await?;
            while poll_fn(|context| self.incoming.poll_discard(context)).await? {}
            io::Result::Ok(())
        };
        // However it ends, nothing more can be done for this peer.
        let _ = timeout(LINGER, in_order).await;
    }
}

/// What comes from a peer.
pub(super) struct Incoming<'a, S> {
    reader: Half<'a, S>,
    pub(super) decoder: Decoder,
}

impl<S: Stream> Incoming<'_, S> {
    /// The next whole message, as a nickname needs it.
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

    /// Waits for bytes, or for the silence that completes what has come, and gives them to the
    /// decoder. Returns false at the end of the stream.
    pub(super) async fn read(&mut self) -> io::Result<bool> {
        if !self.decoder.awaits_silence() {
            return poll_fn(|context| self.poll_read(context)).await;
        }
        let read = Box::pin(timeout(SILENCE, poll_fn(|context| self.poll_read(context)))).await;
        read.unwrap_or_else(|_| {
            self.decoder.quiet();
            Ok(true)
        })
    }

    fn poll_read(&mut self, context: &mut Context<'_>) -> Poll<io::Result<bool>> {
        let Self { reader, decoder } = self;
        reader.poll_read_shared(context, |bytes, is_full| {
            if is_full {
                decoder.push_cut(bytes);
            } else {
                decoder.push(bytes);
            }
            trace!(bytes = bytes.len(), "read");
        })
    }

    fn poll_discard(&mut self, context: &mut Context<'_>) -> Poll<io::Result<bool>> {
        self.reader.poll_read_shared(context, |_, _| {})
    }
}

/// What goes to a peer.
pub(super) struct Outgoing<'a, S> {
    writer: Half<'a, S>,
    pub(super) framing: Framing,
    /// Nothing that was written waits inside the connection.
    pub(super) flushed: bool,
    /// When it has last begun to wait for more.
    added: Added,
}

/// What one attempt to write has brought.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Wrote {
    /// The socket has taken what there was.
    Some,
    /// The socket has taken some of it.
    Part,
    /// It takes nothing at the moment.
    Nothing,
    /// It has taken everything that there will ever be.
    Everything,
}

impl<S: Stream> Outgoing<'_, S> {
    /// Writes a text of the handshake, as it stands.
    pub(super) async fn write_now(&mut self, text: &str) -> io::Result<()> {
        self.flushed = false;
        self.writer.write_all(text.as_bytes()).await?;
        self.writer.flush().await?;
        self.flushed = true;
        Ok(())
    }

    /// Writes once what lies behind a member's cursor. Pending while the room has nothing for it.
    ///
    /// Nothing of the log is copied, unless lines for this member alone stand between; and nothing is kept
    /// while its socket takes nothing: the next attempt looks again.
    pub(super) fn poll_deliver(
        &mut self,
        context: &mut Context<'_>,
        id: MemberId,
        room: &Hub,
    ) -> Poll<Result<Wrote, DisconnectReason>> {
        match room.read(id, context, &mut self.added) {
            Ok(Read::Data { slice, is_all }) => match self.poll_write(context, &slice, is_all) {
                Poll::Ready(Ok(written)) => {
                    trace!(bytes = written, "written");
                    room.advance(id, written);
                    self.flushed = matches!(self.poll_flush(context), Poll::Ready(Ok(())));
                    let is_all = is_all && written == slice.len();
                    Poll::Ready(Ok(if is_all { Wrote::Some } else { Wrote::Part }))
                }
                Poll::Ready(Err(error)) => Poll::Ready(Err(error.into())),
                Poll::Pending => {
                    room.wait_for_the_socket(id, context);
                    Poll::Ready(Ok(Wrote::Nothing))
                }
            },
            Ok(Read::Idle | Read::End) if !self.flushed => match self.poll_flush(context) {
                Poll::Ready(Ok(())) => {
                    self.flushed = true;
                    Poll::Ready(Ok(Wrote::Some))
                }
                Poll::Ready(Err(error)) => Poll::Ready(Err(error.into())),
                Poll::Pending => Poll::Ready(Ok(Wrote::Nothing)),
            },
            Ok(Read::Idle) => Poll::Pending,
            Ok(Read::End) => Poll::Ready(Ok(Wrote::Everything)),
            Err(FellBehind) => Poll::Ready(Err(DisconnectReason::TooSlow)),
        }
    }

    /// Writes what comes next, in the shape that the peer expects. Returns how much of it is done.
    fn poll_write(
        &mut self,
        context: &mut Context<'_>,
        bytes: &[u8],
        is_all: bool,
    ) -> Poll<io::Result<usize>> {
        // In the report's framing, newlines stand only between the messages of one write.
        let unended = match self.framing {
            Framing::Report if is_all => bytes.strip_suffix(b"\n").unwrap_or(bytes),
            _ => bytes,
        };
        if unended.is_empty() {
            return Poll::Ready(Ok(bytes.len()));
        }
        match ready!(Pin::new(&mut self.writer).poll_write(context, unended))? {
            0 => Poll::Ready(Err(io::ErrorKind::WriteZero.into())),
            written if written == unended.len() => Poll::Ready(Ok(bytes.len())),
            written => Poll::Ready(Ok(written)),
        }
    }

    fn poll_flush(&mut self, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.writer).poll_flush(context)
    }
}

/// A connection, as each of the two loops of its session has it.
///
/// They belong to one task, so the lock is never waited for. What `tokio::io::split` gives would do,
/// but lies in an allocation of its own, for each member.
struct Half<'a, S>(&'a Mutex<S>);

thread_local! {
    /// One buffer to read into for all sessions of a thread: an idle member costs none. It is
    /// borrowed only while a read is polled, never across an await.
    static READ_BUFFER: RefCell<Vec<u8>> = RefCell::new(vec![0; READ_BYTES]);
}

impl<S: Stream> Half<'_, S> {
    /// Reads once, and has `take` look at what has come, and whether that filled the buffer. Returns false
    /// at the end of the stream.
    fn poll_read_shared(
        &self,
        context: &mut Context<'_>,
        take: impl FnOnce(&[u8], bool),
    ) -> Poll<io::Result<bool>> {
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

impl<S: Stream> AsyncWrite for Half<'_, S> {
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
