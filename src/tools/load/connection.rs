//! One connection to the server under load: a non-blocking socket, the bytes that it still has to send,
//! and the beginning of a line whose end has not come yet.
//!
//! Apart from [`poller`](super::poller), the only file of the generator that names an
//! operating-system socket.

use std::io::{self, Read as _, Write as _};
use std::net::{Shutdown, SocketAddr};

use mio::net::TcpStream;

use super::poller::Poller;

/// How much is read at once: far more than a server sends in one write.
pub(super) const READ_BYTES: usize = 256 * 1_024;

/// How much of an unfinished line is kept. Longer than any line of the protocols, and than the undelimited
/// announcements of the report's server while thousands join.
pub(super) const UNFINISHED_BYTES: usize = 128 * 1_024;

pub(super) struct Connection {
    index: usize,
    stream: TcpStream,
    /// Whether the poller reports when the socket becomes writable.
    awaits_room: bool,
    outgoing: Vec<u8>,
    written: usize,
    unfinished: Vec<u8>,
}

/// The result of one read.
pub(super) enum Received {
    /// The number of bytes in the buffer, including the unfinished line at its beginning. There may be more.
    Bytes(usize),
    /// The same, and for now there is nothing more.
    LastBytes(usize),
    /// Nothing for now.
    Nothing,
    /// The server has closed the connection.
    End,
}

impl Connection {
    /// Begins to connect. The poller reports the socket as `index`.
    pub(super) fn open(address: SocketAddr, poller: &Poller, index: usize) -> io::Result<Self> {
        let mut stream = TcpStream::connect(address)?;
        poller.add(&mut stream, index)?;
        let (outgoing, unfinished) = (Vec::new(), Vec::new());
        Ok(Self { index, stream, awaits_room: true, outgoing, written: 0, unfinished })
    }

    /// Whether the connection is established. The error says why it could not connect.
    pub(super) fn established(&self) -> io::Result<()> {
        match self.stream.take_error()? {
            Some(error) => Err(error),
            None => self.stream.set_nodelay(true),
        }
    }

    /// The bytes that the next [`Connection::flush`] will write. Callers must bound what they add, as greetings
    /// and windows are bounded.
    pub(super) fn outgoing(&mut self) -> &mut Vec<u8> {
        &mut self.outgoing
    }

    /// Writes as much as the socket takes. The rest follows when it becomes writable.
    pub(super) fn flush(&mut self, poller: &Poller) -> io::Result<()> {
        while self.written < self.outgoing.len() {
            match self.stream.write(&self.outgoing[self.written..]) {
                Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
                Ok(written) => self.written += written,
                Err(error) if is_for_now(&error) => break,
                Err(error) => return Err(error),
            }
        }
        let full = self.written < self.outgoing.len();
        if !full {
            self.outgoing.clear();
            self.written = 0;
        }
        if full != self.awaits_room {
            self.awaits_room = full;
            poller.report_room(&self.stream, self.index, full)?;
        }
        Ok(())
    }

    /// How many bytes wait to be written.
    pub(super) fn outgoing_bytes(&self) -> usize {
        self.outgoing.len() - self.written
    }

    /// Reads once. `buffer` has room for [`UNFINISHED_BYTES`] and [`READ_BYTES`].
    pub(super) fn read(&mut self, buffer: &mut [u8]) -> io::Result<Received> {
        let kept = self.unfinished.len();
        buffer[..kept].copy_from_slice(&self.unfinished);
        loop {
            return match self.stream.read(&mut buffer[kept..kept + READ_BYTES]) {
                Ok(0) => Ok(Received::End),
                // A short read has emptied the socket. On Windows, though, it is only reported again after
                // a read that would block.
                Ok(length) if length < READ_BYTES && cfg!(unix) => Ok(Received::LastBytes(kept + length)),
                Ok(length) => Ok(Received::Bytes(kept + length)),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                Err(error) if is_for_now(&error) => Ok(Received::Nothing),
                Err(error) => Err(error),
            };
        }
    }

    /// Keeps the beginning of a line until the rest of it comes. Returns false if it is too long.
    pub(super) fn keep_unfinished(&mut self, bytes: &[u8]) -> bool {
        self.unfinished.clear();
        if bytes.len() > UNFINISHED_BYTES {
            return false;
        }
        self.unfinished.extend_from_slice(bytes);
        true
    }

    /// Closes the connection, in order unless there is something to read.
    pub(super) fn close(&mut self, poller: &Poller) -> io::Result<()> {
        self.abandon(poller)?;
        match self.stream.shutdown(Shutdown::Both) {
            // The server may have been faster.
            Err(error) if error.kind() != io::ErrorKind::NotConnected => Err(error),
            _ => Ok(()),
        }
    }

    /// Removes the socket from the poller and never reads from it again.
    pub(super) fn abandon(&mut self, poller: &Poller) -> io::Result<()> {
        poller.remove(&mut self.stream)
    }
}

/// Whether the error only means that the socket is not ready, or not connected yet.
fn is_for_now(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::WouldBlock | io::ErrorKind::Interrupted | io::ErrorKind::NotConnected
    )
}
