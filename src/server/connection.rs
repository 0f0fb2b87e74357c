//! The two halves of a connection: what comes from a peer, and what goes to it.

use std::cell::RefCell;
use std::future::poll_fn;
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use tokio::io::{AsyncRead, AsyncWrite as _, AsyncWriteExt as _, ReadBuf, ReadHalf, WriteHalf};
use tokio::time::timeout;
use tracing::trace;

use super::departure::Departure;
use super::limits::{LINGER, READ_BYTES, SILENCE};
use super::shared::SharedRoom;
use crate::net::Stream;
use crate::protocol::{Decoder, Framing, Refusal};
use crate::room::{FellBehind, MemberId, Read};

/// Takes a connection apart.
pub(super) fn open<S: Stream>(stream: S) -> (Incoming<S>, Outgoing<S>) {
    let (reader, writer) = tokio::io::split(stream);
    let incoming = Incoming { reader, decoder: Decoder::new() };
    (incoming, Outgoing { writer, framing: Framing::Lines, flushed: true })
}

/// Closes a connection so that what was written last arrives: a socket that is dropped with
/// unread input resets the connection, and the reset overtakes the data.
pub(super) async fn close<S: Stream>(mut incoming: Incoming<S>, mut outgoing: Outgoing<S>) {
    let in_order = async {
        outgoing.writer.shutdown().await?;
        tokio::io::copy(&mut incoming.reader, &mut tokio::io::sink()).await
    };
    // However it ends, there is nothing more to be done for this peer.
    let _ = timeout(LINGER, in_order).await;
}

/// What comes from a peer.
pub(super) struct Incoming<S> {
    reader: ReadHalf<S>,
    pub(super) decoder: Decoder,
}

thread_local! {
    /// One buffer to read into for all sessions of a thread: an idle member costs none. It is
    /// borrowed only while a read is polled, never across an await.
    static READ_BUFFER: RefCell<Vec<u8>> = RefCell::new(vec![0; READ_BYTES]);
}

impl<S: Stream> Incoming<S> {
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
        READ_BUFFER.with_borrow_mut(|buffer| {
            let mut buffer = ReadBuf::new(buffer);
            ready!(Pin::new(&mut self.reader).poll_read(context, &mut buffer))?;
            match buffer.remaining() {
                0 => self.decoder.push_cut(buffer.filled()),
                _ => self.decoder.push(buffer.filled()),
            }
            trace!(bytes = buffer.filled().len(), "read");
            Poll::Ready(Ok(!buffer.filled().is_empty()))
        })
    }
}

/// What goes to a peer.
pub(super) struct Outgoing<S> {
    writer: WriteHalf<S>,
    pub(super) framing: Framing,
    /// Nothing that was written waits inside the connection.
    pub(super) flushed: bool,
}

/// What one attempt to write has brought.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Wrote {
    /// The socket has taken some.
    Some,
    /// It takes nothing at the moment.
    Nothing,
    /// It has taken everything that there will ever be.
    Everything,
}

impl<S: Stream> Outgoing<S> {
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
    /// Nothing is copied for the member, and nothing is kept while its socket takes nothing: the
    /// next attempt looks again.
    pub(super) fn poll_deliver(
        &mut self,
        context: &mut Context<'_>,
        id: MemberId,
        room: &SharedRoom,
    ) -> Poll<Result<Wrote, Departure>> {
        match room.read(id, context) {
            Ok(Read::Some { stretch, is_all }) => match self.poll_write(context, &stretch, is_all) {
                Poll::Ready(Ok(written)) => {
                    trace!(bytes = written, "written");
                    room.advance(id, written);
                    self.flushed = matches!(self.poll_flush(context), Poll::Ready(Ok(())));
                    Poll::Ready(Ok(Wrote::Some))
                }
                Poll::Ready(Err(_)) => Poll::Ready(Err(Departure::Reset)),
                Poll::Pending => {
                    room.wait_for_the_socket(id, context);
                    Poll::Ready(Ok(Wrote::Nothing))
                }
            },
            Ok(Read::Nothing | Read::End) if !self.flushed => match self.poll_flush(context) {
                Poll::Ready(Ok(())) => {
                    self.flushed = true;
                    Poll::Ready(Ok(Wrote::Some))
                }
                Poll::Ready(Err(_)) => Poll::Ready(Err(Departure::Reset)),
                Poll::Pending => Poll::Ready(Ok(Wrote::Nothing)),
            },
            Ok(Read::Nothing) => Poll::Pending,
            Ok(Read::End) => Poll::Ready(Ok(Wrote::Everything)),
            Err(FellBehind) => Poll::Ready(Err(Departure::TooSlow)),
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
